/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ioq.c - I/O queue pairs of our own NVMe driver: made by admin commands, then one thread's alone
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "device/queues.h"

struct exp_ioq {
	struct exp_queues *q;
	struct exp_qpair qp;
	unsigned int depth, n_free;
	uint16_t *free_ids;
	uint64_t *tags;
	bool *busy;
	struct exp_dma lists; /* one page of PRP entries for each command */
	bool sq_made, cq_made;
	bool broken;
};

static void ioq_free(struct exp_ioq *io)
{
	free(io->free_ids);
	free(io->tags);
	free(io->busy);
	free(io);
}

static int make_queues(struct exp_ioq *io, struct exp_error *err)
{
	struct exp_nvme_cmd cmd;
	uint16_t qid = io->qp.qid, qsize = (uint16_t)(io->qp.size - 1);
	int r;

	exp_nvme_create_cq(&cmd, qid, qsize, io->qp.cq.iova, io->qp.efd >= 0, qid);
	r = exp_queues_run(io->q, &cmd, NULL, err);
	io->cq_made = r == 0 || r == -ETIMEDOUT;
	if (r < 0)
		return r;
	exp_nvme_create_sq(&cmd, qid, qsize, io->qp.sq.iova, qid);
	r = exp_queues_run(io->q, &cmd, NULL, err);
	io->sq_made = r == 0 || r == -ETIMEDOUT;
	return r;
}

/*
 * Deletes the queues, submission first. Where the device does not confirm that it has let go, the
 * memory and the queue id stay out of use for good.
 */
bool exp_ioq_close(struct exp_ioq *io)
{
	struct exp_queues *q = io->q;
	struct exp_nvme_cmd cmd;
	bool clean = true;

	if (io->sq_made) {
		exp_nvme_delete_sq(&cmd, io->qp.qid);
		clean = exp_queues_run(q, &cmd, NULL, NULL) == 0;
	}
	if (io->cq_made && clean) {
		exp_nvme_delete_cq(&cmd, io->qp.qid);
		clean = exp_queues_run(q, &cmd, NULL, NULL) == 0;
	}
	if (clean) {
		exp_qpair_release(&io->qp, q->mem);
		exp_dma_release(q->mem, &io->lists);
		pthread_mutex_lock(&q->lock);
		q->ioq_used &= ~(UINT64_C(1) << (io->qp.qid - 1));
		pthread_mutex_unlock(&q->lock);
	}
	ioq_free(io);
	return clean;
}

static uint16_t take_qid(struct exp_queues *q)
{
	uint16_t qid = 0;

	pthread_mutex_lock(&q->lock);
	for (unsigned int i = 0; i < q->t.max_ioq && !qid; i++)
		if (!(q->ioq_used >> i & 1))
			qid = (uint16_t)(i + 1);
	if (qid)
		q->ioq_used |= UINT64_C(1) << (qid - 1);
	pthread_mutex_unlock(&q->lock);
	return qid;
}

int exp_ioq_open(struct exp_transport *t, unsigned int depth, struct exp_ioq **ret,
		 struct exp_error *err)
{
	struct exp_queues *q = (struct exp_queues *)t;
	struct exp_ioq *io = calloc(1, sizeof(*io));
	uint16_t qid;
	int r;

	if (!io)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "I/O queue");
	io->q = q;
	io->depth = EXP_MIN(EXP_MIN(depth ? depth : 1, EXP_IOQ_DEPTH_MAX),
			    (unsigned int)q->cap.mqes);
	io->free_ids = calloc(io->depth, sizeof(*io->free_ids));
	io->tags = calloc(io->depth, sizeof(*io->tags));
	io->busy = calloc(io->depth, sizeof(*io->busy));
	if (!io->free_ids || !io->tags || !io->busy) {
		ioq_free(io);
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "I/O queue");
	}
	for (unsigned int i = 0; i < io->depth; i++)
		io->free_ids[i] = (uint16_t)i;
	io->n_free = io->depth;
	qid = take_qid(q);
	if (!qid) {
		ioq_free(io);
		return exp_error_set(err, EXP_CODE_BUSY, EBUSY,
				     "all %u I/O queues that the drive granted are in use",
				     t->max_ioq);
	}
	io->qp.qid = qid;
	r = exp_qpair_init(&io->qp, q->reach, q->mem, &q->cap, qid, io->depth + 1,
			   qid < q->n_efds ? q->efds[qid] : -1, err);
	if (r == 0)
		r = exp_dma_alloc(q->mem, (size_t)io->depth * EXP_DMA_PAGE, &io->lists, err);
	if (r == 0)
		r = make_queues(io, err);
	if (r < 0) {
		(void)exp_ioq_close(io);
		return exp_error_wrap(err, r, "I/O queue %u", qid);
	}
	*ret = io;
	return 0;
}

int exp_ioq_submit(struct exp_ioq *io, const struct exp_nvme_sqe *sqe, uint64_t iova, size_t bytes,
		   uint64_t tag, struct exp_error *err)
{
	struct exp_nvme_sqe s = *sqe;
	struct exp_dma list;
	uint16_t id;
	int r;

	if (bytes > EXP_IO_BYTES_MAX || bytes > io->q->t.max_bytes || iova % EXP_DMA_PAGE)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "I/O of %zu bytes at %#" PRIx64
				     ", at most %zu on a page boundary",
				     bytes, iova,
				     EXP_MIN(io->q->t.max_bytes, (size_t)EXP_IO_BYTES_MAX));
	if (!io->n_free)
		return -EAGAIN;
	id = io->free_ids[io->n_free - 1];
	list = (struct exp_dma){ (uint8_t *)io->lists.mem + (size_t)id * EXP_DMA_PAGE,
				 io->lists.iova + (uint64_t)id * EXP_DMA_PAGE, EXP_DMA_PAGE };
	s.cid = id;
	exp_prp_fill(&s, iova, bytes, &list);
	r = exp_qpair_push(&io->qp, &s, err);
	if (r < 0)
		return r;
	io->n_free--;
	io->tags[id] = tag;
	io->busy[id] = true;
	return 0;
}

int exp_ioq_reap(struct exp_ioq *io, struct exp_io_done *out, size_t max, uint64_t deadline_us,
		 struct exp_error *err)
{
	struct exp_nvme_cqe cqe;
	size_t n = 0;
	int r;

	if (io->broken)
		return exp_error_set(err, EXP_CODE_DEVICE_DATA, EBADMSG,
				     "I/O queue %u is out of step with the device", io->qp.qid);
	r = exp_qpair_wait(&io->qp, deadline_us, err);
	if (r <= 0)
		return r;
	while (n < max && exp_qpair_pop(&io->qp, &cqe)) {
		if (cqe.cid >= io->depth || !io->busy[cqe.cid]) {
			io->broken = true;
			return exp_error_set(
				err, EXP_CODE_DEVICE_DATA, EBADMSG,
				"the device completed command %u of I/O queue %u, which "
				"is not outstanding",
				cqe.cid, io->qp.qid);
		}
		io->busy[cqe.cid] = false;
		io->free_ids[io->n_free++] = cqe.cid;
		out[n++] = (struct exp_io_done){ io->tags[cqe.cid], cqe.status, cqe.dw0 };
	}
	r = exp_qpair_ack(&io->qp, err);
	return r < 0 ? r : (int)n;
}
