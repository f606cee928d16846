/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our NVMe driver over a way that this test is the far end of: it sees the registers written, reads
 * the queues through the memory that was mapped for it, and completes what it likes, when it likes.
 */
#include "support/tests.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/le.h"
#include "device/dma_mem.h"
#include "device/reach.h"
#include "device/transport.h"
#include "nvme/admin_cmd.h"
#include "nvme/ident.h"
#include "nvme/io_cmd.h"

static struct exp_error err;

#define SEGMENTS 8
#define QUEUES   4
#define KEEP     70

struct queue {
	uint64_t sq, cq;
	uint32_t size, sq_head, cq_tail;
	uint8_t phase;
	bool interrupts;
	uint16_t vector;
};

struct far {
	struct exp_reach reach;
	pthread_mutex_t lock; /* the driver calls from several threads */
	uint64_t cap;
	uint32_t cc, csts, aqa;
	uint64_t asq, acq;
	struct {
		uint8_t *mem;
		uint64_t iova, bytes;
		int seals;
	} seg[SEGMENTS];
	unsigned int n_seg;
	struct queue q[QUEUES];
	int irq[8];
	unsigned int n_irq;
	bool hold; /* keep commands instead of completing them */
	uint8_t kept[KEEP][64];
	uint16_t kept_qid[KEEP];
	unsigned int n_kept;
	uint16_t delete_status;
	bool lost, closed, never_ready, refuse_doorbell;
	char deleted[16];
	uint32_t n_sq, n_cq; /* granted, 0's based; UINT32_MAX: the feature is not there */
};

static struct far *far_of(struct exp_reach *r)
{
	return (struct far *)r;
}

static void *at(struct far *f, uint64_t iova, size_t n)
{
	for (unsigned int i = 0; i < f->n_seg; i++)
		if (iova >= f->seg[i].iova && iova + n <= f->seg[i].iova + f->seg[i].bytes)
			return f->seg[i].mem + (iova - f->seg[i].iova);
	fail_msg("the device would reach for %llx, which nobody mapped", (unsigned long long)iova);
	return NULL;
}

static void complete_as(struct far *f, uint16_t qid, uint16_t cid, uint16_t status, uint32_t dw0)
{
	struct queue *q = &f->q[qid];
	uint8_t *e = at(f, q->cq + 16u * q->cq_tail, 16);

	exp_put_le32(e, dw0);
	exp_put_le32(e + 4, 0);
	exp_put_le16(e + 8, (uint16_t)q->sq_head);
	exp_put_le16(e + 10, qid);
	exp_put_le16(e + 12, cid);
	__atomic_store_n((uint16_t *)(void *)(e + 14), htole16((uint16_t)(status << 1 | q->phase)),
			 __ATOMIC_RELEASE);
	if (++q->cq_tail == q->size) {
		q->cq_tail = 0;
		q->phase ^= 1;
	}
	if (q->interrupts && q->vector < f->n_irq)
		(void)!write(f->irq[q->vector], &(uint64_t){ 1 }, 8);
}

static void create_queue(struct far *f, const uint8_t *sqe)
{
	struct queue *q = &f->q[exp_le16(sqe + 40)];

	q->size = exp_le16(sqe + 42) + 1u;
	if (sqe[0] == 5) {
		q->cq = exp_le64(sqe + 24);
		q->phase = 1;
		q->cq_tail = 0;
		q->interrupts = sqe[44] & 2;
		q->vector = exp_le16(sqe + 46);
	} else {
		q->sq = exp_le64(sqe + 24);
		q->sq_head = 0;
	}
}

/* Data of an Identify: each 8 bytes hold their own offset, so that a wrong PRP shows. */
static void put_identify(struct far *f, const uint8_t *sqe, size_t bytes)
{
	uint64_t prp2 = exp_le64(sqe + 32);

	for (size_t off = 0; off < bytes; off += 8) {
		size_t page = off / 4096;
		uint64_t base = page == 0       ? exp_le64(sqe + 24)
				: bytes <= 8192 ? prp2
						: exp_le64(at(f, prp2 + 8 * (page - 1), 8));

		exp_put_le64(at(f, base + off % 4096, 8), off);
	}
}

static void execute(struct far *f, uint16_t qid, const uint8_t *sqe)
{
	uint16_t cid = exp_le16(sqe + 2), status = 0;
	uint32_t dw0 = 0;

	if (!qid && (sqe[0] == 1 || sqe[0] == 5)) {
		create_queue(f, sqe);
	} else if (!qid && (sqe[0] == 0 || sqe[0] == 4)) {
		strcat(f->deleted, sqe[0] ? "c" : "s");
		status = f->delete_status;
	} else if (!qid && sqe[0] == 9) {
		status = f->n_sq == UINT32_MAX ? 0x002 : 0;
		dw0 = f->n_cq << 16 | f->n_sq;
	} else if (!qid && sqe[0] == 6) {
		put_identify(f, sqe, 4u * exp_le32(sqe + 60));
	} else if (f->hold) {
		assert_true(f->n_kept < KEEP);
		memcpy(f->kept[f->n_kept], sqe, 64);
		f->kept_qid[f->n_kept++] = qid;
		return;
	}
	complete_as(f, qid, cid, status, dw0);
}

/* ---- the way ---- */

static int reg_read(struct exp_reach *r, uint32_t off, unsigned int width, uint64_t *ret,
		    struct exp_error *e)
{
	struct far *f = far_of(r);

	(void)width;
	if (f->lost)
		return exp_error_set(e, EXP_CODE_DEVICE_GONE, ENODEV, "lost");
	*ret = off == 0 ? f->cap : off == 0x14 ? f->cc : off == 0x1c ? f->csts : 0;
	return 0;
}

static int reg_write(struct exp_reach *r, uint32_t off, unsigned int width, uint64_t value,
		     struct exp_error *e)
{
	struct far *f = far_of(r);

	(void)e;
	switch (off) {
	case 0x24: f->aqa = (uint32_t)value; break;
	case 0x28:
		assert_int_equal(width, 8);
		f->asq = value;
		break;
	case 0x30: f->acq = value; break;
	case 0x14:
		f->cc = (uint32_t)value;
		if (!f->never_ready)
			f->csts = value & 1;
		if (value & 1)
			f->q[0] = (struct queue){ .sq = f->asq,
						  .cq = f->acq,
						  .size = (f->aqa & 0xfff) + 1,
						  .phase = 1,
						  .interrupts = true };
		break;
	default: fail_msg("a write to register %x", off);
	}
	return 0;
}

static int doorbell(struct exp_reach *r, uint32_t off, uint32_t value, struct exp_error *e)
{
	struct far *f = far_of(r);
	uint16_t qid = (uint16_t)((off - 0x1000) / 8);
	struct queue *q = &f->q[qid];

	if (f->refuse_doorbell)
		return exp_error_set(e, EXP_CODE_DEVICE, EREMOTEIO, "refused");
	if ((off - 0x1000) / 4 % 2)
		return 0; /* head of the completion queue */
	pthread_mutex_lock(&f->lock);
	while (q->sq_head != value) {
		uint8_t sqe[64];

		memcpy(sqe, at(f, q->sq + 64u * q->sq_head, 64), 64);
		q->sq_head = (q->sq_head + 1) % q->size;
		execute(f, qid, sqe);
	}
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static int dma_map(struct exp_reach *r, int fd, uint64_t off, uint64_t iova, uint64_t bytes,
		   struct exp_error *e)
{
	struct far *f = far_of(r);

	(void)e;
	assert_true(f->n_seg < SEGMENTS);
	f->seg[f->n_seg].mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				    (off_t)off);
	assert_true(f->seg[f->n_seg].mem != MAP_FAILED);
	f->seg[f->n_seg].iova = iova;
	f->seg[f->n_seg].bytes = bytes;
	f->seg[f->n_seg].seals = fcntl(fd, F_GET_SEALS);
	f->n_seg++;
	return 0;
}

static int irq_attach(struct exp_reach *r, unsigned int first, const int *fds, unsigned int n,
		      struct exp_error *e)
{
	struct far *f = far_of(r);

	(void)e;
	for (unsigned int i = 0; i < n; i++)
		f->irq[first + i] = fds[i];
	f->n_irq = first + n;
	return 0;
}

static int service(struct exp_reach *r, struct exp_error *e)
{
	return far_of(r)->lost ? exp_error_set(e, EXP_CODE_DEVICE_GONE, ENODEV, "lost") : 0;
}

static bool lost(const struct exp_reach *r)
{
	return __atomic_load_n(&((const struct far *)r)->lost, __ATOMIC_SEQ_CST);
}

static void close_reach(struct exp_reach *r)
{
	far_of(r)->closed = true;
}

static const struct exp_reach_ops far_ops = {
	.name = "far",
	.reg_read = reg_read,
	.reg_write = reg_write,
	.doorbell = doorbell,
	.dma_map = dma_map,
	.irq_attach = irq_attach,
	.service = service,
	.lost = lost,
	.close = close_reach,
};

static struct far *far_new(void)
{
	struct far *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	memset(&err, 0, sizeof(err));
	pthread_mutex_init(&f->lock, NULL);
	f->reach.ops = &far_ops;
	f->reach.n_vectors = 4;
	f->reach.wait_fd = -1;
	/* MQES 1023, CQR, TO 20h, NVM command set */
	f->cap = UINT64_C(0x00000020200103ff);
	f->n_sq = f->n_cq = 1;
	return f;
}

static struct exp_transport *open_far(struct far *f)
{
	struct exp_transport *t;

	assert_ok(exp_transport_queues_open(&f->reach, false, 2, &t, &err), &err);
	return t;
}

static void far_free(struct far *f)
{
	assert_true(f->closed);
	for (unsigned int i = 0; i < f->n_seg; i++)
		munmap(f->seg[i].mem, f->seg[i].bytes);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* ---- opening ---- */

static void test_open_writes_the_registers(void **state)
{
	struct far *f = far_new();
	struct exp_transport *t = open_far(f);

	(void)state;
	assert_int_equal(f->aqa, 0x007f007f);
	assert_true(f->asq && f->asq % 4096 == 0 && f->acq && f->acq % 4096 == 0);
	assert_int_equal(f->cc, 0x00460001); /* CQES 4, SQES 6, NVM command set, 4 KiB, enabled */
	assert_true(t->was_reset);
	assert_true(t->cap_reg == f->cap);
	assert_int_equal(t->max_ioq, 2);
	assert_int_equal(f->n_irq, 3);
	/* the device need not fear for its mapping, and nobody can grow it under us */
	assert_int_equal(f->seg[0].seals, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	assert_ok(t->ops->check(t, &err), &err);
	f->csts = 2;
	assert_int_equal(t->ops->check(t, &err), -EIO);
	f->csts = 1;
	f->cc = 0;
	assert_int_equal(t->ops->check(t, &err), -EIO);
	exp_transport_close(t);
	far_free(f);
}

static void test_open_command_sets(void **state)
{
	static const struct {
		uint64_t css;
		uint32_t cc;
	} sets[] = { { 0x01, 0x00460001 }, { 0x40, 0x00460061 }, { 0x80, 0x00460071 } };

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(sets); i++) {
		struct far *f = far_new();
		struct exp_transport *t;

		f->cap = (f->cap & ~(UINT64_C(0xff) << 37)) | sets[i].css << 37;
		f->n_sq = UINT32_MAX; /* no I/O queues */
		t = open_far(f);
		assert_int_equal(f->cc, sets[i].cc);
		assert_int_equal(t->max_ioq, 0);
		exp_transport_close(t);
		far_free(f);
	}
}

static void test_open_refusals(void **state)
{
	struct exp_transport *t;
	struct far *f = far_new();

	(void)state;
	f->cc = f->csts = 1;
	assert_int_equal(exp_transport_queues_open(&f->reach, false, 2, &t, &err), -EPERM);
	assert_error(&err, EXP_CODE_RESET_ON_RESTART, "every suspension");
	assert_int_equal(f->cc, 1); /* untouched */
	f->closed = false;
	assert_ok(exp_transport_queues_open(&f->reach, true, 2, &t, &err), &err);
	exp_transport_close(t);
	far_free(f);

	f = far_new();
	f->cap |= UINT64_C(1) << 48; /* MPSMIN 8 KiB */
	assert_int_equal(exp_transport_queues_open(&f->reach, false, 2, &t, &err), -EOPNOTSUPP);
	far_free(f);
	f = far_new();
	f->cap &= ~UINT64_C(0xffff);
	assert_int_equal(exp_transport_queues_open(&f->reach, false, 2, &t, &err), -EBADMSG);
	far_free(f);
	f = far_new();
	f->never_ready = true;
	f->csts = 2; /* fatal */
	assert_int_equal(exp_transport_queues_open(&f->reach, false, 2, &t, &err), -EIO);
	far_free(f);
	f = far_new();
	f->lost = true;
	assert_int_equal(exp_transport_queues_open(&f->reach, false, 2, &t, &err), -ENODEV);
	far_free(f);
}

/* ---- admin ---- */

/* An Identify of any length; CDW15 tells the far end how many dwords. */
static void identify(struct exp_nvme_cmd *cmd, uint8_t *p, size_t bytes)
{
	exp_nvme_cmd_init(cmd, 0x06, "Identify");
	exp_nvme_cmd_in(cmd, p, bytes);
	cmd->sqe.cdw15 = (uint32_t)(bytes / 4);
}

static void held(struct exp_nvme_cmd *cmd)
{
	exp_nvme_cmd_init(cmd, 0x41, "something slow");
}

static void run_identify(struct exp_transport *t, size_t bytes)
{
	uint8_t *p = calloc(1, bytes);
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;

	assert_non_null(p);
	identify(&cmd, p, bytes);
	assert_ok(exp_transport_admin(t, &cmd, 5000, &cqe, NULL, &err), &err);
	assert_int_equal(cqe.status, 0);
	for (size_t off = 0; off < bytes; off += 8)
		if (exp_le64(p + off) != off)
			fail_msg("offset %zu came from %llu", off,
				 (unsigned long long)exp_le64(p + off));
	free(p);
}

static void test_admin_data_by_prps(void **state)
{
	static const size_t sizes[] = { 8, 4096, 4104, 8192, 8200, 65536, 2u << 20 };
	struct far *f = far_new();
	struct exp_transport *t = open_far(f);
	struct exp_nvme_cmd cmd;
	struct exp_admin *a;
	uint8_t *big = calloc(1, (2u << 20) + 8);

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(sizes); i++)
		run_identify(t, sizes[i]);
	identify(&cmd, big, (2u << 20) + 8);
	assert_int_equal(t->ops->admin_submit(t, &cmd, &a, &err), -E2BIG);
	assert_non_null(strstr(err.msg, "2097160"));
	assert_non_null(strstr(err.msg, "2097152"));
	free(big);
	exp_transport_close(t);
	far_free(f);
}

static void many_commands(unsigned int vectors)
{
	struct far *f = far_new();
	struct exp_transport *t;

	f->reach.n_vectors = vectors;
	t = open_far(f);
	for (int i = 0; i < 1000; i++)
		run_identify(t, 64);
	exp_transport_close(t);
	far_free(f);
}

static void test_admin_queue_wraps(void **state)
{
	(void)state;
	many_commands(4);
}

static void test_admin_queue_polled(void **state)
{
	(void)state;
	many_commands(0);
}

static void complete_kept(struct far *f, unsigned int i, uint16_t status)
{
	pthread_mutex_lock(&f->lock);
	complete_as(f, f->kept_qid[i], exp_le16(f->kept[i] + 2), status, 77);
	pthread_mutex_unlock(&f->lock);
}

static void test_late_command_keeps_its_memory_and_can_be_waited_for(void **state)
{
	struct far *f = far_new();
	struct exp_transport *t = open_far(f);
	struct exp_admin *late = NULL;
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	uint8_t data[4096], *theirs;

	(void)state;
	f->hold = true;
	held(&cmd);
	memset(data, 0xaa, sizeof(data));
	exp_nvme_cmd_out(&cmd, data, sizeof(data));
	assert_int_equal(exp_transport_admin(t, &cmd, 0, &cqe, &late, &err), -ETIMEDOUT);
	assert_int_equal(err.code, EXP_CODE_DEVICE_TIMEOUT);
	assert_non_null(strstr(err.msg, "something slow"));
	assert_non_null(late);
	memset(data, 0, sizeof(data)); /* the caller's buffer is the caller's again */
	theirs = at(f, exp_le64(f->kept[0] + 24), sizeof(data));
	/* others go on, and get other memory */
	for (int i = 0; i < 300; i++)
		run_identify(t, 4096);
	for (size_t i = 0; i < sizeof(data); i++)
		assert_int_equal(theirs[i], 0xaa);
	assert_int_equal(t->ops->admin_wait(t, late, NULL, 0, &cqe, &err), -ETIMEDOUT);
	complete_kept(f, 0, 0x139);
	assert_ok(t->ops->admin_wait(t, late, NULL, 0, &cqe, &err), &err);
	assert_int_equal(cqe.status, 0x139);
	assert_int_equal(cqe.dw0, 77);
	t->ops->admin_free(t, late);
	exp_transport_close(t);
	far_free(f);
}

static void test_given_up_commands_take_slots_until_they_complete(void **state)
{
	struct far *f = far_new();
	struct exp_transport *t = open_far(f);
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	struct exp_admin *a;

	(void)state;
	f->hold = true;
	for (int i = 0; i < EXP_ADMIN_MAX; i++) {
		held(&cmd);
		assert_int_equal(exp_transport_admin(t, &cmd, 0, &cqe, NULL, &err), -ETIMEDOUT);
	}
	assert_int_equal(t->ops->admin_submit(t, &cmd, &a, &err), -EBUSY);
	assert_int_equal(err.code, EXP_CODE_BUSY);
	/* done: noticed although nobody waits for it */
	complete_kept(f, 10, 0);
	assert_ok(t->ops->admin_submit(t, &cmd, &a, &err), &err);
	assert_int_equal(t->ops->admin_submit(t, &cmd, &a, &err), -EBUSY);
	exp_transport_close(t);
	far_free(f);
}

static void test_completion_of_nothing_breaks_the_queue(void **state)
{
	static const uint16_t bad[] = { 5, EXP_ADMIN_MAX, 0xffff };

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(bad); i++) {
		struct far *f = far_new();
		struct exp_transport *t = open_far(f);
		struct exp_nvme_cmd cmd;
		struct exp_nvme_cqe cqe;

		f->hold = true;
		held(&cmd);
		complete_as(f, 0, bad[i], 0, 0);
		assert_int_equal(exp_transport_admin(t, &cmd, 5000, &cqe, NULL, &err), -EBADMSG);
		assert_int_equal(err.code, EXP_CODE_DEVICE_DATA);
		assert_int_equal(exp_transport_admin(t, &cmd, 5000, &cqe, NULL, &err), -EBADMSG);
		exp_transport_close(t);
		far_free(f);
	}
}

/* A doorbell that was refused: the command was never submitted, the next one takes its slot. */
static void test_refused_doorbell_is_no_submission(void **state)
{
	struct far *f = far_new();
	struct exp_transport *t = open_far(f);
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;

	(void)state;
	f->refuse_doorbell = true;
	held(&cmd);
	assert_int_equal(exp_transport_admin(t, &cmd, 5000, &cqe, NULL, &err), -EREMOTEIO);
	f->refuse_doorbell = false;
	for (int i = 0; i < 300; i++)
		run_identify(t, 64);
	exp_transport_close(t);
	far_free(f);
}

struct waiter {
	struct exp_transport *t;
	atomic_bool submitted;
	int r;
	struct exp_nvme_cqe cqe;
};

static void *wait_for_slow(void *arg)
{
	struct waiter *w = arg;
	struct exp_nvme_cmd cmd;
	struct exp_admin *a;

	held(&cmd);
	w->r = w->t->ops->admin_submit(w->t, &cmd, &a, NULL);
	atomic_store(&w->submitted, true);
	if (w->r == 0)
		w->r = w->t->ops->admin_wait(w->t, a, NULL, exp_mono_us() + 20000000, &w->cqe,
					     NULL);
	w->t->ops->admin_free(w->t, a);
	return NULL;
}

/* A Suspend that takes long does not block the change-log reader of another thread. */
static void test_slow_command_of_one_thread_does_not_hold_up_another(void **state)
{
	enum { N = 3 };
	struct far *f = far_new();
	struct exp_transport *t = open_far(f);
	struct waiter w[N];
	pthread_t thread[N];

	(void)state;
	f->hold = true;
	for (int i = 0; i < N; i++) {
		w[i] = (struct waiter){ .t = t };
		assert_int_equal(pthread_create(&thread[i], NULL, wait_for_slow, &w[i]), 0);
		while (!atomic_load(&w[i].submitted))
			usleep(100);
	}
	for (int i = 0; i < 500; i++)
		run_identify(t, 4096);
	for (int i = N; i-- > 0;) {
		complete_kept(f, (unsigned int)i, (uint16_t)(0x100 + i));
		pthread_join(thread[i], NULL);
		assert_int_equal(w[i].r, 0);
		assert_int_equal(w[i].cqe.status, 0x100 + i);
	}
	exp_transport_close(t);
	far_free(f);
}

static void test_lost_way_wakes_everybody(void **state)
{
	struct far *f = far_new();
	struct exp_transport *t;
	struct waiter w[2];
	pthread_t thread[2];

	(void)state;
	f->reach.n_vectors = 0; /* polled: nobody has to be woken for this test */
	t = open_far(f);
	f->hold = true;
	for (int i = 0; i < 2; i++) {
		w[i] = (struct waiter){ .t = t };
		assert_int_equal(pthread_create(&thread[i], NULL, wait_for_slow, &w[i]), 0);
		while (!atomic_load(&w[i].submitted))
			usleep(100);
	}
	__atomic_store_n(&f->lost, true, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 2; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(w[i].r, -ENODEV);
	}
	exp_transport_close(t);
	far_free(f);
}

/* ---- I/O queues ---- */

static void test_ioq_depth_order_tags(void **state)
{
	struct far *f = far_new();
	struct exp_transport *t = open_far(f);
	struct exp_io_done done[8];
	struct exp_nvme_cmd cmd;
	struct exp_dma buf;
	struct exp_ioq *q;

	(void)state;
	assert_ok(t->ops->ioq_open(t, 4, &q, &err), &err);
	assert_ok(t->ops->dma_alloc(t, 64 << 10, &buf, &err), &err);
	f->hold = true;
	exp_nvme_read(&cmd, 1, 0, 8);
	for (uint64_t i = 0; i < 4; i++)
		assert_ok(t->ops->ioq_submit(q, &cmd.sqe, buf.iova, 4096 * (i + 1), 100 + i, &err),
			  &err);
	assert_int_equal(t->ops->ioq_submit(q, &cmd.sqe, buf.iova, 4096, 9, &err), -EAGAIN);
	assert_int_equal(t->ops->ioq_submit(q, &cmd.sqe, buf.iova + 512, 4096, 9, &err), -EINVAL);
	assert_int_equal(t->ops->ioq_submit(q, &cmd.sqe, buf.iova, (2u << 20) + 1, 9, &err),
			 -EINVAL);
	/* PRP1, then PRP2, then a list */
	assert_int_equal(exp_le64(f->kept[0] + 32), 0);
	assert_int_equal(exp_le64(f->kept[1] + 32), buf.iova + 4096);
	assert_int_equal(exp_le64(at(f, exp_le64(f->kept[3] + 32) + 16, 8)), buf.iova + 3 * 4096);
	assert_int_equal(t->ops->ioq_reap(q, done, 8, 0, &err), 0);
	for (unsigned int i = 4; i-- > 0;)
		complete_kept(f, i, (uint16_t)(i == 2 ? 0x281 : 0));
	assert_int_equal(t->ops->ioq_reap(q, done, 3, exp_mono_us() + 5000000, &err), 3);
	assert_int_equal(done[0].tag, 103);
	assert_int_equal(done[1].tag, 102);
	assert_int_equal(done[1].status, 0x281);
	assert_int_equal(t->ops->ioq_reap(q, done, 8, 0, &err), 1);
	assert_int_equal(done[0].tag, 100);

	/* around the queue a few times */
	f->hold = false;
	for (int i = 0; i < 50; i++) {
		assert_ok(t->ops->ioq_submit(q, &cmd.sqe, buf.iova, 4096, 7, &err), &err);
		assert_int_equal(t->ops->ioq_reap(q, done, 8, exp_mono_us() + 5000000, &err), 1);
	}
	assert_true(t->ops->ioq_close(q));
	assert_string_equal(f->deleted, "sc"); /* submission queue first */
	exp_transport_close(t);
	far_free(f);
}

static void test_ioq_count_and_reuse(void **state)
{
	struct far *f = far_new();
	struct exp_transport *t = open_far(f);
	struct exp_ioq *q[3];

	(void)state;
	assert_ok(t->ops->ioq_open(t, 4, &q[0], &err), &err);
	assert_ok(t->ops->ioq_open(t, 4, &q[1], &err), &err);
	assert_int_equal(t->ops->ioq_open(t, 4, &q[2], &err), -EBUSY);
	assert_error(&err, EXP_CODE_BUSY, "all 2 I/O queues");
	assert_true(t->ops->ioq_close(q[0]));
	assert_ok(t->ops->ioq_open(t, 100000, &q[0], &err), &err); /* as deep as there is */
	/* a drive that does not let go keeps queue and memory */
	f->delete_status = 0x006;
	assert_false(t->ops->ioq_close(q[0]));
	assert_int_equal(t->ops->ioq_open(t, 4, &q[0], &err), -EBUSY);
	f->delete_status = 0;
	assert_true(t->ops->ioq_close(q[1]));
	exp_transport_close(t);
	far_free(f);
}

static void test_ioq_completion_of_nothing(void **state)
{
	struct far *f = far_new();
	struct exp_transport *t = open_far(f);
	struct exp_io_done done;
	struct exp_ioq *q;

	(void)state;
	assert_ok(t->ops->ioq_open(t, 4, &q, &err), &err);
	complete_as(f, 1, 2, 0, 0);
	assert_int_equal(t->ops->ioq_reap(q, &done, 1, 0, &err), -EBADMSG);
	assert_int_equal(t->ops->ioq_reap(q, &done, 1, 0, &err), -EBADMSG);
	assert_true(t->ops->ioq_close(q));
	exp_transport_close(t);
	far_free(f);
}

/* ---- memory ---- */

static void test_memory_is_zero_apart_and_used_again(void **state)
{
	struct far *f = far_new();
	struct exp_transport *t = open_far(f);
	struct exp_dma a, b, c;

	(void)state;
	assert_ok(t->ops->dma_alloc(t, 1, &a, &err), &err);
	assert_int_equal(a.bytes, 4096);
	assert_ok(t->ops->dma_alloc(t, 1 << 20, &b, &err), &err);
	assert_ok(t->ops->dma_alloc(t, 8192, &c, &err), &err);
	assert_true(b.iova >= a.iova + a.bytes && c.iova >= b.iova + b.bytes);
	assert_ptr_equal(at(f, b.iova, b.bytes) == NULL, NULL);
	memset(b.mem, 0x55, b.bytes);
	uint64_t was = b.iova;

	t->ops->dma_free(t, &b);
	assert_null(b.mem);
	t->ops->dma_free(t, &b); /* twice is nothing */
	assert_ok(t->ops->dma_alloc(t, 1 << 20, &b, &err), &err);
	assert_true(b.iova == was);
	for (size_t i = 0; i < b.bytes; i++)
		if (((uint8_t *)b.mem)[i])
			fail_msg("byte %zu is not zero", i);
	/* and so is a small piece, which the kernel does not get back in between */
	memset(c.mem, 0x55, c.bytes);
	t->ops->dma_free(t, &c);
	assert_ok(t->ops->dma_alloc(t, 8192, &c, &err), &err);
	for (size_t i = 0; i < c.bytes; i++)
		if (((uint8_t *)c.mem)[i])
			fail_msg("byte %zu of the small piece is not zero", i);
	/* in any order they join again */
	t->ops->dma_free(t, &a);
	t->ops->dma_free(t, &c);
	t->ops->dma_free(t, &b);
	assert_ok(t->ops->dma_alloc(t, (1 << 20) + 3 * 4096, &a, &err), &err);
	assert_int_equal(f->n_seg, 1);
	/* more than a segment holds: one of its own, at another address */
	assert_ok(t->ops->dma_alloc(t, 100 << 20, &b, &err), &err);
	assert_int_equal(f->n_seg, 2);
	assert_true(f->seg[1].iova >= f->seg[0].iova + f->seg[0].bytes);
	assert_int_equal(t->ops->dma_alloc(t, 0, &c, &err), -EINVAL);
	assert_int_equal(t->ops->dma_alloc(t, (size_t)2 << 30, &c, &err), -EINVAL);
	exp_transport_close(t);
	far_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_writes_the_registers),
		cmocka_unit_test(test_open_command_sets),
		cmocka_unit_test(test_open_refusals),
		cmocka_unit_test(test_admin_data_by_prps),
		cmocka_unit_test(test_admin_queue_wraps),
		cmocka_unit_test(test_admin_queue_polled),
		cmocka_unit_test(test_late_command_keeps_its_memory_and_can_be_waited_for),
		cmocka_unit_test(test_given_up_commands_take_slots_until_they_complete),
		cmocka_unit_test(test_completion_of_nothing_breaks_the_queue),
		cmocka_unit_test(test_refused_doorbell_is_no_submission),
		cmocka_unit_test(test_slow_command_of_one_thread_does_not_hold_up_another),
		cmocka_unit_test(test_lost_way_wakes_everybody),
		cmocka_unit_test(test_ioq_depth_order_tags),
		cmocka_unit_test(test_ioq_count_and_reuse),
		cmocka_unit_test(test_ioq_completion_of_nothing),
		cmocka_unit_test(test_memory_is_zero_apart_and_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
