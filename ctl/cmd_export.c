/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_export.c - virtual SSDs: make, list, show, delete */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/out.h"

static int number_of(struct ctl *c, const char *option, uint64_t max, uint64_t *ret)
{
	const char *s = ctl_value(c, option);

	if (!s)
		return ctl_usage(c, "--%s is missing", option);
	if (ctl_number(s, ret) < 0 || *ret > max)
		return ctl_usage(c, "--%s %s is not a number up to %" PRIu64, option, s, max);
	return CTL_DONE;
}

static int read_create(struct ctl *c, struct exp_api_export_create *req)
{
	const char *device = ctl_value(c, "device"), *nqn = ctl_value(c, "nqn");
	uint64_t lba = 4096, controller;
	struct exp_error err = { 0 };

	if (!device)
		return ctl_usage(c, "--device is missing");
	if (exp_api_parse_name("--device", device, &req->device, &err) < 0)
		return ctl_usage(c, "%s", err.msg);
	if (nqn && exp_nqn_parse(nqn, &req->nqn, &err) < 0)
		return ctl_usage(c, "--nqn: %s", err.msg);
	req->has_nqn = nqn;
	if (number_of(c, "size", INT64_MAX, &req->size_bytes) ||
	    number_of(c, "controller", UINT16_MAX, &controller) ||
	    (ctl_has(c, "lba") && number_of(c, "lba", UINT32_MAX, &lba)))
		return CTL_USAGE;
	req->lba_bytes = (uint32_t)lba;
	req->controller = (uint16_t)controller;
	return CTL_DONE;
}

static void print_id(const struct exp_json *v)
{
	char text[256];

	ctl_escape(text, sizeof(text), ctl_str(v, "id", ""));
	puts(text);
}

int ctl_run_export_create(struct ctl *c)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;
	struct exp_api_export_create req = { 0 };
	char nqn[1024];
	int status = read_create(c, &req);

	if (status != CTL_DONE)
		return status;
	status = ctl_call(c, EXP_API_EXPORT_CREATE, NULL, exp_api_export_create(&req), &v);
	if (status != CTL_DONE || c->json)
		return status;
	print_id(v);
	ctl_escape(nqn, sizeof(nqn), ctl_str(v, "nqn", ""));
	fprintf(stderr, "made %s\n", nqn);
	return CTL_DONE;
}

int ctl_run_export_delete(struct ctl *c)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;
	int status = ctl_call(c, EXP_API_EXPORT_DELETE, c->args[0], NULL, &v);

	if (status == CTL_DONE && !c->json && v)
		print_id(v);
	return status;
}

static void export_row(struct ctl_table *t, const struct exp_json *e)
{
	bool here = ctl_known(e, "device");
	char text[CTL_TEXT];

	ctl_cell(t, ctl_str(e, "nqn", "?"));
	ctl_cell(t, ctl_str(e, "status", "?"));
	ctl_cell(t, ctl_bytes(text, ctl_u64(e, "size_bytes", 0)));
	ctl_cell(t, ctl_str(e, "device", "-"));
	snprintf(text, sizeof(text), "%" PRIu64, ctl_u64(e, "cntlid", 0));
	ctl_cell(t, here ? text : "-");
	snprintf(text, sizeof(text), "%" PRIu64 "/%" PRIu64, ctl_u64(e, "epoch.own", 0),
		 ctl_u64(e, "epoch.floor", 0));
	ctl_cell(t, text);
	ctl_cell(t, ctl_str(e, "job", "-"));
}

int ctl_run_export_list(struct ctl *c)
{
	static const char *const head[] = { "NQN",   "STATUS",     ">SIZE",    "DEVICE",
					    ">CTRL", ">OWN/FLOOR", "MIGRATION" };
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;
	const struct exp_json *arr;
	struct ctl_table t;
	int status = ctl_get(c, EXP_API_EXPORTS, NULL, NULL, &v);

	if (status != CTL_DONE || c->json)
		return status;
	arr = ctl_at(v, "exports");
	if (c->quiet) {
		for (size_t i = 0; i < exp_json_len(arr); i++)
			print_id(exp_json_at(arr, i));
		return CTL_DONE;
	}
	ctl_table_init(&t, EXP_ARRAY_SIZE(head), head);
	for (size_t i = 0; i < exp_json_len(arr); i++)
		export_row(&t, exp_json_at(arr, i));
	return ctl_table_print(&t, stdout) < 0 ? CTL_FAILED : CTL_DONE;
}

static void print_owner(const struct exp_json *e)
{
	uint64_t own = ctl_u64(e, "epoch.own", 0);

	if (own)
		ctl_line(stdout, "owner", "this host, by epoch %" PRIu64, own);
	else if (ctl_known(e, "owner_peer"))
		ctl_line(stdout, "owner", "%s; this host had it last by epoch %" PRIu64,
			 ctl_str(e, "owner_peer", ""), ctl_u64(e, "epoch.maxown", 0));
	else
		ctl_line(stdout, "owner", "not this host; which one is not known here");
}

static void print_export(const struct exp_json *e)
{
	char text[CTL_TEXT];

	ctl_line(stdout, "id", "%s", ctl_str(e, "id", "?"));
	ctl_line(stdout, "nqn", "%s", ctl_str(e, "nqn", "?"));
	ctl_line(stdout, "status", "%s", ctl_str(e, "status", "?"));
	print_owner(e);
	ctl_line(stdout, "epochs", "highest seen %" PRIu64 ", highest owned here %" PRIu64,
		 ctl_u64(e, "epoch.floor", 0), ctl_u64(e, "epoch.maxown", 0));
	ctl_line(stdout, "size", "%s, %" PRIu64 " byte blocks",
		 ctl_bytes(text, ctl_u64(e, "size_bytes", 0)), ctl_u64(e, "lba_bytes", 0));
	if (ctl_known(e, "device"))
		ctl_line(stdout, "place",
			 "%s (serial %s), controller %" PRIu64 ", namespace %" PRIu64,
			 ctl_str(e, "device", ""), ctl_str(e, "serial", ""),
			 ctl_u64(e, "cntlid", 0), ctl_u64(e, "nsid", 0));
	else
		ctl_line(stdout, "place", "nowhere on this host");
	ctl_line(stdout, "guest sees",
		 "namespace %" PRIu64 ", controller %" PRIu64 ", NGUID %s, "
		 "UUID %s",
		 ctl_u64(e, "ensid", 0), ctl_u64(e, "ecntlid", 0), ctl_str(e, "nguid", "none"),
		 ctl_str(e, "uuid", "none"));
	ctl_line(stdout, "migration", "%s", ctl_str(e, "job", "none"));
}

int ctl_run_export_show(struct ctl *c)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;
	int status = ctl_get(c, EXP_API_EXPORT, c->args[0], NULL, &v);

	if (status == CTL_DONE && !c->json)
		print_export(v);
	return status;
}
