/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_json_reader.c - strict reading of an object: each complaint names the field and both values
 */
#include "support/tests.h"

#include <errno.h>

#include "base/json.h"

#define ID "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"

static struct exp_json *parse(const char *text)
{
	struct exp_error err = { 0 };
	struct exp_json *doc = NULL;

	assert_ok(exp_json_parse(text, strlen(text), 10000, &doc, &err), &err);
	return doc;
}

/* A request body of the usual kind, and a handler that reads it. */
struct body {
	char to[16], note[16], hold[2][16];
	uint64_t limit_ms, iova[2], rate;
	size_t n_exports, n_hold, n_memory;
	struct exp_uuid exports[2], job;
	bool force;
};

static int read_memory(struct exp_json_reader *rd, const struct exp_json *arr, struct body *b)
{
	for (b->n_memory = 0; b->n_memory < exp_json_len(arr); b->n_memory++) {
		struct exp_json_reader in;
		int r;

		exp_json_open_item(&in, rd, "memory", arr, b->n_memory);
		exp_json_req_u64(&in, "iova", 0, UINT64_MAX, &b->iova[b->n_memory]);
		r = exp_json_close(&in);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_limits(struct exp_json_reader *rd, const struct exp_json *v, struct body *b)
{
	struct exp_json_reader in;

	if (!v)
		return 0;
	exp_json_open_field(&in, rd, "limits", v);
	exp_json_opt_u64(&in, "rate", 1, 100, &b->rate);
	return exp_json_close(&in);
}

static int handle(const char *text, struct body *ret, struct exp_error *err)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *doc = parse(text);
	const struct exp_json *exports, *hold;
	struct body b = { .limit_ms = 1000 };
	struct exp_json_reader rd;
	const char *s;

	exp_json_open(&rd, doc, err);
	s = exp_json_req_str(&rd, "to", 15);
	snprintf(b.to, sizeof(b.to), "%s", s ? s : "");
	s = exp_json_opt_str(&rd, "note", 15);
	snprintf(b.note, sizeof(b.note), "%s", s ? s : "-");
	exp_json_opt_u64(&rd, "limit_ms", 1, 60000, &b.limit_ms);
	exp_json_opt_bool(&rd, "force", &b.force);
	exp_json_req_uuid(&rd, "job", &b.job);
	exports = exp_json_req_array(&rd, "exports", 2);
	for (size_t i = 0; i < exp_json_len(exports); i++)
		b.n_exports += exp_json_item_uuid(&rd, "exports", exports, i, &b.exports[i]);
	hold = exp_json_opt_array(&rd, "hold", 2);
	for (size_t i = 0; i < exp_json_len(hold); i++) {
		s = exp_json_item_str(&rd, "hold", hold, i, 15);
		if (s && strcmp(s, "switch") && strcmp(s, "commit"))
			exp_json_refuse(&rd, "hold", "\"%s\" is neither switch nor commit", s);
		snprintf(b.hold[b.n_hold++], 16, "%s", s ? s : "");
	}
	if (read_memory(&rd, exp_json_opt_array(&rd, "memory", 2), &b) == 0 &&
	    read_limits(&rd, exp_json_opt_object(&rd, "limits"), &b) == 0)
		*ret = b;
	return exp_json_close(&rd);
}

#define REQUIRED "\"to\":\"b\",\"job\":\"" ID "\",\"exports\":[]"

static void refuse(const char *text, enum exp_code code, const char *msg)
{
	struct exp_error err = { 0 };
	struct body b;

	assert_int_equal(handle(text, &b, &err), -EINVAL);
	assert_error(&err, code, "");
	assert_string_equal(err.msg, msg);
}

static void test_all_fields(void **state)
{
	struct exp_error err = { 0 };
	struct body b;

	(void)state;
	assert_ok(
		handle("{\"limits\":{\"rate\":100},\"to\":\"0123456789abcde\",\"note\":\"\",\"limit_ms\":1,"
		       "\"force\":true,\"job\":\"" ID "\",\"exports\":[\"" ID "\",\"" ID "\"],"
		       "\"hold\":[\"switch\",\"commit\"],"
		       "\"memory\":[{\"iova\":0},{\"iova\":18446744073709551615}]}",
		       &b, &err),
		&err);
	assert_string_equal(b.to, "0123456789abcde"); /* as long as it may be */
	assert_string_equal(b.note, "");
	assert_true(b.limit_ms == 1);
	assert_true(b.force);
	assert_hex(b.job.b, 16, "f81d4fae7dec11d0a76500a0c91e6bf6");
	assert_int_equal(b.n_exports, 2);
	assert_true(exp_uuid_eq(&b.exports[1], &b.job));
	assert_string_equal(b.hold[1], "commit");
	assert_int_equal(b.n_memory, 2);
	assert_true(b.iova[1] == UINT64_MAX);
	assert_true(b.rate == 100);
}

static void test_optional_fields_keep_their_defaults(void **state)
{
	struct exp_error err = { 0 };
	struct body b;

	(void)state;
	assert_ok(handle("{" REQUIRED "}", &b, &err), &err);
	assert_string_equal(b.note, "-");
	assert_true(b.limit_ms == 1000);
	assert_false(b.force);
	assert_int_equal(b.n_hold, 0);
}

static void test_missing(void **state)
{
	(void)state;
	refuse("{}", EXP_CODE_INVALID, "to: missing; a string belongs here");
	refuse("{\"to\":\"b\"}", EXP_CODE_INVALID, "job: missing; a string belongs here");
	refuse("{" REQUIRED ",\"memory\":[{\"iova\":1},{}]}", EXP_CODE_INVALID,
	       "memory[1].iova: missing; a whole number belongs here");
}

static void test_wrong_types(void **state)
{
	(void)state;
	refuse("[]", EXP_CODE_INVALID, "the document: an array, where an object belongs");
	refuse("null", EXP_CODE_INVALID, "the document: null, where an object belongs");
	refuse("{\"to\":7}", EXP_CODE_INVALID, "to: a whole number, where a string belongs");
	refuse("{\"to\":null}", EXP_CODE_INVALID, "to: null, where a string belongs");
	refuse("{" REQUIRED ",\"note\":null}", EXP_CODE_INVALID,
	       "note: null, where a string belongs");
	refuse("{" REQUIRED ",\"force\":1}", EXP_CODE_INVALID,
	       "force: a whole number, where true or false belongs");
	refuse("{" REQUIRED ",\"limit_ms\":1.0}", EXP_CODE_INVALID,
	       "limit_ms: a number with fraction or exponent, where a whole number belongs");
	refuse("{" REQUIRED ",\"limit_ms\":\"1\"}", EXP_CODE_INVALID,
	       "limit_ms: a string, where a whole number belongs");
	refuse("{" REQUIRED ",\"hold\":\"switch\"}", EXP_CODE_INVALID,
	       "hold: a string, where an array belongs");
	refuse("{" REQUIRED ",\"hold\":[\"switch\",true]}", EXP_CODE_INVALID,
	       "hold[1]: true or false, where a string belongs");
	refuse("{" REQUIRED ",\"limits\":[]}", EXP_CODE_INVALID,
	       "limits: an array, where an object belongs");
	refuse("{" REQUIRED ",\"memory\":[7]}", EXP_CODE_INVALID,
	       "memory[0]: a whole number, where an object belongs");
}

static void test_out_of_range(void **state)
{
	(void)state;
	refuse("{" REQUIRED ",\"limit_ms\":0}", EXP_CODE_INVALID,
	       "limit_ms: 0 is outside 1..60000");
	refuse("{" REQUIRED ",\"limit_ms\":60001}", EXP_CODE_INVALID,
	       "limit_ms: 60001 is outside 1..60000");
	refuse("{" REQUIRED ",\"limit_ms\":-1}", EXP_CODE_INVALID,
	       "limit_ms: -1 is outside 1..60000");
	refuse("{" REQUIRED ",\"limit_ms\":18446744073709551615}", EXP_CODE_INVALID,
	       "limit_ms: 18446744073709551615 is outside 1..60000");
	refuse("{" REQUIRED ",\"limits\":{\"rate\":101}}", EXP_CODE_INVALID,
	       "limits.rate: 101 is outside 1..100");
	refuse("{\"to\":\"0123456789abcdef\"}", EXP_CODE_INVALID,
	       "to: a string of 16 bytes, at most 15 are taken");
	refuse("{\"to\":\"b\",\"job\":\"" ID "\",\"exports\":[1,2,3]}", EXP_CODE_INVALID,
	       "exports: 3 items, at most 2 are taken");
}

static void test_not_a_uuid(void **state)
{
	(void)state;
	refuse("{\"to\":\"b\",\"job\":\"7\"}", EXP_CODE_INVALID, "job: \"7\" is not a UUID");
	refuse("{\"to\":\"b\",\"job\":\"" ID "\",\"exports\":[\"" ID "\",\"vm\\u001b7\"]}",
	       EXP_CODE_INVALID, "exports[1]: \"vm\\x1b7\" is not a UUID");
}

static void test_unknown_field_is_named_with_the_known(void **state)
{
	(void)state;
	refuse("{" REQUIRED ",\"hodl\":[]}", EXP_CODE_UNKNOWN_FIELD,
	       "hodl: no such field; known here: to, note, limit_ms, force, job, exports, hold, "
	       "memory, limits");
	refuse("{" REQUIRED ",\"limits\":{\"rate\":1,\"burst\":2}}", EXP_CODE_UNKNOWN_FIELD,
	       "limits.burst: no such field; known here: rate");
	refuse("{" REQUIRED ",\"memory\":[{\"iova\":1,\"x\\n\":null}]}", EXP_CODE_UNKNOWN_FIELD,
	       "memory[0].x\\x0a: no such field; known here: iova");
}

static void test_own_complaint(void **state)
{
	(void)state;
	refuse("{" REQUIRED ",\"hold\":[\"stop\"]}", EXP_CODE_INVALID,
	       "hold: \"stop\" is neither switch nor commit");
}

static void test_first_complaint_wins(void **state)
{
	struct exp_json *doc = parse("{\"a\":1,\"b\":2,\"in\":{\"c\":3}}");
	struct exp_json_reader rd, in;
	struct exp_error err = { 0 };
	uint64_t v = 77;
	bool flag = true;

	(void)state;
	assert_int_equal(exp_json_open(&rd, doc, &err), 0);
	assert_null(exp_json_req_str(&rd, "a", 10));
	assert_false(exp_json_req_u64(&rd, "b", 5, 6, &v)); /* nothing more is looked at */
	assert_false(exp_json_opt_bool(&rd, "none", &flag));
	exp_json_refuse(&rd, "b", "too late");
	assert_int_equal(exp_json_open_field(&in, &rd, "in", exp_json_get(doc, "in")), -EINVAL);
	assert_false(exp_json_req_u64(&in, "c", 0, 9, &v));
	assert_int_equal(exp_json_close(&in), -EINVAL);
	assert_int_equal(exp_json_close(&rd), -EINVAL);
	assert_int_equal(exp_json_close(&rd), -EINVAL);
	assert_string_equal(err.msg, "a: a whole number, where a string belongs");
	assert_true(v == 77);
	exp_json_free(doc);
}

/* A complaint below reaches every reader above, so that only the outermost has to be asked. */
static void test_complaint_reaches_the_top(void **state)
{
	struct exp_json *doc = parse("{\"a\":{\"b\":[{\"c\":1}]}}");
	struct exp_json_reader top, a, b;
	struct exp_error err = { 0 };
	const struct exp_json *v;

	(void)state;
	assert_int_equal(exp_json_open(&top, doc, &err), 0);
	v = exp_json_opt_object(&top, "a");
	assert_int_equal(exp_json_open_field(&a, &top, "a", v), 0);
	v = exp_json_req_array(&a, "b", 1);
	assert_int_equal(exp_json_open_item(&b, &a, "b", v, 0), 0);
	assert_null(exp_json_req_str(&b, "c", 1));
	assert_string_equal(err.msg, "a.b[0].c: a whole number, where a string belongs");
	assert_int_equal(exp_json_close(&top), -EINVAL);
	exp_json_free(doc);
}

static void test_error_may_be_null(void **state)
{
	struct exp_json *doc = parse("{\"a\":1}");
	struct exp_json_reader rd;

	(void)state;
	exp_json_open(&rd, doc, NULL);
	assert_null(exp_json_req_str(&rd, "a", 1));
	assert_int_equal(exp_json_close(&rd), -EINVAL);
	exp_json_free(doc);
}

static void test_a_long_unknown_name_is_cut(void **state)
{
	char text[300] = "{\"";
	struct exp_error err = { 0 };
	struct exp_json_reader rd;
	struct exp_json *doc;

	(void)state;
	memset(text + 2, 'n', 250);
	strcpy(text + 252, "\":1}");
	doc = parse(text);
	exp_json_open(&rd, doc, &err);
	assert_int_equal(exp_json_close(&rd), -EINVAL);
	assert_error(&err, EXP_CODE_UNKNOWN_FIELD, "nnn: no such field; known here: none");
	assert_true(strlen(err.msg) < 120);
	exp_json_free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_fields),
		cmocka_unit_test(test_optional_fields_keep_their_defaults),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_wrong_types),
		cmocka_unit_test(test_out_of_range),
		cmocka_unit_test(test_not_a_uuid),
		cmocka_unit_test(test_unknown_field_is_named_with_the_known),
		cmocka_unit_test(test_own_complaint),
		cmocka_unit_test(test_first_complaint_wins),
		cmocka_unit_test(test_complaint_reaches_the_top),
		cmocka_unit_test(test_error_may_be_null),
		cmocka_unit_test(test_a_long_unknown_name_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
