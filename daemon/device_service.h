/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_service.h - the configured drives: opened, watched, and an ordered queue in front of each
 *
 * What has an order on a drive (build, suspend, attach ...) runs on its worker. What must not wait
 * behind that (change log, bulk threads) uses the drive's handle itself and holds a reference, so
 * that a drive that went away is closed when its last user has let go. A drive that cannot be
 * opened, or is gone, is tried again with back-off; a reset of its management controller is told to
 * every open job. Loop thread only, but for what a task does.
 */
#ifndef EXPD_DEVICE_SERVICE_H
#define EXPD_DEVICE_SERVICE_H

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"
#include "device/device.h"
#include "model/caps.h"
#include "model/export.h"

struct expd;
struct expd_devices;
struct expd_drive; /* one open drive, counted */

/** expd_devices_start - open them all, in the background; @ready once each was tried */
int expd_devices_start(struct expd *x, void (*ready)(struct expd *x), struct expd_devices **ret,
		       struct exp_error *err);
/** expd_devices_quiesce - at the end: run what is queued and end the workers; blocks */
void expd_devices_quiesce(struct expd_devices *ds);
/** expd_devices_free - after _quiesce, and after every other user has let its drive go */
void expd_devices_free(struct expd_devices *ds);

/* Worker side of a task: @d is the open drive. */
typedef int (*expd_device_fn)(struct exp_device *d, void *arg, struct exp_error *err);
/* Loop side; owns @arg. */
typedef void (*expd_device_done)(struct expd *x, void *arg, int r, const struct exp_error *err);

/**
 * expd_device_run - @fn on the drive's worker, in order, then @done on the loop
 *
 * A drive that is not open, or not configured: @done at once with -ENODEV and the reason. @fn is
 * not called when the drive went away while the task waited.
 */
void expd_device_run(struct expd *x, const struct exp_name *device, expd_device_fn fn,
		     expd_device_done done, void *arg);

/** expd_device_hold - the open drive for a thread of its own; NULL and @err when there is none */
struct expd_drive *expd_device_hold(struct expd *x, const struct exp_name *device,
				    struct exp_error *err);
void expd_drive_release(struct expd_drive *d); /* any thread */
struct exp_device *expd_drive_device(struct expd_drive *d);

/** expd_device_caps - as last read; NULL when the drive is not open */
const struct exp_caps *expd_device_caps(const struct expd *x, const struct exp_name *device);

/** expd_device_refreshed - a task has read the capabilities again: what the loop shows from now */
void expd_device_refreshed(struct expd *x, const struct exp_name *device,
			   const struct exp_caps *caps);

size_t expd_devices_count(const struct expd *x);
const struct exp_name *expd_devices_name(const struct expd *x, size_t i);

/** expd_devices_json - an array; expd_device_json: one, full; NULL when it is not configured */
struct exp_json *expd_devices_json(const struct expd *x);
struct exp_json *expd_device_json(const struct expd *x, const char *name);

#endif
