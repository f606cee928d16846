/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subsys.h - exported NVM subsystems of a drive: build, read back, compare, take down
 *
 * The guest's controller must not be able to process commands while its subsystem is built or
 * taken down (the device answers 1/42h: code CONFLICT, "release the function first"). None of this
 * attaches the namespace to the guest's controller: that is exp_ns_attach, at a moment of the
 * caller's. Repeatable after a crash: what is there already and equal is left alone.
 * Blocking, any thread: see device.h.
 */
#ifndef EXP_DEVICE_SUBSYS_H
#define EXP_DEVICE_SUBSYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/export.h"

#define EXP_SUBSYS_MAX         1024 /* exported subsystems of one drive */
#define EXP_SUBSYS_MEMBERS_MAX 16   /* namespaces, controllers of one of them */

struct exp_device;

struct exp_subsys_name {
	uint16_t esubid;
	struct exp_nqn nqn;
};

/* One exported subsystem as the device describes it. About 4.5 KiB. */
struct exp_subsys {
	uint16_t esubid;
	struct exp_nqn nqn;
	uint32_t n_ns;
	struct {
		uint32_t ensid, nsid; /* exported, underlying */
	} ns[EXP_SUBSYS_MEMBERS_MAX];
	bool ctrls_known; /* the device can list controllers */
	uint32_t n_ctrls;
	struct {
		uint16_t ecntlid, cntlid;
	} ctrls[EXP_SUBSYS_MEMBERS_MAX];
	uint32_t config_len; /* 0: no configuration state was set */
	uint8_t config[EXP_CONFIG_STATE_MAX];
};

/** exp_subsys_list - handles and names; *@ret is malloc'd, *@ret_n may be 0 (then *@ret is NULL) */
int exp_subsys_list(struct exp_device *d, struct exp_subsys_name **ret, size_t *ret_n,
		    struct exp_error *err) EXP_MUST_CHECK;

/** exp_subsys_read - -ENOENT, code NOT_FOUND: no such handle */
int exp_subsys_read(struct exp_device *d, uint16_t esubid, struct exp_subsys *ret,
		    struct exp_error *err) EXP_MUST_CHECK;

/** exp_subsys_find - by name; -ENOENT, code NOT_FOUND */
int exp_subsys_find(struct exp_device *d, const struct exp_nqn *nqn, uint16_t *ret_esubid,
		    struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_subsys_design - what a new export would be: limits and configuration from this drive
 * @nqn, @id: names of the export; the namespace UUID the guest sees is @id
 * @ret: complete, ready for exp_subsys_build here or on a peer
 *
 * Uses the vendor neutral Reference template. -EOPNOTSUPP, code NOT_SUPPORTED: the drive lacks it.
 */
int exp_subsys_design(struct exp_device *d, const struct exp_nqn *nqn, const struct exp_uuid *id,
		      uint64_t nsze, uint32_t lba_bytes, struct exp_export_desc *ret,
		      struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_subsys_build - create, configure, associate namespace and controller, read back, compare
 * @place: cntlid and nsid are given (the namespace exists); esubid is set
 *
 * An equal one that is there is success. One of the same name that differs is taken down and built
 * again when @replace (a configuration can be set once only), else -EEXIST, code EXISTS, naming the
 * difference. Fails cleanly: what it created itself is deleted again, if the device lets it.
 */
int exp_subsys_build(struct exp_device *d, const struct exp_export_desc *desc,
		     struct exp_place *place, bool replace, struct exp_error *err) EXP_MUST_CHECK;

/** exp_subsys_compare - 0: the device shows exactly this; -ESTALE, code CONFLICT: what differs */
int exp_subsys_compare(struct exp_device *d, const struct exp_export_desc *desc,
		       const struct exp_place *place, struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_subsys_teardown - detach from the guest's controller, disassociate, delete the subsystem
 * @desc: its name decides what is taken down: a handle that now has another name is left alone
 * @delete_ns: and delete the underlying namespace with its data
 *
 * Parts that are gone already are skipped. -EBUSY, code BUSY: the guest's function is still enabled
 * (1/42h or 0/0Ch); repeat when its VMM has released it.
 */
int exp_subsys_teardown(struct exp_device *d, const struct exp_export_desc *desc,
			const struct exp_place *place, bool delete_ns,
			struct exp_error *err) EXP_MUST_CHECK;

#endif
