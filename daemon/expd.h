/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expd.h - the daemon's one context: what the loop thread owns
 *
 * Each member is a module with a header of its own; they reach each other through here. Loop
 * thread only, but for what is marked constant once the loop runs.
 */
#ifndef EXPD_EXPD_H
#define EXPD_EXPD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/rng.h"
#include "base/uuid.h"

struct event_base;
struct exp_tls_ctx;
struct expd_config;
struct expd_control;
struct expd_devices;
struct expd_events;
struct expd_exports;
struct expd_inbox;
struct expd_jobs;
struct expd_peers;
struct expd_preflight;
struct expd_reload;
struct expd_store;

enum expd_phase {
	EXPD_STARTING, /* recovering; answers health and version only */
	EXPD_RUNNING,
	EXPD_STOPPING, /* no new work; jobs in their blackout are finished or aborted */
};

struct expd {
	struct event_base *base;
	struct expd_inbox *inbox; /* constant; any thread may post */
	struct expd_config *config;
	struct exp_tls_ctx *tls; /* a reload puts another one here */
	struct exp_uuid host;    /* constant: who we are to peers, kept in the inventory */
	struct exp_uuid boot;    /* constant: the kernel's boot id */
	enum expd_phase phase;
	uint64_t started_ms; /* monotonic */
	struct exp_rng rng;  /* jitter */
	struct expd_store *store;
	struct expd_events *events;
	struct expd_devices *devices;
	struct expd_exports *exports;
	struct expd_peers *peers;
	struct expd_jobs *jobs;
	struct expd_control *control;
	struct expd_reload *reload;
	struct expd_preflight *preflights; /* those that wait for an answer */
};

#endif
