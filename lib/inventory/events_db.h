/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events_db.h - the second file: numbered events for clients, and how long past migrations took
 *
 * Losing it loses history, never an export: nothing in it decides anything.
 * All functions block; see db.h for the errors of every write.
 */
#ifndef EXP_INVENTORY_EVENTS_DB_H
#define EXP_INVENTORY_EVENTS_DB_H

#include "inventory/db.h"
#include "model/event_line.h"
#include "model/job.h"

/** exp_events_append - store it; *ret_seq is its number, higher than every earlier one
 * @e->seq is ignored. -EINVAL INVALID: type not [a-z-]+, detail no JSON object
 */
int exp_events_append(struct exp_db *db, const struct exp_event_line *e, uint64_t *ret_seq,
		      struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_events_read - events after number @since, in order, at most @max
 * @fn: gets each, borrowed for the call; a negative result ends it and is returned
 *
 * -EIDRM GONE: an event after @since is no longer kept, or @since is a number that this file never
 * gave; the message names the range that is there.
 */
int exp_events_read(struct exp_db *db, uint64_t since, uint32_t max,
		    int (*fn)(const struct exp_event_line *e, void *arg), void *arg,
		    struct exp_error *err) EXP_MUST_CHECK;

struct exp_events_range {
	uint64_t first, last; /* kept; first is last + 1 when there is none. 1, 0: never any */
};

int exp_events_range(struct exp_db *db, struct exp_events_range *ret,
		     struct exp_error *err) EXP_MUST_CHECK;

/** exp_events_trim - keep the newest @keep; at most @max rows go in this transaction */
int exp_events_trim(struct exp_db *db, uint64_t keep, uint32_t max, uint32_t *ret_n,
		    struct exp_error *err) EXP_MUST_CHECK;

/* One migration that ended, for `migration show` and for the forecast of the next one. */
struct exp_history {
	struct exp_uuid job;
	enum exp_role role;
	unsigned int state; /* final */
	struct exp_name peer;
	struct exp_name device; /* of this host */
	uint64_t ended_ms;
	struct exp_job_progress progress;
};

int exp_history_put(struct exp_db *db, const struct exp_history *h,
		    struct exp_error *err) EXP_MUST_CHECK;

/** exp_history_get - -ENOENT NOT_FOUND */
int exp_history_get(struct exp_db *db, const struct exp_uuid *job, enum exp_role role,
		    struct exp_history *ret, struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_history_recent - the newest migrations that were done between @device here and @peer
 * @ret: room for @max; *ret_n are filled, newest first
 */
int exp_history_recent(struct exp_db *db, const char *peer, const char *device, size_t max,
		       struct exp_history *ret, size_t *ret_n,
		       struct exp_error *err) EXP_MUST_CHECK;

/** exp_history_trim - keep the newest @keep */
int exp_history_trim(struct exp_db *db, uint64_t keep, struct exp_error *err) EXP_MUST_CHECK;

#endif
