/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <stdlib.h>

#include "tls/chan_priv.h"

#define RECORD_MAX 16384
/* A record's header and tag; and room for an alert and close_notify. */
#define RECORD_ROOM (RECORD_MAX + 512)
#define OUT_SLACK   (64u * 1024)

struct exp_chan {
	struct exp_tls_conn *conn;
	enum exp_chan_state state;
	bool closed; /* close_notify is queued */
	int result;  /* of the call that failed */
	struct exp_error failure;
};

static int fail(struct exp_chan *c, int r, const struct exp_error *why, struct exp_error *err)
{
	c->state = EXP_CHAN_FAILED;
	c->result = r;
	c->failure = *why;
	if (err)
		*err = *why;
	return r;
}

static int failed(const struct exp_chan *c, struct exp_error *err)
{
	if (err)
		*err = c->failure;
	return c->result;
}

static int handshake(struct exp_chan *c, struct exp_error *err)
{
	struct exp_error why = { 0 };
	int r = exp_tls_conn_handshake(c->conn, &why);

	if (!r)
		c->state = EXP_CHAN_OPEN;
	return r && r != -EAGAIN ? fail(c, r, &why, err) : 0;
}

int exp_chan_new(struct exp_tls_ctx *ctx, enum exp_tls_side side, struct exp_chan **ret,
		 struct exp_error *err)
{
	EXP_CLEANUP(exp_chan_freep) struct exp_chan *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "TLS: out of memory");
	c->state = EXP_CHAN_HANDSHAKE;
	r = exp_tls_conn_new(ctx, side, EXP_CHAN_IN_MAX, EXP_CHAN_OUT_MAX + OUT_SLACK, &c->conn,
			     err);
	if (!r)
		r = handshake(c, err); /* a client speaks first */
	if (r < 0)
		return r;
	*ret = EXP_TAKE(c);
	return 0;
}

void exp_chan_free(struct exp_chan *c)
{
	if (!c)
		return;
	exp_tls_conn_free(c->conn);
	free(c);
}

struct exp_tls_conn *exp_chan_take_conn(struct exp_chan *c)
{
	return EXP_TAKE(c->conn);
}

enum exp_chan_state exp_chan_state(const struct exp_chan *c)
{
	return c->state;
}

const struct exp_tls_identity *exp_chan_peer(const struct exp_chan *c)
{
	return c->conn->open ? &c->conn->peer : NULL;
}

const char *exp_chan_cipher(const struct exp_chan *c)
{
	return c->conn->open ? SSL_get_cipher_name(c->conn->ssl) : "";
}

int exp_chan_feed(struct exp_chan *c, const void *p, size_t n, struct exp_error *err)
{
	struct exp_buf *in = &c->conn->io.in;
	int r;

	if (c->state == EXP_CHAN_FAILED)
		return failed(c, err);
	n = EXP_MIN(n, (size_t)INT_MAX);
	if (c->state == EXP_CHAN_ENDED)
		return (int)n; /* behind close_notify nothing means anything */
	n = EXP_MIN(n, in->max - exp_buf_len(in));
	r = exp_buf_add(in, p, n);
	if (r < 0) {
		struct exp_error why = { 0 };

		exp_error_set(&why, EXP_CODE_NO_MEMORY, -r, "TLS: out of memory");
		return fail(c, r, &why, err);
	}
	if (c->state == EXP_CHAN_HANDSHAKE)
		r = handshake(c, err);
	return r < 0 ? r : (int)n;
}

int exp_chan_read(struct exp_chan *c, void *p, size_t cap, struct exp_error *err)
{
	struct exp_error why = { 0 };
	int r;

	if (c->state == EXP_CHAN_FAILED)
		return failed(c, err);
	if (c->state != EXP_CHAN_OPEN || !cap)
		return 0;
	ERR_clear_error();
	r = SSL_read(c->conn->ssl, p, (int)EXP_MIN(cap, (size_t)INT_MAX));
	if (r > 0)
		return r;
	r = exp_tls_conn_result(c->conn, r, &why);
	if (!r)
		c->state = EXP_CHAN_ENDED;
	return r && r != -EAGAIN ? fail(c, r, &why, err) : 0;
}

int exp_chan_write(struct exp_chan *c, const void *p, size_t n, struct exp_error *err)
{
	struct exp_error why = { 0 };
	size_t done = 0;

	if (c->state == EXP_CHAN_FAILED)
		return failed(c, err);
	if (c->closed)
		return exp_error_set(err, EXP_CODE_TLS, EPIPE, "written after close_notify");
	if (c->state == EXP_CHAN_HANDSHAKE)
		return 0;
	n = EXP_MIN(n, (size_t)INT_MAX);
	while (done < n && exp_buf_len(&c->conn->io.out) + RECORD_ROOM <= EXP_CHAN_OUT_MAX) {
		int part = (int)EXP_MIN(n - done, (size_t)RECORD_MAX), r;

		ERR_clear_error();
		r = SSL_write(c->conn->ssl, (const char *)p + done, part);
		if (r <= 0) {
			r = exp_tls_conn_result(c->conn, r, &why);
			return fail(c, r ? r : -EPROTO, &why, err);
		}
		done += (size_t)r;
	}
	return (int)done;
}

size_t exp_chan_out(const struct exp_chan *c, const void **ret)
{
	*ret = exp_buf_data(&c->conn->io.out);
	return exp_buf_len(&c->conn->io.out);
}

void exp_chan_sent(struct exp_chan *c, size_t n)
{
	exp_buf_consume(&c->conn->io.out, n);
}

void exp_chan_close(struct exp_chan *c)
{
	if (c->closed || (c->state != EXP_CHAN_OPEN && c->state != EXP_CHAN_ENDED))
		return;
	c->closed = true;
	ERR_clear_error();
	if (SSL_shutdown(c->conn->ssl) < 0) /* without room for it the peer sees a cut */
		ERR_clear_error();
}

int exp_chan_eof(const struct exp_chan *c, struct exp_error *err)
{
	if (c->state == EXP_CHAN_FAILED)
		return failed(c, err);
	return c->state == EXP_CHAN_ENDED ? 0 : exp_tls_conn_cut(c->conn, err);
}
