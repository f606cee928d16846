/* SPDX-License-Identifier: Apache-2.0 */
/* Frames typed by hand: two little-endian lengths, header bytes, payload bytes. */
#include "support/tests.h"

#include <errno.h>

#include "wire/frame.h"

/* headers 01 02 03; aa; bb cc with payloads -; 11 22; - */
static const char three_frames[] = "03000000 00000000 010203"
				   "01000000 02000000 aa 1122"
				   "02000000 00000000 bbcc";
#define THREE_BYTES (11 + 11 + 10)

static void check_frame(const struct exp_frame *f, int i)
{
	static const char *const header[] = { "010203", "aa", "bbcc" };
	static const char *const payload[] = { "", "1122", "" };

	assert_in_range(i, 0, 2);
	assert_hex(f->header, f->header_len, header[i]);
	assert_hex(f->payload, f->payload_len, payload[i]);
}

/* Feeds @n bytes, dropping whole frames; *seen counts them. Returns the first error. */
static int feed_all(struct exp_frame_parser *f, const uint8_t *p, size_t n, int *seen,
		    struct exp_error *err)
{
	while (n) {
		struct exp_frame frame;
		size_t used = 0;
		int r = exp_frame_feed(f, p, n, &used, err);

		if (r < 0)
			return r;
		p += used;
		n -= used;
		if (exp_frame_ready(f, &frame)) {
			check_frame(&frame, (*seen)++);
			exp_frame_drop(f);
		} else {
			assert_int_equal(n, 0);
		}
	}
	return 0;
}

static void test_whole_and_any_split(void **state)
{
	uint8_t b[64];
	size_t n = test_hex(b, sizeof(b), three_frames);

	(void)state;
	assert_int_equal(n, THREE_BYTES);
	for (size_t first = 0; first <= n; first++) {
		for (size_t second = first; second <= n; second++) {
			struct exp_frame_parser f;
			int seen = 0;

			exp_frame_init(&f);
			assert_ok(feed_all(&f, b, first, &seen, NULL), NULL);
			assert_ok(feed_all(&f, b + first, second - first, &seen, NULL), NULL);
			assert_ok(feed_all(&f, b + second, n - second, &seen, NULL), NULL);
			assert_int_equal(seen, 3);
			assert_int_equal(exp_frame_pending(&f), 0);
			exp_frame_done(&f);
		}
	}
}

static void test_one_byte_at_a_time(void **state)
{
	struct exp_frame_parser f;
	uint8_t b[64];
	size_t n = test_hex(b, sizeof(b), three_frames);
	int seen = 0;

	(void)state;
	exp_frame_init(&f);
	for (size_t i = 0; i < n; i++) {
		int whole = i + 1 >= THREE_BYTES ? 3 : i + 1 >= 22 ? 2 : i + 1 >= 11 ? 1 : 0;

		assert_ok(feed_all(&f, b + i, 1, &seen, NULL), NULL);
		assert_int_equal(seen, whole);
	}
	exp_frame_done(&f);
}

static void test_takes_nothing_beyond_a_whole_frame(void **state)
{
	struct exp_frame_parser f;
	struct exp_frame frame;
	uint8_t b[64];
	size_t n = test_hex(b, sizeof(b), three_frames), used = 99;

	(void)state;
	exp_frame_init(&f);
	assert_ok(exp_frame_feed(&f, b, n, &used, NULL), NULL);
	assert_int_equal(used, 11);
	assert_true(exp_frame_ready(&f, &frame));
	assert_ok(exp_frame_feed(&f, b + 11, n - 11, &used, NULL), NULL);
	assert_int_equal(used, 0);
	check_frame(&frame, 0);
	exp_frame_done(&f);
}

static void test_pending_when_cut(void **state)
{
	uint8_t b[64];

	(void)state;
	test_hex(b, sizeof(b), three_frames);
	for (size_t cut = 0; cut < 11; cut++) {
		struct exp_frame_parser f;
		struct exp_frame frame;
		size_t used = 0;

		exp_frame_init(&f);
		assert_ok(exp_frame_feed(&f, b, cut, &used, NULL), NULL);
		assert_false(exp_frame_ready(&f, &frame));
		assert_int_equal(exp_frame_pending(&f), cut);
		exp_frame_done(&f);
	}
}

static void bad_prefix(const char *hex, const char *part)
{
	struct exp_error err = { 0 };
	struct exp_frame_parser f;
	struct exp_frame frame;
	uint8_t b[16];
	size_t n = test_hex(b, sizeof(b), hex), used = 0;

	exp_frame_init(&f);
	assert_int_equal(exp_frame_feed(&f, b, n, &used, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, part);
	assert_true(f.buf.cap <= 64); /* nothing was allocated for what was claimed */
	assert_false(exp_frame_ready(&f, &frame));
	assert_int_equal(exp_frame_feed(&f, b, n, &used, &err), -EPROTO);
	exp_frame_done(&f);
}

static void test_limits_plus_one(void **state)
{
	(void)state;
	bad_prefix("00000000 00000000", "header length is 0, at least 1");
	bad_prefix("01000800 00000000", "header length is 524289, at most 524288");
	bad_prefix("ffffffff 00000000", "header length is 4294967295, at most 524288");
	/* 16 * 256 KiB + 32768 * 48 = 5767168 = 580000h */
	bad_prefix("01000000 01005800", "payload length is 5767169, at most 5767168");
	bad_prefix("01000000 ffffffff", "payload length is 4294967295");
}

static void test_limits_themselves(void **state)
{
	struct exp_frame_parser f;
	struct exp_frame frame;
	size_t n = 8 + 524288 + 5767168, used = 0;
	uint8_t *b = calloc(1, n);

	(void)state;
	assert_non_null(b);
	test_hex(b, 8, "00000800 00005800");
	exp_frame_init(&f);
	assert_ok(exp_frame_feed(&f, b, n, &used, NULL), NULL);
	assert_int_equal(used, n);
	assert_true(exp_frame_ready(&f, &frame));
	assert_int_equal(frame.header_len, 524288);
	assert_int_equal(frame.payload_len, 5767168);
	exp_frame_drop(&f);
	assert_int_equal(f.buf.cap, 0); /* given back: the next ones are small */
	exp_frame_done(&f);
	free(b);
}

static void test_memory_follows_the_bytes(void **state)
{
	struct exp_frame_parser f;
	uint8_t b[8];
	size_t used = 0;

	(void)state;
	test_hex(b, sizeof(b), "00000800 00005800");
	exp_frame_init(&f);
	assert_ok(exp_frame_feed(&f, b, sizeof(b), &used, NULL), NULL);
	assert_true(f.buf.cap <= 64);
	exp_frame_done(&f);
}

static void test_other_limits(void **state)
{
	struct exp_error err = { 0 };
	struct exp_frame_parser f;
	uint8_t b[16];
	size_t n = test_hex(b, sizeof(b), "01000000 01000000 aabb"), used = 0;

	(void)state;
	exp_frame_init(&f);
	exp_frame_limit(&f, 1, 0);
	assert_int_equal(exp_frame_feed(&f, b, n, &used, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, "payload length is 1, at most 0");
	exp_frame_done(&f);
	exp_frame_init(&f);
	exp_frame_limit(&f, 1, 1);
	assert_ok(exp_frame_feed(&f, b, n, &used, &err), &err);
	assert_int_equal(used, n);
	exp_frame_done(&f);
}

static void test_prefix(void **state)
{
	uint8_t b[8];

	(void)state;
	exp_frame_put_prefix(b, 0x01020304, 0xa0b0c0d0);
	assert_hex(b, sizeof(b), "04030201 d0c0b0a0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_and_any_split),
		cmocka_unit_test(test_one_byte_at_a_time),
		cmocka_unit_test(test_takes_nothing_beyond_a_whole_frame),
		cmocka_unit_test(test_pending_when_cut),
		cmocka_unit_test(test_limits_plus_one),
		cmocka_unit_test(test_limits_themselves),
		cmocka_unit_test(test_memory_follows_the_bytes),
		cmocka_unit_test(test_other_limits),
		cmocka_unit_test(test_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
