/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logpage.h - Get Log Page, and the logs that the daemon reads (Base 5.2.12)
 *
 * Parsers behave as those of ident.h.
 */
#ifndef EXP_NVME_LOGPAGE_H
#define EXP_NVME_LOGPAGE_H

#include "nvme/ident.h"
#include "nvme/sqe.h"

#define EXP_NVME_ERROR_ENTRY_BYTES 64u

/**
 * exp_nvme_get_log - read @bytes (a multiple of 4) of log @lid from @offset_bytes
 * @retain_event: leave a pending asynchronous event of this log as it is (RAE)
 */
void exp_nvme_get_log(struct exp_nvme_cmd *c, enum exp_nvme_lid lid, bool retain_event,
		      uint64_t offset_bytes, void *buf, size_t bytes);

/* Commands Supported and Effects, log 05h (Base 5.2.12.1.6) */
struct exp_nvme_effects {
	uint32_t admin[256], io[256]; /* by opcode; bit 0: supported */
};

int exp_nvme_effects_parse(const void *page, size_t len, struct exp_nvme_effects *ret,
			   struct exp_error *err) EXP_MUST_CHECK;
bool exp_nvme_effects_admin(const struct exp_nvme_effects *e, enum exp_nvme_admin_opcode opcode);
bool exp_nvme_effects_io(const struct exp_nvme_effects *e, enum exp_nvme_io_opcode opcode);

/**
 * exp_nvme_changed_ns_parse - logs 04h and 1Ch (Base 5.2.12.1.5, 5.2.12.1.26)
 * @ret_all: more namespaces changed than the page has room for: read every one again; n is then 0
 */
int exp_nvme_changed_ns_parse(const void *page, size_t len, struct exp_nvme_ns_list *ret,
			      bool *ret_all, struct exp_error *err) EXP_MUST_CHECK;

/* One entry of the Error Information log, 01h (Base 5.2.12.1.2) */
struct exp_nvme_error_entry {
	uint64_t count; /* 0: the entry is not valid */
	uint16_t sqid, cid;
	uint16_t status; /* SCT and SC */
	uint16_t param_byte;
	uint8_t param_bit;
	bool param_valid;
	uint64_t lba;
	uint32_t nsid;
	uint8_t opcode;
	uint64_t command_specific;
};

/** exp_nvme_error_entry_parse - @p has EXP_NVME_ERROR_ENTRY_BYTES */
int exp_nvme_error_entry_parse(const void *p, size_t len, struct exp_nvme_error_entry *ret,
			       struct exp_error *err) EXP_MUST_CHECK;

#endif
