/* SPDX-License-Identifier: Apache-2.0 */
/* lib/nvme/assumptions: each assumption as code, the two draft layouts byte by byte */
#include <errno.h>

#include "support/nvme_tests.h"

#include "nvme/assumptions.h"
#include "nvme/export_cmd.h"

static void test_gate_for_exports(void **state)
{
	struct exp_nvme_id_ctrl id = { .ensa = 3, .endsfs = 2 };
	struct exp_nvme_effects e = { 0 };
	struct exp_error err = { 0 };

	(void)state;
	e.admin[0x2a] = e.admin[0x2d] = e.admin[0x31] = 1;
	assert_ok(exp_nvme_exports_supported(&id, &e, &err), &err);
	id.ensa = 2;
	assert_int_equal(exp_nvme_exports_supported(&id, &e, &err), -EOPNOTSUPP);
	assert_error(&err, EXP_CODE_NOT_SUPPORTED, "ENSA is 02h");
	id.ensa = 1;
	id.endsfs = 1;
	assert_int_equal(exp_nvme_exports_supported(&id, &e, &err), -EOPNOTSUPP);
	assert_error(&err, EXP_CODE_NOT_SUPPORTED, "ENDSFS is 01h");
	id.endsfs = 3;
	for (unsigned int i = 0; i < 3; i++) {
		static const uint8_t opcodes[] = { 0x2a, 0x2d, 0x31 };
		char text[16];

		e.admin[opcodes[i]] = 2;
		assert_int_equal(exp_nvme_exports_supported(&id, &e, &err), -EOPNOTSUPP);
		snprintf(text, sizeof(text), "opcode %02Xh", opcodes[i]);
		assert_error(&err, EXP_CODE_NOT_SUPPORTED, text);
		e.admin[opcodes[i]] = 1;
	}
}

static void test_window_and_its_fallback(void **state)
{
	uint8_t buf[4096] = { 0 };
	struct exp_nvme_cmd c;

	(void)state;
	exp_nvme_export_receive(&c, EXP_NVME_EXPORT_LIST_NS, 7, 0, buf, 4096);
	assert_false(exp_nvme_assume_no_window(&c, EXP_NVME_SC_INVALID_OPCODE));
	assert_true(exp_nvme_assume_no_window(&c, EXP_NVME_SC_INVALID_FIELD));
	assert_sqe(&c, { 0, 0x2a }, { 10, 2 }, { 14, 0x00070000 });
	/* once only */
	assert_false(exp_nvme_assume_no_window(&c, EXP_NVME_SC_INVALID_FIELD));
	/* not for a part of a list, nor for less than a whole buffer */
	exp_nvme_export_receive(&c, EXP_NVME_EXPORT_LIST_NS, 7, 4096, buf, 4096);
	assert_false(exp_nvme_assume_no_window(&c, EXP_NVME_SC_INVALID_FIELD));
	exp_nvme_export_receive(&c, EXP_NVME_EXPORT_LIST_NS, 7, 0, buf, 8);
	assert_false(exp_nvme_assume_no_window(&c, EXP_NVME_SC_INVALID_FIELD));
	/* the way to the device too */
	assert_int_equal(exp_nvme_export_set_config(&c, 7, "abcd", 4, buf, NULL), 0);
	assert_true(exp_nvme_assume_no_window(&c, EXP_NVME_SC_INVALID_FIELD));
	assert_sqe(&c, { 0, 0x2d }, { 10, 6 }, { 14, 0x00070080 });
}

static void test_templates(void **state)
{
	uint8_t page[4096] = { 0 };
	struct exp_nvme_uuid_list l;
	struct exp_error err = { 0 };
	struct exp_uuid other = { { 1 } };
	char text[EXP_UUID_TEXT];
	uint8_t ensti = 0xff;

	(void)state;
	assert_string_equal(exp_uuid_format(&exp_nvme_reference_template, text),
			    "9f1c5b62-6d0e-4c1b-8a57-1e5d2c7b4a10");
	test_at(page, sizeof(page), 48, "41d30a9e27b84f66930c75e218af64bd");
	test_at(page, sizeof(page), 80, "9f1c5b626d0e4c1b8a571e5d2c7b4a10");
	assert_ok(exp_nvme_templates_parse(page, sizeof(page), &l, &err), &err);
	assert_ok(exp_nvme_ensti(&l, &exp_nvme_reference_template, false, &ensti, &err), &err);
	assert_int_equal(ensti, 2);
	assert_ok(exp_nvme_ensti(&l, &exp_nvme_reference_template, true, &ensti, &err), &err);
	assert_int_equal(ensti, 1);
	assert_ok(exp_nvme_ensti(&l, &l.uuid[0], false, &ensti, &err), &err);
	assert_int_equal(ensti, 1);
	l.uuid[2] = other; /* beyond n */
	assert_int_equal(exp_nvme_ensti(&l, &other, false, &ensti, &err), -ENOENT);
	assert_error(&err, EXP_CODE_NOT_SUPPORTED, "not among the 2");
	assert_int_equal(ensti, 1);
	err = (struct exp_error){ 0 };
	assert_ok(exp_nvme_templates_parse(page, sizeof(page), &l, &err), &err);
	assert_int_equal(err.code, EXP_CODE_OK);
	assert_int_equal(exp_nvme_templates_parse(page, 4095, &l, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "templates");
}

/* The configuration state, every field at its place. */
static void make_config(uint8_t p[412])
{
	memset(p, 0, 412);
	memcpy(p + 4, "EXP0001             ", 20);
	memcpy(p + 24, "expd virtual SSD                        ", 40);
	memcpy(p + 64, "1.0     ", 8);
	test_at(p, 412, 72, "06 05 ff03 0f00 0e00 0c00 0700 0300"); /* RAB .. AWUPF */
	memcpy(p + 108, "nqn.2026-11.org.example:vm1", 27);
	test_at(p, 412, 364, "01000000 0000 0c 00 0700 0300");
	test_at(p, 412, 380, "000102030405060708090a0b0c0d0e0f");
	test_at(p, 412, 396, "101112131415161718191a1b1c1d1e1f");
}

static void test_config_every_field_has_its_place(void **state)
{
	struct exp_nvme_ref_config c;
	struct exp_error err = { 0 };
	uint8_t p[412], again[412];

	(void)state;
	make_config(p);
	assert_ok(exp_nvme_ref_config_decode(p, 412, &c, &err), &err);
	assert_int_equal(c.ecntlid, 0);
	assert_string_equal(c.sn, "EXP0001");
	assert_string_equal(c.mn, "expd virtual SSD");
	assert_string_equal(c.fr, "1.0");
	assert_int_equal(c.rab, 6);
	assert_int_equal(c.mdts, 5);
	assert_int_equal(c.mqes, 1023);
	assert_int_equal(c.ncqs, 15);
	assert_int_equal(c.nsqs, 14);
	assert_int_equal(c.oncs, 12);
	assert_int_equal(c.awun, 7);
	assert_int_equal(c.awupf, 3);
	assert_string_equal(c.subnqn.s, "nqn.2026-11.org.example:vm1");
	assert_int_equal(c.ensid, 1);
	assert_int_equal(c.lbads, 12);
	assert_int_equal(c.nawun, 7);
	assert_int_equal(c.nawupf, 3);
	assert_hex(c.nguid, 16, "000102030405060708090a0b0c0d0e0f");
	assert_hex(c.uuid.b, 16, "101112131415161718191a1b1c1d1e1f");
	memset(again, 0xee, sizeof(again));
	assert_ok(exp_nvme_ref_config_encode(&c, again, &err), &err);
	assert_memory_equal(again, p, 412);
	/* no name in it: that of Create counts */
	memset(p + 108, 0, 256);
	assert_ok(exp_nvme_ref_config_decode(p, 412, &c, &err), &err);
	assert_string_equal(c.subnqn.s, "");
}

static void config_bad(uint8_t p[412], const char *why)
{
	struct exp_nvme_ref_config c;
	struct exp_error err = { 0 };

	assert_int_equal(exp_nvme_ref_config_decode(p, 412, &c, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, why);
}

static void test_config_refuses(void **state)
{
	struct exp_nvme_ref_config c;
	struct exp_error err = { 0 };
	uint8_t p[413];

	(void)state;
	make_config(p);
	assert_int_equal(exp_nvme_ref_config_decode(p, 413, &c, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "413 bytes");
	/* every byte that no field names */
	for (size_t at = 0; at < 412; at++) {
		char text[32];

		if (!((at >= 2 && at < 4) || (at >= 86 && at < 108) || (at >= 376 && at < 380)))
			continue;
		make_config(p);
		p[at] = 0x80;
		snprintf(text, sizeof(text), "byte %zu is 80h", at);
		config_bad(p, text);
	}
	make_config(p);
	p[0] = 1;
	config_bad(p, "ECNTLID 1");
	make_config(p);
	p[364] = 2;
	config_bad(p, "ENSID 2");
	make_config(p);
	p[368] = 8; /* metadata */
	config_bad(p, "(MS)");
	make_config(p);
	p[371] = 1;
	config_bad(p, "(RP)");
	make_config(p);
	p[370] = 8;
	config_bad(p, "LBADS is 8");
	p[370] = 32;
	config_bad(p, "LBADS is 32");
	p[370] = 31;
	assert_ok(exp_nvme_ref_config_decode(p, 412, &c, &err), &err);
	make_config(p);
	memset(p + 380, 0, 16); /* the UUID alone will do */
	assert_ok(exp_nvme_ref_config_decode(p, 412, &c, &err), &err);
	memset(p + 380, 0, 32);
	config_bad(p, "neither NGUID nor UUID");
	p[395] = 1; /* and so will the NGUID */
	assert_ok(exp_nvme_ref_config_decode(p, 412, &c, &err), &err);
	make_config(p);
	p[380] = 0x80;
	assert_ok(exp_nvme_ref_config_decode(p, 412, &c, &err), &err);
	make_config(p);
	p[363] = 'x'; /* after the end of the name */
	config_bad(p, "after the end of SUBNQN");
	make_config(p);
	p[108] = 'x';
	config_bad(p, "NQN");
}

static void test_config_encode_refuses(void **state)
{
	struct exp_nvme_ref_config c = { .ensid = 1, .lbads = 9, .uuid = { { 1 } } };
	struct exp_error err = { 0 };
	uint8_t p[412];

	(void)state;
	assert_ok(exp_nvme_ref_config_encode(&c, p, &err), &err);
	c.ecntlid = 5;
	assert_int_equal(exp_nvme_ref_config_encode(&c, p, &err), -EINVAL);
	assert_error(&err, EXP_CODE_INVALID, "ECNTLID 5");
	c.ecntlid = 0;
	c.uuid = (struct exp_uuid){ { 0 } };
	assert_int_equal(exp_nvme_ref_config_encode(&c, p, &err), -EINVAL);
}

#define REF_STATE                                                                        \
	"0000 01 02 3412 7856 0000 0000"     /* VER, CP, 2 AERs and their ids */         \
	"0300 0500 0700 0900 01 000000"      /* admin queue heads and tails, phase */    \
	"04030201 6601 1101 01 000000"       /* features 01h, 04h over and under, 06h */ \
	"0f000e00 14131211 00010800"         /* 07h, 08h, 0Bh */                         \
	"8000000000000001 00000000 00000000" /* 09h CD per vector, NVMECSS, 0 */

static void test_ref_state_every_field_has_its_place(void **state)
{
	struct exp_nvme_ref_state s;
	struct exp_error err = { 0 };
	uint8_t p[64], again[64];

	(void)state;
	assert_int_equal(test_hex(p, sizeof(p), REF_STATE), 64);
	assert_ok(exp_nvme_ref_state_decode(p, 64, &s, &err), &err);
	assert_true(s.cp);
	assert_int_equal(s.n_aers, 2);
	assert_int_equal(s.aer_cid[0], 0x1234);
	assert_int_equal(s.aer_cid[1], 0x5678);
	assert_int_equal(s.asq_head, 3);
	assert_int_equal(s.asq_tail, 5);
	assert_int_equal(s.acq_head, 7);
	assert_int_equal(s.acq_tail, 9);
	assert_true(s.acq_slot0_phase);
	assert_int_equal(s.arbitration, 0x01020304);
	assert_int_equal(s.temp_over, 0x0166);
	assert_int_equal(s.temp_under, 0x0111);
	assert_int_equal(s.volatile_wc, 1);
	assert_int_equal(s.num_queues, 0x000e000f);
	assert_int_equal(s.irq_coalesce, 0x11121314);
	assert_int_equal(s.async_event, 0x00080100);
	assert_true(s.coalescing_off == 0x0100000000000080);
	assert_int_equal(s.nvmecss, 0);
	s.aer_cid[2] = 0x9999; /* not one of the two */
	memset(again, 0xee, sizeof(again));
	exp_nvme_ref_state_encode(&s, again);
	assert_memory_equal(again, p, 64);
}

static void test_ref_state_refuses(void **state)
{
	static const uint8_t zero_bytes[] = { 0, 1, 21, 22, 23, 33, 34, 35, 60, 61, 62, 63 };
	static const uint8_t one_bit[] = { 2, 20, 32 };
	struct exp_nvme_ref_state s;
	struct exp_error err = { 0 };
	uint8_t p[68] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(zero_bytes); i++) {
		test_hex(p, sizeof(p), REF_STATE);
		p[zero_bytes[i]] = 1;
		assert_int_equal(exp_nvme_ref_state_decode(p, 64, &s, &err), -EBADMSG);
		assert_error(&err, EXP_CODE_DEVICE_DATA, "at most 00h is known");
	}
	for (size_t i = 0; i < sizeof(one_bit); i++) {
		test_hex(p, sizeof(p), REF_STATE);
		p[one_bit[i]] = 2;
		assert_int_equal(exp_nvme_ref_state_decode(p, 64, &s, &err), -EBADMSG);
		assert_error(&err, EXP_CODE_DEVICE_DATA, "at most 01h is known");
	}
	test_hex(p, sizeof(p), REF_STATE);
	p[3] = 5;
	assert_int_equal(exp_nvme_ref_state_decode(p, 64, &s, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "5 outstanding");
	p[3] = 1; /* the second id is now one too many */
	assert_int_equal(exp_nvme_ref_state_decode(p, 64, &s, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "slot 1 of 1");
	test_at(p, sizeof(p), 3, "04 0100 0200 0300 0400"); /* as many as there is room for */
	assert_ok(exp_nvme_ref_state_decode(p, 64, &s, &err), &err);
	assert_int_equal(s.aer_cid[3], 4);
	test_hex(p, sizeof(p), REF_STATE);
	assert_int_equal(exp_nvme_ref_state_decode(p, 68, &s, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "says 0 bytes of queue state, 4 follow");
	p[56] = p[57] = p[58] = p[59] = 0xff;
	assert_int_equal(exp_nvme_ref_state_decode(p, 64, &s, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "17179869180 bytes");
	p[57] = p[58] = p[59] = 0;
	p[56] = 1;
	assert_ok(exp_nvme_ref_state_decode(p, 68, &s, &err), &err);
}

static void test_reference_is_selected_by_uuid(void **state)
{
	struct exp_nvme_state_formats f = { .n_versions = 1, .n_uuids = 2 };
	struct exp_error err = { 0 };
	uint8_t csvi = 9, csuuidi = 9;

	(void)state;
	f.uuids[1] = exp_nvme_reference_template;
	assert_ok(exp_nvme_reference_select(&f, &exp_nvme_reference_template, &csvi, &csuuidi,
					    &err),
		  &err);
	assert_int_equal(csvi, 0);
	assert_int_equal(csuuidi, 2);
	f.n_uuids = 1;
	assert_int_equal(exp_nvme_reference_select(&f, &exp_nvme_reference_template, &csvi,
						   &csuuidi, &err),
			 -EOPNOTSUPP);
	assert_error(&err, EXP_CODE_NOT_SUPPORTED, "not among the 1");
}

/* Which statuses each question takes for a yes; all others are a no. */
static void test_statuses_that_mean_the_same(void **state)
{
	static const struct {
		bool (*means)(uint16_t status);
		uint16_t yes[4];
	} sets[] = {
		{ exp_nvme_means_in_use, { 0x00c, 0x142 } },
		{ exp_nvme_means_no_list, { 0x001, 0x002 } },
		{ exp_nvme_means_no_room, { 0x002, 0x115, 0x116, 0x138 } },
		{ exp_nvme_means_bad_ctrl, { 0x002, 0x11f } },
		{ exp_nvme_means_log_full, { 0x13b } },
		{ exp_nvme_means_no_queue, { 0x002, 0x138 } },
		{ exp_nvme_means_wrong_order, { 0x00c } },
		{ exp_nvme_means_taken, { 0x002, 0x143 } },
		{ exp_nvme_means_no_fence, { 0x002, 0x00c, 0x11f, 0x139 } },
	};

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(sets); i++) {
		for (unsigned int status = 0; status < 0x800; status++) {
			bool yes = false;

			for (size_t k = 0; k < 4; k++)
				yes = yes || (status && sets[i].yes[k] == status);
			if (sets[i].means((uint16_t)status) != yes)
				fail_msg("set %zu, status %03x", i, status);
		}
	}
}

static void test_queue_head_when_all_is_consumed(void **state)
{
	(void)state;
	assert_int_equal(exp_nvme_cdq_head_slot(5, 128, false), 5);
	assert_int_equal(exp_nvme_cdq_head_slot(5, 128, true), 4);
	assert_int_equal(exp_nvme_cdq_head_slot(0, 128, true), 127);
}

static void test_tail_event_by_type_alone(void **state)
{
	struct exp_nvme_event e = { .type = 4, .info = 0x77, .param = 0xffff0003 };
	uint16_t cdqid;

	(void)state;
	assert_true(exp_nvme_event_is_cdq(&e, &cdqid));
	assert_int_equal(cdqid, 3);
	e.type = 2;
	assert_false(exp_nvme_event_is_cdq(&e, &cdqid));
}

static void test_allocation_hint(void **state)
{
	(void)state;
	assert_int_equal(exp_nvme_alloc_hint_blocks(0), 1);
	assert_int_equal(exp_nvme_alloc_hint_blocks(256), 256);
}

static int parse_config(const uint8_t *p, size_t len, struct exp_error *err)
{
	struct exp_nvme_ref_config c, d;
	uint8_t out[412];
	int r = exp_nvme_ref_config_decode(p, len, &c, err);

	if (r < 0)
		return r;
	/* decode, encode, decode: the same fields (text keeps its meaning, not its padding) */
	assert_int_equal(exp_nvme_ref_config_encode(&c, out, err), 0);
	assert_int_equal(exp_nvme_ref_config_decode(out, 412, &d, err), 0);
	assert_string_equal(c.sn, d.sn);
	assert_string_equal(c.subnqn.s, d.subnqn.s);
	assert_int_equal(c.mqes, d.mqes);
	assert_memory_equal(c.nguid, d.nguid, 16);
	return 0;
}

static int parse_ref_state(const uint8_t *p, size_t len, struct exp_error *err)
{
	struct exp_nvme_ref_state s;
	uint8_t out[64];
	int r = exp_nvme_ref_state_decode(p, len, &s, err);

	if (r < 0)
		return r;
	exp_nvme_ref_state_encode(&s, out);
	assert_memory_equal(out, p, 64); /* nothing is lost: there is no byte that we do not know */
	return 0;
}

static void test_drafts_cut_short_and_mutated(void **state)
{
	uint8_t config[412], head[64];

	(void)state;
	make_config(config);
	test_truncated(parse_config, config, sizeof(config));
	test_mutated(parse_config, config, sizeof(config), 0xa1000000, TEST_MUTATIONS);
	test_hex(head, sizeof(head), REF_STATE);
	test_truncated(parse_ref_state, head, sizeof(head));
	test_mutated(parse_ref_state, head, sizeof(head), 0xa1700000, TEST_MUTATIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gate_for_exports),
		cmocka_unit_test(test_window_and_its_fallback),
		cmocka_unit_test(test_templates),
		cmocka_unit_test(test_config_every_field_has_its_place),
		cmocka_unit_test(test_config_refuses),
		cmocka_unit_test(test_config_encode_refuses),
		cmocka_unit_test(test_ref_state_every_field_has_its_place),
		cmocka_unit_test(test_ref_state_refuses),
		cmocka_unit_test(test_reference_is_selected_by_uuid),
		cmocka_unit_test(test_statuses_that_mean_the_same),
		cmocka_unit_test(test_queue_head_when_all_is_consumed),
		cmocka_unit_test(test_tail_event_by_type_alone),
		cmocka_unit_test(test_allocation_hint),
		cmocka_unit_test(test_drafts_cut_short_and_mutated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
