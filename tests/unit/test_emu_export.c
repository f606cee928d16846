/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_emu_export.c - exported subsystems on the emulated SSD: life cycle, statuses, masking,
 * what survives a restart
 */
#include "support/ssd_rig.h"

#define HANDLE(esubid) ((uint32_t)(esubid) << 16 | 0x80)

static uint16_t create(struct rig *r)
{
	rig_clear(r);
	return (uint16_t)rig_ok(r, 0, .opcode = 0x2A, .cdw11 = 0x80000001);
}

static void test_create_names_and_lists(void **state)
{
	struct rig *r = rig_new("aurora");
	uint8_t *d = rig_data(r);
	uint16_t a, b, c;
	uint8_t gn;

	(void)state;
	a = create(r);
	assert_memory_equal(d, "nqn.2014-08.org.nvmexpress:uuid:", 32);
	rig_clear(r);
	strcpy((char *)d, RIG_NQN);
	b = (uint16_t)rig_ok(r, 0, .opcode = 0x2A, .cdw11 = 0x80000001);
	assert_int_not_equal(a, b);
	assert_string_equal((char *)d, RIG_NQN);
	/* the same name again, the drive's own; then something that is no name: no wish */
	rig_fails(r, 0, 0x02, .opcode = 0x2A, .cdw11 = 0x80000001);
	rig_ok(r, 0, .opcode = 6, .cdw10 = 1);
	memmove(d, d + 768, 256);
	rig_fails(r, 0, 0x02, .opcode = 0x2A, .cdw11 = 0x80000001);
	memset(d, 'x', 256);
	c = (uint16_t)rig_ok(r, 0, .opcode = 0x2A, .cdw11 = 0x80000001);
	assert_memory_equal(d, "nqn.2014-08.org.nvmexpress:uuid:", 32);
	rig_ok(r, 0, .opcode = 0x2D, .cdw10 = 1, .cdw14 = HANDLE(c));
	rig_clear(r);
	rig_ok(r, 0, .opcode = 0x2A, .cdw10 = 1, .cdw15 = (4 + 520) / 4 - 1);
	assert_int_equal(exp_le16(d), 2);
	gn = d[3];
	assert_int_equal(exp_le16(d + 4 + 258), a);
	assert_int_equal(exp_le16(d + 4 + 260 + 258), b);
	assert_string_equal((char *)d + 4 + 260, RIG_NQN);
	/* a window: ESUBID of the second entry alone */
	rig_clear(r);
	rig_ok(r, 0, .opcode = 0x2A, .cdw10 = 1, .cdw12 = 4 + 260 + 256, .cdw15 = 0);
	assert_int_equal(exp_le32(d), (uint32_t)b << 16);
	assert_int_equal(exp_le32(d + 4), 0);
	rig_fails(r, 0, 0x02, .opcode = 0x2A, .cdw10 = 1, .cdw12 = 2);
	rig_fails(r, 0, 0x02, .opcode = 0x2A, .cdw10 = 1, .cdw12 = 4 + 520 + 4);
	rig_ok(r, 0, .opcode = 0x2D, .cdw10 = 1, .cdw14 = HANDLE(a));
	rig_ok(r, 0, .opcode = 0x2A, .cdw10 = 1, .cdw15 = 0);
	assert_int_equal(exp_le16(d), 1);
	assert_int_not_equal(d[3], gn);
	rig_free(r);
}

static void test_create_refusals(void **state)
{
	struct rig *r = rig_new("small");

	(void)state;
	rig_clear(r);
	rig_fails(r, 0, 0x02, .opcode = 0x2A, .cdw11 = 0x00000001); /* TR=0 */
	rig_fails(r, 0, 0x02, .opcode = 0x2A, .cdw11 = 0x80000000); /* no such template */
	rig_fails(r, 0, 0x02, .opcode = 0x2A, .cdw11 = 0x80000002);
	rig_fails(r, 0, 0x02, .opcode = 0x2A, .cdw11 = 0x80000101);
	rig_fails(r, 0, 0x02, .opcode = 0x2A, .cdw10 = 0x100, .cdw11 = 0x80000001); /* RA */
	rig_fails(r, 0, 0x02, .opcode = 0x2A, .cdw10 = 6);
	rig_fails(r, 0, 0x02, .opcode = 0x2A, .cdw10 = 2, .cdw14 = 0x00070000); /* unknown ESUBID */
	create(r);
	create(r);
	rig_clear(r);
	rig_fails(r, 0, 0x138, .opcode = 0x2A, .cdw11 = 0x80000001); /* MNENS 2 */
	rig_free(r);
}

static void test_no_exports_without_templates(void **state)
{
	struct rig *r = rig_new("plain");

	(void)state;
	rig_fails(r, 0, 0x01, .opcode = 0x2A, .cdw10 = 1);
	rig_fails(r, 0, 0x01, .opcode = 0x2D, .cdw10 = 1);
	rig_fails(r, 0, 0x01, .opcode = 0x31, .cdw10 = 1);
	rig_fails(r, 0, 0x02, .opcode = 0x06, .cdw10 = 0x22);
	rig_ok(r, 0, .opcode = 0x06, .cdw10 = 1);
	assert_int_equal(rig_data(r)[404], 0);
	rig_free(r);
}

static void test_namespace_association(void **state)
{
	struct rig *r = rig_new("aurora");
	uint32_t ns1 = rig_namespace(r, 2048, 0, 0), ns2 = rig_namespace(r, 2048, 0, 0);
	uint16_t a = create(r), b = create(r);
	uint8_t *d = rig_data(r);

	(void)state;
	rig_ns_pair(r, 1, ns1);
	rig_fails(r, 0, 0x02, .opcode = 0x31, .cdw10 = 1, .cdw14 = HANDLE(0x7777));
	rig_fails(r, 0, 0x02, .opcode = 0x31, .cdw10 = 1,
		  .cdw14 = (uint32_t)a << 16); /* ESUBIDV=0 */
	rig_fails(r, 0, 0x02, .opcode = 0x31, .cdw10 = 3, .cdw14 = HANDLE(a));
	d[31] = 1; /* PAD */
	rig_fails(r, 0, 0x02, .opcode = 0x31, .cdw10 = 1, .cdw14 = HANDLE(a));
	rig_ns_pair(r, 2, ns1);
	rig_fails(r, 0, 0x02, .opcode = 0x31, .cdw10 = 1, .cdw14 = HANDLE(a));
	rig_ns_pair(r, 1, 30);
	rig_fails(r, 0, 0x02, .opcode = 0x31, .cdw10 = 1, .cdw14 = HANDLE(a));
	rig_ns_pair(r, 1, ns1);
	rig_ok(r, 0, .opcode = 0x31, .cdw10 = 1, .cdw14 = HANDLE(a));
	rig_ns_pair(r, 1, ns2);
	rig_fails(r, 0, 0x02, .opcode = 0x31, .cdw10 = 1, .cdw14 = HANDLE(a)); /* ENSID in use */
	rig_ns_pair(r, 1, ns1);
	rig_fails(r, 0, 0x02, .opcode = 0x31, .cdw10 = 1, .cdw14 = HANDLE(b)); /* exclusive */
	rig_clear(r);
	rig_ok(r, 0, .opcode = 0x2A, .cdw10 = 2, .cdw14 = (uint32_t)a << 16, .cdw15 = 3);
	assert_int_equal(exp_le16(d), 1);
	assert_int_equal(exp_le32(d + 8), 1);
	assert_int_equal(exp_le32(d + 12), ns1);
	rig_fails(r, 0, 0x0C, .opcode = 0x2D, .cdw10 = 1, .cdw14 = HANDLE(a)); /* has a namespace */
	rig_clear(r);
	exp_put_le32(d + 32, 2);
	rig_fails(r, 0, 0x02, .opcode = 0x31, .cdw10 = 2, .cdw14 = HANDLE(a));
	exp_put_le32(d + 32, 1);
	rig_ok(r, 0, .opcode = 0x31, .cdw10 = 2, .cdw14 = HANDLE(a));
	rig_fails(r, 0, 0x02, .opcode = 0x31, .cdw10 = 2, .cdw14 = HANDLE(a));
	rig_ok(r, 0, .opcode = 0x2D, .cdw10 = 1, .cdw14 = HANDLE(a));
	rig_fails(r, 0, 0x02, .opcode = 0x2D, .cdw10 = 1, .cdw14 = HANDLE(a));
	rig_free(r);
}

static void test_namespace_events(void **state)
{
	struct rig *r = rig_new("aurora");
	uint32_t ns = rig_namespace(r, 2048, 0, 0), dw[4];
	uint16_t a = create(r);

	(void)state;
	rig_enable(r, 0);
	rig_fails(r, 0, 0x02, .opcode = 9, .cdw10 = 0x0B, .cdw11 = 0x00100000);
	rig_ok(r, 0, .opcode = 9, .cdw10 = 0x0B, .cdw11 = 0x00080000);
	rig_submit(r, 0, (struct rig_cmd){ .opcode = 0xC, .cid = 0x31 });
	rig_run(r, 0);
	rig_ns_pair(r, 1, ns);
	rig_ok(r, 0, .opcode = 0x31, .cdw10 = 1, .cdw14 = HANDLE(a));
	rig_run(r, 0);
	assert_true(rig_reap(r, 0, dw));
	assert_int_equal(dw[0], 0x1C0902);
	rig_ok(r, 0, .opcode = 2, .cdw10 = 15 << 16 | 0x1C);
	assert_int_equal(exp_le32(rig_data(r)), ns);
	rig_free(r);
}

/* Each field of the configuration that may not be: where the drive says it is wrong. */
static void test_configuration_refusals(void **state)
{
	static const struct {
		unsigned int at, bytes;
		uint32_t value;
		uint32_t dw0; /* BITLOC 31:27, DWLOC 26:0 */
	} bad[] = {
		{ 0, 2, 1, 0 << 27 | 0 },               /* ECNTLID */
		{ 2, 2, 1, 16u << 27 | 0 },             /* reserved */
		{ 5, 1, 0x07, 8u << 27 | 1 },           /* SN: a bell */
		{ 72, 1, 1, 0 << 27 | 18 },             /* RAB beyond the drive's 0 */
		{ 73, 1, 6, 8u << 27 | 18 },            /* MDTS beyond 5 */
		{ 73, 1, 0, 8u << 27 | 18 },            /* MDTS without a limit */
		{ 74, 2, 1024, 16u << 27 | 18 },        /* MQES */
		{ 76, 2, 32, 0 << 27 | 19 },            /* NCQS */
		{ 78, 2, 32, 16u << 27 | 19 },          /* NSQS */
		{ 80, 2, 0x0D, 0 << 27 | 20 },          /* ONCS: Compare, which it lacks */
		{ 82, 2, 1, 16u << 27 | 20 },           /* AWUN */
		{ 84, 2, 1, 0 << 27 | 21 },             /* AWUPF */
		{ 107, 1, 1, 24u << 27 | 26 },          /* reserved */
		{ 108, 1, 'x', 0 << 27 | 27 },          /* SUBNQN: no NQN */
		{ 363, 1, 'x', 24u << 27 | 90 },        /* SUBNQN: bytes behind its end */
		{ 364, 4, 2, 0 << 27 | 91 },            /* ENSID */
		{ 368, 4, 12u << 16, 0 << 27 | 92 },    /* LBADS: not the namespace's */
		{ 368, 4, 9u << 16 | 8, 0 << 27 | 92 }, /* MS */
		{ 372, 2, 1, 0 << 27 | 93 },            /* NAWUN */
		{ 374, 2, 1, 16u << 27 | 93 },          /* NAWUPF */
		{ 376, 4, 1, 0 << 27 | 94 },            /* reserved */
	};
	struct rig *r = rig_new("borealis");
	uint32_t ns = rig_namespace(r, 2048, 1, 0); /* format 1: 512 bytes there */
	uint8_t *d = rig_data(r), want[4096];
	uint16_t a = create(r);

	(void)state;
	rig_ns_pair(r, 1, ns);
	rig_ok(r, 0, .opcode = 0x31, .cdw10 = 1, .cdw14 = HANDLE(a));
	rig_fails(r, 0, 0x0C, .opcode = 0x2A, .cdw10 = 5, .cdw14 = (uint32_t)a << 16, .cdw15 = 102);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(bad); i++) {
		struct ssd_result res;
		uint8_t v[4];

		rig_config(d, RIG_NQN);
		exp_put_le32(v, bad[i].value);
		memcpy(d + bad[i].at, v, bad[i].bytes);
		res = RIG(r, 0, .opcode = 0x2D, .cdw10 = 6, .cdw14 = HANDLE(a), .cdw15 = 103);
		assert_int_equal(rig_status(res), 0x144);
		assert_int_equal(res.dw0, bad[i].dw0);
	}
	rig_config(d, RIG_NQN); /* neither NGUID nor UUID */
	memset(d + 380, 0, 32);
	rig_fails(r, 0, 0x144, .opcode = 0x2D, .cdw10 = 6, .cdw14 = HANDLE(a), .cdw15 = 103);
	rig_config(d, RIG_NQN);
	rig_fails(r, 0, 0x02, .opcode = 0x2D, .cdw10 = 6, .cdw14 = HANDLE(a), .cdw15 = 102);
	rig_config(want, RIG_NQN);
	rig_ok(r, 0, .opcode = 0x2D, .cdw10 = 6, .cdw14 = HANDLE(a), .cdw15 = 1024);
	rig_config(d, RIG_NQN); /* once only */
	rig_fails(r, 0, 0x0C, .opcode = 0x2D, .cdw10 = 6, .cdw14 = HANDLE(a), .cdw15 = 103);
	rig_clear(r);
	rig_ok(r, 0, .opcode = 0x2A, .cdw10 = 5, .cdw14 = (uint32_t)a << 16, .cdw15 = 102);
	assert_memory_equal(d, want, 412);
	rig_free(r);
}

static void test_controller_association(void **state)
{
	struct rig *r = rig_new("aurora");
	uint32_t ns = rig_namespace(r, 2048, 0, 0), other = rig_namespace(r, 2048, 0, 1u << 2);
	uint16_t a = create(r), b = create(r);
	uint8_t *d = rig_data(r);

	(void)state;
	rig_ns_pair(r, 1, ns);
	rig_ok(r, 0, .opcode = 0x31, .cdw10 = 1, .cdw14 = HANDLE(a));
	rig_ctrl_pair(r, 1, 0);
	rig_fails(r, 0, 0x0C, .opcode = 0x2D, .cdw10 = 5, .cdw14 = HANDLE(a), .cdw15 = 2);
	rig_config(d, RIG_NQN);
	rig_ok(r, 0, .opcode = 0x2D, .cdw10 = 6, .cdw14 = HANDLE(a), .cdw15 = 103);
	rig_config(d, RIG_NQN "-b");
	rig_ok(r, 0, .opcode = 0x2D, .cdw10 = 6, .cdw14 = HANDLE(b), .cdw15 = 103);

	rig_ctrl_pair(r, 9, 0); /* no such controller, and the MMC */
	rig_fails(r, 0, 0x11F, .opcode = 0x2D, .cdw10 = 5, .cdw14 = HANDLE(a), .cdw15 = 2);
	rig_ctrl_pair(r, 0, 0);
	rig_fails(r, 0, 0x11F, .opcode = 0x2D, .cdw10 = 5, .cdw14 = HANDLE(a), .cdw15 = 2);
	rig_ctrl_pair(r, 1, 1); /* ECNTLID is 0 */
	rig_fails(r, 0, 0x02, .opcode = 0x2D, .cdw10 = 5, .cdw14 = HANDLE(a), .cdw15 = 2);
	rig_ctrl_pair(r, 2, 0); /* sees a namespace that is not exported here */
	rig_fails(r, 0, 0x143, .opcode = 0x2D, .cdw10 = 5, .cdw14 = HANDLE(a), .cdw15 = 2);
	rig_enable(r, 1);
	rig_ctrl_pair(r, 1, 0);
	rig_fails(r, 0, 0x142, .opcode = 0x2D, .cdw10 = 5, .cdw14 = HANDLE(a), .cdw15 = 2);
	ssd_reg_write(rig_fn(r, 1), 0x14, 0, 4);
	rig_ok(r, 0, .opcode = 0x2D, .cdw10 = 5, .cdw14 = HANDLE(a), .cdw15 = 2);
	rig_fails(r, 0, 0x143, .opcode = 0x2D, .cdw10 = 5, .cdw14 = HANDLE(b), .cdw15 = 2);
	rig_ctrl_pair(r, 3, 0); /* a second one for the same subsystem */
	rig_fails(r, 0, 0x143, .opcode = 0x2D, .cdw10 = 5, .cdw14 = HANDLE(a), .cdw15 = 2);

	rig_clear(r); /* the list has ECNTLID first */
	rig_ok(r, 0, .opcode = 0x2A, .cdw10 = 3, .cdw14 = (uint32_t)a << 16, .cdw15 = 1);
	assert_int_equal(exp_le16(d), 1);
	assert_int_equal(exp_le16(d + 4), 0);
	assert_int_equal(exp_le16(d + 6), 1);

	rig_clear(r); /* a namespace of another export, and one of none */
	exp_put_le16(d, 1);
	exp_put_le16(d + 2, 1);
	rig_fails(r, 0, 0x143, .opcode = 0x15, .nsid = other);
	rig_ok(r, 0, .opcode = 0x15, .nsid = ns);
	rig_fails(r, 0, 0x118, .opcode = 0x15, .nsid = ns);
	rig_clear(r);
	exp_put_le32(d + 32, 1);
	rig_fails(r, 0, 0x0C, .opcode = 0x31, .cdw10 = 2, .cdw14 = HANDLE(a)); /* attached */

	rig_enable(r, 1);
	rig_fails(r, 0, 0x142, .opcode = 0x2D, .cdw10 = 1, .cdw14 = HANDLE(a));
	ssd_reg_write(rig_fn(r, 1), 0x14, 0, 4);
	rig_fails(r, 0, 0x0C, .opcode = 0x2D, .cdw10 = 1, .cdw14 = HANDLE(a));
	rig_clear(r);
	exp_put_le16(d, 1);
	exp_put_le16(d + 2, 1);
	rig_ok(r, 0, .opcode = 0x15, .cdw10 = 1, .nsid = ns);
	rig_fails(r, 0, 0x11A, .opcode = 0x15, .cdw10 = 1, .nsid = ns);
	rig_clear(r);
	exp_put_le32(d + 32, 1);
	rig_ok(r, 0, .opcode = 0x31, .cdw10 = 2, .cdw14 = HANDLE(a));
	rig_ok(r, 0, .opcode = 0x2D, .cdw10 = 1, .cdw14 = HANDLE(a));
	rig_ok(r, 1, .opcode = 6, .cdw10 = 1); /* its own face again */
	assert_int_equal(exp_le16(d + 78), 1);
	rig_free(r);
}

static void expect_zero_but(const uint8_t *page, const uint8_t *want)
{
	for (unsigned int i = 0; i < 4096; i++)
		if (page[i] != want[i])
			fail_msg("byte %u is %02xh, not %02xh", i, page[i], want[i]);
}

/* Every byte that a guest reads is accounted for: configured, fixed by the template, or zero. */
static void test_guest_sees_the_export_and_nothing_else(void **state)
{
	struct rig *r = rig_new("aurora");
	uint32_t first = rig_namespace(r, 64, 0, 0), ns = rig_namespace(r, 4096, 0, 1u << 0);
	uint8_t want[4096], *d = rig_data(r);

	(void)state;
	assert_int_equal(first, 1);
	assert_int_equal(ns, 2);
	rig_export(r, 1, 2, ns, RIG_NQN);
	assert_int_equal(ssd_reg_read(rig_fn(r, 2), 0, 8), UINT64_C(0x00000020FF0103FF));
	assert_int_equal(ssd_reg_read(rig_fn(r, 2), 8, 4), 0x00020300);
	rig_enable(r, 2);

	memset(d, 0xEE, 4096);
	rig_ok(r, 2, .opcode = 6, .cdw10 = 1);
	memset(want, 0, sizeof(want));
	memcpy(want + 4, "SN-0123456789ABCDEF-", 20);
	memcpy(want + 24, "Virtual SSD of a tenant                 ", 40);
	memcpy(want + 64, "VIRT1.0 ", 8);
	want[77] = 5;
	exp_put_le32(want + 80, 0x00020300);
	want[93] = 0x01; /* OAES: attached namespace attributes */
	want[259] = 3;   /* AERL */
	want[512] = 0x66;
	want[513] = 0x44;
	want[516] = 1;    /* NN */
	want[520] = 0x0C; /* ONCS */
	want[525] = 0x07; /* VWC */
	strcpy((char *)want + 768, RIG_NQN);
	expect_zero_but(d, want);

	rig_ok(r, 2, .opcode = 6, .cdw10 = 0, .nsid = 1);
	memset(want, 0, sizeof(want));
	exp_put_le64(want, 4096);
	exp_put_le64(want + 8, 4096);
	memset(want + 104, 0xA1, 16);
	want[130] = 9;
	expect_zero_but(d, want);

	rig_ok(r, 2, .opcode = 6, .cdw10 = 2);
	memset(want, 0, sizeof(want));
	want[0] = 1;
	expect_zero_but(d, want);

	rig_ok(r, 2, .opcode = 6, .cdw10 = 3, .nsid = 1);
	memset(want, 0, sizeof(want));
	memcpy(want, "\2\20\0\0", 4);
	memset(want + 4, 0xA1, 16);
	memcpy(want + 20, "\3\20\0\0", 4);
	memset(want + 24, 0xB2, 16);
	memcpy(want + 40, "\4\1\0\0\0", 5);
	expect_zero_but(d, want);

	rig_ok(r, 2, .opcode = 6, .cdw10 = 5, .nsid = 1);
	memset(want, 0, sizeof(want));
	expect_zero_but(d, want);
	rig_ok(r, 2, .opcode = 6, .cdw10 = 6);
	exp_put_le32(want + 20, 0x00010200);
	expect_zero_but(d, want);

	/* the underlying ids and the drive's own lists are not there */
	rig_fails(r, 2, 0x0B, .opcode = 6, .cdw10 = 0, .nsid = 2);
	rig_fails(r, 2, 0x0B, .opcode = 6, .cdw10 = 0, .nsid = 0xFFFFFFFF);
	for (unsigned int cns = 7; cns < 256; cns++)
		rig_fails(r, 2, 0x02, .opcode = 6, .cdw10 = cns, .nsid = 1);
	for (unsigned int op = 0x0D; op < 256; op++)
		rig_fails(r, 2, 0x01, .opcode = (uint8_t)op);
	rig_fails(r, 2, 0x02, .opcode = 9, .cdw10 = 0x21);
	rig_fails(r, 2, 0x10E, .opcode = 9, .cdw10 = 5, .cdw11 = 1);
	rig_fails(r, 2, 0x109, .opcode = 2, .cdw10 = 15 << 16 | 0x1C);
	memset(d, 0xEE, 4096);
	rig_ok(r, 2, .opcode = 2, .cdw10 = 127 << 16 | 3);
	memset(want, 0, 512);
	want[0] = 1;
	memcpy(want + 8, "VIRT1.0 ", 8);
	assert_memory_equal(d, want, 512);
	assert_int_equal(rig_ok(r, 2, .opcode = 0xA, .cdw10 = 4), 0xFFFF);
	assert_int_equal(rig_ok(r, 2, .opcode = 0xA, .cdw10 = 4, .cdw11 = 1 << 20), 0);
	assert_int_equal(rig_ok(r, 2, .opcode = 9, .cdw10 = 7, .cdw11 = 99 << 16 | 99),
			 7 << 16 | 3);
	rig_free(r);
}

static void test_guest_hears_of_its_namespace(void **state)
{
	struct rig *r = rig_new("aurora");
	uint32_t ns = rig_namespace(r, 4096, 0, 0), dw[4];
	uint8_t *d = rig_data(r);
	unsigned int wakes;

	(void)state;
	rig_export(r, 1, 1, ns, RIG_NQN);
	rig_enable(r, 1);
	rig_ok(r, 1, .opcode = 9, .cdw10 = 0x0B, .cdw11 = 0x100);
	rig_submit(r, 1, (struct rig_cmd){ .opcode = 0xC, .cid = 5 });
	rig_run(r, 1);
	wakes = r->fn[1].wakes;
	rig_clear(r);
	exp_put_le16(d, 1);
	exp_put_le16(d + 2, 1);
	rig_ok(r, 0, .opcode = 0x15, .cdw10 = 1, .nsid = ns);
	assert_true(r->fn[1].wakes > wakes); /* its thread may sleep: no doorbell tells it */
	rig_run(r, 1);
	assert_true(rig_reap(r, 1, dw));
	assert_int_equal(dw[0], 0x040002);
	rig_ok(r, 1, .opcode = 2, .cdw10 = 15 << 16 | 4);
	assert_int_equal(exp_le32(d), 1); /* ENSID */
	rig_ok(r, 1, .opcode = 6, .cdw10 = 2);
	assert_int_equal(exp_le32(d), 0);
	rig_fails(r, 1, 0x02, .opcode = 6, .cdw10 = 3, .nsid = 1);
	rig_free(r);
}

static void test_configuration_over_restarts(void **state)
{
	static const struct {
		const char *profile;
		bool kept;
	} drives[] = { { "aurora", false }, { "gentle", true } };

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(drives); i++) {
		struct rig *r = rig_new(drives[i].profile);
		uint32_t ns = rig_namespace(r, 4096, 0, 0);
		uint16_t a = rig_export(r, 1, 1, ns, RIG_NQN);
		uint8_t *d = rig_data(r), before[4096];

		rig_ok(r, 1, .opcode = 6, .cdw10 = 1);
		memcpy(before, d, 4096);
		rig_reopen(r, drives[i].profile, false);
		rig_ok(r, 1, .opcode = 6, .cdw10 = 1);
		assert_memory_equal(d, before, 4096);
		rig_ok(r, 1, .opcode = 6, .cdw10 = 2);
		assert_int_equal(exp_le32(d), 1);
		rig_reopen(r, drives[i].profile, true);
		rig_ok(r, 0, .opcode = 0x2A, .cdw10 = 1, .cdw15 = 0);
		assert_int_equal(exp_le16(d), drives[i].kept);
		rig_ok(r, 1, .opcode = 6, .cdw10 = 1);
		assert_int_equal(!memcmp(d, before, 4096), drives[i].kept);
		rig_ok(r, 0, .opcode = 6, .cdw10 = 0x10); /* namespaces are there either way */
		assert_int_equal(exp_le32(d), ns);
		(void)a;
		rig_free(r);
	}
}

static void test_contrary_answers(void **state)
{
	struct rig *r = rig_new("contrary");
	uint32_t ns = rig_namespace(r, 4096, 0, 0);
	uint8_t *d = rig_data(r);
	uint16_t a;

	(void)state;
	rig_clear(r);
	strcpy((char *)d, RIG_NQN);
	a = (uint16_t)rig_ok(r, 0, .opcode = 0x2A, .cdw11 = 0x80000000); /* templates from 0 */
	assert_string_not_equal((char *)d, RIG_NQN);
	rig_ns_pair(r, 1, ns);
	rig_fails(r, 0, 0x0C, .opcode = 0x31, .cdw10 = 1, .cdw14 = HANDLE(a));
	rig_config(d, RIG_NQN);
	rig_fails(r, 0, 0x02, .opcode = 0x2D, .cdw10 = 6, .cdw14 = HANDLE(a), .cdw15 = 103);
	rig_ok(r, 0, .opcode = 0x2D, .cdw10 = 6, .cdw14 = HANDLE(a));
	rig_ns_pair(r, 1, ns);
	rig_ok(r, 0, .opcode = 0x31, .cdw10 = 1, .cdw14 = HANDLE(a));
	rig_fails(r, 0, 0x02, .opcode = 0x2A, .cdw10 = 3, .cdw14 = (uint32_t)a << 16);
	rig_fails(r, 0, 0x02, .opcode = 0x2A, .cdw10 = 1, .cdw15 = 3);
	rig_ok(r, 0, .opcode = 0x2A, .cdw10 = 1);
	assert_string_equal((char *)d + 4, RIG_NQN); /* the configuration names it */
	for (int i = 1; i < 16; i++)
		rig_ok(r, 0, .opcode = 0x2A, .cdw11 = 0x80000000);
	rig_fails(r, 0, 0x02, .opcode = 0x2A, .cdw11 = 0x80000000);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create_names_and_lists),
		cmocka_unit_test(test_create_refusals),
		cmocka_unit_test(test_no_exports_without_templates),
		cmocka_unit_test(test_namespace_association),
		cmocka_unit_test(test_namespace_events),
		cmocka_unit_test(test_configuration_refusals),
		cmocka_unit_test(test_controller_association),
		cmocka_unit_test(test_guest_sees_the_export_and_nothing_else),
		cmocka_unit_test(test_guest_hears_of_its_namespace),
		cmocka_unit_test(test_configuration_over_restarts),
		cmocka_unit_test(test_contrary_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
