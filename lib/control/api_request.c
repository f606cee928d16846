/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_request.c - bodies of requests: JSON to struct for the daemon, struct to JSON for clients
 *
 * The struct is filled only when everything was right. What only the daemon can know (does the
 * device exist, is the export free) is not asked here.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "control/api.h"

#define SHOWN_MAX 80 /* bytes of a client's own text that go into a message */

static int need_body(const struct exp_json *v, struct exp_error *err)
{
	if (v)
		return 0;
	return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
			     "no body; a JSON object is expected here");
}

static void take_name(struct exp_json_reader *rd, const char *name, bool required,
		      struct exp_name *ret)
{
	const char *s = required ? exp_json_req_str(rd, name, EXP_NAME_MAX)
				 : exp_json_opt_str(rd, name, EXP_NAME_MAX);
	struct exp_error why = { 0 };

	if (s && exp_api_parse_name("name", s, ret, &why) < 0)
		exp_json_refuse(rd, name, "%s", why.msg);
}

static bool take_u32(struct exp_json_reader *rd, const char *name, uint32_t min, uint32_t max,
		     uint32_t *ret)
{
	uint64_t v;

	if (!exp_json_opt_u64(rd, name, min, max, &v))
		return false;
	*ret = (uint32_t)v;
	return true;
}

int exp_api_parse_empty(const struct exp_json *v, struct exp_error *err)
{
	struct exp_json_reader rd;

	if (!v)
		return 0;
	exp_json_open(&rd, v, err);
	return exp_json_close(&rd);
}

/*
 * POST /v1/exports
 */

#define CNTLID_MAX 0xffef /* NVMe Base 2.3: FFF0h to FFFFh are reserved */

static void check_size(struct exp_json_reader *rd, const struct exp_api_export_create *req)
{
	if (rd->r)
		return;
	if (req->lba_bytes != 512 && req->lba_bytes != 4096)
		exp_json_refuse(rd, "lba_bytes", "%" PRIu32 "; 512 and 4096 are supported",
				req->lba_bytes);
	else if (req->size_bytes % req->lba_bytes)
		exp_json_refuse(rd, "size_bytes",
				"%" PRIu64 " is not a multiple of lba_bytes, %" PRIu32,
				req->size_bytes, req->lba_bytes);
}

int exp_api_parse_export_create(const struct exp_json *v, struct exp_api_export_create *ret,
				struct exp_error *err)
{
	struct exp_api_export_create req = { 0 };
	struct exp_json_reader rd;
	struct exp_error why = { 0 };
	uint64_t lba = 0, cntlid = 0;
	const char *nqn;
	int r;

	r = need_body(v, err);
	if (r < 0)
		return r;
	exp_json_open(&rd, v, err);
	take_name(&rd, "device", true, &req.device);
	exp_json_req_u64(&rd, "size_bytes", 1, INT64_MAX, &req.size_bytes);
	exp_json_req_u64(&rd, "lba_bytes", 1, UINT32_MAX, &lba);
	exp_json_req_u64(&rd, "controller", 0, CNTLID_MAX, &cntlid);
	nqn = exp_json_opt_str(&rd, "nqn", EXP_NQN_MAX);
	if (nqn && exp_nqn_parse(nqn, &req.nqn, &why) < 0)
		exp_json_refuse(&rd, "nqn", "%s", why.msg);
	req.has_nqn = nqn;
	req.lba_bytes = (uint32_t)lba;
	req.controller = (uint16_t)cntlid;
	check_size(&rd, &req);
	r = exp_json_close(&rd);
	if (!r)
		*ret = req;
	return r;
}

struct exp_json *exp_api_export_create(const struct exp_api_export_create *req)
{
	struct exp_json *o = exp_json_object();

	exp_json_put_str(o, "device", req->device.s);
	exp_json_put_u64(o, "size_bytes", req->size_bytes);
	exp_json_put_u64(o, "lba_bytes", req->lba_bytes);
	exp_json_put_u64(o, "controller", req->controller);
	if (req->has_nqn)
		exp_json_put_str(o, "nqn", req->nqn.s);
	return o;
}

/*
 * POST /v1/migrations, /v1/preflight
 */

static const struct {
	enum exp_hold bit;
	const char *name;
} holds[] = {
	{ EXP_HOLD_SWITCH, "switch" },
	{ EXP_HOLD_COMMIT, "commit" },
};

const char *exp_api_hold_name(enum exp_hold bit)
{
	for (size_t i = 0; i < EXP_ARRAY_SIZE(holds); i++)
		if (holds[i].bit == bit)
			return holds[i].name;
	return NULL;
}

uint8_t exp_api_hold_by_name(const char *name)
{
	for (size_t i = 0; i < EXP_ARRAY_SIZE(holds); i++)
		if (!strcmp(holds[i].name, name))
			return (uint8_t)holds[i].bit;
	return 0;
}

struct exp_json *exp_api_holds(uint8_t hold)
{
	struct exp_json *arr = exp_json_array();

	for (size_t i = 0; i < EXP_ARRAY_SIZE(holds); i++)
		if (hold & holds[i].bit)
			exp_json_add(arr, exp_json_new_str(holds[i].name));
	return arr;
}

static bool same_ref(const struct exp_api_ref *a, const struct exp_api_ref *b)
{
	if (a->by_nqn != b->by_nqn)
		return false;
	return a->by_nqn ? !strcmp(a->nqn.s, b->nqn.s) : exp_uuid_eq(&a->id, &b->id);
}

static void take_exports(struct exp_json_reader *rd, struct exp_api_migration *req)
{
	const struct exp_json *arr = exp_json_req_array(rd, "exports", EXP_JOB_EXPORTS_MAX);
	struct exp_error why = { 0 };

	if (arr && !exp_json_len(arr))
		exp_json_refuse(rd, "exports", "empty; at least one export has to be named");
	for (size_t i = 0; i < exp_json_len(arr); i++) {
		const char *s = exp_json_item_str(rd, "exports", arr, i, EXP_NQN_MAX);
		struct exp_api_ref *ref = &req->exports[req->n_exports];
		char at[32];

		if (!s)
			return;
		snprintf(at, sizeof(at), "exports[%zu]", i);
		if (exp_api_parse_ref(s, ref, &why) < 0) {
			exp_json_refuse(rd, at, "%s", why.msg);
			return;
		}
		for (uint32_t k = 0; k < req->n_exports; k++)
			if (same_ref(ref, &req->exports[k]))
				exp_json_refuse(rd, at, "the same as exports[%" PRIu32 "]", k);
		req->n_exports++;
	}
}

static void take_hold(struct exp_json_reader *rd, struct exp_api_migration *req)
{
	const struct exp_json *arr = exp_json_opt_array(rd, "hold", EXP_ARRAY_SIZE(holds));

	for (size_t i = 0; i < exp_json_len(arr); i++) {
		const char *s = exp_json_item_str(rd, "hold", arr, i, SHOWN_MAX);
		uint8_t bit = s ? exp_api_hold_by_name(s) : 0;
		char at[32], shown[SHOWN_MAX];

		if (!s)
			return;
		snprintf(at, sizeof(at), "hold[%zu]", i);
		exp_log_escape(shown, sizeof(shown), s);
		if (!bit)
			exp_json_refuse(rd, at, "\"%s\"; known are \"switch\" and \"commit\"",
					shown);
		else if (req->hold & bit)
			exp_json_refuse(rd, at, "\"%s\" a second time", shown);
		req->hold |= bit;
	}
}

static void take_dirty(struct exp_json_reader *rd, struct exp_api_migration *req)
{
	const char *s = exp_json_opt_str(rd, "dirty", SHOWN_MAX);
	char shown[SHOWN_MAX];

	if (!s)
		return;
	if (!strcmp(s, exp_dirty_name(EXP_DIRTY_CDQ))) {
		req->dirty = EXP_DIRTY_CDQ;
	} else if (!strcmp(s, exp_dirty_name(EXP_DIRTY_NONE))) {
		req->dirty = EXP_DIRTY_NONE;
	} else {
		exp_log_escape(shown, sizeof(shown), s);
		exp_json_refuse(rd, "dirty", "\"%s\"; known are \"cdq\" and \"none\"", shown);
	}
}

int exp_api_parse_migration(const struct exp_json *v, struct exp_api_migration *ret,
			    struct exp_error *err)
{
	struct exp_api_migration req = {
		.to_controller = UINT32_MAX,
		.dirty = EXP_DIRTY_CDQ,
	};
	struct exp_json_reader rd;
	int r;

	r = need_body(v, err);
	if (r < 0)
		return r;
	exp_json_open(&rd, v, err);
	take_exports(&rd, &req);
	take_name(&rd, "to", true, &req.to);
	take_name(&rd, "to_device", false, &req.to_device);
	take_u32(&rd, "to_controller", 0, CNTLID_MAX, &req.to_controller);
	take_hold(&rd, &req);
	take_u32(&rd, "hold_lease_ms", 1, EXP_API_HOLD_LEASE_MAX_MS, &req.hold_lease_ms);
	take_dirty(&rd, &req);
	take_u32(&rd, "blackout_limit_ms", 1, EXP_API_BLACKOUT_MAX_MS, &req.blackout_limit_ms);
	if (req.to_controller != UINT32_MAX && req.n_exports > 1)
		exp_json_refuse(&rd, "to_controller",
				"one controller for %" PRIu32 " exports; leave it out to let the "
				"destination choose",
				req.n_exports);
	r = exp_json_close(&rd);
	if (!r)
		*ret = req;
	return r;
}

struct exp_json *exp_api_migration(const struct exp_api_migration *req)
{
	struct exp_json *o = exp_json_object(), *arr = exp_json_array();
	char text[EXP_UUID_TEXT];

	for (uint32_t i = 0; i < req->n_exports; i++) {
		const struct exp_api_ref *ref = &req->exports[i];

		exp_json_add(arr, exp_json_new_str(ref->by_nqn ? ref->nqn.s
							       : exp_uuid_format(&ref->id, text)));
	}
	exp_json_put(o, "exports", arr);
	exp_json_put_str(o, "to", req->to.s);
	if (req->to_device.s[0])
		exp_json_put_str(o, "to_device", req->to_device.s);
	if (req->to_controller != UINT32_MAX)
		exp_json_put_u64(o, "to_controller", req->to_controller);
	exp_json_put(o, "hold", exp_api_holds(req->hold));
	if (req->hold && req->hold_lease_ms)
		exp_json_put_u64(o, "hold_lease_ms", req->hold_lease_ms);
	exp_json_put_str(o, "dirty", exp_dirty_name(req->dirty));
	if (req->blackout_limit_ms)
		exp_json_put_u64(o, "blackout_limit_ms", req->blackout_limit_ms);
	return o;
}

/*
 * POST /v1/migrations/{id}/target-ready
 */

static bool overlap(const struct exp_memory_range *a, const struct exp_memory_range *b)
{
	/* neither wraps: the last byte of each is a number */
	return a->iova <= b->iova + (b->bytes - 1) && b->iova <= a->iova + (a->bytes - 1);
}

static void take_range(struct exp_json_reader *up, const struct exp_json *arr, size_t i,
		       struct exp_api_target_ready *req)
{
	struct exp_memory_range *m = &req->memory[i];
	struct exp_json_reader rd;
	char at[32];

	exp_json_open_item(&rd, up, "memory", arr, i);
	exp_json_req_u64(&rd, "iova", 0, UINT64_MAX, &m->iova);
	exp_json_req_u64(&rd, "bytes", 1, UINT64_MAX, &m->bytes);
	if (exp_json_close(&rd) < 0)
		return;
	snprintf(at, sizeof(at), "memory[%zu]", i);
	if (m->bytes - 1 > UINT64_MAX - m->iova) {
		exp_json_refuse(up, at, "%" PRIu64 " bytes at %" PRIu64 " pass the end of 64 bits",
				m->bytes, m->iova);
		return;
	}
	for (size_t k = 0; k < i; k++)
		if (overlap(m, &req->memory[k]))
			exp_json_refuse(up, at, "overlaps memory[%zu]", k);
}

int exp_api_parse_target_ready(const struct exp_json *v, struct exp_api_target_ready *ret,
			       struct exp_error *err)
{
	struct exp_api_target_ready req = { 0 };
	const struct exp_json *arr;
	struct exp_json_reader rd;
	int r;

	r = need_body(v, err);
	if (r < 0)
		return r;
	exp_json_open(&rd, v, err);
	arr = exp_json_req_array(&rd, "memory", EXP_MEMORY_RANGES_MAX);
	if (arr && !exp_json_len(arr))
		exp_json_refuse(&rd, "memory", "empty; the guest's memory has to be told");
	for (size_t i = 0; i < exp_json_len(arr) && !rd.r; i++)
		take_range(&rd, arr, i, &req);
	req.n_memory = (uint32_t)exp_json_len(arr);
	r = exp_json_close(&rd);
	if (!r)
		*ret = req;
	return r;
}

struct exp_json *exp_api_target_ready(const struct exp_api_target_ready *req)
{
	struct exp_json *o = exp_json_object(), *arr = exp_json_array();

	for (uint32_t i = 0; i < req->n_memory; i++) {
		struct exp_json *m = exp_json_object();

		exp_json_put_u64(m, "iova", req->memory[i].iova);
		exp_json_put_u64(m, "bytes", req->memory[i].bytes);
		exp_json_add(arr, m);
	}
	exp_json_put(o, "memory", arr);
	return o;
}
