/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_dst.h - the destination's side of the data: bulk sessions, writing, what is durable
 *
 * One thread per bulk connection decrypts into the drive's buffers, checks and writes
 * (bulk_recv.c). What is received, written and flushed is kept in one tracker under one lock, and
 * told to the source as acknowledgements. At the end it is checked that everything is there and
 * reads as it was sent. Loop thread, except where a function is said to run on the threads.
 */
#ifndef EXPD_COPY_DST_H
#define EXPD_COPY_DST_H

#include "base/error.h"
#include "model/msg.h"
#include "wire/bulk.h"

struct exp_stream;
struct expd_copy_dst;
struct expd_job;

/** expd_copy_dst_session - SESSION: drain the former one, open another, answer with its token */
void expd_copy_dst_session(struct expd_job *j, const struct exp_msg *m);

/** expd_copy_dst_stream - a bulk connection for this job, as its opening record says; takes @s */
void expd_copy_dst_stream(struct expd_job *j, const struct exp_bulk_open *open,
			  struct exp_stream *s);

/* Actions of the machine; each ends in expd_job_done() with @step. */
void expd_copy_dst_check_final(struct expd_job *j, uint32_t step);
void expd_copy_dst_stop(struct expd_job *j, uint32_t step);

/** expd_copy_dst_free - stops and joins its threads: blocks shortly; NULL is fine */
void expd_copy_dst_free(struct expd_copy_dst *c);

#endif
