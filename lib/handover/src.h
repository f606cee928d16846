/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src.h - the machine of the host that gives an export away
 *
 *	preflight -> preparing -> copying <-> ready -> switching -> released -> done
 *	     any of these up to switching -> rolling-back -> failed | cancelled
 *
 * Before released is queued the source alone decides, and every doubt ends in rolling-back. From
 * then on it never runs the export again. Contract with the caller: plan.h.
 */
#ifndef EXP_HANDOVER_SRC_H
#define EXP_HANDOVER_SRC_H

#include "handover/plan.h"

struct exp_src;

/**
 * exp_src_new - a machine for @job, which it owns from now on, also on failure
 * @job: state 0 for a job that was just asked for (START comes next), the stored one for RECOVER
 * @owner: per export of @job, as the inventory has it now; floor: the larger of what is durable and
 *	what is queued (answer.h)
 *
 * -EINVAL: no export or too many, an export named twice, a state that does not exist; for a new
 * job also code NOT_OWNER when one of the exports is not owned here. -ENOMEM.
 */
int exp_src_new(struct exp_job *job, const struct exp_ownership *owner, struct exp_src **ret,
		struct exp_error *err) EXP_MUST_CHECK;
void exp_src_free(struct exp_src *m); /* NULL is fine */
EXP_DEFINE_CLEANUP(struct exp_src *, exp_src_free)

/** exp_src_step - tell it @ev; @ret is filled completely. Cannot fail: doubt has a state */
void exp_src_step(struct exp_src *m, const struct exp_event *ev, struct exp_plan *ret);

/** exp_src_deadline_ms - when to give TICK at the latest; EXP_NEVER_MS: not needed */
uint64_t exp_src_deadline_ms(const struct exp_src *m);

/**
 * exp_src_message - the message that a SEND action of the last plan asks for
 * @ret: the caller's, ended with exp_msg_done()
 *
 * Complete but for FINAL, where the copy engine's part (session, streams, last_seq, total_extents,
 * digests) is the caller's to fill in. -ENOMEM.
 */
int exp_src_message(const struct exp_src *m, const struct exp_action *a,
		    struct exp_msg *ret) EXP_MUST_CHECK;

const struct exp_job *exp_src_job(const struct exp_src *m);
unsigned int exp_src_state(const struct exp_src *m); /* the durable one: what to show; 0 none */
enum exp_condition exp_src_condition(const struct exp_src *m);
enum exp_target_state exp_src_target(const struct exp_src *m); /* 0: the peer has not said */

/** exp_src_waiting - what it waits for, in words for people; "" when it is at work itself */
const char *exp_src_waiting(const struct exp_src *m);

/** exp_src_lease_ms - end of the lease of a hold that waits now; EXP_NEVER_MS none */
uint64_t exp_src_lease_ms(const struct exp_src *m);

#endif
