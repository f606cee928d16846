/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_migration.c - migrations that are there: list, show, and what a VMM or a person tells them */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/follow.h"
#include "ctl/out.h"

/*
 * list
 */

/* "&name=value", encoded; false: it does not fit. */
static bool add_query(char *query, size_t cap, const char *name, const char *value)
{
	char encoded[3 * EXP_NQN_MAX + 1];
	size_t n = strlen(query);

	if (exp_control_encode(value, encoded, sizeof(encoded)) < 0)
		return false;
	return snprintf(query + n, cap - n, "%s%s=%s", n ? "&" : "", name, encoded) <
	       (int)(cap - n);
}

static void migration_row(struct ctl_table *t, const struct exp_json *m)
{
	const struct exp_json *exports = ctl_at(m, "exports");
	const char *condition = ctl_str(m, "condition", "");
	char text[2 * CTL_TEXT], time[CTL_TEXT];

	ctl_cell(t, ctl_str(m, "id", "?"));
	ctl_cell(t, ctl_str(m, "role", "?"));
	snprintf(text, sizeof(text), "%.40s%s%.40s", ctl_str(m, "state", "?"),
		 *condition ? ", " : "", condition);
	ctl_cell(t, text);
	ctl_cell(t, ctl_str(m, "peer", "?"));
	ctl_cell(t, ctl_known(m, "blackout_us") ? ctl_us(text, ctl_u64(m, "blackout_us", 0)) : "-");
	ctl_cell(t, ctl_time(time, ctl_u64(m, "updated_ms", 0)));
	ctl_cell(t, ctl_str(exp_json_at(exports, 0), "nqn", "?"));
	if (exp_json_len(exports) > 1)
		snprintf(text, sizeof(text), "%zu more", exp_json_len(exports) - 1);
	ctl_cell(t, exp_json_len(exports) > 1 ? text : "");
}

int ctl_run_migration_list(struct ctl *c)
{
	static const char *const head[] = { "ID",        "ROLE",        "STATE",  "PEER",
					    ">BLACKOUT", "LAST CHANGE", "EXPORT", "" };
	static const char *const options[] = { "state", "export", "limit" };
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;
	char query[EXP_API_TARGET_MAX / 2] = "", id[256];
	const struct exp_json *arr;
	struct ctl_table t;
	int status;

	for (size_t i = 0; i < EXP_ARRAY_SIZE(options); i++) {
		const char *value = ctl_value(c, options[i]);

		if (value && !add_query(query, sizeof(query), options[i], value))
			return ctl_usage(c, "--%s %.40s... is too long", options[i], value);
	}
	if (ctl_has(c, "open") && !add_query(query, sizeof(query), "open", "1"))
		return ctl_usage(c, "too many filters");
	status = ctl_get(c, EXP_API_MIGRATIONS, NULL, query[0] ? query : NULL, &v);
	if (status != CTL_DONE || c->json)
		return status;
	arr = ctl_at(v, "migrations");
	ctl_table_init(&t, EXP_ARRAY_SIZE(head), head);
	for (size_t i = 0; i < exp_json_len(arr); i++) {
		if (!c->quiet) {
			migration_row(&t, exp_json_at(arr, i));
			continue;
		}
		ctl_escape(id, sizeof(id), ctl_str(exp_json_at(arr, i), "id", ""));
		puts(id);
	}
	if (c->quiet)
		return CTL_DONE;
	return ctl_table_print(&t, stdout) < 0 ? CTL_FAILED : CTL_DONE;
}

/*
 * show: for whoever is called at 3 a.m. - where it stands, who owns, what happened, what to do
 */

static void print_who(const struct exp_json *m)
{
	const char *host = ctl_str(m, "owner.host", "unknown"),
		   *peer = ctl_str(m, "owner.peer", "");
	const char *who = !strcmp(host, "here")   ? "this host"
			  : !strcmp(host, "peer") ? peer
						  : "not known";

	if (ctl_known(m, "owner.epoch"))
		ctl_line(stdout, "owner", "%s, by epoch %" PRIu64, who,
			 ctl_u64(m, "owner.epoch", 0));
	else
		ctl_line(stdout, "owner", "%s", who);
	ctl_line(stdout, "", "%s", ctl_str(m, "owner.text", ""));
}

static void print_error(const struct exp_json *m)
{
	uint64_t nvme = ctl_u64(m, "error.nvme_status", 0);

	if (!ctl_known(m, "error"))
		return;
	ctl_line(stdout, "error", "%s: %s", ctl_str(m, "error.code", "?"),
		 ctl_str(m, "error.message", ""));
	if (nvme)
		ctl_line(stdout, "",
			 "NVMe status code type %" PRIu64 "h, status code %02" PRIX64 "h",
			 nvme >> 8, nvme & 0xff);
}

static void print_exports(const struct exp_json *m)
{
	const struct exp_json *arr = ctl_at(m, "exports");
	char text[CTL_TEXT];

	for (size_t i = 0; i < exp_json_len(arr); i++) {
		const struct exp_json *e = exp_json_at(arr, i);

		ctl_line(stdout, i ? "" : "export", "%s (%s)", ctl_str(e, "nqn", "?"),
			 ctl_str(e, "id", "?"));
		ctl_line(stdout, "", "%s, epoch %" PRIu64 "%s%s",
			 ctl_bytes(text, ctl_u64(e, "size_bytes", 0)), ctl_u64(e, "epoch", 0),
			 ctl_known(e, "device") ? ", here on " : "", ctl_str(e, "device", ""));
	}
}

static void print_target(const struct exp_json *m)
{
	if (ctl_known(m, "target.cntlid"))
		ctl_line(stdout, "target", "%s, controller %" PRIu64 "%s%s",
			 ctl_str(m, "target.device", "?"), ctl_u64(m, "target.cntlid", 0),
			 ctl_known(m, "target.state") ? ", " : "", ctl_str(m, "target.state", ""));
	else
		ctl_line(stdout, "target", "not chosen yet");
}

static void print_numbers(const struct exp_json *m)
{
	char a[CTL_TEXT], b[CTL_TEXT], d[CTL_TEXT];

	/* the destination does not count what the source does */
	if (!strcmp(ctl_str(m, "role", ""), "destination"))
		return;
	if (ctl_known(m, "bytes.sent"))
		ctl_line(stdout, "data", "%s sent (%s allocated), %s remain, %" PRIu64 " rounds",
			 ctl_bytes(a, ctl_u64(m, "bytes.sent", 0)),
			 ctl_bytes(b, ctl_u64(m, "bytes.allocated", 0)),
			 ctl_bytes(d, ctl_u64(m, "bytes.remaining", 0)), ctl_u64(m, "rounds", 0));
	if (ctl_known(m, "rates.send_bytes_per_s"))
		ctl_line(stdout, "rates", "%s sent, %s dirtied; copy %s",
			 ctl_rate(a, ctl_u64(m, "rates.send_bytes_per_s", 0)),
			 ctl_rate(b, ctl_u64(m, "rates.dirty_bytes_per_s", 0)),
			 ctl_str(m, "verdict", "unknown"));
	if (ctl_known(m, "blackout_us"))
		ctl_line(stdout, "blackout", "%s (limit %s)",
			 ctl_us(a, ctl_u64(m, "blackout_us", 0)),
			 ctl_ms(b, ctl_u64(m, "blackout_limit_ms", 0)));
	else if (ctl_known(m, "forecast_blackout_us"))
		ctl_line(stdout, "blackout", "forecast %s (limit %s)",
			 ctl_us(a, ctl_u64(m, "forecast_blackout_us", 0)),
			 ctl_ms(b, ctl_u64(m, "blackout_limit_ms", 0)));
}

static void print_steps(const struct exp_json *m)
{
	struct exp_json_iter it;
	char line[512] = "", text[CTL_TEXT];
	size_t n = 0;

	for (it = exp_json_fields(ctl_at(m, "steps_us")); exp_json_field(&it);) {
		uint64_t us = exp_json_u64(it.value, 0);

		if (us && n < sizeof(line))
			n += (size_t)snprintf(line + n, sizeof(line) - n, "%s%.24s %s",
					      n ? ", " : "", it.name, ctl_us(text, us));
	}
	if (n)
		ctl_line(stdout, "steps", "%s", line);
}

static void print_holds(const struct exp_json *m)
{
	const struct exp_json *hold = ctl_at(m, "hold");
	char list[CTL_TEXT] = "", text[CTL_TEXT];

	for (size_t i = 0; i < exp_json_len(hold) && strlen(list) + 20 < sizeof(list); i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%.16s",
			 i ? " and " : "", exp_json_str(exp_json_at(hold, i), ""));
	if (list[0])
		ctl_line(stdout, "hold", "at %s, %s at most", list,
			 ctl_ms(text, ctl_u64(m, "hold_lease_ms", 0)));
}

static void print_migration(const struct exp_json *m)
{
	bool source = !strcmp(ctl_str(m, "role", ""), "source");
	const char *condition = ctl_str(m, "condition", "");
	char text[CTL_TEXT];

	ctl_line(stdout, "id", "%s", ctl_str(m, "id", "?"));
	ctl_line(stdout, "state", "%s%s%s (%s, attempt %" PRIu64 ")", ctl_str(m, "state", "?"),
		 *condition ? ", " : "", condition,
		 exp_json_bool(ctl_at(m, "open"), true) ? "open" : "ended",
		 ctl_u64(m, "attempt", 0));
	print_who(m);
	print_error(m);
	if (*ctl_str(m, "waiting_for", ""))
		ctl_line(stdout, "waits for", "%s", ctl_str(m, "waiting_for", ""));
	ctl_line(stdout, "do next", "%s", ctl_str(m, "next", ""));
	ctl_line(stdout, source ? "to" : "from", "%s (this host is the %s)",
		 ctl_str(m, "peer", "?"), ctl_str(m, "role", "?"));
	print_exports(m);
	print_target(m);
	ctl_line(stdout, "how", "dirty source %s, state path %s", ctl_str(m, "dirty", "?"),
		 ctl_str(m, "path", "?"));
	print_holds(m);
	print_numbers(m);
	print_steps(m);
	ctl_line(stdout, "started", "%s", ctl_time(text, ctl_u64(m, "created_ms", 0)));
	ctl_line(stdout, "last change", "%s", ctl_time(text, ctl_u64(m, "updated_ms", 0)));
}

int ctl_run_migration_show(struct ctl *c)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;
	int status = ctl_get(c, EXP_API_MIGRATION, c->args[0], NULL, &v);

	if (status == CTL_DONE && !c->json)
		print_migration(v);
	return status;
}

/*
 * What it is told
 */

static int tell(struct ctl *c, enum exp_api_verb verb, struct exp_json *body)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;
	int status = ctl_call(c, verb, c->args[0], body, &v);
	char text[256];

	if (status != CTL_DONE || c->json || c->quiet)
		return status;
	ctl_escape(text, sizeof(text), ctl_str(v, "state", "accepted"));
	puts(text);
	return CTL_DONE;
}

int ctl_run_migration_switchover(struct ctl *c)
{
	return tell(c, EXP_API_MIGRATION_SWITCHOVER, NULL);
}

int ctl_run_migration_commit(struct ctl *c)
{
	return tell(c, EXP_API_MIGRATION_COMMIT, NULL);
}

int ctl_run_migration_abort(struct ctl *c)
{
	return tell(c, EXP_API_MIGRATION_ABORT, NULL);
}

int ctl_run_migration_cancel(struct ctl *c)
{
	return tell(c, EXP_API_MIGRATION_CANCEL, NULL);
}

static int read_range(struct ctl *c, const char *s, struct exp_memory_range *ret)
{
	const char *colon = strchr(s, ':');
	char iova[32];

	if (colon && colon > s && (size_t)(colon - s) < sizeof(iova)) {
		memcpy(iova, s, (size_t)(colon - s));
		iova[colon - s] = '\0';
		if (!ctl_number(iova, &ret->iova) && !ctl_number(colon + 1, &ret->bytes))
			return CTL_DONE;
	}
	return ctl_usage(c, "--memory %s is not IOVA:BYTES", s);
}

int ctl_run_migration_target_ready(struct ctl *c)
{
	struct exp_api_target_ready req = { 0 };

	for (unsigned int i = 0; i < c->n_given; i++) {
		if (strcmp(c->given[i].option->name, "memory"))
			continue;
		if (req.n_memory == EXP_MEMORY_RANGES_MAX)
			return ctl_usage(c, "more than %d ranges", EXP_MEMORY_RANGES_MAX);
		if (read_range(c, c->given[i].value, &req.memory[req.n_memory++]) != CTL_DONE)
			return CTL_USAGE;
	}
	if (!req.n_memory)
		return ctl_usage(c, "--memory is missing: the guest's memory has to be told");
	return tell(c, EXP_API_MIGRATION_TARGET_READY, exp_api_target_ready(&req));
}

int ctl_run_migration_follow(struct ctl *c)
{
	uint64_t seconds = CTL_WAIT_FOR_EVER;

	if (ctl_has(c, "wait") && ctl_number(ctl_value(c, "wait"), &seconds) < 0)
		return ctl_usage(c, "--wait %s is no number of seconds", ctl_value(c, "wait"));
	return ctl_follow(c, c->args[0], seconds);
}
