/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/le.h"
#include "nvme/cdq.h"
#include "nvme/field.h"

/*
 * Entry: 0..3 NSID, 4..7 NLB (0's based), 8..15 SLBA, 16..30 reserved, 31 attributes:
 * 7:6 LBACIR, 5 DLBA, 4 reserved, 3:1 ESA, 0 phase
 */
#define AT_NSID   0
#define AT_NLB    4
#define AT_SLBA   8
#define AT_ATTR   31
#define ATTR_DLBA (1u << 5)

#define NSID_ALL 0xffffffffu

static bool mark_known(unsigned int esa)
{
	return esa <= EXP_NVME_MARK_SUSPENDED || esa == EXP_NVME_MARK_FULL;
}

int exp_nvme_log_entry_decode(const uint8_t slot[EXP_NVME_CDQ_ENTRY_BYTES],
			      struct exp_nvme_log_entry *ret, struct exp_error *err)
{
	uint8_t e[EXP_NVME_CDQ_ENTRY_BYTES];
	struct exp_nvme_log_entry to = { 0 };
	unsigned int change, mark;
	uint64_t nlb;

	memcpy(e, slot, sizeof(e)); /* once: what is checked is what is used */
	change = e[AT_ATTR] >> 6;
	mark = e[AT_ATTR] >> 1 & 7;
	if (change > EXP_NVME_CHANGE_NONE || !mark_known(mark))
		return EXP_NVME_BAD(err, "change log: reserved LBACIR %u or ESA %u in an entry",
				    change, mark);
	if (mark == EXP_NVME_MARK_NONE && change != EXP_NVME_CHANGE_RANGE)
		return EXP_NVME_BAD(err,
				    "change log: LBACIR is %u in an ordinary entry, only 0 may be",
				    change);
	to.change = change;
	to.mark = mark;
	if (change != EXP_NVME_CHANGE_NONE) {
		to.nsid = exp_le32(e + AT_NSID);
		to.deallocated = e[AT_ATTR] & ATTR_DLBA;
		if (!to.nsid || to.nsid == NSID_ALL)
			return exp_error_set(
				err, EXP_CODE_DEVICE_DATA, EBADMSG,
				"change log: NSID %08Xh in an entry names no namespace", to.nsid);
	}
	if (change == EXP_NVME_CHANGE_RANGE) {
		nlb = exp_le32(e + AT_NLB);
		to.slba = exp_le64(e + AT_SLBA);
		to.blocks = nlb + 1;
		if (to.slba > UINT64_MAX - to.blocks)
			return EXP_NVME_BAD(err,
					    "change log: SLBA %llu with %llu blocks passes the "
					    "end of 64 bits",
					    (unsigned long long)to.slba,
					    (unsigned long long)to.blocks);
	}
	*ret = to;
	return 0;
}

const char *exp_nvme_log_mark_name(enum exp_nvme_log_mark mark)
{
	switch (mark) {
	case EXP_NVME_MARK_NONE: return "none";
	case EXP_NVME_MARK_FIRST: return "first";
	case EXP_NVME_MARK_STOPPED: return "stopped";
	case EXP_NVME_MARK_SUSPENDED: return "suspended";
	case EXP_NVME_MARK_FULL: return "full";
	}
	return "unknown";
}
