/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty.h - which parts of one namespace have to be sent, in grains of 4 KiB
 *
 * A grain is clean, written (read it) or deallocated (tell it instead of reading). Leaves of 2 MiB
 * hold the grains; they and the nodes above them exist only where something differs from its
 * neighbours, so a clean namespace and a wholly dirty one of any size take no memory at all.
 *
 * Marking never fails and never loses: where memory ends, a larger part than asked becomes
 * written, which costs work and is always true. Offsets and lengths are bytes. One thread at a
 * time.
 */
#ifndef EXP_COPY_DIRTY_H
#define EXP_COPY_DIRTY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "copy/extent.h"

#define EXP_DIRTY_LEAF (2u * 1024 * 1024) /* bytes of the namespace that one leaf stands for */

enum exp_mark { EXP_MARK_CLEAN = 0, EXP_MARK_WRITTEN = 1, EXP_MARK_DEALLOCATED = 2 };

/* Memory of several maps together. */
struct exp_dirty_budget {
	uint64_t used_bytes;
	uint64_t max_bytes; /* marks become coarser instead of passing it; clearing may pass it */
};

struct exp_dirty_run {
	uint64_t offset, len;
	enum exp_mark mark; /* WRITTEN or DEALLOCATED */
};

struct exp_dirty;

/**
 * exp_dirty_new - a clean map for a namespace of @bytes
 * @budget: shared, stays the caller's, outlives the map
 *
 * -EINVAL: 0 bytes or more than INT64_MAX; -ENOMEM.
 */
int exp_dirty_new(uint64_t bytes, struct exp_dirty_budget *budget,
		  struct exp_dirty **ret) EXP_MUST_CHECK;
void exp_dirty_free(struct exp_dirty *d); /* NULL is fine */
EXP_DEFINE_CLEANUP(struct exp_dirty *, exp_dirty_free)

/**
 * exp_dirty_set - [@offset, @offset + @len) changed; lies inside the namespace
 * @mark: WRITTEN: every grain that the range touches. DEALLOCATED: every grain that it covers, the
 *        end of the namespace counting as a grain's end; grains it touches in part become WRITTEN
 *
 * The later mark replaces the former one. -ENOMEM: all of it is dirty, and more than asked, or
 * WRITTEN where DEALLOCATED was asked.
 */
int exp_dirty_set(struct exp_dirty *d, uint64_t offset, uint64_t len, enum exp_mark mark);

/** exp_dirty_set_all - the whole namespace, WRITTEN or CLEAN; releases all memory, cannot fail */
void exp_dirty_set_all(struct exp_dirty *d, enum exp_mark mark);

/**
 * exp_dirty_clear - every grain that the range touches is clean
 *
 * -ENOMEM: nothing changed (part of a large dirty piece can only be cleared by dividing it).
 */
int exp_dirty_clear(struct exp_dirty *d, uint64_t offset, uint64_t len) EXP_MUST_CHECK;

/**
 * exp_dirty_next - the first dirty run in [@from, @to), of one mark
 * @max: longest run wanted, at least one grain
 *
 * Runs begin at a grain and end at one, at @to or where the namespace ends. false: none.
 */
bool exp_dirty_next(const struct exp_dirty *d, uint64_t from, uint64_t to, uint64_t max,
		    struct exp_dirty_run *ret);

/** exp_dirty_bytes - dirty bytes with this mark; constant time */
uint64_t exp_dirty_bytes(const struct exp_dirty *d, enum exp_mark mark);
uint64_t exp_dirty_total(const struct exp_dirty *d); /* of both marks */

#endif
