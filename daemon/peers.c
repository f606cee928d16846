/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/listener.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/api.h"
#include "expd.h"
#include "exports.h"
#include "jobs.h"
#include "peer_conn.h"
#include "peers.h"
#include "preflight.h"
#include "resolve.h"
#include "store.h"
#include "wire/session.h"
#include "worker.h"

#define INBOUND_MAX   256 /* inbound connections that have not shown a known certificate yet */
#define REDIAL_MIN_MS 200
#define REDIAL_MAX_MS 10000

struct peer {
	struct expd_peers *all;
	const struct expd_peer_config *cfg;
	struct expd_conn *conn;     /* both hellos are through; either direction */
	struct expd_conn *dialling; /* ours, on its way there */
	bool resolving;
	unsigned int wanted; /* open jobs with it */
	struct exp_backoff backoff;
	struct event *redial;
	struct exp_error error; /* why there is no connection; code OK: none was tried */
	char said[sizeof(((struct exp_error *)0)->msg)]; /* what the log has of it */
	/* of its last hello */
	struct exp_uuid host;
	char build[64];
	int64_t skew_ms;
	uint64_t seen_ms;
	int64_t cert_not_after_s;
};

/* One connection, also those of strangers, of bulk streams to be, and older ones that still end. */
struct line {
	struct expd_peers *all;
	struct peer *peer; /* whose it is; NULL: not known yet */
	struct expd_conn *conn;
	struct line *next, **link;
};

struct expd_peers {
	struct expd *x;
	struct evconnlistener *listener;
	struct line *lines;
	struct expd_worker *resolver;
	unsigned int strangers;
	bool stopping;
	size_t n;
	struct peer peers[];
};

static const struct expd_conn_ops conn_ops;

static struct peer *find(const struct expd_peers *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->peers[i].cfg->name.s, name))
			return (struct peer *)&p->peers[i];
	return NULL;
}

static struct line *line_new(struct expd_peers *p, struct peer *pe, struct exp_error *err)
{
	struct line *l = calloc(1, sizeof(*l));

	if (!l) {
		exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "connection: out of memory");
		return NULL;
	}
	*l = (struct line){ .all = p, .peer = pe, .next = p->lines, .link = &p->lines };
	if (l->next)
		l->next->link = &l->next;
	p->lines = l;
	p->strangers += !pe;
	return l;
}

static void line_free(struct line *l)
{
	l->all->strangers -= !l->peer;
	*l->link = l->next;
	if (l->next)
		l->next->link = l->link;
	free(l);
}

static void redial_later(struct peer *pe)
{
	uint32_t ms = exp_backoff_next(&pe->backoff, &pe->all->x->rng);
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000 };

	if (pe->wanted && !pe->all->stopping)
		event_add(pe->redial, &tv);
}

/* Said once per cause: a peer that is away for a day fills no log. */
static void lost(struct peer *pe, const struct exp_error *err)
{
	if (strcmp(pe->said, err->msg))
		exp_log(LOG_WARNING, "peer not reachable", kv_s("peer", pe->cfg->name.s),
			kv_s("error", err->msg));
	memcpy(pe->said, err->msg, sizeof(pe->said));
	pe->error = *err;
	redial_later(pe);
	if (err->code == EXP_CODE_PEER_UNKNOWN || err->code == EXP_CODE_TLS ||
	    err->code == EXP_CODE_CERT_EXPIRED || err->code == EXP_CODE_VERSION)
		expd_preflight_refused(pe->all->x, &pe->cfg->name, err);
}

static void on_resolved(void *arg, const struct expd_address *a, const struct exp_error *failed)
{
	struct peer *pe = arg;
	struct exp_error err = { 0 };
	struct line *l;

	pe->resolving = false;
	if (pe->conn || pe->dialling || !pe->wanted || pe->all->stopping)
		return;
	if (failed->code != EXP_CODE_OK) {
		lost(pe, failed);
		return;
	}
	l = line_new(pe->all, pe, &err);
	if (!l) {
		lost(pe, &err);
	} else if (expd_conn_dial(pe->all->x->base, pe->all->x->tls,
				  (const struct sockaddr *)&a->sa, a->len, &conn_ops, l, &l->conn,
				  &err) < 0) {
		line_free(l);
		lost(pe, &err);
	} else {
		pe->dialling = l->conn;
	}
}

static void dial(struct peer *pe)
{
	struct exp_error err = { 0 };

	if (pe->conn || pe->dialling || pe->resolving || !pe->wanted || pe->all->stopping)
		return;
	if (expd_resolve(pe->all->resolver, pe->cfg->address, on_resolved, pe, &err) < 0)
		lost(pe, &err);
	else
		pe->resolving = true;
}

static void on_redial(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	dial(arg);
}

/* One of the certificate's URIs must be a configured peer; when we dialled, the one we meant. */
static int on_identified(void *arg, struct expd_conn *c, const struct exp_tls_identity *id,
			 struct exp_error *err)
{
	struct line *l = arg;
	struct expd_peers *p = l->all;
	struct peer *pe = l->peer;

	if (pe) {
		pe->cert_not_after_s = id->not_after_s;
		return exp_tls_identity_expect(id, pe->cfg->identity, err);
	}
	for (uint32_t i = 0; i < id->n_uris; i++) {
		const struct expd_peer_config *cfg = expd_config_peer_by_identity(p->x->config,
										  id->uri[i]);

		if (!cfg)
			continue;
		pe = find(p, cfg->name.s);
		pe->cert_not_after_s = id->not_after_s;
		l->peer = pe;
		p->strangers--;
		return 0;
	}
	exp_log(LOG_WARNING, "refused an unknown peer", kv_s("peer", expd_conn_address(c)),
		kv_s("identity", id->uri[0]));
	return exp_error_set(err, EXP_CODE_PEER_UNKNOWN, EACCES,
			     "host %s does not know the identity %s: add a [peer] section there",
			     expd_store_host_text(p->x->store), id->uri[0]);
}

static int on_hello_wanted(void *arg, struct expd_conn *c, struct exp_msg_hello *ret,
			   struct exp_error *err)
{
	const struct line *l = arg;
	const struct expd_peers *p = l->all;

	(void)c;
	ret->version_min = EXP_WIRE_VERSION_MIN;
	ret->version_max = EXP_WIRE_VERSION_MAX;
	ret->features = EXP_WIRE_FEATURES;
	ret->host = p->x->host;
	snprintf(ret->build, sizeof(ret->build), "expd %s", EXP_VERSION);
	expd_store_identity(p->x->store, &ret->db_instance, &ret->db_counter);
	ret->wall_ms = exp_wall_ms();
	return expd_exports_known(p->x->exports, &ret->known, &ret->n_known, err);
}

static int on_opened(void *arg, struct expd_conn *c, const struct exp_msg_hello *hello,
		     struct exp_error *err)
{
	const struct line *l = arg;
	struct expd_peers *p = l->all;
	struct peer *pe = l->peer;
	struct expd_conn *old = pe->conn;

	if (exp_uuid_eq(&hello->host, &p->x->host) && !exp_uuid_is_nil(&hello->host) &&
	    strcmp(pe->cfg->identity, exp_tls_ctx_self(p->x->tls)->uri[0]))
		return exp_error_set(err, EXP_CODE_CONFLICT, EINVAL,
				     "peer %s has this host's own id: a copied state directory?",
				     pe->cfg->name.s);
	if (pe->dialling == c)
		pe->dialling = NULL;
	pe->conn = c;
	pe->host = hello->host;
	snprintf(pe->build, sizeof(pe->build), "%s", hello->build);
	pe->skew_ms = (int64_t)(hello->wall_ms - exp_wall_ms());
	pe->seen_ms = exp_wall_ms();
	event_del(pe->redial);
	memset(&pe->error, 0, sizeof(pe->error));
	/* both dialled at once, or it came back before we noticed it was gone: the newest serves */
	if (old && old != c)
		expd_conn_end(old, NULL);
	exp_log(LOG_INFO, "peer connected", kv_s("peer", pe->cfg->name.s),
		kv_s("address", expd_conn_address(c)), kv_i("skew_ms", pe->skew_ms));
	expd_store_peer_seen(p->x->store, &pe->cfg->name, hello);
	expd_preflight_link(p->x, &pe->cfg->name);
	expd_jobs_link(p->x->jobs, &pe->cfg->name, true);
	return 0;
}

static void on_message(void *arg, struct expd_conn *c, const struct exp_msg *m)
{
	const struct line *l = arg;
	struct peer *pe = l->peer;

	(void)c;
	/* not at its hello: a host that does not know us says that too, and then BYE */
	exp_backoff_reset(&pe->backoff);
	pe->said[0] = '\0';
	expd_jobs_message(l->all->x->jobs, &pe->cfg->name, m);
}

static void on_bulk(void *arg, struct expd_conn *c, const struct exp_bulk_open *open,
		    struct exp_stream *s)
{
	struct line *l = arg;
	struct expd_peers *p = l->all;
	const struct peer *pe = l->peer;

	(void)c;
	line_free(l);
	expd_jobs_bulk(p->x->jobs, &pe->cfg->name, open, s);
}

static void on_closed(void *arg, struct expd_conn *c, const struct exp_error *err)
{
	struct line *l = arg;
	struct expd_peers *p = l->all;
	struct peer *pe = l->peer;

	line_free(l);
	if (!pe) {
		exp_log(LOG_INFO, "connection ended before it was known whose it is",
			kv_s("address", expd_conn_address(c)), kv_s("error", err->msg));
		return;
	}
	if (pe->dialling == c) {
		pe->dialling = NULL;
		lost(pe, err);
		return;
	}
	if (pe->conn != c)
		return; /* an older one that was replaced */
	pe->conn = NULL;
	if (err->code != EXP_CODE_OK)
		lost(pe, err);
	else
		redial_later(pe);
	expd_jobs_link(p->x->jobs, &pe->cfg->name, false);
}

static const struct expd_conn_ops conn_ops = {
	.identified = on_identified,
	.hello = on_hello_wanted,
	.opened = on_opened,
	.message = on_message,
	.bulk = on_bulk,
	.closed = on_closed,
};

/* Full: whoever has said nothing for the longest time goes, or a crowd could keep real peers out.
 */
static void make_room(struct expd_peers *p)
{
	struct line *oldest = NULL;

	for (struct line *l = p->lines; l; l = l->next) /* the newest comes first */
		if (!l->peer)
			oldest = l;
	if (!oldest || p->strangers < INBOUND_MAX)
		return;
	expd_conn_drop(oldest->conn);
	line_free(oldest);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len,
		      void *arg)
{
	struct expd_peers *p = arg;
	struct exp_error err = { 0 };
	struct line *line;

	(void)l;
	(void)sa;
	(void)len;
	make_room(p);
	line = line_new(p, NULL, &err);
	if (!line) {
		close(fd);
		return;
	}
	if (expd_conn_accept(p->x->base, p->x->tls, fd, &conn_ops, line, &line->conn, &err) < 0) {
		exp_log(LOG_WARNING, "cannot serve a connection", kv_s("error", err.msg));
		line_free(line);
	}
}

int expd_peers_new(struct expd *x, struct expd_peers **ret, struct exp_error *err)
{
	size_t n = x->config->n_peers;
	struct expd_peers *p = calloc(1, sizeof(*p) + n * sizeof(p->peers[0]));
	int r;

	if (!p)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "peers: out of memory");
	p->x = x;
	r = expd_worker_new(x->inbox, "expd-resolve", &p->resolver, err);
	if (r < 0) {
		free(p);
		return r;
	}
	for (size_t i = 0; i < n; i++, p->n++) {
		struct peer *pe = &p->peers[i];

		pe->all = p;
		pe->cfg = &x->config->peers[i];
		pe->backoff = (struct exp_backoff){ REDIAL_MIN_MS, REDIAL_MAX_MS, 0 };
		pe->redial = event_new(x->base, -1, 0, on_redial, pe);
		if (!pe->redial) {
			expd_peers_free(p);
			return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM,
					     "peers: out of memory");
		}
	}
	*ret = p;
	return 0;
}

void expd_peers_free(struct expd_peers *p)
{
	if (!p)
		return;
	p->stopping = true;
	if (p->listener)
		evconnlistener_free(p->listener);
	expd_worker_free(p->resolver);
	while (p->lines) {
		expd_conn_drop(p->lines->conn);
		line_free(p->lines);
	}
	for (size_t i = 0; i < p->n; i++)
		event_free(p->peers[i].redial);
	free(p);
}

int expd_peers_listen(struct expd_peers *p, struct exp_error *err)
{
	const char *address = p->x->config->listen;
	struct expd_address a;
	int r;

	if (!*address)
		return 0;
	r = expd_resolve_now(address, &a, err);
	if (r < 0)
		return exp_error_wrap(err, r, "listen");
	p->listener = evconnlistener_new_bind(p->x->base, on_accept, p,
					      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC |
						      LEV_OPT_REUSEABLE,
					      128, (struct sockaddr *)&a.sa, (int)a.len);
	if (!p->listener)
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "listen at %s: %s", address,
				     strerror(errno));
	return 0;
}

void expd_peers_stop(struct expd_peers *p)
{
	p->stopping = true;
	if (p->listener)
		evconnlistener_disable(p->listener);
	for (size_t i = 0; i < p->n; i++) {
		event_del(p->peers[i].redial);
		if (p->peers[i].conn)
			expd_conn_end(p->peers[i].conn, NULL);
	}
}

void expd_peers_want(struct expd_peers *p, const struct exp_name *name, int change)
{
	struct peer *pe = find(p, name->s);

	if (!pe)
		return; /* no longer configured: its jobs wait for a person */
	pe->wanted = (unsigned int)((int)pe->wanted + change);
	if (!pe->wanted)
		event_del(pe->redial);
	else if (change > 0 && !event_pending(pe->redial, EV_TIMEOUT, NULL))
		dial(pe);
}

bool expd_peers_connected(const struct expd_peers *p, const struct exp_name *name)
{
	const struct peer *pe = find(p, name->s);

	return pe && pe->conn && expd_conn_is_open(pe->conn);
}

int expd_peers_send(struct expd_peers *p, const struct exp_name *name, const struct exp_msg *m,
		    struct exp_error *err)
{
	const struct peer *pe = find(p, name->s);

	if (!pe || !pe->conn)
		return exp_error_set(err, EXP_CODE_PEER_GONE, ENOTCONN,
				     "peer %s is not connected: %s", name->s,
				     !pe              ? "not in the configuration"
				     : *pe->error.msg ? pe->error.msg
						      : "still trying");
	return expd_conn_send(pe->conn, m, err);
}

void expd_peers_try(struct expd_peers *p, const struct exp_name *name, const struct exp_msg *m)
{
	struct exp_error err = { 0 };

	if (expd_peers_send(p, name, m, &err) < 0)
		exp_log(err.code == EXP_CODE_PEER_GONE ? LOG_DEBUG : LOG_WARNING, "message lost",
			kv_s("peer", name->s), kv_s("what", exp_msg_name(m->type)),
			kv_s("error", err.msg));
}

void expd_peers_why(const struct expd_peers *p, const struct exp_name *name, struct exp_error *err)
{
	const struct peer *pe = find(p, name->s);

	if (!pe)
		exp_error_set(err, EXP_CODE_PEER_UNKNOWN, ENOENT,
			      "there is no peer %s in the configuration", name->s);
	else
		exp_error_set(err, EXP_CODE_UNREACHABLE, EHOSTUNREACH,
			      "peer %s is not connected: %s", name->s,
			      *pe->error.msg ? pe->error.msg : "still trying");
}

struct exp_uuid expd_peers_host(const struct expd_peers *p, const struct exp_name *name)
{
	const struct peer *pe = find(p, name->s);

	return pe ? pe->host : (struct exp_uuid){ 0 };
}

bool expd_peers_has_right(const struct expd_peers *p, const struct exp_name *name,
			  enum expd_right right)
{
	const struct peer *pe = find(p, name->s);

	return pe && (pe->cfg->rights & right);
}

int expd_peers_allows(const struct expd_peers *p, const struct exp_name *name,
		      enum expd_right right, const char *nqn, struct exp_error *err)
{
	const struct peer *pe = find(p, name->s);

	if (!pe)
		return exp_error_set(err, EXP_CODE_PEER_UNKNOWN, ENOENT,
				     "there is no peer %s in the configuration", name->s);
	if (!(pe->cfg->rights & right))
		return exp_error_set(err, EXP_CODE_PEER_RIGHTS, EACCES,
				     "peer %s has not the right %s: see [peer %s] in the "
				     "configuration",
				     name->s, right == EXPD_MAY_SEND ? "may_send" : "may_receive",
				     name->s);
	if (!exp_nqn_match(pe->cfg->nqn, nqn))
		return exp_error_set(err, EXP_CODE_PEER_RIGHTS, EACCES,
				     "%s does not match nqn = %s of peer %s", nqn, pe->cfg->nqn,
				     name->s);
	return 0;
}

struct exp_json *expd_peers_json(const struct expd_peers *p)
{
	struct exp_json *arr = exp_json_array();

	for (size_t i = 0; i < p->n; i++) {
		const struct peer *pe = &p->peers[i];
		const struct exp_api_peer a = {
			.name = pe->cfg->name.s,
			.address = pe->cfg->address,
			.identity = pe->cfg->identity,
			.may_send = pe->cfg->rights & EXPD_MAY_SEND,
			.may_receive = pe->cfg->rights & EXPD_MAY_RECEIVE,
			.nqn = pe->cfg->nqn,
			.connected = pe->conn && expd_conn_is_open(pe->conn),
			.condition = expd_store_peer_condition(p->x->store, &pe->cfg->name),
			.host = pe->host,
			.build = pe->build,
			.skew_ms = pe->skew_ms,
			.seen_ms = pe->seen_ms,
			.cert_not_after_ms = pe->cert_not_after_s > 0
						     ? (uint64_t)pe->cert_not_after_s * 1000
						     : 0,
			.error = &pe->error,
		};

		exp_json_add(arr, exp_api_peer(&a));
	}
	return arr;
}
