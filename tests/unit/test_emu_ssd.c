/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_emu_ssd.c - one controller of the emulated SSD: registers, admin queue, I/O queues, PRPs
 */
#include "support/ssd_rig.h"

#define SQ1 (RIG_QUEUES(1) + 0x10000)
#define CQ1 (RIG_QUEUES(1) + 0x20000)

static void test_registers_at_reset(void **state)
{
	struct rig *r = rig_new("aurora");
	struct ssd_fn *f = rig_fn(r, 1);

	(void)state;
	/* MQES 4095, CQR, TO 20, CSS NVM, MPSMAX 4 */
	assert_int_equal(ssd_reg_read(f, 0, 8), UINT64_C(0x0040002014010FFF));
	assert_int_equal(ssd_reg_read(f, 4, 4), 0x00400020);
	assert_int_equal(ssd_reg_read(f, 0, 2), 0x0FFF);
	assert_int_equal(ssd_reg_read(f, 8, 4), 0x00020400);
	assert_int_equal(ssd_reg_read(f, 0x1C, 4), 0);
	assert_int_equal(ssd_reg_read(f, 0x800, 8), 0);
	ssd_reg_write(f, 0, UINT64_MAX, 8);
	assert_int_equal(ssd_reg_read(f, 0, 8), UINT64_C(0x0040002014010FFF));
	/* 64-bit registers by halves */
	ssd_reg_write(f, 0x28, 0x12345FFF, 4);
	ssd_reg_write(f, 0x2C, 0xAB, 4);
	assert_int_equal(ssd_reg_read(f, 0x28, 8), UINT64_C(0xAB12345000));
	rig_free(r);
}

static void test_enable_refuses_nonsense(void **state)
{
	static const uint32_t bad_cc[] = { 0x00460011, 0x00460801, 0x00460281 }; /* CSS AMS MPS */
	struct rig *r = rig_new("aurora");
	struct ssd_fn *f = rig_fn(r, 1);

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(bad_cc); i++) {
		rig_enable(r, 1);
		ssd_reg_write(f, 0x14, 0, 4);
		assert_int_equal(ssd_reg_read(f, 0x1C, 4), 0);
		ssd_reg_write(f, 0x14, bad_cc[i], 4);
		assert_int_equal(ssd_reg_read(f, 0x1C, 4), 2); /* CFS, not RDY */
		ssd_reg_write(f, 0x14, 0, 4);
	}
	ssd_reg_write(f, 0x24, 0, 4); /* queues of one entry */
	ssd_reg_write(f, 0x14, 0x00460001, 4);
	assert_int_equal(ssd_reg_read(f, 0x1C, 4), 2);
	rig_free(r);
}

static void test_shutdown_completes_and_stops(void **state)
{
	struct rig *r = rig_new("aurora");
	uint32_t dw[4];

	(void)state;
	rig_enable(r, 1);
	ssd_reg_write(rig_fn(r, 1), 0x14, 0x00464001, 4); /* SHN normal */
	assert_int_equal(ssd_reg_read(rig_fn(r, 1), 0x1C, 4), 0x9);
	rig_submit(r, 1, (struct rig_cmd){ .opcode = 6, .cdw10 = 1 });
	rig_run(r, 1);
	assert_false(rig_reap(r, 1, dw));
	rig_free(r);
}

static void test_admin_queue_wraps_with_phase(void **state)
{
	struct rig *r = rig_new("aurora");
	uint32_t dw[4];

	(void)state;
	rig_enable(r, 1);
	for (uint16_t i = 0; i < 50; i++) {
		rig_submit(r, 1, (struct rig_cmd){ .opcode = 6, .cid = i, .cdw10 = 1 });
		rig_run(r, 1);
		assert_true(rig_reap(r, 1, dw));
		assert_int_equal(dw[3] & 0xFFFF, i);
		assert_int_equal(dw[3] >> 17, 0);
		assert_int_equal(dw[2], (i + 1) % RIG_DEPTH);
		assert_false(rig_reap(r, 1, dw));
	}
	assert_int_equal(r->fn[1].irqs[0], 50);
	rig_free(r);
}

static void test_full_completion_queue_stops_fetching(void **state)
{
	struct rig *r = rig_new("aurora");
	struct rig_fn *f = &r->fn[1];
	uint32_t dw[4];

	(void)state;
	rig_enable(r, 1);
	for (uint16_t i = 0; i < 15; i++)
		rig_submit(r, 1, (struct rig_cmd){ .opcode = 6, .cid = i, .cdw10 = 1 });
	rig_run(r, 1);
	/* 15 are posted, the queue of 16 is full; the 16th waits */
	rig_submit(r, 1, (struct rig_cmd){ .opcode = 6, .cid = 15, .cdw10 = 1 });
	rig_run(r, 1);
	for (uint16_t i = 0; i < 15; i++) {
		assert_true(rig_reap(r, 1, dw));
		assert_int_equal(dw[3] & 0xFFFF, i);
	}
	assert_false(rig_reap(r, 1, dw));
	rig_run(r, 1);
	assert_true(rig_reap(r, 1, dw));
	assert_int_equal(dw[3] & 0xFFFF, 15);
	assert_int_equal(f->irqs[0], 2);
	rig_free(r);
}

static void test_no_bus_master_no_transfer(void **state)
{
	struct rig *r = rig_new("aurora");
	uint32_t dw[4];

	(void)state;
	rig_enable(r, 1);
	r->fn[1].master = false;
	rig_submit(r, 1, (struct rig_cmd){ .opcode = 6, .cdw10 = 1 });
	rig_run(r, 1);
	assert_false(rig_reap(r, 1, dw));
	assert_int_equal(rig_data(r)[78], 0);
	r->fn[1].master = true;
	rig_run(r, 1);
	assert_true(rig_reap(r, 1, dw));
	rig_free(r);
}

static void test_unmapped_queue_waits(void **state)
{
	struct rig *r = rig_new("aurora");
	uint32_t dw[4];

	(void)state;
	rig_enable(r, 1);
	for (int which = 0; which < 2; which++) {
		r->hole = which ? RIG_ACQ(1) : RIG_ASQ(1);
		r->hole_len = 0x1000;
		rig_submit(r, 1, (struct rig_cmd){ .opcode = 6, .cdw10 = 1 });
		rig_run(r, 1);
		r->hole_len = 0;
		assert_false(rig_reap(r, 1, dw));
		rig_run(r, 1);
		assert_true(rig_reap(r, 1, dw));
	}
	rig_free(r);
}

/* fn 1 enabled, queue pair 1 of 8 entries, vector 3 */
static struct rig *with_queues(const char *profile, uint32_t *nsid)
{
	struct rig *r = rig_new(profile);

	*nsid = rig_namespace(r, 4096, 0, 1u << 1);
	rig_enable(r, 1);
	rig_ok(r, 1, .opcode = 5, .cdw10 = 7 << 16 | 1, .cdw11 = 3 << 16 | 3,
	       .prp1 = RIG_IOVA + CQ1);
	rig_ok(r, 1, .opcode = 1, .cdw10 = 7 << 16 | 1, .cdw11 = 1 << 16 | 1,
	       .prp1 = RIG_IOVA + SQ1);
	rig_clear(r);
	return r;
}

/* One I/O through queue pair 1, which holds nothing else; the status. */
static unsigned int io(struct rig *r, struct rig_cmd c)
{
	static uint16_t cid;
	uint32_t slot = r->fn[1].db[2], dw3;
	uint8_t *cqe = r->mem + CQ1 + 16 * slot;

	c.cid = ++cid;
	rig_encode(&c, r->mem + SQ1 + 64 * slot);
	r->fn[1].db[2] = (slot + 1) % 8;
	rig_run(r, 1);
	dw3 = exp_le32(cqe + 12);
	assert_int_equal(dw3 & 0xFFFF, cid);
	assert_int_equal(exp_le32(cqe + 8), 1 << 16 | (slot + 1) % 8);
	r->fn[1].db[3] = (slot + 1) % 8;
	return dw3 >> 17 & 0x7FF;
}

static void test_io_round_trip(void **state)
{
	uint32_t nsid;
	struct rig *r = with_queues("aurora", &nsid);
	uint8_t *d = rig_data(r);

	(void)state;
	for (int i = 0; i < 4096; i++)
		d[i] = (uint8_t)(i * 7);
	assert_int_equal(
		io(r, (struct rig_cmd){ .opcode = 1, .nsid = nsid, .cdw10 = 80, .cdw12 = 7 }), 0);
	assert_int_equal(r->fn[1].irqs[3], 1);
	memset(d, 0, 4096);
	assert_int_equal(
		io(r, (struct rig_cmd){ .opcode = 2, .nsid = nsid, .cdw10 = 80, .cdw12 = 7 }), 0);
	for (int i = 0; i < 4096; i++)
		assert_int_equal(d[i], (uint8_t)(i * 7));
	/* compare: equal, then one byte off */
	assert_int_equal(
		io(r, (struct rig_cmd){ .opcode = 5, .nsid = nsid, .cdw10 = 80, .cdw12 = 7 }), 0);
	d[4095] ^= 1;
	assert_int_equal(io(r,
			    (struct rig_cmd){ .opcode = 5, .nsid = nsid, .cdw10 = 80, .cdw12 = 7 }),
			 0x285);
	assert_int_equal(
		io(r, (struct rig_cmd){ .opcode = 0xC, .nsid = nsid, .cdw10 = 80, .cdw12 = 7 }), 0);
	assert_int_equal(io(r, (struct rig_cmd){ .opcode = 0, .nsid = nsid }), 0);
	assert_int_equal(io(r, (struct rig_cmd){ .opcode = 0, .nsid = 0xFFFFFFFF }), 0);
	/* write zeroes, then deallocate: both read back as zeros */
	assert_int_equal(
		io(r, (struct rig_cmd){ .opcode = 8, .nsid = nsid, .cdw10 = 80, .cdw12 = 3 }), 0);
	exp_put_le32(d + 4, 4);
	exp_put_le64(d + 8, 84);
	assert_int_equal(io(r, (struct rig_cmd){ .opcode = 9, .nsid = nsid, .cdw11 = 4 }), 0);
	memset(d, 0xFF, 4096);
	assert_int_equal(
		io(r, (struct rig_cmd){ .opcode = 2, .nsid = nsid, .cdw10 = 80, .cdw12 = 7 }), 0);
	for (int i = 0; i < 4096; i++)
		assert_int_equal(d[i], 0);
	rig_free(r);
}

static void test_io_refusals(void **state)
{
	uint32_t nsid;
	struct rig *r = with_queues("borealis", &nsid);

	(void)state;
	/* 4,096 blocks of 4 KiB */
	assert_int_equal(io(r, (struct rig_cmd){ .opcode = 2, .nsid = nsid, .cdw10 = 4096 }), 0x80);
	assert_int_equal(
		io(r, (struct rig_cmd){ .opcode = 2, .nsid = nsid, .cdw10 = 4095, .cdw12 = 1 }),
		0x80);
	assert_int_equal(io(r, (struct rig_cmd){ .opcode = 2,
						 .nsid = nsid,
						 .cdw11 = 0xFFFFFFFF,
						 .cdw10 = 0xFFFFFFFF }),
			 0x80);
	assert_int_equal(io(r, (struct rig_cmd){ .opcode = 2, .nsid = nsid + 1 }),
			 2); /* inactive */
	assert_int_equal(io(r, (struct rig_cmd){ .opcode = 2, .nsid = 0 }), 0xB);
	assert_int_equal(io(r, (struct rig_cmd){ .opcode = 2, .nsid = 25 }), 0xB); /* beyond NN */
	assert_int_equal(io(r, (struct rig_cmd){ .opcode = 2, .nsid = nsid, .cdw12 = 32 }),
			 2); /* MDTS */
	assert_int_equal(io(r, (struct rig_cmd){ .opcode = 2, .nsid = nsid, .flags = 0x40 }),
			 2); /* SGL */
	assert_int_equal(io(r, (struct rig_cmd){ .opcode = 5, .nsid = nsid }),
			 1); /* no Compare here */
	assert_int_equal(io(r, (struct rig_cmd){ .opcode = 0x7F, .nsid = nsid }), 1);
	assert_int_equal(
		io(r, (struct rig_cmd){ .opcode = 2, .nsid = nsid, .prp1 = RIG_IOVA - 4096 }), 4);
	assert_int_equal(io(r, (struct rig_cmd){ .opcode = 2,
						 .nsid = nsid,
						 .prp1 = RIG_IOVA + RIG_DATA + 2 }),
			 0x13);
	assert_int_equal(io(r, (struct rig_cmd){ .opcode = 2,
						 .nsid = nsid,
						 .cdw12 = 1,
						 .prp2 = RIG_IOVA + RIG_DATA + 8 }),
			 0x13);
	rig_free(r);
}

/* A list that begins inside a page, so that it is chained over a page border. */
static void test_prp_list_crosses_pages(void **state)
{
	uint32_t nsid;
	struct rig *r = with_queues("aurora", &nsid);
	uint8_t *list = r->mem + RIG_LIST;
	struct rig_cmd c = { .opcode = 1, .nsid = nsid, .cdw12 = 127 }; /* 64 KiB: 1 + 15 pages */

	(void)state;
	/* pages scattered: page i of the data at RIG_DATA + 2 * i pages; PRP1 with an offset */
	for (unsigned int i = 0; i < 17; i++)
		memset(rig_data(r) + 8192 * i, (int)i + 1, 4096);
	c.prp1 = RIG_IOVA + RIG_DATA + 512; /* 7 blocks of page 0, then 15 pages and one block */
	c.prp2 = RIG_IOVA + RIG_LIST + 4096 - 24;
	exp_put_le64(list + 4096 - 24, RIG_IOVA + RIG_DATA + 8192 * 1);
	exp_put_le64(list + 4096 - 16, RIG_IOVA + RIG_DATA + 8192 * 2);
	exp_put_le64(list + 4096 - 8, RIG_IOVA + RIG_LIST + 8192);
	for (unsigned int i = 3; i < 17; i++)
		exp_put_le64(list + 8192 + 8 * (i - 3), RIG_IOVA + RIG_DATA + 8192 * i);
	assert_int_equal(io(r, c), 0);
	/* read it back in one piece */
	memset(rig_data(r), 0, 0x40000);
	c.opcode = 2;
	c.prp1 = RIG_IOVA + RIG_DATA;
	c.prp2 = RIG_IOVA + RIG_LIST;
	for (unsigned int i = 1; i < 16; i++)
		exp_put_le64(list + 8 * (i - 1), RIG_IOVA + RIG_DATA + 4096 * i);
	assert_int_equal(io(r, c), 0);
	for (unsigned int i = 0; i < 65536; i++) {
		unsigned int page = i < 3584 ? 1 : (i - 3584) / 4096 + 2;

		assert_int_equal(rig_data(r)[i], page);
	}
	/* a misaligned entry, a list out of memory, a chain to nowhere */
	exp_put_le64(list + 8, RIG_IOVA + RIG_DATA + 512);
	assert_int_equal(io(r, c), 0x13);
	c.prp2 = RIG_IOVA + RIG_BYTES;
	assert_int_equal(io(r, c), 4);
	c.prp2 = RIG_IOVA + RIG_LIST + 4; /* not on a quadword */
	assert_int_equal(io(r, c), 0x13);
	rig_free(r);
}

static void test_queue_creation_rules(void **state)
{
	uint32_t nsid;
	struct rig *r = with_queues("borealis", &nsid);
	uint64_t at = RIG_IOVA + CQ1 + 0x8000;

	(void)state;
	rig_fails(r, 1, 0x101, .opcode = 5, .cdw10 = 7 << 16 | 1, .cdw11 = 1,
		  .prp1 = at); /* twice */
	rig_fails(r, 1, 0x101, .opcode = 5, .cdw10 = 7 << 16 | 0, .cdw11 = 1, .prp1 = at);
	rig_fails(r, 1, 0x101, .opcode = 5, .cdw10 = 7 << 16 | 33, .cdw11 = 1, .prp1 = at);
	rig_fails(r, 1, 0x102, .opcode = 5, .cdw10 = 0 << 16 | 2, .cdw11 = 1, .prp1 = at);
	rig_fails(r, 1, 0x102, .opcode = 5, .cdw10 = 1024u << 16 | 2, .cdw11 = 1, .prp1 = at);
	rig_fails(r, 1, 0x002, .opcode = 5, .cdw10 = 7 << 16 | 2, .cdw11 = 0, .prp1 = at);
	rig_fails(r, 1, 0x013, .opcode = 5, .cdw10 = 7 << 16 | 2, .cdw11 = 1, .prp1 = at + 64);
	rig_fails(r, 1, 0x108, .opcode = 5, .cdw10 = 7 << 16 | 2, .cdw11 = 33 << 16 | 3,
		  .prp1 = at);
	rig_fails(r, 1, 0x100, .opcode = 1, .cdw10 = 7 << 16 | 2, .cdw11 = 2 << 16 | 1, .prp1 = at);
	rig_fails(r, 1, 0x101, .opcode = 1, .cdw10 = 7 << 16 | 2, .cdw11 = 0 << 16 | 1, .prp1 = at);
	rig_fails(r, 1, 0x10C, .opcode = 4, .cdw10 = 1); /* still used by SQ 1 */
	rig_fails(r, 1, 0x101, .opcode = 0, .cdw10 = 2);
	rig_fails(r, 1, 0x00C, .opcode = 9, .cdw10 = 7, .cdw11 = 3 << 16 | 3);
	rig_ok(r, 1, .opcode = 0, .cdw10 = 1);
	rig_ok(r, 1, .opcode = 4, .cdw10 = 1);
	rig_free(r);
}

static void test_doorbells_that_make_no_sense(void **state)
{
	uint32_t nsid, dw[4];
	struct rig *r = with_queues("aurora", &nsid);

	(void)state;
	rig_submit(r, 1, (struct rig_cmd){ .opcode = 0xC, .cid = 0x77 });
	rig_run(r, 1);
	assert_false(rig_reap(r, 1, dw));
	r->fn[1].db[2] = 8; /* beyond the queue of 8 */
	rig_run(r, 1);
	assert_true(rig_reap(r, 1, dw));
	assert_int_equal(dw[0], 0x010100); /* error, Invalid Doorbell Write Value, log 01h */
	assert_int_equal(dw[3] & 0xFFFF, 0x77);
	r->fn[1].db[2] = 0;
	/* the type is quiet until log 01h was read */
	rig_submit(r, 1, (struct rig_cmd){ .opcode = 0xC, .cid = 0x78 });
	r->fn[1].db[9] = 5; /* CQ 4 does not exist */
	rig_run(r, 1);
	assert_int_equal(r->fn[1].db[9], 0);
	assert_false(rig_reap(r, 1, dw));
	rig_ok(r, 1, .opcode = 2, .cdw10 = 15 << 16 | 1);
	rig_run(r, 1);
	assert_true(rig_reap(r, 1, dw));
	assert_int_equal(dw[0], 0x010000); /* Write to Invalid Doorbell Register */
	/* a CQ head beyond what was posted */
	rig_ok(r, 1, .opcode = 2, .cdw10 = 15 << 16 | 1);
	rig_submit(r, 1, (struct rig_cmd){ .opcode = 0xC, .cid = 0x79 });
	assert_int_equal(io(r, (struct rig_cmd){ .opcode = 0, .nsid = nsid }), 0);
	r->fn[1].db[3] = 2; /* one is posted */
	rig_run(r, 1);
	assert_true(rig_reap(r, 1, dw));
	assert_int_equal(dw[0], 0x010100);
	r->fn[1].db[3] = 1;
	assert_int_equal(io(r, (struct rig_cmd){ .opcode = 0, .nsid = nsid }), 0);
	rig_free(r);
}

static void test_queues_live_through_a_disconnect(void **state)
{
	uint32_t nsid, fresh[1024] = { 0 };
	struct rig *r = with_queues("aurora", &nsid);

	(void)state;
	assert_int_equal(io(r, (struct rig_cmd){ .opcode = 0, .nsid = nsid }), 0);
	/* rung, not fetched; then the client goes */
	rig_encode(&(struct rig_cmd){ .opcode = 0, .nsid = nsid, .cid = 0x99 },
		   r->mem + SQ1 + 64 * 1);
	r->fn[1].db[2] = 2;
	ssd_fn_disconnected(rig_fn(r, 1));
	rig_run(r, 1);
	ssd_fn_connected(rig_fn(r, 1), fresh);
	assert_int_equal(fresh[2], 2);
	assert_int_equal(fresh[3], 1);
	rig_run(r, 1);
	assert_int_equal(exp_le16(r->mem + CQ1 + 16 + 12), 0x99);
	ssd_fn_disconnected(rig_fn(r, 1));
	rig_free(r);
}

static void test_reset_forgets(void **state)
{
	uint32_t nsid;
	struct rig *r = with_queues("aurora", &nsid);

	(void)state;
	assert_int_equal(io(r, (struct rig_cmd){ .opcode = 0, .nsid = nsid }), 0);
	rig_ok(r, 1, .opcode = 9, .cdw10 = 1, .cdw11 = 5);
	ssd_reg_write(rig_fn(r, 1), 0x14, 0, 4);
	assert_int_equal(r->fn[1].db[2], 0);
	assert_int_equal(ssd_reg_read(rig_fn(r, 1), 0x1C, 4), 0);
	assert_int_equal(ssd_reg_read(rig_fn(r, 1), 0x28, 8), RIG_IOVA + RIG_ASQ(1));
	assert_int_equal(rig_ok(r, 1, .opcode = 0xA, .cdw10 = 1), 0);
	ssd_fn_reset(rig_fn(r, 1));
	assert_int_equal(ssd_reg_read(rig_fn(r, 1), 0x28, 8), 0);
	rig_enable(r, 1);
	rig_fails(r, 1, 0x101, .opcode = 0, .cdw10 = 1);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers_at_reset),
		cmocka_unit_test(test_enable_refuses_nonsense),
		cmocka_unit_test(test_shutdown_completes_and_stops),
		cmocka_unit_test(test_admin_queue_wraps_with_phase),
		cmocka_unit_test(test_full_completion_queue_stops_fetching),
		cmocka_unit_test(test_no_bus_master_no_transfer),
		cmocka_unit_test(test_unmapped_queue_waits),
		cmocka_unit_test(test_io_round_trip),
		cmocka_unit_test(test_io_refusals),
		cmocka_unit_test(test_prp_list_crosses_pages),
		cmocka_unit_test(test_queue_creation_rules),
		cmocka_unit_test(test_doorbells_that_make_no_sense),
		cmocka_unit_test(test_queues_live_through_a_disconnect),
		cmocka_unit_test(test_reset_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
