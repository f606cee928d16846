/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_migrate.c - start a migration, or ask whether one could be started */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/uuid.h"
#include "ctl/ctl.h"
#include "ctl/follow.h"
#include "ctl/out.h"

/*
 * Arguments to the body of a request
 */

static int opt_u32(struct ctl *c, const char *option, uint64_t min, uint64_t max, uint32_t *ret)
{
	const char *s = ctl_value(c, option);
	uint64_t v;

	if (!s)
		return CTL_DONE;
	if (ctl_number(s, &v) < 0 || v < min || v > max)
		return ctl_usage(c, "--%s %s is not a number in %" PRIu64 "..%" PRIu64, option, s,
				 min, max);
	*ret = (uint32_t)v;
	return CTL_DONE;
}

static int read_holds(struct ctl *c, struct exp_api_migration *req)
{
	const char *s = ctl_value(c, "hold");
	char name[16];

	while (s && *s) {
		size_t n = strcspn(s, ",");
		uint8_t bit;

		snprintf(name, sizeof(name), "%.*s", (int)EXP_MIN(n, sizeof(name)), s);
		bit = exp_api_hold_by_name(name);
		if (!bit)
			return ctl_usage(c, "--hold %s: known are switch and commit", s);
		req->hold |= bit;
		s += s[n] ? n + 1 : n;
	}
	return CTL_DONE;
}

static int read_dirty(struct ctl *c, struct exp_api_migration *req)
{
	const char *s = ctl_value(c, "dirty");

	if (s && !strcmp(s, exp_dirty_name(EXP_DIRTY_NONE)))
		req->dirty = EXP_DIRTY_NONE;
	else if (s && strcmp(s, exp_dirty_name(EXP_DIRTY_CDQ)))
		return ctl_usage(c, "--dirty %s: known are cdq and none", s);
	return CTL_DONE;
}

static int read_names(struct ctl *c, struct exp_api_migration *req)
{
	const char *to = ctl_value(c, "to"), *device = ctl_value(c, "to-device");
	struct exp_error err = { 0 };

	if (!to)
		return ctl_usage(c, "--to is missing: the host that it moves to");
	if (exp_api_parse_name("--to", to, &req->to, &err) < 0 ||
	    (device && exp_api_parse_name("--to-device", device, &req->to_device, &err) < 0))
		return ctl_usage(c, "%s", err.msg);
	for (unsigned int i = 0; i < c->n_args; i++)
		if (exp_api_parse_ref(c->args[i], &req->exports[req->n_exports++], &err) < 0)
			return ctl_usage(c, "%s: %s", c->args[i], err.msg);
	return CTL_DONE;
}

static int read_request(struct ctl *c, struct exp_json **ret)
{
	struct exp_api_migration req = {
		.to_controller = UINT32_MAX,
		.dirty = EXP_DIRTY_CDQ,
	};

	if (read_names(c, &req) || read_holds(c, &req) || read_dirty(c, &req) ||
	    opt_u32(c, "to-controller", 0, UINT16_MAX, &req.to_controller) ||
	    opt_u32(c, "hold-lease-ms", 1, EXP_API_HOLD_LEASE_MAX_MS, &req.hold_lease_ms) ||
	    opt_u32(c, "blackout-limit-ms", 1, EXP_API_BLACKOUT_MAX_MS, &req.blackout_limit_ms))
		return CTL_USAGE;
	*ret = exp_api_migration(&req);
	return CTL_DONE;
}

/*
 * preflight
 */

/* What refuses comes first. */
static void print_findings(const struct exp_json *findings, bool refusals)
{
	for (size_t i = 0; i < exp_json_len(findings); i++) {
		const struct exp_json *f = exp_json_at(findings, i);

		if (!strcmp(ctl_str(f, "severity", ""), "refusal") == refusals)
			ctl_finding(stdout, f);
	}
}

static void print_preflight(const struct exp_json *v)
{
	const struct exp_json *findings = ctl_at(v, "findings");
	char bytes[CTL_TEXT], eta[CTL_TEXT], blackout[CTL_TEXT];

	ctl_line(stdout, "may move", "%s", exp_json_bool(ctl_at(v, "ok"), false) ? "yes" : "no");
	if (ctl_known(v, "target.device"))
		ctl_line(stdout, "target", "%s, controller %" PRIu64,
			 ctl_str(v, "target.device", "?"),
			 ctl_u64(exp_json_at(ctl_at(v, "target.controllers"), 0), "cntlid", 0));
	ctl_line(stdout, "state path", "%s", ctl_str(v, "path", "none that both drives know"));
	ctl_line(stdout, "estimate", "%s to send, %s, blackout %s",
		 ctl_bytes(bytes, ctl_u64(v, "estimate.bytes", 0)),
		 ctl_known(v, "estimate.eta_ms") ? ctl_ms(eta, ctl_u64(v, "estimate.eta_ms", 0))
						 : "time not known",
		 ctl_known(v, "estimate.blackout_us")
			 ? ctl_us(blackout, ctl_u64(v, "estimate.blackout_us", 0))
			 : "not known");
	print_findings(findings, true);
	print_findings(findings, false);
}

static int preflight(struct ctl *c, struct exp_json *body)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;
	int status = ctl_call(c, EXP_API_PREFLIGHT, NULL, body, &v);

	if (status != CTL_DONE)
		return status;
	if (!c->json)
		print_preflight(v);
	return exp_json_bool(ctl_at(v, "ok"), false) ? CTL_DONE : CTL_FAILED;
}

int ctl_run_preflight(struct ctl *c)
{
	struct exp_json *body = NULL;
	int status = read_request(c, &body);

	return status == CTL_DONE ? preflight(c, body) : status;
}

/*
 * migrate
 */

/* The answer to a start that was lost: whether it began is not known, but can be asked again. */
static void lost(const struct ctl_reply *reply, const struct exp_error *err, const char *key)
{
	char text[512];

	if (reply->http.status || (err->errnum != ECONNRESET && err->errnum != ETIMEDOUT))
		return;
	ctl_escape(text, sizeof(text), key);
	fprintf(stderr,
		"Whether it has started is not known. The same command with --key %s starts "
		"it once,\nor finds what was started.\n",
		text);
}

static int start(struct ctl *c, struct exp_json *body, char *id, size_t cap)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *owned = body;
	struct exp_uuid random = exp_uuid_new();
	char path[64], made_key[EXP_UUID_TEXT], shown[256];
	const char *key = ctl_value(c, "key");
	struct ctl_reply reply;
	struct exp_error err;
	int status = CTL_DONE;

	if (!key)
		key = exp_uuid_format(&random, made_key);
	if (exp_api_path(EXP_API_MIGRATION_START, NULL, path, sizeof(path)) < 0)
		return CTL_FAILED;
	if (ctl_ask(c, "POST", path, owned, key, &reply, &err) < 0) {
		status = ctl_failed(c, &reply, &err);
		lost(&reply, &err, key);
	} else if (ctl_has(c, "detach") && ctl_print_reply(c, &reply)) {
		/* the one object that --json promises */
	} else if (!c->json) {
		ctl_escape(shown, sizeof(shown), ctl_str(reply.v, "id", ""));
		puts(shown);
		fflush(stdout);
	}
	snprintf(id, cap, "%s", ctl_str(reply.v, "id", ""));
	ctl_reply_done(&reply);
	return status;
}

int ctl_run_migrate(struct ctl *c)
{
	uint64_t seconds = CTL_WAIT_FOR_EVER;
	struct exp_error err = { 0 };
	char key[EXP_KEY_MAX + 1], id[256];
	struct exp_json *body = NULL;
	int status;

	if (ctl_has(c, "key") && exp_api_parse_key(ctl_value(c, "key"), key, &err) < 0)
		return ctl_usage(c, "--key: %s", err.msg);
	if (ctl_has(c, "wait") && ctl_number(ctl_value(c, "wait"), &seconds) < 0)
		return ctl_usage(c, "--wait %s is no number of seconds", ctl_value(c, "wait"));
	status = read_request(c, &body);
	if (status != CTL_DONE)
		return status;
	if (ctl_has(c, "dry-run"))
		return preflight(c, body);
	status = start(c, body, id, sizeof(id));
	if (status != CTL_DONE || ctl_has(c, "detach"))
		return status;
	return ctl_follow(c, id, seconds);
}
