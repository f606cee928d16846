/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assumptions.c - the one place where unsettled points of the specifications become code
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/le.h"
#include "nvme/assumptions.h"
#include "nvme/export_cmd.h"
#include "nvme/field.h"

/* */
int exp_nvme_exports_supported(const struct exp_nvme_id_ctrl *id,
			       const struct exp_nvme_effects *effects, struct exp_error *err)
{
	static const enum exp_nvme_admin_opcode needed[] = {
		EXP_NVME_ADMIN_EXPORT_RECV,
		EXP_NVME_ADMIN_EXPORT_SEND,
		EXP_NVME_ADMIN_EXPORT_NS,
	};

	if (!(id->ensa & EXP_NVME_ENSA_TEMPLATE))
		return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, EOPNOTSUPP,
				     "ENSA is %02Xh: the drive has no templates for exported "
				     "subsystems (bit 0)",
				     id->ensa);
	if (!(id->endsfs & EXP_NVME_ENDSFS_ENF1))
		return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, EOPNOTSUPP,
				     "ENDSFS is %02Xh: the drive does not take exported namespace "
				     "data in format 1 (bit 1)",
				     id->endsfs);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(needed); i++)
		if (!exp_nvme_effects_admin(effects, needed[i]))
			return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, EOPNOTSUPP,
					     "opcode %02Xh is not in the drive's Commands "
					     "Supported log",
					     needed[i]);
	return 0;
}

/* */
void exp_nvme_assume_mosi(struct exp_nvme_sqe *s, uint16_t esubid)
{
	s->cdw14 = (uint32_t)esubid << 16;
}

/* */
void exp_nvme_assume_recv_window(struct exp_nvme_sqe *s, uint64_t offset, size_t bytes)
{
	assert(offset % 4 == 0 && bytes && bytes % 4 == 0 && bytes / 4 <= UINT32_MAX);
	s->cdw12 = (uint32_t)offset;
	s->cdw13 = (uint32_t)(offset >> 32);
	s->cdw15 = (uint32_t)(bytes / 4 - 1);
}

void exp_nvme_assume_send_length(struct exp_nvme_sqe *s, size_t bytes)
{
	assert(bytes && bytes % 4 == 0 && bytes / 4 <= UINT32_MAX);
	s->cdw15 = (uint32_t)(bytes / 4);
}

bool exp_nvme_assume_no_window(struct exp_nvme_cmd *c, uint16_t status)
{
	struct exp_nvme_sqe *s = &c->sqe;

	if (status != EXP_NVME_SC_INVALID_FIELD || s->cdw12 || s->cdw13 || !s->cdw15 ||
	    c->bytes != EXP_NVME_EXPORT_BUF)
		return false;
	s->cdw15 = 0;
	return true;
}

/* */
int exp_nvme_templates_parse(const void *page, size_t len, struct exp_nvme_uuid_list *ret,
			     struct exp_error *err)
{
	int r = exp_nvme_uuid_list_parse(page, len, ret, err);

	return r < 0 ? exp_error_wrap(err, r, "templates") : 0;
}

int exp_nvme_ensti(const struct exp_nvme_uuid_list *templates, const struct exp_uuid *uuid,
		   bool from_zero, uint8_t *ret, struct exp_error *err)
{
	char text[EXP_UUID_TEXT];

	for (uint32_t i = 0; i < templates->n; i++) {
		if (exp_uuid_eq(&templates->uuid[i], uuid)) {
			*ret = (uint8_t)(from_zero ? i : i + 1);
			return 0;
		}
	}
	return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, ENOENT,
			     "template %s is not among the %u that the drive lists",
			     exp_uuid_format(uuid, text), templates->n);
}

/* */
const struct exp_uuid exp_nvme_reference_template = { { 0x9f, 0x1c, 0x5b, 0x62, 0x6d, 0x0e, 0x4c,
							0x1b, 0x8a, 0x57, 0x1e, 0x5d, 0x2c, 0x7b,
							0x4a, 0x10 } };

/*
 * RECCS is bytes 0..363, RENSCS 364..411. Not in the table: SUBNQN, NUL-padded at 108..363,
 * and LBAF0 at 364 + 4: 0..1 MS, 2 LBADS, 3 RP.
 */
#define RENSCS                   364
#define INT(member, at, width)   EXP_NVME_INT(struct exp_nvme_ref_config, member, at, width)
#define TEXT(member, at, width)  EXP_NVME_TEXT(struct exp_nvme_ref_config, member, at, width)
#define BYTES(member, at, width) EXP_NVME_BYTES(struct exp_nvme_ref_config, member, at, width)
static const struct exp_nvme_field ref_config[] = {
	INT(ecntlid, 0, 2),
	TEXT(sn, 4, 20),
	TEXT(mn, 24, 40),
	TEXT(fr, 64, 8),
	INT(rab, 72, 1),
	INT(mdts, 73, 1),
	INT(mqes, 74, 2),
	INT(ncqs, 76, 2),
	INT(nsqs, 78, 2),
	INT(oncs, 80, 2),
	INT(awun, 82, 2),
	INT(awupf, 84, 2),
	INT(ensid, RENSCS + 0, 4),
	INT(lbads, RENSCS + 6, 1),
	INT(nawun, RENSCS + 8, 2),
	INT(nawupf, RENSCS + 10, 2),
	BYTES(nguid, RENSCS + 16, 16),
	BYTES(uuid, RENSCS + 32, 16),
};
#undef INT
#undef TEXT
#undef BYTES
#define CONFIG_SUBNQN       108u
#define CONFIG_SUBNQN_BYTES 256u

/* The template's own rules (NVM 1.3 5.4.1.1): one controller 0, one namespace 1, named. */
static int check_ref_config(const struct exp_nvme_ref_config *c, int errnum, struct exp_error *err)
{
	enum exp_code code = errnum == EINVAL ? EXP_CODE_INVALID : EXP_CODE_DEVICE_DATA;

	if (c->ecntlid || c->ensid != 1)
		return exp_error_set(err, code, errnum,
				     "configuration state: ECNTLID %u and ENSID %u, the Reference "
				     "template has 0 and 1",
				     c->ecntlid, c->ensid);
	if (c->lbads < 9 || c->lbads > 31)
		return exp_error_set(err, code, errnum,
				     "configuration state: LBADS is %u, 9..31 are block sizes",
				     c->lbads);
	if (exp_nvme_nonzero(c->nguid, 16) == 16 && exp_uuid_is_nil(&c->uuid))
		return exp_error_set(err, code, errnum,
				     "configuration state: the namespace has neither NGUID nor "
				     "UUID");
	return 0;
}

int exp_nvme_ref_config_encode(const struct exp_nvme_ref_config *c,
			       uint8_t out[EXP_NVME_REF_CONFIG_BYTES], struct exp_error *err)
{
	int r = check_ref_config(c, EINVAL, err);

	if (r < 0)
		return r;
	memset(out, 0, EXP_NVME_REF_CONFIG_BYTES);
	exp_nvme_fields_put(ref_config, EXP_ARRAY_SIZE(ref_config), c, out);
	memcpy(out + CONFIG_SUBNQN, c->subnqn.s, strnlen(c->subnqn.s, EXP_NQN_MAX));
	return 0;
}

/* Every byte that the table and the name do not cover, or that must be zero inside LBAF0. */
static int check_ref_config_rest(const uint8_t *p, struct exp_error *err)
{
	static const struct {
		uint16_t from, to;
		const char *what;
	} zero[] = {
		{ 2, 4, "reserved" },
		{ 86, 108, "reserved" },
		{ RENSCS + 4, RENSCS + 6, "MS" },
		{ RENSCS + 7, RENSCS + 8, "RP" },
		{ RENSCS + 12, RENSCS + 16, "reserved" },
	};

	for (size_t i = 0; i < EXP_ARRAY_SIZE(zero); i++) {
		size_t n = zero[i].to - zero[i].from;
		size_t at = exp_nvme_nonzero(p + zero[i].from, n);

		if (at < n)
			return EXP_NVME_BAD(err,
					    "configuration state: byte %zu is %02Xh, 00h is known "
					    "there (%s)",
					    zero[i].from + at, p[zero[i].from + at], zero[i].what);
	}
	return 0;
}

static int read_config_nqn(const uint8_t *p, struct exp_nqn *ret, struct exp_error *err)
{
	char s[CONFIG_SUBNQN_BYTES + 1] = { 0 };
	size_t n;

	memset(ret, 0, sizeof(*ret));
	memcpy(s, p + CONFIG_SUBNQN, CONFIG_SUBNQN_BYTES);
	n = strlen(s);
	if (exp_nvme_nonzero((const uint8_t *)s + n, CONFIG_SUBNQN_BYTES - n) <
	    CONFIG_SUBNQN_BYTES - n)
		return EXP_NVME_BAD(err, "configuration state: bytes after the end of SUBNQN");
	if (!n)
		return 0;
	if (exp_nqn_parse(s, ret, err) < 0) {
		if (err)
			err->code = EXP_CODE_DEVICE_DATA;
		return exp_error_wrap(err, -EBADMSG, "configuration state");
	}
	return 0;
}

int exp_nvme_ref_config_decode(const void *p, size_t len, struct exp_nvme_ref_config *ret,
			       struct exp_error *err)
{
	struct exp_nvme_ref_config c = { 0 };
	int r;

	if (len != EXP_NVME_REF_CONFIG_BYTES)
		return EXP_NVME_BAD(err,
				    "configuration state: %zu bytes, the Reference template has "
				    "%u",
				    len, EXP_NVME_REF_CONFIG_BYTES);
	exp_nvme_fields_get(ref_config, EXP_ARRAY_SIZE(ref_config), p, &c);
	r = check_ref_config_rest(p, err);
	if (r < 0)
		return r;
	r = read_config_nqn(p, &c.subnqn, err);
	if (r < 0)
		return r;
	r = check_ref_config(&c, EBADMSG, err);
	if (r < 0)
		return r;
	*ret = c;
	return 0;
}

/*
 * Not in the table: 0..1 VER, 2 CSATTR (bit 0 CP), 4..11 the command ids of the AERs,
 * 20 bit 0 phase tag in slot 0 of the admin completion queue.
 */
#define INT(member, at, width) EXP_NVME_INT(struct exp_nvme_ref_state, member, at, width)
static const struct exp_nvme_field ref_state[] = {
	INT(n_aers, 3, 1),          INT(asq_head, 12, 2),     INT(asq_tail, 14, 2),
	INT(acq_head, 16, 2),       INT(acq_tail, 18, 2),     INT(arbitration, 24, 4),
	INT(temp_over, 28, 2),      INT(temp_under, 30, 2),   INT(volatile_wc, 32, 1),
	INT(num_queues, 36, 4),     INT(irq_coalesce, 40, 4), INT(async_event, 44, 4),
	INT(coalescing_off, 48, 8), INT(nvmecss, 56, 4),
};
#undef INT
#define REF_CSATTR 2u
#define REF_AERS   4u
#define REF_PHASE  20u

static int check_ref_state_rest(const uint8_t *p, struct exp_error *err)
{
	static const struct {
		uint8_t at, allowed; /* bits that may be set */
	} bits[] = {
		{ 0, 0 },  { 1, 0 },  { REF_CSATTR, 1 }, { REF_PHASE, 1 }, { 21, 0 },
		{ 22, 0 }, { 23, 0 }, { 32, 1 },         { 33, 0 },        { 34, 0 },
		{ 35, 0 }, { 60, 0 }, { 61, 0 },         { 62, 0 },        { 63, 0 },
	};

	for (size_t i = 0; i < EXP_ARRAY_SIZE(bits); i++)
		if (p[bits[i].at] & ~bits[i].allowed)
			return EXP_NVME_BAD(err,
					    "Reference state: byte %u is %02Xh, at most %02Xh is "
					    "known there",
					    bits[i].at, p[bits[i].at], bits[i].allowed);
	return 0;
}

int exp_nvme_ref_state_decode(const void *p, size_t len, struct exp_nvme_ref_state *ret,
			      struct exp_error *err)
{
	const uint8_t *b = p;
	struct exp_nvme_ref_state s = { 0 };
	int r;

	if (len < EXP_NVME_REF_STATE_HEAD)
		return EXP_NVME_BAD(err, "Reference state: %zu bytes, its header alone has %u", len,
				    EXP_NVME_REF_STATE_HEAD);
	r = check_ref_state_rest(b, err);
	if (r < 0)
		return r;
	exp_nvme_fields_get(ref_state, EXP_ARRAY_SIZE(ref_state), b, &s);
	s.cp = b[REF_CSATTR];
	s.acq_slot0_phase = b[REF_PHASE];
	if (s.n_aers > EXP_NVME_AERS_MAX)
		return EXP_NVME_BAD(err,
				    "Reference state: %u outstanding event requests, %u have room",
				    s.n_aers, EXP_NVME_AERS_MAX);
	for (unsigned int i = 0; i < EXP_NVME_AERS_MAX; i++) {
		uint16_t cid = exp_le16(b + REF_AERS + 2 * i);

		if (i >= s.n_aers && cid)
			return EXP_NVME_BAD(err,
					    "Reference state: a command id in slot %u of %u event "
					    "requests",
					    i, s.n_aers);
		s.aer_cid[i] = cid;
	}
	if ((uint64_t)s.nvmecss * 4 != len - EXP_NVME_REF_STATE_HEAD)
		return EXP_NVME_BAD(err,
				    "Reference state: NVMECSS says %llu bytes of queue state, "
				    "%zu follow the header",
				    (unsigned long long)s.nvmecss * 4,
				    len - EXP_NVME_REF_STATE_HEAD);
	*ret = s;
	return 0;
}

void exp_nvme_ref_state_encode(const struct exp_nvme_ref_state *s,
			       uint8_t out[EXP_NVME_REF_STATE_HEAD])
{
	assert(s->n_aers <= EXP_NVME_AERS_MAX);
	memset(out, 0, EXP_NVME_REF_STATE_HEAD);
	exp_nvme_fields_put(ref_state, EXP_ARRAY_SIZE(ref_state), s, out);
	out[REF_CSATTR] = s->cp;
	out[REF_PHASE] = s->acq_slot0_phase;
	for (unsigned int i = 0; i < s->n_aers; i++)
		exp_put_le16(out + REF_AERS + 2 * i, s->aer_cid[i]);
}

/* */
int exp_nvme_reference_select(const struct exp_nvme_state_formats *f, const struct exp_uuid *tmpl,
			      uint8_t *ret_csvi, uint8_t *ret_csuuidi, struct exp_error *err)
{
	uint8_t index = exp_nvme_csuuidi(f, tmpl);
	char text[EXP_UUID_TEXT];

	if (!index)
		return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, EOPNOTSUPP,
				     "the state of template %s is not among the %u vendor states "
				     "that the drive lists",
				     exp_uuid_format(tmpl, text), f->n_uuids);
	*ret_csvi = 0;
	*ret_csuuidi = index;
	return 0;
}

bool exp_nvme_means_in_use(uint16_t status)
{
	return status == EXP_NVME_SC_SEQUENCE || status == EXP_NVME_SC_CTRL_ACTIVE;
}

bool exp_nvme_means_no_list(uint16_t status)
{
	return status == EXP_NVME_SC_INVALID_FIELD || status == EXP_NVME_SC_INVALID_OPCODE;
}

bool exp_nvme_means_no_room(uint16_t status)
{
	switch (status) {
	case EXP_NVME_SC_INVALID_FIELD:
	case EXP_NVME_SC_NS_NO_CAPACITY:
	case EXP_NVME_SC_NSID_UNAVAILABLE:
	case EXP_NVME_SC_NO_RESOURCES: return true;
	}
	return false;
}

bool exp_nvme_means_bad_ctrl(uint16_t status)
{
	return status == EXP_NVME_SC_INVALID_CNTLID || status == EXP_NVME_SC_INVALID_FIELD;
}

bool exp_nvme_means_log_full(uint16_t status)
{
	return status == EXP_NVME_SC_CDQ_FULL;
}

bool exp_nvme_means_no_queue(uint16_t status)
{
	return status == EXP_NVME_SC_NO_RESOURCES || status == EXP_NVME_SC_INVALID_FIELD;
}

bool exp_nvme_means_wrong_order(uint16_t status)
{
	return status == EXP_NVME_SC_SEQUENCE;
}

bool exp_nvme_means_taken(uint16_t status)
{
	return status == EXP_NVME_SC_INVALID_ASSOCIATION || status == EXP_NVME_SC_INVALID_FIELD;
}

bool exp_nvme_means_no_fence(uint16_t status)
{
	return status == EXP_NVME_SC_CTRL_SUSPENDED || status == EXP_NVME_SC_SEQUENCE ||
	       status == EXP_NVME_SC_INVALID_FIELD || status == EXP_NVME_SC_INVALID_CNTLID;
}

/* */
uint32_t exp_nvme_cdq_head_slot(uint32_t consumed_next, uint32_t entries, bool all_refused)
{
	assert(consumed_next < entries);
	if (!all_refused)
		return consumed_next;
	return consumed_next ? consumed_next - 1 : entries - 1;
}

/* */
bool exp_nvme_event_is_cdq(const struct exp_nvme_event *e, uint16_t *ret_cdqid)
{
	if (e->type != EXP_NVME_EVENT_ONE_SHOT)
		return false;
	*ret_cdqid = e->param & 0xffff;
	return true;
}

/* */
uint32_t exp_nvme_alloc_hint_blocks(uint32_t tlbaag)
{
	return tlbaag ? tlbaag : 1;
}
