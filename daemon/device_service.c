/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/backoff.h"
#include "base/log.h"
#include "config.h"
#include "control/api.h"
#include "device/change_log.h"
#include "device_service.h"
#include "events.h"
#include "expd.h"
#include "jobs.h"
#include "worker.h"

#define REOPEN_MIN_MS 500
#define REOPEN_MAX_MS 30000
#define WATCH_MS      1000 /* how soon a reset that nobody told us of is noticed */

struct expd_drive {
	atomic_uint refs;
	struct exp_device *dev;
};

struct device {
	struct expd *x;
	const struct expd_device_config *cfg;
	struct expd_worker *worker;
	struct expd_drive *drive; /* NULL: not open */
	bool opening, tried, watching;
	struct exp_caps caps; /* of the open drive */
	struct exp_error error;
	struct exp_backoff backoff;
	struct event *timer; /* reopen, or look whether it was reset */
};

struct expd_devices {
	struct expd *x;
	void (*ready)(struct expd *x);
	size_t n;
	struct device d[EXPD_DEVICES_MAX];
};

static struct expd_drive *drive_ref(struct expd_drive *d)
{
	atomic_fetch_add(&d->refs, 1);
	return d;
}

void expd_drive_release(struct expd_drive *d)
{
	if (!d || atomic_fetch_sub(&d->refs, 1) != 1)
		return;
	exp_device_close(d->dev);
	free(d);
}

struct exp_device *expd_drive_device(struct expd_drive *d)
{
	return d->dev;
}

static struct device *find(const struct expd *x, const char *name)
{
	struct expd_devices *ds = x->devices;

	for (size_t i = 0; ds && i < ds->n; i++)
		if (!strcmp(ds->d[i].cfg->name.s, name))
			return &ds->d[i];
	return NULL;
}

static void arm(struct device *d, uint32_t ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000 };

	event_add(d->timer, &tv);
}

struct open_task {
	struct expd_task t;
	struct device *d;
	struct expd_device_config cfg;
	bool may_reset;
	struct expd_drive *drive;
	struct exp_caps caps;
	unsigned int stale_logs;
	struct exp_error err;
};

/* Change logs that a former life left behind are memory the drive writes: they go first. */
static void open_run(struct expd_task *t)
{
	struct open_task *ot = (struct open_task *)t;
	const struct exp_device_config cfg = {
		.transport = ot->cfg.transport,
		.data = ot->cfg.data,
		.may_reset = ot->may_reset,
		.logs_after_resume = ot->cfg.logs_after_resume,
	};
	struct exp_device *dev;
	int r;

	r = exp_device_open(&cfg, &dev, &ot->err);
	if (r < 0)
		return;
	r = exp_change_log_delete_stale(dev, &ot->stale_logs, &ot->err);
	if (r < 0 && ot->err.code != EXP_CODE_NOT_SUPPORTED) {
		exp_device_close(dev);
		return;
	}
	exp_device_caps(dev, &ot->caps);
	ot->drive = calloc(1, sizeof(*ot->drive));
	if (!ot->drive) {
		exp_error_set(&ot->err, EXP_CODE_NO_MEMORY, ENOMEM, "device: out of memory");
		exp_device_close(dev);
		return;
	}
	ot->drive->dev = dev;
	atomic_init(&ot->drive->refs, 1);
	memset(&ot->err, 0, sizeof(ot->err));
}

static void all_tried(struct expd_devices *ds)
{
	void (*ready)(struct expd *) = ds->ready;

	for (size_t i = 0; i < ds->n; i++)
		if (!ds->d[i].tried)
			return;
	ds->ready = NULL;
	if (ready)
		ready(ds->x);
}

static void open_done(struct expd_task *t)
{
	struct open_task *ot = (struct open_task *)t;
	struct device *d = ot->d;
	bool again = d->tried;

	d->opening = false;
	d->tried = true;
	if (ot->drive) {
		d->drive = ot->drive;
		d->caps = ot->caps;
		memset(&d->error, 0, sizeof(d->error));
		exp_backoff_reset(&d->backoff);
		exp_log(LOG_NOTICE, "device opened", kv_s("device", d->cfg->name.s),
			kv_s("model", d->caps.model), kv_s("serial", d->caps.serial),
			kv_u("stale_logs", ot->stale_logs));
		arm(d, WATCH_MS);
		if (again && d->x->phase != EXPD_STARTING)
			expd_jobs_device_back(d->x->jobs, &d->cfg->name);
	} else {
		if (strcmp(d->error.msg, ot->err.msg))
			exp_log(LOG_ERR, "device cannot be used", kv_s("device", d->cfg->name.s),
				kv_s("error", ot->err.msg));
		d->error = ot->err;
		arm(d, exp_backoff_next(&d->backoff, &d->x->rng));
	}
	free(ot);
	all_tried(d->x->devices);
}

static void open_device(struct device *d)
{
	struct open_task *ot;

	if (d->opening || d->drive || d->x->phase == EXPD_STOPPING)
		return;
	ot = calloc(1, sizeof(*ot));
	if (!ot) {
		arm(d, REOPEN_MIN_MS);
		return;
	}
	ot->t.run = open_run;
	ot->t.done = open_done;
	ot->d = d;
	ot->cfg = *d->cfg;
	ot->may_reset = d->x->config->allow_reset_on_restart;
	d->opening = true;
	expd_worker_submit(d->worker, &ot->t, false);
}

/* The drive died, or its management controller was reset: both ended suspensions and logs. */
static void lost(struct device *d, const struct exp_error *err)
{
	if (!d->drive)
		return;
	exp_log(LOG_ERR, "device lost or reset", kv_s("device", d->cfg->name.s),
		kv_s("error", err->msg));
	expd_event(d->x, "mmc-reset", NULL, NULL, "device", d->cfg->name.s, "error", err->msg,
		   NULL);
	d->error = *err;
	expd_drive_release(d->drive);
	d->drive = NULL;
	event_del(d->timer);
	expd_jobs_device_reset(d->x->jobs, &d->cfg->name);
	arm(d, exp_backoff_next(&d->backoff, &d->x->rng));
}

struct watch_task {
	struct expd_task t;
	struct device *d;
	struct expd_drive *drive;
	int r;
	struct exp_error err;
};

static void watch_run(struct expd_task *t)
{
	struct watch_task *wt = (struct watch_task *)t;

	wt->r = exp_device_check(wt->drive->dev, &wt->err);
}

static void watch_done(struct expd_task *t)
{
	struct watch_task *wt = (struct watch_task *)t;
	struct device *d = wt->d;

	d->watching = false;
	if (d->drive == wt->drive) {
		if (wt->r < 0)
			lost(d, &wt->err);
		else
			arm(d, WATCH_MS);
	}
	expd_drive_release(wt->drive);
	free(wt);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct device *d = arg;
	struct watch_task *wt;

	(void)fd;
	(void)what;
	if (d->x->phase == EXPD_STOPPING)
		return;
	if (!d->drive) {
		open_device(d);
		return;
	}
	wt = d->watching ? NULL : calloc(1, sizeof(*wt));
	if (!wt) {
		arm(d, WATCH_MS);
		return;
	}
	wt->t.run = watch_run;
	wt->t.done = watch_done;
	wt->d = d;
	wt->drive = drive_ref(d->drive);
	d->watching = true;
	expd_worker_submit(d->worker, &wt->t, false);
}

int expd_devices_start(struct expd *x, void (*ready)(struct expd *x), struct expd_devices **ret,
		       struct exp_error *err)
{
	struct expd_devices *ds = calloc(1, sizeof(*ds));
	int r;

	if (!ds)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "devices: out of memory");
	ds->x = x;
	ds->ready = ready;
	*ret = ds;
	for (; ds->n < x->config->n_devices; ds->n++) {
		struct device *d = &ds->d[ds->n];
		char name[16];

		d->x = x;
		d->cfg = &x->config->devices[ds->n];
		d->backoff = (struct exp_backoff){ REOPEN_MIN_MS, REOPEN_MAX_MS, 0 };
		snprintf(name, sizeof(name), "dev-%.11s", d->cfg->name.s);
		r = expd_worker_new(x->inbox, name, &d->worker, err);
		if (r < 0)
			return r;
		d->timer = event_new(x->base, -1, 0, on_timer, d);
		if (!d->timer)
			return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM,
					     "devices: out of memory");
	}
	for (size_t i = 0; i < ds->n; i++)
		open_device(&ds->d[i]);
	if (!ds->n)
		all_tried(ds);
	return 0;
}

void expd_devices_quiesce(struct expd_devices *ds)
{
	for (size_t i = 0; ds && i < EXPD_DEVICES_MAX; i++) {
		expd_worker_free(ds->d[i].worker);
		ds->d[i].worker = NULL;
	}
}

void expd_devices_free(struct expd_devices *ds)
{
	if (!ds)
		return;
	expd_devices_quiesce(ds);
	for (size_t i = 0; i < EXPD_DEVICES_MAX; i++) {
		struct device *d = &ds->d[i];

		if (d->timer)
			event_free(d->timer);
		expd_drive_release(d->drive);
	}
	free(ds);
}

struct device_task {
	struct expd_task t;
	struct device *d;
	struct expd_drive *drive;
	expd_device_fn fn;
	expd_device_done done;
	void *arg;
	int r;
	struct exp_error err;
};

static void task_run(struct expd_task *t)
{
	struct device_task *dt = (struct device_task *)t;

	dt->r = dt->fn(dt->drive->dev, dt->arg, &dt->err);
}

static void task_done(struct expd_task *t)
{
	struct device_task *dt = (struct device_task *)t;
	struct device *d = dt->d;

	if (dt->r < 0)
		exp_error_wrap(&dt->err, dt->r, "device %s", d->cfg->name.s);
	if (dt->err.code == EXP_CODE_DEVICE_GONE && d->drive == dt->drive)
		lost(d, &dt->err);
	dt->done(d->x, dt->arg, dt->r, &dt->err);
	expd_drive_release(dt->drive);
	free(dt);
}

static int not_open(const struct device *d, const char *name, struct exp_error *err)
{
	if (!d)
		return exp_error_set(err, EXP_CODE_NOT_FOUND, ENODEV,
				     "there is no device %s in the configuration", name);
	return exp_error_set(err, EXP_CODE_DEVICE_GONE, ENODEV, "device %s is not open: %s", name,
			     *d->error.msg ? d->error.msg : "still opening");
}

void expd_device_run(struct expd *x, const struct exp_name *device, expd_device_fn fn,
		     expd_device_done done, void *arg)
{
	struct device *d = find(x, device->s);
	struct exp_error err = { 0 };
	struct device_task *dt;
	int r;

	if (!d || !d->drive || !d->worker) {
		r = not_open(d, device->s, &err);
		done(x, arg, r, &err);
		return;
	}
	dt = calloc(1, sizeof(*dt));
	if (!dt) {
		r = exp_error_set(&err, EXP_CODE_NO_MEMORY, ENOMEM, "device task: out of memory");
		done(x, arg, r, &err);
		return;
	}
	*dt = (struct device_task){ .t = { .run = task_run, .done = task_done },
				    .d = d,
				    .drive = drive_ref(d->drive),
				    .fn = fn,
				    .done = done,
				    .arg = arg };
	expd_worker_submit(d->worker, &dt->t, false);
}

struct expd_drive *expd_device_hold(struct expd *x, const struct exp_name *device,
				    struct exp_error *err)
{
	struct device *d = find(x, device->s);

	if (!d || !d->drive) {
		not_open(d, device->s, err);
		return NULL;
	}
	return drive_ref(d->drive);
}

const struct exp_caps *expd_device_caps(const struct expd *x, const struct exp_name *device)
{
	const struct device *d = find(x, device->s);

	return d && d->drive ? &d->caps : NULL;
}

void expd_device_refreshed(struct expd *x, const struct exp_name *device,
			   const struct exp_caps *caps)
{
	struct device *d = find(x, device->s);

	if (d && d->drive)
		d->caps = *caps;
}

size_t expd_devices_count(const struct expd *x)
{
	return x->devices ? x->devices->n : 0;
}

const struct exp_name *expd_devices_name(const struct expd *x, size_t i)
{
	return &x->devices->d[i].cfg->name;
}

static struct exp_json *to_json(const struct device *d, bool full)
{
	const struct exp_api_device a = {
		.name = d->cfg->name.s,
		.transport = d->cfg->transport,
		.data = d->cfg->data,
		.state = d->drive    ? EXP_API_DEVICE_READY
			 : !d->tried ? EXP_API_DEVICE_OPENING
				     : EXP_API_DEVICE_UNAVAILABLE,
		.error = d->drive ? NULL : &d->error,
		.caps = d->drive ? &d->caps : NULL,
	};

	return exp_api_device(&a, full);
}

struct exp_json *expd_devices_json(const struct expd *x)
{
	struct exp_json *arr = exp_json_array();

	for (size_t i = 0; x->devices && i < x->devices->n; i++)
		exp_json_add(arr, to_json(&x->devices->d[i], false));
	return arr;
}

struct exp_json *expd_device_json(const struct expd *x, const char *name)
{
	const struct device *d = find(x, name);

	return d ? to_json(d, true) : NULL;
}
