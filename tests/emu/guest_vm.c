/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_vm.c - the loop of the vCPU thread
 *
 * A turn: wait for interrupts, the schedule or a call; take completions; send what is due; ring.
 * Queues are looked at only when their interrupt came, as a kernel does: a completion that lies
 * there unannounced is a fault of the device, found by the slow tick.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "emu/guest_vm.h"

#define TICK_US 100000

const char *emu_phase_name(enum emu_phase p)
{
	switch (p) {
	case EMU_BOOTING: return "booting";
	case EMU_WAITING: return "waiting-for-namespace";
	case EMU_ADOPTING: return "adopting";
	case EMU_RUNNING: return "running";
	case EMU_PAUSED: return "paused";
	case EMU_DRAINING: return "draining";
	case EMU_CHECKING: return "checking";
	case EMU_HALTED: return "halted";
	case EMU_STUCK: return "stuck";
	case EMU_GONE: return "device-gone";
	case EMU_FAILED: return "failed";
	}
	return "unknown";
}

void emu_vm_set_phase(struct emu_vm *vm, enum emu_phase p)
{
	enum emu_phase was;

	pthread_mutex_lock(&vm->lock);
	was = vm->phase;
	vm->phase = p;
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
	if (was != p)
		exp_log(LOG_INFO, "guest", kv_s("from", emu_phase_name(was)),
			kv_s("to", emu_phase_name(p)));
}

enum emu_phase emu_vm_phase(struct emu_vm *vm)
{
	enum emu_phase p;

	pthread_mutex_lock(&vm->lock);
	p = vm->phase;
	pthread_mutex_unlock(&vm->lock);
	return p;
}

enum emu_phase emu_vm_wait(struct emu_vm *vm, uint32_t mask, uint64_t ms)
{
	struct timespec until;
	enum emu_phase p;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&vm->lock);
	while (!(mask & 1u << vm->phase) && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&vm->changed, &vm->lock, &until);
	p = vm->phase;
	pthread_mutex_unlock(&vm->lock);
	return p;
}

/* --- a turn --- */

static bool has_device(const struct emu_vm *vm)
{
	return vm->phase != EMU_GONE && vm->phase != EMU_FAILED;
}

static bool takes_interrupts(const struct emu_vm *vm)
{
	return vm->phase != EMU_PAUSED && has_device(vm);
}

static uint64_t wait_time_us(const struct emu_vm *vm, uint64_t now, uint64_t most)
{
	uint64_t due = vm->phase == EMU_RUNNING ? emu_work_next_due_us(&vm->work) : UINT64_MAX;

	if (due <= now)
		return 0;
	return EXP_MIN(due - now, most);
}

static bool drain(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n);
}

/* Waits; then takes the completions of the queues whose interrupt came. */
static unsigned int wait_and_reap(struct emu_vm *vm, uint64_t wait_us)
{
	struct pollfd p[EMU_MAX_QUEUES + 3];
	struct timespec ts = { (time_t)(wait_us / 1000000), (long)(wait_us % 1000000) * 1000 };
	bool irqs = takes_interrupts(vm);
	uint16_t queues = vm->work_ready ? vm->c.work.queues : 0;
	unsigned int completed = 0;
	nfds_t n = 0;

	p[n++] = (struct pollfd){ .fd = vm->bell, .events = POLLIN };
	p[n++] = (struct pollfd){ .fd = has_device(vm) ? emu_client_fd(vm->ctrl.cl) : -1,
				  .events = POLLRDHUP };
	p[n++] = (struct pollfd){ .fd = irqs ? vm->ctrl.irq : -1, .events = POLLIN };
	for (uint16_t i = 0; i < queues; i++)
		p[n++] = (struct pollfd){ .fd = irqs ? vm->work.w[i].irq : -1, .events = POLLIN };
	if (ppoll(p, n, &ts, NULL) <= 0)
		return 0;
	if (p[2].revents && drain(vm->ctrl.irq))
		emu_ctrl_reap(&vm->ctrl);
	for (uint16_t i = 0; i < queues; i++) {
		if (p[3 + i].revents && drain(vm->work.w[i].irq))
			completed += emu_work_reap(&vm->work, &vm->work.w[i], exp_mono_us());
	}
	if ((p[1].revents & (POLLRDHUP | POLLHUP | POLLERR)) && emu_client_gone(vm->ctrl.cl)) {
		exp_log(LOG_WARNING, "the device closed the connection",
			kv_u("outstanding", vm->work_ready ? emu_work_outstanding(&vm->work) : 0));
		/* during boot the waiter sees it */
		if (vm->phase != EMU_BOOTING && vm->phase != EMU_WAITING)
			emu_vm_set_phase(vm, EMU_GONE);
	}
	return completed;
}

static void drained(struct emu_vm *vm)
{
	/* given-up commands may still complete: only without them is the ring at rest */
	for (uint16_t i = 0; i < vm->c.work.queues; i++) {
		if (!vm->work.w[i].q.outstanding)
			emu_queue_idle_check(&vm->work.w[i].q);
	}
	emu_work_scan_begin(&vm->work, EMU_SCAN_CHECK);
	emu_vm_set_phase(vm, EMU_CHECKING);
}

static void scan(struct emu_vm *vm, uint64_t now)
{
	bool done = true;

	for (uint16_t i = 0; i < vm->c.work.queues; i++)
		done = emu_work_scan_step(&vm->work, &vm->work.w[i], now) && done;
	if (!done) {
		if (emu_work_dead(&vm->work))
			emu_vm_set_phase(vm, EMU_STUCK);
		return;
	}
	emu_work_schedule(&vm->work, exp_mono_us());
	emu_vm_set_phase(vm, vm->phase == EMU_ADOPTING ? EMU_RUNNING : vm->after);
}

static void submit(struct emu_vm *vm, uint64_t now)
{
	switch (vm->phase) {
	case EMU_RUNNING:
		for (uint16_t i = 0; i < vm->c.work.queues; i++)
			emu_work_submit(&vm->work, &vm->work.w[i], now);
		break;
	case EMU_DRAINING:
		if (!emu_work_outstanding(&vm->work))
			drained(vm);
		break;
	case EMU_ADOPTING:
	case EMU_CHECKING: scan(vm, now); break;
	case EMU_BOOTING:
	case EMU_WAITING:
	case EMU_PAUSED:
	case EMU_HALTED:
	case EMU_STUCK:
	case EMU_GONE:
	case EMU_FAILED: break;
	}
}

static void ring(struct emu_vm *vm)
{
	int r = 0;

	if (!takes_interrupts(vm))
		return;
	if (vm->ctrl.cl)
		r = emu_queue_ring(&vm->ctrl.admin, vm->ctrl.cl, false);
	for (uint16_t i = 0; !r && vm->work_ready && i < vm->c.work.queues; i++)
		r = emu_queue_ring(&vm->work.w[i].q, vm->ctrl.cl, false);
	/* the client is dead then, and the next wait notices */
}

void emu_vm_turn(void *arg, uint64_t wait_us)
{
	struct emu_vm *vm = arg;
	uint64_t now = exp_mono_us();
	unsigned int completed = wait_and_reap(vm, wait_time_us(vm, now, wait_us));

	now = exp_mono_us();
	submit(vm, now);
	ring(vm);
	if (!vm->work_ready)
		return;
	emu_work_gap(&vm->work, exp_mono_us(), completed,
		     vm->phase == EMU_RUNNING || vm->phase == EMU_PAUSED || vm->phase == EMU_GONE);
	if (takes_interrupts(vm) && now - vm->tick_us > TICK_US) {
		emu_work_overdue(&vm->work, now);
		emu_ctrl_reap(&vm->ctrl);
		vm->tick_us = now;
	}
}

/* --- the thread --- */

/* Events are read at the top of the loop only: it takes admin commands, which take turns. */
static void handle_events(struct emu_vm *vm)
{
	static const struct emu_admin changed_ns = {
		.opcode = 0x02, /* Get Log Page 04h, 4096 bytes */
		.nsid = UINT32_MAX,
		.cdw = { 0x04 | 1023u << 16 },
		.bytes = 4096,
	};
	struct emu_admin a = changed_ns;
	struct exp_error err = { 0 };
	uint8_t log[4096];
	struct emu_cqe cqe;
	uint32_t dw0;
	int r = 0;

	if (!takes_interrupts(vm) || !vm->ctrl.n_events)
		return;
	a.out = log;
	while (!r && emu_ctrl_next_event(&vm->ctrl, &dw0)) {
		exp_log(LOG_INFO, "asynchronous event", kv_x("dw0", dw0));
		/* type 2 notice, information 0: Attached Namespace Attribute Changed */
		if ((dw0 & 0xff07) != 0x0002)
			continue;
		vm->ns_events++;
		r = emu_ctrl_admin(&vm->ctrl, &a, &cqe, &err);
	}
	if (!r)
		r = emu_ctrl_arm(&vm->ctrl, vm->aers, &err);
	if (r < 0)
		exp_log(LOG_WARNING, "event not handled", kv_s("why", err.msg));
}

static void run_call(struct emu_vm *vm)
{
	void (*fn)(struct emu_vm *, void *);
	void *arg;

	pthread_mutex_lock(&vm->lock);
	fn = vm->call;
	arg = vm->call_arg;
	pthread_mutex_unlock(&vm->lock);
	if (!fn)
		return;
	drain(vm->bell);
	fn(vm, arg);
	pthread_mutex_lock(&vm->lock);
	vm->call = NULL;
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
}

bool emu_vm_quitting(struct emu_vm *vm)
{
	bool q;

	pthread_mutex_lock(&vm->lock);
	q = vm->quit;
	pthread_mutex_unlock(&vm->lock);
	return q;
}

static void *vcpu(void *arg)
{
	struct emu_vm *vm = arg;
	int r = emu_vm_boot(vm, vm->ctrl.cl, &vm->error);

	if (r < 0) {
		exp_log(LOG_ERR, "the guest cannot boot", kv_s("why", vm->error.msg));
		emu_vm_set_phase(vm, EMU_FAILED);
	} else {
		emu_work_schedule(&vm->work, exp_mono_us());
		if (vm->c.adopt)
			emu_work_scan_begin(&vm->work, EMU_SCAN_ADOPT);
		emu_vm_set_phase(vm, vm->c.adopt ? EMU_ADOPTING : EMU_RUNNING);
	}
	while (!emu_vm_quitting(vm)) {
		run_call(vm);
		handle_events(vm);
		emu_vm_turn(vm, TICK_US);
	}
	run_call(vm); /* one that came last must not wait for ever */
	return NULL;
}

void emu_vm_call(struct emu_vm *vm, void (*fn)(struct emu_vm *vm, void *arg), void *arg)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&vm->lock);
	while (vm->call)
		pthread_cond_wait(&vm->changed, &vm->lock);
	vm->call = fn;
	vm->call_arg = arg;
	if (write(vm->bell, &one, sizeof(one)) < 0)
		exp_log(LOG_DEBUG, "vCPU thread is awake already", kv_i("rc", -errno));
	while (vm->call == fn && vm->call_arg == arg)
		pthread_cond_wait(&vm->changed, &vm->lock);
	pthread_mutex_unlock(&vm->lock);
}

int emu_vm_start(struct emu_vm *vm, const struct emu_vm_config *c, struct emu_client *cl,
		 struct exp_error *err)
{
	pthread_condattr_t attr;
	int r;

	*vm = (struct emu_vm){ .c = *c, .phase = EMU_BOOTING, .bell = -1 };
	vm->mem.fd = -1;
	vm->ctrl.irq = -1;
	r = emu_mem_open(&vm->mem, c->memory, c->memory_bytes, err);
	if (!r)
		r = emu_ctrl_init(&vm->ctrl, &vm->mem, 16 * EMU_PAGE, err);
	if (r < 0)
		goto fail;
	vm->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->bell < 0) {
		r = exp_error_set(err, EXP_CODE_SYSTEM, errno, "eventfd: %s", strerror(errno));
		goto fail;
	}
	vm->ctrl.cl = cl;
	vm->ctrl.turn = emu_vm_turn;
	vm->ctrl.turn_arg = vm;
	pthread_mutex_init(&vm->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&vm->changed, &attr);
	pthread_condattr_destroy(&attr);
	r = pthread_create(&vm->thread, NULL, vcpu, vm);
	if (!r)
		return 0;
	r = exp_error_set(err, EXP_CODE_SYSTEM, r, "vCPU thread: %s", strerror(r));
	pthread_cond_destroy(&vm->changed);
	pthread_mutex_destroy(&vm->lock);
fail:
	if (vm->bell >= 0)
		close(vm->bell);
	emu_ctrl_done(&vm->ctrl);
	emu_mem_close(&vm->mem);
	return r;
}

void emu_vm_stop(struct emu_vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->quit = true;
	pthread_mutex_unlock(&vm->lock);
	pthread_join(vm->thread, NULL);
	if (vm->work_ready)
		emu_work_done(&vm->work);
	emu_ctrl_done(&vm->ctrl);
	emu_mem_close(&vm->mem);
	close(vm->bell);
	pthread_cond_destroy(&vm->changed);
	pthread_mutex_destroy(&vm->lock);
}
