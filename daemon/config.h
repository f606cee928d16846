/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - expd's settings: one table of keys that parses, checks and documents itself
 *
 * The file is read whole and checked whole before anything uses it, at the start and at a reload.
 * Unknown sections and keys, doubled keys and bad values are errors with file and line.
 */
#ifndef EXPD_CONFIG_H
#define EXPD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/nqn.h"
#include "base/uuid.h"
#include "model/export.h"

#define EXPD_DEVICES_MAX 16
#define EXPD_PEERS_MAX   256
#define EXPD_VALUE_MAX   255 /* bytes of a value; also the bound of a path */

enum expd_right { EXPD_MAY_SEND = 1, EXPD_MAY_RECEIVE = 2 }; /* what the peer may do with us */

struct expd_device_config {
	struct exp_name name;
	char transport[EXPD_VALUE_MAX + 1]; /* "vfio-user:DIR", "nvme:/dev/nvme0" */
	char data[EXPD_VALUE_MAX + 1]; /* nvme: block device of namespace n, with %n; "" default */
	struct exp_uuid template;      /* UUID of the template for new exports; nil: Reference */
	bool logs_after_resume;        /* known: the change log goes on by itself after Resume */
	int line;
};

struct expd_peer_config {
	struct exp_name name;
	char address[EXPD_VALUE_MAX + 1];  /* HOST:PORT, [ADDR]:PORT */
	char identity[EXPD_VALUE_MAX + 1]; /* SAN URI of its certificate */
	unsigned int rights;               /* enum expd_right bits; default none */
	char nqn[EXPD_VALUE_MAX + 1];      /* pattern of the exports it may send or receive */
	int line;
};

struct expd_config {
	char runtime_dir[EXPD_VALUE_MAX + 1];
	char state_dir[EXPD_VALUE_MAX + 1];
	char listen[EXPD_VALUE_MAX + 1]; /* "" : takes no peers */
	char ca_file[EXPD_VALUE_MAX + 1];
	char cert_file[EXPD_VALUE_MAX + 1];
	char key_file[EXPD_VALUE_MAX + 1];
	int log_level; /* LOG_ERR..LOG_DEBUG */
	bool allow_reset_on_restart;
	uint32_t blackout_limit_ms, hold_lease_ms;
	uint32_t max_jobs;
	size_t n_devices, n_peers;
	struct expd_device_config devices[EXPD_DEVICES_MAX];
	struct expd_peer_config peers[EXPD_PEERS_MAX];
};

/** expd_config_load - defaults, then @path; the first thing wrong as "PATH:LINE: what" */
int expd_config_load(const char *path, struct expd_config **ret,
		     struct exp_error *err) EXP_MUST_CHECK;
void expd_config_free(struct expd_config *c);
EXP_DEFINE_CLEANUP(struct expd_config *, expd_config_free)

/** expd_config_document - every key with its section, default and help, as an example file */
void expd_config_document(FILE *out);

const struct expd_peer_config *expd_config_peer(const struct expd_config *c, const char *name);
const struct expd_peer_config *expd_config_peer_by_identity(const struct expd_config *c,
							    const char *uri);
const struct expd_device_config *expd_config_device(const struct expd_config *c, const char *name);

#endif
