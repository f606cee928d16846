/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/peer_conn: two ends in one loop, and a raw end that does what no daemon would */
#include "support/tests.h"
#include "support/tls_rig.h"
#include "support/wire_samples.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <event2/event.h>

#include "base/clock.h"
#include "daemon/peer_conn.h"
#include "tls/chan.h"
#include "wire/session.h"

#define TURNS                                                                              \
	20000 /* of the loop, until a test gives up; what it waits for needs a few hundred \
	       */

/* One end as the daemon would hold it: what it was told, in numbers. */
struct end {
	struct lab *lab;
	struct exp_tls_ctx *tls;
	struct expd_conn *conn;
	const char *refuse;       /* identity is refused with this */
	const char *refuse_hello; /* and the hello with this */
	bool end_at_hello, talk_at_hello, drop_at_message;
	unsigned int identified, opened, messages, closed, bulks;
	char uri[EXP_TLS_URI_MAX + 1];
	char build[64];
	uint32_t n_known;
	enum exp_msg_type last;
	uint64_t request;
	struct exp_error why;
	struct exp_bulk_open open;
	struct exp_stream *stream;
};

struct lab {
	struct rig *rig;
	struct event_base *base;
	struct end a, b; /* a dials, b accepts */
	int listener;
	struct sockaddr_un sa;
};

static int on_identified(void *arg, struct expd_conn *c, const struct exp_tls_identity *id,
			 struct exp_error *err)
{
	struct end *e = arg;

	assert_non_null(c);
	e->identified++;
	snprintf(e->uri, sizeof(e->uri), "%s", id->uri[0]);
	if (e->refuse)
		return exp_error_set(err, EXP_CODE_PEER_UNKNOWN, EACCES, "%s", e->refuse);
	return 0;
}

static int on_hello(void *arg, struct expd_conn *c, struct exp_msg_hello *ret,
		    struct exp_error *err)
{
	struct end *e = arg;

	(void)c;
	(void)err;
	ret->version_min = EXP_WIRE_VERSION_MIN;
	ret->version_max = EXP_WIRE_VERSION_MAX;
	ret->host = sample_uuid(e == &e->lab->a ? 1 : 2);
	ret->db_instance = sample_uuid(3);
	ret->db_counter = 7;
	ret->wall_ms = 1;
	snprintf(ret->build, sizeof(ret->build), "build of %s", e == &e->lab->a ? "a" : "b");
	ret->n_known = 1;
	ret->known = sample_alloc(1, sizeof(*ret->known));
	ret->known[0].id = sample_uuid(9);
	ret->known[0].own = ret->known[0].floor = 1;
	ret->known[0].status = EXP_EXPORT_OWNED;
	return 0;
}

static int send_one(struct end *e, uint64_t request);

static int on_opened(void *arg, struct expd_conn *c, const struct exp_msg_hello *hello,
		     struct exp_error *err)
{
	struct end *e = arg;

	assert_ptr_equal(c, e->conn);
	e->opened++;
	e->n_known = hello->n_known;
	snprintf(e->build, sizeof(e->build), "%s", hello->build);
	if (e->end_at_hello)
		expd_conn_end(c, NULL);
	if (e->talk_at_hello)
		assert_int_equal(send_one(e, 1), 0);
	if (e->refuse_hello)
		return exp_error_set(err, EXP_CODE_CONFLICT, EINVAL, "%s", e->refuse_hello);
	return 0;
}

static void on_message(void *arg, struct expd_conn *c, const struct exp_msg *m)
{
	struct end *e = arg;

	assert_true(m->request > e->request || !m->request); /* in the order they were sent */
	e->messages++;
	e->last = m->type;
	e->request = m->request;
	if (e->drop_at_message) {
		expd_conn_drop(c);
		e->conn = NULL;
	}
}

static void on_bulk(void *arg, struct expd_conn *c, const struct exp_bulk_open *open,
		    struct exp_stream *s)
{
	struct end *e = arg;

	(void)c;
	e->bulks++;
	e->open = *open;
	e->stream = s;
	e->conn = NULL;
}

static void on_closed(void *arg, struct expd_conn *c, const struct exp_error *err)
{
	struct end *e = arg;

	(void)c;
	e->closed++;
	e->why = *err;
	e->conn = NULL;
}

static const struct expd_conn_ops ops = {
	.identified = on_identified,
	.hello = on_hello,
	.opened = on_opened,
	.message = on_message,
	.bulk = on_bulk,
	.closed = on_closed,
};

static void turn(struct lab *lab)
{
	event_base_loop(lab->base, EVLOOP_NONBLOCK);
}

#define until(lab, what)                                                    \
	do {                                                                \
		for (int turns_ = 0; turns_ < TURNS && !(what); turns_++) { \
			turn(lab);                                          \
			usleep(turns_ > TURNS / 2 ? 1000 : 0);              \
		}                                                           \
		if (!(what))                                                \
			fail_msg("never: %s", #what);                       \
	} while (0)

/* The ends use the certificates of these hosts. */
static struct lab *lab_new(void **state, const char *a, const char *b)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	assert_non_null(lab);
	lab->rig = *state;
	lab->base = event_base_new();
	assert_non_null(lab->base);
	lab->a.lab = lab->b.lab = lab;
	lab->a.tls = rig_ctx(lab->rig, a);
	lab->b.tls = rig_ctx(lab->rig, b);
	lab->sa.sun_family = AF_UNIX;
	assert_true(snprintf(lab->sa.sun_path, sizeof(lab->sa.sun_path), "%s/sock", lab->rig->dir) <
		    (int)sizeof(lab->sa.sun_path));
	unlink(lab->sa.sun_path);
	lab->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(lab->listener, (struct sockaddr *)&lab->sa, sizeof(lab->sa)), 0);
	assert_int_equal(listen(lab->listener, 8), 0);
	return lab;
}

static void end_free(struct end *e)
{
	if (e->conn)
		expd_conn_drop(e->conn);
	exp_stream_free(e->stream);
}

static void lab_free(struct lab *lab)
{
	end_free(&lab->a);
	end_free(&lab->b);
	for (int i = 0; i < 5; i++)
		turn(lab); /* connections free themselves */
	exp_tls_ctx_free(lab->a.tls);
	exp_tls_ctx_free(lab->b.tls);
	event_base_free(lab->base);
	close(lab->listener);
	free(lab);
}

static void accept_b(struct lab *lab, int fd)
{
	struct exp_error err = { 0 };

	assert_true(fd >= 0);
	assert_ok(expd_conn_accept(lab->base, lab->b.tls, fd, &ops, &lab->b, &lab->b.conn, &err),
		  &err);
}

static void dial(struct lab *lab)
{
	struct exp_error err = { 0 };

	assert_ok(expd_conn_dial(lab->base, lab->a.tls, (struct sockaddr *)&lab->sa,
				 sizeof(lab->sa), &ops, &lab->a, &lab->a.conn, &err),
		  &err);
	accept_b(lab, accept4(lab->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

static struct lab *connected(void **state)
{
	struct lab *lab = lab_new(state, "a", "b");

	dial(lab);
	until(lab, lab->a.opened && lab->b.opened);
	assert_true(expd_conn_is_open(lab->a.conn));
	assert_true(expd_conn_is_open(lab->b.conn));
	return lab;
}

static int send_one(struct end *e, uint64_t request)
{
	struct exp_msg m;
	struct exp_error err = { 0 };
	int r;

	sample_msg(&m, EXP_MSG_CAPS);
	m.request = request;
	r = expd_conn_send(e->conn, &m, &err);
	exp_msg_done(&m);
	if (r < 0 && r != -ENOBUFS && r != -ENOTCONN)
		assert_ok(r, &err);
	return r;
}

static void test_hello_and_messages(void **state)
{
	struct lab *lab = lab_new(state, "a", "b");

	dial(lab);
	assert_int_equal(send_one(&lab->a, 1), -ENOTCONN); /* before anything */
	assert_false(expd_conn_is_open(lab->a.conn));
	until(lab, lab->a.opened && lab->b.opened);
	assert_string_equal(lab->a.uri, "spiffe://lab/host/b");
	assert_string_equal(lab->b.uri, "spiffe://lab/host/a");
	assert_string_equal(lab->a.build, "build of b");
	assert_string_equal(lab->b.build, "build of a");
	assert_int_equal(lab->a.n_known, 1);
	assert_int_equal(lab->a.identified, 1);
	assert_int_equal(lab->b.identified, 1);
	for (uint64_t i = 1; i <= 50; i++) {
		assert_int_equal(send_one(&lab->a, i), 0);
		assert_int_equal(send_one(&lab->b, i), 0);
	}
	until(lab, lab->a.messages == 50 && lab->b.messages == 50);
	assert_int_equal(lab->a.last, EXP_MSG_CAPS);
	assert_int_equal(lab->a.closed + lab->b.closed, 0);
	lab_free(lab);
}

static void test_orderly_end(void **state)
{
	for (int who = 0; who < 3; who++) {
		struct lab *lab = connected(state);

		send_one(&lab->a, 1); /* what was said before still arrives */
		if (who != 1)
			expd_conn_end(lab->a.conn, NULL);
		if (who != 0)
			expd_conn_end(lab->b.conn, NULL);
		assert_int_equal(lab->a.closed, 0); /* not from inside the call */
		assert_int_equal(send_one(&lab->a, 2), who == 1 ? 0 : -ENOTCONN);
		until(lab, lab->a.closed && lab->b.closed);
		for (int i = 0; i < 10; i++)
			turn(lab);
		assert_int_equal(lab->a.closed, 1);
		assert_int_equal(lab->b.closed, 1);
		assert_int_equal(lab->a.why.code, EXP_CODE_OK);
		assert_int_equal(lab->b.why.code, EXP_CODE_OK);
		assert_true(lab->b.messages >= 1);
		lab_free(lab);
	}
}

static void test_end_with_a_reason(void **state)
{
	struct lab *lab = connected(state);
	struct exp_error why = { 0 };

	exp_error_set(&why, EXP_CODE_STOPPING, ESHUTDOWN, "going down");
	expd_conn_end(lab->b.conn, &why);
	until(lab, lab->a.closed && lab->b.closed);
	assert_error(&lab->a.why, EXP_CODE_STOPPING, "peer ended the connection: going down");
	assert_error(&lab->b.why, EXP_CODE_STOPPING, "going down");
	lab_free(lab);
}

/* Whoever is refused is told why, by either side. */
static void test_identity_that_is_not_known(void **state)
{
	for (int who = 0; who < 2; who++) {
		struct lab *lab = lab_new(state, "a", "b");
		struct end *host = who ? &lab->a : &lab->b, *stranger = who ? &lab->b : &lab->a;

		host->refuse = "this host does not know you";
		stranger->talk_at_hello = true; /* and what it says then does not count */
		dial(lab);
		until(lab, lab->a.closed && lab->b.closed);
		assert_error(&host->why, EXP_CODE_PEER_UNKNOWN, "does not know you");
		assert_error(&stranger->why, EXP_CODE_PEER_UNKNOWN,
			     "peer ended the connection: this host does not know you");
		assert_int_equal(host->opened, 0);
		assert_int_equal(host->messages, 0);
		assert_int_equal(host->closed + stranger->closed, 2);
		lab_free(lab);
	}
}

static void test_hello_that_is_refused(void **state)
{
	for (int who = 0; who < 2; who++) {
		struct lab *lab = lab_new(state, "a", "b");
		struct end *host = who ? &lab->a : &lab->b, *other = who ? &lab->b : &lab->a;

		host->refuse_hello = "a copied state directory?";
		dial(lab);
		until(lab, lab->a.closed && lab->b.closed);
		assert_error(&host->why, EXP_CODE_CONFLICT, "a copied state directory?");
		assert_error(&other->why, EXP_CODE_CONFLICT, "a copied state directory?");
		assert_int_equal(host->messages, 0);
		lab_free(lab);
	}
}

static void test_end_inside_a_callback(void **state)
{
	struct lab *lab = lab_new(state, "a", "b");

	lab->a.end_at_hello = lab->b.end_at_hello = true;
	dial(lab);
	until(lab, lab->a.closed && lab->b.closed);
	assert_int_equal(lab->a.why.code, EXP_CODE_OK);
	assert_int_equal(lab->b.why.code, EXP_CODE_OK);
	lab_free(lab);
}

static void test_drop_inside_a_callback(void **state)
{
	struct lab *lab = connected(state);

	lab->b.drop_at_message = true;
	send_one(&lab->a, 1);
	send_one(&lab->a, 2);
	until(lab, lab->a.closed);
	assert_int_equal(lab->b.messages, 1); /* and nothing after it */
	assert_int_equal(lab->b.closed, 0);
	assert_error(&lab->a.why, EXP_CODE_PEER_GONE, "");
	lab_free(lab);
}

static void test_certificates_that_are_no_good(void **state)
{
	static const struct {
		const char *dials, *accepts;
		enum exp_code dialler, acceptor;
	} rows[] = {
		{ "foreign", "b", EXP_CODE_TLS, EXP_CODE_PEER_UNKNOWN },
		{ "a", "foreign", EXP_CODE_PEER_UNKNOWN, EXP_CODE_TLS },
		{ "old", "b", EXP_CODE_CERT_EXPIRED, EXP_CODE_CERT_EXPIRED },
		{ "a", "old", EXP_CODE_CERT_EXPIRED, EXP_CODE_CERT_EXPIRED },
	};

	for (size_t i = 0; i < EXP_ARRAY_SIZE(rows); i++) {
		struct lab *lab = lab_new(state, rows[i].dials, rows[i].accepts);

		dial(lab);
		until(lab, lab->a.closed && lab->b.closed);
		assert_int_equal(lab->b.why.code, rows[i].acceptor);
		/* the alert tells the other side as much as an alert can */
		if (lab->a.why.code != rows[i].dialler)
			assert_int_equal(lab->a.why.code, EXP_CODE_PEER_UNKNOWN);
		assert_int_equal(lab->a.opened + lab->b.opened, 0);
		assert_int_equal(lab->b.identified, 0);
		lab_free(lab);
	}
}

static void test_nobody_listens(void **state)
{
	struct lab *lab = lab_new(state, "a", "b");
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);
	struct exp_error err = { 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0); /* bound, not heard */
	assert_ok(expd_conn_dial(lab->base, lab->a.tls, (struct sockaddr *)&in, sizeof(in), &ops,
				 &lab->a, &lab->a.conn, &err),
		  &err);
	assert_non_null(strstr(expd_conn_address(lab->a.conn), "127.0.0.1:"));
	until(lab, lab->a.closed);
	assert_error(&lab->a.why, EXP_CODE_UNREACHABLE, "connect to 127.0.0.1:");
	close(fd);

	strcat(lab->sa.sun_path, "x");
	assert_true(expd_conn_dial(lab->base, lab->a.tls, (struct sockaddr *)&lab->sa,
				   sizeof(lab->sa), &ops, &lab->a, &lab->a.conn, &err) < 0);
	assert_error(&err, EXP_CODE_UNREACHABLE, "connect to");
	lab->a.conn = NULL;
	lab_free(lab);
}

/*
 * The raw end: a socket and a TLS channel in the test's own hands, with the certificate of a.
 */
struct raw {
	struct lab *lab;
	int fd;
	struct exp_chan *chan; /* NULL: no TLS */
	struct exp_sess *sess; /* NULL: none yet */
	uint8_t got[4096];     /* plaintext, when there is no session */
	size_t n_got;
	bool eof;
	unsigned int byes;
	struct exp_error bye;
};

static void raw_start(struct lab *lab, struct raw *w, bool tls)
{
	struct exp_error err = { 0 };
	int fd[2];

	*w = (struct raw){ .lab = lab };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
	w->fd = fd[0];
	if (tls)
		assert_ok(exp_chan_new(lab->a.tls, EXP_TLS_CLIENT, &w->chan, &err), &err);
	accept_b(lab, fd[1]);
}

static void raw_send(struct raw *w)
{
	const void *p;
	size_t n;

	while (w->chan && (n = exp_chan_out(w->chan, &p))) {
		ssize_t sent = send(w->fd, p, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		exp_chan_sent(w->chan, (size_t)sent);
	}
}

static void raw_session(struct raw *w, const uint8_t *p, size_t n)
{
	struct exp_error err = { 0 };
	struct exp_sess_event ev;

	while (n) {
		int r = exp_sess_feed(w->sess, exp_mono_ms(), p, n, &err);

		assert_true(r >= 0);
		p += r;
		n -= (size_t)r;
		while (exp_sess_next(w->sess, &ev)) {
			if (ev.type == EXP_SESS_EV_BYE) {
				w->byes++;
				w->bye = ev.msg.reason;
			}
			exp_msg_done(&ev.msg);
		}
	}
}

static void raw_read(struct raw *w)
{
	uint8_t buf[8192], plain[8192];
	struct exp_error err = { 0 };
	ssize_t n = recv(w->fd, buf, sizeof(buf), 0);
	int r;

	if (n == 0 || (n < 0 && errno != EAGAIN))
		w->eof = true;
	if (n <= 0 || !w->chan || exp_chan_feed(w->chan, buf, (size_t)n, &err) < 0)
		return;
	while ((r = exp_chan_read(w->chan, plain, sizeof(plain), &err)) > 0) {
		if (w->sess) {
			raw_session(w, plain, (size_t)r);
		} else if (w->n_got + (size_t)r <= sizeof(w->got)) {
			memcpy(w->got + w->n_got, plain, (size_t)r);
			w->n_got += (size_t)r;
		}
	}
}

static bool raw_turn(struct raw *w)
{
	raw_send(w);
	turn(w->lab);
	raw_read(w);
	return true;
}

#define raw_until(w, what) until((w)->lab, raw_turn(w) && (what))

static void raw_handshake(struct lab *lab, struct raw *w)
{
	raw_start(lab, w, true);
	raw_until(w, exp_chan_state(w->chan) == EXP_CHAN_OPEN && lab->b.identified);
}

static void raw_write(struct raw *w, const void *p, size_t n)
{
	struct exp_error err = { 0 };

	assert_int_equal(exp_chan_write(w->chan, p, n, &err), n);
	raw_send(w);
}

static void raw_hello(struct raw *w)
{
	struct exp_msg_hello h = { .version_min = 1,
				   .version_max = 1,
				   .host = sample_uuid(1),
				   .db_instance = sample_uuid(3),
				   .build = "raw" };
	struct exp_error err = { 0 };
	const void *p;
	size_t n;

	assert_ok(exp_sess_new(&EXP_SESS_DEFAULTS, &h, exp_mono_ms(), &w->sess, &err), &err);
	n = exp_sess_out(w->sess, &p);
	raw_write(w, p, n);
	exp_sess_sent(w->sess, n);
	raw_until(w, w->lab->b.opened);
}

static void raw_end(struct raw *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	exp_sess_free(w->sess);
	exp_chan_free(w->chan);
	w->sess = NULL;
	w->chan = NULL;
}

static void test_garbage_instead_of_tls(void **state)
{
	static const char *const texts[] = { "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff\x01",
					     "SSH-2.0-x\r\n", "\x80\x80\x01\x03\x01" };

	for (size_t i = 0; i < EXP_ARRAY_SIZE(texts); i++) {
		struct lab *lab = lab_new(state, "a", "b");
		struct raw w;
		char big[20000];

		raw_start(lab, &w, false);
		memset(big, 'g', sizeof(big));
		memcpy(big, texts[i], strlen(texts[i]));
		assert_int_equal(send(w.fd, big, sizeof(big), MSG_NOSIGNAL), sizeof(big));
		raw_until(&w, lab->b.closed);
		assert_int_equal(lab->b.why.code, EXP_CODE_TLS);
		assert_int_equal(lab->b.identified, 0);
		raw_until(&w, w.eof);
		raw_end(&w);
		lab_free(lab);
	}
}

static void test_garbage_inside_tls(void **state)
{
	struct lab *lab = lab_new(state, "a", "b");
	struct raw w;

	raw_handshake(lab, &w);
	raw_write(&w, "\xff\xff\xff\xff\xff\xff\xff\xffmore", 12);
	raw_until(&w, lab->b.closed);
	assert_int_equal(lab->b.why.code, EXP_CODE_PROTOCOL);
	assert_int_equal(lab->b.opened + lab->b.bulks, 0);
	raw_end(&w);
	lab_free(lab);

	/* and in the middle of a good conversation */
	lab = lab_new(state, "a", "b");
	raw_handshake(lab, &w);
	raw_hello(&w);
	raw_write(&w, "\x04\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff", 12);
	raw_until(&w, lab->b.closed);
	assert_int_equal(lab->b.why.code, EXP_CODE_PROTOCOL);
	raw_until(&w, w.eof);
	assert_int_equal(w.byes, 1); /* which says what was wrong */
	assert_int_equal(w.bye.code, EXP_CODE_PROTOCOL);
	raw_end(&w);
	lab_free(lab);
}

static const struct exp_bulk_open bulk = { .session = 3, .stream = 1, .token = { 1, 2, 3 } };

static void test_bulk_connection_that_is_not_one(void **state)
{
	struct lab *lab = lab_new(state, "a", "b");
	uint8_t record[EXP_BULK_OPEN_BYTES];
	struct raw w;

	raw_handshake(lab, &w);
	exp_bulk_open_encode(&bulk, record);
	record[EXP_BULK_OPEN_BYTES - 1] ^= 1;
	raw_write(&w, record, sizeof(record));
	raw_until(&w, lab->b.closed);
	assert_int_equal(lab->b.why.code, EXP_CODE_DIGEST);
	assert_int_equal(lab->b.bulks, 0);
	raw_end(&w);
	lab_free(lab);
}

static void assert_end_of_stream(struct lab *lab, struct raw *w)
{
	close(w->fd);
	w->fd = -1;
	until(lab, lab->b.closed);
	assert_int_equal(lab->b.closed, 1);
	assert_int_equal(lab->b.why.code, EXP_CODE_PEER_GONE);
	assert_int_equal(lab->b.bulks, 0);
	raw_end(w);
	lab_free(lab);
}

static void test_the_end_in_each_phase(void **state)
{
	uint8_t record[EXP_BULK_OPEN_BYTES];
	struct lab *lab = lab_new(state, "a", "b");
	const void *p;
	struct raw w;

	raw_start(lab, &w, false); /* before the first byte */
	assert_end_of_stream(lab, &w);

	for (size_t cut = 1; cut < 200; cut += 60) { /* inside the ClientHello */
		lab = lab_new(state, "a", "b");
		raw_start(lab, &w, true);
		assert_true(exp_chan_out(w.chan, &p) > cut);
		assert_int_equal(send(w.fd, p, cut, MSG_NOSIGNAL), cut);
		turn(lab);
		assert_end_of_stream(lab, &w);
	}

	lab = lab_new(state, "a", "b"); /* nobody knows yet what it is */
	raw_handshake(lab, &w);
	assert_end_of_stream(lab, &w);

	exp_bulk_open_encode(&bulk, record);
	for (size_t cut = 1; cut < sizeof(record); cut += 13) { /* inside the opening record */
		lab = lab_new(state, "a", "b");
		raw_handshake(lab, &w);
		raw_write(&w, record, cut);
		turn(lab);
		assert_end_of_stream(lab, &w);
	}

	lab = lab_new(state, "a", "b"); /* inside the hello */
	raw_handshake(lab, &w);
	raw_write(&w, "\x40\x00\x00\x00\x00\x00\x00\x00\x08", 9);
	for (int i = 0; i < 10; i++)
		raw_turn(&w);
	assert_end_of_stream(lab, &w);

	lab = lab_new(state, "a", "b"); /* without a BYE */
	raw_handshake(lab, &w);
	raw_hello(&w);
	assert_end_of_stream(lab, &w);
}

/* close_notify, but no BYE: to whom it matters it is as bad as a broken line. */
static void test_tls_ends_without_a_bye(void **state)
{
	struct lab *lab = lab_new(state, "a", "b");
	struct raw w;

	raw_handshake(lab, &w);
	raw_hello(&w);
	exp_chan_close(w.chan);
	raw_send(&w);
	assert_end_of_stream(lab, &w);

	lab = lab_new(state, "a", "b"); /* who has said nothing may go */
	raw_handshake(lab, &w);
	exp_chan_close(w.chan);
	raw_send(&w);
	shutdown(w.fd, SHUT_WR);
	raw_until(&w, lab->b.closed);
	assert_int_equal(lab->b.why.code, EXP_CODE_OK);
	raw_end(&w);
	lab_free(lab);
}

/* The first reason is the one that counts: that its line broke too is no news. */
static void test_stranger_that_hangs_up(void **state)
{
	struct lab *lab = lab_new(state, "a", "b");
	struct raw w;

	lab->b.refuse = "this host does not know you";
	raw_handshake(lab, &w);
	raw_end(&w);
	until(lab, lab->b.closed);
	assert_error(&lab->b.why, EXP_CODE_PEER_UNKNOWN, "does not know you");
	lab_free(lab);
}

static void test_a_peer_that_never_reads(void **state)
{
	struct lab *lab = lab_new(state, "a", "b");
	struct raw w;
	uint64_t i = 0;
	int r = 0;

	raw_handshake(lab, &w);
	raw_hello(&w);
	while (r == 0 && ++i < 100000) {
		r = send_one(&lab->b, i);
		turn(lab);
	}
	assert_int_equal(r, -ENOBUFS);
	assert_true(expd_conn_is_open(lab->b.conn));
	/* once it reads there is room again, and every message was kept whole */
	raw_until(&w, send_one(&lab->b, i) == 0);
	assert_int_equal(lab->b.closed, 0);
	raw_end(&w);
	until(lab, lab->b.closed);
	lab_free(lab);
}

/*
 * The bulk hand-over: the sender is a thread with blocking TLS, as in the daemon.
 */
struct sender {
	pthread_t thread;
	struct exp_tls_ctx *tls;
	int fd;
	size_t piece;  /* bytes of one TLS record */
	uint8_t *text; /* the opening record, and what follows */
	size_t len;
	struct exp_error err;
};

static void *sender_main(void *arg)
{
	struct sender *s = arg;
	uint64_t deadline = exp_mono_ms() + 60000;
	struct exp_stream *st;
	int r;

	r = exp_stream_new(s->tls, EXP_TLS_CLIENT, s->fd, &st, &s->err);
	if (r < 0)
		return NULL;
	r = exp_stream_handshake(st, deadline, &s->err);
	for (size_t at = 0; r == 0 && at < s->len; at += s->piece) {
		r = exp_stream_write(st, s->text + at, EXP_MIN(s->piece, s->len - at), deadline,
				     &s->err);
		if (r == 0)
			r = exp_stream_flush(st, deadline, &s->err);
	}
	if (r == 0)
		r = exp_stream_end(st, deadline, &s->err);
	exp_stream_free(st);
	return NULL;
}

static void hand_over(void **state, size_t piece, size_t behind)
{
	struct lab *lab = lab_new(state, "a", "b");
	struct sender s = { .tls = lab->a.tls,
			    .piece = piece,
			    .len = EXP_BULK_OPEN_BYTES + behind };
	uint8_t *got = sample_alloc(behind + 1, 1);
	struct exp_error err = { 0 };
	size_t n = 0;
	int fd[2];

	s.text = sample_alloc(s.len, 1);
	exp_bulk_open_encode(&bulk, s.text);
	for (size_t i = EXP_BULK_OPEN_BYTES; i < s.len; i++)
		s.text[i] = (uint8_t)(i * 31 + i / 251);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
	s.fd = fd[0];
	accept_b(lab, fd[1]);
	assert_int_equal(pthread_create(&s.thread, NULL, sender_main, &s), 0);
	until(lab, lab->b.bulks);
	assert_int_equal(lab->b.closed, 0); /* the stream is somebody else's now */
	assert_int_equal(lab->b.open.session, 3);
	assert_int_equal(lab->b.open.stream, 1);
	assert_memory_equal(lab->b.open.token, bulk.token, sizeof(bulk.token));
	for (int i = 0; i < 5; i++)
		turn(lab); /* nothing is left on the loop */
	assert_string_equal(exp_stream_peer(lab->b.stream)->uri[0], "spiffe://lab/host/a");
	assert_ok(exp_stream_read(lab->b.stream, got, behind + 1, exp_mono_ms() + 60000, &n, &err),
		  &err);
	assert_int_equal(n, behind); /* then the end, said properly */
	assert_memory_equal(got, s.text + EXP_BULK_OPEN_BYTES, behind);
	assert_int_equal(pthread_join(s.thread, NULL), 0);
	assert_ok(s.err.code, &s.err);
	assert_int_equal(lab->b.identified, 1);
	free(s.text);
	free(got);
	lab_free(lab);
}

static void test_bulk_hand_over_keeps_every_byte(void **state)
{
	static const size_t pieces[] = { 1, 7, 8, 79, 80, 81, 4096, 1000000 };

	for (size_t i = 0; i < EXP_ARRAY_SIZE(pieces); i++) {
		hand_over(state, pieces[i], 0);
		hand_over(state, pieces[i], 300);
	}
	hand_over(state, 1000000, 500000); /* more than any buffer between them takes */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello_and_messages),
		cmocka_unit_test(test_orderly_end),
		cmocka_unit_test(test_end_with_a_reason),
		cmocka_unit_test(test_identity_that_is_not_known),
		cmocka_unit_test(test_hello_that_is_refused),
		cmocka_unit_test(test_end_inside_a_callback),
		cmocka_unit_test(test_drop_inside_a_callback),
		cmocka_unit_test(test_certificates_that_are_no_good),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_garbage_instead_of_tls),
		cmocka_unit_test(test_garbage_inside_tls),
		cmocka_unit_test(test_bulk_connection_that_is_not_one),
		cmocka_unit_test(test_the_end_in_each_phase),
		cmocka_unit_test(test_tls_ends_without_a_bye),
		cmocka_unit_test(test_stranger_that_hangs_up),
		cmocka_unit_test(test_a_peer_that_never_reads),
		cmocka_unit_test(test_bulk_hand_over_keeps_every_byte),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
