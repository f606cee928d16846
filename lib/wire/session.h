/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - one control connection's conversation, without a socket and without a clock
 *
 * Bytes and the time go in; bytes to send, events and the next deadline come out. Below it lies a
 * TLS channel (lib/tls chan.h), above it the job logic. It says hello at once, agrees on version
 * and features, keeps the line alive, and ends with BYE and a reason from both sides; a stream
 * that ends without one is an error.
 *
 * One event is held at a time and feeding stops there, so a peer cannot make events pile up:
 *
 *	while (n) {
 *		r = exp_sess_feed(s, now, p, n, &err);
 *		if (r < 0)
 *			... send exp_sess_out() if possible (it holds BYE with the reason), then
 *close p += r, n -= r; while (exp_sess_next(s, &ev))
 *			... handle it, exp_msg_done(&ev.msg)
 *	}
 *
 * One thread at a time. Times are monotonic milliseconds (base/clock.h).
 */
#ifndef EXP_WIRE_SESSION_H
#define EXP_WIRE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/msg.h"

/* What this build speaks: for the version and feature fields of our hello. */
#define EXP_WIRE_VERSION_MIN 1
#define EXP_WIRE_VERSION_MAX 1
#define EXP_WIRE_FEATURES                                                      \
	UINT64_C(0) /* bits of struct exp_msg_hello.features; none defined yet \
		     */

/* Bytes that may wait to be sent before exp_sess_send() refuses: two messages of the largest kind.
 */
#define EXP_SESS_BACKLOG_MAX (12u * 1024 * 1024)
/* Kept free beyond that for PONG and BYE. */
#define EXP_SESS_RESERVE (64u * 1024)

struct exp_sess_config {
	uint32_t hello_ms; /* from the start until the peer's hello is whole */
	uint32_t ping_ms;  /* silence of the peer after which it is asked */
	uint32_t dead_ms;  /* silence after which it counts as gone; more than ping_ms */
	uint32_t frame_ms; /* from the first byte of a frame to its last */
	uint32_t bye_ms;   /* from our BYE to the peer's */
	size_t backlog_max;
};

#define EXP_SESS_DEFAULTS                             \
	((struct exp_sess_config){ .hello_ms = 10000, \
				   .ping_ms = 3000,   \
				   .dead_ms = 10000,  \
				   .frame_ms = 60000, \
				   .bye_ms = 3000,    \
				   .backlog_max = EXP_SESS_BACKLOG_MAX })

enum exp_sess_state {
	EXP_SESS_HELLO = 1, /* the peer's hello is not here yet; nothing can be sent */
	EXP_SESS_OPEN = 2,
	EXP_SESS_CLOSING = 3, /* we said BYE; the peer may still finish what it was saying */
	EXP_SESS_CLOSED = 4,  /* both said BYE: send what is left, then close the transport */
	EXP_SESS_FAILED = 5,  /* an error was returned: send what is left (a BYE), then close */
};

enum exp_sess_event_type {
	EXP_SESS_EV_HELLO = 1, /* agreed; msg is the peer's hello */
	EXP_SESS_EV_MSG = 2,   /* anything but HELLO, BYE, PING, PONG */
	EXP_SESS_EV_BYE = 3,   /* the peer ends; msg.reason says why (code OK: orderly) */
};

struct exp_sess_event {
	enum exp_sess_event_type type;
	uint32_t version;   /* agreed */
	uint64_t features;  /* agreed: both have them */
	struct exp_msg msg; /* the caller's now: exp_msg_done() */
};

struct exp_sess;

/**
 * exp_sess_new - a conversation that begins with our hello
 * @hello: ours, copied (encoded at once); version_min/max and features as this host offers them
 */
int exp_sess_new(const struct exp_sess_config *cfg, const struct exp_msg_hello *hello,
		 uint64_t now_ms, struct exp_sess **ret, struct exp_error *err) EXP_MUST_CHECK;
void exp_sess_free(struct exp_sess *s); /* NULL is fine */
EXP_DEFINE_CLEANUP(struct exp_sess *, exp_sess_free)

enum exp_sess_state exp_sess_state(const struct exp_sess *s);

/**
 * exp_sess_feed - bytes from the peer
 *
 * Returns how many were taken: fewer than @n when an event waits for exp_sess_next(). Negative:
 * -EPROTO (PROTOCOL, VERSION), -ENOMEM, -ENOBUFS (the peer asks and does not read); the session is
 * EXP_SESS_FAILED then, every later call fails the same way, and exp_sess_out() ends with a BYE
 * that tells the peer. After the peer's BYE any further byte is an error.
 */
int exp_sess_feed(struct exp_sess *s, uint64_t now_ms, const void *p, size_t n,
		  struct exp_error *err) EXP_MUST_CHECK;

/** exp_sess_next - what it understood; the event and its message become the caller's */
bool exp_sess_next(struct exp_sess *s, struct exp_sess_event *ret);

/**
 * exp_sess_send - queue @m; it stays the caller's
 * -EINVAL (PROTOCOL) @m is not well formed or is the session's own business (HELLO, BYE, PING,
 * PONG); -ENOBUFS (BUSY) the backlog is full: wait until exp_sess_out() shrinks; -ENOTCONN before
 * the peer's hello and after BYE.
 */
int exp_sess_send(struct exp_sess *s, const struct exp_msg *m,
		  struct exp_error *err) EXP_MUST_CHECK;

/** exp_sess_bye - end it; @reason NULL or code OK: orderly. Later calls change nothing */
void exp_sess_bye(struct exp_sess *s, uint64_t now_ms, const struct exp_error *reason);

/** exp_sess_out - bytes to send, *ret borrowed until the next call on @s; 0: none */
size_t exp_sess_out(const struct exp_sess *s, const void **ret);
void exp_sess_sent(struct exp_sess *s, size_t n);

uint64_t exp_sess_deadline_ms(const struct exp_sess *s); /* UINT64_MAX: none */

/**
 * exp_sess_tick - the time has come: sends a ping, or finds that a deadline has passed
 * -ETIMEDOUT (PEER_GONE) with what was waited for and how long; the session has failed then.
 */
int exp_sess_tick(struct exp_sess *s, uint64_t now_ms, struct exp_error *err) EXP_MUST_CHECK;

/** exp_sess_eof - the transport ended: 0 after BYE from the peer, else -ECONNRESET (PEER_GONE) */
int exp_sess_eof(struct exp_sess *s, struct exp_error *err) EXP_MUST_CHECK;

#endif
