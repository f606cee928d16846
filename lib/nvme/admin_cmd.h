/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_cmd.h - namespaces, features, events and queues: the admin commands that every drive has
 */
#ifndef EXP_NVME_ADMIN_CMD_H
#define EXP_NVME_ADMIN_CMD_H

#include "nvme/sqe.h"

/* Namespace Management (Base 5.2.21, NVM 4.1.6) */
struct exp_nvme_ns_create {
	uint64_t nsze, ncap; /* logical blocks */
	uint8_t format;      /* index into the LBAF list */
	bool shared;         /* NMIC bit 0: may be attached to more than one controller */
};

/** exp_nvme_ns_create - the new NSID is dw0 of the completion. @buf is filled, zero beyond */
void exp_nvme_ns_create(struct exp_nvme_cmd *c, const struct exp_nvme_ns_create *ns,
			uint8_t buf[EXP_NVME_PAGE]);

/** exp_nvme_ns_delete - @nsid is one namespace: 0 and FFFFFFFFh (all of them) are our own bug */
void exp_nvme_ns_delete(struct exp_nvme_cmd *c, uint32_t nsid);

/** exp_nvme_ns_attach - Namespace Attachment (Base 5.2.20) of @nsid to or from one controller */
void exp_nvme_ns_attach(struct exp_nvme_cmd *c, enum exp_nvme_ns_attach_sel sel, uint32_t nsid,
			uint16_t cntlid, uint8_t buf[EXP_NVME_PAGE]);

/* Features (Base 5.2.26, 5.2.11). The value is dw0 of the completion of Get. */
void exp_nvme_set_feature(struct exp_nvme_cmd *c, enum exp_nvme_fid fid, uint32_t cdw11);
void exp_nvme_get_feature(struct exp_nvme_cmd *c, enum exp_nvme_fid fid);

/** exp_nvme_set_num_queues - Number of Queues (07h); @n_sq, @n_cq plain counts of 1..65535 */
void exp_nvme_set_num_queues(struct exp_nvme_cmd *c, uint16_t n_sq, uint16_t n_cq);

/** exp_nvme_num_queues - plain counts that dw0 of Set or Get Features 07h grants, 1..65536 */
void exp_nvme_num_queues(uint32_t dw0, uint32_t *ret_n_sq, uint32_t *ret_n_cq);

/* Asynchronous Event Request (Base 5.2.2) */
struct exp_nvme_event {
	uint8_t type; /* enum exp_nvme_event_type */
	uint8_t info;
	uint8_t lid;    /* log to read, which clears it; 0 none */
	uint32_t param; /* dw1 */
};

void exp_nvme_async_event(struct exp_nvme_cmd *c);
void exp_nvme_event_decode(const struct exp_nvme_cqe *cqe, struct exp_nvme_event *ret);

/*
 * I/O queues (Base 5.1.1, 5.1.2), always physically contiguous. @qsize 0's based. @prp1 is the
 * memory of the queue, page aligned; it stays with the device until the queue is deleted.
 */
void exp_nvme_create_cq(struct exp_nvme_cmd *c, uint16_t qid, uint16_t qsize, uint64_t prp1,
			bool interrupts, uint16_t vector);
void exp_nvme_create_sq(struct exp_nvme_cmd *c, uint16_t qid, uint16_t qsize, uint64_t prp1,
			uint16_t cqid);
void exp_nvme_delete_cq(struct exp_nvme_cmd *c, uint16_t qid);
void exp_nvme_delete_sq(struct exp_nvme_cmd *c, uint16_t qid);

/* Controller Capabilities, register CAP (Base 3.1.4.1) */
struct exp_nvme_cap {
	uint16_t mqes; /* 0's based */
	bool cqr;      /* queues must be contiguous */
	uint8_t ams;
	uint32_t timeout_ms; /* TO, in units of 500 ms there */
	uint32_t doorbell_stride_bytes;
	uint8_t css;            /* bit 0 NVM, 6 any I/O command set, 7 none */
	uint8_t mpsmin, mpsmax; /* page size 2^(12 + n) bytes */
};

void exp_nvme_cap_decode(uint64_t reg, struct exp_nvme_cap *ret);

/** exp_nvme_doorbell - BAR0 offset of the tail (submission) or head (completion) doorbell */
uint32_t exp_nvme_doorbell(const struct exp_nvme_cap *cap, uint16_t qid, bool completion);

#endif
