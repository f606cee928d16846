/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/le.h"
#include "device/reach_vfio_user.h"
#include "device/vfu.h"

#define DMA_READ_WRITE   0x3u
#define SET_IRQS_EVENTFD 0x24u  /* data: descriptors; action: trigger */
#define SLOW_TIMEOUT_MS  30000u /* unmapping waits for I/O in flight */

#define PCI_COMMAND     0x04u
#define PCI_COMMAND_ON  0x0406u /* memory, bus master, no INTx */
#define PCI_STATUS_CAPS 0x00100000u
#define PCI_CAP_PTR     0x34u
#define PCI_CAP_MSIX    0x11u
#define PCI_MSIX_ENABLE 0x8000u
#define PCI_MSIX_MASK   0x4000u

static struct exp_vfu *vfu_of(struct exp_reach *r)
{
	return (struct exp_vfu *)r;
}

static int region_read(struct exp_vfu *v, uint32_t region, uint64_t off, void *p, uint32_t n,
		       struct exp_error *err)
{
	uint8_t body[16], reply[16 + 8];
	struct exp_vfu_call call = {
		.command = EXP_VFU_REGION_READ,
		.body = body,
		.body_bytes = sizeof(body),
		.reply = reply,
		.reply_cap = 16 + n,
		.reply_min = 16 + n,
	};
	int r;

	exp_put_le64(body, off);
	exp_put_le32(body + 8, region);
	exp_put_le32(body + 12, n);
	r = exp_vfu_call(v->conn, &call, err);
	if (r < 0)
		return exp_error_wrap(err, r, "read %u bytes of region %u at %#" PRIx64, n, region,
				      off);
	if (exp_le32(reply + 12) != n)
		return exp_error_set(err, EXP_CODE_DEVICE_DATA, EPROTO,
				     "read of region %u at %#" PRIx64
				     ": %u bytes came, %u asked for",
				     region, off, exp_le32(reply + 12), n);
	memcpy(p, reply + 16, n);
	return 0;
}

static int region_write(struct exp_vfu *v, uint32_t region, uint64_t off, const void *p, uint32_t n,
			struct exp_error *err)
{
	uint8_t body[16 + 8], reply[16];
	/* with a reply, always: the failure of a posted write would be lost */
	struct exp_vfu_call call = {
		.command = EXP_VFU_REGION_WRITE,
		.body = body,
		.body_bytes = 16 + n,
		.reply = reply,
		.reply_cap = sizeof(reply),
	};
	int r;

	exp_put_le64(body, off);
	exp_put_le32(body + 8, region);
	exp_put_le32(body + 12, n);
	memcpy(body + 16, p, n);
	r = exp_vfu_call(v->conn, &call, err);
	if (r < 0)
		return exp_error_wrap(err, r, "write %u bytes of region %u at %#" PRIx64, n, region,
				      off);
	return 0;
}

static int check_access(const struct exp_vfu *v, uint32_t region, uint64_t off, unsigned int n,
			struct exp_error *err)
{
	uint64_t end = region == EXP_VFU_REGION_BAR0 ? v->bar0_bytes : v->cfg_bytes;

	if (n > 8 || n & (n - 1) || off % n || off + n > end)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "%u bytes at %#" PRIx64 " of a region of %" PRIu64 " bytes", n,
				     off, end);
	return 0;
}

static int reg_read(struct exp_reach *r, uint32_t off, unsigned int width, uint64_t *ret,
		    struct exp_error *err)
{
	uint8_t b[8] = { 0 };
	int e = check_access(vfu_of(r), EXP_VFU_REGION_BAR0, off, width, err);

	if (e == 0)
		e = region_read(vfu_of(r), EXP_VFU_REGION_BAR0, off, b, width, err);
	if (e == 0)
		*ret = exp_le64(b);
	return e;
}

static int reg_write(struct exp_reach *r, uint32_t off, unsigned int width, uint64_t value,
		     struct exp_error *err)
{
	uint8_t b[8];
	int e = check_access(vfu_of(r), EXP_VFU_REGION_BAR0, off, width, err);

	exp_put_le64(b, value);
	return e < 0 ? e : region_write(vfu_of(r), EXP_VFU_REGION_BAR0, off, b, width, err);
}

static int cfg_read(struct exp_reach *r, uint32_t off, unsigned int n, uint32_t *ret,
		    struct exp_error *err)
{
	uint8_t b[8] = { 0 };
	int e = check_access(vfu_of(r), EXP_VFU_REGION_CONFIG, off, n, err);

	if (e == 0)
		e = region_read(vfu_of(r), EXP_VFU_REGION_CONFIG, off, b, n, err);
	if (e == 0)
		*ret = exp_le32(b);
	return e;
}

static int cfg_write(struct exp_reach *r, uint32_t off, unsigned int n, uint32_t value,
		     struct exp_error *err)
{
	uint8_t b[8];
	int e = check_access(vfu_of(r), EXP_VFU_REGION_CONFIG, off, n, err);

	exp_put_le64(b, value);
	return e < 0 ? e : region_write(vfu_of(r), EXP_VFU_REGION_CONFIG, off, b, n, err);
}

static int doorbell(struct exp_reach *r, uint32_t off, uint32_t value, struct exp_error *err)
{
	struct exp_vfu *v = vfu_of(r);
	uint8_t b[4];
	int e = check_access(v, EXP_VFU_REGION_BAR0, off, 4, err);

	if (e < 0)
		return e;
	if (v->map && off >= v->map_off && off + 4 <= v->map_off + v->map_bytes) {
		uint32_t *db = (uint32_t *)(void *)(v->map + (off - v->map_off));

		if (exp_vfu_lost(v->conn))
			return exp_error_set(err, EXP_CODE_DEVICE_GONE, ENODEV,
					     "the connection to the device is lost");
		__atomic_store_n(db, htole32(value), __ATOMIC_RELEASE);
		return 0;
	}
	exp_put_le32(b, value);
	return region_write(v, EXP_VFU_REGION_BAR0, off, b, 4, err);
}

static int dma_map(struct exp_reach *r, int fd, uint64_t fd_off, uint64_t iova, uint64_t bytes,
		   struct exp_error *err)
{
	uint8_t body[32];
	struct exp_vfu_call call = {
		.command = EXP_VFU_DMA_MAP,
		.body = body,
		.body_bytes = sizeof(body),
		.fds = &fd,
		.n_fds = 1,
	};
	int e;

	exp_put_le32(body, sizeof(body));
	exp_put_le32(body + 4, DMA_READ_WRITE);
	exp_put_le64(body + 8, fd_off);
	exp_put_le64(body + 16, iova);
	exp_put_le64(body + 24, bytes);
	e = exp_vfu_call(vfu_of(r)->conn, &call, err);
	return e < 0 ? exp_error_wrap(err, e, "map %" PRIu64 " bytes at %#" PRIx64, bytes, iova)
		     : 0;
}

static int dma_unmap(struct exp_reach *r, uint64_t iova, uint64_t bytes, struct exp_error *err)
{
	uint8_t body[24] = { 0 };
	struct exp_vfu_call call = {
		.command = EXP_VFU_DMA_UNMAP,
		.body = body,
		.body_bytes = sizeof(body),
		.timeout_ms = SLOW_TIMEOUT_MS,
	};
	int e;

	exp_put_le32(body, sizeof(body));
	exp_put_le64(body + 8, iova);
	exp_put_le64(body + 16, bytes);
	e = exp_vfu_call(vfu_of(r)->conn, &call, err);
	return e < 0 ? exp_error_wrap(err, e, "unmap %" PRIu64 " bytes at %#" PRIx64, bytes, iova)
		     : 0;
}

/* In portions of what the server can receive in one message. */
static int irq_attach(struct exp_reach *r, unsigned int first, const int *fds, unsigned int n,
		      struct exp_error *err)
{
	struct exp_vfu *v = vfu_of(r);

	if (first > r->n_vectors || n > r->n_vectors - first)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "vectors %u to %u of a device that has %u", first,
				     first + n - 1, r->n_vectors);
	while (n) {
		unsigned int part = (unsigned int)EXP_MIN((size_t)n, v->max_fds);
		uint8_t body[20];
		struct exp_vfu_call call = {
			.command = EXP_VFU_SET_IRQS,
			.body = body,
			.body_bytes = sizeof(body),
			.fds = fds,
			.n_fds = part,
		};
		int e;

		exp_put_le32(body, sizeof(body));
		exp_put_le32(body + 4, SET_IRQS_EVENTFD);
		exp_put_le32(body + 8, EXP_VFU_IRQ_MSIX);
		exp_put_le32(body + 12, first);
		exp_put_le32(body + 16, part);
		e = exp_vfu_call(v->conn, &call, err);
		if (e < 0)
			return exp_error_wrap(err, e, "attach MSI-X vectors %u to %u", first,
					      first + part - 1);
		first += part;
		fds += part;
		n -= part;
	}
	return 0;
}

static int service(struct exp_reach *r, struct exp_error *err)
{
	return exp_vfu_service(vfu_of(r)->conn, err);
}

static bool lost(const struct exp_reach *r)
{
	return exp_vfu_lost(((const struct exp_vfu *)r)->conn);
}

static void close_reach(struct exp_reach *r)
{
	struct exp_vfu *v = vfu_of(r);

	if (v->map)
		munmap(v->map, v->map_bytes);
	exp_vfu_conn_free(v->conn);
	free(v);
}

static const struct exp_reach_ops vfio_user_ops = {
	.name = "vfio-user",
	.reg_read = reg_read,
	.reg_write = reg_write,
	.doorbell = doorbell,
	.cfg_read = cfg_read,
	.cfg_write = cfg_write,
	.dma_map = dma_map,
	.dma_unmap = dma_unmap,
	.irq_attach = irq_attach,
	.service = service,
	.lost = lost,
	.close = close_reach,
};

/* Finds the MSI-X capability and turns it on; a function without one is polled. */
static int enable_msix(struct exp_vfu *v, struct exp_error *err)
{
	uint32_t status, at, cap;
	int r = cfg_read(&v->reach, PCI_COMMAND, 4, &status, err);

	if (r < 0)
		return r;
	if (!(status & PCI_STATUS_CAPS)) {
		v->reach.n_vectors = 0;
		return 0;
	}
	r = cfg_read(&v->reach, PCI_CAP_PTR, 1, &at, err);
	for (int hops = 0; r == 0 && at >= 0x40 && hops < 48; hops++) {
		r = cfg_read(&v->reach, at & 0xfcu, 4, &cap, err);
		if (r < 0)
			return r;
		if ((cap & 0xff) == PCI_CAP_MSIX) {
			uint32_t control = cap >> 16;

			control = (control | PCI_MSIX_ENABLE) & ~PCI_MSIX_MASK;
			return cfg_write(&v->reach, (at & 0xfcu) + 2, 2, control, err);
		}
		at = cap >> 8 & 0xff;
	}
	v->reach.n_vectors = 0;
	return r;
}

static int bus_master_on(struct exp_vfu *v, struct exp_error *err)
{
	uint32_t command;
	int r = cfg_read(&v->reach, PCI_COMMAND, 2, &command, err);

	return r < 0 ? r : cfg_write(&v->reach, PCI_COMMAND, 2, command | PCI_COMMAND_ON, err);
}

/* Takes @conn, also on failure. */
static int set_up(struct exp_vfu_conn *conn, struct exp_reach **ret, struct exp_error *err)
{
	struct exp_vfu *v = calloc(1, sizeof(*v));
	int r;

	if (!v) {
		exp_vfu_conn_free(conn);
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "vfio-user device");
	}
	v->conn = conn;
	v->reach.ops = &vfio_user_ops;
	v->reach.wait_fd = exp_vfu_fd(conn);
	r = exp_vfu_discover(v, err);
	if (r == 0)
		r = enable_msix(v, err);
	if (r == 0)
		r = bus_master_on(v, err);
	if (r < 0) {
		close_reach(&v->reach);
		return r;
	}
	*ret = &v->reach;
	return 0;
}

int exp_reach_vfio_user_attach(int fd, struct exp_reach **ret, struct exp_error *err)
{
	struct exp_vfu_conn *conn;
	int r = exp_vfu_conn_new(fd, &conn, err);

	return r < 0 ? r : set_up(conn, ret, err);
}

int exp_reach_vfio_user_open(const char *dir, struct exp_reach **ret, struct exp_error *err)
{
	struct exp_vfu_conn *conn;
	char path[PATH_MAX];
	int r, n;

	n = snprintf(path, sizeof(path), "%s/cntrl", dir);
	if (n < 0 || (size_t)n >= sizeof(path))
		return exp_error_set(err, EXP_CODE_CONFIG, ENAMETOOLONG,
				     "vfio-user directory of %zu bytes", strlen(dir));
	r = exp_vfu_conn_connect(path, &conn, err);
	if (r == 0)
		r = set_up(conn, ret, err);
	return r < 0 ? exp_error_wrap(err, r, "vfio-user:%s", dir) : 0;
}
