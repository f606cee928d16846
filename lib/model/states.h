/* SPDX-License-Identifier: Apache-2.0 */
/*
 * states.h - states.def as enums and names
 */
#ifndef EXP_MODEL_STATES_H
#define EXP_MODEL_STATES_H

#include <stdbool.h>

#include "base/error.h"

enum exp_role { EXP_ROLE_SOURCE = 1, EXP_ROLE_DESTINATION = 2 }; /* stored and sent */

enum exp_src_state {
#define EXP_SRC(NAME, value, name) EXP_SRC_##NAME = (value),
#include "states.def"
};

enum exp_dst_state {
#define EXP_DST(NAME, value, name) EXP_DST_##NAME = (value),
#include "states.def"
};

enum exp_export_status {
#define EXP_EXPORT(NAME, value, name) EXP_EXPORT_##NAME = (value),
#include "states.def"
};

enum exp_condition {
	EXP_CONDITION_NONE = 0,
#define EXP_CONDITION(NAME, value, name) EXP_CONDITION_##NAME = (value),
#include "states.def"
};

enum exp_target_state {
#define EXP_TARGET(NAME, value, name) EXP_TARGET_##NAME = (value),
#include "states.def"
};

/* Names as JSON and people see them; NULL for a value that is no state. */
const char *exp_src_state_name(unsigned int state);
const char *exp_dst_state_name(unsigned int state);
const char *exp_state_name(enum exp_role role, unsigned int state);
const char *exp_role_name(enum exp_role role);
const char *exp_export_status_name(unsigned int status);
const char *exp_condition_name(unsigned int condition); /* "" for EXP_CONDITION_NONE */
const char *exp_target_state_name(unsigned int state);

int exp_state_by_name(enum exp_role role, const char *name, unsigned int *ret) EXP_MUST_CHECK;
int exp_export_status_by_name(const char *name, unsigned int *ret) EXP_MUST_CHECK;

/** exp_state_is_final - nothing is open any more: done, failed, cancelled, taken, discarded */
bool exp_state_is_final(enum exp_role role, unsigned int state);

#endif
