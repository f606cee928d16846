/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.h - bytes that grow up to a stated limit, filled at the end and consumed at the front
 */
#ifndef EXP_BASE_BUF_H
#define EXP_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct exp_buf {
	uint8_t *mem;
	size_t start, end; /* the content is mem[start..end) */
	size_t cap;        /* bytes allocated */
	size_t max;        /* most bytes of content; beyond it -E2BIG */
};

static inline size_t exp_buf_len(const struct exp_buf *b)
{
	return b->end - b->start;
}

/* Borrowed until the next call that changes the buffer. */
static inline const uint8_t *exp_buf_data(const struct exp_buf *b)
{
	return b->mem ? b->mem + b->start : NULL;
}

void exp_buf_init(struct exp_buf *b, size_t max);
void exp_buf_done(struct exp_buf *b); /* releases; the buffer can be used again */

/**
 * exp_buf_reserve - room for @n more bytes; write there, then exp_buf_commit() what was written
 * -E2BIG: would pass max; -ENOMEM. The content is untouched on failure.
 */
int exp_buf_reserve(struct exp_buf *b, size_t n, uint8_t **ret) EXP_MUST_CHECK;
void exp_buf_commit(struct exp_buf *b, size_t n); /* asserts that so much was reserved */
/** exp_buf_add - reserve, copy, commit; @p must not point into the buffer */
int exp_buf_add(struct exp_buf *b, const void *p, size_t n) EXP_MUST_CHECK;
void exp_buf_consume(struct exp_buf *b, size_t n); /* asserts that so much is there */

EXP_DEFINE_CLEANUP(struct exp_buf *, exp_buf_done)

#endif
