/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tests.h"

#include <syslog.h>

#include "daemon/config.h"
#include "support/tmpdir.h"

#define DAEMON                           \
	"[daemon]\n"                     \
	"ca_file = /etc/expd/ca.pem\n"   \
	"cert_file = /etc/expd/me.pem\n" \
	"key_file = /etc/expd/me.key\n"

static struct tmpdir dir;
static char path[256];

static int setup(void **state)
{
	(void)state;
	dir = tmpdir_new();
	snprintf(path, sizeof(path), "%s", tmpdir_file(&dir, "expd.conf"));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tmpdir_free(&dir);
	return 0;
}

static void write_file(const void *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static struct expd_config *load(const char *text)
{
	struct exp_error err = { 0 };
	struct expd_config *c = NULL;

	write_file(text, strlen(text));
	assert_ok(expd_config_load(path, &c, &err), &err);
	return c;
}

/* @text is refused at @line (0: no one line) with words that contain @what. */
static void refused_bytes(const void *text, size_t len, int line, const char *what)
{
	struct expd_config *c = (void *)&dir;
	struct exp_error err = { 0 };
	char where[300];

	write_file(text, len);
	assert_true(expd_config_load(path, &c, &err) < 0);
	assert_ptr_equal(c, &dir); /* untouched */
	assert_error(&err, EXP_CODE_CONFIG, what);
	if (line)
		snprintf(where, sizeof(where), "%s:%d: ", path, line);
	else
		snprintf(where, sizeof(where), "%s: ", path);
	assert_error(&err, EXP_CODE_CONFIG, where);
}

static void refused(const char *text, int line, const char *what)
{
	refused_bytes(text, strlen(text), line, what);
}

static void test_defaults(void **state)
{
	struct expd_config *c = load(DAEMON);

	(void)state;
	assert_string_equal(c->runtime_dir, "/run/expd");
	assert_string_equal(c->state_dir, "/var/lib/expd");
	assert_string_equal(c->listen, "");
	assert_int_equal(c->log_level, LOG_INFO);
	assert_false(c->allow_reset_on_restart);
	assert_int_equal(c->blackout_limit_ms, 1000);
	assert_int_equal(c->hold_lease_ms, 30000);
	assert_int_equal(c->max_jobs, 8);
	assert_int_equal(c->n_devices, 0);
	assert_int_equal(c->n_peers, 0);
	expd_config_free(c);
}

static void test_every_key(void **state)
{
	struct expd_config *c = load("# a comment\n"
				     "; another\n"
				     "\t[ daemon ]  \r\n"
				     "runtime_dir = /run/x\n"
				     "  state_dir=/var/x\n"
				     "listen =\t0.0.0.0:1\n"
				     "ca_file = /c a.pem\n"
				     "cert_file = /b.pem\n"
				     "key_file = /k.key\r\n"
				     "log_level = debug\n"
				     "allow_reset_on_restart = yes\n"
				     "blackout_limit_ms = 1\n"
				     "hold_lease_ms = 3600000\n"
				     "max_jobs = 2\n"
				     "\n"
				     "[device one]\n"
				     "transport = vfio-user:/run/emu/mmc\n"
				     "template = 9F1C5B62-6d0e-4c1b-8a57-1e5d2c7b4a10\n"
				     "logs_after_resume = yes\n"
				     "[device two]\n"
				     "transport = nvme:/dev/nvme0\n"
				     "data = /dev/disk/n%n\n"
				     "[peer\thost-b]\n"
				     "address = [2001:db8::1]:65535\n"
				     "identity = spiffe://x/b\n"
				     "rights = may_receive,may_send\n"
				     "nqn = nqn.2014-08.x:*\n"
				     "[peer c.d_e]\n"
				     "address = host-c:80\n"
				     "identity = urn:x:y=z"); /* no end of line */
	struct exp_uuid u;

	(void)state;
	assert_string_equal(c->runtime_dir, "/run/x");
	assert_string_equal(c->state_dir, "/var/x");
	assert_string_equal(c->listen, "0.0.0.0:1");
	assert_string_equal(c->ca_file, "/c a.pem");
	assert_string_equal(c->cert_file, "/b.pem");
	assert_string_equal(c->key_file, "/k.key");
	assert_int_equal(c->log_level, LOG_DEBUG);
	assert_true(c->allow_reset_on_restart);
	assert_int_equal(c->blackout_limit_ms, 1);
	assert_int_equal(c->hold_lease_ms, 3600000);
	assert_int_equal(c->max_jobs, 2);
	assert_int_equal(c->n_devices, 2);
	assert_string_equal(c->devices[0].name.s, "one");
	assert_string_equal(c->devices[0].transport, "vfio-user:/run/emu/mmc");
	assert_string_equal(c->devices[0].data, "");
	assert_int_equal(exp_uuid_parse("9f1c5b62-6d0e-4c1b-8a57-1e5d2c7b4a10", &u), 0);
	assert_true(exp_uuid_eq(&c->devices[0].template, &u));
	assert_true(c->devices[0].logs_after_resume);
	assert_string_equal(c->devices[1].transport, "nvme:/dev/nvme0");
	assert_string_equal(c->devices[1].data, "/dev/disk/n%n");
	assert_false(c->devices[1].logs_after_resume);
	assert_true(exp_uuid_is_nil(&c->devices[1].template));
	assert_int_equal(c->n_peers, 2);
	assert_string_equal(c->peers[0].name.s, "host-b");
	assert_string_equal(c->peers[0].address, "[2001:db8::1]:65535");
	assert_string_equal(c->peers[0].identity, "spiffe://x/b");
	assert_int_equal(c->peers[0].rights, EXPD_MAY_SEND | EXPD_MAY_RECEIVE);
	assert_string_equal(c->peers[0].nqn, "nqn.2014-08.x:*");
	assert_string_equal(c->peers[1].identity, "urn:x:y=z");
	assert_int_equal(c->peers[1].rights, 0);
	assert_string_equal(c->peers[1].nqn, "*");

	assert_ptr_equal(expd_config_peer(c, "c.d_e"), &c->peers[1]);
	assert_null(expd_config_peer(c, "c"));
	assert_ptr_equal(expd_config_peer_by_identity(c, "spiffe://x/b"), &c->peers[0]);
	assert_null(expd_config_peer_by_identity(c, "spiffe://x/"));
	assert_ptr_equal(expd_config_device(c, "two"), &c->devices[1]);
	assert_null(expd_config_device(c, "three"));
	expd_config_free(c);
}

static void test_log_levels(void **state)
{
	static const struct {
		const char *name;
		int level;
	} levels[] = { { "error", LOG_ERR },
		       { "warning", LOG_WARNING },
		       { "notice", LOG_NOTICE },
		       { "info", LOG_INFO },
		       { "debug", LOG_DEBUG } };

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(levels); i++) {
		char text[512];
		struct expd_config *c;

		snprintf(text, sizeof(text), DAEMON "log_level = %s\n", levels[i].name);
		c = load(text);
		assert_int_equal(c->log_level, levels[i].level);
		expd_config_free(c);
	}
}

static void test_bad_values(void **state)
{
	(void)state;
	refused(DAEMON "listen = 7471\n", 5, "listen is \"7471\": HOST:PORT is needed");
	refused(DAEMON "listen = :7471\n", 5, "HOST:PORT");
	refused(DAEMON "listen = host:\n", 5, "HOST:PORT");
	refused(DAEMON "listen = host:+1\n", 5, "HOST:PORT");
	refused(DAEMON "listen = host:0\n", 5, "port \"0\": 1..65535");
	refused(DAEMON "listen = host:65536\n", 5, "port \"65536\"");
	refused(DAEMON "listen = host:1x\n", 5, "port \"1x\"");
	refused(DAEMON "listen = ::1:80\n", 5, "[ADDRESS]:PORT");
	refused(DAEMON "listen = [::1:80\n", 5, "[ADDRESS]:PORT");
	refused(DAEMON "listen =\n", 5, "listen is \"\"");
	refused(DAEMON "runtime_dir = run\n", 5, "\"run\": an absolute path");
	refused(DAEMON "runtime_dir =\n", 5, "runtime_dir is empty");
	refused(DAEMON "log_level = INFO\n", 5, "known are error, warning, notice, info, debug");
	refused(DAEMON "allow_reset_on_restart = true\n", 5, "\"true\": yes or no");
	refused(DAEMON "blackout_limit_ms = 0\n", 5, "a number from 1 to 3600000");
	refused(DAEMON "blackout_limit_ms = 3600001\n", 5, "\"3600001\"");
	refused(DAEMON "blackout_limit_ms = -1\n", 5, "\"-1\"");
	refused(DAEMON "blackout_limit_ms = 5 s\n", 5, "\"5 s\"");
	refused(DAEMON "hold_lease_ms = 18446744073709551617\n", 5, "1844");
	refused(DAEMON "max_jobs = many\n", 5, "max_jobs is \"many\"");
	refused(DAEMON "max_jobs = 8 ; eight\n", 5, "\"8 ; eight\"");
	refused(DAEMON "[device a]\ntransport = pci:0\n", 6,
		"known are vfio-user:DIR and nvme:PATH");
	refused(DAEMON "[device a]\ntransport = nvme:dev\n", 6, "\"nvme:dev\"");
	refused(DAEMON "[device a]\ntemplate = 1\n", 6, "template is \"1\": a UUID");
	refused(DAEMON "[device a]\ndata =\n", 6, "data is empty");
	refused(DAEMON "[peer b]\nrights = may_send, all\n", 6, "rights has \"all\"");
	refused(DAEMON "[peer b]\nidentity = host b\n", 6, "\"host b\": a URI is needed");
	refused(DAEMON "[peer b]\nidentity = hostb\n", 6, "a URI is needed");
	refused(DAEMON "[peer b]\nidentity = x:\x80\n", 6, "a URI is needed");
	refused(DAEMON "[peer b]\nidentity =\n", 6, "a URI is needed");
}

static void test_values_have_a_limit(void **state)
{
	char text[1024], value[400];
	struct expd_config *c;

	(void)state;
	memset(value, 'v', sizeof(value));
	value[EXPD_VALUE_MAX - 1] = '\0';
	snprintf(text, sizeof(text), DAEMON "[peer b]\naddress = b:1\nidentity = u:%s\n",
		 value + 1);
	c = load(text);
	assert_int_equal(strlen(c->peers[0].identity), EXPD_VALUE_MAX);
	expd_config_free(c);

	snprintf(text, sizeof(text), DAEMON "state_dir = /%s\n", value);
	c = load(text);
	assert_int_equal(strlen(c->state_dir), EXPD_VALUE_MAX);
	expd_config_free(c);
	value[EXPD_VALUE_MAX - 1] = 'v';
	value[EXPD_VALUE_MAX] = '\0';
	snprintf(text, sizeof(text), DAEMON "state_dir = /%s\n", value);
	refused(text, 5, "state_dir is longer than 255 bytes");
	snprintf(text, sizeof(text), DAEMON "[peer b]\nrights = %s\n", value);
	refused(text, 6, "rights has \"vvv");
	value[EXPD_VALUE_MAX] = 'v';
	value[EXPD_VALUE_MAX + 1] = '\0';
	snprintf(text, sizeof(text), DAEMON "[peer b]\nrights = %s\n", value);
	refused(text, 6, "rights is longer than 255 bytes");
	snprintf(text, sizeof(text), DAEMON "[peer %s]\n", value);
	refused(text, 5, "a section's name is longer than 255 bytes");
}

static void test_sections(void **state)
{
	char text[1024], name[100];
	struct expd_config *c;

	(void)state;
	refused("", 0, "section [daemon] is missing");
	refused("# nothing\n", 0, "section [daemon] is missing");
	refused("[peer b]\naddress = b:1\nidentity = x:b\n", 0, "section [daemon] is missing");
	refused("listen = a:1\n" DAEMON, 1, "listen stands before the first [section]");
	refused(DAEMON "[demon]\n", 5, "section [demon]: known are [daemon], [device NAME]");
	refused(DAEMON "[]\n", 5, "section []");
	refused(DAEMON "[daemon]\n", 5, "[daemon] stands here twice");
	refused("[daemon x]\n", 1, "[daemon] takes no name");
	refused(DAEMON "[device]\n", 5, "a name is 1..63");
	refused(DAEMON "[device a b]\n", 5, "[device a b]: a name is");
	refused(DAEMON "[peer ../x]\n", 5, "A-Z a-z 0-9");
	refused(DAEMON "[device a]\ntransport = nvme:/dev/nvme0\n[peer a]\n", 7, "has no address");
	refused(DAEMON "[device a]\ntransport = nvme:/dev/nvme0\n[device a]\n", 7,
		"device a stands here twice");
	refused(DAEMON "[peer a]\naddress = a:1\nidentity = x:a\n[peer a]\n", 8,
		"peer a stands here twice");

	/* a name as long as it may be, and one byte more */
	memset(name, 'n', sizeof(name));
	name[EXP_NAME_MAX] = '\0';
	snprintf(text, sizeof(text), DAEMON "[device %s]\ntransport = nvme:/dev/nvme0\n", name);
	c = load(text);
	assert_string_equal(c->devices[0].name.s, name);
	expd_config_free(c);
	name[EXP_NAME_MAX] = 'n';
	name[EXP_NAME_MAX + 1] = '\0';
	snprintf(text, sizeof(text), DAEMON "[device %s]\ntransport = nvme:/dev/nvme0\n", name);
	refused(text, 5, "a name is 1..63");
}

static void test_sections_lack_keys(void **state)
{
	(void)state;
	refused("[daemon]\ncert_file = /b\nkey_file = /k\n", 1, "section [daemon] has no ca_file");
	refused("[daemon]\nca_file = /a\nkey_file = /k\n", 1, "has no cert_file");
	refused("[daemon]\nca_file = /a\ncert_file = /b\n", 1, "has no key_file");
	refused(DAEMON "[device a]\n", 5, "section [device a] has no transport");
	/* the line is that of the section which is not whole, not of the one after it */
	refused(DAEMON "\n[peer a]\naddress = a:1\n[peer b]\naddress = b:1\nidentity = x:b\n", 6,
		"section [peer a] has no identity");
	refused(DAEMON "[peer b]\nidentity = x:b\n", 5, "section [peer b] has no address");
}

static void test_lines(void **state)
{
	static const char nul[] = DAEMON "log_level = in\0fo\n";

	(void)state;
	refused(DAEMON "what is this\n", 5, "not a [section], a key = value, or a comment");
	refused(DAEMON "= x\n", 5, "not a [section]");
	refused(DAEMON "[peer b\n", 5, "not a [section]");
	refused(DAEMON "[peer = b\n", 5, "not a [section]");
	refused("\xef\xbb\xbf" DAEMON, 1, "not a [section]");
	refused(DAEMON "listne = a:1\n", 5, "unknown key listne in [daemon]");
	refused(DAEMON "address = a:1\n", 5, "unknown key address in [daemon]");
	refused(DAEMON "ca_file = /etc/other\n", 5, "ca_file stands twice in [daemon]");
	/* a value does not go on in an indented line */
	refused(DAEMON "log_level = info\n   more\n", 6, "not a [section]");
	/* the first thing wrong is what is told */
	refused(DAEMON "a\nb = c\nlisten = x\n", 5, "not a [section]");
	refused(DAEMON "b = c\na\n", 5, "unknown key b");
	refused_bytes(nul, sizeof(nul) - 1, 5, "a NUL byte");
}

static void test_two_sections_for_one_thing(void **state)
{
	(void)state;
	refused(DAEMON "[peer a]\nidentity = x:1\naddress = a:1\n"
		       "[peer b]\naddress = b:1\nidentity = x:1\n",
		10, "identity is \"x:1\", which is peer a already");
	refused(DAEMON "[device a]\ntransport = nvme:/dev/nvme0\n"
		       "[device b]\ntransport = nvme:/dev/nvme0\n",
		8, "transport is \"nvme:/dev/nvme0\", which is device a already");
}

static void test_too_many(void **state)
{
	char *text = malloc(64 * 1024), *at;

	(void)state;
	assert_non_null(text);
	at = stpcpy(text, DAEMON);
	for (int i = 0; i <= EXPD_DEVICES_MAX; i++)
		at += sprintf(at, "[device d%d]\ntransport = nvme:/dev/nvme%d\n", i, i);
	refused(text, 5 + 2 * EXPD_DEVICES_MAX, "more than 16 devices");
	at = stpcpy(text, DAEMON);
	for (int i = 0; i <= EXPD_PEERS_MAX; i++)
		at += sprintf(at, "[peer p%d]\naddress = p:1\nidentity = x:%d\n", i, i);
	refused(text, 5 + 3 * EXPD_PEERS_MAX, "more than 256 peers");
	free(text);
}

static void test_the_file(void **state)
{
	struct expd_config *c = NULL;
	struct exp_error err = { 0 };
	char *big = malloc(1024 * 1024 + 1);

	(void)state;
	assert_true(expd_config_load("/nonexistent/expd.conf", &c, &err) < 0);
	assert_error(&err, EXP_CODE_CONFIG, "/nonexistent/expd.conf");
	assert_error(&err, EXP_CODE_CONFIG, "configuration: ");
	assert_non_null(big);
	memset(big, '\n', 1024 * 1024 + 1);
	write_file(big, 1024 * 1024 + 1);
	free(big);
	assert_true(expd_config_load(path, &c, &err) < 0);
	assert_error(&err, EXP_CODE_CONFIG, path);
	assert_true(expd_config_load(path, &c, NULL) < 0);
	assert_null(c);
}

/* As printed, and with every example taken: both are good files, and the defaults are the truth. */
static void test_document_can_be_read_again(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	struct expd_config *plain = NULL, *c = NULL, *defaults;
	struct exp_error err = { 0 };

	(void)state;
	assert_non_null(out);
	expd_config_document(out);
	assert_int_equal(fclose(out), 0);
	write_file(text, len);
	assert_ok(expd_config_load(path, &plain, &err), &err);
	assert_int_equal(plain->n_devices, 1);
	assert_int_equal(plain->n_peers, 1);
	assert_string_equal(plain->listen, "");
	for (char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (*line == '#' && line[1] != ' ')
			*line = ' ';
	}
	write_file(text, len);
	assert_ok(expd_config_load(path, &c, &err), &err);
	defaults = load(DAEMON);
	assert_string_equal(c->runtime_dir, defaults->runtime_dir);
	assert_string_equal(c->state_dir, defaults->state_dir);
	assert_int_equal(c->log_level, defaults->log_level);
	assert_int_equal(c->allow_reset_on_restart, defaults->allow_reset_on_restart);
	assert_int_equal(c->blackout_limit_ms, defaults->blackout_limit_ms);
	assert_int_equal(c->hold_lease_ms, defaults->hold_lease_ms);
	assert_int_equal(c->max_jobs, defaults->max_jobs);
	assert_string_equal(c->devices[0].name.s, "ssd0");
	assert_int_equal(c->peers[0].rights, EXPD_MAY_SEND | EXPD_MAY_RECEIVE);
	expd_config_free(defaults);
	expd_config_free(plain);
	expd_config_free(c);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_log_levels),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_values_have_a_limit),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_sections_lack_keys),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_two_sections_for_one_thing),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_the_file),
		cmocka_unit_test(test_document_can_be_read_again),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
