/* SPDX-License-Identifier: Apache-2.0 */
/* lib/nvme/export_cmd: opcodes 2Ah, 2Dh, 31h and their lists (Base 2.4) */
#include <errno.h>

#include "support/nvme_tests.h"

#include "nvme/export_cmd.h"

#define NQN_A "nqn.2026-11.org.example:a"

static uint8_t buf[4096];
static const uint8_t zero[4096];

static void dirty(void)
{
	memset(buf, 0xee, sizeof(buf));
}

/* everything but [from, to) is zero */
static void assert_zero_but(size_t from, size_t to)
{
	assert_memory_equal(buf, zero, from);
	assert_memory_equal(buf + to, zero, sizeof(buf) - to);
}

static void test_create(void **state)
{
	struct exp_nvme_cmd c;
	struct exp_nvme_cqe cqe = { .dw0 = 0xffff0102 };
	struct exp_nqn want, got;
	struct exp_error err = { 0 };

	(void)state;
	assert_int_equal(exp_nqn_parse(NQN_A, &want, NULL), 0);
	dirty();
	exp_nvme_export_create(&c, 2, &want, buf);
	/* Template Required is bit 31 of CDW11 */
	assert_sqe(&c, { 0, 0x2a }, { 11, 0x80000002 });
	assert_data(&c, buf, buf, 4096); /* the device may read it, and writes it */
	assert_memory_equal(buf, NQN_A, strlen(NQN_A));
	assert_zero_but(0, strlen(NQN_A));
	assert_int_equal(exp_nvme_export_esubid(&cqe), 0x0102);
	assert_ok(exp_nvme_export_created_nqn(buf, &got, &err), &err);
	assert_string_equal(got.s, NQN_A);
	assert_int_equal(err.code, EXP_CODE_OK);

	dirty();
	exp_nvme_export_create(&c, 2, NULL, buf);
	assert_zero_but(0, 0);
	assert_int_equal(exp_nvme_export_created_nqn(buf, &got, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "created subsystem");
	/* 223 bytes are a name, 224 are not, and all 256 are none that ends */
	memcpy(buf, NQN_A, strlen(NQN_A));
	memset(buf + strlen(NQN_A), 'n', 223 - strlen(NQN_A));
	assert_ok(exp_nvme_export_created_nqn(buf, &got, &err), &err);
	assert_int_equal(strlen(got.s), 223);
	buf[223] = 'n';
	assert_int_equal(exp_nvme_export_created_nqn(buf, &got, &err), -EBADMSG);
	memset(buf + 223, 'n', sizeof(buf) - 223);
	assert_int_equal(exp_nvme_export_created_nqn(buf, &got, &err), -EBADMSG);
}

static void test_receive(void **state)
{
	struct exp_nvme_cmd c;

	(void)state;
	exp_nvme_export_receive(&c, EXP_NVME_EXPORT_LIST_SUBSYS, 7, 0, buf, 4096);
	assert_sqe(&c, { 0, 0x2a }, { 10, 1 }, { 15, 1023 });
	assert_data(&c, NULL, buf, 4096);
	exp_nvme_export_receive(&c, EXP_NVME_EXPORT_LIST_NS, 7, 0, buf, 4096);
	assert_sqe(&c, { 0, 0x2a }, { 10, 2 }, { 14, 0x00070000 }, { 15, 1023 });
	exp_nvme_export_receive(&c, EXP_NVME_EXPORT_LIST_CTRLS, 7, 0x100000008, buf, 8);
	assert_sqe(&c, { 0, 0x2a }, { 10, 3 }, { 12, 8 }, { 13, 1 }, { 14, 0x00070000 }, { 15, 1 });
	exp_nvme_export_receive(&c, EXP_NVME_EXPORT_GET_CONFIG, 7, 0, buf, 412);
	assert_sqe(&c, { 0, 0x2a }, { 10, 5 }, { 14, 0x00070000 }, { 15, 102 });
	assert_data(&c, NULL, buf, 412);
}

static void test_send(void **state)
{
	static const struct exp_nvme_export_ctrl pairs[] = {
		{ .ecntlid = 0, .cntlid = 0x0102 },
		{ .ecntlid = 1, .cntlid = 0x0103 },
	};
	struct exp_nvme_cmd c;
	uint8_t config[412], big[4100] = { 0 };
	struct exp_error err = { 0 };

	(void)state;
	exp_nvme_export_delete(&c, 7);
	assert_sqe(&c, { 0, 0x2d }, { 10, 1 }, { 14, 0x00070080 });
	assert_no_data(&c);

	dirty();
	exp_nvme_export_associate_ctrls(&c, 7, pairs, 2, buf);
	assert_sqe(&c, { 0, 0x2d }, { 10, 5 }, { 14, 0x00070080 }, { 15, 3 });
	assert_data(&c, buf, NULL, 4096);
	/* N is 0's based; the underlying id comes first */
	assert_hex(buf, 12, "0100 0000 0201 0000 0301 0100");
	assert_zero_but(0, 12);

	for (size_t i = 0; i < sizeof(config); i++)
		config[i] = (uint8_t)(i + 1);
	dirty();
	assert_ok(exp_nvme_export_set_config(&c, 7, config, 412, buf, &err), &err);
	assert_sqe(&c, { 0, 0x2d }, { 10, 6 }, { 14, 0x00070080 }, { 15, 103 });
	assert_data(&c, buf, NULL, 4096);
	assert_memory_equal(buf, config, 412);
	assert_zero_but(0, 412);
	assert_int_equal(exp_nvme_export_set_config(&c, 7, config, 410, buf, &err), -EINVAL);
	assert_error(&err, EXP_CODE_INVALID, "410 bytes");
	assert_int_equal(exp_nvme_export_set_config(&c, 7, config, 0, buf, &err), -EINVAL);
	assert_int_equal(exp_nvme_export_set_config(&c, 7, big, 4100, buf, &err), -EINVAL);
	assert_ok(exp_nvme_export_set_config(&c, 7, big, 4096, buf, &err), &err);
	assert_sqe(&c, { 0, 0x2d }, { 10, 6 }, { 14, 0x00070080 }, { 15, 1024 });
}

static void test_config_fault_names_the_byte(void **state)
{
	struct exp_nvme_cqe cqe = { .dw0 = 0x9000001b }; /* BITLOC 18, DWLOC 27 */
	unsigned int bit;
	uint32_t byte;

	(void)state;
	exp_nvme_export_config_fault(&cqe, &byte, &bit);
	assert_int_equal(byte, 110);
	assert_int_equal(bit, 2);
	cqe.dw0 = 0x40000000; /* BITLOC 8: bit 0 of the next byte */
	exp_nvme_export_config_fault(&cqe, &byte, &bit);
	assert_int_equal(byte, 1);
	assert_int_equal(bit, 0);
	cqe.dw0 = 0xffffffff;
	exp_nvme_export_config_fault(&cqe, &byte, &bit);
	assert_int_equal(byte, 0x7ffffff * 4u + 3);
	assert_int_equal(bit, 7);
}

static void test_namespaces(void **state)
{
	struct exp_nvme_cmd c;

	(void)state;
	dirty();
	exp_nvme_export_ns_associate(&c, 7, 1, 0x01020304, buf);
	assert_sqe(&c, { 0, 0x31 }, { 10, 1 }, { 14, 0x00070080 });
	assert_data(&c, buf, NULL, 4096);
	assert_memory_equal(buf, zero, 32); /* PAD */
	assert_hex(buf + 32, 4, "01000000");
	assert_memory_equal(buf + 36, zero, 256); /* ENSNQN: ignored */
	assert_hex(buf + 292, 4, "04030201");
	assert_zero_but(32, 296);

	dirty();
	exp_nvme_export_ns_disassociate(&c, 7, 1, buf);
	assert_sqe(&c, { 0, 0x31 }, { 10, 2 }, { 14, 0x00070080 });
	assert_data(&c, buf, NULL, 4096);
	assert_hex(buf + 32, 4, "01000000");
	assert_zero_but(32, 36);
}

static size_t two_subsystems(void)
{
	memset(buf, 0, sizeof(buf));
	test_at(buf, sizeof(buf), 0, "0200 00 2a"); /* N, GN 42 */
	memcpy(buf + 4, NQN_A, strlen(NQN_A));
	test_at(buf, sizeof(buf), 4 + 258, "0102"); /* ESUBID 0201h */
	memcpy(buf + 264, "nqn.2026-11.org.example:b", 25);
	test_at(buf, sizeof(buf), 264 + 258, "0300");
	return 4 + 2 * 260;
}

static void test_list_subsystems(void **state)
{
	struct exp_nvme_list_head head, again;
	struct exp_nvme_export_list l;
	struct exp_nvme_export_subsys s;
	struct exp_error err = { 0 };
	size_t n = two_subsystems();

	(void)state;
	assert_ok(exp_nvme_export_list_head(EXP_NVME_EXPORT_LIST_SUBSYS, buf, 8, &head, &err),
		  &err);
	assert_int_equal(head.n, 2);
	assert_int_equal(head.gn, 42);
	assert_int_equal(head.bytes, 524);
	again = head;
	assert_true(exp_nvme_export_same_list(&head, &again));
	again.gn = 43;
	assert_false(exp_nvme_export_same_list(&head, &again));

	assert_ok(exp_nvme_export_subsys_parse(buf, n, &l, &err), &err);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.gn, 42);
	exp_nvme_export_subsys_at(&l, 0, &s);
	assert_int_equal(s.esubid, 0x0201);
	assert_string_equal(s.nqn.s, NQN_A);
	exp_nvme_export_subsys_at(&l, 1, &s);
	assert_int_equal(s.esubid, 3);
	assert_string_equal(s.nqn.s, "nqn.2026-11.org.example:b");

	test_at(buf, sizeof(buf), 264 + 258, "0102");
	assert_int_equal(exp_nvme_export_subsys_parse(buf, n, &l, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "ESUBID 513 comes twice");
	/* handle 0 is one like any other; the longest name keeps its end */
	test_at(buf, sizeof(buf), 264 + 258, "0000");
	memset(buf + 264 + 25, 'b', 223 - 25);
	assert_ok(exp_nvme_export_subsys_parse(buf, n, &l, &err), &err);
	memset(&s, 0xff, sizeof(s));
	exp_nvme_export_subsys_at(&l, 1, &s);
	assert_int_equal(s.esubid, 0);
	assert_int_equal(strnlen(s.nqn.s, sizeof(s.nqn.s)), 223);
	two_subsystems();
	memset(buf + 264, 'x', 256);
	assert_int_equal(exp_nvme_export_subsys_parse(buf, n, &l, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "entry 1");
}

static size_t two_namespaces(void)
{
	return test_hex(buf, sizeof(buf),
			"0200 00 07 00000000 01000000 05000000 02000000 06000000");
}

static void test_list_namespaces(void **state)
{
	struct exp_nvme_export_list l;
	struct exp_nvme_export_ns ns;
	struct exp_error err = { 0 };
	size_t n = two_namespaces();

	(void)state;
	assert_ok(exp_nvme_export_ns_parse(buf, n, &l, &err), &err);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.gn, 7);
	exp_nvme_export_ns_at(&l, 1, &ns);
	assert_int_equal(ns.ensid, 2);
	assert_int_equal(ns.unsid, 6);
	buf[16] = 1;
	assert_int_equal(exp_nvme_export_ns_parse(buf, n, &l, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "ENSID 1 comes twice");
	buf[16] = 0;
	assert_int_equal(exp_nvme_export_ns_parse(buf, n, &l, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "no namespace id");
	two_namespaces();
	buf[20] = buf[21] = buf[22] = buf[23] = 0xff;
	assert_int_equal(exp_nvme_export_ns_parse(buf, n, &l, &err), -EBADMSG);
}

static void test_list_namespaces_bounded(void **state)
{
	size_t len = 8 + 8 * 1025;
	uint8_t *big = calloc(1, len);
	struct exp_nvme_export_list l;
	struct exp_error err = { 0 };

	(void)state;
	assert_non_null(big);
	exp_put_le16(big, 1025);
	for (uint32_t i = 0; i < 1025; i++) {
		exp_put_le32(big + 8 + 8 * i, i + 1);
		exp_put_le32(big + 12 + 8 * i, i + 1);
	}
	assert_int_equal(exp_nvme_export_ns_parse(big, len, &l, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "1025 entries, at most 1024");
	exp_put_le16(big, 1024);
	assert_ok(exp_nvme_export_ns_parse(big, len, &l, &err), &err);
	free(big);
}

static size_t two_controllers(void)
{
	/* the exported id comes first here */
	return test_hex(buf, sizeof(buf), "0200 00 ff 0000 0201 0100 0301");
}

static void test_list_controllers(void **state)
{
	struct exp_nvme_export_list l;
	struct exp_nvme_export_ctrl c;
	struct exp_error err = { 0 };
	size_t n = two_controllers();

	(void)state;
	assert_ok(exp_nvme_export_ctrls_parse(buf, n, &l, &err), &err);
	assert_int_equal(l.gn, 255);
	exp_nvme_export_ctrl_at(&l, 1, &c);
	assert_int_equal(c.ecntlid, 1);
	assert_int_equal(c.cntlid, 0x0103);
	buf[8] = 0;
	assert_int_equal(exp_nvme_export_ctrls_parse(buf, n, &l, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "ECNTLID 0 comes twice");
	two_controllers();
	buf[10] = 2;
	assert_int_equal(exp_nvme_export_ctrls_parse(buf, n, &l, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "CNTLID 258 comes twice");
	/* ids that share a byte of a bit map, and its last bit */
	n = test_hex(buf, sizeof(buf), "0400 00 00 0700 0700 0600 0600 ffff ffff 0000 0000");
	assert_ok(exp_nvme_export_ctrls_parse(buf, n, &l, &err), &err);
	n = test_hex(buf, sizeof(buf), "0300 00 00 0700 0700 0000 0100 0700 0200");
	assert_int_equal(exp_nvme_export_ctrls_parse(buf, n, &l, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "ECNTLID 7 comes twice");
	n = test_hex(buf, sizeof(buf), "0200 00 00 0000 ffff 0100 ffff");
	assert_int_equal(exp_nvme_export_ctrls_parse(buf, n, &l, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "CNTLID 65535 comes twice");
}

static void test_list_ports_head(void **state)
{
	struct exp_nvme_list_head head;

	(void)state;
	test_hex(buf, sizeof(buf), "0300 00 55 00000000"); /* no GN: byte 3 is reserved */
	assert_int_equal(exp_nvme_export_list_head(EXP_NVME_EXPORT_LIST_PORTS, buf, 8, &head, NULL),
			 0);
	assert_int_equal(head.n, 3);
	assert_int_equal(head.gn, 0);
	assert_int_equal(head.bytes, 128);
}

static int parse_subsys(const uint8_t *p, size_t len, struct exp_error *err)
{
	struct exp_nvme_export_list l;
	struct exp_nvme_export_subsys s;
	int r = exp_nvme_export_subsys_parse(p, len, &l, err);

	for (uint32_t i = 0; !r && i < l.n; i++) {
		exp_nvme_export_subsys_at(&l, i, &s);
		assert_true(strnlen(s.nqn.s, sizeof(s.nqn.s)) <= EXP_NQN_MAX);
		assert_int_equal(exp_nqn_parse(s.nqn.s, &s.nqn, NULL), 0);
	}
	return r;
}

static int parse_ns(const uint8_t *p, size_t len, struct exp_error *err)
{
	struct exp_nvme_export_list l;
	struct exp_nvme_export_ns ns;
	int r = exp_nvme_export_ns_parse(p, len, &l, err);

	for (uint32_t i = 0; !r && i < l.n; i++) {
		exp_nvme_export_ns_at(&l, i, &ns);
		assert_true(ns.ensid && ns.unsid);
	}
	return r;
}

static int parse_ctrls(const uint8_t *p, size_t len, struct exp_error *err)
{
	struct exp_nvme_export_list l;
	struct exp_nvme_export_ctrl c;
	int r = exp_nvme_export_ctrls_parse(p, len, &l, err);

	for (uint32_t i = 0; !r && i < l.n; i++)
		exp_nvme_export_ctrl_at(&l, i, &c);
	return r;
}

static void test_lists_cut_short_and_mutated(void **state)
{
	static const struct {
		test_parser parse;
		size_t (*make)(void);
	} lists[] = {
		{ parse_subsys, two_subsystems },
		{ parse_ns, two_namespaces },
		{ parse_ctrls, two_controllers },
	};

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(lists); i++) {
		size_t n = lists[i].make();

		test_truncated(lists[i].parse, buf, n);
		test_mutated(lists[i].parse, buf, n, 0xe7000000 + i * 0x100000, TEST_MUTATIONS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_receive),
		cmocka_unit_test(test_send),
		cmocka_unit_test(test_config_fault_names_the_byte),
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_list_subsystems),
		cmocka_unit_test(test_list_namespaces),
		cmocka_unit_test(test_list_namespaces_bounded),
		cmocka_unit_test(test_list_controllers),
		cmocka_unit_test(test_list_ports_head),
		cmocka_unit_test(test_lists_cut_short_and_mutated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
