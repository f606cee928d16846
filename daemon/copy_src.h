/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_src.h - the source's side of the data: change logs, first pass, rounds, last data
 *
 * One reader thread takes the change logs and never waits for a disk; one thread per bulk
 * connection reads namespaces and sends (bulk_send.c). They share the planner under one lock. The
 * loop starts them, passes acknowledgements on, judges the rounds, and tells the machine.
 * Loop thread, except where a function is said to run on the threads.
 */
#ifndef EXPD_COPY_SRC_H
#define EXPD_COPY_SRC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "model/msg.h"

struct expd_copy_src;
struct expd_job;

/* Actions of the machine; each ends in expd_job_done() with @step. */
void expd_copy_src_start(struct expd_job *j, uint32_t step, bool everything);
void expd_copy_src_drain(struct expd_job *j, uint32_t step);
void expd_copy_src_last(struct expd_job *j, uint32_t step);
void expd_copy_src_stop(struct expd_job *j, uint32_t step);

/** expd_copy_src_free - stops and joins its threads: blocks shortly; NULL is fine */
void expd_copy_src_free(struct expd_copy_src *c);

void expd_copy_src_session_ok(struct expd_copy_src *c, const struct exp_msg *m);
void expd_copy_src_ack(struct expd_copy_src *c, const struct exp_msg_data_ack *a);

/** expd_copy_src_quiet - no change log has said anything after its end marker, and none was lost */
bool expd_copy_src_quiet(struct expd_copy_src *c);

/** expd_copy_src_fill_final - sessions, sequences and digests of FINAL; -ENOMEM, -E2BIG */
int expd_copy_src_fill_final(struct expd_copy_src *c, struct exp_msg_final *f);

#endif
