/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exports.h - exports in the journal: who may run each, what it is, where it lies
 *
 * Ownership is kept for ever, also when the export itself is gone (its tombstone): floor and maxown
 * only rise and no row is ever deleted, by the schema itself. An export of which only the ownership
 * is known has an empty desc.nqn.
 * All functions block; see db.h for the errors of every write.
 */
#ifndef EXP_INVENTORY_EXPORTS_H
#define EXP_INVENTORY_EXPORTS_H

#include "inventory/db.h"
#include "model/export.h"

/* What a write says about one export. */
struct exp_export_change {
	struct exp_uuid id;
	struct exp_ownership owner; /* own is set; floor and maxown are raised, never lowered */
	enum exp_export_status status;
	struct exp_name owner_peer;         /* "" unknown */
	const struct exp_export_desc *desc; /* NULL: as it was, which may be "not known" */
	const struct exp_place *place;      /* NULL: as it was; an empty one: nowhere here */
};

/**
 * exp_exports_put - store @n changes in one transaction, @now_ms as creation time of new exports
 *
 * -EEXIST EXISTS: the NQN belongs to another export here. -EINVAL INVALID: a value out of range,
 * an owner without an epoch, a place without a description.
 */
int exp_exports_put(struct exp_db *db, const struct exp_export_change *changes, size_t n,
		    uint64_t now_ms, struct exp_error *err) EXP_MUST_CHECK;

/** exp_exports_delete - forget what it is and where; ownership stays, with own 0 and status away
 * -ENOENT NOT_FOUND; -EBUSY BUSY: an open migration holds it.
 */
int exp_exports_delete(struct exp_db *db, const struct exp_uuid *id,
		       struct exp_error *err) EXP_MUST_CHECK;

/** exp_exports_get - -ENOENT NOT_FOUND: nothing is known, not even a floor */
int exp_exports_get(struct exp_db *db, const struct exp_uuid *id, struct exp_export *ret,
		    struct exp_error *err) EXP_MUST_CHECK;
int exp_exports_by_nqn(struct exp_db *db, const char *nqn, struct exp_export *ret,
		       struct exp_error *err) EXP_MUST_CHECK;

/** exp_exports_list - each in turn, tombstones too, oldest first; @e is borrowed for the call
 * @fn: a negative result ends the list and is returned; it must not use @db
 */
int exp_exports_list(struct exp_db *db, int (*fn)(const struct exp_export *e, void *arg), void *arg,
		     struct exp_error *err) EXP_MUST_CHECK;

#endif
