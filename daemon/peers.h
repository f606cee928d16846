/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers.h - the hosts of the configuration: who is connected, who may do what, who is dialled
 *
 * A connection from either side serves both; a host dials while it has open jobs with a peer and
 * no connection, with bounded back-off. A message that cannot be sent is lost: the hand-over
 * machines repeat. Whatever arrives is passed on with the peer's configured name, which its
 * certificate proved. Loop thread only.
 */
#ifndef EXPD_PEERS_H
#define EXPD_PEERS_H

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"
#include "config.h"
#include "model/msg.h"

struct expd;
struct expd_peers;

int expd_peers_new(struct expd *x, struct expd_peers **ret, struct exp_error *err);
void expd_peers_free(struct expd_peers *p);

/** expd_peers_listen - take connections from now on; nothing when no address is configured */
int expd_peers_listen(struct expd_peers *p, struct exp_error *err);

/** expd_peers_stop - no new connections; BYE to everyone */
void expd_peers_stop(struct expd_peers *p);

/** expd_peers_want - a job with @name opened (+1) or ended (-1): keep a connection meanwhile */
void expd_peers_want(struct expd_peers *p, const struct exp_name *name, int change);

bool expd_peers_connected(const struct expd_peers *p, const struct exp_name *name);

/** expd_peers_send - -ENOTCONN and -ENOBUFS are as good as a lost message */
int expd_peers_send(struct expd_peers *p, const struct exp_name *name, const struct exp_msg *m,
		    struct exp_error *err);

/** expd_peers_try - the same for what is repeated anyway */
void expd_peers_try(struct expd_peers *p, const struct exp_name *name, const struct exp_msg *m);

/** expd_peers_why - why there is no connection with @name, as an error */
void expd_peers_why(const struct expd_peers *p, const struct exp_name *name, struct exp_error *err);

/** expd_peers_host - the host id of its last hello; nil before */
struct exp_uuid expd_peers_host(const struct expd_peers *p, const struct exp_name *name);

/** expd_peers_has_right - whatever the export is called */
bool expd_peers_has_right(const struct expd_peers *p, const struct exp_name *name,
			  enum expd_right right);

/** expd_peers_allows - may @name send us (or get from us) an export called @nqn? */
int expd_peers_allows(const struct expd_peers *p, const struct exp_name *name,
		      enum expd_right right, const char *nqn, struct exp_error *err);

struct exp_json *expd_peers_json(const struct expd_peers *p); /* array, for the API */

#endif
