/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "device/device_int.h"
#include "device/reach_vfio_user.h"

#define DEFAULT_IO_QUEUES 8u

/* ---- commands ---- */

static uint64_t timeout_of(const struct exp_device *d, uint64_t timeout_ms)
{
	if (timeout_ms)
		return timeout_ms;
	return d->config.admin_timeout_ms ? d->config.admin_timeout_ms : EXP_ADMIN_TIMEOUT_MS;
}

static bool is_suspend(const struct exp_nvme_cmd *cmd)
{
	struct exp_nvme_cmd s;

	exp_nvme_suspend(&s, (uint16_t)cmd->sqe.cdw11, EXP_NVME_SUSPEND);
	return s.sqe.opcode == cmd->sqe.opcode && s.sqe.cdw10 == cmd->sqe.cdw10 &&
	       s.sqe.cdw11 == cmd->sqe.cdw11;
}

/*
 * There are as many slots as a transport lets be outstanding; a free one can only be missing when
 * two transports share them, and then the command is given up like any other.
 */
static void remember_late(struct exp_device *d, struct exp_admin *a, const struct exp_nvme_cmd *cmd,
			  uint32_t cntlid)
{
	struct exp_late *l = NULL;

	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(d->late) && !l; i++)
		if (!d->late[i].cmd)
			l = &d->late[i];
	if (l)
		*l = (struct exp_late){
			.cmd = a,
			.name = cmd->name,
			.cntlid = cntlid,
			.suspend = is_suspend(cmd),
		};
	pthread_mutex_unlock(&d->lock);
	if (!l)
		d->mmc->ops->admin_free(d->mmc, a);
}

/* Has it completed? 1: yes, and it is freed. Called without the lock. */
static int look_at_late(struct exp_device *d, const struct exp_late *l, uint64_t deadline_us,
			int *ret_suspend, struct exp_error *err)
{
	struct exp_error refusal = { 0 };
	struct exp_nvme_cqe cqe;
	int r = d->mmc->ops->admin_wait(d->mmc, l->cmd, NULL, deadline_us, &cqe, &refusal);

	if (r == -ETIMEDOUT)
		return 0;
	if (r == -ENODEV) {
		if (err)
			*err = refusal;
		return r;
	}
	/* a refusal by the kernel is an answer too: it will not take effect */
	if (r == 0 && cqe.status)
		r = exp_nvme_status_error(&refusal, cqe.status, "%s", l->name);
	if (l->suspend && ret_suspend)
		*ret_suspend = r;
	d->mmc->ops->admin_free(d->mmc, l->cmd);
	return 1;
}

int exp_device_late(struct exp_device *d, uint32_t cntlid, uint64_t timeout_ms, int *ret_suspend,
		    struct exp_error *err)
{
	uint64_t deadline_us = exp_mono_us() + timeout_ms * 1000;
	int left = 0, r = 0;

	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(d->late) && r >= 0; i++) {
		struct exp_late *l = &d->late[i];

		if (!l->cmd || (cntlid != UINT32_MAX && l->cntlid != cntlid))
			continue;
		if (l->watched) {
			left++;
			continue;
		}
		l->watched = true;
		pthread_mutex_unlock(&d->lock);
		r = look_at_late(d, l, deadline_us, ret_suspend, err);
		pthread_mutex_lock(&d->lock);
		l->watched = false;
		if (r == 1)
			l->cmd = NULL;
		else
			left++;
	}
	pthread_mutex_unlock(&d->lock);
	return r < 0 ? r : left;
}

int exp_device_run(struct exp_device *d, const struct exp_nvme_cmd *cmd, uint64_t timeout_ms,
		   bool changes, uint32_t cntlid, struct exp_nvme_cqe *ret, struct exp_error *err)
{
	struct exp_admin *late = NULL;
	int r;

	if (changes && cntlid != EXP_NO_CNTLID) {
		r = exp_device_late(d, cntlid, 0, NULL, err);
		if (r < 0)
			return r;
		if (r > 0)
			return exp_error_set(err, EXP_CODE_BUSY, EBUSY,
					     "%s: an earlier command for controller %u is still "
					     "outstanding and could overtake it",
					     cmd->name, cntlid);
	}
	r = exp_transport_admin(d->mmc, cmd, timeout_of(d, timeout_ms), ret, changes ? &late : NULL,
				err);
	if (late)
		remember_late(d, late, cmd, cntlid);
	return r;
}

int exp_device_read(struct exp_device *d, const struct exp_nvme_cmd *cmd, struct exp_nvme_cqe *ret,
		    struct exp_error *err)
{
	return exp_device_ask(d, d->mmc, cmd, ret, err);
}

int exp_device_change(struct exp_device *d, const struct exp_nvme_cmd *cmd, uint32_t cntlid,
		      struct exp_nvme_cqe *ret, struct exp_error *err)
{
	struct exp_nvme_cqe cqe;
	int r = exp_device_run(d, cmd, 0, true, cntlid, &cqe, err);

	if (r < 0)
		return r;
	if (ret)
		*ret = cqe;
	return exp_nvme_check(cmd, &cqe, err);
}

int exp_device_ask(struct exp_device *d, struct exp_transport *t, const struct exp_nvme_cmd *cmd,
		   struct exp_nvme_cqe *ret, struct exp_error *err)
{
	struct exp_nvme_cqe cqe;
	int r = exp_transport_admin(t, cmd, timeout_of(d, 0), &cqe, NULL, err);

	if (r < 0)
		return r;
	if (ret)
		*ret = cqe;
	return exp_nvme_check(cmd, &cqe, err);
}

int exp_device_identify(struct exp_device *d, struct exp_transport *t, enum exp_nvme_cns cns,
			uint32_t nsid, uint16_t cntid, uint8_t page[EXP_NVME_PAGE],
			struct exp_error *err)
{
	struct exp_nvme_cmd cmd;

	exp_nvme_identify(&cmd, cns, nsid, cntid, page);
	return exp_device_ask(d, t, &cmd, NULL, err);
}

/* With the lock held: where it is in the list, or the end of it. */
static uint32_t find_loading(const struct exp_device *d, uint16_t cntlid)
{
	uint32_t i = 0;

	while (i < d->n_loading && d->loading[i] != cntlid)
		i++;
	return i;
}

void exp_device_set_loading(struct exp_device *d, uint16_t cntlid, bool loading)
{
	uint32_t i;

	pthread_mutex_lock(&d->lock);
	i = find_loading(d, cntlid);
	if (loading && i == d->n_loading && i < EXP_ARRAY_SIZE(d->loading))
		d->loading[d->n_loading++] = cntlid;
	else if (!loading && i < d->n_loading)
		d->loading[i] = d->loading[--d->n_loading];
	pthread_mutex_unlock(&d->lock);
}

bool exp_device_is_loading(struct exp_device *d, uint16_t cntlid)
{
	bool is;

	pthread_mutex_lock(&d->lock);
	is = find_loading(d, cntlid) < d->n_loading;
	pthread_mutex_unlock(&d->lock);
	return is;
}

/* ---- life ---- */

static int open_transport(const char *spec, const struct exp_device_config *config, bool may_reset,
			  struct exp_transport **ret, struct exp_error *err)
{
	unsigned int n_ioq = config->io_queues ? config->io_queues : DEFAULT_IO_QUEUES;
	struct exp_reach *reach;
	int r;

	if (!strncmp(spec, "vfio-user:", 10)) {
		r = exp_reach_vfio_user_open(spec + 10, &reach, err);
		if (r == 0)
			r = exp_transport_queues_open(reach, may_reset, n_ioq, ret, err);
	} else if (!strncmp(spec, "nvme:", 5)) {
		r = exp_transport_libnvme_open(spec + 5, ret, err);
	} else {
		return exp_error_set(err, EXP_CODE_CONFIG, EINVAL,
				     "transport \"%s\": vfio-user:DIR and nvme:PATH are known",
				     spec);
	}
	return r < 0 ? exp_error_wrap(err, r, "%s", spec) : 0;
}

int exp_device_open_on(struct exp_transport *mmc, struct exp_transport *data,
		       const struct exp_device_config *config, struct exp_device **ret,
		       struct exp_error *err)
{
	struct exp_device *d = calloc(1, sizeof(*d));
	int r;

	if (!d) {
		exp_transport_close(data);
		exp_transport_close(mmc);
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "device");
	}
	pthread_mutex_init(&d->probe, NULL);
	pthread_mutex_init(&d->lock, NULL);
	d->mmc = mmc;
	d->data = data ? data : mmc->ops->ioq_open && mmc->max_ioq ? mmc : NULL;
	d->config = *config;
	d->config.transport = d->config.data = NULL;
	d->config.reference_template = NULL;
	d->ref_template = config->reference_template ? *config->reference_template
						     : exp_nvme_reference_template;
	if (!d->data && config->transport && !strncmp(config->transport, "nvme:", 5)) {
		const char *base = strrchr(config->transport, '/');

		base = base ? base + 1 : config->transport + 5;
		if (strlen(base) < sizeof(d->block_name))
			memcpy(d->block_name, base, strlen(base) + 1);
	}
	r = exp_device_read_all(d, err);
	if (r < 0) {
		exp_device_close(d);
		return r;
	}
	*ret = d;
	return 0;
}

int exp_device_open(const struct exp_device_config *config, struct exp_device **ret,
		    struct exp_error *err)
{
	struct exp_transport *mmc, *data = NULL;
	int r = open_transport(config->transport, config, config->may_reset, &mmc, err);

	if (r < 0)
		return r;
	if (config->data && config->data[0]) {
		/* it is ours and holds no guest: resetting it suspends and resumes nobody */
		r = open_transport(config->data, config, true, &data, err);
		if (r < 0) {
			exp_transport_close(mmc);
			return exp_error_wrap(err, r, "data controller");
		}
	}
	r = exp_device_open_on(mmc, data, config, ret, err);
	return r < 0 ? exp_error_wrap(err, r, "%s", config->transport) : 0;
}

void exp_device_close(struct exp_device *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(d->late); i++)
		if (d->late[i].cmd)
			d->mmc->ops->admin_free(d->mmc, d->late[i].cmd);
	if (d->data && d->data != d->mmc)
		exp_transport_close(d->data);
	exp_transport_close(d->mmc);
	pthread_mutex_destroy(&d->lock);
	pthread_mutex_destroy(&d->probe);
	free(d);
}

void exp_device_caps(struct exp_device *d, struct exp_caps *ret)
{
	pthread_mutex_lock(&d->lock);
	*ret = d->caps;
	pthread_mutex_unlock(&d->lock);
}

int exp_device_check(struct exp_device *d, struct exp_error *err)
{
	return d->mmc->ops->check(d->mmc, err);
}

bool exp_device_data_cntlid(struct exp_device *d, uint16_t *ret)
{
	if (!d->data)
		return false;
	*ret = d->data_cntlid;
	return true;
}
