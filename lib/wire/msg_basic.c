/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg_basic.c - the bodies with a few numbers each: hello, reasons, sessions, acknowledgements
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire/msg_priv.h"

static_assert((int)EXP__ANSWER_VALUE__ANSWER_PENDING == EXP_ANSWER_PENDING, "peer.proto");
static_assert((int)EXP__ANSWER_VALUE__ANSWER_UNKNOWN == EXP_ANSWER_UNKNOWN, "peer.proto");

/* --- HELLO --- */

static int hello_get(struct exp_wire_ctx *c, const Exp__Envelope *e, struct exp_msg *m)
{
	const Exp__Hello *in = e->hello;
	struct exp_msg_hello *h = &m->hello;
	int r;

	h->version_min = in->version_min;
	h->version_max = in->version_max;
	h->features = in->features;
	h->db_counter = in->db_counter;
	h->wall_ms = in->wall_ms;
	r = exp_wire_get_uuid(c, "host", &in->host, &h->host);
	if (!r)
		r = exp_wire_get_text(c, "build", in->build, h->build, sizeof(h->build));
	if (!r)
		r = exp_wire_get_uuid(c, "db_instance", &in->db_instance, &h->db_instance);
	if (!r)
		r = exp_wire_get_count(c, "known", in->n_known, 0, EXP_MSG_KNOWN_MAX);
	if (r < 0 || !in->n_known)
		return r;
	h->known = calloc(in->n_known, sizeof(*h->known));
	if (!h->known)
		return exp_wire_no_memory(c);
	h->n_known = (uint32_t)in->n_known;
	for (uint32_t i = 0; i < h->n_known && !r; i++) {
		r = exp_wire_get_uuid(c, "known.id", &in->known[i]->id, &h->known[i].id);
		h->known[i].own = in->known[i]->own;
		h->known[i].floor = in->known[i]->floor;
		h->known[i].status = (enum exp_export_status)in->known[i]->status;
	}
	return r;
}

static int hello_put(struct exp_wire_ctx *c, const struct exp_msg *m, Exp__Envelope *e)
{
	Exp__Hello *out = EXP_WIRE_NEW(c, Exp__Hello, exp__hello__init);
	const struct exp_msg_hello *h = &m->hello;
	Exp__Known *known;

	if (!out)
		return exp_wire_no_memory(c);
	out->version_min = h->version_min;
	out->version_max = h->version_max;
	out->features = h->features;
	out->host = exp_wire_put_bytes(h->host.b, sizeof(h->host.b));
	out->build = exp_wire_put_text(c, h->build, sizeof(h->build));
	out->db_instance = exp_wire_put_bytes(h->db_instance.b, sizeof(h->db_instance.b));
	out->db_counter = h->db_counter;
	out->wall_ms = h->wall_ms;
	out->known = exp_pool_array(c->pool, h->n_known, sizeof(*out->known));
	known = exp_pool_array(c->pool, h->n_known, sizeof(*known));
	if (!out->build || !out->known || !known)
		return exp_wire_no_memory(c);
	for (uint32_t i = 0; i < h->n_known; i++) {
		exp__known__init(&known[i]);
		known[i].id = exp_wire_put_bytes(h->known[i].id.b, sizeof(h->known[i].id.b));
		known[i].own = h->known[i].own;
		known[i].floor = h->known[i].floor;
		known[i].status = (Exp__ExportStatus)h->known[i].status;
		out->known[out->n_known++] = &known[i];
	}
	e->hello = out;
	return 0;
}

static int hello_check(struct exp_wire_ctx *c, const struct exp_msg *m)
{
	const struct exp_msg_hello *h = &m->hello;
	int r;

	r = exp_wire_check_range(c, "version_min", h->version_min, 1, UINT32_MAX);
	if (!r)
		r = exp_wire_check_range(c, "version_max", h->version_max, h->version_min,
					 UINT32_MAX);
	if (!r)
		r = exp_wire_check_id(c, "host", &h->host);
	if (!r)
		r = exp_wire_check_print(c, "build", h->build, sizeof(h->build));
	if (!r)
		r = exp_wire_check_id(c, "db_instance", &h->db_instance);
	if (!r)
		r = exp_wire_check_range(c, "number of known", h->n_known, 0, EXP_MSG_KNOWN_MAX);
	for (uint32_t i = 0; i < h->n_known && !r; i++) {
		const struct exp_msg_known *k = &h->known[i];

		r = exp_wire_check_id(c, "known.id", &k->id);
		if (!r)
			r = exp_wire_check_enum(c, "known.status", k->status,
						exp_export_status_name(k->status));
	}
	return r;
}

const struct exp_wire_type exp_wire_hello = { hello_get, hello_put, hello_check };

/* --- PING, PONG: the envelope's request number is all --- */

const struct exp_wire_type exp_wire_ping = { NULL, NULL, NULL };

/* --- BYE, DISCARD, DISCARDED --- */

static bool code_known(unsigned int code)
{
	switch (code) {
#define X(NAME, value, json, http, retry) case value:
		EXP_CODES(X)
#undef X
		return true;
	}
	return false;
}

static int reason_get(struct exp_wire_ctx *c, const Exp__Envelope *e, struct exp_msg *m)
{
	const Exp__Reason *in = e->bye; /* the union's member is the same type in all three */
	struct exp_error *why = &m->reason;
	int r;

	why->code = code_known(in->code) ? (enum exp_code)in->code : EXP_CODE_PEER_REFUSED;
	r = exp_wire_get_text(c, "message", in->message, why->msg, sizeof(why->msg));
	if (!r)
		r = exp_wire_get_u16(c, "nvme_status", in->nvme_status, &why->nvme_status);
	return r;
}

static int reason_put(struct exp_wire_ctx *c, const struct exp_msg *m, Exp__Envelope *e)
{
	Exp__Reason *out = EXP_WIRE_NEW(c, Exp__Reason, exp__reason__init);

	if (!out)
		return exp_wire_no_memory(c);
	out->code = m->reason.code;
	out->message = exp_wire_put_text(c, m->reason.msg, sizeof(m->reason.msg));
	out->nvme_status = m->reason.nvme_status;
	if (!out->message)
		return exp_wire_no_memory(c);
	e->bye = out;
	return 0;
}

static int reason_check(struct exp_wire_ctx *c, const struct exp_msg *m)
{
	if (!code_known(m->reason.code))
		return exp_wire_bad(c, "code is %u, which is no code of this build",
				    (unsigned int)m->reason.code);
	return 0;
}

const struct exp_wire_type exp_wire_reason = { reason_get, reason_put, reason_check };

/* --- TARGET --- */

static int target_get(struct exp_wire_ctx *c, const Exp__Envelope *e, struct exp_msg *m)
{
	(void)c;
	m->target = (enum exp_target_state)e->target->target;
	return 0;
}

static int target_put(struct exp_wire_ctx *c, const struct exp_msg *m, Exp__Envelope *e)
{
	Exp__Target *out = EXP_WIRE_NEW(c, Exp__Target, exp__target__init);

	if (!out)
		return exp_wire_no_memory(c);
	out->target = (Exp__TargetState)m->target;
	e->target = out;
	return 0;
}

static int target_check(struct exp_wire_ctx *c, const struct exp_msg *m)
{
	return exp_wire_check_enum(c, "target", m->target, exp_target_state_name(m->target));
}

const struct exp_wire_type exp_wire_target = { target_get, target_put, target_check };

/* --- ANSWER --- */

static int answer_get(struct exp_wire_ctx *c, const Exp__Envelope *e, struct exp_msg *m)
{
	(void)c;
	m->answer = (enum exp_answer)e->answer->answer;
	return 0;
}

static int answer_put(struct exp_wire_ctx *c, const struct exp_msg *m, Exp__Envelope *e)
{
	Exp__Answer *out = EXP_WIRE_NEW(c, Exp__Answer, exp__answer__init);

	if (!out)
		return exp_wire_no_memory(c);
	out->answer = (Exp__AnswerValue)m->answer;
	e->answer = out;
	return 0;
}

static int answer_check(struct exp_wire_ctx *c, const struct exp_msg *m)
{
	const char *name = NULL;

	switch (m->answer) {
	case EXP_ANSWER_PENDING: name = "pending"; break;
	case EXP_ANSWER_UNKNOWN: name = "unknown"; break;
	}
	return exp_wire_check_enum(c, "answer", m->answer, name);
}

const struct exp_wire_type exp_wire_answer = { answer_get, answer_put, answer_check };

/* --- SESSION, SESSION_OK --- */

static int session_get(struct exp_wire_ctx *c, const Exp__Envelope *e, struct exp_msg *m)
{
	(void)c;
	m->session.session = e->session->session;
	m->session.streams = e->session->streams;
	return 0;
}

static int session_put(struct exp_wire_ctx *c, const struct exp_msg *m, Exp__Envelope *e)
{
	Exp__Session *out = EXP_WIRE_NEW(c, Exp__Session, exp__session__init);

	if (!out)
		return exp_wire_no_memory(c);
	out->session = m->session.session;
	out->streams = m->session.streams;
	e->session = out;
	return 0;
}

static int session_check(struct exp_wire_ctx *c, const struct exp_msg *m)
{
	int r = exp_wire_check_range(c, "session", m->session.session, 1, UINT32_MAX);

	if (!r)
		r = exp_wire_check_range(c, "streams", m->session.streams, 1, EXP_JOB_STREAMS_MAX);
	return r;
}

const struct exp_wire_type exp_wire_session = { session_get, session_put, session_check };

static int session_ok_get(struct exp_wire_ctx *c, const Exp__Envelope *e, struct exp_msg *m)
{
	const Exp__SessionOk *in = e->session_ok;

	m->session.session = in->session;
	m->session.streams = in->streams;
	m->session.credit_bytes = in->credit_bytes;
	return exp_wire_get_bytes(c, "token", &in->token, sizeof(m->session.token),
				  m->session.token);
}

static int session_ok_put(struct exp_wire_ctx *c, const struct exp_msg *m, Exp__Envelope *e)
{
	Exp__SessionOk *out = EXP_WIRE_NEW(c, Exp__SessionOk, exp__session_ok__init);

	if (!out)
		return exp_wire_no_memory(c);
	out->session = m->session.session;
	out->streams = m->session.streams;
	out->credit_bytes = m->session.credit_bytes;
	out->token = exp_wire_put_bytes(m->session.token, sizeof(m->session.token));
	e->session_ok = out;
	return 0;
}

static int session_ok_check(struct exp_wire_ctx *c, const struct exp_msg *m)
{
	static const uint8_t none[EXP_MSG_TOKEN_BYTES];
	int r = session_check(c, m);

	if (!r)
		r = exp_wire_check_range(c, "credit_bytes", m->session.credit_bytes, 1, UINT64_MAX);
	if (!r && !memcmp(m->session.token, none, sizeof(none)))
		r = exp_wire_bad(c, "token is all zeros");
	return r;
}

const struct exp_wire_type exp_wire_session_ok = { session_ok_get, session_ok_put,
						   session_ok_check };

/* --- DATA_ACK --- */

static int data_ack_get(struct exp_wire_ctx *c, const Exp__Envelope *e, struct exp_msg *m)
{
	const Exp__DataAck *in = e->data_ack;
	struct exp_msg_data_ack *a = &m->data_ack;
	int r;

	r = exp_wire_get_count(c, "durable", in->n_durable, 1, EXP_JOB_STREAMS_MAX);
	if (!r)
		r = exp_wire_get_count(c, "written", in->n_written, in->n_durable, in->n_durable);
	if (r < 0)
		return r;
	a->session = in->session;
	a->streams = (uint32_t)in->n_durable;
	memcpy(a->durable, in->durable, in->n_durable * sizeof(a->durable[0]));
	memcpy(a->written, in->written, in->n_written * sizeof(a->written[0]));
	return 0;
}

static int data_ack_put(struct exp_wire_ctx *c, const struct exp_msg *m, Exp__Envelope *e)
{
	Exp__DataAck *out = EXP_WIRE_NEW(c, Exp__DataAck, exp__data_ack__init);

	if (!out)
		return exp_wire_no_memory(c);
	out->session = m->data_ack.session;
	/* protobuf-c has no pointer to const; packing only reads */
	out->durable = (uint64_t *)(uintptr_t)m->data_ack.durable;
	out->written = (uint64_t *)(uintptr_t)m->data_ack.written;
	out->n_durable = out->n_written = m->data_ack.streams;
	e->data_ack = out;
	return 0;
}

static int data_ack_check(struct exp_wire_ctx *c, const struct exp_msg *m)
{
	const struct exp_msg_data_ack *a = &m->data_ack;
	int r;

	r = exp_wire_check_range(c, "session", a->session, 1, UINT32_MAX);
	if (!r)
		r = exp_wire_check_range(c, "streams", a->streams, 1, EXP_JOB_STREAMS_MAX);
	for (uint32_t i = 0; i < a->streams && !r; i++)
		r = exp_wire_check_range(c, "durable", a->durable[i], 0, a->written[i]);
	return r;
}

const struct exp_wire_type exp_wire_data_ack = { data_ack_get, data_ack_put, data_ack_check };
