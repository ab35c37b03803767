/* Lookups: whom to ask next, and when it is over. */
#include "proto/dht/lookup.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { SMALL = 4, DEEP = 20, SOFT = 1000 };

static struct lookup l; /* large: not on the stack */
static struct test_rng r;

static void
begin(unsigned depth)
{
	static const struct target goal;

	test_rng_init(&r, 1);
	lookup_init(&l, &goal, depth, SOFT, 0);
}

/* Shares `common` bits with the goal, on a port of loopback. */
static struct krpc_node
node_at(unsigned common, unsigned n)
{
	static const uint8_t addr[4] = { 127, 0, 0, 1 };
	static const struct target goal;
	struct krpc_node node = { .at =
		                      endpoint_v4(addr, (uint16_t)(1000 + n)) };

	nodeid_in_bucket(&goal, common, &r.rng, &node.id);
	return node;
}

static bool
add(struct krpc_node node)
{
	return lookup_add(&l, &node, LOOKUP_ANSWER, 0);
}

static bool
named(struct krpc_node node, uint8_t namer)
{
	return lookup_add(&l, &node, LOOKUP_ANSWER, namer);
}

/* Asks the next node; NULL: nobody now. */
static struct lookup_node *
ask(uint64_t now_ms)
{
	struct lookup_node *n = lookup_next(&l, now_ms);
	struct target target;

	if (n)
		lookup_ask(&l, n, &r.rng, now_ms, &target);
	return n;
}

static void
answer(const struct lookup_node *n)
{
	struct krpc_node node = n->node;

	assert_non_null(lookup_answered(&l, &node.at, &node.id));
}

static unsigned
ask_all(uint64_t now_ms)
{
	unsigned n = 0;

	while (ask(now_ms))
		n++;
	return n;
}

static void
nobody_to_ask_is_over_at_once(void **state)
{
	(void)state;
	begin(SMALL);
	assert_null(ask(0));
	assert_true(lookup_over(&l, 0));
}

static void
the_nearest_is_asked_first_and_few_at_a_time(void **state)
{
	struct lookup_node *n;

	(void)state;
	begin(DEEP);
	for (unsigned i = 0; i < 12; i++)
		assert_true(add(node_at(19 + i % 12, i)));
	n = ask(0);
	assert_int_equal(nodeid_common(&n->node.id, &l.goal), 30);
	assert_int_equal(ask_all(0), LOOKUP_ALPHA - 1);
	begin(SMALL); /* one hop is enough: all at once */
	for (unsigned i = 0; i < 12; i++)
		assert_true(add(node_at(1, i)));
	assert_int_equal(ask_all(0), LOOKUP_K);
}

static void
it_ends_when_the_eight_nearest_answered(void **state)
{
	unsigned n_asked = 0;
	struct lookup_node *n;

	(void)state;
	begin(SMALL);
	for (unsigned i = 0; i < 20; i++)
		assert_true(add(node_at(1, i)));
	while ((n = ask(0))) {
		assert_false(lookup_over(&l, 0));
		answer(n);
		n_asked++;
	}
	assert_int_equal(n_asked, LOOKUP_K);
	assert_true(lookup_over(&l, 0));
}

static void
a_nearer_node_keeps_it_going(void **state)
{
	struct lookup_node *n;

	(void)state;
	begin(SMALL);
	for (unsigned i = 0; i < 8; i++)
		assert_true(add(node_at(1, i)));
	while ((n = ask(0)))
		answer(n);
	assert_true(lookup_over(&l, 0));
	assert_true(add(node_at(9, 50)));
	assert_false(lookup_over(&l, 0));
	assert_int_equal(nodeid_common(&ask(0)->node.id, &l.goal), 9);
	assert_true(add(node_at(0, 51))); /* farther than the eight */
	assert_null(ask(0));
}

static void
the_failed_are_replaced_by_the_next(void **state)
{
	struct lookup_node *n;

	(void)state;
	begin(SMALL);
	for (unsigned i = 0; i < 10; i++)
		assert_true(add(node_at(1 + (i < 2), i)));
	n = ask(0);
	lookup_failed(&l, &n->node.at);
	while ((n = ask(0)))
		answer(n);
	assert_true(lookup_over(&l, 0));
	assert_int_equal(l.n_asked, 9);
}

static void
a_slow_node_frees_its_slot_and_its_place(void **state)
{
	struct krpc_node slow;
	struct lookup_node *n;

	(void)state;
	begin(SMALL);
	for (unsigned i = 0; i < 9; i++)
		assert_true(add(node_at(1, i)));
	slow = ask(0)->node;
	while ((n = ask(0)))
		answer(n);
	assert_false(lookup_over(&l, 0));
	assert_int_equal(lookup_deadline_ms(&l, 0), SOFT / 2);
	n = ask(SOFT / 2); /* the one behind it, early */
	assert_non_null(n);
	answer(n);
	assert_false(lookup_over(&l, SOFT / 2));
	assert_int_equal(lookup_deadline_ms(&l, SOFT / 2), SOFT);
	assert_null(ask(SOFT));
	assert_true(lookup_over(&l, SOFT));
	/* It may still answer, and then it counts. */
	assert_non_null(lookup_answered(&l, &slow.at, &slow.id));
	assert_true(lookup_over(&l, SOFT));
}

static void
where_there_are_few_the_slow_are_waited_for(void **state)
{
	struct lookup_node *n;
	struct krpc_node slow;

	(void)state;
	begin(SMALL);
	assert_true(add(node_at(1, 1)));
	assert_true(add(node_at(2, 2)));
	n = ask(0);
	answer(n);
	slow = ask(0)->node;
	assert_null(ask(2 * SOFT));
	assert_false(lookup_over(&l, 2 * SOFT));
	lookup_failed(&l, &slow.at);
	assert_true(lookup_over(&l, 2 * SOFT));
}

static void
it_never_lasts_longer_than_its_limit(void **state)
{
	(void)state;
	begin(SMALL);
	for (unsigned i = 0; i < 60; i++)
		assert_true(add(node_at(1, i)));
	(void)ask_all(0);
	assert_false(lookup_over(&l, LOOKUP_END_MS - 1));
	assert_true(lookup_over(&l, LOOKUP_END_MS));
}

/* An endless chain of ever nearer nodes. */
static void
lies_run_out_of_questions(void **state)
{
	struct lookup_node *n;
	unsigned asked = 0;

	(void)state;
	begin(SMALL);
	assert_true(add(node_at(0, 0)));
	while ((n = ask(0))) {
		asked++;
		answer(n);
		for (unsigned i = 0; i < 8; i++)
			(void)add(
			    node_at(asked < 150 ? asked : 150, 8 * asked + i));
	}
	assert_true(asked <= LOOKUP_ASKED_MAX);
	assert_true(lookup_over(&l, 0));
	assert_true(l.n <= LOOKUP_NODES_MAX);
}

static void
one_node_a_network_is_taken_from_answers(void **state)
{
	uint8_t addr[4] = { 8, 8, 8, 8 };
	struct krpc_node node = { .at = endpoint_v4(addr, 1) };

	(void)state;
	begin(SMALL);
	nodeid_make(&node.at, 1, &r.rng, &node.id);
	assert_true(lookup_add(&l, &node, LOOKUP_ANSWER, 0));
	assert_false(lookup_add(&l, &node, LOOKUP_ANSWER, 0));
	node.at.addr[15]++;
	assert_false(lookup_add(&l, &node, LOOKUP_ANSWER, 0));
	assert_true(lookup_add(&l, &node, LOOKUP_TABLE, 0)); /* we know it */
	node.at.addr[14]++;
	assert_true(lookup_add(&l, &node, LOOKUP_ANSWER, 0));
}

/* One names whoever stands nearest and more at the distance of the only one
 * whom the other names: that one has its turn. */
static void
who_owns_the_nearest_does_not_own_the_way(void **state)
{
	struct krpc_node lone = node_at(5, 99), far = node_at(2, 2);
	struct lookup_node *n;

	(void)state;
	begin(9);
	l.band = 2;
	(void)add(node_at(2, 1));
	(void)add(far);
	while ((n = ask(0))) {
		unsigned number = n->number;

		answer(n);
		if (endpoint_eq(&n->node.at, &far.at)) {
			assert_true(named(lone, n->number));
			continue;
		}
		for (unsigned i = 0; i < 8; i++) {
			(void)named(node_at(60, 10 * number + i), n->number);
			(void)named(node_at(5, 500 + number), 1);
		}
	}
	assert_true(lookup_over(&l, 0));
	assert_int_equal(lookup_find(&l, &lone.at)->state, LOOKUP_ANSWERED);
}

static void
ids_that_fit_their_address_come_first(void **state)
{
	uint8_t addr[4] = { 8, 8, 8, 8 };
	struct krpc_node liar = { .at = endpoint_v4(addr, 1) };
	struct krpc_node honest;

	(void)state;
	begin(SMALL);
	liar.id.b[19] = 1; /* as near to the goal as can be */
	assert_false(nodeid_valid(&liar.id, &liar.at));
	assert_true(add(liar));
	addr[0] = 9;
	honest.at = endpoint_v4(addr, 1);
	nodeid_make(&honest.at, 1, &r.rng, &honest.id);
	assert_true(add(honest));
	assert_true(endpoint_eq(&ask(0)->node.at, &honest.at));
}

static void
far_nodes_are_not_told_the_goal(void **state)
{
	struct target told;
	struct lookup_node *n;

	(void)state;
	begin(DEEP);
	assert_true(add(node_at(4, 1)));
	n = lookup_next(&l, 0);
	lookup_ask(&l, n, &r.rng, 0, &told);
	assert_true(n->blurred);
	assert_true(nodeid_common(&told, &l.goal) >= 4 + LOOKUP_BLUR_BITS);
	assert_true(nodeid_common(&told, &l.goal) < 60);
	answer(n);
	assert_false(lookup_over(&l, 0));
	/* A nearer one is told if it is within two buckets of the goal. */
	assert_true(add(node_at(DEEP - 2, 2)));
	n = lookup_next(&l, 0);
	lookup_ask(&l, n, &r.rng, 0, &told);
	assert_false(n->blurred);
	assert_true(nodeid_eq(&told, &l.goal));
	answer(n);
	/* With nobody else left even the far one is. */
	n = lookup_next(&l, 0);
	assert_int_equal(nodeid_common(&n->node.id, &l.goal), 4);
	lookup_ask(&l, n, &r.rng, 0, &told);
	assert_true(nodeid_eq(&told, &l.goal));
	answer(n);
	assert_true(lookup_over(&l, 0));
}

/* A table of ours that is deeper than the network tells nothing of it. */
static void
near_nodes_are_told_the_goal_however_deep_our_table_is(void **state)
{
	struct target told;
	struct lookup_node *n;

	(void)state;
	begin(DEEP);
	lookup_expect(&l, UINT64_MAX >> 11);
	assert_true(add(node_at(11, 1)));
	assert_true(add(node_at(8, 2)));
	n = lookup_next(&l, 0);
	lookup_ask(&l, n, &r.rng, 0, &told);
	assert_true(nodeid_eq(&told, &l.goal));
	n = lookup_next(&l, 0);
	lookup_ask(&l, n, &r.rng, 0, &told);
	assert_false(nodeid_eq(&told, &l.goal));
}

static void
a_bootstrap_node_comes_last_and_fills_up(void **state)
{
	static const uint8_t addr[4] = { 9, 9, 9, 9 };
	struct krpc_node seed = { .at = endpoint_v4(addr, 1) };
	const struct lookup_node *got[8];
	struct lookup_node *n;

	(void)state;
	begin(SMALL);
	assert_true(lookup_add(&l, &seed, LOOKUP_SEED, 0));
	assert_false(lookup_add(&l, &seed, LOOKUP_SEED, 0));
	assert_true(add(node_at(1, 1)));
	n = ask(0);
	assert_false(n->seed);
	answer(n);
	n = ask(0);
	assert_true(n->seed);
	seed.id.b[0] = 7; /* now it says who it is */
	assert_non_null(lookup_answered(&l, &seed.at, &seed.id));
	assert_int_equal(lookup_closest(&l, false, got, 8), 2);
	assert_false(got[0]->seed);
	assert_true(got[1]->seed);
	assert_int_equal(lookup_closest(&l, true, got, 8), 0); /* no token */
	/* Others name it: from now on it is like them. */
	assert_true(lookup_add(&l, &seed, LOOKUP_ANSWER, 0));
	assert_false(lookup_find(&l, &seed.at)->seed);
	assert_int_equal(lookup_find(&l, &seed.at)->state, LOOKUP_ANSWERED);
}

static void
an_unasked_answer_changes_nothing(void **state)
{
	struct krpc_node node = node_at(1, 1);

	(void)state;
	begin(SMALL);
	assert_null(lookup_answered(&l, &node.at, &node.id));
	assert_true(add(node));
	assert_null(lookup_answered(&l, &node.at, &node.id));
	assert_int_equal(lookup_find(&l, &node.at)->state, LOOKUP_FRESH);
}

static void
a_node_that_says_another_id_counts_where_that_is(void **state)
{
	struct krpc_node node = node_at(30, 1), far = node_at(0, 2);
	struct lookup_node *n;

	(void)state;
	begin(SMALL);
	assert_true(add(node));
	assert_true(add(node_at(10, 3)));
	(void)ask_all(0);
	n = lookup_answered(&l, &node.at, &far.id);
	assert_non_null(n);
	assert_ptr_equal(n, &l.node[1]);
	assert_true(nodeid_eq(&n->node.id, &far.id));
}

static void
the_size_of_the_network_is_estimated(void **state)
{
	uint64_t sum = 0;
	unsigned rounds = 40;

	(void)state;
	test_rng_init(&r, test_seed(5));
	for (unsigned k = 0; k < rounds; k++) {
		struct lookup_node *n;

		begin(SMALL);
		test_rng_init(&r, k);
		nodeid_random(&r.rng, &l.goal);
		for (unsigned i = 0; i < 1000; i++) {
			struct krpc_node node = node_at(1, i);

			nodeid_random(&r.rng, &node.id);
			(void)add(node);
		}
		assert_int_equal(lookup_network_size(&l), 0);
		while ((n = ask(0)))
			answer(n);
		sum += lookup_network_size(&l);
	}
	print_message("1000 nodes estimated as %u\n", (unsigned)(sum / rounds));
	assert_in_range(sum / rounds, 700, 1500);
}

static void
the_soft_limit_follows_the_round_trip(void **state)
{
	(void)state;
	assert_int_equal(lookup_soft_ms(0, 0), LOOKUP_SOFT_MS);
	assert_int_equal(lookup_soft_ms(1, 0), LOOKUP_SOFT_MIN_MS);
	assert_int_equal(lookup_soft_ms(85, 2), LOOKUP_SOFT_MIN_MS);
	assert_int_equal(lookup_soft_ms(100, 100), 500);
	assert_int_equal(lookup_soft_ms(900, 900), LOOKUP_SOFT_MS);
	assert_int_equal(lookup_soft_ms(UINT64_MAX, 0), LOOKUP_SOFT_MS);
	assert_int_equal(lookup_soft_ms(1, UINT64_MAX), LOOKUP_SOFT_MS);
}

static void
the_slow_are_given_up_soon_where_enough_answered(void **state)
{
	struct lookup_node *n;

	(void)state;
	begin(SMALL);
	for (unsigned i = 0; i <= LOOKUP_ENOUGH; i++)
		assert_true(add(node_at(1, i)));
	assert_non_null(ask(0)); /* never answers */
	while ((n = ask(0)))
		answer(n);
	assert_null(ask(SOFT));
	assert_false(lookup_over(&l, 2 * SOFT - 1));
	assert_int_equal(lookup_deadline_ms(&l, SOFT), 2 * SOFT);
	assert_true(lookup_over(&l, 2 * SOFT));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_to_ask_is_over_at_once),
		cmocka_unit_test(the_nearest_is_asked_first_and_few_at_a_time),
		cmocka_unit_test(it_ends_when_the_eight_nearest_answered),
		cmocka_unit_test(a_nearer_node_keeps_it_going),
		cmocka_unit_test(the_failed_are_replaced_by_the_next),
		cmocka_unit_test(a_slow_node_frees_its_slot_and_its_place),
		cmocka_unit_test(where_there_are_few_the_slow_are_waited_for),
		cmocka_unit_test(
		    the_slow_are_given_up_soon_where_enough_answered),
		cmocka_unit_test(it_never_lasts_longer_than_its_limit),
		cmocka_unit_test(lies_run_out_of_questions),
		cmocka_unit_test(one_node_a_network_is_taken_from_answers),
		cmocka_unit_test(who_owns_the_nearest_does_not_own_the_way),
		cmocka_unit_test(ids_that_fit_their_address_come_first),
		cmocka_unit_test(far_nodes_are_not_told_the_goal),
		cmocka_unit_test(
		    near_nodes_are_told_the_goal_however_deep_our_table_is),
		cmocka_unit_test(a_bootstrap_node_comes_last_and_fills_up),
		cmocka_unit_test(an_unasked_answer_changes_nothing),
		cmocka_unit_test(
		    a_node_that_says_another_id_counts_where_that_is),
		cmocka_unit_test(the_size_of_the_network_is_estimated),
		cmocka_unit_test(the_soft_limit_follows_the_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
