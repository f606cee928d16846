/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dst.h - the machine of the host that receives an export
 *
 *	preparing -> receiving -> restored -> activating -> active -> done
 *	  the first three -> discarding -> discarded
 *
 * Up to restored everything it built is held: no reset can make it run. In restored it never
 * decides; it waits for RELEASE or DISCARD however long. From activating on it owns the export.
 * Contract with the caller: plan.h; messages for jobs that are not open: answer.h.
 */
#ifndef EXP_HANDOVER_DST_H
#define EXP_HANDOVER_DST_H

#include "handover/plan.h"

struct exp_dst;

/**
 * exp_dst_job_new - the record for a PREPARE that answer.h said to begin
 *
 * State 0. The caller still fills in what is this host's: peer_host, and of each export
 * here.device, here.serial and here.cntlid. -EINVAL: the message does not carry what it must;
 * -ENOMEM.
 */
int exp_dst_job_new(const struct exp_msg *prepare, const struct exp_name *peer,
		    struct exp_job **ret, struct exp_error *err) EXP_MUST_CHECK;

/** exp_dst_new - as exp_src_new(); a new job is refused with CONFLICT for an export owned here */
int exp_dst_new(struct exp_job *job, const struct exp_ownership *owner, struct exp_dst **ret,
		struct exp_error *err) EXP_MUST_CHECK;
void exp_dst_free(struct exp_dst *m);
EXP_DEFINE_CLEANUP(struct exp_dst *, exp_dst_free)

void exp_dst_step(struct exp_dst *m, const struct exp_event *ev, struct exp_plan *ret);
uint64_t exp_dst_deadline_ms(const struct exp_dst *m);

/** exp_dst_message - as exp_src_message(); every message is complete */
int exp_dst_message(const struct exp_dst *m, const struct exp_action *a,
		    struct exp_msg *ret) EXP_MUST_CHECK;

const struct exp_job *exp_dst_job(const struct exp_dst *m);
unsigned int exp_dst_state(const struct exp_dst *m);
enum exp_condition exp_dst_condition(const struct exp_dst *m);
enum exp_target_state exp_dst_target(const struct exp_dst *m);
const char *exp_dst_waiting(const struct exp_dst *m);

/** exp_dst_final - the FINAL that CHECK_FINAL is about; borrowed, NULL when there is none */
const struct exp_msg_final *exp_dst_final(const struct exp_dst *m);

#endif
