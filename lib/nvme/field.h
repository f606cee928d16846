/* SPDX-License-Identifier: Apache-2.0 */
/*
 * field.h - a figure of the specification as a table: which bytes go to which member
 *
 * The rows read like the figure: name, first byte, width. The width must be that of the member
 * named, which the compiler checks, so that a row cannot cut or overrun it. The tables live beside
 * the functions that use them; only lib/nvme includes this.
 */
#ifndef EXP_NVME_FIELD_H
#define EXP_NVME_FIELD_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum exp_nvme_field_kind {
	EXP_NVME_FIELD_INT,   /* little-endian integer of 1, 2, 4 or 8 bytes */
	EXP_NVME_FIELD_BYTES, /* copied as they are */
	EXP_NVME_FIELD_TEXT,  /* space-padded ASCII; the member has room for a NUL more */
};

struct exp_nvme_field {
	uint16_t at;    /* first byte in the structure of the specification */
	uint16_t width; /* bytes there */
	uint16_t to;    /* offset of the member */
	enum exp_nvme_field_kind kind;
};

/* @width when it is @size, else no compilation */
#define EXP_NVME_SAME_(width, size)    ((width) + 0 * sizeof(char[(width) == (size) ? 1 : -1]))
#define EXP_NVME_MEMBER_(type, member) sizeof(((type *)0)->member)
#define EXP_NVME_ROW_(type, member, at, width, extra, kind)                            \
	{                                                                              \
		(at), EXP_NVME_SAME_(width, EXP_NVME_MEMBER_(type, member) - (extra)), \
			offsetof(type, member), (kind)                                 \
	}
#define EXP_NVME_INT(type, member, at, width) \
	EXP_NVME_ROW_(type, member, at, width, 0, EXP_NVME_FIELD_INT)
#define EXP_NVME_BYTES(type, member, at, width) \
	EXP_NVME_ROW_(type, member, at, width, 0, EXP_NVME_FIELD_BYTES)
#define EXP_NVME_TEXT(type, member, at, width) \
	EXP_NVME_ROW_(type, member, at, width, 1, EXP_NVME_FIELD_TEXT)

/*
 * What a device or a peer delivered cannot be right: -EBADMSG, code DEVICE_DATA. The value is
 * spelled out so that the compiler, too, knows that it is negative.
 */
#define EXP_NVME_BAD(err, ...) \
	(exp_error_set(err, EXP_CODE_DEVICE_DATA, EBADMSG, __VA_ARGS__), -EBADMSG)

/**
 * exp_nvme_fields_get - read every row from @wire into @host; the caller has checked the length
 *
 * Text loses its padding (spaces and NULs at the end); a byte that is not printable ASCII becomes
 * '?', so that what a device says can be shown and compared.
 */
void exp_nvme_fields_get(const struct exp_nvme_field *rows, size_t n, const uint8_t *wire,
			 void *host);

/** exp_nvme_fields_put - the reverse; bytes that no row names are left alone */
void exp_nvme_fields_put(const struct exp_nvme_field *rows, size_t n, const void *host,
			 uint8_t *wire);

/** exp_nvme_whole_page - -EBADMSG when @len is less than the 4096 bytes of a page; @what for people
 */
int exp_nvme_whole_page(const char *what, size_t len, struct exp_error *err) EXP_MUST_CHECK;

/** exp_nvme_nonzero - index of the first byte of @p that is not 0, @n when there is none */
size_t exp_nvme_nonzero(const uint8_t *p, size_t n);

#endif
