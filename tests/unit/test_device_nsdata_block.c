/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespace data through plain calls: a file stands in for the block device, which is the same to
 * every call that is made; a tree of files for sysfs.
 */
#include "support/tests.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device/nsdata_int.h"

#define LBA  512u
#define NSZE 2048u

static struct exp_error err;

static struct exp_nsdata *open_file(char path[64])
{
	struct exp_nsdata *h;
	int fd;

	memset(&err, 0, sizeof(err));
	snprintf(path, 64, "/tmp/exp-nsdata.XXXXXX");
	fd = mkostemp(path, O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, NSZE * LBA), 0);
	assert_ok(exp_nsdata_fd(fd, LBA, NSZE, &h, &err), &err);
	return h;
}

static int op(struct exp_nsdata *h, enum exp_nsdata_op o, uint64_t slba, uint64_t nlb,
	      const struct exp_nsbuf *b)
{
	return exp_nsdata_do(
		h, &(struct exp_nsdata_req){ .op = o, .slba = slba, .nlb = nlb, .buf = b }, 0,
		&err);
}

static void test_read_write_zero(void **state)
{
	struct exp_nsbuf a, b;
	struct exp_nsdata *h;
	char path[64];

	(void)state;
	h = open_file(path);
	assert_int_equal(exp_nsdata_lba_bytes(h), LBA);
	assert_int_equal(exp_nsdata_nsze(h), NSZE);
	assert_false(exp_nsdata_zero_after_dealloc(h)); /* not known here */
	assert_ok(exp_nsbuf_alloc(h, 64 * LBA, &a, &err), &err);
	assert_ok(exp_nsbuf_alloc(h, 64 * LBA, &b, &err), &err);
	assert_int_equal((uintptr_t)a.mem % 4096, 0);
	memset(a.mem, 0x77, a.bytes);
	assert_ok(op(h, EXP_NSDATA_WRITE, 100, 64, &a), &err);
	assert_ok(op(h, EXP_NSDATA_FLUSH, 0, 0, NULL), &err);
	assert_ok(op(h, EXP_NSDATA_READ, 100, 64, &b), &err);
	assert_memory_equal(a.mem, b.mem, a.bytes);
	assert_ok(op(h, EXP_NSDATA_ZERO, 108, 8, NULL), &err);
	assert_ok(op(h, EXP_NSDATA_READ, 100, 64, &b), &err);
	assert_memory_equal(a.mem, b.mem, 8 * LBA);
	for (size_t i = 8 * LBA; i < 16 * LBA; i++)
		assert_int_equal(b.mem[i], 0);
	assert_memory_equal(a.mem + 16 * LBA, b.mem + 16 * LBA, 48 * LBA);
	assert_ok(op(h, EXP_NSDATA_DEALLOCATE, 0, NSZE, NULL), &err);
	exp_nsdata_close(h);
	unlink(path);
}

static void test_requests_that_cannot_be(void **state)
{
	struct exp_nsbuf a;
	struct exp_nsdata *h;
	char path[64];

	(void)state;
	h = open_file(path);
	assert_ok(exp_nsbuf_alloc(h, 8 * LBA, &a, &err), &err);
	assert_int_equal(op(h, EXP_NSDATA_READ, NSZE, 1, &a), -ERANGE);
	assert_int_equal(op(h, EXP_NSDATA_READ, NSZE - 1, 2, &a), -ERANGE);
	assert_int_equal(op(h, EXP_NSDATA_READ, 1, UINT64_MAX, &a), -ERANGE);
	assert_int_equal(op(h, EXP_NSDATA_READ, 0, 0, &a), -ERANGE);
	assert_int_equal(op(h, EXP_NSDATA_READ, 0, 9, &a), -EINVAL); /* the buffer is too small */
	assert_int_equal(op(h, EXP_NSDATA_READ, 0, 1, NULL), -EINVAL);
	assert_int_equal(exp_nsdata_submit(h,
					   &(struct exp_nsdata_req){ .op = EXP_NSDATA_READ,
								     .nlb = 1,
								     .buf = &a,
								     .buf_off = 512 },
					   &err),
			 -EINVAL);
	exp_nsdata_close(h);
	unlink(path);
}

static void test_results_in_order_and_depth(void **state)
{
	struct exp_nsdata_done done[EXP_NSDATA_DEPTH];
	struct exp_nsdata_req q = { .op = EXP_NSDATA_READ, .nlb = 1 };
	struct exp_nsbuf a;
	struct exp_nsdata *h;
	char path[64];

	(void)state;
	h = open_file(path);
	assert_ok(exp_nsbuf_alloc(h, LBA, &a, &err), &err);
	q.buf = &a;
	for (q.tag = 0; q.tag < EXP_NSDATA_DEPTH; q.tag++)
		assert_ok(exp_nsdata_submit(h, &q, &err), &err);
	assert_int_equal(exp_nsdata_submit(h, &q, &err), -EAGAIN);
	assert_int_equal(exp_nsdata_reap(h, done, 10, 0, &err), 10);
	assert_int_equal(done[9].tag, 9);
	assert_int_equal(exp_nsdata_reap(h, done, EXP_NSDATA_DEPTH, 0, &err),
			 EXP_NSDATA_DEPTH - 10);
	assert_int_equal(done[0].tag, 10);
	assert_int_equal(exp_nsdata_in_flight(h), 0);
	assert_int_equal(exp_nsdata_reap(h, done, 1, 1000, &err), 0); /* nothing to wait for */
	exp_nsdata_close(h);
	unlink(path);
}

static void test_io_error_names_the_blocks(void **state)
{
	struct exp_nsbuf a;
	struct exp_nsdata *h;
	char path[64];

	(void)state;
	h = open_file(path);
	assert_int_equal(truncate(path, 100 * LBA), 0); /* the device got shorter */
	assert_ok(exp_nsbuf_alloc(h, 8 * LBA, &a, &err), &err);
	assert_int_equal(op(h, EXP_NSDATA_READ, 98, 8, &a), -EIO);
	assert_error(&err, EXP_CODE_DEVICE, "98+8");
	exp_nsdata_close(h);
	unlink(path);
}

static void test_everything_counts_as_allocated(void **state)
{
	struct exp_lba_range range[4];
	struct exp_nsdata *h;
	uint64_t next;
	char path[64];
	size_t n;

	(void)state;
	h = open_file(path);
	assert_ok(exp_nsdata_allocated(h, 48, range, 4, &n, &next, &err), &err);
	assert_int_equal(n, 1);
	assert_int_equal(range[0].slba, 48);
	assert_int_equal(range[0].nlb, NSZE - 48);
	assert_int_equal(next, NSZE);
	assert_ok(exp_nsdata_allocated(h, NSZE, range, 4, &n, &next, &err), &err);
	assert_int_equal(n, 0);
	exp_nsdata_close(h);
	unlink(path);
}

static void test_open_block_refusals(void **state)
{
	struct exp_nsdata *h;

	(void)state;
	assert_int_equal(exp_nsdata_open_block("/nonexistent", &h, &err), -ENOENT);
	assert_error(&err, EXP_CODE_CONFIG, "/nonexistent");
	assert_true(exp_nsdata_open_block("/dev/null", &h, &err) < 0);
	assert_non_null(strstr(err.msg, "/dev/null"));
}

static void put_file(const char *root, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/class/nvme/nvme3/%s", root, name);
	*strrchr(path, '/') = 0;
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/class/nvme/nvme3/%s", root, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_block_device_of_a_namespace(void **state)
{
	char root[] = "/tmp/exp-sysfs.XXXXXX", cmd[64], path[64];

	(void)state;
	assert_non_null(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/class", root);
	assert_int_equal(mkdir(path, 0755), 0);
	strcat(path, "/nvme");
	assert_int_equal(mkdir(path, 0755), 0);
	strcat(path, "/nvme3");
	assert_int_equal(mkdir(path, 0755), 0);
	/* the number in the name is no namespace id */
	put_file(root, "nvme3n1/nsid", "7\n");
	put_file(root, "nvme2c3n4/nsid", "9\n"); /* shared: its block device is nvme2n4 */
	put_file(root, "nvme3n5p1/nsid", "11\n");
	put_file(root, "power/nsid", "12\n");
	assert_ok(exp_nsdata_find_block(root, "nvme3", 7, path, sizeof(path), &err), &err);
	assert_string_equal(path, "/dev/nvme3n1");
	assert_ok(exp_nsdata_find_block(root, "nvme3", 9, path, sizeof(path), &err), &err);
	assert_string_equal(path, "/dev/nvme2n4");
	assert_int_equal(exp_nsdata_find_block(root, "nvme3", 1, path, sizeof(path), &err),
			 -ENOENT);
	assert_int_equal(exp_nsdata_find_block(root, "nvme3", 11, path, sizeof(path), &err),
			 -ENOENT);
	assert_int_equal(exp_nsdata_find_block(root, "nvme3", 12, path, sizeof(path), &err),
			 -ENOENT);
	assert_int_equal(exp_nsdata_find_block(root, "nvme4", 7, path, sizeof(path), &err),
			 -ENOENT);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", root);
	assert_int_equal(system(cmd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_write_zero),
		cmocka_unit_test(test_requests_that_cannot_be),
		cmocka_unit_test(test_results_in_order_and_depth),
		cmocka_unit_test(test_io_error_names_the_blocks),
		cmocka_unit_test(test_everything_counts_as_allocated),
		cmocka_unit_test(test_open_block_refusals),
		cmocka_unit_test(test_block_device_of_a_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
