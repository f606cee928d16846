/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_emu_vfu.c - vfio-user messages, in bytes typed from the protocol's tables
 */
#include "support/vfu_bytes.h"

/* --- VERSION --- */

static void test_version_reply_is_85_bytes(void **state)
{
	static const char json[] =
		"{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576}}";
	struct fixture *f = *state;
	static struct answer a;

	f->fd = dial(f);
	turn(f);
	assert_int_equal(ask(f, VERSION, version_plain, 4, &a), 0);
	assert_int_equal(a.len, 85);
	assert_memory_equal(a.b + 16, "\0\0\1\0", 4);
	assert_memory_equal(a.b + 20, json, sizeof(json));
	assert_int_equal(f->connects, 1);
}

static void version_case(struct fixture *f, const void *body, size_t len, int want)
{
	static struct answer a;

	f->fd = dial(f);
	turn(f);
	assert_int_equal(ask(f, VERSION, body, len, &a), want);
	if (want) {
		get(f, &a);
		assert_true(a.eof); /* refused: answered, then closed */
	}
	hang_up(f);
}

static void test_version_json(void **state)
{
	/* what QEMU sends, with its odd numbers */
	static const char qemu[] =
		"\0\0\0\0{\"capabilities\": {\"max_msg_fds\": 16, \"max_data_xfer_size\": 1048576, "
		"\"max_dma_maps\": 65535, \"pgsizes\": 4096, \"migration\": {\"pgsize\": 4096}, "
		"\"write_multiple\": true, \"unheard\": [1, {}]}}";
	static const char no_nul[] = "\0\0\1\0{}";
	static const char broken[] = "\0\0\1\0{\"capabilities\":";
	static const char array[] = "\0\0\1\0[]";
	static const char number[] = "\0\0\1\0{\"capabilities\":7}";
	static char deep[4 + 4000], big[4 + 5000];

	version_case(*state, qemu, sizeof(qemu), 0);
	version_case(*state, no_nul, sizeof(no_nul), 0);
	version_case(*state, no_nul, sizeof(no_nul) - 1, EINVAL);
	version_case(*state, "\0\0\1\0{}x", 7, EINVAL); /* well-formed but for the last byte */
	version_case(*state, broken, sizeof(broken), EINVAL);
	version_case(*state, array, sizeof(array), EINVAL);
	version_case(*state, number, sizeof(number), EINVAL);
	version_case(*state, "\1\0\0\0", 4, EINVAL); /* major 1 */
	version_case(*state, "\0\0\0", 3, EINVAL);
	memset(deep + 4, '[', sizeof(deep) - 5);
	version_case(*state, deep, sizeof(deep), EINVAL);
	memset(big + 4, ' ', sizeof(big) - 5);
	memcpy(big + 4, "{}", 2);
	version_case(*state, big, sizeof(big), EINVAL);
	version_case(*state, "\0\0\7\0", 4, 0);
	version_case(*state, "\0\0\0\0", 4, 0);
}

static void test_version_minor_is_lowered(void **state)
{
	struct fixture *f = *state;
	static struct answer a;

	f->fd = dial(f);
	turn(f);
	assert_int_equal(ask(f, VERSION, "\0\0\2\0", 4, &a), 0);
	assert_int_equal(exp_le16(a.b + 18), 1);
	hang_up(f);
	f->fd = dial(f);
	turn(f);
	assert_int_equal(ask(f, VERSION, "\0\0\0\0", 4, &a), 0);
	assert_int_equal(exp_le16(a.b + 18), 0);
}

static void test_version_must_come_first_and_once(void **state)
{
	struct fixture *f = *state;
	static struct answer a;

	f->fd = dial(f);
	turn(f);
	assert_int_equal(ask(f, GET_INFO, "\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, &a), EINVAL);
	get(f, &a);
	assert_true(a.eof);
	assert_int_equal(f->connects, 0);
	assert_int_equal(f->disconnects, 0);
	hang_up(f);
	hello(f);
	assert_int_equal(ask(f, VERSION, version_plain, 4, &a), EINVAL);
	get(f, &a);
	assert_true(a.eof);
	assert_int_equal(f->disconnects, 1);
}

/* --- device, regions --- */

static void test_device_info(void **state)
{
	struct fixture *f = *state;
	static struct answer a;
	uint8_t b[20] = { 20 };

	hello(f);
	assert_int_equal(ask(f, GET_INFO, b, 20, &a), 0);
	assert_int_equal(a.len, 36);
	assert_memory_equal(a.b + 16, "\x14\0\0\0\3\0\0\0\x09\0\0\0\5\0\0\0\0\0\0\0", 20);
	b[0] = 16;
	assert_int_equal(ask(f, GET_INFO, b, 16, &a), 0);
	assert_int_equal(a.len, 32);
	assert_memory_equal(a.b + 16, "\x10\0\0\0\3\0\0\0\x09\0\0\0\5\0\0\0", 16);
	b[0] = 15;
	assert_int_equal(ask(f, GET_INFO, b, 16, &a), EINVAL);
}

static int region_info(struct fixture *f, uint32_t index, uint32_t argsz, size_t len,
		       struct answer *a)
{
	static uint8_t b[4064];

	memset(b, 0, sizeof(b));
	exp_put_le32(b, argsz);
	exp_put_le32(b + 8, index);
	return ask(f, REGION_INFO, b, len, a);
}

static void test_region_info_in_two_steps(void **state)
{
	static const uint8_t bar0[64] = {
		64, 0, 0, 0, 0x0f, 0, 0, 0, 0, 0,    0, 0, 32, 0, 0, 0, 0, 0x80, 0, 0,
		0,  0, 0, 0, 0,    0, 0, 0, 0, 0,    0, 0, 1,  0, 1, 0, 0, 0,    0, 0,
		1,  0, 0, 0, 0,    0, 0, 0, 0, 0x10, 0, 0, 0,  0, 0, 0, 0, 0x10,
	};
	struct fixture *f = *state;
	static struct answer a;
	uint32_t *page;
	struct stat st;

	hello(f);
	assert_int_equal(region_info(f, 0, 32, 32, &a), 0);
	assert_int_equal(a.len, 48);
	assert_int_equal(exp_le32(a.b + 16), 64);
	assert_int_equal(exp_le32(a.b + 20), 7); /* no capability yet */
	assert_int_equal(exp_le32(a.b + 28), 0);
	assert_int_equal(a.fd, -1);
	for (int padded = 0; padded < 2; padded++) { /* SPDK pads to 4064 bytes */
		size_t len = padded ? 4064 : 64;

		assert_int_equal(region_info(f, 0, (uint32_t)len, len, &a), 0);
		assert_int_equal(a.len, 80);
		assert_memory_equal(a.b + 16, bar0, sizeof(bar0));
		assert_true(a.fd >= 0);
		assert_int_equal(fstat(a.fd, &st), 0);
		assert_int_equal(ftruncate(a.fd, 0), -1); /* sealed against its client */
		page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, a.fd, 0x1000);
		assert_ptr_not_equal(page, MAP_FAILED);
		page[3] = htole32(77);
		assert_int_equal(le32toh(vfu_doorbells(f->v)[3]), 77);
		munmap(page, 4096);
		close(a.fd);
	}
}

static void test_region_info_others(void **state)
{
	struct fixture *f = *state;
	static struct answer a;

	hello(f);
	for (uint32_t i = 1; i < 9; i++) {
		assert_int_equal(region_info(f, i, 64, 64, &a), 0);
		assert_int_equal(a.len, 48);
		assert_int_equal(exp_le32(a.b + 16), 32);
		assert_int_equal(exp_le32(a.b + 20), i == 7 ? 3 : 0);
		assert_int_equal(exp_le32(a.b + 24), i);
		assert_int_equal(exp_le64(a.b + 32), i == 7 ? 4096 : 0);
		assert_int_equal(a.fd, -1);
	}
	assert_int_equal(region_info(f, 9, 64, 64, &a), EINVAL);
	assert_int_equal(region_info(f, 0, 31, 32, &a), EINVAL);
	assert_int_equal(region_info(f, 0, 64, 31, &a), EINVAL);
}

static void test_region_info_trapped_has_no_mapping(void **state)
{
	struct fixture *f = *state;
	static struct answer a;

	hello(f);
	assert_int_equal(region_info(f, 0, 64, 64, &a), 0);
	assert_int_equal(a.len, 48);
	assert_int_equal(exp_le32(a.b + 16), 32);
	assert_int_equal(exp_le32(a.b + 20), 3);
	assert_int_equal(a.fd, -1);
}

static void test_io_fds_are_none(void **state)
{
	struct fixture *f = *state;
	static struct answer a;
	uint8_t b[16] = { 16 };

	hello(f);
	assert_int_equal(ask(f, IO_FDS, b, 16, &a), 0);
	assert_int_equal(a.len, 32);
	assert_memory_equal(a.b + 16, b, 16);
	b[8] = 9;
	assert_int_equal(ask(f, IO_FDS, b, 16, &a), EINVAL);
}

static void test_irq_info(void **state)
{
	static const uint8_t count[5] = { 0, 0, 33, 1, 1 };
	struct fixture *f = *state;
	static struct answer a;
	uint8_t b[16] = { 16 };

	hello(f);
	for (uint8_t i = 0; i < 5; i++) {
		b[8] = i;
		assert_int_equal(ask(f, IRQ_INFO, b, 16, &a), 0);
		assert_int_equal(a.len, 32);
		assert_int_equal(exp_le32(a.b + 20), 1);
		assert_int_equal(exp_le32(a.b + 28), count[i]);
	}
	b[8] = 5;
	assert_int_equal(ask(f, IRQ_INFO, b, 16, &a), EINVAL);
}

static void test_unknown_commands_are_refused_and_harmless(void **state)
{
	static const uint16_t cmds[] = { 0, 11, 12, 14, 15, 16, 17, 18, 19, 255, 65535 };
	struct fixture *f = *state;
	static struct answer a;
	uint8_t b[64] = { 0 };

	hello(f);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(cmds); i++)
		assert_int_equal(ask(f, cmds[i], b, sizeof(b), &a), EINVAL);
	assert_int_equal(ask(f, RESET, NULL, 0, &a), 0);
	assert_int_equal(a.len, 16);
	assert_int_equal(f->resets, 1);
}

static void test_no_reply_is_done_before_the_next_answer(void **state)
{
	struct fixture *f = *state;
	static struct answer a;
	uint8_t m[64], b[20] = { 0 };
	size_t n;

	hello(f);
	exp_put_le64(b, 0x14);
	exp_put_le32(b + 12, 4);
	exp_put_le32(b + 16, 0xabcd1234);
	n = build(m, 500, WRITE, 0x10, b, 20);
	send_raw(f->fd, m, n, NULL, 0);
	/* a posted one that fails says nothing either */
	exp_put_le32(b + 8, 55);
	n = build(m, 501, WRITE, 0x10, b, 20);
	send_raw(f->fd, m, n, NULL, 0);
	assert_int_equal(region(f, READ, 0, 0x14, 4, NULL, &a), 0);
	assert_int_equal(exp_le32(a.b + 32), 0xabcd1234);
	get(f, &a);
	assert_int_equal(a.len, 0);
}

/* --- connections --- */

static void test_second_client_gets_eof(void **state)
{
	struct fixture *f = *state;
	static struct answer a;
	int second;
	char c;

	hello(f);
	second = dial(f);
	turn(f);
	assert_int_equal(recv(second, &c, 1, MSG_DONTWAIT), 0);
	close(second);
	assert_int_equal(ask(f, RESET, NULL, 0, &a), 0);
	/* hung up, last messages unread: the next client is not the one to suffer */
	for (int i = 0; i < 200; i++) {
		uint8_t m[16];

		send_raw(f->fd, m, build(m, 1, RESET, 0x10, NULL, 0), NULL, 0);
	}
	close(f->fd);
	f->fd = dial(f);
	turn(f);
	assert_int_equal(f->resets, 201);
	assert_int_equal(f->disconnects, 1);
	assert_int_equal(ask(f, VERSION, version_plain, 4, &a), 0);
}

static void test_doorbells_are_fresh_for_each_client(void **state)
{
	struct fixture *f = *state;
	static struct answer a;
	uint32_t *old;

	hello(f);
	assert_int_equal(region_info(f, 0, 64, 64, &a), 0);
	old = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, a.fd, 0x1000);
	close(a.fd);
	old[2] = 9;
	hang_up(f);
	assert_null(vfu_doorbells(f->v));
	hello(f);
	old[2] = 10;
	assert_int_equal(vfu_doorbells(f->v)[2], 0);
	munmap(old, 4096);
}

static void test_configuration_outlives_a_client(void **state)
{
	struct fixture *f = *state;

	hello(f);
	cfg_put(f, 4, 6, 2);
	hang_up(f);
	assert_true(vfu_bus_master(f->v));
	vfu_pci_reset(f->v);
	assert_false(vfu_bus_master(f->v));
}

static void test_client_that_does_not_read(void **state)
{
	struct fixture *f = *state;
	static struct answer a;
	uint8_t m[32], b[16] = { 0 };
	unsigned int sent = 0, got = 0;

	hello(f);
	exp_put_le32(b + 12, 0x8000);
	for (; sent < 100; sent++)
		send_raw(f->fd, m, build(m, (uint16_t)sent, READ, 0, b, 16), NULL, 0);
	turn(f);
	/* nothing is lost and nothing changes order when it reads at last */
	while (got < sent) {
		struct pollfd p = { .fd = f->fd, .events = POLLIN };

		vfu_poll(f->v, 0);
		if (poll(&p, 1, 0) <= 0)
			continue;
		for (size_t have = 0; have < 32 + 0x8000;) {
			ssize_t n = recv(f->fd, a.b + have, 32 + 0x8000 - have, MSG_DONTWAIT);

			if (n > 0)
				have += (size_t)n;
			else
				vfu_poll(f->v, 0);
		}
		assert_int_equal(exp_le16(a.b), got);
		got++;
	}
}

static void test_wake_ends_a_wait(void **state)
{
	struct fixture *f = *state;

	vfu_wake(f->v);
	alarm(20);
	assert_int_equal(vfu_poll(f->v, UINT64_C(3600) * 1000000), 0);
	alarm(0);
}

static void test_stale_socket_and_foreign_file(void **state)
{
	struct fixture *f = *state;
	struct exp_error err;
	struct vfu *second;
	char path[128], aside[128], *longer = calloc(1, 200);
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/cntrl", f->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(vfu_new(f->dir, &pci, true, &ops, f, &second, &err), -EADDRINUSE);
	assert_int_equal(err.code, EXP_CODE_BUSY);
	/* a socket file whose server was killed */
	snprintf(aside, sizeof(aside), "%s/aside", f->dir);
	assert_int_equal(link(path, aside), 0);
	vfu_free(f->v);
	f->v = NULL;
	assert_int_equal(rename(aside, path), 0);
	assert_int_equal(vfu_new(f->dir, &pci, true, &ops, f, &f->v, &err), 0);
	vfu_free(f->v);
	f->v = NULL;
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	assert_int_equal(vfu_new(f->dir, &pci, true, &ops, f, &f->v, &err), -EEXIST);
	unlink(path);
	memset(longer, 'a', 150);
	assert_int_equal(vfu_new(longer, &pci, true, &ops, f, &f->v, &err), -ENAMETOOLONG);
	assert_int_equal(vfu_new("/nowhere/at/all", &pci, true, &ops, f, &f->v, &err), -ENOENT);
	free(longer);
	f->v = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_version_reply_is_85_bytes),
		CASE(test_version_json),
		CASE(test_version_minor_is_lowered),
		CASE(test_version_must_come_first_and_once),
		CASE(test_device_info),
		CASE(test_region_info_in_two_steps),
		CASE(test_region_info_others),
		cmocka_unit_test_setup_teardown(test_region_info_trapped_has_no_mapping, setup_trap,
						teardown),
		CASE(test_io_fds_are_none),
		CASE(test_irq_info),
		CASE(test_unknown_commands_are_refused_and_harmless),
		CASE(test_no_reply_is_done_before_the_next_answer),
		CASE(test_second_client_gets_eof),
		CASE(test_doorbells_are_fresh_for_each_client),
		CASE(test_configuration_outlives_a_client),
		CASE(test_client_that_does_not_read),
		CASE(test_wake_ends_a_wait),
		CASE(test_stale_socket_and_foreign_file),
	};

	return cmocka_run_group_tests_name("emu_vfu", tests, NULL, NULL);
}
