/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault_vfs.h - a disk that fills up, fails, or loses what was not synced, under SQLite
 *
 * A VFS over the system's. Each operation that changes a file passes a counter; when it reaches
 * the plan's number, the plan's trouble happens. xSync does not wait for the disk: it copies the
 * file to FILE.durable, so that a power cut can be played by putting those copies back.
 * One plan per process, in fault_vfs_plan: tests that need several fork.
 */
#ifndef EXP_TESTS_SUPPORT_FAULT_VFS_H
#define EXP_TESTS_SUPPORT_FAULT_VFS_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

enum fault_vfs_trouble {
	FAULT_VFS_NONE,
	FAULT_VFS_KILL,      /* SIGKILL instead of operation number n */
	FAULT_VFS_FULL,      /* from write number n on, no write succeeds */
	FAULT_VFS_SYNC_FAIL, /* sync number n fails, once; what it would have synced is not durable
			      */
};

static struct {
	enum fault_vfs_trouble trouble;
	unsigned int after; /* operations of the kind that go well before */
	unsigned int seen;  /* so far */
	unsigned int fired;
	int errnum; /* what the system is said to have returned */
} fault_vfs_plan;

struct fault_file {
	sqlite3_file base;
	char path[512];
	sqlite3_file *real; /* behind this struct */
};

static bool fault_vfs_hits(enum fault_vfs_trouble kind)
{
	if (fault_vfs_plan.trouble != kind)
		return false;
	if (fault_vfs_plan.seen++ < fault_vfs_plan.after)
		return false;
	fault_vfs_plan.fired++;
	return true;
}

static void fault_vfs_maybe_die(void)
{
	if (fault_vfs_hits(FAULT_VFS_KILL))
		kill(getpid(), SIGKILL);
}

static int fault_vfs_copy(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	char buf[65536];
	ssize_t n = -1;

	if (in < 0)
		return -1;
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	while (out >= 0 && (n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			n = -1;
	close(in);
	if (out >= 0)
		close(out);
	return n == 0 ? 0 : -1;
}

#define REAL(f) (((struct fault_file *)(f))->real)

static int fault_close(sqlite3_file *f)
{
	return REAL(f)->pMethods->xClose(REAL(f));
}

static int fault_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return REAL(f)->pMethods->xRead(REAL(f), p, n, at);
}

static int fault_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	fault_vfs_maybe_die();
	if (fault_vfs_hits(FAULT_VFS_FULL))
		return SQLITE_FULL;
	return REAL(f)->pMethods->xWrite(REAL(f), p, n, at);
}

static int fault_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	fault_vfs_maybe_die();
	return REAL(f)->pMethods->xTruncate(REAL(f), size);
}

static int fault_sync(sqlite3_file *f, int flags)
{
	struct fault_file *file = (struct fault_file *)f;
	char durable[600];

	(void)flags;
	fault_vfs_maybe_die();
	if (fault_vfs_plan.trouble == FAULT_VFS_SYNC_FAIL) {
		bool now = fault_vfs_plan.seen++ == fault_vfs_plan.after;

		if (now) {
			fault_vfs_plan.fired++;
			return SQLITE_IOERR_FSYNC;
		}
	}
	snprintf(durable, sizeof(durable), "%s.durable", file->path);
	return fault_vfs_copy(file->path, durable) ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int fault_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	return REAL(f)->pMethods->xFileSize(REAL(f), ret);
}

static int fault_lock(sqlite3_file *f, int level)
{
	return REAL(f)->pMethods->xLock(REAL(f), level);
}

static int fault_unlock(sqlite3_file *f, int level)
{
	return REAL(f)->pMethods->xUnlock(REAL(f), level);
}

static int fault_check_lock(sqlite3_file *f, int *ret)
{
	return REAL(f)->pMethods->xCheckReservedLock(REAL(f), ret);
}

static int fault_control(sqlite3_file *f, int op, void *arg)
{
	return REAL(f)->pMethods->xFileControl(REAL(f), op, arg);
}

static int fault_sector(sqlite3_file *f)
{
	return REAL(f)->pMethods->xSectorSize(REAL(f));
}

static int fault_device(sqlite3_file *f)
{
	return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f));
}

/* Version 1: no shared memory; a connection in exclusive mode does without. */
static const sqlite3_io_methods fault_methods = {
	.iVersion = 1,
	.xClose = fault_close,
	.xRead = fault_read,
	.xWrite = fault_write,
	.xTruncate = fault_truncate,
	.xSync = fault_sync,
	.xFileSize = fault_size,
	.xLock = fault_lock,
	.xUnlock = fault_unlock,
	.xCheckReservedLock = fault_check_lock,
	.xFileControl = fault_control,
	.xSectorSize = fault_sector,
	.xDeviceCharacteristics = fault_device,
};

static sqlite3_vfs *fault_real_vfs;

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *ret)
{
	struct fault_file *file = (struct fault_file *)f;
	int rc;

	(void)vfs;
	memset(file, 0, sizeof(*file));
	file->real = (sqlite3_file *)(file + 1);
	if (flags & SQLITE_OPEN_CREATE)
		fault_vfs_maybe_die();
	rc = fault_real_vfs->xOpen(fault_real_vfs, name, file->real, flags, ret);
	if (rc != SQLITE_OK)
		return rc;
	snprintf(file->path, sizeof(file->path), "%s", name ? name : "");
	file->base.pMethods = &fault_methods;
	return SQLITE_OK;
}

static int fault_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
	char durable[600];

	(void)vfs;
	(void)sync_dir;
	fault_vfs_maybe_die();
	snprintf(durable, sizeof(durable), "%s.durable", name);
	unlink(durable);
	return fault_real_vfs->xDelete(fault_real_vfs, name, 0);
}

static int fault_last_error(sqlite3_vfs *vfs, int n, char *out)
{
	(void)vfs;
	if (fault_vfs_plan.fired && fault_vfs_plan.errnum)
		return fault_vfs_plan.errnum;
	return fault_real_vfs->xGetLastError(fault_real_vfs, n, out);
}

/** fault_vfs_register - makes "fault" known to SQLite in this process; returns the name */
static inline const char *fault_vfs_register(void)
{
	static sqlite3_vfs vfs;

	if (!vfs.zName) {
		fault_real_vfs = sqlite3_vfs_find(NULL);
		vfs = *fault_real_vfs;
		vfs.zName = "fault";
		vfs.pNext = NULL;
		vfs.szOsFile = (int)sizeof(struct fault_file) + fault_real_vfs->szOsFile;
		vfs.xOpen = fault_open;
		vfs.xDelete = fault_delete;
		vfs.xGetLastError = fault_last_error;
		sqlite3_vfs_register(&vfs, 0);
	}
	return "fault";
}

static inline void fault_vfs_arm(enum fault_vfs_trouble trouble, unsigned int after)
{
	fault_vfs_plan.trouble = trouble;
	fault_vfs_plan.after = after;
	fault_vfs_plan.seen = 0;
	fault_vfs_plan.fired = 0;
	fault_vfs_plan.errnum = 0;
}

/** fault_vfs_power_cut - only what was synced is left of @path and its WAL */
static inline void fault_vfs_power_cut(const char *path)
{
	static const char *const suffixes[] = { "", "-wal", "-journal" };
	char file[520], durable[600];

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(file, sizeof(file), "%s%s", path, suffixes[i]);
		snprintf(durable, sizeof(durable), "%s.durable", file);
		if (rename(durable, file) < 0)
			unlink(file);
	}
}

#endif
