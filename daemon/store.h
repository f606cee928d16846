/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - the queue in front of the journal, and of the events database behind it
 *
 * The journal's worker runs urgent work (the commits of migrations) before everything else. A
 * COMMIT whose outcome is not known breaks the connection: the next task opens the file anew before
 * it does anything, so that a repeated write meets a fresh connection. Loop thread, but for the
 * functions that run on the workers.
 */
#ifndef EXPD_STORE_H
#define EXPD_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "inventory/db.h"
#include "model/msg.h"

struct expd;
struct expd_store;

/** expd_store_open - both files in the state directory; also makes the host id. Blocks: at start */
int expd_store_open(struct expd *x, const char *state_dir, struct expd_store **ret,
		    struct exp_error *err);

/** expd_store_quiesce - at the end: run what is queued; later tasks fail at once with STOPPING */
void expd_store_quiesce(struct expd_store *s);
/** expd_store_close - after _quiesce and after what it posted was run: checkpoints, closes */
void expd_store_close(struct expd_store *s);

struct exp_db *expd_store_journal(struct expd_store *s); /* at start, before any task */

/* Worker side: 0 or a negative errno with @err. */
typedef int (*expd_store_fn)(struct exp_db *db, void *arg, struct exp_error *err);
/* Loop side; owns @arg. */
typedef void (*expd_store_done)(struct expd *x, void *arg, int r, const struct exp_error *err);

/**
 * expd_store_run - @fn on the journal's worker, then @done on the loop
 * @urgent: commits of open migrations only
 *
 * When memory is short @done is called at once with -ENOMEM.
 */
void expd_store_run(struct expd_store *s, bool urgent, expd_store_fn fn, expd_store_done done,
		    void *arg);
/** expd_store_run_events - the same on the events database */
void expd_store_run_events(struct expd_store *s, expd_store_fn fn, expd_store_done done, void *arg);

/** expd_store_fresh - the next task on the journal opens the file anew first */
void expd_store_fresh(struct expd_store *s);

/** expd_store_hold_checkpoints - count of jobs in their blackout: no checkpoint while not 0 */
void expd_store_hold_checkpoints(struct expd_store *s, int change);

/* Read from memory. */
void expd_store_identity(const struct expd_store *s, struct exp_uuid *instance, uint64_t *counter);
uint64_t expd_store_wal_bytes(const struct expd_store *s);
const char *expd_store_host_text(const struct expd_store *s);

/** expd_store_peer_seen - compare a hello with what is remembered of that peer's database */
void expd_store_peer_seen(struct expd_store *s, const struct exp_name *peer,
			  const struct exp_msg_hello *hello);
/** expd_store_peer_pending - its hello is still being compared: nothing is begun with it yet */
bool expd_store_peer_pending(const struct expd_store *s, const struct exp_name *peer);
enum exp_condition expd_store_peer_condition(const struct expd_store *s,
					     const struct exp_name *peer);

#endif
