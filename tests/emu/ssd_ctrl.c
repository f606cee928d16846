/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_ctrl.c - one controller: registers, enable, shutdown, resets, its client coming and going
 *
 * What a reset costs beyond the controller itself is the profile's choice: the suspension of this
 * controller, and for the MMC those of all others. State that Set Controller State has committed
 * outlives every reset until Resume.
 */
#include <string.h>
#include <unistd.h>

#include "emu/ssd_cdq.h"
#include "emu/ssd_internal.h"
#include "emu/ssd_state.h"

bool ssd_can_process(const struct ssd_fn *fn)
{
	return (fn->cc & CC_EN) || (fn->csts & CSTS_RDY);
}

uint32_t ssd_page_bytes(const struct ssd_fn *fn)
{
	return 4096u << CC_MPS(fn->cc);
}

void ssd_set_suspended(struct ssd_fn *fn, bool suspended)
{
	if (fn->suspended == suspended)
		return;
	fn->suspended = suspended;
	fn->suspends++;
	if (suspended)
		ssd_cdq_suspended(fn);
	else
		ssd_cdq_resumed(fn);
}

/* The MMC went down: its queues are gone and nobody holds the suspended controllers any more. */
static void mmc_reset(struct ssd *ssd)
{
	ssd_cdq_drop_all(ssd);
	for (unsigned int i = 1; i < ssd->n_fn; i++) {
		struct ssd_fn *fn = &ssd->fn[i];

		ssd_intrude(fn);
		ssd_seq_drop(fn);
		if (ssd->profile->sw.mmc_reset_ends_suspend)
			ssd_set_suspended(fn, false);
		ssd_retire(fn);
	}
}

void ssd_ctrl_reset(struct ssd_fn *fn)
{
	fn->cc &= ~CC_EN;
	fn->csts = 0;
	fn->intm = 0;
	ssd_queues_clear(fn);
	ssd_features_reset(fn);
	fn->n_aer = 0;
	fn->pending = fn->reported = 0;
	fn->n_tail_events = 0;
	fn->n_changed_attached = fn->n_changed_alloc = 0;
	ssd_seq_drop(fn);
	if (fn->ssd->profile->sw.fn_reset_ends_suspend)
		ssd_set_suspended(fn, false);
	if (fn->is_mmc)
		mmc_reset(fn->ssd);
}

void ssd_fn_reset(struct ssd_fn *fn)
{
	ssd_enter(fn);
	ssd_ctrl_reset(fn);
	fn->cc = fn->aqa = 0;
	fn->asq = fn->acq = 0;
	ssd_leave(fn);
}

static void enable(struct ssd_fn *fn, uint32_t cc)
{
	uint32_t mps_max = (uint32_t)(fn->face.cap >> 52) & 0xF;

	fn->cc = cc;
	if (CC_CSS(cc) || CC_AMS(cc) || CC_MPS(cc) > mps_max || !(fn->aqa & 0xFFF) ||
	    !(fn->aqa >> 16) || (fn->asq | fn->acq) & (ssd_page_bytes(fn) - 1)) {
		fn->csts = CSTS_CFS;
		return;
	}
	ssd_queue_open_admin(fn);
	fn->csts = CSTS_RDY;
	if (fn->committed)
		ssd_state_apply(fn, fn->committed);
	ssd_queues_publish(fn);
}

static void shut_down(struct ssd_fn *fn)
{
	for (size_t i = 0; i < fn->n_ns; i++)
		fdatasync(fn->ns[i].ns->fd);
	fn->csts |= CSTS_SHST_DONE;
}

static void write_cc(struct ssd_fn *fn, uint32_t val)
{
	val &= CC_WRITABLE;
	if (!(fn->cc & CC_EN)) {
		fn->cc = val & ~CC_EN;
		if (val & CC_EN)
			enable(fn, val);
	} else if (!(val & CC_EN)) {
		ssd_ctrl_reset(fn);
		fn->cc = val;
	} else {
		uint32_t may = CC_SHN_MASK | CC_SIZES_MASK;

		fn->cc = (fn->cc & ~may) | (val & may);
	}
	if (CC_SHN(fn->cc) && !(fn->csts & CSTS_SHST_DONE))
		shut_down(fn);
}

static void write_dword(struct ssd_fn *fn, uint32_t off, uint32_t val)
{
	bool off_now = !(fn->cc & CC_EN); /* the admin queue's registers are fixed while enabled */
	uint64_t low = UINT32_MAX;

	switch (off) {
	case REG_INTMS: fn->intm |= val; break;
	case REG_INTMC: fn->intm &= ~val; break;
	case REG_CC: write_cc(fn, val); break;
	case REG_AQA:
		if (off_now)
			fn->aqa = val & 0x0FFF0FFF;
		break;
	case REG_ASQ:
		if (off_now)
			fn->asq = (fn->asq & ~low) | (val & ~0xFFFu);
		break;
	case REG_ASQ + 4:
		if (off_now)
			fn->asq = (fn->asq & low) | (uint64_t)val << 32;
		break;
	case REG_ACQ:
		if (off_now)
			fn->acq = (fn->acq & ~low) | (val & ~0xFFFu);
		break;
	case REG_ACQ + 4:
		if (off_now)
			fn->acq = (fn->acq & low) | (uint64_t)val << 32;
		break;
	default: break; /* read-only or reserved: the write is lost */
	}
}

static void read_all(const struct ssd_fn *fn, uint8_t r[REG_END + 8])
{
	memset(r, 0, REG_END + 8);
	exp_put_le64(r + REG_CAP, fn->face.cap);
	exp_put_le32(r + REG_VS, fn->face.vs);
	exp_put_le32(r + REG_INTMS, fn->intm);
	exp_put_le32(r + REG_INTMC, fn->intm);
	exp_put_le32(r + REG_CC, fn->cc);
	exp_put_le32(r + REG_CSTS, fn->csts);
	exp_put_le32(r + REG_AQA, fn->aqa);
	exp_put_le64(r + REG_ASQ, fn->asq);
	exp_put_le64(r + REG_ACQ, fn->acq);
}

uint64_t ssd_reg_read(struct ssd_fn *fn, uint32_t off, unsigned int len)
{
	uint8_t regs[REG_END + 8], out[8] = { 0 };

	if (off >= REG_END || !len || len > 8)
		return 0;
	ssd_enter(fn);
	read_all(fn, regs);
	ssd_leave(fn);
	memcpy(out, regs + off, len);
	return exp_le64(out);
}

void ssd_reg_write(struct ssd_fn *fn, uint32_t off, uint64_t val, unsigned int len)
{
	uint8_t regs[REG_END + 8], in[8];
	uint32_t at = off & ~3u;

	if (off >= REG_END || !len || len > 8)
		return;
	ssd_enter(fn);
	exp_put_le64(in, val);
	read_all(fn, regs);
	memcpy(regs + off, in, len);
	for (; at < off + len; at += 4)
		write_dword(fn, at, exp_le32(regs + at));
	ssd_leave(fn);
}

void ssd_fn_connected(struct ssd_fn *fn, uint32_t *doorbells)
{
	ssd_enter(fn);
	fn->db = doorbells;
	ssd_queues_publish(fn);
	ssd_leave(fn);
}

void ssd_fn_disconnected(struct ssd_fn *fn)
{
	const struct ssd_switches *sw = &fn->ssd->profile->sw;

	ssd_enter(fn);
	/* what was rung before the client went is part of the controller's state */
	ssd_queues_sync(fn);
	fn->db = NULL;
	if (fn->is_mmc ? sw->mmc_close_resets : sw->fn_close_resets) {
		ssd_ctrl_reset(fn);
		fn->cc = fn->aqa = 0;
		fn->asq = fn->acq = 0;
	}
	ssd_leave(fn);
}
