/* Routes with room: where a link is while there is no direct path. */
#include "tests/support/link_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { POOR = 0, ROOMY, KEPT_MAX = 4096 };

static uint64_t first_seed;

/* Nothing passes but by an introducer, and by a relay that is slower. */
static void
start(struct wire *w, uint64_t seed)
{
	wire_init(w, first_seed + seed, 2);
	wire_befriend(w, 0, 1);
	w->cut_direct = true;
	wire_add_route(w, 0, 1, 20);
	wire_add_relay(w, 0, 1, 60);
}

static void
meet(struct wire *w)
{
	wire_connect(w, 0, 1);
	assert_true(wire_until(w, wire_both_up, 2000));
	wire_run(w, 1000);
}

static bool
is_at(const struct wire *w, unsigned a, unsigned route)
{
	struct link_info info;

	assert_true(links_info(w->node[a].links, 1 - a, &info));
	return info.up && (endpoint_eq(&info.path, &w->route[route].end[0]) ||
	                      endpoint_eq(&info.path, &w->route[route].end[1]));
}

static bool
both_at_the_relay(const struct wire *w)
{
	return is_at(w, 0, ROOMY) && is_at(w, 1, ROOMY);
}

static void
probe(struct wire *w, unsigned a, const struct endpoint *to)
{
	links_probe(w->node[a].links, 1 - a, to, 0, wire_now(w, a));
	wire_drain(w, a);
}

static void
probe_relay(struct wire *w, unsigned a)
{
	probe(w, a, &w->route[ROOMY].end[0]);
	probe(w, a, &w->route[ROOMY].end[1]);
}

static void
send_bulk(struct wire *w, size_t n)
{
	assert_int_equal(links_bulk_open(w->node[1].links, 0), ERR_OK);
	wire_write(w, 1, 0, 10);
	wire_run(w, 1000);
	wire_write_bulk(w, 0, 1, n);
}

/* One of the two asks; both go there, bulk with them, and on to the direct path
 * as soon as there is one. */
static void
a_link_leaves_a_poor_route_for_one_with_room(void **state)
{
	(void)state;
	for (unsigned who = 0; who < 2; who++) {
		struct wire w;

		start(&w, who);
		meet(&w);
		assert_true(is_at(&w, 0, POOR) && is_at(&w, 1, POOR));
		send_bulk(&w, 100000);
		wire_run(&w, 5000);
		assert_int_equal(w.node[1].bulk_read[0], 0);
		probe_relay(&w, who);
		assert_true(wire_until(&w, both_at_the_relay, 2000));
		wire_write(&w, 0, 1, 20000);
		wire_write(&w, 1, 0, 20000);
		assert_true(wire_until(&w, wire_all_read, 20000));
		assert_int_equal(w.node[1].bulk_read[0], 100000);
		/* Nothing leads back. */
		probe(&w, who, &w.route[POOR].end[0]);
		probe(&w, who, &w.route[POOR].end[1]);
		wire_run(&w, 30000);
		assert_true(both_at_the_relay(&w));
		w.cut_direct = false;
		probe(&w, who, &w.node[1 - who].at);
		wire_run(&w, 2000);
		assert_false(is_at(&w, 0, ROOMY) || is_at(&w, 1, ROOMY));
		assert_false(is_at(&w, 0, POOR) || is_at(&w, 1, POOR));
		assert_int_equal(w.node[0].downs[1] + w.node[1].downs[0], 0);
		wire_clear(&w);
	}
}

/* The relay goes away, and comes back. */
static void
a_relay_that_falls_silent_is_left(void **state)
{
	struct wire w;

	(void)state;
	start(&w, 7);
	meet(&w);
	probe_relay(&w, 0);
	assert_true(wire_until(&w, both_at_the_relay, 2000));
	w.route[ROOMY].cut = true;
	wire_write(&w, 0, 1, 20000);
	wire_write(&w, 1, 0, 20000);
	assert_true(wire_until(&w, wire_all_read, 15000));
	assert_true(is_at(&w, 0, POOR) && is_at(&w, 1, POOR));
	w.route[ROOMY].cut = false;
	probe_relay(&w, 1);
	assert_true(wire_until(&w, both_at_the_relay, 2000));
	assert_int_equal(w.node[0].downs[1] + w.node[1].downs[0], 0);
	wire_clear(&w);
}

/* ---- a relay that is not what he promised ---- */

struct keeper {
	struct wire_datagram kept[KEPT_MAX];
	size_t n;
	bool mute; /* while it is he who puts something on the wire */
};

/* He keeps all that he passes. */
static bool
keep(struct wire *w, struct wire_datagram *d)
{
	struct keeper *k = w->tap_ctx;

	if (!k->mute && k->n < KEPT_MAX && endpoint_is_route(&d->to, NULL))
		k->kept[k->n++] = *d;
	return true;
}

/* Says again what he kept, in any order and to either end, and rubbish. */
static void
flood(struct wire *w, struct keeper *k, unsigned count)
{
	uint8_t junk[256];

	k->mute = true;
	for (unsigned i = 0; i < count && k->n > 0; i++) {
		const struct wire_datagram *d =
		    &k->kept[rng_below(&w->rng.rng, (uint32_t)k->n)];
		bool swapped = rng_below(&w->rng.rng, 4) == 0;

		wire_send(w, swapped ? &d->to : &d->from,
		    swapped ? &d->from : &d->to, span_of(d->b, d->n));
		rng_fill(&w->rng.rng, junk, sizeof(junk));
		junk[0] = 'x';
		wire_send(w, &d->from, &d->to,
		    span_of(junk, 56 + rng_below(&w->rng.rng, 200)));
	}
	k->mute = false;
}

/* Hostile input 94: he loses, repeats and reorders, and floods both with what
 * he has and with rubbish. No word is lost, shown twice or changed (the wire
 * compares every byte), no link ends, and he gets nothing else out of it. */
static void
hostile_94_a_relay_drops_repeats_reorders_and_floods(void **state)
{
	static struct keeper k;
	struct wire w;

	(void)state;
	start(&w, 11);
	memset(&k, 0, sizeof(k));
	w.tap = keep;
	w.tap_ctx = &k;
	w.route[POOR].cut = true;
	wire_connect(&w, 0, 1);
	assert_true(wire_until(&w, wire_both_up, 5000));
	assert_true(both_at_the_relay(&w));
	w.loss = 10;
	w.copy = 30;
	w.jitter_ms = 100;
	send_bulk(&w, 50000);
	for (unsigned i = 0; i < 30; i++) {
		wire_write(&w, i % 2, 1 - i % 2, 1000);
		flood(&w, &k, 100);
		wire_run(&w, 1000);
	}
	w.loss = 0;
	assert_true(wire_until(&w, wire_all_read, 60000));
	assert_int_equal(w.node[1].bulk_read[0], 50000);
	assert_int_equal(w.node[0].downs[1] + w.node[1].downs[0], 0);
	assert_int_equal(w.node[0].ups[1], 1);
	assert_int_equal(w.node[1].ups[0], 1);
	assert_int_equal(w.node[0].refused[1] + w.node[1].refused[0], 0);
	wire_clear(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_link_leaves_a_poor_route_for_one_with_room),
		cmocka_unit_test(a_relay_that_falls_silent_is_left),
		cmocka_unit_test(
		    hostile_94_a_relay_drops_repeats_reorders_and_floods),
	};

	first_seed = test_seed(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
