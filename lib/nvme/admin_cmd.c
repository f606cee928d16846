/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include "base/le.h"
#include "nvme/admin_cmd.h"

/* Namespace Management, host software specified fields (NVM 4.1.6) */
#define CREATE_NSZE  0u
#define CREATE_NCAP  8u
#define CREATE_FLBAS 26u
#define CREATE_NMIC  30u

#define QUEUE_CONTIGUOUS 1u
#define QUEUE_INTERRUPTS 2u

void exp_nvme_ns_create(struct exp_nvme_cmd *c, const struct exp_nvme_ns_create *ns,
			uint8_t buf[EXP_NVME_PAGE])
{
	assert(ns->format < 64);
	memset(buf, 0, EXP_NVME_PAGE);
	exp_put_le64(buf + CREATE_NSZE, ns->nsze);
	exp_put_le64(buf + CREATE_NCAP, ns->ncap);
	/* index bits 3:0 to 3:0 and 5:4 to 6:5; bit 4 (metadata at the end of the block) stays 0 */
	buf[CREATE_FLBAS] = (uint8_t)((ns->format & 0xf) | (ns->format & 0x30) << 1);
	buf[CREATE_NMIC] = ns->shared ? EXP_NVME_NMIC_SHARED : 0;
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_NS_MGMT, "Namespace Management, Create");
	c->sqe.cdw10 = EXP_NVME_NS_CREATE;
	exp_nvme_cmd_out(c, buf, EXP_NVME_PAGE);
}

void exp_nvme_ns_delete(struct exp_nvme_cmd *c, uint32_t nsid)
{
	assert(nsid && nsid != EXP_NVME_NSID_ALL);
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_NS_MGMT, "Namespace Management, Delete");
	c->sqe.nsid = nsid;
	c->sqe.cdw10 = EXP_NVME_NS_DELETE;
}

void exp_nvme_ns_attach(struct exp_nvme_cmd *c, enum exp_nvme_ns_attach_sel sel, uint32_t nsid,
			uint16_t cntlid, uint8_t buf[EXP_NVME_PAGE])
{
	assert(nsid && nsid != EXP_NVME_NSID_ALL);
	memset(buf, 0, EXP_NVME_PAGE);
	exp_put_le16(buf, 1); /* a Controller List of one */
	exp_put_le16(buf + 2, cntlid);
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_NS_ATTACH,
			  sel == EXP_NVME_NS_ATTACH ? "Namespace Attachment, Attach"
						    : "Namespace Attachment, Detach");
	c->sqe.nsid = nsid;
	c->sqe.cdw10 = sel;
	exp_nvme_cmd_out(c, buf, EXP_NVME_PAGE);
}

void exp_nvme_set_feature(struct exp_nvme_cmd *c, enum exp_nvme_fid fid, uint32_t cdw11)
{
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_SET_FEATURES, "Set Features");
	c->sqe.cdw10 = fid; /* SV = 0: not saved over a reset */
	c->sqe.cdw11 = cdw11;
}

void exp_nvme_get_feature(struct exp_nvme_cmd *c, enum exp_nvme_fid fid)
{
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_GET_FEATURES, "Get Features");
	c->sqe.cdw10 = fid; /* SEL = 0: the current value */
}

void exp_nvme_set_num_queues(struct exp_nvme_cmd *c, uint16_t n_sq, uint16_t n_cq)
{
	assert(n_sq && n_cq);
	/* 15:0 NSQR, 31:16 NCQR, 0's based; FFFFh is not allowed, so 65535 is the most */
	exp_nvme_set_feature(c, EXP_NVME_FID_NUM_QUEUES,
			     (uint32_t)(n_cq - 1) << 16 | (uint32_t)(n_sq - 1));
}

void exp_nvme_num_queues(uint32_t dw0, uint32_t *ret_n_sq, uint32_t *ret_n_cq)
{
	*ret_n_sq = (dw0 & 0xffff) + 1;
	*ret_n_cq = (dw0 >> 16) + 1;
}

void exp_nvme_async_event(struct exp_nvme_cmd *c)
{
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_ASYNC_EVENT, "Asynchronous Event Request");
}

void exp_nvme_event_decode(const struct exp_nvme_cqe *cqe, struct exp_nvme_event *ret)
{
	ret->type = cqe->dw0 & 7;
	ret->info = cqe->dw0 >> 8 & 0xff;
	ret->lid = cqe->dw0 >> 16 & 0xff;
	ret->param = cqe->dw1;
}

static void create_queue(struct exp_nvme_cmd *c, uint16_t qid, uint16_t qsize, uint64_t prp1)
{
	assert(qid && qsize && prp1 % EXP_NVME_PAGE == 0);
	c->sqe.prp1 = prp1;
	c->own_prp = true;
	c->sqe.cdw10 = (uint32_t)qsize << 16 | qid;
}

void exp_nvme_create_cq(struct exp_nvme_cmd *c, uint16_t qid, uint16_t qsize, uint64_t prp1,
			bool interrupts, uint16_t vector)
{
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_CREATE_CQ, "Create I/O Completion Queue");
	create_queue(c, qid, qsize, prp1);
	c->sqe.cdw11 = (uint32_t)vector << 16 | (interrupts ? QUEUE_INTERRUPTS : 0) |
		       QUEUE_CONTIGUOUS;
}

void exp_nvme_create_sq(struct exp_nvme_cmd *c, uint16_t qid, uint16_t qsize, uint64_t prp1,
			uint16_t cqid)
{
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_CREATE_SQ, "Create I/O Submission Queue");
	create_queue(c, qid, qsize, prp1);
	c->sqe.cdw11 = (uint32_t)cqid << 16 | QUEUE_CONTIGUOUS;
}

void exp_nvme_delete_cq(struct exp_nvme_cmd *c, uint16_t qid)
{
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_DELETE_CQ, "Delete I/O Completion Queue");
	c->sqe.cdw10 = qid;
}

void exp_nvme_delete_sq(struct exp_nvme_cmd *c, uint16_t qid)
{
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_DELETE_SQ, "Delete I/O Submission Queue");
	c->sqe.cdw10 = qid;
}

void exp_nvme_cap_decode(uint64_t reg, struct exp_nvme_cap *ret)
{
	ret->mqes = reg & 0xffff;
	ret->cqr = reg >> 16 & 1;
	ret->ams = reg >> 17 & 3;
	ret->timeout_ms = (reg >> 24 & 0xff) * 500;
	ret->doorbell_stride_bytes = 4u << (reg >> 32 & 0xf);
	ret->css = reg >> 37 & 0xff;
	ret->mpsmin = reg >> 48 & 0xf;
	ret->mpsmax = reg >> 52 & 0xf;
}

uint32_t exp_nvme_doorbell(const struct exp_nvme_cap *cap, uint16_t qid, bool completion)
{
	return EXP_NVME_REG_DOORBELLS + (2u * qid + completion) * cap->doorbell_stride_bytes;
}
