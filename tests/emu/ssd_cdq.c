/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_cdq.c - the change log: what was noted becomes entries of an LBA Migration Queue
 *
 * Entries are posted strictly in the order of the notes, the end marker last. The habits of the
 * profile make them late, merged and larger than the writes were, which the standard allows; a
 * deallocation is never made larger, since the host may deallocate what it names. One slot of the
 * queue is kept for the overflow marker, so that it can always be told.
 */
#include <stdlib.h>
#include <string.h>

#include "emu/ssd_cdq_int.h"

static struct ssd_note *note_at(struct ssd_cdq *q, uint32_t i)
{
	return &q->notes[(q->first_note + i) % q->cap_notes];
}

static void overflow(struct ssd_cdq *q)
{
	*note_at(q, q->n_notes++) = (struct ssd_note){ .end = ESA_FULL };
	q->on = false;
	q->full = true;
}

/* The note's entry will need a slot: size - 1 can be used, one of them only to tell of overflow. */
static bool append(struct ssd_cdq *q, const struct ssd_note *note)
{
	if (ssd_cdq_used(q) + q->n_notes + 2 >= q->size) {
		overflow(q);
		return false;
	}
	*note_at(q, q->n_notes++) = *note;
	return true;
}

void ssd_cdq_start(struct ssd_cdq *q, const struct ssd_log_habits *habits)
{
	q->on = true;
	q->ended_by_suspend = false;
	q->first_due = !habits->first_alone;
	if (habits->first_alone)
		append(q, &(struct ssd_note){ .first = true });
}

void ssd_cdq_end(struct ssd_cdq *q, uint8_t esa, uint64_t due_us)
{
	/* nothing was written since the start: the first entry still has to be one with 001b */
	if (q->on && q->first_due)
		append(q, &(struct ssd_note){ .first = true });
	if (q->on)
		append(q, &(struct ssd_note){ .end = esa, .due_us = due_us });
	q->first_due = false;
	q->on = false;
}

static bool merge(struct ssd_cdq *q, const struct ssd_note *n)
{
	struct ssd_note *last;
	uint64_t from, to;

	if (!q->n_notes)
		return false;
	last = note_at(q, q->n_notes - 1);
	if (last->end || last->nsid != n->nsid || last->dealloc != n->dealloc ||
	    n->slba > last->slba + last->blocks || last->slba > n->slba + n->blocks)
		return false;
	from = EXP_MIN(last->slba, n->slba);
	to = EXP_MAX(last->slba + last->blocks, n->slba + n->blocks);
	if (to - from > UINT64_C(1) << 32) /* NLB is 0's based in 32 bits */
		return false;
	last->slba = from;
	last->blocks = to - from;
	return true;
}

void ssd_cdq_note(struct ssd_fn *fn, uint32_t nsid, const struct ssd_ns *ns, uint64_t slba,
		  uint64_t blocks, bool deallocated)
{
	const struct ssd_profile *p = fn->ssd->profile;
	struct ssd_cdq *q = fn->log;
	struct ssd_note n = { .nsid = p->sw.log_exported_nsid ? nsid : ns->nsid,
			      .dealloc = deallocated };
	uint64_t round = deallocated ? 1 : p->log.round_blocks;
	bool wake = false;

	if (!q)
		return;
	n.slba = slba - slba % round;
	n.blocks = EXP_MIN((slba + blocks + round - 1) / round * round, ns->blocks) - n.slba;
	pthread_mutex_lock(&q->lock);
	if (q->on && !(p->log.merge && merge(q, &n))) {
		n.first = q->first_due;
		q->first_due = false;
		append(q, &n);
		wake = q->n_notes == q->size / 4;
	}
	pthread_mutex_unlock(&q->lock);
	if (wake && fn->ssd->fn[0].host.wake)
		fn->ssd->fn[0].host.wake(fn->ssd->fn[0].host.arg);
}

void ssd_cdq_suspended(struct ssd_fn *fn)
{
	struct ssd *ssd = fn->ssd;
	struct ssd_cdq *q = fn->log;

	if (!q)
		return;
	pthread_mutex_lock(&q->lock);
	if (q->on) {
		ssd_cdq_end(q, ESA_SUSPENDED,
			    ssd->fn[0].now_us + ssd->profile->log.marker_delay_us);
		q->ended_by_suspend = true;
	}
	pthread_mutex_unlock(&q->lock);
}

void ssd_cdq_resumed(struct ssd_fn *fn)
{
	const struct ssd_profile *p = fn->ssd->profile;
	struct ssd_cdq *q = fn->log;

	if (!q || !p->sw.logging_survives_resume)
		return;
	pthread_mutex_lock(&q->lock);
	if (q->ended_by_suspend && !q->full)
		ssd_cdq_start(q, &p->log);
	pthread_mutex_unlock(&q->lock);
}

static uint8_t *slot(struct ssd *ssd, const struct ssd_cdq *q)
{
	const struct ssd_host *host = &ssd->fn[0].host;
	uint64_t at = (uint64_t)q->tail * LMQ_BYTES;
	uint64_t addr = q->n_pages ? q->pages[at / q->page_bytes] + at % q->page_bytes
				   : q->pages[0] + at;

	return host->dma(host->arg, addr, LMQ_BYTES, true);
}

static void put(struct ssd *ssd, struct ssd_cdq *q, uint8_t *to, const struct ssd_note *n,
		uint8_t esa)
{
	uint8_t e[LMQ_BYTES] = { 0 };

	if (n->nsid) {
		exp_put_le32(e + LMQ_NSID, n->nsid);
		exp_put_le32(e + LMQ_NLB, (uint32_t)(n->blocks - 1));
		exp_put_le64(e + LMQ_SLBA, n->slba);
		e[LMQ_ATTR] = LMQ_RANGE | (n->dealloc ? LMQ_DLBA : 0);
	} else {
		e[LMQ_ATTR] = LMQ_NO_RANGE;
	}
	e[LMQ_ATTR] |= (uint8_t)(LMQ_ESA(esa) | q->phase);
	memcpy(to, e, LMQ_ATTR);
	/* the phase last: the reader sees it, and then the rest */
	__atomic_store_n(to + LMQ_ATTR, e[LMQ_ATTR], __ATOMIC_RELEASE);
	if (q->trigger && q->trigger_slot == q->tail) {
		q->trigger = false;
		ssd_event_tail(&ssd->fn[0], q->id);
	}
	q->tail = (q->tail + 1) % q->size;
	if (!q->tail)
		q->phase ^= 1;
}

static void pop(struct ssd_cdq *q)
{
	q->first_note = (q->first_note + 1) % q->cap_notes;
	q->n_notes--;
}

/* Post what is due; @now_us UINT64_MAX: everything. Lock held. */
static void post_all(struct ssd *ssd, struct ssd_cdq *q, uint64_t now_us)
{
	bool together = ssd->profile->log.marker_carries_range;

	while (q->n_notes) {
		struct ssd_note n = *note_at(q, 0);
		uint8_t esa = n.end ? n.end : n.first ? ESA_FIRST : ESA_NONE;
		uint64_t due = n.due_us;
		bool two = false;
		uint8_t *to;

		/* an ordinary range right before the end marker travels with it */
		if (together && !esa && q->n_notes > 1 && note_at(q, 1)->end &&
		    note_at(q, 1)->end != ESA_FULL) {
			esa = note_at(q, 1)->end;
			due = note_at(q, 1)->due_us;
			two = true;
		}
		if (due > now_us)
			return;
		to = slot(ssd, q);
		if (!to) /* its memory is away: wait, until it comes back or the queue is full */
			return;
		put(ssd, q, to, &n, esa);
		pop(q);
		if (two)
			pop(q);
	}
}

bool ssd_cdqs_run(struct ssd *ssd, uint64_t now_us)
{
	struct ssd_fn *mmc = &ssd->fn[0];
	bool active = false;

	if (!mmc->db || !mmc->host.bus_master(mmc->host.arg))
		return false;
	for (size_t i = 0; i < SSD_MAX_CDQS; i++) {
		struct ssd_cdq *q = ssd->cdqs[i];

		if (!q)
			continue;
		pthread_mutex_lock(&q->lock);
		post_all(ssd, q, now_us);
		active |= q->on || q->n_notes;
		pthread_mutex_unlock(&q->lock);
	}
	return active;
}

void ssd_cdq_free(struct ssd_cdq *q)
{
	if (!q)
		return;
	pthread_mutex_destroy(&q->lock);
	free(q->pages);
	free(q->notes);
	free(q);
}

void ssd_cdq_drop(struct ssd *ssd, struct ssd_cdq *q)
{
	struct ssd_fn *fn = &ssd->fn[q->cntlid];

	ssd_intrude(fn);
	fn->log = NULL;
	ssd_retire(fn);
	for (size_t i = 0; i < SSD_MAX_CDQS; i++)
		if (ssd->cdqs[i] == q)
			ssd->cdqs[i] = NULL;
	ssd_event_tail_clear(&ssd->fn[0], q->id);
	ssd_cdq_free(q);
}

void ssd_cdq_drop_of(struct ssd *ssd, struct ssd_fn *fn)
{
	for (size_t i = 0; i < SSD_MAX_CDQS; i++) {
		struct ssd_cdq *q = ssd->cdqs[i];

		if (!q || q->cntlid != fn->cntlid)
			continue;
		pthread_mutex_lock(&q->lock);
		post_all(ssd, q, UINT64_MAX);
		pthread_mutex_unlock(&q->lock);
		ssd_cdq_drop(ssd, q);
	}
}

void ssd_cdq_drop_all(struct ssd *ssd)
{
	for (size_t i = 0; i < SSD_MAX_CDQS; i++)
		if (ssd->cdqs[i])
			ssd_cdq_drop(ssd, ssd->cdqs[i]);
}
