/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - JSON values, strict on the way in; json.c is the only file that includes json-c
 *
 * Reading: a document is parsed whole, then fields are taken by name and type, and
 * exp_json_close() complains about the field that nobody took. Every complaint names the field:
 * "exports[0]: "vm7" is not a UUID".
 * Writing: values are built and printed. A byte that is not part of valid UTF-8 comes out as the
 * character U+0080..U+00FF of the same number, so that what we send can always be read.
 *
 * Values are counted: _get and _at give a borrowed one, which lives as long as its parent. JSON
 * null and "is not there" are both NULL; exp_json_has() tells them apart. No function blocks; a
 * document belongs to one thread at a time.
 */
#ifndef EXP_BASE_JSON_H
#define EXP_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/uuid.h"

struct exp_json; /* a value */

#define EXP_JSON_DEPTH 16 /* arrays and objects inside each other */

/**
 * exp_json_parse - RFC 8259, nothing else: no comments, NaN, trailing bytes, control characters
 * @max: most bytes of @text; checked before anything is read
 *
 * Refused as well, because two programs could read them differently: duplicate names, whole
 * numbers outside INT64_MIN..UINT64_MAX, numbers beyond double, lone surrogates, \u0000.
 * *ret is freed with exp_json_free(); it is NULL, with result 0, for the document "null".
 * -EFBIG: longer than @max; -EINVAL: @err says what is wrong at which byte, counted from 0.
 */
int exp_json_parse(const char *text, size_t len, size_t max, struct exp_json **ret,
		   struct exp_error *err) EXP_MUST_CHECK;
void exp_json_free(struct exp_json *v); /* NULL is fine */
EXP_DEFINE_CLEANUP(struct exp_json *, exp_json_free)

enum exp_json_type {
	EXP_JSON_NULL,
	EXP_JSON_BOOL,
	EXP_JSON_INT, /* written without fraction and exponent */
	EXP_JSON_DOUBLE,
	EXP_JSON_STRING,
	EXP_JSON_ARRAY,
	EXP_JSON_OBJECT
};
enum exp_json_type exp_json_type(const struct exp_json *v); /* NULL: EXP_JSON_NULL */

/*
 * Plain looks, for a client that reads an answer: a default where the value is missing, of
 * another type or out of range, since fields are added over time.
 */
const struct exp_json *exp_json_get(const struct exp_json *obj, const char *name); /* or NULL */
bool exp_json_has(const struct exp_json *obj, const char *name);          /* also when it is null */
const char *exp_json_str(const struct exp_json *v, const char *fallback); /* borrowed from @v */
uint64_t exp_json_u64(const struct exp_json *v, uint64_t fallback);
int64_t exp_json_i64(const struct exp_json *v, int64_t fallback);
double exp_json_double(const struct exp_json *v, double fallback); /* takes whole numbers too */
bool exp_json_bool(const struct exp_json *v, bool fallback);
size_t exp_json_len(const struct exp_json *arr); /* 0 when not an array */
const struct exp_json *exp_json_at(const struct exp_json *arr, size_t i);

/* for (it = exp_json_fields(obj); exp_json_field(&it);) use it.name and it.value; borrowed */
struct exp_json_iter {
	const char *name;
	const struct exp_json *value;
	void *next;
};
struct exp_json_iter exp_json_fields(const struct exp_json *obj); /* no field when not an object */
bool exp_json_field(struct exp_json_iter *it);

/*
 * Strict reading of one object. Each _req/_opt call takes a field; the first thing wrong is kept
 * in the reader and every later call is a no-op, so that a handler checks once, at exp_json_close.
 * A field that is null is of the wrong type: who means "not set" leaves it out.
 */
struct exp_json_reader {
	const struct exp_json *obj;
	struct exp_json_reader *up; /* the reader of what @obj stands in, or NULL */
	char path[96];              /* "" at the top, "memory[0]." inside */
	const char *taken[32];      /* borrowed: literals */
	size_t n_taken;
	int r; /* first error, 0 while all is well */
	struct exp_error *err;
};

/** exp_json_open - read @v, which has to be an object; the result is also what _close gives */
int exp_json_open(struct exp_json_reader *rd, const struct exp_json *v, struct exp_error *err);

/**
 * exp_json_open_field, exp_json_open_item - the same for what @up took under @name: the object
 * itself, or item @i of an array. @up keeps the first error and has to outlive @rd.
 */
int exp_json_open_field(struct exp_json_reader *rd, struct exp_json_reader *up, const char *name,
			const struct exp_json *v);
int exp_json_open_item(struct exp_json_reader *rd, struct exp_json_reader *up, const char *name,
		       const struct exp_json *arr, size_t i);

/*
 * Take a field. Missing: an error for _req; for _opt, *ret stays as it was and false or NULL comes
 * back. @max of a string: bytes; of an array: items. Strings and values are borrowed.
 */
const char *exp_json_req_str(struct exp_json_reader *rd, const char *name, size_t max);
const char *exp_json_opt_str(struct exp_json_reader *rd, const char *name, size_t max);
bool exp_json_req_u64(struct exp_json_reader *rd, const char *name, uint64_t min, uint64_t max,
		      uint64_t *ret);
bool exp_json_opt_u64(struct exp_json_reader *rd, const char *name, uint64_t min, uint64_t max,
		      uint64_t *ret);
bool exp_json_opt_bool(struct exp_json_reader *rd, const char *name, bool *ret);
bool exp_json_req_uuid(struct exp_json_reader *rd, const char *name, struct exp_uuid *ret);
const struct exp_json *exp_json_req_array(struct exp_json_reader *rd, const char *name, size_t max);
const struct exp_json *exp_json_opt_array(struct exp_json_reader *rd, const char *name, size_t max);
const struct exp_json *exp_json_opt_object(struct exp_json_reader *rd, const char *name);

/* One item of an array that @rd took under @name; an error names it: "hold[1]: a number, ..." */
const char *exp_json_item_str(struct exp_json_reader *rd, const char *name,
			      const struct exp_json *arr, size_t i, size_t max);
bool exp_json_item_uuid(struct exp_json_reader *rd, const char *name, const struct exp_json *arr,
			size_t i, struct exp_uuid *ret);

/** exp_json_refuse - the caller's own complaint about @name, kept if it is the first */
void exp_json_refuse(struct exp_json_reader *rd, const char *name, const char *fmt, ...)
	EXP_PRINTF(3, 4);

/** exp_json_close - 0, or the first error; -EINVAL UNKNOWN_FIELD names a field nobody took */
int exp_json_close(struct exp_json_reader *rd) EXP_MUST_CHECK;

/*
 * Building. What could not be allocated spoils everything it was to become part of: check once,
 * when printing. A put replaces a field of the same name.
 */
struct exp_json *exp_json_object(void);
struct exp_json *exp_json_array(void);
struct exp_json *exp_json_new_str(const char *s); /* NULL gives a JSON null */
void exp_json_put(struct exp_json *obj, const char *name, struct exp_json *value); /* takes it */
void exp_json_put_str(struct exp_json *obj, const char *name, const char *s);
void exp_json_put_u64(struct exp_json *obj, const char *name, uint64_t v);
void exp_json_put_i64(struct exp_json *obj, const char *name, int64_t v);
/* shortest digits that read back as @v; null when @v is infinite or not a number */
void exp_json_put_double(struct exp_json *obj, const char *name, double v);
void exp_json_put_bool(struct exp_json *obj, const char *name, bool v);
void exp_json_put_uuid(struct exp_json *obj, const char *name, const struct exp_uuid *u);
void exp_json_add(struct exp_json *arr, struct exp_json *value); /* takes it */

/** exp_json_print - text, borrowed until @v changes or is freed; NULL: out of memory */
const char *exp_json_print(const struct exp_json *v, bool pretty, size_t *ret_len);

#endif
