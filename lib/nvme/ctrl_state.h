/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctrl_state.h - the controller state image: parse, check against a target, choose a format
 *
 * Container (Base 5.2.17.1.3): 48-byte header, queue state (NVMECS), vendor part (VSD). A host
 * moves the image as it is; it parses to decide whether it may: the image was chosen by a guest,
 * written by a drive and delivered by a peer, and what is in it makes the destination drive reach
 * for memory. Reserved bytes that are not zero are refused: they would carry what nobody checked.
 */
#ifndef EXP_NVME_CTRL_STATE_H
#define EXP_NVME_CTRL_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/uuid.h"
#include "nvme/assumptions.h"
#include "nvme/ident.h"
#include "nvme/lm_cmd.h"

#define EXP_NVME_STATE_HEAD 48u
#define EXP_NVME_STATE_MAX  (256u * 1024) /* bytes of an image; more is refused */

/* What the vendor part is, which the image itself does not say: it was selected so. */
enum exp_nvme_state_kind {
	EXP_NVME_STATE_QUEUES = 1,    /* queue state alone, no vendor part */
	EXP_NVME_STATE_VENDOR = 2,    /* queue state and an opaque part named by a common UUID */
	EXP_NVME_STATE_REFERENCE = 3, /* Reference template's state in the vendor part, alone */
};

struct exp_nvme_sq_state {
	uint64_t base;  /* address in guest memory */
	uint16_t qsize; /* 0's based */
	uint16_t qid, cqid;
	bool contiguous;
	uint8_t priority;
	uint16_t head, tail;
};

struct exp_nvme_cq_state {
	uint64_t base;
	uint16_t qsize; /* 0's based */
	uint16_t qid;
	bool contiguous, interrupts;
	bool slot0_phase; /* phase tag in slot 0 */
	uint16_t vector;
	uint16_t head, tail;
};

struct exp_nvme_ctrl_state {
	enum exp_nvme_state_kind kind;
	bool cp;         /* container: suspended during the whole command that read it */
	bool has_queues; /* queue state is there (it may have no queue in it) */
	uint16_t queues_ver;
	uint16_t n_sq, n_cq;
	struct exp_nvme_sq_state *sq; /* malloc'd, ascending by id */
	struct exp_nvme_cq_state *cq;
	struct exp_nvme_ref_state ref; /* STATE_REFERENCE */
	const uint8_t *vendor;         /* STATE_VENDOR: borrowed from the image */
	size_t vendor_bytes;
	size_t bytes; /* of the image */
};

/** exp_nvme_state_bytes - size of the image whose first EXP_NVME_STATE_HEAD bytes are at @p */
int exp_nvme_state_bytes(const void *p, size_t len, size_t *ret,
			 struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_nvme_state_parse - @len is exactly the size of the image
 *
 * -EBADMSG, code DEVICE_DATA: what is wrong and where. *ret borrows the image; release it with
 * exp_nvme_state_done(). Checked: sizes, versions, reserved bytes, ids ascending and unique, head
 * and tail inside their queue, each submission queue's completion queue present.
 */
int exp_nvme_state_parse(const void *p, size_t len, enum exp_nvme_state_kind kind,
			 struct exp_nvme_ctrl_state *ret, struct exp_error *err) EXP_MUST_CHECK;
void exp_nvme_state_done(struct exp_nvme_ctrl_state *s);
EXP_DEFINE_CLEANUP(struct exp_nvme_ctrl_state *, exp_nvme_state_done)

/** exp_nvme_state_encode - an image from its parts (tests, tools); -ENOSPC: @cap is too small */
int exp_nvme_state_encode(const struct exp_nvme_ctrl_state *s, uint8_t *out, size_t cap,
			  size_t *ret_bytes, struct exp_error *err) EXP_MUST_CHECK;

/** exp_nvme_state_check_whole - every CP is set; -ESTALE, code NOT_SUSPENDED */
int exp_nvme_state_check_whole(const struct exp_nvme_ctrl_state *s,
			       struct exp_error *err) EXP_MUST_CHECK;

struct exp_nvme_memory { /* guest memory that the target controller may reach */
	uint64_t iova, bytes;
};

/**
 * exp_nvme_state_check_memory - every queue lies inside the guest's memory map
 *
 * -EPERM, code DENIED: the queue, its address and its size. A queue that is not contiguous is
 * refused: its list of pages lies in guest memory and can change after any check.
 */
int exp_nvme_state_check_memory(const struct exp_nvme_ctrl_state *s,
				const struct exp_nvme_memory *map, size_t n,
				struct exp_error *err) EXP_MUST_CHECK;

struct exp_nvme_state_limits { /* of the target controller, as its guest sees it */
	uint32_t n_sq, n_cq;   /* I/O queues, plain */
	uint16_t mqes;         /* CAP.MQES, 0's based */
	uint32_t n_vectors;    /* interrupt vectors; 0: not known, not checked */
};

/** exp_nvme_state_check_limits - -EOPNOTSUPP, code PREFLIGHT: the queue and both values */
int exp_nvme_state_check_limits(const struct exp_nvme_ctrl_state *s,
				const struct exp_nvme_state_limits *l,
				struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_nvme_state_same_queues - both have these I/O queues: ids, places, sizes, vectors
 *
 * Heads, tails and phases may differ: one of them may have run on.
 */
bool exp_nvme_state_same_queues(const struct exp_nvme_ctrl_state *a,
				const struct exp_nvme_ctrl_state *b);

struct exp_nvme_state_summary {
	size_t bytes;
	bool whole; /* every CP is set */
	uint16_t n_sq, n_cq;
	uint32_t waiting; /* commands in submission queues that the destination will fetch */
	bool admin_queue; /* indices of the admin queue travel along */
	uint8_t n_aers;
	size_t vendor_bytes;
};

void exp_nvme_state_summarize(const struct exp_nvme_ctrl_state *s,
			      struct exp_nvme_state_summary *ret);

/* What two devices have in common, by value: indices are local to a device. */
struct exp_nvme_state_match {
	bool reference; /* both list the template's state */
	bool queues;    /* both have the plain queue state version */
	bool vendor;    /* and a vendor UUID in common */
	struct exp_uuid vendor_uuid;
};

void exp_nvme_state_compare(const struct exp_nvme_state_formats *a,
			    const struct exp_nvme_state_formats *b, const struct exp_uuid *tmpl,
			    struct exp_nvme_state_match *ret);

/**
 * exp_nvme_state_select - this device's indices for @kind
 * @uuid: of the template for STATE_REFERENCE, of the vendor state for STATE_VENDOR, else ignored
 * -EOPNOTSUPP, code NOT_SUPPORTED: the device does not list it
 */
int exp_nvme_state_select(const struct exp_nvme_state_formats *f, enum exp_nvme_state_kind kind,
			  const struct exp_uuid *uuid, struct exp_nvme_state_sel *ret,
			  struct exp_error *err) EXP_MUST_CHECK;

#endif
