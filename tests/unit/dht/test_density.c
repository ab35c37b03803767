/* How many nodes there are, whoever crowds a place. */
#include "proto/dht/density.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct density d;

static struct target
goal_in(unsigned area)
{
	struct target t = { .b = { (uint8_t)(area * 256 / DENSITY_AREAS) } };

	return t;
}

static void
learn(unsigned area, uint64_t size, unsigned spread)
{
	struct target goal = goal_in(area);

	density_learn(&d, &goal, size, spread, 1 + area);
}

static void
a_few_areas_are_not_enough(void **state)
{
	struct target goal = goal_in(0);

	(void)state;
	d = (struct density){ 0 };
	assert_int_equal(density_size(&d, NULL), 0);
	for (unsigned i = 1; i < DENSITY_MIN; i++)
		learn(i, 1000, 8);
	learn(0, 1000, 8); /* the goal's own does not count */
	assert_int_equal(density_known(&d), DENSITY_MIN);
	assert_int_equal(density_size(&d, &goal), 0);
	assert_int_equal(density_reach(&d, &goal, 8), 0);
	assert_int_equal(density_spread(&d, &goal), 0);
	assert_int_equal(density_size(&d, NULL), 1000);
	learn(DENSITY_MIN, 1000, 8);
	assert_int_equal(density_size(&d, &goal), 1000);
	assert_int_equal(density_spread(&d, &goal), 8);
}

static void
who_crowds_seven_areas_changes_nothing(void **state)
{
	struct target goal = goal_in(3);

	(void)state;
	d = (struct density){ 0 };
	for (unsigned i = 0; i < DENSITY_AREAS; i++)
		learn(i, 1000 + i, 7);
	for (unsigned i = 0; i < 7; i++)
		learn(i, UINT64_MAX, 1);
	assert_in_range(density_size(&d, &goal), 1000, 1015);
	assert_int_equal(density_spread(&d, &goal), 7);
	learn(3, 1, 1); /* nor does anything at the goal itself */
	assert_in_range(density_size(&d, &goal), 1000, 1015);
}

static void
the_reach_holds_eight_of_so_many(void **state)
{
	struct target goal = goal_in(9);

	(void)state;
	d = (struct density){ 0 };
	for (unsigned i = 0; i < DENSITY_AREAS; i++)
		learn(i, 1024, 8);
	assert_in_range(density_reach(&d, &goal, 8), (UINT64_C(1) << 57) - 64,
	    UINT64_C(1) << 57);
	for (unsigned i = 0; i < DENSITY_AREAS; i++)
		learn(i, DENSITY_SMALL, 8);
	assert_int_equal(density_reach(&d, &goal, 8), 0);
}

static void
the_least_known_area_is_looked_at_next(void **state)
{
	bool seen[DENSITY_AREAS] = { false };
	struct test_rng r;

	(void)state;
	test_rng_init(&r, test_seed(1));
	d = (struct density){ 0 };
	for (unsigned i = 0; i < DENSITY_AREAS; i++) {
		struct target goal;

		density_gap(&d, &r.rng, &goal);
		assert_false(seen[goal.b[0] / 16]);
		seen[goal.b[0] / 16] = true;
		density_learn(&d, &goal, 100, 8, 1000 + i);
	}
	assert_int_equal(density_known(&d), DENSITY_AREAS);
}

static void
what_is_in_doubt_is_learnt_again_first(void **state)
{
	struct target goal = goal_in(5);
	struct test_rng r;

	(void)state;
	test_rng_init(&r, test_seed(1));
	d = (struct density){ 0 };
	assert_true(density_oldest_ms(&d) == 0);
	for (unsigned i = 0; i < DENSITY_AREAS; i++)
		learn(i, 1000, 8);
	assert_true(density_oldest_ms(&d) == 1);
	density_learn(&d, &goal, 1000, 8, 100);
	density_doubt(&d);
	assert_true(density_oldest_ms(&d) == 0);
	assert_int_equal(density_known(&d), DENSITY_AREAS);
	density_gap(&d, &r.rng, &goal);
	assert_int_equal(goal.b[0] / 16, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_few_areas_are_not_enough),
		cmocka_unit_test(who_crowds_seven_areas_changes_nothing),
		cmocka_unit_test(the_reach_holds_eight_of_so_many),
		cmocka_unit_test(what_is_in_doubt_is_learnt_again_first),
		cmocka_unit_test(the_least_known_area_is_looked_at_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
