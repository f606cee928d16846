/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/rng.h"

static uint64_t rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

/* splitmix64 spreads a small seed over the whole state, as the authors of xoshiro advise */
void exp_rng_seed(struct exp_rng *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

		z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
		r->s[i] = z ^ z >> 31;
	}
}

uint64_t exp_rng_next(struct exp_rng *r)
{
	uint64_t *s = r->s;
	uint64_t result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

uint64_t exp_rng_below(struct exp_rng *r, uint64_t n)
{
	uint64_t limit, v;

	assert(n > 0);
	limit = UINT64_MAX - UINT64_MAX % n;
	do
		v = exp_rng_next(r);
	while (v >= limit);
	return v % n;
}

void exp_random_bytes(void *p, size_t n)
{
	unsigned char *b = p;

	while (n) {
		ssize_t got = getrandom(b, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		b += got;
		n -= (size_t)got;
	}
}
