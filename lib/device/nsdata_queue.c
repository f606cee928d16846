/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nsdata_queue.c - namespace data through an I/O queue pair of the data controller
 *
 * An operation becomes one command after another, as many at a time as the queue takes; what does
 * not fit waits here, in order, and goes out when completions free slots.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "device/device_int.h"
#include "device/nsdata_int.h"
#include "nvme/io_cmd.h"

#define LBA_STATUS_BYTES 4096u
#define DSM_BLOCKS_MAX   UINT32_MAX

struct op {
	struct exp_nsdata_req req; /* buf is not looked at any more */
	uint64_t iova;             /* of the data */
	uint64_t sent;             /* blocks that commands were submitted for */
	unsigned int outstanding;
	bool flush_sent;
	int r;
	struct exp_dma ranges; /* of a deallocate */
};

struct queue {
	struct exp_nsdata h;
	struct exp_device *d;
	struct exp_transport *t;
	struct exp_ioq *ioq;
	uint32_t nsid;
	uint64_t zero_blocks; /* of one write zeroes; 0: the drive has none, zeros are written */
	uint64_t dsm_blocks;  /* of one deallocate; 0: the drive has none */
	bool zero_dealloc;
	struct exp_dma zeros; /* best_bytes of them, where they have to be written */
	struct exp_error last;

	struct op *ops; /* depth of them */
	uint16_t *idle; /* indices into ops: unused */
	unsigned int n_idle;
	uint16_t *sending; /* submitted to us, not wholly to the drive; oldest first */
	unsigned int n_sending;
	uint16_t *finished; /* oldest first */
	unsigned int n_finished;
};

static struct queue *queue_of(struct exp_nsdata *h)
{
	return (struct queue *)h;
}

static uint64_t transfer_blocks(const struct queue *q)
{
	return EXP_MIN(q->h.best_bytes / q->h.lba_bytes, (size_t)EXP_NVME_IO_BLOCKS_MAX);
}

/* The next command of @o; its blocks, and where its data is. */
static uint64_t next_command(struct queue *q, struct op *o, struct exp_nvme_cmd *cmd,
			     uint64_t *ret_iova, size_t *ret_bytes)
{
	uint64_t slba = o->req.slba + o->sent, left = o->req.nlb - o->sent, n;

	*ret_iova = 0;
	*ret_bytes = 0;
	switch (o->req.op) {
	case EXP_NSDATA_READ:
	case EXP_NSDATA_WRITE:
		n = EXP_MIN(left, transfer_blocks(q));
		if (o->req.op == EXP_NSDATA_READ)
			exp_nvme_read(cmd, q->nsid, slba, (uint32_t)n);
		else
			exp_nvme_write(cmd, q->nsid, slba, (uint32_t)n);
		*ret_iova = o->iova + o->sent * q->h.lba_bytes;
		*ret_bytes = n * q->h.lba_bytes;
		return n;
	case EXP_NSDATA_ZERO:
		if (q->zero_blocks) {
			n = EXP_MIN(left, q->zero_blocks);
			exp_nvme_write_zeroes(cmd, q->nsid, slba, (uint32_t)n, q->zero_dealloc);
			return n;
		}
		n = EXP_MIN(left, transfer_blocks(q));
		exp_nvme_write(cmd, q->nsid, slba, (uint32_t)n);
		*ret_iova = q->zeros.iova;
		*ret_bytes = n * q->h.lba_bytes;
		return n;
	case EXP_NSDATA_DEALLOCATE: {
		struct exp_nvme_range range = { slba, (uint32_t)EXP_MIN(left, q->dsm_blocks) };

		exp_nvme_deallocate(cmd, q->nsid, &range, 1, o->ranges.mem);
		*ret_iova = o->ranges.iova;
		*ret_bytes = EXP_NVME_PAGE;
		return range.blocks;
	}
	case EXP_NSDATA_FLUSH: exp_nvme_flush(cmd, q->nsid); return 0;
	}
	return 0;
}

static bool wholly_sent(const struct op *o)
{
	return o->r < 0 || (o->req.op == EXP_NSDATA_FLUSH ? o->flush_sent : o->sent == o->req.nlb);
}

static void finish_if_done(struct queue *q, uint16_t i)
{
	struct op *o = &q->ops[i];

	if (o->outstanding || !wholly_sent(o))
		return;
	for (unsigned int k = 0; k < q->n_sending; k++)
		if (q->sending[k] == i) {
			q->n_sending--;
			memmove(&q->sending[k], &q->sending[k + 1],
				(q->n_sending - k) * sizeof(*q->sending));
			break;
		}
	q->t->ops->dma_free(q->t, &o->ranges);
	q->finished[q->n_finished++] = i;
}

/* Submits what the queue takes. 0, or the drive is gone. */
static int pump(struct queue *q, struct exp_error *err)
{
	while (q->n_sending) {
		uint16_t i = q->sending[0];
		struct op *o = &q->ops[i];

		while (!wholly_sent(o)) {
			struct exp_nvme_cmd cmd;
			uint64_t iova, n;
			size_t bytes;
			int r;

			/* the page with the range is in use until the command is done */
			if (o->req.op == EXP_NSDATA_DEALLOCATE && o->outstanding)
				return 0;
			n = next_command(q, o, &cmd, &iova, &bytes);
			r = q->t->ops->ioq_submit(q->ioq, &cmd.sqe, iova, bytes, i, err);
			if (r < 0)
				return r == -EAGAIN ? 0 : r;
			o->outstanding++;
			o->sent += n;
			o->flush_sent = true;
		}
		q->n_sending--;
		memmove(q->sending, q->sending + 1, q->n_sending * sizeof(*q->sending));
	}
	return 0;
}

static int submit(struct exp_nsdata *h, const struct exp_nsdata_req *req, struct exp_error *err)
{
	struct queue *q = queue_of(h);
	struct exp_dma ranges = { 0 };
	uint16_t i;
	int r;

	if (req->op == EXP_NSDATA_DEALLOCATE) {
		if (!q->dsm_blocks)
			return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, EOPNOTSUPP,
					     "the drive cannot deallocate (no Dataset Management)");
		r = q->t->ops->dma_alloc(q->t, EXP_NVME_PAGE, &ranges, err);
		if (r < 0)
			return r;
	}
	if (req->op == EXP_NSDATA_ZERO && !q->zero_blocks && !q->zeros.mem) {
		r = q->t->ops->dma_alloc(q->t, h->best_bytes, &q->zeros, err);
		if (r < 0)
			return r;
	}
	i = q->idle[--q->n_idle];
	q->ops[i] = (struct op){ .req = *req, .ranges = ranges };
	if (req->op == EXP_NSDATA_READ || req->op == EXP_NSDATA_WRITE)
		q->ops[i].iova = req->buf->iova + req->buf_off;
	q->sending[q->n_sending++] = i;
	return pump(q, err);
}

static void complete(struct queue *q, const struct exp_io_done *done)
{
	uint16_t i = (uint16_t)done->tag;
	struct op *o = &q->ops[i];
	static const char *const verbs[] = {
		[EXP_NSDATA_READ] = "read",   [EXP_NSDATA_WRITE] = "write",
		[EXP_NSDATA_ZERO] = "zero",   [EXP_NSDATA_DEALLOCATE] = "deallocate",
		[EXP_NSDATA_FLUSH] = "flush",
	};

	o->outstanding--;
	if (done->status)
		o->r = exp_nvme_status_error(&q->last, done->status,
					     "%s blocks %" PRIu64 "+%" PRIu64 " of namespace %u",
					     verbs[o->req.op], o->req.slba, o->req.nlb, q->nsid);
	finish_if_done(q, i);
}

static int reap(struct exp_nsdata *h, struct exp_nsdata_done *ret, size_t max, uint64_t deadline_us,
		struct exp_error *err)
{
	struct queue *q = queue_of(h);
	struct exp_io_done done[32];
	unsigned int n;
	bool last_look = false;

	while (!q->n_finished && !last_look) {
		int r = q->t->ops->ioq_reap(q->ioq, done, EXP_ARRAY_SIZE(done), deadline_us, err);

		if (r < 0)
			return r;
		last_look = r == 0 && exp_mono_us() >= deadline_us;
		for (int k = 0; k < r; k++)
			complete(q, &done[k]);
		r = pump(q, err);
		if (r < 0)
			return r;
	}
	n = (unsigned int)EXP_MIN(max, (size_t)q->n_finished);
	for (unsigned int k = 0; k < n; k++) {
		uint16_t i = q->finished[k];

		ret[k] = (struct exp_nsdata_done){ q->ops[i].req.tag, q->ops[i].r };
		if (ret[k].r < 0 && err)
			*err = q->last;
		q->idle[q->n_idle++] = i;
	}
	q->n_finished -= n;
	memmove(q->finished, q->finished + n, q->n_finished * sizeof(*q->finished));
	return (int)n;
}

/* ---- buffers, allocation ---- */

static int buf_alloc(struct exp_nsdata *h, size_t bytes, struct exp_nsbuf *ret,
		     struct exp_error *err)
{
	struct queue *q = queue_of(h);
	struct exp_dma m;
	int r = q->t->ops->dma_alloc(q->t, bytes, &m, err);

	if (r == 0)
		*ret = (struct exp_nsbuf){ m.mem, m.bytes, m.iova };
	return r;
}

static void buf_free(struct exp_nsdata *h, struct exp_nsbuf *b)
{
	struct exp_dma m = { b->mem, b->iova, b->bytes };
	struct queue *q = queue_of(h);

	q->t->ops->dma_free(q->t, &m);
}

static int all_from(const struct queue *q, uint64_t slba, struct exp_lba_range *ret, size_t *ret_n,
		    uint64_t *ret_next)
{
	ret[0] = (struct exp_lba_range){ slba, q->h.nsze - slba };
	*ret_n = 1;
	*ret_next = q->h.nsze;
	return 0;
}

static int allocated(struct exp_nsdata *h, uint64_t slba, struct exp_lba_range *ret, size_t max,
		     size_t *ret_n, uint64_t *ret_next, struct exp_error *err)
{
	struct queue *q = queue_of(h);
	uint8_t page[LBA_STATUS_BYTES];
	struct exp_nvme_lba_status st;
	struct exp_nvme_lba_desc desc;
	struct exp_nvme_cmd cmd;
	size_t n = 0;
	int r;

	if (!(q->d->data_id.oacs & EXP_NVME_OACS_LBA_STATUS) ||
	    !(q->d->data_nvm.aocs & EXP_NVME_AOCS_RALBAS))
		return all_from(q, slba, ret, ret_n, ret_next);
	exp_nvme_get_lba_status(&cmd, q->nsid, slba, page, sizeof(page));
	r = exp_device_ask(q->d, q->t, &cmd, NULL, err);
	if (r == 0)
		r = exp_nvme_lba_status_parse(page, sizeof(page), slba, h->nsze, &st, err);
	if (r == -ENODATA)
		return all_from(q, slba, ret, ret_n, ret_next);
	if (r < 0)
		return exp_error_wrap(err, r, "allocation of namespace %u from block %" PRIu64,
				      q->nsid, slba);
	for (uint32_t i = 0; i < st.n; i++) {
		exp_nvme_lba_status_at(&st, i, &desc);
		if (n && ret[n - 1].slba + ret[n - 1].nlb == desc.slba) {
			ret[n - 1].nlb += desc.blocks;
		} else if (n == max) {
			*ret_n = n;
			*ret_next = desc.slba;
			return 0;
		} else {
			ret[n++] = (struct exp_lba_range){ desc.slba, desc.blocks };
		}
	}
	*ret_n = n;
	*ret_next = st.complete ? h->nsze : st.next;
	return 0;
}

/* ---- life ---- */

static bool stop(struct exp_nsdata *h)
{
	struct queue *q = queue_of(h);
	bool clean = q->ioq ? q->t->ops->ioq_close(q->ioq) : true;

	for (unsigned int i = 0; i < h->depth && clean && q->ops; i++)
		q->t->ops->dma_free(q->t, &q->ops[i].ranges);
	if (clean)
		q->t->ops->dma_free(q->t, &q->zeros);
	return clean;
}

static void free_queue(struct exp_nsdata *h)
{
	struct queue *q = queue_of(h);

	free(q->ops);
	free(q->idle);
	free(q->sending);
	free(q->finished);
	free(q);
}

static const struct exp_nsdata_ops queue_ops = {
	.buf_alloc = buf_alloc,
	.buf_free = buf_free,
	.submit = submit,
	.reap = reap,
	.allocated = allocated,
	.stop = stop,
	.free = free_queue,
};

static void set_limits(struct queue *q, const struct exp_nvme_id_ns *ns)
{
	const struct exp_nvme_id_ctrl_nvm *nvm = &q->d->data_nvm;
	uint16_t oncs = q->d->data_id.oncs;
	unsigned int page_shift = 12 + (q->t->cap_reg >> 48 & 0xf);

	q->h.nsze = ns->nsze;
	q->h.lba_bytes = ns->lbaf[ns->format].lba_bytes;
	q->h.best_bytes = q->t->max_bytes / EXP_NVME_PAGE * EXP_NVME_PAGE;
	q->h.zero_after_dealloc = (ns->dlfeat & EXP_NVME_DLFEAT_READ_MASK) ==
				  EXP_NVME_DLFEAT_READ_ZERO;
	if (oncs & EXP_NVME_ONCS_WRITE_ZEROES) {
		q->zero_blocks = EXP_NVME_IO_BLOCKS_MAX;
		if (nvm->wzsl && nvm->wzsl + page_shift < 48)
			q->zero_blocks = EXP_MIN(q->zero_blocks,
						 (UINT64_C(1) << (nvm->wzsl + page_shift)) /
							 q->h.lba_bytes);
		q->zero_dealloc = ns->dlfeat & EXP_NVME_DLFEAT_WZ_DEALLOC;
	}
	if (oncs & EXP_NVME_ONCS_DSM) {
		q->dsm_blocks = nvm->dmrsl ? nvm->dmrsl : DSM_BLOCKS_MAX;
		if (nvm->dmsl)
			q->dsm_blocks = EXP_MIN(q->dsm_blocks, nvm->dmsl);
	}
}

static int identify_ns(struct exp_device *d, uint32_t nsid, struct exp_nvme_id_ns *ret,
		       struct exp_error *err)
{
	uint8_t *page = aligned_alloc(EXP_NVME_PAGE, EXP_NVME_PAGE);
	struct exp_error e = { 0 };
	int r;

	if (!page)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "identify");
	r = exp_device_identify(d, d->data, EXP_NVME_CNS_NS, nsid, 0, page, &e);
	if (r == 0)
		r = exp_nvme_id_ns_parse(page, EXP_NVME_PAGE, ret, &e);
	free(page);
	if (r == -ENOENT)
		return exp_error_set(err, EXP_CODE_NOT_FOUND, ENOENT,
				     "namespace %u is not attached to the data controller (%u)",
				     nsid, d->data_cntlid);
	if (r < 0 && err)
		*err = e;
	if (r == 0 && ret->lbaf[ret->format].ms)
		return exp_error_set(
			err, EXP_CODE_NOT_SUPPORTED, EOPNOTSUPP,
			"namespace %u has %u bytes of metadata per block; none can be moved", nsid,
			ret->lbaf[ret->format].ms);
	if (r == 0 && ret->lbaf[ret->format].lba_bytes > d->data->max_bytes)
		return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, EOPNOTSUPP,
				     "namespace %u has blocks of %u bytes, the drive transfers %zu",
				     nsid, ret->lbaf[ret->format].lba_bytes, d->data->max_bytes);
	return r;
}

int exp_nsdata_queue_open(struct exp_device *d, uint32_t nsid, unsigned int depth,
			  struct exp_nsdata **ret, struct exp_error *err)
{
	struct exp_nvme_id_ns ns;
	struct queue *q;
	int r;

	r = identify_ns(d, nsid, &ns, err);
	if (r < 0)
		return r;
	depth = EXP_MIN(depth, EXP_IOQ_DEPTH_MAX);
	q = calloc(1, sizeof(*q));
	if (!q)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "data handle");
	q->h.ops = &queue_ops;
	q->h.depth = depth;
	q->d = d;
	q->t = d->data;
	q->nsid = nsid;
	q->ops = calloc(depth, sizeof(*q->ops));
	q->idle = calloc(depth, sizeof(*q->idle));
	q->sending = calloc(depth, sizeof(*q->sending));
	q->finished = calloc(depth, sizeof(*q->finished));
	if (!q->ops || !q->idle || !q->sending || !q->finished) {
		free_queue(&q->h);
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "data handle");
	}
	for (unsigned int i = 0; i < depth; i++)
		q->idle[i] = (uint16_t)i;
	q->n_idle = depth;
	set_limits(q, &ns);
	r = q->t->ops->ioq_open(q->t, depth, &q->ioq, err);
	if (r < 0) {
		exp_nsdata_close(&q->h);
		return exp_error_wrap(err, r, "namespace %u", nsid);
	}
	*ret = &q->h;
	return 0;
}
