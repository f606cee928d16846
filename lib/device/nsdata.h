/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nsdata.h - the blocks of a namespace: read, write, zero, deallocate, flush
 *
 * Two ways behind one handle: an I/O queue pair on the data controller with several operations in
 * flight, or the kernel's block device with plain calls (then submit does the work at once and reap
 * only reports it). The namespace must be attached to the data controller (exp_ns_attach with
 * exp_device_data_cntlid). A handle and its buffers belong to one thread; make one per thread.
 *
 * Any length is taken: an operation is split into commands of what the drive transfers at once and
 * is done when all of them are; the first failure is what it reports.
 */
#ifndef EXP_DEVICE_NSDATA_H
#define EXP_DEVICE_NSDATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define EXP_NSDATA_DEPTH 64 /* default: operations in flight */

struct exp_device;
struct exp_nsdata;

enum exp_nsdata_op {
	EXP_NSDATA_READ = 1,
	EXP_NSDATA_WRITE = 2,
	EXP_NSDATA_ZERO = 3, /* reads as zeros afterwards */
	EXP_NSDATA_DEALLOCATE =
		4,            /* a hint: afterwards old data or what DLFEAT says; use ZERO where
				 the content matters. -EOPNOTSUPP: the drive has no such command */
	EXP_NSDATA_FLUSH = 5, /* what completed before it survives a power loss */
};

/* Memory for reads and writes; page aligned, reachable by the drive. */
struct exp_nsbuf {
	uint8_t *mem;
	size_t bytes;
	uint64_t iova; /* 0 with a block device */
};

struct exp_nsdata_req {
	enum exp_nsdata_op op;
	uint64_t slba, nlb;          /* blocks; 0, 0 for a flush */
	const struct exp_nsbuf *buf; /* READ, WRITE */
	size_t buf_off; /* multiple of 4096; [buf_off, buf_off + nlb * lba_bytes) is used */
	uint64_t tag;   /* the caller's; comes back */
};

struct exp_nsdata_done {
	uint64_t tag;
	int r; /* 0 or a negative errno */
};

/**
 * exp_nsdata_open - @depth operations in flight, 0: the default
 *
 * -ENOENT, code NOT_FOUND: no such namespace, or not attached to the data controller;
 * -EOPNOTSUPP: this device has no way to namespace data, with the reason.
 */
int exp_nsdata_open(struct exp_device *d, uint32_t nsid, unsigned int depth,
		    struct exp_nsdata **ret, struct exp_error *err) EXP_MUST_CHECK;

/** exp_nsdata_open_block - the block device at @path (O_DIRECT, O_EXCL), without a struct
 * exp_device */
int exp_nsdata_open_block(const char *path, struct exp_nsdata **ret,
			  struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_nsdata_close - what is in flight ends with it, and its buffers are gone after this
 * A thread that is told to stop with operations in flight just closes. NULL is fine.
 */
void exp_nsdata_close(struct exp_nsdata *h);
EXP_DEFINE_CLEANUP(struct exp_nsdata *, exp_nsdata_close)

uint32_t exp_nsdata_lba_bytes(const struct exp_nsdata *h);
uint64_t exp_nsdata_nsze(const struct exp_nsdata *h);     /* blocks */
size_t exp_nsdata_best_bytes(const struct exp_nsdata *h); /* transfer that needs no splitting */
bool exp_nsdata_zero_after_dealloc(const struct exp_nsdata *h); /* DLFEAT 001b */

/** exp_nsbuf_alloc - at least @bytes; freed when no operation in flight uses it, or with the handle
 */
int exp_nsbuf_alloc(struct exp_nsdata *h, size_t bytes, struct exp_nsbuf *ret,
		    struct exp_error *err) EXP_MUST_CHECK;
void exp_nsbuf_free(struct exp_nsdata *h, struct exp_nsbuf *b);

/** exp_nsdata_submit - -EAGAIN: depth operations are in flight, reap first; -EINVAL, -ERANGE */
int exp_nsdata_submit(struct exp_nsdata *h, const struct exp_nsdata_req *req,
		      struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_nsdata_reap - finished operations, in the order they finished
 * @timeout_ms: wait at most this long for the first one; 0 only looks
 * @err: detail of the last failed one among them, naming its blocks
 *
 * Returns how many, 0 when the time passed; -ENODEV: the drive is gone and with it all in flight.
 */
int exp_nsdata_reap(struct exp_nsdata *h, struct exp_nsdata_done *ret, size_t max,
		    uint64_t timeout_ms, struct exp_error *err) EXP_MUST_CHECK;

unsigned int exp_nsdata_in_flight(const struct exp_nsdata *h);

/**
 * exp_nsdata_do - submit and wait for this one; nothing else may be in flight
 * -ETIMEDOUT after @timeout_ms (0: 30 s): the handle is then fit for closing only.
 */
int exp_nsdata_do(struct exp_nsdata *h, const struct exp_nsdata_req *req, uint64_t timeout_ms,
		  struct exp_error *err) EXP_MUST_CHECK;

struct exp_lba_range {
	uint64_t slba, nlb;
};

/**
 * exp_nsdata_allocated - where the namespace holds data, from @slba on (Get LBA Status, ATYPE 02h)
 * @ret: at most @max ranges, ascending, not touching; *@ret_n of them
 * @ret_next: where to go on; the namespace's size when this was the end
 *
 * Blocks outside the ranges were never written or are deallocated. Start the change log before the
 * first call, or a block that becomes allocated in between is missed. A drive (or block device)
 * that cannot tell says "all". A drive that contradicts itself: -EBADMSG, treat it as "all".
 */
int exp_nsdata_allocated(struct exp_nsdata *h, uint64_t slba, struct exp_lba_range *ret, size_t max,
			 size_t *ret_n, uint64_t *ret_next, struct exp_error *err) EXP_MUST_CHECK;

#endif
