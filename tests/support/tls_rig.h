/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_rig.h - certificates for the tests of lib/tls, made by pki.sh in a directory of its own
 *
 * Hosts: a and b of the lab's CA; foreign, of another CA; old, soon, nosan, dns, server (extended
 * key usage without clientAuth), many (three SAN URIs). Use rig_setup and rig_teardown as the
 * group's fixtures; *state is the struct rig.
 */
#ifndef EXP_TESTS_SUPPORT_TLS_RIG_H
#define EXP_TESTS_SUPPORT_TLS_RIG_H

#include <errno.h>
#include <unistd.h>

#include "support/tests.h"
#include "tls/ctx.h"

struct rig {
	char dir[128];
	char *path[32];
	unsigned int next;
};

/* A shell command in the directory, with $p for pki.sh (beside tests/data); its exit status. */
static inline int rig_run(const struct rig *r, const char *what)
{
	char cmd[2048];

	snprintf(cmd, sizeof(cmd), "cd '%s' && p=%.*s/support/pki.sh && %s", r->dir,
		 (int)(sizeof(EXP_TEST_DATA) - sizeof("/data")), EXP_TEST_DATA, what);
	return system(cmd);
}

static inline int rig_setup(void **state)
{
	const char *tmp = getenv("TMPDIR");
	struct rig *r = calloc(1, sizeof(*r));

	if (!r)
		return -1;
	snprintf(r->dir, sizeof(r->dir), "%.100s/tls.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(r->dir))
		return -1;
	*state = r;
	return rig_run(r, "set -e; $p lab . a b; $p lab other foreign; $p host . old --expired;"
			  "$p host . soon --not-yet; $p host . nosan --no-san;"
			  "$p host . dns --dns a.lab; $p host . server --eku serverAuth;"
			  "$p host . many --uri spiffe://lab/host/m --uri urn:x:1 "
			  "--uri spiffe://lab/z");
}

static inline int rig_teardown(void **state)
{
	struct rig *r = *state;
	char cmd[256];
	int ret;

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", r->dir);
	ret = system(cmd);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(r->path); i++)
		free(r->path[i]);
	free(r);
	return ret;
}

/* DIR/@name with @end behind it; the last 32 are kept. */
static inline const char *rig_path(struct rig *r, const char *name, const char *end)
{
	char **p = &r->path[r->next++ % EXP_ARRAY_SIZE(r->path)];

	free(*p);
	if (asprintf(p, "%s/%s%s", r->dir, name, end) < 0)
		fail_msg("out of memory");
	return *p;
}

static inline struct exp_tls_files rig_files(struct rig *r, const char *host)
{
	const char *dir = strcmp(host, "foreign") ? "" : "other/";
	char name[64];

	snprintf(name, sizeof(name), "%s%s", dir, host);
	return (struct exp_tls_files){ .ca_file = rig_path(r, dir, "ca.pem"),
				       .cert_file = rig_path(r, name, ".pem"),
				       .key_file = rig_path(r, name, ".key") };
}

/* What @host believes and shows; "foreign" shows its own certificate and believes the lab's CA. */
static inline struct exp_tls_ctx *rig_ctx(struct rig *r, const char *host)
{
	struct exp_tls_files f = rig_files(r, host);
	struct exp_error err = { 0 };
	struct exp_tls_ctx *c = NULL;

	f.ca_file = rig_path(r, "ca", ".pem");
	assert_ok(exp_tls_ctx_new(&f, &c, &err), &err);
	return c;
}

#endif
