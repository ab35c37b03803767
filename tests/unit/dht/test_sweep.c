/* Alarms, and the places near a goal that are asked for. */
#include "proto/dht/sweep.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { SOFT = 250 };
#define REACH (UINT64_C(1) << 57) /* eight of 1024 nodes */

static struct lookup l; /* large: not on the stack */
static struct test_rng r;

static void
begin(void)
{
	static const struct target goal;

	test_rng_init(&r, test_seed(1));
	lookup_init(&l, &goal, 4, SOFT, 0);
	l.reach = REACH;
}

/* A node at that distance on an address that no id is bound to: 10/8. */
static struct krpc_node
node_at(uint64_t distance, unsigned n)
{
	uint8_t addr[4] = { 10, (uint8_t)n, (uint8_t)(n >> 8), 1 };
	struct krpc_node node = { .at = endpoint_v4(addr, 1) };

	nodeid_at_distance(&l.goal, distance, &r.rng, &node.id);
	return node;
}

static void
add(uint64_t distance, unsigned n)
{
	struct krpc_node node = node_at(distance, n);

	assert_true(lookup_add(&l, &node, LOOKUP_ANSWER, 0));
}

/* All who are asked answer. */
static unsigned
answer_all(void)
{
	struct lookup_node *n;
	unsigned count = 0;

	while ((n = lookup_next(&l, 0))) {
		struct krpc_node node = n->node;
		struct target told;

		lookup_ask(&l, n, &r.rng, 0, &told);
		assert_non_null(lookup_answered(&l, &node.at, &node.id));
		count++;
	}
	return count;
}

static void
all_out_to_the_reach_are_asked(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < 14; i++)
		add(REACH / 16 * (i + 1), i);
	for (unsigned i = 0; i < 6; i++)
		add(REACH + 1 + i, 100 + i);
	assert_int_equal(answer_all(), 14);
	assert_true(lookup_over(&l, 0));
	begin(); /* where there are fewer, the eight nearest */
	for (unsigned i = 0; i < 3; i++)
		add(REACH / 4 * (i + 1), i);
	for (unsigned i = 0; i < 9; i++)
		add(REACH + 1 + i, 100 + i);
	assert_int_equal(answer_all(), LOOKUP_K);
	assert_true(lookup_over(&l, 0));
}

static void
eight_far_too_near_raise_the_alarm(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < 8; i++)
		add(REACH / 8 * (i + 1) - 1, i); /* as it should be */
	(void)answer_all();
	assert_false(sweep_needed(&l, 8));
	begin();
	for (unsigned i = 0; i < 8; i++)
		add(REACH / SWEEP_TOO_NEAR - 10 + i, i);
	(void)answer_all();
	assert_true(sweep_needed(&l, 8));
	l.alarm = true; /* once is enough */
	assert_false(sweep_needed(&l, 8));
	l.alarm = false;
	l.reach = 0; /* nothing is known */
	assert_false(sweep_needed(&l, 8));
}

/* Who named only his friends has kept from us who is there. */
static void
eight_far_too_far_raise_the_alarm(void **state)
{
	(void)state;
	for (unsigned far = 0; far < 2; far++) {
		begin();
		for (unsigned i = 0; i < 7; i++)
			add(REACH + i, i);
		add(REACH / 2 * (SWEEP_TOO_FAR + far) - 1 + 2 * far, 7);
		(void)answer_all();
		assert_int_equal(sweep_needed(&l, 8), far);
	}
}

static void
too_many_in_reach_raise_the_alarm(void **state)
{
	(void)state;
	for (unsigned n = SWEEP_TOO_MANY; n <= SWEEP_TOO_MANY + 1; n++) {
		begin();
		for (unsigned i = 0; i < n; i++)
			add(REACH / 2 + i, i);
		(void)answer_all();
		assert_int_equal(sweep_needed(&l, 8), n > SWEEP_TOO_MANY);
	}
}

/* Hostile input 36, the part of the networks. */
static void
hostile_36_ids_of_one_network_raise_the_alarm(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < 8; i++)
		add(REACH / 8 * (i + 1) - 1, i << 8); /* all in 10.0/16 */
	(void)answer_all();
	assert_int_equal(sweep_spread(&l), 1);
	assert_true(sweep_needed(&l, 8));
	assert_true(sweep_needed(&l, 2));
	assert_false(sweep_needed(&l, 1)); /* as everywhere in this net */
	assert_false(sweep_needed(&l, 0));
}

static void
an_empty_quarter_is_asked_for_once(void **state)
{
	struct target place;
	uint64_t d;

	(void)state;
	begin();
	for (unsigned i = 0; i < 8; i++)
		add(REACH / 8 * (i % 6 + 1) - 1 - i, i); /* none in the last */
	assert_null(sweep_next(&l, &r.rng, 0, &place));  /* not yet */
	(void)answer_all();
	assert_non_null(sweep_next(&l, &r.rng, 5, &place));
	d = nodeid_distance64(&l.goal, &place);
	assert_true(d >= REACH / 4 * 3 && d < REACH);
	assert_null(sweep_next(&l, &r.rng, 5, &place));
	/* It is waited for, but not long. */
	assert_false(lookup_over(&l, 5));
	assert_int_equal(lookup_deadline_ms(&l, 5), 5 + SOFT);
	assert_true(lookup_over(&l, 5 + SOFT));
	sweep_came(&l);
	assert_true(lookup_over(&l, 5));
}

/* Where the eighth is too far, who is beyond the reach is asked for before the
 * alarm; not as long as somebody nearer may answer. */
static void
a_thin_place_is_asked_for_beyond_the_reach(void **state)
{
	struct target place;

	(void)state;
	begin();
	for (unsigned i = 0; i < 7; i++)
		add(REACH / 8 * (i + 1), i);
	add(REACH * 3, 7);
	(void)answer_all();
	assert_true(sweep_needed(&l, 8));
	add(REACH * 2, 8);
	assert_null(sweep_next(&l, &r.rng, 0, &place));
	lookup_failed(&l, &l.node[7].node.at);
	for (unsigned i = 0; i < SWEEP_BEYOND; i++) {
		uint64_t d;

		assert_non_null(sweep_next(&l, &r.rng, 0, &place));
		d = nodeid_distance64(&l.goal, &place);
		assert_true(d >= REACH / 2 * (2 + i));
		assert_true(d < REACH / 2 * (3 + i));
	}
	assert_null(sweep_next(&l, &r.rng, 0, &place)); /* once is enough */
	add(REACH * 2 + 1, 9);
	(void)answer_all();
	assert_false(sweep_needed(&l, 8));
}

/* A crowd at the goal, honest nodes behind it: all are asked for places that
 * are not the goal, and nobody more than twice. */
static void
after_an_alarm_all_are_asked_for_other_places(void **state)
{
	unsigned count = 0, outside_crowd = 0;
	struct lookup_node *n;
	struct target place;

	(void)state;
	begin();
	for (unsigned i = 0; i < 30; i++)
		add(REACH / 4096 + i, i);
	for (unsigned i = 0; i < 8; i++)
		add(REACH / 10 * (i + 2), 100 + i);
	(void)answer_all();
	assert_true(sweep_needed(&l, 8));
	l.alarm = true;
	while ((n = sweep_next(&l, &r.rng, 0, &place))) {
		uint64_t d = nodeid_distance64(&l.goal, &place);

		assert_true(d < REACH);
		assert_true(n->n_swept <= SWEEP_EACH);
		assert_true(l.n_sweeping <= SWEEP_ALPHA);
		outside_crowd += d > REACH / 8;
		count++;
		sweep_came(&l);
	}
	assert_int_equal(count, SWEEP_EACH * 38);
	assert_true(outside_crowd > count / 2);
	assert_true(lookup_over(&l, 0));
}

static void
crowd_and_few_others(void)
{
	begin();
	l.alarm = true;
	l.want = LOOKUP_WIDE;
	for (unsigned i = 0; i < LOOKUP_WIDE + 4; i++)
		add(REACH / 4096 + i, i);
	add(REACH / 4, 100);
	add(REACH / 2, 101);
	for (unsigned i = 0; i < 8; i++)
		add(REACH / 4 * (5 + i), 110 + i);
	add(REACH * LOOKUP_STRETCH + 1, 200);
}

/* By chance few honest nodes are within the reach: those beyond it are asked,
 * until with one for the crowd there are eight. */
static void
after_an_alarm_the_crowd_counts_as_one(void **state)
{
	(void)state;
	crowd_and_few_others();
	assert_int_equal(answer_all(), LOOKUP_WIDE + 4 + LOOKUP_K - 1);
	assert_true(lookup_over(&l, 0));
	l.alarm = false; /* a crowd that raises none is many */
	assert_true(lookup_over(&l, 0));
	crowd_and_few_others();
	l.alarm = false;
	assert_int_equal(answer_all(), LOOKUP_WIDE + 4 + 2);
}

/* Those who stand before the reach answer, the others are silent. */
static unsigned
answer_some(uint64_t now_ms)
{
	struct lookup_node *n;
	unsigned n_silent = 0;

	while ((n = lookup_next(&l, now_ms))) {
		struct krpc_node node = n->node;
		struct target told;

		lookup_ask(&l, n, &r.rng, now_ms, &told);
		if (nodeid_distance64(&node.id, &l.goal) < REACH)
			(void)lookup_answered(&l, &node.at, &node.id);
		else
			n_silent++;
	}
	return n_silent;
}

/* The crowd answers fast: those who do not are waited for all the same. */
static void
after_an_alarm_the_crowd_makes_nobody_late(void **state)
{
	(void)state;
	crowd_and_few_others();
	assert_int_equal(answer_some(0), LOOKUP_K - 3);
	assert_false(lookup_over(&l, 0));
	assert_int_equal(answer_some(SOFT), 8 - (LOOKUP_K - 3));
	assert_false(lookup_over(&l, SOFT));
	assert_int_equal(answer_some(2 * SOFT), 0);
	assert_false(lookup_over(&l, 2 * SOFT));
	assert_true(lookup_over(&l, 3 * SOFT));
}

/* Names that fill the list push out each other, not who is elsewhere. */
static void
a_crowd_displaces_only_itself(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < 8; i++)
		add(REACH / 10 * (i + 2), 10000 + i);
	for (unsigned i = 0; i < 3000; i++) {
		struct krpc_node node = node_at(REACH / 4096 + i, i);

		(void)lookup_add(&l, &node, LOOKUP_ANSWER, 0);
	}
	assert_int_equal(l.n, LOOKUP_NODES_MAX);
	for (unsigned i = 0; i < 8; i++) {
		struct krpc_node node = node_at(0, 10000 + i);

		assert_non_null(lookup_find(&l, &node.at));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_out_to_the_reach_are_asked),
		cmocka_unit_test(eight_far_too_near_raise_the_alarm),
		cmocka_unit_test(eight_far_too_far_raise_the_alarm),
		cmocka_unit_test(too_many_in_reach_raise_the_alarm),
		cmocka_unit_test(hostile_36_ids_of_one_network_raise_the_alarm),
		cmocka_unit_test(an_empty_quarter_is_asked_for_once),
		cmocka_unit_test(a_thin_place_is_asked_for_beyond_the_reach),
		cmocka_unit_test(after_an_alarm_all_are_asked_for_other_places),
		cmocka_unit_test(after_an_alarm_the_crowd_counts_as_one),
		cmocka_unit_test(after_an_alarm_the_crowd_makes_nobody_late),
		cmocka_unit_test(a_crowd_displaces_only_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
