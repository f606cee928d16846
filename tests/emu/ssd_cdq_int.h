/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_cdq_int.h - a Controller Data Queue, shared by ssd_cdq.c (the log) and ssd_cdq_cmd.c (the
 * commands that make, feed and read it)
 */
#ifndef EMU_SSD_CDQ_INT_H
#define EMU_SSD_CDQ_INT_H

#include <pthread.h>

#include "emu/ssd_cdq.h"
#include "emu/ssd_internal.h"

/* What waits to be posted, in order. */
struct ssd_note {
	uint32_t nsid;       /* 0: no range */
	bool dealloc, first; /* first: ESA 001b */
	uint8_t end;         /* an end marker: ESA_STOPPED, ESA_SUSPENDED or ESA_FULL; else 0 */
	uint64_t slba, blocks;
	uint64_t due_us; /* of an end marker */
};

struct ssd_cdq {
	uint16_t id, cntlid;
	uint32_t page_bytes, n_pages; /* n_pages 0: contiguous from pages[0] on */
	uint32_t ranges;              /* that count against MCMR and NMCMR */
	uint64_t *pages;

	pthread_mutex_t lock; /* all below */
	uint32_t size;        /* slots */
	uint32_t head, tail;
	uint8_t phase; /* CDQP of the entry that tail points at */
	bool on;       /* changes are noted */
	bool full;     /* overflowed: only Delete helps */
	bool first_due, ended_by_suspend;
	bool trigger;
	uint32_t trigger_slot;
	/* ring of size + 2: each note has its slot accounted for, and the overflow marker */
	struct ssd_note *notes;
	uint32_t first_note, n_notes, cap_notes;
};

/* With the queue's lock held. */
void ssd_cdq_start(struct ssd_cdq *q, const struct ssd_log_habits *habits);
void ssd_cdq_end(struct ssd_cdq *q, uint8_t esa, uint64_t due_us);
static inline uint32_t ssd_cdq_used(const struct ssd_cdq *q)
{
	return (q->tail + q->size - q->head) % q->size;
}

/* Take the queue from its controller and free it. MMC's thread, no lock held. */
void ssd_cdq_drop(struct ssd *ssd, struct ssd_cdq *q);
void ssd_cdq_free(struct ssd_cdq *q);

#endif
