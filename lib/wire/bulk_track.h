/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulk_track.h - what the destination knows of one job's bulk data: received, written, durable
 *
 * Per stream of the present bulk session, sequence numbers: an extent is *received* when its
 * header and CRC were good, *written* when the device completed it (in any order: a number counts
 * as written when all below it are), *durable* when a device Flush that began after it was written
 * has completed. DATA_ACK says durable and written. Over all sessions, which bytes of each
 * namespace were ever written: a later Flush makes those durable too, whatever session they came
 * in.
 *
 * One thread at a time: the loop thread, told by the bulk threads.
 */
#ifndef EXP_WIRE_BULK_TRACK_H
#define EXP_WIRE_BULK_TRACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "model/msg.h"
#include "wire/bulk.h"

#define EXP_BULK_TRACK_WINDOW 1024 /* extents received and not written yet, per stream, at most */
#define EXP_BULK_FLUSH_BYTES  (64u * 1024 * 1024)
#define EXP_BULK_FLUSH_MS     1000

struct exp_bulk_track;

/** exp_bulk_track_new - for a job with @n_exports namespaces; no session yet */
int exp_bulk_track_new(const struct exp_bulk_ns *ns, uint32_t n_exports,
		       struct exp_bulk_track **ret) EXP_MUST_CHECK;
void exp_bulk_track_free(struct exp_bulk_track *t); /* NULL is fine */
EXP_DEFINE_CLEANUP(struct exp_bulk_track *, exp_bulk_track_free)

/**
 * exp_bulk_track_session - begin @session with @streams streams, all at sequence 0
 *
 * Only when no extent of the former one is between received and written: -EBUSY otherwise (its
 * writers must be drained first). -EINVAL: the number does not go up, or too many streams.
 */
int exp_bulk_track_session(struct exp_bulk_track *t, uint32_t session, uint32_t streams,
			   struct exp_error *err) EXP_MUST_CHECK;

/** exp_bulk_track_received - next in sequence on @stream; -ENOBUFS over the window, -EPROTO else */
int exp_bulk_track_received(struct exp_bulk_track *t, uint16_t stream,
			    const struct exp_bulk_extent *x, struct exp_error *err) EXP_MUST_CHECK;

/** exp_bulk_track_written - the device completed it; -EPROTO: was not received, or twice. -ENOMEM
 */
int exp_bulk_track_written(struct exp_bulk_track *t, uint16_t stream, uint64_t seq, uint64_t now_ms,
			   struct exp_error *err) EXP_MUST_CHECK;

/** exp_bulk_track_ended - the end record came: nothing more will be received on @stream */
int exp_bulk_track_ended(struct exp_bulk_track *t, uint16_t stream,
			 struct exp_error *err) EXP_MUST_CHECK;

/** exp_bulk_track_idle - is nothing between received and written? */
bool exp_bulk_track_idle(const struct exp_bulk_track *t);

/**
 * exp_bulk_track_flush_due - when a Flush is due: 0 now, else monotonic ms, UINT64_MAX none
 *
 * 64 MiB after, or 1 s after, the first write that no Flush covers; one Flush at a time.
 */
uint64_t exp_bulk_track_flush_due(const struct exp_bulk_track *t);

/** exp_bulk_track_flush_begin - about to submit Flush: what is written now will be durable */
void exp_bulk_track_flush_begin(struct exp_bulk_track *t);

/** exp_bulk_track_flush_end - it completed; @ok false: nothing became durable */
void exp_bulk_track_flush_end(struct exp_bulk_track *t, bool ok);

/** exp_bulk_track_ack - what DATA_ACK says now; false: nothing new since the last call */
bool exp_bulk_track_ack(struct exp_bulk_track *t, struct exp_msg_data_ack *ret);

/**
 * exp_bulk_track_complete - is all that FINAL names durable, and every namespace covered?
 * Returns 0; -EAGAIN when something it names is not durable yet (wait, flush, ask again);
 * -EPROTO when it can never be: another session, other streams, fewer or more extents, a hole.
 */
int exp_bulk_track_complete(const struct exp_bulk_track *t, const struct exp_msg_final *f,
			    struct exp_error *err) EXP_MUST_CHECK;

#endif
