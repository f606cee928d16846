/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "model/caps.h"

static bool has_uuid(const struct exp_uuid *list, uint32_t n, const struct exp_uuid *u)
{
	for (uint32_t i = 0; i < n; i++)
		if (exp_uuid_eq(&list[i], u))
			return true;
	return false;
}

bool exp_caps_has_template(const struct exp_caps *c, const struct exp_uuid *u)
{
	return has_uuid(c->templates, c->n_templates, u);
}

bool exp_caps_has_state_uuid(const struct exp_caps *c, const struct exp_uuid *u)
{
	return has_uuid(c->state_uuids, c->n_state_uuids, u);
}

bool exp_caps_has_version(const struct exp_caps *c, uint16_t version)
{
	for (uint32_t i = 0; i < c->n_versions; i++)
		if (c->versions[i] == version)
			return true;
	return false;
}

const struct exp_format_caps *exp_caps_format(const struct exp_caps *c, uint32_t lba_bytes)
{
	for (uint32_t i = 0; i < c->n_formats; i++)
		if (c->formats[i].lba_bytes == lba_bytes && !c->formats[i].ms)
			return &c->formats[i];
	return NULL;
}

const struct exp_ctrl_caps *exp_caps_ctrl(const struct exp_caps *c, uint16_t cntlid)
{
	for (uint32_t i = 0; i < c->n_ctrls; i++)
		if (c->ctrls[i].cntlid == cntlid)
			return &c->ctrls[i];
	return NULL;
}
