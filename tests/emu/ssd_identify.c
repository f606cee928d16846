/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_identify.c - Identify data structures (NVMe Base 2.3, 5.2.13), for the drive and behind an
 * export
 *
 * Each page starts as zeros. Behind an export only what the face holds is filled in, so a field
 * that nobody thought of cannot leak; the lists of the drive's own objects exist on the MMC alone.
 */
#include <string.h>

#include "emu/ssd_internal.h"

#define NVM_SET_VER 0x00010200u /* 1.2.0 */
#define LIST_MAX    1024        /* entries of a namespace list */

static void put_text(uint8_t *at, size_t len, const char *s)
{
	memset(at, ' ', len);
	memcpy(at, s, strnlen(s, len));
}

/* What an export shows is configured byte by byte; the rest of the page stays zero. */
static void ctrl_exported(const struct ssd_fn *fn, uint8_t *d)
{
	const struct ssd_refconfig *c = &fn->face.config;

	memcpy(d + IDC_SN, c->sn, sizeof(c->sn));
	memcpy(d + IDC_MN, c->mn, sizeof(c->mn));
	memcpy(d + IDC_FR, c->fr, sizeof(c->fr));
}

static void ctrl_own(const struct ssd_fn *fn, uint8_t *d)
{
	const struct ssd *ssd = fn->ssd;
	const struct ssd_profile *p = ssd->profile;
	uint64_t used;

	exp_put_le16(d + IDC_VID, p->vendor);
	exp_put_le16(d + IDC_SSVID, p->subsys_vendor);
	put_text(d + IDC_SN, 20, ssd->serial);
	put_text(d + IDC_MN, 40, p->model);
	put_text(d + IDC_FR, 8, p->firmware);
	memcpy(d + IDC_IEEE, p->ieee, 3);
	d[IDC_CMIC] = 0x02; /* several controllers in the subsystem */
	exp_put_le32(d + IDC_CTRATT, CTRATT_UUID_LIST);
	d[IDC_CNTRLTYPE] = 1; /* I/O controller, the MMC too */
	d[IDC_FRMW] = 0x03;   /* one slot, and slot 1 is read only */
	d[IDC_LPA] = 0x02;    /* Commands Supported and Effects */
	exp_put_le16(d + IDC_WCTEMP, p->warn_kelvin);
	exp_put_le16(d + IDC_CCTEMP, (uint16_t)(p->warn_kelvin + 15));
	exp_put_le32(d + IDC_MNAN, p->namespaces);
	if (!fn->is_mmc)
		return; /* and from here on only the MMC's thread may look at the image */
	used = ssd_image_used_bytes(ssd->img);
	exp_put_le64(d + IDC_TNVMCAP, ssd->img->capacity_bytes);
	exp_put_le64(d + IDC_UNVMCAP,
		     used < ssd->img->capacity_bytes ? ssd->img->capacity_bytes - used : 0);
	if (p->n_templates) {
		exp_put_le16(d + IDC_MNENS, p->exports);
		exp_put_le16(d + IDC_MNECPENS, 1);
		exp_put_le32(d + IDC_MENSNN, 1);
		d[IDC_ENSA] = ENSA_TEMPLATES | ENSA_MIGRATION;
		d[IDC_ENDSFS] = ENDSFS_FORMAT1;
	}
	if (p->mcudmq) {
		d[IDC_TRATTR] = TRATTR_TUDCS;
		exp_put_le16(d + IDC_MCUDMQ, p->mcudmq);
		exp_put_le16(d + IDC_MNSUDMQ, p->mnsudmq);
		exp_put_le16(d + IDC_MCMR, p->mcmr);
		exp_put_le16(d + IDC_NMCMR, p->nmcmr);
		exp_put_le16(d + IDC_MCDQPC, p->mcdqpc);
	}
}

static uint16_t id_ctrl(struct ssd_cmd *c, uint8_t *d)
{
	const struct ssd_fn *fn = c->fn;
	const struct ssd_face *f = &fn->face;

	if (f->exported)
		ctrl_exported(fn, d);
	else
		ctrl_own(fn, d);
	d[IDC_RAB] = f->rab;
	d[IDC_MDTS] = f->mdts;
	exp_put_le16(d + IDC_CNTLID, f->cntlid);
	exp_put_le32(d + IDC_VER, f->vs);
	exp_put_le32(d + IDC_OAES, f->oaes);
	exp_put_le16(d + IDC_OACS, f->oacs);
	d[IDC_ACL] = f->acl;
	d[IDC_AERL] = f->aerl;
	d[IDC_ELPE] = f->elpe;
	d[IDC_SQES] = 0x66;
	d[IDC_CQES] = 0x44;
	exp_put_le32(d + IDC_NN, f->nn);
	exp_put_le16(d + IDC_ONCS, f->oncs);
	d[IDC_VWC] = f->vwc;
	exp_put_le16(d + IDC_AWUN, f->awun);
	exp_put_le16(d + IDC_AWUPF, f->awupf);
	memcpy(d + IDC_SUBNQN, f->nqn, strnlen(f->nqn, SSD_NQN_BYTES));
	return ST_OK;
}

static void ns_exported(const struct ssd_fn *fn, const struct ssd_ns *ns, uint8_t *d)
{
	const struct ssd_refconfig *c = &fn->face.config;

	exp_put_le64(d + IDN_NSZE, ns->blocks);
	exp_put_le64(d + IDN_NCAP, ns->blocks);
	exp_put_le16(d + IDN_NAWUN, c->nawun);
	exp_put_le16(d + IDN_NAWUPF, c->nawupf);
	memcpy(d + IDN_NGUID, c->nguid.b, 16);
	exp_put_le16(d + IDN_LBAF, c->ms);
	d[IDN_LBAF + 2] = c->lbads;
	d[IDN_LBAF + 3] = c->rp;
}

/* The drive's own view; @ns NULL: what all namespaces have in common (NSID FFFFFFFFh). */
static void ns_own(const struct ssd_fn *fn, const struct ssd_ns *ns, uint8_t *d)
{
	const struct ssd_profile *p = fn->ssd->profile;
	unsigned int n = 0;

	for (; n < EXP_ARRAY_SIZE(p->lbads) && p->lbads[n]; n++) {
		d[IDN_LBAF + 4 * n + 2] = p->lbads[n];
		if (ns && ns->lbads == p->lbads[n])
			d[IDN_FLBAS] = (uint8_t)n;
	}
	d[IDN_NLBAF] = (uint8_t)(n - 1);
	d[IDN_DLFEAT] = 0x09; /* deallocated blocks read as zeros; Write Zeroes may deallocate */
	exp_put_le16(d + IDN_NAWUN, p->awun);
	exp_put_le16(d + IDN_NAWUPF, p->awupf);
	d[IDN_NSFEAT] = 0x02; /* NAWUN and NAWUPF are valid */
	if (!ns)
		return;
	exp_put_le64(d + IDN_NSZE, ns->blocks);
	exp_put_le64(d + IDN_NCAP, ns->blocks);
	exp_put_le64(d + IDN_NUSE, ns->blocks);
	exp_put_le64(d + IDN_NVMCAP, ns->blocks << ns->lbads);
	d[IDN_NMIC] = ns->shared;
	memcpy(d + IDN_NGUID, ns->nguid.b, 16);
}

/* Active namespaces for CNS 00h and 05h; allocated ones for 11h. ret NULL with ST_OK: all zero. */
static uint16_t pick_ns(struct ssd_cmd *c, bool allocated, const struct ssd_ns **ret)
{
	*ret = allocated ? ssd_find_ns(c->fn->ssd, c->nsid) : ssd_visible_ns(c->fn, c->nsid);
	if (*ret)
		return ST_OK;
	return c->nsid && c->nsid <= c->fn->face.nn ? ST_OK : ST_INVALID_NS;
}

static uint16_t id_ns(struct ssd_cmd *c, uint8_t *d)
{
	const struct ssd_ns *ns;
	uint16_t st;

	if (c->nsid == NSID_ALL && c->fn->is_mmc) { /* with namespace management only */
		ns_own(c->fn, NULL, d);
		return ST_OK;
	}
	st = pick_ns(c, false, &ns);
	if (st || !ns)
		return st;
	if (c->fn->face.exported)
		ns_exported(c->fn, ns, d);
	else
		ns_own(c->fn, ns, d);
	return ST_OK;
}

static uint16_t id_alloc_ns(struct ssd_cmd *c, uint8_t *d)
{
	const struct ssd_ns *ns;
	uint16_t st = pick_ns(c, true, &ns);

	if (!st && ns)
		ns_own(c->fn, ns, d);
	return st;
}

static uint16_t id_cs_ns(struct ssd_cmd *c, uint8_t *d)
{
	const struct ssd_ns *ns;
	uint16_t st;

	if (c->cdw11 >> 24) /* CSI: the NVM command set is the only one */
		return ST_INVALID_FIELD;
	st = pick_ns(c, false, &ns);
	if (!st && ns && !c->fn->face.exported)
		exp_put_le32(d + IDNS_TLBAAG, 4096u >> ns->lbads);
	return st;
}

static uint16_t id_cs_ctrl(struct ssd_cmd *c, uint8_t *d)
{
	if (c->cdw11 >> 24)
		return ST_INVALID_FIELD;
	exp_put_le32(d + IDNC_VER, NVM_SET_VER);
	if (!c->fn->face.exported)
		exp_put_le16(d + IDNC_AOCS, 1); /* reports allocated LBAs */
	return ST_OK;                           /* LBAMQF 0: entry type 0 */
}

static uint16_t id_active(struct ssd_cmd *c, uint8_t *d)
{
	const struct ssd_fn *fn = c->fn;
	unsigned int n = 0;

	if (c->nsid >= 0xFFFFFFFEu)
		return ST_INVALID_NS;
	for (size_t i = 0; i < fn->n_ns && n < LIST_MAX; i++)
		if (fn->ns[i].nsid > c->nsid)
			exp_put_le32(d + 4 * n++, fn->ns[i].nsid);
	return ST_OK;
}

static uint16_t id_allocated(struct ssd_cmd *c, uint8_t *d)
{
	const struct ssd_image *img = c->fn->ssd->img;
	unsigned int n = 0;

	if (c->nsid >= 0xFFFFFFFEu)
		return ST_INVALID_NS;
	for (size_t i = 0; i < img->n_ns && n < LIST_MAX; i++)
		if (img->ns[i].nsid > c->nsid)
			exp_put_le32(d + 4 * n++, img->ns[i].nsid);
	return ST_OK;
}

static uint8_t *put_desc(uint8_t *at, uint8_t type, const void *data, uint8_t len)
{
	at[0] = type;
	at[1] = len;
	memcpy(at + 4, data, len);
	return at + 4 + len;
}

static uint16_t id_desc(struct ssd_cmd *c, uint8_t *d)
{
	const struct ssd_fn *fn = c->fn;
	const struct ssd_ns *ns = ssd_visible_ns(fn, c->nsid);
	const struct exp_uuid *nguid, *uuid;
	static const uint8_t csi_nvm;

	if (!ns)
		return c->nsid && c->nsid <= fn->face.nn ? ST_INVALID_FIELD : ST_INVALID_NS;
	nguid = fn->face.exported ? &fn->face.config.nguid : &ns->nguid;
	uuid = fn->face.exported ? &fn->face.config.uuid : &ns->uuid;
	if (!exp_uuid_is_nil(nguid))
		d = put_desc(d, 2, nguid->b, 16);
	if (!exp_uuid_is_nil(uuid))
		d = put_desc(d, 3, uuid->b, 16);
	put_desc(d, 4, &csi_nvm, 1);
	return ST_OK;
}

/* A Controller List: count, then ids from CDW10 31:16 on. */
static uint16_t list_ctrls(struct ssd_cmd *c, uint8_t *d, uint64_t members)
{
	uint16_t n = 0;

	for (unsigned int id = c->cdw10 >> 16; id < c->fn->ssd->n_fn; id++)
		if (members & UINT64_C(1) << id)
			exp_put_le16(d + 2 + 2 * n++, (uint16_t)id);
	exp_put_le16(d, n);
	return ST_OK;
}

static uint16_t id_ctrls(struct ssd_cmd *c, uint8_t *d)
{
	return list_ctrls(c, d, UINT64_MAX);
}

static uint16_t id_ns_ctrls(struct ssd_cmd *c, uint8_t *d)
{
	struct ssd_image_ns *ns = ssd_image_ns(c->fn->ssd->img, c->nsid);

	if (!ns)
		return c->nsid && c->nsid <= c->fn->face.nn ? ST_INVALID_FIELD : ST_INVALID_NS;
	return list_ctrls(c, d, ns->attached);
}

/* UUID List: entry i at 32 * i, its UUID at +16 */
static void put_uuids(uint8_t *d, const struct exp_uuid *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		memcpy(d + 32 * (i + 1) + 16, list[i].b, 16);
}

static uint16_t id_uuids(struct ssd_cmd *c, uint8_t *d)
{
	const struct ssd_profile *p = c->fn->ssd->profile;

	put_uuids(d, p->states, p->n_states);
	return ST_OK;
}

static uint16_t id_templates(struct ssd_cmd *c, uint8_t *d)
{
	const struct ssd_profile *p = c->fn->ssd->profile;

	if (!p->n_templates)
		return ST_INVALID_FIELD;
	put_uuids(d, p->templates, p->n_templates);
	return ST_OK;
}

/* Supported Controller State Formats: one NVMe version, 0; the UUIDs follow it */
static uint16_t id_state_formats(struct ssd_cmd *c, uint8_t *d)
{
	const struct ssd_profile *p = c->fn->ssd->profile;

	d[0] = 1;
	d[1] = (uint8_t)p->n_states;
	for (size_t i = 0; i < p->n_states; i++)
		memcpy(d + 4 + 16 * i, p->states[i].b, 16);
	return ST_OK;
}

enum { ANY, OWN_FACE, MMC };

static const struct {
	uint8_t cns, needs;
	uint16_t (*fill)(struct ssd_cmd *c, uint8_t *d);
} pages[] = {
	{ CNS_NS, ANY, id_ns },
	{ CNS_CTRL, ANY, id_ctrl },
	{ CNS_ACTIVE_NS, ANY, id_active },
	{ CNS_NS_DESC, ANY, id_desc },
	{ CNS_CS_NS, ANY, id_cs_ns },
	{ CNS_CS_CTRL, ANY, id_cs_ctrl },
	{ CNS_ALLOC_NS, MMC, id_allocated },
	{ CNS_ALLOC_NS_DATA, MMC, id_alloc_ns },
	{ CNS_NS_CTRLS, MMC, id_ns_ctrls },
	{ CNS_CTRLS, MMC, id_ctrls },
	{ CNS_UUIDS, OWN_FACE, id_uuids },
	{ CNS_STATE_FORMATS, MMC, id_state_formats },
	{ CNS_UNDERLYING_CTRLS, MMC, id_ctrls },
	{ CNS_TEMPLATES, MMC, id_templates },
};

uint16_t ssd_identify(struct ssd_cmd *c)
{
	uint8_t cns = (uint8_t)c->cdw10, page[ID_BYTES] = { 0 };

	for (size_t i = 0; i < EXP_ARRAY_SIZE(pages); i++) {
		uint16_t st;

		if (pages[i].cns != cns)
			continue;
		if ((pages[i].needs == MMC && !c->fn->is_mmc) ||
		    (pages[i].needs == OWN_FACE && c->fn->face.exported))
			break;
		st = pages[i].fill(c, page);
		return st ? st : ssd_data_out(c, page, sizeof(page));
	}
	return ST_INVALID_FIELD;
}
