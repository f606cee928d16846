/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h - the control API in one place: verbs, requests and replies as structs and as JSON
 *
 * The daemon parses requests and builds replies with it, expctl builds requests with it, so the two
 * cannot drift apart. What each field means to a caller is said in <exp/control.h>.
 * Requests are read strictly: an unknown, missing, repeated, oversized or mistyped field is an
 * error that names it. Fields of replies are added, never renamed.
 *
 * Nothing here does I/O, allocates beyond the returned value, or keeps state: any thread.
 * Builders return NULL when memory ran out; whoever prints the value checks once.
 */
#ifndef EXP_CONTROL_API_H
#define EXP_CONTROL_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "model/caps.h"
#include "model/event_line.h"
#include "model/export.h"
#include "model/finding.h"
#include "model/job.h"

#define EXP_API_REQUEST_MAX         (64u * 1024) /* bytes of a request body; beyond it 413 */
#define EXP_API_TARGET_MAX          2048u        /* bytes of a request target, query included */
#define EXP_API_BLACKOUT_MAX_MS     600000u      /* blackout_limit_ms a request may ask for */
#define EXP_API_HOLD_LEASE_MAX_MS   600000u
#define EXP_API_CONTENT_TYPE        "application/json"
#define EXP_API_CONTENT_TYPE_EVENTS "application/x-ndjson"
#define EXP_API_CONTENT_TYPE_ERROR  "application/problem+json"

/*
 * Verbs and routes
 */

/* X(VERB, method, path; {} stands for one percent-encoded element) */
#define EXP_API_VERBS(X)                                                    \
	X(VERSION, "GET", "/v1/version")                                    \
	X(HEALTH, "GET", "/v1/health")                                      \
	X(DEVICES, "GET", "/v1/devices")                                    \
	X(DEVICE, "GET", "/v1/devices/{}")                                  \
	X(PEERS, "GET", "/v1/peers")                                        \
	X(EXPORTS, "GET", "/v1/exports")                                    \
	X(EXPORT_CREATE, "POST", "/v1/exports")                             \
	X(EXPORT, "GET", "/v1/exports/{}")                                  \
	X(EXPORT_DELETE, "DELETE", "/v1/exports/{}")                        \
	X(PREFLIGHT, "POST", "/v1/preflight")                               \
	X(MIGRATIONS, "GET", "/v1/migrations")                              \
	X(MIGRATION_START, "POST", "/v1/migrations")                        \
	X(MIGRATION, "GET", "/v1/migrations/{}")                            \
	X(MIGRATION_TARGET_READY, "POST", "/v1/migrations/{}/target-ready") \
	X(MIGRATION_SWITCHOVER, "POST", "/v1/migrations/{}/switchover")     \
	X(MIGRATION_COMMIT, "POST", "/v1/migrations/{}/commit")             \
	X(MIGRATION_ABORT, "POST", "/v1/migrations/{}/abort")               \
	X(MIGRATION_CANCEL, "POST", "/v1/migrations/{}/cancel")             \
	X(EVENTS, "GET", "/v1/events")

enum exp_api_verb {
#define X(VERB, method, path) EXP_API_##VERB,
	EXP_API_VERBS(X)
#undef X
		EXP_API_VERB_N
};

/* One request, routed. */
struct exp_api_call {
	enum exp_api_verb verb;
	char id[EXP_NQN_MAX + 1]; /* the {} element, decoded; "" when the path has none */
	const char *query;        /* behind '?', still encoded, borrowed from the target; "" */
};

const char *exp_api_method(enum exp_api_verb verb);

/** exp_api_route - which verb a request is
 * @method: "GET", ...; @target: as on the request line, "/v1/exports/nqn.2014-08...?x=y"
 *
 * -ENOENT NOT_FOUND: no such path; -ENOTSUP METHOD: the path is there, @err names what it takes;
 * -EINVAL INVALID: bad percent-encoding, an element too long or with a NUL.
 */
int exp_api_route(const char *method, const char *target, struct exp_api_call *ret,
		  struct exp_error *err) EXP_MUST_CHECK;

/** exp_api_allow - "GET, POST": the methods of a path, for the Allow header; "" no such path */
void exp_api_allow(const char *target, char *out, size_t cap);

/** exp_api_path - the path of @verb with @id percent-encoded into it (NULL where none is taken)
 * Returns its length; -ENOSPC: longer than @cap.
 */
int exp_api_path(enum exp_api_verb verb, const char *id, char *out, size_t cap) EXP_MUST_CHECK;

/* An export, as a path or a list names it: by UUID or by NQN. */
struct exp_api_ref {
	bool by_nqn;
	struct exp_uuid id; /* when not by_nqn */
	struct exp_nqn nqn; /* when by_nqn */
};

/** exp_api_parse_ref - what looks like a UUID is one; else a valid NQN. -EINVAL */
int exp_api_parse_ref(const char *s, struct exp_api_ref *ret, struct exp_error *err) EXP_MUST_CHECK;

/** exp_api_parse_name - a device or peer name: 1..63 of [A-Za-z0-9._-]; @what is for the message */
int exp_api_parse_name(const char *what, const char *s, struct exp_name *ret,
		       struct exp_error *err) EXP_MUST_CHECK;

/** exp_api_parse_key - the Idempotency-Key header: 1..128 printable ASCII characters */
int exp_api_parse_key(const char *s, char ret[EXP_KEY_MAX + 1],
		      struct exp_error *err) EXP_MUST_CHECK;

/*
 * Requests. @v is the parsed body, NULL when there was none. *ret is untouched on failure.
 */

struct exp_api_export_create { /* POST /v1/exports */
	struct exp_name device;
	uint64_t size_bytes; /* a multiple of lba_bytes */
	uint32_t lba_bytes;  /* 512 or 4096 */
	uint16_t controller; /* CNTLID of the controller that the guest has */
	bool has_nqn;        /* else the daemon makes one */
	struct exp_nqn nqn;
};

int exp_api_parse_export_create(const struct exp_json *v, struct exp_api_export_create *ret,
				struct exp_error *err) EXP_MUST_CHECK;
struct exp_json *exp_api_export_create(const struct exp_api_export_create *req);

struct exp_api_migration { /* POST /v1/migrations and POST /v1/preflight */
	uint32_t n_exports;
	struct exp_api_ref exports[EXP_JOB_EXPORTS_MAX]; /* no two are textually the same */
	struct exp_name to;
	struct exp_name to_device; /* "" any */
	uint32_t to_controller;    /* UINT32_MAX any */
	uint8_t hold;              /* enum exp_hold bits */
	uint32_t hold_lease_ms;    /* 0: not asked for; the daemon's default */
	enum exp_dirty_source dirty;
	uint32_t blackout_limit_ms; /* 0: not asked for; the daemon's default */
};

int exp_api_parse_migration(const struct exp_json *v, struct exp_api_migration *ret,
			    struct exp_error *err) EXP_MUST_CHECK;
struct exp_json *exp_api_migration(const struct exp_api_migration *req);

struct exp_api_target_ready { /* POST /v1/migrations/{id}/target-ready */
	uint32_t n_memory;    /* 1.. */
	struct exp_memory_range memory[EXP_MEMORY_RANGES_MAX]; /* not empty, no wrap, no overlap */
};

int exp_api_parse_target_ready(const struct exp_json *v, struct exp_api_target_ready *ret,
			       struct exp_error *err) EXP_MUST_CHECK;
struct exp_json *exp_api_target_ready(const struct exp_api_target_ready *req);

/* "switch" and "commit"; 0 or NULL for what is neither. _holds: an array of names. */
const char *exp_api_hold_name(enum exp_hold bit);
uint8_t exp_api_hold_by_name(const char *name);
struct exp_json *exp_api_holds(uint8_t hold);

/** exp_api_parse_empty - the other POST verbs take no body, or {} */
int exp_api_parse_empty(const struct exp_json *v, struct exp_error *err) EXP_MUST_CHECK;

struct exp_api_migrations_query { /* GET /v1/migrations?state=&export=&open=&limit= */
	char state[32];           /* "" any; else a name of either role */
	bool has_export;
	struct exp_api_ref export_ref;
	bool open;      /* only jobs that have not ended */
	uint32_t limit; /* 1..1000, 100 when not said; newest first */
};

int exp_api_parse_migrations_query(const char *query, struct exp_api_migrations_query *ret,
				   struct exp_error *err) EXP_MUST_CHECK;

struct exp_api_events_query { /* GET /v1/events?since=N&follow=0|1 */
	bool has_since;       /* else: only what happens from now on */
	uint64_t since;       /* events with a higher number */
	bool follow;          /* default: stay connected and go on; 0: end after the last one */
};

int exp_api_parse_events_query(const char *query, struct exp_api_events_query *ret,
			       struct exp_error *err) EXP_MUST_CHECK;

/** exp_api_no_query - every other verb takes none */
int exp_api_no_query(const char *query, struct exp_error *err) EXP_MUST_CHECK;

/*
 * Replies
 */

struct exp_api_version {
	const char *version; /* "0.1.0" */
	const char *build;   /* compiler or commit, "" when not known */
	uint32_t wire_min, wire_max;
	struct exp_uuid host;
};

struct exp_json *exp_api_version(const struct exp_api_version *v);

enum exp_api_health_state {
	EXP_API_HEALTH_STARTING, /* recovering: 503 */
	EXP_API_HEALTH_OK,
	EXP_API_HEALTH_DEGRADED, /* works, with findings: 200 */
	EXP_API_HEALTH_STOPPING, /* 503 */
};

struct exp_api_health {
	enum exp_api_health_state state;
	const struct exp_findings *findings; /* what is wrong or unusual, and what to do */
	struct exp_uuid host, db_instance;
	uint64_t db_counter;
	uint64_t wal_bytes;
	uint64_t uptime_ms;
	uint32_t open_jobs;
};

struct exp_json *exp_api_health(const struct exp_api_health *h);
/** exp_api_health_http - 200 or 503 */
int exp_api_health_http(enum exp_api_health_state s);

enum exp_api_device_state {
	EXP_API_DEVICE_OPENING,
	EXP_API_DEVICE_READY,
	EXP_API_DEVICE_UNAVAILABLE, /* error says why */
};

struct exp_api_device {
	const char *name;      /* of the configuration */
	const char *transport; /* "vfio-user:/run/emu/a" */
	const char *data;      /* of the configuration, "" none */
	enum exp_api_device_state state;
	const struct exp_error *error; /* NULL or code OK: none */
	const struct exp_caps *caps;   /* NULL until it was read */
};

/** exp_api_device - @full: with templates, formats and controllers (GET /v1/devices/{name}) */
struct exp_json *exp_api_device(const struct exp_api_device *d, bool full);

struct exp_api_peer {
	const char *name, *address, *identity; /* of the configuration */
	bool may_send, may_receive;
	const char *nqn; /* pattern of the exports it may send or receive, "" none */
	bool connected;
	enum exp_condition condition;  /* NONE or JOURNAL_REGRESSED */
	struct exp_uuid host;          /* nil until its first hello */
	const char *build;             /* "" until then */
	int64_t skew_ms;               /* its clock minus ours at hello */
	uint64_t seen_ms;              /* wall clock of the last hello, 0 never */
	uint64_t cert_not_after_ms;    /* of the certificate it showed, 0 never */
	const struct exp_error *error; /* why it is not connected; NULL or code OK: none */
};

struct exp_json *exp_api_peer(const struct exp_api_peer *p);

struct exp_json *exp_api_export(const struct exp_export *e);

/**
 * exp_api_job - a migration
 * @p: NULL: nothing beyond the record is known (an old job)
 * @owners: ownership of the job's exports on this host, in the job's order; NULL: not at hand
 */
struct exp_json *exp_api_job(const struct exp_job *j, const struct exp_job_progress *p,
			     const struct exp_ownership *owners);

/** exp_api_error - {code, message, errno, nvme_status, retry}: why a job, a device or a peer is
 * down */
struct exp_json *exp_api_error(const struct exp_error *e);

/** exp_api_findings - an array */
struct exp_json *exp_api_findings(const struct exp_findings *fs);

struct exp_api_preflight { /* reply of POST /v1/preflight */
	const struct exp_findings *findings;
	struct exp_name device; /* that the destination would take, "" none */
	uint32_t n_cntlid;
	uint16_t cntlid[EXP_JOB_EXPORTS_MAX];
	enum exp_state_path path; /* NONE: not to be had */
	uint64_t bytes;           /* to send at least */
	uint64_t eta_ms;          /* UINT64_MAX unknown */
	uint64_t blackout_us;     /* forecast, 0 unknown */
};

struct exp_json *exp_api_preflight(const struct exp_api_preflight *p);

struct exp_json *exp_api_event(const struct exp_event_line *e);

/** exp_api_list - {"NAME": [...]}; takes @arr, so that a list too is always one object */
struct exp_json *exp_api_list(const char *name, struct exp_json *arr);

/** exp_api_problem - RFC 9457 document of an error; @fs may be NULL. Status: exp_code_http() */
struct exp_json *exp_api_problem(const struct exp_error *err, const struct exp_findings *fs);

/** exp_api_parse_problem - the reverse, for clients: lenient; @status is the HTTP one
 * Fills @err also when the document is not one of ours. Returns the negative errno that goes with
 * it, never 0.
 */
int exp_api_parse_problem(const struct exp_json *v, int status, struct exp_error *err);

#endif
