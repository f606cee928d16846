/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_queue.c - rings in client memory: doorbells in, commands out, completions back
 *
 * A command is fetched only when its completion can be posted at once: there is room in the
 * completion queue and the slot is mapped. So there is never a command without a place to answer,
 * and a queue whose memory went away simply waits until it comes back.
 */
#include <string.h>

#include "emu/ssd_cdq.h"
#include "emu/ssd_internal.h"

#define DOORBELLS 1024

static uint32_t db_load(const struct ssd_fn *fn, unsigned int i)
{
	return le32toh(__atomic_load_n(&fn->db[i], __ATOMIC_ACQUIRE));
}

static void db_store(struct ssd_fn *fn, unsigned int i, uint32_t val)
{
	if (fn->db)
		__atomic_store_n(&fn->db[i], htole32(val), __ATOMIC_RELEASE);
}

void ssd_queue_find_top(struct ssd_fn *fn)
{
	fn->top = SSD_QUEUES;
	while (fn->top && !fn->sq[fn->top - 1].live && !fn->cq[fn->top - 1].live)
		fn->top--;
}

void ssd_queues_clear(struct ssd_fn *fn)
{
	memset(fn->sq, 0, sizeof(fn->sq));
	memset(fn->cq, 0, sizeof(fn->cq));
	fn->top = fn->next_sq = 0;
	fn->io_queue_made = false;
	fn->admin_restored = false;
	for (unsigned int i = 0; i < DOORBELLS; i++)
		db_store(fn, i, 0);
}

void ssd_queue_open_admin(struct ssd_fn *fn)
{
	fn->sq[0] = (struct ssd_sq){ .live = true, .size = (fn->aqa & 0xFFF) + 1, .base = fn->asq };
	fn->cq[0] = (struct ssd_cq){
		.live = true, .ien = true, .phase = 1, .size = (fn->aqa >> 16) + 1, .base = fn->acq
	};
	ssd_queue_find_top(fn);
}

void ssd_queues_publish(struct ssd_fn *fn)
{
	for (unsigned int q = 0; q < fn->top; q++) {
		if (fn->sq[q].live)
			db_store(fn, 2 * q, fn->sq[q].tail);
		if (fn->cq[q].live)
			db_store(fn, 2 * q + 1, fn->cq[q].head);
	}
}

static void take_tail(struct ssd_fn *fn, struct ssd_sq *sq, uint32_t val)
{
	if (val < sq->size) {
		sq->tail = val;
	} else if (val != sq->refused) {
		sq->refused = val;
		ssd_event_raise(fn, EV_DB_VALUE);
	}
}

static void take_head(struct ssd_fn *fn, struct ssd_cq *cq, uint32_t val)
{
	uint32_t posted = (cq->tail + cq->size - cq->head) % cq->size;

	if (val < cq->size && (val + cq->size - cq->head) % cq->size <= posted) {
		cq->head = val;
	} else if (val != cq->refused) {
		cq->refused = val;
		ssd_event_raise(fn, EV_DB_VALUE);
	}
}

void ssd_queues_sync(struct ssd_fn *fn)
{
	if (!fn->db)
		return;
	for (unsigned int q = 0; q < fn->top; q++) {
		struct ssd_sq *sq = &fn->sq[q];
		struct ssd_cq *cq = &fn->cq[q];

		if (sq->live) {
			uint32_t val = db_load(fn, 2 * q);

			if (val != sq->tail)
				take_tail(fn, sq, val);
		}
		if (cq->live) {
			uint32_t val = db_load(fn, 2 * q + 1);

			if (val != cq->head)
				take_head(fn, cq, val);
		}
	}
}

static bool doorbell_is_live(const struct ssd_fn *fn, unsigned int i)
{
	unsigned int q = i / 2;

	return q < SSD_QUEUES && (i & 1 ? fn->cq[q].live : fn->sq[q].live);
}

/* A doorbell of a queue that does not exist: zero it, so that a queue made later starts at 0. */
static void refuse_doorbell(struct ssd_fn *fn, unsigned int i)
{
	db_store(fn, i, 0);
	if (fn->csts & CSTS_RDY)
		ssd_event_raise(fn, EV_DB_REGISTER);
}

static void look_for_strays(struct ssd_fn *fn)
{
	for (unsigned int i = 0; fn->db && i < DOORBELLS; i++)
		if (db_load(fn, i) && !doorbell_is_live(fn, i))
			refuse_doorbell(fn, i);
}

void ssd_fn_doorbell(struct ssd_fn *fn, uint32_t index, uint32_t val)
{
	(void)val; /* it is in the page, which the next run reads */
	if (index >= DOORBELLS)
		return;
	ssd_enter(fn);
	if (!doorbell_is_live(fn, index))
		refuse_doorbell(fn, index);
	ssd_leave(fn);
}

static bool may_transfer(const struct ssd_fn *fn)
{
	return (fn->csts & (CSTS_RDY | CSTS_SHST_DONE)) == CSTS_RDY && !fn->suspended && fn->db &&
	       fn->host.bus_master(fn->host.arg);
}

static uint8_t *cqe_slot(struct ssd_fn *fn, const struct ssd_cq *cq)
{
	if ((cq->tail + 1) % cq->size == cq->head)
		return NULL;
	return fn->host.dma(fn->host.arg, cq->base + (uint64_t)cq->tail * CQE_BYTES, CQE_BYTES,
			    true);
}

static void put_cqe(struct ssd_cq *cq, uint8_t *slot, const uint32_t dw[4])
{
	for (int i = 0; i < 3; i++)
		exp_put_le32(slot + 4 * i, dw[i]);
	/* the phase tag is in the last dword: with it, the entry is the client's */
	__atomic_store_n((uint32_t *)(void *)(slot + 12),
			 htole32(dw[3] | (uint32_t)cq->phase << 16), __ATOMIC_RELEASE);
	cq->tail = (cq->tail + 1) % cq->size;
	if (!cq->tail)
		cq->phase ^= 1;
	cq->ring_due = true;
}

bool ssd_post(struct ssd_fn *fn, uint16_t sqid, uint16_t cid, uint16_t status, uint32_t dw0,
	      uint32_t dw1)
{
	struct ssd_sq *sq = &fn->sq[sqid];
	struct ssd_cq *cq = &fn->cq[sq->cqid];
	uint8_t *slot = may_transfer(fn) ? cqe_slot(fn, cq) : NULL;
	uint32_t dw[4] = { dw0, dw1, sq->head | (uint32_t)sqid << 16,
			   cid | (uint32_t)status << 17 };

	if (!slot)
		return false;
	put_cqe(cq, slot, dw);
	return true;
}

/* One command of one queue; false when there is none or it cannot be answered now. */
static bool step(struct ssd_fn *fn, uint16_t sqid)
{
	struct ssd_sq *sq = &fn->sq[sqid];
	struct ssd_cmd c;
	uint8_t sqe[SQE_BYTES];
	uint16_t status;

	if (sq->head == sq->tail || !cqe_slot(fn, &fn->cq[sq->cqid]))
		return false;
	if (!fn->host.dma_read(fn->host.arg, sq->base + (uint64_t)sq->head * SQE_BYTES, sqe,
			       SQE_BYTES))
		return false;
	sq->head = (sq->head + 1) % sq->size;
	ssd_cmd_decode(&c, fn, sqid, sqe);
	status = sqid ? ssd_io(&c) : ssd_admin(&c);
	if (status)
		ssd_error_note(&c, status);
	if (!c.parked)
		ssd_post(fn, sqid, c.cid, status, c.dw0, c.dw1);
	return true;
}

unsigned int ssd_queues_run(struct ssd_fn *fn)
{
	unsigned int done = 0, before;

	if (!may_transfer(fn))
		return 0;
	ssd_queues_sync(fn);
	do {
		before = done;
		for (unsigned int i = 0; i < fn->top && done < SSD_BATCH; i++) {
			unsigned int q = (fn->next_sq + i) % fn->top;

			if (fn->sq[q].live && step(fn, (uint16_t)q))
				done++;
			/* the MMC waits at the gate: what is fetched is done, let it in */
			if (atomic_load_explicit(&fn->intruders, memory_order_relaxed))
				return done;
		}
		if (fn->top)
			fn->next_sq = (fn->next_sq + 1) % fn->top;
	} while (done != before && done < SSD_BATCH);
	if (!done)
		look_for_strays(fn);
	return done;
}

void ssd_queues_ring(struct ssd_fn *fn, bool all)
{
	for (unsigned int q = 0; q < fn->top; q++) {
		struct ssd_cq *cq = &fn->cq[q];

		if (!cq->live || !(cq->ring_due || (all && cq->head != cq->tail)))
			continue;
		cq->ring_due = false;
		if (cq->ien && fn->host.irq)
			fn->host.irq(fn->host.arg, cq->vector);
	}
}

enum ssd_work ssd_fn_run(struct ssd_fn *fn, uint64_t now_us)
{
	enum ssd_work work = SSD_OFF;
	bool busy;

	ssd_enter(fn);
	fn->now_us = now_us;
	if (fn->is_mmc && ssd_cdqs_run(fn->ssd, now_us))
		work = SSD_IDLE;
	busy = ssd_queues_run(fn);
	busy |= ssd_events_run(fn);
	ssd_queues_ring(fn, false);
	if (busy)
		work = SSD_BUSY;
	else if ((fn->csts & CSTS_RDY) && fn->db && !fn->suspended)
		work = SSD_IDLE;
	ssd_leave(fn);
	return work;
}

/* What Create I/O Completion Queue and Create I/O Submission Queue share. */
static uint16_t check_create(const struct ssd_cmd *c, bool exists, uint32_t allocated)
{
	struct ssd_fn *fn = c->fn;
	uint32_t qid = c->cdw10 & 0xFFFF, qsize = c->cdw10 >> 16;

	if (!qid || qid > allocated || qid >= SSD_QUEUES || exists)
		return ST_QID_INVALID;
	if (!qsize || qsize > (fn->face.cap & 0xFFFF))
		return ST_QSIZE_INVALID;
	if (!(c->cdw11 & 1)) /* CAP.CQR: contiguous only */
		return ST_INVALID_FIELD;
	if (c->prp1 & (ssd_page_bytes(fn) - 1))
		return ST_PRP_OFFSET;
	return ST_OK;
}

uint16_t ssd_create_cq(struct ssd_cmd *c)
{
	struct ssd_fn *fn = c->fn;
	uint32_t qid = c->cdw10 & 0xFFFF, vector = c->cdw11 >> 16;
	uint16_t st = check_create(c, qid < SSD_QUEUES && fn->cq[qid].live,
				   (fn->feat.queues >> 16) + 1);

	if (st)
		return st;
	if (CC_IOCQES(fn->cc) != 4 || c->cdw11 & 0xFFFC)
		return ST_INVALID_FIELD;
	if (vector >= fn->ssd->profile->vectors)
		return ST_VECTOR_INVALID;
	fn->cq[qid] = (struct ssd_cq){ .live = true,
				       .ien = c->cdw11 & 2,
				       .phase = 1,
				       .vector = (uint16_t)vector,
				       .size = (c->cdw10 >> 16) + 1,
				       .base = c->prp1 };
	fn->io_queue_made = true;
	db_store(fn, 2 * qid + 1, 0);
	ssd_queue_find_top(fn);
	return ST_OK;
}

uint16_t ssd_create_sq(struct ssd_cmd *c)
{
	struct ssd_fn *fn = c->fn;
	uint32_t qid = c->cdw10 & 0xFFFF, cqid = c->cdw11 >> 16;
	uint16_t st = check_create(c, qid < SSD_QUEUES && fn->sq[qid].live,
				   (fn->feat.queues & 0xFFFF) + 1);

	if (st)
		return st;
	if (CC_IOSQES(fn->cc) != 6 || c->cdw11 & 0xFFF8)
		return ST_INVALID_FIELD;
	if (!cqid || cqid >= SSD_QUEUES || cqid > (fn->feat.queues >> 16) + 1)
		return ST_QID_INVALID;
	if (!fn->cq[cqid].live)
		return ST_CQ_INVALID;
	fn->sq[qid] = (struct ssd_sq){ .live = true,
				       .prio = (c->cdw11 >> 1) & 3,
				       .cqid = (uint16_t)cqid,
				       .size = (c->cdw10 >> 16) + 1,
				       .base = c->prp1 };
	fn->io_queue_made = true;
	db_store(fn, 2 * qid, 0);
	ssd_queue_find_top(fn);
	return ST_OK;
}

uint16_t ssd_delete_cq(struct ssd_cmd *c)
{
	struct ssd_fn *fn = c->fn;
	uint32_t qid = c->cdw10 & 0xFFFF;

	if (!qid || qid >= SSD_QUEUES || !fn->cq[qid].live)
		return ST_QID_INVALID;
	for (unsigned int q = 1; q < fn->top; q++)
		if (fn->sq[q].live && fn->sq[q].cqid == qid)
			return ST_QUEUE_DELETION;
	memset(&fn->cq[qid], 0, sizeof(fn->cq[qid]));
	db_store(fn, 2 * qid + 1, 0);
	ssd_queue_find_top(fn);
	return ST_OK;
}

uint16_t ssd_delete_sq(struct ssd_cmd *c)
{
	struct ssd_fn *fn = c->fn;
	uint32_t qid = c->cdw10 & 0xFFFF;

	if (!qid || qid >= SSD_QUEUES || !fn->sq[qid].live)
		return ST_QID_INVALID;
	memset(&fn->sq[qid], 0, sizeof(fn->sq[qid]));
	db_store(fn, 2 * qid, 0);
	ssd_queue_find_top(fn);
	return ST_OK;
}
