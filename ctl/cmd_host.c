/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_host.c - this host: version, check, devices, peers, events, help */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/out.h"

int ctl_run_help(struct ctl *c)
{
	const char *noun = c->n_args > 0 ? c->args[0] : NULL;
	const char *verb = c->n_args > 1 ? c->args[1] : NULL;

	if (ctl_help(stdout, noun, verb))
		return CTL_DONE;
	return ctl_usage(c, "there is no \"%s%s%s\"", noun, verb ? " " : "", verb ? verb : "");
}

int ctl_run_version(struct ctl *c)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;
	int status;

	if (!c->json)
		puts("expctl " EXP_VERSION);
	fflush(stdout);
	status = ctl_get(c, EXP_API_VERSION, NULL, NULL, &v);
	if (status != CTL_DONE || c->json)
		return status;
	ctl_line(stdout, "expd", "%s %s", ctl_str(v, "version", "?"), ctl_str(v, "build", ""));
	ctl_line(stdout, "protocol", "%" PRIu64 " to %" PRIu64, ctl_u64(v, "wire.min", 0),
		 ctl_u64(v, "wire.max", 0));
	ctl_line(stdout, "host", "%s", ctl_str(v, "host", "not known yet"));
	return CTL_DONE;
}

/*
 * check
 */

static bool print_health(const struct exp_json *v)
{
	const struct exp_json *findings = ctl_at(v, "findings");
	const char *state = ctl_str(v, "status", "?");
	bool fine = !strcmp(state, "ok") || !strcmp(state, "degraded");
	char text[CTL_TEXT];

	ctl_line(stdout, "daemon", "%s, up %s, %" PRIu64 " open migrations", state,
		 ctl_ms(text, ctl_u64(v, "uptime_ms", 0)), ctl_u64(v, "open_jobs", 0));
	ctl_line(stdout, "database", "%" PRIu64 " transactions, %s not checkpointed",
		 ctl_u64(v, "database.counter", 0),
		 ctl_bytes(text, ctl_u64(v, "database.wal_bytes", 0)));
	for (size_t i = 0; i < exp_json_len(findings); i++) {
		const struct exp_json *f = exp_json_at(findings, i);

		ctl_finding(stdout, f);
		if (!strcmp(ctl_str(f, "severity", ""), "refusal"))
			fine = false;
	}
	return fine;
}

static bool print_device_state(const struct exp_json *d)
{
	const char *state = ctl_str(d, "state", "?");

	if (!strcmp(state, "unavailable"))
		ctl_line(stdout, "device", "%s: unavailable: %s", ctl_str(d, "name", "?"),
			 ctl_str(d, "error.message", "no reason is known"));
	else if (ctl_known(d, "no_change_log"))
		ctl_line(stdout, "device", "%s: %s; no live moves: %s", ctl_str(d, "name", "?"),
			 state, ctl_str(d, "no_change_log", ""));
	else
		ctl_line(stdout, "device", "%s: %s", ctl_str(d, "name", "?"), state);
	return strcmp(state, "unavailable") != 0;
}

static void print_peer_state(const struct exp_json *p)
{
	const char *name = ctl_str(p, "name", "?"), *condition = ctl_str(p, "condition", "");

	if (*condition)
		ctl_line(stdout, "peer",
			 "%s: %s: its database is not the one it had before; "
			 "nothing moves until a person has accepted that",
			 name, condition);
	else if (exp_json_bool(ctl_at(p, "connected"), false))
		ctl_line(stdout, "peer", "%s: connected", name);
	else
		ctl_line(stdout, "peer", "%s: not connected: %s", name,
			 ctl_str(p, "error.message", "no reason is known"));
}

static int each(struct ctl *c, enum exp_api_verb verb, const char *name, bool *fine)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;
	const struct exp_json *arr;
	int status = ctl_get(c, verb, NULL, NULL, &v);

	if (status != CTL_DONE)
		return status;
	arr = ctl_at(v, name);
	for (size_t i = 0; i < exp_json_len(arr); i++) {
		if (verb == EXP_API_PEERS)
			print_peer_state(exp_json_at(arr, i));
		else if (!print_device_state(exp_json_at(arr, i)))
			*fine = false;
	}
	return CTL_DONE;
}

int ctl_run_check(struct ctl *c)
{
	struct ctl_reply reply;
	struct exp_error err;
	char path[64];
	bool fine;
	int r, status;

	/* a daemon that starts or stops answers 503, with the same document */
	if (exp_api_path(EXP_API_HEALTH, NULL, path, sizeof(path)) < 0)
		return CTL_FAILED;
	r = ctl_ask(c, "GET", path, NULL, NULL, &reply, &err);
	if (r < 0 && !ctl_known(reply.v, "status")) {
		status = ctl_failed(c, &reply, &err);
		ctl_reply_done(&reply);
		return status;
	}
	if (ctl_print_reply(c, &reply)) {
		ctl_reply_done(&reply);
		return r < 0 ? CTL_FAILED : CTL_DONE;
	}
	fine = print_health(reply.v);
	ctl_reply_done(&reply);
	status = r < 0 ? CTL_FAILED : each(c, EXP_API_DEVICES, "devices", &fine);
	if (status == CTL_DONE)
		status = each(c, EXP_API_PEERS, "peers", &fine);
	return status == CTL_DONE && !fine ? CTL_FAILED : status;
}

/*
 * Devices
 */

static void device_row(struct ctl_table *t, const struct exp_json *d)
{
	char text[CTL_TEXT], both[2 * CTL_TEXT + 4], other[CTL_TEXT];
	bool read = ctl_known(d, "model");

	ctl_cell(t, ctl_str(d, "name", "?"));
	ctl_cell(t, ctl_str(d, "state", "?"));
	ctl_cell(t, ctl_str(d, "model", "-"));
	ctl_cell(t, ctl_str(d, "serial", "-"));
	snprintf(both, sizeof(both), "%s / %s", ctl_bytes(text, ctl_u64(d, "free_bytes", 0)),
		 ctl_bytes(other, ctl_u64(d, "total_bytes", 0)));
	ctl_cell(t, read ? both : "-");
	snprintf(text, sizeof(text), "%" PRIu64, ctl_u64(d, "exports", 0));
	ctl_cell(t, read ? text : "-");
	snprintf(text, sizeof(text), "%" PRIu64, ctl_u64(d, "free_controllers", 0));
	ctl_cell(t, read ? text : "-");
	ctl_cell(t, !read                                               ? "-"
		    : exp_json_bool(ctl_at(d, "can.change_log"), false) ? "live"
									: "offline");
}

static void names_only(const struct exp_json *arr, const char *field)
{
	char text[1024];

	for (size_t i = 0; i < exp_json_len(arr); i++) {
		ctl_escape(text, sizeof(text), ctl_str(exp_json_at(arr, i), field, ""));
		puts(text);
	}
}

int ctl_run_device_list(struct ctl *c)
{
	static const char *const head[] = { "NAME",         "STATE",    "MODEL",       "SERIAL",
					    ">FREE / SIZE", ">EXPORTS", ">FREE CTRLS", "MOVES" };
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;
	const struct exp_json *arr;
	struct ctl_table t;
	int status = ctl_get(c, EXP_API_DEVICES, NULL, NULL, &v);

	if (status != CTL_DONE || c->json)
		return status;
	arr = ctl_at(v, "devices");
	if (c->quiet) {
		names_only(arr, "name");
		return CTL_DONE;
	}
	ctl_table_init(&t, EXP_ARRAY_SIZE(head), head);
	for (size_t i = 0; i < exp_json_len(arr); i++)
		device_row(&t, exp_json_at(arr, i));
	return ctl_table_print(&t, stdout) < 0 ? CTL_FAILED : CTL_DONE;
}

static void print_ctrls(const struct exp_json *arr)
{
	for (size_t i = 0; i < exp_json_len(arr); i++) {
		const struct exp_json *ctrl = exp_json_at(arr, i);
		bool used = ctl_known(ctrl, "esubid");
		bool on = exp_json_bool(ctl_at(ctrl, "enabled"), false);

		ctl_line(stdout, i ? "" : "controllers", "%" PRIu64 ": %s%s",
			 ctl_u64(ctrl, "cntlid", 0), used ? "has an export" : "free",
			 on ? ", enabled" : "");
	}
}

static void print_device(const struct exp_json *d)
{
	const struct exp_json *formats = ctl_at(d, "formats");
	char text[CTL_TEXT], other[CTL_TEXT];

	ctl_line(stdout, "name", "%s", ctl_str(d, "name", "?"));
	ctl_line(stdout, "transport", "%s", ctl_str(d, "transport", "?"));
	ctl_line(stdout, "state", "%s", ctl_str(d, "state", "?"));
	if (ctl_known(d, "error"))
		ctl_line(stdout, "error", "%s: %s", ctl_str(d, "error.code", "?"),
			 ctl_str(d, "error.message", ""));
	if (!ctl_known(d, "model"))
		return;
	ctl_line(stdout, "model", "%s, serial %s, firmware %s", ctl_str(d, "model", ""),
		 ctl_str(d, "serial", ""), ctl_str(d, "firmware", ""));
	ctl_line(stdout, "nvme", "%s, %s", ctl_str(d, "nvme", ""), ctl_str(d, "subnqn", ""));
	ctl_line(stdout, "capacity", "%s free of %s", ctl_bytes(text, ctl_u64(d, "free_bytes", 0)),
		 ctl_bytes(other, ctl_u64(d, "total_bytes", 0)));
	ctl_line(stdout, "exports", "%" PRIu64, ctl_u64(d, "exports", 0));
	for (size_t i = 0; i < exp_json_len(formats); i++)
		ctl_line(stdout, i ? "" : "formats",
			 "%" PRIu64 " byte blocks, %" PRIu64 " bytes of metadata",
			 ctl_u64(exp_json_at(formats, i), "lba_bytes", 0),
			 ctl_u64(exp_json_at(formats, i), "metadata_bytes", 0));
	print_ctrls(ctl_at(d, "controllers"));
	if (exp_json_bool(ctl_at(d, "can.change_log"), false))
		ctl_line(stdout, "live moves", "yes");
	else
		ctl_line(stdout, "live moves", "no: %s",
			 ctl_str(d, "no_change_log", "the drive has no change log"));
	if (ctl_known(d, "no_ns_data"))
		ctl_line(stdout, "data", "cannot be read: %s", ctl_str(d, "no_ns_data", ""));
}

int ctl_run_device_show(struct ctl *c)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;
	int status = ctl_get(c, EXP_API_DEVICE, c->args[0], NULL, &v);

	if (status == CTL_DONE && !c->json)
		print_device(v);
	return status;
}

/*
 * Peers
 */

static void peer_row(struct ctl_table *t, const struct exp_json *p)
{
	const struct exp_json *rights = ctl_at(p, "rights");
	char text[CTL_TEXT], list[CTL_TEXT] = "";
	bool met = ctl_known(p, "seen_ms");

	for (size_t i = 0; i < exp_json_len(rights) && strlen(list) + 12 < sizeof(list); i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%.10s", i ? "," : "",
			 exp_json_str(exp_json_at(rights, i), ""));
	ctl_cell(t, ctl_str(p, "name", "?"));
	ctl_cell(t, *ctl_str(p, "condition", "")                   ? ctl_str(p, "condition", "")
		    : exp_json_bool(ctl_at(p, "connected"), false) ? "connected"
								   : "away");
	ctl_cell(t, ctl_str(p, "address", ""));
	ctl_cell(t, list);
	ctl_cell(t, met ? ctl_time(text, ctl_u64(p, "seen_ms", 0)) : "never");
	snprintf(text, sizeof(text), "%" PRId64 " ms", exp_json_i64(ctl_at(p, "skew_ms"), 0));
	ctl_cell(t, met ? text : "-");
	ctl_cell(t, ctl_str(p, "error.message", ""));
}

int ctl_run_peer_list(struct ctl *c)
{
	static const char *const head[] = { "NAME",      "STATE",       "ADDRESS", "RIGHTS",
					    "LAST SEEN", ">CLOCK SKEW", "WHY" };
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;
	const struct exp_json *arr;
	struct ctl_table t;
	int status = ctl_get(c, EXP_API_PEERS, NULL, NULL, &v);

	if (status != CTL_DONE || c->json)
		return status;
	arr = ctl_at(v, "peers");
	if (c->quiet) {
		names_only(arr, "name");
		return CTL_DONE;
	}
	ctl_table_init(&t, EXP_ARRAY_SIZE(head), head);
	for (size_t i = 0; i < exp_json_len(arr); i++)
		peer_row(&t, exp_json_at(arr, i));
	return ctl_table_print(&t, stdout) < 0 ? CTL_FAILED : CTL_DONE;
}

/*
 * Events
 */

static void print_event(const struct exp_json *e)
{
	const char *detail = exp_json_print(ctl_at(e, "detail"), false, NULL);
	char text[CTL_TEXT], shown[4096];

	ctl_escape(shown, sizeof(shown), ctl_str(e, "type", "?"));
	printf("%8" PRIu64 "  %s  %-20s", ctl_u64(e, "seq", 0),
	       ctl_time(text, ctl_u64(e, "time_ms", 0)), shown);
	ctl_escape(shown, sizeof(shown), ctl_str(e, "job", ctl_str(e, "export", "-")));
	printf("  %-36s", shown);
	ctl_escape(shown, sizeof(shown), detail ? detail : "");
	printf("  %s\n", shown);
}

static int on_event(const char *line, size_t len, void *arg)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *e = NULL;
	const struct ctl *c = arg;

	if (c->json)
		puts(line);
	else if (!exp_json_parse(line, len, EXP_CONTROL_LINE_MAX, &e, NULL))
		print_event(e);
	else
		fputs("expctl: an event that is no JSON was left out\n", stderr);
	return fflush(stdout) ? 1 : 0; /* nobody reads on */
}

int ctl_run_events(struct ctl *c)
{
	const char *since = ctl_value(c, "since");
	struct ctl_reply none = { 0 };
	struct exp_error err = { 0 };
	uint64_t n = EXP_CONTROL_NOW;
	int r;

	if (since && (ctl_number(since, &n) < 0 || n > INT64_MAX))
		return ctl_usage(c, "--since %s is no number of an event", since);
	r = exp_control_open(c->socket, &c->control, &err);
	if (r < 0)
		return ctl_failed(c, &none, &err);
	r = exp_control_events(c->control, n, !since || ctl_has(c, "follow"), on_event, c, &err);
	return r < 0 ? ctl_failed(c, &none, &err) : CTL_DONE;
}
