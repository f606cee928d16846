/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_cmd.h - one I/O command of the guest: what it is to do, its buffer, its submission entry
 *
 * (NVM Command Set: Flush 00h, Write 01h, Read 02h, Write Zeroes 08h, Dataset Management 09h.)
 * Buffers are pages from all over guest memory, so that every transfer of more than a page goes by
 * a list; in every other slot the data begins inside a page.
 */
#ifndef EMU_GUEST_CMD_H
#define EMU_GUEST_CMD_H

#include "emu/guest_ledger.h"
#include "emu/guest_mem.h"
#include "emu/guest_queue.h"

#define EMU_MAX_EXTENT 4 /* ranges of one deallocation */

/* What a command needs to know of the namespace and the controller. */
struct emu_ns {
	uint32_t nsid;
	uint8_t lba_shift;
	uint64_t blocks; /* of EMU_BLOCK bytes */
	enum emu_dealloc dealloc;
	bool can_zero, can_trim, has_cache;
	uint32_t max_bytes; /* MDTS */
};

enum emu_op { EMU_OP_READ, EMU_OP_WRITE, EMU_OP_ZERO, EMU_OP_TRIM, EMU_OP_FLUSH, EMU_OP_SCAN };

struct emu_extent {
	uint64_t first;
	uint32_t n;
};

struct emu_cmd {
	bool live;
	bool given_up; /* counted as lost */
	enum emu_op op;
	uint8_t n_ext, tries;
	struct emu_extent ext[EMU_MAX_EXTENT];
	uint32_t seq;
	uint64_t sent_us;
	uint64_t *page; /* of the data buffer, scattered */
	uint64_t list;  /* PRP list */
	uint32_t off;   /* of the data in the first page */
};

/** emu_cmd_init - take memory for @blocks of data */
int emu_cmd_init(struct emu_cmd *c, struct emu_mem *mem, unsigned int slot, uint32_t blocks,
		 struct exp_error *err) EXP_MUST_CHECK;
void emu_cmd_done(struct emu_cmd *c);

uint32_t emu_cmd_blocks(const struct emu_cmd *c);

/* Block @i of the buffer, EMU_BLOCK bytes. _get gives a pointer into guest memory or to @scratch.
 */
void emu_cmd_put(struct emu_cmd *c, struct emu_mem *mem, uint32_t i, const uint8_t *src);
const uint8_t *emu_cmd_get(const struct emu_cmd *c, struct emu_mem *mem, uint32_t i,
			   uint8_t *scratch);
/** emu_cmd_spoil - before a read: one that claims success and moves nothing must show */
void emu_cmd_spoil(struct emu_cmd *c, struct emu_mem *mem);

/** emu_cmd_encode - the submission entry, without its identifier */
void emu_cmd_encode(struct emu_cmd *c, struct emu_mem *mem, const struct emu_ns *ns,
		    uint8_t sqe[EMU_SQE_BYTES]);

#endif
