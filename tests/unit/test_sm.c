/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tests.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sm.h"

enum { OFF, ON, BROKEN, HOLE, LAST };

static const struct exp_sm_state states[] = {
	[OFF] = { "off", 0, UINT64_C(1) << ON },
	[ON] = { "on", 0, UINT64_C(1) << OFF | UINT64_C(1) << BROKEN | UINT64_C(1) << HOLE },
	[BROKEN] = { "broken", 0, 0 },
	[HOLE] = { NULL, 0, UINT64_C(1) << OFF },
	[LAST] = { "last", 0, UINT64_C(1) << LAST },
};
static const struct exp_sm sm = { "lamp", states, EXP_ARRAY_SIZE(states) };

static void test_names_both_ways(void **state)
{
	unsigned int s = 99;

	(void)state;
	assert_string_equal(exp_sm_name(&sm, BROKEN), "broken");
	assert_string_equal(exp_sm_name(&sm, HOLE), "(no such state)");
	assert_string_equal(exp_sm_name(&sm, 5), "(no such state)");
	assert_string_equal(exp_sm_name(&sm, UINT32_MAX), "(no such state)");
	assert_int_equal(exp_sm_by_name(&sm, "last", &s), 0);
	assert_int_equal(s, LAST);
	assert_int_equal(exp_sm_by_name(&sm, "of", &s), -ENOENT);
	assert_int_equal(exp_sm_by_name(&sm, "", &s), -ENOENT);
	assert_int_equal(s, LAST);
}

static void test_may_follows_the_table(void **state)
{
	(void)state;
	assert_true(exp_sm_may(&sm, OFF, ON));
	assert_true(exp_sm_may(&sm, ON, BROKEN));
	assert_true(exp_sm_may(&sm, LAST, LAST));
	assert_false(exp_sm_may(&sm, OFF, OFF)); /* staying is a move like any other */
	assert_false(exp_sm_may(&sm, OFF, BROKEN));
	assert_false(exp_sm_may(&sm, BROKEN, ON));
	assert_false(exp_sm_may(&sm, ON, HOLE)); /* to and from a state that is not there */
	assert_false(exp_sm_may(&sm, HOLE, OFF));
	assert_false(exp_sm_may(&sm, ON, 5));
	assert_false(exp_sm_may(&sm, 5, ON));
	assert_false(exp_sm_may(&sm, ON, 65)); /* a shift by that much is no shift at all */
}

static void test_move_changes_the_state(void **state)
{
	unsigned int s = OFF;

	(void)state;
	exp_sm_move(&sm, &s, OFF, ON);
	assert_int_equal(s, ON);
	exp_sm_move(&sm, &s, ON, BROKEN);
	assert_int_equal(s, BROKEN);
}

/* What a child that makes this move says before it dies of SIGABRT; "" if it lives. */
static void last_words(unsigned int is, unsigned int from, unsigned int to, char out[256])
{
	size_t len = 0;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct rlimit no_core = { 0, 0 };

		signal(SIGABRT, SIG_DFL);
		setrlimit(RLIMIT_CORE, &no_core);
		dup2(fds[1], STDERR_FILENO);
		exp_sm_move(&sm, &is, from, to);
		_exit(0);
	}
	close(fds[1]);
	while ((n = read(fds[0], out + len, 255 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status)) {
		assert_int_equal(WEXITSTATUS(status), 0);
		out[0] = '\0';
		return;
	}
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void test_move_stops_on_a_bug(void **state)
{
	char said[256];

	(void)state;
	last_words(OFF, OFF, ON, said); /* the legal one, so that the others prove something */
	assert_string_equal(said, "");
	last_words(OFF, OFF, BROKEN, said);
	assert_string_equal(said, "BUG: lamp is in off, moved as if in off to broken\n");
	last_words(BROKEN, ON, OFF, said); /* legal, but not from where it is */
	assert_string_equal(said, "BUG: lamp is in broken, moved as if in on to off\n");
	last_words(77, 77, OFF, said);
	assert_non_null(strstr(said, "(no such state)"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_both_ways),
		cmocka_unit_test(test_may_follows_the_table),
		cmocka_unit_test(test_move_changes_the_state),
		cmocka_unit_test(test_move_stops_on_a_bug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
