/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulk.h - what runs on a bulk connection: one opening record, extents one way, one end record
 *
 * Nothing flows back: acknowledgements and credits travel on the control connection. All numbers
 * are little endian; reserved bytes are zero and checked.
 *
 *	opening record, 80 bytes
 *	 0	8	"EXPBULK1"
 *	 8	4	bulk session of the job
 *	12	2	stream number, 0's based
 *	14	2	reserved
 *	16	16	job
 *	32	32	token that SESSION_OK gave for this session
 *	64	12	reserved
 *	76	4	CRC-32C of bytes 0..75
 *
 *	extent, 32 bytes, followed by its data if it is of kind data
 *	 0	1	kind
 *	 1	1	reserved
 *	 2	2	export, index into the job's list
 *	 4	4	bulk session
 *	 8	8	sequence number on this stream: 1, 2, 3 ...; of end: the last one sent, 0
 *none 16	8	offset in the namespace, bytes 24	4	length, bytes
 *	28	4	CRC-32C of bytes 0..27 and of the data
 *
 * A bulk connection is known by its first bytes: as a frame prefix they would be a header of 1 GiB.
 * Overlap between extents in flight is not looked at here (lib/copy keeps that rule).
 * Pure functions of their arguments; nothing is allocated.
 */
#ifndef EXP_WIRE_BULK_H
#define EXP_WIRE_BULK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/uuid.h"
#include "model/job.h"
#include "model/msg.h"

#define EXP_BULK_OPEN_BYTES   80
#define EXP_BULK_EXTENT_BYTES 32
#define EXP_BULK_MAGIC_BYTES  8
#define EXP_BULK_DATA_MAX     (1024u * 1024)        /* bytes of one data extent */
#define EXP_BULK_RANGE_MAX    (1024u * 1024 * 1024) /* bytes of one zero or deallocate extent */

enum exp_bulk_kind { /* sent; never renumber */
		     EXP_BULK_DATA = 1,
		     EXP_BULK_ZERO = 2, /* the range reads as zeros at the source */
		     EXP_BULK_DEALLOCATE =
			     3, /* the range was deallocated there; must read as zeros here too */
		     EXP_BULK_END = 4, /* nothing follows; then close_notify */
};

struct exp_bulk_open {
	struct exp_uuid job;
	uint32_t session;
	uint16_t stream;
	uint8_t token[EXP_MSG_TOKEN_BYTES];
};

struct exp_bulk_extent {
	enum exp_bulk_kind kind;
	uint16_t export_index;
	uint32_t session;
	uint64_t seq;
	uint64_t offset_bytes;
	uint32_t len_bytes;
	uint32_t crc; /* as sent; of use between exp_bulk_rx_header() and exp_bulk_rx_data() */
};

enum exp_wire_kind { EXP_WIRE_UNDECIDED = 0, EXP_WIRE_CONTROL = 1, EXP_WIRE_BULK = 2 };

/** exp_wire_sniff - what a peer that just connected begins, from its first bytes */
enum exp_wire_kind exp_wire_sniff(const void *p, size_t n);

void exp_bulk_open_encode(const struct exp_bulk_open *o, uint8_t out[EXP_BULK_OPEN_BYTES]);

/** exp_bulk_open_decode - -EPROTO with what is wrong; whether it is welcome is the caller's to say
 */
int exp_bulk_open_decode(const uint8_t in[EXP_BULK_OPEN_BYTES], struct exp_bulk_open *ret,
			 struct exp_error *err) EXP_MUST_CHECK;

/* Sending side of one stream. */
struct exp_bulk_tx {
	uint32_t session;
	uint64_t last_seq; /* of the last extent that was encoded, 0 none */
};

/**
 * exp_bulk_tx_extent - header of the next extent, into @out; sets seq, session and crc of @x
 * @x: kind data, zero or deallocate; export_index, offset_bytes, len_bytes given by the caller
 * @data: len_bytes of them for kind data, else NULL
 *
 * -EINVAL for a length that a receiver would refuse (our own bug, told rather than sent).
 */
int exp_bulk_tx_extent(struct exp_bulk_tx *tx, struct exp_bulk_extent *x, const void *data,
		       uint8_t out[EXP_BULK_EXTENT_BYTES], struct exp_error *err) EXP_MUST_CHECK;
void exp_bulk_tx_end(struct exp_bulk_tx *tx, uint8_t out[EXP_BULK_EXTENT_BYTES]);

/* Receiving side of one stream. */
struct exp_bulk_ns {
	uint64_t bytes;     /* size of the namespace */
	uint32_t lba_bytes; /* extents are whole logical blocks */
};

struct exp_bulk_rx {
	uint32_t session;
	uint64_t last_seq; /* of the last extent that was accepted */
	bool ended;
	uint32_t n_exports;
	struct exp_bulk_ns ns[EXP_JOB_EXPORTS_MAX];
};

void exp_bulk_rx_init(struct exp_bulk_rx *rx, uint32_t session, const struct exp_bulk_ns *ns,
		      uint32_t n_exports);

/**
 * exp_bulk_rx_header - check 32 bytes: kind, session, sequence, export, bounds, and the CRC where
 * no data follows
 *
 * *ret of kind data: read len_bytes, then exp_bulk_rx_data(). Of kind end: the stream is over and
 * every extent that was sent has been seen. -EPROTO names the field and both values; -EBADMSG
 * (DIGEST) for the CRC.
 */
int exp_bulk_rx_header(struct exp_bulk_rx *rx, const uint8_t in[EXP_BULK_EXTENT_BYTES],
		       struct exp_bulk_extent *ret, struct exp_error *err) EXP_MUST_CHECK;

/** exp_bulk_rx_data - the data of @x has come: compare the CRC; -EBADMSG (DIGEST) */
int exp_bulk_rx_data(const uint8_t header[EXP_BULK_EXTENT_BYTES], const struct exp_bulk_extent *x,
		     const void *data, struct exp_error *err) EXP_MUST_CHECK;

#endif
