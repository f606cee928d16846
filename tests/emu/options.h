/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - command line options of the emulator's programs: one table, which is also the help
 */
#ifndef EMU_OPTIONS_H
#define EMU_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum emu_option_type { EMU_OPT_FLAG, EMU_OPT_STRING, EMU_OPT_U64, EMU_OPT_BYTES };

struct emu_option {
	const char *name; /* without the dashes */
	enum emu_option_type type;
	void *value;       /* bool, const char * (borrowed from argv), uint64_t */
	uint64_t min, max; /* of a number; BYTES takes suffixes K, M, G, T */
	const char *arg, *help;
};

/**
 * emu_options_parse - "--name value", "--name=value", "--flag"; what is left is shifted to
 * argv[1..] Returns the number of arguments left, or -EINVAL.
 */
int emu_options_parse(const struct emu_option *opts, size_t n, int argc, char **argv,
		      struct exp_error *err) EXP_MUST_CHECK;

/** emu_options_help - the table on standard output */
void emu_options_help(const struct emu_option *opts, size_t n);

#endif
