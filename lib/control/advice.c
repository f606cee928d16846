/* SPDX-License-Identifier: Apache-2.0 */
#include "control/advice.h"

const char *exp_owner_side_name(enum exp_owner_side side)
{
	switch (side) {
	case EXP_OWNER_HERE: return "here";
	case EXP_OWNER_PEER: return "peer";
	case EXP_OWNER_UNKNOWN: return "unknown";
	}
	return NULL;
}

static struct exp_owner_view source_owner(const struct exp_job *j, enum exp_condition condition)
{
	static const char here[] = "this host owns it; nothing was handed over";

	switch ((enum exp_src_state)j->state) {
	case EXP_SRC_PREFLIGHT:
	case EXP_SRC_PREPARING:
	case EXP_SRC_COPYING:
	case EXP_SRC_READY: return (struct exp_owner_view){ EXP_OWNER_HERE, 0, here };
	case EXP_SRC_SWITCHING:
		if (condition == EXP_CONDITION_RELEASE_UNKNOWN)
			return (struct exp_owner_view){
				EXP_OWNER_UNKNOWN, 0,
				"the hand-over was being committed when the database failed; "
				"nobody runs it until the commit succeeds"
			};
		return (struct exp_owner_view){
			EXP_OWNER_HERE, 0, "this host owns it until the hand-over is committed"
		};
	case EXP_SRC_ROLLING_BACK:
		return (struct exp_owner_view){
			EXP_OWNER_HERE, 0, "this host owns it and is going back to running it"
		};
	case EXP_SRC_FAILED:
	case EXP_SRC_CANCELLED:
		return (struct exp_owner_view){ EXP_OWNER_HERE, 0,
						"this host kept it; the peer has nothing of it" };
	case EXP_SRC_RELEASED:
		return (struct exp_owner_view){
			EXP_OWNER_PEER, 0,
			"the peer owns it, whether it has said so yet or not; never run it here"
		};
	case EXP_SRC_DONE:
		return (struct exp_owner_view){ EXP_OWNER_PEER, 0, "the peer owns it and runs it" };
	case EXP_SRC_TAKEN:
		return (struct exp_owner_view){ EXP_OWNER_PEER, 0,
						"a person gave it to the peer; never run it here" };
	}
	return (struct exp_owner_view){ EXP_OWNER_UNKNOWN, 0, "" };
}

static struct exp_owner_view destination_owner(const struct exp_job *j)
{
	switch ((enum exp_dst_state)j->state) {
	case EXP_DST_PREPARING:
	case EXP_DST_RECEIVING:
		return (struct exp_owner_view){ EXP_OWNER_PEER, 0,
						"the peer owns it; here it is being built" };
	case EXP_DST_RESTORED:
		return (struct exp_owner_view){
			EXP_OWNER_UNKNOWN, 0,
			"all of it is here, but only the peer knows whether it has handed it over"
		};
	case EXP_DST_ACTIVATING:
	case EXP_DST_ACTIVE:
	case EXP_DST_DONE:
		return (struct exp_owner_view){ EXP_OWNER_HERE, 0,
						"this host owns it; the peer has handed it over" };
	case EXP_DST_DISCARDING:
	case EXP_DST_DISCARDED:
		return (struct exp_owner_view){ EXP_OWNER_PEER, 0,
						"the peer kept it; what was built here goes away" };
	}
	return (struct exp_owner_view){ EXP_OWNER_UNKNOWN, 0, "" };
}

struct exp_owner_view exp_advice_owner(const struct exp_job *j, const struct exp_job_progress *p,
				       const struct exp_ownership *owners)
{
	enum exp_condition condition = p ? p->condition : EXP_CONDITION_NONE;
	struct exp_owner_view v = j->role == EXP_ROLE_SOURCE ? source_owner(j, condition)
							     : destination_owner(j);
	bool moved = j->role == EXP_ROLE_SOURCE ? v.side == EXP_OWNER_PEER
						: v.side == EXP_OWNER_HERE;

	if (moved && j->n_exports)
		v.epoch = j->exports[0].epoch;
	else if (v.side == EXP_OWNER_HERE && owners && j->n_exports)
		v.epoch = owners[0].own;
	return v;
}

static const char *source_copying(const struct exp_job *j, const struct exp_job_progress *p)
{
	if (p && p->verdict == EXP_VERDICT_WILL_NOT)
		return "the guest writes faster than the copy goes: let it write less, or cancel";
	if (p && p->target == EXP_TARGET_ABSENT && j->path != EXP_PATH_COLD)
		return "the VMM at the destination has not enabled its controller: it has to, and "
		       "then call target-ready there";
	return "nothing; it goes on by itself";
}

static const char *source_next(const struct exp_job *j, const struct exp_job_progress *p)
{
	switch ((enum exp_src_state)j->state) {
	case EXP_SRC_PREFLIGHT:
	case EXP_SRC_PREPARING: return "nothing; it goes on by itself";
	case EXP_SRC_COPYING: return source_copying(j, p);
	case EXP_SRC_READY:
		if (j->hold & EXP_HOLD_SWITCH)
			return "held as asked: pause the guest, then switchover; when the lease "
			       "ends it goes on copying";
		return source_copying(j, p);
	case EXP_SRC_SWITCHING:
		if (j->hold & EXP_HOLD_COMMIT)
			return "once the destination has restored it: commit or abort; when the "
			       "lease ends it is aborted";
		return "nothing; it ends by itself within the blackout limit";
	case EXP_SRC_ROLLING_BACK:
		return "the VMM lets go of the target function if it has one; it ends when the "
		       "guest runs here and the peer has removed its part: if the peer is down, "
		       "start it";
	case EXP_SRC_RELEASED:
		return "nothing to decide: the peer is told until it answers; if it is down, start "
		       "it";
	case EXP_SRC_DONE: return "nothing; it is done";
	case EXP_SRC_FAILED: return "mend what the error names, then start a new migration";
	case EXP_SRC_CANCELLED: return "nothing; a new migration can be started";
	case EXP_SRC_TAKEN: return "keep the old namespace until its data is no longer wanted";
	}
	return "";
}

static const char *destination_next(const struct exp_job *j, const struct exp_job_progress *p)
{
	switch ((enum exp_dst_state)j->state) {
	case EXP_DST_PREPARING: return "nothing; it goes on by itself";
	case EXP_DST_RECEIVING:
		if (p && p->target == EXP_TARGET_ABSENT && j->path != EXP_PATH_COLD)
			return "the VMM here has not enabled the controller: it has to, and then "
			       "call target-ready";
		return "nothing; the source drives it";
	case EXP_DST_RESTORED:
		return "nothing here decides: the source commits or aborts; if it is down, start "
		       "it";
	case EXP_DST_ACTIVATING: return "nothing; it goes on by itself";
	case EXP_DST_ACTIVE: return "the guest may run here";
	case EXP_DST_DISCARDING:
		return "the VMM lets go of the target function if it has one; it ends when "
		       "everything of it is removed";
	case EXP_DST_DISCARDED:
		return "nothing; if the error names this host, mend it, then start anew at the source";
	case EXP_DST_DONE: return "nothing; it is done";
	}
	return "";
}

const char *exp_advice_next(const struct exp_job *j, const struct exp_job_progress *p)
{
	switch (p ? p->condition : EXP_CONDITION_NONE) {
	case EXP_CONDITION_NONE: break;
	case EXP_CONDITION_SUSPEND_UNKNOWN:
		return "the drive has not answered a Suspend: wait; do not reset it; whether the "
		       "guest runs is not known until it answers";
	case EXP_CONDITION_RELEASE_UNKNOWN:
		return "the database cannot commit: free space or mend the disk under the state "
		       "directory; it is tried again by itself, and the guest stands until then";
	case EXP_CONDITION_NEEDS_OPERATOR:
		return "no rule can decide this: look at the same migration on the other host; run "
		       "the guest by hand nowhere before the other host is known not to";
	case EXP_CONDITION_JOURNAL_REGRESSED:
		return "the peer's database is older than it was: find out which of its records "
		       "are lost before it is accepted again";
	}
	return j->role == EXP_ROLE_SOURCE ? source_next(j, p) : destination_next(j, p);
}
