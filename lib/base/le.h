/* SPDX-License-Identifier: Apache-2.0 */
/*
 * le.h - little-endian fields at any byte offset
 *
 * Device structures and wire headers are never cast: a field is read where the figure of the
 * specification says it is, whatever its alignment. The caller has checked the length.
 */
#ifndef EXP_BASE_LE_H
#define EXP_BASE_LE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define EXP_LE_DEFINE(bits)                                            \
	static inline uint##bits##_t exp_le##bits(const void *p)       \
	{                                                              \
		uint##bits##_t v;                                      \
		memcpy(&v, p, sizeof(v));                              \
		return le##bits##toh(v);                               \
	}                                                              \
	static inline void exp_put_le##bits(void *p, uint##bits##_t v) \
	{                                                              \
		v = htole##bits(v);                                    \
		memcpy(p, &v, sizeof(v));                              \
	}

EXP_LE_DEFINE(16)
EXP_LE_DEFINE(32)
EXP_LE_DEFINE(64)
#undef EXP_LE_DEFINE

#endif
