/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lm_cmd.h - host managed live migration: opcodes 41h, 42h, 3Dh, 45h and feature 21h (Base 2.3)
 *
 * All go to the Migration Management Controller and name the guest's controller by the CNTLID
 * that the Underlying NVM subsystem gave it.
 */
#ifndef EXP_NVME_LM_CMD_H
#define EXP_NVME_LM_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nvme/sqe.h"

enum exp_nvme_stype {
	EXP_NVME_SUSPEND_NOTIFY = 0, /* advance warning: nothing stops */
	EXP_NVME_SUSPEND = 1,
};

/**
 * exp_nvme_suspend - Migration Send, Suspend (Base 5.2.17.1.1)
 *
 * The change log of the controller is kept (DUDMQ=0), so that it can be drained to its end marker.
 * Success also when it was suspended already. Takes as long as its outstanding commands do.
 */
void exp_nvme_suspend(struct exp_nvme_cmd *c, uint16_t cntlid, enum exp_nvme_stype type);

/** exp_nvme_resume - Migration Send, Resume (5.2.17.1.2); 1/3Ah: it is not suspended */
void exp_nvme_resume(struct exp_nvme_cmd *c, uint16_t cntlid);

/* Which part of a transfer a Set Controller State carries; the values of SEQIND */
enum exp_nvme_seq {
	EXP_NVME_SEQ_MIDDLE = 0,
	EXP_NVME_SEQ_FIRST = 1,
	EXP_NVME_SEQ_LAST = 2, /* commits; the only one that may be empty */
	EXP_NVME_SEQ_ONLY = 3, /* first and last: commits */
};

/* Which state: the device's own indices into its CNS 20h lists, 0 none; not both 0 */
struct exp_nvme_state_sel {
	uint8_t csvi;
	uint8_t csuuidi;
};

/**
 * exp_nvme_set_state - Migration Send, Set Controller State (5.2.17.1.3): bytes
 * [@offset, @offset + @len) of the state, both multiples of 4
 *
 * One command after the other, each completed before the next; after any failure from FIRST again.
 */
void exp_nvme_set_state(struct exp_nvme_cmd *c, uint16_t cntlid, struct exp_nvme_state_sel sel,
			enum exp_nvme_seq seq, uint64_t offset, const void *data, size_t len);

/** exp_nvme_seq_of - the SEQIND of a part when the last one with data is to commit */
enum exp_nvme_seq exp_nvme_seq_of(uint64_t offset, size_t len, uint64_t total);

/**
 * exp_nvme_get_state - Migration Receive, Get Controller State (5.2.16): @len bytes, a multiple
 * of 4 and more than 0, from @offset. Beyond the end of the state what is returned is undefined.
 */
void exp_nvme_get_state(struct exp_nvme_cmd *c, uint16_t cntlid, struct exp_nvme_state_sel sel,
			uint64_t offset, void *buf, size_t len);

/** exp_nvme_csup - the controller was suspended during the whole Get (CSUP) */
bool exp_nvme_csup(const struct exp_nvme_cqe *cqe);

/**
 * exp_nvme_cdq_create - Controller Data Queue, Create (5.2.4): a change log of @cntlid
 * @prp1: queue memory, page aligned, contiguous for the device when @contiguous, else a PRP List
 *	that stays unchanged. Zeroed beforehand. It stays with the device until Delete or its reset.
 * @entries: of 32 bytes (entry type 0)
 * The id is exp_nvme_cdqid().
 */
void exp_nvme_cdq_create(struct exp_nvme_cmd *c, uint16_t cntlid, uint64_t prp1, bool contiguous,
			 uint32_t entries);
uint16_t exp_nvme_cdqid(const struct exp_nvme_cqe *cqe);
void exp_nvme_cdq_delete(struct exp_nvme_cmd *c, uint16_t cdqid);

/** exp_nvme_log_changes - Track Send, Log User Data Changes (5.2.28.1.1): start or stop */
void exp_nvme_log_changes(struct exp_nvme_cmd *c, uint16_t cdqid, bool start);

/**
 * exp_nvme_cdq_set_head - Set Features 21h (5.2.26.1.23): entries before slot @head are consumed
 * @trigger: not NULL: one event when the tail reaches that slot; look at the queue once after
 *	this has completed, the slot may have been written before
 */
void exp_nvme_cdq_set_head(struct exp_nvme_cmd *c, uint16_t cdqid, uint32_t head,
			   const uint32_t *trigger);

#define EXP_NVME_CDQ_FEATURE_BYTES 512u

/** exp_nvme_cdq_get_head - Get Features 21h into @buf */
void exp_nvme_cdq_get_head(struct exp_nvme_cmd *c, uint16_t cdqid,
			   uint8_t buf[EXP_NVME_CDQ_FEATURE_BYTES]);
void exp_nvme_cdq_head_decode(const uint8_t buf[EXP_NVME_CDQ_FEATURE_BYTES], uint32_t *ret_head,
			      uint32_t *ret_trigger);

#endif
