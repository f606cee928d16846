/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nsdata_block.c - namespace data through the kernel's block device, with plain calls
 *
 * O_DIRECT, so that what was written is the drive's and not the page cache's; O_EXCL, so that
 * nobody has the namespace mounted or in a volume group. The kernel does not tell what is
 * allocated: everything is.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "device/nsdata_int.h"

#define PAGE       4096u
#define BEST_BYTES (512u << 10)
#define DEPTH      EXP_NSDATA_DEPTH

struct block {
	struct exp_nsdata h;
	int fd;
	struct exp_nsdata_done done[DEPTH]; /* in submission order */
	unsigned int n_done;
	struct exp_error last; /* of the last one that failed */
};

static int buf_alloc(struct exp_nsdata *h, size_t bytes, struct exp_nsbuf *ret,
		     struct exp_error *err)
{
	size_t n = (bytes + PAGE - 1) / PAGE * PAGE;

	(void)h;
	ret->mem = n ? aligned_alloc(PAGE, n) : NULL;
	if (!ret->mem)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "buffer of %zu bytes", bytes);
	memset(ret->mem, 0, n);
	ret->bytes = n;
	ret->iova = 0;
	return 0;
}

static void buf_free(struct exp_nsdata *h, struct exp_nsbuf *b)
{
	(void)h;
	free(b->mem);
}

/* All of it, or why not: a short transfer in the middle of a device is an error like any other. */
static int transfer(int fd, bool write, uint8_t *p, size_t bytes, uint64_t off)
{
	while (bytes) {
		ssize_t n = write ? pwrite(fd, p, bytes, (off_t)off)
				  : pread(fd, p, bytes, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		off += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

/* Freeing the blocks where the drive promises zeros for them, else the kernel writes zeros. */
static int zero(int fd, uint64_t off, uint64_t bytes)
{
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)bytes) ==
	    0)
		return 0;
	if (errno != EOPNOTSUPP)
		return -errno;
	if (fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)bytes) < 0)
		return -errno;
	return 0;
}

static int deallocate(int fd, uint64_t off, uint64_t bytes)
{
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)bytes) < 0)
		return -errno;
	return 0;
}

static int perform(struct block *b, const struct exp_nsdata_req *q)
{
	uint64_t off = q->slba * b->h.lba_bytes, bytes = q->nlb * b->h.lba_bytes;

	switch (q->op) {
	case EXP_NSDATA_READ:
	case EXP_NSDATA_WRITE:
		return transfer(b->fd, q->op == EXP_NSDATA_WRITE, q->buf->mem + q->buf_off, bytes,
				off);
	case EXP_NSDATA_ZERO: return zero(b->fd, off, bytes);
	case EXP_NSDATA_DEALLOCATE: return deallocate(b->fd, off, bytes);
	case EXP_NSDATA_FLUSH: return fdatasync(b->fd) < 0 ? -errno : 0;
	}
	return -EINVAL;
}

static int submit(struct exp_nsdata *h, const struct exp_nsdata_req *req, struct exp_error *err)
{
	struct block *b = (struct block *)h;
	int r = perform(b, req);

	if (r == -EINVAL || r == -EOPNOTSUPP)
		return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, -r,
				     "blocks %" PRIu64 "+%" PRIu64 ": %s", req->slba, req->nlb,
				     strerror(-r));
	if (r < 0)
		exp_error_set(&b->last, r == -ENODEV ? EXP_CODE_DEVICE_GONE : EXP_CODE_DEVICE, -r,
			      "blocks %" PRIu64 "+%" PRIu64 ": %s", req->slba, req->nlb,
			      strerror(-r));
	b->done[b->n_done++] = (struct exp_nsdata_done){ req->tag, r };
	return 0;
}

static int reap(struct exp_nsdata *h, struct exp_nsdata_done *ret, size_t max, uint64_t deadline_us,
		struct exp_error *err)
{
	struct block *b = (struct block *)h;
	unsigned int n = (unsigned int)EXP_MIN(max, (size_t)b->n_done);

	(void)deadline_us;
	memcpy(ret, b->done, n * sizeof(*ret));
	b->n_done -= n;
	memmove(b->done, b->done + n, b->n_done * sizeof(*ret));
	for (unsigned int i = 0; i < n; i++)
		if (ret[i].r < 0 && err)
			*err = b->last;
	return (int)n;
}

static int allocated(struct exp_nsdata *h, uint64_t slba, struct exp_lba_range *ret, size_t max,
		     size_t *ret_n, uint64_t *ret_next, struct exp_error *err)
{
	(void)max;
	(void)err;
	ret[0] = (struct exp_lba_range){ slba, h->nsze - slba };
	*ret_n = 1;
	*ret_next = h->nsze;
	return 0;
}

static bool stop(struct exp_nsdata *h)
{
	(void)h;
	return true;
}

static void free_block(struct exp_nsdata *h)
{
	struct block *b = (struct block *)h;

	close(b->fd);
	free(b);
}

static const struct exp_nsdata_ops block_ops = {
	.buf_alloc = buf_alloc,
	.buf_free = buf_free,
	.submit = submit,
	.reap = reap,
	.allocated = allocated,
	.stop = stop,
	.free = free_block,
};

int exp_nsdata_fd(int fd, uint32_t lba_bytes, uint64_t nsze, struct exp_nsdata **ret,
		  struct exp_error *err)
{
	struct block *b = calloc(1, sizeof(*b));

	if (!b) {
		close(fd);
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "block device");
	}
	b->fd = fd;
	b->h = (struct exp_nsdata){
		.ops = &block_ops,
		.nsze = nsze,
		.lba_bytes = lba_bytes,
		.best_bytes = BEST_BYTES,
		.depth = DEPTH,
	};
	*ret = &b->h;
	return 0;
}

int exp_nsdata_open_block(const char *path, struct exp_nsdata **ret, struct exp_error *err)
{
	int fd = open(path, O_RDWR | O_DIRECT | O_EXCL | O_CLOEXEC);
	struct stat st;
	uint64_t bytes;
	int lba, e;

	if (fd < 0) {
		e = errno;
		return exp_error_set(err, e == EBUSY ? EXP_CODE_CONFLICT : EXP_CODE_CONFIG, e,
				     "%s: %s%s", path, strerror(e),
				     e == EBUSY ? ": something else has it open or mounted" : "");
	}
	if (fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode)) {
		close(fd);
		return exp_error_set(err, EXP_CODE_CONFIG, ENOTBLK, "%s is no block device", path);
	}
	if (ioctl(fd, BLKGETSIZE64, &bytes) < 0 || ioctl(fd, BLKSSZGET, &lba) < 0 || lba < 512) {
		e = errno;
		close(fd);
		return exp_error_set(err, EXP_CODE_DEVICE, e, "%s: size: %s", path, strerror(e));
	}
	return exp_nsdata_fd(fd, (uint32_t)lba, bytes / (uint32_t)lba, ret, err);
}

/* "nvme0n1", or the path "nvme0c1n1" of a shared one, whose block device is nvme0n1. */
static bool block_name(const char *entry, char *ret, size_t cap)
{
	unsigned int subsys, ctrl, head;
	int end = 0;

	if (sscanf(entry, "nvme%uc%un%u%n", &subsys, &ctrl, &head, &end) != 3 || entry[end]) {
		end = 0;
		if (sscanf(entry, "nvme%un%u%n", &subsys, &head, &end) != 2 || entry[end])
			return false;
	}
	return (size_t)snprintf(ret, cap, "/dev/nvme%un%u", subsys, head) < cap;
}

int exp_nsdata_find_block(const char *sysfs, const char *ctrl, uint32_t nsid, char *ret, size_t cap,
			  struct exp_error *err)
{
	char dir[512], file[1024], *text;
	struct dirent *e;
	bool found = false;
	size_t len;
	DIR *d;

	(void)snprintf(dir, sizeof(dir), "%s/class/nvme/%s", sysfs, ctrl);
	d = opendir(dir);
	if (!d)
		return exp_error_set(err, EXP_CODE_NOT_FOUND, errno, "%s: %s", dir,
				     strerror(errno));
	while (!found && (e = readdir(d))) {
		if (!block_name(e->d_name, ret, cap))
			continue;
		(void)snprintf(file, sizeof(file), "%s/%s/nsid", dir, e->d_name);
		if (exp_fs_read(file, 32, &text, &len, NULL) < 0)
			continue;
		found = strtoul(text, NULL, 10) == nsid;
		free(text);
	}
	closedir(d);
	if (!found)
		return exp_error_set(err, EXP_CODE_NOT_FOUND, ENOENT,
				     "the kernel has no block device for namespace %u of %s: is it "
				     "attached?",
				     nsid, ctrl);
	return 0;
}
