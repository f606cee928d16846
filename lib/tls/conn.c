/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "tls/cert.h"
#include "tls/conn.h"
#include "tls/ctx_priv.h"

static const unsigned char alpn[] = { 5, 'e', 'x', 'p', '/', '1' };

/* --- verification --- */

/*
 * Called for each certificate of the chain, the peer's own last. What is wrong is kept with the
 * connection: the error queue says only "certificate verify failed".
 */
static int verify(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct exp_tls_conn *c = SSL_get_app_data(ssl);
	X509 *cert = X509_STORE_CTX_get_current_cert(store);
	int depth = X509_STORE_CTX_get_error_depth(store);
	char why[160];

	if (!ok) {
		exp_tls_cert_problem(X509_STORE_CTX_get_error(store), cert, depth, "the peer's",
				     &c->verify);
		return 0;
	}
	if (depth)
		return 1;
	if (exp_tls_cert_identity(cert, &c->peer, why, sizeof(why)) < 0) {
		exp_error_set(&c->verify, EXP_CODE_PEER_UNKNOWN, EACCES,
			      "the peer's certificate %s", why);
		X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
		return 0;
	}
	return 1;
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		       const unsigned char *in, unsigned int in_len, void *arg)
{
	unsigned char *selected;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&selected, out_len, alpn, sizeof(alpn), in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = selected;
	return SSL_TLSEXT_ERR_OK;
}

void exp_tls_conn_policy(SSL_CTX *ssl)
{
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, verify);
	SSL_CTX_set_alpn_select_cb(ssl, select_alpn, NULL);
}

/* --- life --- */

int exp_tls_conn_new(struct exp_tls_ctx *ctx, enum exp_tls_side side, size_t in_max, size_t out_max,
		     struct exp_tls_conn **ret, struct exp_error *err)
{
	struct exp_tls_conn *c = calloc(1, sizeof(*c));
	BIO *bio = NULL;

	if (!c)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "TLS: out of memory");
	ERR_clear_error();
	c->ctx = exp_tls_ctx_ref(ctx);
	exp_tls_bio_init(&c->io, in_max, out_max);
	c->ssl = SSL_new(ctx->ssl);
	bio = BIO_new(ctx->bio);
	/* SSL_set_alpn_protos() is the one function that returns 0 for success */
	if (!c->ssl || !bio || !SSL_set_app_data(c->ssl, c) ||
	    (side == EXP_TLS_CLIENT && SSL_set_alpn_protos(c->ssl, alpn, sizeof(alpn)))) {
		BIO_free(bio);
		exp_tls_conn_free(c);
		return exp_tls_openssl_error(err, EXP_CODE_NO_MEMORY, ENOMEM, "TLS connection");
	}
	BIO_set_data(bio, &c->io);
	BIO_set_init(bio, 1);
	SSL_set_bio(c->ssl, bio, bio); /* takes it: one reference is enough for both ways */
	if (side == EXP_TLS_CLIENT)
		SSL_set_connect_state(c->ssl);
	else
		SSL_set_accept_state(c->ssl);
	*ret = c;
	return 0;
}

void exp_tls_conn_free(struct exp_tls_conn *c)
{
	if (!c)
		return;
	SSL_free(c->ssl);
	exp_tls_bio_done(&c->io);
	exp_tls_ctx_free(c->ctx);
	free(c);
}

/* --- errors --- */

int exp_tls_conn_cut(const struct exp_tls_conn *c, struct exp_error *err)
{
	if (!c->open)
		return exp_error_set(err, EXP_CODE_PEER_GONE, ECONNRESET,
				     "the connection ended during the TLS handshake");
	return exp_error_set(err, EXP_CODE_PEER_GONE, ECONNRESET,
			     "the connection ended without close_notify: it was cut");
}

/* What failed below TLS, on a stream. */
static int io_error(int r, struct exp_error *err)
{
	switch (r) {
	case -ETIMEDOUT:
		return exp_error_set(err, EXP_CODE_PEER_GONE, ETIMEDOUT,
				     "the peer neither sent nor took anything in time");
	case -ECANCELED: return exp_error_set(err, EXP_CODE_CANCELLED, ECANCELED, "cancelled");
	case -EPIPE:
	case -ECONNRESET:
		return exp_error_set(err, EXP_CODE_PEER_GONE, -r, "the peer is gone: %s",
				     strerror(-r));
	case -ENOMEM: return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "TLS: out of memory");
	}
	return exp_error_set(err, EXP_CODE_SYSTEM, -r, "socket: %s", strerror(-r));
}

/* The peer sent an alert: it refuses us. Reasons from 1000 on are alerts (RFC 8446, section 6). */
static int alert_error(int alert, struct exp_error *err)
{
	enum exp_code code = EXP_CODE_TLS;
	const char *hint = "";

	switch (alert) {
	case SSL_AD_CERTIFICATE_EXPIRED: code = EXP_CODE_CERT_EXPIRED; /* fallthrough */
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_ACCESS_DENIED: hint = ", it means our certificate"; break;
	case SSL_AD_CERTIFICATE_REQUIRED: hint = ", we sent none"; break;
	case SSL_AD_PROTOCOL_VERSION: hint = ", it does not speak TLS 1.3"; break;
	case SSL_AD_NO_APPLICATION_PROTOCOL: hint = ", it does not speak " EXP_TLS_ALPN; break;
	}
	return exp_error_set(err, code, EPROTO, "the peer refuses this connection: %s%s",
			     SSL_alert_desc_string_long(alert), hint);
}

static int queue_error(struct exp_error *err)
{
	unsigned long e = ERR_peek_error();
	int reason = ERR_GET_LIB(e) == ERR_LIB_SSL ? ERR_GET_REASON(e) : 0;

	if (reason >= SSL_AD_REASON_OFFSET) {
		ERR_clear_error();
		return alert_error(reason - SSL_AD_REASON_OFFSET, err);
	}
	switch (reason) {
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		ERR_clear_error();
		return exp_error_set(err, EXP_CODE_PEER_UNKNOWN, EACCES,
				     "the peer has no certificate");
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_WRONG_SSL_VERSION:
		ERR_clear_error();
		return exp_error_set(err, EXP_CODE_TLS, EPROTO, "the peer does not speak TLS 1.3");
	case SSL_R_NO_APPLICATION_PROTOCOL:
		ERR_clear_error();
		return exp_error_set(err, EXP_CODE_TLS, EPROTO,
				     "the peer does not offer ALPN " EXP_TLS_ALPN);
	}
	return exp_tls_openssl_error(err, EXP_CODE_TLS, EPROTO, "TLS");
}

int exp_tls_conn_result(struct exp_tls_conn *c, int ret, struct exp_error *err)
{
	int why = SSL_get_error(c->ssl, ret);

	if (c->verify.code != EXP_CODE_OK) {
		ERR_clear_error();
		if (err)
			*err = c->verify;
		return -c->verify.errnum;
	}
	if (c->io.eof && c->io.error != -ECANCELED) {
		ERR_clear_error(); /* OpenSSL's alert about it could not be sent: no news either */
		return exp_tls_conn_cut(c, err);
	}
	if (c->io.error) {
		ERR_clear_error();
		return io_error(c->io.error, err);
	}
	switch (why) {
	case SSL_ERROR_ZERO_RETURN: return 0;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE: return -EAGAIN;
	}
	return queue_error(err);
}

/* --- handshake --- */

static int finish(struct exp_tls_conn *c, struct exp_error *err)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(c->ssl);
	const unsigned char *got;
	unsigned int len;

	SSL_get0_alpn_selected(c->ssl, &got, &len);
	if (len != alpn[0] || memcmp(got, alpn + 1, len))
		return exp_error_set(err, EXP_CODE_TLS, EPROTO,
				     "the peer does not speak " EXP_TLS_ALPN
				     " (ALPN \"%.*s\"): no expd, or an old one",
				     (int)len, len ? (const char *)got : "");
	if (!c->peer.n_uris) /* the callback always ran; never go on without a name */
		return exp_error_set(err, EXP_CODE_PEER_UNKNOWN, EACCES,
				     "the peer has no certificate");
	for (int i = 0; i < sk_X509_num(chain); i++)
		c->peer.not_after_s = EXP_MIN(c->peer.not_after_s,
					      exp_tls_cert_not_after(sk_X509_value(chain, i)));
	c->open = true;
	return 0;
}

int exp_tls_conn_handshake(struct exp_tls_conn *c, struct exp_error *err)
{
	int ret;

	ERR_clear_error();
	ret = SSL_do_handshake(c->ssl);
	if (ret == 1)
		return finish(c, err);
	ret = exp_tls_conn_result(c, ret, err);
	return ret ? ret : exp_tls_conn_cut(c, err); /* close_notify within a handshake */
}
