/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - monotonic time for every deadline and duration; wall time for logs and records only
 */
#ifndef EXP_BASE_CLOCK_H
#define EXP_BASE_CLOCK_H

#include <stdint.h>

#define EXP_NEVER_MS UINT64_MAX /* a deadline that does not come */

uint64_t exp_mono_us(void); /* CLOCK_MONOTONIC */
uint64_t exp_mono_ms(void);
uint64_t exp_wall_ms(void); /* CLOCK_REALTIME, since 1970; jumps both ways */

#endif
