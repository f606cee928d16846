/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve.h - "HOST:PORT" and "[ADDRESS]:PORT" to a socket address; blocks on DNS
 */
#ifndef EXPD_RESOLVE_H
#define EXPD_RESOLVE_H

#include <sys/socket.h>

#include "base/error.h"

struct expd_worker;

struct expd_address {
	struct sockaddr_storage sa;
	socklen_t len;
};

/** expd_resolve_now - worker threads; the first address that the resolver gives */
int expd_resolve_now(const char *address, struct expd_address *ret, struct exp_error *err);

/** expd_resolve - the same on @w; @fn on the loop with @err code OK and @a, or with the error */
int expd_resolve(struct expd_worker *w, const char *address,
		 void (*fn)(void *arg, const struct expd_address *a, const struct exp_error *err),
		 void *arg, struct exp_error *err);

#endif
