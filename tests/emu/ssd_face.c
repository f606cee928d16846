/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_face.c - what a function shows and allows: the drive's own limits or those of an export
 *
 * Behind an export only the configured values and the template's fixed ones are left; whatever is
 * not set here reads as zero. The fixed values are listed in README.md.
 */
#include <string.h>

#include "emu/ssd_internal.h"

#define CAP_CQR       (UINT64_C(1) << 16)
#define CAP_TO(v)     ((uint64_t)(v) << 24)
#define CAP_CSS_NVM   (UINT64_C(1) << 37)
#define CAP_MPSMAX(v) ((uint64_t)(v) << 52)

#define VERSION_2_3_0 0x00020300u
#define VERSION_2_4_0 0x00020400u

static void own_face(struct ssd_fn *fn, struct ssd_face *f)
{
	const struct ssd_profile *p = fn->ssd->profile;

	*f = (struct ssd_face){
		.cntlid = fn->cntlid,
		.cap = p->mqes | CAP_CQR | CAP_TO(20) | CAP_CSS_NVM | CAP_MPSMAX(p->mps_max),
		.vs = VERSION_2_4_0,
		.mdts = p->mdts,
		.rab = p->rab,
		.aerl = p->aerl,
		.acl = p->acl,
		.elpe = p->elpe,
		.vwc = VWC_PRESENT | VWC_FLUSH_ALL,
		.queues_sq = p->io_queues,
		.queues_cq = p->io_queues,
		.oncs = p->oncs,
		.oacs = OACS_LBA_STATUS,
		.oaes = OAES_NS_ATTACHED,
		.awun = p->awun,
		.awupf = p->awupf,
		.nn = p->namespaces,
		.temp_over = p->warn_kelvin,
	};
	memcpy(f->nqn, fn->ssd->nqn, sizeof(f->nqn));
	if (fn->is_mmc) {
		f->oacs |= OACS_NS_MGMT | OACS_HMLMS;
		f->oaes |= OAES_NS_ALLOC;
	}
}

static void export_face(const struct ssd_image_export *e, struct ssd_face *f)
{
	size_t where;

	*f = (struct ssd_face){
		.exported = true,
		.cntlid = e->ecntlid,
		.cap = CAP_CQR | CAP_TO(0xFF) | CAP_CSS_NVM,
		.vs = VERSION_2_3_0,
		.aerl = REFSTATE_AERS - 1, /* as many as the state can carry */
		.vwc = VWC_PRESENT | VWC_FLUSH_ALL,
		.oaes = OAES_NS_ATTACHED,
		.nn = e->ensid ? e->ensid : 1,
		.temp_over = 0xFFFF,
	};
	memcpy(f->nqn, e->nqn, sizeof(f->nqn));
	/* stored configurations were accepted once, so this one parses */
	if (!e->configured || !ssd_refconfig_parse(e->config, &f->config, &where))
		return;
	f->cap |= f->config.mqes;
	f->mdts = f->config.mdts;
	f->rab = f->config.rab;
	f->queues_sq = (uint16_t)(f->config.nsqs + 1);
	f->queues_cq = (uint16_t)(f->config.ncqs + 1);
	f->oncs = f->config.oncs;
	f->awun = f->config.awun;
	f->awupf = f->config.awupf;
}

void ssd_face_set(struct ssd_fn *fn, const struct ssd_image_export *e)
{
	bool was = fn->face.exported;

	if (e)
		export_face(e, &fn->face);
	else
		own_face(fn, &fn->face);
	/* another face has other defaults; a controller that is off has no values of its own */
	if (was != fn->face.exported || !(fn->cc & CC_EN))
		ssd_features_reset(fn);
}
