/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_emu_options.c - the command lines of the emulator's programs
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* before cmocka */
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "emu/options.h"

struct values {
	bool flag;
	const char *text;
	uint64_t number, bytes;
};

static int parse(struct values *v, struct exp_error *err, char **argv)
{
	const struct emu_option opts[] = {
		{ "flag", EMU_OPT_FLAG, &v->flag, 0, 0, NULL, "" },
		{ "text", EMU_OPT_STRING, &v->text, 0, 0, "TEXT", "" },
		{ "number", EMU_OPT_U64, &v->number, 1, 100, "N", "" },
		{ "bytes", EMU_OPT_BYTES, &v->bytes, 0, UINT64_MAX, "N", "" },
	};
	int n = 0;

	while (argv[n])
		n++;
	*v = (struct values){ 0 };
	return emu_options_parse(opts, EXP_ARRAY_SIZE(opts), n, argv, err);
}

#define PARSE(v, err, ...) parse(v, err, (char *[]){ (char *)"prog", __VA_ARGS__, NULL })

static void test_good(void **state)
{
	char *argv[] = { (char *)"prog",   (char *)"a",   (char *)"--number=7", (char *)"b",
			 (char *)"--text", (char *)"--x", (char *)"--flag",     NULL };
	struct values v;

	(void)state;
	assert_int_equal(parse(&v, NULL, argv), 2);
	assert_string_equal(argv[1], "a");
	assert_string_equal(argv[2], "b");
	assert_int_equal(v.number, 7);
	assert_string_equal(v.text, "--x");
	assert_true(v.flag);
	assert_int_equal(PARSE(&v, NULL, (char *)"--bytes", (char *)"3G"), 0);
	assert_int_equal(v.bytes, UINT64_C(3) << 30);
	assert_int_equal(PARSE(&v, NULL, (char *)"--bytes=0x10K"), 0);
	assert_int_equal(v.bytes, 16384);
	assert_int_equal(PARSE(&v, NULL, (char *)"--number", (char *)"100"), 0);
}

static void test_bad(void **state)
{
	static const char *const lines[][2] = {
		{ "--nothing", NULL }, { "--number", NULL },
		{ "--number", "0" },   { "--number", "101" },
		{ "--number", "-1" },  { "--number", "7K" },
		{ "--number", "" },    { "--number", "1x" },
		{ "--flag=1", NULL },  { "--bytes", "20000000T" },
		{ "--bytes", "3KK" },  { "--bytes", "K" },
		{ "--numbe", "3" },    { "--number", "99999999999999999999" },
		{ "--", NULL },
	};
	struct exp_error err;
	struct values v;

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(lines); i++) {
		err.code = EXP_CODE_OK;
		assert_int_equal(PARSE(&v, &err, (char *)lines[i][0], (char *)lines[i][1]),
				 -EINVAL);
		assert_int_equal(err.code, EXP_CODE_USAGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests_name("emu_options", tests, NULL, NULL);
}
