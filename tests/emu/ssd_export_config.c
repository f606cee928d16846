/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_export_config.c - which configuration states of the Reference template this drive can honour
 *
 * No value may go beyond the drive's own; the first one that does is reported by its place.
 */
#include <string.h>

#include "base/nqn.h"
#include "emu/ssd_export.h"

/* What a guest may be shown of ONCS; the drive may have less. */
#define ONCS_SHOWABLE (ONCS_COMPARE | ONCS_DSM | ONCS_WZ | ONCS_VERIFY)

static bool format_fits(const struct ssd_refconfig *c, const struct ssd_image_ns *ns)
{
	return !c->ms && !c->rp && c->lbads == ns->lbads;
}

bool ssd_export_format_fits(const struct ssd_image_export *e, const struct ssd_image_ns *ns)
{
	struct ssd_refconfig c;
	size_t where;

	return ssd_refconfig_parse(e->config, &c, &where) && format_fits(&c, ns);
}

static bool lbads_known(const struct ssd_profile *p, const struct ssd_refconfig *c)
{
	for (size_t i = 0; i < EXP_ARRAY_SIZE(p->lbads); i++)
		if (p->lbads[i] && p->lbads[i] == c->lbads)
			return !c->ms && !c->rp;
	return false;
}

static bool nqn_fits(struct ssd *ssd, const struct ssd_image_export *e,
		     const struct ssd_refconfig *c)
{
	struct exp_nqn nqn;

	return !c->nqn[0] ||
	       (!exp_nqn_parse(c->nqn, &nqn, NULL) && ssd_export_nqn_free(ssd, c->nqn, e->esubid));
}

bool ssd_export_configure(struct ssd *ssd, struct ssd_image_export *e,
			  const uint8_t d[SSD_CONFIG_BYTES], size_t *ret_where)
{
	const struct ssd_profile *p = ssd->profile;
	const struct ssd_image_ns *ns = e->ensid ? ssd_image_ns(ssd->img, e->unsid) : NULL;
	struct ssd_refconfig c;

	if (!ssd_refconfig_parse(d, &c, ret_where))
		return false;

	const struct {
		bool good;
		size_t where;
	} rules[] = {
		{ c.ecntlid == 0, RECCS_ECNTLID },
		{ c.rab <= p->rab, RECCS_RAB },
		{ c.mdts && c.mdts <= p->mdts, RECCS_MDTS }, /* 0 would be no limit at all */
		{ c.mqes && c.mqes <= p->mqes, RECCS_MQES },
		{ c.ncqs < p->io_queues, RECCS_NCQS },
		{ c.nsqs < p->io_queues, RECCS_NSQS },
		{ !(c.oncs & ~(p->oncs & ONCS_SHOWABLE)), RECCS_ONCS },
		{ c.awun <= p->awun, RECCS_AWUN },
		{ c.awupf <= p->awupf, RECCS_AWUPF },
		{ nqn_fits(ssd, e, &c), RECCS_SUBNQN },
		{ c.ensid == 1, RENSCS_ENSID },
		{ lbads_known(p, &c) && (!ns || format_fits(&c, ns)), RENSCS_LBAF0 },
		{ c.nawun <= p->awun, RENSCS_NAWUN },
		{ c.nawupf <= p->awupf, RENSCS_NAWUPF },
		{ !exp_uuid_is_nil(&c.nguid) || !exp_uuid_is_nil(&c.uuid), RENSCS_UUID },
	};

	for (size_t i = 0; i < EXP_ARRAY_SIZE(rules); i++) {
		if (!rules[i].good) {
			*ret_where = rules[i].where;
			return false;
		}
	}
	/* without a name in it, the subsystem keeps the one of Create: then that is its state */
	if (c.nqn[0])
		memcpy(e->nqn, c.nqn, sizeof(e->nqn));
	else
		memcpy(c.nqn, e->nqn, sizeof(c.nqn));
	ssd_refconfig_print(&c, e->config);
	return true;
}
