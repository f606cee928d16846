/* SPDX-License-Identifier: Apache-2.0 */
/* lib/control, routes: request lines to verbs and back, names, queries */
#include <errno.h>

#include "support/tests.h"

#include "control/api.h"

#define UUID "6ba7b810-9dad-11d1-80b4-00c04fd430c8"

static struct exp_api_call route(const char *method, const char *target)
{
	struct exp_error err = { 0 };
	struct exp_api_call call;

	assert_ok(exp_api_route(method, target, &call, &err), &err);
	return call;
}

static void test_route_knows_every_verb(void **state)
{
	static const struct {
		enum exp_api_verb verb;
		const char *method, *target, *id;
	} rows[] = {
		{ EXP_API_VERSION, "GET", "/v1/version", "" },
		{ EXP_API_HEALTH, "GET", "/v1/health", "" },
		{ EXP_API_DEVICES, "GET", "/v1/devices", "" },
		{ EXP_API_DEVICE, "GET", "/v1/devices/ssd0", "ssd0" },
		{ EXP_API_PEERS, "GET", "/v1/peers", "" },
		{ EXP_API_EXPORTS, "GET", "/v1/exports", "" },
		{ EXP_API_EXPORT_CREATE, "POST", "/v1/exports", "" },
		{ EXP_API_EXPORT, "GET", "/v1/exports/" UUID, UUID },
		{ EXP_API_EXPORT_DELETE, "DELETE", "/v1/exports/" UUID, UUID },
		{ EXP_API_PREFLIGHT, "POST", "/v1/preflight", "" },
		{ EXP_API_MIGRATIONS, "GET", "/v1/migrations", "" },
		{ EXP_API_MIGRATION_START, "POST", "/v1/migrations", "" },
		{ EXP_API_MIGRATION, "GET", "/v1/migrations/" UUID, UUID },
		{ EXP_API_MIGRATION_TARGET_READY, "POST", "/v1/migrations/" UUID "/target-ready",
		  UUID },
		{ EXP_API_MIGRATION_SWITCHOVER, "POST", "/v1/migrations/" UUID "/switchover",
		  UUID },
		{ EXP_API_MIGRATION_COMMIT, "POST", "/v1/migrations/" UUID "/commit", UUID },
		{ EXP_API_MIGRATION_ABORT, "POST", "/v1/migrations/" UUID "/abort", UUID },
		{ EXP_API_MIGRATION_CANCEL, "POST", "/v1/migrations/" UUID "/cancel", UUID },
		{ EXP_API_EVENTS, "GET", "/v1/events", "" },
	};
	char path[256];

	(void)state;
	assert_int_equal(EXP_ARRAY_SIZE(rows), EXP_API_VERB_N);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(rows); i++) {
		struct exp_api_call call = route(rows[i].method, rows[i].target);

		assert_int_equal(call.verb, rows[i].verb);
		assert_string_equal(call.id, rows[i].id);
		assert_string_equal(call.query, "");
		assert_string_equal(exp_api_method(rows[i].verb), rows[i].method);
		assert_int_equal(exp_api_path(rows[i].verb, rows[i].id, path, sizeof(path)),
				 strlen(rows[i].target));
		assert_string_equal(path, rows[i].target);
	}
}

static void test_route_decodes_the_name(void **state)
{
	struct exp_api_call call = route("GET",
					 "/v1/exports/nqn.2014-08.org.example%3Avm%2f7?since=4&x");

	(void)state;
	assert_int_equal(call.verb, EXP_API_EXPORT);
	assert_string_equal(call.id, "nqn.2014-08.org.example:vm/7");
	assert_string_equal(call.query, "since=4&x");
	/* an encoded slash does not begin another element */
	call = route("GET", "/v1/migrations/a%2Fcancel");
	assert_int_equal(call.verb, EXP_API_MIGRATION);
	assert_string_equal(call.id, "a/cancel");
}

static void test_path_encodes_the_name(void **state)
{
	char path[256];

	(void)state;
	assert_true(exp_api_path(EXP_API_MIGRATION_CANCEL, "a/b:%~", path, sizeof(path)) > 0);
	assert_string_equal(path, "/v1/migrations/a%2Fb%3A%25~/cancel");
	for (size_t cap = 0; cap < strlen("/v1/migrations/a%2Fb%3A%25~/cancel") + 1; cap++) {
		memset(path, 'Z', sizeof(path));
		assert_int_equal(exp_api_path(EXP_API_MIGRATION_CANCEL, "a/b:%~", path, cap),
				 -ENOSPC);
		for (size_t i = cap; i < sizeof(path); i++)
			assert_int_equal(path[i], 'Z');
	}
}

static void refused(const char *method, const char *target, int r, enum exp_code code,
		    const char *part)
{
	struct exp_error err = { 0 };
	struct exp_api_call call;

	assert_int_equal(exp_api_route(method, target, &call, &err), r);
	assert_error(&err, code, part);
}

static void test_route_refuses(void **state)
{
	char long_target[EXP_API_TARGET_MAX + 16];
	char long_id[512] = "/v1/exports/";

	(void)state;
	refused("GET", "/v1/nothing", -ENOENT, EXP_CODE_NOT_FOUND, "/v1/nothing");
	refused("GET", "/v1/exports/", -ENOENT, EXP_CODE_NOT_FOUND, "no such path");
	refused("GET", "/v1/exports/a/b", -ENOENT, EXP_CODE_NOT_FOUND, "no such path");
	refused("POST", "/v1/migrations//cancel", -ENOENT, EXP_CODE_NOT_FOUND, "no such path");
	refused("GET", "/v1/versionx", -ENOENT, EXP_CODE_NOT_FOUND, "no such path");
	refused("GET", "", -ENOENT, EXP_CODE_NOT_FOUND, "no such path");
	refused("PUT", "/v1/exports", -ENOTSUP, EXP_CODE_METHOD, "takes GET, POST");
	refused("POST", "/v1/exports/x", -ENOTSUP, EXP_CODE_METHOD, "takes GET, DELETE");
	refused("get", "/v1/exports", -ENOTSUP, EXP_CODE_METHOD, "takes GET");
	refused("GET", "/v1/exports/%4", -EINVAL, EXP_CODE_INVALID, "two hex digits");
	refused("GET", "/v1/exports/%zz", -EINVAL, EXP_CODE_INVALID, "two hex digits");
	refused("GET", "/v1/exports/a%", -EINVAL, EXP_CODE_INVALID, "byte 1");
	refused("GET", "/v1/exports/a%00", -EINVAL, EXP_CODE_INVALID, "byte 00h");
	refused("GET", "/v1/exports/a%1b[2J", -EINVAL, EXP_CODE_INVALID, "byte 1Bh");
	refused("GET", "/v1/exports/\xc3\xa4", -EINVAL, EXP_CODE_INVALID, "byte C3h");
	refused("GET", "/v1/\x1b[2J", -ENOENT, EXP_CODE_NOT_FOUND, "\\x1b[2J");
	memset(long_target, 'a', sizeof(long_target));
	long_target[sizeof(long_target) - 1] = '\0';
	refused("GET", long_target, -EINVAL, EXP_CODE_TOO_LARGE, "at most 2048");
	memset(long_id + 12, 'n', EXP_NQN_MAX + 1);
	refused("GET", long_id, -EINVAL, EXP_CODE_INVALID, "longer than 223");
	long_id[12 + EXP_NQN_MAX] = '\0';
	assert_int_equal(strlen(route("GET", long_id).id), EXP_NQN_MAX);
}

static void test_allow_lists_methods(void **state)
{
	char allow[64];

	(void)state;
	exp_api_allow("/v1/exports/x?y", allow, sizeof(allow));
	assert_string_equal(allow, "GET, DELETE");
	exp_api_allow("/v1/nothing", allow, sizeof(allow));
	assert_string_equal(allow, "");
	exp_api_allow("/v1/exports", allow, 6); /* cut, not beyond */
	assert_string_equal(allow, "GET, ");
}

static void test_ref_is_uuid_or_nqn(void **state)
{
	struct exp_error err = { 0 };
	char text[EXP_UUID_TEXT];
	struct exp_api_ref ref;

	(void)state;
	assert_ok(exp_api_parse_ref(UUID, &ref, &err), &err);
	assert_false(ref.by_nqn);
	assert_string_equal(exp_uuid_format(&ref.id, text), UUID);
	assert_ok(exp_api_parse_ref("nqn.2014-08.org.example:a", &ref, &err), &err);
	assert_true(ref.by_nqn);
	assert_string_equal(ref.nqn.s, "nqn.2014-08.org.example:a");
	assert_int_equal(exp_api_parse_ref("vm7", &ref, &err), -EINVAL);
	assert_error(&err, EXP_CODE_INVALID, "neither a UUID nor an NQN");
}

static void test_name_is_checked(void **state)
{
	struct exp_error err = { 0 };
	struct exp_name name;
	char s[EXP_NAME_MAX + 2];

	(void)state;
	memset(s, 'x', sizeof(s));
	s[EXP_NAME_MAX + 1] = '\0';
	assert_int_equal(exp_api_parse_name("to", s, &name, &err), -EINVAL);
	assert_error(&err, EXP_CODE_INVALID, "64 bytes");
	s[EXP_NAME_MAX] = '\0';
	assert_ok(exp_api_parse_name("to", s, &name, &err), &err);
	assert_string_equal(name.s, s);
	assert_ok(exp_api_parse_name("to", "host-b_1.lan", &name, &err), &err);
	assert_int_equal(exp_api_parse_name("to", "", &name, &err), -EINVAL);
	assert_int_equal(exp_api_parse_name("to", "a b", &name, &err), -EINVAL);
	assert_int_equal(exp_api_parse_name("to", "a/b", &name, &err), -EINVAL);
	assert_int_equal(exp_api_parse_name("to", "a\n", &name, &err), -EINVAL);
	assert_error(&err, EXP_CODE_INVALID, "a\\x0a");
}

static void test_key_is_checked(void **state)
{
	char s[EXP_KEY_MAX + 2], key[EXP_KEY_MAX + 1];
	struct exp_error err = { 0 };

	(void)state;
	memset(s, 'k', sizeof(s));
	s[EXP_KEY_MAX + 1] = '\0';
	assert_int_equal(exp_api_parse_key(s, key, &err), -EINVAL);
	assert_error(&err, EXP_CODE_INVALID, "129 bytes");
	s[EXP_KEY_MAX] = '\0';
	assert_ok(exp_api_parse_key(s, key, &err), &err);
	assert_string_equal(key, s);
	assert_int_equal(exp_api_parse_key("", key, &err), -EINVAL);
	assert_int_equal(exp_api_parse_key("a\tb", key, &err), -EINVAL);
	assert_error(&err, EXP_CODE_INVALID, "byte 09h at offset 1");
}

static void test_migrations_query(void **state)
{
	struct exp_api_migrations_query q;
	struct exp_error err = { 0 };

	(void)state;
	assert_ok(exp_api_parse_migrations_query("", &q, &err), &err);
	assert_string_equal(q.state, "");
	assert_false(q.has_export);
	assert_false(q.open);
	assert_int_equal(q.limit, 100);
	assert_ok(exp_api_parse_migrations_query("state=rolling-back&export=nqn.2014-08.org.e%3Aa"
						 "&open=1&limit=7",
						 &q, &err),
		  &err);
	assert_string_equal(q.state, "rolling-back");
	assert_true(q.has_export);
	assert_string_equal(q.export_ref.nqn.s, "nqn.2014-08.org.e:a");
	assert_true(q.open);
	assert_int_equal(q.limit, 7);
	assert_ok(exp_api_parse_migrations_query("state=restored", &q, &err), &err);
}

static void bad_query(const char *query, enum exp_code code, const char *part)
{
	struct exp_api_migrations_query q;
	struct exp_error err = { 0 };

	assert_int_equal(exp_api_parse_migrations_query(query, &q, &err), -EINVAL);
	assert_error(&err, code, part);
}

static void test_query_names_what_is_wrong(void **state)
{
	(void)state;
	bad_query("stat=done", EXP_CODE_UNKNOWN_FIELD, "stat is not known; known: state, export");
	bad_query("state=ready&state=ready", EXP_CODE_INVALID, "state twice");
	bad_query("state=flying", EXP_CODE_INVALID, "state=flying is no state");
	bad_query("state", EXP_CODE_INVALID, "state has no value");
	bad_query("open=yes", EXP_CODE_INVALID, "open=yes is not a number in 0..1");
	bad_query("limit=0", EXP_CODE_INVALID, "limit=0");
	bad_query("limit=1001", EXP_CODE_INVALID, "1..1000");
	bad_query("limit=18446744073709551617", EXP_CODE_INVALID, "limit=");
	bad_query("limit=-1", EXP_CODE_INVALID, "limit=-1");
	bad_query("export=x", EXP_CODE_INVALID, "query: export: neither");
	bad_query("export=%0", EXP_CODE_INVALID, "query: export: '%'");
	bad_query("%1b=1", EXP_CODE_INVALID, "name in the query: byte 1Bh");
}

static void test_events_query(void **state)
{
	struct exp_api_events_query q;
	struct exp_error err = { 0 };

	(void)state;
	assert_ok(exp_api_parse_events_query("", &q, &err), &err);
	assert_false(q.has_since);
	assert_true(q.follow);
	assert_ok(exp_api_parse_events_query("since=9223372036854775807&follow=0", &q, &err), &err);
	assert_true(q.has_since);
	assert_int_equal(q.since, INT64_MAX);
	assert_false(q.follow);
	assert_int_equal(exp_api_parse_events_query("since=", &q, &err), -EINVAL);
	assert_int_equal(exp_api_parse_events_query("since=9223372036854775808", &q, &err),
			 -EINVAL);
	assert_int_equal(exp_api_parse_events_query("until=1", &q, &err), -EINVAL);
	assert_error(&err, EXP_CODE_UNKNOWN_FIELD, "until");
	assert_ok(exp_api_no_query("", &err), &err);
	assert_int_equal(exp_api_no_query("x=1", &err), -EINVAL);
	assert_error(&err, EXP_CODE_UNKNOWN_FIELD, "none is taken here");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_route_knows_every_verb),
		cmocka_unit_test(test_route_decodes_the_name),
		cmocka_unit_test(test_path_encodes_the_name),
		cmocka_unit_test(test_route_refuses),
		cmocka_unit_test(test_allow_lists_methods),
		cmocka_unit_test(test_ref_is_uuid_or_nqn),
		cmocka_unit_test(test_name_is_checked),
		cmocka_unit_test(test_key_is_checked),
		cmocka_unit_test(test_migrations_query),
		cmocka_unit_test(test_query_names_what_is_wrong),
		cmocka_unit_test(test_events_query),
	};

	return cmocka_run_group_tests_name("api_route", tests, NULL, NULL);
}
