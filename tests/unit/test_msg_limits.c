/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each limit of a message, one beyond it, in both directions: a struct that the encoder must
 * refuse, and protobuf bytes, written here by a writer of our own, that the decoder must refuse.
 */
#include "support/tests.h"
#include "support/wire_samples.h"

#include <errno.h>

#include "wire/msg.h"

/* --- going out --- */

static void refused(struct exp_msg *m, const char *part)
{
	struct exp_error err = { 0 };
	struct exp_buf out;

	exp_buf_init(&out, 16 << 20);
	assert_int_equal(exp_wire_encode(m, &out, &err), -EINVAL);
	assert_error(&err, EXP_CODE_PROTOCOL, part);
	assert_int_equal(exp_buf_len(&out), 0);
	exp_buf_done(&out);
}

/* A sample of @type with one change, refused with @part; then the sample again. */
#define REFUSED(TYPE, change, part)             \
	do {                                    \
		struct exp_msg m;               \
		sample_msg(&m, EXP_MSG_##TYPE); \
		change;                         \
		refused(&m, "message " part);   \
		exp_msg_done(&m);               \
	} while (0)

static void test_job_fields(void **state)
{
	(void)state;
	REFUSED(QUERY, m.job = (struct exp_uuid){ 0 }, "query: job.id is the nil UUID");
	REFUSED(QUERY, m.attempt = 0, "query: job.attempt is 0, at least 1");
	REFUSED(QUERY, m.n_exports = 0, "query: number of job.exports is 0, at least 1");
	REFUSED(QUERY, m.n_exports = 17, "query: number of job.exports is 17, at most 16");
	REFUSED(QUERY, m.exports[1].epoch = 0, "query: job.exports.epoch is 0, at least 1");
	REFUSED(QUERY, m.exports[1].epoch = EXP_EPOCH_MAX + 1,
		"query: job.exports.epoch is 281474976710657, at most 281474976710656");
	REFUSED(QUERY, m.exports[1].id = (struct exp_uuid){ 0 },
		"query: job.exports.id is the nil");
	REFUSED(QUERY, m.exports[1].id = m.exports[0].id,
		"query: job.exports names one export at 0 and 1");
	REFUSED(QUERY, m.state = 9, "query: job.destination_state is 9, a value that this build");
	REFUSED(RELEASE, m.state = 12, "release: job.source_state is 12, a value");
	REFUSED(QUERY, m.role = 0,
		"query: job.role is 0 (no role), only the destination says this");
}

static void test_each_type_has_its_side(void **state)
{
	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(sample_types); i++) {
		struct exp_msg m;

		if (sample_types[i] < EXP_MSG_PREPARE)
			continue;
		sample_msg(&m, sample_types[i]);
		m.role = m.role == EXP_ROLE_SOURCE ? EXP_ROLE_DESTINATION : EXP_ROLE_SOURCE;
		refused(&m, "says this");
		exp_msg_done(&m);
	}
}

static void test_request_needed(void **state)
{
	(void)state;
	REFUSED(PING, m.request = 0, "ping: request is 0, at least 1");
	REFUSED(PONG, m.request = 0, "pong: request is 0");
	REFUSED(CAPS, m.request = 0, "caps: request is 0");
	REFUSED(CAPS_REPLY, m.request = 0, "caps-reply: request is 0");
}

static void test_small_bodies(void **state)
{
	(void)state;
	REFUSED(HELLO, m.hello.version_min = 0, "hello: version_min is 0, at least 1");
	REFUSED(HELLO, m.hello.version_min = 2, "hello: version_max is 1, at least 2");
	REFUSED(HELLO, m.hello.host = (struct exp_uuid){ 0 }, "hello: host is the nil");
	REFUSED(HELLO, m.hello.db_instance = (struct exp_uuid){ 0 }, "hello: db_instance is the");
	REFUSED(HELLO, m.hello.build[1] = '\n', "hello: build has byte 0Ah at 1");
	REFUSED(HELLO, memset(m.hello.build, 'x', 64), "hello: build has no end within 64");
	REFUSED(HELLO, m.hello.known[1].status = 0, "hello: known.status is 0, that is, missing");
	REFUSED(HELLO, m.hello.known[1].status = 6, "hello: known.status is 6, a value that this");
	REFUSED(HELLO, m.hello.known[0].id = (struct exp_uuid){ 0 }, "hello: known.id is the nil");
	REFUSED(BYE, m.reason.code = 999, "bye: code is 999, which is no code of this build");
	REFUSED(TARGET, m.target = 0, "target: target is 0, that is, missing");
	REFUSED(TARGET, m.target = 4, "target: target is 4, a value");
	REFUSED(ANSWER, m.answer = 3, "answer: answer is 3, a value");
	REFUSED(SESSION, m.session.session = 0, "session: session is 0, at least 1");
	REFUSED(SESSION, m.session.streams = 0, "session: streams is 0, at least 1");
	REFUSED(SESSION, m.session.streams = 33, "session: streams is 33, at most 32");
	REFUSED(SESSION_OK, m.session.credit_bytes = 0, "session-ok: credit_bytes is 0");
	REFUSED(SESSION_OK, memset(m.session.token, 0, 32), "session-ok: token is all zeros");
	REFUSED(DATA_ACK, m.data_ack.session = 0, "data-ack: session is 0");
	REFUSED(DATA_ACK, m.data_ack.streams = 33, "data-ack: streams is 33, at most 32");
	REFUSED(DATA_ACK, m.data_ack.durable[0] = 7, "data-ack: durable is 7, at most 6");
}

static void test_caps_bodies(void **state)
{
	(void)state;
	REFUSED(CAPS, m.caps.device.s[0] = '/', "caps: device has byte 2Fh at 0, only A-Z");
	REFUSED(CAPS, memset(m.caps.device.s, 'x', 64), "caps: device has no end within 64");
	REFUSED(CAPS, m.caps.cntlid = 0xfff0, "caps: cntlid is 65520, at most 65519");
	REFUSED(CAPS, m.caps.n_descs = 0, "caps: number of exports is 0");
	REFUSED(CAPS, m.caps.descs[1].nqn.s[0] = 'x', "caps: exports.nqn: ");
	REFUSED(CAPS, m.caps.descs[1].ensid = 0, "caps: exports.ensid is 0, at least 1");
	REFUSED(CAPS, m.caps.descs[1].ensid = UINT32_MAX, "caps: exports.ensid is 4294967295");
	REFUSED(CAPS, m.caps.descs[1].ecntlid = 0xfff0, "caps: exports.ecntlid is 65520");
	REFUSED(CAPS, m.caps.descs[1].nsze = 0, "caps: exports.nsze is 0, at least 1");
	REFUSED(CAPS, m.caps.descs[1].lba_bytes = 1024, "caps: exports.lba_bytes is 1024, 512 and");
	REFUSED(CAPS, m.caps.descs[1].nsze = UINT64_C(1) << 51,
		"caps: exports.nsze is 2251799813685248 blocks of 4096 bytes, at most");
	REFUSED(CAPS, m.caps.descs[1].nsze = UINT64_C(1) << 52, "caps: exports.nsze is 45035996");
	REFUSED(CAPS, m.caps.descs[1].config_len = 4097, "caps: exports.config_len is 4097, at");
	REFUSED(CAPS_REPLY, m.caps_reply->findings.n = 65, "caps-reply: number of findings is 65");
	REFUSED(CAPS_REPLY, m.caps_reply->findings.f[1].severity = 4,
		"caps-reply: findings.severity is 4");
	REFUSED(CAPS_REPLY, m.caps_reply->findings.f[1].code[0] = ' ' - 1,
		"caps-reply: findings.code has byte 1Fh");
	REFUSED(CAPS_REPLY, m.caps_reply->device.s[0] = 0,
		"caps-reply: no device, and none of 2 findings refuses");
	REFUSED(CAPS_REPLY, m.caps_reply->cntlid[15] = 0xfff0, "caps-reply: cntlid is 65520");
	REFUSED(CAPS_REPLY, m.caps_reply->caps.n_templates = 33,
		"caps-reply: number of caps.templates is 33, at most 32");
	REFUSED(CAPS_REPLY, m.caps_reply->caps.n_versions = 33, "caps-reply: number of caps.versi");
	REFUSED(CAPS_REPLY, m.caps_reply->caps.n_state_uuids = 33, "caps-reply: number of caps.st");
	REFUSED(CAPS_REPLY, m.caps_reply->caps.n_formats = 65, "caps-reply: number of caps.format");
	REFUSED(CAPS_REPLY, m.caps_reply->caps.n_ctrls = 65, "caps-reply: number of caps.control");
	REFUSED(CAPS_REPLY, m.caps_reply->caps.ctrls[1].cntlid = 0xffff,
		"caps-reply: caps.controllers.cntlid is 65535, at most 65519");
}

static void test_job_bodies(void **state)
{
	(void)state;
	REFUSED(PREPARE, m.prepare.path = EXP_PATH_NONE, "prepare: path is 0, that is, missing");
	REFUSED(PREPARE, m.prepare.path = 6, "prepare: path is 6, a value");
	REFUSED(PREPARE, m.prepare.dirty = 3, "prepare: dirty is 3, a value");
	REFUSED(PREPARE, m.prepare.hold = 4, "prepare: hold is 4h, only the bits 3h are known");
	REFUSED(PREPARE, m.prepare.n_descs = 1, "prepare: number of exports is 1, at least 2");
	REFUSED(PREPARE, m.prepare.cntlid[1] = 0xfff0, "prepare: cntlid is 65520");
	REFUSED(PREPARED, m.prepared.device.s[0] = 0, "prepared: device is missing");
	REFUSED(PREPARED, m.prepared.cntlid[1] = 0xfff0, "prepared: cntlid is 65520");
	REFUSED(PREPARED, m.prepared.target = 0, "prepared: target is 0");
	REFUSED(FINAL, m.final->session = 0, "final: session is 0");
	REFUSED(FINAL, m.final->streams = 33, "final: streams is 33, at most 32");
	REFUSED(FINAL, m.final->state[0].len = 262145,
		"final: state_len is 262145, at most 262144");
	REFUSED(FINAL, m.final->n_digests = 32769, "final: n_digests is 32769, at most 32768");
	REFUSED(FINAL, m.final->digests[1].export_index = 2,
		"final: digests.export_index is 2, at");
	REFUSED(FINAL, m.final->digests[1].len_bytes = 0, "final: digests.len_bytes is 0");
	REFUSED(FINAL, m.final->digests[1].len_bytes = 1048577,
		"final: digests.len_bytes is 10485");
	REFUSED(FINAL, m.final->digests[1].offset_bytes = UINT64_MAX,
		"final: digests.offset_bytes");
}

/* --- coming in: a protobuf writer of three calls --- */

struct raw {
	uint8_t *b;
	size_t n, cap;
};

static void raw_bytes(struct raw *r, const void *p, size_t n)
{
	if (r->cap - r->n < n) {
		r->cap = 2 * (r->n + n);
		r->b = realloc(r->b, r->cap);
		assert_non_null(r->b);
	}
	if (n)
		memcpy(r->b + r->n, p, n);
	r->n += n;
}

static void raw_varint(struct raw *r, uint64_t v)
{
	do {
		uint8_t b = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));

		raw_bytes(r, &b, 1);
		v >>= 7;
	} while (v);
}

static void raw_num(struct raw *r, unsigned int field, uint64_t v)
{
	raw_varint(r, field << 3);
	raw_varint(r, v);
}

static void raw_len(struct raw *r, unsigned int field, const void *p, size_t n)
{
	raw_varint(r, field << 3 | 2);
	raw_varint(r, n);
	raw_bytes(r, p, n);
}

static const uint8_t sixteen[16] = { 1 };

static void raw_job(struct raw *out, unsigned int n_exports, unsigned int role)
{
	struct raw job = { 0 };

	raw_len(&job, 1, sixteen, 16);
	raw_num(&job, 2, 1);
	raw_num(&job, 3, role);
	for (unsigned int i = 0; i < n_exports; i++) {
		struct raw x = { 0 };
		uint8_t id[16] = { 2, (uint8_t)i };

		raw_len(&x, 1, id, 16);
		raw_num(&x, 2, 9);
		raw_len(&job, 6, x.b, x.n);
		free(x.b);
	}
	raw_len(out, 2, job.b, job.n);
	free(job.b);
}

/* Ends @body and refuses the message of type @field - 100 that has it. */
static void body_refused(struct raw *body, unsigned int field, unsigned int n_exports,
			 size_t payload_len, const char *part)
{
	struct exp_error err = { 0 };
	struct raw e = { 0 };
	struct exp_msg m;
	struct exp_frame f;
	uint8_t *payload = calloc(1, payload_len + 1);

	assert_non_null(payload);
	raw_num(&e, 1, 42);
	if (field >= 120)
		raw_job(&e, n_exports, sample_from_source(field - 100) ? 1 : 2);
	raw_len(&e, field, body->b, body->n);
	f = (struct exp_frame){ e.b, (uint32_t)e.n, payload, (uint32_t)payload_len };
	assert_int_equal(exp_wire_decode(&f, &m, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, part);
	free(payload);
	free(e.b);
	free(body->b);
	*body = (struct raw){ 0 };
}

static void raw_repeat(struct raw *b, unsigned int field, const void *p, size_t n,
		       unsigned int times)
{
	while (times--)
		raw_len(b, field, p, n);
}

static void test_in_counts(void **state)
{
	struct raw b = { 0 };

	(void)state;
	body_refused(&b, 138, 0, 0, "message query: job.exports has 0 entries, 1 to 16");
	body_refused(&b, 138, 17, 0, "message query: job.exports has 17 entries, 1 to 16");
	raw_num(&b, 1, 1), raw_num(&b, 2, 1), raw_len(&b, 4, sixteen, 16);
	raw_len(&b, 6, sixteen, 16), raw_repeat(&b, 9, "", 0, 4097);
	body_refused(&b, 101, 0, 0, "message hello: known has 4097 entries, 0 to 4096");
	raw_repeat(&b, 3, "", 0, 17);
	body_refused(&b, 110, 0, 0, "message caps: exports has 17 entries, 1 to 16");
	raw_repeat(&b, 1, "", 0, 65);
	body_refused(&b, 111, 0, 0, "message caps-reply: findings has 65 entries, 0 to 64");
	raw_len(&b, 4, "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1", 17);
	body_refused(&b, 111, 0, 0, "message caps-reply: cntlid has 17 entries, 0 to 16");
	raw_num(&b, 7, 1), raw_repeat(&b, 8, "", 0, 2);
	body_refused(&b, 120, 2, 0, "message prepare: cntlid_plus_one has 1 entries, 2 to 2");
	raw_len(&b, 7, "\1\1", 2), raw_repeat(&b, 8, "", 0, 1);
	body_refused(&b, 120, 2, 0, "message prepare: exports has 1 entries, 2 to 2");
	raw_len(&b, 2, "\1\1\1", 3);
	body_refused(&b, 121, 2, 0, "message prepared: cntlid has 3 entries, 2 to 2");
	raw_repeat(&b, 2, "\1\1\1\1\1\1\1\1\1\1\1", 11, 3);
	body_refused(&b, 125, 1, 0, "message data-ack: durable has 33 entries, 1 to 32");
	raw_len(&b, 2, "\1\1", 2), raw_len(&b, 3, "\1", 1);
	body_refused(&b, 125, 1, 0, "message data-ack: written has 1 entries, 2 to 2");
	raw_repeat(&b, 2, "\1\1\1\1\1\1\1\1\1\1\1", 11, 3);
	body_refused(&b, 132, 1, 0, "message final: last_seq has 33 entries, 1 to 32");
	raw_num(&b, 2, 1);
	body_refused(&b, 132, 1, 0, "message final: state_len has 0 entries, 1 to 1");
}

static void test_in_device_counts(void **state)
{
	static const struct {
		unsigned int field;
		size_t len;
		unsigned int max;
		const char *part;
	} lists[] = {
		{ 33, 16, 32, "caps.templates has 33 entries, 0 to 32" },
		{ 35, 16, 32, "caps.state_uuids has 33 entries, 0 to 32" },
		{ 36, 0, 64, "caps.formats has 65 entries, 0 to 64" },
		{ 37, 0, 64, "caps.controllers has 65 entries, 0 to 64" },
		{ 34, 1, 32, "caps.versions has 33 entries, 0 to 32" },
		{ 33, 15, 0, "caps.templates has 15 bytes, 16 are needed" },
		{ 35, 17, 0, "caps.state_uuids has 17 bytes, 16 are needed" },
	};

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(lists); i++) {
		static const uint8_t some[17] = { 1 };
		struct raw caps = { 0 }, b = { 0 };

		raw_repeat(&caps, lists[i].field, some, lists[i].len, lists[i].max + 1);
		raw_len(&b, 3, "nvme0", 5);
		raw_len(&b, 5, caps.b, caps.n);
		free(caps.b);
		body_refused(&b, 111, 0, 0, lists[i].part);
	}
}

static void test_in_values(void **state)
{
	static const struct {
		unsigned int field;
		uint64_t value;
		const char *part;
	} caps_fields[] = {
		{ 9, 65536, "caps.cntlid is 65536, at most 65535" },
		{ 10, 256, "caps.mdts is 256, at most 255" },
		{ 25, 65536, "caps.mqes is 65536" },
		{ 32, 65536, "caps.mcdqpc is 65536" },
	};
	struct raw b = { 0 }, x = { 0 };
	char longer[257];

	(void)state;
	memset(longer, 'x', sizeof(longer));
	for (size_t i = 0; i < EXP_ARRAY_SIZE(caps_fields); i++) {
		raw_num(&x, caps_fields[i].field, caps_fields[i].value);
		raw_len(&b, 3, "nvme0", 5), raw_len(&b, 5, x.b, x.n);
		free(x.b), x = (struct raw){ 0 };
		body_refused(&b, 111, 0, 0, caps_fields[i].part);
	}
	raw_num(&x, 6, 0);
	raw_len(&b, 5, x.b, x.n);
	body_refused(&b, 111, 0, 0, "caps are there for device \"\"");
	raw_len(&b, 3, "nvme0", 5);
	body_refused(&b, 111, 0, 0, "caps are missing for device \"nvme0\"");
	free(x.b);
	raw_len(&b, 4, sixteen, 15);
	body_refused(&b, 101, 0, 0, "message hello: host has 15 bytes, 16 are needed");
	raw_len(&b, 4, sixteen, 16), raw_len(&b, 5, longer, 64);
	body_refused(&b, 101, 0, 0, "message hello: build has 64 bytes, at most 63");
	raw_len(&b, 2, longer, 256);
	body_refused(&b, 102, 0, 0, "message bye: message has 256 bytes, at most 255");
	raw_num(&b, 3, 65536);
	body_refused(&b, 102, 0, 0, "message bye: nvme_status is 65536, at most 65535");
	raw_len(&b, 1, longer, 64);
	body_refused(&b, 110, 0, 0, "message caps: device has 64 bytes, at most 63");
	raw_num(&b, 3, 256);
	body_refused(&b, 120, 1, 0, "message prepare: hold is 256, at most 255");
	raw_num(&b, 1, 1), raw_num(&b, 2, 1), raw_num(&b, 3, 1), raw_len(&b, 4, sixteen, 16);
	raw_len(&b, 4, longer, 31);
	body_refused(&b, 124, 1, 0, "message session-ok: token has 31 bytes, 32 are needed");
}

static void raw_desc(struct raw *body, unsigned int field, unsigned int which, size_t len)
{
	static const uint8_t some[300] = { 1 };
	struct raw d = { 0 };

	raw_len(&d, 2, sixteen, which == 2 ? len : 16);
	if (which == 1)
		raw_len(&d, 1, memset((char[300]){ 0 }, 'n', 300), len);
	if (which == 7 || which == 8)
		raw_len(&d, which, some, len);
	if (which == 9)
		raw_num(&d, 9, len);
	raw_len(body, field, d.b, d.n);
	free(d.b);
}

static void test_in_descs(void **state)
{
	struct raw b = { 0 };

	(void)state;
	raw_desc(&b, 3, 1, 224);
	body_refused(&b, 110, 0, 0, "message caps: exports.nqn has 224 bytes, at most 223");
	raw_desc(&b, 3, 2, 15);
	body_refused(&b, 110, 0, 0, "message caps: exports.template_uuid has 15 bytes, 16");
	raw_desc(&b, 3, 7, 17);
	body_refused(&b, 110, 0, 0, "message caps: exports.nguid has 17 bytes, 16");
	raw_desc(&b, 3, 8, 1);
	body_refused(&b, 110, 0, 0, "message caps: exports.uuid has 1 bytes, 16");
	raw_desc(&b, 3, 9, 4097);
	body_refused(&b, 110, 0, 5000, "message caps: exports.config_len is 4097, at most 4096");
	raw_desc(&b, 3, 9, 4096);
	body_refused(&b, 110, 0, 4095,
		     "message caps: exports.config_len takes 4096 bytes of payload, 4095 are left");
}

static void test_in_final(void **state)
{
	struct raw b = { 0 };

	(void)state;
	raw_num(&b, 2, 1), raw_num(&b, 4, 262145);
	body_refused(&b, 132, 1, 300000, "message final: state_len is 262145, at most 262144");
	raw_num(&b, 2, 1), raw_num(&b, 4, 262144);
	body_refused(&b, 132, 1, 262143,
		     "state_len takes 262144 bytes of payload, 262143 are left");
	raw_num(&b, 2, 1), raw_num(&b, 4, 0), raw_num(&b, 5, 32769);
	body_refused(&b, 132, 1, 32769 * 48, "message final: n_digests is 32769, at most 32768");
	raw_num(&b, 2, 1), raw_num(&b, 4, 0), raw_num(&b, 5, 2);
	body_refused(&b, 132, 1, 95, "n_digests takes 96 bytes of payload, 95 are left");
}

static void test_in_envelope(void **state)
{
	struct exp_error err = { 0 };
	struct exp_msg m;
	struct raw e = { 0 }, job = { 0 };
	struct exp_frame f;

	(void)state;
	raw_num(&e, 1, 1), raw_job(&e, 1, 1), raw_len(&e, 103, "", 0);
	f = (struct exp_frame){ e.b, (uint32_t)e.n, NULL, 0 };
	assert_int_equal(exp_wire_decode(&f, &m, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, "message ping: job is there, and this is not about");
	e.n = 0;
	raw_len(&e, 134, "", 0);
	f = (struct exp_frame){ e.b, (uint32_t)e.n, NULL, 0 };
	assert_int_equal(exp_wire_decode(&f, &m, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, "message release: job is missing");
	e.n = 0;
	raw_len(&job, 1, sixteen, 16), raw_num(&job, 3, 1), raw_num(&job, 5, 3);
	raw_len(&job, 6, "", 0);
	raw_len(&e, 2, job.b, job.n), raw_len(&e, 134, "", 0);
	f = (struct exp_frame){ e.b, (uint32_t)e.n, NULL, 0 };
	assert_int_equal(exp_wire_decode(&f, &m, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL,
		     "job.destination_state is 3 in a message from the source");
	free(job.b);
	free(e.b);
}

/* Two bytes on the wire make a structure here: what they may take is bounded. */
static void test_in_memory_is_bounded(void **state)
{
	struct exp_error err = { 0 };
	struct raw b = { 0 }, e = { 0 };
	struct exp_msg m;
	struct exp_frame f;

	(void)state;
	raw_repeat(&b, 9, "", 0, 200000);
	raw_len(&e, 101, b.b, b.n);
	assert_true(e.n < EXP_FRAME_HEADER_MAX);
	f = (struct exp_frame){ e.b, (uint32_t)e.n, NULL, 0 };
	assert_int_equal(exp_wire_decode(&f, &m, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, "needs more than the 4194304 bytes");
	free(b.b);
	free(e.b);
}

/* The largest of everything passes. */
static void test_limits_themselves(void **state)
{
	struct exp_error err = { 0 };
	struct exp_buf out;
	struct exp_msg m, back = { 0 };
	struct exp_frame f;
	const uint8_t *p;

	(void)state;
	exp_buf_init(&out, 16 << 20);
	sample_msg(&m, EXP_MSG_HELLO);
	free(m.hello.known);
	m.hello.n_known = EXP_MSG_KNOWN_MAX;
	m.hello.known = sample_alloc(EXP_MSG_KNOWN_MAX, sizeof(*m.hello.known));
	for (uint32_t i = 0; i < EXP_MSG_KNOWN_MAX; i++)
		m.hello.known[i] = (struct exp_msg_known){ sample_uuid((uint8_t)i), UINT64_MAX,
							   UINT64_MAX, EXP_EXPORT_AWAY };
	assert_ok(exp_wire_encode(&m, &out, &err), &err);
	assert_true(exp_buf_len(&out) < 256 * 1024); /* what a session allows for a hello */
	p = exp_buf_data(&out);
	f = (struct exp_frame){ p + 8, (uint32_t)exp_buf_len(&out) - 8, NULL, 0 };
	assert_ok(exp_wire_decode(&f, &back, &err), &err);
	assert_int_equal(back.hello.n_known, EXP_MSG_KNOWN_MAX);
	exp_msg_done(&m);
	exp_msg_done(&back);
	exp_buf_done(&out);

	sample_msg(&m, EXP_MSG_FINAL);
	m.n_exports = EXP_JOB_EXPORTS_MAX;
	free(m.final->state[1].data);
	for (uint8_t i = 0; i < EXP_JOB_EXPORTS_MAX; i++) {
		m.exports[i] = (struct exp_msg_export){ sample_uuid((uint8_t)(i + 1)), 1 };
		m.final->state[i].len = EXP_STATE_BLOB_MAX;
		m.final->state[i].data = sample_alloc(1, EXP_STATE_BLOB_MAX);
	}
	free(m.final->digests);
	m.final->n_digests = EXP_MSG_DIGESTS_MAX;
	m.final->digests = sample_alloc(EXP_MSG_DIGESTS_MAX, sizeof(*m.final->digests));
	for (uint32_t i = 0; i < EXP_MSG_DIGESTS_MAX; i++)
		m.final->digests[i].len_bytes = 1 << 20;
	assert_ok(exp_wire_encode(&m, &out, &err), &err);
	assert_int_equal(exp_buf_data(&out)[4] | exp_buf_data(&out)[5] << 8 |
				 exp_buf_data(&out)[6] << 16,
			 EXP_FRAME_PAYLOAD_MAX);
	exp_msg_done(&m);
	exp_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_job_fields),
		cmocka_unit_test(test_each_type_has_its_side),
		cmocka_unit_test(test_request_needed),
		cmocka_unit_test(test_small_bodies),
		cmocka_unit_test(test_caps_bodies),
		cmocka_unit_test(test_job_bodies),
		cmocka_unit_test(test_in_counts),
		cmocka_unit_test(test_in_device_counts),
		cmocka_unit_test(test_in_values),
		cmocka_unit_test(test_in_descs),
		cmocka_unit_test(test_in_final),
		cmocka_unit_test(test_in_envelope),
		cmocka_unit_test(test_in_memory_is_bounded),
		cmocka_unit_test(test_limits_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
