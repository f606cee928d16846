/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tests.h"

#include <errno.h>

#include "base/rng.h"
#include "wire/bulk_track.h"

#define MIB (UINT64_C(1) << 20)

static const struct exp_bulk_ns spaces[] = { { 4 * MIB, 512 }, { MIB, 4096 } };

static struct exp_bulk_track *track(uint32_t streams)
{
	struct exp_bulk_track *t = NULL;

	assert_int_equal(exp_bulk_track_new(spaces, 2, &t), 0);
	if (streams)
		assert_int_equal(exp_bulk_track_session(t, 1, streams, NULL), 0);
	return t;
}

static int receive(struct exp_bulk_track *t, uint32_t session, uint16_t stream, uint64_t seq,
		   uint16_t ns, uint64_t offset, uint32_t len)
{
	const struct exp_bulk_extent x = { .kind = EXP_BULK_DATA,
					   .export_index = ns,
					   .session = session,
					   .seq = seq,
					   .offset_bytes = offset,
					   .len_bytes = len };

	return exp_bulk_track_received(t, stream, &x, NULL);
}

static void flush(struct exp_bulk_track *t)
{
	exp_bulk_track_flush_begin(t);
	exp_bulk_track_flush_end(t, true);
}

/* Both namespaces, in 5 extents of stream 0: received and written. */
static void all_written(struct exp_bulk_track *t, uint32_t session)
{
	for (uint64_t i = 1; i <= 5; i++) {
		assert_int_equal(receive(t, session, 0, i, i == 5, (i - 1) % 4 * MIB, MIB), 0);
		assert_int_equal(exp_bulk_track_written(t, 0, i, 100, NULL), 0);
	}
}

static void ack_is(struct exp_bulk_track *t, uint32_t stream, uint64_t written, uint64_t durable)
{
	struct exp_msg_data_ack a;

	assert_true(exp_bulk_track_ack(t, &a));
	assert_int_equal(a.written[stream], written);
	assert_int_equal(a.durable[stream], durable);
	assert_false(exp_bulk_track_ack(t, &a)); /* told once */
}

static void test_sessions(void **state)
{
	EXP_CLEANUP(exp_bulk_track_freep) struct exp_bulk_track *t = track(0);
	struct exp_error err = { 0 };
	struct exp_msg_data_ack a;

	(void)state;
	assert_false(exp_bulk_track_ack(t, &a));
	assert_int_equal(exp_bulk_track_session(t, 0, 1, &err), -EINVAL);
	assert_int_equal(exp_bulk_track_session(t, 3, 0, &err), -EINVAL);
	assert_int_equal(exp_bulk_track_session(t, 3, 33, &err), -EINVAL);
	assert_error(&err, EXP_CODE_PROTOCOL, "33 streams, 1 to 32");
	assert_ok(exp_bulk_track_session(t, 3, 32, &err), &err);
	assert_int_equal(exp_bulk_track_session(t, 3, 1, &err), -EINVAL);
	assert_error(&err, EXP_CODE_PROTOCOL, "session 3 is not above 3");
	assert_int_equal(receive(t, 3, 31, 1, 0, 0, 4096), 0);
	assert_int_equal(exp_bulk_track_session(t, 4, 1, &err), -EBUSY);
	assert_false(exp_bulk_track_idle(t));
	assert_int_equal(exp_bulk_track_written(t, 31, 1, 0, &err), 0);
	assert_true(exp_bulk_track_idle(t));
	assert_ok(exp_bulk_track_session(t, 4, 1, &err), &err);
	ack_is(t, 0, 0, 0);
	assert_int_equal(receive(t, 4, 1, 1, 0, 0, 4096), -EPROTO); /* it has one stream now */
}

static void test_sequence(void **state)
{
	EXP_CLEANUP(exp_bulk_track_freep) struct exp_bulk_track *t = track(2);
	struct exp_error err = { 0 };

	(void)state;
	assert_int_equal(receive(t, 1, 2, 1, 0, 0, 4096), -EPROTO);
	assert_int_equal(receive(t, 2, 0, 1, 0, 0, 4096), -EPROTO);
	assert_int_equal(receive(t, 1, 0, 2, 0, 0, 4096), -EPROTO);
	assert_int_equal(receive(t, 1, 0, 1, 2, 0, 4096), -EPROTO);
	assert_int_equal(receive(t, 1, 0, 1, 1, MIB, 4096), -EPROTO);
	assert_int_equal(receive(t, 1, 0, 1, 1, UINT64_MAX, 4096), -EPROTO);
	assert_int_equal(receive(t, 1, 0, 1, 0, 0, 4096), 0);
	assert_int_equal(receive(t, 1, 0, 1, 0, 0, 4096), -EPROTO);
	assert_int_equal(exp_bulk_track_written(t, 0, 2, 0, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, "was never received");
	assert_int_equal(exp_bulk_track_written(t, 0, 0, 0, &err), -EPROTO);
	assert_int_equal(exp_bulk_track_written(t, 1, 1, 0, &err), -EPROTO);
	assert_int_equal(exp_bulk_track_written(t, 0, 1, 0, &err), 0);
	assert_int_equal(exp_bulk_track_written(t, 0, 1, 0, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, "was before");
	assert_ok(exp_bulk_track_ended(t, 0, &err), &err);
	assert_int_equal(receive(t, 1, 0, 2, 0, 0, 4096), -EPROTO);
}

static void test_written_out_of_order(void **state)
{
	EXP_CLEANUP(exp_bulk_track_freep) struct exp_bulk_track *t = track(1);

	(void)state;
	for (uint64_t i = 1; i <= 4; i++)
		assert_int_equal(receive(t, 1, 0, i, 0, 0, 4096), 0);
	ack_is(t, 0, 0, 0);
	assert_int_equal(exp_bulk_track_written(t, 0, 3, 0, NULL), 0);
	assert_int_equal(exp_bulk_track_written(t, 0, 2, 0, NULL), 0);
	assert_int_equal(exp_bulk_track_flush_due(t), UINT64_MAX); /* nothing counts yet */
	assert_int_equal(exp_bulk_track_written(t, 0, 1, 0, NULL), 0);
	ack_is(t, 0, 3, 0);
	flush(t);
	ack_is(t, 0, 3, 3);
	assert_int_equal(exp_bulk_track_written(t, 0, 4, 0, NULL), 0);
	ack_is(t, 0, 4, 3);
}

static void test_window(void **state)
{
	EXP_CLEANUP(exp_bulk_track_freep) struct exp_bulk_track *t = track(1);
	uint64_t seq = 0;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < EXP_BULK_TRACK_WINDOW; i++)
			assert_int_equal(receive(t, 1, 0, ++seq, 0, 0, 512), 0);
		assert_int_equal(receive(t, 1, 0, seq + 1, 0, 0, 512), -ENOBUFS);
		for (uint64_t i = seq; i > seq - EXP_BULK_TRACK_WINDOW; i--)
			assert_int_equal(exp_bulk_track_written(t, 0, i, 0, NULL), 0);
		ack_is(t, 0, seq, 0);
	}
}

static void test_flush_is_due(void **state)
{
	EXP_CLEANUP(exp_bulk_track_freep) struct exp_bulk_track *t = track(1);

	(void)state;
	assert_int_equal(exp_bulk_track_flush_due(t), UINT64_MAX);
	for (uint64_t i = 1; i <= 63; i++) {
		assert_int_equal(receive(t, 1, 0, i, 0, 0, MIB), 0);
		assert_int_equal(exp_bulk_track_written(t, 0, i, 5000 + i, NULL), 0);
		assert_int_equal(exp_bulk_track_flush_due(t), 5001 + 1000);
	}
	assert_int_equal(receive(t, 1, 0, 64, 0, 0, MIB), 0);
	assert_int_equal(exp_bulk_track_written(t, 0, 64, 5999, NULL), 0);
	assert_int_equal(exp_bulk_track_flush_due(t), 0);
	exp_bulk_track_flush_begin(t);
	assert_int_equal(exp_bulk_track_flush_due(t), UINT64_MAX); /* one at a time */
	assert_int_equal(receive(t, 1, 0, 65, 0, 0, MIB), 0);
	assert_int_equal(exp_bulk_track_written(t, 0, 65, 6100, NULL), 0);
	exp_bulk_track_flush_end(t, true);
	ack_is(t, 0, 65, 64); /* what came while it ran is not covered by it */
	assert_int_equal(exp_bulk_track_flush_due(t), 7100);
}

static void test_flush_fails(void **state)
{
	EXP_CLEANUP(exp_bulk_track_freep) struct exp_bulk_track *t = track(1);

	(void)state;
	assert_int_equal(receive(t, 1, 0, 1, 0, 0, MIB), 0);
	assert_int_equal(exp_bulk_track_written(t, 0, 1, 10, NULL), 0);
	exp_bulk_track_flush_begin(t);
	exp_bulk_track_flush_end(t, false);
	ack_is(t, 0, 1, 0);
	assert_int_equal(exp_bulk_track_flush_due(t), 1010);
	flush(t);
	ack_is(t, 0, 1, 1);
}

static void final_is(const struct exp_bulk_track *t, const struct exp_msg_final *f, int want,
		     const char *part)
{
	struct exp_error err = { 0 };
	int r = exp_bulk_track_complete(t, f, &err);

	assert_int_equal(r, want);
	if (want)
		assert_true(strstr(err.msg, part) != NULL);
}

static void test_complete(void **state)
{
	EXP_CLEANUP(exp_bulk_track_freep) struct exp_bulk_track *t = track(2);
	struct exp_msg_final f = {
		.session = 1, .streams = 2, .last_seq = { 5, 0 }, .total_extents = 5
	};

	(void)state;
	final_is(t, &f, -EAGAIN, "durable up to extent 0 of 5");
	all_written(t, 1);
	final_is(t, &f, -EAGAIN, "durable up to extent 0 of 5");
	flush(t);
	final_is(t, &f, 0, "");
	f.session = 2;
	final_is(t, &f, -EPROTO, "bulk session 2 of 2 streams, the present one is 1 of 2");
	f.session = 1;
	f.streams = 1;
	final_is(t, &f, -EPROTO, "session 1 of 1 streams");
	f.streams = 2;
	f.total_extents = 6;
	final_is(t, &f, -EPROTO, "6 extents in all and 5 on its streams");
	f.last_seq[1] = 1; /* on its way, as far as anybody can tell */
	final_is(t, &f, -EAGAIN, "stream 1 is durable up to extent 0 of 1");
	assert_int_equal(exp_bulk_track_ended(t, 1, NULL), 0);
	final_is(t, &f, -EPROTO, "FINAL says 1 extents on bulk stream 1, 0 came");
	f.last_seq[0] = 4;
	final_is(t, &f, -EPROTO, "FINAL says 4 extents on bulk stream 0, 5 came");
	f.last_seq[0] = UINT64_MAX;
	final_is(t, &f, -EPROTO, "FINAL says");
}

static void test_complete_needs_cover(void **state)
{
	EXP_CLEANUP(exp_bulk_track_freep) struct exp_bulk_track *t = track(1);
	struct exp_msg_final f = {
		.session = 1, .streams = 1, .last_seq = { 2 }, .total_extents = 2
	};

	(void)state;
	assert_int_equal(receive(t, 1, 0, 1, 0, 0, 4 * MIB), 0);
	assert_int_equal(receive(t, 1, 0, 2, 1, 0, MIB - 4096), 0);
	assert_int_equal(exp_bulk_track_written(t, 0, 1, 0, NULL), 0);
	assert_int_equal(exp_bulk_track_written(t, 0, 2, 0, NULL), 0);
	flush(t);
	final_is(t, &f, -EPROTO,
		 "namespace 1: 4096 of its 1048576 bytes never came, the first at 1044480");
}

/* What an earlier session brought counts, once a Flush has made it durable. */
static void test_complete_over_sessions(void **state)
{
	EXP_CLEANUP(exp_bulk_track_freep) struct exp_bulk_track *t = track(1);
	struct exp_msg_final f = { .session = 2, .streams = 1 };

	(void)state;
	all_written(t, 1);
	assert_int_equal(exp_bulk_track_session(t, 2, 1, NULL), 0);
	final_is(t, &f, -EAGAIN, "former bulk session are not flushed");
	exp_bulk_track_flush_begin(t);
	final_is(t, &f, -EAGAIN, "former bulk session are not flushed");
	exp_bulk_track_flush_end(t, false);
	final_is(t, &f, -EAGAIN, "former bulk session are not flushed");
	flush(t);
	final_is(t, &f, 0, "");
}

static void test_session_begins_under_a_flush(void **state)
{
	EXP_CLEANUP(exp_bulk_track_freep) struct exp_bulk_track *t = track(1);

	(void)state;
	all_written(t, 1);
	exp_bulk_track_flush_begin(t);
	assert_int_equal(exp_bulk_track_session(t, 2, 1, NULL), 0);
	assert_int_equal(receive(t, 2, 0, 1, 0, 0, 4096), 0);
	assert_int_equal(exp_bulk_track_written(t, 0, 1, 0, NULL), 0);
	exp_bulk_track_flush_end(t, true);
	ack_is(t, 0, 1, 0); /* the Flush began before it was written */
}

/* Any order of events keeps durable <= written <= received, and never goes back. */
static void test_random_events(void **state)
{
	EXP_CLEANUP(exp_bulk_track_freep) struct exp_bulk_track *t = track(4);
	uint64_t received[4] = { 0 }, done[4][2048] = { { 0 } }, snap[4] = { 0 }, last[4] = { 0 };
	struct exp_msg_data_ack a = { 0 };
	bool flushing = false;
	struct exp_rng rng;

	(void)state;
	exp_rng_seed(&rng, 7);
	for (int i = 0; i < 6000; i++) {
		uint16_t s = (uint16_t)exp_rng_below(&rng, 4);

		if (exp_rng_chance(&rng, 1, 2) && received[s] < 2000) {
			received[s]++;
			assert_int_equal(receive(t, 1, s, received[s], 0, 0, 512), 0);
		} else if (received[s]) {
			uint64_t seq = 1 + exp_rng_below(&rng, received[s]);
			int r = exp_bulk_track_written(t, s, seq, 0, NULL);

			assert_int_equal(r, done[s][seq] ? -EPROTO : 0);
			done[s][seq] = 1;
		}
		if (exp_rng_chance(&rng, 1, 50)) {
			if (flushing)
				exp_bulk_track_flush_end(t, true);
			else
				exp_bulk_track_flush_begin(t);
			flushing = !flushing;
			for (int k = 0; flushing && k < 4; k++)
				for (snap[k] = 0; done[k][snap[k] + 1];)
					snap[k]++;
		}
		if (!exp_bulk_track_ack(t, &a))
			continue;
		for (int k = 0; k < 4; k++) {
			uint64_t prefix = 0;

			while (done[k][prefix + 1])
				prefix++;
			assert_int_equal(a.written[k], prefix);
			assert_true(a.durable[k] <= snap[k] && a.durable[k] >= last[k]);
			if (!flushing)
				assert_int_equal(a.durable[k], snap[k]);
			last[k] = a.durable[k];
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_sequence),
		cmocka_unit_test(test_written_out_of_order),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_flush_is_due),
		cmocka_unit_test(test_flush_fails),
		cmocka_unit_test(test_complete),
		cmocka_unit_test(test_complete_needs_cover),
		cmocka_unit_test(test_complete_over_sessions),
		cmocka_unit_test(test_session_begins_under_a_flush),
		cmocka_unit_test(test_random_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
