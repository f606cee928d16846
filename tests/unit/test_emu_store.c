/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_emu_store.c - the image of an emulated SSD: kill at every system call that changes it,
 * damage, refusals, failing writes
 *
 * Linked with --wrap for the calls below: a child process dies right before the n-th of them.
 */
#include "support/ssd_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <sys/uio.h>

#include "base/fs.h"

static unsigned long deaths_in; /* 0: nobody dies */
static char calls[256];         /* first letter of each call, in order */
static int write_flags;         /* of the last pwritev2() */

static void seen(char call)
{
	size_t n = strlen(calls);

	if (n + 1 < sizeof(calls))
		calls[n] = call;
	if (deaths_in && !--deaths_in)
		_exit(9);
}

#define WRAP(letter, ret, name, params, args) \
	ret __real_##name params;             \
	ret __wrap_##name params;             \
	ret __wrap_##name params              \
	{                                     \
		seen(letter);                 \
		return __real_##name args;    \
	}

WRAP('w', ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
WRAP('s', int, fsync, (int fd), (fd))
WRAP('r', int, rename, (const char *a, const char *b), (a, b))
WRAP('t', int, ftruncate, (int fd, off_t n), (fd, n))
WRAP('u', int, unlink, (const char *a), (a))
WRAP('u', int, unlinkat, (int fd, const char *a, int flags), (fd, a, flags))

ssize_t __real_pwritev2(int fd, const struct iovec *iov, int n, off_t off, int flags);
ssize_t __wrap_pwritev2(int fd, const struct iovec *iov, int n, off_t off, int flags);
ssize_t __wrap_pwritev2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	write_flags = flags;
	return __real_pwritev2(fd, iov, n, off, flags);
}

static unsigned int ns_files(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += !strncmp(e->d_name, "ns-", 3);
	closedir(d);
	return n;
}

/* What the drive says of itself: namespaces, who is attached, exports. */
struct view {
	uint32_t allocated[4];
	uint16_t attached[4];
	uint16_t exports, configured;
};

static struct view look(struct rig *r)
{
	uint8_t *d = rig_data(r);
	struct view v = { 0 };
	uint16_t id;

	rig_clear(r);
	rig_ok(r, 0, .opcode = 6, .cdw10 = 0x10);
	for (int i = 0; i < 4; i++)
		v.allocated[i] = exp_le32(d + 4 * i);
	for (int i = 0; i < 4 && v.allocated[i]; i++) {
		rig_ok(r, 0, .opcode = 6, .cdw10 = 0x12, .nsid = v.allocated[i]);
		v.attached[i] = exp_le16(d);
	}
	rig_clear(r);
	rig_ok(r, 0, .opcode = 0x2A, .cdw10 = 1, .cdw15 = 65);
	v.exports = exp_le16(d);
	id = exp_le16(d + 4 + 258);
	if (v.exports)
		v.configured = !RIG(r, 0, .opcode = 0x2A, .cdw10 = 5, .cdw14 = (uint32_t)id << 16,
				    .cdw15 = 102)
					.status;
	return v;
}

static uint32_t handle_of_first(struct rig *r)
{
	rig_clear(r);
	rig_ok(r, 0, .opcode = 0x2A, .cdw10 = 1, .cdw15 = 65);
	return (uint32_t)exp_le16(rig_data(r) + 4 + 258) << 16 | 0x80;
}

enum change { NS_CREATE, NS_DELETE, NS_DETACH, EXPORT_CREATE, EXPORT_CONFIG, N_CHANGES };

static void make_change(struct rig *r, enum change what)
{
	switch (what) {
	case NS_CREATE: rig_namespace(r, 128, 0, 0); return;
	case NS_DELETE: rig_ok(r, 0, .opcode = 0x0D, .cdw10 = 1, .nsid = 1); return;
	case NS_DETACH:
		rig_clear(r);
		exp_put_le16(rig_data(r), 1);
		exp_put_le16(rig_data(r) + 2, 2);
		rig_ok(r, 0, .opcode = 0x15, .cdw10 = 1, .nsid = 1);
		return;
	case EXPORT_CREATE:
		rig_clear(r);
		rig_ok(r, 0, .opcode = 0x2A, .cdw11 = 0x80000001);
		return;
	case EXPORT_CONFIG: {
		uint32_t handle = handle_of_first(r);

		rig_config(rig_data(r), RIG_NQN);
		rig_ok(r, 0, .opcode = 0x2D, .cdw10 = 6, .cdw14 = handle, .cdw15 = 103);
		return;
	}
	case N_CHANGES: return;
	}
}

/* A child opens the image and dies before its @n-th call; true: it got through and ended well. */
static bool child_changes(struct rig *r, enum change what, unsigned long n)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		rig_open(r, "aurora", false);
		deaths_in = n;
		make_change(r, what);
		deaths_in = 0;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9);
	return !WEXITSTATUS(status);
}

/* A drive on which @what can be done. */
static struct rig *before_change(enum change what)
{
	struct rig *r = rig_new("aurora");

	rig_namespace(r, 128, 0, 1u << 0 | 1u << 2);
	if (what == EXPORT_CONFIG)
		make_change(r, EXPORT_CREATE);
	return r;
}

static void test_kill_at_every_call(void **state)
{
	(void)state;
	for (enum change what = 0; what < N_CHANGES; what++) {
		struct rig *r = before_change(what);
		struct view before = look(r), done, now;
		unsigned long olds = 0, news = 0;
		bool through = false;

		make_change(r, what);
		done = look(r);
		rig_free(r);
		for (unsigned long n = 1; !through; n++) {
			r = before_change(what);
			ssd_close(r->ssd);
			through = child_changes(r, what, n);
			rig_open(r, "aurora", false);
			now = look(r);
			/* no file that no namespace has, and none missing */
			assert_int_equal(ns_files(r->dir),
					 (now.allocated[0] != 0) + (now.allocated[1] != 0));
			if (!memcmp(&now, &done, sizeof(now))) {
				news++;
			} else {
				assert_memory_equal(&now, &before, sizeof(now));
				assert_false(through); /* completed, and forgotten */
				make_change(r, what);
				olds++;
			}
			rig_free(r);
			assert_true(n < 100);
		}
		/* it died both before the point where the change holds and after it */
		assert_true(olds > 1 && news > 1);
	}
}

static void test_failing_writes_change_nothing(void **state)
{
	static const char *const points[] = { "ns.create", "image.save" };

	(void)state;
	for (int what = 0; what < N_CHANGES; what++) {
		for (size_t p = 0; p < EXP_ARRAY_SIZE(points); p++) {
			struct exp_fault_plan plan = { 0 };
			struct ssd_config config = { .profile = "aurora", .faults = &plan };
			struct exp_error err = { 0 };
			struct rig *r = rig_new("aurora");
			struct view before, now;
			struct ssd *ssd;

			rig_namespace(r, 128, 0, 1u << 0 | 1u << 2);
			make_change(r, EXPORT_CREATE);
			before = look(r);
			ssd_close(r->ssd);
			config.dir = r->dir;
			assert_int_equal(ssd_open(&config, &ssd, &err), 0);
			r->ssd = ssd;
			for (unsigned int i = 0; i < RIG_FNS; i++)
				ssd_fn_bind(rig_fn(r, i),
					    &(struct ssd_host){ .arg = &r->port[i],
								.dma = rig_dma,
								.dma_read = rig_dma_read,
								.dma_write = rig_dma_write,
								.bus_master = rig_bus_master });
			exp_fault_arm(&plan, points[p], 0, -EIO);
			rig_clear(r);
			if (what == NS_CREATE) {
				exp_put_le64(rig_data(r), 128);
				exp_put_le64(rig_data(r) + 8, 128);
				rig_fails(r, 0, 6, .opcode = 0x0D);
			} else if (what == NS_DELETE && p) {
				rig_fails(r, 0, 6, .opcode = 0x0D, .cdw10 = 1, .nsid = 1);
			} else if (what == EXPORT_CREATE && p) {
				rig_fails(r, 0, 6, .opcode = 0x2A, .cdw11 = 0x80000001);
			}
			plan.n = 0;
			now = look(r);
			assert_memory_equal(&now, &before, sizeof(now));
			rig_free(r);
		}
	}
}

static void expect_open_fails(const struct rig *r, const char *profile, uint32_t functions,
			      int want, const char *words)
{
	struct ssd_config config = { .dir = r->dir, .profile = profile, .functions = functions };
	struct exp_error err = { 0 };
	struct ssd *ssd = NULL;

	assert_int_equal(ssd_open(&config, &ssd, &err), want);
	if (!strstr(err.msg, words))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, words);
}

static void test_open_refusals(void **state)
{
	struct rig *r = rig_new("aurora");
	char path[128];

	(void)state;
	expect_open_fails(r, "aurora", 0, -EBUSY, "in use");
	rig_namespace(r, 128, 0, 0);
	ssd_close(r->ssd);
	expect_open_fails(r, "borealis", 0, -EINVAL, "\"aurora\", not \"borealis\"");
	expect_open_fails(r, "nosuch", 0, -EINVAL, "\"nosuch\"");
	expect_open_fails(r, "aurora", 7, -EINVAL, "4 functions, not 7");
	expect_open_fails(r, "aurora", 33, -EINVAL, "33");
	expect_open_fails(r, "aurora", 3, -EINVAL, "3");
	snprintf(path, sizeof(path), "%s/ns-1.img", r->dir);
	assert_int_equal(truncate(path, 1000), 0);
	expect_open_fails(r, "aurora", 0, -EINVAL, "1000");
	unlink(path);
	expect_open_fails(r, "aurora", 0, -ENOENT, "ns-1.img");
	rmdir(r->dir);
	assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
	assert_int_equal(truncate(path, 128 * 512), 0);
	rig_open(r, "aurora", false);
	rig_free(r);
}

static void test_damaged_metadata(void **state)
{
	struct rig *r = rig_new("aurora");
	char path[128], *text;
	struct exp_error err;
	size_t len;

	(void)state;
	rig_namespace(r, 128, 0, 1);
	rig_export(r, 1, 1, 1, RIG_NQN);
	ssd_close(r->ssd);
	snprintf(path, sizeof(path), "%s/image.json", r->dir);
	assert_int_equal(exp_fs_read(path, 1 << 20, &text, &len, &err), 0);
	/* cut anywhere, it is no image; the closing newline is not part of it */
	for (size_t cut = 0; cut + 2 < len; cut += 7) {
		struct stat st;

		assert_int_equal(truncate(path, (off_t)cut), 0);
		expect_open_fails(r, "aurora", 0, -EINVAL, "image.json");
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, cut);
		assert_int_equal(exp_fs_replace(path, text, len, 0600, &err), 0);
	}
	free(text);
	rig_open(r, "aurora", false);
	rig_free(r);
}

/* Values that the JSON may have and a drive may not. */
static void test_metadata_that_cannot_be(void **state)
{
	static const struct {
		const char *from, *to, *words;
	} bad[] = {
		{ "\"format\": 1", "\"format\": 2", "format" },
		{ "\"functions\": 4", "\"functions\": 33", "functions" },
		{ "\"nsid\": 2", "\"nsid\": 1", "ascend" },
		{ "\"lbads\": 9", "\"lbads\": 64", "lbads" },
		{ "\"blocks\": 128", "\"blocks\": 0", "blocks" },
		{ "\"attached\": 3", "\"attached\": 32", "attached" },
		{ "\"cntlid\": 1", "\"cntlid\": 5", "cntlid" },
		{ "\"cntlid\": 1", "\"cntlid\": 0", "cntlid" },
		{ "\"cntlid\": 2", "\"cntlid\": 1", "twice" },
		{ "\"unsid\": 2", "\"unsid\": 1", "twice" },
		{ "\"config\": \"00", "\"config\": \"0G", "config" },
		{ "\"shared\"", "\"sharde\"", "sharde" },
	};
	struct rig *r = rig_new("aurora");
	char path[128], *text;
	struct exp_error err;
	size_t len;

	(void)state;
	rig_export(r, 1, 1, rig_namespace(r, 128, 0, 1), RIG_NQN);
	rig_export(r, 1, 2, rig_namespace(r, 128, 0, 1), RIG_NQN "-2");
	ssd_close(r->ssd);
	snprintf(path, sizeof(path), "%s/image.json", r->dir);
	assert_int_equal(exp_fs_read(path, 1 << 20, &text, &len, &err), 0);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(bad); i++) {
		char *at = strstr(text, bad[i].from), *changed;

		assert_non_null(at);
		assert_true(asprintf(&changed, "%.*s%s%s", (int)(at - text), text, bad[i].to,
				     at + strlen(bad[i].from)) > 0);
		assert_int_equal(exp_fs_replace(path, changed, strlen(changed), 0600, &err), 0);
		expect_open_fails(r, "aurora", 0, -EINVAL, bad[i].words);
		free(changed);
	}
	assert_int_equal(exp_fs_replace(path, text, len, 0600, &err), 0);
	free(text);
	rig_open(r, "aurora", false);
	rig_free(r);
}

/* What a namespace holds is there again, and files of nobody are not. */
static void test_blocks_survive(void **state)
{
	struct rig *r = rig_new("aurora");
	uint32_t ns = rig_namespace(r, 4096, 0, 1u << 1);
	char path[128];
	uint32_t dw[4];

	(void)state;
	for (int round = 0; round < 2; round++) {
		rig_enable(r, 1);
		rig_ok(r, 1, .opcode = 5, .cdw10 = 7 << 16 | 1, .cdw11 = 1,
		       .prp1 = RIG_IOVA + 0x11000);
		rig_ok(r, 1, .opcode = 1, .cdw10 = 7 << 16 | 1, .cdw11 = 1 << 16 | 1,
		       .prp1 = RIG_IOVA + 0x10000);
		memset(rig_data(r), round ? 0 : 0x5A, 4096);
		memset(r->mem + 0x11000, 0, 4096);
		rig_encode(&(struct rig_cmd){ .opcode = round ? 2 : 1,
					      .nsid = ns,
					      .cdw10 = 100,
					      .cdw12 = 7 },
			   r->mem + 0x10000);
		r->fn[1].db[2] = 1;
		rig_run(r, 1);
		assert_int_equal(exp_le32(r->mem + 0x11000 + 12), 0x00010000);
		for (int i = 0; i < 4096; i++)
			assert_int_equal(rig_data(r)[i], 0x5A);
		snprintf(path, sizeof(path), "%s/ns-99.img", r->dir);
		assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
		rig_reopen(r, "aurora", round);
		assert_int_equal(ns_files(r->dir), 1);
	}
	assert_false(rig_reap(r, 1, dw));
	rig_free(r);
}

/* File and directory are on disk before the metadata names the file; forgotten before it goes. */
static void test_order_of_syncs(void **state)
{
	struct rig *r = rig_new("aurora");

	(void)state;
	memset(calls, 0, sizeof(calls));
	make_change(r, NS_CREATE);
	assert_string_equal(calls, "tss"
				   "uwsrs");
	memset(calls, 0, sizeof(calls));
	make_change(r, NS_DELETE);
	assert_string_equal(calls, "uwsrs"
				   "u");
	rig_free(r);
}

static void test_durable_writes(void **state)
{
	struct rig *r = rig_new("aurora");
	uint32_t ns = rig_namespace(r, 4096, 0, 1u << 1);
	static const struct {
		uint32_t cache, cdw12;
		int flags;
	} rows[] = { { 1, 0, 0 }, { 1, 0x40000000, RWF_DSYNC }, { 0, 0, RWF_DSYNC } };

	(void)state;
	rig_enable(r, 1);
	rig_ok(r, 1, .opcode = 5, .cdw10 = 7 << 16 | 1, .cdw11 = 1, .prp1 = RIG_IOVA + 0x11000);
	rig_ok(r, 1, .opcode = 1, .cdw10 = 7 << 16 | 1, .cdw11 = 1 << 16 | 1,
	       .prp1 = RIG_IOVA + 0x10000);
	for (uint32_t i = 0; i < EXP_ARRAY_SIZE(rows); i++) {
		write_flags = -1;
		rig_ok(r, 1, .opcode = 9, .cdw10 = 6, .cdw11 = rows[i].cache);
		rig_encode(&(struct rig_cmd){ .opcode = 1, .nsid = ns, .cdw12 = rows[i].cdw12 },
			   r->mem + 0x10000 + 64 * i);
		r->fn[1].db[2] = i + 1;
		rig_run(r, 1);
		assert_int_equal(write_flags, rows[i].flags);
	}
	rig_free(r);
}

static void test_namespace_management(void **state)
{
	struct rig *r = rig_new("small"); /* 256 MiB */
	uint8_t *d = rig_data(r);

	(void)state;
	rig_clear(r);
	rig_fails(r, 0, 0x02, .opcode = 0x0D); /* no size */
	exp_put_le64(d, 1024);
	exp_put_le64(d + 8, 1023);
	rig_fails(r, 0, 0x02, .opcode = 0x0D); /* thin */
	exp_put_le64(d + 8, 1024);
	d[26] = 2;
	rig_fails(r, 0, 0x10A, .opcode = 0x0D); /* no such format */
	d[26] = 0;
	d[29] = 1;
	rig_fails(r, 0, 0x10A, .opcode = 0x0D); /* protection information */
	d[29] = 0;
	rig_fails(r, 0, 0x02, .opcode = 0x0D, .nsid = 1);
	rig_fails(r, 0, 0x02, .opcode = 0x0D, .cdw10 = 2);
	exp_put_le64(d, 524289);
	exp_put_le64(d + 8, 524289);
	rig_fails(r, 0, 0x115, .opcode = 0x0D);
	exp_put_le64(d, 524288);
	exp_put_le64(d + 8, 524288);
	assert_int_equal(rig_ok(r, 0, .opcode = 0x0D), 1); /* private, all of the drive */
	rig_ok(r, 0, .opcode = 6, .cdw10 = 1);
	assert_int_equal(exp_le64(d + 280), 256u << 20);
	assert_int_equal(exp_le64(d + 296), 0);
	rig_clear(r);
	exp_put_le16(d, 2);
	exp_put_le16(d + 2, 1);
	exp_put_le16(d + 4, 2);
	rig_fails(r, 0, 0x119, .opcode = 0x15, .nsid = 1); /* private */
	exp_put_le16(d, 1);
	rig_ok(r, 0, .opcode = 0x15, .nsid = 1);
	exp_put_le16(d + 2, 2);
	rig_fails(r, 0, 0x119, .opcode = 0x15, .nsid = 1);
	exp_put_le16(d + 2, 99);
	rig_fails(r, 0, 0x11C, .opcode = 0x15, .nsid = 1);
	exp_put_le16(d, 0);
	rig_fails(r, 0, 0x11C, .opcode = 0x15, .nsid = 1);
	rig_fails(r, 0, 0x02, .opcode = 0x15, .nsid = 2);
	rig_fails(r, 0, 0x0B, .opcode = 0x0D, .cdw10 = 1, .nsid = 0);
	rig_fails(r, 0, 0x02, .opcode = 0x0D, .cdw10 = 1, .nsid = 2);
	rig_fails(r, 1, 0x01, .opcode = 0x0D, .cdw10 = 1, .nsid = 1); /* the MMC alone manages */
	rig_ok(r, 0, .opcode = 0x0D, .cdw10 = 1, .nsid = 0xFFFFFFFF);
	assert_int_equal(ns_files(r->dir), 0);
	rig_ok(r, 1, .opcode = 6, .cdw10 = 2);
	assert_int_equal(exp_le32(d), 0);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kill_at_every_call),
		cmocka_unit_test(test_failing_writes_change_nothing),
		cmocka_unit_test(test_open_refusals),
		cmocka_unit_test(test_damaged_metadata),
		cmocka_unit_test(test_metadata_that_cannot_be),
		cmocka_unit_test(test_blocks_survive),
		cmocka_unit_test(test_order_of_syncs),
		cmocka_unit_test(test_durable_writes),
		cmocka_unit_test(test_namespace_management),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
