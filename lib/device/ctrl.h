/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctrl.h - a guest's controller, commanded through the MMC: suspend, resume, take and give state
 *
 * A suspension is a pause, not a fence: a reset of the controller or of the MMC ends it. Nothing
 * here remembers that a controller is suspended; exp_ctrl_is_suspended asks the device. Controller
 * ids are the underlying ones. Blocking, any thread: see device.h.
 */
#ifndef EXP_DEVICE_CTRL_H
#define EXP_DEVICE_CTRL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/uuid.h"
#include "nvme/ctrl_state.h"

struct exp_device;

/* In which words a controller's state is told; by value, since indices are a drive's own. */
struct exp_state_format {
	enum exp_nvme_state_kind kind;
	struct exp_uuid uuid; /* of the template or of the vendor part, where the kind has one */
};

/**
 * exp_ctrl_suspend - stop fetching commands, finish those fetched (Base 5.2.17.1.1, STYPE 1h)
 * @timeout_ms: 0: the device's default
 *
 * The change log is kept (DUDMQ=0). Suspended already is success. -ETIMEDOUT: it may happen later:
 * see exp_device_late.
 */
int exp_ctrl_suspend(struct exp_device *d, uint16_t cntlid, uint64_t timeout_ms,
		     struct exp_error *err) EXP_MUST_CHECK;

/** exp_ctrl_suspend_notice - the warning that a suspend will follow (STYPE 0h); nothing stops */
int exp_ctrl_suspend_notice(struct exp_device *d, uint16_t cntlid,
			    struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_ctrl_resume - go on fetching (Base 5.2.17.1.2)
 * @ret_was_suspended: may be NULL; false: it was not, so it runs already (1/3Ah): success too
 *
 * -EBUSY, code BUSY: a Suspend of this controller is still outstanding; a Resume now could be
 * overtaken by it.
 */
int exp_ctrl_resume(struct exp_device *d, uint16_t cntlid, bool *ret_was_suspended,
		    uint64_t timeout_ms, struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_ctrl_is_suspended - the device's word: CSUP of a read of the state header
 *
 * Only our Suspend sets it, only Resume or a reset clears it: after a fence, true proves that the
 * suspension has lasted without a break.
 */
int exp_ctrl_is_suspended(struct exp_device *d, uint16_t cntlid, bool *ret,
			  struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_ctrl_is_live - is there anything to suspend: is the controller enabled, or suspended?
 *
 * An MMC cannot read another controller's registers, so it is asked for what it must refuse: a
 * middle part of a state that was never begun. A controller that could take state answers Command
 * Sequence Error, one that is off Invalid Controller Identifier (Base 5.2.17.1.3, the order of the
 * checks is assumed). Nothing changes by it. Any other answer counts as live: a guest that is
 * taken for off would lose its disk. A controller that a state is being loaded into is live and is
 * not asked, or the question would become part of that state.
 */
int exp_ctrl_is_live(struct exp_device *d, uint16_t cntlid, bool *ret,
		     struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_ctrl_get_state - the whole state of a suspended controller (Base 5.2.16)
 * @max: most bytes to take
 * @ret: malloc'd, *@ret_len bytes, checked as far as it can be read
 *
 * In pieces of what the drive transfers at once; each piece must say "suspended throughout", and
 * the container too. -EAGAIN, code NOT_SUSPENDED: it was not; -EFBIG: more than @max; -EBADMSG,
 * code DEVICE_DATA: the state contradicts itself.
 */
int exp_ctrl_get_state(struct exp_device *d, uint16_t cntlid, const struct exp_state_format *format,
		       size_t max, uint8_t **ret, size_t *ret_len,
		       struct exp_error *err) EXP_MUST_CHECK;

/** exp_ctrl_peek_state - the size and content of now, controller running, parts not of one moment
 */
int exp_ctrl_peek_state(struct exp_device *d, uint16_t cntlid,
			const struct exp_state_format *format, size_t max, uint8_t **ret,
			size_t *ret_len, struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_ctrl_has_queues_of - has the controller the I/O queues of this state, where it has them?
 *
 * So it took the state before, and cannot take it again while they exist. Its heads and tails may
 * be further on: a reset that ended the suspension let it run. False for a state without queues.
 */
int exp_ctrl_has_queues_of(struct exp_device *d, uint16_t cntlid,
			   const struct exp_state_format *format, const void *state, size_t len,
			   bool *ret, struct exp_error *err) EXP_MUST_CHECK;

/* A state that was sent but does not count yet. */
struct exp_state_load {
	uint16_t cntlid;
	uint8_t csvi, csuuidi;
	uint64_t end; /* bytes sent */
};

/**
 * exp_ctrl_load_state - send the whole state without committing it (Base 5.2.17.1.3)
 * exp_ctrl_commit_state - the last, empty command: the device verifies and creates the queues
 *
 * Loading again starts over and forgets what was not committed. A load whose commit failed has to
 * be repeated from the start. -EINVAL: the drive has no such format.
 */
int exp_ctrl_load_state(struct exp_device *d, uint16_t cntlid,
			const struct exp_state_format *format, const void *state, size_t len,
			struct exp_state_load *ret, struct exp_error *err) EXP_MUST_CHECK;
int exp_ctrl_commit_state(struct exp_device *d, const struct exp_state_load *load,
			  uint64_t timeout_ms, struct exp_error *err) EXP_MUST_CHECK;

#endif
