/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.h - what both machines keep in the same way: the record, one commit, one action, repeats
 *
 * Private to this folder. A step goes: note the event, then, unless a commit is outstanding,
 * decide. Deciding either queues a commit or starts what the durable record permits.
 */
#ifndef EXP_HANDOVER_CORE_H
#define EXP_HANDOVER_CORE_H

#include "base/clock.h"
#include "base/sm.h"
#include "handover/plan.h"

/* Bounded back-off, milliseconds: first wait and longest wait. */
#define EXP_SEND_MIN_MS   250u
#define EXP_SEND_MAX_MS   5000u
#define EXP_COMMIT_MIN_MS 100u
#define EXP_COMMIT_MAX_MS 5000u
#define EXP_ACT_MIN_MS    200u
#define EXP_ACT_MAX_MS    10000u

#define EXP_TRIES_ALONE 5 /* so often it is tried before a person is asked to look as well */

struct exp_repeat {
	uint64_t next_ms; /* not before */
	uint32_t tries;
};

enum exp_commit_phase {
	EXP_COMMIT_IDLE,
	EXP_COMMIT_QUEUED, /* outstanding */
	EXP_COMMIT_RETRY,  /* failed; the same record again when c->commit_again is due */
};

struct exp_core {
	struct exp_job *job; /* owned. job->state may be ahead of durable while a commit is out */
	struct exp_ownership owner[EXP_JOB_EXPORTS_MAX];
	const struct exp_sm *sm;
	unsigned int durable; /* state of the last commit that succeeded; 0: none */
	uint64_t now_ms;
	struct exp_plan *plan; /* of the step that runs now */
	bool link;
	bool stuck; /* a person must decide: nothing is done here any more */

	enum exp_commit_phase commit;
	uint64_t seq;
	struct exp_repeat commit_again;
	uint32_t n_changes; /* of the commit that is out, for the same row again */
	struct exp_own_change changes[EXP_JOB_EXPORTS_MAX];

	enum exp_act act;            /* the one action that is outstanding */
	uint32_t step;               /* its number; never reused */
	struct exp_repeat act_again; /* back-off after a failure */

	enum exp_msg_type sending; /* what is being repeated; 0 nothing */
	bool armed;                /* and the last decision still wants it */
	struct exp_repeat send_again;
	uint64_t probe_ms; /* when to ask whether the peer is still there; outlives states */
	bool probing;

	/* why it ends before its time; the first reason counts */
	enum exp_job_intent stop;
	struct exp_error why;
};

/* Takes @job. Same errors as exp_src_new(). */
int exp_core_init(struct exp_core *c, struct exp_job *job, enum exp_role role,
		  const struct exp_sm *sm, const struct exp_ownership *owner,
		  struct exp_error *err) EXP_MUST_CHECK;
void exp_core_done(struct exp_core *c);

/* The plan is cleared and the time noted. */
void exp_core_begin(struct exp_core *c, const struct exp_event *ev, struct exp_plan *plan);

/* --- the one place where a state changes, and the one where a record is stored --- */

/** exp_core_move - @from -> @to, stored before anything else happens */
void exp_core_move(struct exp_core *c, unsigned int from, unsigned int to);
/** exp_core_store - the record as it is, in the state that it has */
void exp_core_store(struct exp_core *c);
/** exp_core_own - to be called before exp_core_move: goes into the same commit */
void exp_core_own(struct exp_core *c, uint32_t i, enum exp_export_status status,
		  const struct exp_name *owner_peer);

/** exp_core_committed - true: it is the one that is out, and it is durable now */
bool exp_core_committed(struct exp_core *c, const struct exp_event *ev);
/** exp_core_commit_failed - true: the one that is out failed; it is due again after a back-off */
bool exp_core_commit_failed(struct exp_core *c, const struct exp_event *ev);
/** exp_core_may_decide - no commit is out; one that is due again is queued here. Disarms repeats */
bool exp_core_may_decide(struct exp_core *c);

/* --- actions --- */

void exp_core_act(struct exp_core *c, enum exp_act act, uint64_t deadline_ms);
/** exp_core_ended - true: the outstanding action is over. What was superseded says false */
bool exp_core_ended(struct exp_core *c, const struct exp_event *ev);
void exp_core_act_failed(struct exp_core *c); /* try again, later */
/** exp_core_rests - after a failed action: not yet */
bool exp_core_rests(const struct exp_core *c);
/** exp_core_is_copy - COPY_STOP may be given while this is outstanding, and ends it too */
bool exp_core_is_copy(enum exp_act act);

/* --- messages --- */

void exp_core_send(struct exp_core *c, enum exp_msg_type type); /* once, if there is a link */
void exp_core_answer(struct exp_core *c, enum exp_answer answer);
void exp_core_repeat(struct exp_core *c, enum exp_msg_type type); /* now if due, then again */
/** exp_core_probe - the same at long intervals: first after one of them, or when the link is back
 */
void exp_core_probe(struct exp_core *c, enum exp_msg_type type);
void exp_core_link_up(struct exp_core *c); /* what is repeated goes out at once */
/** exp_core_ours - the message is from the other side of this very attempt of this job */
bool exp_core_ours(const struct exp_core *c, const struct exp_msg *m);

/* --- ends, verbs, time --- */

void exp_core_stop(struct exp_core *c, enum exp_job_intent intent, const struct exp_error *why);
void exp_core_stopf(struct exp_core *c, enum exp_job_intent intent, enum exp_code code,
		    const char *fmt, ...) EXP_PRINTF(4, 5);
void exp_core_mark(struct exp_core *c, enum exp_step step, bool begin);
void exp_core_alarm(struct exp_core *c, enum exp_code code, const char *fmt, ...) EXP_PRINTF(3, 4);
void exp_core_refuse(struct exp_core *c, enum exp_code code, const char *fmt, ...) EXP_PRINTF(3, 4);
uint64_t exp_core_deadline(const struct exp_core *c);

#endif
