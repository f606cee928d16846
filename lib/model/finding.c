/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "model/finding.h"

void exp_findings_add(struct exp_findings *fs, enum exp_severity severity, const char *code,
		      const char *rule, const char *have, const char *want, const char *fmt, ...)
{
	struct exp_finding *f;
	va_list ap;

	if (fs->n == EXP_FINDINGS_MAX) {
		/* a refusal must never be lost behind notes */
		fs->cut = true;
		if (severity != EXP_FINDING_REFUSAL || exp_findings_refuse(fs))
			return;
		fs->n--;
	}
	f = &fs->f[fs->n++];
	f->severity = severity;
	snprintf(f->code, sizeof(f->code), "%s", code);
	snprintf(f->rule, sizeof(f->rule), "%s", rule);
	snprintf(f->have, sizeof(f->have), "%s", have ? have : "");
	snprintf(f->want, sizeof(f->want), "%s", want ? want : "");
	va_start(ap, fmt);
	vsnprintf(f->message, sizeof(f->message), fmt, ap);
	va_end(ap);
}

bool exp_findings_refuse(const struct exp_findings *fs)
{
	for (size_t i = 0; i < fs->n; i++)
		if (fs->f[i].severity == EXP_FINDING_REFUSAL)
			return true;
	return false;
}

const char *exp_severity_name(enum exp_severity s)
{
	switch (s) {
	case EXP_FINDING_NOTE: return "note";
	case EXP_FINDING_WARNING: return "warning";
	case EXP_FINDING_REFUSAL: return "refusal";
	}
	return NULL;
}

int exp_findings_error(const struct exp_findings *fs, enum exp_code code, struct exp_error *err)
{
	for (size_t i = 0; i < fs->n; i++) {
		const struct exp_finding *f = &fs->f[i];

		if (f->severity != EXP_FINDING_REFUSAL)
			continue;
		return exp_error_set(err, code, EPERM, "%s: %s", f->code, f->message);
	}
	return 0;
}
