/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_block.c - stamp and read a logical block
 *
 * Bytes: 0 magic, 8 address, 16 sequence, 20 writer, 22 zero, 24 run, 28 length, 32 checksum (with
 * itself as zero), 40 noise that depends on all of it.
 */
#include <string.h>

#include "base/le.h"
#include "emu/guest_block.h"

#define MAGIC 0x6b636f6c42756d45u /* "EmuBlock" */
#define HEAD  40
#define MIX   0x9e3779b97f4a7c15u

/* Each step is a bijection of the state, so no change of a single word goes unseen. */
static uint64_t checksum(const uint8_t *p, size_t len)
{
	uint64_t h = MIX;

	for (size_t i = 0; i < len; i += 8) {
		h = (h ^ (i == 32 ? 0 : exp_le64(p + i))) * MIX;
		h ^= h >> 29;
	}
	return h;
}

void emu_block_write(void *dst, size_t len, const struct emu_stamp *s)
{
	uint8_t *p = dst;
	uint64_t noise = s->addr * MIX ^ (uint64_t)s->seq << 32 ^ s->run;

	exp_put_le64(p, MAGIC);
	exp_put_le64(p + 8, s->addr);
	exp_put_le32(p + 16, s->seq);
	exp_put_le16(p + 20, s->writer);
	exp_put_le16(p + 22, 0);
	exp_put_le32(p + 24, s->run);
	exp_put_le32(p + 28, (uint32_t)len);
	for (size_t i = HEAD; i < len; i += 8) {
		noise = (noise + MIX) * 0xbf58476d1ce4e5b9u;
		exp_put_le64(p + i, noise ^ noise >> 31);
	}
	exp_put_le64(p + 32, checksum(p, len));
}

enum emu_content emu_block_read(const void *src, size_t len, struct emu_stamp *ret)
{
	const uint8_t *p = src;

	/* all bytes equal to the first? */
	if ((p[0] == 0 || p[0] == 0xff) && !memcmp(p, p + 1, len - 1))
		return p[0] ? EMU_CONTENT_ONES : EMU_CONTENT_ZERO;
	if (exp_le64(p) != MAGIC || exp_le32(p + 28) != len || exp_le64(p + 32) != checksum(p, len))
		return EMU_CONTENT_BROKEN;
	ret->addr = exp_le64(p + 8);
	ret->seq = exp_le32(p + 16);
	ret->writer = exp_le16(p + 20);
	ret->run = exp_le32(p + 24);
	return EMU_CONTENT_STAMPED;
}
