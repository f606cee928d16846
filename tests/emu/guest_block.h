/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_block.h - what the guest writes: every logical block says where it belongs and when it was
 * written
 *
 * One logical block carries a magic number, its byte address in the namespace, a sequence number,
 * the queue that wrote it, the guest's run and a checksum over all of it; the rest is noise. A
 * block that is read back can be told apart from any other one ever written, from zeros and from a
 * mixture.
 */
#ifndef EMU_GUEST_BLOCK_H
#define EMU_GUEST_BLOCK_H

#include <stddef.h>
#include <stdint.h>

struct emu_stamp {
	uint64_t addr; /* bytes from the start of the namespace */
	uint32_t seq;
	uint32_t run;
	uint16_t writer; /* queue id */
};

enum emu_content {
	EMU_CONTENT_STAMPED,
	EMU_CONTENT_ZERO,
	EMU_CONTENT_ONES,
	EMU_CONTENT_BROKEN, /* none of these, or a checksum that is wrong */
};

/** emu_block_write - @len bytes, 512..65536, a multiple of 8 */
void emu_block_write(void *dst, size_t len, const struct emu_stamp *s);

/** emu_block_read - what is it? @ret is filled for EMU_CONTENT_STAMPED */
enum emu_content emu_block_read(const void *src, size_t len, struct emu_stamp *ret);

#endif
