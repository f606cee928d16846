/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_export.h - between the commands of exported subsystems and the rules of their configuration
 */
#ifndef EMU_SSD_EXPORT_H
#define EMU_SSD_EXPORT_H

#include "emu/ssd_internal.h"

/** ssd_export_nqn_free - neither the drive nor an export other than @but has this name */
bool ssd_export_nqn_free(struct ssd *ssd, const char *nqn, uint16_t but);

/**
 * ssd_export_configure - check a configuration state against the drive and take it into @e
 * @ret_where: byte offset of the first field that this drive cannot honour, on false
 */
bool ssd_export_configure(struct ssd *ssd, struct ssd_image_export *e,
			  const uint8_t d[SSD_CONFIG_BYTES], size_t *ret_where);

/** ssd_export_format_fits - has @ns the block format that @e is configured with? */
bool ssd_export_format_fits(const struct ssd_image_export *e, const struct ssd_image_ns *ns);

#endif
