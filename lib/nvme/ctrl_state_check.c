/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May this image be loaded there? Whole, inside the guest's memory, within the target's limits,
 * in a format that both devices have.
 */
#include <errno.h>
#include <string.h>

#include "nvme/ctrl_state.h"

#define SQE_LOG2 6u /* CC.IOSQES, CC.IOCQES of every NVM controller */
#define CQE_LOG2 4u

static bool whole(const struct exp_nvme_ctrl_state *s)
{
	return s->cp && (s->kind != EXP_NVME_STATE_REFERENCE || s->ref.cp);
}

int exp_nvme_state_check_whole(const struct exp_nvme_ctrl_state *s, struct exp_error *err)
{
	if (whole(s))
		return 0;
	return exp_error_set(err, EXP_CODE_NOT_SUSPENDED, ESTALE,
			     "controller state: CP is 0 %s, the controller was not suspended all "
			     "the while it was read",
			     s->cp ? "in the Reference state" : "in the container");
}

/* First address of [from, to) that no range of the map holds; @to: all of it is inside. */
static uint64_t first_outside(const struct exp_nvme_memory *map, size_t n, uint64_t from,
			      uint64_t to)
{
	size_t i = 0;

	while (i < n && from < to) {
		if (from >= map[i].iova && from - map[i].iova < map[i].bytes) {
			uint64_t left = map[i].bytes - (from - map[i].iova);

			from = to - from <= left ? to : from + left;
			i = 0; /* ranges may touch in any order: each turn moves on */
		} else {
			i++;
		}
	}
	return from;
}

static int check_queue_memory(const char *kind, uint16_t qid, bool contiguous, uint64_t base,
			      uint16_t qsize, unsigned int entry_log2,
			      const struct exp_nvme_memory *map, size_t n, struct exp_error *err)
{
	uint64_t bytes = ((uint64_t)qsize + 1) << entry_log2;
	uint64_t at;

	if (!contiguous)
		return exp_error_set(err, EXP_CODE_DENIED, EPERM,
				     "controller state: %s queue %u is not contiguous; where its "
				     "pages are cannot be checked",
				     kind, qid);
	if (base % EXP_NVME_PAGE || base > UINT64_MAX - bytes)
		return exp_error_set(err, EXP_CODE_DENIED, EPERM,
				     "controller state: %s queue %u at %016llXh with %llu bytes is "
				     "not page aligned or wraps",
				     kind, qid, (unsigned long long)base,
				     (unsigned long long)bytes);
	at = first_outside(map, n, base, base + bytes);
	if (at < base + bytes)
		return exp_error_set(err, EXP_CODE_DENIED, EPERM,
				     "controller state: %s queue %u at %016llXh with %llu bytes "
				     "leaves the guest's memory at %016llXh",
				     kind, qid, (unsigned long long)base, (unsigned long long)bytes,
				     (unsigned long long)at);
	return 0;
}

int exp_nvme_state_check_memory(const struct exp_nvme_ctrl_state *s,
				const struct exp_nvme_memory *map, size_t n, struct exp_error *err)
{
	int r;

	for (uint32_t i = 0; i < s->n_sq; i++) {
		const struct exp_nvme_sq_state *q = &s->sq[i];

		r = check_queue_memory("submission", q->qid, q->contiguous, q->base, q->qsize,
				       SQE_LOG2, map, n, err);
		if (r < 0)
			return r;
	}
	for (uint32_t i = 0; i < s->n_cq; i++) {
		const struct exp_nvme_cq_state *q = &s->cq[i];

		r = check_queue_memory("completion", q->qid, q->contiguous, q->base, q->qsize,
				       CQE_LOG2, map, n, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_queue_limits(const char *kind, uint16_t qid, uint32_t n, uint16_t qsize,
			      uint16_t mqes, struct exp_error *err)
{
	if (qid > n)
		return exp_error_set(err, EXP_CODE_PREFLIGHT, EOPNOTSUPP,
				     "controller state: %s queue %u, the target has %u", kind, qid,
				     n);
	if (qsize > mqes)
		return exp_error_set(err, EXP_CODE_PREFLIGHT, EOPNOTSUPP,
				     "controller state: %s queue %u has %u entries, the target "
				     "allows %u",
				     kind, qid, qsize + 1u, mqes + 1u);
	return 0;
}

int exp_nvme_state_check_limits(const struct exp_nvme_ctrl_state *s,
				const struct exp_nvme_state_limits *l, struct exp_error *err)
{
	int r;

	for (uint32_t i = 0; i < s->n_sq; i++) {
		r = check_queue_limits("submission", s->sq[i].qid, l->n_sq, s->sq[i].qsize, l->mqes,
				       err);
		if (r < 0)
			return r;
	}
	for (uint32_t i = 0; i < s->n_cq; i++) {
		const struct exp_nvme_cq_state *q = &s->cq[i];

		r = check_queue_limits("completion", q->qid, l->n_cq, q->qsize, l->mqes, err);
		if (r < 0)
			return r;
		if (l->n_vectors && q->interrupts && q->vector >= l->n_vectors)
			return exp_error_set(err, EXP_CODE_PREFLIGHT, EOPNOTSUPP,
					     "controller state: completion queue %u uses vector "
					     "%u, the target has %u",
					     q->qid, q->vector, l->n_vectors);
	}
	return 0;
}

static bool same_sq(const struct exp_nvme_sq_state *a, const struct exp_nvme_sq_state *b)
{
	return a->qid == b->qid && a->cqid == b->cqid && a->base == b->base &&
	       a->qsize == b->qsize && a->contiguous == b->contiguous && a->priority == b->priority;
}

static bool same_cq(const struct exp_nvme_cq_state *a, const struct exp_nvme_cq_state *b)
{
	return a->qid == b->qid && a->base == b->base && a->qsize == b->qsize &&
	       a->contiguous == b->contiguous && a->interrupts == b->interrupts &&
	       a->vector == b->vector;
}

bool exp_nvme_state_same_queues(const struct exp_nvme_ctrl_state *a,
				const struct exp_nvme_ctrl_state *b)
{
	if (a->n_sq != b->n_sq || a->n_cq != b->n_cq)
		return false;
	for (uint32_t i = 0; i < a->n_sq; i++)
		if (!same_sq(&a->sq[i], &b->sq[i]))
			return false;
	for (uint32_t i = 0; i < a->n_cq; i++)
		if (!same_cq(&a->cq[i], &b->cq[i]))
			return false;
	return true;
}

void exp_nvme_state_summarize(const struct exp_nvme_ctrl_state *s,
			      struct exp_nvme_state_summary *ret)
{
	bool reference = s->kind == EXP_NVME_STATE_REFERENCE;

	*ret = (struct exp_nvme_state_summary){
		.bytes = s->bytes,
		.whole = whole(s),
		.n_sq = s->n_sq,
		.n_cq = s->n_cq,
		.admin_queue = reference,
		.n_aers = reference ? s->ref.n_aers : 0,
		.vendor_bytes = s->vendor_bytes,
	};
	for (uint32_t i = 0; i < s->n_sq; i++) {
		const struct exp_nvme_sq_state *q = &s->sq[i];

		ret->waiting += q->tail >= q->head ? (uint32_t)(q->tail - q->head)
						   : q->tail + q->qsize + 1u - q->head;
	}
}

void exp_nvme_state_compare(const struct exp_nvme_state_formats *a,
			    const struct exp_nvme_state_formats *b, const struct exp_uuid *tmpl,
			    struct exp_nvme_state_match *ret)
{
	*ret = (struct exp_nvme_state_match){
		.reference = exp_nvme_csuuidi(a, tmpl) && exp_nvme_csuuidi(b, tmpl),
		.queues = exp_nvme_csvi(a, EXP_NVME_QUEUES_VER_PLAIN) &&
			  exp_nvme_csvi(b, EXP_NVME_QUEUES_VER_PLAIN),
	};
	if (!ret->queues)
		return;
	for (uint32_t i = 0; i < a->n_uuids && !ret->vendor; i++) {
		const struct exp_uuid *u = &a->uuids[i];

		if (exp_uuid_eq(u, tmpl) || exp_uuid_is_nil(u) || !exp_nvme_csuuidi(b, u))
			continue;
		ret->vendor = true;
		ret->vendor_uuid = *u;
	}
}

int exp_nvme_state_select(const struct exp_nvme_state_formats *f, enum exp_nvme_state_kind kind,
			  const struct exp_uuid *uuid, struct exp_nvme_state_sel *ret,
			  struct exp_error *err)
{
	struct exp_nvme_state_sel sel = { 0 };
	char text[EXP_UUID_TEXT];

	if (kind == EXP_NVME_STATE_REFERENCE)
		return exp_nvme_reference_select(f, uuid, &ret->csvi, &ret->csuuidi, err);
	sel.csvi = exp_nvme_csvi(f, EXP_NVME_QUEUES_VER_PLAIN);
	if (!sel.csvi)
		return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, EOPNOTSUPP,
				     "controller state version %u is not among the %u that the "
				     "drive lists",
				     EXP_NVME_QUEUES_VER_PLAIN, f->n_versions);
	if (kind == EXP_NVME_STATE_VENDOR) {
		sel.csuuidi = exp_nvme_csuuidi(f, uuid);
		if (!sel.csuuidi)
			return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, EOPNOTSUPP,
					     "vendor state %s is not among the %u that the drive "
					     "lists",
					     exp_uuid_format(uuid, text), f->n_uuids);
	}
	*ret = sel;
	return 0;
}
