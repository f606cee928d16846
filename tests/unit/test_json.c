/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_json.c - what a JSON text may be, plain looks, and building; test_json_reader.c has the
 * strict reading of objects
 */
#include "support/tests.h"

#include <errno.h>
#include <float.h>
#include <math.h>

#include "base/json.h"

static void refuse_n(const char *text, size_t len, const char *part)
{
	struct exp_json *doc = (struct exp_json *)&doc, *before = doc;
	struct exp_error err = { 0 };
	char *exact = test_exact(text, len); /* no NUL after it: ASan sees a read beyond */
	int r;

	r = exp_json_parse(exact, len, 1 << 20, &doc, &err);
	free(exact);
	if (r != -EINVAL)
		fail_msg("\"%s\" gave %d", text, r);
	assert_error(&err, EXP_CODE_INVALID, part);
	assert_ptr_equal(doc, before);
}

static void refuse(const char *text, const char *part)
{
	refuse_n(text, strlen(text), part);
}

static struct exp_json *parse(const char *text)
{
	size_t len = strlen(text);
	char *exact = test_exact(text, len);
	struct exp_error err = { 0 };
	struct exp_json *doc = NULL;
	int r;

	r = exp_json_parse(exact, len, len, &doc, &err);
	free(exact);
	assert_ok(r, &err);
	return doc;
}

static void accept(const char *text, const char *printed)
{
	struct exp_json *doc = parse(text);
	size_t len = 0;

	assert_string_equal(exp_json_print(doc, false, &len), printed);
	assert_int_equal(len, strlen(printed));
	exp_json_free(doc);
}

static void test_parse_accepts(void **state)
{
	(void)state;
	accept("{}", "{}");
	accept(" \t\r\n[ ] \n", "[]");
	accept("12", "12");
	accept("-0", "0");
	accept("true", "true");
	accept("[false,null]", "[false,null]");
	accept("{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":2}]}",
	       "{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":2}]}");
	accept("{\"\":1}", "{\"\":1}");
	accept("\"\\u00e9\\ud83d\\ude00\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
	       "\"\xc3\xa9\xf0\x9f\x98\x80\\\"\\\\/\\b\\f\\n\\r\\t\"");
	accept("\"{\\\"a\\\":1,\\\"a\\\":[NaN\"", "\"{\\\"a\\\":1,\\\"a\\\":[NaN\"");
	accept("[1.5e3,1E+2,0.25,-0.5e-1]", "[1.5e3,1E+2,0.25,-0.5e-1]");
}

static void test_parse_null_document(void **state)
{
	struct exp_json *doc = (struct exp_json *)&doc;

	(void)state;
	assert_int_equal(exp_json_parse("null", 4, 4, &doc, NULL), 0);
	assert_null(doc);
	exp_json_free(doc);
}

static void test_parse_refuses_what_is_not_json(void **state)
{
	static const char *const bad[] = {
		"[1,]",        "{\"a\":1,}", "[1 2]",  "{\"a\" 1}",   "{a:1}",         "{'a':1}",
		"'a'",         "TRUE",       "/* */1", "[1]//",       "{} {}",         "{}]",
		"12 x",        "nul",        "+1",     ".5",          "0x10",          "\v1",
		"\f1",         "--1",        "1.5.2",  "1-2",         "\357\273\2771", "\"\\x\"",
		"\"\\u12g4\"", "[1}",        "{]",     ",",           "{1:2}",         "nan",
		"1e5e5",       "]",          "\\",     "\"\\u+123\"",
	};

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(bad); i++)
		refuse(bad[i], "JSON, byte ");
}

/* json-c takes all of these, its strict mode included. */
static void test_parse_refuses_what_json_c_takes(void **state)
{
	(void)state;
	refuse("NaN", "byte 0: NaN and Infinity");
	refuse("[Infinity]", "byte 1: NaN and Infinity");
	refuse("[-Infinity]", "byte 2: not a number");
	refuse("[-01]", "byte 3: not a number");
	refuse("[01]", "JSON, byte ");
	refuse("{'a':1}", "byte 1: a character out of place");
	refuse("{'[[[[[[[[[[[[[[[[[[':1}", "byte 1: a character out of place");
	refuse("{\"a\":1,']]':1}", "byte 7: a character out of place");
	refuse("[1.]", "byte 3: not a number");
	refuse("[1.e5]", "byte 3: not a number");
	refuse("[1e]", "byte ");
	refuse("[-]", "byte ");
	refuse("\"a\tb\"", "byte 2: a control character");
	refuse("\"a\nb\"", "byte 2: a control character");
	refuse("{\"a\x1f\":1}", "byte 3: a control character");
	refuse("\"\\ud800\"", "first half of a surrogate");
	refuse("\"\\ud800\\u0041\"", "first half of a surrogate");
	refuse("\"\\ud800x\"", "first half of a surrogate");
	refuse("\"\\ud800\\n0000\"", "first half of a surrogate");
	refuse("\"\\ud800\\ndc00\"", "first half of a surrogate");
	refuse("\"\\ud800\\udbff\"", "first half of a surrogate");
	refuse("\"\\ud800\\ue000\"", "first half of a surrogate");
	refuse("\"\\udc00\"", "second half of a surrogate");
	refuse("\"ab\\u0000\"", "byte 4: \\u0000");
	refuse("{\"a\\u0000b\":1}", "\\u0000");
	refuse("\"\xc0\xaf\"", "UTF-8");         /* '/' in two bytes */
	refuse("\"\xed\xa0\x80\"", "UTF-8");     /* a surrogate */
	refuse("\"\xf4\x90\x80\x80\"", "UTF-8"); /* above U+10FFFF */
	refuse("\"\xe0\x9f\xbf\"", "UTF-8");
	refuse("\"\xf0\x8f\xbf\xbf\"", "UTF-8");
	refuse("\"\xff\"", "utf-8");
	refuse("\"\xc3\"", "utf-8");
}

static void test_parse_refuses_zero_bytes(void **state)
{
	(void)state;
	refuse_n("{}\0", 3, "byte 2: a zero byte");
	refuse_n("{}\0garbage", 10, "byte 2: a zero byte");
	refuse_n("\"a\0b\"", 5, "byte 2: a zero byte");
	refuse_n("\0", 1, "byte 0: a zero byte");
}

static void test_parse_refuses_a_name_twice(void **state)
{
	(void)state;
	refuse("{\"a\":1,\"b\":2,\"a\":3}", "byte 13: the name \"a\" a second time");
	refuse("{\"a\":null,\"a\":null}", "the name \"a\"");
	refuse("[{\"x\":{\"to\":1, \"t\\u006f\" : 2}}]", "byte 15: the name \"to\"");
	refuse("{\"a\":{\"b\":1},\"a\":2}", "the name \"a\"");
	refuse("{\"\":1,\"\":2}", "the name \"\"");
	refuse("{\"\\u001b[2J\":1,\"\\u001b[2J\":2}", "the name \"\\x1b[2J\"");
	accept("{\"a\":\"a\",\"b\":\"a\",\"c\":[\"a\",\"a\"],\"A\":1}",
	       "{\"a\":\"a\",\"b\":\"a\",\"c\":[\"a\",\"a\"],\"A\":1}");
}

static void test_parse_whole_numbers_of_64_bits(void **state)
{
	struct exp_json *doc;

	(void)state;
	accept("[18446744073709551615,9223372036854775808,9223372036854775807,"
	       "-9223372036854775808]",
	       "[18446744073709551615,9223372036854775808,9223372036854775807,"
	       "-9223372036854775808]");
	doc = parse("[18446744073709551615,9223372036854775808,-9223372036854775808,-1,1.0]");
	assert_true(exp_json_u64(exp_json_at(doc, 0), 7) == UINT64_MAX);
	assert_true(exp_json_u64(exp_json_at(doc, 1), 7) == UINT64_C(9223372036854775808));
	assert_true(exp_json_i64(exp_json_at(doc, 1), 7) == 7); /* out of range */
	assert_true(exp_json_i64(exp_json_at(doc, 2), 7) == INT64_MIN);
	assert_true(exp_json_u64(exp_json_at(doc, 2), 7) == 7);
	assert_true(exp_json_u64(exp_json_at(doc, 3), 7) == 7);
	assert_true(exp_json_i64(exp_json_at(doc, 3), 7) == -1);
	assert_true(exp_json_u64(exp_json_at(doc, 4), 7) == 7); /* 1.0 is not written whole */
	assert_true(exp_json_double(exp_json_at(doc, 4), 7) == 1.0);
	assert_true(exp_json_double(exp_json_at(doc, 3), 7) == -1.0);
	exp_json_free(doc);
	refuse("[18446744073709551616]", "byte 1: a whole number beyond 64 bits");
	refuse("[-9223372036854775809]", "byte 1: a whole number beyond 64 bits");
	refuse("[1,99999999999999999999999999]", "byte 3: a whole number beyond 64 bits");
	refuse("1e999", "beyond what a double holds");
	refuse("-1e999", "beyond what a double holds");
	refuse("[0.00000000000000000000000000000000000000000000000000000000000000001]",
	       "more than 64 characters");
	accept("[0.12345678901234567890123456789012345678901234567890123456789012]",
	       "[0.12345678901234567890123456789012345678901234567890123456789012]");
	accept("1e-999", "1e-999"); /* 0 after rounding, which every reader agrees on */
}

static void test_parse_depth(void **state)
{
	char text[2 * EXP_JSON_DEPTH + 3] = "";

	(void)state;
	memset(text, '[', EXP_JSON_DEPTH);
	text[EXP_JSON_DEPTH] = '1';
	memset(text + EXP_JSON_DEPTH + 1, ']', EXP_JSON_DEPTH);
	accept(text, text);
	memset(text, '[', EXP_JSON_DEPTH + 1);
	memset(text + EXP_JSON_DEPTH + 1, ']', EXP_JSON_DEPTH + 1);
	refuse(text, "nested more than 16 deep");
	refuse("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "nested more than 16 deep");
	refuse("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{"
	       "\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}}}}}}}}}",
	       "nested more than 16 deep");
}

static void test_parse_size_limit_comes_first(void **state)
{
	struct exp_error err = { 0 };
	struct exp_json *doc = NULL;

	(void)state;
	assert_int_equal(exp_json_parse("[1]", 3, 3, &doc, &err), 0);
	exp_json_free(EXP_TAKE(doc));
	assert_int_equal(exp_json_parse("[1] ", 4, 3, &doc, &err), -EFBIG);
	assert_error(&err, EXP_CODE_TOO_LARGE, "4 bytes, at most 3");
	assert_int_equal(exp_json_parse(NULL, SIZE_MAX, 3, &doc, &err), -EFBIG); /* unread */
	assert_null(doc);
}

static const char sample[] =
	"{\"exports\":[\"x\",{\"a\":-1.5e2}],\"n\":18446744073709551615,\"s\":\"\\ud83d\\ude00"
	"\xc3\xa9\\n\",\"t\":true,\"z\":null}";

static void test_parse_cut_anywhere(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(sample) - 1; n++)
		refuse_n(sample, n, "JSON, byte ");
	exp_json_free(parse(sample));
}

/* Each byte of a good text in turn becomes each other byte: never a crash, never a bad print. */
static void test_parse_any_byte_anywhere(void **state)
{
	char text[sizeof(sample)];

	(void)state;
	for (size_t i = 0; i < sizeof(sample) - 1; i++) {
		for (int c = 0; c < 256; c++) {
			struct exp_json *doc = NULL, *again = NULL;
			struct exp_error err = { 0 };
			const char *out;
			size_t len;

			memcpy(text, sample, sizeof(sample));
			text[i] = (char)c;
			if (exp_json_parse(text, sizeof(sample) - 1, 1000, &doc, &err) < 0) {
				assert_error(&err, EXP_CODE_INVALID, "JSON, byte ");
				continue;
			}
			out = exp_json_print(doc, false, &len);
			assert_ok(exp_json_parse(out, len, 1000, &again, &err), &err);
			assert_string_equal(exp_json_print(again, false, NULL), out);
			exp_json_free(again);
			exp_json_free(doc);
		}
	}
}

static void test_looks_have_defaults(void **state)
{
	struct exp_json *doc = parse("{\"s\":\"x\",\"n\":3,\"b\":true,\"z\":null,\"d\":0.5,"
				     "\"a\":[1,null],\"o\":{}}");

	(void)state;
	assert_int_equal(exp_json_type(doc), EXP_JSON_OBJECT);
	assert_int_equal(exp_json_type(exp_json_get(doc, "s")), EXP_JSON_STRING);
	assert_int_equal(exp_json_type(exp_json_get(doc, "n")), EXP_JSON_INT);
	assert_int_equal(exp_json_type(exp_json_get(doc, "b")), EXP_JSON_BOOL);
	assert_int_equal(exp_json_type(exp_json_get(doc, "z")), EXP_JSON_NULL);
	assert_int_equal(exp_json_type(exp_json_get(doc, "d")), EXP_JSON_DOUBLE);
	assert_int_equal(exp_json_type(exp_json_get(doc, "a")), EXP_JSON_ARRAY);
	assert_null(exp_json_get(doc, "none"));
	assert_null(exp_json_get(exp_json_get(doc, "a"), "none"));
	assert_null(exp_json_get(NULL, "none"));
	assert_true(exp_json_has(doc, "z"));
	assert_false(exp_json_has(doc, "none"));
	assert_false(exp_json_has(NULL, "none"));
	assert_string_equal(exp_json_str(exp_json_get(doc, "s"), "-"), "x");
	assert_string_equal(exp_json_str(exp_json_get(doc, "n"), "-"), "-");
	assert_null(exp_json_str(NULL, NULL));
	assert_true(exp_json_u64(exp_json_get(doc, "n"), 9) == 3);
	assert_true(exp_json_u64(exp_json_get(doc, "s"), 9) == 9);
	assert_true(exp_json_i64(exp_json_get(doc, "b"), -9) == -9);
	assert_true(exp_json_double(exp_json_get(doc, "d"), 9) == 0.5);
	assert_true(exp_json_double(exp_json_get(doc, "s"), 9) == 9);
	assert_true(exp_json_bool(exp_json_get(doc, "b"), false));
	assert_true(exp_json_bool(exp_json_get(doc, "n"), true));
	assert_false(exp_json_bool(exp_json_get(doc, "n"), false));
	assert_int_equal(exp_json_len(exp_json_get(doc, "a")), 2);
	assert_int_equal(exp_json_len(exp_json_get(doc, "o")), 0);
	assert_int_equal(exp_json_len(NULL), 0);
	assert_null(exp_json_at(exp_json_get(doc, "a"), 1));
	assert_null(exp_json_at(exp_json_get(doc, "a"), 2));
	assert_null(exp_json_at(doc, 0));
	exp_json_free(doc);
}

static void test_fields_in_order(void **state)
{
	struct exp_json *doc = parse("{\"suspend\":5,\"get\":null,\"set\":7}");
	struct exp_json_iter it = exp_json_fields(doc);

	(void)state;
	assert_true(exp_json_field(&it));
	assert_string_equal(it.name, "suspend");
	assert_true(exp_json_u64(it.value, 0) == 5);
	assert_true(exp_json_field(&it));
	assert_string_equal(it.name, "get");
	assert_null(it.value);
	assert_true(exp_json_field(&it));
	assert_string_equal(it.name, "set");
	assert_false(exp_json_field(&it));
	assert_false(exp_json_field(&it));
	it = exp_json_fields(exp_json_get(doc, "set"));
	assert_false(exp_json_field(&it));
	exp_json_free(doc);
}

static void test_build_and_print(void **state)
{
	struct exp_json *o = exp_json_object(), *a = exp_json_array(), *in = exp_json_object();
	struct exp_uuid u = { { 0xf8, 0x1d } };
	size_t len = 0;

	(void)state;
	exp_json_put_str(o, "s", "a/b \"c\" \x01");
	exp_json_put_str(o, "none", NULL);
	exp_json_put_u64(o, "u", UINT64_MAX);
	exp_json_put_i64(o, "i", INT64_MIN);
	exp_json_put_bool(o, "t", true);
	exp_json_put_bool(o, "f", false);
	exp_json_put_uuid(o, "id", &u);
	exp_json_put(o, "a", a);
	exp_json_add(a, in); /* what was handed over may still grow */
	exp_json_put_u64(in, "x", 1);
	exp_json_add(a, exp_json_new_str(NULL));
	exp_json_add(a, exp_json_new_str("y"));
	assert_string_equal(exp_json_print(o, false, &len),
			    "{\"s\":\"a/b \\\"c\\\" \\u0001\",\"none\":null,"
			    "\"u\":18446744073709551615,\"i\":-9223372036854775808,\"t\":true,"
			    "\"f\":false,\"id\":\"f81d0000-0000-0000-0000-000000000000\","
			    "\"a\":[{\"x\":1},null,\"y\"]}");
	assert_int_equal(len, strlen(exp_json_print(o, false, NULL)));
	exp_json_put_u64(o, "s", 2); /* replaces */
	assert_true(exp_json_u64(exp_json_get(o, "s"), 0) == 2);
	exp_json_free(o);
}

static void test_print_pretty(void **state)
{
	struct exp_json *doc = parse("{\"a\":[1],\"b\":{\"c\":\"/\"}}");

	(void)state;
	assert_string_equal(exp_json_print(doc, true, NULL),
			    "{\n  \"a\": [\n    1\n  ],\n  \"b\": {\n    \"c\": \"/\"\n  }\n}");
	exp_json_free(doc);
	assert_string_equal(exp_json_print(exp_json_new_str(NULL), false, NULL), "null");
}

static void double_prints(double v, const char *want)
{
	struct exp_json *o = exp_json_object(), *back;
	char text[64];

	exp_json_put_double(o, "d", v);
	snprintf(text, sizeof(text), "{\"d\":%s}", want);
	assert_string_equal(exp_json_print(o, false, NULL), text);
	back = parse(text);
	assert_true(exp_json_double(exp_json_get(back, "d"), 0) == v || !isfinite(v));
	exp_json_free(back);
	exp_json_free(o);
}

static void test_doubles_print_short_and_exact(void **state)
{
	(void)state;
	double_prints(0.1, "0.1");
	double_prints(1, "1.0");
	double_prints(0, "0.0");
	double_prints(-2.5, "-2.5");
	double_prints(1.0 / 3, "0.3333333333333333");
	double_prints(0.1 + 0.2, "0.30000000000000004");
	double_prints(1e300, "1e+300");
	double_prints(DBL_MAX, "1.7976931348623157e+308");
	double_prints(123456789.0, "123456789.0");
	double_prints((double)INFINITY, "null");
	double_prints((double)NAN, "null");
}

static void string_prints(const char *s, const char *want)
{
	struct exp_json *o = exp_json_object(), *back;
	char text[64];

	exp_json_put_str(o, "s", s);
	snprintf(text, sizeof(text), "{\"s\":\"%s\"}", want);
	assert_string_equal(exp_json_print(o, false, NULL), text);
	back = parse(text); /* whatever the guest named it: the answer can be read */
	exp_json_free(back);
	exp_json_free(o);
}

static void test_strings_become_utf8(void **state)
{
	(void)state;
	string_prints("\xc3\xa9 \xf0\x9f\x98\x80", "\xc3\xa9 \xf0\x9f\x98\x80");
	string_prints("a\xff"
		      "b",
		      "a\xc3\xbf"
		      "b");
	string_prints("\x80", "\xc2\x80");
	string_prints("\xc3", "\xc3\x83");
	string_prints("\xf0\x9f\x98", "\xc3\xb0\xc2\x9f\xc2\x98");
	string_prints("\xed\xa0\x80", "\xc3\xad\xc2\xa0\xc2\x80");
	string_prints("\xc0\x80", "\xc3\x80\xc2\x80");
	string_prints("", "");
}

/* NULL is what a failed allocation looks like */
static void test_a_missing_part_spoils_the_whole(void **state)
{
	struct exp_json *o = exp_json_object(), *a = exp_json_array(), *in = exp_json_object();

	(void)state;
	exp_json_put(o, "a", a);
	exp_json_add(a, in);
	assert_non_null(exp_json_print(o, false, NULL));
	exp_json_put(in, "x", NULL);
	assert_null(exp_json_print(o, false, NULL)); /* also from two levels below */
	exp_json_free(o);

	o = exp_json_object();
	a = exp_json_array();
	exp_json_put(o, "a", a);
	exp_json_add(a, NULL);
	assert_null(exp_json_print(o, false, NULL));
	exp_json_put_str(o, "a", "replaced"); /* what is no longer part of it does no harm */
	assert_string_equal(exp_json_print(o, false, NULL), "{\"a\":\"replaced\"}");
	exp_json_free(o);

	exp_json_put(NULL, "x", exp_json_new_str("freed"));
	exp_json_add(NULL, exp_json_new_str("freed"));
	exp_json_put_str(NULL, "x", NULL);
	assert_null(exp_json_print(NULL, false, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_accepts),
		cmocka_unit_test(test_parse_null_document),
		cmocka_unit_test(test_parse_refuses_what_is_not_json),
		cmocka_unit_test(test_parse_refuses_what_json_c_takes),
		cmocka_unit_test(test_parse_refuses_zero_bytes),
		cmocka_unit_test(test_parse_refuses_a_name_twice),
		cmocka_unit_test(test_parse_whole_numbers_of_64_bits),
		cmocka_unit_test(test_parse_depth),
		cmocka_unit_test(test_parse_size_limit_comes_first),
		cmocka_unit_test(test_parse_cut_anywhere),
		cmocka_unit_test(test_parse_any_byte_anywhere),
		cmocka_unit_test(test_looks_have_defaults),
		cmocka_unit_test(test_fields_in_order),
		cmocka_unit_test(test_build_and_print),
		cmocka_unit_test(test_print_pretty),
		cmocka_unit_test(test_doubles_print_short_and_exact),
		cmocka_unit_test(test_strings_become_utf8),
		cmocka_unit_test(test_a_missing_part_spoils_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
