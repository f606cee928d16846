/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "model/states.h"

struct name_row {
	unsigned int value;
	const char *name;
};

static const struct name_row src_names[] = {
#define EXP_SRC(NAME, value, name) { value, name },
#include "states.def"
};

static const struct name_row dst_names[] = {
#define EXP_DST(NAME, value, name) { value, name },
#include "states.def"
};

static const struct name_row export_names[] = {
#define EXP_EXPORT(NAME, value, name) { value, name },
#include "states.def"
};

static const struct name_row condition_names[] = {
	{ EXP_CONDITION_NONE, "" },
#define EXP_CONDITION(NAME, value, name) { value, name },
#include "states.def"
};

static const struct name_row target_names[] = {
#define EXP_TARGET(NAME, value, name) { value, name },
#include "states.def"
};

static const struct name_row role_names[] = {
	{ EXP_ROLE_SOURCE, "source" },
	{ EXP_ROLE_DESTINATION, "destination" },
};

static const char *name_of(const struct name_row *rows, size_t n, unsigned int value)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].value == value)
			return rows[i].name;
	return NULL;
}

static int value_of(const struct name_row *rows, size_t n, const char *name, unsigned int *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(rows[i].name, name)) {
			*ret = rows[i].value;
			return 0;
		}
	}
	return -ENOENT;
}

#define NAME_OF(rows, value)      name_of(rows, EXP_ARRAY_SIZE(rows), value)
#define VALUE_OF(rows, name, ret) value_of(rows, EXP_ARRAY_SIZE(rows), name, ret)

const char *exp_src_state_name(unsigned int state)
{
	return NAME_OF(src_names, state);
}

const char *exp_dst_state_name(unsigned int state)
{
	return NAME_OF(dst_names, state);
}

const char *exp_state_name(enum exp_role role, unsigned int state)
{
	return role == EXP_ROLE_SOURCE ? exp_src_state_name(state) : exp_dst_state_name(state);
}

const char *exp_role_name(enum exp_role role)
{
	return NAME_OF(role_names, role);
}

const char *exp_export_status_name(unsigned int status)
{
	return NAME_OF(export_names, status);
}

const char *exp_condition_name(unsigned int condition)
{
	return NAME_OF(condition_names, condition);
}

const char *exp_target_state_name(unsigned int state)
{
	return NAME_OF(target_names, state);
}

int exp_state_by_name(enum exp_role role, const char *name, unsigned int *ret)
{
	return role == EXP_ROLE_SOURCE ? VALUE_OF(src_names, name, ret)
				       : VALUE_OF(dst_names, name, ret);
}

int exp_export_status_by_name(const char *name, unsigned int *ret)
{
	return VALUE_OF(export_names, name, ret);
}

bool exp_state_is_final(enum exp_role role, unsigned int state)
{
	if (role == EXP_ROLE_SOURCE)
		return state == EXP_SRC_DONE || state == EXP_SRC_FAILED ||
		       state == EXP_SRC_CANCELLED || state == EXP_SRC_TAKEN;
	return state == EXP_DST_DONE || state == EXP_DST_DISCARDED;
}
