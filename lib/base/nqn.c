/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/nqn.h"
#include "base/uuid.h"

static const char uuid_form[] = "nqn.2014-08.org.nvmexpress:uuid:";

static bool digits(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isdigit((unsigned char)s[i]))
			return false;
	return true;
}

static bool month(const char *s)
{
	int m = (s[0] - '0') * 10 + s[1] - '0';

	return m >= 1 && m <= 12;
}

int exp_nqn_parse(const char *s, struct exp_nqn *ret, struct exp_error *err)
{
	size_t n = strnlen(s, EXP_NQN_MAX + 1);
	struct exp_uuid uuid;

	if (n > EXP_NQN_MAX)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL, "NQN is longer than %d bytes",
				     EXP_NQN_MAX);
	for (size_t i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
					     "NQN has the byte %02Xh at offset %zu; printable "
					     "ASCII without space is allowed",
					     (unsigned char)s[i], i);
	/* "nqn." yyyy "-" mm "." and at least one character of a domain */
	if (strncmp(s, "nqn.", 4) || n < 13 || !digits(s + 4, 4) || s[8] != '-' ||
	    !digits(s + 9, 2) || s[11] != '.' || s[12] == ':')
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "NQN \"%.40s\" does not start with nqn.yyyy-mm.domain", s);
	if (!month(s + 9))
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "NQN \"%.40s\" has month %.2s; 01 to 12 are months", s, s + 9);
	if (!strncmp(s, uuid_form, sizeof(uuid_form) - 1) &&
	    exp_uuid_parse(s + sizeof(uuid_form) - 1, &uuid) < 0)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "NQN \"%.80s\" names no UUID after \"uuid:\"", s);
	memcpy(ret->s, s, n + 1);
	return 0;
}

bool exp_nqn_match(const char *p, const char *s)
{
	const char *star = NULL, *mark = NULL;

	while (*s) {
		if (*p == '*') {
			star = p++;
			mark = s;
		} else if (*p == '?' || *p == *s) {
			p++;
			s++;
		} else if (star) {
			p = star + 1;
			s = ++mark;
		} else {
			return false;
		}
	}
	while (*p == '*')
		p++;
	return !*p;
}
