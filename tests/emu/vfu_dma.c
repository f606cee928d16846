/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfu_dma.c - which client memory the function may reach, and how
 *
 * The table is sorted and its ranges are disjoint. A range that came without a descriptor is
 * remembered (its client unmaps it again) and cannot be reached: QEMU sends its ROM, other devices'
 * BARs and our own doorbell page that way. Every access is checked against the table, with the
 * right, each time: guest addresses are input.
 */
#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "emu/vfu_int.h"

#define DMA_READABLE  1u /* the device may read it */
#define DMA_WRITEABLE 2u

static uint64_t map_last(const struct vfu_map *m)
{
	return m->iova + (m->len - 1);
}

/* the first range that ends at or above @iova; n when there is none */
static size_t map_find(const struct vfu_dma_table *t, uint64_t iova)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (map_last(&t->maps[mid]) < iova)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void map_release(struct vfu_map *m)
{
	if (!m->base)
		return;
	/* first out of the handler's sight: the address range may be somebody else's a moment later
	 */
	vfu_guard_del(m->guard);
	munmap(m->base, m->base_len);
}

/* Maps @m->len bytes of @fd at @m->offset; fills the rest of @m. */
static int map_attach(struct vfu_map *m, int fd)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), skew;
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (m->offset > (uint64_t)st.st_size || m->len > (uint64_t)st.st_size - m->offset)
		return -EINVAL;
	if (!fstatfs(fd, &fs) && fs.f_type == HUGETLBFS_MAGIC)
		page = (uint64_t)fs.f_bsize;
	m->dev = st.st_dev;
	m->ino = st.st_ino;
	/* mmap() wants whole pages; the client's range need not begin with one */
	skew = m->offset & (page - 1);
	m->base_len = (skew + m->len + page - 1) & ~(page - 1);
	m->base = mmap(NULL, m->base_len, PROT_READ | ((m->flags & DMA_WRITEABLE) ? PROT_WRITE : 0),
		       MAP_SHARED, fd, (off_t)(m->offset - skew));
	if (m->base == MAP_FAILED) {
		m->base = NULL;
		return -errno;
	}
	m->guard = vfu_guard_add(m->base, m->base_len, page, m->flags & DMA_WRITEABLE);
	if (m->guard < 0) {
		int r = m->guard;

		munmap(m->base, m->base_len);
		m->base = NULL;
		return r;
	}
	m->ptr = (uint8_t *)m->base + skew;
	return 0;
}

/* The very same range of the same file once more: harmless, and some clients do it. */
static bool map_same(const struct vfu_map *old, const struct vfu_map *want, int fd)
{
	struct stat st;

	if (old->iova != want->iova || old->len != want->len || old->flags != want->flags)
		return false;
	if (fd < 0)
		return !old->base;
	return old->base && old->offset == want->offset && !fstat(fd, &st) &&
	       old->dev == st.st_dev && old->ino == st.st_ino;
}

int vfu_dma_map(struct vfu *v, const struct vfu_map *want, int fd)
{
	struct vfu_dma_table *t = &v->dma;
	struct vfu_map m = *want;
	size_t at;
	int r;

	if (!m.len || m.iova + (m.len - 1) < m.iova)
		return -EINVAL;
	if (m.flags & ~(DMA_READABLE | DMA_WRITEABLE))
		return -EINVAL;
	at = map_find(t, m.iova);
	if (at < t->n && t->maps[at].iova <= map_last(&m))
		return map_same(&t->maps[at], &m, fd) ? 0 : -EEXIST;
	if (t->n >= VFU_MAX_MAPS)
		return -ENOSPC;
	if (t->n == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 16;
		struct vfu_map *bigger = realloc(t->maps, cap * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		t->maps = bigger;
		t->cap = cap;
	}
	m.guard = -1;
	m.base = NULL;
	m.ptr = NULL;
	if (fd >= 0) {
		r = map_attach(&m, fd);
		if (r < 0)
			return r;
	}
	memmove(t->maps + at + 1, t->maps + at, (t->n - at) * sizeof(*t->maps));
	t->maps[at] = m;
	t->n++;
	if (v->ops->dma_mapped)
		v->ops->dma_mapped(v->arg, m.iova, m.len);
	return 0;
}

int vfu_dma_unmap(struct vfu *v, uint64_t iova, uint64_t len)
{
	struct vfu_dma_table *t = &v->dma;
	size_t at = map_find(t, iova);

	if (at == t->n || t->maps[at].iova != iova || t->maps[at].len != len)
		return -ENOENT;
	if (v->ops->dma_unmap)
		v->ops->dma_unmap(v->arg, iova, len);
	map_release(&t->maps[at]);
	memmove(t->maps + at, t->maps + at + 1, (t->n - at - 1) * sizeof(*t->maps));
	t->n--;
	return 0;
}

void vfu_dma_unmap_all(struct vfu *v, bool tell)
{
	struct vfu_dma_table *t = &v->dma;

	while (t->n) {
		struct vfu_map *m = &t->maps[t->n - 1];

		if (tell && v->ops->dma_unmap)
			v->ops->dma_unmap(v->arg, m->iova, m->len);
		map_release(m);
		t->n--;
	}
	free(t->maps);
	*t = (struct vfu_dma_table){ 0 };
}

/* The range that holds @iova with the right, whole of its memory still there; *ret_run: bytes to
 * its end. */
static const struct vfu_map *map_at(const struct vfu *v, uint64_t iova, bool write,
				    uint64_t *ret_run)
{
	const struct vfu_dma_table *t = &v->dma;
	size_t at = map_find(t, iova);
	const struct vfu_map *m;

	if (at == t->n)
		return NULL;
	m = &t->maps[at];
	if (m->iova > iova || !m->ptr)
		return NULL;
	if (!(m->flags & (write ? DMA_WRITEABLE : DMA_READABLE)) || vfu_guard_lost(m->guard))
		return NULL;
	*ret_run = m->len - (iova - m->iova);
	return m;
}

void *vfu_dma(struct vfu *v, uint64_t iova, uint64_t len, bool write)
{
	const struct vfu_map *m;
	uint64_t run;

	if (!len || !vfu_bus_master(v))
		return NULL;
	m = map_at(v, iova, write, &run);
	return m && len <= run ? m->ptr + (iova - m->iova) : NULL;
}

bool vfu_dma_intact(struct vfu *v, uint64_t iova, uint64_t len)
{
	const struct vfu_dma_table *t = &v->dma;
	size_t at = map_find(t, iova);

	return at < t->n && t->maps[at].iova <= iova &&
	       len <= t->maps[at].len - (iova - t->maps[at].iova) &&
	       !vfu_guard_lost(t->maps[at].guard);
}

/* Is every byte there? Looked at before the first one moves. */
static bool dma_covered(const struct vfu *v, uint64_t iova, uint64_t len, bool write)
{
	uint64_t run;

	while (len) {
		if (!map_at(v, iova, write, &run))
			return false;
		if (len <= run)
			break;
		len -= run;
		iova += run; /* wraps to 0 only behind the last address: map_at says no there */
		if (!iova)
			return false;
	}
	return true;
}

static bool dma_copy(struct vfu *v, uint64_t iova, uint8_t *dst, const uint8_t *src, uint64_t len)
{
	bool write = src != NULL, intact = true;

	if (!vfu_bus_master(v) || !dma_covered(v, iova, len, write))
		return false;
	while (len) {
		uint64_t run = 0;
		const struct vfu_map *m = map_at(v, iova, write, &run);
		uint64_t n = EXP_MIN(len, run);

		if (!m)
			return false; /* went away between the look and the copy */
		if (write) {
			memcpy(m->ptr + (iova - m->iova), src, n);
			src += n;
		} else {
			memcpy(dst, m->ptr + (iova - m->iova), n);
			dst += n;
		}
		intact = intact && !vfu_guard_lost(m->guard);
		iova += n;
		len -= n;
	}
	return intact;
}

bool vfu_dma_read(struct vfu *v, uint64_t iova, void *dst, uint64_t len)
{
	return dma_copy(v, iova, dst, NULL, len);
}

bool vfu_dma_write(struct vfu *v, uint64_t iova, const void *src, uint64_t len)
{
	return dma_copy(v, iova, NULL, src, len);
}
