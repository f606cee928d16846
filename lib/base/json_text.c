/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_text.c - strings and numbers as RFC 8259 sections 6 and 7 define them, and nothing beyond
 */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"

#define NUMBER_MAX 64 /* characters; 2^64 has 20, a double needs 24 */

/* Shortest form only, no surrogates, nothing above U+10FFFF (RFC 3629, section 4) */
size_t exp_utf8_char(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (!len)
		return 0;
	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (len < n)
		return 0;
	switch (s[0]) { /* the second byte is where overlong, surrogate and too large show */
	case 0xe0: low = 0xa0; break;
	case 0xed: high = 0x9f; break;
	case 0xf0: low = 0x90; break;
	case 0xf4: high = 0x8f; break;
	}
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}

static bool hex4(const char *s, size_t len, unsigned int *ret)
{
	unsigned int v = 0;

	if (len < 4)
		return false;
	for (size_t i = 0; i < 4; i++) {
		static const char digits[] = "0123456789abcdef0123456789ABCDEF";
		const char *d = s[i] ? strchr(digits, s[i]) : NULL;

		if (!d)
			return false;
		v = v << 4 | ((unsigned int)(d - digits) & 15);
	}
	*ret = v;
	return true;
}

/* @pos is behind the backslash */
static const char *escape(const char *text, size_t len, size_t *pos)
{
	unsigned int high, low;
	size_t p = *pos;

	if (p >= len || !text[p] || !strchr("\"\\/bfnrtu", text[p]))
		return "an escape that JSON does not have";
	if (text[p++] != 'u') {
		*pos = p;
		return NULL;
	}
	if (!hex4(text + p, len - p, &high))
		return "\\u without four hexadecimal digits";
	if (!high)
		return "\\u0000 in a string";
	p += 4;
	if (high >= 0xdc00 && high <= 0xdfff)
		return "the second half of a surrogate pair without the first";
	if (high >= 0xd800 && high <= 0xdbff) {
		if (len - p < 6 || text[p] != '\\' || text[p + 1] != 'u' ||
		    !hex4(text + p + 2, len - p - 2, &low) || low < 0xdc00 || low > 0xdfff)
			return "the first half of a surrogate pair without the second";
		p += 6;
	}
	*pos = p;
	return NULL;
}

const char *exp_json_text_string(const char *text, size_t len, size_t *pos)
{
	size_t p = *pos + 1; /* behind the opening quote */
	const char *wrong = NULL;

	while (p < len && text[p] != '"') {
		size_t n = exp_utf8_char(text + p, len - p);

		if ((unsigned char)text[p] < 0x20)
			wrong = "a control character in a string";
		else if (!n)
			wrong = "not UTF-8";
		if (wrong)
			break;
		p += n;
		if (text[p - 1] == '\\')
			wrong = escape(text, len, &p);
		if (wrong)
			break;
	}
	if (!wrong && p >= len)
		wrong = "the text ends in a string";
	*pos = wrong ? p : p + 1;
	return wrong;
}

static bool digits(const char *text, size_t len, size_t *pos)
{
	size_t p = *pos;

	while (p < len && text[p] >= '0' && text[p] <= '9')
		p++;
	if (p == *pos)
		return false;
	*pos = p;
	return true;
}

/* No surprise for who reads numbers as 64 bits or as double: it fits, or it is refused. */
static bool fits(const char *word, bool whole)
{
	errno = 0;
	if (!whole)
		return isfinite(strtod(word, NULL));
	if (word[0] == '-')
		strtoll(word, NULL, 10);
	else
		strtoull(word, NULL, 10);
	return errno != ERANGE;
}

const char *exp_json_text_number(const char *text, size_t len, size_t *pos)
{
	char word[NUMBER_MAX + 1];
	size_t start = *pos, p = start;
	bool whole = true, ok;

	if (p < len && text[p] == '-')
		p++;
	if (p < len && text[p] == '0') {
		p++; /* and no digit after it, which the caller sees as a word out of place */
		ok = p >= len || text[p] < '0' || text[p] > '9';
	} else {
		ok = digits(text, len, &p);
	}
	if (ok && p < len && text[p] == '.') {
		whole = false;
		p++;
		ok = digits(text, len, &p);
	}
	if (ok && p < len && (text[p] == 'e' || text[p] == 'E')) {
		whole = false;
		p++;
		if (p < len && (text[p] == '+' || text[p] == '-'))
			p++;
		ok = digits(text, len, &p);
	}
	*pos = p;
	if (!ok)
		return "not a number that JSON has";
	if (p - start > NUMBER_MAX) {
		*pos = start;
		return "a number of more than 64 characters";
	}
	memcpy(word, text + start, p - start);
	word[p - start] = '\0';
	if (fits(word, whole))
		return NULL;
	*pos = start;
	return whole ? "a whole number beyond 64 bits" : "a number beyond what a double holds";
}
