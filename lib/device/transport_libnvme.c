/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport_libnvme.c - admin commands through the kernel's NVMe driver, and the scan for its
 * controllers: all that uses <libnvme.h>
 *
 * The call blocks until the device answers and cannot be taken back, so each command runs on a
 * thread of its own, which owns the command's memory: a caller whose deadline passes walks away
 * and nothing it owns is written to later. The device time-out is days, since the kernel answers a
 * time-out with a reset of the controller.
 *
 * libnvme only submits: commands are built in lib/nvme, because the libnvme of today's
 * distributions has no names for most of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libnvme.h>

#include "base/clock.h"
#include "base/fs.h"
#include "device/scan.h"
#include "device/transport.h"

#define DEVICE_TIMEOUT_MS (7u * 24 * 3600 * 1000)
#define KERNEL_BYTES_MAX  (1u << 20) /* until MDTS is known */
#define STACK_BYTES       (64u << 10)

struct kernel {
	struct exp_transport t;
	int fd;
	char state_path[PATH_MAX]; /* sysfs: "live" while the controller is up; "" when there is
				      none */

	pthread_mutex_t lock; /* what follows, and the state of every command */
	pthread_cond_t wake;
	unsigned int outstanding;
	bool closed; /* the last command frees this */
};

struct exp_admin {
	struct kernel *k;
	struct nvme_passthru_cmd cmd;
	const char *name;
	uint8_t *buf;
	size_t bytes;
	bool reads;
	bool done, given_up;
	int result; /* of libnvme: 0, a status, -1 */
	int errnum; /* with -1 */
	uint32_t dw0;
};

static void destroy(struct kernel *k)
{
	if (k->fd >= 0)
		close(k->fd);
	pthread_cond_destroy(&k->wake);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

static void free_cmd(struct exp_admin *a)
{
	free(a->buf);
	free(a);
}

static void *run_cmd(void *arg)
{
	struct exp_admin *a = arg;
	struct kernel *k = a->k;
	bool last;
	int r;

	errno = 0;
	r = nvme_submit_admin_passthru(k->fd, &a->cmd, &a->dw0);
	pthread_mutex_lock(&k->lock);
	a->errnum = r < 0 ? errno : 0;
	a->result = r;
	a->done = true;
	k->outstanding--;
	last = k->closed && !k->outstanding;
	if (a->given_up || k->closed)
		free_cmd(a);
	pthread_cond_broadcast(&k->wake);
	pthread_mutex_unlock(&k->lock);
	if (last)
		destroy(k);
	return NULL;
}

static int start_thread(struct exp_admin *a, struct exp_error *err)
{
	pthread_attr_t attr;
	pthread_t thread;
	int e;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, EXP_MAX(STACK_BYTES, (unsigned int)PTHREAD_STACK_MIN));
	e = pthread_create(&thread, &attr, run_cmd, a);
	pthread_attr_destroy(&attr);
	return e ? exp_error_set(err, EXP_CODE_NO_MEMORY, e, "%s: thread: %s", a->name, strerror(e))
		 : 0;
}

static struct exp_admin *new_cmd(struct kernel *k, const struct exp_nvme_cmd *cmd)
{
	const struct exp_nvme_sqe *s = &cmd->sqe;
	struct exp_admin *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->k = k;
	a->name = cmd->name;
	a->bytes = cmd->bytes;
	a->reads = cmd->in != NULL;
	if (cmd->bytes) {
		a->buf = aligned_alloc(EXP_NVME_PAGE, (cmd->bytes + EXP_NVME_PAGE - 1) /
							      EXP_NVME_PAGE * EXP_NVME_PAGE);
		if (!a->buf) {
			free(a);
			return NULL;
		}
		if (cmd->out)
			memcpy(a->buf, cmd->out, cmd->bytes);
		else
			memset(a->buf, 0, cmd->bytes);
	}
	a->cmd = (struct nvme_passthru_cmd){
		.opcode = s->opcode,
		.flags = s->flags,
		.nsid = s->nsid,
		.cdw2 = s->cdw2,
		.cdw3 = s->cdw3,
		.addr = (uint64_t)(uintptr_t)a->buf,
		.data_len = (uint32_t)cmd->bytes,
		.cdw10 = s->cdw10,
		.cdw11 = s->cdw11,
		.cdw12 = s->cdw12,
		.cdw13 = s->cdw13,
		.cdw14 = s->cdw14,
		.cdw15 = s->cdw15,
		.timeout_ms = DEVICE_TIMEOUT_MS,
	};
	return a;
}

static int admin_submit(struct exp_transport *t, const struct exp_nvme_cmd *cmd,
			struct exp_admin **ret, struct exp_error *err)
{
	struct kernel *k = (struct kernel *)t;
	struct exp_admin *a;
	int r = 0;

	if (cmd->own_prp)
		return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, EOPNOTSUPP, "%s: %s", cmd->name,
				     t->no_dma);
	if (cmd->bytes > t->max_bytes)
		return exp_error_set(
			err, EXP_CODE_TOO_LARGE, E2BIG,
			"%s: %zu bytes of data, the drive transfers at most %zu at once", cmd->name,
			cmd->bytes, t->max_bytes);
	a = new_cmd(k, cmd);
	if (!a)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "%s", cmd->name);
	pthread_mutex_lock(&k->lock);
	if (k->outstanding == EXP_ADMIN_MAX)
		r = exp_error_set(err, EXP_CODE_BUSY, EBUSY,
				  "%s: %d admin commands are outstanding already", cmd->name,
				  EXP_ADMIN_MAX);
	else
		r = start_thread(a, err);
	if (r == 0)
		k->outstanding++;
	pthread_mutex_unlock(&k->lock);
	if (r < 0) {
		free_cmd(a);
		return r;
	}
	*ret = a;
	return 0;
}

/* The kernel's refusal to submit; the device was not asked. */
static int kernel_error(const struct exp_admin *a, struct exp_error *err)
{
	int e = a->errnum ? a->errnum : EIO;

	switch (e) {
	case ENODEV:
	case ENXIO:
	case ESHUTDOWN:
		exp_error_set(err, EXP_CODE_DEVICE_GONE, e, "%s: %s", a->name, strerror(e));
		return -ENODEV;
	case EACCES:
	case EPERM:
		return exp_error_set(err, EXP_CODE_DENIED, e,
				     "%s: %s: admin pass-through needs CAP_SYS_ADMIN", a->name,
				     strerror(e));
	case EINVAL:
		return exp_error_set(
			err, EXP_CODE_DEVICE, e,
			"%s: the kernel refused it with %zu bytes of data; its limit is "
			"max_hw_sectors_kb",
			a->name, a->bytes);
	default: return exp_error_set(err, EXP_CODE_DEVICE, e, "%s: %s", a->name, strerror(e));
	}
}

static int admin_wait(struct exp_transport *t, struct exp_admin *a, void *in, uint64_t deadline_us,
		      struct exp_nvme_cqe *ret, struct exp_error *err)
{
	struct timespec ts = { .tv_sec = (time_t)(deadline_us / 1000000),
			       .tv_nsec = (long)(deadline_us % 1000000 * 1000) };
	struct kernel *k = (struct kernel *)t;
	int r = 0;

	pthread_mutex_lock(&k->lock);
	while (!a->done && exp_mono_us() < deadline_us)
		pthread_cond_timedwait(&k->wake, &k->lock, &ts);
	if (!a->done) {
		r = exp_error_set(err, EXP_CODE_DEVICE_TIMEOUT, ETIMEDOUT,
				  "%s: no answer in time; it is still outstanding", a->name);
	} else if (a->result < 0) {
		r = kernel_error(a, err);
	} else {
		/* bits 10:0 status, 13 more, 14 do not retry; DW1 does not come this way */
		*ret = (struct exp_nvme_cqe){
			.dw0 = a->dw0,
			.status = (uint16_t)(a->result & 0x7ff),
			.more = a->result & 0x2000,
			.dnr = a->result & 0x4000,
		};
		if (in && a->reads && !ret->status)
			memcpy(in, a->buf, a->bytes);
	}
	pthread_mutex_unlock(&k->lock);
	return r;
}

static void admin_free(struct exp_transport *t, struct exp_admin *a)
{
	struct kernel *k = (struct kernel *)t;

	pthread_mutex_lock(&k->lock);
	if (a->done)
		free_cmd(a);
	else
		a->given_up = true;
	pthread_mutex_unlock(&k->lock);
}

static int check(struct exp_transport *t, struct exp_error *err)
{
	struct kernel *k = (struct kernel *)t;
	EXP_CLEANUP(exp_close_fdp) int fd = -1;
	char state[32] = "";
	ssize_t n;

	if (!k->state_path[0])
		return 0;
	fd = open(k->state_path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return exp_error_set(err, EXP_CODE_DEVICE_GONE, ENODEV, "%s: %s", k->state_path,
				     strerror(errno));
	n = read(fd, state, sizeof(state) - 1);
	state[n > 0 ? n : 0] = 0;
	state[strcspn(state, "\n")] = 0;
	if (strcmp(state, "live"))
		return exp_error_set(err, EXP_CODE_DEVICE, EIO,
				     "the kernel says the controller is \"%s\", not \"live\"",
				     state);
	return 0;
}

static void close_kernel(struct exp_transport *t)
{
	struct kernel *k = (struct kernel *)t;
	bool last;

	pthread_mutex_lock(&k->lock);
	k->closed = true;
	last = !k->outstanding;
	pthread_mutex_unlock(&k->lock);
	/* else the thread of the last command does it, when the device answers */
	if (last)
		destroy(k);
}

static const struct exp_transport_ops kernel_ops = {
	.name = "nvme",
	.admin_submit = admin_submit,
	.admin_wait = admin_wait,
	.admin_free = admin_free,
	.check = check,
	.close = close_kernel,
};

int exp_transport_libnvme_open(const char *path, struct exp_transport **ret, struct exp_error *err)
{
	const char *base = strrchr(path, '/');
	pthread_condattr_t attr;
	struct kernel *k = calloc(1, sizeof(*k));

	if (!k)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "%s", path);
	k->t.ops = &kernel_ops;
	k->t.max_bytes = KERNEL_BYTES_MAX;
	(void)snprintf(k->t.no_dma, sizeof(k->t.no_dma),
		       "the kernel's pass-through keeps no memory mapped for the drive");
	pthread_mutex_init(&k->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&k->wake, &attr);
	pthread_condattr_destroy(&attr);

	/* not nvme_open(): the oldest libnvme takes names under /dev only */
	k->fd = open(path, O_RDWR | O_CLOEXEC);
	if (k->fd < 0) {
		int e = errno;

		destroy(k);
		return exp_error_set(err, e == EACCES ? EXP_CODE_DENIED : EXP_CODE_CONFIG, e,
				     "%s: %s", path, strerror(e));
	}
	if ((size_t)snprintf(k->state_path, sizeof(k->state_path), "/sys/class/nvme/%s/state",
			     base ? base + 1 : path) >= sizeof(k->state_path) ||
	    access(k->state_path, R_OK) < 0)
		k->state_path[0] = 0;
	*ret = &k->t;
	return 0;
}

/* ---- scan ---- */

static void copy_text(char *to, size_t cap, const char *from)
{
	size_t n = from ? strnlen(from, cap - 1) : 0;

	memcpy(to, from ? from : "", n);
	while (n && to[n - 1] == ' ')
		n--;
	to[n] = 0;
}

static void fill_entry(struct exp_scan_entry *e, nvme_ctrl_t c)
{
	copy_text(e->name, sizeof(e->name), nvme_ctrl_get_name(c));
	copy_text(e->transport, sizeof(e->transport), nvme_ctrl_get_transport(c));
	copy_text(e->address, sizeof(e->address), nvme_ctrl_get_address(c));
	copy_text(e->model, sizeof(e->model), nvme_ctrl_get_model(c));
	copy_text(e->serial, sizeof(e->serial), nvme_ctrl_get_serial(c));
	copy_text(e->firmware, sizeof(e->firmware), nvme_ctrl_get_firmware(c));
	copy_text(e->subnqn, sizeof(e->subnqn), nvme_ctrl_get_subsysnqn(c));
}

static int fill_list(nvme_root_t root, struct exp_scan_entry **ret, size_t *ret_n,
		     struct exp_error *err)
{
	struct exp_scan_entry *list = NULL, *bigger;
	nvme_subsystem_t s;
	nvme_host_t h;
	nvme_ctrl_t c;
	size_t n = 0;

	nvme_for_each_host(root, h) nvme_for_each_subsystem(h, s) nvme_subsystem_for_each_ctrl(s, c)
	{
		if (n == EXP_SCAN_MAX)
			break;
		bigger = reallocarray(list, n + 1, sizeof(*list));
		if (!bigger) {
			free(list);
			return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "scan");
		}
		list = bigger;
		fill_entry(&list[n++], c);
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

int exp_scan(struct exp_scan_entry **ret, size_t *ret_n, struct exp_error *err)
{
	nvme_root_t root = nvme_create_root(NULL, -1);
	int r;

	if (!root)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "scan");
	errno = 0;
	if (nvme_scan_topology(root, NULL, NULL) < 0 && errno != ENOENT) {
		r = exp_error_set(err, EXP_CODE_SYSTEM, errno ? errno : EIO,
				  "scan for NVMe controllers: %s", strerror(errno ? errno : EIO));
	} else {
		r = fill_list(root, ret, ret_n, err);
	}
	nvme_free_tree(root);
	return r;
}
