/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_mem.c - the guest's memory file and its two ranges
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emu/guest_mem.h"

#define LOW_RAM  0x00100000u
#define HIGH_RAM 0x100000000u

int emu_mem_open(struct emu_mem *m, const char *path, uint64_t bytes, struct exp_error *err)
{
	uint64_t half = (bytes / 2) & ~(uint64_t)(EMU_PAGE - 1);

	*m = (struct emu_mem){ .bytes = bytes, .fd = -1 };
	if (bytes % EMU_PAGE || bytes < 1024 * 1024 || half > HIGH_RAM - LOW_RAM)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "%llu bytes of guest memory; a multiple of %u from 1 MiB to "
				     "7 GiB is possible",
				     (unsigned long long)bytes, EMU_PAGE);
	m->fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)
		     : memfd_create("guest-memory", MFD_CLOEXEC);
	if (m->fd < 0)
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "guest memory %s: %s",
				     path ? path : "(memfd)", strerror(errno));
	if (ftruncate(m->fd, (off_t)bytes) < 0)
		goto fail_close;
	m->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	if (m->base == MAP_FAILED)
		goto fail_close;
	m->range[0] = (struct emu_mem_range){ .iova = LOW_RAM, .bytes = half };
	m->range[1] =
		(struct emu_mem_range){ .iova = HIGH_RAM, .bytes = bytes - half, .offset = half };
	return 0;

fail_close:;
	int r = errno;

	close(m->fd);
	m->fd = -1;
	m->base = NULL;
	return exp_error_set(err, EXP_CODE_SYSTEM, r, "guest memory of %llu bytes: %s",
			     (unsigned long long)bytes, strerror(r));
}

void emu_mem_close(struct emu_mem *m)
{
	if (m->base)
		munmap(m->base, m->bytes);
	if (m->fd >= 0)
		close(m->fd);
	m->base = NULL;
	m->fd = -1;
}

static int take(struct emu_mem *m, struct emu_mem_range *r, uint64_t bytes, uint64_t *ret)
{
	if (r->bytes - r->used < bytes)
		return -ENOMEM;
	*ret = r->iova + r->used;
	memset(m->base + r->offset + r->used, 0, bytes);
	r->used += bytes;
	return 0;
}

static int full(const struct emu_mem *m, uint64_t bytes, struct exp_error *err)
{
	return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM,
			     "guest memory of %llu bytes has no %llu left: give it more",
			     (unsigned long long)m->bytes, (unsigned long long)bytes);
}

int emu_mem_run(struct emu_mem *m, uint32_t pages, uint64_t *ret, struct exp_error *err)
{
	uint64_t bytes = (uint64_t)pages * EMU_PAGE;

	for (size_t i = 0; i < EMU_MEM_RANGES; i++) {
		if (!take(m, &m->range[i], bytes, ret))
			return 0;
	}
	return full(m, bytes, err);
}

int emu_mem_page(struct emu_mem *m, uint64_t *ret, struct exp_error *err)
{
	for (size_t i = 0; i < EMU_MEM_RANGES; i++) {
		struct emu_mem_range *r = &m->range[m->turn++ % EMU_MEM_RANGES];

		if (!take(m, r, EMU_PAGE, ret))
			return 0;
	}
	return full(m, EMU_PAGE, err);
}

void *emu_mem_ptr(const struct emu_mem *m, uint64_t iova)
{
	for (size_t i = 0; i < EMU_MEM_RANGES; i++) {
		const struct emu_mem_range *r = &m->range[i];

		if (iova >= r->iova && iova - r->iova < r->bytes)
			return m->base + r->offset + (iova - r->iova);
	}
	assert(!"an address that the guest never handed out");
	return NULL;
}

int emu_mem_share(const struct emu_mem *m, struct emu_client *c, struct exp_error *err)
{
	for (size_t i = 0; i < EMU_MEM_RANGES; i++) {
		const struct emu_mem_range *r = &m->range[i];
		int e = emu_client_map(c, m->fd, r->offset, r->iova, r->bytes, err);

		if (e < 0)
			return exp_error_wrap(err, e, "guest memory");
	}
	return 0;
}
