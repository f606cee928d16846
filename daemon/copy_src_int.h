/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_src_int.h - what the loop, the log reader and the sending threads of one copy share
 */
#ifndef EXPD_COPY_SRC_INT_H
#define EXPD_COPY_SRC_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/uuid.h"
#include "config.h"
#include "copy/forecast.h"
#include "copy/planner.h"
#include "copy_src.h"
#include "device_service.h"
#include "model/job.h"
#include "worker.h"

struct exp_stream;
struct exp_tls_ctx;

enum copy_note { /* what a thread tells the loop */
		 COPY_NOTE_LOG_RUNS = 1,
		 COPY_NOTE_DRAINED,
		 COPY_NOTE_STREAM_RUNS,
		 COPY_NOTE_FAILED,
		 COPY_NOTE_EXITED,
};

struct copy_thread {
	struct expd_copy_src *c;
	pthread_t thread;
	bool started;
	uint32_t stream; /* of a sending thread */
};

struct expd_copy_src {
	/* constant once the threads run */
	struct expd *x;
	struct expd_job *job;
	struct exp_uuid id;
	struct expd_drive *drive;
	struct exp_tls_ctx *tls;
	struct exp_name peer;
	char address[EXPD_VALUE_MAX + 1], identity[EXPD_VALUE_MAX + 1];
	bool everything; /* the guest is stopped: no change log, all of it is sent */
	uint32_t n_ns;
	struct exp_place place[EXP_JOB_EXPORTS_MAX];
	uint32_t ensid[EXP_JOB_EXPORTS_MAX];
	struct exp_planner_ns ns[EXP_JOB_EXPORTS_MAX];
	uint32_t session, streams;
	uint8_t token[EXP_MSG_TOKEN_BYTES];

	/* the loop's own */
	struct copy_thread reader, sender[EXP_JOB_STREAMS_MAX];
	unsigned int alive; /* threads that have not said EXITED */
	struct event *timer;
	struct exp_forecast forecast;
	uint64_t limit_us;
	uint64_t request, news_us;
	uint64_t best_us; /* least forecast at the end of a round ... */
	uint32_t stale;   /* ... and the rounds since that were no better */
	bool fits;        /* as the machine was told */
	uint64_t session_asked_ms;
	bool log_runs, session_ok, streams_run;
	bool failed, stopped;
	uint32_t start_step, drain_step, last_step, stop_step; /* actions that wait; 0 none */

	/* shared, under lock */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct exp_planner *planner;
	bool last; /* the guest is suspended and the log drained: nothing waits for a later round */
	bool drain;                    /* DRAIN is asked for */
	bool drained, log_lost, noise; /* noise: an entry after an end marker */
	uint32_t overflows;
	uint64_t log_entries;
	uint32_t busy_streams;           /* with something to read or send ... */
	uint64_t busy_us, busy_since_us; /* ... the time in which there was any, the present span */
	uint64_t sent_bytes, zero_bytes;
	bool dealloc_is_zero[EXP_JOB_EXPORTS_MAX]; /* known of the drive: else it is read */
	uint32_t n_digests, cap_digests;
	struct exp_msg_digest *digests;
	bool digests_lost; /* no memory, or more than a message carries */
	struct exp_stream *stream[EXP_JOB_STREAMS_MAX]; /* to be cancelled */

	atomic_bool stop;
};

/** copy_note - any thread: tell the loop; @err may be NULL */
void copy_note(struct expd_copy_src *c, enum copy_note what, const struct exp_error *err);

void *copy_log_reader(void *copy_thread);  /* log_reader.c */
void *copy_bulk_sender(void *copy_thread); /* bulk_send.c */

#endif
