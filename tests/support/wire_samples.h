/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire_samples.h - one well-formed message of each type, with something in every field
 *
 * Used by the tests of lib/wire. Every byte that a decoder may leave alone is zero, so two messages
 * can be compared by what they are encoded to.
 */
#ifndef EXP_TESTS_SUPPORT_WIRE_SAMPLES_H
#define EXP_TESTS_SUPPORT_WIRE_SAMPLES_H

#include "model/msg.h"
#include "support/tests.h"

static const enum exp_msg_type sample_types[] = {
#define X(NAME, value, name) EXP_MSG_##NAME,
	EXP_MSG_TYPES(X)
#undef X
};

static inline struct exp_uuid sample_uuid(uint8_t first)
{
	struct exp_uuid u;

	for (uint8_t i = 0; i < sizeof(u.b); i++)
		u.b[i] = (uint8_t)(first + i);
	return u;
}

static inline void *sample_alloc(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (!p)
		fail_msg("out of memory");
	return p;
}

static inline struct exp_export_desc *sample_descs(uint32_t n)
{
	struct exp_export_desc *d = sample_alloc(n, sizeof(*d));

	for (uint32_t i = 0; i < n; i++) {
		snprintf(d[i].nqn.s, sizeof(d[i].nqn.s), "nqn.2014-08.org.example:disk%u", i);
		d[i].template = sample_uuid(0x20);
		d[i].ensid = 1 + i;
		d[i].ecntlid = (uint16_t)(10 + i);
		d[i].nsze = 1 << 20;
		d[i].lba_bytes = i ? 4096 : 512;
		if (!i) {
			memset(d[i].nguid, 0xa1, sizeof(d[i].nguid));
			d[i].uuid = sample_uuid(0x30);
		}
		d[i].config_len = 412 + i;
		for (uint32_t k = 0; k < d[i].config_len; k++)
			d[i].config[k] = (uint8_t)(k + i);
	}
	return d;
}

static inline void sample_caps(struct exp_caps *c)
{
	strcpy(c->model, "Example SSD");
	strcpy(c->serial, "S123");
	strcpy(c->firmware, "FW-1");
	strcpy(c->subnqn.s, "nqn.2014-08.org.example:ssd");
	strcpy(c->no_change_log, "this transport cannot keep it mapped");
	strcpy(c->no_ns_data, "no I/O queues");
	c->ver = 0x20400;
	c->flags = EXP_CAP_MMC | EXP_CAP_RESET_AT_OPEN;
	c->cntlid = 0xffef;
	c->mdts = 5;
	c->oacs = 0x1111, c->oncs = 0x2222, c->fuses = 0x3333;
	c->vwc = 7, c->acl = 3, c->aerl = 4, c->sqes = 0x66, c->cqes = 0x44, c->dlfeat = 0x19;
	c->awun = 255, c->awupf = 7, c->acwu = 1;
	c->nsqs = 127, c->ncqs = 63, c->mqes = 1023;
	c->total_bytes = UINT64_C(1) << 40, c->free_bytes = UINT64_C(1) << 39;
	c->max_exports = 64, c->n_exports = 3;
	c->mcdq_queues = 8, c->mcmr = 9, c->mcdqpc = 10;
	c->n_templates = 2;
	c->templates[0] = sample_uuid(0x20), c->templates[1] = sample_uuid(0x21);
	c->n_versions = 2;
	c->versions[0] = 0, c->versions[1] = 0x101;
	c->n_state_uuids = 1;
	c->state_uuids[0] = sample_uuid(0x55);
	c->n_formats = 2;
	c->formats[0].lba_bytes = 512;
	c->formats[1].lba_bytes = 4096, c->formats[1].ms = 8;
	c->n_ctrls = 2;
	c->ctrls[0].cntlid = 1, c->ctrls[0].enabled = true;
	c->ctrls[1].cntlid = 2, c->ctrls[1].associated = true, c->ctrls[1].esubid = 9;
}

static inline void sample_reply(struct exp_msg_caps_reply *p)
{
	struct exp_finding *f = &p->findings.f[0];

	p->findings.n = 2;
	p->findings.cut = true;
	strcpy(f->code, "MDTS_TOO_SMALL");
	f->severity = EXP_FINDING_WARNING;
	strcpy(f->rule, "destination MDTS >= the guest's");
	strcpy(f->have, "4");
	strcpy(f->want, "5");
	strcpy(f->message, "use another drive");
	strcpy(p->findings.f[1].code, "NOTE");
	p->findings.f[1].severity = EXP_FINDING_NOTE;
	strcpy(p->device.s, "nvme0");
	for (uint16_t i = 0; i < EXP_JOB_EXPORTS_MAX; i++)
		p->cntlid[i] = i;
	sample_caps(&p->caps);
}

static inline void sample_final(struct exp_msg_final *f)
{
	f->session = 7;
	f->streams = 3;
	f->last_seq[0] = 11, f->last_seq[1] = 0, f->last_seq[2] = UINT64_C(1) << 40;
	f->total_extents = (UINT64_C(1) << 40) + 11;
	f->state[1].len = 100; /* none for export 0 */
	f->state[1].data = sample_alloc(100, 1);
	memset(f->state[1].data, 0x5a, 100);
	f->n_digests = 2;
	f->digests = sample_alloc(2, sizeof(*f->digests));
	f->digests[0].len_bytes = 4096;
	f->digests[0].offset_bytes = 8192;
	memset(f->digests[0].sha256, 0xd1, 32);
	f->digests[1].export_index = 1;
	f->digests[1].len_bytes = 1 << 20;
	f->digests[1].offset_bytes = UINT64_C(1) << 40;
	memset(f->digests[1].sha256, 0xd2, 32);
}

static inline void sample_body(struct exp_msg *m)
{
	switch (m->type) {
	case EXP_MSG_HELLO:
		m->hello.version_min = 1;
		m->hello.version_max = 1;
		m->hello.features = 0x8000000000000001;
		m->hello.host = sample_uuid(1);
		strcpy(m->hello.build, "0.1.0");
		m->hello.db_instance = sample_uuid(2);
		m->hello.db_counter = 77;
		m->hello.wall_ms = 1790000000000;
		m->hello.n_known = 2;
		m->hello.known = sample_alloc(2, sizeof(*m->hello.known));
		m->hello.known[0] = (struct exp_msg_known){ sample_uuid(3), 5, 6,
							    EXP_EXPORT_OWNED };
		m->hello.known[1] = (struct exp_msg_known){ sample_uuid(4), 0, 0, EXP_EXPORT_AWAY };
		break;
	case EXP_MSG_BYE:
	case EXP_MSG_DISCARD:
	case EXP_MSG_DISCARDED:
		m->reason.code = EXP_CODE_NO_SPACE;
		m->reason.nvme_status = 0x115;
		strcpy(m->reason.msg, "reserve 1 GiB: the drive has no room");
		break;
	case EXP_MSG_CAPS:
		strcpy(m->caps.device.s, "nvme0");
		m->caps.cntlid = 3;
		m->caps.n_descs = 2;
		m->caps.descs = sample_descs(2);
		break;
	case EXP_MSG_CAPS_REPLY:
		m->caps_reply = sample_alloc(1, sizeof(*m->caps_reply));
		sample_reply(m->caps_reply);
		break;
	case EXP_MSG_PREPARE:
		m->prepare.path = EXP_PATH_REFERENCE;
		m->prepare.dirty = EXP_DIRTY_CDQ;
		m->prepare.hold = EXP_HOLD_SWITCH | EXP_HOLD_COMMIT;
		m->prepare.hold_lease_ms = 30000;
		m->prepare.blackout_limit_ms = 1000;
		m->prepare.cntlid[0] = UINT32_MAX;
		m->prepare.cntlid[1] = 0;
		m->prepare.n_descs = 2;
		m->prepare.descs = sample_descs(2);
		break;
	case EXP_MSG_PREPARED:
		strcpy(m->prepared.device.s, "nvme1");
		m->prepared.cntlid[0] = 2;
		m->prepared.target = EXP_TARGET_ENABLED;
		break;
	case EXP_MSG_TARGET: m->target = EXP_TARGET_SUSPENDED; break;
	case EXP_MSG_SESSION_OK:
		m->session.credit_bytes = 1 << 26;
		memset(m->session.token, 0x77, sizeof(m->session.token));
		/* fallthrough */
	case EXP_MSG_SESSION:
		m->session.session = 7;
		m->session.streams = 2;
		break;
	case EXP_MSG_DATA_ACK:
		m->data_ack.session = 7;
		m->data_ack.streams = 2;
		m->data_ack.durable[0] = 5;
		m->data_ack.written[0] = 6;
		m->data_ack.written[1] = UINT64_MAX;
		break;
	case EXP_MSG_FINAL:
		m->final = sample_alloc(1, sizeof(*m->final));
		sample_final(m->final);
		break;
	case EXP_MSG_ANSWER: m->answer = EXP_ANSWER_UNKNOWN; break;
	case EXP_MSG_PING:
	case EXP_MSG_PONG:
	case EXP_MSG_ATTEMPT:
	case EXP_MSG_ATTEMPT_OK:
	case EXP_MSG_RESTORED:
	case EXP_MSG_RELEASE:
	case EXP_MSG_ACTIVE:
	case EXP_MSG_QUERY: break;
	}
}

static inline bool sample_from_source(enum exp_msg_type type)
{
	return type == EXP_MSG_PREPARE || type == EXP_MSG_SESSION || type == EXP_MSG_ATTEMPT ||
	       type == EXP_MSG_FINAL || type == EXP_MSG_RELEASE || type == EXP_MSG_DISCARD ||
	       type == EXP_MSG_ANSWER;
}

/* End it with exp_msg_done(). */
static inline void sample_msg(struct exp_msg *m, enum exp_msg_type type)
{
	bool source = sample_from_source(type);

	memset(m, 0, sizeof(*m));
	m->type = type;
	m->request = type >= EXP_MSG_PING && type <= EXP_MSG_CAPS_REPLY ? 42 : 0;
	if (type >= EXP_MSG_PREPARE) {
		m->job = sample_uuid(0x10);
		m->attempt = 2;
		m->role = source ? EXP_ROLE_SOURCE : EXP_ROLE_DESTINATION;
		m->state = source ? (unsigned int)EXP_SRC_SWITCHING
				  : (unsigned int)EXP_DST_RESTORED;
		m->n_exports = 2;
		m->exports[0] = (struct exp_msg_export){ sample_uuid(0x60), 5 };
		m->exports[1] = (struct exp_msg_export){ sample_uuid(0x61), EXP_EPOCH_MAX };
	}
	sample_body(m);
}

#endif
