#include "tests/support/node_pair.h"

#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct test_rng dice;

static struct node *
new_node(uint8_t fill, const struct endpoint *at, struct now now)
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
introduce(struct node_pair *w, unsigned i)
{
	const struct self *other = &w->n[1 - i]->self;
	struct node *n = w->n[i];
	struct contact_id id;
	struct peer *p;
	struct cert says;
	bool changed;

	assert_int_equal(node_contact_add(n, &other->id, &id, w->now), ERR_OK);
	p = peer_by_id(n, &id);
	assert_int_equal(cert_open(&other->s[0].cert, &other->id,
	                     w->now.wall_ms / 1000, &says),
	    ERR_OK);
	assert_int_equal(
	    contact_learn(&p->c, &says, &other->reach, &changed), ERR_OK);
	(void)contact_learn_path(&p->c, &w->at[1 - i]);
	peer_to_links(n, p);
}

void
node_pair_begin(struct node_pair *w)
{
	static const uint8_t here[4] = { 127, 0, 0, 1 };

	*w = (struct node_pair){
		.now = { 1000, UINT64_C(1796123323456) },
	};
	test_rng_init(&dice, 5);
	for (unsigned i = 0; i < 2; i++) {
		w->at[i] = endpoint_v4(here, (uint16_t)(5000 + i));
		w->n[i] = new_node((uint8_t)(i + 1), &w->at[i], w->now);
	}
	introduce(w, 0);
	introduce(w, 1);
}

void
node_pair_end(struct node_pair *w)
{
	node_free(w->n[0]);
	node_free(w->n[1]);
}

static void
note_change(struct node_pair *w, unsigned i, const struct change *c)
{
	if (c->kind == CHANGE_MESSAGE_STATE) {
		w->moved[i] = c->message;
		w->n_moved[i][c->message.state]++;
	}
	if (c->kind == CHANGE_MESSAGE && c->message.state == MESSAGE_RECEIVED) {
		w->n_received[i]++;
		w->n_gaps[i] += c->message.flags & MESSAGE_FLAG_GAP;
	}
}

/* Carries out what node `i` wants; false: nothing. */
static bool
settle(struct node_pair *w, unsigned i)
{
	struct effect e;
	bool any = false;

	while (node_next_effect(w->n[i], &e)) {
		any = true;
		if (e.kind == EFFECT_EVENT)
			w->events[i][e.event]++;
		if (e.event == NODE_PONG)
			w->rtt_ms[i] = e.rtt_ms;
		if (e.kind == EFFECT_STORE && e.change.kind == CHANGE_READ) {
			w->read_seq[i] = e.change.message.seq;
			w->n_reads[i]++;
		}
		if (e.kind == EFFECT_STORE)
			note_change(w, i, &e.change);
		if (e.kind != EFFECT_SEND)
			continue;
		if (i == 0 && endpoint_eq(&e.to, &w->victim))
			w->n_victim++;
		if (endpoint_eq(&e.to, &w->at[1 - i]))
			node_receive(w->n[1 - i], &w->at[i], e.data, w->now);
	}
	return any;
}

void
node_pair_run(struct node_pair *w, uint64_t ms)
{
	uint64_t end_ms = w->now.mono_ms + ms;

	while (w->now.mono_ms < end_ms) {
		for (unsigned i = 0; i < 2; i++)
			node_tick(w->n[i], w->now);
		for (bool any = true; any;) {
			any = settle(w, 0);
			any = settle(w, 1) || any;
		}
		w->now.mono_ms += 50;
		w->now.wall_ms += 50;
	}
}

void
node_pair_knock(struct node_pair *w)
{
	struct node *n = w->n[1];
	struct peer *p = n->peers[0];

	links_remove_peer(n->links, p->slot, w->now);
	p->online = false;
	p->shunned_until_ms = 0;
	peer_to_links(n, p);
	peer_connect(n, p);
	n->unsettled = true;
}

void
node_pair_begin_online(struct node_pair *w)
{
	node_pair_begin(w);
	node_pair_run(w, 5000);
	assert_int_equal(w->events[0][NODE_ONLINE], 1);
	assert_int_equal(w->events[1][NODE_ONLINE], 1);
}
