/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_emu_vfu_stream.c - one vfio-user conversation whole, by bytes and cut everywhere; hostile
 * input
 */
#include "support/vfu_bytes.h"

/* --- one conversation: whole, a byte at a time, cut everywhere --- */

struct script {
	uint8_t b[8192];
	size_t len, n;
	size_t at[32];  /* where message i begins */
	int fds[32][2]; /* what goes with it */
	size_t n_fds[32];
};

static void say(struct script *s, uint16_t cmd, uint32_t flags, const void *body, size_t len,
		const int *fds, size_t n_fds)
{
	s->at[s->n] = s->len;
	s->n_fds[s->n] = n_fds;
	for (size_t i = 0; i < n_fds; i++)
		s->fds[s->n][i] = fds[i];
	s->len += build(s->b + s->len, (uint16_t)s->n, cmd, flags, body, len);
	s->n++;
	s->at[s->n] = s->len;
}

static void conversation(struct script *s, int mem, const int *events)
{
	uint8_t b[128] = { 0 };

	memset(s, 0, sizeof(*s));
	say(s, VERSION, 0, "\0\0\1\0{\"capabilities\":{}}", 24, NULL, 0);
	b[0] = 16;
	say(s, GET_INFO, 0, b, 16, NULL, 0);
	b[0] = 64;
	say(s, REGION_INFO, 0, b, 64, NULL, 0);
	memset(b, 0, sizeof(b));
	b[0] = 32;
	b[4] = 3;
	exp_put_le64(b + 16, 0x100000);
	exp_put_le64(b + 24, 0x2000);
	say(s, DMA_MAP, 0, b, 32, &mem, 1);
	memset(b, 0, sizeof(b));
	exp_put_le64(b, 4);
	b[8] = 7;
	b[12] = 2;
	exp_put_le16(b + 16, 6);
	say(s, WRITE, 0x10, b, 18, NULL, 0);
	memset(b, 0, sizeof(b));
	b[0] = 20;
	b[4] = 0x24;
	b[8] = 2;
	b[16] = 2;
	say(s, SET_IRQS, 0, b, 20, events, 2);
	memset(b, 0, sizeof(b));
	b[0] = 0x14;
	b[12] = 4;
	say(s, WRITE, 0, b, 20, NULL, 0);
	b[0] = 0x1c;
	say(s, READ, 0, b, 16, NULL, 0);
	memset(b, 0, sizeof(b));
	b[0] = 24;
	exp_put_le64(b + 8, 0x100000);
	exp_put_le64(b + 16, 0x2000);
	say(s, DMA_UNMAP, 0, b, 24, NULL, 0);
	say(s, RESET, 0, NULL, 0, NULL, 0);
}

/* Sends bytes [from, to) in one piece, descriptors with the first byte of their message. */
static void send_part(struct fixture *f, const struct script *s, size_t from, size_t to)
{
	for (size_t i = 0; i < s->n; i++) {
		size_t a = EXP_MAX(from, s->at[i]), b = EXP_MIN(to, s->at[i + 1]);

		if (a < b)
			send_raw(f->fd, s->b + a, b - a, s->fds[i],
				 a == s->at[i] ? s->n_fds[i] : 0);
	}
}

/* Reads all there is; the descriptors are closed. */
static size_t drain(struct fixture *f, uint8_t *out, size_t cap)
{
	static struct answer a;
	size_t len = 0;

	for (;;) {
		get(f, &a);
		if (!a.len)
			return len;
		if (a.fd >= 0)
			close(a.fd);
		assert_true(len + a.len <= cap);
		memcpy(out + len, a.b, a.len);
		len += a.len;
	}
}

static void test_conversation_whole_and_by_bytes(void **state)
{
	struct fixture *f = *state;
	static struct script s;
	static uint8_t whole[8192], bytes[8192];
	int mem = memory(0x2000), ev[2] = { eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC) };
	unsigned int before = open_fds();
	size_t n, m = 0;

	conversation(&s, mem, ev);
	f->fd = dial(f);
	send_part(f, &s, 0, s.len);
	turn(f);
	n = drain(f, whole, sizeof(whole));
	/* nine answers: VERSION 85, 32, 80, 16, (posted), 16, 32, 36, 40, 16 */
	assert_int_equal(n, 85 + 32 + 80 + 16 + 16 + 32 + 36 + 40 + 16);
	hang_up(f);
	assert_int_equal(open_fds(), before);
	f->fd = dial(f);
	for (size_t i = 0; i < s.len; i++) {
		send_part(f, &s, i, i + 1);
		turn(f);
		m += drain(f, bytes + m, sizeof(bytes) - m);
	}
	assert_int_equal(m, n);
	assert_memory_equal(whole, bytes, n);
	hang_up(f);
	assert_int_equal(open_fds(), before);
	close(mem);
	close(ev[0]);
	close(ev[1]);
}

static void test_conversation_cut_at_every_offset(void **state)
{
	struct fixture *f = *state;
	static struct script s;
	static uint8_t sink[8192];
	int mem = memory(0x2000), ev[2] = { eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC) };
	unsigned int before = open_fds();

	conversation(&s, mem, ev);
	for (size_t cut = 0; cut <= s.len; cut++) {
		f->fd = dial(f);
		send_part(f, &s, 0, cut);
		if (cut % 2) /* seen as it comes, or only when it is over */
			turn(f);
		drain(f, sink, sizeof(sink));
		hang_up(f);
		assert_int_equal(open_fds(), before);
		assert_int_equal(f->connects, f->disconnects);
	}
	close(mem);
	close(ev[0]);
	close(ev[1]);
}

/* --- hostile input --- */

static void test_untrustworthy_headers_close(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 15, 16 + 16 + 1048576 + 1, 0x7fffffff, UINT32_MAX };
	struct fixture *f = *state;
	static struct answer a;
	uint8_t m[16];

	for (size_t i = 0; i < EXP_ARRAY_SIZE(sizes); i++) {
		hello(f);
		build(m, 1, READ, 0, NULL, 0);
		exp_put_le32(m + 4, sizes[i]);
		send_raw(f->fd, m, 16, NULL, 0);
		turn(f);
		get(f, &a);
		assert_true(a.eof);
		hang_up(f);
	}
	for (uint32_t type = 1; type < 16; type++) {
		hello(f);
		build(m, 1, RESET, type, NULL, 0);
		send_raw(f->fd, m, 16, NULL, 0);
		turn(f);
		get(f, &a);
		assert_true(a.eof);
		hang_up(f);
	}
	assert_int_equal(f->resets, 0);
	/* the largest that is allowed: refused for its content, and the stream goes on */
	hello(f);
	uint8_t *big = calloc(1, 16 + 16 + 1048576);
	size_t len = build(big, 9, READ, 0, big, 0), sent = 0;

	exp_put_le32(big + 4, 16 + 16 + 1048576);
	len = 16 + 16 + 1048576;
	exp_put_le32(big + 16 + 8, 1);
	while (sent < len) {
		ssize_t n = send(f->fd, big + sent, len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			sent += (size_t)n;
		vfu_poll(f->v, 0);
	}
	free(big);
	turn(f);
	get(f, &a);
	assert_int_equal(exp_le32(a.b + 12), EINVAL);
	assert_int_equal(ask(f, RESET, NULL, 0, &a), 0);
}

static void test_bodies_too_short(void **state)
{
	static const size_t min[] = { 0, 4, 32, 24, 16, 32, 16, 16, 20, 16, 16 };
	struct fixture *f = *state;
	static struct answer a;
	uint8_t b[64];

	hello(f);
	memset(b, 0xff, sizeof(b));
	for (uint16_t cmd = 2; cmd <= 10; cmd++) {
		for (size_t len = 0; len < min[cmd]; len++)
			assert_int_equal(ask(f, cmd, b, len, &a), EINVAL);
	}
}

static void test_surplus_descriptors_are_closed(void **state)
{
	struct fixture *f = *state;
	static struct answer a;
	uint8_t b[64] = { 0 };
	int fds[20];
	unsigned int before;

	for (size_t i = 0; i < 20; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	hello(f);
	before = open_fds();
	for (uint16_t cmd = 0; cmd <= 19; cmd++) {
		for (size_t n = 1; n <= 16; n++) {
			if (cmd == VERSION)
				continue;
			ask_fds(f, cmd, b, sizeof(b), fds, n, &a);
			assert_int_equal(open_fds(), before);
		}
	}
	/* with a body, where nobody looks for them */
	build(b, 7, READ, 0, NULL, 0);
	exp_put_le32(b + 4, 32);
	send_raw(f->fd, b, 16, NULL, 0);
	memset(b, 0, 16);
	send_raw(f->fd, b, 16, fds, 3);
	turn(f);
	get(f, &a);
	assert_int_equal(open_fds(), before);
	/* more than were promised room: no stream to trust */
	build(b, 8, RESET, 0, NULL, 0);
	send_raw(f->fd, b, 16, fds, 20);
	turn(f);
	get(f, &a);
	assert_true(a.eof);
	hang_up(f);
	for (size_t i = 0; i < 20; i++)
		close(fds[i]);
}

static void test_random_messages(void **state)
{
	struct fixture *f = *state;
	static struct answer a;
	struct exp_rng rng;
	int mem = memory(0x10000), ev = eventfd(0, EFD_CLOEXEC);
	unsigned int before;

	exp_rng_seed(&rng, 20261122);
	before = open_fds();
	for (int i = 0; i < 20000; i++) {
		uint8_t b[96];
		int fds[2] = { exp_rng_chance(&rng, 1, 2) ? mem : ev, ev };
		size_t len = exp_rng_below(&rng, sizeof(b));
		size_t n_fds = exp_rng_chance(&rng, 1, 3) ? exp_rng_below(&rng, 3) : 0;

		if (f->fd < 0)
			hello(f);
		for (size_t k = 0; k < sizeof(b); k++)
			b[k] = exp_rng_chance(&rng, 2, 3) ? 0 : (uint8_t)exp_rng_next(&rng);
		exp_put_le32(b, exp_rng_chance(&rng, 1, 2) ? 64 : exp_le32(b));
		ask_fds(f, (uint16_t)(2 + exp_rng_below(&rng, 13)), b, len, fds, n_fds, &a);
		if (a.fd >= 0)
			close(a.fd);
		if (exp_rng_chance(&rng, 1, 200)) {
			hang_up(f);
			assert_int_equal(open_fds(), before);
		}
	}
	close(mem);
	close(ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_conversation_whole_and_by_bytes),
		CASE(test_conversation_cut_at_every_offset),
		CASE(test_untrustworthy_headers_close),
		CASE(test_bodies_too_short),
		CASE(test_surplus_descriptors_are_closed),
		CASE(test_random_messages),
	};

	return cmocka_run_group_tests_name("emu_vfu_stream", tests, NULL, NULL);
}
