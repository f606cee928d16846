/* SPDX-License-Identifier: Apache-2.0 */
/* Preflight: one row per rule; each begins with two drives that fit and changes one value */
#include "support/tests.h"

#include "handover/preflight.h"

struct world {
	struct exp_caps src, dst;
	struct exp_job *job;
	struct exp_guest_view views[2];
	uint32_t want[2];
	uint16_t chosen[2];
	struct exp_findings fs;
	struct exp_preflight_result res;
};

static const struct exp_uuid template = { { 0xaa } }, vendor = { { 0xbb } };

static void drive(struct exp_caps *c, uint16_t first)
{
	memset(c, 0, sizeof(*c));
	strcpy(c->model, "MODEL");
	c->flags = EXP_CAP_MMC | EXP_CAP_NS_MGMT | EXP_CAP_TEMPLATE | EXP_CAP_EXPORT_MIGRATE |
		   EXP_CAP_ENF1 | EXP_CAP_CHANGE_LOG | EXP_CAP_LBA_STATUS | EXP_CAP_NS_DATA;
	c->cntlid = first;
	c->mdts = 5;
	c->oncs = 0x1f;
	c->sqes = 0x66;
	c->cqes = 0x44;
	c->vwc = 7;
	c->dlfeat = 1;
	c->acl = c->aerl = 3;
	c->awun = c->awupf = c->acwu = 7;
	c->nsqs = c->ncqs = 63;
	c->mqes = 1023;
	c->free_bytes = 1 << 20;
	c->max_exports = 4;
	c->n_templates = 1;
	c->templates[0] = template;
	c->n_versions = 1;
	c->n_state_uuids = 1;
	c->state_uuids[0] = template;
	c->n_formats = 2;
	c->formats[0].lba_bytes = 512;
	c->formats[1].lba_bytes = 4096;
	c->n_ctrls = 4;
	for (uint16_t i = 0; i < 4; i++)
		c->ctrls[i].cntlid = (uint16_t)(first + i); /* the first is the MMC itself */
}

static struct world *fits(void)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	drive(&w->src, 10);
	drive(&w->dst, 20);
	w->job = exp_job_new();
	assert_non_null(w->job);
	w->job->dirty = EXP_DIRTY_CDQ;
	w->job->n_exports = 2;
	for (uint32_t i = 0; i < 2; i++) {
		struct exp_job_export *x = &w->job->exports[i];

		x->desc.template = template;
		x->desc.nsze = 64;
		x->desc.lba_bytes = 4096;
		x->here.cntlid = (uint16_t)(11 + i);
		w->src.ctrls[1 + i].enabled = true;
		w->want[i] = UINT32_MAX;
		w->views[i] = (struct exp_guest_view){ true, 5, 1023, 63, 63, 0x1f, 7, 7 };
	}
	return w;
}

static void check(struct world *w)
{
	struct exp_export_desc descs[2] = { w->job->exports[0].desc, w->job->exports[1].desc };

	memset(&w->fs, 0, sizeof(w->fs));
	exp_preflight_target(&w->dst, descs, w->views, 2, w->want, &w->fs, w->chosen);
	exp_preflight(w->job, w->views, &w->src, &w->dst, &w->fs, &w->res);
}

static const struct exp_finding *find(const struct world *w, const char *code)
{
	for (size_t i = 0; i < w->fs.n; i++)
		if (!strcmp(w->fs.f[i].code, code))
			return &w->fs.f[i];
	return NULL;
}

static void done(struct world *w)
{
	exp_job_free(w->job);
	free(w);
}

/* Exactly this finding (and none that is not named), and it says both values. */
static void expect(struct world *w, const char *code, enum exp_severity severity, const char *have,
		   const char *want)
{
	const struct exp_finding *f;

	check(w);
	f = find(w, code);
	if (!f)
		fail_msg("no finding %s; %zu others, first %s", code, w->fs.n,
			 w->fs.n ? w->fs.f[0].code : "none");
	if (w->fs.n != 1)
		fail_msg("%s comes with others: %s, %s", code, w->fs.f[0].code, w->fs.f[1].code);
	assert_int_equal(f->severity, severity);
	assert_string_equal(f->have, have);
	assert_string_equal(f->want, want);
	assert_true(f->rule[0] && f->message[0]);
	done(w);
}

static void test_preflight_two_drives_that_fit(void **state)
{
	struct world *w = fits();

	(void)state;
	check(w);
	assert_int_equal(w->fs.n, 0);
	assert_int_equal(w->res.path, EXP_PATH_REFERENCE);
	assert_int_equal(w->res.dirty, EXP_DIRTY_CDQ);
	assert_int_equal(w->chosen[0], 21);
	assert_int_equal(w->chosen[1], 22);
	done(w);
}

static void test_preflight_gates(void **state)
{
	static const struct {
		bool at_source;
		uint32_t flag;
		const char *code;
	} gates[] = {
		{ true, EXP_CAP_MMC, "SOURCE_NOT_MMC" },
		{ true, EXP_CAP_NS_DATA, "SOURCE_NO_DATA_PATH" },
		{ true, EXP_CAP_CHANGE_LOG, "NO_CHANGE_LOG" },
		{ false, EXP_CAP_MMC, "TARGET_NOT_MMC" },
		{ false, EXP_CAP_NS_MGMT, "TARGET_NO_NS_MANAGEMENT" },
		{ false, EXP_CAP_TEMPLATE, "TARGET_NO_TEMPLATES" },
		{ false, EXP_CAP_EXPORT_MIGRATE, "TARGET_NO_EXPORT_MIGRATION" },
		{ false, EXP_CAP_ENF1, "TARGET_NO_FORMAT_1" },
		{ false, EXP_CAP_NS_DATA, "TARGET_NO_DATA_PATH" },
	};

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(gates); i++) {
		struct world *w = fits();

		(gates[i].at_source ? &w->src : &w->dst)->flags &= ~gates[i].flag;
		expect(w, gates[i].code, EXP_FINDING_REFUSAL, "no", "yes");
	}
}

static void test_preflight_no_change_log_gives_the_transports_reason(void **state)
{
	struct world *w = fits();

	(void)state;
	w->src.flags &= ~(uint32_t)EXP_CAP_CHANGE_LOG;
	strcpy(w->src.no_change_log, "the kernel cannot map it");
	check(w);
	assert_non_null(strstr(find(w, "NO_CHANGE_LOG")->message, "the kernel cannot map it"));
	w->job->dirty = EXP_DIRTY_NONE; /* an offline move needs none */
	check(w);
	assert_int_equal(w->fs.n, 0);
	assert_int_equal(w->res.path, EXP_PATH_REFERENCE);
	done(w);
}

static void test_preflight_capacity_and_size(void **state)
{
	struct world *w = fits();

	(void)state;
	w->dst.free_bytes = 2 * 64 * 4096 - 1;
	expect(w, "NO_CAPACITY", EXP_FINDING_REFUSAL, "524287", "524288");
	w = fits();
	w->dst.free_bytes = 2 * 64 * 4096;
	check(w);
	assert_int_equal(w->fs.n, 0);
	done(w);
	w = fits();
	w->job->exports[1].desc.nsze = 0;
	expect(w, "EXPORT_SIZE", EXP_FINDING_REFUSAL, "0", "1 or more");
	w = fits();
	w->job->exports[1].desc.nsze = UINT64_MAX; /* does not wrap into something that fits */
	expect(w, "EXPORT_SIZE", EXP_FINDING_REFUSAL, "18446744073709551615", "1 or more");
	w = fits();
	w->dst.n_exports = 3;
	expect(w, "NO_EXPORT_SLOT", EXP_FINDING_REFUSAL, "4", "5");
	w = fits();
	w->dst.n_exports = 3;
	w->dst.max_exports = 0; /* not said: try and handle the error */
	check(w);
	assert_int_equal(w->fs.n, 0);
	done(w);
}

static void test_preflight_block_size(void **state)
{
	struct world *w = fits();

	(void)state;
	w->dst.n_formats = 1;
	check(w);
	assert_int_equal(w->fs.n, 2); /* one per export */
	assert_string_equal(find(w, "LBA_FORMAT")->have, "512");
	assert_string_equal(find(w, "LBA_FORMAT")->want, "4096");
	done(w);
	w = fits();
	w->dst.formats[1].ms = 8;
	check(w);
	assert_true(exp_findings_refuse(&w->fs));
	done(w);
}

static void test_preflight_template_in_common_by_uuid(void **state)
{
	struct world *w = fits();

	(void)state;
	w->job->exports[1].desc.template.b[5] = 1;
	w->src.state_uuids[0] = w->dst.state_uuids[0] = vendor;
	expect(w, "NO_COMMON_TEMPLATE", EXP_FINDING_REFUSAL, "aa000000-0000-0000-0000-000000000000",
	       "aa000000-0001-0000-0000-000000000000");
}

static void test_preflight_target_controller(void **state)
{
	struct world *w = fits();

	(void)state;
	w->dst.ctrls[1].enabled = true;
	w->dst.ctrls[2].associated = true;
	expect(w, "NO_FREE_CONTROLLER", EXP_FINDING_REFUSAL, "1", "2");
	w = fits();
	w->want[0] = 23;
	check(w);
	assert_int_equal(w->fs.n, 0);
	assert_int_equal(w->chosen[0], 23);
	assert_int_equal(w->chosen[1], 21);
	done(w);
	w = fits();
	w->want[0] = 99;
	expect(w, "CONTROLLER_UNKNOWN", EXP_FINDING_REFUSAL, "not there", "99");
	w = fits();
	w->want[1] = 70000;
	expect(w, "CONTROLLER_UNKNOWN", EXP_FINDING_REFUSAL, "not there", "70000");
	w = fits();
	w->want[0] = 20; /* the MMC */
	expect(w, "CONTROLLER_UNKNOWN", EXP_FINDING_REFUSAL, "not there", "20");
	w = fits();
	w->want[0] = 21;
	w->dst.ctrls[1].associated = true;
	expect(w, "CONTROLLER_TAKEN", EXP_FINDING_REFUSAL, "belongs to another export", "21");
	w = fits();
	w->want[0] = 21;
	w->dst.ctrls[1].enabled = true;
	expect(w, "CONTROLLER_ENABLED", EXP_FINDING_REFUSAL, "enabled (CC.EN=1)", "21");
	w = fits();
	w->want[0] = w->want[1] = 22;
	expect(w, "CONTROLLER_TWICE", EXP_FINDING_REFUSAL, "asked for twice", "22");
}

static void test_preflight_state_path(void **state)
{
	struct world *w = fits();

	(void)state;
	w->dst.n_state_uuids = 0;
	expect(w, "STATE_INCOMPLETE", EXP_FINDING_REFUSAL, "I/O queue state only",
	       "the template's state, or a vendor's");
	w = fits();
	w->dst.n_state_uuids = 0;
	w->dst.n_versions = 0;
	expect(w, "STATE_INCOMPLETE", EXP_FINDING_REFUSAL, "no format in common",
	       "the template's state, or a vendor's");
	w = fits();
	w->src.state_uuids[0] = w->dst.state_uuids[0] = vendor;
	check(w);
	assert_int_equal(w->res.path, EXP_PATH_VENDOR);
	w->dst.versions[0] = 1; /* a vendor's part without the queues */
	check(w);
	assert_int_equal(w->res.path, EXP_PATH_NONE);
	assert_non_null(find(w, "STATE_INCOMPLETE"));
	done(w);
	w = fits();
	w->job->path = EXP_PATH_VMM; /* the VMM replays what is missing */
	w->dst.n_state_uuids = 0;
	check(w);
	assert_int_equal(w->fs.n, 0);
	assert_int_equal(w->res.path, EXP_PATH_VMM);
	w->dst.n_versions = 0;
	check(w);
	assert_int_equal(w->res.path, EXP_PATH_NONE);
	done(w);
}

static void test_preflight_cold_needs_no_state(void **state)
{
	struct world *w = fits();

	(void)state;
	w->src.ctrls[1].enabled = w->src.ctrls[2].enabled = false;
	w->dst.n_state_uuids = w->dst.n_versions = 0;
	w->src.flags &= ~(uint32_t)EXP_CAP_CHANGE_LOG;
	w->job->dirty = EXP_DIRTY_NONE;
	check(w);
	assert_int_equal(w->res.path, EXP_PATH_COLD);
	assert_int_equal(w->res.dirty, EXP_DIRTY_NONE);
	assert_int_equal(w->fs.n, 0);
	done(w);
	w = fits(); /* a live move never turns into one that takes the namespace away */
	w->src.ctrls[1].enabled = w->src.ctrls[2].enabled = false;
	expect(w, "NOT_ENABLED", EXP_FINDING_REFUSAL, "off", "on");
	w = fits();
	w->src.ctrls[2].enabled = false;
	expect(w, "HALF_ENABLED", EXP_FINDING_REFUSAL, "1", "2");
	w = fits();
	w->job->exports[0].here.cntlid = 99;
	check(w);
	assert_non_null(find(w, "SOURCE_CONTROLLER_UNKNOWN"));
	done(w);
}

static void test_preflight_limits_the_guest_was_told(void **state)
{
	struct world *w;

	(void)state;
	w = fits();
	w->views[1].mdts = 6;
	expect(w, "MDTS_TOO_SMALL", EXP_FINDING_REFUSAL, "5", "6");
	w = fits();
	w->views[1].mdts = 0;
	expect(w, "MDTS_TOO_SMALL", EXP_FINDING_REFUSAL, "5", "0 (no limit)");
	w = fits();
	w->dst.mqes = 1022;
	w->views[1].mqes = 100;
	expect(w, "QUEUE_TOO_SMALL", EXP_FINDING_REFUSAL, "1022", "1023");
	w = fits();
	w->views[0].nsqs = 64;
	expect(w, "TOO_FEW_QUEUES", EXP_FINDING_REFUSAL, "63", "64");
	w = fits();
	w->views[0].ncqs = 65;
	expect(w, "TOO_FEW_QUEUES", EXP_FINDING_REFUSAL, "63", "65");
	w = fits();
	w->views[0].awun = 8;
	expect(w, "ATOMICITY", EXP_FINDING_REFUSAL, "7", "8");
	w = fits();
	w->views[0].awupf = 9;
	expect(w, "ATOMICITY", EXP_FINDING_REFUSAL, "7", "9");
	w = fits();
	w->views[0].oncs = 0x20;
	expect(w, "COMMANDS_MISSING", EXP_FINDING_REFUSAL, "1fh", "20h");
	w = fits();
	w->dst.mdts = 0; /* no limit takes everything */
	w->views[0].mdts = 0;
	check(w);
	assert_int_equal(w->fs.n, 0);
	done(w);
}

static void test_preflight_unlike_drives_only_warn_when_the_view_is_not_known(void **state)
{
	struct world *w = fits();

	(void)state;
	w->views[1].known = false;
	w->dst.mdts = 4;
	w->views[0].mdts = 3;
	expect(w, "MDTS_TOO_SMALL", EXP_FINDING_WARNING, "4", "5");
	w = fits();
	w->views[0].known = w->views[1].known = false;
	w->dst.oncs = 0x17;
	expect(w, "COMMANDS_MISSING", EXP_FINDING_WARNING, "17h", "1fh");
	w = fits();
	w->dst.aerl = 2;
	expect(w, "EVENT_LIMIT", EXP_FINDING_WARNING, "2", "3");
	w = fits();
	w->dst.acl = 1;
	expect(w, "ABORT_LIMIT", EXP_FINDING_WARNING, "1", "3");
	w = fits();
	w->src.fuses = 1;
	expect(w, "FUSED_MISSING", EXP_FINDING_WARNING, "0h", "1h");
	w = fits();
	w->src.flags &= ~(uint32_t)EXP_CAP_LBA_STATUS;
	expect(w, "NO_ALLOCATION_STATUS", EXP_FINDING_NOTE, "no", "yes");
}

static void test_preflight_what_must_be_equal(void **state)
{
	struct world *w = fits();

	(void)state;
	w->dst.sqes = 0x76;
	expect(w, "QUEUE_ENTRY_SIZE", EXP_FINDING_REFUSAL, "76h", "66h");
	w = fits();
	w->dst.cqes = 0x54;
	expect(w, "QUEUE_ENTRY_SIZE", EXP_FINDING_REFUSAL, "54h", "44h");
	w = fits();
	w->src.vwc = 6;
	expect(w, "WRITE_CACHE", EXP_FINDING_REFUSAL, "1h", "0h");
	w = fits();
	w->dst.dlfeat = 0;
	expect(w, "DEALLOCATE_READS", EXP_FINDING_REFUSAL, "0h", "1h");
	w = fits();
	w->dst.dlfeat = 9; /* other bits do not matter */
	check(w);
	assert_int_equal(w->fs.n, 0);
	done(w);
}

static void test_preflight_restart_that_resets(void **state)
{
	struct exp_findings *fs = calloc(1, sizeof(*fs));

	(void)state;
	assert_non_null(fs);
	exp_preflight_restart("ssd", true, false, EXP_DIRTY_CDQ, fs);
	exp_preflight_restart("ssd", false, false, EXP_DIRTY_NONE, fs);
	assert_int_equal(fs->n, 0);
	exp_preflight_restart("ssd", false, true, EXP_DIRTY_CDQ, fs);
	assert_int_equal(fs->f[0].severity, EXP_FINDING_WARNING);
	exp_preflight_restart("ssd", false, false, EXP_DIRTY_CDQ, fs);
	assert_int_equal(fs->f[1].severity, EXP_FINDING_REFUSAL);
	assert_string_equal(fs->f[1].code, "RESET_ON_RESTART");
	assert_non_null(strstr(fs->f[1].message, "ssd"));
	free(fs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_preflight_two_drives_that_fit),
		cmocka_unit_test(test_preflight_gates),
		cmocka_unit_test(test_preflight_no_change_log_gives_the_transports_reason),
		cmocka_unit_test(test_preflight_capacity_and_size),
		cmocka_unit_test(test_preflight_block_size),
		cmocka_unit_test(test_preflight_template_in_common_by_uuid),
		cmocka_unit_test(test_preflight_target_controller),
		cmocka_unit_test(test_preflight_state_path),
		cmocka_unit_test(test_preflight_cold_needs_no_state),
		cmocka_unit_test(test_preflight_limits_the_guest_was_told),
		cmocka_unit_test(test_preflight_unlike_drives_only_warn_when_the_view_is_not_known),
		cmocka_unit_test(test_preflight_what_must_be_equal),
		cmocka_unit_test(test_preflight_restart_that_resets),
	};

	return cmocka_run_group_tests_name("preflight", tests, NULL, NULL);
}
