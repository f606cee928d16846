/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/job.h"

struct exp_job *exp_job_new(void)
{
	struct exp_job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->attempt = 1;
	j->dirty = EXP_DIRTY_CDQ;
	j->hold_lease_ms = EXP_HOLD_LEASE_MS;
	j->blackout_limit_ms = EXP_BLACKOUT_LIMIT_MS;
	j->want_cntlid = UINT32_MAX;
	return j;
}

void exp_job_free(struct exp_job *j)
{
	if (!j)
		return;
	for (size_t i = 0; i < EXP_JOB_EXPORTS_MAX; i++)
		free(j->exports[i].state);
	free(j);
}

int exp_job_set_state_blob(struct exp_job *j, uint32_t i, const void *p, size_t len)
{
	uint8_t *copy = NULL;

	if (i >= EXP_JOB_EXPORTS_MAX)
		return -EINVAL;
	if (len > EXP_STATE_BLOB_MAX)
		return -E2BIG;
	if (len) {
		copy = malloc(len);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, p, len);
	}
	free(j->exports[i].state);
	j->exports[i].state = copy;
	j->exports[i].state_len = (uint32_t)len;
	return 0;
}

struct exp_job *exp_job_copy(const struct exp_job *j)
{
	EXP_CLEANUP(exp_job_freep) struct exp_job *c = malloc(sizeof(*c));

	if (!c)
		return NULL;
	*c = *j;
	for (size_t i = 0; i < EXP_JOB_EXPORTS_MAX; i++) {
		c->exports[i].state = NULL;
		c->exports[i].state_len = 0;
	}
	for (uint32_t i = 0; i < EXP_JOB_EXPORTS_MAX; i++)
		if (exp_job_set_state_blob(c, i, j->exports[i].state, j->exports[i].state_len) < 0)
			return NULL;
	return EXP_TAKE(c);
}

const char *exp_step_name(enum exp_step step)
{
	static const char *const names[] = {
#define X(NAME, name) name,
		EXP_STEPS(X)
#undef X
	};

	return (size_t)step < EXP_ARRAY_SIZE(names) ? names[step] : NULL;
}

const char *exp_path_name(enum exp_state_path p)
{
	switch (p) {
	case EXP_PATH_NONE: return "none";
	case EXP_PATH_REFERENCE: return "reference";
	case EXP_PATH_VENDOR: return "vendor";
	case EXP_PATH_VMM: return "vmm";
	case EXP_PATH_COLD: return "cold";
	case EXP_PATH_VFIO: return "vfio";
	}
	return NULL;
}

const char *exp_dirty_name(enum exp_dirty_source d)
{
	switch (d) {
	case EXP_DIRTY_CDQ: return "cdq";
	case EXP_DIRTY_NONE: return "none";
	}
	return NULL;
}

const char *exp_verdict_name(enum exp_verdict v)
{
	switch (v) {
	case EXP_VERDICT_UNKNOWN: return "unknown";
	case EXP_VERDICT_CONVERGES: return "converges";
	case EXP_VERDICT_WILL_NOT: return "will-not";
	}
	return NULL;
}
