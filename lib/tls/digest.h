/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest.h - SHA-256, comparison that takes the same time whatever differs, wiping of secrets
 */
#ifndef EXP_TLS_DIGEST_H
#define EXP_TLS_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define EXP_SHA256_BYTES 32

/* In pieces. One thread at a time; can be used again after _final. */
struct exp_digest;

int exp_digest_new(struct exp_digest **ret) EXP_MUST_CHECK; /* -ENOMEM */
void exp_digest_free(struct exp_digest *d);                 /* NULL is fine */
EXP_DEFINE_CLEANUP(struct exp_digest *, exp_digest_free)
int exp_digest_update(struct exp_digest *d, const void *p, size_t n) EXP_MUST_CHECK; /* -EIO */
/** exp_digest_final - the digest of all that was added; begins anew. -EIO */
int exp_digest_final(struct exp_digest *d, uint8_t ret[EXP_SHA256_BYTES]) EXP_MUST_CHECK;

/** exp_digest_sha256 - at once; 0, -ENOMEM or -EIO. Any thread */
int exp_digest_sha256(const void *p, size_t n, uint8_t ret[EXP_SHA256_BYTES]) EXP_MUST_CHECK;

/** exp_digest_equal - for tokens and digests that a peer could try to guess */
bool exp_digest_equal(const void *a, const void *b, size_t n);

/** exp_digest_wipe - zeros that the compiler may not leave out: for tokens */
void exp_digest_wipe(void *p, size_t n);

#endif
