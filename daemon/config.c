/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/fs.h"
#include "config.h"
#include "model/job.h"

#define CONFIG_FILE_MAX (1024 * 1024)

enum section { SECTION_DAEMON, SECTION_DEVICE, SECTION_PEER, SECTION_NONE };

static const char *const section_names[] = { "daemon", "device", "peer" };

struct parse {
	struct expd_config *c;
	const char *path;
	int line; /* that is parsed now */
	enum section section;
	char section_text[EXPD_VALUE_MAX + 1]; /* between its brackets */
	int section_line;
	void *at;           /* struct the keys of the section go to */
	unsigned long seen; /* bit per row of keys[]: set in this section already */
	bool seen_daemon;
	struct exp_error *err;
};

typedef int (*parser)(struct parse *p, const char *key, const char *value, void *dst);

static int complain(struct parse *p, const char *fmt, ...) EXP_PRINTF(2, 3);

static int complain(struct parse *p, const char *fmt, ...)
{
	char what[sizeof(p->err->msg)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return exp_error_set(p->err, EXP_CODE_CONFIG, EINVAL, "%s:%d: %s", p->path, p->line, what);
}

static int parse_text(struct parse *p, const char *key, const char *value, void *dst)
{
	if (!*value)
		return complain(p, "%s is empty", key);
	if (strlen(value) > EXPD_VALUE_MAX)
		return complain(p, "%s is longer than %d bytes", key, EXPD_VALUE_MAX);
	strcpy(dst, value);
	return 0;
}

static int parse_identity(struct parse *p, const char *key, const char *value, void *dst)
{
	const char *c = value;

	while (*c > ' ' && *c < 0x7f)
		c++;
	if (*c || !strchr(value, ':'))
		return complain(p, "%s is \"%s\": a URI is needed, as in spiffe://example/host/b",
				key, value);
	return parse_text(p, key, value, dst);
}

static int parse_path(struct parse *p, const char *key, const char *value, void *dst)
{
	if (*value && *value != '/')
		return complain(p, "%s is \"%s\": an absolute path is needed", key, value);
	return parse_text(p, key, value, dst);
}

static int parse_transport(struct parse *p, const char *key, const char *value, void *dst)
{
	static const char *const kinds[] = { "vfio-user:/", "nvme:/" };

	for (size_t i = 0; i < EXP_ARRAY_SIZE(kinds); i++)
		if (!strncmp(value, kinds[i], strlen(kinds[i])))
			return parse_text(p, key, value, dst);
	return complain(p, "%s is \"%s\": known are vfio-user:DIR and nvme:PATH, absolute", key,
			value);
}

static int parse_address(struct parse *p, const char *key, const char *value, void *dst)
{
	const char *colon = strrchr(value, ':');
	char *end;
	unsigned long port;

	if (!colon || colon == value || !isdigit((unsigned char)colon[1]))
		return complain(p, "%s is \"%s\": HOST:PORT is needed", key, value);
	if (memchr(value, ':', (size_t)(colon - value)) && (*value != '[' || colon[-1] != ']'))
		return complain(p, "%s is \"%s\": an IPv6 address is written [ADDRESS]:PORT", key,
				value);
	port = strtoul(colon + 1, &end, 10);
	if (*end || !port || port > 65535)
		return complain(p, "%s has port \"%s\": 1..65535 is needed", key, colon + 1);
	return parse_text(p, key, value, dst);
}

static int parse_bool(struct parse *p, const char *key, const char *value, void *dst)
{
	if (strcmp(value, "yes") && strcmp(value, "no"))
		return complain(p, "%s is \"%s\": yes or no is needed", key, value);
	*(bool *)dst = !strcmp(value, "yes");
	return 0;
}

static int parse_u32(struct parse *p, const char *key, const char *value, void *dst)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(value, &end, 10);
	if (!isdigit((unsigned char)*value) || *end || errno || v < 1 || v > 3600000)
		return complain(p, "%s is \"%s\": a number from 1 to 3600000 is needed", key,
				value);
	*(uint32_t *)dst = (uint32_t)v;
	return 0;
}

static int parse_level(struct parse *p, const char *key, const char *value, void *dst)
{
	static const char *const names[] = { "error", "warning", "notice", "info", "debug" };

	for (size_t i = 0; i < EXP_ARRAY_SIZE(names); i++) {
		if (!strcmp(value, names[i])) {
			*(int *)dst = LOG_ERR + (int)i;
			return 0;
		}
	}
	return complain(p, "%s is \"%s\": known are error, warning, notice, info, debug", key,
			value);
}

static int parse_rights(struct parse *p, const char *key, const char *value, void *dst)
{
	char copy[EXPD_VALUE_MAX + 1], *save = NULL;
	unsigned int rights = 0;

	if (strlen(value) > EXPD_VALUE_MAX)
		return complain(p, "%s is longer than %d bytes", key, EXPD_VALUE_MAX);
	strcpy(copy, value);
	for (char *w = strtok_r(copy, " ,\t", &save); w; w = strtok_r(NULL, " ,\t", &save)) {
		if (!strcmp(w, "may_send"))
			rights |= EXPD_MAY_SEND;
		else if (!strcmp(w, "may_receive"))
			rights |= EXPD_MAY_RECEIVE;
		else
			return complain(p, "%s has \"%s\": known are may_send and may_receive", key,
					w);
	}
	*(unsigned int *)dst = rights;
	return 0;
}

static int parse_uuid(struct parse *p, const char *key, const char *value, void *dst)
{
	if (exp_uuid_parse(value, dst) < 0)
		return complain(p, "%s is \"%s\": a UUID is needed", key, value);
	return 0;
}

struct key {
	enum section section;
	const char *name;
	parser parse;
	size_t offset;
	bool required;
	const char *example; /* also the default where there is one */
	const char *help;
};

#define D(field) offsetof(struct expd_config, field)
#define V(field) offsetof(struct expd_device_config, field)
#define P(field) offsetof(struct expd_peer_config, field)

static const struct key keys[] = {
	{ SECTION_DAEMON, "runtime_dir", parse_path, D(runtime_dir), false, "/run/expd",
	  "control.sock and read.sock are here" },
	{ SECTION_DAEMON, "state_dir", parse_path, D(state_dir), false, "/var/lib/expd",
	  "the inventory of exports; restoring an old copy of it is noticed by the peers" },
	{ SECTION_DAEMON, "listen", parse_address, D(listen), false, "[::]:7471",
	  "where peers reach this host; without it no peer can send here" },
	{ SECTION_DAEMON, "ca_file", parse_path, D(ca_file), true, "/etc/expd/ca.pem",
	  "certificate authorities that sign the peers' certificates" },
	{ SECTION_DAEMON, "cert_file", parse_path, D(cert_file), true, "/etc/expd/host.pem",
	  "this host's certificate and its chain; its SAN URI is this host's identity" },
	{ SECTION_DAEMON, "key_file", parse_path, D(key_file), true, "/etc/expd/host.key",
	  "the private key; nobody else may read it" },
	{ SECTION_DAEMON, "log_level", parse_level, D(log_level), false, "info",
	  "error, warning, notice, info or debug" },
	{ SECTION_DAEMON, "allow_reset_on_restart", parse_bool, D(allow_reset_on_restart), false,
	  "no",
	  "live moves although a restarted daemon resets the drive's admin function: such a "
	  "reset ends suspensions and so the attempt" },
	{ SECTION_DAEMON, "blackout_limit_ms", parse_u32, D(blackout_limit_ms), false, "1000",
	  "default ceiling of a move's blackout" },
	{ SECTION_DAEMON, "hold_lease_ms", parse_u32, D(hold_lease_ms), false, "30000",
	  "how long a hold waits for the VM manager" },
	{ SECTION_DAEMON, "max_jobs", parse_u32, D(max_jobs), false, "8",
	  "migrations that may run at once, both directions together" },
	{ SECTION_DEVICE, "transport", parse_transport, V(transport), true,
	  "vfio-user:/run/ssd0/mmc", "how the drive's migration management controller is reached" },
	{ SECTION_DEVICE, "data", parse_text, V(data), false, "/dev/nvme0n%n",
	  "nvme: the block device of namespace %n" },
	{ SECTION_DEVICE, "template", parse_uuid, V(template), false,
	  "9f1c5b62-6d0e-4c1b-8a57-1e5d2c7b4a10",
	  "UUID of the template for new exports; default: the Reference template" },
	{ SECTION_DEVICE, "logs_after_resume", parse_bool, V(logs_after_resume), false, "no",
	  "yes only when the drive is known to go on logging after Resume" },
	{ SECTION_PEER, "address", parse_address, P(address), true, "host-b.example:7471",
	  "where that host listens" },
	{ SECTION_PEER, "identity", parse_identity, P(identity), true, "spiffe://example/host/b",
	  "SAN URI of its certificate" },
	{ SECTION_PEER, "rights", parse_rights, P(rights), false, "may_send, may_receive",
	  "may_send: it may send exports here; may_receive: it may get exports from here" },
	{ SECTION_PEER, "nqn", parse_text, P(nqn), false, "nqn.2026-01.com.example:*",
	  "pattern of the exports that it may send or receive; default: *" },
};

static bool name_ok(const char *s)
{
	size_t n = strlen(s);

	if (!n || n > EXP_NAME_MAX)
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("._-", *s))
			return false;
	return true;
}

/* What the section that ends here still lacks. */
static int close_section(struct parse *p)
{
	for (size_t i = 0; i < EXP_ARRAY_SIZE(keys); i++) {
		if (keys[i].section != p->section || !keys[i].required || p->seen >> i & 1)
			continue;
		return exp_error_set(p->err, EXP_CODE_CONFIG, EINVAL,
				     "%s:%d: section [%s] has no %s (%s)", p->path, p->section_line,
				     p->section_text, keys[i].name, keys[i].help);
	}
	return 0;
}

/* Two sections that mean the same thing would each get half of what is meant for it. */
static int check_unlike_others(struct parse *p, const char *key)
{
	const struct expd_config *c = p->c;
	const struct expd_peer_config *me = p->at;
	const struct expd_device_config *drive = p->at;

	for (size_t i = 0; p->section == SECTION_PEER && i < c->n_peers; i++)
		if (&c->peers[i] != me && !strcmp(key, "identity") &&
		    !strcmp(c->peers[i].identity, me->identity))
			return complain(p, "identity is \"%s\", which is peer %s already",
					me->identity, c->peers[i].name.s);
	for (size_t i = 0; p->section == SECTION_DEVICE && i < c->n_devices; i++)
		if (&c->devices[i] != drive && !strcmp(key, "transport") &&
		    !strcmp(c->devices[i].transport, drive->transport))
			return complain(p, "transport is \"%s\", which is device %s already",
					drive->transport, c->devices[i].name.s);
	return 0;
}

static int open_named(struct parse *p, const char *kind, const char *name)
{
	struct expd_config *c = p->c;

	if (!name_ok(name))
		return complain(p, "[%s %s]: a name is 1..%d of A-Z a-z 0-9 . _ -", kind, name,
				EXP_NAME_MAX);
	if (p->section == SECTION_DEVICE) {
		struct expd_device_config *d = &c->devices[c->n_devices];

		if (expd_config_device(c, name))
			return complain(p, "device %s stands here twice", name);
		if (c->n_devices == EXPD_DEVICES_MAX)
			return complain(p, "more than %d devices", EXPD_DEVICES_MAX);
		c->n_devices++;
		strcpy(d->name.s, name);
		d->line = p->line;
		p->at = d;
	} else {
		struct expd_peer_config *d = &c->peers[c->n_peers];

		if (expd_config_peer(c, name))
			return complain(p, "peer %s stands here twice", name);
		if (c->n_peers == EXPD_PEERS_MAX)
			return complain(p, "more than %d peers", EXPD_PEERS_MAX);
		c->n_peers++;
		strcpy(d->name.s, name);
		strcpy(d->nqn, "*");
		d->line = p->line;
		p->at = d;
	}
	return 0;
}

static int open_section(struct parse *p, const char *text)
{
	size_t word = strcspn(text, " \t");
	const char *name = text + word + strspn(text + word, " \t");
	int r;

	if (p->section != SECTION_NONE) {
		r = close_section(p);
		if (r < 0)
			return r;
	}
	p->seen = 0;
	p->section = SECTION_NONE;
	p->section_line = p->line;
	if (strlen(text) > EXPD_VALUE_MAX)
		return complain(p, "a section's name is longer than %d bytes", EXPD_VALUE_MAX);
	strcpy(p->section_text, text);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(section_names); i++)
		if (strlen(section_names[i]) == word && !strncmp(text, section_names[i], word))
			p->section = (enum section)i;
	switch (p->section) {
	case SECTION_DAEMON:
		if (*name)
			return complain(p, "[daemon] takes no name");
		if (p->seen_daemon)
			return complain(p, "[daemon] stands here twice");
		p->seen_daemon = true;
		p->at = p->c;
		return 0;
	case SECTION_DEVICE:
	case SECTION_PEER: return open_named(p, section_names[p->section], name);
	case SECTION_NONE: break;
	}
	return complain(p, "section [%s]: known are [daemon], [device NAME] and [peer NAME]", text);
}

static int set_key(struct parse *p, const char *name, const char *value)
{
	if (p->section == SECTION_NONE)
		return complain(p, "%s stands before the first [section]", name);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(keys); i++) {
		const struct key *k = &keys[i];
		int r;

		if (k->section != p->section || strcmp(k->name, name))
			continue;
		if (p->seen >> i & 1)
			return complain(p, "%s stands twice in [%s]", name, p->section_text);
		p->seen |= 1ul << i;
		r = k->parse(p, name, value, (char *)p->at + k->offset);
		return r < 0 ? r : check_unlike_others(p, name);
	}
	return complain(p, "unknown key %s in [%s]", name, p->section_text);
}

static char *trim(char *s)
{
	size_t n;

	s += strspn(s, " \t\r");
	for (n = strlen(s); n && strchr(" \t\r", s[n - 1]); n--)
		;
	s[n] = '\0';
	return s;
}

/* A comment, a [section] or a key = value: nothing goes on in the next line. */
static int parse_line(struct parse *p, char *line)
{
	char *s = trim(line), *equals;
	size_t n = strlen(s);

	if (!n || *s == '#' || *s == ';')
		return 0;
	if (*s == '[' && s[n - 1] == ']') {
		s[n - 1] = '\0';
		return open_section(p, trim(s + 1));
	}
	equals = strchr(s, '=');
	if (!equals || equals == s || *s == '[')
		return complain(p, "not a [section], a key = value, or a comment");
	*equals = '\0';
	return set_key(p, trim(s), trim(equals + 1));
}

/* @text is followed by a NUL that len does not count. */
static int parse_file(struct parse *p, char *text, size_t len)
{
	char *stop = text + len, *end;
	int r = 0;

	for (char *line = text; r == 0 && line < stop; line = end + 1) {
		end = memchr(line, '\n', (size_t)(stop - line));
		if (!end)
			end = stop;
		*end = '\0';
		p->line++;
		r = strlen(line) == (size_t)(end - line) ? parse_line(p, line)
							 : complain(p, "a NUL byte");
	}
	return r;
}

int expd_config_load(const char *path, struct expd_config **ret, struct exp_error *err)
{
	EXP_CLEANUP(expd_config_freep) struct expd_config *c = calloc(1, sizeof(*c));
	struct parse p = { .c = c, .path = path, .section = SECTION_NONE, .err = err };
	char *text = NULL;
	size_t len;
	int r;

	if (!c)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	strcpy(c->runtime_dir, "/run/expd");
	strcpy(c->state_dir, "/var/lib/expd");
	c->log_level = LOG_INFO;
	c->blackout_limit_ms = EXP_BLACKOUT_LIMIT_MS;
	c->hold_lease_ms = EXP_HOLD_LEASE_MS;
	c->max_jobs = 8;
	r = exp_fs_read(path, CONFIG_FILE_MAX, &text, &len, err);
	if (r < 0) {
		if (err)
			err->code = EXP_CODE_CONFIG;
		return exp_error_wrap(err, r, "configuration");
	}
	r = parse_file(&p, text, len);
	free(text);
	if (r == 0 && p.section != SECTION_NONE)
		r = close_section(&p);
	if (r < 0)
		return r;
	if (!p.seen_daemon)
		return exp_error_set(err, EXP_CODE_CONFIG, EINVAL,
				     "%s: section [daemon] is missing; see expd.conf(5)", path);
	*ret = EXP_TAKE(c);
	return 0;
}

void expd_config_free(struct expd_config *c)
{
	free(c);
}

void expd_config_document(FILE *out)
{
	enum section last = SECTION_NONE;
	static const char *const heads[] = { "[daemon]", "[device ssd0]", "[peer host-b]" };

	fputs("# expd.conf: see expd.conf(5)\n", out);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(keys); i++) {
		const struct key *k = &keys[i];

		if (k->section != last)
			fprintf(out, "\n%s\n", heads[k->section]);
		last = k->section;
		fprintf(out, "# %s\n%s%s = %s\n", k->help, k->required ? "" : "#", k->name,
			k->example);
	}
}

const struct expd_peer_config *expd_config_peer(const struct expd_config *c, const char *name)
{
	for (size_t i = 0; i < c->n_peers; i++)
		if (!strcmp(c->peers[i].name.s, name))
			return &c->peers[i];
	return NULL;
}

const struct expd_peer_config *expd_config_peer_by_identity(const struct expd_config *c,
							    const char *uri)
{
	for (size_t i = 0; i < c->n_peers; i++)
		if (!strcmp(c->peers[i].identity, uri))
			return &c->peers[i];
	return NULL;
}

const struct expd_device_config *expd_config_device(const struct expd_config *c, const char *name)
{
	for (size_t i = 0; i < c->n_devices; i++)
		if (!strcmp(c->devices[i].name.s, name))
			return &c->devices[i];
	return NULL;
}
