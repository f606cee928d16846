/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow.c - watching
 *
 * Progress is a number that changes all the while and has no event of its own, so it is asked for
 * at the rate at which a person can read it; the state comes with it.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "ctl/follow.h"
#include "ctl/out.h"

#define LOOK_MS  200   /* between two looks */
#define QUIET_MS 10000 /* a plain line at least that often */
#define AWAY_MS  60000 /* a daemon that does not answer is waited for */

struct watch {
	struct ctl *c;
	const char *path;
	bool terminal;
	char said[512]; /* last plain line's state */
	uint64_t said_ms;
	uint64_t away_since; /* 0: it answers */
	struct exp_backoff backoff;
	struct exp_rng rng;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static void catch_interrupt(void)
{
	struct sigaction sa = { .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND };

	sigaction(SIGINT, &sa, NULL);
}

/*
 * The line
 */

/* What remains of what there was to send. */
static int percent(const struct exp_json *m)
{
	uint64_t all = ctl_u64(m, "bytes.allocated", 0), left = ctl_u64(m, "bytes.remaining", 0);

	if (!all || !left)
		return 100;
	return left >= all ? 0 : (int)((double)(all - left) * 100 / (double)all);
}

/* Before the copy nothing is measured, after it the last measurements say nothing any more. */
static bool copies(const char *state)
{
	return !strcmp(state, "copying") || !strcmp(state, "ready") || !strcmp(state, "receiving");
}

void ctl_progress(const struct exp_json *m, char *out, size_t cap)
{
	const char *state = ctl_str(m, "state", "?"), *condition = ctl_str(m, "condition", "");
	const char *waiting = ctl_str(m, "waiting_for", "");
	char line[512], text[CTL_TEXT];
	bool moving = copies(state);
	size_t n;

	n = (size_t)snprintf(line, sizeof(line), "%-12.40s", state);
#define ADD(...) \
	n += (size_t)snprintf(line + n, n < sizeof(line) ? sizeof(line) - n : 0, __VA_ARGS__)
	if (*condition)
		ADD("  %.40s", condition);
	if (moving && ctl_known(m, "bytes.remaining"))
		ADD(" %3d %%", percent(m));
	if (moving && ctl_known(m, "rates.send_bytes_per_s"))
		ADD("  %s", ctl_rate(text, ctl_u64(m, "rates.send_bytes_per_s", 0)));
	if (moving && ctl_known(m, "rates.dirty_bytes_per_s"))
		ADD("  dirty %s", ctl_rate(text, ctl_u64(m, "rates.dirty_bytes_per_s", 0)));
	if (moving && ctl_known(m, "eta_ms"))
		ADD("  ETA %s", ctl_ms(text, ctl_u64(m, "eta_ms", 0)));
	if (ctl_known(m, "blackout_us"))
		ADD("  blackout %s", ctl_us(text, ctl_u64(m, "blackout_us", 0)));
	else if (moving && ctl_known(m, "forecast_blackout_us"))
		ADD("  blackout ~%s", ctl_us(text, ctl_u64(m, "forecast_blackout_us", 0)));
	if (*waiting)
		ADD("  waits for %.80s", waiting);
#undef ADD
	while (n && n < sizeof(line) && line[n - 1] == ' ')
		line[--n] = '\0';
	ctl_escape(out, cap, line);
}

static int terminal_width(void)
{
	struct winsize w;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) || w.ws_col < 20 ? 80 : w.ws_col;
}

/* A plain line when the state is another one, or nothing was said for a while. */
static bool worth_a_line(struct watch *w, const struct exp_json *m)
{
	uint64_t now = exp_mono_ms();
	char state[512];

	snprintf(state, sizeof(state), "%s %s %s %s", ctl_str(m, "state", ""),
		 ctl_str(m, "condition", ""), ctl_str(m, "waiting_for", ""),
		 ctl_str(m, "next", ""));
	if (!strcmp(state, w->said) && now - w->said_ms < QUIET_MS)
		return false;
	snprintf(w->said, sizeof(w->said), "%s", state);
	w->said_ms = now;
	return true;
}

static void show(struct watch *w, const struct exp_json *m)
{
	char line[600], next[600];

	if (w->c->quiet)
		return;
	ctl_progress(m, line, sizeof(line));
	if (w->terminal) {
		fprintf(stderr, "\r\033[K%.*s", terminal_width() - 1, line);
		return;
	}
	if (!worth_a_line(w, m))
		return;
	ctl_escape(next, sizeof(next), ctl_str(m, "next", ""));
	fprintf(stderr, "%s%s%s\n", line, *next && strncmp(next, "nothing", 7) ? "; " : "",
		*next && strncmp(next, "nothing", 7) ? next : "");
}

static void end_line(const struct watch *w)
{
	if (w->terminal && !w->c->quiet)
		fputc('\n', stderr);
}

/*
 * The end
 */

static int outcome(struct watch *w, const struct ctl_reply *reply)
{
	const struct exp_json *m = reply->v;
	const char *state = ctl_str(m, "state", "?");
	bool done = !strcmp(state, "done");
	char a[CTL_TEXT], b[CTL_TEXT], text[1200];

	end_line(w);
	if (ctl_print_reply(w->c, reply))
		return done ? CTL_DONE : CTL_FAILED;
	if (done && !strcmp(ctl_str(m, "role", ""), "source")) {
		ctl_escape(text, sizeof(text), ctl_str(m, "peer", "?"));
		printf("done: %s owns it; %s sent", text,
		       ctl_bytes(a, ctl_u64(m, "bytes.sent", 0)));
		if (ctl_u64(m, "updated_ms", 0) >= ctl_u64(m, "created_ms", 0))
			printf(" in %s", ctl_ms(a, ctl_u64(m, "updated_ms", 0) -
							   ctl_u64(m, "created_ms", 0)));
		if (ctl_known(m, "blackout_us"))
			printf(", blackout %s", ctl_us(b, ctl_u64(m, "blackout_us", 0)));
		putchar('\n');
		return CTL_DONE;
	}
	ctl_escape(text, sizeof(text), state);
	if (done) {
		printf("%s\n", text);
		return CTL_DONE;
	}
	fprintf(stderr, "expctl: the migration is %s", text);
	ctl_escape(text, sizeof(text), ctl_str(m, "error.message", ""));
	fprintf(stderr, "%s%s\n", *text ? ": " : "", text);
	ctl_escape(text, sizeof(text), ctl_str(m, "owner.text", ""));
	fprintf(stderr, "owner: %s\n", text);
	ctl_escape(text, sizeof(text), ctl_str(m, "next", ""));
	fprintf(stderr, "do next: %s\n", text);
	return CTL_FAILED;
}

static int still_running(struct watch *w, const char *id, const struct ctl_reply *reply)
{
	char text[256];

	end_line(w);
	ctl_print_reply(w->c, reply);
	ctl_escape(text, sizeof(text), id);
	fprintf(stderr, "expctl: it goes on; to watch: expctl migration follow %s\n", text);
	return CTL_RUNNING;
}

/*
 * The loop
 */

/* How long to wait for a daemon that does not answer; 0: it was long enough. */
static uint32_t away(struct watch *w, const struct exp_error *err)
{
	uint64_t now = exp_mono_ms();
	char text[1200];

	if (!w->away_since) {
		w->away_since = now;
		end_line(w);
		ctl_escape(text, sizeof(text), err->msg);
		fprintf(stderr, "expctl: %s; waiting for it to come back\n", text);
	}
	return now - w->away_since < AWAY_MS ? exp_backoff_next(&w->backoff, &w->rng) : 0;
}

static bool may_come_back(const struct ctl_reply *reply, const struct exp_error *err)
{
	if (reply->http.status)
		return err->code == EXP_CODE_STARTING || err->code == EXP_CODE_STOPPING;
	return err->code == EXP_CODE_UNREACHABLE;
}

static int wait_for_end(struct watch *w, const char *id, uint64_t until_ms)
{
	for (;;) {
		struct ctl_reply reply;
		struct exp_error err;
		uint64_t now;
		uint32_t pause = LOOK_MS;
		int r = ctl_ask(w->c, "GET", w->path, NULL, NULL, &reply, &err), status = -1;

		now = exp_mono_ms();
		if (r < 0) {
			pause = may_come_back(&reply, &err) ? away(w, &err) : 0;
			if (!pause)
				status = ctl_failed(w->c, &reply, &err);
		} else {
			w->away_since = 0;
			exp_backoff_reset(&w->backoff);
			show(w, reply.v);
			if (!exp_json_bool(ctl_at(reply.v, "open"), true))
				status = outcome(w, &reply);
		}
		if (status < 0 && (interrupted || now >= until_ms))
			status = still_running(w, id, &reply);
		ctl_reply_done(&reply);
		if (status >= 0)
			return status;
		poll(NULL, 0, (int)EXP_MIN((uint64_t)pause, until_ms - now));
	}
}

int ctl_follow(struct ctl *c, const char *id, uint64_t wait_s)
{
	char path[EXP_API_TARGET_MAX];
	struct watch w = {
		.c = c,
		.path = path,
		.terminal = isatty(STDERR_FILENO) == 1,
		.backoff = { .min_ms = 200, .max_ms = 5000 },
	};
	uint64_t now = exp_mono_ms(), until;

	if (exp_api_path(EXP_API_MIGRATION, id, path, sizeof(path)) < 0)
		return ctl_usage(c, "\"%.40s...\" is too long for an id", id);
	if (wait_s >= (EXP_NEVER_MS - now) / 1000)
		until = EXP_NEVER_MS;
	else
		until = now + wait_s * 1000;
	exp_rng_seed(&w.rng, now ^ (uint64_t)getpid());
	catch_interrupt();
	return wait_for_end(&w, id, until);
}
