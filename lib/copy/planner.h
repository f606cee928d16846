/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planner.h - what of a job's namespaces to send next, and what is safely there
 *
 * The rules that keep writes: a range leaves the dirty map before its read is issued, so that a
 * change noticed later puts it back; no extent is handed out while one that overlaps it is
 * unacknowledged; what was not acknowledged when a bulk session ended is to be sent again. The
 * first pass is a cursor over the allocated ranges; behind the cursor only changes count, ahead of
 * it a change in an allocated range needs no mark of its own. All of a namespace is handed out at
 * least once: what is not allocated as EXP_EXTENT_UNALLOCATED.
 *
 * No I/O, no clock, no threads: the caller serialises calls (a mutex around it in the daemon, one
 * thread in the simulation). Offsets and lengths are bytes, multiples of the logical block.
 */
#ifndef EXP_COPY_PLANNER_H
#define EXP_COPY_PLANNER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "copy/extent.h"
#include "model/job.h"

#define EXP_PLANNER_MAP_BYTES (256u * 1024 * 1024) /* default of map_bytes_max */

struct exp_planner;

struct exp_planner_ns {
	uint64_t bytes;
	uint32_t lba_bytes;
};

struct exp_planner_config {
	uint32_t n_ns; /* 1..EXP_JOB_EXPORTS_MAX */
	struct exp_planner_ns ns[EXP_JOB_EXPORTS_MAX];
	uint32_t extent_max;     /* bytes, a power of two, at most EXP_COPY_EXTENT_MAX */
	uint32_t streams;        /* 1..EXP_JOB_STREAMS_MAX */
	uint64_t window_bytes;   /* unacknowledged data of one stream, 0: no limit here */
	uint32_t window_extents; /* unacknowledged extents of one stream; data rounds after random
				  * writes are 4 KiB each, so a small window starves the stream */
	uint64_t map_bytes_max;  /* memory for dirty leaves, 0: EXP_PLANNER_MAP_BYTES; beyond it
				  * marks become coarser */
	uint32_t ranges_max;     /* allocated ranges kept per namespace, at least 2; 0:
				  * EXP_RANGES_MAX; beyond it neighbours are taken as one */
};

struct exp_planner_stats {
	uint64_t total_bytes;               /* of all namespaces */
	uint64_t allocated_bytes;           /* of the first pass, named so far */
	uint64_t first_left_bytes;          /* of these, not taken yet */
	uint64_t dirty_bytes;               /* in the map: unique, deallocated ranges included */
	uint64_t inflight_bytes;            /* of kind READ, taken and not durable */
	uint64_t taken_bytes, resent_bytes; /* of kind READ, ever */
	uint64_t marked_bytes; /* unique bytes that a change made dirty, ever: dirty rate */
	uint32_t rounds;       /* 1: the first pass; more: passes over the dirty map */
	uint32_t session;
	uint64_t extents[EXP_JOB_STREAMS_MAX]; /* last sequence taken in this session */
	uint64_t total_extents;                /* of this session, all streams */
	uint64_t map_bytes;                    /* memory that the dirty leaves take */
};

/** exp_planner_new - session 1 with cfg->streams; -EINVAL names the setting, -ENOMEM */
int exp_planner_new(const struct exp_planner_config *cfg, struct exp_planner **ret,
		    struct exp_error *err) EXP_MUST_CHECK;
void exp_planner_free(struct exp_planner *p);
EXP_DEFINE_CLEANUP(struct exp_planner *, exp_planner_free)

/**
 * exp_planner_allocated - the namespace holds data in [offset, offset+len): for the first pass
 *
 * Ascending within a namespace, and only what was read from the device after the change log ran.
 * What lies between two ranges is taken as EXP_EXTENT_UNALLOCATED. exp_planner_allocated_end()
 * says that no more will come; not to be called when the scan failed or was stopped, for what is
 * left then counts as unallocated. The first pass may begin before, and goes as far as is known.
 * Ranges that come out of order or after the end, or that a long list had to merge, cost work and
 * lose nothing. -EINVAL: no such namespace; or not whole blocks inside it: then all that was not
 * known yet counts as allocated.
 */
int exp_planner_allocated(struct exp_planner *p, uint32_t ns, uint64_t offset,
			  uint64_t len) EXP_MUST_CHECK;
void exp_planner_allocated_end(struct exp_planner *p, uint32_t ns);

/**
 * exp_planner_dirty - the range changed after this call's moment of notice at the latest
 * @deallocated: its content may be told instead of read, until it changes again
 *
 * In the order of the log. -ENOMEM: noted all the same, but coarser: more than the range is dirty
 * now. -EINVAL: no such namespace; or not whole blocks inside it: then all of it is dirty now.
 */
int exp_planner_dirty(struct exp_planner *p, uint32_t ns, uint64_t offset, uint64_t len,
		      bool deallocated);

/**
 * exp_planner_all_dirty - what changed is not known: everything counts as changed, nothing as sent
 *
 * Ends the first pass: allocation that was read before proves nothing now, so all of it will be
 * read. exp_planner_allocated() is without effect afterwards. Takes no memory, cannot fail.
 */
void exp_planner_all_dirty(struct exp_planner *p);

/**
 * exp_planner_take - the next extent for @stream
 * @last: the guest is suspended: nothing waits for a later round
 *
 * Issue its read after this call. Extents of kind READ do not cross a multiple of extent_max. The
 * namespaces take turns. Returns 1 and *ret; 0: nothing is to be sent now (all clean, all in
 * flight, allocation not known yet, or waiting for the next round: exp_planner_round()); -EAGAIN:
 * the stream's window is full; -ENOMEM: nothing was taken, asking again later is safe.
 */
int exp_planner_take(struct exp_planner *p, uint32_t stream, bool last,
		     struct exp_extent *ret) EXP_MUST_CHECK;

/**
 * exp_planner_durable - every extent of @stream up to @seq is flushed at the destination
 *
 * Of a former session: success, without effect. -EPROTO: never taken.
 */
int exp_planner_durable(struct exp_planner *p, uint32_t session, uint32_t stream, uint64_t seq,
			struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_planner_round - is the pass through? then what is dirty now is the next round
 *
 * Ask when exp_planner_take() says 0. true at the end of each pass (extents may still be in
 * flight), once: while nothing becomes dirty it says false from then on, and no round is counted.
 * false also while the pass goes on.
 */
bool exp_planner_round(struct exp_planner *p);

/**
 * exp_planner_session - begin another bulk session of 1..EXP_JOB_STREAMS_MAX streams
 *
 * All that is not durable is to be sent again, before everything else. Returns its number, which
 * only grows.
 */
uint32_t exp_planner_session(struct exp_planner *p, uint32_t streams);

/**
 * exp_planner_remaining - data to send before everything is there, bytes, those in flight included
 *
 * What was not looked at by the allocation scan counts as data; ranges that are only told to be
 * deallocated or unallocated do not count.
 */
uint64_t exp_planner_remaining(const struct exp_planner *p);

/** exp_planner_all_taken - nothing dirty, first pass through; some of it may be in flight */
bool exp_planner_all_taken(const struct exp_planner *p);

/** exp_planner_drained - nothing dirty, nothing in flight, first pass through */
bool exp_planner_drained(const struct exp_planner *p);

void exp_planner_stats(const struct exp_planner *p, struct exp_planner_stats *ret);

#endif
