/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "resolve.h"
#include "worker.h"

/* The last colon splits; an IPv6 address stands in brackets (expd.conf checks that). */
static int split(const char *address, char host[EXPD_VALUE_MAX + 1], const char **port,
		 struct exp_error *err)
{
	const char *colon = strrchr(address, ':');
	size_t n = colon ? (size_t)(colon - address) : 0;

	if (!n || n > EXPD_VALUE_MAX)
		return exp_error_set(err, EXP_CODE_CONFIG, EINVAL,
				     "address \"%s\" is not HOST:PORT", address);
	if (*address == '[' && address[n - 1] == ']') {
		address++;
		n -= 2;
	}
	memcpy(host, address, n);
	host[n] = '\0';
	*port = colon + 1;
	return 0;
}

int expd_resolve_now(const char *address, struct expd_address *ret, struct exp_error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
	char host[EXPD_VALUE_MAX + 1];
	const char *port = NULL;
	int r;

	r = split(address, host, &port, err);
	if (r < 0)
		return r;
	r = getaddrinfo(host, port, &hints, &list);
	if (r)
		return exp_error_set(err, EXP_CODE_UNREACHABLE, EHOSTUNREACH, "resolve %s: %s",
				     address, gai_strerror(r));
	memcpy(&ret->sa, list->ai_addr, list->ai_addrlen);
	ret->len = list->ai_addrlen;
	freeaddrinfo(list);
	return 0;
}

struct resolve_task {
	struct expd_task t;
	char address[EXPD_VALUE_MAX + 1];
	struct expd_address a;
	struct exp_error err;
	void (*fn)(void *arg, const struct expd_address *a, const struct exp_error *err);
	void *arg;
};

static void resolve_run(struct expd_task *t)
{
	struct resolve_task *rt = (struct resolve_task *)t;

	if (expd_resolve_now(rt->address, &rt->a, &rt->err) == 0)
		rt->err.code = EXP_CODE_OK;
}

static void resolve_done(struct expd_task *t)
{
	struct resolve_task *rt = (struct resolve_task *)t;

	rt->fn(rt->arg, &rt->a, &rt->err);
	free(rt);
}

int expd_resolve(struct expd_worker *w, const char *address,
		 void (*fn)(void *arg, const struct expd_address *a, const struct exp_error *err),
		 void *arg, struct exp_error *err)
{
	struct resolve_task *rt = calloc(1, sizeof(*rt));

	if (!rt)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "resolve: out of memory");
	rt->t.run = resolve_run;
	rt->t.done = resolve_done;
	snprintf(rt->address, sizeof(rt->address), "%s", address);
	rt->fn = fn;
	rt->arg = arg;
	expd_worker_submit(w, &rt->t, false);
	return 0;
}
