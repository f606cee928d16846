/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_emu_client.c - the guest's vfio-user client against our server, and against bad ones
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* before cmocka */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/le.h"
#include "emu/client.h"
#include "emu/client_int.h"
#include "emu/vfu.h"

struct server {
	char dir[64];
	struct vfu *v;
	pthread_t thread;
	_Atomic bool stop;
	_Atomic uint64_t reg, rung, resets, seen;
};

static uint64_t reg_read(void *arg, uint32_t off, unsigned int len)
{
	(void)len;
	return off == 0x28 ? ((struct server *)arg)->reg : 0x1122334455667788;
}

/* Writing 50h makes the device copy 4 bytes from 10000h to 11000h and raise vector 2. */
static void reg_write(void *arg, uint32_t off, uint64_t val, unsigned int len)
{
	struct server *s = arg;
	uint8_t b[4];

	(void)len;
	if (off == 0x28)
		s->reg = val;
	if (off != 0x50)
		return;
	if (vfu_dma_read(s->v, 0x10000, b, 4) && vfu_dma_write(s->v, 0x11000, b, 4))
		vfu_irq(s->v, 2);
}

static void doorbell(void *arg, uint32_t off, uint32_t val)
{
	((struct server *)arg)->rung = (uint64_t)off << 32 | val;
}

static void reset(void *arg)
{
	((struct server *)arg)->resets++;
}

static const struct vfu_ops ops = {
	.reg_read = reg_read, .reg_write = reg_write, .doorbell = doorbell, .reset = reset
};

static void *serve(void *arg)
{
	struct server *s = arg;

	while (!s->stop) {
		uint32_t *page;

		vfu_poll(s->v, 1000);
		page = vfu_doorbells(s->v);
		if (page)
			s->seen = __atomic_load_n(&page[5], __ATOMIC_ACQUIRE);
	}
	return NULL;
}

static int start(void **state, bool mapped)
{
	static const struct vfu_pci pci = { .vendor = 1, .device = 2, .vectors = 40 };
	struct server *s = calloc(1, sizeof(*s));

	snprintf(s->dir, sizeof(s->dir), "/tmp/vfuXXXXXX");
	if (!mkdtemp(s->dir) || vfu_new(s->dir, &pci, mapped, &ops, s, &s->v, NULL) < 0)
		return -1;
	*state = s;
	return pthread_create(&s->thread, NULL, serve, s);
}

static int start_mapped(void **state)
{
	return start(state, true);
}

static int start_trapped(void **state)
{
	return start(state, false);
}

static int stop(void **state)
{
	struct server *s = *state;

	s->stop = true;
	vfu_wake(s->v);
	pthread_join(s->thread, NULL);
	vfu_free(s->v);
	rmdir(s->dir);
	free(s);
	return 0;
}

static void all_calls(struct server *s, bool mapped)
{
	struct exp_error err = { 0 };
	struct emu_client *c;
	int mem = memfd_create("guest", MFD_CLOEXEC), ev[40];
	uint64_t val, n;
	uint8_t b[4];

	assert_int_equal(ftruncate(mem, 0x4000), 0);
	for (int i = 0; i < 40; i++)
		ev[i] = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(emu_client_open(s->dir, &c, &err), 0);
	assert_int_equal(emu_client_mapped(c), mapped);
	assert_int_equal(emu_client_vectors(c), 40);
	assert_false(emu_client_gone(c));
	assert_int_equal(emu_client_reg_read(c, 0, 8, &val, &err), 0);
	assert_true(val == 0x1122334455667788);
	assert_int_equal(emu_client_reg_read(c, 8, 4, &val, &err), 0);
	assert_true(val == 0x55667788);
	assert_int_equal(emu_client_reg_write(c, 0x28, 8, 0xfeedfacecafe, &err), 0);
	assert_int_equal(emu_client_reg_read(c, 0x28, 8, &val, &err), 0);
	assert_true(val == 0xfeedfacecafe);
	assert_int_equal(emu_client_map(c, mem, 0, 0x10000, 0x4000, &err), 0);
	assert_int_equal(emu_client_map(c, mem, 0, 0x12000, 0x1000, &err), -EEXIST);
	assert_string_equal(err.msg, "map 12000h: vfio-user command 2 refused: File exists");
	assert_int_equal(emu_client_irqs(c, 0, ev, 40, &err), 0);
	assert_int_equal(emu_client_bus_master(c, true, &err), 0);
	assert_int_equal(emu_client_msix(c, true, &err), 0);
	assert_int_equal(pwrite(mem, "ping", 4, 0), 4);
	assert_int_equal(emu_client_reg_write(c, 0x50, 4, 0, &err), 0);
	assert_int_equal(read(ev[2], &n, 8), 8);
	assert_int_equal(pread(mem, b, 4, 0x1000), 4);
	assert_memory_equal(b, "ping", 4);
	/* CQ head of queue 2 is dword 5 of the page */
	assert_int_equal(emu_client_ring(c, 2, true, 17), 0);
	if (mapped) {
		while (s->seen != 17)
			usleep(100);
	} else {
		assert_true(s->rung == ((uint64_t)20 << 32 | 17));
	}
	assert_int_equal(emu_client_ring(c, 512, false, 1), -EINVAL);
	assert_int_equal(emu_client_reset(c, &err), 0);
	assert_int_equal(s->resets, 1);
	assert_int_equal(emu_client_irqs(c, 0, NULL, 40, &err), 0);
	assert_int_equal(emu_client_unmap(c, 0x10000, 0x4000, &err), 0);
	assert_int_equal(emu_client_unmap(c, 0x10000, 0x4000, &err), -ENOENT);
	emu_client_close(c);
	for (int i = 0; i < 40; i++)
		close(ev[i]);
	close(mem);
}

static void test_all_calls_mapped(void **state)
{
	all_calls(*state, true);
}

static void test_all_calls_trapped(void **state)
{
	all_calls(*state, false);
}

static void test_server_goes_away(void **state)
{
	struct server *s = *state;
	struct exp_error err = { 0 };
	struct emu_client *c, *second;
	uint64_t val;

	assert_int_equal(emu_client_open(s->dir, &c, &err), 0);
	assert_int_equal(emu_client_open(s->dir, &second, &err), -ENODEV);
	s->stop = true;
	pthread_join(s->thread, NULL);
	vfu_free(s->v);
	s->v = NULL;
	assert_true(emu_client_gone(c));
	assert_int_equal(emu_client_reg_read(c, 0, 8, &val, &err), -ENODEV);
	assert_int_equal(err.code, EXP_CODE_DEVICE_GONE);
	emu_client_close(c);
	assert_int_equal(emu_client_open(s->dir, &c, &err), -ENOENT);
	/* for stop() */
	s->stop = false;
	assert_int_equal(
		vfu_new(s->dir, &(struct vfu_pci){ .vectors = 1 }, true, &ops, s, &s->v, &err), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

/* --- a server that says what it is told to --- */

struct liar {
	int listen_fd;
	const uint8_t *say;
	size_t len;
	uint8_t heard[64];
	size_t n_heard;
	size_t after; /* bytes to read after speaking */
};

static void *lie(void *arg)
{
	struct liar *l = arg;
	int fd = accept(l->listen_fd, NULL, NULL);
	uint8_t head[4096];

	/* the request, whole */
	if (recv(fd, head, 16, MSG_WAITALL) == 16 &&
	    recv(fd, head + 16, exp_le32(head + 4) - 16, MSG_WAITALL) > 0 &&
	    send(fd, l->say, l->len, MSG_NOSIGNAL) > 0 && l->after) {
		ssize_t n = recv(fd, l->heard, l->after, MSG_WAITALL);

		l->n_heard = n > 0 ? (size_t)n : 0;
	}
	shutdown(fd, SHUT_WR);
	/* let the client close first: what it has sent must not turn into a reset */
	while (recv(fd, head, sizeof(head), 0) > 0)
		;
	close(fd);
	return NULL;
}

static int open_liar(struct liar *l, const uint8_t *say, size_t len, struct exp_error *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct emu_client *c = NULL;
	char dir[] = "/tmp/vfuXXXXXX";
	pthread_t t;
	int r;

	assert_non_null(mkdtemp(dir));
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/cntrl", dir);
	l->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(l->listen_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(l->listen_fd, 1), 0);
	l->say = say;
	l->len = len;
	assert_int_equal(pthread_create(&t, NULL, lie, l), 0);
	r = emu_client_open(dir, &c, err);
	emu_client_close(c);
	pthread_join(t, NULL);
	close(l->listen_fd);
	unlink(sa.sun_path);
	rmdir(dir);
	return r;
}

static void test_bad_answers(void **state)
{
	static const struct {
		const char *why;
		uint8_t b[64];
		size_t len;
		int want;
	} cases[] = {
		{ "error with a body, which is drained",
		  { 0, 0, 1, 0, 20, 0, 0, 0, 0x21, 0, 0, 0, 28 },
		  20,
		  -ENOSPC },
		{ "error 0", { 0, 0, 1, 0, 16, 0, 0, 0, 0x21 }, 16, -EIO },
		{ "error beyond errno",
		  { 0, 0, 1, 0, 16, 0, 0, 0, 0x21, 0, 0, 0, 0, 0, 1, 0 },
		  16,
		  -EIO },
		{ "cut in the header", { 0, 0, 1, 0, 20 }, 5, -ENODEV },
		{ "cut in the body", { 0, 0, 1, 0, 20, 0, 0, 0, 1 }, 18, -ENODEV },
		{ "no body", { 0, 0, 1, 0, 16, 0, 0, 0, 1 }, 16, -EPROTO },
		{ "size below a header", { 0, 0, 1, 0, 15, 0, 0, 0, 1 }, 16, -ENODEV },
		{ "size beyond reason", { 0, 0, 1, 0, 0, 0, 1, 0, 1 }, 16, -ENODEV },
		{ "another id", { 9, 0, 1, 0, 20, 0, 0, 0, 1 }, 20, -ENODEV },
		{ "another command", { 0, 0, 2, 0, 20, 0, 0, 0, 1 }, 20, -ENODEV },
		{ "major 1", { 0, 0, 1, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1 }, 20, -EPROTO },
		{ "minor 2",
		  { 0, 0, 1, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2 },
		  20,
		  -EPROTO },
		{ "no JSON",
		  { 0, 0, 1, 0, 24, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, '{', '!', '}' },
		  24,
		  -EINVAL },
	};
	struct liar l = { 0 };
	struct exp_error err;

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(cases); i++) {
		int r = open_liar(&l, cases[i].b, cases[i].len, &err);

		if (r != cases[i].want)
			print_error("%s: %d %s\n", cases[i].why, r, err.msg);
		assert_int_equal(r, cases[i].want);
	}
}

static void test_server_request_in_between_is_refused(void **state)
{
	/* DMA_READ 7 (16 bytes of body), then the answer to VERSION */
	static const uint8_t say[] = {
		7, 0, 11, 0, 32, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0,  0, 0,  0, 0, 0, 1, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,
	};
	static const uint8_t no[] = { 7, 0, 11, 0, 16, 0, 0, 0, 0x21, 0, 0, 0, 1, 0, 0, 0 };
	struct liar l = { .after = 16 };
	struct exp_error err;

	(void)state;
	assert_int_equal(open_liar(&l, say, sizeof(say), &err), -ENODEV);
	assert_int_equal(l.n_heard, 16);
	assert_memory_equal(l.heard, no, 16);
}

/* Two questions on one stream: what the first answer left behind is in the way of the second. */
static void two_answers(const uint8_t *say, size_t len, int want_first, int want_second,
			const char *want_msg)
{
	int pair[2];
	struct cl_sock s = { .fd = -1 };
	const struct cl_request q = { .cmd = CL_RESET };
	struct cl_answer a;
	struct exp_error err = { 0 };

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	s.fd = pair[0];
	assert_int_equal(send(pair[1], say, len, 0), len);
	assert_int_equal(cl_sock_ask(&s, &q, &a, &err), want_first);
	if (want_msg)
		assert_non_null(strstr(err.msg, want_msg));
	else
		assert_int_equal(cl_sock_ask(&s, &q, &a, &err), want_second);
	cl_sock_close(&s);
	close(pair[1]);
}

static void test_what_follows_an_answer(void **state)
{
	/* an error with four bytes behind it, then a good answer to question 1 */
	static const uint8_t body_behind_error[] = {
		0, 0, 13, 0, 20, 0, 0,  0, 0x21, 0, 0, 0, 22, 0, 0, 0, 9, 9,
		9, 9, 1,  0, 13, 0, 16, 0, 0,    0, 1, 0, 0,  0, 0, 0, 0, 0,
	};
	static const uint8_t other_id[] = { 7, 0, 13, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t other_cmd[] = { 0, 0, 12, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0 };

	(void)state;
	two_answers(body_behind_error, sizeof(body_behind_error), -EINVAL, 0, NULL);
	two_answers(other_id, sizeof(other_id), -ENODEV, 0, "another question");
	two_answers(other_cmd, sizeof(other_cmd), -ENODEV, 0, "another question");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_calls_mapped, start_mapped, stop),
		cmocka_unit_test_setup_teardown(test_all_calls_trapped, start_trapped, stop),
		cmocka_unit_test_setup_teardown(test_server_goes_away, start_mapped, stop),
		cmocka_unit_test(test_bad_answers),
		cmocka_unit_test(test_server_request_in_between_is_refused),
		cmocka_unit_test(test_what_follows_an_answer),
	};

	return cmocka_run_group_tests_name("emu_client", tests, NULL, NULL);
}
