/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.h - two hosts, two drives, a network and virtual machines in one process, on a virtual clock
 *
 * Everything that can go wrong is decided by one seeded generator, so a seed replays exactly. The
 * two machines of lib/handover are the real ones; what surrounds them here is a model:
 *
 *	sim_world.c	clock and queue of events, the story that is told
 *	sim_device.c	drives: suspension, attachment, change log, ordered commands; the guests
 *	sim_copy.c	the copy engines of both sides and the bulk connections
 *	sim_host.c	the daemons: running of plans, verbs, crash and restart
 *	sim_net.c	their databases, and the messages between them
 *	sim_check.c	what must never happen, judged from drives, ledger and databases
 *	sim_main.c	what people and virtual machine managers do; options; coverage
 */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "copy/planner.h"
#include "handover/answer.h"
#include "handover/dst.h"
#include "handover/src.h"

#define SIM_HOSTS   2
#define SIM_VMS     2
#define SIM_EXPORTS 4 /* VM v has 2v and 2v+1, or 2v alone */
#define SIM_BLOCKS  10
#define SIM_RECORDS 24
#define SIM_JOBS    6 /* open on one host */
#define SIM_STREAMS 3
#define SIM_BLOCK   4096u

struct sim;
struct sim_job;

/* ------------------------------------------------------------------ drives */

struct sim_log { /* change log of one controller */
	bool exists, logging, full;
	bool marker;       /* the end marker was posted */
	bool after_marker; /* an entry came after it */
	uint32_t dirty;    /* entries not read yet */
};

struct sim_ctrl { /* one export on one drive */
	bool present, attached, suspended;
	bool enabled; /* CC.EN: a guest, or at the target its VMM, has started it */
	bool has_queues;
	struct exp_uuid tag; /* job that built it */
	uint32_t data[SIM_BLOCKS];
	uint64_t head; /* how far the guest's queues are processed */
	struct sim_log log;
};

struct sim_task { /* one action on a drive: a command per export, in order */
	struct sim_task *next;
	uint32_t life, step, uid;
	enum exp_act act;
	bool apply_state, live;
	struct exp_uuid tag; /* the job */
	uint32_t n, i;       /* exports; the one whose command is outstanding */
	int exports[SIM_EXPORTS];
	bool begun, suspended, orphan;
	struct exp_error err;
	uint64_t heads[SIM_EXPORTS]; /* controller state, got or to be set */
	enum exp_target_state target;
};

/* ------------------------------------------------------------------ copy */

struct sim_copy {
	/* source */
	struct exp_planner *planner; /* NULL: not copying */
	uint32_t streams;
	uint32_t last_step; /* LAST_DATA that waits, 0 none */
	uint32_t drain_step;
	uint32_t gen;                     /* to tell old timers */
	uint64_t arrival_ms[SIM_STREAMS]; /* a connection keeps its order */
	/* destination */
	uint32_t rx_session;
	uint64_t rx_seq[SIM_STREAMS];
};

/* ------------------------------------------------------------------ hosts */

struct sim_job {
	uint32_t uid; /* 0: free slot */
	int vm;
	struct exp_src *src;
	struct exp_dst *dst;
	struct exp_job *job; /* borrowed from the machine */
	uint32_t n;
	int exports[SIM_EXPORTS]; /* numbers of the exports, in the job's order */
	struct sim_copy copy;
	uint64_t timer_ms; /* of the TICK that is under way */
	bool target_told;
};

struct sim_netmsg {
	int refs;
	struct exp_msg m;
};

struct sim_commit {
	struct sim_commit *next;
	uint32_t life, uid;
	uint64_t seq;
	struct exp_job *rec; /* NULL: ownership only */
	uint32_t n_changes;
	struct exp_own_change changes[EXP_JOB_EXPORTS_MAX];
	struct sim_netmsg *then; /* answer to send when it is durable */
};

struct sim_host {
	int nr;
	bool up;
	uint32_t life; /* of the daemon */
	struct exp_uuid boot;
	struct sim_ctrl ctrl[SIM_EXPORTS];
	struct sim_task *tasks; /* the first one is being executed */
	uint32_t dev_gen;       /* counts resets: what was outstanding is over */
	/* the database, as it would be found after a crash */
	struct exp_ownership own[SIM_EXPORTS];
	struct exp_job *rec[SIM_RECORDS];
	uint32_t n_rec;
	/* the daemon's own view: floors of commits under way count at once */
	uint64_t floor[SIM_EXPORTS];
	struct sim_commit *commits;
	uint64_t full_ms; /* until then the disk is full */
	uint64_t commit_free_ms;
	struct sim_job jobs[SIM_JOBS];
};

struct sim_vm {
	bool used, cold;
	uint32_t n; /* exports */
	int at;     /* host whose function its vCPUs use */
	uint64_t acked[SIM_EXPORTS];
	int jobs_left;
	struct exp_uuid job; /* the last one started */
	uint32_t pace;       /* one of so many looks at a hold leads to an answer */
	bool patient;        /* its VMM answers holds, and calls target-ready */
};

enum sim_ending { SIM_OPEN = 0, SIM_MOVED, SIM_FAILED };

struct sim_outcome { /* of each job, for ever */
	struct exp_uuid job;
	enum sim_ending end;
};

typedef void sim_fn(struct sim *s, int host, uint32_t a, uint32_t b, void *p);

struct sim_event {
	uint64_t at_ms, seq;
	sim_fn *fn;
	int host;
	uint32_t a, b;
	void *p;
	void (*drop)(void *p); /* when the world ends before it */
};

struct sim {
	uint64_t seed, now_ms, seq;
	struct exp_rng rng;
	bool verbose, calm, link;
	bool dst_cancelled; /* a person cancelled a job at its destination */
	uint32_t link_gen;
	uint32_t faults; /* per 1000, of most things */
	struct sim_event *heap;
	size_t n_heap, cap_heap;
	struct sim_host host[SIM_HOSTS];
	struct sim_vm vm[SIM_VMS];
	uint32_t n_exports;
	struct exp_uuid export_id[SIM_EXPORTS];
	uint32_t ledger[SIM_EXPORTS][SIM_BLOCKS]; /* last acknowledged write of each block */
	uint32_t writes;
	uint64_t highest[SIM_EXPORTS]; /* epoch that was released or owned last */
	struct sim_outcome out[SIM_RECORDS];
	uint32_t n_out;
	uint32_t uid;
	uint64_t steps;
	uint32_t moved, failed, crashes, resets;
	char broken[256]; /* the invariant that did not hold; "": all did */
};

/* sim_world.c */
void sim_at(struct sim *s, uint64_t in_ms, sim_fn *fn, int host, uint32_t a, uint32_t b, void *p);
/** sim_own - the event that was added last owns its @p */
void sim_own(struct sim *s, void (*drop)(void *p));
void sim_drop_events(struct sim *s);
bool sim_next(struct sim *s); /* runs one event; false: none is left */
void sim_say(struct sim *s, int host, const char *fmt, ...) EXP_PRINTF(3, 4);
void sim_break(struct sim *s, const char *fmt, ...) EXP_PRINTF(2, 3);
uint64_t sim_rnd(struct sim *s, uint64_t n);          /* [0, n) */
bool sim_fault(struct sim *s, uint32_t per_mille);    /* never after calm */
uint64_t sim_delay(struct sim *s, uint64_t usual_ms); /* mostly short, now and then long */
struct exp_uuid sim_uuid(struct sim *s);
int sim_export_nr(const struct sim *s, const struct exp_uuid *id); /* -1 unknown */

/* sim_device.c */
bool sim_runs(const struct sim_ctrl *c); /* could acknowledge a write */
void sim_dev_submit(struct sim *s, struct sim_host *h, struct sim_job *j,
		    const struct exp_action *a);
void sim_dev_crash(struct sim *s, struct sim_host *h);         /* the daemon's queue is gone */
void sim_dev_reset(struct sim *s, struct sim_host *h);         /* of the management controller */
void sim_ctrl_reset(struct sim *s, struct sim_host *h, int x); /* of one guest's controller */
void sim_guest_tick(struct sim *s, int host, uint32_t x, uint32_t b, void *p);

/* sim_copy.c */
void sim_copy_start(struct sim *s, struct sim_host *h, struct sim_job *j);
void sim_copy_stop(struct sim *s, struct sim_host *h, struct sim_job *j);
void sim_copy_drain(struct sim *s, struct sim_host *h, struct sim_job *j, uint32_t step);
void sim_copy_last(struct sim *s, struct sim_host *h, struct sim_job *j, uint32_t step);
void sim_copy_link(struct sim *s, struct sim_host *h, struct sim_job *j); /* it went or came */
void sim_copy_free(struct sim_job *j);
void sim_copy_fill_final(struct sim_job *j, struct exp_msg_final *f);
bool sim_copy_check_final(struct sim_job *j, const struct exp_msg_final *f);

/* sim_host.c */
void sim_host_init(struct sim *s, int nr);
void sim_host_done(struct sim_host *h);
struct sim_job *sim_job_by_uid(struct sim_host *h, uint32_t uid); /* NULL: gone */
struct sim_job *sim_job_by_id(struct sim_host *h, const struct exp_uuid *id);
void sim_step(struct sim *s, struct sim_host *h, struct sim_job *j, struct exp_event *ev);
void sim_act_over(struct sim *s, struct sim_host *h, struct sim_job *j, uint32_t step,
		  const struct exp_act_result *res, const struct exp_error *err);
void sim_start_job(struct sim *s, int vm, uint8_t hold, enum exp_dirty_source dirty);
void sim_verb(struct sim *s, int host, struct sim_job *j, enum exp_verb verb);
void sim_crash(struct sim *s, struct sim_host *h, bool reset_at_start);
void sim_link_set(struct sim *s, bool up);
bool sim_busy(const struct sim_host *h, int x); /* an open job holds the export */

struct sim_job *sim_open_job(struct sim *s, struct sim_host *h, struct exp_job *job);
void sim_begin(struct sim *s, struct sim_host *h, struct sim_job *j, enum exp_event_type type);
bool sim_linked(const struct sim *s);

/* sim_net.c */
void sim_apply(struct sim *s, struct sim_host *h, struct sim_commit *c); /* durable now */
void sim_commit(struct sim *s, struct sim_host *h, struct sim_commit *c);
void sim_commit_free(struct sim_commit *c);
struct sim_netmsg *sim_netmsg(void);
void sim_send(struct sim *s, struct sim_host *from, struct sim_netmsg *m); /* takes @m */

/* sim_check.c */
void sim_check(struct sim *s);
void sim_check_end(struct sim *s);
void sim_note_commit(struct sim *s, struct sim_host *h, const struct exp_job *rec);
void sim_note_publish(struct sim *s, struct sim_host *h, const struct exp_job *rec);

/* sim_main.c: which pairs of state and event were met */
void sim_cover(enum exp_role role, unsigned int state, const struct exp_event *ev);

#endif
