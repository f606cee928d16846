/* SPDX-License-Identifier: Apache-2.0 */
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/pool.h"

#define BLOCK_BYTES 8192

struct exp_pool_block {
	struct exp_pool_block *next;
	size_t used, cap;
	alignas(max_align_t) unsigned char mem[];
};

void exp_pool_done(struct exp_pool *p)
{
	while (p->blocks) {
		struct exp_pool_block *b = p->blocks;

		p->blocks = b->next;
		free(b);
	}
	p->used = 0;
}

void *exp_pool_get(struct exp_pool *p, size_t n)
{
	struct exp_pool_block *b = p->blocks;
	void *ret;

	if (n > p->max || p->used > p->max - n) {
		p->full = true;
		return NULL;
	}
	n = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (!n)
		n = alignof(max_align_t); /* protobuf-c asks for nothing and wants a pointer */
	if (!b || b->cap - b->used < n) {
		size_t cap = EXP_MAX(n, (size_t)BLOCK_BYTES);

		b = malloc(sizeof(*b) + cap);
		if (!b) {
			p->failed = true;
			return NULL;
		}
		*b = (struct exp_pool_block){ .next = p->blocks, .cap = cap };
		p->blocks = b;
	}
	ret = b->mem + b->used;
	b->used += n;
	p->used += n;
	memset(ret, 0, n);
	return ret;
}

void *exp_pool_array(struct exp_pool *p, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		p->full = true;
		return NULL;
	}
	return exp_pool_get(p, bytes);
}
