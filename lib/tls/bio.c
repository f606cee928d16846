/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "tls/bio.h"

/* Beyond a batch: the record that makes it one, an alert, a key update. */
#define OUT_SLACK (64u * 1024)

void exp_tls_bio_init(struct exp_tls_bio *b, size_t in_max, size_t out_max)
{
	memset(b, 0, sizeof(*b));
	atomic_init(&b->cancelled, false);
	b->fd = -1;
	exp_buf_init(&b->in, in_max);
	exp_buf_init(&b->out, out_max);
}

void exp_tls_bio_done(struct exp_tls_bio *b)
{
	exp_buf_done(&b->in);
	exp_buf_done(&b->out);
}

void exp_tls_bio_socket(struct exp_tls_bio *b, int fd, size_t batch)
{
	b->fd = fd;
	b->batch = batch;
	b->in.max = EXP_MAX(b->in.max, batch);
	b->out.max = EXP_MAX(b->out.max, batch + OUT_SLACK);
}

/* Until the socket is ready for @events; 0, or the error that ends the stream. */
static int wait_for(struct exp_tls_bio *b, short events)
{
	struct pollfd p = { .fd = b->fd, .events = events };

	for (;;) {
		uint64_t now = exp_mono_ms();
		int ms = -1, r;

		if (b->deadline_ms != EXP_NEVER_MS) {
			if (now >= b->deadline_ms)
				return -ETIMEDOUT;
			ms = (int)EXP_MIN(b->deadline_ms - now, (uint64_t)INT_MAX);
		}
		/* a cancel after this look shuts the socket down, which makes it ready */
		if (atomic_load(&b->cancelled))
			return -ECANCELED;
		r = poll(&p, 1, ms);
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return -errno;
	}
}

static int fail(struct exp_tls_bio *b, int r)
{
	/* a socket that was shut down fails in several ways; they all mean the same */
	b->error = atomic_load(&b->cancelled) ? -ECANCELED : r;
	return b->error;
}

int exp_tls_bio_flush(struct exp_tls_bio *b)
{
	while (!b->error && exp_buf_len(&b->out)) {
		ssize_t n = send(b->fd, exp_buf_data(&b->out), exp_buf_len(&b->out),
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		int r = n < 0 ? -errno : 0;

		if (n > 0) {
			b->calls_out++;
			exp_buf_consume(&b->out, (size_t)n);
		} else if (r == -EAGAIN || r == -EWOULDBLOCK) {
			r = wait_for(b, POLLOUT);
			if (r < 0)
				return fail(b, r);
		} else if (r != -EINTR) {
			return fail(b, r ? r : -EIO);
		}
	}
	return b->error;
}

/* At least one byte in the input buffer, or the error; 0 at the end of the stream. */
static int fill(struct exp_tls_bio *b)
{
	uint8_t *p;
	int r;

	r = exp_buf_reserve(&b->in, b->batch, &p);
	if (r < 0)
		return fail(b, r);
	for (;;) {
		ssize_t n = recv(b->fd, p, b->batch, MSG_DONTWAIT);

		if (atomic_load(&b->cancelled))
			return fail(b, -ECANCELED);
		if (n > 0) {
			b->calls_in++;
			exp_buf_commit(&b->in, (size_t)n);
			return 1;
		}
		if (!n) {
			b->eof = true;
			return 0;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return fail(b, -errno);
		r = wait_for(b, POLLIN);
		if (r < 0)
			return fail(b, r);
	}
}

static int bio_read(BIO *bio, char *p, size_t n, size_t *ret_n)
{
	struct exp_tls_bio *b = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	*ret_n = 0;
	if (!exp_buf_len(&b->in) && b->fd < 0) {
		BIO_set_retry_read(bio);
		return 0;
	}
	if (!exp_buf_len(&b->in) && (b->error || b->eof || fill(b) <= 0))
		return 0;
	n = EXP_MIN(n, exp_buf_len(&b->in));
	memcpy(p, exp_buf_data(&b->in), n);
	exp_buf_consume(&b->in, n);
	*ret_n = n;
	return 1;
}

static int bio_write(BIO *bio, const char *p, size_t n, size_t *ret_n)
{
	struct exp_tls_bio *b = BIO_get_data(bio);
	int r;

	BIO_clear_retry_flags(bio);
	*ret_n = 0;
	if (b->error)
		return 0;
	r = exp_buf_add(&b->out, p, n);
	if (r == -E2BIG && b->fd < 0) {
		BIO_set_retry_write(bio);
		return 0;
	}
	if (r < 0) {
		fail(b, r);
		return 0;
	}
	if (b->fd >= 0 && exp_buf_len(&b->out) >= b->batch && exp_tls_bio_flush(b) < 0)
		return 0;
	*ret_n = n;
	return 1;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	struct exp_tls_bio *b = BIO_get_data(bio);

	(void)num;
	(void)ptr;
	switch (cmd) {
	case BIO_CTRL_FLUSH: return b->fd < 0 || !exp_tls_bio_flush(b);
	case BIO_CTRL_EOF: return b->eof && !exp_buf_len(&b->in);
	case BIO_CTRL_PENDING: return (long)exp_buf_len(&b->in);
	case BIO_CTRL_WPENDING: return (long)exp_buf_len(&b->out);
	}
	return 0;
}

BIO_METHOD *exp_tls_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "exp buffers");

	if (m && BIO_meth_set_read_ex(m, bio_read) && BIO_meth_set_write_ex(m, bio_write) &&
	    BIO_meth_set_ctrl(m, bio_ctrl))
		return m;
	BIO_meth_free(m);
	return NULL;
}
