/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.c - blocking TLS: the waiting is in bio.c, below OpenSSL, so no call here is repeated
 *
 * SSL_write() cuts what it gets into records of 16 KiB; they gather in the output buffer and go
 * out in one send(2) of EXP_STREAM_BUF_BYTES. That costs one copy of the ciphertext, within the
 * second-level cache, and saves 15 of 16 system calls.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tls/chan_priv.h"
#include "tls/ctx_priv.h"
#include "tls/stream.h"

struct exp_stream {
	struct exp_tls_conn *conn;
	int fd;
	uint64_t rekey_after, under_key; /* bytes of plaintext */
	uint64_t plain_in, plain_out, key_updates;
};

static int make_nonblocking(int fd, struct exp_error *err)
{
	int flags = fcntl(fd, F_GETFL), one = 1;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "socket %d: %s", fd,
				     strerror(errno));
	/* a flush is one send, which Nagle would hold back; no TCP socket: nothing to hold back */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return 0;
}

static void attach(struct exp_stream *s, int fd)
{
	s->fd = fd;
	s->rekey_after = EXP_STREAM_REKEY_BYTES;
	exp_tls_bio_socket(&s->conn->io, fd, EXP_STREAM_BUF_BYTES);
}

int exp_stream_new(struct exp_tls_ctx *ctx, enum exp_tls_side side, int fd, struct exp_stream **ret,
		   struct exp_error *err)
{
	struct exp_stream *s;
	int r = make_nonblocking(fd, err);

	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "TLS: out of memory");
	r = exp_tls_conn_new(ctx, side, EXP_STREAM_BUF_BYTES, EXP_STREAM_BUF_BYTES, &s->conn, err);
	if (r < 0) {
		free(s);
		return r;
	}
	attach(s, fd);
	*ret = s;
	return 0;
}

int exp_stream_adopt(struct exp_chan *c, int fd, struct exp_stream **ret, struct exp_error *err)
{
	struct exp_stream *s;
	int r;

	if (exp_chan_state(c) != EXP_CHAN_OPEN)
		return exp_error_set(err, EXP_CODE_TLS, ENOTCONN,
				     "a channel that is not open cannot become a stream");
	r = make_nonblocking(fd, err);
	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "TLS: out of memory");
	s->conn = exp_chan_take_conn(c);
	exp_chan_free(c);
	attach(s, fd);
	*ret = s;
	return 0;
}

void exp_stream_free(struct exp_stream *s)
{
	if (!s)
		return;
	exp_tls_conn_free(s->conn);
	close(s->fd);
	free(s);
}

void exp_stream_cancel(struct exp_stream *s)
{
	/* the flag first: whoever wakes up from the shutdown must find it */
	atomic_store(&s->conn->io.cancelled, true);
	shutdown(s->fd, SHUT_RDWR);
}

/* What an SSL call that failed means here; 0: the peer sent close_notify. */
static int result(struct exp_stream *s, int ret, struct exp_error *err)
{
	int r = exp_tls_conn_result(s->conn, ret, err);

	if (r == -EAGAIN) /* our BIO never asks to come back: OpenSSL and it disagree */
		return exp_error_set(err, EXP_CODE_TLS, EIO, "TLS: an unfinished call");
	return r;
}

/* Before each call into OpenSSL. An earlier failure stays, whatever the buffers still hold. */
static int begin(struct exp_stream *s, uint64_t deadline_ms, struct exp_error *err)
{
	struct exp_tls_bio *io = &s->conn->io;

	io->deadline_ms = deadline_ms;
	if (atomic_load(&io->cancelled))
		io->error = -ECANCELED;
	ERR_clear_error();
	return io->error ? result(s, -1, err) : 0;
}

int exp_stream_handshake(struct exp_stream *s, uint64_t deadline_ms, struct exp_error *err)
{
	int r;

	r = begin(s, deadline_ms, err);
	if (r < 0)
		return r;
	r = exp_tls_conn_handshake(s->conn, err);
	if (r == -EAGAIN)
		return exp_error_set(err, EXP_CODE_TLS, EIO, "TLS: an unfinished handshake");
	return r;
}

const struct exp_tls_identity *exp_stream_peer(const struct exp_stream *s)
{
	return s->conn->open ? &s->conn->peer : NULL;
}

static int rekey(struct exp_stream *s, struct exp_error *err)
{
	/* not requested of the peer: it sends nothing here, so its key does not wear */
	if (SSL_key_update(s->conn->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1)
		return exp_tls_openssl_error(err, EXP_CODE_TLS, EPROTO, "TLS key update");
	s->under_key = 0;
	s->key_updates++;
	return 0;
}

int exp_stream_write(struct exp_stream *s, const void *p, size_t n, uint64_t deadline_ms,
		     struct exp_error *err)
{
	const char *at = p;

	while (n) {
		size_t part, done = 0;
		int r;

		r = begin(s, deadline_ms, err);
		if (!r && s->under_key >= s->rekey_after)
			r = rekey(s, err);
		if (r < 0)
			return r;
		part = (size_t)EXP_MIN((uint64_t)n, s->rekey_after - s->under_key);
		if (SSL_write_ex(s->conn->ssl, at, part, &done) != 1) {
			r = result(s, 0, err);
			return r ? r
				 : exp_error_set(err, EXP_CODE_PEER_GONE, EPIPE,
						 "the peer has ended this connection");
		}
		at += done;
		n -= done;
		s->plain_out += done;
		s->under_key += done;
	}
	return 0;
}

int exp_stream_flush(struct exp_stream *s, uint64_t deadline_ms, struct exp_error *err)
{
	int r = begin(s, deadline_ms, err);

	if (r < 0)
		return r;
	return exp_tls_bio_flush(&s->conn->io) < 0 ? result(s, -1, err) : 0;
}

int exp_stream_read(struct exp_stream *s, void *p, size_t n, uint64_t deadline_ms, size_t *ret_n,
		    struct exp_error *err)
{
	size_t got = 0;

	while (got < n) {
		size_t part = 0;
		int r = begin(s, deadline_ms, err);

		if (r < 0)
			return r;
		if (SSL_read_ex(s->conn->ssl, (char *)p + got, n - got, &part) != 1) {
			r = result(s, 0, err);
			if (r < 0)
				return r;
			break;
		}
		got += part;
		s->plain_in += part;
	}
	*ret_n = got;
	return 0;
}

int exp_stream_wait(struct exp_stream *s, uint64_t deadline_ms, struct exp_error *err)
{
	int r = begin(s, deadline_ms, err);

	while (!r) {
		struct pollfd p = { .fd = s->fd, .events = POLLIN };
		uint64_t now = exp_mono_ms();

		/* read ahead, by OpenSSL or below it */
		if (SSL_has_pending(s->conn->ssl) || exp_buf_len(&s->conn->io.in))
			return 1;
		r = poll(&p, 1, deadline_ms > now ? (int)EXP_MIN(deadline_ms - now, 60000u) : 0);
		if (r > 0)
			return begin(s, deadline_ms, err) < 0 ? -ECANCELED : 1;
		if (r < 0 && errno != EINTR)
			return exp_error_set(err, EXP_CODE_SYSTEM, errno, "poll: %s",
					     strerror(errno));
		if (exp_mono_ms() >= deadline_ms)
			return 0;
		r = begin(s, deadline_ms, err);
	}
	return r;
}

int exp_stream_end(struct exp_stream *s, uint64_t deadline_ms, struct exp_error *err)
{
	int r = begin(s, deadline_ms, err);

	if (r < 0)
		return r;
	r = SSL_shutdown(s->conn->ssl);
	if (r < 0 && (r = result(s, r, err)) < 0)
		return r;
	return exp_stream_flush(s, deadline_ms, err);
}

int exp_stream_drain(struct exp_stream *s, uint64_t deadline_ms, struct exp_error *err)
{
	size_t n = 0;
	char byte;
	int r = exp_stream_read(s, &byte, 1, deadline_ms, &n, err);

	if (!r && n)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "the peer sent data on a one-way connection");
	return r;
}

void exp_stream_rekey_after(struct exp_stream *s, uint64_t bytes)
{
	assert(bytes);
	s->rekey_after = bytes;
}

void exp_stream_stats(const struct exp_stream *s, struct exp_stream_stats *ret)
{
	*ret = (struct exp_stream_stats){ .plain_in = s->plain_in,
					  .plain_out = s->plain_out,
					  .calls_in = s->conn->io.calls_in,
					  .calls_out = s->conn->io.calls_out,
					  .key_updates = s->key_updates };
}
