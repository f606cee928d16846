/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sm.h - tables of states: which moves are legal, and how a state is called
 *
 * One function changes a state. It takes the state that the caller believes in and stops on a
 * mismatch or an illegal move: that is our own bug, never input.
 */
#ifndef EXP_BASE_SM_H
#define EXP_BASE_SM_H

#include <stddef.h>
#include <stdint.h>

struct exp_sm_state {
	const char *name; /* NULL: no such state */
	unsigned int flags;
	uint64_t to; /* bit n: may move to state n */
};

struct exp_sm {
	const char *what; /* "source", for messages */
	const struct exp_sm_state *states;
	size_t n; /* at most 64 */
};

const char *exp_sm_name(const struct exp_sm *sm, unsigned int state); /* never NULL */
/* 0, or -ENOENT with *ret as it was */
int exp_sm_by_name(const struct exp_sm *sm, const char *name, unsigned int *ret);
int exp_sm_may(const struct exp_sm *sm, unsigned int from, unsigned int to); /* 0 or 1 */

/** exp_sm_move - *state from @from to @to; aborts with the names when it is elsewhere or may not */
void exp_sm_move(const struct exp_sm *sm, unsigned int *state, unsigned int from, unsigned int to);

#endif
