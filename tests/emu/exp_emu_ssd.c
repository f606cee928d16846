/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exp_emu_ssd.c - the emulated SSD as a program: options, one vfio-user socket and one thread per
 * function, an orderly end
 *
 * DIR/mmc/cntrl is the Migration Management Controller, DIR/fnN/cntrl are the migratable ones.
 * A mapped doorbell wakes nobody, so each thread polls: it spins for a moment after the last
 * command and then looks in ever longer steps; it sleeps on the socket while there is nothing that
 * a doorbell could start.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "emu/ssd.h"
#include "emu/ssd_image.h"
#include "emu/vfu.h"

#define SPIN_US      100
#define STEP_MIN_US  20
#define STEP_MAX_US  1000
#define SLEEP_US     1000000
#define SOCKET_EVERY 16 /* turns between two looks at the socket while commands flow */

struct server {
	struct ssd_fn *fn;
	struct vfu *vfu;
	bool map_doorbells, started;
	pthread_t thread;
	atomic_bool *stop;
};

/* --- struct ssd_host over vfu.h --- */

static void *host_dma(void *arg, uint64_t iova, uint64_t len, bool write)
{
	return vfu_dma(arg, iova, len, write);
}

static bool host_read(void *arg, uint64_t iova, void *dst, uint64_t len)
{
	return vfu_dma_read(arg, iova, dst, len);
}

static bool host_write(void *arg, uint64_t iova, const void *src, uint64_t len)
{
	return vfu_dma_write(arg, iova, src, len);
}

static bool host_bus_master(void *arg)
{
	return vfu_bus_master(arg);
}

static void host_irq(void *arg, uint16_t vector)
{
	vfu_irq(arg, vector);
}

static void host_wake(void *arg)
{
	vfu_wake(arg);
}

/* --- vfu_ops over ssd.h --- */

static uint64_t op_reg_read(void *arg, uint32_t off, unsigned int len)
{
	struct server *s = arg;

	return ssd_reg_read(s->fn, off, len);
}

static void op_reg_write(void *arg, uint32_t off, uint64_t val, unsigned int len)
{
	struct server *s = arg;

	ssd_reg_write(s->fn, off, val, len);
}

static void op_doorbell(void *arg, uint32_t off, uint32_t val)
{
	struct server *s = arg;

	ssd_fn_doorbell(s->fn, off / 4, val);
}

static void op_reset(void *arg)
{
	struct server *s = arg;

	ssd_fn_reset(s->fn);
}

/* Commands are executed whole on this thread: between two of them nothing of ours is in use. */
static void op_dma(void *arg, uint64_t iova, uint64_t len)
{
	(void)arg;
	(void)iova;
	(void)len;
}

static void op_connected(void *arg)
{
	struct server *s = arg;

	ssd_fn_connected(s->fn, vfu_doorbells(s->vfu));
}

static void op_disconnected(void *arg)
{
	struct server *s = arg;

	ssd_fn_disconnected(s->fn);
}

static const struct vfu_ops ops = {
	.reg_read = op_reg_read,
	.reg_write = op_reg_write,
	.doorbell = op_doorbell,
	.reset = op_reset,
	.dma_mapped = op_dma,
	.dma_unmap = op_dma,
	.connected = op_connected,
	.disconnected = op_disconnected,
};

/* --- one thread per function --- */

static void *serve(void *arg)
{
	struct server *s = arg;
	uint64_t busy_at = 0, step = STEP_MIN_US, turns = 0;

	while (!atomic_load(s->stop)) {
		uint64_t now = exp_mono_us();

		switch (ssd_fn_run(s->fn, now)) {
		case SSD_BUSY:
			busy_at = now;
			step = STEP_MIN_US;
			if (++turns % SOCKET_EVERY == 0)
				vfu_poll(s->vfu, 0);
			break;
		case SSD_IDLE:
			if (s->map_doorbells && now - busy_at < SPIN_US) {
				if (++turns % SOCKET_EVERY == 0)
					vfu_poll(s->vfu, 0);
				else
					sched_yield();
			} else if (vfu_poll(s->vfu, s->map_doorbells ? step : STEP_MAX_US)) {
				step = STEP_MIN_US;
			} else {
				step = EXP_MIN(2 * step, (uint64_t)STEP_MAX_US);
			}
			break;
		case SSD_OFF: vfu_poll(s->vfu, SLEEP_US); break;
		}
	}
	return NULL;
}

static int start_function(struct server *s, const char *dir, const struct ssd_profile *p,
			  unsigned int index, struct exp_error *err)
{
	const struct vfu_pci pci = {
		.vendor = p->vendor,
		.device = p->device,
		.subsys_vendor = p->subsys_vendor,
		.subsys_id = p->subsys_id,
		.revision = p->revision,
		.vectors = p->vectors,
	};
	char path[4096];
	int r, n;

	n = index ? snprintf(path, sizeof(path), "%s/fn%u", dir, index)
		  : snprintf(path, sizeof(path), "%s/mmc", dir);
	if (n < 0 || (size_t)n >= sizeof(path))
		return exp_error_set(err, EXP_CODE_USAGE, ENAMETOOLONG, "--dir is too long");
	r = exp_fs_mkdir(path, 0700, err);
	if (r < 0)
		return r;
	r = vfu_new(path, &pci, s->map_doorbells, &ops, s, &s->vfu, err);
	if (r < 0)
		return r;
	ssd_fn_bind(s->fn, &(struct ssd_host){ .arg = s->vfu,
					       .dma = host_dma,
					       .dma_read = host_read,
					       .dma_write = host_write,
					       .bus_master = host_bus_master,
					       .irq = host_irq,
					       .wake = host_wake });
	return 0;
}

static int start_threads(struct server *servers, unsigned int n, struct exp_error *err)
{
	for (unsigned int i = 0; i < n; i++) {
		int r = pthread_create(&servers[i].thread, NULL, serve, &servers[i]);

		if (r)
			return exp_error_set(err, EXP_CODE_SYSTEM, r, "create a thread: %s",
					     strerror(r));
		servers[i].started = true;
	}
	return 0;
}

static void stop_threads(struct server *servers, unsigned int n, atomic_bool *stop)
{
	atomic_store(stop, true);
	for (unsigned int i = 0; i < n; i++)
		if (servers[i].vfu)
			vfu_wake(servers[i].vfu);
	for (unsigned int i = 0; i < n; i++)
		if (servers[i].started)
			pthread_join(servers[i].thread, NULL);
}

static int run(struct ssd *ssd, const char *dir, bool map_doorbells, const sigset_t *signals,
	       struct exp_error *err)
{
	unsigned int n = ssd_functions(ssd);
	struct server *servers = calloc(n, sizeof(*servers));
	atomic_bool stop = false;
	int r = 0, sig;

	if (!servers)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	for (unsigned int i = 0; !r && i < n; i++) {
		servers[i].fn = ssd_function(ssd, i);
		servers[i].map_doorbells = map_doorbells;
		servers[i].stop = &stop;
		r = start_function(&servers[i], dir, ssd_profile_of(ssd), i, err);
	}
	if (!r)
		r = start_threads(servers, n, err);
	if (!r) {
		printf("READY profile=%s functions=%u mmc=%s/mmc/cntrl\n",
		       ssd_profile_of(ssd)->name, n - 1, dir);
		fflush(stdout);
		sigwait(signals, &sig);
		exp_log(LOG_INFO, "ending", kv_s("signal", strsignal(sig)));
	}
	stop_threads(servers, n, &stop);
	for (unsigned int i = 0; i < n; i++)
		vfu_free(servers[i].vfu);
	free(servers);
	return r;
}

/* --- options --- */

static const char usage[] =
	"usage: exp-emu-ssd --dir DIR --profile NAME [options]\n"
	"  --dir DIR            image directory; created when missing\n"
	"  --profile NAME       what kind of drive; an image keeps the one it was made with\n"
	"  --functions N        migratable functions besides the MMC, 4..32 (4)\n"
	"  --capacity BYTES     of a new image; K, M, G, T mean powers of 1024 (by profile)\n"
	"  --doorbells map|trap let clients map the doorbells, or send each as a message (map)\n"
	"  --power-cycle        the last stop was a loss of power\n"
	"  --list-profiles      the profiles and what each is for\n";

static void list_profiles(void)
{
	const struct ssd_profile *p;

	for (size_t i = 0; (p = ssd_profile_at(i)); i++)
		printf("%-12s %s\n", p->name, p->explain);
}

static bool parse_size(const char *s, uint64_t *ret)
{
	static const char units[] = "KMGT";
	char *end;
	unsigned long long v;
	const char *unit;

	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno || end == s || *s == '-' || !v)
		return false;
	if (*end) {
		unit = strchr(units, *end);
		if (!unit || end[1])
			return false;
		for (const char *u = units; u <= unit; u++) {
			if (v > UINT64_MAX >> 10)
				return false;
			v <<= 10;
		}
	}
	*ret = v;
	return true;
}

struct options {
	struct ssd_config config;
	bool map_doorbells, done;
};

static int parse_options(int argc, char **argv, struct options *o, struct exp_error *err)
{
	static const struct option longs[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "profile", required_argument, NULL, 'p' },
		{ "functions", required_argument, NULL, 'f' },
		{ "capacity", required_argument, NULL, 'c' },
		{ "doorbells", required_argument, NULL, 'b' },
		{ "power-cycle", no_argument, NULL, 'y' },
		{ "list-profiles", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t v;
	int opt;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (opt) {
		case 'd': o->config.dir = optarg; break;
		case 'p': o->config.profile = optarg; break;
		case 'f':
			if (!parse_size(optarg, &v) || v >= SSD_MAX_FN)
				return exp_error_set(err, EXP_CODE_USAGE, EINVAL,
						     "--functions %s: not 4..32", optarg);
			o->config.functions = (uint32_t)v;
			break;
		case 'c':
			if (!parse_size(optarg, &o->config.capacity_bytes))
				return exp_error_set(err, EXP_CODE_USAGE, EINVAL,
						     "--capacity %s: not a size", optarg);
			break;
		case 'b':
			if (strcmp(optarg, "map") && strcmp(optarg, "trap"))
				return exp_error_set(err, EXP_CODE_USAGE, EINVAL,
						     "--doorbells %s: not map or trap", optarg);
			o->map_doorbells = !strcmp(optarg, "map");
			break;
		case 'y': o->config.power_cycle = true; break;
		case 'l':
			list_profiles();
			o->done = true;
			return 0;
		case 'h':
			fputs(usage, stdout);
			o->done = true;
			return 0;
		default: return exp_error_set(err, EXP_CODE_USAGE, EINVAL, "see --help");
		}
	}
	if (optind < argc)
		return exp_error_set(err, EXP_CODE_USAGE, EINVAL, "what is \"%s\"? see --help",
				     argv[optind]);
	if (!o->config.dir || !o->config.profile)
		return exp_error_set(err, EXP_CODE_USAGE, EINVAL,
				     "--dir and --profile are needed; see --help");
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = { .map_doorbells = true };
	struct exp_error err = { 0 };
	struct ssd *ssd = NULL;
	sigset_t signals;
	int r;

	exp_log_set_sink(exp_log_stderr, LOG_INFO, NULL);
	r = parse_options(argc, argv, &o, &err);
	if (!r && o.done)
		return EXIT_SUCCESS;
	/* every thread inherits this; only sigwait() takes them */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (!r)
		r = ssd_open(&o.config, &ssd, &err);
	if (!r)
		r = run(ssd, o.config.dir, o.map_doorbells, &signals, &err);
	ssd_close(ssd);
	if (r < 0)
		fprintf(stderr, "exp-emu-ssd: %s\n", err.msg);
	return r < 0 ? err.code == EXP_CODE_USAGE ? 2 : EXIT_FAILURE : EXIT_SUCCESS;
}
