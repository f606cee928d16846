/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer.h - messages about jobs that are not open here: closed long ago, or never begun
 *
 * Closed jobs still answer, for ever, since the peer repeats its question until it is answered.
 * The destination's answers come from floor and maxown alone, so they survive the loss of every
 * other record. Pure functions: the caller stores what the reply says, durably, then sends.
 */
#ifndef EXP_HANDOVER_ANSWER_H
#define EXP_HANDOVER_ANSWER_H

#include "handover/plan.h"

/* What this host knows of one export that a message names; all zero when it knows nothing. */
struct exp_known_export {
	struct exp_ownership owner; /* what is durable, never what is only queued */
	/*
	 * The highest floor ever queued for it in this life of the process, also by a commit that
	 * failed; 0: none. A PREPARE that overtakes the commit of a tombstone finds its epoch
	 * closed, and an answer is never given on the strength of a row that may not be on the
	 * disk.
	 */
	uint64_t queued_floor;
	enum exp_export_status status; /* 0: not known here */
	struct exp_name owner_peer;
	bool busy; /* an open job, either role, holds it here */
};

enum exp_reply_kind {
	EXP_REPLY_IGNORE = 1, /* nothing; the sender repeats */
	EXP_REPLY_SEND = 2,   /* store changes, if any, then send exp_reply_message() */
	EXP_REPLY_BEGIN = 3,  /* PREPARE of a new job: authorise it, then exp_dst_job_new(), or
			       * exp_dst_refuse() */
};

struct exp_reply {
	enum exp_reply_kind kind;
	enum exp_msg_type send;
	enum exp_answer answer;  /* when send is ANSWER */
	struct exp_error reason; /* of DISCARD or DISCARDED */
	struct exp_error alarm;  /* code not OK: log as an error, a person must look */
	uint32_t n_changes;      /* floors to raise durably before sending */
	struct exp_own_change changes[EXP_JOB_EXPORTS_MAX]; /* index is that in the message */
};

/**
 * exp_dst_answer - the sender is a source (m->role), and the job is not open here
 * @known: per export of @m
 */
void exp_dst_answer(const struct exp_known_export *known, const struct exp_msg *m,
		    struct exp_reply *ret);

/** exp_dst_refuse - this host will not or cannot take the job that @m asks for, and why */
void exp_dst_refuse(const struct exp_known_export *known, const struct exp_msg *m,
		    const struct exp_error *why, struct exp_reply *ret);

/**
 * exp_src_answer - the sender is a destination, and the job is not open here
 * @closed: its last durable record, NULL when there is none
 */
void exp_src_answer(const struct exp_job *closed, const struct exp_msg *m, struct exp_reply *ret);

/** exp_reply_message - the answer to @m; own role, no recorded state. End with exp_msg_done() */
void exp_reply_message(const struct exp_reply *r, const struct exp_msg *m, struct exp_msg *ret);

#endif
