/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - requests, and what their failure means for the exit status */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/out.h"

void ctl_reply_done(struct ctl_reply *r)
{
	if (!r)
		return;
	exp_control_reply_done(&r->http);
	exp_json_free(r->v);
	r->v = NULL;
}

int ctl_ask(struct ctl *c, const char *method, const char *path, const struct exp_json *body,
	    const char *key, struct ctl_reply *ret, struct exp_error *err)
{
	struct exp_control_request rq = { .method = method, .path = path, .key = key };
	int r;

	memset(ret, 0, sizeof(*ret));
	memset(err, 0, sizeof(*err));
	if (body) {
		rq.body = exp_json_print(body, false, NULL);
		if (!rq.body)
			return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	}
	if (!c->control) {
		r = exp_control_open(c->socket, &c->control, err);
		if (r < 0)
			return r;
	}
	r = exp_control_request(c->control, &rq, &ret->http, err);
	/* checked by the client; what does not parse now is memory that ran out */
	if (ret->http.body &&
	    exp_json_parse(ret->http.body, ret->http.len, EXP_CONTROL_REPLY_MAX, &ret->v, NULL) <
		    0 &&
	    !r)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	return r;
}

static void print_findings(const struct exp_json *findings)
{
	char text[1024];

	for (size_t i = 0; i < exp_json_len(findings); i++) {
		const struct exp_json *f = exp_json_at(findings, i);

		if (strcmp(ctl_str(f, "severity", ""), "refusal"))
			continue;
		ctl_escape(text, sizeof(text), ctl_str(f, "message", ""));
		fprintf(stderr, "  %s\n", text);
	}
}

int ctl_failed(struct ctl *c, const struct ctl_reply *r, const struct exp_error *err)
{
	char text[1200];

	ctl_print_reply(c, r);
	ctl_escape(text, sizeof(text), err->msg);
	fprintf(stderr, "expctl: %s", text);
	fprintf(stderr, "%s\n", exp_code_retry(err->code) && r->http.status ? " (try again)" : "");
	if (exp_json_len(ctl_at(r->v, "findings")) > 1)
		print_findings(ctl_at(r->v, "findings"));
	if (err->code == EXP_CODE_USAGE && !r->http.status)
		return CTL_USAGE;
	if (!r->http.status && (err->code == EXP_CODE_UNREACHABLE || err->code == EXP_CODE_DENIED))
		return CTL_UNREACHABLE;
	return CTL_FAILED;
}

bool ctl_print_reply(const struct ctl *c, const struct ctl_reply *r)
{
	if (c->json && r->http.body) {
		fwrite(r->http.body, 1, r->http.len, stdout);
		if (r->http.body[r->http.len - 1] != '\n')
			putchar('\n');
	}
	return c->json;
}

static int call(struct ctl *c, const char *method, const char *path, struct exp_json *body,
		struct exp_json **ret)
{
	struct exp_error err;
	struct ctl_reply reply;
	int r = ctl_ask(c, method, path, body, NULL, &reply, &err), status = CTL_DONE;

	exp_json_free(body);
	if (r < 0)
		status = ctl_failed(c, &reply, &err);
	else
		ctl_print_reply(c, &reply);
	*ret = status == CTL_DONE ? EXP_TAKE(reply.v) : NULL;
	ctl_reply_done(&reply);
	return status;
}

int ctl_call(struct ctl *c, enum exp_api_verb verb, const char *id, struct exp_json *body,
	     struct exp_json **ret)
{
	char path[EXP_API_TARGET_MAX];

	*ret = NULL;
	if (exp_api_path(verb, id, path, sizeof(path)) < 0) {
		exp_json_free(body);
		return ctl_usage(c, "\"%.40s...\" is too long for a name", id);
	}
	return call(c, exp_api_method(verb), path, body, ret);
}

int ctl_get(struct ctl *c, enum exp_api_verb verb, const char *id, const char *query,
	    struct exp_json **ret)
{
	char path[EXP_API_TARGET_MAX];
	int n;

	*ret = NULL;
	n = exp_api_path(verb, id, path, sizeof(path));
	if (n >= 0 && query)
		n = snprintf(path + n, sizeof(path) - (size_t)n, "?%s", query) <
				    (int)sizeof(path) - n
			    ? n
			    : -ENOSPC;
	if (n < 0)
		return ctl_usage(c, "\"%.40s...\" is too long for a name", id ? id : query);
	return call(c, exp_api_method(verb), path, NULL, ret);
}
