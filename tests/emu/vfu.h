/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfu.h - a vfio-user server for one PCI function: socket, messages, configuration space, DMA map,
 * interrupts
 *
 * It knows PCI and vfio-user (protocol 0.1) and nothing of NVMe: the controller behind it gets BAR0
 * accesses, resets and memory changes as calls, and reaches client memory through vfu_dma().
 * Everything here runs on the one thread that serves the function; vfu_poll() makes all callbacks.
 */
#ifndef EMU_VFU_H
#define EMU_VFU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define VFU_BAR0_SIZE      0x8000u /* registers 0000h, doorbells 1000h, MSI-X table 2000h, PBA 3000h */
#define VFU_DOORBELLS      0x1000u /* offset in BAR0 */
#define VFU_DOORBELL_BYTES 0x1000u

struct vfu;

struct vfu_pci {
	uint16_t vendor, device, subsys_vendor, subsys_id;
	uint8_t revision;
	uint16_t vectors; /* MSI-X, 1..256 */
};

struct vfu_ops {
	/* BAR0 0000h-0FFFh; @len is 1..8 and inside; always succeeds: reserved reads 0, writes are
	 * lost */
	uint64_t (*reg_read)(void *arg, uint32_t off, unsigned int len);
	void (*reg_write)(void *arg, uint32_t off, uint64_t val, unsigned int len);
	/* a doorbell that came as a message; the page holds the value already. @off counts from the
	 * start of the doorbell page: 0, 4, 8 ... FFCh */
	void (*doorbell)(void *arg, uint32_t off, uint32_t val);
	/* DEVICE_RESET or FLR. Mappings and eventfds stay; the doorbell page was zeroed before the
	 * call */
	void (*reset)(void *arg);
	/* memory came, or is about to go: on return nothing may touch [iova, iova+len) any more */
	void (*dma_mapped)(void *arg, uint64_t iova, uint64_t len);
	void (*dma_unmap)(void *arg, uint64_t iova, uint64_t len);
	/* VERSION was agreed; REGION_INFO comes later. Doorbells are fresh and zero: publish
	 * restored values here */
	void (*connected)(void *arg);
	/* all memory and eventfds are gone on return of this call's caller; the controller and its
	 * configuration space stay as they are (vfu_pci_reset() if they shall not). dma_unmap is
	 * not called for what goes this way; on return nothing may touch client memory any more */
	void (*disconnected)(void *arg);
};

/**
 * vfu_new - listen at DIR/cntrl (0600; a stale socket is removed; the directory must exist)
 * @map_doorbells: offer the doorbell page for mmap (the controller then polls it), else trap
 */
int vfu_new(const char *dir, const struct vfu_pci *pci, bool map_doorbells,
	    const struct vfu_ops *ops, void *arg, struct vfu **ret, struct exp_error *err);
void vfu_free(struct vfu *v);

/**
 * vfu_poll - wait up to @timeout_us for the socket, then handle what is there (bounded per turn)
 * @timeout_us: 0 looks and comes back at once
 *
 * Returns the number of messages handled. A broken client is disconnected, never an error here.
 */
int vfu_poll(struct vfu *v, uint64_t timeout_us);

/** vfu_wake - let a vfu_poll() that waits return; any thread */
void vfu_wake(struct vfu *v);

/**
 * vfu_dma - [iova, iova+len) in one mapping with the right, or NULL; valid until the next
 * vfu_poll()
 *
 * NULL also while bus mastering is off. The client may truncate the file under the pointer at any
 * time: such an access does not fault (zeros are put there instead), the mapping is given up, and
 * vfu_dma_intact() tells.
 */
void *vfu_dma(struct vfu *v, uint64_t iova, uint64_t len, bool write);

/** vfu_dma_intact - after the use of a vfu_dma() pointer: false when its memory went away
 * meanwhile, so that what was read or written counts for nothing (Data Transfer Error) */
bool vfu_dma_intact(struct vfu *v, uint64_t iova, uint64_t len);

/* Copy that may cross mappings; false when any byte is not mapped with the right (nothing copied
 * then), when bus mastering is off, or when the memory went away meanwhile. */
bool vfu_dma_read(struct vfu *v, uint64_t iova, void *dst, uint64_t len);
bool vfu_dma_write(struct vfu *v, uint64_t iova, const void *src, uint64_t len);

bool vfu_bus_master(
	const struct vfu *v); /* command register bit 2: without it no DMA, no interrupt */
bool vfu_is_connected(const struct vfu *v); /* VERSION agreed, not gone since */

/** vfu_pci_reset - configuration space as after power-on: bus mastering, MSI-X and BARs off */
void vfu_pci_reset(struct vfu *v);

/** vfu_irq - signal MSI-X vector @vec; dropped when it is off, masked or has no eventfd; any thread
 */
void vfu_irq(struct vfu *v, uint16_t vec);

/** vfu_doorbells - the page, 1024 little-endian dwords shared with the client; NULL when nobody is
 * there */
uint32_t *vfu_doorbells(struct vfu *v);

#endif
