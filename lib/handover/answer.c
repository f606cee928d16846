/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer.c - what closed and unknown jobs say (R9: they answer for ever)
 *
 * An epoch at or below an export's floor is closed here. Owned once (at or below maxown): it was
 * released to us and activated, so the answer is ACTIVE. Else it was discarded or never came, and
 * the floor sees to it that it never will: DISCARDED. The exports of a job stand and fall together.
 */
#include <errno.h>
#include <string.h>

#include "handover/answer.h"

struct sum { /* the epochs of a message against what is known */
	bool all_closed, any_closed;
	bool all_owned, any_owned; /* at or below maxown */
	bool any_running;          /* this host owns one of the exports now */
	bool any_busy;
	bool nonsense; /* an export without an epoch, or no export at all */
};

static struct sum sum_up(const struct exp_known_export *known, const struct exp_msg *m)
{
	struct sum s = { .all_closed = true, .all_owned = true };

	s.nonsense = !m->n_exports || m->n_exports > EXP_JOB_EXPORTS_MAX;
	for (uint32_t i = 0; !s.nonsense && i < m->n_exports; i++) {
		uint64_t e = m->exports[i].epoch;
		bool closed = e <= EXP_MAX(known[i].owner.floor, known[i].queued_floor);
		bool owned = e <= known[i].owner.maxown;

		if (!e)
			s.nonsense = true;
		s.all_closed &= closed;
		s.any_closed |= closed;
		s.all_owned &= owned;
		s.any_owned |= owned;
		s.any_running |= known[i].owner.own != 0;
		s.any_busy |= known[i].busy;
	}
	return s;
}

static void alarm_for(struct exp_reply *r, enum exp_code code, const char *what,
		      const struct exp_msg *m)
{
	const char *name = exp_msg_name(m->type);

	exp_error_set(&r->alarm, code, 0, "%s (message %s, epoch %llu of the first export)", what,
		      name ? name : "?",
		      m->n_exports ? (unsigned long long)m->exports[0].epoch : 0ULL);
}

static void send(struct exp_reply *r, enum exp_msg_type type)
{
	r->kind = EXP_REPLY_SEND;
	r->send = type;
}

/*
 * R6, the tombstone: before DISCARDED is said of an epoch, the floor covers it durably, so that a
 * PREPARE of it that is still on its way finds it closed.
 */
static void discarded(struct exp_reply *r, const struct exp_known_export *known,
		      const struct exp_msg *m, const struct exp_error *why)
{
	for (uint32_t i = 0; i < m->n_exports; i++) {
		const struct exp_known_export *k = &known[i];

		if (m->exports[i].epoch <= k->owner.floor)
			continue; /* durable already; what is only queued is stored again */
		r->changes[r->n_changes] = (struct exp_own_change){
			.id = m->exports[i].id,
			.owner = k->owner,
			.status = k->status ? EXP_STATUS_UNCHANGED : EXP_EXPORT_AWAY,
			.owner_peer = k->owner_peer,
			.index = i,
		};
		r->changes[r->n_changes++].owner.floor = m->exports[i].epoch;
	}
	r->reason = *why;
	send(r, EXP_MSG_DISCARDED);
}

/* The epoch is closed: which of the two ends did it have? */
static void answer_closed(struct exp_reply *r, const struct exp_known_export *known,
			  const struct exp_msg *m, const struct sum *s)
{
	struct exp_error why;

	if (s->all_owned) {
		send(r, EXP_MSG_ACTIVE);
		return;
	}
	if (s->any_owned) {
		alarm_for(r, EXP_CODE_CONFLICT,
			  "some exports of a job were activated here and others were not", m);
		return;
	}
	exp_error_set(&why, EXP_CODE_GONE, 0, "this attempt is closed at the destination");
	discarded(r, known, m, &why);
}

static void answer_prepare(struct exp_reply *r, const struct exp_known_export *known,
			   const struct exp_msg *m, const struct sum *s)
{
	struct exp_error why;

	if (s->any_closed) {
		answer_closed(r, known, m, s);
		return;
	}
	if (s->any_busy)
		return; /* R11: one job per export and host; it waits, the sender repeats */
	if (s->any_running) {
		exp_error_set(&why, EXP_CODE_CONFLICT, 0,
			      "the destination owns it already; a person must look at both hosts");
		alarm_for(
			r, EXP_CODE_CONFLICT,
			"a peer wants to hand over what this host owns; a person must look at both",
			m);
		discarded(r, known, m, &why);
		return;
	}
	r->kind = EXP_REPLY_BEGIN;
}

void exp_dst_answer(const struct exp_known_export *known, const struct exp_msg *m,
		    struct exp_reply *ret)
{
	struct sum s = sum_up(known, m);
	struct exp_error why;

	memset(ret, 0, sizeof(*ret));
	ret->kind = EXP_REPLY_IGNORE;
	if (s.nonsense)
		return;
	if (m->type == EXP_MSG_PREPARE) {
		answer_prepare(ret, known, m, &s);
	} else if (m->type == EXP_MSG_FINAL || m->type == EXP_MSG_ATTEMPT) {
		if (s.all_closed)
			answer_closed(ret, known, m, &s);
	} else if (m->type == EXP_MSG_RELEASE) {
		/* ACTIVE makes the source take its copy down: said only of what was owned here */
		if (s.all_owned)
			send(ret, EXP_MSG_ACTIVE);
		else
			alarm_for(ret, EXP_CODE_PROTOCOL,
				  "a peer releases what was never restored here; not obeyed", m);
	} else if (m->type == EXP_MSG_DISCARD) {
		if (s.any_owned) {
			answer_closed(ret, known, m, &s);
			return;
		}
		exp_error_set(&why, EXP_CODE_GONE, 0, "nothing of this attempt is here");
		discarded(ret, known, m, &why);
	}
}

void exp_dst_refuse(const struct exp_known_export *known, const struct exp_msg *m,
		    const struct exp_error *why, struct exp_reply *ret)
{
	memset(ret, 0, sizeof(*ret));
	discarded(ret, known, m, why);
}

void exp_src_answer(const struct exp_job *closed, const struct exp_msg *m, struct exp_reply *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->kind = EXP_REPLY_IGNORE;
	/* RESTORED of a closed job asks the same question: what became of it? */
	if (m->type != EXP_MSG_QUERY && m->type != EXP_MSG_RESTORED)
		return;
	if (closed && !exp_uuid_eq(&closed->id, &m->job))
		closed = NULL;
	if (closed && closed->role != EXP_ROLE_SOURCE)
		closed = NULL;
	for (uint32_t i = 0; closed && i < closed->n_exports; i++)
		if (exp_msg_epoch(m, &closed->exports[i].id) != closed->exports[i].epoch)
			closed = NULL; /* not this attempt: the record says nothing of it */
	if (!closed) {
		send(ret, EXP_MSG_ANSWER);
		ret->answer = EXP_ANSWER_UNKNOWN; /* decides nothing */
		return;
	}
	switch ((enum exp_src_state)closed->state) {
	case EXP_SRC_DONE: send(ret, EXP_MSG_RELEASE); return;
	case EXP_SRC_FAILED:
	case EXP_SRC_CANCELLED:
		ret->reason = closed->error;
		send(ret, EXP_MSG_DISCARD);
		return;
	case EXP_SRC_TAKEN:
	case EXP_SRC_PREFLIGHT:
	case EXP_SRC_PREPARING:
	case EXP_SRC_COPYING:
	case EXP_SRC_READY:
	case EXP_SRC_SWITCHING:
	case EXP_SRC_ROLLING_BACK:
	case EXP_SRC_RELEASED:
		send(ret, EXP_MSG_ANSWER);
		ret->answer = EXP_ANSWER_PENDING;
		return;
	}
}

void exp_reply_message(const struct exp_reply *r, const struct exp_msg *m, struct exp_msg *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->type = r->send;
	ret->job = m->job;
	ret->attempt = m->attempt;
	ret->role = m->role == EXP_ROLE_SOURCE ? EXP_ROLE_DESTINATION : EXP_ROLE_SOURCE;
	ret->n_exports = EXP_MIN(m->n_exports, (uint32_t)EXP_JOB_EXPORTS_MAX);
	memcpy(ret->exports, m->exports, ret->n_exports * sizeof(m->exports[0]));
	if (r->send == EXP_MSG_DISCARD || r->send == EXP_MSG_DISCARDED)
		ret->reason = r->reason;
	if (r->send == EXP_MSG_ANSWER)
		ret->answer = r->answer;
}
