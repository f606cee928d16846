/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tmpdir.h - a directory of its own for a test, gone afterwards
 */
#ifndef EXP_TESTS_SUPPORT_TMPDIR_H
#define EXP_TESTS_SUPPORT_TMPDIR_H

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/tests.h"

struct tmpdir {
	char path[128];
};

static inline struct tmpdir tmpdir_new(void)
{
	const char *base = getenv("TMPDIR");
	struct tmpdir d;

	/* in memory, where there is such a place: tests wait for no disk */
	if (!base)
		base = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	snprintf(d.path, sizeof(d.path), "%s/exp-test-XXXXXX", base);
	if (!mkdtemp(d.path))
		fail_msg("%s: %s", d.path, strerror(errno));
	return d;
}

/* The files in it, not what lies deeper. */
static inline void tmpdir_clear(const struct tmpdir *d)
{
	char path[512];
	struct dirent *e;
	DIR *dir = opendir(d->path);

	while (dir && (e = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", d->path, e->d_name);
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			unlink(path);
	}
	if (dir)
		closedir(dir);
}

static inline void tmpdir_free(struct tmpdir *d)
{
	tmpdir_clear(d);
	rmdir(d->path);
}

/* Borrowed until the next call. */
static inline const char *tmpdir_file(const struct tmpdir *d, const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", d->path, name);
	return path;
}

#endif
