/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "base/log.h"
#include "log_sink.h"

#define FIELDS_MAX  16
#define FIELD_BYTES 320

/* systemd says which device and inode our standard error should be, when it is the journal */
static bool stderr_is_journal(void)
{
	const char *env = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return env && sscanf(env, "%llu:%llu", &dev, &ino) == 2 && !fstat(STDERR_FILENO, &st) &&
	       st.st_dev == dev && st.st_ino == ino;
}

/* EXP_BLACKOUT_US=1234: upper case with a prefix, so that journalctl EXP_MIG=... finds a job */
static void add_field(char field[FIELD_BYTES], const struct exp_kv *kv)
{
	size_t n = (size_t)snprintf(field, FIELD_BYTES, "EXP_");

	for (const char *k = kv->key; *k && n < FIELD_BYTES - 2; k++)
		field[n++] = (char)toupper((unsigned char)*k);
	field[n++] = '=';
	switch (kv->type) {
	case EXP_KV_S: exp_log_escape(field + n, FIELD_BYTES - n, kv->s ? kv->s : ""); break;
	case EXP_KV_U: snprintf(field + n, FIELD_BYTES - n, "%" PRIu64, kv->u); break;
	case EXP_KV_I: snprintf(field + n, FIELD_BYTES - n, "%" PRId64, kv->i); break;
	case EXP_KV_X: snprintf(field + n, FIELD_BYTES - n, "0x%" PRIx64, kv->u); break;
	}
}

static void to_journal(int level, const char *msg, const struct exp_kv *kv, void *arg)
{
	char text[1024], fields[FIELDS_MAX][FIELD_BYTES], priority[32];
	struct iovec iov[FIELDS_MAX + 2];
	int n = 0;

	(void)arg;
	memcpy(text, "MESSAGE=", 8);
	exp_log_format(text + 8, sizeof(text) - 8, msg, kv);
	snprintf(priority, sizeof(priority), "PRIORITY=%d", level);
	iov[n++] = (struct iovec){ text, strlen(text) };
	iov[n++] = (struct iovec){ priority, strlen(priority) };
	for (; kv->key && n < FIELDS_MAX + 2; kv++, n++) {
		add_field(fields[n - 2], kv);
		iov[n] = (struct iovec){ fields[n - 2], strlen(fields[n - 2]) };
	}
	if (sd_journal_sendv(iov, n) < 0)
		exp_log_stderr(level, msg, kv, NULL);
}

void expd_log_start(int max_level)
{
	exp_log_set_sink(stderr_is_journal() ? to_journal : exp_log_stderr, max_level, NULL);
}
