/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_profile.h - what kind of SSD is emulated: vendor, limits, and how it decides where the
 * standard leaves room
 *
 * Everything that two drives may do differently is a field here, so that no code asks which
 * profile it runs. The switches default to the side that hurts the host most; each names the
 * open question ("A-15") that README.md explains.
 */
#ifndef EMU_SSD_PROFILE_H
#define EMU_SSD_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/uuid.h"

#define SSD_PROFILE_UUIDS 4

/* How the change log describes what was written; all of it is legal, none of it is exact. */
struct ssd_log_habits {
	uint32_t round_blocks;     /* written ranges grow to multiples of this; 1: exact */
	bool merge;                /* a range that touches the one before it joins it */
	bool first_alone;          /* ESA 001b comes at once and without a range */
	bool marker_carries_range; /* the end marker brings the last range along */
	uint32_t marker_delay_us;  /* 010b and 011b come this long after the command is done */
};

/* Where the standard is silent or has two answers. */
struct ssd_switches {
	bool fn_reset_ends_suspend;  /* reset of the suspended controller itself */
	bool mmc_reset_ends_suspend; /* reset of the MMC, for all controllers at once */
	bool mmc_close_resets;       /* the MMC's client closed its socket, as kernel VFIO would */
	bool fn_close_resets;        /* the same for a guest's function */
	bool power_cycle_drops_config; /* exported configuration is volatile */
	bool logging_survives_resume;  /* */
	bool attach_when_suspended;    /* 15h on a suspended controller is legal */
	bool create_takes_nqn;         /* Q1: 2Ah Create reads the wanted NQN from the buffer */
	bool list_controllers;         /* 2Ah SEL 03h */
	bool list_offsets;          /* CDW12/13/15 of 2Ah and 2Dh; else 4,096 bytes, zeros */
	bool config_before_ns;      /* refuses a namespace before the configuration */
	bool limits_invalid_field;  /* over a limit is 0/02h instead of 1/38h */
	bool template_index_from_0; /* ENSTI counts from 0 */
	bool log_exported_nsid;     /* the change log names ENSID instead of the underlying NSID */
};

struct ssd_profile {
	const char *name;
	const char *explain; /* one or two sentences for --list-profiles */

	const char *model, *firmware, *serial_prefix; /* at most 40, 8 and 8 characters */
	uint16_t vendor, device, subsys_vendor, subsys_id;
	uint8_t revision, ieee[3];
	uint16_t vectors; /* MSI-X of each function, 1..256 */

	uint64_t capacity_bytes; /* of a new image */
	uint8_t lbads[2];        /* formats, log2 of the block size; 0 ends */
	uint8_t mdts;            /* power of two of 4 KiB pages, 1..8 */
	uint8_t mps_max;         /* CAP.MPSMAX */
	uint16_t mqes;           /* CAP.MQES, 0's based */
	uint16_t io_queues;      /* pairs per function, at most SSD_QUEUES - 1 */
	uint8_t rab, aerl, acl, elpe;
	uint16_t oncs;
	uint16_t awun, awupf; /* 0's based */
	uint16_t warn_kelvin; /* default of feature 04h */
	uint32_t namespaces;  /* NN, at most SSD_MAX_NS */

	uint16_t exports; /* MNENS; 0 with no templates: the drive exports nothing */
	uint16_t mcudmq, mnsudmq, mcmr, nmcmr, mcdqpc; /* mcudmq 0: no change log */
	struct exp_uuid templates[SSD_PROFILE_UUIDS];  /* CNS 22h, in order */
	size_t n_templates;
	struct exp_uuid states[SSD_PROFILE_UUIDS]; /* CNS 20h, in order */
	size_t n_states;

	struct ssd_log_habits log;
	struct ssd_switches sw;
};

/* The UUID under which this emulator offers the Reference template and its state. */
extern const struct exp_uuid ssd_reference_uuid;

/** ssd_profile_find - by name, or NULL */
const struct ssd_profile *ssd_profile_find(const char *name);

/** ssd_profile_at - the i-th, or NULL beyond the last */
const struct ssd_profile *ssd_profile_at(size_t i);

#endif
