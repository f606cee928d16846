/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crc32c.c - by ISA-L, and the only file that includes it
 *
 * Every byte of namespace data is checked on both sides, so this has to run at memory speed: three
 * interleaved chains of the CRC32 instruction, or carry-less multiplication where there is none,
 * chosen at run time. One chain, which is what a plain loop over the instruction gives, is 2.5
 * times slower; ISA-L also has the code for processors without either.
 */
#include <isa-l/crc.h>

#include "base/error.h"
#include "wire/crc32c.h"

uint32_t exp_crc32c(uint32_t crc, const void *p, size_t n)
{
	/* ISA-L takes an int, and a pointer to non-const that it only reads through */
	unsigned char *at = (unsigned char *)(uintptr_t)p;

	crc = ~crc;
	while (n) {
		size_t part = EXP_MIN(n, (size_t)1 << 30);

		crc = crc32_iscsi(at, (int)part, crc);
		at += part;
		n -= part;
	}
	return ~crc;
}
