/* SPDX-License-Identifier: Apache-2.0 */
/* lib/control, replies: every field of every reply, what is null, and what a person is told */
#include <errno.h>

#include "support/tests.h"

#include "control/advice.h"
#include "control/api.h"

#define UUID_OF(n)   ((struct exp_uuid){ { (n), 0xb1, 0x10, [15] = 0xee } })
#define UUID_TEXT(n) "0" #n "b11000-0000-0000-0000-0000000000ee"

/* What a client would see: printed and parsed again; frees @v. */
static struct exp_json *seen(struct exp_json *v)
{
	struct exp_error err = { 0 };
	struct exp_json *back = NULL;
	const char *text;
	size_t len;

	text = exp_json_print(v, false, &len);
	assert_non_null(text);
	assert_ok(exp_json_parse(text, len, 1 << 20, &back, &err), &err);
	exp_json_free(v);
	return back;
}

/* "a.b" or "a.0.b" */
static const struct exp_json *at(const struct exp_json *v, const char *path)
{
	char copy[128], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *p = strtok_r(copy, ".", &save); p; p = strtok_r(NULL, ".", &save)) {
		bool arr = exp_json_type(v) == EXP_JSON_ARRAY;

		if (!arr && !exp_json_has(v, p))
			fail_msg("%s is missing", path);
		v = arr ? exp_json_at(v, (size_t)atoi(p)) : exp_json_get(v, p);
	}
	return v;
}

static void is_str(const struct exp_json *v, const char *path, const char *want)
{
	const char *got = exp_json_str(at(v, path), NULL);

	if (!got || strcmp(got, want))
		fail_msg("%s is \"%s\", not \"%s\"", path, got ? got : "(no string)", want);
}

static void is_u64(const struct exp_json *v, const char *path, uint64_t want)
{
	const struct exp_json *f = at(v, path);

	if (exp_json_type(f) != EXP_JSON_INT || exp_json_u64(f, ~want) != want)
		fail_msg("%s is not %llu", path, (unsigned long long)want);
}

static void is_bool(const struct exp_json *v, const char *path, bool want)
{
	const struct exp_json *f = at(v, path);

	if (exp_json_type(f) != EXP_JSON_BOOL || exp_json_bool(f, !want) != want)
		fail_msg("%s is not %d", path, want);
}

static void is_null(const struct exp_json *v, const char *path)
{
	if (exp_json_type(at(v, path)) != EXP_JSON_NULL)
		fail_msg("%s is not null", path);
}

static struct exp_job *full_job(void)
{
	struct exp_job *j = exp_job_new();

	assert_non_null(j);
	j->id = UUID_OF(1);
	j->role = EXP_ROLE_SOURCE;
	j->state = EXP_SRC_SWITCHING;
	j->attempt = 2;
	strcpy(j->peer.s, "host-b");
	j->peer_host = UUID_OF(2);
	j->path = EXP_PATH_REFERENCE;
	j->dirty = EXP_DIRTY_CDQ;
	j->hold = EXP_HOLD_COMMIT;
	j->hold_lease_ms = 31000;
	j->blackout_limit_ms = 900;
	j->intent = EXP_INTENT_CANCEL;
	exp_error_nvme(&j->error, 0x13a, "suspend: not possible");
	strcpy(j->target_device.s, "ssd-b");
	j->target_cntlid[0] = 5;
	j->target_cntlid[1] = 6;
	j->created_ms = 1700000000001;
	j->updated_ms = 1700000000002;
	j->n_exports = 2;
	for (uint32_t i = 0; i < 2; i++) {
		struct exp_job_export *e = &j->exports[i];

		e->id = UUID_OF((uint8_t)(3 + i));
		snprintf(e->desc.nqn.s, sizeof(e->desc.nqn.s), "nqn.2014-08.org.example:vm%u", i);
		e->desc.nsze = 1000 + i;
		e->desc.lba_bytes = 4096;
		e->epoch = 8 + i;
		strcpy(e->here.device.s, "ssd-a");
		strcpy(e->here.serial, "SER123");
		e->here.cntlid = (uint16_t)(21 + i);
		e->here.esubid = (uint16_t)(31 + i);
		e->here.nsid = 41 + i;
		assert_int_equal(exp_job_set_state_blob(j, i, "12345", 5), 0);
	}
	return j;
}

static const struct exp_job_progress full_progress = {
	.condition = EXP_CONDITION_RELEASE_UNKNOWN,
	.target = EXP_TARGET_SUSPENDED,
	.waiting = "commit",
	.namespace_bytes = 1,
	.allocated_bytes = 102,
	.sent_bytes = 103,
	.zero_bytes = 104,
	.acked_bytes = 105,
	.resent_bytes = 106,
	.remaining_bytes = 107,
	.dirty_rate = 108,
	.send_rate = 109,
	.eta_ms = 110,
	.forecast_blackout_us = 111,
	.verdict = EXP_VERDICT_CONVERGES,
	.rounds = 112,
	.log_entries = 113,
	.log_overflows = 114,
	.blackout_us = 115,
	.steps_us = { [EXP_STEP_ATTEMPT] = 1,
		      [EXP_STEP_SUSPEND] = 2,
		      [EXP_STEP_DRAIN] = 3,
		      [EXP_STEP_LAST_DATA] = 4,
		      [EXP_STEP_GET_STATE] = 5,
		      [EXP_STEP_RESTORE] = 6,
		      [EXP_STEP_HOLD] = 7,
		      [EXP_STEP_FENCE] = 8,
		      [EXP_STEP_RELEASE] = 9,
		      [EXP_STEP_ACTIVATE] = 10 },
};

static void test_job_has_every_field(void **state)
{
	static const struct exp_ownership owners[2] = { { 7, 8, 7 }, { 6, 9, 6 } };
	static const char *const steps[] = { "attempt",   "suspend", "drain", "last_data",
					     "get_state", "restore", "hold",  "fence",
					     "release",   "activate" };
	struct exp_job *j = full_job();
	struct exp_json *v = seen(exp_api_job(j, &full_progress, owners));
	char path[64];

	(void)state;
	is_str(v, "id", UUID_TEXT(1));
	is_str(v, "role", "source");
	is_str(v, "state", "switching");
	is_str(v, "condition", "release-unknown");
	is_bool(v, "open", true);
	is_u64(v, "attempt", 2);
	is_u64(v, "epoch", 8);
	is_str(v, "owner.host", "unknown");
	is_null(v, "owner.peer");
	is_null(v, "owner.epoch");
	is_str(v, "error.code", "DEVICE_STATUS");
	is_str(v, "error.message", "suspend: not possible");
	is_u64(v, "error.errno", EREMOTEIO);
	is_u64(v, "error.nvme_status", 0x13a);
	is_bool(v, "error.retry", false);
	assert_int_equal(exp_json_len(at(v, "exports")), 2);
	is_str(v, "exports.0.id", UUID_TEXT(3));
	is_str(v, "exports.1.id", UUID_TEXT(4));
	is_str(v, "exports.1.nqn", "nqn.2014-08.org.example:vm1");
	is_u64(v, "exports.1.epoch", 9);
	is_u64(v, "exports.1.own", 6);
	is_u64(v, "exports.1.floor", 9);
	is_u64(v, "exports.1.size_bytes", 1001 * 4096);
	is_u64(v, "exports.1.lba_bytes", 4096);
	is_str(v, "exports.1.device", "ssd-a");
	is_str(v, "exports.1.serial", "SER123");
	is_u64(v, "exports.1.cntlid", 22);
	is_u64(v, "exports.1.esubid", 32);
	is_u64(v, "exports.1.nsid", 42);
	is_u64(v, "exports.1.target_cntlid", 6);
	is_u64(v, "exports.1.state_bytes", 5);
	is_str(v, "peer", "host-b");
	is_str(v, "peer_host", UUID_TEXT(2));
	is_str(v, "target.device", "ssd-b");
	is_u64(v, "target.cntlid", 5);
	is_str(v, "target.state", "suspended");
	is_str(v, "path", "reference");
	is_str(v, "dirty", "cdq");
	assert_int_equal(exp_json_len(at(v, "hold")), 1);
	is_str(v, "hold.0", "commit");
	is_u64(v, "hold_lease_ms", 31000);
	is_u64(v, "blackout_limit_ms", 900);
	is_str(v, "intent", "cancel");
	is_str(v, "verdict", "converges");
	is_u64(v, "bytes.namespace", (1000 + 1001) * 4096);
	is_u64(v, "bytes.allocated", 102);
	is_u64(v, "bytes.sent", 103);
	is_u64(v, "bytes.zero", 104);
	is_u64(v, "bytes.acked", 105);
	is_u64(v, "bytes.resent", 106);
	is_u64(v, "bytes.remaining", 107);
	is_u64(v, "rates.dirty_bytes_per_s", 108);
	is_u64(v, "rates.send_bytes_per_s", 109);
	is_u64(v, "eta_ms", 110);
	is_u64(v, "forecast_blackout_us", 111);
	is_u64(v, "rounds", 112);
	is_u64(v, "log.entries", 113);
	is_str(v, "waiting_for", "commit");
	is_u64(v, "log.overflows", 114);
	is_u64(v, "blackout_us", 115);
	for (unsigned int s = 0; s < EXP_ARRAY_SIZE(steps); s++) {
		snprintf(path, sizeof(path), "steps_us.%s", steps[s]);
		is_u64(v, path, s + 1);
	}
	is_u64(v, "created_ms", 1700000000001);
	is_u64(v, "updated_ms", 1700000000002);
	exp_json_free(v);
	exp_job_free(j);
}

static void test_job_says_null_for_unknown(void **state)
{
	static const char *const nulls[] = { "exports.0.own",
					     "exports.0.floor",
					     "exports.0.target_cntlid",
					     "target.device",
					     "target.cntlid",
					     "target.state",
					     "peer_host",
					     "verdict",
					     "bytes.sent",
					     "bytes.remaining",
					     "rates.send_bytes_per_s",
					     "rounds",
					     "log.entries",
					     "eta_ms",
					     "forecast_blackout_us",
					     "blackout_us" };
	struct exp_job_progress p = { .eta_ms = UINT64_MAX, .forecast_blackout_us = UINT64_MAX };
	struct exp_job *j = full_job();
	struct exp_json *v;

	(void)state;
	j->target_device.s[0] = '\0';
	j->peer_host = (struct exp_uuid){ 0 };
	j->error.code = EXP_CODE_OK;
	v = seen(exp_api_job(j, NULL, NULL));
	for (size_t i = 0; i < EXP_ARRAY_SIZE(nulls); i++)
		is_null(v, nulls[i]);
	is_str(v, "condition", "");
	assert_false(exp_json_has(v, "error"));
	assert_int_equal(exp_json_fields(at(v, "steps_us")).next != NULL, 0);
	exp_json_free(v);
	v = seen(exp_api_job(j, &p, NULL));
	is_null(v, "eta_ms");
	is_null(v, "forecast_blackout_us");
	is_null(v, "blackout_us");
	is_str(v, "waiting_for", "");
	is_u64(v, "bytes.sent", 0);
	is_u64(v, "steps_us.hold", 0);
	exp_json_free(v);
	exp_job_free(j);
}

static void test_job_of_the_destination(void **state)
{
	struct exp_job *j = full_job();
	struct exp_json *v;

	(void)state;
	j->role = EXP_ROLE_DESTINATION;
	j->state = EXP_DST_ACTIVATING;
	j->target_device.s[0] = '\0';
	v = seen(exp_api_job(j, NULL, NULL));
	is_str(v, "role", "destination");
	is_str(v, "state", "activating");
	is_str(v, "owner.host", "here");
	is_u64(v, "owner.epoch", 8);
	is_str(v, "target.device", "ssd-a");
	is_u64(v, "target.cntlid", 21);
	is_bool(v, "open", true);
	exp_json_free(v);
	j->state = EXP_DST_DONE;
	v = seen(exp_api_job(j, NULL, NULL));
	is_bool(v, "open", false);
	exp_json_free(v);
	exp_job_free(j);
}

/* typed from the rules of the hand-over: who may run it in each recorded state */
static void test_owner_in_every_state(void **state)
{
	static const struct exp_ownership owner = { 7, 8, 7 };
	static const struct {
		enum exp_role role;
		unsigned int state;
		enum exp_owner_side side;
		uint64_t epoch;
	} rows[] = {
		{ EXP_ROLE_SOURCE, EXP_SRC_PREFLIGHT, EXP_OWNER_HERE, 7 },
		{ EXP_ROLE_SOURCE, EXP_SRC_PREPARING, EXP_OWNER_HERE, 7 },
		{ EXP_ROLE_SOURCE, EXP_SRC_COPYING, EXP_OWNER_HERE, 7 },
		{ EXP_ROLE_SOURCE, EXP_SRC_READY, EXP_OWNER_HERE, 7 },
		{ EXP_ROLE_SOURCE, EXP_SRC_SWITCHING, EXP_OWNER_HERE, 7 },
		{ EXP_ROLE_SOURCE, EXP_SRC_ROLLING_BACK, EXP_OWNER_HERE, 7 },
		{ EXP_ROLE_SOURCE, EXP_SRC_RELEASED, EXP_OWNER_PEER, 8 },
		{ EXP_ROLE_SOURCE, EXP_SRC_DONE, EXP_OWNER_PEER, 8 },
		{ EXP_ROLE_SOURCE, EXP_SRC_FAILED, EXP_OWNER_HERE, 7 },
		{ EXP_ROLE_SOURCE, EXP_SRC_CANCELLED, EXP_OWNER_HERE, 7 },
		{ EXP_ROLE_SOURCE, EXP_SRC_TAKEN, EXP_OWNER_PEER, 8 },
		{ EXP_ROLE_DESTINATION, EXP_DST_PREPARING, EXP_OWNER_PEER, 0 },
		{ EXP_ROLE_DESTINATION, EXP_DST_RECEIVING, EXP_OWNER_PEER, 0 },
		{ EXP_ROLE_DESTINATION, EXP_DST_RESTORED, EXP_OWNER_UNKNOWN, 0 },
		{ EXP_ROLE_DESTINATION, EXP_DST_ACTIVATING, EXP_OWNER_HERE, 8 },
		{ EXP_ROLE_DESTINATION, EXP_DST_ACTIVE, EXP_OWNER_HERE, 8 },
		{ EXP_ROLE_DESTINATION, EXP_DST_DISCARDING, EXP_OWNER_PEER, 0 },
		{ EXP_ROLE_DESTINATION, EXP_DST_DISCARDED, EXP_OWNER_PEER, 0 },
		{ EXP_ROLE_DESTINATION, EXP_DST_DONE, EXP_OWNER_HERE, 8 },
	};
	struct exp_job *j = full_job();
	struct exp_owner_view v;

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(rows); i++) {
		j->role = rows[i].role;
		j->state = rows[i].state;
		assert_non_null(exp_state_name(j->role, j->state));
		v = exp_advice_owner(j, NULL, &owner);
		if (v.side != rows[i].side || v.epoch != rows[i].epoch)
			fail_msg("%s: %s by epoch %llu", exp_state_name(j->role, j->state),
				 exp_owner_side_name(v.side), (unsigned long long)v.epoch);
		assert_true(v.text[0]);
		assert_true(exp_advice_next(j, NULL)[0]);
	}
	j->role = EXP_ROLE_SOURCE;
	j->state = EXP_SRC_SWITCHING;
	v = exp_advice_owner(j, &full_progress, &owner);
	assert_int_equal(v.side, EXP_OWNER_UNKNOWN);
	exp_job_free(j);
}

static void test_next_depends_on_what_is_missing(void **state)
{
	struct exp_job_progress p = { .target = EXP_TARGET_ABSENT };
	struct exp_job *j = full_job();

	(void)state;
	j->state = EXP_SRC_COPYING;
	assert_non_null(strstr(exp_advice_next(j, &p), "target-ready"));
	j->path = EXP_PATH_COLD;
	assert_null(strstr(exp_advice_next(j, &p), "target-ready"));
	p.verdict = EXP_VERDICT_WILL_NOT;
	assert_non_null(strstr(exp_advice_next(j, &p), "writes faster"));
	p.condition = EXP_CONDITION_SUSPEND_UNKNOWN;
	assert_non_null(strstr(exp_advice_next(j, &p), "do not reset"));
	p.condition = EXP_CONDITION_NEEDS_OPERATOR;
	assert_non_null(strstr(exp_advice_next(j, &p), "other host"));
	p.condition = EXP_CONDITION_NONE;
	j->state = EXP_SRC_READY;
	j->hold = EXP_HOLD_SWITCH;
	assert_non_null(strstr(exp_advice_next(j, &p), "switchover"));
	j->state = EXP_SRC_SWITCHING;
	j->hold = EXP_HOLD_COMMIT;
	assert_non_null(strstr(exp_advice_next(j, &p), "commit or abort"));
	exp_job_free(j);
}

static void test_export_has_every_field(void **state)
{
	struct exp_export e = {
		.id = UUID_OF(1),
		.desc = { .nqn = { "nqn.2014-08.org.example:a" },
			  .template = UUID_OF(2),
			  .ensid = 11,
			  .ecntlid = 12,
			  .nsze = 13,
			  .lba_bytes = 512,
			  .nguid = { 0xab, [15] = 0xcd },
			  .uuid = UUID_OF(3) },
		.place = { .device = { "ssd0" },
			   .serial = "S1",
			   .cntlid = 14,
			   .esubid = 15,
			   .nsid = 16 },
		.owner = { 17, 19, 18 },
		.status = EXP_EXPORT_SUPERSEDED,
		.job = UUID_OF(4),
		.created_ms = 20,
		.owner_peer = { "host-b" },
	};
	struct exp_json *v = seen(exp_api_export(&e));

	(void)state;
	is_str(v, "id", UUID_TEXT(1));
	is_str(v, "nqn", "nqn.2014-08.org.example:a");
	is_str(v, "status", "superseded");
	is_u64(v, "size_bytes", 13 * 512);
	is_u64(v, "lba_bytes", 512);
	is_str(v, "device", "ssd0");
	is_str(v, "serial", "S1");
	is_u64(v, "cntlid", 14);
	is_u64(v, "esubid", 15);
	is_u64(v, "nsid", 16);
	is_u64(v, "ensid", 11);
	is_u64(v, "ecntlid", 12);
	is_str(v, "nguid", "ab0000000000000000000000000000cd");
	is_str(v, "uuid", UUID_TEXT(3));
	is_str(v, "template", UUID_TEXT(2));
	is_u64(v, "epoch.own", 17);
	is_u64(v, "epoch.floor", 19);
	is_u64(v, "epoch.maxown", 18);
	is_str(v, "owner_peer", "host-b");
	is_str(v, "job", UUID_TEXT(4));
	is_u64(v, "created_ms", 20);
	exp_json_free(v);
	memset(&e.place, 0, sizeof(e.place));
	memset(e.desc.nguid, 0, 16);
	e.job = e.desc.uuid = (struct exp_uuid){ 0 };
	e.owner_peer.s[0] = '\0';
	v = seen(exp_api_export(&e));
	is_null(v, "device");
	is_null(v, "cntlid");
	is_null(v, "nguid");
	is_null(v, "uuid");
	is_null(v, "job");
	is_null(v, "owner_peer");
	exp_json_free(v);
}

static void test_device_has_every_field(void **state)
{
	struct exp_caps *c = calloc(1, sizeof(*c));
	struct exp_error down = { .code = EXP_CODE_DEVICE_GONE, .errnum = ENODEV, .msg = "away" };
	struct exp_api_device d = { .name = "ssd0",
				    .transport = "vfio-user:/run/a",
				    .data = "",
				    .state = EXP_API_DEVICE_READY,
				    .caps = c };
	struct exp_json *v;

	(void)state;
	assert_non_null(c);
	strcpy(c->model, "Model \x1b[31m");
	strcpy(c->serial, "SER");
	strcpy(c->firmware, "FW1");
	strcpy(c->subnqn.s, "nqn.2014-08.org.example:ssd");
	c->ver = 0x00020300;
	c->flags = EXP_CAP_MMC | EXP_CAP_NS_DATA;
	strcpy(c->no_change_log, "the kernel cannot keep it mapped");
	c->cntlid = 1;
	c->mdts = 5;
	c->total_bytes = 1000;
	c->free_bytes = 900;
	c->n_exports = 1;
	c->n_templates = 1;
	c->templates[0] = UUID_OF(1);
	c->n_state_uuids = 1;
	c->state_uuids[0] = UUID_OF(2);
	c->n_formats = 1;
	c->formats[0] = (struct exp_format_caps){ 4096, 8 };
	c->n_ctrls = 2;
	c->ctrls[0] = (struct exp_ctrl_caps){ 2, true, true, 9 };
	c->ctrls[1] = (struct exp_ctrl_caps){ 3, false, false, 0 };
	v = seen(exp_api_device(&d, true));
	is_str(v, "name", "ssd0");
	is_str(v, "transport", "vfio-user:/run/a");
	is_null(v, "data");
	is_str(v, "state", "ready");
	is_str(v, "model", "Model \x1b[31m");
	is_str(v, "serial", "SER");
	is_str(v, "firmware", "FW1");
	is_str(v, "subnqn", "nqn.2014-08.org.example:ssd");
	is_str(v, "nvme", "2.3.0");
	is_u64(v, "cntlid", 1);
	is_u64(v, "mdts", 5);
	is_u64(v, "total_bytes", 1000);
	is_u64(v, "free_bytes", 900);
	is_u64(v, "exports", 1);
	is_null(v, "max_exports");
	is_u64(v, "free_controllers", 1);
	is_bool(v, "can.mmc", true);
	is_bool(v, "can.ns_data", true);
	is_bool(v, "can.change_log", false);
	is_bool(v, "can.reset_at_open", false);
	is_str(v, "no_change_log", "the kernel cannot keep it mapped");
	is_null(v, "no_ns_data");
	is_str(v, "templates.0", UUID_TEXT(1));
	is_str(v, "state_uuids.0", UUID_TEXT(2));
	is_u64(v, "formats.0.lba_bytes", 4096);
	is_u64(v, "formats.0.metadata_bytes", 8);
	is_u64(v, "controllers.0.cntlid", 2);
	is_bool(v, "controllers.0.enabled", true);
	is_u64(v, "controllers.0.esubid", 9);
	is_null(v, "controllers.1.esubid");
	assert_false(exp_json_has(v, "error"));
	exp_json_free(v);
	v = seen(exp_api_device(&d, false));
	assert_false(exp_json_has(v, "controllers"));
	exp_json_free(v);
	d = (struct exp_api_device){ .name = "x",
				     .transport = "nvme:/dev/nvme0",
				     .data = "/dev/n",
				     .state = EXP_API_DEVICE_UNAVAILABLE,
				     .error = &down };
	v = seen(exp_api_device(&d, true));
	is_str(v, "data", "/dev/n");
	is_str(v, "state", "unavailable");
	is_str(v, "error.code", "DEVICE_GONE");
	is_bool(v, "error.retry", true);
	assert_false(exp_json_has(v, "model"));
	exp_json_free(v);
	free(c);
}

static void test_peer_has_every_field(void **state)
{
	struct exp_error down = { .code = EXP_CODE_CERT_EXPIRED, .errnum = EACCES, .msg = "old" };
	struct exp_api_peer p = { .name = "host-b",
				  .address = "10.0.0.2:7700",
				  .identity = "spiffe://lab/b",
				  .may_send = true,
				  .may_receive = true,
				  .nqn = "nqn.*",
				  .connected = true,
				  .condition = EXP_CONDITION_JOURNAL_REGRESSED,
				  .host = UUID_OF(1),
				  .build = "0.1",
				  .skew_ms = -5,
				  .seen_ms = 6,
				  .cert_not_after_ms = 7,
				  .error = &down };
	struct exp_json *v = seen(exp_api_peer(&p));

	(void)state;
	is_str(v, "name", "host-b");
	is_str(v, "address", "10.0.0.2:7700");
	is_str(v, "identity", "spiffe://lab/b");
	is_str(v, "rights.0", "send");
	is_str(v, "rights.1", "receive");
	is_str(v, "nqn", "nqn.*");
	is_bool(v, "connected", true);
	is_str(v, "condition", "journal-regressed");
	is_str(v, "host", UUID_TEXT(1));
	is_str(v, "build", "0.1");
	assert_int_equal(exp_json_i64(at(v, "skew_ms"), 0), -5);
	is_u64(v, "seen_ms", 6);
	is_u64(v, "cert_not_after_ms", 7);
	is_str(v, "error.code", "CERT_EXPIRED");
	exp_json_free(v);
	p = (struct exp_api_peer){ .name = "c", .address = "", .identity = "" };
	v = seen(exp_api_peer(&p));
	assert_int_equal(exp_json_len(at(v, "rights")), 0);
	is_null(v, "nqn");
	is_null(v, "host");
	is_null(v, "build");
	is_null(v, "skew_ms");
	is_null(v, "seen_ms");
	is_null(v, "cert_not_after_ms");
	assert_false(exp_json_has(v, "error"));
	exp_json_free(v);
}

static struct exp_findings *two_findings(void)
{
	struct exp_findings *fs = calloc(1, sizeof(*fs));

	assert_non_null(fs);
	exp_findings_add(fs, EXP_FINDING_WARNING, "SKEW", "clocks agree", "3 s", "1 s", "skewed");
	exp_findings_add(fs, EXP_FINDING_REFUSAL, "TOO_SMALL", "room", "1", "2", "too small");
	return fs;
}

static void test_daemon_replies(void **state)
{
	struct exp_findings *fs = two_findings();
	struct exp_api_health h = { .state = EXP_API_HEALTH_DEGRADED,
				    .findings = fs,
				    .host = UUID_OF(1),
				    .db_instance = UUID_OF(2),
				    .db_counter = 3,
				    .wal_bytes = 4,
				    .uptime_ms = 5,
				    .open_jobs = 6 };
	struct exp_api_version ver = { "0.1.0", "gcc", 1, 2, UUID_OF(3) };
	struct exp_json *v = seen(exp_api_health(&h));

	(void)state;
	is_str(v, "status", "degraded");
	is_str(v, "findings.0.code", "SKEW");
	is_str(v, "findings.0.severity", "warning");
	is_str(v, "findings.1.severity", "refusal");
	is_str(v, "findings.1.rule", "room");
	is_str(v, "findings.1.have", "1");
	is_str(v, "findings.1.want", "2");
	is_str(v, "findings.1.message", "too small");
	is_str(v, "host", UUID_TEXT(1));
	is_str(v, "database.instance", UUID_TEXT(2));
	is_u64(v, "database.counter", 3);
	is_u64(v, "database.wal_bytes", 4);
	is_u64(v, "uptime_ms", 5);
	is_u64(v, "open_jobs", 6);
	exp_json_free(v);
	assert_int_equal(exp_api_health_http(EXP_API_HEALTH_OK), 200);
	assert_int_equal(exp_api_health_http(EXP_API_HEALTH_DEGRADED), 200);
	assert_int_equal(exp_api_health_http(EXP_API_HEALTH_STARTING), 503);
	assert_int_equal(exp_api_health_http(EXP_API_HEALTH_STOPPING), 503);
	v = seen(exp_api_version(&ver));
	is_str(v, "version", "0.1.0");
	is_str(v, "build", "gcc");
	is_u64(v, "api", 1);
	is_u64(v, "wire.min", 1);
	is_u64(v, "wire.max", 2);
	is_str(v, "host", UUID_TEXT(3));
	exp_json_free(v);
	free(fs);
}

static void test_preflight_reply(void **state)
{
	struct exp_findings *fs = two_findings();
	struct exp_api_preflight p = { .findings = fs,
				       .device = { "ssd1" },
				       .n_cntlid = 1,
				       .cntlid = { 4 },
				       .path = EXP_PATH_REFERENCE,
				       .bytes = 5,
				       .eta_ms = 6,
				       .blackout_us = 7 };
	struct exp_json *v = seen(exp_api_preflight(&p));

	(void)state;
	is_bool(v, "ok", false);
	is_str(v, "findings.1.code", "TOO_SMALL");
	is_str(v, "target.device", "ssd1");
	is_u64(v, "target.controllers.0.cntlid", 4);
	is_str(v, "path", "reference");
	is_u64(v, "estimate.bytes", 5);
	is_u64(v, "estimate.eta_ms", 6);
	is_u64(v, "estimate.blackout_us", 7);
	exp_json_free(v);
	fs->n = 1; /* a warning alone refuses nothing */
	p = (struct exp_api_preflight){ .findings = fs, .eta_ms = UINT64_MAX };
	v = seen(exp_api_preflight(&p));
	is_bool(v, "ok", true);
	is_null(v, "target.device");
	is_null(v, "path");
	is_null(v, "estimate.eta_ms");
	is_null(v, "estimate.blackout_us");
	exp_json_free(v);
	free(fs);
}

static void test_event_line(void **state)
{
	struct exp_event_line e = { .seq = 9,
				    .time_ms = 10,
				    .type = "migration-state",
				    .job = UUID_OF(1),
				    .detail = "{\"state\":\"ready\"}" };
	struct exp_json *v = seen(exp_api_event(&e));

	(void)state;
	is_u64(v, "seq", 9);
	is_u64(v, "time_ms", 10);
	is_str(v, "type", "migration-state");
	is_str(v, "job", UUID_TEXT(1));
	is_null(v, "export");
	is_str(v, "detail.state", "ready");
	exp_json_free(v);
	strcpy(e.detail, "{\"cut");
	v = seen(exp_api_event(&e));
	is_str(v, "detail", "{\"cut");
	exp_json_free(v);
}

static void test_problem_goes_both_ways(void **state)
{
	struct exp_findings *fs = two_findings();
	struct exp_error err = { 0 }, back = { 0 };
	struct exp_json *v;

	(void)state;
	exp_error_nvme(&err, 0x2, "create: invalid field");
	v = seen(exp_api_problem(&err, fs));
	is_str(v, "type", "urn:expd:problem:DEVICE_STATUS");
	is_str(v, "title", "DEVICE_STATUS");
	is_u64(v, "status", 502);
	is_str(v, "detail", "create: invalid field");
	is_str(v, "code", "DEVICE_STATUS");
	is_bool(v, "retry", false);
	is_u64(v, "errno", EREMOTEIO);
	is_u64(v, "nvme_status", 2);
	is_str(v, "findings.1.code", "TOO_SMALL");
	assert_int_equal(exp_api_parse_problem(v, 502, &back), -EREMOTEIO);
	assert_int_equal(back.code, EXP_CODE_DEVICE_STATUS);
	assert_int_equal(back.nvme_status, 2);
	assert_string_equal(back.msg, "create: invalid field");
	exp_json_free(v);
	v = seen(exp_api_problem(&err, NULL));
	assert_false(exp_json_has(v, "findings"));
	exp_json_free(v);
	free(fs);
}

static void foreign_problem(const char *text, int status, enum exp_code code, const char *part)
{
	struct exp_error err = { 0 };
	struct exp_json *v = NULL;

	if (text)
		assert_ok(exp_json_parse(text, strlen(text), 4096, &v, &err), &err);
	assert_int_equal(exp_api_parse_problem(v, status, &err), -EPROTO);
	assert_error(&err, code, part);
	exp_json_free(v);
}

static void test_problem_of_others(void **state)
{
	(void)state;
	foreign_problem(NULL, 404, EXP_CODE_NOT_FOUND, "HTTP status 404");
	foreign_problem("{}", 500, EXP_CODE_SYSTEM, "HTTP status 500");
	foreign_problem("{\"code\":\"FROM_THE_FUTURE\",\"detail\":\"new\"}", 409, EXP_CODE_CONFLICT,
			"new");
	foreign_problem("{\"code\":\"OK\",\"errno\":99999,\"nvme_status\":70000}", 400,
			EXP_CODE_INVALID, "HTTP status 400");
	foreign_problem("[1]", 503, EXP_CODE_STARTING, "503");
	foreign_problem("{\"code\":7,\"detail\":[]}", 405, EXP_CODE_METHOD, "405");
}

static void test_list_is_an_object(void **state)
{
	struct exp_json *arr = exp_json_array(), *v;

	(void)state;
	exp_json_add(arr, exp_json_new_str("a"));
	v = seen(exp_api_list("things", arr));
	is_str(v, "things.0", "a");
	exp_json_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_job_has_every_field),
		cmocka_unit_test(test_job_says_null_for_unknown),
		cmocka_unit_test(test_job_of_the_destination),
		cmocka_unit_test(test_owner_in_every_state),
		cmocka_unit_test(test_next_depends_on_what_is_missing),
		cmocka_unit_test(test_export_has_every_field),
		cmocka_unit_test(test_device_has_every_field),
		cmocka_unit_test(test_peer_has_every_field),
		cmocka_unit_test(test_daemon_replies),
		cmocka_unit_test(test_preflight_reply),
		cmocka_unit_test(test_event_line),
		cmocka_unit_test(test_problem_goes_both_ways),
		cmocka_unit_test(test_problem_of_others),
		cmocka_unit_test(test_list_is_an_object),
	};

	return cmocka_run_group_tests_name("api_reply", tests, NULL, NULL);
}
