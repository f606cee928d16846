/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/le.h"
#include "nvme/field.h"
#include "nvme/spec.h"

static void get_int(const uint8_t *p, size_t width, uint8_t *to)
{
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;

	switch (width) {
	case 1: *to = *p; return;
	case 2:
		v16 = exp_le16(p);
		memcpy(to, &v16, sizeof(v16));
		return;
	case 4:
		v32 = exp_le32(p);
		memcpy(to, &v32, sizeof(v32));
		return;
	case 8:
		v64 = exp_le64(p);
		memcpy(to, &v64, sizeof(v64));
		return;
	}
	assert(!"integer fields have 1, 2, 4 or 8 bytes");
}

static void put_int(const uint8_t *from, size_t width, uint8_t *p)
{
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;

	switch (width) {
	case 1: *p = *from; return;
	case 2:
		memcpy(&v16, from, sizeof(v16));
		exp_put_le16(p, v16);
		return;
	case 4:
		memcpy(&v32, from, sizeof(v32));
		exp_put_le32(p, v32);
		return;
	case 8:
		memcpy(&v64, from, sizeof(v64));
		exp_put_le64(p, v64);
		return;
	}
	assert(!"integer fields have 1, 2, 4 or 8 bytes");
}

static void get_text(const uint8_t *p, size_t width, char *to)
{
	size_t n = width;

	while (n && (p[n - 1] == ' ' || !p[n - 1]))
		n--;
	for (size_t i = 0; i < n; i++)
		to[i] = p[i] >= ' ' && p[i] <= '~' ? (char)p[i] : '?';
	memset(to + n, 0, width + 1 - n);
}

static void put_text(const char *from, size_t width, uint8_t *p)
{
	size_t n = strnlen(from, width);

	memcpy(p, from, n);
	memset(p + n, ' ', width - n);
}

void exp_nvme_fields_get(const struct exp_nvme_field *rows, size_t n, const uint8_t *wire,
			 void *host)
{
	for (const struct exp_nvme_field *f = rows; f < rows + n; f++) {
		uint8_t *to = (uint8_t *)host + f->to;

		switch (f->kind) {
		case EXP_NVME_FIELD_INT: get_int(wire + f->at, f->width, to); break;
		case EXP_NVME_FIELD_BYTES: memcpy(to, wire + f->at, f->width); break;
		case EXP_NVME_FIELD_TEXT: get_text(wire + f->at, f->width, (char *)to); break;
		}
	}
}

void exp_nvme_fields_put(const struct exp_nvme_field *rows, size_t n, const void *host,
			 uint8_t *wire)
{
	for (const struct exp_nvme_field *f = rows; f < rows + n; f++) {
		const uint8_t *from = (const uint8_t *)host + f->to;

		switch (f->kind) {
		case EXP_NVME_FIELD_INT: put_int(from, f->width, wire + f->at); break;
		case EXP_NVME_FIELD_BYTES: memcpy(wire + f->at, from, f->width); break;
		case EXP_NVME_FIELD_TEXT:
			put_text((const char *)from, f->width, wire + f->at);
			break;
		}
	}
}

int exp_nvme_whole_page(const char *what, size_t len, struct exp_error *err)
{
	if (len < EXP_NVME_PAGE)
		return EXP_NVME_BAD(err, "%s: the device returned %zu bytes, the page has %u", what,
				    len, EXP_NVME_PAGE);
	return 0;
}

size_t exp_nvme_nonzero(const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (i < n && !p[i])
		i++;
	return i;
}
