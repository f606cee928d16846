/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/le.h"
#include "device/qpair.h"

#define SPIN_US      20u
#define SLEEP_MIN_US 20u
#define SLEEP_MAX_US 1000u
#define POLL_MAX_MS  1000 /* the connection's end is looked for at least this often */

int exp_qpair_init(struct exp_qpair *q, struct exp_reach *reach, struct exp_dma_mem *mem,
		   const struct exp_nvme_cap *cap, uint16_t qid, uint32_t size, int efd,
		   struct exp_error *err)
{
	int r;

	*q = (struct exp_qpair){
		.reach = reach,
		.qid = qid,
		.size = size,
		.sq_doorbell = exp_nvme_doorbell(cap, qid, false),
		.cq_doorbell = exp_nvme_doorbell(cap, qid, true),
		.phase = true,
		.efd = efd,
	};
	r = exp_dma_alloc(mem, (size_t)size * EXP_NVME_SQE_BYTES, &q->sq, err);
	if (r == 0)
		r = exp_dma_alloc(mem, (size_t)size * EXP_NVME_CQE_BYTES, &q->cq, err);
	if (r < 0)
		exp_qpair_release(q, mem);
	return r;
}

void exp_qpair_release(struct exp_qpair *q, struct exp_dma_mem *mem)
{
	exp_dma_release(mem, &q->sq);
	exp_dma_release(mem, &q->cq);
}

int exp_qpair_push(struct exp_qpair *q, const struct exp_nvme_sqe *sqe, struct exp_error *err)
{
	uint32_t tail = (q->sq_tail + 1) % q->size;
	int r;

	exp_nvme_sqe_encode(sqe, (uint8_t *)q->sq.mem + (size_t)q->sq_tail * EXP_NVME_SQE_BYTES);
	r = q->reach->ops->doorbell(q->reach, q->sq_doorbell, tail, err);
	/* not told, not submitted: the next one takes this slot */
	if (r == 0)
		q->sq_tail = tail;
	return r;
}

static const uint8_t *head_entry(const struct exp_qpair *q)
{
	return (const uint8_t *)q->cq.mem + (size_t)q->cq_head * EXP_NVME_CQE_BYTES;
}

bool exp_qpair_ready(const struct exp_qpair *q)
{
	return exp_nvme_cqe_phase(head_entry(q)) == q->phase;
}

bool exp_qpair_pop(struct exp_qpair *q, struct exp_nvme_cqe *ret)
{
	if (!exp_qpair_ready(q))
		return false;
	exp_nvme_cqe_decode(head_entry(q), ret);
	if (++q->cq_head == q->size) {
		q->cq_head = 0;
		q->phase = !q->phase;
	}
	return true;
}

int exp_qpair_ack(struct exp_qpair *q, struct exp_error *err)
{
	return q->reach->ops->doorbell(q->reach, q->cq_doorbell, q->cq_head, err);
}

static void nap(uint64_t us)
{
	struct timespec t = { .tv_sec = (time_t)(us / 1000000),
			      .tv_nsec = (long)(us % 1000000 * 1000) };

	nanosleep(&t, NULL);
}

static int lost(struct exp_error *err)
{
	return exp_error_set(err, EXP_CODE_DEVICE_GONE, ENODEV,
			     "the connection to the device is lost");
}

/* Sleeps until something may have happened. */
static int sleep_on(struct exp_qpair *q, uint64_t left_us, uint64_t *step_us, struct exp_error *err)
{
	struct pollfd p[2] = { { .fd = q->efd, .events = POLLIN },
			       { .fd = q->reach->wait_fd, .events = POLLIN } };
	uint64_t seen;
	int n;

	if (q->efd < 0) {
		nap(EXP_MIN(*step_us, left_us));
		*step_us = EXP_MIN(2 * *step_us, (uint64_t)SLEEP_MAX_US);
		p[0].revents = 0;
		n = poll(&p[1], 1, 0);
	} else {
		/* rounded up: a poll of 0 ms would be a spin */
		uint64_t ms = left_us / 1000 + 1;

		n = poll(p, 2, ms > POLL_MAX_MS ? POLL_MAX_MS : (int)ms);
	}
	if (n < 0 && errno != EINTR)
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "poll: %s", strerror(errno));
	if (n > 0 && p[0].revents)
		(void)!read(q->efd, &seen, sizeof(seen));
	if (n > 0 && p[1].revents)
		return q->reach->ops->service(q->reach, err);
	return 0;
}

int exp_qpair_wait(struct exp_qpair *q, uint64_t deadline_us, struct exp_error *err)
{
	uint64_t now = exp_mono_us(), spin_until = now + SPIN_US, step_us = SLEEP_MIN_US;

	for (;;) {
		int r;

		if (exp_qpair_ready(q))
			return 1;
		if (exp_reach_lost(q->reach))
			return lost(err);
		now = exp_mono_us();
		if (now >= deadline_us)
			return 0;
		if (now < spin_until)
			continue;
		r = sleep_on(q, deadline_us - now, &step_us, err);
		if (r < 0)
			/* a completion that came before the end still counts */
			return exp_qpair_ready(q) ? 1 : r;
	}
}

void exp_prp_fill(struct exp_nvme_sqe *sqe, uint64_t iova, size_t bytes, const struct exp_dma *list)
{
	size_t pages = (bytes + EXP_DMA_PAGE - 1) / EXP_DMA_PAGE;

	assert(iova % EXP_DMA_PAGE == 0 && pages <= EXP_DMA_PAGE / 8);
	sqe->prp1 = pages ? iova : 0;
	sqe->prp2 = pages == 2 ? iova + EXP_DMA_PAGE : 0;
	if (pages <= 2)
		return;
	for (size_t i = 1; i < pages; i++)
		exp_put_le64((uint8_t *)list->mem + 8 * (i - 1), iova + i * EXP_DMA_PAGE);
	sqe->prp2 = list->iova;
}
