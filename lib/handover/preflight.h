/* SPDX-License-Identifier: Apache-2.0 */
/*
 * preflight.h - may this move, and if not, why? Answered from what two drives say of themselves
 *
 * Pure: no device, no peer. Every finding has a stable code, both values, the rule and what to do.
 * What a drive says is compared and shown, never trusted: the drive's own refusal during
 * preparation remains the authority. Rights of the peer, policy and certificates are not here.
 */
#ifndef EXP_HANDOVER_PREFLIGHT_H
#define EXP_HANDOVER_PREFLIGHT_H

#include "model/caps.h"
#include "model/export.h"
#include "model/finding.h"
#include "model/job.h"

/*
 * What the guest was told when it booted, read from the configuration state by whoever knows its
 * format. A template shows exactly these values, so they and not the source drive's own are what
 * the destination drive must be able to keep.
 */
struct exp_guest_view {
	bool known;          /* false: the drives are compared with each other, as a warning */
	uint8_t mdts;        /* 2^n pages, 0 no limit */
	uint16_t mqes;       /* 0's based */
	uint16_t nsqs, ncqs; /* 0's based */
	uint16_t oncs;
	uint16_t awun, awupf; /* 0's based */
};

struct exp_preflight_result {
	enum exp_state_path path;    /* NONE when there is a refusal that leaves none */
	enum exp_dirty_source dirty; /* as asked, or NONE on the cold path */
};

/**
 * exp_preflight_target - can the drive @dst hold @n exports like @descs? Run by the destination,
 * for CAPS and again for PREPARE
 * @views: per export, NULL: none is known
 * @want_cntlid: per export the controller asked for, UINT32_MAX: the first free one
 * @ret_cntlid: per export the controller chosen; meaningful when nothing refuses
 */
void exp_preflight_target(const struct exp_caps *dst, const struct exp_export_desc *descs,
			  const struct exp_guest_view *views, uint32_t n,
			  const uint32_t *want_cntlid, struct exp_findings *fs,
			  uint16_t *ret_cntlid);

/**
 * exp_preflight - may @job move from the drive @src to the drive @dst? Run by the source, beside
 * the findings that the destination sent
 * @job: the request: exports with description and place, dirty; path VMM when the request asked
 *	for it, else NONE
 * @views: as above
 */
void exp_preflight(const struct exp_job *job, const struct exp_guest_view *views,
		   const struct exp_caps *src, const struct exp_caps *dst, struct exp_findings *fs,
		   struct exp_preflight_result *ret);

/**
 * exp_preflight_restart - a live move on a host where a restart of the daemon resets the drive
 * @device: its name, for the sentence
 * @keeps_descriptors: a restarted daemon takes up the running queues, so nothing is reset
 * @allow_reset: allow_reset_on_restart of the configuration
 *
 * Run by either host for its own drive. Offline moves are always allowed.
 */
void exp_preflight_restart(const char *device, bool keeps_descriptors, bool allow_reset,
			   enum exp_dirty_source dirty, struct exp_findings *fs);

#endif
