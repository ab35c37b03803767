/* A contact whose program is not ours any more: what it can make us do. */
#include "tests/support/node_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MINUTES = 10, KNOCK_MS = 500 };

static void
knock_for_minutes(struct node_pair *w)
{
	for (unsigned i = 0; i < MINUTES * 60000 / KNOCK_MS; i++) {
		node_pair_knock(w);
		node_pair_run(w, KNOCK_MS);
	}
}

static void
they_meet_at_all(void **state)
{
	struct node_pair w;

	(void)state;
	node_pair_begin(&w);
	node_pair_run(&w, 5000);
	assert_int_equal(w.events[0][NODE_CONTACT_READY], 1);
	assert_int_equal(w.events[0][NODE_ONLINE], 1);
	assert_int_equal(w.events[0][NODE_REFUSED], 0);
	node_pair_end(&w);
}

/* Who ends a link comes back by himself, or not at all: a call of ours would
 * only cross with his. */
static void
who_says_goodbye_is_called_two_seconds_later(void **state)
{
	struct node_pair w;

	(void)state;
	node_pair_begin_online(&w);
	node_pair_run(&w, 1000);
	node_stop(w.n[1], w.now);
	node_pair_run(&w, 100);
	assert_int_equal(w.events[0][NODE_OFFLINE], 1);
	w.victim = w.at[1];
	node_pair_run(&w, NODE_GOODBYE_MS - 200);
	assert_int_equal(w.n_victim, 0);
	node_pair_run(&w, 200);
	assert_true(w.n_victim > 0);
	node_pair_end(&w);
}

/* A certificate that does not hold, shown again and again: each refusal is
 * durable, so there must be few. [hostile 28] */
static void
who_is_refused_is_left_alone_for_a_minute(void **state)
{
	struct node_pair w;

	(void)state;
	node_pair_begin(&w);
	w.n[1]->self.s[0].cert.b[100] ^= 1;
	self_to_links(w.n[1]);
	knock_for_minutes(&w);
	assert_true(w.events[0][NODE_REFUSED] > 0);
	assert_true(w.events[0][NODE_REFUSED] <= MINUTES + 1);
	node_pair_end(&w);
}

/* Nor does a breach of a rule buy new datagrams to an address that he names.
 * [SPEC §6.5] */
static void
a_victim_gets_no_more_for_a_breach(void **state)
{
	struct node_pair w;

	(void)state;
	node_pair_begin(&w);
	w.victim = endpoint_v4((const uint8_t[4]){ 127, 0, 0, 1 }, 7777);
	w.n[1]->self.s[0].cert.b[100] ^= 1;
	self_to_links(w.n[1]);
	for (unsigned i = 0; i < MINUTES; i++) {
		(void)contact_learn_path(&w.n[0]->peers[0]->c, &w.victim);
		for (unsigned k = 0; k < 60; k++) {
			node_pair_knock(&w);
			node_pair_run(&w, 1000);
		}
	}
	assert_true(w.n_victim > 0);
	assert_true(w.n_victim <= 3 + MINUTES);
	node_pair_end(&w);
}

/* A cell that says something new is no way around the minute. */
static void
news_do_not_end_the_minute(void **state)
{
	struct node_pair w;

	(void)state;
	node_pair_begin(&w);
	w.n[1]->self.s[0].cert.b[100] ^= 1;
	self_to_links(w.n[1]);
	for (unsigned i = 0; i < MINUTES * 60000 / KNOCK_MS; i++) {
		peer_to_links(w.n[0], w.n[0]->peers[0]);
		node_pair_knock(&w);
		node_pair_run(&w, KNOCK_MS);
	}
	assert_true(w.events[0][NODE_REFUSED] <= MINUTES + 1);
	node_pair_end(&w);
}

/* A ratchet that is lost with every handshake. */
static void
fallbacks_are_told_once_a_minute(void **state)
{
	struct node_pair w;

	(void)state;
	node_pair_begin(&w);
	for (unsigned i = 0; i < MINUTES * 60000 / KNOCK_MS; i++) {
		struct ratchet *r = &w.n[1]->peers[0]->c.ratchet;

		memset(r->cur.b, (int)i, sizeof(r->cur.b));
		memset(r->prev.b, (int)i, sizeof(r->prev.b));
		node_pair_knock(&w);
		node_pair_run(&w, KNOCK_MS);
	}
	assert_true(w.events[0][NODE_FALLBACK] > 0);
	assert_true(w.events[0][NODE_FALLBACK] <= MINUTES + 1);
	node_pair_end(&w);
}

static void
lose_the_ratchet(struct node_pair *w, uint8_t fill)
{
	struct ratchet *r = &w->n[1]->peers[0]->c.ratchet;

	memset(r->cur.b, fill, sizeof(r->cur.b));
	memset(r->prev.b, fill, sizeof(r->prev.b));
}

static void
decide(struct node_pair *w, bool verified, enum node_fallback fallback)
{
	struct node_decision what = { .verified = verified,
		.fallback = fallback };

	assert_int_equal(node_contact_decide(
	                     w->n[0], &w->n[0]->peers[0]->c.id, &what, w->now),
	    ERR_OK);
}

static enum why_verdict
verdict(const struct node_pair *w)
{
	struct node_why why;

	assert_true(node_contact_why(w->n[0], &w->n[0]->peers[0]->c.id, &why));
	return why.verdict;
}

/* Node 0 looks for the other, as after a cell of theirs. */
static void
look(struct node_pair *w)
{
	peer_connect(w->n[0], w->n[0]->peers[0]);
	w->n[0]->unsettled = true;
}

/* Whose safety number was compared, or whom people say so of: no session, one
 * event if it is proven, and a verdict, until they decide otherwise. */
static void
a_verified_contact_may_not_begin_again(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct node_pair w;

		node_pair_begin_online(&w);
		decide(&w, i == 0, i ? NODE_FALLBACK_DENY : NODE_FALLBACK_AUTO);
		node_pair_run(&w, 1000);
		assert_int_equal(w.events[0][NODE_OFFLINE], 0);
		for (unsigned k = 0; k < 120; k++) {
			lose_the_ratchet(&w, (uint8_t)(k + 1));
			node_pair_knock(&w);
			node_pair_run(&w, KNOCK_MS);
		}
		assert_int_equal(w.events[0][NODE_ONLINE], 1);
		assert_int_equal(w.events[0][NODE_FALLBACK], 0);
		assert_int_equal(w.events[0][NODE_DENIED], 0);
		assert_int_equal(verdict(&w), WHY_DENIED);
		for (unsigned k = 0; k < 30; k++) {
			look(&w);
			node_pair_run(&w, 30000);
		}
		assert_int_equal(w.events[0][NODE_DENIED], 1);
		assert_int_equal(w.events[0][NODE_ONLINE], 1);
		decide(&w, i == 0, NODE_FALLBACK_ALLOW);
		assert_int_not_equal(verdict(&w), WHY_DENIED);
		node_pair_knock(&w);
		node_pair_run(&w, 5000);
		assert_int_equal(w.events[0][NODE_ONLINE], 2);
		assert_int_equal(w.events[0][NODE_FALLBACK], 1);
		assert_int_equal(verdict(&w), WHY_ONLINE);
		node_pair_end(&w);
	}
}

static void
a_decision_is_of_a_contact(void **state)
{
	struct node_decision what = { .verified = true };
	static const struct contact_id nobody = { { 9 } };
	struct node_contact_info info;
	struct effect e;
	struct node_pair w;
	bool stored = false;

	(void)state;
	node_pair_begin(&w);
	assert_int_equal(
	    node_contact_decide(w.n[0], &nobody, &what, w.now), ERR_NOT_FOUND);
	node_pair_run(&w, 1000);
	decide(&w, true, NODE_FALLBACK_DENY);
	while (node_next_effect(w.n[0], &e))
		stored |=
		    e.kind == EFFECT_STORE && e.change.kind == CHANGE_CONTACT;
	assert_true(stored);
	assert_true(node_contact_get(w.n[0], &w.n[0]->peers[0]->c.id, &info));
	assert_true(info.decided.verified);
	assert_int_equal(info.decided.fallback, NODE_FALLBACK_DENY);
	node_pair_end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_meet_at_all),
		cmocka_unit_test(who_says_goodbye_is_called_two_seconds_later),
		cmocka_unit_test(who_is_refused_is_left_alone_for_a_minute),
		cmocka_unit_test(a_victim_gets_no_more_for_a_breach),
		cmocka_unit_test(news_do_not_end_the_minute),
		cmocka_unit_test(fallbacks_are_told_once_a_minute),
		cmocka_unit_test(a_verified_contact_may_not_begin_again),
		cmocka_unit_test(a_decision_is_of_a_contact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
