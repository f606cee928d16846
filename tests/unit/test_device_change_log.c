/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of a change log, with this test as the drive that writes the ring: entries typed byte
 * by byte (NVM 5.6): 0..3 NSID, 4..7 NLB 0's based, 8..15 SLBA, 31 attributes.
 */
#include "support/fake_drive.h"

#include "device/change_log.h"

#define ENTRIES 16u

static struct exp_error err;

struct rig {
	struct fake *f;
	struct exp_device *d;
	struct exp_change_log *log;
	uint32_t tail;
	uint8_t phase;
};

static void set_up(struct rig *r, uint32_t entries)
{
	struct exp_change_log_ns ns = { FAKE_NSID, 1, FAKE_NSZE };

	memset(r, 0, sizeof(*r));
	memset(&err, 0, sizeof(err));
	r->f = fake_new();
	r->d = fake_open(r->f);
	r->phase = 1;
	assert_ok(exp_change_log_create(r->d, FAKE_GUEST, &ns, entries, &r->log, &err), &err);
	/* QT 0, CNTLID in 31:16, contiguous; the size in dwords, eight for an entry */
	assert_int_equal(r->f->last.cdw11, FAKE_GUEST << 16 | 1);
	assert_int_equal(r->f->last.cdw12, entries * 8);
	assert_ok(exp_change_log_start(r->log, &err), &err);
	assert_int_equal(r->f->last.cdw10, 0x00010000);
	assert_int_equal(r->f->last.cdw11, FAKE_CDQID);
}

static void tear_down(struct rig *r)
{
	exp_change_log_close(r->log);
	assert_null(r->f->ring); /* the drive has let go */
	assert_int_equal(r->f->n_dma, 0);
	exp_device_close(r->d);
	fake_free(r->f);
}

static void put(struct rig *r, uint32_t nsid, uint64_t slba, uint32_t nlb0, uint8_t attr)
{
	uint8_t *e = r->f->ring + 32 * r->tail;

	memset(e, 0, 31);
	exp_put_le32(e, nsid);
	exp_put_le32(e + 4, nlb0);
	exp_put_le64(e + 8, slba);
	e[31] = attr | r->phase;
	if (++r->tail == r->f->ring_entries) {
		r->tail = 0;
		r->phase ^= 1;
	}
}

static void put_range(struct rig *r, uint64_t slba, uint32_t nlb)
{
	put(r, FAKE_NSID, slba, nlb - 1, 0);
}

static size_t read_some(struct rig *r, struct exp_change *e, size_t max)
{
	size_t n = 99;

	assert_ok(exp_change_log_read(r->log, e, max, &n, &err), &err);
	return n;
}

static void test_entries_as_they_are(void **state)
{
	struct exp_change e[8];
	struct rig r;

	(void)state;
	set_up(&r, ENTRIES);
	assert_int_equal(read_some(&r, e, 8), 0);
	put(&r, FAKE_NSID, 10, 4, 0x02); /* first, with a range */
	put(&r, FAKE_NSID, 0, 0, 0x20);  /* deallocated */
	put(&r, 1, 999, 0, 0);           /* the guest's name for it */
	put(&r, FAKE_NSID, 0, 0, 0x42);  /* first after a Resume: all blocks */
	put(&r, 0, 0, 0, 0x84);          /* stopped, no range */
	put(&r, FAKE_NSID, 5, 0, 0x06);  /* suspended, with the last range */
	assert_int_equal(read_some(&r, e, 8), 6);
	assert_int_equal(e[0].kind, EXP_CHANGE_RANGE);
	assert_int_equal(e[0].mark, EXP_CHANGE_FIRST);
	assert_int_equal(e[0].slba, 10);
	assert_int_equal(e[0].nlb, 5);
	assert_true(e[1].deallocated);
	assert_int_equal(e[1].nlb, 1);
	assert_int_equal(e[2].slba, 999);
	assert_int_equal(e[3].kind, EXP_CHANGE_ALL);
	assert_int_equal(e[4].kind, EXP_CHANGE_NOTHING);
	assert_int_equal(e[4].mark, EXP_CHANGE_STOPPED);
	assert_int_equal(e[5].mark, EXP_CHANGE_SUSPENDED);
	assert_int_equal(e[5].kind, EXP_CHANGE_RANGE);
	assert_int_equal(read_some(&r, e, 8), 0);
	tear_down(&r);
}

/* Many times around, in odd portions; nothing twice, nothing lost, the head never passes. */
static void test_wraps_and_gives_slots_back(void **state)
{
	struct exp_change_log_stats s;
	struct exp_change e[5];
	uint64_t put_n = 0, got_n = 0;
	struct rig r;

	(void)state;
	set_up(&r, ENTRIES);
	while (got_n < 1000) {
		/* as a drive would: one slot is always left unused before the head it knows */
		while ((r.tail + 1) % ENTRIES != r.f->head)
			put_range(&r, put_n++ % FAKE_NSZE, 1);
		size_t n = read_some(&r, e, 1 + got_n % 5);

		for (size_t i = 0; i < n; i++, got_n++)
			assert_int_equal(e[i].slba, got_n % FAKE_NSZE);
		/* a head is always a slot that was read, so that every drive takes it */
		if (r.f->n[0x09])
			assert_true((got_n - 1 + ENTRIES - r.f->head) % ENTRIES < ENTRIES / 2);
	}
	assert_true(put_n >= got_n);
	exp_change_log_stats(r.log, &s);
	assert_int_equal(s.entries, got_n);
	assert_int_equal(s.wraps, got_n / ENTRIES);
	assert_int_equal(s.capacity, ENTRIES);
	assert_int_equal(s.head_updates, r.f->n[0x09]);
	assert_true(s.head_updates <= got_n / (ENTRIES / 4) + 1); /* in batches */
	assert_true(s.pending <= ENTRIES / 2);
	tear_down(&r);
}

static void test_head_update_encoding(void **state)
{
	struct exp_change e[8];
	struct rig r;

	(void)state;
	set_up(&r, ENTRIES);
	for (int i = 0; i < 4; i++)
		put_range(&r, 1, 1);
	assert_int_equal(read_some(&r, e, 8), 4);
	assert_int_equal(r.f->n[0x09], 0);
	put_range(&r, 1, 1);
	assert_int_equal(read_some(&r, e, 8), 1);
	assert_int_equal(r.f->n[0x09], 1);
	assert_int_equal(r.f->last.cdw10, 0x21);
	assert_int_equal(r.f->last.cdw11, FAKE_CDQID);
	assert_int_equal(r.f->last.cdw12, 4); /* the slot of the last entry read */
	tear_down(&r);
}

static enum fake_answer hold_head(struct fake *f, const struct exp_nvme_cmd *cmd, uint8_t *data,
				  struct exp_nvme_cqe *cqe)
{
	(void)f;
	(void)data;
	(void)cqe;
	return cmd->sqe.opcode == 0x09 ? FAKE_HOLD : FAKE_DEFAULT;
}

/* A drive that takes its time with the head does not keep the reader from reading. */
static void test_slow_head_update_does_not_stop_the_reader(void **state)
{
	struct exp_change_log_stats s;
	struct exp_change e[8];
	struct rig r;

	(void)state;
	set_up(&r, ENTRIES);
	r.f->hook = hold_head;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 5; i++)
			put_range(&r, 1, 1);
		assert_int_equal(read_some(&r, e, 8), 5);
	}
	assert_int_equal(r.f->n[0x09], 1); /* one at a time */
	r.f->hook = NULL;
	fake_release(r.f, 0);
	assert_int_equal(read_some(&r, e, 8), 0);
	assert_int_equal(r.f->n[0x09], 2);
	assert_int_equal(r.f->head, 14);
	assert_int_equal(read_some(&r, e, 8), 0);
	exp_change_log_stats(r.log, &s);
	assert_int_equal(s.pending, 1); /* the last one read stays ours */
	tear_down(&r);
}

static enum fake_answer refuse_head(struct fake *f, const struct exp_nvme_cmd *cmd, uint8_t *data,
				    struct exp_nvme_cqe *cqe)
{
	(void)data;
	if (cmd->sqe.opcode != 0x09)
		return FAKE_DEFAULT;
	cqe->status = *(const uint16_t *)f->arg;
	return FAKE_DONE;
}

/* The drive does not know the log any more (1/37h): a reset took it. Nothing can be believed. */
static void test_refused_head_ends_the_log(void **state)
{
	uint16_t status[] = { 0x137, 0x002, 0x13b };

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(status); i++) {
		struct exp_change e[8];
		struct rig r;
		size_t n;

		set_up(&r, ENTRIES);
		r.f->hook = refuse_head;
		r.f->arg = &status[i];
		for (int k = 0; k < 5; k++)
			put_range(&r, 1, 1);
		assert_int_equal(read_some(&r, e, 8), 5);
		assert_true(exp_change_log_read(r.log, e, 8, &n, &err) ==
			    (status[i] == 0x13b ? -EOVERFLOW : -EBADMSG));
		put_range(&r, 1, 1);
		assert_true(exp_change_log_read(r.log, e, 8, &n, &err) < 0);
		tear_down(&r);
	}
}

static void test_overflow_after_what_came_before(void **state)
{
	struct exp_change e[8];
	struct rig r;
	size_t n;

	(void)state;
	set_up(&r, ENTRIES);
	put_range(&r, 7, 1);
	put(&r, 0, 0, 0, 0x8e); /* full, no range */
	put_range(&r, 8, 1);    /* nothing after it counts */
	assert_int_equal(read_some(&r, e, 8), 1);
	assert_int_equal(e[0].slba, 7);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(exp_change_log_read(r.log, e, 8, &n, &err), -EOVERFLOW);
		assert_error(&err, EXP_CODE_LOG_OVERFLOW, "16 entries");
	}
	tear_down(&r);
}

static void test_entries_that_make_no_sense(void **state)
{
	static const struct {
		uint32_t nsid, nlb0;
		uint64_t slba;
		uint8_t attr;
	} bad[] = { { FAKE_NSID, 0, FAKE_NSZE, 0 },     /* beyond the end */
		    { FAKE_NSID, 1, FAKE_NSZE - 1, 0 }, /* across it */
		    { FAKE_NSID, UINT32_MAX, 1, 0 },    { FAKE_NSID, 0, UINT64_MAX, 0 },
		    { FAKE_NSID + 1, 0, 0, 0 }, /* another namespace */
		    { FAKE_NSID + 1, 0, 0, 0x40 },      { FAKE_NSID, 0, 0, 0xc0 }, /* LBACIR 11b */
		    { FAKE_NSID, 0, 0, 0x08 },          { FAKE_NSID, 0, 0, 0x0a }, /* ESA 4, 5, 6 */
		    { FAKE_NSID, 0, 0, 0x0c } };

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(bad); i++) {
		struct exp_change e[8];
		struct rig r;
		size_t n;

		set_up(&r, ENTRIES);
		put_range(&r, 7, 1);
		put(&r, bad[i].nsid, bad[i].slba, bad[i].nlb0, bad[i].attr);
		if (read_some(&r, e, 8) != 1 ||
		    exp_change_log_read(r.log, e, 8, &n, &err) != -EBADMSG)
			fail_msg("entry %zu was believed", i);
		assert_int_equal(err.code, EXP_CODE_DEVICE_DATA);
		tear_down(&r);
	}
}

/* The phase decides, not the content: a slot of the last pass is not read again. */
static void test_old_pass_is_not_read(void **state)
{
	struct exp_change e[ENTRIES];
	struct rig r;

	(void)state;
	set_up(&r, ENTRIES);
	for (unsigned int i = 0; i < ENTRIES - 1; i++)
		put_range(&r, i, 1);
	assert_int_equal(read_some(&r, e, ENTRIES), ENTRIES - 1);
	assert_int_equal(read_some(&r, e, ENTRIES), 0);
	put_range(&r, 100, 1); /* the last slot, still pass one */
	assert_int_equal(read_some(&r, e, ENTRIES), 1);
	assert_int_equal(read_some(&r, e, ENTRIES), 0); /* slot 0 has phase 1: old */
	put_range(&r, 101, 1);
	assert_int_equal(read_some(&r, e, ENTRIES), 1);
	assert_int_equal(e[0].slba, 101);
	tear_down(&r);
}

static void test_gone_is_sticky(void **state)
{
	struct exp_change e[8];
	struct rig r;
	size_t n;

	(void)state;
	set_up(&r, ENTRIES);
	for (int i = 0; i < 5; i++)
		put_range(&r, 1, 1);
	r.f->gone = true;
	assert_int_equal(read_some(&r, e, 8), 5);
	assert_int_equal(exp_change_log_read(r.log, e, 8, &n, &err), -ENODEV);
	assert_int_equal(err.code, EXP_CODE_DEVICE_GONE);
	r.f->gone = false;
	assert_int_equal(exp_change_log_read(r.log, e, 8, &n, &err), -ENODEV);
	tear_down(&r);
}

static enum fake_answer cdq_answer(struct fake *f, const struct exp_nvme_cmd *cmd, uint8_t *data,
				   struct exp_nvme_cqe *cqe)
{
	(void)data;
	if (cmd->sqe.opcode != 0x45)
		return FAKE_DEFAULT;
	if (!f->arg)
		return FAKE_HOLD;
	cqe->status = *(const uint16_t *)f->arg;
	return FAKE_DONE;
}

/* While the drive may still write there, the memory is not used again. */
static void test_memory_is_kept_when_the_drive_does_not_let_go(void **state)
{
	struct exp_change_log_ns ns = { FAKE_NSID, 0, FAKE_NSZE };
	uint16_t refused = 0x006;
	struct exp_change_log *log;
	struct rig r;

	(void)state;
	set_up(&r, ENTRIES);
	r.f->hook = cdq_answer;
	r.f->arg = &refused;
	exp_change_log_close(r.log);
	assert_int_equal(r.f->n_dma, 1);
	assert_true(exp_change_log_create(r.d, FAKE_GUEST, &ns, 0, &log, &err) < 0);
	assert_int_equal(r.f->n_dma, 1); /* a refused one is freed */
	r.f->arg = NULL;
	assert_int_equal(exp_change_log_create(r.d, FAKE_GUEST, &ns, 0, &log, &err), -ETIMEDOUT);
	assert_int_equal(r.f->n_dma, 2); /* a late one is not */
	fake_release(r.f, 0);
	exp_device_close(r.d);
	fake_free(r.f);
}

static void test_create_refusals(void **state)
{
	struct exp_change_log_ns ns = { FAKE_NSID, 1, FAKE_NSZE };
	uint16_t no_room = 0x138;
	struct exp_change_log *log;
	struct fake *f = fake_new();
	struct exp_device *d = fake_open(f);

	(void)state;
	assert_int_equal(exp_change_log_create(d, FAKE_GUEST, &ns, 15, &log, &err), -EINVAL);
	assert_int_equal(exp_change_log_create(d, FAKE_GUEST, &ns, UINT32_MAX, &log, &err),
			 -EINVAL);
	f->hook = cdq_answer;
	f->arg = &no_room;
	assert_int_equal(exp_change_log_create(d, FAKE_GUEST, &ns, 0, &log, &err), -ENOSPC);
	assert_error(&err, EXP_CODE_NO_SPACE, "no queue is left");
	exp_device_close(d);
	fake_free(f);
}

static void test_stale_logs(void **state)
{
	struct rig r;
	unsigned int n = 99;

	(void)state;
	set_up(&r, ENTRIES);
	/* opening reset the drive: there can be none, and nothing is sent */
	memset(r.f->n, 0, sizeof(r.f->n));
	assert_ok(exp_change_log_delete_stale(r.d, &n, &err), &err);
	assert_int_equal(n, 0);
	assert_int_equal(r.f->n[0x45], 0);
	r.f->t.was_reset = false;
	assert_ok(exp_change_log_delete_stale(r.d, &n, &err), &err);
	assert_int_equal(n, 1);
	assert_null(r.f->ring);
	assert_ok(exp_change_log_delete_stale(r.d, &n, &err), &err);
	assert_int_equal(n, 0);
	tear_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries_as_they_are),
		cmocka_unit_test(test_wraps_and_gives_slots_back),
		cmocka_unit_test(test_head_update_encoding),
		cmocka_unit_test(test_slow_head_update_does_not_stop_the_reader),
		cmocka_unit_test(test_refused_head_ends_the_log),
		cmocka_unit_test(test_overflow_after_what_came_before),
		cmocka_unit_test(test_entries_that_make_no_sense),
		cmocka_unit_test(test_old_pass_is_not_read),
		cmocka_unit_test(test_gone_is_sticky),
		cmocka_unit_test(test_memory_is_kept_when_the_drive_does_not_let_go),
		cmocka_unit_test(test_create_refusals),
		cmocka_unit_test(test_stale_logs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
