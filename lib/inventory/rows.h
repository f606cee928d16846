/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows.h - the columns that exports and jobs have in common; for lib/inventory alone
 *
 * Each pair binds and reads the same columns in the same order.
 */
#ifndef EXP_INVENTORY_ROWS_H
#define EXP_INVENTORY_ROWS_H

#include "inventory/exports.h"
#include "inventory/sql.h"

/* nqn, template, ensid, ecntlid, nsze, lba_bytes, nguid, uuid, config */
void exp_rows_put_desc(struct exp_sql *q, const struct exp_export_desc *d);
void exp_rows_get_desc(struct exp_sql *q, struct exp_export_desc *d);

/* device, serial, cntlid, esubid, nsid */
void exp_rows_put_place(struct exp_sql *q, const struct exp_place *p);
void exp_rows_get_place(struct exp_sql *q, struct exp_place *p);

/** exp_rows_change - apply @c inside the caller's transaction */
int exp_rows_change(struct exp_db *db, const struct exp_export_change *c, uint64_t now_ms,
		    struct exp_error *err) EXP_MUST_CHECK;

#endif
