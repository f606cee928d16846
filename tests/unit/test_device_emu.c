/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/device against the emulated SSD: what it is, namespaces, exports, data, several threads,
 * ends.
 */
#include "support/device_rig.h"

#include <pthread.h>
#include <stdatomic.h>

#include "device/change_log.h"
#include "device/ctrl.h"

/* ---- what the drive is ---- */

static void check_caps(const char *profile, const char *doorbells)
{
	struct rig *r = start(profile, doorbells);
	struct exp_caps c;

	exp_device_caps(r->d, &c);
	assert_int_equal(c.cntlid, 0);
	assert_int_not_equal(c.model[0], 0);
	assert_int_not_equal(c.serial[0], 0);
	assert_int_equal(c.flags & (EXP_CAP_MMC | EXP_CAP_NS_MGMT | EXP_CAP_TEMPLATE |
				    EXP_CAP_EXPORT_MIGRATE | EXP_CAP_ENF1 | EXP_CAP_CHANGE_LOG |
				    EXP_CAP_NS_DATA | EXP_CAP_RESET_AT_OPEN),
			 EXP_CAP_MMC | EXP_CAP_NS_MGMT | EXP_CAP_TEMPLATE | EXP_CAP_EXPORT_MIGRATE |
				 EXP_CAP_ENF1 | EXP_CAP_CHANGE_LOG | EXP_CAP_NS_DATA |
				 EXP_CAP_RESET_AT_OPEN);
	assert_int_equal(c.n_ctrls, 4);
	assert_non_null(exp_caps_ctrl(&c, 1));
	assert_non_null(exp_caps_ctrl(&c, 4));
	assert_null(exp_caps_ctrl(&c, 0)); /* the MMC is no guest's */
	assert_true(c.n_templates >= 1);
	assert_int_equal(c.n_exports, 0);
	assert_true(c.free_bytes > 0);
	assert_ok(exp_device_check(r->d, &r->err), &r->err);
	end(r);
}

static void test_caps_mapped_doorbells(void **state)
{
	(void)state;
	check_caps("aurora", "map");
}

static void test_caps_trapped_doorbells(void **state)
{
	(void)state;
	check_caps("borealis", "trap");
}

static void test_no_log_is_told_with_its_reason(void **state)
{
	struct rig *r = start("no-log", "map");
	struct exp_change_log *log;
	struct exp_caps c;

	(void)state;
	exp_device_caps(r->d, &c);
	assert_false(c.flags & EXP_CAP_CHANGE_LOG);
	assert_non_null(strstr(c.no_change_log, "TUDCS"));
	assert_int_equal(exp_change_log_create(r->d, GUEST, &(struct exp_change_log_ns){ 1, 1, 8 },
					       0, &log, &r->err),
			 -EOPNOTSUPP);
	assert_error(&r->err, EXP_CODE_NOT_SUPPORTED, "TUDCS");
	end(r);
}

static void test_plain_drive_has_no_templates(void **state)
{
	struct rig *r = start("plain", "map");
	struct exp_caps c;

	(void)state;
	exp_device_caps(r->d, &c);
	assert_false(c.flags & EXP_CAP_TEMPLATE);
	assert_int_equal(exp_subsys_design(r->d, &r->nqn, &r->id, 8, 512, r->desc, &r->err),
			 -EOPNOTSUPP);
	end(r);
}

static void test_guest_function_is_no_management_controller(void **state)
{
	struct rig *r = start("aurora", "map");
	struct exp_device *d;
	char path[128];
	struct exp_device_config config = {
		.transport = emu_drive_transport(&r->e, "fn1", path),
		.may_reset = true,
	};

	(void)state;
	assert_int_equal(exp_device_open(&config, &d, &r->err), -EOPNOTSUPP);
	assert_error(&r->err, EXP_CODE_NOT_SUPPORTED, "fn1");
	end(r);
}

/* ---- namespaces and exports ---- */

static void test_namespace_life(void **state)
{
	struct rig *r = start("aurora", "map");
	struct exp_ns_info info;
	uint16_t ids[EXP_NS_CTRLS_MAX];
	uint32_t nsid, list[8];
	size_t n;

	(void)state;
	assert_int_equal(exp_ns_create(r->d, NSZE, 8192, &nsid, &r->err), -EOPNOTSUPP);
	assert_int_equal(exp_ns_create(r->d, UINT64_MAX / 1024, 512, &nsid, &r->err), -ENOSPC);
	assert_error(&r->err, EXP_CODE_NO_SPACE, "blocks of 512 bytes");
	assert_ok(exp_ns_create(r->d, NSZE, 512, &nsid, &r->err), &r->err);
	assert_ok(exp_ns_identify(r->d, nsid, &info, &r->err), &r->err);
	assert_int_equal(info.nsze, NSZE);
	assert_int_equal(info.lba_bytes, 512);
	assert_true(info.shared);
	assert_ok(exp_ns_list(r->d, list, 8, &n, &r->err), &r->err);
	assert_int_equal(n, 1);
	assert_int_equal(list[0], nsid);

	for (int again = 0; again < 2; again++) {
		assert_ok(exp_ns_attach(r->d, nsid, 0, &r->err), &r->err);
		assert_ok(exp_ns_attach(r->d, nsid, 2, &r->err), &r->err);
	}
	assert_ok(exp_ns_attached(r->d, nsid, ids, &n, &r->err), &r->err);
	assert_int_equal(n, 2);
	assert_int_equal(ids[0], 0);
	assert_int_equal(ids[1], 2);
	for (int again = 0; again < 2; again++)
		assert_ok(exp_ns_detach(r->d, nsid, 2, &r->err), &r->err);
	assert_ok(exp_ns_attached(r->d, nsid, ids, &n, &r->err), &r->err);
	assert_int_equal(n, 1);
	assert_true(exp_ns_attach(r->d, nsid, 999, &r->err) < 0);

	for (int again = 0; again < 2; again++)
		assert_ok(exp_ns_delete(r->d, nsid, &r->err), &r->err);
	assert_int_equal(exp_ns_identify(r->d, nsid, &info, &r->err), -ENOENT);
	assert_error(&r->err, EXP_CODE_NOT_FOUND, "no namespace");
	end(r);
}

static void export_life(const char *profile, uint32_t lba)
{
	struct rig *r = start(profile, "map");
	struct exp_subsys_name *names;
	struct exp_export_desc *other = calloc(1, sizeof(*other));
	struct exp_subsys *s = calloc(1, sizeof(*s));
	struct exp_place again;
	uint16_t esubid;
	struct exp_caps c;
	size_t n;

	assert_non_null(other);
	assert_non_null(s);
	build_export(r, GUEST, lba);
	assert_ok(exp_subsys_compare(r->d, r->desc, &r->place, &r->err), &r->err);
	assert_ok(exp_subsys_list(r->d, &names, &n, &r->err), &r->err);
	assert_int_equal(n, 1);
	assert_string_equal(names[0].nqn.s, r->nqn.s);
	free(names);
	assert_ok(exp_subsys_find(r->d, &r->nqn, &esubid, &r->err), &r->err);
	assert_int_equal(esubid, r->place.esubid);
	assert_ok(exp_subsys_read(r->d, esubid, s, &r->err), &r->err);
	assert_int_equal(s->n_ns, 1);
	assert_int_equal(s->ns[0].ensid, 1);
	assert_int_equal(s->config_len, 412);
	assert_memory_equal(s->config, r->desc->config, 412);
	assert_ok(exp_device_refresh(r->d, &r->err), &r->err);
	exp_device_caps(r->d, &c);
	assert_int_equal(c.n_exports, 1);
	assert_int_equal(exp_caps_ctrl(&c, GUEST)->associated, s->ctrls_known);

	/* again: the same is left alone */
	again = r->place;
	again.esubid = 0;
	assert_ok(exp_subsys_build(r->d, r->desc, &again, false, &r->err), &r->err);
	assert_int_equal(again.esubid, r->place.esubid);

	/* another one of that name: refused, or replaced when told so */
	memcpy(other, r->desc, sizeof(*other));
	other->config[4] ^= 1; /* serial number */
	assert_int_equal(exp_subsys_build(r->d, other, &again, false, &r->err), -EEXIST);
	assert_error(&r->err, EXP_CODE_EXISTS, "byte 4");
	assert_ok(exp_subsys_build(r->d, other, &again, true, &r->err), &r->err);
	assert_ok(exp_subsys_compare(r->d, other, &again, &r->err), &r->err);
	assert_ok(exp_subsys_list(r->d, &names, &n, &r->err), &r->err);
	assert_int_equal(n, 1);
	free(names);

	for (int twice = 0; twice < 2; twice++)
		assert_ok(exp_subsys_teardown(r->d, other, &again, true, &r->err), &r->err);
	assert_int_equal(exp_subsys_find(r->d, &r->nqn, &esubid, &r->err), -ENOENT);
	assert_ok(exp_subsys_list(r->d, &names, &n, &r->err), &r->err);
	assert_int_equal(n, 0);
	assert_null(names);
	free(other);
	free(s);
	end(r);
}

static void test_export_life(void **state)
{
	(void)state;
	export_life("aurora", 512);
}

static void test_export_life_on_a_drive_that_names_exports_itself(void **state)
{
	(void)state;
	export_life("borealis", 4096);
}

/* Another order, other windows and statuses, no list of controllers, templates from 0. */
static void test_export_life_on_a_contrary_drive(void **state)
{
	(void)state;
	export_life("contrary", 512);
}

static void test_export_life_on_a_gentle_drive(void **state)
{
	(void)state;
	export_life("gentle", 4096);
}

static void test_build_refused_by_the_drive_leaves_nothing(void **state)
{
	struct rig *r = start("aurora", "map");
	struct exp_subsys_name *names;
	size_t n;

	(void)state;
	assert_ok(exp_ns_create(r->d, NSZE, 512, &r->place.nsid, &r->err), &r->err);
	r->place.cntlid = GUEST;
	assert_ok(exp_subsys_design(r->d, &r->nqn, &r->id, NSZE, 512, r->desc, &r->err), &r->err);
	r->desc->config[73] = 200; /* MDTS beyond the drive's */
	assert_true(exp_subsys_build(r->d, r->desc, &r->place, false, &r->err) < 0);
	assert_int_equal(r->err.nvme_status, 0x144);
	assert_non_null(strstr(r->err.msg, "byte 73"));
	assert_ok(exp_subsys_list(r->d, &names, &n, &r->err), &r->err);
	assert_int_equal(n, 0);
	/* a controller that does not exist */
	assert_ok(exp_subsys_design(r->d, &r->nqn, &r->id, NSZE, 512, r->desc, &r->err), &r->err);
	r->place.cntlid = 77;
	assert_true(exp_subsys_build(r->d, r->desc, &r->place, false, &r->err) < 0);
	assert_non_null(strstr(r->err.msg, "77"));
	assert_ok(exp_subsys_list(r->d, &names, &n, &r->err), &r->err);
	assert_int_equal(n, 0);
	end(r);
}

/* ---- namespace data ---- */

static void fill(uint8_t *p, size_t n, uint64_t seed)
{
	for (size_t i = 0; i + 8 <= n; i += 8) {
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		memcpy(p + i, &seed, 8);
	}
}

static void do_op(struct rig *r, struct exp_nsdata *h, enum exp_nsdata_op op, uint64_t slba,
		  uint64_t nlb, const struct exp_nsbuf *buf)
{
	struct exp_nsdata_req q = { .op = op, .slba = slba, .nlb = nlb, .buf = buf };

	assert_ok(exp_nsdata_do(h, &q, 0, &r->err), &r->err);
}

static void data_path(const char *profile, const char *doorbells, uint32_t lba)
{
	struct rig *r = start(profile, doorbells);
	struct exp_nsbuf a, b;
	struct exp_nsdata *h;
	struct exp_lba_range ranges[16];
	size_t n, big = 3u << 20;
	uint64_t next, blocks = big / lba;

	assert_ok(exp_ns_create(r->d, NSZE, lba, &r->place.nsid, &r->err), &r->err);
	assert_int_equal(exp_nsdata_open(r->d, r->place.nsid, 8, &h, &r->err), -ENOENT);
	h = open_data(r);
	assert_int_equal(exp_nsdata_lba_bytes(h), lba);
	assert_int_equal(exp_nsdata_nsze(h), NSZE);

	assert_ok(exp_nsdata_allocated(h, 0, ranges, 16, &n, &next, &r->err), &r->err);
	assert_int_equal(n, 0);
	assert_int_equal(next, NSZE);

	/* larger than any drive transfers at once */
	assert_ok(exp_nsbuf_alloc(h, big, &a, &r->err), &r->err);
	assert_ok(exp_nsbuf_alloc(h, big, &b, &r->err), &r->err);
	fill(a.mem, big, 1);
	do_op(r, h, EXP_NSDATA_WRITE, 100, blocks, &a);
	do_op(r, h, EXP_NSDATA_FLUSH, 0, 0, NULL);
	do_op(r, h, EXP_NSDATA_READ, 100, blocks, &b);
	assert_memory_equal(a.mem, b.mem, big);
	assert_ok(exp_nsdata_allocated(h, 0, ranges, 16, &n, &next, &r->err), &r->err);
	assert_true(n >= 1);
	assert_true(ranges[0].slba <= 100);
	assert_true(ranges[n - 1].slba + ranges[n - 1].nlb >= 100 + blocks);

	do_op(r, h, EXP_NSDATA_ZERO, 100 + 8, blocks / 2, NULL);
	do_op(r, h, EXP_NSDATA_READ, 100, blocks, &b);
	assert_memory_equal(a.mem, b.mem, 8 * lba);
	for (size_t i = 8 * lba; i < (8 + blocks / 2) * lba; i++)
		if (b.mem[i])
			fail_msg("byte %zu is not zero", i);
	assert_memory_equal(a.mem + (8 + blocks / 2) * lba, b.mem + (8 + blocks / 2) * lba,
			    big - (8 + blocks / 2) * lba);
	do_op(r, h, EXP_NSDATA_DEALLOCATE, 0, NSZE, NULL);
	if (exp_nsdata_zero_after_dealloc(h)) {
		do_op(r, h, EXP_NSDATA_READ, 100, blocks, &b);
		for (size_t i = 0; i < big; i++)
			if (b.mem[i])
				fail_msg("byte %zu is not zero after deallocate", i);
	}
	exp_nsbuf_free(h, &a);
	exp_nsbuf_free(h, &b);
	exp_nsdata_close(h);
	end(r);
}

static void test_data_path(void **state)
{
	(void)state;
	data_path("aurora", "map", 512);
}

static void test_data_path_small_transfers_trapped_doorbells(void **state)
{
	(void)state;
	data_path("borealis", "trap", 4096);
}

static void test_data_many_in_flight(void **state)
{
	enum { N = 200, BYTES = 64 << 10 };
	struct rig *r = start("aurora", "map");
	struct exp_nsdata_done done[8];
	struct exp_nsbuf buf[8], check;
	struct exp_nsdata *h;
	bool seen[N] = { false };
	unsigned int sent = 0, got = 0;

	(void)state;
	assert_ok(exp_ns_create(r->d, NSZE, LBA, &r->place.nsid, &r->err), &r->err);
	h = open_data(r);
	for (size_t i = 0; i < 8; i++)
		assert_ok(exp_nsbuf_alloc(h, BYTES, &buf[i], &r->err), &r->err);
	while (got < N) {
		while (sent < N && exp_nsdata_in_flight(h) < 8) {
			/* one buffer serves several writes of the same content */
			struct exp_nsdata_req q = {
				.op = EXP_NSDATA_WRITE,
				.slba = (uint64_t)sent * (BYTES / LBA),
				.nlb = BYTES / LBA,
				.buf = &buf[sent % 8],
				.tag = sent,
			};

			fill(buf[sent % 8].mem, BYTES, sent % 8);
			assert_ok(exp_nsdata_submit(h, &q, &r->err), &r->err);
			sent++;
		}
		if (sent < N) {
			struct exp_nsdata_req q = { .op = EXP_NSDATA_FLUSH };

			assert_int_equal(exp_nsdata_submit(h, &q, &r->err), -EAGAIN);
		}
		int k = exp_nsdata_reap(h, done, 8, 5000, &r->err);

		assert_true(k > 0);
		for (int i = 0; i < k; i++, got++) {
			assert_int_equal(done[i].r, 0);
			assert_false(seen[done[i].tag]);
			seen[done[i].tag] = true;
		}
	}
	assert_int_equal(exp_nsdata_reap(h, done, 8, 0, &r->err), 0);
	assert_ok(exp_nsbuf_alloc(h, BYTES, &check, &r->err), &r->err);
	for (unsigned int i = 0; i < N; i++) {
		do_op(r, h, EXP_NSDATA_READ, (uint64_t)i * (BYTES / LBA), BYTES / LBA, &check);
		fill(buf[0].mem, BYTES, i % 8);
		assert_memory_equal(check.mem, buf[0].mem, BYTES);
	}
	assert_int_equal(exp_nsdata_submit(h,
					   &(struct exp_nsdata_req){ .op = EXP_NSDATA_READ,
								     .slba = NSZE - 1,
								     .nlb = 2,
								     .buf = &check },
					   &r->err),
			 -ERANGE);
	/* with work in flight */
	assert_ok(exp_nsdata_submit(h,
				    &(struct exp_nsdata_req){ .op = EXP_NSDATA_READ,
							      .nlb = BYTES / LBA,
							      .buf = &check },
				    &r->err),
		  &r->err);
	exp_nsdata_close(h);
	end(r);
}

/* Blocks the drive refuses: the namespace goes away under the handle. */
static void test_data_errors_name_the_blocks(void **state)
{
	struct rig *r = start("aurora", "map");
	struct exp_nsdata *h;
	struct exp_nsbuf b;

	(void)state;
	assert_ok(exp_ns_create(r->d, NSZE, LBA, &r->place.nsid, &r->err), &r->err);
	h = open_data(r);
	assert_ok(exp_nsbuf_alloc(h, 4096, &b, &r->err), &r->err);
	assert_ok(exp_ns_detach(r->d, r->place.nsid, 0, &r->err), &r->err);
	assert_true(
		exp_nsdata_do(h,
			      &(struct exp_nsdata_req){
				      .op = EXP_NSDATA_READ, .slba = 1234, .nlb = 8, .buf = &b },
			      0, &r->err) < 0);
	assert_non_null(strstr(r->err.msg, "1234+8"));
	assert_int_not_equal(r->err.nvme_status, 0);
	exp_nsdata_close(h);
	end(r);
}

/* ---- several threads, ends ---- */

struct asker {
	struct rig *r;
	atomic_bool *stop;
	atomic_uint rounds;
	atomic_bool failed;
};

static void *ask_all_the_time(void *arg)
{
	struct asker *a = arg;
	struct exp_ns_info info;

	while (!atomic_load(a->stop)) {
		if (exp_ns_identify(a->r->d, a->r->place.nsid, &info, NULL) < 0) {
			atomic_store(&a->failed, true);
			break;
		}
		atomic_fetch_add(&a->rounds, 1);
	}
	return NULL;
}

/* Nobody is starved: this thread goes on until each of the others has had its turns. */
static void test_admin_commands_of_several_threads(void **state)
{
	enum { ASKERS = 4, TURNS = 50 };
	struct rig *r = start("aurora", "map");
	struct asker a[ASKERS];
	pthread_t t[ASKERS];
	atomic_bool stop = false;
	bool all = false;

	(void)state;
	build_export(r, GUEST, LBA);
	for (size_t i = 0; i < ASKERS; i++) {
		a[i] = (struct asker){ .r = r, .stop = &stop };
		assert_int_equal(pthread_create(&t[i], NULL, ask_all_the_time, &a[i]), 0);
	}
	for (int i = 0; i < 50 || !all; i++) {
		assert_ok(exp_ctrl_suspend(r->d, GUEST, 0, &r->err), &r->err);
		assert_ok(exp_ctrl_resume(r->d, GUEST, NULL, 0, &r->err), &r->err);
		all = true;
		for (size_t k = 0; k < ASKERS; k++)
			all = all &&
			      (atomic_load(&a[k].rounds) >= TURNS || atomic_load(&a[k].failed));
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < ASKERS; i++) {
		pthread_join(t[i], NULL);
		assert_false(atomic_load(&a[i].failed));
	}
	end(r);
}

static void test_dead_drive_is_gone_for_everything(void **state)
{
	struct rig *r = start("aurora", "map");
	struct exp_nsdata_done done;
	struct exp_change_log *log;
	struct exp_nsdata *h;
	struct exp_nsbuf b;
	struct guest g;

	(void)state;
	build_export(r, GUEST, LBA);
	assert_ok(exp_ns_attach(r->d, r->place.nsid, GUEST, &r->err), &r->err);
	guest_start(r, &g, "fn1");
	h = open_data(r);
	log = start_log(r, 64);
	assert_ok(exp_nsbuf_alloc(h, 4096, &b, &r->err), &r->err);
	emu_drive_kill(&r->e, SIGKILL);
	assert_int_equal(exp_device_check(r->d, &r->err), -ENODEV);
	assert_int_equal(exp_ctrl_suspend(r->d, GUEST, 0, &r->err), -ENODEV);
	assert_int_equal(r->err.code, EXP_CODE_DEVICE_GONE);
	if (exp_nsdata_submit(
		    h, &(struct exp_nsdata_req){ .op = EXP_NSDATA_READ, .nlb = 1, .buf = &b },
		    &r->err) == 0)
		assert_int_equal(exp_nsdata_reap(h, &done, 1, 5000, &r->err), -ENODEV);
	exp_change_log_close(log);
	exp_nsdata_close(h);
	guest_stop(&g);
	/* a new process on the same image: what was exported is still there */
	exp_device_close(r->d);
	emu_drive_start(&r->e, "aurora", "map");
	open_device(r);
	assert_ok(exp_subsys_compare(r->d, r->desc, &r->place, &r->err), &r->err);
	end(r);
}

static void test_enabled_controller_is_not_reset_unasked(void **state)
{
	struct rig *r = start("aurora", "map");
	struct exp_transport *t;
	struct exp_reach *reach;
	struct guest g;
	char dir[128];

	(void)state;
	/* a guest's function keeps its state when the client goes */
	guest_enable(r, &g, "fn1");
	exp_transport_close(g.t);
	snprintf(dir, sizeof(dir), "%s/fn1", r->e.dir);
	assert_ok(exp_reach_vfio_user_open(dir, &reach, &r->err), &r->err);
	assert_int_equal(exp_transport_queues_open(reach, false, 1, &t, &r->err), -EPERM);
	assert_error(&r->err, EXP_CODE_RESET_ON_RESTART, "enabled");
	assert_ok(exp_reach_vfio_user_open(dir, &reach, &r->err), &r->err);
	assert_ok(exp_transport_queues_open(reach, true, 1, &t, &r->err), &r->err);
	assert_true(t->was_reset);
	exp_transport_close(t);
	end(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_caps_mapped_doorbells),
		cmocka_unit_test(test_caps_trapped_doorbells),
		cmocka_unit_test(test_no_log_is_told_with_its_reason),
		cmocka_unit_test(test_plain_drive_has_no_templates),
		cmocka_unit_test(test_guest_function_is_no_management_controller),
		cmocka_unit_test(test_namespace_life),
		cmocka_unit_test(test_export_life),
		cmocka_unit_test(test_export_life_on_a_drive_that_names_exports_itself),
		cmocka_unit_test(test_export_life_on_a_contrary_drive),
		cmocka_unit_test(test_export_life_on_a_gentle_drive),
		cmocka_unit_test(test_build_refused_by_the_drive_leaves_nothing),
		cmocka_unit_test(test_data_path),
		cmocka_unit_test(test_data_path_small_transfers_trapped_doorbells),
		cmocka_unit_test(test_data_many_in_flight),
		cmocka_unit_test(test_data_errors_name_the_blocks),
		cmocka_unit_test(test_admin_commands_of_several_threads),
		cmocka_unit_test(test_dead_drive_is_gone_for_everything),
		cmocka_unit_test(test_enabled_controller_is_not_reset_unasked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
