/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h - one message on the control connection: two lengths, a header, raw payload
 *
 *	bytes 0..3	header length, little endian; at least 1
 *	bytes 4..7	payload length, little endian
 *	then		header: a protobuf Envelope (proto/peer.proto)
 *	then		payload: large opaque bytes that never pass through protobuf
 *
 * The outermost layer: this layout never changes, whatever version two daemons agree on. Lengths
 * are compared with named limits before anything is allocated, and memory follows the bytes that
 * have really come, not the length that was promised.
 */
#ifndef EXP_WIRE_FRAME_H
#define EXP_WIRE_FRAME_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "model/msg.h"

#define EXP_FRAME_PREFIX_BYTES 8
#define EXP_FRAME_HEADER_MAX   (512u * 1024)

/* One digest in the payload of FINAL: export index u16, 2 zero bytes, length u32, offset u64,
 * SHA-256. */
#define EXP_WIRE_DIGEST_BYTES 48

/* FINAL is the largest message: controller states and digests. */
#define EXP_FRAME_PAYLOAD_MAX \
	(EXP_JOB_EXPORTS_MAX * EXP_STATE_BLOB_MAX + EXP_MSG_DIGESTS_MAX * EXP_WIRE_DIGEST_BYTES)

struct exp_frame { /* borrowed from the parser */
	const uint8_t *header;
	uint32_t header_len;
	const uint8_t *payload; /* may be NULL when payload_len is 0 */
	uint32_t payload_len;
};

struct exp_frame_parser { /* fields are the parser's own */
	struct exp_buf buf;
	uint32_t header_max, payload_max;
	bool failed;
};

void exp_frame_init(struct exp_frame_parser *f); /* with the limits above */
void exp_frame_done(struct exp_frame_parser *f);

/** exp_frame_limit - from the next frame on, other limits (a peer that has not said hello) */
void exp_frame_limit(struct exp_frame_parser *f, uint32_t header_max, uint32_t payload_max);

/**
 * exp_frame_feed - take bytes, up to the end of one frame
 * @ret_used: how many of @n were taken; the rest belongs to the next frame: feed it again after
 *            exp_frame_drop(). 0 while a whole frame waits
 *
 * Returns 0; -EPROTO when a length is over its limit or the header is empty (the parser takes
 * nothing more after that: the place of the next frame is not known); -ENOMEM.
 */
int exp_frame_feed(struct exp_frame_parser *f, const void *p, size_t n, size_t *ret_used,
		   struct exp_error *err) EXP_MUST_CHECK;

/** exp_frame_ready - is a whole frame there? *ret is borrowed until exp_frame_drop() */
bool exp_frame_ready(const struct exp_frame_parser *f, struct exp_frame *ret);
void exp_frame_drop(struct exp_frame_parser *f);

/** exp_frame_pending - bytes of a frame that is not whole; not 0 at end of stream: it was cut */
size_t exp_frame_pending(const struct exp_frame_parser *f);

/** exp_frame_put_prefix - the first 8 bytes of a frame, into @out */
void exp_frame_put_prefix(uint8_t out[EXP_FRAME_PREFIX_BYTES], uint32_t header_len,
			  uint32_t payload_len);

#endif
