/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_work.h - the guest's I/O: random reads and writes on every queue, each of them verified
 *
 * One worker per I/O queue, with its own part of the namespace, sequence numbers and schedule. All
 * of it runs on the vCPU thread. Completions that did not come within the guest's patience are
 * counted; the command stays outstanding, as memory under it may still be written.
 */
#ifndef EMU_GUEST_WORK_H
#define EMU_GUEST_WORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "emu/guest_cmd.h"
#include "emu/guest_ledger.h"
#include "emu/guest_queue.h"

#define EMU_MAX_QUEUES 64

struct emu_work_config {
	uint16_t queues;
	uint16_t depth;       /* commands outstanding per queue */
	uint32_t rate;        /* writes per second over all queues; 0: as fast as it goes */
	uint8_t read_percent; /* of all commands */
	uint32_t size_max;    /* bytes of one command, a multiple of EMU_BLOCK */
	uint64_t span_bytes;  /* each queue works on the first so many of its part; 0: all */
	uint32_t zero_permille, trim_permille,
		flush_permille; /* of the commands that are no reads */
	uint64_t seed;
	uint32_t patience_ms; /* a completion that takes longer is lost */
};

struct emu_counts {
	uint64_t acked_writes, acked_blocks, reads, zeroes, trims, flushes, scanned_blocks;
	uint64_t io_errors, retries, late, missed_interrupts;
};

struct emu_worker {
	struct emu_queue q;
	int irq;             /* eventfd of vector qid */
	struct emu_cmd *cmd; /* one per slot */
	uint16_t given_up;   /* of those outstanding */
	struct exp_rng rng;
	uint32_t seq;
	uint64_t due_us;      /* of the next command */
	double every_us;      /* between two, 0: no schedule */
	uint64_t first, span; /* blocks to work on */
	uint64_t scan_next, scan_end;
	uint64_t waiting_since_us; /* a completion lies there and no interrupt came */
	struct emu_counts counts;
};

/* The longest time in which nothing completed although something was outstanding or due. */
struct emu_gap {
	uint64_t since_us;              /* 0: nothing to wait for */
	uint64_t longest_us, marked_us; /* ever; since the last mark */
};

enum emu_scan { EMU_SCAN_CHECK, EMU_SCAN_ADOPT };

struct emu_work {
	struct emu_work_config c;
	struct emu_ns ns;
	struct emu_mem *mem;
	struct emu_ledger ledger;
	struct emu_worker *w; /* c.queues of them */
	struct emu_gap gap;
	enum emu_scan scan;
	uint64_t patient_from_us; /* waiting counts from here on at the earliest */
	char first_error[160];
	uint8_t scratch[EMU_BLOCK];
};

/** emu_work_init - take memory for queues and buffers; @c->size_max is cut to what the device takes
 */
int emu_work_init(struct emu_work *k, struct emu_mem *mem, const struct emu_work_config *c,
		  const struct emu_ns *ns, uint16_t entries, uint32_t run, bool fresh,
		  struct exp_error *err) EXP_MUST_CHECK;
void emu_work_done(struct emu_work *k);

/** emu_work_reap - handle what completed on @w; returns how many */
unsigned int emu_work_reap(struct emu_work *k, struct emu_worker *w, uint64_t now_us);

/** emu_work_submit - what is due on @w at @now_us, as far as there is room; nothing is rung */
void emu_work_submit(struct emu_work *k, struct emu_worker *w, uint64_t now_us);

/** emu_work_scan_begin - read every block of the namespace, to check or to adopt it */
void emu_work_scan_begin(struct emu_work *k, enum emu_scan scan);
/** emu_work_scan_step - more reads of @w; true when all of them are back */
bool emu_work_scan_step(struct emu_work *k, struct emu_worker *w, uint64_t now_us);

/** emu_work_dead - is there a queue on which every command was given up? */
bool emu_work_dead(const struct emu_work *k);
uint64_t emu_work_outstanding(const struct emu_work *k); /* without those given up */
uint64_t emu_work_next_due_us(const struct emu_work *k);

/** emu_work_schedule - the clock of the schedule starts (again) now */
void emu_work_schedule(struct emu_work *k, uint64_t now_us);

/** emu_work_overdue - count commands that waited too long, completions without an interrupt */
void emu_work_overdue(struct emu_work *k, uint64_t now_us);

/** emu_work_restart - the controller lost its queues: what was outstanding may have happened or not
 */
void emu_work_restart(struct emu_work *k);

void emu_work_gap(struct emu_work *k, uint64_t now_us, unsigned int completed, bool active);

/** emu_work_faults, emu_work_counts - summed over the workers */
struct emu_faults emu_work_faults(const struct emu_work *k);
struct emu_counts emu_work_counts(const struct emu_work *k);

#endif
