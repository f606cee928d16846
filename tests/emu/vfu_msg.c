/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfu_msg.c - the commands of vfio-user 0.1: what is asked, what is answered
 *
 * A handler gets a body of at least its minimum length and returns 0, having filled the reply, or a
 * negative errno, which becomes a bare error header. Clients differ in how long a request is (SPDK
 * pads one with 4 KiB of zeros), so only a body that is too short is an error. Lengths and indices
 * are checked here, before anybody else sees them.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/le.h"
#include "base/log.h"
#include "emu/vfu_int.h"

#define FLAG_REPLY    0x01u
#define FLAG_NO_REPLY 0x10u
#define FLAG_ERROR    0x20u

#define REGION_READ_WRITE 0x3u
#define REGION_MMAP       0x4u
#define REGION_CAPS       0x8u
#define REGION_INFO       32u /* bytes without the capability */
#define REGION_SPARSE     32u /* a sparse-mmap capability with one area */

#define UNMAP_ALL 0x2u

typedef int (*handler)(struct vfu *v, struct vfu_msg *m, struct vfu_reply *rp);

/* The answer of every version: 85 bytes with header, which is shorter than QEMU's request; it reads
 * the reply into that buffer. Nothing is offered that this server does not do. */
static const char capabilities[] =
	"{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576}}";

/* Well-formed JSON, one object, "capabilities" an object if it is there; unknown members are legal.
 */
static int check_json(const uint8_t *p, size_t len)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *doc = NULL;
	const struct exp_json *caps;
	int r;

	if (len > VFU_MAX_JSON || p[len - 1] != '\0')
		return -EINVAL;
	r = exp_json_parse((const char *)p, len - 1, VFU_MAX_JSON, &doc, NULL);
	if (r < 0)
		return -EINVAL;
	if (exp_json_type(doc) != EXP_JSON_OBJECT)
		return -EINVAL;
	caps = exp_json_get(doc, "capabilities");
	return !caps || exp_json_type(caps) == EXP_JSON_OBJECT ? 0 : -EINVAL;
}

static int cmd_version(struct vfu *v, struct vfu_msg *m, struct vfu_reply *rp)
{
	uint16_t major = exp_le16(m->body), minor = exp_le16(m->body + 2);
	int r = 0;

	if (v->conn == VFU_UP || m->n_fds || major != 0)
		r = -EINVAL;
	else if (m->len > 4)
		r = check_json(m->body + 4, m->len - 4);
	if (r < 0) {
		v->doomed = true; /* nothing to go on from, also when it comes a second time */
		return r;
	}
	exp_put_le16(rp->body, 0);
	exp_put_le16(rp->body + 2, EXP_MIN(minor, 1));
	memcpy(rp->body + 4, capabilities, sizeof(capabilities));
	rp->len = 4 + sizeof(capabilities);
	v->conn = VFU_UP;
	if (v->ops->connected)
		v->ops->connected(v->arg);
	return 0;
}

static int cmd_dma_map(struct vfu *v, struct vfu_msg *m, struct vfu_reply *rp)
{
	struct vfu_map want = {
		.flags = exp_le32(m->body + 4),
		.offset = exp_le64(m->body + 8),
		.iova = exp_le64(m->body + 16),
		.len = exp_le64(m->body + 24),
	};

	(void)rp;
	if (exp_le32(m->body) < 32 || m->n_fds > 1 || (!m->n_fds && want.offset))
		return -EINVAL;
	/* the mapping keeps the file; the descriptor is closed with the message */
	return vfu_dma_map(v, &want, m->n_fds ? m->fds[0] : -1);
}

static int cmd_dma_unmap(struct vfu *v, struct vfu_msg *m, struct vfu_reply *rp)
{
	uint32_t flags = exp_le32(m->body + 4);
	uint64_t iova = exp_le64(m->body + 8), len = exp_le64(m->body + 16);
	int r = 0;

	if (exp_le32(m->body) < 24)
		return -EINVAL;
	if (flags == UNMAP_ALL && !iova && !len)
		vfu_dma_unmap_all(v, true);
	else if (!flags)
		r = vfu_dma_unmap(v, iova, len);
	else
		r = -EINVAL;
	if (r < 0)
		return r;
	memcpy(rp->body, m->body, 24);
	rp->len = 24;
	return 0;
}

static int cmd_get_info(struct vfu *v, struct vfu_msg *m, struct vfu_reply *rp)
{
	/* Cloud Hypervisor sends a trailing capability offset and waits for it to come back */
	uint32_t len = m->len >= 20 ? 20 : 16;

	(void)v;
	if (exp_le32(m->body) < 16)
		return -EINVAL;
	exp_put_le32(rp->body, len);
	exp_put_le32(rp->body + 4, 3); /* can be reset, is PCI */
	exp_put_le32(rp->body + 8, VFU_REGIONS);
	exp_put_le32(rp->body + 12, 5); /* interrupt types */
	exp_put_le32(rp->body + 16, 0);
	rp->len = len;
	return 0;
}

/* id 1, version 1, last capability; one area; its place in the region */
static void sparse_area(uint8_t *p, uint64_t off, uint64_t size)
{
	exp_put_le16(p, 1);
	exp_put_le16(p + 2, 1);
	exp_put_le32(p + 4, 0);
	exp_put_le32(p + 8, 1);
	exp_put_le32(p + 12, 0);
	exp_put_le64(p + 16, off);
	exp_put_le64(p + 24, size);
}

static int cmd_region_info(struct vfu *v, struct vfu_msg *m, struct vfu_reply *rp)
{
	uint32_t room = exp_le32(m->body), index = exp_le32(m->body + 8);
	uint32_t flags = 0, need = REGION_INFO, cap = 0;
	uint64_t size = 0;

	if (room < REGION_INFO || index >= VFU_REGIONS)
		return -EINVAL;
	if (index == VFU_REGION_BAR0) {
		size = VFU_BAR0_SIZE;
		flags = REGION_READ_WRITE;
		if (v->map_doorbells) {
			flags |= REGION_MMAP;
			need += REGION_SPARSE;
		}
	} else if (index == VFU_REGION_CFG) {
		size = VFU_CFG_SIZE;
		flags = REGION_READ_WRITE;
	}
	rp->len = REGION_INFO;
	if (need > REGION_INFO && room >= need) {
		/* exactly one area and one descriptor: the clients agree on nothing else */
		flags |= REGION_CAPS;
		cap = REGION_INFO;
		sparse_area(rp->body + cap, VFU_DOORBELLS, VFU_DOORBELL_BYTES);
		rp->len = need;
		rp->fd = v->page_fd;
	}
	exp_put_le32(rp->body, need);
	exp_put_le32(rp->body + 4, flags);
	exp_put_le32(rp->body + 8, index);
	exp_put_le32(rp->body + 12, cap);
	exp_put_le64(rp->body + 16, size);
	exp_put_le64(rp->body + 24, 0);
	return 0;
}

static int cmd_region_io_fds(struct vfu *v, struct vfu_msg *m, struct vfu_reply *rp)
{
	uint32_t index = exp_le32(m->body + 8);

	(void)v;
	if (exp_le32(m->body) < 16 || index >= VFU_REGIONS)
		return -EINVAL;
	exp_put_le32(rp->body, 16);
	exp_put_le32(rp->body + 4, 0);
	exp_put_le32(rp->body + 8, index);
	exp_put_le32(rp->body + 12, 0); /* none */
	rp->len = 16;
	return 0;
}

static int cmd_irq_info(struct vfu *v, struct vfu_msg *m, struct vfu_reply *rp)
{
	uint32_t index = exp_le32(m->body + 8), count = vfu_irqs_count(v, index);

	if (exp_le32(m->body) < 16 || count == UINT32_MAX)
		return -EINVAL;
	exp_put_le32(rp->body, 16);
	exp_put_le32(rp->body + 4, 1); /* by eventfd */
	exp_put_le32(rp->body + 8, index);
	exp_put_le32(rp->body + 12, count);
	rp->len = 16;
	return 0;
}

static int cmd_set_irqs(struct vfu *v, struct vfu_msg *m, struct vfu_reply *rp)
{
	(void)rp;
	return vfu_irqs_set(v, m);
}

/* 0 when [off, off+count) lies in the region */
static int check_access(uint64_t off, uint32_t region, uint32_t count)
{
	uint64_t size = region == VFU_REGION_BAR0  ? VFU_BAR0_SIZE
			: region == VFU_REGION_CFG ? VFU_CFG_SIZE
						   : 0;

	return off > size || count > size - off || !size ? -EINVAL : 0;
}

static int cmd_region_read(struct vfu *v, struct vfu_msg *m, struct vfu_reply *rp)
{
	uint64_t off = exp_le64(m->body);
	uint32_t region = exp_le32(m->body + 8), count = exp_le32(m->body + 12);
	int r = check_access(off, region, count);

	if (r < 0)
		return r;
	memcpy(rp->body, m->body, 16);
	if (region == VFU_REGION_CFG)
		vfu_cfg_read(v, (uint32_t)off, rp->body + 16, count);
	else
		vfu_bar_read(v, (uint32_t)off, rp->body + 16, count);
	rp->len = 16 + count;
	return 0;
}

static int cmd_region_write(struct vfu *v, struct vfu_msg *m, struct vfu_reply *rp)
{
	uint64_t off = exp_le64(m->body);
	uint32_t region = exp_le32(m->body + 8), count = exp_le32(m->body + 12);
	int r = check_access(off, region, count);

	if (r < 0)
		return r;
	if (m->len - 16 != count)
		return -EINVAL;
	if (region == VFU_REGION_CFG)
		vfu_cfg_write(v, (uint32_t)off, m->body + 16, count);
	else
		vfu_bar_write(v, (uint32_t)off, m->body + 16, count);
	memcpy(rp->body, m->body, 16);
	rp->len = 16;
	return 0;
}

static int cmd_reset(struct vfu *v, struct vfu_msg *m, struct vfu_reply *rp)
{
	(void)m;
	(void)rp;
	vfu_device_reset(v);
	return 0;
}

/* Absent: 11 and 12 go the other way, 14 was removed, 15 to 18 are not offered. */
static const struct {
	handler fn;
	size_t min; /* bytes of body */
} commands[] = {
	[1] = { cmd_version, 4 },      [2] = { cmd_dma_map, 32 },
	[3] = { cmd_dma_unmap, 24 },   [4] = { cmd_get_info, 16 },
	[5] = { cmd_region_info, 32 }, [6] = { cmd_region_io_fds, 16 },
	[7] = { cmd_irq_info, 16 },    [8] = { cmd_set_irqs, 20 },
	[9] = { cmd_region_read, 16 }, [10] = { cmd_region_write, 16 },
	[13] = { cmd_reset, 0 },
};

static int dispatch(struct vfu *v, struct vfu_msg *m, struct vfu_reply *rp)
{
	if (v->conn == VFU_GREETING && m->cmd != 1)
		return -EINVAL;
	if (m->cmd >= EXP_ARRAY_SIZE(commands) || !commands[m->cmd].fn)
		return -EINVAL;
	if (m->len < commands[m->cmd].min)
		return -EINVAL;
	return commands[m->cmd].fn(v, m, rp);
}

void vfu_msg_handle(struct vfu *v, struct vfu_msg *m)
{
	struct vfu_reply rp = { .body = v->out + VFU_HEADER, .fd = -1 };
	int r = dispatch(v, m, &rp);

	if (r < 0 && v->conn == VFU_GREETING)
		v->doomed = true; /* the first message was no agreement */
	for (size_t i = 0; i < m->n_fds; i++) {
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	}
	m->n_fds = 0;
	if (r < 0)
		exp_log(LOG_DEBUG, "vfio-user command refused", kv_u("command", m->cmd),
			kv_i("rc", r));
	if (m->flags & FLAG_NO_REPLY)
		return;
	v->out_len = VFU_HEADER + (r < 0 ? 0 : rp.len);
	v->out_sent = 0;
	v->out_fd = r < 0 ? -1 : rp.fd;
	exp_put_le16(v->out, m->id);
	exp_put_le16(v->out + 2, m->cmd);
	exp_put_le32(v->out + 4, (uint32_t)v->out_len);
	exp_put_le32(v->out + 8, r < 0 ? FLAG_REPLY | FLAG_ERROR : FLAG_REPLY);
	exp_put_le32(v->out + 12, r < 0 ? (uint32_t)-r : 0);
}
