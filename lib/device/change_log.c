/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change_log.c - the reader's end of a User Data Migration Queue
 *
 * The drive's tail is never visible; what counts is the phase tag of each slot, inverted at every
 * wrap. The head given back to the drive always stays one slot behind what was read: "the slot of
 * the last entry read" is a posted entry for every drive, "the slot after it" is not for some. So
 * two slots are never used instead of one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "device/change_log.h"
#include "device/device_int.h"
#include "nvme/cdq.h"

#define HEAD_WAIT_US 100000u /* how long a reader of a half-full ring waits for the drive */
#define STALE_IDS    256u    /* queue ids that a former life may have had */

struct exp_change_log {
	struct exp_device *d;
	uint16_t cntlid, cdqid;
	struct exp_change_log_ns ns;
	struct exp_dma ring;
	uint32_t entries, head;
	bool phase;             /* of the next entry */
	uint32_t pending;       /* entries read whose slots the drive has not got back */
	struct exp_admin *told; /* Set Features under way, NULL: none */
	uint32_t telling;       /* how many slots it gives back */
	int over;               /* negative errno: what ended the log */
	struct exp_error why;
	struct exp_change_log_stats stats;
};

int exp_change_log_create(struct exp_device *d, uint16_t cntlid, const struct exp_change_log_ns *ns,
			  uint32_t entries, struct exp_change_log **ret, struct exp_error *err)
{
	struct exp_change_log *log;
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	bool able;
	int r;

	entries = entries ? entries : EXP_CHANGE_LOG_ENTRIES;
	if (entries < EXP_CHANGE_LOG_ENTRIES_MIN || entries > EXP_CHANGE_LOG_ENTRIES_MAX)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "a change log of %u entries, %u to %u are possible", entries,
				     EXP_CHANGE_LOG_ENTRIES_MIN, EXP_CHANGE_LOG_ENTRIES_MAX);
	pthread_mutex_lock(&d->lock);
	able = d->caps.flags & EXP_CAP_CHANGE_LOG;
	r = able ? 0
		 : exp_error_set(err, EXP_CODE_NOT_SUPPORTED, EOPNOTSUPP, "no change log: %s",
				 d->caps.no_change_log);
	pthread_mutex_unlock(&d->lock);
	if (r < 0)
		return r;

	log = calloc(1, sizeof(*log));
	if (!log)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "change log");
	log->d = d;
	log->cntlid = cntlid;
	log->ns = *ns;
	log->entries = entries;
	log->phase = true; /* the ring is zero: phase 1 is the first pass */
	log->stats.capacity = entries;
	r = d->mmc->ops->dma_alloc(d->mmc, (size_t)entries * EXP_CHANGE_ENTRY_BYTES, &log->ring,
				   err);
	if (r < 0)
		goto fail;
	exp_nvme_cdq_create(&cmd, cntlid, log->ring.iova, true, entries);
	r = exp_device_run(d, &cmd, 0, true, cntlid, &cqe, err);
	/* a late one may still make the drive write there: then the memory stays out of use */
	if (r == -ETIMEDOUT)
		log->ring = (struct exp_dma){ 0 };
	if (r == 0 && cqe.status) {
		r = exp_nvme_check(&cmd, &cqe, err);
		if (exp_nvme_means_no_queue(cqe.status))
			r = exp_error_wrap(err, r, "no queue is left, or it has one already");
	}
	if (r < 0)
		goto fail;
	log->cdqid = exp_nvme_cdqid(&cqe);
	*ret = log;
	return 0;

fail:
	d->mmc->ops->dma_free(d->mmc, &log->ring);
	free(log);
	return exp_error_wrap(err, r, "change log of controller %u", cntlid);
}

static int over(struct exp_change_log *log, int r, const struct exp_error *why)
{
	if (!log->over) {
		log->over = r;
		log->why = *why;
	}
	return r;
}

static int track(struct exp_change_log *log, bool start, struct exp_error *err)
{
	struct exp_error e = { 0 };
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	int r;

	exp_nvme_log_changes(&cmd, log->cdqid, start);
	r = exp_device_run(log->d, &cmd, 0, true, log->cntlid, &cqe, err);
	if (r < 0 || !cqe.status)
		return r;
	r = exp_nvme_check(&cmd, &cqe, &e);
	if (exp_nvme_means_log_full(cqe.status))
		r = over(log, -EOVERFLOW, &e);
	if (err)
		*err = e;
	return r;
}

int exp_change_log_start(struct exp_change_log *log, struct exp_error *err)
{
	int r = track(log, true, err);

	return r < 0 ? exp_error_wrap(err, r, "start the change log of controller %u", log->cntlid)
		     : 0;
}

int exp_change_log_stop(struct exp_change_log *log, struct exp_error *err)
{
	int r = track(log, false, err);

	return r < 0 ? exp_error_wrap(err, r, "stop the change log of controller %u", log->cntlid)
		     : 0;
}

static int delete_queue(struct exp_device *d, uint16_t cdqid, bool *ret_there,
			struct exp_error *err)
{
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	int r;

	exp_nvme_cdq_delete(&cmd, cdqid);
	r = exp_device_run(d, &cmd, 0, true, EXP_NO_CNTLID, &cqe, err);
	if (r < 0)
		return r;
	*ret_there = cqe.status != EXP_NVME_SC_INVALID_CDQ;
	return *ret_there ? exp_nvme_check(&cmd, &cqe, err) : 0;
}

void exp_change_log_close(struct exp_change_log *log)
{
	struct exp_transport *t;
	bool there;
	int r;

	if (!log)
		return;
	t = log->d->mmc;
	if (log->told)
		t->ops->admin_free(t, log->told);
	r = delete_queue(log->d, log->cdqid, &there, NULL);
	if (r == 0 || r == -ENODEV)
		t->ops->dma_free(t, &log->ring);
	free(log);
}

/* ---- reading ---- */

static int told_result(struct exp_change_log *log, uint64_t deadline_us)
{
	struct exp_transport *t = log->d->mmc;
	struct exp_error e = { 0 };
	struct exp_nvme_cqe cqe;
	int r = t->ops->admin_wait(t, log->told, NULL, deadline_us, &cqe, &e);

	if (r == -ETIMEDOUT)
		return 0;
	t->ops->admin_free(t, log->told);
	log->told = NULL;
	if (r == 0 && cqe.status) {
		/* the drive does not know this log any more, or has another idea of where it is */
		exp_nvme_status_error(&e, cqe.status,
				      "the drive refused the head of the change log");
		if (exp_nvme_means_log_full(cqe.status))
			return over(log, -EOVERFLOW, &e);
		return over(log, -EBADMSG, &e);
	}
	if (r < 0)
		return over(log, r, &e);
	log->pending -= log->telling;
	return 0;
}

/*
 * Gives slots back to the drive in portions of a quarter of the ring, without waiting for the
 * answer: the reader has more to read. Only when half of the ring is waiting does it pay to wait.
 */
static int give_back(struct exp_change_log *log)
{
	struct exp_transport *t = log->d->mmc;
	struct exp_error e = { 0 };
	struct exp_nvme_cmd cmd;
	uint64_t until = log->pending > log->entries / 2 ? exp_mono_us() + HEAD_WAIT_US : 0;
	int r;

	if (log->told) {
		r = told_result(log, until);
		if (r < 0 || log->told)
			return r;
	}
	/* the slot of the last entry stays ours */
	if (log->pending <= log->entries / 4)
		return 0;
	exp_nvme_cdq_set_head(&cmd, log->cdqid,
			      exp_nvme_cdq_head_slot(log->head, log->entries, true), NULL);
	r = t->ops->admin_submit(t, &cmd, &log->told, &e);
	if (r == -EBUSY) /* the next read tries again */
		return 0;
	if (r < 0)
		return over(log, r, &e);
	log->telling = log->pending - 1;
	log->stats.head_updates++;
	return 0;
}

/* The drive's entry in our words; anything but a change of this namespace is not believable. */
static int understand(struct exp_change_log *log, const struct exp_nvme_log_entry *e,
		      struct exp_change *ret, struct exp_error *err)
{
	static const enum exp_change_mark marks[] = {
		[EXP_NVME_MARK_NONE] = EXP_CHANGE_NO_MARK,
		[EXP_NVME_MARK_FIRST] = EXP_CHANGE_FIRST,
		[EXP_NVME_MARK_STOPPED] = EXP_CHANGE_STOPPED,
		[EXP_NVME_MARK_SUSPENDED] = EXP_CHANGE_SUSPENDED,
	};

	*ret = (struct exp_change){ .kind = EXP_CHANGE_NOTHING };
	if (e->mark == EXP_NVME_MARK_FULL)
		return exp_error_set(err, EXP_CODE_LOG_OVERFLOW, EOVERFLOW,
				     "the change log of %u entries was full; the drive has stopped "
				     "logging",
				     log->entries);
	ret->mark = marks[e->mark];
	if (e->change == EXP_NVME_CHANGE_NONE)
		return 0;
	if (e->nsid != log->ns.nsid && (!log->ns.ensid || e->nsid != log->ns.ensid))
		return exp_error_set(err, EXP_CODE_DEVICE_DATA, EBADMSG,
				     "a change of namespace %u, the controller has only %u",
				     e->nsid, log->ns.nsid);
	ret->deallocated = e->deallocated;
	if (e->change == EXP_NVME_CHANGE_ALL) {
		ret->kind = EXP_CHANGE_ALL;
		return 0;
	}
	if (e->slba >= log->ns.nsze || e->blocks > log->ns.nsze - e->slba)
		return exp_error_set(err, EXP_CODE_DEVICE_DATA, EBADMSG,
				     "a change of blocks %" PRIu64 "+%" PRIu64
				     ", the namespace has "
				     "%" PRIu64,
				     e->slba, e->blocks, log->ns.nsze);
	ret->kind = EXP_CHANGE_RANGE;
	ret->slba = e->slba;
	ret->nlb = e->blocks;
	return 0;
}

int exp_change_log_read(struct exp_change_log *log, struct exp_change *ret, size_t max,
			size_t *ret_n, struct exp_error *err)
{
	struct exp_nvme_log_entry e;
	size_t n = 0;

	while (n < max && !log->over) {
		const uint8_t *slot = (const uint8_t *)log->ring.mem +
				      (size_t)log->head * EXP_CHANGE_ENTRY_BYTES;
		struct exp_error why = { 0 };
		int r;

		if (exp_nvme_log_entry_phase(slot) != log->phase)
			break;
		r = exp_nvme_log_entry_decode(slot, &e, &why);
		if (r == 0)
			r = understand(log, &e, &ret[n], &why);
		if (r < 0) {
			over(log, r, &why);
			break;
		}
		n++;
		log->pending++;
		if (++log->head == log->entries) {
			log->head = 0;
			log->phase = !log->phase;
			log->stats.wraps++;
		}
	}
	if (!log->over)
		(void)!give_back(log);
	log->stats.entries += n;
	log->stats.pending = log->pending;
	if (log->over && !n) {
		if (err)
			*err = log->why;
		return exp_error_wrap(err, log->over, "change log of controller %u", log->cntlid);
	}
	*ret_n = n;
	return 0;
}

void exp_change_log_stats(const struct exp_change_log *log, struct exp_change_log_stats *ret)
{
	*ret = log->stats;
}

uint16_t exp_change_log_id(const struct exp_change_log *log)
{
	return log->cdqid;
}

int exp_change_log_delete_stale(struct exp_device *d, unsigned int *ret_n, struct exp_error *err)
{
	unsigned int n = 0;

	*ret_n = 0;
	/* a reset has deleted them; and without mapped memory there can be none */
	if (d->mmc->was_reset || !d->mmc->ops->dma_alloc)
		return 0;
	for (unsigned int id = 0; id < STALE_IDS; id++) {
		bool there;
		int r = delete_queue(d, (uint16_t)id, &there, err);

		if (r < 0)
			return exp_error_wrap(err, r, "stale change logs");
		n += there;
	}
	*ret_n = n;
	return 0;
}
