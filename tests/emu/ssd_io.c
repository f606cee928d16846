/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd_io.c - the NVM command set on a sparse file
 *
 * Reads and writes go straight between the file and the client's memory. A change is noted in the
 * change log after it took effect and before the command completes; deallocated blocks read as
 * zeros. With the volatile cache off, or FUA, a write is durable before it completes.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "emu/ssd_cdq.h"
#include "emu/ssd_internal.h"

#define FUA    0x40000000u /* CDW12 bit 30 */
#define DEAC   0x02000000u /* CDW12 bit 25: Write Zeroes may deallocate */
#define DSM_AD 0x4u        /* CDW11 bit 2 */

const struct ssd_ns *ssd_visible_ns(const struct ssd_fn *fn, uint32_t nsid)
{
	for (size_t i = 0; i < fn->n_ns; i++)
		if (fn->ns[i].nsid == nsid)
			return fn->ns[i].ns;
	return NULL;
}

/* A range of blocks of one command, checked. */
struct range {
	const struct ssd_ns *ns;
	uint64_t slba, blocks;
	off_t off;
	uint64_t bytes;
};

static uint16_t need_ns(struct ssd_cmd *c, const struct ssd_ns **ret)
{
	*ret = ssd_visible_ns(c->fn, c->nsid);
	if (*ret)
		return ST_OK;
	return c->nsid && c->nsid <= c->fn->face.nn ? ST_INVALID_FIELD : ST_INVALID_NS;
}

static uint16_t take_range(const struct ssd_ns *ns, uint64_t slba, uint64_t blocks, struct range *r)
{
	if (slba >= ns->blocks || blocks > ns->blocks - slba)
		return ST_LBA_RANGE;
	*r = (struct range){ ns, slba, blocks, (off_t)(slba << ns->lbads), blocks << ns->lbads };
	return ST_OK;
}

static uint16_t cmd_range(struct ssd_cmd *c, struct range *r)
{
	const struct ssd_ns *ns;
	uint16_t st = need_ns(c, &ns);

	if (st)
		return st;
	return take_range(ns, c->cdw10 | (uint64_t)c->cdw11 << 32, (c->cdw12 & 0xFFFF) + 1, r);
}

static bool durable(const struct ssd_cmd *c)
{
	return c->cdw12 & FUA || !c->fn->feat.write_cache;
}

static uint16_t errno_status(bool write)
{
	if (errno == EFAULT) /* the client's memory went away under us */
		return ST_DATA_TRANSFER;
	return write ? ST_WRITE_FAULT : ST_READ_ERROR;
}

/* All of it, or a status; the kernel may do less than was asked. */
static uint16_t move(const struct range *r, struct iovec *iov, int n, bool write, int flags)
{
	uint64_t done = 0;

	while (done < r->bytes) {
		ssize_t m = write ? pwritev2(r->ns->fd, iov, n, r->off + (off_t)done, flags)
				  : preadv(r->ns->fd, iov, n, r->off + (off_t)done);

		if (m < 0 && errno == EINTR)
			continue;
		if (m <= 0)
			return errno_status(write);
		done += (uint64_t)m;
		while (n && (size_t)m >= iov->iov_len) {
			m -= (ssize_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n) {
			iov->iov_base = (uint8_t *)iov->iov_base + m;
			iov->iov_len -= (size_t)m;
		}
	}
	return ST_OK;
}

static uint16_t io_rw(struct ssd_cmd *c)
{
	bool write = c->opcode == IO_WRITE;
	struct iovec iov[SSD_MAX_PAGES];
	struct ssd_fn *fn = c->fn;
	struct range r;
	uint16_t st = cmd_range(c, &r);
	int n;

	if (st)
		return st;
	if (!ssd_xfer_fits(fn, r.bytes))
		return ST_INVALID_FIELD;
	st = ssd_prp_map(c, r.bytes, !write, iov, &n);
	if (st)
		return st;
	st = move(&r, iov, n, write, write && durable(c) ? RWF_DSYNC : 0);
	/* a write that failed half-way may have changed blocks: the log may say too much, never too
	 * little */
	if (write) {
		ssd_cdq_note(fn, c->nsid, r.ns, r.slba, r.blocks, false);
		fn->writes++;
		fn->blocks_written += r.bytes >> 9;
	} else {
		fn->reads++;
		fn->blocks_read += r.bytes >> 9;
	}
	return st;
}

static uint16_t io_compare(struct ssd_cmd *c)
{
	struct iovec iov[SSD_MAX_PAGES];
	struct range r;
	uint16_t st = cmd_range(c, &r);
	uint64_t done = 0;
	int n;

	if (st)
		return st;
	if (!ssd_xfer_fits(c->fn, r.bytes))
		return ST_INVALID_FIELD;
	st = ssd_prp_map(c, r.bytes, false, iov, &n);
	for (int i = 0; !st && i < n; i++) {
		for (size_t at = 0; !st && at < iov[i].iov_len; at += 512) {
			uint8_t mine[512];
			size_t len = EXP_MIN(sizeof(mine), iov[i].iov_len - at);
			ssize_t m = pread(r.ns->fd, mine, len, r.off + (off_t)done);

			if (m != (ssize_t)len)
				st = ST_READ_ERROR;
			else if (memcmp(mine, (uint8_t *)iov[i].iov_base + at, len))
				st = ST_COMPARE_FAILED;
			done += len;
		}
	}
	return st;
}

static uint16_t io_verify(struct ssd_cmd *c)
{
	struct range r;
	uint16_t st = cmd_range(c, &r);
	uint8_t buf[4096];

	for (uint64_t at = 0; !st && at < r.bytes;) {
		size_t len = EXP_MIN(sizeof(buf), r.bytes - at);
		ssize_t m = pread(r.ns->fd, buf, len, r.off + (off_t)at);

		if (m <= 0)
			return ST_READ_ERROR;
		at += (uint64_t)m;
	}
	return st;
}

static uint16_t io_flush(struct ssd_cmd *c)
{
	const struct ssd_ns *ns;
	uint16_t st;

	if (c->nsid == NSID_ALL) {
		for (size_t i = 0; i < c->fn->n_ns; i++)
			if (fdatasync(c->fn->ns[i].ns->fd) < 0)
				return ST_WRITE_FAULT;
		return ST_OK;
	}
	st = need_ns(c, &ns);
	if (st)
		return st;
	return fdatasync(ns->fd) < 0 ? ST_WRITE_FAULT : ST_OK;
}

/* Make a range read as zeros, without blocks where @punch. */
static uint16_t clear(const struct range *r, bool punch)
{
	static const uint8_t zeros[65536];
	int mode = FALLOC_FL_KEEP_SIZE | (punch ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);

	if (!fallocate(r->ns->fd, mode, r->off, (off_t)r->bytes))
		return ST_OK;
	if (errno != EOPNOTSUPP)
		return ST_WRITE_FAULT;
	/* a file system without that operation: zeros by hand */
	for (uint64_t at = 0; at < r->bytes;) {
		size_t len = EXP_MIN(sizeof(zeros), r->bytes - at);
		ssize_t m = pwrite(r->ns->fd, zeros, len, r->off + (off_t)at);

		if (m < 0 && errno == EINTR)
			continue;
		if (m <= 0)
			return ST_WRITE_FAULT;
		at += (uint64_t)m;
	}
	return ST_OK;
}

static uint16_t io_write_zeroes(struct ssd_cmd *c)
{
	bool punch = c->cdw12 & DEAC;
	struct range r;
	uint16_t st = cmd_range(c, &r);

	if (st)
		return st;
	st = clear(&r, punch);
	ssd_cdq_note(c->fn, c->nsid, r.ns, r.slba, r.blocks, punch && !st);
	if (!st && durable(c) && fdatasync(r.ns->fd) < 0)
		st = ST_WRITE_FAULT;
	return st;
}

static uint16_t io_dsm(struct ssd_cmd *c)
{
	unsigned int n = (c->cdw10 & 0xFF) + 1;
	uint8_t list[256 * 16];
	struct range r[256];
	const struct ssd_ns *ns;
	uint16_t st = need_ns(c, &ns);

	if (!st)
		st = ssd_data_in(c, list, n * 16);
	for (unsigned int i = 0; !st && i < n; i++)
		st = take_range(ns, exp_le64(list + 16 * i + 8), exp_le32(list + 16 * i + 4),
				&r[i]);
	if (st || !(c->cdw11 & DSM_AD)) /* the other attributes are hints */
		return st;
	for (unsigned int i = 0; i < n; i++) {
		if (!r[i].blocks)
			continue;
		st = clear(&r[i], true);
		ssd_cdq_note(c->fn, c->nsid, ns, r[i].slba, r[i].blocks, !st);
		if (st)
			return st;
	}
	return ST_OK;
}

/* Commands Supported and Effects entry: CSUPP, and LBCC for what changes blocks */
static const struct {
	uint8_t opcode;
	uint16_t oncs; /* bit that offers it; 0: mandatory */
	uint32_t effects;
	uint16_t (*run)(struct ssd_cmd *c);
} commands[] = {
	{ IO_READ, 0, 1, io_rw },
	{ IO_WRITE, 0, 3, io_rw },
	{ IO_FLUSH, 0, 1, io_flush },
	{ IO_WRITE_ZEROES, ONCS_WZ, 3, io_write_zeroes },
	{ IO_DSM, ONCS_DSM, 3, io_dsm },
	{ IO_COMPARE, ONCS_COMPARE, 1, io_compare },
	{ IO_VERIFY, ONCS_VERIFY, 1, io_verify },
};

uint32_t ssd_io_effects(const struct ssd_fn *fn, uint8_t opcode)
{
	for (size_t i = 0; i < EXP_ARRAY_SIZE(commands); i++)
		if (commands[i].opcode == opcode &&
		    (!commands[i].oncs || fn->face.oncs & commands[i].oncs))
			return commands[i].effects;
	return 0;
}

uint16_t ssd_io(struct ssd_cmd *c)
{
	for (size_t i = 0; i < EXP_ARRAY_SIZE(commands); i++) {
		if (commands[i].opcode != c->opcode)
			continue;
		if (commands[i].oncs && !(c->fn->face.oncs & commands[i].oncs))
			return ST_INVALID_OPCODE;
		if (c->flags)
			return ST_INVALID_FIELD;
		return commands[i].run(c);
	}
	return ST_INVALID_OPCODE;
}
