/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_copy_sim.c - the planner against a guest that writes, a late change log and lost sessions
 *
 * A namespace is an array of versions, one per logical block. The guest writes and deallocates; the
 * change log tells of it late, merged, exaggerated, or overflows. Streams take extents, read them
 * in two halves at any time after, and deliver in order each, in any order among them. The
 * destination begins full of another tenant's blocks, and forgets what it did not flush when it
 * restarts. After suspend, drain of the log and the last data it must hold what the source holds.
 *
 *	test_copy_sim [SEEDS [FIRST]]
 */
#include "support/tests.h"

#include <errno.h>

#include "base/rng.h"
#include "copy/planner.h"

#define NS_MAX     3
#define STREAM_MAX 5
#define FOREIGN    UINT32_MAX /* what another tenant left behind */
#define STEPS      1200       /* with the guest running */
#define STEPS_LAST 400000     /* after that it is stuck */

static uint64_t n_seeds = 1000, first_seed = 1;

/* Memory that ends now and then, in the planner only. */
static struct exp_rng oom_rng;
static unsigned int oom_per_mille;
static bool in_planner;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
	if (in_planner && exp_rng_chance(&oom_rng, oom_per_mille, 1000))
		return NULL;
	return __real_calloc(n, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	if (in_planner && exp_rng_chance(&oom_rng, oom_per_mille, 1000))
		return NULL;
	return __real_reallocarray(p, n, size);
}

/* An expression with the planner in it; our own allocations do not fail. */
#define PLANNER(expr)                         \
	({                                    \
		in_planner = true;            \
		__typeof__(expr) r_ = (expr); \
		in_planner = false;           \
		r_;                           \
	})

struct space {
	uint32_t lba, blocks;
	uint32_t *src, *dst; /* versions; 0: never written or deallocated, reads as zeros */
	uint32_t version;
	uint32_t hot, hot_len; /* blocks that the guest likes */
	/* allocation scan: what the device answered, not given to the planner yet */
	uint32_t scanned, reply_end;
	uint8_t *reply; /* per block */
	bool scan_ended;
};

struct entry { /* of the change log */
	uint32_t ns, block, n;
	bool deallocated;
};

enum place { TAKEN, HALF_READ, READ, SENT, WRITTEN };

struct flight { /* an extent as the world outside the planner sees it */
	struct flight *next;
	struct exp_extent x;
	enum place place;
	uint32_t *data, *before; /* read at the source; overwritten at the destination */
};

struct stream {
	struct flight *first; /* unacknowledged, in order */
	uint64_t taken, flushed;
	uint64_t acks[64]; /* on their way back */
	unsigned int n_acks;
};

struct sim {
	struct exp_rng rng;
	uint64_t seed;
	struct exp_planner *p;
	struct exp_planner_config cfg;
	struct space ns[NS_MAX];
	struct entry *log;
	uint32_t log_n, log_cap, log_max;
	bool log_lost, log_again; /* overflow; a new log runs, "everything" is not said yet */
	uint32_t session, n_streams;
	struct stream streams[STREAM_MAX];
	unsigned int write_pct, lose_per_10k, all_pct;
	bool quiet, scan;
	uint64_t lost_data; /* bytes of READ that were unacknowledged when sessions ended */
};

#define CHECK(s, cond, ...)                                                        \
	do {                                                                       \
		if (!(cond)) {                                                     \
			print_error("seed %llu: ", (unsigned long long)(s)->seed); \
			print_error(__VA_ARGS__);                                  \
			fail_msg(" (%s)", #cond);                                  \
		}                                                                  \
	} while (0)

static uint64_t below(struct sim *s, uint64_t n)
{
	return exp_rng_below(&s->rng, n);
}

static bool chance(struct sim *s, uint64_t num, uint64_t den)
{
	return exp_rng_chance(&s->rng, num, den);
}

static void *zalloc(size_t n, size_t size)
{
	void *p = __real_calloc(n, size);

	if (!p)
		fail_msg("out of memory");
	return p;
}

/* --- the guest and its log ------------------------------------------------------------------- */

static void log_add(struct sim *s, struct entry e)
{
	struct entry *tail = s->log_n ? &s->log[s->log_n - 1] : NULL;

	if (s->log_lost)
		return;
	if (tail && tail->ns == e.ns && tail->deallocated == e.deallocated && chance(s, 1, 2) &&
	    e.block <= tail->block + tail->n && tail->block <= e.block + e.n) {
		uint32_t end = EXP_MAX(tail->block + tail->n, e.block + e.n);

		tail->block = EXP_MIN(tail->block, e.block);
		tail->n = end - tail->block;
		return;
	}
	if (s->log_n == s->log_max) {
		s->log_lost =
			true; /* the device has stopped logging; what is queued is still read */
		return;
	}
	if (!e.deallocated && chance(s, 1, 4)) {
		const struct space *n = &s->ns[e.ns];
		uint32_t more = (uint32_t)below(s, 20),
			 end = e.block + e.n + (uint32_t)below(s, 20);

		e.block -= EXP_MIN(more, e.block);
		e.n = EXP_MIN(end, n->blocks) - e.block;
	}
	if (!e.deallocated && chance(s, s->all_pct, 1000)) {
		e.block = 0;
		e.n = s->ns[e.ns].blocks;
	}
	s->log[s->log_n++] = e;
}

static void guest(struct sim *s)
{
	struct entry e = { .ns = (uint32_t)below(s, s->cfg.n_ns) };
	struct space *n = &s->ns[e.ns];
	uint32_t max = chance(s, 1, 20) ? n->blocks : chance(s, 1, 4) ? 64 : 4;

	if (chance(s, 2, 3))
		e.block = (n->hot + (uint32_t)below(s, n->hot_len)) % n->blocks;
	else
		e.block = (uint32_t)below(s, n->blocks);
	e.n = 1 + (uint32_t)below(s, EXP_MIN(max, n->blocks - e.block));
	e.deallocated = chance(s, 1, 5);
	n->version++;
	for (uint32_t i = 0; i < e.n; i++)
		n->src[e.block + i] = e.deallocated ? 0 : n->version;
	log_add(s, e);
}

static void log_deliver(struct sim *s, uint32_t n)
{
	n = EXP_MIN(n, s->log_n);
	for (uint32_t i = 0; i < n; i++) {
		const struct entry *e = &s->log[i];
		const struct space *sp = &s->ns[e->ns];
		int r = PLANNER(exp_planner_dirty(s->p, e->ns, (uint64_t)e->block * sp->lba,
						  (uint64_t)e->n * sp->lba, e->deallocated));

		CHECK(s, !r || r == -ENOMEM, "dirty: %d", r);
	}
	memmove(s->log, s->log + n, (s->log_n - n) * sizeof(*s->log));
	s->log_n -= n;
}

/* Overflow: first a new log, later everything counts as dirty. */
static void log_recover(struct sim *s)
{
	if (s->log_again) {
		in_planner = true;
		exp_planner_all_dirty(s->p);
		in_planner = false;
		s->log_again = false;
	} else if (s->log_lost) {
		log_deliver(s, s->log_n);
		s->log_lost = false;
		s->log_again = true;
	}
}

/* --- the allocation scan ---------------------------------------------------------------------- */

static void scan(struct sim *s, uint32_t ns)
{
	struct space *n = &s->ns[ns];

	if (n->scan_ended)
		return;
	if (n->scanned == n->reply_end) { /* the device answers for the next part, as it is now */
		uint32_t grain = 1u << below(s, 5);

		n->reply_end = n->scanned + (uint32_t)below(s, n->blocks - n->scanned + 1);
		if (!s->scan)
			n->reply_end = n->blocks;
		for (uint32_t i = n->scanned; i < n->reply_end; i++) {
			n->reply[i] = !s->scan || n->src[i];
			for (uint32_t g = i / grain * grain; n->src[i] && g < i; g++)
				n->reply[g] = g >= n->scanned;
			if (i > n->scanned && n->src[i / grain * grain] && i % grain)
				n->reply[i] = 1; /* at least one block of the part is */
		}
		return;
	}
	for (uint32_t i = n->scanned, to; i < n->reply_end; i = to) { /* and now it is told */
		for (to = i; to < n->reply_end && n->reply[to] == n->reply[i];)
			to++;
		if (n->reply[i]) {
			int r = PLANNER(exp_planner_allocated(s->p, ns, (uint64_t)i * n->lba,
							      (uint64_t)(to - i) * n->lba));

			CHECK(s, !r, "allocated: %d", r);
		}
	}
	n->scanned = n->reply_end;
	if (n->scanned == n->blocks) {
		exp_planner_allocated_end(s->p, ns);
		n->scan_ended = true;
	}
}

/* --- streams ---------------------------------------------------------------------------------- */

static void check_extent(struct sim *s, const struct exp_extent *x, uint32_t stream)
{
	const struct space *n = &s->ns[x->ns];
	uint64_t bytes = (uint64_t)n->blocks * n->lba, end = x->offset + x->len, data = 0;
	uint32_t count = 0;

	CHECK(s, x->ns < s->cfg.n_ns && x->len && end <= bytes, "extent outside");
	CHECK(s,
	      x->stream == stream && x->session == s->session &&
		      x->seq == s->streams[stream].taken + 1,
	      "numbers");
	CHECK(s, x->offset % EXP_COPY_GRAIN == 0 && (end % EXP_COPY_GRAIN == 0 || end == bytes),
	      "not whole grains");
	CHECK(s, x->offset % n->lba == 0 && end % n->lba == 0, "not whole blocks");
	if (x->kind == EXP_EXTENT_READ)
		CHECK(s, x->offset / s->cfg.extent_max == (end - 1) / s->cfg.extent_max,
		      "crosses a window");
	else
		CHECK(s, x->len <= EXP_COPY_RANGE_MAX, "range too long");
	for (uint32_t i = 0; i < s->n_streams; i++)
		for (const struct flight *f = s->streams[i].first; f; f = f->next) {
			CHECK(s,
			      f->x.ns != x->ns || f->x.offset >= end ||
				      f->x.offset + f->x.len <= x->offset,
			      "[%llu, %llu) overlaps [%llu, +%u) in flight\n",
			      (unsigned long long)x->offset, (unsigned long long)end,
			      (unsigned long long)f->x.offset, f->x.len);
			count += i == stream;
			data += i == stream && f->x.kind == EXP_EXTENT_READ ? f->x.len : 0;
		}
	CHECK(s, count < s->cfg.window_extents, "window of extents");
	if (s->cfg.window_bytes && x->kind == EXP_EXTENT_READ)
		CHECK(s, data + x->len <= s->cfg.window_bytes, "window of bytes");
}

static void take(struct sim *s, uint32_t stream, bool last)
{
	struct stream *st = &s->streams[stream];
	struct flight **tail = &st->first, *f;
	struct exp_extent x;
	int r = PLANNER(exp_planner_take(s->p, stream, last, &x));

	CHECK(s, r == 1 || !r || r == -EAGAIN || r == -ENOMEM, "take: %d", r);
	if (!r && exp_planner_round(s->p))
		return;
	if (r != 1)
		return;
	check_extent(s, &x, stream);
	st->taken++;
	f = zalloc(1, sizeof(*f));
	f->x = x;
	f->data = zalloc(x.len / s->ns[x.ns].lba, sizeof(*f->data));
	f->before = zalloc(x.len / s->ns[x.ns].lba, sizeof(*f->before));
	f->place = x.kind == EXP_EXTENT_READ ? TAKEN : READ;
	while (*tail)
		tail = &(*tail)->next;
	*tail = f;
}

static void read_half(struct sim *s, struct flight *f)
{
	const struct space *n = &s->ns[f->x.ns];
	uint32_t len = f->x.len / n->lba, at = f->place == TAKEN ? 0 : len / 2;
	uint32_t to = f->place == TAKEN ? len / 2 : len;

	memcpy(f->data + at, n->src + f->x.offset / n->lba + at, (to - at) * sizeof(*f->data));
	f->place = f->place == TAKEN ? HALF_READ : READ;
}

static void write_out(struct sim *s, struct flight *f)
{
	struct space *n = &s->ns[f->x.ns];
	uint32_t len = f->x.len / n->lba, *at = n->dst + f->x.offset / n->lba;

	memcpy(f->before, at, len * sizeof(*at));
	memcpy(at, f->data, len * sizeof(*at));
	f->place = WRITTEN;
}

/* One thing happens to one extent of @stream: a read goes on, or the next in order is sent. */
static void move(struct sim *s, uint32_t stream)
{
	struct stream *st = &s->streams[stream];
	struct flight *f = st->first, *waits = NULL;
	uint32_t n = 0;

	for (; f; f = f->next)
		if (f->place <= HALF_READ && !below(s, ++n))
			waits = f; /* reads end in any order */
	if (waits && chance(s, 2, 3)) {
		read_half(s, waits);
		return;
	}
	for (f = st->first; f && f->place >= SENT;)
		f = f->next;
	if (f && f->place == READ)
		f->place = SENT;
}

static void deliver(struct sim *s, uint32_t stream)
{
	for (struct flight *f = s->streams[stream].first; f && f->place >= SENT; f = f->next)
		if (f->place == SENT) {
			write_out(s, f);
			return;
		}
}

/* The destination flushes; its acknowledgements are on their way. */
static void flush(struct sim *s)
{
	for (uint32_t i = 0; i < s->n_streams; i++) {
		struct stream *st = &s->streams[i];
		uint64_t before = st->flushed;

		if (st->n_acks == EXP_ARRAY_SIZE(st->acks))
			continue;
		for (const struct flight *f = st->first; f && f->place == WRITTEN; f = f->next)
			st->flushed = f->x.seq;
		if (st->flushed > before || chance(s, 1, 50))
			st->acks[st->n_acks++] = st->flushed;
	}
}

static void free_flight(struct stream *st)
{
	struct flight *f = st->first;

	st->first = f->next;
	free(f->data);
	free(f->before);
	free(f);
}

static void ack(struct sim *s, uint32_t stream)
{
	struct stream *st = &s->streams[stream];
	struct exp_error err = { 0 };

	if (!st->n_acks)
		return;
	assert_ok(exp_planner_durable(s->p, s->session, stream, st->acks[0], &err), &err);
	while (st->first && st->first->x.seq <= st->acks[0])
		free_flight(st);
	memmove(st->acks, st->acks + 1, --st->n_acks * sizeof(st->acks[0]));
}

/* The link dies, perhaps with the destination; what was flushed there stays. */
static void lose_session(struct sim *s)
{
	bool restart = chance(s, 1, 2);
	uint32_t old = s->session, old_streams = s->n_streams;
	struct exp_error err = { 0 };

	for (uint32_t i = 0; i < s->n_streams; i++) {
		struct stream *st = &s->streams[i];

		while (chance(s, 3, 4)) /* some of what is on the way is written before it ends */
			deliver(s, i);
		for (struct flight *f = st->first; f; f = f->next)
			s->lost_data += f->x.kind == EXP_EXTENT_READ ? f->x.len : 0;
		while (st->first) {
			struct flight *f = st->first;
			struct space *n = &s->ns[f->x.ns];

			if (restart && f->place == WRITTEN && f->x.seq > st->flushed &&
			    chance(s, 1, 2))
				memcpy(n->dst + f->x.offset / n->lba, f->before,
				       f->x.len / n->lba * sizeof(*n->dst));
			free_flight(st);
		}
		*st = (struct stream){ 0 };
	}
	s->n_streams = 1 + (uint32_t)below(s, STREAM_MAX);
	s->session = PLANNER(exp_planner_session(s->p, s->n_streams));
	CHECK(s, s->session == old + 1, "session %u after %u", s->session, old);
	assert_ok(exp_planner_durable(s->p, old, (uint32_t)below(s, old_streams), 1, &err), &err);
}

/* --- one run ---------------------------------------------------------------------------------- */

static void start(struct sim *s, uint64_t seed)
{
	static const uint32_t lbas[] = { 512, 4096, 512, 4096, 8192 };
	struct exp_error err = { 0 };

	*s = (struct sim){ .seed = seed };
	exp_rng_seed(&s->rng, seed);
	exp_rng_seed(&oom_rng, seed);
	oom_per_mille = 0;
	s->cfg.n_ns = 1 + (uint32_t)below(s, NS_MAX);
	s->cfg.extent_max = 8192u << below(s, 8);
	s->cfg.streams = s->n_streams = 1 + (uint32_t)below(s, STREAM_MAX);
	s->cfg.window_extents = 1 + (uint32_t)below(s, 40);
	if (chance(s, 1, 2))
		s->cfg.window_bytes = s->cfg.extent_max * (1 + below(s, 4));
	if (chance(s, 1, 4))
		s->cfg.map_bytes_max = 1 + below(s, 5000);
	if (chance(s, 1, 2))
		s->cfg.ranges_max = 2 + (uint32_t)below(s, 10);
	for (uint32_t i = 0; i < s->cfg.n_ns; i++) {
		struct space *n = &s->ns[i];
		unsigned int used = (unsigned int)below(s, 4);

		n->lba = lbas[below(s, EXP_ARRAY_SIZE(lbas))];
		n->blocks = 1 +
			    (uint32_t)below(s, (chance(s, 1, 8) ? 9u << 20 : 1u << 20) / n->lba);
		n->src = zalloc(n->blocks, sizeof(*n->src));
		n->dst = zalloc(n->blocks, sizeof(*n->dst));
		n->reply = zalloc(n->blocks, 1);
		n->version = 1;
		n->hot = (uint32_t)below(s, n->blocks);
		n->hot_len = 1 + (uint32_t)below(s, n->blocks / 8 + 1);
		for (uint32_t b = 0, to; b < n->blocks; b = to) {
			to = b + 1 + (uint32_t)below(s, 100);
			to = EXP_MIN(to, n->blocks);
			for (uint32_t k = b; chance(s, used, 3) && k < to; k++)
				n->src[k] = 1;
		}
		for (uint32_t b = 0; b < n->blocks; b++)
			n->dst[b] = FOREIGN;
		s->cfg.ns[i] = (struct exp_planner_ns){ (uint64_t)n->blocks * n->lba, n->lba };
	}
	s->quiet = chance(s, 1, 16);
	s->scan = chance(s, 3, 4);
	s->write_pct = (unsigned int)below(s, 40);
	s->all_pct = chance(s, 1, 8) ? 5 : 0;
	s->lose_per_10k = chance(s, 1, 2) ? (unsigned int)below(s, 60) : 0;
	s->log_max = chance(s, 1, 6) ? 40 : 100000;
	s->log_cap = s->log_max;
	s->log = zalloc(s->log_cap, sizeof(*s->log));
	assert_ok(exp_planner_new(&s->cfg, &s->p, &err), &err);
	s->session = 1;
	oom_per_mille = chance(s, 1, 4) ? 1 + (unsigned int)below(s, 300) : 0;
}

static void step(struct sim *s, bool last)
{
	uint32_t stream = (uint32_t)below(s, s->n_streams);

	if (!last && !s->quiet && chance(s, s->write_pct, 100))
		guest(s);
	if (!s->quiet && chance(s, s->lose_per_10k, 10000))
		lose_session(s);
	stream = EXP_MIN(stream, s->n_streams - 1);
	switch (below(s, 8)) {
	case 0: scan(s, (uint32_t)below(s, s->cfg.n_ns)); break;
	case 1:
		if (chance(s, 1, 4))
			log_deliver(s, (uint32_t)below(s, 40));
		else if (chance(s, 1, 8))
			log_recover(s);
		break;
	case 2:
	case 3: take(s, stream, last); break;
	case 4:
	case 5: move(s, stream); break;
	case 6: deliver(s, stream); break;
	case 7:
		if (chance(s, 1, 3))
			flush(s);
		else
			ack(s, stream);
		break;
	}
}

static void check_equal(struct sim *s)
{
	struct exp_planner_stats st;

	for (uint32_t i = 0; i < s->cfg.n_ns; i++)
		for (uint32_t b = 0; b < s->ns[i].blocks; b++)
			CHECK(s, s->ns[i].src[b] == s->ns[i].dst[b],
			      "namespace %u block %u: source has version %u, destination %u\n", i,
			      b, s->ns[i].src[b], s->ns[i].dst[b]);
	exp_planner_stats(s->p, &st);
	CHECK(s,
	      !st.dirty_bytes && !st.inflight_bytes && !st.first_left_bytes &&
		      !exp_planner_remaining(s->p) && !st.map_bytes,
	      "something is left");
	CHECK(s, oom_per_mille || s->cfg.map_bytes_max || st.resent_bytes <= s->lost_data,
	      "%llu bytes sent again, %llu were lost\n", (unsigned long long)st.resent_bytes,
	      (unsigned long long)s->lost_data);
	if (s->quiet)
		CHECK(s, st.taken_bytes == st.allocated_bytes && st.rounds == 1,
		      "an idle namespace: %llu bytes of %llu taken, %u rounds\n",
		      (unsigned long long)st.taken_bytes, (unsigned long long)st.allocated_bytes,
		      st.rounds);
}

static void finish(struct sim *s)
{
	exp_planner_free(s->p);
	for (uint32_t i = 0; i < STREAM_MAX; i++)
		while (s->streams[i].first)
			free_flight(&s->streams[i]);
	for (uint32_t i = 0; i < NS_MAX; i++) {
		free(s->ns[i].src);
		free(s->ns[i].dst);
		free(s->ns[i].reply);
	}
	free(s->log);
}

static void run(uint64_t seed)
{
	struct sim s;
	uint32_t n = 0;

	start(&s, seed);
	for (uint32_t i = 0, len = (uint32_t)below(&s, STEPS); i < len; i++)
		step(&s, false);
	/* the guest is suspended: the log is read to its end, or everything is dirty */
	while (s.log_lost || s.log_again)
		log_recover(&s);
	log_deliver(&s, s.log_n);
	for (; !exp_planner_drained(s.p); n++) {
		if (n == STEPS) /* the link has to hold at some time */
			s.lose_per_10k = 0;
		step(&s, true);
		CHECK(&s, n < STEPS_LAST, "stuck: %llu bytes remain\n",
		      (unsigned long long)exp_planner_remaining(s.p));
	}
	check_equal(&s);
	finish(&s);
}

static void test_the_destination_gets_what_the_source_has(void **state)
{
	(void)state;
	for (uint64_t seed = first_seed; seed < first_seed + n_seeds; seed++)
		run(seed);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_destination_gets_what_the_source_has),
	};

	if (argc > 1)
		n_seeds = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		first_seed = strtoull(argv[2], NULL, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
