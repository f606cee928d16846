/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.c - json-c behind our own names: parse strictly, look, build, print
 *
 * A struct exp_json is a struct json_object under another name. json-c has no object for null, so
 * a null on its way into a document is the mark null_value; inside it is json-c's NULL.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json_text.h"
#include "base/log.h"

/* Addresses that mean something; the content is never looked at. */
static const char null_mark, spoiled_mark;
#define null_value ((struct exp_json *)&null_mark)

static struct json_object *jc(const struct exp_json *v)
{
	return v == null_value ? NULL : (struct json_object *)v;
}

/* --- parse --- */

static void put_tokenerp(struct json_tokener **tok)
{
	if (*tok)
		json_tokener_free(*tok);
}

static void put_objectp(struct json_object **o)
{
	json_object_put(*o);
}

static int bad(struct exp_error *err, size_t at, const char *what)
{
	return exp_error_set(err, EXP_CODE_INVALID, EINVAL, "JSON, byte %zu: %s", at, what);
}

static int no_memory(struct exp_error *err)
{
	return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "JSON: out of memory");
}

struct walk {
	const char *text;
	size_t len, pos;
	struct json_tokener *tok;                 /* decodes names */
	struct json_object *seen[EXP_JSON_DEPTH]; /* names of each open object; NULL: an array */
	size_t depth;
	struct exp_error *err;
};

/* json-c keeps the last of two fields that have the same name; another reader keeps the first */
static int name_is_new(struct walk *w, size_t start)
{
	EXP_CLEANUP(put_objectp) struct json_object *name = NULL;
	struct json_object *seen = w->seen[w->depth - 1];
	char shown[64];

	json_tokener_reset(w->tok);
	name = json_tokener_parse_ex(w->tok, w->text + start, (int)(w->pos - start));
	if (!name)
		return no_memory(w->err);
	if (json_object_object_get_ex(seen, json_object_get_string(name), NULL)) {
		exp_log_escape(shown, sizeof(shown), json_object_get_string(name));
		return exp_error_set(w->err, EXP_CODE_INVALID, EINVAL,
				     "JSON, byte %zu: the name \"%s\" a second time", start, shown);
	}
	if (json_object_object_add(seen, json_object_get_string(name), NULL) < 0)
		return no_memory(w->err);
	return 0;
}

static int walk_string(struct walk *w)
{
	size_t start = w->pos, p;
	const char *wrong = exp_json_text_string(w->text, w->len, &w->pos);

	if (wrong)
		return bad(w->err, w->pos, wrong);
	for (p = w->pos; p < w->len && strchr(" \t\r\n", w->text[p]);)
		p++;
	if (p >= w->len || w->text[p] != ':' || !w->depth || !w->seen[w->depth - 1])
		return 0;
	return name_is_new(w, start);
}

static int open_bracket(struct walk *w)
{
	if (w->depth == EXP_JSON_DEPTH)
		return exp_error_set(w->err, EXP_CODE_INVALID, EINVAL,
				     "JSON, byte %zu: nested more than %d deep", w->pos,
				     EXP_JSON_DEPTH);
	w->seen[w->depth] = NULL;
	if (w->text[w->pos] == '{') {
		w->seen[w->depth] = json_object_new_object();
		if (!w->seen[w->depth])
			return no_memory(w->err);
	}
	w->depth++;
	w->pos++;
	return 0;
}

/*
 * Looks at the words of a text that json-c took. It has seen to their order; what stands outside
 * of them is checked here once more, since json-c takes names in single quotes.
 */
static int walk_text(struct walk *w)
{
	const char *wrong = NULL;
	int r = 0;

	while (!r && !wrong && w->pos < w->len) {
		switch (w->text[w->pos]) {
		case '{':
		case '[': r = open_bracket(w); break;
		case '}':
		case ']':
			if (!w->depth)
				return bad(w->err, w->pos, "a bracket that nothing opened");
			json_object_put(w->seen[--w->depth]);
			w->pos++;
			break;
		case '"': r = walk_string(w); break;
		case '-':
		case '0' ... '9': wrong = exp_json_text_number(w->text, w->len, &w->pos); break;
		case 'N':
		case 'I': wrong = "NaN and Infinity are not JSON"; break;
		default:
			if (strchr("truefalsn,: \t\r\n", w->text[w->pos]))
				w->pos++;
			else
				wrong = "a character out of place";
		}
	}
	return wrong ? bad(w->err, w->pos, wrong) : r;
}

static int check_words(const char *text, size_t len, struct exp_error *err)
{
	EXP_CLEANUP(put_tokenerp) struct json_tokener *tok = json_tokener_new();
	struct walk w = { .text = text, .len = len, .tok = tok, .err = err };
	int r;

	if (!tok)
		return no_memory(err);
	r = walk_text(&w);
	while (w.depth)
		json_object_put(w.seen[--w.depth]);
	return r;
}

int exp_json_parse(const char *text, size_t len, size_t max, struct exp_json **ret,
		   struct exp_error *err)
{
	EXP_CLEANUP(put_tokenerp) struct json_tokener *tok = NULL;
	EXP_CLEANUP(put_objectp) struct json_object *doc = NULL;
	enum json_tokener_error e;
	const char *nul;
	size_t at;
	int r;

	assert(max < INT32_MAX); /* json-c counts in int */
	if (len > max)
		return exp_error_set(err, EXP_CODE_TOO_LARGE, EFBIG,
				     "JSON: %zu bytes, at most %zu are taken", len, max);
	nul = len ? memchr(text, '\0', len) : NULL; /* json-c would take it for the end */
	if (nul)
		return bad(err, (size_t)(nul - text), "a zero byte");
	tok = json_tokener_new_ex(EXP_JSON_DEPTH + 1); /* it counts the innermost value too */
	if (!tok)
		return no_memory(err);
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	doc = json_tokener_parse_ex(tok, len ? text : "", (int)len);
	e = json_tokener_get_error(tok);
	at = json_tokener_get_parse_end(tok);
	if (e == json_tokener_continue) { /* a zero byte tells it that a number ends here */
		doc = json_tokener_parse_ex(tok, "", 1);
		e = json_tokener_get_error(tok);
	}
	if (e == json_tokener_error_parse_eof)
		return bad(err, len, "the text ends before the value does");
	if (e == json_tokener_error_depth)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "JSON, byte %zu: nested more than %d deep", at,
				     EXP_JSON_DEPTH);
	if (e != json_tokener_success)
		return bad(err, at, json_tokener_error_desc(e));
	r = check_words(text, len, err);
	if (r < 0)
		return r;
	*ret = (struct exp_json *)EXP_TAKE(doc);
	return 0;
}

void exp_json_free(struct exp_json *v)
{
	json_object_put(jc(v));
}

/* --- look --- */

enum exp_json_type exp_json_type(const struct exp_json *v)
{
	switch (json_object_get_type(jc(v))) {
	case json_type_null: return EXP_JSON_NULL;
	case json_type_boolean: return EXP_JSON_BOOL;
	case json_type_int: return EXP_JSON_INT;
	case json_type_double: return EXP_JSON_DOUBLE;
	case json_type_string: return EXP_JSON_STRING;
	case json_type_array: return EXP_JSON_ARRAY;
	case json_type_object: return EXP_JSON_OBJECT;
	}
	return EXP_JSON_NULL;
}

static struct json_object *field(const struct exp_json *obj, const char *name, bool *ret_there)
{
	struct json_object *v = NULL;

	*ret_there = exp_json_type(obj) == EXP_JSON_OBJECT &&
		     json_object_object_get_ex(jc(obj), name, &v);
	return v;
}

const struct exp_json *exp_json_get(const struct exp_json *obj, const char *name)
{
	bool there;

	return (const struct exp_json *)field(obj, name, &there);
}

bool exp_json_has(const struct exp_json *obj, const char *name)
{
	bool there;

	field(obj, name, &there);
	return there;
}

const char *exp_json_str(const struct exp_json *v, const char *fallback)
{
	return exp_json_type(v) == EXP_JSON_STRING ? json_object_get_string(jc(v)) : fallback;
}

uint64_t exp_json_u64(const struct exp_json *v, uint64_t fallback)
{
	/* json-c cuts: what lies above INT64_MAX reads as INT64_MAX here, so < 0 is really < 0 */
	if (exp_json_type(v) != EXP_JSON_INT || json_object_get_int64(jc(v)) < 0)
		return fallback;
	return json_object_get_uint64(jc(v));
}

int64_t exp_json_i64(const struct exp_json *v, int64_t fallback)
{
	if (exp_json_type(v) != EXP_JSON_INT || json_object_get_uint64(jc(v)) > INT64_MAX)
		return fallback;
	return json_object_get_int64(jc(v));
}

double exp_json_double(const struct exp_json *v, double fallback)
{
	enum exp_json_type t = exp_json_type(v);

	return t == EXP_JSON_DOUBLE || t == EXP_JSON_INT ? json_object_get_double(jc(v)) : fallback;
}

bool exp_json_bool(const struct exp_json *v, bool fallback)
{
	return exp_json_type(v) == EXP_JSON_BOOL ? json_object_get_boolean(jc(v)) : fallback;
}

size_t exp_json_len(const struct exp_json *arr)
{
	return exp_json_type(arr) == EXP_JSON_ARRAY ? json_object_array_length(jc(arr)) : 0;
}

const struct exp_json *exp_json_at(const struct exp_json *arr, size_t i)
{
	if (i >= exp_json_len(arr))
		return NULL;
	return (const struct exp_json *)json_object_array_get_idx(jc(arr), i);
}

struct exp_json_iter exp_json_fields(const struct exp_json *obj)
{
	struct exp_json_iter it = { 0 };

	if (exp_json_type(obj) == EXP_JSON_OBJECT)
		it.next = json_object_get_object(jc(obj))->head;
	return it;
}

bool exp_json_field(struct exp_json_iter *it)
{
	struct lh_entry *e = it->next;

	if (!e)
		return false;
	it->name = lh_entry_k(e);
	it->value = lh_entry_v(e);
	it->next = e->next;
	return true;
}

/* --- build --- */

/* Remembered where it happened; exp_json_print() looks for it. */
static void spoil(struct exp_json *v)
{
	if (v)
		json_object_set_userdata(jc(v), (void *)&spoiled_mark, NULL);
}

static bool whole(struct json_object *v)
{
	if (json_object_is_type(v, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(v); i++)
			if (!whole(json_object_array_get_idx(v, i)))
				return false;
	} else if (json_object_is_type(v, json_type_object)) {
		for (struct lh_entry *e = json_object_get_object(v)->head; e; e = e->next)
			if (!whole(lh_entry_v(e)))
				return false;
	} else {
		return true; /* json-c has other uses for the user data of a number */
	}
	return json_object_get_userdata(v) != &spoiled_mark;
}

struct exp_json *exp_json_object(void)
{
	return (struct exp_json *)json_object_new_object();
}

struct exp_json *exp_json_array(void)
{
	return (struct exp_json *)json_object_new_array();
}

/* The bytes that are not UTF-8 become two each: U+0080..U+00FF */
static struct json_object *new_mended_str(const char *s, size_t len)
{
	char *mended = malloc(len * 2);
	struct json_object *v;
	size_t n = 0;

	if (!mended)
		return NULL;
	for (size_t i = 0; i < len;) {
		size_t c = exp_utf8_char(s + i, len - i);

		if (c) {
			memcpy(mended + n, s + i, c);
			n += c;
			i += c;
		} else {
			unsigned char b = (unsigned char)s[i++];

			mended[n++] = (char)(0xc0 | b >> 6);
			mended[n++] = (char)(0x80 | (b & 0x3f));
		}
	}
	v = json_object_new_string_len(mended, (int)n);
	free(mended);
	return v;
}

struct exp_json *exp_json_new_str(const char *s)
{
	size_t len = s ? strlen(s) : 0, good = 0, c;

	if (!s)
		return null_value;
	if (len > INT32_MAX / 2)
		return NULL;
	while (good < len && (c = exp_utf8_char(s + good, len - good)))
		good += c;
	return (struct exp_json *)(good == len ? json_object_new_string_len(s, (int)len)
					       : new_mended_str(s, len));
}

void exp_json_put(struct exp_json *obj, const char *name, struct exp_json *value)
{
	if (!value || !obj || json_object_object_add(jc(obj), name, jc(value)) < 0) {
		exp_json_free(value);
		spoil(obj);
	}
}

void exp_json_add(struct exp_json *arr, struct exp_json *value)
{
	if (!value || !arr || json_object_array_add(jc(arr), jc(value)) < 0) {
		exp_json_free(value);
		spoil(arr);
	}
}

void exp_json_put_str(struct exp_json *obj, const char *name, const char *s)
{
	exp_json_put(obj, name, exp_json_new_str(s));
}

void exp_json_put_u64(struct exp_json *obj, const char *name, uint64_t v)
{
	exp_json_put(obj, name, (struct exp_json *)json_object_new_uint64(v));
}

void exp_json_put_i64(struct exp_json *obj, const char *name, int64_t v)
{
	exp_json_put(obj, name, (struct exp_json *)json_object_new_int64(v));
}

void exp_json_put_double(struct exp_json *obj, const char *name, double v)
{
	static const char *const forms[] = { "%.15g", "%.16g", "%.17g" };
	struct json_object *num;
	char text[32];
	size_t i = 0;

	if (!isfinite(v)) {
		exp_json_put(obj, name, null_value);
		return;
	}
	for (; i < EXP_ARRAY_SIZE(forms) - 1; i++) {
		snprintf(text, sizeof(text), "%.*g", (int)(15 + i), v);
		if (strtod(text, NULL) == v)
			break;
	}
	num = json_object_new_double(v);
	if (num)
		json_object_set_serializer(num, json_object_double_to_json_string, (void *)forms[i],
					   NULL);
	exp_json_put(obj, name, (struct exp_json *)num);
}

void exp_json_put_bool(struct exp_json *obj, const char *name, bool v)
{
	exp_json_put(obj, name, (struct exp_json *)json_object_new_boolean(v));
}

void exp_json_put_uuid(struct exp_json *obj, const char *name, const struct exp_uuid *u)
{
	char text[EXP_UUID_TEXT];

	exp_json_put_str(obj, name, exp_uuid_format(u, text));
}

const char *exp_json_print(const struct exp_json *v, bool pretty, size_t *ret_len)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *text;
	size_t len;

	if (!v || !whole(jc(v)))
		return NULL;
	if (pretty)
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	text = json_object_to_json_string_length(jc(v), flags, &len);
	if (text && ret_len)
		*ret_len = len;
	return text;
}
