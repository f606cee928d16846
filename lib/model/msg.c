/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "model/msg.h"

const char *exp_msg_name(unsigned int type)
{
	switch (type) {
#define X(NAME, value, name) \
	case value: return name;
		EXP_MSG_TYPES(X)
#undef X
	}
	return NULL;
}

static void final_free(struct exp_msg_final *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < EXP_JOB_EXPORTS_MAX; i++)
		free(f->state[i].data);
	free(f->digests);
	free(f);
}

void exp_msg_done(struct exp_msg *m)
{
	if (!m)
		return;
	switch (m->type) {
	case EXP_MSG_HELLO: free(m->hello.known); break;
	case EXP_MSG_CAPS: free(m->caps.descs); break;
	case EXP_MSG_CAPS_REPLY: free(m->caps_reply); break;
	case EXP_MSG_PREPARE: free(m->prepare.descs); break;
	case EXP_MSG_FINAL: final_free(m->final); break;
	case EXP_MSG_BYE:
	case EXP_MSG_PING:
	case EXP_MSG_PONG:
	case EXP_MSG_PREPARED:
	case EXP_MSG_TARGET:
	case EXP_MSG_SESSION:
	case EXP_MSG_SESSION_OK:
	case EXP_MSG_DATA_ACK:
	case EXP_MSG_ATTEMPT:
	case EXP_MSG_ATTEMPT_OK:
	case EXP_MSG_RESTORED:
	case EXP_MSG_RELEASE:
	case EXP_MSG_ACTIVE:
	case EXP_MSG_DISCARD:
	case EXP_MSG_DISCARDED:
	case EXP_MSG_QUERY:
	case EXP_MSG_ANSWER: break;
	}
	memset(m, 0, sizeof(*m));
}

void exp_msg_for_job(struct exp_msg *m, enum exp_msg_type type, const struct exp_job *j)
{
	memset(m, 0, sizeof(*m));
	m->type = type;
	m->job = j->id;
	m->attempt = j->attempt;
	m->role = j->role;
	m->state = j->state;
	m->n_exports = j->n_exports;
	for (uint32_t i = 0; i < j->n_exports; i++) {
		m->exports[i].id = j->exports[i].id;
		m->exports[i].epoch = j->exports[i].epoch;
	}
}

uint64_t exp_msg_epoch(const struct exp_msg *m, const struct exp_uuid *id)
{
	for (uint32_t i = 0; i < m->n_exports; i++)
		if (exp_uuid_eq(&m->exports[i].id, id))
			return m->exports[i].epoch;
	return 0;
}
