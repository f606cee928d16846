/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfu_pci.c - configuration space of an NVMe function, and who answers for which part of BAR0
 *
 * Configuration space is a value and a mask of writable bits per byte; writes to anything else
 * succeed and change nothing, as on a bus. Capabilities: power management 40h, PCI Express 48h,
 * MSI-X 84h (PCI Express Base; class code 010802h is NVM Express). Extended space is empty.
 * BAR0: controller registers, doorbells, MSI-X table, pending bits, then nothing.
 */
#include <string.h>

#include "base/le.h"
#include "emu/vfu_int.h"

#define CFG_COMMAND     0x04
#define CFG_BAR0        0x10
#define CFG_PM          0x40
#define CFG_PMCSR       (CFG_PM + 4)
#define CFG_PCIE        0x48
#define CFG_DEVCTL      (CFG_PCIE + 8)
#define CFG_MSIX        0x84
#define CFG_MSIX_CTRL   (CFG_MSIX + 2)
#define CMD_BUS_MASTER  0x0004u
#define DEVCTL_FLR_HIGH 0x80u /* bit 15, seen in the upper byte */
#define MSIX_ENABLE     0x8000u
#define MSIX_FMASK      0x4000u

static void put(uint8_t *at, size_t bytes, uint32_t val)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(val >> (8 * i));
}

/* value and writable bits of one field */
static void field(struct vfu *v, uint32_t off, size_t bytes, uint32_t val, uint32_t writable)
{
	put(v->cfg + off, bytes, val);
	put(v->mask + off, bytes, writable);
}

static void cfg_defaults(struct vfu *v)
{
	const struct vfu_pci *p = &v->pci;

	memset(v->cfg, 0, sizeof(v->cfg));
	memset(v->mask, 0, sizeof(v->mask));
	field(v, 0x00, 2, p->vendor, 0);
	field(v, 0x02, 2, p->device, 0);
	field(v, CFG_COMMAND, 2, 0, 0x0547); /* I/O, memory, bus master, parity, SERR, INTx off */
	field(v, 0x06, 2, 0x0010, 0);        /* there is a capability list */
	field(v, 0x08, 1, p->revision, 0);
	field(v, 0x09, 1, 0x02, 0); /* NVM Express, of non-volatile memory, of mass storage */
	field(v, 0x0a, 1, 0x08, 0);
	field(v, 0x0b, 1, 0x01, 0);
	field(v, 0x0c, 1, 0, 0xff);
	field(v, CFG_BAR0, 4, 0x4, ~(VFU_BAR0_SIZE - 1)); /* 64 bit, not prefetchable */
	field(v, CFG_BAR0 + 4, 4, 0, 0xffffffff);
	field(v, 0x2c, 2, p->subsys_vendor, 0);
	field(v, 0x2e, 2, p->subsys_id, 0);
	field(v, 0x34, 1, CFG_PM, 0);
	field(v, 0x3c, 1, 0, 0xff); /* line; the pin stays 0: no INTx */

	field(v, CFG_PM, 2, 0x01 | CFG_PCIE << 8, 0);
	field(v, CFG_PM + 2, 2, 0x0003, 0);
	field(v, CFG_PMCSR, 2, 0x0008, 0x0003); /* no soft reset; power state */

	field(v, CFG_PCIE, 2, 0x10 | CFG_MSIX << 8, 0);
	field(v, CFG_PCIE + 0x02, 2, 0x0002, 0);     /* version 2, endpoint */
	field(v, CFG_PCIE + 0x04, 4, 0x10008000, 0); /* FLR, role-based error reporting */
	field(v, CFG_DEVCTL, 2, 0x2810, 0x7fff);     /* bit 15 starts an FLR and reads 0 */
	field(v, CFG_PCIE + 0x0c, 4, 0x00000043, 0); /* link: 8 GT/s, 4 lanes */
	field(v, CFG_PCIE + 0x12, 2, 0x0043, 0);
	field(v, CFG_PCIE + 0x24, 4, 0x00000010, 0); /* completion timeout disable */
	field(v, CFG_PCIE + 0x28, 2, 0, 0x001f);

	field(v, CFG_MSIX, 2, 0x11, 0);
	field(v, CFG_MSIX_CTRL, 2, p->vectors - 1u, MSIX_ENABLE | MSIX_FMASK);
	field(v, CFG_MSIX + 4, 4, VFU_MSIX_TABLE, 0); /* both in BAR 0 */
	field(v, CFG_MSIX + 8, 4, VFU_MSIX_PBA, 0);
}

static void table_defaults(struct vfu *v)
{
	memset(v->msix_table, 0, sizeof(v->msix_table));
	for (size_t i = 0; i < VFU_MAX_VECTORS; i++)
		v->msix_table[16 * i + 12] = 1; /* masked */
}

/* Tell vfu_irq(), which reads from other threads, what the configuration says now. */
static void cfg_publish(struct vfu *v)
{
	uint16_t msix = exp_le16(v->cfg + CFG_MSIX_CTRL);
	bool masked = msix & MSIX_FMASK;

	atomic_store(&v->bus_master, exp_le16(v->cfg + CFG_COMMAND) & CMD_BUS_MASTER);
	atomic_store(&v->msix_on, msix & MSIX_ENABLE);
	if (atomic_exchange(&v->msix_masked, masked) && !masked && (msix & MSIX_ENABLE))
		vfu_irqs_release(v);
}

void vfu_pci_init(struct vfu *v)
{
	cfg_defaults(v);
	table_defaults(v);
	cfg_publish(v);
}

void vfu_pci_reset(struct vfu *v)
{
	vfu_irqs_forget(v);
	vfu_pci_init(v);
}

/* As the kernel's reset of a function: what the host configured is put back, MSI-X is off. */
void vfu_device_reset(struct vfu *v)
{
	put(v->cfg + CFG_MSIX_CTRL, 2, v->pci.vectors - 1u);
	table_defaults(v);
	vfu_irqs_forget(v);
	cfg_publish(v);
	vfu_page_zero(v);
	v->ops->reset(v->arg);
}

static void function_level_reset(struct vfu *v)
{
	vfu_pci_reset(v);
	vfu_page_zero(v);
	v->ops->reset(v->arg);
}

bool vfu_bus_master(const struct vfu *v)
{
	return atomic_load(&v->bus_master);
}

void vfu_cfg_read(struct vfu *v, uint32_t off, uint8_t *dst, uint32_t count)
{
	memcpy(dst, v->cfg + off, count);
}

void vfu_cfg_write(struct vfu *v, uint32_t off, const uint8_t *src, uint32_t count)
{
	uint8_t power = v->cfg[CFG_PMCSR];
	bool flr = false;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = off + i;

		v->cfg[at] = (uint8_t)((v->cfg[at] & ~v->mask[at]) | (src[i] & v->mask[at]));
		if (at == CFG_DEVCTL + 1 && (src[i] & DEVCTL_FLR_HIGH))
			flr = true;
	}
	if ((v->cfg[CFG_PMCSR] & 3) == 1 || (v->cfg[CFG_PMCSR] & 3) == 2)
		v->cfg[CFG_PMCSR] = power; /* D1 and D2 do not exist here: the write is lost */
	cfg_publish(v);
	if (flr)
		function_level_reset(v);
}

/* The longest naturally aligned piece, at most 8 bytes, that begins at @off. */
static uint32_t piece(uint32_t off, uint32_t left)
{
	uint32_t n = 8;

	while (n > left || (off & (n - 1)))
		n /= 2;
	return n;
}

static void regs_read(struct vfu *v, uint32_t off, uint8_t *dst, uint32_t count)
{
	while (count) {
		uint32_t n = piece(off, count);
		uint64_t val = v->ops->reg_read(v->arg, off, n);

		for (uint32_t i = 0; i < n; i++)
			dst[i] = (uint8_t)(val >> (8 * i));
		off += n;
		dst += n;
		count -= n;
	}
}

static void regs_write(struct vfu *v, uint32_t off, const uint8_t *src, uint32_t count)
{
	while (count) {
		uint32_t n = piece(off, count);
		uint64_t val = 0;

		for (uint32_t i = 0; i < n; i++)
			val |= (uint64_t)src[i] << (8 * i);
		v->ops->reg_write(v->arg, off, val, n);
		off += n;
		src += n;
		count -= n;
	}
}

/* One aligned dword is a doorbell; any other access there means nothing and is lost. */
static void doorbell_write(struct vfu *v, uint32_t off, const uint8_t *src, uint32_t count)
{
	uint32_t val;

	if (count != 4 || (off & 3))
		return;
	val = exp_le32(src);
	__atomic_store_n(&v->page[off / 4], htole32(val), __ATOMIC_RELEASE);
	v->ops->doorbell(v->arg, off, val);
}

/* The bytes of [off, off+count) that lie in the window at @start of @len; they are *ret_n. */
static uint32_t window(uint32_t off, uint32_t count, uint32_t start, uint32_t len)
{
	if (off < start || off >= start + len)
		return 0;
	return EXP_MIN(count, start + len - off);
}

void vfu_bar_read(struct vfu *v, uint32_t off, uint8_t *dst, uint32_t count)
{
	while (count) {
		uint32_t n;

		if ((n = window(off, count, 0, VFU_REGISTERS))) {
			regs_read(v, off, dst, n);
		} else if ((n = window(off, count, VFU_DOORBELLS, VFU_DOORBELL_BYTES))) {
			memset(dst, 0, n);
		} else if ((n = window(off, count, VFU_MSIX_TABLE, sizeof(v->msix_table)))) {
			memcpy(dst, v->msix_table + (off - VFU_MSIX_TABLE), n);
		} else if ((n = window(off, count, VFU_MSIX_PBA, 0x1000))) {
			vfu_irqs_pba(v, off - VFU_MSIX_PBA, dst, n);
		} else {
			n = count;
			memset(dst, 0, n);
		}
		off += n;
		dst += n;
		count -= n;
	}
}

void vfu_bar_write(struct vfu *v, uint32_t off, const uint8_t *src, uint32_t count)
{
	while (count) {
		uint32_t n;

		if ((n = window(off, count, 0, VFU_REGISTERS)))
			regs_write(v, off, src, n);
		else if ((n = window(off, count, VFU_DOORBELLS, VFU_DOORBELL_BYTES)))
			doorbell_write(v, off - VFU_DOORBELLS, src, n);
		else if ((n = window(off, count, VFU_MSIX_TABLE, sizeof(v->msix_table))))
			memcpy(v->msix_table + (off - VFU_MSIX_TABLE), src, n);
		else
			n = count;
		off += n;
		src += n;
		count -= n;
	}
}
