/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subsys_list.c - reading the drive's lists of exported subsystems, each whole and of one moment
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "device/device_int.h"
#include "device/subsys_int.h"

#define LIST_BYTES_MAX (EXP_SUBSYS_MAX * 260u + 4u)
#define HEAD_BYTES     8u

int exp_subsys_receive(struct exp_device *d, enum exp_nvme_export_recv_sel sel, uint16_t esubid,
		       uint64_t off, void *buf, size_t bytes, struct exp_error *err)
{
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	int r;

	exp_nvme_export_receive(&cmd, sel, esubid, off, buf, bytes);
	r = exp_device_run(d, &cmd, 0, false, EXP_NO_CNTLID, &cqe, err);
	if (r == 0 && exp_nvme_assume_no_window(&cmd, cqe.status))
		r = exp_device_run(d, &cmd, 0, false, EXP_NO_CNTLID, &cqe, err);
	return r < 0 ? r : exp_nvme_check(&cmd, &cqe, err);
}

/* One try. -EAGAIN without a message: the list changed while it was read. */
static int read_once(struct exp_device *d, enum exp_nvme_export_recv_sel sel, uint16_t esubid,
		     uint8_t **ret, size_t *ret_len, struct exp_error *err)
{
	size_t piece = EXP_MIN(d->mmc->max_bytes, (size_t)LIST_BYTES_MAX) / EXP_NVME_EXPORT_BUF *
		       EXP_NVME_EXPORT_BUF;
	struct exp_nvme_list_head head, again;
	uint8_t *list = calloc(1, EXP_NVME_EXPORT_BUF), *bigger;
	uint8_t tail[EXP_NVME_EXPORT_BUF];
	size_t have = EXP_NVME_EXPORT_BUF;
	int r;

	if (!list)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "list");
	r = exp_subsys_receive(d, sel, esubid, 0, list, have, err);
	if (r == 0)
		r = exp_nvme_export_list_head(sel, list, have, &head, err);
	if (r == 0 && head.bytes > LIST_BYTES_MAX)
		r = exp_error_set(err, EXP_CODE_DEVICE_DATA, E2BIG,
				  "a list of %zu bytes, at most %u are taken", head.bytes,
				  LIST_BYTES_MAX);
	if (r < 0)
		goto out;
	if (head.bytes > have) {
		bigger = realloc(list, (head.bytes + 3) / 4 * 4);
		if (!bigger) {
			r = exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "list");
			goto out;
		}
		list = bigger;
	}
	while (r == 0 && have < head.bytes) {
		size_t n = EXP_MIN(piece, (head.bytes - have + 3) / 4 * 4);

		r = exp_subsys_receive(d, sel, esubid, have, list + have, n, err);
		have += n;
	}
	/* a list that came in one piece is of one moment */
	if (r == 0 && head.bytes > EXP_NVME_EXPORT_BUF) {
		r = exp_subsys_receive(d, sel, esubid, 0, tail, sizeof(tail), err);
		if (r == 0)
			r = exp_nvme_export_list_head(sel, tail, sizeof(tail), &again, err);
		if (r == 0 && !exp_nvme_export_same_list(&head, &again))
			r = -EAGAIN;
	}
out:
	if (r < 0) {
		free(list);
		return r;
	}
	*ret = list;
	*ret_len = head.bytes;
	return 0;
}

int exp_subsys_read_list(struct exp_device *d, enum exp_nvme_export_recv_sel sel, uint16_t esubid,
			 uint8_t **ret, size_t *ret_len, struct exp_error *err)
{
	for (int i = 0; i < EXP_NVME_LIST_TRIES; i++) {
		struct exp_error e = { 0 };
		int r = read_once(d, sel, esubid, ret, ret_len, &e);

		if (r == -EAGAIN && !e.nvme_status)
			continue;
		if (r < 0 && err)
			*err = e;
		return r;
	}
	return exp_error_set(err, EXP_CODE_DEVICE, EBUSY,
			     "a list of exported subsystems changed during each of %d readings",
			     EXP_NVME_LIST_TRIES);
}

int exp_subsys_list(struct exp_device *d, struct exp_subsys_name **ret, size_t *ret_n,
		    struct exp_error *err)
{
	struct exp_nvme_export_list l;
	struct exp_nvme_export_subsys s;
	struct exp_subsys_name *names = NULL;
	uint8_t *raw = NULL;
	size_t len;
	int r;

	r = exp_subsys_read_list(d, EXP_NVME_EXPORT_LIST_SUBSYS, 0, &raw, &len, err);
	if (r == 0)
		r = exp_nvme_export_subsys_parse(raw, len, &l, err);
	if (r == 0 && l.n) {
		names = calloc(l.n, sizeof(*names));
		if (!names)
			r = exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "list");
	}
	for (uint32_t i = 0; r == 0 && i < l.n; i++) {
		exp_nvme_export_subsys_at(&l, i, &s);
		names[i] = (struct exp_subsys_name){ s.esubid, s.nqn };
	}
	free(raw);
	if (r < 0)
		return exp_error_wrap(err, r, "list exported subsystems");
	*ret = names;
	*ret_n = l.n;
	return 0;
}

int exp_subsys_find(struct exp_device *d, const struct exp_nqn *nqn, uint16_t *ret_esubid,
		    struct exp_error *err)
{
	struct exp_subsys_name *names;
	size_t n;
	bool found = false;
	int r = exp_subsys_list(d, &names, &n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && !found; i++) {
		found = !strcmp(names[i].nqn.s, nqn->s);
		if (found)
			*ret_esubid = names[i].esubid;
	}
	free(names);
	return found ? 0
		     : exp_error_set(err, EXP_CODE_NOT_FOUND, ENOENT,
				     "no exported subsystem %s on this drive", nqn->s);
}

static int read_ns(struct exp_device *d, struct exp_subsys *s, struct exp_error *err)
{
	struct exp_nvme_export_list l;
	struct exp_nvme_export_ns ns;
	uint8_t *raw = NULL;
	size_t len;
	int r = exp_subsys_read_list(d, EXP_NVME_EXPORT_LIST_NS, s->esubid, &raw, &len, err);

	if (r == 0)
		r = exp_nvme_export_ns_parse(raw, len, &l, err);
	if (r == 0 && l.n > EXP_SUBSYS_MEMBERS_MAX)
		r = exp_error_set(err, EXP_CODE_TOO_LARGE, E2BIG,
				  "%u namespaces, at most %d are handled", l.n,
				  EXP_SUBSYS_MEMBERS_MAX);
	for (uint32_t i = 0; r == 0 && i < l.n; i++) {
		exp_nvme_export_ns_at(&l, i, &ns);
		s->ns[i].ensid = ns.ensid;
		s->ns[i].nsid = ns.unsid;
		s->n_ns = i + 1;
	}
	free(raw);
	return r;
}

/* A drive that cannot list controllers is believed without: ctrls_known stays false. */
static int read_ctrls(struct exp_device *d, struct exp_subsys *s, struct exp_error *err)
{
	struct exp_nvme_export_list l;
	struct exp_nvme_export_ctrl c;
	struct exp_error e = { 0 };
	uint8_t *raw = NULL;
	size_t len;
	int r = exp_subsys_read_list(d, EXP_NVME_EXPORT_LIST_CTRLS, s->esubid, &raw, &len, &e);

	if (r < 0 && e.nvme_status && exp_nvme_means_no_list(e.nvme_status))
		return 0;
	if (r == 0)
		r = exp_nvme_export_ctrls_parse(raw, len, &l, &e);
	if (r == 0 && l.n > EXP_SUBSYS_MEMBERS_MAX)
		r = exp_error_set(&e, EXP_CODE_TOO_LARGE, E2BIG,
				  "%u controllers, at most %d are handled", l.n,
				  EXP_SUBSYS_MEMBERS_MAX);
	for (uint32_t i = 0; r == 0 && i < l.n; i++) {
		exp_nvme_export_ctrl_at(&l, i, &c);
		s->ctrls[i].ecntlid = c.ecntlid;
		s->ctrls[i].cntlid = c.cntlid;
		s->n_ctrls = i + 1;
	}
	s->ctrls_known = r == 0;
	free(raw);
	if (r < 0 && err)
		*err = e;
	return r;
}

/*
 * Only the vendor neutral template is known here, and with it the length of its state. A drive that
 * does not take a length is asked for a whole buffer.
 */
static int read_config(struct exp_device *d, struct exp_subsys *s, struct exp_error *err)
{
	static const size_t lengths[] = { EXP_NVME_REF_CONFIG_BYTES, EXP_NVME_EXPORT_BUF };
	struct exp_error e = { 0 };
	bool any = false;
	int r = -EREMOTEIO;

	for (size_t i = 0; i < EXP_ARRAY_SIZE(lengths) && r < 0; i++) {
		r = exp_subsys_receive(d, EXP_NVME_EXPORT_GET_CONFIG, s->esubid, 0, s->config,
				       lengths[i], &e);
		if (r < 0 && e.nvme_status != EXP_NVME_SC_INVALID_FIELD)
			break;
	}
	if (r < 0 && !e.nvme_status) {
		if (err)
			*err = e;
		return r;
	}
	/* refused: none was set yet; and beyond the state a buffer means nothing */
	memset(s->config + (r < 0 ? 0 : EXP_NVME_REF_CONFIG_BYTES), 0,
	       sizeof(s->config) - (r < 0 ? 0 : EXP_NVME_REF_CONFIG_BYTES));
	for (size_t i = 0; i < EXP_NVME_REF_CONFIG_BYTES && !any; i++)
		any = s->config[i];
	s->config_len = any ? EXP_NVME_REF_CONFIG_BYTES : 0;
	return 0;
}

_Static_assert(EXP_NVME_EXPORT_BUF <= EXP_CONFIG_STATE_MAX, "a whole buffer is read into it");

int exp_subsys_read(struct exp_device *d, uint16_t esubid, struct exp_subsys *ret,
		    struct exp_error *err)
{
	struct exp_subsys_name *names;
	bool found = false;
	size_t n;
	int r = exp_subsys_list(d, &names, &n, err);

	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < n && !found; i++) {
		found = names[i].esubid == esubid;
		if (found)
			ret->nqn = names[i].nqn;
	}
	free(names);
	if (!found)
		return exp_error_set(err, EXP_CODE_NOT_FOUND, ENOENT,
				     "no exported subsystem with handle %u on this drive", esubid);
	ret->esubid = esubid;
	r = read_ns(d, ret, err);
	if (r == 0)
		r = read_ctrls(d, ret, err);
	if (r == 0)
		r = read_config(d, ret, err);
	return r < 0 ? exp_error_wrap(err, r, "exported subsystem %u", esubid) : 0;
}
