/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulk_send.c - one bulk connection of the source: take extents, read, encrypt, send
 *
 * A few reads are in flight at once; they are sent in the order they were taken, since the
 * sequence numbers of a stream have no holes. The range of an extent left the dirty map when it
 * was taken, before its read was issued, so a write that comes later marks it again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "copy_src_int.h"
#include "device/nsdata.h"
#include "expd.h"
#include "resolve.h"
#include "tls/digest.h"
#include "tls/stream.h"
#include "wire/bulk.h"

#define SLOTS    8     /* extents in flight between the drive and the socket */
#define SETUP_MS 10000 /* connect, handshake, opening record */
#define SEND_MS  60000 /* a peer that takes nothing for so long is gone */
#define READ_MS  30000 /* a drive that answers nothing for so long has failed */
#define RANGES   64    /* allocation status read at once */

struct slot {
	struct exp_extent x;
	bool ready;
	bool last; /* taken after the log was drained: this is its final content */
	int r;     /* of its read */
};

struct sender {
	struct expd_copy_src *c;
	uint32_t stream;
	struct exp_stream *s;
	struct exp_bulk_tx tx;
	struct exp_nsdata *ns[EXP_JOB_EXPORTS_MAX];
	struct exp_nsbuf
		buf[EXP_JOB_EXPORTS_MAX]; /* SLOTS extents each; a buffer is its handle's */
	struct slot slot[SLOTS];
	uint64_t head, tail; /* slots [head, tail) are taken, by number modulo SLOTS */
	bool busy, ended;
};

static int connect_to(struct sender *s, struct exp_error *err)
{
	struct expd_copy_src *c = s->c;
	EXP_CLEANUP(exp_close_fdp) int fd = -1;
	struct expd_address a;
	int r;

	r = expd_resolve_now(c->address, &a, err);
	if (r < 0)
		return r;
	fd = socket(a.sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "socket: %s", strerror(errno));
	/* bounds connect(2) as well */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){ .tv_sec = SETUP_MS / 1000 },
		       sizeof(struct timeval)) < 0 ||
	    connect(fd, (struct sockaddr *)&a.sa, a.len) < 0)
		return exp_error_set(err, EXP_CODE_UNREACHABLE, errno, "connect to %s: %s",
				     c->address, strerror(errno));
	r = exp_stream_new(c->tls, EXP_TLS_CLIENT, fd, &s->s, err);
	if (r < 0)
		return r;
	fd = -1;
	return 0;
}

/* From now on the loop can cancel what blocks in the stream. */
static void publish_stream(struct sender *s, struct exp_stream *stream)
{
	struct expd_copy_src *c = s->c;

	pthread_mutex_lock(&c->lock);
	c->stream[s->stream] = stream;
	pthread_mutex_unlock(&c->lock);
}

static int open_stream(struct sender *s, struct exp_error *err)
{
	struct expd_copy_src *c = s->c;
	uint64_t deadline = exp_mono_ms() + SETUP_MS;
	struct exp_bulk_open open = { .job = c->id,
				      .session = c->session,
				      .stream = (uint16_t)s->stream };
	uint8_t rec[EXP_BULK_OPEN_BYTES];
	int r;

	r = connect_to(s, err);
	if (r < 0)
		return r;
	publish_stream(s, s->s);
	r = exp_stream_handshake(s->s, deadline, err);
	if (r == 0)
		r = exp_tls_identity_expect(exp_stream_peer(s->s), c->identity, err);
	if (r < 0)
		return r;
	memcpy(open.token, c->token, sizeof(open.token));
	exp_bulk_open_encode(&open, rec);
	r = exp_stream_write(s->s, rec, sizeof(rec), deadline, err);
	exp_digest_wipe(rec, sizeof(rec));
	if (r == 0)
		r = exp_stream_flush(s->s, deadline, err);
	s->tx.session = c->session;
	return r;
}

static int open_namespaces(struct sender *s, struct exp_error *err)
{
	struct expd_copy_src *c = s->c;

	for (uint32_t i = 0; i < c->n_ns; i++) {
		int r = exp_nsdata_open(expd_drive_device(c->drive), c->place[i].nsid, SLOTS + 1,
					&s->ns[i], err);

		if (r == 0)
			r = exp_nsbuf_alloc(s->ns[i], (size_t)SLOTS * EXP_COPY_EXTENT_MAX,
					    &s->buf[i], err);
		if (r < 0)
			return exp_error_wrap(err, r, "namespace %u", c->place[i].nsid);
	}
	return 0;
}

/* Where data lies, for the first pass; the change logs run already. */
static int scan_one(struct sender *s, uint32_t i, struct exp_error *err)
{
	struct expd_copy_src *c = s->c;
	uint64_t at = 0, end = exp_nsdata_nsze(s->ns[i]);
	uint32_t lba = c->ns[i].lba_bytes;
	struct exp_lba_range range[RANGES];
	bool zeros = exp_nsdata_zero_after_dealloc(s->ns[i]);
	size_t n;
	int r = 0;

	pthread_mutex_lock(&c->lock);
	c->dealloc_is_zero[i] = zeros;
	if (!zeros) { /* what was never written may read as anything: read it */
		r = exp_planner_allocated(c->planner, i, 0, c->ns[i].bytes);
		at = end;
	}
	pthread_mutex_unlock(&c->lock);
	while (r == 0 && at < end && !atomic_load(&c->stop)) {
		uint64_t next;

		r = exp_nsdata_allocated(s->ns[i], at, range, RANGES, &n, &next, err);
		if (r == -EBADMSG) { /* a drive that contradicts itself: then all of it */
			range[0] = (struct exp_lba_range){ at, end - at };
			n = 1;
			next = end;
			r = 0;
		}
		if (r < 0)
			return r;
		pthread_mutex_lock(&c->lock);
		for (size_t k = 0; k < n; k++)
			if (exp_planner_allocated(c->planner, i, range[k].slba * lba,
						  range[k].nlb * lba) < 0)
				next = end; /* out of order: the planner takes the rest as allocated
					     */
		pthread_mutex_unlock(&c->lock);
		at = next;
	}
	if (r < 0 || at < end) /* not seen to the end: the rest must not pass for never written */
		return r;
	pthread_mutex_lock(&c->lock);
	exp_planner_allocated_end(c->planner, i);
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	return r;
}

static uint8_t *slot_mem(const struct sender *s, uint64_t n)
{
	const struct slot *sl = &s->slot[n % SLOTS];

	return s->buf[sl->x.ns].mem + n % SLOTS * EXP_COPY_EXTENT_MAX;
}

static int begin_read(struct sender *s, uint64_t n, struct exp_error *err)
{
	struct slot *sl = &s->slot[n % SLOTS];
	uint32_t lba = s->c->ns[sl->x.ns].lba_bytes;
	const struct exp_nsdata_req req = {
		.op = EXP_NSDATA_READ,
		.slba = sl->x.offset / lba,
		.nlb = sl->x.len / lba,
		.buf = &s->buf[sl->x.ns],
		.buf_off = n % SLOTS * EXP_COPY_EXTENT_MAX,
		.tag = n,
	};

	return exp_nsdata_submit(s->ns[sl->x.ns], &req, err);
}

/* Take what there is room for. 1: more may come without anything changing; 0: all taken for now. */
static int fill(struct sender *s, struct exp_error *err)
{
	struct expd_copy_src *c = s->c;

	while (s->tail - s->head < SLOTS) {
		struct slot *sl = &s->slot[s->tail % SLOTS];
		int r;

		pthread_mutex_lock(&c->lock);
		sl->last = c->last;
		r = exp_planner_take(c->planner, s->stream, c->last || c->everything, &sl->x);
		pthread_mutex_unlock(&c->lock);
		if (r != 1)
			return 0;
		sl->r = 0;
		sl->ready = sl->x.kind != EXP_EXTENT_READ;
		s->tail++;
		r = sl->ready ? 0 : begin_read(s, s->tail - 1, err);
		if (r < 0)
			return r;
	}
	return 1;
}

static int reap(struct sender *s, uint32_t ns, uint64_t timeout_ms, struct exp_error *err)
{
	struct exp_nsdata_done done[SLOTS];
	int n = exp_nsdata_reap(s->ns[ns], done, SLOTS, timeout_ms, err);

	for (int i = 0; i < n; i++) {
		struct slot *sl = &s->slot[done[i].tag % SLOTS];

		sl->ready = true;
		sl->r = done[i].r;
	}
	return n;
}

static int wait_for(struct sender *s, struct slot *sl, struct exp_error *err)
{
	while (!sl->ready) {
		int n = reap(s, sl->x.ns, READ_MS, err);

		if (n == 0)
			n = exp_error_set(err, EXP_CODE_DEVICE_TIMEOUT, ETIMEDOUT,
					  "a read of %u bytes at %llu has no answer after %d s",
					  sl->x.len, (unsigned long long)sl->x.offset,
					  READ_MS / 1000);
		if (n < 0)
			return n;
	}
	return sl->r < 0 ? exp_error_wrap(err, sl->r, "read %u bytes at %llu", sl->x.len,
					  (unsigned long long)sl->x.offset)
			 : 0;
}

/* Every byte is looked at; the library's memcmp is as fast as memory. */
static bool is_zero(const uint8_t *p, size_t n)
{
	return !p[0] && !memcmp(p, p + 1, n - 1);
}

static void keep_digest(struct expd_copy_src *c, const struct exp_extent *x, const uint8_t *mem)
{
	struct exp_msg_digest d = { .export_index = (uint16_t)x->ns,
				    .offset_bytes = x->offset,
				    .len_bytes = x->len };
	bool ok = exp_digest_sha256(mem, x->len, d.sha256) == 0;

	pthread_mutex_lock(&c->lock);
	if (c->n_digests == c->cap_digests) {
		uint32_t cap = c->cap_digests ? c->cap_digests * 2 : 256;
		struct exp_msg_digest *bigger = cap > EXP_MSG_DIGESTS_MAX
							? NULL
							: realloc(c->digests, cap * sizeof(d));

		ok = ok && bigger;
		if (bigger) {
			c->digests = bigger;
			c->cap_digests = cap;
		}
	}
	if (ok)
		c->digests[c->n_digests++] = d;
	else
		c->digests_lost = true;
	pthread_mutex_unlock(&c->lock);
}

static int send_one(struct sender *s, struct exp_error *err)
{
	struct expd_copy_src *c = s->c;
	struct slot *sl = &s->slot[s->head % SLOTS];
	const uint8_t *mem = NULL;
	uint8_t head[EXP_BULK_EXTENT_BYTES];
	struct exp_bulk_extent x = { .export_index = (uint16_t)sl->x.ns,
				     .offset_bytes = sl->x.offset,
				     .len_bytes = sl->x.len };
	uint64_t deadline = exp_mono_ms() + SEND_MS;
	int r;

	r = wait_for(s, sl, err);
	if (r < 0)
		return r;
	switch (sl->x.kind) {
	case EXP_EXTENT_READ:
		mem = slot_mem(s, s->head);
		x.kind = is_zero(mem, sl->x.len) ? EXP_BULK_ZERO : EXP_BULK_DATA;
		break;
	case EXP_EXTENT_UNALLOCATED:
	case EXP_EXTENT_DEALLOCATED: x.kind = EXP_BULK_DEALLOCATE; break;
	}
	if (sl->last && mem && !c->everything) /* of all of it would be a second copy */
		keep_digest(c, &sl->x, mem);
	if (x.kind != EXP_BULK_DATA)
		mem = NULL;
	r = exp_bulk_tx_extent(&s->tx, &x, mem, head, err);
	if (r == 0)
		r = exp_stream_write(s->s, head, sizeof(head), deadline, err);
	if (r == 0 && mem)
		r = exp_stream_write(s->s, mem, sl->x.len, deadline, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&c->lock);
	*(mem ? &c->sent_bytes : &c->zero_bytes) += sl->x.len;
	pthread_mutex_unlock(&c->lock);
	s->head++;
	return 0;
}

/* While any stream has something to read or send, the link shows what it can do. */
static void set_busy(struct sender *s, bool busy)
{
	struct expd_copy_src *c = s->c;

	if (s->busy == busy)
		return;
	s->busy = busy;
	pthread_mutex_lock(&c->lock);
	if (busy && !c->busy_streams++)
		c->busy_since_us = exp_mono_us();
	if (!busy && !--c->busy_streams)
		c->busy_us += exp_mono_us() - c->busy_since_us;
	pthread_mutex_unlock(&c->lock);
}

/* Nothing can be taken: wait until something changes. True: the last data is all taken. */
static bool wait_for_work(struct sender *s)
{
	struct expd_copy_src *c = s->c;
	bool through;

	pthread_mutex_lock(&c->lock);
	through = c->last && exp_planner_all_taken(c->planner);
	if (!through && !atomic_load(&c->stop)) {
		struct timespec until;

		/* the bound is for a broadcast that came before we waited */
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += 10000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&c->changed, &c->lock, &until);
	}
	pthread_mutex_unlock(&c->lock);
	return through;
}

static int finish_stream(struct sender *s, struct exp_error *err)
{
	uint8_t head[EXP_BULK_EXTENT_BYTES];
	uint64_t deadline = exp_mono_ms() + SEND_MS;
	int r;

	exp_bulk_tx_end(&s->tx, head);
	r = exp_stream_write(s->s, head, sizeof(head), deadline, err);
	if (r == 0)
		r = exp_stream_end(s->s, deadline, err);
	if (r == 0) /* the peer ends its side when all of it is durable, or says what went wrong */
		r = exp_stream_drain(s->s, deadline, err);
	s->ended = r == 0;
	return r;
}

static int run(struct sender *s, struct exp_error *err)
{
	struct expd_copy_src *c = s->c;
	bool flushed = true;

	while (!atomic_load(&c->stop) && !s->ended) {
		int r = fill(s, err);

		if (r < 0)
			return r;
		if (s->head != s->tail) {
			set_busy(s, true);
			r = send_one(s, err);
			flushed = false;
		} else if (!flushed) {
			r = exp_stream_flush(s->s, exp_mono_ms() + SEND_MS, err);
			flushed = true;
			set_busy(s, false);
		} else if (wait_for_work(s)) {
			r = finish_stream(s, err);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

void *copy_bulk_sender(void *arg)
{
	struct copy_thread *t = arg;
	struct expd_copy_src *c = t->c;
	struct sender *s = calloc(1, sizeof(*s));
	struct exp_error err = { 0 };
	int r;

	if (!s) {
		exp_error_set(&err, EXP_CODE_NO_MEMORY, ENOMEM, "bulk stream: out of memory");
		copy_note(c, COPY_NOTE_FAILED, &err);
		copy_note(c, COPY_NOTE_EXITED, NULL);
		return NULL;
	}
	s->c = c;
	s->stream = t->stream;
	r = open_namespaces(s, &err);
	if (r == 0)
		r = open_stream(s, &err);
	if (r == 0)
		copy_note(c, COPY_NOTE_STREAM_RUNS, NULL);
	for (uint32_t i = 0; r == 0 && s->stream == 0 && i < c->n_ns; i++)
		r = scan_one(s, i, &err);
	if (r == 0)
		r = run(s, &err);
	set_busy(s, false);
	if (r < 0 && !atomic_load(&c->stop)) {
		exp_error_wrap(&err, r, "bulk stream %u to %s", s->stream, c->peer.s);
		copy_note(c, COPY_NOTE_FAILED, &err);
	}
	publish_stream(s, NULL);
	for (uint32_t i = 0; i < c->n_ns; i++)
		exp_nsdata_close(s->ns[i]);
	exp_stream_free(s->s);
	free(s);
	copy_note(c, COPY_NOTE_EXITED, NULL);
	return NULL;
}
