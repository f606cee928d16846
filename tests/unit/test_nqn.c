/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tests.h"

#include <errno.h>

#include "base/nqn.h"

static void accept(const char *s)
{
	struct exp_error err = { 0 };
	struct exp_nqn nqn;

	memset(&nqn, 0xee, sizeof(nqn));
	assert_ok(exp_nqn_parse(s, &nqn, &err), &err);
	assert_string_equal(nqn.s, s);
}

static void refuse(const char *s, const char *part)
{
	struct exp_error err = { 0 };
	struct exp_nqn nqn = { "before" };

	assert_int_equal(exp_nqn_parse(s, &nqn, &err), -EINVAL);
	assert_error(&err, EXP_CODE_INVALID, part);
	assert_string_equal(nqn.s, "before");
}

static void test_parse_accepts(void **state)
{
	(void)state;
	accept("nqn.2014-08.com.example:nvme.host.sys.xyz"); /* the specification's example */
	accept("nqn.2014-08.com.example");
	accept("nqn.2014-08.org.nvmexpress:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
	accept("nqn.2014-08.org.nvmexpress.discovery");
	accept("nqn.2026-12.x");
}

static void test_parse_names_what_is_wrong(void **state)
{
	(void)state;
	refuse("", "does not start with");
	refuse("nqn", "does not start with");
	refuse("iqn.2014-08.com.example", "does not start with");
	refuse("NQN.2014-08.com.example", "does not start with");
	refuse("nqn.2014-08.", "does not start with");
	refuse("nqn.2014-08.:x", "does not start with");
	refuse("nqn.2014-8.com.example", "does not start with");
	refuse("nqn.20x4-08.com.example", "does not start with");
	refuse("nqn.2014-0x.com.example", "does not start with");
	refuse("nqn.2014.08.com.example", "does not start with");
	refuse("nqn.2014-00.com.example", "month 00");
	refuse("nqn.2014-13.com.example", "month 13");
	refuse("nqn.2014-08.com.example:a b", "20h at offset 25");
	refuse("nqn.2014-08.com.example:\x1b[2J", "1Bh at offset 24");
	refuse("nqn.2014-08.com.example:\xc3\xa9", "C3h at offset 24");
	refuse("nqn.2014-08.com.example:\x7f", "7Fh at offset 24");
	refuse("nqn.2014-08.org.nvmexpress:uuid:f81d4fae", "no UUID");
	refuse("nqn.2014-08.org.nvmexpress:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6x", "no UUID");
}

static void test_parse_length_limit(void **state)
{
	char s[EXP_NQN_MAX + 2] = "nqn.2014-08.com.example:";

	(void)state;
	memset(s + strlen(s), 'a', sizeof(s) - strlen(s));
	s[EXP_NQN_MAX] = '\0';
	assert_int_equal(strlen(s), 223);
	accept(s);
	s[EXP_NQN_MAX] = 'a';
	s[EXP_NQN_MAX + 1] = '\0';
	refuse(s, "longer than 223");
}

static void test_parse_every_prefix(void **state)
{
	static const char whole[] = "nqn.2014-08.c";

	(void)state;
	for (size_t n = 0; n < sizeof(whole) - 1; n++) {
		char *cut = strndup(whole, n); /* exactly as long: ASan sees a read beyond */

		refuse(cut, "does not start with");
		free(cut);
	}
	accept(whole);
}

static void test_match(void **state)
{
	static const struct {
		const char *pattern, *s;
		bool match;
	} rows[] = {
		{ "", "", true },
		{ "", "a", false },
		{ "*", "", true },
		{ "*", "nqn.x", true },
		{ "?", "", false },
		{ "?", "a", true },
		{ "?", "ab", false },
		{ "nqn.*:vm?", "nqn.2014-08.com.example:vm7", true },
		{ "nqn.*:vm?", "nqn.2014-08.com.example:vm", false },
		{ "nqn.*:vm?", "nqn.2014-08.com.example:vm77", false },
		{ "nqn.2014-08.com.example:*", "nqn.2014-08.com.example.evil:x", false },
		{ "a*b*c", "aXbYbZc", true },
		{ "a*b*c", "aXbYbZ", false },
		{ "*aab", "aaaaab", true },
		{ "**", "x", true },
		{ "a", "A", false },
		{ "[a]", "a", false }, /* nothing else is special */
		{ "a**", "a", true },
	};

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(rows); i++)
		if (exp_nqn_match(rows[i].pattern, rows[i].s) != rows[i].match)
			fail_msg("\"%s\" against \"%s\"", rows[i].pattern, rows[i].s);
}

/* The time of a match is bounded by the product of the lengths, not exponential. */
static void test_match_with_many_stars_ends(void **state)
{
	char pattern[EXP_NQN_MAX + 1], s[EXP_NQN_MAX + 1];

	(void)state;
	memset(s, 'a', EXP_NQN_MAX);
	s[EXP_NQN_MAX] = '\0';
	for (size_t i = 0; i < 100; i++)
		memcpy(pattern + 2 * i, "*a", 2);
	memcpy(pattern + 200, "b", 2);
	assert_false(exp_nqn_match(pattern, s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_accepts),
		cmocka_unit_test(test_parse_names_what_is_wrong),
		cmocka_unit_test(test_parse_length_limit),
		cmocka_unit_test(test_parse_every_prefix),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_match_with_many_stars_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
