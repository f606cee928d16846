/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "peer_conn.h"
#include "tls/chan.h"
#include "wire/session.h"

#define READ_BYTES    (64 * 1024)
#define TURNS_MAX     16    /* reads of one wake-up: other connections want their turn */
#define CONNECT_MS    10000 /* TCP and TLS together */
#define ADDRESS_BYTES (INET6_ADDRSTRLEN + 16)

enum phase {
	PHASE_CONNECTING, /* TCP */
	PHASE_TLS,
	PHASE_SNIFF, /* inbound: control or bulk? */
	PHASE_BULK,  /* inbound: reading the opening record */
	PHASE_SESSION,
	PHASE_DEAD, /* waiting to be freed */
};

struct expd_conn {
	struct event_base *base;
	const struct expd_conn_ops *ops;
	void *arg;
	int fd;
	bool inbound;
	bool refused; /* not who it should be: it is told so, and nothing that it says counts */
	enum phase phase;
	struct exp_chan *chan;
	struct exp_sess *sess;
	struct event *rd, *wr, *timer, *reap;
	uint64_t setup_deadline_ms;
	uint8_t first[EXP_BULK_OPEN_BYTES]; /* plaintext before it is known what this is */
	size_t n_first;
	struct exp_error why; /* of closed(); code OK until something went wrong */
	char address[ADDRESS_BYTES];
};

static void conn_free(struct expd_conn *c)
{
	if (c->rd)
		event_free(c->rd);
	if (c->wr)
		event_free(c->wr);
	if (c->timer)
		event_free(c->timer);
	if (c->reap)
		event_free(c->reap);
	exp_sess_free(c->sess);
	exp_chan_free(c->chan);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

static void on_reap(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	conn_free(arg);
}

/* Callers up the stack still hold the pointer, so the end comes from the loop itself. */
static void bury(struct expd_conn *c)
{
	if (c->phase == PHASE_DEAD)
		return;
	c->phase = PHASE_DEAD;
	event_del(c->rd);
	event_del(c->wr);
	event_del(c->timer);
	event_active(c->reap, EV_TIMEOUT, 0);
}

static void closed(struct expd_conn *c)
{
	if (c->phase == PHASE_DEAD)
		return;
	bury(c);
	c->ops->closed(c->arg, c, &c->why);
}

/* The first reason counts; later ones are its consequences. */
static void fail(struct expd_conn *c, const struct exp_error *err)
{
	if (c->why.code == EXP_CODE_OK)
		c->why = *err;
}

static void set_address(struct expd_conn *c, const struct sockaddr *sa, socklen_t len)
{
	char host[INET6_ADDRSTRLEN] = "?", port[8] = "?";

	getnameinfo(sa, len, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(c->address, sizeof(c->address), strchr(host, ':') ? "[%s]:%s" : "%s:%s", host,
		 port);
}

static int start_session(struct expd_conn *c, struct exp_error *err)
{
	struct exp_msg_hello hello = { 0 };
	int r;

	r = c->ops->hello(c->arg, c, &hello, err);
	if (r == 0)
		r = exp_sess_new(&EXP_SESS_DEFAULTS, &hello, exp_mono_ms(), &c->sess, err);
	free(hello.known);
	if (r == 0)
		c->phase = PHASE_SESSION;
	return r;
}

/* The handshake is through: who is it? A stranger still gets a BYE that says what is wrong. */
static int identified(struct expd_conn *c, struct exp_error *err)
{
	struct exp_error refused = { 0 };
	int r, r2;

	r = c->ops->identified(c->arg, c, exp_chan_peer(c->chan), &refused);
	if (r == 0 && c->inbound) {
		c->phase = PHASE_SNIFF;
		return 0;
	}
	r2 = start_session(c, err);
	if (r2 < 0)
		return r2;
	if (r < 0) {
		c->refused = true;
		fail(c, &refused);
		exp_sess_bye(c->sess, exp_mono_ms(), &refused);
	}
	return 0;
}

static int on_event(struct expd_conn *c, struct exp_sess_event *ev, struct exp_error *err)
{
	switch (ev->type) {
	case EXP_SESS_EV_HELLO:
		return c->refused ? 0 : c->ops->opened(c->arg, c, &ev->msg.hello, err);
	case EXP_SESS_EV_MSG:
		if (!c->refused)
			c->ops->message(c->arg, c, &ev->msg);
		return 0;
	case EXP_SESS_EV_BYE:
		if (ev->msg.reason.code != EXP_CODE_OK) {
			exp_error_wrap(&ev->msg.reason, 0, "peer ended the connection");
			fail(c, &ev->msg.reason);
		}
		exp_sess_bye(c->sess, exp_mono_ms(), NULL);
		return 0;
	}
	return 0;
}

static int feed_session(struct expd_conn *c, const uint8_t *p, size_t n, struct exp_error *err)
{
	struct exp_sess_event ev;
	int r;

	while (n && c->phase == PHASE_SESSION) {
		r = exp_sess_feed(c->sess, exp_mono_ms(), p, n, err);
		if (r < 0)
			return r;
		p += r;
		n -= (size_t)r;
		while (c->phase == PHASE_SESSION && exp_sess_next(c->sess, &ev)) {
			int e = on_event(c, &ev, err);

			exp_msg_done(&ev.msg);
			if (e < 0) {
				exp_sess_bye(c->sess, exp_mono_ms(), err);
				return e;
			}
		}
	}
	return 0;
}

/* From here on the connection is a stream, used by a thread: leave nothing of ours on it. */
static int become_bulk(struct expd_conn *c, struct exp_error *err)
{
	struct exp_bulk_open open;
	struct exp_stream *s;
	int r;

	r = exp_bulk_open_decode(c->first, &open, err);
	if (r < 0)
		return r;
	event_del(c->rd);
	event_del(c->wr);
	r = exp_stream_adopt(c->chan, c->fd, &s, err);
	if (r < 0)
		return r;
	c->chan = NULL;
	c->fd = -1;
	bury(c);
	c->ops->bulk(c->arg, c, &open, s);
	return 0;
}

static int sniff(struct expd_conn *c, struct exp_error *err)
{
	if (c->phase == PHASE_SNIFF && c->n_first >= EXP_BULK_MAGIC_BYTES) {
		switch (exp_wire_sniff(c->first, c->n_first)) {
		case EXP_WIRE_UNDECIDED: return 0;
		case EXP_WIRE_BULK: c->phase = PHASE_BULK; break;
		case EXP_WIRE_CONTROL: {
			int r = start_session(c, err);

			return r < 0 ? r : feed_session(c, c->first, c->n_first, err);
		}
		}
	}
	if (c->phase == PHASE_BULK && c->n_first == EXP_BULK_OPEN_BYTES)
		return become_bulk(c, err);
	return 0;
}

/* All the plaintext there is. Before it is known what this is, never a byte more than needed. */
static int drain_chan(struct expd_conn *c, struct exp_error *err)
{
	uint8_t buf[16384];
	int n, r;

	for (;;) {
		if (c->phase == PHASE_TLS) {
			if (exp_chan_state(c->chan) != EXP_CHAN_OPEN)
				return 0;
			r = identified(c, err);
			if (r < 0)
				return r;
		}
		if (c->phase == PHASE_SNIFF || c->phase == PHASE_BULK) {
			size_t want = (c->phase == PHASE_SNIFF ? EXP_BULK_MAGIC_BYTES
							       : EXP_BULK_OPEN_BYTES) -
				      c->n_first;

			n = exp_chan_read(c->chan, c->first + c->n_first, want, err);
			if (n <= 0)
				return n;
			c->n_first += (size_t)n;
			r = sniff(c, err);
		} else if (c->phase == PHASE_SESSION) {
			n = exp_chan_read(c->chan, buf, sizeof(buf), err);
			if (n <= 0)
				return n;
			r = feed_session(c, buf, (size_t)n, err);
		} else {
			return 0;
		}
		if (r < 0)
			return r;
	}
}

/* Session -> channel -> socket, as far as each takes it. */
static int flush(struct expd_conn *c, struct exp_error *err)
{
	for (;;) {
		const void *p;
		size_t n;
		ssize_t sent;
		int r;

		if (c->sess && exp_chan_state(c->chan) != EXP_CHAN_FAILED) {
			while ((n = exp_sess_out(c->sess, &p))) {
				r = exp_chan_write(c->chan, p, n, err);
				if (r < 0)
					return r;
				if (r == 0)
					break;
				exp_sess_sent(c->sess, (size_t)r);
			}
			if (!exp_sess_out(c->sess, &p) &&
			    (exp_sess_state(c->sess) == EXP_SESS_CLOSED ||
			     exp_sess_state(c->sess) == EXP_SESS_FAILED))
				exp_chan_close(c->chan);
		}
		n = exp_chan_out(c->chan, &p);
		if (!n)
			return 0;
		sent = send(c->fd, p, n, MSG_NOSIGNAL);
		if (sent < 0 && (errno == EAGAIN || errno == EINTR))
			return event_add(c->wr, NULL);
		if (sent < 0)
			return exp_error_set(err, EXP_CODE_PEER_GONE, errno, "send: %s",
					     strerror(errno));
		exp_chan_sent(c->chan, (size_t)sent);
	}
}

static bool finished(const struct expd_conn *c)
{
	const void *p;

	if (!c->sess)
		return false;
	return (exp_sess_state(c->sess) == EXP_SESS_CLOSED ||
		exp_sess_state(c->sess) == EXP_SESS_FAILED) &&
	       !exp_sess_out(c->sess, &p) && !exp_chan_out(c->chan, &p);
}

static void arm_timer(struct expd_conn *c)
{
	uint64_t now = exp_mono_ms(), at = c->setup_deadline_ms;
	struct timeval tv;

	if (c->phase == PHASE_SESSION)
		at = exp_sess_deadline_ms(c->sess);
	if (at == EXP_NEVER_MS) {
		event_del(c->timer);
		return;
	}
	at = at > now ? at - now : 0;
	tv = (struct timeval){ .tv_sec = (time_t)(at / 1000),
			       .tv_usec = (suseconds_t)(at % 1000 * 1000) };
	event_add(c->timer, &tv);
}

/* The socket is of no more use. Behind the peer's BYE that is an end like any other. */
static void line_broke(struct expd_conn *c, const struct exp_error *err)
{
	if (!c->sess || exp_sess_state(c->sess) != EXP_SESS_CLOSED)
		fail(c, err);
	closed(c);
}

/* After anything happened: send what there is, see whether it is over, set the clock. */
static void pump(struct expd_conn *c)
{
	struct exp_error err = { 0 };

	if (c->phase == PHASE_DEAD || c->phase == PHASE_CONNECTING)
		return;
	if (flush(c, &err) < 0) {
		line_broke(c, &err);
	} else if (finished(c)) {
		closed(c);
	} else {
		arm_timer(c);
	}
}

/* Something was wrong: let the alert or the BYE out if the socket takes it, then end. */
static void broke(struct expd_conn *c, const struct exp_error *err)
{
	struct exp_error ignored;

	if (c->phase == PHASE_DEAD)
		return;
	fail(c, err);
	flush(c, &ignored);
	closed(c);
}

static int take_bytes(struct expd_conn *c, const uint8_t *p, size_t n, struct exp_error *err)
{
	while (n && c->phase != PHASE_DEAD) {
		int r = exp_chan_feed(c->chan, p, n, err);

		if (r < 0)
			return r;
		p += r;
		n -= (size_t)r;
		r = drain_chan(c, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static void on_eof(struct expd_conn *c)
{
	struct exp_error err = { 0 };

	if (c->sess ? exp_sess_eof(c->sess, &err) < 0 : exp_chan_eof(c->chan, &err) < 0)
		fail(c, &err);
	closed(c);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct expd_conn *c = arg;
	struct exp_error err = { 0 };
	uint8_t buf[READ_BYTES];

	(void)what;
	for (int turn = 0; turn < TURNS_MAX && c->phase != PHASE_DEAD; turn++) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0) {
			exp_error_set(&err, EXP_CODE_PEER_GONE, errno, "receive: %s",
				      strerror(errno));
			line_broke(c, &err);
			return;
		}
		if (n == 0) {
			on_eof(c);
			return;
		}
		if (take_bytes(c, buf, (size_t)n, &err) < 0) {
			broke(c, &err);
			return;
		}
		if ((size_t)n < sizeof(buf))
			break;
	}
	pump(c);
}

static void begin_tls(struct expd_conn *c)
{
	c->phase = PHASE_TLS;
	event_add(c->rd, NULL);
	pump(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct expd_conn *c = arg;
	struct exp_error err = { 0 };
	int e = 0;
	socklen_t len = sizeof(e);

	(void)what;
	if (c->phase != PHASE_CONNECTING) {
		pump(c);
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0)
		e = errno;
	if (e) {
		exp_error_set(&err, EXP_CODE_UNREACHABLE, e, "connect to %s: %s", c->address,
			      strerror(e));
		broke(c, &err);
		return;
	}
	begin_tls(c);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct expd_conn *c = arg;
	struct exp_error err = { 0 };

	(void)fd;
	(void)what;
	if (c->phase == PHASE_SESSION) {
		if (exp_sess_tick(c->sess, exp_mono_ms(), &err) < 0)
			broke(c, &err);
		else
			pump(c);
		return;
	}
	exp_error_set(&err, EXP_CODE_UNREACHABLE, ETIMEDOUT, "%s: no %s within %d s", c->address,
		      c->phase == PHASE_CONNECTING ? "connection" : "TLS handshake and hello",
		      CONNECT_MS / 1000);
	broke(c, &err);
}

static int conn_new(struct event_base *base, struct exp_tls_ctx *tls, int fd, bool inbound,
		    const struct expd_conn_ops *ops, void *arg, struct expd_conn **ret,
		    struct exp_error *err)
{
	struct expd_conn *c = calloc(1, sizeof(*c));
	int one = 1, r;

	if (!c) {
		close(fd);
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "connection: out of memory");
	}
	c->base = base;
	c->ops = ops;
	c->arg = arg;
	c->fd = fd;
	c->inbound = inbound;
	c->setup_deadline_ms = exp_mono_ms() + CONNECT_MS;
	/* small messages that someone in a blackout waits for */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->rd = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->wr = event_new(base, fd, EV_WRITE, on_writable, c);
	c->timer = event_new(base, -1, 0, on_timer, c);
	c->reap = event_new(base, -1, 0, on_reap, c);
	if (!c->rd || !c->wr || !c->timer || !c->reap) {
		conn_free(c);
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "connection: out of memory");
	}
	r = exp_chan_new(tls, inbound ? EXP_TLS_SERVER : EXP_TLS_CLIENT, &c->chan, err);
	if (r < 0) {
		conn_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

int expd_conn_accept(struct event_base *base, struct exp_tls_ctx *tls, int fd,
		     const struct expd_conn_ops *ops, void *arg, struct expd_conn **ret,
		     struct exp_error *err)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int r;

	r = conn_new(base, tls, fd, true, ops, arg, ret, err);
	if (r < 0)
		return r;
	if (!getpeername(fd, (struct sockaddr *)&sa, &len))
		set_address(*ret, (struct sockaddr *)&sa, len);
	begin_tls(*ret);
	return 0;
}

int expd_conn_dial(struct event_base *base, struct exp_tls_ctx *tls, const struct sockaddr *sa,
		   socklen_t len, const struct expd_conn_ops *ops, void *arg,
		   struct expd_conn **ret, struct exp_error *err)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct expd_conn *c;
	int r;

	if (fd < 0)
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "socket: %s", strerror(errno));
	r = conn_new(base, tls, fd, false, ops, arg, &c, err);
	if (r < 0)
		return r;
	set_address(c, sa, len);
	if (connect(fd, sa, len) < 0 && errno != EINPROGRESS) {
		r = exp_error_set(err, EXP_CODE_UNREACHABLE, errno, "connect to %s: %s", c->address,
				  strerror(errno));
		conn_free(c);
		return r;
	}
	event_add(c->wr, NULL);
	arm_timer(c);
	*ret = c;
	return 0;
}

int expd_conn_send(struct expd_conn *c, const struct exp_msg *m, struct exp_error *err)
{
	int r;

	if (c->phase != PHASE_SESSION)
		return exp_error_set(err, EXP_CODE_PEER_GONE, ENOTCONN, "not connected");
	r = exp_sess_send(c->sess, m, err);
	/* not from inside a callback of ours: the socket is flushed from the loop */
	if (r == 0)
		event_active(c->wr, EV_WRITE, 0);
	return r;
}

bool expd_conn_is_open(const struct expd_conn *c)
{
	return c->phase == PHASE_SESSION && exp_sess_state(c->sess) == EXP_SESS_OPEN;
}

void expd_conn_end(struct expd_conn *c, const struct exp_error *reason)
{
	if (reason && reason->code != EXP_CODE_OK)
		fail(c, reason);
	if (c->phase != PHASE_SESSION) {
		closed(c);
		return;
	}
	exp_sess_bye(c->sess, exp_mono_ms(), reason);
	event_active(c->wr, EV_WRITE, 0);
}

void expd_conn_drop(struct expd_conn *c)
{
	bury(c);
}

const char *expd_conn_address(const struct expd_conn *c)
{
	return c->address;
}
