/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_internal.h - the state of the emulated SSD, shared by its ssd_*.c files
 *
 * Who may touch what. Every function has a gate; its own thread holds it while it executes
 * commands or register accesses. The MMC's thread, which executes every command that concerns
 * other functions, enters their gates as an intruder (ssd_intrude) and then sees them between two
 * commands: all that were fetched are done. Nobody else ever enters a foreign gate.
 *   struct ssd (image, namespaces, queues of the change log): the MMC's thread only
 *   struct ssd_fn: whoever is inside its gate; fn->ns[] and fn->face change only by intrusion
 *   struct ssd_cdq: its own lock, since the function appends what the MMC's thread posts
 * Lock order: gate of the MMC, gates of other functions by ascending CNTLID, CDQ locks.
 */
#ifndef EMU_SSD_INTERNAL_H
#define EMU_SSD_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/le.h"
#include "emu/ssd.h"
#include "emu/ssd_image.h"
#include "emu/ssd_spec.h"
#include "emu/ssd_store.h"
#include "emu/ssd_template.h"

#define SSD_QUEUES         129 /* with the admin queue; QIDs are 0..128 */
#define SSD_MAX_VECTORS    256
#define SSD_MAX_AERS       8
#define SSD_ERROR_LOG      64
#define SSD_CHANGED_NS     64
#define SSD_MAX_XFER_BYTES (1u << 20)
#define SSD_MAX_PAGES      (SSD_MAX_XFER_BYTES / 4096 + 1)
#define SSD_MAX_CDQS       SSD_MAX_FN
#define SSD_BATCH          64 /* commands between two looks at the gate */

struct ssd_sq {
	bool live;
	uint8_t prio;
	uint16_t cqid;
	uint32_t size; /* entries */
	uint32_t head, tail;
	uint32_t refused; /* the last doorbell value that made no sense, to report it once */
	uint64_t base;
};

struct ssd_cq {
	bool live, ien;
	bool ring_due; /* an interrupt is owed for what was posted */
	uint8_t phase; /* of the entry that tail points at */
	uint16_t vector;
	uint32_t size;
	uint32_t head, tail;
	uint32_t refused;
	uint64_t base;
};

/* A namespace at run time. Never changes while a function can see it. */
struct ssd_ns {
	uint32_t nsid;
	uint8_t lbads;
	bool shared;
	uint64_t blocks, file;
	struct exp_uuid nguid, uuid;
	int fd;
};

/* A namespace as one function sees it. */
struct ssd_nsref {
	uint32_t nsid; /* ENSID behind an export */
	const struct ssd_ns *ns;
};

/* What a function shows and allows: the drive's own limits, or those of its export. */
struct ssd_face {
	bool exported;
	uint16_t cntlid;
	uint64_t cap;
	uint32_t vs;
	uint8_t mdts, rab, aerl, acl, elpe, vwc;
	uint16_t queues_sq, queues_cq; /* I/O queues, plain count */
	uint16_t oncs, oacs;
	uint32_t oaes;
	uint16_t awun, awupf;
	uint32_t nn;
	uint16_t temp_over, temp_under; /* defaults of feature 04h */
	char nqn[SSD_NQN_BYTES];
	struct ssd_refconfig config; /* of the export */
};

/* Feature values; the default of each comes from the face. */
struct ssd_features {
	uint32_t arbitration;
	uint16_t temp_over, temp_under;
	uint8_t write_cache;
	uint32_t queues; /* NSQA | NCQA << 16, 0's based, as the completion shows it */
	uint32_t coalescing;
	uint32_t async_events;
	uint8_t no_coalesce[SSD_MAX_VECTORS / 8]; /* CD per vector */
};

enum ssd_event {
	EV_DB_REGISTER, /* write to invalid doorbell register */
	EV_DB_VALUE,    /* invalid doorbell write value */
	EV_NS_ATTACHED,
	EV_NS_ALLOC,
	EV_COUNT,
};

enum ssd_seq {
	SEQ_NONE,
	SEQ_RUNNING, /* state arrives, not complete */
	SEQ_FAILED,  /* arrived and refused */
};

struct ssd_cdq;

struct ssd_error_entry {
	uint64_t count;
	uint16_t sqid, cid, status;
	uint64_t lba;
	uint32_t nsid;
};

struct ssd_fn {
	struct ssd *ssd;
	uint16_t cntlid;
	bool is_mmc;
	struct ssd_host host;

	pthread_mutex_t gate;
	pthread_cond_t turn;
	atomic_uint intruders;

	/* all below: inside the gate */
	uint32_t *db;
	uint32_t cc, csts, aqa, intm;
	uint64_t asq, acq;
	bool suspended;
	uint64_t suspends; /* counts starts and ends of suspension: has it held all along? */
	uint64_t now_us;

	struct ssd_sq sq[SSD_QUEUES];
	struct ssd_cq cq[SSD_QUEUES];
	unsigned int top;     /* one more than the highest QID that lives */
	unsigned int next_sq; /* where the next round begins */

	struct ssd_face face;
	struct ssd_features feat;
	struct ssd_nsref ns[SSD_MAX_NS];
	size_t n_ns;
	bool io_queue_made; /* feature 07h is fixed from then on */

	uint16_t aer[SSD_MAX_AERS];
	size_t n_aer;
	uint32_t pending;                   /* bit per enum ssd_event */
	uint32_t reported;                  /* types that stay quiet until their log was read */
	uint8_t reported_lid[8];            /* by type: the log that lifts it */
	uint16_t tail_events[SSD_MAX_CDQS]; /* CDQIDs; MMC only */
	size_t n_tail_events;

	struct ssd_error_entry errors[SSD_ERROR_LOG];
	uint64_t n_errors;
	uint32_t changed_attached[SSD_CHANGED_NS], changed_alloc[SSD_CHANGED_NS];
	size_t n_changed_attached, n_changed_alloc; /* SIZE_MAX: more than fit */
	uint64_t blocks_read, blocks_written, reads, writes;

	/* live migration */
	struct ssd_cdq *log; /* where this controller's writes are noted, or NULL */
	uint8_t *seq_data;   /* Set Controller State under way */
	size_t seq_len, seq_cap;
	uint32_t seq_select; /* CSVI and CSUUIDI of the first command of the sequence */
	enum ssd_seq seq;
	struct ssd_state *committed; /* outlives a reset; gone with Resume */
	bool admin_restored;         /* the state had admin queue pointers */
};

struct ssd {
	const struct ssd_profile *profile;
	struct ssd_store *store;
	struct ssd_image *img;
	struct ssd_ns *ns[SSD_MAX_NS];
	size_t n_ns;
	struct ssd_fn fn[SSD_MAX_FN];
	unsigned int n_fn;
	struct ssd_cdq *cdqs[SSD_MAX_CDQS];
	uint16_t last_cdqid;
	char serial[21], nqn[SSD_NQN_BYTES];
};

/* A command that was copied out of a queue, once. */
struct ssd_cmd {
	struct ssd_fn *fn;
	uint16_t sqid, cid;
	uint8_t opcode, flags;
	uint32_t nsid;
	uint64_t prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
	uint32_t dw0, dw1; /* of the completion */
	bool parked;
};

/* ssd_device.c */
void ssd_enter(struct ssd_fn *fn); /* the function's own thread */
void ssd_leave(struct ssd_fn *fn);
void ssd_intrude(struct ssd_fn *fn); /* the MMC's thread; no-op for the MMC itself */
void ssd_retire(struct ssd_fn *fn);  /* ... and wakes the function's thread */
struct ssd_fn *ssd_by_cntlid(struct ssd *ssd, uint16_t cntlid);
/* Make @next durable and believe it; ST_INTERNAL leaves everything as it was. MMC only. */
uint16_t ssd_commit(struct ssd *ssd, const struct ssd_image *next);
struct ssd_ns *ssd_find_ns(struct ssd *ssd, uint32_t nsid);
/* Recompute what @fn sees from the image; inside its gate. */
void ssd_refresh_fn(struct ssd_fn *fn);

/* ssd_face.c */
void ssd_face_set(struct ssd_fn *fn, const struct ssd_image_export *e); /* NULL: the drive's own */

/* ssd_ctrl.c */
void ssd_ctrl_reset(struct ssd_fn *fn); /* Controller Level Reset */
bool ssd_can_process(const struct ssd_fn *fn);
uint32_t ssd_page_bytes(const struct ssd_fn *fn);
/* End or begin a suspension; what it costs the change log is decided here. */
void ssd_set_suspended(struct ssd_fn *fn, bool suspended);

/* ssd_queue.c */
void ssd_queues_clear(struct ssd_fn *fn);   /* all, with their doorbells */
void ssd_queues_publish(struct ssd_fn *fn); /* tails and heads into the doorbell page */
void ssd_queues_sync(struct ssd_fn *fn);    /* take over what the doorbells say */
void ssd_queue_open_admin(struct ssd_fn *fn);
void ssd_queue_find_top(struct ssd_fn *fn); /* after queues were made or removed */
unsigned int ssd_queues_run(struct ssd_fn *fn);
void ssd_queues_ring(struct ssd_fn *fn, bool all);
/* Complete command @cid of @sqid with @status; false: no room now. */
bool ssd_post(struct ssd_fn *fn, uint16_t sqid, uint16_t cid, uint16_t status, uint32_t dw0,
	      uint32_t dw1);
uint16_t ssd_create_cq(struct ssd_cmd *c);
uint16_t ssd_create_sq(struct ssd_cmd *c);
uint16_t ssd_delete_cq(struct ssd_cmd *c);
uint16_t ssd_delete_sq(struct ssd_cmd *c);

/* ssd_prp.c */
struct iovec;
uint16_t ssd_prp_map(struct ssd_cmd *c, uint64_t len, bool write, struct iovec *iov, int *ret_n);
uint16_t ssd_data_in(struct ssd_cmd *c, void *buf, uint32_t len);        /* host to controller */
uint16_t ssd_data_out(struct ssd_cmd *c, const void *buf, uint32_t len); /* controller to host */
bool ssd_xfer_fits(const struct ssd_fn *fn, uint64_t len);               /* MDTS */

/* ssd_admin.c, ssd_io.c */
void ssd_cmd_decode(struct ssd_cmd *c, struct ssd_fn *fn, uint16_t sqid, const uint8_t *sqe);
uint16_t ssd_admin(struct ssd_cmd *c);
uint32_t ssd_admin_effects(const struct ssd_fn *fn, uint8_t opcode); /* log 05h entry */
uint16_t ssd_io(struct ssd_cmd *c);
uint32_t ssd_io_effects(const struct ssd_fn *fn, uint8_t opcode);
const struct ssd_ns *ssd_visible_ns(const struct ssd_fn *fn, uint32_t nsid);

/* ssd_event.c */
uint16_t ssd_aer(struct ssd_cmd *c);
uint16_t ssd_abort(struct ssd_cmd *c);
void ssd_event_raise(struct ssd_fn *fn, enum ssd_event ev);
void ssd_event_ns(struct ssd_fn *fn, enum ssd_event ev, uint32_t nsid);
void ssd_event_tail(struct ssd_fn *fn, uint16_t cdqid);
void ssd_event_tail_clear(struct ssd_fn *fn, uint16_t cdqid);
void ssd_event_log_read(struct ssd_fn *fn, uint8_t lid);
bool ssd_events_run(struct ssd_fn *fn);
void ssd_error_note(struct ssd_cmd *c, uint16_t status);

/* ssd_identify.c, ssd_log.c, ssd_feature.c, ssd_ns.c, ssd_alloc.c */
uint16_t ssd_identify(struct ssd_cmd *c);
uint16_t ssd_get_log(struct ssd_cmd *c);
void ssd_features_reset(struct ssd_fn *fn);
uint16_t ssd_set_features(struct ssd_cmd *c);
uint16_t ssd_get_features(struct ssd_cmd *c);
uint32_t ssd_async_events_allowed(const struct ssd_fn *fn);
uint16_t ssd_ns_mgmt(struct ssd_cmd *c);
uint16_t ssd_ns_attach(struct ssd_cmd *c);
uint16_t ssd_get_lba_status(struct ssd_cmd *c);

/* ssd_export.c */
uint16_t ssd_export_recv(struct ssd_cmd *c);
uint16_t ssd_export_send(struct ssd_cmd *c);
uint16_t ssd_export_ns(struct ssd_cmd *c);

/* ssd_migrate.c, ssd_state.c */
uint16_t ssd_mig_send(struct ssd_cmd *c);
uint16_t ssd_mig_recv(struct ssd_cmd *c);
void ssd_seq_drop(struct ssd_fn *fn);

/* ssd_cdq.c, ssd_cdq_cmd.c: see ssd_cdq.h */
uint16_t ssd_cdq_cmd(struct ssd_cmd *c);
uint16_t ssd_track_send(struct ssd_cmd *c);
uint16_t ssd_cdq_set_feature(struct ssd_cmd *c);
uint16_t ssd_cdq_get_feature(struct ssd_cmd *c);

#endif
