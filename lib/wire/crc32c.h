/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crc32c.h - CRC-32C (Castagnoli), the checksum of bulk extents
 */
#ifndef EXP_WIRE_CRC32C_H
#define EXP_WIRE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/**
 * exp_crc32c - CRC of @n bytes that follow those whose CRC is @crc
 * @crc: 0 to begin; the result of the former call to go on
 *
 * The usual form: initial value and final inversion of all ones, so "123456789" gives E3069283h.
 * Pure; any thread.
 */
uint32_t exp_crc32c(uint32_t crc, const void *p, size_t n);

#endif
