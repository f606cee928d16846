/* SPDX-License-Identifier: Apache-2.0 */
/* Two sessions talk through buffers; the clock is a number. */
#include "support/tests.h"
#include "support/wire_samples.h"

#include <errno.h>

#include "wire/frame.h"
#include "wire/msg.h"
#include "wire/session.h"

static struct exp_msg_hello hello_of(uint8_t host)
{
	struct exp_msg_hello h = { .version_min = 1,
				   .version_max = 1,
				   .host = sample_uuid(host),
				   .db_instance = sample_uuid(0x90) };

	strcpy(h.build, "test");
	return h;
}

static struct exp_sess *session(const struct exp_msg_hello *h)
{
	struct exp_error err = { 0 };
	struct exp_sess *s = NULL;

	assert_ok(exp_sess_new(&EXP_SESS_DEFAULTS, h, 1000, &s, &err), &err);
	return s;
}

static struct exp_sess *plain(uint8_t host)
{
	const struct exp_msg_hello h = hello_of(host);

	return session(&h);
}

/* What was understood, one line per event. */
struct notes {
	char text[4096];
};

static void take_events(struct exp_sess *s, struct notes *n)
{
	struct exp_sess_event ev;

	while (exp_sess_next(s, &ev)) {
		size_t len = strlen(n->text), cap = sizeof(n->text) - len;
		char *at = n->text + len;

		switch (ev.type) {
		case EXP_SESS_EV_HELLO:
			snprintf(at, cap, "hello v%u %s\n", ev.version, ev.msg.hello.build);
			break;
		case EXP_SESS_EV_MSG: snprintf(at, cap, "%s\n", exp_msg_name(ev.msg.type)); break;
		case EXP_SESS_EV_BYE:
			snprintf(at, cap, "bye %u %s\n", (unsigned int)ev.msg.reason.code,
				 ev.msg.reason.msg);
			break;
		}
		exp_msg_done(&ev.msg);
	}
}

static int feed(struct exp_sess *s, uint64_t now, const void *p, size_t n, struct notes *notes,
		struct exp_error *err)
{
	const uint8_t *at = p;

	while (n) {
		int r = exp_sess_feed(s, now, at, n, err);

		if (r < 0)
			return r;
		at += r;
		n -= (size_t)r;
		take_events(s, notes);
	}
	return 0;
}

/* All that @from has to say reaches @to. */
static int carry(struct exp_sess *from, struct exp_sess *to, uint64_t now, struct notes *notes,
		 struct exp_error *err)
{
	const void *p;
	size_t n;

	while ((n = exp_sess_out(from, &p))) {
		int r = feed(to, now, p, n, notes, err);

		if (r < 0)
			return r;
		exp_sess_sent(from, n);
	}
	return 0;
}

static void meet(struct exp_sess *a, struct exp_sess *b)
{
	struct notes n = { 0 };

	assert_int_equal(carry(a, b, 1000, &n, NULL), 0);
	assert_int_equal(carry(b, a, 1000, &n, NULL), 0);
	assert_string_equal(n.text, "hello v1 test\nhello v1 test\n");
	assert_int_equal(exp_sess_state(a), EXP_SESS_OPEN);
	assert_int_equal(exp_sess_state(b), EXP_SESS_OPEN);
}

/* A frame of one message, for what the session itself would not send. */
static size_t frame_of(const struct exp_msg *m, uint8_t *out, size_t cap)
{
	struct exp_error err = { 0 };
	struct exp_buf b;
	size_t n;

	exp_buf_init(&b, cap);
	assert_ok(exp_wire_encode(m, &b, &err), &err);
	n = exp_buf_len(&b);
	memcpy(out, exp_buf_data(&b), n);
	exp_buf_done(&b);
	return n;
}

static void test_messages_and_bye(void **state)
{
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *a = plain(1);
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *b = plain(2);
	struct notes n = { 0 };
	struct exp_error err = { 0 };
	struct exp_msg m;

	(void)state;
	sample_msg(&m, EXP_MSG_QUERY);
	assert_int_equal(exp_sess_send(a, &m, &err), -ENOTCONN);
	assert_error(&err, EXP_CODE_PEER_GONE, "has not begun");
	meet(a, b);
	assert_ok(exp_sess_send(a, &m, &err), &err);
	assert_ok(exp_sess_send(a, &m, &err), &err);
	exp_sess_bye(a, 2000, NULL);
	assert_int_equal(exp_sess_state(a), EXP_SESS_CLOSING);
	assert_int_equal(exp_sess_send(a, &m, &err), -ENOTCONN);
	assert_error(&err, EXP_CODE_PEER_GONE, "has ended");
	assert_int_equal(carry(a, b, 2000, &n, &err), 0);
	assert_int_equal(exp_sess_state(b), EXP_SESS_CLOSED);
	assert_int_equal(carry(b, a, 2000, &n, &err), 0);
	assert_int_equal(exp_sess_state(a), EXP_SESS_CLOSED);
	assert_string_equal(n.text, "query\nquery\nbye 0 \nbye 0 \n");
	assert_ok(exp_sess_eof(a, &err), &err);
	assert_ok(exp_sess_eof(b, &err), &err);
	assert_int_equal(exp_sess_deadline_ms(a), UINT64_MAX);
	assert_int_equal(exp_sess_feed(a, 2000, "x", 1, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, "1 bytes behind the peer's BYE");
}

static void test_bye_with_reason_crosses_messages(void **state)
{
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *a = plain(1);
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *b = plain(2);
	struct notes at_a = { 0 }, at_b = { 0 };
	struct exp_error why = { 0 };
	struct exp_msg m;
	const void *p;

	(void)state;
	meet(a, b);
	exp_error_set(&why, EXP_CODE_STOPPING, ECANCELED, "the daemon stops");
	exp_sess_bye(a, 2000, &why);
	exp_sess_bye(a, 2000, NULL); /* the first counts */
	sample_msg(&m, EXP_MSG_QUERY);
	assert_ok(exp_sess_send(b, &m, NULL), NULL); /* said before it knows */
	assert_int_equal(carry(b, a, 2000, &at_a, NULL), 0);
	assert_int_equal(carry(a, b, 2000, &at_b, NULL), 0);
	assert_int_equal(carry(b, a, 2000, &at_a, NULL), 0);
	assert_string_equal(at_a.text, "query\nbye 0 \n");
	assert_string_equal(at_b.text, "bye 25 the daemon stops\n");
	assert_int_equal(exp_sess_out(a, &p), 0); /* each said it once */
	assert_int_equal(exp_sess_out(b, &p), 0);
	assert_int_equal(exp_sess_state(a), EXP_SESS_CLOSED);
	assert_int_equal(exp_sess_state(b), EXP_SESS_CLOSED);
}

static void test_bye_before_hello_came(void **state)
{
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *a = plain(1);
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *b = plain(2);
	struct notes at_a = { 0 }, at_b = { 0 };

	(void)state;
	exp_sess_bye(a, 1000, NULL);
	assert_int_equal(carry(a, b, 1000, &at_b, NULL), 0);
	assert_int_equal(carry(b, a, 1000, &at_a, NULL), 0);
	assert_string_equal(at_b.text, "hello v1 test\nbye 0 \n");
	assert_string_equal(at_a.text, "bye 0 \n");
}

/* One conversation, whole, a byte at a time, cut at every offset: the same events. */
static void test_any_split(void **state)
{
	static const char want[] = "hello v1 test\nquery\ndata-ack\nactive\nbye 13 full\n";
	static const enum exp_msg_type types[] = { EXP_MSG_QUERY, EXP_MSG_DATA_ACK,
						   EXP_MSG_ACTIVE };
	const struct exp_msg_hello h = hello_of(1);
	struct exp_msg m = { .type = EXP_MSG_HELLO, .hello = h };
	uint8_t b[4096];
	size_t n;

	(void)state;
	n = frame_of(&m, b, sizeof(b));
	m = (struct exp_msg){ .type = EXP_MSG_PING, .request = 5 };
	n += frame_of(&m, b + n, sizeof(b) - n);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(types); i++) {
		sample_msg(&m, types[i]);
		n += frame_of(&m, b + n, sizeof(b) - n);
	}
	m = (struct exp_msg){ .type = EXP_MSG_BYE, .reason = { .code = EXP_CODE_BUSY } };
	strcpy(m.reason.msg, "full");
	n += frame_of(&m, b + n, sizeof(b) - n);
	for (size_t cut = 0; cut <= n + 1; cut++) {
		EXP_CLEANUP(exp_sess_freep) struct exp_sess *s = plain(2);
		struct exp_error err = { 0 };
		struct notes notes = { 0 };

		if (cut <= n) {
			assert_ok(feed(s, 1000, b, cut, &notes, &err), &err);
			if (cut < n)
				assert_int_not_equal(exp_sess_state(s), EXP_SESS_CLOSED);
			assert_ok(feed(s, 1000, b + cut, n - cut, &notes, &err), &err);
		}
		for (size_t i = 0; cut > n && i < n; i++)
			assert_ok(feed(s, 1000, b + i, 1, &notes, &err), &err);
		assert_string_equal(notes.text, want);
		assert_ok(exp_sess_eof(s, &err), &err);
	}
	for (size_t cut = 0; cut < n; cut++) { /* the same, and then nothing more */
		EXP_CLEANUP(exp_sess_freep) struct exp_sess *s = plain(2);
		struct exp_error err = { 0 };
		struct notes notes = { 0 };

		assert_ok(feed(s, 1000, b, cut, &notes, &err), &err);
		assert_int_equal(exp_sess_eof(s, &err), -ECONNRESET);
		assert_int_equal(err.code, EXP_CODE_PEER_GONE);
		assert_int_equal(exp_sess_state(s), EXP_SESS_FAILED);
	}
}

static void test_feeding_stops_at_an_event(void **state)
{
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *s = plain(2);
	struct exp_msg m = { .type = EXP_MSG_HELLO, .hello = hello_of(1) };
	struct exp_sess_event ev;
	uint8_t b[4096];
	size_t first = frame_of(&m, b, sizeof(b)), n;

	(void)state;
	sample_msg(&m, EXP_MSG_QUERY);
	n = first + frame_of(&m, b + first, sizeof(b) - first);
	assert_int_equal(exp_sess_feed(s, 1000, b, n, NULL), first);
	assert_int_equal(exp_sess_feed(s, 1000, b + first, n - first, NULL), 0);
	assert_true(exp_sess_next(s, &ev));
	assert_int_equal(ev.type, EXP_SESS_EV_HELLO);
	assert_true(
		exp_uuid_eq(&ev.msg.hello.host, &(struct exp_uuid){ { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
								      11, 12, 13, 14, 15, 16 } }));
	exp_msg_done(&ev.msg);
	assert_false(exp_sess_next(s, &ev));
	assert_int_equal(exp_sess_feed(s, 1000, b + first, n - first, NULL), n - first);
	/* the event that nobody took is freed with the session */
}

static void versions(uint32_t min_a, uint32_t max_a, uint32_t min_b, uint32_t max_b, uint32_t want)
{
	struct exp_msg_hello ha = hello_of(1), hb = hello_of(2);
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *a = NULL;
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *b = NULL;
	struct exp_error err = { 0 };
	struct notes n = { 0 };
	char part[64];
	int r;

	ha.version_min = min_a, ha.version_max = max_a;
	hb.version_min = min_b, hb.version_max = max_b;
	a = session(&ha);
	b = session(&hb);
	r = carry(a, b, 1000, &n, &err);
	if (want) {
		assert_ok(r, &err);
		snprintf(part, sizeof(part), "hello v%u test\n", want);
		assert_string_equal(n.text, part);
		return;
	}
	assert_int_equal(r, -EPROTO);
	snprintf(part, sizeof(part), "speaks protocol versions %u to %u, this host %u to %u", min_a,
		 max_a, min_b, max_b);
	assert_error(&err, EXP_CODE_VERSION, part);
	/* the peer is told: it finds out by itself from our hello, or reads our BYE */
	assert_int_equal(exp_sess_state(b), EXP_SESS_FAILED);
}

static void test_versions(void **state)
{
	(void)state;
	versions(1, 1, 1, 1, 1);
	versions(1, 3, 2, 5, 3);
	versions(2, 5, 1, 3, 3);
	versions(1, UINT32_MAX, 7, 7, 7);
	versions(1, 1, 2, 3, 0);
	versions(4, 5, 2, 3, 0);
}

static void test_features_are_those_of_both(void **state)
{
	struct exp_msg_hello ha = hello_of(1), hb = hello_of(2);
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *a = NULL;
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *b = NULL;
	struct exp_sess_event ev;
	const void *p;
	size_t n;

	(void)state;
	ha.features = 0x8000000000000003;
	hb.features = 0x8000000000000006;
	a = session(&ha);
	b = session(&hb);
	n = exp_sess_out(a, &p);
	assert_int_equal(exp_sess_feed(b, 1000, p, n, NULL), n);
	assert_true(exp_sess_next(b, &ev));
	assert_true(ev.features == 0x8000000000000002);
	exp_msg_done(&ev.msg);
}

static void test_the_peer_is_told_why(void **state)
{
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *a = plain(1);
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *b = plain(2);
	struct exp_error err = { 0 }, later = { 0 };
	struct notes n = { 0 };
	uint8_t bad[8];

	(void)state;
	meet(a, b);
	test_hex(bad, sizeof(bad), "01000800 00000000");
	assert_int_equal(exp_sess_feed(b, 1000, bad, sizeof(bad), &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, "header length is 524289");
	assert_int_equal(exp_sess_feed(b, 1000, "x", 1, &later), -EPROTO);
	assert_string_equal(later.msg, err.msg);
	assert_int_equal(exp_sess_tick(b, 1000000, &later), -EPROTO);
	assert_int_equal(exp_sess_eof(b, &later), -EPROTO);
	assert_int_equal(exp_sess_deadline_ms(b), UINT64_MAX);
	assert_int_equal(carry(b, a, 1000, &n, NULL), 0);
	assert_string_equal(n.text, "bye 50 frame: header length is 524289, at most 524288 is "
				    "allowed\n");
}

static void fed_after_hello(const struct exp_msg *m, const char *part)
{
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *a = plain(1);
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *b = plain(2);
	struct exp_error err = { 0 };
	uint8_t bytes[4096];

	meet(a, b);
	assert_int_equal(exp_sess_feed(b, 1000, bytes, frame_of(m, bytes, sizeof(bytes)), &err),
			 -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, part);
}

static void test_order(void **state)
{
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *s = plain(2);
	struct exp_error err = { 0 };
	struct exp_msg m = { .type = EXP_MSG_PING, .request = 1 };
	uint8_t b[4096];

	(void)state;
	assert_int_equal(exp_sess_feed(s, 1000, b, frame_of(&m, b, sizeof(b)), &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, "the first message is ping, not hello");
	m = (struct exp_msg){ .type = EXP_MSG_PONG, .request = 1 };
	fed_after_hello(&m, "pong 1, expected 0");
	m = (struct exp_msg){ .type = EXP_MSG_HELLO, .hello = hello_of(1) };
	fed_after_hello(&m, "a second hello");
}

static void test_limits_before_hello(void **state)
{
	static const struct {
		const char *hex, *part;
	} bad[] = {
		{ "01000400 00000000", "header length is 262145, at most 262144" },
		{ "01000000 01000000", "payload length is 1, at most 0" },
	};

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(bad); i++) {
		EXP_CLEANUP(exp_sess_freep) struct exp_sess *s = plain(2);
		struct exp_error err = { 0 };
		uint8_t b[8];

		test_hex(b, sizeof(b), bad[i].hex);
		assert_int_equal(exp_sess_feed(s, 1000, b, sizeof(b), &err), -EPROTO);
		assert_error(&err, EXP_CODE_PROTOCOL, bad[i].part);
	}
}

static void test_own_business(void **state)
{
	static const enum exp_msg_type own[] = { EXP_MSG_HELLO, EXP_MSG_BYE, EXP_MSG_PING,
						 EXP_MSG_PONG };
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *a = plain(1);
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *b = plain(2);
	struct exp_error err = { 0 };
	struct exp_msg m;
	const void *p;

	(void)state;
	meet(a, b);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(own); i++) {
		sample_msg(&m, own[i]);
		assert_int_equal(exp_sess_send(a, &m, &err), -EINVAL);
		assert_error(&err, EXP_CODE_PROTOCOL, "is the session's own business");
		exp_msg_done(&m);
	}
	sample_msg(&m, EXP_MSG_QUERY);
	m.attempt = 0; /* our own bug is told, and the session goes on */
	assert_int_equal(exp_sess_send(a, &m, &err), -EINVAL);
	assert_int_equal(exp_sess_state(a), EXP_SESS_OPEN);
	assert_int_equal(exp_sess_out(a, &p), 0);
}

static void test_keepalive(void **state)
{
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *a = plain(1);
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *b = plain(2);
	struct exp_error err = { 0 };
	struct notes n = { 0 };
	const void *p;

	(void)state;
	meet(a, b);
	assert_int_equal(exp_sess_deadline_ms(a), 1000 + 3000);
	assert_ok(exp_sess_tick(a, 3999, &err), &err);
	assert_int_equal(exp_sess_out(a, &p), 0);
	assert_ok(exp_sess_tick(a, 4000, &err), &err);
	assert_int_equal(exp_sess_deadline_ms(a), 1000 + 10000);
	assert_ok(exp_sess_tick(a, 9000, &err), &err); /* one question at a time */
	assert_hex((exp_sess_out(a, &p), p), exp_sess_out(a, &p), "05000000 00000000 0801ba0600");
	assert_int_equal(carry(a, b, 9000, &n, &err), 0);
	assert_hex((exp_sess_out(b, &p), p), exp_sess_out(b, &p), "05000000 00000000 0801c20600");
	assert_int_equal(carry(b, a, 9500, &n, &err), 0);
	assert_string_equal(n.text, "");
	assert_int_equal(exp_sess_deadline_ms(a), 9500 + 3000);
	assert_ok(exp_sess_tick(a, 12500, &err), &err);
	assert_int_equal(exp_sess_tick(a, 19500, &err), -ETIMEDOUT);
	assert_error(&err, EXP_CODE_PEER_GONE, "nothing came from the peer within 10000 ms");
	assert_int_equal(exp_sess_state(a), EXP_SESS_FAILED);
}

static void test_deadlines(void **state)
{
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *a = plain(1);
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *b = plain(2);
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *c = plain(3);
	struct exp_error err = { 0 };
	uint8_t prefix[8];

	(void)state;
	assert_int_equal(exp_sess_deadline_ms(c), 11000);
	assert_ok(exp_sess_tick(c, 10999, &err), &err);
	assert_int_equal(exp_sess_tick(c, 11000, &err), -ETIMEDOUT);
	assert_error(&err, EXP_CODE_PEER_GONE, "did not say hello within 10000 ms");
	meet(a, b);
	exp_sess_bye(a, 5000, NULL);
	assert_int_equal(exp_sess_deadline_ms(a), 8000);
	assert_int_equal(exp_sess_tick(a, 8000, &err), -ETIMEDOUT);
	assert_error(&err, EXP_CODE_PEER_GONE, "did not answer BYE within 3000 ms");
	/* a peer that drips a message is heard, and yet not waited for for ever */
	test_hex(prefix, sizeof(prefix), "00010000 00000000");
	for (uint64_t now = 2000; now < 62000; now += 2000) {
		size_t i = (size_t)(now - 2000) / 2000;

		assert_int_equal(exp_sess_feed(b, now, i < 8 ? prefix + i : prefix, 1, &err), 1);
		assert_ok(exp_sess_tick(b, now, &err), &err);
		assert_true(exp_sess_deadline_ms(b) <= 62000);
	}
	assert_int_equal(exp_sess_tick(b, 62000, &err), -ETIMEDOUT);
	assert_error(&err, EXP_CODE_PEER_GONE, "did not finish a message within 60000 ms");
}

static void test_backlog(void **state)
{
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *a = plain(1);
	EXP_CLEANUP(exp_sess_freep) struct exp_sess *b = plain(2);
	struct exp_error err = { 0 };
	struct exp_msg m, ping = { .type = EXP_MSG_PING, .request = 1 };
	struct notes n = { 0 };
	const void *p;
	uint8_t bytes[64];
	size_t len;
	int r;

	(void)state;
	meet(a, b);
	sample_msg(&m, EXP_MSG_FINAL);
	free(m.final->state[1].data);
	m.final->state[1].len = EXP_STATE_BLOB_MAX;
	m.final->state[1].data = sample_alloc(1, EXP_STATE_BLOB_MAX);
	do
		r = exp_sess_send(a, &m, &err);
	while (!r);
	assert_int_equal(r, -ENOBUFS);
	assert_error(&err, EXP_CODE_BUSY, "at most 12582912 may");
	assert_in_range(exp_sess_out(a, &p), EXP_SESS_BACKLOG_MAX - 300000, EXP_SESS_BACKLOG_MAX);
	exp_msg_done(&m);
	/* a peer that asks and does not read is dropped, with a BYE that still fits */
	len = frame_of(&ping, bytes, sizeof(bytes));
	for (r = 0; r >= 0;)
		r = feed(a, 1000, bytes, len, &n, &err);
	assert_int_equal(r, -ENOBUFS);
	assert_error(&err, EXP_CODE_BUSY, "the peer asks and does not read");
	assert_true(exp_sess_out(a, &p) < EXP_SESS_BACKLOG_MAX + EXP_SESS_RESERVE);
	len = exp_sess_out(a, &p);
	assert_non_null(
		memmem((const uint8_t *)p + len - 150, 150, "the peer asks and does not", 26));
}

static void test_config_refused(void **state)
{
	struct exp_sess_config cfg = EXP_SESS_DEFAULTS;
	const struct exp_msg_hello h = hello_of(1);
	struct exp_msg_hello bad = h;
	struct exp_error err = { 0 };
	struct exp_sess *s = NULL;

	(void)state;
	cfg.backlog_max = 1000000;
	assert_int_equal(exp_sess_new(&cfg, &h, 0, &s, &err), -EINVAL);
	assert_error(&err, EXP_CODE_INVALID, "cannot hold one message");
	cfg = EXP_SESS_DEFAULTS;
	cfg.ping_ms = cfg.dead_ms;
	assert_int_equal(exp_sess_new(&cfg, &h, 0, &s, &err), -EINVAL);
	bad.version_max = 0;
	assert_int_equal(exp_sess_new(&EXP_SESS_DEFAULTS, &bad, 0, &s, &err), -EINVAL);
	assert_null(s);
	exp_sess_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_and_bye),
		cmocka_unit_test(test_bye_with_reason_crosses_messages),
		cmocka_unit_test(test_bye_before_hello_came),
		cmocka_unit_test(test_any_split),
		cmocka_unit_test(test_feeding_stops_at_an_event),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_features_are_those_of_both),
		cmocka_unit_test(test_the_peer_is_told_why),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_limits_before_hello),
		cmocka_unit_test(test_own_business),
		cmocka_unit_test(test_keepalive),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_backlog),
		cmocka_unit_test(test_config_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
