/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - a constant message and facts as keys
 *
 *	exp_log(LOG_NOTICE, "migration suspended", kv_s("mig", id), kv_u("blackout_us", us));
 *
 * Levels: LOG_ERR an operator must act; LOG_WARNING we coped; LOG_NOTICE a state changed;
 * LOG_INFO normal; LOG_DEBUG the rest. The keys are mig subsys ns port peer ctrl state from to rc
 * dur_us; new ones are added sparingly. Never keys, tokens or payload.
 * The sink is the one mutable global of lib/: set once, before threads start. Without one, nothing
 * is logged. Any thread; the sink must not block for long.
 */
#ifndef EXP_BASE_LOG_H
#define EXP_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

#include "base/error.h"

enum exp_kv_type { EXP_KV_S, EXP_KV_U, EXP_KV_I, EXP_KV_X };

struct exp_kv {
	const char *key;
	enum exp_kv_type type;
	union {
		const char *s; /* borrowed for the call; escaped by whoever prints it */
		uint64_t u;
		int64_t i;
	};
};

#define kv_s(k, v) ((struct exp_kv){ .key = (k), .type = EXP_KV_S, .s = (v) })
#define kv_u(k, v) ((struct exp_kv){ .key = (k), .type = EXP_KV_U, .u = (v) })
#define kv_i(k, v) ((struct exp_kv){ .key = (k), .type = EXP_KV_I, .i = (v) })
#define kv_x(k, v) ((struct exp_kv){ .key = (k), .type = EXP_KV_X, .u = (v) })

#define exp_log(level, msg, ...) \
	exp_log_kv((level), (msg), (const struct exp_kv[]){ __VA_ARGS__ __VA_OPT__(, ){ 0 } })

typedef void (*exp_log_sink)(int level, const char *msg, const struct exp_kv *kv, void *arg);

/** exp_log_set_sink - where records go from now on; @max_level: LOG_DEBUG lets all through */
void exp_log_set_sink(exp_log_sink sink, int max_level, void *arg);

/** exp_log_kv - @kv ends with an entry whose key is NULL */
void exp_log_kv(int level, const char *msg, const struct exp_kv *kv);

/**
 * exp_log_format - "message key=value key="with space"", control characters and quotes as \xNN
 * Returns the length it has or would have; cut to @cap, always terminated.
 */
size_t exp_log_format(char *out, size_t cap, const char *msg, const struct exp_kv *kv);

/**
 * exp_log_escape - @s as printable ASCII, so that no guest, device or peer can write on a screen
 * Result as exp_log_format.
 */
size_t exp_log_escape(char *out, size_t cap, const char *s);

/** exp_log_stderr - a sink: "LEVEL message key=value" lines on standard error */
void exp_log_stderr(int level, const char *msg, const struct exp_kv *kv, void *arg);

#endif
