/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_emu_cdq.c - the change log of the emulated SSD: entries, phase, wrap, markers, overflow
 */
#include "support/ssd_rig.h"

#define SQ1  0x10000u
#define CQ1  0x11000u
#define RING 0x400000u /* of the change log */

static uint32_t next_slot; /* of the guest's queue pair */

static void guest_queues(struct rig *r)
{
	rig_ok(r, 1, .opcode = 5, .cdw10 = 7 << 16 | 1, .cdw11 = 1, .prp1 = RIG_IOVA + CQ1);
	rig_ok(r, 1, .opcode = 1, .cdw10 = 7 << 16 | 1, .cdw11 = 1 << 16 | 1,
	       .prp1 = RIG_IOVA + SQ1);
	next_slot = 0;
}

/* Function 1 with a namespace of 512-byte blocks, exported, and one queue pair. */
static struct rig *drive(const char *profile)
{
	struct rig *r = rig_new(profile);
	bool borealis = !strcmp(profile, "borealis");
	uint32_t ns;

	rig_namespace(r, 8, borealis, 0);          /* so that ENSID and NSID differ */
	ns = rig_namespace(r, 65533, borealis, 1); /* no multiple of anything */
	rig_export(r, borealis ? 2 : 1, 1, ns, RIG_NQN);
	rig_enable(r, 0);
	rig_enable(r, 1);
	guest_queues(r);
	return r;
}

static uint16_t log_create(struct rig *r, uint32_t slots)
{
	memset(r->mem + RING, 0, 32 * slots);
	return (uint16_t)rig_ok(r, 0, .opcode = 0x45, .cdw11 = 1 << 16 | 1, .cdw12 = 8 * slots,
				.prp1 = RIG_IOVA + RING);
}

static void log_start(struct rig *r, uint16_t id)
{
	rig_ok(r, 0, .opcode = 0x3D, .cdw10 = 1 << 16, .cdw11 = id);
}

static unsigned int head_to(struct rig *r, uint16_t id, uint32_t head)
{
	struct ssd_result res = RIG(r, 0, .opcode = 9, .cdw10 = 0x21, .cdw11 = id, .cdw12 = head);

	return rig_status(res);
}

static void guest(struct rig *r, struct rig_cmd c)
{
	c.nsid = 1;
	c.cid = (uint16_t)next_slot;
	rig_encode(&c, r->mem + SQ1 + 64 * next_slot);
	next_slot = (next_slot + 1) % 8;
	r->fn[1].db[2] = next_slot;
	rig_run(r, 1);
	assert_int_equal(exp_le16(r->mem + CQ1 + 16 * ((next_slot + 7) % 8) + 14) >> 1, 0);
	r->fn[1].db[3] = next_slot;
}

static void guest_write(struct rig *r, uint32_t slba, uint32_t blocks)
{
	guest(r, (struct rig_cmd){ .opcode = 1, .cdw10 = slba, .cdw12 = blocks - 1 });
}

static void guest_deallocate(struct rig *r, uint32_t slba, uint32_t blocks)
{
	rig_clear(r);
	exp_put_le32(rig_data(r) + 4, blocks);
	exp_put_le64(rig_data(r) + 8, slba);
	guest(r, (struct rig_cmd){ .opcode = 9, .cdw11 = 4 });
}

/* What slot @i of the ring holds; the last byte as the standard prints it. */
static void expect_entry(struct rig *r, uint32_t i, uint8_t attr, uint32_t nsid, uint64_t slba,
			 uint32_t blocks)
{
	const uint8_t *e = r->mem + RING + 32 * i;
	uint8_t want[32] = { 0 };

	exp_put_le32(want, nsid);
	exp_put_le32(want + 4, blocks ? blocks - 1 : 0);
	exp_put_le64(want + 8, slba);
	want[31] = attr;
	for (unsigned int k = 0; k < 32; k++)
		if (e[k] != want[k])
			fail_msg("slot %u byte %u is %02xh, not %02xh", i, k, e[k], want[k]);
}

static void expect_untouched(struct rig *r, uint32_t i)
{
	expect_entry(r, i, 0, 0, 0, 0);
}

static void test_exact_and_prompt(void **state)
{
	struct rig *r = drive("gentle");
	uint16_t id;

	(void)state;
	id = log_create(r, 16);
	guest_write(r, 0, 1); /* not logged yet */
	log_start(r, id);
	guest_write(r, 17, 3);
	guest_write(r, 20, 1); /* adjacent, but this drive keeps writes apart */
	guest_deallocate(r, 40, 8);
	guest(r, (struct rig_cmd){ .opcode = 8, .cdw10 = 100, .cdw12 = 3 });          /* zeroes */
	guest(r, (struct rig_cmd){ .opcode = 8, .cdw10 = 200, .cdw12 = 0x02000003 }); /* DEAC */
	guest(r, (struct rig_cmd){ .opcode = 2, .cdw10 = 5 });                        /* a read */
	rig_run(r, 0);
	expect_entry(r, 0, 0x03, 2, 17, 3);
	expect_entry(r, 1, 0x01, 2, 20, 1);
	expect_entry(r, 2, 0x21, 2, 40, 8);
	expect_entry(r, 3, 0x01, 2, 100, 4);
	expect_entry(r, 4, 0x21, 2, 200, 4);
	expect_untouched(r, 5);
	rig_ok(r, 0, .opcode = 0x3D, .cdw10 = 0, .cdw11 = id);
	guest_write(r, 300, 1);
	rig_run(r, 0);
	expect_entry(r, 5, 0x85, 0, 0, 0); /* stopped, no range */
	expect_untouched(r, 6);
	rig_free(r);
}

static void test_merged_and_rounded(void **state)
{
	struct rig *r = drive("aurora");
	uint16_t id;

	(void)state;
	id = log_create(r, 16);
	log_start(r, id);
	guest_write(r, 17, 3);      /* 16..23 */
	guest_write(r, 24, 1);      /* 24..31: joins */
	guest_write(r, 16, 8);      /* inside */
	guest_deallocate(r, 32, 6); /* exactly, whatever the rounding; touches, but is no write */
	guest_deallocate(r, 38, 2); /* joins */
	guest_write(r, 65532, 1);   /* clipped to the namespace */
	rig_run(r, 0);
	expect_entry(r, 0, 0x03, 2, 16, 16);
	expect_entry(r, 1, 0x21, 2, 32, 8);
	expect_entry(r, 2, 0x01, 2, 65528, 5);
	expect_untouched(r, 3);
	guest_write(r, 16, 8); /* what was posted is not joined */
	rig_run(r, 0);
	expect_entry(r, 3, 0x01, 2, 16, 8);
	rig_free(r);
}

static void test_marker_comes_late_with_the_last_range(void **state)
{
	struct rig *r = drive("aurora");
	uint16_t id;

	(void)state;
	id = log_create(r, 16);
	log_start(r, id);
	guest_write(r, 0, 8);
	guest_write(r, 64, 8);
	rig_ok(r, 0, .opcode = 0x41, .cdw11 = 0x00010001);
	rig_run(r, 0);
	expect_entry(r, 0, 0x03, 2, 0, 8); /* ESA 001b cannot be the marker too */
	expect_untouched(r, 1);
	r->now_us += 999;
	rig_run(r, 0);
	expect_untouched(r, 1);
	r->now_us += 1;
	rig_run(r, 0);
	expect_entry(r, 1, 0x07, 2, 64, 8); /* suspended, with a range */
	rig_fails(r, 0, 0x139, .opcode = 0x3D, .cdw10 = 1 << 16, .cdw11 = id);
	rig_fails(r, 0, 0x139, .opcode = 0x3D, .cdw10 = 0, .cdw11 = id);
	/* after Resume nothing is logged until somebody starts it again */
	rig_ok(r, 0, .opcode = 0x41, .cdw10 = 1, .cdw11 = 1);
	guest_write(r, 128, 8);
	rig_run(r, 0);
	expect_untouched(r, 2);
	log_start(r, id);
	guest_write(r, 256, 8);
	rig_run(r, 0);
	expect_entry(r, 2, 0x03, 2, 256, 8);
	rig_free(r);
}

static void test_nothing_written_has_first_and_last(void **state)
{
	struct rig *r = drive("aurora");
	uint16_t id;

	(void)state;
	id = log_create(r, 16);
	log_start(r, id);
	rig_run(r, 0);
	expect_untouched(r, 0);
	rig_ok(r, 0, .opcode = 0x41, .cdw11 = 0x00010001);
	r->now_us += 1000;
	rig_run(r, 0);
	expect_entry(r, 0, 0x83, 0, 0, 0);
	expect_entry(r, 1, 0x87, 0, 0, 0);
	rig_free(r);
}

static void test_first_entry_alone(void **state)
{
	struct rig *r = drive("borealis");
	uint16_t id;

	(void)state;
	id = log_create(r, 16);
	log_start(r, id);
	rig_run(r, 0);
	expect_entry(r, 0, 0x83, 0, 0, 0);
	guest_write(r, 1, 1);
	rig_ok(r, 0, .opcode = 0x41, .cdw11 = 0x00010001);
	r->now_us += 2000;
	rig_run(r, 0);
	expect_entry(r, 1, 0x01, 2, 0, 16);
	expect_entry(r, 2, 0x87, 0, 0, 0); /* this one has no range */
	rig_free(r);
}

static void test_logging_goes_on_after_resume(void **state)
{
	struct rig *r = drive("gentle");
	uint16_t id;

	(void)state;
	id = log_create(r, 16);
	log_start(r, id);
	guest_write(r, 0, 1);
	rig_ok(r, 0, .opcode = 0x41, .cdw11 = 0x00010001);
	rig_ok(r, 0, .opcode = 0x41, .cdw10 = 1, .cdw11 = 1);
	guest_write(r, 1, 1);
	rig_run(r, 0);
	expect_entry(r, 0, 0x03, 2, 0, 1);
	expect_entry(r, 1, 0x87, 0, 0, 0);
	expect_entry(r, 2, 0x03, 2, 1, 1);
	rig_fails(r, 0, 0x137, .opcode = 0x3D, .cdw10 = 1 << 16, .cdw11 = id); /* it logs */
	rig_free(r);
}

/* This drive wants the configuration first and counts no dwords, so nothing of the rig's own. */
static void test_exported_nsid(void **state)
{
	struct rig *r = rig_new("contrary");
	uint8_t *d = rig_data(r);
	uint32_t ns, handle;

	(void)state;
	rig_namespace(r, 8, 0, 0);
	ns = rig_namespace(r, 4096, 0, 0);
	rig_enable(r, 0);
	rig_clear(r);
	handle = rig_ok(r, 0, .opcode = 0x2A, .cdw11 = 0x80000000) << 16 | 0x80;
	rig_config(d, RIG_NQN);
	rig_ok(r, 0, .opcode = 0x2D, .cdw10 = 6, .cdw14 = handle);
	rig_ns_pair(r, 1, ns);
	rig_ok(r, 0, .opcode = 0x31, .cdw10 = 1, .cdw14 = handle);
	rig_ctrl_pair(r, 1, 0);
	rig_ok(r, 0, .opcode = 0x2D, .cdw10 = 5, .cdw14 = handle);
	rig_clear(r);
	exp_put_le16(d, 1);
	exp_put_le16(d + 2, 1);
	rig_ok(r, 0, .opcode = 0x15, .nsid = ns);
	rig_enable(r, 1);
	guest_queues(r);
	log_start(r, log_create(r, 16));
	guest_write(r, 5, 1);
	rig_run(r, 0);
	expect_entry(r, 0, 0x03, 1, 0, 8); /* the guest's NSID, not 2 */
	rig_free(r);
}

static void test_wrap_inverts_the_phase(void **state)
{
	struct rig *r = drive("gentle");
	uint16_t id;

	(void)state;
	id = log_create(r, 8);
	log_start(r, id);
	for (uint32_t i = 0; i < 40; i++) {
		uint8_t phase = (i / 8) % 2 ? 0x00 : 0x01;

		guest_write(r, 10 * i, 1);
		rig_run(r, 0);
		expect_entry(r, i % 8, i ? phase : 0x03, 2, 10 * i, 1);
		assert_int_equal(head_to(r, id, (i + 1) % 8), 0);
	}
	rig_free(r);
}

static void test_head_rules(void **state)
{
	struct rig *r = drive("gentle");
	uint16_t id;

	(void)state;
	id = log_create(r, 8);
	log_start(r, id);
	assert_int_equal(head_to(r, id, 1), 2); /* empty, and another value */
	assert_int_equal(head_to(r, id, 0), 0);
	for (uint32_t i = 0; i < 3; i++)
		guest_write(r, 10 * i, 1);
	rig_run(r, 0);
	assert_int_equal(head_to(r, id, 4), 2); /* not posted */
	assert_int_equal(head_to(r, id, 8), 2);
	assert_int_equal(head_to(r, id, 2), 0);
	assert_int_equal(head_to(r, id, 1), 2); /* going back */
	assert_int_equal(head_to(r, id, 3), 0); /* everything was read */
	assert_int_equal(head_to(r, (uint16_t)(id + 1), 0), 0x137);
	rig_ok(r, 0, .opcode = 0xA, .cdw10 = 0x21, .cdw11 = id);
	assert_int_equal(exp_le32(rig_data(r)), 3);
	rig_free(r);
}

static void test_tail_trigger(void **state)
{
	struct rig *r = drive("gentle");
	uint32_t dw[4];
	uint16_t id;

	(void)state;
	id = log_create(r, 8);
	log_start(r, id);
	rig_fails(r, 0, 2, .opcode = 9, .cdw10 = 0x21, .cdw11 = 0x80000000 | id, .cdw13 = 8);
	rig_ok(r, 0, .opcode = 9, .cdw10 = 0x21, .cdw11 = 0x80000000 | id, .cdw13 = 1);
	rig_submit(r, 0, (struct rig_cmd){ .opcode = 0xC, .cid = 0x44 });
	guest_write(r, 0, 1);
	rig_run(r, 0);
	assert_false(rig_reap(r, 0, dw));
	guest_write(r, 10, 1);
	rig_run(r, 0);
	assert_true(rig_reap(r, 0, dw));
	assert_int_equal(dw[0], 4);
	assert_int_equal(dw[1], id);
	/* one occurrence; and a pending one is cleared by setting the head */
	rig_ok(r, 0, .opcode = 9, .cdw10 = 0x21, .cdw11 = 0x80000000 | id, .cdw12 = 2, .cdw13 = 2);
	guest_write(r, 20, 1);
	rig_run(r, 0);
	assert_int_equal(head_to(r, id, 3), 0);
	rig_submit(r, 0, (struct rig_cmd){ .opcode = 0xC, .cid = 0x45 });
	rig_run(r, 0);
	assert_false(rig_reap(r, 0, dw));
	rig_free(r);
}

static void test_overflow_is_told_and_final(void **state)
{
	struct rig *r = drive("gentle");
	uint16_t id;

	(void)state;
	id = log_create(r, 8);
	log_start(r, id);
	for (uint32_t i = 0; i < 20; i++)
		guest_write(r, 10 * i, 1);
	rig_run(r, 0);
	for (uint32_t i = 0; i < 6; i++)
		expect_entry(r, i, i ? 0x01 : 0x03, 2, 10 * i, 1);
	expect_entry(r, 6, 0x8F, 0, 0, 0);
	expect_untouched(r, 7);
	rig_fails(r, 0, 0x13B, .opcode = 0x3D, .cdw10 = 1 << 16, .cdw11 = id);
	rig_fails(r, 0, 0x13B, .opcode = 0x3D, .cdw10 = 0, .cdw11 = id);
	assert_int_equal(head_to(r, id, 7), 0);
	guest_write(r, 0, 1);
	rig_run(r, 0);
	expect_untouched(r, 7);
	rig_ok(r, 0, .opcode = 0x45, .cdw10 = 1, .cdw11 = id);
	id = log_create(r, 8);
	log_start(r, id);
	guest_write(r, 7, 1);
	rig_run(r, 0);
	expect_entry(r, 0, 0x03, 2, 7, 1);
	rig_free(r);
}

static void test_create_and_delete_rules(void **state)
{
	struct rig *r = drive("borealis");
	const uint64_t at = RIG_IOVA + RING;
	uint8_t *list = r->mem + RIG_LIST;
	uint16_t id;

	(void)state;
	rig_fails(r, 0, 0x11F, .opcode = 0x45, .cdw11 = 0 << 16 | 1, .cdw12 = 128, .prp1 = at);
	rig_fails(r, 0, 0x11F, .opcode = 0x45, .cdw11 = 9 << 16 | 1, .cdw12 = 128, .prp1 = at);
	rig_fails(r, 0, 0x013, .opcode = 0x45, .cdw11 = 1 << 16 | 1, .cdw12 = 128, .prp1 = at + 32);
	rig_fails(r, 0, 0x002, .opcode = 0x45, .cdw11 = 1 << 16 | 1, .cdw12 = 129, .prp1 = at);
	rig_fails(r, 0, 0x002, .opcode = 0x45, .cdw11 = 1 << 16 | 1, .cdw12 = 0, .prp1 = at);
	rig_fails(r, 0, 0x002, .opcode = 0x45, .cdw10 = 1 << 16, .cdw11 = 1 << 16 | 1, .cdw12 = 128,
		  .prp1 = at);
	rig_fails(r, 0, 0x004, .opcode = 0x45, .cdw11 = 1 << 16 | 1, .cdw12 = 1024,
		  .prp1 = RIG_IOVA + RIG_BYTES);
	rig_fails(r, 0, 0x002, .opcode = 0x45, .cdw11 = 1 << 16, .cdw12 = 257 * 1024, .prp1 = at);
	rig_fails(r, 0, 0x137, .opcode = 0x45, .cdw10 = 1, .cdw11 = 1);
	id = log_create(r, 16);
	rig_fails(r, 0, 0x002, .opcode = 0x45, .cdw11 = 1 << 16 | 1, .cdw12 = 128, .prp1 = at);
	rig_fails(r, 0, 0x137, .opcode = 0x3D, .cdw10 = 1 << 16, .cdw11 = id + 1u);
	rig_fails(r, 0, 0x002, .opcode = 0x3D, .cdw10 = 2 << 16, .cdw11 = id);
	rig_fails(r, 0, 0x002, .opcode = 0x3D, .cdw10 = 1 << 16 | 1, .cdw11 = 1); /* memory */
	rig_ok(r, 0, .opcode = 0x45, .cdw10 = 1, .cdw11 = id);
	rig_fails(r, 0, 0x137, .opcode = 0x45, .cdw10 = 1, .cdw11 = id);

	/* PC=0: two pages, in the wrong order, by a list; then a misaligned entry */
	memset(r->mem + RING, 0, 0x4000);
	exp_put_le64(list, at + 0x2000);
	exp_put_le64(list + 8, at);
	id = (uint16_t)rig_ok(r, 0, .opcode = 0x45, .cdw11 = 1 << 16, .cdw12 = 2048,
			      .prp1 = RIG_IOVA + RIG_LIST);
	log_start(r, id);
	rig_run(r, 0);
	expect_entry(r, 0x2000 / 32, 0x83, 0, 0, 0);
	for (uint32_t i = 1; i < 130; i++) {
		guest_write(r, 64 * i, 1);
		rig_run(r, 0);
	}
	expect_entry(r, 0x2000 / 32 + 127, 0x01, 2, 64 * 127, 16);
	expect_entry(r, 0, 0x01, 2, 64 * 128, 16);
	expect_entry(r, 1, 0x01, 2, 64 * 129, 16);
	rig_ok(r, 0, .opcode = 0x45, .cdw10 = 1, .cdw11 = id);
	exp_put_le64(list + 8, at + 8);
	rig_fails(r, 0, 0x013, .opcode = 0x45, .cdw11 = 1 << 16, .cdw12 = 2048,
		  .prp1 = RIG_IOVA + RIG_LIST);
	rig_free(r);
}

static void test_count_limits(void **state)
{
	struct rig *r = rig_new("no-log");

	(void)state;
	rig_fails(r, 0, 1, .opcode = 0x45, .cdw11 = 1 << 16 | 1, .cdw12 = 128);
	rig_fails(r, 0, 1, .opcode = 0x3D, .cdw10 = 1 << 16, .cdw11 = 1);
	rig_fails(r, 0, 2, .opcode = 9, .cdw10 = 0x21);
	rig_free(r);
}

static void test_suspend_that_deletes_the_queue(void **state)
{
	struct rig *r = drive("aurora");
	uint16_t id;

	(void)state;
	id = log_create(r, 16);
	log_start(r, id);
	guest_write(r, 0, 8);
	guest_write(r, 64, 8);
	rig_ok(r, 0, .opcode = 0x41, .cdw11 = 0x80010001); /* DUDMQ */
	expect_entry(r, 0, 0x03, 2, 0, 8);
	expect_entry(r, 1, 0x07, 2, 64, 8); /* posted before the command completed */
	rig_fails(r, 0, 0x137, .opcode = 0x45, .cdw10 = 1, .cdw11 = id);
	rig_free(r);
}

static void test_mmc_reset_deletes_queues(void **state)
{
	struct rig *r = drive("aurora");
	uint16_t id;

	(void)state;
	id = log_create(r, 16);
	log_start(r, id);
	ssd_reg_write(rig_fn(r, 0), 0x14, 0, 4);
	rig_enable(r, 0);
	guest_write(r, 0, 8);
	rig_run(r, 0);
	expect_untouched(r, 0);
	rig_fails(r, 0, 0x137, .opcode = 0x45, .cdw10 = 1, .cdw11 = id);
	rig_free(r);
}

static void test_unmapped_ring_waits(void **state)
{
	struct rig *r = drive("gentle");
	uint16_t id;

	(void)state;
	id = log_create(r, 16);
	log_start(r, id);
	r->hole = RING;
	r->hole_len = 4096;
	guest_write(r, 5, 1);
	rig_run(r, 0);
	expect_untouched(r, 0);
	r->hole_len = 0;
	r->fn[0].master = false;
	rig_run(r, 0);
	expect_untouched(r, 0);
	r->fn[0].master = true;
	rig_run(r, 0);
	expect_entry(r, 0, 0x03, 2, 5, 1);
	rig_free(r);
}

/* Only what the logged controller writes is in its log, not what the host writes by itself. */
static void test_other_controllers_are_not_logged(void **state)
{
	struct rig *r = drive("gentle");
	uint16_t id;

	(void)state;
	id = log_create(r, 16);
	log_start(r, id);
	rig_ok(r, 0, .opcode = 5, .cdw10 = 7 << 16 | 1, .cdw11 = 1, .prp1 = RIG_IOVA + 0x13000);
	rig_ok(r, 0, .opcode = 1, .cdw10 = 7 << 16 | 1, .cdw11 = 1 << 16 | 1,
	       .prp1 = RIG_IOVA + 0x12000);
	rig_encode(&(struct rig_cmd){ .opcode = 1, .nsid = 2, .cdw10 = 9 }, r->mem + 0x12000);
	r->fn[0].db[2] = 1;
	rig_run(r, 0);
	assert_int_equal(exp_le32(r->mem + 0x13000 + 12), 0x00010000);
	rig_run(r, 0);
	expect_untouched(r, 0);
	rig_free(r);
}

/* --- Get LBA Status: what is allocated --- */

static void test_allocation_status(void **state)
{
	struct rig *r = drive("aurora");
	uint8_t *d = rig_data(r);

	(void)state;
	rig_clear(r);
	rig_ok(r, 0, .opcode = 0x86, .nsid = 2, .cdw12 = 1023, .cdw13 = 0x02000000);
	assert_int_equal(exp_le32(d), 0);
	assert_int_equal(d[4], 2);
	guest_write(r, 0, 8);
	guest_write(r, 1024, 16);
	guest_write(r, 65528, 5);
	rig_clear(r);
	rig_ok(r, 0, .opcode = 0x86, .nsid = 2, .cdw12 = 1023, .cdw13 = 0x02000000);
	assert_int_equal(exp_le32(d), 3);
	assert_int_equal(d[4], 2);
	assert_int_equal(exp_le64(d + 8), 0);
	assert_int_equal(exp_le32(d + 16), 7);
	assert_int_equal(d[21], 2);
	assert_int_equal(exp_le64(d + 24), 1024);
	assert_int_equal(exp_le32(d + 32), 15);
	assert_int_equal(exp_le64(d + 40), 65528);
	/* room for one descriptor; then from behind it; a range that ends in one */
	rig_clear(r);
	rig_ok(r, 0, .opcode = 0x86, .nsid = 2, .cdw12 = 5, .cdw13 = 0x02000000);
	assert_int_equal(exp_le32(d), 1);
	assert_int_equal(d[4], 1);
	rig_ok(r, 0, .opcode = 0x86, .nsid = 2, .cdw10 = 8, .cdw12 = 1023,
	       .cdw13 = 0x02000000 | 1020);
	assert_int_equal(exp_le32(d), 1);
	assert_int_equal(exp_le64(d + 8), 1024);
	assert_int_equal(exp_le32(d + 16), 3);
	guest_deallocate(r, 1024, 16);
	rig_ok(r, 0, .opcode = 0x86, .nsid = 2, .cdw12 = 1023, .cdw13 = 0x02000000);
	assert_int_equal(exp_le32(d), 2);
	rig_fails(r, 0, 0x80, .opcode = 0x86, .nsid = 2, .cdw10 = 65533, .cdw12 = 1023,
		  .cdw13 = 0x02000000);
	rig_fails(r, 0, 2, .opcode = 0x86, .nsid = 2, .cdw12 = 1023, .cdw13 = 0x11000000);
	rig_fails(r, 0, 2, .opcode = 0x86, .nsid = 1, .cdw12 = 1023, .cdw13 = 0x02000000);
	rig_fails(r, 1, 1, .opcode = 0x86, .nsid = 1, .cdw12 = 1023, .cdw13 = 0x02000000);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact_and_prompt),
		cmocka_unit_test(test_merged_and_rounded),
		cmocka_unit_test(test_marker_comes_late_with_the_last_range),
		cmocka_unit_test(test_nothing_written_has_first_and_last),
		cmocka_unit_test(test_first_entry_alone),
		cmocka_unit_test(test_logging_goes_on_after_resume),
		cmocka_unit_test(test_exported_nsid),
		cmocka_unit_test(test_wrap_inverts_the_phase),
		cmocka_unit_test(test_head_rules),
		cmocka_unit_test(test_tail_trigger),
		cmocka_unit_test(test_overflow_is_told_and_final),
		cmocka_unit_test(test_create_and_delete_rules),
		cmocka_unit_test(test_count_limits),
		cmocka_unit_test(test_suspend_that_deletes_the_queue),
		cmocka_unit_test(test_mmc_reset_deletes_queues),
		cmocka_unit_test(test_unmapped_ring_waits),
		cmocka_unit_test(test_other_controllers_are_not_logged),
		cmocka_unit_test(test_allocation_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
