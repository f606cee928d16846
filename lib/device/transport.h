/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport.h - how commands get to one NVMe controller, and what else that way can do
 *
 * Two ways: the kernel driver (libnvme; admin commands only) and our own queues in user space
 * (admin and I/O queues, DMA memory that stays mapped, so that a change log is possible). A third,
 * in tests, is a script.
 *
 * Rules that hold for each of them:
 * - Admin commands may be submitted and waited for from several threads at once; a command that
 *   takes long does not hold up the others.
 * - Deadlines are the caller's. When one passes the command stays outstanding: it cannot be taken
 *   back, its memory is not used again before the device completes it, and it can be waited for
 *   later. A transport never resets or aborts: a reset of the management controller would end the
 *   suspension of every guest on the drive.
 * - An I/O queue pair belongs to the thread that uses it.
 * - Losing the device (its process, its link) fails everything with -ENODEV, code DEVICE_GONE,
 *   for good.
 */
#ifndef EXP_DEVICE_TRANSPORT_H
#define EXP_DEVICE_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "nvme/sqe.h"

#define EXP_ADMIN_MAX     64         /* admin commands outstanding at once */
#define EXP_IOQ_DEPTH_MAX 1024       /* commands outstanding on one I/O queue pair */
#define EXP_IO_BYTES_MAX  (2u << 20) /* one I/O command: what one page of PRP entries can name */

struct exp_transport;
struct exp_admin; /* one admin command on its way; owned by the transport until admin_free */
struct exp_ioq;   /* one I/O queue pair */
struct exp_reach;

/* Memory that the device can reach, page aligned, zeroed when it is given out. */
struct exp_dma {
	void *mem;
	uint64_t iova;
	size_t bytes; /* what was asked for, rounded up to pages */
};

struct exp_io_done {
	uint64_t tag;
	uint16_t status; /* SCT and SC as in struct exp_error, 0: success */
	uint32_t dw0;
};

struct exp_transport_ops {
	const char *name; /* "nvme", "vfio-user" */

	/*
	 * 0: *ret is outstanding. -EBUSY: EXP_ADMIN_MAX are; -E2BIG: more than max_bytes of data.
	 * cmd->out (bytes, also the start of what the device may write) is copied here; cmd->in is
	 * only a size. PRPs and command id are filled in, unless cmd->own_prp.
	 */
	int (*admin_submit)(struct exp_transport *t, const struct exp_nvme_cmd *cmd,
			    struct exp_admin **ret, struct exp_error *err);
	/*
	 * Until @deadline_us of exp_mono_us(), one in the past only looks. 0: *ret is what the
	 * device answered, an error status too, and @in (NULL: not wanted) got the data of the
	 * command. -ETIMEDOUT, code DEVICE_TIMEOUT: still outstanding. One thread per command.
	 */
	int (*admin_wait)(struct exp_transport *t, struct exp_admin *a, void *in,
			  uint64_t deadline_us, struct exp_nvme_cqe *ret, struct exp_error *err);
	/* Nobody waits for it any more. Fine at any time; the memory lives until it completes. */
	void (*admin_free)(struct exp_transport *t, struct exp_admin *a);

	/* 0 while the controller is ready; -EIO, code DEVICE: it was reset or has failed */
	int (*check)(struct exp_transport *t, struct exp_error *err);

	/* The rest is NULL where the transport has no DMA memory. */
	int (*dma_alloc)(struct exp_transport *t, size_t bytes, struct exp_dma *ret,
			 struct exp_error *err);
	void (*dma_free)(struct exp_transport *t, struct exp_dma *m);

	int (*ioq_open)(struct exp_transport *t, unsigned int depth, struct exp_ioq **ret,
			struct exp_error *err);
	/* [iova, iova + bytes) is DMA memory, page aligned. -EAGAIN: depth commands are outstanding
	 */
	int (*ioq_submit)(struct exp_ioq *q, const struct exp_nvme_sqe *sqe, uint64_t iova,
			  size_t bytes, uint64_t tag, struct exp_error *err);
	/* how many completions, at most @max; 0 when the deadline passed first */
	int (*ioq_reap)(struct exp_ioq *q, struct exp_io_done *out, size_t max,
			uint64_t deadline_us, struct exp_error *err);
	/*
	 * Deletes the queues on the device; what was outstanding ends with it. False: the device
	 * did not confirm, so memory that outstanding commands name must never be used again.
	 */
	bool (*ioq_close)(struct exp_ioq *q);

	void (*close)(struct exp_transport *t);
};

struct exp_transport {
	const struct exp_transport_ops *ops;
	size_t max_bytes;     /* data of one command: MDTS, set once it is known */
	uint64_t cap_reg;     /* register CAP, 0: not visible */
	bool was_reset;       /* opening it took the controller through CC.EN 0 to 1 */
	unsigned int max_ioq; /* I/O queue pairs that the controller granted */
	char no_dma[128];     /* why there is no DMA memory; "" when there is */
};

/*
 * exp_transport_queues_open - our driver on one function; takes @reach, also on failure
 * @may_reset: a controller found enabled is disabled first, which ends the suspension of every
 *	guest of that drive when it is the management controller. Without it such a controller is
 *	refused: -EPERM, code RESET_ON_RESTART.
 * @n_ioq: I/O queue pairs to ask for; 0 for a controller without
 *
 * Blocks until the controller is ready, at most its CAP.TO.
 */
int exp_transport_queues_open(struct exp_reach *reach, bool may_reset, unsigned int n_ioq,
			      struct exp_transport **ret, struct exp_error *err) EXP_MUST_CHECK;

/*
 * exp_transport_libnvme_open - the kernel driver's character device, e.g. /dev/nvme0
 *
 * Admin commands only: each runs on a thread of its own, since the kernel's call cannot be taken
 * back, with a device time-out of days, since the kernel's answer to a time-out is a reset.
 */
int exp_transport_libnvme_open(const char *path, struct exp_transport **ret,
			       struct exp_error *err) EXP_MUST_CHECK;

/** exp_transport_close - NULL is fine. Commands still outstanding are never completed */
void exp_transport_close(struct exp_transport *t);
EXP_DEFINE_CLEANUP(struct exp_transport *, exp_transport_close)

/**
 * exp_transport_admin - submit and wait; -ETIMEDOUT leaves the command outstanding in *@ret_late
 * @ret_late: may be NULL: the command is then given up (its memory stays until it completes)
 */
int exp_transport_admin(struct exp_transport *t, const struct exp_nvme_cmd *cmd,
			uint64_t timeout_ms, struct exp_nvme_cqe *ret, struct exp_admin **ret_late,
			struct exp_error *err) EXP_MUST_CHECK;

#endif
