/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image and its parts: parse and build. Whether a target may load it: ctrl_state_check.c.
 *
 * container   0..1 VER 0, 2 CSATTR (bit 0 CP), 16..31 NVMECSS, 32..47 VSS (dwords, 128 bits each)
 * queue state 0..1 VER, 2..3 NIOSQ, 4..5 NIOCQ, then 24 bytes per submission, per completion queue
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "nvme/ctrl_state.h"
#include "nvme/field.h"

#define HEAD_CSATTR  2u
#define HEAD_NVMECSS 16u
#define HEAD_VSS     32u

#define QUEUES_HEAD 8u
#define QUEUE_BYTES 24u
#define RESERVED_AT 20u /* last four bytes of either kind of queue */

#define SQ_ATTR          14u /* 16 bits: 0 PC, 2:1 priority, the rest 0 */
#define SQ_ATTR_RESERVED 0xfff8u
#define CQ_ATTR          16u /* 32 bits: 0 PC, 1 IEN, 2 phase tag in slot 0, 31:16 vector */
#define CQ_ATTR_RESERVED 0xfff8u
#define ATTR_PC          1u
#define CQ_ATTR_IEN      2u
#define CQ_ATTR_S0PT     4u

#define INT(member, at, width) EXP_NVME_INT(struct exp_nvme_sq_state, member, at, width)
static const struct exp_nvme_field sq_fields[] = {
	INT(base, 0, 8),  INT(qsize, 8, 2), INT(qid, 10, 2),
	INT(cqid, 12, 2), INT(head, 16, 2), INT(tail, 18, 2),
};
#undef INT
#define INT(member, at, width) EXP_NVME_INT(struct exp_nvme_cq_state, member, at, width)
static const struct exp_nvme_field cq_fields[] = {
	INT(base, 0, 8), INT(qsize, 8, 2), INT(qid, 10, 2), INT(head, 12, 2), INT(tail, 14, 2),
};
#undef INT

#define BAD(err, fmt, ...) EXP_NVME_BAD(err, "controller state: " fmt, ##__VA_ARGS__)

/* Sizes of the two parts in bytes, bounded before they are multiplied or added. */
static int read_head(const uint8_t *p, size_t len, size_t *ret_queues, size_t *ret_vendor,
		     struct exp_error *err)
{
	const uint64_t most = EXP_NVME_STATE_MAX / 4;
	uint64_t nvmecss, vss;
	size_t at;

	if (len < EXP_NVME_STATE_HEAD)
		return BAD(err, "%zu bytes, the header alone has %u", len, EXP_NVME_STATE_HEAD);
	if (exp_le16(p))
		return BAD(err, "container version %u, only 0 is known", exp_le16(p));
	at = HEAD_CSATTR + 1 +
	     exp_nvme_nonzero(p + HEAD_CSATTR + 1, HEAD_NVMECSS - HEAD_CSATTR - 1);
	if ((p[HEAD_CSATTR] & ~1) || at < HEAD_NVMECSS)
		return BAD(err, "reserved bits are set in the header (byte %zu)",
			   at < HEAD_NVMECSS ? at : HEAD_CSATTR);
	nvmecss = exp_le64(p + HEAD_NVMECSS);
	vss = exp_le64(p + HEAD_VSS);
	if (exp_le64(p + HEAD_NVMECSS + 8) || exp_le64(p + HEAD_VSS + 8) || nvmecss > most ||
	    vss > most || EXP_NVME_STATE_HEAD + 4 * (nvmecss + vss) > EXP_NVME_STATE_MAX)
		return BAD(err,
			   "NVMECSS %016llX%016llXh and VSS %016llX%016llXh dwords, an image of at "
			   "most %u bytes is taken",
			   (unsigned long long)exp_le64(p + HEAD_NVMECSS + 8),
			   (unsigned long long)nvmecss,
			   (unsigned long long)exp_le64(p + HEAD_VSS + 8), (unsigned long long)vss,
			   EXP_NVME_STATE_MAX);
	*ret_queues = 4 * (size_t)nvmecss;
	*ret_vendor = 4 * (size_t)vss;
	return 0;
}

int exp_nvme_state_bytes(const void *p, size_t len, size_t *ret, struct exp_error *err)
{
	size_t queues, vendor;
	int r = read_head(p, len, &queues, &vendor, err);

	if (r < 0)
		return r;
	*ret = EXP_NVME_STATE_HEAD + queues + vendor;
	return 0;
}

/* What both kinds of queue must keep to; @before is the id of the entry before, 0 for the first. */
static int check_queue(const char *kind, const uint8_t *e, uint16_t qid, uint16_t before,
		       uint16_t qsize, uint16_t head, uint16_t tail, struct exp_error *err)
{
	if (!qid || qid <= before)
		return BAD(err, "%s queue %u follows %u, ids ascend from 1", kind, qid, before);
	if (!qsize)
		return BAD(err, "%s queue %u has one entry, two are the least", kind, qid);
	if (head > qsize || tail > qsize)
		return BAD(err, "%s queue %u: head %u, tail %u, the last slot is %u", kind, qid,
			   head, tail, qsize);
	if (exp_le32(e + RESERVED_AT))
		return BAD(err, "%s queue %u: reserved bytes are set", kind, qid);
	return 0;
}

static int read_sq(const uint8_t *e, uint16_t before, struct exp_nvme_sq_state *q,
		   struct exp_error *err)
{
	uint16_t attr = exp_le16(e + SQ_ATTR);

	exp_nvme_fields_get(sq_fields, EXP_ARRAY_SIZE(sq_fields), e, q);
	q->contiguous = attr & ATTR_PC;
	q->priority = attr >> 1 & 3;
	if (attr & SQ_ATTR_RESERVED)
		return BAD(err, "submission queue %u: attributes %04Xh have reserved bits", q->qid,
			   attr);
	return check_queue("submission", e, q->qid, before, q->qsize, q->head, q->tail, err);
}

static int read_cq(const uint8_t *e, uint16_t before, struct exp_nvme_cq_state *q,
		   struct exp_error *err)
{
	uint32_t attr = exp_le32(e + CQ_ATTR);

	exp_nvme_fields_get(cq_fields, EXP_ARRAY_SIZE(cq_fields), e, q);
	q->contiguous = attr & ATTR_PC;
	q->interrupts = attr & CQ_ATTR_IEN;
	q->slot0_phase = attr & CQ_ATTR_S0PT;
	q->vector = (uint16_t)(attr >> 16);
	if (attr & CQ_ATTR_RESERVED)
		return BAD(err, "completion queue %u: attributes %08Xh have reserved bits", q->qid,
			   attr);
	return check_queue("completion", e, q->qid, before, q->qsize, q->head, q->tail, err);
}

static bool has_cq(const struct exp_nvme_ctrl_state *s, uint16_t qid)
{
	size_t from = 0, to = s->n_cq;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (s->cq[mid].qid == qid)
			return true;
		if (s->cq[mid].qid < qid)
			from = mid + 1;
		else
			to = mid;
	}
	return false;
}

static int read_lists(const uint8_t *p, struct exp_nvme_ctrl_state *s, struct exp_error *err)
{
	const uint8_t *e = p + QUEUES_HEAD;
	int r;

	for (uint32_t i = 0; i < s->n_sq; i++, e += QUEUE_BYTES) {
		r = read_sq(e, i ? s->sq[i - 1].qid : 0, &s->sq[i], err);
		if (r < 0)
			return r;
	}
	for (uint32_t i = 0; i < s->n_cq; i++, e += QUEUE_BYTES) {
		r = read_cq(e, i ? s->cq[i - 1].qid : 0, &s->cq[i], err);
		if (r < 0)
			return r;
	}
	for (uint32_t i = 0; i < s->n_sq; i++)
		if (!has_cq(s, s->sq[i].cqid))
			return BAD(err,
				   "submission queue %u completes to queue %u, which is not "
				   "there",
				   s->sq[i].qid, s->sq[i].cqid);
	return 0;
}

static int read_queues(const uint8_t *p, size_t len, uint16_t version,
		       struct exp_nvme_ctrl_state *s, struct exp_error *err)
{
	uint16_t n_sq, n_cq;
	size_t want;

	if (len < QUEUES_HEAD)
		return BAD(err, "queue state of %zu bytes, its header alone has %u", len,
			   QUEUES_HEAD);
	if (exp_le16(p) != version)
		return BAD(err, "queue state version %u where %u belongs", exp_le16(p), version);
	n_sq = exp_le16(p + 2);
	n_cq = exp_le16(p + 4);
	want = QUEUES_HEAD + QUEUE_BYTES * ((size_t)n_sq + n_cq);
	if (len != want)
		return BAD(err,
			   "queue state of %zu bytes, %u submission and %u completion queues "
			   "take %zu",
			   len, n_sq, n_cq, want);
	if (exp_le16(p + 6))
		return BAD(err, "reserved bytes are set in the header of the queue state");
	s->sq = calloc(n_sq ? n_sq : 1, sizeof(*s->sq));
	s->cq = calloc(n_cq ? n_cq : 1, sizeof(*s->cq));
	if (!s->sq || !s->cq)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM,
				     "controller state: no memory for %u queues", n_sq + n_cq);
	s->has_queues = true;
	s->queues_ver = version;
	s->n_sq = n_sq;
	s->n_cq = n_cq;
	return read_lists(p, s, err);
}

static int read_reference(const uint8_t *p, size_t len, struct exp_nvme_ctrl_state *s,
			  struct exp_error *err)
{
	int r = exp_nvme_ref_state_decode(p, len, &s->ref, err);

	if (r < 0)
		return exp_error_wrap(err, r, "controller state");
	if (len == EXP_NVME_REF_STATE_HEAD)
		return 0;
	return read_queues(p + EXP_NVME_REF_STATE_HEAD, len - EXP_NVME_REF_STATE_HEAD,
			   EXP_NVME_QUEUES_VER_REFERENCE, s, err);
}

/* Which parts an image of a kind has is fixed by how it was selected. */
static int read_parts(const uint8_t *p, size_t queues, size_t vendor, struct exp_nvme_ctrl_state *s,
		      struct exp_error *err)
{
	const uint8_t *vsd = p + EXP_NVME_STATE_HEAD + queues;
	bool want_queues = s->kind != EXP_NVME_STATE_REFERENCE;
	bool want_vendor = s->kind != EXP_NVME_STATE_QUEUES;

	if (want_queues != (queues > 0) || want_vendor != (vendor > 0))
		return BAD(err,
			   "%zu bytes of queue state and %zu of vendor state; %s and %s were "
			   "asked for",
			   queues, vendor, want_queues ? "queues" : "no queues",
			   want_vendor ? "a vendor part" : "no vendor part");
	switch (s->kind) {
	case EXP_NVME_STATE_REFERENCE: return read_reference(vsd, vendor, s, err);
	case EXP_NVME_STATE_VENDOR:
		s->vendor = vsd;
		s->vendor_bytes = vendor;
		break;
	case EXP_NVME_STATE_QUEUES: break;
	}
	return read_queues(p + EXP_NVME_STATE_HEAD, queues, EXP_NVME_QUEUES_VER_PLAIN, s, err);
}

int exp_nvme_state_parse(const void *p, size_t len, enum exp_nvme_state_kind kind,
			 struct exp_nvme_ctrl_state *ret, struct exp_error *err)
{
	const uint8_t *b = p;
	struct exp_nvme_ctrl_state s = { .kind = kind, .bytes = len };
	size_t queues, vendor;
	int r = read_head(b, len, &queues, &vendor, err);

	if (r < 0)
		return r;
	if (EXP_NVME_STATE_HEAD + queues + vendor != len)
		return BAD(err, "%zu bytes, the header says %zu", len,
			   EXP_NVME_STATE_HEAD + queues + vendor);
	s.cp = b[HEAD_CSATTR] & 1;
	r = read_parts(b, queues, vendor, &s, err);
	if (r < 0) {
		exp_nvme_state_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}

void exp_nvme_state_done(struct exp_nvme_ctrl_state *s)
{
	if (!s)
		return;
	free(s->sq);
	free(s->cq);
	memset(s, 0, sizeof(*s));
}

static void write_queues(const struct exp_nvme_ctrl_state *s, uint16_t version, uint8_t *p)
{
	uint8_t *e = p + QUEUES_HEAD;

	exp_put_le16(p, version);
	exp_put_le16(p + 2, s->n_sq);
	exp_put_le16(p + 4, s->n_cq);
	for (uint32_t i = 0; i < s->n_sq; i++, e += QUEUE_BYTES) {
		const struct exp_nvme_sq_state *q = &s->sq[i];

		exp_nvme_fields_put(sq_fields, EXP_ARRAY_SIZE(sq_fields), q, e);
		exp_put_le16(e + SQ_ATTR,
			     (uint16_t)(q->priority << 1 | (q->contiguous ? ATTR_PC : 0)));
	}
	for (uint32_t i = 0; i < s->n_cq; i++, e += QUEUE_BYTES) {
		const struct exp_nvme_cq_state *q = &s->cq[i];

		exp_nvme_fields_put(cq_fields, EXP_ARRAY_SIZE(cq_fields), q, e);
		exp_put_le32(e + CQ_ATTR, (uint32_t)q->vector << 16 |
						  (q->slot0_phase ? CQ_ATTR_S0PT : 0) |
						  (q->interrupts ? CQ_ATTR_IEN : 0) |
						  (q->contiguous ? ATTR_PC : 0));
	}
}

int exp_nvme_state_encode(const struct exp_nvme_ctrl_state *s, uint8_t *out, size_t cap,
			  size_t *ret_bytes, struct exp_error *err)
{
	bool reference = s->kind == EXP_NVME_STATE_REFERENCE;
	size_t queues = s->has_queues ? QUEUES_HEAD + QUEUE_BYTES * ((size_t)s->n_sq + s->n_cq) : 0;
	size_t vendor = reference ? EXP_NVME_REF_STATE_HEAD + queues : s->vendor_bytes;
	size_t bytes = EXP_NVME_STATE_HEAD + (reference ? 0 : queues) + vendor;
	uint8_t *body = out + EXP_NVME_STATE_HEAD;
	struct exp_nvme_ref_state ref = s->ref;

	assert(s->vendor_bytes % 4 == 0);
	if (bytes > cap || bytes > EXP_NVME_STATE_MAX)
		return exp_error_set(err, EXP_CODE_TOO_LARGE, ENOSPC,
				     "controller state: the image has %zu bytes, there is room for "
				     "%zu",
				     bytes, EXP_MIN(cap, EXP_NVME_STATE_MAX));
	memset(out, 0, bytes);
	out[HEAD_CSATTR] = s->cp;
	exp_put_le64(out + HEAD_NVMECSS, reference ? 0 : queues / 4);
	exp_put_le64(out + HEAD_VSS, vendor / 4);
	if (reference) {
		ref.nvmecss = (uint32_t)(queues / 4);
		exp_nvme_ref_state_encode(&ref, body);
		body += EXP_NVME_REF_STATE_HEAD;
	}
	if (s->has_queues)
		write_queues(s,
			     reference ? EXP_NVME_QUEUES_VER_REFERENCE : EXP_NVME_QUEUES_VER_PLAIN,
			     body);
	if (!reference && vendor)
		memcpy(body + queues, s->vendor, vendor);
	*ret_bytes = bytes;
	return 0;
}
