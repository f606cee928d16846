/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_rig.h - an emulated SSD in a temporary directory and a client made of an array of bytes
 *
 * Commands are typed as dwords, as the specification prints them, so that a test does not lean on
 * the emulator's own names. All functions see the same memory at RIG_IOVA, as a guest and its VMM
 * would give it to the source and to the destination.
 */
#ifndef TEST_SSD_RIG_H
#define TEST_SSD_RIG_H

/* cmocka.h wants these first */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/le.h"
#include "emu/ssd.h"

#define RIG_IOVA  UINT64_C(0x10000000)
#define RIG_BYTES (8u << 20)
#define RIG_FNS   5

/* Where things lie in the memory: room for the queues of each function, then data. */
#define RIG_QUEUES(fn) ((size_t)(fn)*0x40000)
#define RIG_ASQ(fn)    (RIG_QUEUES(fn) + 0x0000)
#define RIG_ACQ(fn)    (RIG_QUEUES(fn) + 0x4000)
#define RIG_DATA       0x200000u
#define RIG_LIST       0x100000u /* PRP lists */
#define RIG_DEPTH      16        /* of the admin queues */

struct rig_fn {
	uint32_t db[1024];
	unsigned int irqs[8], wakes;
	bool master;
	uint32_t sq_tail, cq_head; /* of the admin queue, as the client keeps them */
	uint8_t phase;
};

struct rig;

struct rig_port {
	struct rig *rig;
	unsigned int i;
};

struct rig {
	char dir[64];
	struct ssd *ssd;
	uint8_t *mem;
	struct rig_fn fn[RIG_FNS];
	struct rig_port port[RIG_FNS];
	uint64_t hole, hole_len; /* offset of memory that is not mapped */
	uint64_t now_us;
};

/* One command: opcode, NSID and the dwords; data at RIG_DATA unless prp1 is given. */
struct rig_cmd {
	uint8_t opcode, flags;
	uint16_t cid;
	uint32_t nsid, cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
	uint64_t prp1, prp2;
};

static void *rig_dma(void *arg, uint64_t iova, uint64_t len, bool write)
{
	struct rig *r = ((struct rig_port *)arg)->rig;
	uint64_t off = iova - RIG_IOVA;

	(void)write;
	if (iova < RIG_IOVA || off > RIG_BYTES || len > RIG_BYTES - off)
		return NULL;
	if (r->hole_len && off < r->hole + r->hole_len && off + len > r->hole)
		return NULL;
	return r->mem + off;
}

static bool rig_dma_read(void *arg, uint64_t iova, void *dst, uint64_t len)
{
	void *p = rig_dma(arg, iova, len, false);

	if (p)
		memcpy(dst, p, len);
	return p;
}

static bool rig_dma_write(void *arg, uint64_t iova, const void *src, uint64_t len)
{
	void *p = rig_dma(arg, iova, len, true);

	if (p)
		memcpy(p, src, len);
	return p;
}

static bool rig_bus_master(void *arg)
{
	struct rig_port *p = arg;

	return p->rig->fn[p->i].master;
}

static void rig_irq(void *arg, uint16_t vector)
{
	struct rig_port *p = arg;

	p->rig->fn[p->i].irqs[vector % 8]++;
}

static void rig_wake(void *arg)
{
	struct rig_port *p = arg;

	p->rig->fn[p->i].wakes++;
}

static inline struct ssd_fn *rig_fn(struct rig *r, unsigned int i)
{
	return ssd_function(r->ssd, i);
}

static inline void rig_open(struct rig *r, const char *profile, bool power_cycle)
{
	struct ssd_config config = { .dir = r->dir,
				     .profile = profile,
				     .power_cycle = power_cycle };
	struct exp_error err = { 0 };

	if (ssd_open(&config, &r->ssd, &err) < 0)
		fail_msg("open: %s", err.msg);
	for (unsigned int i = 0; i < RIG_FNS; i++) {
		r->port[i] = (struct rig_port){ r, i };
		ssd_fn_bind(rig_fn(r, i), &(struct ssd_host){ .arg = &r->port[i],
							      .dma = rig_dma,
							      .dma_read = rig_dma_read,
							      .dma_write = rig_dma_write,
							      .bus_master = rig_bus_master,
							      .irq = rig_irq,
							      .wake = rig_wake });
		r->fn[i] = (struct rig_fn){ .master = true, .phase = 1 };
		ssd_fn_connected(rig_fn(r, i), r->fn[i].db);
	}
}

static inline struct rig *rig_new(const char *profile)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	snprintf(r->dir, sizeof(r->dir), "/tmp/ssd_rig.XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	r->mem = calloc(1, RIG_BYTES);
	assert_non_null(r->mem);
	r->now_us = 1000000;
	rig_open(r, profile, false);
	return r;
}

static inline void rig_free(struct rig *r)
{
	char cmd[128];

	ssd_close(r->ssd);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", r->dir);
	assert_int_equal(system(cmd), 0);
	free(r->mem);
	free(r);
}

static inline void rig_encode(const struct rig_cmd *c, uint8_t sqe[64])
{
	memset(sqe, 0, 64);
	sqe[0] = c->opcode;
	sqe[1] = c->flags;
	exp_put_le16(sqe + 2, c->cid);
	exp_put_le32(sqe + 4, c->nsid);
	exp_put_le64(sqe + 24, c->prp1 ? c->prp1 : RIG_IOVA + RIG_DATA);
	exp_put_le64(sqe + 32, c->prp2 ? c->prp2 : RIG_IOVA + RIG_DATA + 4096);
	exp_put_le32(sqe + 40, c->cdw10);
	exp_put_le32(sqe + 44, c->cdw11);
	exp_put_le32(sqe + 48, c->cdw12);
	exp_put_le32(sqe + 52, c->cdw13);
	exp_put_le32(sqe + 56, c->cdw14);
	exp_put_le32(sqe + 60, c->cdw15);
}

/* Execute at once, without a queue. */
static inline struct ssd_result rig_exec(struct rig *r, unsigned int fn, struct rig_cmd c)
{
	uint8_t sqe[64];

	rig_encode(&c, sqe);
	return ssd_exec(rig_fn(r, fn), sqe, r->now_us);
}

#define RIG(r, fn, ...) rig_exec((r), (fn), (struct rig_cmd){ __VA_ARGS__ })

/* SCT << 8 | SC, without DNR */
#define rig_status(res) ((res).status & 0x7FF)

#define rig_ok(r, fn, ...)                                           \
	({                                                           \
		struct ssd_result ok_ = RIG((r), (fn), __VA_ARGS__); \
		assert_int_equal(rig_status(ok_), 0);                \
		ok_.dw0;                                             \
	})

#define rig_fails(r, fn, want, ...)                                   \
	do {                                                          \
		struct ssd_result bad_ = RIG((r), (fn), __VA_ARGS__); \
		assert_int_equal(rig_status(bad_), (want));           \
	} while (0)

static inline uint8_t *rig_data(struct rig *r)
{
	return r->mem + RIG_DATA;
}

static inline void rig_clear(struct rig *r)
{
	memset(rig_data(r), 0, 0x10000);
}

/* CC.EN=1 with admin queues of RIG_DEPTH at their places, as a VMM does for a target too. */
static inline void rig_enable(struct rig *r, unsigned int fn)
{
	struct ssd_fn *f = rig_fn(r, fn);

	memset(r->mem + RIG_ACQ(fn), 0, 16 * RIG_DEPTH);
	ssd_reg_write(f, 0x24, (RIG_DEPTH - 1) << 16 | (RIG_DEPTH - 1), 4);
	ssd_reg_write(f, 0x28, RIG_IOVA + RIG_ASQ(fn), 8);
	ssd_reg_write(f, 0x30, RIG_IOVA + RIG_ACQ(fn), 8);
	ssd_reg_write(f, 0x14, 0x00460001, 4);
	assert_int_equal(ssd_reg_read(f, 0x1C, 4), 1);
	r->fn[fn].sq_tail = r->fn[fn].cq_head = 0;
	r->fn[fn].phase = 1;
}

static inline enum ssd_work rig_run(struct rig *r, unsigned int fn)
{
	enum ssd_work w, last = SSD_OFF;

	for (int i = 0; i < 1000 && (w = ssd_fn_run(rig_fn(r, fn), r->now_us)) == SSD_BUSY; i++)
		last = w;
	return last;
}

/* Put a command into the admin ring and ring; nothing runs yet. */
static inline void rig_submit(struct rig *r, unsigned int fn, struct rig_cmd c)
{
	struct rig_fn *f = &r->fn[fn];

	rig_encode(&c, r->mem + RIG_ASQ(fn) + 64 * f->sq_tail);
	f->sq_tail = (f->sq_tail + 1) % RIG_DEPTH;
	f->db[0] = f->sq_tail;
}

/* The next completion of the admin queue: false when there is none. */
static inline bool rig_reap(struct rig *r, unsigned int fn, uint32_t dw[4])
{
	struct rig_fn *f = &r->fn[fn];
	uint8_t *e = r->mem + RIG_ACQ(fn) + 16 * f->cq_head;

	if ((e[14] & 1) != f->phase)
		return false;
	for (int i = 0; i < 4; i++)
		dw[i] = exp_le32(e + 4 * i);
	if (++f->cq_head == RIG_DEPTH) {
		f->cq_head = 0;
		f->phase ^= 1;
	}
	f->db[1] = f->cq_head;
	return true;
}

/* A namespace of @blocks blocks of 512 bytes, shared, attached to the controllers in @mask. */
static inline uint32_t rig_namespace(struct rig *r, uint64_t blocks, unsigned int flbas,
				     unsigned int mask)
{
	uint8_t *d = rig_data(r);
	uint32_t nsid;
	uint16_t n = 0;

	rig_clear(r);
	exp_put_le64(d, blocks);
	exp_put_le64(d + 8, blocks);
	d[26] = (uint8_t)flbas;
	d[30] = 1;
	nsid = rig_ok(r, 0, .opcode = 0x0D);
	rig_clear(r);
	for (unsigned int i = 0; i < RIG_FNS; i++)
		if (mask & 1u << i)
			exp_put_le16(d + 2 + 2 * n++, (uint16_t)i);
	exp_put_le16(d, n);
	if (n)
		rig_ok(r, 0, .opcode = 0x15, .nsid = nsid);
	return nsid;
}

/* Configuration state as the draft of the Reference template lays it out; 412 bytes at @d. */
static inline void rig_config(uint8_t *d, const char *nqn)
{
	memset(d, 0, 4096);
	memcpy(d + 4, "SN-0123456789ABCDEF-", 20);
	memcpy(d + 24, "Virtual SSD of a tenant                 ", 40);
	memcpy(d + 64, "VIRT1.0 ", 8);
	d[73] = 5;                    /* MDTS: 128 KiB */
	exp_put_le16(d + 74, 1023);   /* MQES */
	exp_put_le16(d + 76, 7);      /* NCQS: 8 */
	exp_put_le16(d + 78, 3);      /* NSQS: 4 */
	exp_put_le16(d + 80, 0x000C); /* ONCS: DSM, Write Zeroes */
	snprintf((char *)d + 108, 256, "%s", nqn);
	exp_put_le32(d + 364, 1);       /* ENSID */
	exp_put_le32(d + 368, 9 << 16); /* LBAF0: 512 bytes */
	memset(d + 364 + 16, 0xA1, 16); /* NGUID */
	memset(d + 364 + 32, 0xB2, 16); /* UUID */
}

#define RIG_NQN "nqn.2024-01.com.example:tenant-7"

/* 31h data: ENSID at 32, UNSID at 292. */
static inline void rig_ns_pair(struct rig *r, uint32_t ensid, uint32_t unsid)
{
	rig_clear(r);
	exp_put_le32(rig_data(r) + 32, ensid);
	exp_put_le32(rig_data(r) + 292, unsid);
}

/* 2Dh 05h data: N 0's based, then CNTLID, ECNTLID. */
static inline void rig_ctrl_pair(struct rig *r, uint16_t cntlid, uint16_t ecntlid)
{
	rig_clear(r);
	exp_put_le16(rig_data(r) + 4, cntlid);
	exp_put_le16(rig_data(r) + 6, ecntlid);
}

/* Template number @ensti, namespace, configuration, controller @fn, attached: ESUBID. */
static inline uint16_t rig_export(struct rig *r, unsigned int ensti, unsigned int fn, uint32_t nsid,
				  const char *nqn)
{
	uint32_t handle;
	uint16_t esubid;

	rig_clear(r);
	esubid = (uint16_t)rig_ok(r, 0, .opcode = 0x2A, .cdw11 = 0x80000000 | ensti);
	handle = (uint32_t)esubid << 16 | 0x80;
	rig_ns_pair(r, 1, nsid);
	rig_ok(r, 0, .opcode = 0x31, .cdw10 = 1, .cdw14 = handle);
	rig_config(rig_data(r), nqn);
	rig_ok(r, 0, .opcode = 0x2D, .cdw10 = 6, .cdw14 = handle, .cdw15 = 103);
	rig_ctrl_pair(r, (uint16_t)fn, 0);
	rig_ok(r, 0, .opcode = 0x2D, .cdw10 = 5, .cdw14 = handle, .cdw15 = 2);
	rig_clear(r);
	exp_put_le16(rig_data(r), 1);
	exp_put_le16(rig_data(r) + 2, (uint16_t)fn);
	rig_ok(r, 0, .opcode = 0x15, .nsid = nsid);
	return esubid;
}

/* Close and open the same image again. */
static inline void rig_reopen(struct rig *r, const char *profile, bool power_cycle)
{
	ssd_close(r->ssd);
	rig_open(r, profile, power_cycle);
}

#endif
