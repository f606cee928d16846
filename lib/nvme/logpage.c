/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/le.h"
#include "nvme/field.h"
#include "nvme/logpage.h"

#define EFFECTS_CSUPP    1u
#define EFFECTS_IO_AT    1024u /* bytes 0..1023 admin, 1024..2047 I/O, 4 per opcode */
#define CHANGED_TOO_MANY 0xffffffffu

void exp_nvme_get_log(struct exp_nvme_cmd *c, enum exp_nvme_lid lid, bool retain_event,
		      uint64_t offset_bytes, void *buf, size_t bytes)
{
	uint32_t numd = (uint32_t)(bytes / 4 - 1); /* 0's based dwords */

	assert(bytes >= 4 && bytes % 4 == 0 && bytes / 4 <= UINT32_MAX && offset_bytes % 4 == 0);
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_GET_LOG_PAGE, "Get Log Page");
	c->sqe.nsid = EXP_NVME_NSID_ALL;
	c->sqe.cdw10 = numd << 16 | (uint32_t)retain_event << 15 | lid;
	c->sqe.cdw11 = numd >> 16;
	c->sqe.cdw12 = (uint32_t)offset_bytes;
	c->sqe.cdw13 = (uint32_t)(offset_bytes >> 32);
	exp_nvme_cmd_in(c, buf, bytes);
}

int exp_nvme_effects_parse(const void *page, size_t len, struct exp_nvme_effects *ret,
			   struct exp_error *err)
{
	const uint8_t *p = page;
	int r = exp_nvme_whole_page("Commands Supported and Effects", len, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < 256; i++) {
		ret->admin[i] = exp_le32(p + 4 * i);
		ret->io[i] = exp_le32(p + EFFECTS_IO_AT + 4 * i);
	}
	return 0;
}

bool exp_nvme_effects_admin(const struct exp_nvme_effects *e, enum exp_nvme_admin_opcode opcode)
{
	return e->admin[opcode] & EFFECTS_CSUPP;
}

bool exp_nvme_effects_io(const struct exp_nvme_effects *e, enum exp_nvme_io_opcode opcode)
{
	return e->io[opcode] & EFFECTS_CSUPP;
}

int exp_nvme_changed_ns_parse(const void *page, size_t len, struct exp_nvme_ns_list *ret,
			      bool *ret_all, struct exp_error *err)
{
	const uint8_t *p = page;
	int r = exp_nvme_whole_page("Changed Namespace List", len, err);

	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	*ret_all = exp_le32(p) == CHANGED_TOO_MANY;
	if (*ret_all)
		return 0;
	while (ret->n < EXP_NVME_NS_LIST_MAX && exp_le32(p + 4 * ret->n)) {
		ret->id[ret->n] = exp_le32(p + 4 * ret->n);
		ret->n++;
	}
	return 0;
}

#define INT(member, at, width) EXP_NVME_INT(struct exp_nvme_error_entry, member, at, width)
static const struct exp_nvme_field error_entry[] = {
	INT(count, 0, 8), INT(sqid, 8, 2),  INT(cid, 10, 2),    INT(status, 12, 2),
	INT(lba, 16, 8),  INT(nsid, 24, 4), INT(opcode, 31, 1), INT(command_specific, 32, 8),
};
#undef INT
#define PARAM_AT   14u /* 7:0 byte, 10:8 bit of the command that was wrong */
#define PARAM_NONE 0xffffu

int exp_nvme_error_entry_parse(const void *p, size_t len, struct exp_nvme_error_entry *ret,
			       struct exp_error *err)
{
	struct exp_nvme_error_entry e = { 0 };
	uint16_t param;

	if (len < EXP_NVME_ERROR_ENTRY_BYTES)
		return EXP_NVME_BAD(err, "Error Information: the entry has %zu bytes, not %u", len,
				    EXP_NVME_ERROR_ENTRY_BYTES);
	exp_nvme_fields_get(error_entry, EXP_ARRAY_SIZE(error_entry), p, &e);
	e.status = e.status >> 1 & 0x7ff; /* bit 0 may be the phase tag */
	param = exp_le16((const uint8_t *)p + PARAM_AT);
	e.param_valid = param != PARAM_NONE;
	e.param_byte = e.param_valid ? param & 0xff : 0;
	e.param_bit = e.param_valid ? param >> 8 & 7 : 0;
	*ret = e;
	return 0;
}
