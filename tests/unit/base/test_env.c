/* Draws: whole range, no bias, and a bound on how long they take. */
#include "proto/base/env.h"

#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Gives the same byte for ever, and counts. */
struct stuck {
	uint8_t byte;
	unsigned n;
};

static void
fill_stuck(void *ctx, void *buf, size_t n)
{
	struct stuck *s = ctx;

	memset(buf, s->byte, n);
	s->n++;
}

static void
numbers_are_little_endian_on_every_machine(void **state)
{
	struct test_rng a;
	struct test_rng b;
	uint8_t raw[8];
	uint64_t v;

	(void)state;
	test_rng_init(&a, 3);
	test_rng_init(&b, 3);
	rng_fill(&a.rng, raw, sizeof(raw));
	v = rng_u64(&b.rng);
	for (int i = 0; i < 8; i++)
		assert_int_equal(raw[i], v >> (8 * i) & 0xff);
}

/* Each of three values within five standard deviations of its share. */
static void
below_is_uniform_where_a_remainder_would_be_biased(void **state)
{
	const uint32_t bound = UINT32_C(3) << 30; /* 2^32 mod it: a third */
	struct test_rng t;
	unsigned low = 0;
	const unsigned n = 30000;

	(void)state;
	test_rng_init(&t, test_seed(5));
	for (unsigned i = 0; i < n; i++) {
		uint32_t v = rng_below(&t.rng, bound);

		assert_true(v < bound);
		low += v < bound / 3;
	}
	/* a plain remainder would give one half, not one third */
	assert_in_range(low, n / 3 - 410, n / 3 + 410);
}

static void
every_value_below_a_bound_occurs(void **state)
{
	struct test_rng t;
	unsigned seen[7] = { 0 };

	(void)state;
	test_rng_init(&t, test_seed(6));
	for (int i = 0; i < 2000; i++)
		seen[rng_below(&t.rng, 7)]++;
	for (int i = 0; i < 7; i++)
		assert_true(seen[i] > 0);
	assert_int_equal(rng_below(&t.rng, 1), 0);
}

static void
a_stuck_source_does_not_hold_us(void **state)
{
	struct stuck s = { 0, 0 };
	const struct rng rng = { fill_stuck, &s };

	(void)state;
	assert_true(rng_below(&rng, UINT32_C(3) << 30) < UINT32_C(3) << 30);
	assert_true(s.n <= 128);
}

static void
jitter_stays_within_its_part(void **state)
{
	struct test_rng t;
	bool above = false;
	bool below = false;

	(void)state;
	test_rng_init(&t, test_seed(7));
	for (int i = 0; i < 2000; i++) {
		uint64_t v = rng_jitter(&t.rng, 1000, 20);

		assert_in_range(v, 800, 1200);
		above = above || v > 1150;
		below = below || v < 850;
	}
	assert_true(above && below);
	assert_int_equal(rng_jitter(&t.rng, 1000, 0), 1000);
	assert_int_equal(rng_jitter(&t.rng, 0, 50), 0);
	assert_int_equal(rng_jitter(&t.rng, 1, 50), 1); /* less than a ms */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_little_endian_on_every_machine),
		cmocka_unit_test(
		    below_is_uniform_where_a_remainder_would_be_biased),
		cmocka_unit_test(every_value_below_a_bound_occurs),
		cmocka_unit_test(a_stuck_source_does_not_hold_us),
		cmocka_unit_test(jitter_stays_within_its_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
