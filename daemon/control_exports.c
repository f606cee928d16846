/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_exports.c - exports asked for by an operator: create, list, show, delete
 *
 * Creating stores the intent (a row without an owner) before anything is made on the drive, and the
 * ownership after: whatever dies in between, the same request goes on from there. Deleting takes
 * down first and forgets after; both can be repeated.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "control_handlers.h"
#include "device/ns.h"
#include "device/subsys.h"
#include "device_service.h"
#include "events.h"
#include "expd.h"
#include "exports.h"
#include "inventory/exports.h"
#include "jobs.h"
#include "store.h"

struct op {
	struct expd_request *rq;
	struct exp_api_export_create req;
	struct exp_export e;
	bool delete_row; /* store step: forget it */
	bool failed;
	struct exp_error why;
};

static void op_end(struct expd *x, struct op *op, const struct exp_error *err)
{
	char id[EXP_UUID_TEXT], location[64];

	expd_exports_hold(x->exports, &op->e.id, NULL);
	if (err) {
		expd_reply_error(op->rq, err);
	} else {
		op->e.job = (struct exp_uuid){ 0 };
		snprintf(location, sizeof(location), "/v1/exports/%s",
			 exp_uuid_format(&op->e.id, id));
		expd_reply_created(op->rq, op->delete_row ? 200 : 201,
				   op->delete_row ? NULL : location, exp_api_export(&op->e));
	}
	free(op);
}

static int run_put(struct exp_db *db, void *arg, struct exp_error *err)
{
	struct op *op = arg;
	const struct exp_export_change c = { .id = op->e.id,
					     .owner = op->e.owner,
					     .status = op->e.status,
					     .desc = &op->e.desc,
					     .place = op->e.place.nsid ? &op->e.place : NULL };

	if (op->delete_row)
		return exp_exports_delete(db, &op->e.id, err);
	return exp_exports_put(db, &c, 1, op->e.created_ms, err);
}

/* Everything on the drive for one export; whatever fails, nothing of it stays. */
static int run_build(struct exp_device *d, void *arg, struct exp_error *err)
{
	struct op *op = arg;
	struct exp_place *p = &op->e.place;
	struct exp_error ignored = { 0 };
	uint16_t data;
	int r;

	r = exp_ns_create(d, op->e.desc.nsze, op->e.desc.lba_bytes, &p->nsid, err);
	if (r < 0)
		return r;
	if (exp_device_data_cntlid(d, &data))
		r = exp_ns_attach(d, p->nsid, data, err);
	if (r == 0)
		r = exp_subsys_build(d, &op->e.desc, p, true, err);
	if (r == 0)
		r = exp_ns_attach(d, p->nsid, p->cntlid, err);
	if (r < 0 && exp_subsys_teardown(d, &op->e.desc, p, true, &ignored) < 0)
		exp_log(LOG_WARNING, "a failed export stays behind on the drive",
			kv_u("nsid", p->nsid), kv_s("error", ignored.msg));
	return r;
}

static void owned(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct op *op = arg;

	if (r == 0)
		r = expd_exports_put(x->exports, &op->e);
	if (r < 0) {
		op_end(x, op, err);
		return;
	}
	exp_log(LOG_NOTICE, "export created", kv_s("subsys", op->e.desc.nqn.s),
		kv_s("device", op->e.place.device.s), kv_u("ctrl", op->e.place.cntlid));
	expd_event(x, "export-created", NULL, &op->e.id, "nqn", op->e.desc.nqn.s, "device",
		   op->e.place.device.s, NULL);
	op_end(x, op, NULL);
}

static void intent_undone(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct op *op = arg;

	if (r < 0)
		exp_log(LOG_WARNING, "the intent of a failed export stays in the inventory",
			kv_s("subsys", op->e.desc.nqn.s), kv_s("error", err->msg));
	else
		expd_exports_forget(x->exports, &op->e.id);
	op_end(x, op, &op->why);
}

static void built(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct op *op = arg;

	if (r < 0) {
		op->why = *err;
		op->delete_row = true;
		expd_store_run(x->store, false, run_put, intent_undone, op);
		return;
	}
	op->e.owner = (struct exp_ownership){ .own = 1, .floor = 1, .maxown = 1 };
	op->e.status = EXP_EXPORT_OWNED;
	expd_store_run(x->store, false, run_put, owned, op);
}

static void intent_stored(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct op *op = arg;
	const struct exp_uuid *self = &op->e.id;

	if (r == 0)
		r = expd_exports_put(x->exports, &op->e);
	if (r < 0) {
		op_end(x, op, err);
		return;
	}
	expd_exports_hold(x->exports, self, self);
	expd_device_run(x, &op->e.place.device, run_build, built, op);
}

static int run_design(struct exp_device *d, void *arg, struct exp_error *err)
{
	struct op *op = arg;

	return exp_subsys_design(d, &op->req.nqn, &op->e.id, op->req.size_bytes / op->req.lba_bytes,
				 op->req.lba_bytes, &op->e.desc, err);
}

static void designed(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct op *op = arg;
	const struct exp_caps *caps = expd_device_caps(x, &op->req.device);

	if (r < 0) {
		op_end(x, op, err);
		return;
	}
	op->e.place.device = op->req.device;
	op->e.place.cntlid = op->req.controller;
	if (caps)
		memcpy(op->e.place.serial, caps->serial, sizeof(op->e.place.serial));
	op->e.status = EXP_EXPORT_AWAY;
	op->e.created_ms = exp_wall_ms();
	expd_store_run(x->store, false, run_put, intent_stored, op);
}

/* A name that is taken, unless it is our own intent that came to nothing. */
static int check_name(struct expd *x, struct op *op, struct exp_error *err)
{
	const struct exp_api_ref ref = { .by_nqn = true, .nqn = op->req.nqn };
	const struct exp_export *e = expd_exports_by_ref(x->exports, &ref);

	if (!e)
		return 0;
	if (e->owner.floor || !exp_uuid_is_nil(&e->job))
		return exp_error_set(err, EXP_CODE_EXISTS, EEXIST,
				     "an export called %s exists here already (%s)", op->req.nqn.s,
				     exp_export_status_name(e->status));
	op->e.id = e->id;
	return 0;
}

void expd_handle_export_create(struct expd *x, struct expd_request *rq,
			       const struct exp_api_call *call)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;
	struct op *op = calloc(1, sizeof(*op));
	struct exp_error err = { 0 };
	char id[EXP_UUID_TEXT];
	int r;

	(void)call;
	if (!op)
		r = exp_error_set(&err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	else
		r = expd_request_json(rq, &v, &err);
	if (r == 0)
		r = exp_api_parse_export_create(v, &op->req, &err);
	if (r == 0) {
		op->rq = rq;
		op->e.id = exp_uuid_new();
		if (!op->req.has_nqn)
			snprintf(op->req.nqn.s, sizeof(op->req.nqn.s),
				 "nqn.2014-08.org.nvmexpress:uuid:%s",
				 exp_uuid_format(&op->e.id, id));
		r = check_name(x, op, &err);
	}
	if (r < 0) {
		expd_reply_error(rq, &err);
		free(op);
		return;
	}
	expd_device_run(x, &op->req.device, run_design, designed, op);
}

static const struct exp_export *find(struct expd *x, const char *id, struct exp_error *err)
{
	const struct exp_export *e;
	struct exp_api_ref ref;

	if (exp_api_parse_ref(id, &ref, err) < 0)
		return NULL;
	e = expd_exports_by_ref(x->exports, &ref);
	if (!e || !*e->desc.nqn.s) {
		exp_error_set(err, EXP_CODE_NOT_FOUND, ENOENT, "this host knows no export %s", id);
		return NULL;
	}
	return e;
}

void expd_handle_exports(struct expd *x, struct expd_request *rq, const struct exp_api_call *call)
{
	struct exp_json *arr = exp_json_array();

	(void)call;
	for (size_t i = 0; i < expd_exports_count(x->exports); i++) {
		const struct exp_export *e = expd_exports_at(x->exports, i);

		if (*e->desc.nqn.s) /* a tombstone has its ownership alone */
			exp_json_add(arr, exp_api_export(e));
	}
	expd_reply_json(rq, 200, exp_api_list("exports", arr));
}

void expd_handle_export(struct expd *x, struct expd_request *rq, const struct exp_api_call *call)
{
	struct exp_error err = { 0 };
	const struct exp_export *e = find(x, call->id, &err);

	if (e)
		expd_reply_json(rq, 200, exp_api_export(e));
	else
		expd_reply_error(rq, &err);
}

static int run_teardown(struct exp_device *d, void *arg, struct exp_error *err)
{
	struct op *op = arg;

	return exp_subsys_teardown(d, &op->e.desc, &op->e.place, true, err);
}

static void forgotten(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct op *op = arg;

	if (r < 0) {
		op_end(x, op, err);
		return;
	}
	expd_exports_forget(x->exports, &op->e.id);
	exp_log(LOG_NOTICE, "export deleted", kv_s("subsys", op->e.desc.nqn.s));
	expd_event(x, "export-deleted", NULL, &op->e.id, "nqn", op->e.desc.nqn.s, NULL);
	op->e.status = EXP_EXPORT_AWAY;
	op->e.owner.own = 0;
	op_end(x, op, NULL);
}

static void torn_down(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct op *op = arg;

	if (r < 0) {
		op_end(x, op, err);
		return;
	}
	op->delete_row = true;
	expd_store_run(x->store, false, run_put, forgotten, op);
}

static int may_delete(struct expd *x, const struct exp_export *e, struct exp_error *err)
{
	const struct exp_job *holder = expd_jobs_holder(x->jobs, &e->id);
	char id[EXP_UUID_TEXT];

	if (holder)
		return exp_error_set(err, EXP_CODE_BUSY, EBUSY,
				     "%s is held by migration %s: cancel it first", e->desc.nqn.s,
				     exp_uuid_format(&holder->id, id));
	if (!exp_uuid_is_nil(&e->job))
		return exp_error_set(err, EXP_CODE_BUSY, EBUSY,
				     "%s is being changed by another "
				     "request",
				     e->desc.nqn.s);
	if (!e->owner.own && e->owner.floor)
		return exp_error_set(err, EXP_CODE_NOT_OWNER, EPERM,
				     "%s is %s here%s%s: only its owner deletes it", e->desc.nqn.s,
				     exp_export_status_name(e->status),
				     *e->owner_peer.s ? ", owned by " : "", e->owner_peer.s);
	return 0;
}

void expd_handle_export_delete(struct expd *x, struct expd_request *rq,
			       const struct exp_api_call *call)
{
	struct exp_error err = { 0 };
	const struct exp_export *e = find(x, call->id, &err);
	struct op *op;

	if (!e || may_delete(x, e, &err) < 0) {
		expd_reply_error(rq, &err);
		return;
	}
	op = calloc(1, sizeof(*op));
	if (!op) {
		exp_error_set(&err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
		expd_reply_error(rq, &err);
		return;
	}
	op->rq = rq;
	op->e = *e;
	expd_exports_hold(x->exports, &e->id, &e->id);
	if (*op->e.place.device.s)
		expd_device_run(x, &op->e.place.device, run_teardown, torn_down, op);
	else
		torn_down(x, op, 0, NULL); /* an intent that came to nothing */
}
