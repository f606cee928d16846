/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_parts.h - pieces that several replies have in common; for lib/control alone
 */
#ifndef EXP_CONTROL_API_PARTS_H
#define EXP_CONTROL_API_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "model/export.h"

/* the value, or null when it is not known; a nil UUID is not known */
void exp_api_put_known_u64(struct exp_json *o, const char *name, bool known, uint64_t v);
void exp_api_put_known_uuid(struct exp_json *o, const char *name, const struct exp_uuid *u);

/* device, serial, cntlid, esubid, nsid into @o; null each while the place is not known */
void exp_api_put_place(struct exp_json *o, const struct exp_place *p);

#endif
