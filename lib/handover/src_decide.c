/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src_decide.c - what the giving side does next: one step from the durable state and the facts
 *
 * Invariants:
 * - nothing is done for a state that is not durable: this does not run while a commit is out;
 * - the epoch of an attempt is taken in preparing and used once; a failed attempt burns it;
 * - a guest suspended by a job that fails before `released` runs again before the outcome is told;
 * - from the moment `released` is queued no path leads back to a running guest here.
 *
 * An offline move (dirty none) suspends first and copies everything then. Its guest is stopped on
 * purpose for as long as the copy takes, so the blackout limit does not bound it; each device step
 * and each answer has a deadline of its own instead. On the cold path there is nothing to suspend:
 * the namespace is detached before the copy, so that nobody can start to write.
 */
#include "handover/src_priv.h"

#define OFFLINE_STEP_MS 60000u /* one device step or one answer of an offline move */

#define TO(s)              (UINT64_C(1) << EXP_SRC_##s)
#define MOVES_PREFLIGHT    (TO(PREPARING) | TO(ROLLING_BACK))
#define MOVES_PREPARING    (TO(COPYING) | TO(ROLLING_BACK))
#define MOVES_COPYING      (TO(READY) | TO(ROLLING_BACK))
#define MOVES_READY        (TO(COPYING) | TO(SWITCHING) | TO(ROLLING_BACK))
#define MOVES_SWITCHING    (TO(RELEASED) | TO(ROLLING_BACK))
#define MOVES_ROLLING_BACK (TO(FAILED) | TO(CANCELLED))
#define MOVES_RELEASED     TO(DONE) /* never back: the point of no return */
#define MOVES_DONE         0
#define MOVES_FAILED       0
#define MOVES_CANCELLED    0
#define MOVES_TAKEN        0

static const struct exp_sm_state states[] = {
#define EXP_SRC(NAME, value, name) [value] = { name, 0, MOVES_##NAME },
#include "model/states.def"
};

const struct exp_sm exp_src_sm = { "source", states, EXP_ARRAY_SIZE(states) };

/*
 * The action of each phase, how it is timed, and, in the switch, by when it must be over: percent
 * of the blackout limit since Suspend was given. What one step does not use, the next ones have.
 */
static const struct phase_row {
	enum exp_act act; /* NONE: it waits for somebody */
	int step;         /* enum exp_step */
	unsigned int share;
} rows[] = {
	[EXP_SRC_PH_SUSPEND] = { EXP_ACT_SUSPEND, EXP_STEP_SUSPEND, 25 },
	[EXP_SRC_PH_STILL] = { EXP_ACT_FENCE, EXP_STEP_SUSPEND, 25 },
	[EXP_SRC_PH_DRAIN] = { EXP_ACT_DRAIN, EXP_STEP_DRAIN, 35 },
	[EXP_SRC_PH_COPY_ALL] = { EXP_ACT_COPY_START, EXP_STEP_LAST_DATA, 0 },
	[EXP_SRC_PH_LAST_DATA] = { EXP_ACT_LAST_DATA, EXP_STEP_LAST_DATA, 60 },
	[EXP_SRC_PH_GET_STATE] = { EXP_ACT_GET_STATE, EXP_STEP_GET_STATE, 70 },
	[EXP_SRC_PH_VOTE] = { EXP_ACT_NONE, EXP_STEP_RESTORE, 90 },
	[EXP_SRC_PH_HOLD] = { EXP_ACT_NONE, EXP_STEP_HOLD, 0 },
	[EXP_SRC_PH_FENCE] = { EXP_ACT_FENCE, EXP_STEP_FENCE, 95 },
	[EXP_SRC_PH_CHECK] = { EXP_ACT_CHECK_SUSPENDED, EXP_STEP_FENCE, 98 },
	[EXP_SRC_PH_RELEASE] = { EXP_ACT_NONE, EXP_STEP_RELEASE, 100 },
	[EXP_SRC_PH_STOP] = { EXP_ACT_COPY_STOP, EXP_SRC_NO_STEP, 0 },
	[EXP_SRC_PH_ATTACH] = { EXP_ACT_ATTACH, EXP_SRC_NO_STEP, 0 },
	[EXP_SRC_PH_RESUME] = { EXP_ACT_RESUME, EXP_SRC_NO_STEP, 0 },
	[EXP_SRC_PH_VERIFY] = { EXP_ACT_VERIFY_RUNS, EXP_SRC_NO_STEP, 0 },
	[EXP_SRC_PH_HOLD_STILL] = { EXP_ACT_FENCE, EXP_SRC_NO_STEP, 0 },
	[EXP_SRC_PH_STOP_COPY] = { EXP_ACT_COPY_STOP, EXP_SRC_NO_STEP, 0 },
	[EXP_SRC_PH_TAKE_DOWN] = { EXP_ACT_TAKE_DOWN, EXP_SRC_NO_STEP, 0 },
	[EXP_SRC_PH_CLOSE] = { EXP_ACT_NONE, EXP_SRC_NO_STEP, 0 },
};

static enum exp_src_phase after(const struct exp_src *m, enum exp_src_phase p)
{
	bool cold = exp_src_cold(m);

	switch (p) {
	case EXP_SRC_PH_BEGIN: return cold ? EXP_SRC_PH_STILL : EXP_SRC_PH_SUSPEND;
	case EXP_SRC_PH_SUSPEND: return exp_src_offline(m) ? EXP_SRC_PH_COPY_ALL : EXP_SRC_PH_DRAIN;
	case EXP_SRC_PH_STILL: return EXP_SRC_PH_COPY_ALL;
	case EXP_SRC_PH_DRAIN: return EXP_SRC_PH_LAST_DATA;
	case EXP_SRC_PH_COPY_ALL: return EXP_SRC_PH_LAST_DATA;
	case EXP_SRC_PH_LAST_DATA: return cold ? EXP_SRC_PH_VOTE : EXP_SRC_PH_GET_STATE;
	case EXP_SRC_PH_GET_STATE: return EXP_SRC_PH_VOTE;
	case EXP_SRC_PH_VOTE:
		return m->c.job->hold & EXP_HOLD_COMMIT ? EXP_SRC_PH_HOLD : EXP_SRC_PH_FENCE;
	case EXP_SRC_PH_HOLD: return EXP_SRC_PH_FENCE;
	/* R2: check after the fence, never before it. Suspended now means suspended ever since
	 * Suspend, for only Suspend begins it and only Resume or a reset ends it; and a reset that
	 * comes later than the check cannot matter, for the fence is in. */
	case EXP_SRC_PH_FENCE: return cold ? EXP_SRC_PH_RELEASE : EXP_SRC_PH_CHECK;
	case EXP_SRC_PH_CHECK: return EXP_SRC_PH_RELEASE;
	/* rolling-back: nothing of the job touches log or namespace when the guest runs again */
	case EXP_SRC_PH_STOP: return EXP_SRC_PH_ATTACH;
	case EXP_SRC_PH_ATTACH: return cold ? EXP_SRC_PH_VERIFY : EXP_SRC_PH_RESUME;
	case EXP_SRC_PH_RESUME: return EXP_SRC_PH_VERIFY;
	case EXP_SRC_PH_VERIFY: return EXP_SRC_PH_RUNS;
	/* released */
	case EXP_SRC_PH_HOLD_STILL: return EXP_SRC_PH_TELL;
	case EXP_SRC_PH_TELL: return EXP_SRC_PH_STOP_COPY;
	case EXP_SRC_PH_STOP_COPY: return EXP_SRC_PH_TAKE_DOWN;
	case EXP_SRC_PH_TAKE_DOWN: return EXP_SRC_PH_CLOSE;
	case EXP_SRC_PH_PASSED:
	case EXP_SRC_PH_COPYING:
	case EXP_SRC_PH_RELEASE:
	case EXP_SRC_PH_RUNS:
	case EXP_SRC_PH_CLOSE: break;
	}
	return p;
}

/* ------------------------------------------------------------------ time */

static void time_step(struct exp_src *m, int step)
{
	if (m->timed == step)
		return;
	if (m->timed != EXP_SRC_NO_STEP)
		exp_core_mark(&m->c, (enum exp_step)m->timed, false);
	if (step != EXP_SRC_NO_STEP)
		exp_core_mark(&m->c, (enum exp_step)step, true);
	m->timed = step;
}

static uint64_t end_of(const struct exp_src *m, enum exp_src_phase p)
{
	const struct exp_job *j = m->c.job;

	if (p == EXP_SRC_PH_HOLD) /* the lease bounds this wait, not the ceiling */
		return m->c.now_ms + j->hold_lease_ms;
	if (!exp_src_offline(m))
		return m->black_ms + m->held_ms +
		       (uint64_t)j->blackout_limit_ms * rows[p].share / 100;
	if (p == EXP_SRC_PH_COPY_ALL || p == EXP_SRC_PH_LAST_DATA)
		return EXP_NEVER_MS; /* the copy engine says when it cannot go on */
	return m->c.now_ms + OFFLINE_STEP_MS;
}

/* The switch only: from one of its phases to the next. */
static void enter(struct exp_src *m, enum exp_src_phase p)
{
	uint64_t now_ms = m->c.now_ms;

	if (m->phase == EXP_SRC_PH_BEGIN)
		m->black_ms = now_ms;
	if (m->phase == EXP_SRC_PH_HOLD)
		m->held_ms += now_ms - m->hold_ms;
	if (p == EXP_SRC_PH_HOLD)
		m->hold_ms = now_ms;
	if (p == EXP_SRC_PH_VOTE) /* R5: only an answer to what is asked from now on counts */
		m->restored = m->final_sent = false;
	m->phase = p;
	m->phase_end_ms = end_of(m, p);
	time_step(m, rows[p].step);
}

void exp_src_advance(struct exp_src *m)
{
	enum exp_src_phase next = after(m, m->phase);

	if (m->c.job->state == EXP_SRC_SWITCHING)
		enter(m, next);
	else
		m->phase = next;
}

static bool too_late(struct exp_src *m)
{
	const struct exp_job *j = m->c.job;
	const char *step;

	if (m->phase == EXP_SRC_PH_BEGIN || m->c.now_ms < m->phase_end_ms)
		return false;
	step = exp_step_name((enum exp_step)rows[m->phase].step);
	if (m->phase == EXP_SRC_PH_HOLD)
		exp_core_stopf(&m->c, EXP_INTENT_FAIL, EXP_CODE_LEASE,
			       "no commit within the lease of %u ms; the guest goes on here",
			       j->hold_lease_ms);
	else if (exp_src_offline(m))
		exp_core_stopf(&m->c, EXP_INTENT_FAIL, EXP_CODE_DEVICE_TIMEOUT,
			       "%s took more than %u ms; the guest goes on here", step,
			       OFFLINE_STEP_MS);
	else
		exp_core_stopf(&m->c, EXP_INTENT_FAIL, EXP_CODE_BLACKOUT,
			       "%s was not over after %u %% of the blackout limit of %u ms; raise "
			       "blackout_limit_ms or move while the guest writes less",
			       step, rows[m->phase].share, j->blackout_limit_ms);
	return true;
}

/* ------------------------------------------------------------------ the moves */

void exp_src_move(struct exp_src *m, unsigned int from, unsigned int to, enum exp_src_phase p)
{
	m->phase = p;
	exp_core_move(&m->c, from, to);
}

/*
 * R5: one attempt, one epoch, higher than every one that this host has seen, and from now on part
 * of the floor, so that it is burned when the attempt fails.
 */
static void take_epoch(struct exp_src *m)
{
	struct exp_core *c = &m->c;

	for (uint32_t i = 0; i < c->job->n_exports; i++) {
		c->owner[i].floor++;
		c->job->exports[i].epoch = c->owner[i].floor;
		exp_core_own(c, i, EXP_STATUS_UNCHANGED, NULL);
	}
	exp_src_move(m, EXP_SRC_PREFLIGHT, EXP_SRC_PREPARING, EXP_SRC_PH_BEGIN);
}

/* The one way back, from every state before `released`; the epoch stays burned (R5). */
void exp_src_roll_back(struct exp_src *m)
{
	struct exp_core *c = &m->c;

	time_step(m, EXP_SRC_NO_STEP);
	c->job->intent = c->stop;
	c->job->error = c->why;
	exp_src_move(m, c->job->state, EXP_SRC_ROLLING_BACK, EXP_SRC_PH_STOP);
}

void exp_src_own_nothing(struct exp_src *m)
{
	struct exp_core *c = &m->c;

	for (uint32_t i = 0; i < c->job->n_exports; i++) {
		c->owner[i].own = 0;
		exp_core_own(c, i, EXP_EXPORT_SUPERSEDED, &c->job->peer);
	}
}

/*
 * R1, the fence: before `released` the guest's controller is held, unable to run after any reset,
 * and not merely suspended. This is the only caller of the move to released, reached only through
 * the fence of every export and, unless it was cold, the check that followed it.
 *
 * One row for all exports. Queued, it cannot be called back: cancel is "being decided" from here.
 */
static void release(struct exp_src *m)
{
	exp_src_own_nothing(m);
	exp_src_move(m, EXP_SRC_SWITCHING, EXP_SRC_RELEASED, EXP_SRC_PH_TELL);
}

static void close_failed(struct exp_src *m)
{
	bool cancel = m->c.job->intent == EXP_INTENT_CANCEL;

	exp_src_move(m, EXP_SRC_ROLLING_BACK, cancel ? EXP_SRC_CANCELLED : EXP_SRC_FAILED,
		     EXP_SRC_PH_CLOSE);
}

/* ------------------------------------------------------------------ deciding, state by state */

static void decide_preflight(struct exp_src *m)
{
	if (m->c.stop)
		exp_src_roll_back(m);
	else if (m->phase == EXP_SRC_PH_PASSED)
		take_epoch(m);
	else if (!m->c.act)
		exp_core_act(&m->c, EXP_ACT_PREFLIGHT, EXP_NEVER_MS);
}

static void decide_preparing(struct exp_src *m)
{
	if (m->c.stop)
		exp_src_roll_back(m);
	else if (m->prepared)
		exp_src_move(m, EXP_SRC_PREPARING, EXP_SRC_COPYING, EXP_SRC_PH_BEGIN);
	else
		exp_core_repeat(&m->c, EXP_MSG_PREPARE);
}

/*
 * Is the other side still there? PREPARE has an answer in every state of it: PREPARED with the
 * state of the target, or DISCARDED, should its own DISCARDED or TARGET have been lost.
 */
static void probe(struct exp_src *m)
{
	exp_core_probe(&m->c, EXP_MSG_PREPARE);
}

static void decide_copying(struct exp_src *m)
{
	bool offline = exp_src_offline(m); /* copies later, when the guest is suspended */

	if (m->c.stop) {
		exp_src_roll_back(m);
		return;
	}
	if (!m->c.act && (m->phase != EXP_SRC_PH_BEGIN || offline) && (m->fits || offline)) {
		exp_src_move(m, EXP_SRC_COPYING, EXP_SRC_READY, EXP_SRC_PH_BEGIN);
		return;
	}
	probe(m);
	if (!m->c.act && m->phase == EXP_SRC_PH_BEGIN)
		exp_core_act(&m->c, EXP_ACT_COPY_START, EXP_NEVER_MS);
}

/* hold=switch: true while the VMM has not said switchover. */
static bool wait_for_switchover(struct exp_src *m)
{
	struct exp_core *c = &m->c;

	if (!exp_src_held_before_switch(m))
		return false;
	if (c->now_ms < m->lease_ms)
		return true;
	/* the lease is over: back to copying until the next round fits again; nothing is thrown
	 * away. An offline move has nothing to go back to */
	if (exp_src_offline(m))
		m->lease_ms = c->now_ms + c->job->hold_lease_ms;
	else
		m->fits = false;
	return exp_src_offline(m);
}

static void decide_ready(struct exp_src *m)
{
	struct exp_core *c = &m->c;
	bool waits = wait_for_switchover(m), fits = m->fits || exp_src_offline(m);
	bool asking = c->sending == EXP_MSG_ATTEMPT && !m->attempt_ok;

	if (c->stop) {
		exp_src_roll_back(m);
		return;
	}
	if (!fits && !asking) { /* asked once, the answer is awaited: rounds go up and down */
		time_step(m, EXP_SRC_NO_STEP);
		m->attempt_ok = false;
		exp_src_move(m, EXP_SRC_READY, EXP_SRC_COPYING, EXP_SRC_PH_COPYING);
		return;
	}
	if (waits || !exp_src_target_ready(m)) {
		m->attempt_ok = false;
		probe(m);
		return;
	}
	if (m->attempt_ok) {
		time_step(m, EXP_SRC_NO_STEP);
		/* durable before Suspend: who finds it at a start knows that there may be one */
		exp_src_move(m, EXP_SRC_READY, EXP_SRC_SWITCHING, EXP_SRC_PH_BEGIN);
		return;
	}
	time_step(m, EXP_STEP_ATTEMPT);
	exp_core_repeat(c, EXP_MSG_ATTEMPT);
}

static void decide_switching(struct exp_src *m)
{
	struct exp_core *c = &m->c;

	if (c->stop || too_late(m)) {
		exp_src_roll_back(m);
		return;
	}
	if (!c->act) {
		if (m->phase == EXP_SRC_PH_BEGIN)
			exp_src_advance(m);
		if (m->phase == EXP_SRC_PH_VOTE && m->restored)
			exp_src_advance(m);
		if (m->phase == EXP_SRC_PH_HOLD && m->commit)
			exp_src_advance(m);
		if (m->phase == EXP_SRC_PH_RELEASE) {
			release(m);
			return;
		}
		if (rows[m->phase].act) {
			exp_core_act(c, rows[m->phase].act, m->phase_end_ms);
			c->plan->actions[0].everything = m->phase == EXP_SRC_PH_COPY_ALL;
		}
	}
	if (m->phase == EXP_SRC_PH_VOTE) {
		exp_core_repeat(c, EXP_MSG_FINAL);
		m->final_sent |= c->send_again.tries > 0;
	} else if (m->phase_end_ms == EXP_NEVER_MS) {
		probe(m); /* the long copy of an offline move */
	}
}

/*
 * R8: the guest runs again, one step of it. While a Suspend is outstanding, or any other command,
 * there is no Resume, which it could overtake, however long that is. Copying alone can be cut
 * short.
 */
static void run_again(struct exp_src *m)
{
	struct exp_core *c = &m->c;

	if (c->act && !(m->phase == EXP_SRC_PH_STOP && exp_core_is_copy(c->act)))
		return;
	if (m->phase != EXP_SRC_PH_RUNS && !exp_core_rests(c))
		exp_core_act(c, rows[m->phase].act, EXP_NEVER_MS);
}

static void decide_rolling_back(struct exp_src *m)
{
	if (m->conflict)
		return;
	if (!exp_src_has_epoch(m)) { /* nothing was asked of the peer, nothing was touched here */
		close_failed(m);
		return;
	}
	if (m->phase == EXP_SRC_PH_RUNS && m->discarded) {
		/* it runs here, and nothing of the job is left over there */
		close_failed(m);
		return;
	}
	if (!m->discarded)
		exp_core_repeat(&m->c, EXP_MSG_DISCARD);
	run_again(m);
}

void exp_src_rescue(struct exp_src *m)
{
	struct exp_core *c = &m->c;

	if (c->job->state == EXP_SRC_ROLLING_BACK && c->commit == EXP_COMMIT_RETRY && !c->stuck &&
	    !m->conflict && exp_src_has_epoch(m) && !c->plan->store)
		run_again(m);
}

static void decide_released(struct exp_src *m)
{
	struct exp_core *c = &m->c;

	if (m->phase == EXP_SRC_PH_TELL && m->active) {
		time_step(m, EXP_SRC_NO_STEP);
		exp_src_advance(m);
	}
	if (m->phase == EXP_SRC_PH_TELL) {
		/* R12: RELEASE goes out only now that the commit is on the disk. Nothing but ACTIVE
		 * ends this: no time-out, no verb, no restart */
		time_step(m, EXP_STEP_ACTIVATE);
		exp_core_repeat(c, EXP_MSG_RELEASE);
		return;
	}
	if (c->act || exp_core_rests(c))
		return;
	if (m->phase == EXP_SRC_PH_CLOSE)
		exp_src_move(m, EXP_SRC_RELEASED, EXP_SRC_DONE, EXP_SRC_PH_CLOSE);
	else /* held still after a restart; taken down only after ACTIVE (R12) */
		exp_core_act(c, rows[m->phase].act, EXP_NEVER_MS);
}

/* R9: three answers; "undecided" is not "not released". Only what is durable is told. */
static void answer_query(struct exp_src *m)
{
	struct exp_core *c = &m->c;

	if (c->job->state == EXP_SRC_ROLLING_BACK)
		exp_core_send(c, EXP_MSG_DISCARD);
	else if (c->job->state != EXP_SRC_RELEASED)
		exp_core_answer(c, EXP_ANSWER_PENDING);
	else if (m->phase != EXP_SRC_PH_HOLD_STILL)
		exp_core_send(c, EXP_MSG_RELEASE);
}

void exp_src_decide(struct exp_src *m)
{
	switch ((enum exp_src_state)m->c.job->state) {
	case EXP_SRC_PREFLIGHT: decide_preflight(m); break;
	case EXP_SRC_PREPARING: decide_preparing(m); break;
	case EXP_SRC_COPYING: decide_copying(m); break;
	case EXP_SRC_READY: decide_ready(m); break;
	case EXP_SRC_SWITCHING: decide_switching(m); break;
	case EXP_SRC_ROLLING_BACK: decide_rolling_back(m); break;
	case EXP_SRC_RELEASED: decide_released(m); break;
	case EXP_SRC_DONE:
	case EXP_SRC_FAILED:
	case EXP_SRC_CANCELLED:
	case EXP_SRC_TAKEN: return; /* closed: answer.h */
	}
	if (m->asked && !m->c.plan->store) {
		m->asked = false;
		answer_query(m);
	}
}
