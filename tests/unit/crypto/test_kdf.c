/* HM and B2 against published answers. */
#include "proto/crypto/kdf.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The second key of [RFC 4231 §4.3] is four bytes; zeros behind a short key
 * are the same key. */
static void
hm_is_hmac_sha256(void **state)
{
	static const uint8_t want[32] = { 0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60,
		0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7,
		0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec,
		0x58, 0xb9, 0x64, 0xec, 0x38, 0x43 };
	static const uint8_t key[32] = "Jefe";
	const struct span parts[] = { span_str("what do ya want "),
		span_str(""), span_str("for nothing?") };
	uint8_t got[32];

	(void)state;
	kdf_hm(key, parts, 3, got);
	assert_memory_equal(got, want, sizeof(want));
	kdf_label(key, "what do ya want", span_str(" for nothing?"), got);
	assert_memory_equal(got, want, sizeof(want));
}

/* "abc" of [RFC 7693 §A]. */
static void
b2_is_blake2b(void **state)
{
	static const uint8_t want[] = { 0xba, 0x80, 0xa5, 0x3f, 0x98, 0x1c,
		0x4d, 0x0d };
	const struct span parts[] = { span_str("a"), span_str("bc") };
	uint8_t got[64];

	(void)state;
	kdf_b2(span_of(NULL, 0), parts, 2, got, 64);
	assert_memory_equal(got, want, sizeof(want));
}

static void
b2_below_16_bytes_is_the_begin_of_32(void **state)
{
	const struct span part = span_str("x");
	static const uint8_t key[16] = { 1 };
	uint8_t long_one[32];
	uint8_t short_one[15];
	uint8_t sixteen[16];

	(void)state;
	kdf_b2(span_of(key, 16), &part, 1, long_one, 32);
	for (size_t n = 1; n < 16; n++) {
		kdf_b2(span_of(key, 16), &part, 1, short_one, n);
		assert_memory_equal(short_one, long_one, n);
	}
	kdf_b2(span_of(key, 16), &part, 1, sixteen, 16);
	assert_memory_not_equal(sixteen, long_one, 16);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hm_is_hmac_sha256),
		cmocka_unit_test(b2_is_blake2b),
		cmocka_unit_test(b2_below_16_bytes_is_the_begin_of_32),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
