/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulk_recv.c - one bulk connection of the destination: receive, check, write, flush
 *
 * Data is decrypted into the drive's own buffers and written from there, several writes at once.
 * An extent counts as durable only when a Flush that began after its write has completed. Extents
 * in flight never overlap: the source keeps that rule, so the order of writes does not matter.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "copy_dst_int.h"
#include "device/nsdata.h"
#include "tls/stream.h"

#define SLOTS 16 /* extents between socket and drive */
#define READ_MS \
	60000        /* inside an extent; between two, keepalive of the control connection counts */
#define IDLE_MS   10 /* nothing came for so long: the source may wait for an acknowledgement */
#define BUSY_MS   1  /* look at writes and flushes while nothing comes */
#define DRIVE_MS  60000 /* a drive that answers nothing for so long has failed */
#define TAG_FLUSH UINT64_MAX

struct slot {
	bool busy;
	struct exp_bulk_extent x;
};

struct receiver {
	struct expd_copy_dst *c;
	struct exp_stream *s;
	uint16_t stream;
	struct exp_bulk_rx rx;
	struct exp_nsdata *ns[EXP_JOB_EXPORTS_MAX];
	struct exp_nsbuf buf[EXP_JOB_EXPORTS_MAX]; /* SLOTS extents each */
	struct slot slot[SLOTS];
	unsigned int busy;
	bool wrote[EXP_JOB_EXPORTS_MAX]; /* since its last flush began */
	unsigned int flushing;           /* namespaces whose Flush is under way */
	bool flush_failed;
};

static int open_namespaces(struct receiver *r, struct exp_error *err)
{
	struct expd_copy_dst *c = r->c;

	for (uint32_t i = 0; i < c->n_ns; i++) {
		int e = exp_nsdata_open(expd_drive_device(c->drive), c->nsid[i], SLOTS + 1,
					&r->ns[i], err);

		if (e == 0)
			e = exp_nsbuf_alloc(r->ns[i], (size_t)SLOTS * EXP_BULK_DATA_MAX, &r->buf[i],
					    err);
		if (e < 0)
			return exp_error_wrap(err, e, "namespace %u", c->nsid[i]);
	}
	return 0;
}

static void tell_progress(struct receiver *r)
{
	struct expd_copy_dst *c = r->c;
	bool post;

	pthread_mutex_lock(&c->lock);
	post = !c->progress_posted;
	c->progress_posted = true;
	pthread_mutex_unlock(&c->lock);
	if (post)
		dst_note(c, DST_NOTE_PROGRESS, NULL);
}

static int flush_done(struct receiver *r, int result, struct exp_error *err)
{
	struct expd_copy_dst *c = r->c;

	if (result < 0)
		r->flush_failed = true;
	if (--r->flushing)
		return 0;
	pthread_mutex_lock(&c->lock);
	exp_bulk_track_flush_end(c->track, !r->flush_failed);
	pthread_mutex_unlock(&c->lock);
	if (r->flush_failed)
		return exp_error_wrap(err, -EIO, "flush");
	tell_progress(r);
	return 0;
}

static int write_done(struct receiver *r, const struct exp_nsdata_done *d, struct exp_error *err)
{
	struct expd_copy_dst *c = r->c;
	struct slot *sl = &r->slot[d->tag];
	int e;

	sl->busy = false;
	r->busy--;
	if (d->r < 0)
		return exp_error_wrap(err, d->r, "write %u bytes at %llu", sl->x.len_bytes,
				      (unsigned long long)sl->x.offset_bytes);
	pthread_mutex_lock(&c->lock);
	e = exp_bulk_track_written(c->track, r->stream, sl->x.seq, exp_mono_ms(), err);
	pthread_mutex_unlock(&c->lock);
	return e;
}

/* What the drive has finished on one namespace; waits at most @ms for the first. */
static int reap_one(struct receiver *r, uint32_t ns, uint64_t ms, struct exp_error *err)
{
	struct exp_nsdata_done done[SLOTS + 1];
	int n = exp_nsdata_reap(r->ns[ns], done, SLOTS + 1, ms, err);

	for (int i = 0; i < n; i++) {
		int e = done[i].tag == TAG_FLUSH ? flush_done(r, done[i].r, err)
						 : write_done(r, &done[i], err);

		if (e < 0)
			return e;
	}
	return n;
}

static int reap(struct receiver *r, uint64_t ms, struct exp_error *err)
{
	int total = 0;

	for (uint32_t i = 0; i < r->c->n_ns; i++) {
		int n;

		if (!exp_nsdata_in_flight(r->ns[i]))
			continue;
		n = reap_one(r, i, total ? 0 : ms, err);
		if (n < 0)
			return n;
		total += n;
	}
	return total;
}

/* Flush every namespace of the job: another stream's writes are covered by it as well. */
static int begin_flush(struct receiver *r, struct exp_error *err)
{
	const struct exp_nsdata_req req = { .op = EXP_NSDATA_FLUSH, .tag = TAG_FLUSH };

	r->flush_failed = false;
	r->flushing = r->c->n_ns;
	for (uint32_t i = 0; i < r->c->n_ns; i++) {
		int e = exp_nsdata_submit(r->ns[i], &req, err);

		if (e < 0)
			return e;
	}
	return 0;
}

static int flush_if_due(struct receiver *r, bool now, struct exp_error *err)
{
	uint64_t at;
	bool due;

	if (r->flushing)
		return 0;
	pthread_mutex_lock(&r->c->lock);
	at = exp_bulk_track_flush_due(r->c->track);
	due = at != UINT64_MAX && (now || at <= exp_mono_ms());
	if (due) /* what is written by now will be durable */
		exp_bulk_track_flush_begin(r->c->track);
	pthread_mutex_unlock(&r->c->lock);
	return due ? begin_flush(r, err) : 0;
}

static int free_slot(struct receiver *r, unsigned int *ret, struct exp_error *err)
{
	for (;;) {
		for (unsigned int i = 0; i < SLOTS; i++) {
			if (!r->slot[i].busy) {
				*ret = i;
				return 0;
			}
		}
		int n = reap(r, DRIVE_MS, err);

		if (n == 0)
			n = exp_error_set(err, EXP_CODE_DEVICE_TIMEOUT, ETIMEDOUT,
					  "the drive has answered no write for %d s",
					  DRIVE_MS / 1000);
		if (n < 0)
			return n;
	}
}

static int submit(struct receiver *r, unsigned int i, struct exp_error *err)
{
	struct slot *sl = &r->slot[i];
	const struct exp_bulk_extent *x = &sl->x;
	uint32_t lba = r->c->ns[x->export_index].lba_bytes;
	struct exp_nsdata_req req = { .slba = x->offset_bytes / lba,
				      .nlb = x->len_bytes / lba,
				      .tag = i };
	int e;

	switch (x->kind) {
	case EXP_BULK_DATA:
		req.op = EXP_NSDATA_WRITE;
		req.buf = &r->buf[x->export_index];
		req.buf_off = (size_t)i * EXP_BULK_DATA_MAX;
		break;
	case EXP_BULK_DEALLOCATE:
		/* Deallocate is a hint that a drive may ignore; here it must read as zeros. Write
		 * Zeroes deallocates where the drive can */
	case EXP_BULK_ZERO:
	case EXP_BULK_END: req.op = EXP_NSDATA_ZERO; break;
	}
	e = exp_nsdata_submit(r->ns[x->export_index], &req, err);
	if (e == 0) {
		sl->busy = true;
		r->busy++;
	}
	return e;
}

static int read_all(struct receiver *r, void *p, size_t n, struct exp_error *err)
{
	size_t got;
	int e = exp_stream_read(r->s, p, n, exp_mono_ms() + READ_MS, &got, err);

	if (e == 0 && got < n)
		e = exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				  "stream ended inside an extent: %zu of %zu bytes", got, n);
	return e;
}

/* One extent. 1: it was the end of the stream. */
static int take_extent(struct receiver *r, struct exp_error *err)
{
	struct expd_copy_dst *c = r->c;
	uint8_t head[EXP_BULK_EXTENT_BYTES];
	struct exp_bulk_extent x;
	unsigned int i;
	int e;

	e = read_all(r, head, sizeof(head), err);
	if (e == 0)
		e = exp_bulk_rx_header(&r->rx, head, &x, err);
	if (e < 0 || x.kind == EXP_BULK_END)
		return e < 0 ? e : 1;
	e = free_slot(r, &i, err);
	if (e == 0 && x.kind == EXP_BULK_DATA) {
		uint8_t *mem = r->buf[x.export_index].mem + (size_t)i * EXP_BULK_DATA_MAX;

		e = read_all(r, mem, x.len_bytes, err);
		if (e == 0)
			e = exp_bulk_rx_data(head, &x, mem, err);
	}
	if (e < 0)
		return e;
	pthread_mutex_lock(&c->lock);
	e = exp_bulk_track_received(c->track, r->stream, &x, err);
	pthread_mutex_unlock(&c->lock);
	if (e < 0)
		return e;
	r->slot[i].x = x;
	return submit(r, i, err);
}

/* The source has sent its last: what is here becomes durable at once, somebody waits for it. */
static int settle(struct receiver *r, struct exp_error *err)
{
	while (r->busy || r->flushing) {
		int n = reap(r, DRIVE_MS, err);

		if (n == 0)
			n = exp_error_set(err, EXP_CODE_DEVICE_TIMEOUT, ETIMEDOUT,
					  "the drive has answered nothing for %d s",
					  DRIVE_MS / 1000);
		if (n < 0)
			return n;
		if (!r->busy && !r->flushing) {
			int e = flush_if_due(r, true, err);

			if (e < 0)
				return e;
		}
	}
	return 0;
}

static int finish(struct receiver *r, struct exp_error *err)
{
	int e = settle(r, err);

	if (e == 0)
		e = flush_if_due(r, true, err);
	return e < 0 ? e : settle(r, err);
}

static int end(struct receiver *r, struct exp_error *err)
{
	struct expd_copy_dst *c = r->c;
	int e;

	pthread_mutex_lock(&c->lock);
	e = exp_bulk_track_ended(c->track, r->stream, err);
	pthread_mutex_unlock(&c->lock);
	if (e == 0)
		e = finish(r, err);
	/* the source waits for this: until then it does not know that the tail arrived */
	return e < 0 ? e : exp_stream_end(r->s, exp_mono_ms() + READ_MS, err);
}

static int run(struct receiver *r, struct exp_error *err)
{
	while (!atomic_load(&r->c->stop)) {
		uint64_t wait_ms = r->busy || r->flushing ? BUSY_MS : IDLE_MS;
		bool idle = !r->busy;
		int e = exp_stream_wait(r->s, exp_mono_ms() + wait_ms, err);

		idle = idle && e == 0;
		if (e > 0)
			e = take_extent(r, err);
		if (e > 0)
			return end(r, err);
		if (e == 0)
			e = reap(r, 0, err);
		if (e >= 0)
			e = flush_if_due(r, idle, err);
		if (e < 0)
			return e;
	}
	return 0;
}

void *copy_bulk_receiver(void *arg)
{
	struct recv_thread *t = arg;
	struct expd_copy_dst *c = t->c;
	struct receiver *r = calloc(1, sizeof(*r));
	struct exp_error err = { 0 };
	int e = 0;

	if (!r)
		e = exp_error_set(&err, EXP_CODE_NO_MEMORY, ENOMEM, "bulk stream: out of memory");
	if (e == 0) {
		r->c = c;
		r->s = t->s;
		r->stream = t->stream;
		exp_bulk_rx_init(&r->rx, c->session, c->ns, c->n_ns);
		e = open_namespaces(r, &err);
	}
	if (e == 0)
		e = run(r, &err);
	if (e < 0 && !atomic_load(&c->stop)) {
		exp_error_wrap(&err, e, "bulk stream %u", t->stream);
		dst_note(c, DST_NOTE_FAILED, &err);
	}
	for (uint32_t i = 0; r && i < c->n_ns; i++)
		exp_nsdata_close(r->ns[i]);
	free(r);
	dst_note(c, DST_NOTE_EXITED, NULL);
	return NULL;
}
