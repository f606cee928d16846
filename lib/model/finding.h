/* SPDX-License-Identifier: Apache-2.0 */
/*
 * finding.h - one result of a check: a stable code, both values, the rule
 */
#ifndef EXP_MODEL_FINDING_H
#define EXP_MODEL_FINDING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define EXP_FINDINGS_MAX 64

enum exp_severity { EXP_FINDING_NOTE = 1, EXP_FINDING_WARNING = 2, EXP_FINDING_REFUSAL = 3 };

struct exp_finding {
	char code[32]; /* "MDTS_TOO_SMALL": stable, for programs */
	enum exp_severity severity;
	char rule[96];     /* "destination MDTS >= the guest's" */
	char have[64];     /* what the destination, or this host, has */
	char want[64];     /* what is needed */
	char message[192]; /* the sentence, with what to do */
};

struct exp_findings {
	size_t n;
	bool cut; /* there were more than fit */
	struct exp_finding f[EXP_FINDINGS_MAX];
};

void exp_findings_add(struct exp_findings *fs, enum exp_severity severity, const char *code,
		      const char *rule, const char *have, const char *want, const char *fmt, ...)
	EXP_PRINTF(7, 8);

bool exp_findings_refuse(const struct exp_findings *fs); /* is any a refusal? */
const char *exp_severity_name(enum exp_severity s);

/** exp_findings_error - the first refusal as an error; code @code. Returns negative errno, 0: none
 */
int exp_findings_error(const struct exp_findings *fs, enum exp_code code, struct exp_error *err);

#endif
