/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/le.h"
#include "nvme/assumptions.h"
#include "nvme/export_cmd.h"
#include "nvme/field.h"

#define CDW11_TR      (1u << 31) /* Create: Template Required */
#define CDW14_ESUBIDV (1u << 7)  /* 2Dh, 31h: ESUBID (31:16) is valid */
#define ESUBNQN_BYTES 256u

/* Descriptor of List Subsystems: 0..255 ESUBNQN, 258..259 ESUBID */
#define SUBSYS_BYTES  260u
#define SUBSYS_ESUBID 258u

/* Data of 31h (Base 2.4): PAD 0..31 stays zero */
#define NS_ENSID 32u
#define NS_UNSID 292u

/* Data of Associate Controllers: 0..1 N (0's based), then pairs, the underlying id first */
#define ASSOC_HEAD 4u
#define ASSOC_PAIR 4u

void exp_nvme_export_create(struct exp_nvme_cmd *c, uint8_t ensti, const struct exp_nqn *want,
			    uint8_t buf[EXP_NVME_EXPORT_BUF])
{
	memset(buf, 0, EXP_NVME_EXPORT_BUF);
	if (want)
		memcpy(buf, want->s, strlen(want->s));
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_EXPORT_RECV, "Manage Exported NVM Subsystem, Create");
	c->sqe.cdw10 = EXP_NVME_EXPORT_CREATE;
	c->sqe.cdw11 = CDW11_TR | ensti;
	/* by its opcode the device writes the buffer; whether it reads it first is its own affair
	 */
	exp_nvme_cmd_out(c, buf, EXP_NVME_EXPORT_BUF);
	exp_nvme_cmd_in(c, buf, EXP_NVME_EXPORT_BUF);
}

uint16_t exp_nvme_export_esubid(const struct exp_nvme_cqe *cqe)
{
	return cqe->dw0 & 0xffff;
}

/* A name in 256 bytes, ended and filled up with NULs. */
static int read_nqn(const uint8_t *p, struct exp_nqn *ret, struct exp_error *err)
{
	char s[ESUBNQN_BYTES + 1] = { 0 };
	int r;

	memcpy(s, p, ESUBNQN_BYTES);
	r = exp_nqn_parse(s, ret, err);
	if (r < 0) {
		if (err)
			err->code = EXP_CODE_DEVICE_DATA; /* the device's doing, not the caller's */
		return -EBADMSG;
	}
	return 0;
}

int exp_nvme_export_created_nqn(const uint8_t buf[EXP_NVME_EXPORT_BUF], struct exp_nqn *ret,
				struct exp_error *err)
{
	int r = read_nqn(buf, ret, err);

	return r < 0 ? exp_error_wrap(err, r, "name of the created subsystem") : 0;
}

void exp_nvme_export_receive(struct exp_nvme_cmd *c, enum exp_nvme_export_recv_sel sel,
			     uint16_t esubid, uint64_t offset, void *buf, size_t bytes)
{
	static const char *const names[] = {
		[EXP_NVME_EXPORT_LIST_SUBSYS] = "Manage Exported NVM Subsystem, List Subsystems",
		[EXP_NVME_EXPORT_LIST_NS] = "Manage Exported NVM Subsystem, List Namespaces",
		[EXP_NVME_EXPORT_LIST_CTRLS] = "Manage Exported NVM Subsystem, List Controllers",
		[EXP_NVME_EXPORT_LIST_PORTS] = "Manage Exported NVM Subsystem, List Ports",
		[EXP_NVME_EXPORT_GET_CONFIG] =
			"Manage Exported NVM Subsystem, Get Configuration State",
	};

	assert(sel >= EXP_NVME_EXPORT_LIST_SUBSYS && sel <= EXP_NVME_EXPORT_GET_CONFIG);
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_EXPORT_RECV, names[sel]);
	c->sqe.cdw10 = sel;
	if (sel != EXP_NVME_EXPORT_LIST_SUBSYS)
		exp_nvme_assume_mosi(&c->sqe, esubid);
	exp_nvme_assume_recv_window(&c->sqe, offset, bytes);
	exp_nvme_cmd_in(c, buf, bytes);
}

/* The four lists: bytes before the first descriptor, bytes of one, where GN is. N is in 0..1. */
struct list_form {
	const char *name;
	uint16_t head, desc;
	bool has_gn; /* in byte 3 */
};

static const struct list_form *form_of(enum exp_nvme_export_recv_sel sel)
{
	static const struct list_form forms[] = {
		[EXP_NVME_EXPORT_LIST_SUBSYS] = { "exported subsystems", 4, SUBSYS_BYTES, true },
		[EXP_NVME_EXPORT_LIST_NS] = { "exported namespaces", 8, 8, true },
		[EXP_NVME_EXPORT_LIST_CTRLS] = { "exported controllers", 4, 4, true },
		[EXP_NVME_EXPORT_LIST_PORTS] = { "exported ports", 8, 40, false },
	};

	assert(sel >= EXP_NVME_EXPORT_LIST_SUBSYS && sel <= EXP_NVME_EXPORT_LIST_PORTS);
	return &forms[sel];
}

int exp_nvme_export_list_head(enum exp_nvme_export_recv_sel sel, const void *p, size_t len,
			      struct exp_nvme_list_head *ret, struct exp_error *err)
{
	const struct list_form *f = form_of(sel);
	const uint8_t *b = p;

	if (len < f->head)
		return EXP_NVME_BAD(err, "list of %s: %zu bytes, the head alone has %u", f->name,
				    len, f->head);
	ret->n = exp_le16(b);
	ret->gn = f->has_gn ? b[3] : 0;
	ret->bytes = f->head + (size_t)ret->n * f->desc;
	return 0;
}

bool exp_nvme_export_same_list(const struct exp_nvme_list_head *a,
			       const struct exp_nvme_list_head *b)
{
	return a->n == b->n && a->gn == b->gn;
}

/* The head, and every descriptor that it claims inside @len. */
static int read_list(enum exp_nvme_export_recv_sel sel, const void *p, size_t len,
		     struct exp_nvme_export_list *ret, struct exp_error *err)
{
	const struct list_form *f = form_of(sel);
	struct exp_nvme_list_head head;
	int r = exp_nvme_export_list_head(sel, p, len, &head, err);

	if (r < 0)
		return r;
	if (head.bytes > len)
		return EXP_NVME_BAD(err, "list of %s: %u entries take %zu bytes, there are %zu",
				    f->name, head.n, head.bytes, len);
	ret->descs = (const uint8_t *)p + f->head;
	ret->n = head.n;
	ret->gn = head.gn;
	return 0;
}

/* 16-bit ids seen so far */
struct id_set {
	uint8_t bits[65536 / 8];
};

static bool seen_before(struct id_set *s, uint16_t id)
{
	uint8_t bit = (uint8_t)(1u << (id & 7));
	bool was = s->bits[id >> 3] & bit;

	s->bits[id >> 3] |= bit;
	return was;
}

static int twice(struct exp_error *err, const char *list, const char *field, uint32_t id)
{
	return EXP_NVME_BAD(err, "list of %s: %s %u comes twice", list, field, id);
}

int exp_nvme_export_subsys_parse(const void *p, size_t len, struct exp_nvme_export_list *ret,
				 struct exp_error *err)
{
	struct exp_nvme_export_list l;
	struct exp_nqn nqn;
	struct id_set seen = { 0 };
	int r = read_list(EXP_NVME_EXPORT_LIST_SUBSYS, p, len, &l, err);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < l.n; i++) {
		const uint8_t *d = l.descs + (size_t)SUBSYS_BYTES * i;

		r = read_nqn(d, &nqn, err);
		if (r < 0)
			return exp_error_wrap(err, r, "list of exported subsystems: entry %u", i);
		if (seen_before(&seen, exp_le16(d + SUBSYS_ESUBID)))
			return twice(err, "exported subsystems", "ESUBID",
				     exp_le16(d + SUBSYS_ESUBID));
	}
	*ret = l;
	return 0;
}

void exp_nvme_export_subsys_at(const struct exp_nvme_export_list *l, uint32_t i,
			       struct exp_nvme_export_subsys *ret)
{
	const uint8_t *d = l->descs + (size_t)SUBSYS_BYTES * i;

	assert(i < l->n);
	memset(ret, 0, sizeof(*ret));
	ret->esubid = exp_le16(d + SUBSYS_ESUBID);
	memcpy(ret->nqn.s, d, EXP_NQN_MAX); /* checked: a NUL is at or before the end of it */
}

static bool nsid_valid(uint32_t nsid)
{
	return nsid && nsid != EXP_NVME_NSID_ALL;
}

int exp_nvme_export_ns_parse(const void *p, size_t len, struct exp_nvme_export_list *ret,
			     struct exp_error *err)
{
	struct exp_nvme_export_list l;
	struct exp_nvme_export_ns ns, before;
	int r = read_list(EXP_NVME_EXPORT_LIST_NS, p, len, &l, err);

	if (r < 0)
		return r;
	if (l.n > EXP_NVME_EXPORT_NS_MAX)
		return EXP_NVME_BAD(err,
				    "list of exported namespaces: %u entries, at most %u are "
				    "taken",
				    l.n, EXP_NVME_EXPORT_NS_MAX);
	for (uint32_t i = 0; i < l.n; i++) {
		exp_nvme_export_ns_at(&l, i, &ns);
		if (!nsid_valid(ns.ensid) || !nsid_valid(ns.unsid))
			return EXP_NVME_BAD(err,
					    "list of exported namespaces: entry %u has ENSID "
					    "%08Xh and UNSID %08Xh, one is no namespace id",
					    i, ns.ensid, ns.unsid);
		for (uint32_t j = 0; j < i; j++) {
			exp_nvme_export_ns_at(&l, j, &before);
			if (before.ensid == ns.ensid)
				return twice(err, "exported namespaces", "ENSID", ns.ensid);
		}
	}
	*ret = l;
	return 0;
}

void exp_nvme_export_ns_at(const struct exp_nvme_export_list *l, uint32_t i,
			   struct exp_nvme_export_ns *ret)
{
	const uint8_t *d = l->descs + (size_t)8 * i;

	assert(i < l->n);
	ret->ensid = exp_le32(d);
	ret->unsid = exp_le32(d + 4);
}

int exp_nvme_export_ctrls_parse(const void *p, size_t len, struct exp_nvme_export_list *ret,
				struct exp_error *err)
{
	struct exp_nvme_export_list l;
	struct exp_nvme_export_ctrl c;
	struct id_set exported = { 0 }, underlying = { 0 };
	int r = read_list(EXP_NVME_EXPORT_LIST_CTRLS, p, len, &l, err);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < l.n; i++) {
		exp_nvme_export_ctrl_at(&l, i, &c);
		if (seen_before(&exported, c.ecntlid))
			return twice(err, "exported controllers", "ECNTLID", c.ecntlid);
		if (seen_before(&underlying, c.cntlid))
			return twice(err, "exported controllers", "CNTLID", c.cntlid);
	}
	*ret = l;
	return 0;
}

void exp_nvme_export_ctrl_at(const struct exp_nvme_export_list *l, uint32_t i,
			     struct exp_nvme_export_ctrl *ret)
{
	const uint8_t *d = l->descs + (size_t)4 * i;

	assert(i < l->n);
	ret->ecntlid = exp_le16(d); /* here the exported id comes first */
	ret->cntlid = exp_le16(d + 2);
}

/* 2Dh and 31h name the subsystem by its handle. */
static void name_subsys(struct exp_nvme_cmd *c, uint16_t esubid)
{
	c->sqe.cdw14 = (uint32_t)esubid << 16 | CDW14_ESUBIDV;
}

void exp_nvme_export_delete(struct exp_nvme_cmd *c, uint16_t esubid)
{
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_EXPORT_SEND, "Manage Exported NVM Subsystem, Delete");
	c->sqe.cdw10 = EXP_NVME_EXPORT_DELETE;
	name_subsys(c, esubid);
}

void exp_nvme_export_associate_ctrls(struct exp_nvme_cmd *c, uint16_t esubid,
				     const struct exp_nvme_export_ctrl *pairs, uint32_t n,
				     uint8_t buf[EXP_NVME_EXPORT_BUF])
{
	assert(n && n <= EXP_NVME_EXPORT_ASSOC_MAX);
	memset(buf, 0, EXP_NVME_EXPORT_BUF);
	exp_put_le16(buf, (uint16_t)(n - 1)); /* of all the lists this one alone is 0's based */
	for (uint32_t i = 0; i < n; i++) {
		uint8_t *d = buf + ASSOC_HEAD + ASSOC_PAIR * i;

		exp_put_le16(d, pairs[i].cntlid); /* and has the underlying id first */
		exp_put_le16(d + 2, pairs[i].ecntlid);
	}
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_EXPORT_SEND,
			  "Manage Exported NVM Subsystem, Associate Controllers");
	c->sqe.cdw10 = EXP_NVME_EXPORT_ASSOCIATE_CTRLS;
	name_subsys(c, esubid);
	exp_nvme_assume_send_length(&c->sqe, ASSOC_HEAD + (size_t)ASSOC_PAIR * n);
	exp_nvme_cmd_out(c, buf, EXP_NVME_EXPORT_BUF);
}

int exp_nvme_export_set_config(struct exp_nvme_cmd *c, uint16_t esubid, const void *state,
			       size_t len, uint8_t buf[EXP_NVME_EXPORT_BUF], struct exp_error *err)
{
	if (!len || len > EXP_NVME_EXPORT_BUF || len % 4)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "configuration state has %zu bytes; a multiple of 4 up to %u "
				     "can be set",
				     len, EXP_NVME_EXPORT_BUF);
	memset(buf, 0, EXP_NVME_EXPORT_BUF);
	memcpy(buf, state, len);
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_EXPORT_SEND,
			  "Manage Exported NVM Subsystem, Set Configuration State");
	c->sqe.cdw10 = EXP_NVME_EXPORT_SET_CONFIG;
	name_subsys(c, esubid);
	exp_nvme_assume_send_length(&c->sqe, len);
	exp_nvme_cmd_out(c, buf, EXP_NVME_EXPORT_BUF);
	return 0;
}

void exp_nvme_export_config_fault(const struct exp_nvme_cqe *cqe, uint32_t *ret_byte,
				  unsigned int *ret_bit)
{
	uint32_t bit = cqe->dw0 >> 27;                        /* BITLOC, inside the dword */
	uint32_t byte = (cqe->dw0 & 0x7ffffff) * 4 + bit / 8; /* DWLOC */

	*ret_byte = byte;
	*ret_bit = bit % 8;
}

void exp_nvme_export_ns_associate(struct exp_nvme_cmd *c, uint16_t esubid, uint32_t ensid,
				  uint32_t unsid, uint8_t buf[EXP_NVME_EXPORT_BUF])
{
	assert(nsid_valid(ensid) && nsid_valid(unsid));
	memset(buf, 0, EXP_NVME_EXPORT_BUF);
	exp_put_le32(buf + NS_ENSID, ensid);
	exp_put_le32(buf + NS_UNSID, unsid);
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_EXPORT_NS, "Manage Exported Namespace, Associate");
	c->sqe.cdw10 = EXP_NVME_EXPORT_NS_ASSOCIATE;
	name_subsys(c, esubid);
	exp_nvme_cmd_out(c, buf, EXP_NVME_EXPORT_BUF);
}

void exp_nvme_export_ns_disassociate(struct exp_nvme_cmd *c, uint16_t esubid, uint32_t ensid,
				     uint8_t buf[EXP_NVME_EXPORT_BUF])
{
	assert(nsid_valid(ensid));
	memset(buf, 0, EXP_NVME_EXPORT_BUF);
	exp_put_le32(buf + NS_ENSID, ensid);
	exp_nvme_cmd_init(c, EXP_NVME_ADMIN_EXPORT_NS, "Manage Exported Namespace, Disassociate");
	c->sqe.cdw10 = EXP_NVME_EXPORT_NS_DISASSOCIATE;
	name_subsys(c, esubid);
	exp_nvme_cmd_out(c, buf, EXP_NVME_EXPORT_BUF);
}
