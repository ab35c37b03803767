#include "proto/crypto/callers.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct static_pk
key(unsigned number)
{
	struct static_pk s = { { 0 } };

	s.b[0] = (uint8_t)number;
	s.b[31] = (uint8_t)(number >> 8);
	return s;
}

static uint64_t
last(const struct callers *c, unsigned number)
{
	struct static_pk s = key(number);

	return callers_last_ms(c, &s);
}

static void
take(struct callers *c, unsigned number, uint64_t ts_ms)
{
	struct static_pk s = key(number);

	callers_take(c, &s, ts_ms);
}

static void
each_caller_has_a_clock_of_its_own(void **state)
{
	struct callers c = { 0 };

	(void)state;
	assert_int_equal(last(&c, 1), 0);
	take(&c, 1, 9000);
	take(&c, 2, 50);
	assert_int_equal(last(&c, 1), 9000);
	assert_int_equal(last(&c, 2), 50);
	assert_int_equal(last(&c, 3), 0);
	take(&c, 2, 51);
	assert_int_equal(last(&c, 2), 51);
	assert_int_equal(c.floor_ms, 0);
}

/* A key of zeros is no free place. */
static void
a_free_place_is_nobody(void **state)
{
	struct callers c = { 0 };

	(void)state;
	take(&c, 1, 5);
	assert_int_equal(last(&c, 0), 0);
	take(&c, 0, 7);
	assert_int_equal(last(&c, 0), 7);
	assert_int_equal(last(&c, 1), 5);
}

static void
the_floor_is_the_highest_that_was_forgotten(void **state)
{
	struct callers c = { 0 };

	(void)state;
	for (unsigned i = 0; i < CALLERS_MAX; i++)
		take(&c, i, 100 + i);
	assert_int_equal(last(&c, 99), 0); /* full, nobody forgotten yet */
	take(&c, 99, 40);                  /* 0 goes, at 100 */
	assert_int_equal(c.floor_ms, 100);
	assert_int_equal(last(&c, 0), 100);
	assert_int_equal(last(&c, 99), 40);
	take(&c, 98, 300); /* 99 goes: the floor does not fall */
	assert_int_equal(c.floor_ms, 100);
	assert_int_equal(last(&c, 99), 100);
	assert_int_equal(last(&c, 1), 101);
	take(&c, 97, 300); /* 1 goes */
	assert_int_equal(last(&c, 1), 101);
	assert_int_equal(last(&c, 1000), 101);
}

/* Whatever comes in whatever order: what was taken is not taken again. */
static void
nothing_is_taken_twice(void **state)
{
	enum { KEYS = 20, CALLS = 20000 };
	static uint64_t highest[KEYS];
	struct callers c = { 0 };
	struct test_rng dice;
	size_t taken = 0;

	(void)state;
	test_rng_init(&dice, test_seed(1));
	for (size_t i = 0; i < CALLS; i++) {
		unsigned k = (unsigned)rng_below(&dice.rng, KEYS);
		uint64_t ts = i / 4 + rng_below(&dice.rng, 100);

		assert_true(last(&c, k) >= highest[k]);
		if (ts <= last(&c, k))
			continue;
		take(&c, k, ts);
		taken++;
		highest[k] = ts;
		for (unsigned j = 0; j < KEYS; j++)
			assert_true(last(&c, j) >= highest[j]);
	}
	assert_true(taken > CALLS / 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_caller_has_a_clock_of_its_own),
		cmocka_unit_test(a_free_place_is_nobody),
		cmocka_unit_test(the_floor_is_the_highest_that_was_forgotten),
		cmocka_unit_test(nothing_is_taken_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
