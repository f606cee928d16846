/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport_queues.c - our own NVMe driver: enabling the controller, the admin queue
 *
 * Admin commands of several threads share one queue pair. Whoever waits first is the leader: it
 * alone looks at the completion queue, without the lock while it sleeps, and wakes the others;
 * when its own command is done it leaves and another waiting thread leads. So there is no thread
 * of our own, and a lone caller pays for no hand-over between threads.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "device/queues.h"
#include "nvme/status.h"

#define ADMIN_ENTRIES     (2 * EXP_ADMIN_MAX)
#define RESET_SLACK_MS    2000u
#define SETUP_TIMEOUT_MS  10000u
#define READY_POLL_MIN_US 200u
#define READY_POLL_MAX_US 10000u
#define CSS_NVM           0u
#define CSS_ALL           6u /* all I/O command sets that CAP.CSS bit 6 promises */
#define CSS_ADMIN_ONLY    7u

static struct exp_queues *queues_of(struct exp_transport *t)
{
	return (struct exp_queues *)t;
}

/* ---- admin commands ---- */

static void release_cmd(struct exp_queues *q, struct exp_admin *a)
{
	exp_dma_release(q->mem, &a->buf);
	exp_dma_release(q->mem, &a->list);
	*a = (struct exp_admin){ .state = EXP_ADMIN_FREE };
}

/* Takes what has completed. With the lock held, and only by the leader. */
static int reap_admin(struct exp_queues *q, struct exp_error *err)
{
	struct exp_nvme_cqe cqe;
	bool any = false;

	while (exp_qpair_pop(&q->admin, &cqe)) {
		struct exp_admin *a = cqe.cid < EXP_ADMIN_MAX ? &q->cmds[cqe.cid] : NULL;

		any = true;
		if (!a || a->state != EXP_ADMIN_OUTSTANDING) {
			q->broken = -EBADMSG;
			return exp_error_set(err, EXP_CODE_DEVICE_DATA, EBADMSG,
					     "the device completed admin command %u, which is not "
					     "outstanding",
					     cqe.cid);
		}
		a->cqe = cqe;
		a->state = EXP_ADMIN_DONE;
		if (a->given_up)
			release_cmd(q, a);
	}
	return any ? exp_qpair_ack(&q->admin, err) : 0;
}

static int broken(const struct exp_queues *q, struct exp_error *err)
{
	return exp_error_set(err, EXP_CODE_DEVICE_DATA, -q->broken,
			     "the admin queue is out of step with the device");
}

static struct exp_admin *free_slot(struct exp_queues *q)
{
	for (size_t i = 0; i < EXP_ADMIN_MAX; i++)
		if (q->cmds[i].state == EXP_ADMIN_FREE)
			return &q->cmds[i];
	return NULL;
}

/* With the lock held. */
static int claim_slot(struct exp_queues *q, const char *name, struct exp_admin **ret,
		      struct exp_error *err)
{
	int r;

	if (q->broken)
		return broken(q, err);
	*ret = free_slot(q);
	/* commands that were given up have nobody to notice that they are done */
	if (!*ret && !q->led) {
		r = reap_admin(q, err);
		if (r < 0)
			return r;
		*ret = free_slot(q);
	}
	if (!*ret)
		return exp_error_set(err, EXP_CODE_BUSY, EBUSY,
				     "%s: %d admin commands are outstanding already", name,
				     EXP_ADMIN_MAX);
	return 0;
}

static int admin_submit(struct exp_transport *t, const struct exp_nvme_cmd *cmd,
			struct exp_admin **ret, struct exp_error *err)
{
	struct exp_queues *q = queues_of(t);
	struct exp_nvme_sqe sqe = cmd->sqe;
	struct exp_dma buf = { 0 }, list = { 0 };
	struct exp_admin *a = NULL;
	int r = 0;

	if (cmd->bytes > t->max_bytes)
		return exp_error_set(
			err, EXP_CODE_TOO_LARGE, E2BIG,
			"%s: %zu bytes of data, the drive transfers at most %zu at once", cmd->name,
			cmd->bytes, t->max_bytes);
	if (cmd->bytes) {
		r = exp_dma_alloc(q->mem, cmd->bytes, &buf, err);
		if (r == 0 && cmd->bytes > 2 * EXP_DMA_PAGE)
			r = exp_dma_alloc(q->mem, EXP_DMA_PAGE, &list, err);
		if (r < 0)
			goto fail;
		if (cmd->out)
			memcpy(buf.mem, cmd->out, cmd->bytes);
		exp_prp_fill(&sqe, buf.iova, cmd->bytes, &list);
	}

	pthread_mutex_lock(&q->lock);
	r = claim_slot(q, cmd->name, &a, err);
	if (r == 0) {
		sqe.cid = (uint16_t)(a - q->cmds);
		r = exp_qpair_push(&q->admin, &sqe, err);
	}
	if (r == 0)
		*a = (struct exp_admin){
			.state = EXP_ADMIN_OUTSTANDING,
			.reads = cmd->in != NULL,
			.bytes = cmd->bytes,
			.buf = buf,
			.list = list,
			.name = cmd->name,
		};
	pthread_mutex_unlock(&q->lock);
	if (r == 0) {
		*ret = a;
		return 0;
	}
fail:
	exp_dma_release(q->mem, &buf);
	exp_dma_release(q->mem, &list);
	return r;
}

/* Lets the thread that leads, or this one, make progress. With the lock held; 0, or it is over. */
static int wait_turn(struct exp_queues *q, uint64_t deadline_us, struct exp_error *err)
{
	struct timespec ts = { .tv_sec = (time_t)(deadline_us / 1000000),
			       .tv_nsec = (long)(deadline_us % 1000000 * 1000) };
	int r, r2;

	if (q->led) {
		pthread_cond_timedwait(&q->wake, &q->lock, &ts);
		return 0;
	}
	q->led = true;
	pthread_mutex_unlock(&q->lock);
	r = exp_qpair_wait(&q->admin, deadline_us, err);
	pthread_mutex_lock(&q->lock);
	q->led = false;
	r2 = r > 0 ? reap_admin(q, err) : 0;
	pthread_cond_broadcast(&q->wake);
	return r < 0 ? r : r2;
}

static int admin_wait(struct exp_transport *t, struct exp_admin *a, void *in, uint64_t deadline_us,
		      struct exp_nvme_cqe *ret, struct exp_error *err)
{
	struct exp_queues *q = queues_of(t);
	bool looked = false;
	int r = 0;

	pthread_mutex_lock(&q->lock);
	while (a->state != EXP_ADMIN_DONE && r == 0) {
		struct exp_error e = { 0 };

		if (q->broken) {
			r = broken(q, &e);
		} else if (looked && exp_mono_us() >= deadline_us) {
			r = exp_error_set(&e, EXP_CODE_DEVICE_TIMEOUT, ETIMEDOUT,
					  "%s: no answer in time; it is still outstanding",
					  a->name);
		} else {
			r = wait_turn(q, deadline_us, &e);
			looked = true;
			/* what ended the wait may have come after this one's answer */
			if (a->state == EXP_ADMIN_DONE)
				r = 0;
		}
		if (r < 0 && err)
			*err = e;
	}
	if (r == 0) {
		*ret = a->cqe;
		if (in && a->reads && !a->cqe.status)
			memcpy(in, a->buf.mem, a->bytes);
	}
	pthread_mutex_unlock(&q->lock);
	return r;
}

static void admin_free(struct exp_transport *t, struct exp_admin *a)
{
	struct exp_queues *q = queues_of(t);

	pthread_mutex_lock(&q->lock);
	if (a->state == EXP_ADMIN_DONE)
		release_cmd(q, a);
	else
		a->given_up = true;
	pthread_mutex_unlock(&q->lock);
}

int exp_transport_admin(struct exp_transport *t, const struct exp_nvme_cmd *cmd,
			uint64_t timeout_ms, struct exp_nvme_cqe *ret, struct exp_admin **ret_late,
			struct exp_error *err)
{
	struct exp_admin *a;
	int r = t->ops->admin_submit(t, cmd, &a, err);

	if (r < 0)
		return r;
	r = t->ops->admin_wait(t, a, cmd->in, exp_mono_us() + timeout_ms * 1000, ret, err);
	if (r == -ETIMEDOUT && ret_late)
		*ret_late = a;
	else
		t->ops->admin_free(t, a);
	return r;
}

/* For the commands of this file: any refusal is an error. */
int exp_queues_run(struct exp_queues *q, const struct exp_nvme_cmd *cmd, uint32_t *ret_dw0,
		   struct exp_error *err)
{
	struct exp_nvme_cqe cqe;
	int r = exp_transport_admin(&q->t, cmd, SETUP_TIMEOUT_MS, &cqe, NULL, err);

	if (r == 0)
		r = exp_nvme_check(cmd, &cqe, err);
	if (r == 0 && ret_dw0)
		*ret_dw0 = cqe.dw0;
	return r;
}

/* ---- memory, life ---- */

static int dma_alloc(struct exp_transport *t, size_t bytes, struct exp_dma *ret,
		     struct exp_error *err)
{
	return exp_dma_alloc(queues_of(t)->mem, bytes, ret, err);
}

static void dma_free(struct exp_transport *t, struct exp_dma *m)
{
	exp_dma_release(queues_of(t)->mem, m);
}

static int reg_read(struct exp_queues *q, uint32_t off, unsigned int width, uint64_t *ret,
		    struct exp_error *err)
{
	return q->reach->ops->reg_read(q->reach, off, width, ret, err);
}

static int reg_write(struct exp_queues *q, uint32_t off, unsigned int width, uint64_t value,
		     struct exp_error *err)
{
	return q->reach->ops->reg_write(q->reach, off, width, value, err);
}

static int check(struct exp_transport *t, struct exp_error *err)
{
	uint64_t cc, csts;
	int r = reg_read(queues_of(t), EXP_NVME_REG_CC, 4, &cc, err);

	if (r == 0)
		r = reg_read(queues_of(t), EXP_NVME_REG_CSTS, 4, &csts, err);
	if (r < 0)
		return r;
	if (!(cc & EXP_NVME_CC_EN) || !(csts & EXP_NVME_CSTS_RDY) || (csts & EXP_NVME_CSTS_CFS))
		return exp_error_set(err, EXP_CODE_DEVICE, EIO,
				     "the controller was reset or has failed: CC %#" PRIx64
				     ", CSTS %#" PRIx64,
				     cc, csts);
	return 0;
}

static void close_queues(struct exp_transport *t)
{
	struct exp_queues *q = queues_of(t);

	/* first the way: from then on the device cannot touch the memory in our name */
	q->reach->ops->close(q->reach);
	exp_dma_mem_free(q->mem);
	for (unsigned int i = 0; i < q->n_efds; i++)
		close(q->efds[i]);
	pthread_cond_destroy(&q->wake);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

static const struct exp_transport_ops queues_ops = {
	.name = "queues",
	.admin_submit = admin_submit,
	.admin_wait = admin_wait,
	.admin_free = admin_free,
	.check = check,
	.dma_alloc = dma_alloc,
	.dma_free = dma_free,
	.ioq_open = exp_ioq_open,
	.ioq_submit = exp_ioq_submit,
	.ioq_reap = exp_ioq_reap,
	.ioq_close = exp_ioq_close,
	.close = close_queues,
};

void exp_transport_close(struct exp_transport *t)
{
	if (t)
		t->ops->close(t);
}

/* ---- enabling ---- */

/* Each look is a message to the device's side: in growing steps, or the line is flooded. */
static int wait_ready(struct exp_queues *q, bool want, struct exp_error *err)
{
	uint64_t limit_ms = q->cap.timeout_ms + RESET_SLACK_MS;
	uint64_t deadline_ms = exp_mono_ms() + limit_ms, csts;
	useconds_t step_us = READY_POLL_MIN_US;

	for (;;) {
		int r = reg_read(q, EXP_NVME_REG_CSTS, 4, &csts, err);

		if (r < 0)
			return r;
		if ((csts & EXP_NVME_CSTS_CFS) && want)
			return exp_error_set(err, EXP_CODE_DEVICE, EIO,
					     "the controller reports a fatal error (CSTS %#" PRIx64
					     ")",
					     csts);
		if (!(csts & EXP_NVME_CSTS_RDY) == !want)
			return 0;
		if (exp_mono_ms() >= deadline_ms)
			return exp_error_set(err, EXP_CODE_DEVICE_TIMEOUT, ETIMEDOUT,
					     "the controller did not become %s in %" PRIu64 " ms",
					     want ? "ready" : "idle", limit_ms);
		usleep(step_us);
		step_us = EXP_MIN(2 * step_us, READY_POLL_MAX_US);
	}
}

static int disable(struct exp_queues *q, bool may_reset, struct exp_error *err)
{
	uint64_t cc, csts;
	int r = reg_read(q, EXP_NVME_REG_CC, 4, &cc, err);

	if (r == 0)
		r = reg_read(q, EXP_NVME_REG_CSTS, 4, &csts, err);
	if (r < 0)
		return r;
	if ((cc & EXP_NVME_CC_EN) && !may_reset)
		return exp_error_set(
			err, EXP_CODE_RESET_ON_RESTART, EPERM,
			"the controller is enabled; taking it over resets it, which ends "
			"every suspension on this drive: stop the guests or allow the reset");
	if (cc & EXP_NVME_CC_EN) {
		r = reg_write(q, EXP_NVME_REG_CC, 4, cc & ~(uint64_t)EXP_NVME_CC_EN, err);
		if (r < 0)
			return r;
	}
	return wait_ready(q, false, err);
}

static int enable(struct exp_queues *q, struct exp_error *err)
{
	uint32_t css = q->cap.css & 0x80 ? CSS_ADMIN_ONLY : q->cap.css & 0x40 ? CSS_ALL : CSS_NVM;
	uint32_t aqa = (ADMIN_ENTRIES - 1) << 16 | (ADMIN_ENTRIES - 1);
	uint32_t cc = EXP_NVME_CC_EN | css << EXP_NVME_CC_CSS_SHIFT |
		      6u << EXP_NVME_CC_IOSQES_SHIFT | 4u << EXP_NVME_CC_IOCQES_SHIFT;
	int r;

	r = reg_write(q, EXP_NVME_REG_AQA, 4, aqa, err);
	if (r == 0)
		r = reg_write(q, EXP_NVME_REG_ASQ, 8, q->admin.sq.iova, err);
	if (r == 0)
		r = reg_write(q, EXP_NVME_REG_ACQ, 8, q->admin.cq.iova, err);
	if (r == 0)
		r = reg_write(q, EXP_NVME_REG_CC, 4, cc, err);
	if (r == 0)
		r = wait_ready(q, true, err);
	q->t.was_reset = r == 0;
	return r;
}

/* One eventfd for each queue, all attached at once: kernel VFIO cannot add vectors later. */
static int attach_irqs(struct exp_queues *q, unsigned int n, struct exp_error *err)
{
	n = EXP_MIN(n, q->reach->n_vectors);
	while (q->n_efds < n) {
		int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		if (fd < 0)
			return exp_error_set(err, EXP_CODE_SYSTEM, errno, "eventfd: %s",
					     strerror(errno));
		q->efds[q->n_efds++] = fd;
	}
	return n ? q->reach->ops->irq_attach(q->reach, 0, q->efds, n, err) : 0;
}

static int grant_ioqs(struct exp_queues *q, unsigned int n_ioq, struct exp_error *err)
{
	struct exp_nvme_cmd cmd;
	uint32_t dw0, n_sq, n_cq;
	int r;

	if (!n_ioq)
		return 0;
	exp_nvme_set_num_queues(&cmd, (uint16_t)n_ioq, (uint16_t)n_ioq);
	r = exp_queues_run(q, &cmd, &dw0, err);
	if (r == -ENODEV || r == -ETIMEDOUT || r == -EBADMSG)
		return r;
	/* refused: an administrative controller, which has none */
	if (r < 0)
		return 0;
	exp_nvme_num_queues(dw0, &n_sq, &n_cq);
	q->t.max_ioq = EXP_MIN(n_ioq, EXP_MIN(n_sq, n_cq));
	return 0;
}

static int bring_up(struct exp_queues *q, bool may_reset, unsigned int n_ioq, struct exp_error *err)
{
	uint64_t reg;
	int r = reg_read(q, EXP_NVME_REG_CAP, 8, &reg, err);

	if (r < 0)
		return r;
	q->t.cap_reg = reg;
	exp_nvme_cap_decode(reg, &q->cap);
	if (q->cap.mpsmin > 0)
		return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, EOPNOTSUPP,
				     "the controller's smallest page is %u KiB, 4 KiB is needed",
				     4u << q->cap.mpsmin);
	if (!q->cap.mqes)
		return exp_error_set(err, EXP_CODE_DEVICE_DATA, EBADMSG,
				     "CAP.MQES is 0; at least 1 is legal");
	r = disable(q, may_reset, err);
	if (r == 0)
		r = attach_irqs(q, n_ioq + 1, err);
	if (r == 0)
		r = exp_qpair_init(&q->admin, q->reach, q->mem, &q->cap, 0, ADMIN_ENTRIES,
				   q->n_efds ? q->efds[0] : -1, err);
	if (r == 0)
		r = enable(q, err);
	return r < 0 ? r : grant_ioqs(q, n_ioq, err);
}

int exp_transport_queues_open(struct exp_reach *reach, bool may_reset, unsigned int n_ioq,
			      struct exp_transport **ret, struct exp_error *err)
{
	struct exp_queues *q = calloc(1, sizeof(*q));
	pthread_condattr_t attr;
	int r;

	if (!q) {
		reach->ops->close(reach);
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "NVMe driver");
	}
	q->t.ops = &queues_ops;
	q->t.max_bytes = EXP_IO_BYTES_MAX;
	q->reach = reach;
	pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->wake, &attr);
	pthread_condattr_destroy(&attr);
	r = exp_dma_mem_new(reach, &q->mem, err);
	if (r == 0)
		r = bring_up(q, may_reset, EXP_MIN(n_ioq, EXP_IOQ_MAX), err);
	if (r < 0) {
		close_queues(&q->t);
		return r;
	}
	*ret = &q->t;
	return 0;
}
