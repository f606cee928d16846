/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "control_server.h"
#include "events.h"
#include "expd.h"
#include "inventory/events_db.h"
#include "store.h"

#define KEEP        100000 /* events */
#define TRIM_EVERY  1000
#define TRIM_ROWS   4000
#define BATCH       500 /* read from the file at once */
#define STREAMS_MAX 64

/* One client of GET /v1/events. */
struct stream {
	struct expd_events *es;
	struct expd_request *rq; /* NULL: the client hung up, freed by whoever works on it */
	uint64_t since;          /* last number it has been given */
	bool follow;
	bool started; /* headers are out */
	bool reading; /* a read of the file is under way */
	struct stream *next, **link;
};

struct expd_events {
	struct expd *x;
	struct stream *streams;
	unsigned int n_streams;
	uint64_t since_trim;
	bool ending;
};

struct append {
	struct expd_events *es;
	struct exp_event_line line;
};

int expd_events_new(struct expd *x, struct expd_events **ret, struct exp_error *err)
{
	struct expd_events *es = calloc(1, sizeof(*es));

	if (!es)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "events: out of memory");
	es->x = x;
	*ret = es;
	return 0;
}

static void stream_free(struct stream *st)
{
	*st->link = st->next;
	if (st->next)
		st->next->link = st->link;
	st->es->n_streams--;
	free(st);
}

void expd_events_free(struct expd_events *es)
{
	if (!es)
		return;
	while (es->streams) {
		struct stream *st = es->streams;

		if (st->rq)
			expd_stream_end(st->rq);
		stream_free(st);
	}
	free(es);
}

static void read_on(struct stream *st);

static int run_append(struct exp_db *db, void *arg, struct exp_error *err)
{
	struct append *a = arg;

	return exp_events_append(db, &a->line, &a->line.seq, err);
}

static int run_trim(struct exp_db *db, void *arg, struct exp_error *err)
{
	uint32_t n;

	(void)arg;
	return exp_events_trim(db, KEEP, TRIM_ROWS, &n, err);
}

static void trim_done(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	(void)x;
	(void)arg;
	if (r < 0)
		exp_log(LOG_WARNING, "events cannot be trimmed", kv_s("error", err->msg));
}

static void append_done(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct append *a = arg;
	struct expd_events *es = a->es;

	if (r < 0) {
		exp_log(LOG_WARNING, "event not stored", kv_s("type", a->line.type),
			kv_s("error", err->msg));
	} else {
		for (struct stream *st = es->streams, *next; st; st = next) {
			next = st->next;
			if (st->started)
				read_on(st);
		}
		if (++es->since_trim >= TRIM_EVERY) {
			es->since_trim = 0;
			expd_store_run_events(x->store, run_trim, trim_done, NULL);
		}
	}
	free(a);
}

void expd_event(struct expd *x, const char *type, const struct exp_uuid *job,
		const struct exp_uuid *export_id, ...)
{
	struct exp_json *detail;
	struct append *a;
	const char *text, *key;
	size_t len;
	va_list ap;

	if (!x->events || x->events->ending)
		return;
	a = calloc(1, sizeof(*a));
	detail = exp_json_object();
	if (!a || !detail) {
		free(a);
		exp_json_free(detail);
		return;
	}
	va_start(ap, export_id);
	while ((key = va_arg(ap, const char *)))
		exp_json_put_str(detail, key, va_arg(ap, const char *));
	va_end(ap);
	a->es = x->events;
	a->line.time_ms = exp_wall_ms();
	strncpy(a->line.type, type, EXP_EVENT_TYPE_MAX);
	if (job)
		a->line.job = *job;
	if (export_id)
		a->line.export_id = *export_id;
	text = exp_json_print(detail, false, &len);
	if (text && len <= EXP_EVENT_DETAIL_MAX)
		memcpy(a->line.detail, text, len + 1);
	else
		strcpy(a->line.detail, "{}");
	exp_json_free(detail);
	expd_store_run_events(x->store, run_append, append_done, a);
}

/* A batch on its way from the file to one client. */
struct batch {
	struct stream *st;
	uint64_t since;
	size_t n;
	struct exp_event_line *lines;
};

static int keep_line(const struct exp_event_line *e, void *arg)
{
	struct batch *b = arg;

	b->lines[b->n++] = *e;
	return 0;
}

static int run_read(struct exp_db *db, void *arg, struct exp_error *err)
{
	struct batch *b = arg;
	struct exp_events_range range;
	int r;

	if (b->since == UINT64_MAX) { /* from now on: find out where that is */
		r = exp_events_range(db, &range, err);
		b->since = r < 0 ? 0 : range.last;
		return r;
	}
	b->lines = calloc(BATCH, sizeof(*b->lines));
	if (!b->lines)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "events: out of memory");
	return exp_events_read(db, b->since, BATCH, keep_line, b, err);
}

static void on_gone(void *arg)
{
	struct stream *st = arg;

	expd_stream_end(st->rq);
	st->rq = NULL;
	if (!st->reading)
		stream_free(st);
}

static bool give(struct stream *st, const struct exp_event_line *e)
{
	struct exp_json *v = exp_api_event(e);
	const char *text = v ? exp_json_print(v, false, NULL) : NULL;
	bool ok = text && expd_stream_line(st->rq, text);

	exp_json_free(v);
	st->since = e->seq;
	return ok;
}

/* Give the client what was read. True: go on with it. */
static bool deliver(struct stream *st, const struct batch *b)
{
	if (!st->started) {
		st->started = true;
		if (st->since == UINT64_MAX)
			st->since = b->since;
		expd_stream_start(st->rq, EXP_API_CONTENT_TYPE_EVENTS, on_gone, st);
	}
	for (size_t i = 0; i < b->n && st->rq; i++)
		if (!give(st, &b->lines[i]))
			return false; /* too far behind */
	return st->follow || b->n == BATCH;
}

static void read_done(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct batch *b = arg;
	struct stream *st = b->st;
	bool more = false;

	(void)x;
	if (st->rq && r < 0 && !st->started) {
		expd_reply_error(st->rq, err);
		st->rq = NULL;
	} else if (st->rq && r == 0) {
		more = deliver(st, b);
	}
	/* an error later on: what it wants is no longer kept; it asks again and is told */
	if (st->rq && !more) {
		expd_stream_end(st->rq);
		st->rq = NULL;
	}
	st->reading = false; /* until here st was ours even if the client hung up */
	if (!st->rq)
		stream_free(st);
	else if (b->n)
		read_on(st); /* nothing read: append_done() comes back with the next one */
	free(b->lines);
	free(b);
}

static void read_on(struct stream *st)
{
	struct batch *b;

	if (st->reading || !st->rq)
		return;
	b = calloc(1, sizeof(*b));
	if (!b)
		return;
	b->st = st;
	b->since = st->since;
	st->reading = true;
	expd_store_run_events(st->es->x->store, run_read, read_done, b);
}

void expd_events_stream(struct expd *x, struct expd_request *rq,
			const struct exp_api_events_query *q)
{
	struct expd_events *es = x->events;
	struct exp_error err = { 0 };
	struct stream *st = es->n_streams < STREAMS_MAX ? calloc(1, sizeof(*st)) : NULL;

	if (!st) {
		exp_error_set(&err, EXP_CODE_BUSY, EBUSY, "%d clients follow the events already",
			      STREAMS_MAX);
		expd_reply_error(rq, &err);
		return;
	}
	*st = (struct stream){ .es = es,
			       .rq = rq,
			       .follow = q->follow,
			       .since = q->has_since ? q->since : UINT64_MAX,
			       .next = es->streams,
			       .link = &es->streams };
	if (es->streams)
		es->streams->link = &st->next;
	es->streams = st;
	es->n_streams++;
	read_on(st);
}
