/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctx_priv.h - the inside of a ctx, for connections. Inside lib/tls only.
 */
#ifndef EXP_TLS_CTX_PRIV_H
#define EXP_TLS_CTX_PRIV_H

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "tls/ctx.h"

struct exp_tls_ctx {
	atomic_uint refs; /* the owner's and one per connection: a reload does not end those */
	SSL_CTX *ssl;
	BIO_METHOD *bio;
	struct exp_tls_identity self;
};

struct exp_tls_ctx *exp_tls_ctx_ref(struct exp_tls_ctx *c);

/** exp_tls_openssl_error - "FMT: what OpenSSL says first" from this thread's queue; code TLS */
int exp_tls_openssl_error(struct exp_error *err, enum exp_code code, int errnum, const char *fmt,
			  ...) EXP_PRINTF(4, 5);

#endif
