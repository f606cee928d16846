/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - <exp/control.h>: HTTP over a Unix socket by libcurl, with limits on every side
 *
 * Nothing of what comes back is believed before it was checked: its size while it arrives, its type
 * and form before the caller sees it. What curl would take from the environment (proxies) is set
 * here, so that it does not.
 */
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include <exp/control.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "control/api.h"

#define CONNECT_TIMEOUT_MS 5000L
#define URL_MAX            (EXP_API_TARGET_MAX + 64)
#define HTTP_NO_CONTENT    204
#define HEADERS_MAX        (64u * 1024) /* bytes of all headers of an answer */

struct exp_control {
	CURL *curl;
	char socket[sizeof(((struct sockaddr_un *)0)->sun_path)];
	uint32_t timeout_ms;
	atomic_bool stop;
};

EXP_DEFINE_CLEANUP(struct exp_control *, exp_control_close)

/* What arrives, while it does. */
struct exchange {
	struct exp_control *c;
	struct exp_buf body; /* the answer, or the part of a line that has come so far */
	char type[64];       /* Content-Type without parameters */
	char location[256];
	size_t headers_len;
	bool too_large;

	/* a stream of lines; else fn is NULL */
	int (*fn)(const char *line, size_t len, void *arg);
	void *arg;
	int fn_result;
};

int exp_control_open(const char *socket, struct exp_control **ret, struct exp_error *err)
{
	EXP_CLEANUP(exp_control_closep) struct exp_control *c = NULL;

	if (!*socket || strlen(socket) >= sizeof(c->socket))
		return exp_error_set(err, EXP_CODE_USAGE, EINVAL,
				     "socket path of %zu bytes; 1 to %zu are possible",
				     strlen(socket), sizeof(c->socket) - 1);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "libcurl does not start");
	c = calloc(1, sizeof(*c));
	if (!c) {
		curl_global_cleanup();
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "control: out of memory");
	}
	c->curl = curl_easy_init();
	if (!c->curl)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "control: out of memory");
	c->timeout_ms = EXP_CONTROL_TIMEOUT_MS;
	strcpy(c->socket, socket);
	*ret = EXP_TAKE(c);
	return 0;
}

void exp_control_close(struct exp_control *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->curl);
	curl_global_cleanup();
	free(c);
}

void exp_control_set_timeout(struct exp_control *c, uint32_t ms)
{
	c->timeout_ms = ms;
}

void exp_control_stop(struct exp_control *c)
{
	atomic_store(&c->stop, true);
}

void exp_control_reply_done(struct exp_control_reply *r)
{
	free(r->body);
	memset(r, 0, sizeof(*r));
}

int exp_control_encode(const char *s, char *out, size_t cap)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		bool plain = isalnum(c) || strchr("-._~", c);

		if (n + (plain ? 1 : 3) >= cap)
			return -ENOSPC;
		if (!plain) {
			out[n++] = '%';
			out[n++] = hex[c >> 4];
			c = (unsigned char)hex[c & 15];
		}
		out[n++] = (char)c;
	}
	if (n >= cap)
		return -ENOSPC;
	out[n] = '\0';
	return (int)n;
}

/*
 * Callbacks of curl. A result other than what was offered ends the transfer.
 */

/* "Name: value\r\n" */
static void take_header(const char *line, size_t len, const char *name, char *out, size_t cap)
{
	size_t n = strlen(name);

	if (len <= n || strncasecmp(line, name, n) || line[n] != ':')
		return;
	for (n++; n < len && (line[n] == ' ' || line[n] == '\t'); n++)
		;
	while (len > n && strchr("\r\n\t ", line[len - 1]))
		len--;
	snprintf(out, cap, "%.*s", (int)EXP_MIN(len - n, cap), line + n);
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;

	take_header(line, size * n, "content-type", x->type, sizeof(x->type));
	take_header(line, size * n, "location", x->location, sizeof(x->location));
	x->headers_len += size * n;
	x->too_large = x->headers_len > HEADERS_MAX;
	return x->too_large ? 0 : size * n;
}

static bool is_type(const struct exchange *x, const char *type)
{
	size_t n = strcspn(x->type, "; \t");

	return n == strlen(type) && !strncasecmp(x->type, type, n);
}

static long status_of(struct exchange *x)
{
	long status = 0;

	curl_easy_getinfo(x->c->curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static bool is_stream(struct exchange *x)
{
	return x->fn && status_of(x) == 200 && is_type(x, EXP_API_CONTENT_TYPE_EVENTS);
}

/* Hands over the lines that are whole; false: stop. */
static bool give_lines(struct exchange *x)
{
	for (;;) {
		char *text = (char *)x->body.mem + x->body.start;
		size_t len = exp_buf_len(&x->body);
		char *end = len ? memchr(text, '\n', len) : NULL;

		if (!end) {
			x->too_large = len > EXP_CONTROL_LINE_MAX;
			return !x->too_large;
		}
		*end = '\0';
		len = (size_t)(end - text);
		x->too_large = len > EXP_CONTROL_LINE_MAX;
		if (len && !x->too_large)
			x->fn_result = x->fn(text, len, x->arg);
		if (x->fn_result || x->too_large)
			return false;
		exp_buf_consume(&x->body, len + 1);
	}
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;

	if (exp_buf_add(&x->body, p, size * n) < 0) {
		x->too_large = true;
		return 0;
	}
	return !is_stream(x) || give_lines(x) ? size * n : 0;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct exchange *x = arg;

	(void)a, (void)b, (void)c, (void)d;
	return atomic_load(&x->c->stop) ? 1 : 0;
}

/*
 * One request
 */

static int no_daemon(const struct exchange *x, struct exp_error *err)
{
	const char *path = x->c->socket;
	long os = 0;

	curl_easy_getinfo(x->c->curl, CURLINFO_OS_ERRNO, &os);
	if (os == EACCES || os == EPERM)
		return exp_error_set(err, EXP_CODE_DENIED, (int)os,
				     "%s: %s: this user may not use the control socket; its group "
				     "may",
				     path, strerror((int)os));
	if (os == ENOENT || os == ECONNREFUSED || os == ENOTDIR || os == ENOTSOCK)
		return exp_error_set(err, EXP_CODE_UNREACHABLE, (int)os,
				     "%s: %s: is expd running, and is this its socket?", path,
				     strerror((int)os));
	return exp_error_set(err, EXP_CODE_UNREACHABLE, os ? (int)os : ECONNREFUSED,
			     "%s: cannot connect: %s", path,
			     os ? strerror((int)os) : "no reason is known");
}

static int transfer_failed(struct exchange *x, CURLcode code, struct exp_error *err)
{
	const char *path = x->c->socket;

	if (x->too_large)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EMSGSIZE,
				     "%s: an answer with %s of more than %u bytes", path,
				     x->headers_len > HEADERS_MAX ? "headers"
				     : x->fn                      ? "an event"
								  : "a body",
				     x->headers_len > HEADERS_MAX ? HEADERS_MAX
				     : x->fn                      ? EXP_CONTROL_LINE_MAX
								  : EXP_CONTROL_REPLY_MAX);
	switch ((int)code) {
	case CURLE_COULDNT_CONNECT: return no_daemon(x, err);
	case CURLE_OPERATION_TIMEDOUT:
		return exp_error_set(err, EXP_CODE_UNREACHABLE, ETIMEDOUT,
				     "%s: no answer in %" PRIu32 " ms", path, x->c->timeout_ms);
	case CURLE_OUT_OF_MEMORY:
		return exp_error_set(
			err, EXP_CODE_NO_MEMORY, ENOMEM,
			"%s: out of memory, or a header line beyond what libcurl takes", path);
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
		return exp_error_set(err, EXP_CODE_UNREACHABLE, ECONNRESET,
				     "%s: the daemon hung up in the middle: %s", path,
				     curl_easy_strerror(code));
	default:
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO, "%s: %s: is this expd?", path,
				     curl_easy_strerror(code));
	}
}

static int set_up(struct exchange *x, const struct exp_control_request *rq,
		  struct curl_slist **headers, long timeout_ms, struct exp_error *err)
{
	CURL *h = x->c->curl;
	char url[URL_MAX], key[EXP_KEY_MAX + 32];
	int n = snprintf(url, sizeof(url), "http://expd%s", rq->path);
	CURLcode bad = CURLE_OK;

	if (rq->path[0] != '/' || n < 0 || (size_t)n >= sizeof(url) ||
	    (rq->key && strlen(rq->key) > EXP_KEY_MAX))
		return exp_error_set(err, EXP_CODE_USAGE, EINVAL,
				     "path of %zu bytes (at most %u, begins with /), key of %zu "
				     "(at most %d)",
				     strlen(rq->path), EXP_API_TARGET_MAX,
				     rq->key ? strlen(rq->key) : 0, EXP_KEY_MAX);
	*headers = curl_slist_append(NULL, "Content-Type: " EXP_API_CONTENT_TYPE);
	if (*headers && rq->key) {
		snprintf(key, sizeof(key), "Idempotency-Key: %s", rq->key);
		if (!curl_slist_append(*headers, key))
			bad = CURLE_OUT_OF_MEMORY;
	}
#define SET(option, value)                                                  \
	do {                                                                \
		if (bad == CURLE_OK)                                        \
			bad = curl_easy_setopt(h, CURLOPT_##option, value); \
	} while (0)
	curl_easy_reset(h);
	if (!*headers)
		bad = CURLE_OUT_OF_MEMORY;
	SET(URL, url);
	SET(UNIX_SOCKET_PATH, x->c->socket);
	SET(PROTOCOLS_STR, "http");
	SET(PROXY, "");
	SET(NOSIGNAL, 1L);
	SET(PATH_AS_IS, 1L);
	SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	SET(TIMEOUT_MS, timeout_ms);
	SET(HTTPHEADER, *headers);
	if (rq->body || strcmp(rq->method, "GET"))
		SET(POSTFIELDS, rq->body ? rq->body : "");
	SET(CUSTOMREQUEST, rq->method);
	SET(HEADERFUNCTION, on_header);
	SET(HEADERDATA, x);
	SET(WRITEFUNCTION, on_body);
	SET(WRITEDATA, x);
	SET(NOPROGRESS, 0L);
	SET(XFERINFOFUNCTION, on_progress);
	SET(XFERINFODATA, x);
#undef SET
	if (bad == CURLE_OK)
		return 0;
	return exp_error_set(err, EXP_CODE_SYSTEM, EINVAL, "libcurl: %s", curl_easy_strerror(bad));
}

/* 0 and *ret_status, or why there was no whole answer. */
static int exchange(struct exchange *x, const struct exp_control_request *rq, long timeout_ms,
		    int *ret_status, struct exp_error *err)
{
	struct curl_slist *headers = NULL;
	CURLcode code = CURLE_OK;
	int r = set_up(x, rq, &headers, timeout_ms, err);

	if (!r && !atomic_load(&x->c->stop))
		code = curl_easy_perform(x->c->curl);
	curl_slist_free_all(headers);
	if (r < 0)
		return r;
	if (atomic_load(&x->c->stop))
		return exp_error_set(err, EXP_CODE_CANCELLED, ECANCELED, "stopped");
	if (x->fn_result)
		return 0;
	if (code != CURLE_OK)
		return transfer_failed(x, code, err);
	*ret_status = (int)status_of(x);
	return 0;
}

/* The document of an answer, as one object; NULL and no error: it has none. Two types will do. */
static int read_document(struct exchange *x, const char *type, const char *or_type,
			 struct exp_json **ret, struct exp_error *err)
{
	size_t len = exp_buf_len(&x->body);
	char shown[80];
	int r;

	*ret = NULL;
	if (!len)
		return 0;
	exp_log_escape(shown, sizeof(shown), x->type[0] ? x->type : "(none)");
	if (!is_type(x, type) && !is_type(x, or_type))
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "%s: an answer of type %s, expected %s: is this expd?",
				     x->c->socket, shown, type);
	r = exp_json_parse((const char *)exp_buf_data(&x->body), len, EXP_CONTROL_REPLY_MAX, ret,
			   err);
	if (!r && exp_json_type(*ret) != EXP_JSON_OBJECT)
		r = exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO, "not an object");
	if (r < 0 && err)
		err->code = EXP_CODE_PROTOCOL;
	return r < 0 ? exp_error_wrap(err, -EPROTO, "%s: answer", x->c->socket) : 0;
}

/*
 * An answer that is not 2xx: what the problem document says, or else what the status says. It can
 * be an ordinary document too: the health of a daemon that is starting.
 */
static int refused(struct exchange *x, int status, struct exp_error *err)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;

	if (read_document(x, EXP_API_CONTENT_TYPE_ERROR, EXP_API_CONTENT_TYPE, &v, NULL) < 0)
		exp_buf_consume(&x->body, exp_buf_len(&x->body)); /* not one of ours: not shown */
	return exp_api_parse_problem(v, status, err);
}

static int keep_reply(struct exchange *x, int status, struct exp_control_reply *ret,
		      struct exp_error *err)
{
	ret->status = status;
	memcpy(ret->location, x->location, sizeof(ret->location));
	if (!exp_buf_len(&x->body))
		return 0;
	ret->body = malloc(exp_buf_len(&x->body) + 1);
	if (!ret->body)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "control: out of memory");
	ret->len = exp_buf_len(&x->body);
	memcpy(ret->body, exp_buf_data(&x->body), ret->len);
	ret->body[ret->len] = '\0';
	return 0;
}

static int answer(struct exchange *x, int status, struct exp_control_reply *ret,
		  struct exp_error *err)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;
	int r, k;

	if (status < 200 || status > 299) {
		r = refused(x, status, err);
		k = keep_reply(x, status, ret, err);
		return k < 0 ? k : r;
	}
	r = read_document(x, EXP_API_CONTENT_TYPE, EXP_API_CONTENT_TYPE, &v, err);
	if (!r && !v && status != HTTP_NO_CONTENT)
		r = exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				  "%s: status %d without a document: the answer is cut, or this is "
				  "not expd",
				  x->c->socket, status);
	return r < 0 ? r : keep_reply(x, status, ret, err);
}

int exp_control_request(struct exp_control *c, const struct exp_control_request *rq,
			struct exp_control_reply *ret, struct exp_error *err)
{
	struct exchange x = { .c = c };
	int status = 0, r;

	memset(ret, 0, sizeof(*ret));
	exp_buf_init(&x.body, EXP_CONTROL_REPLY_MAX);
	r = exchange(&x, rq, (long)c->timeout_ms, &status, err);
	if (!r)
		r = answer(&x, status, ret, err);
	exp_buf_done(&x.body);
	return r;
}

int exp_control_events(struct exp_control *c, uint64_t since, bool follow,
		       int (*fn)(const char *line, size_t len, void *arg), void *arg,
		       struct exp_error *err)
{
	struct exchange x = { .c = c, .fn = fn, .arg = arg };
	char path[64] = "/v1/events?follow=1";
	struct exp_control_request rq = { .method = "GET", .path = path };
	int status = 0, r;

	if (since != EXP_CONTROL_NOW)
		snprintf(path, sizeof(path), "/v1/events?follow=%d&since=%" PRIu64, follow, since);
	else if (!follow)
		return 0;
	/* a line that is too long is found before the buffer is full: curl gives at most 16 KiB */
	exp_buf_init(&x.body, 2 * EXP_CONTROL_LINE_MAX);
	r = exchange(&x, &rq, follow ? 0 : (long)c->timeout_ms, &status, err);
	if (!r && x.fn_result)
		r = x.fn_result;
	else if (!r && (status < 200 || status > 299))
		r = refused(&x, status, err);
	else if (!r && !is_type(&x, EXP_API_CONTENT_TYPE_EVENTS))
		r = exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				  "%s: an answer that is no stream of events: is this expd?",
				  c->socket);
	else if (!r && exp_buf_len(&x.body))
		r = exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				  "%s: the last event is cut: the daemon went away", c->socket);
	exp_buf_done(&x.body);
	return r;
}
