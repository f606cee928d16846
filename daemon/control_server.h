/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_server.h - HTTP/1.1 on two Unix sockets: control.sock (all verbs) and read.sock (GET)
 *
 * The mode of the socket file is the access check; who called goes to the audit log. A handler
 * answers at once or keeps the request and answers later on the loop thread; a client that hung up
 * meanwhile is no special case for it. Loop thread only.
 */
#ifndef EXPD_CONTROL_SERVER_H
#define EXPD_CONTROL_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "control/api.h"

struct event_base;
struct expd;
struct expd_control;
struct expd_request;

/* One per verb of lib/control; control_routes.c has the table. */
typedef void (*expd_handler)(struct expd *x, struct expd_request *rq,
			     const struct exp_api_call *call);

/** expd_control_open - bind both sockets in @dir (0660) and serve them; @handlers has every verb */
int expd_control_open(struct expd *x, struct event_base *base, const char *dir,
		      const expd_handler handlers[EXP_API_VERB_N], struct expd_control **ret,
		      struct exp_error *err);
void expd_control_close(struct expd_control *c); /* removes the socket files; drops what waits */

/* What a handler may ask of its request; borrowed until it answers. */
const char *expd_request_header(const struct expd_request *rq, const char *name); /* or NULL */
const void *expd_request_body(const struct expd_request *rq, size_t *ret_len);

/** expd_request_json - the body as one strict JSON value; *ret is the caller's, NULL: no body */
int expd_request_json(struct expd_request *rq, struct exp_json **ret, struct exp_error *err);

/* Exactly one of these ends a request; it must not be touched afterwards. */
void expd_reply_json(struct expd_request *rq, int status, struct exp_json *v); /* takes v */
void expd_reply_created(struct expd_request *rq, int status, const char *location,
			struct exp_json *v);
void expd_reply_error(struct expd_request *rq, const struct exp_error *err);
/** expd_reply_refusal - an error with the findings that led to it; @fs may be NULL */
void expd_reply_refusal(struct expd_request *rq, const struct exp_error *err,
			const struct exp_findings *fs);
void expd_reply_text(struct expd_request *rq, const char *type, const char *text);

/*
 * A stream of lines that ends when either side wants. @gone is called once when the client is
 * away; a reader that is more than 1 MiB behind is dropped.
 */
void expd_stream_start(struct expd_request *rq, const char *type, void (*gone)(void *arg),
		       void *arg);
bool expd_stream_line(struct expd_request *rq, const char *line); /* false: too far behind */
void expd_stream_end(struct expd_request *rq);

#endif
