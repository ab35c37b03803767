/* Nodes that ended earlier lookups: found again by distance, bounded. */
#include "proto/dht/recall.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct recall recall;
static struct test_rng dice;

static struct krpc_node
node(uint32_t i)
{
	uint8_t v4[4] = { 60, (uint8_t)(i >> 8), (uint8_t)i, 1 };
	struct krpc_node n = { .at = endpoint_v4(v4, 6881) };

	rng_fill(&dice.rng, n.id.b, sizeof(n.id.b));
	return n;
}

static void
begin(uint64_t seed)
{
	memset(&recall, 0, sizeof(recall));
	test_rng_init(&dice, test_seed(seed));
}

static void
the_nearest_come_first(void **state)
{
	struct krpc_node got[8];
	struct target goal;

	(void)state;
	begin(1);
	assert_int_equal(recall_closest(&recall, &goal, got, 8), 0);
	for (uint32_t i = 0; i < 100; i++) {
		struct krpc_node n = node(i);

		recall_keep(&recall, &n, 1 + i);
	}
	for (unsigned round = 0; round < 50; round++) {
		unsigned nearer = 0;

		rng_fill(&dice.rng, goal.b, sizeof(goal.b));
		assert_int_equal(recall_closest(&recall, &goal, got, 8), 8);
		for (unsigned i = 1; i < 8; i++)
			assert_true(nodeid_compare(
			                &goal, &got[i - 1].id, &got[i].id) < 0);
		for (unsigned i = 0; i < 100; i++)
			nearer += nodeid_compare(&goal, &recall.node[i].node.id,
			              &got[7].id) < 0;
		assert_int_equal(nearer, 7);
	}
}

static void
a_node_is_kept_once_under_its_last_id(void **state)
{
	struct krpc_node a = node(1), b, got[4];

	(void)state;
	begin(2);
	recall_keep(&recall, &a, 5);
	b = node(1);
	recall_keep(&recall, &b, 6);
	assert_int_equal(recall_closest(&recall, &a.id, got, 4), 1);
	assert_true(nodeid_eq(&got[0].id, &b.id));
	recall_drop(&recall, &a.at);
	assert_int_equal(recall_closest(&recall, &a.id, got, 4), 0);
}

static void
the_one_longest_unused_goes_first(void **state)
{
	struct krpc_node first = node(0), second = node(1), got[1];

	(void)state;
	begin(3);
	first = node(0);
	second = node(1);
	recall_keep(&recall, &first, 1);
	recall_keep(&recall, &second, 2);
	recall_keep(&recall, &first, 3); /* again */
	for (uint32_t i = 2; i <= RECALL_NODES; i++) {
		struct krpc_node n = node(i);

		recall_keep(&recall, &n, 2 + i);
	}
	assert_int_equal(recall_closest(&recall, &first.id, got, 1), 1);
	assert_true(endpoint_eq(&got[0].at, &first.at));
	assert_int_equal(recall_closest(&recall, &second.id, got, 1), 1);
	assert_false(endpoint_eq(&got[0].at, &second.at));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_nearest_come_first),
		cmocka_unit_test(a_node_is_kept_once_under_its_last_id),
		cmocka_unit_test(the_one_longest_unused_goes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
