/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfu_conn.h - vfio-user messages over a connected socket: one request at a time, with a deadline
 *
 * Framing only; what the commands mean is in reach_vfio_user.c. Invariants: a message is never
 * read past its end (the next header may carry descriptors); descriptors that nobody asked for are
 * closed; the body of an error reply is drained; a message of the server that arrives in place of
 * a reply is answered and the wait goes on. After a header that cannot be trusted, or a reply that
 * does not come in time, the stream has no boundary left and the connection counts as lost. It is
 * not closed then: closing is the owner's, since it may reset the device behind it.
 */
#ifndef EXP_DEVICE_VFU_CONN_H
#define EXP_DEVICE_VFU_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define EXP_VFU_FDS_MAX  16
#define EXP_VFU_XFER_MAX (1u << 20) /* bytes of data in one message, either direction */

enum exp_vfu_command { /* protocol numbers */
		       EXP_VFU_VERSION = 1,
		       EXP_VFU_DMA_MAP = 2,
		       EXP_VFU_DMA_UNMAP = 3,
		       EXP_VFU_GET_INFO = 4,
		       EXP_VFU_GET_REGION_INFO = 5,
		       EXP_VFU_GET_IRQ_INFO = 7,
		       EXP_VFU_SET_IRQS = 8,
		       EXP_VFU_REGION_READ = 9,
		       EXP_VFU_REGION_WRITE = 10,
		       EXP_VFU_DMA_READ = 11, /* from the server */
		       EXP_VFU_DMA_WRITE = 12,
		       EXP_VFU_RESET = 13,
};

struct exp_vfu_conn;

struct exp_vfu_call {
	enum exp_vfu_command command;
	const void *body;
	size_t body_bytes;
	const int *fds; /* sent with the message; stay the caller's */
	size_t n_fds;

	void *reply; /* gets at most reply_cap bytes of the reply's body */
	size_t reply_cap;
	size_t reply_min; /* a shorter successful reply is -EPROTO */
	int *reply_fds;   /* gets at most reply_fds_cap descriptors, the caller's from then on */
	size_t reply_fds_cap;

	size_t reply_bytes;  /* set: bytes of the body, may be more than reply_cap */
	size_t n_reply_fds;  /* set */
	uint32_t timeout_ms; /* 0: the default, 10 s */
};

/** exp_vfu_conn_new - takes the connected socket @fd, also on failure */
int exp_vfu_conn_new(int fd, struct exp_vfu_conn **ret, struct exp_error *err) EXP_MUST_CHECK;
void exp_vfu_conn_free(struct exp_vfu_conn *c);
EXP_DEFINE_CLEANUP(struct exp_vfu_conn *, exp_vfu_conn_free)

/** exp_vfu_conn_connect - to the server listening at @path (at most 107 bytes) */
int exp_vfu_conn_connect(const char *path, struct exp_vfu_conn **ret,
			 struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_vfu_call - send a command and wait for its reply; any thread, one at a time
 *
 * Returns 0; -EREMOTEIO: the server answered with an error, whose errno is in err->errnum;
 * -EPROTO: a reply too short, the connection stays usable; -ENODEV: lost.
 */
int exp_vfu_call(struct exp_vfu_conn *c, struct exp_vfu_call *call,
		 struct exp_error *err) EXP_MUST_CHECK;

/** exp_vfu_service - answer what the server asked for while nobody waits for a reply; -ENODEV: lost
 */
int exp_vfu_service(struct exp_vfu_conn *c, struct exp_error *err) EXP_MUST_CHECK;

bool exp_vfu_lost(const struct exp_vfu_conn *c);
int exp_vfu_fd(const struct exp_vfu_conn *c);

#endif
