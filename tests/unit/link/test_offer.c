/* CANDIDATES: the bytes, and the way from one owner to the other. */
#include "proto/link/candidates.h"
#include "tests/support/link_raw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { VICTIM = 0, ENEMY = 1, EACH = 19, INTRODUCER = 58 };

static struct link_candidates
some(uint8_t n)
{
	struct link_candidates c = {
		.class = NAT_SEQUENTIAL,
		.lo = 0x1234,
		.hi = 0xfedc,
		.step = -3,
		.wants_answer = true,
		.n = n,
	};

	for (uint8_t i = 0; i < n; i++) {
		const uint8_t v4[4] = { 203, 0, 113, i };

		c.endpoint[i] = endpoint_v4(v4, (uint16_t)(4000 + i));
		if (i % 2 == 0)
			continue;
		memset(c.endpoint[i].addr, 0, 16);
		c.endpoint[i].addr[0] = 0x20;
		c.endpoint[i].addr[15] = i;
	}
	c.n_introducers = n < CELL_INTRODUCERS_MAX ? n : CELL_INTRODUCERS_MAX;
	for (uint8_t i = 0; i < c.n_introducers; i++) {
		struct cell_introducer *t = &c.introducers[i];
		const uint8_t v4[4] = { 198, 51, 100, i };

		t->at = endpoint_v4(v4, (uint16_t)(5000 + i));
		memset(t->n.b, 0xa0 + i, sizeof(t->n.b));
		memset(t->handle, 0xb0 + i, sizeof(t->handle));
	}
	return c;
}

static void
equal(const struct link_candidates *a, const struct link_candidates *b)
{
	assert_int_equal(a->class, b->class);
	assert_int_equal(a->lo, b->lo);
	assert_int_equal(a->hi, b->hi);
	assert_int_equal(a->step, b->step);
	assert_int_equal(a->wants_answer, b->wants_answer);
	assert_int_equal(a->n, b->n);
	for (uint8_t i = 0; i < a->n; i++)
		assert_true(endpoint_eq(&a->endpoint[i], &b->endpoint[i]));
	assert_int_equal(a->n_introducers, b->n_introducers);
	for (uint8_t i = 0; i < a->n_introducers; i++)
		assert_memory_equal(&a->introducers[i], &b->introducers[i],
		    sizeof(a->introducers[i]));
}

/* ---- bytes ---- */

static void
fields_stand_where_the_page_says(void **state)
{
	static const uint8_t head[] = { 4, 0x12, 0x34, 0xfe, 0xdc, 0xff, 0xfd,
		1, 2, 2, 4, 0, 0 };
	struct link_candidates in = some(2), out;
	uint8_t b[FRAME_CANDIDATES_SIZE + 5] = { 0 };
	size_t n = candidates_encode(&in, b);

	(void)state;
	assert_int_equal(n, FRAME_CANDIDATES_MIN + 2 * (EACH + INTRODUCER));
	assert_memory_equal(b, head, sizeof(head));
	assert_int_equal(b[FRAME_CANDIDATES_MIN + 17], 4000 >> 8);
	assert_int_equal(b[FRAME_CANDIDATES_MIN + 18], 4000 & 0xff);
	assert_int_equal(b[FRAME_CANDIDATES_MIN + EACH], 6);
	assert_int_equal(candidates_decode(span_of(b, n), &out), ERR_OK);
	equal(&in, &out);
	/* Longer than we know it. */
	assert_int_equal(candidates_decode(span_of(b, n + 5), &out), ERR_OK);
	equal(&in, &out);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(
		    candidates_decode(span_of(b, cut), &out), ERR_MALFORMED);
}

static void
what_is_unknown_is_skipped(void **state)
{
	struct link_candidates in = some(3), out;
	uint8_t b[FRAME_CANDIDATES_SIZE];
	size_t n = candidates_encode(&in, b);

	(void)state;
	b[0] = NAT_CLASSES;
	b[7] |= 0xfe;
	b[FRAME_CANDIDATES_MIN] = 9;        /* a kind of later */
	b[FRAME_CANDIDATES_MIN + EACH] = 4; /* holds IPv6 */
	assert_int_equal(candidates_decode(span_of(b, n), &out), ERR_OK);
	assert_int_equal(out.class, NAT_UNKNOWN);
	assert_true(out.wants_answer);
	assert_int_equal(out.n, 1);
	assert_true(endpoint_eq(&out.endpoint[0], &in.endpoint[2]));
	b[8] = LINK_CANDIDATES_MAX + 1;
	assert_int_equal(candidates_decode(span_of(b, n), &out), ERR_MALFORMED);
}

/* ---- links ---- */

static void
befriend_up(struct wire *w, uint64_t seed)
{
	wire_init(w, test_seed(seed), 2);
	wire_befriend(w, 0, 1);
	wire_connect(w, 0, 1);
	assert_true(wire_until(w, wire_both_up, 5000));
	wire_run(w, 5000);
}

static void
offer(struct wire *w, unsigned a, const struct link_candidates *c)
{
	assert_int_equal(links_offer(w->node[a].links, 1 - a, c), ERR_OK);
	links_flush(w->node[a].links, wire_now(w, a));
	wire_drain(w, a);
}

static bool
lo_is_9(const struct wire *w)
{
	return w->node[1].offer.lo == 9;
}

static void
the_newest_offer_arrives_whatever_is_lost(void **state)
{
	static struct wire w;

	(void)state;
	for (unsigned i = 0; i < 30; i++) {
		struct link_candidates c = some(8);

		befriend_up(&w, i);
		w.loss = 40;
		for (uint16_t k = 1; k <= 9; k++) {
			c.lo = k;
			offer(&w, 0, &c);
			wire_run(&w, rng_below(&w.rng.rng, 300));
		}
		assert_true(wire_until(&w, lo_is_9, 60000));
		equal(&c, &w.node[1].offer);
		/* And it stays the newest. */
		wire_run(&w, 10000);
		assert_int_equal(w.node[1].offer.lo, 9);
		wire_clear(&w);
	}
}

static bool
has_offer(const struct wire *w)
{
	return w->node[1].offers[0] > 0;
}

/* Long before a loss is noticed; and its owner hears of it once. */
static void
a_copy_makes_good_for_a_loss(void **state)
{
	static struct wire w;
	uint64_t sooner;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		struct link_candidates c = some(3);

		befriend_up(&w, i);
		offer(&w, 0, &c);
		assert_true(wire_until(&w, has_offer, 5000));
		wire_run(&w, 5000);
		assert_int_equal(w.node[1].offers[0], 1);
		c.lo++;
		w.node[1].offers[0] = 0;
		w.loss = 100;
		offer(&w, 0, &c);
		w.loss = 0;
		sooner = w.now.mono_ms;
		assert_true(wire_until(&w, has_offer, 5000));
		assert_in_range(
		    w.now.mono_ms - sooner, 0, 20 + w.delay_ms + w.jitter_ms);
		wire_run(&w, 5000);
		assert_int_equal(w.node[1].offers[0], 1);
		wire_clear(&w);
	}
}

static void
an_offer_needs_a_link(void **state)
{
	struct link_candidates c = some(1);
	static struct wire w;

	(void)state;
	wire_init(&w, test_seed(1), 2);
	wire_befriend(&w, 0, 1);
	assert_int_equal(links_offer(w.node[0].links, 1, &c), ERR_STATE);
	assert_int_equal(links_offer(w.node[0].links, 7, &c), ERR_STATE);
	wire_clear(&w);
}

/* ---- hostile ---- */

static void
raw_offer(struct raw *r, const struct link_candidates *c)
{
	uint8_t body[FRAME_CANDIDATES_SIZE], b[2 * FRAME_CANDIDATES_SIZE];
	struct writer w = wr_init(b, sizeof(b));

	frame_write_candidates(&w, span_of(body, candidates_encode(c, body)));
	assert_false(w.bad);
	raw_send(r, wr_span_of(&w));
}

static void
start(struct wire *w, struct raw *r)
{
	wire_init(w, test_seed(1), 3);
	wire_befriend(w, VICTIM, ENEMY);
	raw_init(r, w, ENEMY, VICTIM);
	assert_true(raw_up(r));
}

static void
a_flood_of_offers_moves_the_owner_once_a_second(void **state)
{
	struct link_candidates c = some(8);
	static struct wire w;
	struct raw r;

	(void)state;
	start(&w, &r);
	for (unsigned i = 0; i < 5000; i++) {
		c.hi = (uint16_t)i;
		raw_offer(&r, &c);
		wire_run(&w, 1);
	}
	printf("5000 offers in 5 s: %u taken\n", w.node[VICTIM].offers[ENEMY]);
	assert_true(w.node[VICTIM].offers[ENEMY] <= 6);
	wire_run(&w, 1000);
	assert_int_equal(w.node[VICTIM].offer.hi, 4999);
	assert_true(w.node[VICTIM].up[ENEMY]);
	/* Nothing is sent to where it points. */
	assert_true(endpoint_eq(&r.last_to, &r.at));
	raw_clear(&r);
	wire_clear(&w);
}

static void
hostile_addresses_do_not_reach_the_owner(void **state)
{
	static const uint8_t hostile[][4] = { { 224, 0, 0, 1 },
		{ 255, 255, 255, 255 }, { 0, 1, 2, 3 }, { 127, 0, 0, 1 },
		{ 192, 168, 1, 1 } };
	static const uint8_t good[4] = { 203, 0, 113, 5 };
	struct link_candidates c = { .n = 8 };
	static struct wire w;
	struct raw r;

	(void)state;
	start(&w, &r);
	for (uint8_t i = 0; i < 5; i++)
		c.endpoint[i] = endpoint_v4(hostile[i], 5000);
	c.endpoint[5] = endpoint_route(1);
	c.endpoint[6] = w.node[VICTIM].at; /* its own */
	c.endpoint[7] = endpoint_v4(good, 53);
	raw_offer(&r, &c);
	assert_int_equal(w.node[VICTIM].offers[ENEMY], 1);
	assert_int_equal(w.node[VICTIM].offer.n, 0);
	wire_run(&w, 2000);
	c.endpoint[7].port = 443;
	raw_offer(&r, &c);
	assert_int_equal(w.node[VICTIM].offers[ENEMY], 2);
	assert_int_equal(w.node[VICTIM].offer.n, 1);
	assert_true(
	    endpoint_eq(&w.node[VICTIM].offer.endpoint[0], &c.endpoint[7]));
	raw_clear(&r);
	wire_clear(&w);
}

static void
malformed_offers_close(void **state)
{
	/* Too short; past the end; more than eight; eight said, none there. */
	static const uint8_t bad[][12] = { { 0x3c, 8 }, { 0x3c, 63 },
		{ 0x3c, 9, 0, 0, 0, 0, 0, 0, 0, 0, 9 },
		{ 0x3c, 9, 0, 0, 0, 0, 0, 0, 0, 0, 8 } };
	static struct wire w;
	struct raw r;
	uint64_t code = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start(&w, &r);
		raw_send(&r, span_of(bad[i], sizeof(bad[i])));
		assert_true(raw_closed(&r, &code));
		assert_int_equal(code, CLOSE_FRAME_ENCODING);
		assert_int_equal(w.node[VICTIM].offers[ENEMY], 0);
		raw_clear(&r);
		wire_clear(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_stand_where_the_page_says),
		cmocka_unit_test(what_is_unknown_is_skipped),
		cmocka_unit_test(the_newest_offer_arrives_whatever_is_lost),
		cmocka_unit_test(a_copy_makes_good_for_a_loss),
		cmocka_unit_test(an_offer_needs_a_link),
		cmocka_unit_test(
		    a_flood_of_offers_moves_the_owner_once_a_second),
		cmocka_unit_test(hostile_addresses_do_not_reach_the_owner),
		cmocka_unit_test(malformed_offers_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
