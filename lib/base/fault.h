/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.h - faults counted down: "the 3rd commit fails", for tests that loop until none fires
 *
 * Production code takes a pointer to a plan and gets NULL from main: no fault, no test mode.
 */
#ifndef EXP_BASE_FAULT_H
#define EXP_BASE_FAULT_H

#include <stddef.h>
#include <stdint.h>

#define EXP_FAULT_POINTS 16

struct exp_fault_point {
	const char *name; /* borrowed, a literal */
	uint64_t after;   /* passes that go well before it fires; counts down */
	int error;        /* what to return then: negative errno */
};

struct exp_fault_plan {
	struct exp_fault_point points[EXP_FAULT_POINTS];
	size_t n;
	uint64_t fired;
};

/** exp_fault_arm - let the pass number @after + 1 through @name fail with @error, once */
void exp_fault_arm(struct exp_fault_plan *p, const char *name, uint64_t after, int error);

/** exp_fault - 0, or the error of a point that fires now; @p may be NULL */
int exp_fault(struct exp_fault_plan *p, const char *name);

#endif
