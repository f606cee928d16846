/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "tls/digest.h"

struct exp_digest {
	EVP_MD_CTX *md;
};

int exp_digest_new(struct exp_digest **ret)
{
	EXP_CLEANUP(exp_digest_freep) struct exp_digest *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->md = EVP_MD_CTX_new();
	if (!d->md || EVP_DigestInit_ex(d->md, EVP_sha256(), NULL) != 1)
		return -ENOMEM;
	*ret = EXP_TAKE(d);
	return 0;
}

void exp_digest_free(struct exp_digest *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->md); /* wipes */
	free(d);
}

int exp_digest_update(struct exp_digest *d, const void *p, size_t n)
{
	return EVP_DigestUpdate(d->md, p, n) == 1 ? 0 : -EIO;
}

int exp_digest_final(struct exp_digest *d, uint8_t ret[EXP_SHA256_BYTES])
{
	if (EVP_DigestFinal_ex(d->md, ret, NULL) != 1)
		return -EIO;
	return EVP_DigestInit_ex(d->md, NULL, NULL) == 1 ? 0 : -EIO;
}

int exp_digest_sha256(const void *p, size_t n, uint8_t ret[EXP_SHA256_BYTES])
{
	return EVP_Digest(p, n, ret, NULL, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}

bool exp_digest_equal(const void *a, const void *b, size_t n)
{
	return !CRYPTO_memcmp(a, b, n);
}

void exp_digest_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}
