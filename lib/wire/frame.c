/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/le.h"
#include "wire/frame.h"

/* A buffer larger than this is given back after its frame: most frames are small. */
#define KEEP_BYTES (64u * 1024)

void exp_frame_init(struct exp_frame_parser *f)
{
	*f = (struct exp_frame_parser){ .header_max = EXP_FRAME_HEADER_MAX,
					.payload_max = EXP_FRAME_PAYLOAD_MAX };
	exp_buf_init(&f->buf,
		     EXP_FRAME_PREFIX_BYTES + (size_t)EXP_FRAME_HEADER_MAX + EXP_FRAME_PAYLOAD_MAX);
}

void exp_frame_done(struct exp_frame_parser *f)
{
	exp_buf_done(&f->buf);
}

void exp_frame_limit(struct exp_frame_parser *f, uint32_t header_max, uint32_t payload_max)
{
	assert(header_max <= EXP_FRAME_HEADER_MAX && payload_max <= EXP_FRAME_PAYLOAD_MAX);
	f->header_max = header_max;
	f->payload_max = payload_max;
}

/* Bytes that the frame in the buffer has in all; just the prefix while that is not whole. */
static size_t frame_bytes(const struct exp_frame_parser *f)
{
	const uint8_t *p = exp_buf_data(&f->buf);

	if (exp_buf_len(&f->buf) < EXP_FRAME_PREFIX_BYTES)
		return EXP_FRAME_PREFIX_BYTES;
	return EXP_FRAME_PREFIX_BYTES + (size_t)exp_le32(p) + exp_le32(p + 4);
}

static int check_prefix(struct exp_frame_parser *f, struct exp_error *err)
{
	uint32_t header = exp_le32(exp_buf_data(&f->buf));
	uint32_t payload = exp_le32(exp_buf_data(&f->buf) + 4);

	if (header && header <= f->header_max && payload <= f->payload_max)
		return 0;
	f->failed = true;
	if (!header)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "frame: header length is 0, at least 1 is needed");
	if (header > f->header_max)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "frame: header length is %u, at most %u is allowed", header,
				     f->header_max);
	return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
			     "frame: payload length is %u, at most %u is allowed", payload,
			     f->payload_max);
}

int exp_frame_feed(struct exp_frame_parser *f, const void *p, size_t n, size_t *ret_used,
		   struct exp_error *err)
{
	const uint8_t *at = p;
	size_t used = 0;

	if (f->failed)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "frame: a frame before was not readable");
	while (used < n) {
		size_t have = exp_buf_len(&f->buf), want = frame_bytes(f), part;
		int r;

		if (have >= EXP_FRAME_PREFIX_BYTES && have == want)
			break;
		part = EXP_MIN(want - have, n - used);
		r = exp_buf_add(&f->buf, at + used, part);
		if (r < 0)
			return exp_error_set(err, EXP_CODE_NO_MEMORY, -r,
					     "frame: no memory for %zu of %zu bytes", part, want);
		used += part;
		if (have < EXP_FRAME_PREFIX_BYTES && have + part == EXP_FRAME_PREFIX_BYTES) {
			r = check_prefix(f, err);
			if (r < 0)
				return r;
		}
	}
	*ret_used = used;
	return 0;
}

bool exp_frame_ready(const struct exp_frame_parser *f, struct exp_frame *ret)
{
	size_t have = exp_buf_len(&f->buf);
	const uint8_t *p = exp_buf_data(&f->buf);

	if (f->failed || have < EXP_FRAME_PREFIX_BYTES || have != frame_bytes(f))
		return false;
	*ret = (struct exp_frame){ .header = p + EXP_FRAME_PREFIX_BYTES,
				   .header_len = exp_le32(p),
				   .payload_len = exp_le32(p + 4) };
	ret->payload = ret->header + ret->header_len;
	return true;
}

void exp_frame_drop(struct exp_frame_parser *f)
{
	exp_buf_consume(&f->buf, exp_buf_len(&f->buf));
	if (f->buf.cap > KEEP_BYTES)
		exp_buf_done(&f->buf);
}

size_t exp_frame_pending(const struct exp_frame_parser *f)
{
	struct exp_frame whole;

	return exp_frame_ready(f, &whole) ? 0 : exp_buf_len(&f->buf);
}

void exp_frame_put_prefix(uint8_t out[EXP_FRAME_PREFIX_BYTES], uint32_t header_len,
			  uint32_t payload_len)
{
	exp_put_le32(out, header_len);
	exp_put_le32(out + 4, payload_len);
}
