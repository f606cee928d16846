/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subsys.c - exported subsystems: design, build, compare, take down
 *
 * A device that crashed half-way, or a daemon that did, leaves parts of a subsystem. So each step
 * looks first at what is there, and the parts of another one of the same handle are never touched:
 * handles are given out again, names are not.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/device_int.h"
#include "device/ns.h"
#include "device/subsys_int.h"

/* What a new export offers its guest at most: modest, so that drives of other makes can take it. */
#define GUEST_MDTS_MAX   5u    /* 128 KiB */
#define GUEST_MQES_MAX   1023u /* 0's based */
#define GUEST_QUEUES_MAX 31u   /* 0's based */
#define GUEST_MODEL      "expd virtual SSD"
#define GUEST_FIRMWARE   "1"

static void free_buf(uint8_t **p)
{
	free(*p);
}

static void free_subsys(struct exp_subsys **p)
{
	free(*p);
}

static uint8_t *new_buf(struct exp_error *err)
{
	uint8_t *p = calloc(1, EXP_NVME_EXPORT_BUF);

	if (!p)
		exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "command buffer");
	return p;
}

/* ---- design ---- */

static uint16_t at_most(uint16_t v, uint16_t max)
{
	return EXP_MIN(v, max);
}

int exp_subsys_design(struct exp_device *d, const struct exp_nqn *nqn, const struct exp_uuid *id,
		      uint64_t nsze, uint32_t lba_bytes, struct exp_export_desc *ret,
		      struct exp_error *err)
{
	struct exp_nvme_ref_config c = { .ensid = 1, .subnqn = *nqn, .uuid = *id };
	uint8_t ensti;
	int r;

	r = exp_nvme_ensti(&d->templates, &d->ref_template, d->config.templates_from_zero, &ensti,
			   err);
	if (r < 0)
		return exp_error_wrap(err, -EOPNOTSUPP, "design an export");
	if (!lba_bytes || lba_bytes & (lba_bytes - 1))
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "blocks of %u bytes: a power of two is needed", lba_bytes);
	/* the serial number has room for 80 bits of the id */
	for (size_t i = 0; i < 10; i++)
		(void)snprintf(c.sn + 2 * i, 3, "%02X", id->b[i]);
	(void)snprintf(c.mn, sizeof(c.mn), "%s", GUEST_MODEL);
	(void)snprintf(c.fr, sizeof(c.fr), "%s", GUEST_FIRMWARE);
	c.lbads = (uint8_t)__builtin_ctz(lba_bytes);
	pthread_mutex_lock(&d->lock);
	c.mdts = d->caps.mdts ? EXP_MIN(d->caps.mdts, GUEST_MDTS_MAX) : GUEST_MDTS_MAX;
	c.mqes = d->caps.mqes ? at_most(d->caps.mqes, GUEST_MQES_MAX) : GUEST_MQES_MAX;
	c.ncqs = at_most(d->caps.ncqs, GUEST_QUEUES_MAX);
	c.nsqs = at_most(d->caps.nsqs, GUEST_QUEUES_MAX);
	c.oncs = d->caps.oncs & (EXP_NVME_ONCS_DSM | EXP_NVME_ONCS_WRITE_ZEROES);
	pthread_mutex_unlock(&d->lock);

	memset(ret, 0, sizeof(*ret));
	ret->nqn = *nqn;
	ret->template = d->ref_template;
	ret->ensid = c.ensid;
	ret->ecntlid = c.ecntlid;
	ret->nsze = nsze;
	ret->lba_bytes = lba_bytes;
	ret->uuid = *id;
	ret->config_len = EXP_NVME_REF_CONFIG_BYTES;
	return exp_nvme_ref_config_encode(&c, ret->config, err);
}

/* ---- compare ---- */

static int differs(struct exp_error *err, const char *what, unsigned long long have,
		   unsigned long long want)
{
	return exp_error_set(err, EXP_CODE_CONFLICT, ESTALE, "%s is %llu, expected %llu", what,
			     have, want);
}

static int compare_config(const struct exp_subsys *s, const struct exp_export_desc *desc,
			  struct exp_error *err)
{
	if (s->config_len != desc->config_len)
		return differs(err, "length of the configuration state", s->config_len,
			       desc->config_len);
	for (uint32_t i = 0; i < s->config_len; i++)
		if (s->config[i] != desc->config[i])
			return exp_error_set(
				err, EXP_CODE_CONFLICT, ESTALE,
				"byte %u of the configuration state is %02xh, expected "
				"%02xh",
				i, s->config[i], desc->config[i]);
	return 0;
}

static int compare(const struct exp_subsys *s, const struct exp_export_desc *desc,
		   const struct exp_place *place, struct exp_error *err)
{
	if (strcmp(s->nqn.s, desc->nqn.s))
		return exp_error_set(err, EXP_CODE_CONFLICT, ESTALE, "its name is %s, expected %s",
				     s->nqn.s, desc->nqn.s);
	if (s->n_ns != 1)
		return differs(err, "number of namespaces", s->n_ns, 1);
	if (s->ns[0].ensid != desc->ensid)
		return differs(err, "exported namespace id", s->ns[0].ensid, desc->ensid);
	if (s->ns[0].nsid != place->nsid)
		return differs(err, "underlying namespace id", s->ns[0].nsid, place->nsid);
	if (s->ctrls_known) {
		if (s->n_ctrls != 1)
			return differs(err, "number of controllers", s->n_ctrls, 1);
		if (s->ctrls[0].ecntlid != desc->ecntlid)
			return differs(err, "exported controller id", s->ctrls[0].ecntlid,
				       desc->ecntlid);
		if (s->ctrls[0].cntlid != place->cntlid)
			return differs(err, "underlying controller id", s->ctrls[0].cntlid,
				       place->cntlid);
	}
	return compare_config(s, desc, err);
}

int exp_subsys_compare(struct exp_device *d, const struct exp_export_desc *desc,
		       const struct exp_place *place, struct exp_error *err)
{
	EXP_CLEANUP(free_subsys) struct exp_subsys *s = malloc(sizeof(*s));
	int r;

	if (!s)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "exported subsystem");
	r = exp_subsys_read(d, place->esubid, s, err);
	if (r == 0)
		r = compare(s, desc, place, err);
	return r < 0 ? exp_error_wrap(err, r, "exported subsystem %u", place->esubid) : 0;
}

/* ---- build ---- */

/* A status that means something more definite in this place of the protocol. */
static int refused(const struct exp_nvme_cmd *cmd, const struct exp_nvme_cqe *cqe,
		   struct exp_error *err)
{
	uint32_t byte;
	unsigned int bit;
	int r = exp_nvme_check(cmd, cqe, err);

	if (cqe->status == EXP_NVME_SC_CTRL_ACTIVE) {
		if (err)
			err->code = EXP_CODE_BUSY;
		return exp_error_wrap(err, -EBUSY,
				      "the guest's function is enabled; its VMM has to release it");
	}
	if (cqe->status == EXP_NVME_SC_INVALID_CONFIG_STATE) {
		exp_nvme_export_config_fault(cqe, &byte, &bit);
		return exp_error_wrap(err, r, "byte %u, bit %u of the configuration state", byte,
				      bit);
	}
	return r;
}

static int send(struct exp_device *d, struct exp_nvme_cmd *cmd, uint32_t cntlid,
		struct exp_nvme_cqe *ret, struct exp_error *err)
{
	int r = exp_device_run(d, cmd, 0, true, cntlid, ret, err);

	if (r == 0 && exp_nvme_assume_no_window(cmd, ret->status))
		r = exp_device_run(d, cmd, 0, true, cntlid, ret, err);
	return r;
}

static int create(struct exp_device *d, const struct exp_export_desc *desc, uint16_t *ret_esubid,
		  struct exp_error *err)
{
	EXP_CLEANUP(free_buf) uint8_t *buf = new_buf(err);
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	uint8_t ensti;
	int r;

	if (!buf)
		return -ENOMEM;
	r = exp_nvme_ensti(&d->templates, &desc->template, d->config.templates_from_zero, &ensti,
			   err);
	if (r < 0)
		return -EOPNOTSUPP;
	exp_nvme_export_create(&cmd, ensti, &desc->nqn, buf);
	r = send(d, &cmd, EXP_NO_CNTLID, &cqe, err);
	if (r < 0)
		return r;
	if (cqe.status) {
		r = refused(&cmd, &cqe, err);
		if (exp_nvme_means_no_room(cqe.status)) {
			if (err)
				err->code = EXP_CODE_NO_SPACE;
			r = exp_error_wrap(err, -ENOSPC,
					   "no room for another export, or a name "
					   "that is there already");
		}
		return r;
	}
	*ret_esubid = exp_nvme_export_esubid(&cqe);
	return 0;
}

static int associate_ns(struct exp_device *d, const struct exp_export_desc *desc,
			const struct exp_place *place, uint8_t *buf, struct exp_nvme_cqe *cqe,
			struct exp_error *err)
{
	struct exp_nvme_cmd cmd;
	int r;

	exp_nvme_export_ns_associate(&cmd, place->esubid, desc->ensid, place->nsid, buf);
	r = send(d, &cmd, EXP_NO_CNTLID, cqe, err);
	return r < 0 || !cqe->status ? r : refused(&cmd, cqe, err);
}

static int set_config(struct exp_device *d, const struct exp_export_desc *desc,
		      const struct exp_place *place, uint8_t *buf, struct exp_nvme_cqe *cqe,
		      struct exp_error *err)
{
	struct exp_nvme_cmd cmd;
	int r = exp_nvme_export_set_config(&cmd, place->esubid, desc->config, desc->config_len, buf,
					   err);

	if (r == 0)
		r = send(d, &cmd, EXP_NO_CNTLID, cqe, err);
	return r < 0 || !cqe->status ? r : refused(&cmd, cqe, err);
}

static int associate_ctrl(struct exp_device *d, const struct exp_export_desc *desc,
			  const struct exp_place *place, uint8_t *buf, struct exp_error *err)
{
	struct exp_nvme_export_ctrl pair = { .ecntlid = desc->ecntlid, .cntlid = place->cntlid };
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	int r;

	exp_nvme_export_associate_ctrls(&cmd, place->esubid, &pair, 1, buf);
	r = send(d, &cmd, place->cntlid, &cqe, err);
	if (r < 0 || !cqe.status)
		return r;
	r = refused(&cmd, &cqe, err);
	if (exp_nvme_means_bad_ctrl(cqe.status))
		r = exp_error_wrap(err, r, "controller %u is unknown to the drive", place->cntlid);
	else if (exp_nvme_means_taken(cqe.status))
		r = exp_error_wrap(err, r,
				   "controller %u belongs to another export, or has other "
				   "namespaces attached",
				   place->cntlid);
	return r;
}

/* Namespace, then configuration; a drive that wants the other order says so once. */
static int populate(struct exp_device *d, const struct exp_export_desc *desc,
		    const struct exp_place *place, struct exp_error *err)
{
	EXP_CLEANUP(free_buf) uint8_t *buf = new_buf(err);
	struct exp_nvme_cqe cqe = { 0 };
	int r;

	if (!buf)
		return -ENOMEM;
	r = associate_ns(d, desc, place, buf, &cqe, err);
	if (r < 0 && exp_nvme_means_wrong_order(cqe.status)) {
		r = set_config(d, desc, place, buf, &cqe, err);
		if (r == 0)
			r = associate_ns(d, desc, place, buf, &cqe, err);
	} else if (r == 0) {
		r = set_config(d, desc, place, buf, &cqe, err);
	}
	return r < 0 ? r : associate_ctrl(d, desc, place, buf, err);
}

static int teardown_subsys(struct exp_device *d, const struct exp_nqn *nqn, uint16_t esubid,
			   struct exp_error *err);

/* Is there one already? 1: and it is equal, 0: none any more. */
static int settle_existing(struct exp_device *d, const struct exp_export_desc *desc,
			   struct exp_place *place, bool replace, struct exp_error *err)
{
	struct exp_error diff = { 0 }, none = { 0 };
	uint16_t esubid;
	int r = exp_subsys_find(d, &desc->nqn, &esubid, &none);

	if (r == -ENOENT && !none.nvme_status)
		return 0;
	if (r < 0) {
		if (err)
			*err = none;
		return r;
	}
	place->esubid = esubid;
	r = exp_subsys_compare(d, desc, place, &diff);
	if (r == 0)
		return 1;
	if (r != -ESTALE) {
		if (err)
			*err = diff;
		return r;
	}
	if (!replace)
		return exp_error_set(err, EXP_CODE_EXISTS, EEXIST,
				     "the drive has another export of that name: %s", diff.msg);
	return teardown_subsys(d, &desc->nqn, esubid, err);
}

int exp_subsys_build(struct exp_device *d, const struct exp_export_desc *desc,
		     struct exp_place *place, bool replace, struct exp_error *err)
{
	struct exp_place p = *place;
	int r = settle_existing(d, desc, &p, replace, err);

	if (r == 0) {
		r = create(d, desc, &p.esubid, err);
		if (r == 0) {
			r = populate(d, desc, &p, err);
			if (r == 0)
				r = exp_subsys_compare(d, desc, &p, err);
			if (r < 0)
				(void)!exp_subsys_discard(d, p.esubid, NULL);
		}
	}
	if (r < 0)
		return exp_error_wrap(err, r, "build %s", desc->nqn.s);
	place->esubid = p.esubid;
	return 0;
}

/* ---- take down ---- */

static int delete_subsys(struct exp_device *d, uint16_t esubid, uint16_t *ret_status,
			 struct exp_error *err)
{
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	int r;

	exp_nvme_export_delete(&cmd, esubid);
	r = exp_device_run(d, &cmd, 0, true, EXP_NO_CNTLID, &cqe, err);
	*ret_status = r < 0 ? 0 : cqe.status;
	return r < 0 || !cqe.status ? r : refused(&cmd, &cqe, err);
}

/* From every controller: an exported namespace that is attached anywhere cannot be taken out. */
static int release_ns(struct exp_device *d, uint16_t esubid, uint32_t ensid, uint32_t nsid,
		      struct exp_error *err)
{
	EXP_CLEANUP(free_buf) uint8_t *buf = new_buf(err);
	uint16_t ids[EXP_NS_CTRLS_MAX];
	struct exp_ns_info info;
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	size_t n = 0;
	int r;

	if (!buf)
		return -ENOMEM;
	r = exp_ns_identify(d, nsid, &info, err);
	if (r == 0)
		r = exp_ns_attached(d, nsid, ids, &n, err);
	else if (r == -ENOENT)
		r = 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = exp_ns_detach(d, nsid, ids[i], err);
	if (r < 0)
		return r;
	exp_nvme_export_ns_disassociate(&cmd, esubid, ensid, buf);
	r = send(d, &cmd, EXP_NO_CNTLID, &cqe, err);
	return r < 0 || !cqe.status ? r : refused(&cmd, &cqe, err);
}

int exp_subsys_discard(struct exp_device *d, uint16_t esubid, struct exp_error *err)
{
	EXP_CLEANUP(free_subsys) struct exp_subsys *s = malloc(sizeof(*s));
	uint16_t status;
	int r;

	if (!s)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "exported subsystem");
	/*
	 * First as it is: a drive that sees the guest's controller enabled says so before anything
	 * was taken away from a guest that may be running.
	 */
	r = delete_subsys(d, esubid, &status, err);
	if (r == 0 || !status || !exp_nvme_means_in_use(status) ||
	    status == EXP_NVME_SC_CTRL_ACTIVE)
		return r;
	r = exp_subsys_read(d, esubid, s, err);
	for (uint32_t i = 0; r == 0 && i < s->n_ns; i++)
		r = release_ns(d, esubid, s->ns[i].ensid, s->ns[i].nsid, err);
	if (r < 0)
		return r;
	r = delete_subsys(d, esubid, &status, err);
	if (r < 0 && exp_nvme_means_in_use(status)) {
		if (err)
			err->code = EXP_CODE_BUSY;
		r = -EBUSY;
	}
	return r;
}

static int teardown_subsys(struct exp_device *d, const struct exp_nqn *nqn, uint16_t esubid,
			   struct exp_error *err)
{
	int r = exp_subsys_discard(d, esubid, err);

	return r < 0 ? exp_error_wrap(err, r, "take down %s", nqn->s) : 0;
}

int exp_subsys_teardown(struct exp_device *d, const struct exp_export_desc *desc,
			const struct exp_place *place, bool delete_ns, struct exp_error *err)
{
	struct exp_error none = { 0 };
	uint16_t esubid;
	int r = exp_subsys_find(d, &desc->nqn, &esubid, &none);

	if (r == 0) {
		r = teardown_subsys(d, &desc->nqn, esubid, err);
	} else if (r == -ENOENT && !none.nvme_status) {
		r = 0;
	} else if (err) {
		*err = none;
	}
	if (r == 0 && delete_ns)
		r = exp_ns_delete(d, place->nsid, err);
	/* a state that was sent to it and never committed went with its subsystem */
	if (r == 0)
		exp_device_set_loading(d, place->cntlid, false);
	return r;
}
