/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload.h - SIGHUP: settings and certificates are read whole, checked, and then swapped, or not
 *
 * What can change while the daemon runs: the limits, allow_reset_on_restart, what a [peer] section
 * says of its peer, and the three TLS files. Anything else that differs refuses the whole file, so
 * that nobody has to guess which half of it counts. Connections go on with what they began with.
 * Loop thread only; the files are read on a worker.
 */
#ifndef EXPD_RELOAD_H
#define EXPD_RELOAD_H

#include "base/error.h"

struct expd;
struct expd_reload;

/** expd_reload_new - @path: the settings, as at the start; borrowed */
int expd_reload_new(struct expd *x, const char *path, struct expd_reload **ret,
		    struct exp_error *err);

/** expd_reload_free - waits for a read that is under way; after the threads that use TLS */
void expd_reload_free(struct expd_reload *rl);

/** expd_reload_start - @done: swapped (code OK), or why not; called from the loop, later */
void expd_reload_start(struct expd_reload *rl,
		       void (*done)(struct expd *x, const struct exp_error *err));

#endif
