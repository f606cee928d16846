/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/reload: what SIGHUP may change, and what refuses the whole file */
#include "support/tests.h"
#include "support/tls_rig.h"

#include <sys/stat.h>

#include <event2/event.h>
#include <event2/thread.h>

#include "base/fs.h"
#include "daemon/config.h"
#include "daemon/expd.h"
#include "daemon/reload.h"
#include "daemon/worker.h"

struct lab {
	struct expd x; /* first: done() gets it */
	struct rig *rig;
	const char *path;
	unsigned int done;
	struct exp_error err;
};

/* The settings: what stands in [daemon] besides the files, host whose certificate it is, the rest.
 */
static void write_config(struct lab *lab, const char *daemon, const char *host, const char *rest)
{
	struct exp_error err = { 0 };
	char *text;
	int n;

	n = asprintf(&text,
		     "[daemon]\n%sca_file = %s/ca.pem\ncert_file = %s/%s.pem\n"
		     "key_file = %s/%s.key\n%s",
		     daemon, lab->rig->dir, lab->rig->dir, host, lab->rig->dir, host, rest);
	assert_true(n > 0);
	assert_ok(exp_fs_replace(lab->path, text, (size_t)n, 0600, &err), &err);
	free(text);
}

#define PEER                            \
	"[device d]\n"                  \
	"transport = nvme:/dev/nvme0\n" \
	"[peer b]\n"                    \
	"address = b:1\n"               \
	"identity = spiffe://lab/host/b\n"

static int setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	struct exp_error err = { 0 };

	assert_non_null(lab);
	lab->rig = *state;
	lab->path = strdup(rig_path(lab->rig, "expd", ".conf"));
	lab->x.base = event_base_new();
	assert_non_null(lab->x.base);
	lab->x.phase = EXPD_RUNNING;
	write_config(lab, "", "a", PEER);
	assert_ok(expd_config_load(lab->path, &lab->x.config, &err), &err);
	lab->x.tls = rig_ctx(lab->rig, "a");
	assert_ok(expd_inbox_new(lab->x.base, &lab->x.inbox, &err), &err);
	assert_ok(expd_reload_new(&lab->x, lab->path, &lab->x.reload, &err), &err);
	*state = lab;
	return 0;
}

static int teardown(void **state)
{
	struct lab *lab = *state;

	lab->x.phase = EXPD_STOPPING;
	expd_reload_free(lab->x.reload);
	expd_inbox_free(lab->x.inbox);
	exp_tls_ctx_free(lab->x.tls);
	expd_config_free(lab->x.config);
	event_base_free(lab->x.base);
	*state = lab->rig;
	free((void *)(uintptr_t)lab->path);
	free(lab);
	return 0;
}

static void done(struct expd *x, const struct exp_error *err)
{
	struct lab *lab = (struct lab *)x;

	lab->done++;
	lab->err = *err;
}

static enum exp_code reload(struct lab *lab)
{
	unsigned int before = lab->done;

	expd_reload_start(lab->x.reload, done);
	assert_int_equal(lab->done, before); /* never at once */
	while (lab->done == before)
		event_base_loop(lab->x.base, EVLOOP_ONCE);
	return lab->err.code;
}

static void test_what_may_change(void **state)
{
	struct lab *lab = *state;
	const struct expd_config *c = lab->x.config;
	const struct expd_peer_config *b = expd_config_peer(c, "b");

	assert_int_equal(reload(lab), EXP_CODE_OK); /* nothing has */
	write_config(lab,
		     "blackout_limit_ms = 77\nhold_lease_ms = 78\nmax_jobs = 3\n"
		     "allow_reset_on_restart = yes\n",
		     "a",
		     "[device d]\ntransport = nvme:/dev/nvme0\n[peer b]\naddress = bb:2\n"
		     "identity = urn:b\nrights = may_send\nnqn = nqn.2014-08.x:*\n");
	assert_int_equal(reload(lab), EXP_CODE_OK);
	assert_ptr_equal(lab->x.config, c);
	assert_ptr_equal(expd_config_peer(c, "b"), b); /* connections and jobs point at it */
	assert_int_equal(c->blackout_limit_ms, 77);
	assert_int_equal(c->hold_lease_ms, 78);
	assert_int_equal(c->max_jobs, 3);
	assert_true(c->allow_reset_on_restart);
	assert_string_equal(b->address, "bb:2");
	assert_string_equal(b->identity, "urn:b");
	assert_int_equal(b->rights, EXPD_MAY_SEND);
	assert_string_equal(b->nqn, "nqn.2014-08.x:*");
	write_config(lab, "", "a", PEER); /* a key that is gone has its default again */
	assert_int_equal(reload(lab), EXP_CODE_OK);
	assert_int_equal(c->blackout_limit_ms, 1000);
	assert_int_equal(b->rights, 0);
	assert_string_equal(b->nqn, "*");
}

static void test_certificates(void **state)
{
	struct lab *lab = *state;

	assert_string_equal(exp_tls_ctx_self(lab->x.tls)->uri[0], "spiffe://lab/host/a");
	for (int i = 0; i < 3; i++) {
		write_config(lab, "", i % 2 ? "a" : "many", PEER);
		assert_int_equal(reload(lab), EXP_CODE_OK);
		assert_string_equal(exp_tls_ctx_self(lab->x.tls)->uri[0],
				    i % 2 ? "spiffe://lab/host/a" : "spiffe://lab/host/m");
	}
}

/* Refused whole: neither the settings nor the certificate are others afterwards. */
static void refused(struct lab *lab, enum exp_code code, const char *what)
{
	const struct exp_tls_ctx *tls = lab->x.tls;

	assert_int_equal(reload(lab), code);
	assert_error(&lab->err, code, what);
	assert_ptr_equal(lab->x.tls, tls);
	assert_int_equal(lab->x.config->blackout_limit_ms, 1000);
	assert_string_equal(lab->x.config->runtime_dir, "/run/expd");
}

static void test_what_takes_a_restart(void **state)
{
	struct lab *lab = *state;
	static const struct {
		const char *daemon, *rest, *what;
	} rows[] = {
		{ "runtime_dir = /run/other\n", PEER, "runtime_dir has changed" },
		{ "state_dir = /var/other\n", PEER, "state_dir has changed" },
		{ "listen = x:1\n", PEER, "listen has changed" },
		{ "log_level = debug\n", PEER, "log_level has changed" },
		{ "", "[device d]\ntransport = nvme:/dev/nvme1\n", "a [device] has changed" },
		{ "", "[device e]\ntransport = nvme:/dev/nvme0\n", "a [device] has changed" },
		{ "", "[device d]\ntransport = nvme:/dev/nvme0\ndata = /d%n\n", "a [device]" },
		{ "",
		  "[device d]\ntransport = nvme:/dev/nvme0\n"
		  "template = 9f1c5b62-6d0e-4c1b-8a57-1e5d2c7b4a10\n",
		  "a [device]" },
		{ "", "[device d]\ntransport = nvme:/dev/nvme0\nlogs_after_resume = yes\n",
		  "a [device]" },
		{ "", "", "a [device]" },
		{ "", "[device d]\ntransport = nvme:/dev/nvme0\n", "the list of [peer]" },
		{ "", PEER "[peer c]\naddress = c:1\nidentity = x:c\n", "the list of [peer]" },
		{ "",
		  "[device d]\ntransport = nvme:/dev/nvme0\n[peer c]\naddress = b:1\n"
		  "identity = spiffe://lab/host/b\n",
		  "the list of [peer]" },
	};

	for (size_t i = 0; i < EXP_ARRAY_SIZE(rows); i++) {
		char daemon[200];

		snprintf(daemon, sizeof(daemon), "%sblackout_limit_ms = 5\n", rows[i].daemon);
		write_config(lab, daemon, "many", rows[i].rest);
		refused(lab, EXP_CODE_CONFIG, rows[i].what);
	}
}

static void test_files_that_are_no_good(void **state)
{
	struct lab *lab = *state;

	write_config(lab, "blackout_limit_ms = none\n", "many", PEER);
	refused(lab, EXP_CODE_CONFIG, ":2: blackout_limit_ms");
	write_config(lab, "blackout_limit_ms = 5\n", "nobody", PEER);
	refused(lab, EXP_CODE_CONFIG, "nobody");
	write_config(lab, "blackout_limit_ms = 5\n", "old", PEER);
	refused(lab, EXP_CODE_CERT_EXPIRED, "");
	unlink(lab->path);
	refused(lab, EXP_CODE_CONFIG, "expd.conf");
	write_config(lab, "", "a", PEER);
	assert_int_equal(reload(lab), EXP_CODE_OK);
}

static void test_the_end_comes_first(void **state)
{
	struct lab *lab = *state;
	const struct exp_tls_ctx *tls = lab->x.tls;

	expd_reload_start(lab->x.reload, done);
	lab->x.phase = EXPD_STOPPING;
	expd_reload_free(lab->x.reload);
	lab->x.reload = NULL;
	expd_inbox_run(lab->x.inbox);
	assert_int_equal(lab->done, 0);
	assert_ptr_equal(lab->x.tls, tls);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_what_may_change),      T(test_certificates),
		T(test_what_takes_a_restart), T(test_files_that_are_no_good),
		T(test_the_end_comes_first),
	};
#undef T

	evthread_use_pthreads();
	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
