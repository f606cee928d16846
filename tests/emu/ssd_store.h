/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_store.h - the image directory: a lock, the metadata file, one sparse file per namespace
 *
 * DIR/lock is held while a process serves the image, DIR/image.json is replaced whole, and
 * DIR/ns-N.img holds the blocks. A namespace's file exists durably before the metadata names it
 * and is removed only after the metadata has forgotten it, so a kill leaves at worst a file that
 * nobody names; ssd_store_open() removes those. One thread.
 */
#ifndef EMU_SSD_STORE_H
#define EMU_SSD_STORE_H

#include "base/fault.h"
#include "emu/ssd_image.h"

struct ssd_store;

/**
 * ssd_store_open - take the lock of @dir, which is created when missing, and read the image
 * @img: what is stored; untouched when the directory holds no image yet
 * @ret_fresh: there was none; the caller fills an image and saves it
 * @faults: points "image.save", "ns.create", "ns.remove"; NULL outside tests
 *
 * -EBUSY: another process has it. -EINVAL: the metadata is damaged; nothing was changed.
 */
int ssd_store_open(const char *dir, struct exp_fault_plan *faults, struct ssd_store **ret,
		   struct ssd_image *img, bool *ret_fresh, struct exp_error *err) EXP_MUST_CHECK;
void ssd_store_close(struct ssd_store *s);

/** ssd_store_save - durable on return; on failure the former image or this one is stored */
int ssd_store_save(struct ssd_store *s, const struct ssd_image *img,
		   struct exp_error *err) EXP_MUST_CHECK;

/** ssd_store_create - a new file that reads as @bytes zeros; durable on return; *ret_fd is owned */
int ssd_store_create(struct ssd_store *s, uint64_t file, uint64_t bytes, int *ret_fd,
		     struct exp_error *err) EXP_MUST_CHECK;

/** ssd_store_attach - the file of a stored namespace, which has to have exactly @bytes */
int ssd_store_attach(struct ssd_store *s, uint64_t file, uint64_t bytes, int *ret_fd,
		     struct exp_error *err) EXP_MUST_CHECK;

/** ssd_store_remove - best effort: what stays is found at the next open */
void ssd_store_remove(struct ssd_store *s, uint64_t file);

/** ssd_store_tidy - remove files that @img does not name; what a kill left behind */
void ssd_store_tidy(struct ssd_store *s, const struct ssd_image *img);

#endif
