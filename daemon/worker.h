/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - a thread that runs tasks in order, and the way their results come back to the loop
 *
 * The loop thread owns all state and never blocks; what blocks is a task: inputs copied into it,
 * run() on the worker, done() on the loop. Workers share nothing else. A task whose owner has gone
 * meanwhile looks it up by id in done() and finds nothing: that is normal.
 */
#ifndef EXPD_WORKER_H
#define EXPD_WORKER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct event_base;
struct expd_inbox; /* finished work on its way to the loop */
struct expd_worker;

struct expd_task {
	void (*run)(struct expd_task *t);  /* worker thread; may block */
	void (*done)(struct expd_task *t); /* loop thread; owns the task from here: frees it */
	struct expd_task *next;
	struct expd_inbox *inbox;
};

/* The inbox: any thread posts, the loop thread runs done() of what came. */
int expd_inbox_new(struct event_base *base, struct expd_inbox **ret, struct exp_error *err);
void expd_inbox_free(struct expd_inbox *in); /* after every worker is gone; runs what is left */
void expd_inbox_run(struct expd_inbox *in);  /* what is there now; for the end, without a loop */
void expd_inbox_post(struct expd_inbox *in, struct expd_task *t); /* any thread */

int expd_worker_new(struct expd_inbox *in, const char *name, struct expd_worker **ret,
		    struct exp_error *err);

/** expd_worker_free - runs what is queued, then joins: bounded by the deadlines of the tasks */
void expd_worker_free(struct expd_worker *w);

/**
 * expd_worker_submit - queue @t; loop thread
 * @urgent: before everything that is not (the journal before the rest); order among equals is kept
 */
void expd_worker_submit(struct expd_worker *w, struct expd_task *t, bool urgent);

size_t expd_worker_depth(struct expd_worker *w); /* tasks queued and running; any thread */

#endif
