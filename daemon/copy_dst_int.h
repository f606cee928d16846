/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_dst_int.h - what the loop and the receiving threads of one copy share
 */
#ifndef EXPD_COPY_DST_INT_H
#define EXPD_COPY_DST_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/uuid.h"
#include "copy_dst.h"
#include "device_service.h"
#include "model/job.h"
#include "wire/bulk_track.h"
#include "worker.h"

struct exp_stream;

enum dst_note {                        /* what a thread tells the loop */
		DST_NOTE_PROGRESS = 1, /* more is written or durable than was acknowledged */
		DST_NOTE_FAILED,
		DST_NOTE_EXITED,
		DST_NOTE_CHECKED, /* CHECK_FINAL ended; err code OK: all equal */
};

struct recv_thread {
	struct expd_copy_dst *c;
	pthread_t thread;
	bool started;
	uint16_t stream;
	struct exp_stream *s;
};

struct expd_copy_dst {
	/* constant */
	struct expd *x;
	struct expd_job *job;
	struct exp_uuid id;
	struct expd_drive *drive;
	uint32_t n_ns;
	struct exp_bulk_ns ns[EXP_JOB_EXPORTS_MAX];
	uint32_t nsid[EXP_JOB_EXPORTS_MAX];

	/* the loop's own */
	uint32_t session, streams;
	uint8_t token[EXP_MSG_TOKEN_BYTES];
	uint32_t used; /* bit per stream: its token was spent */
	struct recv_thread receiver[EXP_JOB_STREAMS_MAX];
	unsigned int alive;
	bool draining;         /* a new session waits for the writers of the old one */
	struct exp_msg wanted; /* that SESSION; job messages own nothing here */
	bool failed, stopped;
	uint32_t final_step, stop_step;
	bool checking;
	struct recv_thread checker;
	struct exp_msg_final *final; /* of CHECK_FINAL: owned copy while the checker runs */
	struct exp_error error;      /* why a stream failed */

	/* shared, under lock */
	pthread_mutex_t lock;
	struct exp_bulk_track *track;
	bool progress_posted; /* one note is on its way: no second one */

	atomic_bool stop;
};

/** dst_note - any thread: tell the loop; @err may be NULL */
void dst_note(struct expd_copy_dst *c, enum dst_note what, const struct exp_error *err);

void *copy_bulk_receiver(void *recv_thread); /* bulk_recv.c */
void *copy_final_checker(void *recv_thread); /* final_check.c */

#endif
