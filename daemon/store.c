/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "config.h"
#include "expd.h"
#include "inventory/peers.h"
#include "store.h"
#include "worker.h"

#define WAL_SOFT_BYTES (4u * 1024 * 1024)  /* checkpoint when nothing is in a hurry */
#define WAL_HARD_BYTES (64u * 1024 * 1024) /* checkpoint in any case */
#define PATH_BYTES     (EXPD_VALUE_MAX + 32)

/* One database, its worker, and what the loop may know of it without asking. */
struct file {
	const struct exp_db_schema *schema;
	char path[PATH_BYTES];
	struct expd_worker *worker;
	/* worker's own once tasks run */
	struct exp_db *db;
	bool broken; /* a COMMIT failed: open it anew before the next task */
};

struct peer_memory {
	struct exp_name name;
	enum exp_peer_memory memory;
	unsigned int pending; /* hellos that are being compared */
};

struct expd_store {
	struct expd *x;
	struct file journal, events;
	bool fresh;
	int in_blackout;
	bool checkpointing;
	uint64_t checkpoint_at; /* one failed: not again before the log has that many bytes */
	/* copies for the loop */
	struct exp_db_identity identity;
	uint64_t wal_bytes;
	char host_text[EXP_UUID_TEXT];
	size_t n_peers;
	struct peer_memory peers[EXPD_PEERS_MAX];
};

struct store_task {
	struct expd_task t;
	struct expd_store *s;
	struct file *f;
	expd_store_fn fn;
	expd_store_done done;
	void *arg;
	bool fresh;
	int r;
	struct exp_error err;
	struct exp_db_identity identity;
	uint64_t wal_bytes;
};

static int file_open(struct file *f, struct exp_error *err)
{
	const struct exp_db_config cfg = { .path = f->path };
	int r;

	r = exp_db_open(f->schema, &cfg, &f->db, err);
	f->broken = r < 0;
	return r < 0 ? exp_error_wrap(err, r, "%s", f->schema->name) : 0;
}

static void task_run(struct expd_task *t)
{
	struct store_task *st = (struct store_task *)t;
	struct file *f = st->f;

	if (st->fresh || f->broken) {
		exp_db_close(f->db);
		f->db = NULL;
		st->r = file_open(f, &st->err);
		if (st->r < 0)
			return;
	}
	st->r = st->fn(f->db, st->arg, &st->err);
	f->broken = exp_db_unknown(st->r);
	st->identity = exp_db_identity(f->db);
	st->wal_bytes = exp_db_wal_bytes(f->db);
}

static void consider_checkpoint(struct expd_store *s);

static void task_done(struct expd_task *t)
{
	struct store_task *st = (struct store_task *)t;
	struct expd_store *s = st->s;

	if (st->f == &s->journal && st->identity.counter) {
		s->identity = st->identity;
		s->wal_bytes = st->wal_bytes;
	}
	if (st->r < 0 && st->err.code == EXP_CODE_OK)
		exp_error_wrap(&st->err, st->r, "%s", st->f->schema->name);
	st->done(s->x, st->arg, st->r, &st->err);
	free(st);
	consider_checkpoint(s);
}

static void submit(struct expd_store *s, struct file *f, bool urgent, expd_store_fn fn,
		   expd_store_done done, void *arg)
{
	struct store_task *st = f->worker ? calloc(1, sizeof(*st)) : NULL;
	struct exp_error err = { 0 };

	if (!st) {
		int r = f->worker ? exp_error_set(&err, EXP_CODE_NO_MEMORY, ENOMEM,
						  "database task: out of memory")
				  : exp_error_set(&err, EXP_CODE_STOPPING, ESHUTDOWN,
						  "the daemon is stopping");

		done(s->x, arg, r, &err);
		return;
	}
	*st = (struct store_task){ .t = { .run = task_run, .done = task_done },
				   .s = s,
				   .f = f,
				   .fn = fn,
				   .done = done,
				   .arg = arg };
	if (f == &s->journal) {
		st->fresh = s->fresh;
		s->fresh = false;
	}
	expd_worker_submit(f->worker, &st->t, urgent);
}

void expd_store_run(struct expd_store *s, bool urgent, expd_store_fn fn, expd_store_done done,
		    void *arg)
{
	submit(s, &s->journal, urgent, fn, done, arg);
}

void expd_store_run_events(struct expd_store *s, expd_store_fn fn, expd_store_done done, void *arg)
{
	submit(s, &s->events, false, fn, done, arg);
}

void expd_store_fresh(struct expd_store *s)
{
	s->fresh = true;
}

static int run_checkpoint(struct exp_db *db, void *arg, struct exp_error *err)
{
	(void)arg;
	return exp_db_checkpoint(db, err);
}

static void checkpoint_done(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct expd_store *s = arg;

	(void)x;
	s->checkpointing = false;
	s->checkpoint_at = r < 0 ? s->wal_bytes + WAL_SOFT_BYTES : 0;
	if (r < 0)
		exp_log(LOG_WARNING, "journal checkpoint failed", kv_s("error", err->msg));
}

/* Automatic checkpoints are off: no commit inside a blackout shall pay for one. */
static void consider_checkpoint(struct expd_store *s)
{
	uint64_t limit = s->in_blackout ? WAL_HARD_BYTES : WAL_SOFT_BYTES;

	if (s->checkpointing || s->wal_bytes < EXP_MAX(limit, s->checkpoint_at) ||
	    !s->journal.worker)
		return;
	s->checkpointing = true;
	submit(s, &s->journal, false, run_checkpoint, checkpoint_done, s);
}

void expd_store_hold_checkpoints(struct expd_store *s, int change)
{
	s->in_blackout += change;
}

static int load_host_id(struct expd *x, const char *dir, struct exp_error *err)
{
	char path[PATH_BYTES], *text = NULL, fresh[EXP_UUID_TEXT + 1];
	size_t len;
	int r;

	snprintf(path, sizeof(path), "%s/host-id", dir);
	r = exp_fs_read(path, 64, &text, &len, err);
	if (r == -ENOENT) {
		x->host = exp_uuid_new();
		exp_uuid_format(&x->host, fresh);
		strcat(fresh, "\n");
		return exp_fs_replace(path, fresh, strlen(fresh), 0644, err);
	}
	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	r = exp_uuid_parse(text, &x->host);
	free(text);
	if (r < 0)
		return exp_error_set(err, EXP_CODE_CONFIG, EINVAL,
				     "%s holds no UUID: restore it from the inventory's backup, or "
				     "remove it on a host that owns no export",
				     path);
	return 0;
}

static int file_start(struct expd *x, struct file *f, const struct exp_db_schema *schema,
		      const char *dir, const char *name, struct exp_error *err)
{
	int r;

	f->schema = schema;
	snprintf(f->path, sizeof(f->path), "%s/%s", dir, name);
	r = file_open(f, err);
	if (r < 0)
		return r;
	return expd_worker_new(x->inbox, name, &f->worker, err);
}

int expd_store_open(struct expd *x, const char *state_dir, struct expd_store **ret,
		    struct exp_error *err)
{
	struct expd_store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "store: out of memory");
	s->x = x;
	r = exp_fs_mkdir(state_dir, 0700, err);
	if (r == 0)
		r = file_start(x, &s->journal, &exp_journal_schema, state_dir, "journal.db", err);
	if (r == 0)
		r = load_host_id(x, state_dir, err);
	if (r == 0)
		r = file_start(x, &s->events, &exp_events_schema, state_dir, "events.db", err);
	if (r < 0) {
		expd_store_close(s);
		return r;
	}
	s->identity = exp_db_identity(s->journal.db);
	s->wal_bytes = exp_db_wal_bytes(s->journal.db);
	exp_uuid_format(&x->host, s->host_text);
	*ret = s;
	return 0;
}

void expd_store_quiesce(struct expd_store *s)
{
	if (!s)
		return;
	expd_worker_free(s->journal.worker);
	s->journal.worker = NULL;
	expd_worker_free(s->events.worker);
	s->events.worker = NULL;
}

static void file_stop(struct file *f)
{
	if (f->db && !f->broken && exp_db_checkpoint(f->db, NULL) < 0)
		exp_log(LOG_INFO, "no checkpoint at the end; the next start reads the log instead");
	exp_db_close(f->db);
}

void expd_store_close(struct expd_store *s)
{
	if (!s)
		return;
	expd_store_quiesce(s);
	file_stop(&s->journal);
	file_stop(&s->events);
	free(s);
}

struct exp_db *expd_store_journal(struct expd_store *s)
{
	return s->journal.db;
}

void expd_store_identity(const struct expd_store *s, struct exp_uuid *instance, uint64_t *counter)
{
	*instance = s->identity.instance;
	*counter = s->identity.counter;
}

uint64_t expd_store_wal_bytes(const struct expd_store *s)
{
	return s->wal_bytes;
}

const char *expd_store_host_text(const struct expd_store *s)
{
	return s->host_text;
}

static struct peer_memory *memory_of(struct expd_store *s, const struct exp_name *peer)
{
	for (size_t i = 0; i < s->n_peers; i++)
		if (!strcmp(s->peers[i].name.s, peer->s))
			return &s->peers[i];
	if (s->n_peers == EXPD_PEERS_MAX)
		return NULL;
	s->peers[s->n_peers].name = *peer;
	return &s->peers[s->n_peers++];
}

struct hello_task {
	struct expd_store *s;
	struct exp_name peer;
	struct exp_uuid host;
	struct exp_db_identity theirs;
	uint64_t now_ms;
	struct exp_peer_record rec;
};

static int run_hello(struct exp_db *db, void *arg, struct exp_error *err)
{
	struct hello_task *h = arg;

	return exp_peers_hello(db, h->peer.s, &h->host, &h->theirs, h->now_ms, &h->rec, err);
}

static void hello_done(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct hello_task *h = arg;
	struct peer_memory *m = memory_of(h->s, &h->peer);

	(void)x;
	if (m)
		m->pending--;
	if (r < 0)
		exp_log(LOG_WARNING, "could not remember a peer's database",
			kv_s("peer", h->peer.s), kv_s("error", err->msg));
	else if (m) {
		if (h->rec.memory != EXP_PEER_FINE && m->memory == EXP_PEER_FINE)
			exp_log(LOG_ERR, "peer's database went back or was replaced",
				kv_s("peer", h->peer.s), kv_u("counter", h->theirs.counter),
				kv_u("seen", h->rec.db.counter));
		m->memory = h->rec.memory;
	}
	free(h);
}

void expd_store_peer_seen(struct expd_store *s, const struct exp_name *peer,
			  const struct exp_msg_hello *hello)
{
	struct hello_task *h = calloc(1, sizeof(*h));
	struct peer_memory *m;

	if (!h)
		return; /* it says hello again */
	h->s = s;
	h->peer = *peer;
	h->host = hello->host;
	h->theirs = (struct exp_db_identity){ hello->db_instance, hello->db_counter };
	h->now_ms = exp_wall_ms();
	m = memory_of(s, peer);
	if (m)
		m->pending++;
	expd_store_run(s, false, run_hello, hello_done, h);
}

bool expd_store_peer_pending(const struct expd_store *s, const struct exp_name *peer)
{
	for (size_t i = 0; i < s->n_peers; i++)
		if (!strcmp(s->peers[i].name.s, peer->s))
			return s->peers[i].pending > 0;
	return false;
}

enum exp_condition expd_store_peer_condition(const struct expd_store *s,
					     const struct exp_name *peer)
{
	for (size_t i = 0; i < s->n_peers; i++)
		if (!strcmp(s->peers[i].name.s, peer->s))
			return s->peers[i].memory == EXP_PEER_FINE
				       ? EXP_CONDITION_NONE
				       : EXP_CONDITION_JOURNAL_REGRESSED;
	return EXP_CONDITION_NONE;
}
