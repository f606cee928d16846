/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_admin.c - which admin commands a function has, and their dispatch
 *
 * One table answers for execution and for the Commands Supported and Effects log alike: what is
 * not in it, or not for this function, is Invalid Command Opcode.
 */
#include "emu/ssd_internal.h"

/* Commands Supported and Effects entry: bit 0 CSUPP, 1 LBCC, 2 NCC, 3 NIC, 4 CCC */
#define CSUPP 0x1u
#define LBCC  0x2u
#define NCC   0x4u
#define NIC   0x8u

enum {
	F_MMC = 1,      /* the Migration Management Controller only */
	F_OWN_FACE = 2, /* not behind an export */
	F_EXPORTS = 4,  /* the profile exports */
	F_LOG = 8,      /* the profile logs changes */
};

static const struct {
	uint8_t opcode;
	uint8_t needs;
	uint32_t effects;
	uint16_t (*run)(struct ssd_cmd *c);
} commands[] = {
	{ ADM_DELETE_SQ, 0, CSUPP, ssd_delete_sq },
	{ ADM_CREATE_SQ, 0, CSUPP, ssd_create_sq },
	{ ADM_GET_LOG, 0, CSUPP, ssd_get_log },
	{ ADM_DELETE_CQ, 0, CSUPP, ssd_delete_cq },
	{ ADM_CREATE_CQ, 0, CSUPP, ssd_create_cq },
	{ ADM_IDENTIFY, 0, CSUPP, ssd_identify },
	{ ADM_ABORT, 0, CSUPP, ssd_abort },
	{ ADM_SET_FEATURES, 0, CSUPP, ssd_set_features },
	{ ADM_GET_FEATURES, 0, CSUPP, ssd_get_features },
	{ ADM_AER, 0, CSUPP, ssd_aer },
	{ ADM_NS_MGMT, F_MMC, CSUPP | LBCC | NIC, ssd_ns_mgmt },
	{ ADM_NS_ATTACH, F_MMC, CSUPP | NCC | NIC, ssd_ns_attach },
	{ ADM_EXPORT_RECV, F_MMC | F_EXPORTS, CSUPP | NIC, ssd_export_recv },
	{ ADM_EXPORT_SEND, F_MMC | F_EXPORTS, CSUPP | NIC, ssd_export_send },
	{ ADM_EXPORT_NS, F_MMC | F_EXPORTS, CSUPP | NIC, ssd_export_ns },
	{ ADM_TRACK_SEND, F_MMC | F_LOG, CSUPP, ssd_track_send },
	{ ADM_MIG_SEND, F_MMC, CSUPP, ssd_mig_send },
	{ ADM_MIG_RECV, F_MMC, CSUPP, ssd_mig_recv },
	{ ADM_CDQ, F_MMC | F_LOG, CSUPP, ssd_cdq_cmd },
	{ ADM_GET_LBA_STATUS, F_OWN_FACE, CSUPP, ssd_get_lba_status },
};

static bool has(const struct ssd_fn *fn, unsigned int needs)
{
	const struct ssd_profile *p = fn->ssd->profile;

	return !((needs & F_MMC && !fn->is_mmc) || (needs & F_OWN_FACE && fn->face.exported) ||
		 (needs & F_EXPORTS && !p->n_templates) || (needs & F_LOG && !p->mcudmq));
}

uint32_t ssd_admin_effects(const struct ssd_fn *fn, uint8_t opcode)
{
	for (size_t i = 0; i < EXP_ARRAY_SIZE(commands); i++)
		if (commands[i].opcode == opcode && has(fn, commands[i].needs))
			return commands[i].effects;
	return 0;
}

uint16_t ssd_admin(struct ssd_cmd *c)
{
	for (size_t i = 0; i < EXP_ARRAY_SIZE(commands); i++) {
		if (commands[i].opcode != c->opcode)
			continue;
		if (!has(c->fn, commands[i].needs))
			return ST_INVALID_OPCODE;
		if (c->flags) /* fused, or SGLs, which no function has */
			return ST_INVALID_FIELD;
		return commands[i].run(c);
	}
	return ST_INVALID_OPCODE;
}

void ssd_cmd_decode(struct ssd_cmd *c, struct ssd_fn *fn, uint16_t sqid, const uint8_t *sqe)
{
	*c = (struct ssd_cmd){
		.fn = fn,
		.sqid = sqid,
		.opcode = sqe[0],
		.flags = sqe[1],
		.cid = exp_le16(sqe + 2),
		.nsid = exp_le32(sqe + SQE_NSID),
		.prp1 = exp_le64(sqe + SQE_PRP1),
		.prp2 = exp_le64(sqe + SQE_PRP2),
		.cdw10 = exp_le32(sqe + SQE_CDW10),
		.cdw11 = exp_le32(sqe + SQE_CDW10 + 4),
		.cdw12 = exp_le32(sqe + SQE_CDW10 + 8),
		.cdw13 = exp_le32(sqe + SQE_CDW10 + 12),
		.cdw14 = exp_le32(sqe + SQE_CDW10 + 16),
		.cdw15 = exp_le32(sqe + SQE_CDW10 + 20),
	};
}

struct ssd_result ssd_exec(struct ssd_fn *fn, const uint8_t sqe[64], uint64_t now_us)
{
	struct ssd_result res;
	struct ssd_cmd c;

	ssd_enter(fn);
	fn->now_us = now_us;
	ssd_cmd_decode(&c, fn, 0, sqe);
	res.status = ssd_admin(&c);
	if (res.status)
		ssd_error_note(&c, res.status);
	res.dw0 = c.dw0;
	res.dw1 = c.dw1;
	res.parked = c.parked;
	ssd_leave(fn);
	return res;
}
