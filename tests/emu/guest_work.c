/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_work.c - what the guest sends, when, and what it makes of the answers
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "emu/guest_work.h"

#define MAX_TRIES       5
#define PICKS           8 /* places tried before a command is put off */
#define TRIM_MAX_BLOCKS 64
#define PUT_OFF_US      100
#define UNANNOUNCED_US  1000000 /* a completion that no interrupt told of for so long */

/* --- life --- */

static uint32_t max_blocks(const struct emu_work *k)
{
	return k->c.size_max / EMU_BLOCK;
}

static int worker_init(struct emu_work *k, uint16_t qid, uint16_t entries, struct exp_error *err)
{
	struct emu_worker *w = &k->w[qid - 1];
	uint64_t blocks = emu_ledger_first(&k->ledger, qid + 1) - emu_ledger_first(&k->ledger, qid);
	double per_queue = (double)k->c.rate / k->c.queues;
	int r = emu_queue_init(&w->q, k->mem, qid, entries, k->c.depth, err);

	if (r < 0)
		return r;
	w->irq = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->irq < 0)
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "eventfd: %s", strerror(errno));
	exp_rng_seed(&w->rng, k->c.seed * 1000 + qid);
	w->first = emu_ledger_first(&k->ledger, qid);
	w->span = blocks;
	if (k->c.span_bytes)
		w->span = EXP_MIN(blocks, EXP_MAX(k->c.span_bytes / EMU_BLOCK, max_blocks(k)));
	if (per_queue > 0)
		w->every_us = 1e6 / per_queue * (100 - k->c.read_percent) / 100;
	w->cmd = calloc(k->c.depth, sizeof(*w->cmd));
	if (!w->cmd)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	for (uint16_t i = 0; !r && i < k->c.depth; i++)
		r = emu_cmd_init(&w->cmd[i], k->mem, i, max_blocks(k), err);
	return r;
}

int emu_work_init(struct emu_work *k, struct emu_mem *mem, const struct emu_work_config *c,
		  const struct emu_ns *ns, uint16_t entries, uint32_t run, bool fresh,
		  struct exp_error *err)
{
	const struct emu_ledger_config lc = {
		.blocks = ns->blocks,
		.lba_bytes = 1u << ns->lba_shift,
		.run = run,
		.queues = c->queues,
		.dealloc = ns->dealloc,
		.fresh = fresh,
	};
	int r = emu_ledger_init(&k->ledger, &lc, err);

	if (r < 0)
		return r;
	k->c = *c;
	k->ns = *ns;
	k->mem = mem;
	if (ns->max_bytes)
		k->c.size_max = EXP_MIN(k->c.size_max, ns->max_bytes & ~(EMU_BLOCK - 1));
	if (max_blocks(k) > k->ledger.per_queue)
		k->c.size_max = (uint32_t)k->ledger.per_queue * EMU_BLOCK;
	if (!k->c.size_max)
		return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, ENOTSUP,
				     "the device moves %u bytes at most, a block has %u",
				     ns->max_bytes, EMU_BLOCK);
	k->w = calloc(c->queues, sizeof(*k->w));
	if (!k->w)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	for (uint16_t i = 0; i < c->queues; i++)
		k->w[i].irq = -1;
	for (uint16_t qid = 1; !r && qid <= c->queues; qid++)
		r = worker_init(k, qid, entries, err);
	return r;
}

void emu_work_done(struct emu_work *k)
{
	for (uint16_t i = 0; k->w && i < k->c.queues; i++) {
		struct emu_worker *w = &k->w[i];

		for (uint16_t s = 0; w->cmd && s < k->c.depth; s++)
			emu_cmd_done(&w->cmd[s]);
		free(w->cmd);
		if (w->irq >= 0)
			close(w->irq);
	}
	free(k->w);
	k->w = NULL;
	emu_ledger_done(&k->ledger);
}

/* --- submission --- */

static void send(struct emu_work *k, struct emu_worker *w, uint16_t slot, uint64_t now_us)
{
	struct emu_cmd *cmd = &w->cmd[slot];
	uint8_t sqe[EMU_SQE_BYTES];

	emu_cmd_encode(cmd, k->mem, &k->ns, sqe);
	cmd->live = true;
	cmd->sent_us = now_us;
	emu_queue_submit(&w->q, slot, sqe);
}

/* A place of @n blocks on which nothing is in flight. */
static bool pick(struct emu_work *k, struct emu_worker *w, uint32_t n, struct emu_extent *ret)
{
	n = (uint32_t)EXP_MIN(n, w->span);
	for (int i = 0; i < PICKS; i++) {
		uint64_t first = w->first + exp_rng_below(&w->rng, w->span - n + 1);

		if (!emu_ledger_idle(&k->ledger, first, n))
			continue;
		*ret = (struct emu_extent){ first, n };
		emu_ledger_begin(&k->ledger, first, n);
		return true;
	}
	return false;
}

static enum emu_op choose(struct emu_work *k, struct emu_worker *w)
{
	uint64_t x = exp_rng_below(&w->rng, 1000);
	uint32_t zeroes = k->c.zero_permille, trims = zeroes + k->c.trim_permille;

	if (exp_rng_chance(&w->rng, k->c.read_percent, 100))
		return EMU_OP_READ;
	if (x < zeroes)
		return k->ns.can_zero ? EMU_OP_ZERO : EMU_OP_WRITE;
	if (x < trims)
		return k->ns.can_trim ? EMU_OP_TRIM : EMU_OP_WRITE;
	return x < trims + k->c.flush_permille ? EMU_OP_FLUSH : EMU_OP_WRITE;
}

/* Fills in what @cmd is to do. False: no place is free just now. */
static bool prepare(struct emu_work *k, struct emu_worker *w, struct emu_cmd *cmd)
{
	uint32_t n = 1 + (uint32_t)exp_rng_below(&w->rng, max_blocks(k));
	unsigned int extents = 1;

	cmd->op = choose(k, w);
	cmd->n_ext = 0;
	cmd->tries = 0;
	cmd->given_up = false;
	if (cmd->op == EMU_OP_FLUSH)
		return true;
	if (cmd->op == EMU_OP_TRIM) {
		extents = 1 + (unsigned int)exp_rng_below(&w->rng, EMU_MAX_EXTENT);
		n = 1 + (uint32_t)exp_rng_below(&w->rng, TRIM_MAX_BLOCKS);
	}
	while (cmd->n_ext < extents && pick(k, w, n, &cmd->ext[cmd->n_ext]))
		cmd->n_ext++;
	if (!cmd->n_ext)
		return false;
	if (cmd->op == EMU_OP_READ)
		emu_cmd_spoil(cmd, k->mem);
	if (cmd->op != EMU_OP_WRITE)
		return true;
	cmd->seq = ++w->seq;
	for (uint32_t i = 0; i < cmd->ext[0].n; i++) {
		emu_ledger_fill(&k->ledger, cmd->ext[0].first + i, cmd->seq, k->scratch);
		emu_cmd_put(cmd, k->mem, i, k->scratch);
	}
	return true;
}

void emu_work_schedule(struct emu_work *k, uint64_t now_us)
{
	k->patient_from_us = now_us;
	for (uint16_t i = 0; i < k->c.queues; i++)
		k->w[i].due_us = now_us;
}

void emu_work_submit(struct emu_work *k, struct emu_worker *w, uint64_t now_us)
{
	int slot;

	/* what could not be sent during a gap is made up for, but not more than one queue full */
	if (w->every_us > 0 && now_us - w->due_us > (uint64_t)(w->every_us * k->c.depth) &&
	    w->due_us < now_us)
		w->due_us = now_us - (uint64_t)(w->every_us * k->c.depth);
	while (w->due_us <= now_us && (slot = emu_queue_free_slot(&w->q)) >= 0) {
		if (!prepare(k, w, &w->cmd[slot])) {
			w->due_us = now_us + PUT_OFF_US;
			return;
		}
		send(k, w, (uint16_t)slot, now_us);
		if (w->every_us > 0)
			w->due_us +=
				(uint64_t)(w->every_us *
					   (0.5 + (double)exp_rng_below(&w->rng, 1001) / 1000));
	}
}

uint64_t emu_work_next_due_us(const struct emu_work *k)
{
	uint64_t due = UINT64_MAX;

	for (uint16_t i = 0; i < k->c.queues; i++) {
		if (emu_queue_free_slot(&k->w[i].q) >= 0)
			due = EXP_MIN(due, k->w[i].due_us);
	}
	return due;
}

/* --- completion --- */

static void note_error(struct emu_work *k, const struct emu_worker *w, const struct emu_cmd *cmd,
		       uint16_t status)
{
	static const char *const names[] = {
		[EMU_OP_READ] = "read",         [EMU_OP_WRITE] = "write",
		[EMU_OP_ZERO] = "write zeroes", [EMU_OP_TRIM] = "deallocate",
		[EMU_OP_FLUSH] = "flush",       [EMU_OP_SCAN] = "read",
	};

	if (k->first_error[0])
		return;
	snprintf(k->first_error, sizeof(k->first_error),
		 "queue %u: %s of %u blocks at block %llu: status %x/%02xh", w->q.qid,
		 names[cmd->op], emu_cmd_blocks(cmd),
		 (unsigned long long)(cmd->n_ext ? cmd->ext[0].first : 0), status >> 8 & 7,
		 status & 0xff);
}

static void each_changed(struct emu_work *k, const struct emu_cmd *cmd, enum emu_change what,
			 bool acked)
{
	for (uint8_t i = 0; i < cmd->n_ext; i++) {
		if (acked)
			emu_ledger_acked(&k->ledger, cmd->ext[i].first, cmd->ext[i].n, what,
					 cmd->seq);
		else
			emu_ledger_unsure(&k->ledger, cmd->ext[i].first, cmd->ext[i].n, what,
					  cmd->seq);
	}
}

static void done_read(struct emu_work *k, struct emu_worker *w, const struct emu_cmd *cmd)
{
	const struct emu_extent *x = &cmd->ext[0];

	emu_ledger_end(&k->ledger, x->first, x->n);
	for (uint32_t i = 0; i < x->n; i++) {
		const uint8_t *data = emu_cmd_get(cmd, k->mem, i, k->scratch);

		if (cmd->op == EMU_OP_SCAN && k->scan == EMU_SCAN_ADOPT)
			w->seq = EXP_MAX(w->seq, emu_ledger_adopt(&k->ledger, x->first + i, data));
		else
			emu_ledger_check(&k->ledger, x->first + i, data);
	}
}

/* The outcome of @cmd, when it is certain that nothing more comes. */
static void settle(struct emu_work *k, struct emu_worker *w, struct emu_cmd *cmd, bool acked)
{
	struct emu_counts *n = &w->counts;

	cmd->live = false;
	switch (cmd->op) {
	case EMU_OP_READ:
	case EMU_OP_SCAN:
		if (!acked) {
			emu_ledger_end(&k->ledger, cmd->ext[0].first, cmd->ext[0].n);
			break;
		}
		done_read(k, w, cmd);
		n->reads += cmd->op == EMU_OP_READ;
		n->scanned_blocks += cmd->op == EMU_OP_SCAN ? cmd->ext[0].n : 0;
		break;
	case EMU_OP_WRITE:
		each_changed(k, cmd, EMU_WRITE, acked);
		n->acked_writes += acked;
		n->acked_blocks += acked ? emu_cmd_blocks(cmd) : 0;
		break;
	case EMU_OP_ZERO:
		each_changed(k, cmd, EMU_ZERO, acked);
		n->zeroes += acked;
		break;
	case EMU_OP_TRIM:
		each_changed(k, cmd, EMU_DEALLOCATE, acked);
		n->trims += acked;
		break;
	case EMU_OP_FLUSH: n->flushes += acked; break;
	}
}

static void complete(struct emu_work *k, struct emu_worker *w, const struct emu_cqe *e,
		     uint64_t now_us)
{
	struct emu_cmd *cmd = &w->cmd[e->slot];
	bool failed = e->status & EMU_STATUS_CODE;

	assert(cmd->live);
	if (cmd->given_up) {
		cmd->given_up = false;
		w->given_up--;
		w->counts.late++;
	}
	if (failed && !(e->status & EMU_STATUS_DNR) && cmd->tries < MAX_TRIES &&
	    !emu_queue_full(&w->q)) {
		cmd->tries++;
		w->counts.retries++;
		send(k, w, e->slot, now_us);
		return;
	}
	if (failed) {
		w->counts.io_errors++;
		note_error(k, w, cmd, e->status);
	}
	settle(k, w, cmd, !failed);
}

unsigned int emu_work_reap(struct emu_work *k, struct emu_worker *w, uint64_t now_us)
{
	unsigned int n = 0;
	struct emu_cqe e;

	for (; emu_queue_reap(&w->q, &e); n++)
		complete(k, w, &e, now_us);
	w->waiting_since_us = 0;
	return n;
}

/* --- reading all of it --- */

void emu_work_scan_begin(struct emu_work *k, enum emu_scan scan)
{
	k->scan = scan;
	for (uint16_t i = 0; i < k->c.queues; i++) {
		struct emu_worker *w = &k->w[i];

		w->scan_next = emu_ledger_first(&k->ledger, w->q.qid);
		w->scan_end = emu_ledger_first(&k->ledger, w->q.qid + 1);
	}
}

bool emu_work_scan_step(struct emu_work *k, struct emu_worker *w, uint64_t now_us)
{
	int slot;

	while (w->scan_next < w->scan_end && (slot = emu_queue_free_slot(&w->q)) >= 0) {
		struct emu_cmd *cmd = &w->cmd[slot];
		uint32_t n = (uint32_t)EXP_MIN(w->scan_end - w->scan_next, max_blocks(k));

		/* under a command that was given up anything may happen still */
		if (!emu_ledger_idle(&k->ledger, w->scan_next, n)) {
			w->scan_next++;
			continue;
		}
		cmd->op = EMU_OP_SCAN;
		cmd->tries = 0;
		cmd->given_up = false;
		cmd->n_ext = 1;
		cmd->ext[0] = (struct emu_extent){ w->scan_next, n };
		emu_ledger_begin(&k->ledger, w->scan_next, n);
		emu_cmd_spoil(cmd, k->mem);
		send(k, w, (uint16_t)slot, now_us);
		w->scan_next += n;
	}
	return w->scan_next == w->scan_end && w->q.outstanding == w->given_up;
}

/* --- watching --- */

bool emu_work_dead(const struct emu_work *k)
{
	for (uint16_t i = 0; i < k->c.queues; i++) {
		if (k->w[i].given_up == k->c.depth)
			return true;
	}
	return false;
}

uint64_t emu_work_outstanding(const struct emu_work *k)
{
	uint64_t n = 0;

	for (uint16_t i = 0; i < k->c.queues; i++)
		n += k->w[i].q.outstanding - k->w[i].given_up;
	return n;
}

void emu_work_overdue(struct emu_work *k, uint64_t now_us)
{
	uint64_t patience_us = (uint64_t)k->c.patience_ms * 1000;

	for (uint16_t i = 0; i < k->c.queues; i++) {
		struct emu_worker *w = &k->w[i];

		if (!emu_queue_waiting(&w->q))
			w->waiting_since_us = 0;
		else if (!w->waiting_since_us)
			w->waiting_since_us = now_us;
		else if (now_us - w->waiting_since_us > UNANNOUNCED_US) {
			w->counts.missed_interrupts++;
			emu_work_reap(k, w, now_us);
		}
		for (uint16_t s = 0; s < k->c.depth; s++) {
			struct emu_cmd *cmd = &w->cmd[s];
			uint64_t from = EXP_MAX(cmd->sent_us, k->patient_from_us);

			if (!cmd->live || cmd->given_up || now_us < from ||
			    now_us - from <= patience_us)
				continue;
			cmd->given_up = true;
			w->given_up++;
			w->q.faults.lost++;
		}
	}
}

void emu_work_restart(struct emu_work *k)
{
	for (uint16_t i = 0; i < k->c.queues; i++) {
		struct emu_worker *w = &k->w[i];

		for (uint16_t s = 0; s < k->c.depth; s++) {
			if (w->cmd[s].live)
				settle(k, w, &w->cmd[s], false);
		}
		emu_queue_restart(&w->q);
		w->given_up = 0;
		w->waiting_since_us = 0;
	}
}

void emu_work_gap(struct emu_work *k, uint64_t now_us, unsigned int completed, bool active)
{
	struct emu_gap *g = &k->gap;
	bool waiting = emu_work_outstanding(k) > 0;

	for (uint16_t i = 0; active && !waiting && i < k->c.queues; i++)
		waiting = k->w[i].due_us <= now_us;
	if (g->since_us && completed) {
		g->longest_us = EXP_MAX(g->longest_us, now_us - g->since_us);
		g->marked_us = EXP_MAX(g->marked_us, now_us - g->since_us);
	}
	if (!waiting)
		g->since_us = 0;
	else if (completed || !g->since_us)
		g->since_us = now_us;
}

struct emu_faults emu_work_faults(const struct emu_work *k)
{
	struct emu_faults sum = { 0 };

	for (uint16_t i = 0; i < k->c.queues; i++) {
		const struct emu_faults *f = &k->w[i].q.faults;

		sum.lost += f->lost;
		sum.duplicated += f->duplicated;
		sum.torn += f->torn;
		sum.reordered += f->reordered;
	}
	return sum;
}

struct emu_counts emu_work_counts(const struct emu_work *k)
{
	struct emu_counts sum = { 0 };

	for (uint16_t i = 0; i < k->c.queues; i++) {
		const struct emu_counts *n = &k->w[i].counts;

		sum.acked_writes += n->acked_writes;
		sum.acked_blocks += n->acked_blocks;
		sum.reads += n->reads;
		sum.zeroes += n->zeroes;
		sum.trims += n->trims;
		sum.flushes += n->flushes;
		sum.scanned_blocks += n->scanned_blocks;
		sum.io_errors += n->io_errors;
		sum.retries += n->retries;
		sum.late += n->late;
		sum.missed_interrupts += n->missed_interrupts;
	}
	return sum;
}
