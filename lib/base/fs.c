/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/uuid.h"

static void freep(char **p)
{
	free(*p);
}

static int fail(struct exp_error *err, const char *what, const char *path)
{
	int e = errno;
	bool full = e == ENOSPC || e == EDQUOT;

	return exp_error_set(err, full ? EXP_CODE_NO_SPACE : EXP_CODE_SYSTEM, e, "%s %s: %s", what,
			     path, strerror(e));
}

int exp_fs_read(const char *path, size_t max, char **ret, size_t *ret_len, struct exp_error *err)
{
	EXP_CLEANUP(exp_close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC);
	EXP_CLEANUP(freep) char *mem = NULL;
	size_t len = 0, cap = 0;

	if (fd < 0)
		return fail(err, "open", path);
	for (;;) { /* st_size says nothing about /proc and may change under us: read to the end */
		ssize_t n;

		if (cap - len < 2) {
			char *bigger;

			cap = cap ? cap * 2 : 4096;
			bigger = realloc(mem, cap);
			if (!bigger)
				return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM,
						     "read %s: out of memory", path);
			mem = bigger;
		}
		n = read(fd, mem + len, cap - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(err, "read", path);
		if (!n)
			break;
		len += (size_t)n;
		if (len > max)
			return exp_error_set(err, EXP_CODE_TOO_LARGE, EFBIG,
					     "%s is larger than %zu bytes", path, max);
	}
	mem[len] = '\0';
	*ret = EXP_TAKE(mem);
	if (ret_len)
		*ret_len = len;
	return 0;
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

int exp_fs_replace(const char *path, const void *data, size_t len, unsigned int mode,
		   struct exp_error *err)
{
	EXP_CLEANUP(exp_close_fdp) int fd = -1;
	EXP_CLEANUP(exp_close_fdp) int dirfd = -1;
	EXP_CLEANUP(freep) char *tmp = NULL;
	EXP_CLEANUP(freep) char *dir = NULL;

	if (asprintf(&tmp, "%s.new", path) < 0) {
		tmp = NULL;
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	}
	dir = strdup(path);
	if (!dir)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	/* what a crash left behind may have another mode or be a link: never write into it */
	if (unlink(tmp) < 0 && errno != ENOENT)
		return fail(err, "remove", tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return fail(err, "create", tmp);
	if (fchmod(fd, mode) < 0 || write_all(fd, data, len) < 0 || fsync(fd) < 0) {
		int r = fail(err, "write", tmp);

		unlink(tmp);
		return r;
	}
	if (rename(tmp, path) < 0) {
		int r = fail(err, "rename to", path);

		unlink(tmp);
		return r;
	}
	dirfd = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0 || fsync(dirfd) < 0)
		return fail(err, "sync the directory of", path);
	return 0;
}

int exp_fs_mkdir(const char *path, unsigned int mode, struct exp_error *err)
{
	struct stat st;

	if (!mkdir(path, mode))
		return 0;
	if (errno != EEXIST)
		return fail(err, "create directory", path);
	if (stat(path, &st) < 0)
		return fail(err, "look at", path);
	if (!S_ISDIR(st.st_mode))
		return exp_error_set(err, EXP_CODE_SYSTEM, ENOTDIR, "%s is not a directory", path);
	return 0;
}

int exp_fs_boot_id(struct exp_uuid *ret, struct exp_error *err)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	EXP_CLEANUP(freep) char *text = NULL;
	size_t len;
	int r;

	r = exp_fs_read(path, 64, &text, &len, err);
	if (r < 0)
		return exp_error_wrap(err, r,
				      "kernel boot id (a unit with ProcSubset=pid hides it)");
	if (len && text[len - 1] == '\n')
		text[len - 1] = '\0';
	if (exp_uuid_parse(text, ret) < 0)
		return exp_error_set(err, EXP_CODE_SYSTEM, EINVAL, "%s is not a UUID", path);
	return 0;
}
