/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs.h - migrations in the journal
 *
 * A job is known by (id, role): the same daemon may hold both ends of one. An export is held by at
 * most one open job of each role, and by no two open jobs with different ids. What closed stays
 * closed. The last line of a job (state, epochs, error, key) is kept for ever; what is big goes:
 * controller state when it closes, the rest with exp_jobs_compact().
 * All functions block; see db.h for the errors of every write.
 */
#ifndef EXP_INVENTORY_JOBS_H
#define EXP_INVENTORY_JOBS_H

#include "inventory/db.h"
#include "inventory/exports.h"
#include "model/job.h"

/**
 * exp_jobs_commit - store the record and the ownership it comes with: one transaction
 * @changes: of its exports; may be none. A description or place is usually that of the record.
 *
 * Whole record: what was stored of this job before is replaced. Pages whose content stays the same
 * are not written again. Returns
 * -EXP_DB_EUNKNOWN	the COMMIT failed: see db.h. For `released` this is release-unknown
 * -EBUSY BUSY		an export is held by another open job, which the message names
 * -EEXIST KEY_REUSED	the Idempotency-Key belongs to another job
 * -EINVAL INVALID	a value out of range; a closed job that would open again
 */
int exp_jobs_commit(struct exp_db *db, const struct exp_job *j,
		    const struct exp_export_change *changes, size_t n,
		    struct exp_error *err) EXP_MUST_CHECK;

/** exp_jobs_get - *ret is freed with exp_job_free(); -ENOENT NOT_FOUND */
int exp_jobs_get(struct exp_db *db, const struct exp_uuid *id, enum exp_role role,
		 struct exp_job **ret, struct exp_error *err) EXP_MUST_CHECK;

/** exp_jobs_by_key - the job that a request with this Idempotency-Key started */
int exp_jobs_by_key(struct exp_db *db, const char *key, struct exp_job **ret,
		    struct exp_error *err) EXP_MUST_CHECK;

struct exp_jobs_filter {
	enum exp_role role;     /* 0: both */
	unsigned int src_state; /* 0 any; with dst_state: a job in either of the two */
	unsigned int dst_state;
	bool open;                        /* only those that have not ended */
	const struct exp_uuid *export_id; /* NULL any */
	uint32_t limit;                   /* 0: all */
};

/** exp_jobs_list - newest first; @j is borrowed for the call, and may be kept by setting *@j NULL
 * @fn: a negative result ends the list and is returned; it must not use @db
 */
int exp_jobs_list(struct exp_db *db, const struct exp_jobs_filter *f,
		  int (*fn)(struct exp_job **j, void *arg), void *arg,
		  struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_jobs_compact - reduce closed jobs last changed before @before_ms to their last line
 * @max: at most that many in this transaction; *ret_n: how many it were
 *
 * Their descriptions lose the configuration, and the memory map goes.
 */
int exp_jobs_compact(struct exp_db *db, uint64_t before_ms, uint32_t max, uint32_t *ret_n,
		     struct exp_error *err) EXP_MUST_CHECK;

#endif
