/* SPDX-License-Identifier: Apache-2.0 */
/* The digests are the examples of FIPS 180-4. */
#include "support/tests.h"

#include "tls/digest.h"

#define ABC        "ba7816bf 8f01cfea 414140de 5dae2223 b00361a3 96177a9c b410ff61 f20015ad"
#define EMPTY      "e3b0c442 98fc1c14 9afbf4c8 996fb924 27ae41e4 649b934c a495991b 7852b855"
#define TWO_BLOCKS "248d6a61 d20638b8 e5c02693 0c3e6039 a33ce459 64ff2167 f6ecedd4 19db06c1"
#define MILLION    "cdc76e5c 9914fb92 81a1c7e2 84d73e67 f1809a48 a497200e 046d39cc c7112cd0"

static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

static void test_at_once(void **state)
{
	uint8_t md[EXP_SHA256_BYTES];

	(void)state;
	assert_int_equal(exp_digest_sha256("abc", 3, md), 0);
	assert_hex(md, sizeof(md), ABC);
	assert_int_equal(exp_digest_sha256("", 0, md), 0);
	assert_hex(md, sizeof(md), EMPTY);
	assert_int_equal(exp_digest_sha256(two_blocks, 56, md), 0);
	assert_hex(md, sizeof(md), TWO_BLOCKS);
}

static void test_in_pieces_and_again(void **state)
{
	EXP_CLEANUP(exp_digest_freep) struct exp_digest *d = NULL;
	uint8_t md[EXP_SHA256_BYTES];

	(void)state;
	assert_int_equal(exp_digest_new(&d), 0);
	for (size_t cut = 0; cut <= 56; cut++) {
		assert_int_equal(exp_digest_update(d, two_blocks, cut), 0);
		assert_int_equal(exp_digest_update(d, two_blocks + cut, 56 - cut), 0);
		assert_int_equal(exp_digest_final(d, md), 0);
		assert_hex(md, sizeof(md), TWO_BLOCKS);
	}
	for (int i = 0; i < 1000000; i += 100) {
		char a[100];

		memset(a, 'a', sizeof(a));
		assert_int_equal(exp_digest_update(d, a, sizeof(a)), 0);
	}
	assert_int_equal(exp_digest_final(d, md), 0);
	assert_hex(md, sizeof(md), MILLION);
	assert_int_equal(exp_digest_final(d, md), 0);
	assert_hex(md, sizeof(md), EMPTY);
}

static void test_equal_and_wipe(void **state)
{
	uint8_t a[32] = { 1 }, b[32] = { 1 };

	(void)state;
	assert_true(exp_digest_equal(a, b, 32));
	for (size_t i = 0; i < 32; i++) {
		b[i] ^= 0x80;
		assert_false(exp_digest_equal(a, b, 32));
		b[i] ^= 0x80;
	}
	assert_true(exp_digest_equal(a, b, 0));
	exp_digest_wipe(a, sizeof(a));
	for (size_t i = 0; i < 32; i++)
		assert_int_equal(a[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_in_pieces_and_again),
		cmocka_unit_test(test_equal_and_wipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
