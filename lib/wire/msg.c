/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg.c - the envelope: which type, which job, who says it; the bodies are in msg_*.c
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "wire/msg.h"
#include "wire/msg_priv.h"

/* The compiler compares peer.proto with the lists of lib/model. */
#define X(NAME, value, name)                                       \
	static_assert(EXP__ENVELOPE__BODY_##NAME == 100 + (value), \
		      "the body's number is 100 + the message type");
EXP_MSG_TYPES(X)
#undef X
#define EXP_SRC(NAME, value, name) \
	static_assert(EXP__SOURCE_STATE__SOURCE_##NAME == (value), "peer.proto: SourceState");
#define EXP_DST(NAME, value, name)                                           \
	static_assert(EXP__DESTINATION_STATE__DESTINATION_##NAME == (value), \
		      "peer.proto: DestinationState");
#define EXP_EXPORT(NAME, value, name) \
	static_assert(EXP__EXPORT_STATUS__EXPORT_##NAME == (value), "peer.proto: ExportStatus");
#define EXP_TARGET(NAME, value, name) \
	static_assert(EXP__TARGET_STATE__TARGET_##NAME == (value), "peer.proto: TargetState");
#include "model/states.def"
static_assert((int)EXP__ROLE__ROLE_SOURCE == EXP_ROLE_SOURCE, "peer.proto: Role");
static_assert((int)EXP__ROLE__ROLE_DESTINATION == EXP_ROLE_DESTINATION, "peer.proto: Role");
static_assert(EXP_FRAME_PAYLOAD_MAX >= 2 * EXP_JOB_EXPORTS_MAX * EXP_CONFIG_STATE_MAX,
	      "configuration states fit into a payload");

struct row {
	const struct exp_wire_type *type;
	enum exp_role from; /* who may say it about a job; 0: not about a job */
	bool request;       /* needs a request number */
};

static const struct exp_wire_type plain; /* nothing but the envelope */

static const struct row rows[] = {
	[EXP_MSG_HELLO] = { &exp_wire_hello, 0, false },
	[EXP_MSG_BYE] = { &exp_wire_reason, 0, false },
	[EXP_MSG_PING] = { &exp_wire_ping, 0, true },
	[EXP_MSG_PONG] = { &exp_wire_ping, 0, true },
	[EXP_MSG_CAPS] = { &exp_wire_caps, 0, true },
	[EXP_MSG_CAPS_REPLY] = { &exp_wire_caps_reply, 0, true },
	[EXP_MSG_PREPARE] = { &exp_wire_prepare, EXP_ROLE_SOURCE, false },
	[EXP_MSG_PREPARED] = { &exp_wire_prepared, EXP_ROLE_DESTINATION, false },
	[EXP_MSG_TARGET] = { &exp_wire_target, EXP_ROLE_DESTINATION, false },
	[EXP_MSG_SESSION] = { &exp_wire_session, EXP_ROLE_SOURCE, false },
	[EXP_MSG_SESSION_OK] = { &exp_wire_session_ok, EXP_ROLE_DESTINATION, false },
	[EXP_MSG_DATA_ACK] = { &exp_wire_data_ack, EXP_ROLE_DESTINATION, false },
	[EXP_MSG_ATTEMPT] = { &plain, EXP_ROLE_SOURCE, false },
	[EXP_MSG_ATTEMPT_OK] = { &plain, EXP_ROLE_DESTINATION, false },
	[EXP_MSG_FINAL] = { &exp_wire_final, EXP_ROLE_SOURCE, false },
	[EXP_MSG_RESTORED] = { &plain, EXP_ROLE_DESTINATION, false },
	[EXP_MSG_RELEASE] = { &plain, EXP_ROLE_SOURCE, false },
	[EXP_MSG_ACTIVE] = { &plain, EXP_ROLE_DESTINATION, false },
	[EXP_MSG_DISCARD] = { &exp_wire_reason, EXP_ROLE_SOURCE, false },
	[EXP_MSG_DISCARDED] = { &exp_wire_reason, EXP_ROLE_DESTINATION, false },
	[EXP_MSG_QUERY] = { &plain, EXP_ROLE_DESTINATION, false },
	[EXP_MSG_ANSWER] = { &exp_wire_answer, EXP_ROLE_SOURCE, false },
};

static int check_job(struct exp_wire_ctx *c, const struct exp_msg *m, enum exp_role from)
{
	int r = exp_wire_check_id(c, "job.id", &m->job);

	if (r < 0)
		return r;
	r = exp_wire_check_range(c, "job.attempt", m->attempt, 1, UINT32_MAX);
	if (r < 0)
		return r;
	if (m->role != from)
		return exp_wire_bad(c, "job.role is %u (%s), only the %s says this",
				    (unsigned int)m->role,
				    exp_role_name(m->role) ? exp_role_name(m->role) : "no role",
				    exp_role_name(from));
	if (m->state && !exp_state_name(m->role, m->state))
		return exp_wire_bad(c, "job.%s_state is %u, a value that this build does not know",
				    exp_role_name(m->role), m->state);
	r = exp_wire_check_range(c, "number of job.exports", m->n_exports, 1, EXP_JOB_EXPORTS_MAX);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < m->n_exports; i++) {
		r = exp_wire_check_id(c, "job.exports.id", &m->exports[i].id);
		if (r < 0)
			return r;
		r = exp_wire_check_range(c, "job.exports.epoch", m->exports[i].epoch, 1,
					 EXP_EPOCH_MAX);
		if (r < 0)
			return r;
		for (uint32_t k = 0; k < i; k++)
			if (exp_uuid_eq(&m->exports[i].id, &m->exports[k].id))
				return exp_wire_bad(c, "job.exports names one export at %u and %u",
						    k, i);
	}
	return 0;
}

static int check(struct exp_wire_ctx *c, const struct exp_msg *m, const struct row *row)
{
	int r = 0;

	if (row->request)
		r = exp_wire_check_range(c, "request", m->request, 1, UINT64_MAX);
	if (!r && row->from)
		r = check_job(c, m, row->from);
	if (!r && row->type->check)
		r = row->type->check(c, m);
	return r;
}

static int get_job(struct exp_wire_ctx *c, const Exp__Job *j, struct exp_msg *m)
{
	bool source = j->role == EXP__ROLE__ROLE_SOURCE;
	int other = source ? (int)j->destination_state : (int)j->source_state, r;

	r = exp_wire_get_uuid(c, "job.id", &j->id, &m->job);
	if (!r)
		r = exp_wire_get_count(c, "job.exports", j->n_exports, 1, EXP_JOB_EXPORTS_MAX);
	if (r < 0)
		return r;
	if (other)
		return exp_wire_bad(c, "job.%s_state is %d in a message from the %s",
				    source ? "destination" : "source", other,
				    source ? "source" : "destination");
	m->attempt = j->attempt;
	m->role = (enum exp_role)j->role;
	m->state = source ? (unsigned int)j->source_state : (unsigned int)j->destination_state;
	m->n_exports = (uint32_t)j->n_exports;
	for (uint32_t i = 0; i < m->n_exports; i++) {
		r = exp_wire_get_uuid(c, "job.exports.id", &j->exports[i]->id, &m->exports[i].id);
		if (r < 0)
			return r;
		m->exports[i].epoch = j->exports[i]->epoch;
	}
	return 0;
}

static int put_job(struct exp_wire_ctx *c, const struct exp_msg *m, Exp__Envelope *e)
{
	Exp__Job *j = EXP_WIRE_NEW(c, Exp__Job, exp__job__init);

	if (!j)
		return exp_wire_no_memory(c);
	j->id = exp_wire_put_bytes(m->job.b, sizeof(m->job.b));
	j->attempt = m->attempt;
	j->role = (Exp__Role)m->role;
	if (m->role == EXP_ROLE_SOURCE)
		j->source_state = (Exp__SourceState)m->state;
	else
		j->destination_state = (Exp__DestinationState)m->state;
	j->exports = exp_pool_array(c->pool, m->n_exports, sizeof(*j->exports));
	if (!j->exports)
		return exp_wire_no_memory(c);
	for (uint32_t i = 0; i < m->n_exports; i++) {
		Exp__JobExport *x = EXP_WIRE_NEW(c, Exp__JobExport, exp__job_export__init);

		if (!x)
			return exp_wire_no_memory(c);
		x->id = exp_wire_put_bytes(m->exports[i].id.b, sizeof(m->exports[i].id.b));
		x->epoch = m->exports[i].epoch;
		j->exports[j->n_exports++] = x;
	}
	e->job = j;
	return 0;
}

int exp_wire_encode(const struct exp_msg *m, struct exp_buf *out, struct exp_error *err)
{
	EXP_CLEANUP(exp_pool_donep) struct exp_pool *pool = &(struct exp_pool){ 0 };
	const char *name = exp_msg_name(m->type);
	struct exp_wire_ctx c = { .type = name, .errnum = EINVAL, .err = err, .pool = pool };
	Exp__Envelope e = EXP__ENVELOPE__INIT;
	Exp__Empty empty = EXP__EMPTY__INIT;
	const struct row *row;
	size_t header, payload;
	uint8_t *p;
	int r;

	if (!name)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EINVAL, "%u is no type of message",
				     (unsigned int)m->type);
	exp_pool_init(pool, EXP_WIRE_UNPACK_MAX);
	row = &rows[m->type];
	r = check(&c, m, row);
	if (r < 0)
		return r;
	e.request = m->request;
	e.body_case = (Exp__Envelope__BodyCase)(100 + m->type);
	e.ping = &empty; /* the body of every type that has none */
	if (row->from)
		r = put_job(&c, m, &e);
	if (!r && row->type->put)
		r = row->type->put(&c, m, &e);
	if (r < 0)
		return r;
	header = exp__envelope__get_packed_size(&e);
	payload = exp_wire_payload_len(m);
	if (header > EXP_FRAME_HEADER_MAX || payload > EXP_FRAME_PAYLOAD_MAX)
		return exp_wire_bad(&c,
				    "header and payload have %zu and %zu bytes, at most %u and %u "
				    "are allowed",
				    header, payload, EXP_FRAME_HEADER_MAX, EXP_FRAME_PAYLOAD_MAX);
	r = exp_buf_reserve(out, EXP_FRAME_PREFIX_BYTES + header + payload, &p);
	if (r < 0)
		return exp_error_set(err, r == -ENOMEM ? EXP_CODE_NO_MEMORY : EXP_CODE_TOO_LARGE,
				     -r, "message %s: no room for %zu bytes behind %zu of %zu",
				     name, EXP_FRAME_PREFIX_BYTES + header + payload,
				     exp_buf_len(out), out->max);
	exp_frame_put_prefix(p, (uint32_t)header, (uint32_t)payload);
	exp__envelope__pack(&e, p + EXP_FRAME_PREFIX_BYTES);
	exp_wire_payload_put(m, p + EXP_FRAME_PREFIX_BYTES + header);
	exp_buf_commit(out, EXP_FRAME_PREFIX_BYTES + header + payload);
	return 0;
}

static void *pool_alloc(void *pool, size_t n)
{
	return exp_pool_get(pool, n);
}

static void pool_free(void *pool, void *p)
{
	(void)pool; /* all at once, in exp_pool_done() */
	(void)p;
}

static int decode(struct exp_wire_ctx *c, const Exp__Envelope *e, struct exp_msg *m)
{
	const struct row *row = &rows[m->type];
	int r = 0;

	if (!!e->job != !!row->from)
		return exp_wire_bad(c, "job is %s",
				    row->from ? "missing"
					      : "there, and this is "
						"not about one");
	m->request = e->request;
	if (row->from)
		r = get_job(c, e->job, m);
	if (!r && row->type->get)
		r = row->type->get(c, e, m);
	if (!r && c->payload_len)
		r = exp_wire_bad(c, "%zu bytes of payload are left over", c->payload_len);
	if (!r)
		r = check(c, m, row);
	return r;
}

int exp_wire_decode(const struct exp_frame *f, struct exp_msg *ret, struct exp_error *err)
{
	EXP_CLEANUP(exp_pool_donep) struct exp_pool *pool = &(struct exp_pool){ 0 };
	struct exp_msg m = { 0 };
	EXP_CLEANUP(exp_msg_donep) struct exp_msg *clean = NULL;
	struct exp_wire_ctx c = { .type = "of unknown type",
				  .errnum = EPROTO,
				  .err = err,
				  .pool = pool,
				  .payload = f->payload,
				  .payload_len = f->payload_len };
	ProtobufCAllocator alloc = { pool_alloc, pool_free, pool };
	const Exp__Envelope *e;
	int r;

	exp_pool_init(pool, EXP_WIRE_UNPACK_MAX);
	e = exp__envelope__unpack(&alloc, f->header_len, f->header);
	if (!e && (pool->full || pool->failed))
		return exp_wire_no_memory(&c);
	if (!e)
		return exp_wire_bad(&c, "the header of %u bytes is no Envelope", f->header_len);
	if (e->body_case == EXP__ENVELOPE__BODY__NOT_SET)
		return exp_wire_bad(&c, "the header has no body that this build knows");
	m.type = (enum exp_msg_type)(e->body_case - 100);
	c.type = exp_msg_name(m.type);
	clean = &m;
	r = decode(&c, e, &m);
	if (r < 0)
		return r;
	*ret = m;
	clean = NULL;
	return 0;
}
