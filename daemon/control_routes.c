/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_routes.c - which function answers which verb, and the verbs that are a few lines
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "config.h"
#include "control_handlers.h"
#include "device_service.h"
#include "events.h"
#include "expd.h"
#include "jobs.h"
#include "peers.h"
#include "store.h"
#include "tls/ctx.h"
#include "wire/session.h"

#define CERT_SOON_S (14 * 24 * 3600) /* say so that long before it runs out */

static void version(struct expd *x, struct expd_request *rq, const struct exp_api_call *call)
{
	const struct exp_api_version v = { .version = EXP_VERSION,
					   .build = __VERSION__,
					   .wire_min = EXP_WIRE_VERSION_MIN,
					   .wire_max = EXP_WIRE_VERSION_MAX,
					   .host = x->host };

	(void)call;
	expd_reply_json(rq, 200, exp_api_version(&v));
}

static void check_certificate(const struct expd *x, struct exp_findings *fs)
{
	int64_t now = (int64_t)(exp_wall_ms() / 1000);
	struct exp_error err = { 0 };
	char when[32] = "";
	time_t end;
	struct tm tm;

	if (!x->tls)
		return;
	end = exp_tls_ctx_self(x->tls)->not_after_s;
	if (gmtime_r(&end, &tm))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (exp_tls_ctx_check(x->tls, now, &err) < 0)
		exp_findings_add(fs, EXP_FINDING_WARNING, "CERTIFICATE",
				 "peers accept this host's certificate", when, "valid now",
				 "%s: no peer will talk to this host; put new files in place, then "
				 "reload",
				 err.msg);
	else if (end - now < CERT_SOON_S)
		exp_findings_add(fs, EXP_FINDING_WARNING, "CERTIFICATE_ENDS",
				 "the certificate lasts two weeks", when, "later",
				 "this host's certificate ends at %s", when);
}

static void health_findings(const struct expd *x, struct exp_findings *fs)
{
	for (size_t i = 0; i < expd_devices_count(x); i++) {
		const struct exp_name *name = expd_devices_name(x, i);

		if (!expd_device_caps(x, name))
			exp_findings_add(fs, EXP_FINDING_WARNING, "DEVICE_UNAVAILABLE",
					 "every configured device is open", name->s, "open",
					 "device %s is not open: see expctl device show %s",
					 name->s, name->s);
	}
	if (x->config->allow_reset_on_restart)
		exp_findings_add(fs, EXP_FINDING_NOTE, "RESET_ON_RESTART",
				 "a restart does not reset the drive", "allow_reset_on_restart=yes",
				 "a descriptor store",
				 "a restart of this daemon resets the drives' admin function and "
				 "aborts the moves that are switching; live moves are allowed all "
				 "the same");
	else
		exp_findings_add(fs, EXP_FINDING_NOTE, "NO_DESCRIPTOR_STORE",
				 "a restart does not reset the drive", "no descriptor store",
				 "a descriptor store or allow_reset_on_restart=yes",
				 "live moves are refused: a restart of this daemon would reset the "
				 "drives' admin function");
	if (!*x->config->listen)
		exp_findings_add(fs, EXP_FINDING_NOTE, "NOT_LISTENING", "peers can connect",
				 "no listen address", "listen = HOST:PORT",
				 "no peer can send anything to this host");
	check_certificate(x, fs);
}

static enum exp_api_health_state health_state(const struct expd *x, const struct exp_findings *fs)
{
	if (x->phase == EXPD_STARTING)
		return EXP_API_HEALTH_STARTING;
	if (x->phase == EXPD_STOPPING)
		return EXP_API_HEALTH_STOPPING;
	for (size_t i = 0; i < fs->n; i++)
		if (fs->f[i].severity != EXP_FINDING_NOTE)
			return EXP_API_HEALTH_DEGRADED;
	return EXP_API_HEALTH_OK;
}

static void health(struct expd *x, struct expd_request *rq, const struct exp_api_call *call)
{
	struct exp_findings fs = { 0 };
	struct exp_api_health h = { .findings = &fs, .host = x->host };

	(void)call;
	health_findings(x, &fs);
	h.state = health_state(x, &fs);
	if (x->store) {
		expd_store_identity(x->store, &h.db_instance, &h.db_counter);
		h.wal_bytes = expd_store_wal_bytes(x->store);
	}
	h.uptime_ms = exp_mono_ms() - x->started_ms;
	h.open_jobs = expd_jobs_open(x->jobs);
	expd_reply_json(rq, exp_api_health_http(h.state), exp_api_health(&h));
}

static void devices(struct expd *x, struct expd_request *rq, const struct exp_api_call *call)
{
	(void)call;
	expd_reply_json(rq, 200, exp_api_list("devices", expd_devices_json(x)));
}

static void device(struct expd *x, struct expd_request *rq, const struct exp_api_call *call)
{
	struct exp_error err = { 0 };

	if (expd_config_device(x->config, call->id)) {
		expd_reply_json(rq, 200, expd_device_json(x, call->id));
		return;
	}
	exp_error_set(&err, EXP_CODE_NOT_FOUND, ENOENT,
		      "there is no device %s in the configuration", call->id);
	expd_reply_error(rq, &err);
}

static void peers(struct expd *x, struct expd_request *rq, const struct exp_api_call *call)
{
	(void)call;
	expd_reply_json(rq, 200, exp_api_list("peers", expd_peers_json(x->peers)));
}

static void preflight(struct expd *x, struct expd_request *rq, const struct exp_api_call *call)
{
	(void)call;
	expd_jobs_preflight(x, rq);
}

static void migrations(struct expd *x, struct expd_request *rq, const struct exp_api_call *call)
{
	struct exp_api_migrations_query q;
	struct exp_error err = { 0 };

	if (exp_api_parse_migrations_query(call->query, &q, &err) < 0)
		expd_reply_error(rq, &err);
	else
		expd_jobs_list(x, rq, &q);
}

static void migration_start(struct expd *x, struct expd_request *rq,
			    const struct exp_api_call *call)
{
	(void)call;
	expd_jobs_start(x, rq);
}

static void migration(struct expd *x, struct expd_request *rq, const struct exp_api_call *call)
{
	expd_jobs_show(x, rq, call->id);
}

static void target_ready(struct expd *x, struct expd_request *rq, const struct exp_api_call *call)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;
	struct exp_api_target_ready t;
	struct exp_error err = { 0 };

	if (expd_request_json(rq, &v, &err) < 0 || exp_api_parse_target_ready(v, &t, &err) < 0)
		expd_reply_error(rq, &err);
	else
		expd_jobs_verb(x, rq, call->id, EXP_VERB_TARGET_READY, &t);
}

static void verb(struct expd *x, struct expd_request *rq, const char *id, enum exp_verb v)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *body = NULL;
	struct exp_error err = { 0 };

	if (expd_request_json(rq, &body, &err) < 0 || exp_api_parse_empty(body, &err) < 0)
		expd_reply_error(rq, &err);
	else
		expd_jobs_verb(x, rq, id, v, NULL);
}

static void switchover(struct expd *x, struct expd_request *rq, const struct exp_api_call *call)
{
	verb(x, rq, call->id, EXP_VERB_SWITCHOVER);
}

static void commit(struct expd *x, struct expd_request *rq, const struct exp_api_call *call)
{
	verb(x, rq, call->id, EXP_VERB_COMMIT);
}

static void abort_migration(struct expd *x, struct expd_request *rq,
			    const struct exp_api_call *call)
{
	verb(x, rq, call->id, EXP_VERB_ABORT);
}

static void cancel(struct expd *x, struct expd_request *rq, const struct exp_api_call *call)
{
	verb(x, rq, call->id, EXP_VERB_CANCEL);
}

static void events(struct expd *x, struct expd_request *rq, const struct exp_api_call *call)
{
	struct exp_api_events_query q;
	struct exp_error err = { 0 };

	if (exp_api_parse_events_query(call->query, &q, &err) < 0)
		expd_reply_error(rq, &err);
	else
		expd_events_stream(x, rq, &q);
}

const expd_handler expd_handlers[EXP_API_VERB_N] = {
	[EXP_API_VERSION] = version,
	[EXP_API_HEALTH] = health,
	[EXP_API_DEVICES] = devices,
	[EXP_API_DEVICE] = device,
	[EXP_API_PEERS] = peers,
	[EXP_API_EXPORTS] = expd_handle_exports,
	[EXP_API_EXPORT_CREATE] = expd_handle_export_create,
	[EXP_API_EXPORT] = expd_handle_export,
	[EXP_API_EXPORT_DELETE] = expd_handle_export_delete,
	[EXP_API_PREFLIGHT] = preflight,
	[EXP_API_MIGRATIONS] = migrations,
	[EXP_API_MIGRATION_START] = migration_start,
	[EXP_API_MIGRATION] = migration,
	[EXP_API_MIGRATION_TARGET_READY] = target_ready,
	[EXP_API_MIGRATION_SWITCHOVER] = switchover,
	[EXP_API_MIGRATION_COMMIT] = commit,
	[EXP_API_MIGRATION_ABORT] = abort_migration,
	[EXP_API_MIGRATION_CANCEL] = cancel,
	[EXP_API_EVENTS] = events,
};
