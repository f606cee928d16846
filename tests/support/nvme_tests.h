/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nvme_tests.h - for the tests of lib/nvme: commands compared dword by dword, parsers cut short and
 * fed with mutations of good input
 */
#ifndef EXP_TESTS_SUPPORT_NVME_TESTS_H
#define EXP_TESTS_SUPPORT_NVME_TESTS_H

#include <errno.h>

#include "support/tests.h"

#include "base/le.h"
#include "base/rng.h"
#include "nvme/sqe.h"

struct test_dword {
	unsigned int n; /* 0..15 */
	uint32_t value;
};

/* The encoded entry has these dwords and zero in all others: assert_sqe(&c, { 0, 0x41 }, ...) */
#define assert_sqe(c, ...)                                                   \
	test_assert_sqe((c), (const struct test_dword[]){ __VA_ARGS__ },     \
			sizeof((const struct test_dword[]){ __VA_ARGS__ }) / \
				sizeof(struct test_dword),                   \
			__FILE__, __LINE__)
static inline void test_assert_sqe(const struct exp_nvme_cmd *c, const struct test_dword *d,
				   size_t n, const char *file, int line)
{
	uint8_t got[64];
	uint32_t want[16] = { 0 };

	for (size_t i = 0; i < n; i++)
		want[d[i].n] = d[i].value;
	memset(got, 0xa5, sizeof(got));
	exp_nvme_sqe_encode(&c->sqe, got);
	for (unsigned int i = 0; i < 16; i++) {
		if (exp_le32(got + 4 * i) != want[i]) {
			print_error("%s: dword %u is %08x, not %08x\n", c->name, i,
				    exp_le32(got + 4 * i), want[i]);
			_fail(file, line);
		}
	}
}

/* No data; or data that the device reads (@out), writes (@in) */
static inline void assert_no_data(const struct exp_nvme_cmd *c)
{
	assert_null(c->out);
	assert_null(c->in);
	assert_int_equal(c->bytes, 0);
}

static inline void assert_data(const struct exp_nvme_cmd *c, const void *out, const void *in,
			       size_t bytes)
{
	assert_ptr_equal(c->out, out);
	assert_ptr_equal(c->in, in);
	assert_int_equal(c->bytes, bytes);
}

/* Bytes spelled as hex at offset @at of a page of @cap bytes */
static inline void test_at(uint8_t *page, size_t cap, size_t at, const char *hex)
{
	assert_true(at < cap);
	test_hex(page + at, cap - at, hex);
}

/* A parser under test: 0 or the negative errno; what it accepts it looks at itself. */
typedef int (*test_parser)(const uint8_t *p, size_t len, struct exp_error *err);

/* Every shorter input is refused with -EBADMSG and a message, none is read beyond its end. */
static inline void test_truncated(test_parser parse, const uint8_t *good, size_t len)
{
	for (size_t n = 0; n < len; n++) {
		struct exp_error err = { 0 };
		uint8_t *cut = test_exact(good, n);
		int r = parse(cut, n, &err);

		free(cut);
		if (r != -EBADMSG || err.code != EXP_CODE_DEVICE_DATA || !err.msg[0])
			fail_msg("cut at %zu of %zu: result %d, \"%s\"", n, len, r, err.msg);
	}
}

static inline void test_mutate_once(struct exp_rng *rng, uint8_t *p, size_t len)
{
	static const uint32_t edges[] = { 0,      1,      0x7f,       0x80,       0xff,
					  0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff };
	/* half of the time near the front, where the heads and counts are */
	size_t at = exp_rng_below(rng, exp_rng_chance(rng, 1, 2) ? (len < 64 ? len : 64) : len);

	switch (exp_rng_below(rng, 4)) {
	case 0: p[at] ^= (uint8_t)(1u << exp_rng_below(rng, 8)); break;
	case 1: p[at] = (uint8_t)exp_rng_next(rng); break;
	case 2:
		if (at + 4 <= len)
			exp_put_le32(p + at, edges[exp_rng_below(rng, EXP_ARRAY_SIZE(edges))]);
		break;
	case 3:
		if (at + 2 <= len)
			exp_put_le16(p + at,
				     (uint16_t)edges[exp_rng_below(rng, EXP_ARRAY_SIZE(edges))]);
		break;
	}
}

/*
 * @rounds mutations of @good, each in memory of exactly its size: no crash, no byte read beyond,
 * a refusal always says why. Prints the seed of a round that fails.
 */
static inline void test_mutated(test_parser parse, const uint8_t *good, size_t len, uint64_t seed,
				unsigned int rounds)
{
	unsigned int accepted = 0;

	for (unsigned int i = 0; i < rounds; i++) {
		struct exp_error err = { 0 };
		struct exp_rng rng;
		uint8_t *p = test_exact(good, len);
		size_t n = len;
		uint8_t *exact;
		int r;

		exp_rng_seed(&rng, seed + i);
		for (uint64_t k = 1 + exp_rng_below(&rng, 6); k; k--)
			test_mutate_once(&rng, p, len);
		if (exp_rng_chance(&rng, 1, 8))
			n = exp_rng_below(&rng, len + 1);
		exact = test_exact(p, n);
		r = parse(exact, n, &err);
		free(exact);
		free(p);
		accepted += r == 0;
		if (r > 0 || (r < 0 && (err.code == EXP_CODE_OK || !err.msg[0])))
			fail_msg("seed %llu: result %d, code %d, \"%s\"",
				 (unsigned long long)(seed + i), r, err.code, err.msg);
	}
	/* all refused or none: then the loop would have tried one path only */
	if (!accepted || accepted == rounds)
		fail_msg("%u of %u mutations were accepted", accepted, rounds);
}

#define TEST_MUTATIONS 100000u

#endif
