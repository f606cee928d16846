/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vfio-user client against a peer that plays a script: right answers in odd pieces, and wrong
 * ones. The peer's bytes are typed from the protocol, not made by our code.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/le.h"
#include "device/reach_vfio_user.h"
#include "device/vfu_conn.h"

#define HEAD 16

/* ---- a peer ---- */

struct peer {
	int fd; /* the server's end */
	pthread_t thread;
	void (*script)(struct peer *p);
	uint8_t request[4096]; /* the last one read */
	size_t request_bytes;
	int request_fds[16];
	size_t n_request_fds;
	void *arg;
};

static void *run_peer(void *arg)
{
	struct peer *p = arg;

	p->script(p);
	return NULL;
}

static int start_peer(struct peer *p, void (*script)(struct peer *), void *arg)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	memset(p, 0, sizeof(*p));
	p->fd = fds[1];
	p->script = script;
	p->arg = arg;
	assert_int_equal(pthread_create(&p->thread, NULL, run_peer, p), 0);
	return fds[0];
}

static void end_peer(struct peer *p)
{
	pthread_join(p->thread, NULL);
	if (p->fd >= 0)
		close(p->fd);
	for (size_t i = 0; i < p->n_request_fds; i++)
		close(p->request_fds[i]);
}

/* false: the client has closed */
static bool read_request(struct peer *p)
{
	char control[256];
	struct iovec v = { p->request, HEAD };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	size_t done;

	for (size_t i = 0; i < p->n_request_fds; i++)
		close(p->request_fds[i]);
	p->n_request_fds = 0;
	if (recvmsg(p->fd, &m, MSG_CMSG_CLOEXEC) != HEAD)
		return false;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
		p->n_request_fds = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(p->request_fds, CMSG_DATA(h), p->n_request_fds * sizeof(int));
	}
	p->request_bytes = exp_le32(p->request + 4);
	for (done = HEAD; done < p->request_bytes;) {
		ssize_t n = read(p->fd, p->request + done, p->request_bytes - done);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static void send_with_fds(struct peer *p, const void *b, size_t n, const int *fds, size_t n_fds)
{
	char control[CMSG_SPACE(32 * sizeof(int))] = { 0 };
	struct iovec v = { (void *)(uintptr_t)b, n };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (n_fds) {
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);

		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(h), fds, n_fds * sizeof(int));
	}
	(void)!sendmsg(p->fd, &m, MSG_NOSIGNAL);
}

/* header: id and command of the request, given size, flags and errno */
static void put_header(struct peer *p, uint8_t *b, uint32_t size, uint32_t flags, uint32_t error)
{
	memcpy(b, p->request, 4);
	exp_put_le32(b + 4, size);
	exp_put_le32(b + 8, flags);
	exp_put_le32(b + 12, error);
}

static void reply_fds(struct peer *p, const void *body, size_t n, const int *fds, size_t n_fds)
{
	uint8_t b[4096];

	put_header(p, b, (uint32_t)(HEAD + n), 1, 0);
	if (n)
		memcpy(b + HEAD, body, n);
	send_with_fds(p, b, HEAD + n, fds, n_fds);
}

static void reply(struct peer *p, const void *body, size_t n)
{
	reply_fds(p, body, n, NULL, 0);
}

/* ---- one call ---- */

static struct exp_vfu_conn *conn_of(int fd)
{
	struct exp_vfu_conn *c;

	assert_int_equal(exp_vfu_conn_new(fd, &c, NULL), 0);
	return c;
}

static int ask(struct exp_vfu_conn *c, void *out, size_t cap, size_t min, uint32_t timeout_ms,
	       struct exp_error *err)
{
	struct exp_vfu_call call = {
		.command = EXP_VFU_GET_INFO,
		.body = "0123456789abcdef",
		.body_bytes = 16,
		.reply = out,
		.reply_cap = cap,
		.reply_min = min,
		.timeout_ms = timeout_ms,
	};

	return exp_vfu_call(c, &call, err);
}

static void script_bytewise(struct peer *p)
{
	uint8_t b[HEAD + 5];

	read_request(p);
	put_header(p, b, sizeof(b), 1, 0);
	memcpy(b + HEAD, "hello", 5);
	for (size_t i = 0; i < sizeof(b); i++)
		(void)!send(p->fd, b + i, 1, MSG_NOSIGNAL);
}

static void test_call_request_bytes_and_fragmented_reply(void **state)
{
	/* id 0, command 4, size 32, flags 0 (command), errno 0 */
	static const uint8_t want[HEAD] = { 0, 0, 4, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	struct peer p;
	struct exp_vfu_conn *c = conn_of(start_peer(&p, script_bytewise, NULL));
	char out[8] = "";

	(void)state;
	assert_int_equal(ask(c, out, sizeof(out), 5, 0, NULL), 0);
	assert_memory_equal(out, "hello", 5);
	end_peer(&p);
	assert_memory_equal(p.request, want, HEAD);
	assert_memory_equal(p.request + HEAD, "0123456789abcdef", 16);
	exp_vfu_conn_free(c);
}

/* An error reply should have no body; one that has must not put the stream out of step. */
static void script_error_body(struct peer *p)
{
	uint8_t b[HEAD + 8] = { 0 };

	read_request(p);
	put_header(p, b, sizeof(b), 0x21, ENOSPC);
	send_with_fds(p, b, sizeof(b), NULL, 0);
	read_request(p);
	put_header(p, b, HEAD, 0x21, 0);
	send_with_fds(p, b, HEAD, NULL, 0);
	read_request(p);
	put_header(p, b, HEAD, 0x21, 99999);
	send_with_fds(p, b, HEAD, NULL, 0);
	read_request(p);
	reply(p, "ok", 2);
}

static void test_call_error_reply_is_drained(void **state)
{
	struct peer p;
	struct exp_vfu_conn *c = conn_of(start_peer(&p, script_error_body, NULL));
	struct exp_error err = { 0 };
	char out[8];

	(void)state;
	assert_int_equal(ask(c, out, sizeof(out), 0, 0, &err), -EREMOTEIO);
	assert_int_equal(err.errnum, ENOSPC);
	assert_int_equal(ask(c, out, sizeof(out), 0, 0, &err), -EREMOTEIO);
	assert_int_equal(err.errnum, EIO); /* "error 0" */
	assert_int_equal(ask(c, out, sizeof(out), 0, 0, &err), -EREMOTEIO);
	assert_int_equal(err.errnum, EIO); /* no errno */
	assert_int_equal(ask(c, out, sizeof(out), 2, 0, &err), 0);
	assert_false(exp_vfu_lost(c));
	end_peer(&p);
	exp_vfu_conn_free(c);
}

static void script_eof(struct peer *p)
{
	const size_t *cut = p->arg;
	uint8_t b[HEAD + 8] = { 0 };

	read_request(p);
	put_header(p, b, sizeof(b), 1, 0);
	if (*cut)
		send_with_fds(p, b, *cut, NULL, 0);
	close(p->fd);
	p->fd = -1;
}

static void test_call_eof_at_every_offset(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < HEAD + 8; cut++) {
		struct peer p;
		struct exp_vfu_conn *c = conn_of(start_peer(&p, script_eof, &cut));
		struct exp_error err = { 0 };
		char out[8];

		assert_int_equal(ask(c, out, sizeof(out), 8, 0, &err), -ENODEV);
		assert_int_equal(err.code, EXP_CODE_DEVICE_GONE);
		assert_true(exp_vfu_lost(c));
		/* and stays so */
		assert_int_equal(ask(c, out, sizeof(out), 8, 0, &err), -ENODEV);
		end_peer(&p);
		exp_vfu_conn_free(c);
	}
}

struct bad_header {
	uint32_t size, flags;
	uint16_t add_id, add_command;
	const char *why;
};

static void script_bad_header(struct peer *p)
{
	const struct bad_header *bad = p->arg;
	uint8_t b[HEAD];

	read_request(p);
	put_header(p, b, bad->size, bad->flags, 0);
	exp_put_le16(b, (uint16_t)(exp_le16(b) + bad->add_id));
	exp_put_le16(b + 2, (uint16_t)(exp_le16(b + 2) + bad->add_command));
	send_with_fds(p, b, HEAD, NULL, 0);
	read_request(p); /* until the client closes */
}

static void test_call_header_that_cannot_be_trusted(void **state)
{
	static const struct bad_header bad[] = {
		{ 0, 1, 0, 0, "header of 0 bytes" },
		{ 15, 1, 0, 0, "header of 15 bytes" },
		{ 16 + 16 + (1 << 20) + 1, 1, 0, 0, "header of 1048609 bytes" },
		{ UINT32_MAX, 1, 0, 0, "header of 4294967295 bytes" },
		{ HEAD, 2, 0, 0, "type 2" },
		{ HEAD, 15, 0, 0, "type 15" },
		{ HEAD, 1, 1, 0, "a reply to message 1" },
		{ HEAD, 1, 0, 1, "command 5" },
	};

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(bad); i++) {
		struct peer p;
		struct exp_vfu_conn *c = conn_of(
			start_peer(&p, script_bad_header, (void *)(uintptr_t)&bad[i]));
		struct exp_error err = { 0 };
		char out[8];

		assert_int_equal(ask(c, out, sizeof(out), 0, 0, &err), -ENODEV);
		assert_true(exp_vfu_lost(c));
		if (!strstr(err.msg, bad[i].why))
			fail_msg("\"%s\" does not say \"%s\"", err.msg, bad[i].why);
		exp_vfu_conn_free(c);
		end_peer(&p);
	}
}

static void script_silent(struct peer *p)
{
	while (read_request(p))
		;
}

static void test_call_no_answer_in_time(void **state)
{
	struct peer p;
	struct exp_vfu_conn *c = conn_of(start_peer(&p, script_silent, NULL));
	struct exp_error err = { 0 };
	char out[8];

	(void)state;
	assert_int_equal(ask(c, out, sizeof(out), 0, 20, &err), -ENODEV);
	assert_true(exp_vfu_lost(c));
	exp_vfu_conn_free(c);
	end_peer(&p);
}

static void script_short_and_long(struct peer *p)
{
	char body[64] = "body";

	read_request(p);
	reply(p, body, 7);
	read_request(p);
	reply(p, body, sizeof(body));
	read_request(p);
	reply(p, "end", 3);
}

static void test_call_reply_too_short_or_longer_than_asked(void **state)
{
	struct peer p;
	struct exp_vfu_conn *c = conn_of(start_peer(&p, script_short_and_long, NULL));
	struct exp_error err = { 0 };
	char out[8];

	(void)state;
	assert_int_equal(ask(c, out, sizeof(out), 8, 0, &err), -EPROTO);
	assert_int_equal(ask(c, out, sizeof(out), 8, 0, &err), 0);
	assert_int_equal(ask(c, out, sizeof(out), 3, 0, &err), 0);
	assert_memory_equal(out, "end", 3);
	end_peer(&p);
	exp_vfu_conn_free(c);
}

/* A server that asks for memory while the client waits for its answer. */
static void script_interleaved(struct peer *p)
{
	/* DMA_READ, id 77, 32 bytes, command, address 1000h, count 8 */
	uint8_t b[32] = { 77, 0, 11, 0, 32 };
	uint8_t answer[HEAD];

	read_request(p);
	exp_put_le64(b + 16, 0x1000);
	exp_put_le64(b + 24, 8);
	send_with_fds(p, b, sizeof(b), NULL, 0);
	assert_int_equal(recv(p->fd, answer, sizeof(answer), MSG_WAITALL), HEAD);
	/* id and command echoed, 16 bytes, a reply with the error bit, some errno */
	assert_int_equal(exp_le16(answer), 77);
	assert_int_equal(exp_le16(answer + 2), 11);
	assert_int_equal(exp_le32(answer + 4), HEAD);
	assert_int_equal(exp_le32(answer + 8), 0x21);
	assert_int_not_equal(exp_le32(answer + 12), 0);
	/* one that wants no answer */
	b[0] = 78;
	b[8] = 0x10;
	send_with_fds(p, b, sizeof(b), NULL, 0);
	reply(p, "late", 4);
}

static void test_call_server_request_before_the_reply(void **state)
{
	struct peer p;
	struct exp_vfu_conn *c = conn_of(start_peer(&p, script_interleaved, NULL));
	char out[8];

	(void)state;
	assert_int_equal(ask(c, out, sizeof(out), 4, 0, NULL), 0);
	assert_memory_equal(out, "late", 4);
	end_peer(&p);
	exp_vfu_conn_free(c);
}

static void script_two_idle_requests(struct peer *p)
{
	uint8_t b[32] = { 9, 0, 12, 0, 32 }, answer[HEAD];

	for (int i = 0; i < 2; i++) {
		send_with_fds(p, b, sizeof(b), NULL, 0);
		assert_int_equal(recv(p->fd, answer, sizeof(answer), MSG_WAITALL), HEAD);
	}
	close(p->fd);
	p->fd = -1;
}

static void test_service_answers_and_notices_the_end(void **state)
{
	struct peer p;
	struct exp_vfu_conn *c = conn_of(start_peer(&p, script_two_idle_requests, NULL));
	struct pollfd pfd = { .fd = exp_vfu_fd(c), .events = POLLIN };
	struct exp_error err = { 0 };
	int r;

	(void)state;
	do {
		assert_int_equal(poll(&pfd, 1, 5000), 1);
		r = exp_vfu_service(c, &err);
	} while (r == 0);
	assert_int_equal(r, -ENODEV);
	end_peer(&p);
	exp_vfu_conn_free(c);
}

static void script_unasked_reply(struct peer *p)
{
	uint8_t b[HEAD] = { 5, 0, 4, 0, HEAD, 0, 0, 0, 1 };

	send_with_fds(p, b, sizeof(b), NULL, 0);
}

static void test_service_reply_that_nobody_waits_for(void **state)
{
	struct peer p;
	struct exp_vfu_conn *c = conn_of(start_peer(&p, script_unasked_reply, NULL));
	struct exp_error err = { 0 };

	(void)state;
	end_peer(&p);
	assert_int_equal(exp_vfu_service(c, &err), -ENODEV);
	exp_vfu_conn_free(c);
}

/* Descriptors that nobody asked for are closed: the peer sees its pipe end. */
static void script_surplus_fds(struct peer *p)
{
	int *pipes = p->arg;
	int many[20];

	read_request(p);
	reply_fds(p, "fd", 2, &pipes[1], 1);
	close(pipes[1]);
	read_request(p);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(many); i++)
		many[i] = p->fd;
	reply_fds(p, "fd", 2, many, EXP_ARRAY_SIZE(many));
	read_request(p);
}

static void test_call_surplus_descriptors(void **state)
{
	int pipes[2];
	struct peer p;
	struct exp_vfu_conn *c;
	struct exp_error err = { 0 };
	char out[8], b;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	c = conn_of(start_peer(&p, script_surplus_fds, pipes));
	assert_int_equal(ask(c, out, sizeof(out), 2, 0, &err), 0);
	/* more than fit: the message is not trusted */
	assert_int_equal(ask(c, out, sizeof(out), 2, 0, &err), -ENODEV);
	/* no writer is left */
	assert_int_equal(read(pipes[0], &b, 1), 0);
	exp_vfu_conn_free(c);
	end_peer(&p);
	close(pipes[0]);
}

static void test_connect_refusals(void **state)
{
	struct exp_error err = { 0 };
	struct exp_reach *r;
	char dir[200];

	(void)state;
	memset(dir, 'x', sizeof(dir) - 1);
	dir[sizeof(dir) - 1] = 0;
	assert_int_equal(exp_reach_vfio_user_open(dir, &r, &err), -ENAMETOOLONG);
	assert_int_equal(err.code, EXP_CODE_CONFIG);
	assert_int_equal(exp_reach_vfio_user_open("/nonexistent", &r, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/nonexistent/cntrl"));
}

/* ---- a device ---- */

struct device {
	const char *version_json; /* reply to VERSION; NULL: none */
	uint16_t major, minor;
	uint64_t bar0_bytes;
	bool mappable;
	size_t n_areas;
	uint64_t area[2][2];
	uint64_t file_bytes;
	int memfd;
	uint32_t info_flags, n_regions, n_irqs, n_vectors;
	uint8_t cfg[4096];
	uint32_t regs[1024];
	uint32_t trapped[8]; /* doorbell values that came by message */
	int irq_fds[64];
	unsigned int irq_first[8], irq_n[8], n_irq_requests;
	uint64_t map_iova, map_bytes, map_off;
	uint32_t map_flags;
	int map_fd;
	bool unmapped;
};

static struct device good_device(void)
{
	struct device d = {
		.version_json =
			"{\"capabilities\":{\"max_msg_fds\":2,\"max_data_xfer_size\":1048576}}",
		.minor = 1,
		.bar0_bytes = 0x8000,
		.mappable = true,
		.n_areas = 1,
		.area = { { 0x1000, 0x1000 } },
		.file_bytes = 0x8000,
		.info_flags = 3,
		.n_regions = 9,
		.n_irqs = 5,
		.n_vectors = 5,
		.map_fd = -1,
		.memfd = -1,
	};

	d.cfg[0x06] = 0x10; /* there is a capability list */
	d.cfg[0x34] = 0x40;
	d.cfg[0x40] = 0x01; /* power management, then MSI-X */
	d.cfg[0x41] = 0x60;
	d.cfg[0x60] = 0x11;
	d.cfg[0x62] = 4;    /* five vectors */
	d.cfg[0x63] = 0x40; /* masked */
	exp_put_le64(d.regs, UINT64_C(0x0000002014030fff));
	return d;
}

static void region_info(struct peer *p, struct device *d, const uint8_t *req)
{
	uint32_t index = exp_le32(req + 8), argsz = exp_le32(req);
	uint8_t b[32 + 16 + 32] = { 0 };
	uint32_t need = 32;

	exp_put_le32(b + 8, index);
	if (index == 7) {
		exp_put_le32(b + 4, 3);
		exp_put_le64(b + 16, sizeof(d->cfg));
	} else if (index == 0) {
		exp_put_le32(b + 4, d->mappable ? 7 : 3);
		exp_put_le64(b + 16, d->bar0_bytes);
		need = d->mappable ? 32 + 16 + 16 * (uint32_t)d->n_areas : 32;
	}
	exp_put_le32(b, need);
	if (need > 32 && argsz >= need) {
		exp_put_le32(b + 4, 15);
		exp_put_le32(b + 12, 32);
		exp_put_le16(b + 32, 1);
		exp_put_le16(b + 34, 1);
		exp_put_le32(b + 40, (uint32_t)d->n_areas);
		for (size_t i = 0; i < d->n_areas; i++) {
			exp_put_le64(b + 48 + 16 * i, d->area[i][0]);
			exp_put_le64(b + 56 + 16 * i, d->area[i][1]);
		}
		d->memfd = memfd_create("bar0", MFD_CLOEXEC);
		assert_int_equal(ftruncate(d->memfd, (off_t)d->file_bytes), 0);
		reply_fds(p, b, need, &d->memfd, 1);
		return;
	}
	reply(p, b, 32);
}

static void region_access(struct peer *p, struct device *d, const uint8_t *req, bool write)
{
	uint64_t off = exp_le64(req);
	uint32_t region = exp_le32(req + 8), n = exp_le32(req + 12);
	uint8_t b[16 + 8] = { 0 };
	uint8_t *at = region == 7    ? d->cfg + off
		      : off < 0x1000 ? (uint8_t *)d->regs + off
				     : (uint8_t *)d->trapped + (off - 0x1000) % sizeof(d->trapped);

	memcpy(b, req, 16);
	if (write)
		memcpy(at, req + 16, n);
	else
		memcpy(b + 16, at, n);
	reply(p, b, write ? 16 : 16 + n);
}

static void set_irqs(struct peer *p, struct device *d, const uint8_t *req)
{
	uint32_t start = exp_le32(req + 12), n = exp_le32(req + 16);

	assert_int_equal(exp_le32(req), 20);
	assert_int_equal(exp_le32(req + 4), 0x24);
	assert_int_equal(exp_le32(req + 8), 2);
	assert_int_equal(p->n_request_fds, n);
	for (uint32_t i = 0; i < n; i++)
		d->irq_fds[start + i] = dup(p->request_fds[i]);
	d->irq_first[d->n_irq_requests] = start;
	d->irq_n[d->n_irq_requests++] = n;
	reply(p, NULL, 0);
}

static void script_device(struct peer *p)
{
	struct device *d = p->arg;
	uint8_t b[512] = { 0 };

	while (read_request(p)) {
		const uint8_t *body = p->request + HEAD;

		switch (exp_le16(p->request + 2)) {
		case 1:
			exp_put_le16(b, d->major);
			exp_put_le16(b + 2, d->minor);
			if (d->version_json)
				memcpy(b + 4, d->version_json, strlen(d->version_json) + 1);
			reply(p, b, d->version_json ? 5 + strlen(d->version_json) : 4);
			break;
		case 2:
			d->map_flags = exp_le32(body + 4);
			d->map_off = exp_le64(body + 8);
			d->map_iova = exp_le64(body + 16);
			d->map_bytes = exp_le64(body + 24);
			d->map_fd = p->n_request_fds ? dup(p->request_fds[0]) : -1;
			reply(p, NULL, 0);
			break;
		case 3:
			d->unmapped = true;
			reply(p, body, 24);
			break;
		case 4:
			exp_put_le32(b, 16);
			exp_put_le32(b + 4, d->info_flags);
			exp_put_le32(b + 8, d->n_regions);
			exp_put_le32(b + 12, d->n_irqs);
			reply(p, b, 16);
			break;
		case 5: region_info(p, d, body); break;
		case 7:
			exp_put_le32(b, 16);
			exp_put_le32(b + 4, 1);
			exp_put_le32(b + 8, 2);
			exp_put_le32(b + 12, d->n_vectors);
			reply(p, b, 16);
			break;
		case 8: set_irqs(p, d, body); break;
		case 9: region_access(p, d, body, false); break;
		case 10: region_access(p, d, body, true); break;
		default: {
			uint8_t e[HEAD];

			put_header(p, e, HEAD, 0x21, EINVAL);
			send_with_fds(p, e, HEAD, NULL, 0);
		}
		}
	}
}

static int attach(struct peer *p, struct device *d, struct exp_reach **ret, struct exp_error *err)
{
	return exp_reach_vfio_user_attach(start_peer(p, script_device, d), ret, err);
}

static void finish(struct peer *p, struct device *d, struct exp_reach *r)
{
	r->ops->close(r);
	end_peer(p);
	if (d->memfd >= 0)
		close(d->memfd);
	if (d->map_fd >= 0)
		close(d->map_fd);
}

static void test_attach_maps_doorbells_and_enables_msix(void **state)
{
	struct device d = good_device();
	struct exp_reach *r;
	struct peer p;
	uint64_t cap = 0;
	uint32_t value;

	(void)state;
	assert_int_equal(attach(&p, &d, &r, NULL), 0);
	assert_int_equal(r->n_vectors, 5);
	assert_int_equal(exp_le16(d.cfg + 4), 0x0406);    /* memory, bus master, no INTx */
	assert_int_equal(exp_le16(d.cfg + 0x62), 0x8004); /* enabled, not masked */
	assert_int_equal(r->ops->reg_read(r, 0, 8, &cap, NULL), 0);
	assert_true(cap == UINT64_C(0x0000002014030fff));
	assert_int_equal(r->ops->reg_write(r, 0x14, 4, 0x460001, NULL), 0);
	assert_int_equal(d.regs[5], 0x460001);
	assert_int_equal(r->ops->cfg_read(r, 0x40, 2, &value, NULL), 0);
	assert_int_equal(value, 0x6001);

	/* a store into the server's file, no message */
	assert_int_equal(r->ops->doorbell(r, 0x1008, 17, NULL), 0);
	assert_int_equal(pread(d.memfd, &value, 4, 0x1008), 4);
	assert_int_equal(value, 17);
	assert_int_equal(d.trapped[2], 0);

	assert_int_equal(r->ops->reg_read(r, 2, 4, &cap, NULL), -EINVAL);
	assert_int_equal(r->ops->reg_read(r, 0x8000, 4, &cap, NULL), -EINVAL);
	assert_int_equal(r->ops->doorbell(r, 0x8000, 1, NULL), -EINVAL);
	finish(&p, &d, r);
}

static void test_attach_without_mapping_sends_doorbells(void **state)
{
	struct device d = good_device();
	struct exp_reach *r;
	struct peer p;

	(void)state;
	d.mappable = false;
	d.version_json = NULL;
	assert_int_equal(attach(&p, &d, &r, NULL), 0);
	assert_int_equal(r->ops->doorbell(r, 0x1004, 9, NULL), 0);
	assert_int_equal(d.trapped[1], 9);
	finish(&p, &d, r);
}

/* An area that does not hold the doorbells, or not wholly inside BAR0, is not used. */
static void test_attach_odd_areas_fall_back_to_messages(void **state)
{
	static const uint64_t odd[][2] = {
		{ 0x2000, 0x1000 }, { 0x1000, 0x8000 }, { 0x1800, 0x1000 },
		{ 0x1000, 0x800 },  { 0, 0x1000 },      { UINT64_MAX - 0xfff, 0x2000 },
	};

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(odd); i++) {
		struct device d = good_device();
		struct exp_reach *r;
		struct peer p;

		memcpy(d.area[0], odd[i], sizeof(odd[i]));
		assert_int_equal(attach(&p, &d, &r, NULL), 0);
		assert_int_equal(r->ops->doorbell(r, 0x1004, 9, NULL), 0);
		assert_int_equal(d.trapped[1], 9);
		finish(&p, &d, r);
	}
}

static void test_attach_second_area_holds_the_doorbells(void **state)
{
	struct device d = good_device();
	struct exp_reach *r;
	struct peer p;
	uint32_t value;

	(void)state;
	d.n_areas = 2;
	d.area[0][0] = 0x4000;
	d.area[0][1] = 0x1000;
	d.area[1][0] = 0x1000;
	d.area[1][1] = 0x2000;
	assert_int_equal(attach(&p, &d, &r, NULL), 0);
	assert_int_equal(r->ops->doorbell(r, 0x1ffc, 3, NULL), 0);
	assert_int_equal(pread(d.memfd, &value, 4, 0x1ffc), 4);
	assert_int_equal(value, 3);
	finish(&p, &d, r);
}

static void test_attach_refusals(void **state)
{
	struct exp_error err = { 0 };
	struct exp_reach *r;
	struct peer p;

	(void)state;
#define REFUSED(change, errnum)                                     \
	do {                                                        \
		struct device d = good_device();                    \
		change;                                             \
		memset(&err, 0, sizeof(err));                       \
		assert_int_equal(attach(&p, &d, &r, &err), errnum); \
		assert_int_not_equal(err.code, EXP_CODE_OK);        \
		end_peer(&p);                                       \
		if (d.memfd >= 0)                                   \
			close(d.memfd);                             \
	} while (0)
	REFUSED(d.major = 1, -EPROTO);
	REFUSED(d.minor = 2, -EPROTO);
	REFUSED(d.version_json = "{\"capabilities\":", -EPROTO);
	REFUSED(d.version_json = "{\"capabilities\":{\"max_msg_fds\":0}}", -EPROTO);
	REFUSED(d.info_flags = 1, -EPROTO);
	REFUSED(d.n_regions = 7, -EPROTO);
	REFUSED(d.n_irqs = 2, -EPROTO);
	REFUSED(d.bar0_bytes = 0x1000, -EPROTO);
	REFUSED(d.bar0_bytes = UINT64_MAX, -EPROTO);
	REFUSED(d.file_bytes = 0x1800, -EPROTO); /* storing there would be SIGBUS */
#undef REFUSED
}

static void test_irqs_go_in_portions_of_what_the_server_takes(void **state)
{
	struct device d = good_device();
	struct exp_reach *r;
	struct peer p;
	int fds[5];

	(void)state;
	for (size_t i = 0; i < 5; i++)
		fds[i] = dup(STDERR_FILENO);
	assert_int_equal(attach(&p, &d, &r, NULL), 0);
	assert_int_equal(r->ops->irq_attach(r, 0, fds, 5, NULL), 0);
	assert_int_equal(d.n_irq_requests, 3);
	assert_int_equal(d.irq_first[1], 2);
	assert_int_equal(d.irq_n[1], 2);
	assert_int_equal(d.irq_first[2], 4);
	assert_int_equal(d.irq_n[2], 1);
	assert_int_equal(r->ops->irq_attach(r, 1, fds, 5, NULL), -EINVAL);
	for (size_t i = 0; i < 5; i++) {
		close(fds[i]);
		close(d.irq_fds[i]);
	}
	finish(&p, &d, r);
}

static void test_memory_is_mapped_by_descriptor(void **state)
{
	struct device d = good_device();
	struct exp_reach *r;
	struct peer p;
	int fd = memfd_create("m", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(attach(&p, &d, &r, NULL), 0);
	assert_int_equal(r->ops->dma_map(r, fd, 4096, 0x100000000, 4096, NULL), 0);
	assert_int_equal(d.map_flags, 3);
	assert_true(d.map_iova == 0x100000000 && d.map_bytes == 4096 && d.map_off == 4096);
	assert_true(d.map_fd >= 0);
	assert_int_equal(r->ops->dma_unmap(r, 0x100000000, 4096, NULL), 0);
	assert_true(d.unmapped);
	close(fd);
	finish(&p, &d, r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call_request_bytes_and_fragmented_reply),
		cmocka_unit_test(test_call_error_reply_is_drained),
		cmocka_unit_test(test_call_eof_at_every_offset),
		cmocka_unit_test(test_call_header_that_cannot_be_trusted),
		cmocka_unit_test(test_call_no_answer_in_time),
		cmocka_unit_test(test_call_reply_too_short_or_longer_than_asked),
		cmocka_unit_test(test_call_server_request_before_the_reply),
		cmocka_unit_test(test_service_answers_and_notices_the_end),
		cmocka_unit_test(test_service_reply_that_nobody_waits_for),
		cmocka_unit_test(test_call_surplus_descriptors),
		cmocka_unit_test(test_connect_refusals),
		cmocka_unit_test(test_attach_maps_doorbells_and_enables_msix),
		cmocka_unit_test(test_attach_without_mapping_sends_doorbells),
		cmocka_unit_test(test_attach_odd_areas_fall_back_to_messages),
		cmocka_unit_test(test_attach_second_area_holds_the_doorbells),
		cmocka_unit_test(test_attach_refusals),
		cmocka_unit_test(test_irqs_go_in_portions_of_what_the_server_takes),
		cmocka_unit_test(test_memory_is_mapped_by_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
