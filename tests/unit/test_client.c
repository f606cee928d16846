/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/control, the client: against a server of canned bytes, friendly and hostile
 *
 * The server is a thread: it takes one connection, reads one request, sends what the test has given
 * it, and then hangs up or waits for the client to do so.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "support/tests.h"
#include "support/tmpdir.h"

#include <exp/control.h>

struct server {
	int listener;
	pthread_t thread;
	const char *reply;
	size_t len;
	bool asked; /* the request is there */
	bool hold;  /* after the reply: wait until the client hangs up */
	char request[65536];
	size_t request_len;
};

static struct tmpdir dir;
static struct server server;
static struct exp_control *client;

static bool request_is_whole(const struct server *s)
{
	const char *end = strstr(s->request, "\r\n\r\n"), *length;

	if (!end)
		return false;
	length = strcasestr(s->request, "\r\nContent-Length:");
	return s->request_len >=
	       (size_t)(end + 4 - s->request) +
		       (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
}

static void *serve(void *arg)
{
	struct server *s = arg;
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
	char drain[256];
	ssize_t n;

	while (!request_is_whole(s)) {
		n = recv(fd, s->request + s->request_len, sizeof(s->request) - 1 - s->request_len,
			 0);
		if (n <= 0)
			break;
		s->request_len += (size_t)n;
		s->request[s->request_len] = '\0';
	}
	__atomic_store_n(&s->asked, true, __ATOMIC_RELEASE);
	for (size_t at = 0; at < s->len; at += (size_t)n) {
		n = send(fd, s->reply + at, s->len - at, MSG_NOSIGNAL);
		if (n <= 0)
			break; /* the client has had enough */
	}
	while (s->hold && recv(fd, drain, sizeof(drain), 0) > 0)
		;
	close(fd);
	return NULL;
}

static int setup(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct exp_error err = { 0 };

	(void)state;
	dir = tmpdir_new();
	memset(&server, 0, sizeof(server));
	assert_true(snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", tmpdir_file(&dir, "s")) <
		    (int)sizeof(addr.sun_path));
	server.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server.listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(server.listener, 4), 0);
	assert_ok(exp_control_open(tmpdir_file(&dir, "s"), &client, &err), &err);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	exp_control_close(client);
	close(server.listener);
	tmpdir_free(&dir);
	return 0;
}

static void start_bytes(const char *reply, size_t len, bool hold)
{
	server.reply = reply;
	server.len = len;
	server.hold = hold;
	server.request_len = 0;
	memset(server.request, 0, sizeof(server.request));
	assert_int_equal(pthread_create(&server.thread, NULL, serve, &server), 0);
}

static void start(const char *reply)
{
	start_bytes(reply, strlen(reply), false);
}

static void finish(void)
{
	assert_int_equal(pthread_join(server.thread, NULL), 0);
}

static int ask(const char *method, const char *path, const char *body, const char *key,
	       struct exp_control_reply *ret, struct exp_error *err)
{
	struct exp_control_request rq = { method, path, body, key };

	memset(err, 0, sizeof(*err));
	return exp_control_request(client, &rq, ret, err);
}

/* One GET that fails: nothing is left in the reply but what the status says. */
static void fails(int r, enum exp_code code, const char *part)
{
	struct exp_control_reply reply;
	struct exp_error err;

	assert_int_equal(ask("GET", "/v1/version", NULL, NULL, &reply, &err), r);
	assert_error(&err, code, part);
	exp_control_reply_done(&reply);
	assert_null(reply.body);
	finish();
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

static void test_get_gives_the_document_unchanged(void **state)
{
	static const char body[] = "{ \"version\" : \"0.1\",\n\t\"unknown\": [1] }";
	struct exp_control_reply reply;
	struct exp_error err;
	char text[256];

	(void)state;
	snprintf(text, sizeof(text), OK_HEAD "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	start(text);
	assert_ok(ask("GET", "/v1/exports/../a%2Fb?x=y", NULL, NULL, &reply, &err), &err);
	finish();
	assert_int_equal(reply.status, 200);
	assert_int_equal(reply.len, strlen(body));
	assert_string_equal(reply.body, body);
	assert_string_equal(reply.location, "");
	assert_ptr_equal(strstr(server.request, "GET /v1/exports/../a%2Fb?x=y HTTP/1.1\r\n"),
			 server.request);
	assert_null(strcasestr(server.request, "content-length"));
	exp_control_reply_done(&reply);
	exp_control_reply_done(&reply);
}

static void test_post_sends_body_and_key(void **state)
{
	struct exp_control_reply reply;
	struct exp_error err;

	(void)state;
	start("HTTP/1.1 202 Accepted\r\ncontent-type: application/json; charset=utf-8\r\n"
	      "LOCATION:   /v1/migrations/7 \r\nTransfer-Encoding: chunked\r\n\r\n"
	      "4\r\n{\"a\"\r\n5\r\n: 1} \r\n0\r\n\r\n");
	assert_ok(ask("POST", "/v1/migrations", "{\"to\":\"b\"}", "key 1", &reply, &err), &err);
	finish();
	assert_int_equal(reply.status, 202);
	assert_string_equal(reply.body, "{\"a\": 1} ");
	assert_string_equal(reply.location, "/v1/migrations/7");
	assert_ptr_equal(strstr(server.request, "POST /v1/migrations HTTP/1.1\r\n"),
			 server.request);
	assert_non_null(strstr(server.request, "\r\nIdempotency-Key: key 1\r\n"));
	assert_non_null(strstr(server.request, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(server.request, "\r\n\r\n{\"to\":\"b\"}"));
	exp_control_reply_done(&reply);
}

static void test_delete_and_post_without_body(void **state)
{
	struct exp_control_reply reply;
	struct exp_error err;

	(void)state;
	start("HTTP/1.1 204 No Content\r\n\r\n");
	assert_ok(ask("DELETE", "/v1/exports/x", NULL, NULL, &reply, &err), &err);
	finish();
	assert_int_equal(reply.status, 204);
	assert_null(reply.body);
	assert_ptr_equal(strstr(server.request, "DELETE /v1/exports/x HTTP/1.1\r\n"),
			 server.request);
	start(OK_HEAD "Content-Length: 2\r\n\r\n{}");
	assert_ok(ask("POST", "/v1/migrations/x/cancel", NULL, NULL, &reply, &err), &err);
	finish();
	assert_non_null(strstr(server.request, "\r\nContent-Length: 0\r\n"));
	assert_null(strstr(server.request, "Idempotency-Key"));
	exp_control_reply_done(&reply);
}

static void test_problem_becomes_an_error(void **state)
{
	static const char body[] = "{\"code\":\"NO_SPACE\",\"detail\":\"1 of 2 GiB\",\"errno\":28,"
				   "\"nvme_status\":21}";
	struct exp_control_reply reply;
	struct exp_error err;
	char text[512];

	(void)state;
	snprintf(text, sizeof(text),
		 "HTTP/1.1 507 Insufficient Storage\r\nContent-Type: application/problem+json\r\n"
		 "Content-Length: %zu\r\n\r\n%s",
		 strlen(body), body);
	start(text);
	assert_int_equal(ask("GET", "/", NULL, NULL, &reply, &err), -ENOSPC);
	finish();
	assert_error(&err, EXP_CODE_NO_SPACE, "1 of 2 GiB");
	assert_int_equal(err.nvme_status, 21);
	assert_int_equal(reply.status, 507);
	assert_string_equal(reply.body, body); /* for those who want it unchanged */
	exp_control_reply_done(&reply);
}

static void test_refusal_may_carry_a_document(void **state)
{
	struct exp_control_reply reply;
	struct exp_error err;

	(void)state;
	start("HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
	      "Content-Length: 21\r\n\r\n{\"status\":\"starting\"}");
	assert_int_equal(ask("GET", "/v1/health", NULL, NULL, &reply, &err), -EPROTO);
	finish();
	assert_error(&err, EXP_CODE_STARTING, "503");
	assert_string_equal(reply.body, "{\"status\":\"starting\"}");
	exp_control_reply_done(&reply);
}

static void test_refusal_of_something_else(void **state)
{
	struct exp_control_reply reply;
	struct exp_error err;

	(void)state;
	start("HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 14\r\n\r\n"
	      "<html>\x1b[2J</h>");
	assert_int_equal(ask("GET", "/", NULL, NULL, &reply, &err), -EPROTO);
	finish();
	assert_error(&err, EXP_CODE_NOT_FOUND, "HTTP status 404 without an explanation");
	assert_int_equal(reply.status, 404);
	assert_null(reply.body);
}

static void test_wrong_type_or_form_is_refused(void **state)
{
	static const struct {
		const char *reply, *part;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n{}",
		  "type text/html, expected application/json" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "type (none)" },
		{ "HTTP/1.1 200 OK\r\nContent-Type: application/jsonx\r\nContent-Length: 2\r\n\r\n"
		  "{}",
		  "application/jsonx" },
		{ "HTTP/1.1 200 OK\r\nContent-Type: a\x1b[2J\r\nContent-Length: 2\r\n\r\n{}",
		  "a\\x1b[2J" },
		{ OK_HEAD "Content-Length: 3\r\n\r\n{\"a", "JSON" },
		{ OK_HEAD "Content-Length: 2\r\n\r\n[]", "not an object" },
		{ OK_HEAD "Content-Length: 8\r\n\r\n{\"a\":\xff\xfe}", "JSON" },
		{ OK_HEAD "Content-Length: 4\r\n\r\n{}{}", "JSON" },
	};

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(rows); i++) {
		start(rows[i].reply);
		fails(-EPROTO, EXP_CODE_PROTOCOL, rows[i].part);
	}
}

static void test_answer_cut_at_every_byte(void **state)
{
	static const char whole[] = OK_HEAD "Content-Length: 9\r\n\r\n{\"a\":123}";
	struct exp_control_reply reply;
	struct exp_error err;

	(void)state;
	for (size_t len = 0; len < strlen(whole); len++) {
		char *exact = test_exact(whole, len);
		int r;

		start_bytes(exact, len, false);
		r = ask("GET", "/", NULL, NULL, &reply, &err);
		finish();
		if (r >= 0)
			fail_msg("cut after %zu bytes: taken as \"%s\"", len, reply.body);
		assert_true(err.code == EXP_CODE_UNREACHABLE || err.code == EXP_CODE_PROTOCOL);
		assert_null(reply.body);
		free(exact);
	}
	start(whole);
	assert_ok(ask("GET", "/", NULL, NULL, &reply, &err), &err);
	finish();
	exp_control_reply_done(&reply);
}

static void test_no_http_at_all(void **state)
{
	(void)state;
	start("SSH-2.0-OpenSSH_9.2\r\n");
	fails(-EPROTO, EXP_CODE_PROTOCOL, "is this expd?");
	start("HTTP/0.9 200\r\n\r\n");
	fails(-EPROTO, EXP_CODE_PROTOCOL, "is this expd?");
}

static void test_huge_body_is_refused(void **state)
{
	static const char head[] = OK_HEAD "\r\n";
	size_t len = EXP_CONTROL_REPLY_MAX + (1u << 20);
	char *big = malloc(len);

	(void)state;
	assert_non_null(big);
	memset(big, ' ', len);
	memcpy(big, head, strlen(head)); /* without a length, until the end */
	start_bytes(big, len, true);
	fails(-EMSGSIZE, EXP_CODE_PROTOCOL, "a body of more than 16777216 bytes");
	free(big);
}

static void test_huge_headers_are_refused(void **state)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n";
	size_t len = strlen(head) + 8 * 10000;
	char *big = malloc(len + 1);

	(void)state;
	assert_non_null(big);
	strcpy(big, head);
	for (size_t at = strlen(head); at < len; at += 8)
		strcpy(big + at, "Xy: ab\r\n");
	start_bytes(big, len, true);
	fails(-EMSGSIZE, EXP_CODE_PROTOCOL, "headers of more than 65536 bytes");
	memset(big + strlen(head), 'x', len - strlen(head)); /* or one line */
	start_bytes(big, len, false);
	fails(-EPROTO, EXP_CODE_PROTOCOL, "");
	free(big);
}

static void test_long_location_is_cut(void **state)
{
	struct exp_control_reply reply;
	struct exp_error err;
	char text[2048];
	int n;

	(void)state;
	n = snprintf(text, sizeof(text), OK_HEAD "Location: %01000d\r\nContent-Length: 2\r\n\r\n{}",
		     7);
	assert_true(n > 1000);
	start(text);
	assert_ok(ask("GET", "/", NULL, NULL, &reply, &err), &err);
	finish();
	assert_int_equal(strlen(reply.location), sizeof(reply.location) - 1);
	exp_control_reply_done(&reply);
}

static void test_silent_daemon_times_out(void **state)
{
	(void)state;
	exp_control_set_timeout(client, 50);
	start_bytes("", 0, true);
	fails(-ETIMEDOUT, EXP_CODE_UNREACHABLE, "no answer in 50 ms");
}

static void test_no_daemon(void **state)
{
	struct exp_control_reply reply;
	struct exp_error err;
	char path[256];
	FILE *f;

	(void)state;
	exp_control_close(client);
	snprintf(path, sizeof(path), "%s", tmpdir_file(&dir, "none"));
	assert_ok(exp_control_open(path, &client, &err), &err);
	assert_int_equal(ask("GET", "/", NULL, NULL, &reply, &err), -ENOENT);
	assert_error(&err, EXP_CODE_UNREACHABLE, "is expd running");
	assert_non_null(strstr(err.msg, path));
	assert_int_equal(reply.status, 0);
	f = fopen(path, "w"); /* a file that is no socket */
	assert_non_null(f);
	fclose(f);
	assert_int_equal(ask("GET", "/", NULL, NULL, &reply, &err), -ECONNREFUSED);
	assert_error(&err, EXP_CODE_UNREACHABLE, "is this its socket");
}

static void test_bad_arguments(void **state)
{
	struct exp_control_reply reply;
	struct exp_control *c = NULL;
	char path[4096], key[200];
	struct exp_error err = { 0 };

	(void)state;
	memset(path, 'a', sizeof(path));
	path[108] = '\0';
	assert_int_equal(exp_control_open(path, &c, &err), -EINVAL);
	assert_error(&err, EXP_CODE_USAGE, "108 bytes; 1 to 107");
	path[107] = '\0';
	assert_ok(exp_control_open(path, &c, &err), &err);
	exp_control_close(c);
	c = NULL;
	assert_int_equal(exp_control_open("", &c, &err), -EINVAL);
	assert_null(c);
	exp_control_close(NULL);
	assert_int_equal(ask("GET", "v1", NULL, NULL, &reply, &err), -EINVAL);
	memset(path, '/', sizeof(path));
	path[4095] = '\0';
	assert_int_equal(ask("GET", path, NULL, NULL, &reply, &err), -EINVAL);
	memset(key, 'k', sizeof(key));
	key[129] = '\0';
	assert_int_equal(ask("POST", "/", NULL, key, &reply, &err), -EINVAL);
	assert_error(&err, EXP_CODE_USAGE, "key of 129");
}

static void test_encode(void **state)
{
	char out[16];

	(void)state;
	assert_int_equal(exp_control_encode("a:b/~%", out, sizeof(out)), 12);
	assert_string_equal(out, "a%3Ab%2F~%25");
	assert_int_equal(exp_control_encode("a:b/~%", out, 13), 12);
	for (size_t cap = 0; cap < 13; cap++) {
		memset(out, 'Z', sizeof(out));
		assert_int_equal(exp_control_encode("a:b/~%", out, cap), -ENOSPC);
		for (size_t i = cap; i < sizeof(out); i++)
			assert_int_equal(out[i], 'Z');
	}
	assert_int_equal(exp_control_encode("", out, 1), 0);
	assert_int_equal(exp_control_encode("", out, 0), -ENOSPC);
	assert_int_equal(exp_control_encode("\xc3\xa4\x01", out, sizeof(out)), 9);
	assert_string_equal(out, "%C3%A4%01");
}

/*
 * Events
 */

#define STREAM_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n"

struct heard {
	size_t n, max;
	char lines[8][64];
	size_t longest;
};

static int hear(const char *line, size_t len, void *arg)
{
	struct heard *h = arg;

	assert_int_equal(strlen(line), len);
	if (len > h->longest)
		h->longest = len;
	if (h->n < 8)
		snprintf(h->lines[h->n], sizeof(h->lines[0]), "%.63s", line);
	return ++h->n == h->max ? 42 : 0;
}

static void test_events_come_line_by_line(void **state)
{
	struct exp_error err = { 0 };
	struct heard h = { 0 };

	(void)state;
	start(STREAM_HEAD "{\"seq\":5}\n\n{\"seq\":6}\n");
	assert_ok(exp_control_events(client, 4, false, hear, &h, &err), &err);
	finish();
	assert_int_equal(h.n, 2);
	assert_string_equal(h.lines[0], "{\"seq\":5}");
	assert_string_equal(h.lines[1], "{\"seq\":6}");
	assert_ptr_equal(strstr(server.request, "GET /v1/events?follow=0&since=4 HTTP"),
			 server.request);
}

static void test_events_from_now_on(void **state)
{
	struct exp_error err = { 0 };
	struct heard h = { .max = 2 };

	(void)state;
	start_bytes(STREAM_HEAD "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n",
		    strlen(STREAM_HEAD "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n"), true);
	assert_int_equal(exp_control_events(client, EXP_CONTROL_NOW, true, hear, &h, &err), 42);
	finish();
	assert_int_equal(h.n, 2);
	assert_ptr_equal(strstr(server.request, "GET /v1/events?follow=1 HTTP"), server.request);
}

static void test_events_that_are_gone(void **state)
{
	static const char body[] =
		"{\"code\":\"GONE\",\"detail\":\"7 to 9 are here\",\"errno\":43}";
	struct exp_error err = { 0 };
	struct heard h = { 0 };
	char text[512];

	(void)state;
	snprintf(text, sizeof(text),
		 "HTTP/1.1 410 Gone\r\nContent-Type: application/problem+json\r\n"
		 "Content-Length: %zu\r\n\r\n%s",
		 strlen(body), body);
	start(text);
	assert_int_equal(exp_control_events(client, 1, true, hear, &h, &err), -EIDRM);
	finish();
	assert_error(&err, EXP_CODE_GONE, "7 to 9 are here");
	assert_int_equal(h.n, 0);
}

static void bad_stream(const char *bytes, size_t len, int r, const char *part, size_t heard)
{
	struct exp_error err = { 0 };
	struct heard h = { 0 };

	start_bytes(bytes, len, false);
	assert_int_equal(exp_control_events(client, 1, true, hear, &h, &err), r);
	finish();
	assert_error(&err, EXP_CODE_PROTOCOL, part);
	assert_int_equal(h.n, heard);
}

static void test_bad_streams(void **state)
{
	static const char cut[] = STREAM_HEAD "{\"seq\":5}\n{\"seq\"";
	size_t len = strlen(STREAM_HEAD) + EXP_CONTROL_LINE_MAX + 2;
	char *big = malloc(len + 4096);

	(void)state;
	assert_non_null(big);
	bad_stream(cut, strlen(cut), -EPROTO, "the last event is cut", 1);
	bad_stream(OK_HEAD "\r\n{}\n", strlen(OK_HEAD "\r\n{}\n"), -EPROTO, "no stream of events",
		   0);
	memset(big, 'x', len + 4096);
	memcpy(big, STREAM_HEAD, strlen(STREAM_HEAD));
	big[len - 1] = '\n';
	bad_stream(big, len, -EMSGSIZE, "an event of more than 65536 bytes", 0);
	bad_stream(big, len - 1, -EMSGSIZE, "an event of more than 65536 bytes", 0);
	free(big);
}

static void test_longest_event_is_taken(void **state)
{
	size_t len = strlen(STREAM_HEAD) + EXP_CONTROL_LINE_MAX + 1;
	struct exp_error err = { 0 };
	struct heard h = { 0 };
	char *big = malloc(len);

	(void)state;
	assert_non_null(big);
	memset(big, 'x', len);
	memcpy(big, STREAM_HEAD, strlen(STREAM_HEAD));
	big[len - 1] = '\n';
	start_bytes(big, len, false);
	assert_ok(exp_control_events(client, 1, true, hear, &h, &err), &err);
	finish();
	assert_int_equal(h.longest, EXP_CONTROL_LINE_MAX);
	free(big);
}

static int stop_it(const char *line, size_t len, void *arg)
{
	(void)line;
	(void)len;
	exp_control_stop(arg);
	return 0;
}

static void test_stop_ends_a_stream(void **state)
{
	struct exp_control_reply reply;
	struct exp_error err = { 0 };

	(void)state;
	start_bytes(STREAM_HEAD "{}\n", strlen(STREAM_HEAD "{}\n"), true);
	assert_int_equal(exp_control_events(client, 0, true, stop_it, client, &err), -ECANCELED);
	finish();
	assert_error(&err, EXP_CODE_CANCELLED, "stopped");
	assert_int_equal(ask("GET", "/", NULL, NULL, &reply, &err), -ECANCELED);
}

static void *stop_later(void *arg)
{
	while (!__atomic_load_n(&server.asked, __ATOMIC_ACQUIRE))
		sched_yield();
	exp_control_stop(arg);
	return NULL;
}

static void test_stop_from_another_thread(void **state)
{
	struct exp_control_reply reply;
	struct exp_error err = { 0 };
	pthread_t t;

	(void)state;
	start_bytes("", 0, true);
	assert_int_equal(pthread_create(&t, NULL, stop_later, client), 0);
	assert_int_equal(ask("GET", "/", NULL, NULL, &reply, &err), -ECANCELED);
	assert_int_equal(pthread_join(t, NULL), 0);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_get_gives_the_document_unchanged),
		T(test_post_sends_body_and_key),
		T(test_delete_and_post_without_body),
		T(test_problem_becomes_an_error),
		T(test_refusal_may_carry_a_document),
		T(test_refusal_of_something_else),
		T(test_wrong_type_or_form_is_refused),
		T(test_answer_cut_at_every_byte),
		T(test_no_http_at_all),
		T(test_huge_body_is_refused),
		T(test_huge_headers_are_refused),
		T(test_long_location_is_cut),
		T(test_silent_daemon_times_out),
		T(test_no_daemon),
		T(test_bad_arguments),
		T(test_encode),
		T(test_events_come_line_by_line),
		T(test_events_from_now_on),
		T(test_events_that_are_gone),
		T(test_bad_streams),
		T(test_longest_event_is_taken),
		T(test_stop_ends_a_stream),
		T(test_stop_from_another_thread),
#undef T
	};

	return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
