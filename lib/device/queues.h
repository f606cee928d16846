/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queues.h - inside our NVMe driver: what transport_queues.c (life, admin) and ioq.c share
 */
#ifndef EXP_DEVICE_QUEUES_H
#define EXP_DEVICE_QUEUES_H

#include <pthread.h>

#include "device/qpair.h"
#include "device/transport.h"

#define EXP_IOQ_MAX 64u

enum exp_admin_state { EXP_ADMIN_FREE, EXP_ADMIN_OUTSTANDING, EXP_ADMIN_DONE };

struct exp_admin {
	enum exp_admin_state state;
	bool given_up; /* nobody will ask: free it when it completes */
	bool reads;    /* the device writes buf */
	size_t bytes;
	struct exp_dma buf, list;
	struct exp_nvme_cqe cqe;
	const char *name;
};

struct exp_queues {
	struct exp_transport t;
	struct exp_reach *reach;
	struct exp_dma_mem *mem;
	struct exp_nvme_cap cap;
	int efds[EXP_IOQ_MAX + 1]; /* vector i is queue i; polled beyond n_efds */
	unsigned int n_efds;

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t wake;
	struct exp_qpair admin;
	struct exp_admin cmds[EXP_ADMIN_MAX];
	bool led;          /* a thread is the leader */
	int broken;        /* negative errno: the admin queue cannot be trusted any more */
	uint64_t ioq_used; /* bit i: I/O queue i + 1 */
};

/** exp_queues_run - one admin command of the driver itself; a refusal is an error */
int exp_queues_run(struct exp_queues *q, const struct exp_nvme_cmd *cmd, uint32_t *ret_dw0,
		   struct exp_error *err) EXP_MUST_CHECK;

/* The I/O queue entries of struct exp_transport_ops. */
int exp_ioq_open(struct exp_transport *t, unsigned int depth, struct exp_ioq **ret,
		 struct exp_error *err) EXP_MUST_CHECK;
int exp_ioq_submit(struct exp_ioq *io, const struct exp_nvme_sqe *sqe, uint64_t iova, size_t bytes,
		   uint64_t tag, struct exp_error *err) EXP_MUST_CHECK;
int exp_ioq_reap(struct exp_ioq *io, struct exp_io_done *out, size_t max, uint64_t deadline_us,
		 struct exp_error *err) EXP_MUST_CHECK;
bool exp_ioq_close(struct exp_ioq *io);

#endif
