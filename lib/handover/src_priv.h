/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src_priv.h - the source machine's facts, shared by its two halves: src.c, which turns events into
 * facts, and src_decide.c, which takes the next step
 */
#ifndef EXP_HANDOVER_SRC_PRIV_H
#define EXP_HANDOVER_SRC_PRIV_H

#include "handover/core.h"
#include "handover/src.h"

#define EXP_SRC_NO_STEP (-1)

/* The step inside a state. Volatile: a restart begins its state anew, mostly by rolling back. */
enum exp_src_phase {
	EXP_SRC_PH_BEGIN,
	EXP_SRC_PH_PASSED, /* preflight went well */
	EXP_SRC_PH_COPYING,
	/* switching, in this order */
	EXP_SRC_PH_SUSPEND,
	EXP_SRC_PH_DRAIN,
	EXP_SRC_PH_STILL, /* cold: detach before the copy */
	EXP_SRC_PH_COPY_ALL,
	EXP_SRC_PH_LAST_DATA,
	EXP_SRC_PH_GET_STATE,
	EXP_SRC_PH_VOTE,
	EXP_SRC_PH_HOLD,
	EXP_SRC_PH_FENCE,
	EXP_SRC_PH_CHECK,
	EXP_SRC_PH_RELEASE,
	/* rolling-back */
	EXP_SRC_PH_STOP,
	EXP_SRC_PH_ATTACH,
	EXP_SRC_PH_RESUME,
	EXP_SRC_PH_VERIFY,
	EXP_SRC_PH_RUNS,
	/* released */
	EXP_SRC_PH_HOLD_STILL,
	EXP_SRC_PH_TELL,
	EXP_SRC_PH_STOP_COPY,
	EXP_SRC_PH_TAKE_DOWN,
	EXP_SRC_PH_CLOSE,
};

struct exp_src {
	struct exp_core c;
	enum exp_src_phase phase;
	uint64_t phase_end_ms; /* switching: the attempt is given up then */
	uint64_t black_ms;     /* when the blackout began */
	uint64_t held_ms;      /* of it, waiting for the VMM's commit: does not count */
	uint64_t hold_ms;      /* when that wait began */
	uint64_t lease_ms;     /* ready with hold=switch: end of the lease */
	int timed;             /* enum exp_step that runs now, or EXP_SRC_NO_STEP */

	/* facts, in this life of the process */
	enum exp_target_state target;
	bool prepared, fits, switchover, attempt_ok, final_sent, restored, commit, discarded,
		active;
	bool asked;      /* the destination wants to know the outcome */
	bool conflict;   /* it says that it owns what we roll back */
	bool vmm_has_it; /* TAKE_DOWN failed for that: the function is still in use */
};

extern const struct exp_sm exp_src_sm; /* which moves are legal */

static inline bool exp_src_cold(const struct exp_src *m)
{
	return m->c.job->path == EXP_PATH_COLD;
}

static inline bool exp_src_offline(const struct exp_src *m)
{
	return m->c.job->dirty == EXP_DIRTY_NONE;
}

static inline bool exp_src_has_epoch(const struct exp_src *m)
{
	return m->c.job->exports[0].epoch != 0;
}

static inline bool exp_src_target_ready(const struct exp_src *m)
{
	return exp_src_cold(m) || m->target == EXP_TARGET_SUSPENDED;
}

static inline bool exp_src_held_before_switch(const struct exp_src *m)
{
	return (m->c.job->hold & EXP_HOLD_SWITCH) && !m->switchover;
}

void exp_src_decide(struct exp_src *m); /* no commit is out */

/**
 * exp_src_rescue - the row of rolling-back failed and waits to be committed again (a full disk)
 *
 * The guest need not wait for that: what a restart would find, switching or an earlier state, is
 * rolled back just the same. The peer hears nothing, and no outcome is told, before the row is
 * durable.
 */
void exp_src_rescue(struct exp_src *m);

/** exp_src_move - a state, durable before anything else happens, and the phase it begins with */
void exp_src_move(struct exp_src *m, unsigned int from, unsigned int to, enum exp_src_phase p);
void exp_src_roll_back(struct exp_src *m);   /* with the reason in c.stop and c.why */
void exp_src_own_nothing(struct exp_src *m); /* part of the commit of released */

/** exp_src_advance - the action of this phase went well */
void exp_src_advance(struct exp_src *m);

#endif
