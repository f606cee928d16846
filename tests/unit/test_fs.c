/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fs.c - files that are replaced whole or not at all
 *
 * Linked with --wrap for write, fsync and rename: each can be told to fail, once.
 */
#include "support/tests.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/uuid.h"

ssize_t __real_write(int fd, const void *p, size_t n);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
ssize_t __wrap_write(int fd, const void *p, size_t n);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);

static struct {
	int write_errno, rename_errno;
	size_t write_at_most; /* 0: all */
	int fsync_errno, fsync_after;
	int writes, file_syncs, dir_syncs, renames;
	bool synced_before_rename;
} io;

static char dir[64], path[96], tmp[96]; /* one test directory for the program */

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	int e = io.write_errno;

	io.writes++;
	io.write_errno = 0;
	if (e) {
		errno = e;
		return -1;
	}
	return __real_write(fd, p, io.write_at_most ? EXP_MIN(n, io.write_at_most) : n);
}

int __wrap_fsync(int fd)
{
	struct stat st;

	if (io.fsync_errno && !io.fsync_after--) {
		errno = io.fsync_errno;
		return -1;
	}
	assert_int_equal(fstat(fd, &st), 0);
	if (S_ISDIR(st.st_mode))
		io.dir_syncs++;
	else
		io.file_syncs++;
	return __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to)
{
	io.renames++;
	io.synced_before_rename = io.file_syncs == 1 && !io.dir_syncs;
	if (io.rename_errno) {
		errno = io.rename_errno;
		return -1;
	}
	return __real_rename(from, to);
}

static int setup(void **state)
{
	(void)state;
	memset(&io, 0, sizeof(io));
	snprintf(dir, sizeof(dir), "/tmp/test_fs.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/file", dir);
	snprintf(tmp, sizeof(tmp), "%s/file.new", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	unlink(tmp);
	return rmdir(dir); /* fails when something else was left */
}

static void content_is(const char *want)
{
	struct exp_error err = { 0 };
	char *got = NULL;
	size_t len;

	assert_ok(exp_fs_read(path, 1 << 20, &got, &len, &err), &err);
	assert_string_equal(got, want);
	assert_int_equal(len, strlen(want));
	free(got);
}

static void replace(const char *text)
{
	struct exp_error err = { 0 };

	assert_ok(exp_fs_replace(path, text, strlen(text), 0600, &err), &err);
}

static void test_read_within_the_limit(void **state)
{
	struct exp_error err = { 0 };
	char *big, *got = NULL;
	size_t len;

	(void)state;
	big = malloc(10001);
	memset(big, 'b', 10000);
	big[10000] = '\0';
	replace(big);
	assert_ok(exp_fs_read(path, 10000, &got, &len, &err), &err);
	assert_int_equal(len, 10000);
	assert_string_equal(got, big); /* the NUL is there */
	free(got);
	got = NULL;
	assert_int_equal(exp_fs_read(path, 9999, &got, &len, &err), -EFBIG);
	assert_error(&err, EXP_CODE_TOO_LARGE, "larger than 9999 bytes");
	assert_error(&err, EXP_CODE_TOO_LARGE, path);
	assert_null(got);
	free(big);
}

static void test_read_empty_and_missing(void **state)
{
	struct exp_error err = { 0 };
	char *got = NULL;

	(void)state;
	assert_int_equal(exp_fs_read(path, 10, &got, NULL, &err), -ENOENT);
	assert_error(&err, EXP_CODE_SYSTEM, path);
	assert_null(got);
	replace("");
	assert_ok(exp_fs_read(path, 0, &got, NULL, &err), &err);
	assert_string_equal(got, "");
	free(got);
	got = NULL;
	assert_int_equal(exp_fs_read(dir, 10, &got, NULL, &err), -EISDIR);
	assert_null(got);
}

/* st_size is 0 there */
static void test_read_proc(void **state)
{
	struct exp_error err = { 0 };
	char *got = NULL;
	size_t len;

	(void)state;
	assert_ok(exp_fs_read("/proc/self/status", 1 << 20, &got, &len, &err), &err);
	assert_true(len > 100);
	assert_memory_equal(got, "Name:", 5);
	free(got);
}

static void test_replace_syncs_renames_syncs(void **state)
{
	(void)state;
	replace("old");
	content_is("old");
	assert_true(io.synced_before_rename);
	assert_int_equal(io.dir_syncs, 1);
	replace("newer");
	content_is("newer");
	assert_int_equal(io.dir_syncs, 2);
	assert_int_equal(access(tmp, F_OK), -1);
}

static void test_replace_short_and_interrupted_writes(void **state)
{
	(void)state;
	io.write_at_most = 2;
	io.write_errno = EINTR;
	replace("hello");
	assert_int_equal(io.writes, 4);
	content_is("hello");
}

static void fails_and_keeps_old(int errnum, enum exp_code code, const char *part)
{
	struct exp_error err = { 0 };

	assert_int_equal(exp_fs_replace(path, "new", 3, 0600, &err), -errnum);
	assert_error(&err, code, part);
	assert_int_equal(err.errnum, errnum);
	content_is("old");
	assert_int_equal(access(tmp, F_OK), -1); /* nothing left lying about */
}

static void test_replace_failing_rename_keeps_old(void **state)
{
	(void)state;
	replace("old");
	io.rename_errno = EPERM;
	fails_and_keeps_old(EPERM, EXP_CODE_SYSTEM, "rename");
	io.rename_errno = 0;
	replace("new");
	content_is("new");
}

static void test_replace_failing_write_keeps_old(void **state)
{
	(void)state;
	replace("old");
	io.renames = 0;
	io.write_errno = ENOSPC;
	fails_and_keeps_old(ENOSPC, EXP_CODE_NO_SPACE, "write");
	io.write_errno = EDQUOT;
	fails_and_keeps_old(EDQUOT, EXP_CODE_NO_SPACE, "write");
	io.fsync_errno = EIO;
	fails_and_keeps_old(EIO, EXP_CODE_SYSTEM, "write");
	assert_int_equal(io.renames, 0); /* never before the data is safe */
}

static void test_replace_tells_that_the_directory_was_not_synced(void **state)
{
	struct exp_error err = { 0 };

	(void)state;
	io.fsync_errno = EIO;
	io.fsync_after = 1;
	assert_int_equal(exp_fs_replace(path, "new", 3, 0600, &err), -EIO);
	assert_error(&err, EXP_CODE_SYSTEM, "directory");
	content_is("new");
}

static void test_replace_onto_a_directory_fails(void **state)
{
	struct exp_error err = { 0 };
	struct stat st;

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(exp_fs_replace(path, "new", 3, 0600, &err), -EISDIR);
	assert_error(&err, EXP_CODE_SYSTEM, path);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(access(tmp, F_OK), -1);
	assert_int_equal(rmdir(path), 0);
}

static void test_replace_in_a_missing_directory_fails(void **state)
{
	struct exp_error err = { 0 };
	char below[128];

	(void)state;
	snprintf(below, sizeof(below), "%s/none/file", dir);
	assert_int_equal(exp_fs_replace(below, "x", 1, 0600, &err), -ENOENT);
	assert_error(&err, EXP_CODE_SYSTEM, below);
}

/* A temporary file that a crash left with open rights must not become the place of a secret. */
static void test_replace_ignores_what_a_crash_left(void **state)
{
	struct stat st;
	char other[96];
	mode_t mask;
	int fd;

	(void)state;
	fd = open(tmp, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	assert_true(fd >= 0);
	replace("secret");
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 0); /* who held the old one open sees nothing */
	close(fd);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	snprintf(other, sizeof(other), "%s/other", dir);
	assert_int_equal(symlink(other, tmp), 0);
	replace("again");
	assert_int_equal(access(other, F_OK), -1);
	content_is("again");

	mask = umask(0077);
	assert_int_equal(exp_fs_replace(path, "x", 1, 0644, NULL), 0);
	umask(mask);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
}

static void test_replace_relative_path(void **state)
{
	struct exp_error err = { 0 };
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_true(here >= 0);
	assert_int_equal(chdir(dir), 0);
	assert_ok(exp_fs_replace("file", "x", 1, 0600, &err), &err);
	assert_int_equal(fchdir(here), 0);
	close(here);
	content_is("x");
}

static void test_mkdir(void **state)
{
	struct exp_error err = { 0 };
	char below[128];

	(void)state;
	assert_ok(exp_fs_mkdir(path, 0700, &err), &err);
	assert_ok(exp_fs_mkdir(path, 0700, &err), &err); /* is there already */
	assert_int_equal(rmdir(path), 0);
	replace("a file");
	assert_int_equal(exp_fs_mkdir(path, 0700, &err), -ENOTDIR);
	assert_error(&err, EXP_CODE_SYSTEM, "is not a directory");
	snprintf(below, sizeof(below), "%s/none/x", dir);
	assert_int_equal(exp_fs_mkdir(below, 0700, &err), -ENOENT);
	assert_error(&err, EXP_CODE_SYSTEM, below);
}

static void test_boot_id(void **state)
{
	struct exp_uuid a, b = { { 0 } };
	struct exp_error err = { 0 };

	(void)state;
	assert_ok(exp_fs_boot_id(&a, &err), &err);
	assert_ok(exp_fs_boot_id(&b, &err), &err);
	assert_true(exp_uuid_eq(&a, &b));
	assert_false(exp_uuid_is_nil(&a));
}

static void test_close_fdp(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), none = -1;

	(void)state;
	exp_close_fdp(&none);
	exp_close_fdp(&fd);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_read_within_the_limit),
		T(test_read_empty_and_missing),
		T(test_read_proc),
		T(test_replace_syncs_renames_syncs),
		T(test_replace_short_and_interrupted_writes),
		T(test_replace_failing_rename_keeps_old),
		T(test_replace_failing_write_keeps_old),
		T(test_replace_tells_that_the_directory_was_not_synced),
		T(test_replace_onto_a_directory_fails),
		T(test_replace_in_a_missing_directory_fails),
		T(test_replace_ignores_what_a_crash_left),
		T(test_replace_relative_path),
		T(test_mkdir),
		T(test_boot_id),
		T(test_close_fdp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
