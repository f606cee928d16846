/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caps.h - what a drive can do, as far as a migration asks: read from the device by lib/device,
 * sent to the peer, compared by preflight
 *
 * Plain numbers as the specification gives them (0's based stays 0's based and says so), so that a
 * finding can name the value that the drive reports.
 */
#ifndef EXP_MODEL_CAPS_H
#define EXP_MODEL_CAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/uuid.h"
#include "model/export.h"

#define EXP_CAPS_TEMPLATES_MAX   32
#define EXP_CAPS_VERSIONS_MAX    32
#define EXP_CAPS_STATE_UUIDS_MAX 32
#define EXP_CAPS_CTRLS_MAX       64
#define EXP_CAPS_FORMATS_MAX     64

/* Why something the drive might do cannot be used through this transport or configuration. */
enum exp_cap_flag {
	EXP_CAP_MMC = 1 << 0,            /* OACS.HMLMS: it is a Migration Management Controller */
	EXP_CAP_NS_MGMT = 1 << 1,        /* OACS bit 3 */
	EXP_CAP_TEMPLATE = 1 << 2,       /* ENSA.ENSTS */
	EXP_CAP_EXPORT_MIGRATE = 1 << 3, /* ENSA.ENSMS */
	EXP_CAP_ENF1 = 1 << 4,           /* ENDSFS.ENF1 */
	EXP_CAP_CHANGE_LOG =
		1 << 5, /* TRATTR.TUDCS, MCUDMQ >= 1, LBAMQF known, and the transport maps it */
	EXP_CAP_LBA_STATUS = 1 << 6, /* OACS bit 9 and AOCS.RALBAS */
	EXP_CAP_UUID_LIST = 1 << 7,
	EXP_CAP_NS_DATA =
		1 << 8, /* namespace data can be read and written through this transport */
	EXP_CAP_LOGS_AFTER_RESUME = 1 << 9, /* profile: the change log goes on after Resume */
	EXP_CAP_RESET_AT_OPEN = 1 << 10,    /* opening it reset the MMC */
};

struct exp_ctrl_caps { /* one Underlying Controller that a guest may get */
	uint16_t cntlid;
	bool enabled;    /* able to process commands (CC.EN) as far as the MMC can tell */
	bool associated; /* belongs to an exported subsystem */
	uint16_t esubid;
};

struct exp_format_caps { /* LBAF entry */
	uint32_t lba_bytes;
	uint16_t ms;
};

struct exp_caps {
	char model[41], serial[EXP_SERIAL_MAX + 1], firmware[9];
	struct exp_nqn subnqn;
	uint32_t ver;            /* Identify VER */
	uint32_t flags;          /* enum exp_cap_flag */
	char no_change_log[128]; /* the reason when EXP_CAP_CHANGE_LOG is missing, "" else */
	char no_ns_data[128];
	uint16_t cntlid; /* of the MMC */
	uint8_t mdts;    /* 2^n * 4 KiB, 0 = no limit */
	uint16_t oacs, oncs, fuses;
	uint8_t vwc, acl, aerl, sqes, cqes, dlfeat;
	uint16_t awun, awupf, acwu;       /* 0's based */
	uint16_t nsqs, ncqs;              /* 0's based: I/O queues that one controller can have */
	uint16_t mqes;                    /* 0's based */
	uint64_t total_bytes, free_bytes; /* TNVMCAP, UNVMCAP; low 64 bits */
	uint16_t max_exports;             /* MNENS, 0 = not said */
	uint16_t n_exports;               /* there now */
	uint32_t mcdq_queues;             /* MCUDMQ */
	uint16_t mcmr, mcdqpc;
	uint32_t n_templates;
	struct exp_uuid templates[EXP_CAPS_TEMPLATES_MAX];
	uint32_t n_versions; /* NVMe state versions of CNS 20h */
	uint16_t versions[EXP_CAPS_VERSIONS_MAX];
	uint32_t n_state_uuids; /* vendor state UUIDs of CNS 20h */
	struct exp_uuid state_uuids[EXP_CAPS_STATE_UUIDS_MAX];
	uint32_t n_formats;
	struct exp_format_caps formats[EXP_CAPS_FORMATS_MAX];
	uint32_t n_ctrls;
	struct exp_ctrl_caps ctrls[EXP_CAPS_CTRLS_MAX];
};

bool exp_caps_has_template(const struct exp_caps *c, const struct exp_uuid *u);
bool exp_caps_has_state_uuid(const struct exp_caps *c, const struct exp_uuid *u);
bool exp_caps_has_version(const struct exp_caps *c, uint16_t version);
const struct exp_format_caps *exp_caps_format(const struct exp_caps *c,
					      uint32_t lba_bytes); /* ms 0 */
const struct exp_ctrl_caps *exp_caps_ctrl(const struct exp_caps *c, uint16_t cntlid);

#endif
