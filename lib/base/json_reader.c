/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_reader.c - take an object apart strictly, with complaints that name the field
 *
 * Built on the plain looks of json.h. The first complaint wins and reaches every reader above.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"

#define NAME_MAX_SHOWN 64 /* of a name that the other side chose */

static const char *type_text(const struct exp_json *v)
{
	switch (exp_json_type(v)) {
	case EXP_JSON_NULL: return "null";
	case EXP_JSON_BOOL: return "true or false";
	case EXP_JSON_INT: return "a whole number";
	case EXP_JSON_DOUBLE: return "a number with fraction or exponent";
	case EXP_JSON_STRING: return "a string";
	case EXP_JSON_ARRAY: return "an array";
	case EXP_JSON_OBJECT: return "an object";
	}
	return "a value";
}

static const char *want_text(enum exp_json_type t)
{
	switch (t) {
	case EXP_JSON_NULL: return "null";
	case EXP_JSON_BOOL: return "true or false";
	case EXP_JSON_INT: return "a whole number";
	case EXP_JSON_DOUBLE: return "a number";
	case EXP_JSON_STRING: return "a string";
	case EXP_JSON_ARRAY: return "an array";
	case EXP_JSON_OBJECT: return "an object";
	}
	return "a value";
}

static void EXP_PRINTF(4, 0) fail_v(struct exp_json_reader *rd, enum exp_code code,
				    const char *name, const char *fmt, va_list ap)
{
	char what[200];

	if (rd->r)
		return;
	vsnprintf(what, sizeof(what), fmt, ap);
	rd->r = exp_error_set(rd->err, code, EINVAL, "%s%s: %s", rd->path, name, what);
	for (struct exp_json_reader *up = rd->up; up; up = up->up)
		if (!up->r)
			up->r = rd->r;
}

static void fail(struct exp_json_reader *rd, enum exp_code code, const char *name, const char *fmt,
		 ...) EXP_PRINTF(4, 5);
static void fail(struct exp_json_reader *rd, enum exp_code code, const char *name, const char *fmt,
		 ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail_v(rd, code, name, fmt, ap);
	va_end(ap);
}

void exp_json_refuse(struct exp_json_reader *rd, const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail_v(rd, EXP_CODE_INVALID, name, fmt, ap);
	va_end(ap);
}

/* --- open and close --- */

int exp_json_open(struct exp_json_reader *rd, const struct exp_json *v, struct exp_error *err)
{
	*rd = (struct exp_json_reader){ .obj = v, .err = err };
	if (exp_json_type(v) != EXP_JSON_OBJECT)
		fail(rd, EXP_CODE_INVALID, "the document", "%s, where an object belongs",
		     type_text(v));
	return rd->r;
}

static int open_below(struct exp_json_reader *rd, struct exp_json_reader *up, const char *name,
		      const struct exp_json *v)
{
	*rd = (struct exp_json_reader){ .obj = v, .up = up, .err = up->err };
	if (exp_json_type(v) != EXP_JSON_OBJECT)
		fail(up, EXP_CODE_INVALID, name, "%s, where an object belongs", type_text(v));
	rd->r = up->r;
	/* for people only: names are ours and short, and a cut path still says where */
	snprintf(rd->path, sizeof(rd->path), "%.60s%.30s.", up->path, name);
	return rd->r;
}

int exp_json_open_field(struct exp_json_reader *rd, struct exp_json_reader *up, const char *name,
			const struct exp_json *v)
{
	return open_below(rd, up, name, v);
}

static void item_name(char out[NAME_MAX_SHOWN], const char *name, size_t i)
{
	snprintf(out, NAME_MAX_SHOWN, "%.40s[%zu]", name, i);
}

int exp_json_open_item(struct exp_json_reader *rd, struct exp_json_reader *up, const char *name,
		       const struct exp_json *arr, size_t i)
{
	char item[NAME_MAX_SHOWN];

	item_name(item, name, i);
	return open_below(rd, up, item, exp_json_at(arr, i));
}

static bool taken(const struct exp_json_reader *rd, const char *name)
{
	for (size_t i = 0; i < rd->n_taken; i++)
		if (!strcmp(rd->taken[i], name))
			return true;
	return false;
}

static void unknown_field(struct exp_json_reader *rd, const char *name)
{
	char shown[NAME_MAX_SHOWN], known[160] = "";
	size_t n = 0;

	exp_log_escape(shown, sizeof(shown), name);
	for (size_t i = 0; i < rd->n_taken && n < sizeof(known); i++)
		n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s", i ? ", " : "",
				      rd->taken[i]);
	fail(rd, EXP_CODE_UNKNOWN_FIELD, shown, "no such field; known here: %s",
	     n ? known : "none");
}

int exp_json_close(struct exp_json_reader *rd)
{
	struct exp_json_iter it;

	for (it = exp_json_fields(rd->obj); !rd->r && exp_json_field(&it);)
		if (!taken(rd, it.name))
			unknown_field(rd, it.name);
	return rd->r;
}

/* --- take --- */

static bool is(struct exp_json_reader *rd, const char *name, const struct exp_json *v,
	       enum exp_json_type want)
{
	if (exp_json_type(v) == want)
		return true;
	fail(rd, EXP_CODE_INVALID, name, "%s, where %s belongs", type_text(v), want_text(want));
	return false;
}

static const struct exp_json *take(struct exp_json_reader *rd, const char *name,
				   enum exp_json_type want, bool required)
{
	const struct exp_json *v;

	if (rd->r)
		return NULL;
	assert(rd->n_taken < EXP_ARRAY_SIZE(rd->taken));
	rd->taken[rd->n_taken++] = name;
	v = exp_json_get(rd->obj, name);
	if (!exp_json_has(rd->obj, name)) {
		if (required)
			fail(rd, EXP_CODE_INVALID, name, "missing; %s belongs here",
			     want_text(want));
		return NULL;
	}
	return is(rd, name, v, want) ? v : NULL;
}

static const char *check_str(struct exp_json_reader *rd, const char *name, const struct exp_json *v,
			     size_t max)
{
	const char *s = exp_json_str(v, NULL);

	if (s && strlen(s) > max) {
		fail(rd, EXP_CODE_INVALID, name, "a string of %zu bytes, at most %zu are taken",
		     strlen(s), max);
		return NULL;
	}
	return s;
}

const char *exp_json_req_str(struct exp_json_reader *rd, const char *name, size_t max)
{
	return check_str(rd, name, take(rd, name, EXP_JSON_STRING, true), max);
}

const char *exp_json_opt_str(struct exp_json_reader *rd, const char *name, size_t max)
{
	return check_str(rd, name, take(rd, name, EXP_JSON_STRING, false), max);
}

static bool check_u64(struct exp_json_reader *rd, const char *name, const struct exp_json *v,
		      uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t u = exp_json_u64(v, 0);

	if (!v)
		return false;
	if (exp_json_i64(v, 0) < 0) {
		fail(rd, EXP_CODE_INVALID, name, "%" PRId64 " is outside %" PRIu64 "..%" PRIu64,
		     exp_json_i64(v, 0), min, max);
		return false;
	}
	if (u < min || u > max) {
		fail(rd, EXP_CODE_INVALID, name, "%" PRIu64 " is outside %" PRIu64 "..%" PRIu64, u,
		     min, max);
		return false;
	}
	*ret = u;
	return true;
}

bool exp_json_req_u64(struct exp_json_reader *rd, const char *name, uint64_t min, uint64_t max,
		      uint64_t *ret)
{
	return check_u64(rd, name, take(rd, name, EXP_JSON_INT, true), min, max, ret);
}

bool exp_json_opt_u64(struct exp_json_reader *rd, const char *name, uint64_t min, uint64_t max,
		      uint64_t *ret)
{
	return check_u64(rd, name, take(rd, name, EXP_JSON_INT, false), min, max, ret);
}

bool exp_json_opt_bool(struct exp_json_reader *rd, const char *name, bool *ret)
{
	const struct exp_json *v = take(rd, name, EXP_JSON_BOOL, false);

	if (v)
		*ret = exp_json_bool(v, false);
	return v;
}

static bool check_uuid(struct exp_json_reader *rd, const char *name, const struct exp_json *v,
		       struct exp_uuid *ret)
{
	const char *s = exp_json_str(v, NULL);
	char shown[NAME_MAX_SHOWN];

	if (!s)
		return false;
	if (!exp_uuid_parse(s, ret))
		return true;
	exp_log_escape(shown, sizeof(shown), s);
	fail(rd, EXP_CODE_INVALID, name, "\"%s\" is not a UUID", shown);
	return false;
}

bool exp_json_req_uuid(struct exp_json_reader *rd, const char *name, struct exp_uuid *ret)
{
	return check_uuid(rd, name, take(rd, name, EXP_JSON_STRING, true), ret);
}

static const struct exp_json *check_array(struct exp_json_reader *rd, const char *name,
					  const struct exp_json *v, size_t max)
{
	if (exp_json_len(v) <= max)
		return v;
	fail(rd, EXP_CODE_INVALID, name, "%zu items, at most %zu are taken", exp_json_len(v), max);
	return NULL;
}

const struct exp_json *exp_json_req_array(struct exp_json_reader *rd, const char *name, size_t max)
{
	return check_array(rd, name, take(rd, name, EXP_JSON_ARRAY, true), max);
}

const struct exp_json *exp_json_opt_array(struct exp_json_reader *rd, const char *name, size_t max)
{
	return check_array(rd, name, take(rd, name, EXP_JSON_ARRAY, false), max);
}

const struct exp_json *exp_json_opt_object(struct exp_json_reader *rd, const char *name)
{
	return take(rd, name, EXP_JSON_OBJECT, false);
}

const char *exp_json_item_str(struct exp_json_reader *rd, const char *name,
			      const struct exp_json *arr, size_t i, size_t max)
{
	const struct exp_json *v = exp_json_at(arr, i);
	char item[NAME_MAX_SHOWN];

	item_name(item, name, i);
	if (rd->r || !is(rd, item, v, EXP_JSON_STRING))
		return NULL;
	return check_str(rd, item, v, max);
}

bool exp_json_item_uuid(struct exp_json_reader *rd, const char *name, const struct exp_json *arr,
			size_t i, struct exp_uuid *ret)
{
	const struct exp_json *v = exp_json_at(arr, i);
	char item[NAME_MAX_SHOWN];

	item_name(item, name, i);
	return !rd->r && is(rd, item, v, EXP_JSON_STRING) && check_uuid(rd, item, v, ret);
}
