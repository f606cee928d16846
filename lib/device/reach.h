/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reach.h - a way to one NVMe PCI function: its registers, doorbells, memory map and interrupts
 *
 * Everything that differs between vfio-user and kernel VFIO is behind this table; the driver above
 * (transport_queues.c) is the same. All calls may be made from any thread and serialise
 * themselves; all but the doorbell store block, with a deadline of their own. Once a way is lost
 * (end of the connection, a reply that does not come) it stays lost: every call then fails with
 * -ENODEV and code DEVICE_GONE, and only closing is left.
 */
#ifndef EXP_DEVICE_REACH_H
#define EXP_DEVICE_REACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define EXP_NVME_DOORBELL_BASE 0x1000u /* BAR0 offset of the first doorbell */

struct exp_reach;

struct exp_reach_ops {
	const char *name;

	/* BAR0 registers below the doorbells; @width 4 or 8, @off a multiple of it */
	int (*reg_read)(struct exp_reach *r, uint32_t off, unsigned int width, uint64_t *ret,
			struct exp_error *err);
	int (*reg_write)(struct exp_reach *r, uint32_t off, unsigned int width, uint64_t value,
			 struct exp_error *err);

	/* one 32-bit doorbell at BAR0 offset @off, with release ordering after earlier stores */
	int (*doorbell)(struct exp_reach *r, uint32_t off, uint32_t value, struct exp_error *err);

	/* PCI configuration space; @n 1, 2 or 4 */
	int (*cfg_read)(struct exp_reach *r, uint32_t off, unsigned int n, uint32_t *ret,
			struct exp_error *err);
	int (*cfg_write)(struct exp_reach *r, uint32_t off, unsigned int n, uint32_t value,
			 struct exp_error *err);

	/* lets the device reach @bytes of @fd from @fd_off on at [iova, iova + bytes) */
	int (*dma_map)(struct exp_reach *r, int fd, uint64_t fd_off, uint64_t iova, uint64_t bytes,
		       struct exp_error *err);
	int (*dma_unmap)(struct exp_reach *r, uint64_t iova, uint64_t bytes, struct exp_error *err);

	/* MSI-X vectors first..first+n-1 signal @fds; the caller keeps its descriptors */
	int (*irq_attach)(struct exp_reach *r, unsigned int first, const int *fds, unsigned int n,
			  struct exp_error *err);

	/*
	 * Something may be readable at wait_fd: answer requests of the device's side, notice the
	 * end. 0, or -ENODEV once the way is lost.
	 */
	int (*service)(struct exp_reach *r, struct exp_error *err);

	bool (*lost)(const struct exp_reach *r); /* never blocks */

	void (*close)(struct exp_reach *r);
};

struct exp_reach {
	const struct exp_reach_ops *ops;
	unsigned int n_vectors; /* MSI-X vectors that can be attached, 0: poll */
	int wait_fd;            /* poll for POLLIN beside interrupts; -1: nothing to watch */
};

static inline bool exp_reach_lost(const struct exp_reach *r)
{
	return r->ops->lost(r);
}

#endif
