/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_text.h - the words of a JSON text: what a string and a number may consist of
 *
 * For json.c alone. json-c accepts more than RFC 8259 allows even in its strict mode (control
 * characters, lone surrogates, "-01", "1.", numbers that it cuts to the largest it knows).
 */
#ifndef EXP_BASE_JSON_TEXT_H
#define EXP_BASE_JSON_TEXT_H

#include <stddef.h>

/** exp_utf8_char - bytes of the valid character that @s begins with, 0 when there is none */
size_t exp_utf8_char(const char *s, size_t len);

/*
 * Both look at the word that begins at @text + *pos and move *pos behind it. NULL: fine; else what
 * is wrong, with *pos at the offending byte.
 */
const char *exp_json_text_string(const char *text, size_t len, size_t *pos);
const char *exp_json_text_number(const char *text, size_t len, size_t *pos);

#endif
