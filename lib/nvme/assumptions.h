/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assumptions.h - what no specification at hand settles, in one place
 *
 * Exported subsystems on PCIe are new, and parts of them are known by name and size only. Each
 * such point has an id (A-nn); its heading says what is assumed and how real hardware shows or
 * corrects it: by a probe, a read-back, or a strict refusal. Code elsewhere calls these functions
 * and never repeats the assumption. When the text of a specification settles a point, the change
 * is here.
 */
#ifndef EXP_NVME_ASSUMPTIONS_H
#define EXP_NVME_ASSUMPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/nqn.h"
#include "base/uuid.h"
#include "nvme/admin_cmd.h"
#include "nvme/ident.h"
#include "nvme/logpage.h"
#include "nvme/sqe.h"

/* ---- which controllers take the commands ---- */

/**
 * exp_nvme_exports_supported - may this controller be asked for exported subsystems?
 *
 * a PCIe I/O or Administrative controller takes opcodes 2Ah, 2Dh, 31h when Identify shows
 * ENSA.ENSTS. Probed: each opcode must be in the Commands Supported log before any is sent.
 * ENDSFS.ENF1 means the data structures of 31h that begin with 32 bytes of zero, ENF0 the
 * ones of Base 2.3, whose printed field widths cannot be meant. Strict: without ENF1 refused.
 *
 * 0, or -EOPNOTSUPP with code NOT_SUPPORTED naming what is missing.
 */
int exp_nvme_exports_supported(const struct exp_nvme_id_ctrl *id,
			       const struct exp_nvme_effects *effects,
			       struct exp_error *err) EXP_MUST_CHECK;

/* ---- fields of 2Ah, 2Dh, 31h ---- */

/*
 * the MOSI field of 2Ah, CDW14 31:16, is the ESUBID of the subsystem that is read. Probed:
 * asking for an ESUBID that is in no list must fail with 0/02h.
 */
void exp_nvme_assume_mosi(struct exp_nvme_sqe *s, uint16_t esubid);

/*
 * 2Ah transfers a window as Migration Receive does: CDW12, CDW13 byte offset, CDW15 dwords
 * 0's based. 2Dh has the plain number of dwords of its payload in CDW15. Probed: on 0/02h the same
 * command is sent once more in the plain form, all three zero, with a whole buffer at offset 0
 * (exp_nvme_assume_no_window says whether that is possible and does it).
 */
void exp_nvme_assume_recv_window(struct exp_nvme_sqe *s, uint64_t offset, size_t bytes);
void exp_nvme_assume_send_length(struct exp_nvme_sqe *s, size_t bytes);
bool exp_nvme_assume_no_window(struct exp_nvme_cmd *c, uint16_t status);

/*
 * a list's generation number changes with every change of that list and wraps from 255 to
 * 0. A reader starts over when it moved, this many times, then reports a list that never rests.
 */
#define EXP_NVME_LIST_TRIES 8

/*
 * the buffers of 2Ah Create, 2Dh and 31h are 4096 bytes on the wire, zero beyond what is
 * filled in: what Base 5.4.8 says of the older commands, and harmless where less is transferred.
 */
#define EXP_NVME_EXPORT_BUF 4096u

/* ---- templates ---- */

/**
 * exp_nvme_templates_parse - CNS 22h
 *
 * its layout is that of the UUID List (CNS 17h), and ENSTI of Create is the entry's number
 * from 1. Strict: after Create the subsystem is read back, and a template that is not listed is
 * refused.
 */
int exp_nvme_templates_parse(const void *page, size_t len, struct exp_nvme_uuid_list *ret,
			     struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_nvme_ensti - template index for Create
 * @from_zero: a device that was found to count from 0 (a configuration item)
 * -ENOENT, code NOT_SUPPORTED: the device does not list the template
 */
int exp_nvme_ensti(const struct exp_nvme_uuid_list *templates, const struct exp_uuid *uuid,
		   bool from_zero, uint8_t *ret, struct exp_error *err) EXP_MUST_CHECK;

/*
 * the UUID of the Reference Exported NVM Subsystem Template is not published in the sources
 * at hand. This private one is the default of a configuration item:
 * 9f1c5b62-6d0e-4c1b-8a57-1e5d2c7b4a10.
 */
extern const struct exp_uuid exp_nvme_reference_template;

#define EXP_NVME_REF_CONFIG_BYTES 412u /* verified; what is inside is A-10 */

/*
 * Configuration state under the Reference template: RECCS (364 bytes) and RENSCS (48 bytes).
 *
 * field names and both sizes are known, offsets are not: a draft layout. Strict: bytes that
 * no field names must be zero; after Set the state is read back (2Ah 05h) and compared byte by
 * byte. A move transports the bytes as they are and never goes through this codec.
 */
struct exp_nvme_ref_config {
	uint16_t ecntlid; /* 0 */
	char sn[21], mn[41], fr[9];
	uint8_t rab;
	uint8_t mdts;
	uint16_t mqes, ncqs, nsqs; /* 0's based */
	uint16_t oncs;
	uint16_t awun, awupf;  /* 0's based */
	struct exp_nqn subnqn; /* "": the one that Create gave */
	uint32_t ensid;        /* 1 */
	uint8_t lbads;         /* log2 of the block size; MS and RP are 0 */
	uint16_t nawun, nawupf;
	uint8_t nguid[16];
	struct exp_uuid uuid; /* not nil when NGUID is zero */
};

/** exp_nvme_ref_config_encode - -EINVAL when it breaks a rule of the template */
int exp_nvme_ref_config_encode(const struct exp_nvme_ref_config *c,
			       uint8_t out[EXP_NVME_REF_CONFIG_BYTES],
			       struct exp_error *err) EXP_MUST_CHECK;

/** exp_nvme_ref_config_decode - -EBADMSG: wrong length, unknown bytes, or a rule broken */
int exp_nvme_ref_config_decode(const void *p, size_t len, struct exp_nvme_ref_config *ret,
			       struct exp_error *err) EXP_MUST_CHECK;

/* ---- controller state under the Reference template ---- */

#define EXP_NVME_REF_STATE_HEAD 64u /* verified; what is inside is A-17 */
#define EXP_NVME_AERS_MAX       4u

/*
 * the 64-byte header carries the features, and also what the queue state leaves
 * out: indices and phase of the admin queue, and the outstanding Asynchronous Event Requests. A
 * draft layout. Strict: version, unknown bytes and sizes are checked; on a path that does not have
 * this header a running guest's admin queue is the VMM's to replay.
 */
struct exp_nvme_ref_state {
	bool cp;        /* suspended during the whole command that read it */
	uint8_t n_aers; /* 0..EXP_NVME_AERS_MAX */
	uint16_t aer_cid[EXP_NVME_AERS_MAX];
	uint16_t asq_head, asq_tail, acq_head, acq_tail;
	bool acq_slot0_phase; /* phase tag in slot 0 of the admin completion queue */
	uint32_t arbitration;
	uint16_t temp_over, temp_under;
	uint8_t volatile_wc;
	uint32_t num_queues;
	uint32_t irq_coalesce;
	uint32_t async_event;
	uint64_t coalescing_off; /* bit per vector: CD */
	uint32_t nvmecss;        /* dwords of queue state that follow the header */
};

int exp_nvme_ref_state_decode(const void *p, size_t len, struct exp_nvme_ref_state *ret,
			      struct exp_error *err) EXP_MUST_CHECK;
void exp_nvme_ref_state_encode(const struct exp_nvme_ref_state *s,
			       uint8_t out[EXP_NVME_REF_STATE_HEAD]);

/*
 * version 1 of the queue state, which the Reference state nests, has the layout of version
 * 0, which the plain container has. Strict: any other version, or one in the other's place, is
 * refused, and one is never rewritten as the other.
 */
#define EXP_NVME_QUEUES_VER_PLAIN     0u
#define EXP_NVME_QUEUES_VER_REFERENCE 1u

/**
 * exp_nvme_reference_select - how the Reference state is asked for and set
 *
 * it travels as the vendor part of the container, chosen by the CNS 20h entry whose UUID is
 * that of the template, with no queue state beside it (CSVI 0). Strict: -EOPNOTSUPP when the device
 * does not list the UUID; the caller fails the move unless a VMM supplies the rest.
 */
int exp_nvme_reference_select(const struct exp_nvme_state_formats *f, const struct exp_uuid *tmpl,
			      uint8_t *ret_csvi, uint8_t *ret_csuuidi,
			      struct exp_error *err) EXP_MUST_CHECK;

/* ---- statuses that mean the same, in one place of the protocol ---- */

/* after 28h, Delete, Associate: a controller or namespace is still in use */
bool exp_nvme_means_in_use(uint16_t status);
/* List Exported Controllers is not there: fall back to what the daemon recorded */
bool exp_nvme_means_no_list(uint16_t status);
/* after Create, Associate, Namespace Management: a limit is reached */
bool exp_nvme_means_no_room(uint16_t status);
/* after Associate Controllers: there is no such controller */
bool exp_nvme_means_bad_ctrl(uint16_t status);
/* after Track Send: the queue overflowed, as an entry with the mark "full" would say */
bool exp_nvme_means_log_full(uint16_t status);
/* after Controller Data Queue, Create: no queue is left */
bool exp_nvme_means_no_queue(uint16_t status);
/* the order namespace, configuration, attach, controllers is not this device's */
bool exp_nvme_means_wrong_order(uint16_t status);
/* the Underlying Controller or Namespace belongs to another exported subsystem */
bool exp_nvme_means_taken(uint16_t status);
/*
 * attach and detach are legal on a suspended controller and keep its queues: the fence. A
 * device that answers so does not agree; the fence then has to be another one.
 */
bool exp_nvme_means_no_fence(uint16_t status);

/* ---- the change log ---- */

/*
 * the head may be set to the slot after the last posted entry, "everything consumed".
 * A device that refuses it with 0/02h gets the slot before.
 */
uint32_t exp_nvme_cdq_head_slot(uint32_t consumed_next, uint32_t entries, bool all_refused);

/*
 * the info value of the tail event is not known. Matched by type One-Shot alone; the queue
 * is in dw1 15:0.
 */
bool exp_nvme_event_is_cdq(const struct exp_nvme_event *e, uint16_t *ret_cdqid);

/* ---- allocation ---- */

/* TLBAAG counts logical blocks; an alignment hint, never a reason to skip. At least 1. */
uint32_t exp_nvme_alloc_hint_blocks(uint32_t tlbaag);

/*
 * Without code here, kept by the callers:
 * Q1   how a host names a subsystem: 2Ah Create moves data to the host only, by its opcode. The
 *      wanted name is left in its buffer all the same, the one that comes back is compared, and
 *      the configuration state names it again; what is read back in the end counts.
 * A-09 Associate Controllers is sent once per subsystem; otherwise the subsystem is rebuilt.
 * A-15 a suspension ends by Resume, by a reset of the controller or of the management controller:
 *      what counts is the device's answer (CSUP), never a flag of ours.
 * A-26 PCI identity is kept stable by the VMM.
 * A-31 exported configuration is lost at a power cycle: the daemon's records rebuild it.
 * A-33 41h, 42h, 3Dh, 45h name the controller by its Underlying CNTLID.
 * A-36 where LBARS is in an LBA status descriptor: nothing depends on it. Every range that the
 *      device reports is copied; one too many costs time, one too few would cost data.
 * A-38 logging going on after Resume is used only where a device's profile says so.
 */

#endif
