/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job.h - one migration on this host: the machine, and what carries out its plans
 *
 * job.c gives events to the machine, commits what it wants stored and only then runs what it
 * wants done; job_device.c does the part on the drive, copy_src.c and copy_dst.c the data,
 * preflight.c the checks with the peer. Each of them ends an action by expd_job_done(). Loop thread
 * only.
 */
#ifndef EXPD_JOB_H
#define EXPD_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "control/api.h"
#include "handover/dst.h"
#include "handover/src.h"
#include "model/job.h"

struct event;
struct expd;
struct expd_copy_dst;
struct expd_copy_src;
struct expd_jobs;
struct expd_preflight;
struct expd_request;

/* A control request that waits for a commit before it can be answered. */
struct expd_waiting_verb {
	struct expd_request *rq;
	enum exp_verb verb; /* 0: the start itself, answered when the job is durable */
	struct exp_api_target_ready memory; /* of TARGET_READY */
	struct expd_waiting_verb *next;
};

struct expd_job {
	struct expd *x;
	struct exp_uuid id;
	enum exp_role role;
	struct exp_src *src; /* one of the two */
	struct exp_dst *dst;
	struct event *timer;
	struct expd_job *next;

	bool stepping;  /* the machine is being told something: no second event inside */
	bool have_late; /* an action ended inside: told right after */
	struct exp_event late;
	bool running;  /* an action is outstanding ... */
	uint32_t step; /* ... this one */
	enum exp_act act;
	char last_failure[sizeof(((struct exp_error *)0)->msg)]; /* of a step; told once */
	bool ended;       /* published; kept for those who ask */
	bool in_blackout; /* from the commit of switching until a guest runs again */
	uint64_t ignored; /* messages that meant nothing */

	struct expd_copy_src *copy_src;
	struct expd_copy_dst *copy_dst;
	struct expd_preflight *preflight;
	uint32_t preflight_step;
	struct expd_waiting_verb *waiting;

	struct exp_place old_place[EXP_JOB_EXPORTS_MAX]; /* D: superseded copies, gone when done */
	uint64_t mark_us[EXP_STEP_N];                    /* when a step began */
	uint64_t blackout_began_us;
	uint64_t updated_ms; /* wall clock of the last commit */
	struct exp_job_progress progress;
};

/** expd_job_new - takes @rec; @owner per export. The caller puts it on the list and begins it */
int expd_job_new(struct expd *x, struct exp_job *rec, const struct exp_ownership *owner,
		 struct expd_job **ret, struct exp_error *err);
void expd_job_free(struct expd_job *j); /* its threads are stopped and joined */

const struct exp_job *expd_job_record(const struct expd_job *j);
unsigned int expd_job_state(const struct expd_job *j); /* the durable one */

/** expd_job_begin - START for a new record, RECOVER for a stored one */
void expd_job_begin(struct expd_job *j, bool stored);

void expd_job_link(struct expd_job *j, bool up);
void expd_job_message(struct expd_job *j, const struct exp_msg *m);
void expd_job_device_reset(struct expd_job *j);
void expd_job_copy_news(struct expd_job *j, enum exp_copy_news news, const struct exp_error *err);

/** expd_job_verb - an operator or VMM speaks. WAIT: ask again after the next commit */
enum exp_verb_answer expd_job_verb(struct expd_job *j, enum exp_verb verb,
				   const struct exp_memory_range *memory, uint32_t n_memory,
				   struct exp_error *err);

/** expd_job_done - the action of step @step has ended; a step that is no longer waited for is fine
 */
void expd_job_done(struct expd_job *j, uint32_t step, int r, const struct exp_act_result *result,
		   const struct exp_error *err);

/** expd_job_send - to its peer; a message that cannot be sent is lost, the machine repeats */
void expd_job_send(struct expd_job *j, const struct exp_msg *m);

/** expd_job_find - by id and role, for what comes back from a worker; NULL: it is gone */
struct expd_job *expd_job_find(struct expd *x, const struct exp_uuid *id, enum exp_role role);

/* job_device.c */
void expd_job_on_device(struct expd_job *j, const struct exp_action *a);
/** expd_job_retire - delete the superseded copies that this host had of exports that came back */
void expd_job_retire(struct expd_job *j);

/* jobs.c, told by job.c */
void expd_jobs_entered(struct expd_job *j, unsigned int state);
void expd_jobs_guest_runs(
	struct expd_job *j); /* S: here again, or there; what is left is tidying */
void expd_jobs_ended(struct expd_job *j);

#endif
