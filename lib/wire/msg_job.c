/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg_job.c - the bodies that carry a job over: PREPARE, PREPARED, FINAL, and all payloads
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "wire/frame.h"
#include "wire/msg_priv.h"

static_assert((int)EXP__STATE_PATH__PATH_REFERENCE == EXP_PATH_REFERENCE, "peer.proto");
static_assert((int)EXP__STATE_PATH__PATH_VENDOR == EXP_PATH_VENDOR, "peer.proto");
static_assert((int)EXP__STATE_PATH__PATH_VMM == EXP_PATH_VMM, "peer.proto");
static_assert((int)EXP__STATE_PATH__PATH_COLD == EXP_PATH_COLD, "peer.proto");
static_assert((int)EXP__STATE_PATH__PATH_VFIO == EXP_PATH_VFIO, "peer.proto");
static_assert((int)EXP__DIRTY_SOURCE__DIRTY_CDQ == EXP_DIRTY_CDQ, "peer.proto");
static_assert((int)EXP__DIRTY_SOURCE__DIRTY_NONE == EXP_DIRTY_NONE, "peer.proto");

#define CNTLID_MAX       0xffefu /* FFF0h and up are reserved (NVMe Base, "Controller ID") */
#define DIGEST_RANGE_MAX (1024u * 1024)

/* --- PREPARE --- */

static int prepare_get(struct exp_wire_ctx *c, const Exp__Envelope *e, struct exp_msg *m)
{
	const Exp__Prepare *in = e->prepare;
	struct exp_msg_prepare *p = &m->prepare;
	int r;

	p->path = (enum exp_state_path)in->path;
	p->dirty = (enum exp_dirty_source)in->dirty;
	p->hold_lease_ms = in->hold_lease_ms;
	p->blackout_limit_ms = in->blackout_limit_ms;
	r = exp_wire_get_u8(c, "hold", in->hold, &p->hold);
	if (!r)
		r = exp_wire_get_text(c, "device", in->device, p->device.s, sizeof(p->device.s));
	if (!r)
		r = exp_wire_get_count(c, "cntlid_plus_one", in->n_cntlid_plus_one, m->n_exports,
				       m->n_exports);
	if (!r)
		r = exp_wire_get_count(c, "exports", in->n_exports, m->n_exports, m->n_exports);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < m->n_exports; i++) /* 0: 0 - 1 is UINT32_MAX, "any" */
		p->cntlid[i] = in->cntlid_plus_one[i] - 1;
	return exp_wire_get_descs(c, in->n_exports, in->exports, &p->n_descs, &p->descs);
}

static int prepare_put(struct exp_wire_ctx *c, const struct exp_msg *m, Exp__Envelope *e)
{
	Exp__Prepare *out = EXP_WIRE_NEW(c, Exp__Prepare, exp__prepare__init);
	const struct exp_msg_prepare *p = &m->prepare;

	if (!out)
		return exp_wire_no_memory(c);
	out->path = (Exp__StatePath)p->path;
	out->dirty = (Exp__DirtySource)p->dirty;
	out->hold = p->hold;
	out->hold_lease_ms = p->hold_lease_ms;
	out->blackout_limit_ms = p->blackout_limit_ms;
	out->device = exp_wire_put_text(c, p->device.s, sizeof(p->device.s));
	out->cntlid_plus_one = exp_pool_array(c->pool, m->n_exports, sizeof(*out->cntlid_plus_one));
	if (!out->device || !out->cntlid_plus_one)
		return exp_wire_no_memory(c);
	while (out->n_cntlid_plus_one < m->n_exports) {
		out->cntlid_plus_one[out->n_cntlid_plus_one] = p->cntlid[out->n_cntlid_plus_one] +
							       1;
		out->n_cntlid_plus_one++;
	}
	e->prepare = out;
	return exp_wire_put_descs(c, p->n_descs, p->descs, &out->n_exports, &out->exports);
}

static int prepare_check(struct exp_wire_ctx *c, const struct exp_msg *m)
{
	const struct exp_msg_prepare *p = &m->prepare;
	int r = exp_wire_check_enum(c, "path", p->path, exp_path_name(p->path));

	if (!r)
		r = exp_wire_check_enum(c, "dirty", p->dirty, exp_dirty_name(p->dirty));
	if (!r && p->hold & ~(EXP_HOLD_SWITCH | EXP_HOLD_COMMIT))
		r = exp_wire_bad(c, "hold is %Xh, only the bits %Xh are known", p->hold,
				 (unsigned int)(EXP_HOLD_SWITCH | EXP_HOLD_COMMIT));
	if (!r)
		r = exp_wire_check_name(c, "device", &p->device, true);
	for (uint32_t i = 0; i < m->n_exports && !r; i++)
		if (p->cntlid[i] != UINT32_MAX)
			r = exp_wire_check_range(c, "cntlid", p->cntlid[i], 0, CNTLID_MAX);
	if (!r)
		r = exp_wire_check_range(c, "number of exports", p->n_descs, m->n_exports,
					 m->n_exports);
	if (!r)
		r = exp_wire_check_descs(c, p->n_descs, p->descs);
	return r;
}

const struct exp_wire_type exp_wire_prepare = { prepare_get, prepare_put, prepare_check };

/* --- PREPARED --- */

static int prepared_get(struct exp_wire_ctx *c, const Exp__Envelope *e, struct exp_msg *m)
{
	const Exp__Prepared *in = e->prepared;
	struct exp_msg_prepared *p = &m->prepared;
	int r;

	p->target = (enum exp_target_state)in->target;
	r = exp_wire_get_text(c, "device", in->device, p->device.s, sizeof(p->device.s));
	if (!r)
		r = exp_wire_get_count(c, "cntlid", in->n_cntlid, m->n_exports, m->n_exports);
	for (size_t i = 0; !r && i < in->n_cntlid; i++)
		r = exp_wire_get_u16(c, "cntlid", in->cntlid[i], &p->cntlid[i]);
	return r;
}

static int prepared_put(struct exp_wire_ctx *c, const struct exp_msg *m, Exp__Envelope *e)
{
	Exp__Prepared *out = EXP_WIRE_NEW(c, Exp__Prepared, exp__prepared__init);
	const struct exp_msg_prepared *p = &m->prepared;

	if (!out)
		return exp_wire_no_memory(c);
	out->device = exp_wire_put_text(c, p->device.s, sizeof(p->device.s));
	out->cntlid = exp_pool_array(c->pool, m->n_exports, sizeof(*out->cntlid));
	if (!out->device || !out->cntlid)
		return exp_wire_no_memory(c);
	while (out->n_cntlid < m->n_exports) {
		out->cntlid[out->n_cntlid] = p->cntlid[out->n_cntlid];
		out->n_cntlid++;
	}
	out->target = (Exp__TargetState)p->target;
	e->prepared = out;
	return 0;
}

static int prepared_check(struct exp_wire_ctx *c, const struct exp_msg *m)
{
	const struct exp_msg_prepared *p = &m->prepared;
	int r = exp_wire_check_name(c, "device", &p->device, false);

	for (uint32_t i = 0; i < m->n_exports && !r; i++)
		r = exp_wire_check_range(c, "cntlid", p->cntlid[i], 0, CNTLID_MAX);
	if (!r)
		r = exp_wire_check_enum(c, "target", p->target, exp_target_state_name(p->target));
	return r;
}

const struct exp_wire_type exp_wire_prepared = { prepared_get, prepared_put, prepared_check };

/* --- FINAL --- */

static int digests_get(struct exp_wire_ctx *c, uint32_t n, struct exp_msg_final *f)
{
	int r = exp_wire_check_range(c, "n_digests", n, 0, EXP_MSG_DIGESTS_MAX);
	const uint8_t *p;

	if (r < 0 || !n)
		return r;
	p = exp_wire_get_payload(c, "n_digests", (size_t)n * EXP_WIRE_DIGEST_BYTES);
	if (!p)
		return -c->errnum;
	f->digests = calloc(n, sizeof(*f->digests));
	if (!f->digests)
		return exp_wire_no_memory(c);
	f->n_digests = n;
	for (uint32_t i = 0; i < n; i++, p += EXP_WIRE_DIGEST_BYTES) {
		struct exp_msg_digest *d = &f->digests[i];

		d->export_index = exp_le16(p);
		if (exp_le16(p + 2))
			return exp_wire_bad(c, "digest %u has %04Xh in its reserved bytes", i,
					    exp_le16(p + 2));
		d->len_bytes = exp_le32(p + 4);
		d->offset_bytes = exp_le64(p + 8);
		memcpy(d->sha256, p + 16, sizeof(d->sha256));
	}
	return 0;
}

static int final_get(struct exp_wire_ctx *c, const Exp__Envelope *e, struct exp_msg *m)
{
	const Exp__Final *in = e->final;
	struct exp_msg_final *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return exp_wire_no_memory(c);
	m->final = f;
	r = exp_wire_get_count(c, "last_seq", in->n_last_seq, 1, EXP_JOB_STREAMS_MAX);
	if (!r)
		r = exp_wire_get_count(c, "state_len", in->n_state_len, m->n_exports, m->n_exports);
	if (r < 0)
		return r;
	f->session = in->session;
	f->total_extents = in->total_extents;
	f->streams = (uint32_t)in->n_last_seq;
	memcpy(f->last_seq, in->last_seq, in->n_last_seq * sizeof(f->last_seq[0]));
	for (uint32_t i = 0; i < m->n_exports; i++) {
		uint32_t len = in->state_len[i];
		const uint8_t *p;

		r = exp_wire_check_range(c, "state_len", len, 0, EXP_STATE_BLOB_MAX);
		if (r < 0)
			return r;
		if (!len)
			continue;
		p = exp_wire_get_payload(c, "state_len", len);
		if (!p)
			return -c->errnum;
		f->state[i].data = malloc(len);
		if (!f->state[i].data)
			return exp_wire_no_memory(c);
		memcpy(f->state[i].data, p, len);
		f->state[i].len = len;
	}
	return digests_get(c, in->n_digests, f);
}

static int final_put(struct exp_wire_ctx *c, const struct exp_msg *m, Exp__Envelope *e)
{
	Exp__Final *out = EXP_WIRE_NEW(c, Exp__Final, exp__final__init);
	const struct exp_msg_final *f = m->final;

	if (!out)
		return exp_wire_no_memory(c);
	out->state_len = exp_pool_array(c->pool, m->n_exports, sizeof(*out->state_len));
	if (!out->state_len)
		return exp_wire_no_memory(c);
	out->session = f->session;
	out->last_seq = (uint64_t *)(uintptr_t)f->last_seq; /* only read */
	out->n_last_seq = f->streams;
	out->total_extents = f->total_extents;
	while (out->n_state_len < m->n_exports) {
		out->state_len[out->n_state_len] = f->state[out->n_state_len].len;
		out->n_state_len++;
	}
	out->n_digests = f->n_digests;
	e->final = out;
	return 0;
}

static int digest_check(struct exp_wire_ctx *c, const struct exp_msg *m,
			const struct exp_msg_digest *d)
{
	int r = exp_wire_check_range(c, "digests.export_index", d->export_index, 0,
				     m->n_exports - 1);

	if (!r)
		r = exp_wire_check_range(c, "digests.len_bytes", d->len_bytes, 1, DIGEST_RANGE_MAX);
	if (!r)
		r = exp_wire_check_range(c, "digests.offset_bytes", d->offset_bytes, 0,
					 (uint64_t)INT64_MAX - d->len_bytes);
	return r;
}

static int final_check(struct exp_wire_ctx *c, const struct exp_msg *m)
{
	const struct exp_msg_final *f = m->final;
	int r = exp_wire_check_range(c, "session", f->session, 1, UINT32_MAX);

	if (!r)
		r = exp_wire_check_range(c, "streams", f->streams, 1, EXP_JOB_STREAMS_MAX);
	for (uint32_t i = 0; i < m->n_exports && !r; i++)
		r = exp_wire_check_range(c, "state_len", f->state[i].len, 0, EXP_STATE_BLOB_MAX);
	if (!r)
		r = exp_wire_check_range(c, "n_digests", f->n_digests, 0, EXP_MSG_DIGESTS_MAX);
	for (uint32_t i = 0; i < f->n_digests && !r; i++)
		r = digest_check(c, m, &f->digests[i]);
	return r;
}

const struct exp_wire_type exp_wire_final = { final_get, final_put, final_check };

/* --- payloads, of messages that were checked --- */

static const struct exp_export_desc *descs_of(const struct exp_msg *m, uint32_t *ret_n)
{
	bool caps = m->type == EXP_MSG_CAPS, prepare = m->type == EXP_MSG_PREPARE;

	*ret_n = caps ? m->caps.n_descs : prepare ? m->prepare.n_descs : 0;
	return caps ? m->caps.descs : prepare ? m->prepare.descs : NULL;
}

size_t exp_wire_payload_len(const struct exp_msg *m)
{
	const struct exp_export_desc *descs;
	size_t len = 0;
	uint32_t n;

	descs = descs_of(m, &n);
	for (uint32_t i = 0; i < n; i++)
		len += descs[i].config_len;
	if (m->type == EXP_MSG_FINAL) {
		for (uint32_t i = 0; i < m->n_exports; i++)
			len += m->final->state[i].len;
		len += (size_t)m->final->n_digests * EXP_WIRE_DIGEST_BYTES;
	}
	return len;
}

static uint8_t *put(uint8_t *out, const void *p, size_t n)
{
	if (n)
		memcpy(out, p, n);
	return out + n;
}

void exp_wire_payload_put(const struct exp_msg *m, uint8_t *out)
{
	const struct exp_export_desc *descs;
	uint32_t n;

	descs = descs_of(m, &n);
	for (uint32_t i = 0; i < n; i++)
		out = put(out, descs[i].config, descs[i].config_len);
	if (m->type != EXP_MSG_FINAL)
		return;
	for (uint32_t i = 0; i < m->n_exports; i++)
		out = put(out, m->final->state[i].data, m->final->state[i].len);
	for (uint32_t i = 0; i < m->final->n_digests; i++) {
		const struct exp_msg_digest *d = &m->final->digests[i];

		exp_put_le16(out, d->export_index);
		exp_put_le16(out + 2, 0);
		exp_put_le32(out + 4, d->len_bytes);
		exp_put_le64(out + 8, d->offset_bytes);
		out = put(out + 16, d->sha256, sizeof(d->sha256));
	}
}
