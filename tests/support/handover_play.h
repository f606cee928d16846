/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handover_play.h - plays a script of events to one hand-over machine and compares each plan
 *
 * A line is an event and what the plan must say, in words:
 *
 *	start, boot (recovery in a later boot), recover, committed, commit-failed,
 *	done [unsuspended | enabled | absent], failed [BUSY],
 *	msg TYPE, old TYPE (of another epoch), verb NAME, copy NEWS, up, down, reset, tick MS
 *
 *	=STATE (became durable), store STATE or store+own STATE, ACTION, ->MESSAGE, publish,
 *	accepted, wait, refused CODE, alarm, ignored, again (the row, on a fresh connection)
 */
#ifndef EXP_TESTS_SUPPORT_HANDOVER_PLAY_H
#define EXP_TESTS_SUPPORT_HANDOVER_PLAY_H

#include "support/tests.h"

#include "handover/dst.h"
#include "handover/src.h"

struct line {
	const char *event, *plan;
};

struct play {
	struct exp_src *src;
	struct exp_dst *dst;
	struct exp_job *job; /* borrowed */
	uint64_t now_ms, seq;
	uint32_t step;
	enum exp_state_path path; /* what preflight finds */
	struct exp_plan plan;
};

static const struct exp_uuid play_boot = { { 1 } }, play_later = { { 2 } };

/* A record with @n exports, the state and epoch given; epoch 0: none taken yet. */
static inline struct exp_job *play_record(enum exp_role role, unsigned int state, uint32_t n,
					  uint64_t epoch)
{
	struct exp_job *j = exp_job_new();

	assert_non_null(j);
	j->id.b[0] = 77;
	j->role = role;
	j->state = state;
	j->boot = play_boot;
	j->path = epoch || role == EXP_ROLE_DESTINATION ? EXP_PATH_REFERENCE : EXP_PATH_NONE;
	strcpy(j->peer.s, "other");
	j->n_exports = n;
	for (uint32_t i = 0; i < n; i++) {
		j->exports[i].id.b[0] = (uint8_t)(10 + i);
		j->exports[i].epoch = epoch ? epoch + i : 0;
		if (epoch && state)
			assert_int_equal(exp_job_set_state_blob(j, i, "blob", 4), 0);
	}
	return j;
}

/* own, floor, maxown of export i: 5+i each when it is owned, else floor alone. */
static inline void play_owner(struct exp_ownership *o, uint32_t n, bool owned)
{
	for (uint32_t i = 0; i < n; i++)
		o[i] = (struct exp_ownership){ owned ? 5 + i : 0, 5 + i, owned ? 5 + i : 0 };
}

static inline void play_src(struct play *p, struct exp_job *j)
{
	struct exp_ownership o[EXP_JOB_EXPORTS_MAX];
	struct exp_error err;

	memset(p, 0, sizeof(*p));
	p->path = EXP_PATH_REFERENCE;
	p->job = j;
	play_owner(o, j->n_exports, true);
	assert_int_equal(exp_src_new(j, o, &p->src, &err), 0);
}

static inline void play_dst(struct play *p, struct exp_job *j)
{
	struct exp_ownership o[EXP_JOB_EXPORTS_MAX];
	struct exp_error err;

	memset(p, 0, sizeof(*p));
	p->job = j;
	play_owner(o, j->n_exports, false);
	assert_int_equal(exp_dst_new(j, o, &p->dst, &err), 0);
}

static inline void play_end(struct play *p)
{
	exp_src_free(p->src);
	exp_dst_free(p->dst);
}

static inline void play_say(char *buf, size_t n, const char *fmt, ...) EXP_PRINTF(3, 4);
static inline void play_say(char *buf, size_t n, const char *fmt, ...)
{
	size_t at = strlen(buf);
	va_list ap;

	if (at)
		at += (size_t)snprintf(buf + at, n - at, " ");
	va_start(ap, fmt);
	vsnprintf(buf + at, n - at, fmt, ap);
	va_end(ap);
}

static inline void play_describe(const struct play *p, char *buf, size_t n)
{
	const struct exp_plan *q = &p->plan;

	buf[0] = 0;
	if (q->verb == EXP_VERB_ACCEPTED)
		play_say(buf, n, "accepted");
	if (q->verb == EXP_VERB_WAIT)
		play_say(buf, n, "wait");
	if (q->verb == EXP_VERB_REFUSED)
		play_say(buf, n, "refused %s", exp_code_name(q->verb_error.code));
	if (q->ignored)
		play_say(buf, n, "ignored");
	if (q->alarm.code)
		play_say(buf, n, "alarm");
	if (q->entered)
		play_say(buf, n, "=%s", exp_state_name(p->job->role, q->entered));
	if (q->store)
		play_say(buf, n, "store%s %s%s", q->n_changes ? "+own" : "",
			 exp_state_name(p->job->role, q->record->state),
			 q->fresh_connection ? " again" : "");
	for (uint32_t i = 0; i < q->n_actions; i++)
		play_say(buf, n, "%s%s",
			 q->actions[i].act == EXP_ACT_SEND ? "->" : exp_act_name(q->actions[i].act),
			 q->actions[i].act == EXP_ACT_SEND ? exp_msg_name(q->actions[i].msg) : "");
	if (q->publish)
		play_say(buf, n, "publish");
}

static inline unsigned int play_type(const char *name)
{
	for (unsigned int t = 1; t < 64; t++)
		if (exp_msg_name(t) && !strcmp(exp_msg_name(t), name))
			return t;
	fail_msg("no message %s", name);
	return 0;
}

/* A message from the other side of the job that is played; free with exp_msg_done(). */
static inline void play_msg(const struct play *p, unsigned int type, uint64_t off,
			    struct exp_msg *m)
{
	exp_msg_for_job(m, (enum exp_msg_type)type, p->job);
	m->role = p->src ? EXP_ROLE_DESTINATION : EXP_ROLE_SOURCE;
	for (uint32_t i = 0; i < m->n_exports; i++)
		m->exports[i].epoch += off;
	if (type == EXP_MSG_PREPARED) {
		strcpy(m->prepared.device.s, "drive");
		m->prepared.target = EXP_TARGET_SUSPENDED;
	}
	if (type == EXP_MSG_TARGET)
		m->target = EXP_TARGET_SUSPENDED;
	if (type == EXP_MSG_ANSWER)
		m->answer = EXP_ANSWER_PENDING;
	if (type == EXP_MSG_DISCARD || type == EXP_MSG_DISCARDED)
		exp_error_set(&m->reason, EXP_CODE_NO_SPACE, 0, "no room");
	if (type == EXP_MSG_FINAL) {
		m->final = calloc(1, sizeof(*m->final));
		assert_non_null(m->final);
		m->final->session = 3;
		for (uint32_t i = 0; i < m->n_exports && p->job->path != EXP_PATH_COLD; i++) {
			m->final->state[i].data = calloc(1, 8);
			m->final->state[i].len = 8;
		}
	}
}

static inline enum exp_verb play_verb(const char *name)
{
	static const char *const names[] = { "target-ready", "switchover", "commit", "abort",
					     "cancel" };

	for (unsigned int i = 0; i < EXP_ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], name))
			return (enum exp_verb)(i + 1);
	fail_msg("no verb %s", name);
	return 0;
}

static inline void play_event(struct play *p, struct exp_event *ev)
{
	ev->now_ms = p->now_ms;
	if (p->src)
		exp_src_step(p->src, ev, &p->plan);
	else
		exp_dst_step(p->dst, ev, &p->plan);
	if (p->plan.store)
		p->seq = p->plan.seq;
	for (uint32_t i = 0; i < p->plan.n_actions; i++)
		if (p->plan.actions[i].act != EXP_ACT_SEND)
			p->step = p->plan.actions[i].step;
}

static inline void play_line(struct play *p, const char *text)
{
	struct exp_place places[EXP_JOB_EXPORTS_MAX] = { 0 };
	struct exp_msg_blob blobs[EXP_JOB_EXPORTS_MAX];
	static const struct exp_memory_range memory = { 0, 4096 };
	struct exp_event ev = { 0 };
	struct exp_msg m = { 0 };
	char word[32] = "", arg[32] = "";

	assert_true(sscanf(text, "%31s %31s", word, arg) >= 1);
	for (uint32_t i = 0; i < EXP_JOB_EXPORTS_MAX; i++)
		blobs[i] = (struct exp_msg_blob){ 4, (uint8_t *)"blob" };
	if (!strcmp(word, "start") || !strcmp(word, "recover")) {
		ev.type = word[0] == 's' ? EXP_EV_START : EXP_EV_RECOVER;
		ev.boot = play_boot;
	} else if (!strcmp(word, "boot")) {
		ev.type = EXP_EV_RECOVER;
		ev.boot = play_later;
	} else if (!strcmp(word, "committed") || !strcmp(word, "commit-failed")) {
		ev.type = word[6] == 't' ? EXP_EV_COMMITTED : EXP_EV_COMMIT_FAILED;
		ev.commit.seq = p->seq;
		exp_error_set(&ev.commit.err, EXP_CODE_DB, 5, "disk I/O error");
	} else if (!strcmp(word, "done")) {
		ev.type = EXP_EV_ACT_DONE;
		ev.act.step = p->step;
		ev.act.result.places = places;
		ev.act.result.state = blobs;
		ev.act.result.suspended = strcmp(arg, "unsuspended") != 0;
		ev.act.result.target = !strcmp(arg, "enabled")  ? EXP_TARGET_ENABLED
				       : !strcmp(arg, "absent") ? EXP_TARGET_ABSENT
								: EXP_TARGET_SUSPENDED;
		ev.act.result.path = p->path;
		ev.act.result.dirty = p->job->dirty;
	} else if (!strcmp(word, "failed")) {
		ev.type = EXP_EV_ACT_FAILED;
		ev.act.step = p->step;
		exp_error_set(&ev.act.err, !strcmp(arg, "BUSY") ? EXP_CODE_BUSY : EXP_CODE_DEVICE,
			      0, "failed");
	} else if (!strcmp(word, "msg") || !strcmp(word, "old")) {
		ev.type = EXP_EV_MSG;
		play_msg(p, play_type(arg), word[0] == 'o' ? UINT64_MAX : 0, &m);
		ev.msg = &m;
	} else if (!strcmp(word, "verb")) {
		ev.type = EXP_EV_VERB;
		ev.verb.verb = play_verb(arg);
		ev.verb.n_memory = 1;
		ev.verb.memory = &memory;
	} else if (!strcmp(word, "copy")) {
		ev.type = EXP_EV_COPY;
		ev.copy.news = !strcmp(arg, "fits")       ? EXP_COPY_FITS
			       : !strcmp(arg, "not-fit")  ? EXP_COPY_NOT_FIT
			       : !strcmp(arg, "will-not") ? EXP_COPY_WILL_NOT
							  : EXP_COPY_FAILED;
		exp_error_set(&ev.copy.err, EXP_CODE_NO_CONVERGENCE, 0, "it will not converge");
		if (!strcmp(arg, "gone"))
			exp_error_set(&ev.copy.err, EXP_CODE_PEER_GONE, 0, "broken pipe");
	} else if (!strcmp(word, "tick")) {
		ev.type = EXP_EV_TICK;
		p->now_ms += strtoull(arg, NULL, 10);
	} else if (!strcmp(word, "up")) {
		ev.type = EXP_EV_LINK_UP;
	} else if (!strcmp(word, "down")) {
		ev.type = EXP_EV_LINK_DOWN;
	} else if (!strcmp(word, "reset")) {
		ev.type = EXP_EV_DEVICE_RESET;
	} else {
		fail_msg("no event %s", word);
	}
	play_event(p, &ev);
	exp_msg_done(&m);
}

static inline void play_script(struct play *p, const char *name, const struct line *l)
{
	char got[512];

	for (unsigned int i = 0; l[i].event; i++) {
		play_line(p, l[i].event);
		play_describe(p, got, sizeof(got));
		if (strcmp(got, l[i].plan))
			fail_msg("%s, line %u, %s:\n  plan   \"%s\"\n  wanted \"%s\"", name, i + 1,
				 l[i].event, got, l[i].plan);
	}
}

#define PLAY(p, ...) play_script(p, __func__, (const struct line[]){ __VA_ARGS__, { 0 } })

#endif
