/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_control.h - the guest's control socket: one JSON object a line in, one out
 *
 * {"verb":"status"} -> {"ok":true,...}; a refusal is {"ok":false,"code":"CONFLICT","error":"..."}.
 * Requests are answered in order, one at a time; the verbs are described in README.md.
 */
#ifndef EMU_GUEST_CONTROL_H
#define EMU_GUEST_CONTROL_H

#include "emu/guest_vmm.h"

struct emu_control;

/** emu_control_open - listen at @path (0600; a stale socket is replaced); NULL: nowhere */
int emu_control_open(const char *path, struct emu_control **ret,
		     struct exp_error *err) EXP_MUST_CHECK;
void emu_control_close(struct emu_control *c);

/**
 * emu_control_poll - wait at most @ms for requests and answer them
 * @signal_fd: returns early when it is readable; -1: none
 *
 * True when "stop" was asked for; the caller then calls emu_control_answer_stop().
 */
bool emu_control_poll(struct emu_control *c, struct emu_vmm *m, int signal_fd, int ms);

/** emu_control_answer_stop - the final report to whoever asked for the stop; takes it not */
void emu_control_answer_stop(struct emu_control *c, const struct exp_json *report);

#endif
