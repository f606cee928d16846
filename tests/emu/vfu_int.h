/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfu_int.h - what the files of the vfio-user server share with each other and with nobody else
 *
 * vfu_sock.c owns the descriptors and the framing and calls vfu_msg_handle() once per whole
 * message; vfu_msg.c knows the commands and calls vfu_pci.c, vfu_dma.c and vfu_irq.c for what they
 * mean. Received descriptors belong to the message: a command that keeps one takes it out (leaves
 * -1), everything left is closed in one place, so that no error path can leak.
 */
#ifndef EMU_VFU_INT_H
#define EMU_VFU_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "emu/vfu.h"

#define VFU_HEADER      16
#define VFU_MAX_FDS     16                                /* what VERSION promises */
#define VFU_MAX_XFER    1048576u                          /* the same */
#define VFU_MAX_SIZE    (VFU_HEADER + 16 + VFU_MAX_XFER)  /* whole message from a client */
#define VFU_MAX_REPLY   (VFU_HEADER + 16 + VFU_BAR0_SIZE) /* largest answer: all of BAR0 */
#define VFU_MAX_JSON    4096
#define VFU_MAX_MAPS    4096
#define VFU_MAX_VECTORS 256
#define VFU_TURN        64 /* messages per vfu_poll(), so that queues get their turn too */

#define VFU_CFG_SIZE    4096u
#define VFU_REGISTERS   0x1000u /* bytes of BAR0 that the controller answers for */
#define VFU_MSIX_TABLE  0x2000u
#define VFU_MSIX_PBA    0x3000u
#define VFU_REGION_BAR0 0
#define VFU_REGION_CFG  7
#define VFU_REGIONS     9

enum vfu_conn {
	VFU_IDLE,     /* nobody there */
	VFU_GREETING, /* accepted, VERSION not agreed: the controller does not know yet */
	VFU_UP,
};

struct vfu_msg {
	uint16_t id, cmd;
	uint32_t flags;
	const uint8_t *body; /* @len bytes, borrowed */
	size_t len;
	int fds[VFU_MAX_FDS]; /* -1: taken */
	size_t n_fds;
};

struct vfu_reply {
	uint8_t *body; /* room for VFU_MAX_REPLY - VFU_HEADER */
	size_t len;
	int fd; /* borrowed, -1: none */
};

struct vfu_map {
	uint64_t iova, len;
	uint8_t *ptr; /* of @iova; NULL: came without a descriptor, cannot be reached */
	void *base;   /* what mmap() returned, @base_len bytes */
	size_t base_len;
	int guard;      /* slot of vfu_guard.c */
	uint32_t flags; /* 1 readable, 2 writeable by the device */
	uint64_t offset;
	dev_t dev; /* with @ino: which file, to know the same range when it comes again */
	ino_t ino;
};

struct vfu_dma_table {
	struct vfu_map *maps; /* ascending by iova, disjoint */
	size_t n, cap;
};

struct vfu_eventfd {
	int fd;     /* -1: none */
	bool block; /* the client's end is blocking: ask before writing */
};

struct vfu_irqs {
	pthread_mutex_t lock; /* vfu_irq() comes from any thread */
	struct vfu_eventfd vec[VFU_MAX_VECTORS];
	struct vfu_eventfd err, req; /* types 3 and 4: kept, never fired */
	uint64_t pending[VFU_MAX_VECTORS / 64];
};

struct vfu {
	struct vfu_pci pci;
	bool map_doorbells;
	const struct vfu_ops *ops;
	void *arg;

	/* vfu_sock.c */
	char *path;
	int listen_fd, wake_fd, fd;
	_Atomic(enum vfu_conn) conn;
	bool doomed; /* disconnect once the answer is out */
	uint8_t head[VFU_HEADER];
	size_t have; /* bytes of the current message, header included */
	uint32_t size;
	uint8_t *body;
	size_t body_cap;
	struct vfu_msg msg;
	uint8_t *out; /* VFU_MAX_REPLY */
	size_t out_len, out_sent;
	int out_fd; /* borrowed, goes with the first byte */
	int page_fd;
	uint32_t *page; /* the doorbells; its file has them at VFU_DOORBELLS */

	/* vfu_pci.c */
	uint8_t cfg[VFU_CFG_SIZE], mask[VFU_CFG_SIZE]; /* value, writable bits */
	uint8_t msix_table[VFU_MAX_VECTORS * 16];
	/* copies of configuration bits for vfu_irq() on another thread */
	_Atomic bool bus_master, msix_on, msix_masked;

	struct vfu_dma_table dma;
	struct vfu_irqs irqs;
};

/* vfu_msg.c: make the answer in v->out; may set v->doomed */
void vfu_msg_handle(struct vfu *v, struct vfu_msg *m);

/* vfu_sock.c: every doorbell to zero */
void vfu_page_zero(struct vfu *v);

/* vfu_pci.c. @count is inside the region; @off + @count too */
void vfu_pci_init(struct vfu *v);
void vfu_cfg_read(struct vfu *v, uint32_t off, uint8_t *dst, uint32_t count);
void vfu_cfg_write(struct vfu *v, uint32_t off, const uint8_t *src, uint32_t count);
void vfu_bar_read(struct vfu *v, uint32_t off, uint8_t *dst, uint32_t count);
void vfu_bar_write(struct vfu *v, uint32_t off, const uint8_t *src, uint32_t count);
void vfu_device_reset(struct vfu *v); /* DEVICE_RESET: like FLR, but the host's settings stay */

/* vfu_dma.c */
int vfu_dma_map(struct vfu *v, const struct vfu_map *want, int fd);
int vfu_dma_unmap(struct vfu *v, uint64_t iova, uint64_t len);
void vfu_dma_unmap_all(struct vfu *v, bool tell);

/* vfu_irq.c */
int vfu_irqs_init(struct vfu_irqs *q);
void vfu_irqs_done(struct vfu_irqs *q);
int vfu_irqs_set(struct vfu *v, struct vfu_msg *m);
uint32_t vfu_irqs_count(const struct vfu *v, uint32_t type); /* UINT32_MAX: no such type */
void vfu_irqs_detach_all(struct vfu *v);
void vfu_irqs_release(struct vfu *v); /* the function mask was lifted: fire what is pending */
void vfu_irqs_forget(struct vfu *v);  /* reset: nothing is pending */
void vfu_irqs_pba(struct vfu *v, uint32_t off, uint8_t *dst, uint32_t count);

/* vfu_guard.c: memory that a client may take away under us */
int vfu_guard_add(void *p, size_t len, size_t granule, bool write); /* slot or -errno */
void vfu_guard_del(int slot);
bool vfu_guard_lost(int slot);

#endif
