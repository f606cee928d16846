/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identify Controller and Identify Namespace: the field tables, and the checks that follow them.
 */
#include <errno.h>
#include <string.h>

#include "base/le.h"
#include "nvme/field.h"
#include "nvme/ident.h"

#define LBADS_MIN 9u  /* NVM 4.1.5.1: 512 bytes is the smallest block */
#define LBADS_MAX 31u /* what a 32-bit byte count holds */

void exp_nvme_identify(struct exp_nvme_cmd *c, enum exp_nvme_cns cns, uint32_t nsid, uint16_t cntid,
		       uint8_t page[EXP_NVME_PAGE])
{
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_IDENTIFY, "Identify");
	c->sqe.nsid = nsid;
	c->sqe.cdw10 = (uint32_t)cntid << 16 | cns; /* CDW11 31:24 CSI = 0, NVM command set */
	exp_nvme_cmd_in(c, page, EXP_NVME_PAGE);
}

#define INT(member, at, width)  EXP_NVME_INT(struct exp_nvme_id_ctrl, member, at, width)
#define TEXT(member, at, width) EXP_NVME_TEXT(struct exp_nvme_id_ctrl, member, at, width)
static const struct exp_nvme_field id_ctrl[] = {
	INT(vid, 0, 2),          INT(ssvid, 2, 2),      TEXT(sn, 4, 20),
	TEXT(mn, 24, 40),        TEXT(fr, 64, 8),       INT(rab, 72, 1),
	INT(mdts, 77, 1),        INT(cntlid, 78, 2),    INT(ver, 80, 4),
	INT(oaes, 92, 4),        INT(ctratt, 96, 4),    INT(cntrltype, 111, 1),
	INT(oacs, 256, 2),       INT(acl, 258, 1),      INT(aerl, 259, 1),
	INT(frmw, 260, 1),       INT(lpa, 261, 1),      INT(elpe, 262, 1),
	INT(npss, 263, 1),       INT(hmpre, 272, 4),    INT(tnvmcap, 280, 8),
	INT(tnvmcap_hi, 288, 8), INT(unvmcap, 296, 8),  INT(unvmcap_hi, 304, 8),
	INT(kas, 320, 2),        INT(domainid, 356, 2), INT(mnens, 396, 2),
	INT(mnecpens, 398, 2),   INT(mensnn, 400, 4),   INT(ensa, 404, 1),
	INT(endsfs, 405, 1),     INT(sqes, 512, 1),     INT(cqes, 513, 1),
	INT(maxcmd, 514, 2),     INT(nn, 516, 4),       INT(oncs, 520, 2),
	INT(fuses, 522, 2),      INT(fna, 524, 1),      INT(vwc, 525, 1),
	INT(awun, 526, 2),       INT(awupf, 528, 2),    INT(acwu, 532, 2),
	INT(ocfs, 534, 2),       INT(sgls, 536, 4),     INT(mnan, 540, 4),
	INT(cmmrtd, 570, 2),     INT(nmmrtd, 572, 2),   INT(minmrtg, 574, 1),
	INT(maxmrtg, 575, 1),    INT(trattr, 576, 1),   INT(mcudmq, 578, 2),
	INT(mnsudmq, 580, 2),    INT(mcmr, 582, 2),     INT(nmcmr, 584, 2),
	INT(mcdqpc, 586, 2),
};
#undef INT
#undef TEXT
#define SUBNQN_AT    768u
#define SUBNQN_BYTES 256u

int exp_nvme_id_ctrl_parse(const void *page, size_t len, struct exp_nvme_id_ctrl *ret,
			   struct exp_error *err)
{
	const uint8_t *p = page;
	struct exp_nvme_id_ctrl id = { 0 };
	char nqn[SUBNQN_BYTES + 1] = { 0 };
	int r = exp_nvme_whole_page("Identify Controller", len, err);

	if (r < 0)
		return r;
	/* A page that was never written: every controller has a version and entry sizes. */
	if (exp_nvme_nonzero(p, EXP_NVME_PAGE) == EXP_NVME_PAGE)
		return EXP_NVME_BAD(err, "Identify Controller: the page is all zero");
	exp_nvme_fields_get(id_ctrl, EXP_ARRAY_SIZE(id_ctrl), p, &id);
	if (id.cntlid > EXP_NVME_CNTLID_MAX)
		return EXP_NVME_BAD(err,
				    "Identify Controller: CNTLID is %04Xh, the highest is %04Xh",
				    id.cntlid, EXP_NVME_CNTLID_MAX);
	/* Drives with a malformed name exist and work; who needs the name looks at it. */
	memcpy(nqn, p + SUBNQN_AT, SUBNQN_BYTES);
	if (exp_nqn_parse(nqn, &id.subnqn, NULL) < 0)
		memset(&id.subnqn, 0, sizeof(id.subnqn));
	*ret = id;
	return 0;
}

#define INT(member, at, width) EXP_NVME_INT(struct exp_nvme_id_ctrl_nvm, member, at, width)
static const struct exp_nvme_field id_ctrl_nvm[] = {
	INT(vsl, 0, 1),  INT(wzsl, 1, 1),  INT(wusl, 2, 1), INT(dmrl, 3, 1),    INT(dmrsl, 4, 4),
	INT(dmsl, 8, 8), INT(aocs, 18, 2), INT(ver, 20, 4), INT(lbamqf, 24, 1),
};
#undef INT

int exp_nvme_id_ctrl_nvm_parse(const void *page, size_t len, struct exp_nvme_id_ctrl_nvm *ret,
			       struct exp_error *err)
{
	int r = exp_nvme_whole_page("Identify Controller, NVM command set", len, err);

	if (r < 0)
		return r;
	exp_nvme_fields_get(id_ctrl_nvm, EXP_ARRAY_SIZE(id_ctrl_nvm), page, ret);
	return 0;
}

#define INT(member, at, width)   EXP_NVME_INT(struct exp_nvme_id_ns, member, at, width)
#define BYTES(member, at, width) EXP_NVME_BYTES(struct exp_nvme_id_ns, member, at, width)
static const struct exp_nvme_field id_ns[] = {
	INT(nsze, 0, 8),       INT(ncap, 8, 8),     INT(nuse, 16, 8),      INT(nsfeat, 24, 1),
	INT(nlbaf, 25, 1),     INT(flbas, 26, 1),   INT(mc, 27, 1),        INT(dpc, 28, 1),
	INT(dps, 29, 1),       INT(nmic, 30, 1),    INT(rescap, 31, 1),    INT(dlfeat, 33, 1),
	INT(nawun, 34, 2),     INT(nawupf, 36, 2),  INT(nacwu, 38, 2),     INT(nabsn, 40, 2),
	INT(nabo, 42, 2),      INT(nabspf, 44, 2),  INT(noiob, 46, 2),     INT(nvmcap, 48, 8),
	INT(nvmcap_hi, 56, 8), INT(npwg, 64, 2),    INT(npwa, 66, 2),      INT(npdg, 68, 2),
	INT(npda, 70, 2),      INT(nows, 72, 2),    INT(mssrl, 74, 2),     INT(mcl, 76, 4),
	INT(msrc, 80, 1),      INT(nulbaf, 82, 1),  INT(anagrpid, 92, 4),  INT(nsattr, 99, 1),
	INT(nvmsetid, 100, 2), INT(endgid, 102, 2), BYTES(nguid, 104, 16), BYTES(eui64, 120, 8),
};
#undef INT
#undef BYTES
#define LBAF_AT    128u
#define LBAF_BYTES 4u /* 0..1 MS, 2 LBADS, 3 bits 1:0 RP */

static int read_formats(const uint8_t *p, struct exp_nvme_id_ns *ns, struct exp_error *err)
{
	unsigned int n = ns->nlbaf + ns->nulbaf + 1u; /* NLBAF is 0's based */

	if (n > EXP_NVME_FORMATS_MAX)
		return EXP_NVME_BAD(err,
				    "Identify Namespace: NLBAF %u and NULBAF %u make %u formats, "
				    "%u fit the page",
				    ns->nlbaf, ns->nulbaf, n, EXP_NVME_FORMATS_MAX);
	for (unsigned int i = 0; i < n; i++) {
		const uint8_t *f = p + LBAF_AT + i * LBAF_BYTES;
		struct exp_nvme_lbaf *to = &ns->lbaf[i];

		to->ms = exp_le16(f);
		to->lbads = f[2];
		to->rp = f[3] & 3;
		if (to->lbads && (to->lbads < LBADS_MIN || to->lbads > LBADS_MAX))
			return EXP_NVME_BAD(err,
					    "Identify Namespace: LBADS of format %u is %u, "
					    "allowed are 0 and %u..%u",
					    i, to->lbads, LBADS_MIN, LBADS_MAX);
		to->lba_bytes = to->lbads ? 1u << to->lbads : 0;
	}
	ns->n_formats = (uint8_t)n;
	return 0;
}

int exp_nvme_id_ns_common_parse(const void *page, size_t len, struct exp_nvme_id_ns *ret,
				struct exp_error *err)
{
	struct exp_nvme_id_ns ns = { 0 };
	int r = exp_nvme_whole_page("Identify Namespace", len, err);

	if (r < 0)
		return r;
	if (exp_nvme_nonzero(page, EXP_NVME_PAGE) == EXP_NVME_PAGE)
		return exp_error_set(err, EXP_CODE_NOT_FOUND, ENOENT,
				     "Identify Namespace: the page is all zero, there is no such "
				     "namespace");
	exp_nvme_fields_get(id_ns, EXP_ARRAY_SIZE(id_ns), page, &ns);
	r = read_formats(page, &ns, err);
	if (r < 0)
		return r;
	/* FLBAS: bits 3:0 low, 6:5 high, the high ones only where more than 16 formats exist */
	ns.format = ns.flbas & 0xf;
	if (ns.n_formats > 16)
		ns.format |= (uint8_t)((ns.flbas & 0x60) >> 1);
	*ret = ns;
	return 0;
}

int exp_nvme_id_ns_parse(const void *page, size_t len, struct exp_nvme_id_ns *ret,
			 struct exp_error *err)
{
	struct exp_nvme_id_ns ns;
	uint64_t bytes;
	int r = exp_nvme_id_ns_common_parse(page, len, &ns, err);

	if (r < 0)
		return r;
	if (ns.format >= ns.n_formats || !ns.lbaf[ns.format].lbads)
		return EXP_NVME_BAD(err,
				    "Identify Namespace: FLBAS %02Xh chooses format %u, which is "
				    "not one of the %u reported",
				    ns.flbas, ns.format, ns.n_formats);
	if (!ns.nsze || ns.ncap > ns.nsze || ns.nuse > ns.ncap)
		return EXP_NVME_BAD(err,
				    "Identify Namespace: NSZE %llu, NCAP %llu, NUSE %llu are not "
				    "in descending order or NSZE is 0",
				    (unsigned long long)ns.nsze, (unsigned long long)ns.ncap,
				    (unsigned long long)ns.nuse);
	if (__builtin_mul_overflow(ns.nsze, (uint64_t)ns.lbaf[ns.format].lba_bytes, &bytes) ||
	    bytes > INT64_MAX)
		return EXP_NVME_BAD(err,
				    "Identify Namespace: NSZE %llu blocks of %u bytes is more "
				    "than a byte offset can name",
				    (unsigned long long)ns.nsze, ns.lbaf[ns.format].lba_bytes);
	*ret = ns;
	return 0;
}

int exp_nvme_tlbaag_parse(const void *page, size_t len, uint32_t *ret, struct exp_error *err)
{
	int r = exp_nvme_whole_page("Identify Namespace, NVM command set", len, err);

	if (r < 0)
		return r;
	*ret = exp_le32((const uint8_t *)page + 292);
	return 0;
}
