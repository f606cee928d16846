/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_emu_random.c - commands that nobody would send: random opcodes, dwords, data and addresses,
 * through admin and I/O queues of the MMC and of guests
 *
 * Nothing is expected but that the drive lives, answers every command once, and opens again. The
 * seed is fixed; EXP_TEST_SEED takes another.
 */
#include "support/ssd_rig.h"

#include "base/rng.h"

#define COMMANDS 20000
#define SQ1(fn)  (RIG_QUEUES(fn) + 0x10000)
#define CQ1(fn)  (RIG_QUEUES(fn) + 0x20000)

static const uint8_t admin_opcodes[] = { 0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x08, 0x09,
					 0x0A, 0x0C, 0x0D, 0x15, 0x2A, 0x2D, 0x31, 0x3D,
					 0x41, 0x42, 0x45, 0x86, 0x28, 0x35, 0x3E, 0xC0 };
static const uint8_t io_opcodes[] = { 0, 1, 2, 4, 5, 8, 9, 0xC, 0x7F };

/* Small numbers, bits in the places where fields are, or anything. */
static uint32_t some_dword(struct exp_rng *rng)
{
	switch (exp_rng_below(rng, 8)) {
	case 0:
	case 6: return 0;
	case 7: return 8 * (uint32_t)exp_rng_below(rng, 65);
	case 1: return (uint32_t)exp_rng_below(rng, 9);
	case 2: return (uint32_t)exp_rng_below(rng, 5) << 16 | (uint32_t)exp_rng_below(rng, 9);
	case 3: return 0x80000000u | (uint32_t)exp_rng_below(rng, 4);
	case 4: return (uint32_t)exp_rng_below(rng, 1024);
	default: return (uint32_t)exp_rng_next(rng);
	}
}

static uint64_t some_address(struct exp_rng *rng)
{
	uint64_t page = RIG_IOVA + RIG_DATA + 4096 * exp_rng_below(rng, 64);

	switch (exp_rng_below(rng, 8)) {
	case 0: return exp_rng_next(rng);
	case 1: return RIG_IOVA + RIG_BYTES - exp_rng_below(rng, 8192);
	case 2: return page + exp_rng_below(rng, 4096);
	case 3: return page;
	default: return RIG_IOVA + RIG_DATA;
	}
}

static void some_data(struct rig *r, struct exp_rng *rng)
{
	uint8_t *d = rig_data(r);

	memset(d, 0, 4096);
	switch (exp_rng_below(rng, 5)) {
	case 0:
		for (int i = 0; i < 512; i++)
			exp_put_le64(d + 8 * i, some_address(rng));
		return;
	case 1:
		exp_put_le64(d, 1 + exp_rng_below(rng, 100000));
		exp_put_le64(d + 8, exp_le64(d));
		d[30] = 1;
		return;
	case 2:
		exp_put_le16(d, (uint16_t)exp_rng_below(rng, 3));
		exp_put_le16(d + 2, (uint16_t)exp_rng_below(rng, 6));
		exp_put_le16(d + 4, (uint16_t)exp_rng_below(rng, 6));
		return;
	case 3: rig_config(d, RIG_NQN); return;
	default: exp_put_le32(d + 32, 1); exp_put_le32(d + 292, (uint32_t)exp_rng_below(rng, 8));
	}
}

static struct rig_cmd some_command(struct exp_rng *rng, const uint8_t *opcodes, size_t n)
{
	static uint16_t cid;

	return (struct rig_cmd){
		.opcode = opcodes[exp_rng_below(rng, n)],
		.flags = exp_rng_chance(rng, 1, 50) ? (uint8_t)exp_rng_next(rng) : 0,
		.cid = ++cid,
		.nsid = exp_rng_chance(rng, 1, 9) ? some_dword(rng)
						  : (uint32_t)exp_rng_below(rng, 5),
		.cdw10 = some_dword(rng),
		.cdw11 = some_dword(rng),
		.cdw12 = some_dword(rng),
		.cdw13 = some_dword(rng),
		.cdw14 = exp_rng_chance(rng, 1, 2)
				 ? (0x100u + (uint32_t)exp_rng_below(rng, 256)) << 16 | 0x80
				 : some_dword(rng),
		.cdw15 = some_dword(rng),
		.prp1 = some_address(rng),
		.prp2 = some_address(rng),
	};
}

static void queue_pair(struct rig *r, unsigned int fn)
{
	ssd_reg_write(rig_fn(r, fn), 0x14, 0, 4);
	rig_enable(r, fn);
	RIG(r, fn, .opcode = 5, .cdw10 = 7 << 16 | 1, .cdw11 = 1, .prp1 = RIG_IOVA + CQ1(fn));
	RIG(r, fn, .opcode = 1, .cdw10 = 7 << 16 | 1, .cdw11 = 1 << 16 | 1,
	    .prp1 = RIG_IOVA + SQ1(fn));
}

/* What random commands would find only after a very long time, where it can be had now. */
static void bring_up(struct rig *r)
{
	uint8_t *d = rig_data(r);

	for (unsigned int fn = 0; fn < RIG_FNS; fn++)
		queue_pair(r, fn);
	for (int i = 0; i < 2; i++) {
		rig_clear(r);
		exp_put_le64(d, 5000);
		exp_put_le64(d + 8, 5000);
		d[30] = 1;
		RIG(r, 0, .opcode = 0x0D);
	}
	for (uint32_t nsid = 1; nsid < 3; nsid++) {
		for (uint16_t fn = 0; fn < 3; fn++) {
			rig_clear(r);
			exp_put_le16(d, 1);
			exp_put_le16(d + 2, fn);
			RIG(r, 0, .opcode = 0x15, .nsid = nsid);
		}
	}
	for (uint32_t fn = 1; fn < 3; fn++) {
		struct ssd_result res = RIG(r, 0, .opcode = 0x45, .cdw11 = fn << 16 | 1,
					    .cdw12 = 256,
					    .prp1 = RIG_IOVA + 0x300000 + 0x10000 * fn);

		RIG(r, 0, .opcode = 0x3D, .cdw10 = 1 << 16, .cdw11 = res.dw0);
	}
}

static void one_command(struct rig *r, struct exp_rng *rng, unsigned int fn)
{
	uint32_t dw[4], slot;
	unsigned int answers = 0;

	some_data(r, rng);
	r->now_us += exp_rng_below(rng, 2000);
	if (exp_rng_chance(rng, 2, 3)) {
		struct rig_cmd c = some_command(rng, admin_opcodes, EXP_ARRAY_SIZE(admin_opcodes));

		if (fn && exp_rng_chance(rng, 1, 2))
			fn = 0;
		rig_submit(r, fn, c);
	} else {
		slot = r->fn[fn].db[2] % 8;
		rig_encode(&(struct rig_cmd){ 0 }, r->mem + SQ1(fn) + 64 * slot);
		{
			struct rig_cmd c = some_command(rng, io_opcodes,
							EXP_ARRAY_SIZE(io_opcodes));

			rig_encode(&c, r->mem + SQ1(fn) + 64 * slot);
		}
		r->fn[fn].db[2] = (slot + 1) % 8;
		r->fn[fn].db[3] = r->fn[fn].db[2];
	}
	for (unsigned int i = 0; i < RIG_FNS; i++) {
		rig_run(r, i);
		while (rig_reap(r, i, dw))
			answers++;
	}
	/* at most: its own, and events for requests that were parked before */
	assert_true(answers <= 20);
}

static void test_random_commands(void **state)
{
	static const char *const profiles[] = { "aurora", "borealis", "contrary", "no-log" };
	const char *from_env = getenv("EXP_TEST_SEED");
	uint64_t seed = from_env ? strtoull(from_env, NULL, 0) : 20261122;

	(void)state;
	for (size_t p = 0; p < EXP_ARRAY_SIZE(profiles); p++) {
		struct rig *r = rig_new(profiles[p]);
		struct exp_rng rng;

		print_message("seed %llu, %s\n", (unsigned long long)seed, profiles[p]);
		exp_rng_seed(&rng, seed + p);
		for (unsigned int i = 0; i < COMMANDS; i++) {
			if (i % 500 == 0)
				bring_up(r);
			one_command(r, &rng, (unsigned int)exp_rng_below(&rng, RIG_FNS));
		}
		rig_reopen(r, profiles[p], exp_rng_chance(&rng, 1, 2));
		rig_ok(r, 0, .opcode = 6, .cdw10 = 1);
		rig_free(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
