/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h - one TLS connection as channel and stream share it: handshake, verification, errors
 *
 * Everything OpenSSL reports becomes a struct exp_error here and nowhere else. Inside lib/tls only.
 */
#ifndef EXP_TLS_CONN_H
#define EXP_TLS_CONN_H

#include <openssl/ssl.h>

#include "tls/bio.h"
#include "tls/ctx.h"

struct exp_tls_conn {
	struct exp_tls_ctx *ctx; /* a reference */
	SSL *ssl;
	struct exp_tls_bio io;
	bool open; /* the handshake is done and the peer known */
	struct exp_tls_identity peer;
	struct exp_error verify; /* why its certificate was refused; code OK: it was not */
};

/** exp_tls_conn_policy - callbacks that every connection of a ctx needs: verification, ALPN */
void exp_tls_conn_policy(SSL_CTX *ssl);

int exp_tls_conn_new(struct exp_tls_ctx *ctx, enum exp_tls_side side, size_t in_max, size_t out_max,
		     struct exp_tls_conn **ret, struct exp_error *err) EXP_MUST_CHECK;
void exp_tls_conn_free(struct exp_tls_conn *c);

/** exp_tls_conn_handshake - one step: 0 done, -EAGAIN more bytes are needed, or the error */
int exp_tls_conn_handshake(struct exp_tls_conn *c, struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_tls_conn_result - why an SSL call returned @ret, not more than 0
 * 0: close_notify; -EAGAIN: more bytes are needed, or room; else the error.
 */
int exp_tls_conn_result(struct exp_tls_conn *c, int ret, struct exp_error *err) EXP_MUST_CHECK;

/** exp_tls_conn_cut - the transport ended without close_notify */
int exp_tls_conn_cut(const struct exp_tls_conn *c, struct exp_error *err);

#endif
