/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_ledger.c - the set of contents that each block may show, and what any other one means
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu/guest_block.h"
#include "emu/guest_ledger.h"

/* What a logical block of this block may hold; several bits: any of them, until one was seen. */
#define MAY_ZERO  0x01
#define MAY_ONES  0x02
#define MAY_SEQ   0x04 /* stamped with entry.seq */
#define MAY_OTHER 0x08 /* stamped with entry.other: a write that failed or was not answered */
#define MAY_ANY   0x10 /* nothing is known or was promised, or damage was counted already */

struct emu_entry {
	uint32_t seq, other;
	uint8_t may;
	bool busy;    /* a command is in flight */
	bool seen;    /* the acknowledged content was read back since */
	bool touched; /* the guest changed it, or meant to */
};

const char *emu_damage_name(enum emu_damage d)
{
	static const char *const names[] = {
		[EMU_LOST] = "lost",
		[EMU_TORN] = "torn",
		[EMU_DUPLICATED] = "duplicated",
		[EMU_REORDERED] = "reordered",
		[EMU_FOREIGN] = "foreign",
	};

	return (unsigned int)d < EXP_ARRAY_SIZE(names) ? names[d] : "unknown";
}

int emu_ledger_init(struct emu_ledger *l, const struct emu_ledger_config *c, struct exp_error *err)
{
	assert(c->lba_bytes >= 512 && c->lba_bytes <= EMU_BLOCK && c->queues);
	*l = (struct emu_ledger){ .c = *c, .per_queue = c->blocks / c->queues };
	if (!l->per_queue)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "%llu blocks of %u bytes cannot be shared by %u queues",
				     (unsigned long long)c->blocks, EMU_BLOCK, c->queues);
	l->entry = calloc(c->blocks, sizeof(*l->entry));
	if (!l->entry)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM,
				     "out of memory for %llu blocks",
				     (unsigned long long)c->blocks);
	for (uint64_t i = 0; i < c->blocks; i++)
		l->entry[i].may = c->fresh ? MAY_ZERO : MAY_ANY;
	return 0;
}

void emu_ledger_done(struct emu_ledger *l)
{
	free(l->entry);
	l->entry = NULL;
}

uint64_t emu_ledger_first(const struct emu_ledger *l, uint16_t qid)
{
	return qid > l->c.queues ? l->c.blocks : (qid - 1u) * l->per_queue;
}

uint16_t emu_ledger_owner(const struct emu_ledger *l, uint64_t block)
{
	return (uint16_t)EXP_MIN(block / l->per_queue + 1, l->c.queues);
}

bool emu_ledger_idle(const struct emu_ledger *l, uint64_t first, uint64_t n)
{
	for (uint64_t i = first; i < first + n; i++) {
		if (l->entry[i].busy)
			return false;
	}
	return true;
}

static void set_busy(struct emu_ledger *l, uint64_t first, uint64_t n, bool busy)
{
	for (uint64_t i = first; i < first + n; i++) {
		assert(l->entry[i].busy != busy);
		l->entry[i].busy = busy;
	}
}

void emu_ledger_begin(struct emu_ledger *l, uint64_t first, uint64_t n)
{
	set_busy(l, first, n, true);
}

void emu_ledger_end(struct emu_ledger *l, uint64_t first, uint64_t n)
{
	set_busy(l, first, n, false);
}

static uint8_t dealloc_bits(const struct emu_ledger *l)
{
	switch (l->c.dealloc) {
	case EMU_DEALLOC_ZEROS: return MAY_ZERO;
	case EMU_DEALLOC_ONES: return MAY_ONES;
	case EMU_DEALLOC_ANY_OF_BOTH: break;
	}
	return MAY_ZERO | MAY_ONES;
}

void emu_ledger_acked(struct emu_ledger *l, uint64_t first, uint64_t n, enum emu_change what,
		      uint32_t seq)
{
	for (uint64_t i = first; i < first + n; i++) {
		struct emu_entry *e = &l->entry[i];

		assert(e->busy);
		e->busy = false;
		e->seen = false;
		e->touched = true;
		switch (what) {
		case EMU_WRITE:
			e->may = MAY_SEQ;
			e->seq = seq;
			break;
		case EMU_ZERO: e->may = MAY_ZERO; break;
		case EMU_DEALLOCATE:
			/* a hint: the device may follow it, in part, or not at all */
			e->may |= dealloc_bits(l);
			break;
		}
	}
}

void emu_ledger_unsure(struct emu_ledger *l, uint64_t first, uint64_t n, enum emu_change what,
		       uint32_t seq)
{
	for (uint64_t i = first; i < first + n; i++) {
		struct emu_entry *e = &l->entry[i];

		assert(e->busy);
		e->busy = false;
		e->touched = true;
		switch (what) {
		case EMU_WRITE:
			/* one such write can be remembered; after two, anything is possible */
			e->may |= (e->may & MAY_OTHER) ? MAY_ANY : MAY_OTHER;
			e->other = seq;
			break;
		case EMU_ZERO: e->may |= MAY_ZERO; break;
		case EMU_DEALLOCATE: e->may |= dealloc_bits(l); break;
		}
	}
}

void emu_ledger_fill(const struct emu_ledger *l, uint64_t block, uint32_t seq, void *dst)
{
	for (uint32_t off = 0; off < EMU_BLOCK; off += l->c.lba_bytes) {
		const struct emu_stamp s = {
			.addr = block * EMU_BLOCK + off,
			.seq = seq,
			.run = l->c.run,
			.writer = emu_ledger_owner(l, block),
		};

		emu_block_write((uint8_t *)dst + off, l->c.lba_bytes, &s);
	}
}

/* --- checking --- */

/* One logical block as it was found. */
struct found {
	enum emu_content content;
	struct emu_stamp stamp;
	uint8_t may; /* the bit that allows it, 0: none does */
};

static bool in_place(const struct emu_ledger *l, uint64_t addr, const struct emu_stamp *s)
{
	return s->addr == addr && s->run == l->c.run &&
	       s->writer == emu_ledger_owner(l, addr / EMU_BLOCK);
}

static struct found look(const struct emu_ledger *l, const struct emu_entry *e, uint64_t addr,
			 const uint8_t *data)
{
	struct found f = { 0 };

	f.content = emu_block_read(data, l->c.lba_bytes, &f.stamp);
	switch (f.content) {
	case EMU_CONTENT_ZERO: f.may = e->may & MAY_ZERO; break;
	case EMU_CONTENT_ONES: f.may = e->may & MAY_ONES; break;
	case EMU_CONTENT_STAMPED:
		if (!in_place(l, addr, &f.stamp))
			break;
		if ((e->may & MAY_SEQ) && f.stamp.seq == e->seq)
			f.may = MAY_SEQ;
		else if ((e->may & MAY_OTHER) && f.stamp.seq == e->other)
			f.may = MAY_OTHER;
		break;
	case EMU_CONTENT_BROKEN: break;
	}
	return f;
}

static bool same(const struct found *a, const struct found *b)
{
	return a->content == b->content &&
	       (a->content != EMU_CONTENT_STAMPED || a->stamp.seq == b->stamp.seq);
}

static enum emu_damage judge(const struct emu_ledger *l, const struct emu_entry *e, uint64_t addr,
			     const struct found *f, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (f[i].content == EMU_CONTENT_STAMPED && f[i].stamp.run != l->c.run)
			return EMU_FOREIGN;
		if (f[i].content == EMU_CONTENT_BROKEN)
			return e->touched ? EMU_TORN : EMU_FOREIGN;
		if (f[i].content == EMU_CONTENT_STAMPED &&
		    (f[i].stamp.addr != addr + i * l->c.lba_bytes ||
		     f[i].stamp.writer != emu_ledger_owner(l, addr / EMU_BLOCK)))
			return EMU_DUPLICATED;
	}
	for (size_t i = 1; i < n; i++) {
		if (!same(&f[0], &f[i]))
			return EMU_TORN;
	}
	if (!e->touched)
		return EMU_FOREIGN;
	/* whole, in its place, and not the right one: went back, never arrived, or came too late */
	if (e->seen || (f[0].content == EMU_CONTENT_STAMPED && f[0].stamp.seq > e->seq))
		return EMU_REORDERED;
	return EMU_LOST;
}

static void describe(char *out, size_t cap, const struct emu_entry *e, const struct found *f)
{
	static const char *const names[] = {
		[EMU_CONTENT_STAMPED] = "sequence",
		[EMU_CONTENT_ZERO] = "zeros",
		[EMU_CONTENT_ONES] = "ones",
		[EMU_CONTENT_BROKEN] = "no block of ours",
	};
	int n = snprintf(out, cap, "expected %s%s", (e->may & MAY_ZERO) ? "zeros " : "",
			 (e->may & MAY_ONES) ? "ones " : "");

	if (n > 0 && (e->may & MAY_SEQ))
		n += snprintf(out + n, cap - (size_t)n, "sequence %u ", e->seq);
	if (n > 0 && (e->may & MAY_OTHER))
		n += snprintf(out + n, cap - (size_t)n, "or %u ", e->other);
	if (n > 0)
		n += snprintf(out + n, cap - (size_t)n, "found %s", names[f->content]);
	if (n > 0 && f->content == EMU_CONTENT_STAMPED)
		snprintf(out + n, cap - (size_t)n, " %u of queue %u for %llxh", f->stamp.seq,
			 f->stamp.writer, (unsigned long long)f->stamp.addr);
}

static void count(struct emu_ledger *l, uint64_t block, struct emu_entry *e, enum emu_damage d,
		  const struct found *f)
{
	l->damages[d]++;
	if (l->n_notes < EMU_DAMAGE_NOTES) {
		struct emu_damage_note *note = &l->notes[l->n_notes++];

		note->kind = d;
		note->block = block;
		describe(note->text, sizeof(note->text), e, f);
	}
	e->may = MAY_ANY; /* once is enough */
}

/* All of it is one allowed content: from now on only that. */
static void settle(struct emu_entry *e, uint8_t may)
{
	if (may == MAY_OTHER)
		e->seq = e->other;
	e->may = may == MAY_OTHER ? MAY_SEQ : may;
	e->seen = true;
}

bool emu_ledger_check(struct emu_ledger *l, uint64_t block, const void *data)
{
	struct emu_entry *e = &l->entry[block];
	struct found f[EMU_BLOCK / 512];
	size_t n = EMU_BLOCK / l->c.lba_bytes, wrong = n;
	bool uniform = true;

	assert(n > 0); /* a block has at least one sector of the namespace */
	if (e->may & MAY_ANY)
		return true;
	for (size_t i = 0; i < n; i++) {
		uint64_t off = i * l->c.lba_bytes;

		f[i] = look(l, e, block * EMU_BLOCK + off, (const uint8_t *)data + off);
		if (!f[i].may && wrong == n)
			wrong = i;
		if (f[i].may != f[0].may)
			uniform = false;
	}
	if (wrong < n) {
		count(l, block, e, judge(l, e, block * EMU_BLOCK, f, n), &f[wrong]);
		return false;
	}
	/* a mixture of what is allowed: there is more than one, as nothing was promised yet */
	if (uniform)
		settle(e, f[0].may);
	return true;
}

uint32_t emu_ledger_adopt(struct emu_ledger *l, uint64_t block, const void *data)
{
	struct emu_entry *e = &l->entry[block];
	struct found first, f;
	struct emu_stamp s;

	/* the first stamp decides whose run this namespace is */
	if (!l->adopted && emu_block_read(data, l->c.lba_bytes, &s) == EMU_CONTENT_STAMPED) {
		l->c.run = s.run;
		l->adopted = true;
	}
	e->may = MAY_ANY;
	first = look(l, e, block * EMU_BLOCK, data);
	for (uint64_t off = 0; off < EMU_BLOCK; off += l->c.lba_bytes) {
		uint64_t addr = block * EMU_BLOCK + off;

		f = look(l, e, addr, (const uint8_t *)data + off);
		if (!same(&first, &f) || f.content == EMU_CONTENT_BROKEN)
			return 0;
		if (f.content == EMU_CONTENT_STAMPED && !in_place(l, addr, &f.stamp))
			return 0;
	}
	e->seq = first.content == EMU_CONTENT_STAMPED ? first.stamp.seq : 0;
	e->touched = true;
	settle(e, first.content == EMU_CONTENT_STAMPED ? MAY_SEQ
		  : first.content == EMU_CONTENT_ZERO  ? MAY_ZERO
						       : MAY_ONES);
	return e->seq;
}
