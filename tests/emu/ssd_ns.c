/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_ns.c - Namespace Management and Namespace Attachment, on the MMC
 *
 * Order on disk: the file before the metadata that names it, the metadata that forgets it before
 * the file goes. A namespace is taken from every function that sees it before its file is closed.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "emu/ssd_internal.h"

#define CTRL_LIST_MAX 2047

static int format_of(const struct ssd_profile *p, uint8_t flbas)
{
	uint8_t i = flbas & 0xF;

	/* bits 6:5 are the high part of the index, bit 4 extended metadata: we have neither */
	if (flbas & 0xF0 || i >= EXP_ARRAY_SIZE(p->lbads) || !p->lbads[i])
		return -1;
	return p->lbads[i];
}

static uint16_t read_create(struct ssd_cmd *c, struct ssd_image_ns *ns)
{
	const struct ssd_profile *p = c->fn->ssd->profile;
	uint8_t d[ID_BYTES];
	int lbads;
	uint16_t st = ssd_data_in(c, d, sizeof(d));

	if (st)
		return st;
	lbads = format_of(p, d[IDN_FLBAS]);
	if (lbads < 0 || d[IDN_DPS])
		return ST_FORMAT_INVALID;
	ns->blocks = exp_le64(d + IDN_NSZE);
	ns->lbads = (uint8_t)lbads;
	ns->shared = d[IDN_NMIC] & 1;
	/* NCAP = NSZE: nothing is thin; ANA groups, NVM sets and endurance groups do not exist */
	if (!ns->blocks || exp_le64(d + IDN_NCAP) != ns->blocks || d[IDN_NMIC] & ~1 ||
	    exp_le32(d + IDN_ANAGRP) || exp_le16(d + IDN_NVMSET) || exp_le16(d + IDN_ENDGID))
		return ST_INVALID_FIELD;
	return ST_OK;
}

/* The lowest NSID that neither exists nor is still named by an export: hosts see ids reused. */
static uint32_t free_nsid(struct ssd *ssd)
{
	for (uint32_t id = 1; id <= ssd->profile->namespaces; id++)
		if (!ssd_image_ns(ssd->img, id) && !ssd_image_export_of_ns(ssd->img, id))
			return id;
	return 0;
}

static uint16_t create(struct ssd_cmd *c)
{
	struct ssd *ssd = c->fn->ssd;
	struct ssd_image_ns meta = { 0 };
	EXP_CLEANUP(ssd_image_freep) struct ssd_image *next = malloc(sizeof(*next));
	struct exp_error err = { 0 };
	struct ssd_ns *ns;
	uint64_t left;
	int fd;
	uint16_t st = read_create(c, &meta);

	if (st)
		return st;
	if (!next)
		return ST_INTERNAL;
	meta.nsid = free_nsid(ssd);
	if (!meta.nsid || ssd->n_ns == SSD_MAX_NS)
		return ST_NO_NSID;
	left = ssd->img->capacity_bytes - ssd_image_used_bytes(ssd->img);
	if (meta.blocks > left >> meta.lbads)
		return ST_NO_CAPACITY;
	*next = *ssd->img;
	meta.file = next->next_file++;
	meta.nguid = exp_uuid_new();
	meta.uuid = exp_uuid_new();
	ssd_image_add_ns(next, &meta);
	ns = calloc(1, sizeof(*ns));
	if (!ns)
		return ST_INTERNAL;
	if (ssd_store_create(ssd->store, meta.file, meta.blocks << meta.lbads, &fd, &err) < 0) {
		exp_log(LOG_ERR, "a namespace could not be created", kv_s("error", err.msg));
		free(ns);
		return ST_INTERNAL;
	}
	st = ssd_commit(ssd, next);
	if (st) {
		/* the new metadata may be in place after all: keep the file, tidy at next start */
		close(fd);
		free(ns);
		return st;
	}
	*ns = (struct ssd_ns){ .nsid = meta.nsid,
			       .lbads = meta.lbads,
			       .shared = meta.shared,
			       .blocks = meta.blocks,
			       .file = meta.file,
			       .nguid = meta.nguid,
			       .uuid = meta.uuid,
			       .fd = fd };
	ssd->ns[ssd->n_ns++] = ns;
	c->dw0 = meta.nsid;
	ssd_event_ns(c->fn, EV_NS_ALLOC, meta.nsid);
	return ST_OK;
}

/* Let each function in @changed see what the image says now, and tell it of @nsid. */
static void refresh(struct ssd *ssd, uint64_t changed, uint32_t nsid)
{
	for (unsigned int i = 0; i < ssd->n_fn; i++) {
		struct ssd_image_export *e = ssd_image_export_of_ctrl(ssd->img, (uint16_t)i);
		struct ssd_fn *fn = &ssd->fn[i];

		if (!(changed & UINT64_C(1) << i))
			continue;
		ssd_intrude(fn);
		ssd_refresh_fn(fn);
		ssd_event_ns(fn, EV_NS_ATTACHED, e ? e->ensid : nsid);
		ssd_retire(fn);
	}
}

static void forget_ns(struct ssd *ssd, uint32_t nsid)
{
	for (size_t i = 0; i < ssd->n_ns; i++) {
		struct ssd_ns *ns = ssd->ns[i];

		if (ns->nsid != nsid)
			continue;
		ssd->ns[i] = ssd->ns[--ssd->n_ns];
		close(ns->fd);
		ssd_store_remove(ssd->store, ns->file);
		free(ns);
		return;
	}
}

static uint16_t delete_one(struct ssd_cmd *c, uint32_t nsid)
{
	struct ssd *ssd = c->fn->ssd;
	EXP_CLEANUP(ssd_image_freep) struct ssd_image *next = malloc(sizeof(*next));
	uint64_t attached;
	uint16_t st;

	if (!next)
		return ST_INTERNAL;
	*next = *ssd->img;
	attached = ssd_image_ns(next, nsid)->attached;
	ssd_image_del_ns(next, nsid);
	st = ssd_commit(ssd, next);
	if (st)
		return st;
	refresh(ssd, attached, nsid);
	forget_ns(ssd, nsid);
	ssd_event_ns(c->fn, EV_NS_ALLOC, nsid);
	return ST_OK;
}

uint16_t ssd_ns_mgmt(struct ssd_cmd *c)
{
	struct ssd *ssd = c->fn->ssd;
	uint16_t st = ST_OK;

	switch (c->cdw10 & 0xF) {
	case 0: return c->nsid || c->cdw11 >> 24 ? ST_INVALID_FIELD : create(c);
	case 1:
		if (c->nsid == NSID_ALL) {
			while (!st && ssd->img->n_ns)
				st = delete_one(c, ssd->img->ns[0].nsid);
			return st;
		}
		if (!ssd_image_ns(ssd->img, c->nsid))
			return c->nsid && c->nsid <= c->fn->face.nn ? ST_INVALID_FIELD
								    : ST_INVALID_NS;
		return delete_one(c, c->nsid);
	default: return ST_INVALID_FIELD;
	}
}

static uint16_t read_ctrl_list(struct ssd_cmd *c, uint64_t *ret)
{
	uint8_t d[ID_BYTES];
	uint16_t n, st = ssd_data_in(c, d, sizeof(d));

	if (st)
		return st;
	n = exp_le16(d);
	if (!n || n > CTRL_LIST_MAX)
		return ST_CTRL_LIST;
	*ret = 0;
	for (unsigned int i = 0; i < n; i++) {
		uint16_t id = exp_le16(d + 2 + 2 * i);

		if (!ssd_by_cntlid(c->fn->ssd, id) || *ret & UINT64_C(1) << id)
			return ST_CTRL_LIST;
		*ret |= UINT64_C(1) << id;
	}
	return ST_OK;
}

/* May @ns be attached to these controllers, or detached from them? */
static uint16_t check_attach(struct ssd *ssd, const struct ssd_image_ns *ns, uint64_t ctrls,
			     bool attach)
{
	if (attach ? ns->attached & ctrls : ctrls & ~ns->attached)
		return attach ? ST_ALREADY_ATTACHED : ST_NOT_ATTACHED;
	if (attach && !ns->shared && (ns->attached || ctrls & (ctrls - 1)))
		return ST_NS_PRIVATE;
	for (unsigned int i = 0; i < ssd->n_fn; i++) {
		const struct ssd_image_export *e;
		struct ssd_fn *fn = &ssd->fn[i];
		bool suspended;

		if (!(ctrls & UINT64_C(1) << i))
			continue;
		e = ssd_image_export_of_ctrl(ssd->img, (uint16_t)i);
		if (attach && e && (!e->ensid || e->unsid != ns->nsid))
			return ST_EXPORT_ASSOC;
		ssd_intrude(fn);
		suspended = fn->suspended;
		ssd_retire(fn);
		if (suspended && !ssd->profile->sw.attach_when_suspended)
			return ST_SUSPENDED;
	}
	return ST_OK;
}

uint16_t ssd_ns_attach(struct ssd_cmd *c)
{
	struct ssd *ssd = c->fn->ssd;
	EXP_CLEANUP(ssd_image_freep) struct ssd_image *next = malloc(sizeof(*next));
	uint32_t sel = c->cdw10 & 0xF;
	struct ssd_image_ns *ns;
	uint64_t ctrls;
	uint16_t st;

	if (!next)
		return ST_INTERNAL;
	if (sel > 1)
		return ST_INVALID_FIELD;
	*next = *ssd->img;
	ns = ssd_image_ns(next, c->nsid);
	if (!ns)
		return c->nsid && c->nsid <= c->fn->face.nn ? ST_INVALID_FIELD : ST_INVALID_NS;
	st = read_ctrl_list(c, &ctrls);
	if (!st)
		st = check_attach(ssd, ns, ctrls, !sel);
	if (st)
		return st;
	ns->attached ^= ctrls;
	st = ssd_commit(ssd, next);
	if (!st)
		refresh(ssd, ctrls, c->nsid);
	return st;
}
