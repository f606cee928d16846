/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers.h - what this host remembers of each peer's database, to notice one that went back
 *
 * A peer whose journal is another one than before, or an older copy of it, has forgotten promises.
 * That stays noted, over restarts, until a person accepts it.
 * All functions block; see db.h for the errors of every write.
 */
#ifndef EXP_INVENTORY_PEERS_H
#define EXP_INVENTORY_PEERS_H

#include "inventory/db.h"
#include "model/export.h"

enum exp_peer_memory { /* stored */
		       EXP_PEER_FINE = 0,
		       EXP_PEER_WENT_BACK = 1,  /* same database, lower counter */
		       EXP_PEER_OTHER_DB = 2,   /* another database instance */
		       EXP_PEER_OTHER_HOST = 3, /* another host answers under this name */
};

struct exp_peer_record {
	struct exp_name name;
	struct exp_uuid host;
	struct exp_db_identity db; /* highest counter seen of the accepted instance */
	enum exp_peer_memory memory;
	uint64_t seen_ms;     /* wall clock of the last hello */
	uint64_t accepted_ms; /* when a person last accepted a change, 0 never */
};

/**
 * exp_peers_hello - a peer introduced itself: compare, remember
 * *ret: what is remembered now. While memory is not FINE, host and db stay those of before.
 */
int exp_peers_hello(struct exp_db *db, const char *name, const struct exp_uuid *host,
		    const struct exp_db_identity *theirs, uint64_t now_ms,
		    struct exp_peer_record *ret, struct exp_error *err) EXP_MUST_CHECK;

/** exp_peers_accept - a person says that the change is all right: the next hello is taken as new */
int exp_peers_accept(struct exp_db *db, const char *name, uint64_t now_ms,
		     struct exp_error *err) EXP_MUST_CHECK;

/** exp_peers_get - -ENOENT NOT_FOUND: never met */
int exp_peers_get(struct exp_db *db, const char *name, struct exp_peer_record *ret,
		  struct exp_error *err) EXP_MUST_CHECK;

#endif
