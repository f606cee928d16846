/* SPDX-License-Identifier: Apache-2.0 */
/* expctl's output: nothing but printable ASCII, units, tables, the progress line */
#include "support/tests.h"

#include "ctl/follow.h"
#include "ctl/out.h"

static void test_escape_leaves_only_printable_ascii(void **state)
{
	char out[64], exact[8];

	(void)state;
	ctl_escape(out, sizeof(out), "a \"b\" ~\x1b[2J\n\x7f\xc3\xa4\\");
	assert_string_equal(out, "a \"b\" ~\\x1b[2J\\x0a\\x7f\\xc3\\xa4\\x5c");
	for (int i = 1; i < 256; i++) {
		char in[2] = { (char)i, 0 };

		ctl_escape(out, sizeof(out), in);
		for (const char *p = out; *p; p++)
			assert_true(*p >= ' ' && *p <= '~');
		assert_int_equal(strlen(out), i >= ' ' && i <= '~' && i != '\\' ? 1 : 4);
	}
	memset(exact, 'X', sizeof(exact));
	ctl_escape(exact, 7, "ab\x01\x02"); /* no half of an escape */
	assert_string_equal(exact, "ab\\x01");
	ctl_escape(exact, 6, "ab\x01");
	assert_string_equal(exact, "ab");
	ctl_escape(exact, 1, "ab");
	assert_string_equal(exact, "");
}

static void test_units(void **state)
{
	char t[CTL_TEXT];

	(void)state;
	assert_string_equal(ctl_bytes(t, 0), "0 B");
	assert_string_equal(ctl_bytes(t, 1023), "1023 B");
	assert_string_equal(ctl_bytes(t, 1024), "1.0 KiB");
	assert_string_equal(ctl_bytes(t, 2ull << 30), "2.0 GiB");
	assert_string_equal(ctl_bytes(t, 812ull << 20), "812 MiB");
	assert_string_equal(ctl_bytes(t, UINT64_MAX), "16 EiB");
	assert_string_equal(ctl_rate(t, 812ull << 20), "812 MiB/s");
	assert_string_equal(ctl_us(t, 0), "0 us");
	assert_string_equal(ctl_us(t, 999), "999 us");
	assert_string_equal(ctl_us(t, 12345), "12.3 ms");
	assert_string_equal(ctl_us(t, 1234567), "1.2 s");
	assert_string_equal(ctl_ms(t, 999), "999 ms");
	assert_string_equal(ctl_ms(t, 5000), "5.0 s");
	assert_string_equal(ctl_ms(t, 125000), "2 min 5 s");
	assert_string_equal(ctl_ms(t, 7380000), "2 h 3 min");
	assert_true(ctl_ms(t, UINT64_MAX)[0]);
	setenv("TZ", "UTC", 1);
	assert_string_equal(ctl_time(t, 1700000000123), "2023-11-14 22:13:20");
	assert_true(ctl_time(t, UINT64_MAX)[0]);
}

static struct exp_json *json(const char *text)
{
	struct exp_error err = { 0 };
	struct exp_json *v = NULL;

	assert_ok(exp_json_parse(text, strlen(text), 4096, &v, &err), &err);
	return v;
}

static void test_looks_by_path(void **state)
{
	struct exp_json *v = json("{\"a\":{\"b\":{\"c\":\"x\",\"n\":7}},\"z\":null}");

	(void)state;
	assert_string_equal(ctl_str(v, "a.b.c", "-"), "x");
	assert_int_equal(ctl_u64(v, "a.b.n", 0), 7);
	assert_string_equal(ctl_str(v, "a.b.d", "-"), "-");
	assert_string_equal(ctl_str(v, "a.b.c.d", "-"), "-");
	assert_string_equal(ctl_str(v, "q.b", "-"), "-");
	assert_string_equal(ctl_str(NULL, "a", "-"), "-");
	assert_true(ctl_known(v, "a.b.n"));
	assert_false(ctl_known(v, "z"));
	assert_false(ctl_known(v, "y"));
	assert_null(ctl_at(v, "a_name_that_is_much_longer_than_any_that_we_use"));
	exp_json_free(v);
}

static void test_table_is_aligned_and_escaped(void **state)
{
	static const char *const head[] = { "NAME", ">SIZE", "WHY" };
	char buf[512] = "";
	FILE *f = fmemopen(buf, sizeof(buf), "w");
	struct ctl_table t;

	(void)state;
	ctl_table_init(&t, 3, head);
	ctl_cell(&t, "a");
	ctl_cell(&t, "2.0 GiB");
	ctl_cell(&t, "");
	ctl_cell(&t, "longer\n");
	ctl_cell(&t, "1 B");
	ctl_cell(&t, "because");
	assert_int_equal(ctl_table_print(&t, f), 0);
	fclose(f);
	assert_string_equal(buf, "NAME           SIZE  WHY\n"
				 "a           2.0 GiB  \n"
				 "longer\\x0a      1 B  because\n");
}

static void test_table_without_rows_is_its_head(void **state)
{
	static const char *const head[] = { "ID", ">N" };
	char buf[64] = "";
	FILE *f = fmemopen(buf, sizeof(buf), "w");
	struct ctl_table t;

	(void)state;
	ctl_table_init(&t, 2, head);
	assert_int_equal(ctl_table_print(&t, f), 0);
	fclose(f);
	assert_string_equal(buf, "ID  N\n");
}

static void shows(const char *text, const char *want)
{
	struct exp_json *v = json(text);
	char line[600];

	ctl_progress(v, line, sizeof(line));
	assert_string_equal(line, want);
	exp_json_free(v);
}

static void test_progress_line(void **state)
{
	(void)state;
	shows("{\"state\":\"preflight\",\"condition\":\"\"}", "preflight");
	shows("{\"state\":\"copying\",\"condition\":\"\",\"bytes\":{\"allocated\":1000,"
	      "\"remaining\":580},\"rates\":{\"send_bytes_per_s\":851443712,"
	      "\"dirty_bytes_per_s\":12582912},\"eta_ms\":5000,\"forecast_blackout_us\":12345,"
	      "\"blackout_us\":null}",
	      "copying       42 %  812 MiB/s  dirty 12 MiB/s  ETA 5.0 s  blackout ~12.3 ms");
	shows("{\"state\":\"preparing\",\"bytes\":{\"allocated\":0,\"remaining\":0},\"eta_ms\":0,"
	      "\"rates\":{\"send_bytes_per_s\":0},\"forecast_blackout_us\":5}",
	      "preparing");
	shows("{\"state\":\"receiving\",\"bytes\":{\"allocated\":0,\"remaining\":0}}",
	      "receiving    100 %");
	shows("{\"state\":\"rolling-back\",\"condition\":\"suspend-unknown\",\"bytes\":"
	      "{\"allocated\":0,\"remaining\":0},\"eta_ms\":null,\"blackout_us\":23456}",
	      "rolling-back  suspend-unknown  blackout 23.4 ms");
	/* more remains than was allocated: the guest goes on writing */
	shows("{\"state\":\"copying\",\"bytes\":{\"allocated\":10,\"remaining\":20}}",
	      "copying        0 %");
	/* nothing is left of a name that a daemon would never send */
	shows("{\"state\":\"a\\u001b[2Jbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"}",
	      "a\\x1b[2Jbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
}

static void test_finding(void **state)
{
	struct exp_json *v = json("{\"code\":\"MDTS\",\"severity\":\"refusal\",\"message\":\"too "
				  "small\",\"have\":\"4\",\"want\":\"5\",\"rule\":\"b >= a\"}");
	char buf[512] = "";
	FILE *f = fmemopen(buf, sizeof(buf), "w");

	(void)state;
	ctl_finding(f, v);
	fclose(f);
	assert_string_equal(buf, "refusal  MDTS: too small\n         is 4, needed 5 (b >= a)\n");
	exp_json_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape_leaves_only_printable_ascii),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_looks_by_path),
		cmocka_unit_test(test_table_is_aligned_and_escaped),
		cmocka_unit_test(test_table_without_rows_is_its_head),
		cmocka_unit_test(test_progress_line),
		cmocka_unit_test(test_finding),
	};

	return cmocka_run_group_tests_name("ctl_out", tests, NULL, NULL);
}
