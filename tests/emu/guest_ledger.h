/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_ledger.h - what each block of the namespace may hold, known at every moment
 *
 * A block is 4 KiB: one or more logical blocks. The guest has at most one command in flight on a
 * block and each block is written by one queue only, so there is always one right content, except
 *   - after a deallocation, which the device may follow or not;
 *   - after a command that failed or whose completion never came: old, new, or a mixture of both.
 * A read that shows one whole content settles it: from then on it must stay.
 * What else is found is damage, counted once per block:
 *   lost        an acknowledged change is not there
 *   torn        a mixture, or a logical block that is none
 *   duplicated  what belongs to another place
 *   reordered   an older or abandoned content where a newer one was seen already
 *   foreign     data of somebody else where nothing was ever written
 */
#ifndef EMU_GUEST_LEDGER_H
#define EMU_GUEST_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define EMU_BLOCK        4096u
#define EMU_DAMAGE_NOTES 32

enum emu_damage { EMU_LOST, EMU_TORN, EMU_DUPLICATED, EMU_REORDERED, EMU_FOREIGN, EMU_DAMAGES };

/* What deallocated blocks may read as besides what they held (Identify Namespace, DLFEAT 2:0). */
enum emu_dealloc { EMU_DEALLOC_ANY_OF_BOTH, EMU_DEALLOC_ZEROS, EMU_DEALLOC_ONES };

struct emu_damage_note {
	enum emu_damage kind;
	uint64_t block;
	char text[120]; /* what was expected and what was there */
};

struct emu_ledger_config {
	uint64_t blocks;
	uint32_t lba_bytes; /* 512..4096, a power of two */
	uint32_t run;
	uint16_t queues; /* queue q owns blocks [(q-1)*n, q*n), the last one the rest */
	enum emu_dealloc dealloc;
	bool fresh; /* never written must read as zeros; else anything goes until it is written */
};

struct emu_ledger {
	struct emu_ledger_config c;
	struct emu_entry *entry;
	uint64_t per_queue; /* blocks */
	uint64_t damages[EMU_DAMAGES];
	struct emu_damage_note notes[EMU_DAMAGE_NOTES];
	size_t n_notes;
	bool adopted; /* the run was taken over from what was found */
};

enum emu_change { EMU_WRITE, EMU_ZERO, EMU_DEALLOCATE };

int emu_ledger_init(struct emu_ledger *l, const struct emu_ledger_config *c,
		    struct exp_error *err) EXP_MUST_CHECK;
void emu_ledger_done(struct emu_ledger *l);

const char *emu_damage_name(enum emu_damage d);
uint16_t emu_ledger_owner(const struct emu_ledger *l, uint64_t block);
uint64_t emu_ledger_first(const struct emu_ledger *l,
			  uint16_t qid); /* block; qid may be one more */

/** emu_ledger_idle - is no command in flight on any of them? */
bool emu_ledger_idle(const struct emu_ledger *l, uint64_t first, uint64_t n);

/** emu_ledger_begin - a command goes out: they are idle now and not from here on */
void emu_ledger_begin(struct emu_ledger *l, uint64_t first, uint64_t n);

/** emu_ledger_end - it read only, or never went out: idle again, unchanged */
void emu_ledger_end(struct emu_ledger *l, uint64_t first, uint64_t n);

/** emu_ledger_acked - the change was acknowledged; @seq for EMU_WRITE. Idle again */
void emu_ledger_acked(struct emu_ledger *l, uint64_t first, uint64_t n, enum emu_change what,
		      uint32_t seq);

/** emu_ledger_unsure - it failed, or nobody knows: done, not done, or half. Idle again */
void emu_ledger_unsure(struct emu_ledger *l, uint64_t first, uint64_t n, enum emu_change what,
		       uint32_t seq);

/** emu_ledger_check - @data was read from @block; true: as it should be */
bool emu_ledger_check(struct emu_ledger *l, uint64_t block, const void *data);

/** emu_ledger_adopt - at start: believe what was read; returns its sequence number, 0 if it has
 * none */
uint32_t emu_ledger_adopt(struct emu_ledger *l, uint64_t block, const void *data);

/** emu_ledger_fill - what the guest writes to @block with @seq; EMU_BLOCK bytes */
void emu_ledger_fill(const struct emu_ledger *l, uint64_t block, uint32_t seq, void *dst);

#endif
