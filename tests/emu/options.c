/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c - parse a command line by its table
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu/options.h"

static const struct emu_option *find(const struct emu_option *opts, size_t n, const char *name,
				     size_t len)
{
	for (size_t i = 0; i < n; i++) {
		if (strlen(opts[i].name) == len && !memcmp(opts[i].name, name, len))
			return &opts[i];
	}
	return NULL;
}

/* "10", with BYTES also "10K" to "10T" */
static int number(const struct emu_option *o, const char *text, uint64_t *ret)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*ret = strtoull(text, &end, 0);
	if (errno)
		return -EINVAL;
	if (o->type == EMU_OPT_BYTES && *end && (unit = strchr(units, *end))) {
		unsigned int shift = 10u * (unsigned int)(unit - units + 1);

		if (*ret > UINT64_MAX >> shift)
			return -EINVAL;
		*ret <<= shift;
		end++;
	}
	return *end ? -EINVAL : 0;
}

static int set(const struct emu_option *o, const char *text, struct exp_error *err)
{
	uint64_t v;

	switch (o->type) {
	case EMU_OPT_FLAG: *(bool *)o->value = true; return 0;
	case EMU_OPT_STRING: *(const char **)o->value = text; return 0;
	case EMU_OPT_U64:
	case EMU_OPT_BYTES: break;
	}
	if (number(o, text, &v) < 0)
		return exp_error_set(err, EXP_CODE_USAGE, EINVAL, "--%s: \"%s\" is no number%s",
				     o->name, text,
				     o->type == EMU_OPT_BYTES ? " of bytes (K, M, G, T)" : "");
	if (v < o->min || v > o->max)
		return exp_error_set(err, EXP_CODE_USAGE, EINVAL,
				     "--%s: %llu is not between %llu and %llu", o->name,
				     (unsigned long long)v, (unsigned long long)o->min,
				     (unsigned long long)o->max);
	*(uint64_t *)o->value = v;
	return 0;
}

int emu_options_parse(const struct emu_option *opts, size_t n, int argc, char **argv,
		      struct exp_error *err)
{
	int left = 0;

	for (int i = 1; i < argc; i++) {
		const char *name = argv[i] + 2, *eq = strchr(argv[i], '=');
		const struct emu_option *o;
		int r;

		if (strncmp(argv[i], "--", 2)) {
			argv[1 + left++] = argv[i];
			continue;
		}
		o = find(opts, n, name, eq ? (size_t)(eq - name) : strlen(name));
		if (!o)
			return exp_error_set(err, EXP_CODE_USAGE, EINVAL,
					     "there is no option %s; --help lists them", argv[i]);
		if (o->type == EMU_OPT_FLAG && eq)
			return exp_error_set(err, EXP_CODE_USAGE, EINVAL, "--%s takes no value",
					     o->name);
		if (o->type != EMU_OPT_FLAG && !eq && ++i == argc)
			return exp_error_set(err, EXP_CODE_USAGE, EINVAL, "--%s needs a value",
					     o->name);
		r = set(o, eq ? eq + 1 : argv[i], err);
		if (r < 0)
			return r;
	}
	return left;
}

void emu_options_help(const struct emu_option *opts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", opts[i].name, opts[i].arg ? " " : "",
			 opts[i].arg ? opts[i].arg : "");
		printf("  %-26s %s\n", left, opts[i].help);
	}
}
