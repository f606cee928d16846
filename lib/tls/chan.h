/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chan.h - TLS for the control connection, without a socket: ciphertext in and out, plaintext out
 * and in
 *
 * Nothing blocks. The owner moves bytes:
 *
 *	received n bytes:	while (n) { r = exp_chan_feed(c, p, n, err); p += r; n -= r;
 *					    while ((r = exp_chan_read(c, buf, sizeof(buf), err)) >
 *0)
 *...
 *} to say something:	r = exp_chan_write(c, p, n, err)	(takes what there is room for) after
 *either:		while ((n = exp_chan_out(c, &p))) exp_chan_sent(c, send(fd, p, n))
 *
 * After any error exp_chan_out() may hold an alert that tells the peer why: send it, then close.
 * In TLS 1.3 a client is through before the server has looked at its certificate: a refusal then
 * comes out of the client's first exp_chan_read().
 * One thread at a time.
 */
#ifndef EXP_TLS_CHAN_H
#define EXP_TLS_CHAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "tls/ctx.h"

#define EXP_CHAN_IN_MAX  (64u * 1024)  /* ciphertext taken and not read yet */
#define EXP_CHAN_OUT_MAX (512u * 1024) /* ciphertext made and not sent yet */

enum exp_chan_state {
	EXP_CHAN_HANDSHAKE = 1,
	EXP_CHAN_OPEN = 2,
	EXP_CHAN_ENDED = 3, /* the peer sent close_notify: nothing more will be read; write on */
	EXP_CHAN_FAILED = 4,
};

struct exp_chan;

int exp_chan_new(struct exp_tls_ctx *ctx, enum exp_tls_side side, struct exp_chan **ret,
		 struct exp_error *err) EXP_MUST_CHECK;
void exp_chan_free(struct exp_chan *c); /* NULL is fine */
EXP_DEFINE_CLEANUP(struct exp_chan *, exp_chan_free)

enum exp_chan_state exp_chan_state(const struct exp_chan *c);

/** exp_chan_peer - who it is; NULL until OPEN. Borrowed, lives as long as @c */
const struct exp_tls_identity *exp_chan_peer(const struct exp_chan *c);

/**
 * exp_chan_feed - ciphertext from the peer; moves the handshake on
 *
 * Returns how many bytes were taken, fewer than @n only when EXP_CHAN_IN_MAX wait: read first. A
 * handshake that fails returns -EPROTO or -EACCES with CERT_EXPIRED, PEER_UNKNOWN (foreign CA, no
 * certificate, no SAN URI) or TLS, and the certificate's part in it.
 */
int exp_chan_feed(struct exp_chan *c, const void *p, size_t n,
		  struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_chan_read - plaintext, into @p
 * Returns its length, at most @cap; 0 when there is none now (or no more: EXP_CHAN_ENDED);
 * negative as exp_chan_feed().
 */
int exp_chan_read(struct exp_chan *c, void *p, size_t cap, struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_chan_write - plaintext, encrypted at once
 * Returns how many bytes were taken: 0 before OPEN, fewer than @n when EXP_CHAN_OUT_MAX is near.
 * -EPIPE after exp_chan_close().
 */
int exp_chan_write(struct exp_chan *c, const void *p, size_t n,
		   struct exp_error *err) EXP_MUST_CHECK;

/** exp_chan_out - ciphertext to send, *ret borrowed until the next call on @c; 0: none */
size_t exp_chan_out(const struct exp_chan *c, const void **ret);
void exp_chan_sent(struct exp_chan *c, size_t n);

/** exp_chan_close - nothing more to say: puts close_notify behind what was written */
void exp_chan_close(struct exp_chan *c);

/** exp_chan_eof - the transport ended: 0 after close_notify, else -ECONNRESET (PEER_GONE) */
int exp_chan_eof(const struct exp_chan *c, struct exp_error *err) EXP_MUST_CHECK;

/** exp_chan_cipher - for people: "TLS_AES_128_GCM_SHA256"; "" before OPEN */
const char *exp_chan_cipher(const struct exp_chan *c);

#endif
