/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqe.h - submission and completion queue entries, and a command ready to be submitted
 *
 * A command is built by the functions of the other headers here ("exp_nvme_<command>(&cmd, ...)"),
 * none of which does I/O: they fill a struct exp_nvme_cmd that a transport submits. Fields are
 * host numbers until exp_nvme_sqe_encode() lays them out.
 *
 * A builder is called with values that this program chose; one that cannot be expressed (an
 * unaligned length) is our own bug and asserted. What comes from a device or a peer is checked
 * where it is parsed.
 */
#ifndef EXP_NVME_SQE_H
#define EXP_NVME_SQE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "nvme/spec.h"

/* Common Command Format (Base 4.1): byte 0 opcode, 1 flags, 2 cid, 4 nsid, 8 cdw2, 12 cdw3,
 * 16 mptr, 24 prp1, 32 prp2, 40 cdw10 .. 60 cdw15 */
struct exp_nvme_sqe {
	uint8_t opcode;
	uint8_t flags; /* fused operation and PRP/SGL choice; 0: PRPs */
	uint16_t cid;  /* the transport's */
	uint32_t nsid;
	uint32_t cdw2, cdw3;
	uint64_t mptr;
	uint64_t prp1, prp2; /* the transport's, except where a command says so */
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

/* Completion queue entry (Base 4.2) */
struct exp_nvme_cqe {
	uint32_t dw0, dw1;
	uint16_t sqhd;
	uint16_t sqid;
	uint16_t cid;
	bool phase;
	uint16_t status; /* SCT in bits 10:8, SC in 7:0; 0: success */
	bool more;       /* the Error Information log has more */
	bool dnr;        /* do not retry: the same command would fail again */
};

/*
 * One command and its data. @out is what the device reads, @in what it writes, both @bytes long
 * and the caller's until the command has completed; NULL: no data that way. Both are set for the
 * one command whose buffer may be read although it is written (create an exported subsystem).
 */
struct exp_nvme_cmd {
	struct exp_nvme_sqe sqe;
	const void *out;
	void *in;
	size_t bytes;
	bool own_prp; /* PRP1 of the entry is the builder's: memory that stays with the device */
	const char *name; /* a literal, for messages: "Migration Send, Suspend" */
};

/** exp_nvme_sqe_encode - the 64 bytes of the submission queue entry; reserved fields are 0 */
void exp_nvme_sqe_encode(const struct exp_nvme_sqe *s, uint8_t out[EXP_NVME_SQE_BYTES]);

/** exp_nvme_cqe_decode - read 16 bytes that the device has finished writing (phase seen first) */
void exp_nvme_cqe_decode(const uint8_t in[EXP_NVME_CQE_BYTES], struct exp_nvme_cqe *ret);

/** exp_nvme_cqe_phase - the phase tag of an entry, with acquire ordering before the other bytes */
static inline bool exp_nvme_cqe_phase(const uint8_t in[EXP_NVME_CQE_BYTES])
{
	return __atomic_load_n(in + 14, __ATOMIC_ACQUIRE) & 1;
}

/** exp_nvme_cmd_init - a cleared command of @opcode; for the builders */
void exp_nvme_cmd_init(struct exp_nvme_cmd *c, uint8_t opcode, const char *name);

/* Data that the command carries; @bytes > 0. For the builders. */
void exp_nvme_cmd_out(struct exp_nvme_cmd *c, const void *data, size_t bytes);
void exp_nvme_cmd_in(struct exp_nvme_cmd *c, void *data, size_t bytes);

#endif
