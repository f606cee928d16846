/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cover.c - a bit per whole leaf of 2 MiB; a hash table of the leaves that are begun
 *
 * Open addressing with linear probing and backward-shift deletion, so a leaf that becomes whole
 * leaves nothing behind. In a copy that goes front to back only a few leaves are ever begun.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/cover.h"

#define LEAF_BLOCKS (EXP_COVER_LEAF_BYTES / EXP_COVER_BLOCK_BYTES) /* 512 */
#define LEAF_WORDS  (LEAF_BLOCKS / 64)
#define SLOTS_MIN   64
#define NO_LEAF     UINT64_MAX

struct slot {
	uint64_t leaf; /* NO_LEAF: free */
	uint64_t bits[LEAF_WORDS];
};

struct exp_cover {
	uint64_t bytes, blocks, leaves;
	uint64_t covered; /* blocks */
	uint64_t *whole;  /* bit per leaf */
	struct slot *slots;
	size_t n_slots, n_used; /* n_slots is a power of two */
};

static struct slot *slots_new(size_t n)
{
	struct slot *s = calloc(n, sizeof(*s));

	for (size_t i = 0; s && i < n; i++)
		s[i].leaf = NO_LEAF;
	return s;
}

int exp_cover_new(uint64_t bytes, struct exp_cover **ret)
{
	EXP_CLEANUP(exp_cover_freep) struct exp_cover *c = NULL;

	if (!bytes || bytes > INT64_MAX)
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->bytes = bytes;
	c->blocks = (bytes + EXP_COVER_BLOCK_BYTES - 1) / EXP_COVER_BLOCK_BYTES;
	c->leaves = (c->blocks + LEAF_BLOCKS - 1) / LEAF_BLOCKS;
	c->whole = calloc((c->leaves + 63) / 64, sizeof(*c->whole));
	c->n_slots = SLOTS_MIN;
	c->slots = slots_new(c->n_slots);
	if (!c->whole || !c->slots)
		return -ENOMEM;
	*ret = EXP_TAKE(c);
	return 0;
}

void exp_cover_free(struct exp_cover *c)
{
	if (!c)
		return;
	free(c->whole);
	free(c->slots);
	free(c);
}

static bool is_whole(const struct exp_cover *c, uint64_t leaf)
{
	return c->whole[leaf / 64] >> (leaf % 64) & 1;
}

static unsigned int leaf_blocks(const struct exp_cover *c, uint64_t leaf)
{
	uint64_t left = c->blocks - leaf * LEAF_BLOCKS;

	return left < LEAF_BLOCKS ? (unsigned int)left : LEAF_BLOCKS;
}

static size_t home(uint64_t leaf, size_t n_slots)
{
	/* multiplicative hashing: leaves come in runs */
	return (size_t)(leaf * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (n_slots - 1);
}

static struct slot *probe(struct slot *slots, size_t n, uint64_t leaf)
{
	size_t i = home(leaf, n);

	while (slots[i].leaf != leaf && slots[i].leaf != NO_LEAF)
		i = (i + 1) & (n - 1);
	return &slots[i];
}

static int grow(struct exp_cover *c)
{
	struct slot *bigger = slots_new(c->n_slots * 2);

	if (!bigger)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_slots; i++)
		if (c->slots[i].leaf != NO_LEAF)
			*probe(bigger, c->n_slots * 2, c->slots[i].leaf) = c->slots[i];
	free(c->slots);
	c->slots = bigger;
	c->n_slots *= 2;
	return 0;
}

static void remove_slot(struct exp_cover *c, struct slot *s)
{
	size_t mask = c->n_slots - 1, hole = (size_t)(s - c->slots), i = hole;

	for (;;) {
		i = (i + 1) & mask;
		if (c->slots[i].leaf == NO_LEAF)
			break;
		/* may the entry at i move to the hole? only if its home is not between them */
		if (((i - home(c->slots[i].leaf, c->n_slots)) & mask) >= ((i - hole) & mask)) {
			c->slots[hole] = c->slots[i];
			hole = i;
		}
	}
	c->slots[hole] = (struct slot){ .leaf = NO_LEAF };
	c->n_used--;
}

/* Blocks [@first, @first + @n) of @leaf are there. */
static int add_blocks(struct exp_cover *c, uint64_t leaf, unsigned int first, unsigned int n)
{
	unsigned int all = leaf_blocks(c, leaf), set = 0;
	struct slot *s;

	if (is_whole(c, leaf))
		return 0;
	s = probe(c->slots, c->n_slots, leaf);
	if (s->leaf == NO_LEAF && n < all) {
		if (c->n_used * 4 >= c->n_slots * 3) {
			int r = grow(c);

			if (r < 0)
				return r;
			s = probe(c->slots, c->n_slots, leaf);
		}
		*s = (struct slot){ .leaf = leaf };
		c->n_used++;
	}
	if (n == all) {
		for (unsigned int w = 0; s->leaf != NO_LEAF && w < LEAF_WORDS; w++)
			set += (unsigned int)__builtin_popcountll(s->bits[w]);
		c->covered += all - set;
	} else {
		for (unsigned int b = first; b < first + n; b++) {
			uint64_t bit = UINT64_C(1) << (b % 64);

			c->covered += !(s->bits[b / 64] & bit);
			s->bits[b / 64] |= bit;
		}
		for (unsigned int w = 0; w < LEAF_WORDS; w++)
			set += (unsigned int)__builtin_popcountll(s->bits[w]);
		if (set < all)
			return 0;
	}
	c->whole[leaf / 64] |= UINT64_C(1) << (leaf % 64);
	if (s->leaf != NO_LEAF)
		remove_slot(c, s);
	return 0;
}

int exp_cover_add(struct exp_cover *c, uint64_t offset, uint64_t len)
{
	uint64_t first, end;

	assert(offset <= c->bytes && len <= c->bytes - offset);
	first = (offset + EXP_COVER_BLOCK_BYTES - 1) / EXP_COVER_BLOCK_BYTES;
	end = offset + len == c->bytes ? c->blocks : (offset + len) / EXP_COVER_BLOCK_BYTES;
	while (first < end) {
		uint64_t leaf = first / LEAF_BLOCKS;
		unsigned int at = (unsigned int)(first % LEAF_BLOCKS);
		unsigned int n = (unsigned int)EXP_MIN(end - first, (uint64_t)LEAF_BLOCKS - at);
		int r = add_blocks(c, leaf, at, n);

		if (r < 0)
			return r;
		first += n;
	}
	return 0;
}

bool exp_cover_whole(const struct exp_cover *c)
{
	return c->covered == c->blocks;
}

static bool block_there(const struct exp_cover *c, uint64_t block)
{
	uint64_t leaf = block / LEAF_BLOCKS, at = block % LEAF_BLOCKS;
	const struct slot *s;

	if (is_whole(c, leaf))
		return true;
	s = probe(c->slots, c->n_slots, leaf);
	return s->leaf == leaf && s->bits[at / 64] >> (at % 64) & 1;
}

uint64_t exp_cover_missing(const struct exp_cover *c, uint64_t *ret_offset)
{
	uint64_t missing = (c->blocks - c->covered) * EXP_COVER_BLOCK_BYTES, leaf = 0, block;

	if (!missing)
		return 0;
	while (is_whole(c, leaf))
		leaf++;
	for (block = leaf * LEAF_BLOCKS; block_there(c, block);)
		block++;
	*ret_offset = block * EXP_COVER_BLOCK_BYTES;
	if (!block_there(c, c->blocks - 1)) /* what its last block has beyond the namespace */
		missing -= c->blocks * EXP_COVER_BLOCK_BYTES - c->bytes;
	return missing;
}
