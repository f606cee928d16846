/* SPDX-License-Identifier: Apache-2.0 */
/* lib/nvme/ident_list: descriptors, UUIDs, state formats, controller and namespace lists */
#include <errno.h>

#include "support/nvme_tests.h"

#include "nvme/ident.h"

static uint8_t page[4096];

static void at(size_t off, const char *hex)
{
	test_at(page, sizeof(page), off, hex);
}

static void clear(void)
{
	memset(page, 0, sizeof(page));
}

/* EUI64, NGUID, UUID, CSI, a type of the future, the end */
static void make_descs(void)
{
	clear();
	at(0, "01 08 0000 1011121314151617");
	at(12, "02 10 0000 202122232425262728292a2b2c2d2e2f");
	at(32, "03 10 0000 303132333435363738393a3b3c3d3e3f");
	at(52, "04 01 0000 00");
	at(57, "7f 03 0000 aabbcc");
}

static void test_descs(void **state)
{
	struct exp_nvme_ns_descs d;
	struct exp_error err = { 0 };

	(void)state;
	make_descs();
	assert_ok(exp_nvme_ns_descs_parse(page, sizeof(page), &d, &err), &err);
	assert_true(d.has_eui64 && d.has_nguid && d.has_uuid && d.has_csi);
	assert_hex(d.eui64, 8, "1011121314151617");
	assert_hex(d.nguid, 16, "202122232425262728292a2b2c2d2e2f");
	assert_hex(d.uuid.b, 16, "303132333435363738393a3b3c3d3e3f");
	assert_int_equal(d.csi, 0);

	page[12] = 0x7e; /* not NGUID any more */
	assert_int_equal(exp_nvme_ns_descs_parse(page, sizeof(page), &d, NULL), 0);
	assert_false(d.has_nguid);
	assert_true(d.has_uuid);

	make_descs();
	page[13] = 0; /* length 0 ends the list, whatever the type says */
	assert_int_equal(exp_nvme_ns_descs_parse(page, sizeof(page), &d, NULL), 0);
	assert_true(d.has_eui64);
	assert_false(d.has_nguid || d.has_uuid);
	make_descs();
	page[12] = 0; /* a reserved type with a length is skipped */
	assert_int_equal(exp_nvme_ns_descs_parse(page, sizeof(page), &d, NULL), 0);
	assert_false(d.has_nguid);
	assert_true(d.has_uuid);

	clear();
	assert_int_equal(exp_nvme_ns_descs_parse(page, sizeof(page), &d, NULL), 0);
	assert_false(d.has_eui64 || d.has_nguid || d.has_uuid || d.has_csi);
}

static void descs_bad(const char *why)
{
	struct exp_nvme_ns_descs d;
	struct exp_error err = { 0 };

	assert_int_equal(exp_nvme_ns_descs_parse(page, sizeof(page), &d, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, why);
}

static void test_descs_refuse(void **state)
{
	struct exp_nvme_ns_descs d;

	(void)state;
	make_descs();
	page[1] = 9;
	descs_bad("EUI64 has 9 bytes, not 8");
	make_descs();
	page[13] = 15;
	descs_bad("NGUID has 15 bytes");
	make_descs();
	page[53] = 2;
	descs_bad("CSI has 2 bytes");
	make_descs();
	at(32, "02 10 0000 303132333435363738393a3b3c3d3e3f");
	descs_bad("NGUID comes twice");
	/* fill the page with types of the future so that the last one ends beyond it */
	clear();
	for (size_t off = 0; off < 4096; off += 256)
		at(off, "7f fc");
	at(4096 - 256 + 1, "fb");
	at(4096 - 1, "00");
	assert_int_equal(exp_nvme_ns_descs_parse(page, sizeof(page),
						 &(struct exp_nvme_ns_descs){ 0 }, NULL),
			 0);
	at(4096 - 256 + 1, "fd");
	descs_bad("at byte 3840 has 253 bytes");
	/* one that ends exactly at the end of the page, and a head in its last four bytes */
	at(4096 - 256 + 1, "fc");
	assert_int_equal(exp_nvme_ns_descs_parse(page, sizeof(page), &d, NULL), 0);
	at(4096 - 256 + 1, "f8");
	at(4096 - 4, "7f 00");
	assert_int_equal(exp_nvme_ns_descs_parse(page, sizeof(page), &d, NULL), 0);
	at(4096 - 4, "7f 01");
	descs_bad("at byte 4092 has 1 bytes");
}

static void test_uuid_list(void **state)
{
	struct exp_nvme_uuid_list l;

	(void)state;
	clear();
	at(32, "01"); /* header of entry 1 */
	at(48, "9f1c5b62 6d0e 4c1b 8a57 1e5d2c7b4a10");
	at(80, "41d30a9e 27b8 4f66 930c 75e218af64bd");
	at(144, "ff"); /* entry 4, beyond the end that entry 3 is */
	assert_int_equal(exp_nvme_uuid_list_parse(page, sizeof(page), &l, NULL), 0);
	assert_int_equal(l.n, 2);
	assert_hex(l.uuid[0].b, 16, "9f1c5b626d0e4c1b8a571e5d2c7b4a10");
	assert_hex(l.uuid[1].b, 16, "41d30a9e27b84f66930c75e218af64bd");
	memset(page, 0xff, sizeof(page));
	assert_int_equal(exp_nvme_uuid_list_parse(page, sizeof(page), &l, NULL), 0);
	assert_int_equal(l.n, 127);
}

static void test_state_formats(void **state)
{
	struct exp_nvme_state_formats f;
	struct exp_uuid u;

	(void)state;
	clear();
	/* two versions: 0, 7; two UUIDs at 2 * (2 + 1) = 6 and 22 */
	at(0, "02 02 0000 0700 41d30a9e27b84f66930c75e218af64bd 9f1c5b626d0e4c1b8a571e5d2c7b4a10");
	assert_int_equal(exp_nvme_state_formats_parse(page, sizeof(page), &f, NULL), 0);
	assert_int_equal(f.n_versions, 2);
	assert_int_equal(f.versions[0], 0);
	assert_int_equal(f.versions[1], 7);
	assert_int_equal(f.n_uuids, 2);
	assert_hex(f.uuids[1].b, 16, "9f1c5b626d0e4c1b8a571e5d2c7b4a10");
	/* indices are 1-based, 0 means none */
	assert_int_equal(exp_nvme_csvi(&f, 0), 1);
	assert_int_equal(exp_nvme_csvi(&f, 7), 2);
	assert_int_equal(exp_nvme_csvi(&f, 1), 0);
	assert_int_equal(exp_uuid_parse("9f1c5b62-6d0e-4c1b-8a57-1e5d2c7b4a10", &u), 0);
	assert_int_equal(exp_nvme_csuuidi(&f, &u), 2);
	assert_int_equal(exp_nvme_csuuidi(&f, &f.uuids[0]), 1);
	f.uuids[2] = u; /* beyond n, as the version 9 there */
	f.uuids[2].b[0] ^= 1;
	f.versions[2] = 9;
	u.b[0] ^= 1;
	assert_int_equal(exp_nvme_csvi(&f, 9), 0);
	assert_int_equal(exp_nvme_csuuidi(&f, &u), 0);
}

static void test_state_formats_refuse(void **state)
{
	struct exp_nvme_state_formats f;
	struct exp_error err = { 0 };

	(void)state;
	clear();
	at(0, "ff ff"); /* 2 + 510 + 4080 = 4592 bytes */
	assert_int_equal(exp_nvme_state_formats_parse(page, sizeof(page), &f, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "4592 bytes");
	at(0, "07 ff"); /* 2 + 14 + 4080 = 4096: just fits */
	assert_int_equal(exp_nvme_state_formats_parse(page, sizeof(page), &f, NULL), 0);
	assert_int_equal(f.n_uuids, 255);
	at(0, "08 ff");
	assert_int_equal(exp_nvme_state_formats_parse(page, sizeof(page), &f, NULL), -EBADMSG);
}

static void test_ctrl_list(void **state)
{
	struct exp_nvme_ctrl_list l;
	struct exp_error err = { 0 };

	(void)state;
	clear();
	at(0, "0300 0100 0200 0a01 ffff");
	assert_int_equal(exp_nvme_ctrl_list_parse(page, sizeof(page), &l, NULL), 0);
	assert_int_equal(l.n, 3);
	assert_int_equal(l.id[0], 1);
	assert_int_equal(l.id[2], 0x010a);
	assert_int_equal(l.id[1], 2);
	assert_true(exp_nvme_ctrl_list_has(&l, 1));
	assert_true(exp_nvme_ctrl_list_has(&l, 2));
	assert_false(exp_nvme_ctrl_list_has(&l, 0));
	assert_false(exp_nvme_ctrl_list_has(&l, 0xffff));
	assert_false(exp_nvme_ctrl_list_more(&l));

	at(0, "0300 0100 0100 0a01");
	assert_int_equal(exp_nvme_ctrl_list_parse(page, sizeof(page), &l, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "do not ascend");
	at(0, "0008"); /* 2048 */
	assert_int_equal(exp_nvme_ctrl_list_parse(page, sizeof(page), &l, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "claims 2048 ids");
	at(0, "ff07");
	for (unsigned int i = 0; i < 2047; i++)
		exp_put_le16(page + 2 + 2 * i, (uint16_t)i);
	assert_int_equal(exp_nvme_ctrl_list_parse(page, sizeof(page), &l, NULL), 0);
	assert_int_equal(l.id[2046], 2046);
	assert_true(exp_nvme_ctrl_list_more(&l));
}

static void test_ns_list(void **state)
{
	struct exp_nvme_ns_list l;
	struct exp_error err = { 0 };

	(void)state;
	clear();
	at(0, "01000000 02000000 00010000");
	at(16, "05000000"); /* beyond the end that the 0 before it is */
	assert_int_equal(exp_nvme_ns_list_parse(page, sizeof(page), &l, NULL), 0);
	assert_int_equal(l.n, 3);
	assert_int_equal(l.id[0], 1);
	assert_int_equal(l.id[1], 2);
	assert_int_equal(l.id[2], 256);
	assert_int_equal(l.id[3], 0);
	at(0, "01000000 01000000");
	assert_int_equal(exp_nvme_ns_list_parse(page, sizeof(page), &l, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "do not ascend");
	for (uint32_t i = 0; i < 1024; i++)
		exp_put_le32(page + 4 * i, i + 1);
	assert_int_equal(exp_nvme_ns_list_parse(page, sizeof(page), &l, NULL), 0);
	assert_int_equal(l.n, 1024);
	assert_int_equal(l.id[1023], 1024);
	clear();
	assert_int_equal(exp_nvme_ns_list_parse(page, sizeof(page), &l, NULL), 0);
	assert_int_equal(l.n, 0);
}

static int parse_descs(const uint8_t *p, size_t len, struct exp_error *err)
{
	struct exp_nvme_ns_descs d;

	return exp_nvme_ns_descs_parse(p, len, &d, err);
}

static int parse_uuids(const uint8_t *p, size_t len, struct exp_error *err)
{
	struct exp_nvme_uuid_list l;
	int r = exp_nvme_uuid_list_parse(p, len, &l, err);

	assert_true(r < 0 || l.n <= EXP_NVME_UUIDS_MAX);
	return r;
}

static int parse_formats(const uint8_t *p, size_t len, struct exp_error *err)
{
	struct exp_nvme_state_formats f;
	int r = exp_nvme_state_formats_parse(p, len, &f, err);

	assert_true(r < 0 || (f.n_versions <= 255 && f.n_uuids <= 255));
	return r;
}

static int parse_ctrls(const uint8_t *p, size_t len, struct exp_error *err)
{
	struct exp_nvme_ctrl_list l;
	int r = exp_nvme_ctrl_list_parse(p, len, &l, err);

	assert_true(r < 0 || l.n <= EXP_NVME_CTRL_LIST_MAX);
	return r;
}

static int parse_nss(const uint8_t *p, size_t len, struct exp_error *err)
{
	struct exp_nvme_ns_list l;
	int r = exp_nvme_ns_list_parse(p, len, &l, err);

	assert_true(r < 0 || l.n <= EXP_NVME_NS_LIST_MAX);
	return r;
}

static const struct {
	test_parser parse;
	const char *front; /* good bytes at the front of the page */
} parsers[] = {
	{ parse_descs, "01080000 1011121314151617 02100000 202122232425262728292a2b2c2d2e2f "
		       "03100000 303132333435363738393a3b3c3d3e3f 04010000 00" },
	{ parse_uuids, "00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 "
		       "01000000 00000000 00000000 00000000 9f1c5b626d0e4c1b8a571e5d2c7b4a10" },
	{ parse_formats, "02 01 0000 0700 41d30a9e27b84f66930c75e218af64bd" },
	{ parse_ctrls, "0300 0100 0200 0a01" },
	{ parse_nss, "01000000 02000000 00010000" },
};

static void test_lists_cut_short_and_mutated(void **state)
{
	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(parsers); i++) {
		clear();
		at(0, parsers[i].front);
		test_truncated(parsers[i].parse, page, sizeof(page));
		test_mutated(parsers[i].parse, page, sizeof(page), 0x115700000 + i * 0x100000,
			     TEST_MUTATIONS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descs),
		cmocka_unit_test(test_descs_refuse),
		cmocka_unit_test(test_uuid_list),
		cmocka_unit_test(test_state_formats),
		cmocka_unit_test(test_state_formats_refuse),
		cmocka_unit_test(test_ctrl_list),
		cmocka_unit_test(test_ns_list),
		cmocka_unit_test(test_lists_cut_short_and_mutated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
