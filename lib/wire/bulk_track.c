/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/bulk_track.h"
#include "wire/cover.h"

struct pending { /* received and not written yet, or written out of order */
	uint64_t offset;
	uint32_t len;
	uint16_t export_index;
	bool data; /* kind data: counts for the 64 MiB */
	bool done;
};

struct stream {
	uint64_t received, written, durable; /* sequence numbers, never one above its left */
	uint64_t flushing;                   /* written when the present Flush began */
	bool ended;
	struct pending *ring; /* of EXP_BULK_TRACK_WINDOW; sequence modulo that */
};

struct exp_bulk_track {
	uint32_t n_exports;
	struct exp_bulk_ns ns[EXP_JOB_EXPORTS_MAX];
	struct exp_cover *cover[EXP_JOB_EXPORTS_MAX];
	uint32_t session, streams;
	struct stream stream[EXP_JOB_STREAMS_MAX];
	bool flushing;
	bool dirty;           /* something was written that the last Flush did not cover */
	uint64_t dirty_bytes; /* data of that */
	uint64_t dirty_since_ms;
	uint64_t flush_bytes, flush_since_ms; /* what the present Flush covers, if it fails */
	bool flush_dirty;
	bool news; /* something to acknowledge */
};

int exp_bulk_track_new(const struct exp_bulk_ns *ns, uint32_t n_exports,
		       struct exp_bulk_track **ret)
{
	EXP_CLEANUP(exp_bulk_track_freep) struct exp_bulk_track *t = NULL;

	if (!n_exports || n_exports > EXP_JOB_EXPORTS_MAX)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->n_exports = n_exports;
	for (uint32_t i = 0; i < n_exports; i++) {
		int r = exp_cover_new(ns[i].bytes, &t->cover[i]);

		if (r < 0)
			return r;
		t->ns[i] = ns[i];
	}
	*ret = EXP_TAKE(t);
	return 0;
}

void exp_bulk_track_free(struct exp_bulk_track *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < EXP_JOB_EXPORTS_MAX; i++)
		exp_cover_free(t->cover[i]);
	for (uint32_t i = 0; i < EXP_JOB_STREAMS_MAX; i++)
		free(t->stream[i].ring);
	free(t);
}

static struct pending *pending_at(const struct stream *s, uint64_t seq)
{
	return &s->ring[seq % EXP_BULK_TRACK_WINDOW];
}

bool exp_bulk_track_idle(const struct exp_bulk_track *t)
{
	for (uint32_t i = 0; i < t->streams; i++)
		if (t->stream[i].received != t->stream[i].written)
			return false;
	return true;
}

int exp_bulk_track_session(struct exp_bulk_track *t, uint32_t session, uint32_t streams,
			   struct exp_error *err)
{
	if (session <= t->session)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EINVAL,
				     "bulk session %u is not above %u, the last one", session,
				     t->session);
	if (!streams || streams > EXP_JOB_STREAMS_MAX)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EINVAL,
				     "bulk session with %u streams, 1 to %d are allowed", streams,
				     EXP_JOB_STREAMS_MAX);
	if (!exp_bulk_track_idle(t))
		return exp_error_set(err, EXP_CODE_BUSY, EBUSY,
				     "writes of bulk session %u are still under way", t->session);
	for (uint32_t i = 0; i < streams; i++) {
		struct pending *ring = t->stream[i].ring;

		if (!ring)
			ring = calloc(EXP_BULK_TRACK_WINDOW, sizeof(*ring));
		if (!ring)
			return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM,
					     "bulk session %u: out of memory", session);
		t->stream[i].ring = ring;
	}
	for (uint32_t i = 0; i < EXP_JOB_STREAMS_MAX; i++)
		t->stream[i] = (struct stream){ .ring = t->stream[i].ring };
	t->session = session;
	t->streams = streams;
	t->news = true;
	return 0;
}

/* NULL, and @err filled: -EPROTO */
static struct stream *find_stream(struct exp_bulk_track *t, uint16_t stream, struct exp_error *err)
{
	if (stream < t->streams)
		return &t->stream[stream];
	exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO, "bulk stream %u, session %u has %u", stream,
		      t->session, t->streams);
	return NULL;
}

int exp_bulk_track_received(struct exp_bulk_track *t, uint16_t stream,
			    const struct exp_bulk_extent *x, struct exp_error *err)
{
	struct stream *s = find_stream(t, stream, err);
	const struct exp_bulk_ns *ns;

	if (!s)
		return -EPROTO;
	if (x->session != t->session || x->seq != s->received + 1 || s->ended)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "bulk stream %u: extent %llu of session %u, expected %llu of "
				     "session %u%s",
				     stream, (unsigned long long)x->seq, x->session,
				     (unsigned long long)s->received + 1, t->session,
				     s->ended ? ", and the stream has ended" : "");
	ns = x->export_index < t->n_exports ? &t->ns[x->export_index] : NULL;
	if (!ns || x->offset_bytes > ns->bytes || x->len_bytes > ns->bytes - x->offset_bytes)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "bulk stream %u: extent %llu lies outside namespace %u",
				     stream, (unsigned long long)x->seq, x->export_index);
	if (s->received - s->written >= EXP_BULK_TRACK_WINDOW)
		return exp_error_set(err, EXP_CODE_BUSY, ENOBUFS,
				     "bulk stream %u: %d extents wait to be written", stream,
				     EXP_BULK_TRACK_WINDOW);
	s->received++;
	*pending_at(s, s->received) = (struct pending){ .offset = x->offset_bytes,
							.len = x->len_bytes,
							.export_index = x->export_index,
							.data = x->kind == EXP_BULK_DATA };
	return 0;
}

int exp_bulk_track_written(struct exp_bulk_track *t, uint16_t stream, uint64_t seq, uint64_t now_ms,
			   struct exp_error *err)
{
	struct stream *s = find_stream(t, stream, err);
	struct pending *p;
	int r;

	if (!s)
		return -EPROTO;
	p = seq > s->written && seq <= s->received ? pending_at(s, seq) : NULL;
	if (!p || p->done)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "bulk stream %u: extent %llu is written, and %s", stream,
				     (unsigned long long)seq,
				     seq > s->received ? "was never received" : "was before");
	r = exp_cover_add(t->cover[p->export_index], p->offset, p->len);
	if (r < 0)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, -r,
				     "bulk stream %u: no memory to note extent %llu", stream,
				     (unsigned long long)seq);
	p->done = true;
	while (s->written < s->received && pending_at(s, s->written + 1)->done) {
		s->written++;
		if (pending_at(s, s->written)->data)
			t->dirty_bytes += pending_at(s, s->written)->len;
		if (!t->dirty)
			t->dirty_since_ms = now_ms;
		t->dirty = true;
		t->news = true;
	}
	return 0;
}

int exp_bulk_track_ended(struct exp_bulk_track *t, uint16_t stream, struct exp_error *err)
{
	struct stream *s = find_stream(t, stream, err);

	if (!s)
		return -EPROTO;
	s->ended = true;
	return 0;
}

uint64_t exp_bulk_track_flush_due(const struct exp_bulk_track *t)
{
	if (t->flushing || !t->dirty)
		return UINT64_MAX;
	return t->dirty_bytes >= EXP_BULK_FLUSH_BYTES ? 0 : t->dirty_since_ms + EXP_BULK_FLUSH_MS;
}

void exp_bulk_track_flush_begin(struct exp_bulk_track *t)
{
	assert(!t->flushing);
	for (uint32_t i = 0; i < t->streams; i++)
		t->stream[i].flushing = t->stream[i].written;
	t->flushing = true;
	t->flush_dirty = t->dirty;
	t->flush_bytes = t->dirty_bytes;
	t->flush_since_ms = t->dirty_since_ms;
	t->dirty = false;
	t->dirty_bytes = 0;
}

void exp_bulk_track_flush_end(struct exp_bulk_track *t, bool ok)
{
	assert(t->flushing);
	t->flushing = false;
	if (!ok) {
		t->dirty_bytes += t->flush_bytes;
		if (t->flush_dirty)
			t->dirty_since_ms = t->flush_since_ms;
		t->dirty |= t->flush_dirty;
		return;
	}
	for (uint32_t i = 0; i < t->streams; i++) {
		struct stream *s = &t->stream[i];

		/* a session that began meanwhile starts at 0: its flushing is 0 as well */
		t->news |= s->flushing > s->durable;
		s->durable = s->flushing;
	}
}

bool exp_bulk_track_ack(struct exp_bulk_track *t, struct exp_msg_data_ack *ret)
{
	if (!t->news || !t->session)
		return false;
	t->news = false;
	*ret = (struct exp_msg_data_ack){ .session = t->session, .streams = t->streams };
	for (uint32_t i = 0; i < t->streams; i++) {
		ret->durable[i] = t->stream[i].durable;
		ret->written[i] = t->stream[i].written;
	}
	return true;
}

static int check_streams(const struct exp_bulk_track *t, const struct exp_msg_final *f,
			 struct exp_error *err)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < t->streams; i++) {
		const struct stream *s = &t->stream[i];

		if (f->last_seq[i] < s->received || (s->ended && f->last_seq[i] > s->received))
			return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
					     "FINAL says %llu extents on bulk stream %u, %llu came",
					     (unsigned long long)f->last_seq[i], i,
					     (unsigned long long)s->received);
		if (__builtin_add_overflow(sum, f->last_seq[i], &sum))
			sum = UINT64_MAX;
	}
	if (sum != f->total_extents)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "FINAL says %llu extents in all and %llu on its streams",
				     (unsigned long long)f->total_extents, (unsigned long long)sum);
	for (uint32_t i = 0; i < t->streams; i++)
		if (t->stream[i].durable < f->last_seq[i])
			return exp_error_set(err, EXP_CODE_BUSY, EAGAIN,
					     "bulk stream %u is durable up to extent %llu of %llu",
					     i, (unsigned long long)t->stream[i].durable,
					     (unsigned long long)f->last_seq[i]);
	return 0;
}

int exp_bulk_track_complete(const struct exp_bulk_track *t, const struct exp_msg_final *f,
			    struct exp_error *err)
{
	int r;

	if (f->session != t->session || f->streams != t->streams)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "FINAL is about bulk session %u of %u streams, the present "
				     "one is %u of %u",
				     f->session, f->streams, t->session, t->streams);
	r = check_streams(t, f, err);
	if (r < 0)
		return r;
	if (t->dirty || (t->flushing && t->flush_dirty))
		return exp_error_set(err, EXP_CODE_BUSY, EAGAIN,
				     "writes of a former bulk session are not flushed yet");
	for (uint32_t i = 0; i < t->n_exports; i++) {
		uint64_t at = 0, missing = exp_cover_missing(t->cover[i], &at);

		if (missing)
			return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
					     "namespace %u: %llu of its %llu bytes never came, the "
					     "first at %llu",
					     i, (unsigned long long)missing,
					     (unsigned long long)t->ns[i].bytes,
					     (unsigned long long)at);
	}
	return 0;
}
