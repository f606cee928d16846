/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "ctl/out.h"

void ctl_escape(char *out, size_t cap, const char *s)
{
	size_t n = 0;

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		bool plain = c >= ' ' && c <= '~' && c != '\\';
		size_t need = plain ? 1 : 4;

		if (n + need >= cap)
			break;
		if (plain)
			out[n] = (char)c;
		else
			snprintf(out + n, cap - n, "\\x%02x", c);
		n += need;
	}
	out[n] = '\0';
}

/*
 * Units
 */

const char *ctl_bytes(char *out, uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)bytes;
	size_t u = 0;

	for (; v >= 1024 && u + 1 < EXP_ARRAY_SIZE(units); u++)
		v /= 1024;
	snprintf(out, CTL_TEXT, u && v < 10 ? "%.1f %s" : "%.0f %s", v, units[u]);
	return out;
}

const char *ctl_rate(char *out, uint64_t bytes_per_s)
{
	size_t n;

	ctl_bytes(out, bytes_per_s);
	n = strlen(out);
	snprintf(out + n, CTL_TEXT - n, "/s");
	return out;
}

const char *ctl_us(char *out, uint64_t us)
{
	if (us < 1000)
		snprintf(out, CTL_TEXT, "%" PRIu64 " us", us);
	else if (us < 1000000)
		snprintf(out, CTL_TEXT, "%" PRIu64 ".%" PRIu64 " ms", us / 1000, us / 100 % 10);
	else
		ctl_ms(out, us / 1000);
	return out;
}

const char *ctl_ms(char *out, uint64_t ms)
{
	uint64_t s = ms / 1000;

	if (ms < 1000)
		snprintf(out, CTL_TEXT, "%" PRIu64 " ms", ms);
	else if (s < 60)
		snprintf(out, CTL_TEXT, "%" PRIu64 ".%" PRIu64 " s", s, ms / 100 % 10);
	else if (s < 3600)
		snprintf(out, CTL_TEXT, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
	else
		snprintf(out, CTL_TEXT, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
	return out;
}

const char *ctl_time(char *out, uint64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	if (!localtime_r(&t, &tm) || !strftime(out, CTL_TEXT, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(out, CTL_TEXT, "%" PRIu64 " ms", ms);
	return out;
}

/*
 * Answers
 */

const struct exp_json *ctl_at(const struct exp_json *v, const char *path)
{
	char name[32];

	while (v && *path) {
		size_t n = strcspn(path, ".");

		if (n >= sizeof(name))
			return NULL;
		memcpy(name, path, n);
		name[n] = '\0';
		v = exp_json_get(v, name);
		path += path[n] ? n + 1 : n;
	}
	return v;
}

const char *ctl_str(const struct exp_json *v, const char *path, const char *fallback)
{
	return exp_json_str(ctl_at(v, path), fallback);
}

uint64_t ctl_u64(const struct exp_json *v, const char *path, uint64_t fallback)
{
	return exp_json_u64(ctl_at(v, path), fallback);
}

bool ctl_known(const struct exp_json *v, const char *path)
{
	return exp_json_type(ctl_at(v, path)) != EXP_JSON_NULL;
}

/*
 * Tables
 */

void ctl_table_init(struct ctl_table *t, size_t n, const char *const *head)
{
	memset(t, 0, sizeof(*t));
	t->n_columns = n;
	for (size_t i = 0; i < n; i++)
		t->head[i] = head[i];
}

void ctl_cell(struct ctl_table *t, const char *s)
{
	size_t cap = 4 * strlen(s) + 1;
	char **cells = NULL, *cell = malloc(cap);

	if (cell)
		cells = realloc(t->cells, (t->n_cells + 1) * sizeof(*cells));
	if (!cells) {
		free(cell);
		t->failed = true;
		return;
	}
	ctl_escape(cell, cap, s);
	t->cells = cells;
	t->cells[t->n_cells++] = cell;
}

static void print_row(const struct ctl_table *t, const size_t *width, char *const *cells, FILE *out)
{
	for (size_t i = 0; i < t->n_columns; i++) {
		const char *cell = cells ? cells[i] : t->head[i] + (t->head[i][0] == '>');
		bool right = t->head[i][0] == '>', last = i + 1 == t->n_columns;
		int w = (int)width[i];

		fprintf(out, "%s%*s", i ? "  " : "", right ? w : last ? 0 : -w, cell);
	}
	fputc('\n', out);
}

int ctl_table_print(struct ctl_table *t, FILE *out)
{
	size_t width[CTL_COLUMNS_MAX];
	int r = t->failed ? -ENOMEM : 0;

	for (size_t i = 0; i < t->n_columns; i++) {
		width[i] = strlen(t->head[i]) - (t->head[i][0] == '>');
		for (size_t k = i; k < t->n_cells; k += t->n_columns)
			width[i] = EXP_MAX(width[i], strlen(t->cells[k]));
	}
	if (!r) {
		print_row(t, width, NULL, out);
		for (size_t k = 0; k + t->n_columns <= t->n_cells; k += t->n_columns)
			print_row(t, width, t->cells + k, out);
	}
	for (size_t k = 0; k < t->n_cells; k++)
		free(t->cells[k]);
	free(t->cells);
	memset(t, 0, sizeof(*t));
	return r;
}

void ctl_line(FILE *out, const char *name, const char *fmt, ...)
{
	char text[1024], shown[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ctl_escape(shown, sizeof(shown), text);
	fprintf(out, "%-14s %s\n", name, shown);
}

void ctl_finding(FILE *out, const struct exp_json *f)
{
	char text[1024];

	ctl_escape(text, sizeof(text), ctl_str(f, "severity", "?"));
	fprintf(out, "%-8s ", text);
	ctl_escape(text, sizeof(text), ctl_str(f, "code", "?"));
	fprintf(out, "%s: ", text);
	ctl_escape(text, sizeof(text), ctl_str(f, "message", ""));
	fprintf(out, "%s\n", text);
	if (!*ctl_str(f, "have", "") && !*ctl_str(f, "want", ""))
		return;
	ctl_escape(text, sizeof(text), ctl_str(f, "have", ""));
	fprintf(out, "         is %s", *text ? text : "(nothing)");
	ctl_escape(text, sizeof(text), ctl_str(f, "want", ""));
	fprintf(out, ", needed %s", *text ? text : "(nothing)");
	ctl_escape(text, sizeof(text), ctl_str(f, "rule", ""));
	fprintf(out, "%s%s%s\n", *text ? " (" : "", text, *text ? ")" : "");
}
