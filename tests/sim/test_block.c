/*
 * Somebody whom we block has all that a contact of ours had, and goes on with
 * it: he is not to learn whether we are there. SIM_TRACE=1 prints what happens.
 */
#include "tests/sim/again.h"
#include "tests/sim/sim.h"
#include "tests/sim/want.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
	WE = 0,
	HE = 1,     /* is blocked */
	FRIEND = 2, /* and goes on */
	CROWD = 12,
	SEEDS = 4,
	SETTLED_MS = 60000,
	PATIENCE_MS = 5 * 60 * 1000,
	OVER_MS = 10000,             /* what was under way has come */
	OLD_MS = 3 * 60 * 60 * 1000, /* cells of before are gone */
};

static struct sim *
world(uint64_t seed)
{
	struct sim_config cfg = { .seed = seed,
		.n_people = 3,
		.n_crowd = CROWD,
		.policy = NODE_MAINLINE,
		.trace = getenv("SIM_TRACE") != NULL };
	struct sim *s = sim_new(&cfg);

	for (uint32_t i = 0; i < CROWD; i++)
		sim_at(s, 100 * i, sim_start_event, 3 + i, 0, 0);
	for (uint32_t i = 0; i < 3; i++)
		sim_at(s, 2000 + 500 * i, sim_start_event, i, 0, 0);
	sim_run(s, SETTLED_MS, NULL);
	for (uint32_t a = 0; a < 3; a++)
		for (uint32_t b = 0; b < 3; b++)
			if (a != b)
				assert_true(sim_add(s, a, b));
	return s;
}

static bool
we_are_both_there(struct sim *s)
{
	return sim_is_online(s, WE, HE) && sim_is_online(s, WE, FRIEND);
}

static bool
we_are_there_again(struct sim *s)
{
	return sim_is_online(s, WE, HE);
}

static bool
friend_is_there(struct sim *s)
{
	return sim_is_online(s, WE, FRIEND);
}

/* All have met, and he had a word of ours. */
static struct sim *
friends(uint64_t seed)
{
	struct sim *s = world(seed);

	want(s, sim_run(s, s->now_ms + PATIENCE_MS, we_are_both_there),
	    "they do not meet");
	assert_true(sim_write(s, WE, HE, 40));
	want(s, sim_run(s, s->now_ms + PATIENCE_MS, sim_all_delivered),
	    "no word comes");
	return s;
}

/* What was under way has come; how much he has heard of us. */
static uint64_t
shut_out(struct sim *s)
{
	sim_run(s, s->now_ms + OVER_MS, NULL);
	want(s, !sim_is_online(s, HE, WE), "the session goes on");
	return s->nodes[HE].n_sealed[WE];
}

/* For hours, beyond what he had heard. */
static void
he_knows_nothing(struct sim *s, uint64_t before)
{
	struct node_contact_info info = { 0 };
	struct contact_id id;

	sim_run(s, s->now_ms + OLD_MS, NULL);
	want(s, s->nodes[HE].n_sealed[WE] == before, "he hears of us");
	assert_true(
	    node_contact_find(s->nodes[HE].node, &s->check.pk[WE], &id));
	assert_true(node_contact_get(s->nodes[HE].node, &id, &info));
	want(s, !info.online, "he has a session");
	want(s, !info.cell_seen, "he reads a cell");
}

/* The same for who is there as for who is not: no answer but the DHT's, which
 * anybody gets at an address that he knows; and no cell. */
static void
who_is_blocked_cannot_tell_whether_we_are_there(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct sim *s = friends(seed);
		bool is_there = seed % 2 == 0;
		uint64_t before;

		assert_true(sim_block(s, WE, HE, true));
		before = shut_out(s);
		if (is_there)
			sim_move(s, WE, true);
		else
			sim_crash(s, WE);
		he_knows_nothing(s, before);
		if (is_there) /* who has not been blocked hears all */
			want(s,
			    friend_is_there(s) &&
			        sim_write(s, WE, FRIEND, 40) &&
			        sim_run(s, s->now_ms + PATIENCE_MS,
			            sim_all_delivered),
			    "a friend hears nothing");
		sim_free(s);
	}
}

/* As above, of one who is no less a contact: nothing waits for him. */
static void
who_is_not_to_see_us_cannot_tell_either(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct sim *s = friends(seed);
		bool is_there = seed % 2 == 0;
		uint64_t before;

		assert_true(sim_presence(s, WE, HE, false));
		before = shut_out(s);
		if (!is_there)
			sim_crash(s, WE);
		else if (seed % 4 == 0)
			sim_crash_for(s, WE, 1000);
		else
			sim_move(s, WE, true);
		assert_true(sim_write(s, HE, WE, 40)); /* he tries */
		he_knows_nothing(s, before);
		if (is_there)
			want(s, friend_is_there(s), "a friend sees nothing");
		sim_free(s);
	}
}

static bool
he_sees_nothing(struct sim *s)
{
	return !s->nodes[HE].online[WE];
}

/* What waits at both sides comes when we write; then we are gone again, and
 * back when he may see us. */
static void
who_is_not_to_see_us_hears_what_we_write(void **state)
{
	struct sim *s = friends(10);
	uint64_t before;

	(void)state;
	assert_true(sim_presence(s, WE, HE, false));
	(void)shut_out(s);
	for (unsigned turn = 0; turn < 3; turn++) {
		want(s, he_sees_nothing(s), "he sees us");
		assert_true(sim_write(s, HE, WE, 40));
		if (turn == 1)
			sim_crash_for(s, HE, 1000);
		sim_run(s, s->now_ms + PATIENCE_MS, NULL);
		want(s, !sim_all_delivered(s), "his word comes by itself");
		assert_true(sim_write(s, WE, HE, 40));
		if (turn == 2)
			sim_crash_for(s, WE, 1000);
		want(s,
		    sim_run(s, s->now_ms + 4 * PATIENCE_MS, sim_all_delivered),
		    "what waits does not come");
		want(s, sim_run(s, s->now_ms + PATIENCE_MS, he_sees_nothing),
		    "we stay");
		sim_run(s, s->now_ms + OVER_MS, NULL);
		before = s->nodes[HE].n_sealed[WE];
		sim_run(s, s->now_ms + PATIENCE_MS, NULL);
		want(s, s->nodes[HE].n_sealed[WE] == before, "he hears of us");
	}
	assert_true(sim_presence(s, WE, HE, true));
	want(s, sim_run(s, s->now_ms + 4 * PATIENCE_MS, we_are_there_again),
	    "he does not see us again");
	sim_free(s);
}

/* Blocked over restarts of both; then let in again, and nothing is doubled. */
static void
who_is_let_in_again_goes_on_where_he_was(void **state)
{
	struct sim *s = friends(9);
	uint64_t before;

	(void)state;
	assert_true(sim_write(s, HE, WE, 40));
	want(s, sim_run(s, s->now_ms + PATIENCE_MS, sim_all_delivered),
	    "no word comes");
	assert_true(sim_block(s, WE, HE, true));
	sim_run(s, s->now_ms + OVER_MS, NULL);
	sim_crash_for(s, WE, 1000);
	sim_crash_for(s, HE, 1000);
	before = s->nodes[HE].n_sealed[WE];
	sim_run(s, s->now_ms + PATIENCE_MS, NULL);
	want(s, s->nodes[HE].n_sealed[WE] == before, "a restart lets him in");
	assert_true(sim_write(s, HE, WE, 40)); /* waits at his side */
	assert_true(sim_block(s, WE, HE, false));
	want(s, sim_run(s, s->now_ms + 3 * PATIENCE_MS, we_are_there_again),
	    "he is not let in");
	assert_true(sim_write(s, WE, HE, 40));
	want(s, sim_run(s, s->now_ms + PATIENCE_MS, sim_all_delivered),
	    "what waited does not come");
	sim_free(s);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    who_is_blocked_cannot_tell_whether_we_are_there),
		cmocka_unit_test(who_is_let_in_again_goes_on_where_he_was),
		cmocka_unit_test(who_is_not_to_see_us_cannot_tell_either),
		cmocka_unit_test(who_is_not_to_see_us_hears_what_we_write),
	};

	(void)argc;
	again_begin(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
