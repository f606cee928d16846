/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tests.h"

#include <pthread.h>
#include <semaphore.h>

#include <event2/event.h>
#include <event2/thread.h>

#include "daemon/worker.h"

#define MANY 2000

struct rig {
	struct event_base *base;
	struct expd_inbox *in;
	struct expd_worker *w;
	pthread_t loop;
	sem_t begun, gate; /* a task between the two keeps what is behind it in the queue */
	char ran[64];      /* names, in the order in which run() was called */
	char ended[64];    /* the same for done() */
	size_t n_ran, n_ended;
	size_t stop_at; /* the loop ends with that many done */
};

struct job {
	struct expd_task t; /* first */
	struct rig *r;
	char name;
	bool gated, again;
};

static void run(struct expd_task *t)
{
	struct job *j = (struct job *)t;

	assert_false(pthread_equal(pthread_self(), j->r->loop));
	if (j->gated) {
		sem_post(&j->r->begun);
		sem_wait(&j->r->gate);
	}
	if (j->name)
		j->r->ran[j->r->n_ran] = j->name;
	j->r->n_ran++;
}

static void submit(struct rig *r, char name, bool urgent);

static void done(struct expd_task *t)
{
	struct job *j = (struct job *)t;
	struct rig *r = j->r;

	assert_true(pthread_equal(pthread_self(), r->loop));
	if (j->name)
		r->ended[r->n_ended] = j->name;
	r->n_ended++;
	if (j->again)
		submit(r, 'z', false);
	if (r->n_ended == r->stop_at)
		event_base_loopbreak(r->base);
	free(j);
}

static struct job *job(struct rig *r, char name)
{
	struct job *j = calloc(1, sizeof(*j));

	assert_non_null(j);
	*j = (struct job){ .t = { .run = run, .done = done }, .r = r, .name = name };
	return j;
}

static void submit(struct rig *r, char name, bool urgent)
{
	expd_worker_submit(r->w, &job(r, name)->t, urgent);
}

static void submit_gated(struct rig *r, char name)
{
	struct job *j = job(r, name);

	j->gated = true;
	expd_worker_submit(r->w, &j->t, false);
	sem_wait(&r->begun);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct exp_error err = { 0 };

	assert_non_null(r);
	r->loop = pthread_self();
	r->base = event_base_new();
	assert_non_null(r->base);
	sem_init(&r->begun, 0, 0);
	sem_init(&r->gate, 0, 0);
	assert_ok(expd_inbox_new(r->base, &r->in, &err), &err);
	assert_ok(expd_worker_new(r->in, "a-name-longer-than-a-kernel-takes", &r->w, &err), &err);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	expd_worker_free(r->w);
	expd_inbox_free(r->in);
	event_base_free(r->base);
	sem_destroy(&r->begun);
	sem_destroy(&r->gate);
	free(r);
	return 0;
}

static void test_results_come_to_the_loop_in_order(void **state)
{
	struct rig *r = *state;

	for (char c = 'a'; c <= 'e'; c++)
		submit(r, c, false);
	r->stop_at = 5;
	event_base_dispatch(r->base);
	assert_string_equal(r->ran, "abcde");
	assert_string_equal(r->ended, "abcde");
	assert_int_equal(expd_worker_depth(r->w), 0);
}

static void test_urgent_goes_first(void **state)
{
	struct rig *r = *state;

	submit_gated(r, 'x');
	for (char c = 'a'; c <= 'c'; c++)
		submit(r, c, false);
	for (char c = 'A'; c <= 'C'; c++)
		submit(r, c, true);
	assert_int_equal(expd_worker_depth(r->w), 7);
	sem_post(&r->gate);
	r->stop_at = 7;
	event_base_dispatch(r->base);
	assert_string_equal(r->ran, "xABCabc");
	assert_string_equal(r->ended, "xABCabc");
}

static void test_done_may_submit_more(void **state)
{
	struct rig *r = *state;
	struct job *j = job(r, 'a');

	j->again = true;
	expd_worker_submit(r->w, &j->t, false);
	r->stop_at = 2;
	event_base_dispatch(r->base);
	assert_string_equal(r->ended, "az");
}

static void test_free_runs_what_is_queued(void **state)
{
	struct rig *r = *state;

	submit_gated(r, 'x');
	submit(r, 'a', false);
	submit(r, 'b', true);
	sem_post(&r->gate);
	expd_worker_free(r->w);
	r->w = NULL;
	assert_int_equal(r->n_ran, 3);
	assert_int_equal(r->n_ended, 0); /* the loop has not run */
	expd_inbox_run(r->in);
	assert_int_equal(r->n_ended, 3);
}

static void test_inbox_free_runs_what_is_left(void **state)
{
	struct rig *r = *state;

	submit(r, 'a', false);
	expd_worker_free(r->w);
	r->w = NULL;
	expd_inbox_free(r->in);
	r->in = NULL;
	assert_string_equal(r->ended, "a");
}

static void test_several_workers_one_loop(void **state)
{
	struct rig *r = *state;
	struct expd_worker *w[3];
	struct rig of[3]; /* what a worker's own run() counts */
	struct exp_error err = { 0 };

	for (int i = 0; i < 3; i++) {
		of[i] = (struct rig){ .loop = r->loop, .base = r->base };
		assert_ok(expd_worker_new(r->in, "w", &w[i], &err), &err);
		of[i].w = w[i];
	}
	for (int k = 0; k < MANY; k++)
		for (int i = 0; i < 3; i++)
			submit(&of[i], 0, k % 3 == 0);
	for (int i = 0; i < 3; i++)
		expd_worker_free(w[i]);
	while (of[0].n_ended + of[1].n_ended + of[2].n_ended < 3 * MANY)
		event_base_loop(r->base, EVLOOP_ONCE);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(of[i].n_ran, MANY);
		assert_int_equal(of[i].n_ended, MANY);
	}
}

static void test_nothing_to_free(void **state)
{
	(void)state;
	expd_worker_free(NULL);
	expd_inbox_free(NULL);
	expd_inbox_run(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_results_come_to_the_loop_in_order, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_urgent_goes_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_done_may_submit_more, setup, teardown),
		cmocka_unit_test_setup_teardown(test_free_runs_what_is_queued, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inbox_free_runs_what_is_left, setup, teardown),
		cmocka_unit_test_setup_teardown(test_several_workers_one_loop, setup, teardown),
		cmocka_unit_test(test_nothing_to_free),
	};

	evthread_use_pthreads();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
