/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_cmd.h - namespace data: the I/O commands of the NVM command set, and Get LBA Status
 *
 * Blocks are logical blocks; a count is plain here and 0's based in the command.
 */
#ifndef EXP_NVME_IO_CMD_H
#define EXP_NVME_IO_CMD_H

#include "nvme/sqe.h"

#define EXP_NVME_IO_BLOCKS_MAX  65536u /* of one read, write or write zeroes */
#define EXP_NVME_DSM_RANGES_MAX 256u

/* Read and Write (NVM 3.3.4, 3.3.6); the data is @blocks * block size, for the transport to place
 */
void exp_nvme_read(struct exp_nvme_cmd *c, uint32_t nsid, uint64_t slba, uint32_t blocks);
void exp_nvme_write(struct exp_nvme_cmd *c, uint32_t nsid, uint64_t slba, uint32_t blocks);

/** exp_nvme_flush - Flush (Base 7.2) of @nsid */
void exp_nvme_flush(struct exp_nvme_cmd *c, uint32_t nsid);

/** exp_nvme_write_zeroes - NVM 3.3.8; @deallocate: may deallocate (DEAC), reads as zero either way
 */
void exp_nvme_write_zeroes(struct exp_nvme_cmd *c, uint32_t nsid, uint64_t slba, uint32_t blocks,
			   bool deallocate);

struct exp_nvme_range {
	uint64_t slba;
	uint32_t blocks;
};

/** exp_nvme_deallocate - Dataset Management, AD=1 (NVM 3.3.3) of 1..256 ranges; @buf is filled */
void exp_nvme_deallocate(struct exp_nvme_cmd *c, uint32_t nsid, const struct exp_nvme_range *ranges,
			 uint32_t n, uint8_t buf[EXP_NVME_PAGE]);

/**
 * exp_nvme_get_lba_status - which blocks from @slba to the end of the namespace are allocated
 * @bytes: of @buf, a multiple of 4
 * (NVM 4.2.1, action type 02h, tracked allocated LBAs; TP4165). An admin command.
 */
void exp_nvme_get_lba_status(struct exp_nvme_cmd *c, uint32_t nsid, uint64_t slba, void *buf,
			     size_t bytes);

struct exp_nvme_lba_desc { /* at least one block of the range is allocated */
	uint64_t slba;
	uint64_t blocks;
};

/* A reply that has been checked; borrows the buffer. */
struct exp_nvme_lba_status {
	const uint8_t *descs;
	uint32_t n;
	bool complete; /* nothing allocated lies beyond the last descriptor */
	uint64_t next; /* not complete: ask again from here, beyond @slba for certain */
};

/**
 * exp_nvme_lba_status_parse - check the whole reply to a request that began at @slba
 * @nsze: size of the namespace; a range outside it is refused
 *
 * Descriptors ascend and do not overlap. -EBADMSG: the reply is malformed. -ENODATA, code
 * NOT_SUPPORTED: no descriptor, and the device does not say whether it looked to the end; every
 * block from @slba on has to be taken as allocated.
 */
int exp_nvme_lba_status_parse(const void *p, size_t len, uint64_t slba, uint64_t nsze,
			      struct exp_nvme_lba_status *ret,
			      struct exp_error *err) EXP_MUST_CHECK;

/** exp_nvme_lba_status_at - descriptor @i, below n */
void exp_nvme_lba_status_at(const struct exp_nvme_lba_status *s, uint32_t i,
			    struct exp_nvme_lba_desc *ret);

#endif
