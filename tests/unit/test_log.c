/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tests.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"

#define KV(...) ((const struct exp_kv[]){ __VA_ARGS__, { 0 } })

static void format_is(const struct exp_kv *kv, const char *want)
{
	char out[256];

	assert_int_equal(exp_log_format(out, sizeof(out), "moved", kv), strlen(want));
	assert_string_equal(out, want);
}

static void test_format_values(void **state)
{
	(void)state;
	format_is(NULL, "moved");
	format_is(KV(kv_s("mig", "7f")), "moved mig=7f");
	format_is(KV(kv_u("n", UINT64_MAX), kv_i("d", INT64_MIN), kv_x("st", 0x13a)),
		  "moved n=18446744073709551615 d=-9223372036854775808 st=0x13a");
	format_is(KV(kv_s("a", NULL), kv_s("b", "")), "moved a=\"\" b=\"\"");
}

static void test_format_cannot_be_forged(void **state)
{
	(void)state;
	/* a value must not look like two, end the line, or speak to the terminal */
	format_is(KV(kv_s("s", "x rc=0")), "moved s=\"x rc=0\"");
	format_is(KV(kv_s("s", "x=1")), "moved s=\"x=1\"");
	format_is(KV(kv_s("s", "a\"b\\c")), "moved s=\"a\\x22b\\x5cc\"");
	format_is(KV(kv_s("s", "a\nerror: b")), "moved s=\"a\\x0aerror: b\"");
	format_is(KV(kv_s("s", "\x1b[2J\x7f\x9b")), "moved s=\\x1b[2J\\x7f\\x9b");
}

static void test_format_is_cut_and_terminated(void **state)
{
	static const char want[] = "moved s=\"a b\" n=1";
	const struct exp_kv *kv = KV(kv_s("s", "a b"), kv_u("n", 1));

	(void)state;
	for (size_t cap = 0; cap < sizeof(want) + 2; cap++) {
		char *out = malloc(cap + 1);
		size_t fits = cap ? EXP_MIN(cap - 1, strlen(want)) : 0;

		memset(out, '#', cap + 1);
		assert_int_equal(exp_log_format(out, cap, "moved", kv), strlen(want));
		assert_int_equal(out[cap], '#');
		assert_memory_equal(out, want, fits);
		if (cap)
			assert_int_equal(out[fits], '\0');
		free(out);
	}
}

static void test_escape(void **state)
{
	char out[64];

	(void)state;
	assert_int_equal(exp_log_escape(out, sizeof(out), "vm7 ~"), 5);
	assert_string_equal(out, "vm7 ~");
	assert_int_equal(exp_log_escape(out, sizeof(out), "\xc3\xa9\r"), 12);
	assert_string_equal(out, "\\xc3\\xa9\\x0d");
	assert_int_equal(exp_log_escape(out, 4, "abcdef"), 6);
	assert_string_equal(out, "abc");
}

struct seen {
	int level, calls;
	char line[128];
};

static void remember(int level, const char *msg, const struct exp_kv *kv, void *arg)
{
	struct seen *s = arg;

	s->level = level;
	s->calls++;
	exp_log_format(s->line, sizeof(s->line), msg, kv);
}

static void test_sink_gets_what_its_level_lets_through(void **state)
{
	struct seen s = { 0 };

	(void)state;
	exp_log(LOG_ERR, "nobody listens");
	exp_log_set_sink(remember, LOG_NOTICE, &s);
	exp_log(LOG_INFO, "too fine");
	assert_int_equal(s.calls, 0);
	exp_log(LOG_NOTICE, "no facts");
	assert_string_equal(s.line, "no facts");
	exp_log(LOG_ERR, "two facts", kv_s("mig", "m 1"), kv_u("dur_us", 5));
	assert_string_equal(s.line, "two facts mig=\"m 1\" dur_us=5");
	assert_int_equal(s.level, LOG_ERR);
	assert_int_equal(s.calls, 2);
	exp_log_set_sink(NULL, LOG_DEBUG, NULL);
	exp_log(LOG_ERR, "nobody again");
	assert_int_equal(s.calls, 2);
}

/* What the stderr sink writes for one record, in a file of our own. */
static size_t on_stderr(int level, const char *msg, const struct exp_kv *kv, char *out, size_t cap)
{
	int fd = memfd_create("stderr", MFD_CLOEXEC), saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_true(fd >= 0 && saved >= 0);
	dup2(fd, STDERR_FILENO);
	exp_log_stderr(level, msg, kv, NULL);
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = pread(fd, out, cap, 0);
	close(fd);
	assert_true(n >= 0);
	return (size_t)n;
}

static void test_stderr_lines(void **state)
{
	char out[2048], big[2000];
	size_t n;

	(void)state;
	n = on_stderr(LOG_WARNING, "late", KV(kv_u("dur_us", 9)), out, sizeof(out));
	assert_int_equal(n, strlen("warning: late dur_us=9\n"));
	assert_memory_equal(out, "warning: late dur_us=9\n", n);
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	n = on_stderr(LOG_ERR, "big", KV(kv_s("s", big)), out, sizeof(out));
	assert_true(n <= 1024);
	assert_memory_equal(out, "error: big s=xxx", 16);
	assert_memory_equal(out + n - 3, "xx\n", 3); /* one line, ended, no NUL in it */
	assert_null(memchr(out, '\0', n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format_values),
		cmocka_unit_test(test_format_cannot_be_forged),
		cmocka_unit_test(test_format_is_cut_and_terminated),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_sink_gets_what_its_level_lets_through),
		cmocka_unit_test(test_stderr_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
