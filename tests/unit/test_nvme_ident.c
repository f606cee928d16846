/* SPDX-License-Identifier: Apache-2.0 */
/* lib/nvme/ident: the Identify command, controller and namespace pages (Base 5.2.13, NVM 4.1.5) */
#include <errno.h>

#include "support/nvme_tests.h"

#include "nvme/ident.h"

static uint8_t page[4096];

static void at(size_t off, const char *hex)
{
	test_at(page, sizeof(page), off, hex);
}

static void at_text(size_t off, const char *s)
{
	memcpy(page + off, s, strlen(s));
}

static void test_identify_command(void **state)
{
	struct exp_nvme_cmd c;

	(void)state;
	exp_nvme_identify(&c, EXP_NVME_CNS_CTRL, 0, 0, page);
	assert_sqe(&c, { 0, 0x06 }, { 10, 0x01 });
	assert_data(&c, NULL, page, 4096);
	exp_nvme_identify(&c, EXP_NVME_CNS_NS_CTRL_LIST, 3, 0x0102, page);
	assert_sqe(&c, { 0, 0x06 }, { 1, 3 }, { 10, 0x01020012 });
	exp_nvme_identify(&c, EXP_NVME_CNS_STATE_FORMATS, 0, 0, page);
	assert_sqe(&c, { 0, 0x06 }, { 10, 0x20 });
	exp_nvme_identify(&c, EXP_NVME_CNS_UNDERLYING_CTRLS, 0, 7, page);
	assert_sqe(&c, { 0, 0x06 }, { 10, 0x00070021 });
	exp_nvme_identify(&c, EXP_NVME_CNS_TEMPLATES, 0, 0, page);
	assert_sqe(&c, { 0, 0x06 }, { 10, 0x22 });
}

/* A migration management controller that exports: offsets typed from the figure. */
static void make_ctrl(void)
{
	memset(page, 0, sizeof(page));
	at(0, "a51d 0a1d");                           /* VID 1DA5h, SSVID 1D0Ah */
	at_text(4, "AUR0000001          ");           /* SN, 20 */
	at_text(24, "Aurora VX9 3.84TB");             /* MN, padded with NULs here */
	at_text(64, "AX92C041");                      /* FR, all 8 */
	at(72, "06");                                 /* RAB */
	at(77, "08");                                 /* MDTS */
	at(78, "0201");                               /* CNTLID 0102h */
	at(80, "00040200");                           /* VER 2.4.0 */
	at(92, "00010800");                           /* OAES bits 8, 19 */
	at(96, "00020100");                           /* CTRATT bits 9, 16 */
	at(111, "01");                                /* I/O controller */
	at(256, "080a");                              /* OACS bits 3, 9, 11 */
	at(258, "07 03 1a 1e 3f 01");                 /* ACL AERL FRMW LPA ELPE NPSS */
	at(272, "11000000");                          /* HMPRE */
	at(280, "0000001000000000 0100000000000000"); /* TNVMCAP */
	at(296, "0000000800000000 0200000000000000"); /* UNVMCAP */
	at(320, "0a00");                              /* KAS */
	at(356, "0300");                              /* DOMAINID */
	at(396, "1000 0200 04000000 03 02");          /* MNENS MNECPENS MENSNN ENSA ENDSFS */
	at(406, "ffffffffffffffffffffffffffffffff");  /* voltage sensors: not ours */
	at(512, "66 44 0004 20000000");               /* SQES CQES MAXCMD NN */
	at(520, "0c00 0100 02 07 ff00 0700");         /* ONCS FUSES FNA VWC AWUN AWUPF */
	at(532, "1f00 0300 01000f00 40000000");       /* ACWU OCFS SGLS MNAN */
	at(570, "2000 4000 02 08 07");                /* CMMRTD NMMRTD MINMRTG MAXMRTG TRATTR */
	at(578, "0400 0800 0010 0040 0001");          /* MCUDMQ MNSUDMQ MCMR NMCMR MCDQPC */
	at_text(768, "nqn.2026-11.org.example:ssd1");
}

static void test_ctrl_every_field_has_its_place(void **state)
{
	struct exp_nvme_id_ctrl id;
	struct exp_error err = { 0 };

	(void)state;
	make_ctrl();
	assert_ok(exp_nvme_id_ctrl_parse(page, sizeof(page), &id, &err), &err);
	assert_int_equal(id.vid, 0x1da5);
	assert_int_equal(id.ssvid, 0x1d0a);
	assert_string_equal(id.sn, "AUR0000001");
	assert_string_equal(id.mn, "Aurora VX9 3.84TB");
	assert_string_equal(id.fr, "AX92C041");
	assert_int_equal(id.rab, 6);
	assert_int_equal(id.mdts, 8);
	assert_int_equal(id.cntlid, 0x0102);
	assert_int_equal(id.ver, 0x00020400);
	assert_int_equal(id.oaes, EXP_NVME_OAES_ATTACHED_NS | EXP_NVME_OAES_ALLOCATED_NS);
	assert_int_equal(id.ctratt, EXP_NVME_CTRATT_UUID_LIST | EXP_NVME_CTRATT_MEM);
	assert_int_equal(id.cntrltype, EXP_NVME_CNTRLTYPE_IO);
	assert_int_equal(id.oacs,
			 EXP_NVME_OACS_NS_MGMT | EXP_NVME_OACS_LBA_STATUS | EXP_NVME_OACS_HMLMS);
	assert_int_equal(id.acl, 7);
	assert_int_equal(id.aerl, 3);
	assert_int_equal(id.frmw, 0x1a);
	assert_int_equal(id.lpa, 0x1e);
	assert_int_equal(id.elpe, 0x3f);
	assert_int_equal(id.npss, 1);
	assert_int_equal(id.hmpre, 17);
	assert_int_equal(id.tnvmcap, 0x10000000);
	assert_int_equal(id.tnvmcap_hi, 1);
	assert_int_equal(id.unvmcap, 0x08000000);
	assert_int_equal(id.unvmcap_hi, 2);
	assert_int_equal(id.kas, 10);
	assert_int_equal(id.domainid, 3);
	assert_int_equal(id.mnens, 16);
	assert_int_equal(id.mnecpens, 2);
	assert_int_equal(id.mensnn, 4);
	assert_int_equal(id.ensa, EXP_NVME_ENSA_TEMPLATE | EXP_NVME_ENSA_MIGRATE);
	assert_int_equal(id.endsfs, EXP_NVME_ENDSFS_ENF1);
	assert_int_equal(id.sqes, 0x66);
	assert_int_equal(id.cqes, 0x44);
	assert_int_equal(id.maxcmd, 1024);
	assert_int_equal(id.nn, 32);
	assert_int_equal(id.oncs, EXP_NVME_ONCS_DSM | EXP_NVME_ONCS_WRITE_ZEROES);
	assert_int_equal(id.fuses, 1);
	assert_int_equal(id.fna, 2);
	assert_int_equal(id.vwc, 7);
	assert_int_equal(id.awun, 255);
	assert_int_equal(id.awupf, 7);
	assert_int_equal(id.acwu, 31);
	assert_int_equal(id.ocfs, 3);
	assert_int_equal(id.sgls, 0x000f0001);
	assert_int_equal(id.mnan, 64);
	assert_int_equal(id.cmmrtd, 32);
	assert_int_equal(id.nmmrtd, 64);
	assert_int_equal(id.minmrtg, 2);
	assert_int_equal(id.maxmrtg, 8);
	assert_int_equal(id.trattr & EXP_NVME_TRATTR_USER_DATA, 2);
	assert_int_equal(id.mcudmq, 4);
	assert_int_equal(id.mnsudmq, 8);
	assert_int_equal(id.mcmr, 4096);
	assert_int_equal(id.nmcmr, 16384);
	assert_int_equal(id.mcdqpc, 256);
	assert_string_equal(id.subnqn.s, "nqn.2026-11.org.example:ssd1");
}

static void test_ctrl_text_is_made_printable(void **state)
{
	struct exp_nvme_id_ctrl id;

	(void)state;
	make_ctrl();
	memset(page + 4, 'S', 20);
	at(8, "1b 00 ff 25"); /* escape, NUL in the middle, a high byte, '%' */
	assert_int_equal(exp_nvme_id_ctrl_parse(page, sizeof(page), &id, NULL), 0);
	assert_string_equal(id.sn, "SSSS???%SSSSSSSSSSSS");
	at(4, "20 7e 1f 7f"); /* the first and last printable ones, and what lies beside them */
	assert_int_equal(exp_nvme_id_ctrl_parse(page, sizeof(page), &id, NULL), 0);
	assert_string_equal(id.sn, " ~?????%SSSSSSSSSSSS");
	memset(page + 24, ' ', 40);
	assert_int_equal(exp_nvme_id_ctrl_parse(page, sizeof(page), &id, NULL), 0);
	assert_string_equal(id.mn, "");
}

static void test_ctrl_bad_name_is_no_name(void **state)
{
	struct exp_nvme_id_ctrl id;

	(void)state;
	make_ctrl();
	page[768] = 'x';
	assert_int_equal(exp_nvme_id_ctrl_parse(page, sizeof(page), &id, NULL), 0);
	assert_string_equal(id.subnqn.s, "");
	memset(page + 768, 'n', 256); /* no NUL at all */
	assert_int_equal(exp_nvme_id_ctrl_parse(page, sizeof(page), &id, NULL), 0);
	assert_string_equal(id.subnqn.s, "");
}

static void test_ctrl_refuses(void **state)
{
	struct exp_nvme_id_ctrl id;
	struct exp_error err = { 0 };

	(void)state;
	memset(page, 0, sizeof(page));
	assert_int_equal(exp_nvme_id_ctrl_parse(page, sizeof(page), &id, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "all zero");
	make_ctrl();
	at(78, "f0ff");
	assert_int_equal(exp_nvme_id_ctrl_parse(page, sizeof(page), &id, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "FFF0h");
	at(78, "efff");
	assert_ok(exp_nvme_id_ctrl_parse(page, sizeof(page), &id, &err), &err);
}

static void test_ctrl_nvm(void **state)
{
	struct exp_nvme_id_ctrl_nvm id;

	(void)state;
	memset(page, 0, sizeof(page));
	at(0, "01 02 03 04 05000000 0600000000000000");
	at(18, "0100 00020100 c0"); /* AOCS, VER 1.2.0, LBAMQF */
	assert_int_equal(exp_nvme_id_ctrl_nvm_parse(page, sizeof(page), &id, NULL), 0);
	assert_int_equal(id.vsl, 1);
	assert_int_equal(id.wzsl, 2);
	assert_int_equal(id.wusl, 3);
	assert_int_equal(id.dmrl, 4);
	assert_int_equal(id.dmrsl, 5);
	assert_int_equal(id.dmsl, 6);
	assert_int_equal(id.aocs, EXP_NVME_AOCS_RALBAS);
	assert_int_equal(id.ver, 0x00010200);
	assert_int_equal(id.lbamqf, 0xc0);
}

static void make_ns(void)
{
	memset(page, 0, sizeof(page));
	at(0, "0000200000000000 0000180000000000 0000100000000000"); /* NSZE NCAP NUSE */
	at(24, "9f 01 01 02 1c 05 01 0f"); /* NSFEAT NLBAF FLBAS MC DPC DPS NMIC RESCAP */
	at(33, "09 0700 0600 0500 0400 0300 0200 0100");     /* DLFEAT NAWUN .. NABSPF NOIOB */
	at(48, "00000080 00000000 0100000000000000");        /* NVMCAP */
	at(64, "1100 1200 1300 1400 1500 1600 17000000 18"); /* NPWG .. MSRC */
	at(82, "01");                                        /* NULBAF */
	at(92, "22000000");
	at(99, "01 2300 2400");
	at(104, "000102030405060708090a0b0c0d0e0f");
	at(120, "1011121314151617");
	at(128, "0000 09 00  0800 0c 02  0000 0c 01"); /* 512+0, 4096+8, 4096+0 */
}

static void test_ns_every_field_has_its_place(void **state)
{
	struct exp_nvme_id_ns ns;
	struct exp_error err = { 0 };

	(void)state;
	make_ns();
	assert_ok(exp_nvme_id_ns_parse(page, sizeof(page), &ns, &err), &err);
	assert_int_equal(ns.nsze, 0x200000);
	assert_int_equal(ns.ncap, 0x180000);
	assert_int_equal(ns.nuse, 0x100000);
	assert_int_equal(ns.nsfeat, 0x9f);
	assert_int_equal(ns.nlbaf, 1);
	assert_int_equal(ns.flbas, 1);
	assert_int_equal(ns.mc, 2);
	assert_int_equal(ns.dpc, 0x1c);
	assert_int_equal(ns.dps, 5);
	assert_int_equal(ns.nmic, EXP_NVME_NMIC_SHARED);
	assert_int_equal(ns.rescap, 15);
	assert_int_equal(ns.dlfeat & EXP_NVME_DLFEAT_READ_MASK, EXP_NVME_DLFEAT_READ_ZERO);
	assert_int_equal(ns.nawun, 7);
	assert_int_equal(ns.nawupf, 6);
	assert_int_equal(ns.nacwu, 5);
	assert_int_equal(ns.nabsn, 4);
	assert_int_equal(ns.nabo, 3);
	assert_int_equal(ns.nabspf, 2);
	assert_int_equal(ns.noiob, 1);
	assert_int_equal(ns.nvmcap, 0x80000000);
	assert_int_equal(ns.nvmcap_hi, 1);
	assert_int_equal(ns.npwg, 0x11);
	assert_int_equal(ns.npwa, 0x12);
	assert_int_equal(ns.npdg, 0x13);
	assert_int_equal(ns.npda, 0x14);
	assert_int_equal(ns.nows, 0x15);
	assert_int_equal(ns.mssrl, 0x16);
	assert_int_equal(ns.mcl, 0x17);
	assert_int_equal(ns.msrc, 0x18);
	assert_int_equal(ns.anagrpid, 0x22);
	assert_int_equal(ns.nsattr, EXP_NVME_NSATTR_WRITE_PROTECTED);
	assert_int_equal(ns.nvmsetid, 0x23);
	assert_int_equal(ns.endgid, 0x24);
	assert_hex(ns.nguid, 16, "000102030405060708090a0b0c0d0e0f");
	assert_hex(ns.eui64, 8, "1011121314151617");
	assert_int_equal(ns.n_formats, 3);
	assert_int_equal(ns.format, 1);
	assert_int_equal(ns.lbaf[0].lba_bytes, 512);
	assert_int_equal(ns.lbaf[1].ms, 8);
	assert_int_equal(ns.lbaf[1].lba_bytes, 4096);
	assert_int_equal(ns.lbaf[1].rp, 2);
	assert_int_equal(ns.lbaf[2].lbads, 12);
}

static void ns_bad(const char *why)
{
	struct exp_nvme_id_ns ns;
	struct exp_error err = { 0 };

	assert_int_equal(exp_nvme_id_ns_parse(page, sizeof(page), &ns, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, why);
}

static void test_ns_high_bits_of_flbas_need_more_than_16_formats(void **state)
{
	struct exp_nvme_id_ns ns;

	(void)state;
	make_ns();
	page[26] = 0x21; /* bits 6:5 = 01b */
	assert_int_equal(exp_nvme_id_ns_parse(page, sizeof(page), &ns, NULL), 0);
	assert_int_equal(ns.format, 1);
	page[25] = 15; /* 16 and one more unique format: 17 */
	at(128 + 4 * 17, "0000 0c 00");
	ns_bad("format 17, which is not one of the 17");
	page[82] = 0; /* 16 */
	assert_int_equal(exp_nvme_id_ns_parse(page, sizeof(page), &ns, NULL), 0);
	assert_int_equal(ns.format, 1);
	page[25] = 31;
	at(128 + 4 * 17, "0000 0c 00");
	assert_int_equal(exp_nvme_id_ns_parse(page, sizeof(page), &ns, NULL), 0);
	assert_int_equal(ns.format, 17);
	assert_int_equal(ns.n_formats, 32);
	page[25] = 63;
	page[26] = 0x7f; /* 11 1111b; bit 4 is not of the index */
	at(128 + 4 * 63, "0000 09 00");
	assert_int_equal(exp_nvme_id_ns_parse(page, sizeof(page), &ns, NULL), 0);
	assert_int_equal(ns.format, 63);
	assert_int_equal(ns.n_formats, 64);
	page[26] = 0x0f;
	ns_bad("format 15, which is not one");
}

static void test_ns_refuses(void **state)
{
	struct exp_nvme_id_ns ns;
	struct exp_error err = { 0 };

	(void)state;
	memset(page, 0, sizeof(page));
	assert_int_equal(exp_nvme_id_ns_parse(page, sizeof(page), &ns, &err), -ENOENT);
	assert_error(&err, EXP_CODE_NOT_FOUND, "no such namespace");

	make_ns();
	at(25, "3f"); /* 64 + 1 formats */
	ns_bad("65 formats");
	make_ns();
	at(26, "03");
	at(128 + 4 * 3, "0000 0c 00");
	ns_bad("FLBAS 03h");
	make_ns();
	at(128 + 4 + 2, "00"); /* the one in use is not there */
	ns_bad("FLBAS 01h");
	make_ns();
	at(128 + 2, "08");
	ns_bad("LBADS of format 0 is 8");
	make_ns();
	at(128 + 2, "20");
	ns_bad("LBADS of format 0 is 32");
	at(128 + 2, "1f");
	assert_ok(exp_nvme_id_ns_parse(page, sizeof(page), &ns, &err), &err);
	assert_true(ns.lbaf[0].lba_bytes == 0x80000000);
	at(128 + 2, "00");
	assert_ok(exp_nvme_id_ns_parse(page, sizeof(page), &ns, &err), &err);
	assert_int_equal(ns.lbaf[0].lba_bytes, 0);
	make_ns();
	at(8, "0100200000000000"); /* NCAP is one more than NSZE */
	ns_bad("descending order");
	make_ns();
	at(8, "0000200000000000 0000200000000000"); /* full and thick */
	assert_ok(exp_nvme_id_ns_parse(page, sizeof(page), &ns, &err), &err);
	make_ns();
	at(16, "0100180000000000"); /* NUSE one more than NCAP */
	ns_bad("descending order");
	make_ns();
	at(0, "0000000000000000 0000000000000000 0000000000000000");
	ns_bad("descending order");
	make_ns();
	at(0, "0000000000000800"); /* 2^51 blocks of 4096 bytes: 2^63 */
	ns_bad("byte offset");
	at(0, "ffffffffffff0700"); /* one block less */
	assert_ok(exp_nvme_id_ns_parse(page, sizeof(page), &ns, &err), &err);
	at(0, "0000000000001000"); /* 2^52: 2^64 */
	ns_bad("byte offset");
}

/* Asked for FFFFFFFFh the page has formats but no size. */
static void test_ns_common(void **state)
{
	struct exp_nvme_id_ns ns;

	(void)state;
	make_ns();
	memset(page, 0, 24);
	assert_int_equal(exp_nvme_id_ns_common_parse(page, sizeof(page), &ns, NULL), 0);
	assert_int_equal(ns.n_formats, 3);
	ns_bad("descending order");
}

static void test_ns_tracked_allocation_granularity(void **state)
{
	uint32_t tlbaag;

	(void)state;
	memset(page, 0xff, sizeof(page));
	at(292, "08070605");
	assert_int_equal(exp_nvme_tlbaag_parse(page, sizeof(page), &tlbaag, NULL), 0);
	assert_int_equal(tlbaag, 0x05060708);
}

static int parse_ctrl(const uint8_t *p, size_t len, struct exp_error *err)
{
	struct exp_nvme_id_ctrl id;
	int r = exp_nvme_id_ctrl_parse(p, len, &id, err);

	if (r < 0)
		return r;
	assert_true(strlen(id.sn) <= 20 && strlen(id.mn) <= 40 && strlen(id.fr) <= 8);
	assert_true(strlen(id.subnqn.s) <= EXP_NQN_MAX);
	return 0;
}

static int parse_ns(const uint8_t *p, size_t len, struct exp_error *err)
{
	struct exp_nvme_id_ns ns;
	int r = exp_nvme_id_ns_parse(p, len, &ns, err);

	if (r < 0)
		return r;
	assert_true(ns.format < ns.n_formats && ns.n_formats <= EXP_NVME_FORMATS_MAX);
	assert_true(ns.lbaf[ns.format].lba_bytes >= 512);
	assert_true(ns.nsze <= INT64_MAX / ns.lbaf[ns.format].lba_bytes);
	return 0;
}

static int parse_ctrl_nvm(const uint8_t *p, size_t len, struct exp_error *err)
{
	struct exp_nvme_id_ctrl_nvm id;

	return exp_nvme_id_ctrl_nvm_parse(p, len, &id, err);
}

static int parse_tlbaag(const uint8_t *p, size_t len, struct exp_error *err)
{
	uint32_t tlbaag;

	return exp_nvme_tlbaag_parse(p, len, &tlbaag, err);
}

static void test_pages_cut_short(void **state)
{
	(void)state;
	make_ctrl();
	test_truncated(parse_ctrl, page, sizeof(page));
	test_truncated(parse_ctrl_nvm, page, sizeof(page));
	make_ns();
	test_truncated(parse_ns, page, sizeof(page));
	test_truncated(parse_tlbaag, page, sizeof(page));
}

static void test_pages_mutated(void **state)
{
	(void)state;
	make_ctrl();
	test_mutated(parse_ctrl, page, sizeof(page), 0x1dc0000, TEST_MUTATIONS);
	make_ns();
	test_mutated(parse_ns, page, sizeof(page), 0x1d50000, TEST_MUTATIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identify_command),
		cmocka_unit_test(test_ctrl_every_field_has_its_place),
		cmocka_unit_test(test_ctrl_text_is_made_printable),
		cmocka_unit_test(test_ctrl_bad_name_is_no_name),
		cmocka_unit_test(test_ctrl_refuses),
		cmocka_unit_test(test_ctrl_nvm),
		cmocka_unit_test(test_ns_every_field_has_its_place),
		cmocka_unit_test(test_ns_high_bits_of_flbas_need_more_than_16_formats),
		cmocka_unit_test(test_ns_refuses),
		cmocka_unit_test(test_ns_common),
		cmocka_unit_test(test_ns_tracked_allocation_granularity),
		cmocka_unit_test(test_pages_cut_short),
		cmocka_unit_test(test_pages_mutated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
