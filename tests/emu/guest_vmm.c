/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_vmm.c - attach, move, drop; pause, run, verify
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "emu/guest_vmm.h"

#define VERIFY_MS 600000

#define BIT(phase) (1u << (phase))
#define BOOTED                                                                        \
	(BIT(EMU_ADOPTING) | BIT(EMU_RUNNING) | BIT(EMU_PAUSED) | BIT(EMU_DRAINING) | \
	 BIT(EMU_CHECKING) | BIT(EMU_HALTED) | BIT(EMU_STUCK) | BIT(EMU_GONE))

static int need_phase(struct emu_vmm *m, uint32_t mask, const char *what, struct exp_error *err)
{
	enum emu_phase p = emu_vm_phase(&m->vm);

	if (mask & BIT(p))
		return 0;
	return exp_error_set(err, EXP_CODE_CONFLICT, EBUSY, "%s: the guest is %s", what,
			     emu_phase_name(p));
}

int emu_vmm_start(struct emu_vmm *m, const char *function, const struct emu_vm_config *c,
		  struct exp_error *err)
{
	int r;

	*m = (struct emu_vmm){ 0 };
	r = emu_client_open(function, &m->function, err);
	if (!r)
		r = emu_vm_start(&m->vm, c, m->function, err);
	if (r < 0) {
		emu_client_close(m->function);
		m->function = NULL;
	}
	return r;
}

static void stop_vcpu(struct emu_vmm *m)
{
	if (!m->stopped)
		emu_vm_stop(&m->vm);
	m->stopped = true;
}

void emu_vmm_stop(struct emu_vmm *m)
{
	stop_vcpu(m);
	emu_client_close(m->function);
	emu_client_close(m->target);
	emu_client_close(m->old);
}

/* --- the steps of a move --- */

int emu_vmm_attach_target(struct emu_vmm *m, const char *dir, bool bus_master,
			  struct exp_error *err)
{
	EXP_CLEANUP(emu_client_closep) struct emu_client *c = NULL;
	int r = need_phase(m, BOOTED, "attach-target", err);

	if (r < 0)
		return r;
	if (m->target)
		return exp_error_set(err, EXP_CODE_CONFLICT, EEXIST,
				     "a target is attached: drop-target first");
	r = emu_client_open(dir, &c, err);
	if (!r && emu_client_vectors(c) <= m->vm.c.work.queues)
		r = exp_error_set(err, EXP_CODE_NOT_SUPPORTED, ENOSPC,
				  "%u interrupt vectors at the target, the guest uses %u",
				  emu_client_vectors(c), m->vm.c.work.queues + 1);
	/* first without DMA: it may have been another VM's */
	if (!r)
		r = emu_client_bus_master(c, false, err);
	if (!r)
		r = emu_regs_disable(c, err);
	if (!r)
		r = emu_mem_share(&m->vm.mem, c, err);
	if (!r)
		r = emu_client_bus_master(c, bus_master, err);
	if (!r)
		r = emu_regs_enable(c, &m->vm.ctrl.regs, err);
	if (r < 0)
		return exp_error_wrap(err, r, "attach %s", dir);
	m->target = EXP_TAKE(c);
	m->target_master = bus_master;
	exp_log(LOG_NOTICE, "target attached", kv_s("function", dir),
		kv_u("bus_master", bus_master));
	return 0;
}

int emu_vmm_bus_master_on(struct emu_vmm *m, struct exp_error *err)
{
	int r;

	if (!m->target)
		return exp_error_set(err, EXP_CODE_CONFLICT, ENOENT, "no target is attached");
	/* both map one memory, where a real move has two: never two masters of it */
	r = emu_client_gone(m->function) ? 0 : emu_client_bus_master(m->function, false, err);
	if (!r)
		r = emu_client_bus_master(m->target, true, err);
	if (!r)
		m->target_master = true;
	return r;
}

struct move {
	struct emu_client *to;
	bool ring;
	int r;
	struct exp_error *err;
};

/* On the vCPU thread: from one turn to the next the guest has another device. */
static void do_move(struct emu_vm *vm, void *arg)
{
	struct move *mv = arg;
	uint64_t now;

	mv->r = emu_client_irqs(mv->to, 0, &vm->ctrl.irq, 1, mv->err);
	for (uint16_t i = 0; !mv->r && i < vm->c.work.queues; i++)
		mv->r = emu_client_irqs(mv->to, vm->work.w[i].q.qid, &vm->work.w[i].irq, 1,
					mv->err);
	if (!mv->r)
		mv->r = emu_client_msix(mv->to, true, mv->err);
	if (mv->r < 0)
		return;
	vm->ctrl.cl = mv->to;
	if (mv->ring)
		mv->r = emu_queue_ring(&vm->ctrl.admin, mv->to, true);
	for (uint16_t i = 0; mv->ring && !mv->r && i < vm->c.work.queues; i++)
		mv->r = emu_queue_ring(&vm->work.w[i].q, mv->to, true);
	if (mv->r < 0)
		exp_error_set(mv->err, EXP_CODE_DEVICE_GONE, -mv->r, "cannot ring at the target");
	/* what the target completed before its interrupts had somewhere to go */
	now = exp_mono_us();
	vm->work.patient_from_us = now;
	emu_ctrl_reap(&vm->ctrl);
	emu_vm_set_phase(vm, EMU_RUNNING);
	for (uint16_t i = 0; i < vm->c.work.queues; i++)
		vm->move_completed += emu_work_reap(&vm->work, &vm->work.w[i], now);
}

int emu_vmm_move(struct emu_vmm *m, bool ring, struct exp_error *err)
{
	struct move mv = { .to = m->target, .ring = ring, .err = err };
	int r = need_phase(m, BIT(EMU_RUNNING) | BIT(EMU_PAUSED) | BIT(EMU_GONE), "move", err);

	if (r < 0)
		return r;
	if (!m->target || m->old)
		return exp_error_set(err, EXP_CODE_CONFLICT, ENOENT, "%s",
				     m->old ? "the last source is still attached: drop-source first"
					    : "no target is attached");
	if (!m->target_master)
		return exp_error_set(err, EXP_CODE_CONFLICT, EPERM,
				     "the target may not do DMA yet: bus-master-on first");
	emu_vm_call(&m->vm, do_move, &mv);
	if (m->vm.ctrl.cl != m->target)
		return mv.r;
	m->old = m->function;
	m->function = EXP_TAKE(m->target);
	m->moves++;
	exp_log(LOG_NOTICE, "guest moved", kv_u("moves", m->moves), kv_u("ring", ring));
	return mv.r;
}

/* CC.EN=0 and good-bye; a device that is gone has nothing to be told. */
static int let_go(struct emu_client **c, const char *what, struct exp_error *err)
{
	int r = emu_client_gone(*c) ? 0 : emu_regs_disable(*c, err);

	if (r == -ENODEV)
		r = 0;
	if (!r)
		r = emu_client_gone(*c) ? 0 : emu_client_bus_master(*c, false, err);
	emu_client_close(*c);
	*c = NULL;
	exp_log(LOG_NOTICE, "function released", kv_s("which", what), kv_i("rc", r));
	return r < 0 ? exp_error_wrap(err, r, "release the %s", what) : 0;
}

void emu_vmm_power_off(struct emu_vmm *m)
{
	struct emu_client **all[] = { &m->function, &m->target, &m->old };
	struct exp_error err = { 0 };

	stop_vcpu(m);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(all); i++)
		if (*all[i] && let_go(all[i], "function", &err) < 0)
			exp_log(LOG_WARNING, "power off", kv_s("error", err.msg));
}

int emu_vmm_drop_source(struct emu_vmm *m, struct exp_error *err)
{
	if (!m->old)
		return exp_error_set(err, EXP_CODE_CONFLICT, ENOENT,
				     "the guest has not moved, there is no source to drop");
	return let_go(&m->old, "source", err);
}

int emu_vmm_drop_target(struct emu_vmm *m, struct exp_error *err)
{
	bool had_it = m->target_master;
	int r;

	if (!m->target)
		return exp_error_set(err, EXP_CODE_CONFLICT, ENOENT, "no target is attached");
	m->target_master = false;
	r = let_go(&m->target, "target", err);
	if (!r && had_it && !emu_client_gone(m->function))
		r = emu_client_bus_master(m->function, true, err);
	return r;
}

void emu_vmm_memory_pass(struct emu_vmm *m)
{
	m->memory_passes++;
	exp_log(LOG_NOTICE, "memory pass: source and target map one file, nothing to copy",
		kv_u("passes", m->memory_passes));
}

/* --- pause, run, reattach --- */

static void do_phase(struct emu_vm *vm, void *arg)
{
	emu_vm_set_phase(vm, *(enum emu_phase *)arg);
	if (vm->phase == EMU_RUNNING)
		vm->work.patient_from_us = exp_mono_us();
}

int emu_vmm_pause(struct emu_vmm *m, struct exp_error *err)
{
	enum emu_phase p = EMU_PAUSED;
	int r = need_phase(m, BIT(EMU_RUNNING) | BIT(EMU_PAUSED), "pause", err);

	if (!r)
		emu_vm_call(&m->vm, do_phase, &p);
	return r;
}

int emu_vmm_run(struct emu_vmm *m, struct exp_error *err)
{
	enum emu_phase p = EMU_RUNNING;
	int r = need_phase(m, BIT(EMU_RUNNING) | BIT(EMU_PAUSED) | BIT(EMU_HALTED), "run", err);

	if (!r)
		emu_vm_call(&m->vm, do_phase, &p);
	m->verified = m->verified && r < 0;
	return r;
}

struct reboot {
	struct emu_client *on;
	int r;
	struct exp_error *err;
};

static void do_reboot(struct emu_vm *vm, void *arg)
{
	struct reboot *b = arg;

	vm->ctrl.cl = b->on; /* the old one goes away whatever happens */
	b->r = emu_vm_boot(vm, b->on, b->err);
	if (!b->r)
		emu_work_schedule(&vm->work, exp_mono_us());
	emu_vm_set_phase(vm, b->r < 0 ? EMU_GONE : EMU_RUNNING);
}

int emu_vmm_reattach(struct emu_vmm *m, const char *dir, struct exp_error *err)
{
	struct reboot b = { .err = err };
	int r = need_phase(m, BIT(EMU_GONE), "reattach", err);

	if (!r)
		r = emu_client_open(dir, &b.on, err);
	if (r < 0)
		return r;
	emu_vm_call(&m->vm, do_reboot, &b);
	/* whether it booted or not, the guest's driver has let go of the old one */
	emu_client_close(m->function);
	m->function = b.on;
	m->reattached += b.r == 0;
	return b.r;
}

/* --- questions --- */

struct identity_call {
	struct emu_identity *now;
	int64_t changed;
	struct exp_error *err;
};

static void do_identity(struct emu_vm *vm, void *arg)
{
	struct identity_call *c = arg;

	c->changed = emu_vm_identity(vm, c->now, c->err);
}

static void put_hex(struct exp_json *o, const char *name, const uint8_t *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	char *text = malloc(2 * n + 1);

	if (!text)
		return;
	for (size_t i = 0; i < n; i++) {
		text[2 * i] = digits[p[i] >> 4];
		text[2 * i + 1] = digits[p[i] & 0xf];
	}
	text[2 * n] = '\0';
	exp_json_put_str(o, name, text);
	free(text);
}

int emu_vmm_identity(struct emu_vmm *m, uint64_t *ret_changed, struct exp_json *ret,
		     struct exp_error *err)
{
	struct identity_call c = { .now = malloc(sizeof(*c.now)), .err = err };
	int r = need_phase(m, BOOTED & ~BIT(EMU_GONE), "identity", err);

	if (!c.now)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	if (!r) {
		emu_vm_call(&m->vm, do_identity, &c);
		r = c.changed < 0 ? (int)c.changed : 0;
	}
	if (!r) {
		*ret_changed = (uint64_t)c.changed;
		exp_json_put_u64(ret, "vs", c.now->vs);
		for (size_t i = 0; i < EMU_IDENTITY_PAGES; i++) {
			if (c.now->page[i].present)
				put_hex(ret, emu_identity_names[i], c.now->page[i].bytes,
					sizeof(c.now->page[i].bytes));
			else
				exp_json_put_str(ret, emu_identity_names[i], NULL);
		}
	}
	free(c.now);
	return r;
}

static void do_verify(struct emu_vm *vm, void *arg)
{
	vm->after = *(enum emu_phase *)arg;
	emu_vm_set_phase(vm, EMU_DRAINING);
}

int emu_vmm_verify(struct emu_vmm *m, bool halt, struct exp_error *err)
{
	enum emu_phase after = halt ? EMU_HALTED : EMU_RUNNING, p;
	int r = need_phase(m, BIT(EMU_RUNNING) | BIT(EMU_HALTED), "verify", err);

	if (r < 0)
		return r;
	m->verified = false;
	emu_vm_call(&m->vm, do_verify, &after);
	p = emu_vm_wait(&m->vm, BIT(after) | BIT(EMU_STUCK) | BIT(EMU_GONE), VERIFY_MS);
	if (p == after) {
		m->verified = true;
		return 0;
	}
	return exp_error_set(err, EXP_CODE_DEVICE, EIO, "verify: the guest is %s",
			     emu_phase_name(p));
}

static void do_mark(struct emu_vm *vm, void *arg)
{
	(void)arg;
	vm->work.gap.marked_us = 0;
}

void emu_vmm_mark_gap(struct emu_vmm *m)
{
	if (BIT(emu_vm_phase(&m->vm)) & BOOTED)
		emu_vm_call(&m->vm, do_mark, NULL);
}
