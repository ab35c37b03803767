/*
 * Words that leave with the initiator's first packet, before the other's HELLO
 * has come: they arrive after one and a half round trips, once, whatever
 * becomes of the handshake. The wire checks every byte.
 */
#include "proto/link/link.h"
#include "proto/link/packet.h"
#include "tests/support/link_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS = 700, ONE_WAY_MS = 40 };

static uint64_t
seed_of(uint64_t otherwise)
{
	static uint64_t seed;

	if (seed == 0)
		seed = test_seed(otherwise);
	return seed;
}

static void
start(struct wire *w, uint64_t seed)
{
	wire_init(w, seed, 2);
	wire_befriend(w, 0, 1);
	w->early = WORDS;
}

static bool
words_are_there(const struct wire *w)
{
	return w->node[1].read[0] >= WORDS;
}

static void
words_take_one_and_a_half_round_trips(void **state)
{
	struct wire w;

	(void)state;
	start(&w, seed_of(1));
	w.delay_ms = ONE_WAY_MS;
	wire_connect(&w, 0, 1);
	assert_true(wire_until(&w, words_are_there, 3 * ONE_WAY_MS));
	assert_int_equal(w.node[0].earlies[1], 1);
	assert_int_equal(w.node[1].earlies[0], 0); /* he was called */
	assert_false(w.node[0].up[1]);             /* that takes two */
	assert_true(wire_until(&w, wire_all_read, ONE_WAY_MS));
	wire_clear(&w);
}

/* Message 1 is repeated long before the answer can be there; that must not
 * spoil the session of the first one. */
static void
words_need_no_more_where_the_way_is_long(void **state)
{
	static const uint64_t one_way_ms[] = { 90, 130, 250, 400, 490 };

	(void)state;
	for (size_t i = 0; i < sizeof(one_way_ms) / sizeof(one_way_ms[0]);
	     i++) {
		struct wire w;

		start(&w, seed_of(1) + i);
		w.delay_ms = one_way_ms[i];
		wire_connect(&w, 0, 1);
		assert_true(wire_until(&w, words_are_there, 3 * one_way_ms[i]));
		assert_true(wire_until(&w, wire_all_read, one_way_ms[i]));
		assert_int_equal(w.node[0].downs[1], 0);
		wire_clear(&w);
	}
}

/* The answer is lost: the next message 1 brings it once more. */
static bool
tap_first_answer(struct wire *w, struct wire_datagram *d)
{
	unsigned *lost = w->tap_ctx;

	if (*lost > 0 || !endpoint_eq(&d->from, &w->node[1].at))
		return true;
	(*lost)++;
	return false;
}

static void
an_answer_that_was_lost_comes_again(void **state)
{
	unsigned lost = 0;
	struct wire w;

	(void)state;
	start(&w, seed_of(1));
	w.delay_ms = ONE_WAY_MS;
	w.tap = tap_first_answer;
	w.tap_ctx = &lost;
	wire_connect(&w, 0, 1);
	assert_true(wire_until(&w, words_are_there, 250 + 3 * ONE_WAY_MS));
	assert_int_equal(lost, 1);
	assert_true(wire_until(&w, wire_all_read, ONE_WAY_MS));
	wire_clear(&w);
}

/* Who has forgotten all of it, and calls again at once, is answered anew. */
static void
a_caller_who_starts_again_gets_another_answer(void **state)
{
	struct wire w;

	(void)state;
	start(&w, seed_of(1));
	w.delay_ms = ONE_WAY_MS;
	wire_connect(&w, 0, 1);
	wire_run(&w, ONE_WAY_MS + 1); /* half open there */
	wire_crash(&w, 0);
	wire_restart(&w, 0);
	wire_connect(&w, 0, 1);
	assert_true(wire_until(&w, wire_all_read, 6000));
	wire_clear(&w);
}

/* On a bad wire, from both sides, with crashes of either in between. */
static void
nothing_is_lost_or_doubled(void **state)
{
	unsigned rounds = test_rounds(300), early = 0;

	(void)state;
	for (unsigned i = 0; i < rounds; i++) {
		struct wire w;
		uint32_t when;

		start(&w, seed_of(1) + i);
		w.delay_ms = 1 + i % ONE_WAY_MS;
		w.loss = i % 31;
		w.copy = i % 11;
		w.jitter_ms = i % 5 * 20;
		when = 1 + (uint32_t)(5 * w.delay_ms);
		for (unsigned k = 0; k < 8 && !wire_both_up(&w); k++) {
			wire_connect(&w, i % 2, 1 - i % 2);
			if (i % 3 == 0)
				wire_connect(&w, 1 - i % 2, i % 2);
			wire_run(&w, rng_below(&w.rng.rng, when));
			if (k < 3 && i % 4 == 1) {
				wire_crash(&w, k % 2);
				wire_restart(&w, k % 2);
				continue;
			}
			(void)wire_until(&w, wire_both_up, 6000);
			if (!wire_both_up(&w)) /* budget of an address */
				wire_run(&w, 600000);
		}
		if (!wire_until(&w, wire_all_read, 60000)) {
			print_message("round %u\n", i);
			fail();
		}
		early += w.node[0].earlies[1];
		early += w.node[1].earlies[0];
		wire_clear(&w);
	}
	assert_true(early >= rounds);
}

/* ---- what was said to another ---- */

/* Both call or one; time passes, and perhaps one forgets all of it. */
static void
meet_and_crash(struct wire *w, uint32_t ms)
{
	unsigned a = rng_below(&w->rng.rng, 2);

	wire_connect(w, a, 1 - a);
	if (rng_below(&w->rng.rng, 2) == 0)
		wire_connect(w, 1 - a, a);
	wire_run(w, rng_below(&w->rng.rng, ms));
	if (rng_below(&w->rng.rng, 2) == 0)
		return;
	a = rng_below(&w->rng.rng, 2);
	wire_crash(w, a);
	wire_restart(w, a);
}

static bool
talk(struct wire *w)
{
	for (unsigned k = 0; k < 3 && !wire_both_up(w); k++) {
		wire_run(w, 600000); /* budget of an address */
		wire_connect(w, 0, 1);
		(void)wire_until(w, wire_both_up, 6000);
	}
	if (!wire_both_up(w))
		return false;
	wire_write(w, 0, 1, 2 * WORDS);
	wire_write(w, 1, 0, 2 * WORDS);
	return wire_until(w, wire_all_read, 60000);
}

/* Datagrams that come seconds late, among crashes: what was said to a link or
 * by a process that is no more is not taken for what is said in this one. */
static void
nothing_late_meets_another_link(void **state)
{
	unsigned rounds = test_rounds(1200);

	(void)state;
	for (unsigned i = 0; i < rounds; i++) {
		struct wire w;

		start(&w, seed_of(1) + i);
		w.delay_ms = 1 + i % ONE_WAY_MS;
		w.loss = i % 13;
		w.late = 20;
		w.late_ms = 9500;
		for (unsigned k = 0; k < 6; k++)
			meet_and_crash(
			    &w, k % 2 ? 2000 : (uint32_t)(6 * w.delay_ms));
		w.late = 0;
		w.loss = 0;
		wire_run(&w, 90000);
		if (!talk(&w))
			fail_msg("round %u", i);
		wire_clear(&w);
	}
}

/* What is longer than a handshake and a bare ACK, of node 1: held back. */
struct hold {
	bool on;
	struct wire_datagram first;
};

static bool
tap_hold(struct wire *w, struct wire_datagram *d)
{
	struct hold *h = w->tap_ctx;

	if (!h->on || !endpoint_eq(&d->from, &w->node[1].at) ||
	    d->n <= PACKET_MESSAGE_1_SIZE)
		return true;
	if (h->first.n == 0)
		h->first = *d;
	return false;
}

static void
start_holding(struct wire *w, struct hold *h)
{
	*h = (struct hold){ .on = true };
	start(w, seed_of(1));
	w->tap = tap_hold;
	w->tap_ctx = h;
}

static void
crash_and_restart(struct wire *w)
{
	wire_crash(w, 1);
	wire_restart(w, 1);
}

static void
let_it_come(struct wire *w, const struct hold *h)
{
	assert_true(h->first.n > 0);
	wire_inject(w, 0, &h->first.from, span_of(h->first.b, h->first.n));
}

/* Node 1 is another process now, and nothing is held back: `who` calls. */
static void
meet_the_next_process(struct wire *w, struct hold *h, unsigned who)
{
	crash_and_restart(w);
	h->on = false;
	wire_connect(w, who, 1 - who);
	assert_true(wire_until(w, wire_both_up, 2000));
	assert_true(talk(w));
}

/* The first words of a process that has died come after its next one has made
 * a link, which goes on. */
static void
a_late_hello_ends_no_younger_link(void **state)
{
	static struct hold h;
	struct wire w;

	(void)state;
	start_holding(&w, &h);
	wire_connect(&w, 1, 0);
	wire_run(&w, 40);
	meet_the_next_process(&w, &h, 0);
	let_it_come(&w, &h);
	assert_true(talk(&w));
	assert_int_equal(w.node[0].ups[1], 1);
	assert_int_equal(w.node[0].downs[1], 0);
	wire_clear(&w);
}

/* A process takes the first words and acknowledges them, and dies before we
 * hear its HELLO: the next one must get them, too. */
static void
words_that_a_dead_process_took_are_said_again(void **state)
{
	static struct hold h;
	struct wire w;

	(void)state;
	start_holding(&w, &h);
	w.early = 4 * WORDS;
	wire_connect(&w, 0, 1);
	wire_run(&w, 70);
	assert_int_equal(w.node[1].read[0], 4 * WORDS);
	assert_false(w.node[0].up[1]);
	meet_the_next_process(&w, &h, 1);
	wire_clear(&w);
}

/* Who acknowledges words and never says who he is gets them once or twice. */
static void
words_are_not_repeated_to_who_hides(void **state)
{
	static struct hold h;
	struct wire w;

	(void)state;
	start_holding(&w, &h);
	w.early = 100 * WORDS;
	wire_connect(&w, 0, 1);
	wire_run(&w, 9000);
	assert_int_equal(w.node[1].read[0], 100 * WORDS);
	assert_false(w.node[0].up[1]);
	assert_true(w.node[0].sent_bytes < 3 * 100 * WORDS);
	wire_clear(&w);
}

/* First words are on their way to one process when the HELLO of the one before
 * comes: a link is up, but the words are not its own. */
static void
a_late_hello_mixes_no_words(void **state)
{
	static struct hold h;
	struct wire w;

	(void)state;
	start_holding(&w, &h);
	wire_connect(&w, 1, 0);
	wire_run(&w, 40);
	crash_and_restart(&w);
	wire_connect(&w, 0, 1);
	assert_true(wire_until(&w, words_are_there, 2000));
	assert_false(w.node[0].up[1]);
	let_it_come(&w, &h);
	assert_int_equal(w.node[0].ups[1], 1);
	h.on = false;
	wire_run(&w, 5000);
	assert_true(talk(&w));
	wire_clear(&w);
}

/* Under the keys of a process that has died nobody answers, beside a link that
 * lives: they cost little, and no word waits for that. */
static void
a_session_of_the_dead_costs_the_living_nothing(void **state)
{
	uint64_t sent, at_ms;
	struct wire w;

	(void)state;
	start(&w, seed_of(1));
	wire_connect(&w, 0, 1);
	wire_run(&w, 25); /* message 2 has come, HELLO is on its way */
	crash_and_restart(&w);
	wire_connect(&w, 1, 0);
	assert_true(wire_until(&w, wire_both_up, 3000));
	sent = w.node[0].sent;
	wire_run(&w, 8000);
	assert_true(w.node[0].sent - sent < 60);
	at_ms = w.now.mono_ms;
	assert_true(talk(&w));
	assert_true(w.now.mono_ms - at_ms < 1000);
	wire_clear(&w);
}

/* Whoever it is that answers, words go only to him whose S we know. */
static void
words_need_a_known_key(void **state)
{
	struct link_peer cfg;
	struct wire w;

	(void)state;
	start(&w, seed_of(1));
	cfg = wire_contact(&w, 0, 1);
	cfg.n_s = 0;
	wire_set_peer(&w, 0, 1, &cfg);
	wire_connect(&w, 1, 0); /* by the rid of rk0 */
	assert_true(wire_until(&w, wire_both_up, 5000));
	assert_int_equal(w.node[0].earlies[1], 0);
	assert_int_equal(w.node[1].earlies[0], 1);
	assert_true(wire_until(&w, wire_all_read, 5000));
	wire_clear(&w);
}

/* The ratchet was lost: whoever stole it might stand behind the answer, so
 * nothing leaves before both have said so. */
static void
no_words_under_a_fallback(void **state)
{
	struct link_peer *kept;
	struct wire w;

	(void)state;
	start(&w, seed_of(1));
	kept = &w.node[1].disk[0].peer;
	wire_crash(&w, 1);
	memset(kept->ratchet.cur.b, 7, sizeof(kept->ratchet.cur.b));
	memset(kept->ratchet.prev.b, 8, sizeof(kept->ratchet.prev.b));
	wire_restart(&w, 1);
	wire_connect(&w, 0, 1);
	assert_true(wire_until(&w, wire_both_up, 5000));
	assert_int_equal(w.node[0].fallbacks[1], 1);
	assert_int_equal(w.node[0].earlies[1], 0);
	wire_clear(&w);
}

/* Bulk waits for the link; so does what is too much. */
static void
early_is_for_words(void **state)
{
	struct wire w;

	(void)state;
	start(&w, seed_of(1));
	w.early = 0;
	w.delay_ms = ONE_WAY_MS;
	wire_connect(&w, 0, 1);
	wire_run(&w, 2 * ONE_WAY_MS);
	assert_int_equal(w.node[0].earlies[1], 1);
	assert_false(w.node[0].up[1]);
	assert_int_equal(links_bulk_room(w.node[0].links, 1), 0);
	assert_int_equal(links_room(w.node[0].links, 1), LINK_STREAM_WINDOW);
	assert_true(wire_until(&w, wire_both_up, 5000));
	wire_clear(&w);
}

/* ---- by routes ---- */

/* The datagram with that number in the order of sending is lost. */
static bool
tap_nth(struct wire *w, struct wire_datagram *d)
{
	int *left = w->tap_ctx;

	(void)d;
	return (*left)-- != 0;
}

static void
start_by_routes(struct wire *w, unsigned n)
{
	start(w, seed_of(1));
	w->delay_ms = ONE_WAY_MS;
	w->cut_direct = true;
	for (unsigned i = 0; i < n; i++)
		wire_add_route(w, 0, 1, 0);
}

/* Message 1, message 2, the first words and HELLO go by both. */
static void
with_two_routes_no_single_loss_is_felt(void **state)
{
	enum { LOST_MAX = 12 };

	(void)state;
	for (int i = 0; i < LOST_MAX; i++) {
		int left = i;
		struct wire w;

		start_by_routes(&w, 2);
		w.tap = tap_nth;
		w.tap_ctx = &left;
		wire_connect(&w, 0, 1);
		if (!wire_until(&w, words_are_there, 3 * ONE_WAY_MS))
			fail_msg("datagram %d is missed", i);
		if (!wire_until(&w, wire_both_up, ONE_WAY_MS))
			fail_msg("datagram %d is missed at the end", i);
		assert_true(left < 0);
		wire_clear(&w);
	}
}

/* HELLO alone, and with words. */
static bool
tap_words(struct wire *w, struct wire_datagram *d)
{
	unsigned *lost = w->tap_ctx;

	if (*lost == 2 || d->n <= PACKET_MESSAGE_1_SIZE)
		return true;
	(*lost)++;
	return false;
}

/* The handshake has measured the round trip: half of one more is enough. */
static void
first_words_that_were_lost_come_again_soon(void **state)
{
	unsigned lost = 0;
	struct wire w;

	(void)state;
	start_by_routes(&w, 1);
	w.tap = tap_words;
	w.tap_ctx = &lost;
	wire_connect(&w, 0, 1);
	assert_true(wire_until(&w, words_are_there, 8 * ONE_WAY_MS));
	assert_int_equal(lost, 2);
	wire_clear(&w);
}

static bool
tap_count(struct wire *w, struct wire_datagram *d)
{
	struct wire_datagram *call = w->tap_ctx;

	if (d->n == PACKET_MESSAGE_1_SIZE)
		*call = *d;
	return true;
}

/* Who copies a call gets what he could have got by copying it at once: nothing
 * from an address, one message 2 by a route. */
static void
a_copy_is_answered_once_and_by_a_route(void **state)
{
	const struct endpoint thief =
	    endpoint_v4((const uint8_t[4]){ 90, 1, 2, 3 }, 4444);
	struct wire_datagram call = { 0 };
	struct wire w;
	uint64_t sent;

	(void)state;
	start(&w, seed_of(1));
	wire_add_route(&w, 0, 1, 0);
	wire_add_route(&w, 0, 1, 0);
	links_set_routes(w.node[0].links, 1, NULL, 0, wire_now(&w, 0));
	w.delay_ms = ONE_WAY_MS;
	w.tap = tap_count;
	w.tap_ctx = &call;
	wire_connect(&w, 0, 1); /* to the address */
	wire_run(&w, ONE_WAY_MS);
	assert_int_equal(call.n, PACKET_MESSAGE_1_SIZE);
	sent = w.node[1].sent;
	assert_int_equal(sent, 1);
	for (int i = 0; i < 3; i++)
		wire_inject(&w, 1, &thief, span_of(call.b, call.n));
	assert_int_equal(w.node[1].sent, sent);
	for (int i = 0; i < 3; i++)
		wire_inject(
		    &w, 1, &w.route[i % 2].end[1], span_of(call.b, call.n));
	assert_int_equal(w.node[1].sent, sent + 1);
	assert_true(wire_until(&w, wire_all_read, 3 * ONE_WAY_MS));
	assert_int_equal(w.node[0].ups[1], 1);
	wire_clear(&w);
}

/* What has few hops does not arrive. */
static bool
tap_hops(struct wire *w, struct wire_datagram *d)
{
	unsigned *shy = w->tap_ctx;

	if (!endpoint_eq(&d->from, &w->node[0].at) || w->node[0].hops == 0)
		return true;
	(*shy)++;
	assert_int_equal(d->n, PACKET_MESSAGE_1_SIZE);
	assert_true(endpoint_eq(&d->to, &w->node[1].at));
	return false;
}

static void
connect_shyly(struct wire *w)
{
	links_connect(
	    w->node[0].links, 1, &w->node[1].at, 1, 3, wire_now(w, 0));
	wire_drain(w, 0);
}

/* Where a route carries the call, nothing comes to the address of the called
 * before he knows of it. */
static void
a_shy_call_comes_by_the_route_alone(void **state)
{
	unsigned shy = 0;
	struct wire w;

	(void)state;
	start(&w, seed_of(1));
	wire_add_route(&w, 0, 1, 0);
	w.delay_ms = ONE_WAY_MS;
	w.tap = tap_hops;
	w.tap_ctx = &shy;
	connect_shyly(&w);
	assert_true(wire_until(&w, words_are_there, 3 * ONE_WAY_MS));
	assert_true(wire_until(&w, wire_all_read, ONE_WAY_MS));
	assert_int_equal(shy, 1);
	assert_int_equal(w.route[0].n > 2, 1);
	wire_clear(&w);
}

/* But a route may be dead, and there may be none. */
static void
a_shy_call_goes_all_the_way_in_the_end(void **state)
{
	(void)state;
	for (int has_route = 0; has_route < 2; has_route++) {
		unsigned shy = 0;
		struct wire w;

		start(&w, seed_of(1));
		if (has_route) {
			wire_add_route(&w, 0, 1, 0);
			w.route[0].cut = true;
		}
		w.tap = tap_hops;
		w.tap_ctx = &shy;
		connect_shyly(&w);
		assert_true(wire_until(&w, wire_both_up, 2000));
		assert_int_equal(shy, has_route ? 2 : 0);
		wire_clear(&w);
	}
}

/* Who has died after he answered, and calls again at once, is heard, also by
 * the lower ID, which called him a moment ago. */
static void
who_answered_and_forgot_it_is_heard_at_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct wire w;

		start(&w, seed_of(1) + i);
		wire_connect(&w, 0, 1);
		wire_run(&w, 25); /* message 2 has come */
		crash_and_restart(&w);
		wire_connect(&w, 1, 0);
		assert_true(wire_until(&w, wire_both_up, 100));
		assert_true(talk(&w));
		wire_clear(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_two_routes_no_single_loss_is_felt),
		cmocka_unit_test(first_words_that_were_lost_come_again_soon),
		cmocka_unit_test(a_copy_is_answered_once_and_by_a_route),
		cmocka_unit_test(a_shy_call_comes_by_the_route_alone),
		cmocka_unit_test(a_shy_call_goes_all_the_way_in_the_end),
		cmocka_unit_test(words_take_one_and_a_half_round_trips),
		cmocka_unit_test(words_need_no_more_where_the_way_is_long),
		cmocka_unit_test(an_answer_that_was_lost_comes_again),
		cmocka_unit_test(a_caller_who_starts_again_gets_another_answer),
		cmocka_unit_test(nothing_is_lost_or_doubled),
		cmocka_unit_test(nothing_late_meets_another_link),
		cmocka_unit_test(a_late_hello_ends_no_younger_link),
		cmocka_unit_test(words_that_a_dead_process_took_are_said_again),
		cmocka_unit_test(who_answered_and_forgot_it_is_heard_at_once),
		cmocka_unit_test(words_are_not_repeated_to_who_hides),
		cmocka_unit_test(a_late_hello_mixes_no_words),
		cmocka_unit_test(
		    a_session_of_the_dead_costs_the_living_nothing),
		cmocka_unit_test(words_need_a_known_key),
		cmocka_unit_test(no_words_under_a_fallback),
		cmocka_unit_test(early_is_for_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
