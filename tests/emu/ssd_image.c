/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_image.c - the durable part of an emulated SSD <-> JSON
 */
#include "emu/ssd_image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define IMAGE_FORMAT 1

struct ssd_image_ns *ssd_image_ns(struct ssd_image *img, uint32_t nsid)
{
	for (size_t i = 0; i < img->n_ns; i++)
		if (img->ns[i].nsid == nsid)
			return &img->ns[i];
	return NULL;
}

struct ssd_image_export *ssd_image_export(struct ssd_image *img, uint16_t esubid)
{
	for (size_t i = 0; i < img->n_exports; i++)
		if (img->exports[i].esubid == esubid)
			return &img->exports[i];
	return NULL;
}

struct ssd_image_export *ssd_image_export_of_ns(struct ssd_image *img, uint32_t unsid)
{
	for (size_t i = 0; i < img->n_exports; i++)
		if (img->exports[i].ensid && img->exports[i].unsid == unsid)
			return &img->exports[i];
	return NULL;
}

struct ssd_image_export *ssd_image_export_of_ctrl(struct ssd_image *img, uint16_t cntlid)
{
	for (size_t i = 0; i < img->n_exports; i++)
		if (img->exports[i].cntlid == cntlid)
			return &img->exports[i];
	return NULL;
}

void ssd_image_add_ns(struct ssd_image *img, const struct ssd_image_ns *ns)
{
	size_t at = 0;

	while (at < img->n_ns && img->ns[at].nsid < ns->nsid)
		at++;
	memmove(&img->ns[at + 1], &img->ns[at], (img->n_ns - at) * sizeof(img->ns[0]));
	img->ns[at] = *ns;
	img->n_ns++;
}

void ssd_image_del_ns(struct ssd_image *img, uint32_t nsid)
{
	struct ssd_image_ns *ns = ssd_image_ns(img, nsid);
	size_t at;

	if (!ns)
		return;
	at = (size_t)(ns - img->ns);
	img->n_ns--;
	memmove(ns, ns + 1, (img->n_ns - at) * sizeof(*ns));
}

void ssd_image_del_export(struct ssd_image *img, uint16_t esubid)
{
	struct ssd_image_export *e = ssd_image_export(img, esubid);
	size_t at;

	if (!e)
		return;
	at = (size_t)(e - img->exports);
	img->n_exports--;
	memmove(e, e + 1, (img->n_exports - at) * sizeof(*e));
}

uint64_t ssd_image_used_bytes(const struct ssd_image *img)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < img->n_ns; i++)
		sum += img->ns[i].blocks << img->ns[i].lbads;
	return sum;
}

static struct exp_json *print_ns(const struct ssd_image_ns *ns)
{
	struct exp_json *o = exp_json_object();

	exp_json_put_u64(o, "nsid", ns->nsid);
	exp_json_put_u64(o, "file", ns->file);
	exp_json_put_u64(o, "blocks", ns->blocks);
	exp_json_put_u64(o, "lbads", ns->lbads);
	exp_json_put_bool(o, "shared", ns->shared);
	exp_json_put_u64(o, "attached", ns->attached);
	exp_json_put_uuid(o, "nguid", &ns->nguid);
	exp_json_put_uuid(o, "uuid", &ns->uuid);
	return o;
}

static struct exp_json *print_export(const struct ssd_image_export *e)
{
	struct exp_json *o = exp_json_object();
	char hex[2 * SSD_CONFIG_BYTES + 1];

	for (size_t i = 0; i < SSD_CONFIG_BYTES; i++)
		snprintf(&hex[2 * i], 3, "%02x", e->config[i]);
	exp_json_put_u64(o, "esubid", e->esubid);
	exp_json_put_uuid(o, "template", &e->template);
	exp_json_put_str(o, "nqn", e->nqn);
	if (e->configured)
		exp_json_put_str(o, "config", hex);
	exp_json_put_u64(o, "ensid", e->ensid);
	exp_json_put_u64(o, "unsid", e->unsid);
	exp_json_put_u64(o, "cntlid", e->cntlid);
	exp_json_put_u64(o, "ecntlid", e->ecntlid);
	exp_json_put_u64(o, "gn_ns", e->gn_ns);
	exp_json_put_u64(o, "gn_ctrl", e->gn_ctrl);
	return o;
}

char *ssd_image_print(const struct ssd_image *img, size_t *ret_len)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *o = exp_json_object();
	struct exp_json *list = exp_json_array();
	const char *text;

	exp_json_put_u64(o, "format", IMAGE_FORMAT);
	exp_json_put_str(o, "profile", img->profile);
	exp_json_put_uuid(o, "uuid", &img->uuid);
	exp_json_put_u64(o, "capacity_bytes", img->capacity_bytes);
	exp_json_put_u64(o, "functions", img->functions);
	exp_json_put_u64(o, "next_file", img->next_file);
	exp_json_put_u64(o, "last_esubid", img->last_esubid);
	exp_json_put_u64(o, "gn_exports", img->gn_exports);
	for (size_t i = 0; i < img->n_ns; i++)
		exp_json_add(list, print_ns(&img->ns[i]));
	exp_json_put(o, "namespaces", list);
	list = exp_json_array();
	for (size_t i = 0; i < img->n_exports; i++)
		exp_json_add(list, print_export(&img->exports[i]));
	exp_json_put(o, "exports", list);
	text = exp_json_print(o, true, ret_len);
	return text ? strdup(text) : NULL;
}

/* Take a number that has a type smaller than 64 bits. */
#define TAKE(rd, name, min, max, field)                                            \
	({                                                                         \
		uint64_t take_ = 0;                                                \
		bool took_ = exp_json_req_u64((rd), (name), (min), (max), &take_); \
		(field) = (__typeof__(field))take_;                                \
		took_;                                                             \
	})

static void parse_ns(struct exp_json_reader *up, const struct exp_json *list, size_t i,
		     struct ssd_image *img)
{
	struct ssd_image_ns ns = { 0 };
	struct exp_json_reader rd;

	if (exp_json_open_item(&rd, up, "namespaces", list, i))
		return;
	TAKE(&rd, "nsid", 1, UINT32_MAX - 1, ns.nsid);
	TAKE(&rd, "file", 0, UINT64_MAX, ns.file);
	TAKE(&rd, "blocks", 1, UINT64_C(1) << 50, ns.blocks);
	TAKE(&rd, "lbads", 9, 12, ns.lbads);
	exp_json_opt_bool(&rd, "shared", &ns.shared);
	TAKE(&rd, "attached", 0, (UINT64_C(2) << img->functions) - 1, ns.attached);
	exp_json_req_uuid(&rd, "nguid", &ns.nguid);
	exp_json_req_uuid(&rd, "uuid", &ns.uuid);
	if (img->n_ns && img->ns[img->n_ns - 1].nsid >= ns.nsid)
		exp_json_refuse(&rd, "nsid", "%u after %u, NSIDs have to ascend", ns.nsid,
				img->ns[img->n_ns - 1].nsid);
	if (!exp_json_close(&rd))
		img->ns[img->n_ns++] = ns;
}

static bool parse_hex(const char *s, uint8_t *out, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	if (strlen(s) != 2 * n)
		return false;
	for (size_t i = 0; i < 2 * n; i++) {
		const char *d = strchr(digits, s[i]);

		if (!d)
			return false;
		out[i / 2] = (uint8_t)(out[i / 2] << 4 | (d - digits));
	}
	return true;
}

static void parse_export(struct exp_json_reader *up, const struct exp_json *list, size_t i,
			 struct ssd_image *img)
{
	struct ssd_image_export e = { 0 };
	struct exp_json_reader rd;
	const char *s;

	if (exp_json_open_item(&rd, up, "exports", list, i))
		return;
	TAKE(&rd, "esubid", 1, UINT16_MAX, e.esubid);
	exp_json_req_uuid(&rd, "template", &e.template);
	s = exp_json_req_str(&rd, "nqn", SSD_NQN_BYTES - 1);
	if (s)
		memcpy(e.nqn, s, strlen(s));
	s = exp_json_opt_str(&rd, "config", 2 * SSD_CONFIG_BYTES);
	e.configured = s;
	if (s && !parse_hex(s, e.config, SSD_CONFIG_BYTES))
		exp_json_refuse(&rd, "config", "not %d bytes in lower-case hex", SSD_CONFIG_BYTES);
	TAKE(&rd, "ensid", 0, UINT32_MAX - 1, e.ensid);
	TAKE(&rd, "unsid", 0, UINT32_MAX - 1, e.unsid);
	TAKE(&rd, "cntlid", 0, UINT16_MAX, e.cntlid);
	TAKE(&rd, "ecntlid", 0, UINT16_MAX, e.ecntlid);
	TAKE(&rd, "gn_ns", 0, UINT8_MAX, e.gn_ns);
	TAKE(&rd, "gn_ctrl", 0, UINT8_MAX, e.gn_ctrl);
	if (e.cntlid != SSD_NO_CTRL && (!e.cntlid || e.cntlid > img->functions))
		exp_json_refuse(&rd, "cntlid", "%u is no migratable function of 1..%u", e.cntlid,
				img->functions);
	if (e.cntlid != SSD_NO_CTRL && ssd_image_export_of_ctrl(img, e.cntlid))
		exp_json_refuse(&rd, "cntlid", "%u is exported twice", e.cntlid);
	if (e.ensid && ssd_image_export_of_ns(img, e.unsid))
		exp_json_refuse(&rd, "unsid", "%u is exported twice", e.unsid);
	if (ssd_image_export(img, e.esubid))
		exp_json_refuse(&rd, "esubid", "%u is there twice", e.esubid);
	if (!exp_json_close(&rd))
		img->exports[img->n_exports++] = e;
}

int ssd_image_parse(const char *text, size_t len, struct ssd_image *ret, struct exp_error *err)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *doc = NULL;
	EXP_CLEANUP(ssd_image_freep) struct ssd_image *img = calloc(1, sizeof(*img));
	const struct exp_json *list;
	struct exp_json_reader rd;
	uint64_t format = 0;
	const char *s;
	int r;

	if (!img)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	r = exp_json_parse(text, len, SSD_IMAGE_MAX, &doc, err);
	if (r < 0)
		return r;
	r = exp_json_open(&rd, doc, err);
	if (r < 0)
		return r;
	exp_json_req_u64(&rd, "format", IMAGE_FORMAT, IMAGE_FORMAT, &format);
	s = exp_json_req_str(&rd, "profile", sizeof(img->profile) - 1);
	if (s)
		memcpy(img->profile, s, strlen(s));
	exp_json_req_uuid(&rd, "uuid", &img->uuid);
	TAKE(&rd, "capacity_bytes", 1, UINT64_C(1) << 50, img->capacity_bytes);
	TAKE(&rd, "functions", 1, SSD_MAX_FN - 1, img->functions);
	TAKE(&rd, "next_file", 0, UINT64_MAX, img->next_file);
	TAKE(&rd, "last_esubid", 0, UINT16_MAX, img->last_esubid);
	TAKE(&rd, "gn_exports", 0, UINT8_MAX, img->gn_exports);
	list = exp_json_req_array(&rd, "namespaces", SSD_MAX_NS);
	for (size_t i = 0; i < exp_json_len(list); i++)
		parse_ns(&rd, list, i, img);
	list = exp_json_req_array(&rd, "exports", SSD_MAX_EXPORTS);
	for (size_t i = 0; i < exp_json_len(list); i++)
		parse_export(&rd, list, i, img);
	r = exp_json_close(&rd);
	if (r < 0)
		return r;
	*ret = *img;
	return 0;
}
