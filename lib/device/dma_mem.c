/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "device/dma_mem.h"
#include "device/reach.h"

#define SEGMENT_BYTES (64u << 20)
#define SEGMENTS_MAX  64
#define IOVA_BASE     0x100000000ull /* above the windows that PCs reserve below 4 GiB */
#define SEGMENT_ALIGN (2u << 20)     /* of the address the device sees */
#define PUNCH_BYTES   (256u << 10)   /* given back to the kernel from this size on */

struct extent { /* free pages of a segment, ascending, never adjacent */
	size_t off, bytes;
};

struct segment {
	int fd;
	uint8_t *mem;
	uint64_t iova;
	size_t bytes;
	struct extent *free;
	size_t n_free, cap_free;
};

struct exp_dma_mem {
	pthread_mutex_t lock;
	struct exp_reach *reach;
	struct segment seg[SEGMENTS_MAX];
	size_t n_seg;
	uint64_t next_iova;
};

static int insert_extent(struct segment *s, size_t at, struct extent e)
{
	if (s->n_free == s->cap_free) {
		size_t cap = s->cap_free ? 2 * s->cap_free : 16;
		struct extent *f = reallocarray(s->free, cap, sizeof(*f));

		if (!f)
			return -ENOMEM;
		s->free = f;
		s->cap_free = cap;
	}
	memmove(&s->free[at + 1], &s->free[at], (s->n_free - at) * sizeof(*s->free));
	s->free[at] = e;
	s->n_free++;
	return 0;
}

static void remove_extent(struct segment *s, size_t at)
{
	memmove(&s->free[at], &s->free[at + 1], (s->n_free - at - 1) * sizeof(*s->free));
	s->n_free--;
}

static bool take(struct segment *s, size_t bytes, struct exp_dma *ret)
{
	for (size_t i = 0; i < s->n_free; i++) {
		size_t off = s->free[i].off;

		if (s->free[i].bytes < bytes)
			continue;
		s->free[i].off += bytes;
		s->free[i].bytes -= bytes;
		if (!s->free[i].bytes)
			remove_extent(s, i);
		*ret = (struct exp_dma){ s->mem + off, s->iova + off, bytes };
		return true;
	}
	return false;
}

/*
 * Sealed against shrinking, so that the device's side need not fear for its mapping; not against
 * writing, which is the purpose.
 */
static int new_segment(struct exp_dma_mem *m, size_t bytes, struct exp_error *err)
{
	EXP_CLEANUP(exp_close_fdp) int fd = -1;
	struct segment *s = &m->seg[m->n_seg];
	int r;

	if (m->n_seg == SEGMENTS_MAX)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM,
				     "all %d segments of device memory are in use", SEGMENTS_MAX);
	*s = (struct segment){ .fd = -1, .bytes = bytes, .iova = m->next_iova };
	fd = memfd_create("exp-dma", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, errno,
				     "device memory of %zu bytes: %s", bytes, strerror(errno));
	r = insert_extent(s, 0, (struct extent){ 0, bytes });
	if (r < 0)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "device memory");
	s->mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s->mem == MAP_FAILED) {
		r = exp_error_set(err, EXP_CODE_NO_MEMORY, errno, "device memory: mmap: %s",
				  strerror(errno));
		goto fail_free;
	}
	r = m->reach->ops->dma_map(m->reach, fd, 0, s->iova, bytes, err);
	if (r < 0)
		goto fail_unmap;
	s->fd = fd;
	fd = -1;
	m->n_seg++;
	m->next_iova += (bytes + SEGMENT_ALIGN - 1) / SEGMENT_ALIGN * SEGMENT_ALIGN;
	return 0;

fail_unmap:
	munmap(s->mem, bytes);
fail_free:
	free(s->free);
	return r;
}

int exp_dma_mem_new(struct exp_reach *reach, struct exp_dma_mem **ret, struct exp_error *err)
{
	struct exp_dma_mem *m = calloc(1, sizeof(*m));

	if (!m)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "device memory");
	pthread_mutex_init(&m->lock, NULL);
	m->reach = reach;
	m->next_iova = IOVA_BASE;
	*ret = m;
	return 0;
}

void exp_dma_mem_free(struct exp_dma_mem *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n_seg; i++) {
		munmap(m->seg[i].mem, m->seg[i].bytes);
		close(m->seg[i].fd);
		free(m->seg[i].free);
	}
	pthread_mutex_destroy(&m->lock);
	free(m);
}

int exp_dma_alloc(struct exp_dma_mem *m, size_t bytes, struct exp_dma *ret, struct exp_error *err)
{
	size_t need = (bytes + EXP_DMA_PAGE - 1) / EXP_DMA_PAGE * EXP_DMA_PAGE;
	struct exp_dma d;
	bool found = false;
	int r = 0;

	if (!bytes || bytes > EXP_DMA_MAX_BYTES)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "%zu bytes of device memory, 1 to %llu are possible", bytes,
				     EXP_DMA_MAX_BYTES);
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->n_seg && !found; i++)
		found = take(&m->seg[i], need, &d);
	if (!found) {
		r = new_segment(m, EXP_MAX(need, (size_t)SEGMENT_BYTES), err);
		if (r == 0)
			found = take(&m->seg[m->n_seg - 1], need, &d);
	}
	pthread_mutex_unlock(&m->lock);
	if (!found)
		return r;
	memset(d.mem, 0, d.bytes);
	*ret = d;
	return 0;
}

static void give_back(struct segment *s, size_t off, size_t bytes)
{
	size_t i = 0;

	while (i < s->n_free && s->free[i].off < off)
		i++;
	if (i && s->free[i - 1].off + s->free[i - 1].bytes == off) {
		s->free[i - 1].bytes += bytes;
		if (i < s->n_free && off + bytes == s->free[i].off) {
			s->free[i - 1].bytes += s->free[i].bytes;
			remove_extent(s, i);
		}
		return;
	}
	if (i < s->n_free && off + bytes == s->free[i].off) {
		s->free[i].off = off;
		s->free[i].bytes += bytes;
		return;
	}
	/* without memory for the note these pages stay out of use: nothing else breaks */
	(void)!insert_extent(s, i, (struct extent){ off, bytes });
}

void exp_dma_release(struct exp_dma_mem *m, struct exp_dma *d)
{
	uint8_t *p = d->mem;

	if (!p)
		return;
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->n_seg; i++) {
		struct segment *s = &m->seg[i];

		if (p < s->mem || p >= s->mem + s->bytes)
			continue;
		assert((size_t)(p - s->mem) + d->bytes <= s->bytes);
		if (d->bytes >= PUNCH_BYTES)
			(void)!fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					 p - s->mem, (off_t)d->bytes);
		give_back(s, (size_t)(p - s->mem), d->bytes);
		break;
	}
	pthread_mutex_unlock(&m->lock);
	*d = (struct exp_dma){ 0 };
}
