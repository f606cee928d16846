/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_conn.h - one TCP connection with a peer: socket <-> TLS channel <-> session
 *
 * Joins three layers that do not know each other and owns the socket. An inbound connection turns
 * out to be either a control connection, which stays here, or a bulk connection, which is handed
 * on as a stream with its opening record. Loop thread only; never blocks. A connection frees
 * itself after its closed callback has returned.
 */
#ifndef EXPD_PEER_CONN_H
#define EXPD_PEER_CONN_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/error.h"
#include "model/msg.h"
#include "tls/ctx.h"
#include "tls/stream.h"
#include "wire/bulk.h"

struct event_base;
struct expd_conn;

struct expd_conn_ops {
	/* the certificate is good: is this somebody we talk to? 0, or the error that is told to it
	 */
	int (*identified)(void *arg, struct expd_conn *c, const struct exp_tls_identity *id,
			  struct exp_error *err);
	/* our own hello, to be filled; released by the connection */
	int (*hello)(void *arg, struct expd_conn *c, struct exp_msg_hello *ret,
		     struct exp_error *err);
	/* the peer's hello: versions agree. 0, or the error that ends the connection */
	int (*opened)(void *arg, struct expd_conn *c, const struct exp_msg_hello *hello,
		      struct exp_error *err);
	void (*message)(void *arg, struct expd_conn *c, const struct exp_msg *m);
	/* inbound bulk: takes the stream; the connection is gone afterwards without closed() */
	void (*bulk)(void *arg, struct expd_conn *c, const struct exp_bulk_open *open,
		     struct exp_stream *s);
	/* over, for whatever reason; @err code OK: orderly */
	void (*closed)(void *arg, struct expd_conn *c, const struct exp_error *err);
};

/** expd_conn_accept - serve @fd, which it takes also on failure */
int expd_conn_accept(struct event_base *base, struct exp_tls_ctx *tls, int fd,
		     const struct expd_conn_ops *ops, void *arg, struct expd_conn **ret,
		     struct exp_error *err);

/** expd_conn_dial - connect to @sa; failure to connect comes as closed() */
int expd_conn_dial(struct event_base *base, struct exp_tls_ctx *tls, const struct sockaddr *sa,
		   socklen_t len, const struct expd_conn_ops *ops, void *arg,
		   struct expd_conn **ret, struct exp_error *err);

/** expd_conn_send - -ENOTCONN before the peer's hello; -ENOBUFS: it does not read */
int expd_conn_send(struct expd_conn *c, const struct exp_msg *m, struct exp_error *err);

bool expd_conn_is_open(const struct expd_conn *c); /* both hellos are through */

/** expd_conn_end - say BYE with @reason (NULL: orderly), then close; closed() follows */
void expd_conn_end(struct expd_conn *c, const struct exp_error *reason);

/** expd_conn_drop - close at once, without a word and without closed() */
void expd_conn_drop(struct expd_conn *c);

const char *expd_conn_address(const struct expd_conn *c); /* "192.0.2.1:4711", for logs */

#endif
