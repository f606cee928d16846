/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tls/cert.h"

static int64_t seconds(const ASN1_TIME *t, int64_t fallback)
{
	struct tm tm;

	return t && ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) : fallback;
}

int64_t exp_tls_cert_not_after(X509 *cert)
{
	return seconds(X509_get0_notAfter(cert), INT64_MAX);
}

static int take_uri(const ASN1_IA5STRING *s, struct exp_tls_identity *id, char *why, size_t cap)
{
	const unsigned char *p = ASN1_STRING_get0_data(s);
	int n = ASN1_STRING_length(s);

	if (id->n_uris == EXP_TLS_URIS_MAX) {
		snprintf(why, cap, "has more than %d SAN URIs", EXP_TLS_URIS_MAX);
		return -EINVAL;
	}
	if (n < 1 || n > EXP_TLS_URI_MAX) {
		snprintf(why, cap, "has a SAN URI of %d bytes, 1 to %d are allowed", n,
			 EXP_TLS_URI_MAX);
		return -EINVAL;
	}
	for (int i = 0; i < n; i++) { /* a NUL inside would make it look like another's */
		if (p[i] < 0x21 || p[i] > 0x7e) {
			snprintf(why, cap, "has a SAN URI with byte %02Xh in it", p[i]);
			return -EINVAL;
		}
	}
	memcpy(id->uri[id->n_uris], p, (size_t)n);
	id->uri[id->n_uris][n] = '\0';
	id->n_uris++;
	return 0;
}

int exp_tls_cert_identity(X509 *cert, struct exp_tls_identity *ret, char *why, size_t cap)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int r = 0;

	memset(ret, 0, sizeof(*ret));
	ret->not_before_s = seconds(X509_get0_notBefore(cert), INT64_MIN);
	ret->not_after_s = exp_tls_cert_not_after(cert);
	for (int i = 0; !r && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_URI)
			r = take_uri(name->d.uniformResourceIdentifier, ret, why, cap);
	}
	GENERAL_NAMES_free(names);
	if (!r && !ret->n_uris) {
		snprintf(why, cap, "has no SAN URI, which is its holder's name here");
		r = -EINVAL;
	}
	return r;
}

/* For people: the first SAN URI, else the subject. */
static void name_of(X509 *cert, char *out, size_t cap)
{
	struct exp_tls_identity id;
	char why[128];
	BIO *bio;
	int n = 0;

	if (!exp_tls_cert_identity(cert, &id, why, sizeof(why))) {
		snprintf(out, cap, "%.*s", (int)cap - 1, id.uri[0]);
		return;
	}
	bio = BIO_new(BIO_s_mem());
	if (bio && X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0,
				      XN_FLAG_RFC2253 & ~ASN1_STRFLGS_UTF8_CONVERT) >= 0)
		n = BIO_read(bio, out, (int)cap - 1);
	out[n > 0 ? n : 0] = '\0';
	BIO_free(bio);
}

static void format_time(int64_t s, char *out, size_t cap)
{
	time_t t = (time_t)s;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(out, cap, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(out, cap, "?");
}

int exp_tls_cert_problem(int x509_error, X509 *cert, int depth, const char *whose,
			 struct exp_error *err)
{
	const char *part = depth ? "chain" : "certificate";
	char name[96] = "?", when[32];

	if (cert)
		name_of(cert, name, sizeof(name));
	switch (x509_error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		format_time(cert ? exp_tls_cert_not_after(cert) : 0, when, sizeof(when));
		return exp_error_set(err, EXP_CODE_CERT_EXPIRED, EACCES,
				     "%s %s (%s) expired at %s: renew it", whose, part, name, when);
	case X509_V_ERR_CERT_NOT_YET_VALID:
		format_time(cert ? seconds(X509_get0_notBefore(cert), 0) : 0, when, sizeof(when));
		return exp_error_set(err, EXP_CODE_CERT_EXPIRED, EACCES,
				     "%s %s (%s) is valid only from %s on: compare the clocks",
				     whose, part, name, when);
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_CERT_UNTRUSTED:
		return exp_error_set(err, EXP_CODE_PEER_UNKNOWN, EACCES,
				     "%s %s (%s) is not signed by a CA of the CA file: %s", whose,
				     part, name, X509_verify_cert_error_string(x509_error));
	}
	return exp_error_set(err, EXP_CODE_TLS, EACCES, "%s %s (%s): %s", whose, part, name,
			     X509_verify_cert_error_string(x509_error));
}
