/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfu.h - inside reach_vfio_user: the device as its server described it
 */
#ifndef EXP_DEVICE_VFU_H
#define EXP_DEVICE_VFU_H

#include "device/reach.h"
#include "device/vfu_conn.h"

#define EXP_VFU_REGION_BAR0   0u
#define EXP_VFU_REGION_CONFIG 7u
#define EXP_VFU_IRQ_MSIX      2u

struct exp_vfu {
	struct exp_reach reach;
	struct exp_vfu_conn *conn;
	uint64_t bar0_bytes, cfg_bytes;
	size_t max_fds;              /* descriptors the server takes in one message */
	uint8_t *map;                /* the area that holds the doorbells, NULL: by message */
	uint64_t map_off, map_bytes; /* of BAR0 */
};

/**
 * exp_vfu_discover - version, regions, interrupts of the device behind v->conn (vfio-user protocol)
 *
 * Maps the doorbells where the server offers them; v->map is the caller's to unmap, also on
 * failure.
 */
int exp_vfu_discover(struct exp_vfu *v, struct exp_error *err) EXP_MUST_CHECK;

#endif
