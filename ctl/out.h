/* SPDX-License-Identifier: Apache-2.0 */
/*
 * out.h - how things look to people: escaped, aligned, with units
 *
 * Whatever came from the daemon can have come from a guest, a drive or a peer before: it goes to a
 * terminal as printable ASCII and as nothing else.
 */
#ifndef EXP_CTL_OUT_H
#define EXP_CTL_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/json.h"

/** ctl_escape - printable ASCII as it is, anything else as \xNN; cut to @cap, terminated */
void ctl_escape(char *out, size_t cap, const char *s);

#define CTL_TEXT 64 /* room that any of these needs */

/* Into @out of CTL_TEXT bytes, returned: "2.0 GiB", "812 MiB/s", "1.234 ms", "2 min 5 s" */
const char *ctl_bytes(char *out, uint64_t bytes);
const char *ctl_rate(char *out, uint64_t bytes_per_s);
const char *ctl_us(char *out, uint64_t us);
const char *ctl_ms(char *out, uint64_t ms);
const char *ctl_time(char *out, uint64_t ms); /* wall clock, local: "2026-11-22 17:22:07" */

/* Looks into an answer by path, "target.device"; the fallback when it is not there or null. */
const struct exp_json *ctl_at(const struct exp_json *v, const char *path);
const char *ctl_str(const struct exp_json *v, const char *path, const char *fallback);
uint64_t ctl_u64(const struct exp_json *v, const char *path, uint64_t fallback);
bool ctl_known(const struct exp_json *v, const char *path); /* there, and not null */

/*
 * A table: the head, then the rows cell by cell, then print. Cells are copied and escaped.
 */
#define CTL_COLUMNS_MAX 12

struct ctl_table {
	size_t n_columns;
	const char *head[CTL_COLUMNS_MAX]; /* begins with '>': aligned to the right */
	char **cells;
	size_t n_cells;
	bool failed; /* out of memory: said when printing */
};

void ctl_table_init(struct ctl_table *t, size_t n, const char *const *head);
void ctl_cell(struct ctl_table *t, const char *s);
/** ctl_table_print - and release it; 0 or -ENOMEM */
int ctl_table_print(struct ctl_table *t, FILE *out);

/** ctl_line - "name:   value", escaped, names aligned */
void ctl_line(FILE *out, const char *name, const char *fmt, ...) EXP_PRINTF(3, 4);

/** ctl_finding - one result of a check: what it is, what is there and what is needed, why */
void ctl_finding(FILE *out, const struct exp_json *f);

#endif
