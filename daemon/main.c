/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - start, signals, stop
 *
 * Order of a start: configuration, journal, what it knows, control sockets (health answers 503),
 * drives, recovery, and only then the peers. A stop is the reverse, with what is in its blackout
 * finished or aborted first.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <event2/thread.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "config.h"
#include "control_handlers.h"
#include "device_service.h"
#include "events.h"
#include "expd.h"
#include "exports.h"
#include "jobs.h"
#include "log_sink.h"
#include "peers.h"
#include "preflight.h"
#include "recover.h"
#include "reload.h"
#include "store.h"
#include "tls/ctx.h"
#include "worker.h"

static const char usage[] =
	"usage: expd [--config FILE] [--check-config] [--print-config] [--version]\n"
	"  --config FILE    settings (default /etc/expd/expd.conf; see expd.conf(5))\n"
	"  --check-config   read them, load keys and certificates, say what is wrong, end\n"
	"  --print-config   an example file with every key, its default and its meaning\n";

static int load_tls(const struct expd_config *c, struct exp_tls_ctx **ret, struct exp_error *err)
{
	const struct exp_tls_files files = { .ca_file = c->ca_file,
					     .cert_file = c->cert_file,
					     .key_file = c->key_file };

	return exp_tls_ctx_new(&files, ret, err);
}

static int check_config(const char *path)
{
	EXP_CLEANUP(expd_config_freep) struct expd_config *c = NULL;
	EXP_CLEANUP(exp_tls_ctx_freep) struct exp_tls_ctx *tls = NULL;
	struct exp_error err = { 0 };
	int r;

	r = expd_config_load(path, &c, &err);
	if (r == 0)
		r = load_tls(c, &tls, &err);
	if (r == 0) {
		r = exp_tls_ctx_check(tls, (int64_t)(exp_wall_ms() / 1000), &err);
		if (r < 0)
			exp_error_wrap(&err, r, "%s", c->cert_file);
	}
	if (r < 0) {
		fprintf(stderr, "expd: %s\n", err.msg);
		return 1;
	}
	printf("%s: ok, %zu devices, %zu peers, this host is %s\n", path, c->n_devices, c->n_peers,
	       exp_tls_ctx_self(tls)->uri[0]);
	return 0;
}

static void end_loop(struct expd *x)
{
	expd_peers_stop(x->peers);
	event_base_loopexit(x->base, &(struct timeval){ .tv_usec = 200000 }); /* the BYEs get out */
}

static void begin_stop(struct expd *x)
{
	enum expd_phase before = x->phase;

	if (before == EXPD_STOPPING)
		return;
	x->phase = EXPD_STOPPING;
	sd_notify(0, "STOPPING=1\nSTATUS=stopping");
	exp_log(LOG_NOTICE, "stopping");
	if (before == EXPD_STARTING)
		event_base_loopexit(x->base, NULL);
	else
		expd_jobs_stop(x->jobs, end_loop);
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	begin_stop(arg);
}

static void reloaded(struct expd *x, const struct exp_error *err)
{
	(void)x;
	if (err->code == EXP_CODE_OK)
		exp_log(LOG_NOTICE, "settings and certificates were read anew");
	else
		exp_log(LOG_ERR, "reload refused, all stays as it was", kv_s("error", err->msg));
	sd_notify(0, "READY=1\nSTATUS=running");
}

static void on_hangup(evutil_socket_t sig, short what, void *arg)
{
	struct expd *x = arg;

	(void)sig;
	(void)what;
	if (x->phase != EXPD_RUNNING) {
		exp_log(LOG_WARNING, "no reload while starting or stopping");
		return;
	}
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reading the settings",
		   (unsigned long long)exp_mono_us());
	expd_reload_start(x->reload, reloaded);
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	sd_notify(0, "WATCHDOG=1");
}

static void recovered(struct expd *x)
{
	struct exp_error err = { 0 };

	if (x->phase != EXPD_STARTING)
		return;
	if (expd_peers_listen(x->peers, &err) < 0) {
		exp_log(LOG_ERR, "cannot listen for peers", kv_s("error", err.msg));
		event_base_loopbreak(x->base);
		return;
	}
	x->phase = EXPD_RUNNING;
	exp_log(LOG_NOTICE, "ready", kv_s("host", expd_store_host_text(x->store)),
		kv_u("jobs", expd_jobs_open(x->jobs)));
	sd_notify(0, "READY=1\nSTATUS=running");
}

static void devices_tried(struct expd *x)
{
	if (x->phase == EXPD_STARTING)
		expd_recover(x, recovered);
}

static int start(struct expd *x, const char *path, struct exp_error *err)
{
	int r;

	x->started_ms = exp_mono_ms();
	exp_rng_seed(&x->rng, exp_mono_us());
	r = exp_fs_boot_id(&x->boot, err);
	if (r == 0)
		r = load_tls(x->config, &x->tls, err);
	if (r == 0)
		r = expd_inbox_new(x->base, &x->inbox, err);
	if (r == 0)
		r = expd_reload_new(x, path, &x->reload, err);
	if (r == 0)
		r = exp_fs_mkdir(x->config->runtime_dir, 0755, err);
	if (r == 0)
		r = expd_store_open(x, x->config->state_dir, &x->store, err);
	if (r == 0)
		r = expd_events_new(x, &x->events, err);
	if (r == 0)
		r = expd_exports_load(x, &x->exports, err);
	if (r == 0)
		r = expd_jobs_load(x, &x->jobs, err);
	if (r == 0)
		r = expd_peers_new(x, &x->peers, err);
	if (r == 0)
		r = expd_control_open(x, x->base, x->config->runtime_dir, expd_handlers,
				      &x->control, err);
	if (r == 0)
		r = expd_devices_start(x, devices_tried, &x->devices, err);
	return r;
}

/*
 * From the outside in: drives, then the database, each with what it still had to say; then nothing
 * comes back any more to what is freed.
 */
static void stop(struct expd *x)
{
	expd_jobs_halt(x->jobs);
	if (x->peers)
		expd_preflight_end_all(x);
	expd_devices_quiesce(x->devices);
	expd_inbox_run(x->inbox);
	expd_store_quiesce(x->store);
	expd_inbox_run(x->inbox);
	expd_events_free(x->events);
	x->events = NULL;
	expd_control_close(x->control);
	expd_peers_free(x->peers);
	x->peers = NULL;
	event_base_loop(x->base, EVLOOP_NONBLOCK); /* connections free themselves */
	expd_jobs_free(x->jobs);
	x->jobs = NULL;
	expd_devices_free(x->devices);
	expd_reload_free(x->reload);
	expd_inbox_free(x->inbox);
	expd_store_close(x->store);
	expd_exports_free(x->exports);
	exp_tls_ctx_free(x->tls);
	expd_config_free(x->config);
	event_base_free(x->base);
}

static int run(const char *path)
{
	struct expd x = { 0 };
	struct exp_error err = { 0 };
	struct event *term = NULL, *intr = NULL, *hup = NULL, *dog = NULL;
	uint64_t watchdog_us;
	int r;

	signal(SIGPIPE, SIG_IGN);
	evthread_use_pthreads();
	r = expd_config_load(path, &x.config, &err);
	if (r < 0) {
		fprintf(stderr, "expd: %s\n", err.msg);
		return 1;
	}
	expd_log_start(x.config->log_level);
	x.base = event_base_new();
	if (x.base) {
		term = evsignal_new(x.base, SIGTERM, on_signal, &x);
		intr = evsignal_new(x.base, SIGINT, on_signal, &x);
		hup = evsignal_new(x.base, SIGHUP, on_hangup, &x);
		dog = event_new(x.base, -1, EV_PERSIST, on_watchdog, NULL);
	}
	if (!term || !intr || !hup || !dog || event_add(term, NULL) < 0 ||
	    event_add(intr, NULL) < 0 || event_add(hup, NULL) < 0)
		r = exp_error_set(&err, EXP_CODE_NO_MEMORY, ENOMEM, "event loop: out of memory");
	if (r == 0)
		r = start(&x, path, &err);
	if (r == 0 && sd_watchdog_enabled(0, &watchdog_us) > 0)
		event_add(dog,
			  &(struct timeval){ .tv_sec = (time_t)(watchdog_us / 3000000),
					     .tv_usec = (suseconds_t)(watchdog_us / 3 % 1000000) });
	if (r < 0)
		exp_log(LOG_ERR, "cannot start", kv_s("error", err.msg));
	else
		event_base_dispatch(x.base);
	if (!x.base) {
		expd_config_free(x.config);
		return 1;
	}
	if (term)
		event_free(term);
	if (intr)
		event_free(intr);
	if (hup)
		event_free(hup);
	if (dog)
		event_free(dog);
	r = r < 0 || x.phase != EXPD_STOPPING ? 1 : 0;
	x.phase = EXPD_STOPPING;
	stop(&x);
	return r;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "config", required_argument, NULL, 'c' },
						 { "check-config", no_argument, NULL, 't' },
						 { "print-config", no_argument, NULL, 'p' },
						 { "version", no_argument, NULL, 'V' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	const char *path = "/etc/expd/expd.conf";
	bool check = false;
	int c;

	while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (c) {
		case 'c': path = optarg; break;
		case 't': check = true; break;
		case 'p': expd_config_document(stdout); return 0;
		case 'V': puts("expd " EXP_VERSION); return 0;
		case 'h': fputs(usage, stdout); return 0;
		default: fputs(usage, stderr); return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "expd: what is \"%s\"?\n%s", argv[optind], usage);
		return 2;
	}
	return check ? check_config(path) : run(path);
}
