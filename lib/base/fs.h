/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs.h - whole small files, read within a limit and replaced so that a crash leaves old or new
 */
#ifndef EXP_BASE_FS_H
#define EXP_BASE_FS_H

#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "base/error.h"

/*
 * All of these block on the disk: worker threads, or start-up. Errors: the errno, code SYSTEM or
 * NO_SPACE, and a message with the path.
 */

/**
 * exp_fs_read - whole file, at most @max bytes, else -EFBIG and TOO_LARGE
 * @ret: free() it; a NUL stands after the content
 * @ret_len: may be NULL
 */
int exp_fs_read(const char *path, size_t max, char **ret, size_t *ret_len,
		struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_fs_replace - write "@path.new", fsync, rename, fsync of the directory; durable on return
 * @mode: exactly this, whatever the umask
 *
 * On failure the old file is as it was and the new one is removed; only when the directory cannot
 * be synced has the rename happened already. One caller at a time for a @path.
 */
int exp_fs_replace(const char *path, const void *data, size_t len, unsigned int mode,
		   struct exp_error *err) EXP_MUST_CHECK;

/** exp_fs_mkdir - one directory, @mode less the umask; success when it is one already */
int exp_fs_mkdir(const char *path, unsigned int mode, struct exp_error *err) EXP_MUST_CHECK;

struct exp_uuid;
/** exp_fs_boot_id - the kernel's boot id; fails where /proc hides it (ProcSubset=pid) */
int exp_fs_boot_id(struct exp_uuid *ret, struct exp_error *err) EXP_MUST_CHECK;

static inline void exp_close_fdp(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#endif
