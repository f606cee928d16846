/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_prp.c - the client's data buffer of a command: PRP entries and lists (NVMe Base 2.3, 4.3.1)
 *
 * Every list page is copied once and checked in the copy, so a client that changes a list while
 * the command runs gains nothing. Each page is looked up on its own: a buffer may cross mappings.
 */
#include <string.h>
#include <sys/uio.h>

#include "emu/ssd_internal.h"

bool ssd_xfer_fits(const struct ssd_fn *fn, uint64_t len)
{
	uint64_t max = SSD_MAX_XFER_BYTES;

	if (fn->face.mdts && fn->face.mdts < 8) /* in units of CAP.MPSMIN, 4 KiB here */
		max = UINT64_C(4096) << fn->face.mdts;
	return len <= max;
}

struct pages {
	uint64_t addr[SSD_MAX_PAGES];
	unsigned int n;
};

/* Entries of a PRP list, from page to page, until @left bytes are described. */
static uint16_t walk_list(struct ssd_fn *fn, uint64_t list, uint64_t left, uint32_t page,
			  struct pages *p)
{
	uint64_t entries[512];

	while (left) {
		uint64_t room = (page - (list & (page - 1))) / 8;
		uint64_t want = (left + page - 1) / page;
		bool chained = want > room;
		uint64_t take = chained ? room : want;

		if (list & 7)
			return ST_PRP_OFFSET;
		/* big pages hold more entries than the array: read them in pieces */
		for (uint64_t i = 0; i < take;) {
			uint64_t n = EXP_MIN(take - i, EXP_ARRAY_SIZE(entries));

			if (!fn->host.dma_read(fn->host.arg, list + 8 * i, entries, 8 * n))
				return ST_DATA_TRANSFER;
			for (uint64_t k = 0; k < n; k++, i++) {
				uint64_t e = le64toh(entries[k]);

				if (chained && i + 1 == take) {
					list = e;
					i = take;
					break;
				}
				if (e & (page - 1))
					return ST_PRP_OFFSET;
				if (p->n == SSD_MAX_PAGES)
					return ST_INVALID_FIELD;
				p->addr[p->n++] = e;
				left -= EXP_MIN(left, page);
			}
		}
		if (chained && (list & (page - 1)))
			return ST_PRP_OFFSET; /* only the first list may begin inside a page */
	}
	return ST_OK;
}

uint16_t ssd_prp_map(struct ssd_cmd *c, uint64_t len, bool write, struct iovec *iov, int *ret_n)
{
	struct ssd_fn *fn = c->fn;
	uint32_t page = ssd_page_bytes(fn);
	uint64_t first = EXP_MIN(len, page - (c->prp1 & (page - 1)));
	struct pages p = { .n = 0 };
	uint64_t left = len - first;
	uint16_t st;
	int n = 0;

	if (c->prp1 & 3)
		return ST_PRP_OFFSET;
	p.addr[p.n++] = c->prp1;
	if (left && left <= page) {
		if (c->prp2 & (page - 1))
			return ST_PRP_OFFSET;
		p.addr[p.n++] = c->prp2;
	} else if (left) {
		st = walk_list(fn, c->prp2, left, page, &p);
		if (st)
			return st;
	}
	for (unsigned int i = 0; i < p.n; i++) {
		uint64_t bytes = i ? EXP_MIN(left, page) : first;
		uint8_t *mem = fn->host.dma(fn->host.arg, p.addr[i], bytes, write);

		if (!mem)
			return ST_DATA_TRANSFER;
		if (i)
			left -= bytes;
		if (n && (uint8_t *)iov[n - 1].iov_base + iov[n - 1].iov_len == mem)
			iov[n - 1].iov_len += bytes;
		else
			iov[n++] = (struct iovec){ mem, bytes };
	}
	*ret_n = n;
	return ST_OK;
}

/* The pages of the buffer one by one; an admin command's data is small, so copies are fine. */
static uint16_t copy(struct ssd_cmd *c, uint8_t *in, const uint8_t *out, uint32_t len)
{
	struct iovec iov[SSD_MAX_PAGES];
	uint16_t st;
	int n;

	if (!len)
		return ST_OK;
	if (!ssd_xfer_fits(c->fn, len))
		return ST_INVALID_FIELD;
	st = ssd_prp_map(c, len, out, iov, &n);
	if (st)
		return st;
	for (int i = 0; i < n; i++) {
		if (out) {
			memcpy(iov[i].iov_base, out, iov[i].iov_len);
			out += iov[i].iov_len;
		} else {
			memcpy(in, iov[i].iov_base, iov[i].iov_len);
			in += iov[i].iov_len;
		}
	}
	return ST_OK;
}

uint16_t ssd_data_in(struct ssd_cmd *c, void *buf, uint32_t len)
{
	return copy(c, buf, NULL, len);
}

uint16_t ssd_data_out(struct ssd_cmd *c, const void *buf, uint32_t len)
{
	return copy(c, NULL, buf, len);
}
