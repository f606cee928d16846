/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfu_irq.c - interrupts: which eventfd belongs to which vector, and when it is written
 *
 * The eventfd routes an interrupt, not the MSI-X table in the BAR: the client keeps that table
 * itself. What counts here are bus mastering, the MSI-X enable bit and the function mask of the
 * configuration space; an interrupt under the mask waits in the pending bits.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/le.h"
#include "emu/vfu_int.h"

enum { TYPE_INTX, TYPE_MSI, TYPE_MSIX, TYPE_ERR, TYPE_REQ, TYPES };

#define DATA_NONE      0x01u
#define DATA_BOOL      0x02u
#define DATA_EVENTFD   0x04u
#define DATA_BITS      0x07u
#define ACTION_MASK    0x08u
#define ACTION_UNMASK  0x10u
#define ACTION_TRIGGER 0x20u
#define ACTION_BITS    0x38u

int vfu_irqs_init(struct vfu_irqs *q)
{
	for (size_t i = 0; i < VFU_MAX_VECTORS; i++)
		q->vec[i].fd = -1;
	q->err.fd = -1;
	q->req.fd = -1;
	return -pthread_mutex_init(&q->lock, NULL);
}

static void eventfd_detach(struct vfu_eventfd *e)
{
	if (e->fd >= 0)
		close(e->fd);
	e->fd = -1;
}

void vfu_irqs_done(struct vfu_irqs *q)
{
	for (size_t i = 0; i < VFU_MAX_VECTORS; i++)
		eventfd_detach(&q->vec[i]);
	eventfd_detach(&q->err);
	eventfd_detach(&q->req);
	pthread_mutex_destroy(&q->lock);
}

uint32_t vfu_irqs_count(const struct vfu *v, uint32_t type)
{
	switch (type) {
	case TYPE_INTX:
	case TYPE_MSI: return 0;
	case TYPE_MSIX: return v->pci.vectors;
	case TYPE_ERR:
	case TYPE_REQ: return 1; /* QEMU warns when there is none */
	}
	return UINT32_MAX;
}

static struct vfu_eventfd *vector(struct vfu *v, uint32_t type, uint32_t i)
{
	if (type == TYPE_MSIX)
		return &v->irqs.vec[i];
	return type == TYPE_ERR ? &v->irqs.err : &v->irqs.req;
}

/* Anything else could block us, or be written into: a client may send what it likes. */
static bool is_eventfd(int fd)
{
	char link[32], target[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return !strcmp(target, "anon_inode:[eventfd]");
}

/* with irqs.lock held */
static void fire(struct vfu_eventfd *e)
{
	const uint64_t one = 1;

	if (e->fd < 0)
		return;
	if (e->block) {
		struct pollfd p = { .fd = e->fd, .events = POLLOUT };

		if (poll(&p, 1, 0) <= 0 || !(p.revents & POLLOUT))
			return;
	}
	/* EAGAIN: the counter is full, so the client has news anyway */
	if (write(e->fd, &one, sizeof(one)) < 0)
		return;
}

static void attach(struct vfu *v, struct vfu_eventfd *e, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	pthread_mutex_lock(&v->irqs.lock);
	eventfd_detach(e);
	e->fd = fd;
	/* not ours to change: the client may read it blocking */
	e->block = flags < 0 || !(flags & O_NONBLOCK);
	pthread_mutex_unlock(&v->irqs.lock);
}

static void detach(struct vfu *v, uint32_t type, uint32_t start, uint32_t count)
{
	pthread_mutex_lock(&v->irqs.lock);
	for (uint32_t i = start; i < start + count; i++)
		eventfd_detach(vector(v, type, i));
	pthread_mutex_unlock(&v->irqs.lock);
}

void vfu_irqs_detach_all(struct vfu *v)
{
	for (uint32_t type = 0; type < TYPES; type++)
		detach(v, type, 0, vfu_irqs_count(v, type));
}

static int set_eventfds(struct vfu *v, struct vfu_msg *m, uint32_t type, uint32_t start,
			uint32_t count)
{
	if (!m->n_fds) {
		detach(v, type, start, count);
		return 0;
	}
	if (m->n_fds != count)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		if (!is_eventfd(m->fds[i]))
			return -EINVAL;
	}
	for (uint32_t i = 0; i < count; i++) {
		attach(v, vector(v, type, start + i), m->fds[i]);
		m->fds[i] = -1;
	}
	return 0;
}

/* SET_IRQS: argsz, flags, index, start, count (u32 each), then a byte per vector with DATA_BOOL */
int vfu_irqs_set(struct vfu *v, struct vfu_msg *m)
{
	uint32_t flags = exp_le32(m->body + 4), type = exp_le32(m->body + 8);
	uint32_t start = exp_le32(m->body + 12), count = exp_le32(m->body + 16);
	uint32_t data = flags & DATA_BITS, action = flags & ACTION_BITS;
	uint32_t have = vfu_irqs_count(v, type);

	if (exp_le32(m->body) < 20 || have == UINT32_MAX || start > have || count > have - start)
		return -EINVAL;
	if ((flags & ~(DATA_BITS | ACTION_BITS)) || !data || (data & (data - 1)) || !action ||
	    (action & (action - 1)))
		return -EINVAL;
	if (data == DATA_BOOL && m->len - 20 < count)
		return -EINVAL;
	if (data == DATA_EVENTFD)
		return action == ACTION_TRIGGER ? set_eventfds(v, m, type, start, count) : -EINVAL;
	if (m->n_fds)
		return -EINVAL;
	if (action != ACTION_TRIGGER)
		return 0; /* masking is the client's own affair with MSI-X */
	if (data == DATA_NONE && !count) {
		if (start)
			return -EINVAL;
		detach(v, type, 0, have);
		return 0;
	}
	pthread_mutex_lock(&v->irqs.lock);
	for (uint32_t i = 0; i < count; i++) {
		if (data == DATA_NONE || m->body[20 + i])
			fire(vector(v, type, start + i));
	}
	pthread_mutex_unlock(&v->irqs.lock);
	return 0;
}

void vfu_irq(struct vfu *v, uint16_t vec)
{
	if (vec >= v->pci.vectors || !atomic_load(&v->bus_master) || !atomic_load(&v->msix_on))
		return;
	pthread_mutex_lock(&v->irqs.lock);
	if (atomic_load(&v->msix_masked))
		v->irqs.pending[vec / 64] |= UINT64_C(1) << (vec % 64);
	else
		fire(&v->irqs.vec[vec]);
	pthread_mutex_unlock(&v->irqs.lock);
}

void vfu_irqs_release(struct vfu *v)
{
	pthread_mutex_lock(&v->irqs.lock);
	for (uint32_t i = 0; i < v->pci.vectors; i++) {
		if (v->irqs.pending[i / 64] & (UINT64_C(1) << (i % 64)))
			fire(&v->irqs.vec[i]);
	}
	memset(v->irqs.pending, 0, sizeof(v->irqs.pending));
	pthread_mutex_unlock(&v->irqs.lock);
}

void vfu_irqs_forget(struct vfu *v)
{
	pthread_mutex_lock(&v->irqs.lock);
	memset(v->irqs.pending, 0, sizeof(v->irqs.pending));
	pthread_mutex_unlock(&v->irqs.lock);
}

void vfu_irqs_pba(struct vfu *v, uint32_t off, uint8_t *dst, uint32_t count)
{
	pthread_mutex_lock(&v->irqs.lock);
	for (uint32_t i = 0; i < count; i++, off++)
		dst[i] = off < VFU_MAX_VECTORS / 8 ? v->irqs.pending[off / 8] >> (8 * (off % 8))
						   : 0;
	pthread_mutex_unlock(&v->irqs.lock);
}
