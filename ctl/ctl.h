/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl.h - expctl: one table row per verb, arguments taken apart, one place for exit codes
 *
 * expctl knows no rule of its own: it turns arguments into requests and answers into tables.
 * Results go to standard output, everything else to standard error. With --json the daemon's
 * answer goes out byte for byte, an error's document too.
 */
#ifndef EXP_CTL_CTL_H
#define EXP_CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <exp/control.h>

#include "base/json.h"
#include "control/api.h"

enum ctl_exit {
	CTL_DONE = 0,
	CTL_FAILED = 1, /* refused, or it ended otherwise than asked */
	CTL_USAGE = 2,
	CTL_UNREACHABLE = 3,
	CTL_RUNNING = 4, /* still under way when the wait ended */
};

#define CTL_OPTIONS_MAX 16 /* of one verb */
#define CTL_VALUES_MAX  96 /* options given in one call */

struct ctl_option {
	const char *name;    /* "to-device" */
	const char *metavar; /* "NAME"; NULL: a switch without value */
	const char *help;
	bool repeat; /* may be given more than once */
};

struct ctl;

struct ctl_verb {
	const char *noun, *verb;                 /* verb NULL: the noun is all of it */
	const char *args;                        /* "ID", for the usage line; "" none */
	unsigned int min, max;                   /* how many of them */
	const struct ctl_option *options, *more; /* either may be NULL */
	const char *help;                        /* one line */
	int (*run)(struct ctl *c);               /* enum ctl_exit */
};

extern const struct ctl_verb ctl_verbs[];
extern const size_t ctl_n_verbs;

struct ctl {
	const struct ctl_verb *verb;
	const char *socket;
	bool json, quiet;
	struct exp_control *control;

	const char *const *args; /* n_args, borrowed from argv */
	unsigned int n_args;
	struct {
		const struct ctl_option *option;
		const char *value; /* NULL for a switch */
	} given[CTL_VALUES_MAX];
	unsigned int n_given;
};

/*
 * args.c
 */

/**
 * ctl_parse - the command line, into @c
 * @environment: value of $EXPCTL_SOCKET, NULL when not set
 *
 * Returns -1 when c->verb is to be run; else the exit code, after help or a complaint was printed.
 */
int ctl_parse(struct ctl *c, int argc, char **argv, const char *environment);

bool ctl_has(const struct ctl *c, const char *option);
const char *ctl_value(const struct ctl *c, const char *option); /* NULL: not given */

/** ctl_usage - a complaint about the command line, on standard error; CTL_USAGE */
int ctl_usage(const struct ctl *c, const char *fmt, ...) EXP_PRINTF(2, 3);

/** ctl_help - of everything, of a noun, or of a verb; false: there is no such thing */
bool ctl_help(FILE *out, const char *noun, const char *verb);

/* Numbers: plain, 0x hexadecimal, or with K, M, G, T (powers of 1024, "iB" may follow). -EINVAL */
int ctl_number(const char *s, uint64_t *ret) EXP_MUST_CHECK;

/*
 * call.c
 */

/** ctl_call - one request; *ret is its document, NULL when it has none
 * On failure it has told why, and returns the exit code; CTL_DONE otherwise.
 */
int ctl_call(struct ctl *c, enum exp_api_verb verb, const char *id, struct exp_json *body,
	     struct exp_json **ret);

/** ctl_get - like ctl_call for a GET, with a query ("a=b&c=d", encoded; NULL none) */
int ctl_get(struct ctl *c, enum exp_api_verb verb, const char *id, const char *query,
	    struct exp_json **ret);

struct ctl_reply {
	struct exp_control_reply http;
	struct exp_json *v; /* its document, parsed; NULL: none */
};

/** ctl_ask - the request behind both; says nothing. Result as exp_control_request() */
int ctl_ask(struct ctl *c, const char *method, const char *path, const struct exp_json *body,
	    const char *key, struct ctl_reply *ret, struct exp_error *err);
void ctl_reply_done(struct ctl_reply *r);
EXP_DEFINE_CLEANUP(struct ctl_reply *, ctl_reply_done)

/** ctl_failed - tell why a request failed; returns the exit code that goes with it */
int ctl_failed(struct ctl *c, const struct ctl_reply *r, const struct exp_error *err);

/** ctl_print_reply - with --json: the answer as it came; true when that was asked for */
bool ctl_print_reply(const struct ctl *c, const struct ctl_reply *r);

/*
 * The verbs
 */

int ctl_run_version(struct ctl *c);
int ctl_run_check(struct ctl *c);
int ctl_run_help(struct ctl *c);
int ctl_run_events(struct ctl *c);
int ctl_run_device_list(struct ctl *c);
int ctl_run_device_show(struct ctl *c);
int ctl_run_peer_list(struct ctl *c);
int ctl_run_export_create(struct ctl *c);
int ctl_run_export_list(struct ctl *c);
int ctl_run_export_show(struct ctl *c);
int ctl_run_export_delete(struct ctl *c);
int ctl_run_preflight(struct ctl *c);
int ctl_run_migrate(struct ctl *c);
int ctl_run_migration_list(struct ctl *c);
int ctl_run_migration_show(struct ctl *c);
int ctl_run_migration_follow(struct ctl *c);
int ctl_run_migration_target_ready(struct ctl *c);
int ctl_run_migration_switchover(struct ctl *c);
int ctl_run_migration_commit(struct ctl *c);
int ctl_run_migration_abort(struct ctl *c);
int ctl_run_migration_cancel(struct ctl *c);

#endif
