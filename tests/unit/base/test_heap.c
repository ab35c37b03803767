/* The heap against a look through all nodes. */
#include "proto/base/heap.h"

#include "proto/base/env.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NODES = 120, STEPS = 40000 };

static uint64_t
first_of(const struct heap_node *nodes)
{
	uint64_t first = NEVER;

	for (int i = 0; i < NODES; i++) {
		if (nodes[i].pos > 0 && nodes[i].at_ms < first)
			first = nodes[i].at_ms;
	}
	return first;
}

static void
the_top_is_always_the_first(void **state)
{
	static struct heap_node nodes[NODES];
	struct heap h = { 0 };
	struct test_rng t;

	(void)state;
	test_rng_init(&t, test_seed(31));
	for (int i = 0; i < STEPS; i++) {
		struct heap_node *node = &nodes[rng_below(&t.rng, NODES)];
		const struct heap_node *top;
		uint32_t what = rng_below(&t.rng, 4);

		if (what == 0)
			heap_remove(&h, node);
		else
			assert_int_equal(
			    heap_set(&h, node,
			        what == 1 ? NEVER : rng_below(&t.rng, 50)),
			    ERR_OK);
		top = heap_top(&h);
		assert_true((top ? top->at_ms : NEVER) == first_of(nodes));
	}
	heap_clear(&h);
}

static void
nodes_come_out_in_order(void **state)
{
	static struct heap_node nodes[NODES];
	struct heap h = { 0 };
	struct test_rng t;
	uint64_t last = 0;
	struct heap_node *top;
	int n = 0;

	(void)state;
	test_rng_init(&t, test_seed(32));
	for (int i = 0; i < NODES; i++)
		assert_int_equal(
		    heap_set(&h, &nodes[i], rng_below(&t.rng, 1000)), ERR_OK);
	while ((top = heap_top(&h))) {
		assert_true(top->at_ms >= last);
		last = top->at_ms;
		heap_remove(&h, top);
		assert_int_equal(top->pos, 0);
		n++;
	}
	assert_int_equal(n, NODES);
	heap_clear(&h);
}

static void
room_made_before_is_kept(void **state)
{
	struct heap h = { 0 };
	struct heap_node node = { 0 };
	struct heap_node **nodes;

	(void)state;
	assert_null(heap_top(&h));
	assert_int_equal(heap_reserve(&h, 100), ERR_OK);
	assert_true(h.cap >= 100);
	nodes = h.nodes;
	assert_int_equal(heap_set(&h, &node, 5), ERR_OK);
	assert_ptr_equal(h.nodes, nodes);
	assert_int_equal(heap_reserve(&h, SIZE_MAX), ERR_NOMEM);
	assert_ptr_equal(heap_top(&h), &node);
	heap_remove(&h, &node);
	heap_remove(&h, &node); /* not in it: nothing happens */
	heap_clear(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_top_is_always_the_first),
		cmocka_unit_test(nodes_come_out_in_order),
		cmocka_unit_test(room_made_before_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
