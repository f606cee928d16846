/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>

#include "base/rng.h"
#include "base/uuid.h"

struct exp_uuid exp_uuid_new(void)
{
	struct exp_uuid u;

	exp_random_bytes(u.b, sizeof(u.b));
	u.b[6] = (uint8_t)((u.b[6] & 0x0f) | 0x40); /* version 4 */
	u.b[8] = (uint8_t)((u.b[8] & 0x3f) | 0x80); /* variant 10b */
	return u;
}

static bool dash_at(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

char *exp_uuid_format(const struct exp_uuid *u, char out[EXP_UUID_TEXT])
{
	static const char hex[] = "0123456789abcdef";
	size_t byte = 0;

	for (size_t i = 0; i < EXP_UUID_TEXT - 1;) {
		if (dash_at(i)) {
			out[i++] = '-';
			continue;
		}
		out[i++] = hex[u->b[byte] >> 4];
		out[i++] = hex[u->b[byte] & 0x0f];
		byte++;
	}
	out[EXP_UUID_TEXT - 1] = '\0';
	return out;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int exp_uuid_parse(const char *s, struct exp_uuid *ret)
{
	struct exp_uuid u;
	size_t byte = 0;

	if (strnlen(s, EXP_UUID_TEXT) != EXP_UUID_TEXT - 1)
		return -EINVAL;
	for (size_t i = 0; i < EXP_UUID_TEXT - 1;) {
		int hi, lo;

		if (dash_at(i)) {
			if (s[i++] != '-')
				return -EINVAL;
			continue;
		}
		hi = nibble(s[i++]);
		lo = nibble(s[i++]);
		if (hi < 0 || lo < 0)
			return -EINVAL;
		u.b[byte++] = (uint8_t)(hi << 4 | lo);
	}
	*ret = u;
	return 0;
}
