/* SPDX-License-Identifier: Apache-2.0 */
/* peers.c - compare a peer's hello with what it said before, and remember */
#include <errno.h>
#include <string.h>

#include "inventory/peers.h"
#include "inventory/sql.h"

static int read_peer(struct exp_db *db, const char *name, struct exp_peer_record *ret,
		     struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	struct exp_peer_record p = { 0 };
	int r;

	exp_sql_open(&q, db,
		     "SELECT name, host, instance, counter, memory, seen_ms, accepted_ms"
		     " FROM peer WHERE name = ?1",
		     "read a peer", err);
	exp_sql_put_text(&q, name);
	r = exp_sql_step(&q);
	if (r <= 0)
		return r;
	exp_sql_get_text(&q, p.name.s, sizeof(p.name.s));
	exp_sql_get_uuid(&q, &p.host);
	exp_sql_get_uuid(&q, &p.db.instance);
	p.db.counter = exp_sql_get_u64(&q, INT64_MAX);
	p.memory = (enum exp_peer_memory)exp_sql_get_u64(&q, EXP_PEER_OTHER_HOST);
	p.seen_ms = exp_sql_get_u64(&q, INT64_MAX);
	p.accepted_ms = exp_sql_get_u64(&q, INT64_MAX);
	r = exp_sql_row_end(&q);
	if (r < 0)
		return r;
	*ret = p;
	return 1;
}

static int write_peer(struct exp_db *db, const struct exp_peer_record *p, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };

	exp_sql_open(&q, db,
		     "INSERT INTO peer (name, host, instance, counter, memory, seen_ms,"
		     " accepted_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
		     " ON CONFLICT (name) DO UPDATE SET host = excluded.host,"
		     " instance = excluded.instance, counter = excluded.counter,"
		     " memory = excluded.memory, seen_ms = excluded.seen_ms,"
		     " accepted_ms = excluded.accepted_ms",
		     "remember a peer", err);
	exp_sql_put_text(&q, p->name.s);
	exp_sql_put_uuid(&q, &p->host);
	exp_sql_put_uuid(&q, &p->db.instance);
	exp_sql_put_u64(&q, p->db.counter);
	exp_sql_put_u64(&q, p->memory);
	exp_sql_put_u64(&q, p->seen_ms);
	exp_sql_put_u64(&q, p->accepted_ms);
	return exp_sql_run(&q);
}

/* A host whose database is another one says less about itself than one with another host id. */
static enum exp_peer_memory compare(const struct exp_peer_record *p, const struct exp_uuid *host,
				    const struct exp_db_identity *theirs)
{
	if (!exp_uuid_eq(&p->host, host))
		return EXP_PEER_OTHER_HOST;
	if (!exp_uuid_eq(&p->db.instance, &theirs->instance))
		return EXP_PEER_OTHER_DB;
	return theirs->counter < p->db.counter ? EXP_PEER_WENT_BACK : EXP_PEER_FINE;
}

static int hello(struct exp_db *db, const char *name, const struct exp_uuid *host,
		 const struct exp_db_identity *theirs, uint64_t now_ms, struct exp_peer_record *ret,
		 struct exp_error *err)
{
	struct exp_peer_record p = { 0 };
	int known = read_peer(db, name, &p, err);
	bool afresh = !known || exp_uuid_is_nil(&p.db.instance);

	if (known < 0)
		return known;
	if (strlen(name) > EXP_NAME_MAX)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "peer name of %zu bytes, at most %d", strlen(name),
				     EXP_NAME_MAX);
	strcpy(p.name.s, name);
	/* once noticed it stays noticed: a counter that grows again does not bring rows back */
	if (!afresh && p.memory == EXP_PEER_FINE)
		p.memory = compare(&p, host, theirs);
	if (p.memory == EXP_PEER_FINE) {
		p.host = *host;
		p.db = *theirs;
	}
	p.seen_ms = now_ms;
	*ret = p;
	return write_peer(db, &p, err);
}

int exp_peers_hello(struct exp_db *db, const char *name, const struct exp_uuid *host,
		    const struct exp_db_identity *theirs, uint64_t now_ms,
		    struct exp_peer_record *ret, struct exp_error *err)
{
	struct exp_peer_record p;
	int r = exp_sql_begin(db, err);

	if (r < 0)
		return r;
	r = exp_sql_end(db, hello(db, name, host, theirs, now_ms, &p, err), err);
	if (!r)
		*ret = p;
	return r;
}

static int accept_change(struct exp_db *db, const char *name, uint64_t now_ms,
			 struct exp_error *err)
{
	static const struct exp_db_identity unknown;
	struct exp_peer_record p;
	int r = read_peer(db, name, &p, err);

	if (r < 0)
		return r;
	if (!r)
		return exp_error_set(err, EXP_CODE_NOT_FOUND, ENOENT, "peer %s was never met",
				     name);
	p.db = unknown;
	p.memory = EXP_PEER_FINE;
	p.accepted_ms = now_ms;
	return write_peer(db, &p, err);
}

int exp_peers_accept(struct exp_db *db, const char *name, uint64_t now_ms, struct exp_error *err)
{
	int r = exp_sql_begin(db, err);

	return r < 0 ? r : exp_sql_end(db, accept_change(db, name, now_ms, err), err);
}

int exp_peers_get(struct exp_db *db, const char *name, struct exp_peer_record *ret,
		  struct exp_error *err)
{
	int r = read_peer(db, name, ret, err);

	if (r > 0)
		return 0;
	return r < 0 ? r
		     : exp_error_set(err, EXP_CODE_NOT_FOUND, ENOENT, "peer %s was never met",
				     name);
}
