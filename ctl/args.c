/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args.c - the command line against the table of verbs
 *
 * expctl [OPTION...] NOUN VERB [ARGUMENT|OPTION]...; options that every verb has may stand
 * anywhere. Values as --name VALUE or --name=VALUE; "--" ends the options.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/out.h"

static const struct ctl_option common[] = {
	{ "socket", "PATH", "of the daemon (else $EXPCTL_SOCKET, else " EXP_CONTROL_SOCKET ")",
	  false },
	{ "json", NULL, "the daemon's answer as it is", false },
	{ "quiet", NULL, "only ids or names, one a line", false },
	{ "help", NULL, "explain this verb", false },
	{ "version", NULL, "of expctl", false },
	{ 0 },
};

/*
 * Help
 */

static void option_lines(FILE *out, const struct ctl_option *o)
{
	for (; o && o->name; o++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->metavar ? " " : "",
			 o->metavar ? o->metavar : "");
		fprintf(out, "  %-28s %s%s\n", left, o->help, o->repeat ? " (repeatable)" : "");
	}
}

static void verb_line(FILE *out, const struct ctl_verb *v)
{
	char left[80];

	snprintf(left, sizeof(left), "%s%s%s%s%s", v->noun, v->verb ? " " : "",
		 v->verb ? v->verb : "", v->args[0] ? " " : "", v->args);
	fprintf(out, "  %-28s %s\n", left, v->help);
}

static void verb_help(FILE *out, const struct ctl_verb *v)
{
	fprintf(out, "Usage: expctl %s%s%s%s%s%s\n%s.\n", v->noun, v->verb ? " " : "",
		v->verb ? v->verb : "", v->args[0] ? " " : "", v->args,
		v->options ? " [OPTION]..." : "", v->help);
	if (v->options) {
		fputs("\nOptions:\n", out);
		option_lines(out, v->options);
		option_lines(out, v->more);
	}
	fputs("\nOptions of every verb:\n", out);
	option_lines(out, common);
}

bool ctl_help(FILE *out, const char *noun, const char *verb)
{
	const struct ctl_verb *only = NULL;
	size_t n = 0;

	for (size_t i = 0; i < ctl_n_verbs; i++) {
		const struct ctl_verb *v = &ctl_verbs[i];

		if ((noun && strcmp(v->noun, noun)) ||
		    (verb && (!v->verb || strcmp(v->verb, verb))))
			continue;
		only = v;
		n++;
	}
	if (!n)
		return false;
	if (n == 1) {
		verb_help(out, only);
		return true;
	}
	fputs("Usage: expctl [OPTION]... NOUN [VERB] [ARGUMENT]...\n"
	      "Talks to expd, which moves virtual NVMe SSDs between hosts.\n\n"
	      "EXPORT is the UUID or the NQN of a virtual SSD, ID the UUID of a migration.\n\n",
	      out);
	for (size_t i = 0; i < ctl_n_verbs; i++)
		if (!noun || !strcmp(ctl_verbs[i].noun, noun))
			verb_line(out, &ctl_verbs[i]);
	fputs("\nOptions of every verb:\n", out);
	option_lines(out, common);
	fputs("\nExit status: 0 done, 1 refused or failed, 2 wrong usage, 3 the daemon is not "
	      "reachable,\n4 still running when the wait ended.\n",
	      out);
	return true;
}

int ctl_usage(const struct ctl *c, const char *fmt, ...)
{
	char text[512], shown[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ctl_escape(shown, sizeof(shown), text);
	fprintf(stderr, "expctl: %s\n", shown);
	if (c->verb)
		fprintf(stderr, "Try: expctl help %s%s%s\n", c->verb->noun,
			c->verb->verb ? " " : "", c->verb->verb ? c->verb->verb : "");
	else
		fputs("Try: expctl help\n", stderr);
	return CTL_USAGE;
}

/*
 * Parsing
 */

static const struct ctl_option *find(const struct ctl_option *o, const char *name, size_t len)
{
	for (; o && o->name; o++)
		if (strlen(o->name) == len && !memcmp(o->name, name, len))
			return o;
	return NULL;
}

static int give(struct ctl *c, const struct ctl_option *o, const char *value)
{
	if (c->n_given == CTL_VALUES_MAX)
		return ctl_usage(c, "more than %d options", CTL_VALUES_MAX);
	if (!o->repeat && ctl_has(c, o->name))
		return ctl_usage(c, "--%s twice", o->name);
	c->given[c->n_given].option = o;
	c->given[c->n_given++].value = value;
	return -1;
}

/* One option at argv[*at]; moves *at behind it. */
static int take_option(struct ctl *c, int argc, char **argv, int *at)
{
	const char *arg = argv[*at] + 2, *eq = strchr(arg, '=');
	size_t len = eq ? (size_t)(eq - arg) : strlen(arg);
	const struct ctl_option *o = find(common, arg, len);

	if (!o && c->verb)
		o = find(c->verb->options, arg, len);
	if (!o && c->verb)
		o = find(c->verb->more, arg, len);
	if (!o)
		return ctl_usage(c, "no option --%.*s%s", (int)len, arg,
				 c->verb ? " here" : " before the verb");
	(*at)++;
	if (!o->metavar && eq)
		return ctl_usage(c, "--%s takes no value", o->name);
	if (!o->metavar)
		return give(c, o, NULL);
	if (eq)
		return give(c, o, eq + 1);
	if (*at >= argc)
		return ctl_usage(c, "--%s needs a value: %s", o->name, o->metavar);
	return give(c, o, argv[(*at)++]);
}

static bool is_option(const char *arg)
{
	return arg[0] == '-' && arg[1] == '-' && arg[2];
}

/* -h and -q, as people type them. */
static const char *long_form(const char *arg)
{
	if (!strcmp(arg, "-h"))
		return "--help";
	if (!strcmp(arg, "-q"))
		return "--quiet";
	return arg;
}

static int take_verb(struct ctl *c, int argc, char **argv, int *at)
{
	const char *noun = argv[*at], *verb = *at + 1 < argc ? argv[*at + 1] : NULL;
	bool known = false;

	for (size_t i = 0; i < ctl_n_verbs; i++) {
		const struct ctl_verb *v = &ctl_verbs[i];

		if (strcmp(v->noun, noun))
			continue;
		known = true;
		if (v->verb && (!verb || strcmp(v->verb, verb)))
			continue;
		c->verb = v;
		*at += v->verb ? 2 : 1;
		return -1;
	}
	if (!known)
		return ctl_usage(c, "\"%s\" is none of its verbs", noun);
	if (!verb || verb[0] == '-') {
		bool asked = verb && !strcmp(long_form(verb), "--help");

		ctl_help(asked ? stdout : stderr, noun, NULL);
		return asked ? CTL_DONE : CTL_USAGE;
	}
	return ctl_usage(c, "\"%s %s\" is none of its verbs", noun, verb);
}

/* Options and arguments from *at on; without a verb yet, up to the first argument. */
static int take_rest(struct ctl *c, int argc, char **argv, int *at)
{
	int kept = *at;
	bool options = true;

	while (*at < argc) {
		argv[*at] = (char *)long_form(argv[*at]);
		if (options && !strcmp(argv[*at], "--")) {
			options = false;
			(*at)++;
		} else if (options && is_option(argv[*at])) {
			int r = take_option(c, argc, argv, at);

			if (r >= 0)
				return r;
		} else if (options && argv[*at][0] == '-' && argv[*at][1]) {
			return ctl_usage(c, "no option %s", argv[*at]);
		} else if (!c->verb) {
			return -1;
		} else {
			argv[kept++] = argv[(*at)++];
			c->n_args++;
		}
	}
	return -1;
}

static int check_args(const struct ctl *c)
{
	const struct ctl_verb *v = c->verb;

	if (c->n_args < v->min)
		return ctl_usage(c, "%s is missing", v->args);
	if (c->n_args > v->max)
		return ctl_usage(c, "%u arguments, at most %u are taken: \"%s\" is too much",
				 c->n_args, v->max, c->args[v->max]);
	return -1;
}

int ctl_parse(struct ctl *c, int argc, char **argv, const char *environment)
{
	int at = 1, r;

	memset(c, 0, sizeof(*c));
	r = take_rest(c, argc, argv, &at);
	if (r >= 0)
		return r;
	if (ctl_has(c, "version")) {
		puts("expctl " EXP_VERSION);
		return CTL_DONE;
	}
	if (at >= argc) {
		bool asked = ctl_has(c, "help");

		ctl_help(asked ? stdout : stderr, NULL, NULL);
		return asked ? CTL_DONE : CTL_USAGE;
	}
	r = take_verb(c, argc, argv, &at);
	if (r >= 0)
		return r;
	c->args = (const char *const *)&argv[at];
	r = take_rest(c, argc, argv, &at);
	if (r >= 0)
		return r;
	if (ctl_has(c, "help")) {
		verb_help(stdout, c->verb);
		return CTL_DONE;
	}
	c->json = ctl_has(c, "json");
	c->quiet = ctl_has(c, "quiet");
	c->socket = ctl_value(c, "socket");
	if (!c->socket)
		c->socket = environment && *environment ? environment : EXP_CONTROL_SOCKET;
	return check_args(c);
}

bool ctl_has(const struct ctl *c, const char *option)
{
	for (unsigned int i = 0; i < c->n_given; i++)
		if (!strcmp(c->given[i].option->name, option))
			return true;
	return false;
}

const char *ctl_value(const struct ctl *c, const char *option)
{
	for (unsigned int i = 0; i < c->n_given; i++)
		if (!strcmp(c->given[i].option->name, option))
			return c->given[i].value;
	return NULL;
}

static int digit(char ch)
{
	if (isdigit((unsigned char)ch))
		return ch - '0';
	ch = (char)tolower((unsigned char)ch);
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : 99;
}

int ctl_number(const char *s, uint64_t *ret)
{
	static const char units[] = "KMGT";
	int base = s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? 16 : 10;
	const char *p = base == 16 ? s + 2 : s, *first = p, *unit;
	uint64_t v = 0;

	for (; digit(*p) < base; p++)
		if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)digit(*p), &v))
			return -EINVAL;
	if (p == first)
		return -EINVAL;
	unit = *p ? strchr(units, toupper((unsigned char)*p)) : NULL;
	if (unit) {
		for (const char *u = units; u <= unit; u++)
			if (__builtin_mul_overflow(v, UINT64_C(1024), &v))
				return -EINVAL;
		p++;
		if (!strcmp(p, "iB") || !strcmp(p, "i"))
			p += strlen(p);
	}
	if (*p)
		return -EINVAL;
	*ret = v;
	return 0;
}
