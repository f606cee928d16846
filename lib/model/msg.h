/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg.h - what two daemons say to each other about jobs, as plain values
 *
 * lib/wire turns these into protobuf and back, lib/handover decides on them, daemon/ moves them.
 * Every job message names the job, its attempt, the sender's recorded state, and for each export
 * the epoch: a message whose epoch is at or below an export's floor and is not the open job's is
 * old, whatever it says.
 */
#ifndef EXP_MODEL_MSG_H
#define EXP_MODEL_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/uuid.h"
#include "model/caps.h"
#include "model/finding.h"
#include "model/job.h"

#define EXP_MSG_KNOWN_MAX   4096  /* exports that a hello may list */
#define EXP_MSG_DIGESTS_MAX 32768 /* ranges that FINAL may carry digests of */
#define EXP_MSG_TOKEN_BYTES 32

/* X(NAME, value, "name", direction note). Values are sent: never renumber, never reuse. */
#define EXP_MSG_TYPES(X)                                                                        \
	X(HELLO, 1, "hello") /* both ways, first */                                             \
	X(BYE, 2, "bye")     /* explicit end, with the reason */                                \
	X(PING, 3, "ping")                                                                      \
	X(PONG, 4, "pong")                                                                      \
	X(CAPS, 10, "caps") /* source asks: what can you take? changes nothing */               \
	X(CAPS_REPLY, 11, "caps-reply")                                                         \
	X(PREPARE, 20, "prepare")       /* source -> destination */                             \
	X(PREPARED, 21, "prepared")     /* destination -> source, as all answers */             \
	X(TARGET, 22, "target")         /* destination -> source: absent, enabled, suspended */ \
	X(SESSION, 23, "session")       /* source -> destination: open a new bulk session */    \
	X(SESSION_OK, 24, "session-ok") /* its tokens */                                        \
	X(DATA_ACK, 25, "data-ack")     /* durable up to here, per stream; credits */           \
	X(ATTEMPT, 30, "attempt")       /* can you still take it? asked before Suspend */       \
	X(ATTEMPT_OK, 31, "attempt-ok")                                                         \
	X(FINAL, 32, "final") /* all data is sent; digests, controller state */                 \
	X(RESTORED, 33, "restored")                                                             \
	X(RELEASE, 34, "release")                                                               \
	X(ACTIVE, 35, "active")                                                                 \
	X(DISCARD, 36, "discard")                                                               \
	X(DISCARDED, 37, "discarded") /* also the refusal of PREPARE and ATTEMPT: the reason */ \
	X(QUERY, 38, "query")         /* destination in doubt */                                \
	X(ANSWER, 39, "answer")       /* pending or unknown; released and aborted have messages */

enum exp_msg_type {
#define X(NAME, value, name) EXP_MSG_##NAME = (value),
	EXP_MSG_TYPES(X)
#undef X
};

enum exp_answer { EXP_ANSWER_PENDING = 1, EXP_ANSWER_UNKNOWN = 2 }; /* sent; neither decides */

struct exp_msg_known { /* an export that the sender knows */
	struct exp_uuid id;
	uint64_t own, floor;
	enum exp_export_status status;
};

struct exp_msg_hello {
	uint32_t version_min, version_max;
	uint64_t features;
	struct exp_uuid host;
	char build[64];
	struct exp_uuid db_instance; /* of the sender's database */
	uint64_t db_counter;         /* commits so far; one that goes back is journal-regressed */
	uint64_t wall_ms;            /* shown as skew, never decided on */
	uint32_t n_known;
	struct exp_msg_known *known; /* malloc'd */
};

struct exp_msg_caps {
	struct exp_name device;      /* "" any */
	uint32_t cntlid;             /* UINT32_MAX any */
	enum exp_dirty_source dirty; /* 0: not said; what depends on it is not judged */
	uint32_t n_descs;
	struct exp_export_desc *descs; /* malloc'd; what would have to be built */
};

struct exp_msg_caps_reply {
	struct exp_findings findings; /* what the destination itself objects to: policy, space */
	struct exp_name device;       /* the one it would take */
	uint16_t cntlid[EXP_JOB_EXPORTS_MAX];
	struct exp_caps caps; /* of that device */
};

struct exp_msg_prepare {
	enum exp_state_path path;
	enum exp_dirty_source dirty;
	uint8_t hold;
	uint32_t hold_lease_ms;
	uint32_t blackout_limit_ms;
	struct exp_name device;
	uint32_t cntlid[EXP_JOB_EXPORTS_MAX]; /* UINT32_MAX any */
	uint32_t n_descs;
	struct exp_export_desc *descs; /* malloc'd, one per export of the message */
};

struct exp_msg_prepared {
	struct exp_name device;
	uint16_t cntlid[EXP_JOB_EXPORTS_MAX];
	enum exp_target_state target;
};

struct exp_msg_session {  /* SESSION and its answer */
	uint32_t session; /* bulk session, counted up in a job; never reused */
	uint32_t streams;
	uint64_t credit_bytes; /* answer: that many unacknowledged bytes per stream at most */
	uint8_t token[EXP_MSG_TOKEN_BYTES]; /* answer: single use per stream, with the stream number
					     */
};

struct exp_msg_data_ack {
	uint32_t session;
	uint32_t streams;
	uint64_t durable[EXP_JOB_STREAMS_MAX]; /* highest sequence that is flushed, per stream */
	uint64_t written[EXP_JOB_STREAMS_MAX]; /* highest sequence written: gives credit back */
};

struct exp_msg_digest {
	uint16_t export_index; /* into the message's list */
	uint64_t offset_bytes;
	uint32_t len_bytes; /* at most 1 MiB */
	uint8_t sha256[32];
};

struct exp_msg_blob {
	uint32_t len;
	uint8_t *data; /* malloc'd */
};

struct exp_msg_final {
	uint32_t session, streams;
	uint64_t last_seq[EXP_JOB_STREAMS_MAX]; /* every extent up to here must be there */
	uint64_t total_extents;
	struct exp_msg_blob
		state[EXP_JOB_EXPORTS_MAX]; /* controller state, len 0 on the cold path */
	uint32_t n_digests;
	struct exp_msg_digest *digests; /* malloc'd; ranges sent after Suspend */
};

struct exp_msg_export {
	struct exp_uuid id;
	uint64_t epoch;
};

struct exp_msg {
	enum exp_msg_type type;
	/* job messages, 20 and up; zero in the others */
	struct exp_uuid job;
	uint32_t attempt;
	enum exp_role role; /* of the sender in this job */
	unsigned int state; /* the sender's recorded state, 0 none */
	uint32_t n_exports;
	struct exp_msg_export exports[EXP_JOB_EXPORTS_MAX];
	uint64_t request; /* CAPS, CAPS_REPLY, PING, PONG, SESSION: matches answer to question */
	union {
		struct exp_msg_hello hello;
		struct exp_msg_caps caps;
		struct exp_msg_caps_reply *caps_reply; /* malloc'd: large */
		struct exp_msg_prepare prepare;
		struct exp_msg_prepared prepared;
		enum exp_target_state target;
		struct exp_msg_session session;
		struct exp_msg_data_ack data_ack;
		struct exp_msg_final *final; /* malloc'd: large */
		struct exp_error reason;     /* BYE, DISCARD, DISCARDED: why */
		enum exp_answer answer;
	};
};

const char *exp_msg_name(unsigned int type); /* NULL: no such type */

/** exp_msg_done - release what the message owns and clear it; safe on a zeroed one */
void exp_msg_done(struct exp_msg *m);
EXP_DEFINE_CLEANUP(struct exp_msg *, exp_msg_done)

/** exp_msg_for_job - start a message of @type about @j in its present state and epochs */
void exp_msg_for_job(struct exp_msg *m, enum exp_msg_type type, const struct exp_job *j);

/** exp_msg_epoch - the epoch that @m carries for export @id, 0 when it does not name it */
uint64_t exp_msg_epoch(const struct exp_msg *m, const struct exp_uuid *id);

#endif
