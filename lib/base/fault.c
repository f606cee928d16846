/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include "base/fault.h"

void exp_fault_arm(struct exp_fault_plan *p, const char *name, uint64_t after, int error)
{
	assert(p->n < EXP_FAULT_POINTS && error < 0);
	p->points[p->n++] = (struct exp_fault_point){ name, after, error };
}

int exp_fault(struct exp_fault_plan *p, const char *name)
{
	int r = 0;

	for (size_t i = 0; p && i < p->n; i++) {
		struct exp_fault_point *pt = &p->points[i];

		if (strcmp(pt->name, name))
			continue;
		if (pt->after) {
			pt->after--;
			continue;
		}
		if (!r) {
			r = pt->error;
			p->fired++;
			*pt = p->points[--p->n];
			i--;
		}
	}
	return r;
}
