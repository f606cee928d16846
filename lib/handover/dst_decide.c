/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dst_decide.c - what the receiving side does next: one step from the durable state and the facts
 *
 * It does not run while a commit is out. Invariants:
 * - until `activating` is durable everything built here is held: it is never attached, so that no
 *   reset can make it acknowledge a write;
 * - `restored` is one commit that holds the controller state and everything to build it again, and
 *   comes after the device has flushed. From there on this side never decides: no time-out, no verb
 *   and no restart leaves `restored`, only RELEASE or DISCARD from the source;
 * - from `activating` on the stored controller state is never applied again: the guest may have
 * run;
 * - ACTIVE is said only of what was seen to run, DISCARDED only of what has been deleted.
 */
#include "handover/dst_priv.h"

#define TRIES_BEFORE_QUERY 3 /* RESTORED is repeated so often before QUERY goes with it */

#define TO(s)            (UINT64_C(1) << EXP_DST_##s)
#define MOVES_PREPARING  (TO(RECEIVING) | TO(DISCARDING))
#define MOVES_RECEIVING  (TO(RESTORED) | TO(DISCARDING))
#define MOVES_RESTORED   (TO(ACTIVATING) | TO(DISCARDING))
#define MOVES_ACTIVATING TO(ACTIVE)
#define MOVES_ACTIVE     TO(DONE)
#define MOVES_DISCARDING TO(DISCARDED)
#define MOVES_DISCARDED  0
#define MOVES_DONE       0

static const struct exp_sm_state states[] = {
#define EXP_DST(NAME, value, name) [value] = { name, 0, MOVES_##NAME },
#include "model/states.def"
};

const struct exp_sm exp_dst_sm = { "destination", states, EXP_ARRAY_SIZE(states) };

/* The action of each phase that is nothing but an action. */
static const enum exp_act acts[] = {
	[EXP_DST_PH_BUILD] = EXP_ACT_BUILD,
	[EXP_DST_PH_REBUILD] = EXP_ACT_REBUILD,
	[EXP_DST_PH_CHECK_FINAL] = EXP_ACT_CHECK_FINAL,
	[EXP_DST_PH_SET_STATE] = EXP_ACT_SET_STATE,
	[EXP_DST_PH_REHOLD] = EXP_ACT_REBUILD,
	[EXP_DST_PH_ATTACH] = EXP_ACT_ATTACH,
	[EXP_DST_PH_RESUME] = EXP_ACT_RESUME,
	[EXP_DST_PH_VERIFY] = EXP_ACT_VERIFY_RUNS,
	[EXP_DST_PH_STOP] = EXP_ACT_COPY_STOP,
	[EXP_DST_PH_DELETE] = EXP_ACT_DELETE,
	[EXP_DST_PH_CLOSE] = EXP_ACT_NONE,
};

static enum exp_dst_phase after(const struct exp_dst *m, enum exp_dst_phase p)
{
	switch (p) {
	case EXP_DST_PH_BUILD: return EXP_DST_PH_BUILT;
	case EXP_DST_PH_REBUILD: return EXP_DST_PH_SERVE;
	case EXP_DST_PH_CHECK_FINAL:
		return exp_dst_cold(m) ? EXP_DST_PH_RESTORE : EXP_DST_PH_SET_STATE;
	case EXP_DST_PH_SET_STATE: return EXP_DST_PH_RESTORE;
	case EXP_DST_PH_REHOLD: return EXP_DST_PH_VOTE;
	case EXP_DST_PH_ATTACH: return exp_dst_cold(m) ? EXP_DST_PH_VERIFY : EXP_DST_PH_RESUME;
	case EXP_DST_PH_RESUME: return EXP_DST_PH_VERIFY;
	case EXP_DST_PH_VERIFY: return EXP_DST_PH_RUNS;
	case EXP_DST_PH_STOP:
		return m->c.job->state == EXP_DST_DISCARDING ? EXP_DST_PH_DELETE : EXP_DST_PH_CLOSE;
	case EXP_DST_PH_DELETE: return EXP_DST_PH_CLOSE;
	case EXP_DST_PH_BEGIN:
	case EXP_DST_PH_BUILT:
	case EXP_DST_PH_SERVE:
	case EXP_DST_PH_RESTORE:
	case EXP_DST_PH_VOTE:
	case EXP_DST_PH_RUNS:
	case EXP_DST_PH_CLOSE: break;
	}
	return p;
}

enum exp_act exp_dst_phase_act(enum exp_dst_phase p)
{
	return (size_t)p < EXP_ARRAY_SIZE(acts) ? acts[p] : EXP_ACT_NONE;
}

void exp_dst_advance(struct exp_dst *m)
{
	m->phase = after(m, m->phase);
}

/* ------------------------------------------------------------------ the moves */

void exp_dst_move(struct exp_dst *m, unsigned int from, unsigned int to, enum exp_dst_phase p)
{
	m->phase = p;
	exp_core_move(&m->c, from, to);
}

void exp_dst_discard(struct exp_dst *m)
{
	struct exp_core *c = &m->c;

	c->job->intent = c->stop;
	c->job->error = c->why;
	exp_dst_move(m, c->job->state, EXP_DST_DISCARDING, EXP_DST_PH_STOP);
}

/* R6: the floor covers the epoch in the very first record: it stays closed whatever becomes of it.
 */
void exp_dst_raise_floor(struct exp_dst *m)
{
	struct exp_core *c = &m->c;

	for (uint32_t i = 0; i < c->job->n_exports; i++) {
		c->owner[i].floor = EXP_MAX(c->owner[i].floor, c->job->exports[i].epoch);
		exp_core_own(c, i, EXP_STATUS_UNCHANGED, &c->job->peer);
	}
}

void exp_dst_own_all(struct exp_dst *m)
{
	struct exp_core *c = &m->c;

	for (uint32_t i = 0; i < c->job->n_exports; i++) {
		uint64_t e = c->job->exports[i].epoch;

		c->owner[i].own = e;
		c->owner[i].maxown = EXP_MAX(c->owner[i].maxown, e);
		c->owner[i].floor = EXP_MAX(c->owner[i].floor, e);
		exp_core_own(c, i, EXP_EXPORT_OWNED, NULL);
	}
}

/* ------------------------------------------------------------------ deciding, state by state */

static void act(struct exp_dst *m)
{
	m->reset = false;
	exp_core_act(&m->c, acts[m->phase], EXP_NEVER_MS);
}

static void decide_preparing(struct exp_dst *m)
{
	if (m->c.stop)
		exp_dst_discard(m);
	else if (m->phase == EXP_DST_PH_BUILT)
		exp_dst_move(m, EXP_DST_PREPARING, EXP_DST_RECEIVING, EXP_DST_PH_SERVE);
	else if (!m->c.act)
		act(m);
}

static bool target_wanted(const struct exp_dst *m)
{
	return !exp_dst_cold(m) && m->c.job->n_memory && m->target != EXP_TARGET_SUSPENDED;
}

static void tell(struct exp_dst *m)
{
	struct exp_core *c = &m->c;

	if (!c->link)
		return;
	if (m->prepare_asked) {
		exp_core_send(c, EXP_MSG_PREPARED);
		m->prepare_asked = false;
		m->told = m->target;
	}
	if (m->told != m->target) {
		exp_core_send(c, EXP_MSG_TARGET);
		m->told = m->target;
	}
	if (m->attempt_ok) {
		exp_core_send(c, EXP_MSG_ATTEMPT_OK);
		m->attempt_ok = false;
	}
}

static void serve(struct exp_dst *m)
{
	struct exp_core *c = &m->c;

	if (m->memory_new) { /* durable before the target is relied on */
		m->memory_new = false;
		exp_core_store(c);
		return;
	}
	tell(m);
	if (c->act)
		return;
	if (m->final_asked) {
		m->phase = EXP_DST_PH_CHECK_FINAL;
		act(m);
	} else if (target_wanted(m)) {
		if (exp_core_rests(c))
			return;
		m->reset = false;
		exp_core_act(c, EXP_ACT_SUSPEND_TARGET, EXP_NEVER_MS);
	} else if (m->attempt_asked) {
		m->attempt_asked = false;
		exp_core_act(c, EXP_ACT_CHECK_READY, EXP_NEVER_MS);
	}
}

static void decide_receiving(struct exp_dst *m)
{
	if (m->c.stop)
		exp_dst_discard(m);
	else if (m->phase == EXP_DST_PH_SERVE)
		serve(m);
	else if (m->phase == EXP_DST_PH_RESTORE)
		/* R7: one commit with controller state, configuration, places; after Flush */
		exp_dst_move(m, EXP_DST_RECEIVING, EXP_DST_RESTORED, EXP_DST_PH_VOTE);
	else if (!m->c.act)
		act(m);
}

static void decide_restored(struct exp_dst *m)
{
	struct exp_core *c = &m->c;
	uint32_t tries;

	if (c->act)
		return;
	if (m->phase == EXP_DST_PH_REHOLD) {
		if (c->stop)
			exp_dst_discard(m);
		else if (!exp_core_rests(c)) {
			act(m);
			c->plan->actions[c->plan->n_actions - 1].apply_state = !exp_dst_cold(m);
		}
		return;
	}
	if (m->released) {
		exp_dst_own_all(m);
		exp_dst_move(m, EXP_DST_RESTORED, EXP_DST_ACTIVATING, EXP_DST_PH_ATTACH);
		return;
	}
	if (c->stop) {
		exp_dst_discard(m);
		return;
	}
	tries = c->sending == EXP_MSG_RESTORED ? c->send_again.tries : 0;
	exp_core_repeat(c, EXP_MSG_RESTORED);
	if (c->send_again.tries > tries && tries >= TRIES_BEFORE_QUERY)
		exp_core_send(c, EXP_MSG_QUERY);
}

/* R3: attached here and nowhere earlier, with `activating` on the disk. */
static void decide_activating(struct exp_dst *m)
{
	if (m->phase == EXP_DST_PH_RUNS)
		exp_dst_move(m, EXP_DST_ACTIVATING, EXP_DST_ACTIVE, EXP_DST_PH_STOP);
	else if (!m->c.act && !exp_core_rests(&m->c))
		act(m);
}

static void decide_active(struct exp_dst *m)
{
	if (m->active_asked) /* R12: seen to run before it was recorded as active */
		exp_core_send(&m->c, EXP_MSG_ACTIVE);
	m->active_asked = false;
	if (m->c.act || exp_core_rests(&m->c))
		return;
	if (m->phase == EXP_DST_PH_CLOSE)
		exp_dst_move(m, EXP_DST_ACTIVE, EXP_DST_DONE, EXP_DST_PH_CLOSE);
	else
		act(m);
}

static void decide_discarding(struct exp_dst *m)
{
	struct exp_core *c = &m->c;

	/* what is outstanding on the device ends first; copying alone can be cut short */
	if (c->act && !(m->phase == EXP_DST_PH_STOP && exp_core_is_copy(c->act)))
		return;
	if (exp_core_rests(c))
		return;
	if (m->phase == EXP_DST_PH_CLOSE)
		exp_dst_move(m, EXP_DST_DISCARDING, EXP_DST_DISCARDED, EXP_DST_PH_CLOSE);
	else
		act(m);
}

void exp_dst_decide(struct exp_dst *m)
{
	switch ((enum exp_dst_state)m->c.job->state) {
	case EXP_DST_PREPARING: decide_preparing(m); break;
	case EXP_DST_RECEIVING: decide_receiving(m); break;
	case EXP_DST_RESTORED: decide_restored(m); break;
	case EXP_DST_ACTIVATING: decide_activating(m); break;
	case EXP_DST_ACTIVE: decide_active(m); break;
	case EXP_DST_DISCARDING: decide_discarding(m); break;
	case EXP_DST_DISCARDED:
	case EXP_DST_DONE: break;
	}
}
