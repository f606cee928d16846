/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "base/log.h"
#include "control_server.h"

#define HEADERS_MAX       (16 * 1024)
#define BODY_READ_MAX     (1024 * 1024) /* read to its end, so that the refusal is a document */
#define IDLE_SECONDS      60
#define STREAM_BEHIND_MAX (1024 * 1024)

struct socket_face {
	struct expd_control *c;
	struct evhttp *http;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	bool read_only;
};

struct expd_control {
	struct expd *x;
	const expd_handler *handlers; /* EXP_API_VERB_N of them */
	struct socket_face faces[2];
	struct expd_request *open; /* not answered yet */
};

struct expd_request {
	struct expd_control *c;
	struct evhttp_request *req; /* NULL: the client hung up */
	char what[160];             /* "POST /v1/exports" for the audit log */
	uid_t uid;
	pid_t pid;
	bool changes; /* not a GET */
	void (*gone)(void *arg);
	void *gone_arg;
	struct expd_request *next, **link;
};

static const char *method_name(enum evhttp_cmd_type m)
{
	switch (m) {
	case EVHTTP_REQ_GET: return "GET";
	case EVHTTP_REQ_POST: return "POST";
	case EVHTTP_REQ_DELETE: return "DELETE";
	case EVHTTP_REQ_PUT: return "PUT";
	case EVHTTP_REQ_HEAD: return "HEAD";
	case EVHTTP_REQ_OPTIONS: return "OPTIONS";
	case EVHTTP_REQ_TRACE: return "TRACE";
	case EVHTTP_REQ_CONNECT: return "CONNECT";
	case EVHTTP_REQ_PATCH: return "PATCH";
	}
	return "?";
}

static void request_free(struct expd_request *rq)
{
	*rq->link = rq->next;
	if (rq->next)
		rq->next->link = rq->link;
	free(rq);
}

static void on_hangup(struct evhttp_connection *con, void *arg)
{
	struct expd_request *rq = arg;

	(void)con;
	/* libevent frees it with the connection, unless it has left that to who answers */
	if (!evhttp_request_get_connection(rq->req))
		evhttp_request_free(rq->req);
	rq->req = NULL; /* the answer will find nobody */
	if (rq->gone) {
		void (*gone)(void *) = rq->gone;

		rq->gone = NULL;
		gone(rq->gone_arg);
	}
}

static void audit(const struct expd_request *rq, int status)
{
	exp_log(rq->changes ? LOG_NOTICE : LOG_DEBUG, "control request", kv_s("what", rq->what),
		kv_i("rc", status), kv_u("uid", rq->uid), kv_i("pid", rq->pid));
}

static void finish(struct expd_request *rq, int status, const char *type, const char *location,
		   const char *text, size_t len)
{
	audit(rq, status);
	if (rq->req) {
		struct evhttp_request *req = rq->req;
		struct evkeyvalq *out = evhttp_request_get_output_headers(req);
		struct evbuffer *body = evbuffer_new();

		evhttp_connection_set_closecb(evhttp_request_get_connection(req), NULL, NULL);
		evhttp_add_header(out, "Content-Type", type);
		if (location)
			evhttp_add_header(out, "Location", location);
		if (body)
			evbuffer_add(body, text, len);
		evhttp_send_reply(req, status, NULL, body);
		if (body)
			evbuffer_free(body);
	}
	request_free(rq);
}

void expd_reply_created(struct expd_request *rq, int status, const char *location,
			struct exp_json *v)
{
	size_t len = 0;
	const char *text = v ? exp_json_print(v, true, &len) : NULL;

	if (text)
		finish(rq, status, "application/json", location, text, len);
	else
		expd_reply_error(rq, &(struct exp_error){ .code = EXP_CODE_NO_MEMORY,
							  .errnum = ENOMEM,
							  .msg = "out of memory for the answer" });
	exp_json_free(v);
}

void expd_reply_json(struct expd_request *rq, int status, struct exp_json *v)
{
	expd_reply_created(rq, status, NULL, v);
}

void expd_reply_error(struct expd_request *rq, const struct exp_error *err)
{
	expd_reply_refusal(rq, err, NULL);
}

void expd_reply_refusal(struct expd_request *rq, const struct exp_error *err,
			const struct exp_findings *fs)
{
	struct exp_json *v = exp_api_problem(err, fs);
	static const char last_resort[] = "{\"code\":\"NO_MEMORY\",\"status\":503}\n";
	size_t len = 0;
	const char *text = v ? exp_json_print(v, true, &len) : NULL;
	int status = exp_code_http(err->code);

	if (text)
		finish(rq, status, "application/problem+json", NULL, text, len);
	else
		finish(rq, 503, "application/problem+json", NULL, last_resort,
		       sizeof(last_resort) - 1);
	exp_json_free(v);
}

void expd_reply_text(struct expd_request *rq, const char *type, const char *text)
{
	finish(rq, 200, type, NULL, text, strlen(text));
}

void expd_stream_start(struct expd_request *rq, const char *type, void (*gone)(void *arg),
		       void *arg)
{
	audit(rq, 200);
	if (!rq->req) {
		gone(arg);
		return;
	}
	rq->gone = gone;
	rq->gone_arg = arg;
	evhttp_add_header(evhttp_request_get_output_headers(rq->req), "Content-Type", type);
	evhttp_send_reply_start(rq->req, 200, "OK");
}

bool expd_stream_line(struct expd_request *rq, const char *line)
{
	struct bufferevent *bev;
	struct evbuffer *b;

	if (!rq->req)
		return true; /* gone() has told the owner */
	bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(rq->req));
	if (evbuffer_get_length(bufferevent_get_output(bev)) > STREAM_BEHIND_MAX)
		return false;
	b = evbuffer_new();
	if (!b || evbuffer_add_printf(b, "%s\n", line) < 0) {
		if (b)
			evbuffer_free(b);
		return false;
	}
	evhttp_send_reply_chunk(rq->req, b);
	evbuffer_free(b);
	return true;
}

void expd_stream_end(struct expd_request *rq)
{
	rq->gone = NULL;
	if (rq->req) {
		evhttp_connection_set_closecb(evhttp_request_get_connection(rq->req), NULL, NULL);
		evhttp_send_reply_end(rq->req);
	}
	request_free(rq);
}

const char *expd_request_header(const struct expd_request *rq, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(rq->req), name);
}

const void *expd_request_body(const struct expd_request *rq, size_t *ret_len)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(rq->req);

	*ret_len = evbuffer_get_length(in);
	return evbuffer_pullup(in, -1);
}

int expd_request_json(struct expd_request *rq, struct exp_json **ret, struct exp_error *err)
{
	size_t len;
	const char *text = expd_request_body(rq, &len);

	*ret = NULL;
	if (!len)
		return 0;
	return exp_json_parse(text, len, EXP_API_REQUEST_MAX, ret, err);
}

static void identify(struct expd_request *rq)
{
	struct evhttp_connection *con = evhttp_request_get_connection(rq->req);
	int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(con));
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);

	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len)) {
		rq->uid = cred.uid;
		rq->pid = cred.pid;
	}
}

static struct expd_request *request_new(struct expd_control *c, struct evhttp_request *req)
{
	struct expd_request *rq = calloc(1, sizeof(*rq));

	if (!rq)
		return NULL;
	rq->c = c;
	rq->req = req;
	rq->next = c->open;
	rq->link = &c->open;
	if (c->open)
		c->open->link = &rq->next;
	c->open = rq;
	return rq;
}

static void on_request(struct evhttp_request *req, void *arg)
{
	struct socket_face *face = arg;
	struct expd_control *c = face->c;
	const char *target = evhttp_request_get_uri(req);
	const char *method = method_name(evhttp_request_get_command(req));
	struct expd_request *rq = request_new(c, req);
	struct exp_error err = { 0 };
	struct exp_api_call call;
	char allow[64];

	if (!rq) {
		evhttp_send_error(req, 503, NULL);
		return;
	}
	rq->changes = strcmp(method, "GET") != 0;
	snprintf(rq->what, sizeof(rq->what), "%s %s", method, target ? target : "?");
	identify(rq);
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), on_hangup, rq);
	if (evbuffer_get_length(evhttp_request_get_input_buffer(req)) > EXP_API_REQUEST_MAX) {
		exp_error_set(&err, EXP_CODE_TOO_LARGE, EFBIG,
			      "body of %zu bytes: at most %u are taken",
			      evbuffer_get_length(evhttp_request_get_input_buffer(req)),
			      EXP_API_REQUEST_MAX);
		expd_reply_error(rq, &err);
	} else if (face->read_only && rq->changes) {
		exp_error_set(&err, EXP_CODE_DENIED, EACCES,
			      "this socket takes GET only; control.sock takes %s", method);
		expd_reply_error(rq, &err);
	} else if (exp_api_route(method, target ? target : "", &call, &err) == 0) {
		c->handlers[call.verb](c->x, rq, &call);
	} else {
		exp_api_allow(target ? target : "", allow, sizeof(allow));
		if (*allow && err.code == EXP_CODE_METHOD)
			evhttp_add_header(evhttp_request_get_output_headers(req), "Allow", allow);
		expd_reply_error(rq, &err);
	}
}

static int listen_at(const char *path, const char *group, struct exp_error *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct group *gr = getgrnam(group);
	int fd, r;

	strcpy(sa.sun_path, path); /* face_open() has seen that it fits */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		goto fail;
	unlink(path); /* ours: the state directory's lock keeps a second daemon out */
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || chmod(path, 0660) < 0)
		goto fail;
	/* without the group only root gets in, which is safe */
	if (gr && chown(path, (uid_t)-1, gr->gr_gid) < 0 && errno != EPERM)
		goto fail;
	if (listen(fd, 128) < 0)
		goto fail;
	return fd;
fail:
	r = exp_error_set(err, EXP_CODE_SYSTEM, errno, "socket %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return r;
}

static int face_open(struct socket_face *f, struct expd_control *c, struct event_base *base,
		     const char *dir, const char *name, const char *group, struct exp_error *err)
{
	int fd, n;

	f->c = c;
	n = snprintf(f->path, sizeof(f->path), "%s/%s", dir, name);
	if (n < 0 || (size_t)n >= sizeof(f->path)) {
		*f->path = '\0';
		return exp_error_set(err, EXP_CODE_CONFIG, ENAMETOOLONG,
				     "runtime_dir is too long: a socket's path has at most %zu "
				     "bytes, %s/%s has %d",
				     sizeof(f->path) - 1, dir, name, n);
	}
	fd = listen_at(f->path, group, err);
	if (fd < 0)
		return fd;
	f->http = evhttp_new(base);
	if (!f->http || evhttp_accept_socket(f->http, fd) < 0) {
		close(fd);
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "HTTP: out of memory");
	}
	/* beyond this it is libevent that answers 413, with a page of its own */
	evhttp_set_max_body_size(f->http, BODY_READ_MAX);
	evhttp_set_max_headers_size(f->http, HEADERS_MAX);
	evhttp_set_timeout(f->http, IDLE_SECONDS);
	evhttp_set_allowed_methods(f->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_DELETE |
						    EVHTTP_REQ_PUT | EVHTTP_REQ_PATCH);
	evhttp_set_gencb(f->http, on_request, f);
	return 0;
}

int expd_control_open(struct expd *x, struct event_base *base, const char *dir,
		      const expd_handler handlers[EXP_API_VERB_N], struct expd_control **ret,
		      struct exp_error *err)
{
	struct expd_control *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "control: out of memory");
	c->x = x;
	c->handlers = handlers;
	c->faces[1].read_only = true;
	r = face_open(&c->faces[0], c, base, dir, "control.sock", "expd", err);
	if (r == 0)
		r = face_open(&c->faces[1], c, base, dir, "read.sock", "expd-read", err);
	if (r < 0) {
		expd_control_close(c);
		return r;
	}
	*ret = c;
	return 0;
}

void expd_control_close(struct expd_control *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(c->faces); i++) {
		if (c->faces[i].http)
			evhttp_free(c->faces[i].http); /* hangs up on whoever still waits */
		if (*c->faces[i].path)
			unlink(c->faces[i].path);
	}
	while (c->open)
		request_free(c->open);
	free(c);
}
