/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_mem.h - the guest's memory: one file, mapped here and handed to every function it drives
 *
 * It appears to devices as two ranges, as a PC's does below and above the hole under 4 GiB, so that
 * lists of pages cross from one to the other. Pages are handed out and never taken back: a guest
 * that boots again uses the same ones.
 */
#ifndef EMU_GUEST_MEM_H
#define EMU_GUEST_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "emu/client.h"

#define EMU_PAGE       4096u
#define EMU_MEM_RANGES 2

struct emu_mem_range {
	uint64_t iova, bytes, offset; /* in the file */
	uint64_t used;
};

struct emu_mem {
	int fd;
	uint8_t *base;
	uint64_t bytes;
	struct emu_mem_range range[EMU_MEM_RANGES];
	unsigned int turn; /* range that gives the next single page */
};

/** emu_mem_open - @path NULL: a memfd; else the file, created when missing, made @bytes long */
int emu_mem_open(struct emu_mem *m, const char *path, uint64_t bytes,
		 struct exp_error *err) EXP_MUST_CHECK;
void emu_mem_close(struct emu_mem *m);

/** emu_mem_run - @pages in one piece, zeroed; *ret is the address that devices use */
int emu_mem_run(struct emu_mem *m, uint32_t pages, uint64_t *ret,
		struct exp_error *err) EXP_MUST_CHECK;
/** emu_mem_page - one page, from the two ranges in turn */
int emu_mem_page(struct emu_mem *m, uint64_t *ret, struct exp_error *err) EXP_MUST_CHECK;

/** emu_mem_ptr - of an address that emu_mem_run() or emu_mem_page() gave, or one behind it */
void *emu_mem_ptr(const struct emu_mem *m, uint64_t iova);

/** emu_mem_share - map all of it for the device behind @c */
int emu_mem_share(const struct emu_mem *m, struct emu_client *c,
		  struct exp_error *err) EXP_MUST_CHECK;

#endif
