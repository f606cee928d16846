/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subsys_int.h - inside subsys: what reading the lists and building share
 */
#ifndef EXP_DEVICE_SUBSYS_INT_H
#define EXP_DEVICE_SUBSYS_INT_H

#include "device/device.h"
#include "device/subsys.h"
#include "nvme/export_cmd.h"

/** exp_subsys_receive - one window of a list or of the configuration state, of one subsystem */
int exp_subsys_receive(struct exp_device *d, enum exp_nvme_export_recv_sel sel, uint16_t esubid,
		       uint64_t off, void *buf, size_t bytes, struct exp_error *err) EXP_MUST_CHECK;

/** exp_subsys_read_list - a whole list, malloc'd; read again while its generation number moves */
int exp_subsys_read_list(struct exp_device *d, enum exp_nvme_export_recv_sel sel, uint16_t esubid,
			 uint8_t **ret, size_t *ret_len, struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_subsys_discard - whatever carries this handle: out of the way, whatever its name
 *
 * Code BUSY, -EBUSY: the guest's function is enabled; nothing was taken from it then.
 */
int exp_subsys_discard(struct exp_device *d, uint16_t esubid, struct exp_error *err) EXP_MUST_CHECK;

#endif
