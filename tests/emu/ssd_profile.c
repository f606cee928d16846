/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_profile.c - the table of profiles
 *
 * Two production-like drives of unlike vendors, then small ones that each lack or twist one
 * thing. A drive differs from its parent in the fields that its row names and in nothing else.
 */
#include "emu/ssd_profile.h"

#include "base/error.h"
#include "emu/ssd_spec.h"

/* 9f1c5b62-6d0e-4c1b-8a57-1e5d2c7b4a10: private to this emulator, the standard's is not public */
#define REFERENCE_UUID                                                                          \
	{                                                                                       \
		{                                                                               \
			0x9f, 0x1c, 0x5b, 0x62, 0x6d, 0x0e, 0x4c, 0x1b, 0x8a, 0x57, 0x1e, 0x5d, \
				0x2c, 0x7b, 0x4a, 0x10                                          \
		}                                                                               \
	}
/* the borealis vendor's own template and state: same bytes, another name */
#define BOREALIS_UUID                                                                           \
	{                                                                                       \
		{                                                                               \
			0x41, 0xd3, 0x0a, 0x9e, 0x27, 0xb8, 0x4f, 0x66, 0x93, 0x0c, 0x75, 0xe2, \
				0x18, 0xaf, 0x64, 0xbd                                          \
		}                                                                               \
	}

const struct exp_uuid ssd_reference_uuid = REFERENCE_UUID;

#define HOSTILE_SWITCHES                          \
	.sw = { .fn_reset_ends_suspend = true,    \
		.mmc_reset_ends_suspend = true,   \
		.mmc_close_resets = true,         \
		.power_cycle_drops_config = true, \
		.attach_when_suspended = true,    \
		.create_takes_nqn = true,         \
		.list_controllers = true,         \
		.list_offsets = true }

#define HOSTILE_LOG                            \
	.log = { .round_blocks = 8,            \
		 .merge = true,                \
		 .marker_carries_range = true, \
		 .marker_delay_us = 1000 }

#define AURORA                                                                               \
	.model = "Aurora VX9 Enterprise NVMe 3.84TB", .firmware = "AX92C041",                \
	.serial_prefix = "AUR", .vendor = 0x1DA5, .device = 0x0901, .subsys_vendor = 0x1DA5, \
	.subsys_id = 0x0001, .revision = 2, .ieee = { 0x5A, 0xD1, 0x00 }, .vectors = 65,     \
	.capacity_bytes = UINT64_C(64) << 30, .lbads = { 9, 12 }, .mdts = 8, .mps_max = 4,   \
	.mqes = 4095, .io_queues = 64, .rab = 6, .aerl = 7, .acl = 7, .elpe = 63,            \
	.oncs = ONCS_COMPARE | ONCS_DSM | ONCS_WZ | ONCS_VERIFY, .awun = 255, .awupf = 7,    \
	.warn_kelvin = 353, .namespaces = 32, .exports = 16, .mcudmq = 16, .mnsudmq = 16,    \
	.mcmr = 4096, .nmcmr = 16384, .mcdqpc = 4096, .templates = { REFERENCE_UUID },       \
	.n_templates = 1, .states = { REFERENCE_UUID }, .n_states = 1, HOSTILE_LOG,          \
	HOSTILE_SWITCHES

#define BOREALIS                                                                                 \
	.model = "BOREALIS DC-4 7T6", .firmware = "4.07b", .serial_prefix = "BX4-",              \
	.vendor = 0x1E0C, .device = 0x4D01, .subsys_vendor = 0x1E0C, .subsys_id = 0x0407,        \
	.revision = 1, .ieee = { 0x9C, 0x84, 0xAC }, .vectors = 33,                              \
	.capacity_bytes = UINT64_C(96) << 30, .lbads = { 12, 9 }, .mdts = 5, .mps_max = 0,       \
	.mqes = 1023, .io_queues = 32, .rab = 0, .aerl = 3, .acl = 3, .elpe = 15,                \
	.oncs = ONCS_DSM | ONCS_WZ, .awun = 0, .awupf = 0, .warn_kelvin = 343, .namespaces = 24, \
	.exports = 8, .mcudmq = 4, .mnsudmq = 4, .mcmr = 256, .nmcmr = 1024, .mcdqpc = 256,      \
	.templates = { BOREALIS_UUID, REFERENCE_UUID }, .n_templates = 2,                        \
	.states = { BOREALIS_UUID, REFERENCE_UUID }, .n_states = 2,                              \
	.log = { .round_blocks = 16,                                                             \
		 .merge = true,                                                                  \
		 .first_alone = true,                                                            \
		 .marker_carries_range = false,                                                  \
		 .marker_delay_us = 2000 },                                                      \
	.sw = { .fn_reset_ends_suspend = true,                                                   \
		.mmc_reset_ends_suspend = true,                                                  \
		.mmc_close_resets = true,                                                        \
		.power_cycle_drops_config = true,                                                \
		.attach_when_suspended = true,                                                   \
		.create_takes_nqn = false,                                                       \
		.list_controllers = true,                                                        \
		.list_offsets = true }

/* A row says again what its parent macro has said: that is how it differs. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#endif
static const struct ssd_profile profiles[] = {
	{ .name = "aurora",
	  .explain =
		  "production-like, generous: 1 MiB transfers, 64 queue pairs, 512-byte and 4 KiB "
		  "blocks; takes the nasty side of every open question",
	  AURORA },
	{ .name = "borealis",
	  .explain = "production-like, another vendor: 128 KiB transfers, 32 queue pairs, the "
		     "Reference template second in its lists, names exports itself",
	  BOREALIS },
	{ .name = "small",
	  .explain = "aurora with 256 MiB of capacity and room for two exports: too small for most "
		     "moves",
	  AURORA,
	  .capacity_bytes = UINT64_C(256) << 20,
	  .exports = 2 },
	{ .name = "fourk",
	  .explain = "borealis with 4 KiB blocks only",
	  BOREALIS,
	  .lbads = { 12 } },
	{ .name = "no-template",
	  .explain = "borealis with its vendor's template and state only: nothing in common with "
		     "aurora",
	  BOREALIS,
	  .n_templates = 1,
	  .n_states = 1 },
	{ .name = "no-log",
	  .explain = "aurora without change logging (TRATTR.TUDCS=0): offline moves only",
	  AURORA,
	  .mcudmq = 0,
	  .mnsudmq = 0,
	  .mcmr = 0,
	  .nmcmr = 0,
	  .mcdqpc = 0 },
	{ .name = "plain",
	  .explain = "aurora that exports nothing (ENSA=0): an ordinary drive with an MMC",
	  AURORA,
	  .exports = 0,
	  .n_templates = 0,
	  .n_states = 0 },
	{ .name = "contrary",
	  .explain =
		  "aurora that answers the other way where the standard has two answers: "
		  "configuration before namespace, 4,096-byte lists, templates from 0, 0/02h over "
		  "a limit, no controller list, no attach while suspended",
	  AURORA,
	  .sw = { .fn_reset_ends_suspend = true,
		  .mmc_reset_ends_suspend = true,
		  .mmc_close_resets = true,
		  .fn_close_resets = true,
		  .power_cycle_drops_config = true,
		  .config_before_ns = true,
		  .limits_invalid_field = true,
		  .template_index_from_0 = true,
		  .log_exported_nsid = true } },
	{ .name = "gentle",
	  .explain = "aurora with the kind side of every open question: suspensions and "
		     "configuration survive, the log is exact, prompt and goes on after Resume",
	  AURORA,
	  .log = { .round_blocks = 1 },
	  .sw = { .logging_survives_resume = true,
		  .attach_when_suspended = true,
		  .create_takes_nqn = true,
		  .list_controllers = true,
		  .list_offsets = true } },
};
#pragma GCC diagnostic pop

const struct ssd_profile *ssd_profile_at(size_t i)
{
	return i < EXP_ARRAY_SIZE(profiles) ? &profiles[i] : NULL;
}

const struct ssd_profile *ssd_profile_find(const char *name)
{
	for (size_t i = 0; i < EXP_ARRAY_SIZE(profiles); i++)
		if (!strcmp(profiles[i].name, name))
			return &profiles[i];
	return NULL;
}
