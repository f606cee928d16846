/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_vmm.h - the VM manager around the guest: which function it runs on, and how it moves
 *
 * A move has the steps of the contract between expd and a VMM: attach-target at the destination,
 * move when the migration is active, drop-source; drop-target goes back. The guest notices nothing:
 * memory is the same file, queues stay as they are. All calls come from one thread and block it;
 * the vCPU goes on meanwhile, but for the moments in which it is told to change something.
 */
#ifndef EMU_GUEST_VMM_H
#define EMU_GUEST_VMM_H

#include "base/json.h"
#include "emu/guest_vm.h"

struct emu_vmm {
	struct emu_vm vm;
	struct emu_client *function; /* that the guest runs on */
	struct emu_client *target;   /* attached, the guest is not there yet */
	struct emu_client *old;      /* the guest is not there any more */
	bool target_master;          /* may do DMA */
	uint64_t moves, memory_passes, reattached;
	bool stopped;  /* the vCPU has ended */
	bool verified; /* the last check ran to its end, after it nothing was written */
};

int emu_vmm_start(struct emu_vmm *m, const char *function, const struct emu_vm_config *c,
		  struct exp_error *err) EXP_MUST_CHECK;
/** emu_vmm_stop - end the guest, let go of all functions (their controllers stay as they are) */
void emu_vmm_stop(struct emu_vmm *m);

/** emu_vmm_power_off - the VM is switched off: CC.EN=0 everywhere; only emu_vmm_stop() follows */
void emu_vmm_power_off(struct emu_vmm *m);

/** emu_vmm_attach_target - step 1: map memory, program and enable the destination's controller */
int emu_vmm_attach_target(struct emu_vmm *m, const char *dir, bool bus_master,
			  struct exp_error *err) EXP_MUST_CHECK;
int emu_vmm_bus_master_on(struct emu_vmm *m, struct exp_error *err) EXP_MUST_CHECK;
/** emu_vmm_move - step 4: go on at the target. @ring: tell it tails and heads, for a guest that
 * went on ringing after its state was read; one that was paused before needs none */
int emu_vmm_move(struct emu_vmm *m, bool ring, struct exp_error *err) EXP_MUST_CHECK;
/** emu_vmm_drop_source - step 5: CC.EN=0 at the function the guest came from */
int emu_vmm_drop_source(struct emu_vmm *m, struct exp_error *err) EXP_MUST_CHECK;
/** emu_vmm_drop_target - the migration was aborted: CC.EN=0 at the target */
int emu_vmm_drop_target(struct emu_vmm *m, struct exp_error *err) EXP_MUST_CHECK;
void emu_vmm_memory_pass(struct emu_vmm *m);

int emu_vmm_pause(struct emu_vmm *m, struct exp_error *err) EXP_MUST_CHECK;
int emu_vmm_run(struct emu_vmm *m, struct exp_error *err) EXP_MUST_CHECK;
/** emu_vmm_reattach - the device went away and is back at @dir: boot on it again */
int emu_vmm_reattach(struct emu_vmm *m, const char *dir, struct exp_error *err) EXP_MUST_CHECK;

/** emu_vmm_identity - bytes changed since boot; @ret gets the pages in hexadecimal */
int emu_vmm_identity(struct emu_vmm *m, uint64_t *ret_changed, struct exp_json *ret,
		     struct exp_error *err) EXP_MUST_CHECK;
/** emu_vmm_verify - let all commands finish, read every block; @halt: and stay so */
int emu_vmm_verify(struct emu_vmm *m, bool halt, struct exp_error *err) EXP_MUST_CHECK;
void emu_vmm_mark_gap(struct emu_vmm *m); /* "longest gap since the mark" starts again */

/** emu_vmm_report - counts and findings of now; *ret_well: nothing was lost, damaged or missed */
struct exp_json *emu_vmm_report(struct emu_vmm *m, bool *ret_well);

#endif
