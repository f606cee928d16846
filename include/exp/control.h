/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - talk to expd over its control socket
 *
 * HTTP/1.1 with JSON on a Unix socket; this client adds timeouts, limits and errors, and leaves the
 * documents as they are: text in, text out. `curl --unix-socket /run/expd/control.sock
 * http://expd/v1/health` does the same. Link with libexp (pkg-config libexp).
 *
 * DOCUMENTS
 *
 * Every answer is one JSON object. Fields are added over time, never renamed; ignore what you do
 * not know. null means "not known (yet)". Times end in _ms (wall clock: since 1970) or _us, sizes
 * in _bytes. Ids are UUIDs. An error is application/problem+json:
 *
 *	code		"NO_SPACE": stable, see EXP_CODES in <exp/error.h>
 *	detail		a sentence with what was wrong, both values, and what to do
 *	status		the HTTP status
 *	retry		true: the same request may simply be sent again later
 *	errno, nvme_status	what the system or the drive returned, 0 if neither did
 *	findings	of a refused migration: see POST /v1/preflight
 *	type, title	as RFC 9457 wants them
 *
 * GET /v1/version
 *	version, build, api (1), wire.min, wire.max (protocol with peers), host (id of this host)
 *
 * GET /v1/health		200, or 503 while starting or stopping
 *	status		"starting", "ok", "degraded" (works, see findings), "stopping"
 *	findings	[{code, severity, rule, have, want, message}]
 *	host, database.instance, database.counter (transactions so far), database.wal_bytes,
 *	uptime_ms, open_jobs
 *
 * GET /v1/devices		{devices: [...]}, each as the next without the four lists
 * GET /v1/devices/NAME
 *	name, transport, data	as configured; data: null when not configured
 *	state		"opening", "ready", "unavailable"; then error {code, message, ...}
 *	model, serial, firmware, subnqn, nvme (version), cntlid (of the management controller)
 *	mdts		largest transfer, 2^n * 4 KiB, 0: no limit
 *	total_bytes, free_bytes, exports, max_exports, free_controllers
 *	can		{mmc, ns_mgmt, template, export_migrate, enf1, change_log, lba_status,
 *			uuid_list, ns_data, logs_after_resume, reset_at_open}, true or false each
 *	no_change_log, no_ns_data	the reason where can.change_log, can.ns_data are false
 *	templates, state_uuids	[UUID]
 *	formats		[{lba_bytes, metadata_bytes}]
 *	controllers	[{cntlid, enabled, esubid}]; esubid null: belongs to no export
 *
 * GET /v1/peers		{peers: [...]}
 *	name, address, identity, rights ["send", "receive"], nqn (pattern)	as configured
 *	connected, condition ("" or "journal-regressed"), error {...} why it is not connected
 *	host, build, skew_ms (its clock minus ours), seen_ms (last hello), cert_not_after_ms
 *
 * GET /v1/exports		{exports: [...]}
 * GET /v1/exports/ID		ID: the UUID, or the NQN percent-encoded
 *	id, nqn, size_bytes, lba_bytes, ensid, ecntlid, nguid, uuid, template	what a guest sees
 *	device, serial, cntlid, esubid, nsid	where it lies here; null: nowhere
 *	status		"owned" (this host may run it), "superseded", "cold", "conflict", "away"
 *	epoch		{own, floor, maxown}: the epoch by which this host owns it now (0: it does
 *			not), the highest ever seen, the highest ever owned here
 *	owner_peer	who has it, when this host has not
 *	job		the open migration that holds it
 *	created_ms
 * POST /v1/exports		{device, size_bytes, lba_bytes (512 or 4096), controller (CNTLID),
 *				nqn?}; 201 with Location and the export
 * DELETE /v1/exports/ID	only where this host owns it and no migration holds it
 *
 * POST /v1/migrations		202 with Location and the migration. Header Idempotency-Key: the
 *same key and body again is the same migration, another body is 422
 *	exports		[ID, ...], 1 to 16, UUIDs or NQNs
 *	to		name of the peer
 *	to_device, to_controller	optional; else the peer takes the first that fits
 *	hold		["switch", "commit"], either or none: wait for `switchover` before the
 *			guest stands still, for `commit` before it is handed over
 *	hold_lease_ms	how long; default from the configuration
 *	dirty		"cdq" (default: the drive's change log, the guest runs on), "none" (offline)
 *	blackout_limit_ms	default from the configuration: give up rather than stand longer
 * POST /v1/preflight		the same body; changes nothing, answers
 *	ok		true: nothing refuses it
 *	findings	[{code, severity ("note", "warning", "refusal"), rule, have, want, message}]
 *	target		{device, controllers [{cntlid}]}, path (how controller state would travel)
 *	estimate	{bytes, eta_ms, blackout_us}
 *
 * GET /v1/migrations?state=&export=&open=1&limit=	{migrations: [...]}, newest first
 * GET /v1/migrations/ID
 *	id, role	"source" or "destination": this host's
 *	state		source: preflight preparing copying ready switching rolling-back released
 *			done failed cancelled taken; destination: preparing receiving restored
 *			activating active discarding discarded done
 *	condition	"", "suspend-unknown", "release-unknown", "needs-operator",
 *			"journal-regressed"
 *	open		false: it has ended, nothing below changes any more
 *	attempt, epoch	1.., and the epoch of this attempt (of the first export)
 *	owner		{host ("here", "peer", "unknown"), peer (its name), epoch, text}: who owns
 *			the exports, as this host's record has it
 *	next		what a person should do now, in a sentence
 *	waiting_for	"switchover", "commit", "target-ready", or in words whom or what it waits
 *			for; "": it is at work itself
 *	error		{code, message, errno, nvme_status, retry}: why it goes or went back; absent
 *			while all is well
 *	exports		[{id, nqn, epoch, own, floor, size_bytes, lba_bytes, device, serial, cntlid,
 *			esubid, nsid (its place on this host), target_cntlid, state_bytes (of
 *			controller state stored)}]
 *	peer, peer_host	name and host id
 *	target		{device, cntlid, state ("absent", "enabled", "suspended")}: the
 *destination's path		"none" (not decided), "reference", "vendor", "vmm", "cold", "vfio"
 *	dirty, hold, hold_lease_ms, blackout_limit_ms	as asked
 *	intent		"go", "cancel", "fail": what was decided
 *	verdict		"unknown", "converges", "will-not": will the copy catch up with the guest?
 *	bytes		{namespace (size), allocated (to send at least), sent, zero (told, not
 *			sent), acked (durable there), resent, remaining}
 *	rates		{send_bytes_per_s, dirty_bytes_per_s}
 *	rounds, log {entries, overflows}	of the change log
 *	eta_ms		until it is ready
 *	forecast_blackout_us, blackout_us	Suspend submitted to "active" received
 *	steps_us	{attempt, suspend, drain, last_data, get_state, restore, hold, fence,
 *			release, activate}: what the blackout consisted of
 *	created_ms, updated_ms
 * POST /v1/migrations/ID/target-ready	{memory: [{iova, bytes}]}; on the destination's socket: the
 *				VMM has enabled the target controller, and this is the guest's
 *memory POST /v1/migrations/ID/switchover, commit, abort, cancel	no body; on the source's
 *socket
 *
 * GET /v1/events?since=N&follow=1	application/x-ndjson: one object a line, for ever (follow=0:
 *				until the last one). 410 GONE: not all after N are kept
 *	seq, time_ms, type, job, export, detail (an object)
 */
#ifndef EXP_CONTROL_H
#define EXP_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <exp/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EXP_CONTROL_SOCKET     "/run/expd/control.sock"
#define EXP_CONTROL_TIMEOUT_MS 30000u
#define EXP_CONTROL_REPLY_MAX  (16u * 1024 * 1024) /* bytes of an answer */
#define EXP_CONTROL_LINE_MAX   (64u * 1024)        /* bytes of an event */

struct exp_control; /* a client; one thread at a time, but for exp_control_stop() */

/**
 * exp_control_open - get ready to talk to the daemon at @socket; does not connect yet
 * @socket: path, at most 107 bytes (sun_path)
 */
EXP_API int exp_control_open(const char *socket, struct exp_control **ret,
			     struct exp_error *err) EXP_MUST_CHECK;
EXP_API void exp_control_close(struct exp_control *c); /* NULL is fine */

/** exp_control_set_timeout - for a whole request; 0: none. Default EXP_CONTROL_TIMEOUT_MS */
EXP_API void exp_control_set_timeout(struct exp_control *c, uint32_t ms);

struct exp_control_request {
	const char *method; /* "GET", "POST", "DELETE" */
	const char *path;   /* "/v1/exports?x=y", its parts encoded by exp_control_encode() */
	const char *body;   /* JSON text, NULL: none */
	const char *key;    /* Idempotency-Key, NULL: none */
};

struct exp_control_reply {
	int status; /* HTTP, 0: there was no answer */
	char *body; /* malloc'd, ends with a NUL; one JSON object. NULL: none */
	size_t len;
	char location[256]; /* of what was made, "" none */
};

/**
 * exp_control_request - ask, and wait for the answer
 * @ret: filled whatever the result; release it with exp_control_reply_done()
 *
 * Blocks at most for the timeout. Returns 0 when the status is 2xx. Otherwise a negative errno, and
 * @err has what the problem document says; ret->status is 0 when nobody answered:
 * UNREACHABLE	no daemon at that socket, or none that answers in time
 * DENIED	the socket is there, this user may not use it
 * PROTOCOL	an answer that is cut, is no JSON object, or is too large
 */
EXP_API int exp_control_request(struct exp_control *c, const struct exp_control_request *rq,
				struct exp_control_reply *ret,
				struct exp_error *err) EXP_MUST_CHECK;
EXP_API void exp_control_reply_done(struct exp_control_reply *r); /* safe on a zeroed one */

/** exp_control_encode - percent-encode @s as one element of a path or query
 * Returns its length; -ENOSPC: longer than @cap, NUL included.
 */
EXP_API int exp_control_encode(const char *s, char *out, size_t cap) EXP_MUST_CHECK;

#define EXP_CONTROL_NOW UINT64_MAX /* for @since: only what happens from now on */

/**
 * exp_control_events - call @fn for each event after number @since
 * @follow: go on for ever; else end after the last one that is stored
 * @fn: gets one JSON object, @len bytes and a NUL, borrowed for the call; not 0: stop
 *
 * Blocks, without a timeout when it follows. Returns 0 when the daemon ended the stream, what @fn
 * returned, -ECANCELED after exp_control_stop(), or as exp_control_request(); -EIDRM GONE: read the
 * present state, then go on from the number that the message names.
 */
EXP_API int exp_control_events(struct exp_control *c, uint64_t since, bool follow,
			       int (*fn)(const char *line, size_t len, void *arg), void *arg,
			       struct exp_error *err) EXP_MUST_CHECK;

/** exp_control_stop - make what blocks return -ECANCELED, within a second; any thread, a signal
 * handler too. Stays so: the next call returns at once.
 */
EXP_API void exp_control_stop(struct exp_control *c);

#ifdef __cplusplus
}
#endif
#endif
