/* Contacts of a node, and what their links tell. */
#include "proto/node_int.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* ---- the table ---- */

struct peer *
peer_by_id(const struct node *n, const struct contact_id *id)
{
	return map_get(&n->by_id, id->b);
}

struct peer *
peer_by_slot(const struct node *n, uint32_t slot)
{
	return slot < n->peers_cap ? n->peers[slot] : NULL;
}

/* A free slot, or UINT32_MAX. */
static uint32_t
free_slot(struct node *n)
{
	size_t old = n->peers_cap, cap = old ? old * 2 : 16;
	struct peer **p;

	if (n->n_peers < old)
		for (size_t i = 0; i < old; i++)
			if (n->peers[i] == NULL)
				return (uint32_t)i;
	if (old == NODE_CONTACTS_MAX)
		return UINT32_MAX;
	if (cap > NODE_CONTACTS_MAX)
		cap = NODE_CONTACTS_MAX;
	p = realloc(n->peers, cap * sizeof(struct peer *));
	if (p == NULL)
		return UINT32_MAX;
	for (size_t i = old; i < cap; i++)
		p[i] = NULL;
	n->peers = p;
	n->peers_cap = cap;
	return (uint32_t)old;
}

enum err
peer_new(struct node *n, const struct contact *c, struct peer **ret)
{
	struct peer *p;
	uint32_t slot;

	if (map_get(&n->by_pk, c->pk.b) != NULL ||
	    map_get(&n->by_id, c->id.b) != NULL)
		return ERR_EXISTS;
	if (n->n_peers == NODE_CONTACTS_MAX)
		return ERR_LIMIT;
	slot = free_slot(n);
	if (slot == UINT32_MAX || heap_reserve(&n->timers, n->n_peers + 1))
		return ERR_NOMEM;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return ERR_NOMEM;
	p->c = *c;
	p->slot = slot;
	p->timer.owner = p;
	p->cross_ms = NEVER;
	p->quiet_at_ms = NEVER;
	p->hold_ms = NEVER;
	outbox_init(&p->outbox);
	record_reader_init(&p->reader);
	rendezvous_stop(&p->meet);
	if (map_put(&n->by_id, c->id.b, p) || map_put(&n->by_pk, c->pk.b, p)) {
		(void)map_del(&n->by_id, c->id.b);
		free(p);
		return ERR_NOMEM;
	}
	assert(n->peers[slot] == NULL);
	n->peers[slot] = p;
	n->n_peers++;
	lan_changed(n);
	*ret = p;
	return ERR_OK;
}

/* Takes p out of a singly linked list. */
static void
unlist(struct peer **head, const struct peer *p, bool work)
{
	struct peer **at = head;

	while (*at != NULL && *at != p)
		at = work ? &(*at)->work_next : &(*at)->dirty_next;
	if (*at != NULL)
		*at = work ? p->work_next : p->dirty_next;
}

void
peer_del(struct node *n, struct peer *p)
{
	p->online = false;
	cross_on_down(n, p);
	relay_forget(n, p);
	unlist(&n->dirty, p, false);
	unlist(&n->work, p, true);
	heap_remove(&n->timers, &p->timer);
	(void)map_del(&n->by_id, p->c.id.b);
	(void)map_del(&n->by_pk, p->c.pk.b);
	n->peers[p->slot] = NULL;
	lan_forget(n);
	n->n_peers--;
	n->dummies_stale = true;
	assert(n->outbox_bytes >= p->outbox.bytes);
	n->outbox_bytes -= p->outbox.bytes;
	outbox_clear(&p->outbox);
	record_reader_clear(&p->reader);
	contact_wipe(&p->c);
	free(p);
}

/* ---- links ---- */

void
self_to_links(struct node *n)
{
	const struct self *s = &n->self;
	struct link_self l = { .id = s->id, .n_s = s->n_s, .reach = s->reach };

	_Static_assert((int)SELF_STATICS_MAX <= (int)LINK_STATICS_MAX, "");
	for (uint8_t i = 0; i < s->n_s; i++) {
		l.s[i].sk = s->s[i].sk;
		l.s[i].pk = s->s[i].pk;
		l.s[i].cert = s->s[i].cert;
	}
	l.has_reach_prev = s->reach_prev_until_s != 0;
	l.reach_prev = s->reach_prev;
	node_key(n, FAMILY_V4, &l.node[FAMILY_V4]);
	node_key(n, FAMILY_V6, &l.node[FAMILY_V6]);
	if (n->relays)
		l.capabilities = LINK_CAPABILITY_RELAY;
	links_set_self(n->links, &l);
	sodium_memzero(&l, sizeof(l));
}

static bool
may_fall_back(const struct node *n, const struct contact *c)
{
	switch (c->fallback) {
	case FALLBACK_ALLOW:
		return true;
	case FALLBACK_DENY:
		return false;
	case FALLBACK_AUTO:
		break;
	}
	return !c->verified && !n->denies_fallback;
}

void
peer_to_links(struct node *n, struct peer *p)
{
	const struct contact *c = &p->c;
	struct link_peer l = { .role = LINK_CONTACT, .id = c->pk };
	uint32_t number = p->slot;

	if (peer_is_shut(p))
		return;
	if (c->invited) {
		l.role = LINK_INVITED;
		number += PEER_PAIRING;
		p->pairing = true;
	}
	_Static_assert((int)CONTACT_STATICS_MAX == LINK_PEER_STATICS_MAX, "");
	memcpy(l.s, c->s, sizeof(l.s));
	l.n_s = c->n_s;
	l.reach = c->reach;
	chat_epoch(n, p, l.db_epoch);
	l.rk0 = c->rk0;
	l.ratchet = c->ratchet;
	l.last_ts_ms = c->last_ts_ms;
	l.allow_fallback = may_fall_back(n, c);
	if (links_set_peer(n->links, number, &l))
		n->failed = true;
	sodium_memzero(&l, sizeof(l));
}

/* A step that is not a lookup, for who asks why. */
static void
note(struct node *n, struct peer *p, enum why_kind kind, uint8_t n_tried)
{
	struct why_step step = {
		.kind = kind, .at_ms = n->now.mono_ms, .n_tried = n_tried
	};

	why_note(&p->why, &step);
}

/* Who passes to him what we send, if he is not reached directly. */
void
reach_routes(struct node *n, struct peer *p)
{
	uint32_t number = p->c.invited ? PEER_PAIRING + p->slot : p->slot;
	struct endpoint to[CELL_INTRODUCERS_MAX];
	size_t count = 0;

	_Static_assert((int)CELL_INTRODUCERS_MAX <= (int)LINK_ROUTES_MAX, "");
	for (uint8_t i = 0; i < p->n_introducers; i++)
		if (route_by_introducer(n, &p->introducers[i], &to[count]))
			count++;
	links_set_routes(n->links, number, to, count, n->now);
	if (p->crossed)
		links_set_routes(
		    n->links, PEER_PAIRING + p->slot, to, count, n->now);
}

void
reach_changed(struct node *n)
{
	meet_changed(n);
	cross_changed(n);
}

static void
note_knock(struct node *n, struct peer *p)
{
	struct why_step pass = { .kind = WHY_PASS, .at_ms = n->now.mono_ms };

	if (p->c.n_candidates > 0)
		note(n, p, WHY_KNOCK, p->c.n_candidates);
	pass.n_tried = p->n_introducers;
	for (uint8_t i = 0; i < p->n_introducers; i++)
		if (relay_of(n, &p->introducers[i].n) != NULL)
			pass.n_relays++;
	if (pass.n_tried > 0)
		why_note(&p->why, &pass);
}

/* Message 1 goes all ways at once, by introducers too: the one that is direct
 * is the quickest, if there is one. */
void
peer_connect(struct node *n, struct peer *p)
{
	uint32_t number = p->c.invited ? PEER_PAIRING + p->slot : p->slot;
	unsigned count = p->n_introducers;
	/* Their router lets us in, or nobody else can pass it on. */
	bool is_direct = p->nat == NAT_OPEN || p->n_introducers == 0;
	uint8_t hops = is_direct ? 0 : PLAN_HOPS;

	count += p->c.n_candidates;
	if (count == 0 || peer_is_shut(p))
		return;
	reach_routes(n, p);
	if (p->c.n_s > 0) {
		links_connect(n->links, number, p->c.candidates,
		    p->c.n_candidates, hops, n->now);
		note_knock(n, p);
	}
	if (p->crossed) /* they may have taken the root that we missed */
		links_connect(n->links, PEER_PAIRING + p->slot, p->c.candidates,
		    p->c.n_candidates, hops, n->now);
}

/* Whatever ended it. */
static void
session_over(struct node *n, struct peer *p)
{
	if (p->online)
		effect_event(n, NODE_OFFLINE, p, NULL, ERR_OK);
	p->online = false;
	p->early = false;
	p->ack_due = false;
	receipt_down(n, p);
	cross_on_down(n, p);
	record_reader_clear(&p->reader);
}

/* Ends the link; none begins before until_ms. */
static void
end_link(struct node *n, struct peer *p, uint64_t until_ms)
{
	session_over(n, p);
	relay_forget(n, p);
	links_shun(n->links, p->slot, until_ms, n->now);
	meet_start(n, p);
}

void
peer_shun(struct node *n, struct peer *p, enum err why)
{
	effect_event(n, NODE_REFUSED, p, NULL, why);
	p->shunned_until_ms = n->now.mono_ms + NODE_SHUN_MS;
	end_link(n, p, p->shunned_until_ms);
}

void
peer_relink(struct node *n, struct peer *p)
{
	end_link(n, p, n->now.mono_ms);
	peer_to_links(n, p);
	peer_connect(n, p);
}

/* HELLO of a contact: its keys are verified; take what is new. */
static enum err
learn_hello(struct node *n, struct peer *p, const struct link_hello *h)
{
	struct contact *c = &p->c;
	struct cert says = h->says;
	bool changed;
	enum err err;

	/* The S before the present one may still be in use at the peer's. */
	if (c->n_s == 2 && memcmp(c->s[1].b, says.s.b, 32) == 0) {
		says.s = c->s[0];
		says.gen = c->gen;
	}
	err = contact_learn(c, &says, &h->reach, &changed);
	if (err)
		return err;
	if (changed) {
		peer_dirty(n, p);
		peer_to_links(n, p);
	}
	return ERR_OK;
}

/* His overlay node, where he is met at an address. */
static void
learn_node(struct node *n, struct peer *p)
{
	enum family f = endpoint_family(&p->path);
	struct dht_node node;
	unsigned socket;

	p->has_node =
	    !endpoint_is_route(&p->path, NULL) && node_key_is_set(&p->keys[f]);
	if (p->has_node) {
		p->node = (struct dht_node){ p->path, p->keys[f] };
		nets_met(n, &p->path, p->keys);
	}
	if (relay_at(n, p, &node, &socket))
		intro_forgive(n, &node.at);
	relays_changed(n);
}

static void
on_up(struct node *n, struct peer *p, const struct link_out *out)
{
	const struct link_hello *h = &out->hello;
	enum err err = learn_hello(n, p, h);

	if (err) { /* an old or doubled generation: [SPEC §4.2] */
		peer_shun(n, p, err);
		return;
	}
	p->online = true;
	p->denied = p->denied_told = false;
	note(n, p, WHY_UP, 0);
	p->path = out->endpoint;
	if (contact_learn_path(&p->c, &out->endpoint))
		peer_dirty(n, p);
	relay_on_up(n, p, h);
	learn_node(n, p);
	if (p->pairing && !p->c.invited) {
		links_remove_peer(n->links, PEER_PAIRING + p->slot, n->now);
		p->pairing = false;
	}
	p->crossed = false;
	hosts_met(n, p);
	if (!p->c.ready) {
		p->c.ready = true;
		peer_store(n, p);
		effect_event(n, NODE_CONTACT_READY, p, NULL, ERR_OK);
	}
	effect_event(n, NODE_ONLINE, p, &out->endpoint, ERR_OK);
	presence_settle(n, p);
	clock_heard(n, p, h->time_ms);
	if (!p->vouches)
		effect_event(n, NODE_CLOCK, p, NULL, ERR_OK);
	meet_stop(n, p);
	cross_on_up(n, p);
	chat_up(n, p, h, out->early);
}

static void
on_hello(struct node *n, struct peer *p, const struct link_hello *h)
{
	clock_heard(n, p, h->time_ms);
	if (p->online && relay_on_hello(n, p, h))
		learn_node(n, p);
}

static void
on_down(struct node *n, struct peer *p, enum err why)
{
	bool said_goodbye = p->online && why == ERR_OK;

	if (p->online)
		note(n, p, WHY_DOWN, 0);
	session_over(n, p);
	if (said_goodbye)
		meet_start_later(n, p);
	else if (n->woke_ms != 0 && n->now.mono_ms - n->woke_ms < NODE_WAKE_MS)
		meet_start_with_others(n, p); /* all have died at once */
	else
		meet_start(n, p);
	presence_settle(n, p);
}

static void
on_path(struct node *n, struct peer *p, const struct endpoint *e)
{
	bool was_poor = endpoint_is_relayed(&p->path);

	p->path = *e;
	if (contact_learn_path(&p->c, e))
		peer_dirty(n, p);
	learn_node(n, p);
	effect_event(n, NODE_ONLINE, p, e, ERR_OK);
	cross_on_path(n, p, was_poor);
}

/* The event is durable: not one for each handshake of who does it on purpose.
 */
static void
on_fallback(struct node *n, struct peer *p)
{
	if (p->fallback_ms != 0 && n->now.mono_ms < p->fallback_ms)
		return;
	p->fallback_ms = n->now.mono_ms + NODE_SHUN_MS;
	effect_event(n, NODE_FALLBACK, p, NULL, ERR_OK);
}

/* The event is durable, and nothing changes until people decide: one is
 * enough. Who is not proven leaves none. [SPEC §6.6] */
static void
on_denied(struct node *n, struct peer *p, bool proven)
{
	if (p->online && !proven)
		return; /* who is here has the ratchet: it was somebody else */
	p->denied = true;
	if (!proven || p->denied_told)
		return;
	p->denied_told = true;
	effect_event(n, NODE_DENIED, p, NULL, ERR_OK);
}

void
contact_on_link(struct node *n, const struct link_out *out)
{
	struct peer *p = peer_by_slot(n, out->peer);

	if (p == NULL || peer_is_shut(p))
		return; /* a pairing peer's, or of one just removed */
	switch (out->kind) {
	case LINK_OUT_STATE:
		p->c.ratchet = out->ratchet;
		p->c.last_ts_ms = out->last_ts_ms;
		peer_dirty(n, p);
		break;
	case LINK_OUT_EARLY:
		chat_early(n, p);
		cross_on_early(n, p, &out->endpoint);
		break;
	case LINK_OUT_CANDIDATES:
		cross_on_offer(n, p, &out->candidates);
		break;
	case LINK_OUT_UP:
		on_up(n, p, out);
		break;
	case LINK_OUT_HELLO:
		on_hello(n, p, &out->hello);
		break;
	case LINK_OUT_DOWN:
		on_down(n, p, out->err);
		break;
	case LINK_OUT_DATA:
		chat_on_data(n, p, out->data);
		break;
	case LINK_OUT_WRITABLE:
		chat_work(n, p);
		break;
	case LINK_OUT_PATH:
		on_path(n, p, &out->endpoint);
		break;
	case LINK_OUT_PONG:
		effect_pong(n, p, out->rtt_ms);
		break;
	case LINK_OUT_FALLBACK:
		on_fallback(n, p);
		break;
	case LINK_OUT_DENIED:
		on_denied(n, p, out->proven);
		break;
	case LINK_OUT_REFUSED:
		peer_shun(n, p, out->err);
		break;
	case LINK_OUT_OBSERVED: /* one contact's word; the DHT has many */
	case LINK_OUT_SEND:
	case LINK_OUT_CALLER:
	case LINK_OUT_TS:
	case LINK_OUT_PAIRED:
	case LINK_OUT_BULK: /* nothing opens it yet */
	case LINK_OUT_BULK_WRITABLE:
		break;
	}
}

/* ---- commands ---- */

enum err
node_contact_add(struct node *n, const struct id_pk *id, struct contact_id *ret,
    struct now now)
{
	struct contact_id cid;
	struct contact c;
	struct peer *p;
	enum err err;

	node_time(n, now);
	if (!n->has_self)
		return ERR_STATE;
	if (node_contact_find(n, id, ret))
		return ERR_EXISTS;
	rng_fill(&n->rng, cid.b, sizeof(cid.b));
	err = contact_init_mutual(&c, &cid, &n->self.sk, id);
	if (err)
		return err;
	err = peer_new(n, &c, &p);
	contact_wipe(&c);
	if (err)
		return err;
	peer_store(n, p);
	peer_to_links(n, p);
	meet_start(n, p);
	*ret = cid;
	n->unsettled = true;
	return ERR_OK;
}

enum err
node_ping(struct node *n, const struct contact_id *contact, struct now now)
{
	struct peer *p = peer_by_id(n, contact);
	enum err err;

	node_time(n, now);
	if (p == NULL)
		return ERR_NOT_FOUND;
	if (!p->online)
		return ERR_STATE;
	err = links_ping(n->links, p->slot, n->now);
	n->unsettled = true;
	return err;
}

/* Who is gone knew R, N and our handles: from now on he finds us no more. */
static void
hide(struct node *n)
{
	n->hides = true;
	intro_renew(n, false);
	routes_end_shut(n);
	self_renew_reach(&n->self, &n->rng, n->now.wall_ms / 1000);
	n->self_dirty = true;
	self_to_links(n);
	links_woke(n->links, n->now); /* the others are to know our N */
	meet_changed(n);
	n->unsettled = true;
}

static void
no_more_links(struct node *n, struct peer *p)
{
	links_remove_peer(n->links, p->slot, n->now);
	if (p->pairing)
		links_remove_peer(n->links, PEER_PAIRING + p->slot, n->now);
	meet_forget(n, p);
	hosts_met(n, p);
}

enum err
node_contact_delete(struct node *n, const struct contact_id *id, struct now now)
{
	struct change c = { .kind = CHANGE_CONTACT_GONE, .has_contact = true };
	struct peer *p = peer_by_id(n, id);
	bool was_shut;

	node_time(n, now);
	if (p == NULL)
		return ERR_NOT_FOUND;
	c.contact = *id;
	effect_change(n, &c);
	was_shut = peer_is_shut(p);
	no_more_links(n, p);
	peer_del(n, p);
	if (!was_shut) /* else he has heard nothing since we hid */
		hide(n);
	n->unsettled = true;
	return ERR_OK;
}

void
peer_shut(struct node *n, struct peer *p)
{
	assert(peer_is_shut(p));
	session_over(n, p);
	for (int f = 0; f < FAMILY_COUNT; f++)
		if (node_key_is_set(&p->keys[f]))
			p->shut_keys[f] = p->keys[f];
	relay_forget(n, p);
	no_more_links(n, p);
	p->pairing = false;
	p->crossed = false;
	meet_stop(n, p);
	lan_forget(n);
	relays_changed(n);
	hide(n);
}

void
peer_open(struct node *n, struct peer *p)
{
	assert(!peer_is_shut(p));
	peer_to_links(n, p);
	meet_start(n, p);
	lan_changed(n);
}

enum err
node_contact_block(
    struct node *n, const struct contact_id *id, bool blocked, struct now now)
{
	struct peer *p = peer_by_id(n, id);

	node_time(n, now);
	if (p == NULL)
		return ERR_NOT_FOUND;
	if (p->c.blocked == blocked)
		return ERR_OK;
	p->c.blocked = blocked;
	if (blocked) {
		if (!p->c.quiet)
			peer_shut(n, p);
		chat_give_up(n, p);
	} else if (!p->c.quiet) {
		peer_open(n, p);
	}
	presence_settle(n, p);
	peer_store(n, p);
	n->unsettled = true;
	return ERR_OK;
}

_Static_assert((int)NODE_FALLBACK_AUTO == (int)FALLBACK_AUTO &&
                   (int)NODE_FALLBACK_ALLOW == (int)FALLBACK_ALLOW &&
                   (int)NODE_FALLBACK_DENY == (int)FALLBACK_DENY,
    "one enum in two layers");

enum err
node_contact_decide(struct node *n, const struct contact_id *id,
    const struct node_decision *what, struct now now)
{
	struct peer *p = peer_by_id(n, id);
	bool did_relay, did_hide;

	node_time(n, now);
	if (p == NULL)
		return ERR_NOT_FOUND;
	assert(what->fallback <= NODE_FALLBACK_DENY);
	did_relay = p->c.relay;
	did_hide = p->c.hides;
	p->c.hides = what->hides;
	p->c.relay = what->relay;
	relay_decided(n, p, did_relay);
	p->c.verified = what->verified;
	p->c.fallback = (enum contact_fallback)what->fallback;
	p->denied &= !may_fall_back(n, &p->c);
	p->denied_told &= p->denied;
	peer_store(n, p);
	peer_to_links(n, p);
	if (!p->online && !peer_is_shut(p))
		meet_start(n, p); /* it may be let in now */
	if (p->c.hides != did_hide)
		presence_decided(n, p);
	n->unsettled = true;
	return ERR_OK;
}

bool
node_contact_find(
    const struct node *n, const struct id_pk *id, struct contact_id *ret)
{
	const struct peer *p = map_get(&n->by_pk, id->b);

	if (p != NULL)
		*ret = p->c.id;
	return p != NULL;
}

/* What stands behind a path that is no address. */
static void
look_route(
    const struct node *n, const struct peer *p, struct node_contact_info *ret)
{
	const struct peer *relay;
	struct route r;

	ret->path = (struct endpoint){ 0 };
	ret->way = NODE_WAY_INTRODUCER;
	if (!route_look(n, &p->path, &r))
		return;
	ret->path = r.way.introducer.at;
	relay = r.kind == ROUTE_INTRODUCER && r.roomy
	            ? relay_of(n, &r.way.introducer.n)
	            : NULL;
	if (relay != NULL) {
		ret->way = NODE_WAY_RELAY;
		ret->relay = relay->c.id;
	}
	if (r.kind == ROUTE_SOCKET) {
		ret->way = NODE_WAY_DIRECT;
		ret->path = r.at;
	}
}

bool
node_contact_get(const struct node *n, const struct contact_id *id,
    struct node_contact_info *ret)
{
	const struct peer *p = peer_by_id(n, id);
	struct link_info l = { 0 };

	if (p == NULL)
		return false;
	(void)links_info(n->links, p->slot, &l);
	*ret = (struct node_contact_info){
		.id = p->c.pk,
		.state = peer_state(p),
		.online = p->online,
		.connecting = l.connecting,
		.decided = { p->c.verified, p->c.relay, p->c.hides,
		    (enum node_fallback)p->c.fallback },
		.denied = p->denied,
		.path = p->path,
		.way = p->online ? NODE_WAY_DIRECT : NODE_WAY_NONE,
		.rtt_ms = l.rtt_ms,
		.bytes_in = l.bytes_in,
		.bytes_out = l.bytes_out,
		.rekeys = l.rekeys,
		.outbox = p->outbox.n,
		.published_ms = p->meet.published_ms,
		.looked_up_ms = p->meet.looked_ms,
		.next_lookup_ms = p->meet.look_at_ms,
		.next_publish_ms = p->meet.publish_at_ms,
		.published_nodes = p->meet.stored,
		.cell_seen = p->meet.seen,
	};
	if (p->online && endpoint_is_route(&p->path, NULL))
		look_route(n, p, ret);
	return true;
}

bool
node_contact_why(
    const struct node *n, const struct contact_id *id, struct node_why *ret)
{
	const struct peer *p = peer_by_id(n, id);
	struct link_info l = { 0 };
	struct why_state state;
	struct nat_view view;

	if (p == NULL)
		return false;
	(void)links_info(n->links, p->slot, &l);
	if (p->pairing && !l.connecting)
		(void)links_info(n->links, PEER_PAIRING + p->slot, &l);
	state = (struct why_state){
		.online = p->online,
		.connecting = l.connecting,
		.refused = p->shunned_until_ms > n->now.mono_ms,
		.denied = p->denied,
		.ready = p->c.ready,
	};
	*ret = (struct node_why){ .verdict = why_judge(&p->why, &state) };
	intro_nat(n, &view);
	ret->own = view.kind;
	ret->theirs = p->nat;
	ret->n_steps = why_steps(&p->why, ret->step);
	_Static_assert((int)NODE_WHY_ADDRESSES_MAX == CELL_CANDIDATES_MAX, "");
	ret->n_addresses = p->c.n_candidates;
	for (size_t i = 0; i < p->c.n_candidates; i++)
		ret->address[i] = p->c.candidates[i];
	return true;
}
