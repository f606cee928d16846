/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfu_guard.c - a client that truncates the file it gave us must not kill the device
 *
 * Touching a page beyond the end of a mapped file raises SIGBUS. Seals would prevent that, but only
 * memfds have them and SPDK's or a plain file's do not, so the signal is taken: the handler puts a
 * page of zeros under the address, marks the mapping as lost, and the access goes on. Whoever used
 * the pointer asks vfu_guard_lost() afterwards. A SIGBUS elsewhere kills the process as ever.
 *
 * Slots are never freed and only ever looked at by the handler, which may run on any thread: a
 * signal handler has no argument, so this table is the one global of the server.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "emu/vfu_int.h"

#define GUARD_SLOTS 65536

struct guard_slot {
	_Atomic uintptr_t start, end; /* end 0: free */
	size_t granule;               /* page size of the mapping */
	bool write;
	_Atomic bool lost;
};

static struct guard_slot slots[GUARD_SLOTS];
static _Atomic int used; /* slots below this index were ever in use */
static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	int saved = errno;
	uintptr_t at = (uintptr_t)info->si_addr;

	(void)context;
	for (int i = 0; i < atomic_load(&used); i++) {
		struct guard_slot *s = &slots[i];
		uintptr_t page;

		if (at < atomic_load(&s->start) || at >= atomic_load(&s->end))
			continue;
		page = at & ~(uintptr_t)(s->granule - 1);
		atomic_store(&s->lost, true);
		if (mmap((void *)page, s->granule, PROT_READ | (s->write ? PROT_WRITE : 0),
			 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
			break;
		errno = saved;
		return;
	}
	/* not ours: the same access faults again, now with the default action */
	signal(sig, SIG_DFL);
	errno = saved;
}

/* Each time: somebody else in the process may have taken the signal since. */
static void install(void)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_RESTART };

	sigemptyset(&sa.sa_mask);
	sigaction(SIGBUS, &sa, NULL);
}

int vfu_guard_add(void *p, size_t len, size_t granule, bool write)
{
	int r = -ENOSPC;

	pthread_mutex_lock(&slots_lock);
	install();
	for (int i = 0; i < GUARD_SLOTS; i++) {
		struct guard_slot *s = &slots[i];

		if (atomic_load(&s->end))
			continue;
		s->granule = granule;
		s->write = write;
		atomic_store(&s->lost, false);
		atomic_store(&s->start, (uintptr_t)p);
		atomic_store(&s->end, (uintptr_t)p + len);
		if (i >= atomic_load(&used))
			atomic_store(&used, i + 1);
		r = i;
		break;
	}
	pthread_mutex_unlock(&slots_lock);
	return r;
}

void vfu_guard_del(int slot)
{
	if (slot < 0)
		return;
	pthread_mutex_lock(&slots_lock);
	atomic_store(&slots[slot].end, 0);
	atomic_store(&slots[slot].start, 0);
	pthread_mutex_unlock(&slots_lock);
}

bool vfu_guard_lost(int slot)
{
	return slot >= 0 && atomic_load(&slots[slot].lost);
}
