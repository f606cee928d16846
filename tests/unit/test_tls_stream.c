/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two threads and a socket pair. Deadlines that must not pass are far away, and those that must
 * are near; nothing here measures time.
 */
#include "support/tests.h"
#include "support/tls_rig.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/rng.h"
#include "tls/stream.h"

#define FAR  (exp_mono_ms() + 60000)
#define NEAR (exp_mono_ms() + 30)

struct end {
	struct exp_stream *s;
	struct exp_error err;
	int r;
	void (*run)(struct end *e);
	pthread_t thread;
	size_t n; /* bytes to move; bytes moved */
};

static void *end_main(void *arg)
{
	struct end *e = arg;

	e->r = exp_stream_handshake(e->s, FAR, &e->err);
	if (!e->r && e->run)
		e->run(e);
	return NULL;
}

static void start(struct end *e, void (*run)(struct end *e))
{
	e->run = run;
	assert_int_equal(pthread_create(&e->thread, NULL, end_main, e), 0);
}

static void join(struct end *e)
{
	assert_int_equal(pthread_join(e->thread, NULL), 0);
}

static struct exp_stream *stream(struct rig *r, const char *host, enum exp_tls_side side, int fd)
{
	EXP_CLEANUP(exp_tls_ctx_freep) struct exp_tls_ctx *ctx = rig_ctx(r, host);
	struct exp_error err = { 0 };
	struct exp_stream *s = NULL;

	assert_ok(exp_stream_new(ctx, side, fd, &s, &err), &err);
	return s;
}

/* @tx is the client and sends. */
static void connect_ends(struct rig *r, struct end *tx, struct end *rx)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	*tx = (struct end){ .s = stream(r, "a", EXP_TLS_CLIENT, fd[0]) };
	*rx = (struct end){ .s = stream(r, "b", EXP_TLS_SERVER, fd[1]) };
}

/* Both handshakes done, no thread left. */
static void connected(struct rig *r, struct end *tx, struct end *rx)
{
	connect_ends(r, tx, rx);
	start(tx, NULL);
	start(rx, NULL);
	join(tx);
	join(rx);
	assert_ok(tx->r, &tx->err);
	assert_ok(rx->r, &rx->err);
}

static void free_ends(struct end *tx, struct end *rx)
{
	exp_stream_free(tx->s);
	exp_stream_free(rx->s);
}

#define CHUNK 100003u /* no multiple of anything */

static void fill(uint8_t *p, size_t n, struct exp_rng *rng)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)exp_rng_next(rng);
}

static void send_chunks(struct end *e)
{
	uint8_t *b = malloc(CHUNK);
	struct exp_rng rng;

	exp_rng_seed(&rng, 5);
	for (size_t left = e->n; b && left && !e->r;) {
		size_t part = EXP_MIN(left, CHUNK);

		fill(b, part, &rng);
		e->r = exp_stream_write(e->s, b, part, FAR, &e->err);
		left -= part;
	}
	free(b);
	if (!e->r)
		e->r = exp_stream_end(e->s, FAR, &e->err);
	if (!e->r)
		e->r = exp_stream_drain(e->s, FAR, &e->err);
}

/* Reads to the end; e->n counts what was as expected. */
static void receive_all(struct end *e)
{
	enum { PART = 65537 };
	uint8_t *b = malloc(PART), *want = malloc(PART);
	struct exp_rng rng;
	size_t n = PART;

	exp_rng_seed(&rng, 5);
	while (b && want && !e->r && n == PART) {
		e->r = exp_stream_read(e->s, b, PART, FAR, &n, &e->err);
		if (e->r < 0)
			break;
		fill(want, n, &rng);
		if (!memcmp(b, want, n))
			e->n += n;
	}
	free(b);
	free(want);
	if (!e->r)
		e->r = exp_stream_end(e->s, FAR, &e->err);
}

static void test_volume_and_key_updates(void **state)
{
	static const struct {
		uint64_t rekey;
		uint64_t updates; /* of 5 MiB */
	} runs[] = { { EXP_STREAM_REKEY_BYTES, 0 },
		     { 1 << 20, 4 },
		     { 100000, (5 << 20) / 100000 },
		     { 5 << 20, 0 },
		     { (5 << 20) - 1, 1 } };

	for (size_t i = 0; i < EXP_ARRAY_SIZE(runs); i++) {
		struct exp_stream_stats out, in;
		struct end tx, rx;

		connect_ends(*state, &tx, &rx);
		tx.n = 5 << 20;
		exp_stream_rekey_after(tx.s, runs[i].rekey);
		start(&tx, send_chunks);
		start(&rx, receive_all);
		join(&tx);
		join(&rx);
		assert_ok(tx.r, &tx.err);
		assert_ok(rx.r, &rx.err);
		assert_int_equal(rx.n, 5 << 20);
		exp_stream_stats(tx.s, &out);
		exp_stream_stats(rx.s, &in);
		assert_int_equal(out.plain_out, 5 << 20);
		assert_int_equal(in.plain_in, 5 << 20);
		assert_int_equal(out.key_updates, runs[i].updates);
		assert_int_equal(in.key_updates, 0);
		assert_string_equal(exp_stream_peer(tx.s)->uri[0], "spiffe://lab/host/b");
		assert_string_equal(exp_stream_peer(rx.s)->uri[0], "spiffe://lab/host/a");
		free_ends(&tx, &rx);
	}
}

/* Over TCP, whose buffers take a batch whole, sends are few: 1 for each 256 KiB and some slack. */
static void send_quietly(struct end *e)
{
	static const uint8_t zeros[1 << 20];

	for (int i = 0; i < 8 && !e->r; i++)
		e->r = exp_stream_write(e->s, zeros, sizeof(zeros), FAR, &e->err);
	if (!e->r)
		e->r = exp_stream_end(e->s, FAR, &e->err);
}

static void test_sends_are_gathered(void **state)
{
	struct exp_stream_stats out;
	struct end tx, rx;
	int size = 4 << 20, fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	if (setsockopt(fd[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0) {
		close(fd[0]);
		close(fd[1]);
		skip(); /* needs root: the default buffer is smaller than one send */
	}
	tx = (struct end){ .s = stream(*state, "a", EXP_TLS_CLIENT, fd[0]) };
	rx = (struct end){ .s = stream(*state, "b", EXP_TLS_SERVER, fd[1]) };
	start(&tx, send_quietly);
	start(&rx, receive_all);
	join(&tx);
	join(&rx);
	assert_ok(tx.r, &tx.err);
	assert_ok(rx.r, &rx.err);
	exp_stream_stats(tx.s, &out);
	/* 512 records would be 512 sends; a full socket splits some */
	assert_in_range(out.calls_out, 8, 150);
	free_ends(&tx, &rx);
}

static void test_nothing_moves_before_flush(void **state)
{
	struct end tx, rx;
	char got[8];
	size_t n;

	connected(*state, &tx, &rx);
	assert_ok(exp_stream_write(tx.s, "abcdefgh", 8, FAR, &tx.err), &tx.err);
	assert_int_equal(exp_stream_read(rx.s, got, 8, NEAR, &n, &rx.err), -ETIMEDOUT);
	free_ends(&tx, &rx);
	connected(*state, &tx, &rx);
	assert_ok(exp_stream_write(tx.s, "abcdefgh", 8, FAR, &tx.err), &tx.err);
	assert_ok(exp_stream_flush(tx.s, FAR, &tx.err), &tx.err);
	assert_ok(exp_stream_read(rx.s, got, 8, FAR, &n, &rx.err), &rx.err);
	assert_int_equal(n, 8);
	assert_memory_equal(got, "abcdefgh", 8);
	free_ends(&tx, &rx);
}

/* --- ends --- */

static void test_close_notify_within_a_read(void **state)
{
	struct end tx, rx;
	char got[100];
	size_t n = 99;

	connected(*state, &tx, &rx);
	assert_ok(exp_stream_write(tx.s, "12345", 5, FAR, &tx.err), &tx.err);
	assert_ok(exp_stream_end(tx.s, FAR, &tx.err), &tx.err);
	assert_ok(exp_stream_read(rx.s, got, sizeof(got), FAR, &n, &rx.err), &rx.err);
	assert_int_equal(n, 5);
	assert_ok(exp_stream_read(rx.s, got, sizeof(got), FAR, &n, &rx.err), &rx.err);
	assert_int_equal(n, 0);
	assert_ok(exp_stream_end(rx.s, FAR, &rx.err), &rx.err);
	assert_ok(exp_stream_drain(tx.s, FAR, &tx.err), &tx.err);
	free_ends(&tx, &rx);
}

static void test_bare_eof(void **state)
{
	struct end tx, rx;
	char got[100];
	size_t n;

	connected(*state, &tx, &rx);
	assert_ok(exp_stream_write(tx.s, "12345", 5, FAR, &tx.err), &tx.err);
	assert_ok(exp_stream_flush(tx.s, FAR, &tx.err), &tx.err);
	exp_stream_free(tx.s);
	tx.s = NULL;
	assert_int_equal(exp_stream_read(rx.s, got, sizeof(got), FAR, &n, &rx.err), -ECONNRESET);
	assert_error(&rx.err, EXP_CODE_PEER_GONE, "without close_notify");
	free_ends(&tx, &rx);
}

static void test_writing_to_nobody(void **state)
{
	static const uint8_t zeros[1 << 20];
	struct end tx, rx;

	connected(*state, &tx, &rx);
	exp_stream_free(rx.s);
	rx.s = NULL;
	tx.r = exp_stream_write(tx.s, zeros, sizeof(zeros), FAR, &tx.err);
	assert_true(tx.r == -EPIPE || tx.r == -ECONNRESET);
	assert_error(&tx.err, EXP_CODE_PEER_GONE, "the peer is gone");
	assert_true(exp_stream_flush(tx.s, FAR, &tx.err) < 0); /* and stays so */
	free_ends(&tx, &rx);
}

static void test_data_on_the_way_back(void **state)
{
	struct end tx, rx;

	connected(*state, &tx, &rx);
	assert_ok(exp_stream_write(rx.s, "x", 1, FAR, &rx.err), &rx.err);
	assert_ok(exp_stream_flush(rx.s, FAR, &rx.err), &rx.err);
	assert_int_equal(exp_stream_drain(tx.s, FAR, &tx.err), -EPROTO);
	assert_error(&tx.err, EXP_CODE_PROTOCOL, "data on a one-way connection");
	free_ends(&tx, &rx);
}

/* --- deadlines --- */

static void test_peer_stops_reading(void **state)
{
	static const uint8_t zeros[1 << 20];
	struct end tx, rx;

	connected(*state, &tx, &rx);
	for (tx.r = 0; !tx.r;) /* until the socket is full */
		tx.r = exp_stream_write(tx.s, zeros, sizeof(zeros), NEAR, &tx.err);
	assert_int_equal(tx.r, -ETIMEDOUT);
	assert_error(&tx.err, EXP_CODE_PEER_GONE, "neither sent nor took anything in time");
	assert_int_equal(exp_stream_write(tx.s, "x", 1, FAR, &tx.err), -ETIMEDOUT);
	free_ends(&tx, &rx);
}

static void test_peer_stops_sending(void **state)
{
	struct end tx, rx;
	char got[16];
	size_t n;

	connected(*state, &tx, &rx);
	assert_ok(exp_stream_write(tx.s, "12345", 5, FAR, &tx.err), &tx.err);
	assert_ok(exp_stream_flush(tx.s, FAR, &tx.err), &tx.err);
	assert_int_equal(exp_stream_read(rx.s, got, sizeof(got), NEAR, &n, &rx.err), -ETIMEDOUT);
	free_ends(&tx, &rx);
	connect_ends(*state, &tx, &rx);
	assert_int_equal(exp_stream_handshake(rx.s, NEAR, &rx.err), -ETIMEDOUT);
	assert_null(exp_stream_peer(rx.s));
	free_ends(&tx, &rx);
}

static void test_deadline_that_has_passed(void **state)
{
	struct end tx, rx;
	char got;
	size_t n;

	connected(*state, &tx, &rx);
	assert_int_equal(exp_stream_read(rx.s, &got, 1, 0, &n, &rx.err), -ETIMEDOUT);
	free_ends(&tx, &rx);
}

static void test_wait(void **state)
{
	struct end tx, rx;
	char got[4];
	size_t n;

	connected(*state, &tx, &rx);
	assert_int_equal(exp_stream_wait(rx.s, 0, &rx.err), 0);
	assert_int_equal(exp_stream_wait(rx.s, NEAR, &rx.err), 0);
	assert_ok(exp_stream_write(tx.s, "12345678", 8, FAR, &tx.err), &tx.err);
	assert_int_equal(exp_stream_wait(rx.s, 0, &rx.err), 0); /* not flushed */
	assert_ok(exp_stream_flush(tx.s, FAR, &tx.err), &tx.err);
	assert_int_equal(exp_stream_wait(rx.s, FAR, &rx.err), 1);
	assert_int_equal(exp_stream_wait(rx.s, FAR, &rx.err), 1); /* takes nothing */
	assert_ok(exp_stream_read(rx.s, got, 4, FAR, &n, &rx.err), &rx.err);
	assert_int_equal(exp_stream_wait(rx.s, 0, &rx.err), 1); /* the rest is with OpenSSL */
	assert_ok(exp_stream_read(rx.s, got, 4, FAR, &n, &rx.err), &rx.err);
	assert_memory_equal(got, "5678", 4);
	assert_int_equal(exp_stream_wait(rx.s, 0, &rx.err), 0);
	assert_ok(exp_stream_end(tx.s, FAR, &tx.err), &tx.err);
	assert_int_equal(exp_stream_wait(rx.s, FAR, &rx.err), 1);
	assert_ok(exp_stream_read(rx.s, got, 4, FAR, &n, &rx.err), &rx.err);
	assert_int_equal(n, 0);
	free_ends(&tx, &rx);
}

static void test_wait_sees_a_cut(void **state)
{
	struct end tx, rx;
	char got[4];
	size_t n;

	connected(*state, &tx, &rx);
	exp_stream_free(tx.s);
	tx.s = NULL;
	assert_int_equal(exp_stream_wait(rx.s, FAR, &rx.err), 1);
	assert_int_equal(exp_stream_read(rx.s, got, 4, FAR, &n, &rx.err), -ECONNRESET);
	free_ends(&tx, &rx);
}

/* --- cancel --- */

static void read_for_ever(struct end *e)
{
	char got[4096];
	size_t n;

	do
		e->r = exp_stream_read(e->s, got, sizeof(got), EXP_NEVER_MS, &n, &e->err);
	while (!e->r && n);
}

static void write_for_ever(struct end *e)
{
	static const uint8_t zeros[1 << 16];

	do
		e->r = exp_stream_write(e->s, zeros, sizeof(zeros), EXP_NEVER_MS, &e->err);
	while (!e->r);
}

static void cancelled(struct end *e)
{
	join(e);
	assert_int_equal(e->r, -ECANCELED);
	assert_error(&e->err, EXP_CODE_CANCELLED, "cancelled");
}

static void test_cancel_wakes_the_reader(void **state)
{
	struct end tx, rx;

	for (int i = 0; i < 20; i++) { /* before, in and after the handshake, as it happens */
		connect_ends(*state, &tx, &rx);
		start(&rx, read_for_ever);
		if (i % 2) {
			start(&tx, NULL);
			join(&tx);
		}
		exp_stream_cancel(rx.s);
		exp_stream_cancel(rx.s);
		cancelled(&rx);
		free_ends(&tx, &rx);
	}
}

static void test_cancel_wakes_the_writer(void **state)
{
	struct end tx, rx;

	for (int i = 0; i < 10; i++) {
		connect_ends(*state, &tx, &rx);
		start(&tx, write_for_ever);
		start(&rx, NULL);
		join(&rx);
		exp_stream_cancel(tx.s);
		cancelled(&tx);
		free_ends(&tx, &rx);
	}
}

static void wait_for_ever(struct end *e)
{
	do
		e->r = exp_stream_wait(e->s, EXP_NEVER_MS, &e->err);
	while (e->r >= 0);
}

static void test_cancel_wakes_who_waits(void **state)
{
	struct end tx, rx;

	connect_ends(*state, &tx, &rx);
	start(&rx, wait_for_ever);
	start(&tx, NULL);
	join(&tx);
	exp_stream_cancel(rx.s);
	cancelled(&rx);
	free_ends(&tx, &rx);
}

static void test_cancel_counts_for_buffered_data(void **state)
{
	struct end tx, rx;
	char got[4];
	size_t n;

	connected(*state, &tx, &rx);
	assert_ok(exp_stream_write(tx.s, "12345678", 8, FAR, &tx.err), &tx.err);
	assert_ok(exp_stream_flush(tx.s, FAR, &tx.err), &tx.err);
	assert_ok(exp_stream_read(rx.s, got, 4, FAR, &n, &rx.err), &rx.err);
	exp_stream_cancel(rx.s);
	assert_int_equal(exp_stream_read(rx.s, got, 4, FAR, &n, &rx.err), -ECANCELED);
	exp_stream_cancel(tx.s);
	assert_int_equal(exp_stream_write(tx.s, "1", 1, FAR, &tx.err), -ECANCELED);
	assert_int_equal(exp_stream_flush(tx.s, FAR, &tx.err), -ECANCELED);
	assert_int_equal(exp_stream_end(tx.s, FAR, &tx.err), -ECANCELED);
	free_ends(&tx, &rx);
}

/* --- certificates, and a channel that becomes a stream --- */

static void test_expired_certificate(void **state)
{
	struct end tx, rx;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	tx = (struct end){ .s = stream(*state, "old", EXP_TLS_CLIENT, fd[0]) };
	rx = (struct end){ .s = stream(*state, "b", EXP_TLS_SERVER, fd[1]) };
	start(&tx, read_for_ever);
	start(&rx, read_for_ever);
	join(&tx);
	join(&rx);
	assert_int_equal(rx.r, -EACCES);
	assert_error(&rx.err, EXP_CODE_CERT_EXPIRED, "(spiffe://lab/host/old) expired at");
	assert_int_equal(tx.r, -EPROTO);
	assert_error(&tx.err, EXP_CODE_CERT_EXPIRED, "it means our certificate");
	free_ends(&tx, &rx);
}

/* The loop's part: moves bytes between @fd and @c until a little plaintext is there. */
static size_t accept_by_channel(struct exp_chan *c, int fd, char *first, size_t cap)
{
	struct exp_error err = { 0 };
	size_t have = 0;

	while (have < cap) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		char buf[5000];
		const void *out;
		ssize_t n;
		int r;

		assert_int_equal(poll(&p, 1, 60000), 1);
		n = recv(fd, buf, sizeof(buf), 0);
		assert_true(n > 0);
		r = exp_chan_feed(c, buf, (size_t)n, &err);
		assert_int_equal(r, n);
		r = exp_chan_read(c, first + have, cap - have, &err);
		assert_true(r >= 0);
		have += (size_t)r;
		n = (ssize_t)exp_chan_out(c, &out);
		assert_int_equal(send(fd, out, (size_t)n, MSG_NOSIGNAL), n);
		exp_chan_sent(c, (size_t)n);
	}
	return have;
}

static void test_adopt(void **state)
{
	EXP_CLEANUP(exp_tls_ctx_freep) struct exp_tls_ctx *ctx = rig_ctx(*state, "b");
	struct exp_error err = { 0 };
	struct exp_chan *c = NULL;
	struct end tx, rx = { 0 };
	struct exp_rng rng;
	uint8_t want[8];
	char first[8];
	size_t n;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	tx = (struct end){ .s = stream(*state, "a", EXP_TLS_CLIENT, fd[0]), .n = 3 << 20 };
	start(&tx, send_chunks);
	assert_ok(exp_chan_new(ctx, EXP_TLS_SERVER, &c, &err), &err);
	assert_int_equal(exp_stream_adopt(c, fd[1], &rx.s, &err), -ENOTCONN);
	accept_by_channel(c, fd[1], first, sizeof(first));
	assert_ok(exp_stream_adopt(c, fd[1], &rx.s, &err), &err);
	assert_string_equal(exp_stream_peer(rx.s)->uri[0], "spiffe://lab/host/a");
	exp_rng_seed(&rng, 5);
	fill(want, sizeof(want), &rng);
	assert_memory_equal(first, want, sizeof(want));
	for (n = 8; n < 3 << 20;) { /* the rest: what the channel held, then the socket */
		uint8_t got[4099], more[4099];
		size_t part = 0;

		assert_ok(exp_stream_read(rx.s, got, EXP_MIN(sizeof(got), (3u << 20) - n), FAR,
					  &part, &err),
			  &err);
		assert_true(part > 0);
		fill(more, part, &rng);
		assert_memory_equal(got, more, part);
		n += part;
	}
	assert_ok(exp_stream_end(rx.s, FAR, &err), &err);
	join(&tx);
	assert_ok(tx.r, &tx.err);
	free_ends(&tx, &rx);
}

static void test_bad_descriptor(void **state)
{
	EXP_CLEANUP(exp_tls_ctx_freep) struct exp_tls_ctx *ctx = rig_ctx(*state, "b");
	struct exp_error err = { 0 };
	struct exp_stream *s = NULL;

	assert_int_equal(exp_stream_new(ctx, EXP_TLS_SERVER, -1, &s, &err), -EBADF);
	assert_error(&err, EXP_CODE_SYSTEM, "socket -1");
	assert_null(s);
	exp_stream_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_volume_and_key_updates),
		cmocka_unit_test(test_sends_are_gathered),
		cmocka_unit_test(test_nothing_moves_before_flush),
		cmocka_unit_test(test_close_notify_within_a_read),
		cmocka_unit_test(test_bare_eof),
		cmocka_unit_test(test_writing_to_nobody),
		cmocka_unit_test(test_data_on_the_way_back),
		cmocka_unit_test(test_peer_stops_reading),
		cmocka_unit_test(test_peer_stops_sending),
		cmocka_unit_test(test_deadline_that_has_passed),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_wait_sees_a_cut),
		cmocka_unit_test(test_cancel_wakes_who_waits),
		cmocka_unit_test(test_cancel_wakes_the_reader),
		cmocka_unit_test(test_cancel_wakes_the_writer),
		cmocka_unit_test(test_cancel_counts_for_buffered_data),
		cmocka_unit_test(test_expired_certificate),
		cmocka_unit_test(test_adopt),
		cmocka_unit_test(test_bad_descriptor),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
