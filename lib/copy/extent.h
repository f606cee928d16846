/* SPDX-License-Identifier: Apache-2.0 */
/*
 * extent.h - one piece of a namespace on its way: what planner and in-flight set share
 */
#ifndef EXP_COPY_EXTENT_H
#define EXP_COPY_EXTENT_H

#include <stdbool.h>
#include <stdint.h>

#define EXP_COPY_GRAIN      4096u                 /* bytes of one bit in the dirty map */
#define EXP_COPY_EXTENT_MAX (1024u * 1024)        /* bytes: what one message may carry */
#define EXP_COPY_RANGE_MAX  (1024u * 1024 * 1024) /* of a range without data */

/* What a taken extent is. */
enum exp_extent_kind {
	EXP_EXTENT_READ = 1,        /* read it and send what is there (data, or zero) */
	EXP_EXTENT_UNALLOCATED = 2, /* first pass: never written; reads as zeros at the source */
	EXP_EXTENT_DEALLOCATED = 3, /* the change log says: deallocated, and nothing since; or an
				     * unallocated range that has to be told again */
};

struct exp_extent {
	enum exp_extent_kind kind;
	uint32_t ns;     /* index */
	uint64_t offset; /* a multiple of EXP_COPY_GRAIN and of the logical block */
	uint32_t len;    /* the same, unless it ends where the namespace ends */
	uint32_t session, stream;
	uint64_t seq; /* 1.. on its stream in this session */
	bool first_pass;
	bool resent; /* it was sent before and not acknowledged */
};

#endif
