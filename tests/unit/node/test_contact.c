/* A contact whose program is not ours any more: what it can make us do. */
#include "proto/node_int.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MINUTES = 10, KNOCK_MS = 500 };

static struct test_rng dice;
static struct now now;

struct pair {
	struct node *n[2];
	struct endpoint at[2];
	unsigned events[NODE_ADDRESS + 1]; /* of node 0, by kind */
	struct endpoint victim;
	unsigned n_victim; /* datagrams that node 0 sent there */
};

static struct node *
new_node(uint8_t fill, const struct endpoint *at)
{
	struct node_config cfg = { .rng = &dice.rng, .loopback = true };
	struct id_seed seed;
	struct node *n;

	cfg.family[FAMILY_V4] = true;
	n = node_new(&cfg, now);
	assert_non_null(n);
	memset(seed.b, fill, sizeof(seed.b));
	assert_int_equal(
	    node_set_identity(n, &seed, span_of(NULL, 0), now), ERR_OK);
	node_set_local(n, at, 1, now);
	return n;
}

/* Tells node `i` what a cell of the other would. */
static void
introduce(struct pair *w, unsigned i)
{
	const struct self *other = &w->n[1 - i]->self;
	struct node *n = w->n[i];
	struct contact_id id;
	struct peer *p;
	struct cert says;
	bool changed;

	assert_int_equal(node_contact_add(n, &other->id, &id, now), ERR_OK);
	p = peer_by_id(n, &id);
	assert_int_equal(
	    cert_open(&other->s[0].cert, &other->id, now.wall_ms / 1000, &says),
	    ERR_OK);
	assert_int_equal(
	    contact_learn(&p->c, &says, &other->reach, &changed), ERR_OK);
	(void)contact_learn_path(&p->c, &w->at[1 - i]);
	peer_to_links(n, p);
}

static void
begin(struct pair *w)
{
	static const uint8_t here[4] = { 127, 0, 0, 1 };

	*w = (struct pair){ 0 };
	test_rng_init(&dice, 5);
	now = (struct now){ 1000, UINT64_C(1796123323456) };
	for (unsigned i = 0; i < 2; i++) {
		w->at[i] = endpoint_v4(here, (uint16_t)(5000 + i));
		w->n[i] = new_node((uint8_t)(i + 1), &w->at[i]);
	}
	introduce(w, 0);
	introduce(w, 1);
}

static void
end(struct pair *w)
{
	node_free(w->n[0]);
	node_free(w->n[1]);
}

/* Carries out what node `i` wants; false: nothing. */
static bool
settle(struct pair *w, unsigned i)
{
	struct effect e;
	bool any = false;

	while (node_next_effect(w->n[i], &e)) {
		any = true;
		if (e.kind == EFFECT_EVENT && i == 0)
			w->events[e.event]++;
		if (e.kind == EFFECT_SEND && endpoint_eq(&e.to, &w->victim))
			w->n_victim++;
		if (e.kind == EFFECT_SEND && endpoint_eq(&e.to, &w->at[1 - i]))
			node_receive(w->n[1 - i], &w->at[i], e.data, now);
	}
	return any;
}

static void
run(struct pair *w, uint64_t ms)
{
	uint64_t end_ms = now.mono_ms + ms;

	while (now.mono_ms < end_ms) {
		for (unsigned i = 0; i < 2; i++)
			node_tick(w->n[i], now);
		for (bool any = true; any;) {
			any = settle(w, 0);
			any = settle(w, 1) || any;
		}
		now.mono_ms += 50;
		now.wall_ms += 50;
	}
}

/* The hostile one knocks, whatever happened, and budgets mean nothing. */
static void
knock(struct pair *w)
{
	struct node *n = w->n[1];
	struct peer *p = n->peers[0];

	links_remove_peer(n->links, p->slot, now);
	p->online = false;
	p->shunned_until_ms = 0;
	peer_to_links(n, p);
	peer_connect(n, p);
	n->unsettled = true;
}

static void
knock_for_minutes(struct pair *w)
{
	for (unsigned i = 0; i < MINUTES * 60000 / KNOCK_MS; i++) {
		knock(w);
		run(w, KNOCK_MS);
	}
}

static void
they_meet_at_all(void **state)
{
	struct pair w;

	(void)state;
	begin(&w);
	run(&w, 5000);
	assert_int_equal(w.events[NODE_CONTACT_READY], 1);
	assert_int_equal(w.events[NODE_ONLINE], 1);
	assert_int_equal(w.events[NODE_REFUSED], 0);
	end(&w);
}

/* A certificate that does not hold, shown again and again: each refusal is
 * durable, so there must be few. [hostile 28] */
static void
who_is_refused_is_left_alone_for_a_minute(void **state)
{
	struct pair w;

	(void)state;
	begin(&w);
	w.n[1]->self.s[0].cert.b[100] ^= 1;
	self_to_links(w.n[1]);
	knock_for_minutes(&w);
	assert_true(w.events[NODE_REFUSED] > 0);
	assert_true(w.events[NODE_REFUSED] <= MINUTES + 1);
	end(&w);
}

/* Nor does a breach of a rule buy new datagrams to an address that he names.
 * [SPEC §6.5] */
static void
a_victim_gets_no_more_for_a_breach(void **state)
{
	struct pair w;

	(void)state;
	begin(&w);
	w.victim = endpoint_v4((const uint8_t[4]){ 127, 0, 0, 1 }, 7777);
	w.n[1]->self.s[0].cert.b[100] ^= 1;
	self_to_links(w.n[1]);
	for (unsigned i = 0; i < MINUTES; i++) {
		(void)contact_learn_path(&w.n[0]->peers[0]->c, &w.victim);
		for (unsigned k = 0; k < 60; k++) {
			knock(&w);
			run(&w, 1000);
		}
	}
	assert_true(w.n_victim > 0);
	assert_true(w.n_victim <= 3 + MINUTES);
	end(&w);
}

/* A cell that says something new is no way around the minute. */
static void
news_do_not_end_the_minute(void **state)
{
	struct pair w;

	(void)state;
	begin(&w);
	w.n[1]->self.s[0].cert.b[100] ^= 1;
	self_to_links(w.n[1]);
	for (unsigned i = 0; i < MINUTES * 60000 / KNOCK_MS; i++) {
		peer_to_links(w.n[0], w.n[0]->peers[0]);
		knock(&w);
		run(&w, KNOCK_MS);
	}
	assert_true(w.events[NODE_REFUSED] <= MINUTES + 1);
	end(&w);
}

/* A ratchet that is lost with every handshake. */
static void
fallbacks_are_told_once_a_minute(void **state)
{
	struct pair w;

	(void)state;
	begin(&w);
	for (unsigned i = 0; i < MINUTES * 60000 / KNOCK_MS; i++) {
		struct ratchet *r = &w.n[1]->peers[0]->c.ratchet;

		memset(r->cur.b, (int)i, sizeof(r->cur.b));
		memset(r->prev.b, (int)i, sizeof(r->prev.b));
		knock(&w);
		run(&w, KNOCK_MS);
	}
	assert_true(w.events[NODE_FALLBACK] > 0);
	assert_true(w.events[NODE_FALLBACK] <= MINUTES + 1);
	end(&w);
}

static void
lose_the_ratchet(struct pair *w, uint8_t fill)
{
	struct ratchet *r = &w->n[1]->peers[0]->c.ratchet;

	memset(r->cur.b, fill, sizeof(r->cur.b));
	memset(r->prev.b, fill, sizeof(r->prev.b));
}

static void
decide(struct pair *w, bool verified, enum node_fallback fallback)
{
	struct node_decision what = { verified, false, fallback };

	assert_int_equal(
	    node_contact_decide(w->n[0], &w->n[0]->peers[0]->c.id, &what, now),
	    ERR_OK);
}

static enum why_verdict
verdict(const struct pair *w)
{
	struct node_why why;

	assert_true(node_contact_why(w->n[0], &w->n[0]->peers[0]->c.id, &why));
	return why.verdict;
}

/* Node 0 looks for the other, as after a cell of theirs. */
static void
look(struct pair *w)
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
		struct pair w;

		begin(&w);
		run(&w, 5000);
		assert_int_equal(w.events[NODE_ONLINE], 1);
		decide(&w, i == 0, i ? NODE_FALLBACK_DENY : NODE_FALLBACK_AUTO);
		run(&w, 1000);
		assert_int_equal(w.events[NODE_OFFLINE], 0);
		for (unsigned k = 0; k < 120; k++) {
			lose_the_ratchet(&w, (uint8_t)(k + 1));
			knock(&w);
			run(&w, KNOCK_MS);
		}
		assert_int_equal(w.events[NODE_ONLINE], 1);
		assert_int_equal(w.events[NODE_FALLBACK], 0);
		assert_int_equal(w.events[NODE_DENIED], 0);
		assert_int_equal(verdict(&w), WHY_DENIED);
		for (unsigned k = 0; k < 30; k++) {
			look(&w);
			run(&w, 30000);
		}
		assert_int_equal(w.events[NODE_DENIED], 1);
		assert_int_equal(w.events[NODE_ONLINE], 1);
		decide(&w, i == 0, NODE_FALLBACK_ALLOW);
		assert_int_not_equal(verdict(&w), WHY_DENIED);
		knock(&w);
		run(&w, 5000);
		assert_int_equal(w.events[NODE_ONLINE], 2);
		assert_int_equal(w.events[NODE_FALLBACK], 1);
		assert_int_equal(verdict(&w), WHY_ONLINE);
		end(&w);
	}
}

static void
a_decision_is_of_a_contact(void **state)
{
	struct node_decision what = { .verified = true };
	static const struct contact_id nobody = { { 9 } };
	struct node_contact_info info;
	struct effect e;
	struct pair w;
	bool stored = false;

	(void)state;
	begin(&w);
	assert_int_equal(
	    node_contact_decide(w.n[0], &nobody, &what, now), ERR_NOT_FOUND);
	run(&w, 1000);
	decide(&w, true, NODE_FALLBACK_DENY);
	while (node_next_effect(w.n[0], &e))
		stored |=
		    e.kind == EFFECT_STORE && e.change.kind == CHANGE_CONTACT;
	assert_true(stored);
	assert_true(node_contact_get(w.n[0], &w.n[0]->peers[0]->c.id, &info));
	assert_true(info.decided.verified);
	assert_int_equal(info.decided.fallback, NODE_FALLBACK_DENY);
	end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_meet_at_all),
		cmocka_unit_test(who_is_refused_is_left_alone_for_a_minute),
		cmocka_unit_test(a_victim_gets_no_more_for_a_breach),
		cmocka_unit_test(news_do_not_end_the_minute),
		cmocka_unit_test(fallbacks_are_told_once_a_minute),
		cmocka_unit_test(a_verified_contact_may_not_begin_again),
		cmocka_unit_test(a_decision_is_of_a_contact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
