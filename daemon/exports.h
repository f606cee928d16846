/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exports.h - every export that this host knows, in memory, as the journal has it
 *
 * The API reads this and nothing waits for the database. What changes ownership goes through the
 * journal first and arrives here when it is durable. Loop thread only.
 */
#ifndef EXPD_EXPORTS_H
#define EXPD_EXPORTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "control/api.h"
#include "handover/plan.h"
#include "model/export.h"
#include "model/msg.h"

struct expd;
struct expd_exports;

/** expd_exports_load - read the journal; blocks, at start */
int expd_exports_load(struct expd *x, struct expd_exports **ret, struct exp_error *err);
void expd_exports_free(struct expd_exports *es);

size_t expd_exports_count(const struct expd_exports *es);
const struct exp_export *expd_exports_at(const struct expd_exports *es, size_t i);
const struct exp_export *expd_exports_find(const struct expd_exports *es,
					   const struct exp_uuid *id);
const struct exp_export *expd_exports_by_ref(const struct expd_exports *es,
					     const struct exp_api_ref *ref);

/** expd_exports_known - what a hello says; *ret is malloc'd */
int expd_exports_known(const struct expd_exports *es, struct exp_msg_known **ret, uint32_t *ret_n,
		       struct exp_error *err);

/** expd_exports_put - @e is durable now: remember it. Only -ENOMEM */
int expd_exports_put(struct expd_exports *es, const struct exp_export *e);

/** expd_exports_forget - deleted: keep the ownership alone */
void expd_exports_forget(struct expd_exports *es, const struct exp_uuid *id);

/**
 * expd_exports_place_counts - is the record's place that of the export from this change on?
 *
 * What a destination has built is the job's own until the export is owned here: an older,
 * superseded copy on this host keeps its place in the inventory till then.
 */
bool expd_exports_place_counts(const struct exp_job *j, const struct exp_own_change *c);

/** expd_exports_status - the status that a change leaves behind */
enum exp_export_status expd_exports_status(const struct expd_exports *es,
					   const struct exp_own_change *c);

/** expd_exports_apply - a plan's changes are durable now; descriptions and places are @j's */
int expd_exports_apply(struct expd_exports *es, const struct exp_job *j,
		       const struct exp_own_change *changes, uint32_t n);

/**
 * expd_exports_queue_floor - a commit that raises the floor of @id to @floor is on its way
 * expd_exports_queued_floor - the highest floor ever queued in this life of the process
 *
 * A floor that may or may not become durable must never be trusted as if it were, nor taken again:
 * a PREPARE that overtakes a tombstone on its way to the disk would be built and never removed.
 * _queue_floor: -ENOMEM, then nothing may be queued.
 */
int expd_exports_queue_floor(struct expd_exports *es, const struct exp_uuid *id,
			     uint64_t floor) EXP_MUST_CHECK;
uint64_t expd_exports_queued_floor(const struct expd_exports *es, const struct exp_uuid *id);

/** expd_exports_ownership - durable, but with a floor that nothing queued is above */
struct exp_ownership expd_exports_ownership(const struct expd_exports *es,
					    const struct exp_uuid *id);

/** expd_exports_raise - the same for an export of which only the ownership is known */
int expd_exports_raise(struct expd_exports *es, const struct exp_own_change *c);

/** expd_exports_hold - job @job (nil: none) holds export @id; of the operator's verbs only */
void expd_exports_hold(struct expd_exports *es, const struct exp_uuid *id,
		       const struct exp_uuid *job);

#endif
