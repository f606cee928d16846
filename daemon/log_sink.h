/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_sink.h - where the daemon's log goes: the journal with fields, or lines on standard error
 */
#ifndef EXPD_LOG_SINK_H
#define EXPD_LOG_SINK_H

/** expd_log_start - journal when systemd connected our standard error to it, else the terminal */
void expd_log_start(int max_level);

#endif
