/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tests.h"
#include "support/tls_rig.h"

#include <sys/stat.h>
#include <time.h>

#define DAY (24 * 3600)

static void ctx_refused(const struct exp_tls_files *f, const char *part)
{
	struct exp_error err = { 0 };
	struct exp_tls_ctx *c = NULL;

	assert_true(exp_tls_ctx_new(f, &c, &err) < 0);
	assert_error(&err, EXP_CODE_CONFIG, part);
	assert_null(c);
}

static void test_loads(void **state)
{
	EXP_CLEANUP(exp_tls_ctx_freep) struct exp_tls_ctx *c = rig_ctx(*state, "a");
	const struct exp_tls_identity *id = exp_tls_ctx_self(c);
	struct exp_error err = { 0 };
	int64_t now = time(NULL);

	assert_int_equal(id->n_uris, 1);
	assert_string_equal(id->uri[0], "spiffe://lab/host/a");
	assert_true(id->not_before_s < now && id->not_before_s > now - DAY);
	assert_true(id->not_after_s > now + 29 * DAY && id->not_after_s < now + 31 * DAY);
	assert_ok(exp_tls_ctx_check(c, now, &err), &err);
}

static void test_several_uris(void **state)
{
	EXP_CLEANUP(exp_tls_ctx_freep) struct exp_tls_ctx *c = rig_ctx(*state, "many");
	const struct exp_tls_identity *id = exp_tls_ctx_self(c);
	struct exp_error err = { 0 };

	assert_int_equal(id->n_uris, 3);
	assert_string_equal(id->uri[0], "spiffe://lab/host/m");
	assert_string_equal(id->uri[1], "urn:x:1");
	assert_string_equal(id->uri[2], "spiffe://lab/z");
	assert_true(exp_tls_identity_has(id, "urn:x:1"));
	assert_true(exp_tls_identity_has(id, "spiffe://lab/z"));
	assert_false(exp_tls_identity_has(id, "spiffe://lab/"));
	assert_false(exp_tls_identity_has(id, "spiffe://lab/zz"));
	assert_false(exp_tls_identity_has(id, "SPIFFE://lab/z"));
	assert_false(exp_tls_identity_has(id, ""));
	assert_ok(exp_tls_identity_expect(id, "urn:x:1", &err), &err);
	assert_int_equal(exp_tls_identity_expect(id, "spiffe://lab/host/b", &err), -EACCES);
	assert_error(&err, EXP_CODE_PEER_UNKNOWN,
		     "for \"spiffe://lab/host/m\", expected \"spiffe://lab/host/b\"");
}

static void test_files_missing(void **state)
{
	struct exp_tls_files f = rig_files(*state, "a");

	f.ca_file = rig_path(*state, "nothing", ".ca");
	ctx_refused(&f, "nothing.ca: No such file");
	f = rig_files(*state, "a");
	f.cert_file = rig_path(*state, "nothing", ".pem");
	ctx_refused(&f, "nothing.pem: No such file");
	f = rig_files(*state, "a");
	f.key_file = rig_path(*state, "nothing", ".key");
	ctx_refused(&f, "nothing.key: No such file");
	f.key_file = f.cert_file = rig_path(*state, "", "");
	ctx_refused(&f, "is no regular file");
}

static void test_files_of_the_wrong_kind(void **state)
{
	struct rig *r = *state;
	struct exp_tls_files f = rig_files(r, "a");

	assert_int_equal(rig_run(r, "echo hello > junk && chmod 600 junk"), 0);
	f.ca_file = rig_path(r, "junk", "");
	ctx_refused(&f, "junk has no PEM certificate");
	f = rig_files(r, "a");
	f.cert_file = rig_path(r, "junk", "");
	ctx_refused(&f, "junk has no usable PEM certificate");
	f = rig_files(r, "a");
	f.key_file = rig_path(r, "junk", "");
	ctx_refused(&f, "junk is no PEM key");
	f.key_file = rig_path(r, "b", ".key");
	ctx_refused(&f, "b.key does not belong to the certificate");
	assert_int_equal(rig_run(r, "umask 077 && openssl ec -in a.key -aes256 -passout "
				    "pass:x -out locked 2>/dev/null"),
			 0);
	f.key_file = rig_path(r, "locked", "");
	ctx_refused(&f, "locked is encrypted");
	assert_int_equal(rig_run(r, "umask 077 && head -c 70000 /dev/zero > big"), 0);
	f.key_file = rig_path(r, "big", "");
	ctx_refused(&f, "larger than 65536 bytes");
	assert_int_equal(rig_run(r, "head -c 300000 /dev/zero > big"), 0);
	f = rig_files(r, "a");
	f.cert_file = rig_path(r, "big", "");
	ctx_refused(&f, "no regular file of at most 262144 bytes");
	f = rig_files(r, "nosan");
	ctx_refused(&f, "nosan.pem has no SAN URI");
	f = rig_files(r, "dns");
	ctx_refused(&f, "dns.pem has no SAN URI");
}

static void test_uris_that_are_no_names(void **state)
{
	struct rig *r = *state;
	char cmd[1024], longer[300];
	struct exp_tls_files f;

	assert_int_equal(rig_run(r, "$p host . space --uri 'spiffe://lab/host/a b'"), 0);
	f = rig_files(r, "space");
	ctx_refused(&f, "space.pem has a SAN URI with byte 20h in it");
	assert_int_equal(rig_run(r,
				 "u=; for i in 1 2 3 4 5 6 7 8; do u=\"$u --uri urn:x:$i\"; done;"
				 "$p host . eight $u; $p host . nine $u --uri urn:x:9"),
			 0);
	f = rig_files(r, "nine");
	ctx_refused(&f, "nine.pem has more than 8 SAN URIs");
	exp_tls_ctx_free(rig_ctx(r, "eight"));
	for (size_t n = 255; n <= 256; n++) {
		snprintf(longer, sizeof(longer), "urn:%0*d", (int)n - 4, 0);
		snprintf(cmd, sizeof(cmd), "$p host . long%zu --uri %s", n, longer);
		assert_int_equal(rig_run(r, cmd), 0);
	}
	f = rig_files(r, "long256");
	ctx_refused(&f, "has a SAN URI of 256 bytes, 1 to 255");
	exp_tls_ctx_free(rig_ctx(r, "long255"));
	/* a URI "urn:x" NUL "y", which a careless reader takes for urn:x */
	assert_int_equal(rig_run(r, "$p host . nul --san-der 30:09:86:07:75:72:6e:3a:78:00:79"), 0);
	f = rig_files(r, "nul");
	ctx_refused(&f, "nul.pem has a SAN URI with byte 00h in it");
}

static void test_key_file_modes(void **state)
{
	static const struct {
		unsigned int mode;
		bool good;
	} modes[] = { { 0600, true },  { 0400, true },  { 0440, true },  { 0640, true },
		      { 0644, false }, { 0604, false }, { 0660, false }, { 0601, false },
		      { 0602, false }, { 0777, false } };
	struct rig *r = *state;
	const char *path;

	assert_int_equal(rig_run(r, "cp a.key mode.key"), 0);
	path = rig_path(r, "mode", ".key");
	for (size_t i = 0; i < EXP_ARRAY_SIZE(modes); i++) {
		struct exp_error err = { 0 };
		char want[64];
		int ret;

		assert_int_equal(chmod(path, modes[i].mode), 0);
		ret = exp_tls_check_key_file(path, &err);
		if (modes[i].good) {
			assert_ok(ret, &err);
			continue;
		}
		assert_int_equal(ret, -EACCES);
		snprintf(want, sizeof(want), "mode.key has mode %04o, at most 0640", modes[i].mode);
		assert_error(&err, EXP_CODE_CONFIG, want);
	}
	assert_int_equal(chmod(path, 0644), 0);
	{
		struct exp_tls_files f = rig_files(r, "a");

		f.key_file = path;
		ctx_refused(&f, "has mode 0644");
	}
}

static void test_key_file_of_another(void **state)
{
	struct rig *r = *state;
	struct exp_error err = { 0 };
	const char *path = rig_path(r, "theirs", ".key");

	if (geteuid() != 0)
		skip(); /* only root can give a file away */
	assert_int_equal(rig_run(r, "cp a.key theirs.key && chown 12345 theirs.key"), 0);
	assert_int_equal(exp_tls_check_key_file(path, &err), -EACCES);
	assert_error(&err, EXP_CODE_CONFIG, "belongs to user 12345, must be this process's 0");
}

static void test_check_of_our_own(void **state)
{
	static const struct {
		const char *host;
		enum exp_code code;
		const char *part;
	} bad[] = {
		{ "old", EXP_CODE_CERT_EXPIRED,
		  "own certificate (spiffe://lab/host/old) expired at 20" },
		{ "soon", EXP_CODE_CERT_EXPIRED, "is valid only from 20" },
		{ "foreign", EXP_CODE_TLS, "is not signed by a CA of the CA file" },
		{ "server", EXP_CODE_TLS, "own certificate (spiffe://lab/host/server): " },
	};
	EXP_CLEANUP(exp_tls_ctx_freep) struct exp_tls_ctx *good = rig_ctx(*state, "a");
	struct exp_error err = { 0 };

	for (size_t i = 0; i < EXP_ARRAY_SIZE(bad); i++) {
		EXP_CLEANUP(exp_tls_ctx_freep) struct exp_tls_ctx *c = rig_ctx(*state, bad[i].host);

		assert_int_equal(exp_tls_ctx_check(c, time(NULL), &err), -EINVAL);
		assert_error(&err, bad[i].code, bad[i].part);
	}
	assert_int_equal(exp_tls_ctx_check(good, time(NULL) + 31 * DAY, &err), -EINVAL);
	assert_error(&err, EXP_CODE_CERT_EXPIRED, "expired at");
	assert_int_equal(exp_tls_ctx_check(good, time(NULL) - 2 * DAY, &err), -EINVAL);
	assert_error(&err, EXP_CODE_CERT_EXPIRED, "valid only from");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loads),
		cmocka_unit_test(test_several_uris),
		cmocka_unit_test(test_files_missing),
		cmocka_unit_test(test_files_of_the_wrong_kind),
		cmocka_unit_test(test_uris_that_are_no_names),
		cmocka_unit_test(test_key_file_modes),
		cmocka_unit_test(test_key_file_of_another),
		cmocka_unit_test(test_check_of_our_own),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
