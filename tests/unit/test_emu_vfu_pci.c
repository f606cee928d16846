/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_emu_vfu_pci.c - configuration space, BAR0 and interrupts of a vfio-user function
 */
#include "support/vfu_bytes.h"

/* --- configuration space --- */

static void test_config_space(void **state)
{
	struct fixture *f = *state;
	static struct answer a;
	const uint8_t *c = a.b + 32;

	hello(f);
	assert_int_equal(region(f, READ, 7, 0, 4096, NULL, &a), 0);
	assert_int_equal(a.len, 32 + 4096);
	assert_memory_equal(c, "\x36\x1b\x10\x00\x00\x00\x10\x00\x02\x02\x08\x01\0\0\0\0\x04\0\0\0",
			    20);
	assert_memory_equal(c + 0x2c, "\xf4\x1a\x00\x11", 4);
	assert_int_equal(c[0x34], 0x40);
	assert_int_equal(c[0x3d], 0); /* no INTx */
	assert_memory_equal(c + 0x40, "\x01\x48\x03\x00\x08\x00", 6);
	assert_memory_equal(c + 0x48, "\x10\x84\x02\x00\x00\x80\x00\x10", 8);
	assert_int_equal(c[0x6c], 0x10);
	/* 33 vectors; table at 2000h, pending bits at 3000h of BAR 0 */
	assert_memory_equal(c + 0x84, "\x11\x00\x20\x00\x00\x20\x00\x00\x00\x30\x00\x00", 12);
	for (size_t i = 0x100; i < 4096; i++)
		assert_int_equal(c[i], 0);
	assert_int_equal(region(f, READ, 7, 4093, 4, NULL, &a), EINVAL);
	assert_int_equal(region(f, READ, 7, UINT64_MAX, 2, NULL, &a), EINVAL);
	assert_int_equal(region(f, READ, 3, 0, 4, NULL, &a), EINVAL);
	assert_int_equal(region(f, READ, UINT32_MAX, 0, 4, NULL, &a), EINVAL);
}

static void test_config_writes(void **state)
{
	struct fixture *f = *state;

	hello(f);
	cfg_put(f, 0x00, 0xffffffff, 4);
	assert_int_equal(cfg32(f, 0), 0x00101b36);
	cfg_put(f, 0x04, 0xffff, 2);
	assert_int_equal(cfg32(f, 4), 0x00100547);
	assert_true(vfu_bus_master(f->v));
	cfg_put(f, 0x05, 0x04, 1);
	assert_int_equal(cfg32(f, 4), 0x00100447);
	/* sizing of the 64-bit BAR0: 32 KiB */
	cfg_put(f, 0x10, 0xffffffff, 4);
	cfg_put(f, 0x14, 0xffffffff, 4);
	assert_int_equal(cfg32(f, 0x10), 0xffff8004);
	assert_int_equal(cfg32(f, 0x14), 0xffffffff);
	cfg_put(f, 0x10, 0xfebf1234, 4);
	assert_int_equal(cfg32(f, 0x10), 0xfebf0004);
	cfg_put(f, 0x18, 0xffffffff, 4);
	assert_int_equal(cfg32(f, 0x18), 0);
	cfg_put(f, 0x30, 0xffffffff, 4);
	assert_int_equal(cfg32(f, 0x30), 0);
	/* power states: D3hot exists, D1 and D2 do not */
	cfg_put(f, 0x44, 1, 2);
	assert_int_equal(cfg32(f, 0x44), 0x8);
	cfg_put(f, 0x44, 3, 2);
	assert_int_equal(cfg32(f, 0x44), 0xb);
	cfg_put(f, 0x86, 0xffff, 2);
	assert_int_equal(cfg32(f, 0x84), 0xc0200011);
}

static void test_function_level_reset(void **state)
{
	struct fixture *f = *state;
	int fd = memory(8192);

	hello(f);
	cfg_put(f, 0x04, 6, 2);
	cfg_put(f, 0x86, 0x8000, 2);
	cfg_put(f, 0x10, 0xfebf0000, 4);
	assert_int_equal(map(f, fd, 3, 0, 0x10000, 8192), 0);
	vfu_doorbells(f->v)[2] = 5;
	cfg_put(f, 0x50, 0x8000, 2);
	assert_int_equal(f->resets, 1);
	assert_int_equal(vfu_doorbells(f->v)[2], 0);
	assert_int_equal(cfg32(f, 0x50) & 0xffff, 0x2810); /* the bit reads 0 */
	assert_int_equal(cfg32(f, 4), 0x00100000);
	assert_int_equal(cfg32(f, 0x10), 4);
	assert_int_equal(cfg32(f, 0x84), 0x00200011);
	assert_false(vfu_bus_master(f->v));
	assert_null(vfu_dma(f->v, 0x10000, 1, false));
	cfg_put(f, 0x04, 4, 2);
	assert_non_null(vfu_dma(f->v, 0x10000, 8192, true)); /* the mapping stayed */
	close(fd);
}

static void test_device_reset_keeps_what_the_host_set(void **state)
{
	struct fixture *f = *state;
	static struct answer a;

	hello(f);
	cfg_put(f, 0x04, 6, 2);
	cfg_put(f, 0x86, 0x8000, 2);
	vfu_doorbells(f->v)[9] = 5;
	assert_int_equal(ask(f, RESET, NULL, 0, &a), 0);
	assert_int_equal(f->resets, 1);
	assert_int_equal(vfu_doorbells(f->v)[9], 0);
	assert_true(vfu_bus_master(f->v));
	assert_int_equal(cfg32(f, 0x84), 0x00200011); /* MSI-X off */
}

/* --- BAR0 --- */

static void test_registers(void **state)
{
	struct fixture *f = *state;
	static struct answer a;
	uint8_t b[16];

	for (size_t i = 0; i < sizeof(f->regs); i++)
		f->regs[i] = (uint8_t)(i * 7);
	hello(f);
	for (uint32_t count = 1; count <= 40; count++) {
		for (uint32_t off = 0; off < 9; off++) {
			assert_int_equal(region(f, READ, 0, off, count, NULL, &a), 0);
			assert_int_equal(a.len, 32 + count);
			assert_memory_equal(a.b + 32, f->regs + off, count);
		}
	}
	memcpy(b, "\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa", 10);
	assert_int_equal(region(f, WRITE, 0, 0x28, 8, b, &a), 0);
	assert_memory_equal(f->regs + 0x28, b, 8);
	assert_int_equal(region(f, WRITE, 0, 0x31, 10, b, &a), 0);
	assert_memory_equal(f->regs + 0x31, b, 10);
	/* across the end of the registers: what lies behind is a doorbell, and not a whole one */
	assert_int_equal(region(f, WRITE, 0, 0xffc, 8, b, &a), 0);
	assert_memory_equal(f->regs + 0xffc, b, 4);
	assert_int_equal(region(f, READ, 0, 0, 0, NULL, &a), 0);
	assert_int_equal(a.len, 32);
}

static void test_doorbells_by_message(void **state)
{
	struct fixture *f = *state;
	static struct answer a;

	hello(f);
	assert_int_equal(region(f, WRITE, 0, 0x1008, 4, "\x05\0\0\0", &a), 0);
	assert_int_equal(f->rings, 1);
	assert_int_equal(f->ring_off, 8);
	assert_int_equal(f->ring_val, 5);
	assert_int_equal(region(f, WRITE, 0, 0x1ffc, 4, "\xff\xff\xff\xff", &a), 0);
	assert_int_equal(f->ring_off, 0xffc);
	/* other widths and odd places mean nothing and succeed */
	assert_int_equal(region(f, WRITE, 0, 0x1002, 4, "\x05\0\0\0", &a), 0);
	assert_int_equal(region(f, WRITE, 0, 0x1000, 2, "\x05\0", &a), 0);
	assert_int_equal(region(f, WRITE, 0, 0x1000, 8, "\x05\0\0\0\x05\0\0\0", &a), 0);
	assert_int_equal(f->rings, 2);
	assert_int_equal(region(f, READ, 0, 0x1008, 4, NULL, &a), 0);
	assert_int_equal(exp_le32(a.b + 32), 0);
}

static void test_rest_of_bar0(void **state)
{
	struct fixture *f = *state;
	static struct answer a;

	hello(f);
	/* MSI-X table: memory, masked after reset */
	assert_int_equal(region(f, READ, 0, 0x200c, 4, NULL, &a), 0);
	assert_int_equal(exp_le32(a.b + 32), 1);
	assert_int_equal(region(f, WRITE, 0, 0x2000, 8, "\x0c\0\xe0\xfe\0\0\0\0", &a), 0);
	assert_int_equal(region(f, READ, 0, 0x2000, 8, NULL, &a), 0);
	assert_memory_equal(a.b + 32, "\x0c\0\xe0\xfe\0\0\0\0", 8);
	/* the reserved end: reads 0, takes writes */
	assert_int_equal(region(f, WRITE, 0, 0x7ff8, 8, "abcdefgh", &a), 0);
	assert_int_equal(region(f, READ, 0, 0x7ff8, 8, NULL, &a), 0);
	assert_int_equal(exp_le64(a.b + 32), 0);
	assert_int_equal(region(f, READ, 0, 0x7ff8, 16, NULL, &a), EINVAL);
	assert_int_equal(region(f, READ, 0, 0, 0x8000, NULL, &a), 0);
	assert_int_equal(a.len, 32 + 0x8000);
}

static void test_write_body_must_match_count(void **state)
{
	struct fixture *f = *state;
	static struct answer a;
	uint8_t b[32] = { 0 };

	hello(f);
	exp_put_le64(b, 0x14);
	exp_put_le32(b + 12, 8);
	assert_int_equal(ask(f, WRITE, b, 16 + 4, &a), EINVAL);
	assert_int_equal(ask(f, WRITE, b, 16 + 12, &a), EINVAL);
	exp_put_le32(b + 12, UINT32_MAX);
	assert_int_equal(ask(f, WRITE, b, 16, &a), EINVAL);
	exp_put_le32(b + 12, 8);
	assert_int_equal(ask(f, WRITE, b, 16 + 8, &a), 0);
}

/* --- interrupts --- */

static void test_irqs(void **state)
{
	struct fixture *f = *state;
	static struct answer a;
	int fds[33], pipe_fd[2];

	for (int i = 0; i < 33; i++)
		fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	hello(f);
	assert_int_equal(set_irqs(f, 0x24, 2, 0, 1, NULL, 0), 0); /* what QEMU starts with */
	assert_int_equal(set_irqs(f, 0x24, 2, 0, 16, fds, 16), 0);
	assert_int_equal(set_irqs(f, 0x24, 2, 16, 16, fds + 16, 16), 0);
	assert_int_equal(set_irqs(f, 0x24, 2, 32, 1, fds + 32, 1), 0);
	vfu_irq(f->v, 3);
	assert_int_equal(count_of(fds[3]), 0); /* neither bus master nor enabled */
	cfg_put(f, 0x04, 4, 2);
	vfu_irq(f->v, 3);
	assert_int_equal(count_of(fds[3]), 0);
	cfg_put(f, 0x86, 0x8000, 2);
	for (uint16_t i = 0; i < 33; i++)
		vfu_irq(f->v, i);
	vfu_irq(f->v, 33);
	vfu_irq(f->v, 65535);
	for (int i = 0; i < 33; i++)
		assert_int_equal(count_of(fds[i]), 1);
	/* under the function mask they wait, visible in the pending bits */
	cfg_put(f, 0x86, 0xc000, 2);
	vfu_irq(f->v, 0);
	vfu_irq(f->v, 32);
	vfu_irq(f->v, 32);
	assert_int_equal(count_of(fds[32]), 0);
	assert_int_equal(region(f, READ, 0, 0x3000, 8, NULL, &a), 0);
	assert_int_equal(exp_le64(a.b + 32), 0x100000001);
	cfg_put(f, 0x86, 0x8000, 2);
	assert_int_equal(count_of(fds[32]), 1);
	assert_int_equal(count_of(fds[0]), 1);
	assert_int_equal(region(f, READ, 0, 0x3000, 8, NULL, &a), 0);
	assert_int_equal(exp_le64(a.b + 32), 0);
	/* loop back */
	assert_int_equal(set_irqs(f, 0x21, 2, 4, 2, NULL, 0), 0);
	assert_int_equal(count_of(fds[4]), 1);
	assert_int_equal(count_of(fds[5]), 1);
	assert_int_equal(set_irqs(f, 0x22, 2, 6, 1, NULL, 0), 0);
	assert_int_equal(count_of(fds[6]), 1);
	assert_int_equal(set_irqs(f, 0x11, 2, 0, 33, NULL, 0), 0);
	assert_int_equal(set_irqs(f, 0x09, 2, 0, 33, NULL, 0), 0);
	/* detach a few, then all */
	assert_int_equal(set_irqs(f, 0x24, 2, 3, 2, NULL, 0), 0);
	vfu_irq(f->v, 3);
	vfu_irq(f->v, 5);
	assert_int_equal(count_of(fds[3]), 0);
	assert_int_equal(count_of(fds[5]), 1);
	assert_int_equal(set_irqs(f, 0x21, 2, 0, 0, NULL, 0), 0);
	vfu_irq(f->v, 5);
	assert_int_equal(count_of(fds[5]), 0);
	/* types 3 and 4 keep theirs; 0 and 1 have none */
	assert_int_equal(set_irqs(f, 0x24, 3, 0, 1, fds, 1), 0);
	assert_int_equal(set_irqs(f, 0x24, 4, 0, 1, fds, 1), 0);
	assert_int_equal(set_irqs(f, 0x21, 0, 0, 0, NULL, 0), 0);
	assert_int_equal(set_irqs(f, 0x24, 0, 0, 1, fds, 1), EINVAL);
	/* what makes no sense */
	assert_int_equal(set_irqs(f, 0x24, 2, 32, 2, fds, 2), EINVAL);
	assert_int_equal(set_irqs(f, 0x24, 2, UINT32_MAX, 2, fds, 2), EINVAL);
	assert_int_equal(set_irqs(f, 0x24, 2, 1, UINT32_MAX, NULL, 0), EINVAL);
	assert_int_equal(set_irqs(f, 0x24, 2, 0, 3, fds, 2), EINVAL);
	assert_int_equal(set_irqs(f, 0x24, 5, 0, 1, fds, 1), EINVAL);
	assert_int_equal(set_irqs(f, 0x2c, 2, 0, 1, fds, 1), EINVAL);
	assert_int_equal(set_irqs(f, 0x14, 2, 0, 1, fds, 1), EINVAL);
	assert_int_equal(set_irqs(f, 0x25, 2, 0, 1, fds, 1), EINVAL);
	assert_int_equal(set_irqs(f, 0x04, 2, 0, 1, fds, 1), EINVAL);
	assert_int_equal(set_irqs(f, 0x20, 2, 0, 1, NULL, 0), EINVAL);
	assert_int_equal(set_irqs(f, 0x21, 2, 0, 1, fds, 1), EINVAL);
	assert_int_equal(set_irqs(f, 0x64, 2, 0, 1, fds, 1), EINVAL);
	assert_int_equal(pipe(pipe_fd), 0);
	assert_int_equal(set_irqs(f, 0x24, 2, 0, 1, pipe_fd + 1, 1), EINVAL);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	for (int i = 0; i < 33; i++)
		close(fds[i]);
}

static void test_irq_bool_data_must_be_there(void **state)
{
	struct fixture *f = *state;
	static struct answer a;
	uint8_t b[24] = { 20 };

	hello(f);
	b[4] = 0x22;
	b[8] = 2;
	b[16] = 5;
	assert_int_equal(ask(f, SET_IRQS, b, 24, &a), EINVAL);
	b[16] = 4;
	assert_int_equal(ask(f, SET_IRQS, b, 24, &a), 0);
}

static void test_irq_to_a_full_blocking_eventfd_does_not_block(void **state)
{
	struct fixture *f = *state;
	uint64_t full = UINT64_MAX - 1;
	int fd = eventfd(0, EFD_CLOEXEC);

	hello(f);
	cfg_put(f, 0x04, 4, 2);
	cfg_put(f, 0x86, 0x8000, 2);
	assert_int_equal(set_irqs(f, 0x24, 2, 0, 1, &fd, 1), 0);
	assert_int_equal(write(fd, &full, 8), 8);
	alarm(20);
	vfu_irq(f->v, 0);
	alarm(0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_config_space),
		CASE(test_config_writes),
		CASE(test_function_level_reset),
		CASE(test_device_reset_keeps_what_the_host_set),
		CASE(test_registers),
		CASE(test_doorbells_by_message),
		CASE(test_rest_of_bar0),
		CASE(test_write_body_must_match_count),
		CASE(test_irqs),
		CASE(test_irq_bool_data_must_be_there),
		CASE(test_irq_to_a_full_blocking_eventfd_does_not_block),
	};

	return cmocka_run_group_tests_name("emu_vfu_pci", tests, NULL, NULL);
}
