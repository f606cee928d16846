/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_queue.h - one submission and completion queue pair in guest memory, and a sharp eye on it
 *
 * (NVMe Base, "Submission Queue Entry", "Completion Queue Entry", "Phase Tag".) The rings know
 * nothing of a device: a pair keeps its tails, heads and phase when the guest moves to another
 * function. Every completion is checked: right queue, a command that is outstanding, once, fetched
 * before it was completed, heads that only move forward. A consumed entry is overwritten except for
 * its phase bit, so that one whose phase turns before the rest of it is there shows.
 */
#ifndef EMU_GUEST_QUEUE_H
#define EMU_GUEST_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "emu/guest_mem.h"

#define EMU_SQE_BYTES 64
#define EMU_CQE_BYTES 16
#define EMU_MAX_SLOTS                                                              \
	256 /* commands outstanding in one queue: 8 bits of the command identifier \
	     */

/* What was wrong with completions. */
struct emu_faults {
	uint64_t lost;       /* no completion within the guest's patience */
	uint64_t duplicated; /* of a command that is not outstanding */
	uint64_t torn;       /* phase turned, entry not written */
	uint64_t reordered;  /* SQ head moved back, or not past the command; wrong queue; phase */
};

struct emu_cqe {
	uint32_t dw0, dw1;
	uint16_t status; /* bits 10:8 SCT, 7:0 SC; 14 do not retry */
	uint16_t slot;
};
#define EMU_STATUS_CODE 0x07ffu
#define EMU_STATUS_DNR  0x4000u

struct emu_queue_slot {
	bool busy;
	uint8_t generation; /* upper half of the command identifier */
	uint32_t place;     /* in the SQ */
};

struct emu_queue {
	uint16_t qid;
	uint16_t entries, slots;
	uint16_t sq_tail, sq_head, cq_head;
	uint16_t rung_tail, rung_head; /* what the doorbells were told last */
	uint8_t phase;                 /* of an entry that is new */
	uint16_t outstanding;
	uint64_t sq_iova, cq_iova;
	uint8_t *sq, *cq;
	struct emu_queue_slot slot[EMU_MAX_SLOTS];
	struct emu_faults faults;
};

/** emu_queue_init - take memory for both rings; @slots < @entries */
int emu_queue_init(struct emu_queue *q, struct emu_mem *mem, uint16_t qid, uint16_t entries,
		   uint16_t slots, struct exp_error *err) EXP_MUST_CHECK;

/** emu_queue_restart - as after init; the faults stay counted */
void emu_queue_restart(struct emu_queue *q);

/** emu_queue_free_slot - a slot that is not busy, or -1; -1 also while the ring is full */
int emu_queue_free_slot(const struct emu_queue *q);
bool emu_queue_full(const struct emu_queue *q); /* no room behind the tail */

/** emu_queue_waiting - has a completion come that was not reaped? */
bool emu_queue_waiting(const struct emu_queue *q);

/** emu_queue_submit - put @sqe with a fresh command identifier behind the tail; nothing is rung */
void emu_queue_submit(struct emu_queue *q, uint16_t slot, uint8_t sqe[EMU_SQE_BYTES]);

/** emu_queue_reap - the next completion that belongs to a command; false: none is there */
bool emu_queue_reap(struct emu_queue *q, struct emu_cqe *ret);

/**
 * emu_queue_ring - tell the device behind @c where tail and head are, if it was not told
 * @again: also if it was, since another device may have been
 */
int emu_queue_ring(struct emu_queue *q, struct emu_client *c, bool again);

/** emu_queue_idle_check - nothing outstanding: no slot of the CQ may look new; counts those that do
 */
void emu_queue_idle_check(struct emu_queue *q);

#endif
