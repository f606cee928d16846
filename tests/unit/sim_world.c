/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->seq < b->seq);
}

static void swap(struct sim_event *a, struct sim_event *b)
{
	struct sim_event t = *a;

	*a = *b;
	*b = t;
}

void sim_at(struct sim *s, uint64_t in_ms, sim_fn *fn, int host, uint32_t a, uint32_t b, void *p)
{
	size_t i = s->n_heap++;

	if (s->n_heap > s->cap_heap) {
		s->cap_heap = s->cap_heap ? 2 * s->cap_heap : 256;
		s->heap = realloc(s->heap, s->cap_heap * sizeof(*s->heap));
		if (!s->heap)
			abort();
	}
	s->heap[i] = (struct sim_event){ s->now_ms + in_ms, ++s->seq, fn, host, a, b, p, NULL };
	for (; i && before(&s->heap[i], &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&s->heap[i], &s->heap[(i - 1) / 2]);
}

void sim_own(struct sim *s, void (*drop)(void *p))
{
	for (size_t i = 0; i < s->n_heap; i++)
		if (s->heap[i].seq == s->seq)
			s->heap[i].drop = drop;
}

void sim_drop_events(struct sim *s)
{
	for (size_t i = 0; i < s->n_heap; i++)
		if (s->heap[i].drop)
			s->heap[i].drop(s->heap[i].p);
	free(s->heap);
	s->heap = NULL;
	s->n_heap = 0;
}

bool sim_next(struct sim *s)
{
	struct sim_event ev;

	if (!s->n_heap)
		return false;
	ev = s->heap[0];
	s->heap[0] = s->heap[--s->n_heap];
	for (size_t i = 0;;) {
		size_t k = 2 * i + 1;

		if (k >= s->n_heap)
			break;
		if (k + 1 < s->n_heap && before(&s->heap[k + 1], &s->heap[k]))
			k++;
		if (!before(&s->heap[k], &s->heap[i]))
			break;
		swap(&s->heap[i], &s->heap[k]);
		i = k;
	}
	s->now_ms = ev.at_ms;
	s->steps++;
	ev.fn(s, ev.host, ev.a, ev.b, ev.p);
	return true;
}

void sim_say(struct sim *s, int host, const char *fmt, ...)
{
	va_list ap;

	if (!s->verbose)
		return;
	printf("%8llu %c  ", (unsigned long long)s->now_ms, host < 0 ? '-' : 'A' + host);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void sim_break(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (s->broken[0])
		return;
	va_start(ap, fmt);
	vsnprintf(s->broken, sizeof(s->broken), fmt, ap);
	va_end(ap);
	sim_say(s, -1, "BROKEN: %s", s->broken);
}

uint64_t sim_rnd(struct sim *s, uint64_t n)
{
	return exp_rng_below(&s->rng, n);
}

bool sim_fault(struct sim *s, uint32_t per_mille)
{
	return !s->calm && exp_rng_chance(&s->rng, (uint64_t)per_mille * s->faults, 1000 * 1000);
}

uint64_t sim_delay(struct sim *s, uint64_t usual_ms)
{
	uint64_t d = sim_rnd(s, usual_ms + 1);

	if (sim_fault(s, 60))
		d += sim_rnd(s, 50 * usual_ms + 1);
	if (sim_fault(s, 15))
		d += sim_rnd(s, 10000);
	return d;
}

struct exp_uuid sim_uuid(struct sim *s)
{
	struct exp_uuid u;
	uint64_t a = exp_rng_next(&s->rng), b = exp_rng_next(&s->rng);

	memcpy(u.b, &a, 8);
	memcpy(u.b + 8, &b, 8);
	return u;
}

int sim_export_nr(const struct sim *s, const struct exp_uuid *id)
{
	for (int x = 0; x < SIM_EXPORTS; x++)
		if (exp_uuid_eq(&s->export_id[x], id))
			return x;
	return -1;
}
