/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db.h - one SQLite file that this daemon alone writes: open, upgrade, checkpoint, close
 *
 * The daemon has two such files: the journal (exports, jobs, peers: what decides who runs what) and
 * the events (history). Every commit is durable when the call that made it returns: WAL with
 * synchronous=FULL. Nothing is checkpointed behind the caller's back in the journal, so that no
 * commit inside a blackout pays for one.
 *
 * All functions block, for as long as the disk does. One handle is used by one thread at a time.
 */
#ifndef EXP_INVENTORY_DB_H
#define EXP_INVENTORY_DB_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/uuid.h"

struct exp_db;

/* Which file it is, and how it came to be what it is. */
struct exp_db_schema {
	const char *name;              /* "journal", for messages */
	uint32_t application_id;       /* in the file's header: it is ours, and this one of ours */
	const char *const *migrations; /* user_version n = the first n were run; append only */
	size_t n_migrations;
	unsigned int auto_checkpoint_pages; /* 0: only exp_db_checkpoint() */
};

extern const struct exp_db_schema exp_journal_schema; /* exports.h, jobs.h, peers.h */
extern const struct exp_db_schema exp_events_schema;  /* events_db.h */

/*
 * Points of the fault plan, each passed once per write transaction:
 * "db-write"		before anything is written: the call fails, nothing is stored
 * "db-commit-done"	COMMIT is executed and then reported as failed: outcome unknown
 * "db-commit-lost"	COMMIT is not executed and reported as failed: outcome unknown
 */
struct exp_db_config {
	const char *path;
	const char *vfs;               /* SQLite VFS by name; NULL: the system's */
	struct exp_fault_plan *faults; /* borrowed while the handle lives; NULL: none */
};

/**
 * exp_db_open - open @c->path, make it when it is not there, upgrade it when it is older
 *
 * The file is locked against every other opener until exp_db_close(). Errors:
 * -EBUSY BUSY		another process has it open
 * -EINVAL DB_NEWER	written by a newer daemon; the message has both versions; file untouched
 * -EINVAL DB_FOREIGN	not a file of ours, or not this one of ours; file untouched
 * -EUCLEAN DB_CORRUPT	damaged
 * -ENOSPC NO_SPACE, -EIO DB, -EACCES SYSTEM, -ENOMEM NO_MEMORY
 */
int exp_db_open(const struct exp_db_schema *schema, const struct exp_db_config *c,
		struct exp_db **ret, struct exp_error *err) EXP_MUST_CHECK;
void exp_db_close(struct exp_db *db); /* NULL is fine; rolls back what was not committed */
EXP_DEFINE_CLEANUP(struct exp_db *, exp_db_close)

/*
 * A COMMIT that failed has an unknown outcome: its pages may reach the disk or not. The call that
 * made it returns -EXP_DB_EUNKNOWN, code DB or NO_SPACE, and the handle refuses everything from
 * then on. Close it, open the file again, repeat the same write until it succeeds. What the newly
 * opened file shows proves nothing about durability before that.
 */
#define EXP_DB_EUNKNOWN EINPROGRESS
static inline bool exp_db_unknown(int r)
{
	return r == -EXP_DB_EUNKNOWN;
}

struct exp_db_identity {
	struct exp_uuid instance; /* made with the file */
	uint64_t counter;         /* durable write transactions so far; never goes back */
};

/** exp_db_identity - what a hello tells peers, so that they notice a database that went back */
struct exp_db_identity exp_db_identity(const struct exp_db *db);

/** exp_db_wal_bytes - written since the last checkpoint; no I/O */
uint64_t exp_db_wal_bytes(const struct exp_db *db);

/** exp_db_checkpoint - move the WAL into the file; @err as for a write, but the outcome is known */
int exp_db_checkpoint(struct exp_db *db, struct exp_error *err) EXP_MUST_CHECK;

/** exp_db_check - read every page and every constraint; -EUCLEAN DB_CORRUPT says what is wrong */
int exp_db_check(struct exp_db *db, struct exp_error *err) EXP_MUST_CHECK;

#endif
