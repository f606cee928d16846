/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device/ctrl.h"
#include "device/device_int.h"

#define PIECE_ALIGN 4096u

static int suspend(struct exp_device *d, uint16_t cntlid, enum exp_nvme_stype type,
		   uint64_t timeout_ms, struct exp_error *err)
{
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	int r;

	exp_nvme_suspend(&cmd, cntlid, type);
	r = exp_device_run(d, &cmd, timeout_ms, true, cntlid, &cqe, err);
	if (r == 0)
		r = exp_nvme_check(&cmd, &cqe, err);
	return r < 0 ? exp_error_wrap(err, r, "controller %u", cntlid) : 0;
}

int exp_ctrl_suspend(struct exp_device *d, uint16_t cntlid, uint64_t timeout_ms,
		     struct exp_error *err)
{
	return suspend(d, cntlid, EXP_NVME_SUSPEND, timeout_ms, err);
}

int exp_ctrl_suspend_notice(struct exp_device *d, uint16_t cntlid, struct exp_error *err)
{
	return suspend(d, cntlid, EXP_NVME_SUSPEND_NOTIFY, 0, err);
}

int exp_ctrl_resume(struct exp_device *d, uint16_t cntlid, bool *ret_was_suspended,
		    uint64_t timeout_ms, struct exp_error *err)
{
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	int r;

	exp_nvme_resume(&cmd, cntlid);
	r = exp_device_run(d, &cmd, timeout_ms, true, cntlid, &cqe, err);
	if (r == 0 && cqe.status != EXP_NVME_SC_CTRL_NOT_SUSPENDED)
		r = exp_nvme_check(&cmd, &cqe, err);
	if (r < 0)
		return exp_error_wrap(err, r, "controller %u", cntlid);
	if (ret_was_suspended)
		*ret_was_suspended = !cqe.status;
	return 0;
}

/* ---- taking the state ---- */

static int select_format(struct exp_device *d, const struct exp_state_format *f,
			 struct exp_nvme_state_sel *ret, struct exp_error *err)
{
	return exp_nvme_state_select(&d->formats, f->kind, &f->uuid, ret, err);
}

/* One piece. @ret_csup may be NULL: then the suspension does not matter. */
static int get_piece(struct exp_device *d, uint16_t cntlid, struct exp_nvme_state_sel sel,
		     uint64_t off, void *p, size_t len, bool *ret_csup, struct exp_error *err)
{
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	int r;

	exp_nvme_get_state(&cmd, cntlid, sel, off, p, len);
	r = exp_device_read(d, &cmd, &cqe, err);
	if (r == 0 && ret_csup)
		*ret_csup = exp_nvme_csup(&cqe);
	return r;
}

int exp_ctrl_is_suspended(struct exp_device *d, uint16_t cntlid, bool *ret, struct exp_error *err)
{
	/* the first format the drive has will do: only the answer's CSUP is looked at */
	struct exp_nvme_state_sel sel = { .csvi = d->formats.n_versions ? 1 : 0,
					  .csuuidi = d->formats.n_versions ? 0 : 1 };
	uint8_t head[EXP_NVME_STATE_HEAD];
	int r = get_piece(d, cntlid, sel, 0, head, sizeof(head), ret, err);

	return r < 0 ? exp_error_wrap(err, r, "is controller %u suspended", cntlid) : 0;
}

static size_t piece_bytes(const struct exp_device *d)
{
	return EXP_MAX(d->mmc->max_bytes / PIECE_ALIGN * PIECE_ALIGN, (size_t)PIECE_ALIGN);
}

static int not_suspended(uint64_t off, struct exp_error *err)
{
	exp_error_set(err, EXP_CODE_NOT_SUSPENDED, EAGAIN,
		      "the controller was not suspended while its state was read (at byte %llu)",
		      (unsigned long long)off);
	return -EAGAIN;
}

/* The whole image into *ret; @whole: each piece must say that the suspension held. */
static int read_image(struct exp_device *d, uint16_t cntlid, struct exp_nvme_state_sel sel,
		      size_t max, bool whole, uint8_t **ret, size_t *ret_len, struct exp_error *err)
{
	size_t piece = piece_bytes(d), bytes, first, have;
	uint8_t *image, *bigger;
	bool csup;
	int r;

	/* a first piece that is most often all of it */
	first = EXP_MIN(piece, EXP_MIN(max, (size_t)EXP_NVME_STATE_MAX) / 4 * 4);
	if (first < EXP_NVME_STATE_HEAD)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "a limit of %zu bytes, the header alone has %u", max,
				     EXP_NVME_STATE_HEAD);
	image = calloc(1, first);
	if (!image)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "controller state");
	r = get_piece(d, cntlid, sel, 0, image, first, &csup, err);
	if (r == 0 && whole && !csup)
		r = not_suspended(0, err);
	if (r == 0)
		r = exp_nvme_state_bytes(image, first, &bytes, err);
	if (r == 0 && bytes > max)
		r = exp_error_set(err, EXP_CODE_TOO_LARGE, EFBIG,
				  "the controller state has %zu bytes, at most %zu are taken",
				  bytes, max);
	if (r < 0)
		goto fail;
	have = EXP_MIN(first, bytes);
	if (bytes > first) {
		bigger = realloc(image, bytes);
		if (!bigger) {
			r = exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "controller state");
			goto fail;
		}
		image = bigger;
	}
	while (have < bytes) {
		size_t n = EXP_MIN(piece, bytes - have);

		r = get_piece(d, cntlid, sel, have, image + have, n, &csup, err);
		if (r == 0 && whole && !csup)
			r = not_suspended(have, err);
		if (r < 0)
			goto fail;
		have += n;
	}
	*ret = image;
	*ret_len = bytes;
	return 0;

fail:
	free(image);
	return r;
}

static int get_state(struct exp_device *d, uint16_t cntlid, const struct exp_state_format *format,
		     size_t max, bool whole, uint8_t **ret, size_t *ret_len, struct exp_error *err)
{
	EXP_CLEANUP(exp_nvme_state_done) struct exp_nvme_ctrl_state parsed = { 0 };
	struct exp_nvme_state_sel sel;
	uint8_t *image = NULL;
	size_t len = 0;
	int r;

	r = select_format(d, format, &sel, err);
	if (r == 0)
		r = read_image(d, cntlid, sel, max, whole, &image, &len, err);
	if (r == 0)
		r = exp_nvme_state_parse(image, len, format->kind, &parsed, err);
	if (r == 0 && whole && exp_nvme_state_check_whole(&parsed, err) < 0)
		r = -EAGAIN;
	if (r < 0) {
		free(image);
		return exp_error_wrap(err, r, "state of controller %u", cntlid);
	}
	*ret = image;
	*ret_len = len;
	return 0;
}

int exp_ctrl_get_state(struct exp_device *d, uint16_t cntlid, const struct exp_state_format *format,
		       size_t max, uint8_t **ret, size_t *ret_len, struct exp_error *err)
{
	return get_state(d, cntlid, format, max, true, ret, ret_len, err);
}

int exp_ctrl_peek_state(struct exp_device *d, uint16_t cntlid,
			const struct exp_state_format *format, size_t max, uint8_t **ret,
			size_t *ret_len, struct exp_error *err)
{
	return get_state(d, cntlid, format, max, false, ret, ret_len, err);
}

int exp_ctrl_has_queues_of(struct exp_device *d, uint16_t cntlid,
			   const struct exp_state_format *format, const void *state, size_t len,
			   bool *ret, struct exp_error *err)
{
	EXP_CLEANUP(exp_nvme_state_done) struct exp_nvme_ctrl_state given = { 0 };
	EXP_CLEANUP(exp_nvme_state_done) struct exp_nvme_ctrl_state there = { 0 };
	uint8_t *image = NULL;
	size_t n;
	int r;

	r = exp_nvme_state_parse(state, len, format->kind, &given, err);
	if (r == 0)
		r = exp_ctrl_peek_state(d, cntlid, format, EXP_NVME_STATE_MAX, &image, &n, err);
	if (r == 0)
		r = exp_nvme_state_parse(image, n, format->kind, &there, err);
	if (r == 0)
		*ret = given.n_cq && exp_nvme_state_same_queues(&given, &there);
	free(image);
	return r;
}

/* ---- giving the state ---- */

static int set_piece(struct exp_device *d, const struct exp_state_load *l, enum exp_nvme_seq seq,
		     const void *p, size_t len, uint64_t timeout_ms, struct exp_error *err)
{
	struct exp_nvme_state_sel sel = { l->csvi, l->csuuidi };
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	int r;

	exp_nvme_set_state(&cmd, l->cntlid, sel, seq, l->end, p, len);
	r = exp_device_run(d, &cmd, timeout_ms, true, l->cntlid, &cqe, err);
	return r < 0 ? r : exp_nvme_check(&cmd, &cqe, err);
}

/*
 * The question is a piece of a state. Asked while one is being loaded it would become part of it;
 * so the two exclude each other, also when the answer comes late: that is why it counts as a
 * change here although it changes nothing.
 */
int exp_ctrl_is_live(struct exp_device *d, uint16_t cntlid, bool *ret, struct exp_error *err)
{
	static const uint8_t nothing[4];
	const struct exp_nvme_state_sel sel = { .csvi = d->formats.n_versions ? 1 : 0,
						.csuuidi = d->formats.n_versions ? 0 : 1 };
	struct exp_error e = { 0 };
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe;
	int r = -EBUSY;

	exp_nvme_set_state(&cmd, cntlid, sel, EXP_NVME_SEQ_MIDDLE, 0, nothing, sizeof(nothing));
	pthread_mutex_lock(&d->probe);
	if (!exp_device_is_loading(d, cntlid))
		r = exp_device_run(d, &cmd, 0, true, cntlid, &cqe, &e);
	pthread_mutex_unlock(&d->probe);
	if (r == -EBUSY) { /* something is under way with it */
		*ret = true;
		return 0;
	}
	if (r < 0) {
		if (err)
			*err = e;
		return exp_error_wrap(err, r, "is controller %u live", cntlid);
	}
	*ret = cqe.status != EXP_NVME_SC_INVALID_CNTLID;
	return 0;
}

int exp_ctrl_load_state(struct exp_device *d, uint16_t cntlid,
			const struct exp_state_format *format, const void *state, size_t len,
			struct exp_state_load *ret, struct exp_error *err)
{
	struct exp_state_load l = { .cntlid = cntlid };
	struct exp_nvme_state_sel sel;
	int r = select_format(d, format, &sel, err);

	if (r < 0)
		return r;
	if (len < EXP_NVME_STATE_HEAD || len % 4)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "controller state of %zu bytes: %u at least, a multiple of 4",
				     len, EXP_NVME_STATE_HEAD);
	l.csvi = sel.csvi;
	l.csuuidi = sel.csuuidi;
	pthread_mutex_lock(&d->probe);
	exp_device_set_loading(d, cntlid, true);
	pthread_mutex_unlock(&d->probe);
	while (l.end < len) {
		size_t n = EXP_MIN(piece_bytes(d), len - l.end);

		r = set_piece(d, &l, l.end ? EXP_NVME_SEQ_MIDDLE : EXP_NVME_SEQ_FIRST,
			      (const uint8_t *)state + l.end, n, 0, err);
		if (r < 0) {
			/* a late piece may still arrive; a refused one has ended the transfer */
			if (r != -ETIMEDOUT)
				exp_device_set_loading(d, cntlid, false);
			return exp_error_wrap(err, r, "state of controller %u, byte %llu", cntlid,
					      (unsigned long long)l.end);
		}
		l.end += n;
	}
	*ret = l;
	return 0;
}

int exp_ctrl_commit_state(struct exp_device *d, const struct exp_state_load *load,
			  uint64_t timeout_ms, struct exp_error *err)
{
	int r = set_piece(d, load, EXP_NVME_SEQ_LAST, NULL, 0, timeout_ms, err);

	if (r != -ETIMEDOUT)
		exp_device_set_loading(d, load->cntlid, false);
	return r < 0 ? exp_error_wrap(err, r, "commit the state of controller %u", load->cntlid)
		     : 0;
}
