/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_report.c - what the guest has seen, as one JSON object
 *
 * "lost", "torn", "duplicated" and "reordered" are sums of what was found in the data and in
 * completions; "data" and "completions" say which. Everything is well when all of them, the foreign
 * blocks, I/O errors, missed interrupts and changed identity bytes are zero.
 */
#include "base/clock.h"
#include "emu/guest_vmm.h"

static struct exp_json *faults_json(const struct emu_faults *f)
{
	struct exp_json *o = exp_json_object();

	exp_json_put_u64(o, "lost", f->lost);
	exp_json_put_u64(o, "torn", f->torn);
	exp_json_put_u64(o, "duplicated", f->duplicated);
	exp_json_put_u64(o, "reordered", f->reordered);
	return o;
}

static struct exp_json *damages_json(const struct emu_ledger *l)
{
	struct exp_json *o = exp_json_object();

	for (enum emu_damage d = 0; d < EMU_DAMAGES; d++)
		exp_json_put_u64(o, emu_damage_name(d), l->damages[d]);
	return o;
}

static struct exp_json *notes_json(const struct emu_ledger *l)
{
	struct exp_json *list = exp_json_array();

	for (size_t i = 0; i < l->n_notes; i++) {
		struct exp_json *o = exp_json_object();

		exp_json_put_str(o, "kind", emu_damage_name(l->notes[i].kind));
		exp_json_put_u64(o, "block", l->notes[i].block);
		exp_json_put_str(o, "detail", l->notes[i].text);
		exp_json_add(list, o);
	}
	return list;
}

static struct exp_json *queues_json(const struct emu_work *k)
{
	struct exp_json *list = exp_json_array();

	for (uint16_t i = 0; i < k->c.queues; i++) {
		const struct emu_worker *w = &k->w[i];
		struct exp_json *o = exp_json_object();

		exp_json_put_u64(o, "qid", w->q.qid);
		exp_json_put_u64(o, "acked_writes", w->counts.acked_writes);
		exp_json_put_u64(o, "reads", w->counts.reads);
		exp_json_put_u64(o, "outstanding", w->q.outstanding);
		exp_json_put_u64(o, "io_errors", w->counts.io_errors);
		exp_json_add(list, o);
	}
	return list;
}

struct report {
	struct exp_json *o;
	bool well;
};

static void do_report(struct emu_vm *vm, void *arg)
{
	struct report *rp = arg;
	struct exp_json *o = rp->o;
	const struct emu_work *k = &vm->work;
	const struct emu_ledger *l = &k->ledger;
	struct emu_faults f = emu_work_faults(k), a = vm->ctrl.admin.faults;
	struct emu_counts n = emu_work_counts(k);
	uint64_t now = exp_mono_us(), open_gap = k->gap.since_us ? now - k->gap.since_us : 0;
	uint64_t damage = 0;

	f.lost += a.lost;
	f.torn += a.torn;
	f.duplicated += a.duplicated;
	f.reordered += a.reordered;
	for (enum emu_damage d = 0; d < EMU_DAMAGES; d++)
		damage += l->damages[d];
	exp_json_put_u64(o, "acked_writes", n.acked_writes);
	exp_json_put_u64(o, "lost", l->damages[EMU_LOST] + f.lost);
	exp_json_put_u64(o, "torn", l->damages[EMU_TORN] + f.torn);
	exp_json_put_u64(o, "duplicated", l->damages[EMU_DUPLICATED] + f.duplicated);
	exp_json_put_u64(o, "reordered", l->damages[EMU_REORDERED] + f.reordered);
	exp_json_put_u64(o, "foreign", l->damages[EMU_FOREIGN]);
	exp_json_put_u64(o, "identity_bytes_changed", vm->identity_bytes_changed);
	/* one that is still open counts as long as it has lasted */
	exp_json_put_u64(o, "longest_gap_us", EXP_MAX(k->gap.longest_us, open_gap));
	exp_json_put_u64(o, "marked_gap_us", EXP_MAX(k->gap.marked_us, open_gap));
	exp_json_put_u64(o, "outstanding", emu_work_outstanding(k));
	exp_json_put_u64(o, "acked_blocks", n.acked_blocks);
	exp_json_put_u64(o, "reads", n.reads);
	exp_json_put_u64(o, "write_zeroes", n.zeroes);
	exp_json_put_u64(o, "deallocates", n.trims);
	exp_json_put_u64(o, "flushes", n.flushes);
	exp_json_put_u64(o, "verified_blocks", n.scanned_blocks);
	exp_json_put_u64(o, "io_errors", n.io_errors);
	exp_json_put_u64(o, "retries", n.retries);
	exp_json_put_u64(o, "late_completions", n.late);
	exp_json_put_u64(o, "missed_interrupts", n.missed_interrupts);
	exp_json_put_u64(o, "events", vm->ctrl.n_events_seen);
	exp_json_put_u64(o, "completed_on_arrival", vm->move_completed);
	exp_json_put_u64(o, "namespace_bytes", k->ns.blocks * EMU_BLOCK);
	exp_json_put_u64(o, "lba_bytes", 1u << k->ns.lba_shift);
	exp_json_put_bool(o, "doorbells_mapped", emu_client_mapped(vm->ctrl.cl));
	exp_json_put(o, "data", damages_json(l));
	exp_json_put(o, "completions", faults_json(&f));
	exp_json_put(o, "queues", queues_json(k));
	exp_json_put(o, "damage", notes_json(l));
	if (k->first_error[0])
		exp_json_put_str(o, "first_error", k->first_error);
	rp->well = !damage && !f.lost && !f.torn && !f.duplicated && !f.reordered && !n.io_errors &&
		   !n.missed_interrupts && !vm->identity_bytes_changed;
}

struct exp_json *emu_vmm_report(struct emu_vmm *m, bool *ret_well)
{
	enum emu_phase p = emu_vm_phase(&m->vm);
	struct report rp = { .o = exp_json_object(), .well = p != EMU_FAILED };

	exp_json_put_str(rp.o, "phase", emu_phase_name(p));
	exp_json_put_u64(rp.o, "moves", m->moves);
	exp_json_put_u64(rp.o, "memory_passes", m->memory_passes);
	exp_json_put_u64(rp.o, "reattached", m->reattached);
	if (p == EMU_FAILED)
		exp_json_put_str(rp.o, "error", m->vm.error.msg);
	else if (p != EMU_BOOTING && p != EMU_WAITING)
		emu_vm_call(&m->vm, do_report, &rp);
	*ret_well = rp.well;
	return rp.o;
}
