/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_emu_ledger.c - every kind of damage is planted and has to be found, and nothing else
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* before cmocka */
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "emu/guest_block.h"
#include "emu/guest_ledger.h"

#define BLOCKS 64
#define RUN    77

/* A namespace in memory, with a ledger beside it. */
struct fixture {
	struct emu_ledger l;
	uint8_t disk[BLOCKS][EMU_BLOCK];
};

static struct fixture *make(uint32_t lba_bytes, enum emu_dealloc dealloc, bool fresh)
{
	static struct fixture f;
	const struct emu_ledger_config c = {
		.blocks = BLOCKS,
		.lba_bytes = lba_bytes,
		.run = RUN,
		.queues = 4,
		.dealloc = dealloc,
		.fresh = fresh,
	};

	memset(&f, 0, sizeof(f));
	assert_int_equal(emu_ledger_init(&f.l, &c, NULL), 0);
	return &f;
}

static struct fixture *make_plain(void)
{
	return make(512, EMU_DEALLOC_ZEROS, true);
}

/* An acknowledged write that the device did, or did not do. */
static void write_block(struct fixture *f, uint64_t block, uint32_t seq, bool done)
{
	emu_ledger_begin(&f->l, block, 1);
	if (done)
		emu_ledger_fill(&f->l, block, seq, f->disk[block]);
	emu_ledger_acked(&f->l, block, 1, EMU_WRITE, seq);
}

static void zero_block(struct fixture *f, uint64_t block, bool done)
{
	emu_ledger_begin(&f->l, block, 1);
	if (done)
		memset(f->disk[block], 0, EMU_BLOCK);
	emu_ledger_acked(&f->l, block, 1, EMU_ZERO, 0);
}

static void trim_block(struct fixture *f, uint64_t block)
{
	emu_ledger_begin(&f->l, block, 1);
	emu_ledger_acked(&f->l, block, 1, EMU_DEALLOCATE, 0);
}

/* Reads @block; exactly the damage @want is found, or none for EMU_DAMAGES. */
static void expect(struct fixture *f, uint64_t block, enum emu_damage want)
{
	uint64_t before[EMU_DAMAGES];

	memcpy(before, f->l.damages, sizeof(before));
	assert_int_equal(emu_ledger_check(&f->l, block, f->disk[block]), want == EMU_DAMAGES);
	for (enum emu_damage d = 0; d < EMU_DAMAGES; d++) {
		if (f->l.damages[d] != before[d] + (d == want))
			fail_msg("block %llu: wanted %s, got %s (%s)", (unsigned long long)block,
				 want == EMU_DAMAGES ? "none" : emu_damage_name(want),
				 emu_damage_name(d),
				 f->l.n_notes ? f->l.notes[f->l.n_notes - 1].text : "");
	}
	/* the same damage is counted once */
	assert_true(emu_ledger_check(&f->l, block, f->disk[block]));
}

#define FINE EMU_DAMAGES

static void test_stamp_round_trip(void **state)
{
	static const size_t sizes[] = { 512, 1024, 4096 };
	uint8_t b[4096];

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(sizes); i++) {
		const struct emu_stamp s = { 0x123456789000, 0xfffffff0, 42, 7 };
		struct emu_stamp r;

		emu_block_write(b, sizes[i], &s);
		assert_int_equal(emu_block_read(b, sizes[i], &r), EMU_CONTENT_STAMPED);
		assert_true(r.addr == s.addr && r.seq == s.seq && r.run == s.run);
		assert_int_equal(r.writer, s.writer);
		/* no bit may change unseen */
		for (size_t bit = 0; bit < sizes[i] * 8; bit += 7) {
			b[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(emu_block_read(b, sizes[i], &r), EMU_CONTENT_BROKEN);
			b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		/* nor two at once, which might undo each other */
		for (size_t w = 40; w + 16 <= sizes[i]; w += 8) {
			b[w + 7] ^= 0x80;
			b[w + 15] ^= 0x80;
			assert_int_equal(emu_block_read(b, sizes[i], &r), EMU_CONTENT_BROKEN);
			b[w + 7] ^= 0x80;
			b[w + 15] ^= 0x80;
		}
		/* nor may two words change places */
		for (size_t w = 40; w + 16 <= sizes[i]; w += 8) {
			uint8_t t[8];

			memcpy(t, b + w, 8);
			memcpy(b + w, b + w + 8, 8);
			memcpy(b + w + 8, t, 8);
			assert_int_equal(emu_block_read(b, sizes[i], &r), EMU_CONTENT_BROKEN);
			memcpy(b + w + 8, b + w, 8);
			memcpy(b + w, t, 8);
		}
	}
	memset(b, 0, sizeof(b));
	assert_int_equal(emu_block_read(b, 512, &(struct emu_stamp){ 0 }), EMU_CONTENT_ZERO);
	b[511] = 1;
	assert_int_equal(emu_block_read(b, 512, &(struct emu_stamp){ 0 }), EMU_CONTENT_BROKEN);
	memset(b, 0xff, sizeof(b));
	assert_int_equal(emu_block_read(b, 512, &(struct emu_stamp){ 0 }), EMU_CONTENT_ONES);
}

static void test_all_is_well(void **state)
{
	(void)state;
	for (uint32_t lba = 512; lba <= 4096; lba *= 2) {
		struct fixture *f = make(lba, EMU_DEALLOC_ZEROS, true);

		expect(f, 0, FINE);
		write_block(f, 1, 1, true);
		expect(f, 1, FINE);
		write_block(f, 1, 2, true);
		write_block(f, 1, 3, true);
		expect(f, 1, FINE);
		zero_block(f, 1, true);
		expect(f, 1, FINE);
		emu_ledger_done(&f->l);
	}
}

static void test_lost(void **state)
{
	struct fixture *f = make_plain();

	(void)state;
	write_block(f, 1, 1, false); /* never arrived: zeros */
	expect(f, 1, EMU_LOST);
	write_block(f, 2, 1, true);
	expect(f, 2, FINE);
	write_block(f, 2, 2, false); /* the older one is still there */
	expect(f, 2, EMU_LOST);
	write_block(f, 3, 1, true);
	zero_block(f, 3, false);
	expect(f, 3, EMU_LOST);
	write_block(f, 4, 5, true);
	memset(f->disk[4], 0, EMU_BLOCK);
	expect(f, 4, EMU_LOST);
	write_block(f, 5, 5, true);
	memset(f->disk[5], 0xff, EMU_BLOCK);
	expect(f, 5, EMU_LOST);
	emu_ledger_done(&f->l);
}

static void test_torn(void **state)
{
	uint8_t older[EMU_BLOCK];

	(void)state;
	for (uint32_t lba = 512; lba <= 4096; lba *= 2) {
		struct fixture *f = make(lba, EMU_DEALLOC_ZEROS, true);

		for (uint64_t b = 0; b + 512 <= EMU_BLOCK; b += 512) {
			uint64_t block = b / 512;

			write_block(f, block, 1, true);
			memcpy(older, f->disk[block], EMU_BLOCK);
			write_block(f, block, 2, true);
			/* one sector of the write before */
			memcpy(f->disk[block] + b, older + b, 512);
			expect(f, block, EMU_TORN);
		}
		write_block(f, 20, 1, true);
		f->disk[20][4095] ^= 1;
		expect(f, 20, EMU_TORN);
		write_block(f, 21, 1, true);
		memset(f->disk[21] + 2048, 0, 512);
		expect(f, 21, EMU_TORN);
		emu_ledger_done(&f->l);
	}
}

static void test_duplicated(void **state)
{
	struct fixture *f = make_plain();

	(void)state;
	write_block(f, 1, 1, true);
	write_block(f, 2, 2, true);
	memcpy(f->disk[1], f->disk[2], EMU_BLOCK); /* it was written to two places */
	expect(f, 1, EMU_DUPLICATED);
	expect(f, 2, FINE);
	/* sectors in the wrong order within a block */
	write_block(f, 3, 1, true);
	memcpy(f->disk[3], f->disk[3] + 512, 512);
	expect(f, 3, EMU_DUPLICATED);
	/* into a block that was never written */
	memcpy(f->disk[9], f->disk[2], EMU_BLOCK);
	expect(f, 9, EMU_DUPLICATED);
	emu_ledger_done(&f->l);
}

static void test_reordered(void **state)
{
	struct fixture *f = make_plain();
	uint8_t old[EMU_BLOCK];

	(void)state;
	write_block(f, 1, 1, true);
	memcpy(old, f->disk[1], EMU_BLOCK);
	write_block(f, 1, 2, true);
	expect(f, 1, FINE); /* seen */
	memcpy(f->disk[1], old, EMU_BLOCK);
	expect(f, 1, EMU_REORDERED);
	/* zeros were seen, then the old data is back */
	write_block(f, 2, 1, true);
	memcpy(old, f->disk[2], EMU_BLOCK);
	zero_block(f, 2, true);
	expect(f, 2, FINE);
	memcpy(f->disk[2], old, EMU_BLOCK);
	expect(f, 2, EMU_REORDERED);
	/* a write that failed, was found undone, and is done later all the same */
	write_block(f, 3, 1, true);
	emu_ledger_begin(&f->l, 3, 1);
	emu_ledger_unsure(&f->l, 3, 1, EMU_WRITE, 2);
	expect(f, 3, FINE);
	emu_ledger_fill(&f->l, 3, 2, f->disk[3]);
	expect(f, 3, EMU_REORDERED);
	emu_ledger_done(&f->l);
}

static void test_foreign(void **state)
{
	struct fixture *f = make_plain();
	const struct emu_stamp other = { .addr = 5 * EMU_BLOCK, .seq = 1, .run = 1, .writer = 1 };

	(void)state;
	for (size_t i = 0; i < EMU_BLOCK; i += 512) {
		struct emu_stamp s = other;

		s.addr += i;
		emu_block_write(f->disk[5] + i, 512, &s);
	}
	expect(f, 5, EMU_FOREIGN);
	memset(f->disk[6], 0x17, EMU_BLOCK); /* the last tenant's */
	expect(f, 6, EMU_FOREIGN);
	memset(f->disk[7] + 512, 0xff, 512);
	write_block(f, 7, 1, true);
	expect(f, 7, FINE);
	memset(f->disk[8], 0xff, EMU_BLOCK);
	expect(f, 8, EMU_FOREIGN);
	emu_ledger_done(&f->l);
	/* without a promise of zeros nothing is said of what was never written */
	f = make(512, EMU_DEALLOC_ZEROS, false);
	memset(f->disk[6], 0x17, EMU_BLOCK);
	expect(f, 6, FINE);
	write_block(f, 6, 1, false);
	expect(f, 6, EMU_TORN);
	emu_ledger_done(&f->l);
}

static void test_deallocated_may_stay_or_go(void **state)
{
	struct fixture *f = make_plain();
	uint8_t data[EMU_BLOCK];

	(void)state;
	write_block(f, 1, 1, true);
	memcpy(data, f->disk[1], EMU_BLOCK);
	trim_block(f, 1);
	expect(f, 1, FINE); /* not followed: and from now on it stays */
	memset(f->disk[1], 0, EMU_BLOCK);
	expect(f, 1, EMU_REORDERED);

	write_block(f, 2, 1, true);
	memcpy(data, f->disk[2], EMU_BLOCK);
	trim_block(f, 2);
	memset(f->disk[2], 0, EMU_BLOCK);
	expect(f, 2, FINE); /* followed: the old data must not come back */
	memcpy(f->disk[2], data, EMU_BLOCK);
	expect(f, 2, EMU_REORDERED);

	write_block(f, 3, 1, true);
	trim_block(f, 3);
	memset(f->disk[3], 0, 1024);
	expect(f, 3, FINE); /* in part */
	memset(f->disk[3], 0xff, 1024);
	expect(f, 3, EMU_TORN); /* this drive promises zeros */

	/* a lost write under a deallocation is nobody's loss; a torn one is */
	write_block(f, 4, 1, false);
	trim_block(f, 4);
	expect(f, 4, FINE);
	write_block(f, 5, 1, true);
	f->disk[5][77] ^= 1;
	trim_block(f, 5);
	expect(f, 5, EMU_TORN);
	/* written again: exact again */
	trim_block(f, 6);
	write_block(f, 6, 4, false);
	expect(f, 6, EMU_LOST);
	emu_ledger_done(&f->l);

	f = make(512, EMU_DEALLOC_ONES, true);
	write_block(f, 1, 1, true);
	trim_block(f, 1);
	memset(f->disk[1], 0xff, EMU_BLOCK);
	expect(f, 1, FINE);
	write_block(f, 2, 1, true);
	trim_block(f, 2);
	memset(f->disk[2], 0, EMU_BLOCK);
	expect(f, 2, EMU_LOST);
	emu_ledger_done(&f->l);
}

static void test_unsure_writes(void **state)
{
	struct fixture *f = make_plain();
	uint8_t older[EMU_BLOCK];

	(void)state;
	for (uint64_t b = 0; b < 4; b++) {
		write_block(f, b, 1, true);
		emu_ledger_begin(&f->l, b, 1);
		emu_ledger_unsure(&f->l, b, 1, EMU_WRITE, 2);
	}
	expect(f, 0, FINE); /* the old one: settled */
	emu_ledger_fill(&f->l, 1, 2, f->disk[1]);
	expect(f, 1, FINE); /* the new one: settled, it cannot go back */
	emu_ledger_fill(&f->l, 1, 1, f->disk[1]);
	expect(f, 1, EMU_REORDERED);
	memcpy(older, f->disk[2], EMU_BLOCK);
	emu_ledger_fill(&f->l, 2, 2, f->disk[2]);
	memcpy(f->disk[2] + 512, older + 512, 1024);
	expect(f, 2, FINE); /* half */
	emu_ledger_fill(&f->l, 3, 3, f->disk[3]);
	expect(f, 3, EMU_REORDERED); /* neither */
	/* a failed zeroing, a failed deallocation */
	write_block(f, 5, 1, true);
	emu_ledger_begin(&f->l, 5, 1);
	emu_ledger_unsure(&f->l, 5, 1, EMU_ZERO, 0);
	memset(f->disk[5], 0, EMU_BLOCK);
	expect(f, 5, FINE);
	write_block(f, 6, 1, true);
	emu_ledger_begin(&f->l, 6, 1);
	emu_ledger_unsure(&f->l, 6, 1, EMU_DEALLOCATE, 0);
	expect(f, 6, FINE);
	/* the next acknowledged write ends all doubt */
	write_block(f, 2, 9, false);
	expect(f, 2, EMU_TORN);
	emu_ledger_done(&f->l);
}

static void test_idle_and_owner(void **state)
{
	struct fixture *f = make_plain();

	(void)state;
	assert_int_equal(emu_ledger_owner(&f->l, 0), 1);
	assert_int_equal(emu_ledger_owner(&f->l, 15), 1);
	assert_int_equal(emu_ledger_owner(&f->l, 16), 2);
	assert_int_equal(emu_ledger_owner(&f->l, 63), 4);
	assert_int_equal(emu_ledger_first(&f->l, 1), 0);
	assert_int_equal(emu_ledger_first(&f->l, 4), 48);
	assert_int_equal(emu_ledger_first(&f->l, 5), 64);
	assert_true(emu_ledger_idle(&f->l, 0, 64));
	emu_ledger_begin(&f->l, 10, 2);
	assert_false(emu_ledger_idle(&f->l, 0, 64));
	assert_false(emu_ledger_idle(&f->l, 11, 1));
	assert_true(emu_ledger_idle(&f->l, 12, 1));
	emu_ledger_end(&f->l, 10, 2);
	assert_true(emu_ledger_idle(&f->l, 0, 64));
	emu_ledger_done(&f->l);
	assert_int_equal(emu_ledger_init(&f->l,
					 &(struct emu_ledger_config){
						 .blocks = 3, .lba_bytes = 512, .queues = 4 },
					 NULL),
			 -EINVAL);
}

static void test_adopt(void **state)
{
	struct fixture *f = make_plain();
	struct emu_ledger_config c;

	(void)state;
	write_block(f, 1, 100, true);
	write_block(f, 2, 50, true);
	memset(f->disk[3], 0x33, EMU_BLOCK);
	c = f->l.c;
	emu_ledger_done(&f->l);
	c.run = 12345;
	c.fresh = false;
	assert_int_equal(emu_ledger_init(&f->l, &c, NULL), 0);
	assert_int_equal(emu_ledger_adopt(&f->l, 0, f->disk[0]), 0);
	assert_int_equal(emu_ledger_adopt(&f->l, 1, f->disk[1]), 100);
	assert_int_equal(emu_ledger_adopt(&f->l, 2, f->disk[2]), 50);
	assert_int_equal(emu_ledger_adopt(&f->l, 3, f->disk[3]), 0);
	assert_int_equal(f->l.c.run, RUN);
	expect(f, 0, FINE);
	expect(f, 1, FINE);
	expect(f, 3, FINE);
	memset(f->disk[1], 0, EMU_BLOCK);
	expect(f, 1, EMU_REORDERED);
	memset(f->disk[0], 1, EMU_BLOCK);
	expect(f, 0, EMU_TORN);
	memset(f->disk[3], 0, EMU_BLOCK); /* of this one nothing was known */
	expect(f, 3, FINE);
	emu_ledger_done(&f->l);
}

/* A device that does everything right, at random: the ledger must not cry wolf. */
static void test_honest_device(void **state)
{
	struct fixture *f = make(1024, EMU_DEALLOC_ZEROS, true);
	struct exp_rng rng;

	(void)state;
	exp_rng_seed(&rng, 4);
	for (uint32_t seq = 1; seq < 20000; seq++) {
		uint64_t first = exp_rng_below(&rng, BLOCKS - 4), n = 1 + exp_rng_below(&rng, 4);
		uint64_t what = exp_rng_below(&rng, 6);
		bool fails = exp_rng_chance(&rng, 1, 20), done = !fails || what % 2;

		emu_ledger_begin(&f->l, first, n);
		for (uint64_t b = first; b < first + n; b++) {
			if (done && what < 3)
				emu_ledger_fill(&f->l, b, seq, f->disk[b]);
			else if (done && (what == 3 || (what == 4 && seq % 2)))
				memset(f->disk[b], 0, EMU_BLOCK);
		}
		if (what == 5)
			emu_ledger_end(&f->l, first, n);
		else if (fails)
			emu_ledger_unsure(&f->l, first, n, what < 3 ? EMU_WRITE : what - 2, seq);
		else
			emu_ledger_acked(&f->l, first, n, what < 3 ? EMU_WRITE : what - 2, seq);
		for (uint64_t b = first; what == 5 && b < first + n; b++)
			assert_true(emu_ledger_check(&f->l, b, f->disk[b]));
	}
	for (uint64_t b = 0; b < BLOCKS; b++)
		expect(f, b, FINE);
	emu_ledger_done(&f->l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stamp_round_trip),
		cmocka_unit_test(test_all_is_well),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_duplicated),
		cmocka_unit_test(test_reordered),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_deallocated_may_stay_or_go),
		cmocka_unit_test(test_unsure_writes),
		cmocka_unit_test(test_idle_and_owner),
		cmocka_unit_test(test_adopt),
		cmocka_unit_test(test_honest_device),
	};

	return cmocka_run_group_tests_name("emu_ledger", tests, NULL, NULL);
}
