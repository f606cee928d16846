/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_feature.c - Get and Set Features (NVMe Base 2.3, 5.2.26.1)
 *
 * A function behind an export can change only what the Reference state carries, so that no value a
 * guest set can be lost on the way; the rest answers Feature Not Changeable.
 */
#include <string.h>

#include "emu/ssd_internal.h"

void ssd_features_reset(struct ssd_fn *fn)
{
	fn->feat = (struct ssd_features){
		.temp_over = fn->face.temp_over,
		.temp_under = fn->face.temp_under,
		.write_cache = 1,
		.queues = (uint32_t)(fn->face.queues_sq - 1) | (uint32_t)(fn->face.queues_cq - 1)
								       << 16,
	};
	/* template: vector 0 does not coalesce, the others do */
	fn->feat.no_coalesce[0] = 1;
}

uint32_t ssd_async_events_allowed(const struct ssd_fn *fn)
{
	return fn->face.oaes | 0xFF; /* bits 7:0: SMART warnings, always there */
}

static uint16_t set_temperature(struct ssd_features *f, uint32_t cdw11)
{
	uint32_t sensor = (cdw11 >> 16) & 0xF, which = (cdw11 >> 20) & 3;

	if ((sensor && sensor != 0xF) || which > 1)
		return ST_INVALID_FIELD;
	if (which)
		f->temp_under = (uint16_t)cdw11;
	else
		f->temp_over = (uint16_t)cdw11;
	return ST_OK;
}

static uint16_t set_queues(struct ssd_cmd *c)
{
	struct ssd_fn *fn = c->fn;
	uint32_t sqs = c->cdw11 & 0xFFFF, cqs = c->cdw11 >> 16;

	if (sqs == 0xFFFF || cqs == 0xFFFF)
		return ST_INVALID_FIELD;
	if (fn->io_queue_made)
		return ST_SEQUENCE;
	sqs = EXP_MIN(sqs, fn->face.queues_sq - 1u);
	cqs = EXP_MIN(cqs, fn->face.queues_cq - 1u);
	fn->feat.queues = c->dw0 = sqs | cqs << 16;
	return ST_OK;
}

static uint16_t set_vector(struct ssd_cmd *c)
{
	uint32_t v = c->cdw11 & 0xFFFF;
	uint8_t bit = (uint8_t)(1u << v % 8);

	if (v >= c->fn->ssd->profile->vectors)
		return ST_INVALID_FIELD;
	if (c->fn->face.exported && v >= REFSTATE_VECTORS)
		return ST_FEATURE_NOT_CHANGEABLE;
	if (c->cdw11 & 0x10000)
		c->fn->feat.no_coalesce[v / 8] |= bit;
	else
		c->fn->feat.no_coalesce[v / 8] &= (uint8_t)~bit;
	return ST_OK;
}

uint16_t ssd_set_features(struct ssd_cmd *c)
{
	struct ssd_fn *fn = c->fn;
	uint8_t fid = (uint8_t)c->cdw10;

	if (c->cdw10 >> 31)
		return ST_FEATURE_NOT_SAVEABLE;
	if (c->nsid && c->nsid != NSID_ALL)
		return ST_FEATURE_NOT_PER_NS;
	switch (fid) {
	case FID_ARBITRATION: fn->feat.arbitration = c->cdw11; return ST_OK;
	case FID_POWER: /* one power state */ return c->cdw11 & 0x1F ? ST_INVALID_FIELD : ST_OK;
	case FID_TEMPERATURE: return set_temperature(&fn->feat, c->cdw11);
	case FID_ERROR_RECOVERY: return c->cdw11 ? ST_FEATURE_NOT_CHANGEABLE : ST_OK;
	case FID_WRITE_CACHE: fn->feat.write_cache = c->cdw11 & 1; return ST_OK;
	case FID_QUEUES: return set_queues(c);
	case FID_COALESCING: fn->feat.coalescing = c->cdw11 & 0xFFFF; return ST_OK;
	case FID_VECTOR: return set_vector(c);
	case FID_ASYNC_EVENTS:
		if (c->cdw11 & ~ssd_async_events_allowed(fn))
			return ST_INVALID_FIELD;
		fn->feat.async_events = c->cdw11;
		return ST_OK;
	case FID_CDQ:
		if (fn->is_mmc && fn->ssd->profile->mcudmq)
			return ssd_cdq_set_feature(c);
		return ST_INVALID_FIELD;
	default: return ST_INVALID_FIELD;
	}
}

static uint16_t value_of(struct ssd_cmd *c, const struct ssd_features *f, uint32_t *ret)
{
	uint32_t v = c->cdw11 & 0xFFFF;

	switch ((uint8_t)c->cdw10) {
	case FID_ARBITRATION: *ret = f->arbitration; return ST_OK;
	case FID_POWER:
	case FID_ERROR_RECOVERY: *ret = 0; return ST_OK;
	case FID_TEMPERATURE:
		if ((c->cdw11 >> 16) & 0xF || ((c->cdw11 >> 20) & 3) > 1)
			return ST_INVALID_FIELD;
		*ret = (c->cdw11 >> 20) & 3 ? f->temp_under : f->temp_over;
		return ST_OK;
	case FID_WRITE_CACHE: *ret = f->write_cache; return ST_OK;
	case FID_QUEUES: *ret = f->queues; return ST_OK;
	case FID_COALESCING: *ret = f->coalescing; return ST_OK;
	case FID_VECTOR:
		if (v >= c->fn->ssd->profile->vectors)
			return ST_INVALID_FIELD;
		*ret = v | (f->no_coalesce[v / 8] >> v % 8 & 1u) << 16;
		return ST_OK;
	case FID_ASYNC_EVENTS: *ret = f->async_events; return ST_OK;
	default: return ST_INVALID_FIELD;
	}
}

uint16_t ssd_get_features(struct ssd_cmd *c)
{
	uint8_t fid = (uint8_t)c->cdw10, sel = (c->cdw10 >> 8) & 7;
	struct ssd_fn *fn = c->fn;
	struct ssd_features now = fn->feat, defaults;
	uint32_t val = 0;
	uint16_t st;

	if (fid == FID_CDQ && fn->is_mmc && fn->ssd->profile->mcudmq)
		return ssd_cdq_get_feature(c);
	ssd_features_reset(fn);
	defaults = fn->feat;
	fn->feat = now;
	/* SEL: 0 current, 1 default, 2 saved (nothing is: the default), 3 what can be done */
	if (sel > 3)
		return ST_INVALID_FIELD;
	st = value_of(c, sel == 1 || sel == 2 ? &defaults : &now, &val);
	if (st)
		return st;
	if (sel == 3)
		val = fid == FID_POWER || fid == FID_ERROR_RECOVERY ? 0 : 4; /* changeable */
	c->dw0 = val;
	return ST_OK;
}
