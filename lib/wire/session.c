/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - the order of a conversation: hello, messages, BYE from both sides
 *
 * Whatever goes wrong ends in fail(): the state is FAILED, the reason is kept for later calls, and
 * a BYE with it stands behind what was already queued.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "wire/frame.h"
#include "wire/msg.h"
#include "wire/session.h"

/* A hello with EXP_MSG_KNOWN_MAX exports of 46 bytes; there is no payload in it. */
#define HELLO_HEADER_MAX (256u * 1024)

struct exp_sess {
	struct exp_sess_config cfg;
	enum exp_sess_state state;
	uint32_t version_min, version_max; /* ours */
	uint64_t features;
	uint32_t agreed_version;
	uint64_t agreed_features;
	bool hello_got, bye_sent, bye_got;
	struct exp_frame_parser in;
	struct exp_buf out;
	bool has_event;
	struct exp_sess_event event;
	uint64_t started_ms, heard_ms;
	uint64_t frame_ms; /* first byte of the frame that is not whole; of use while one is */
	uint64_t ping;     /* number of the ping that waits for its answer, 0 none */
	uint64_t pings;    /* sent so far */
	uint64_t bye_ms;   /* when ours was queued */
	struct exp_error failure;
};

/* Queue @m within @limit bytes of backlog. */
static int queue(struct exp_sess *s, const struct exp_msg *m, size_t limit, struct exp_error *err)
{
	int r;

	s->out.max = limit;
	r = exp_wire_encode(m, &s->out, err);
	if (r == -E2BIG)
		return exp_error_set(err, EXP_CODE_BUSY, ENOBUFS,
				     "%zu bytes wait to be sent, at most %zu may",
				     s->out.end - s->out.start, limit);
	return r;
}

static void queue_bye(struct exp_sess *s, uint64_t now_ms, const struct exp_error *reason)
{
	struct exp_msg m = { .type = EXP_MSG_BYE };

	if (s->bye_sent)
		return;
	if (reason)
		m.reason = *reason;
	s->bye_sent = true;
	s->bye_ms = now_ms;
	/* without room or memory the peer finds out by the end of the stream, which is an error */
	if (queue(s, &m, s->cfg.backlog_max + EXP_SESS_RESERVE, NULL) < 0)
		return;
}

/* The end: @r and @why are what this call and every later one report. */
static int fail(struct exp_sess *s, uint64_t now_ms, int r, const struct exp_error *why,
		struct exp_error *err)
{
	s->state = EXP_SESS_FAILED;
	s->failure = *why;
	queue_bye(s, now_ms, why);
	if (err)
		*err = *why;
	return r;
}

static int failed(const struct exp_sess *s, struct exp_error *err)
{
	if (err)
		*err = s->failure;
	return s->failure.errnum ? -s->failure.errnum : -EPROTO;
}

int exp_sess_new(const struct exp_sess_config *cfg, const struct exp_msg_hello *hello,
		 uint64_t now_ms, struct exp_sess **ret, struct exp_error *err)
{
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *s = NULL;
	struct exp_msg m = { .type = EXP_MSG_HELLO, .hello = *hello }; /* borrows known */
	int r;

	if (cfg->backlog_max <
	    EXP_FRAME_PREFIX_BYTES + EXP_FRAME_HEADER_MAX + EXP_FRAME_PAYLOAD_MAX)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "a backlog of %zu bytes cannot hold one message of %u",
				     cfg->backlog_max,
				     EXP_FRAME_PREFIX_BYTES + EXP_FRAME_HEADER_MAX +
					     EXP_FRAME_PAYLOAD_MAX);
	if (cfg->ping_ms >= cfg->dead_ms)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "ping after %u ms must be less than dead after %u ms",
				     cfg->ping_ms, cfg->dead_ms);
	s = calloc(1, sizeof(*s));
	if (!s)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "session: out of memory");
	s->cfg = *cfg;
	s->state = EXP_SESS_HELLO;
	s->version_min = hello->version_min;
	s->version_max = hello->version_max;
	s->features = hello->features;
	s->started_ms = s->heard_ms = now_ms;
	exp_frame_init(&s->in);
	exp_frame_limit(&s->in, HELLO_HEADER_MAX, 0);
	exp_buf_init(&s->out, cfg->backlog_max);
	r = queue(s, &m, cfg->backlog_max, err);
	if (r < 0)
		return r;
	*ret = EXP_TAKE(s);
	return 0;
}

void exp_sess_free(struct exp_sess *s)
{
	if (!s)
		return;
	exp_frame_done(&s->in);
	exp_buf_done(&s->out);
	if (s->has_event)
		exp_msg_done(&s->event.msg);
	free(s);
}

enum exp_sess_state exp_sess_state(const struct exp_sess *s)
{
	return s->state;
}

/* The event takes the message; *m is left empty. */
static void put_event(struct exp_sess *s, enum exp_sess_event_type type, struct exp_msg *m)
{
	assert(!s->has_event);
	s->event = (struct exp_sess_event){ .type = type,
					    .version = s->agreed_version,
					    .features = s->agreed_features,
					    .msg = *m };
	s->has_event = true;
	*m = (struct exp_msg){ 0 };
}

static int got_hello(struct exp_sess *s, struct exp_msg *m, struct exp_error *err)
{
	const struct exp_msg_hello *h = &m->hello;
	uint32_t version = EXP_MIN(s->version_max, h->version_max);

	if (version < s->version_min || version < h->version_min)
		return exp_error_set(err, EXP_CODE_VERSION, EPROTO,
				     "the peer (build %s) speaks protocol versions %u to %u, this "
				     "host %u to %u: none in common; update one of them",
				     h->build, h->version_min, h->version_max, s->version_min,
				     s->version_max);
	s->hello_got = true;
	s->agreed_version = version;
	s->agreed_features = s->features & h->features;
	exp_frame_limit(&s->in, EXP_FRAME_HEADER_MAX, EXP_FRAME_PAYLOAD_MAX);
	if (s->state == EXP_SESS_CLOSING) /* nobody waits for it any more */
		return 0;
	s->state = EXP_SESS_OPEN;
	put_event(s, EXP_SESS_EV_HELLO, m);
	return 0;
}

static int got_ping(struct exp_sess *s, const struct exp_msg *m, struct exp_error *err)
{
	const struct exp_msg pong = { .type = EXP_MSG_PONG, .request = m->request };
	int r;

	if (s->bye_sent) /* nothing follows a BYE; it is an answer too */
		return 0;
	r = queue(s, &pong, s->cfg.backlog_max + EXP_SESS_RESERVE / 2, err);
	return r < 0 ? exp_error_wrap(err, r, "the peer asks and does not read") : 0;
}

static int got_pong(struct exp_sess *s, const struct exp_msg *m, struct exp_error *err)
{
	if (!s->ping || m->request != s->ping)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "pong %" PRIu64 ", expected %" PRIu64 " (0: none)", m->request,
				     s->ping);
	s->ping = 0;
	return 0;
}

static int got_message(struct exp_sess *s, uint64_t now_ms, struct exp_msg *m,
		       struct exp_error *err)
{
	if (!s->hello_got && m->type != EXP_MSG_HELLO)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "the first message is %s, not hello", exp_msg_name(m->type));
	if (s->hello_got && m->type == EXP_MSG_HELLO)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO, "a second hello");
	switch (m->type) {
	case EXP_MSG_HELLO: return got_hello(s, m, err);
	case EXP_MSG_PING: return got_ping(s, m, err);
	case EXP_MSG_PONG: return got_pong(s, m, err);
	case EXP_MSG_BYE:
		s->bye_got = true;
		queue_bye(s, now_ms, NULL);
		s->state = EXP_SESS_CLOSED;
		put_event(s, EXP_SESS_EV_BYE, m);
		return 0;
	case EXP_MSG_CAPS:
	case EXP_MSG_CAPS_REPLY:
	case EXP_MSG_PREPARE:
	case EXP_MSG_PREPARED:
	case EXP_MSG_TARGET:
	case EXP_MSG_SESSION:
	case EXP_MSG_SESSION_OK:
	case EXP_MSG_DATA_ACK:
	case EXP_MSG_ATTEMPT:
	case EXP_MSG_ATTEMPT_OK:
	case EXP_MSG_FINAL:
	case EXP_MSG_RESTORED:
	case EXP_MSG_RELEASE:
	case EXP_MSG_ACTIVE:
	case EXP_MSG_DISCARD:
	case EXP_MSG_DISCARDED:
	case EXP_MSG_QUERY:
	case EXP_MSG_ANSWER: put_event(s, EXP_SESS_EV_MSG, m); return 0;
	}
	return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO, "message of type %u",
			     (unsigned int)m->type);
}

/* One whole frame. */
static int got_frame(struct exp_sess *s, uint64_t now_ms, const struct exp_frame *f,
		     struct exp_error *err)
{
	EXP_CLEANUP(exp_msg_donep) struct exp_msg *m = &(struct exp_msg){ 0 };
	int r = exp_wire_decode(f, m, err);

	exp_frame_drop(&s->in);
	return r < 0 ? r : got_message(s, now_ms, m, err);
}

int exp_sess_feed(struct exp_sess *s, uint64_t now_ms, const void *p, size_t n,
		  struct exp_error *err)
{
	struct exp_error why = { 0 };
	size_t used = 0;
	int r = 0;

	if (s->state == EXP_SESS_FAILED)
		return failed(s, err);
	if (n)
		s->heard_ms = now_ms;
	n = EXP_MIN(n, (size_t)INT_MAX);
	while (used < n && !s->has_event && !r) {
		bool fresh = !exp_frame_pending(&s->in);
		struct exp_frame f;
		size_t part = 0;

		if (s->bye_got) {
			r = exp_error_set(&why, EXP_CODE_PROTOCOL, EPROTO,
					  "%zu bytes behind the peer's BYE", n - used);
			break;
		}
		r = exp_frame_feed(&s->in, (const uint8_t *)p + used, n - used, &part, &why);
		used += part;
		if (fresh)
			s->frame_ms = now_ms;
		if (!r && exp_frame_ready(&s->in, &f))
			r = got_frame(s, now_ms, &f, &why);
	}
	return r < 0 ? fail(s, now_ms, r, &why, err) : (int)used;
}

bool exp_sess_next(struct exp_sess *s, struct exp_sess_event *ret)
{
	if (!s->has_event)
		return false;
	s->has_event = false;
	*ret = s->event;
	return true;
}

int exp_sess_send(struct exp_sess *s, const struct exp_msg *m, struct exp_error *err)
{
	if (s->state == EXP_SESS_FAILED)
		return failed(s, err);
	if (s->state != EXP_SESS_OPEN)
		return exp_error_set(err, EXP_CODE_PEER_GONE, ENOTCONN, "the conversation %s",
				     s->state == EXP_SESS_HELLO ? "has not begun" : "has ended");
	if (m->type == EXP_MSG_HELLO || m->type == EXP_MSG_BYE || m->type == EXP_MSG_PING ||
	    m->type == EXP_MSG_PONG)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EINVAL,
				     "%s is the session's own business", exp_msg_name(m->type));
	return queue(s, m, s->cfg.backlog_max, err);
}

void exp_sess_bye(struct exp_sess *s, uint64_t now_ms, const struct exp_error *reason)
{
	if (s->state != EXP_SESS_HELLO && s->state != EXP_SESS_OPEN)
		return;
	s->state = EXP_SESS_CLOSING;
	queue_bye(s, now_ms, reason);
}

size_t exp_sess_out(const struct exp_sess *s, const void **ret)
{
	*ret = exp_buf_data(&s->out);
	return exp_buf_len(&s->out);
}

void exp_sess_sent(struct exp_sess *s, size_t n)
{
	exp_buf_consume(&s->out, n);
}

uint64_t exp_sess_deadline_ms(const struct exp_sess *s)
{
	uint64_t d = UINT64_MAX;

	switch (s->state) {
	case EXP_SESS_HELLO: d = s->started_ms + s->cfg.hello_ms; break;
	case EXP_SESS_OPEN: d = s->heard_ms + (s->ping ? s->cfg.dead_ms : s->cfg.ping_ms); break;
	case EXP_SESS_CLOSING: d = s->bye_ms + s->cfg.bye_ms; break;
	case EXP_SESS_CLOSED:
	case EXP_SESS_FAILED: return UINT64_MAX;
	}
	if (exp_frame_pending(&s->in))
		d = EXP_MIN(d, s->frame_ms + s->cfg.frame_ms);
	return d;
}

static int late(struct exp_sess *s, uint64_t now_ms, struct exp_error *err, const char *what,
		uint32_t ms)
{
	struct exp_error why = { 0 };
	int r = exp_error_set(&why, EXP_CODE_PEER_GONE, ETIMEDOUT, "%s within %u ms", what, ms);

	return fail(s, now_ms, r, &why, err);
}

int exp_sess_tick(struct exp_sess *s, uint64_t now_ms, struct exp_error *err)
{
	struct exp_msg ping = { .type = EXP_MSG_PING };
	struct exp_error why = { 0 };
	int r;

	if (s->state == EXP_SESS_FAILED)
		return failed(s, err);
	if (now_ms < exp_sess_deadline_ms(s))
		return 0;
	if (exp_frame_pending(&s->in) && now_ms >= s->frame_ms + s->cfg.frame_ms)
		return late(s, now_ms, err, "the peer did not finish a message", s->cfg.frame_ms);
	if (s->state == EXP_SESS_HELLO)
		return late(s, now_ms, err, "the peer did not say hello", s->cfg.hello_ms);
	if (s->state == EXP_SESS_CLOSING)
		return late(s, now_ms, err, "the peer did not answer BYE", s->cfg.bye_ms);
	if (now_ms >= s->heard_ms + s->cfg.dead_ms)
		return late(s, now_ms, err, "nothing came from the peer", s->cfg.dead_ms);
	ping.request = s->ping = ++s->pings;
	r = queue(s, &ping, s->cfg.backlog_max + EXP_SESS_RESERVE, &why);
	return r < 0 ? fail(s, now_ms, r, &why, err) : 0;
}

int exp_sess_eof(struct exp_sess *s, struct exp_error *err)
{
	struct exp_error why = { 0 };
	size_t pending = exp_frame_pending(&s->in);
	int r;

	if (s->state == EXP_SESS_FAILED)
		return failed(s, err);
	if (s->bye_got)
		return 0;
	if (pending)
		r = exp_error_set(&why, EXP_CODE_PEER_GONE, ECONNRESET,
				  "the connection ended within a message, after %zu bytes of it",
				  pending);
	else
		r = exp_error_set(&why, EXP_CODE_PEER_GONE, ECONNRESET,
				  "the connection ended without BYE");
	s->state = EXP_SESS_FAILED;
	s->failure = why;
	if (err)
		*err = why;
	return r;
}
