/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_int.h - inside lib/device: what the modules that talk to one drive share
 */
#ifndef EXP_DEVICE_DEVICE_INT_H
#define EXP_DEVICE_DEVICE_INT_H

#include <pthread.h>

#include "device/device.h"
#include "device/transport.h"
#include "nvme/assumptions.h"
#include "nvme/ident.h"
#include "nvme/lm_cmd.h"
#include "nvme/status.h"

#define EXP_NO_CNTLID UINT32_MAX /* a command that names no controller */

/* A command whose deadline passed. The slot is free when cmd is NULL. */
struct exp_late {
	struct exp_admin *cmd;
	const char *name;
	uint32_t cntlid;
	bool suspend;
	bool watched; /* a thread waits for it just now */
};

struct exp_device {
	struct exp_transport *mmc;
	struct exp_transport *data; /* equal to mmc, another one, or NULL */
	char block_name[64];  /* kernel's controller name, "nvme0"; "" without block devices */
	uint16_t data_cntlid; /* valid with data */
	struct exp_device_config config; /* its strings are not kept */

	/* from opening, never changed */
	struct exp_nvme_id_ctrl id;
	struct exp_nvme_id_ctrl_nvm id_nvm, data_nvm;
	struct exp_nvme_id_ctrl data_id;
	struct exp_nvme_state_formats formats;
	struct exp_nvme_uuid_list templates;
	struct exp_uuid ref_template; /* of the vendor neutral template, where the drive lists it */
	struct exp_nvme_effects effects;

	pthread_mutex_t probe; /* held while a controller is asked whether it is live: see ctrl.c */
	pthread_mutex_t lock;  /* what follows; never held while a command is waited for */
	struct exp_caps caps;
	struct exp_late late[EXP_ADMIN_MAX];
	uint16_t loading[EXP_CAPS_CTRLS_MAX]; /* controllers with a state sent and not committed */
	uint32_t n_loading;
};

/**
 * exp_device_run - one admin command of the MMC; 0 when it completed, with whatever status
 * @timeout_ms: 0: the device's default
 * @cntlid: the controller it changes, EXP_NO_CNTLID: none. A command that changes something and
 *	misses its deadline is remembered as late; one for a controller that has a late command is
 *	refused with -EBUSY before it is sent.
 * @changes: false: only reads, so a late one is forgotten
 */
int exp_device_run(struct exp_device *d, const struct exp_nvme_cmd *cmd, uint64_t timeout_ms,
		   bool changes, uint32_t cntlid, struct exp_nvme_cqe *ret,
		   struct exp_error *err) EXP_MUST_CHECK;

/** exp_device_read - a command that only reads; a refusal is an error */
int exp_device_read(struct exp_device *d, const struct exp_nvme_cmd *cmd, struct exp_nvme_cqe *ret,
		    struct exp_error *err) EXP_MUST_CHECK;

/** exp_device_change - a command that changes something; a refusal is an error. @ret may be NULL */
int exp_device_change(struct exp_device *d, const struct exp_nvme_cmd *cmd, uint32_t cntlid,
		      struct exp_nvme_cqe *ret, struct exp_error *err) EXP_MUST_CHECK;

/** exp_device_ask - like exp_device_read on the controller behind @t: the MMC or the data one */
int exp_device_ask(struct exp_device *d, struct exp_transport *t, const struct exp_nvme_cmd *cmd,
		   struct exp_nvme_cqe *ret, struct exp_error *err) EXP_MUST_CHECK;

/** exp_device_identify - Identify into @page, from the controller behind @t */
int exp_device_identify(struct exp_device *d, struct exp_transport *t, enum exp_nvme_cns cns,
			uint32_t nsid, uint16_t cntid, uint8_t page[EXP_NVME_PAGE],
			struct exp_error *err) EXP_MUST_CHECK;

/** exp_device_set_loading - a state is being sent to @cntlid, or no longer; any number of times */
void exp_device_set_loading(struct exp_device *d, uint16_t cntlid, bool loading);
bool exp_device_is_loading(struct exp_device *d, uint16_t cntlid);

/** exp_device_read_all - everything that opening has to know; fills the members and the caps */
int exp_device_read_all(struct exp_device *d, struct exp_error *err) EXP_MUST_CHECK;

#endif
