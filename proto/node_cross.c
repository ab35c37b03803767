/*
 * From a route to a direct path: while a session runs by an introducer both
 * sides tell each other where they are, and try to get through to there. The
 * caller offers as soon as words may leave; whoever came by a route and hears
 * no offer makes one. It goes on, ever more rarely, as long as the session
 * runs by a route. [SPEC §8.3]
 */
#include "proto/node_int.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum {
	OFFER_WAIT_MS = 1000, /* for theirs */
	AGAIN_MIN_MS = PLAN_AGAIN_MS,
	AGAIN_MAX_MS = 10 * 60 * 1000,
	HEAVY_EVERY_MS = 10 * 60 * 1000, /* to one contact */
	SHOTS_MAX = 256,                 /* due at once, of one crossing */
	CLOSE_MS = 1000, /* a socket whose session has ended stays */
};

static struct crossing *
crossing_of(struct node *n, const struct peer *p)
{
	for (size_t i = 0; i < CROSSINGS_MAX; i++)
		if (n->crossings[i].used && n->crossings[i].slot == p->slot)
			return &n->crossings[i];
	return NULL;
}

static bool
is_routed(const struct peer *p)
{
	return p->online && endpoint_is_route(&p->path, NULL);
}

/* By others' bytes, not by a socket of ours. */
static bool
is_poor(const struct peer *p)
{
	return p->online && endpoint_is_relayed(&p->path);
}

/* ---- sockets ---- */

/* The one that carries the session stays. */
static void
close_sockets(struct node *n, struct crossing *c)
{
	const struct peer *p = peer_by_slot(n, c->slot);
	struct route r;
	bool has = p != NULL && p->online && route_look(n, &p->path, &r) &&
	           r.kind == ROUTE_SOCKET;

	for (unsigned i = 1; i <= c->n_sockets; i++) {
		unsigned socket = c->socket[i];

		if (!socket_is_open(n, socket) || (has && r.socket == socket))
			continue;
		route_socket_closed(n, socket);
		socket_close(n, socket);
	}
	c->n_sockets = 0;
}

static void
open_sockets(struct node *n, struct crossing *c)
{
	struct endpoint outside;
	unsigned count = plan_sockets(&c->plan);

	assert(count <= PLAN_SPREAD_RANDOM);
	if (!plan_outside(&c->plan, &outside))
		return;
	for (unsigned i = 1; i <= count; i++) {
		c->socket[i] =
		    (uint8_t)socket_open(n, endpoint_family(&outside));
		if (c->socket[i] == 0)
			return;
		c->n_sockets = (uint8_t)i;
	}
}

/* Sockets that carried the session of a contact who is gone or went another
 * way. */
static void
close_unused(struct node *n)
{
	for (unsigned s = 1; s <= NODE_SOCKETS_MAX; s++) {
		bool used = !socket_is_open(n, s);
		struct route r;

		for (size_t i = 0; i < CROSSINGS_MAX && !used; i++)
			for (unsigned k = 1; k <= n->crossings[i].n_sockets;
			     k++)
				used |= n->crossings[i].used &&
				        n->crossings[i].socket[k] == s;
		for (size_t i = 0; i < n->peers_cap && !used; i++)
			used = n->peers[i] != NULL && n->peers[i]->online &&
			       route_look(n, &n->peers[i]->path, &r) &&
			       r.kind == ROUTE_SOCKET && r.socket == s;
		if (used)
			continue;
		route_socket_closed(n, s);
		socket_close(n, s);
	}
}

/* ---- offers ---- */

static void
their_side(const struct peer *p, struct plan_side *ret)
{
	const struct link_candidates *o = &p->offer;

	*ret = (struct plan_side){ 0 };
	if (!p->has_offer) { /* what their cell said */
		for (uint8_t i = 0; i < p->c.n_candidates; i++)
			ret->candidate[ret->n++] = p->c.candidates[i];
		return;
	}
	ret->nat.kind = o->class;
	ret->nat.lo = o->lo;
	ret->nat.hi = o->hi;
	ret->nat.step = o->step;
	for (uint8_t i = 0; i < o->n && i < PLAN_CANDIDATES_MAX; i++)
		ret->candidate[ret->n++] = o->endpoint[i];
}

/* Ours, as it is for this contact: it may have a flow of ours already. */
static void
view_for(const struct node *n, const struct peer *p, struct nat_view *ret)
{
	struct plan_side s;

	intro_nat(n, ret);
	their_side(p, &s);
	for (uint8_t i = 0; i < s.n && ret->lo == ret->hi; i++)
		nat_view_for(
		    &n->nat[FAMILY_V4], &s.candidate[i], n->now.mono_ms, ret);
}

static void
fill_offer(const struct node *n, const struct peer *p, bool wants_answer,
    struct link_candidates *o)
{
	struct nat_view view;

	view_for(n, p, &view);
	*o = (struct link_candidates){
		.class = view.kind,
		.lo = view.lo,
		.hi = view.hi,
		.step = view.step,
		.wants_answer = wants_answer,
	};
	_Static_assert((int)LINK_CANDIDATES_MAX >= CELL_CANDIDATES_MAX, "");
	o->n = own_candidates(n, o->endpoint);
	o->n_introducers = intro_list(n, o->introducers);
}

static void
offer(struct node *n, struct peer *p, bool wants_answer)
{
	struct link_candidates o;

	fill_offer(n, p, wants_answer, &o);
	if (links_offer(n->links, p->slot, &o) == ERR_OK)
		n->unsettled = true; /* else the link has just ended */
}

/* A relay is a better route than an introducer: is he one to this contact? The
 * link goes there if he is. */
static void
ask_relays(struct node *n, struct peer *p)
{
	struct endpoint to;

	if (!p->online || endpoint_rank(&p->path) != RANK_POOR)
		return;
	for (uint8_t i = 0; i < p->n_introducers; i++)
		if (route_by_introducer(n, &p->introducers[i], &to) &&
		    endpoint_rank(&to) == RANK_ROOMY)
			links_probe(n->links, p->slot, &to, 0, n->now);
}

/* ---- a try ---- */

static void
finish(struct node *n, struct crossing *c)
{
	close_sockets(n, c);
	sodium_memzero(c, sizeof(*c));
}

/* It has come to an end, this or that. */
static void
tell(struct node *n, struct peer *p, const struct crossing *c, bool found)
{
	const struct plan_config *cfg = &c->plan.c;
	struct why_step step = {
		.kind = WHY_CROSS,
		.at_ms = n->now.mono_ms,
		.took_ms = (uint32_t)(n->now.mono_ms - c->began_ms),
		.found = found,
		.n_tried = cfg->theirs.n,
		.own = cfg->own.kind,
		.theirs = cfg->theirs.nat.kind,
		.sent = c->sent,
		.offered = p->has_offer,
	};

	if (c->asked)
		step.many = c->heavy ? WHY_MANY_SENT : WHY_MANY_DECLINED;
	why_note(&p->why, &step);
}

static void
begin(struct node *n, struct peer *p, bool answers)
{
	struct plan_config cfg = { .rng = &n->rng, .answers = answers };
	struct crossing *c = crossing_of(n, p);
	struct link_info l = { 0 };

	if (c != NULL)
		finish(n, c);
	for (size_t i = 0; c == NULL && i < CROSSINGS_MAX; i++)
		if (!n->crossings[i].used)
			c = &n->crossings[i];
	if (c == NULL)
		return; /* later: cross_ms stands */
	(void)links_info(n->links, p->slot, &l);
	intro_nat(n, &cfg.own);
	their_side(p, &cfg.theirs);
	cfg.rtt_ms = l.rtt_ms;
	cfg.attempt = p->n_crossings;
	ask_relays(n, p);
	*c = (struct crossing){
		.used = true, .slot = p->slot, .began_ms = n->now.mono_ms
	};
	plan_init(&c->plan, &cfg, n->now.mono_ms);
	p->cross_ms = NEVER;
	n->unsettled = true;
}

static void
again_later(struct node *n, struct peer *p)
{
	uint64_t wait = AGAIN_MIN_MS;

	for (uint32_t i = 0; i < p->n_crossings && wait < AGAIN_MAX_MS; i++)
		wait *= 2;
	if (wait > AGAIN_MAX_MS)
		wait = AGAIN_MAX_MS;
	wait += rng_below(&n->rng, (uint32_t)(wait / 4));
	p->n_crossings++;
	p->cross_ms = n->now.mono_ms + wait;
}

/* Many packets, or sockets, to one address: once at a time, only while others
 * carry the session, and only to an address at which somebody else sees the
 * contact; else he could aim us at whom he likes. All of it is so when they are
 * due: what he says before that may change, and takes nothing from others. */
static void
maybe_agree(struct node *n, struct peer *p, struct crossing *c)
{
	uint64_t now_ms = n->now.mono_ms;
	struct endpoint outside;
	struct route r;

	c->asked = true;
	for (size_t i = 0; i < CROSSINGS_MAX; i++)
		if (n->crossings[i].used && n->crossings[i].heavy)
			return;
	if (!is_poor(p) || !plan_outside(&c->plan, &outside) ||
	    !route_look(n, &p->path, &r) ||
	    !endpoint_same_addr(&outside, &r.seen) ||
	    plan_sockets(&c->plan) > n->sockets_max - n->n_sockets ||
	    (p->heavy_ms != 0 && now_ms < p->heavy_ms + HEAVY_EVERY_MS))
		return;
	p->heavy_ms = now_ms;
	c->heavy = true;
	plan_agree(&c->plan);
	open_sockets(n, c);
}

static void
fire(struct node *n, struct crossing *c, const struct plan_shot *shot)
{
	unsigned socket = 0;
	struct way way = { .to = shot->to, .hops = shot->hops };
	struct endpoint to = shot->to;

	if (shot->socket > c->n_sockets)
		return; /* it could not be opened */
	if (shot->socket > 0)
		socket = c->socket[shot->socket];
	if (socket > 0 && !socket_is_open(n, socket))
		return;
	c->sent++;
	if (shot->hops == 0) {
		if (socket > 0 && !route_by_socket(n, socket, &shot->to, &to))
			return;
		links_probe(n->links, c->slot, &to, 0, n->now);
		return;
	}
	way.socket = socket;
	effect_opener(n, &way);
}

static void
run(struct node *n, struct crossing *c)
{
	struct peer *p = peer_by_slot(n, c->slot);
	struct plan_shot shot;

	if (p == NULL || !(p->online || p->early)) {
		finish(n, c);
		return;
	}
	if (!c->heavy && plan_is_heavy(&c->plan))
		maybe_agree(n, p, c);
	for (int i = 0; i < SHOTS_MAX; i++) {
		if (!plan_next(&c->plan, n->now.mono_ms, &shot))
			break;
		fire(n, c, &shot);
	}
	if (!plan_is_over(&c->plan))
		return;
	tell(n, p, c, !is_poor(p));
	finish(n, c);
	if (is_poor(p))
		again_later(n, p);
}

/* ---- what happens to a session ---- */

static void
count_routed(struct node *n)
{
	n->n_routed = 0;
	for (size_t i = 0; i < n->peers_cap; i++)
		n->n_routed += n->peers[i] != NULL && is_routed(n->peers[i]);
}

void
cross_on_early(struct node *n, struct peer *p, const struct endpoint *path)
{
	if (!endpoint_is_relayed(path))
		return;
	p->n_crossings = 0;
	p->has_offer = false;
	offer(n, p, true);
	begin(n, p, false);
}

void
cross_on_up(struct node *n, struct peer *p)
{
	count_routed(n);
	reach_routes(n, p);
	if (!is_poor(p)) {
		cross_on_path(n, p, false);
		return;
	}
	ask_relays(n, p);
	if (crossing_of(n, p) != NULL)
		return;
	p->n_crossings = 0;
	p->cross_ms = n->now.mono_ms + OFFER_WAIT_MS;
}

void
cross_on_path(struct node *n, struct peer *p, bool was_poor)
{
	struct crossing *c = crossing_of(n, p);

	count_routed(n);
	if (is_poor(p) && was_poor)
		return;   /* by another introducer: the try goes on */
	if (is_poor(p)) { /* the direct one is lost */
		p->n_crossings = 0;
		p->cross_ms = n->now.mono_ms;
		return;
	}
	p->cross_ms = NEVER;
	if (c != NULL) {
		tell(n, p, c, true);
		finish(n, c);
	}
	if (n->n_sockets > 0)
		close_unused(n);
}

void
cross_on_down(struct node *n, struct peer *p)
{
	struct crossing *c = crossing_of(n, p);

	count_routed(n);
	p->cross_ms = NEVER;
	if (c != NULL) {
		tell(n, p, c, false);
		finish(n, c);
	}
	p->has_offer = false;
	/* Who has begun anew comes up in the same moment, by the same way. */
	if (n->n_sockets > 0)
		n->close_ms = n->now.mono_ms + CLOSE_MS;
}

/* An offer came twice, or tells of other introducers: the try under way would
 * do the same again, or does what is done once in a long time. */
static bool
goes_on(const struct crossing *c, const struct plan_side *theirs)
{
	const struct plan_side *known = &c->plan.c.theirs;
	struct endpoint outside;
	bool still = false;

	if (!plan_outside(&c->plan, &outside) ||
	    known->nat.kind != theirs->nat.kind)
		return false;
	for (uint8_t i = 0; i < theirs->n; i++)
		still |= endpoint_same_addr(&theirs->candidate[i], &outside);
	if (c->plan.state == PLAN_HEAVY)
		return still;
	return c->plan.state == PLAN_PROBING &&
	       known->nat.lo == theirs->nat.lo &&
	       known->nat.hi == theirs->nat.hi && known->n == theirs->n &&
	       memcmp(known->candidate, theirs->candidate,
	           theirs->n * sizeof(theirs->candidate[0])) == 0;
}

void
cross_on_offer(
    struct node *n, struct peer *p, const struct link_candidates *theirs)
{
	struct crossing *c = crossing_of(n, p);
	struct plan_side side;

	p->offer = *theirs;
	p->has_offer = true;
	p->nat = theirs->class;
	if (theirs->n_introducers > 0) {
		memcpy(p->introducers, theirs->introducers,
		    sizeof(p->introducers));
		p->n_introducers = theirs->n_introducers;
		reach_routes(n, p);
		ask_relays(n, p);
	}
	if (theirs->wants_answer)
		offer(n, p, false);
	if (!is_poor(p) && !p->early)
		return;
	their_side(p, &side);
	if (!theirs->wants_answer) {
		if (c != NULL)
			plan_answered(&c->plan, &side, n->now.mono_ms);
	} else if (c == NULL || !goes_on(c, &side)) {
		begin(n, p, true);
	}
}

/* We are somewhere else, or others pass for us: who has a session with us is
 * told in it. */
void
cross_changed(struct node *n)
{
	for (size_t i = 0; i < n->peers_cap; i++)
		if (n->peers[i] != NULL && n->peers[i]->online)
			offer(n, n->peers[i], is_poor(n->peers[i]));
}

/* ---- time ---- */

void
cross_tick(struct node *n)
{
	for (size_t i = 0; i < CROSSINGS_MAX; i++)
		if (n->crossings[i].used &&
		    plan_deadline_ms(&n->crossings[i].plan) <= n->now.mono_ms)
			run(n, &n->crossings[i]);
	if (n->close_ms <= n->now.mono_ms) {
		n->close_ms = NEVER;
		close_unused(n);
	}
	if (n->n_routed == 0)
		return;
	for (size_t i = 0; i < n->peers_cap; i++) {
		struct peer *p = n->peers[i];

		if (p == NULL || p->cross_ms > n->now.mono_ms)
			continue;
		p->cross_ms = n->now.mono_ms + AGAIN_MIN_MS;
		offer(n, p, true);
		begin(n, p, false);
	}
}

uint64_t
cross_deadline_ms(const struct node *n)
{
	uint64_t at = n->close_ms;

	for (size_t i = 0; i < CROSSINGS_MAX; i++) {
		uint64_t next = NEVER;

		if (n->crossings[i].used)
			next = plan_deadline_ms(&n->crossings[i].plan);
		if (next < at)
			at = next;
	}
	for (size_t i = 0; n->n_routed > 0 && i < n->peers_cap; i++)
		if (n->peers[i] != NULL && n->peers[i]->cross_ms < at)
			at = n->peers[i]->cross_ms;
	return at;
}
