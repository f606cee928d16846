/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_emu_program.c - exp-emu-ssd as a process: options, sockets, two at once, SIGTERM, kill -9
 *
 * EXP_EMU_SSD, the program's path, is given by the build.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/le.h"
#include "emu/client.h"

struct program {
	pid_t pid;
	char text[4096]; /* what it said: on standard output until READY, else on both */
};

/* Start it; returns when it said a line on standard output or ended. */
static void start(struct program *p, const char *const argv[])
{
	size_t n = 0;
	int fds[2];

	memset(p->text, 0, sizeof(p->text));
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (!p->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		execv(EXP_EMU_SSD, (char *const *)argv);
		_exit(127);
	}
	close(fds[1]);
	while (n < sizeof(p->text) - 1 && read(fds[0], p->text + n, 1) == 1) {
		if (p->text[n++] == '\n' && !strncmp(p->text, "READY", 5))
			break;
	}
	/* it says more when it ends: let that go nowhere rather than break the pipe */
	if (strncmp(p->text, "READY", 5))
		close(fds[0]);
}

static int ended(struct program *p)
{
	int status;

	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#define START(p, ...) start((p), (const char *const[]){ "exp-emu-ssd", __VA_ARGS__, NULL })

#define expect_end(status, words, ...)                                              \
	do {                                                                        \
		struct program end_;                                                \
		START(&end_, __VA_ARGS__);                                          \
		assert_int_equal(ended(&end_), (status));                           \
		if (!strstr(end_.text, (words)))                                    \
			fail_msg("\"%s\" does not say \"%s\"", end_.text, (words)); \
	} while (0)

static void test_usage(void **state)
{
	(void)state;
	expect_end(2, "--dir and --profile are needed", "--dir", "/nonexistent/x");
	expect_end(2, "no profile \"venus\"", "--dir", "/nonexistent/x", "--profile", "venus");
	expect_end(2, "not 4..32", "--functions", "many");
	expect_end(2, "3 functions", "--functions", "3", "--dir", "/x", "--profile", "aurora");
	expect_end(2, "not a size", "--capacity", "12Q");
	expect_end(2, "not a size", "--capacity", "99999999999T");
	expect_end(2, "not map or trap", "--doorbells", "ring");
	expect_end(2, "what is \"more\"", "more");
	expect_end(0, "--power-cycle", "--help");
	expect_end(0, "borealis", "--list-profiles");
	expect_end(1, "/nonexistent/x", "--dir", "/nonexistent/x", "--profile", "aurora");
}

static uint64_t reg(const char *dir, const char *fn, uint32_t off)
{
	struct exp_error err = { 0 };
	struct emu_client *c = NULL;
	char path[128];
	uint64_t val = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, fn);
	if (emu_client_open(path, &c, &err) < 0 || emu_client_reg_read(c, off, 8, &val, &err) < 0)
		fail_msg("%s: %s", path, err.msg);
	emu_client_close(c);
	return val;
}

static void test_life(void **state)
{
	char dir[] = "/tmp/ssd_prog.XXXXXX", cmd[64];
	struct program p;

	(void)state;
	assert_non_null(mkdtemp(dir));
	START(&p, "--dir", dir, "--profile", "borealis", "--functions", "5", "--capacity", "1G",
	      "--doorbells", "trap");
	assert_non_null(strstr(p.text, "READY profile=borealis functions=5"));
	assert_int_equal(reg(dir, "mmc", 0), UINT64_C(0x00000020140103FF));
	assert_int_equal(reg(dir, "fn5", 0), UINT64_C(0x00000020140103FF));
	expect_end(1, "in use", "--dir", dir, "--profile", "borealis");
	kill(p.pid, SIGKILL);
	assert_int_equal(ended(&p), -SIGKILL);
	/* its sockets and its lock file are still there */
	expect_end(1, "\"borealis\", not \"aurora\"", "--dir", dir, "--profile", "aurora");
	expect_end(1, "5 functions, not 4", "--dir", dir, "--profile", "borealis", "--functions",
		   "4");
	expect_end(1, "1073741824 bytes, not 2147483648", "--dir", dir, "--profile", "borealis",
		   "--capacity", "2G");
	START(&p, "--dir", dir, "--profile", "borealis", "--power-cycle");
	assert_non_null(strstr(p.text, "READY profile=borealis functions=5"));
	assert_int_equal(reg(dir, "fn1", 8) & 0xFFFFFFFF, 0x00020400);
	kill(p.pid, SIGTERM);
	assert_int_equal(ended(&p), 0);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	assert_int_equal(system(cmd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
