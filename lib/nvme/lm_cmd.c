/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two counts that differ on purpose: NUMD of Set Controller State is a plain number of dwords,
 * NUMDL of Get Controller State is 0's based.
 */
#include <assert.h>

#include "base/le.h"
#include "nvme/cdq.h"
#include "nvme/lm_cmd.h"

#define CDW11_STYPE_SHIFT   16
#define CDW11_CSVI_SHIFT    16 /* 41h */
#define CDW11_CSUUIDI_SHIFT 24 /* 41h */
#define CDW10_SEQIND_SHIFT  16
#define CDW10_RECV_CSVI     16 /* 42h */
#define CDW11_RECV_CSUUIDI  16 /* 42h; CSUIDXP in 31:24 stays 0 */
#define CQE_CSUP            1u
#define CDW10_LACT_SHIFT    16
#define CDW11_CQS_SHIFT     16
#define CDW11_PC            1u
#define CDW11_ETPT          (1u << 31)

void exp_nvme_suspend(struct exp_nvme_cmd *c, uint16_t cntlid, enum exp_nvme_stype type)
{
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_MIGRATION_SEND,
			  type == EXP_NVME_SUSPEND ? "Migration Send, Suspend"
						   : "Migration Send, Suspend Notification");
	c->sqe.cdw10 = EXP_NVME_MIG_SUSPEND;
	c->sqe.cdw11 = (uint32_t)type << CDW11_STYPE_SHIFT | cntlid; /* bit 31, DUDMQ: 0 */
}

void exp_nvme_resume(struct exp_nvme_cmd *c, uint16_t cntlid)
{
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_MIGRATION_SEND, "Migration Send, Resume");
	c->sqe.cdw10 = EXP_NVME_MIG_RESUME;
	c->sqe.cdw11 = cntlid;
}

void exp_nvme_set_state(struct exp_nvme_cmd *c, uint16_t cntlid, struct exp_nvme_state_sel sel,
			enum exp_nvme_seq seq, uint64_t offset, const void *data, size_t len)
{
	assert(offset % 4 == 0 && len % 4 == 0 && len / 4 <= UINT32_MAX);
	assert(len || seq == EXP_NVME_SEQ_LAST);
	assert(sel.csvi || sel.csuuidi);
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_MIGRATION_SEND, "Migration Send, Set Controller State");
	c->sqe.cdw10 = (uint32_t)seq << CDW10_SEQIND_SHIFT | EXP_NVME_MIG_SET_STATE;
	c->sqe.cdw11 = (uint32_t)sel.csuuidi << CDW11_CSUUIDI_SHIFT |
		       (uint32_t)sel.csvi << CDW11_CSVI_SHIFT | cntlid;
	c->sqe.cdw12 = (uint32_t)offset;
	c->sqe.cdw13 = (uint32_t)(offset >> 32);
	c->sqe.cdw15 = (uint32_t)(len / 4);
	if (len)
		exp_nvme_cmd_out(c, data, len);
}

enum exp_nvme_seq exp_nvme_seq_of(uint64_t offset, size_t len, uint64_t total)
{
	bool first = !offset, last = offset + len == total;

	if (first)
		return last ? EXP_NVME_SEQ_ONLY : EXP_NVME_SEQ_FIRST;
	return last ? EXP_NVME_SEQ_LAST : EXP_NVME_SEQ_MIDDLE;
}

void exp_nvme_get_state(struct exp_nvme_cmd *c, uint16_t cntlid, struct exp_nvme_state_sel sel,
			uint64_t offset, void *buf, size_t len)
{
	assert(offset % 4 == 0 && len && len % 4 == 0 && len / 4 <= UINT32_MAX);
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_MIGRATION_RECV,
			  "Migration Receive, Get Controller State");
	c->sqe.cdw10 = (uint32_t)sel.csvi << CDW10_RECV_CSVI; /* SEL 0 */
	c->sqe.cdw11 = (uint32_t)sel.csuuidi << CDW11_RECV_CSUUIDI | cntlid;
	c->sqe.cdw12 = (uint32_t)offset;
	c->sqe.cdw13 = (uint32_t)(offset >> 32);
	c->sqe.cdw15 = (uint32_t)(len / 4 - 1);
	exp_nvme_cmd_in(c, buf, len);
}

bool exp_nvme_csup(const struct exp_nvme_cqe *cqe)
{
	return cqe->dw0 & CQE_CSUP;
}

void exp_nvme_cdq_create(struct exp_nvme_cmd *c, uint16_t cntlid, uint64_t prp1, bool contiguous,
			 uint32_t entries)
{
	assert(prp1 % EXP_NVME_PAGE == 0 && entries &&
	       entries <= UINT32_MAX / (EXP_NVME_CDQ_ENTRY_BYTES / 4));
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_CDQ, "Controller Data Queue, Create");
	c->sqe.prp1 = prp1;
	c->own_prp = true;
	c->sqe.cdw10 = EXP_NVME_CDQ_CREATE; /* 23:16 QT 0: User Data Migration Queue */
	c->sqe.cdw11 = (uint32_t)cntlid << CDW11_CQS_SHIFT | (contiguous ? CDW11_PC : 0);
	c->sqe.cdw12 = entries * (EXP_NVME_CDQ_ENTRY_BYTES / 4); /* dwords, a plain count */
}

uint16_t exp_nvme_cdqid(const struct exp_nvme_cqe *cqe)
{
	return cqe->dw0 & 0xffff;
}

void exp_nvme_cdq_delete(struct exp_nvme_cmd *c, uint16_t cdqid)
{
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_CDQ, "Controller Data Queue, Delete");
	c->sqe.cdw10 = EXP_NVME_CDQ_DELETE;
	c->sqe.cdw11 = cdqid;
}

void exp_nvme_log_changes(struct exp_nvme_cmd *c, uint16_t cdqid, bool start)
{
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_TRACK_SEND,
			  start ? "Track Send, start logging" : "Track Send, stop logging");
	c->sqe.cdw10 = (uint32_t)start << CDW10_LACT_SHIFT; /* SEL 0: Log User Data Changes */
	c->sqe.cdw11 = cdqid;
}

void exp_nvme_cdq_set_head(struct exp_nvme_cmd *c, uint16_t cdqid, uint32_t head,
			   const uint32_t *trigger)
{
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_SET_FEATURES, "Set Features, Controller Data Queue");
	c->sqe.cdw10 = EXP_NVME_FID_CDQ;
	c->sqe.cdw11 = (trigger ? CDW11_ETPT : 0) | cdqid;
	c->sqe.cdw12 = head;
	c->sqe.cdw13 = trigger ? *trigger : 0;
}

void exp_nvme_cdq_get_head(struct exp_nvme_cmd *c, uint16_t cdqid,
			   uint8_t buf[EXP_NVME_CDQ_FEATURE_BYTES])
{
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_GET_FEATURES, "Get Features, Controller Data Queue");
	c->sqe.cdw10 = EXP_NVME_FID_CDQ;
	c->sqe.cdw11 = cdqid;
	exp_nvme_cmd_in(c, buf, EXP_NVME_CDQ_FEATURE_BYTES);
}

void exp_nvme_cdq_head_decode(const uint8_t buf[EXP_NVME_CDQ_FEATURE_BYTES], uint32_t *ret_head,
			      uint32_t *ret_trigger)
{
	*ret_head = exp_le32(buf);
	*ret_trigger = exp_le32(buf + 4);
}
