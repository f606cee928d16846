/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - what the two hand-over machines are told, and what they answer
 *
 * A machine (src.h, dst.h) does no I/O. The daemon tells it one event at a time and gets a plan:
 * either a record to store durably, or actions to run, never both. The actions that a record
 * permits are named only in the answer to COMMITTED, so acting before the commit is not possible.
 * (One exception: a source whose row of rolling-back cannot be stored resumes its guest all the
 * same.) The daemon's duties:
 *
 * - One event at a time, from one thread, in the order things happened. The plan borrows from the
 *   machine: it is used up (messages built, rows copied) before the next event is given.
 * - plan.store: write plan.record and all plan.changes in ONE transaction with fsync, then give
 *   COMMITTED with plan.seq; when the commit failed or its outcome is not known: COMMIT_FAILED. At
 *   most one commit is outstanding; events that come meanwhile are given at once all the same.
 * - plan.actions: run in the order of the list. SEND ends by itself; at most one other action is
 *   outstanding, and it ends with exactly one ACT_DONE or ACT_FAILED that carries its step number.
 *   An action has ended only when nothing of it is outstanding on any device: a command that is
 *   late is waited for, however long, and the machine goes by its own deadlines meanwhile.
 * - Commands for one drive are executed in order, also behind those that a former process of this
 *   daemon left outstanding: RECOVER is given when that is so, or when a reset has ended them.
 * - Every action is a barrier over all exports of the job, and can be repeated after a crash:
 *   finding that it was done already is success. It touches only objects tagged with its job.
 * - COPY_STOP alone may come while a copy action is outstanding. It ends that one too, whose result
 *   is not wanted any more.
 * - Timers: give TICK at exp_src_deadline_ms()/exp_dst_deadline_ms() or later (the daemon adds
 *   jitter). All times are monotonic milliseconds.
 * - A message for a job that is not open here goes to answer.h instead of a machine.
 *
 * The rules, as the comments in src_decide.c, src.c, dst_decide.c, dst.c and answer.c name them:
 * R1  fence: before `released` the source's controller is held, unable to run after any reset
 * R2  check after the fence that the suspension was unbroken since Suspend; else roll back
 * R3  the destination is held until `activating` is durable
 * R4  `switching` found at a start is always rolled back
 * R5  one attempt, one epoch, burned on failure; a vote counts only for the life that asked for it
 * R6  floor and maxown are kept for ever; DISCARD of an unknown job raises the floor, then answers
 * R7  `restored` is one commit with state and configuration in it, after a Flush
 * R8  no Resume and no outcome while a Suspend is outstanding
 * R9  closed jobs still answer; "undecided" is not "not released"
 * R10 a host that was off asks before it runs what was at or beyond `switching`
 * R11 one job per export and host; clean-up touches only what carries its job's id
 * R12 ACTIVE after it was seen to run, DISCARDED after deletion, RELEASE after the fsync, no cancel
 *     once `released` is queued; a failed commit of `released` is committed again, never undone
 */
#ifndef EXP_HANDOVER_PLAN_H
#define EXP_HANDOVER_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "model/export.h"
#include "model/job.h"
#include "model/msg.h"
#include "model/states.h"

#define EXP_PLAN_ACTIONS_MAX 4
#define EXP_PLAN_MARKS_MAX   4

/*
 * X(NAME, "name"). "All" is every export of the job. Roles: S source, D destination.
 *
 * device
 */
#define EXP_ACTS(X)                                                                              \
	/* S: read both drives' capabilities (the peer's by CAPS), run exp_preflight(). Changes  \
	 * nothing. Result: preflight; a refusal is ACT_FAILED with the first finding. */        \
	X(PREFLIGHT, "preflight")                                                                \
	/* S: 41h Suspend, DUDMQ=0, all; ended when every Suspend has completed. */              \
	X(SUSPEND, "suspend")                                                                    \
	/* S: read each change log to its end marker (ESA 011b). Overflow or loss: ACT_FAILED */ \
	X(DRAIN, "drain")                                                                        \
	/* S: 42h, all. Result: state (blobs), suspended: CSUP=1 on every chunk, CP=1 */         \
	X(GET_STATE, "get-state")                                                                \
	/* S: detach from the guest's controller, confirm with CNS 12h, all. Done means that no  \
	 * reset can make it acknowledge a write */                                              \
	X(FENCE, "fence")                                                                        \
	/* S: state header by 42h of all, and the change logs. Result: suspended: CSUP=1         \
	 * everywhere and no entry after any end marker */                                       \
	X(CHECK_SUSPENDED, "check-suspended")                                                    \
	/* S, D: attach to the guest's controller, all; attached already is success */           \
	X(ATTACH, "attach")                                                                      \
	/* S, D: 41h Resume, all; "not suspended" is success: it runs */                         \
	X(RESUME, "resume")                                                                      \
	/* S, D: all attached and not suspended (on the cold path: attached); else ACT_FAILED */ \
	X(VERIFY_RUNS, "verify-runs")                                                            \
	/* S: after ACTIVE: delete the exported subsystem, retire the namespace by policy. Code  \
	 * BUSY: the VMM has not released the function yet */                                    \
	X(TAKE_DOWN, "take-down")                                                                \
	/* D: delete what this job made, then namespace and exported subsystem from record's     \
	 * descriptions on record's device and controllers; held; read back. Result: places */   \
	X(BUILD, "build")                                                                        \
	/* D: see that what was built is there and held (never attached); build again what a     \
	 * reset or restart lost, keeping the namespace and its data. Result: places, target.    \
	 * In restored: target suspended again, and with apply_state the record's blob set */    \
	X(REBUILD, "rebuild")                                                                    \
	/* D: 41h Suspend of the enabled target controllers, all; no I/O queue may exist.        \
	 * Result: target */                                                                     \
	X(SUSPEND_TARGET, "suspend-target")                                                      \
	/* D: may the attempt begin? space, device, certificate, target still suspended */       \
	X(CHECK_READY, "check-ready")                                                            \
	/* D: 41h Set Controller State from record's blobs, all; queues must lie in record's     \
	 * memory map. Not used on the cold path */                                              \
	X(SET_STATE, "set-state")                                                                \
	/* D: delete what this job made and nothing else; gone already is success */             \
	X(DELETE, "delete")                                                                      \
	/* copy */                                                                               \
	/* S: change log first (unless plan says everything), then allocation status, then copy. \
	 * Done: it is running. News comes as COPY events */                                     \
	X(COPY_START, "copy-start")                                                              \
	/* S: send what is left, wait until all of it is acknowledged as durable */              \
	X(LAST_DATA, "last-data")                                                                \
	/* D: every extent that FINAL names is there, Flush, digests equal what the device reads \
	 */                                                                                      \
	X(CHECK_FINAL, "check-final")                                                            \
	/* S, D: stop reading and sending or writing; the change log is deleted */               \
	X(COPY_STOP, "copy-stop")                                                                \
	/* messages */                                                                           \
	X(SEND, "send") /* exp_src_message()/exp_dst_message() builds it; lost is fine */

enum exp_act {
	EXP_ACT_NONE = 0,
#define X(NAME, name) EXP_ACT_##NAME,
	EXP_ACTS(X)
#undef X
		EXP_ACT_N
};

const char *exp_act_name(enum exp_act act); /* NULL: no such action */

struct exp_action {
	enum exp_act act;
	struct exp_uuid job;
	uint32_t attempt;
	uint32_t step;          /* unique in this life of the machine; 0 for SEND */
	uint64_t deadline_ms;   /* when the machine will stop counting on it; EXP_NEVER_MS none */
	enum exp_msg_type msg;  /* SEND */
	enum exp_answer answer; /* SEND of ANSWER */
	bool everything;        /* COPY_START: the guest is stopped; no change log, copy it all */
	bool apply_state;       /* REBUILD */
};

/* What ACT_DONE brings; which fields count is said at the action. Borrowed for the call. */
struct exp_act_result {
	const struct exp_place *places;   /* n_exports of the record */
	const struct exp_msg_blob *state; /* n_exports of the record */
	bool suspended;
	enum exp_target_state target;
	enum exp_state_path path;    /* PREFLIGHT */
	enum exp_dirty_source dirty; /* PREFLIGHT */
};

/* What the copy engine has to say. Leaving and entering ready costs a commit each: be slow to say
 * NOT_FIT. */
enum exp_copy_news {
	EXP_COPY_FITS = 1,     /* end of a round: what remains fits the blackout budget */
	EXP_COPY_NOT_FIT = 2,  /* end of a round: it does not, or no longer */
	EXP_COPY_WILL_NOT = 3, /* the policy gives up: it will not converge */
	EXP_COPY_FAILED = 4,   /* read or write error, no space, coverage missing */
};

enum exp_verb {
	EXP_VERB_TARGET_READY = 1, /* D */
	EXP_VERB_SWITCHOVER = 2,   /* S, like all that follow */
	EXP_VERB_COMMIT = 3,
	EXP_VERB_ABORT = 4,
	EXP_VERB_CANCEL = 5, /* D too, before restored */
};

enum exp_event_type {
	EXP_EV_START = 1,   /* a new record, nothing stored yet */
	EXP_EV_RECOVER = 2, /* a stored record, after a restart of the daemon */
	EXP_EV_COMMITTED = 3,
	EXP_EV_COMMIT_FAILED = 4,
	EXP_EV_ACT_DONE = 5,
	EXP_EV_ACT_FAILED = 6,
	EXP_EV_MSG = 7, /* from the job's own peer, authorised; never from another one */
	EXP_EV_COPY = 8,
	EXP_EV_LINK_UP = 9, /* also right after START or RECOVER when the peer is connected */
	EXP_EV_LINK_DOWN = 10,
	EXP_EV_DEVICE_RESET = 11, /* mmc-reset: a reset of the management controller was noticed */
	EXP_EV_VERB = 12,
	EXP_EV_TICK = 13,
};

const char *exp_event_name(enum exp_event_type type); /* NULL: no such event */

struct exp_event {
	enum exp_event_type type;
	uint64_t now_ms; /* monotonic, never less than in the event before */
	union {
		struct exp_uuid boot; /* START, RECOVER: this kernel boot */
		struct {
			uint64_t seq; /* of the plan that asked */
			struct exp_error err;
		} commit;
		struct {
			uint32_t step;
			struct exp_act_result result; /* ACT_DONE */
			struct exp_error err;         /* ACT_FAILED */
		} act;
		const struct exp_msg *msg; /* borrowed for the call */
		struct {
			enum exp_copy_news news;
			struct exp_error err; /* WILL_NOT, FAILED */
		} copy;
		struct {
			enum exp_verb verb;
			uint32_t n_memory;                     /* TARGET_READY */
			const struct exp_memory_range *memory; /* borrowed for the call */
		} verb;
	};
};

#define EXP_STATUS_UNCHANGED ((enum exp_export_status)0)

/*
 * Who may run an export, as it must be stored with the record. own and status are set; floor and
 * maxown are only ever RAISED: store the larger of old and new, so that a late writer with an old
 * copy cannot take them back.
 */
struct exp_own_change {
	struct exp_uuid id; /* of the export; made when it is not known here */
	struct exp_ownership owner;
	enum exp_export_status status; /* EXP_STATUS_UNCHANGED: leave as it is */
	struct exp_name owner_peer;    /* who has it when this host has not; "" not known */
	uint32_t index;                /* in the record's exports: description and place to store */
};

enum exp_verb_answer {
	EXP_VERB_NONE = 0,     /* the event was no verb */
	EXP_VERB_ACCEPTED = 1, /* noted; the outcome shows in the job */
	EXP_VERB_WAIT = 2,     /* being decided: give the same verb again after the commit */
	EXP_VERB_REFUSED = 3,  /* plan.verb_error says why */
};

struct exp_mark { /* stamp the clock: a step of the blackout begins or ends here */
	enum exp_step step;
	bool begin;
};

struct exp_plan {
	/* store */
	bool store;
	uint64_t seq;
	const struct exp_job *record; /* borrowed; updated_ms is for the daemon to write */
	uint32_t n_changes;
	struct exp_own_change changes[EXP_JOB_EXPORTS_MAX];
	bool fresh_connection; /* the commit before this one failed: close all, reopen, then commit
				*/

	/* or act */
	uint32_t n_actions;
	struct exp_action actions[EXP_PLAN_ACTIONS_MAX];

	/* and tell */
	unsigned int entered; /* this state has become durable with this event; 0: none */
	bool publish;         /* it is final: the outcome may be told, the machine is finished */
	uint32_t n_marks;
	struct exp_mark marks[EXP_PLAN_MARKS_MAX];
	enum exp_verb_answer verb;
	struct exp_error verb_error;
	struct exp_error alarm; /* code not OK: log it as an error, a person should look */
	bool ignored;           /* MSG: it meant nothing in this state; count it */
};

#endif
