/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - a small vfio-user client: one PCI function, for the emulated guest and the tests
 *
 * It shares no code with the daemon's driver. All calls block until the device answers, at most ten
 * seconds; after a time-out or a broken stream the connection is given up and every later call
 * gives -ENODEV. Any thread may call (one conversation at a time, by a lock); close only when all
 * are done. Errors of the device come back as the negative errno that it sent.
 */
#ifndef EMU_CLIENT_H
#define EMU_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct emu_client;

/** emu_client_open - connect to DIR/cntrl, agree on a version, learn the regions, map the doorbells
 * if they can be */
int emu_client_open(const char *dir, struct emu_client **ret, struct exp_error *err) EXP_MUST_CHECK;
void emu_client_close(struct emu_client *c); /* NULL is fine */
EXP_DEFINE_CLEANUP(struct emu_client *, emu_client_close)

/** emu_client_fd - to poll: the device never speaks first, so readable or hung up means gone */
int emu_client_fd(const struct emu_client *c);
bool emu_client_gone(struct emu_client *c);              /* a look without waiting */
bool emu_client_mapped(const struct emu_client *c);      /* doorbells are stores to shared memory */
uint16_t emu_client_vectors(const struct emu_client *c); /* MSI-X */

/** emu_client_map - let the device read and write @len bytes of @fd from @offset on at @iova */
int emu_client_map(struct emu_client *c, int fd, uint64_t offset, uint64_t iova, uint64_t len,
		   struct exp_error *err) EXP_MUST_CHECK;
int emu_client_unmap(struct emu_client *c, uint64_t iova, uint64_t len, struct exp_error *err);

/* Controller registers, BAR0 0000h-0FFFh; @len is 1 to 8. */
int emu_client_reg_read(struct emu_client *c, uint32_t off, unsigned int len, uint64_t *ret,
			struct exp_error *err) EXP_MUST_CHECK;
int emu_client_reg_write(struct emu_client *c, uint32_t off, unsigned int len, uint64_t val,
			 struct exp_error *err) EXP_MUST_CHECK;
/* Configuration space, @len bytes, at most 4096. */
int emu_client_cfg_read(struct emu_client *c, uint32_t off, void *dst, uint32_t len,
			struct exp_error *err) EXP_MUST_CHECK;
int emu_client_cfg_write(struct emu_client *c, uint32_t off, const void *src, uint32_t len,
			 struct exp_error *err) EXP_MUST_CHECK;

/** emu_client_bus_master - switch command register bits memory space and bus master */
int emu_client_bus_master(struct emu_client *c, bool on, struct exp_error *err) EXP_MUST_CHECK;

/** emu_client_irqs - MSI-X vector @start + i signals eventfd @fds[i]; @fds NULL detaches @n of them
 */
int emu_client_irqs(struct emu_client *c, uint16_t start, const int *fds, uint16_t n,
		    struct exp_error *err) EXP_MUST_CHECK;
/** emu_client_msix - the enable bit of the capability */
int emu_client_msix(struct emu_client *c, bool on, struct exp_error *err) EXP_MUST_CHECK;

int emu_client_reset(struct emu_client *c, struct exp_error *err) EXP_MUST_CHECK;

/** emu_client_ring - SQ tail or CQ head doorbell of queue @qid, stride 4; a release store or a
 * message */
int emu_client_ring(struct emu_client *c, uint16_t qid, bool cq, uint16_t val);

#endif
