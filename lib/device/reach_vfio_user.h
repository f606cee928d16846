/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reach_vfio_user.h - an NVMe function served by another process over the vfio-user protocol
 */
#ifndef EXP_DEVICE_REACH_VFIO_USER_H
#define EXP_DEVICE_REACH_VFIO_USER_H

#include "device/reach.h"

/**
 * exp_reach_vfio_user_open - the device whose socket is @dir/cntrl
 *
 * Negotiates the version, finds BAR0, configuration space and the MSI-X vectors, maps the
 * doorbells where the server offers them and turns bus mastering and memory decoding on. Nothing
 * is reset. Blocks for at most 10 s per message. The connection is the device's life line: whoever
 * serves it may reset the controller when it ends.
 */
int exp_reach_vfio_user_open(const char *dir, struct exp_reach **ret,
			     struct exp_error *err) EXP_MUST_CHECK;

/** exp_reach_vfio_user_attach - the same over the connected socket @fd, which it takes */
int exp_reach_vfio_user_attach(int fd, struct exp_reach **ret,
			       struct exp_error *err) EXP_MUST_CHECK;

#endif
