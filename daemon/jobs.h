/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs.h - the open migrations of this host, both roles: who asks, what is shown, what comes in
 *
 * job.c runs one of them; here they are found, begun, recovered and listed. Loop thread only.
 */
#ifndef EXPD_JOBS_H
#define EXPD_JOBS_H

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"
#include "control/api.h"
#include "handover/plan.h"
#include "model/msg.h"
#include "wire/bulk.h"

struct exp_stream;
struct expd;
struct expd_job;
struct expd_jobs;
struct expd_request;

/** expd_jobs_load - the open jobs of the journal; blocks, at start. They rest until _recover */
int expd_jobs_load(struct expd *x, struct expd_jobs **ret, struct exp_error *err);
void expd_jobs_free(struct expd_jobs *js);

/** expd_jobs_halt - at the end: no machine is told anything from now on; records say the rest */
void expd_jobs_halt(struct expd_jobs *js);

/** expd_jobs_recover - devices were tried: every stored job goes on from its record */
void expd_jobs_recover(struct expd_jobs *js);

/** expd_jobs_stop - finish or abort what is in its blackout; @idle once nothing is (maybe now) */
void expd_jobs_stop(struct expd_jobs *js, void (*idle)(struct expd *x));

/* From the peers. */
void expd_jobs_link(struct expd_jobs *js, const struct exp_name *peer, bool up);
void expd_jobs_message(struct expd_jobs *js, const struct exp_name *peer, const struct exp_msg *m);
void expd_jobs_bulk(struct expd_jobs *js, const struct exp_name *peer,
		    const struct exp_bulk_open *open, struct exp_stream *s); /* takes s */

/* From the drives. */
void expd_jobs_device_reset(struct expd_jobs *js, const struct exp_name *device);
void expd_jobs_device_back(struct expd_jobs *js, const struct exp_name *device);

/* From the control sockets; each answers the request, now or later. */
void expd_jobs_start(struct expd *x, struct expd_request *rq);
void expd_jobs_preflight(struct expd *x, struct expd_request *rq);
void expd_jobs_list(struct expd *x, struct expd_request *rq,
		    const struct exp_api_migrations_query *q);
void expd_jobs_show(struct expd *x, struct expd_request *rq, const char *id);
void expd_jobs_verb(struct expd *x, struct expd_request *rq, const char *id, enum exp_verb verb,
		    const struct exp_api_target_ready *memory);

unsigned int expd_jobs_open(const struct expd_jobs *js);

/** expd_jobs_holder - the open job that holds export @id, or NULL */
const struct exp_job *expd_jobs_holder(const struct expd_jobs *js, const struct exp_uuid *id);

/** expd_jobs_uses_ns - an open job works on namespace @nsid of @device */
bool expd_jobs_uses_ns(const struct expd_jobs *js, const struct exp_name *device, uint32_t nsid);

/** expd_jobs_takes - an open destination job builds on controller @cntlid of @device */
bool expd_jobs_takes(const struct expd_jobs *js, const struct exp_name *device, uint16_t cntlid);

#endif
