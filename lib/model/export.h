/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export.h - one exported NVM subsystem: what it is, where it lies, who may run it
 */
#ifndef EXP_MODEL_EXPORT_H
#define EXP_MODEL_EXPORT_H

#include <stdint.h>

#include "base/nqn.h"
#include "base/uuid.h"
#include "model/states.h"

#define EXP_NAME_MAX 63 /* device and peer names of the configuration, bytes */
/* One more for each attempt that was ever made: far above any, far below what a database holds. */
#define EXP_EPOCH_MAX        (UINT64_C(1) << 48)
#define EXP_SERIAL_MAX       20   /* Identify Controller SN */
#define EXP_CONFIG_STATE_MAX 4096 /* bytes; the Reference template has 412 */

struct exp_name {
	char s[EXP_NAME_MAX + 1]; /* [A-Za-z0-9._-]+ */
};

/*
 * What the guest sees, equal on every host that ever holds it; enough to build it again.
 * The configuration state is opaque here: its format belongs to the template.
 */
struct exp_export_desc {
	struct exp_nqn nqn;       /* ESUBNQN */
	struct exp_uuid template; /* UUID of the template it was created with */
	uint32_t ensid;           /* NSID that the guest sees */
	uint16_t ecntlid;         /* CNTLID that the guest sees */
	uint64_t nsze;            /* namespace size, logical blocks */
	uint32_t lba_bytes;       /* logical block, 512 or 4096 */
	uint8_t nguid[16];        /* zero when the namespace has none */
	struct exp_uuid uuid;     /* namespace UUID, nil when it has none */
	uint32_t config_len;
	uint8_t config[EXP_CONFIG_STATE_MAX];
};

/* Where it lies on this host. Device names are configuration; the serial number is the drive's. */
struct exp_place {
	struct exp_name device;
	char serial[EXP_SERIAL_MAX + 1];
	uint16_t cntlid; /* Underlying Controller that the guest has */
	uint16_t esubid; /* handle of the exported subsystem; given by the drive, may change */
	uint32_t nsid;   /* Underlying Namespace */
};

/*
 * Who may run it. One number per attempt to hand it over; the owner takes floor+1 and the number is
 * burned when the attempt fails. Kept per export for ever.
 */
struct exp_ownership {
	uint64_t own;    /* epoch owned by this host now, 0: not the owner */
	uint64_t floor;  /* highest epoch seen: nothing at or below it is new */
	uint64_t maxown; /* highest epoch ever owned here */
};

struct exp_export {
	struct exp_uuid id; /* the same on every host */
	struct exp_export_desc desc;
	struct exp_place place;
	struct exp_ownership owner;
	enum exp_export_status status;
	struct exp_uuid job;        /* open job that holds it, nil when none */
	uint64_t created_ms;        /* wall clock */
	struct exp_name owner_peer; /* who has it when it is away or superseded; "" unknown */
};

static inline uint64_t exp_export_bytes(const struct exp_export_desc *d)
{
	return d->nsze * d->lba_bytes;
}

#endif
