/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg.h - struct exp_msg to frame and back (proto/peer.proto; model/msg.h says what they mean)
 *
 * What a decoded message holds is checked: counts and lengths within the limits of lib/model,
 * enumerations known, identifiers whole, names well formed, exports distinct, epochs not zero, and
 * the sender's role the one that may say this. Fields that this version does not know are ignored,
 * as long as leaving them out means the old behaviour (proto/README.md). What it means for a job
 * is the receiver's to judge: nothing here looks at states or epochs of this host.
 *
 * Pure functions of their arguments; any thread.
 */
#ifndef EXP_WIRE_MSG_H
#define EXP_WIRE_MSG_H

#include "base/buf.h"
#include "model/msg.h"
#include "wire/frame.h"

/* Memory that the protobuf form of one message may take while it is decoded. */
#define EXP_WIRE_UNPACK_MAX (4u * 1024 * 1024)

/**
 * exp_wire_encode - append @m to @out as one frame
 *
 * The same checks as on the way in, so that a peer is never sent what it must refuse: -EINVAL
 * names the field (our own bug, told rather than sent). -E2BIG when @out has no room for it,
 * -ENOMEM. On failure @out is as it was.
 */
int exp_wire_encode(const struct exp_msg *m, struct exp_buf *out,
		    struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_wire_decode - the message in @f
 * @ret: written on success only; released with exp_msg_done()
 *
 * -EPROTO, code PROTOCOL, with the field, what it had and what is allowed; -ENOMEM.
 * A reason (BYE, DISCARD, DISCARDED) whose code this build does not know comes out as
 * EXP_CODE_PEER_REFUSED with the peer's sentence kept: the sentence is for people and the code
 * decides nothing here. Its errnum is always 0: numbers of another host's kernel.
 */
int exp_wire_decode(const struct exp_frame *f, struct exp_msg *ret,
		    struct exp_error *err) EXP_MUST_CHECK;

#endif
