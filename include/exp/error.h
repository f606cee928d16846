/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - why something failed, for programs (code, errno, NVMe status) and for people (msg)
 *
 * A function that can fail for two reasons returns 0 or a negative errno and fills a struct
 * exp_error that the caller owns; the struct crosses threads by copy and needs no allocation, so
 * that "out of memory" can be told too. Codes are stable: they are the "code" of the HTTP problem
 * document and decide the exit status of expctl.
 */
#ifndef EXP_ERROR_H
#define EXP_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#include <exp/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * X(NAME, value, "JSON code", HTTP status, may a caller simply try again?)
 * Values are stored and sent: never renumber, never reuse.
 */
#define EXP_CODES(X)                                              \
	X(OK, 0, "OK", 200, false)                                \
	/* the caller's doing */                                  \
	X(USAGE, 1, "USAGE", 400, false)                          \
	X(INVALID, 2, "INVALID", 400, false)                      \
	X(UNKNOWN_FIELD, 3, "UNKNOWN_FIELD", 400, false)          \
	X(TOO_LARGE, 4, "TOO_LARGE", 413, false)                  \
	X(NOT_FOUND, 5, "NOT_FOUND", 404, false)                  \
	X(EXISTS, 6, "EXISTS", 409, false)                        \
	X(CONFLICT, 7, "CONFLICT", 409, false)                    \
	X(KEY_REUSED, 8, "KEY_REUSED", 422, false)                \
	X(DENIED, 9, "DENIED", 403, false)                        \
	X(GONE, 10, "GONE", 410, false)                           \
	X(TOO_LATE, 11, "TOO_LATE", 409, false)                   \
	X(NOT_OWNER, 12, "NOT_OWNER", 409, false)                 \
	X(BUSY, 13, "BUSY", 409, true)                            \
	X(METHOD, 14, "METHOD", 405, false)                       \
	/* the configuration, the host */                         \
	X(CONFIG, 20, "CONFIG", 500, false)                       \
	X(NO_MEMORY, 21, "NO_MEMORY", 503, true)                  \
	X(NO_SPACE, 22, "NO_SPACE", 507, false)                   \
	X(SYSTEM, 23, "SYSTEM", 500, false)                       \
	X(STARTING, 24, "STARTING", 503, true)                    \
	X(STOPPING, 25, "STOPPING", 503, true)                    \
	X(UNREACHABLE, 26, "UNREACHABLE", 503, true)              \
	/* the database */                                        \
	X(DB, 30, "DB", 500, true)                                \
	X(DB_NEWER, 31, "DB_NEWER", 500, false)                   \
	X(DB_FOREIGN, 32, "DB_FOREIGN", 500, false)               \
	X(DB_CORRUPT, 33, "DB_CORRUPT", 500, false)               \
	/* the device */                                          \
	X(DEVICE, 40, "DEVICE", 502, false)                       \
	X(DEVICE_STATUS, 41, "DEVICE_STATUS", 502, false)         \
	X(DEVICE_GONE, 42, "DEVICE_GONE", 502, true)              \
	X(DEVICE_TIMEOUT, 43, "DEVICE_TIMEOUT", 504, false)       \
	X(DEVICE_DATA, 44, "DEVICE_DATA", 502, false)             \
	X(NOT_SUPPORTED, 45, "NOT_SUPPORTED", 501, false)         \
	X(NOT_SUSPENDED, 46, "NOT_SUSPENDED", 409, false)         \
	X(LOG_OVERFLOW, 47, "LOG_OVERFLOW", 502, true)            \
	/* the peer and the wire */                               \
	X(PROTOCOL, 50, "PROTOCOL", 502, false)                   \
	X(VERSION, 51, "VERSION", 502, false)                     \
	X(PEER_UNKNOWN, 52, "PEER_UNKNOWN", 403, false)           \
	X(PEER_RIGHTS, 53, "PEER_RIGHTS", 403, false)             \
	X(PEER_GONE, 54, "PEER_GONE", 502, true)                  \
	X(PEER_REFUSED, 55, "PEER_REFUSED", 409, false)           \
	X(TLS, 56, "TLS", 502, false)                             \
	X(CERT_EXPIRED, 57, "CERT_EXPIRED", 502, false)           \
	X(JOURNAL_REGRESSED, 58, "JOURNAL_REGRESSED", 409, false) \
	/* a migration */                                         \
	X(PREFLIGHT, 60, "PREFLIGHT", 409, false)                 \
	X(STATE_INCOMPLETE, 61, "STATE_INCOMPLETE", 409, false)   \
	X(BLACKOUT, 62, "BLACKOUT", 409, true)                    \
	X(DIGEST, 63, "DIGEST", 502, false)                       \
	X(CANCELLED, 64, "CANCELLED", 409, false)                 \
	X(ABORTED, 65, "ABORTED", 409, false)                     \
	X(LEASE, 66, "LEASE", 409, false)                         \
	X(FENCE, 67, "FENCE", 502, false)                         \
	X(NEEDS_OPERATOR, 68, "NEEDS_OPERATOR", 409, false)       \
	X(RESET_ON_RESTART, 69, "RESET_ON_RESTART", 409, false)   \
	X(NO_CONVERGENCE, 70, "NO_CONVERGENCE", 409, false)       \
	X(RESTARTED, 71, "RESTARTED", 409, true)

enum exp_code {
#define X(name, value, json, http, retry) EXP_CODE_##name = (value),
	EXP_CODES(X)
#undef X
};

struct exp_error {
	enum exp_code code;   /* stable and public */
	int errnum;           /* positive errno, 0 if none */
	uint16_t nvme_status; /* bits 10:8 SCT, 7:0 SC as the device returned them, 0 if none */
	char msg[256];        /* outermost first: "attach ns 3: identify: I/O error" */
};

/**
 * exp_error_set - say why, replacing what was there
 * @e: NULL is allowed
 * @errnum: positive errno; anything else counts as EIO
 *
 * A message that does not fit is cut and ends in "...". An argument may be @e->msg. Returns
 * -@errnum.
 */
EXP_API int exp_error_set(struct exp_error *e, enum exp_code code, int errnum, const char *fmt, ...)
	EXP_PRINTF(4, 5);

/**
 * exp_error_wrap - prepend what was being tried: "FMT: former message"
 * @r: what the failed call returned; when @e holds nothing yet, it becomes that errno, with code
 *     NO_MEMORY for -ENOMEM and SYSTEM for the rest
 *
 * Returns @r.
 */
EXP_API int exp_error_wrap(struct exp_error *e, int r, const char *fmt, ...) EXP_PRINTF(3, 4);

/** exp_error_nvme - like exp_error_set, with the status a device returned; -EREMOTEIO */
EXP_API int exp_error_nvme(struct exp_error *e, uint16_t status, const char *fmt, ...)
	EXP_PRINTF(3, 4);

/** exp_code_name - the stable name that JSON carries; never NULL ("UNKNOWN") */
EXP_API const char *exp_code_name(enum exp_code code);

/** exp_code_by_name - 0, or -ENOENT when this library does not know the name (newer daemon) */
EXP_API int exp_code_by_name(const char *name, enum exp_code *ret) EXP_MUST_CHECK;

EXP_API int exp_code_http(enum exp_code code);
EXP_API bool exp_code_retry(enum exp_code code);

#ifdef __cplusplus
}
#endif
#endif
