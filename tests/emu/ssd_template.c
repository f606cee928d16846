/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_template.c - fields <-> bytes of the Reference template; the layout is a draft, see README.md
 */
#include "emu/ssd_template.h"

#include <string.h>

#include "base/le.h"

/* First byte in [from, to) that is not zero, or @to. */
static size_t first_set(const uint8_t *b, size_t from, size_t to)
{
	while (from < to && !b[from])
		from++;
	return from;
}

/* All zero or printable ASCII; the first byte that is neither, or @to. */
static size_t first_unprintable(const uint8_t *b, size_t from, size_t to)
{
	if (first_set(b, from, to) == to)
		return to;
	while (from < to && b[from] >= 0x20 && b[from] <= 0x7e)
		from++;
	return from;
}

/* Printable characters, then only NULs, at least one of them. */
static size_t first_bad_in_nqn(const uint8_t *b, size_t from, size_t to)
{
	size_t i = from;

	while (i < to && b[i] > 0x20 && b[i] <= 0x7e)
		i++;
	if (i == to)
		return to - 1;
	return first_set(b, i, to);
}

bool ssd_refconfig_parse(const uint8_t b[REFCONFIG_BYTES], struct ssd_refconfig *ret,
			 size_t *ret_where)
{
	static const struct {
		size_t from, to;
		size_t (*first_bad)(const uint8_t *b, size_t from, size_t to);
	} checks[] = {
		{ RECCS_RSVD2, RECCS_SN, first_set },
		{ RECCS_SN, RECCS_MN, first_unprintable },
		{ RECCS_MN, RECCS_FR, first_unprintable },
		{ RECCS_FR, RECCS_RAB, first_unprintable },
		{ RECCS_RSVD86, RECCS_SUBNQN, first_set },
		{ RECCS_SUBNQN, RECCS_BYTES, first_bad_in_nqn },
		{ RENSCS_RSVD12, RENSCS_NGUID, first_set },
	};
	struct ssd_refconfig c = {
		.ecntlid = exp_le16(b + RECCS_ECNTLID),
		.rab = b[RECCS_RAB],
		.mdts = b[RECCS_MDTS],
		.mqes = exp_le16(b + RECCS_MQES),
		.ncqs = exp_le16(b + RECCS_NCQS),
		.nsqs = exp_le16(b + RECCS_NSQS),
		.oncs = exp_le16(b + RECCS_ONCS),
		.awun = exp_le16(b + RECCS_AWUN),
		.awupf = exp_le16(b + RECCS_AWUPF),
		.ensid = exp_le32(b + RENSCS_ENSID),
		.ms = exp_le16(b + RENSCS_LBAF0),
		.lbads = b[RENSCS_LBAF0 + 2],
		.rp = b[RENSCS_LBAF0 + 3],
		.nawun = exp_le16(b + RENSCS_NAWUN),
		.nawupf = exp_le16(b + RENSCS_NAWUPF),
	};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		size_t bad = checks[i].first_bad(b, checks[i].from, checks[i].to);

		if (bad != checks[i].to) {
			*ret_where = bad;
			return false;
		}
	}
	memcpy(c.sn, b + RECCS_SN, sizeof(c.sn));
	memcpy(c.mn, b + RECCS_MN, sizeof(c.mn));
	memcpy(c.fr, b + RECCS_FR, sizeof(c.fr));
	memcpy(c.nqn, b + RECCS_SUBNQN, sizeof(c.nqn));
	memcpy(c.nguid.b, b + RENSCS_NGUID, 16);
	memcpy(c.uuid.b, b + RENSCS_UUID, 16);
	*ret = c;
	return true;
}

void ssd_refconfig_print(const struct ssd_refconfig *c, uint8_t b[REFCONFIG_BYTES])
{
	memset(b, 0, REFCONFIG_BYTES);
	exp_put_le16(b + RECCS_ECNTLID, c->ecntlid);
	memcpy(b + RECCS_SN, c->sn, sizeof(c->sn));
	memcpy(b + RECCS_MN, c->mn, sizeof(c->mn));
	memcpy(b + RECCS_FR, c->fr, sizeof(c->fr));
	b[RECCS_RAB] = c->rab;
	b[RECCS_MDTS] = c->mdts;
	exp_put_le16(b + RECCS_MQES, c->mqes);
	exp_put_le16(b + RECCS_NCQS, c->ncqs);
	exp_put_le16(b + RECCS_NSQS, c->nsqs);
	exp_put_le16(b + RECCS_ONCS, c->oncs);
	exp_put_le16(b + RECCS_AWUN, c->awun);
	exp_put_le16(b + RECCS_AWUPF, c->awupf);
	memcpy(b + RECCS_SUBNQN, c->nqn, sizeof(c->nqn));
	exp_put_le32(b + RENSCS_ENSID, c->ensid);
	exp_put_le16(b + RENSCS_LBAF0, c->ms);
	b[RENSCS_LBAF0 + 2] = c->lbads;
	b[RENSCS_LBAF0 + 3] = c->rp;
	exp_put_le16(b + RENSCS_NAWUN, c->nawun);
	exp_put_le16(b + RENSCS_NAWUPF, c->nawupf);
	memcpy(b + RENSCS_NGUID, c->nguid.b, 16);
	memcpy(b + RENSCS_UUID, c->uuid.b, 16);
}

bool ssd_refstate_parse(const uint8_t b[REFSTATE_BYTES], struct ssd_refstate *ret)
{
	struct ssd_refstate s = {
		.suspended = b[2] & 1,
		.n_aer = b[3],
		.sq_head = exp_le16(b + 12),
		.sq_tail = exp_le16(b + 14),
		.cq_head = exp_le16(b + 16),
		.cq_tail = exp_le16(b + 18),
		.cq_slot0_phase = b[20] & 1,
		.arbitration = exp_le32(b + 24),
		.temp_over = exp_le16(b + 28),
		.temp_under = exp_le16(b + 30),
		.write_cache = b[32] & 1,
		.queues = exp_le32(b + 36),
		.coalescing = exp_le32(b + 40),
		.async_events = exp_le32(b + 44),
		.nvmecss = exp_le32(b + 56),
	};

	if (exp_le16(b) || b[2] & ~1 || s.n_aer > REFSTATE_AERS || b[20] & ~1 || b[32] & ~1 ||
	    first_set(b, 21, 24) != 24 || first_set(b, 33, 36) != 36 || first_set(b, 60, 64) != 64)
		return false;
	for (size_t i = 0; i < REFSTATE_AERS; i++) {
		s.aer[i] = exp_le16(b + 4 + 2 * i);
		if (i >= s.n_aer && s.aer[i])
			return false;
	}
	memcpy(s.no_coalesce, b + 48, sizeof(s.no_coalesce));
	*ret = s;
	return true;
}

void ssd_refstate_print(const struct ssd_refstate *s, uint8_t b[REFSTATE_BYTES])
{
	memset(b, 0, REFSTATE_BYTES);
	b[2] = s->suspended;
	b[3] = s->n_aer;
	for (size_t i = 0; i < s->n_aer; i++)
		exp_put_le16(b + 4 + 2 * i, s->aer[i]);
	exp_put_le16(b + 12, s->sq_head);
	exp_put_le16(b + 14, s->sq_tail);
	exp_put_le16(b + 16, s->cq_head);
	exp_put_le16(b + 18, s->cq_tail);
	b[20] = s->cq_slot0_phase;
	exp_put_le32(b + 24, s->arbitration);
	exp_put_le16(b + 28, s->temp_over);
	exp_put_le16(b + 30, s->temp_under);
	b[32] = s->write_cache;
	exp_put_le32(b + 36, s->queues);
	exp_put_le32(b + 40, s->coalescing);
	exp_put_le32(b + 44, s->async_events);
	memcpy(b + 48, s->no_coalesce, sizeof(s->no_coalesce));
	exp_put_le32(b + 56, s->nvmecss);
}
