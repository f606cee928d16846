/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_json_text.c - words in buffers of exactly their length, so that ASan sees a read beyond
 */
#include "support/tests.h"

#include "base/json_text.h"

typedef const char *(*word_fn)(const char *text, size_t len, size_t *pos);

static size_t utf8(const char *s, size_t len)
{
	char *exact = test_exact(s, len);
	size_t n;

	n = exp_utf8_char(exact, len);
	free(exact);
	return n;
}

/* The corners of RFC 3629, section 4 */
static void test_utf8_table(void **state)
{
	static const struct {
		const char *s;
		size_t n;
	} rows[] = {
		{ "\x01", 1 },
		{ "\x7f", 1 },
		{ "\x80", 0 },
		{ "\xbf", 0 },
		{ "\xc0\x80", 0 },
		{ "\xc1\xbf", 0 },
		{ "\xc2\x80", 2 },
		{ "\xdf\xbf", 2 },
		{ "\xc2\x7f", 0 },
		{ "\xc2\xc0", 0 },
		{ "\xe0\x9f\xbf", 0 },
		{ "\xe0\xa0\x80", 3 },
		{ "\xec\xbf\xbf", 3 },
		{ "\xed\x9f\xbf", 3 },
		{ "\xed\xa0\x80", 0 },
		{ "\xee\x80\x80", 3 },
		{ "\xef\xbf\xbf", 3 },
		{ "\xe1\x80\x7f", 0 },
		{ "\xe1\x80\xc0", 0 },
		{ "\xf0\x8f\xbf\xbf", 0 },
		{ "\xf0\x90\x80\x80", 4 },
		{ "\xf3\xbf\xbf\xbf", 4 },
		{ "\xf4\x8f\xbf\xbf", 4 },
		{ "\xf4\x90\x80\x80", 0 },
		{ "\xf5\x80\x80\x80", 0 },
		{ "\xf1\x80\x80\x7f", 0 },
		{ "\xff", 0 },
	};

	(void)state;
	assert_int_equal(utf8("", 0), 0);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(rows); i++) {
		size_t len = strlen(rows[i].s);

		if (utf8(rows[i].s, len) != rows[i].n)
			fail_msg("row %zu gives %zu, not %zu", i, utf8(rows[i].s, len), rows[i].n);
		for (size_t cut = 1; cut < rows[i].n; cut++)
			assert_int_equal(utf8(rows[i].s, cut), 0);
	}
}

/* @fn on @text from @at ends at @end, with a complaint that contains @part (NULL: none). */
static void word(word_fn fn, const char *text, size_t len, size_t at, size_t end, const char *part)
{
	char *exact = test_exact(text, len);
	const char *wrong;
	size_t pos = at;

	wrong = fn(exact, len, &pos);
	free(exact);
	if (!wrong != !part || (part && !strstr(wrong, part)))
		fail_msg("\"%.*s\": \"%s\"", (int)len, text, wrong ? wrong : "fine");
	assert_int_equal(pos, end);
}

static void test_string_ends_behind_its_quote(void **state)
{
	(void)state;
	word(exp_json_text_string, "x\"ab\"y", 6, 1, 5, NULL);
	word(exp_json_text_string, "\"\\\"\"", 4, 0, 4, NULL);
	word(exp_json_text_string, "\"\\\\\"\"", 5, 0, 4, NULL);
	word(exp_json_text_string, "\"\\uD83D\\uDE00\"", 14, 0, 14, NULL);
	word(exp_json_text_string, "\"a\x1f\"", 4, 0, 2, "control");
	word(exp_json_text_string, "\"\\a\"", 4, 0, 2, "escape");
	word(exp_json_text_string, "\"\\\0\"", 4, 0, 2, "escape");
	word(exp_json_text_string, "\"\\u00\"\"\"", 8, 0, 2, "four hexadecimal");
}

static void test_string_cut_anywhere(void **state)
{
	static const char text[] = "\"a\\n\\u00e9\\ud83d\\ude00\xf0\x9f\x98\x80\"";

	(void)state;
	for (size_t n = 1; n < sizeof(text) - 1; n++) {
		char *exact = test_exact(text, n);
		size_t pos = 0;

		assert_non_null(exp_json_text_string(exact, n, &pos));
		assert_true(pos <= n);
		free(exact);
	}
	word(exp_json_text_string, text, sizeof(text) - 1, 0, sizeof(text) - 1, NULL);
}

static void test_number_ends_at_the_first_other_character(void **state)
{
	(void)state;
	word(exp_json_text_number, "[0]", 3, 1, 2, NULL);
	word(exp_json_text_number, "-12,", 4, 0, 3, NULL);
	word(exp_json_text_number, "10", 2, 0, 2, NULL);
	word(exp_json_text_number, "-0.0e-0", 7, 0, 7, NULL);
	word(exp_json_text_number, "1E+05x", 6, 0, 5, NULL);
	word(exp_json_text_number, "-", 1, 0, 1, "not a number");
	word(exp_json_text_number, "-a", 2, 0, 1, "not a number");
	word(exp_json_text_number, "00", 2, 0, 1, "not a number");
	word(exp_json_text_number, "1.", 2, 0, 2, "not a number");
	word(exp_json_text_number, "1.e", 3, 0, 2, "not a number");
	word(exp_json_text_number, "1e", 2, 0, 2, "not a number");
	word(exp_json_text_number, "1e-", 3, 0, 3, "not a number");
	word(exp_json_text_number, "18446744073709551615", 20, 0, 20, NULL);
	word(exp_json_text_number, "18446744073709551616", 20, 0, 0, "64 bits");
	word(exp_json_text_number, "-9223372036854775808", 20, 0, 20, NULL);
	word(exp_json_text_number, "-9223372036854775809", 20, 0, 0, "64 bits");
	word(exp_json_text_number, "1e308", 5, 0, 5, NULL);
	word(exp_json_text_number, "2e308", 5, 0, 0, "double");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8_table),
		cmocka_unit_test(test_string_ends_behind_its_quote),
		cmocka_unit_test(test_string_cut_anywhere),
		cmocka_unit_test(test_number_ends_at_the_first_other_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
