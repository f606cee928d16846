/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target.h - this host as a destination: what it may and can take, and on which controllers
 *
 * Asked by a peer's CAPS, which changes nothing, and again for PREPARE: what a peer says of itself
 * is never enough. Loop thread only.
 */
#ifndef EXPD_TARGET_H
#define EXPD_TARGET_H

#include "base/error.h"
#include "model/caps.h"
#include "model/finding.h"
#include "model/msg.h"

struct expd;

struct expd_target {
	struct exp_findings findings; /* one that refuses: no */
	struct exp_name device;
	struct exp_caps caps; /* of that device, just read */
	uint16_t cntlid[EXP_JOB_EXPORTS_MAX];
};

/** expd_target_caps - answer CAPS */
void expd_target_caps(struct expd *x, const struct exp_name *peer, const struct exp_msg *m);

/**
 * expd_target_choose - by policy and by what the drives say now
 * @device: "" any; @cntlid: per description, UINT32_MAX any
 * @fn: once, maybe before this returns; @t borrowed
 */
void expd_target_choose(struct expd *x, const struct exp_name *peer, const struct exp_name *device,
			const uint32_t *cntlid, const struct exp_export_desc *descs, uint32_t n,
			void (*fn)(struct expd *x, void *arg, const struct expd_target *t),
			void *arg);

#endif
