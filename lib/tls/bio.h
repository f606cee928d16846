/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bio.h - where OpenSSL's ciphertext goes and comes from: two buffers, and perhaps a socket
 *
 * Without a socket (a channel) the owner moves the bytes and OpenSSL is told to come back. With one
 * (a stream) reading fills the input buffer with one large recv(2), writing gathers records until
 * a large send(2) is worth it, and both wait, up to a deadline. Inside lib/tls only.
 */
#ifndef EXP_TLS_BIO_H
#define EXP_TLS_BIO_H

#include <openssl/bio.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/buf.h"

struct exp_tls_bio {
	struct exp_buf in, out; /* ciphertext received and not read; made and not sent */
	int fd;                 /* -1: none */
	size_t batch;           /* bytes of one send or receive */
	uint64_t deadline_ms;
	atomic_bool cancelled; /* set by any thread; the rest belongs to one */
	bool eof;              /* the socket ended */
	int error;             /* negative errno of what failed below TLS, 0 nothing */
	uint64_t calls_in, calls_out;
};

/** exp_tls_bio_method - NULL: no memory; BIO_meth_free() after the last BIO that uses it is gone */
BIO_METHOD *exp_tls_bio_method(void);

void exp_tls_bio_init(struct exp_tls_bio *b, size_t in_max, size_t out_max);
void exp_tls_bio_done(struct exp_tls_bio *b); /* not the socket */

/** exp_tls_bio_socket - from now on bytes move through the non-blocking @fd, @batch at a time */
void exp_tls_bio_socket(struct exp_tls_bio *b, int fd, size_t batch);

/** exp_tls_bio_flush - send all that waits; negative errno, which is also in b->error */
int exp_tls_bio_flush(struct exp_tls_bio *b) EXP_MUST_CHECK;

#endif
