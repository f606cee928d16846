/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_emu_migrate.c - Suspend, Resume, Get and Set Controller State on the emulated SSD
 *
 * A guest on function 1 is moved to function 2 of another drive, command by command, with its
 * queues in the same memory. States are typed byte by byte.
 */
#include "support/ssd_rig.h"

#define SQ1   0x10000u /* the guest's queue pair, shared by both functions */
#define CQ1   0x11000u
#define STATE 0x300000u /* where the MMC's client keeps the state */

static void suspend(struct rig *r, uint16_t cntlid)
{
	rig_ok(r, 0, .opcode = 0x41, .cdw11 = 0x00010000u | cntlid);
}

static void resume(struct rig *r, uint16_t cntlid)
{
	rig_ok(r, 0, .opcode = 0x41, .cdw10 = 1, .cdw11 = cntlid);
}

/* Get @bytes of state into rig_data; CSUP. */
static uint32_t get_state(struct rig *r, uint16_t cntlid, unsigned int csvi, unsigned int csuuidi,
			  unsigned int bytes)
{
	memset(rig_data(r), 0, 8192);
	return rig_ok(r, 0, .opcode = 0x42, .cdw10 = csvi << 16, .cdw11 = csuuidi << 16 | cntlid,
		      .cdw15 = bytes / 4 - 1);
}

static struct ssd_result set_state(struct rig *r, uint16_t cntlid, unsigned int seqind,
				   unsigned int csvi, unsigned int csuuidi, unsigned int off,
				   unsigned int bytes)
{
	return RIG(r, 0, .opcode = 0x41, .cdw10 = 2 | seqind << 16,
		   .cdw11 = csuuidi << 24 | csvi << 16 | cntlid, .cdw12 = off, .cdw15 = bytes / 4);
}

/* A drive with an exported namespace of 4,096 blocks on function @fn. */
static struct rig *drive(const char *profile, unsigned int ensti, unsigned int fn)
{
	struct rig *r = rig_new(profile);
	uint32_t ns = rig_namespace(r, 4096, !strcmp(profile, "borealis"), 1);

	rig_export(r, ensti, fn, ns, RIG_NQN);
	rig_enable(r, 0);
	rig_enable(r, fn);
	return r;
}

static void make_queues(struct rig *r, unsigned int fn)
{
	memset(r->mem + CQ1, 0, 0x1000);
	rig_ok(r, fn, .opcode = 5, .cdw10 = 7 << 16 | 1, .cdw11 = 2 << 16 | 3,
	       .prp1 = RIG_IOVA + CQ1);
	rig_ok(r, fn, .opcode = 1, .cdw10 = 7 << 16 | 1, .cdw11 = 1 << 16 | 5,
	       .prp1 = RIG_IOVA + SQ1);
}

/* The guest puts a Flush into slot @slot and rings. */
static void ring_flush(struct rig *r, unsigned int fn, unsigned int slot, uint16_t cid)
{
	rig_encode(&(struct rig_cmd){ .opcode = 0, .nsid = 1, .cid = cid },
		   r->mem + SQ1 + 64 * slot);
	r->fn[fn].db[2] = (slot + 1) % 8;
}

static uint32_t cqe_dw3(struct rig *r, unsigned int slot)
{
	return exp_le32(r->mem + CQ1 + 16 * slot + 12);
}

static void test_suspend_stops_fetching(void **state)
{
	struct rig *r = drive("aurora", 1, 1);

	(void)state;
	make_queues(r, 1);
	suspend(r, 1);
	suspend(r, 1); /* again: no error */
	ring_flush(r, 1, 0, 0x10);
	rig_run(r, 1);
	assert_int_equal(cqe_dw3(r, 0), 0);
	resume(r, 1);
	assert_true(r->fn[1].wakes > 0);
	rig_run(r, 1);
	assert_int_equal(cqe_dw3(r, 0), 0x00010010);
	rig_fails(r, 0, 0x13A, .opcode = 0x41, .cdw10 = 1, .cdw11 = 1);
	rig_free(r);
}

static void test_notification_stops_nothing(void **state)
{
	struct rig *r = drive("aurora", 1, 1);

	(void)state;
	make_queues(r, 1);
	rig_ok(r, 0, .opcode = 0x41, .cdw11 = 1);
	ring_flush(r, 1, 0, 0x10);
	rig_run(r, 1);
	assert_int_equal(cqe_dw3(r, 0), 0x00010010);
	rig_fails(r, 0, 0x13A, .opcode = 0x41, .cdw10 = 1, .cdw11 = 1);
	rig_free(r);
}

static void test_suspend_refusals(void **state)
{
	struct rig *r = drive("aurora", 1, 1);

	(void)state;
	rig_fails(r, 0, 0x11F, .opcode = 0x41, .cdw11 = 0x00010000); /* the MMC itself */
	rig_fails(r, 0, 0x11F, .opcode = 0x41, .cdw11 = 0x00010009);
	rig_fails(r, 0, 0x002, .opcode = 0x41, .cdw11 = 0x00020001); /* STYPE 2 */
	rig_fails(r, 0, 0x002, .opcode = 0x41, .cdw11 = 0x01010001);
	rig_fails(r, 0, 0x002, .opcode = 0x41, .cdw10 = 3, .cdw11 = 1);
	rig_fails(r, 0, 0x11F, .opcode = 0x41, .cdw10 = 1, .cdw11 = 0);
	rig_fails(r, 0, 0x11F, .opcode = 0x42, .cdw10 = 1 << 16, .cdw11 = 9);
	rig_fails(r, 1, 0x001, .opcode = 0x41, .cdw11 = 0x00010001); /* not on that function */
	rig_free(r);
}

static void test_resets_end_a_suspension(void **state)
{
	static const struct {
		const char *profile;
		bool ends;
	} drives[] = { { "aurora", true }, { "gentle", false } };

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(drives); i++) {
		for (int how = 0; how < 4; how++) {
			struct rig *r = drive(drives[i].profile, 1, 1);
			uint32_t csup;

			suspend(r, 1);
			switch (how) {
			case 0: ssd_reg_write(rig_fn(r, 1), 0x14, 0, 4); break;
			case 1: ssd_fn_reset(rig_fn(r, 1)); break;
			case 2: ssd_reg_write(rig_fn(r, 0), 0x14, 0, 4); break;
			default: ssd_fn_disconnected(rig_fn(r, 0)); break;
			}
			ssd_fn_connected(rig_fn(r, 0), r->fn[0].db);
			rig_enable(r, 0);
			csup = get_state(r, 1, 1, 0, 64);
			assert_int_equal(csup, !drives[i].ends);
			rig_free(r);
		}
	}
}

static void test_state_of_queues_version_0(void **state)
{
	struct rig *r = drive("aurora", 1, 1);
	uint8_t want[104] = { 0 }, *d = rig_data(r);

	(void)state;
	make_queues(r, 1);
	for (unsigned int i = 0; i < 9; i++) { /* once round: the tail of the CQ is at 1 */
		ring_flush(r, 1, i % 8, (uint16_t)i);
		rig_run(r, 1);
		r->fn[1].db[3] = i % 8;
	}
	suspend(r, 1);
	ring_flush(r, 1, 1, 0x20); /* rung, not fetched: travels as a tail */

	want[2] = 1;   /* CSATTR.CP */
	want[16] = 14; /* NVMECSS */
	exp_put_le16(want + 48 + 2, 1);
	exp_put_le16(want + 48 + 4, 1);
	exp_put_le64(want + 56, RIG_IOVA + SQ1);
	exp_put_le16(want + 64, 7);
	exp_put_le16(want + 66, 1);
	exp_put_le16(want + 68, 1);
	exp_put_le16(want + 70, 5); /* PC, priority 2 */
	exp_put_le16(want + 72, 1); /* head */
	exp_put_le16(want + 74, 2); /* tail */
	exp_put_le64(want + 80, RIG_IOVA + CQ1);
	exp_put_le16(want + 88, 7);
	exp_put_le16(want + 90, 1);
	exp_put_le16(want + 92, 0);
	exp_put_le16(want + 94, 1);
	/* PC, IEN, slot 0 written in the second pass: its phase tag is 0 */
	exp_put_le32(want + 96, 2 << 16 | 0x3);
	assert_int_equal(get_state(r, 1, 1, 0, 104), 1);
	assert_memory_equal(d, want, 104);

	/* by pieces, beyond the end, with nothing asked for */
	assert_int_equal(rig_ok(r, 0, .opcode = 0x42, .cdw10 = 1 << 16, .cdw11 = 1, .cdw12 = 96,
				.cdw15 = 3),
			 1);
	assert_memory_equal(d, want + 96, 8);
	rig_fails(r, 0, 2, .opcode = 0x42, .cdw10 = 1 << 16, .cdw11 = 1, .cdw12 = 108);
	rig_fails(r, 0, 2, .opcode = 0x42, .cdw10 = 1 << 16, .cdw11 = 1, .cdw12 = 2);
	rig_fails(r, 0, 2, .opcode = 0x42, .cdw10 = 1 << 16, .cdw11 = 1, .cdw13 = 1);
	rig_fails(r, 0, 2, .opcode = 0x42, .cdw10 = 2 << 16, .cdw11 = 1);
	rig_fails(r, 0, 2, .opcode = 0x42, .cdw10 = 0, .cdw11 = 2 << 16 | 1);
	assert_int_equal(get_state(r, 1, 0, 0, 48), 1);
	assert_int_equal(exp_le64(d + 16), 0);

	resume(r, 1);
	assert_int_equal(get_state(r, 1, 1, 0, 104), 0);
	assert_int_equal(d[2], 0);
	rig_free(r);
}

/* The draft layout of the Reference state, typed from its table. */
static void reference_state(uint8_t *w)
{
	uint8_t *s = w + 48, *n = s + 64;

	memset(w, 0, 168);
	w[2] = 1;
	w[32] = 16 + 14; /* VSS */
	s[2] = 1;
	s[3] = 2; /* two AERs */
	exp_put_le16(s + 4, 0x51);
	exp_put_le16(s + 6, 0x52);
	exp_put_le16(s + 12, 4); /* admin SQ head, tail */
	exp_put_le16(s + 14, 4);
	exp_put_le16(s + 16, 2); /* admin CQ head, tail */
	exp_put_le16(s + 18, 2);
	s[20] = 1;
	exp_put_le32(s + 24, 0x03020104);
	exp_put_le16(s + 28, 0x0160);
	exp_put_le16(s + 30, 0x0111);
	s[32] = 0; /* cache off */
	exp_put_le32(s + 36, 3 << 16 | 2);
	exp_put_le32(s + 40, 0x0A05);
	exp_put_le32(s + 44, 0x101);
	s[48] = 0x04; /* CD of vector 2 */
	exp_put_le32(s + 56, 14);
	exp_put_le16(n, 1); /* NVMECS version 1h */
	exp_put_le16(n + 2, 1);
	exp_put_le16(n + 4, 1);
	exp_put_le64(n + 8, RIG_IOVA + SQ1);
	exp_put_le16(n + 16, 7);
	exp_put_le16(n + 18, 1);
	exp_put_le16(n + 20, 1);
	exp_put_le16(n + 22, 5);
	exp_put_le64(n + 32, RIG_IOVA + CQ1);
	exp_put_le16(n + 40, 7);
	exp_put_le16(n + 42, 1);
	exp_put_le32(n + 48, 2 << 16 | 3);
}

/* A guest that has used its admin queue: two AERs outstanding, every feature away from default. */
static void live_guest(struct rig *r, unsigned int fn)
{
	uint32_t dw[4];

	rig_ok(r, fn, .opcode = 9, .cdw10 = 0x07, .cdw11 = 3 << 16 | 2);
	rig_ok(r, fn, .opcode = 9, .cdw10 = 0x01, .cdw11 = 0x03020104);
	rig_ok(r, fn, .opcode = 9, .cdw10 = 0x04, .cdw11 = 0x0160);
	rig_ok(r, fn, .opcode = 9, .cdw10 = 0x04, .cdw11 = 1 << 20 | 0x0111);
	rig_ok(r, fn, .opcode = 9, .cdw10 = 0x06, .cdw11 = 0);
	rig_ok(r, fn, .opcode = 9, .cdw10 = 0x08, .cdw11 = 0x0A05);
	rig_ok(r, fn, .opcode = 9, .cdw10 = 0x09, .cdw11 = 0x10002);
	rig_ok(r, fn, .opcode = 9, .cdw10 = 0x09, .cdw11 = 0x00000);
	rig_ok(r, fn, .opcode = 9, .cdw10 = 0x0B, .cdw11 = 0x101);
	make_queues(r, fn);
	for (uint16_t i = 0; i < 2; i++)
		rig_submit(r, fn, (struct rig_cmd){ .opcode = 0xC, .cid = (uint16_t)(0x51 + i) });
	for (uint16_t i = 0; i < 2; i++)
		rig_submit(r, fn, (struct rig_cmd){ .opcode = 6, .cdw10 = 1 });
	rig_run(r, fn);
	assert_true(rig_reap(r, fn, dw));
	assert_true(rig_reap(r, fn, dw));
}

static void test_reference_state_golden(void **state)
{
	struct rig *r = drive("aurora", 1, 1);
	uint8_t want[168];

	(void)state;
	live_guest(r, 1);
	suspend(r, 1);
	assert_int_equal(get_state(r, 1, 0, 1, 168), 1);
	reference_state(want);
	for (unsigned int i = 0; i < 168; i++)
		if (rig_data(r)[i] != want[i])
			fail_msg("byte %u is %02xh, not %02xh", i, rig_data(r)[i], want[i]);
	rig_free(r);
}

/* From aurora's function 1 to borealis' function 2; the UUID has another index there. */
static void test_move_to_another_vendor(void **state)
{
	struct rig *a = drive("aurora", 1, 1), *b;
	uint8_t s[168], *guest = a->mem, *own;
	uint32_t dw[4];

	(void)state;
	live_guest(a, 1);
	ring_flush(a, 1, 0, 0x77); /* fetched and completed here */
	rig_run(a, 1);
	suspend(a, 1);
	ring_flush(a, 1, 1, 0x78); /* left for the destination */
	get_state(a, 1, 0, 1, 168);
	memcpy(s, rig_data(a), 168);

	b = drive("borealis", 2, 2);
	suspend(b, 2);
	memcpy(rig_data(b), s, 168);
	assert_int_equal(rig_status(set_state(b, 2, 3, 0, 2, 0, 168)), 0);
	assert_int_equal(b->fn[2].db[0], 4); /* published for the guest */
	assert_int_equal(b->fn[2].db[1], 2);
	assert_int_equal(b->fn[2].db[2], 2);
	assert_int_equal(b->fn[2].db[3], 0);
	/* the guest's memory comes along: the VMM set the admin queue where the guest has it */
	own = b->mem;
	memcpy(own + RIG_ASQ(2), guest + RIG_ASQ(1), 0x1000);
	memcpy(own + RIG_ACQ(2), guest + RIG_ACQ(1), 0x1000);
	memcpy(own + SQ1, guest + SQ1, 0x2000);
	b->fn[2].sq_tail = a->fn[1].sq_tail;
	b->fn[2].cq_head = a->fn[1].cq_head;
	rig_run(b, 2);
	assert_int_equal(cqe_dw3(b, 1), 0); /* suspended still */
	b->fn[2].master = false;
	resume(b, 2);
	assert_int_equal(b->fn[2].irqs[2], 1); /* one completion was not consumed yet */
	rig_run(b, 2);
	assert_int_equal(cqe_dw3(b, 1), 0); /* no bus master, no fetch: hold=commit */
	b->fn[2].master = true;
	rig_run(b, 2);
	assert_int_equal(cqe_dw3(b, 0), 0x00010077);
	assert_int_equal(cqe_dw3(b, 1), 0x00010078);
	/* features and AERs came along */
	assert_int_equal(rig_ok(b, 2, .opcode = 0xA, .cdw10 = 1), 0x03020104);
	assert_int_equal(rig_ok(b, 2, .opcode = 0xA, .cdw10 = 4), 0x0160);
	assert_int_equal(rig_ok(b, 2, .opcode = 0xA, .cdw10 = 4, .cdw11 = 1 << 20), 0x0111);
	assert_int_equal(rig_ok(b, 2, .opcode = 0xA, .cdw10 = 6), 0);
	assert_int_equal(rig_ok(b, 2, .opcode = 0xA, .cdw10 = 7), 3 << 16 | 2);
	assert_int_equal(rig_ok(b, 2, .opcode = 0xA, .cdw10 = 8), 0x0A05);
	assert_int_equal(rig_ok(b, 2, .opcode = 0xA, .cdw10 = 9, .cdw11 = 2), 0x10002);
	assert_int_equal(rig_ok(b, 2, .opcode = 0xA, .cdw10 = 9, .cdw11 = 0), 0);
	assert_int_equal(rig_ok(b, 2, .opcode = 0xA, .cdw10 = 0xB), 0x101);
	rig_clear(b);
	exp_put_le16(rig_data(b), 1);
	exp_put_le16(rig_data(b) + 2, 2);
	rig_ok(b, 0, .opcode = 0x15, .cdw10 = 1, .nsid = 1);
	rig_run(b, 2);
	assert_true(rig_reap(b, 2, dw));
	assert_int_equal(dw[0], 0x040002);
	assert_int_equal(dw[3] & 0xFFFF, 0x51);
	rig_free(a);
	rig_free(b);
}

/* Suspended after each number of completions, over two wraps: phases go on without a break. */
static void test_phase_goes_on_wherever_the_tail_is(void **state)
{
	(void)state;
	for (unsigned int before = 0; before < 20; before++) {
		struct rig *a = drive("aurora", 1, 1), *b = drive("borealis", 2, 2);
		uint8_t s[168];

		make_queues(a, 1);
		for (unsigned int i = 0; i < before; i++) {
			ring_flush(a, 1, i % 8, (uint16_t)i);
			rig_run(a, 1);
			a->fn[1].db[3] = (i + 1) % 8;
		}
		suspend(a, 1);
		get_state(a, 1, 0, 1, 168);
		memcpy(s, rig_data(a), 168);
		suspend(b, 2);
		memcpy(rig_data(b), s, 168);
		/* aurora's own number of queues is the export's, which borealis was given too */
		assert_int_equal(rig_status(set_state(b, 2, 3, 0, 2, 0, 168)), 0);
		memcpy(b->mem + SQ1, a->mem + SQ1, 0x2000);
		resume(b, 2);
		for (unsigned int i = before; i < before + 20; i++) {
			ring_flush(b, 2, i % 8, (uint16_t)i);
			rig_run(b, 2);
			assert_int_equal(cqe_dw3(b, i % 8), (i / 8 % 2 ? 0u : 0x10000u) | i);
			b->fn[2].db[3] = (i + 1) % 8;
		}
		rig_free(a);
		rig_free(b);
	}
}

static void test_set_by_pieces(void **state)
{
	struct rig *r = drive("aurora", 1, 2);
	uint8_t s[168], *d = rig_data(r);

	(void)state;
	reference_state(s);
	suspend(r, 2);
	memcpy(d, s, 168);
	assert_int_equal(rig_status(set_state(r, 2, 0, 0, 1, 0, 64)), 0x0C); /* no sequence runs */
	assert_int_equal(rig_status(set_state(r, 2, 2, 0, 1, 0, 64)), 0x0C);
	assert_int_equal(rig_status(set_state(r, 2, 1, 0, 1, 0, 64)), 0);
	rig_fails(r, 0, 0x0C, .opcode = 0x41, .cdw10 = 1, .cdw11 = 2); /* Resume: not committed */
	assert_int_equal(rig_status(set_state(r, 2, 0, 0, 1, 64 + 4, 4)), 2); /* a gap */
	assert_int_equal(rig_status(set_state(r, 2, 0, 0, 1, 64, 4)), 0x0C);  /* void since then */
	rig_fails(r, 0, 0x0C, .opcode = 0x41, .cdw10 = 1, .cdw11 = 2);
	assert_int_equal(rig_status(set_state(r, 2, 1, 0, 1, 0, 100)), 0); /* a new start */
	memcpy(d, s + 100, 68);
	assert_int_equal(rig_status(set_state(r, 2, 0, 0, 1, 100, 68)), 0);
	assert_int_equal(rig_status(set_state(r, 2, 2, 0, 1, 168, 0)), 0); /* empty last one */
	resume(r, 2);
	rig_free(r);

	r = drive("aurora", 1, 2);
	d = rig_data(r);
	suspend(r, 2);
	memcpy(d, s, 168);
	assert_int_equal(rig_status(set_state(r, 2, 1, 0, 1, 0, 100)), 0);
	memcpy(d, s + 100, 68);
	assert_int_equal(rig_status(set_state(r, 2, 2, 1, 0, 100, 68)), 2); /* another selection */
	assert_int_equal(rig_status(set_state(r, 2, 1, 0, 1, 0, 0)), 2);    /* empty first one */
	assert_int_equal(rig_status(set_state(r, 2, 3, 0, 0, 0, 168)), 2);
	assert_int_equal(rig_status(set_state(r, 2, 3, 2, 0, 0, 168)), 2);
	assert_int_equal(rig_status(set_state(r, 2, 3, 0, 2, 0, 168)), 2);
	assert_int_equal(rig_status(set_state(r, 2, 3, 0, 1, 2, 168)), 2);
	assert_int_equal(rig_status(set_state(r, 3, 3, 0, 1, 0, 168)),
			 0x11F); /* off, not suspended */
	rig_free(r);
}

/* Each byte of the state that may not be what it is: refused, and no queue is made. */
static void test_hostile_states(void **state)
{
	static const struct {
		unsigned int at, bytes;
		uint64_t value;
	} bad[] = {
		{ 0, 2, 1 },   /* container version */
		{ 2, 1, 2 },   /* CSATTR */
		{ 3, 1, 1 },   /* reserved */
		{ 15, 1, 1 },  /* reserved */
		{ 16, 8, 1 },  /* NVMECSS with CSVI=0 */
		{ 24, 8, 1 },  /* upper half of NVMECSS */
		{ 32, 8, 29 }, /* VSS shorter than what came */
		{ 32, 8, 31 },
		{ 32, 8, UINT64_C(0x4000000000000000) }, /* * 4 is 0 */
		{ 40, 8, 1 },
		{ 48, 2, 1 },    /* version of the Reference header */
		{ 50, 1, 3 },    /* CSATTR */
		{ 51, 1, 5 },    /* five AERs */
		{ 54, 2, 0x51 }, /* the same AER twice */
		{ 56, 2, 1 },    /* behind the last AER */
		{ 60, 2, 16 },   /* admin SQ head beyond the queue of 16 */
		{ 62, 2, 16 },
		{ 64, 2, 16 },
		{ 66, 2, 0xFFFF },
		{ 68, 1, 2 },
		{ 69, 1, 1 },
		{ 80, 1, 2 },
		{ 81, 1, 1 },
		{ 84, 4, 3 << 16 | 4 },  /* five SQs, the export has four */
		{ 84, 4, 8u << 16 | 2 }, /* nine CQs of eight */
		{ 84, 4, 0xFFFFFFFF },
		{ 88, 4, 0x10000 }, /* reserved of feature 08h */
		{ 92, 4, 0x80000 }, /* an event this controller has not */
		{ 104, 4, 15 },     /* NVMECSS of the header */
		{ 104, 4, 0xFFFFFFFF },
		{ 108, 1, 1 },
		{ 112, 2, 0 }, /* NVMECS version: 0 in here */
		{ 114, 2, 2 }, /* two SQs said, one there */
		{ 114, 2, 0xFFFF },
		{ 116, 2, 0 },
		{ 118, 2, 1 },
		{ 120, 8, RIG_IOVA + SQ1 + 64 }, /* not on a page */
		{ 128, 2, 0 },                   /* one entry */
		{ 128, 2, 1024 },                /* more than MQES */
		{ 130, 2, 0 },                   /* the admin queue's id */
		{ 130, 2, 4 },                   /* beyond feature 07h: three SQs */
		{ 130, 2, 0xFFFF },
		{ 132, 2, 0 },    /* CQ 0 */
		{ 132, 2, 2 },    /* a CQ that is not there */
		{ 134, 2, 4 },    /* PC=0 */
		{ 134, 2, 0x0D }, /* reserved */
		{ 136, 2, 8 },    /* head */
		{ 138, 2, 8 },    /* tail */
		{ 140, 4, 1 },
		{ 144, 8, RIG_IOVA + CQ1 + 16 },
		{ 152, 2, 0 },
		{ 152, 2, 1024 },
		{ 154, 2, 0 },
		{ 154, 2, 5 }, /* beyond feature 07h: four CQs */
		{ 156, 2, 8 },
		{ 158, 2, 8 },
		{ 160, 4, 2 << 16 | 2 },   /* PC=0 */
		{ 160, 4, 2 << 16 | 0xB }, /* reserved */
		{ 160, 4, 65u << 16 | 3 }, /* a vector it does not have */
		{ 164, 4, 1 },
	};
	struct rig *r = drive("aurora", 1, 2);
	uint8_t good[168];

	(void)state;
	reference_state(good);
	suspend(r, 2);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(bad); i++) {
		uint8_t v[8];

		memcpy(rig_data(r), good, 168);
		exp_put_le64(v, bad[i].value);
		memcpy(rig_data(r) + bad[i].at, v, bad[i].bytes);
		if (rig_status(set_state(r, 2, 3, 0, 1, 0, 168)) != 2)
			fail_msg("row %zu, byte %u: not refused", i, bad[i].at);
	}
	for (unsigned int len = 4; len < 168; len += 4) {
		memcpy(rig_data(r), good, 168);
		assert_int_equal(rig_status(set_state(r, 2, 3, 0, 1, 0, len)), 2);
	}
	rig_fails(r, 2, 0x101, .opcode = 0, .cdw10 = 1); /* no queue came of it */
	memcpy(rig_data(r), good, 168);
	assert_int_equal(rig_status(set_state(r, 2, 3, 0, 1, 0, 168)), 0);
	assert_int_equal(rig_status(set_state(r, 2, 3, 0, 1, 0, 168)), 2); /* it has queues now */
	rig_free(r);
}

static void test_doubled_queues_are_refused(void **state)
{
	struct rig *r = drive("aurora", 1, 2);
	uint8_t s[168 + 48];

	(void)state;
	suspend(r, 2);
	for (int which = 0; which < 2; which++) {
		uint8_t *n = s + 112;

		memset(s, 0, sizeof(s));
		reference_state(s);
		/* the SQ (or the CQ) once more, with the same id */
		if (which) {
			memcpy(n + 56, n + 32, 24);
			exp_put_le16(n + 4, 2);
		} else {
			memmove(n + 32, n + 8, 48);
			exp_put_le16(n + 2, 2);
		}
		s[32] += 6;
		exp_put_le32(s + 48 + 56, 20);
		memcpy(rig_data(r), s, 192);
		assert_int_equal(rig_status(set_state(r, 2, 3, 0, 1, 0, 192)), 2);
		exp_put_le16(n + (which ? 56 : 32) + 10, 2); /* with its own id it is fine */
		memcpy(rig_data(r), s, 192);
		if (which)
			assert_int_equal(rig_status(set_state(r, 2, 3, 0, 1, 0, 192)), 0);
	}
	rig_free(r);
}

static void test_committed_state_outlives_a_reset(void **state)
{
	struct rig *r = drive("aurora", 1, 2);

	(void)state;
	suspend(r, 2);
	reference_state(rig_data(r));
	assert_int_equal(rig_status(set_state(r, 2, 3, 0, 1, 0, 168)), 0);
	ssd_reg_write(rig_fn(r, 2), 0x14, 0, 4);
	assert_int_equal(r->fn[2].db[0], 0);
	rig_enable(r, 2);
	assert_int_equal(r->fn[2].db[0], 4);
	assert_int_equal(get_state(r, 2, 1, 0, 104), 0); /* not suspended any more ... */
	assert_int_equal(exp_le16(rig_data(r) + 50), 1); /* ... with its queues, running */
	suspend(r, 2);
	resume(r, 2); /* from here on a reset is a reset */
	ssd_reg_write(rig_fn(r, 2), 0x14, 0, 4);
	rig_enable(r, 2);
	get_state(r, 2, 1, 0, 104);
	assert_int_equal(exp_le16(rig_data(r) + 50), 0);
	rig_free(r);
}

static void test_a_new_export_has_no_old_state(void **state)
{
	struct rig *r = drive("aurora", 1, 2);
	uint16_t a = 0;

	(void)state;
	suspend(r, 2);
	reference_state(rig_data(r));
	assert_int_equal(rig_status(set_state(r, 2, 3, 0, 1, 0, 168)), 0);
	ssd_reg_write(rig_fn(r, 2), 0x14, 0, 4);
	rig_clear(r);
	rig_ok(r, 0, .opcode = 0x2A, .cdw10 = 1, .cdw15 = 65);
	a = exp_le16(rig_data(r) + 4 + 258);
	rig_clear(r);
	exp_put_le16(rig_data(r), 1);
	exp_put_le16(rig_data(r) + 2, 2);
	rig_ok(r, 0, .opcode = 0x15, .cdw10 = 1, .nsid = 1);
	rig_clear(r);
	exp_put_le32(rig_data(r) + 32, 1);
	rig_ok(r, 0, .opcode = 0x31, .cdw10 = 2, .cdw14 = (uint32_t)a << 16 | 0x80);
	rig_ok(r, 0, .opcode = 0x2D, .cdw10 = 1, .cdw14 = (uint32_t)a << 16 | 0x80);
	rig_export(r, 1, 2, 1, RIG_NQN);
	rig_enable(r, 2);
	assert_int_equal(r->fn[2].db[0], 0);
	rig_free(r);
}

static void test_attach_while_suspended(void **state)
{
	struct rig *r = drive("aurora", 1, 1);
	uint8_t *d = rig_data(r);

	(void)state;
	make_queues(r, 1);
	suspend(r, 1);
	rig_clear(r);
	exp_put_le16(d, 1);
	exp_put_le16(d + 2, 1);
	rig_ok(r, 0, .opcode = 0x15, .cdw10 = 1, .nsid = 1); /* the fence */
	assert_int_equal(get_state(r, 1, 1, 0, 104), 1);
	assert_int_equal(exp_le16(d + 50), 1);
	rig_clear(r);
	rig_ok(r, 0, .opcode = 6, .cdw10 = 0x12, .nsid = 1);
	assert_int_equal(exp_le16(d), 1); /* the data controller is left */
	assert_int_equal(exp_le16(d + 2), 0);
	resume(r, 1); /* nothing that runs now can reach the namespace */
	ring_flush(r, 1, 0, 9);
	rig_run(r, 1);
	assert_int_equal(cqe_dw3(r, 0) >> 17 & 0x7FF, 2);
	rig_free(r);

	r = rig_new("contrary");
	rig_namespace(r, 4096, 0, 1u << 1);
	rig_enable(r, 1);
	suspend(r, 1);
	rig_clear(r);
	exp_put_le16(rig_data(r), 1);
	exp_put_le16(rig_data(r) + 2, 1);
	rig_fails(r, 0, 0x139, .opcode = 0x15, .cdw10 = 1, .nsid = 1);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suspend_stops_fetching),
		cmocka_unit_test(test_notification_stops_nothing),
		cmocka_unit_test(test_suspend_refusals),
		cmocka_unit_test(test_resets_end_a_suspension),
		cmocka_unit_test(test_state_of_queues_version_0),
		cmocka_unit_test(test_reference_state_golden),
		cmocka_unit_test(test_move_to_another_vendor),
		cmocka_unit_test(test_phase_goes_on_wherever_the_tail_is),
		cmocka_unit_test(test_set_by_pieces),
		cmocka_unit_test(test_hostile_states),
		cmocka_unit_test(test_doubled_queues_are_refused),
		cmocka_unit_test(test_committed_state_outlives_a_reset),
		cmocka_unit_test(test_a_new_export_has_no_old_state),
		cmocka_unit_test(test_attach_while_suspended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
