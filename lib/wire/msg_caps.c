/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg_caps.c - CAPS and CAPS_REPLY: what would have to be built, what a drive can do, findings
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire/msg_priv.h"

static_assert((int)EXP__SEVERITY__SEVERITY_NOTE == EXP_FINDING_NOTE, "peer.proto: Severity");
static_assert((int)EXP__SEVERITY__SEVERITY_WARNING == EXP_FINDING_WARNING, "peer.proto: Severity");
static_assert((int)EXP__SEVERITY__SEVERITY_REFUSAL == EXP_FINDING_REFUSAL, "peer.proto: Severity");

#define CNTLID_MAX 0xffefu     /* FFF0h and up are reserved (NVMe Base, "Controller ID") */
#define NSID_MAX   0xfffffffeu /* FFFFFFFFh is the broadcast value */

/* --- struct exp_export_desc --- */

static int desc_get(struct exp_wire_ctx *c, const Exp__ExportDesc *in, struct exp_export_desc *d)
{
	const uint8_t *config;
	int r;

	r = exp_wire_get_text(c, "exports.nqn", in->nqn, d->nqn.s, sizeof(d->nqn.s));
	if (!r)
		r = exp_wire_get_uuid(c, "exports.template_uuid", &in->template_uuid, &d->template);
	if (!r)
		r = exp_wire_get_u16(c, "exports.ecntlid", in->ecntlid, &d->ecntlid);
	if (!r && in->nguid.len)
		r = exp_wire_get_bytes(c, "exports.nguid", &in->nguid, sizeof(d->nguid), d->nguid);
	if (!r && in->uuid.len)
		r = exp_wire_get_uuid(c, "exports.uuid", &in->uuid, &d->uuid);
	if (!r)
		r = exp_wire_check_range(c, "exports.config_len", in->config_len, 0,
					 EXP_CONFIG_STATE_MAX);
	if (r < 0)
		return r;
	config = exp_wire_get_payload(c, "exports.config_len", in->config_len);
	if (!config && in->config_len)
		return -c->errnum;
	if (in->config_len)
		memcpy(d->config, config, in->config_len);
	d->config_len = in->config_len;
	d->ensid = in->ensid;
	d->nsze = in->nsze;
	d->lba_bytes = in->lba_bytes;
	return 0;
}

int exp_wire_get_descs(struct exp_wire_ctx *c, size_t n, Exp__ExportDesc **in, uint32_t *ret_n,
		       struct exp_export_desc **ret)
{
	int r = exp_wire_get_count(c, "exports", n, 1, EXP_JOB_EXPORTS_MAX);

	if (r < 0)
		return r;
	*ret = calloc(n, sizeof(**ret)); /* the message's, whatever happens to the rest */
	if (!*ret)
		return exp_wire_no_memory(c);
	*ret_n = (uint32_t)n;
	for (size_t i = 0; i < n && !r; i++)
		r = desc_get(c, in[i], &(*ret)[i]);
	return r;
}

int exp_wire_put_descs(struct exp_wire_ctx *c, uint32_t n, const struct exp_export_desc *descs,
		       size_t *ret_n, Exp__ExportDesc ***ret)
{
	static const uint8_t zero[16];

	*ret = exp_pool_array(c->pool, n, sizeof(**ret));
	if (!*ret)
		return exp_wire_no_memory(c);
	for (uint32_t i = 0; i < n; i++) {
		Exp__ExportDesc *out = EXP_WIRE_NEW(c, Exp__ExportDesc, exp__export_desc__init);
		const struct exp_export_desc *d = &descs[i];

		if (!out)
			return exp_wire_no_memory(c);
		out->nqn = exp_wire_put_text(c, d->nqn.s, sizeof(d->nqn.s));
		if (!out->nqn)
			return exp_wire_no_memory(c);
		out->template_uuid = exp_wire_put_bytes(d->template.b, sizeof(d->template.b));
		out->ensid = d->ensid;
		out->ecntlid = d->ecntlid;
		out->nsze = d->nsze;
		out->lba_bytes = d->lba_bytes;
		if (memcmp(d->nguid, zero, sizeof(zero)))
			out->nguid = exp_wire_put_bytes(d->nguid, sizeof(d->nguid));
		if (!exp_uuid_is_nil(&d->uuid))
			out->uuid = exp_wire_put_bytes(d->uuid.b, sizeof(d->uuid.b));
		out->config_len = d->config_len;
		(*ret)[i] = out;
	}
	*ret_n = n;
	return 0;
}

static int desc_check(struct exp_wire_ctx *c, const struct exp_export_desc *d)
{
	struct exp_error why = { 0 };
	struct exp_nqn nqn;
	uint64_t bytes;
	int r;

	r = exp_wire_check_print(c, "exports.nqn", d->nqn.s, sizeof(d->nqn.s));
	if (r < 0)
		return r;
	if (exp_nqn_parse(d->nqn.s, &nqn, &why) < 0)
		return exp_wire_bad(c, "exports.nqn: %s", why.msg);
	r = exp_wire_check_range(c, "exports.ensid", d->ensid, 1, NSID_MAX);
	if (!r)
		r = exp_wire_check_range(c, "exports.ecntlid", d->ecntlid, 0, CNTLID_MAX);
	if (!r)
		r = exp_wire_check_range(c, "exports.nsze", d->nsze, 1, UINT64_MAX);
	if (!r)
		r = exp_wire_check_range(c, "exports.config_len", d->config_len, 0,
					 EXP_CONFIG_STATE_MAX);
	if (r < 0)
		return r;
	if (d->lba_bytes != 512 && d->lba_bytes != 4096)
		return exp_wire_bad(c, "exports.lba_bytes is %u, 512 and 4096 are allowed",
				    d->lba_bytes);
	if (__builtin_mul_overflow(d->nsze, (uint64_t)d->lba_bytes, &bytes) || bytes > INT64_MAX)
		return exp_wire_bad(c,
				    "exports.nsze is %llu blocks of %u bytes, at most %lld "
				    "bytes are allowed",
				    (unsigned long long)d->nsze, d->lba_bytes,
				    (long long)INT64_MAX);
	return 0;
}

int exp_wire_check_descs(struct exp_wire_ctx *c, uint32_t n, const struct exp_export_desc *descs)
{
	int r = exp_wire_check_range(c, "number of exports", n, 1, EXP_JOB_EXPORTS_MAX);

	for (uint32_t i = 0; i < n && !r; i++)
		r = desc_check(c, &descs[i]);
	return r;
}

/* --- CAPS --- */

static int caps_get(struct exp_wire_ctx *c, const Exp__Envelope *e, struct exp_msg *m)
{
	const Exp__Caps *in = e->caps;
	int r;

	m->caps.cntlid = in->cntlid_plus_one - 1; /* absent: 0 - 1 is UINT32_MAX, "any" */
	m->caps.dirty = (enum exp_dirty_source)in->dirty;
	r = exp_wire_get_text(c, "device", in->device, m->caps.device.s, sizeof(m->caps.device.s));
	if (!r)
		r = exp_wire_get_descs(c, in->n_exports, in->exports, &m->caps.n_descs,
				       &m->caps.descs);
	return r;
}

static int caps_put(struct exp_wire_ctx *c, const struct exp_msg *m, Exp__Envelope *e)
{
	Exp__Caps *out = EXP_WIRE_NEW(c, Exp__Caps, exp__caps__init);

	if (!out)
		return exp_wire_no_memory(c);
	out->device = exp_wire_put_text(c, m->caps.device.s, sizeof(m->caps.device.s));
	if (!out->device)
		return exp_wire_no_memory(c);
	out->cntlid_plus_one = m->caps.cntlid + 1;
	out->dirty = (Exp__DirtySource)m->caps.dirty;
	e->caps = out;
	return exp_wire_put_descs(c, m->caps.n_descs, m->caps.descs, &out->n_exports,
				  &out->exports);
}

static int caps_check(struct exp_wire_ctx *c, const struct exp_msg *m)
{
	int r = exp_wire_check_name(c, "device", &m->caps.device, true);

	if (!r && m->caps.cntlid != UINT32_MAX)
		r = exp_wire_check_range(c, "cntlid", m->caps.cntlid, 0, CNTLID_MAX);
	if (!r && m->caps.dirty)
		r = exp_wire_check_enum(c, "dirty", m->caps.dirty, exp_dirty_name(m->caps.dirty));
	if (!r)
		r = exp_wire_check_descs(c, m->caps.n_descs, m->caps.descs);
	return r;
}

const struct exp_wire_type exp_wire_caps = { caps_get, caps_put, caps_check };

/* --- struct exp_caps --- */

/* Fields that are copied as they are, and those that must fit into 8 or 16 bits. */
/* clang-format never agrees with itself on these. */
/* clang-format off */
#define SAME(X) X(ver) X(flags) X(total_bytes) X(free_bytes) X(mcdq_queues)
#define U8(X)   X(mdts) X(vwc) X(acl) X(aerl) X(sqes) X(cqes) X(dlfeat)
#define U16(X)  X(cntlid) X(oacs) X(oncs) X(fuses) X(awun) X(awupf) X(acwu) X(nsqs) X(ncqs) \
		X(mqes) X(max_exports) X(n_exports) X(mcmr) X(mcdqpc)
/* clang-format on */
#define TEXT(X) X(model) X(serial) X(firmware) X(no_change_log) X(no_ns_data)

static int device_lists_get(struct exp_wire_ctx *c, const Exp__DeviceCaps *in, struct exp_caps *d)
{
	int r;

	r = exp_wire_get_count(c, "caps.templates", in->n_templates, 0, EXP_CAPS_TEMPLATES_MAX);
	if (!r)
		r = exp_wire_get_count(c, "caps.versions", in->n_versions, 0,
				       EXP_CAPS_VERSIONS_MAX);
	if (!r)
		r = exp_wire_get_count(c, "caps.state_uuids", in->n_state_uuids, 0,
				       EXP_CAPS_STATE_UUIDS_MAX);
	if (!r)
		r = exp_wire_get_count(c, "caps.formats", in->n_formats, 0, EXP_CAPS_FORMATS_MAX);
	if (!r)
		r = exp_wire_get_count(c, "caps.controllers", in->n_controllers, 0,
				       EXP_CAPS_CTRLS_MAX);
	if (r < 0)
		return r;
	for (; d->n_templates < in->n_templates && !r; d->n_templates++)
		r = exp_wire_get_uuid(c, "caps.templates", &in->templates[d->n_templates],
				      &d->templates[d->n_templates]);
	for (; d->n_versions < in->n_versions && !r; d->n_versions++)
		r = exp_wire_get_u16(c, "caps.versions", in->versions[d->n_versions],
				     &d->versions[d->n_versions]);
	for (; d->n_state_uuids < in->n_state_uuids && !r; d->n_state_uuids++)
		r = exp_wire_get_uuid(c, "caps.state_uuids", &in->state_uuids[d->n_state_uuids],
				      &d->state_uuids[d->n_state_uuids]);
	for (; d->n_formats < in->n_formats && !r; d->n_formats++) {
		const Exp__Format *f = in->formats[d->n_formats];

		d->formats[d->n_formats].lba_bytes = f->lba_bytes;
		r = exp_wire_get_u16(c, "caps.formats.ms", f->ms, &d->formats[d->n_formats].ms);
	}
	for (; d->n_ctrls < in->n_controllers && !r; d->n_ctrls++) {
		const Exp__Controller *k = in->controllers[d->n_ctrls];
		struct exp_ctrl_caps *ret = &d->ctrls[d->n_ctrls];

		ret->enabled = k->enabled;
		ret->associated = k->associated;
		r = exp_wire_get_u16(c, "caps.controllers.cntlid", k->cntlid, &ret->cntlid);
		if (!r)
			r = exp_wire_get_u16(c, "caps.controllers.esubid", k->esubid, &ret->esubid);
	}
	return r;
}

static int device_get(struct exp_wire_ctx *c, const Exp__DeviceCaps *in, struct exp_caps *d)
{
	int r = exp_wire_get_text(c, "caps.subnqn", in->subnqn, d->subnqn.s, sizeof(d->subnqn.s));

#define X(field) d->field = in->field;
	SAME(X)
#undef X
#define X(field) \
	if (!r)  \
		r = exp_wire_get_u8(c, "caps." #field, in->field, &d->field);
	U8(X)
#undef X
#define X(field) \
	if (!r)  \
		r = exp_wire_get_u16(c, "caps." #field, in->field, &d->field);
	U16(X)
#undef X
#define X(field) \
	if (!r)  \
		r = exp_wire_get_text(c, "caps." #field, in->field, d->field, sizeof(d->field));
	TEXT(X)
#undef X
	return r ? r : device_lists_get(c, in, d);
}

static int device_lists_put(struct exp_wire_ctx *c, const struct exp_caps *d, Exp__DeviceCaps *out)
{
	Exp__Format *formats = exp_pool_array(c->pool, d->n_formats, sizeof(*formats));
	Exp__Controller *ctrls = exp_pool_array(c->pool, d->n_ctrls, sizeof(*ctrls));

	out->templates = exp_pool_array(c->pool, d->n_templates, sizeof(*out->templates));
	out->versions = exp_pool_array(c->pool, d->n_versions, sizeof(*out->versions));
	out->state_uuids = exp_pool_array(c->pool, d->n_state_uuids, sizeof(*out->state_uuids));
	out->formats = exp_pool_array(c->pool, d->n_formats, sizeof(*out->formats));
	out->controllers = exp_pool_array(c->pool, d->n_ctrls, sizeof(*out->controllers));
	if (!formats || !ctrls || !out->templates || !out->versions || !out->state_uuids ||
	    !out->formats || !out->controllers)
		return exp_wire_no_memory(c);
	for (uint32_t i = 0; i < d->n_templates; i++)
		out->templates[out->n_templates++] = exp_wire_put_bytes(d->templates[i].b,
									sizeof(d->templates[i].b));
	for (uint32_t i = 0; i < d->n_versions; i++)
		out->versions[out->n_versions++] = d->versions[i];
	for (uint32_t i = 0; i < d->n_state_uuids; i++)
		out->state_uuids[out->n_state_uuids++] =
			exp_wire_put_bytes(d->state_uuids[i].b, sizeof(d->state_uuids[i].b));
	for (uint32_t i = 0; i < d->n_formats; i++) {
		exp__format__init(&formats[i]);
		formats[i].lba_bytes = d->formats[i].lba_bytes;
		formats[i].ms = d->formats[i].ms;
		out->formats[out->n_formats++] = &formats[i];
	}
	for (uint32_t i = 0; i < d->n_ctrls; i++) {
		exp__controller__init(&ctrls[i]);
		ctrls[i].cntlid = d->ctrls[i].cntlid;
		ctrls[i].enabled = d->ctrls[i].enabled;
		ctrls[i].associated = d->ctrls[i].associated;
		ctrls[i].esubid = d->ctrls[i].esubid;
		out->controllers[out->n_controllers++] = &ctrls[i];
	}
	return 0;
}

static int device_put(struct exp_wire_ctx *c, const struct exp_caps *d, Exp__DeviceCaps **ret)
{
	Exp__DeviceCaps *out = EXP_WIRE_NEW(c, Exp__DeviceCaps, exp__device_caps__init);
	bool ok = out;

	if (!out)
		return exp_wire_no_memory(c);
#define X(field) out->field = d->field;
	SAME(X)
	U8(X)
	U16(X)
#undef X
#define X(field) ok = ok && (out->field = exp_wire_put_text(c, d->field, sizeof(d->field)));
	TEXT(X)
#undef X
	ok = ok && (out->subnqn = exp_wire_put_text(c, d->subnqn.s, sizeof(d->subnqn.s)));
	*ret = out;
	return ok ? device_lists_put(c, d, out) : exp_wire_no_memory(c);
}

static int device_check(struct exp_wire_ctx *c, const struct exp_caps *d)
{
	int r = exp_wire_check_range(c, "caps.cntlid", d->cntlid, 0, CNTLID_MAX);
	const struct {
		const char *field;
		uint32_t n, max;
	} counts[] = {
		{ "number of caps.templates", d->n_templates, EXP_CAPS_TEMPLATES_MAX },
		{ "number of caps.versions", d->n_versions, EXP_CAPS_VERSIONS_MAX },
		{ "number of caps.state_uuids", d->n_state_uuids, EXP_CAPS_STATE_UUIDS_MAX },
		{ "number of caps.formats", d->n_formats, EXP_CAPS_FORMATS_MAX },
		{ "number of caps.controllers", d->n_ctrls, EXP_CAPS_CTRLS_MAX },
	};

	for (size_t i = 0; i < EXP_ARRAY_SIZE(counts) && !r; i++)
		r = exp_wire_check_range(c, counts[i].field, counts[i].n, 0, counts[i].max);
	for (uint32_t i = 0; i < d->n_ctrls && !r; i++)
		r = exp_wire_check_range(c, "caps.controllers.cntlid", d->ctrls[i].cntlid, 0,
					 CNTLID_MAX);
	return r;
}

/* --- CAPS_REPLY --- */

static int findings_get(struct exp_wire_ctx *c, const Exp__CapsReply *in, struct exp_findings *fs)
{
	int r = exp_wire_get_count(c, "findings", in->n_findings, 0, EXP_FINDINGS_MAX);

	if (r < 0)
		return r;
	fs->cut = in->findings_cut;
	for (; fs->n < in->n_findings && !r; fs->n++) {
		const Exp__Finding *x = in->findings[fs->n];
		struct exp_finding *f = &fs->f[fs->n];

		f->severity = (enum exp_severity)x->severity;
		r = exp_wire_get_text(c, "findings.code", x->code, f->code, sizeof(f->code));
		if (!r)
			r = exp_wire_get_text(c, "findings.rule", x->rule, f->rule,
					      sizeof(f->rule));
		if (!r)
			r = exp_wire_get_text(c, "findings.have", x->have, f->have,
					      sizeof(f->have));
		if (!r)
			r = exp_wire_get_text(c, "findings.want", x->want, f->want,
					      sizeof(f->want));
		if (!r)
			r = exp_wire_get_text(c, "findings.message", x->message, f->message,
					      sizeof(f->message));
	}
	return r;
}

static int findings_put(struct exp_wire_ctx *c, const struct exp_findings *fs, Exp__CapsReply *out)
{
	out->findings_cut = fs->cut;
	out->findings = exp_pool_array(c->pool, fs->n, sizeof(*out->findings));
	if (!out->findings)
		return exp_wire_no_memory(c);
	for (size_t i = 0; i < fs->n; i++) {
		Exp__Finding *x = EXP_WIRE_NEW(c, Exp__Finding, exp__finding__init);
		const struct exp_finding *f = &fs->f[i];

		if (!x)
			return exp_wire_no_memory(c);
		x->severity = (Exp__Severity)f->severity;
		x->code = exp_wire_put_text(c, f->code, sizeof(f->code));
		x->rule = exp_wire_put_text(c, f->rule, sizeof(f->rule));
		x->have = exp_wire_put_text(c, f->have, sizeof(f->have));
		x->want = exp_wire_put_text(c, f->want, sizeof(f->want));
		x->message = exp_wire_put_text(c, f->message, sizeof(f->message));
		if (!x->code || !x->rule || !x->have || !x->want || !x->message)
			return exp_wire_no_memory(c);
		out->findings[out->n_findings++] = x;
	}
	return 0;
}

static int reply_get(struct exp_wire_ctx *c, const Exp__Envelope *e, struct exp_msg *m)
{
	const Exp__CapsReply *in = e->caps_reply;
	struct exp_msg_caps_reply *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return exp_wire_no_memory(c);
	m->caps_reply = p;
	r = findings_get(c, in, &p->findings);
	if (!r)
		r = exp_wire_get_text(c, "device", in->device, p->device.s, sizeof(p->device.s));
	if (!r)
		r = exp_wire_get_count(c, "cntlid", in->n_cntlid, 0, EXP_JOB_EXPORTS_MAX);
	for (size_t i = 0; i < in->n_cntlid && !r; i++)
		r = exp_wire_get_u16(c, "cntlid", in->cntlid[i], &p->cntlid[i]);
	if (r < 0)
		return r;
	if (!!in->caps != !!p->device.s[0])
		return exp_wire_bad(c, "caps are %s for device \"%s\"",
				    in->caps ? "there" : "missing", p->device.s);
	return in->caps ? device_get(c, in->caps, &p->caps) : 0;
}

static int reply_put(struct exp_wire_ctx *c, const struct exp_msg *m, Exp__Envelope *e)
{
	Exp__CapsReply *out = EXP_WIRE_NEW(c, Exp__CapsReply, exp__caps_reply__init);
	const struct exp_msg_caps_reply *p = m->caps_reply;
	int r;

	if (!out)
		return exp_wire_no_memory(c);
	r = findings_put(c, &p->findings, out);
	if (r < 0)
		return r;
	out->device = exp_wire_put_text(c, p->device.s, sizeof(p->device.s));
	out->cntlid = exp_pool_array(c->pool, EXP_JOB_EXPORTS_MAX, sizeof(*out->cntlid));
	if (!out->device || !out->cntlid)
		return exp_wire_no_memory(c);
	/* the reply does not say how many were asked about: all, zeros behind the last */
	while (out->n_cntlid < EXP_JOB_EXPORTS_MAX) {
		out->cntlid[out->n_cntlid] = p->cntlid[out->n_cntlid];
		out->n_cntlid++;
	}
	e->caps_reply = out;
	return p->device.s[0] ? device_put(c, &p->caps, &out->caps) : 0;
}

static int reply_check(struct exp_wire_ctx *c, const struct exp_msg *m)
{
	const struct exp_msg_caps_reply *p = m->caps_reply;
	int r = exp_wire_check_range(c, "number of findings", p->findings.n, 0, EXP_FINDINGS_MAX);

	for (size_t i = 0; i < p->findings.n && !r; i++) {
		const struct exp_finding *f = &p->findings.f[i];

		r = exp_wire_check_enum(c, "findings.severity", f->severity,
					exp_severity_name(f->severity));
		if (!r)
			r = exp_wire_check_print(c, "findings.code", f->code, sizeof(f->code));
	}
	if (!r)
		r = exp_wire_check_name(c, "device", &p->device, true);
	for (size_t i = 0; i < EXP_JOB_EXPORTS_MAX && !r; i++)
		r = exp_wire_check_range(c, "cntlid", p->cntlid[i], 0, CNTLID_MAX);
	if (r < 0)
		return r;
	if (!p->device.s[0] && !exp_findings_refuse(&p->findings))
		return exp_wire_bad(c, "no device, and none of %zu findings refuses",
				    p->findings.n);
	return p->device.s[0] ? device_check(c, &p->caps) : 0;
}

const struct exp_wire_type exp_wire_caps_reply = { reply_get, reply_put, reply_check };
