/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dma_mem.h - memory that the device can reach: sealed memfds, mapped once, given out in pages
 *
 * Large segments are mapped into the device's address space when they are first needed and stay
 * until the end; pages inside are given out first fit. Memory that is not touched costs nothing.
 * What is given out is zero. Any thread.
 */
#ifndef EXP_DEVICE_DMA_MEM_H
#define EXP_DEVICE_DMA_MEM_H

#include "device/transport.h"

#define EXP_DMA_PAGE      4096u
#define EXP_DMA_MAX_BYTES (1ull << 30) /* one allocation */

struct exp_dma_mem;

/** exp_dma_mem_new - nothing is mapped yet; @reach is borrowed and must outlive it */
int exp_dma_mem_new(struct exp_reach *reach, struct exp_dma_mem **ret,
		    struct exp_error *err) EXP_MUST_CHECK;

/** exp_dma_mem_free - NULL is fine; the device's mappings end with the way to it */
void exp_dma_mem_free(struct exp_dma_mem *m);

/** exp_dma_alloc - at least @bytes, contiguous for the device; -EINVAL: 0 or above the maximum */
int exp_dma_alloc(struct exp_dma_mem *m, size_t bytes, struct exp_dma *ret,
		  struct exp_error *err) EXP_MUST_CHECK;

/** exp_dma_release - only when no command that names it is outstanding; clears *@d, twice is fine
 */
void exp_dma_release(struct exp_dma_mem *m, struct exp_dma *d);

#endif
