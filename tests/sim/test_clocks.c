/*
 * Clocks that are set while people talk, and machines that sleep. Sessions go
 * by monotonic time and live on; what is bound to the wall clock is bound to
 * the one that contacts agree with. Numbers are those of the list of hostile
 * inputs.
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
	PATIENCE_MS = 30 * 60 * 1000,
	DOUBT_MS = 3600 * 1000, /* a clock that was set is believed then */
	STEP_MS = 30 * 1000,
	STEPS = 30, /* of a quarter of an hour: five renewals or six */
	FRIENDS = SIM_PEOPLE_MAX - 1,
};
#define YEAR_MS (365 * INT64_C(86400000))

static void
add_event(struct sim *s, const struct sim_event *e)
{
	assert_true(sim_add(s, e->who, e->whom));
}

static bool
all_online(struct sim *s)
{
	for (uint32_t i = 1; i < s->cfg.n_people; i++) {
		if (!sim_is_online(s, 0, i) || !sim_is_online(s, i, 0))
			return false;
	}
	return true;
}

/* Everybody is a contact of the first one. */
static struct sim *
begin(uint64_t seed, uint32_t n_people)
{
	struct sim_config cfg = { .seed = seed,
		.n_people = n_people,
		.n_crowd = CROWD,
		.trace = getenv("SIM_TRACE") != NULL };
	struct sim *s = sim_new(&cfg);

	for (uint32_t i = 0; i < s->n_nodes; i++)
		sim_at(s, 100 * i, sim_start_event, i, 0, 0);
	for (uint32_t i = 1; i < n_people; i++) {
		sim_at(s, SETTLED_MS, add_event, 0, i, 0);
		sim_at(s, SETTLED_MS, add_event, i, 0, 0);
	}
	want_done(s, sim_run(s, PATIENCE_MS, all_online));
	return s;
}

/* Renewals of the link that is up now; none if there is no link. */
static uint32_t
renewals(const struct sim *s, uint32_t who, uint32_t whom)
{
	struct node_contact_info info = { .online = false };
	struct contact_id id;
	struct id_pk pk;

	assert_true(node_id(s->nodes[whom].node, &pk));
	assert_true(node_contact_find(s->nodes[who].node, &pk, &id));
	assert_true(node_contact_get(s->nodes[who].node, &id, &info));
	assert_true(info.online);
	return info.rekeys;
}

/* They talk for a quarter of an hour, over one link. */
static void
talk(struct sim *s)
{
	uint32_t at_first = renewals(s, 0, 1), last = at_first;

	for (unsigned i = 0; i < STEPS; i++) {
		assert_true(sim_write(s, 0, 1, 50));
		assert_true(sim_write(s, 1, 0, 50));
		sim_run(s, s->now_ms + STEP_MS, NULL);
		want_done(s, sim_all_delivered(s));
		assert_true(renewals(s, 0, 1) >= last);
		last = renewals(s, 0, 1);
	}
	assert_true(last >= at_first + 4);
}

static void
hostile_56_no_session_ends_because_a_clock_is_set(void **state)
{
	/* Ten years both ways, the begin of time, a leap second, an hour, and
	 * more than a day. */
	static const int64_t jumps[] = { 10 * YEAR_MS, -10 * YEAR_MS,
		-60 * YEAR_MS, 1000, -1000, 3600 * 1000, -3600 * 1000,
		30 * 3600 * 1000, -30 * 3600 * 1000 };

	(void)state;
	for (uint64_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		uint64_t seed = 1 + i;
		struct sim *s = begin(seed, 2);
		struct sim_node *n = &s->nodes[i / 2 % 2];
		bool is_far = llabs(jumps[i]) > 86400 * 1000;

		talk(s);
		n->wall_offset_ms += jumps[i];
		talk(s);
		assert_int_equal(n->n_doubts, is_far);
		n->wall_offset_ms -= jumps[i];
		talk(s);
		assert_int_equal(n->n_doubts, is_far);
		sim_free(s);
	}
}

/* Whose clock is a day off says nothing for ours: a wrong one is set right
 * beside its link. */
static void
a_wrong_clock_is_not_vouched_for(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct sim *s = begin(seed, 2);

		sim_crash(s, 1);
		sim_run(s, s->now_ms + 200000, NULL);
		s->nodes[0].wall_offset_ms += 28 * 3600 * 1000;
		sim_run(s, s->now_ms + 200000, NULL);
		sim_start(s, 1);
		want_done(
		    s, sim_run(s, s->now_ms + PATIENCE_MS, sim_pair_online));
		s->nodes[0].wall_offset_ms = 0;
		talk(s);
		assert_int_equal(s->nodes[0].n_doubts, 0);
		sim_free(s);
	}
}

/* Two stood still for two days, meet, and are set right beside their link: each
 * vouches for the clock of before of the other, and so might who wants us for
 * himself; but not for ever, for it keeps all others away. */
static void
who_shares_a_wrong_clock_does_not_keep_others_away(void **state)
{
	const int64_t stood_ms = 2 * 86400 * INT64_C(1000);

	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct sim *s = begin(seed, 3);

		for (uint32_t i = 0; i < 3; i++)
			sim_crash(s, i);
		s->nodes[2].wall_offset_ms += stood_ms;
		sim_start(s, 0);
		sim_start(s, 1);
		want_done(
		    s, sim_run(s, s->now_ms + PATIENCE_MS, sim_pair_online));
		s->nodes[0].wall_offset_ms += stood_ms;
		s->nodes[1].wall_offset_ms += stood_ms;
		talk(s);
		assert_int_equal(s->nodes[0].n_doubts, 1);
		sim_start(s, 2);
		want_done(s,
		    sim_run(s, s->now_ms + DOUBT_MS + PATIENCE_MS, all_online));
		talk(s);
		assert_int_equal(s->nodes[0].n_doubts, 1);
		sim_free(s);
	}
}

/* Whom we did not believe in the end does not vouch for what we did believe. */
static void
a_clock_that_was_believed_late_is_set_right_at_once(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct sim *s = begin(seed, 2);

		s->nodes[0].wall_offset_ms += 3 * YEAR_MS;
		/* New keys shortly before the hour. */
		sim_run(s, s->now_ms + DOUBT_MS - 200000, NULL);
		assert_true(sim_write(s, 0, 1, 50));
		sim_run(s, s->now_ms + 240000, NULL);
		assert_int_equal(s->nodes[0].n_doubts, 1);
		want_done(s, sim_pair_online(s)); /* by the keys of before */
		s->nodes[0].wall_offset_ms = 0;
		sim_run(s, s->now_ms + 300000, NULL);
		want_done(
		    s, sim_run(s, s->now_ms + PATIENCE_MS, sim_pair_online));
		talk(s);
		assert_int_equal(s->nodes[0].n_doubts, 1);
		sim_free(s);
	}
}

/* What nobody contradicts is believed: of a wrong clock, set right, the
 * cells of the day are written at once. */
static void
a_clock_is_believed_when_nobody_is_there(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct sim *s = begin(seed, 2);

		sim_crash(s, 1);
		sim_run(s, s->now_ms + 200000, NULL);
		s->nodes[0].wall_offset_ms += 3 * YEAR_MS;
		sim_run(s, s->now_ms + 200000, NULL);
		assert_int_equal(s->nodes[0].n_doubts, 0);
		sim_start(s, 1);
		sim_run(s, s->now_ms + 200000, NULL);
		assert_false(sim_pair_online(s));
		s->nodes[0].wall_offset_ms = 0;
		want_done(
		    s, sim_run(s, s->now_ms + PATIENCE_MS, sim_pair_online));
		talk(s);
		sim_free(s);
	}
}

static void
hostile_58_a_contact_two_years_ahead_is_not_locked_out(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct sim *s = begin(seed, 2);
		uint32_t who = seed % 2;

		s->nodes[who].wall_offset_ms += 2 * YEAR_MS;
		talk(s);
		/* Whoever starts so has nobody to tell him better. */
		sim_crash(s, who);
		sim_start(s, who);
		sim_run(s, s->now_ms + 600000, NULL);
		want_done(s, !sim_pair_online(s));
		assert_true(sim_write(s, who, 1 - who, 50));
		if (seed > 2)
			sim_crash(s, who);
		s->nodes[who].wall_offset_ms -= 2 * YEAR_MS;
		if (seed > 2)
			sim_start(s, who);
		want_done(
		    s, sim_run(s, s->now_ms + PATIENCE_MS, sim_pair_online));
		sim_run(s, s->now_ms + 10000, NULL);
		talk(s);
		sim_free(s);
	}
}

/* Shorter than it takes to be missed: the link lives, under new keys at
 * once. */
static void
hostile_57_keys_are_renewed_after_a_short_sleep(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct sim *s = begin(seed, 2);
		uint32_t who = seed % 2, before;

		assert_true(sim_write(s, 0, 1, 50));
		sim_run(s, s->now_ms + 30000, NULL);
		before = renewals(s, who, 1 - who);
		sim_sleep(s, who, 20000);
		/* The other one may be calling, and for 2 s that counts. */
		sim_run(s, s->nodes[who].asleep_until_ms + 3000, NULL);
		want_done(s, sim_pair_online(s));
		assert_int_equal(renewals(s, who, 1 - who), before + 1);
		talk(s);
		sim_free(s);
	}
}

static void
hostile_57_many_links_wake_without_a_burst(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 2; seed++) {
		/* Both while the links live, and long after they are dead. */
		uint64_t sleep_ms = seed == 1 ? 20000 : 8 * 3600 * 1000;
		struct sim *s = begin(seed, 1 + FRIENDS);
		uint64_t out;

		sim_run(s, s->now_ms + 60000, NULL);
		sim_sleep(s, 0, sleep_ms);
		sim_run(s, s->nodes[0].asleep_until_ms - 1, NULL);
		out = s->nodes[0].n_out;
		sim_run(s, s->now_ms + 100, NULL);
		printf(
		    "%d friends, asleep for %llu s: %llu datagrams in 0.1 s\n",
		    FRIENDS, (unsigned long long)sleep_ms / 1000,
		    (unsigned long long)(s->nodes[0].n_out - out));
		/* Of 39 seeds: 10 to 24 for each. */
		assert_true(s->nodes[0].n_out - out < 30 * FRIENDS);
		want_done(s, sim_run(s, s->now_ms + PATIENCE_MS, all_online));
		sim_free(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    hostile_56_no_session_ends_because_a_clock_is_set),
		cmocka_unit_test(a_wrong_clock_is_not_vouched_for),
		cmocka_unit_test(
		    who_shares_a_wrong_clock_does_not_keep_others_away),
		cmocka_unit_test(
		    a_clock_that_was_believed_late_is_set_right_at_once),
		cmocka_unit_test(a_clock_is_believed_when_nobody_is_there),
		cmocka_unit_test(
		    hostile_58_a_contact_two_years_ahead_is_not_locked_out),
		cmocka_unit_test(
		    hostile_57_keys_are_renewed_after_a_short_sleep),
		cmocka_unit_test(hostile_57_many_links_wake_without_a_burst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
