/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_ctrl.h - the guest's NVMe driver below its I/O: registers, admin queue, asynchronous events
 *
 * (NVMe Base, "Memory-based controller initialization"; stride 4, 4 KiB pages.) One struct emu_ctrl
 * is the guest's view of its controller; the function behind it may be exchanged while it lives.
 * One thread. Every wait has a deadline; a device that is gone gives -ENODEV.
 */
#ifndef EMU_GUEST_CTRL_H
#define EMU_GUEST_CTRL_H

#include <stdbool.h>
#include <stdint.h>

#include "emu/guest_queue.h"

#define EMU_ADMIN_ENTRIES 32
#define EMU_ADMIN_SLOTS   24
#define EMU_MAX_AERS      4
#define EMU_WAIT_MS       30000

/* What a driver programs before it enables a controller; the same on both sides of a move. */
struct emu_regs {
	uint32_t aqa, cc;
	uint64_t asq, acq;
};

/** emu_regs_enable - reset if it is on, program, CC.EN=1, wait for CSTS.RDY */
int emu_regs_enable(struct emu_client *cl, const struct emu_regs *r,
		    struct exp_error *err) EXP_MUST_CHECK;
/** emu_regs_disable - CC.EN=0, wait for CSTS.RDY=0 */
int emu_regs_disable(struct emu_client *cl, struct exp_error *err);

struct emu_admin {
	uint8_t opcode;
	uint32_t nsid, cdw[6]; /* CDW10 to CDW15 */
	uint64_t prp1, prp2;   /* used when there is no data */
	const void *in;        /* to the device, @bytes */
	void *out;             /* from the device, @bytes */
	uint32_t bytes;        /* at most what was asked for at init */
	uint32_t wait_ms;      /* 0: EMU_WAIT_MS */
};

struct emu_ctrl {
	struct emu_client *cl; /* borrowed; whoever moves the guest exchanges it */
	struct emu_mem *mem;
	struct emu_queue admin;
	struct emu_regs regs;
	int irq; /* eventfd of vector 0 */
	uint64_t cap;
	uint32_t vs;

	struct {
		enum { EMU_ADMIN_FREE, EMU_ADMIN_WAITS, EMU_ADMIN_DONE, EMU_ADMIN_AER } state;
		struct emu_cqe cqe;
	} slot[EMU_ADMIN_SLOTS];
	uint32_t events[16]; /* DW0 of asynchronous events not handled yet */
	unsigned int n_events;
	uint64_t n_events_seen;

	uint64_t *bounce; /* pages for data */
	uint32_t bounce_pages;
	uint64_t prp_list;
	/* runs the guest's other work while a command is awaited; NULL: wait for the interrupt */
	void (*turn)(void *arg, uint64_t wait_us);
	void *turn_arg;
};

/** emu_ctrl_init - take memory; @data_bytes: the most that one command moves */
int emu_ctrl_init(struct emu_ctrl *c, struct emu_mem *mem, uint32_t data_bytes,
		  struct exp_error *err) EXP_MUST_CHECK;
void emu_ctrl_done(struct emu_ctrl *c);

/** emu_ctrl_start - boot on the function behind @cl: memory, bus mastering, MSI-X, admin queue */
int emu_ctrl_start(struct emu_ctrl *c, struct emu_client *cl, struct exp_error *err) EXP_MUST_CHECK;

/**
 * emu_ctrl_admin - one admin command, awaited
 *
 * 0; -EREMOTEIO with err->nvme_status when the device refused (@ret is filled then too);
 * -ETIMEDOUT; -ENODEV.
 */
int emu_ctrl_admin(struct emu_ctrl *c, const struct emu_admin *a, struct emu_cqe *ret,
		   struct exp_error *err) EXP_MUST_CHECK;

/** emu_ctrl_reap - take what completed on the admin queue; events are put aside */
void emu_ctrl_reap(struct emu_ctrl *c);

/** emu_ctrl_arm - keep @n Asynchronous Event Requests outstanding */
int emu_ctrl_arm(struct emu_ctrl *c, unsigned int n, struct exp_error *err) EXP_MUST_CHECK;

/** emu_ctrl_next_event - DW0 of an event; false: none */
bool emu_ctrl_next_event(struct emu_ctrl *c, uint32_t *ret);

/* Identify (06h): one 4096-byte page. */
int emu_ctrl_identify(struct emu_ctrl *c, uint8_t cns, uint32_t nsid, uint8_t csi, void *page,
		      struct exp_error *err) EXP_MUST_CHECK;

#endif
