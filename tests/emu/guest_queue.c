/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_queue.c - the rings of one queue pair
 */
#include <assert.h>
#include <string.h>

#include "base/le.h"
#include "emu/guest_queue.h"

#define POISON 0xffffffffu

static uint32_t pages_for(uint32_t bytes)
{
	return (bytes + EMU_PAGE - 1) / EMU_PAGE;
}

int emu_queue_init(struct emu_queue *q, struct emu_mem *mem, uint16_t qid, uint16_t entries,
		   uint16_t slots, struct exp_error *err)
{
	int r;

	assert(entries >= 2 && slots < entries && slots <= EMU_MAX_SLOTS);
	*q = (struct emu_queue){ .qid = qid, .entries = entries, .slots = slots };
	r = emu_mem_run(mem, pages_for(entries * EMU_SQE_BYTES), &q->sq_iova, err);
	if (!r)
		r = emu_mem_run(mem, pages_for(entries * EMU_CQE_BYTES), &q->cq_iova, err);
	if (r < 0)
		return exp_error_wrap(err, r, "queue %u", qid);
	q->sq = emu_mem_ptr(mem, q->sq_iova);
	q->cq = emu_mem_ptr(mem, q->cq_iova);
	emu_queue_restart(q);
	return 0;
}

void emu_queue_restart(struct emu_queue *q)
{
	memset(q->sq, 0, (size_t)q->entries * EMU_SQE_BYTES);
	memset(q->cq, 0, (size_t)q->entries * EMU_CQE_BYTES);
	memset(q->slot, 0, sizeof(q->slot));
	q->sq_tail = q->sq_head = q->cq_head = 0;
	q->rung_tail = q->rung_head = 0;
	q->outstanding = 0;
	q->phase = 1;
}

static uint16_t next(const struct emu_queue *q, uint16_t i)
{
	return (uint16_t)(i + 1 == q->entries ? 0 : i + 1);
}

/* how far @to is ahead of @from on the ring */
static uint16_t ahead(const struct emu_queue *q, uint16_t from, uint16_t to)
{
	return (uint16_t)(to >= from ? to - from : to + q->entries - from);
}

bool emu_queue_full(const struct emu_queue *q)
{
	return next(q, q->sq_tail) == q->sq_head;
}

/* dword 3 of the entry at the head: the phase, with acquire, since the device writes it last */
static uint32_t head_dw3(const struct emu_queue *q)
{
	const uint8_t *e = q->cq + (size_t)q->cq_head * EMU_CQE_BYTES + 12;

	return le32toh(__atomic_load_n((const uint32_t *)(const void *)e, __ATOMIC_ACQUIRE));
}

bool emu_queue_waiting(const struct emu_queue *q)
{
	return (head_dw3(q) >> 16 & 1) == q->phase;
}

int emu_queue_free_slot(const struct emu_queue *q)
{
	if (emu_queue_full(q))
		return -1;
	for (uint16_t i = 0; i < q->slots; i++) {
		if (!q->slot[i].busy)
			return i;
	}
	return -1;
}

void emu_queue_submit(struct emu_queue *q, uint16_t slot, uint8_t sqe[EMU_SQE_BYTES])
{
	struct emu_queue_slot *s = &q->slot[slot];

	assert(!s->busy && !emu_queue_full(q));
	s->busy = true;
	s->generation++;
	s->place = q->sq_tail;
	exp_put_le16(sqe + 2, (uint16_t)(slot | s->generation << 8));
	memcpy(q->sq + (size_t)q->sq_tail * EMU_SQE_BYTES, sqe, EMU_SQE_BYTES);
	q->sq_tail = next(q, q->sq_tail);
	q->outstanding++;
}

/* Is the entry sound? Moves the SQ head; says which slot. */
static bool check(struct emu_queue *q, const uint8_t *e, uint32_t dw3, uint16_t *ret_slot)
{
	uint16_t sq_head = exp_le16(e + 8), sqid = exp_le16(e + 10), cid = (uint16_t)dw3;
	uint16_t slot = cid & 0xff, moved = ahead(q, q->sq_head, sq_head);
	const struct emu_queue_slot *s = &q->slot[slot];

	if (exp_le32(e + 8) == POISON || cid == (uint16_t)POISON) {
		q->faults.torn++;
		return false;
	}
	if (sqid != q->qid) {
		q->faults.reordered++;
		return false;
	}
	if (slot >= q->slots || !s->busy || s->generation != cid >> 8) {
		q->faults.duplicated++;
		return false;
	}
	*ret_slot = slot;
	/* the head stays between where it was and the tail, and is past every completed command */
	if (sq_head >= q->entries || moved > ahead(q, q->sq_head, q->sq_tail) ||
	    ahead(q, sq_head, (uint16_t)s->place) < ahead(q, sq_head, q->sq_tail)) {
		q->faults.reordered++;
		return true; /* the command is complete all the same */
	}
	q->sq_head = sq_head;
	return true;
}

bool emu_queue_reap(struct emu_queue *q, struct emu_cqe *ret)
{
	for (;;) {
		uint8_t *e = q->cq + (size_t)q->cq_head * EMU_CQE_BYTES;
		uint32_t dw3 = head_dw3(q);
		uint16_t slot = 0;
		bool ours;

		if ((dw3 >> 16 & 1) != q->phase)
			return false;
		ours = check(q, e, dw3, &slot);
		ret->dw0 = exp_le32(e);
		ret->dw1 = exp_le32(e + 4);
		ret->status = (uint16_t)(dw3 >> 17);
		ret->slot = slot;
		memset(e, 0xff, 12);
		exp_put_le32(e + 12, (POISON & ~0x10000u) | (uint32_t)q->phase << 16);
		q->cq_head = next(q, q->cq_head);
		if (!q->cq_head)
			q->phase ^= 1;
		if (!ours)
			continue;
		q->slot[slot].busy = false;
		q->outstanding--;
		return true;
	}
}

int emu_queue_ring(struct emu_queue *q, struct emu_client *c, bool again)
{
	int r = 0;

	/* room before work: the device may look at the queue between the two */
	if (again || q->cq_head != q->rung_head)
		r = emu_client_ring(c, q->qid, true, q->cq_head);
	if (r < 0)
		return r;
	q->rung_head = q->cq_head;
	if (again || q->sq_tail != q->rung_tail)
		r = emu_client_ring(c, q->qid, false, q->sq_tail);
	if (r < 0)
		return r;
	q->rung_tail = q->sq_tail;
	return 0;
}

void emu_queue_idle_check(struct emu_queue *q)
{
	for (uint16_t i = 0; i < q->entries; i++) {
		uint32_t dw3 = exp_le32(q->cq + (size_t)i * EMU_CQE_BYTES + 12);
		/* this pass has come as far as the head; behind it lies the pass before */
		uint8_t want = i < q->cq_head ? q->phase : q->phase ^ 1;

		if ((dw3 >> 16 & 1) != want)
			q->faults.reordered++;
	}
}
