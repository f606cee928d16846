/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <exp/error.h>

#include "base/error.h"

struct code_row {
	enum exp_code code;
	const char *name;
	int http;
	bool retry;
};

static const struct code_row rows[] = {
#define X(name, value, json, http, retry) { EXP_CODE_##name, json, http, retry },
	EXP_CODES(X)
#undef X
};

static const struct code_row *row_of(enum exp_code code)
{
	for (size_t i = 0; i < EXP_ARRAY_SIZE(rows); i++)
		if (rows[i].code == code)
			return &rows[i];
	return NULL;
}

/* A cut message says so: a half sentence must not read like a whole one. */
static void mark_cut(char *msg, size_t cap, int written)
{
	if (written >= 0 && (size_t)written >= cap)
		memcpy(msg + cap - 4, "...", 4);
}

static void EXP_PRINTF(5, 0) set_v(struct exp_error *e, enum exp_code code, int errnum,
				   uint16_t status, const char *fmt, va_list ap)
{
	struct exp_error set = { .code = code, .errnum = errnum, .nvme_status = status };

	if (!e)
		return;
	/* not in place: an argument may be the message that is there */
	mark_cut(set.msg, sizeof(set.msg), vsnprintf(set.msg, sizeof(set.msg), fmt, ap));
	*e = set;
}

int exp_error_set(struct exp_error *e, enum exp_code code, int errnum, const char *fmt, ...)
{
	va_list ap;

	if (errnum <= 0) /* a failure must never come back as 0 */
		errnum = EIO;
	va_start(ap, fmt);
	set_v(e, code, errnum, 0, fmt, ap);
	va_end(ap);
	return -errnum;
}

int exp_error_nvme(struct exp_error *e, uint16_t status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_v(e, EXP_CODE_DEVICE_STATUS, EREMOTEIO, status, fmt, ap);
	va_end(ap);
	return -EREMOTEIO;
}

int exp_error_wrap(struct exp_error *e, int r, const char *fmt, ...)
{
	char msg[sizeof(e->msg)];
	va_list ap;
	int n;

	if (!e)
		return r;
	if (e->code == EXP_CODE_OK)
		exp_error_set(e, r == -ENOMEM ? EXP_CODE_NO_MEMORY : EXP_CODE_SYSTEM, -r, "%s",
			      strerror(-r));
	va_start(ap, fmt);
	n = vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(msg)) {
		int m = snprintf(msg + n, sizeof(msg) - (size_t)n, ": %s", e->msg);

		n = m < 0 ? m : n + m;
	}
	mark_cut(msg, sizeof(msg), n);
	memcpy(e->msg, msg, sizeof(msg));
	return r;
}

const char *exp_code_name(enum exp_code code)
{
	const struct code_row *row = row_of(code);

	return row ? row->name : "UNKNOWN";
}

int exp_code_by_name(const char *name, enum exp_code *ret)
{
	for (size_t i = 0; i < EXP_ARRAY_SIZE(rows); i++) {
		if (!strcmp(rows[i].name, name)) {
			*ret = rows[i].code;
			return 0;
		}
	}
	return -ENOENT;
}

int exp_code_http(enum exp_code code)
{
	const struct code_row *row = row_of(code);

	return row ? row->http : 500;
}

bool exp_code_retry(enum exp_code code)
{
	const struct code_row *row = row_of(code);

	return row && row->retry;
}
