/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of every type, changed at random (seeded), fed to parser and decoder. Whatever comes out
 * is either an error with a sentence or a message that encodes, and decodes again to the same.
 */
#include "support/tests.h"
#include "support/wire_samples.h"

#include <errno.h>

#include "base/rng.h"
#include "wire/msg.h"

#define ROUNDS 60000
#define SEED   20240817

struct bytes {
	uint8_t *p;
	size_t n;
};

static struct bytes encoded(const struct exp_msg *m)
{
	struct exp_error err = { 0 };
	struct exp_buf out;
	struct bytes b;

	exp_buf_init(&out, 16 << 20);
	assert_ok(exp_wire_encode(m, &out, &err), &err);
	b = (struct bytes){ sample_alloc(1, exp_buf_len(&out)), exp_buf_len(&out) };
	memcpy(b.p, exp_buf_data(&out), b.n);
	exp_buf_done(&out);
	return b;
}

/* 0 and a message, or the error; -EAGAIN when the bytes are no whole frame. */
static int decoded(const uint8_t *p, size_t n, struct exp_msg *ret, struct exp_error *err)
{
	struct exp_frame_parser parser;
	struct exp_frame f;
	size_t used = 0;
	int r;

	exp_frame_init(&parser);
	r = exp_frame_feed(&parser, p, n, &used, err);
	if (!r && !exp_frame_ready(&parser, &f))
		r = -EAGAIN;
	else if (!r)
		r = exp_wire_decode(&f, ret, err);
	exp_frame_done(&parser);
	return r;
}

/* A new copy of @b with one to four changes; sometimes the lengths are put right again. */
static struct bytes mutate(const struct bytes *b, const struct bytes *other, struct exp_rng *rng)
{
	struct bytes m = { sample_alloc(1, b->n + 64), b->n };
	uint32_t header = (uint32_t)b->p[0] | (uint32_t)b->p[1] << 8;

	memcpy(m.p, b->p, b->n);
	for (uint64_t i = 1 + exp_rng_below(rng, 4); i; i--) {
		size_t at = exp_rng_below(rng, m.n), k = exp_rng_below(rng, 12);

		switch (exp_rng_below(rng, 6)) {
		case 0: m.p[at] ^= (uint8_t)(1 << exp_rng_below(rng, 8)); break;
		case 1: m.p[at] = (uint8_t)exp_rng_next(rng); break;
		case 2: m.p[at] = exp_rng_chance(rng, 1, 2) ? 0xff : 0; break;
		case 3: /* bytes go */
			k = EXP_MIN(k, m.n - at - 1);
			memmove(m.p + at, m.p + at + k, m.n - at - k);
			m.n -= k;
			break;
		case 4: /* bytes come, from another message */
			if (m.n + k > b->n + 64)
				break;
			memmove(m.p + at + k, m.p + at, m.n - at);
			for (size_t x = 0; x < k; x++)
				m.p[at + x] = other->p[exp_rng_below(rng, other->n)];
			m.n += k;
			break;
		case 5: /* a run of bytes is repeated elsewhere */
			k = EXP_MIN(k, m.n - at);
			memmove(m.p + exp_rng_below(rng, m.n - k + 1), m.p + at, k);
			break;
		}
	}
	if (m.n > 8 && exp_rng_chance(rng, 3, 4)) { /* else the lengths are off too */
		uint32_t h = EXP_MIN(header + (uint32_t)exp_rng_below(rng, 3) - 1,
				     (uint32_t)m.n - 8);

		if (exp_rng_chance(rng, 2, 3) && m.n >= b->n - header)
			h = (uint32_t)(header + m.n - b->n); /* what changed was the header */
		h = h && h <= m.n - 8 ? h : (uint32_t)m.n - 8;
		exp_frame_put_prefix(m.p, h, (uint32_t)m.n - 8 - h);
	}
	return m;
}

static void check(const struct bytes *b, unsigned int *good, unsigned int *bad)
{
	struct exp_error err = { 0 };
	struct exp_msg m = { 0 }, again = { 0 };
	struct bytes first, second;
	uint8_t *exact = sample_alloc(1, b->n + 1);
	int r;

	memcpy(exact, b->p, b->n);
	r = decoded(exact, b->n, &m, &err);
	free(exact);
	if (r < 0) {
		if (r != -EAGAIN) {
			assert_int_equal(r, -EPROTO);
			assert_int_equal(err.code, EXP_CODE_PROTOCOL);
			assert_true(err.msg[0] != '\0');
		}
		(*bad)++;
		return;
	}
	(*good)++;
	first = encoded(&m);
	assert_ok(decoded(first.p, first.n, &again, &err), &err);
	second = encoded(&again);
	assert_int_equal(first.n, second.n);
	assert_memory_equal(first.p, second.p, first.n);
	free(first.p);
	free(second.p);
	exp_msg_done(&m);
	exp_msg_done(&again);
}

static void test_mutations(void **state)
{
	struct bytes corpus[EXP_ARRAY_SIZE(sample_types)];
	unsigned int good = 0, bad = 0;
	struct exp_rng rng;

	(void)state;
	exp_rng_seed(&rng, SEED);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(corpus); i++) {
		struct exp_msg m;

		sample_msg(&m, sample_types[i]);
		corpus[i] = encoded(&m);
		exp_msg_done(&m);
	}
	for (int i = 0; i < ROUNDS; i++) {
		size_t k = exp_rng_below(&rng, EXP_ARRAY_SIZE(corpus));
		size_t other = exp_rng_below(&rng, EXP_ARRAY_SIZE(corpus));
		struct bytes m = mutate(&corpus[k], &corpus[other], &rng);

		check(&m, &good, &bad);
		free(m.p);
	}
	/* both happen often, or the loop tests nothing */
	print_message("seed %d: %u decoded, %u refused\n", SEED, good, bad);
	assert_true(good > ROUNDS / 20);
	assert_true(bad > ROUNDS / 20);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(corpus); i++)
		free(corpus[i].p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
