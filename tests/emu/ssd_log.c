/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_log.c - log pages (NVMe Base 2.3, 5.2.12.1): errors, health, firmware slot, changed
 * namespaces, commands supported and effects
 */
#include <string.h>

#include "emu/ssd_internal.h"

#define LOG_MAX       4096
#define CHANGED_MAX   1024
#define ERROR_BYTES   64
#define KELVIN_NORMAL 310

static uint32_t fill_errors(struct ssd_fn *fn, uint8_t *d)
{
	uint64_t shown = EXP_MIN(fn->n_errors, fn->face.elpe + 1u);

	shown = EXP_MIN(shown, SSD_ERROR_LOG);
	for (uint64_t i = 0; i < shown; i++) { /* newest first */
		const struct ssd_error_entry *e =
			&fn->errors[(fn->n_errors - 1 - i) % SSD_ERROR_LOG];
		uint8_t *at = d + ERROR_BYTES * i;

		exp_put_le64(at, e->count);
		exp_put_le16(at + 8, e->sqid);
		exp_put_le16(at + 10, e->cid);
		exp_put_le16(at + 12, (uint16_t)(e->status << 1));
		exp_put_le16(at + 14, 0xFFFF); /* no parameter is to blame in particular */
		exp_put_le64(at + 16, e->lba);
		exp_put_le32(at + 24, e->nsid);
	}
	return EXP_MIN((fn->face.elpe + 1u) * ERROR_BYTES, (unsigned int)LOG_MAX);
}

static uint32_t fill_smart(struct ssd_fn *fn, uint8_t *d)
{
	if (!fn->face.exported)
		exp_put_le16(d + 1, KELVIN_NORMAL);
	d[3] = 100; /* available spare */
	d[4] = 10;  /* its threshold */
	exp_put_le64(d + 32, (fn->blocks_read + 999) / 1000);
	exp_put_le64(d + 48, (fn->blocks_written + 999) / 1000);
	exp_put_le64(d + 64, fn->reads);
	exp_put_le64(d + 80, fn->writes);
	exp_put_le64(d + 176, fn->n_errors);
	return 512;
}

static uint32_t fill_firmware(struct ssd_fn *fn, uint8_t *d)
{
	const char *own = fn->ssd->profile->firmware;

	d[0] = 1; /* slot 1 is active */
	if (fn->face.exported) {
		memcpy(d + 8, fn->face.config.fr, 8);
	} else {
		memset(d + 8, ' ', 8);
		memcpy(d + 8, own, strnlen(own, 8));
	}
	return 512;
}

static uint32_t fill_changed(const uint32_t *list, size_t n, uint8_t *d)
{
	if (n == SIZE_MAX) /* more than the list holds: look at everything */
		exp_put_le32(d, NSID_ALL);
	for (size_t i = 0; n != SIZE_MAX && i < n; i++) {
		size_t at = 0; /* ascending */

		for (size_t k = 0; k < n; k++)
			at += list[k] < list[i];
		exp_put_le32(d + 4 * at, list[i]);
	}
	return CHANGED_MAX * 4;
}

static uint32_t fill_effects(struct ssd_fn *fn, uint8_t *d)
{
	for (unsigned int op = 0; op < 256; op++) {
		exp_put_le32(d + 4 * op, ssd_admin_effects(fn, (uint8_t)op));
		exp_put_le32(d + 1024 + 4 * op, ssd_io_effects(fn, (uint8_t)op));
	}
	return 4096;
}

/* Size of the log, 0: not here. */
static uint32_t fill(struct ssd_fn *fn, uint8_t lid, uint8_t *d)
{
	switch (lid) {
	case LOG_ERRORS: return fill_errors(fn, d);
	case LOG_SMART: return fill_smart(fn, d);
	case LOG_FIRMWARE: return fill_firmware(fn, d);
	case LOG_NS_ATTACHED: return fill_changed(fn->changed_attached, fn->n_changed_attached, d);
	case LOG_EFFECTS: return fill_effects(fn, d);
	case LOG_NS_ALLOC:
		return fn->is_mmc ? fill_changed(fn->changed_alloc, fn->n_changed_alloc, d) : 0;
	default: return 0;
	}
}

uint16_t ssd_get_log(struct ssd_cmd *c)
{
	struct ssd_fn *fn = c->fn;
	uint8_t lid = (uint8_t)c->cdw10, page[LOG_MAX] = { 0 };
	uint64_t dwords = (c->cdw10 >> 16 | (uint64_t)(c->cdw11 & 0xFFFF) << 16) + 1;
	uint64_t off = c->cdw12 | (uint64_t)c->cdw13 << 32;
	bool keep_event = c->cdw10 & 0x8000; /* RAE */
	uint8_t out[LOG_MAX] = { 0 };
	uint32_t size = fill(fn, lid, page);
	uint16_t st;

	if (!size)
		return ST_LOG_INVALID;
	if (off & 3 || off > size || !ssd_xfer_fits(fn, dwords * 4))
		return ST_INVALID_FIELD;
	memcpy(out, page + off, size - off);
	/* beyond the log's end the bytes are undefined: zeros, page by page */
	st = ssd_data_out(c, out, (uint32_t)EXP_MIN(dwords * 4, sizeof(out)));
	if (st || keep_event)
		return st;
	ssd_event_log_read(fn, lid);
	if (lid == LOG_NS_ATTACHED)
		fn->n_changed_attached = 0;
	if (lid == LOG_NS_ALLOC)
		fn->n_changed_alloc = 0;
	return ST_OK;
}
