/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

#include "base/clock.h"
#include "device/device_int.h"
#include "device/nsdata_int.h"

#define DO_TIMEOUT_MS 30000u
#define BUF_ALIGN     4096u

int exp_nsdata_open(struct exp_device *d, uint32_t nsid, unsigned int depth,
		    struct exp_nsdata **ret, struct exp_error *err)
{
	char path[PATH_MAX];
	int r;

	if (d->data)
		return exp_nsdata_queue_open(d, nsid, depth ? depth : EXP_NSDATA_DEPTH, ret, err);
	if (!d->block_name[0])
		return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, EOPNOTSUPP,
				     "the management controller grants no I/O queues and no data "
				     "controller is configured (data=)");
	r = exp_nsdata_find_block("/sys", d->block_name, nsid, path, sizeof(path), err);
	return r < 0 ? r : exp_nsdata_open_block(path, ret, err);
}

void exp_nsdata_close(struct exp_nsdata *h)
{
	bool clean;

	if (!h)
		return;
	clean = h->ops->stop(h);
	for (size_t i = 0; i < h->n_bufs && clean; i++)
		h->ops->buf_free(h, &h->bufs[i]);
	free(h->bufs);
	h->ops->free(h);
}

uint32_t exp_nsdata_lba_bytes(const struct exp_nsdata *h)
{
	return h->lba_bytes;
}

uint64_t exp_nsdata_nsze(const struct exp_nsdata *h)
{
	return h->nsze;
}

size_t exp_nsdata_best_bytes(const struct exp_nsdata *h)
{
	return h->best_bytes;
}

bool exp_nsdata_zero_after_dealloc(const struct exp_nsdata *h)
{
	return h->zero_after_dealloc;
}

unsigned int exp_nsdata_in_flight(const struct exp_nsdata *h)
{
	return h->in_flight;
}

int exp_nsbuf_alloc(struct exp_nsdata *h, size_t bytes, struct exp_nsbuf *ret,
		    struct exp_error *err)
{
	int r;

	if (h->n_bufs == h->cap_bufs) {
		size_t cap = h->cap_bufs ? 2 * h->cap_bufs : 16;
		struct exp_nsbuf *b = reallocarray(h->bufs, cap, sizeof(*b));

		if (!b)
			return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "buffer");
		h->bufs = b;
		h->cap_bufs = cap;
	}
	r = h->ops->buf_alloc(h, bytes, ret, err);
	if (r == 0)
		h->bufs[h->n_bufs++] = *ret;
	return r;
}

void exp_nsbuf_free(struct exp_nsdata *h, struct exp_nsbuf *b)
{
	for (size_t i = 0; i < h->n_bufs && b->mem; i++)
		if (h->bufs[i].mem == b->mem) {
			h->bufs[i] = h->bufs[--h->n_bufs];
			h->ops->buf_free(h, b);
			*b = (struct exp_nsbuf){ 0 };
		}
}

static int check_req(const struct exp_nsdata *h, const struct exp_nsdata_req *q,
		     struct exp_error *err)
{
	uint64_t bytes;

	if (q->op == EXP_NSDATA_FLUSH)
		return 0;
	if (!q->nlb || q->slba >= h->nsze || q->nlb > h->nsze - q->slba)
		return exp_error_set(err, EXP_CODE_INVALID, ERANGE,
				     "blocks %" PRIu64 "+%" PRIu64 " of a namespace of %" PRIu64,
				     q->slba, q->nlb, h->nsze);
	if (q->op != EXP_NSDATA_READ && q->op != EXP_NSDATA_WRITE)
		return 0;
	bytes = q->nlb * h->lba_bytes;
	if (!q->buf || q->buf_off % BUF_ALIGN || q->buf_off > q->buf->bytes ||
	    q->nlb > SIZE_MAX / h->lba_bytes || bytes > q->buf->bytes - q->buf_off)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "%" PRIu64
				     " bytes at %zu of a buffer of %zu bytes (offsets are "
				     "multiples of %u)",
				     bytes, q->buf_off, q->buf ? q->buf->bytes : 0, BUF_ALIGN);
	return 0;
}

int exp_nsdata_submit(struct exp_nsdata *h, const struct exp_nsdata_req *req, struct exp_error *err)
{
	int r = check_req(h, req, err);

	if (r < 0)
		return r;
	if (h->in_flight == h->depth)
		return exp_error_set(err, EXP_CODE_BUSY, EAGAIN, "%u operations are in flight",
				     h->depth);
	r = h->ops->submit(h, req, err);
	if (r == 0)
		h->in_flight++;
	return r;
}

int exp_nsdata_reap(struct exp_nsdata *h, struct exp_nsdata_done *ret, size_t max,
		    uint64_t timeout_ms, struct exp_error *err)
{
	int r;

	if (!h->in_flight || !max)
		return 0;
	r = h->ops->reap(h, ret, max, exp_mono_us() + timeout_ms * 1000, err);
	if (r > 0)
		h->in_flight -= (unsigned int)r;
	return r;
}

int exp_nsdata_do(struct exp_nsdata *h, const struct exp_nsdata_req *req, uint64_t timeout_ms,
		  struct exp_error *err)
{
	struct exp_nsdata_done done;
	int r;

	timeout_ms = timeout_ms ? timeout_ms : DO_TIMEOUT_MS;
	r = exp_nsdata_submit(h, req, err);
	if (r < 0)
		return r;
	r = exp_nsdata_reap(h, &done, 1, timeout_ms, err);
	if (r == 0)
		return exp_error_set(err, EXP_CODE_DEVICE_TIMEOUT, ETIMEDOUT,
				     "blocks %" PRIu64 "+%" PRIu64 ": no answer in %" PRIu64 " ms",
				     req->slba, req->nlb, timeout_ms);
	return r < 0 ? r : done.r;
}

int exp_nsdata_allocated(struct exp_nsdata *h, uint64_t slba, struct exp_lba_range *ret, size_t max,
			 size_t *ret_n, uint64_t *ret_next, struct exp_error *err)
{
	*ret_n = 0;
	*ret_next = h->nsze;
	if (slba >= h->nsze || !max)
		return 0;
	return h->ops->allocated(h, slba, ret, max, ret_n, ret_next, err);
}
