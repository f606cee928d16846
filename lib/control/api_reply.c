/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_reply.c - replies about the daemon, devices, peers, exports, checks and errors
 *
 * Strings that came from a device or a peer go out as they are, valid UTF-8 at least: whoever shows
 * them on a screen escapes them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/api.h"
#include "control/api_parts.h"

/*
 * Parts
 */

void exp_api_put_known_u64(struct exp_json *o, const char *name, bool known, uint64_t v)
{
	if (known)
		exp_json_put_u64(o, name, v);
	else
		exp_json_put_str(o, name, NULL);
}

void exp_api_put_known_uuid(struct exp_json *o, const char *name, const struct exp_uuid *u)
{
	if (exp_uuid_is_nil(u))
		exp_json_put_str(o, name, NULL);
	else
		exp_json_put_uuid(o, name, u);
}

void exp_api_put_place(struct exp_json *o, const struct exp_place *p)
{
	bool known = p->device.s[0];

	exp_json_put_str(o, "device", known ? p->device.s : NULL);
	exp_json_put_str(o, "serial", known ? p->serial : NULL);
	exp_api_put_known_u64(o, "cntlid", known, p->cntlid);
	exp_api_put_known_u64(o, "esubid", known, p->esubid);
	exp_api_put_known_u64(o, "nsid", known, p->nsid);
}

struct exp_json *exp_api_error(const struct exp_error *e)
{
	struct exp_json *o = exp_json_object();

	exp_json_put_str(o, "code", exp_code_name(e->code));
	exp_json_put_str(o, "message", e->msg);
	exp_json_put_u64(o, "errno", (uint64_t)e->errnum);
	exp_json_put_u64(o, "nvme_status", e->nvme_status);
	exp_json_put_bool(o, "retry", exp_code_retry(e->code));
	return o;
}

static void put_error(struct exp_json *o, const struct exp_error *e)
{
	if (e && e->code != EXP_CODE_OK)
		exp_json_put(o, "error", exp_api_error(e));
}

static bool is_zero(const uint8_t nguid[16])
{
	static const uint8_t zero[16];

	return !memcmp(nguid, zero, sizeof(zero));
}

struct exp_json *exp_api_list(const char *name, struct exp_json *arr)
{
	struct exp_json *o = exp_json_object();

	exp_json_put(o, name, arr);
	return o;
}

/*
 * The daemon
 */

struct exp_json *exp_api_version(const struct exp_api_version *v)
{
	struct exp_json *o = exp_json_object(), *wire = exp_json_object();

	exp_json_put_str(o, "version", v->version);
	exp_json_put_str(o, "build", v->build);
	exp_json_put_u64(o, "api", 1);
	exp_json_put_u64(wire, "min", v->wire_min);
	exp_json_put_u64(wire, "max", v->wire_max);
	exp_json_put(o, "wire", wire);
	exp_api_put_known_uuid(o, "host", &v->host);
	return o;
}

static const char *health_name(enum exp_api_health_state s)
{
	switch (s) {
	case EXP_API_HEALTH_STARTING: return "starting";
	case EXP_API_HEALTH_OK: return "ok";
	case EXP_API_HEALTH_DEGRADED: return "degraded";
	case EXP_API_HEALTH_STOPPING: return "stopping";
	}
	return NULL;
}

int exp_api_health_http(enum exp_api_health_state s)
{
	switch (s) {
	case EXP_API_HEALTH_OK:
	case EXP_API_HEALTH_DEGRADED: return 200;
	case EXP_API_HEALTH_STARTING:
	case EXP_API_HEALTH_STOPPING: return 503;
	}
	return 500;
}

struct exp_json *exp_api_health(const struct exp_api_health *h)
{
	struct exp_json *o = exp_json_object(), *db = exp_json_object();

	exp_json_put_str(o, "status", health_name(h->state));
	exp_json_put(o, "findings", h->findings ? exp_api_findings(h->findings) : exp_json_array());
	exp_api_put_known_uuid(o, "host", &h->host);
	exp_json_put_uuid(db, "instance", &h->db_instance);
	exp_json_put_u64(db, "counter", h->db_counter);
	exp_json_put_u64(db, "wal_bytes", h->wal_bytes);
	exp_json_put(o, "database", db);
	exp_json_put_u64(o, "uptime_ms", h->uptime_ms);
	exp_json_put_u64(o, "open_jobs", h->open_jobs);
	return o;
}

struct exp_json *exp_api_findings(const struct exp_findings *fs)
{
	struct exp_json *arr = exp_json_array();

	for (size_t i = 0; i < fs->n; i++) {
		const struct exp_finding *f = &fs->f[i];
		struct exp_json *o = exp_json_object();

		exp_json_put_str(o, "code", f->code);
		exp_json_put_str(o, "severity", exp_severity_name(f->severity));
		exp_json_put_str(o, "rule", f->rule);
		exp_json_put_str(o, "have", f->have);
		exp_json_put_str(o, "want", f->want);
		exp_json_put_str(o, "message", f->message);
		exp_json_add(arr, o);
	}
	return arr;
}

/*
 * Devices
 */

static const char *device_state_name(enum exp_api_device_state s)
{
	switch (s) {
	case EXP_API_DEVICE_OPENING: return "opening";
	case EXP_API_DEVICE_READY: return "ready";
	case EXP_API_DEVICE_UNAVAILABLE: return "unavailable";
	}
	return NULL;
}

static const struct {
	uint32_t flag;
	const char *name;
} cap_names[] = {
	{ EXP_CAP_MMC, "mmc" },
	{ EXP_CAP_NS_MGMT, "ns_mgmt" },
	{ EXP_CAP_TEMPLATE, "template" },
	{ EXP_CAP_EXPORT_MIGRATE, "export_migrate" },
	{ EXP_CAP_ENF1, "enf1" },
	{ EXP_CAP_CHANGE_LOG, "change_log" },
	{ EXP_CAP_LBA_STATUS, "lba_status" },
	{ EXP_CAP_UUID_LIST, "uuid_list" },
	{ EXP_CAP_NS_DATA, "ns_data" },
	{ EXP_CAP_LOGS_AFTER_RESUME, "logs_after_resume" },
	{ EXP_CAP_RESET_AT_OPEN, "reset_at_open" },
};

/* "why not" beside "not": the reason of a capability that is missing, null when it is there */
static void put_reason(struct exp_json *o, const char *name, const char *reason)
{
	exp_json_put_str(o, name, reason[0] ? reason : NULL);
}

static void put_caps(struct exp_json *o, const struct exp_caps *c)
{
	struct exp_json *flags = exp_json_object();
	uint32_t free_ctrls = 0;
	char ver[32];

	exp_json_put_str(o, "model", c->model);
	exp_json_put_str(o, "serial", c->serial);
	exp_json_put_str(o, "firmware", c->firmware);
	exp_json_put_str(o, "subnqn", c->subnqn.s);
	snprintf(ver, sizeof(ver), "%u.%u.%u", c->ver >> 16, c->ver >> 8 & 0xff, c->ver & 0xff);
	exp_json_put_str(o, "nvme", ver);
	exp_json_put_u64(o, "cntlid", c->cntlid);
	exp_json_put_u64(o, "mdts", c->mdts);
	exp_json_put_u64(o, "total_bytes", c->total_bytes);
	exp_json_put_u64(o, "free_bytes", c->free_bytes);
	exp_json_put_u64(o, "exports", c->n_exports);
	exp_api_put_known_u64(o, "max_exports", c->max_exports, c->max_exports);
	for (uint32_t i = 0; i < c->n_ctrls; i++)
		free_ctrls += !c->ctrls[i].associated;
	exp_json_put_u64(o, "free_controllers", free_ctrls);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(cap_names); i++)
		exp_json_put_bool(flags, cap_names[i].name, c->flags & cap_names[i].flag);
	exp_json_put(o, "can", flags);
	put_reason(o, "no_change_log", c->no_change_log);
	put_reason(o, "no_ns_data", c->no_ns_data);
}

static struct exp_json *uuids(const struct exp_uuid *u, uint32_t n)
{
	struct exp_json *arr = exp_json_array();
	char text[EXP_UUID_TEXT];

	for (uint32_t i = 0; i < n; i++)
		exp_json_add(arr, exp_json_new_str(exp_uuid_format(&u[i], text)));
	return arr;
}

static struct exp_json *controllers(const struct exp_caps *c)
{
	struct exp_json *arr = exp_json_array();

	for (uint32_t i = 0; i < c->n_ctrls; i++) {
		struct exp_json *o = exp_json_object();

		exp_json_put_u64(o, "cntlid", c->ctrls[i].cntlid);
		exp_json_put_bool(o, "enabled", c->ctrls[i].enabled);
		exp_api_put_known_u64(o, "esubid", c->ctrls[i].associated, c->ctrls[i].esubid);
		exp_json_add(arr, o);
	}
	return arr;
}

static struct exp_json *formats(const struct exp_caps *c)
{
	struct exp_json *arr = exp_json_array();

	for (uint32_t i = 0; i < c->n_formats; i++) {
		struct exp_json *o = exp_json_object();

		exp_json_put_u64(o, "lba_bytes", c->formats[i].lba_bytes);
		exp_json_put_u64(o, "metadata_bytes", c->formats[i].ms);
		exp_json_add(arr, o);
	}
	return arr;
}

struct exp_json *exp_api_device(const struct exp_api_device *d, bool full)
{
	struct exp_json *o = exp_json_object();

	exp_json_put_str(o, "name", d->name);
	exp_json_put_str(o, "transport", d->transport);
	exp_json_put_str(o, "data", d->data && d->data[0] ? d->data : NULL);
	exp_json_put_str(o, "state", device_state_name(d->state));
	put_error(o, d->error);
	if (!d->caps)
		return o;
	put_caps(o, d->caps);
	if (full) {
		exp_json_put(o, "templates", uuids(d->caps->templates, d->caps->n_templates));
		exp_json_put(o, "state_uuids", uuids(d->caps->state_uuids, d->caps->n_state_uuids));
		exp_json_put(o, "formats", formats(d->caps));
		exp_json_put(o, "controllers", controllers(d->caps));
	}
	return o;
}

/*
 * Peers
 */

struct exp_json *exp_api_peer(const struct exp_api_peer *p)
{
	struct exp_json *o = exp_json_object(), *rights = exp_json_array();
	bool met = p->seen_ms;

	exp_json_put_str(o, "name", p->name);
	exp_json_put_str(o, "address", p->address);
	exp_json_put_str(o, "identity", p->identity);
	if (p->may_send)
		exp_json_add(rights, exp_json_new_str("send"));
	if (p->may_receive)
		exp_json_add(rights, exp_json_new_str("receive"));
	exp_json_put(o, "rights", rights);
	exp_json_put_str(o, "nqn", p->nqn && p->nqn[0] ? p->nqn : NULL);
	exp_json_put_bool(o, "connected", p->connected);
	exp_json_put_str(o, "condition", exp_condition_name(p->condition));
	exp_api_put_known_uuid(o, "host", &p->host);
	exp_json_put_str(o, "build", met ? p->build : NULL);
	if (met)
		exp_json_put_i64(o, "skew_ms", p->skew_ms);
	else
		exp_json_put_str(o, "skew_ms", NULL);
	exp_api_put_known_u64(o, "seen_ms", met, p->seen_ms);
	exp_api_put_known_u64(o, "cert_not_after_ms", p->cert_not_after_ms, p->cert_not_after_ms);
	put_error(o, p->error);
	return o;
}

/*
 * Exports
 */

static void put_nguid(struct exp_json *o, const uint8_t nguid[16])
{
	char text[33];

	for (size_t i = 0; i < 16; i++)
		snprintf(text + 2 * i, 3, "%02x", nguid[i]);
	exp_json_put_str(o, "nguid", is_zero(nguid) ? NULL : text);
}

struct exp_json *exp_api_export(const struct exp_export *e)
{
	struct exp_json *o = exp_json_object(), *epoch = exp_json_object();

	exp_json_put_uuid(o, "id", &e->id);
	exp_json_put_str(o, "nqn", e->desc.nqn.s);
	exp_json_put_str(o, "status", exp_export_status_name(e->status));
	exp_json_put_u64(o, "size_bytes", exp_export_bytes(&e->desc));
	exp_json_put_u64(o, "lba_bytes", e->desc.lba_bytes);
	exp_api_put_place(o, &e->place);
	exp_json_put_u64(o, "ensid", e->desc.ensid);
	exp_json_put_u64(o, "ecntlid", e->desc.ecntlid);
	put_nguid(o, e->desc.nguid);
	exp_api_put_known_uuid(o, "uuid", &e->desc.uuid);
	exp_json_put_uuid(o, "template", &e->desc.template);
	exp_json_put_u64(epoch, "own", e->owner.own);
	exp_json_put_u64(epoch, "floor", e->owner.floor);
	exp_json_put_u64(epoch, "maxown", e->owner.maxown);
	exp_json_put(o, "epoch", epoch);
	exp_json_put_str(o, "owner_peer", e->owner_peer.s[0] ? e->owner_peer.s : NULL);
	exp_api_put_known_uuid(o, "job", &e->job);
	exp_json_put_u64(o, "created_ms", e->created_ms);
	return o;
}

/*
 * Preflight, events
 */

struct exp_json *exp_api_preflight(const struct exp_api_preflight *p)
{
	struct exp_json *o = exp_json_object(), *target = exp_json_object(),
			*cntlids = exp_json_array(), *est = exp_json_object();

	exp_json_put_bool(o, "ok", !exp_findings_refuse(p->findings));
	exp_json_put(o, "findings", exp_api_findings(p->findings));
	exp_json_put_str(target, "device", p->device.s[0] ? p->device.s : NULL);
	for (uint32_t i = 0; i < p->n_cntlid; i++) {
		struct exp_json *c = exp_json_object();

		exp_json_put_u64(c, "cntlid", p->cntlid[i]);
		exp_json_add(cntlids, c);
	}
	exp_json_put(target, "controllers", cntlids);
	exp_json_put(o, "target", target);
	exp_json_put_str(o, "path", p->path == EXP_PATH_NONE ? NULL : exp_path_name(p->path));
	exp_json_put_u64(est, "bytes", p->bytes);
	exp_api_put_known_u64(est, "eta_ms", p->eta_ms != UINT64_MAX, p->eta_ms);
	exp_api_put_known_u64(est, "blackout_us", p->blackout_us, p->blackout_us);
	exp_json_put(o, "estimate", est);
	return o;
}

struct exp_json *exp_api_event(const struct exp_event_line *e)
{
	struct exp_json *o = exp_json_object(), *detail = NULL;

	exp_json_put_u64(o, "seq", e->seq);
	exp_json_put_u64(o, "time_ms", e->time_ms);
	exp_json_put_str(o, "type", e->type);
	exp_api_put_known_uuid(o, "job", &e->job);
	exp_api_put_known_uuid(o, "export", &e->export_id);
	/* a detail that is no JSON was damaged on disk: shown as it is, the stream goes on */
	if (!exp_json_parse(e->detail, strlen(e->detail), EXP_EVENT_DETAIL_MAX, &detail, NULL))
		exp_json_put(o, "detail", detail);
	else
		exp_json_put_str(o, "detail", e->detail);
	return o;
}

/*
 * Errors
 */

#define PROBLEM_TYPE "urn:expd:problem:"

struct exp_json *exp_api_problem(const struct exp_error *err, const struct exp_findings *fs)
{
	struct exp_json *o = exp_json_object();
	const char *code = exp_code_name(err->code);
	char type[64];

	snprintf(type, sizeof(type), PROBLEM_TYPE "%s", code);
	exp_json_put_str(o, "type", type);
	exp_json_put_str(o, "title", code);
	exp_json_put_u64(o, "status", (uint64_t)exp_code_http(err->code));
	exp_json_put_str(o, "detail", err->msg);
	exp_json_put_str(o, "code", code);
	exp_json_put_bool(o, "retry", exp_code_retry(err->code));
	exp_json_put_u64(o, "errno", (uint64_t)err->errnum);
	exp_json_put_u64(o, "nvme_status", err->nvme_status);
	if (fs && fs->n)
		exp_json_put(o, "findings", exp_api_findings(fs));
	return o;
}

/* The code of a status whose document says nothing that this library knows. */
static enum exp_code code_of_status(int status)
{
	switch (status) {
	case 400: return EXP_CODE_INVALID;
	case 403: return EXP_CODE_DENIED;
	case 404: return EXP_CODE_NOT_FOUND;
	case 405: return EXP_CODE_METHOD;
	case 409: return EXP_CODE_CONFLICT;
	case 410: return EXP_CODE_GONE;
	case 413: return EXP_CODE_TOO_LARGE;
	case 503: return EXP_CODE_STARTING;
	default: return EXP_CODE_SYSTEM;
	}
}

int exp_api_parse_problem(const struct exp_json *v, int status, struct exp_error *err)
{
	const char *name = exp_json_str(exp_json_get(v, "code"), NULL);
	const char *detail = exp_json_str(exp_json_get(v, "detail"), NULL);
	uint64_t errnum = exp_json_u64(exp_json_get(v, "errno"), 0);
	uint64_t nvme = exp_json_u64(exp_json_get(v, "nvme_status"), 0);
	enum exp_code code;

	if (!name || exp_code_by_name(name, &code) < 0 || code == EXP_CODE_OK)
		code = code_of_status(status);
	if (!errnum || errnum > 4095)
		errnum = EPROTO;
	if (detail)
		exp_error_set(err, code, (int)errnum, "%s", detail);
	else
		exp_error_set(err, code, (int)errnum, "HTTP status %d without an explanation",
			      status);
	if (err && nvme <= UINT16_MAX)
		err->nvme_status = (uint16_t)nvme;
	return -(int)errnum;
}
