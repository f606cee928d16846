/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg_priv.h - what the msg_*.c files share: the generated protobuf types end here
 *
 * Three functions per message type: _get takes the protobuf form apart (lengths and counts, so
 * that nothing is read or written out of bounds), _put builds it, _check looks at the values. The
 * check runs in both directions: what a peer would refuse is not sent.
 */
#ifndef EXP_WIRE_MSG_PRIV_H
#define EXP_WIRE_MSG_PRIV_H

#include <stdbool.h>

#include "model/msg.h"
#include "peer.pb-c.h"
#include "wire/pool.h"

struct exp_wire_ctx {
	const char *type; /* name of the message, first in every complaint */
	int errnum;       /* EPROTO coming in, EINVAL going out */
	struct exp_error *err;
	struct exp_pool *pool;  /* holds the protobuf form */
	const uint8_t *payload; /* coming in: what is not taken yet */
	size_t payload_len;
};

/* msg_check.c: complaints name the field, what it had and what is allowed; all return 0 or -errnum
 */
int exp_wire_bad(struct exp_wire_ctx *c, const char *fmt, ...) EXP_PRINTF(2, 3);
int exp_wire_no_memory(struct exp_wire_ctx *c); /* -ENOMEM, or the pool's limit as a complaint */
int exp_wire_check_range(struct exp_wire_ctx *c, const char *field, uint64_t v, uint64_t min,
			 uint64_t max);
int exp_wire_check_enum(struct exp_wire_ctx *c, const char *field, unsigned int v,
			const char *name);
int exp_wire_check_id(struct exp_wire_ctx *c, const char *field, const struct exp_uuid *u);
int exp_wire_check_name(struct exp_wire_ctx *c, const char *field, const struct exp_name *n,
			bool may_be_empty);
int exp_wire_check_print(struct exp_wire_ctx *c, const char *field, const char *s, size_t cap);

int exp_wire_get_count(struct exp_wire_ctx *c, const char *field, size_t n, size_t min, size_t max);
int exp_wire_get_uuid(struct exp_wire_ctx *c, const char *field, const ProtobufCBinaryData *b,
		      struct exp_uuid *ret);
int exp_wire_get_bytes(struct exp_wire_ctx *c, const char *field, const ProtobufCBinaryData *b,
		       size_t len, uint8_t *ret);
int exp_wire_get_text(struct exp_wire_ctx *c, const char *field, const char *s, char *ret,
		      size_t cap);
int exp_wire_get_u16(struct exp_wire_ctx *c, const char *field, uint32_t v, uint16_t *ret);
int exp_wire_get_u8(struct exp_wire_ctx *c, const char *field, uint32_t v, uint8_t *ret);
/* the next @n bytes of the payload, borrowed; NULL and a complaint when there are fewer */
const uint8_t *exp_wire_get_payload(struct exp_wire_ctx *c, const char *field, size_t n);

ProtobufCBinaryData exp_wire_put_bytes(const uint8_t *p, size_t n); /* borrows */
/* a copy, of an array of @cap; what is no UTF-8, and control characters, become '?'; NULL no memory
 */
char *exp_wire_put_text(struct exp_wire_ctx *c, const char *s, size_t cap);

/* A protobuf message from the pool, initialised: EXP_WIRE_NEW(c, Exp__Hello, exp__hello__init) */
#define EXP_WIRE_NEW(c, type, init)                                      \
	({                                                               \
		type *wire_new_ = exp_pool_get((c)->pool, sizeof(type)); \
		if (wire_new_)                                           \
			init(wire_new_);                                 \
		wire_new_;                                               \
	})

/* One entry per message type, in the file that has the functions; NULL: nothing to do. */
struct exp_wire_type {
	int (*get)(struct exp_wire_ctx *c, const Exp__Envelope *e, struct exp_msg *m);
	int (*put)(struct exp_wire_ctx *c, const struct exp_msg *m, Exp__Envelope *e);
	int (*check)(struct exp_wire_ctx *c, const struct exp_msg *m);
};

extern const struct exp_wire_type exp_wire_hello, exp_wire_reason, exp_wire_target,
	exp_wire_session, exp_wire_session_ok, exp_wire_data_ack, exp_wire_answer, exp_wire_ping;
extern const struct exp_wire_type exp_wire_caps, exp_wire_caps_reply;
extern const struct exp_wire_type exp_wire_prepare, exp_wire_prepared, exp_wire_final;

/* msg_caps.c: exports as they would have to be built; their configuration is in the payload */
int exp_wire_get_descs(struct exp_wire_ctx *c, size_t n, Exp__ExportDesc **in, uint32_t *ret_n,
		       struct exp_export_desc **ret);
int exp_wire_put_descs(struct exp_wire_ctx *c, uint32_t n, const struct exp_export_desc *descs,
		       size_t *ret_n, Exp__ExportDesc ***ret);
int exp_wire_check_descs(struct exp_wire_ctx *c, uint32_t n, const struct exp_export_desc *descs);

/* msg_job.c: the payload that goes behind the header of @m */
size_t exp_wire_payload_len(const struct exp_msg *m);
void exp_wire_payload_put(const struct exp_msg *m, uint8_t *out);

#endif
