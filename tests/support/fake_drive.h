/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_drive.h - a drive behind a struct exp_transport, for tests of what lib/device does with
 * answers: right ones, odd ones, none
 *
 * Pages and lists are typed byte by byte from the specification. A hook sees each command first and
 * may answer it, or hold it: then it is outstanding until fake_release(), and a wait for it times
 * out at once, so that no test sleeps.
 */
#ifndef EXP_TESTS_SUPPORT_FAKE_DRIVE_H
#define EXP_TESTS_SUPPORT_FAKE_DRIVE_H

#include "support/tests.h"

#include <errno.h>

#include "base/le.h"
#include "device/device.h"
#include "device/transport.h"
#include "nvme/assumptions.h"

#define FAKE_NSID  3u
#define FAKE_NSZE  1000u
#define FAKE_GUEST 2u /* CNTLID */
#define FAKE_CDQID 5u

enum fake_answer { FAKE_DEFAULT, FAKE_DONE, FAKE_HOLD };

struct exp_admin {
	struct exp_nvme_cmd cmd;
	uint8_t *buf;
	struct exp_nvme_cqe cqe;
	bool held, given_up;
	struct exp_admin *next; /* held ones */
};

struct fake {
	struct exp_transport t;
	enum fake_answer (*hook)(struct fake *f, const struct exp_nvme_cmd *cmd, uint8_t *data,
				 struct exp_nvme_cqe *cqe);
	void *arg;
	bool gone;
	unsigned int n[256]; /* commands by opcode */
	struct exp_nvme_sqe last;
	struct exp_admin *held;
	unsigned int n_admins; /* not freed yet */
	unsigned int n_dma;    /* allocations not freed yet: */
	void *dma[16];

	uint8_t id_ctrl[4096], id_nvm[4096], id_ns[4096], formats[4096], templates[4096];
	bool ns_there;
	uint32_t attached;                                   /* bit: controller */
	uint8_t *subsys, *ns_list, *ctrl_list, config[4096]; /* lists as 2Ah returns them */
	size_t subsys_len, ns_len, ctrl_len;
	bool suspended;
	uint8_t state[8192];
	size_t state_len;
	uint8_t set[8192]; /* what Set Controller State brought */
	size_t set_len;
	bool receiving, committed;
	uint8_t *ring; /* of the change log */
	uint32_t ring_entries, head;
	bool logging;
};

static inline void fake_put_effects(uint8_t *p)
{
	for (size_t i = 0; i < 512; i++)
		exp_put_le32(p + 4 * i, 1);
}

static inline uint16_t fake_identify(struct fake *f, const struct exp_nvme_sqe *s, uint8_t *p)
{
	uint16_t n = 0;

	switch (s->cdw10 & 0xff) {
	case 0x00:
		memcpy(p, f->id_ns, 4096);
		if (s->nsid != 0xffffffff &&
		    !(f->ns_there && s->nsid == FAKE_NSID && (f->attached & 1)))
			memset(p, 0, 4096);
		return 0;
	case 0x01: memcpy(p, f->id_ctrl, 4096); return 0;
	case 0x03: return 0x00b;
	case 0x06: memcpy(p, f->id_nvm, 4096); return 0;
	case 0x10:
		if (f->ns_there && s->nsid < FAKE_NSID)
			exp_put_le32(p, FAKE_NSID);
		return 0;
	case 0x11:
		if (f->ns_there && s->nsid == FAKE_NSID)
			memcpy(p, f->id_ns, 4096);
		return 0;
	case 0x12:
		for (uint16_t i = 0; i < 32; i++)
			if (f->attached >> i & 1)
				exp_put_le16(p + 2 + 2 * n++, i);
		exp_put_le16(p, n);
		return f->ns_there ? 0 : 0x00b;
	case 0x20: memcpy(p, f->formats, 4096); return 0;
	case 0x21:
		for (uint16_t i = 0; i < 4; i++)
			exp_put_le16(p + 2 + 2 * i, i);
		exp_put_le16(p, 4);
		return 0;
	case 0x22: memcpy(p, f->templates, 4096); return 0;
	default: return 0x002;
	}
}

static inline uint16_t fake_window(const uint8_t *from, size_t len, const struct exp_nvme_sqe *s,
				   uint8_t *p, size_t bytes)
{
	uint64_t off = s->cdw12 | (uint64_t)s->cdw13 << 32;

	if (off > len)
		return 0x002;
	memcpy(p, from + off, EXP_MIN(bytes, len - off));
	return 0;
}

static inline uint16_t fake_export_recv(struct fake *f, const struct exp_nvme_sqe *s, uint8_t *p,
					size_t bytes)
{
	switch (s->cdw10 & 0xff) {
	case 1: return fake_window(f->subsys, f->subsys_len, s, p, bytes);
	case 2: return fake_window(f->ns_list, f->ns_len, s, p, bytes);
	case 3: return f->ctrl_list ? fake_window(f->ctrl_list, f->ctrl_len, s, p, bytes) : 0x002;
	case 5: return fake_window(f->config, sizeof(f->config), s, p, bytes);
	default: return 0x002;
	}
}

static inline uint16_t fake_migration_send(struct fake *f, const struct exp_nvme_sqe *s,
					   const uint8_t *data, size_t bytes)
{
	uint32_t off = s->cdw12, seq = s->cdw10 >> 16 & 3;

	switch (s->cdw10 & 0xff) {
	case 0: f->suspended = f->suspended || (s->cdw11 >> 16 & 0xff) == 1; return 0;
	case 1:
		if (!f->suspended)
			return 0x13a;
		f->suspended = false;
		return 0;
	default:
		if (seq == 1 || seq == 3)
			f->set_len = 0;
		else if (!f->receiving)
			return 0x00c;
		f->receiving = !(seq & 2);
		if (off != f->set_len || off + bytes > sizeof(f->set))
			return 0x002;
		if (bytes)
			memcpy(f->set + off, data, bytes);
		f->set_len += bytes;
		f->committed = seq & 2;
		return 0;
	}
}

static inline void fake_default(struct fake *f, const struct exp_nvme_cmd *cmd, uint8_t *p,
				struct exp_nvme_cqe *cqe)
{
	const struct exp_nvme_sqe *s = &cmd->sqe;

	switch (s->opcode) {
	case 0x02: fake_put_effects(p); break;
	case 0x06: cqe->status = fake_identify(f, s, p); break;
	case 0x09:
		if ((s->cdw10 & 0xff) == 0x21)
			f->head = s->cdw12;
		break;
	case 0x0a: cqe->dw0 = 0x00070007; break; /* eight queues each, 0's based */
	case 0x0d:
		f->ns_there = !(s->cdw10 & 0xf);
		cqe->dw0 = FAKE_NSID;
		break;
	case 0x15:
		if (s->cdw10 & 0xf)
			f->attached &= ~(1u << exp_le16(p + 2));
		else
			f->attached |= 1u << exp_le16(p + 2);
		break;
	case 0x2a: cqe->status = fake_export_recv(f, s, p, cmd->bytes); break;
	case 0x2d:
	case 0x31:
	case 0x3d: break;
	case 0x41: cqe->status = fake_migration_send(f, s, p, cmd->bytes); break;
	case 0x42:
		cqe->dw0 = f->suspended;
		cqe->status = fake_window(f->state, f->state_len, s, p, cmd->bytes);
		break;
	case 0x45:
		if (s->cdw10 & 0xff) {
			cqe->status = (s->cdw11 & 0xffff) == FAKE_CDQID && f->ring ? 0 : 0x137;
			f->ring = cqe->status ? f->ring : NULL;
		} else {
			f->ring = (uint8_t *)(uintptr_t)s->prp1;
			f->ring_entries = s->cdw12 / 8;
			cqe->dw0 = FAKE_CDQID;
		}
		break;
	default: cqe->status = 0x001;
	}
}

static inline struct fake *fake_of(struct exp_transport *t)
{
	return (struct fake *)t;
}

static inline int fake_submit(struct exp_transport *t, const struct exp_nvme_cmd *cmd,
			      struct exp_admin **ret, struct exp_error *err)
{
	struct fake *f = fake_of(t);
	struct exp_admin *a;
	enum fake_answer answer = FAKE_DEFAULT;

	if (f->gone)
		return exp_error_set(err, EXP_CODE_DEVICE_GONE, ENODEV, "gone");
	if (cmd->bytes > t->max_bytes)
		return exp_error_set(err, EXP_CODE_TOO_LARGE, E2BIG, "%zu bytes, at most %zu",
				     cmd->bytes, t->max_bytes);
	a = calloc(1, sizeof(*a));
	assert_non_null(a);
	a->cmd = *cmd;
	a->buf = calloc(1, cmd->bytes + 1);
	assert_non_null(a->buf);
	if (cmd->out)
		memcpy(a->buf, cmd->out, cmd->bytes);
	f->n[cmd->sqe.opcode]++;
	f->n_admins++;
	f->last = cmd->sqe;
	if (f->hook)
		answer = f->hook(f, cmd, a->buf, &a->cqe);
	if (answer == FAKE_DEFAULT)
		fake_default(f, cmd, a->buf, &a->cqe);
	a->held = answer == FAKE_HOLD;
	if (a->held) {
		a->next = f->held;
		f->held = a;
	}
	*ret = a;
	return 0;
}

static inline void fake_drop(struct fake *f, struct exp_admin *a)
{
	f->n_admins--;
	free(a->buf);
	free(a);
}

/* What was held takes effect now, with @status. */
static inline void fake_release(struct fake *f, uint16_t status)
{
	while (f->held) {
		struct exp_admin *a = f->held;

		f->held = a->next;
		a->held = false;
		if (!status)
			fake_default(f, &a->cmd, a->buf, &a->cqe);
		else
			a->cqe.status = status;
		if (a->given_up)
			fake_drop(f, a);
	}
}

static inline int fake_wait(struct exp_transport *t, struct exp_admin *a, void *in,
			    uint64_t deadline_us, struct exp_nvme_cqe *ret, struct exp_error *err)
{
	(void)deadline_us;
	if (fake_of(t)->gone)
		return exp_error_set(err, EXP_CODE_DEVICE_GONE, ENODEV, "gone");
	if (a->held)
		return exp_error_set(err, EXP_CODE_DEVICE_TIMEOUT, ETIMEDOUT, "still outstanding");
	*ret = a->cqe;
	if (in && !a->cqe.status)
		memcpy(in, a->buf, a->cmd.bytes);
	return 0;
}

static inline void fake_free_cmd(struct exp_transport *t, struct exp_admin *a)
{
	if (a->held)
		a->given_up = true;
	else
		fake_drop(fake_of(t), a);
}

static inline int fake_check(struct exp_transport *t, struct exp_error *err)
{
	return fake_of(t)->gone ? exp_error_set(err, EXP_CODE_DEVICE_GONE, ENODEV, "gone") : 0;
}

static inline int fake_dma_alloc(struct exp_transport *t, size_t bytes, struct exp_dma *ret,
				 struct exp_error *err)
{
	(void)err;
	bytes = (bytes + 4095) / 4096 * 4096;
	ret->mem = aligned_alloc(4096, bytes);
	assert_non_null(ret->mem);
	memset(ret->mem, 0, bytes);
	ret->iova = (uintptr_t)ret->mem;
	ret->bytes = bytes;
	assert_true(fake_of(t)->n_dma < EXP_ARRAY_SIZE(fake_of(t)->dma));
	fake_of(t)->dma[fake_of(t)->n_dma++] = ret->mem;
	return 0;
}

static inline void fake_dma_free(struct exp_transport *t, struct exp_dma *m)
{
	struct fake *f = fake_of(t);

	for (unsigned int i = 0; i < f->n_dma && m->mem; i++)
		if (f->dma[i] == m->mem) {
			f->dma[i] = f->dma[--f->n_dma];
			free(m->mem);
			m->mem = NULL;
		}
	assert_null(m->mem);
	*m = (struct exp_dma){ 0 };
}

/* The test looks into it after closing, and frees it. */
static inline void fake_close(struct exp_transport *t)
{
	(void)t;
}

static const struct exp_transport_ops fake_ops = {
	.name = "fake",
	.admin_submit = fake_submit,
	.admin_wait = fake_wait,
	.admin_free = fake_free_cmd,
	.check = fake_check,
	.dma_alloc = fake_dma_alloc,
	.dma_free = fake_dma_free,
	.close = fake_close,
};

static inline void fake_put_list(uint8_t **list, size_t *len, const void *p, size_t n)
{
	free(*list);
	*list = calloc(1, n + 8);
	assert_non_null(*list);
	memcpy(*list, p, n);
	*len = n;
}

static inline struct fake *fake_new(void)
{
	static const uint8_t no_subsys[4], no_ns[8];
	struct fake *f = calloc(1, sizeof(*f));
	uint8_t *p;

	assert_non_null(f);
	f->t.ops = &fake_ops;
	f->t.max_bytes = 1 << 20;
	f->t.cap_reg = UINT64_C(0x0000002014030fff);
	f->t.was_reset = true;

	/* Identify Controller */
	p = f->id_ctrl;
	memset(p + 4, ' ', 68);
	memcpy(p + 4, "SERIAL7", 7);
	memcpy(p + 24, "Fake Drive", 10);
	memcpy(p + 64, "F1", 2);
	p[77] = 5; /* MDTS: 128 KiB */
	exp_put_le32(p + 80, 0x20400);
	p[111] = 3;                     /* administrative */
	exp_put_le16(p + 256, 0x0a08);  /* HMLMS, Get LBA Status, Namespace Management */
	exp_put_le64(p + 280, 1 << 30); /* TNVMCAP */
	exp_put_le64(p + 296, 1 << 29); /* UNVMCAP */
	exp_put_le16(p + 396, 8);       /* MNENS */
	p[404] = 3;                     /* ENSA: templates, migration */
	p[405] = 2;                     /* ENDSFS: ENF1 */
	p[512] = 0x66;
	p[513] = 0x44;
	exp_put_le32(p + 516, 16);
	exp_put_le16(p + 520, 0x0c);
	p[576] = 2;               /* TRATTR: user data */
	exp_put_le16(p + 578, 4); /* MCUDMQ */
	memcpy(p + 768, "nqn.2026-11.test:fake", 21);

	/* Identify Namespace: one format of 512 bytes, one of 4096, one with metadata */
	p = f->id_ns;
	exp_put_le64(p, FAKE_NSZE);
	exp_put_le64(p + 8, FAKE_NSZE);
	p[25] = 2;
	p[30] = 1; /* shared */
	p[33] = 1; /* deallocated blocks read as zeros */
	p[128 + 2] = 9;
	p[132 + 2] = 12;
	p[136] = 8;
	p[136 + 2] = 9;

	/* CNS 20h: version 0, and the Reference template's state */
	f->formats[0] = 1;
	f->formats[1] = 1;
	memcpy(f->formats + 4, exp_nvme_reference_template.b, 16);
	/* CNS 22h: the Reference template is entry 1 */
	memcpy(f->templates + 32 + 16, exp_nvme_reference_template.b, 16);
	f->ns_there = true;
	fake_put_list(&f->subsys, &f->subsys_len, no_subsys, sizeof(no_subsys));
	fake_put_list(&f->ns_list, &f->ns_len, no_ns, sizeof(no_ns));
	fake_put_list(&f->ctrl_list, &f->ctrl_len, no_subsys, sizeof(no_subsys));
	return f;
}

static inline void fake_free(struct fake *f)
{
	fake_release(f, 0x007);
	assert_int_equal(f->n_admins, 0);
	while (f->n_dma) /* what the drive did not let go of */
		free(f->dma[--f->n_dma]);
	free(f->subsys);
	free(f->ns_list);
	free(f->ctrl_list);
	free(f);
}

static inline struct exp_device *fake_open(struct fake *f)
{
	struct exp_device_config config = { .transport = "fake", .may_reset = true };
	struct exp_error err = { 0 };
	struct exp_device *d;

	assert_ok(exp_device_open_on(&f->t, NULL, &config, &d, &err), &err);
	return d;
}

#endif
