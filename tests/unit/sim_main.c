/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_handover [--seeds N] [--seed S] [--verbose] [--coverage]
 *
 * Runs N worlds, seeds S, S+1, ... A world that breaks a rule is run again and told step by step.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define END_MS 900000u /* after calm: more than every back-off together */

/* ------------------------------------------------------------------ what was met */

enum {
	KEY_MSG = 20,
	KEY_VERB = 60,
	KEY_COPY = 70,
	KEYS = 80,
	STATES = 12,
};

static uint64_t met[3][STATES][KEYS];

void sim_cover(enum exp_role role, unsigned int state, const struct exp_event *ev)
{
	unsigned int key = ev->type;

	if (ev->type == EXP_EV_MSG)
		key = KEY_MSG + ev->msg->type;
	else if (ev->type == EXP_EV_VERB)
		key = KEY_VERB + ev->verb.verb;
	else if (ev->type == EXP_EV_COPY)
		key = KEY_COPY + ev->copy.news;
	met[role][state][key]++;
}

static const char *key_name(unsigned int key, char *buf, size_t n)
{
	static const char *const verbs[] = { "",       "target-ready", "switchover",
					     "commit", "abort",        "cancel" };
	static const char *const news[] = { "", "fits", "not-fit", "will-not", "failed" };

	if (key >= KEY_COPY)
		snprintf(buf, n, "copy:%s", news[key - KEY_COPY]);
	else if (key >= KEY_VERB)
		snprintf(buf, n, "verb:%s", verbs[key - KEY_VERB]);
	else if (key >= KEY_MSG)
		snprintf(buf, n, "%s", exp_msg_name(key - KEY_MSG));
	else
		snprintf(buf, n, "(%s)", exp_event_name((enum exp_event_type)key));
	return buf;
}

/* Of the events that a machine was ever told, in how many of its states was it told each? */
static void coverage(enum exp_role role, bool list)
{
	unsigned int pairs = 0, possible = 0;
	char buf[40];

	for (unsigned int st = 1; st < STATES; st++) {
		if (!exp_state_name(role, st) || exp_state_is_final(role, st))
			continue;
		if (list)
			printf("%s %s, never met:", exp_role_name(role), exp_state_name(role, st));
		for (unsigned int k = 0; k < KEYS; k++) {
			uint64_t ever = 0;

			for (unsigned int i = 0; i < STATES; i++)
				ever += met[role][i][k];
			if (!ever || k == EXP_EV_START || k == EXP_EV_RECOVER)
				continue;
			possible++;
			pairs += met[role][st][k] != 0;
			if (list && !met[role][st][k])
				printf(" %s", key_name(k, buf, sizeof(buf)));
		}
		if (list)
			printf("\n");
	}
	printf("%s: %u of %u pairs of open state and event met\n", exp_role_name(role), pairs,
	       possible);
}

/* ------------------------------------------------------------------ people and VMMs */

static struct sim_job *job_of(struct sim *s, int vm, enum exp_role role, int *ret_host)
{
	for (int n = 0; n < SIM_HOSTS; n++) {
		for (int i = 0; i < SIM_JOBS; i++) {
			struct sim_job *j = &s->host[n].jobs[i];

			if (j->uid && j->vm == vm && j->job->role == role) {
				*ret_host = n;
				return j;
			}
		}
	}
	return NULL;
}

/* Step (1) of the VMM's contract: enable the target function, then say so. */
static void vmm_target(struct sim *s, struct sim_vm *v, struct sim_host *h, struct sim_job *j)
{
	if (exp_dst_state(j->dst) != EXP_DST_RECEIVING || j->job->path == EXP_PATH_COLD ||
	    exp_dst_target(j->dst) == EXP_TARGET_SUSPENDED)
		return;
	if (!(v->patient || s->calm) || sim_rnd(s, 3))
		return;
	for (uint32_t i = 0; i < j->n; i++) {
		struct sim_ctrl *c = &h->ctrl[j->exports[i]];

		if (c->present && !c->has_queues && exp_uuid_eq(&c->tag, &j->job->id))
			c->enabled = true;
	}
	sim_verb(s, h->nr, j, EXP_VERB_TARGET_READY);
}

/* Steps (2) and (3), and whatever people type. Every verb may be the job's last event. */
static void vmm_source(struct sim *s, struct sim_vm *v, struct sim_host *h, struct sim_job *j)
{
	const char *waiting = exp_src_waiting(j->src);
	bool helps = v->patient || s->calm;

	if (!s->calm && !sim_rnd(s, 300)) {
		sim_verb(s, h->nr, j, sim_rnd(s, 2) ? EXP_VERB_CANCEL : EXP_VERB_ABORT);
		return;
	}
	if (!s->calm && !sim_rnd(s, 100)) {
		sim_verb(s, h->nr, j, (enum exp_verb)(1 + sim_rnd(s, 3)));
		return;
	}
	if (!strcmp(waiting, "switchover") && helps && !sim_rnd(s, v->pace))
		sim_verb(s, h->nr, j, EXP_VERB_SWITCHOVER);
	else if (!strcmp(waiting, "commit") && !s->calm && !sim_rnd(s, 2 * v->pace))
		sim_verb(s, h->nr, j, EXP_VERB_ABORT);
	else if (!strcmp(waiting, "commit") && helps && !sim_rnd(s, v->pace))
		sim_verb(s, h->nr, j, EXP_VERB_COMMIT);
}

/* Steps (4) and (5): the vCPUs go where the export is active; the old function is released. */
static void vmm_follow(struct sim *s, int vm)
{
	struct sim_vm *v = &s->vm[vm];
	struct sim_host *to = &s->host[1 - v->at];

	for (uint32_t i = 0; i < to->n_rec; i++) {
		const struct exp_job *r = to->rec[i];

		if (r->role != EXP_ROLE_DESTINATION || !exp_uuid_eq(&r->id, &v->job) || !to->up ||
		    (r->state != EXP_DST_ACTIVE && r->state != EXP_DST_DONE))
			continue;
		for (uint32_t k = 0; k < v->n; k++)
			s->host[v->at].ctrl[2 * vm + (int)k].enabled = false;
		v->at = to->nr;
		sim_say(s, to->nr, "VM %d goes on here", vm);
		return;
	}
}

static void boot(struct sim *s, int vm)
{
	struct sim_vm *v = &s->vm[vm];

	for (uint32_t k = 0; k < v->n; k++)
		if (!s->host[v->at].ctrl[2 * vm + (int)k].present)
			return;
	sim_say(s, v->at, "VM %d boots", vm);
	v->cold = false;
	for (uint32_t k = 0; k < v->n; k++) {
		struct sim_ctrl *c = &s->host[v->at].ctrl[2 * vm + (int)k];

		c->enabled = c->has_queues = true;
		c->head = v->acked[2 * vm + (int)k];
	}
}

static void vmm(struct sim *s, int host, uint32_t vm, uint32_t b, void *p)
{
	struct sim_vm *v = &s->vm[vm];
	struct sim_job *j;
	int n;

	sim_at(s, 10 + sim_rnd(s, 50), vmm, host, vm, b, p);
	vmm_follow(s, (int)vm);
	if (v->cold && !sim_rnd(s, 150))
		boot(s, (int)vm);
	j = job_of(s, (int)vm, EXP_ROLE_DESTINATION, &n);
	if (j && !s->calm && !sim_rnd(s, 500))
		sim_verb(s, n, j, (enum exp_verb)(1 + sim_rnd(s, 5)));
	else if (j)
		vmm_target(s, v, &s->host[n], j);
	j = job_of(s, (int)vm, EXP_ROLE_SOURCE, &n);
	if (j)
		vmm_source(s, v, &s->host[n], j);
}

static void start_some_job(struct sim *s)
{
	int vm = (int)sim_rnd(s, SIM_VMS);
	struct sim_vm *v = &s->vm[vm];

	if (!v->used || !v->jobs_left || !s->host[v->at].up)
		return;
	for (uint32_t k = 0; k < v->n; k++)
		if (!s->host[v->at].own[2 * vm + (int)k].own ||
		    sim_busy(&s->host[v->at], 2 * vm + (int)k))
			return;
	v->jobs_left--;
	sim_start_job(s, vm, (uint8_t)(sim_rnd(s, 2) ? 0 : sim_rnd(s, 4)),
		      sim_rnd(s, 4) ? EXP_DIRTY_CDQ : EXP_DIRTY_NONE);
}

/* ------------------------------------------------------------------ faults */

static void reset_noticed(struct sim *s, int host, uint32_t life, uint32_t b, void *p)
{
	struct sim_host *h = &s->host[host];

	(void)b;
	(void)p;
	for (int i = 0; i < SIM_JOBS && h->up && h->life == life; i++) {
		struct exp_event ev = { .type = EXP_EV_DEVICE_RESET };

		if (h->jobs[i].uid)
			sim_step(s, h, &h->jobs[i], &ev);
	}
}

static void link_back(struct sim *s, int host, uint32_t a, uint32_t b, void *p)
{
	(void)host;
	(void)a;
	(void)b;
	(void)p;
	sim_link_set(s, true);
}

static void chaos(struct sim *s, int host, uint32_t a, uint32_t b, void *p)
{
	struct sim_host *h = &s->host[sim_rnd(s, SIM_HOSTS)];

	if (s->calm)
		return;
	sim_at(s, 10 + sim_rnd(s, 200), chaos, host, a, b, p);
	if (!sim_rnd(s, 3))
		start_some_job(s);
	if (sim_fault(s, 25))
		sim_crash(s, h, sim_rnd(s, 2));
	if (sim_fault(s, 25)) {
		sim_link_set(s, false);
		sim_at(s, 5 + sim_delay(s, 1000), link_back, 0, 0, 0, NULL);
	}
	if (sim_fault(s, 25)) {
		sim_dev_reset(s, h);
		if (sim_rnd(s, 10))
			sim_at(s, sim_rnd(s, 60), reset_noticed, h->nr, h->life, 0, NULL);
	}
	if (sim_fault(s, 10)) {
		h->full_ms = s->now_ms + sim_rnd(s, 6000);
		sim_say(s, h->nr, "** disk is full");
	}
	if (sim_fault(s, 60))
		sim_ctrl_reset(s, h, (int)sim_rnd(s, SIM_EXPORTS));
}

static void calm(struct sim *s, int host, uint32_t a, uint32_t b, void *p)
{
	(void)host;
	(void)a;
	(void)b;
	(void)p;
	s->calm = true;
	s->host[0].full_ms = s->host[1].full_ms = 0;
	sim_say(s, -1, "-- no more faults and no new job from here --");
	sim_link_set(s, true);
}

/* ------------------------------------------------------------------ one world */

static void make_vm(struct sim *s, int vm)
{
	struct sim_vm *v = &s->vm[vm];

	v->used = true;
	v->n = 1 + (uint32_t)sim_rnd(s, 2);
	v->at = (int)sim_rnd(s, SIM_HOSTS);
	v->jobs_left = 1 + (int)sim_rnd(s, 4);
	v->cold = !sim_rnd(s, 5);
	for (uint32_t k = 0; k < v->n; k++) {
		int x = 2 * vm + (int)k;
		struct sim_host *h = &s->host[v->at];

		h->own[x] = (struct exp_ownership){ 1, 1, 1 };
		h->floor[x] = 1;
		s->highest[x] = 1;
		h->ctrl[x] = (struct sim_ctrl){
			.present = true,
			.attached = true,
			.enabled = !v->cold,
			.has_queues = !v->cold,
		};
		sim_at(s, 1, sim_guest_tick, 0, (uint32_t)x, 0, NULL);
	}
	sim_at(s, 1, vmm, 0, (uint32_t)vm, 0, NULL);
}

static bool all_over(const struct sim *s)
{
	if (!s->calm)
		return false;
	for (int n = 0; n < SIM_HOSTS; n++) {
		if (!s->host[n].up || s->host[n].tasks)
			return false;
		for (int i = 0; i < SIM_JOBS; i++)
			if (s->host[n].jobs[i].uid)
				return false;
	}
	return true;
}

struct tally {
	uint64_t worlds, moved, failed, crashes, resets, steps;
};

static bool run_world(uint64_t seed, bool verbose, struct tally *t)
{
	static const uint32_t intensity[] = { 0, 250, 1000, 2500 };
	struct sim *s = calloc(1, sizeof(*s));
	uint64_t calm_ms;
	bool ok;

	if (!s)
		abort();
	s->seed = seed;
	s->verbose = verbose;
	exp_rng_seed(&s->rng, seed);
	s->link = true;
	s->faults = intensity[sim_rnd(s, 4)];
	for (int x = 0; x < SIM_EXPORTS; x++)
		s->export_id[x] = sim_uuid(s);
	sim_host_init(s, 0);
	sim_host_init(s, 1);
	make_vm(s, 0);
	if (sim_rnd(s, 2))
		make_vm(s, 1);
	calm_ms = 2000 + sim_rnd(s, 30000);
	sim_at(s, 1, chaos, 0, 0, 0, NULL);
	sim_at(s, calm_ms, calm, 0, 0, 0, NULL);
	while (!s->broken[0] && !all_over(s) && s->now_ms < calm_ms + END_MS && sim_next(s))
		sim_check(s);
	if (!s->broken[0])
		sim_check_end(s);
	ok = !s->broken[0];
	if (!ok && !verbose)
		printf("seed %llu: %s\n", (unsigned long long)seed, s->broken);
	t->worlds++;
	t->moved += s->moved;
	t->failed += s->failed;
	t->crashes += s->crashes;
	t->resets += s->resets;
	t->steps += s->steps;
	sim_host_done(&s->host[0]);
	sim_host_done(&s->host[1]);
	sim_drop_events(s);
	free(s);
	return ok;
}

int main(int argc, char **argv)
{
	uint64_t seeds = 1, first = 1;
	bool verbose = false, list = false, ok = true;
	struct tally t = { 0 };

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--seeds") && i + 1 < argc)
			seeds = strtoull(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
			first = strtoull(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--verbose"))
			verbose = true;
		else if (!strcmp(argv[i], "--coverage"))
			list = true;
		else {
			fprintf(stderr,
				"usage: %s [--seeds N] [--seed S] [--verbose] [--coverage]\n",
				argv[0]);
			return 2;
		}
	}
	for (uint64_t n = 0; n < seeds && ok; n++) {
		ok = run_world(first + n, verbose, &t);
		if (!ok && !verbose) {
			printf("the story of seed %llu:\n", (unsigned long long)(first + n));
			run_world(first + n, true, &t);
		}
	}
	coverage(EXP_ROLE_SOURCE, list);
	coverage(EXP_ROLE_DESTINATION, list);
	printf("%llu worlds, %llu events: %llu moves, %llu failed or cancelled, %llu crashes, %llu "
	       "resets\n",
	       (unsigned long long)t.worlds, (unsigned long long)t.steps,
	       (unsigned long long)t.moved, (unsigned long long)t.failed,
	       (unsigned long long)t.crashes, (unsigned long long)t.resets);
	printf("%llu passed, %d failed\n",
	       (unsigned long long)(t.worlds - (ok ? 0 : 1) - (!ok && !verbose)), ok ? 0 : 1);
	return ok ? 0 : 1;
}
