/* SPDX-License-Identifier: Apache-2.0 */
/*
 * preflight.c - two drives compared (NVMe Base 2.3 "Identify Controller data structure",
 * "Supported Controller State Formats"; Host Managed Live Migration leaves this check to the host)
 *
 * A refusal is a rule whose breach loses the guest something it was promised. What a template masks
 * from the guest, or what the drive checks itself when the target is built, is a warning.
 */
#include <stdio.h>
#include <string.h>

#include "handover/preflight.h"

#define REFUSE EXP_FINDING_REFUSAL
#define WARN   EXP_FINDING_WARNING
#define NOTE   EXP_FINDING_NOTE

struct text {
	char s[64];
};

static struct text num(uint64_t v)
{
	struct text t;

	snprintf(t.s, sizeof(t.s), "%llu", (unsigned long long)v);
	return t;
}

static struct text hex(uint64_t v)
{
	struct text t;

	snprintf(t.s, sizeof(t.s), "%llxh", (unsigned long long)v);
	return t;
}

static struct text uuid(const struct exp_uuid *u)
{
	struct text t;

	exp_uuid_format(u, t.s);
	return t;
}

/* ------------------------------------------------------------------ what a drive must be able to
 * do */

struct gate {
	uint32_t flag;
	const char *code, *rule, *message;
};

static void gates(const struct exp_caps *c, const struct gate *g, size_t n, const char *why,
		  struct exp_findings *fs)
{
	for (size_t i = 0; i < n; i++)
		if (!(c->flags & g[i].flag))
			exp_findings_add(fs, REFUSE, g[i].code, g[i].rule, "no", "yes", "%s%s%s%s",
					 g[i].message, why && *why ? " (" : "",
					 why && *why ? why : "", why && *why ? ")" : "");
}

static const struct gate target_gates[] = {
	{ EXP_CAP_MMC, "TARGET_NOT_MMC", "OACS.HMLMS = 1 at the destination",
	  "the destination drive does not manage migrations; choose another device" },
	{ EXP_CAP_NS_MGMT, "TARGET_NO_NS_MANAGEMENT", "OACS bit 3 at the destination",
	  "the destination drive cannot create namespaces; choose another device" },
	{ EXP_CAP_TEMPLATE, "TARGET_NO_TEMPLATES", "ENSA.ENSTS = 1 at the destination",
	  "the destination drive has no exported-subsystem templates; choose another device" },
	{ EXP_CAP_EXPORT_MIGRATE, "TARGET_NO_EXPORT_MIGRATION", "ENSA.ENSMS = 1 at the destination",
	  "the destination drive cannot migrate exported subsystems; choose another device" },
	{ EXP_CAP_ENF1, "TARGET_NO_FORMAT_1", "ENDSFS.ENF1 = 1 at the destination",
	  "the destination drive lacks exported namespace format 1; choose another device" },
};

static const struct gate target_data_gate[] = {
	{ EXP_CAP_NS_DATA, "TARGET_NO_DATA_PATH",
	  "namespace data can be written at the destination",
	  "the destination cannot write the namespace" },
};

static const struct gate source_gates[] = {
	{ EXP_CAP_MMC, "SOURCE_NOT_MMC", "OACS.HMLMS = 1 at the source",
	  "the source drive does not manage migrations" },
};

static const struct gate source_data_gate[] = {
	{ EXP_CAP_NS_DATA, "SOURCE_NO_DATA_PATH", "namespace data can be read at the source",
	  "the source cannot read the namespace" },
};

static const struct gate change_log_gate[] = {
	{ EXP_CAP_CHANGE_LOG, "NO_CHANGE_LOG", "a live move needs the drive's change log",
	  "writes during the copy would go unnoticed; ask for an offline move (dirty: none)" },
};

/* ------------------------------------------------------------------ the target */

static void check_template(const struct exp_caps *dst, const struct exp_export_desc *d,
			   struct exp_findings *fs)
{
	if (exp_caps_has_template(dst, &d->template))
		return;
	exp_findings_add(fs, REFUSE, "NO_COMMON_TEMPLATE", "both drives list the export's template",
			 dst->n_templates ? uuid(&dst->templates[0]).s : "none",
			 uuid(&d->template).s,
			 "the destination drive %s does not list the template that %s was created "
			 "with; the guest would see another device",
			 dst->model, d->nqn.s);
}

static void check_format(const struct exp_caps *dst, const struct exp_export_desc *d,
			 struct exp_findings *fs)
{
	struct text have = num(dst->n_formats ? dst->formats[0].lba_bytes : 0);

	if (exp_caps_format(dst, d->lba_bytes))
		return;
	exp_findings_add(fs, REFUSE, "LBA_FORMAT", "equal logical block size, no metadata", have.s,
			 num(d->lba_bytes).s,
			 "the destination drive %s has no format with blocks of %u bytes and no "
			 "metadata",
			 dst->model, d->lba_bytes);
}

static bool bytes_of(const struct exp_export_desc *d, uint64_t *sum)
{
	uint64_t b;

	return d->nsze && d->lba_bytes && !__builtin_mul_overflow(d->nsze, d->lba_bytes, &b) &&
	       !__builtin_add_overflow(*sum, b, sum);
}

static void check_capacity(const struct exp_caps *dst, const struct exp_export_desc *descs,
			   uint32_t n, struct exp_findings *fs)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (bytes_of(&descs[i], &sum))
			continue;
		exp_findings_add(fs, REFUSE, "EXPORT_SIZE", "a namespace has blocks",
				 num(descs[i].nsze).s, "1 or more",
				 "%s: %llu blocks of %u bytes are no size of a namespace",
				 descs[i].nqn.s, (unsigned long long)descs[i].nsze,
				 descs[i].lba_bytes);
		return;
	}
	if (sum > dst->free_bytes)
		exp_findings_add(fs, REFUSE, "NO_CAPACITY", "unallocated capacity >= what moves",
				 num(dst->free_bytes).s, num(sum).s,
				 "the destination drive has %llu bytes free, %llu are needed; free "
				 "some there or choose another device",
				 (unsigned long long)dst->free_bytes, (unsigned long long)sum);
	if (dst->max_exports && (uint32_t)dst->max_exports < dst->n_exports + n)
		exp_findings_add(
			fs, REFUSE, "NO_EXPORT_SLOT", "MNENS >= exported subsystems",
			num(dst->max_exports).s, num(dst->n_exports + n).s,
			"the destination drive holds %u exported subsystems of at most %u, "
			"%u more are needed",
			dst->n_exports, dst->max_exports, n);
}

static bool taken(const uint16_t *given, uint32_t n, uint16_t cntlid)
{
	for (uint32_t i = 0; i < n; i++)
		if (given[i] == cntlid)
			return true;
	return false;
}

static bool is_free(const struct exp_ctrl_caps *c)
{
	return !c->associated && !c->enabled;
}

static void check_wanted(const struct exp_caps *dst, uint32_t want, const uint16_t *given,
			 uint32_t i, struct exp_findings *fs)
{
	const struct exp_ctrl_caps *c = want <= UINT16_MAX ? exp_caps_ctrl(dst, (uint16_t)want)
							   : NULL;
	const char *code = NULL, *have = NULL;

	if (!c || want == dst->cntlid) {
		code = "CONTROLLER_UNKNOWN";
		have = "not there";
	} else if (c->associated) {
		code = "CONTROLLER_TAKEN";
		have = "belongs to another export";
	} else if (c->enabled) {
		code = "CONTROLLER_ENABLED";
		have = "enabled (CC.EN=1)";
	} else if (taken(given, i, c->cntlid)) {
		code = "CONTROLLER_TWICE";
		have = "asked for twice";
	}
	if (code)
		exp_findings_add(fs, REFUSE, code, "the target controller is free and disabled",
				 have, num(want).s,
				 "controller %u of the destination drive cannot be the target: %s; "
				 "name another one or none",
				 want, have);
}

static void choose_controllers(const struct exp_caps *dst, uint32_t n, const uint32_t *want,
			       struct exp_findings *fs, uint16_t *ret)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < n; i++) {
		ret[i] = UINT16_MAX;
		if (want[i] == UINT32_MAX)
			continue;
		check_wanted(dst, want[i], ret, i, fs);
		ret[i] = (uint16_t)want[i];
		found++;
	}
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t k = 0; want[i] == UINT32_MAX && k < dst->n_ctrls; k++) {
			const struct exp_ctrl_caps *c = &dst->ctrls[k];

			if (!is_free(c) || c->cntlid == dst->cntlid || taken(ret, n, c->cntlid))
				continue;
			ret[i] = c->cntlid;
			found++;
			break;
		}
	}
	if (found < n)
		exp_findings_add(fs, REFUSE, "NO_FREE_CONTROLLER", "one free controller per export",
				 num(found).s, num(n).s,
				 "the destination drive has %u free controllers, %u are needed",
				 found, n);
}

/* Limits that the guest was told, against what the destination drive can keep. 0's based stays so.
 */
static void at_least(uint64_t have, uint64_t want, const char *code, const char *rule,
		     const char *what, const struct exp_export_desc *d, struct exp_findings *fs)
{
	if (have >= want)
		return;
	exp_findings_add(fs, REFUSE, code, rule, num(have).s, num(want).s,
			 "%s: the guest was told %s of %llu, the destination drive has %llu",
			 d->nqn.s, what, (unsigned long long)want, (unsigned long long)have);
}

static void check_view(const struct exp_caps *dst, const struct exp_export_desc *d,
		       const struct exp_guest_view *v, struct exp_findings *fs)
{
	if (!v->known)
		return;
	if (dst->mdts && (!v->mdts || v->mdts > dst->mdts))
		exp_findings_add(
			fs, REFUSE, "MDTS_TOO_SMALL", "destination MDTS >= the guest's",
			num(dst->mdts).s, v->mdts ? num(v->mdts).s : "0 (no limit)",
			"%s: the guest may send larger commands than the destination drive "
			"takes (2^MDTS pages)",
			d->nqn.s);
	at_least(dst->mqes, v->mqes, "QUEUE_TOO_SMALL", "CAP.MQES >= the guest's", "MQES", d, fs);
	at_least(dst->nsqs, v->nsqs, "TOO_FEW_QUEUES", "submission queues >= the guest's",
		 "I/O submission queues (0's based)", d, fs);
	at_least(dst->ncqs, v->ncqs, "TOO_FEW_QUEUES", "completion queues >= the guest's",
		 "I/O completion queues (0's based)", d, fs);
	at_least(dst->awun, v->awun, "ATOMICITY", "AWUN >= the guest's", "AWUN", d, fs);
	at_least(dst->awupf, v->awupf, "ATOMICITY", "AWUPF >= the guest's", "AWUPF", d, fs);
	if (v->oncs & ~dst->oncs)
		exp_findings_add(
			fs, REFUSE, "COMMANDS_MISSING", "ONCS of the guest is a subset",
			hex(dst->oncs).s, hex(v->oncs).s,
			"%s: the guest may use optional commands that the destination drive "
			"lacks (ONCS bits %xh)",
			d->nqn.s, v->oncs & ~dst->oncs);
}

void exp_preflight_target(const struct exp_caps *dst, const struct exp_export_desc *descs,
			  const struct exp_guest_view *views, uint32_t n,
			  const uint32_t *want_cntlid, struct exp_findings *fs,
			  uint16_t *ret_cntlid)
{
	gates(dst, target_gates, EXP_ARRAY_SIZE(target_gates), NULL, fs);
	gates(dst, target_data_gate, 1, dst->no_ns_data, fs);
	for (uint32_t i = 0; i < n; i++) {
		check_template(dst, &descs[i], fs);
		check_format(dst, &descs[i], fs);
		if (views)
			check_view(dst, &descs[i], &views[i], fs);
	}
	check_capacity(dst, descs, n, fs);
	choose_controllers(dst, n, want_cntlid, fs, ret_cntlid);
}

/* ------------------------------------------------------------------ the state path */

static bool template_state(const struct exp_job *job, const struct exp_caps *c)
{
	for (uint32_t i = 0; i < job->n_exports; i++)
		if (!exp_caps_has_state_uuid(c, &job->exports[i].desc.template))
			return false;
	return true;
}

static bool common_vendor_state(const struct exp_caps *a, const struct exp_caps *b)
{
	for (uint32_t i = 0; i < a->n_state_uuids; i++)
		if (!exp_caps_has_template(a, &a->state_uuids[i]) &&
		    exp_caps_has_state_uuid(b, &a->state_uuids[i]))
			return true;
	return false;
}

static bool common_version(const struct exp_caps *a, const struct exp_caps *b)
{
	for (uint32_t i = 0; i < a->n_versions; i++)
		if (exp_caps_has_version(b, a->versions[i]))
			return true;
	return false;
}

static enum exp_state_path choose_path(const struct exp_job *job, const struct exp_caps *src,
				       const struct exp_caps *dst, struct exp_findings *fs)
{
	bool queues = common_version(src, dst);

	if (job->path == EXP_PATH_VMM && queues)
		return EXP_PATH_VMM; /* the request says that the VMM replays the rest */
	if (job->path != EXP_PATH_VMM && template_state(job, src) && template_state(job, dst))
		return EXP_PATH_REFERENCE;
	if (job->path != EXP_PATH_VMM && queues && common_vendor_state(src, dst))
		return EXP_PATH_VENDOR;
	exp_findings_add(
		fs, REFUSE, "STATE_INCOMPLETE",
		"a state format in common that holds admin queue and features",
		queues ? "I/O queue state only" : "no format in common",
		"the template's state, or a vendor's",
		"a running guest would lose its admin queue, features or outstanding events; "
		"this cannot be overridden: shut the VM down and move it cold, or choose "
		"another drive");
	return EXP_PATH_NONE;
}

/* Whether the VM is on: every guest controller enabled, or none. */
static bool any_enabled(const struct exp_job *job, const struct exp_caps *src,
			struct exp_findings *fs)
{
	uint32_t on = 0;

	for (uint32_t i = 0; i < job->n_exports; i++) {
		const struct exp_job_export *x = &job->exports[i];
		const struct exp_ctrl_caps *c = exp_caps_ctrl(src, x->here.cntlid);

		if (!c)
			exp_findings_add(fs, REFUSE, "SOURCE_CONTROLLER_UNKNOWN",
					 "the guest's controller is on the source drive",
					 "not there", num(x->here.cntlid).s,
					 "%s: the source drive does not list controller %u",
					 x->desc.nqn.s, x->here.cntlid);
		else
			on += c->enabled;
	}
	if (on && on < job->n_exports)
		exp_findings_add(
			fs, REFUSE, "HALF_ENABLED",
			"the exports of one job are all in use, or none is", num(on).s,
			num(job->n_exports).s,
			"%u of %u controllers are enabled: the VM is starting or stopping; "
			"try again when it is on or off",
			on, job->n_exports);
	return on;
}

/* ------------------------------------------------------------------ both drives */

static void equal(uint64_t have, uint64_t want, const char *code, const char *rule,
		  const char *message, struct exp_findings *fs)
{
	if (have != want)
		exp_findings_add(fs, REFUSE, code, rule, hex(have).s, hex(want).s, "%s", message);
}

static void warn_less(uint64_t have, uint64_t want, const char *code, const char *rule,
		      struct exp_findings *fs)
{
	if (have < want)
		exp_findings_add(
			fs, WARN, code, rule, num(have).s, num(want).s,
			"the destination drive has less than the source drive; what counts is "
			"what the template shows the guest, which is checked when the target is "
			"built");
}

static void warn_missing(uint64_t have, uint64_t want, const char *code, const char *rule,
			 struct exp_findings *fs)
{
	if (want & ~have)
		exp_findings_add(
			fs, WARN, code, rule, hex(have).s, hex(want).s,
			"the destination drive lacks bits %llxh of the source drive; what counts "
			"is what the template shows the guest",
			(unsigned long long)(want & ~have));
}

static void compare_unviewed(const struct exp_caps *src, const struct exp_caps *dst,
			     struct exp_findings *fs)
{
	if (dst->mdts)
		warn_less(dst->mdts, src->mdts ? src->mdts : UINT8_MAX, "MDTS_TOO_SMALL",
			  "destination MDTS >= the source's", fs);
	warn_less(dst->mqes, src->mqes, "QUEUE_TOO_SMALL", "CAP.MQES >= the source's", fs);
	warn_less(EXP_MIN(dst->nsqs, dst->ncqs), EXP_MIN(src->nsqs, src->ncqs), "TOO_FEW_QUEUES",
		  "I/O queues >= the source's", fs);
	warn_less(dst->awun, src->awun, "ATOMICITY", "AWUN >= the source's", fs);
	warn_less(dst->awupf, src->awupf, "ATOMICITY", "AWUPF >= the source's", fs);
	warn_missing(dst->oncs, src->oncs, "COMMANDS_MISSING", "ONCS: a superset", fs);
}

static void compare(const struct exp_caps *src, const struct exp_caps *dst, struct exp_findings *fs)
{
	equal(dst->sqes, src->sqes, "QUEUE_ENTRY_SIZE", "SQES equal",
	      "submission queue entries have other sizes; the guest's queues cannot be taken over",
	      fs);
	equal(dst->cqes, src->cqes, "QUEUE_ENTRY_SIZE", "CQES equal",
	      "completion queue entries have other sizes; the guest's queues cannot be taken over",
	      fs);
	equal(dst->vwc & 1, src->vwc & 1, "WRITE_CACHE", "volatile write cache on both or on none",
	      "a guest that was told of no cache sends no Flush: a power cut would lose its data",
	      fs);
	equal(dst->dlfeat & 7, src->dlfeat & 7, "DEALLOCATE_READS", "DLFEAT bits 2:0 equal",
	      "deallocated blocks would read differently after the move", fs);
	warn_less(dst->acwu, src->acwu, "ATOMICITY", "ACWU >= the source's", fs);
	warn_less(dst->acl, src->acl, "ABORT_LIMIT", "ACL >= the source's", fs);
	warn_less(dst->aerl, src->aerl, "EVENT_LIMIT", "AERL >= the source's", fs);
	warn_missing(dst->fuses, src->fuses, "FUSED_MISSING", "FUSES: a superset", fs);
	if (!(src->flags & EXP_CAP_LBA_STATUS))
		exp_findings_add(
			fs, NOTE, "NO_ALLOCATION_STATUS", "Get LBA Status at the source", "no",
			"yes",
			"the source drive does not say which blocks were ever written: the "
			"whole namespace is copied");
}

void exp_preflight(const struct exp_job *job, const struct exp_guest_view *views,
		   const struct exp_caps *src, const struct exp_caps *dst, struct exp_findings *fs,
		   struct exp_preflight_result *ret)
{
	bool on = any_enabled(job, src, fs), all_viewed = views != NULL;

	ret->dirty = job->dirty;
	gates(src, source_gates, EXP_ARRAY_SIZE(source_gates), NULL, fs);
	gates(src, source_data_gate, 1, src->no_ns_data, fs);
	if (!on && job->dirty == EXP_DIRTY_CDQ) {
		/* the cold path takes the namespace away at once: only ever because somebody said
		 * so */
		ret->path = EXP_PATH_NONE;
		exp_findings_add(fs, REFUSE, "NOT_ENABLED", "a live move has a guest that runs",
				 "off", "on",
				 "the guest's controller is not enabled: if the VM is off, ask for "
				 "an offline move (dirty none)");
	} else if (!on) {
		ret->path = EXP_PATH_COLD;
		ret->dirty = EXP_DIRTY_NONE;
	} else {
		ret->path = choose_path(job, src, dst, fs);
	}
	if (ret->dirty == EXP_DIRTY_CDQ)
		gates(src, change_log_gate, 1, src->no_change_log, fs);
	compare(src, dst, fs);
	for (uint32_t i = 0; views && i < job->n_exports; i++)
		all_viewed &= views[i].known;
	if (!all_viewed)
		compare_unviewed(src, dst, fs);
}

void exp_preflight_restart(const char *device, bool keeps_descriptors, bool allow_reset,
			   enum exp_dirty_source dirty, struct exp_findings *fs)
{
	if (keeps_descriptors || dirty == EXP_DIRTY_NONE)
		return;
	exp_findings_add(fs, allow_reset ? WARN : REFUSE, "RESET_ON_RESTART",
			 "a restart of the daemon must not reset a drive with suspended guests",
			 "no descriptor store", "a descriptor store",
			 "a restart of the daemon during the move would reset %s and end every "
			 "suspension on it%s",
			 device,
			 allow_reset ? "; the configuration allows that"
				     : "; run it with a descriptor store, or set "
				       "allow_reset_on_restart=yes");
}
