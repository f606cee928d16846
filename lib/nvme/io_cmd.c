/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/le.h"
#include "nvme/field.h"
#include "nvme/io_cmd.h"

#define CDW12_DEAC (1u << 25) /* Write Zeroes: deallocate */
#define CDW11_AD   (1u << 2)  /* Dataset Management: deallocate */

/* CDW10, CDW11 first block; CDW12 15:0 blocks, 0's based */
static void on_blocks(struct exp_nvme_cmd *c, enum exp_nvme_io_opcode opcode, const char *name,
		      uint32_t nsid, uint64_t slba, uint32_t blocks)
{
	assert(blocks && blocks <= EXP_NVME_IO_BLOCKS_MAX);
	exp_nvme_cmd_init(c, opcode, name);
	c->sqe.nsid = nsid;
	c->sqe.cdw10 = (uint32_t)slba;
	c->sqe.cdw11 = (uint32_t)(slba >> 32);
	c->sqe.cdw12 = blocks - 1;
}

void exp_nvme_read(struct exp_nvme_cmd *c, uint32_t nsid, uint64_t slba, uint32_t blocks)
{
	on_blocks(c, EXP_NVME_IO_READ, "Read", nsid, slba, blocks);
}

void exp_nvme_write(struct exp_nvme_cmd *c, uint32_t nsid, uint64_t slba, uint32_t blocks)
{
	on_blocks(c, EXP_NVME_IO_WRITE, "Write", nsid, slba, blocks);
}

void exp_nvme_flush(struct exp_nvme_cmd *c, uint32_t nsid)
{
	exp_nvme_cmd_init(c, EXP_NVME_IO_FLUSH, "Flush");
	c->sqe.nsid = nsid;
}

void exp_nvme_write_zeroes(struct exp_nvme_cmd *c, uint32_t nsid, uint64_t slba, uint32_t blocks,
			   bool deallocate)
{
	on_blocks(c, EXP_NVME_IO_WRITE_ZEROES, "Write Zeroes", nsid, slba, blocks);
	if (deallocate)
		c->sqe.cdw12 |= CDW12_DEAC;
}

void exp_nvme_deallocate(struct exp_nvme_cmd *c, uint32_t nsid, const struct exp_nvme_range *ranges,
			 uint32_t n, uint8_t buf[EXP_NVME_PAGE])
{
	assert(n && n <= EXP_NVME_DSM_RANGES_MAX);
	memset(buf, 0, EXP_NVME_PAGE);
	for (uint32_t i = 0; i < n; i++) { /* 0..3 attributes, 4..7 blocks (plain), 8..15 SLBA */
		exp_put_le32(buf + 16 * i + 4, ranges[i].blocks);
		exp_put_le64(buf + 16 * i + 8, ranges[i].slba);
	}
	exp_nvme_cmd_init(c, EXP_NVME_IO_DSM, "Dataset Management, Deallocate");
	c->sqe.nsid = nsid;
	c->sqe.cdw10 = n - 1;
	c->sqe.cdw11 = CDW11_AD;
	exp_nvme_cmd_out(c, buf, EXP_NVME_PAGE);
}

void exp_nvme_get_lba_status(struct exp_nvme_cmd *c, uint32_t nsid, uint64_t slba, void *buf,
			     size_t bytes)
{
	assert(bytes >= 4 && bytes % 4 == 0 && bytes / 4 <= UINT32_MAX);
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_GET_LBA_STATUS, "Get LBA Status");
	c->sqe.nsid = nsid;
	c->sqe.cdw10 = (uint32_t)slba;
	c->sqe.cdw11 = (uint32_t)(slba >> 32);
	c->sqe.cdw12 = (uint32_t)(bytes / 4 - 1);                /* MNDW, 0's based */
	c->sqe.cdw13 = (uint32_t)EXP_NVME_ATYPE_ALLOCATED << 24; /* RL 0: to the end */
	exp_nvme_cmd_in(c, buf, bytes);
}

/* Reply: 0..3 NLSD, 4 CMPC, then descriptors: 0..7 DSLBA, 8..11 NLB 0's based */
#define REPLY_HEAD    8u
#define DESC_BYTES    16u
#define CMPC_UNKNOWN  0u
#define CMPC_COMPLETE 2u

static int check_descs(const uint8_t *p, uint32_t n, uint64_t nsze, uint64_t *ret_end,
		       struct exp_error *err)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t slba = exp_le64(p + DESC_BYTES * i);
		uint64_t blocks = (uint64_t)exp_le32(p + DESC_BYTES * i + 8) + 1;

		if (slba < end)
			return EXP_NVME_BAD(err,
					    "Get LBA Status: descriptor %u begins at block %llu, "
					    "before the end %llu of the one before",
					    i, (unsigned long long)slba, (unsigned long long)end);
		if (slba >= nsze || blocks > nsze - slba)
			return EXP_NVME_BAD(err,
					    "Get LBA Status: descriptor %u names %llu blocks from "
					    "%llu, the namespace has %llu",
					    i, (unsigned long long)blocks, (unsigned long long)slba,
					    (unsigned long long)nsze);
		end = slba + blocks;
	}
	*ret_end = end;
	return 0;
}

int exp_nvme_lba_status_parse(const void *p, size_t len, uint64_t slba, uint64_t nsze,
			      struct exp_nvme_lba_status *ret, struct exp_error *err)
{
	const uint8_t *b = p;
	uint32_t n, room;
	uint64_t end = 0;
	uint8_t cmpc;
	bool complete;
	int r;

	if (len < REPLY_HEAD)
		return EXP_NVME_BAD(err,
				    "Get LBA Status: the reply has %zu bytes, its head alone %u",
				    len, REPLY_HEAD);
	n = exp_le32(b);
	cmpc = b[4];
	room = (uint32_t)EXP_MIN((len - REPLY_HEAD) / DESC_BYTES, UINT32_MAX);
	if (n > room)
		return EXP_NVME_BAD(err, "Get LBA Status: NLSD is %u, the reply has room for %u", n,
				    room);
	if (cmpc > CMPC_COMPLETE)
		return EXP_NVME_BAD(err, "Get LBA Status: CMPC is %u, 0..2 are defined", cmpc);
	r = check_descs(b + REPLY_HEAD, n, nsze, &end, err);
	if (r < 0)
		return r;
	complete = cmpc == CMPC_COMPLETE || end >= nsze;
	if (cmpc == CMPC_UNKNOWN && !n && !complete)
		return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, ENODATA,
				     "Get LBA Status: no descriptor from block %llu on, and CMPC 0 "
				     "does not say that there is none",
				     (unsigned long long)slba);
	/* "Go on from the last descriptor" must lead on, or the caller would ask for ever. */
	if (!complete && end <= slba)
		return EXP_NVME_BAD(err,
				    "Get LBA Status: incomplete from block %llu, but the last "
				    "descriptor ends at %llu",
				    (unsigned long long)slba, (unsigned long long)end);
	ret->descs = b + REPLY_HEAD;
	ret->n = n;
	ret->complete = complete;
	ret->next = complete ? nsze : end;
	return 0;
}

void exp_nvme_lba_status_at(const struct exp_nvme_lba_status *s, uint32_t i,
			    struct exp_nvme_lba_desc *ret)
{
	const uint8_t *d = s->descs + (size_t)DESC_BYTES * i;

	assert(i < s->n);
	ret->slba = exp_le64(d);
	ret->blocks = (uint64_t)exp_le32(d + 8) + 1;
}
