/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests.h - what the unit tests share: cmocka, bytes written as hex, checks of an error
 *
 * Include it first; it brings in what cmocka.h wants to see before itself.
 */
#ifndef EXP_TESTS_SUPPORT_TESTS_H
#define EXP_TESTS_SUPPORT_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

/**
 * test_hex - bytes from "12 34ab .." into @out; spaces and newlines count for nothing
 * Returns how many. Fails the test on any other character, half a byte, or more than @cap bytes.
 */
static inline size_t test_hex(uint8_t *out, size_t cap, const char *hex)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	unsigned int v = 0;
	size_t half = 0;

	for (; *hex; hex++) {
		const char *d = strchr(digits, *hex);

		if (strchr(" \t\n", *hex))
			continue;
		if (!d)
			fail_msg("'%c' is not a hex digit", *hex);
		if (half / 2 >= cap)
			fail_msg("more than %zu bytes", cap);
		v = v << 4 | ((unsigned int)(d - digits) & 15);
		if (half++ & 1)
			out[half / 2 - 1] = (uint8_t)v;
	}
	if (half & 1)
		fail_msg("half a byte at the end");
	return half / 2;
}

/* A heap copy of exactly @n bytes, so that ASan sees a parser read beyond them; free() it. */
static inline void *test_exact(const void *p, size_t n)
{
	void *copy = calloc(1, n ? n : 1);

	if (!copy)
		fail_msg("out of memory");
	memcpy(copy, p, n);
	return copy;
}

/* The bytes at @p are those that @hex spells, and no more. */
#define assert_hex(p, len, hex) test_assert_hex((p), (len), (hex), __FILE__, __LINE__)
static inline void test_assert_hex(const void *p, size_t len, const char *hex, const char *file,
				   int line)
{
	size_t cap = strlen(hex) / 2 + 1, n;
	uint8_t *want = malloc(cap);

	if (!want)
		fail_msg("out of memory");
	n = test_hex(want, cap, hex);
	for (size_t i = 0; i < n && i < len; i++) {
		uint8_t got = ((const uint8_t *)p)[i], w = want[i];

		if (got != w) {
			free(want);
			print_error("byte %zu (%zXh) is %02x, not %02x\n", i, i, got, w);
			_fail(file, line);
		}
	}
	free(want);
	if (n != len) {
		print_error("%zu bytes, not %zu\n", len, n);
		_fail(file, line);
	}
}

/* @err has @code and its message contains @part. */
#define assert_error(err, code, part) test_assert_error((err), (code), (part), __FILE__, __LINE__)
static inline void test_assert_error(const struct exp_error *err, enum exp_code code,
				     const char *part, const char *file, int line)
{
	if (err->code != code) {
		print_error("code %s, not %s; message \"%s\"\n", exp_code_name(err->code),
			    exp_code_name(code), err->msg);
		_fail(file, line);
	}
	if (!strstr(err->msg, part)) {
		print_error("\"%s\" does not contain \"%s\"\n", err->msg, part);
		_fail(file, line);
	}
}

/* @r is 0; else the message of @err is shown. */
#define assert_ok(r, err) test_assert_ok((r), (err), __FILE__, __LINE__)
static inline void test_assert_ok(int r, const struct exp_error *err, const char *file, int line)
{
	if (r) {
		print_error("result %d (%s): \"%s\"\n", r, strerror(r < 0 ? -r : r),
			    err ? err->msg : "");
		_fail(file, line);
	}
}

#endif
