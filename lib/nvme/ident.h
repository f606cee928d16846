/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ident.h - the Identify command, and its pages as host structs
 *
 * Parsers take the page as the device wrote it (4096 bytes, or fewer when a transport returned
 * less: refused) and fill *ret only on success. A page that cannot be right is -EBADMSG, code
 * DEVICE_DATA, naming the field, what it holds and what it may hold. Counts come out bounded by
 * the arrays they index. Values that the specification calls 0's based stay so.
 */
#ifndef EXP_NVME_IDENT_H
#define EXP_NVME_IDENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/nqn.h"
#include "base/uuid.h"
#include "nvme/sqe.h"

#define EXP_NVME_FORMATS_MAX     64
#define EXP_NVME_UUIDS_MAX       127
#define EXP_NVME_STATE_VERS_MAX  255
#define EXP_NVME_STATE_UUIDS_MAX 255

/**
 * exp_nvme_identify - Identify (Base 5.2.13) of @cns into @page
 * @nsid: CDW1.NSID where the CNS uses it, for lists the id to start after; else 0
 * @cntid: CDW10.CNTID where the CNS uses it, for controller lists the first id wanted; else 0
 * The command set is NVM (CSI 0), the UUID index 0.
 */
void exp_nvme_identify(struct exp_nvme_cmd *c, enum exp_nvme_cns cns, uint32_t nsid, uint16_t cntid,
		       uint8_t page[EXP_NVME_PAGE]);

/* Identify Controller, CNS 01h (Base 5.2.13.2.1) */
struct exp_nvme_id_ctrl {
	uint16_t vid, ssvid;
	char sn[21], mn[41], fr[9];
	uint8_t rab;
	uint8_t mdts; /* 2^n * CAP.MPSMIN page, 0 no limit */
	uint16_t cntlid;
	uint32_t ver;
	uint32_t oaes, ctratt;
	uint8_t cntrltype; /* enum exp_nvme_cntrltype */
	uint16_t oacs;
	uint8_t acl, aerl; /* 0's based */
	uint8_t frmw, lpa;
	uint8_t elpe, npss; /* 0's based */
	uint32_t hmpre;
	uint64_t tnvmcap, tnvmcap_hi, unvmcap, unvmcap_hi; /* bytes, 128 bits in two halves */
	uint16_t kas;
	uint16_t domainid;
	uint16_t mnens, mnecpens; /* exported subsystems, controllers in each */
	uint32_t mensnn;          /* namespaces in each */
	uint8_t ensa, endsfs;
	uint8_t sqes, cqes;
	uint16_t maxcmd;
	uint32_t nn;
	uint16_t oncs, fuses;
	uint8_t fna, vwc;
	uint16_t awun, awupf, acwu; /* 0's based */
	uint16_t ocfs;
	uint32_t sgls;
	uint32_t mnan;
	uint16_t cmmrtd, nmmrtd;
	uint8_t minmrtg, maxmrtg, trattr;
	uint16_t mcudmq, mnsudmq, mcmr, nmcmr, mcdqpc;
	struct exp_nqn subnqn; /* "" when the field holds no valid NQN */
};

int exp_nvme_id_ctrl_parse(const void *page, size_t len, struct exp_nvme_id_ctrl *ret,
			   struct exp_error *err) EXP_MUST_CHECK;

/* NVM command set Identify Controller, CNS 06h (NVM 4.1.5.4) */
struct exp_nvme_id_ctrl_nvm {
	uint8_t vsl, wzsl, wusl; /* 2^n pages as MDTS; 0 no limit beyond MDTS */
	uint8_t dmrl;            /* ranges of one Dataset Management, 0 no limit */
	uint32_t dmrsl;          /* blocks of one range, 0 no limit */
	uint64_t dmsl;           /* blocks of one command, 0 no limit */
	uint16_t aocs;
	uint32_t ver;
	uint8_t lbamqf; /* LBA Migration Queue Format, 0: entry type 0 */
};

int exp_nvme_id_ctrl_nvm_parse(const void *page, size_t len, struct exp_nvme_id_ctrl_nvm *ret,
			       struct exp_error *err) EXP_MUST_CHECK;

struct exp_nvme_lbaf {
	uint16_t ms;        /* metadata bytes */
	uint8_t lbads;      /* log2 of the block size; 0: the entry is not in use */
	uint8_t rp;         /* relative performance, 0 best */
	uint32_t lba_bytes; /* 0 when not in use */
};

/* Identify Namespace, CNS 00h and 11h (NVM 4.1.5.1) */
struct exp_nvme_id_ns {
	uint64_t nsze, ncap, nuse; /* logical blocks */
	uint8_t nsfeat;
	uint8_t nlbaf, flbas;
	uint8_t mc, dpc, dps, nmic, rescap, dlfeat;
	uint16_t nawun, nawupf, nacwu, nabsn, nabo, nabspf, noiob;
	uint64_t nvmcap, nvmcap_hi; /* bytes */
	uint16_t npwg, npwa, npdg, npda, nows, mssrl;
	uint32_t mcl;
	uint8_t msrc, nulbaf;
	uint32_t anagrpid;
	uint8_t nsattr;
	uint16_t nvmsetid, endgid;
	uint8_t nguid[16], eui64[8];
	uint8_t n_formats; /* entries of lbaf that are meaningful: NLBAF + NULBAF + 1 */
	uint8_t format;    /* index of the one in use */
	struct exp_nvme_lbaf lbaf[EXP_NVME_FORMATS_MAX];
};

/**
 * exp_nvme_id_ns_parse - -ENOENT, code NOT_FOUND: the page is all zero, the NSID is not active
 * (CNS 00h) or not allocated (CNS 11h)
 */
int exp_nvme_id_ns_parse(const void *page, size_t len, struct exp_nvme_id_ns *ret,
			 struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_nvme_id_ns_common_parse - the same page asked with NSID FFFFFFFFh: what all namespaces have
 * in common, of which the formats that a new one may have are meaningful. No size is checked.
 */
int exp_nvme_id_ns_common_parse(const void *page, size_t len, struct exp_nvme_id_ns *ret,
				struct exp_error *err) EXP_MUST_CHECK;

/** exp_nvme_tlbaag_parse - CNS 05h: granularity of allocation tracking, a hint, 0 not reported */
int exp_nvme_tlbaag_parse(const void *page, size_t len, uint32_t *ret,
			  struct exp_error *err) EXP_MUST_CHECK;

/* Namespace identification descriptors, CNS 03h (Base 5.2.13.2.3) */
struct exp_nvme_ns_descs {
	bool has_eui64, has_nguid, has_uuid, has_csi;
	uint8_t eui64[8];
	uint8_t nguid[16];
	struct exp_uuid uuid;
	uint8_t csi;
};

int exp_nvme_ns_descs_parse(const void *page, size_t len, struct exp_nvme_ns_descs *ret,
			    struct exp_error *err) EXP_MUST_CHECK;

/* UUID List, CNS 17h (Base 5.2.13.2.15). Entry i of the page is uuid[i - 1]. */
struct exp_nvme_uuid_list {
	uint32_t n;
	struct exp_uuid uuid[EXP_NVME_UUIDS_MAX];
};

int exp_nvme_uuid_list_parse(const void *page, size_t len, struct exp_nvme_uuid_list *ret,
			     struct exp_error *err) EXP_MUST_CHECK;

/* Supported Controller State Formats, CNS 20h (Base 5.2.13.2.21) */
struct exp_nvme_state_formats {
	uint32_t n_versions;
	uint16_t versions[EXP_NVME_STATE_VERS_MAX]; /* CSVI = index + 1 */
	uint32_t n_uuids;
	struct exp_uuid uuids[EXP_NVME_STATE_UUIDS_MAX]; /* CSUUIDI = index + 1 */
};

int exp_nvme_state_formats_parse(const void *page, size_t len, struct exp_nvme_state_formats *ret,
				 struct exp_error *err) EXP_MUST_CHECK;

/** exp_nvme_csvi, exp_nvme_csuuidi - the device's own index of a version or UUID, 0: not there */
uint8_t exp_nvme_csvi(const struct exp_nvme_state_formats *f, uint16_t version);
uint8_t exp_nvme_csuuidi(const struct exp_nvme_state_formats *f, const struct exp_uuid *uuid);

/* Controller List, CNS 12h, 13h, 21h (Base 4.6.1): ascending */
struct exp_nvme_ctrl_list {
	uint32_t n;
	uint16_t id[EXP_NVME_CTRL_LIST_MAX];
};

int exp_nvme_ctrl_list_parse(const void *page, size_t len, struct exp_nvme_ctrl_list *ret,
			     struct exp_error *err) EXP_MUST_CHECK;
bool exp_nvme_ctrl_list_has(const struct exp_nvme_ctrl_list *l, uint16_t cntlid);

/** exp_nvme_ctrl_list_more - may another page follow? Ask again from the last id + 1 */
static inline bool exp_nvme_ctrl_list_more(const struct exp_nvme_ctrl_list *l)
{
	return l->n == EXP_NVME_CTRL_LIST_MAX;
}

/* Namespace List, CNS 02h, 10h (Base 4.6.2): ascending, 0 ends it */
struct exp_nvme_ns_list {
	uint32_t n;
	uint32_t id[EXP_NVME_NS_LIST_MAX];
};

int exp_nvme_ns_list_parse(const void *page, size_t len, struct exp_nvme_ns_list *ret,
			   struct exp_error *err) EXP_MUST_CHECK;

#endif
