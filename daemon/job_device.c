/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job_device.c - the actions of a migration on its drive, run in order on the drive's worker
 *
 * Each is a barrier over all exports of the job and can be repeated: "already so" is success. They
 * work on a copy of the record, touch only what it names, and end when nothing of them is
 * outstanding on the drive any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "copy_src.h"
#include "device/ctrl.h"
#include "device/ns.h"
#include "device/subsys.h"
#include "device_service.h"
#include "expd.h"
#include "exports.h"
#include "job.h"
#include "jobs.h"
#include "nvme/ctrl_state.h"

#define LATE_WAIT_MS 1000 /* one look at what is late; repeated until it has completed */

struct work {
	struct exp_uuid id;
	enum exp_role role;
	uint32_t step;
	enum exp_act act;
	bool apply_state;
	struct exp_job *rec;
	/* results */
	struct exp_place places[EXP_JOB_EXPORTS_MAX];
	struct exp_msg_blob state[EXP_JOB_EXPORTS_MAX];
	bool suspended;
	enum exp_target_state target;
};

static bool cold(const struct exp_job *rec)
{
	return rec->path == EXP_PATH_COLD;
}

/* A Suspend that missed its deadline may still happen: not over until the drive says which. */
static int suspend_one(struct exp_device *d, uint16_t cntlid, struct exp_error *err)
{
	int r = exp_ctrl_suspend(d, cntlid, 0, err);
	int how = -ETIMEDOUT, late;

	if (r != -ETIMEDOUT)
		return r;
	do
		late = exp_device_late(d, cntlid, LATE_WAIT_MS, &how, err);
	while (late > 0);
	return late < 0 ? late : how;
}

static int do_suspend(struct exp_device *d, struct work *w, struct exp_error *err)
{
	for (uint32_t i = 0; i < w->rec->n_exports; i++) {
		uint16_t cntlid = w->rec->exports[i].here.cntlid;
		int r = suspend_one(d, cntlid, err);

		if (r < 0)
			return exp_error_wrap(err, r, "suspend controller %u", cntlid);
	}
	w->suspended = true;
	w->target = EXP_TARGET_SUSPENDED;
	return 0;
}

/* How the state of this job travels. Indices are a drive's own; UUIDs and versions are not. */
static int state_format(const struct exp_job *rec, uint32_t i, struct exp_state_format *ret,
			struct exp_error *err)
{
	memset(ret, 0, sizeof(*ret));
	switch (rec->path) {
	case EXP_PATH_REFERENCE:
		ret->kind = EXP_NVME_STATE_REFERENCE;
		ret->uuid = rec->exports[i].desc.template;
		return 0;
	case EXP_PATH_VMM: ret->kind = EXP_NVME_STATE_QUEUES; return 0;
	case EXP_PATH_NONE:
	case EXP_PATH_VENDOR:
	case EXP_PATH_COLD:
	case EXP_PATH_VFIO: break;
	}
	return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, EOPNOTSUPP,
			     "state path %s has no state to move here", exp_path_name(rec->path));
}

static int do_get_state(struct exp_device *d, struct work *w, struct exp_error *err)
{
	if (cold(w->rec)) {
		w->suspended = true;
		return 0;
	}
	for (uint32_t i = 0; i < w->rec->n_exports; i++) {
		struct exp_state_format format;
		size_t len;
		int r;

		r = state_format(w->rec, i, &format, err);
		if (r == 0)
			r = exp_ctrl_get_state(d, w->rec->exports[i].here.cntlid, &format,
					       EXP_STATE_BLOB_MAX, &w->state[i].data, &len, err);
		if (r < 0)
			return exp_error_wrap(err, r, "state of controller %u",
					      w->rec->exports[i].here.cntlid);
		w->state[i].len = (uint32_t)len;
	}
	w->suspended = true; /* exp_ctrl_get_state() takes nothing else */
	return 0;
}

/* The fence: once the drive's own list says detached, no reset can make it acknowledge a write. */
static int do_fence(struct exp_device *d, struct work *w, struct exp_error *err)
{
	for (uint32_t i = 0; i < w->rec->n_exports; i++) {
		const struct exp_place *p = &w->rec->exports[i].here;
		int r = exp_ns_detach(d, p->nsid, p->cntlid, err);

		if (r < 0)
			return exp_error_wrap(err, r, "fence controller %u", p->cntlid);
	}
	return 0;
}

/* Only our Suspend sets CSUP and only Resume or a reset clears it: 1 now, it has lasted. */
static int do_check_suspended(struct exp_device *d, struct work *w, struct exp_error *err)
{
	w->suspended = true;
	if (cold(w->rec))
		return 0;
	for (uint32_t i = 0; i < w->rec->n_exports; i++) {
		bool yes;
		int r = exp_ctrl_is_suspended(d, w->rec->exports[i].here.cntlid, &yes, err);

		if (r < 0)
			return r;
		w->suspended = w->suspended && yes;
	}
	return 0;
}

static int do_attach(struct exp_device *d, struct work *w, struct exp_error *err)
{
	for (uint32_t i = 0; i < w->rec->n_exports; i++) {
		const struct exp_place *p = &w->rec->exports[i].here;
		int r = exp_ns_attach(d, p->nsid, p->cntlid, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int do_resume(struct exp_device *d, struct work *w, struct exp_error *err)
{
	for (uint32_t i = 0; i < w->rec->n_exports; i++) {
		uint16_t cntlid = w->rec->exports[i].here.cntlid;
		bool was;
		int r;

		if (cold(w->rec))
			continue;
		r = exp_ctrl_resume(d, cntlid, &was, 0, err);
		if (r == -EBUSY) { /* a Suspend is late: it must not overtake us */
			while ((r = exp_device_late(d, cntlid, LATE_WAIT_MS, NULL, err)) > 0)
				;
			if (r == 0)
				r = exp_ctrl_resume(d, cntlid, &was, 0, err);
		}
		if (r < 0)
			return exp_error_wrap(err, r, "resume controller %u", cntlid);
	}
	return 0;
}

static int do_verify_runs(struct exp_device *d, struct work *w, struct exp_error *err)
{
	for (uint32_t i = 0; i < w->rec->n_exports; i++) {
		const struct exp_place *p = &w->rec->exports[i].here;
		bool yes;
		int r = exp_ns_is_attached(d, p->nsid, p->cntlid, &yes, err);

		if (r == 0 && !yes)
			r = exp_error_set(err, EXP_CODE_CONFLICT, ESTALE,
					  "namespace %u is not attached to controller %u", p->nsid,
					  p->cntlid);
		if (r < 0 || cold(w->rec)) {
			if (r < 0)
				return r;
			continue;
		}
		r = exp_ctrl_is_suspended(d, p->cntlid, &yes, err);
		if (r == 0 && yes)
			r = exp_error_set(err, EXP_CODE_CONFLICT, ESTALE,
					  "controller %u is suspended", p->cntlid);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The namespace stays: superseded, attached to nobody's guest, until it is purged. */
static int do_take_down(struct exp_device *d, struct work *w, struct exp_error *err)
{
	for (uint32_t i = 0; i < w->rec->n_exports; i++) {
		const struct exp_job_export *e = &w->rec->exports[i];
		int r = exp_subsys_teardown(d, &e->desc, &e->here, false, err);

		if (r < 0)
			return exp_error_wrap(err, r, "take down %s", e->desc.nqn.s);
	}
	return 0;
}

static int attach_data(struct exp_device *d, uint32_t nsid, struct exp_error *err)
{
	uint16_t data;

	if (!exp_device_data_cntlid(d, &data))
		return 0;
	return exp_ns_attach(d, nsid, data, err);
}

static int delete_one(struct exp_device *d, const struct exp_job_export *e, struct exp_error *err)
{
	struct exp_place p = e->here;
	int r;

	/* a build that was cut short left a handle that the record does not know */
	r = exp_subsys_find(d, &e->desc.nqn, &p.esubid, err);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0) {
		r = exp_subsys_teardown(d, &e->desc, &p, false, err);
		if (r < 0)
			return r;
	}
	return e->here.nsid ? exp_ns_delete(d, e->here.nsid, err) : 0;
}

static int do_delete(struct exp_device *d, struct work *w, struct exp_error *err)
{
	for (uint32_t i = 0; i < w->rec->n_exports; i++) {
		const struct exp_job_export *e = &w->rec->exports[i];
		int r = delete_one(d, e, err);

		if (r < 0)
			return exp_error_wrap(err, r, "delete what was built for %s",
					      e->desc.nqn.s);
	}
	return 0;
}

/* Held: whatever else may reset it, the guest's controller has no namespace. */
static int hold(struct exp_device *d, const struct exp_place *p, struct exp_error *err)
{
	return exp_ns_detach(d, p->nsid, p->cntlid, err);
}

static int build_one(struct exp_device *d, const struct exp_export_desc *desc, struct exp_place *p,
		     struct exp_error *err)
{
	int r;

	r = exp_ns_create(d, desc->nsze, desc->lba_bytes, &p->nsid, err);
	if (r < 0)
		return r;
	r = attach_data(d, p->nsid, err);
	if (r == 0)
		r = exp_subsys_build(d, desc, p, true, err);
	if (r == 0)
		r = hold(d, p, err);
	if (r < 0) {
		struct exp_error ignored = { 0 };

		/* not in any record yet, so nobody else would ever find it */
		if (exp_ns_delete(d, p->nsid, &ignored) < 0)
			exp_log(LOG_WARNING, "a namespace of a failed build stays behind",
				kv_u("nsid", p->nsid), kv_s("error", ignored.msg));
		p->nsid = 0;
	}
	return r;
}

static int do_build(struct exp_device *d, struct work *w, struct exp_error *err)
{
	for (uint32_t i = 0; i < w->rec->n_exports; i++) {
		const struct exp_job_export *e = &w->rec->exports[i];
		int r;

		w->places[i] = e->here;
		r = delete_one(d, e, err);
		if (r == 0)
			r = build_one(d, &e->desc, &w->places[i], err);
		if (r < 0) { /* all or nothing: places that are reported are recorded */
			while (i-- > 0) {
				struct exp_job_export done = w->rec->exports[i];
				struct exp_error ignored = { 0 };

				done.here = w->places[i];
				if (delete_one(d, &done, &ignored) < 0)
					exp_log(LOG_WARNING, "a failed build stays behind",
						kv_u("nsid", done.here.nsid),
						kv_s("error", ignored.msg));
			}
			return exp_error_wrap(err, r, "build %s", e->desc.nqn.s);
		}
	}
	w->target = EXP_TARGET_ABSENT;
	return 0;
}

static int set_state_one(struct exp_device *d, const struct exp_job *rec, uint32_t i, bool repeated,
			 struct exp_error *err);

static int rebuild_one(struct exp_device *d, struct work *w, uint32_t i, struct exp_error *err)
{
	const struct exp_job_export *e = &w->rec->exports[i];
	struct exp_place *p = &w->places[i];
	struct exp_ns_info info;
	bool suspended;
	int r;

	*p = e->here;
	r = exp_ns_identify(d, p->nsid, &info, err);
	if (r < 0)
		return r;
	if (info.nsze != e->desc.nsze || info.lba_bytes != e->desc.lba_bytes)
		return exp_error_set(err, EXP_CODE_CONFLICT, ESTALE,
				     "namespace %u has %llu blocks of %u bytes, this job made %llu "
				     "of %u: it is another one",
				     p->nsid, (unsigned long long)info.nsze, info.lba_bytes,
				     (unsigned long long)e->desc.nsze, e->desc.lba_bytes);
	r = hold(d, p, err);
	if (r == 0)
		r = attach_data(d, p->nsid, err);
	if (r == 0)
		r = exp_subsys_build(d, &e->desc, p, true, err);
	if (r == 0)
		r = exp_ctrl_is_suspended(d, p->cntlid, &suspended, err);
	if (r < 0)
		return r;
	if (w->rec->state == EXP_DST_RESTORED && !cold(w->rec)) {
		if (!suspended)
			r = suspend_one(d, p->cntlid, err);
		if (r == 0 && w->apply_state)
			r = set_state_one(d, w->rec, i, true, err);
		suspended = r == 0;
	}
	if (!suspended)
		w->target = EXP_TARGET_ABSENT;
	return r;
}

static int do_rebuild(struct exp_device *d, struct work *w, struct exp_error *err)
{
	w->target = EXP_TARGET_SUSPENDED;
	for (uint32_t i = 0; i < w->rec->n_exports; i++) {
		int r = rebuild_one(d, w, i, err);

		if (r < 0)
			return exp_error_wrap(err, r, "rebuild %s", w->rec->exports[i].desc.nqn.s);
	}
	return 0;
}

static int do_check_ready(struct exp_device *d, struct work *w, struct exp_error *err)
{
	int r = exp_device_check(d, err);

	for (uint32_t i = 0; r == 0 && !cold(w->rec) && i < w->rec->n_exports; i++) {
		uint16_t cntlid = w->rec->exports[i].here.cntlid;
		bool yes;

		r = exp_ctrl_is_suspended(d, cntlid, &yes, err);
		if (r == 0 && !yes)
			r = exp_error_set(err, EXP_CODE_NOT_SUSPENDED, ESTALE,
					  "target controller %u is no longer suspended", cntlid);
	}
	return r;
}

/* Queue addresses were chosen by a guest and delivered by a peer: they count only inside the map.
 */
static int check_state(const struct exp_job *rec, uint32_t i, enum exp_nvme_state_kind kind,
		       struct exp_error *err)
{
	const struct exp_job_export *e = &rec->exports[i];
	struct exp_nvme_memory map[EXP_MEMORY_RANGES_MAX];
	struct exp_nvme_ctrl_state s = { 0 };
	int r;

	for (uint32_t n = 0; n < rec->n_memory; n++)
		map[n] = (struct exp_nvme_memory){ rec->memory[n].iova, rec->memory[n].bytes };
	r = exp_nvme_state_parse(e->state, e->state_len, kind, &s, err);
	if (r < 0)
		return r;
	r = exp_nvme_state_check_whole(&s, err);
	if (r == 0)
		r = exp_nvme_state_check_memory(&s, map, rec->n_memory, err);
	exp_nvme_state_done(&s);
	return r;
}

/*
 * A controller takes a state once: then it has the queues of it, until it is disabled. One whose
 * suspension a reset has ended has them still, and @repeated finds that it was done already.
 */
static int set_state_one(struct exp_device *d, const struct exp_job *rec, uint32_t i, bool repeated,
			 struct exp_error *err)
{
	const struct exp_job_export *e = &rec->exports[i];
	struct exp_state_format format;
	struct exp_state_load load;
	bool there = false;
	int r;

	r = state_format(rec, i, &format, err);
	if (r == 0)
		r = check_state(rec, i, format.kind, err);
	if (r == 0 && repeated)
		r = exp_ctrl_has_queues_of(d, e->here.cntlid, &format, e->state, e->state_len,
					   &there, err);
	if (r < 0 || there)
		return r;
	r = exp_ctrl_load_state(d, e->here.cntlid, &format, e->state, e->state_len, &load, err);
	if (r == 0)
		r = exp_ctrl_commit_state(d, &load, 0, err);
	return r;
}

static int do_set_state(struct exp_device *d, struct work *w, struct exp_error *err)
{
	for (uint32_t i = 0; i < w->rec->n_exports; i++) {
		int r = set_state_one(d, w->rec, i, false, err);

		if (r < 0)
			return exp_error_wrap(err, r, "set state of controller %u",
					      w->rec->exports[i].here.cntlid);
	}
	return 0;
}

static int run_work(struct exp_device *d, void *arg, struct exp_error *err)
{
	struct work *w = arg;

	switch (w->act) {
	case EXP_ACT_SUSPEND:
	case EXP_ACT_SUSPEND_TARGET: return do_suspend(d, w, err);
	case EXP_ACT_GET_STATE: return do_get_state(d, w, err);
	case EXP_ACT_FENCE: return do_fence(d, w, err);
	case EXP_ACT_CHECK_SUSPENDED: return do_check_suspended(d, w, err);
	case EXP_ACT_ATTACH: return do_attach(d, w, err);
	case EXP_ACT_RESUME: return do_resume(d, w, err);
	case EXP_ACT_VERIFY_RUNS: return do_verify_runs(d, w, err);
	case EXP_ACT_TAKE_DOWN: return do_take_down(d, w, err);
	case EXP_ACT_BUILD: return do_build(d, w, err);
	case EXP_ACT_REBUILD: return do_rebuild(d, w, err);
	case EXP_ACT_CHECK_READY: return do_check_ready(d, w, err);
	case EXP_ACT_SET_STATE: return do_set_state(d, w, err);
	case EXP_ACT_DELETE: return do_delete(d, w, err);
	case EXP_ACT_NONE:
	case EXP_ACT_PREFLIGHT:
	case EXP_ACT_DRAIN:
	case EXP_ACT_COPY_START:
	case EXP_ACT_LAST_DATA:
	case EXP_ACT_CHECK_FINAL:
	case EXP_ACT_COPY_STOP:
	case EXP_ACT_SEND:
	case EXP_ACT_N: break;
	}
	abort(); /* not a device action: our own bug */
}

static void work_free(struct work *w)
{
	for (uint32_t i = 0; i < EXP_JOB_EXPORTS_MAX; i++)
		free(w->state[i].data);
	exp_job_free(w->rec);
	free(w);
}

static void work_done(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct work *w = arg;
	struct expd_job *j = expd_job_find(x, &w->id, w->role);
	const struct exp_act_result result = { .places = w->places,
					       .state = w->state,
					       .suspended = w->suspended,
					       .target = w->target };

	if (j) {
		/* the copy engine sees the change logs, the drive only the suspension */
		if (r == 0 && w->act == EXP_ACT_CHECK_SUSPENDED && j->copy_src) {
			struct exp_act_result both = result;

			both.suspended = result.suspended && expd_copy_src_quiet(j->copy_src);
			expd_job_done(j, w->step, r, &both, err);
		} else {
			expd_job_done(j, w->step, r, &result, err);
		}
	}
	work_free(w);
}

void expd_job_on_device(struct expd_job *j, const struct exp_action *a)
{
	const struct exp_job *rec = expd_job_record(j);
	struct work *w = calloc(1, sizeof(*w));
	struct exp_error err = { 0 };

	if (w)
		w->rec = exp_job_copy(rec);
	if (!w || !w->rec) {
		free(w);
		exp_error_set(&err, EXP_CODE_NO_MEMORY, ENOMEM, "%s: out of memory",
			      exp_act_name(a->act));
		expd_job_done(j, a->step, -ENOMEM, NULL, &err);
		return;
	}
	w->id = j->id;
	w->role = j->role;
	w->step = a->step;
	w->act = a->act;
	w->apply_state = a->apply_state;
	for (uint32_t i = 0; i < rec->n_exports; i++)
		w->places[i] = rec->exports[i].here;
	expd_device_run(j->x, &rec->exports[0].here.device, run_work, work_done, w);
}

/*
 * Superseded copies of exports that have come back. The inventory already points at the new
 * namespace; the old one is deleted once the job is done, never before.
 */
struct retire {
	struct exp_place place;
};

static int run_retire(struct exp_device *d, void *arg, struct exp_error *err)
{
	struct retire *t = arg;

	return exp_ns_delete(d, t->place.nsid, err);
}

static void retire_done(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct retire *t = arg;

	(void)x;
	if (r < 0)
		exp_log(LOG_WARNING, "a superseded copy stays behind",
			kv_s("device", t->place.device.s), kv_u("nsid", t->place.nsid),
			kv_s("error", err->msg));
	else
		exp_log(LOG_NOTICE, "superseded copy deleted", kv_s("device", t->place.device.s),
			kv_u("nsid", t->place.nsid));
	free(t);
}

/* The same drive still, and no export that this host knows lies there. */
static bool surely_ours(struct expd *x, const struct exp_place *old)
{
	const struct exp_caps *caps = expd_device_caps(x, &old->device);

	if (!caps || strcmp(caps->serial, old->serial))
		return false;
	for (size_t i = 0; i < expd_exports_count(x->exports); i++) {
		const struct exp_place *p = &expd_exports_at(x->exports, i)->place;

		if (p->nsid == old->nsid && !strcmp(p->device.s, old->device.s))
			return false;
	}
	return !expd_jobs_uses_ns(x->jobs, &old->device, old->nsid);
}

void expd_job_retire(struct expd_job *j)
{
	const struct exp_job *rec = expd_job_record(j);

	for (uint32_t i = 0; i < rec->n_exports; i++) {
		const struct exp_place *old = &j->old_place[i], *now = &rec->exports[i].here;
		struct retire *t;

		if (!old->nsid || (!strcmp(old->device.s, now->device.s) && old->nsid == now->nsid))
			continue;
		if (!surely_ours(j->x, old)) {
			exp_log(LOG_WARNING,
				"a superseded copy is not touched: the drive was "
				"replaced, or its namespace belongs to another export",
				kv_s("device", old->device.s), kv_u("nsid", old->nsid));
			continue;
		}
		t = calloc(1, sizeof(*t));
		if (!t)
			continue;
		t->place = *old;
		expd_device_run(j->x, &old->device, run_retire, retire_done, t);
	}
}
