/* SPDX-License-Identifier: Apache-2.0 */
/*
 * advice.h - what a migration's record means to a person: who owns the export, what to do next
 *
 * Said once, by the daemon, so that every client shows the same sentence. Decides nothing.
 */
#ifndef EXP_CONTROL_ADVICE_H
#define EXP_CONTROL_ADVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "model/job.h"

enum exp_owner_side {
	EXP_OWNER_HERE,
	EXP_OWNER_PEER,
	EXP_OWNER_UNKNOWN, /* only the peer, or the disk, can say */
};

struct exp_owner_view {
	enum exp_owner_side side;
	uint64_t epoch;   /* by which it owns, 0 when this host cannot know */
	const char *text; /* a literal */
};

const char *exp_owner_side_name(enum exp_owner_side side); /* "here", "peer", "unknown" */

/**
 * exp_advice_owner - who owns the exports of @j, as its record has it; of a closed job: at its end
 * @p, @owners: as for exp_api_job()
 */
struct exp_owner_view exp_advice_owner(const struct exp_job *j, const struct exp_job_progress *p,
				       const struct exp_ownership *owners);

/** exp_advice_next - one sentence for whoever is called at night; a literal, never NULL */
const char *exp_advice_next(const struct exp_job *j, const struct exp_job_progress *p);

#endif
