/*
 * Corners of life that random stories hardly reach: invitations that cross,
 * clocks that are wrong by years and set right, a contact removed and added
 * again on either side.
 */
#include "tests/sim/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
	SEEDS = 8,
	ALLOCATIONS = 60,
	CROWD = 12,
	SETTLED_MS = 20000,
	SOON_MS = 3 * 60 * 1000,
	YEAR_S = 365 * 86400,
};

static void
assert_meet(struct sim *s, uint64_t seed, const char *what)
{
	bool met = sim_run(s, s->now_ms + SOON_MS, sim_pair_ready);

	if (s->check.failed)
		fail_msg("seed %llu, %s: %s", (unsigned long long)seed, what,
		    s->check.why);
	if (!met)
		fail_msg("seed %llu, %s: they do not meet",
		    (unsigned long long)seed, what);
}

/* Each invites the other, and each accepts. Whichever root wins, it must be
 * the same one on both sides. */
static void
invitations_that_cross_make_one_pair(void **state)
{
	static const uint32_t later_ms[] = { 0, 40, 150, 400, 1000, 3000 };

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		for (size_t i = 0; i < 6; i++) {
			struct sim *s = sim_pair(seed, CROWD, SETTLED_MS);
			uint32_t first = (uint32_t)(seed & 1);

			assert_true(sim_invite(s, 0, 86400));
			assert_true(sim_invite(s, 1, 86400));
			sim_run(s, s->now_ms + 5000, NULL);
			assert_true(sim_accept(s, first, 1 - first));
			sim_run(s, s->now_ms + later_ms[i], NULL);
			(void)sim_accept(s, 1 - first, first);
			assert_meet(s, seed, "invitations cross");
			sim_free(s);
		}
	}
}

/* A clock that is years off, and is set right while the program runs. */
static void
a_clock_set_right_lets_them_meet(void **state)
{
	static const int64_t years[] = { -50, -1, 1, 10 };

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS / 2; seed++) {
		for (size_t i = 0; i < 4; i++) {
			struct sim *s = sim_pair(seed, CROWD, SETTLED_MS);

			sim_crash(s, 0);
			s->nodes[0].wall_offset_ms = years[i] * YEAR_S * 1000;
			disk_clear(&s->nodes[0].disk);
			sim_start(s, 0);
			assert_true(sim_add(s, 0, 1));
			assert_true(sim_add(s, 1, 0));
			sim_run(s, s->now_ms + 20 * 60 * 1000, NULL);
			s->nodes[0].wall_offset_ms = 0;
			assert_meet(s, seed, "the clock was set right");
			sim_free(s);
		}
	}
}

/* Everything but the key is gone; he adds his contact again, who has noticed
 * nothing and has done nothing. */
static void
one_who_lost_his_store_is_taken_again(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct sim *s = sim_pair(seed, CROWD, SETTLED_MS);

		assert_true(sim_add(s, 0, 1));
		assert_true(sim_add(s, 1, 0));
		assert_meet(s, seed, "at first");
		sim_crash(s, 0);
		disk_clear(&s->nodes[0].disk);
		sim_start(s, 0);
		assert_true(sim_add(s, 0, 1));
		sim_run(s, s->now_ms + 1000, NULL);
		assert_false(sim_pair_ready(s));
		assert_meet(s, seed, "after the loss");
		sim_free(s);
	}
}

/* Whichever allocation fails while an invitation is taken, nobody is refused:
 * the node that has no memory begins again. */
static void
no_memory_while_an_invitation_is_taken_is_no_refusal(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= ALLOCATIONS; i++) {
		struct sim *s = sim_pair(1, CROWD, SETTLED_MS);

		assert_true(sim_invite(s, 0, 86400));
		sim_run(s, s->now_ms + 5000, NULL);
		s->nodes[0].memory.fail_in = i;
		assert_true(sim_accept(s, 1, 0));
		assert_meet(s, i, "an allocation failed");
		sim_free(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(invitations_that_cross_make_one_pair),
		cmocka_unit_test(a_clock_set_right_lets_them_meet),
		cmocka_unit_test(one_who_lost_his_store_is_taken_again),
		cmocka_unit_test(
		    no_memory_while_an_invitation_is_taken_is_no_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
