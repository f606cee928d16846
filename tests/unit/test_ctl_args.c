/* SPDX-License-Identifier: Apache-2.0 */
/* expctl's command line: which verb, which options, what is refused */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "support/tests.h"

#include "ctl/ctl.h"

static struct ctl c;
static char *words[160];

/* Parses "a b c" as the arguments behind "expctl"; what is printed goes nowhere. */
static int parse_env(const char *line, const char *environment)
{
	static char copy[4096];
	int argc = 1, r, out = dup(1), err = dup(2), null = open("/dev/null", O_WRONLY);
	char *save = NULL;

	snprintf(copy, sizeof(copy), "%s", line);
	words[0] = (char *)"expctl";
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		words[argc++] = w;
	words[argc] = NULL;
	fflush(stdout);
	dup2(null, 1);
	dup2(null, 2);
	r = ctl_parse(&c, argc, words, environment);
	fflush(stdout);
	dup2(out, 1);
	dup2(err, 2);
	close(out);
	close(err);
	close(null);
	return r;
}

static int parse(const char *line)
{
	return parse_env(line, NULL);
}

static void is_verb(const char *line, const char *noun, const char *verb)
{
	if (parse(line) != -1)
		fail_msg("\"%s\" is refused", line);
	assert_string_equal(c.verb->noun, noun);
	if (verb)
		assert_string_equal(c.verb->verb, verb);
	else
		assert_null(c.verb->verb);
}

static void test_every_row_is_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < ctl_n_verbs; i++) {
		const struct ctl_verb *v = &ctl_verbs[i];

		assert_non_null(v->run);
		assert_true(v->help[0]);
		assert_true(v->min <= v->max);
		assert_int_equal(v->args[0] != 0, v->max > 0);
		for (size_t k = 0; k < i; k++)
			assert_false(!strcmp(v->noun, ctl_verbs[k].noun) &&
				     (!v->verb || !ctl_verbs[k].verb ||
				      !strcmp(v->verb, ctl_verbs[k].verb)));
	}
}

static void test_verbs_are_found(void **state)
{
	(void)state;
	is_verb("device list", "device", "list");
	is_verb("export show x", "export", "show");
	assert_int_equal(c.n_args, 1);
	assert_string_equal(c.args[0], "x");
	is_verb("migrate a b --to c d", "migrate", NULL);
	assert_int_equal(c.n_args, 3);
	assert_string_equal(c.args[2], "d");
	assert_string_equal(ctl_value(&c, "to"), "c");
	is_verb("version", "version", NULL);
	is_verb("help migration show", "help", NULL);
	assert_int_equal(c.n_args, 2);
}

static void test_options_in_every_place(void **state)
{
	(void)state;
	is_verb("--json --socket /a device list", "device", "list");
	assert_true(c.json);
	assert_string_equal(c.socket, "/a");
	is_verb("device list --socket=/b -q", "device", "list");
	assert_false(c.json);
	assert_true(c.quiet);
	assert_string_equal(c.socket, "/b");
	is_verb("export show --json x", "export", "show");
	assert_string_equal(c.args[0], "x");
	is_verb("export show -- --json", "export", "show");
	assert_false(c.json);
	assert_string_equal(c.args[0], "--json");
	is_verb("export show -", "export", "show");
	assert_string_equal(c.args[0], "-");
	is_verb("migrate x --to= --dirty=none", "migrate", NULL);
	assert_string_equal(ctl_value(&c, "to"), "");
	assert_string_equal(ctl_value(&c, "dirty"), "none");
	assert_null(ctl_value(&c, "hold"));
	assert_true(ctl_has(&c, "dirty"));
	assert_false(ctl_has(&c, "detach"));
}

static void test_socket_from_where(void **state)
{
	(void)state;
	assert_int_equal(parse_env("version", NULL), -1);
	assert_string_equal(c.socket, "/run/expd/control.sock");
	assert_int_equal(parse_env("version", ""), -1);
	assert_string_equal(c.socket, "/run/expd/control.sock");
	assert_int_equal(parse_env("version", "/env"), -1);
	assert_string_equal(c.socket, "/env");
	assert_int_equal(parse_env("version --socket /opt", "/env"), -1);
	assert_string_equal(c.socket, "/opt");
}

static void test_usage_is_refused(void **state)
{
	static const char *const lines[] = {
		"",
		"device",
		"device fly",
		"fly",
		"fly list",
		"device list x",
		"device show",
		"device show a b",
		"export show",
		"--fly device list",
		"device list --fly",
		"device list --to x",
		"--to x migrate y",
		"migrate",
		"migrate x --to",
		"migrate x --to b --to c",
		"device list --json --json",
		"device list --json=1",
		"device list -x",
		"-x",
		"help a b c",
		"migrate a a a a a a a a a a a a a a a a a",
		"device --json list",
		"export -x list",
	};

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(lines); i++)
		if (parse(lines[i]) != CTL_USAGE)
			fail_msg("\"%s\" is taken", lines[i]);
}

static void test_help_is_not_a_failure(void **state)
{
	static const char *const lines[] = { "--help",        "-h",
					     "device --help", "device show --help",
					     "migrate -h",    "--version",
					     "--version fly" };

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(lines); i++)
		if (parse(lines[i]) != CTL_DONE)
			fail_msg("\"%s\" is refused", lines[i]);
}

static void test_repeated_option(void **state)
{
	char line[4096] = "migration target-ready x";
	unsigned int n = 0;

	(void)state;
	is_verb("migration target-ready x --memory 0:1 --memory 2:3", "migration", "target-ready");
	for (unsigned int i = 0; i < c.n_given; i++)
		n += !strcmp(c.given[i].option->name, "memory");
	assert_int_equal(n, 2);
	for (int i = 0; i < CTL_VALUES_MAX / 2; i++)
		strcat(line, " --memory=0:1 --memory=0:1");
	is_verb(line, "migration", "target-ready");
	strcat(line, " --memory=0:1");
	assert_int_equal(parse(line), CTL_USAGE);
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "512M", 512ull << 20 },
		{ "2G", 2ull << 30 },
		{ "2g", 2ull << 30 },
		{ "2GiB", 2ull << 30 },
		{ "3K", 3072 },
		{ "1T", 1ull << 40 },
		{ "0x1000", 4096 },
		{ "0XfF", 255 },
		{ "18446744073709551615", UINT64_MAX },
		{ "0xffffffffffffffff", UINT64_MAX },
	};
	static const char *const bad[] = { "",         "G",    "-1", "1.5G", "1 G",
					   "1GB",      "1Gib", "0x", "0xg",  "12a",
					   " 1",       "1G1",  "+1", "2KM",  "18446744073709551616",
					   "16777216T" };
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(good); i++) {
		if (ctl_number(good[i].text, &v) || v != good[i].value)
			fail_msg("%s", good[i].text);
	}
	for (size_t i = 0; i < EXP_ARRAY_SIZE(bad); i++) {
		v = 77;
		if (ctl_number(bad[i], &v) != -EINVAL || v != 77)
			fail_msg("\"%s\" is taken", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_is_whole),
		cmocka_unit_test(test_verbs_are_found),
		cmocka_unit_test(test_options_in_every_place),
		cmocka_unit_test(test_socket_from_where),
		cmocka_unit_test(test_usage_is_refused),
		cmocka_unit_test(test_help_is_not_a_failure),
		cmocka_unit_test(test_repeated_option),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests_name("ctl_args", tests, NULL, NULL);
}
