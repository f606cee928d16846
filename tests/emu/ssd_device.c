/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_device.c - the device as a whole: opening an image, the gates between threads, and the one
 * way in which configuration changes
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "emu/ssd_cdq.h"
#include "emu/ssd_internal.h"

void ssd_enter(struct ssd_fn *fn)
{
	pthread_mutex_lock(&fn->gate);
	/* a mutex is not fair: without this, a busy function could keep the MMC out for long */
	while (atomic_load(&fn->intruders))
		pthread_cond_wait(&fn->turn, &fn->gate);
}

void ssd_leave(struct ssd_fn *fn)
{
	pthread_mutex_unlock(&fn->gate);
}

void ssd_intrude(struct ssd_fn *fn)
{
	if (fn->is_mmc)
		return;
	atomic_fetch_add(&fn->intruders, 1);
	pthread_mutex_lock(&fn->gate);
}

void ssd_retire(struct ssd_fn *fn)
{
	if (fn->is_mmc)
		return;
	atomic_fetch_sub(&fn->intruders, 1);
	pthread_cond_signal(&fn->turn);
	pthread_mutex_unlock(&fn->gate);
	if (fn->host.wake)
		fn->host.wake(fn->host.arg);
}

struct ssd_fn *ssd_by_cntlid(struct ssd *ssd, uint16_t cntlid)
{
	return cntlid < ssd->n_fn ? &ssd->fn[cntlid] : NULL;
}

struct ssd_ns *ssd_find_ns(struct ssd *ssd, uint32_t nsid)
{
	for (size_t i = 0; i < ssd->n_ns; i++)
		if (ssd->ns[i]->nsid == nsid)
			return ssd->ns[i];
	return NULL;
}

uint16_t ssd_commit(struct ssd *ssd, const struct ssd_image *next)
{
	struct exp_error err = { 0 };

	if (ssd_store_save(ssd->store, next, &err) < 0) {
		exp_log(LOG_ERR, "the image could not be saved; the command fails",
			kv_s("error", err.msg));
		return ST_INTERNAL;
	}
	*ssd->img = *next;
	return ST_OK;
}

void ssd_refresh_fn(struct ssd_fn *fn)
{
	struct ssd *ssd = fn->ssd;
	const struct ssd_image_export *e = ssd_image_export_of_ctrl(ssd->img, fn->cntlid);
	uint64_t bit = UINT64_C(1) << fn->cntlid;

	ssd_face_set(fn, e);
	fn->n_ns = 0;
	for (size_t i = 0; i < ssd->img->n_ns; i++) {
		const struct ssd_image_ns *meta = &ssd->img->ns[i];
		uint32_t nsid = meta->nsid;

		if (!(meta->attached & bit))
			continue;
		if (e && (!e->ensid || e->unsid != nsid))
			continue; /* cannot be attached; if it were, a guest must not see it */
		if (e)
			nsid = e->ensid;
		fn->ns[fn->n_ns++] = (struct ssd_nsref){ nsid, ssd_find_ns(ssd, meta->nsid) };
	}
}

static int open_namespaces(struct ssd *ssd, struct exp_error *err)
{
	for (size_t i = 0; i < ssd->img->n_ns; i++) {
		const struct ssd_image_ns *meta = &ssd->img->ns[i];
		struct ssd_ns *ns = calloc(1, sizeof(*ns));
		int r;

		if (!ns)
			return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
		*ns = (struct ssd_ns){ .nsid = meta->nsid,
				       .lbads = meta->lbads,
				       .shared = meta->shared,
				       .blocks = meta->blocks,
				       .file = meta->file,
				       .nguid = meta->nguid,
				       .uuid = meta->uuid,
				       .fd = -1 };
		ssd->ns[ssd->n_ns++] = ns;
		r = ssd_store_attach(ssd->store, meta->file, meta->blocks << meta->lbads, &ns->fd,
				     err);
		if (r < 0)
			return exp_error_wrap(err, r, "namespace %u", meta->nsid);
	}
	return 0;
}

static int check_config(const struct ssd_config *c, const struct ssd_profile *p,
			struct exp_error *err)
{
	if (!p)
		return exp_error_set(err, EXP_CODE_USAGE, EINVAL,
				     "no profile \"%s\"; --list-profiles shows them", c->profile);
	if (c->functions && (c->functions < 4 || c->functions >= SSD_MAX_FN))
		return exp_error_set(err, EXP_CODE_USAGE, EINVAL, "%u functions, not 4..%d",
				     c->functions, SSD_MAX_FN - 1);
	return 0;
}

/* The image that was found has to be the one that is asked for. */
static int check_image(const struct ssd_config *c, const struct ssd_image *img,
		       struct exp_error *err)
{
	if (strcmp(img->profile, c->profile))
		return exp_error_set(
			err, EXP_CODE_CONFLICT, EINVAL,
			"%s was made by profile \"%s\", not \"%s\": use that profile or "
			"another directory",
			c->dir, img->profile, c->profile);
	if (c->functions && c->functions != img->functions)
		return exp_error_set(err, EXP_CODE_CONFLICT, EINVAL,
				     "%s was made with %u functions, not %u: use that number or "
				     "another directory",
				     c->dir, img->functions, c->functions);
	if (c->capacity_bytes && c->capacity_bytes != img->capacity_bytes)
		return exp_error_set(err, EXP_CODE_CONFLICT, EINVAL,
				     "%s was made with %" PRIu64 " bytes, not %" PRIu64
				     ": use that capacity or another directory",
				     c->dir, img->capacity_bytes, c->capacity_bytes);
	return 0;
}

static void new_image(const struct ssd_config *c, const struct ssd_profile *p,
		      struct ssd_image *img)
{
	*img = (struct ssd_image){
		.uuid = exp_uuid_new(),
		.capacity_bytes = c->capacity_bytes ? c->capacity_bytes : p->capacity_bytes,
		.functions = c->functions ? c->functions : 4,
		.next_file = 1,
	};
	snprintf(img->profile, sizeof(img->profile), "%s", p->name);
	/* not 1, 2, 3: a handle that is taken for an index somewhere should be found out */
	img->last_esubid = (uint16_t)(0x0100 | img->uuid.b[0]);
}

static void drop_exports(struct ssd_image *img)
{
	if (img->n_exports)
		img->gn_exports++;
	img->n_exports = 0;
	memset(img->exports, 0, sizeof(img->exports));
}

static void name_drive(struct ssd *ssd)
{
	const uint8_t *u = ssd->img->uuid.b;
	char text[EXP_UUID_TEXT];

	snprintf(ssd->serial, sizeof(ssd->serial), "%s%02X%02X%02X%02X%02X%02X",
		 ssd->profile->serial_prefix, u[10], u[11], u[12], u[13], u[14], u[15]);
	snprintf(ssd->nqn, sizeof(ssd->nqn), "nqn.2014-08.org.nvmexpress:uuid:%s",
		 exp_uuid_format(&ssd->img->uuid, text));
}

static void start_functions(struct ssd *ssd)
{
	ssd->n_fn = ssd->img->functions + 1;
	for (unsigned int i = 0; i < ssd->n_fn; i++) {
		struct ssd_fn *fn = &ssd->fn[i];

		fn->ssd = ssd;
		fn->cntlid = (uint16_t)i;
		fn->is_mmc = !i;
		pthread_mutex_init(&fn->gate, NULL);
		pthread_cond_init(&fn->turn, NULL);
	}
	for (unsigned int i = 0; i < ssd->n_fn; i++) {
		ssd_refresh_fn(&ssd->fn[i]);
		ssd_ctrl_reset(&ssd->fn[i]);
	}
}

static int load(struct ssd *ssd, const struct ssd_config *c, struct exp_error *err)
{
	bool fresh;
	int r;

	r = ssd_store_open(c->dir, c->faults, &ssd->store, ssd->img, &fresh, err);
	if (r < 0)
		return r;
	if (fresh) {
		new_image(c, ssd->profile, ssd->img);
		r = ssd_store_save(ssd->store, ssd->img, err);
	} else {
		r = check_image(c, ssd->img, err);
		if (!r && c->power_cycle && ssd->profile->sw.power_cycle_drops_config) {
			drop_exports(ssd->img);
			r = ssd_store_save(ssd->store, ssd->img, err);
		}
	}
	if (r < 0)
		return r;
	ssd_store_tidy(ssd->store, ssd->img);
	return open_namespaces(ssd, err);
}

EXP_DEFINE_CLEANUP(struct ssd *, ssd_close)

int ssd_open(const struct ssd_config *c, struct ssd **ret, struct exp_error *err)
{
	EXP_CLEANUP(ssd_closep) struct ssd *ssd = calloc(1, sizeof(*ssd));
	int r;

	if (!ssd)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	ssd->profile = ssd_profile_find(c->profile);
	r = check_config(c, ssd->profile, err);
	if (r < 0)
		return r;
	ssd->img = calloc(1, sizeof(*ssd->img));
	if (!ssd->img)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	r = load(ssd, c, err);
	if (r < 0)
		return r;
	name_drive(ssd);
	start_functions(ssd);
	*ret = EXP_TAKE(ssd);
	return 0;
}

void ssd_close(struct ssd *ssd)
{
	if (!ssd)
		return;
	ssd_cdq_drop_all(ssd);
	for (unsigned int i = 0; i < ssd->n_fn; i++) {
		struct ssd_fn *fn = &ssd->fn[i];

		ssd_seq_drop(fn);
		free(fn->committed);
		pthread_cond_destroy(&fn->turn);
		pthread_mutex_destroy(&fn->gate);
	}
	for (size_t i = 0; i < ssd->n_ns; i++) {
		if (ssd->ns[i]->fd >= 0) {
			fsync(ssd->ns[i]->fd);
			close(ssd->ns[i]->fd);
		}
		free(ssd->ns[i]);
	}
	ssd_store_close(ssd->store);
	free(ssd->img);
	free(ssd);
}

const struct ssd_profile *ssd_profile_of(const struct ssd *ssd)
{
	return ssd->profile;
}

unsigned int ssd_functions(const struct ssd *ssd)
{
	return ssd->n_fn;
}

struct ssd_fn *ssd_function(struct ssd *ssd, unsigned int i)
{
	return i < ssd->n_fn ? &ssd->fn[i] : NULL;
}

void ssd_fn_bind(struct ssd_fn *fn, const struct ssd_host *host)
{
	fn->host = *host;
}
