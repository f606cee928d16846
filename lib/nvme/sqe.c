/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include "base/le.h"
#include "nvme/sqe.h"

void exp_nvme_sqe_encode(const struct exp_nvme_sqe *s, uint8_t out[EXP_NVME_SQE_BYTES])
{
	out[0] = s->opcode;
	out[1] = s->flags;
	exp_put_le16(out + 2, s->cid);
	exp_put_le32(out + 4, s->nsid);
	exp_put_le32(out + 8, s->cdw2);
	exp_put_le32(out + 12, s->cdw3);
	exp_put_le64(out + 16, s->mptr);
	exp_put_le64(out + 24, s->prp1);
	exp_put_le64(out + 32, s->prp2);
	exp_put_le32(out + 40, s->cdw10);
	exp_put_le32(out + 44, s->cdw11);
	exp_put_le32(out + 48, s->cdw12);
	exp_put_le32(out + 52, s->cdw13);
	exp_put_le32(out + 56, s->cdw14);
	exp_put_le32(out + 60, s->cdw15);
}

void exp_nvme_cqe_decode(const uint8_t in[EXP_NVME_CQE_BYTES], struct exp_nvme_cqe *ret)
{
	uint16_t w = exp_le16(in + 14); /* 0 phase, 8:1 SC, 11:9 SCT, 13:12 CRD, 14 M, 15 DNR */

	ret->dw0 = exp_le32(in);
	ret->dw1 = exp_le32(in + 4);
	ret->sqhd = exp_le16(in + 8);
	ret->sqid = exp_le16(in + 10);
	ret->cid = exp_le16(in + 12);
	ret->phase = w & 1;
	ret->status = w >> 1 & 0x7ff;
	ret->more = w >> 14 & 1;
	ret->dnr = w >> 15 & 1;
}

void exp_nvme_cmd_init(struct exp_nvme_cmd *c, uint8_t opcode, const char *name)
{
	memset(c, 0, sizeof(*c));
	c->sqe.opcode = opcode;
	c->name = name;
}

void exp_nvme_cmd_out(struct exp_nvme_cmd *c, const void *data, size_t bytes)
{
	assert(data && bytes);
	c->out = data;
	c->bytes = bytes;
}

void exp_nvme_cmd_in(struct exp_nvme_cmd *c, void *data, size_t bytes)
{
	assert(data && bytes);
	c->in = data;
	c->bytes = bytes;
}
