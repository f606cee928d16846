/* SPDX-License-Identifier: Apache-2.0 */
/* lib/control, requests: what is taken, what is refused and how it is named, and the way back */
#include <errno.h>

#include "support/tests.h"

#include "control/api.h"

#define UUID  "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
#define UUID2 "6ba7b811-9dad-11d1-80b4-00c04fd430c8"
#define NQN   "nqn.2014-08.org.example:vm7"

static struct exp_json *json(const char *text)
{
	struct exp_error err = { 0 };
	struct exp_json *v = NULL;

	assert_ok(exp_json_parse(text, strlen(text), EXP_API_REQUEST_MAX, &v, &err), &err);
	return v;
}

static void test_export_create(void **state)
{
	struct exp_json *v = json("{\"device\":\"ssd0\",\"size_bytes\":2147483648,"
				  "\"lba_bytes\":4096,\"controller\":3,\"nqn\":\"" NQN "\"}");
	struct exp_api_export_create req;
	struct exp_error err = { 0 };
	struct exp_json *back;

	(void)state;
	assert_ok(exp_api_parse_export_create(v, &req, &err), &err);
	assert_string_equal(req.device.s, "ssd0");
	assert_int_equal(req.size_bytes, 2147483648);
	assert_int_equal(req.lba_bytes, 4096);
	assert_int_equal(req.controller, 3);
	assert_true(req.has_nqn);
	assert_string_equal(req.nqn.s, NQN);
	back = exp_api_export_create(&req);
	assert_string_equal(exp_json_print(back, false, NULL), exp_json_print(v, false, NULL));
	exp_json_free(back);
	exp_json_free(v);
	v = json("{\"device\":\"ssd0\",\"size_bytes\":512,\"lba_bytes\":512,\"controller\":65519}");
	assert_ok(exp_api_parse_export_create(v, &req, &err), &err);
	assert_false(req.has_nqn);
	back = exp_api_export_create(&req);
	assert_string_equal(exp_json_print(back, false, NULL), exp_json_print(v, false, NULL));
	exp_json_free(back);
	exp_json_free(v);
}

static void bad_create(const char *text, enum exp_code code, const char *part)
{
	struct exp_api_export_create req, before;
	struct exp_error err = { 0 };
	struct exp_json *v = json(text);

	memset(&req, 0x5a, sizeof(req));
	before = req;
	assert_int_equal(exp_api_parse_export_create(v, &req, &err), -EINVAL);
	assert_error(&err, code, part);
	assert_memory_equal(&req, &before, sizeof(req));
	exp_json_free(v);
}

#define CREATE(size, lba, ctrl) \
	"{\"device\":\"d\",\"size_bytes\":" size ",\"lba_bytes\":" lba ",\"controller\":" ctrl "}"

static void test_export_create_refuses(void **state)
{
	struct exp_api_export_create req;
	struct exp_error err = { 0 };

	(void)state;
	assert_int_equal(exp_api_parse_export_create(NULL, &req, &err), -EINVAL);
	assert_error(&err, EXP_CODE_INVALID, "no body");
	bad_create("[]", EXP_CODE_INVALID, "an object belongs");
	bad_create("{}", EXP_CODE_INVALID, "device: missing");
	bad_create("{\"device\":7}", EXP_CODE_INVALID, "device: a whole number");
	bad_create("{\"device\":\"a b\"}", EXP_CODE_INVALID, "device: name: \"a b\"");
	bad_create(CREATE("0", "512", "1"), EXP_CODE_INVALID, "size_bytes: 0 is outside");
	bad_create(CREATE("513", "512", "1"), EXP_CODE_INVALID,
		   "size_bytes: 513 is not a multiple of lba_bytes, 512");
	bad_create(CREATE("1024", "1024", "1"), EXP_CODE_INVALID, "lba_bytes: 1024; 512 and 4096");
	bad_create(CREATE("1e3", "512", "1"), EXP_CODE_INVALID, "size_bytes: a number with");
	bad_create(CREATE("512", "512", "65520"), EXP_CODE_INVALID, "controller: 65520 is outside");
	bad_create(CREATE("512", "512", "-1"), EXP_CODE_INVALID, "controller: -1");
	bad_create(CREATE("512", "512", "null"), EXP_CODE_INVALID, "controller: null");
	bad_create("{\"device\":\"d\",\"size_bytes\":512,\"lba_bytes\":512,\"controller\":1,"
		   "\"nqn\":\"nope\"}",
		   EXP_CODE_INVALID, "nqn: NQN \"nope\"");
	bad_create("{\"device\":\"d\",\"size_bytes\":512,\"lba_bytes\":512,\"controller\":1,"
		   "\"sise\":1}",
		   EXP_CODE_UNKNOWN_FIELD, "sise: no such field");
}

static void test_migration(void **state)
{
	struct exp_json *v = json("{\"exports\":[\"" UUID "\",\"" NQN "\"],\"to\":\"host-b\","
				  "\"to_device\":\"ssd1\",\"hold\":[\"switch\",\"commit\"],"
				  "\"hold_lease_ms\":5000,\"dirty\":\"none\","
				  "\"blackout_limit_ms\":250}");
	struct exp_error err = { 0 };
	struct exp_api_migration req;
	struct exp_json *back;
	char text[EXP_UUID_TEXT];

	(void)state;
	assert_ok(exp_api_parse_migration(v, &req, &err), &err);
	assert_int_equal(req.n_exports, 2);
	assert_false(req.exports[0].by_nqn);
	assert_string_equal(exp_uuid_format(&req.exports[0].id, text), UUID);
	assert_true(req.exports[1].by_nqn);
	assert_string_equal(req.exports[1].nqn.s, NQN);
	assert_string_equal(req.to.s, "host-b");
	assert_string_equal(req.to_device.s, "ssd1");
	assert_int_equal(req.to_controller, UINT32_MAX);
	assert_int_equal(req.hold, EXP_HOLD_SWITCH | EXP_HOLD_COMMIT);
	assert_int_equal(req.hold_lease_ms, 5000);
	assert_int_equal(req.dirty, EXP_DIRTY_NONE);
	assert_int_equal(req.blackout_limit_ms, 250);
	back = exp_api_migration(&req);
	assert_string_equal(exp_json_print(back, false, NULL), exp_json_print(v, false, NULL));
	exp_json_free(back);
	exp_json_free(v);
}

static void test_migration_defaults(void **state)
{
	struct exp_json *v = json("{\"exports\":[\"" UUID "\"],\"to\":\"b\",\"to_controller\":0}");
	struct exp_error err = { 0 };
	struct exp_api_migration req;

	(void)state;
	assert_ok(exp_api_parse_migration(v, &req, &err), &err);
	assert_string_equal(req.to_device.s, "");
	assert_int_equal(req.to_controller, 0);
	assert_int_equal(req.hold, 0);
	assert_int_equal(req.hold_lease_ms, 0);
	assert_int_equal(req.dirty, EXP_DIRTY_CDQ);
	assert_int_equal(req.blackout_limit_ms, 0);
	exp_json_free(v);
}

static void bad_migration(const char *text, enum exp_code code, const char *part)
{
	struct exp_error err = { 0 };
	struct exp_api_migration req;
	struct exp_json *v = json(text);

	assert_int_equal(exp_api_parse_migration(v, &req, &err), -EINVAL);
	assert_error(&err, code, part);
	exp_json_free(v);
}

#define ONE "{\"exports\":[\"" UUID "\"],\"to\":\"b\","

static void test_migration_refuses(void **state)
{
	char many[64 + 17 * 44] = "{\"to\":\"b\",\"exports\":[";

	(void)state;
	bad_migration("{\"to\":\"b\"}", EXP_CODE_INVALID, "exports: missing");
	bad_migration("{\"exports\":[],\"to\":\"b\"}", EXP_CODE_INVALID, "exports: empty");
	bad_migration("{\"exports\":[1],\"to\":\"b\"}", EXP_CODE_INVALID, "exports[0]: a whole");
	bad_migration("{\"exports\":[\"x\"],\"to\":\"b\"}", EXP_CODE_INVALID,
		      "exports[0]: neither a UUID nor an NQN");
	bad_migration("{\"exports\":[\"" UUID "\",\"" UUID2 "\",\"" UUID "\"],\"to\":\"b\"}",
		      EXP_CODE_INVALID, "exports[2]: the same as exports[0]");
	bad_migration("{\"exports\":[\"" NQN "\",\"" NQN "\"],\"to\":\"b\"}", EXP_CODE_INVALID,
		      "exports[1]: the same as exports[0]");
	bad_migration("{\"exports\":[\"" UUID "\"]}", EXP_CODE_INVALID, "to: missing");
	bad_migration(ONE "\"hold\":\"switch\"}", EXP_CODE_INVALID, "hold: a string");
	bad_migration(ONE "\"hold\":[\"swich\"]}", EXP_CODE_INVALID, "hold[0]: \"swich\"; known");
	bad_migration(ONE "\"hold\":[\"switch\",\"switch\"]}", EXP_CODE_INVALID,
		      "hold[1]: \"switch\" a second time");
	bad_migration(ONE "\"hold\":[\"switch\",\"commit\",\"switch\"]}", EXP_CODE_INVALID,
		      "hold: 3 items");
	bad_migration(ONE "\"dirty\":\"log\"}", EXP_CODE_INVALID, "dirty: \"log\"; known are");
	bad_migration(ONE "\"blackout_limit_ms\":0}", EXP_CODE_INVALID, "blackout_limit_ms: 0");
	bad_migration(ONE "\"blackout_limit_ms\":600001}", EXP_CODE_INVALID, "..600000");
	bad_migration(ONE "\"hold_lease_ms\":0}", EXP_CODE_INVALID, "hold_lease_ms: 0");
	bad_migration(ONE "\"to_controller\":65520}", EXP_CODE_INVALID, "to_controller: 65520");
	bad_migration("{\"exports\":[\"" UUID "\",\"" UUID2 "\"],\"to\":\"b\",\"to_controller\":1}",
		      EXP_CODE_INVALID, "to_controller: one controller for 2 exports");
	bad_migration(ONE "\"drity\":\"none\"}", EXP_CODE_UNKNOWN_FIELD, "drity");
	bad_migration(ONE "\"to_device\":\"\"}", EXP_CODE_INVALID, "to_device: name");
	for (int i = 0; i < 17; i++)
		sprintf(many + strlen(many), "%s\"6ba7b8%02x-9dad-11d1-80b4-00c04fd430c8\"",
			i ? "," : "", i);
	strcat(many, "]}");
	bad_migration(many, EXP_CODE_INVALID, "exports: 17 items, at most 16");
}

static void test_target_ready(void **state)
{
	struct exp_json *v = json("{\"memory\":[{\"iova\":8192,\"bytes\":4096},"
				  "{\"iova\":4096,\"bytes\":4096},{\"iova\":12288,\"bytes\":1},"
				  "{\"iova\":18446744073709547520,\"bytes\":4096}]}");
	struct exp_api_target_ready req;
	struct exp_error err = { 0 };
	struct exp_json *back;

	(void)state;
	assert_ok(exp_api_parse_target_ready(v, &req, &err), &err);
	assert_int_equal(req.n_memory, 4);
	assert_int_equal(req.memory[1].iova, 4096);
	assert_true(req.memory[3].iova == UINT64_MAX - 4095);
	assert_int_equal(req.memory[3].bytes, 4096);
	back = exp_api_target_ready(&req);
	assert_string_equal(exp_json_print(back, false, NULL), exp_json_print(v, false, NULL));
	exp_json_free(back);
	exp_json_free(v);
}

static void bad_target(const char *text, enum exp_code code, const char *part)
{
	struct exp_api_target_ready req;
	struct exp_error err = { 0 };
	struct exp_json *v = json(text);

	assert_int_equal(exp_api_parse_target_ready(v, &req, &err), -EINVAL);
	assert_error(&err, code, part);
	exp_json_free(v);
}

static void test_target_ready_refuses(void **state)
{
	struct exp_json *many = exp_json_object(), *arr = exp_json_array();
	struct exp_api_target_ready req;
	struct exp_error err = { 0 };

	(void)state;
	bad_target("{}", EXP_CODE_INVALID, "memory: missing");
	bad_target("{\"memory\":[]}", EXP_CODE_INVALID, "memory: empty");
	bad_target("{\"memory\":[4]}", EXP_CODE_INVALID, "memory[0]: a whole number, where");
	bad_target("{\"memory\":[{\"iova\":0,\"bytes\":0}]}", EXP_CODE_INVALID,
		   "memory[0].bytes: 0 is outside");
	bad_target("{\"memory\":[{\"iova\":0}]}", EXP_CODE_INVALID, "memory[0].bytes: missing");
	bad_target("{\"memory\":[{\"iova\":0,\"bytes\":1,\"x\":1}]}", EXP_CODE_UNKNOWN_FIELD,
		   "memory[0].x");
	bad_target("{\"memory\":[{\"iova\":1,\"bytes\":18446744073709551615},"
		   "{\"iova\":18446744073709551615,\"bytes\":2}]}",
		   EXP_CODE_INVALID, "memory[1]: 2 bytes at 18446744073709551615 pass the end");
	bad_target("{\"memory\":[{\"iova\":0,\"bytes\":4096},{\"iova\":8192,\"bytes\":4096},"
		   "{\"iova\":4095,\"bytes\":1}]}",
		   EXP_CODE_INVALID, "memory[2]: overlaps memory[0]");
	bad_target("{\"memory\":[{\"iova\":4096,\"bytes\":1},{\"iova\":0,\"bytes\":"
		   "18446744073709551615}]}",
		   EXP_CODE_INVALID, "memory[1]: overlaps memory[0]");
	for (uint64_t i = 0; i < EXP_MEMORY_RANGES_MAX + 1; i++) {
		struct exp_json *m = exp_json_object();

		exp_json_put_u64(m, "iova", i * 4096);
		exp_json_put_u64(m, "bytes", 4096);
		exp_json_add(arr, m);
	}
	exp_json_put(many, "memory", arr);
	assert_int_equal(exp_api_parse_target_ready(many, &req, &err), -EINVAL);
	assert_error(&err, EXP_CODE_INVALID, "memory: 65 items, at most 64");
	exp_json_free(many);
}

static void test_empty_body(void **state)
{
	struct exp_json *v = json("{}"), *some = json("{\"force\":true}"), *arr = json("[]");
	struct exp_error err = { 0 };

	(void)state;
	assert_ok(exp_api_parse_empty(NULL, &err), &err);
	assert_ok(exp_api_parse_empty(v, &err), &err);
	assert_int_equal(exp_api_parse_empty(some, &err), -EINVAL);
	assert_error(&err, EXP_CODE_UNKNOWN_FIELD, "force");
	assert_int_equal(exp_api_parse_empty(arr, &err), -EINVAL);
	exp_json_free(v);
	exp_json_free(some);
	exp_json_free(arr);
}

static void test_holds_have_names(void **state)
{
	(void)state;
	assert_string_equal(exp_api_hold_name(EXP_HOLD_SWITCH), "switch");
	assert_string_equal(exp_api_hold_name(EXP_HOLD_COMMIT), "commit");
	assert_null(exp_api_hold_name((enum exp_hold)4));
	assert_int_equal(exp_api_hold_by_name("commit"), 2);
	assert_int_equal(exp_api_hold_by_name("never"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_export_create),
		cmocka_unit_test(test_export_create_refuses),
		cmocka_unit_test(test_migration),
		cmocka_unit_test(test_migration_defaults),
		cmocka_unit_test(test_migration_refuses),
		cmocka_unit_test(test_target_ready),
		cmocka_unit_test(test_target_ready_refuses),
		cmocka_unit_test(test_empty_body),
		cmocka_unit_test(test_holds_have_names),
	};

	return cmocka_run_group_tests_name("api_request", tests, NULL, NULL);
}
