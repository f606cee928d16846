/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_line.h - one line of the numbered history that a host keeps for people and programs
 *
 * Written by the daemon when something happened, kept in the events database, read by clients that
 * name the last number they have seen. Not an input of any decision.
 */
#ifndef EXP_MODEL_EVENT_LINE_H
#define EXP_MODEL_EVENT_LINE_H

#include <stdint.h>

#include "base/uuid.h"

#define EXP_EVENT_TYPE_MAX   47   /* bytes: "migration-state", "mmc-reset", "export-created" */
#define EXP_EVENT_DETAIL_MAX 4096 /* bytes of JSON */

struct exp_event_line {
	uint64_t seq;     /* 1.., given when it is stored; never reused, gaps are legal */
	uint64_t time_ms; /* wall clock */
	char type[EXP_EVENT_TYPE_MAX + 1];     /* [a-z-]+, stable, for programs */
	struct exp_uuid job;                   /* nil: of no job */
	struct exp_uuid export_id;             /* nil: of no export */
	char detail[EXP_EVENT_DETAIL_MAX + 1]; /* one JSON object, "{}" at least */
};

#endif
