/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_event.c - asynchronous events, the requests that wait for them, Abort, the error log
 *
 * An event waits in fn->pending until the client has a request outstanding. After one was
 * reported, others of its type stay quiet until the log page that belongs to it was read
 * (NVMe Base 2.3, 5.2.2). Tail events of a change-log queue are one-shot and are never masked.
 */
#include <string.h>

#include "emu/ssd_internal.h"

#define TYPE_ERROR    0
#define TYPE_NOTICE   2
#define TYPE_ONE_SHOT 4

static const struct {
	uint8_t type, info, lid;
	uint32_t enable; /* bit of feature 0Bh, 0: always on */
} events[EV_COUNT] = {
	[EV_DB_REGISTER] = { TYPE_ERROR, 0x00, LOG_ERRORS, 0 },
	[EV_DB_VALUE] = { TYPE_ERROR, 0x01, LOG_ERRORS, 0 },
	[EV_NS_ATTACHED] = { TYPE_NOTICE, 0x00, LOG_NS_ATTACHED, OAES_NS_ATTACHED },
	[EV_NS_ALLOC] = { TYPE_NOTICE, 0x09, LOG_NS_ALLOC, OAES_NS_ALLOC },
};

uint16_t ssd_aer(struct ssd_cmd *c)
{
	struct ssd_fn *fn = c->fn;

	if (fn->n_aer > fn->face.aerl || fn->n_aer == SSD_MAX_AERS)
		return ST_AER_LIMIT;
	fn->aer[fn->n_aer++] = c->cid;
	c->parked = true;
	return ST_OK;
}

static void drop_aer(struct ssd_fn *fn, size_t i)
{
	fn->n_aer--;
	memmove(&fn->aer[i], &fn->aer[i + 1], (fn->n_aer - i) * sizeof(fn->aer[0]));
}

uint16_t ssd_abort(struct ssd_cmd *c)
{
	struct ssd_fn *fn = c->fn;
	uint16_t sqid = (uint16_t)c->cdw10, cid = (uint16_t)(c->cdw10 >> 16);

	c->dw0 = 1; /* not aborted: every other command is done before the next one is fetched */
	for (size_t i = 0; !sqid && i < fn->n_aer; i++) {
		if (fn->aer[i] != cid)
			continue;
		if (ssd_post(fn, 0, cid, ST_ABORTED, 0, 0)) {
			drop_aer(fn, i);
			c->dw0 = 0;
		}
		break;
	}
	return ST_OK;
}

void ssd_event_raise(struct ssd_fn *fn, enum ssd_event ev)
{
	if (events[ev].enable && !(fn->feat.async_events & events[ev].enable))
		return;
	fn->pending |= 1u << ev;
}

static void add_changed(uint32_t *list, size_t *n, uint32_t nsid)
{
	if (*n == SIZE_MAX)
		return;
	for (size_t i = 0; i < *n; i++)
		if (list[i] == nsid)
			return;
	if (*n == SSD_CHANGED_NS) {
		*n = SIZE_MAX;
		return;
	}
	list[(*n)++] = nsid;
}

void ssd_event_ns(struct ssd_fn *fn, enum ssd_event ev, uint32_t nsid)
{
	if (ev == EV_NS_ATTACHED)
		add_changed(fn->changed_attached, &fn->n_changed_attached, nsid);
	else
		add_changed(fn->changed_alloc, &fn->n_changed_alloc, nsid);
	ssd_event_raise(fn, ev);
}

void ssd_event_tail(struct ssd_fn *fn, uint16_t cdqid)
{
	ssd_event_tail_clear(fn, cdqid);
	if (fn->n_tail_events < EXP_ARRAY_SIZE(fn->tail_events))
		fn->tail_events[fn->n_tail_events++] = cdqid;
}

void ssd_event_tail_clear(struct ssd_fn *fn, uint16_t cdqid)
{
	size_t kept = 0;

	for (size_t i = 0; i < fn->n_tail_events; i++)
		if (fn->tail_events[i] != cdqid)
			fn->tail_events[kept++] = fn->tail_events[i];
	fn->n_tail_events = kept;
}

void ssd_event_log_read(struct ssd_fn *fn, uint8_t lid)
{
	for (unsigned int type = 0; type < 8; type++)
		if (fn->reported & 1u << type && fn->reported_lid[type] == lid)
			fn->reported &= ~(1u << type);
}

static bool report(struct ssd_fn *fn, uint32_t dw0, uint32_t dw1)
{
	if (!fn->n_aer || !ssd_post(fn, 0, fn->aer[0], ST_OK, dw0, dw1))
		return false;
	drop_aer(fn, 0);
	return true;
}

bool ssd_events_run(struct ssd_fn *fn)
{
	bool any = false;

	if (!fn->n_aer || !(fn->pending || fn->n_tail_events))
		return false;
	for (unsigned int ev = 0; ev < EV_COUNT; ev++) {
		uint8_t type = events[ev].type;

		if (!(fn->pending & 1u << ev) || fn->reported & 1u << type)
			continue;
		if (!report(fn, type | events[ev].info << 8 | events[ev].lid << 16, 0))
			return any;
		fn->pending &= ~(1u << ev);
		fn->reported |= 1u << type;
		fn->reported_lid[type] = events[ev].lid;
		any = true;
	}
	while (fn->n_tail_events && report(fn, TYPE_ONE_SHOT, fn->tail_events[0])) {
		ssd_event_tail_clear(fn, fn->tail_events[0]);
		any = true;
	}
	return any;
}

void ssd_error_note(struct ssd_cmd *c, uint16_t status)
{
	struct ssd_fn *fn = c->fn;

	fn->errors[fn->n_errors % SSD_ERROR_LOG] = (struct ssd_error_entry){
		.count = fn->n_errors + 1,
		.sqid = c->sqid,
		.cid = c->cid,
		.status = status,
		.nsid = c->nsid,
		.lba = c->sqid ? c->cdw10 | (uint64_t)c->cdw11 << 32 : 0,
	};
	fn->n_errors++;
}
