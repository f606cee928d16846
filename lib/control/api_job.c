/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_job.c - the reply that describes a migration
 *
 * What is not known is null, not 0: a client must be able to tell "no bytes" from "not counted".
 */
#include "control/advice.h"
#include "control/api.h"
#include "control/api_parts.h"

static const char *intent_name(enum exp_job_intent intent)
{
	switch (intent) {
	case EXP_INTENT_GO: return "go";
	case EXP_INTENT_CANCEL: return "cancel";
	case EXP_INTENT_FAIL: return "fail";
	}
	return NULL;
}

static bool target_known(const struct exp_job *j)
{
	return j->role == EXP_ROLE_SOURCE ? j->target_device.s[0] : j->exports[0].here.device.s[0];
}

static uint16_t target_cntlid(const struct exp_job *j, uint32_t i)
{
	return j->role == EXP_ROLE_SOURCE ? j->target_cntlid[i] : j->exports[i].here.cntlid;
}

static struct exp_json *job_export(const struct exp_job *j, uint32_t i,
				   const struct exp_ownership *owner)
{
	const struct exp_job_export *e = &j->exports[i];
	struct exp_json *o = exp_json_object();

	exp_json_put_uuid(o, "id", &e->id);
	exp_json_put_str(o, "nqn", e->desc.nqn.s);
	exp_json_put_u64(o, "epoch", e->epoch);
	exp_api_put_known_u64(o, "own", owner, owner ? owner->own : 0);
	exp_api_put_known_u64(o, "floor", owner, owner ? owner->floor : 0);
	exp_json_put_u64(o, "size_bytes", exp_export_bytes(&e->desc));
	exp_json_put_u64(o, "lba_bytes", e->desc.lba_bytes);
	exp_api_put_place(o, &e->here);
	exp_api_put_known_u64(o, "target_cntlid", target_known(j), target_cntlid(j, i));
	exp_json_put_u64(o, "state_bytes", e->state_len);
	return o;
}

static struct exp_json *target(const struct exp_job *j, const struct exp_job_progress *p)
{
	const struct exp_name *device = j->role == EXP_ROLE_SOURCE ? &j->target_device
								   : &j->exports[0].here.device;
	struct exp_json *o = exp_json_object();

	exp_json_put_str(o, "device", device->s[0] ? device->s : NULL);
	exp_api_put_known_u64(o, "cntlid", target_known(j), target_cntlid(j, 0));
	exp_json_put_str(o, "state", p ? exp_target_state_name(p->target) : NULL);
	return o;
}

static struct exp_json *owner(const struct exp_job *j, const struct exp_job_progress *p,
			      const struct exp_ownership *owners)
{
	struct exp_owner_view v = exp_advice_owner(j, p, owners);
	struct exp_json *o = exp_json_object();

	exp_json_put_str(o, "host", exp_owner_side_name(v.side));
	exp_json_put_str(o, "peer", v.side == EXP_OWNER_PEER ? j->peer.s : NULL);
	exp_api_put_known_u64(o, "epoch", v.epoch, v.epoch);
	exp_json_put_str(o, "text", v.text);
	return o;
}

static struct exp_json *bytes(const struct exp_job *j, const struct exp_job_progress *p)
{
	struct exp_json *o = exp_json_object();
	uint64_t all = 0;

	for (uint32_t i = 0; i < j->n_exports; i++)
		all += exp_export_bytes(&j->exports[i].desc);
	exp_json_put_u64(o, "namespace", all);
	exp_api_put_known_u64(o, "allocated", p, p ? p->allocated_bytes : 0);
	exp_api_put_known_u64(o, "sent", p, p ? p->sent_bytes : 0);
	exp_api_put_known_u64(o, "zero", p, p ? p->zero_bytes : 0);
	exp_api_put_known_u64(o, "acked", p, p ? p->acked_bytes : 0);
	exp_api_put_known_u64(o, "resent", p, p ? p->resent_bytes : 0);
	exp_api_put_known_u64(o, "remaining", p, p ? p->remaining_bytes : 0);
	return o;
}

static void put_progress(struct exp_json *o, const struct exp_job_progress *p)
{
	struct exp_json *rates = exp_json_object(), *log = exp_json_object(),
			*steps = exp_json_object();

	exp_json_put_str(o, "verdict", p ? exp_verdict_name(p->verdict) : NULL);
	exp_api_put_known_u64(rates, "send_bytes_per_s", p, p ? p->send_rate : 0);
	exp_api_put_known_u64(rates, "dirty_bytes_per_s", p, p ? p->dirty_rate : 0);
	exp_json_put(o, "rates", rates);
	exp_api_put_known_u64(o, "rounds", p, p ? p->rounds : 0);
	exp_api_put_known_u64(log, "entries", p, p ? p->log_entries : 0);
	exp_api_put_known_u64(log, "overflows", p, p ? p->log_overflows : 0);
	exp_json_put(o, "log", log);
	exp_api_put_known_u64(o, "eta_ms", p && p->eta_ms != UINT64_MAX, p ? p->eta_ms : 0);
	exp_api_put_known_u64(o, "forecast_blackout_us",
			      p && p->forecast_blackout_us && p->forecast_blackout_us != UINT64_MAX,
			      p ? p->forecast_blackout_us : 0);
	exp_api_put_known_u64(o, "blackout_us", p && p->blackout_us, p ? p->blackout_us : 0);
	for (unsigned int s = 0; p && s < EXP_STEP_N; s++)
		exp_json_put_u64(steps, exp_step_name((enum exp_step)s), p->steps_us[s]);
	exp_json_put(o, "steps_us", steps);
}

struct exp_json *exp_api_job(const struct exp_job *j, const struct exp_job_progress *p,
			     const struct exp_ownership *owners)
{
	struct exp_json *o = exp_json_object(), *exports = exp_json_array();

	exp_json_put_uuid(o, "id", &j->id);
	exp_json_put_str(o, "role", exp_role_name(j->role));
	exp_json_put_str(o, "state", exp_state_name(j->role, j->state));
	exp_json_put_str(o, "condition", exp_condition_name(p ? p->condition : EXP_CONDITION_NONE));
	exp_json_put_bool(o, "open", !exp_state_is_final(j->role, j->state));
	exp_json_put_u64(o, "attempt", j->attempt);
	exp_json_put_u64(o, "epoch", j->n_exports ? j->exports[0].epoch : 0);
	exp_json_put(o, "owner", owner(j, p, owners));
	exp_json_put_str(o, "next", exp_advice_next(j, p));
	exp_json_put_str(o, "waiting_for", p && p->waiting ? p->waiting : "");
	if (j->error.code != EXP_CODE_OK)
		exp_json_put(o, "error", exp_api_error(&j->error));
	for (uint32_t i = 0; i < j->n_exports; i++)
		exp_json_add(exports, job_export(j, i, owners ? &owners[i] : NULL));
	exp_json_put(o, "exports", exports);
	exp_json_put_str(o, "peer", j->peer.s);
	exp_api_put_known_uuid(o, "peer_host", &j->peer_host);
	exp_json_put(o, "target", target(j, p));
	exp_json_put_str(o, "path", exp_path_name(j->path));
	exp_json_put_str(o, "dirty", exp_dirty_name(j->dirty));
	exp_json_put(o, "hold", exp_api_holds(j->hold));
	exp_json_put_u64(o, "hold_lease_ms", j->hold_lease_ms);
	exp_json_put_u64(o, "blackout_limit_ms", j->blackout_limit_ms);
	exp_json_put_str(o, "intent", intent_name(j->intent));
	exp_json_put(o, "bytes", bytes(j, p));
	put_progress(o, p);
	exp_json_put_u64(o, "created_ms", j->created_ms);
	exp_json_put_u64(o, "updated_ms", j->updated_ms);
	return o;
}
