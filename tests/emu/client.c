/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - the calls of a VMM on one vfio-user function
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/le.h"
#include "emu/client_int.h"

#define REGION_BAR0  0
#define REGION_CFG   7
#define DOORBELLS    0x1000u
#define DOORBELL_LEN 0x1000u
#define IRQ_MSIX     2
#define BAR_MAX_AREA 0x100000u

static const char hello[] =
	"{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576}}";

/* One question; *a is the caller's and its descriptor too. */
static int ask(struct emu_client *c, struct cl_request q, struct cl_answer *a,
	       struct exp_error *err)
{
	int r;

	pthread_mutex_lock(&c->lock);
	r = cl_sock_ask(&c->sock, &q, a, err);
	pthread_mutex_unlock(&c->lock);
	return r;
}

/* The same, when only a header or a fixed body is expected and no descriptor. */
static int ask_plain(struct emu_client *c, struct cl_request q, struct cl_answer *a, size_t want,
		     struct exp_error *err)
{
	int r = ask(c, q, a, err);

	if (r < 0)
		return r;
	if (a->fd >= 0) {
		close(a->fd);
		a->fd = -1;
	}
	if (a->len < want)
		return exp_error_set(err, EXP_CODE_DEVICE_DATA, EPROTO,
				     "vfio-user command %d answered with %zu bytes, expected %zu",
				     q.cmd, a->len, want);
	return 0;
}

static int negotiate(struct emu_client *c, struct exp_error *err)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *doc = NULL;
	uint8_t b[4 + sizeof(hello)];
	struct cl_answer a;
	int r;

	exp_put_le16(b, 0);
	exp_put_le16(b + 2, 1);
	memcpy(b + 4, hello, sizeof(hello));
	r = ask_plain(c, (struct cl_request){ CL_VERSION, b, sizeof(b), NULL, 0 }, &a, 4, err);
	if (r < 0)
		return exp_error_wrap(err, r, "version");
	if (exp_le16(a.body) != 0 || exp_le16(a.body + 2) > 1)
		return exp_error_set(err, EXP_CODE_VERSION, EPROTO,
				     "vfio-user version %u.%u was answered to 0.1",
				     exp_le16(a.body), exp_le16(a.body + 2));
	c->max_fds = 1;
	if (a.len <= 5)
		return 0;
	r = exp_json_parse((const char *)a.body + 4, a.len - 5, CL_MAX_BODY, &doc, err);
	if (r < 0)
		return exp_error_wrap(err, r, "version");
	c->max_fds = (uint32_t)exp_json_u64(
		exp_json_get(exp_json_get(doc, "capabilities"), "max_msg_fds"), 1);
	if (!c->max_fds || c->max_fds > CL_MAX_FDS)
		c->max_fds = CL_MAX_FDS;
	return 0;
}

static int region_info(struct emu_client *c, uint32_t index, uint32_t argsz, struct cl_answer *a,
		       struct exp_error *err)
{
	uint8_t b[64] = { 0 };
	int r;

	exp_put_le32(b, argsz);
	exp_put_le32(b + 8, index);
	r = ask(c, (struct cl_request){ CL_REGION_INFO, b, argsz, NULL, 0 }, a, err);
	if (r < 0)
		return exp_error_wrap(err, r, "region %u", index);
	if (a->len >= 32)
		return 0;
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	return exp_error_set(err, EXP_CODE_DEVICE_DATA, EPROTO,
			     "region %u is described in %zu bytes, expected 32", index, a->len);
}

/* The sparse area, if there is one and the doorbells are in it. */
static int map_doorbells(struct emu_client *c, const struct cl_answer *a, int fd,
			 struct exp_error *err)
{
	uint32_t cap = exp_le32(a->body + 12);
	uint64_t area, size;

	if (fd < 0 || cap < 32 || cap > a->len || a->len - cap < 32 ||
	    exp_le16(a->body + cap) != 1 || exp_le32(a->body + cap + 8) != 1)
		return exp_error_set(
			err, EXP_CODE_DEVICE_DATA, EPROTO,
			"BAR0 says it can be mapped but not one area of it, or no file");
	area = exp_le64(a->body + cap + 16);
	size = exp_le64(a->body + cap + 24);
	if (area > DOORBELLS || size > BAR_MAX_AREA || area + size < DOORBELLS + DOORBELL_LEN)
		return exp_error_set(
			err, EXP_CODE_DEVICE_DATA, EPROTO,
			"BAR0 can be mapped at %llxh for %llxh bytes: no doorbells there",
			(unsigned long long)area, (unsigned long long)size);
	c->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      (off_t)(exp_le64(a->body + 24) + area));
	if (c->map == MAP_FAILED) {
		c->map = NULL;
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "map the doorbells: %s",
				     strerror(errno));
	}
	c->map_len = size;
	c->page = (uint32_t *)((uint8_t *)c->map + (DOORBELLS - area));
	return 0;
}

static int learn_bar0(struct emu_client *c, struct exp_error *err)
{
	struct cl_answer a;
	int r = region_info(c, REGION_BAR0, 32, &a, err);

	if (r < 0)
		return r;
	if (a.fd >= 0)
		close(a.fd);
	if (exp_le64(a.body + 16) < DOORBELLS + DOORBELL_LEN)
		return exp_error_set(err, EXP_CODE_DEVICE_DATA, EPROTO,
				     "BAR0 has %llu bytes, an NVMe controller at least %u",
				     (unsigned long long)exp_le64(a.body + 16),
				     DOORBELLS + DOORBELL_LEN);
	if (!(exp_le32(a.body + 4) & 4))
		return 0;
	r = region_info(c, REGION_BAR0, 64, &a, err);
	if (r < 0)
		return r;
	r = map_doorbells(c, &a, a.fd, err);
	if (a.fd >= 0)
		close(a.fd);
	return r;
}

/* Walks the capability list to MSI-X; the list is the device's word, so it is bounded. */
static int learn_msix(struct emu_client *c, struct exp_error *err)
{
	uint8_t cfg[256];
	unsigned int at;
	int r = emu_client_cfg_read(c, 0, cfg, sizeof(cfg), err);

	if (r < 0)
		return r;
	if (exp_le32(cfg + 8) >> 8 != 0x010802)
		return exp_error_set(err, EXP_CODE_DEVICE_DATA, ENODEV,
				     "class code %06xh, an NVMe controller has 010802h",
				     exp_le32(cfg + 8) >> 8);
	at = cfg[0x34];
	for (int left = 48; at >= 0x40 && at <= 0xf4 && left; left--, at = cfg[at + 1]) {
		if (cfg[at] != 0x11)
			continue;
		c->msix_ctrl = (uint16_t)(at + 2);
		c->vectors = (uint16_t)((exp_le16(cfg + at + 2) & 0x7ff) + 1);
		break;
	}
	return 0;
}

int emu_client_open(const char *dir, struct emu_client **ret, struct exp_error *err)
{
	EXP_CLEANUP(emu_client_closep) struct emu_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	pthread_mutex_init(&c->lock, NULL);
	c->sock.fd = -1;
	r = cl_sock_connect(&c->sock, dir, err);
	if (!r)
		r = negotiate(c, err);
	if (!r)
		r = learn_bar0(c, err);
	if (!r)
		r = learn_msix(c, err);
	if (r < 0)
		return r;
	*ret = EXP_TAKE(c);
	return 0;
}

void emu_client_close(struct emu_client *c)
{
	if (!c)
		return;
	if (c->map)
		munmap(c->map, c->map_len);
	cl_sock_close(&c->sock);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int emu_client_fd(const struct emu_client *c)
{
	return c->sock.fd;
}

bool emu_client_gone(struct emu_client *c)
{
	char b;

	if (c->sock.dead)
		return true;
	/* only with the lock is nobody else reading an answer from this socket */
	if (pthread_mutex_trylock(&c->lock))
		return false;
	if (!c->sock.dead && !recv(c->sock.fd, &b, 1, MSG_PEEK | MSG_DONTWAIT))
		c->sock.dead = true;
	pthread_mutex_unlock(&c->lock);
	return c->sock.dead;
}

bool emu_client_mapped(const struct emu_client *c)
{
	return c->page != NULL;
}

uint16_t emu_client_vectors(const struct emu_client *c)
{
	return c->vectors;
}

int emu_client_map(struct emu_client *c, int fd, uint64_t offset, uint64_t iova, uint64_t len,
		   struct exp_error *err)
{
	struct cl_answer a;
	uint8_t b[32];
	int r;

	exp_put_le32(b, sizeof(b));
	exp_put_le32(b + 4, 3);
	exp_put_le64(b + 8, offset);
	exp_put_le64(b + 16, iova);
	exp_put_le64(b + 24, len);
	r = ask_plain(c, (struct cl_request){ CL_DMA_MAP, b, sizeof(b), &fd, 1 }, &a, 0, err);
	return r < 0 ? exp_error_wrap(err, r, "map %llxh", (unsigned long long)iova) : 0;
}

int emu_client_unmap(struct emu_client *c, uint64_t iova, uint64_t len, struct exp_error *err)
{
	struct cl_answer a;
	uint8_t b[24];
	int r;

	exp_put_le32(b, sizeof(b));
	exp_put_le32(b + 4, 0);
	exp_put_le64(b + 8, iova);
	exp_put_le64(b + 16, len);
	r = ask_plain(c, (struct cl_request){ CL_DMA_UNMAP, b, sizeof(b), NULL, 0 }, &a, 24, err);
	return r < 0 ? exp_error_wrap(err, r, "unmap %llxh", (unsigned long long)iova) : 0;
}

static int region_read(struct emu_client *c, uint32_t region, uint64_t off, void *dst, uint32_t len,
		       struct exp_error *err)
{
	struct cl_answer a;
	uint8_t b[16];
	int r;

	if (len > CL_MAX_BODY - 16)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "%u bytes of a region in one read, at most %u are possible",
				     len, CL_MAX_BODY - 16);
	exp_put_le64(b, off);
	exp_put_le32(b + 8, region);
	exp_put_le32(b + 12, len);
	r = ask_plain(c, (struct cl_request){ CL_REGION_READ, b, sizeof(b), NULL, 0 }, &a, 16 + len,
		      err);
	if (r < 0)
		return r;
	memcpy(dst, a.body + 16, len);
	return 0;
}

static int region_write(struct emu_client *c, uint32_t region, uint64_t off, const void *src,
			uint32_t len, struct exp_error *err)
{
	struct cl_answer a;
	uint8_t b[16 + 256];

	if (len > sizeof(b) - 16)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "%u bytes of a region in one write, at most %zu are possible",
				     len, sizeof(b) - 16);
	exp_put_le64(b, off);
	exp_put_le32(b + 8, region);
	exp_put_le32(b + 12, len);
	memcpy(b + 16, src, len);
	/* always with an answer: a mapped doorbell is not ordered against messages */
	return ask_plain(c, (struct cl_request){ CL_REGION_WRITE, b, 16 + len, NULL, 0 }, &a, 16,
			 err);
}

int emu_client_reg_read(struct emu_client *c, uint32_t off, unsigned int len, uint64_t *ret,
			struct exp_error *err)
{
	uint8_t b[8] = { 0 };
	int r = region_read(c, REGION_BAR0, off, b, EXP_MIN(len, sizeof(b)), err);

	if (r < 0)
		return exp_error_wrap(err, r, "read register %xh", off);
	*ret = exp_le64(b);
	return 0;
}

int emu_client_reg_write(struct emu_client *c, uint32_t off, unsigned int len, uint64_t val,
			 struct exp_error *err)
{
	uint8_t b[8];
	int r;

	exp_put_le64(b, val);
	r = region_write(c, REGION_BAR0, off, b, EXP_MIN(len, sizeof(b)), err);
	return r < 0 ? exp_error_wrap(err, r, "write register %xh", off) : 0;
}

int emu_client_cfg_read(struct emu_client *c, uint32_t off, void *dst, uint32_t len,
			struct exp_error *err)
{
	int r = region_read(c, REGION_CFG, off, dst, len, err);

	return r < 0 ? exp_error_wrap(err, r, "read configuration space %xh", off) : 0;
}

int emu_client_cfg_write(struct emu_client *c, uint32_t off, const void *src, uint32_t len,
			 struct exp_error *err)
{
	int r = region_write(c, REGION_CFG, off, src, len, err);

	return r < 0 ? exp_error_wrap(err, r, "write configuration space %xh", off) : 0;
}

/* Sets or clears @bits of the 16-bit configuration register at @off. */
static int cfg_bits(struct emu_client *c, uint32_t off, uint16_t bits, bool on,
		    struct exp_error *err)
{
	uint8_t b[2];
	int r = emu_client_cfg_read(c, off, b, sizeof(b), err);
	uint16_t val;

	if (r < 0)
		return r;
	val = exp_le16(b);
	exp_put_le16(b, (uint16_t)(on ? val | bits : val & ~bits));
	return emu_client_cfg_write(c, off, b, sizeof(b), err);
}

int emu_client_bus_master(struct emu_client *c, bool on, struct exp_error *err)
{
	int r = on ? cfg_bits(c, 0x04, 0x0002, true, err) : 0;

	return r < 0 ? r : cfg_bits(c, 0x04, 0x0004, on, err);
}

int emu_client_msix(struct emu_client *c, bool on, struct exp_error *err)
{
	if (!c->msix_ctrl)
		return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, ENOTSUP,
				     "the function has no MSI-X capability");
	return cfg_bits(c, c->msix_ctrl, 0x8000, on, err);
}

int emu_client_irqs(struct emu_client *c, uint16_t start, const int *fds, uint16_t n,
		    struct exp_error *err)
{
	while (n) {
		uint16_t part = (uint16_t)(fds ? EXP_MIN(n, c->max_fds) : n);
		struct cl_answer a;
		uint8_t b[20];
		int r;

		exp_put_le32(b, sizeof(b));
		exp_put_le32(b + 4, 0x24); /* eventfds, trigger */
		exp_put_le32(b + 8, IRQ_MSIX);
		exp_put_le32(b + 12, start);
		exp_put_le32(b + 16, part);
		r = ask_plain(c,
			      (struct cl_request){ CL_SET_IRQS, b, sizeof(b), fds, fds ? part : 0 },
			      &a, 0, err);
		if (r < 0)
			return exp_error_wrap(err, r, "MSI-X vectors %u to %u", start,
					      start + part - 1);
		start = (uint16_t)(start + part);
		n = (uint16_t)(n - part);
		if (fds)
			fds += part;
	}
	return 0;
}

int emu_client_reset(struct emu_client *c, struct exp_error *err)
{
	struct cl_answer a;
	int r = ask_plain(c, (struct cl_request){ CL_RESET, NULL, 0, NULL, 0 }, &a, 0, err);

	return r < 0 ? exp_error_wrap(err, r, "reset") : 0;
}

int emu_client_ring(struct emu_client *c, uint16_t qid, bool cq, uint16_t val)
{
	uint32_t index = 2u * qid + (cq ? 1 : 0);
	uint8_t b[4];

	if (index >= DOORBELL_LEN / 4)
		return -EINVAL;
	if (c->page) {
		/* the entry in memory before the doorbell that announces it */
		__atomic_store_n(&c->page[index], htole32(val), __ATOMIC_RELEASE);
		return 0;
	}
	exp_put_le32(b, val);
	return region_write(c, REGION_BAR0, DOORBELLS + 4 * index, b, sizeof(b), NULL);
}
