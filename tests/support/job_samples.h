/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job_samples.h - exports and jobs whose every byte says where it came from
 *
 * No field is zero and no two are alike, so that a round trip that drops or swaps one is seen.
 */
#ifndef EXP_TESTS_SUPPORT_JOB_SAMPLES_H
#define EXP_TESTS_SUPPORT_JOB_SAMPLES_H

#include "support/tests.h"

#include "model/export.h"
#include "model/job.h"

static inline void sample_bytes(void *p, size_t n, uint8_t seed)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)p)[i] = (uint8_t)(1 + (seed + i * 7) % 255);
}

static inline struct exp_uuid sample_uuid(uint8_t seed)
{
	struct exp_uuid u;

	sample_bytes(u.b, sizeof(u.b), seed);
	return u;
}

/* fills the whole array: cap - 1 characters */
static inline void sample_text(char *s, size_t cap, char c)
{
	memset(s, c, cap - 1);
	s[cap - 1] = '\0';
}

static inline void sample_desc(struct exp_export_desc *d, uint8_t seed)
{
	memset(d, 0, sizeof(*d));
	snprintf(d->nqn.s, sizeof(d->nqn.s), "nqn.2014-08.org.example:%u-", seed);
	memset(d->nqn.s + strlen(d->nqn.s), 'n', EXP_NQN_MAX - strlen(d->nqn.s));
	d->template = sample_uuid((uint8_t)(seed + 1));
	d->ensid = 0xfffffff0u + (seed & 7);
	d->ecntlid = (uint16_t)(0xff00 + seed);
	d->nsze = INT64_MAX - seed;
	d->lba_bytes = 0xf0000000u + seed;
	sample_bytes(d->nguid, sizeof(d->nguid), (uint8_t)(seed + 2));
	d->uuid = sample_uuid((uint8_t)(seed + 3));
	d->config_len = EXP_CONFIG_STATE_MAX;
	sample_bytes(d->config, sizeof(d->config), (uint8_t)(seed + 4));
}

static inline void sample_place(struct exp_place *p, uint8_t seed)
{
	memset(p, 0, sizeof(*p));
	sample_text(p->device.s, sizeof(p->device.s), (char)('A' + seed % 26));
	sample_text(p->serial, sizeof(p->serial), (char)('a' + seed % 26));
	p->cntlid = (uint16_t)(0xfe00 + seed);
	p->esubid = (uint16_t)(0xfd00 + seed);
	p->nsid = 0xfc000000u + seed;
}

/* A job in @state, with every array full; freed by the caller. */
static inline struct exp_job *sample_job(uint8_t seed, enum exp_role role, unsigned int state)
{
	struct exp_job *j = exp_job_new();
	uint8_t blob[64];

	assert_non_null(j);
	j->id = sample_uuid(seed);
	j->role = role;
	j->state = state;
	j->attempt = 0xffffff00u + seed;
	sample_text(j->peer.s, sizeof(j->peer.s), 'p');
	j->peer_host = sample_uuid((uint8_t)(seed + 1));
	j->path = EXP_PATH_VFIO;
	j->dirty = EXP_DIRTY_NONE;
	j->hold = EXP_HOLD_SWITCH | EXP_HOLD_COMMIT;
	j->hold_lease_ms = 0xff000001u;
	j->blackout_limit_ms = 0xff000002u;
	j->intent = EXP_INTENT_FAIL;
	j->error.code = EXP_CODE_RESTARTED;
	j->error.errnum = INT32_MAX;
	j->error.nvme_status = UINT16_MAX;
	sample_text(j->error.msg, sizeof(j->error.msg), 'e');
	j->boot = sample_uuid((uint8_t)(seed + 2));
	sample_text(j->want_device.s, sizeof(j->want_device.s), 'w');
	j->want_cntlid = UINT32_MAX;
	sample_text(j->target_device.s, sizeof(j->target_device.s), 't');
	snprintf(j->key, sizeof(j->key), "key-%u-%d-", seed, (int)role);
	memset(j->key + strlen(j->key), 'k', EXP_KEY_MAX - strlen(j->key));
	sample_bytes(j->body_sha256, sizeof(j->body_sha256), (uint8_t)(seed + 3));
	j->created_ms = INT64_MAX - 1000 + seed;
	j->updated_ms = INT64_MAX - 500 + seed;
	j->n_memory = EXP_MEMORY_RANGES_MAX;
	for (uint32_t i = 0; i < EXP_MEMORY_RANGES_MAX; i++)
		j->memory[i] = (struct exp_memory_range){ UINT64_MAX - i, UINT64_MAX / 2 + i };
	j->n_exports = EXP_JOB_EXPORTS_MAX;
	for (uint32_t i = 0; i < EXP_JOB_EXPORTS_MAX; i++) {
		struct exp_job_export *e = &j->exports[i];
		uint8_t s = (uint8_t)(seed + 10 + i);

		e->id = sample_uuid((uint8_t)(s + 50));
		sample_desc(&e->desc, s);
		sample_place(&e->here, s);
		e->epoch = INT64_MAX - i;
		e->discard_namespace = true;
		j->target_cntlid[i] = (uint16_t)(0xfb00 + i);
		sample_bytes(blob, sizeof(blob), s);
		assert_int_equal(exp_job_set_state_blob(j, i, blob, sizeof(blob) - i), 0);
	}
	return j;
}

static inline void assert_same_job(const struct exp_job *a, const struct exp_job *b)
{
	struct exp_job *x = exp_job_copy(a), *y = exp_job_copy(b);

	assert_non_null(x);
	assert_non_null(y);
	for (uint32_t i = 0; i < EXP_JOB_EXPORTS_MAX; i++) {
		assert_int_equal(x->exports[i].state_len, y->exports[i].state_len);
		if (x->exports[i].state_len)
			assert_memory_equal(x->exports[i].state, y->exports[i].state,
					    x->exports[i].state_len);
		assert_int_equal(exp_job_set_state_blob(x, i, NULL, 0), 0);
		assert_int_equal(exp_job_set_state_blob(y, i, NULL, 0), 0);
	}
	/* named first, for whoever reads the failure */
	assert_memory_equal(x->id.b, y->id.b, sizeof(x->id.b));
	assert_int_equal(x->role, y->role);
	assert_int_equal(x->state, y->state);
	assert_int_equal(x->n_exports, y->n_exports);
	assert_int_equal(x->n_memory, y->n_memory);
	assert_memory_equal(x, y, sizeof(*x));
	exp_job_free(x);
	exp_job_free(y);
}

#endif
