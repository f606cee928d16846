/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sm.h"

const char *exp_sm_name(const struct exp_sm *sm, unsigned int state)
{
	if (state >= sm->n || !sm->states[state].name)
		return "(no such state)";
	return sm->states[state].name;
}

int exp_sm_by_name(const struct exp_sm *sm, const char *name, unsigned int *ret)
{
	for (size_t i = 0; i < sm->n; i++) {
		if (sm->states[i].name && !strcmp(sm->states[i].name, name)) {
			*ret = (unsigned int)i;
			return 0;
		}
	}
	return -ENOENT;
}

int exp_sm_may(const struct exp_sm *sm, unsigned int from, unsigned int to)
{
	return from < sm->n && to < sm->n && sm->states[from].name && sm->states[to].name &&
	       (sm->states[from].to >> to & 1);
}

void exp_sm_move(const struct exp_sm *sm, unsigned int *state, unsigned int from, unsigned int to)
{
	if (*state != from || !exp_sm_may(sm, from, to)) {
		fprintf(stderr, "BUG: %s is in %s, moved as if in %s to %s\n", sm->what,
			exp_sm_name(sm, *state), exp_sm_name(sm, from), exp_sm_name(sm, to));
		abort();
	}
	*state = to;
}
