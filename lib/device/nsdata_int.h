/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nsdata_int.h - inside nsdata: one handle, two ways (nsdata_queue.c, nsdata_block.c)
 */
#ifndef EXP_DEVICE_NSDATA_INT_H
#define EXP_DEVICE_NSDATA_INT_H

#include "device/nsdata.h"

struct exp_nsdata_ops {
	int (*buf_alloc)(struct exp_nsdata *h, size_t bytes, struct exp_nsbuf *ret,
			 struct exp_error *err);
	void (*buf_free)(struct exp_nsdata *h, struct exp_nsbuf *b);
	int (*submit)(struct exp_nsdata *h, const struct exp_nsdata_req *req,
		      struct exp_error *err);
	int (*reap)(struct exp_nsdata *h, struct exp_nsdata_done *ret, size_t max,
		    uint64_t deadline_us, struct exp_error *err);
	int (*allocated)(struct exp_nsdata *h, uint64_t slba, struct exp_lba_range *ret, size_t max,
			 size_t *ret_n, uint64_t *ret_next, struct exp_error *err);
	/* ends what is in flight; false: the drive may still write into the buffers */
	bool (*stop)(struct exp_nsdata *h);
	void (*free)(struct exp_nsdata *h);
};

struct exp_nsdata {
	const struct exp_nsdata_ops *ops;
	uint64_t nsze;
	uint32_t lba_bytes;
	size_t best_bytes;
	bool zero_after_dealloc;
	unsigned int depth, in_flight;
	struct exp_nsbuf *bufs; /* given out and not yet given back */
	size_t n_bufs, cap_bufs;
};

/** exp_nsdata_fd - over an open file or block device; takes @fd, also on failure */
int exp_nsdata_fd(int fd, uint32_t lba_bytes, uint64_t nsze, struct exp_nsdata **ret,
		  struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_nsdata_find_block - path of the block device of @nsid behind the kernel's controller @ctrl
 * @sysfs: "/sys", another place in tests
 */
int exp_nsdata_find_block(const char *sysfs, const char *ctrl, uint32_t nsid, char *ret, size_t cap,
			  struct exp_error *err) EXP_MUST_CHECK;

/** exp_nsdata_queue_open - an I/O queue pair of the data controller */
int exp_nsdata_queue_open(struct exp_device *d, uint32_t nsid, unsigned int depth,
			  struct exp_nsdata **ret, struct exp_error *err) EXP_MUST_CHECK;

#endif
