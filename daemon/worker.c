/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "worker.h"

struct queue {
	struct expd_task *head, **tail;
};

static void queue_init(struct queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
}

static void queue_put(struct queue *q, struct expd_task *t)
{
	t->next = NULL;
	*q->tail = t;
	q->tail = &t->next;
}

static struct expd_task *queue_take(struct queue *q)
{
	struct expd_task *t = q->head;

	if (t) {
		q->head = t->next;
		if (!q->head)
			q->tail = &q->head;
	}
	return t;
}

struct expd_inbox {
	pthread_mutex_t lock;
	struct queue q;
	int fd; /* eventfd: not zero while the queue may hold something */
	struct event *ev;
};

static void run_all(struct expd_inbox *in)
{
	for (;;) {
		struct expd_task *t;

		pthread_mutex_lock(&in->lock);
		t = queue_take(&in->q);
		pthread_mutex_unlock(&in->lock);
		if (!t)
			return;
		t->done(t);
	}
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t n;

	(void)what;
	/* the counter is cleared first: what is posted from here on wakes the loop again */
	if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		abort();
	run_all(arg);
}

int expd_inbox_new(struct event_base *base, struct expd_inbox **ret, struct exp_error *err)
{
	struct expd_inbox *in = calloc(1, sizeof(*in));

	if (!in)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "inbox: out of memory");
	pthread_mutex_init(&in->lock, NULL);
	queue_init(&in->q);
	in->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (in->fd >= 0)
		in->ev = event_new(base, in->fd, EV_READ | EV_PERSIST, on_wake, in);
	if (!in->ev || event_add(in->ev, NULL) < 0) {
		int e = in->fd < 0 ? errno : ENOMEM;

		expd_inbox_free(in);
		return exp_error_set(err, EXP_CODE_SYSTEM, e, "inbox: %s", strerror(e));
	}
	*ret = in;
	return 0;
}

void expd_inbox_run(struct expd_inbox *in)
{
	if (in)
		run_all(in);
}

void expd_inbox_free(struct expd_inbox *in)
{
	if (!in)
		return;
	run_all(in);
	if (in->ev)
		event_free(in->ev);
	if (in->fd >= 0)
		close(in->fd);
	pthread_mutex_destroy(&in->lock);
	free(in);
}

void expd_inbox_post(struct expd_inbox *in, struct expd_task *t)
{
	uint64_t one = 1;

	pthread_mutex_lock(&in->lock);
	queue_put(&in->q, t);
	pthread_mutex_unlock(&in->lock);
	/* EAGAIN: the counter is full, so the loop is awake anyway */
	if (write(in->fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		abort();
}

struct expd_worker {
	struct expd_inbox *inbox;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct queue urgent, normal;
	size_t depth;
	bool stop;
};

static void *worker_main(void *arg)
{
	struct expd_worker *w = arg;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct expd_task *t = queue_take(&w->urgent);

		if (!t)
			t = queue_take(&w->normal);
		if (!t && w->stop)
			break;
		if (!t) {
			pthread_cond_wait(&w->more, &w->lock);
			continue;
		}
		pthread_mutex_unlock(&w->lock);
		t->run(t);
		pthread_mutex_lock(&w->lock);
		w->depth--; /* before done() can run, and look */
		expd_inbox_post(w->inbox, t);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int expd_worker_new(struct expd_inbox *in, const char *name, struct expd_worker **ret,
		    struct exp_error *err)
{
	struct expd_worker *w = calloc(1, sizeof(*w));
	char short_name[16]; /* the kernel's limit, with the NUL */
	int r;

	if (!w)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "worker %s: out of memory",
				     name);
	w->inbox = in;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	queue_init(&w->urgent);
	queue_init(&w->normal);
	r = pthread_create(&w->thread, NULL, worker_main, w);
	if (r) {
		free(w);
		return exp_error_set(err, EXP_CODE_SYSTEM, r, "worker %s: %s", name, strerror(r));
	}
	snprintf(short_name, sizeof(short_name), "%s", name);
	pthread_setname_np(w->thread, short_name);
	*ret = w;
	return 0;
}

void expd_worker_free(struct expd_worker *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->more);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

void expd_worker_submit(struct expd_worker *w, struct expd_task *t, bool urgent)
{
	assert(t->run && t->done);
	t->inbox = w->inbox;
	pthread_mutex_lock(&w->lock);
	queue_put(urgent ? &w->urgent : &w->normal, t);
	w->depth++;
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
}

size_t expd_worker_depth(struct expd_worker *w)
{
	size_t n;

	pthread_mutex_lock(&w->lock);
	n = w->depth;
	pthread_mutex_unlock(&w->lock);
	return n;
}
