/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_state.c - controller state: bytes <-> controller (NVMe Base 2.3, 5.2.17.1.3)
 */
#include <string.h>

#include "emu/ssd_state.h"

#define CONTAINER_BYTES 48
#define NVMECS_HEADER   8
#define QUEUE_BYTES     24

#define CQ_PC   0x1u
#define CQ_IEN  0x2u
#define CQ_S0PT 0x4u

/* --- taking --- */

/* The phase tag that lies in slot 0: this pass has written it already when the tail is beyond. */
static uint8_t slot0_phase(const struct ssd_cq *cq)
{
	return cq->tail ? cq->phase : !cq->phase;
}

static size_t put_nvmecs(const struct ssd_fn *fn, uint16_t version, uint8_t *d)
{
	uint16_t n_sq = 0, n_cq = 0;
	uint8_t *at = d + NVMECS_HEADER;

	memset(d, 0, NVMECS_HEADER);
	for (unsigned int q = 1; q < fn->top; q++) {
		const struct ssd_sq *sq = &fn->sq[q];

		if (!sq->live)
			continue;
		memset(at, 0, QUEUE_BYTES);
		exp_put_le64(at, sq->base);
		exp_put_le16(at + 8, (uint16_t)(sq->size - 1));
		exp_put_le16(at + 10, (uint16_t)q);
		exp_put_le16(at + 12, sq->cqid);
		exp_put_le16(at + 14, (uint16_t)(1 | sq->prio << 1));
		exp_put_le16(at + 16, (uint16_t)sq->head);
		exp_put_le16(at + 18, (uint16_t)sq->tail);
		at += QUEUE_BYTES;
		n_sq++;
	}
	for (unsigned int q = 1; q < fn->top; q++) {
		const struct ssd_cq *cq = &fn->cq[q];

		if (!cq->live)
			continue;
		memset(at, 0, QUEUE_BYTES);
		exp_put_le64(at, cq->base);
		exp_put_le16(at + 8, (uint16_t)(cq->size - 1));
		exp_put_le16(at + 10, (uint16_t)q);
		exp_put_le16(at + 12, (uint16_t)cq->head);
		exp_put_le16(at + 14, (uint16_t)cq->tail);
		exp_put_le32(at + 16, CQ_PC | (cq->ien ? CQ_IEN : 0) |
					      (slot0_phase(cq) ? CQ_S0PT : 0) |
					      (uint32_t)cq->vector << 16);
		at += QUEUE_BYTES;
		n_cq++;
	}
	exp_put_le16(d, version);
	exp_put_le16(d + 2, n_sq);
	exp_put_le16(d + 4, n_cq);
	return (size_t)(at - d);
}

static void take_ref(const struct ssd_fn *fn, struct ssd_refstate *r)
{
	const struct ssd_features *f = &fn->feat;
	const struct ssd_sq *sq = &fn->sq[0];
	const struct ssd_cq *cq = &fn->cq[0];

	*r = (struct ssd_refstate){
		.suspended = fn->suspended,
		.n_aer = (uint8_t)EXP_MIN(fn->n_aer, (size_t)REFSTATE_AERS),
		.sq_head = (uint16_t)sq->head,
		.sq_tail = (uint16_t)sq->tail,
		.cq_head = (uint16_t)cq->head,
		.cq_tail = (uint16_t)cq->tail,
		.cq_slot0_phase = cq->live ? slot0_phase(cq) : 0,
		.arbitration = f->arbitration,
		.temp_over = f->temp_over,
		.temp_under = f->temp_under,
		.write_cache = f->write_cache,
		.queues = f->queues,
		.coalescing = f->coalescing,
		.async_events = f->async_events,
	};
	memcpy(r->aer, fn->aer, r->n_aer * sizeof(r->aer[0]));
	memcpy(r->no_coalesce, f->no_coalesce, sizeof(r->no_coalesce));
}

size_t ssd_state_take(struct ssd_fn *fn, bool nvmecs, bool ref, uint8_t out[SSD_STATE_MAX])
{
	size_t at = CONTAINER_BYTES, n;
	struct ssd_refstate r;

	ssd_queues_sync(fn); /* what was rung but not fetched travels too */
	memset(out, 0, CONTAINER_BYTES);
	out[2] = fn->suspended; /* CP: nothing else happens while this command has the gate */
	if (nvmecs) {
		n = put_nvmecs(fn, 0, out + at);
		exp_put_le64(out + 16, n / 4);
		at += n;
	}
	if (ref) {
		take_ref(fn, &r);
		n = nvmecs ? 0 : put_nvmecs(fn, 1, out + at + REFSTATE_BYTES);
		r.nvmecss = (uint32_t)(n / 4);
		ssd_refstate_print(&r, out + at);
		exp_put_le64(out + 32, (REFSTATE_BYTES + n) / 4);
		at += REFSTATE_BYTES + n;
	}
	return at;
}

/* --- checking --- */

static bool get_sq(const uint8_t *d, uint32_t page, struct ssd_state_sq *q)
{
	uint16_t attr = exp_le16(d + 14);

	*q = (struct ssd_state_sq){
		.base = exp_le64(d),
		.qsize = exp_le16(d + 8),
		.id = exp_le16(d + 10),
		.cqid = exp_le16(d + 12),
		.prio = (attr >> 1) & 3,
		.head = exp_le16(d + 16),
		.tail = exp_le16(d + 18),
	};
	return (attr & 1) && !(attr & ~7) && !exp_le32(d + 20) && !(q->base & (page - 1)) &&
	       q->head <= q->qsize && q->tail <= q->qsize;
}

static bool get_cq(const uint8_t *d, uint32_t page, struct ssd_state_cq *q)
{
	uint32_t attr = exp_le32(d + 16);

	*q = (struct ssd_state_cq){
		.base = exp_le64(d),
		.qsize = exp_le16(d + 8),
		.id = exp_le16(d + 10),
		.head = exp_le16(d + 12),
		.tail = exp_le16(d + 14),
		.ien = attr & CQ_IEN,
		.slot0_phase = !!(attr & CQ_S0PT),
		.vector = (uint16_t)(attr >> 16),
	};
	return (attr & CQ_PC) && !(attr & 0xFFF8) && !exp_le32(d + 20) && !(q->base & (page - 1)) &&
	       q->head <= q->qsize && q->tail <= q->qsize;
}

static bool get_nvmecs(const struct ssd_fn *fn, const uint8_t *d, size_t len, uint16_t version,
		       struct ssd_state *s)
{
	uint32_t page = ssd_page_bytes(fn);

	if (len < NVMECS_HEADER || exp_le16(d) != version || exp_le16(d + 6))
		return false;
	s->n_sq = exp_le16(d + 2);
	s->n_cq = exp_le16(d + 4);
	if (s->n_sq > SSD_STATE_QUEUES || s->n_cq > SSD_STATE_QUEUES ||
	    len != NVMECS_HEADER + QUEUE_BYTES * ((size_t)s->n_sq + s->n_cq))
		return false;
	d += NVMECS_HEADER;
	for (unsigned int i = 0; i < s->n_sq; i++, d += QUEUE_BYTES)
		if (!get_sq(d, page, &s->sq[i]))
			return false;
	for (unsigned int i = 0; i < s->n_cq; i++, d += QUEUE_BYTES)
		if (!get_cq(d, page, &s->cq[i]))
			return false;
	return true;
}

static const struct ssd_state_cq *cq_of(const struct ssd_state *s, uint16_t id)
{
	for (unsigned int i = 0; i < s->n_cq; i++)
		if (s->cq[i].id == id)
			return &s->cq[i];
	return NULL;
}

/* Ids ascend from 1, so none is there twice; sizes and vectors are ones this controller has. */
static bool queues_fit(const struct ssd_fn *fn, const struct ssd_state *s)
{
	uint32_t queues = s->has_ref ? s->ref.queues
				     : (uint32_t)(fn->face.queues_sq - 1) |
					       (uint32_t)(fn->face.queues_cq - 1) << 16;
	uint32_t mqes = fn->face.cap & 0xFFFF, last = 0;

	for (unsigned int i = 0; i < s->n_cq; i++) {
		const struct ssd_state_cq *q = &s->cq[i];

		if (q->id <= last || q->id > (queues >> 16) + 1 || q->id >= SSD_QUEUES ||
		    !q->qsize || q->qsize > mqes || q->vector >= fn->ssd->profile->vectors)
			return false;
		last = q->id;
	}
	last = 0;
	for (unsigned int i = 0; i < s->n_sq; i++) {
		const struct ssd_state_sq *q = &s->sq[i];

		if (q->id <= last || q->id > (queues & 0xFFFF) + 1 || q->id >= SSD_QUEUES ||
		    !q->qsize || q->qsize > mqes || !cq_of(s, q->cqid))
			return false;
		last = q->id;
	}
	return true;
}

static bool ref_fits(const struct ssd_fn *fn, const struct ssd_refstate *r)
{
	if (r->n_aer > fn->face.aerl + 1 || (r->queues & 0xFFFF) >= fn->face.queues_sq ||
	    (r->queues >> 16) >= fn->face.queues_cq || r->coalescing >> 16 ||
	    r->async_events & ~ssd_async_events_allowed(fn) || r->sq_head >= fn->sq[0].size ||
	    r->sq_tail >= fn->sq[0].size || r->cq_head >= fn->cq[0].size ||
	    r->cq_tail >= fn->cq[0].size)
		return false;
	for (unsigned int v = fn->ssd->profile->vectors; v < REFSTATE_VECTORS; v++)
		if (r->no_coalesce[v / 8] & 1u << v % 8)
			return false;
	for (unsigned int i = 0; i < r->n_aer; i++)
		for (unsigned int k = 0; k < i; k++)
			if (r->aer[i] == r->aer[k])
				return false;
	return true;
}

static bool has_io_queues(const struct ssd_fn *fn)
{
	return fn->top > 1;
}

uint16_t ssd_state_check(const struct ssd_fn *fn, const uint8_t *data, size_t len, bool nvmecs,
			 bool ref, struct ssd_state *s)
{
	uint64_t nvmecss, vss;

	memset(s, 0, sizeof(*s));
	if (len < CONTAINER_BYTES || exp_le16(data) || data[2] & ~1)
		return ST_INVALID_FIELD;
	for (int i = 3; i < 16; i++)
		if (data[i])
			return ST_INVALID_FIELD;
	s->suspended = data[2];
	nvmecss = exp_le64(data + 16);
	vss = exp_le64(data + 32);
	/* 128-bit sizes: nothing that large was received */
	if (exp_le64(data + 24) || exp_le64(data + 40) || nvmecss > SSD_STATE_MAX / 4 ||
	    vss > SSD_STATE_MAX / 4 || len != CONTAINER_BYTES + 4 * (nvmecss + vss))
		return ST_INVALID_FIELD;
	if ((nvmecss && !nvmecs) || (vss && !ref) || (!nvmecss && !vss))
		return ST_INVALID_FIELD;
	data += CONTAINER_BYTES;
	if (nvmecss && !get_nvmecs(fn, data, 4 * nvmecss, 0, s))
		return ST_INVALID_FIELD;
	data += 4 * nvmecss;
	if (vss) {
		if (4 * vss < REFSTATE_BYTES || !ssd_refstate_parse(data, &s->ref) ||
		    4 * vss != REFSTATE_BYTES + UINT64_C(4) * s->ref.nvmecss ||
		    !ref_fits(fn, &s->ref))
			return ST_INVALID_FIELD;
		s->has_ref = true;
		if (s->ref.nvmecss && nvmecss) /* two sets of queues: which one? */
			return ST_INVALID_FIELD;
		if (s->ref.nvmecss &&
		    !get_nvmecs(fn, data + REFSTATE_BYTES, 4 * (size_t)s->ref.nvmecss, 1, s))
			return ST_INVALID_FIELD;
	}
	if ((nvmecss || s->ref.nvmecss) && has_io_queues(fn))
		return ST_INVALID_FIELD;
	return queues_fit(fn, s) ? ST_OK : ST_INVALID_FIELD;
}

/* --- applying --- */

/* The phase of the entry that the tail points at, from the one in slot 0. */
static uint8_t phase_at(uint16_t tail, uint8_t slot0)
{
	return tail ? slot0 : !slot0;
}

static void apply_ref(struct ssd_fn *fn, const struct ssd_refstate *r)
{
	struct ssd_features *f = &fn->feat;

	fn->sq[0].head = r->sq_head;
	fn->sq[0].tail = r->sq_tail;
	fn->cq[0].head = r->cq_head;
	fn->cq[0].tail = r->cq_tail;
	fn->cq[0].phase = phase_at(r->cq_tail, r->cq_slot0_phase);
	fn->n_aer = r->n_aer;
	memcpy(fn->aer, r->aer, r->n_aer * sizeof(r->aer[0]));
	f->arbitration = r->arbitration;
	f->temp_over = r->temp_over;
	f->temp_under = r->temp_under;
	f->write_cache = r->write_cache;
	f->queues = r->queues;
	f->coalescing = r->coalescing;
	f->async_events = r->async_events;
	memset(f->no_coalesce, 0, sizeof(f->no_coalesce));
	memcpy(f->no_coalesce, r->no_coalesce, sizeof(r->no_coalesce));
}

void ssd_state_apply(struct ssd_fn *fn, const struct ssd_state *s)
{
	if (s->has_ref && !ref_fits(fn, &s->ref)) {
		/* enabled again after a reset, with another admin queue than the state is for */
		fn->csts = CSTS_CFS;
		return;
	}
	if (s->has_ref)
		apply_ref(fn, &s->ref);
	for (unsigned int i = 0; i < s->n_cq; i++) {
		const struct ssd_state_cq *q = &s->cq[i];

		fn->cq[q->id] = (struct ssd_cq){ .live = true,
						 .ien = q->ien,
						 .phase = phase_at(q->tail, q->slot0_phase),
						 .vector = q->vector,
						 .size = q->qsize + 1u,
						 .head = q->head,
						 .tail = q->tail,
						 .base = q->base };
	}
	for (unsigned int i = 0; i < s->n_sq; i++) {
		const struct ssd_state_sq *q = &s->sq[i];

		fn->sq[q->id] = (struct ssd_sq){ .live = true,
						 .prio = q->prio,
						 .cqid = q->cqid,
						 .size = q->qsize + 1u,
						 .head = q->head,
						 .tail = q->tail,
						 .base = q->base };
	}
	if (s->n_sq || s->n_cq)
		fn->io_queue_made = true;
	ssd_queue_find_top(fn);
	ssd_queues_publish(fn);
}
