/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow.h - watch a migration until it ends: one live line on a terminal, plain lines elsewhere
 */
#ifndef EXP_CTL_FOLLOW_H
#define EXP_CTL_FOLLOW_H

#include "ctl/ctl.h"

#define CTL_WAIT_FOR_EVER UINT64_MAX

/**
 * ctl_follow - until @id has ended, or @wait_s seconds are over
 *
 * Progress goes to standard error, the outcome (with --json: the last answer) to standard output.
 * A daemon that is away for less than a minute is waited for. Returns CTL_DONE when the migration
 * is done, CTL_FAILED when it ended otherwise, CTL_RUNNING when the wait was over or interrupted.
 */
int ctl_follow(struct ctl *c, const char *id, uint64_t wait_s);

/** ctl_progress - "copying  42 %  812 MiB/s  dirty 12 MiB/s  ETA 5.0 s  blackout ~12.3 ms" */
void ctl_progress(const struct exp_json *m, char *out, size_t cap);

#endif
