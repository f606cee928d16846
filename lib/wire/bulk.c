/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/le.h"
#include "wire/bulk.h"
#include "wire/crc32c.h"
#include "wire/frame.h"

static const uint8_t magic[EXP_BULK_MAGIC_BYTES] = { 'E', 'X', 'P', 'B', 'U', 'L', 'K', '1' };

static_assert(EXP_FRAME_HEADER_MAX < 0x42505845, "\"EXPB\" cannot begin a frame");

enum { /* opening record */
       OPEN_SESSION = 8,
       OPEN_STREAM = 12,
       OPEN_RESERVED1 = 14,
       OPEN_JOB = 16,
       OPEN_TOKEN = 32,
       OPEN_RESERVED2 = 64,
       OPEN_CRC = 76,
};

enum { /* extent */
       EXT_KIND = 0,
       EXT_RESERVED = 1,
       EXT_EXPORT = 2,
       EXT_SESSION = 4,
       EXT_SEQ = 8,
       EXT_OFFSET = 16,
       EXT_LEN = 24,
       EXT_CRC = 28,
};

enum exp_wire_kind exp_wire_sniff(const void *p, size_t n)
{
	size_t cmp = EXP_MIN(n, sizeof(magic));

	if (n && memcmp(p, magic, cmp))
		return EXP_WIRE_CONTROL;
	return n < sizeof(magic) ? EXP_WIRE_UNDECIDED : EXP_WIRE_BULK;
}

void exp_bulk_open_encode(const struct exp_bulk_open *o, uint8_t out[EXP_BULK_OPEN_BYTES])
{
	memset(out, 0, EXP_BULK_OPEN_BYTES);
	memcpy(out, magic, sizeof(magic));
	exp_put_le32(out + OPEN_SESSION, o->session);
	exp_put_le16(out + OPEN_STREAM, o->stream);
	memcpy(out + OPEN_JOB, o->job.b, sizeof(o->job.b));
	memcpy(out + OPEN_TOKEN, o->token, sizeof(o->token));
	exp_put_le32(out + OPEN_CRC, exp_crc32c(0, out, OPEN_CRC));
}

static int bad(struct exp_error *err, const char *what, uint64_t have, const char *rule,
	       uint64_t want)
{
	return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO, "bulk: %s is %llu, %s %llu", what,
			     (unsigned long long)have, rule, (unsigned long long)want);
}

static int bad_crc(struct exp_error *err, const char *what, uint32_t have, uint32_t want)
{
	return exp_error_set(err, EXP_CODE_DIGEST, EBADMSG,
			     "bulk: CRC-32C of %s is %08Xh, the sender says %08Xh", what, have,
			     want);
}

int exp_bulk_open_decode(const uint8_t in[EXP_BULK_OPEN_BYTES], struct exp_bulk_open *ret,
			 struct exp_error *err)
{
	static const uint8_t zero[OPEN_CRC - OPEN_RESERVED2];
	uint32_t crc = exp_crc32c(0, in, OPEN_CRC);
	struct exp_bulk_open o = { 0 };

	if (memcmp(in, magic, sizeof(magic)))
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "bulk: opening record does not begin with EXPBULK1");
	if (crc != exp_le32(in + OPEN_CRC))
		return bad_crc(err, "the opening record", crc, exp_le32(in + OPEN_CRC));
	o.session = exp_le32(in + OPEN_SESSION);
	o.stream = exp_le16(in + OPEN_STREAM);
	memcpy(o.job.b, in + OPEN_JOB, sizeof(o.job.b));
	memcpy(o.token, in + OPEN_TOKEN, sizeof(o.token));
	if (!o.session)
		return bad(err, "session", 0, "at least", 1);
	if (o.stream >= EXP_JOB_STREAMS_MAX)
		return bad(err, "stream", o.stream, "less than", EXP_JOB_STREAMS_MAX);
	if (exp_le16(in + OPEN_RESERVED1) || memcmp(in + OPEN_RESERVED2, zero, sizeof(zero)))
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "bulk: reserved bytes of the opening record are not zero");
	*ret = o;
	return 0;
}

/* Longest extent of @kind, 0 when there is no such kind. */
static uint32_t len_max(unsigned int kind)
{
	switch (kind) {
	case EXP_BULK_DATA: return EXP_BULK_DATA_MAX;
	case EXP_BULK_ZERO:
	case EXP_BULK_DEALLOCATE: return EXP_BULK_RANGE_MAX;
	}
	return 0;
}

static void put_header(const struct exp_bulk_extent *x, uint8_t out[EXP_BULK_EXTENT_BYTES])
{
	out[EXT_KIND] = (uint8_t)x->kind;
	out[EXT_RESERVED] = 0;
	exp_put_le16(out + EXT_EXPORT, x->export_index);
	exp_put_le32(out + EXT_SESSION, x->session);
	exp_put_le64(out + EXT_SEQ, x->seq);
	exp_put_le64(out + EXT_OFFSET, x->offset_bytes);
	exp_put_le32(out + EXT_LEN, x->len_bytes);
}

int exp_bulk_tx_extent(struct exp_bulk_tx *tx, struct exp_bulk_extent *x, const void *data,
		       uint8_t out[EXP_BULK_EXTENT_BYTES], struct exp_error *err)
{
	uint32_t max = len_max(x->kind);

	if (!x->len_bytes || x->len_bytes > max)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EINVAL,
				     "bulk: extent of kind %u with %u bytes, 1 to %u are allowed",
				     (unsigned int)x->kind, x->len_bytes, max);
	assert(!!data == (x->kind == EXP_BULK_DATA));
	x->session = tx->session;
	x->seq = tx->last_seq + 1;
	put_header(x, out);
	x->crc = exp_crc32c(0, out, EXT_CRC);
	if (data)
		x->crc = exp_crc32c(x->crc, data, x->len_bytes);
	exp_put_le32(out + EXT_CRC, x->crc);
	tx->last_seq = x->seq;
	return 0;
}

void exp_bulk_tx_end(struct exp_bulk_tx *tx, uint8_t out[EXP_BULK_EXTENT_BYTES])
{
	const struct exp_bulk_extent x = { .kind = EXP_BULK_END,
					   .session = tx->session,
					   .seq = tx->last_seq };

	put_header(&x, out);
	exp_put_le32(out + EXT_CRC, exp_crc32c(0, out, EXT_CRC));
}

void exp_bulk_rx_init(struct exp_bulk_rx *rx, uint32_t session, const struct exp_bulk_ns *ns,
		      uint32_t n_exports)
{
	assert(n_exports <= EXP_JOB_EXPORTS_MAX);
	*rx = (struct exp_bulk_rx){ .session = session, .n_exports = n_exports };
	memcpy(rx->ns, ns, n_exports * sizeof(*ns));
}

static int check_end(const struct exp_bulk_rx *rx, const struct exp_bulk_extent *x,
		     struct exp_error *err)
{
	if (x->seq != rx->last_seq)
		return bad(err, "sequence of the end record", x->seq, "the last extent had",
			   rx->last_seq);
	if (x->export_index || x->offset_bytes || x->len_bytes)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "bulk: the end record names export %u, offset %llu, length "
				     "%u; all must be 0",
				     x->export_index, (unsigned long long)x->offset_bytes,
				     x->len_bytes);
	return 0;
}

static int check_range(const struct exp_bulk_rx *rx, const struct exp_bulk_extent *x,
		       struct exp_error *err)
{
	const struct exp_bulk_ns *ns;

	if (x->seq != rx->last_seq + 1)
		return bad(err, "sequence", x->seq, "expected", rx->last_seq + 1);
	if (x->export_index >= rx->n_exports)
		return bad(err, "export", x->export_index, "less than", rx->n_exports);
	ns = &rx->ns[x->export_index];
	if (!x->len_bytes || x->len_bytes > len_max(x->kind))
		return bad(err, "length", x->len_bytes, "1 to", len_max(x->kind));
	if (x->offset_bytes % ns->lba_bytes || x->len_bytes % ns->lba_bytes)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "bulk: offset %llu, length %u are not whole blocks of %u "
				     "bytes",
				     (unsigned long long)x->offset_bytes, x->len_bytes,
				     ns->lba_bytes);
	if (x->offset_bytes > ns->bytes || x->len_bytes > ns->bytes - x->offset_bytes)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "bulk: offset %llu, length %u go beyond namespace %u of %llu "
				     "bytes",
				     (unsigned long long)x->offset_bytes, x->len_bytes,
				     x->export_index, (unsigned long long)ns->bytes);
	return 0;
}

int exp_bulk_rx_header(struct exp_bulk_rx *rx, const uint8_t in[EXP_BULK_EXTENT_BYTES],
		       struct exp_bulk_extent *ret, struct exp_error *err)
{
	struct exp_bulk_extent x = {
		.kind = (enum exp_bulk_kind)in[EXT_KIND],
		.export_index = exp_le16(in + EXT_EXPORT),
		.session = exp_le32(in + EXT_SESSION),
		.seq = exp_le64(in + EXT_SEQ),
		.offset_bytes = exp_le64(in + EXT_OFFSET),
		.len_bytes = exp_le32(in + EXT_LEN),
		.crc = exp_le32(in + EXT_CRC),
	};
	int r;

	if (rx->ended)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "bulk: an extent behind the end record");
	if (x.kind != EXP_BULK_DATA) {
		uint32_t crc = exp_crc32c(0, in, EXT_CRC);

		if (crc != x.crc)
			return bad_crc(err, "an extent header", crc, x.crc);
	}
	if (x.kind != EXP_BULK_END && !len_max(x.kind))
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "bulk: kind is %u, 1 to 4 are known", (unsigned int)x.kind);
	if (in[EXT_RESERVED])
		return bad(err, "reserved byte 1", in[EXT_RESERVED], "must be", 0);
	if (x.session != rx->session)
		return bad(err, "session", x.session, "expected", rx->session);
	r = x.kind == EXP_BULK_END ? check_end(rx, &x, err) : check_range(rx, &x, err);
	if (r < 0)
		return r;
	rx->ended = x.kind == EXP_BULK_END;
	rx->last_seq = x.seq;
	*ret = x;
	return 0;
}

int exp_bulk_rx_data(const uint8_t header[EXP_BULK_EXTENT_BYTES], const struct exp_bulk_extent *x,
		     const void *data, struct exp_error *err)
{
	uint32_t crc = exp_crc32c(exp_crc32c(0, header, EXT_CRC), data, x->len_bytes);
	char what[96];

	if (crc == x->crc)
		return 0;
	snprintf(what, sizeof(what), "extent %llu (namespace %u, offset %llu, length %u)",
		 (unsigned long long)x->seq, x->export_index, (unsigned long long)x->offset_bytes,
		 x->len_bytes);
	return bad_crc(err, what, crc, x->crc);
}
