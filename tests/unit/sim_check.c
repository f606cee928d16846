/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must never be, judged after every step from the drives, the ledger of the guests and what is
 * durable in the databases; never from what a machine believes.
 */
#include <string.h>

#include "sim.h"

static const struct exp_job *find(const struct sim_host *h, int x, const struct sim *s,
				  enum exp_role role, unsigned int state, uint64_t epoch)
{
	for (uint32_t i = 0; i < h->n_rec; i++) {
		const struct exp_job *r = h->rec[i];

		for (uint32_t k = 0; r->role == role && r->state == state && k < r->n_exports; k++)
			if (exp_uuid_eq(&r->exports[k].id, &s->export_id[x]) &&
			    (!epoch || r->exports[k].epoch == epoch))
				return r;
	}
	return NULL;
}

static enum sim_ending ending(const struct sim *s, const struct exp_uuid *job)
{
	for (uint32_t i = 0; i < s->n_out; i++)
		if (exp_uuid_eq(&s->out[i].job, job))
			return s->out[i].end;
	return SIM_OPEN;
}

static void check_owner(struct sim *s, int x)
{
	const struct sim_host *a = &s->host[0], *b = &s->host[1];
	uint64_t e = s->highest[x];
	bool handing = false;

	if (a->own[x].own == e && b->own[x].own == e)
		sim_break(s, "two owners of export %d", x);
	for (int n = 0; n < SIM_HOSTS; n++)
		handing |= find(&s->host[n], x, s, EXP_ROLE_SOURCE, EXP_SRC_RELEASED, e) &&
			   find(&s->host[1 - n], x, s, EXP_ROLE_DESTINATION, EXP_DST_RESTORED, e);
	if (a->own[x].own != e && b->own[x].own != e && !handing)
		sim_break(s, "nobody owns export %d, and nobody is on the way to", x);
}

static void check_running(struct sim *s, const struct sim_host *h, int x)
{
	const struct sim_ctrl *c = &h->ctrl[x];

	if (!sim_runs(c))
		return;
	if (h->own[x].own != s->highest[x])
		sim_break(s, "export %d runs on %c, which does not own it", x, 'A' + h->nr);
	for (uint32_t i = 0; i < SIM_BLOCKS; i++)
		if (c->data[i] != s->ledger[x][i])
			sim_break(s,
				  "acknowledged write %u of export %d, block %u, is lost on %c: %u",
				  s->ledger[x][i], x, i, 'A' + h->nr, c->data[i]);
	if (c->has_queues && c->head != s->vm[x / 2].acked[x])
		sim_break(s, "the queues of export %d on %c are at %llu, the guest is at %llu", x,
			  'A' + h->nr, (unsigned long long)c->head,
			  (unsigned long long)s->vm[x / 2].acked[x]);
	if (find(h, x, s, EXP_ROLE_SOURCE, EXP_SRC_RELEASED, 0))
		sim_break(s, "export %d runs on %c in released", x, 'A' + h->nr);
}

static void check_left_over(struct sim *s, const struct sim_host *h)
{
	for (int x = 0; x < SIM_EXPORTS; x++)
		if (h->ctrl[x].present && ending(s, &h->ctrl[x].tag) == SIM_FAILED)
			sim_break(s, "export %d of a failed job is left on %c", x, 'A' + h->nr);
	for (uint32_t i = 0; i < h->n_rec; i++)
		if (h->rec[i]->role == EXP_ROLE_DESTINATION &&
		    !exp_state_is_final(EXP_ROLE_DESTINATION, h->rec[i]->state) &&
		    ending(s, &h->rec[i]->id) == SIM_FAILED)
			sim_break(s, "a failed job is still open on %c", 'A' + h->nr);
}

void sim_check(struct sim *s)
{
	for (int x = 0; x < SIM_EXPORTS; x++) {
		if (!s->vm[x / 2].used || (uint32_t)(x % 2) >= s->vm[x / 2].n)
			continue;
		if (sim_runs(&s->host[0].ctrl[x]) && sim_runs(&s->host[1].ctrl[x]))
			sim_break(s, "export %d runs on both hosts", x);
		check_owner(s, x);
		check_running(s, &s->host[0], x);
		check_running(s, &s->host[1], x);
	}
	check_left_over(s, &s->host[0]);
	check_left_over(s, &s->host[1]);
}

void sim_check_end(struct sim *s)
{
	for (int n = 0; n < SIM_HOSTS; n++) {
		struct sim_host *h = &s->host[n];

		for (uint32_t i = 0; i < h->n_rec; i++)
			if (!exp_state_is_final(h->rec[i]->role, h->rec[i]->state))
				sim_break(s, "a job is still in %s on %c",
					  exp_state_name(h->rec[i]->role, h->rec[i]->state),
					  'A' + n);
	}
	for (int x = 0; x < SIM_EXPORTS; x++) {
		int owner = -1;

		if (!s->vm[x / 2].used || (uint32_t)(x % 2) >= s->vm[x / 2].n)
			continue;
		for (int n = 0; n < SIM_HOSTS; n++)
			if (s->host[n].own[x].own == s->highest[x])
				owner = n;
		if (owner < 0 || !sim_runs(&s->host[owner].ctrl[x]))
			sim_break(s, "export %d runs nowhere in the end", x);
		else if (s->host[1 - owner].ctrl[x].present)
			sim_break(s, "export %d is left on the host that gave it away", x);
	}
}

void sim_note_commit(struct sim *s, struct sim_host *h, const struct exp_job *rec)
{
	(void)h;
	if (rec->role != EXP_ROLE_SOURCE || rec->state != EXP_SRC_RELEASED)
		return;
	for (uint32_t i = 0; i < rec->n_exports; i++)
		s->highest[sim_export_nr(s, &rec->exports[i].id)] = rec->exports[i].epoch;
}

/* Where nothing goes wrong, only people, leases and slow copies end a job. */
static bool may_fail_in_peace(enum exp_code code)
{
	return code == EXP_CODE_CANCELLED || code == EXP_CODE_ABORTED || code == EXP_CODE_LEASE ||
	       code == EXP_CODE_BLACKOUT;
}

void sim_note_publish(struct sim *s, struct sim_host *h, const struct exp_job *rec)
{
	struct sim_outcome *o;

	if (rec->role != EXP_ROLE_SOURCE)
		return;
	o = &s->out[s->n_out++];
	o->job = rec->id;
	o->end = rec->state == EXP_SRC_DONE ? SIM_MOVED : SIM_FAILED;
	sim_say(s, h->nr, "job ends: %s%s%s", exp_src_state_name(rec->state),
		rec->error.code ? ": " : "", rec->error.code ? rec->error.msg : "");
	if (o->end == SIM_MOVED)
		s->moved++;
	else
		s->failed++;
	if (o->end == SIM_FAILED && !s->faults && !s->dst_cancelled &&
	    !may_fail_in_peace(rec->error.code))
		sim_break(s, "a job failed in a quiet world: %s", rec->error.msg);
	for (uint32_t i = 0; o->end == SIM_FAILED && i < rec->n_exports; i++)
		if (!sim_runs(&h->ctrl[sim_export_nr(s, &rec->exports[i].id)]))
			sim_break(s, "failure was told before the guest ran again");
}
