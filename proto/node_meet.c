/*
 * Meeting through the DHT: own cells are put, theirs are looked for, as the
 * schedule of each contact says; only for contacts without a session, and
 * only so many at a time. [SPEC §4.2]
 */
#include "proto/node_int.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

/* A put waits so long before it asks again whether it must. */
enum { SETTLE_STEP_MS = 50 };

void
meet_forget(struct node *n, const struct peer *p)
{
	cell_ops_forget(n, OWNER_CONTACT, p->slot);
}

void
meet_forget_host(struct node *n, const struct host *h)
{
	cell_ops_forget(n, OWNER_HOST, (uint32_t)(h - n->hosts));
}

/* ---- schedule ---- */

void
meet_retime(struct node *n, struct peer *p)
{
	uint64_t at = rendezvous_deadline_ms(&p->meet);

	if (p->shunned_until_ms != 0 && at != NEVER)
		at = p->shunned_until_ms;
	if (at > p->quiet_at_ms)
		at = p->quiet_at_ms;
	if (at > p->hold_ms)
		at = p->hold_ms;
	/* Room was reserved when the peer was made. */
	if (heap_set(&n->timers, &p->timer, at))
		n->failed = true;
	n->unsettled = true;
}

static void
start(struct node *n, struct peer *p, uint32_t spread_ms, uint32_t wait_ms)
{
	assert(!peer_is_shut(p));
	rendezvous_start(&p->meet, &n->rng, spread_ms, n->now);
	rendezvous_wait(&p->meet, wait_ms, n->now);
	if (p->c.invited)
		p->meet.publish_at_ms = NEVER; /* the inviter does not look */
	meet_retime(n, p);
	n->dummies_stale = true;
}

/* One contact has no time to lose; of many nobody is to see all at once. */
static uint32_t
spread_ms(const struct node *n)
{
	return n->n_peers < 2 ? 0 : (uint32_t)n->n_peers * LOOK_SPREAD_MS;
}

void
meet_start(struct node *n, struct peer *p)
{
	start(n, p, 0, 0);
}

void
meet_start_with_others(struct node *n, struct peer *p)
{
	start(n, p, p->outbox.n > 0 ? 0 : spread_ms(n), 0);
}

void
meet_start_later(struct node *n, struct peer *p)
{
	start(n, p, 0, NODE_GOODBYE_MS);
}

void
meet_stop(struct node *n, struct peer *p)
{
	rendezvous_stop(&p->meet);
	meet_retime(n, p);
	n->dummies_stale = true;
}

void
meet_changed(struct node *n)
{
	for (size_t i = 0; i < n->peers_cap; i++) {
		struct peer *p = n->peers[i];

		if (p == NULL || p->online || p->c.invited || peer_is_shut(p))
			continue;
		rendezvous_changed(&p->meet, n->now);
		if (spread_ms(n) > 0)
			p->meet.publish_at_ms +=
			    rng_below(&n->rng, spread_ms(n));
		meet_retime(n, p);
	}
	for (size_t i = 0; i < NODE_INVITES_MAX; i++)
		if (n->hosts[i].live)
			rendezvous_changed(&n->hosts[i].meet, n->now);
}

void
meet_all(struct node *n)
{
	for (size_t i = 0; i < n->peers_cap; i++) {
		struct peer *p = n->peers[i];

		if (p == NULL || p->online || peer_is_shut(p))
			continue;
		if (p->shunned_until_ms == 0)
			peer_connect(n, p);
		meet_start_with_others(n, p);
	}
	for (size_t i = 0; i < NODE_INVITES_MAX; i++)
		if (n->hosts[i].live)
			rendezvous_changed(&n->hosts[i].meet, n->now);
	dummies_all(n, spread_ms(n));
}

uint64_t
meet_deadline_ms(const struct node *n)
{
	const struct heap_node *top = heap_top(&n->timers);
	uint64_t at = top != NULL ? top->at_ms : NEVER;

	if (!cell_ops_free(n))
		return NEVER; /* an end of a lookup brings us back */
	for (size_t i = 0; i < NODE_INVITES_MAX; i++)
		if (n->hosts[i].live && n->hosts[i].meet.publish_at_ms < at)
			at = n->hosts[i].meet.publish_at_ms;
	return dummies_deadline_ms(n, at);
}

static bool
we_are_lower(const struct node *n, const struct peer *p)
{
	return id_cmp(&n->self.id, &p->c.pk) < 0;
}

static void
publish_to(struct node *n, struct peer *p)
{
	struct publication what = {
		.kind = OP_PUBLISH,
		.slot = p->slot,
		.disc = &p->c.disc,
		.dir = we_are_lower(n, p) ? CELL_LOWER : CELL_HIGHER,
		.reach = &n->self.reach,
	};

	assert(!p->c.invited);
	cell_unpublish(n, what.kind, what.slot, &p->meet);
	cell_prepare(n, &what, &p->meet, &p->put);
	if (p->c.put_s != what.at_s) { /* durable before a node sees it */
		p->c.put_s = what.at_s;
		peer_dirty(n, p);
	}
	rendezvous_publishing(&p->meet, n->now);
	cell_publish(n, &what, &p->put);
	if (p->put.n == 0)
		rendezvous_published(&p->meet, &n->rng, 0, n->now);
}

static void
serve(struct node *n, struct host *h)
{
	struct publication what = {
		.kind = OP_SERVE,
		.slot = (uint32_t)(h - n->hosts),
		.disc = &h->invite.disc,
		.dir = CELL_LOWER, /* in an invitation: the inviter */
		.reach = &h->invite.reach,
	};

	cell_unpublish(n, what.kind, what.slot, &h->meet);
	cell_prepare(n, &what, &h->meet, &h->put);
	if (h->invite.put_s != what.at_s) { /* durable before it is seen */
		h->invite.put_s = what.at_s;
		invite_store(n, h);
	}
	rendezvous_publishing(&h->meet, n->now);
	cell_publish(n, &what, &h->put);
	if (h->put.n == 0)
		rendezvous_published(&h->meet, &n->rng, 0, n->now);
}

/* ---- their cell ---- */

static struct search
search_for(const struct node *n, const struct peer *p)
{
	bool theirs_is_higher = !p->c.invited && we_are_lower(n, p);

	return (struct search){
		.kind = OP_LOOK,
		.slot = p->slot,
		.disc = &p->c.disc,
		.dir = theirs_is_higher ? CELL_HIGHER : CELL_LOWER,
		.thorough = p->meet.looks > LOOK_PLAIN,
		.calm = p->meet.looks > LOOK_EAGER,
		.outside = rendezvous_looks_outside(&p->meet),
	};
}

static void
look_for(struct node *n, struct peer *p)
{
	struct search what = search_for(n, p);
	bool glance;

	rendezvous_looking(&p->meet, &n->rng, n->now);
	peer_connect(n, p);
	rendezvous_knocked(&p->meet, n->now);
	glance = rendezvous_is_glance(&p->meet);
	cell_look(n, &what, glance, rendezvous_turn(&p->meet));
}

void
meet_take_cell(struct node *n, struct peer *p, const struct cell *cell)
{
	bool changed;

	p->meet.seen = true;
	if (cell->unix_min < p->c.cell_min ||
	    contact_learn(&p->c, &cell->says, &cell->reach, &changed))
		return; /* an old cell, put back by whoever stores it */
	p->c.cell_min = cell->unix_min;
	memcpy(p->c.candidates, cell->candidates, sizeof(cell->candidates));
	p->c.n_candidates = cell->n_candidates;
	memcpy(p->introducers, cell->introducers, sizeof(p->introducers));
	p->n_introducers = cell->n_introducers;
	p->nat = cell->nat;
	peer_dirty(n, p);
	if (changed)
		peer_to_links(n, p);
	if (!p->online && p->shunned_until_ms == 0)
		peer_connect(n, p);
}

/* The puts that an operation is one of, and their schedule; NULL: the owner is
 * gone. */
static struct putting *
putting_of(struct node *n, const struct op *op, struct rendezvous **meet)
{
	struct peer *p = peer_by_slot(n, op->slot);

	if (op->kind == OP_SERVE) {
		*meet = &n->hosts[op->slot].meet;
		return &n->hosts[op->slot].put;
	}
	if (op->kind == OP_DUMMY_PUT) {
		*meet = &n->dummies[op->slot].meet;
		return &n->dummies[op->slot].put;
	}
	assert(op->kind == OP_PUBLISH);
	if (p == NULL)
		return NULL;
	*meet = &p->meet;
	return &p->put;
}

/* A value at the place of our own cell, with a seq that we never reach:
 * somebody else knows its key. */
static void
on_rival(struct node *n, const struct op *op, const struct dht_item *item)
{
	struct rendezvous *meet;
	struct putting *put = putting_of(n, op, &meet);

	if (put != NULL &&
	    item->seq >= (int64_t)op->key.seq_base + CELL_MINUTES)
		put->beaten = true;
}

static void
on_value(struct node *n, struct op *op, const struct dht_item *item)
{
	struct peer *p = peer_by_slot(n, op->slot);
	uint64_t now_s = n->now.wall_ms / 1000;
	struct cell cell;

	op->seen |= op->step == 0;
	if (p == NULL || !cell_read(op, item, &p->c.pk, now_s, &cell))
		return;
	op->opened = true;
	meet_take_cell(n, p, &cell);
	sodium_memzero(&cell, sizeof(cell));
}

/* No node answered, in no DHT, and none has for a while, for one lookup among
 * many may starve: the network is away. One contact finds out when it is back;
 * the others look as rarely as ever. */
static void
note_silence(struct node *n, struct peer *p)
{
	const struct peer *prober = peer_by_slot(n, n->prober);
	uint64_t soon = n->now.mono_ms + NODE_AWAY_MS;

	for (unsigned i = 0; i < NODE_NETS; i++)
		if (n->heard[i])
			return;
	if (n->heard_ms != 0 && n->now.mono_ms < n->heard_ms + NODE_AWAY_MIN_MS)
		return;
	if (!n->away || prober == NULL || prober->online)
		n->prober = p->slot;
	n->away = true;
	if (n->prober != p->slot || p->meet.look_at_ms <= soon)
		return;
	p->meet.look_at_ms = soon;
	meet_retime(n, p);
}

/* What was sent while it was away reached nobody: begin anew. */
static void
note_answers(struct node *n)
{
	bool back = n->away;
	uint64_t since_ms = n->heard_ms;

	n->away = false;
	n->heard_ms = n->now.mono_ms;
	if (!back)
		return;
	links_network_back(n->links, since_ms, n->now);
	meet_all(n);
}

static void
note_network(struct node *n, const struct op *op, size_t answers)
{
	struct peer *p = peer_by_slot(n, op->slot);

	n->heard[op->net] = answers > 0;
	if (answers > 0)
		note_answers(n);
	else if (p != NULL && !p->online)
		note_silence(n, p);
}

/* What one more of its lookups cost and showed. */
static void
add_report(struct op *op, const struct dht_report *r)
{
	op->n_asked = (uint16_t)(op->n_asked + r->n_asked);
	op->n_answered = (uint16_t)(op->n_answered + r->n_answered);
	op->alarm |= r->alarm;
}

/* What an operation found or left, for who asks why. */
static void
note_step(struct node *n, struct peer *p, const struct op *op,
    const struct dht_event *e)
{
	struct why_step step = {
		.kind = op->kind == OP_LOOK ? WHY_LOOK : WHY_PUT,
		.at_ms = n->now.mono_ms,
		.family = net_family(op->net),
		.carrier = net_carrier(op->net) == DHT_OVERLAY ? WHY_OVERLAY
		                                               : WHY_MAINLINE,
		.took_ms = (uint32_t)(n->now.mono_ms - op->began_ms),
		.rival = op->seen && !op->opened,
	};

	step.asked = op->n_asked;
	step.answered = op->n_answered;
	step.alarm = op->alarm;
	if (op->kind == OP_LOOK) {
		step.found = op->opened;
	} else {
		step.stored = e->report.n_stored;
		step.networks = e->report.spread;
		step.read = e->report.read_back != DHT_BACK_UNKNOWN;
		step.found = e->report.read_back == DHT_BACK_YES;
		step.rival = p->put.beaten;
	}
	why_note(&p->why, &step);
}

static void
on_get_done(struct node *n, struct op *op, const struct dht_event *e)
{
	struct peer *p = peer_by_slot(n, op->slot);

	add_report(op, &e->report);
	note_network(n, op, e->n);
	if (p != NULL && !op->opened && !p->online) {
		struct search what = search_for(n, p);

		if (cell_look_on(n, op, &what))
			return;
	}
	if (p != NULL) {
		p->meet.seen = op->opened;
		note_step(n, p, op, e);
	}
	cell_op_free(n, op);
}

/* Where the next put goes, after all parts of one are over. */
static void
choose_place(struct node *n, struct peer *p, struct putting *put,
    struct rendezvous *meet)
{
	assert(put->n == 0);
	if (put->beaten && put->place != PLACE_SECOND) {
		put->place = PLACE_SECOND;
		rendezvous_elsewhere(meet, n->now);
		effect_event(n, NODE_REFUSED, p, NULL, ERR_CONFLICT);
	} else if (put->lost && put->place == PLACE_FIRST) {
		put->place = PLACE_BOTH;
		rendezvous_elsewhere(meet, n->now);
	} else if (put->found && !put->lost && put->place == PLACE_BOTH) {
		put->place = PLACE_FIRST;
	}
}

static void
note_other(struct putting *put, const struct op *op, const struct dht_report *r)
{
	uint64_t at_s;

	if (r->has_other && !cell_seq_time(&op->key, r->other_seq, &at_s) &&
	    at_s > put->other_s)
		put->other_s = at_s;
}

static void
on_put_done(struct node *n, struct op *op, const struct dht_event *e)
{
	struct peer *p = NULL;
	struct rendezvous *meet = NULL;
	struct putting *put = putting_of(n, op, &meet);
	bool is_first = op->step == 0;

	if (put != NULL)
		note_other(put, op, &e->report);
	if (op->kind == OP_PUBLISH)
		p = peer_by_slot(n, op->slot);
	add_report(op, &e->report);
	if (p != NULL)
		note_step(n, p, op, e);
	cell_op_free(n, op);
	if (put == NULL || put->n == 0)
		return;
	if (e->n > put->best)
		put->best = e->n;
	put->lost |= e->report.read_back == DHT_BACK_NO;
	put->found |= is_first && e->report.read_back == DHT_BACK_YES;
	if (--put->n > 0)
		return;
	rendezvous_published(meet, &n->rng, put->best, n->now);
	if (put->other_s > 0)
		rendezvous_pass(meet, put->other_s, n->now);
	choose_place(n, p, put, meet);
	if (p != NULL)
		meet_retime(n, p);
}

static void
on_address(struct node *n, enum family f, const struct endpoint *e)
{
	if (n->has_address[f] && endpoint_eq(&n->address[f], e))
		return;
	if (n->has_address[f])
		intro_moved(n, false);
	n->has_address[f] = true;
	n->address[f] = *e;
	cross_changed(n);
	effect_event(n, NODE_ADDRESS, NULL, e, ERR_OK);
	meet_all(n); /* we moved: look and publish as after a start */
}

void
meet_on_dht(struct node *n, unsigned net, const struct dht_event *e)
{
	struct op *op = cell_op_by_name(n, e->op);

	discovery_on_dht(n, net, e);
	switch (e->kind) {
	case DHT_VALUE:
		if (op != NULL && op->kind == OP_LOOK)
			on_value(n, op, e->item);
		else if (op != NULL && op->kind != OP_DUMMY_LOOK)
			on_rival(n, op, e->item);
		break;
	case DHT_GET_DONE:
		if (op != NULL && op->kind == OP_LOOK)
			on_get_done(n, op, e);
		else if (op != NULL && op->kind == OP_DUMMY_LOOK)
			dummies_on_get_done(n, op, e);
		break;
	case DHT_PUT_DONE:
		if (op != NULL && op->kind != OP_LOOK &&
		    op->kind != OP_DUMMY_LOOK)
			on_put_done(n, op, e);
		break;
	case DHT_ADDRESS:
		on_address(n, net_family(net), &e->address);
		break;
	case DHT_READY:
		effect_event(n, NODE_DHT_READY, NULL, NULL, ERR_OK);
		meet_all(n);
		break;
	case DHT_PEERS: /* discovery's; the others introducers' */
	case DHT_SEEN:
	case DHT_UNSOLICITED:
	case DHT_REGISTERED:
	case DHT_HANDED:
	case DHT_PASS_FAILED:
		break;
	}
}

/* ---- running ---- */

/* The minute is over: it may come back. */
static void
unshun(struct node *n, struct peer *p)
{
	p->shunned_until_ms = 0;
	peer_to_links(n, p);
}

/* Between looks: words wait, or the two have never met. */
static void
knock(struct node *n, struct peer *p)
{
	if (p->outbox.n > 0 || !p->c.ready)
		peer_connect(n, p);
	rendezvous_knocked(&p->meet, n->now);
}

static void
run_peer(struct node *n, struct peer *p)
{
	uint64_t now_ms = n->now.mono_ms;

	if (presence_run(n, p))
		return;
	refuse_run(n, p);
	if (p->shunned_until_ms != 0 && p->shunned_until_ms <= now_ms)
		unshun(n, p);
	if (p->meet.look_at_ms <= now_ms)
		look_for(n, p);
	if (p->meet.knock_at_ms <= now_ms)
		knock(n, p);
	if (p->meet.publish_at_ms <= now_ms && intro_is_settling(n))
		p->meet.publish_at_ms = now_ms + SETTLE_STEP_MS;
	if (p->meet.publish_at_ms <= now_ms)
		publish_to(n, p);
	meet_retime(n, p);
}

void
meet_run(struct node *n)
{
	struct heap_node *top = heap_top(&n->timers);

	while (
	    top != NULL && top->at_ms <= n->now.mono_ms && cell_ops_free(n)) {
		run_peer(n, top->owner);
		top = heap_top(&n->timers);
	}
	for (size_t i = 0; i < NODE_INVITES_MAX && cell_ops_free(n); i++)
		if (n->hosts[i].live &&
		    n->hosts[i].meet.publish_at_ms <= n->now.mono_ms)
			serve(n, &n->hosts[i]);
	dummies_run(n);
}
