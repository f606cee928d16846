/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_rig.h - an emulated SSD, lib/device on its MMC, and as much of a guest as tests of it need
 *
 * The emulator is a process of its own with its own decoder, so what agrees here agrees because
 * both read the same specification.
 */
#ifndef EXP_TESTS_SUPPORT_DEVICE_RIG_H
#define EXP_TESTS_SUPPORT_DEVICE_RIG_H

#include "support/emu_drive.h"

#include <errno.h>

#include "base/clock.h"
#include "device/change_log.h"
#include "device/device.h"
#include "device/ns.h"
#include "device/nsdata.h"
#include "device/reach_vfio_user.h"
#include "device/subsys.h"
#include "device/transport.h"
#include "nvme/io_cmd.h"

#define GUEST 1 /* CNTLID of function 1 */
#define LBA   512u
#define NSZE  65536u /* 32 MiB */

struct rig {
	struct emu_drive e;
	struct exp_device *d;
	struct exp_error err;
	struct exp_nqn nqn;
	struct exp_uuid id;
	struct exp_export_desc *desc;
	struct exp_place place;
	bool templates_from_zero;
};

static inline void open_device(struct rig *r)
{
	char path[128];
	struct exp_device_config config = {
		.transport = emu_drive_transport(&r->e, "mmc", path),
		.may_reset = true,
		.templates_from_zero = r->templates_from_zero,
	};

	assert_ok(exp_device_open(&config, &r->d, &r->err), &r->err);
}

static inline struct rig *start(const char *profile, const char *doorbells)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->templates_from_zero = !strcmp(profile, "contrary"); /* known of this model */
	emu_drive_start(&r->e, profile, doorbells);
	open_device(r);
	assert_int_equal(exp_nqn_parse("nqn.2026-11.test:disk", &r->nqn, NULL), 0);
	r->id = exp_uuid_new();
	r->desc = calloc(1, sizeof(*r->desc));
	assert_non_null(r->desc);
	return r;
}

static inline void end(struct rig *r)
{
	exp_device_close(r->d);
	emu_drive_end(&r->e);
	free(r->desc);
	free(r);
}

static inline void build_export(struct rig *r, uint16_t cntlid, uint32_t lba)
{
	assert_ok(exp_ns_create(r->d, NSZE, lba, &r->place.nsid, &r->err), &r->err);
	r->place.cntlid = cntlid;
	assert_ok(exp_subsys_design(r->d, &r->nqn, &r->id, NSZE, lba, r->desc, &r->err), &r->err);
	assert_ok(exp_subsys_build(r->d, r->desc, &r->place, false, &r->err), &r->err);
}

static inline struct exp_nsdata *open_data(struct rig *r)
{
	struct exp_nsdata *h;
	uint16_t data;

	assert_true(exp_device_data_cntlid(r->d, &data));
	assert_ok(exp_ns_attach(r->d, r->place.nsid, data, &r->err), &r->err);
	assert_ok(exp_nsdata_open(r->d, r->place.nsid, 8, &h, &r->err), &r->err);
	return h;
}

struct guest {
	struct exp_transport *t;
	struct exp_ioq *q;
	struct exp_dma buf;
	uint32_t nsid;
};

static inline void guest_enable(struct rig *r, struct guest *g, const char *function)
{
	struct exp_reach *reach;
	char dir[128];

	memset(g, 0, sizeof(*g));
	snprintf(dir, sizeof(dir), "%s/%s", r->e.dir, function);
	assert_ok(exp_reach_vfio_user_open(dir, &reach, &r->err), &r->err);
	assert_ok(exp_transport_queues_open(reach, true, 1, &g->t, &r->err), &r->err);
	g->nsid = 1;
	assert_ok(g->t->ops->dma_alloc(g->t, 1 << 16, &g->buf, &r->err), &r->err);
}

static inline void guest_start(struct rig *r, struct guest *g, const char *function)
{
	guest_enable(r, g, function);
	assert_ok(g->t->ops->ioq_open(g->t, 32, &g->q, &r->err), &r->err);
}

static inline void guest_stop(struct guest *g)
{
	if (g->q)
		(void)g->t->ops->ioq_close(g->q);
	exp_transport_close(g->t);
}

static inline void guest_submit(struct rig *r, struct guest *g, uint64_t slba, uint32_t nlb,
				uint8_t byte)
{
	struct exp_nvme_cmd cmd;

	memset(g->buf.mem, byte, nlb * LBA);
	exp_nvme_write(&cmd, g->nsid, slba, nlb);
	assert_ok(g->t->ops->ioq_submit(g->q, &cmd.sqe, g->buf.iova, nlb * LBA, slba, &r->err),
		  &r->err);
}

static inline int guest_reap(struct rig *r, struct guest *g, uint64_t timeout_ms)
{
	struct exp_io_done done;
	int n = g->t->ops->ioq_reap(g->q, &done, 1, exp_mono_us() + timeout_ms * 1000, &r->err);

	if (n == 1)
		assert_int_equal(done.status, 0);
	return n;
}

static inline void guest_write(struct rig *r, struct guest *g, uint64_t slba, uint32_t nlb,
			       uint8_t byte)
{
	guest_submit(r, g, slba, nlb, byte);
	assert_int_equal(guest_reap(r, g, 10000), 1);
}

static inline struct exp_change_log *start_log(struct rig *r, uint32_t entries)
{
	struct exp_change_log_ns ns = { r->place.nsid, 1, NSZE };
	struct exp_change_log *log;

	assert_ok(exp_change_log_create(r->d, GUEST, &ns, entries, &log, &r->err), &r->err);
	assert_ok(exp_change_log_start(log, &r->err), &r->err);
	return log;
}

#endif
