/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - the numbered history: written when something happened, streamed to who listens
 *
 * Nothing decides on an event. They are stored behind a queue of their own, so that a slow disk
 * delays history and never a migration. Loop thread only.
 */
#ifndef EXPD_EVENTS_H
#define EXPD_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/uuid.h"
#include "control/api.h"

struct expd;
struct expd_events;
struct expd_request;

int expd_events_new(struct expd *x, struct expd_events **ret, struct exp_error *err);
void expd_events_free(struct expd_events *es);

/**
 * expd_event - it happened; pairs of strings follow, key and value, ended by NULL
 * @type: "migration-state", [a-z-]+; @job, @export_id: NULL none
 *
 * Safe before and after the events are there: then it is lost.
 */
void expd_event(struct expd *x, const char *type, const struct exp_uuid *job,
		const struct exp_uuid *export_id, ...) __attribute__((sentinel));

/** expd_events_stream - answer GET /v1/events: those since, then (when asked) what comes */
void expd_events_stream(struct expd *x, struct expd_request *rq,
			const struct exp_api_events_query *q);

#endif
