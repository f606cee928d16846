/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tests.h"

#include <errno.h>

#include "base/uuid.h"

static const char text[] = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"; /* of RFC 4122 */

static void test_parse_is_network_order(void **state)
{
	struct exp_uuid u;
	char out[EXP_UUID_TEXT];

	(void)state;
	assert_int_equal(exp_uuid_parse(text, &u), 0);
	assert_hex(u.b, 16, "f81d4fae 7dec 11d0 a765 00a0c91e6bf6");
	assert_ptr_equal(exp_uuid_format(&u, out), out);
	assert_string_equal(out, text);
}

static void test_parse_takes_either_case(void **state)
{
	struct exp_uuid a, b;

	(void)state;
	assert_int_equal(exp_uuid_parse(text, &a), 0);
	assert_int_equal(exp_uuid_parse("F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6", &b), 0);
	assert_true(exp_uuid_eq(&a, &b));
}

static void test_parse_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		"f81d4fae-7dec-11d0-a765-00a0c91e6bf",   /* one short */
		"f81d4fae-7dec-11d0-a765-00a0c91e6bf60", /* one long */
		"f81d4fae 7dec 11d0 a765 00a0c91e6bf6",
		"f81d4fae7-dec-11d0-a765-00a0c91e6bf6", /* dash elsewhere */
		"f81d4fae-7dec-11d0-a765-00a0c91e6bg6",
		"f81d4fae-7dec-11d0-a765-00a0c91e6bfg",
		"f81d4fae-7dec-11d0-a765-00a0c91e6b/6",
		"f81d4fae-7dec-11d0-a765-00a0c91e6b:6",
		"f81d4fae-7dec-11d0-a765-00a0c91e6b`6",
		"{81d4fae-7dec-11d0-a765-00a0c91e6bf}",
		" 81d4fae-7dec-11d0-a765-00a0c91e6bf6",
		"f81d4fae-7dec-11d0-a765-00a0c91e6b\xc3\xa9",
	};

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(bad); i++) {
		struct exp_uuid u = { { 1, 2, 3 } }, before = u;

		assert_int_equal(exp_uuid_parse(bad[i], &u), -EINVAL);
		assert_true(exp_uuid_eq(&u, &before)); /* untouched */
	}
}

static void test_parse_refuses_every_prefix(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		/* exactly as long, so that a read beyond the NUL shows under ASan */
		char *cut = strndup(text, n);
		struct exp_uuid u;

		assert_int_equal(exp_uuid_parse(cut, &u), -EINVAL);
		free(cut);
	}
}

static void test_new_is_version_4_and_different(void **state)
{
	struct exp_uuid a = exp_uuid_new(), b = exp_uuid_new();

	(void)state;
	assert_int_equal(a.b[6] >> 4, 4);
	assert_int_equal(a.b[8] >> 6, 2);
	assert_false(exp_uuid_eq(&a, &b));
	assert_false(exp_uuid_is_nil(&a));
}

static void test_order_and_nil(void **state)
{
	struct exp_uuid nil = { { 0 } }, last = { { 0 } }, first = { { 0x80 } };

	(void)state;
	last.b[15] = 1;
	assert_true(exp_uuid_is_nil(&nil));
	assert_false(exp_uuid_is_nil(&last));
	assert_true(exp_uuid_cmp(&nil, &last) < 0);
	assert_true(exp_uuid_cmp(&first, &last) > 0);
	assert_int_equal(exp_uuid_cmp(&last, &last), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_is_network_order),
		cmocka_unit_test(test_parse_takes_either_case),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_parse_refuses_every_prefix),
		cmocka_unit_test(test_new_is_version_4_and_different),
		cmocka_unit_test(test_order_and_nil),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
