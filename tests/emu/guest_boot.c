/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_boot.c - the guest comes up: who is this device, which namespace, how many queues
 *
 * Offsets are those of the Identify figures (NVMe Base "Identify Controller data structure", NVM
 * Command Set "Identify Namespace data structure").
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/le.h"
#include "base/log.h"
#include "emu/guest_vm.h"

#define CNS_NS       0x00
#define CNS_CTRL     0x01
#define CNS_ACTIVE   0x02
#define CNS_NS_DESC  0x03
#define CNS_NS_NVM   0x05
#define CNS_CTRL_NVM 0x06

#define OPC_CREATE_SQ    0x01
#define OPC_CREATE_CQ    0x05
#define OPC_SET_FEATURES 0x09
#define FID_QUEUES       0x07
#define FID_EVENTS       0x0b

#define EVENT_NS_ATTACHED 0x100u /* feature 0Bh and OAES, bit 8 */
#define NS_POLL_MS        200

const char *const emu_identity_names[EMU_IDENTITY_PAGES] = {
	"controller_01h",    "namespace_00h",      "namespace_descriptors_03h",
	"namespace_nvm_05h", "controller_nvm_06h",
};
enum { PAGE_CTRL, PAGE_NS, PAGE_NS_DESC, PAGE_NS_NVM, PAGE_CTRL_NVM };

static int admin(struct emu_vm *vm, struct emu_admin a, uint32_t *ret_dw0, struct exp_error *err)
{
	struct emu_cqe e;
	int r = emu_ctrl_admin(&vm->ctrl, &a, &e, err);

	if (!r && ret_dw0)
		*ret_dw0 = e.dw0;
	return r;
}

/* --- identity --- */

static int read_identity(struct emu_vm *vm, uint32_t nsid, struct emu_identity *id,
			 struct exp_error *err)
{
	static const struct {
		uint8_t cns;
		bool with_ns;
	} pages[EMU_IDENTITY_PAGES] = {
		[PAGE_CTRL] = { CNS_CTRL, false },         [PAGE_NS] = { CNS_NS, true },
		[PAGE_NS_DESC] = { CNS_NS_DESC, true },    [PAGE_NS_NVM] = { CNS_NS_NVM, true },
		[PAGE_CTRL_NVM] = { CNS_CTRL_NVM, false },
	};

	memset(id, 0, sizeof(*id));
	id->vs = vm->ctrl.vs;
	for (size_t i = 0; i < EMU_IDENTITY_PAGES; i++) {
		struct exp_error why = { 0 };
		int r = emu_ctrl_identify(&vm->ctrl, pages[i].cns, pages[i].with_ns ? nsid : 0, 0,
					  id->page[i].bytes, &why);

		/* a refusal is part of the identity; a dead device is not */
		if (r < 0 && r != -EREMOTEIO) {
			if (err)
				*err = why;
			return r;
		}
		id->page[i].present = !r;
		id->page[i].status = why.nvme_status;
	}
	return 0;
}

int64_t emu_vm_identity(struct emu_vm *vm, struct emu_identity *now, struct exp_error *err)
{
	const struct emu_identity *was = &vm->boot_identity;
	int64_t changed = 0;
	uint64_t vs;
	int r = read_identity(vm, vm->work.ns.nsid, now, err);

	if (!r)
		r = emu_client_reg_read(vm->ctrl.cl, 0x08, 4, &vs, err);
	if (r < 0)
		return r;
	now->vs = (uint32_t)vs;
	for (size_t i = 0; i < EMU_IDENTITY_PAGES; i++) {
		for (size_t k = 0; k < sizeof(now->page[i].bytes); k++)
			changed += now->page[i].bytes[k] != was->page[i].bytes[k];
		changed += now->page[i].present != was->page[i].present;
	}
	for (unsigned int shift = 0; shift < 32; shift += 8)
		changed += (now->vs >> shift & 0xff) != (was->vs >> shift & 0xff);
	vm->identity_bytes_changed += (uint64_t)changed;
	return changed;
}

/* --- namespace --- */

static int first_active(struct emu_vm *vm, uint32_t *ret, struct exp_error *err)
{
	uint8_t list[4096];
	int r = emu_ctrl_identify(&vm->ctrl, CNS_ACTIVE, 0, 0, list, err);

	if (!r)
		*ret = exp_le32(list);
	return r;
}

/* Its Attached Namespace Attribute Changed event ends the wait early, a look now and then too. */
static int wait_namespace(struct emu_vm *vm, uint32_t *ret, struct exp_error *err)
{
	uint64_t deadline = exp_mono_ms() + vm->c.namespace_wait_ms, look = 0;

	for (;;) {
		int r = 0;

		if (vm->ctrl.n_events || exp_mono_ms() >= look) {
			uint32_t event;

			while (emu_ctrl_next_event(&vm->ctrl, &event))
				vm->ns_events++;
			r = emu_ctrl_arm(&vm->ctrl, vm->aers, err);
			if (!r)
				r = first_active(vm, ret, err);
			look = exp_mono_ms() + NS_POLL_MS;
		}
		if (r < 0 || *ret)
			return r;
		if (emu_vm_quitting(vm))
			return exp_error_set(err, EXP_CODE_CANCELLED, ECANCELED, "stopped");
		if (exp_mono_ms() > deadline)
			return exp_error_set(err, EXP_CODE_DEVICE_TIMEOUT, ETIMEDOUT,
					     "no namespace was attached within %u ms",
					     vm->c.namespace_wait_ms);
		emu_vm_set_phase(vm, EMU_WAITING);
		emu_vm_turn(vm, NS_POLL_MS * 1000);
		if (emu_client_gone(vm->ctrl.cl))
			return exp_error_set(err, EXP_CODE_DEVICE_GONE, ENODEV,
					     "the device is gone");
	}
}

static int parse_namespace(const struct emu_identity *id, uint32_t nsid, struct emu_ns *ret,
			   struct exp_error *err)
{
	const uint8_t *ctrl = id->page[PAGE_CTRL].bytes, *ns = id->page[PAGE_NS].bytes;
	const uint8_t *format;
	uint64_t blocks = exp_le64(ns);
	uint16_t oncs = exp_le16(ctrl + 520);
	uint8_t flbas = ns[26], mdts = ctrl[77];

	if (!id->page[PAGE_CTRL].present || !id->page[PAGE_NS].present)
		return exp_error_set(err, EXP_CODE_DEVICE_DATA, EPROTO,
				     "the device does not identify itself or namespace %u", nsid);
	format = ns + 128 + 4 * (size_t)((flbas & 0xf) | (flbas >> 5 & 3) << 4);
	if (format[2] < 9 || format[2] > 12 || exp_le16(format))
		return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, ENOTSUP,
				     "namespace %u has blocks of 2^%u and %u bytes of metadata; "
				     "512 to 4096 without are possible",
				     nsid, format[2], exp_le16(format));
	*ret = (struct emu_ns){
		.nsid = nsid,
		.lba_shift = format[2],
		.blocks = blocks >> (12 - format[2]),
		.dealloc = (ns[33] & 7) == 1   ? EMU_DEALLOC_ZEROS
			   : (ns[33] & 7) == 2 ? EMU_DEALLOC_ONES
					       : EMU_DEALLOC_ANY_OF_BOTH,
		.can_trim = oncs & 0x4,
		.can_zero = oncs & 0x8,
		.has_cache = ctrl[525] & 1,
		.max_bytes = mdts && mdts < 20 ? EMU_PAGE << mdts : 0,
	};
	return 0;
}

/* --- queues --- */

static int set_features(struct emu_vm *vm, const uint8_t *ctrl, struct exp_error *err)
{
	uint16_t n = vm->c.work.queues;
	uint32_t dw0 = 0, oaes = exp_le32(ctrl + 92);
	int r = admin(vm,
		      (struct emu_admin){
			      .opcode = OPC_SET_FEATURES,
			      .cdw = { FID_QUEUES, (uint32_t)(n - 1) << 16 | (n - 1u) } },
		      &dw0, err);

	if (r < 0)
		return exp_error_wrap(err, r, "ask for %u queue pairs", n);
	if ((dw0 & 0xffff) + 1 < n || (dw0 >> 16) + 1 < n)
		return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, ENOSPC,
				     "%u queue pairs asked for, %u SQs and %u CQs granted", n,
				     (dw0 & 0xffff) + 1, (dw0 >> 16) + 1);
	if (!(oaes & EVENT_NS_ATTACHED))
		return 0;
	r = admin(vm,
		  (struct emu_admin){ .opcode = OPC_SET_FEATURES,
				      .cdw = { FID_EVENTS, EVENT_NS_ATTACHED } },
		  NULL, err);
	return r < 0 ? exp_error_wrap(err, r, "ask for namespace events") : 0;
}

static int create_pair(struct emu_vm *vm, struct emu_worker *w, struct exp_error *err)
{
	const struct emu_queue *q = &w->q;
	uint32_t id_size = (uint32_t)(q->entries - 1) << 16 | q->qid;
	int r = emu_client_irqs(vm->ctrl.cl, q->qid, &w->irq, 1, err);

	if (!r)
		r = admin(vm,
			  (struct emu_admin){ .opcode = OPC_CREATE_CQ,
					      .prp1 = q->cq_iova,
					      /* vector = queue id, interrupts on, contiguous */
					      .cdw = { id_size, (uint32_t)q->qid << 16 | 3 } },
			  NULL, err);
	if (!r)
		r = admin(vm,
			  (struct emu_admin){ .opcode = OPC_CREATE_SQ,
					      .prp1 = q->sq_iova,
					      .cdw = { id_size, (uint32_t)q->qid << 16 | 1 } },
			  NULL, err);
	return r < 0 ? exp_error_wrap(err, r, "create queue pair %u", q->qid) : 0;
}

static uint16_t queue_entries(const struct emu_vm *vm)
{
	uint32_t most = (uint32_t)(vm->ctrl.cap & 0xffff) + 1;
	/* small rings wrap often */
	uint32_t want = vm->c.entries ? vm->c.entries : EXP_MAX(2u * vm->c.work.depth, 16u);

	return (uint16_t)EXP_MIN(EXP_MIN(want, most), 65535u);
}

/* The first time: memory, ledger. Later boots use the same. */
static int make_work(struct emu_vm *vm, const struct emu_ns *ns, struct exp_error *err)
{
	uint32_t run;
	int r;

	if (queue_entries(vm) <= vm->c.work.depth)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "%u commands at once do not fit a queue of %u entries",
				     vm->c.work.depth, queue_entries(vm));
	if (emu_client_vectors(vm->ctrl.cl) <= vm->c.work.queues)
		return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, ENOTSUP,
				     "%u queues and the admin queue need as many interrupt vectors,"
				     " the function has %u",
				     vm->c.work.queues, emu_client_vectors(vm->ctrl.cl));
	exp_random_bytes(&run, sizeof(run));
	/* without a promise of zeros nothing can be said of what was never written */
	r = emu_work_init(&vm->work, &vm->mem, &vm->c.work, ns, queue_entries(vm), run,
			  !vm->c.adopt && ns->dealloc == EMU_DEALLOC_ZEROS, err);
	if (!r)
		vm->work_ready = true;
	else
		emu_work_done(&vm->work);
	return r;
}

static int check_same(const struct emu_vm *vm, const struct emu_ns *ns, struct exp_error *err)
{
	const struct emu_ns *was = &vm->work.ns;

	if (ns->nsid == was->nsid && ns->blocks == was->blocks && ns->lba_shift == was->lba_shift)
		return 0;
	return exp_error_set(err, EXP_CODE_CONFLICT, ESTALE,
			     "namespace %u of %llu blocks was namespace %u of %llu before",
			     ns->nsid, (unsigned long long)ns->blocks, was->nsid,
			     (unsigned long long)was->blocks);
}

int emu_vm_boot(struct emu_vm *vm, struct emu_client *cl, struct exp_error *err)
{
	struct emu_identity *id = malloc(sizeof(*id));
	uint32_t nsid = 0;
	struct emu_ns ns;
	int r;

	if (!id)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	emu_vm_set_phase(vm, EMU_BOOTING);
	if (vm->work_ready)
		emu_work_restart(&vm->work);
	r = emu_ctrl_start(&vm->ctrl, cl, err);
	if (!r)
		r = emu_ctrl_identify(&vm->ctrl, CNS_CTRL, 0, 0, id->page[PAGE_CTRL].bytes, err);
	if (r < 0)
		goto out;
	vm->aers = EXP_MIN(id->page[PAGE_CTRL].bytes[259] + 1u, EMU_MAX_AERS);
	r = set_features(vm, id->page[PAGE_CTRL].bytes, err);
	if (!r)
		r = wait_namespace(vm, &nsid, err);
	emu_vm_set_phase(vm, EMU_BOOTING);
	if (!r)
		r = read_identity(vm, nsid, id, err);
	if (!r)
		r = parse_namespace(id, nsid, &ns, err);
	if (!r)
		r = vm->work_ready ? check_same(vm, &ns, err) : make_work(vm, &ns, err);
	for (uint16_t i = 0; !r && i < vm->c.work.queues; i++)
		r = create_pair(vm, &vm->work.w[i], err);
	if (r < 0)
		goto out;
	if (!vm->boots++)
		vm->boot_identity = *id;
	exp_log(LOG_NOTICE, "guest is up", kv_u("ns", nsid), kv_u("blocks", ns.blocks),
		kv_u("queues", vm->c.work.queues));
out:
	free(id);
	return r;
}
