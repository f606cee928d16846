/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_migrate.c - Migration Send (41h) and Migration Receive (42h), on the MMC
 *
 * Entering the gate of the other function is the suspension handshake: inside it, every command
 * that was fetched has been completed, and none is fetched before it is left again.
 */
#include <stdlib.h>
#include <string.h>

#include "emu/ssd_cdq.h"
#include "emu/ssd_state.h"

enum { SEL_SUSPEND = 0, SEL_RESUME = 1, SEL_SET_STATE = 2 };

#define SEQIND_LAST  2u /* bit 1: the last of a sequence, or the only command */
#define SEQIND_FIRST 1u /* bit 0: the first, or the only one */

/* The migratable controller a command names; the MMC itself is none. */
static struct ssd_fn *target(struct ssd_cmd *c)
{
	struct ssd_fn *fn = ssd_by_cntlid(c->fn->ssd, (uint16_t)c->cdw11);

	return fn && !fn->is_mmc ? fn : NULL;
}

void ssd_seq_drop(struct ssd_fn *fn)
{
	free(fn->seq_data);
	fn->seq_data = NULL;
	fn->seq_len = 0;
	fn->seq = SEQ_NONE;
}

static void fail_sequence(struct ssd_fn *fn)
{
	ssd_seq_drop(fn);
	fn->seq = SEQ_FAILED;
}

static uint16_t suspend(struct ssd_cmd *c)
{
	bool delete_log = c->cdw11 >> 31;
	uint32_t type = (c->cdw11 >> 16) & 0xFF;
	struct ssd_fn *fn = target(c);

	if (c->cdw10 >> 8 || c->cdw11 & 0x7F000000 || type > 1)
		return ST_INVALID_FIELD;
	if (!fn)
		return ST_CTRL_INVALID;
	if (!type) /* advance warning: nothing stops */
		return ST_OK;
	ssd_intrude(fn);
	ssd_queues_sync(fn);
	ssd_set_suspended(fn, true);
	ssd_retire(fn);
	if (delete_log)
		ssd_cdq_drop_of(c->fn->ssd, fn);
	return ST_OK;
}

static uint16_t resume_inside(struct ssd_fn *fn)
{
	if (!fn->suspended)
		return ST_NOT_SUSPENDED;
	if (fn->seq != SEQ_NONE)
		return ST_SEQUENCE;
	free(fn->committed);
	fn->committed = NULL;
	ssd_set_suspended(fn, false);
	/* an interrupt may have been lost on the way here: one too many does no harm */
	ssd_queues_ring(fn, true);
	return ST_OK;
}

static uint16_t resume(struct ssd_cmd *c)
{
	struct ssd_fn *fn = target(c);
	uint16_t st;

	if (c->cdw10 >> 8 || c->cdw11 >> 16)
		return ST_INVALID_FIELD;
	if (!fn)
		return ST_CTRL_INVALID;
	ssd_intrude(fn);
	st = resume_inside(fn);
	ssd_retire(fn);
	return st;
}

/* CSVI and CSUUIDI, 1-based into the lists of CNS 20h; every listed UUID is the Reference state. */
static uint16_t check_select(const struct ssd_fn *fn, uint32_t csvi, uint32_t csuuidi)
{
	return csvi > 1 || csuuidi > fn->ssd->profile->n_states ? ST_INVALID_FIELD : ST_OK;
}

static uint16_t commit(struct ssd_fn *fn, uint32_t csvi, uint32_t csuuidi)
{
	struct ssd_state *s = malloc(sizeof(*s));
	uint16_t st;

	if (!s)
		return ST_INTERNAL;
	st = ssd_state_check(fn, fn->seq_data, fn->seq_len, csvi, csuuidi, s);
	if (st) {
		free(s);
		return st;
	}
	ssd_seq_drop(fn);
	free(fn->committed);
	fn->committed = s;
	ssd_state_apply(fn, s);
	return ST_OK;
}

static uint16_t set_inside(struct ssd_cmd *c, struct ssd_fn *fn)
{
	uint32_t seqind = (c->cdw10 >> 16) & 3;
	uint32_t csvi = (c->cdw11 >> 16) & 0xFF, csuuidi = c->cdw11 >> 24;
	uint64_t off = c->cdw12 | (uint64_t)c->cdw13 << 32, len = (uint64_t)c->cdw15 * 4;
	uint16_t st;

	if (!fn->suspended && !(fn->cc & CC_EN))
		return ST_CTRL_INVALID;
	if (!(fn->csts & CSTS_RDY)) /* suspended while off: there is no queue to put state into */
		return ST_SEQUENCE;
	if (seqind & SEQIND_FIRST)
		ssd_seq_drop(fn);
	else if (fn->seq != SEQ_RUNNING)
		return ST_SEQUENCE;
	else if (fn->seq_select != c->cdw11)
		return ST_INVALID_FIELD;
	if (off & 3 || (!csvi && !csuuidi) || (!len && seqind != SEQIND_LAST))
		return ST_INVALID_FIELD;
	/* no gaps, and nothing beyond what a state of ours can have */
	if (off > fn->seq_len || len > SSD_STATE_MAX - off)
		return ST_INVALID_FIELD;
	if (!fn->seq_data)
		fn->seq_data = calloc(1, SSD_STATE_MAX);
	if (!fn->seq_data)
		return ST_INTERNAL;
	st = ssd_data_in(c, fn->seq_data + off, (uint32_t)len);
	if (st)
		return st;
	fn->seq = SEQ_RUNNING;
	fn->seq_select = c->cdw11;
	fn->seq_len = EXP_MAX(fn->seq_len, (size_t)(off + len));
	return seqind & SEQIND_LAST ? commit(fn, csvi, csuuidi) : ST_OK;
}

static uint16_t set_state(struct ssd_cmd *c)
{
	struct ssd_fn *fn = target(c);
	uint16_t st;

	if (c->cdw10 & 0xFFFCFF00)
		return ST_INVALID_FIELD;
	if (!fn)
		return ST_CTRL_INVALID;
	st = check_select(fn, (c->cdw11 >> 16) & 0xFF, c->cdw11 >> 24);
	if (st)
		return st;
	ssd_intrude(fn);
	st = set_inside(c, fn);
	if (st && fn->seq != SEQ_NONE)
		fail_sequence(fn); /* what arrived so far is void: start again */
	ssd_retire(fn);
	return st;
}

uint16_t ssd_mig_send(struct ssd_cmd *c)
{
	if ((c->cdw14 & 0x7F) > c->fn->ssd->profile->n_states)
		return ST_INVALID_FIELD;
	switch (c->cdw10 & 0xFF) {
	case SEL_SUSPEND: return suspend(c);
	case SEL_RESUME: return resume(c);
	case SEL_SET_STATE: return set_state(c);
	default: return ST_INVALID_FIELD;
	}
}

uint16_t ssd_mig_recv(struct ssd_cmd *c)
{
	uint32_t csvi = (c->cdw10 >> 16) & 0xFF, csuuidi = (c->cdw11 >> 16) & 0xFF;
	uint64_t off = c->cdw12 | (uint64_t)c->cdw13 << 32;
	uint64_t want = ((uint64_t)c->cdw15 + 1) * 4;
	struct ssd_fn *fn = target(c);
	uint8_t *buf;
	uint16_t st;
	size_t size;

	if (c->cdw10 & 0xFF00FFFF || (c->cdw14 & 0x7F) > c->fn->ssd->profile->n_states)
		return ST_INVALID_FIELD;
	if (!fn)
		return ST_CTRL_INVALID;
	st = check_select(fn, csvi, csuuidi);
	if (st)
		return st;
	if (off & 3 || off > SSD_STATE_MAX || !ssd_xfer_fits(c->fn, want))
		return ST_INVALID_FIELD;
	/* beyond the state's end the dwords are undefined: a pattern that nobody takes for data */
	buf = malloc(SSD_STATE_MAX + want);
	if (!buf)
		return ST_INTERNAL;
	memset(buf, 0xDB, SSD_STATE_MAX + want);
	ssd_intrude(fn);
	size = ssd_state_take(fn, csvi, csuuidi, buf);
	c->dw0 = fn->suspended; /* CSUP */
	ssd_retire(fn);
	st = off > size ? ST_INVALID_FIELD : ssd_data_out(c, buf + off, (uint32_t)want);
	free(buf);
	return st;
}
