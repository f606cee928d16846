/* SPDX-License-Identifier: Apache-2.0 */
/*
 * preflight.h - may this move? Both drives read afresh, the peer asked, all compared
 *
 * For a job's first action and for POST /v1/preflight. Nothing is changed anywhere. Loop thread
 * only.
 */
#ifndef EXPD_PREFLIGHT_H
#define EXPD_PREFLIGHT_H

#include "base/error.h"
#include "model/finding.h"
#include "model/job.h"
#include "model/msg.h"

struct expd;
struct expd_preflight;

struct expd_preflight_result {
	struct exp_findings findings; /* also when all is well: notes and warnings */
	struct exp_name device;       /* that the destination would take */
	uint16_t cntlid[EXP_JOB_EXPORTS_MAX];
	enum exp_state_path path;
	enum exp_dirty_source dirty;
	uint64_t bytes; /* of all namespaces */
};

/* @err code OK: it was found out, which may mean findings that refuse; else it could not be. */
typedef void (*expd_preflight_fn)(struct expd *x, void *arg, const struct exp_error *err,
				  const struct expd_preflight_result *res);

/**
 * expd_preflight_start - begin; @fn once, maybe before this returns
 * @rec: the request; copied
 * @slot: set while it runs and cleared before @fn: for expd_preflight_cancel()
 */
void expd_preflight_start(struct expd *x, const struct exp_job *rec, expd_preflight_fn fn,
			  void *arg, struct expd_preflight **slot);
void expd_preflight_cancel(struct expd_preflight *p); /* without @fn; NULL is fine */

/** expd_preflight_end_all - the daemon ends: whoever waits is told so */
void expd_preflight_end_all(struct expd *x);

/** expd_preflight_link - @peer is connected now: what could not be asked is */
void expd_preflight_link(struct expd *x, const struct exp_name *peer);

/** expd_preflight_refused - @peer is not who it should be, or we are not to it: no use to wait */
void expd_preflight_refused(struct expd *x, const struct exp_name *peer,
			    const struct exp_error *err);

/** expd_preflight_message - a CAPS_REPLY came from @peer */
void expd_preflight_message(struct expd *x, const struct exp_name *peer, const struct exp_msg *m);

#endif
