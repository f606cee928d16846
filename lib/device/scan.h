/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.h - which NVMe controllers the kernel has, for people who write a configuration
 */
#ifndef EXP_DEVICE_SCAN_H
#define EXP_DEVICE_SCAN_H

#include <stddef.h>

#include "base/error.h"

#define EXP_SCAN_MAX 1024

struct exp_scan_entry {
	char name[32]; /* "nvme0" */
	char transport[16], address[64];
	char model[41], serial[21], firmware[9];
	char subnqn[256];
};

/**
 * exp_scan - every controller under sysfs; *@ret is malloc'd, NULL when there is none (success too)
 * Reads sysfs only: blocks for a moment, needs no rights. Strings come from devices: escape them.
 */
int exp_scan(struct exp_scan_entry **ret, size_t *ret_n, struct exp_error *err) EXP_MUST_CHECK;

#endif
