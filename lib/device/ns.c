/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "device/device_int.h"
#include "device/ns.h"
#include "nvme/admin_cmd.h"

static void free_page(uint8_t **p)
{
	free(*p);
}

static uint8_t *new_page(struct exp_error *err)
{
	uint8_t *p = calloc(1, EXP_NVME_PAGE);

	if (!p)
		exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "identify page");
	return p;
}

/* The drive's index of the format with this block size and no metadata. */
static int find_format(struct exp_device *d, uint32_t lba_bytes, uint8_t *ret,
		       struct exp_error *err)
{
	int found = -1;

	pthread_mutex_lock(&d->lock);
	for (uint32_t i = 0; i < d->caps.n_formats && found < 0; i++)
		if (d->caps.formats[i].lba_bytes == lba_bytes && !d->caps.formats[i].ms)
			found = (int)i;
	pthread_mutex_unlock(&d->lock);
	if (found < 0)
		return exp_error_set(
			err, EXP_CODE_NOT_SUPPORTED, EOPNOTSUPP,
			"the drive has no format with blocks of %u bytes and no metadata",
			lba_bytes);
	*ret = (uint8_t)found;
	return 0;
}

int exp_ns_create(struct exp_device *d, uint64_t nsze, uint32_t lba_bytes, uint32_t *ret_nsid,
		  struct exp_error *err)
{
	EXP_CLEANUP(free_page) uint8_t *page = new_page(err);
	struct exp_nvme_ns_create spec = { .nsze = nsze, .ncap = nsze, .shared = true };
	struct exp_ns_info info;
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	int r;

	if (!page)
		return -ENOMEM;
	r = find_format(d, lba_bytes, &spec.format, err);
	if (r < 0)
		return r;
	exp_nvme_ns_create(&cmd, &spec, page);
	r = exp_device_change(d, &cmd, EXP_NO_CNTLID, &cqe, err);
	if (r < 0)
		return exp_error_wrap(err, r, "namespace of %" PRIu64 " blocks of %u bytes", nsze,
				      lba_bytes);
	r = exp_ns_identify(d, cqe.dw0, &info, err);
	if (r == 0 && (info.nsze != nsze || info.lba_bytes != lba_bytes || info.ms || !info.shared))
		r = exp_error_set(err, EXP_CODE_DEVICE_DATA, EBADMSG,
				  "namespace %u was made with %" PRIu64
				  " blocks of %u+%u bytes, %s; "
				  "asked for %" PRIu64 " of %u, shared",
				  cqe.dw0, info.nsze, info.lba_bytes, info.ms,
				  info.shared ? "shared" : "private", nsze, lba_bytes);
	if (r < 0) {
		/* not what was asked for: nobody would ever know about it */
		(void)!exp_ns_delete(d, cqe.dw0, NULL);
		return r;
	}
	*ret_nsid = cqe.dw0;
	return 0;
}

int exp_ns_identify(struct exp_device *d, uint32_t nsid, struct exp_ns_info *ret,
		    struct exp_error *err)
{
	EXP_CLEANUP(free_page) uint8_t *page = new_page(err);
	struct exp_nvme_ns_descs descs = { 0 };
	struct exp_nvme_id_ns ns;
	struct exp_error e = { 0 };
	int r;

	if (!page)
		return -ENOMEM;
	r = exp_device_identify(d, d->mmc, EXP_NVME_CNS_ALLOC_NS, nsid, 0, page, &e);
	if (r == 0)
		r = exp_nvme_id_ns_parse(page, EXP_NVME_PAGE, &ns, &e);
	if (r == -ENOENT)
		return exp_error_set(err, EXP_CODE_NOT_FOUND, ENOENT,
				     "there is no namespace %u on this drive", nsid);
	if (r == 0) {
		/* only controllers with the namespace tell its UUID; without one it is not known */
		r = exp_device_identify(d, d->mmc, EXP_NVME_CNS_NS_DESCS, nsid, 0, page, &e);
		if (r == 0)
			r = exp_nvme_ns_descs_parse(page, EXP_NVME_PAGE, &descs, &e);
		else if (e.nvme_status)
			r = 0;
	}
	if (r < 0) {
		if (err)
			*err = e;
		return exp_error_wrap(err, r, "namespace %u", nsid);
	}
	*ret = (struct exp_ns_info){
		.nsid = nsid,
		.nsze = ns.nsze,
		.ncap = ns.ncap,
		.nuse = ns.nuse,
		.lba_bytes = ns.lbaf[ns.format].lba_bytes,
		.ms = ns.lbaf[ns.format].ms,
		.shared = ns.nmic & EXP_NVME_NMIC_SHARED,
		.write_protected = ns.nsattr & EXP_NVME_NSATTR_WRITE_PROTECTED,
		.dlfeat = ns.dlfeat,
		.uuid = descs.uuid,
	};
	memcpy(ret->nguid, ns.nguid, sizeof(ret->nguid));
	memcpy(ret->eui64, ns.eui64, sizeof(ret->eui64));
	return 0;
}

int exp_ns_list(struct exp_device *d, uint32_t *ret, size_t max, size_t *ret_n,
		struct exp_error *err)
{
	EXP_CLEANUP(free_page) uint8_t *page = new_page(err);
	struct exp_nvme_ns_list list;
	size_t n = 0;
	int r;

	if (!page)
		return -ENOMEM;
	do {
		uint32_t after = n ? ret[n - 1] : 0;

		r = exp_device_identify(d, d->mmc, EXP_NVME_CNS_ALLOC_NS_LIST, after, 0, page, err);
		if (r == 0)
			r = exp_nvme_ns_list_parse(page, EXP_NVME_PAGE, &list, err);
		if (r < 0)
			return exp_error_wrap(err, r, "namespace list");
		if (list.n && list.id[0] <= after)
			return exp_error_set(err, EXP_CODE_DEVICE_DATA, EBADMSG,
					     "namespace list: asked for ids above %u, got %u",
					     after, list.id[0]);
		for (uint32_t i = 0; i < list.n; i++) {
			if (n == max)
				return exp_error_set(err, EXP_CODE_TOO_LARGE, E2BIG,
						     "more than %zu namespaces", max);
			ret[n++] = list.id[i];
		}
	} while (list.n == EXP_NVME_NS_LIST_MAX);
	*ret_n = n;
	return 0;
}

int exp_ns_attached(struct exp_device *d, uint32_t nsid, uint16_t ret[EXP_NS_CTRLS_MAX],
		    size_t *ret_n, struct exp_error *err)
{
	EXP_CLEANUP(free_page) uint8_t *page = new_page(err);
	struct exp_nvme_ctrl_list *list = NULL;
	int r;

	if (!page)
		return -ENOMEM;
	list = malloc(sizeof(*list));
	if (!list)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "controller list");
	r = exp_device_identify(d, d->mmc, EXP_NVME_CNS_NS_CTRL_LIST, nsid, 0, page, err);
	if (r == 0)
		r = exp_nvme_ctrl_list_parse(page, EXP_NVME_PAGE, list, err);
	if (r == 0 && list->n > EXP_NS_CTRLS_MAX)
		r = exp_error_set(err, EXP_CODE_TOO_LARGE, E2BIG,
				  "attached to %u controllers, at most %d are handled", list->n,
				  EXP_NS_CTRLS_MAX);
	if (r == 0) {
		memcpy(ret, list->id, list->n * sizeof(*ret));
		*ret_n = list->n;
	}
	free(list);
	return r < 0 ? exp_error_wrap(err, r, "controllers of namespace %u", nsid) : 0;
}

int exp_ns_is_attached(struct exp_device *d, uint32_t nsid, uint16_t cntlid, bool *ret,
		       struct exp_error *err)
{
	uint16_t ids[EXP_NS_CTRLS_MAX];
	size_t n;
	int r = exp_ns_attached(d, nsid, ids, &n, err);

	if (r < 0)
		return r;
	*ret = false;
	for (size_t i = 0; i < n; i++)
		*ret = *ret || ids[i] == cntlid;
	return 0;
}

/* Sends one attach or detach and believes only the drive's own list afterwards. */
static int set_attached(struct exp_device *d, uint32_t nsid, uint16_t cntlid, bool want,
			struct exp_error *err)
{
	EXP_CLEANUP(free_page) uint8_t *page = new_page(err);
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	bool is;
	int r;

	if (!page)
		return -ENOMEM;
	exp_nvme_ns_attach(&cmd, want ? EXP_NVME_NS_ATTACH : EXP_NVME_NS_DETACH, nsid, cntlid,
			   page);
	r = exp_device_run(d, &cmd, 0, true, cntlid, &cqe, err);
	if (r < 0)
		return r;
	if (cqe.status &&
	    cqe.status != (want ? EXP_NVME_SC_NS_ALREADY_ATTACHED : EXP_NVME_SC_NS_NOT_ATTACHED)) {
		r = exp_nvme_check(&cmd, &cqe, err);
		if (!want && exp_nvme_means_no_fence(cqe.status) && err)
			err->code = EXP_CODE_FENCE;
		return r;
	}
	r = exp_ns_is_attached(d, nsid, cntlid, &is, err);
	if (r < 0)
		return r;
	if (is != want)
		return exp_error_set(err, EXP_CODE_FENCE, EIO,
				     "the drive answered \"%s\" but its list says \"%s\"",
				     want ? "attached" : "detached", is ? "attached" : "detached");
	return 0;
}

int exp_ns_attach(struct exp_device *d, uint32_t nsid, uint16_t cntlid, struct exp_error *err)
{
	int r = set_attached(d, nsid, cntlid, true, err);

	return r < 0 ? exp_error_wrap(err, r, "attach namespace %u to controller %u", nsid, cntlid)
		     : 0;
}

int exp_ns_detach(struct exp_device *d, uint32_t nsid, uint16_t cntlid, struct exp_error *err)
{
	int r = set_attached(d, nsid, cntlid, false, err);

	return r < 0 ? exp_error_wrap(err, r, "detach namespace %u from controller %u", nsid,
				      cntlid)
		     : 0;
}

int exp_ns_delete(struct exp_device *d, uint32_t nsid, struct exp_error *err)
{
	uint16_t ids[EXP_NS_CTRLS_MAX];
	struct exp_ns_info info;
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	size_t n;
	int r;

	r = exp_ns_identify(d, nsid, &info, err);
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = exp_ns_attached(d, nsid, ids, &n, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = exp_ns_detach(d, nsid, ids[i], err);
	if (r < 0)
		return exp_error_wrap(err, r, "delete");
	exp_nvme_ns_delete(&cmd, nsid);
	r = exp_device_run(d, &cmd, 0, true, EXP_NO_CNTLID, &cqe, err);
	if (r < 0 || !cqe.status || cqe.status == EXP_NVME_SC_INVALID_NS)
		return r;
	return exp_error_wrap(err, exp_nvme_check(&cmd, &cqe, err), "delete namespace %u", nsid);
}
