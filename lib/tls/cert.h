/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert.h - what a certificate says, and why one is not good enough. Inside lib/tls only.
 */
#ifndef EXP_TLS_CERT_H
#define EXP_TLS_CERT_H

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "tls/ctx.h"

/**
 * exp_tls_cert_identity - SAN URIs and validity of @cert
 * @why: the sentence when it has no usable URI: none, too many, too long, not printable
 * Returns 0 or -EINVAL.
 */
int exp_tls_cert_identity(X509 *cert, struct exp_tls_identity *ret, char *why,
			  size_t cap) EXP_MUST_CHECK;

/** exp_tls_cert_not_after - seconds since 1970; INT64_MAX when it cannot be read */
int64_t exp_tls_cert_not_after(X509 *cert);

/**
 * exp_tls_cert_problem - OpenSSL's verification result as an error
 * @whose: "the peer's"; @depth: 0 the holder's certificate, else one of its chain
 * Returns -EACCES; CERT_EXPIRED, PEER_UNKNOWN (no CA of ours signed it) or TLS.
 */
int exp_tls_cert_problem(int x509_error, X509 *cert, int depth, const char *whose,
			 struct exp_error *err);

#endif
