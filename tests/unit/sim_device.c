/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A drive executes the commands of an action one export after the other, in the order given, also
 * when the daemon that gave them has died. Suspension is the fragile thing that it is: a reset of
 * the guest's controller or of the management controller ends it. Attachment survives both.
 */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static void dev_run(struct sim *s, struct sim_host *h);

bool sim_runs(const struct sim_ctrl *c)
{
	return c->present && c->attached && !c->suspended;
}

static void fail(struct sim_task *t, enum exp_code code, const char *why)
{
	if (t->err.code == EXP_CODE_OK)
		exp_error_set(&t->err, code, 0, "%s: %s", exp_act_name(t->act), why);
}

static void post_marker(struct sim *s, int host, uint32_t x, uint32_t gen, void *p)
{
	struct sim_host *h = &s->host[host];
	struct sim_ctrl *c = &h->ctrl[x];

	(void)p;
	if (gen == h->dev_gen && c->suspended && c->log.logging)
		c->log.marker = true;
}

static void absent(struct sim_ctrl *c)
{
	memset(c, 0, sizeof(*c));
}

static void build(struct sim_ctrl *c, struct sim_task *t)
{
	if (c->present && exp_uuid_eq(&c->tag, &t->tag))
		absent(c);
	if (c->present) {
		fail(t, EXP_CODE_EXISTS, "something else is in its place");
		return;
	}
	absent(c);
	c->present = true;
	c->tag = t->tag;
}

static void rebuild(struct sim_ctrl *c, struct sim_task *t)
{
	if (!c->present || !exp_uuid_eq(&c->tag, &t->tag)) {
		fail(t, EXP_CODE_NOT_FOUND, "what this job built is gone");
		return;
	}
	if (!t->apply_state && c->has_queues) {
		fail(t, EXP_CODE_DEVICE_DATA, "controller state was set before the restart");
		return;
	}
	c->attached = false;
	if (t->apply_state) {
		c->head = t->heads[t->i];
		c->has_queues = true;
		c->suspended = true;
	}
	if (!c->suspended)
		t->target = c->enabled ? EXP_TARGET_ENABLED : EXP_TARGET_ABSENT;
}

static void set_state(struct sim_ctrl *c, struct sim_task *t)
{
	if (c->has_queues || !c->enabled) {
		fail(t, EXP_CODE_DEVICE_STATUS, "Invalid Field in Command");
		return;
	}
	c->has_queues = true;
	c->head = t->heads[t->i];
}

/* What one command does to one export. */
static void effect(struct sim *s, struct sim_host *h, struct sim_task *t)
{
	int x = t->exports[t->i];
	struct sim_ctrl *c = &h->ctrl[x];
	bool mine = c->present && exp_uuid_eq(&c->tag, &t->tag);

	switch (t->act) {
	case EXP_ACT_SUSPEND:
		if (!c->present)
			fail(t, EXP_CODE_NOT_FOUND, "no such export");
		c->suspended = c->present;
		sim_at(s, sim_delay(s, 10), post_marker, h->nr, (uint32_t)x, h->dev_gen, NULL);
		break;
	case EXP_ACT_GET_STATE:
		t->heads[t->i] = c->head;
		t->suspended &= c->suspended;
		break;
	case EXP_ACT_FENCE: c->attached = false; break;
	case EXP_ACT_CHECK_SUSPENDED:
		t->suspended &= c->suspended;
		if (t->live)
			t->suspended &= c->log.exists && c->log.marker && !c->log.after_marker;
		break;
	case EXP_ACT_ATTACH:
		if (!c->present)
			fail(t, EXP_CODE_NOT_FOUND, "no such export");
		c->attached = c->present;
		break;
	case EXP_ACT_RESUME: c->suspended = false; break;
	case EXP_ACT_VERIFY_RUNS:
		if (!sim_runs(c))
			fail(t, EXP_CODE_DEVICE, "it does not run");
		break;
	case EXP_ACT_TAKE_DOWN:
		if (c->enabled)
			fail(t, EXP_CODE_BUSY, "the VMM has not released the function");
		else if (!sim_runs(&s->host[1 - h->nr].ctrl[x]))
			sim_break(s, "export %d is taken down before it runs elsewhere", x);
		else
			absent(c);
		break;
	case EXP_ACT_BUILD: build(c, t); break;
	case EXP_ACT_REBUILD: rebuild(c, t); break;
	case EXP_ACT_SUSPEND_TARGET:
		if (!mine || !c->enabled || c->has_queues)
			fail(t, EXP_CODE_DEVICE_STATUS, "the target is not enabled");
		else
			c->suspended = true;
		break;
	case EXP_ACT_CHECK_READY:
		if (!mine || (t->live && !c->suspended))
			fail(t, EXP_CODE_NOT_SUSPENDED, "the target is not suspended");
		break;
	case EXP_ACT_SET_STATE: set_state(c, t); break;
	case EXP_ACT_DELETE:
		if (mine)
			absent(c);
		break;
	case EXP_ACT_COPY_START:
		c->log = (struct sim_log){ .exists = true, .logging = true };
		break;
	case EXP_ACT_COPY_STOP: c->log = (struct sim_log){ 0 }; break;
	case EXP_ACT_NONE:
	case EXP_ACT_PREFLIGHT:
	case EXP_ACT_DRAIN:
	case EXP_ACT_LAST_DATA:
	case EXP_ACT_CHECK_FINAL:
	case EXP_ACT_SEND:
	case EXP_ACT_N: break;
	}
}

static void report(struct sim *s, struct sim_host *h, struct sim_task *t)
{
	struct sim_job *j = t->orphan ? NULL : sim_job_by_uid(h, t->uid);
	struct exp_place places[SIM_EXPORTS] = { 0 };
	struct exp_msg_blob blobs[SIM_EXPORTS];
	struct exp_act_result res = {
		.places = places,
		.state = blobs,
		.suspended = t->suspended,
		.target = t->target,
	};

	for (uint32_t i = 0; i < t->n; i++) {
		places[i].nsid = 1 + (uint32_t)t->exports[i];
		blobs[i] = (struct exp_msg_blob){ sizeof(t->heads[i]), (uint8_t *)&t->heads[i] };
	}
	if (!j)
		return;
	if (t->act == EXP_ACT_COPY_START && t->err.code == EXP_CODE_OK)
		sim_copy_start(s, h, j);
	sim_act_over(s, h, j, t->step, &res, t->err.code ? &t->err : NULL);
}

static void pop(struct sim *s, struct sim_host *h)
{
	struct sim_task *t = h->tasks;

	h->tasks = t->next;
	report(s, h, t);
	free(t);
	dev_run(s, h);
}

static void completed(struct sim *s, int host, uint32_t gen, uint32_t b, void *p)
{
	struct sim_host *h = &s->host[host];
	struct sim_task *t = h->tasks;

	(void)b;
	(void)p;
	if (gen != h->dev_gen)
		return; /* a reset ended it */
	if (sim_fault(s, 12)) {
		fail(t, EXP_CODE_DEVICE_STATUS, "Internal Error");
		if (sim_fault(s, 500)) /* and yet it had its effect */
			effect(s, h, t);
	} else {
		effect(s, h, t);
	}
	t->begun = false;
	t->i++;
	if (t->orphan || t->err.code || t->i == t->n)
		pop(s, h);
	else
		dev_run(s, h);
}

static void dev_run(struct sim *s, struct sim_host *h)
{
	struct sim_task *t = h->tasks;
	uint64_t usual = 4;

	if (!t || t->begun)
		return;
	if (t->act == EXP_ACT_BUILD || t->act == EXP_ACT_DELETE || t->act == EXP_ACT_TAKE_DOWN)
		usual = 40;
	t->begun = true;
	sim_at(s, 1 + sim_delay(s, usual), completed, h->nr, h->dev_gen, 0, NULL);
}

void sim_dev_submit(struct sim *s, struct sim_host *h, struct sim_job *j,
		    const struct exp_action *a)
{
	struct sim_task *t = calloc(1, sizeof(*t)), **end = &h->tasks;

	if (!t)
		abort();
	t->uid = j->uid;
	t->step = a->step;
	t->act = a->act;
	t->apply_state = a->apply_state;
	t->live = j->job->path != EXP_PATH_COLD &&
		  (a->act != EXP_ACT_CHECK_SUSPENDED || j->job->dirty == EXP_DIRTY_CDQ);
	t->tag = j->job->id;
	t->n = j->n;
	memcpy(t->exports, j->exports, sizeof(t->exports));
	t->suspended = true;
	t->target = EXP_TARGET_SUSPENDED;
	for (uint32_t i = 0; i < j->n; i++)
		if (j->job->exports[i].state_len == sizeof(t->heads[i]))
			memcpy(&t->heads[i], j->job->exports[i].state, sizeof(t->heads[i]));
	while (*end)
		end = &(*end)->next;
	*end = t;
	dev_run(s, h);
}

void sim_dev_crash(struct sim *s, struct sim_host *h)
{
	struct sim_task *t = h->tasks, *next;

	(void)s;
	if (!t)
		return;
	for (struct sim_task *k = t->next; k; k = next) {
		next = k->next;
		free(k);
	}
	t->next = NULL;
	t->orphan = true; /* the command that is outstanding goes on without anybody */
}

void sim_dev_reset(struct sim *s, struct sim_host *h)
{
	struct sim_task *t = h->tasks;

	sim_say(s, h->nr, "** drive: the management controller is reset");
	s->resets++;
	h->dev_gen++;
	if (t && t->begun && sim_rnd(s, 2))
		effect(s, h, t); /* before the reset; what it suspended does not last */
	for (int x = 0; x < SIM_EXPORTS; x++) {
		h->ctrl[x].suspended = false;
		h->ctrl[x].log = (struct sim_log){ 0 };
	}
	if (t && t->begun) {
		t->begun = false;
		fail(t, EXP_CODE_DEVICE, "the drive was reset");
		pop(s, h);
	}
}

void sim_ctrl_reset(struct sim *s, struct sim_host *h, int x)
{
	struct sim_ctrl *c = &h->ctrl[x];

	if (!c->present || !c->suspended)
		return;
	sim_say(s, h->nr, "** guest's controller of export %d is reset: its suspension ends", x);
	s->resets++;
	c->suspended = false;
}

/* Whatever controller runs processes the guest's queues: one more write of export @x, if any. */
void sim_guest_tick(struct sim *s, int host, uint32_t x, uint32_t b, void *p)
{
	(void)host;
	for (int n = 0; n < SIM_HOSTS; n++) {
		struct sim_ctrl *c = &s->host[n].ctrl[x];
		uint32_t block = (uint32_t)sim_rnd(s, SIM_BLOCKS);

		if (!sim_runs(c) || !c->enabled || !c->has_queues)
			continue;
		c->data[block] = ++s->writes;
		c->head++;
		if (c->log.logging) {
			c->log.dirty |= 1u << block;
			c->log.after_marker |= c->log.marker;
			if (sim_fault(s, 3)) {
				c->log.full = true;
				c->log.logging = false;
			}
		}
		s->ledger[x][block] = s->writes;
		s->vm[x / 2].acked[x]++;
	}
	sim_at(s, 1 + sim_rnd(s, 40), sim_guest_tick, host, x, b, p);
}
