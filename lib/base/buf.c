/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

void exp_buf_init(struct exp_buf *b, size_t max)
{
	*b = (struct exp_buf){ .max = max };
}

void exp_buf_done(struct exp_buf *b)
{
	if (!b)
		return;
	free(b->mem);
	exp_buf_init(b, b->max);
}

int exp_buf_reserve(struct exp_buf *b, size_t n, uint8_t **ret)
{
	size_t len = exp_buf_len(b), cap;
	uint8_t *mem;

	if (n > b->max || len > b->max - n)
		return -E2BIG;
	if (b->cap - b->end >= n && b->mem) {
		*ret = b->mem + b->end;
		return 0;
	}
	if (b->mem && b->cap - len >= n) {
		memmove(b->mem, b->mem + b->start, len);
	} else {
		/* doubling keeps appends linear in all; max bounds it */
		cap = EXP_MAX(EXP_MAX(len + n, EXP_MIN(b->cap * 2, b->max)), (size_t)64);
		mem = malloc(cap);
		if (!mem)
			return -ENOMEM;
		if (len)
			memcpy(mem, b->mem + b->start, len);
		free(b->mem);
		b->mem = mem;
		b->cap = cap;
	}
	b->start = 0;
	b->end = len;
	*ret = b->mem + len;
	return 0;
}

void exp_buf_commit(struct exp_buf *b, size_t n)
{
	assert(n <= b->cap - b->end);
	b->end += n;
}

int exp_buf_add(struct exp_buf *b, const void *p, size_t n)
{
	uint8_t *dst;
	int r;

	r = exp_buf_reserve(b, n, &dst);
	if (r < 0)
		return r;
	if (n)
		memcpy(dst, p, n);
	exp_buf_commit(b, n);
	return 0;
}

void exp_buf_consume(struct exp_buf *b, size_t n)
{
	assert(n <= exp_buf_len(b));
	b->start += n;
	if (b->start == b->end)
		b->start = b->end = 0;
}
