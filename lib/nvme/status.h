/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.h - what a completion status means: its name, an errno to steer by, worth another try?
 *
 * A status is SCT in bits 10:8 and SC in 7:0, as in struct exp_error and struct exp_nvme_cqe.
 * Sets of statuses that mean the same in one place only are in assumptions.h.
 */
#ifndef EXP_NVME_STATUS_H
#define EXP_NVME_STATUS_H

#include "nvme/sqe.h"

#define EXP_NVME_STATUS_TEXT 80

/** exp_nvme_status_name - the specification's name; "unknown status" when it has none here */
const char *exp_nvme_status_name(uint16_t status);

/** exp_nvme_status_format - "1/39h Controller Suspended"; returns @out */
char *exp_nvme_status_format(uint16_t status, char out[EXP_NVME_STATUS_TEXT]);

/** exp_nvme_status_errno - positive errno, 0 for success; EREMOTEIO for what has no row here */
int exp_nvme_status_errno(uint16_t status);

/** exp_nvme_status_retry - may the very same command succeed later, without anything else done? */
bool exp_nvme_status_retry(uint16_t status);

/** exp_nvme_cqe_retry - the same, with the device's own word (DNR) taken into account */
bool exp_nvme_cqe_retry(const struct exp_nvme_cqe *cqe);

/**
 * exp_nvme_check - 0 when the command succeeded, else the device's refusal as an error
 *
 * Fills @err with the code and errno of the status and "NAME: 1/39h Controller Suspended", NAME
 * from the command. Returns the negative errno: -EREMOTEIO unless the status has one of its own
 * (-EOPNOTSUPP 0/01h, -ENOSPC for no room, -EALREADY, -ENOENT, -EBUSY ...).
 */
int exp_nvme_check(const struct exp_nvme_cmd *cmd, const struct exp_nvme_cqe *cqe,
		   struct exp_error *err);

/** exp_nvme_status_error - the same for a status without its command; @status is not 0 */
int exp_nvme_status_error(struct exp_error *err, uint16_t status, const char *fmt, ...)
	EXP_PRINTF(3, 4);

#endif
