/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_caps.c - what a drive can do: Identify pages, logs and lists, as a struct exp_caps
 *
 * Opening reads everything once; a refresh reads again what changes. What a drive does not have is
 * told as a missing capability with its reason, and only what nothing works without is an error.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/ctrl.h"
#include "device/device_int.h"
#include "device/subsys.h"
#include "nvme/admin_cmd.h"
#include "nvme/logpage.h"

#define EFFECTS_BYTES 4096u

/* Bytes of data that one command may have: MDTS, in units of the smallest page. */
static size_t mdts_bytes(const struct exp_transport *t, uint8_t mdts)
{
	size_t page_shift = 12 + (t->cap_reg >> 48 & 0xf);

	if (!mdts || mdts + page_shift > 24)
		return EXP_IO_BYTES_MAX;
	return EXP_MIN((size_t)1 << (mdts + page_shift), (size_t)EXP_IO_BYTES_MAX);
}

/* A page that older drives do not have; zeroes instead. */
static int identify_optional(struct exp_device *d, struct exp_transport *t, enum exp_nvme_cns cns,
			     uint16_t cntid, uint8_t *page, bool *ret_there, struct exp_error *err)
{
	struct exp_error e = { 0 };
	int r = exp_device_identify(d, t, cns, 0, cntid, page, &e);

	*ret_there = r == 0;
	if (r == 0 || e.nvme_status) {
		if (r < 0)
			memset(page, 0, EXP_NVME_PAGE);
		return 0;
	}
	if (err)
		*err = e;
	return r;
}

static int read_ctrl(struct exp_device *d, struct exp_transport *t, struct exp_nvme_id_ctrl *id,
		     struct exp_nvme_id_ctrl_nvm *nvm, uint8_t *page, struct exp_error *err)
{
	bool there;
	int r = exp_device_identify(d, t, EXP_NVME_CNS_CTRL, 0, 0, page, err);

	if (r == 0)
		r = exp_nvme_id_ctrl_parse(page, EXP_NVME_PAGE, id, err);
	if (r < 0)
		return r;
	t->max_bytes = EXP_MIN(t->max_bytes, mdts_bytes(t, id->mdts));
	r = identify_optional(d, t, EXP_NVME_CNS_CTRL_NVM, 0, page, &there, err);
	if (r < 0 || !there)
		return r;
	return exp_nvme_id_ctrl_nvm_parse(page, EXP_NVME_PAGE, nvm, err);
}

static int read_mmc(struct exp_device *d, uint8_t *page, struct exp_error *err)
{
	int r = read_ctrl(d, d->mmc, &d->id, &d->id_nvm, page, err);

	if (r < 0)
		return r;
	if (!(d->id.oacs & EXP_NVME_OACS_HMLMS) || d->id.cntrltype == EXP_NVME_CNTRLTYPE_DISCOVERY)
		return exp_error_set(
			err, EXP_CODE_NOT_SUPPORTED, EOPNOTSUPP,
			"%s (serial %s, controller %u) is no migration management "
			"controller: OACS %04xh, bit 11 is needed; is this the drive's "
			"administrative function?",
			d->id.mn, d->id.sn, d->id.cntlid, d->id.oacs);
	return 0;
}

static int read_data_ctrl(struct exp_device *d, uint8_t *page, struct exp_error *err)
{
	int r;

	if (!d->data)
		return 0;
	if (d->data == d->mmc) {
		d->data_id = d->id;
		d->data_nvm = d->id_nvm;
		d->data_cntlid = d->id.cntlid;
		return 0;
	}
	r = read_ctrl(d, d->data, &d->data_id, &d->data_nvm, page, err);
	if (r < 0)
		return exp_error_wrap(err, r, "data controller");
	if (strcmp(d->id.sn, d->data_id.sn) || strcmp(d->id.mn, d->data_id.mn))
		return exp_error_set(
			err, EXP_CODE_CONFIG, EXDEV,
			"the data controller belongs to another drive: %s serial %s, the "
			"management controller to %s serial %s",
			d->data_id.mn, d->data_id.sn, d->id.mn, d->id.sn);
	if (!d->data->max_ioq)
		return exp_error_set(err, EXP_CODE_CONFIG, EOPNOTSUPP,
				     "the data controller (%u) grants no I/O queues",
				     d->data_id.cntlid);
	d->data_cntlid = d->data_id.cntlid;
	return 0;
}

static int read_formats(struct exp_device *d, uint8_t *page, struct exp_error *err)
{
	struct exp_nvme_cmd cmd;
	bool there;
	int r;

	r = identify_optional(d, d->mmc, EXP_NVME_CNS_STATE_FORMATS, 0, page, &there, err);
	if (r == 0 && there)
		r = exp_nvme_state_formats_parse(page, EXP_NVME_PAGE, &d->formats, err);
	if (r == 0 && (d->id.ensa & EXP_NVME_ENSA_TEMPLATE)) {
		r = identify_optional(d, d->mmc, EXP_NVME_CNS_TEMPLATES, 0, page, &there, err);
		if (r == 0 && there)
			r = exp_nvme_templates_parse(page, EXP_NVME_PAGE, &d->templates, err);
	}
	if (r < 0)
		return r;
	exp_nvme_get_log(&cmd, EXP_NVME_LID_EFFECTS, true, 0, page, EFFECTS_BYTES);
	r = exp_device_read(d, &cmd, NULL, err);
	if (r == 0)
		r = exp_nvme_effects_parse(page, EFFECTS_BYTES, &d->effects, err);
	return r;
}

static void put_change_log(const struct exp_device *d, struct exp_caps *c)
{
	const char *why = NULL;

	if (!d->mmc->ops->dma_alloc)
		why = d->mmc->no_dma;
	else if (!(d->id.trattr & EXP_NVME_TRATTR_USER_DATA))
		why = "the drive does not track user data changes (TRATTR.TUDCS is 0)";
	else if (!d->id.mcudmq)
		why = "the drive has no user data migration queue (MCUDMQ is 0)";
	else if (d->id_nvm.lbamqf)
		why = "the drive's change log has a format of its vendor's (LBAMQF is not 0)";
	else
		c->flags |= EXP_CAP_CHANGE_LOG;
	(void)snprintf(c->no_change_log, sizeof(c->no_change_log), "%s", why ? why : "");
}

static void put_ns_data(const struct exp_device *d, struct exp_caps *c)
{
	if (d->data || d->block_name[0])
		c->flags |= EXP_CAP_NS_DATA;
	else
		(void)snprintf(
			c->no_ns_data, sizeof(c->no_ns_data),
			"the management controller grants no I/O queues and no data controller "
			"is configured (data=)");
}

static void put_identity(const struct exp_device *d, struct exp_caps *c)
{
	const struct exp_nvme_id_ctrl *id = &d->id;

	memcpy(c->model, id->mn, sizeof(c->model));
	memcpy(c->serial, id->sn, sizeof(c->serial));
	memcpy(c->firmware, id->fr, sizeof(c->firmware));
	c->subnqn = id->subnqn;
	c->ver = id->ver;
	c->cntlid = id->cntlid;
	c->mdts = id->mdts;
	c->oacs = id->oacs;
	c->oncs = id->oncs;
	c->fuses = id->fuses;
	c->vwc = id->vwc;
	c->acl = id->acl;
	c->aerl = id->aerl;
	c->sqes = id->sqes;
	c->cqes = id->cqes;
	c->awun = id->awun;
	c->awupf = id->awupf;
	c->acwu = id->acwu;
	c->mqes = (uint16_t)d->mmc->cap_reg;
	c->max_exports = id->mnens;
	c->mcdq_queues = id->mcudmq;
	c->mcmr = id->mcmr;
	c->mcdqpc = id->mcdqpc;
}

static void put_flags(const struct exp_device *d, struct exp_caps *c)
{
	const struct exp_nvme_id_ctrl *id = &d->id;

	c->flags = EXP_CAP_MMC;
	c->flags |= id->oacs & EXP_NVME_OACS_NS_MGMT ? EXP_CAP_NS_MGMT : 0;
	/* what Identify promises and the log of commands does not have is not there */
	if (exp_nvme_exports_supported(id, &d->effects, NULL) == 0)
		c->flags |= EXP_CAP_TEMPLATE;
	c->flags |= id->ensa & EXP_NVME_ENSA_MIGRATE ? EXP_CAP_EXPORT_MIGRATE : 0;
	c->flags |= id->endsfs & EXP_NVME_ENDSFS_ENF1 ? EXP_CAP_ENF1 : 0;
	c->flags |= id->ctratt & EXP_NVME_CTRATT_UUID_LIST ? EXP_CAP_UUID_LIST : 0;
	if (d->data && (d->data_id.oacs & EXP_NVME_OACS_LBA_STATUS) &&
	    (d->data_nvm.aocs & EXP_NVME_AOCS_RALBAS))
		c->flags |= EXP_CAP_LBA_STATUS;
	c->flags |= d->config.logs_after_resume ? EXP_CAP_LOGS_AFTER_RESUME : 0;
	c->flags |= d->mmc->was_reset ? EXP_CAP_RESET_AT_OPEN : 0;
	put_change_log(d, c);
	put_ns_data(d, c);
}

static void put_lists(const struct exp_device *d, struct exp_caps *c)
{
	c->n_templates = EXP_MIN(d->templates.n, (uint32_t)EXP_CAPS_TEMPLATES_MAX);
	memcpy(c->templates, d->templates.uuid, c->n_templates * sizeof(c->templates[0]));
	c->n_versions = EXP_MIN(d->formats.n_versions, (uint32_t)EXP_CAPS_VERSIONS_MAX);
	memcpy(c->versions, d->formats.versions, c->n_versions * sizeof(c->versions[0]));
	c->n_state_uuids = EXP_MIN(d->formats.n_uuids, (uint32_t)EXP_CAPS_STATE_UUIDS_MAX);
	memcpy(c->state_uuids, d->formats.uuids, c->n_state_uuids * sizeof(c->state_uuids[0]));
}

/* The formats that a new namespace may have, and what deallocated blocks read as. */
static int read_common_ns(struct exp_device *d, struct exp_caps *c, uint8_t *page,
			  struct exp_error *err)
{
	struct exp_nvme_id_ns ns;
	int r = exp_device_identify(d, d->mmc, EXP_NVME_CNS_NS, EXP_NVME_NSID_ALL, 0, page, err);

	if (r == 0)
		r = exp_nvme_id_ns_common_parse(page, EXP_NVME_PAGE, &ns, err);
	if (r < 0)
		return r;
	c->dlfeat = ns.dlfeat;
	c->n_formats = EXP_MIN(ns.n_formats, EXP_CAPS_FORMATS_MAX);
	for (uint32_t i = 0; i < c->n_formats; i++)
		c->formats[i] = (struct exp_format_caps){ ns.lbaf[i].lba_bytes, ns.lbaf[i].ms };
	return 0;
}

static int read_queue_counts(struct exp_device *d, struct exp_caps *c, struct exp_error *err)
{
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	struct exp_error e = { 0 };
	uint32_t n_sq, n_cq;
	struct exp_transport *t = d->data ? d->data : d->mmc;
	int r;

	exp_nvme_get_feature(&cmd, EXP_NVME_FID_NUM_QUEUES);
	r = exp_device_ask(d, t, &cmd, &cqe, &e);
	if (r < 0 && !e.nvme_status) {
		if (err)
			*err = e;
		return r;
	}
	if (r < 0) /* an administrative controller has no such feature */
		return 0;
	exp_nvme_num_queues(cqe.dw0, &n_sq, &n_cq);
	c->nsqs = (uint16_t)(n_sq - 1);
	c->ncqs = (uint16_t)(n_cq - 1);
	return 0;
}

/* Controllers that a guest may get: all underlying ones but those that are ours. */
static int read_ctrls(struct exp_device *d, struct exp_caps *c, uint8_t *page,
		      struct exp_error *err)
{
	enum exp_nvme_cns cns = EXP_NVME_CNS_UNDERLYING_CTRLS;
	struct exp_nvme_ctrl_list list;
	uint16_t from = 0;
	bool there;
	int r;

	do {
		r = identify_optional(d, d->mmc, cns, from, page, &there, err);
		if (r == 0 && !there && cns == EXP_NVME_CNS_UNDERLYING_CTRLS) {
			cns = EXP_NVME_CNS_CTRL_LIST;
			r = exp_device_identify(d, d->mmc, cns, 0, from, page, err);
		}
		if (r == 0)
			r = exp_nvme_ctrl_list_parse(page, EXP_NVME_PAGE, &list, err);
		if (r < 0)
			return exp_error_wrap(err, r, "controller list");
		for (uint32_t i = 0; i < list.n && c->n_ctrls < EXP_CAPS_CTRLS_MAX; i++)
			if (list.id[i] != d->id.cntlid &&
			    (!d->data || list.id[i] != d->data_cntlid))
				c->ctrls[c->n_ctrls++].cntlid = list.id[i];
		from = list.n ? (uint16_t)(list.id[list.n - 1] + 1) : 0;
	} while (exp_nvme_ctrl_list_more(&list) && c->n_ctrls < EXP_CAPS_CTRLS_MAX);
	return 0;
}

static int read_exports(struct exp_device *d, struct exp_caps *c, struct exp_error *err)
{
	struct exp_subsys_name *names = NULL;
	struct exp_subsys *s = NULL;
	size_t n;
	int r;

	if (!(c->flags & EXP_CAP_TEMPLATE))
		return 0;
	r = exp_subsys_list(d, &names, &n, err);
	if (r < 0)
		return r;
	c->n_exports = (uint16_t)n;
	s = malloc(sizeof(*s));
	if (!s)
		r = exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "exported subsystems");
	for (size_t i = 0; i < n && r == 0; i++) {
		r = exp_subsys_read(d, names[i].esubid, s, err);
		if (r == -ENOENT) { /* deleted since the list was read */
			r = 0;
			continue;
		}
		for (uint32_t j = 0; j < s->n_ctrls && r == 0; j++)
			for (uint32_t k = 0; k < c->n_ctrls; k++)
				if (c->ctrls[k].cntlid == s->ctrls[j].cntlid) {
					c->ctrls[k].associated = true;
					c->ctrls[k].esubid = s->esubid;
				}
	}
	free(names);
	free(s);
	return r;
}

/* Which controllers have a VM behind them. A drive without migration has none that matter. */
static int read_live(struct exp_device *d, struct exp_caps *c, struct exp_error *err)
{
	int r = 0;

	if (!(c->flags & EXP_CAP_MMC) || (!c->n_versions && !c->n_state_uuids))
		return 0;
	for (uint32_t i = 0; i < c->n_ctrls && r == 0; i++)
		r = exp_ctrl_is_live(d, c->ctrls[i].cntlid, &c->ctrls[i].enabled, err);
	return r;
}

static int fill_caps(struct exp_device *d, uint8_t *page, struct exp_caps *c, struct exp_error *err)
{
	int r;

	put_identity(d, c);
	put_flags(d, c);
	put_lists(d, c);
	c->total_bytes = d->id.tnvmcap;
	c->free_bytes = d->id.unvmcap;
	r = read_common_ns(d, c, page, err);
	if (r == 0)
		r = read_queue_counts(d, c, err);
	if (r == 0)
		r = read_ctrls(d, c, page, err);
	if (r == 0)
		r = read_exports(d, c, err);
	if (r == 0)
		r = read_live(d, c, err);
	return r;
}

int exp_device_read_all(struct exp_device *d, struct exp_error *err)
{
	uint8_t *page = aligned_alloc(EXP_NVME_PAGE, EXP_NVME_PAGE);
	int r;

	if (!page)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "identify");
	r = read_mmc(d, page, err);
	if (r == 0)
		r = read_data_ctrl(d, page, err);
	if (r == 0)
		r = read_formats(d, page, err);
	free(page);
	return r < 0 ? r : exp_device_refresh(d, err);
}

int exp_device_refresh(struct exp_device *d, struct exp_error *err)
{
	struct exp_caps *c = calloc(1, sizeof(*c));
	uint8_t *page = aligned_alloc(EXP_NVME_PAGE, EXP_NVME_PAGE);
	struct exp_nvme_id_ctrl id;
	int r = -ENOMEM;

	if (!c || !page) {
		exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "identify");
		goto out;
	}
	/* of this page only the free capacity moves */
	r = exp_device_identify(d, d->mmc, EXP_NVME_CNS_CTRL, 0, 0, page, err);
	if (r == 0)
		r = exp_nvme_id_ctrl_parse(page, EXP_NVME_PAGE, &id, err);
	if (r == 0)
		r = fill_caps(d, page, c, err);
	if (r == 0) {
		c->total_bytes = id.tnvmcap;
		c->free_bytes = id.unvmcap;
		pthread_mutex_lock(&d->lock);
		d->caps = *c;
		pthread_mutex_unlock(&d->lock);
	}
out:
	free(page);
	free(c);
	return r;
}
