/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_emu_vfu_dma.c - client memory of a vfio-user function: rules, rights, truncated files
 */
#include "support/vfu_bytes.h"

/* --- DMA --- */

static void test_dma_map_rules(void **state)
{
	struct fixture *f = *state;
	int fd = memory(0x10000), other = memory(0x10000), pipe_fd[2], dir = open("/", O_RDONLY);

	hello(f);
	cfg_put(f, 4, 4, 2);
	assert_int_equal(pipe(pipe_fd), 0);
	assert_int_equal(map(f, fd, 3, 0, 0x2000000ef000, 0x10000), 0);
	assert_int_equal(f->maps, 1);
	/* the same again; another file, other rights, an overlap */
	assert_int_equal(map(f, fd, 3, 0, 0x2000000ef000, 0x10000), 0);
	assert_int_equal(f->maps, 1);
	assert_int_equal(map(f, other, 3, 0, 0x2000000ef000, 0x10000), EEXIST);
	assert_int_equal(map(f, fd, 1, 0, 0x2000000ef000, 0x10000), EEXIST);
	assert_int_equal(map(f, fd, 3, 0, 0x2000000eefff, 2), EEXIST);
	assert_int_equal(map(f, fd, 3, 0, 0x2000000fefff, 2), EEXIST);
	assert_int_equal(map(f, fd, 3, 0, 0x2000000f0000, 0x1000), EEXIST);
	assert_int_equal(map(f, fd, 3, 0, 0x1000, 0), EINVAL);
	assert_int_equal(map(f, fd, 3, 0, 0x1000, 0x10001), EINVAL);
	assert_int_equal(map(f, fd, 3, 0x8000, 0x1000, 0x8001), EINVAL);
	assert_int_equal(map(f, fd, 3, UINT64_MAX, 0x1000, 2), EINVAL);
	assert_int_equal(map(f, fd, 3, 0, UINT64_MAX, 2), EINVAL);
	assert_int_equal(map(f, fd, 7, 0, 0x1000, 0x1000), EINVAL);
	assert_int_equal(map(f, pipe_fd[0], 3, 0, 0x1000, 0x1000), EINVAL);
	assert_int_equal(map(f, dir, 3, 0, 0x1000, 0x1000), EINVAL);
	assert_int_equal(map(f, -1, 3, 4096, 0x1000, 0x1000), EINVAL); /* offset, no file */
	/* the last byte of the address space */
	assert_int_equal(map(f, fd, 3, 0, UINT64_MAX - 0xfff, 0x1000), 0);
	assert_non_null(vfu_dma(f->v, UINT64_MAX, 1, true));
	assert_null(vfu_dma(f->v, UINT64_MAX, 2, true));
	/* no descriptor: remembered, not reachable, unmapped like the others */
	assert_int_equal(map(f, -1, 3, 0, 0xfebf9000, 0x1000), 0);
	assert_null(vfu_dma(f->v, 0xfebf9000, 1, false));
	assert_int_equal(map(f, fd, 3, 0, 0xfebf9800, 0x1000), EEXIST);
	assert_int_equal(unmap(f, 0, 0xfebf9000, 0x1000), 0);
	/* exactly what was mapped, or nothing */
	f->reachable = true;
	assert_int_equal(unmap(f, 0, 0x2000000ef000, 0xf000), ENOENT);
	assert_int_equal(unmap(f, 0, 0x2000000f0000, 0x1000), ENOENT);
	assert_int_equal(unmap(f, 1, 0x2000000ef000, 0x10000), EINVAL);
	assert_int_equal(unmap(f, 2, 0x2000000ef000, 0x10000), EINVAL);
	assert_int_equal(unmap(f, 0, 0x2000000ef000, 0x10000), 0);
	assert_null(vfu_dma(f->v, 0x2000000ef000, 1, false));
	assert_int_equal(map(f, fd, 3, 0, 0x1000, 0x1000), 0);
	assert_int_equal(f->unmaps, 2);
	assert_int_equal(unmap(f, 2, 0, 0), 0);
	assert_int_equal(f->unmaps, 4);
	assert_null(vfu_dma(f->v, 0x1000, 1, false));
	close(fd);
	close(other);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	close(dir);
}

static void test_dma_access(void **state)
{
	struct fixture *f = *state;
	int fd = memory(0x10000), ro = -1;
	char path[64];
	uint8_t buf[0x4000], *p;

	hello(f);
	assert_int_equal(map(f, fd, 3, 0, 0x10000, 0x2000), 0);
	assert_null(vfu_dma(f->v, 0x10000, 1, false)); /* no bus mastering yet */
	assert_false(vfu_dma_read(f->v, 0x10000, buf, 1));
	cfg_put(f, 4, 4, 2);
	/* neighbours with other places in the file; the second not on a page */
	assert_int_equal(map(f, fd, 1, 0x5000, 0x12000, 0x1000), 0);
	assert_int_equal(map(f, fd, 2, 0x8123, 0x13000, 0x1000), 0);
	assert_int_equal(pwrite(fd, "one", 3, 0x1ffd), 3);
	assert_int_equal(pwrite(fd, "two", 3, 0x5000), 3);
	assert_true(vfu_dma_read(f->v, 0x11ffd, buf, 6));
	assert_memory_equal(buf, "onetwo", 6);
	assert_null(vfu_dma(f->v, 0x11ffd, 6, false)); /* not in one piece */
	assert_non_null(vfu_dma(f->v, 0x11ffd, 3, false));
	/* rights, byte by byte */
	assert_null(vfu_dma(f->v, 0x12000, 1, true));
	assert_null(vfu_dma(f->v, 0x13000, 1, false));
	assert_false(vfu_dma_read(f->v, 0x12fff, buf, 2));
	memset(buf, 'x', sizeof(buf));
	assert_false(vfu_dma_write(f->v, 0x11fff, buf, 2));
	assert_int_equal(pread(fd, buf, 1, 0x1fff), 1);
	assert_int_equal(buf[0], 'e'); /* nothing moved */
	assert_true(vfu_dma_write(f->v, 0x13001, "here", 4));
	assert_int_equal(pread(fd, buf, 4, 0x8124), 4);
	assert_memory_equal(buf, "here", 4);
	/* holes and ends */
	assert_false(vfu_dma_read(f->v, 0xffff, buf, 2));
	assert_false(vfu_dma_write(f->v, 0x13fff, buf, 2));
	assert_false(vfu_dma_read(f->v, 0x11fff, buf, UINT64_MAX));
	assert_null(vfu_dma(f->v, 0x10000, 0, false));
	p = vfu_dma(f->v, 0x11000, 0x1000, true);
	assert_non_null(p);
	p[0] = 'q';
	assert_true(vfu_dma_intact(f->v, 0x11000, 0x1000));
	assert_int_equal(pread(fd, buf, 1, 0x1000), 1);
	assert_int_equal(buf[0], 'q');
	/* a file we may only read cannot be written by the device */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(map(f, ro, 3, 0, 0x40000, 0x1000), EACCES);
	assert_int_equal(map(f, ro, 1, 0, 0x40000, 0x1000), 0);
	hang_up(f);
	assert_null(vfu_dma(f->v, 0x10000, 1, false));
	close(ro);
	close(fd);
}

static void test_dma_file_truncated_under_us(void **state)
{
	struct fixture *f = *state;
	int fd = memory(0x4000), whole = memory(0x1000);
	uint8_t buf[64];
	uint8_t *p;

	hello(f);
	cfg_put(f, 4, 4, 2);
	assert_int_equal(map(f, fd, 3, 0, 0x10000, 0x4000), 0);
	assert_int_equal(map(f, whole, 3, 0, 0x20000, 0x1000), 0);
	p = vfu_dma(f->v, 0x12000, 16, true);
	assert_int_equal(ftruncate(fd, 0x1000), 0);
	assert_true(vfu_dma_read(f->v, 0x10000, buf, 16)); /* this page is there yet */
	memset(p, 1, 16);                                  /* this one is not; we live */
	assert_false(vfu_dma_intact(f->v, 0x12000, 16));
	assert_false(vfu_dma_read(f->v, 0x10000, buf, 16)); /* the mapping is given up whole */
	assert_null(vfu_dma(f->v, 0x10000, 16, false));
	assert_true(vfu_dma_read(f->v, 0x20000, buf, 16));
	assert_int_equal(unmap(f, 0, 0x10000, 0x4000), 0);
	assert_int_equal(ftruncate(fd, 0x4000), 0);
	assert_int_equal(map(f, fd, 3, 0, 0x10000, 0x4000), 0);
	assert_true(vfu_dma_read(f->v, 0x13000, buf, 16));
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_false(vfu_dma_write(f->v, 0x13000, buf, 16));
	close(fd);
	close(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_dma_map_rules),
		CASE(test_dma_access),
		CASE(test_dma_file_truncated_under_us),
	};

	return cmocka_run_group_tests_name("emu_vfu_dma", tests, NULL, NULL);
}
