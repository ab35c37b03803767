/* Whole links on a wire: sizes of datagrams, acknowledgements, what goes
 * first. The oracle of the wire sees to it that no byte is lost, doubled or
 * out of order. */
#include "tests/support/link_wire.h"

#include "proto/link/mtu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* What passes, and what was seen. */
struct path {
	unsigned takes; /* bytes of UDP payload */
	unsigned largest;
	unsigned from[2]; /* datagrams of each node */
};

static bool
narrow(struct wire *w, struct wire_datagram *d)
{
	struct path *p = w->tap_ctx;

	p->from[!endpoint_eq(&d->from, &w->node[0].at)]++;
	if (d->n > p->takes)
		return false;
	if (d->n > p->largest)
		p->largest = d->n;
	return true;
}

static void
setup(struct wire *w, struct path *p, uint64_t seed)
{
	printf("seed %u\n", (unsigned)seed);
	wire_init(w, seed, 2);
	wire_befriend(w, 0, 1);
	w->tap = narrow;
	w->tap_ctx = p;
	wire_connect(w, 0, 1);
	assert_true(wire_until(w, wire_both_up, 5000));
}

/* Writes n bytes as fast as the link takes them. */
static void
pour(struct wire *w, size_t n)
{
	struct wire_node *x = &w->node[0];
	uint64_t end = x->written[1] + n;

	for (unsigned i = 0; i < 3000 && x->written[1] < end; i++) {
		wire_write(w, 0, 1, (size_t)(end - x->written[1]));
		wire_run(w, 10);
	}
	assert_int_equal(x->written[1], end);
	assert_true(wire_until(w, wire_all_read, 60000));
	assert_int_equal(x->downs[1], 0);
}

static void
a_transfer_finds_the_size_of_the_path(void **state)
{
	static const unsigned takes[] = { 1232, 1400, 1452, 1500 };
	static const unsigned finds[] = { 1232, 1372, 1452, 1472 };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct path p = { .takes = takes[i] };
		struct wire w;

		setup(&w, &p, i + 1);
		pour(&w, 2000);
		assert_true(p.largest <= MTU_BASE); /* talk shows nothing */
		pour(&w, 2000000);
		assert_int_equal(p.largest, finds[i]);
		wire_clear(&w);
	}
}

static void
hostile_20_a_path_that_shrinks_holds_the_link(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 5; seed++) {
		struct path p = { .takes = 1500 };
		struct wire w;

		setup(&w, &p, seed);
		w.loss = 2;
		pour(&w, 400000);
		assert_int_equal(p.largest, MTU_MAX);
		p.takes = 1232;
		pour(&w, 400000);
		wire_clear(&w);
	}
}

static void
a_transfer_is_acknowledged_seldom(void **state)
{
	struct path p = { .takes = 1232 };
	struct wire w;
	unsigned n;

	(void)state;
	setup(&w, &p, 7);
	pour(&w, 400000);
	p.from[0] = p.from[1] = 0;
	pour(&w, 1000000);
	n = p.from[0];
	printf("%u datagrams, %u back\n", n, p.from[1]);
	assert_true(n > 1000000 / 1232 && p.from[1] < n / 4);
	wire_clear(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_transfer_finds_the_size_of_the_path),
		cmocka_unit_test(hostile_20_a_path_that_shrinks_holds_the_link),
		cmocka_unit_test(a_transfer_is_acknowledged_seldom),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
