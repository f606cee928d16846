/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cdq.h - entries of the LBA Migration Queue, type 0 (NVM 5.6; queue rules Base 8.1.7)
 *
 * The reader keeps (head slot, expected phase), begins with (0, 1) on zeroed memory, takes an entry
 * when its phase is the expected one and inverts the expectation when the head wraps to 0.
 *
 * "Which blocks" and "what happened to the log" are independent: an entry that begins or ends the
 * log may carry a range too, and both count.
 */
#ifndef EXP_NVME_CDQ_H
#define EXP_NVME_CDQ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define EXP_NVME_CDQ_ENTRY_BYTES 32u

enum exp_nvme_change { /* LBACIR */
		       EXP_NVME_CHANGE_RANGE = 0,
		       EXP_NVME_CHANGE_ALL = 1,  /* every block of the namespace */
		       EXP_NVME_CHANGE_NONE = 2, /* no blocks: only the attribute counts */
};

enum exp_nvme_log_mark { /* ESA */
			 EXP_NVME_MARK_NONE = 0,
			 EXP_NVME_MARK_FIRST = 1, /* first since logging started, or since Resume */
			 EXP_NVME_MARK_STOPPED = 2,   /* last: the host stopped logging */
			 EXP_NVME_MARK_SUSPENDED = 3, /* last: the controller is suspended */
			 EXP_NVME_MARK_FULL =
				 7, /* last: the queue became full; everything after is unknown */
};

struct exp_nvme_log_entry {
	enum exp_nvme_change change;
	enum exp_nvme_log_mark mark;
	bool deallocated; /* the blocks were deallocated, not just modified */
	uint32_t nsid;    /* 0 with CHANGE_NONE */
	uint64_t slba;
	uint64_t blocks; /* CHANGE_RANGE: 1 or more, plain; else 0 */
};

/**
 * exp_nvme_log_entry_phase - the phase tag of a slot, with acquire ordering: the device writes it
 * last, so once it is the expected one the rest of the entry may be read
 */
static inline bool exp_nvme_log_entry_phase(const uint8_t slot[EXP_NVME_CDQ_ENTRY_BYTES])
{
	return __atomic_load_n(slot + 31, __ATOMIC_ACQUIRE) & 1;
}

/**
 * exp_nvme_log_entry_decode - read a slot whose phase was the expected one
 *
 * Each byte is read once: the memory is the device's. -EBADMSG, code DEVICE_DATA: reserved values,
 * or a range that no namespace can have; the log cannot be trusted any more then.
 */
int exp_nvme_log_entry_decode(const uint8_t slot[EXP_NVME_CDQ_ENTRY_BYTES],
			      struct exp_nvme_log_entry *ret, struct exp_error *err) EXP_MUST_CHECK;

const char *exp_nvme_log_mark_name(enum exp_nvme_log_mark mark);

#endif
