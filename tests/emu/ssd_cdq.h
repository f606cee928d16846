/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_cdq.h - Controller Data Queues with the change log of a migratable controller
 *
 * The function's thread notes what it wrote; the MMC's thread posts entries into the memory of the
 * MMC's client, later, merged and rounded as the profile likes. A queue that has no room for what
 * is noted overflows at once: from then on nothing is noted and the last entry says so.
 */
#ifndef EMU_SSD_CDQ_H
#define EMU_SSD_CDQ_H

#include <stdbool.h>
#include <stdint.h>

struct ssd;
struct ssd_fn;
struct ssd_cdq;
struct ssd_ns;

/* The function's thread, inside its gate, after the change took effect. */
void ssd_cdq_note(struct ssd_fn *fn, uint32_t nsid, const struct ssd_ns *ns, uint64_t slba,
		  uint64_t blocks, bool deallocated);

/* The controller was suspended or goes on; its gate is held. */
void ssd_cdq_suspended(struct ssd_fn *fn);
void ssd_cdq_resumed(struct ssd_fn *fn);

/* The MMC's thread: post what is due; true when something was posted or will be due soon. */
bool ssd_cdqs_run(struct ssd *ssd, uint64_t now_us);

/* Delete the queue of one controller, its marker posted first (DUDMQ), or every queue. */
void ssd_cdq_drop_of(struct ssd *ssd, struct ssd_fn *fn);
void ssd_cdq_drop_all(struct ssd *ssd);

#endif
