/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_export.c - exported subsystems: Manage Exported NVM Subsystem Receive (2Ah) and Send (2Dh),
 * Manage Exported Namespace (31h), on the MMC
 *
 * The order that a subsystem goes through: created; a namespace and its configuration, set once;
 * controllers; and back: namespace out, deleted. Only the Reference template's shape exists: one
 * controller with ECNTLID 0 and one namespace with ENSID 1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nqn.h"
#include "emu/ssd_export.h"

#define BUFFER_BYTES 4096 /* of 2Dh and 31h, where the drive counts no dwords */
#define REF_ECNTLID  0
#define REF_ENSID    1

static uint16_t over_limit(const struct ssd *ssd)
{
	return ssd->profile->sw.limits_invalid_field ? ST_INVALID_FIELD : ST_NO_RESOURCES;
}

/* A copy of the image to change; committed as a whole or dropped. */
static struct ssd_image *change(struct ssd *ssd)
{
	struct ssd_image *next = malloc(sizeof(*next));

	if (next)
		*next = *ssd->img;
	return next;
}

static bool nqn_taken(struct ssd_image *img, const char *nqn, uint16_t but)
{
	for (size_t i = 0; i < img->n_exports; i++)
		if (img->exports[i].esubid != but && !strcmp(img->exports[i].nqn, nqn))
			return true;
	return false;
}

bool ssd_export_nqn_free(struct ssd *ssd, const char *nqn, uint16_t but)
{
	return strcmp(nqn, ssd->nqn) && !nqn_taken(ssd->img, nqn, but);
}

/* --- 2Ah --- */

/* The name from the buffer, where this drive reads it and there is one; else one of ours. */
static uint16_t choose_nqn(struct ssd_cmd *c, uint16_t esubid, char out[SSD_NQN_BYTES])
{
	struct ssd *ssd = c->fn->ssd;
	char wanted[SSD_NQN_BYTES + 1] = { 0 };
	struct exp_uuid uuid = exp_uuid_new();
	char text[EXP_UUID_TEXT];
	struct exp_nqn nqn;
	uint16_t st;

	memset(out, 0, SSD_NQN_BYTES);
	if (ssd->profile->sw.create_takes_nqn) {
		st = ssd_data_in(c, wanted, SSD_NQN_BYTES);
		if (st)
			return st;
	}
	/* what a host did not mean to send, a stale bounce buffer, is no wish */
	if (exp_nqn_parse(wanted, &nqn, NULL) < 0) {
		exp_uuid_format(&uuid, text);
		snprintf(out, SSD_NQN_BYTES, "nqn.2014-08.org.nvmexpress:uuid:%s", text);
		return ST_OK;
	}
	if (!ssd_export_nqn_free(ssd, wanted, esubid))
		return ST_INVALID_FIELD;
	memcpy(out, nqn.s, strlen(nqn.s));
	return ST_OK;
}

static uint16_t create(struct ssd_cmd *c)
{
	struct ssd *ssd = c->fn->ssd;
	const struct ssd_profile *p = ssd->profile;
	EXP_CLEANUP(ssd_image_freep) struct ssd_image *next = change(ssd);
	uint32_t index = c->cdw11 & 0xFF;
	struct ssd_image_export *e;
	uint16_t st;

	if (!next)
		return ST_INTERNAL;
	if (!p->sw.template_index_from_0)
		index--; /* 0 wraps and is out of range below */
	/* MOS: restricted access is for message-based transports; TR: these templates are binding
	 */
	if (c->cdw10 >> 8 || c->cdw11 & 0x7FFFFF00 || !(c->cdw11 >> 31) || index >= p->n_templates)
		return ST_INVALID_FIELD;
	if (next->n_exports >= p->exports || next->n_exports == SSD_MAX_EXPORTS)
		return over_limit(ssd);
	do
		next->last_esubid++;
	while (!next->last_esubid || ssd_image_export(next, next->last_esubid));
	e = &next->exports[next->n_exports++];
	*e = (struct ssd_image_export){ .esubid = next->last_esubid,
					.template = p->templates[index],
					.cntlid = SSD_NO_CTRL };
	st = choose_nqn(c, e->esubid, e->nqn);
	if (!st) {
		next->gn_exports++;
		st = ssd_data_out(c, e->nqn, SSD_NQN_BYTES);
	}
	if (!st)
		st = ssd_commit(ssd, next);
	if (!st)
		c->dw0 = e->esubid;
	return st;
}

static struct ssd_image_export *listed(struct ssd_cmd *c)
{
	return ssd_image_export(c->fn->ssd->img, (uint16_t)(c->cdw14 >> 16));
}

static size_t list_exports(struct ssd_cmd *c, uint8_t *d)
{
	const struct ssd_image *img = c->fn->ssd->img;

	exp_put_le16(d, (uint16_t)img->n_exports);
	d[3] = img->gn_exports;
	for (size_t i = 0; i < img->n_exports; i++) {
		uint8_t *at = d + 4 + 260 * i;

		memcpy(at, img->exports[i].nqn, SSD_NQN_BYTES);
		exp_put_le16(at + 258, img->exports[i].esubid);
	}
	return 4 + 260 * img->n_exports;
}

static size_t list_namespaces(const struct ssd_image_export *e, uint8_t *d)
{
	exp_put_le16(d, e->ensid ? 1 : 0);
	d[3] = e->gn_ns;
	if (!e->ensid)
		return 8;
	exp_put_le32(d + 8, e->ensid);
	exp_put_le32(d + 12, e->unsid);
	return 16;
}

static size_t list_controllers(const struct ssd_image_export *e, uint8_t *d)
{
	exp_put_le16(d, e->cntlid != SSD_NO_CTRL ? 1 : 0);
	d[3] = e->gn_ctrl;
	if (e->cntlid == SSD_NO_CTRL)
		return 4;
	exp_put_le16(d + 4, e->ecntlid);
	exp_put_le16(d + 6, e->cntlid);
	return 8;
}

#define LIST_BYTES (4 + 260 * SSD_MAX_EXPORTS)

/* Offset and count as Migration Receive has them, or one 4,096-byte page and neither. */
static uint16_t reply(struct ssd_cmd *c, const uint8_t *d, size_t size)
{
	uint64_t off = c->cdw12 | (uint64_t)c->cdw13 << 32;
	uint64_t want = ((uint64_t)c->cdw15 + 1) * 4;
	uint8_t page[EXP_MAX(LIST_BYTES, BUFFER_BYTES)] = { 0 };

	if (!c->fn->ssd->profile->sw.list_offsets) {
		if (off || c->cdw15)
			return ST_INVALID_FIELD;
		want = BUFFER_BYTES;
	}
	if (off & 3 || off > size || !ssd_xfer_fits(c->fn, want))
		return ST_INVALID_FIELD;
	memcpy(page, d + off, size - off);
	return ssd_data_out(c, page, (uint32_t)EXP_MIN(want, sizeof(page)));
}

uint16_t ssd_export_recv(struct ssd_cmd *c)
{
	uint8_t d[LIST_BYTES] = { 0 };
	const struct ssd_image_export *e = listed(c);
	uint32_t sel = c->cdw10 & 0xFF;

	if (sel == 0)
		return create(c);
	if (c->cdw10 >> 8 || c->cdw14 & 0xFFFF || (sel > 1 && !e))
		return ST_INVALID_FIELD;
	switch (sel) {
	case 1: return reply(c, d, list_exports(c, d));
	case 2: return reply(c, d, list_namespaces(e, d));
	case 3:
		if (!c->fn->ssd->profile->sw.list_controllers)
			return ST_INVALID_FIELD;
		return reply(c, d, list_controllers(e, d));
	case 4: return reply(c, d, 8); /* ports are for fabrics: there are none */
	case 5:
		if (!e->configured) /* nothing to read yet */
			return ST_SEQUENCE;
		return reply(c, e->config, SSD_CONFIG_BYTES);
	default: return ST_INVALID_FIELD;
	}
}

/* --- 2Dh --- */

/* The subsystem a 2Dh or 31h command names: by handle, or where allowed by NQN. */
static struct ssd_image_export *named(struct ssd_cmd *c, struct ssd_image *img, bool by_nqn)
{
	char nqn[SSD_NQN_BYTES + 1] = { 0 };

	if (c->cdw14 & 0xFF7F)
		return NULL;
	if (c->cdw14 & 0x80)
		return ssd_image_export(img, (uint16_t)(c->cdw14 >> 16));
	if (!by_nqn || ssd_data_in(c, nqn, SSD_NQN_BYTES))
		return NULL;
	for (size_t i = 0; i < img->n_exports; i++)
		if (!strcmp(img->exports[i].nqn, nqn))
			return &img->exports[i];
	return NULL;
}

/* @len bytes of what the host sends; CDW15 counts dwords where the drive counts. */
static uint16_t read_buffer(struct ssd_cmd *c, uint8_t *d, uint32_t len)
{
	bool counts = c->fn->ssd->profile->sw.list_offsets;

	if (counts ? c->cdw15 < (len + 3) / 4 : c->cdw15)
		return ST_INVALID_FIELD;
	return ssd_data_in(c, d, len);
}

static bool can_process(struct ssd *ssd, uint16_t cntlid)
{
	struct ssd_fn *fn = ssd_by_cntlid(ssd, cntlid);
	bool can;

	if (!fn)
		return false;
	ssd_intrude(fn);
	can = ssd_can_process(fn);
	ssd_retire(fn);
	return can;
}

/* The controller @cntlid shows another face from now on. */
static void reface(struct ssd *ssd, uint16_t cntlid)
{
	struct ssd_fn *fn = ssd_by_cntlid(ssd, cntlid);

	if (!fn)
		return;
	ssd_intrude(fn);
	/* state that was committed for the former face is for nobody */
	ssd_seq_drop(fn);
	free(fn->committed);
	fn->committed = NULL;
	ssd_refresh_fn(fn);
	ssd_retire(fn);
}

static uint16_t delete (struct ssd_cmd *c)
{
	struct ssd *ssd = c->fn->ssd;
	EXP_CLEANUP(ssd_image_freep) struct ssd_image *next = change(ssd);
	struct ssd_image_export *e;
	uint16_t cntlid, st;

	if (!next)
		return ST_INTERNAL;
	e = named(c, next, true);
	if (!e)
		return ST_INVALID_FIELD;
	cntlid = e->cntlid;
	if (can_process(ssd, cntlid))
		return ST_CTRL_ACTIVE;
	if (e->ensid)
		return ST_SEQUENCE;
	ssd_image_del_export(next, e->esubid);
	next->gn_exports++;
	st = ssd_commit(ssd, next);
	if (!st)
		reface(ssd, cntlid);
	return st;
}

/* Is a namespace attached to @cntlid that @e does not export? */
static bool foreign_namespace(const struct ssd_image *img, const struct ssd_image_export *e,
			      uint16_t cntlid)
{
	for (size_t i = 0; i < img->n_ns; i++)
		if (img->ns[i].attached & UINT64_C(1) << cntlid &&
		    !(e->ensid && e->unsid == img->ns[i].nsid))
			return true;
	return false;
}

static uint16_t associate_controllers(struct ssd_cmd *c)
{
	struct ssd *ssd = c->fn->ssd;
	EXP_CLEANUP(ssd_image_freep) struct ssd_image *next = change(ssd);
	struct ssd_image_export *e;
	uint16_t cntlid, ecntlid, st;
	struct ssd_fn *fn;
	uint8_t d[8];

	if (!next)
		return ST_INTERNAL;
	e = named(c, next, false);
	if (!e)
		return ST_INVALID_FIELD;
	st = read_buffer(c, d, sizeof(d));
	if (st)
		return st;
	cntlid = exp_le16(d + 4);
	ecntlid = exp_le16(d + 6);
	if (exp_le16(d) || exp_le16(d + 2) || ecntlid != REF_ECNTLID) /* N is 0's based */
		return ST_INVALID_FIELD;
	fn = ssd_by_cntlid(ssd, cntlid);
	if (!fn || fn->is_mmc)
		return ST_CTRL_INVALID;
	if (!e->configured)
		return ST_SEQUENCE;
	if (e->cntlid != SSD_NO_CTRL || ssd_image_export_of_ctrl(next, cntlid) ||
	    foreign_namespace(next, e, cntlid))
		return ST_EXPORT_ASSOC;
	if (can_process(ssd, cntlid))
		return ST_CTRL_ACTIVE;
	e->cntlid = cntlid;
	e->ecntlid = ecntlid;
	e->gn_ctrl++;
	st = ssd_commit(ssd, next);
	if (!st)
		reface(ssd, cntlid);
	return st;
}

static uint16_t set_config(struct ssd_cmd *c)
{
	struct ssd *ssd = c->fn->ssd;
	EXP_CLEANUP(ssd_image_freep) struct ssd_image *next = change(ssd);
	struct ssd_image_export *e;
	uint8_t d[SSD_CONFIG_BYTES];
	size_t where = 0;
	uint16_t st;

	if (!next)
		return ST_INTERNAL;
	e = named(c, next, false);
	if (!e)
		return ST_INVALID_FIELD;
	if (e->configured)
		return ST_SEQUENCE;
	st = read_buffer(c, d, sizeof(d));
	if (st)
		return st;
	if (!ssd_export_configure(ssd, e, d, &where)) {
		c->dw0 = (uint32_t)(where / 4) | (uint32_t)(where % 4 * 8) << 27;
		return ST_EXPORT_CONFIG;
	}
	e->configured = true;
	next->gn_exports++;
	return ssd_commit(ssd, next);
}

uint16_t ssd_export_send(struct ssd_cmd *c)
{
	if (c->cdw10 >> 8)
		return ST_INVALID_FIELD;
	switch (c->cdw10 & 0xFF) {
	case 1: return delete (c);
	case 5: return associate_controllers(c);
	case 6: return set_config(c);
	default: return ST_INVALID_FIELD; /* 02h-04h: message-based transports only */
	}
}

/* --- 31h --- */

static bool all_zero(const uint8_t *d, size_t from, size_t to)
{
	while (from < to && !d[from])
		from++;
	return from == to;
}

static uint16_t associate_ns(struct ssd_cmd *c, struct ssd_image *next, struct ssd_image_export *e,
			     const uint8_t *d)
{
	struct ssd *ssd = c->fn->ssd;
	uint32_t ensid = exp_le32(d + 32), unsid = exp_le32(d + 292);
	struct ssd_image_ns *ns = ssd_image_ns(next, unsid);

	if (!all_zero(d, 0, 32) || !all_zero(d, 554, 576) || ensid != REF_ENSID || !ns)
		return ST_INVALID_FIELD;
	if (ssd->profile->sw.config_before_ns && !e->configured)
		return ST_SEQUENCE;
	if (e->ensid)
		return e->ensid == ensid ? ST_INVALID_FIELD : over_limit(ssd);
	if (ssd_image_export_of_ns(next, unsid))
		return ST_INVALID_FIELD;
	if (e->configured && !ssd_export_format_fits(e, ns))
		return ST_INVALID_FIELD;
	e->ensid = ensid;
	e->unsid = unsid;
	return ST_OK;
}

static uint16_t disassociate_ns(struct ssd_image *next, struct ssd_image_export *e,
				const uint8_t *d)
{
	struct ssd_image_ns *ns;

	if (!all_zero(d, 0, 32) || !all_zero(d, 292, 320) || !e->ensid ||
	    exp_le32(d + 32) != e->ensid)
		return ST_INVALID_FIELD;
	ns = ssd_image_ns(next, e->unsid);
	if (ns && e->cntlid != SSD_NO_CTRL && ns->attached & UINT64_C(1) << e->cntlid)
		return ST_SEQUENCE;
	e->ensid = e->unsid = 0;
	return ST_OK;
}

uint16_t ssd_export_ns(struct ssd_cmd *c)
{
	struct ssd *ssd = c->fn->ssd;
	EXP_CLEANUP(ssd_image_freep) struct ssd_image *next = change(ssd);
	struct ssd_image_export *e;
	uint32_t sel = c->cdw10 & 0xFF, unsid;
	uint8_t d[576];
	uint16_t st;

	if (!next)
		return ST_INTERNAL;
	e = named(c, next, false);
	if (c->cdw10 >> 8 || !e || sel < 1 || sel > 2)
		return ST_INVALID_FIELD;
	st = ssd_data_in(c, d, sel == 1 ? 576 : 320);
	if (st)
		return st;
	unsid = e->unsid;
	st = sel == 1 ? associate_ns(c, next, e, d) : disassociate_ns(next, e, d);
	if (st)
		return st;
	e->gn_ns++;
	st = ssd_commit(ssd, next);
	if (!st)
		ssd_event_ns(c->fn, EV_NS_ALLOC, sel == 1 ? e->unsid : unsid);
	return st;
}
