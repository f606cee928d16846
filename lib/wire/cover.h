/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cover.h - which parts of a namespace have been received at least once
 *
 * A job fails if what came does not cover the namespace, so this is kept exactly, in blocks of
 * 4 KiB, and small: one bit for each 2 MiB that is whole, 64 bytes for each that is begun.
 */
#ifndef EXP_WIRE_COVER_H
#define EXP_WIRE_COVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define EXP_COVER_BLOCK_BYTES 4096u
#define EXP_COVER_LEAF_BYTES  (2u * 1024 * 1024)

struct exp_cover;

/** exp_cover_new - for a namespace of @bytes; nothing is covered. -EINVAL for 0, -ENOMEM */
int exp_cover_new(uint64_t bytes, struct exp_cover **ret) EXP_MUST_CHECK;
void exp_cover_free(struct exp_cover *c); /* NULL is fine */
EXP_DEFINE_CLEANUP(struct exp_cover *, exp_cover_free)

/**
 * exp_cover_add - [@offset, @offset + @len) is there; a range may be added many times
 *
 * Blocks that the range touches only in part stay uncovered, except the namespace's last one when
 * the range goes to its end. The range lies inside the namespace (the caller has checked).
 * -ENOMEM: nothing was added that is not there.
 */
int exp_cover_add(struct exp_cover *c, uint64_t offset, uint64_t len) EXP_MUST_CHECK;

bool exp_cover_whole(const struct exp_cover *c);

/** exp_cover_missing - bytes not covered, and where the first of them are in *ret_offset */
uint64_t exp_cover_missing(const struct exp_cover *c, uint64_t *ret_offset);

#endif
