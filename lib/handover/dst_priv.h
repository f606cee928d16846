/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dst_priv.h - the destination machine's facts, shared by its two halves: dst.c, which turns events
 * into facts, and dst_decide.c, which takes the next step
 */
#ifndef EXP_HANDOVER_DST_PRIV_H
#define EXP_HANDOVER_DST_PRIV_H

#include "handover/core.h"
#include "handover/dst.h"

/* The step inside a state. Volatile: a restart begins its state anew. */
enum exp_dst_phase {
	EXP_DST_PH_BEGIN,
	EXP_DST_PH_BUILD, /* preparing */
	EXP_DST_PH_BUILT,
	EXP_DST_PH_REBUILD, /* receiving, after a restart */
	EXP_DST_PH_SERVE,
	EXP_DST_PH_CHECK_FINAL,
	EXP_DST_PH_SET_STATE,
	EXP_DST_PH_RESTORE,
	EXP_DST_PH_REHOLD, /* restored, after a restart or a reset */
	EXP_DST_PH_VOTE,
	EXP_DST_PH_ATTACH, /* activating */
	EXP_DST_PH_RESUME,
	EXP_DST_PH_VERIFY,
	EXP_DST_PH_RUNS,
	EXP_DST_PH_STOP, /* discarding; active */
	EXP_DST_PH_DELETE,
	EXP_DST_PH_CLOSE,
};

struct exp_dst {
	struct exp_core c;
	enum exp_dst_phase phase;
	struct exp_msg_final *final; /* owned; its blobs are in the record */
	enum exp_target_state target, told;

	/* facts, in this life of the process */
	bool prepare_asked, attempt_asked, attempt_ok, final_asked, released, active_asked;
	bool memory_new; /* the record has a memory map that is not stored yet */
	bool reset;      /* since the action that is outstanding began */
	bool unknown;    /* the source has no record of the job */
	bool vmm_has_it; /* DELETE failed for that: the function is still in use */
};

extern const struct exp_sm exp_dst_sm; /* which moves are legal */

static inline bool exp_dst_cold(const struct exp_dst *m)
{
	return m->c.job->path == EXP_PATH_COLD;
}

void exp_dst_decide(struct exp_dst *m); /* no commit is out */

/** exp_dst_move - a state, durable before anything else happens, and the phase it begins with */
void exp_dst_move(struct exp_dst *m, unsigned int from, unsigned int to, enum exp_dst_phase p);
void exp_dst_discard(struct exp_dst *m);     /* with the reason in c.stop and c.why */
void exp_dst_raise_floor(struct exp_dst *m); /* part of the first commit */
void exp_dst_own_all(struct exp_dst *m);     /* part of the commit of activating */

/** exp_dst_phase_act - what a phase that is nothing but an action does; NONE for the others */
enum exp_act exp_dst_phase_act(enum exp_dst_phase p);

/** exp_dst_advance - the action of this phase went well */
void exp_dst_advance(struct exp_dst *m);

#endif
