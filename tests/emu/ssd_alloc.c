/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_alloc.c - Get LBA Status with ATYPE 02h: which ranges hold data, as the sparse file knows
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "emu/ssd_internal.h"

#define ATYPE_TRACKED 0x02
#define LBARS_TRACKED 0x02 /* at least one block of the range is allocated */
#define HEADER_BYTES  8
#define DESC_BYTES    16
#define MAX_RANGE     (UINT64_C(1) << 32) /* blocks: NLB is 0's based in 32 bits */

enum { CMPC_INCOMPLETE = 1, CMPC_COMPLETE = 2 };

/* The next allocated range at or behind @lba, before @end; false: there is none. */
static bool next_range(const struct ssd_ns *ns, uint64_t lba, uint64_t end, uint64_t *from,
		       uint64_t *to)
{
	off_t data = lseek(ns->fd, (off_t)(lba << ns->lbads), SEEK_DATA);
	uint64_t mask = (UINT64_C(1) << ns->lbads) - 1;
	off_t hole;

	if (data < 0) {
		/* ENXIO: nothing behind; anything else: say that all of it is allocated */
		*from = lba;
		*to = end;
		return errno != ENXIO && lba < end;
	}
	hole = lseek(ns->fd, data, SEEK_HOLE);
	*from = (uint64_t)data >> ns->lbads;
	*to = hole < 0 ? end : ((uint64_t)hole + mask) >> ns->lbads;
	if (*to > end)
		*to = end;
	if (*from < lba)
		*from = lba;
	return *from < *to;
}

uint16_t ssd_get_lba_status(struct ssd_cmd *c)
{
	const struct ssd_ns *ns = ssd_visible_ns(c->fn, c->nsid);
	uint64_t slba = c->cdw10 | (uint64_t)c->cdw11 << 32, end, from, to;
	uint64_t bytes = ((uint64_t)c->cdw12 + 1) * 4, room;
	uint32_t range = c->cdw13 & 0xFFFF, n = 0;
	uint8_t *d, complete = CMPC_COMPLETE;
	uint16_t st;

	if (!ns)
		return c->nsid && c->nsid <= c->fn->face.nn ? ST_INVALID_FIELD : ST_INVALID_NS;
	if (c->cdw13 >> 24 != ATYPE_TRACKED || bytes < HEADER_BYTES || !ssd_xfer_fits(c->fn, bytes))
		return ST_INVALID_FIELD;
	if (slba >= ns->blocks)
		return ST_LBA_RANGE;
	end = range ? EXP_MIN(slba + range, ns->blocks) : ns->blocks;
	room = (bytes - HEADER_BYTES) / DESC_BYTES;
	d = calloc(1, bytes);
	if (!d)
		return ST_INTERNAL;
	while (next_range(ns, slba, end, &from, &to)) {
		uint8_t *at = d + HEADER_BYTES + (size_t)DESC_BYTES * n;

		if (n == room) {
			complete = CMPC_INCOMPLETE;
			break;
		}
		to = EXP_MIN(to, from + MAX_RANGE);
		exp_put_le64(at, from);
		exp_put_le32(at + 8, (uint32_t)(to - from - 1));
		at[13] = LBARS_TRACKED;
		n++;
		slba = to;
	}
	exp_put_le32(d, n);
	d[4] = complete;
	st = ssd_data_out(c, d, (uint32_t)bytes);
	free(d);
	return st;
}
