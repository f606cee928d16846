/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job.h - one migration as a host records it (durable), and what it can tell of it now (volatile)
 */
#ifndef EXP_MODEL_JOB_H
#define EXP_MODEL_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/uuid.h"
#include "model/export.h"
#include "model/states.h"

#define EXP_JOB_EXPORTS_MAX   16            /* a VM has more than one disk */
#define EXP_JOB_STREAMS_MAX   32            /* bulk connections */
#define EXP_STATE_BLOB_MAX    (256u * 1024) /* controller state of one export, bytes */
#define EXP_JOB_ATTEMPTS_MAX  3
#define EXP_BLACKOUT_LIMIT_MS 1000  /* default ceiling */
#define EXP_HOLD_LEASE_MS     30000 /* default */
#define EXP_KEY_MAX           128   /* Idempotency-Key, bytes */
#define EXP_MEMORY_RANGES_MAX 64    /* guest memory ranges that target-ready may name */

/* How the guest's controller state travels. Stored and sent. */
enum exp_state_path {
	EXP_PATH_NONE = 0, /* not fixed yet: before preflight ended */
	EXP_PATH_REFERENCE = 1,
	EXP_PATH_VENDOR = 2,
	EXP_PATH_VMM = 3,
	EXP_PATH_COLD = 4, /* controller not enabled: no state */
	EXP_PATH_VFIO = 5,
};

/* How writes during the copy are noticed. Stored and sent. */
enum exp_dirty_source {
	EXP_DIRTY_CDQ = 1,  /* the drive's change log */
	EXP_DIRTY_NONE = 2, /* an offline move: the guest is stopped or suspended first */
};

enum exp_hold { EXP_HOLD_SWITCH = 1, EXP_HOLD_COMMIT = 2 }; /* bits; stored and sent */

/* What an operator or the daemon decided about an open job. Stored. */
enum exp_job_intent { EXP_INTENT_GO = 0, EXP_INTENT_CANCEL = 1, EXP_INTENT_FAIL = 2 };

struct exp_job_export {
	struct exp_uuid id; /* of the export */
	struct exp_export_desc desc;
	struct exp_place here;  /* this host's side: source place, or target place */
	uint64_t epoch;         /* of this attempt */
	uint32_t state_len;     /* controller state, as the drive gave it; 0: none yet */
	uint8_t *state;         /* malloc'd; owned by the job */
	bool discard_namespace; /* destination: this job made the namespace, so it may delete it */
};

struct exp_memory_range {
	uint64_t iova, bytes;
};

/* The record. What is not here did not happen, as far as a restarted daemon knows. */
struct exp_job {
	struct exp_uuid id; /* equal on both hosts */
	enum exp_role role;
	unsigned int state; /* enum exp_src_state or exp_dst_state, by role */
	uint32_t attempt;   /* 1.. */
	struct exp_name peer;
	struct exp_uuid peer_host; /* host id from the peer's hello; nil until known */
	enum exp_state_path path;
	enum exp_dirty_source dirty;
	uint8_t hold; /* enum exp_hold bits */
	uint32_t hold_lease_ms;
	uint32_t blackout_limit_ms;
	enum exp_job_intent intent;
	struct exp_error error;        /* why it is rolling back or ended; code OK: nothing */
	struct exp_uuid boot;          /* kernel boot in which this record was written */
	struct exp_name want_device;   /* source: target device asked for, "" any */
	uint32_t want_cntlid;          /* source: target controller asked for, UINT32_MAX any */
	struct exp_name target_device; /* source: the one the destination chose */
	uint16_t target_cntlid[EXP_JOB_EXPORTS_MAX];
	char key[EXP_KEY_MAX + 1]; /* Idempotency-Key of the request, "" none */
	uint8_t body_sha256[32]; /* of the request body, to tell a repeated key from a reused one */
	uint64_t created_ms, updated_ms; /* wall clock */
	uint32_t n_memory;               /* destination: the guest's memory map from target-ready */
	struct exp_memory_range memory[EXP_MEMORY_RANGES_MAX];
	uint32_t n_exports; /* 1.. */
	struct exp_job_export exports[EXP_JOB_EXPORTS_MAX];
};

/* About 80 KiB: on the heap. */
struct exp_job *exp_job_new(void);
void exp_job_free(struct exp_job *j); /* with every state blob */
EXP_DEFINE_CLEANUP(struct exp_job *, exp_job_free)

/** exp_job_copy - deep; NULL: out of memory */
struct exp_job *exp_job_copy(const struct exp_job *j);

/** exp_job_set_state_blob - replace export @i's controller state by a copy; -E2BIG, -ENOMEM */
int exp_job_set_state_blob(struct exp_job *j, uint32_t i, const void *p, size_t len) EXP_MUST_CHECK;

/* Steps of the blackout, in order; timed in microseconds, shown, kept in the history. */
#define EXP_STEPS(X)                                                                        \
	X(ATTEMPT, "attempt")     /* the destination says it can; before the blackout */    \
	X(SUSPEND, "suspend")     /* Suspend submitted to completed: the blackout begins */ \
	X(DRAIN, "drain")         /* to the end marker of the change log */                 \
	X(LAST_DATA, "last_data") /* last dirty ranges sent and acknowledged */             \
	X(GET_STATE, "get_state")                                                           \
	X(RESTORE, "restore") /* FINAL sent to RESTORED received */                         \
	X(HOLD, "hold")       /* waiting for the VMM's commit */                            \
	X(FENCE, "fence")                                                                   \
	X(RELEASE, "release")   /* commit of released */                                    \
	X(ACTIVATE, "activate") /* RELEASE sent to ACTIVE received: the blackout ends */

enum exp_step {
#define X(NAME, name) EXP_STEP_##NAME,
	EXP_STEPS(X)
#undef X
		EXP_STEP_N
};

const char *exp_step_name(enum exp_step step);

enum exp_verdict { EXP_VERDICT_UNKNOWN = 0, EXP_VERDICT_CONVERGES = 1, EXP_VERDICT_WILL_NOT = 2 };

/* What the daemon knows of a running job; never stored whole. Bytes of namespace data. */
struct exp_job_progress {
	enum exp_condition condition;
	enum exp_target_state target;
	const char *waiting; /* for whom or what; static text, NULL or "": nobody. Not stored */
	uint64_t namespace_bytes;
	uint64_t allocated_bytes; /* what the first pass has to send */
	uint64_t sent_bytes;      /* data extents handed to TLS, first pass and rounds */
	uint64_t zero_bytes;      /* sent as "these are zero" or "deallocated", without data */
	uint64_t acked_bytes;     /* durable at the destination */
	uint64_t resent_bytes;
	uint64_t remaining_bytes; /* dirty or not sent yet, now */
	uint64_t dirty_rate;      /* unique bytes dirtied per second */
	uint64_t send_rate;       /* bytes per second */
	uint64_t eta_ms;          /* until ready; UINT64_MAX unknown */
	uint64_t forecast_blackout_us;
	enum exp_verdict verdict;
	uint32_t rounds;
	uint64_t log_entries; /* change-log entries read */
	uint32_t log_overflows;
	uint64_t blackout_us; /* Suspend submitted to ACTIVE received; 0 until then */
	uint64_t steps_us[EXP_STEP_N];
};

const char *exp_path_name(enum exp_state_path p);
const char *exp_dirty_name(enum exp_dirty_source d);
const char *exp_verdict_name(enum exp_verdict v);

#endif
