/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - TLS for a bulk connection: a socket, used by one thread, blocking with deadlines
 *
 * Made for volume: records are gathered and handed to the kernel in large sends, the socket is
 * read ahead, and data is decrypted into the caller's buffer. The sender changes its key every
 * 128 GiB, far below what AES-GCM allows. An end is explicit: close_notify from the sender, and a
 * socket that just ends is an error.
 *
 * Every call blocks, at most until its deadline (monotonic ms, base/clock.h; EXP_NEVER_MS: none),
 * so worker threads only. The one call for other threads is exp_stream_cancel(). After any
 * failure the stream is of no more use; free it.
 */
#ifndef EXP_TLS_STREAM_H
#define EXP_TLS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "tls/chan.h"
#include "tls/ctx.h"

#define EXP_STREAM_BUF_BYTES   (256u * 1024)         /* of one send or receive */
#define EXP_STREAM_REKEY_BYTES (UINT64_C(128) << 30) /* plaintext under one key */

struct exp_stream;

struct exp_stream_stats {
	uint64_t plain_in, plain_out; /* bytes */
	uint64_t calls_in, calls_out; /* recv(2) and send(2) that moved something */
	uint64_t key_updates;         /* of our sending key */
};

/**
 * exp_stream_new - TLS over the connected socket @fd; exp_stream_handshake() comes next
 * @fd: becomes the stream's on success (closed by _free); made non-blocking
 */
int exp_stream_new(struct exp_tls_ctx *ctx, enum exp_tls_side side, int fd, struct exp_stream **ret,
		   struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_stream_adopt - go on with a connection that began as a channel
 * @c: open; with what it has not read and not sent. On success it is the stream's (freed), and so
 *     is @fd. Does not block: any thread
 */
int exp_stream_adopt(struct exp_chan *c, int fd, struct exp_stream **ret,
		     struct exp_error *err) EXP_MUST_CHECK;

void exp_stream_free(struct exp_stream *s); /* closes the socket; says nothing. NULL is fine */
EXP_DEFINE_CLEANUP(struct exp_stream *, exp_stream_free)

/** exp_stream_handshake - errors as exp_chan_feed() gives them, -ETIMEDOUT, -ECANCELED */
int exp_stream_handshake(struct exp_stream *s, uint64_t deadline_ms,
			 struct exp_error *err) EXP_MUST_CHECK;

/** exp_stream_peer - who it is; NULL before the handshake is done. Borrowed */
const struct exp_tls_identity *exp_stream_peer(const struct exp_stream *s);

/**
 * exp_stream_write - all @n bytes; they may wait in the stream's buffer until exp_stream_flush()
 * -ETIMEDOUT (PEER_GONE) the peer does not read; -ECANCELED (CANCELLED); -EPIPE, -ECONNRESET
 * (PEER_GONE); -EPROTO (TLS).
 */
int exp_stream_write(struct exp_stream *s, const void *p, size_t n, uint64_t deadline_ms,
		     struct exp_error *err) EXP_MUST_CHECK;
int exp_stream_flush(struct exp_stream *s, uint64_t deadline_ms,
		     struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_stream_read - exactly @n bytes, into @p
 * @ret_n: bytes read; fewer than @n only when the peer ended with close_notify
 *
 * A socket that ends without close_notify: -ECONNRESET (PEER_GONE). Else as exp_stream_write().
 */
int exp_stream_read(struct exp_stream *s, void *p, size_t n, uint64_t deadline_ms, size_t *ret_n,
		    struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_stream_wait - is there something to read?
 * 1: exp_stream_read() would make progress, if only to say that the connection ended; 0: nothing
 * came until @deadline_ms, and the stream is as good as before; -ECANCELED.
 */
int exp_stream_wait(struct exp_stream *s, uint64_t deadline_ms,
		    struct exp_error *err) EXP_MUST_CHECK;

/** exp_stream_end - the sender is done: flush, then close_notify */
int exp_stream_end(struct exp_stream *s, uint64_t deadline_ms,
		   struct exp_error *err) EXP_MUST_CHECK;

/** exp_stream_drain - after exp_stream_end(): wait for the peer's close_notify; data is an error */
int exp_stream_drain(struct exp_stream *s, uint64_t deadline_ms,
		     struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_stream_cancel - make the thread inside @s return -ECANCELED, now and from then on
 *
 * Any thread, as long as @s is not being freed: whoever frees it has first made sure of that.
 * A flag and shutdown(2). Repeating it does nothing.
 */
void exp_stream_cancel(struct exp_stream *s);

/** exp_stream_rekey_after - another limit than EXP_STREAM_REKEY_BYTES; more than 0 */
void exp_stream_rekey_after(struct exp_stream *s, uint64_t bytes);

void exp_stream_stats(const struct exp_stream *s, struct exp_stream_stats *ret); /* own thread */

#endif
