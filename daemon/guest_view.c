/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "guest_view.h"
#include "nvme/assumptions.h"

void expd_guest_view(const struct exp_export_desc *desc, struct exp_guest_view *ret)
{
	struct exp_nvme_ref_config c;

	memset(ret, 0, sizeof(*ret));
	if (!exp_uuid_eq(&desc->template, &exp_nvme_reference_template) ||
	    exp_nvme_ref_config_decode(desc->config, desc->config_len, &c, NULL) < 0)
		return;
	*ret = (struct exp_guest_view){ .known = true,
					.mdts = c.mdts,
					.mqes = c.mqes,
					.nsqs = c.nsqs,
					.ncqs = c.ncqs,
					.oncs = c.oncs,
					.awun = c.awun,
					.awupf = c.awupf };
}
