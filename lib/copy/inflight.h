/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inflight.h - extents that were handed out and are not known to be durable at the destination
 *
 * Two of them never overlap: with several streams the older could arrive last. On each stream of
 * the present bulk session they are numbered from 1 and become durable in that order. Finding an
 * overlap takes logarithmic time. One thread at a time.
 */
#ifndef EXP_COPY_INFLIGHT_H
#define EXP_COPY_INFLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "copy/extent.h"

struct exp_inflight;

/** exp_inflight_new - empty, session 1 with @streams streams; -ENOMEM */
int exp_inflight_new(uint32_t n_ns, uint32_t streams, struct exp_inflight **ret) EXP_MUST_CHECK;
void exp_inflight_free(struct exp_inflight *f); /* NULL is fine */
EXP_DEFINE_CLEANUP(struct exp_inflight *, exp_inflight_free)

/**
 * exp_inflight_add - @x->stream takes it; sets session and seq of @x
 *
 * It overlaps nothing in flight (asserted: the caller asked exp_inflight_next()). -ENOMEM.
 */
int exp_inflight_add(struct exp_inflight *f, struct exp_extent *x) EXP_MUST_CHECK;

/** exp_inflight_next - the first extent of @ns that ends above @pos; false: none */
bool exp_inflight_next(const struct exp_inflight *f, uint32_t ns, uint64_t pos, uint64_t *ret_start,
		       uint64_t *ret_end);

/**
 * exp_inflight_durable - every extent of @stream up to @seq is safe
 *
 * An acknowledgement of a former session says nothing any more and is success, as is one that
 * repeats. -EPROTO: a session, stream or number that was never given out.
 */
int exp_inflight_durable(struct exp_inflight *f, uint32_t session, uint32_t stream, uint64_t seq,
			 struct exp_error *err) EXP_MUST_CHECK;

/** exp_inflight_pop - take any extent out, oldest of its stream first; false: none is left */
bool exp_inflight_pop(struct exp_inflight *f, struct exp_extent *ret);

/** exp_inflight_session - begin the next one; nothing is in flight. Returns its number */
uint32_t exp_inflight_session(struct exp_inflight *f, uint32_t streams);

uint32_t exp_inflight_current(const struct exp_inflight *f); /* number of the session */
uint32_t exp_inflight_streams(const struct exp_inflight *f);
uint64_t exp_inflight_last(const struct exp_inflight *f, uint32_t stream);  /* number, 0 none */
uint32_t exp_inflight_count(const struct exp_inflight *f, uint32_t stream); /* extents */
uint64_t exp_inflight_data(const struct exp_inflight *f, uint32_t stream);  /* bytes of READ */
uint64_t exp_inflight_data_all(const struct exp_inflight *f);               /* on all streams */
bool exp_inflight_empty(const struct exp_inflight *f);

#endif
