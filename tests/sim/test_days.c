/*
 * Days and months in virtual time: epochs of cells turn, keys are renewed,
 * certificates end, people are away.
 */
#include "tests/sim/sim.h"
#include "tests/sim/want.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
	CROWD = 8,
	SETTLED_MS = 30000,
	HOUR_MS = 3600 * 1000,
	PATIENCE_MS = 30 * 60 * 1000,
	DAYS = 3,
	DAYS_LONG = 130, /* S is renewed twice */
	TEXTS_AWAY = 5,
};
#define DAY_MS (24 * UINT64_C(3600000))

static void
add_event(struct sim *s, const struct sim_event *e)
{
	assert_true(sim_add(s, e->who, e->whom));
}

static struct sim *
begin(uint64_t seed)
{
	struct sim_config cfg = { .seed = seed,
		.n_people = 2,
		.n_crowd = CROWD,
		.trace = getenv("SIM_TRACE") != NULL };
	struct sim *s = sim_new(&cfg);

	for (uint32_t i = 0; i < s->n_nodes; i++)
		sim_at(s, 100 * i, sim_start_event, i, 0, 0);
	sim_at(s, SETTLED_MS, add_event, 0, 1, 0);
	sim_at(s, SETTLED_MS, add_event, 1, 0, 0);
	want_done(s, sim_run(s, PATIENCE_MS, sim_pair_online));
	return s;
}

/* Both write, and both texts arrive. */
static void
talk(struct sim *s)
{
	assert_true(sim_write(s, 0, 1, 50));
	assert_true(sim_write(s, 1, 0, 50));
	want_done(s, sim_run(s, s->now_ms + PATIENCE_MS, sim_all_delivered));
}

static void
a_pair_talks_every_few_hours(void **state)
{
	uint64_t days = getenv("BTCHAT_LONG") ? DAYS_LONG : DAYS;
	struct sim *s = begin(1);

	(void)state;
	while (s->now_ms < days * DAY_MS) {
		uint64_t pause_ms =
		    dice_range(&s->dice, 1, 12) * (uint64_t)HOUR_MS;

		sim_run(s, s->now_ms + pause_ms, NULL);
		want_done(s, true);
		talk(s);
	}
	check_history(&s->check);
	want_done(s, true);
	printf("%.0f days, %llu texts, %llu datagrams\n",
	    (double)s->now_ms / (double)DAY_MS,
	    (unsigned long long)s->check.n_received,
	    (unsigned long long)s->net.n_sent);
	sim_free(s);
}

static void
who_comes_back_after_days_gets_everything(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct sim *s = begin(seed);

		sim_crash(s, 1);
		for (uint32_t i = 0; i < TEXTS_AWAY; i++) {
			sim_run(s, s->now_ms + DAY_MS * 3 / TEXTS_AWAY, NULL);
			assert_true(sim_write(s, 0, 1, 80));
		}
		want_done(s, true);
		if (seed % 2)
			sim_move(s, 1, true);
		sim_start(s, 1);
		want_done(
		    s, sim_run(s, s->now_ms + PATIENCE_MS, sim_all_delivered));
		talk(s);
		sim_free(s);
	}
}

/* Two who are both away for days and have both moved meanwhile. */
static void
two_who_come_back_meet(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct sim *s = begin(seed);

		sim_crash(s, 0);
		sim_crash(s, 1);
		sim_run(s, s->now_ms + 2 * DAY_MS + seed * HOUR_MS, NULL);
		sim_move(s, 0, true);
		sim_move(s, 1, true);
		sim_start(s, 0);
		sim_run(s, s->now_ms + seed * 20 * 60000, NULL);
		sim_start(s, 1);
		talk(s);
		sim_free(s);
	}
}

/* Hostile input 57: a laptop that was closed for eight hours. */
static void
eight_hours_of_sleep_end_without_a_burst(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct sim *s = begin(seed);
		uint64_t out;
		uint64_t woke_ms;

		sim_sleep(s, 1, 8 * (uint64_t)HOUR_MS);
		for (uint32_t i = 0; i < TEXTS_AWAY; i++) {
			sim_run(s, s->now_ms + HOUR_MS, NULL);
			assert_true(sim_write(s, 0, 1, 80));
		}
		sim_run(s, s->nodes[1].asleep_until_ms - 1, NULL);
		want_done(s, true);
		out = s->nodes[1].n_out;
		woke_ms = s->now_ms;
		sim_run(s, woke_ms + 10000, NULL);
		out = s->nodes[1].n_out - out;
		want_done(
		    s, sim_run(s, woke_ms + PATIENCE_MS, sim_all_delivered));
		printf("after 8 h of sleep: %llu datagrams in 10 s, all "
		       "delivered within %.1f s\n",
		    (unsigned long long)out,
		    (double)(s->now_ms - woke_ms) / 1000);
		assert_true(out < 300);
		sim_free(s);
	}
}

/* Two months of being away: the certificate that the other knows has ended. */
static void
a_season_apart_is_survived(void **state)
{
	struct sim *s;

	(void)state;
	want_plain_build();
	s = begin(9);
	sim_crash(s, 1);
	sim_run(s, s->now_ms + 65 * DAY_MS, NULL);
	want_done(s, true);
	assert_true(sim_write(s, 0, 1, 80));
	sim_start(s, 1);
	talk(s);
	sim_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pair_talks_every_few_hours),
		cmocka_unit_test(who_comes_back_after_days_gets_everything),
		cmocka_unit_test(two_who_come_back_meet),
		cmocka_unit_test(eight_hours_of_sleep_end_without_a_burst),
		cmocka_unit_test(a_season_apart_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
