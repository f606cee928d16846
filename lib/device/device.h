/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.h - one drive, reached through its Migration Management Controller (MMC)
 *
 * What the other headers here work on: ns.h (namespaces, attachment: the fence), subsys.h
 * (exported subsystems), ctrl.h (suspend, resume, controller state), change_log.h, nsdata.h.
 *
 * Threads. Every function here and in those headers blocks until the device has answered or the
 * deadline has passed: worker threads only. Any of them may run on several threads at once: a
 * command that takes long holds up nobody else. What the device needs in order (build, attach,
 * suspend ... of one export) is the caller's to order: one ordered worker per device. Meant to run
 * beside that worker: exp_change_log_read (one reader thread), exp_nsdata_* (one handle per bulk
 * thread), exp_device_late, exp_device_check, exp_device_caps.
 *
 * Deadlines are ours alone. A command that misses its deadline fails with -ETIMEDOUT, code
 * DEVICE_TIMEOUT, and stays outstanding: it may still take effect. Nothing is aborted or reset,
 * since a reset of the MMC ends the suspension of every guest on the drive. Until such a late
 * command has completed (exp_device_late), commands that would contradict it are refused with
 * -EBUSY.
 *
 * Errors. -ENODEV, code DEVICE_GONE: the device or the way to it is gone for good; close and open.
 * A refusal by the device has code DEVICE_STATUS or a more telling one, and err->nvme_status.
 */
#ifndef EXP_DEVICE_DEVICE_H
#define EXP_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "model/caps.h"

#define EXP_ADMIN_TIMEOUT_MS 10000u /* what the device gets where the caller names no deadline */

struct exp_device;
struct exp_transport;

struct exp_device_config {
	const char *transport; /* "vfio-user:DIR", "nvme:/dev/nvme0" */
	const char *data; /* who moves namespace data: "" or NULL: the MMC itself or, for nvme:, the
			     block devices; else the transport of an I/O controller that is ours */
	/*
	 * The MMC may be reset by opening it. Without this a controller that is found enabled is
	 * refused (-EPERM, code RESET_ON_RESTART), since guests may be suspended behind it.
	 */
	bool may_reset;
	const struct exp_uuid
		*reference_template; /* of the drive's Reference template, NULL: usual */
	bool templates_from_zero;    /* known of this model: it counts templates from 0, not 1 */
	bool logs_after_resume;      /* known of this model: the change log goes on after Resume */
	unsigned int io_queues;      /* I/O queue pairs to ask for, 0: 8 */
	uint32_t admin_timeout_ms;   /* 0: EXP_ADMIN_TIMEOUT_MS */
};

/**
 * exp_device_open - reach the MMC, enable it, read what it can do
 *
 * Refuses what is no MMC (OACS.HMLMS=0) with -EOPNOTSUPP. Whether the controller was reset by it is
 * EXP_CAP_RESET_AT_OPEN in the capabilities. Seconds when the controller has to be reset.
 */
int exp_device_open(const struct exp_device_config *config, struct exp_device **ret,
		    struct exp_error *err) EXP_MUST_CHECK;

/** exp_device_open_on - the same on open transports, which it takes; @data may be NULL */
int exp_device_open_on(struct exp_transport *mmc, struct exp_transport *data,
		       const struct exp_device_config *config, struct exp_device **ret,
		       struct exp_error *err) EXP_MUST_CHECK;

/** exp_device_close - NULL is fine. Change logs and data handles of it are closed first */
void exp_device_close(struct exp_device *d);
EXP_DEFINE_CLEANUP(struct exp_device *, exp_device_close)

/** exp_device_caps - what was read last; copies, never blocks on the device */
void exp_device_caps(struct exp_device *d, struct exp_caps *ret);

/** exp_device_refresh - read again what changes: capacity, exports, controllers */
int exp_device_refresh(struct exp_device *d, struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_device_check - is the MMC still the one that was opened?
 *
 * 0; -EIO, code DEVICE: it was reset or has failed, so suspensions and change logs may be over
 * (event "mmc-reset"); -ENODEV: gone. Cheap: one register.
 */
int exp_device_check(struct exp_device *d, struct exp_error *err) EXP_MUST_CHECK;

/** exp_device_data_cntlid - the controller that a namespace must be attached to for exp_nsdata_open
 * Returns false when data goes through block devices of the kernel: no attachment by us. */
bool exp_device_data_cntlid(struct exp_device *d, uint16_t *ret);

/**
 * exp_device_late - commands whose deadline passed and that have not completed
 * @cntlid: those that name this controller, or UINT32_MAX for all
 * @timeout_ms: wait at most this long for them; 0 only looks
 * @ret_suspend: may be NULL; set when a Suspend was among those that completed now, to how it ended
 *	(0 or the negative errno of its refusal), else untouched
 *
 * Returns how many are still outstanding (0: the controller does what its last answer said), or
 * -ENODEV. A Suspend that timed out is the condition "suspend-unknown" until this returns 0.
 */
int exp_device_late(struct exp_device *d, uint32_t cntlid, uint64_t timeout_ms, int *ret_suspend,
		    struct exp_error *err) EXP_MUST_CHECK;

#endif
