/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_state.h - the controller state image: taken from a controller, checked, applied to another
 *
 * The container (version 0) holds NVMe controller state (NVMECS version 0), or the Reference state
 * as vendor data (64-byte header and NVMECS version 1), or both. Every byte that arrives is
 * distrusted: it was written by a guest on another machine and carried by two daemons.
 */
#ifndef EMU_SSD_STATE_H
#define EMU_SSD_STATE_H

#include "emu/ssd_internal.h"

#define SSD_STATE_QUEUES (SSD_QUEUES - 1)
/* container, Reference header, NVMECS header, a full set of queues */
#define SSD_STATE_MAX (48 + REFSTATE_BYTES + 8 + 2 * 24 * SSD_STATE_QUEUES)

struct ssd_state_sq {
	uint64_t base;
	uint16_t qsize, id, cqid, head, tail; /* qsize 0's based */
	uint8_t prio;
};

struct ssd_state_cq {
	uint64_t base;
	uint16_t qsize, id, head, tail, vector;
	bool ien;
	uint8_t slot0_phase;
};

struct ssd_state {
	bool suspended, has_ref;
	struct ssd_refstate ref;
	uint16_t n_sq, n_cq;
	struct ssd_state_sq sq[SSD_STATE_QUEUES];
	struct ssd_state_cq cq[SSD_STATE_QUEUES];
};

/**
 * ssd_state_take - the state of @fn now, inside its gate
 * @nvmecs, @ref: which of the two forms; with both, the queues are in the NVMECS alone
 *
 * Returns the bytes written to @out.
 */
size_t ssd_state_take(struct ssd_fn *fn, bool nvmecs, bool ref, uint8_t out[SSD_STATE_MAX]);

/** ssd_state_check - bytes to @ret when @fn can take them: ST_OK, or why not */
uint16_t ssd_state_check(const struct ssd_fn *fn, const uint8_t *data, size_t len, bool nvmecs,
			 bool ref, struct ssd_state *ret);

/** ssd_state_apply - make queues, features and event requests as @s says; publish the doorbells */
void ssd_state_apply(struct ssd_fn *fn, const struct ssd_state *s);

#endif
