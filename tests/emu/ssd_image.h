/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_image.h - what an emulated SSD remembers without power, as plain values and as JSON
 *
 * One struct holds all of it. A command that changes it works on a copy, lets the store make the
 * copy durable, and only then does the device believe it.
 */
#ifndef EMU_SSD_IMAGE_H
#define EMU_SSD_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/uuid.h"

#define SSD_MAX_FN       33 /* functions with the MMC; CNTLIDs are 0..SSD_MAX_FN - 1 */
#define SSD_MAX_NS       64
#define SSD_MAX_EXPORTS  32
#define SSD_NQN_BYTES    256
#define SSD_CONFIG_BYTES 412 /* configuration state of the Reference template */
#define SSD_NO_CTRL      0xFFFF
#define SSD_IMAGE_MAX    (1u << 20) /* bytes of the file */

struct ssd_image_ns {
	uint32_t nsid;
	uint64_t file; /* number in the file's name; never used twice */
	uint64_t blocks;
	uint8_t lbads;
	bool shared;       /* NMIC bit 0 */
	uint64_t attached; /* bit n: to the controller with CNTLID n */
	struct exp_uuid nguid, uuid;
};

/* One exported subsystem; under the Reference template it has one namespace and one controller. */
struct ssd_image_export {
	uint16_t esubid;
	struct exp_uuid template;
	char nqn[SSD_NQN_BYTES]; /* NUL padded */
	bool configured;
	uint8_t config[SSD_CONFIG_BYTES];
	uint32_t ensid, unsid; /* ensid 0: no namespace associated */
	uint16_t cntlid;       /* SSD_NO_CTRL: no controller associated */
	uint16_t ecntlid;
	uint8_t gn_ns, gn_ctrl; /* generation numbers of the two lists */
};

struct ssd_image {
	char profile[32];
	struct exp_uuid uuid; /* of the drive: serial number and NQN come from it */
	uint64_t capacity_bytes;
	uint32_t functions; /* without the MMC */
	uint64_t next_file;
	uint16_t last_esubid;
	uint8_t gn_exports;
	size_t n_ns, n_exports;
	struct ssd_image_ns ns[SSD_MAX_NS]; /* ascending NSID */
	struct ssd_image_export exports[SSD_MAX_EXPORTS];
};

static inline void ssd_image_free(struct ssd_image *img)
{
	free(img);
}
EXP_DEFINE_CLEANUP(struct ssd_image *, ssd_image_free)

/** ssd_image_print - JSON, malloc'd; NULL: out of memory */
char *ssd_image_print(const struct ssd_image *img, size_t *ret_len);

/** ssd_image_parse - every value is checked; -EINVAL with the field in @err */
int ssd_image_parse(const char *text, size_t len, struct ssd_image *ret,
		    struct exp_error *err) EXP_MUST_CHECK;

/* Borrowed from the image, or NULL. */
struct ssd_image_ns *ssd_image_ns(struct ssd_image *img, uint32_t nsid);
struct ssd_image_export *ssd_image_export(struct ssd_image *img, uint16_t esubid);
struct ssd_image_export *ssd_image_export_of_ns(struct ssd_image *img, uint32_t unsid);
struct ssd_image_export *ssd_image_export_of_ctrl(struct ssd_image *img, uint16_t cntlid);

/** ssd_image_add_ns - @ns in its place; the caller has seen that there is room and no such NSID */
void ssd_image_add_ns(struct ssd_image *img, const struct ssd_image_ns *ns);
void ssd_image_del_ns(struct ssd_image *img, uint32_t nsid);
void ssd_image_del_export(struct ssd_image *img, uint16_t esubid);

/** ssd_image_used_bytes - what the namespaces take of the capacity */
uint64_t ssd_image_used_bytes(const struct ssd_image *img);

#endif
