/* Routes, moves, and what is lost on the way: nothing. Stalls are measured on
 * virtual time. */
#include "tests/support/link_raw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
start(struct wire *w, uint64_t seed)
{
	wire_init(w, test_seed(1) + seed, 2);
	wire_befriend(w, 0, 1);
}

static bool
on_route(const struct wire *w, unsigned a)
{
	struct link_info info;

	assert_true(links_info(w->node[a].links, 1 - a, &info));
	assert_true(info.up);
	return info.route;
}

static void
probe(struct wire *w, unsigned a, const struct endpoint *to)
{
	links_probe(w->node[a].links, 1 - a, to, 0, wire_now(w, a));
	wire_drain(w, a);
}

static void
a_link_comes_up_on_a_route(void **state)
{
	struct wire w;

	(void)state;
	for (unsigned who = 0; who < 2; who++) {
		start(&w, who);
		w.cut_direct = true;
		wire_add_route(&w, 0, 1, 50);
		links_connect(
		    w.node[who].links, 1 - who, NULL, 0, wire_now(&w, who));
		wire_drain(&w, who);
		assert_true(wire_until(&w, wire_both_up, 1000));
		assert_true(on_route(&w, 0) && on_route(&w, 1));
		wire_write(&w, 0, 1, 100000);
		wire_write(&w, 1, 0, 100000);
		assert_true(wire_until(&w, wire_all_read, 20000));
		/* It punches: both move, nothing is lost. */
		w.cut_direct = false;
		wire_write(&w, 0, 1, 100000);
		wire_write(&w, 1, 0, 100000);
		probe(&w, who, &w.node[1 - who].at);
		assert_true(wire_until(&w, wire_all_read, 20000));
		assert_false(on_route(&w, 0) || on_route(&w, 1));
		wire_run(&w, 60000);
		assert_int_equal(w.node[0].downs[1] + w.node[1].downs[0], 0);
		assert_int_equal(w.node[0].paths[1], 1);
		assert_int_equal(w.node[1].paths[0], 1);
		wire_clear(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_link_comes_up_on_a_route),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
