/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_main.c - exp-emu-guest: a VM and its VMM on the command line
 *
 * Exit status: 0 everything the guest saw was right and the final check ran to its end; 1 something
 * was not; 2 usage.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "emu/guest_control.h"
#include "emu/options.h"

struct settings {
	const char *function, *memory, *control, *report;
	uint64_t memory_bytes, queues, depth, entries, rate, read_percent, size_max, span, seed;
	uint64_t zeroes, trims, flushes, patience, ns_wait, seconds;
	bool adopt, verbose, help;
};

static const struct settings defaults = {
	.memory_bytes = 64 << 20,
	.queues = 4,
	.depth = 8,
	.rate = 2000,
	.read_percent = 30,
	.size_max = 16384,
	.seed = 1,
	.zeroes = 15,
	.trims = 8,
	.flushes = 4,
	.patience = 60,
	.ns_wait = 60,
};

static int parse(struct settings *s, int argc, char **argv, struct exp_error *err)
{
	const struct emu_option opts[] = {
		{ "function", EMU_OPT_STRING, &s->function, 0, 0, "DIR",
		  "directory that holds the function's socket cntrl" },
		{ "memory", EMU_OPT_STRING, &s->memory, 0, 0, "FILE",
		  "guest memory; without it an anonymous file" },
		{ "memory-bytes", EMU_OPT_BYTES, &s->memory_bytes, 1 << 20, UINT64_C(7) << 30, "N",
		  "size of it [64M]" },
		{ "control", EMU_OPT_STRING, &s->control, 0, 0, "PATH",
		  "control socket: one JSON object a line" },
		{ "report", EMU_OPT_STRING, &s->report, 0, 0, "FILE",
		  "write the final report there (JSON)" },
		{ "queues", EMU_OPT_U64, &s->queues, 1, EMU_MAX_QUEUES, "N", "I/O queues [4]" },
		{ "depth", EMU_OPT_U64, &s->depth, 1, EMU_MAX_SLOTS, "N",
		  "commands at once per queue [8]" },
		{ "entries", EMU_OPT_U64, &s->entries, 2, 4096, "N",
		  "size of each queue [twice the depth]" },
		{ "rate", EMU_OPT_U64, &s->rate, 0, 10000000, "N",
		  "writes per second over all queues, 0: as fast as it goes [2000]" },
		{ "read-percent", EMU_OPT_U64, &s->read_percent, 0, 99, "N",
		  "reads among the commands [30]" },
		{ "size-max", EMU_OPT_BYTES, &s->size_max, EMU_BLOCK, 1 << 20, "N",
		  "largest read or write [16K]" },
		{ "span", EMU_OPT_BYTES, &s->span, 0, UINT64_MAX, "N",
		  "each queue works on that much of its part, 0: all [0]" },
		{ "write-zeroes", EMU_OPT_U64, &s->zeroes, 0, 1000, "N",
		  "Write Zeroes per thousand commands that are no reads [15]" },
		{ "deallocates", EMU_OPT_U64, &s->trims, 0, 1000, "N", "Deallocate, the same [8]" },
		{ "flushes", EMU_OPT_U64, &s->flushes, 0, 1000, "N", "Flush, the same [4]" },
		{ "seed", EMU_OPT_U64, &s->seed, 0, UINT32_MAX, "N",
		  "of the choice of places and sizes [1]" },
		{ "patience", EMU_OPT_U64, &s->patience, 1, 86400, "SECONDS",
		  "a completion that takes longer is lost [60]" },
		{ "namespace-wait", EMU_OPT_U64, &s->ns_wait, 0, 86400, "SECONDS",
		  "how long to wait for a namespace to be attached [60]" },
		{ "seconds", EMU_OPT_U64, &s->seconds, 0, 86400 * 365, "N",
		  "stop after so long, 0: when told to [0]" },
		{ "adopt", EMU_OPT_FLAG, &s->adopt, 0, 0, NULL,
		  "the namespace holds what an earlier guest with as many queues wrote" },
		{ "verbose", EMU_OPT_FLAG, &s->verbose, 0, 0, NULL, "say more on standard error" },
		{ "help", EMU_OPT_FLAG, &s->help, 0, 0, NULL, "this text" },
	};
	int left = emu_options_parse(opts, EXP_ARRAY_SIZE(opts), argc, argv, err);

	if (left < 0)
		return left;
	if (s->help) {
		printf("exp-emu-guest: a VM that writes, verifies and moves\n\n"
		       "usage: exp-emu-guest --function DIR [option...]\n\n");
		emu_options_help(opts, EXP_ARRAY_SIZE(opts));
		return 0;
	}
	if (left)
		return exp_error_set(err, EXP_CODE_USAGE, EINVAL, "unexpected argument %s",
				     argv[1]);
	if (!s->function)
		return exp_error_set(err, EXP_CODE_USAGE, EINVAL, "--function is missing");
	if (s->size_max % EMU_BLOCK || s->memory_bytes % EMU_PAGE)
		return exp_error_set(err, EXP_CODE_USAGE, EINVAL,
				     "--size-max %llu and --memory-bytes %llu have to be multiples "
				     "of 4096",
				     (unsigned long long)s->size_max,
				     (unsigned long long)s->memory_bytes);
	return 0;
}

static struct emu_vm_config config_of(const struct settings *s)
{
	return (struct emu_vm_config){
		.work = {
			.queues = (uint16_t)s->queues,
			.depth = (uint16_t)s->depth,
			.rate = (uint32_t)s->rate,
			.read_percent = (uint8_t)s->read_percent,
			.size_max = (uint32_t)s->size_max,
			.span_bytes = s->span,
			.zero_permille = (uint32_t)s->zeroes,
			.trim_permille = (uint32_t)s->trims,
			.flush_permille = (uint32_t)s->flushes,
			.seed = s->seed,
			.patience_ms = (uint32_t)s->patience * 1000,
		},
		.memory = s->memory,
		.memory_bytes = s->memory_bytes,
		.entries = (uint16_t)s->entries,
		.namespace_wait_ms = (uint32_t)s->ns_wait * 1000,
		.adopt = s->adopt,
	};
}

/* Threads inherit the mask, so only the main thread learns of them. */
static int take_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Until somebody says stop, time is up, or the guest is beyond help. */
static void serve(struct emu_control *c, struct emu_vmm *m, int signal_fd, uint64_t seconds)
{
	uint64_t end = seconds ? exp_mono_ms() + seconds * 1000 : UINT64_MAX;
	struct signalfd_siginfo si;

	while (exp_mono_ms() < end) {
		uint64_t left = end - exp_mono_ms();

		if (emu_control_poll(c, m, signal_fd, (int)EXP_MIN(left, 200u)))
			return;
		if (read(signal_fd, &si, sizeof(si)) > 0)
			return;
		if (emu_vm_phase(&m->vm) == EMU_FAILED)
			return;
	}
}

/* The last look at everything. */
static struct exp_json *finish(struct emu_vmm *m, bool *ret_well)
{
	struct exp_json *pages = exp_json_object(), *report;
	struct exp_error err = { 0 };
	uint64_t changed;
	bool well;
	int r = 0;

	if (emu_vm_phase(&m->vm) == EMU_PAUSED)
		r = emu_vmm_run(m, &err);
	if (!r)
		r = emu_vmm_verify(m, true, &err);
	if (!r)
		r = emu_vmm_identity(m, &changed, pages, &err);
	exp_json_free(pages);
	report = emu_vmm_report(m, &well);
	*ret_well = well && !r;
	exp_json_put_str(report, "outcome",
			 *ret_well                            ? "ok"
			 : emu_vm_phase(&m->vm) == EMU_FAILED ? "failed"
			 : well                               ? "unfinished"
							      : "damaged");
	if (r < 0)
		exp_json_put_str(report, "unfinished", err.msg);
	exp_json_put_bool(report, "ok", *ret_well);
	return report;
}

static int write_report(const char *path, const struct exp_json *report, struct exp_error *err)
{
	size_t len;
	const char *text = exp_json_print(report, true, &len);

	if (!text)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	return exp_fs_replace(path, text, len, 0644, err);
}

static int run(const struct settings *s, struct exp_error *err)
{
	struct emu_vm_config config = config_of(s);
	struct emu_control *control = NULL;
	struct exp_json *report;
	struct emu_vmm *m = calloc(1, sizeof(*m));
	int signal_fd = take_signals(), r;
	bool well = false;

	if (!m)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	r = emu_control_open(s->control, &control, err);
	if (!r)
		r = emu_vmm_start(m, s->function, &config, err);
	if (r < 0)
		goto out;
	serve(control, m, signal_fd, s->seconds);
	report = finish(m, &well);
	if (s->report)
		r = write_report(s->report, report, err);
	emu_vmm_power_off(m);
	emu_control_answer_stop(control, report);
	if (!well)
		fprintf(stderr, "%s\n", exp_json_print(report, true, NULL));
	exp_json_free(report);
	emu_vmm_stop(m);
	if (!r && !well)
		r = exp_error_set(err, EXP_CODE_DEVICE_DATA, EBADMSG,
				  "the guest was not served well: see the report");
out:
	emu_control_close(control);
	close(signal_fd);
	free(m);
	return r;
}

int main(int argc, char **argv)
{
	struct settings s = defaults;
	struct exp_error err = { 0 };
	int r = parse(&s, argc, argv, &err);

	if (!r && s.help)
		return 0;
	if (!r) {
		exp_log_set_sink(exp_log_stderr, s.verbose ? LOG_DEBUG : LOG_NOTICE, NULL);
		r = run(&s, &err);
	}
	if (r < 0)
		fprintf(stderr, "exp-emu-guest: %s\n", err.msg);
	return r == 0 ? 0 : err.code == EXP_CODE_USAGE ? 2 : 1;
}
