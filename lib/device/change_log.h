/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change_log.h - which blocks a guest changes: the drive's User Data Migration Queue
 *
 * A ring in our memory that the drive writes, one per guest controller (Base 8.1.7, NVM 5.6). The
 * reader takes entries by their phase tag and tells the drive now and then how far it has come.
 *
 * The one promise callers build on: an entry that read() has delivered, or an end that it has
 * reported. Whatever ends the log in another way (it overflowed, an entry makes no sense, the MMC
 * was reset) is an error, and an error means: what changed since is not known. Then start a new log
 * first, treat everything as dirty, and only then read blocks.
 *
 * Threads: read() on one thread, which must not wait for anything slow, least of all a disk;
 * create, start, stop and close on any one thread while no read() is running.
 */
#ifndef EXP_DEVICE_CHANGE_LOG_H
#define EXP_DEVICE_CHANGE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define EXP_CHANGE_ENTRY_BYTES     32u
#define EXP_CHANGE_LOG_ENTRIES     (1u << 16) /* default: 2 MiB */
#define EXP_CHANGE_LOG_ENTRIES_MIN 16u
#define EXP_CHANGE_LOG_ENTRIES_MAX (1u << 24)

struct exp_device;
struct exp_change_log;

enum exp_change_kind {
	EXP_CHANGE_RANGE = 1,   /* nlb blocks from slba on */
	EXP_CHANGE_ALL = 2,     /* every block of the namespace */
	EXP_CHANGE_NOTHING = 3, /* only a mark */
};

enum exp_change_mark {
	EXP_CHANGE_NO_MARK = 0,
	EXP_CHANGE_FIRST = 1,     /* first since logging started or the controller was resumed */
	EXP_CHANGE_STOPPED = 2,   /* last: logging was stopped by us */
	EXP_CHANGE_SUSPENDED = 3, /* last: the controller is suspended; all its writes were told */
};

struct exp_change {
	enum exp_change_kind kind;
	enum exp_change_mark mark; /* independent of kind */
	bool deallocated;          /* the blocks were deallocated; counts as a change */
	uint64_t slba, nlb;        /* nlb is a plain count; both 0 unless kind is RANGE */
};

struct exp_change_log_stats {
	uint64_t entries;      /* delivered */
	uint64_t head_updates; /* Set Features sent */
	uint32_t wraps;
	uint32_t capacity; /* entries of the ring */
	uint32_t pending;  /* seen but not yet given back to the drive */
};

/* The one namespace that a log may name: a drive calls it by its own id or by the guest's. */
struct exp_change_log_ns {
	uint32_t nsid;  /* underlying */
	uint32_t ensid; /* exported; 0: the guest sees the underlying one */
	uint64_t nsze;  /* blocks; an entry beyond is an error */
};

/**
 * exp_change_log_create - make the ring and tell the drive about it; nothing is logged yet
 * @cntlid: the guest's controller; @entries: 0: the default
 *
 * -EOPNOTSUPP, code NOT_SUPPORTED: with the reason (the transport keeps no memory mapped, the drive
 * has no change log). Code BUSY or NO_SPACE: the drive has no queue left, or this controller has
 * one already (a stale one: see below).
 */
int exp_change_log_create(struct exp_device *d, uint16_t cntlid, const struct exp_change_log_ns *ns,
			  uint32_t entries, struct exp_change_log **ret,
			  struct exp_error *err) EXP_MUST_CHECK;

/** exp_change_log_start - from its success on every change is told; -EBUSY: it is suspended */
int exp_change_log_start(struct exp_change_log *log, struct exp_error *err) EXP_MUST_CHECK;

/** exp_change_log_stop - no more changes are told; the mark EXP_CHANGE_STOPPED follows */
int exp_change_log_stop(struct exp_change_log *log, struct exp_error *err) EXP_MUST_CHECK;

/** exp_change_log_close - delete the queue and free the ring; best effort when the drive is gone.
 * The memory stays out of use if the drive does not confirm that it has let go. NULL is fine */
void exp_change_log_close(struct exp_change_log *log);
EXP_DEFINE_CLEANUP(struct exp_change_log *, exp_change_log_close)

/**
 * exp_change_log_read - what is there, at most @max entries, without waiting
 *
 * Returns 0 with *@ret_n, possibly 0. Sticky errors, entries before them are delivered first:
 * -EOVERFLOW, code LOG_OVERFLOW: the ring was full and logging has stopped; -EBADMSG, code
 * DEVICE_DATA: an entry that makes no sense; -ENODEV. May send one admin command to give slots
 * back; waits for it only when the ring is half full.
 */
int exp_change_log_read(struct exp_change_log *log, struct exp_change *ret, size_t max,
			size_t *ret_n, struct exp_error *err) EXP_MUST_CHECK;

void exp_change_log_stats(const struct exp_change_log *log, struct exp_change_log_stats *ret);

/** exp_change_log_id - the drive's CDQID, for the journal */
uint16_t exp_change_log_id(const struct exp_change_log *log);

/**
 * exp_change_log_delete_stale - delete every change log of this drive that a former life left
 * behind
 *
 * Before anything else after a start: such a queue is memory that the drive writes. Nothing to do
 * when opening has reset the MMC. *@ret_n: how many there were.
 */
int exp_change_log_delete_stale(struct exp_device *d, unsigned int *ret_n,
				struct exp_error *err) EXP_MUST_CHECK;

#endif
