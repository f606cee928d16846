/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "device/ctrl.h"
#include "device/ns.h"
#include "device/subsys.h"
#include "device_service.h"
#include "events.h"
#include "expd.h"
#include "exports.h"
#include "jobs.h"
#include "recover.h"

struct recovery {
	void (*done)(struct expd *x);
	size_t waiting;
};

struct check {
	struct recovery *all;
	struct exp_export e;
	bool resumed;
};

/*
 * An owner that no job holds runs: a daemon that died between a suspend and its rollback is seen
 * to here. What the drive has lost is only told; building it again is for a boot of the host.
 */
static int run_check(struct exp_device *d, void *arg, struct exp_error *err)
{
	struct check *c = arg;
	struct exp_place *p = &c->e.place;
	bool suspended;
	uint16_t data;
	int r;

	r = exp_subsys_compare(d, &c->e.desc, p, err);
	if (r < 0)
		return r;
	if (exp_device_data_cntlid(d, &data))
		r = exp_ns_attach(d, p->nsid, data, err);
	if (r == 0)
		r = exp_ns_attach(d, p->nsid, p->cntlid, err);
	if (r == 0)
		r = exp_ctrl_is_suspended(d, p->cntlid, &suspended, err);
	if (r < 0 || !suspended)
		return r;
	c->resumed = true;
	return exp_ctrl_resume(d, p->cntlid, NULL, 0, err);
}

static void one_less(struct expd *x, struct recovery *rc)
{
	void (*done)(struct expd *) = rc->done;

	if (--rc->waiting)
		return;
	free(rc);
	expd_jobs_recover(x->jobs);
	done(x);
}

static void check_done(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct check *c = arg;
	struct recovery *rc = c->all;

	if (r < 0) {
		exp_log(LOG_ERR, "an export that this host owns is not as recorded",
			kv_s("subsys", c->e.desc.nqn.s), kv_s("error", err->msg));
		expd_event(x, "export-drift", NULL, &c->e.id, "nqn", c->e.desc.nqn.s, "error",
			   err->msg, NULL);
	} else if (c->resumed) {
		exp_log(LOG_WARNING, "an owned export was suspended without a migration: resumed",
			kv_s("subsys", c->e.desc.nqn.s));
	}
	free(c);
	one_less(x, rc);
}

void expd_recover(struct expd *x, void (*done)(struct expd *x))
{
	struct recovery *rc = calloc(1, sizeof(*rc));
	size_t n = expd_exports_count(x->exports);

	if (!rc)
		abort(); /* at start, with nothing running: systemd tries again */
	rc->done = done;
	rc->waiting = 1;
	for (size_t i = 0; i < n; i++) {
		const struct exp_export *e = expd_exports_at(x->exports, i);
		struct check *c;

		if (!e->owner.own || !exp_uuid_is_nil(&e->job))
			continue;
		c = calloc(1, sizeof(*c));
		if (!c)
			abort();
		c->all = rc;
		c->e = *e;
		rc->waiting++;
		expd_device_run(x, &e->place.device, run_check, check_done, c);
	}
	one_less(x, rc);
}
