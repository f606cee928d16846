/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_view.h - what a guest was told at boot, read from the configuration state of its export
 */
#ifndef EXPD_GUEST_VIEW_H
#define EXPD_GUEST_VIEW_H

#include "handover/preflight.h"
#include "model/export.h"

/** expd_guest_view - known only under the Reference template, and only when it can be read */
void expd_guest_view(const struct exp_export_desc *desc, struct exp_guest_view *ret);

#endif
