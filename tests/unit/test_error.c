/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tests.h"

#include <errno.h>

static void test_set_fills_every_field(void **state)
{
	struct exp_error e = { .nvme_status = 7, .msg = "old" };

	(void)state;
	assert_int_equal(exp_error_set(&e, EXP_CODE_NOT_FOUND, ENOENT, "ns %d", 3), -ENOENT);
	assert_error(&e, EXP_CODE_NOT_FOUND, "ns 3");
	assert_int_equal(e.errnum, ENOENT);
	assert_int_equal(e.nvme_status, 0);
}

static void test_null_error_still_gives_the_result(void **state)
{
	(void)state;
	assert_int_equal(exp_error_set(NULL, EXP_CODE_BUSY, EBUSY, "x"), -EBUSY);
	assert_int_equal(exp_error_wrap(NULL, -EIO, "x"), -EIO);
	assert_int_equal(exp_error_nvme(NULL, 0x106, "x"), -EREMOTEIO);
}

static void test_set_never_returns_success(void **state)
{
	struct exp_error e = { 0 };

	(void)state;
	assert_int_equal(exp_error_set(&e, EXP_CODE_SYSTEM, 0, "x"), -EIO);
	assert_int_equal(exp_error_set(&e, EXP_CODE_SYSTEM, -EINVAL, "x"), -EIO);
	assert_int_equal(e.errnum, EIO);
}

static void test_set_may_use_its_own_message(void **state)
{
	struct exp_error e = { 0 };

	(void)state;
	exp_error_set(&e, EXP_CODE_SYSTEM, EIO, "disk");
	exp_error_set(&e, EXP_CODE_DB, EIO, "commit: %s: %s", e.msg, "again");
	assert_string_equal(e.msg, "commit: disk: again");
	exp_error_wrap(&e, -EIO, "see %s", e.msg);
	assert_string_equal(e.msg, "see commit: disk: again: commit: disk: again");
}

static void test_wrap_puts_the_outermost_first(void **state)
{
	struct exp_error e = { 0 };
	int r = exp_error_set(&e, EXP_CODE_DENIED, EACCES, "I/O error");

	(void)state;
	r = exp_error_wrap(&e, r, "identify");
	r = exp_error_wrap(&e, r, "attach ns %u", 3);
	assert_int_equal(r, -EACCES);
	assert_string_equal(e.msg, "attach ns 3: identify: I/O error");
	assert_int_equal(e.code, EXP_CODE_DENIED);
}

static void test_wrap_of_an_empty_error_names_the_errno(void **state)
{
	struct exp_error e = { 0 };

	(void)state;
	assert_int_equal(exp_error_wrap(&e, -ENODEV, "open"), -ENODEV);
	assert_error(&e, EXP_CODE_SYSTEM, "open: No such device");
	assert_int_equal(e.errnum, ENODEV);
	e = (struct exp_error){ 0 };
	exp_error_wrap(&e, -ENOMEM, "open");
	assert_error(&e, EXP_CODE_NO_MEMORY, "open: ");
}

static void test_nvme_keeps_the_status(void **state)
{
	struct exp_error e = { 0 };

	(void)state;
	assert_int_equal(exp_error_nvme(&e, 0x13a, "resume %d", 4), -EREMOTEIO);
	assert_error(&e, EXP_CODE_DEVICE_STATUS, "resume 4");
	assert_int_equal(e.nvme_status, 0x13a);
	exp_error_wrap(&e, -EREMOTEIO, "x");
	assert_int_equal(e.nvme_status, 0x13a);
}

static void test_long_messages_are_cut_visibly(void **state)
{
	char text[600];
	struct exp_error e = { 0 };
	size_t cap = sizeof(e.msg);

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	exp_error_set(&e, EXP_CODE_INVALID, EINVAL, "%s", text);
	assert_int_equal(strlen(e.msg), cap - 1);
	assert_string_equal(e.msg + cap - 5, "a...");
	text[cap - 1] = '\0'; /* the longest that fits stays whole */
	exp_error_set(&e, EXP_CODE_INVALID, EINVAL, "%s", text);
	assert_string_equal(e.msg, text);
	exp_error_set(&e, EXP_CODE_INVALID, EINVAL, "%sa", text); /* one more does not */
	assert_string_equal(e.msg + cap - 5, "a...");
	exp_error_set(&e, EXP_CODE_INVALID, EINVAL, "%s", text);
	exp_error_wrap(&e, -EINVAL, "b");
	assert_memory_equal(e.msg, "b: aaa", 6);
	assert_string_equal(e.msg + cap - 5, "a...");
	memset(text, 'c', cap);
	exp_error_wrap(&e, -EINVAL, "%s", text); /* a prefix that fills everything */
	assert_string_equal(e.msg + cap - 5, "c...");
}

/* Typed from the public list: stored and sent, so a change here is a break. */
static void test_codes_keep_number_name_and_http(void **state)
{
	static const struct {
		int code, http;
		const char *name;
		bool retry;
	} rows[] = {
		{ 0, 200, "OK", false },
		{ 1, 400, "USAGE", false },
		{ 3, 400, "UNKNOWN_FIELD", false },
		{ 4, 413, "TOO_LARGE", false },
		{ 8, 422, "KEY_REUSED", false },
		{ 11, 409, "TOO_LATE", false },
		{ 13, 409, "BUSY", true },
		{ 24, 503, "STARTING", true },
		{ 32, 500, "DB_FOREIGN", false },
		{ 41, 502, "DEVICE_STATUS", false },
		{ 43, 504, "DEVICE_TIMEOUT", false },
		{ 53, 403, "PEER_RIGHTS", false },
		{ 61, 409, "STATE_INCOMPLETE", false },
		{ 71, 409, "RESTARTED", true },
	};

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(rows); i++) {
		enum exp_code code = EXP_CODE_OK;

		assert_string_equal(exp_code_name((enum exp_code)rows[i].code), rows[i].name);
		assert_int_equal(exp_code_by_name(rows[i].name, &code), 0);
		assert_int_equal(code, rows[i].code);
		assert_int_equal(exp_code_http(code), rows[i].http);
		assert_int_equal(exp_code_retry(code), rows[i].retry);
	}
}

static void test_codes_are_unique(void **state)
{
	static const struct {
		int code;
		const char *name;
	} rows[] = {
#define X(name, value, json, http, retry) { value, json },
		EXP_CODES(X)
#undef X
	};

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(rows); i++)
		for (size_t j = 0; j < i; j++) {
			assert_int_not_equal(rows[i].code, rows[j].code);
			assert_string_not_equal(rows[i].name, rows[j].name);
		}
}

static void test_unknown_codes(void **state)
{
	enum exp_code code = EXP_CODE_BUSY;

	(void)state;
	assert_string_equal(exp_code_name((enum exp_code)9999), "UNKNOWN");
	assert_int_equal(exp_code_http((enum exp_code)9999), 500);
	assert_false(exp_code_retry((enum exp_code)9999));
	assert_int_equal(exp_code_by_name("NOT_A_CODE", &code), -ENOENT);
	assert_int_equal(exp_code_by_name("", &code), -ENOENT);
	assert_int_equal(code, EXP_CODE_BUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_fills_every_field),
		cmocka_unit_test(test_null_error_still_gives_the_result),
		cmocka_unit_test(test_set_never_returns_success),
		cmocka_unit_test(test_set_may_use_its_own_message),
		cmocka_unit_test(test_wrap_puts_the_outermost_first),
		cmocka_unit_test(test_wrap_of_an_empty_error_names_the_errno),
		cmocka_unit_test(test_nvme_keeps_the_status),
		cmocka_unit_test(test_long_messages_are_cut_visibly),
		cmocka_unit_test(test_codes_keep_number_name_and_http),
		cmocka_unit_test(test_codes_are_unique),
		cmocka_unit_test(test_unknown_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
