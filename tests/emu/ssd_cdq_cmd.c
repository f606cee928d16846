/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_cdq_cmd.c - Controller Data Queue (45h), Track Send (3Dh, SEL 0h), feature 21h
 */
#include <stdlib.h>

#include "emu/ssd_cdq_int.h"

#define MAX_SLOTS (1u << 20)

static struct ssd_cdq *find(struct ssd *ssd, uint32_t id)
{
	for (size_t i = 0; i < SSD_MAX_CDQS; i++)
		if (ssd->cdqs[i] && ssd->cdqs[i]->id == id)
			return ssd->cdqs[i];
	return NULL;
}

static uint16_t over_limit(const struct ssd *ssd)
{
	return ssd->profile->sw.limits_invalid_field ? ST_INVALID_FIELD : ST_NO_RESOURCES;
}

static uint16_t check_limits(struct ssd *ssd, const struct ssd_fn *fn, uint32_t ranges)
{
	const struct ssd_profile *p = ssd->profile;
	uint32_t count = 0, sum = ranges;

	for (size_t i = 0; i < SSD_MAX_CDQS; i++) {
		const struct ssd_cdq *q = ssd->cdqs[i];

		if (!q)
			continue;
		if (q->cntlid == fn->cntlid)
			return ST_INVALID_FIELD;
		count++;
		sum += q->ranges;
	}
	if (ranges > p->mcmr || sum > p->nmcmr)
		return ST_INVALID_FIELD;
	return count >= p->mcudmq || count >= p->mnsudmq ? over_limit(ssd) : ST_OK;
}

/* A PRP List of @n entries from PRP1 on; the last entry of a page leads to the next page. */
static uint16_t read_list(struct ssd_cmd *c, struct ssd_cdq *q, uint32_t n)
{
	const struct ssd_host *host = &c->fn->host;
	uint32_t per_page = q->page_bytes / 8;
	uint64_t list = c->prp1;

	for (uint32_t i = 0, in_page = 0; i < n; in_page++) {
		uint8_t raw[8];

		if (!host->dma_read(host->arg, list + 8 * (uint64_t)in_page, raw, sizeof(raw)))
			return ST_DATA_TRANSFER;
		if (exp_le64(raw) & (q->page_bytes - 1))
			return ST_PRP_OFFSET;
		if (in_page == per_page - 1 && n - i > 1) {
			list = exp_le64(raw);
			in_page = UINT32_MAX; /* 0 after the increment */
			continue;
		}
		q->pages[i++] = exp_le64(raw);
	}
	return ST_OK;
}

/* All of the queue's memory has to be there and writable when it is made. */
static uint16_t check_memory(struct ssd_cmd *c, const struct ssd_cdq *q)
{
	const struct ssd_host *host = &c->fn->host;
	uint64_t bytes = (uint64_t)q->size * LMQ_BYTES;

	for (uint64_t at = 0; at < bytes; at += q->page_bytes) {
		uint64_t addr = q->n_pages ? q->pages[at / q->page_bytes] : q->pages[0] + at;

		if (!host->dma(host->arg, addr, EXP_MIN(bytes - at, q->page_bytes), true))
			return ST_DATA_TRANSFER;
	}
	return ST_OK;
}

EXP_DEFINE_CLEANUP(struct ssd_cdq *, ssd_cdq_free)

static uint16_t make(struct ssd_cmd *c, uint32_t slots, bool contiguous, struct ssd_cdq **ret)
{
	EXP_CLEANUP(ssd_cdq_freep) struct ssd_cdq *q = calloc(1, sizeof(*q));
	uint32_t page = ssd_page_bytes(c->fn);
	uint32_t n = (uint32_t)(((uint64_t)slots * LMQ_BYTES + page - 1) / page);
	uint16_t st = ST_OK;

	if (!q)
		return ST_INTERNAL;
	pthread_mutex_init(&q->lock, NULL);
	q->size = slots;
	q->phase = 1;
	q->page_bytes = page;
	q->n_pages = contiguous ? 0 : n;
	q->ranges = contiguous ? 1 : n;
	q->cap_notes = slots + 2;
	q->pages = calloc(contiguous ? 1 : n, sizeof(*q->pages));
	q->notes = calloc(q->cap_notes, sizeof(*q->notes));
	if (!q->pages || !q->notes)
		return ST_INTERNAL;
	if (contiguous)
		q->pages[0] = c->prp1;
	else
		st = read_list(c, q, n);
	if (!st)
		st = check_memory(c, q);
	if (!st)
		*ret = EXP_TAKE(q);
	return st;
}

static uint16_t create(struct ssd_cmd *c)
{
	struct ssd *ssd = c->fn->ssd;
	const struct ssd_profile *p = ssd->profile;
	struct ssd_fn *fn = ssd_by_cntlid(ssd, (uint16_t)(c->cdw11 >> 16));
	bool contiguous = c->cdw11 & 1;
	uint32_t page = ssd_page_bytes(c->fn), slots = c->cdw12 / 8, at = 0;
	struct ssd_cdq *q;
	uint16_t st;

	if (c->cdw10 & 0x00FF0000 || c->cdw11 & 0xFFFE) /* QT 0h is the only type */
		return ST_INVALID_FIELD;
	if (!fn || fn->is_mmc)
		return ST_CTRL_INVALID;
	if (c->prp1 & (page - 1))
		return ST_PRP_OFFSET;
	if (c->cdw12 % 8 || slots < 2 || slots > MAX_SLOTS)
		return ST_INVALID_FIELD;
	if (!contiguous && (slots * (uint64_t)LMQ_BYTES + page - 1) / page > p->mcdqpc)
		return ST_INVALID_FIELD;
	st = check_limits(ssd, fn,
			  contiguous ? 1
				     : (uint32_t)((slots * (uint64_t)LMQ_BYTES + page - 1) / page));
	if (!st)
		st = make(c, slots, contiguous, &q);
	if (st)
		return st;
	while (ssd->cdqs[at])
		at++; /* mcudmq is below SSD_MAX_CDQS, and one queue per controller */
	do
		q->id = ++ssd->last_cdqid;
	while (!q->id || find(ssd, q->id));
	q->cntlid = fn->cntlid;
	ssd->cdqs[at] = q;
	ssd_intrude(fn);
	fn->log = q;
	ssd_retire(fn);
	c->dw0 = q->id;
	return ST_OK;
}

uint16_t ssd_cdq_cmd(struct ssd_cmd *c)
{
	struct ssd_cdq *q;

	switch (c->cdw10 & 0xFF) {
	case 0: return create(c);
	case 1:
		q = find(c->fn->ssd, c->cdw11 & 0xFFFF);
		if (!q)
			return ST_CDQ_INVALID;
		ssd_cdq_drop(c->fn->ssd, q);
		return ST_OK;
	default: return ST_INVALID_FIELD;
	}
}

uint16_t ssd_track_send(struct ssd_cmd *c)
{
	struct ssd *ssd = c->fn->ssd;
	uint32_t mos = c->cdw10 >> 16, start = mos & 0xF;
	struct ssd_cdq *q;
	struct ssd_fn *fn;
	uint16_t st = ST_OK;

	if (c->cdw10 & 0xFF || mos > 1) /* SEL 1h: host memory is not tracked (TRATTR.THMCS=0) */
		return ST_INVALID_FIELD;
	q = find(ssd, c->cdw11 & 0xFFFF);
	if (!q)
		return ST_CDQ_INVALID;
	fn = &ssd->fn[q->cntlid];
	ssd_intrude(fn);
	pthread_mutex_lock(&q->lock);
	if (fn->suspended)
		st = ST_SUSPENDED;
	else if (q->full)
		st = ST_CDQ_FULL;
	else if (start && q->on)
		st = ST_CDQ_INVALID;
	else if (start)
		ssd_cdq_start(q, &ssd->profile->log);
	else
		ssd_cdq_end(q, ESA_STOPPED, c->fn->now_us + ssd->profile->log.marker_delay_us);
	pthread_mutex_unlock(&q->lock);
	ssd_retire(fn);
	return st;
}

uint16_t ssd_cdq_set_feature(struct ssd_cmd *c)
{
	struct ssd_cdq *q = find(c->fn->ssd, c->cdw11 & 0xFFFF);
	bool arm = c->cdw11 >> 31;
	uint32_t head = c->cdw12, slot = c->cdw13;
	uint16_t st = ST_OK;

	if (!q)
		return ST_CDQ_INVALID;
	if (c->cdw11 & 0x7FFF0000)
		return ST_INVALID_FIELD;
	pthread_mutex_lock(&q->lock);
	/* a slot with a posted entry, or the one behind the last: everything was read */
	if (head >= q->size || (head + q->size - q->head) % q->size > ssd_cdq_used(q) ||
	    (arm && slot >= q->size)) {
		st = ST_INVALID_FIELD;
	} else {
		q->head = head;
		q->trigger = arm;
		q->trigger_slot = slot;
	}
	pthread_mutex_unlock(&q->lock);
	if (!st)
		ssd_event_tail_clear(c->fn, q->id);
	return st;
}

uint16_t ssd_cdq_get_feature(struct ssd_cmd *c)
{
	struct ssd_cdq *q = find(c->fn->ssd, c->cdw11 & 0xFFFF);
	uint8_t d[512] = { 0 };

	if (!q)
		return ST_CDQ_INVALID;
	pthread_mutex_lock(&q->lock);
	exp_put_le32(d, q->head);
	exp_put_le32(d + 4, q->trigger_slot);
	c->dw0 = q->id | (uint32_t)q->trigger << 31;
	pthread_mutex_unlock(&q->lock);
	return ssd_data_out(c, d, sizeof(d));
}
