/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_cmd.c - buffers scattered over guest memory, and the encoding of I/O commands
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "emu/guest_cmd.h"

#define DATA_OFFSET 512u /* where the data begins in every other buffer */

int emu_cmd_init(struct emu_cmd *c, struct emu_mem *mem, unsigned int slot, uint32_t blocks,
		 struct exp_error *err)
{
	int r = 0;

	c->off = slot % 2 ? DATA_OFFSET : 0;
	c->page = calloc(blocks + 1, sizeof(*c->page));
	if (!c->page)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	for (uint32_t i = 0; !r && i < blocks + 1; i++)
		r = emu_mem_page(mem, &c->page[i], err);
	return r < 0 ? r : emu_mem_page(mem, &c->list, err);
}

void emu_cmd_done(struct emu_cmd *c)
{
	free(c->page);
	c->page = NULL;
}

uint32_t emu_cmd_blocks(const struct emu_cmd *c)
{
	uint32_t n = 0;

	for (uint8_t i = 0; i < c->n_ext; i++)
		n += c->ext[i].n;
	return n;
}

/* Block @i of the buffer lies in one page, or in two when the data begins inside a page. */
void emu_cmd_put(struct emu_cmd *c, struct emu_mem *mem, uint32_t i, const uint8_t *src)
{
	uint8_t *a = emu_mem_ptr(mem, c->page[i]);

	memcpy(a + c->off, src, EMU_BLOCK - c->off);
	if (c->off)
		memcpy(emu_mem_ptr(mem, c->page[i + 1]), src + EMU_BLOCK - c->off, c->off);
}

const uint8_t *emu_cmd_get(const struct emu_cmd *c, struct emu_mem *mem, uint32_t i,
			   uint8_t *scratch)
{
	uint8_t *a = emu_mem_ptr(mem, c->page[i]);

	if (!c->off)
		return a;
	memcpy(scratch, a + c->off, EMU_BLOCK - c->off);
	memcpy(scratch + EMU_BLOCK - c->off, emu_mem_ptr(mem, c->page[i + 1]), c->off);
	return scratch;
}

void emu_cmd_spoil(struct emu_cmd *c, struct emu_mem *mem)
{
	uint8_t junk[EMU_BLOCK];

	memset(junk, 0xa5, sizeof(junk));
	for (uint32_t i = 0; i < emu_cmd_blocks(c); i++)
		emu_cmd_put(c, mem, i, junk);
}

static void put_prps(const struct emu_cmd *c, struct emu_mem *mem, uint32_t bytes, uint8_t *sqe)
{
	uint32_t pages = (c->off + bytes + EMU_PAGE - 1) / EMU_PAGE;
	uint8_t *list = emu_mem_ptr(mem, c->list);

	exp_put_le64(sqe + 24, c->page[0] + c->off);
	if (pages == 2)
		exp_put_le64(sqe + 32, c->page[1]);
	if (pages <= 2)
		return;
	for (uint32_t i = 1; i < pages; i++)
		exp_put_le64(list + 8 * (size_t)(i - 1), c->page[i]);
	exp_put_le64(sqe + 32, c->list);
}

static uint64_t lba_of(const struct emu_ns *ns, uint64_t block)
{
	return block * (EMU_BLOCK >> ns->lba_shift);
}

static void put_trim(struct emu_cmd *c, struct emu_mem *mem, const struct emu_ns *ns, uint8_t *sqe)
{
	uint8_t list[16 * EMU_MAX_EXTENT] = { 0 };
	uint32_t per_block = EMU_BLOCK >> ns->lba_shift;

	for (uint8_t i = 0; i < c->n_ext; i++) {
		exp_put_le32(list + 16 * i + 4, c->ext[i].n * per_block);
		exp_put_le64(list + 16 * i + 8, lba_of(ns, c->ext[i].first));
	}
	memcpy((uint8_t *)emu_mem_ptr(mem, c->page[0]) + c->off, list, sizeof(list));
	exp_put_le32(sqe + 40, c->n_ext - 1u);
	exp_put_le32(sqe + 44, 4); /* AD: deallocate */
	put_prps(c, mem, sizeof(list), sqe);
}

void emu_cmd_encode(struct emu_cmd *c, struct emu_mem *mem, const struct emu_ns *ns,
		    uint8_t sqe[EMU_SQE_BYTES])
{
	static const uint8_t opcodes[] = {
		[EMU_OP_READ] = 0x02, [EMU_OP_WRITE] = 0x01, [EMU_OP_ZERO] = 0x08,
		[EMU_OP_TRIM] = 0x09, [EMU_OP_FLUSH] = 0x00, [EMU_OP_SCAN] = 0x02,
	};
	uint32_t blocks = emu_cmd_blocks(c);

	memset(sqe, 0, EMU_SQE_BYTES);
	sqe[0] = opcodes[c->op];
	exp_put_le32(sqe + 4, ns->nsid);
	switch (c->op) {
	case EMU_OP_FLUSH: return;
	case EMU_OP_TRIM: put_trim(c, mem, ns, sqe); return;
	case EMU_OP_READ:
	case EMU_OP_WRITE:
	case EMU_OP_SCAN: put_prps(c, mem, blocks * EMU_BLOCK, sqe); break;
	case EMU_OP_ZERO: break;
	}
	exp_put_le64(sqe + 40, lba_of(ns, c->ext[0].first));
	exp_put_le32(sqe + 48, (uint32_t)lba_of(ns, blocks) - 1);
}
