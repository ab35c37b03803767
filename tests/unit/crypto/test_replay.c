/* The window at its exact edges, and against a list of all counters. */
#include "proto/crypto/replay.h"

#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum err
take(struct replay *r, uint64_t counter)
{
	enum err err = replay_check(r, counter);

	if (!err)
		replay_set(r, counter);
	return err;
}

static void
duplicates_and_the_too_old_are_refused(void **state)
{
	struct replay r;

	(void)state;
	replay_init(&r);
	assert_int_equal(take(&r, 5000), ERR_OK);
	assert_int_equal(take(&r, 5000), ERR_REPLAY);
	assert_int_equal(take(&r, 5001 - REPLAY_WINDOW), ERR_OK);
	assert_int_equal(take(&r, 5001 - REPLAY_WINDOW), ERR_REPLAY);
	assert_int_equal(take(&r, 5000 - REPLAY_WINDOW), ERR_REPLAY);
	assert_int_equal(take(&r, 0), ERR_REPLAY);
}

static void
the_first_counter_is_zero(void **state)
{
	struct replay r;

	(void)state;
	replay_init(&r);
	assert_int_equal(take(&r, 0), ERR_OK);
	assert_int_equal(take(&r, 0), ERR_REPLAY);
	assert_int_equal(take(&r, 2), ERR_OK);
	assert_int_equal(take(&r, 1), ERR_OK);
}

static void
counters_end_at_2_to_60(void **state)
{
	struct replay r;

	(void)state;
	replay_init(&r);
	assert_int_equal(take(&r, REPLAY_COUNTER_END), ERR_LIMIT);
	assert_int_equal(take(&r, UINT64_MAX), ERR_LIMIT);
	assert_int_equal(take(&r, REPLAY_COUNTER_END - 1), ERR_OK);
	assert_int_equal(take(&r, REPLAY_COUNTER_END - 1), ERR_REPLAY);
	assert_int_equal(take(&r, REPLAY_COUNTER_END - REPLAY_WINDOW), ERR_OK);
	assert_int_equal(
	    take(&r, REPLAY_COUNTER_END - REPLAY_WINDOW - 1), ERR_REPLAY);
}

static void
a_look_changes_nothing(void **state)
{
	struct replay r;

	(void)state;
	replay_init(&r);
	assert_int_equal(replay_check(&r, 1 << 20), ERR_OK);
	assert_int_equal(replay_check(&r, 1 << 20), ERR_OK);
	assert_int_equal(take(&r, 0), ERR_OK);
}

/* A jump of one window and of one less leave the right bits behind. */
static void
a_jump_forgets_exactly_what_it_pushes_out(void **state)
{
	struct replay r;

	(void)state;
	for (uint64_t jump = REPLAY_WINDOW - 2; jump < REPLAY_WINDOW + 3;
	     jump++) {
		replay_init(&r);
		assert_int_equal(take(&r, 10), ERR_OK);
		assert_int_equal(take(&r, 10 + jump), ERR_OK);
		assert_int_equal(take(&r, 10), ERR_REPLAY);
		assert_int_equal(
		    take(&r, 11), jump <= REPLAY_WINDOW ? ERR_OK : ERR_REPLAY);
		assert_int_equal(take(&r, 9 + jump), ERR_OK);
	}
}

enum { COUNTERS = 30000, STEPS = 60000 };

/* Law: a counter is taken if it was not taken before and is not a window
 * below the highest one taken. */
static void
it_agrees_with_a_list_of_everything(void **state)
{
	static bool seen[COUNTERS];
	struct test_rng t;
	struct replay r;
	uint64_t next = 0;

	(void)state;
	test_rng_init(&t, test_seed(61));
	replay_init(&r);
	for (uint32_t i = 0; i < STEPS; i++) {
		uint32_t ahead = rng_below(&t.rng, 8) ? 100 : 6000;
		uint64_t c = i * (uint64_t)(COUNTERS - 6001) / STEPS +
		             rng_below(&t.rng, ahead);
		bool ok = c >= next || (next - c <= REPLAY_WINDOW && !seen[c]);

		assert_int_equal(take(&r, c), ok ? ERR_OK : ERR_REPLAY);
		seen[c] = true;
		next = ok && c >= next ? c + 1 : next;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(duplicates_and_the_too_old_are_refused),
		cmocka_unit_test(the_first_counter_is_zero),
		cmocka_unit_test(counters_end_at_2_to_60),
		cmocka_unit_test(a_look_changes_nothing),
		cmocka_unit_test(a_jump_forgets_exactly_what_it_pushes_out),
		cmocka_unit_test(it_agrees_with_a_list_of_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
