/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctx.h - who this host is and whom it believes: keys, certificates, TLS policy
 *
 * TLS 1.3 only, certificates on both sides, ALPN "exp/1", no session tickets, no early data. A
 * peer's certificate must chain to the configured CA, be valid now, be allowed for TLS by its
 * extended key usage, and carry at least one SAN URI: that URI is the peer's identity. Which
 * identity may do what is the caller's policy.
 *
 * A ctx never changes: a reload makes a new one and frees the old; connections made from the old
 * one go on. Any number of threads may make connections from one ctx.
 */
#ifndef EXP_TLS_CTX_H
#define EXP_TLS_CTX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define EXP_TLS_ALPN      "exp/1"
#define EXP_TLS_URI_MAX   255 /* bytes of one SAN URI */
#define EXP_TLS_URIS_MAX  8   /* SAN URIs of one certificate */
#define EXP_TLS_FILE_MAX  (256u * 1024)
#define EXP_TLS_CHAIN_MAX 8 /* certificates between a peer and the CA */

struct exp_tls_files {
	const char *ca_file;   /* PEM, one or more CA certificates */
	const char *cert_file; /* PEM, own certificate first, then its chain */
	const char *key_file;  /* PEM, not encrypted, readable by its owner (and group) only */
};

/* What a certificate says of its holder. Times are wall clock, seconds since 1970. */
struct exp_tls_identity {
	uint32_t n_uris;
	char uri[EXP_TLS_URIS_MAX][EXP_TLS_URI_MAX + 1]; /* printable ASCII, in certificate order */
	int64_t not_before_s, not_after_s;               /* not_after: the earliest of the chain */
};

enum exp_tls_side { EXP_TLS_CLIENT = 1, EXP_TLS_SERVER = 2 };

struct exp_tls_ctx;

/**
 * exp_tls_ctx_new - load the three files
 *
 * Reads files, so not on the loop thread while it matters. An own certificate that has expired
 * does not fail here (the daemon must start and say so): see exp_tls_ctx_check().
 * -errno with CONFIG and the file's name: missing, not PEM, key does not belong to the
 * certificate, key file open to others, encrypted key, no SAN URI. -ENOMEM.
 */
int exp_tls_ctx_new(const struct exp_tls_files *files, struct exp_tls_ctx **ret,
		    struct exp_error *err) EXP_MUST_CHECK;
void exp_tls_ctx_free(struct exp_tls_ctx *c); /* NULL is fine */
EXP_DEFINE_CLEANUP(struct exp_tls_ctx *, exp_tls_ctx_free)

/** exp_tls_ctx_self - our own certificate as it was loaded; borrowed, lives as long as @c */
const struct exp_tls_identity *exp_tls_ctx_self(const struct exp_tls_ctx *c);

/**
 * exp_tls_ctx_check - would a peer with the same CA accept our certificate at @wall_s?
 * -EINVAL: CERT_EXPIRED (also not yet valid, with the date) or TLS (chain, key usage).
 */
int exp_tls_ctx_check(const struct exp_tls_ctx *c, int64_t wall_s,
		      struct exp_error *err) EXP_MUST_CHECK;

/** exp_tls_check_key_file - regular file, ours or root's, not readable by others, not writable by
 * the group. -EACCES, CONFIG, with the mode it has and what to do; -errno when it is not there.
 */
int exp_tls_check_key_file(const char *path, struct exp_error *err) EXP_MUST_CHECK;

/** exp_tls_identity_has - does the certificate carry @uri, byte for byte? */
bool exp_tls_identity_has(const struct exp_tls_identity *id, const char *uri);

/** exp_tls_identity_expect - 0, or -EACCES (PEER_UNKNOWN) with the expected and the found URI */
int exp_tls_identity_expect(const struct exp_tls_identity *id, const char *uri,
			    struct exp_error *err) EXP_MUST_CHECK;

#endif
