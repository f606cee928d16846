/* SPDX-License-Identifier: Apache-2.0 */
/* Envelopes typed by hand from proto/peer.proto (tag = field << 3 | kind), and round trips. */
#include "support/tests.h"
#include "support/wire_samples.h"

#include <errno.h>

#include "wire/msg.h"

/* A frame of @header and @payload, both hex, is decoded. */
static int decode_hex(const char *header, const char *payload, struct exp_msg *ret,
		      struct exp_error *err)
{
	uint8_t h[512], p[512];
	const struct exp_frame f = { .header = h,
				     .header_len = (uint32_t)test_hex(h, sizeof(h), header),
				     .payload = p,
				     .payload_len = (uint32_t)test_hex(p, sizeof(p), payload) };

	return exp_wire_decode(&f, ret, err);
}

static struct exp_buf encode(const struct exp_msg *m)
{
	struct exp_error err = { 0 };
	struct exp_buf out;

	exp_buf_init(&out, 16 << 20);
	assert_ok(exp_wire_encode(m, &out, &err), &err);
	return out;
}

static void encodes_to(const struct exp_msg *m, const char *hex)
{
	struct exp_buf out = encode(m);

	assert_hex(exp_buf_data(&out), exp_buf_len(&out), hex);
	exp_buf_done(&out);
}

/* request 1; body 103 (tag 33Ah), empty */
#define PING_HEX "0801 ba0600"

static void test_golden_ping(void **state)
{
	const struct exp_msg ping = { .type = EXP_MSG_PING, .request = 1 };
	struct exp_msg m = { 0 };

	(void)state;
	encodes_to(&ping, "05000000 00000000" PING_HEX);
	assert_ok(decode_hex(PING_HEX, "", &m, NULL), NULL);
	assert_int_equal(m.type, EXP_MSG_PING);
	assert_int_equal(m.request, 1);
}

/* body 102 (tag 332h): code 13, message "full", nvme_status 115h */
#define BYE_HEX "b2060b 080d 120466756c6c 189502"

static void test_golden_bye(void **state)
{
	struct exp_msg m = { .type = EXP_MSG_BYE,
			     .reason = { .code = EXP_CODE_BUSY, .nvme_status = 0x115 } };

	(void)state;
	strcpy(m.reason.msg, "full");
	encodes_to(&m, "0e000000 00000000" BYE_HEX);
	assert_ok(decode_hex(BYE_HEX, "", &m, NULL), NULL);
	assert_int_equal(m.reason.code, EXP_CODE_BUSY);
	assert_int_equal(m.reason.nvme_status, 0x115);
	assert_string_equal(m.reason.msg, "full");
}

/* job (2): id, attempt 1, role 1, source_state 7, one export {id, epoch 5} */
#define JOB_HEX                                                          \
	"122e 0a10 101112131415161718191a1b1c1d1e1f 1001 1801 2007 3214" \
	"0a10 606162636465666768696a6b6c6d6e6f 1005"
/* body 134 (tag 432h) */
#define RELEASE_HEX JOB_HEX "b20800"

static void release(struct exp_msg *m, enum exp_msg_type type)
{
	*m = (struct exp_msg){ .type = type,
			       .job = sample_uuid(0x10),
			       .attempt = 1,
			       .role = EXP_ROLE_SOURCE,
			       .state = EXP_SRC_RELEASED,
			       .n_exports = 1,
			       .exports = { { sample_uuid(0x60), 5 } } };
}

static void test_golden_release(void **state)
{
	struct exp_msg m;

	(void)state;
	release(&m, EXP_MSG_RELEASE);
	encodes_to(&m, "33000000 00000000" RELEASE_HEX);
	memset(&m, 0, sizeof(m));
	assert_ok(decode_hex(RELEASE_HEX, "", &m, NULL), NULL);
	assert_int_equal(m.type, EXP_MSG_RELEASE);
	assert_int_equal(m.attempt, 1);
	assert_int_equal(m.role, EXP_ROLE_SOURCE);
	assert_int_equal(m.state, EXP_SRC_RELEASED);
	assert_int_equal(m.n_exports, 1);
	assert_int_equal(exp_msg_epoch(&m, &(struct exp_uuid){ { 0x60, 0x61, 0x62, 0x63, 0x64, 0x65,
								 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b,
								 0x6c, 0x6d, 0x6e, 0x6f } }),
			 5);
}

/*
 * body 132 (tag 422h): session 7, last_seq {3}, total_extents 3, state_len {4}, n_digests 1;
 * payload: the state, then export 0, 1000h bytes at 2000h and its SHA-256
 */
#define FINAL_HEX JOB_HEX "a2080c 0807 120103 1803 220104 2801"
#define FINAL_PAYLOAD                                  \
	"deadbeef 0000 0000 00100000 0020000000000000" \
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static void test_golden_final(void **state)
{
	struct exp_msg_digest digest = { .len_bytes = 0x1000, .offset_bytes = 0x2000 };
	uint8_t blob[] = { 0xde, 0xad, 0xbe, 0xef };
	struct exp_msg_final f = { .session = 7,
				   .streams = 1,
				   .last_seq = { 3 },
				   .total_extents = 3,
				   .state = { { 4, blob } },
				   .n_digests = 1,
				   .digests = &digest };
	struct exp_msg m, back = { 0 };

	(void)state;
	for (uint8_t i = 0; i < 32; i++)
		digest.sha256[i] = i;
	release(&m, EXP_MSG_FINAL);
	m.final = &f;
	encodes_to(&m, "3f000000 34000000" FINAL_HEX FINAL_PAYLOAD);
	assert_ok(decode_hex(FINAL_HEX, FINAL_PAYLOAD, &back, NULL), NULL);
	assert_int_equal(back.final->session, 7);
	assert_int_equal(back.final->streams, 1);
	assert_int_equal(back.final->last_seq[0], 3);
	assert_int_equal(back.final->total_extents, 3);
	assert_hex(back.final->state[0].data, back.final->state[0].len, "deadbeef");
	assert_int_equal(back.final->n_digests, 1);
	assert_memory_equal(back.final->digests, &digest, sizeof(digest));
	exp_msg_done(&back);
}

/* body 110 (tag 372h): no device, any controller, one export with 2 bytes of configuration */
#define CAPS_DESC_HEX                                                  \
	"1a39 0a19 6e716e2e323031342d30382e6f72672e6578616d706c653a64" \
	"1210 202122232425262728292a2b2c2d2e2f 1801 2008 288010 308004 4802"
#define CAPS_HEX "0809 f2063b" CAPS_DESC_HEX

static void test_golden_caps(void **state)
{
	struct exp_export_desc d = { .nqn = { "nqn.2014-08.org.example:d" },
				     .template = sample_uuid(0x20),
				     .ensid = 1,
				     .ecntlid = 8,
				     .nsze = 2048,
				     .lba_bytes = 512,
				     .config_len = 2,
				     .config = { 0xc0, 0xc1 } };
	struct exp_msg m = { .type = EXP_MSG_CAPS,
			     .request = 9,
			     .caps = { .cntlid = UINT32_MAX, .n_descs = 1, .descs = &d } };
	struct exp_msg back = { 0 };
	struct exp_error err = { 0 };

	(void)state;
	encodes_to(&m, "40000000 02000000" CAPS_HEX "c0c1");
	assert_ok(decode_hex(CAPS_HEX, "c0c1", &back, NULL), NULL);
	assert_int_equal(back.request, 9);
	assert_int_equal(back.caps.cntlid, UINT32_MAX);
	assert_int_equal(back.caps.n_descs, 1);
	assert_memory_equal(back.caps.descs, &d, sizeof(d));
	assert_int_equal(back.caps.dirty, 0);
	exp_msg_done(&back);
	m.caps.dirty = EXP_DIRTY_NONE;
	encodes_to(&m, "42000000 02000000 0809 f2063d" CAPS_DESC_HEX "2002 c0c1");
	assert_ok(decode_hex("0809 f2063d" CAPS_DESC_HEX "2002", "c0c1", &back, NULL), NULL);
	assert_int_equal(back.caps.dirty, EXP_DIRTY_NONE);
	exp_msg_done(&back);
	assert_true(decode_hex("0809 f2063d" CAPS_DESC_HEX "2003", "c0c1", &back, &err) < 0);
	assert_non_null(strstr(err.msg, "dirty"));
}

/* Cut at every offset it is an error, never a crash and never a smaller message. */
static void cut_everywhere(const char *header, const char *payload)
{
	struct exp_error err = { 0 };
	uint8_t h[512], p[512];
	uint32_t hn = (uint32_t)test_hex(h, sizeof(h), header);
	uint32_t pn = (uint32_t)test_hex(p, sizeof(p), payload);
	struct exp_msg m;

	assert_ok(decode_hex(header, payload, &m, &err), &err); /* as a whole it is good */
	exp_msg_done(&m);
	for (uint32_t cut = 0; cut < hn; cut++) {
		uint8_t *exact = malloc(cut + 1);
		struct exp_frame f = { exact, cut, p, pn };

		assert_non_null(exact);
		memcpy(exact, h, cut); /* so that ASan sees a read past the end */
		assert_int_equal(exp_wire_decode(&f, &m, &err), -EPROTO);
		assert_int_equal(err.code, EXP_CODE_PROTOCOL);
		free(exact);
	}
	for (uint32_t cut = 0; cut < pn; cut++) {
		struct exp_frame f = { h, hn, p, cut };

		assert_int_equal(exp_wire_decode(&f, &m, &err), -EPROTO);
		assert_int_equal(err.code, EXP_CODE_PROTOCOL);
	}
}

static void test_truncated(void **state)
{
	(void)state;
	cut_everywhere(PING_HEX, "");
	cut_everywhere(BYE_HEX, "");
	cut_everywhere(RELEASE_HEX, "");
	cut_everywhere(FINAL_HEX, FINAL_PAYLOAD);
	cut_everywhere(CAPS_HEX, "c0c1");
}

static void test_payload_left_over(void **state)
{
	struct exp_error err = { 0 };
	struct exp_msg m;

	(void)state;
	assert_int_equal(decode_hex(PING_HEX, "00", &m, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, "message ping: 1 bytes of payload are left over");
	assert_int_equal(decode_hex(FINAL_HEX, FINAL_PAYLOAD "00", &m, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, "left over");
}

static void test_digest_reserved_bytes(void **state)
{
	struct exp_error err = { 0 };
	struct exp_msg m;

	(void)state;
	assert_int_equal(decode_hex(FINAL_HEX,
				    "deadbeef 0000 0100 00100000 0020000000000000"
				    "000102030405060708090a0b0c0d0e0f"
				    "101112131415161718191a1b1c1d1e1f",
				    &m, &err),
			 -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, "digest 0 has 0001h in its reserved bytes");
}

static void test_unknown_fields_are_ignored(void **state)
{
	struct exp_msg m = { 0 };

	(void)state;
	/* envelope: field 50 varint 1; body BYE: field 9 "xy" */
	assert_ok(decode_hex("900301 b2060a 080d 120266 75 4a0278 79", "", &m, NULL), NULL);
	assert_int_equal(m.reason.code, EXP_CODE_BUSY);
	assert_string_equal(m.reason.msg, "fu");
}

static void test_no_known_body(void **state)
{
	struct exp_error err = { 0 };
	struct exp_msg m;

	(void)state;
	assert_int_equal(decode_hex("0801", "", &m, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, "no body that this build knows");
	assert_int_equal(decode_hex("c20c00", "", &m, &err), -EPROTO); /* field 200 */
	assert_error(&err, EXP_CODE_PROTOCOL, "no body that this build knows");
	assert_int_equal(decode_hex("ffffffff", "", &m, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, "the header of 4 bytes is no Envelope");
}

static void test_body_given_twice(void **state)
{
	struct exp_msg m = { 0 };

	(void)state;
	/* protobuf: the last of a oneof counts */
	assert_ok(decode_hex("0801" BYE_HEX "ba0600", "", &m, NULL), NULL);
	assert_int_equal(m.type, EXP_MSG_PING);
}

static void test_unknown_reason_code(void **state)
{
	struct exp_msg m = { 0 };

	(void)state;
	assert_ok(decode_hex("b2060a 08e707 1205 68656c6c6f", "", &m, NULL), NULL); /* 999 */
	assert_int_equal(m.reason.code, EXP_CODE_PEER_REFUSED);
	assert_int_equal(m.reason.errnum, 0);
	assert_string_equal(m.reason.msg, "hello");
}

static void test_text_is_cleaned_on_the_way_out(void **state)
{
	struct exp_msg m = { .type = EXP_MSG_BYE, .reason = { .code = EXP_CODE_BUSY } };

	(void)state;
	/* a tab, ESC, Latin-1, half a character; and UTF-8 that stays */
	strcpy(m.reason.msg, "a\tb\033\xe4z\xc3\xa4\xe2\x82\xac\xf0\x9f\x98");
	encodes_to(&m, "15000000 00000000 b20612 080d 120e 61 3f 62 3f 3f 7a c3a4 e282ac 3f3f3f");
	/* too long forms of '/' and of U+0000, half a surrogate, beyond U+10FFFF; the last there is
	 */
	strcpy(m.reason.msg, "\xc0\xaf\xe0\x80\x80\xed\xa0\x80\xf0\x8f\xbf\xbf\xf4\x90\x80\x80"
			     "\xf4\x8f\xbf\xbf");
	encodes_to(&m, "1b000000 00000000 b20618 080d 1214 3f3f 3f3f3f 3f3f3f 3f3f3f3f 3f3f3f3f "
		       "f48fbfbf");
}

/* Every type: what is decoded is encoded to the same bytes. */
static void test_round_trips(void **state)
{
	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(sample_types); i++) {
		struct exp_error err = { 0 };
		struct exp_buf first, second;
		struct exp_frame_parser p;
		struct exp_msg m, back = { 0 };
		struct exp_frame f;
		size_t used = 0;

		sample_msg(&m, sample_types[i]);
		first = encode(&m);
		exp_frame_init(&p);
		assert_ok(exp_frame_feed(&p, exp_buf_data(&first), exp_buf_len(&first), &used,
					 &err),
			  &err);
		assert_true(exp_frame_ready(&p, &f));
		assert_ok(exp_wire_decode(&f, &back, &err), &err);
		assert_int_equal(back.type, sample_types[i]);
		assert_memory_equal(back.exports, m.exports, sizeof(m.exports));
		if (m.type == EXP_MSG_CAPS_REPLY)
			assert_memory_equal(back.caps_reply, m.caps_reply, sizeof(*m.caps_reply));
		if (m.type == EXP_MSG_PREPARE)
			assert_memory_equal(back.prepare.descs, m.prepare.descs,
					    2 * sizeof(*m.prepare.descs));
		if (m.type == EXP_MSG_HELLO)
			assert_memory_equal(&back.hello, &m.hello,
					    offsetof(struct exp_msg_hello, known));
		if (m.type == EXP_MSG_DATA_ACK)
			assert_memory_equal(&back.data_ack, &m.data_ack, sizeof(m.data_ack));
		if (m.type == EXP_MSG_SESSION_OK)
			assert_memory_equal(&back.session, &m.session, sizeof(m.session));
		second = encode(&back);
		assert_int_equal(exp_buf_len(&first), exp_buf_len(&second));
		assert_memory_equal(exp_buf_data(&first), exp_buf_data(&second),
				    exp_buf_len(&first));
		exp_frame_done(&p);
		exp_buf_done(&first);
		exp_buf_done(&second);
		exp_msg_done(&m);
		exp_msg_done(&back);
	}
}

static void test_no_room(void **state)
{
	struct exp_error err = { 0 };
	struct exp_buf out;
	struct exp_msg m = { .type = EXP_MSG_PING, .request = 1 };

	(void)state;
	exp_buf_init(&out, 25);
	assert_ok(exp_wire_encode(&m, &out, &err), &err);
	assert_int_equal(exp_wire_encode(&m, &out, &err), -E2BIG);
	assert_error(&err, EXP_CODE_TOO_LARGE, "no room for 13 bytes behind 13 of 25");
	assert_int_equal(exp_buf_len(&out), 13);
	exp_buf_done(&out);
	m.type = 9;
	assert_int_equal(exp_wire_encode(&m, &out, &err), -EINVAL);
	assert_error(&err, EXP_CODE_PROTOCOL, "9 is no type of message");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_ping),
		cmocka_unit_test(test_golden_bye),
		cmocka_unit_test(test_golden_release),
		cmocka_unit_test(test_golden_final),
		cmocka_unit_test(test_golden_caps),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_payload_left_over),
		cmocka_unit_test(test_digest_reserved_bytes),
		cmocka_unit_test(test_unknown_fields_are_ignored),
		cmocka_unit_test(test_no_known_body),
		cmocka_unit_test(test_body_given_twice),
		cmocka_unit_test(test_unknown_reason_code),
		cmocka_unit_test(test_text_is_cleaned_on_the_way_out),
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
