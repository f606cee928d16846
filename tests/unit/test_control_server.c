/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/control_server: HTTP over real sockets, with handlers of the test's own */
#include "support/tests.h"
#include "support/tmpdir.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <event2/event.h>

#include "daemon/control_server.h"

#define REPLY_MAX (4u * 1024 * 1024)

/* What a handler of these tests does with the next request. */
enum deed { ANSWER, ANSWER_CREATED, ANSWER_TEXT, KEEP, PARSE, STREAM };

struct rig {
	struct tmpdir dir;
	struct event_base *base;
	struct expd_control *c;
	enum deed deed;
	/* of the last request */
	unsigned int calls;
	struct exp_api_call call;
	char query[200];
	char header[100];
	struct expd_request *kept;
	unsigned int gone;
};

/* A client's end; answers are read whole. */
struct client {
	struct rig *rig;
	int fd;
	size_t len;
	char *text; /* REPLY_MAX */
	bool eof;
};

static void on_gone(void *arg)
{
	struct rig *rig = arg;

	rig->gone++;
}

static void handler(struct expd *x, struct expd_request *rq, const struct exp_api_call *call)
{
	struct rig *rig = (struct rig *)x;
	struct exp_json *v = NULL;
	struct exp_error err = { 0 };
	const char *header = expd_request_header(rq, "Idempotency-Key");

	rig->calls++;
	rig->call = *call;
	snprintf(rig->query, sizeof(rig->query), "%s", call->query);
	snprintf(rig->header, sizeof(rig->header), "%s", header ? header : "(none)");
	switch (rig->deed) {
	case ANSWER:
		v = exp_json_object();
		exp_json_put_str(v, "id", call->id);
		expd_reply_json(rq, 200, v);
		break;
	case ANSWER_CREATED:
		expd_reply_created(rq, 202, "/v1/migrations/1", exp_json_object());
		break;
	case ANSWER_TEXT: expd_reply_text(rq, "text/plain", "one\ntwo\n"); break;
	case PARSE:
		if (expd_request_json(rq, &v, &err) < 0) {
			expd_reply_error(rq, &err);
			break;
		}
		if (!v)
			v = exp_json_object();
		expd_reply_json(rq, 200, v);
		break;
	case KEEP: rig->kept = rq; break;
	case STREAM:
		rig->kept = rq;
		expd_stream_start(rq, "application/x-ndjson", on_gone, rig);
		break;
	}
}

static expd_handler handlers[EXP_API_VERB_N];

static int open_control(struct rig *rig, struct exp_error *err)
{
	return expd_control_open((struct expd *)rig, rig->base, rig->dir.path, handlers, &rig->c,
				 err);
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct exp_error err = { 0 };

	assert_non_null(rig);
	for (size_t i = 0; i < EXP_API_VERB_N; i++)
		handlers[i] = handler;
	rig->dir = tmpdir_new();
	rig->base = event_base_new();
	assert_non_null(rig->base);
	assert_ok(open_control(rig, &err), &err);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	expd_control_close(rig->c);
	event_base_loop(rig->base, EVLOOP_NONBLOCK);
	event_base_free(rig->base);
	tmpdir_free(&rig->dir);
	free(rig);
	return 0;
}

static struct client *client(struct rig *rig, const char *socket_name)
{
	struct client *c = calloc(1, sizeof(*c));
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	assert_non_null(c);
	c->rig = rig;
	c->text = calloc(1, REPLY_MAX);
	assert_non_null(c->text);
	assert_true(snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s", rig->dir.path,
			     socket_name) < (int)sizeof(sa.sun_path));
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(c->fd >= 0);
	assert_int_equal(connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return c;
}

static void client_end(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->text);
	free(c);
}

static void turn(struct rig *rig)
{
	event_base_loop(rig->base, EVLOOP_NONBLOCK);
}

/* Sends all of it, while the server reads. A server that has hung up is no failure. */
static void say_bytes(struct client *c, const char *p, size_t n)
{
	while (n) {
		ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN)
			return;
		if (sent > 0) {
			p += sent;
			n -= (size_t)sent;
		}
		turn(c->rig);
	}
}

static void say(struct client *c, const char *text)
{
	say_bytes(c, text, strlen(text));
}

/* One look at what came; the text ends with a NUL. */
static void look(struct client *c)
{
	ssize_t n;

	turn(c->rig);
	n = recv(c->fd, c->text + c->len, REPLY_MAX - 1 - c->len, 0);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		c->eof = true;
	if (n > 0)
		c->len += (size_t)n;
	c->text[c->len] = '\0';
}

/* Until the head and Content-Length bytes behind it are here: the status. */
static int answer(struct client *c)
{
	int status = 0;

	c->len = 0;
	for (int tries = 0; tries < 100000; tries++) {
		const char *body, *length;

		look(c);
		body = strstr(c->text, "\r\n\r\n");
		length = strcasestr(c->text, "Content-Length:");
		if (body && length && length < body &&
		    c->len - (size_t)(body + 4 - c->text) >= strtoul(length + 15, NULL, 10))
			break;
		if (c->eof)
			break;
	}
	if (sscanf(c->text, "HTTP/1.1 %d ", &status) != 1)
		return -1;
	return status;
}

static int ask(struct client *c, const char *request)
{
	say(c, request);
	return answer(c);
}

static const char *body(const struct client *c)
{
	const char *b = strstr(c->text, "\r\n\r\n");

	return b ? b + 4 : "";
}

#define assert_has(text, what) assert_non_null(strstr((text), (what)))

/* The answer is a problem document with @code whose sentence has @part in it. */
static void assert_problem(const struct client *c, const char *code, const char *part)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;
	struct exp_error err = { 0 };
	const char *b = body(c);

	assert_has(c->text, "application/problem+json");
	assert_ok(exp_json_parse(b, strlen(b), strlen(b), &v, &err), &err);
	assert_string_equal(exp_json_str(exp_json_get(v, "code"), ""), code);
	assert_has(exp_json_str(exp_json_get(v, "detail"), ""), part);
}

static void test_a_request_gets_to_its_handler(void **state)
{
	struct rig *rig = *state;
	struct client *c = client(rig, "control.sock");

	assert_int_equal(ask(c, "GET /v1/exports/nqn.2014-08.x%3Ay HTTP/1.1\r\n\r\n"), 200);
	assert_has(c->text, "Content-Type: application/json\r\n");
	assert_has(body(c), "\"nqn.2014-08.x:y\"");
	assert_int_equal(rig->call.verb, EXP_API_EXPORT);
	assert_string_equal(rig->call.id, "nqn.2014-08.x:y");
	assert_string_equal(rig->query, "");
	assert_int_equal(ask(c, "GET /v1/events?since=4&follow=0 HTTP/1.1\r\n\r\n"), 200);
	assert_int_equal(rig->call.verb, EXP_API_EVENTS);
	assert_string_equal(rig->query, "since=4&follow=0");
	assert_int_equal(ask(c, "DELETE /v1/exports/x HTTP/1.1\r\n\r\n"), 200);
	assert_int_equal(rig->call.verb, EXP_API_EXPORT_DELETE);
	rig->deed = ANSWER_CREATED;
	assert_int_equal(ask(c, "POST /v1/migrations HTTP/1.1\r\nIdempotency-Key: k1\r\n"
				"Content-Length: 2\r\n\r\n{}"),
			 202);
	assert_has(c->text, "Location: /v1/migrations/1\r\n");
	assert_string_equal(rig->header, "k1");
	rig->deed = ANSWER_TEXT;
	assert_int_equal(ask(c, "GET /v1/version HTTP/1.1\r\n\r\n"), 200);
	assert_has(c->text, "Content-Type: text/plain\r\n");
	assert_string_equal(body(c), "one\ntwo\n");
	assert_string_equal(rig->header, "(none)");
	assert_int_equal(rig->calls, 5); /* all on one connection */
	assert_false(c->eof);
	client_end(c);
}

static void test_requests_in_one_go(void **state)
{
	struct rig *rig = *state;
	struct client *c = client(rig, "control.sock");

	say(c, "GET /v1/exports/a HTTP/1.1\r\n\r\nGET /v1/exports/b HTTP/1.1\r\n\r\n");
	for (int i = 0; i < 10000 && rig->calls < 2; i++)
		turn(rig);
	for (int i = 0; i < 100; i++)
		look(c);
	assert_int_equal(rig->calls, 2);
	assert_has(c->text, "\"a\"");
	assert_has(c->text, "\"b\"");
	assert_true(strstr(c->text, "\"a\"") < strstr(c->text, "\"b\""));
	client_end(c);
}

static void test_a_request_in_pieces(void **state)
{
	struct rig *rig = *state;
	struct client *c = client(rig, "control.sock");
	static const char text[] =
		"POST /v1/exports HTTP/1.1\r\nContent-Length: 9\r\n\r\n{\"a\": 12}";

	rig->deed = PARSE;
	for (size_t i = 0; i < sizeof(text) - 2; i++) {
		say_bytes(c, text + i, 1);
		turn(rig);
		assert_int_equal(rig->calls, 0);
	}
	say_bytes(c, text + sizeof(text) - 2, 1);
	assert_int_equal(answer(c), 200);
	assert_has(body(c), "12");
	client_end(c);
}

static void test_what_is_not_there(void **state)
{
	struct rig *rig = *state;
	struct client *c = client(rig, "control.sock");

	assert_int_equal(ask(c, "GET /v1/nothing HTTP/1.1\r\n\r\n"), 404);
	assert_problem(c, "NOT_FOUND", "/v1/nothing");
	assert_int_equal(ask(c, "GET / HTTP/1.1\r\n\r\n"), 404);
	assert_int_equal(ask(c, "POST /v1/version HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), 405);
	assert_problem(c, "METHOD", "GET");
	assert_has(c->text, "Allow: GET\r\n");
	assert_int_equal(ask(c, "PUT /v1/exports HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), 405);
	assert_has(c->text, "Allow: GET, POST\r\n");
	assert_int_equal(ask(c, "PATCH /v1/exports/x HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), 405);
	assert_has(c->text, "Allow: GET, DELETE\r\n");
	assert_int_equal(ask(c, "GET /v1/exports/%zz HTTP/1.1\r\n\r\n"), 400);
	assert_problem(c, "INVALID", "%");
	assert_int_equal(ask(c, "GET /v1/version HTTP/1.1\r\n\r\n"), 200); /* still a good line */
	assert_int_equal(rig->calls, 1);
	client_end(c);
}

static void test_bad_json(void **state)
{
	struct rig *rig = *state;
	struct client *c = client(rig, "control.sock");

	rig->deed = PARSE;
	assert_int_equal(ask(c, "POST /v1/exports HTTP/1.1\r\nContent-Length: 4\r\n\r\n{\"a\""),
			 400);
	assert_problem(c, "INVALID", "");
	assert_int_equal(ask(c, "POST /v1/exports HTTP/1.1\r\nContent-Length: 3\r\n\r\n{}x"), 400);
	assert_int_equal(ask(c, "POST /v1/exports HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), 200);
	client_end(c);
}

/* A body of @n bytes that is one JSON string. */
static int post_big(struct client *c, size_t n)
{
	char *text = malloc(n + 200);
	int status;
	size_t head;

	assert_non_null(text);
	head = (size_t)sprintf(text, "POST /v1/exports HTTP/1.1\r\nContent-Length: %zu\r\n\r\n", n);
	memset(text + head, 'x', n);
	text[head] = text[head + n - 1] = '"';
	say_bytes(c, text, head + n);
	status = answer(c);
	free(text);
	return status;
}

/* @n times 4 KiB */
static int post_chunks(struct client *c, int n)
{
	char chunk[4096 + 8];

	memset(chunk, 'y', sizeof(chunk));
	memcpy(chunk, "1000\r\n", 6);
	memcpy(chunk + 6 + 4096, "\r\n", 2);
	say(c, "POST /v1/exports HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < n; i++)
		say_bytes(c, chunk, sizeof(chunk));
	say(c, "0\r\n\r\n");
	return answer(c);
}

static void test_size_of_a_body(void **state)
{
	struct rig *rig = *state;
	struct client *c = client(rig, "control.sock");

	rig->deed = PARSE;
	assert_int_equal(post_big(c, EXP_API_REQUEST_MAX), 200);
	assert_int_equal(rig->calls, 1);
	client_end(c);
	c = client(rig, "control.sock");
	assert_int_equal(post_big(c, EXP_API_REQUEST_MAX + 1), 413);
	assert_problem(c, "TOO_LARGE", "65536");
	client_end(c);
	c = client(rig, "control.sock"); /* said to be huge */
	assert_int_equal(ask(c, "POST /v1/exports HTTP/1.1\r\n"
				"Content-Length: 99999999999\r\n\r\n"),
			 413);
	client_end(c);
	c = client(rig, "control.sock"); /* in chunks, without a length */
	assert_int_equal(post_chunks(c, 17), 413);
	assert_problem(c, "TOO_LARGE", "65536");
	client_end(c);
	c = client(rig, "control.sock"); /* which nobody reads to its end */
	assert_int_equal(post_chunks(c, 1000), 413);
	client_end(c);
	assert_int_equal(rig->calls, 1);
}

static void test_what_is_no_http(void **state)
{
	static const char *const bad[] = {
		"\r\n\r\n\r\n",
		"GET\r\n\r\n",
		"GET /v1/version\r\n\r\n",
		"GET /v1/version HTTP/9.9.9\r\n\r\n",
		"POST /v1/exports HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"GET /v1/version HTTP/1.1\r\nno colon\r\n\r\n",
		"\x16\x03\x01\x02\r\n\r\n"
	};
	struct rig *rig = *state;
	struct client *c;

	for (size_t i = 0; i < EXP_ARRAY_SIZE(bad); i++) {
		c = client(rig, "control.sock");
		say(c, bad[i]);
		for (int k = 0; k < 100; k++)
			look(c);
		if (c->len)
			assert_null(strstr(c->text, " 200 "));
		client_end(c);
	}
	assert_int_equal(rig->calls, 0);
	c = client(rig, "control.sock");
	say(c, "GET /v1/version HTTP/1.1\r\nX: ");
	for (int i = 0; i < 20; i++) {
		char line[1025];

		memset(line, 'h', sizeof(line));
		say_bytes(c, line, sizeof(line));
	}
	say(c, "\r\n\r\n");
	assert_int_not_equal(answer(c), 200);
	client_end(c);
	assert_int_equal(rig->calls, 0);
	c = client(rig, "control.sock");
	assert_int_equal(ask(c, "GET /v1/version HTTP/1.1\r\n\r\n"), 200);
	client_end(c);
}

static void test_read_socket_takes_get_only(void **state)
{
	struct rig *rig = *state;
	struct client *c = client(rig, "read.sock");

	assert_int_equal(ask(c, "GET /v1/exports HTTP/1.1\r\n\r\n"), 200);
	assert_int_equal(ask(c, "POST /v1/exports HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"), 403);
	assert_problem(c, "DENIED", "control.sock takes POST");
	assert_int_equal(ask(c, "DELETE /v1/exports/x HTTP/1.1\r\n\r\n"), 403);
	assert_int_equal(rig->calls, 1);
	client_end(c);
}

static void test_answer_comes_later(void **state)
{
	struct rig *rig = *state;
	struct client *c = client(rig, "control.sock"), *other = client(rig, "control.sock");

	rig->deed = KEEP;
	say(c, "GET /v1/exports/slow HTTP/1.1\r\n\r\n");
	for (int i = 0; i < 100; i++)
		look(c);
	assert_non_null(rig->kept);
	assert_int_equal(c->len, 0);
	rig->deed = ANSWER;
	assert_int_equal(ask(other, "GET /v1/exports/fast HTTP/1.1\r\n\r\n"), 200);
	expd_reply_text(rig->kept, "text/plain", "at last");
	assert_int_equal(answer(c), 200);
	assert_string_equal(body(c), "at last");
	client_end(other);
	client_end(c);
}

static void test_client_hangs_up_before_the_answer(void **state)
{
	struct rig *rig = *state;
	struct client *c = client(rig, "control.sock");
	struct exp_error err = { .code = EXP_CODE_BUSY, .errnum = EBUSY, .msg = "busy" };

	rig->deed = KEEP;
	for (int how = 0; how < 3; how++) {
		say(c, "GET /v1/exports/slow HTTP/1.1\r\n\r\n");
		for (int i = 0; i < 100 && !rig->kept; i++)
			turn(rig);
		assert_non_null(rig->kept);
		client_end(c);
		for (int i = 0; i < 10; i++)
			turn(rig);
		if (how == 0)
			expd_reply_json(rig->kept, 200, exp_json_object());
		else if (how == 1)
			expd_reply_error(rig->kept, &err);
		else
			expd_stream_start(rig->kept, "text/plain", on_gone, rig);
		if (how == 2) {
			for (int i = 0; i < 100 && !rig->gone; i++) {
				expd_stream_line(rig->kept, "is anybody there?");
				turn(rig);
			}
			assert_int_equal(rig->gone, 1);
			assert_true(expd_stream_line(rig->kept, "no"));
			expd_stream_end(rig->kept);
		}
		rig->kept = NULL;
		for (int i = 0; i < 10; i++)
			turn(rig);
		c = client(rig, "control.sock");
	}
	rig->deed = ANSWER;
	assert_int_equal(ask(c, "GET /v1/version HTTP/1.1\r\n\r\n"), 200);
	client_end(c);
}

static void start_stream(struct client *c)
{
	c->rig->deed = STREAM;
	c->rig->kept = NULL;
	say(c, "GET /v1/events HTTP/1.1\r\n\r\n");
	for (int i = 0; i < 1000 && !strstr(c->text, "\r\n\r\n"); i++)
		look(c);
	assert_non_null(c->rig->kept);
	assert_has(c->text, "HTTP/1.1 200 OK\r\n");
	assert_has(c->text, "Content-Type: application/x-ndjson\r\n");
}

static void test_stream_ends_orderly(void **state)
{
	struct rig *rig = *state;
	struct client *c = client(rig, "read.sock");

	start_stream(c);
	assert_true(expd_stream_line(rig->kept, "{\"seq\": 1}"));
	assert_true(expd_stream_line(rig->kept, "{\"seq\": 2}"));
	for (int i = 0; i < 100; i++)
		look(c);
	assert_has(body(c), "{\"seq\": 1}\n");
	assert_has(body(c), "{\"seq\": 2}\n");
	expd_stream_end(rig->kept);
	for (int i = 0; i < 100; i++)
		look(c);
	assert_has(c->text, "\r\n0\r\n\r\n"); /* the last chunk */
	assert_int_equal(rig->gone, 0);
	rig->deed = ANSWER;
	assert_int_equal(ask(c, "GET /v1/version HTTP/1.1\r\n\r\n"), 200);
	client_end(c);
}

static void test_stream_whose_reader_does_not_read(void **state)
{
	struct rig *rig = *state;
	struct client *c = client(rig, "control.sock"), *other;
	char line[1000];
	unsigned int lines = 0;

	start_stream(c);
	memset(line, 'l', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	while (lines < 100000 && expd_stream_line(rig->kept, line)) {
		lines++;
		turn(rig);
	}
	assert_in_range(lines, 1000, 5000); /* 1 MiB, and what the sockets hold */
	expd_stream_end(rig->kept);
	other = client(rig, "control.sock");
	rig->deed = ANSWER;
	assert_int_equal(ask(other, "GET /v1/version HTTP/1.1\r\n\r\n"), 200);
	client_end(other);
	client_end(c);
	for (int i = 0; i < 100; i++)
		turn(rig);
	assert_int_equal(rig->gone, 0); /* the daemon has ended it */
}

static void test_stream_whose_reader_goes(void **state)
{
	struct rig *rig = *state;
	struct client *c;

	for (unsigned int lines = 0; lines < 3; lines++) { /* also before the first one */
		c = client(rig, "control.sock");
		start_stream(c);
		for (unsigned int i = 0; i < lines; i++)
			assert_true(expd_stream_line(rig->kept, "line"));
		turn(rig);
		client_end(c);
		for (int i = 0; i < 10; i++)
			turn(rig);
		assert_int_equal(rig->gone, lines + 1);
		assert_true(expd_stream_line(rig->kept, "nobody"));
		expd_stream_end(rig->kept);
		assert_int_equal(rig->gone, lines + 1);
	}
}

/* At the end of the daemon nobody is left waiting, and the files are gone. */
static void test_close_with_clients(void **state)
{
	struct rig *rig = *state;
	struct client *idle = client(rig, "control.sock"), *waits = client(rig, "control.sock"),
		      *reads = client(rig, "read.sock");
	struct stat st;

	rig->deed = KEEP;
	say(waits, "GET /v1/exports HTTP/1.1\r\n\r\n");
	for (int i = 0; i < 100 && !rig->kept; i++)
		turn(rig);
	start_stream(reads);
	assert_int_equal(stat(tmpdir_file(&rig->dir, "control.sock"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(stat(tmpdir_file(&rig->dir, "read.sock"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	expd_control_close(rig->c);
	rig->c = NULL;
	assert_int_equal(rig->gone, 1);
	for (int i = 0; i < 10; i++) {
		look(idle);
		look(waits);
		look(reads);
	}
	assert_true(idle->eof && waits->eof && reads->eof);
	assert_int_equal(stat(tmpdir_file(&rig->dir, "control.sock"), &st), -1);
	assert_int_equal(stat(tmpdir_file(&rig->dir, "read.sock"), &st), -1);
	client_end(idle);
	client_end(waits);
	client_end(reads);
}

static void test_a_dead_daemons_sockets_are_replaced(void **state)
{
	struct rig *rig = *state;
	char from[200], to[200];
	struct exp_error err = { 0 };
	struct client *c;

	/* what kill -9 leaves behind: files that nobody listens on */
	snprintf(from, sizeof(from), "%s/control.sock", rig->dir.path);
	snprintf(to, sizeof(to), "%s/old.sock", rig->dir.path);
	assert_int_equal(link(from, to), 0);
	expd_control_close(rig->c);
	rig->c = NULL;
	assert_int_equal(rename(to, from), 0);
	assert_ok(open_control(rig, &err), &err);
	c = client(rig, "control.sock");
	assert_int_equal(ask(c, "GET /v1/version HTTP/1.1\r\n\r\n"), 200);
	client_end(c);
}

static void test_where_no_socket_can_be(void **state)
{
	struct rig *rig = *state;
	struct expd_control *c = NULL;
	struct exp_error err = { 0 };
	char dir[200];

	memset(dir, 'd', sizeof(dir));
	dir[0] = '/';
	dir[sizeof(dir) - 1] = '\0';
	assert_true(expd_control_open(NULL, rig->base, dir, handlers, &c, &err) < 0);
	assert_error(&err, EXP_CODE_CONFIG, "runtime_dir is too long");
	assert_true(expd_control_open(NULL, rig->base, "/nonexistent", handlers, &c, &err) < 0);
	assert_error(&err, EXP_CODE_SYSTEM, "/nonexistent/control.sock");
	assert_true(expd_control_open(NULL, rig->base, "/nonexistent", handlers, &c, NULL) < 0);
	assert_null(c);
	expd_control_close(NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_a_request_gets_to_its_handler),
		T(test_requests_in_one_go),
		T(test_a_request_in_pieces),
		T(test_what_is_not_there),
		T(test_bad_json),
		T(test_size_of_a_body),
		T(test_what_is_no_http),
		T(test_read_socket_takes_get_only),
		T(test_answer_comes_later),
		T(test_client_hangs_up_before_the_answer),
		T(test_stream_ends_orderly),
		T(test_stream_whose_reader_does_not_read),
		T(test_stream_whose_reader_goes),
		T(test_close_with_clients),
		T(test_a_dead_daemons_sockets_are_replaced),
		T(test_where_no_socket_can_be),
	};
#undef T

	signal(SIGPIPE, SIG_IGN); /* as main.c does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
