/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_store.c - the image directory of an emulated SSD; see the header for the order of writes
 */
#include "emu/ssd_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

struct ssd_store {
	int dirfd, lockfd;
	char *image_path;
	struct exp_fault_plan *faults;
};

static void store_close(struct ssd_store *s)
{
	ssd_store_close(s);
}
EXP_DEFINE_CLEANUP(struct ssd_store *, store_close)

static void string_free(char *s)
{
	free(s);
}
EXP_DEFINE_CLEANUP(char *, string_free)

void ssd_store_close(struct ssd_store *s)
{
	if (!s)
		return;
	if (s->lockfd >= 0)
		close(s->lockfd);
	if (s->dirfd >= 0)
		close(s->dirfd);
	free(s->image_path);
	free(s);
}

static int sys_fail(struct exp_error *err, const char *what, const char *name)
{
	int e = errno;

	return exp_error_set(err, e == ENOSPC ? EXP_CODE_NO_SPACE : EXP_CODE_SYSTEM, e, "%s %s: %s",
			     what, name, strerror(e));
}

static int take_lock(struct ssd_store *s, const char *dir, struct exp_error *err)
{
	s->lockfd = openat(s->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lockfd < 0)
		return sys_fail(err, "create the lock of", dir);
	if (!flock(s->lockfd, LOCK_EX | LOCK_NB))
		return 0;
	if (errno != EWOULDBLOCK)
		return sys_fail(err, "lock", dir);
	return exp_error_set(
		err, EXP_CODE_BUSY, EBUSY,
		"%s is in use by another exp-emu-ssd; stop that one or take another --dir", dir);
}

static int read_image(struct ssd_store *s, struct ssd_image *img, bool *ret_fresh,
		      struct exp_error *err)
{
	EXP_CLEANUP(string_freep) char *text = NULL;
	size_t len = 0;
	int r;

	if (access(s->image_path, F_OK) < 0 && errno == ENOENT) {
		*ret_fresh = true;
		return 0;
	}
	*ret_fresh = false;
	r = exp_fs_read(s->image_path, SSD_IMAGE_MAX, &text, &len, err);
	if (r < 0)
		return r;
	r = ssd_image_parse(text, len, img, err);
	return r < 0 ? exp_error_wrap(err, r, "%s", s->image_path) : 0;
}

int ssd_store_open(const char *dir, struct exp_fault_plan *faults, struct ssd_store **ret,
		   struct ssd_image *img, bool *ret_fresh, struct exp_error *err)
{
	EXP_CLEANUP(store_closep) struct ssd_store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	s->dirfd = s->lockfd = -1;
	s->faults = faults;
	r = exp_fs_mkdir(dir, 0700, err);
	if (r < 0)
		return r;
	if (asprintf(&s->image_path, "%s/image.json", dir) < 0) {
		s->image_path = NULL;
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	}
	s->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dirfd < 0)
		return sys_fail(err, "open", dir);
	r = take_lock(s, dir, err);
	if (r < 0)
		return r;
	r = read_image(s, img, ret_fresh, err);
	if (r < 0)
		return r;
	*ret = EXP_TAKE(s);
	return 0;
}

int ssd_store_save(struct ssd_store *s, const struct ssd_image *img, struct exp_error *err)
{
	EXP_CLEANUP(string_freep) char *text = NULL;
	size_t len = 0;
	int r = exp_fault(s->faults, "image.save");

	if (r < 0)
		return exp_error_set(err, EXP_CODE_SYSTEM, -r, "save %s: %s", s->image_path,
				     strerror(-r));
	text = ssd_image_print(img, &len);
	if (!text)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	return exp_fs_replace(s->image_path, text, len, 0600, err);
}

#define NAME_BYTES 32

static void file_name(uint64_t file, char out[NAME_BYTES])
{
	snprintf(out, NAME_BYTES, "ns-%" PRIu64 ".img", file);
}

int ssd_store_create(struct ssd_store *s, uint64_t file, uint64_t bytes, int *ret_fd,
		     struct exp_error *err)
{
	EXP_CLEANUP(exp_close_fdp) int fd = -1;
	char name[NAME_BYTES];
	int r = exp_fault(s->faults, "ns.create");

	file_name(file, name);
	if (r < 0)
		return exp_error_set(err, EXP_CODE_SYSTEM, -r, "create %s: %s", name, strerror(-r));
	fd = openat(s->dirfd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return sys_fail(err, "create", name);
	if (ftruncate(fd, (off_t)bytes) < 0 || fsync(fd) < 0 || fsync(s->dirfd) < 0) {
		r = sys_fail(err, "create", name);
		ssd_store_remove(s, file);
		return r;
	}
	*ret_fd = fd;
	fd = -1;
	return 0;
}

int ssd_store_attach(struct ssd_store *s, uint64_t file, uint64_t bytes, int *ret_fd,
		     struct exp_error *err)
{
	EXP_CLEANUP(exp_close_fdp) int fd = -1;
	char name[NAME_BYTES];
	struct stat st;

	file_name(file, name);
	fd = openat(s->dirfd, name, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return sys_fail(err, "open", name);
	if ((uint64_t)st.st_size != bytes)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "%s has %" PRIu64 " bytes, its namespace %" PRIu64
				     ": the image is damaged",
				     name, (uint64_t)st.st_size, bytes);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

void ssd_store_remove(struct ssd_store *s, uint64_t file)
{
	char name[NAME_BYTES];

	file_name(file, name);
	if (!exp_fault(s->faults, "ns.remove"))
		unlinkat(s->dirfd, name, 0);
}

static bool named(const struct ssd_image *img, uint64_t file)
{
	for (size_t i = 0; i < img->n_ns; i++)
		if (img->ns[i].file == file)
			return true;
	return false;
}

void ssd_store_tidy(struct ssd_store *s, const struct ssd_image *img)
{
	int fd = openat(s->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d))) {
		char name[NAME_BYTES];
		uint64_t file;

		if (sscanf(e->d_name, "ns-%" SCNu64 ".img", &file) != 1)
			continue;
		file_name(file, name);
		if (!strcmp(name, e->d_name) && !named(img, file))
			ssd_store_remove(s, file);
	}
	closedir(d);
}
