/* SPDX-License-Identifier: Apache-2.0 */
/*
 * emu_drive.h - exp-emu-ssd as a process of its own, for tests of the code that talks to it
 *
 * EXP_EMU_SSD, the program's path, is given by the build. Every function waits for what it
 * promises, with a deadline, and fails the test otherwise.
 */
#ifndef EXP_TESTS_SUPPORT_EMU_DRIVE_H
#define EXP_TESTS_SUPPORT_EMU_DRIVE_H

#include "support/tests.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct emu_drive {
	char dir[64];
	pid_t pid;
	int out; /* its standard output */
};

/* From a directory that is there already, or a new one when e->dir is empty. */
static inline void emu_drive_start(struct emu_drive *e, const char *profile, const char *doorbells)
{
	char line[512] = "";
	size_t n = 0;
	int fds[2];

	if (!e->dir[0]) {
		snprintf(e->dir, sizeof(e->dir), "/tmp/exp-drive.XXXXXX");
		assert_non_null(mkdtemp(e->dir));
	}
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	e->pid = fork();
	assert_true(e->pid >= 0);
	if (!e->pid) {
		/* a failed test leaves no drive behind */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fds[1], STDOUT_FILENO);
		execl(EXP_EMU_SSD, EXP_EMU_SSD, "--dir", e->dir, "--profile", profile,
		      "--doorbells", doorbells, NULL);
		_exit(127);
	}
	close(fds[1]);
	e->out = fds[0];
	/* it says READY when its sockets listen, and nothing when it cannot start */
	while (n < sizeof(line) - 1 && read(e->out, line + n, 1) == 1 && line[n] != '\n')
		n++;
	if (strncmp(line, "READY", 5))
		fail_msg("exp-emu-ssd did not start: \"%s\"", line);
}

static inline void emu_drive_kill(struct emu_drive *e, int sig)
{
	if (e->pid <= 0)
		return;
	kill(e->pid, sig);
	waitpid(e->pid, NULL, 0);
	close(e->out);
	e->pid = 0;
}

static inline void emu_drive_end(struct emu_drive *e)
{
	char cmd[128];

	emu_drive_kill(e, SIGTERM);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", e->dir);
	assert_int_equal(system(cmd), 0);
}

/* "vfio-user:DIR/mmc", "vfio-user:DIR/fn1" */
static inline const char *emu_drive_transport(const struct emu_drive *e, const char *function,
					      char out[128])
{
	snprintf(out, 128, "vfio-user:%s/%s", e->dir, function);
	return out;
}

#endif
