/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg_check.c - fields of a message, one kind at a time
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "wire/msg_priv.h"

int exp_wire_bad(struct exp_wire_ctx *c, const char *fmt, ...)
{
	char what[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap); /* cut is fine: the field comes first */
	va_end(ap);
	return exp_error_set(c->err, EXP_CODE_PROTOCOL, c->errnum, "message %s: %s", c->type, what);
}

int exp_wire_no_memory(struct exp_wire_ctx *c)
{
	if (c->pool->full)
		return exp_wire_bad(c, "needs more than the %zu bytes that one message may take",
				    c->pool->max);
	return exp_error_set(c->err, EXP_CODE_NO_MEMORY, ENOMEM, "message %s: out of memory",
			     c->type);
}

int exp_wire_check_range(struct exp_wire_ctx *c, const char *field, uint64_t v, uint64_t min,
			 uint64_t max)
{
	if (v < min)
		return exp_wire_bad(c, "%s is %llu, at least %llu is needed", field,
				    (unsigned long long)v, (unsigned long long)min);
	if (v > max)
		return exp_wire_bad(c, "%s is %llu, at most %llu is allowed", field,
				    (unsigned long long)v, (unsigned long long)max);
	return 0;
}

/* @name: what the value is called, NULL when it is none of the list */
int exp_wire_check_enum(struct exp_wire_ctx *c, const char *field, unsigned int v, const char *name)
{
	if (name && v)
		return 0;
	return exp_wire_bad(c, "%s is %u, %s", field, v,
			    v ? "a value that this build does not know" : "that is, missing");
}

int exp_wire_check_id(struct exp_wire_ctx *c, const char *field, const struct exp_uuid *u)
{
	return exp_uuid_is_nil(u) ? exp_wire_bad(c, "%s is the nil UUID", field) : 0;
}

int exp_wire_check_name(struct exp_wire_ctx *c, const char *field, const struct exp_name *n,
			bool may_be_empty)
{
	static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				   "0123456789._-";
	size_t len = strnlen(n->s, sizeof(n->s)), span;

	if (len == sizeof(n->s))
		return exp_wire_bad(c, "%s has no end within %zu bytes", field, sizeof(n->s));
	if (!len && !may_be_empty)
		return exp_wire_bad(c, "%s is missing", field);
	span = strspn(n->s, good);
	if (span != len)
		return exp_wire_bad(c,
				    "%s has byte %02Xh at %zu, only A-Z a-z 0-9 . _ - are allowed",
				    field, (unsigned char)n->s[span], span);
	return 0;
}

int exp_wire_check_print(struct exp_wire_ctx *c, const char *field, const char *s, size_t cap)
{
	for (size_t i = 0; i < cap; i++) {
		if (!s[i])
			return 0;
		if (s[i] < 0x20 || s[i] > 0x7e)
			return exp_wire_bad(c,
					    "%s has byte %02Xh at %zu, only printable ASCII is "
					    "allowed",
					    field, (unsigned char)s[i], i);
	}
	return exp_wire_bad(c, "%s has no end within %zu bytes", field, cap);
}

int exp_wire_get_count(struct exp_wire_ctx *c, const char *field, size_t n, size_t min, size_t max)
{
	if (n < min || n > max)
		return exp_wire_bad(c, "%s has %zu entries, %zu to %zu are allowed", field, n, min,
				    max);
	return 0;
}

int exp_wire_get_bytes(struct exp_wire_ctx *c, const char *field, const ProtobufCBinaryData *b,
		       size_t len, uint8_t *ret)
{
	if (b->len != len)
		return exp_wire_bad(c, "%s has %zu bytes, %zu are needed", field, b->len, len);
	memcpy(ret, b->data, len);
	return 0;
}

int exp_wire_get_uuid(struct exp_wire_ctx *c, const char *field, const ProtobufCBinaryData *b,
		      struct exp_uuid *ret)
{
	return exp_wire_get_bytes(c, field, b, sizeof(ret->b), ret->b);
}

int exp_wire_get_text(struct exp_wire_ctx *c, const char *field, const char *s, char *ret,
		      size_t cap)
{
	size_t len = strlen(s);

	if (len >= cap)
		return exp_wire_bad(c, "%s has %zu bytes, at most %zu are allowed", field, len,
				    cap - 1);
	memcpy(ret, s, len + 1);
	return 0;
}

int exp_wire_get_u16(struct exp_wire_ctx *c, const char *field, uint32_t v, uint16_t *ret)
{
	*ret = (uint16_t)v;
	return exp_wire_check_range(c, field, v, 0, UINT16_MAX);
}

int exp_wire_get_u8(struct exp_wire_ctx *c, const char *field, uint32_t v, uint8_t *ret)
{
	*ret = (uint8_t)v;
	return exp_wire_check_range(c, field, v, 0, UINT8_MAX);
}

const uint8_t *exp_wire_get_payload(struct exp_wire_ctx *c, const char *field, size_t n)
{
	const uint8_t *ret = c->payload;

	if (n > c->payload_len) {
		exp_wire_bad(c, "%s takes %zu bytes of payload, %zu are left", field, n,
			     c->payload_len);
		return NULL;
	}
	c->payload += n;
	c->payload_len -= n;
	return ret;
}

ProtobufCBinaryData exp_wire_put_bytes(const uint8_t *p, size_t n)
{
	/* protobuf-c has no pointer to const; packing only reads */
	return (ProtobufCBinaryData){ .len = n, .data = (uint8_t *)(uintptr_t)p };
}

/* Bytes of the UTF-8 character at @s, 0 when there is none (RFC 3629, "Syntax of UTF-8"). */
static size_t utf8_len(const unsigned char *s, size_t n)
{
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (!len || len > n || s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

char *exp_wire_put_text(struct exp_wire_ctx *c, const char *s, size_t cap)
{
	size_t len = strnlen(s, cap - 1);
	char *out = exp_pool_get(c->pool, len + 1);

	if (!out)
		return NULL;
	memcpy(out, s, len); /* the pool gave zeros: the end is there */
	for (size_t i = 0; i < len;) {
		size_t n = utf8_len((const unsigned char *)out + i, len - i);

		if (!n || (n == 1 && (out[i] < 0x20 || out[i] == 0x7f)))
			out[i] = '?';
		i += n ? n : 1;
	}
	return out;
}
