/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export_cmd.h - exported NVM subsystems: opcodes 2Ah, 2Dh, 31h (TP4193, Base 2.4; Base 5.4)
 *
 * Sent to the Migration Management Controller. A subsystem is always named by its ESUBID, never
 * by NQN. The data buffer is always EXP_NVME_EXPORT_BUF bytes, zero beyond what is filled in.
 *
 * Lists have a generation number: read the head, read the list, read the head again, and begin
 * again when the number moved (exp_nvme_export_same_list).
 */
#ifndef EXP_NVME_EXPORT_CMD_H
#define EXP_NVME_EXPORT_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/nqn.h"
#include "nvme/assumptions.h"
#include "nvme/sqe.h"

#define EXP_NVME_EXPORT_NS_MAX    1024u /* namespaces of one subsystem that a list may name */
#define EXP_NVME_EXPORT_ASSOC_MAX 1023u /* pairs that fit the buffer of Associate Controllers */

/* ---- 2Ah Manage Exported NVM Subsystem Receive ---- */

/**
 * exp_nvme_export_create - Create; the ESUBID is exp_nvme_export_esubid(), the NQN that the device
 * gave it is in @buf afterwards (exp_nvme_export_created_nqn)
 * @ensti: template index of CNS 22h; Template Required is always set
 * @want: put into the buffer beforehand; a device may take it from there or not. NULL: let it
 * choose
 */
void exp_nvme_export_create(struct exp_nvme_cmd *c, uint8_t ensti, const struct exp_nqn *want,
			    uint8_t buf[EXP_NVME_EXPORT_BUF]);
uint16_t exp_nvme_export_esubid(const struct exp_nvme_cqe *cqe);
int exp_nvme_export_created_nqn(const uint8_t buf[EXP_NVME_EXPORT_BUF], struct exp_nqn *ret,
				struct exp_error *err) EXP_MUST_CHECK;

/**
 * exp_nvme_export_receive - one of the lists, or Get Configuration State
 * @sel: LIST_SUBSYS, LIST_NS, LIST_CTRLS, LIST_PORTS or GET_CONFIG
 * @esubid: ignored for LIST_SUBSYS
 * @offset, @bytes: what part; multiples of 4
 */
void exp_nvme_export_receive(struct exp_nvme_cmd *c, enum exp_nvme_export_recv_sel sel,
			     uint16_t esubid, uint64_t offset, void *buf, size_t bytes);

struct exp_nvme_list_head {
	uint32_t n;   /* descriptors */
	uint8_t gn;   /* generation number; 0 for ports, which have none */
	size_t bytes; /* of the whole list, head included */
};

/** exp_nvme_export_list_head - from the first bytes of a list; @len at least 8 */
int exp_nvme_export_list_head(enum exp_nvme_export_recv_sel sel, const void *p, size_t len,
			      struct exp_nvme_list_head *ret, struct exp_error *err) EXP_MUST_CHECK;

/** exp_nvme_export_same_list - nothing changed between the two readings */
bool exp_nvme_export_same_list(const struct exp_nvme_list_head *a,
			       const struct exp_nvme_list_head *b);

struct exp_nvme_export_subsys {
	uint16_t esubid;
	struct exp_nqn nqn;
};

struct exp_nvme_export_ns {
	uint32_t ensid; /* what the guest sees */
	uint32_t unsid; /* Underlying Namespace */
};

struct exp_nvme_export_ctrl {
	uint16_t ecntlid; /* what the guest sees */
	uint16_t cntlid;  /* Underlying Controller */
};

/*
 * A whole list, checked to its end: every descriptor is inside @len, ids are valid and unique.
 * Borrows the buffer; exp_nvme_export_*_at cannot fail for i < n.
 */
struct exp_nvme_export_list {
	const uint8_t *descs;
	uint32_t n;
	uint8_t gn;
};

int exp_nvme_export_subsys_parse(const void *p, size_t len, struct exp_nvme_export_list *ret,
				 struct exp_error *err) EXP_MUST_CHECK;
int exp_nvme_export_ns_parse(const void *p, size_t len, struct exp_nvme_export_list *ret,
			     struct exp_error *err) EXP_MUST_CHECK;
int exp_nvme_export_ctrls_parse(const void *p, size_t len, struct exp_nvme_export_list *ret,
				struct exp_error *err) EXP_MUST_CHECK;
void exp_nvme_export_subsys_at(const struct exp_nvme_export_list *l, uint32_t i,
			       struct exp_nvme_export_subsys *ret);
void exp_nvme_export_ns_at(const struct exp_nvme_export_list *l, uint32_t i,
			   struct exp_nvme_export_ns *ret);
void exp_nvme_export_ctrl_at(const struct exp_nvme_export_list *l, uint32_t i,
			     struct exp_nvme_export_ctrl *ret);

/* ---- 2Dh Manage Exported NVM Subsystem Send ---- */

void exp_nvme_export_delete(struct exp_nvme_cmd *c, uint16_t esubid);

/**
 * exp_nvme_export_associate_ctrls - give the subsystem its controllers, all in this one command
 * @n: 1..EXP_NVME_EXPORT_ASSOC_MAX. Send it once per subsystem: what a second would do is unknown.
 */
void exp_nvme_export_associate_ctrls(struct exp_nvme_cmd *c, uint16_t esubid,
				     const struct exp_nvme_export_ctrl *pairs, uint32_t n,
				     uint8_t buf[EXP_NVME_EXPORT_BUF]);

/**
 * exp_nvme_export_set_config - Set Exported Configuration State; once per subsystem
 * Copies @len bytes of @state, a multiple of 4 up to the size of @buf; else -EINVAL.
 */
int exp_nvme_export_set_config(struct exp_nvme_cmd *c, uint16_t esubid, const void *state,
			       size_t len, uint8_t buf[EXP_NVME_EXPORT_BUF],
			       struct exp_error *err) EXP_MUST_CHECK;

/** exp_nvme_export_config_fault - where status 1/44h says that the state is wrong */
void exp_nvme_export_config_fault(const struct exp_nvme_cqe *cqe, uint32_t *ret_byte,
				  unsigned int *ret_bit);

/* ---- 31h Manage Exported Namespace ---- */

/* Associating does not attach: that is a Namespace Attachment afterwards. */
void exp_nvme_export_ns_associate(struct exp_nvme_cmd *c, uint16_t esubid, uint32_t ensid,
				  uint32_t unsid, uint8_t buf[EXP_NVME_EXPORT_BUF]);
void exp_nvme_export_ns_disassociate(struct exp_nvme_cmd *c, uint16_t esubid, uint32_t ensid,
				     uint8_t buf[EXP_NVME_EXPORT_BUF]);

#endif
