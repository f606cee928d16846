/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One row per status (Base 4.2.3.1 to 4.2.3.4, NVM 3.1). "Retry" is about the very same command,
 * with nothing else done in between: most refusals are not cured by repeating them.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "nvme/status.h"

struct row {
	uint16_t status;
	const char *name;
	int errnum;
	enum exp_code code;
	bool retry;
};

#define REFUSED(sc, name)                                          \
	{                                                          \
		sc, name, EREMOTEIO, EXP_CODE_DEVICE_STATUS, false \
	}
#define AS(sc, name, errnum)                                    \
	{                                                       \
		sc, name, errnum, EXP_CODE_DEVICE_STATUS, false \
	}
#define RETRY(sc, name, errnum)                                \
	{                                                      \
		sc, name, errnum, EXP_CODE_DEVICE_STATUS, true \
	}
#define CODE(sc, name, errnum, code)                     \
	{                                                \
		sc, name, errnum, EXP_CODE_##code, false \
	}

static const struct row rows[] = {
	/* generic command status */
	CODE(0x000, "Successful Completion", 0, OK),
	CODE(0x001, "Invalid Command Opcode", EOPNOTSUPP, NOT_SUPPORTED),
	REFUSED(0x002, "Invalid Field in Command"),
	REFUSED(0x003, "Command ID Conflict"),
	RETRY(0x004, "Data Transfer Error", EIO),
	AS(0x005, "Commands Aborted due to Power Loss Notification", EIO),
	RETRY(0x006, "Internal Error", EIO),
	AS(0x007, "Command Abort Requested", ECANCELED),
	AS(0x008, "Command Aborted due to SQ Deletion", ECANCELED),
	REFUSED(0x009, "Command Aborted due to Failed Fused Command"),
	REFUSED(0x00a, "Command Aborted due to Missing Fused Command"),
	AS(0x00b, "Invalid Namespace or Format", ENOENT),
	REFUSED(0x00c, "Command Sequence Error"),
	REFUSED(0x00d, "Invalid SGL Segment Descriptor"),
	REFUSED(0x00e, "Invalid Number of SGL Descriptors"),
	REFUSED(0x00f, "Data SGL Length Invalid"),
	REFUSED(0x010, "Metadata SGL Length Invalid"),
	REFUSED(0x011, "SGL Descriptor Type Invalid"),
	REFUSED(0x012, "Invalid Use of Controller Memory Buffer"),
	REFUSED(0x013, "PRP Offset Invalid"),
	REFUSED(0x014, "Atomic Write Unit Exceeded"),
	AS(0x015, "Operation Denied", EACCES),
	REFUSED(0x016, "SGL Offset Invalid"),
	REFUSED(0x018, "Host Identifier Inconsistent Format"),
	REFUSED(0x019, "Keep Alive Timer Expired"),
	REFUSED(0x01a, "Keep Alive Timeout Invalid"),
	AS(0x01b, "Command Aborted due to Preempt and Abort", ECANCELED),
	AS(0x01c, "Sanitize Failed", EIO),
	RETRY(0x01d, "Sanitize In Progress", EBUSY),
	REFUSED(0x01e, "SGL Data Block Granularity Invalid"),
	AS(0x01f, "Command Not Supported for Queue in CMB", EOPNOTSUPP),
	AS(0x020, "Namespace is Write Protected", EROFS),
	RETRY(0x021, "Command Interrupted", EAGAIN),
	RETRY(0x022, "Transient Transport Error", EAGAIN),
	AS(0x023, "Command Prohibited by Command and Feature Lockdown", EACCES),
	RETRY(0x024, "Admin Command Media Not Ready", EAGAIN),
	AS(0x080, "LBA Out of Range", ERANGE),
	CODE(0x081, "Capacity Exceeded", ENOSPC, NO_SPACE),
	RETRY(0x082, "Namespace Not Ready", EAGAIN),
	AS(0x083, "Reservation Conflict", EBUSY),
	RETRY(0x084, "Format In Progress", EBUSY),

	/* command specific status */
	REFUSED(0x100, "Completion Queue Invalid"),
	REFUSED(0x101, "Invalid Queue Identifier"),
	REFUSED(0x102, "Invalid Queue Size"),
	RETRY(0x103, "Abort Command Limit Exceeded", EBUSY),
	AS(0x105, "Asynchronous Event Request Limit Exceeded", EBUSY),
	REFUSED(0x106, "Invalid Firmware Slot"),
	REFUSED(0x107, "Invalid Firmware Image"),
	REFUSED(0x108, "Invalid Interrupt Vector"),
	CODE(0x109, "Invalid Log Page", EOPNOTSUPP, NOT_SUPPORTED),
	REFUSED(0x10a, "Invalid Format"),
	REFUSED(0x10b, "Firmware Activation Requires Conventional Reset"),
	REFUSED(0x10c, "Invalid Queue Deletion"),
	REFUSED(0x10d, "Feature Identifier Not Saveable"),
	REFUSED(0x10e, "Feature Not Changeable"),
	REFUSED(0x10f, "Feature Not Namespace Specific"),
	REFUSED(0x114, "Overlapping Range"),
	CODE(0x115, "Namespace Insufficient Capacity", ENOSPC, NO_SPACE),
	CODE(0x116, "Namespace Identifier Unavailable", ENOSPC, NO_SPACE),
	AS(0x118, "Namespace Already Attached", EALREADY),
	AS(0x119, "Namespace Is Private", EBUSY),
	AS(0x11a, "Namespace Not Attached", EALREADY),
	AS(0x11b, "Thin Provisioning Not Supported", EOPNOTSUPP),
	REFUSED(0x11c, "Controller List Invalid"),
	RETRY(0x11d, "Device Self-test In Progress", EBUSY),
	AS(0x11f, "Invalid Controller Identifier", ENOENT),
	REFUSED(0x120, "Invalid Secondary Controller State"),
	REFUSED(0x121, "Invalid Number of Controller Resources"),
	REFUSED(0x122, "Invalid Resource Identifier"),
	REFUSED(0x123, "Sanitize Prohibited While PMR is Enabled"),
	REFUSED(0x124, "ANA Group Identifier Invalid"),
	REFUSED(0x125, "ANA Attach Failed"),
	CODE(0x126, "Insufficient Capacity", ENOSPC, NO_SPACE),
	CODE(0x127, "Namespace Attachment Limit Exceeded", ENOSPC, NO_SPACE),
	AS(0x128, "Prohibition of Command Execution Not Supported", EOPNOTSUPP),
	AS(0x129, "I/O Command Set Not Supported", EOPNOTSUPP),
	AS(0x12a, "I/O Command Set Not Enabled", EOPNOTSUPP),
	REFUSED(0x12b, "I/O Command Set Combination Rejected"),
	REFUSED(0x12c, "Invalid I/O Command Set"),
	REFUSED(0x12d, "Identifier Unavailable"),
	REFUSED(0x135, "Invalid Host"),
	REFUSED(0x136, "Invalid NVM Subsystem"),
	AS(0x137, "Invalid Controller Data Queue", ENOENT),
	CODE(0x138, "Not Enough Resources", ENOSPC, NO_SPACE),
	AS(0x139, "Controller Suspended", EBUSY),
	CODE(0x13a, "Controller Not Suspended", EALREADY, NOT_SUSPENDED),
	CODE(0x13b, "Controller Data Queue Full", EOVERFLOW, LOG_OVERFLOW),
	AS(0x142, "Controller Active", EBUSY),
	REFUSED(0x143, "Invalid Exported Association"),
	REFUSED(0x144, "Invalid Exported Configuration State"),
	REFUSED(0x180, "Conflicting Attributes"),
	REFUSED(0x181, "Invalid Protection Information"),
	AS(0x182, "Attempted Write to Read Only Range", EROFS),
	AS(0x183, "Command Size Limit Exceeded", E2BIG),

	/* media and data integrity errors */
	AS(0x280, "Write Fault", EIO),
	AS(0x281, "Unrecovered Read Error", EIO),
	AS(0x282, "End-to-end Guard Check Error", EIO),
	AS(0x283, "End-to-end Application Tag Check Error", EIO),
	AS(0x284, "End-to-end Reference Tag Check Error", EIO),
	AS(0x285, "Compare Failure", EIO),
	AS(0x286, "Access Denied", EACCES),
	AS(0x287, "Deallocated or Unwritten Logical Block", EIO),
	AS(0x288, "End-to-End Storage Tag Check Error", EIO),

	/* path related status */
	RETRY(0x300, "Internal Path Error", EIO),
	AS(0x301, "Asymmetric Access Persistent Loss", EIO),
	AS(0x302, "Asymmetric Access Inaccessible", EIO),
	RETRY(0x303, "Asymmetric Access Transition", EAGAIN),
	RETRY(0x360, "Controller Pathing Error", EIO),
	RETRY(0x370, "Host Pathing Error", EIO),
	AS(0x371, "Command Aborted By Host", ECANCELED),
};

static const struct row *row_of(uint16_t status)
{
	for (size_t i = 0; i < EXP_ARRAY_SIZE(rows); i++)
		if (rows[i].status == status)
			return &rows[i];
	return NULL;
}

const char *exp_nvme_status_name(uint16_t status)
{
	const struct row *row = row_of(status);

	return row ? row->name : "unknown status";
}

char *exp_nvme_status_format(uint16_t status, char out[EXP_NVME_STATUS_TEXT])
{
	snprintf(out, EXP_NVME_STATUS_TEXT, "%X/%02Xh %s", status >> 8, status & 0xff,
		 exp_nvme_status_name(status));
	return out;
}

int exp_nvme_status_errno(uint16_t status)
{
	const struct row *row = row_of(status);

	return row ? row->errnum : EREMOTEIO;
}

bool exp_nvme_status_retry(uint16_t status)
{
	const struct row *row = row_of(status);

	return row && row->retry;
}

bool exp_nvme_cqe_retry(const struct exp_nvme_cqe *cqe)
{
	return !cqe->dnr && exp_nvme_status_retry(cqe->status);
}

static int refused(struct exp_error *err, uint16_t status, const char *what)
{
	const struct row *row = row_of(status);
	int errnum = exp_nvme_status_errno(status);
	char text[EXP_NVME_STATUS_TEXT];

	exp_error_nvme(err, status, "%s: %s", what, exp_nvme_status_format(status, text));
	if (err) {
		err->errnum = errnum;
		err->code = row ? row->code : EXP_CODE_DEVICE_STATUS;
	}
	return -errnum;
}

int exp_nvme_check(const struct exp_nvme_cmd *cmd, const struct exp_nvme_cqe *cqe,
		   struct exp_error *err)
{
	return cqe->status ? refused(err, cqe->status, cmd->name) : 0;
}

int exp_nvme_status_error(struct exp_error *err, uint16_t status, const char *fmt, ...)
{
	char what[sizeof(err->msg)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return refused(err, status, what);
}
