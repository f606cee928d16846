/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_ctrl.c - registers, admin queue, asynchronous events
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/le.h"
#include "emu/guest_ctrl.h"

#define REG_CAP  0x00
#define REG_VS   0x08
#define REG_CC   0x14
#define REG_CSTS 0x1c
#define REG_AQA  0x24
#define REG_ASQ  0x28
#define REG_ACQ  0x30

#define CC_EN    0x1u
#define CC_IO    (6u << 16 | 4u << 20) /* SQ entries of 2^6, CQ entries of 2^4 bytes */
#define CSTS_RDY 0x1u
#define CSTS_CFS 0x2u

#define OPC_IDENTIFY 0x06
#define OPC_AER      0x0c

/* --- registers --- */

static int read32(struct emu_client *cl, uint32_t off, uint32_t *ret, struct exp_error *err)
{
	uint64_t v;
	int r = emu_client_reg_read(cl, off, 4, &v, err);

	if (!r)
		*ret = (uint32_t)v;
	return r;
}

/* CAP.TO counts half seconds; a device that says 0 gets five seconds all the same. */
static int wait_ready(struct emu_client *cl, bool ready, struct exp_error *err)
{
	uint64_t cap, deadline;
	uint32_t csts = 0;
	int r = emu_client_reg_read(cl, REG_CAP, 8, &cap, err);

	if (r < 0)
		return r;
	deadline = exp_mono_ms() + EXP_MAX((cap >> 24 & 0xff) * 500, 5000u);
	for (;;) {
		r = read32(cl, REG_CSTS, &csts, err);
		if (r < 0)
			return r;
		if (csts & CSTS_CFS)
			return exp_error_set(err, EXP_CODE_DEVICE, EIO,
					     "controller fatal status: CSTS is %xh", csts);
		if (ready == (csts & CSTS_RDY))
			return 0;
		if (exp_mono_ms() > deadline)
			return exp_error_set(err, EXP_CODE_DEVICE_TIMEOUT, ETIMEDOUT,
					     "CSTS.RDY does not become %d", ready);
		/* each look is a message: not too many */
		poll(NULL, 0, 1);
	}
}

int emu_regs_disable(struct emu_client *cl, struct exp_error *err)
{
	uint32_t cc;
	int r = read32(cl, REG_CC, &cc, err);

	if (!r)
		r = emu_client_reg_write(cl, REG_CC, 4, cc & ~CC_EN, err);
	return r < 0 ? r : wait_ready(cl, false, err);
}

int emu_regs_enable(struct emu_client *cl, const struct emu_regs *regs, struct exp_error *err)
{
	uint32_t cc;
	int r = read32(cl, REG_CC, &cc, err);

	if (!r && (cc & CC_EN))
		r = emu_regs_disable(cl, err);
	if (!r)
		r = emu_client_reg_write(cl, REG_AQA, 4, regs->aqa, err);
	if (!r)
		r = emu_client_reg_write(cl, REG_ASQ, 8, regs->asq, err);
	if (!r)
		r = emu_client_reg_write(cl, REG_ACQ, 8, regs->acq, err);
	if (!r)
		r = emu_client_reg_write(cl, REG_CC, 4, regs->cc, err);
	return r < 0 ? r : wait_ready(cl, true, err);
}

/* --- life --- */

int emu_ctrl_init(struct emu_ctrl *c, struct emu_mem *mem, uint32_t data_bytes,
		  struct exp_error *err)
{
	int r;

	*c = (struct emu_ctrl){ .mem = mem, .irq = -1 };
	c->bounce_pages = (data_bytes + EMU_PAGE - 1) / EMU_PAGE;
	assert(c->bounce_pages <= EMU_PAGE / 8);
	c->bounce = calloc(c->bounce_pages, sizeof(*c->bounce));
	if (!c->bounce)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	r = emu_queue_init(&c->admin, mem, 0, EMU_ADMIN_ENTRIES, EMU_ADMIN_SLOTS, err);
	for (uint32_t i = 0; !r && i < c->bounce_pages; i++)
		r = emu_mem_page(mem, &c->bounce[i], err);
	if (!r)
		r = emu_mem_page(mem, &c->prp_list, err);
	if (r < 0)
		return r;
	c->irq = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->irq < 0)
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "eventfd: %s", strerror(errno));
	c->regs = (struct emu_regs){
		.aqa = (EMU_ADMIN_ENTRIES - 1) | (EMU_ADMIN_ENTRIES - 1) << 16,
		.asq = c->admin.sq_iova,
		.acq = c->admin.cq_iova,
		.cc = CC_EN | CC_IO,
	};
	return 0;
}

void emu_ctrl_done(struct emu_ctrl *c)
{
	if (c->irq >= 0)
		close(c->irq);
	free(c->bounce);
	c->irq = -1;
	c->bounce = NULL;
}

static int learn(struct emu_ctrl *c, struct exp_error *err)
{
	int r = emu_client_reg_read(c->cl, REG_CAP, 8, &c->cap, err);

	if (!r)
		r = read32(c->cl, REG_VS, &c->vs, err);
	if (r < 0)
		return r;
	if (c->cap >> 32 & 0xf)
		return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, ENOTSUP,
				     "doorbell stride CAP.DSTRD is %u, this guest drives 0",
				     (unsigned int)(c->cap >> 32 & 0xf));
	if ((c->cap >> 48 & 0xf) || !(c->cap >> 37 & 1))
		return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, ENOTSUP,
				     "CAP is %016llxh: 4 KiB pages and the NVM command set are "
				     "needed",
				     (unsigned long long)c->cap);
	if ((c->cap & 0xffff) + 1 < EMU_ADMIN_ENTRIES)
		return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, ENOTSUP,
				     "queues of at most %u entries, %u are needed",
				     (unsigned int)(c->cap & 0xffff) + 1, EMU_ADMIN_ENTRIES);
	return 0;
}

int emu_ctrl_start(struct emu_ctrl *c, struct emu_client *cl, struct exp_error *err)
{
	int r;

	c->cl = cl;
	memset(c->slot, 0, sizeof(c->slot));
	c->n_events = 0;
	emu_queue_restart(&c->admin);
	r = learn(c, err);
	/* off before its memory is exchanged: it may be another guest's */
	if (!r)
		r = emu_regs_disable(cl, err);
	if (!r)
		r = emu_mem_share(c->mem, cl, err);
	if (!r)
		r = emu_client_irqs(cl, 0, &c->irq, 1, err);
	if (!r)
		r = emu_client_bus_master(cl, true, err);
	if (!r)
		r = emu_client_msix(cl, true, err);
	if (!r)
		r = emu_regs_enable(cl, &c->regs, err);
	return r < 0 ? exp_error_wrap(err, r, "start the controller") : 0;
}

/* --- commands --- */

void emu_ctrl_reap(struct emu_ctrl *c)
{
	struct emu_cqe e;

	while (emu_queue_reap(&c->admin, &e)) {
		switch (c->slot[e.slot].state) {
		case EMU_ADMIN_AER:
			c->slot[e.slot].state = EMU_ADMIN_FREE;
			if (e.status & EMU_STATUS_CODE)
				break; /* aborted: no event */
			c->n_events_seen++;
			if (c->n_events < EXP_ARRAY_SIZE(c->events))
				c->events[c->n_events++] = e.dw0;
			break;
		case EMU_ADMIN_WAITS:
			c->slot[e.slot].state = EMU_ADMIN_DONE;
			c->slot[e.slot].cqe = e;
			break;
		case EMU_ADMIN_FREE: break; /* its waiter gave up */
		case EMU_ADMIN_DONE: break;
		}
	}
}

static void copy_data(const struct emu_ctrl *c, const struct emu_admin *a, bool in)
{
	for (uint32_t off = 0; off < a->bytes; off += EMU_PAGE) {
		uint32_t n = EXP_MIN(a->bytes - off, EMU_PAGE);
		void *page = emu_mem_ptr(c->mem, c->bounce[off / EMU_PAGE]);

		if (in)
			memcpy(page, (const uint8_t *)a->in + off, n);
		else
			memcpy((uint8_t *)a->out + off, page, n);
	}
}

static void put_prps(const struct emu_ctrl *c, const struct emu_admin *a, uint8_t *sqe)
{
	uint32_t pages = (a->bytes + EMU_PAGE - 1) / EMU_PAGE;
	uint8_t *list = emu_mem_ptr(c->mem, c->prp_list);

	if (!pages) {
		exp_put_le64(sqe + 24, a->prp1);
		exp_put_le64(sqe + 32, a->prp2);
		return;
	}
	exp_put_le64(sqe + 24, c->bounce[0]);
	if (pages == 2)
		exp_put_le64(sqe + 32, c->bounce[1]);
	if (pages <= 2)
		return;
	for (uint32_t i = 1; i < pages; i++)
		exp_put_le64(list + 8 * (size_t)(i - 1), c->bounce[i]);
	exp_put_le64(sqe + 32, c->prp_list);
}

static void wait_some(struct emu_ctrl *c)
{
	struct pollfd p[2] = {
		{ .fd = c->irq, .events = POLLIN },
		{ .fd = emu_client_fd(c->cl), .events = POLLRDHUP },
	};
	uint64_t n;

	if (c->turn) {
		c->turn(c->turn_arg, 20000);
		return;
	}
	if (poll(p, 2, 20) > 0 && p[0].revents && read(c->irq, &n, sizeof(n)) < 0)
		return;
}

static int await(struct emu_ctrl *c, uint16_t slot, uint8_t opcode, uint32_t wait_ms,
		 struct exp_error *err)
{
	uint64_t deadline = exp_mono_ms() + (wait_ms ? wait_ms : EMU_WAIT_MS);

	while (c->slot[slot].state == EMU_ADMIN_WAITS) {
		if (emu_client_gone(c->cl)) {
			c->slot[slot].state = EMU_ADMIN_FREE;
			return exp_error_set(err, EXP_CODE_DEVICE_GONE, ENODEV,
					     "admin command %02xh: the device is gone", opcode);
		}
		if (exp_mono_ms() > deadline) {
			c->slot[slot].state = EMU_ADMIN_FREE;
			c->admin.faults.lost++;
			return exp_error_set(err, EXP_CODE_DEVICE_TIMEOUT, ETIMEDOUT,
					     "admin command %02xh: no completion", opcode);
		}
		wait_some(c);
		emu_ctrl_reap(c);
	}
	return 0;
}

int emu_ctrl_admin(struct emu_ctrl *c, const struct emu_admin *a, struct emu_cqe *ret,
		   struct exp_error *err)
{
	uint8_t sqe[EMU_SQE_BYTES] = { a->opcode };
	int slot = emu_queue_free_slot(&c->admin), r;

	if (a->bytes > c->bounce_pages * EMU_PAGE)
		return exp_error_set(err, EXP_CODE_TOO_LARGE, EMSGSIZE,
				     "%u bytes of data, this driver moves at most %u", a->bytes,
				     c->bounce_pages * EMU_PAGE);
	if (slot < 0)
		return exp_error_set(err, EXP_CODE_BUSY, EBUSY, "the admin queue is full");
	exp_put_le32(sqe + 4, a->nsid);
	for (size_t i = 0; i < 6; i++)
		exp_put_le32(sqe + 40 + 4 * i, a->cdw[i]);
	put_prps(c, a, sqe);
	if (a->in)
		copy_data(c, a, true);
	c->slot[slot].state = EMU_ADMIN_WAITS;
	emu_queue_submit(&c->admin, (uint16_t)slot, sqe);
	r = emu_queue_ring(&c->admin, c->cl, false);
	if (r < 0) {
		c->slot[slot].state = EMU_ADMIN_FREE;
		return exp_error_set(err, EXP_CODE_DEVICE_GONE, -r,
				     "admin command %02xh: cannot ring: %s", a->opcode,
				     strerror(-r));
	}
	r = await(c, (uint16_t)slot, a->opcode, a->wait_ms, err);
	if (r < 0)
		return r;
	*ret = c->slot[slot].cqe;
	c->slot[slot].state = EMU_ADMIN_FREE;
	if (ret->status & EMU_STATUS_CODE)
		return exp_error_nvme(err, ret->status & EMU_STATUS_CODE,
				      "admin command %02xh: status %x/%02xh", a->opcode,
				      ret->status >> 8 & 7, ret->status & 0xff);
	if (a->out)
		copy_data(c, a, false);
	return 0;
}

int emu_ctrl_identify(struct emu_ctrl *c, uint8_t cns, uint32_t nsid, uint8_t csi, void *page,
		      struct exp_error *err)
{
	const struct emu_admin a = {
		.opcode = OPC_IDENTIFY,
		.nsid = nsid,
		.cdw = { cns, (uint32_t)csi << 24 },
		.out = page,
		.bytes = 4096,
	};
	struct emu_cqe e;
	int r = emu_ctrl_admin(c, &a, &e, err);

	return r < 0 ? exp_error_wrap(err, r, "identify %02xh", cns) : 0;
}

/* --- asynchronous events --- */

int emu_ctrl_arm(struct emu_ctrl *c, unsigned int n, struct exp_error *err)
{
	unsigned int armed = 0;
	int r;

	for (size_t i = 0; i < EMU_ADMIN_SLOTS; i++)
		armed += c->slot[i].state == EMU_ADMIN_AER;
	for (; armed < n; armed++) {
		uint8_t sqe[EMU_SQE_BYTES] = { OPC_AER };
		int slot = emu_queue_free_slot(&c->admin);

		if (slot < 0)
			return exp_error_set(err, EXP_CODE_BUSY, EBUSY, "the admin queue is full");
		c->slot[slot].state = EMU_ADMIN_AER;
		emu_queue_submit(&c->admin, (uint16_t)slot, sqe);
	}
	r = emu_queue_ring(&c->admin, c->cl, false);
	return r < 0 ? exp_error_set(err, EXP_CODE_DEVICE_GONE, -r, "cannot ring: %s", strerror(-r))
		     : 0;
}

bool emu_ctrl_next_event(struct emu_ctrl *c, uint32_t *ret)
{
	if (!c->n_events)
		return false;
	*ret = c->events[0];
	c->n_events--;
	memmove(c->events, c->events + 1, c->n_events * sizeof(*c->events));
	return true;
}
