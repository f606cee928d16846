/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_route.c - which verb a request line means, and the path of a verb
 *
 * One table for both directions. A path has at most one element that is not literal; it is decoded
 * after the path was split at its slashes, so an encoded slash cannot make another path of it.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "control/api.h"

struct route {
	const char *method;
	const char *path;
};

static const struct route routes[] = {
#define X(VERB, method, path) [EXP_API_##VERB] = { method, path },
	EXP_API_VERBS(X)
#undef X
};

const char *exp_api_method(enum exp_api_verb verb)
{
	return routes[verb].method;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoding of @len bytes; printable ASCII only, as names, UUIDs and NQNs are. */
static int decode(const char *s, size_t len, char *out, size_t cap, struct exp_error *err)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (c == '%') {
			int hi = i + 2 < len ? hex_digit(s[i + 1]) : -1;
			int lo = i + 2 < len ? hex_digit(s[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
						     "'%%' at byte %zu is not followed by two hex "
						     "digits",
						     i);
			c = (char)(hi << 4 | lo);
			i += 2;
		}
		if (c <= ' ' || c > '~')
			return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
					     "byte %02Xh; printable ASCII without space is taken",
					     (unsigned char)c);
		if (n + 1 >= cap)
			return exp_error_set(err, EXP_CODE_INVALID, EINVAL, "longer than %zu bytes",
					     cap - 1);
		out[n++] = c;
	}
	out[n] = '\0';
	return 0;
}

/* Does @path of @len bytes fit @pattern? The {} element, still encoded, goes to *ret_id. */
static bool fits(const char *pattern, const char *path, size_t len, const char **ret_id,
		 size_t *ret_len)
{
	const char *hole = strstr(pattern, "{}");
	size_t head = hole ? (size_t)(hole - pattern) : strlen(pattern), tail;

	*ret_id = NULL;
	*ret_len = 0;
	if (!hole)
		return len == head && !memcmp(path, pattern, len);
	tail = strlen(hole + 2);
	if (len <= head + tail || memcmp(path, pattern, head) ||
	    memcmp(path + len - tail, hole + 2, tail))
		return false;
	*ret_id = path + head;
	*ret_len = len - head - tail;
	return !memchr(*ret_id, '/', *ret_len);
}

void exp_api_allow(const char *target, char *out, size_t cap)
{
	size_t len = strcspn(target, "?"), n = 0, id_len;
	const char *id;

	if (cap)
		out[0] = '\0';
	for (size_t v = 0; v < EXP_API_VERB_N; v++) {
		if (!fits(routes[v].path, target, len, &id, &id_len) || n >= cap)
			continue;
		n += (size_t)snprintf(out + n, cap - n, "%s%s", n ? ", " : "", routes[v].method);
	}
}

int exp_api_route(const char *method, const char *target, struct exp_api_call *ret,
		  struct exp_error *err)
{
	size_t len = strcspn(target, "?"), id_len;
	struct exp_api_call call = { 0 };
	char shown[80], allow[64];
	const char *id;
	int r;

	if (strlen(target) > EXP_API_TARGET_MAX)
		return exp_error_set(err, EXP_CODE_TOO_LARGE, EINVAL,
				     "request target of %zu bytes, at most %u are taken",
				     strlen(target), EXP_API_TARGET_MAX);
	for (size_t v = 0; v < EXP_API_VERB_N; v++) {
		if (strcmp(routes[v].method, method) ||
		    !fits(routes[v].path, target, len, &id, &id_len))
			continue;
		call.verb = (enum exp_api_verb)v;
		call.query = target[len] ? target + len + 1 : target + len;
		if (id) {
			r = decode(id, id_len, call.id, sizeof(call.id), err);
			if (r < 0)
				return exp_error_wrap(err, r, "name in the path");
		}
		*ret = call;
		return 0;
	}
	exp_log_escape(shown, sizeof(shown), target);
	exp_api_allow(target, allow, sizeof(allow));
	if (!allow[0])
		return exp_error_set(err, EXP_CODE_NOT_FOUND, ENOENT, "no such path: %s", shown);
	exp_error_set(err, EXP_CODE_METHOD, ENOTSUP, "%s takes %s", shown, allow);
	return -ENOTSUP;
}

int exp_api_path(enum exp_api_verb verb, const char *id, char *out, size_t cap)
{
	static const char hex[] = "0123456789ABCDEF";
	const char *p = routes[verb].path, *hole = strstr(p, "{}");
	size_t n = 0;

	for (; *p && n < cap; p++) {
		if (p != hole) {
			out[n++] = *p;
			continue;
		}
		p++;
		for (const char *s = id; *s && n < cap; s++) {
			unsigned char c = (unsigned char)*s;

			if (isalnum(c) || strchr("-._~", c)) {
				out[n++] = (char)c;
			} else if (n + 3 <= cap) {
				out[n++] = '%';
				out[n++] = hex[c >> 4];
				out[n++] = hex[c & 15];
			} else {
				return -ENOSPC;
			}
		}
	}
	if (n >= cap)
		return -ENOSPC;
	out[n] = '\0';
	return (int)n;
}

/*
 * Names
 */

int exp_api_parse_ref(const char *s, struct exp_api_ref *ret, struct exp_error *err)
{
	struct exp_api_ref ref = { 0 };
	int r;

	if (exp_uuid_parse(s, &ref.id) < 0) {
		r = exp_nqn_parse(s, &ref.nqn, err);
		if (r < 0)
			return exp_error_wrap(err, r, "neither a UUID nor an NQN");
		ref.by_nqn = true;
	}
	*ret = ref;
	return 0;
}

int exp_api_parse_name(const char *what, const char *s, struct exp_name *ret, struct exp_error *err)
{
	char shown[EXP_NAME_MAX + 1];
	size_t n = strlen(s);

	exp_log_escape(shown, sizeof(shown), s);
	if (!n || n > EXP_NAME_MAX)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "%s: a name of %zu bytes; 1 to %d are taken", what, n,
				     EXP_NAME_MAX);
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("-._", s[i]))
			return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
					     "%s: \"%s\" has a character that is none of "
					     "A-Z a-z 0-9 . _ -",
					     what, shown);
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->s, s, n);
	return 0;
}

int exp_api_parse_key(const char *s, char ret[EXP_KEY_MAX + 1], struct exp_error *err)
{
	size_t n = strlen(s);

	if (!n || n > EXP_KEY_MAX)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "Idempotency-Key: %zu bytes; 1 to %d are taken", n,
				     EXP_KEY_MAX);
	for (size_t i = 0; i < n; i++)
		if (s[i] < ' ' || s[i] > '~')
			return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
					     "Idempotency-Key: byte %02Xh at offset %zu; printable "
					     "ASCII is taken",
					     (unsigned char)s[i], i);
	memset(ret, 0, EXP_KEY_MAX + 1);
	memcpy(ret, s, n);
	return 0;
}

/*
 * Queries
 */

struct query {
	const char *rest;
	char name[32], value[EXP_NQN_MAX + 1];
	char seen[8][32];
	size_t n_seen;
};

/* Next NAME=VALUE of a query; 1: there is one, 0: the end. A name may come once. */
static int query_next(struct query *q, struct exp_error *err)
{
	size_t len = strcspn(q->rest, "&"), eq;
	int r;

	if (!*q->rest)
		return 0;
	eq = strcspn(q->rest, "=&");
	r = decode(q->rest, eq, q->name, sizeof(q->name), err);
	if (r < 0)
		return exp_error_wrap(err, r, "name in the query");
	if (eq == len)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL, "query: %s has no value",
				     q->name);
	r = decode(q->rest + eq + 1, len - eq - 1, q->value, sizeof(q->value), err);
	if (r < 0)
		return exp_error_wrap(err, r, "query: %s", q->name);
	for (size_t i = 0; i < q->n_seen; i++)
		if (!strcmp(q->seen[i], q->name))
			return exp_error_set(err, EXP_CODE_INVALID, EINVAL, "query: %s twice",
					     q->name);
	if (q->n_seen < EXP_ARRAY_SIZE(q->seen))
		memcpy(q->seen[q->n_seen++], q->name, sizeof(q->name));
	q->rest += q->rest[len] ? len + 1 : len;
	return 1;
}

static int query_unknown(const struct query *q, const char *known, struct exp_error *err)
{
	char shown[64];

	exp_log_escape(shown, sizeof(shown), q->name);
	return exp_error_set(err, EXP_CODE_UNKNOWN_FIELD, EINVAL, "query: %s is not known; %s",
			     shown, known);
}

static int query_u64(const struct query *q, uint64_t min, uint64_t max, uint64_t *ret,
		     struct exp_error *err)
{
	uint64_t v = 0;
	const char *p = q->value;

	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			break;
	if (*p || p == q->value || v < min || v > max)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "query: %s=%.40s is not a number in %llu..%llu", q->name,
				     q->value, (unsigned long long)min, (unsigned long long)max);
	*ret = v;
	return 0;
}

static int query_bool(const struct query *q, bool *ret, struct exp_error *err)
{
	uint64_t v = 0;
	int r = query_u64(q, 0, 1, &v, err);

	if (!r)
		*ret = v;
	return r;
}

int exp_api_no_query(const char *query, struct exp_error *err)
{
	struct query q = { .rest = query };
	int r = query_next(&q, err);

	return r > 0 ? query_unknown(&q, "none is taken here", err) : r;
}

static int state_filter(const struct query *q, struct exp_api_migrations_query *ret,
			struct exp_error *err)
{
	unsigned int v;

	if (exp_state_by_name(EXP_ROLE_SOURCE, q->value, &v) < 0 &&
	    exp_state_by_name(EXP_ROLE_DESTINATION, q->value, &v) < 0)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "query: state=%.40s is no state of a migration", q->value);
	snprintf(ret->state, sizeof(ret->state), "%.31s", q->value);
	return 0;
}

static int migrations_field(const struct query *q, struct exp_api_migrations_query *ret,
			    struct exp_error *err)
{
	uint64_t v = 0;
	int r;

	if (!strcmp(q->name, "state"))
		return state_filter(q, ret, err);
	if (!strcmp(q->name, "open"))
		return query_bool(q, &ret->open, err);
	if (!strcmp(q->name, "export")) {
		ret->has_export = true;
		r = exp_api_parse_ref(q->value, &ret->export_ref, err);
		return r < 0 ? exp_error_wrap(err, r, "query: export") : 0;
	}
	if (!strcmp(q->name, "limit")) {
		r = query_u64(q, 1, 1000, &v, err);
		ret->limit = (uint32_t)v;
		return r;
	}
	return query_unknown(q, "known: state, export, open, limit", err);
}

int exp_api_parse_migrations_query(const char *query, struct exp_api_migrations_query *ret,
				   struct exp_error *err)
{
	struct exp_api_migrations_query mq = { .limit = 100 };
	struct query q = { .rest = query };
	int r;

	while ((r = query_next(&q, err)) > 0) {
		r = migrations_field(&q, &mq, err);
		if (r < 0)
			return r;
	}
	if (!r)
		*ret = mq;
	return r;
}

int exp_api_parse_events_query(const char *query, struct exp_api_events_query *ret,
			       struct exp_error *err)
{
	struct exp_api_events_query eq = { .follow = true };
	struct query q = { .rest = query };
	int r;

	while ((r = query_next(&q, err)) > 0) {
		if (!strcmp(q.name, "since")) {
			eq.has_since = true;
			r = query_u64(&q, 0, INT64_MAX, &eq.since, err);
		} else if (!strcmp(q.name, "follow")) {
			r = query_bool(&q, &eq.follow, err);
		} else {
			r = query_unknown(&q, "known: since, follow", err);
		}
		if (r < 0)
			return r;
	}
	if (!r)
		*ret = eq;
	return r;
}
