/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_template.h - the bytes of the Reference template: configuration state and state header
 *
 * The standard fixes the totals (364 + 48 bytes, 64 bytes) and the fields; where each field lies
 * is this project's draft (A-10, A-17 in README.md). This is the only place that knows it.
 */
#ifndef EMU_SSD_TEMPLATE_H
#define EMU_SSD_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/uuid.h"

/* Byte offsets, which also name the field in DWLOC and BITLOC of a refusal. */
enum {
	RECCS_ECNTLID = 0,
	RECCS_RSVD2 = 2,
	RECCS_SN = 4,
	RECCS_MN = 24,
	RECCS_FR = 64,
	RECCS_RAB = 72,
	RECCS_MDTS = 73,
	RECCS_MQES = 74,
	RECCS_NCQS = 76,
	RECCS_NSQS = 78,
	RECCS_ONCS = 80,
	RECCS_AWUN = 82,
	RECCS_AWUPF = 84,
	RECCS_RSVD86 = 86,
	RECCS_SUBNQN = 108,
	RECCS_BYTES = 364,
	RENSCS_ENSID = RECCS_BYTES + 0,
	RENSCS_LBAF0 = RECCS_BYTES + 4,
	RENSCS_NAWUN = RECCS_BYTES + 8,
	RENSCS_NAWUPF = RECCS_BYTES + 10,
	RENSCS_RSVD12 = RECCS_BYTES + 12,
	RENSCS_NGUID = RECCS_BYTES + 16,
	RENSCS_UUID = RECCS_BYTES + 32,
	REFCONFIG_BYTES = 412,
};

struct ssd_refconfig {
	uint16_t ecntlid;
	char sn[20], mn[40], fr[8]; /* padded with spaces, no NUL */
	uint8_t rab, mdts;
	uint16_t mqes, ncqs, nsqs; /* 0's based */
	uint16_t oncs, awun, awupf;
	char nqn[256]; /* NUL padded; empty: keep the one of Create */
	uint32_t ensid;
	uint16_t ms;
	uint8_t lbads, rp;
	uint16_t nawun, nawupf;
	struct exp_uuid nguid, uuid;
};

/**
 * ssd_refconfig_parse - bytes to fields; reserved bytes and text are checked, limits are not
 * @ret_where: byte offset of what is wrong, on false
 */
bool ssd_refconfig_parse(const uint8_t b[REFCONFIG_BYTES], struct ssd_refconfig *ret,
			 size_t *ret_where);
void ssd_refconfig_print(const struct ssd_refconfig *c, uint8_t b[REFCONFIG_BYTES]);

#define REFSTATE_BYTES   64
#define REFSTATE_AERS    4
#define REFSTATE_VECTORS 64

struct ssd_refstate {
	bool suspended; /* CSATTR.CP */
	uint8_t n_aer;
	uint16_t aer[REFSTATE_AERS];
	uint16_t sq_head, sq_tail, cq_head, cq_tail; /* of the admin queue */
	uint8_t cq_slot0_phase;
	uint32_t arbitration;
	uint16_t temp_over, temp_under;
	uint8_t write_cache;
	uint32_t queues, coalescing, async_events;
	uint8_t no_coalesce[REFSTATE_VECTORS / 8];
	uint32_t nvmecss; /* dwords of what follows the header */
};

/** ssd_refstate_parse - false: another version, a reserved bit, or more AERs than there is room */
bool ssd_refstate_parse(const uint8_t b[REFSTATE_BYTES], struct ssd_refstate *ret);
void ssd_refstate_print(const struct ssd_refstate *s, uint8_t b[REFSTATE_BYTES]);

#endif
