/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_vm.h - the virtual machine: one vCPU thread that drives a controller and its I/O
 *
 * The thread owns everything below. Others, the VMM, have it do something by emu_vm_call(), which
 * runs a function between two turns of its loop; they may read nothing without that. While the vCPU
 * is paused nothing is submitted and no interrupt is taken; commands stay outstanding, time goes
 * on.
 */
#ifndef EMU_GUEST_VM_H
#define EMU_GUEST_VM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "emu/guest_ctrl.h"
#include "emu/guest_work.h"

enum emu_phase {
	EMU_BOOTING,
	EMU_WAITING,  /* for a namespace */
	EMU_ADOPTING, /* reading what an earlier guest left */
	EMU_RUNNING,
	EMU_PAUSED,
	EMU_DRAINING, /* no new commands; then checking */
	EMU_CHECKING, /* reading every block */
	EMU_HALTED,   /* checked, at rest */
	EMU_STUCK,    /* a check cannot end: no command of some queue comes back */
	EMU_GONE,     /* the device closed the connection */
	EMU_FAILED,   /* could not boot; vm.error says why */
};

const char *emu_phase_name(enum emu_phase p);

struct emu_vm_config {
	struct emu_work_config work;
	const char *memory; /* path or NULL */
	uint64_t memory_bytes;
	uint16_t entries; /* of each I/O queue; 0: chosen by depth */
	uint32_t namespace_wait_ms;
	bool adopt;
};

#define EMU_IDENTITY_PAGES 5

/* What the guest can learn about its device; none of it may change. */
struct emu_identity {
	struct {
		bool present; /* false: the device refused with @status */
		uint16_t status;
		uint8_t bytes[4096];
	} page[EMU_IDENTITY_PAGES];
	uint32_t vs;
};
extern const char *const emu_identity_names[EMU_IDENTITY_PAGES];

struct emu_vm {
	struct emu_vm_config c;
	struct emu_mem mem;
	struct emu_ctrl ctrl;
	struct emu_work work;
	bool work_ready; /* queues and ledger exist */
	struct emu_identity boot_identity;
	uint64_t identity_bytes_changed;
	unsigned int aers; /* to keep outstanding */
	uint64_t ns_events, boots;
	uint64_t move_completed; /* found completed on arrival at a new function */
	enum emu_phase after;    /* a check */

	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int bell;             /* wakes the thread for a call */
	enum emu_phase phase; /* written by the thread, under the lock */
	bool quit;
	void (*call)(struct emu_vm *vm, void *arg); /* not NULL: to be run */
	void *call_arg;
	struct exp_error error;
	uint64_t tick_us; /* of the last look at what is overdue */
};

/** emu_vm_start - memory and thread; it boots on @cl, which stays the caller's */
int emu_vm_start(struct emu_vm *vm, const struct emu_vm_config *c, struct emu_client *cl,
		 struct exp_error *err) EXP_MUST_CHECK;

/** emu_vm_stop - end the thread (not the device) and release everything */
void emu_vm_stop(struct emu_vm *vm);

/** emu_vm_call - run @fn on the vCPU thread and wait for it */
void emu_vm_call(struct emu_vm *vm, void (*fn)(struct emu_vm *vm, void *arg), void *arg);

/** emu_vm_phase - of now; any thread */
enum emu_phase emu_vm_phase(struct emu_vm *vm);

/**
 * emu_vm_wait - until the phase is one of @mask (bits 1 << phase), at most @ms
 * Returns the phase; it may be another one after the time-out.
 */
enum emu_phase emu_vm_wait(struct emu_vm *vm, uint32_t mask, uint64_t ms);

/* For functions that run on the vCPU thread. */
bool emu_vm_quitting(struct emu_vm *vm);
void emu_vm_set_phase(struct emu_vm *vm, enum emu_phase p);
/** emu_vm_turn - one turn of the loop without calls: wait at most @wait_us, handle, submit, ring */
void emu_vm_turn(void *vm, uint64_t wait_us);
/** emu_vm_boot - start the controller on @cl, find the namespace, create the queues */
int emu_vm_boot(struct emu_vm *vm, struct emu_client *cl, struct exp_error *err) EXP_MUST_CHECK;
/** emu_vm_identity - read all pages again; returns bytes that differ from boot, or -errno */
int64_t emu_vm_identity(struct emu_vm *vm, struct emu_identity *now,
			struct exp_error *err) EXP_MUST_CHECK;

#endif
