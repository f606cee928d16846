/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs_int.h - what the files behind jobs.h share: the list, and what is kept of those that ended
 */
#ifndef EXPD_JOBS_INT_H
#define EXPD_JOBS_INT_H

#include "job.h"
#include "jobs.h"

#define EXPD_JOBS_ENDED_KEPT 64 /* in memory, for those who ask how it went */

struct expd_jobs {
	struct expd *x;
	struct expd_job *list; /* newest first; ended ones too */
	unsigned int open, ended;
	struct expd_begin *beginning; /* PREPAREs whose place is being looked for */
	void (*idle)(struct expd *x); /* stopping: called once nothing is in its blackout */
	struct event *stop_timer;
};

/** expd_jobs_add - a new or stored job: it counts as open, its exports are held, its peer wanted */
void expd_jobs_add(struct expd_jobs *js, struct expd_job *j);

/** expd_jobs_begin_prepare - a PREPARE of a job that is not known: answer it or begin (begin.c) */
void expd_jobs_stranger(struct expd_jobs *js, const struct exp_name *peer, const struct exp_msg *m);
void expd_jobs_begin_free(struct expd_jobs *js);

/** expd_job_json - one migration, as it is durable now */
struct exp_json *expd_job_json(const struct expd_job *j);

/** expd_jobs_answer_waiting - a commit is through: verbs that waited for it are given again */
void expd_jobs_answer_waiting(struct expd_job *j);

#endif
