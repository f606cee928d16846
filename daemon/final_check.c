/* SPDX-License-Identifier: Apache-2.0 */
/*
 * final_check.c - before RESTORED: is everything there, is it durable, does it read as it was sent?
 *
 * Waits until all that FINAL names is durable, then reads the ranges that were sent after Suspend
 * back from the drive and compares their digests with those the source took of what it read.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "copy_dst_int.h"
#include "device/nsdata.h"
#include "tls/digest.h"

#define POLL_NS 1000000 /* the streams' threads make it durable; this one only looks */

static int wait_until_durable(struct expd_copy_dst *c, struct exp_error *err)
{
	for (;;) {
		int r;

		pthread_mutex_lock(&c->lock);
		r = exp_bulk_track_complete(c->track, c->final, err);
		pthread_mutex_unlock(&c->lock);
		if (r != -EAGAIN)
			return r;
		if (atomic_load(&c->stop))
			return exp_error_set(err, EXP_CODE_ABORTED, ECANCELED, "stopped");
		nanosleep(&(struct timespec){ .tv_nsec = POLL_NS }, NULL);
	}
}

static int compare(struct expd_copy_dst *c, struct exp_nsdata *ns, const struct exp_nsbuf *buf,
		   const struct exp_msg_digest *d, struct exp_error *err)
{
	uint32_t lba = c->ns[d->export_index].lba_bytes;
	const struct exp_nsdata_req req = { .op = EXP_NSDATA_READ,
					    .slba = d->offset_bytes / lba,
					    .nlb = d->len_bytes / lba,
					    .buf = buf };
	uint8_t got[EXP_SHA256_BYTES];
	int r;

	r = exp_nsdata_do(ns, &req, 0, err);
	if (r == 0)
		r = exp_digest_sha256(buf->mem, d->len_bytes, got);
	if (r == 0 && !exp_digest_equal(got, d->sha256, sizeof(got)))
		r = exp_error_set(err, EXP_CODE_DIGEST, EBADMSG,
				  "%u bytes at %llu read back as SHA-256 %02x%02x%02x%02x.., the "
				  "source sent %02x%02x%02x%02x..",
				  d->len_bytes, (unsigned long long)d->offset_bytes, got[0], got[1],
				  got[2], got[3], d->sha256[0], d->sha256[1], d->sha256[2],
				  d->sha256[3]);
	return r;
}

static int check_bounds(const struct expd_copy_dst *c, const struct exp_msg_digest *d,
			struct exp_error *err)
{
	const struct exp_bulk_ns *ns = &c->ns[d->export_index];

	if (d->export_index < c->n_ns && d->len_bytes && d->len_bytes <= EXP_BULK_DATA_MAX &&
	    d->len_bytes <= ns->bytes && d->offset_bytes <= ns->bytes - d->len_bytes &&
	    !(d->offset_bytes % ns->lba_bytes) && !(d->len_bytes % ns->lba_bytes))
		return 0;
	return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
			     "digest of %u bytes at %llu of export %u is outside the namespace",
			     d->len_bytes, (unsigned long long)d->offset_bytes, d->export_index);
}

/* Digests of one namespace; the list is in no order, so each takes its own. */
static int check_namespace(struct expd_copy_dst *c, uint32_t i, struct exp_error *err)
{
	EXP_CLEANUP(exp_nsdata_closep) struct exp_nsdata *ns = NULL;
	struct exp_nsbuf buf;
	int r;

	r = exp_nsdata_open(expd_drive_device(c->drive), c->nsid[i], 1, &ns, err);
	if (r == 0)
		r = exp_nsbuf_alloc(ns, EXP_BULK_DATA_MAX, &buf, err);
	for (uint32_t k = 0; r == 0 && k < c->final->n_digests; k++) {
		const struct exp_msg_digest *d = &c->final->digests[k];

		if (d->export_index != i)
			continue;
		r = atomic_load(&c->stop)
			    ? exp_error_set(err, EXP_CODE_ABORTED, ECANCELED, "stopped")
			    : compare(c, ns, &buf, d, err);
	}
	return r;
}

void *copy_final_checker(void *arg)
{
	struct recv_thread *t = arg;
	struct expd_copy_dst *c = t->c;
	struct exp_error err = { 0 };
	int r = 0;

	for (uint32_t k = 0; k < c->final->n_digests && r == 0; k++)
		r = check_bounds(c, &c->final->digests[k], &err);
	if (r == 0)
		r = wait_until_durable(c, &err);
	for (uint32_t i = 0; c->final->n_digests && i < c->n_ns && r == 0; i++)
		r = check_namespace(c, i, &err);
	if (r < 0)
		exp_error_wrap(&err, r, "final check");
	dst_note(c, DST_NOTE_CHECKED, &err);
	dst_note(c, DST_NOTE_EXITED, NULL);
	return NULL;
}
