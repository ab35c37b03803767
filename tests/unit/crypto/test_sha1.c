/* SHA-1 against the answers of [RFC 3174 §7.3], and over block edges. */
#include "proto/crypto/sha1.h"

#include "proto/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
is(const struct span *parts, size_t n, const char *want)
{
	uint8_t got[20];
	char text[41];

	sha1(parts, n, got);
	hex_encode(span_of(got, sizeof(got)), text);
	assert_string_equal(text, want);
}

static void
known_answers(void **state)
{
	struct span s = span_str("abc");

	(void)state;
	is(&s, 1, "a9993e364706816aba3e25717850c26c9cd0d89d");
	s = span_str(
	    "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq");
	is(&s, 1, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
	is(NULL, 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

static void
a_million_times_a(void **state)
{
	static uint8_t a[1000];
	struct span parts[1000];

	(void)state;
	memset(a, 'a', sizeof(a));
	for (int i = 0; i < 1000; i++)
		parts[i] = span_of(a, sizeof(a));
	is(parts, 1000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

static void
where_it_is_cut_does_not_matter(void **state)
{
	uint8_t in[130];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)i;
	for (size_t n = 0; n <= sizeof(in); n++) {
		const struct span whole = span_of(in, n);
		const struct span parts[] = { span_of(in, n / 3),
			span_of(in + n / 3, n - n / 3) };
		uint8_t a[20];
		uint8_t b[20];

		sha1(&whole, 1, a);
		sha1(parts, 2, b);
		assert_memory_equal(a, b, 20);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(a_million_times_a),
		cmocka_unit_test(where_it_is_cut_does_not_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
