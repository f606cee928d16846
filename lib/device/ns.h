/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns.h - underlying namespaces of a drive: make, delete, look at, attach, detach
 *
 * Detaching from the guest's controller is the fence of a migration: a controller whose namespace
 * is detached cannot acknowledge a guest write, whatever resets happen to it. So attach and detach
 * are believed only after the device's own list (Identify CNS 12h) says the same. Everything may
 * be repeated: "already so" is success. Blocking, any thread: see device.h.
 */
#ifndef EXP_DEVICE_NS_H
#define EXP_DEVICE_NS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/uuid.h"

#define EXP_NS_CTRLS_MAX 64 /* controllers that one namespace may be attached to, for us */

struct exp_device;

struct exp_ns_info {
	uint32_t nsid;
	uint64_t nsze, ncap, nuse; /* logical blocks */
	uint32_t lba_bytes;
	uint16_t ms; /* metadata bytes per block */
	bool shared; /* NMIC bit 0 */
	bool write_protected;
	uint8_t dlfeat;    /* what deallocated blocks read as; 1: zeros */
	uint8_t nguid[16]; /* zero when it has none */
	uint8_t eui64[8];
	struct exp_uuid uuid; /* nil when it has none or it could not be asked for */
};

/**
 * exp_ns_create - a shared namespace of exactly @nsze blocks of @lba_bytes, without metadata
 *
 * Not attached to anything. Not repeatable: each call makes one, so the caller records *@ret_nsid
 * or deletes it. -ENOSPC, code NO_SPACE: no capacity; -EOPNOTSUPP: no such format.
 */
int exp_ns_create(struct exp_device *d, uint64_t nsze, uint32_t lba_bytes, uint32_t *ret_nsid,
		  struct exp_error *err) EXP_MUST_CHECK;

/** exp_ns_delete - with all its data; no such namespace is success. Detached first, everywhere */
int exp_ns_delete(struct exp_device *d, uint32_t nsid, struct exp_error *err) EXP_MUST_CHECK;

/** exp_ns_identify - allocated or not attached; -ENOENT, code NOT_FOUND: no such namespace */
int exp_ns_identify(struct exp_device *d, uint32_t nsid, struct exp_ns_info *ret,
		    struct exp_error *err) EXP_MUST_CHECK;

/** exp_ns_list - allocated namespaces, ascending; *@ret_n is at most @max, -E2BIG: there are more
 */
int exp_ns_list(struct exp_device *d, uint32_t *ret, size_t max, size_t *ret_n,
		struct exp_error *err) EXP_MUST_CHECK;

/** exp_ns_attached - controllers that @nsid is attached to (CNS 12h), ascending */
int exp_ns_attached(struct exp_device *d, uint32_t nsid, uint16_t ret[EXP_NS_CTRLS_MAX],
		    size_t *ret_n, struct exp_error *err) EXP_MUST_CHECK;

/** exp_ns_is_attached - to @cntlid? */
int exp_ns_is_attached(struct exp_device *d, uint32_t nsid, uint16_t cntlid, bool *ret,
		       struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_ns_attach, exp_ns_detach - and read back that it is so
 *
 * Returns 0, also when it was so before. -EIO, code FENCE: the device said done, its list says
 * otherwise: believe the list, whatever was about to follow must not.
 */
int exp_ns_attach(struct exp_device *d, uint32_t nsid, uint16_t cntlid,
		  struct exp_error *err) EXP_MUST_CHECK;
int exp_ns_detach(struct exp_device *d, uint32_t nsid, uint16_t cntlid,
		  struct exp_error *err) EXP_MUST_CHECK;

#endif
