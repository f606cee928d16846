/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages of Identify that are lists: descriptors, UUIDs, state formats, controllers, namespaces.
 * A count in a page is a claim; each is held against the page before it is used.
 */
#include <errno.h>
#include <string.h>

#include "base/le.h"
#include "nvme/field.h"
#include "nvme/ident.h"

static int bad(struct exp_error *err, const char *what, const char *why)
{
	return EXP_NVME_BAD(err, "%s: %s", what, why);
}

/* Namespace identification descriptor: 0 NIDT, 1 NIDL, 2..3 reserved, 4.. NID */
#define DESC_HEAD 4u

struct desc_type {
	enum exp_nvme_nidt nidt;
	uint8_t nidl;
	const char *name;
	size_t has, to; /* offsets in struct exp_nvme_ns_descs */
};

#define DESC(name, nidl, has, to)                                                           \
	{                                                                                   \
		EXP_NVME_NIDT_##name, nidl, #name, offsetof(struct exp_nvme_ns_descs, has), \
			offsetof(struct exp_nvme_ns_descs, to)                              \
	}
static const struct desc_type desc_types[] = {
	DESC(EUI64, 8, has_eui64, eui64),
	DESC(NGUID, 16, has_nguid, nguid),
	DESC(UUID, 16, has_uuid, uuid.b),
	DESC(CSI, 1, has_csi, csi),
};

static const struct desc_type *desc_type_of(uint8_t nidt)
{
	for (size_t i = 0; i < EXP_ARRAY_SIZE(desc_types); i++)
		if (desc_types[i].nidt == nidt)
			return &desc_types[i];
	return NULL;
}

static int keep_desc(const uint8_t *d, struct exp_nvme_ns_descs *to, struct exp_error *err)
{
	const struct desc_type *t = desc_type_of(d[0]);
	bool *has;

	if (!t)
		return 0; /* a type of a later version: its length is all we need */
	if (d[1] != t->nidl)
		return EXP_NVME_BAD(err, "namespace descriptors: %s has %u bytes, not %u", t->name,
				    d[1], t->nidl);
	has = (bool *)((uint8_t *)to + t->has);
	if (*has)
		return EXP_NVME_BAD(err, "namespace descriptors: %s comes twice", t->name);
	*has = true;
	memcpy((uint8_t *)to + t->to, d + DESC_HEAD, t->nidl);
	return 0;
}

int exp_nvme_ns_descs_parse(const void *page, size_t len, struct exp_nvme_ns_descs *ret,
			    struct exp_error *err)
{
	const uint8_t *p = page;
	struct exp_nvme_ns_descs descs = { 0 };
	size_t at = 0;
	int r = exp_nvme_whole_page("namespace descriptors", len, err);

	if (r < 0)
		return r;
	/* NIDL 0 ends the list; so does the end of the page */
	while (at + DESC_HEAD <= EXP_NVME_PAGE && p[at + 1]) {
		if (p[at + 1] > EXP_NVME_PAGE - DESC_HEAD - at)
			return EXP_NVME_BAD(err,
					    "namespace descriptors: the one at byte %zu has %u "
					    "bytes and ends beyond the page",
					    at, p[at + 1]);
		r = keep_desc(p + at, &descs, err);
		if (r < 0)
			return r;
		at += DESC_HEAD + p[at + 1];
	}
	*ret = descs;
	return 0;
}

/* UUID List entry i, from 1: 32*i header, 32*i + 16 UUID; all zero ends the list */
int exp_nvme_uuid_list_parse(const void *page, size_t len, struct exp_nvme_uuid_list *ret,
			     struct exp_error *err)
{
	const uint8_t *p = page;
	struct exp_nvme_uuid_list list = { 0 };
	int r = exp_nvme_whole_page("UUID List", len, err);

	if (r < 0)
		return r;
	for (uint32_t i = 1; i <= EXP_NVME_UUIDS_MAX; i++) {
		struct exp_uuid *u = &list.uuid[list.n];

		memcpy(u->b, p + 32 * i + 16, sizeof(u->b));
		if (exp_uuid_is_nil(u))
			break;
		list.n++;
	}
	*ret = list;
	return 0;
}

/* 0 NV, 1 NUUID, 2.. versions of 2 bytes, then UUIDs of 16 bytes */
int exp_nvme_state_formats_parse(const void *page, size_t len, struct exp_nvme_state_formats *ret,
				 struct exp_error *err)
{
	const uint8_t *p = page, *at;
	struct exp_nvme_state_formats f = { 0 };
	size_t bytes;
	int r = exp_nvme_whole_page("Supported Controller State Formats", len, err);

	if (r < 0)
		return r;
	f.n_versions = p[0];
	f.n_uuids = p[1];
	bytes = 2 + 2 * f.n_versions + 16 * f.n_uuids;
	if (bytes > EXP_NVME_PAGE)
		return EXP_NVME_BAD(err,
				    "Supported Controller State Formats: NV %u and NUUID %u take "
				    "%zu bytes, the page has %u",
				    f.n_versions, f.n_uuids, bytes, EXP_NVME_PAGE);
	at = p + 2;
	for (uint32_t i = 0; i < f.n_versions; i++, at += 2)
		f.versions[i] = exp_le16(at);
	for (uint32_t i = 0; i < f.n_uuids; i++, at += 16)
		memcpy(f.uuids[i].b, at, 16);
	*ret = f;
	return 0;
}

uint8_t exp_nvme_csvi(const struct exp_nvme_state_formats *f, uint16_t version)
{
	for (uint32_t i = 0; i < f->n_versions; i++)
		if (f->versions[i] == version)
			return (uint8_t)(i + 1);
	return 0;
}

uint8_t exp_nvme_csuuidi(const struct exp_nvme_state_formats *f, const struct exp_uuid *uuid)
{
	for (uint32_t i = 0; i < f->n_uuids; i++)
		if (exp_uuid_eq(&f->uuids[i], uuid))
			return (uint8_t)(i + 1);
	return 0;
}

int exp_nvme_ctrl_list_parse(const void *page, size_t len, struct exp_nvme_ctrl_list *ret,
			     struct exp_error *err)
{
	const uint8_t *p = page;
	uint32_t n;
	int r = exp_nvme_whole_page("Controller List", len, err);

	if (r < 0)
		return r;
	n = exp_le16(p);
	if (n > EXP_NVME_CTRL_LIST_MAX)
		return EXP_NVME_BAD(err, "Controller List: it claims %u ids, at most %u fit", n,
				    EXP_NVME_CTRL_LIST_MAX);
	for (uint32_t i = 1; i < n; i++)
		if (exp_le16(p + 2 + 2 * i) <= exp_le16(p + 2 * i))
			return bad(err, "Controller List", "the ids do not ascend");
	memset(ret, 0, sizeof(*ret));
	ret->n = n;
	for (uint32_t i = 0; i < n; i++)
		ret->id[i] = exp_le16(p + 2 + 2 * i);
	return 0;
}

bool exp_nvme_ctrl_list_has(const struct exp_nvme_ctrl_list *l, uint16_t cntlid)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->id[i] == cntlid)
			return true;
	return false;
}

int exp_nvme_ns_list_parse(const void *page, size_t len, struct exp_nvme_ns_list *ret,
			   struct exp_error *err)
{
	const uint8_t *p = page;
	uint32_t n = 0;
	int r = exp_nvme_whole_page("Namespace List", len, err);

	if (r < 0)
		return r;
	while (n < EXP_NVME_NS_LIST_MAX && exp_le32(p + 4 * n)) {
		if (n && exp_le32(p + 4 * n) <= exp_le32(p + 4 * (n - 1)))
			return bad(err, "Namespace List", "the ids do not ascend");
		n++;
	}
	memset(ret, 0, sizeof(*ret));
	ret->n = n;
	for (uint32_t i = 0; i < n; i++)
		ret->id[i] = exp_le32(p + 4 * i);
	return 0;
}
