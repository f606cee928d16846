/* SPDX-License-Identifier: Apache-2.0 */
/* Two channels joined by buffers; where a peer misbehaves it is plain OpenSSL on memory BIOs. */
#include "support/tests.h"
#include "support/tls_rig.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/rng.h"
#include "tls/chan.h"

static struct exp_chan *chan(struct exp_tls_ctx *ctx, enum exp_tls_side side)
{
	struct exp_error err = { 0 };
	struct exp_chan *c = NULL;

	assert_ok(exp_chan_new(ctx, side, &c, &err), &err);
	return c;
}

struct pair {
	struct exp_chan *client, *server;
	struct exp_error client_err, server_err;
	int client_r, server_r; /* of the feed that failed */
};

static void pair_open(struct pair *p, struct rig *r, const char *client, const char *server)
{
	EXP_CLEANUP(exp_tls_ctx_freep) struct exp_tls_ctx *cc = rig_ctx(r, client);
	EXP_CLEANUP(exp_tls_ctx_freep) struct exp_tls_ctx *sc = rig_ctx(r, server);

	/* the contexts go out of scope here: a reload does not end a connection */
	*p = (struct pair){ .client = chan(cc, EXP_TLS_CLIENT),
			    .server = chan(sc, EXP_TLS_SERVER) };
}

static void pair_free(struct pair *p)
{
	exp_chan_free(p->client);
	exp_chan_free(p->server);
}

/* All that @from has made goes to @to, @step bytes at a time. */
static bool carry(struct exp_chan *from, struct exp_chan *to, size_t step, int *ret,
		  struct exp_error *err)
{
	const void *p;
	size_t n;
	bool any = false;

	while (*ret >= 0 && (n = exp_chan_out(from, &p))) {
		*ret = exp_chan_feed(to, p, EXP_MIN(n, step), err);
		if (*ret >= 0)
			exp_chan_sent(from, (size_t)*ret);
		if (!*ret)
			break;
		any = true;
	}
	return any;
}

static void pump(struct pair *p, size_t step)
{
	bool more = true;

	while (more) {
		more = carry(p->client, p->server, step, &p->server_r, &p->server_err);
		more |= carry(p->server, p->client, step, &p->client_r, &p->client_err);
		if (p->client_r < 0 || p->server_r < 0)
			break;
	}
	/* what a failing side still says reaches the other */
	carry(p->server, p->client, step, &p->client_r, &p->client_err);
	carry(p->client, p->server, step, &p->server_r, &p->server_err);
}

static void pair_up(struct pair *p, struct rig *r)
{
	pair_open(p, r, "a", "b");
	pump(p, SIZE_MAX);
	assert_ok(p->client_r < 0 ? p->client_r : 0, &p->client_err);
	assert_ok(p->server_r < 0 ? p->server_r : 0, &p->server_err);
	assert_int_equal(exp_chan_state(p->client), EXP_CHAN_OPEN);
	assert_int_equal(exp_chan_state(p->server), EXP_CHAN_OPEN);
}

static void says(struct exp_chan *from, struct exp_chan *to, const char *text)
{
	struct exp_error err = { 0 };
	char got[256] = { 0 };
	int r = 0;

	assert_int_equal(exp_chan_write(from, text, strlen(text), &err), strlen(text));
	carry(from, to, SIZE_MAX, &r, &err);
	assert_true(r >= 0);
	assert_int_equal(exp_chan_read(to, got, sizeof(got), &err), strlen(text));
	assert_string_equal(got, text);
	assert_int_equal(exp_chan_read(to, got, sizeof(got), &err), 0);
}

static void test_mutual(void **state)
{
	struct pair p;
	const void *out;

	pair_open(&p, *state, "a", "many");
	assert_true(exp_chan_out(p.client, &out) > 0); /* the client begins */
	assert_int_equal(exp_chan_out(p.server, &out), 0);
	assert_null(exp_chan_peer(p.client));
	assert_string_equal(exp_chan_cipher(p.client), "");
	pump(&p, SIZE_MAX);
	assert_int_equal(exp_chan_state(p.client), EXP_CHAN_OPEN);
	assert_int_equal(exp_chan_state(p.server), EXP_CHAN_OPEN);
	assert_string_equal(exp_chan_peer(p.server)->uri[0], "spiffe://lab/host/a");
	assert_int_equal(exp_chan_peer(p.client)->n_uris, 3);
	assert_string_equal(exp_chan_peer(p.client)->uri[2], "spiffe://lab/z");
	assert_true(exp_chan_peer(p.client)->not_after_s > 0);
	assert_non_null(strstr(exp_chan_cipher(p.client), "TLS_"));
	says(p.client, p.server, "hello");
	says(p.server, p.client, "hello yourself");
	says(p.client, p.server, "x");
	pair_free(&p);
}

static void test_one_byte_at_a_time(void **state)
{
	struct exp_error err = { 0 };
	struct pair p;
	char got[1000];
	size_t n = 0;
	int r = 0;

	pair_open(&p, *state, "a", "b");
	pump(&p, 1);
	assert_int_equal(exp_chan_state(p.server), EXP_CHAN_OPEN);
	assert_int_equal(exp_chan_write(p.server, "0123456789", 10, &err), 10);
	exp_chan_close(p.server);
	while (exp_chan_state(p.client) == EXP_CHAN_OPEN) {
		const void *out;

		if (exp_chan_out(p.server, &out)) {
			assert_int_equal(exp_chan_feed(p.client, out, 1, &err), 1);
			exp_chan_sent(p.server, 1);
		}
		r = exp_chan_read(p.client, got + n, 1, &err);
		assert_true(r >= 0);
		n += (size_t)r;
	}
	assert_int_equal(n, 10);
	assert_memory_equal(got, "0123456789", 10);
	assert_int_equal(exp_chan_state(p.client), EXP_CHAN_ENDED);
	pair_free(&p);
}

/* --- certificates --- */

static void refused(struct rig *r, const char *client, const char *server, enum exp_code code,
		    const char *at_judge, bool server_judges, enum exp_code told,
		    const char *at_other)
{
	struct exp_error *judge, *other;
	struct pair p;
	char byte;

	pair_open(&p, r, client, server);
	pump(&p, SIZE_MAX);
	if (server_judges && p.client_r >= 0) /* the client learns of it when it reads */
		p.client_r = exp_chan_read(p.client, &byte, 1, &p.client_err);
	judge = server_judges ? &p.server_err : &p.client_err;
	other = server_judges ? &p.client_err : &p.server_err;
	assert_true((server_judges ? p.server_r : p.client_r) < 0);
	assert_error(judge, code, at_judge);
	assert_true((server_judges ? p.client_r : p.server_r) < 0);
	assert_error(other, told, at_other);
	assert_int_equal(exp_chan_state(p.client), EXP_CHAN_FAILED);
	assert_int_equal(exp_chan_state(p.server), EXP_CHAN_FAILED);
	if (server_judges)
		assert_null(exp_chan_peer(p.server));
	pair_free(&p);
}

static void test_expired(void **state)
{
	const char *part = "the peer's certificate (spiffe://lab/host/old) expired at 20";

	refused(*state, "old", "b", EXP_CODE_CERT_EXPIRED, part, true, EXP_CODE_CERT_EXPIRED,
		"certificate expired, it means our certificate");
	refused(*state, "a", "old", EXP_CODE_CERT_EXPIRED, part, false, EXP_CODE_CERT_EXPIRED,
		"certificate expired, it means our certificate");
}

static void test_not_yet_valid(void **state)
{
	const char *part = "(spiffe://lab/host/soon) is valid only from 20";

	refused(*state, "soon", "b", EXP_CODE_CERT_EXPIRED, part, true, EXP_CODE_TLS,
		"bad certificate, it means our certificate");
	refused(*state, "a", "soon", EXP_CODE_CERT_EXPIRED, part, false, EXP_CODE_TLS,
		"bad certificate, it means our certificate");
}

static void test_foreign_ca(void **state)
{
	const char *part = "(spiffe://lab/host/foreign) is not signed by a CA of the CA file";

	refused(*state, "foreign", "b", EXP_CODE_PEER_UNKNOWN, part, true, EXP_CODE_TLS,
		"unknown CA, it means our certificate");
	refused(*state, "a", "foreign", EXP_CODE_PEER_UNKNOWN, part, false, EXP_CODE_TLS,
		"unknown CA, it means our certificate");
}

static void test_wrong_key_usage(void **state)
{
	refused(*state, "server", "b", EXP_CODE_TLS,
		"the peer's certificate (spiffe://lab/host/server): un", true, EXP_CODE_TLS,
		"the peer refuses this connection: ");
}

/* --- a peer of another make --- */

struct raw {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out;
};

static void raw_open(struct raw *w, struct rig *r, const char *host, int version, const char *alpn,
		     bool server)
{
	w->ctx = SSL_CTX_new(TLS_method());
	assert_non_null(w->ctx);
	SSL_CTX_set_min_proto_version(w->ctx, version);
	SSL_CTX_set_max_proto_version(w->ctx, version);
	if (host) {
		assert_int_equal(
			SSL_CTX_use_certificate_chain_file(w->ctx, rig_path(r, host, ".pem")), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey_file(w->ctx, rig_path(r, host, ".key"),
							     SSL_FILETYPE_PEM),
				 1);
	}
	w->ssl = SSL_new(w->ctx);
	assert_non_null(w->ssl);
	if (alpn)
		assert_int_equal(SSL_set_alpn_protos(w->ssl, (const unsigned char *)alpn,
						     (unsigned int)strlen(alpn)),
				 0);
	w->in = BIO_new(BIO_s_mem());
	w->out = BIO_new(BIO_s_mem());
	SSL_set_bio(w->ssl, w->in, w->out);
	if (server)
		SSL_set_accept_state(w->ssl);
	else
		SSL_set_connect_state(w->ssl);
}

static void raw_close(struct raw *w)
{
	SSL_free(w->ssl);
	SSL_CTX_free(w->ctx);
}

/* Until nothing moves any more; what the channel's feed returned when it failed, else 0. */
static int raw_pump(struct raw *w, struct exp_chan *c, struct exp_error *err)
{
	int r = 0;

	for (int round = 0; round < 10; round++) {
		const void *p;
		char *mem;
		size_t n;
		long len;

		SSL_do_handshake(w->ssl);
		len = BIO_get_mem_data(w->out, &mem);
		if (len > 0) {
			r = exp_chan_feed(c, mem, (size_t)len, err);
			assert_int_equal(BIO_reset(w->out), 1);
		}
		n = exp_chan_out(c, &p);
		if (n) {
			assert_int_equal(BIO_write(w->in, p, (int)n), n);
			exp_chan_sent(c, n);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

#define ALPN_EXP "\5exp/1"

static void raw_refused(struct rig *r, const char *host, int version, const char *alpn, bool server,
			enum exp_code code, const char *part)
{
	EXP_CLEANUP(exp_tls_ctx_freep) struct exp_tls_ctx *ctx = rig_ctx(r, "b");
	EXP_CLEANUP(exp_chan_freep)
	struct exp_chan *c = chan(ctx, server ? EXP_TLS_CLIENT : EXP_TLS_SERVER);
	struct exp_error err = { 0 };
	struct raw w;

	raw_open(&w, r, host, version, alpn, server);
	assert_true(raw_pump(&w, c, &err) < 0);
	assert_error(&err, code, part);
	assert_null(exp_chan_peer(c));
	raw_close(&w);
}

static void test_raw_peer_is_fine(void **state)
{
	EXP_CLEANUP(exp_tls_ctx_freep) struct exp_tls_ctx *ctx = rig_ctx(*state, "b");
	EXP_CLEANUP(exp_chan_freep) struct exp_chan *c = chan(ctx, EXP_TLS_SERVER);
	struct exp_error err = { 0 };
	struct raw w;

	/* so that the refusals below are for their reason */
	raw_open(&w, *state, "a", TLS1_3_VERSION, "\2h2" ALPN_EXP, false);
	assert_ok(raw_pump(&w, c, &err), &err);
	assert_int_equal(exp_chan_state(c), EXP_CHAN_OPEN);
	assert_string_equal(exp_chan_peer(c)->uri[0], "spiffe://lab/host/a");
	assert_int_equal(SSL_session_reused(w.ssl), 0);
	assert_int_equal(SSL_SESSION_is_resumable(SSL_get0_session(w.ssl)), 0); /* no ticket */
	raw_close(&w);
}

static void test_no_client_certificate(void **state)
{
	EXP_CLEANUP(exp_tls_ctx_freep) struct exp_tls_ctx *ctx = rig_ctx(*state, "b");
	EXP_CLEANUP(exp_chan_freep) struct exp_chan *c = chan(ctx, EXP_TLS_SERVER);
	struct exp_error err = { 0 };
	struct raw w;
	char byte;

	raw_open(&w, *state, NULL, TLS1_3_VERSION, ALPN_EXP, false);
	assert_int_equal(raw_pump(&w, c, &err), -EACCES);
	assert_error(&err, EXP_CODE_PEER_UNKNOWN, "the peer has no certificate");
	assert_null(exp_chan_peer(c));
	assert_true(SSL_read(w.ssl, &byte, 1) <= 0); /* and it is told */
	assert_int_equal(ERR_GET_REASON(ERR_get_error()), SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED);
	raw_close(&w);
}

static void test_no_san(void **state)
{
	raw_refused(*state, "nosan", TLS1_3_VERSION, ALPN_EXP, false, EXP_CODE_PEER_UNKNOWN,
		    "the peer's certificate has no SAN URI");
	raw_refused(*state, "dns", TLS1_3_VERSION, ALPN_EXP, false, EXP_CODE_PEER_UNKNOWN,
		    "the peer's certificate has no SAN URI");
	raw_refused(*state, "nosan", TLS1_3_VERSION, NULL, true, EXP_CODE_PEER_UNKNOWN,
		    "the peer's certificate has no SAN URI");
}

static void test_old_tls(void **state)
{
	raw_refused(*state, "a", TLS1_2_VERSION, ALPN_EXP, false, EXP_CODE_TLS,
		    "the peer does not speak TLS 1.3");
	raw_refused(*state, "a", TLS1_2_VERSION, NULL, true, EXP_CODE_TLS, "TLS 1.3");
}

static void test_alpn(void **state)
{
	raw_refused(*state, "a", TLS1_3_VERSION, "\2h2\5exp/2", false, EXP_CODE_TLS,
		    "the peer does not offer ALPN exp/1");
	raw_refused(*state, "a", TLS1_3_VERSION, NULL, false, EXP_CODE_TLS,
		    "the peer does not speak exp/1 (ALPN \"\")");
	raw_refused(*state, "a", TLS1_3_VERSION, NULL, true, EXP_CODE_TLS,
		    "the peer does not speak exp/1 (ALPN \"\")");
}

/* --- ends --- */

static void test_close_notify(void **state)
{
	struct exp_error err = { 0 };
	struct pair p;
	char got[16];
	int r = 0;

	pair_up(&p, *state);
	assert_int_equal(exp_chan_write(p.client, "last", 4, &err), 4);
	exp_chan_close(p.client);
	exp_chan_close(p.client);
	assert_int_equal(exp_chan_write(p.client, "x", 1, &err), -EPIPE);
	carry(p.client, p.server, SIZE_MAX, &r, &err);
	assert_int_equal(exp_chan_eof(p.server, &err), -ECONNRESET); /* not read up to it yet */
	assert_int_equal(exp_chan_read(p.server, got, sizeof(got), &err), 4);
	assert_int_equal(exp_chan_read(p.server, got, sizeof(got), &err), 0);
	assert_int_equal(exp_chan_state(p.server), EXP_CHAN_ENDED);
	assert_ok(exp_chan_eof(p.server, &err), &err);
	assert_int_equal(exp_chan_feed(p.server, "junk", 4, &err), 4);
	/* the other way is still open */
	assert_int_equal(exp_chan_write(p.server, "bye", 3, &err), 3);
	exp_chan_close(p.server);
	carry(p.server, p.client, SIZE_MAX, &r, &err);
	assert_int_equal(exp_chan_read(p.client, got, sizeof(got), &err), 3);
	assert_int_equal(exp_chan_read(p.client, got, sizeof(got), &err), 0);
	assert_int_equal(exp_chan_state(p.client), EXP_CHAN_ENDED);
	pair_free(&p);
}

static void test_bare_eof(void **state)
{
	struct exp_error err = { 0 };
	struct pair p;

	pair_open(&p, *state, "a", "b");
	assert_int_equal(exp_chan_eof(p.server, &err), -ECONNRESET);
	assert_error(&err, EXP_CODE_PEER_GONE, "during the TLS handshake");
	pump(&p, SIZE_MAX);
	assert_int_equal(exp_chan_eof(p.server, &err), -ECONNRESET);
	assert_error(&err, EXP_CODE_PEER_GONE, "without close_notify: it was cut");
	pair_free(&p);
}

static void test_not_tls_at_all(void **state)
{
	static const char *const junk[] = { "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
					    "\x16\x03\x01\xff\xff\x01\xff\xff\xff",
					    "EXPBULK1aaaaaaaaaaaaaaaaaaaaaaa" };
	EXP_CLEANUP(exp_tls_ctx_freep) struct exp_tls_ctx *ctx = rig_ctx(*state, "b");

	for (size_t i = 0; i < EXP_ARRAY_SIZE(junk); i++) {
		EXP_CLEANUP(exp_chan_freep) struct exp_chan *c = chan(ctx, EXP_TLS_SERVER);
		struct exp_error err = { 0 };
		size_t n = strlen(junk[i]);
		int r = exp_chan_feed(c, junk[i], n, &err);

		assert_int_equal(r, -EPROTO);
		assert_int_equal(err.code, EXP_CODE_TLS);
		assert_int_equal(exp_chan_feed(c, "x", 1, &err), -EPROTO); /* and stays so */
		assert_int_equal(exp_chan_write(c, "x", 1, &err), -EPROTO);
	}
}

/* --- limits --- */

static void test_out_is_bounded(void **state)
{
	struct exp_error err = { 0 };
	struct pair p;
	static char big[1 << 20], got[1 << 16];
	size_t taken = 0, read = 0;
	const void *out;

	pair_up(&p, *state);
	assert_in_range(exp_chan_write(p.client, big, sizeof(big), &err), 400000, EXP_CHAN_OUT_MAX);
	assert_true(exp_chan_out(p.client, &out) <= EXP_CHAN_OUT_MAX);
	assert_int_equal(exp_chan_write(p.client, big, sizeof(big), &err), 0);
	while (exp_chan_out(p.client, &out)) {
		int r = exp_chan_feed(p.server, out, exp_chan_out(p.client, &out), &err);

		assert_true(r >= 0);
		exp_chan_sent(p.client, (size_t)r);
		taken += (size_t)r;
		while ((r = exp_chan_read(p.server, got, sizeof(got), &err)) > 0)
			read += (size_t)r;
		assert_int_equal(r, 0);
	}
	assert_true(read > 400000 && taken > read);
	says(p.client, p.server, "room again");
	pair_free(&p);
}

static void test_in_is_bounded(void **state)
{
	struct exp_error err = { 0 };
	struct pair p;
	static char big[300000], got[1 << 16];
	const void *out;
	size_t n, fed = 0, read = 0;
	int r;

	pair_up(&p, *state);
	assert_int_equal(exp_chan_write(p.client, big, sizeof(big), &err), sizeof(big));
	n = exp_chan_out(p.client, &out);
	r = exp_chan_feed(p.server, out, n, &err);
	assert_int_equal(r, EXP_CHAN_IN_MAX);
	assert_int_equal(exp_chan_feed(p.server, (const char *)out + r, n - (size_t)r, &err), 0);
	for (fed = (size_t)r; read < sizeof(big);) {
		while ((r = exp_chan_read(p.server, got, sizeof(got), &err)) > 0)
			read += (size_t)r;
		assert_int_equal(r, 0);
		r = exp_chan_feed(p.server, (const char *)out + fed, n - fed, &err);
		assert_true(r >= 0);
		fed += (size_t)r;
	}
	assert_int_equal(fed, n);
	pair_free(&p);
}

/* One bit wrong anywhere in what a peer sends: an error, never a wrong byte. */
static void test_flipped_bits(void **state)
{
	struct exp_rng rng;

	exp_rng_seed(&rng, 31);
	for (int i = 0; i < 150; i++) {
		struct exp_error err = { 0 };
		struct pair p;
		uint64_t at, seen = 0;
		bool flipped = false;
		char got[64] = { 0 };
		int r = 0;

		pair_open(&p, *state, "a", "b");
		at = exp_rng_below(&rng, 1500);
		for (int round = 0; round < 6 && r >= 0; round++) {
			const void *out;
			size_t n = exp_chan_out(p.client, &out);
			uint8_t copy[8192];

			assert_true(n <= sizeof(copy));
			if (n)
				memcpy(copy, out, n);
			if (at >= seen && at < seen + n) {
				copy[at - seen] ^= (uint8_t)(1 << exp_rng_below(&rng, 8));
				flipped = true;
			}
			seen += n;
			exp_chan_sent(p.client, n);
			r = exp_chan_feed(p.server, copy, n, &err);
			if (r >= 0)
				carry(p.server, p.client, SIZE_MAX, &p.client_r, &p.client_err);
			if (round == 2)
				assert_true(exp_chan_write(p.client, "payload", 7, NULL) <= 7);
		}
		if (r >= 0)
			r = exp_chan_read(p.server, got, sizeof(got), &err);
		if (flipped)
			assert_true(r < 0 || !memcmp(got, "payload", (size_t)r));
		else
			assert_int_equal(r, 7);
		pair_free(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutual),
		cmocka_unit_test(test_one_byte_at_a_time),
		cmocka_unit_test(test_expired),
		cmocka_unit_test(test_not_yet_valid),
		cmocka_unit_test(test_foreign_ca),
		cmocka_unit_test(test_wrong_key_usage),
		cmocka_unit_test(test_raw_peer_is_fine),
		cmocka_unit_test(test_no_client_certificate),
		cmocka_unit_test(test_no_san),
		cmocka_unit_test(test_old_tls),
		cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_close_notify),
		cmocka_unit_test(test_bare_eof),
		cmocka_unit_test(test_not_tls_at_all),
		cmocka_unit_test(test_out_is_bounded),
		cmocka_unit_test(test_in_is_bounded),
		cmocka_unit_test(test_flipped_bits),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
