/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static struct {
	exp_log_sink fn;
	void *arg;
	int max_level;
} sink;

void exp_log_set_sink(exp_log_sink fn, int max_level, void *arg)
{
	sink.fn = fn;
	sink.arg = arg;
	sink.max_level = max_level;
}

void exp_log_kv(int level, const char *msg, const struct exp_kv *kv)
{
	if (sink.fn && level <= sink.max_level)
		sink.fn(level, msg, kv, sink.arg);
}

struct out {
	char *p;
	size_t cap, len;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->cap)
		o->p[o->len] = c;
	o->len++;
}

static void put_str(struct out *o, const char *s)
{
	while (*s)
		put(o, *s++);
}

static void put_escaped(struct out *o, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		char hex[8];

		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
			put(o, (char)c);
			continue;
		}
		snprintf(hex, sizeof(hex), "\\x%02x", c);
		put_str(o, hex);
	}
}

static size_t finish(struct out *o)
{
	if (o->cap)
		o->p[EXP_MIN(o->len, o->cap - 1)] = '\0';
	return o->len;
}

size_t exp_log_escape(char *p, size_t cap, const char *s)
{
	struct out o = { .p = p, .cap = cap };

	put_escaped(&o, s);
	return finish(&o);
}

static void put_value(struct out *o, const struct exp_kv *kv)
{
	char num[32];

	switch (kv->type) {
	case EXP_KV_S: {
		const char *s = kv->s ? kv->s : "";
		bool quote = !*s || strpbrk(s, " =\"\\");

		if (quote)
			put(o, '"');
		put_escaped(o, s);
		if (quote)
			put(o, '"');
		return;
	}
	case EXP_KV_U: snprintf(num, sizeof(num), "%" PRIu64, kv->u); break;
	case EXP_KV_I: snprintf(num, sizeof(num), "%" PRId64, kv->i); break;
	case EXP_KV_X: snprintf(num, sizeof(num), "0x%" PRIx64, kv->u); break;
	}
	put_str(o, num);
}

size_t exp_log_format(char *p, size_t cap, const char *msg, const struct exp_kv *kv)
{
	struct out o = { .p = p, .cap = cap };

	put_escaped(&o, msg);
	for (; kv && kv->key; kv++) {
		put(&o, ' ');
		put_str(&o, kv->key);
		put(&o, '=');
		put_value(&o, kv);
	}
	return finish(&o);
}

void exp_log_stderr(int level, const char *msg, const struct exp_kv *kv, void *arg)
{
	static const char *const names[] = { "emerg",   "alert",  "crit", "error",
					     "warning", "notice", "info", "debug" };
	char line[1024];
	size_t n;

	(void)arg;
	n = (size_t)snprintf(line, sizeof(line), "%s: ", names[level & 7]);
	n += exp_log_format(line + n, sizeof(line) - n - 1, msg, kv);
	n = EXP_MIN(n, sizeof(line) - 2);
	line[n++] = '\n';
	/* one write(2): lines of several threads do not mix */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}
