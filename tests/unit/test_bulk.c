/* SPDX-License-Identifier: Apache-2.0 */
/* Records typed from the table in wire/bulk.h; their CRCs by a bit-at-a-time CRC-32C. */
#include "support/tests.h"

#include <errno.h>

#include "base/le.h"
#include "base/rng.h"
#include "wire/bulk.h"

static const char open_hex[] = "4558 5042 554c 4b31 04030201 0500 0000"
			       "101112131415161718191a1b1c1d1e1f"
			       "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
			       "000000000000000000000000 63cd3bc2";

/* session 7: 512 bytes at 1200h of namespace 1; 1 GiB of zeros; a deallocation; the end */
static const char data_hex[] = "01 00 0100 07000000 0100000000000000 0012000000000000"
			       "00020000 bcaf1a7c";
static const char zero_hex[] = "02 00 0000 07000000 0200000000000000 0000000000000000"
			       "00000040 8f8329b0";
static const char dealloc_hex[] = "03 00 0100 07000000 0300000000000000 0060452301000000"
				  "00200000 2689d10f";
static const char end_hex[] = "04 00 0000 07000000 0300000000000000 0000000000000000"
			      "00000000 25c85804";

static const struct exp_bulk_ns spaces[] = {
	{ .bytes = UINT64_C(1) << 30, .lba_bytes = 512 },
	{ .bytes = UINT64_C(0x123458000), .lba_bytes = 512 },
};

static uint32_t slow_crc(const uint8_t *p, size_t n)
{
	uint32_t c = UINT32_MAX;

	while (n--) {
		c ^= *p++;
		for (int i = 0; i < 8; i++)
			c = c >> 1 ^ (c & 1 ? 0x82f63b78u : 0);
	}
	return ~c;
}

static void fill(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 3);
}

static void test_open_golden(void **state)
{
	struct exp_bulk_open o = { .session = 0x01020304, .stream = 5 }, back;
	uint8_t out[EXP_BULK_OPEN_BYTES];

	(void)state;
	for (uint8_t i = 0; i < 16; i++)
		o.job.b[i] = 0x10 + i;
	for (uint8_t i = 0; i < 32; i++)
		o.token[i] = 0x80 + i;
	exp_bulk_open_encode(&o, out);
	assert_hex(out, sizeof(out), open_hex);
	test_hex(out, sizeof(out), open_hex);
	assert_ok(exp_bulk_open_decode(out, &back, NULL), NULL);
	assert_true(exp_uuid_eq(&back.job, &o.job));
	assert_int_equal(back.session, 0x01020304);
	assert_int_equal(back.stream, 5);
	assert_memory_equal(back.token, o.token, 32);
}

static void open_bad(size_t at, uint8_t value, bool crc, enum exp_code code, const char *part)
{
	struct exp_error err = { 0 };
	struct exp_bulk_open o;
	uint8_t b[EXP_BULK_OPEN_BYTES];
	int r;

	test_hex(b, sizeof(b), open_hex);
	b[at] = value;
	if (crc)
		exp_put_le32(b + 76, slow_crc(b, 76));
	r = exp_bulk_open_decode(b, &o, &err);
	assert_int_equal(r, code == EXP_CODE_DIGEST ? -EBADMSG : -EPROTO);
	assert_error(&err, code, part);
}

static void test_open_bad(void **state)
{
	uint8_t b[EXP_BULK_OPEN_BYTES];
	struct exp_bulk_open o;
	struct exp_error err = { 0 };

	(void)state;
	open_bad(0, 'e', true, EXP_CODE_PROTOCOL, "does not begin with EXPBULK1");
	open_bad(7, '2', true, EXP_CODE_PROTOCOL, "does not begin with EXPBULK1");
	open_bad(12, 32, true, EXP_CODE_PROTOCOL, "stream is 32, less than 32");
	open_bad(13, 1, true, EXP_CODE_PROTOCOL, "stream is 261, less than 32");
	open_bad(14, 1, true, EXP_CODE_PROTOCOL, "reserved");
	open_bad(64, 1, true, EXP_CODE_PROTOCOL, "reserved");
	open_bad(75, 1, true, EXP_CODE_PROTOCOL, "reserved");
	for (size_t i = 8; i < 80; i++) /* any byte that differs */
		open_bad(i, (uint8_t)(i == 12 ? 4 : 0xff), false, EXP_CODE_DIGEST,
			 "CRC-32C of the opening record");
	test_hex(b, sizeof(b), open_hex);
	exp_put_le32(b + 8, 0);
	exp_put_le32(b + 76, slow_crc(b, 76));
	assert_int_equal(exp_bulk_open_decode(b, &o, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, "session is 0, at least 1");
}

static void test_sniff(void **state)
{
	uint8_t b[EXP_BULK_OPEN_BYTES];

	(void)state;
	test_hex(b, sizeof(b), open_hex);
	for (size_t n = 0; n <= sizeof(b); n++)
		assert_int_equal(exp_wire_sniff(b, n), n < 8 ? EXP_WIRE_UNDECIDED : EXP_WIRE_BULK);
	for (size_t i = 0; i < 8; i++) {
		test_hex(b, sizeof(b), open_hex);
		b[i] ^= 1;
		assert_int_equal(exp_wire_sniff(b, i), EXP_WIRE_UNDECIDED);
		assert_int_equal(exp_wire_sniff(b, i + 1), EXP_WIRE_CONTROL);
	}
	test_hex(b, sizeof(b), "05000000 00000000");
	assert_int_equal(exp_wire_sniff(b, 1), EXP_WIRE_CONTROL);
}

static void test_extents_golden(void **state)
{
	struct exp_bulk_tx tx = { .session = 7 };
	struct exp_bulk_extent x = {
		.kind = EXP_BULK_DATA, .export_index = 1, .offset_bytes = 0x1200, .len_bytes = 512
	};
	uint8_t out[EXP_BULK_EXTENT_BYTES], data[512];

	(void)state;
	fill(data, sizeof(data));
	assert_ok(exp_bulk_tx_extent(&tx, &x, data, out, NULL), NULL);
	assert_hex(out, sizeof(out), data_hex);
	assert_int_equal(x.seq, 1);
	x = (struct exp_bulk_extent){ .kind = EXP_BULK_ZERO, .len_bytes = 0x40000000 };
	assert_ok(exp_bulk_tx_extent(&tx, &x, NULL, out, NULL), NULL);
	assert_hex(out, sizeof(out), zero_hex);
	assert_int_equal(x.seq, 2);
	x = (struct exp_bulk_extent){ .kind = EXP_BULK_DEALLOCATE,
				      .export_index = 1,
				      .offset_bytes = UINT64_C(0x123456000),
				      .len_bytes = 0x2000 };
	assert_ok(exp_bulk_tx_extent(&tx, &x, NULL, out, NULL), NULL);
	assert_hex(out, sizeof(out), dealloc_hex);
	exp_bulk_tx_end(&tx, out);
	assert_hex(out, sizeof(out), end_hex);
}

static void test_extents_decoded(void **state)
{
	struct exp_error err = { 0 };
	struct exp_bulk_extent x;
	struct exp_bulk_rx rx;
	uint8_t b[EXP_BULK_EXTENT_BYTES], data[512];

	(void)state;
	exp_bulk_rx_init(&rx, 7, spaces, 2);
	test_hex(b, sizeof(b), data_hex);
	assert_ok(exp_bulk_rx_header(&rx, b, &x, &err), &err);
	assert_int_equal(x.kind, EXP_BULK_DATA);
	assert_int_equal(x.export_index, 1);
	assert_int_equal(x.session, 7);
	assert_int_equal(x.seq, 1);
	assert_int_equal(x.offset_bytes, 0x1200);
	assert_int_equal(x.len_bytes, 512);
	fill(data, sizeof(data));
	assert_ok(exp_bulk_rx_data(b, &x, data, &err), &err);
	data[511] ^= 1;
	assert_int_equal(exp_bulk_rx_data(b, &x, data, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DIGEST, "extent 1 (namespace 1, offset 4608, length 512) is ");
	test_hex(b, sizeof(b), zero_hex);
	assert_ok(exp_bulk_rx_header(&rx, b, &x, &err), &err);
	assert_int_equal(x.kind, EXP_BULK_ZERO);
	assert_int_equal(x.len_bytes, 0x40000000);
	test_hex(b, sizeof(b), dealloc_hex);
	assert_ok(exp_bulk_rx_header(&rx, b, &x, &err), &err);
	assert_int_equal(x.kind, EXP_BULK_DEALLOCATE);
	assert_int_equal(x.offset_bytes, UINT64_C(0x123456000)); /* to the namespace's last byte */
	test_hex(b, sizeof(b), end_hex);
	assert_ok(exp_bulk_rx_header(&rx, b, &x, &err), &err);
	assert_int_equal(x.kind, EXP_BULK_END);
	assert_true(rx.ended);
	assert_int_equal(exp_bulk_rx_header(&rx, b, &x, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, "behind the end record");
}

/* A header of kind zero: 4096 bytes at 0 of namespace 0, session 7, sequence 1. */
static void zero_header(uint8_t b[EXP_BULK_EXTENT_BYTES])
{
	test_hex(b, EXP_BULK_EXTENT_BYTES,
		 "02 00 0000 07000000 0100000000000000 0000000000000000 00100000 00000000");
}

static void header_bad(uint8_t b[EXP_BULK_EXTENT_BYTES], const char *part)
{
	struct exp_error err = { 0 };
	struct exp_bulk_extent x;
	struct exp_bulk_rx rx;

	exp_put_le32(b + 28, slow_crc(b, 28));
	exp_bulk_rx_init(&rx, 7, spaces, 2);
	assert_int_equal(exp_bulk_rx_header(&rx, b, &x, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, part);
	assert_int_equal(rx.last_seq, 0);
	zero_header(b);
}

static void test_header_fields_bad(void **state)
{
	uint8_t b[EXP_BULK_EXTENT_BYTES];

	(void)state;
	zero_header(b);
	b[0] = 0;
	header_bad(b, "kind is 0");
	b[0] = 5;
	header_bad(b, "kind is 5");
	b[1] = 1;
	header_bad(b, "reserved byte 1 is 1");
	b[2] = 2;
	header_bad(b, "export is 2, less than 2");
	b[3] = 1;
	header_bad(b, "export is 256, less than 2");
	b[4] = 6;
	header_bad(b, "session is 6, expected 7");
	b[8] = 0;
	header_bad(b, "sequence is 0, expected 1");
	b[8] = 2;
	header_bad(b, "sequence is 2, expected 1");
	exp_put_le64(b + 16, 511);
	header_bad(b, "offset 511, length 4096 are not whole blocks of 512");
	exp_put_le32(b + 24, 4095);
	header_bad(b, "length 4095 are not whole blocks");
	exp_put_le32(b + 24, 0);
	header_bad(b, "length is 0, 1 to 1073741824");
	exp_put_le32(b + 24, 0x40000200);
	header_bad(b, "length is 1073742336, 1 to 1073741824");
	exp_put_le64(b + 16, (UINT64_C(1) << 30) - 4096 + 512);
	header_bad(b, "go beyond namespace 0 of 1073741824");
	exp_put_le64(b + 16, UINT64_C(1) << 30);
	header_bad(b, "go beyond namespace 0");
	exp_put_le64(b + 16, UINT64_MAX - 4095); /* offset + length wraps to 0 */
	header_bad(b, "go beyond namespace 0");
	b[0] = EXP_BULK_DATA;
	exp_put_le32(b + 24, 1024 * 1024 + 512);
	header_bad(b, "length is 1049088, 1 to 1048576");
	b[0] = EXP_BULK_END;
	header_bad(b, "sequence of the end record is 1, the last extent had 0");
	b[0] = EXP_BULK_END;
	b[8] = 0;
	header_bad(b, "the end record names export 0, offset 0, length 4096");
}

static void test_header_crc(void **state)
{
	struct exp_error err = { 0 };
	struct exp_bulk_extent x;
	struct exp_bulk_rx rx;
	uint8_t b[EXP_BULK_EXTENT_BYTES];

	(void)state;
	for (size_t bit = 0; bit < 8 * sizeof(b); bit++) {
		zero_header(b);
		exp_put_le32(b + 28, slow_crc(b, 28));
		b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		exp_bulk_rx_init(&rx, 7, spaces, 2);
		assert_true(exp_bulk_rx_header(&rx, b, &x, &err) < 0 || x.kind == EXP_BULK_DATA);
		if (x.kind == EXP_BULK_DATA) { /* the kind's bits: the CRC is looked at with data */
			static const uint8_t data[4096];

			assert_int_equal(exp_bulk_rx_data(b, &x, data, &err), -EBADMSG);
			x.kind = 0;
		}
	}
}

static void test_tx_refuses(void **state)
{
	struct exp_bulk_tx tx = { .session = 7 };
	uint8_t out[EXP_BULK_EXTENT_BYTES];
	struct exp_error err = { 0 };
	struct exp_bulk_extent x = { .kind = EXP_BULK_DATA, .len_bytes = 1024 * 1024 + 1 };

	(void)state;
	assert_int_equal(exp_bulk_tx_extent(&tx, &x, "", out, &err), -EINVAL);
	assert_error(&err, EXP_CODE_PROTOCOL, "1 to 1048576");
	x.len_bytes = 0;
	assert_int_equal(exp_bulk_tx_extent(&tx, &x, "", out, &err), -EINVAL);
	x.kind = EXP_BULK_ZERO;
	x.len_bytes = 0x40000001;
	assert_int_equal(exp_bulk_tx_extent(&tx, &x, NULL, out, &err), -EINVAL);
	x.kind = EXP_BULK_END;
	x.len_bytes = 1;
	assert_int_equal(exp_bulk_tx_extent(&tx, &x, NULL, out, &err), -EINVAL);
	assert_int_equal(tx.last_seq, 0);
}

/* Random headers never come out as something that lies outside a namespace. */
static void test_random_headers(void **state)
{
	struct exp_rng rng;

	(void)state;
	exp_rng_seed(&rng, 99);
	for (int i = 0; i < 200000; i++) {
		uint8_t b[EXP_BULK_EXTENT_BYTES];
		struct exp_bulk_extent x;
		struct exp_bulk_rx rx;

		zero_header(b);
		for (int k = 0; k < 1 + i % 4; k++)
			b[exp_rng_below(&rng, 28)] ^= (uint8_t)(1 << exp_rng_below(&rng, 8));
		exp_put_le32(b + 28, slow_crc(b, 28));
		exp_bulk_rx_init(&rx, 7, spaces, 2);
		if (exp_bulk_rx_header(&rx, b, &x, NULL) < 0 || x.kind == EXP_BULK_END)
			continue;
		assert_in_range(x.kind, EXP_BULK_DATA, EXP_BULK_DEALLOCATE);
		assert_in_range(x.export_index, 0, 1);
		assert_int_equal(x.seq, 1);
		assert_true(x.len_bytes && x.len_bytes <= EXP_BULK_RANGE_MAX);
		assert_true(x.offset_bytes + x.len_bytes <= spaces[x.export_index].bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_golden),     cmocka_unit_test(test_open_bad),
		cmocka_unit_test(test_sniff),           cmocka_unit_test(test_extents_golden),
		cmocka_unit_test(test_extents_decoded), cmocka_unit_test(test_header_fields_bad),
		cmocka_unit_test(test_header_crc),      cmocka_unit_test(test_tx_refuses),
		cmocka_unit_test(test_random_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
