/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfu_bytes.h - for tests: a vfio-user client made of bytes, and a controller made of plain memory
 *
 * Server and test run on one thread: bytes are sent, vfu_poll() is turned until it has nothing to
 * do, answers are read. Descriptors are counted in /proc/self/fd.
 */
#ifndef TEST_SUPPORT_VFU_BYTES_H
#define TEST_SUPPORT_VFU_BYTES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* before cmocka */
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/le.h"
#include "base/rng.h"
#include "emu/vfu.h"

enum {
	VERSION = 1,
	DMA_MAP,
	DMA_UNMAP,
	GET_INFO,
	REGION_INFO,
	IO_FDS,
	IRQ_INFO,
	SET_IRQS,
	READ,
	WRITE,
	RESET = 13
};

struct fixture {
	char dir[64];
	struct vfu *v;
	int fd; /* the client's end */
	uint8_t regs[4096];
	unsigned int resets, connects, disconnects, maps, unmaps, rings;
	uint32_t ring_off, ring_val;
	bool reachable;
	uint16_t id;
};

/* --- the controller behind the server: plain memory and counters --- */

static inline uint64_t reg_read(void *arg, uint32_t off, unsigned int len)
{
	struct fixture *f = arg;
	uint64_t val = 0;

	assert_in_range(len, 1, 8);
	assert_true(off + len <= sizeof(f->regs));
	memcpy(&val, f->regs + off, len);
	return le64toh(val);
}

static inline void reg_write(void *arg, uint32_t off, uint64_t val, unsigned int len)
{
	struct fixture *f = arg;

	assert_in_range(len, 1, 8);
	assert_true(off + len <= sizeof(f->regs));
	val = htole64(val);
	memcpy(f->regs + off, &val, len);
}

static inline void doorbell(void *arg, uint32_t off, uint32_t val)
{
	struct fixture *f = arg;

	f->rings++;
	f->ring_off = off;
	f->ring_val = val;
	assert_int_equal(le32toh(vfu_doorbells(f->v)[off / 4]), val);
}

static inline void reset(void *arg)
{
	((struct fixture *)arg)->resets++;
}

static inline void dma_mapped(void *arg, uint64_t iova, uint64_t len)
{
	(void)iova;
	(void)len;
	((struct fixture *)arg)->maps++;
}

static inline void dma_unmap(void *arg, uint64_t iova, uint64_t len)
{
	struct fixture *f = arg;

	/* still there while the call lasts */
	if (f->reachable)
		assert_non_null(vfu_dma(f->v, iova, len, false));
	f->unmaps++;
}

static inline void connected(void *arg)
{
	struct fixture *f = arg;

	assert_non_null(vfu_doorbells(f->v));
	f->connects++;
}

static inline void disconnected(void *arg)
{
	((struct fixture *)arg)->disconnects++;
}

static const struct vfu_ops ops = {
	.reg_read = reg_read,
	.reg_write = reg_write,
	.doorbell = doorbell,
	.reset = reset,
	.dma_mapped = dma_mapped,
	.dma_unmap = dma_unmap,
	.connected = connected,
	.disconnected = disconnected,
};

static const struct vfu_pci pci = {
	.vendor = 0x1b36,
	.device = 0x0010,
	.subsys_vendor = 0x1af4,
	.subsys_id = 0x1100,
	.revision = 2,
	.vectors = 33,
};

/* --- a client made of bytes --- */

static inline unsigned int open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static inline int dial(struct fixture *f)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/cntrl", f->dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static inline void turn(struct fixture *f)
{
	/* one turn accepts, later ones serve; three without a message is quiet */
	for (int quiet = 0; quiet < 3;)
		quiet = vfu_poll(f->v, 0) ? 0 : quiet + 1;
}

static inline void send_raw(int fd, const void *p, size_t len, const int *fds, size_t n_fds)
{
	union {
		char buf[CMSG_SPACE(64 * sizeof(int))];
		struct cmsghdr align;
	} ctl = { 0 };
	struct iovec iov = { (void *)p, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds) {
		struct cmsghdr *c;

		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &mh, MSG_NOSIGNAL), len);
}

/* Builds a message; returns its length. */
static inline size_t build(uint8_t *out, uint16_t id, uint16_t cmd, uint32_t flags,
			   const void *body, size_t len)
{
	exp_put_le16(out, id);
	exp_put_le16(out + 2, cmd);
	exp_put_le32(out + 4, (uint32_t)(16 + len));
	exp_put_le32(out + 8, flags);
	exp_put_le32(out + 12, 0);
	if (len)
		memcpy(out + 16, body, len);
	return 16 + len;
}

struct answer {
	uint8_t b[40000];
	size_t len; /* with header; 0: none came */
	int fd;
	bool eof;
};

static inline void get(struct fixture *f, struct answer *a)
{
	union {
		char buf[CMSG_SPACE(16 * sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = { a->b, 16 };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = ctl.buf,
			     .msg_controllen = sizeof(ctl.buf) };
	ssize_t n = recvmsg(f->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	a->fd = -1;
	a->len = 0;
	a->eof = n == 0 || (n < 0 && errno == ECONNRESET);
	if (n <= 0)
		return;
	assert_int_equal(n, 16);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c)) {
		assert_int_equal(c->cmsg_len, CMSG_LEN(sizeof(int)));
		memcpy(&a->fd, CMSG_DATA(c), sizeof(int));
	}
	a->len = exp_le32(a->b + 4);
	assert_in_range(a->len, 16, sizeof(a->b));
	if (a->len > 16)
		assert_int_equal(recv(f->fd, a->b + 16, a->len - 16, MSG_DONTWAIT), a->len - 16);
}

/* One command and its answer; returns 0 or the errno of the answer. */
static inline int ask_fds(struct fixture *f, uint16_t cmd, const void *body, size_t len,
			  const int *fds, size_t n_fds, struct answer *a)
{
	static uint8_t m[8192];
	size_t n = build(m, ++f->id, cmd, 0, body, len);
	int e;

	send_raw(f->fd, m, n, fds, n_fds);
	turn(f);
	get(f, a);
	assert_true(a->len >= 16);
	assert_int_equal(exp_le16(a->b), f->id);
	assert_int_equal(exp_le16(a->b + 2), cmd);
	e = (int)exp_le32(a->b + 12);
	if (e) {
		assert_int_equal(exp_le32(a->b + 8), 0x21);
		assert_int_equal(a->len, 16); /* an error has no body */
	} else {
		assert_int_equal(exp_le32(a->b + 8), 1);
	}
	return e;
}

static inline int ask(struct fixture *f, uint16_t cmd, const void *body, size_t len,
		      struct answer *a)
{
	return ask_fds(f, cmd, body, len, NULL, 0, a);
}

static const uint8_t version_plain[] = { 0, 0, 1, 0 };

static inline void hello(struct fixture *f)
{
	static struct answer a;

	f->fd = dial(f);
	turn(f);
	assert_int_equal(ask(f, VERSION, version_plain, sizeof(version_plain), &a), 0);
	assert_true(vfu_is_connected(f->v));
}

static inline void hang_up(struct fixture *f)
{
	close(f->fd);
	f->fd = -1;
	turn(f);
	assert_false(vfu_is_connected(f->v));
}

static inline int region(struct fixture *f, uint16_t cmd, uint32_t index, uint64_t off,
			 uint32_t count, const void *data, struct answer *a)
{
	static uint8_t b[16 + 5000];

	exp_put_le64(b, off);
	exp_put_le32(b + 8, index);
	exp_put_le32(b + 12, count);
	if (cmd == WRITE)
		memcpy(b + 16, data, count);
	return ask(f, cmd, b, cmd == WRITE ? 16 + count : 16, a);
}

static inline uint32_t cfg32(struct fixture *f, uint32_t off)
{
	static struct answer a;

	assert_int_equal(region(f, READ, 7, off, 4, NULL, &a), 0);
	assert_int_equal(a.len, 16 + 16 + 4);
	return exp_le32(a.b + 32);
}

static inline void cfg_put(struct fixture *f, uint32_t off, uint32_t val, uint32_t count)
{
	static struct answer a;
	uint8_t b[4];

	exp_put_le32(b, val);
	assert_int_equal(region(f, WRITE, 7, off, count, b, &a), 0);
	assert_int_equal(a.len, 32);
}

static inline int map(struct fixture *f, int fd, uint32_t flags, uint64_t off, uint64_t iova,
		      uint64_t len)
{
	static struct answer a;
	uint8_t b[32];

	exp_put_le32(b, 32);
	exp_put_le32(b + 4, flags);
	exp_put_le64(b + 8, off);
	exp_put_le64(b + 16, iova);
	exp_put_le64(b + 24, len);
	return ask_fds(f, DMA_MAP, b, sizeof(b), &fd, fd >= 0 ? 1 : 0, &a);
}

static inline int unmap(struct fixture *f, uint32_t flags, uint64_t iova, uint64_t len)
{
	static struct answer a;
	uint8_t b[24];
	int e;

	exp_put_le32(b, 24);
	exp_put_le32(b + 4, flags);
	exp_put_le64(b + 8, iova);
	exp_put_le64(b + 16, len);
	e = ask(f, DMA_UNMAP, b, sizeof(b), &a);
	if (!e) {
		assert_int_equal(a.len, 40);
		assert_memory_equal(a.b + 16, b, 24);
	}
	return e;
}

static inline int set_irqs(struct fixture *f, uint32_t flags, uint32_t index, uint32_t start,
			   uint32_t count, const int *fds, size_t n_fds)
{
	static struct answer a;
	uint8_t b[20 + 64];
	size_t len = 20;

	exp_put_le32(b, 20);
	exp_put_le32(b + 4, flags);
	exp_put_le32(b + 8, index);
	exp_put_le32(b + 12, start);
	exp_put_le32(b + 16, count);
	if (flags & 2) {
		memset(b + 20, 1, sizeof(b) - 20);
		len += EXP_MIN(count, 64u);
	}
	return ask_fds(f, SET_IRQS, b, len, fds, n_fds, &a);
}

static inline uint64_t count_of(int fd)
{
	uint64_t n = 0;

	if (read(fd, &n, sizeof(n)) < 0)
		assert_int_equal(errno, EAGAIN);
	return n;
}

static inline int memory(size_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	return fd;
}

static inline int setup_as(void **state, bool mapped)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct exp_error err;

	f->fd = -1;
	snprintf(f->dir, sizeof(f->dir), "/tmp/vfuXXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	if (vfu_new(f->dir, &pci, mapped, &ops, f, &f->v, &err) < 0) {
		print_error("%s\n", err.msg);
		return -1;
	}
	*state = f;
	return 0;
}

static inline int setup(void **state)
{
	return setup_as(state, true);
}

static inline int setup_trap(void **state)
{
	return setup_as(state, false);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->fd >= 0)
		close(f->fd);
	vfu_free(f->v);
	rmdir(f->dir);
	free(f);
	return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
