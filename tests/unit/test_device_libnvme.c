/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel transport with libnvme itself, linked statically so that its ioctl(2) is this one.
 */
#include "support/tests.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/le.h"
#include "device/scan.h"
#include "device/transport.h"
#include "nvme/ident.h"
#include "nvme/lm_cmd.h"

/* As <linux/nvme_ioctl.h> has it: 72 bytes, request C0484E41h. */
#define NVME_ADMIN_CMD 0xc0484e41ul

int __wrap_ioctl(int fd, unsigned long request, void *arg);

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	uint8_t cmd[72]; /* the last one */
	unsigned int n;
	int result, errnum;
	uint32_t dw0;
	bool hold;
	unsigned int inside;
} k = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	uint8_t *c = arg;
	int r;

	(void)fd;
	pthread_mutex_lock(&k.lock);
	assert_int_equal(request, NVME_ADMIN_CMD);
	memcpy(k.cmd, c, sizeof(k.cmd));
	k.n++;
	k.inside++;
	pthread_cond_broadcast(&k.wake);
	while (k.hold)
		pthread_cond_wait(&k.wake, &k.lock);
	k.inside--;
	/* data: bytes 24..31 address, 36..39 length; an even opcode writes it */
	if (!(c[0] & 1) && exp_le32(c + 36) && !k.result)
		memset((void *)(uintptr_t)exp_le64(c + 24), 0x5a, exp_le32(c + 36));
	exp_put_le32(c + 68, k.dw0);
	r = k.result;
	errno = k.errnum;
	pthread_cond_broadcast(&k.wake);
	pthread_mutex_unlock(&k.lock);
	return r;
}

static void set_hold(bool hold)
{
	pthread_mutex_lock(&k.lock);
	k.hold = hold;
	pthread_cond_broadcast(&k.wake);
	pthread_mutex_unlock(&k.lock);
}

/* Until @n commands are in the kernel. */
static void wait_inside(unsigned int n)
{
	pthread_mutex_lock(&k.lock);
	while (k.inside != n)
		pthread_cond_wait(&k.wake, &k.lock);
	pthread_mutex_unlock(&k.lock);
}

static struct exp_error err;

static struct exp_transport *open_kernel(void)
{
	struct exp_transport *t;

	memset(&err, 0, sizeof(err));
	pthread_mutex_lock(&k.lock);
	k.n = 0;
	k.result = k.errnum = 0;
	k.dw0 = 0;
	k.hold = false;
	pthread_mutex_unlock(&k.lock);
	assert_ok(exp_transport_libnvme_open("/dev/null", &t, &err), &err);
	return t;
}

static void test_command_as_the_kernel_gets_it(void **state)
{
	struct exp_transport *t = open_kernel();
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	uint8_t page[4096] = { 0 };

	(void)state;
	k.dw0 = 0xabcd;
	exp_nvme_get_state(&cmd, 5, (struct exp_nvme_state_sel){ 1, 0 }, 0, page, sizeof(page));
	assert_ok(exp_transport_admin(t, &cmd, 5000, &cqe, NULL, &err), &err);
	assert_int_equal(k.cmd[0], 0x42);
	assert_int_equal(exp_le32(k.cmd + 4), 0);           /* nsid */
	assert_int_equal(exp_le32(k.cmd + 36), 4096);       /* data_len */
	assert_int_equal(exp_le32(k.cmd + 40), 0x00010000); /* cdw10 */
	assert_int_equal(exp_le32(k.cmd + 44), 5);          /* cdw11 */
	assert_int_equal(exp_le32(k.cmd + 60), 1023);       /* cdw15 */
	/* a time-out of the kernel would be a reset: days */
	assert_true(exp_le32(k.cmd + 64) >= 24u * 3600 * 1000);
	assert_int_equal(cqe.dw0, 0xabcd);
	assert_int_equal(cqe.status, 0);
	assert_int_equal(page[4095], 0x5a);
	/* not into the caller's memory, which it may leave behind */
	assert_true(exp_le64(k.cmd + 24) != (uintptr_t)page);
	exp_transport_close(t);
}

static void test_status_of_the_device(void **state)
{
	struct exp_transport *t = open_kernel();
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;

	(void)state;
	k.result = 0x4000 | 0x13a; /* do not retry, 1/3Ah */
	exp_nvme_resume(&cmd, 5);
	assert_ok(exp_transport_admin(t, &cmd, 5000, &cqe, NULL, &err), &err);
	assert_int_equal(cqe.status, 0x13a);
	assert_true(cqe.dnr);
	assert_false(cqe.more);
	exp_transport_close(t);
}

static void test_refusals_of_the_kernel(void **state)
{
	static const struct {
		int errnum, r;
		enum exp_code code;
		const char *part;
	} cases[] = {
		{ EACCES, -EACCES, EXP_CODE_DENIED, "CAP_SYS_ADMIN" },
		{ EINVAL, -EINVAL, EXP_CODE_DEVICE, "4096" },
		{ ENODEV, -ENODEV, EXP_CODE_DEVICE_GONE, "Identify" },
		{ ENXIO, -ENODEV, EXP_CODE_DEVICE_GONE, "Identify" },
		{ EIO, -EIO, EXP_CODE_DEVICE, "Identify" },
	};
	struct exp_transport *t = open_kernel();
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	uint8_t page[4096];

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(cases); i++) {
		k.result = -1;
		k.errnum = cases[i].errnum;
		exp_nvme_identify(&cmd, EXP_NVME_CNS_CTRL, 0, 0, page);
		assert_int_equal(exp_transport_admin(t, &cmd, 5000, &cqe, NULL, &err), cases[i].r);
		assert_error(&err, cases[i].code, cases[i].part);
	}
	exp_transport_close(t);
}

static void test_limits_of_this_way(void **state)
{
	struct exp_transport *t = open_kernel();
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	uint8_t page[8192];

	(void)state;
	t->max_bytes = 4096;
	exp_nvme_get_state(&cmd, 5, (struct exp_nvme_state_sel){ 1, 0 }, 0, page, sizeof(page));
	assert_int_equal(exp_transport_admin(t, &cmd, 5000, &cqe, NULL, &err), -E2BIG);
	assert_non_null(strstr(err.msg, "8192"));
	assert_non_null(strstr(err.msg, "4096"));
	exp_nvme_cdq_create(&cmd, 5, 0x1000, true, 16);
	assert_int_equal(exp_transport_admin(t, &cmd, 5000, &cqe, NULL, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.msg, t->no_dma));
	assert_int_equal(k.n, 0);
	assert_null(t->ops->dma_alloc);
	assert_ok(t->ops->check(t, &err), &err);
	exp_transport_close(t);
}

static void test_late_command_can_be_waited_for(void **state)
{
	struct exp_transport *t = open_kernel();
	struct exp_admin *late = NULL;
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;

	(void)state;
	set_hold(true);
	exp_nvme_suspend(&cmd, 5, EXP_NVME_SUSPEND);
	assert_int_equal(exp_transport_admin(t, &cmd, 0, &cqe, &late, &err), -ETIMEDOUT);
	assert_error(&err, EXP_CODE_DEVICE_TIMEOUT, "still outstanding");
	assert_int_equal(t->ops->admin_wait(t, late, NULL, 0, &cqe, &err), -ETIMEDOUT);
	set_hold(false);
	assert_ok(t->ops->admin_wait(t, late, NULL, exp_mono_us() + 5000000, &cqe, &err), &err);
	t->ops->admin_free(t, late);
	exp_transport_close(t);
}

/* Several at once, one given up, the transport closed over it: the last one out frees it all. */
static void test_closing_over_outstanding_commands(void **state)
{
	struct exp_transport *t = open_kernel();
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	struct exp_admin *a;
	uint8_t page[4096];

	(void)state;
	set_hold(true);
	exp_nvme_identify(&cmd, EXP_NVME_CNS_CTRL, 0, 0, page);
	for (int i = 0; i < EXP_ADMIN_MAX - 1; i++)
		assert_int_equal(exp_transport_admin(t, &cmd, 0, &cqe, NULL, &err), -ETIMEDOUT);
	assert_ok(t->ops->admin_submit(t, &cmd, &a, &err), &err);
	assert_int_equal(t->ops->admin_submit(t, &cmd, &a, &err), -EBUSY);
	wait_inside(EXP_ADMIN_MAX);
	exp_transport_close(t);
	set_hold(false);
	wait_inside(0);
}

static void test_open_refusals(void **state)
{
	struct exp_transport *t;

	(void)state;
	assert_int_equal(exp_transport_libnvme_open("/nonexistent/nvme0", &t, &err), -ENOENT);
	assert_error(&err, EXP_CODE_CONFIG, "/nonexistent/nvme0");
}

/* Whatever this machine has, also nothing. */
static void test_scan(void **state)
{
	struct exp_scan_entry *list = NULL;
	size_t n = 0;

	(void)state;
	assert_ok(exp_scan(&list, &n, &err), &err);
	assert_true((list != NULL) == (n != 0));
	free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_as_the_kernel_gets_it),
		cmocka_unit_test(test_status_of_the_device),
		cmocka_unit_test(test_refusals_of_the_kernel),
		cmocka_unit_test(test_limits_of_this_way),
		cmocka_unit_test(test_late_command_can_be_waited_for),
		cmocka_unit_test(test_closing_over_outstanding_commands),
		cmocka_unit_test(test_open_refusals),
		cmocka_unit_test(test_scan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
