/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qpair.h - one submission and one completion queue in our memory, and their doorbells
 *
 * The mechanics only: slots, phase, wrap, waiting (Base 3.3.1, PCIe transport 3.1). Who may call
 * when is the owner's business; nothing here locks. The owner never has size-1 commands or more
 * outstanding, so that neither queue can run over.
 */
#ifndef EXP_DEVICE_QPAIR_H
#define EXP_DEVICE_QPAIR_H

#include "device/dma_mem.h"
#include "device/reach.h"
#include "nvme/admin_cmd.h"

struct exp_qpair {
	struct exp_reach *reach;
	uint16_t qid;
	uint32_t size; /* entries of each queue */
	struct exp_dma sq, cq;
	uint32_t sq_doorbell, cq_doorbell; /* BAR0 offsets */
	uint32_t sq_tail, cq_head;
	bool phase; /* of the entry expected at cq_head */
	int efd;    /* signalled on a completion, borrowed; -1: polled */
};

int exp_qpair_init(struct exp_qpair *q, struct exp_reach *reach, struct exp_dma_mem *mem,
		   const struct exp_nvme_cap *cap, uint16_t qid, uint32_t size, int efd,
		   struct exp_error *err) EXP_MUST_CHECK;
void exp_qpair_release(struct exp_qpair *q, struct exp_dma_mem *mem);

/** exp_qpair_push - put @sqe into the submission queue and tell the device */
int exp_qpair_push(struct exp_qpair *q, const struct exp_nvme_sqe *sqe,
		   struct exp_error *err) EXP_MUST_CHECK;

/** exp_qpair_ready - is there a completion to take? */
bool exp_qpair_ready(const struct exp_qpair *q);

/** exp_qpair_pop - take it; false: none. exp_qpair_ack once after a batch gives the slots back */
bool exp_qpair_pop(struct exp_qpair *q, struct exp_nvme_cqe *ret);
int exp_qpair_ack(struct exp_qpair *q, struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_qpair_wait - until a completion is ready or @deadline_us has come: a short spin, then sleep
 * on the eventfd, or in growing steps where there is none Returns 1 or 0; -ENODEV: the device is
 * gone.
 */
int exp_qpair_wait(struct exp_qpair *q, uint64_t deadline_us, struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_prp_fill - PRP1, PRP2 of @sqe for [iova, iova + bytes), page aligned (Base 4.3.1)
 * @list: one page for the entries that do not fit the command; bytes is at most EXP_IO_BYTES_MAX
 */
void exp_prp_fill(struct exp_nvme_sqe *sqe, uint64_t iova, size_t bytes,
		  const struct exp_dma *list);

#endif
