/* SPDX-License-Identifier: Apache-2.0 */
/* lib/nvme/ctrl_state: the controller state image, its checks, formats in common (Base 5.2.17) */
#include <errno.h>

#include "support/nvme_tests.h"

#include "nvme/ctrl_state.h"

/* 48 bytes: VER 0, CP, NVMECSS, VSS in dwords */
#define HEAD(nvmecss, vss)                                                          \
	"0000 01 00000000000000000000000000" nvmecss "000000000000000000000000" vss \
	"000000000000000000000000"
/* SQ 1: base 100000h, 64 entries, CQ 1, PC and priority 2, head 3, tail 7 */
#define SQ1 "0000100000000000 3f00 0100 0100 0500 0300 0700 00000000"
/* CQ 1: base 200000h, 64 entries, head 8, tail 9, vector 1, phase 1, interrupts, contiguous */
#define CQ1           "0000200000000000 3f00 0100 0800 0900 0700 0100 00000000"
#define PAIR(version) version "0100 0100 0000" SQ1 CQ1
#define QUEUES_IMAGE  HEAD("0e000000", "00000000") PAIR("0000")

/* header of the Reference state: CP, one AER with id 42h, admin queue 3 3 5 5, NVMECSS 14 */
#define REF_HEAD(nvmecss)                                              \
	"0000 01 01 4200 0000 0000 0000 0300 0300 0500 0500 01 000000" \
	"00000000 0000 0000 00 000000 00000000 00000000 00000000"      \
	"0000000000000000" nvmecss "00000000"
/* 64 + 56 bytes as vendor part: 30 dwords */
#define REFERENCE_IMAGE HEAD("00000000", "1e000000") REF_HEAD("0e000000") PAIR("0100")

static uint8_t image[8192];

static size_t make(const char *hex)
{
	memset(image, 0, sizeof(image));
	return test_hex(image, sizeof(image), hex);
}

static void test_parse_queues(void **state)
{
	struct exp_nvme_ctrl_state st;
	EXP_CLEANUP(exp_nvme_state_donep) struct exp_nvme_ctrl_state *owned = NULL;
	struct exp_error err = { 0 };
	size_t bytes, n = make(QUEUES_IMAGE);

	(void)state;
	assert_int_equal(n, 104);
	assert_ok(exp_nvme_state_bytes(image, 48, &bytes, &err), &err);
	assert_int_equal(bytes, 104);
	assert_ok(exp_nvme_state_parse(image, n, EXP_NVME_STATE_QUEUES, &st, &err), &err);
	owned = &st;
	assert_true(st.cp && st.has_queues);
	assert_int_equal(st.queues_ver, 0);
	assert_int_equal(st.n_sq, 1);
	assert_int_equal(st.n_cq, 1);
	assert_int_equal(st.sq[0].base, 0x100000);
	assert_int_equal(st.sq[0].qsize, 63);
	assert_int_equal(st.sq[0].qid, 1);
	assert_int_equal(st.sq[0].cqid, 1);
	assert_true(st.sq[0].contiguous);
	assert_int_equal(st.sq[0].priority, 2);
	assert_int_equal(st.sq[0].head, 3);
	assert_int_equal(st.sq[0].tail, 7);
	assert_int_equal(st.cq[0].base, 0x200000);
	assert_int_equal(st.cq[0].qsize, 63);
	assert_int_equal(st.cq[0].qid, 1);
	assert_int_equal(st.cq[0].head, 8);
	assert_int_equal(st.cq[0].tail, 9);
	assert_true(st.cq[0].contiguous && st.cq[0].interrupts && st.cq[0].slot0_phase);
	assert_int_equal(st.cq[0].vector, 1);
	assert_int_equal(owned->bytes, 104);
}

static void test_parse_reference(void **state)
{
	struct exp_nvme_ctrl_state st;
	struct exp_nvme_state_summary sum;
	struct exp_error err = { 0 };
	size_t n = make(REFERENCE_IMAGE);

	(void)state;
	assert_int_equal(n, 48 + 64 + 56);
	assert_ok(exp_nvme_state_parse(image, n, EXP_NVME_STATE_REFERENCE, &st, &err), &err);
	assert_true(st.ref.cp);
	assert_int_equal(st.ref.n_aers, 1);
	assert_int_equal(st.ref.aer_cid[0], 0x42);
	assert_int_equal(st.ref.acq_head, 5);
	assert_int_equal(st.queues_ver, 1);
	assert_int_equal(st.n_sq, 1);
	exp_nvme_state_summarize(&st, &sum);
	assert_true(sum.whole && sum.admin_queue);
	assert_int_equal(sum.n_aers, 1);
	assert_int_equal(sum.waiting, 4);
	assert_int_equal(sum.bytes, n);
	exp_nvme_state_done(&st);
	/* a controller that never had an I/O queue: the header alone */
	n = make(HEAD("00000000", "10000000") REF_HEAD("00000000"));
	assert_ok(exp_nvme_state_parse(image, n, EXP_NVME_STATE_REFERENCE, &st, &err), &err);
	assert_false(st.has_queues);
	exp_nvme_state_done(&st);
}

static void test_parse_vendor_part_is_borrowed(void **state)
{
	struct exp_nvme_ctrl_state st;
	struct exp_error err = { 0 };
	size_t n = make(HEAD("0e000000", "02000000") PAIR("0000") "0102030405060708");

	(void)state;
	assert_ok(exp_nvme_state_parse(image, n, EXP_NVME_STATE_VENDOR, &st, &err), &err);
	assert_ptr_equal(st.vendor, image + 104);
	assert_int_equal(st.vendor_bytes, 8);
	exp_nvme_state_done(&st);
}

static void image_bad(size_t n, enum exp_nvme_state_kind kind, const char *why)
{
	struct exp_nvme_ctrl_state st;
	struct exp_error err = { 0 };

	assert_int_equal(exp_nvme_state_parse(image, n, kind, &st, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, why);
}

static void queues_bad(size_t at, const char *hex, const char *why)
{
	size_t n = make(QUEUES_IMAGE);

	test_at(image, sizeof(image), at, hex);
	image_bad(n, EXP_NVME_STATE_QUEUES, why);
}

static void test_container_refused(void **state)
{
	size_t bytes;
	struct exp_error err = { 0 };

	(void)state;
	queues_bad(0, "01", "container version 1");
	queues_bad(2, "03", "byte 2");
	queues_bad(3, "01", "byte 3");
	queues_bad(15, "01", "byte 15");
	queues_bad(16, "0f", "104 bytes, the header says 108");
	queues_bad(32, "01", "104 bytes, the header says 108");
	/* sizes of 128 bits */
	queues_bad(24, "01", "at most 262144 bytes");
	queues_bad(24, "01", "NVMECSS 0000000000000001000000000000000Eh");
	queues_bad(40, "01", "VSS 00000000000000010000000000000000h");
	queues_bad(47, "80", "at most 262144 bytes");
	queues_bad(16, "ffffffffffffffff", "at most 262144 bytes");
	queues_bad(32, "0000000000000040", "at most 262144 bytes"); /* times 4 would be 0 */
	queues_bad(16, "f4ff0000", "header says 262144");           /* the most that is allowed */
	queues_bad(16, "f5ff0000", "at most 262144 bytes");
	make(QUEUES_IMAGE);
	assert_int_equal(exp_nvme_state_bytes(image, 47, &bytes, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, "47 bytes, the header alone has 48");
}

static void test_parts_must_fit_the_selection(void **state)
{
	size_t n = make(QUEUES_IMAGE);
	struct exp_nvme_ctrl_state st;
	struct exp_error err = { 0 };

	(void)state;
	image_bad(n, EXP_NVME_STATE_REFERENCE, "no queues and a vendor part were asked for");
	image_bad(n, EXP_NVME_STATE_VENDOR, "queues and a vendor part were asked for");
	n = make(REFERENCE_IMAGE);
	image_bad(n, EXP_NVME_STATE_QUEUES, "queues and no vendor part were asked for");
	/* version 0 where 1 belongs, and the other way round */
	n = make(HEAD("00000000", "1e000000") REF_HEAD("0e000000") PAIR("0000"));
	image_bad(n, EXP_NVME_STATE_REFERENCE, "version 0 where 1 belongs");
	queues_bad(48, "01", "version 1 where 0 belongs");
	n = make(HEAD("00000000", "1e000000") REF_HEAD("0d000000") PAIR("0100"));
	image_bad(n, EXP_NVME_STATE_REFERENCE, "NVMECSS says 52 bytes");
	n = make(HEAD("01000000", "00000000") "00000000");
	image_bad(n, EXP_NVME_STATE_QUEUES, "its header alone has 8");
	n = make(HEAD("00000000", "00000000"));
	image_bad(n, EXP_NVME_STATE_QUEUES, "0 bytes of queue state and 0 of vendor state");
	n = make(HEAD("02000000", "00000000") "0000 0000 0000 0000"); /* no queue at all */
	assert_ok(exp_nvme_state_parse(image, n, EXP_NVME_STATE_QUEUES, &st, &err), &err);
	assert_true(st.has_queues && !st.n_sq && !st.n_cq);
	exp_nvme_state_done(&st);
}

static void test_queue_state_refused(void **state)
{
	(void)state;
	queues_bad(50, "02", "2 submission and 1 completion queues take 80");
	queues_bad(52, "00", "1 submission and 0 completion queues take 32");
	queues_bad(50, "ffffffff", "65535 submission and 65535 completion");
	queues_bad(54, "01", "header of the queue state");
	/* submission queue at 56, completion queue at 80 */
	queues_bad(56 + 8, "0000", "submission queue 1 has one entry");
	queues_bad(56 + 10, "0000", "submission queue 0 follows 0");
	queues_bad(56 + 12, "0200", "completes to queue 2, which is not there");
	queues_bad(56 + 14, "0800", "attributes 0008h");
	queues_bad(56 + 16, "4000", "head 64");
	queues_bad(56 + 18, "4000", "tail 64");
	queues_bad(56 + 20, "01", "submission queue 1: reserved bytes");
	queues_bad(80 + 8, "0000", "completion queue 1 has one entry");
	queues_bad(80 + 10, "0000", "completion queue 0 follows 0");
	queues_bad(80 + 12, "4000", "head 64");
	queues_bad(80 + 14, "ffff", "tail 65535");
	queues_bad(80 + 16, "08000000", "attributes 00000008h");
	queues_bad(80 + 23, "01", "completion queue 1: reserved bytes");
}

static void test_queue_ids_ascend(void **state)
{
	/* two of each: 8 + 96 bytes, 26 dwords; the second entry is the first once more */
	size_t n = make(HEAD("1a000000", "00000000") "0000 0200 0200 0000" SQ1 SQ1 CQ1 CQ1);
	struct exp_nvme_ctrl_state st;
	struct exp_error err = { 0 };

	(void)state;
	image_bad(n, EXP_NVME_STATE_QUEUES, "submission queue 1 follows 1");
	image[56 + 24 + 10] = 5;
	image_bad(n, EXP_NVME_STATE_QUEUES, "completion queue 1 follows 1");
	image[104 + 24 + 10] = 9;
	assert_ok(exp_nvme_state_parse(image, n, EXP_NVME_STATE_QUEUES, &st, &err), &err);
	exp_nvme_state_done(&st);
	image[56 + 24 + 12] = 9; /* the second completes to the last */
	assert_ok(exp_nvme_state_parse(image, n, EXP_NVME_STATE_QUEUES, &st, &err), &err);
	exp_nvme_state_done(&st);
	image[56 + 24 + 12] = 8;
	image_bad(n, EXP_NVME_STATE_QUEUES, "queue 5 completes to queue 8");
}

/* Three of each, so that every one of them has to be found and checked. */
static void test_every_queue_counts(void **state)
{
	static const struct exp_nvme_memory all = { 0, UINT64_MAX };
	struct exp_nvme_state_limits l = { .n_sq = 3, .n_cq = 3, .mqes = 63 };
	struct exp_nvme_ctrl_state st;
	struct exp_error err = { 0 };
	size_t n = make(HEAD("26000000", "00000000") "0000 0300 0300 0000" SQ1 SQ1 SQ1 CQ1 CQ1 CQ1);

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		image[56 + 24 * i + 10] = (uint8_t)(i + 1);
		image[56 + 24 * i + 12] = (uint8_t)(3 - i); /* completes to 3, 2, 1 */
		image[128 + 24 * i + 10] = (uint8_t)(i + 1);
	}
	image[56 + 48 + 16] = 63; /* head and tail in the last slot */
	image[56 + 48 + 18] = 63;
	assert_ok(exp_nvme_state_parse(image, n, EXP_NVME_STATE_QUEUES, &st, &err), &err);
	assert_int_equal(st.sq[2].qid, 3);
	assert_int_equal(st.sq[2].cqid, 1);
	assert_int_equal(st.cq[2].qid, 3);
	assert_ok(exp_nvme_state_check_memory(&st, &all, 1, &err), &err);
	assert_ok(exp_nvme_state_check_limits(&st, &l, &err), &err);
	for (unsigned int i = 0; i < 3; i++) {
		st.sq[i].base++;
		assert_int_equal(exp_nvme_state_check_memory(&st, &all, 1, &err), -EPERM);
		st.sq[i].base--;
		st.cq[i].base++;
		assert_int_equal(exp_nvme_state_check_memory(&st, &all, 1, &err), -EPERM);
		st.cq[i].base--;
		st.sq[i].qsize++;
		assert_int_equal(exp_nvme_state_check_limits(&st, &l, &err), -EOPNOTSUPP);
		st.sq[i].qsize--;
		st.cq[i].qsize++;
		assert_int_equal(exp_nvme_state_check_limits(&st, &l, &err), -EOPNOTSUPP);
		st.cq[i].qsize--;
	}
	exp_nvme_state_done(&st);
	assert_null(st.sq);
	exp_nvme_state_done(NULL);
}

/* The largest image that is taken is built and read back; one dword more is not. */
static void test_largest_image(void **state)
{
	size_t vendor = EXP_NVME_STATE_MAX - EXP_NVME_STATE_HEAD - 8, n;
	uint8_t *part = calloc(1, vendor + 4), *out = malloc(EXP_NVME_STATE_MAX + 4);
	struct exp_nvme_ctrl_state st = {
		.kind = EXP_NVME_STATE_VENDOR,
		.has_queues = true,
		.vendor = part,
		.vendor_bytes = vendor,
	};
	struct exp_nvme_ctrl_state back;
	struct exp_error err = { 0 };

	(void)state;
	assert_true(part && out);
	assert_ok(exp_nvme_state_encode(&st, out, EXP_NVME_STATE_MAX + 4, &n, &err), &err);
	assert_int_equal(n, 262144);
	assert_ok(exp_nvme_state_parse(out, n, EXP_NVME_STATE_VENDOR, &back, &err), &err);
	assert_int_equal(back.vendor_bytes, vendor);
	exp_nvme_state_done(&back);
	st.vendor_bytes += 4;
	assert_int_equal(exp_nvme_state_encode(&st, out, EXP_NVME_STATE_MAX + 4, &n, &err),
			 -ENOSPC);
	assert_error(&err, EXP_CODE_TOO_LARGE, "262148 bytes, there is room for 262144");
	free(part);
	free(out);
}

static void test_whole_needs_every_cp(void **state)
{
	struct exp_nvme_ctrl_state st;
	struct exp_error err = { 0 };
	size_t n = make(REFERENCE_IMAGE);

	(void)state;
	assert_ok(exp_nvme_state_parse(image, n, EXP_NVME_STATE_REFERENCE, &st, &err), &err);
	assert_ok(exp_nvme_state_check_whole(&st, &err), &err);
	exp_nvme_state_done(&st);
	image[2] = 0;
	assert_ok(exp_nvme_state_parse(image, n, EXP_NVME_STATE_REFERENCE, &st, &err), &err);
	assert_int_equal(exp_nvme_state_check_whole(&st, &err), -ESTALE);
	assert_error(&err, EXP_CODE_NOT_SUSPENDED, "in the container");
	exp_nvme_state_done(&st);
	image[2] = 1;
	image[48 + 2] = 0;
	assert_int_equal(exp_nvme_state_parse(image, n, EXP_NVME_STATE_REFERENCE, &st, NULL), 0);
	assert_int_equal(exp_nvme_state_check_whole(&st, &err), -ESTALE);
	assert_error(&err, EXP_CODE_NOT_SUSPENDED, "in the Reference state");
	exp_nvme_state_done(&st);
}

/* A state with one queue pair; the arrays are the caller's. */
static struct exp_nvme_ctrl_state pair_at(struct exp_nvme_sq_state *sq, uint64_t sq_base,
					  struct exp_nvme_cq_state *cq, uint64_t cq_base)
{
	*sq = (struct exp_nvme_sq_state){
		.base = sq_base, .qsize = 63, .qid = 1, .cqid = 1, .contiguous = true
	};
	*cq = (struct exp_nvme_cq_state){
		.base = cq_base, .qsize = 255, .qid = 1, .contiguous = true
	};
	return (struct exp_nvme_ctrl_state){ .kind = EXP_NVME_STATE_QUEUES,
					     .cp = true,
					     .has_queues = true,
					     .n_sq = 1,
					     .n_cq = 1,
					     .sq = sq,
					     .cq = cq };
}

/* The submission queue is 64 * 64 = 1000h bytes, the completion queue 256 * 16 = 1000h. */
static void test_memory_map(void **state)
{
	static const struct {
		uint64_t sq, cq;
		struct exp_nvme_memory map[3];
		size_t n;
		const char *why; /* NULL: it fits */
	} cases[] = {
		{ 0x10000, 0x11000, { { 0x10000, 0x2000 } }, 1, NULL },
		{ 0x10000, 0x11000, { { 0, UINT64_MAX } }, 1, NULL },
		{ 0x10000, 0x11000, { { 0x10000, 0x1000 } }, 1, "completion queue 1" },
		{ 0x10000, 0x11000, { { 0x11000, 0x1000 } }, 1, "submission queue 1" },
		{ 0x10000, 0x11000, { { 0x10000, 0x1fff } }, 1, "at 0000000000011FFFh" },
		{ 0x10000, 0x11000, { { 0x10001, 0x2000 } }, 1, "at 0000000000010000h" },
		/* two ranges that touch, in either order, hold a queue together */
		{ 0x10000, 0x10000, { { 0x10800, 0x800 }, { 0x10000, 0x800 } }, 2, NULL },
		{ 0x10000,
		  0x10000,
		  { { 0x10801, 0x7ff }, { 0x10000, 0x800 } },
		  2,
		  "leaves the guest's memory at 0000000000010800h" },
		{ 0x10000, 0x10000, { { 0x10000, 0 }, { 0x10000, 0x1000 } }, 2, NULL },
		{ 0x10000, 0x10000, { { 0 } }, 0, "submission queue 1" },
		/* up to the last byte of the address space, and beyond it */
		{ 0x10000, 0xfffffffffffff000, { { 0, UINT64_MAX } }, 1, "wraps" },
		{ 0x10000, 0xffffffffffffe000, { { 0, UINT64_MAX } }, 1, NULL },
		{ 0x10800, 0x20000, { { 0, UINT64_MAX } }, 1, "not page aligned" },
		{ 0x10000, 0x20010, { { 0, UINT64_MAX } }, 1, "not page aligned" },
	};

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(cases); i++) {
		struct exp_nvme_sq_state sq;
		struct exp_nvme_cq_state cq;
		struct exp_nvme_ctrl_state s = pair_at(&sq, cases[i].sq, &cq, cases[i].cq);
		struct exp_error err = { 0 };
		int r = exp_nvme_state_check_memory(&s, cases[i].map, cases[i].n, &err);

		if (r != (cases[i].why ? -EPERM : 0))
			fail_msg("case %zu: %d \"%s\"", i, r, err.msg);
		if (cases[i].why)
			assert_error(&err, EXP_CODE_DENIED, cases[i].why);
	}
}

static void test_memory_of_scattered_queues_is_refused(void **state)
{
	static const struct exp_nvme_memory all = { 0, UINT64_MAX };
	struct exp_nvme_sq_state sq;
	struct exp_nvme_cq_state cq;
	struct exp_nvme_ctrl_state s = pair_at(&sq, 0x10000, &cq, 0x11000);
	struct exp_error err = { 0 };

	(void)state;
	sq.contiguous = false;
	assert_int_equal(exp_nvme_state_check_memory(&s, &all, 1, &err), -EPERM);
	assert_error(&err, EXP_CODE_DENIED, "submission queue 1 is not contiguous");
	sq.contiguous = true;
	cq.contiguous = false;
	assert_int_equal(exp_nvme_state_check_memory(&s, &all, 1, &err), -EPERM);
	assert_error(&err, EXP_CODE_DENIED, "completion queue 1 is not contiguous");
}

static void test_limits_of_the_target(void **state)
{
	struct exp_nvme_sq_state sq;
	struct exp_nvme_cq_state cq;
	struct exp_nvme_ctrl_state s = pair_at(&sq, 0x10000, &cq, 0x11000);
	struct exp_nvme_state_limits l = { .n_sq = 1, .n_cq = 1, .mqes = 255, .n_vectors = 2 };
	struct exp_error err = { 0 };

	(void)state;
	cq.interrupts = true;
	cq.vector = 1;
	assert_ok(exp_nvme_state_check_limits(&s, &l, &err), &err);
	l.mqes = 254;
	assert_int_equal(exp_nvme_state_check_limits(&s, &l, &err), -EOPNOTSUPP);
	assert_error(&err, EXP_CODE_PREFLIGHT,
		     "completion queue 1 has 256 entries, the target allows 255");
	l.mqes = 62;
	assert_int_equal(exp_nvme_state_check_limits(&s, &l, &err), -EOPNOTSUPP);
	assert_error(&err, EXP_CODE_PREFLIGHT, "submission queue 1 has 64 entries");
	l.mqes = 255;
	l.n_vectors = 1;
	assert_int_equal(exp_nvme_state_check_limits(&s, &l, &err), -EOPNOTSUPP);
	assert_error(&err, EXP_CODE_PREFLIGHT, "vector 1, the target has 1");
	l.n_vectors = 0; /* not known */
	assert_ok(exp_nvme_state_check_limits(&s, &l, &err), &err);
	l.n_vectors = 1;
	cq.interrupts = false; /* the vector means nothing then */
	assert_ok(exp_nvme_state_check_limits(&s, &l, &err), &err);
	sq.qid = 2;
	assert_int_equal(exp_nvme_state_check_limits(&s, &l, &err), -EOPNOTSUPP);
	assert_error(&err, EXP_CODE_PREFLIGHT, "submission queue 2, the target has 1");
	sq.qid = 1;
	cq.qid = 2;
	assert_int_equal(exp_nvme_state_check_limits(&s, &l, &err), -EOPNOTSUPP);
	assert_error(&err, EXP_CODE_PREFLIGHT, "completion queue 2, the target has 1");
}

static void test_summary_counts_over_the_wrap(void **state)
{
	struct exp_nvme_sq_state sq;
	struct exp_nvme_cq_state cq;
	struct exp_nvme_ctrl_state s = pair_at(&sq, 0x10000, &cq, 0x11000);
	struct exp_nvme_state_summary sum;

	(void)state;
	sq.head = 60;
	sq.tail = 2; /* slots 60 61 62 63 0 1 */
	exp_nvme_state_summarize(&s, &sum);
	assert_int_equal(sum.waiting, 6);
	assert_false(sum.admin_queue);
	assert_int_equal(sum.n_aers, 0);
	assert_int_equal(sum.vendor_bytes, 0);
	sq.tail = 60;
	exp_nvme_state_summarize(&s, &sum);
	assert_int_equal(sum.waiting, 0);
}

static void test_formats_by_value(void **state)
{
	const struct exp_uuid *tmpl = &exp_nvme_reference_template;
	struct exp_uuid vendor = { { 7 } }, other = { { 8 } };
	struct exp_nvme_state_formats a = { .n_versions = 1, .n_uuids = 2 };
	struct exp_nvme_state_formats b = { .n_versions = 2, .versions = { 5, 0 }, .n_uuids = 2 };
	struct exp_nvme_state_match m;
	struct exp_nvme_state_sel sel;
	struct exp_error err = { 0 };

	(void)state;
	a.uuids[0] = *tmpl;
	a.uuids[1] = vendor;
	b.uuids[0] = vendor;
	b.uuids[1] = *tmpl;
	exp_nvme_state_compare(&a, &b, tmpl, &m);
	assert_true(m.reference && m.queues && m.vendor);
	assert_true(exp_uuid_eq(&m.vendor_uuid, &vendor));
	/* the same thing has other indices on each */
	assert_ok(exp_nvme_state_select(&a, EXP_NVME_STATE_REFERENCE, tmpl, &sel, &err), &err);
	assert_int_equal(sel.csvi, 0);
	assert_int_equal(sel.csuuidi, 1);
	assert_ok(exp_nvme_state_select(&b, EXP_NVME_STATE_REFERENCE, tmpl, &sel, &err), &err);
	assert_int_equal(sel.csuuidi, 2);
	assert_ok(exp_nvme_state_select(&a, EXP_NVME_STATE_VENDOR, &vendor, &sel, &err), &err);
	assert_int_equal(sel.csvi, 1);
	assert_int_equal(sel.csuuidi, 2);
	assert_ok(exp_nvme_state_select(&b, EXP_NVME_STATE_QUEUES, NULL, &sel, &err), &err);
	assert_int_equal(sel.csvi, 2);
	assert_int_equal(sel.csuuidi, 0);
	assert_int_equal(exp_nvme_state_select(&a, EXP_NVME_STATE_VENDOR, &other, &sel, &err),
			 -EOPNOTSUPP);
	assert_error(&err, EXP_CODE_NOT_SUPPORTED, "vendor state");

	/* wherever in the list it is */
	a.uuids[0] = vendor;
	a.uuids[1] = *tmpl;
	exp_nvme_state_compare(&a, &b, tmpl, &m);
	assert_true(m.vendor && exp_uuid_eq(&m.vendor_uuid, &vendor));
	assert_ok(exp_nvme_state_select(&a, EXP_NVME_STATE_VENDOR, &vendor, &sel, &err), &err);
	assert_int_equal(sel.csuuidi, 1);
	/* what lies beyond the list does not count */
	a.uuids[2] = other;
	b.uuids[0] = other;
	exp_nvme_state_compare(&a, &b, tmpl, &m);
	assert_false(m.vendor);
	/* a nil UUID names nothing */
	a.uuids[0] = (struct exp_uuid){ { 0 } };
	b.uuids[0] = a.uuids[0];
	exp_nvme_state_compare(&a, &b, tmpl, &m);
	assert_false(m.vendor);
	a.uuids[0] = vendor;

	/* the template's UUID alone is not a vendor state */
	b.uuids[0] = other;
	exp_nvme_state_compare(&a, &b, tmpl, &m);
	assert_true(m.reference && m.queues);
	assert_false(m.vendor);
	b.n_versions = 1; /* 5 only */
	b.uuids[0] = vendor;
	b.n_uuids = 1;
	exp_nvme_state_compare(&a, &b, tmpl, &m);
	assert_false(m.reference || m.queues || m.vendor);
	assert_int_equal(exp_nvme_state_select(&b, EXP_NVME_STATE_QUEUES, NULL, &sel, &err),
			 -EOPNOTSUPP);
	assert_error(&err, EXP_CODE_NOT_SUPPORTED, "version 0 is not among the 1");
}

static int round_trip(const uint8_t *p, size_t len, enum exp_nvme_state_kind kind,
		      struct exp_error *err)
{
	struct exp_nvme_ctrl_state s;
	struct exp_nvme_state_summary sum;
	uint8_t *out = malloc(len + 1);
	size_t n = 0;
	int r = exp_nvme_state_parse(p, len, kind, &s, err);

	assert_non_null(out);
	if (!r) {
		exp_nvme_state_summarize(&s, &sum);
		assert_int_equal(exp_nvme_state_encode(&s, out, len - 1, &n, NULL), -ENOSPC);
		assert_int_equal(exp_nvme_state_encode(&s, out, len, &n, NULL), 0);
		assert_int_equal(n, len);
		assert_memory_equal(out, p, len); /* there is no byte that we do not know */
		exp_nvme_state_done(&s);
	}
	free(out);
	return r;
}

static int parse_queues(const uint8_t *p, size_t len, struct exp_error *err)
{
	return round_trip(p, len, EXP_NVME_STATE_QUEUES, err);
}

static int parse_reference(const uint8_t *p, size_t len, struct exp_error *err)
{
	return round_trip(p, len, EXP_NVME_STATE_REFERENCE, err);
}

/* One difference at a time: what runs on may differ, what was set up may not. */
static void test_same_queues(void **state)
{
	struct exp_nvme_ctrl_state a, b;
	struct exp_nvme_sq_state sq;
	struct exp_nvme_cq_state cq;
	struct exp_error err = { 0 };
	size_t n = make(QUEUES_IMAGE);

	(void)state;
	assert_ok(exp_nvme_state_parse(image, n, EXP_NVME_STATE_QUEUES, &a, &err), &err);
	assert_ok(exp_nvme_state_parse(image, n, EXP_NVME_STATE_QUEUES, &b, &err), &err);
	sq = a.sq[0];
	cq = a.cq[0];
	b.sq[0].head++;
	b.sq[0].tail++;
	b.cq[0].head++;
	b.cq[0].tail++;
	b.cq[0].slot0_phase = !cq.slot0_phase;
	assert_true(exp_nvme_state_same_queues(&a, &b));
#define DIFFERS(part, field, other)                               \
	do {                                                      \
		b.part[0].field = other;                          \
		assert_false(exp_nvme_state_same_queues(&a, &b)); \
		b.part[0] = part;                                 \
		assert_true(exp_nvme_state_same_queues(&a, &b));  \
	} while (0)
	DIFFERS(sq, qid, 2);
	DIFFERS(sq, cqid, 2);
	DIFFERS(sq, base, sq.base + 4096);
	DIFFERS(sq, qsize, 31);
	DIFFERS(sq, priority, 1);
	DIFFERS(sq, contiguous, false);
	DIFFERS(cq, qid, 2);
	DIFFERS(cq, base, cq.base + 4096);
	DIFFERS(cq, qsize, 31);
	DIFFERS(cq, vector, 2);
	DIFFERS(cq, interrupts, !cq.interrupts);
	DIFFERS(cq, contiguous, false);
#undef DIFFERS
	b.n_sq = 0;
	assert_false(exp_nvme_state_same_queues(&a, &b));
	b.n_sq = 1;
	b.n_cq = 0;
	assert_false(exp_nvme_state_same_queues(&a, &b));
	b.n_cq = 1;
	exp_nvme_state_done(&a);
	exp_nvme_state_done(&b);
}

static int parse_vendor(const uint8_t *p, size_t len, struct exp_error *err)
{
	return round_trip(p, len, EXP_NVME_STATE_VENDOR, err);
}

static void test_images_round_trip_cut_short_and_mutated(void **state)
{
	static const struct {
		test_parser parse;
		const char *hex;
	} images[] = {
		{ parse_queues, QUEUES_IMAGE },
		{ parse_reference, REFERENCE_IMAGE },
		{ parse_reference, HEAD("00000000", "10000000") REF_HEAD("00000000") },
		{ parse_vendor, HEAD("0e000000", "02000000") PAIR("0000") "0102030405060708" },
	};

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(images); i++) {
		struct exp_error err = { 0 };
		size_t n = make(images[i].hex);

		assert_ok(images[i].parse(image, n, &err), &err);
		test_truncated(images[i].parse, image, n);
		test_mutated(images[i].parse, image, n, 0xc5000000 + i * 0x100000, TEST_MUTATIONS);
	}
}

/* What the destination does with a blob: nothing of a mutation passes that could reach outside. */
static int load_checks(const uint8_t *p, size_t len, struct exp_error *err)
{
	static const struct exp_nvme_memory map[] = { { 0x100000, 0x1000 }, { 0x200000, 0x400 } };
	struct exp_nvme_ctrl_state s;
	int r = exp_nvme_state_parse(p, len, EXP_NVME_STATE_REFERENCE, &s, err);

	if (r < 0)
		return r;
	r = exp_nvme_state_check_memory(&s, map, 2, err);
	for (uint32_t i = 0; !r && i < s.n_sq; i++) {
		assert_true(s.sq[i].base == 0x100000);
		assert_true(s.sq[i].qsize <= 63);
	}
	for (uint32_t i = 0; !r && i < s.n_cq; i++) {
		uint64_t end = s.cq[i].base + 16 * (s.cq[i].qsize + 1u);

		assert_true((s.cq[i].base == 0x100000 && end <= 0x101000) ||
			    (s.cq[i].base == 0x200000 && end <= 0x200400));
	}
	exp_nvme_state_done(&s);
	return r;
}

static void test_mutated_images_stay_inside_the_guest(void **state)
{
	size_t n = make(REFERENCE_IMAGE);

	(void)state;
	test_mutated(load_checks, image, n, 0xc6000000, TEST_MUTATIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_queues),
		cmocka_unit_test(test_parse_reference),
		cmocka_unit_test(test_parse_vendor_part_is_borrowed),
		cmocka_unit_test(test_container_refused),
		cmocka_unit_test(test_parts_must_fit_the_selection),
		cmocka_unit_test(test_queue_state_refused),
		cmocka_unit_test(test_queue_ids_ascend),
		cmocka_unit_test(test_every_queue_counts),
		cmocka_unit_test(test_largest_image),
		cmocka_unit_test(test_whole_needs_every_cp),
		cmocka_unit_test(test_memory_map),
		cmocka_unit_test(test_memory_of_scattered_queues_is_refused),
		cmocka_unit_test(test_limits_of_the_target),
		cmocka_unit_test(test_summary_counts_over_the_wrap),
		cmocka_unit_test(test_same_queues),
		cmocka_unit_test(test_formats_by_value),
		cmocka_unit_test(test_images_round_trip_cut_short_and_mutated),
		cmocka_unit_test(test_mutated_images_stay_inside_the_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
