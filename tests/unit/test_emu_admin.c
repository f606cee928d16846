/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_emu_admin.c - the emulated SSD's own face: Identify, logs, features, events, Abort
 */
#include "support/ssd_rig.h"

/* SN and SUBNQN are of this image; the rest is typed from the profile and the tables. */
static void mask_names(uint8_t *d)
{
	assert_memory_equal(d + 4, "AUR", 3);
	memset(d + 4, 0, 20);
	assert_memory_equal(d + 768, "nqn.2014-08.org.nvmexpress:uuid:", 32);
	memset(d + 768, 0, 256);
}

static void controller_page(uint8_t *want, bool mmc)
{
	memset(want, 0, 4096);
	memcpy(want, "\xA5\x1D\xA5\x1D", 4);
	memcpy(want + 24, "Aurora VX9 Enterprise NVMe 3.84TB       ", 40);
	memcpy(want + 64, "AX92C041", 8);
	want[72] = 6;                         /* RAB */
	memcpy(want + 73, "\x5A\xD1\x00", 3); /* IEEE */
	want[76] = 2;                         /* CMIC */
	want[77] = 8;                         /* MDTS */
	exp_put_le16(want + 78, mmc ? 0 : 3);
	exp_put_le32(want + 80, 0x00020400);
	exp_put_le32(want + 92, mmc ? 0x00080100 : 0x00000100); /* OAES */
	exp_put_le32(want + 96, 0x200);                         /* CTRATT: UUID list */
	want[111] = 1;                                          /* CNTRLTYPE: I/O */
	exp_put_le16(want + 256, mmc ? 0x0A08 : 0x0200);        /* OACS */
	want[258] = 7;                                          /* ACL */
	want[259] = 7;                                          /* AERL */
	want[260] = 3;                                          /* FRMW */
	want[261] = 2;                                          /* LPA */
	want[262] = 63;                                         /* ELPE */
	exp_put_le16(want + 266, 353);                          /* WCTEMP */
	exp_put_le16(want + 268, 368);                          /* CCTEMP */
	want[512] = 0x66;
	want[513] = 0x44;
	exp_put_le32(want + 516, 32);   /* NN */
	exp_put_le16(want + 520, 0x8D); /* ONCS */
	want[525] = 7;                  /* VWC */
	exp_put_le16(want + 526, 255);  /* AWUN */
	exp_put_le16(want + 528, 7);    /* AWUPF */
	exp_put_le32(want + 540, 32);   /* MNAN */
	if (!mmc)
		return;
	exp_put_le64(want + 280, UINT64_C(64) << 30);              /* TNVMCAP */
	exp_put_le64(want + 296, (UINT64_C(64) << 30) - 8 * 4096); /* UNVMCAP */
	exp_put_le16(want + 396, 16);                              /* MNENS */
	exp_put_le16(want + 398, 1);                               /* MNECPENS */
	exp_put_le32(want + 400, 1);                               /* MENSNN */
	want[404] = 3;                                             /* ENSA */
	want[405] = 2;                                             /* ENDSFS: format 1 */
	exp_put_le16(want + 576, 2);                               /* TRATTR: TUDCS */
	exp_put_le16(want + 578, 16);                              /* MCUDMQ */
	exp_put_le16(want + 580, 16);                              /* MNSUDMQ */
	exp_put_le16(want + 582, 4096);                            /* MCMR */
	exp_put_le16(want + 584, 16384);                           /* NMCMR */
	exp_put_le16(want + 586, 4096);                            /* MCDQPC */
}

static void expect_page(const uint8_t *page, const uint8_t *want, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (page[i] != want[i])
			fail_msg("byte %zu is %02xh, not %02xh", i, page[i], want[i]);
}

static void test_identify_controllers(void **state)
{
	struct rig *r = rig_new("aurora");
	uint8_t want[4096], *d = rig_data(r);

	(void)state;
	rig_namespace(r, 8, 1, 0);
	for (unsigned int fn = 0; fn < 4; fn += 3) {
		memset(d, 0xEE, 4096);
		rig_ok(r, fn, .opcode = 6, .cdw10 = 1);
		mask_names(d);
		controller_page(want, !fn);
		expect_page(d, want, 4096);
	}
	rig_free(r);
}

static void test_identify_lists(void **state)
{
	static const uint8_t uuid_ref[16] = { 0x9f, 0x1c, 0x5b, 0x62, 0x6d, 0x0e, 0x4c, 0x1b,
					      0x8a, 0x57, 0x1e, 0x5d, 0x2c, 0x7b, 0x4a, 0x10 };
	struct rig *r = rig_new("borealis");
	uint32_t a = rig_namespace(r, 64, 0, 1), b = rig_namespace(r, 8, 1, 1u << 0 | 1u << 3);
	uint8_t want[4096], *d = rig_data(r);

	(void)state;
	memset(want, 0, sizeof(want));
	exp_put_le32(want, a);
	exp_put_le32(want + 4, b);
	rig_ok(r, 0, .opcode = 6, .cdw10 = 0x10);
	expect_page(d, want, 4096);
	rig_ok(r, 0, .opcode = 6, .cdw10 = 2);
	expect_page(d, want, 4096);
	memset(want, 0, sizeof(want));
	exp_put_le32(want, b);
	rig_ok(r, 0, .opcode = 6, .cdw10 = 0x10, .nsid = a);
	expect_page(d, want, 4096);
	rig_ok(r, 3, .opcode = 6, .cdw10 = 2);
	expect_page(d, want, 4096);
	rig_fails(r, 0, 0xB, .opcode = 6, .cdw10 = 2, .nsid = 0xFFFFFFFE);

	memset(want, 0, sizeof(want)); /* controllers of b: 0 and 3; from 1 on: 3 */
	exp_put_le16(want, 2);
	exp_put_le16(want + 4, 3);
	rig_ok(r, 0, .opcode = 6, .cdw10 = 0x12, .nsid = b);
	expect_page(d, want, 4096);
	exp_put_le16(want, 1);
	exp_put_le16(want + 2, 3);
	exp_put_le16(want + 4, 0);
	rig_ok(r, 0, .opcode = 6, .cdw10 = 1 << 16 | 0x12, .nsid = b);
	expect_page(d, want, 4096);
	memset(want, 0, sizeof(want));
	exp_put_le16(want, 5);
	for (uint16_t i = 0; i < 5; i++)
		exp_put_le16(want + 2 + 2 * i, i);
	rig_ok(r, 0, .opcode = 6, .cdw10 = 0x13);
	expect_page(d, want, 4096);
	rig_ok(r, 0, .opcode = 6, .cdw10 = 0x21);
	expect_page(d, want, 4096);

	rig_ok(r, 0, .opcode = 6, .cdw10 = 0x22); /* the Reference template is entry 2 */
	assert_memory_equal(d + 64 + 16, uuid_ref, 16);
	assert_int_equal(d[96 + 16], 0);
	rig_ok(r, 0, .opcode = 6, .cdw10 = 0x20); /* one version, 0; two UUIDs, the second ours */
	assert_int_equal(exp_le32(d), 0x00000201);
	assert_memory_equal(d + 4 + 16, uuid_ref, 16);
	rig_ok(r, 0, .opcode = 6, .cdw10 = 6);
	memset(want, 0, sizeof(want));
	want[18] = 1; /* AOCS: allocated LBAs */
	exp_put_le32(want + 20, 0x00010200);
	expect_page(d, want, 4096);
	rig_ok(r, 0, .opcode = 6, .cdw10 = 5, .nsid = b);
	memset(want, 0, sizeof(want));
	exp_put_le32(want + 292, 8); /* TLBAAG: 4 KiB in blocks */
	expect_page(d, want, 4096);
	for (unsigned int cns = 0; cns < 256; cns++)
		if (cns == 0x10 || cns == 0x13 || cns == 0x20 || cns == 0x21 || cns == 0x22)
			rig_fails(r, 1, 2, .opcode = 6, .cdw10 = cns);
	rig_free(r);
}

static void test_identify_namespace(void **state)
{
	struct rig *r = rig_new("borealis");
	uint32_t ns = rig_namespace(r, 100, 1, 0);
	uint8_t want[4096] = { 0 }, *d = rig_data(r), nguid[16];

	(void)state;
	rig_ok(r, 0, .opcode = 6, .cdw10 = 0, .nsid = ns); /* not active: zeros */
	expect_page(d, want, 4096);
	rig_ok(r, 0, .opcode = 6, .cdw10 = 0x11, .nsid = ns);
	memcpy(nguid, d + 104, 16);
	exp_put_le64(want, 100);
	exp_put_le64(want + 8, 100);
	exp_put_le64(want + 16, 100);
	want[24] = 2; /* NSFEAT */
	want[25] = 1; /* NLBAF: two */
	want[26] = 1; /* FLBAS */
	want[30] = 1; /* NMIC */
	want[33] = 9; /* DLFEAT */
	exp_put_le64(want + 48, 51200);
	memcpy(want + 104, nguid, 16);
	want[130] = 12;
	want[134] = 9;
	expect_page(d, want, 4096);
	rig_fails(r, 0, 0xB, .opcode = 6, .cdw10 = 0x11, .nsid = 25);
	rig_ok(r, 0, .opcode = 6, .cdw10 = 0, .nsid = 0xFFFFFFFF); /* what all have in common */
	assert_int_equal(exp_le64(d), 0);
	assert_int_equal(d[25], 1);
	rig_free(r);
}

static void test_effects_log_says_what_there_is(void **state)
{
	static const uint8_t mmc_only[] = { 0x0D, 0x15, 0x2A, 0x2D, 0x31, 0x3D, 0x41, 0x42, 0x45 };
	struct rig *r = rig_new("borealis");
	uint8_t *d = rig_data(r);

	(void)state;
	rig_clear(r);
	rig_ok(r, 0, .opcode = 2, .cdw10 = 1023 << 16 | 5);
	for (size_t i = 0; i < sizeof(mmc_only); i++)
		assert_int_equal(d[4 * mmc_only[i]] & 1, 1);
	assert_int_equal(d[4 * 0x28] & 1, 0);
	assert_int_equal(d[1024 + 4 * 1], 3);
	assert_int_equal(d[1024 + 4 * 5], 0); /* Compare is not among borealis' */
	rig_ok(r, 1, .opcode = 2, .cdw10 = 1023 << 16 | 5);
	for (size_t i = 0; i < sizeof(mmc_only); i++) {
		assert_int_equal(d[4 * mmc_only[i]], 0);
		rig_fails(r, 1, 1, .opcode = mmc_only[i]);
	}
	rig_free(r);
}

static void test_log_windows(void **state)
{
	struct rig *r = rig_new("aurora");
	uint8_t *d = rig_data(r);

	(void)state;
	rig_fails(r, 0, 0x109, .opcode = 2, .cdw10 = 0x80);
	rig_fails(r, 0, 2, .opcode = 2, .cdw10 = 3, .cdw12 = 2);
	rig_fails(r, 0, 2, .opcode = 2, .cdw10 = 3, .cdw12 = 516);
	rig_fails(r, 0, 2, .opcode = 2, .cdw10 = 3, .cdw13 = 1);
	memset(d, 0xEE, 64);
	rig_ok(r, 0, .opcode = 2, .cdw10 = 1 << 16 | 3, .cdw12 = 8);
	assert_memory_equal(d, "AX92C041", 8);
	assert_int_equal(d[8], 0xEE);
	/* the failures above are in the error log, newest first */
	rig_ok(r, 0, .opcode = 2, .cdw10 = 31 << 16 | 1);
	assert_int_equal(exp_le64(d), 4);
	assert_int_equal(exp_le16(d + 12) >> 1 & 0x7FF, 2);
	assert_int_equal(exp_le64(d + 64), 3);
	rig_ok(r, 0, .opcode = 2, .cdw10 = 127 << 16 | 2);
	assert_int_equal(exp_le16(d + 1), 310);
	assert_int_equal(exp_le64(d + 176), 4);
	rig_free(r);
}

static void test_features(void **state)
{
	struct rig *r = rig_new("aurora");

	(void)state;
	rig_fails(r, 1, 0x10D, .opcode = 9, .cdw10 = 0x80000001, .cdw11 = 1); /* saving */
	rig_fails(r, 1, 0x10F, .opcode = 9, .cdw10 = 1, .nsid = 1);
	rig_fails(r, 1, 2, .opcode = 9, .cdw10 = 0x7F);
	rig_fails(r, 1, 2, .opcode = 0xA, .cdw10 = 0x7F);
	rig_fails(r, 1, 2, .opcode = 0xA, .cdw10 = 4 << 8 | 1);
	rig_fails(r, 1, 2, .opcode = 9, .cdw10 = 2, .cdw11 = 1); /* one power state */
	rig_fails(r, 1, 2, .opcode = 9, .cdw10 = 4, .cdw11 = 1 << 16);
	rig_fails(r, 1, 2, .opcode = 9, .cdw10 = 7, .cdw11 = 0xFFFF);
	rig_fails(r, 1, 2, .opcode = 9, .cdw10 = 9, .cdw11 = 65);
	rig_fails(r, 1, 2, .opcode = 9, .cdw10 = 0xB, .cdw11 = 0x80000); /* the MMC's event */
	assert_int_equal(rig_ok(r, 1, .opcode = 9, .cdw10 = 7, .cdw11 = 99 << 16 | 3),
			 63 << 16 | 3);
	assert_int_equal(rig_ok(r, 1, .opcode = 0xA, .cdw10 = 7), 63 << 16 | 3);
	assert_int_equal(rig_ok(r, 1, .opcode = 0xA, .cdw10 = 1 << 8 | 7), 63 << 16 | 63);
	assert_int_equal(rig_ok(r, 1, .opcode = 0xA, .cdw10 = 3 << 8 | 7), 4);
	assert_int_equal(rig_ok(r, 1, .opcode = 0xA, .cdw10 = 4), 353);
	assert_int_equal(rig_ok(r, 1, .opcode = 0xA, .cdw10 = 6), 1);
	assert_int_equal(rig_ok(r, 1, .opcode = 0xA, .cdw10 = 9), 0x10000);
	rig_free(r);
}

static void test_event_requests(void **state)
{
	struct rig *r = rig_new("borealis"); /* AERL 3: four */
	uint32_t dw[4];

	(void)state;
	rig_enable(r, 1);
	for (uint16_t i = 0; i < 5; i++)
		rig_submit(r, 1, (struct rig_cmd){ .opcode = 0xC, .cid = i });
	rig_run(r, 1);
	assert_true(rig_reap(r, 1, dw));
	assert_int_equal(dw[3] & 0xFFFF, 4);
	assert_int_equal(dw[3] >> 17 & 0x7FF, 0x105);
	assert_false(rig_reap(r, 1, dw));
	/* Abort takes one of them, and says so; of another command it says that it did not */
	rig_submit(r, 1, (struct rig_cmd){ .opcode = 8, .cid = 9, .cdw10 = 2 << 16 });
	rig_submit(r, 1, (struct rig_cmd){ .opcode = 8, .cid = 10, .cdw10 = 2 << 16 });
	rig_submit(r, 1, (struct rig_cmd){ .opcode = 8, .cid = 11, .cdw10 = 1 << 16 | 1 });
	rig_run(r, 1);
	assert_true(rig_reap(r, 1, dw));
	assert_int_equal(dw[3] & 0xFFFF, 2);
	assert_int_equal(dw[3] >> 17, 7);
	assert_true(rig_reap(r, 1, dw));
	assert_int_equal(dw[3] & 0xFFFF, 9);
	assert_int_equal(dw[0], 0);
	assert_true(rig_reap(r, 1, dw));
	assert_int_equal(dw[0], 1);
	assert_true(rig_reap(r, 1, dw));
	assert_int_equal(dw[0], 1);
	assert_false(rig_reap(r, 1, dw));
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identify_controllers),
		cmocka_unit_test(test_identify_lists),
		cmocka_unit_test(test_identify_namespace),
		cmocka_unit_test(test_effects_log_says_what_there_is),
		cmocka_unit_test(test_log_windows),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_event_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
