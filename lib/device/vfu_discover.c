/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/le.h"
#include "device/vfu.h"

#define JSON_MAX    4096u
#define BAR0_MIN    (EXP_NVME_DOORBELL_BASE + 0x1000u)
#define VECTORS_MAX 2048u /* of MSI-X */

#define INFO_PCI          0x2u
#define REGION_READ       0x1u
#define REGION_WRITE      0x2u
#define REGION_MMAP       0x4u
#define REGION_CAPS       0x8u
#define REGION_INFO_BYTES 32u
#define REGION_INFO_MAX   4096u
#define CAP_SPARSE_MMAP   1u
#define IRQ_EVENTFD       0x1u

static const char caps_json[] =
	"{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576}}";

static int read_server_caps(struct exp_vfu *v, const char *text, size_t len, struct exp_error *err)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *j = NULL;
	const struct exp_json *caps;
	uint64_t fds;
	int r;

	if (!len)
		return 0; /* no JSON: the protocol's defaults */
	if (text[len - 1])
		return exp_error_set(err, EXP_CODE_DEVICE_DATA, EPROTO,
				     "the capabilities have no NUL at their end");
	r = exp_json_parse(text, len - 1, JSON_MAX, &j, err);
	if (r < 0) {
		if (err)
			err->code = EXP_CODE_DEVICE_DATA;
		return exp_error_wrap(err, -EPROTO, "capabilities");
	}
	caps = exp_json_get(j, "capabilities");
	fds = exp_json_u64(caps ? exp_json_get(caps, "max_msg_fds") : NULL, v->max_fds);
	if (!fds)
		return exp_error_set(err, EXP_CODE_DEVICE_DATA, EPROTO,
				     "max_msg_fds is 0: no memory can be shared");
	v->max_fds = EXP_MIN(fds, (uint64_t)EXP_VFU_FDS_MAX);
	return 0;
}

static int negotiate(struct exp_vfu *v, struct exp_error *err)
{
	char body[4 + sizeof(caps_json)], reply[4 + JSON_MAX];
	struct exp_vfu_call call = {
		.command = EXP_VFU_VERSION,
		.body = body,
		.body_bytes = sizeof(body),
		.reply = reply,
		.reply_cap = sizeof(reply),
		.reply_min = 4,
	};
	int r;

	exp_put_le16(body, 0);     /* major */
	exp_put_le16(body + 2, 1); /* minor: 0.1, without twin sockets */
	memcpy(body + 4, caps_json, sizeof(caps_json));
	r = exp_vfu_call(v->conn, &call, err);
	if (r < 0)
		return r;
	if (call.reply_bytes > sizeof(reply))
		return exp_error_set(err, EXP_CODE_DEVICE_DATA, EPROTO,
				     "capabilities of %zu bytes, at most %u are read",
				     call.reply_bytes - 4, JSON_MAX);
	if (exp_le16(reply) != 0 || exp_le16(reply + 2) > 1)
		return exp_error_set(err, EXP_CODE_VERSION, EPROTO,
				     "the server speaks vfio-user %u.%u, this is 0.1",
				     exp_le16(reply), exp_le16(reply + 2));
	return read_server_caps(v, reply + 4, call.reply_bytes - 4, err);
}

static int device_info(struct exp_vfu *v, struct exp_error *err)
{
	uint8_t b[16] = { 0 };
	struct exp_vfu_call call = {
		.command = EXP_VFU_GET_INFO,
		.body = b,
		.body_bytes = sizeof(b),
		.reply = b,
		.reply_cap = sizeof(b),
		.reply_min = sizeof(b),
	};
	int r;

	exp_put_le32(b, sizeof(b));
	r = exp_vfu_call(v->conn, &call, err);
	if (r < 0)
		return r;
	if (!(exp_le32(b + 4) & INFO_PCI) || exp_le32(b + 8) <= EXP_VFU_REGION_CONFIG ||
	    exp_le32(b + 12) <= EXP_VFU_IRQ_MSIX)
		return exp_error_set(
			err, EXP_CODE_DEVICE_DATA, EPROTO,
			"not a PCI device: flags %#x (bit 1 needed), %u regions (8 needed), "
			"%u interrupt types (3 needed)",
			exp_le32(b + 4), exp_le32(b + 8), exp_le32(b + 12));
	return 0;
}

static int region_info(struct exp_vfu *v, uint32_t index, uint32_t argsz, uint8_t *reply,
		       struct exp_vfu_call *call, struct exp_error *err)
{
	uint8_t body[REGION_INFO_BYTES] = { 0 };
	int r;

	exp_put_le32(body, argsz);
	exp_put_le32(body + 8, index);
	call->command = EXP_VFU_GET_REGION_INFO;
	call->body = body;
	call->body_bytes = sizeof(body);
	call->reply = reply;
	call->reply_cap = REGION_INFO_MAX;
	call->reply_min = REGION_INFO_BYTES;
	r = exp_vfu_call(v->conn, call, err);
	if (r < 0)
		return exp_error_wrap(err, r, "region %u", index);
	if (exp_le32(reply + 8) != index)
		return exp_error_set(err, EXP_CODE_DEVICE_DATA, EPROTO,
				     "asked about region %u, told about region %u", index,
				     exp_le32(reply + 8));
	return 0;
}

/*
 * The area of BAR0 that may be mapped: the first one of the sparse-mmap capability that holds the
 * doorbells. One descriptor serves all areas. Found nothing usable: false, and doorbells go by
 * message, which every server takes as well.
 */
static bool find_doorbell_area(const struct exp_vfu *v, const uint8_t *info, size_t bytes,
			       uint64_t *ret_off, uint64_t *ret_bytes)
{
	size_t at = exp_le32(info + 12);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	for (int hops = 0; hops < 16 && at >= REGION_INFO_BYTES && at + 16 <= bytes; hops++) {
		size_t next = exp_le32(info + at + 4);

		if (exp_le16(info + at) == CAP_SPARSE_MMAP && exp_le16(info + at + 2) == 1) {
			size_t n = exp_le32(info + at + 8);

			for (size_t i = 0; i < n && at + 32 + 16 * i <= bytes; i++) {
				uint64_t off = exp_le64(info + at + 16 + 16 * i);
				uint64_t len = exp_le64(info + at + 24 + 16 * i);

				if (off > EXP_NVME_DOORBELL_BASE || len > v->bar0_bytes ||
				    off > v->bar0_bytes - len || off % page || len % page ||
				    off + len < EXP_NVME_DOORBELL_BASE + page)
					continue;
				*ret_off = off;
				*ret_bytes = len;
				return true;
			}
			return false;
		}
		at = next;
	}
	return false;
}

/* The server's file has to be long enough now; that it stays so is the server's honour. */
static int map_area(struct exp_vfu *v, int fd, uint64_t region_off, uint64_t off, uint64_t bytes,
		    struct exp_error *err)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) < 0)
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "doorbells: fstat: %s",
				     strerror(errno));
	if (region_off > INT64_MAX - off - bytes || st.st_size < 0 ||
	    (uint64_t)st.st_size < region_off + off + bytes)
		return exp_error_set(
			err, EXP_CODE_DEVICE_DATA, EPROTO,
			"doorbells: the server's file has %lld bytes, the area ends at "
			"%" PRIu64,
			(long long)st.st_size, region_off + off + bytes);
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)(region_off + off));
	if (p == MAP_FAILED)
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "doorbells: mmap: %s",
				     strerror(errno));
	v->map = p;
	v->map_off = off;
	v->map_bytes = bytes;
	return 0;
}

static int find_bar0(struct exp_vfu *v, struct exp_error *err)
{
	uint8_t info[REGION_INFO_MAX];
	int fds[EXP_VFU_FDS_MAX];
	struct exp_vfu_call call = { 0 };
	uint32_t argsz, flags;
	uint64_t off, bytes;
	int r;

	r = region_info(v, EXP_VFU_REGION_BAR0, REGION_INFO_BYTES, info, &call, err);
	if (r < 0)
		return r;
	argsz = exp_le32(info);
	flags = exp_le32(info + 4);
	v->bar0_bytes = exp_le64(info + 16);
	if (v->bar0_bytes < BAR0_MIN || v->bar0_bytes > UINT32_MAX ||
	    (flags & (REGION_READ | REGION_WRITE)) != (REGION_READ | REGION_WRITE))
		return exp_error_set(err, EXP_CODE_DEVICE_DATA, EPROTO,
				     "BAR0 has %" PRIu64
				     " bytes and flags %#x; an NVMe controller has "
				     "%u bytes at least, readable and writable",
				     v->bar0_bytes, flags, BAR0_MIN);
	if (!(flags & REGION_MMAP) || argsz <= REGION_INFO_BYTES || argsz > REGION_INFO_MAX)
		return 0;

	/* the capability and its descriptor come only to who has said that there is room for them
	 */
	call = (struct exp_vfu_call){ .reply_fds = fds, .reply_fds_cap = EXP_VFU_FDS_MAX };
	r = region_info(v, EXP_VFU_REGION_BAR0, argsz, info, &call, err);
	if (r == 0 && (exp_le32(info + 4) & REGION_CAPS) && call.n_reply_fds &&
	    find_doorbell_area(v, info, EXP_MIN(call.reply_bytes, sizeof(info)), &off, &bytes))
		r = map_area(v, fds[0], exp_le64(info + 24), off, bytes, err);
	for (size_t i = 0; i < call.n_reply_fds; i++)
		close(fds[i]);
	return r;
}

static int find_config(struct exp_vfu *v, struct exp_error *err)
{
	uint8_t info[REGION_INFO_MAX];
	struct exp_vfu_call call = { 0 };
	int r = region_info(v, EXP_VFU_REGION_CONFIG, REGION_INFO_BYTES, info, &call, err);

	if (r < 0)
		return r;
	v->cfg_bytes = exp_le64(info + 16);
	if (v->cfg_bytes < 256 || v->cfg_bytes > 4096)
		return exp_error_set(err, EXP_CODE_DEVICE_DATA, EPROTO,
				     "configuration space has %" PRIu64
				     " bytes, 256 to 4096 are legal",
				     v->cfg_bytes);
	return 0;
}

static int find_vectors(struct exp_vfu *v, struct exp_error *err)
{
	uint8_t b[16] = { 0 };
	struct exp_vfu_call call = {
		.command = EXP_VFU_GET_IRQ_INFO,
		.body = b,
		.body_bytes = sizeof(b),
		.reply = b,
		.reply_cap = sizeof(b),
		.reply_min = sizeof(b),
	};
	int r;

	exp_put_le32(b, sizeof(b));
	exp_put_le32(b + 8, EXP_VFU_IRQ_MSIX);
	r = exp_vfu_call(v->conn, &call, err);
	if (r < 0)
		return exp_error_wrap(err, r, "MSI-X");
	v->reach.n_vectors = exp_le32(b + 4) & IRQ_EVENTFD ? EXP_MIN(exp_le32(b + 12), VECTORS_MAX)
							   : 0;
	return 0;
}

int exp_vfu_discover(struct exp_vfu *v, struct exp_error *err)
{
	static int (*const steps[])(struct exp_vfu *, struct exp_error *) = {
		negotiate, device_info, find_bar0, find_config, find_vectors,
	};
	int r = 0;

	v->max_fds = 1; /* until the server has said otherwise */
	for (size_t i = 0; i < EXP_ARRAY_SIZE(steps) && r == 0; i++)
		r = steps[i](v, err);
	return r;
}
