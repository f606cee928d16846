/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_emu_threads.c - functions of the emulated SSD on threads of their own, the MMC in between
 *
 * Three guests write as fast as they can, each with its function on one thread. The MMC's thread
 * logs, suspends, detaches, takes state, attaches and resumes them all the while. In the end every
 * block that a guest wrote while its log ran is in the log. For ThreadSanitizer above all.
 */
#include "support/ssd_rig.h"

#include <pthread.h>
#include <stdatomic.h>

#define GUESTS 3
#define BLOCKS 4096u
#define ROUNDS 60
#define SLOTS  2048u /* more than a guest is ever granted while its log runs */

#define SQ(i)   (RIG_QUEUES(i) + 0x10000)
#define CQ(i)   (RIG_QUEUES(i) + 0x20000)
#define BUF(i)  (RIG_QUEUES(i) + 0x30000)
#define RING(i) (0x400000u + (size_t)(i)*0x10000)

struct guest {
	struct rig *r;
	unsigned int i;
	pthread_t thread;
	atomic_bool stop;
	/* the guest writes until it has done as many as it was granted, so that no log overflows */
	atomic_uint writes, granted;
	/* per block: how often the guest's write was acknowledged; read when the guest stands still
	 */
	atomic_uint acked[BLOCKS];
	uint32_t slot;
};

struct reader {
	uint16_t id;
	uint32_t head;
	uint8_t phase;
	unsigned int noted[BLOCKS];
	unsigned int last_esa;
};

/* The drive reads doorbells on other threads too. */
static void ring(struct rig *r, unsigned int fn, unsigned int index, uint32_t val)
{
	__atomic_store_n(&r->fn[fn].db[index], val, __ATOMIC_RELEASE);
}

static void *run_guest(void *arg)
{
	struct guest *g = arg;
	struct rig *r = g->r;
	uint32_t lba = 0, seed = g->i;
	bool waiting = false;
	uint8_t phase = 1;

	while (!atomic_load(&g->stop)) {
		uint8_t *cqe = r->mem + CQ(g->i) + 16 * g->slot;

		if (!waiting && atomic_load(&g->writes) < atomic_load(&g->granted)) {
			seed = seed * 1103515245 + 12345;
			lba = seed >> 8 & (BLOCKS - 1);
			rig_encode(&(struct rig_cmd){ .opcode = 1,
						      .nsid = 1,
						      .cdw10 = lba,
						      .prp1 = RIG_IOVA + BUF(g->i) },
				   r->mem + SQ(g->i) + 64 * g->slot);
			ring(r, g->i, 2, (g->slot + 1) % 8);
			waiting = true;
		}
		ssd_fn_run(rig_fn(r, g->i), 0);
		if (!waiting || (cqe[14] & 1) != phase)
			continue;
		waiting = false;
		if (!(exp_le16(cqe + 14) >> 1)) { /* else it was detached just then */
			atomic_fetch_add(&g->acked[lba], 1);
			atomic_fetch_add(&g->writes, 1);
		}
		g->slot = (g->slot + 1) % 8;
		if (!g->slot)
			phase ^= 1;
		ring(r, g->i, 3, g->slot);
	}
	return NULL;
}

static void drain(struct rig *r, unsigned int i, struct reader *rd)
{
	bool any = false;

	r->now_us += 100;
	ssd_fn_run(rig_fn(r, 0), r->now_us);
	for (;;) {
		const uint8_t *e = r->mem + RING(i) + 32 * rd->head;

		if ((e[31] & 1) != rd->phase)
			break;
		if (!(e[31] >> 6)) {
			uint64_t slba = exp_le64(e + 8);

			for (uint64_t b = slba; b <= slba + exp_le32(e + 4); b++)
				rd->noted[b]++;
		}
		rd->last_esa = e[31] >> 1 & 7;
		rd->head = (rd->head + 1) % SLOTS;
		if (!rd->head)
			rd->phase ^= 1;
		any = true;
	}
	if (any)
		rig_ok(r, 0, .opcode = 9, .cdw10 = 0x21, .cdw11 = rd->id, .cdw12 = rd->head);
}

/* Let the guest get on, and the log with it; the MMC is never idle meanwhile. */
static void let_write(struct rig *r, struct guest *g, struct reader *rd, unsigned int n)
{
	unsigned int from = atomic_load(&g->writes);

	atomic_fetch_add(&g->granted, 2 * n);
	while (atomic_load(&g->writes) - from < n)
		drain(r, g->i, rd);
}

static void attach(struct rig *r, unsigned int i, uint32_t nsid, bool detach)
{
	rig_clear(r);
	exp_put_le16(rig_data(r), 1);
	exp_put_le16(rig_data(r) + 2, (uint16_t)i);
	rig_ok(r, 0, .opcode = 0x15, .cdw10 = detach, .nsid = nsid);
}

/* Log, write, suspend, drain to the marker, fence, look, attach, resume. */
static void one_round(struct rig *r, struct guest *g, uint32_t nsid)
{
	static unsigned int before[BLOCKS];
	struct reader rd = { .phase = 1 };
	uint32_t i = g->i;

	memset(r->mem + RING(i), 0, 32 * SLOTS);
	rd.id = (uint16_t)rig_ok(r, 0, .opcode = 0x45, .cdw11 = i << 16 | 1, .cdw12 = 8 * SLOTS,
				 .prp1 = RIG_IOVA + RING(i));
	rig_ok(r, 0, .opcode = 0x3D, .cdw10 = 1 << 16, .cdw11 = rd.id);
	for (unsigned int b = 0; b < BLOCKS; b++)
		before[b] = atomic_load(&g->acked[b]);
	let_write(r, g, &rd, 500);
	rig_ok(r, 0, .opcode = 0x41, .cdw11 = 0x10000 | i);
	while (rd.last_esa != 3) {
		assert_int_not_equal(rd.last_esa, 7);
		drain(r, i, &rd);
	}
	assert_int_equal(rig_ok(r, 0, .opcode = 0x42, .cdw10 = 1 << 16, .cdw11 = i, .cdw15 = 25),
			 1);
	attach(r, i, nsid, true);
	assert_int_equal(rig_ok(r, 0, .opcode = 0x42, .cdw10 = 1 << 16, .cdw11 = i, .cdw15 = 25),
			 1);
	/* acknowledged after the log ran, and the guest stands still: noted at least once */
	for (unsigned int b = 0; b < BLOCKS; b++)
		if (atomic_load(&g->acked[b]) != before[b] && !rd.noted[b])
			fail_msg("guest %u: block %u was written and is not in the log", i, b);
	attach(r, i, nsid, false);
	rig_ok(r, 0, .opcode = 0x41, .cdw10 = 1, .cdw11 = i);
	rig_ok(r, 0, .opcode = 0x45, .cdw10 = 1, .cdw11 = rd.id);
}

static void test_guests_and_management(void **state)
{
	static struct guest guests[GUESTS + 1];
	uint32_t nsid[GUESTS + 1];
	struct rig *r = rig_new("aurora");

	(void)state;
	rig_enable(r, 0);
	for (unsigned int i = 1; i <= GUESTS; i++) {
		char nqn[64];

		snprintf(nqn, sizeof(nqn), RIG_NQN "-%u", i);
		nsid[i] = rig_namespace(r, BLOCKS, 0, 1);
		rig_export(r, 1, i, nsid[i], nqn);
		rig_enable(r, i);
		rig_ok(r, i, .opcode = 5, .cdw10 = 7 << 16 | 1, .cdw11 = 1,
		       .prp1 = RIG_IOVA + CQ(i));
		rig_ok(r, i, .opcode = 1, .cdw10 = 7 << 16 | 1, .cdw11 = 1 << 16 | 1,
		       .prp1 = RIG_IOVA + SQ(i));
	}
	for (unsigned int i = 1; i <= GUESTS; i++) {
		guests[i].r = r;
		guests[i].i = i;
		assert_int_equal(pthread_create(&guests[i].thread, NULL, run_guest, &guests[i]), 0);
	}
	for (unsigned int round = 0; round < ROUNDS; round++)
		one_round(r, &guests[round % GUESTS + 1], nsid[round % GUESTS + 1]);
	/* the MMC goes down under running guests, and comes back */
	ssd_reg_write(rig_fn(r, 0), 0x14, 0, 4);
	rig_enable(r, 0);
	for (unsigned int i = 1; i <= GUESTS; i++)
		atomic_store(&guests[i].stop, true);
	for (unsigned int i = 1; i <= GUESTS; i++)
		assert_int_equal(pthread_join(guests[i].thread, NULL), 0);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guests_and_management),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
