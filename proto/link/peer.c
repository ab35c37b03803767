/* Peers are owned by the map of their numbers; the other maps borrow. */
#include "proto/link/peer.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
	PORT_HTTPS = 443,
	PORT_USER = 1024,
	SHARED_V4 =
	    24, /* bits of the prefix that makes a private address ours */
	SHARED_V6 = 64,
};

/* ---- table ---- */

struct peer *
peer_get(const struct links *l, uint32_t number)
{
	return map_get(&l->by_number, &number);
}

struct peer *
peer_of_static(const struct links *l, const struct static_pk *s)
{
	return map_get(&l->by_static, s->b);
}

struct peer *
peer_of_rid(const struct links *l, const struct rid *rid)
{
	return map_get(&l->by_rid, rid->b);
}

/* A static key belongs to the peer that had it first. */
static enum err
static_add(struct links *l, struct peer *p, const struct static_pk *s)
{
	if (map_get(&l->by_static, s->b))
		return ERR_OK;
	return map_put(&l->by_static, s->b, p);
}

static void
static_del(struct links *l, const struct peer *p, const struct static_pk *s)
{
	if (map_get(&l->by_static, s->b) == p)
		(void)map_del(&l->by_static, s->b);
}

static void
lookups_del(struct links *l, struct peer *p)
{
	for (uint8_t i = 0; i < p->cfg.n_s; i++)
		static_del(l, p, &p->cfg.s[i]);
	if (p->in_rids && map_get(&l->by_rid, p->rid0.b) == p)
		(void)map_del(&l->by_rid, p->rid0.b);
	p->in_rids = false;
}

/* Only contacts are found by S or rid; an invitation is found by its R. */
static enum err
lookups_add(struct links *l, struct peer *p)
{
	enum err err = ERR_OK;

	if (p->cfg.role != LINK_CONTACT)
		return ERR_OK;
	for (uint8_t i = 0; !err && i < p->cfg.n_s; i++)
		err = static_add(l, p, &p->cfg.s[i]);
	if (!err && p->cfg.n_s == 0) {
		err = map_put(&l->by_rid, p->rid0.b, p);
		p->in_rids = !err;
	}
	if (err)
		lookups_del(l, p);
	return err;
}

static void
invite_del(struct links *l, const struct peer *p)
{
	for (size_t i = 0; i < l->n_invite; i++) {
		if (l->invite[i] != p)
			continue;
		l->invite[i] = l->invite[--l->n_invite];
		l->own_stale = true;
		return;
	}
}

static void
peer_erase(struct peer *p)
{
	free(p->address);
	free(p->callers);
	sodium_memzero(p, sizeof(*p));
	free(p);
}

/* An inviter's own copy of what the configuration lends. */
static enum err
callers_new(struct peer *p)
{
	const struct callers *lent = p->cfg.callers;

	p->cfg.callers = NULL;
	if (p->cfg.role != LINK_INVITER)
		return ERR_OK;
	p->callers = calloc(1, sizeof(*p->callers));
	if (!p->callers)
		return ERR_NOMEM;
	if (lent)
		*p->callers = *lent;
	return ERR_OK;
}

enum err
peer_add(struct links *l, uint32_t number, const struct link_peer *cfg)
{
	struct peer *p;
	enum err err;

	assert(!peer_get(l, number) && cfg->n_s <= LINK_PEER_STATICS_MAX);
	if (l->n_peers == LINK_PEERS_MAX)
		return ERR_LIMIT;
	if (cfg->role == LINK_INVITER && l->n_invite == LINK_INVITES_MAX)
		return ERR_LIMIT;
	p = calloc(1, sizeof(*p));
	if (!p)
		return ERR_NOMEM;
	p->number = number;
	p->cfg = *cfg;
	p->timer.owner = p;
	pair_rid(&cfg->rk0, &p->rid0);
	peer_new_instance(l, p);
	err = callers_new(p);
	if (!err)
		err = heap_reserve(&l->timers, l->n_peers + 1);
	if (!err)
		err = lookups_add(l, p);
	if (!err)
		err = map_put(&l->by_number, &number, p);
	if (err) {
		lookups_del(l, p);
		peer_erase(p);
		return err;
	}
	if (cfg->role == LINK_INVITER) {
		l->invite[l->n_invite++] = p;
		l->own_stale = true;
	}
	assert(l->n_peers < LINK_PEERS_MAX);
	assert(l->n_invite <= LINK_INVITES_MAX);
	l->n_peers++;
	return ERR_OK;
}

enum err
peer_update(struct links *l, struct peer *p, const struct link_peer *cfg)
{
	struct link_peer old = p->cfg;
	enum err err;

	assert(p->cfg.role == cfg->role && cfg->n_s <= LINK_PEER_STATICS_MAX);
	lookups_del(l, p);
	p->cfg = *cfg;
	p->cfg.ratchet = old.ratchet;
	p->cfg.callers = NULL;
	if (old.last_ts_ms > cfg->last_ts_ms)
		p->cfg.last_ts_ms = old.last_ts_ms;
	if (cfg->n_s == 0) {
		memcpy(p->cfg.s, old.s, sizeof(p->cfg.s));
		p->cfg.n_s = old.n_s;
	}
	if (p->cfg.role == LINK_INVITER)
		l->own_stale = true;
	err = lookups_add(l, p);
	if (err) {
		p->cfg = old;
		if (lookups_add(l, p))
			l->stats.n_dropped++; /* unreachable until set again */
	}
	sodium_memzero(&old, sizeof(old));
	return err;
}

void
peer_drop(struct links *l, struct peer *p)
{
	assert(!p->conn && !p->attempt && !p->half);
	assert(peer_get(l, p->number) == p);
	assert(!p->dirty && !p->ready && l->n_peers > 0);
	heap_remove(&l->timers, &p->timer);
	lookups_del(l, p);
	invite_del(l, p);
	(void)map_del(&l->by_number, &p->number);
	l->n_peers--;
	peer_erase(p);
}

enum err
peer_bind(struct links *l, struct peer *p, const struct static_pk *s)
{
	struct link_peer cfg = p->cfg;
	enum err err;

	assert(p->cfg.n_s == 0);
	cfg.s[0] = *s;
	cfg.n_s = 1;
	err = peer_update(l, p, &cfg);
	sodium_memzero(&cfg, sizeof(cfg));
	return err;
}

bool
peer_we_are_lower(const struct links *l, const struct peer *p)
{
	return id_cmp(&l->self.id, &p->cfg.id) < 0;
}

void
peer_new_instance(struct links *l, struct peer *p)
{
	rng_fill(l->rng, p->instance, sizeof(p->instance));
}

void
peer_touch(struct links *l, struct peer *p)
{
	if (p->dirty)
		return;
	p->dirty = true;
	p->next_dirty = l->dirty;
	l->dirty = p;
}

void
peer_ready(struct links *l, struct peer *p)
{
	if (p->ready)
		return;
	p->ready = true;
	p->next_ready = l->ready;
	l->ready = p;
}

/* ---- receiver indices ---- */

struct index_entry *
index_get(const struct links *l, uint32_t index)
{
	return map_get(&l->by_index, &index);
}

enum err
index_add(struct links *l, struct index_entry *e)
{
	struct index_entry *first = index_get(l, e->index);

	assert(!e->next && (e->session == NULL) != (e->try == NULL));
	if (first) {
		e->next = first->next;
		first->next = e;
		return ERR_OK;
	}
	return map_put(&l->by_index, &e->index, e);
}

void
index_del(struct links *l, struct index_entry *e)
{
	struct index_entry *first = index_get(l, e->index), *at = first;

	assert(first);
	if (first == e) {
		if (!e->next)
			(void)map_del(&l->by_index, &e->index);
		else if (map_put(&l->by_index, &e->index, e->next))
			abort(); /* replacing needs no memory */
		e->next = NULL;
		return;
	}
	while (at->next != e) {
		at = at->next;
		assert(at);
	}
	at->next = e->next;
	e->next = NULL;
}

uint32_t
index_draw(const struct links *l)
{
	uint32_t index = packet_draw_index(l->rng);

	/* A few thousand of 2^32 are taken. */
	while (index_get(l, index))
		index = packet_draw_index(l->rng);
	return index;
}

/* ---- own guards ---- */

static void
own_add(
    struct links *l, const struct reach_key *r, struct peer *invite, uint8_t s)
{
	/* Most messages 1 are of today. */
	static const int order[3] = { 0, -1, 1 };

	assert(s < l->self.n_s && l->n_own + 3 <= LINK_GUARDS_MAX);
	for (size_t i = 0; i < 3; i++) {
		struct own_guard *o = &l->own[l->n_own++];

		o->invite = invite;
		o->old = r == &l->self.reach_prev;
		o->s = s;
		handshake_guard_derive(r, &l->self.s[s].pk,
		    l->own_day + (uint32_t)order[i], &o->g);
	}
}

void
own_refresh(struct links *l, struct now now)
{
	uint32_t day = handshake_day(now.wall_ms);

	if (!l->own_stale && day == l->own_day)
		return;
	l->own_stale = false;
	l->own_day = day;
	l->n_own = 0;
	/* The likely ones first: in a flood the others are left out. */
	_Static_assert(3 * LINK_STATICS_MAX == LOAD_GUARDS, "R with every S");
	for (uint8_t s = 0; s < l->self.n_s; s++)
		own_add(l, &l->self.reach, NULL, s);
	for (uint8_t s = 0; l->self.has_reach_prev && s < l->self.n_s; s++)
		own_add(l, &l->self.reach_prev, NULL, s);
	for (size_t i = 0; i < l->n_invite; i++) {
		for (uint8_t s = 0; s < l->self.n_s && s < LINK_INVITE_STATICS;
		     s++)
			own_add(l, &l->invite[i]->cfg.reach, l->invite[i], s);
	}
}

bool
own_static(const struct links *l, const struct static_pk *pk,
    struct handshake_static *ret)
{
	for (uint8_t i = 0; i < l->self.n_s; i++) {
		if (memcmp(l->self.s[i].pk.b, pk->b, sizeof(pk->b)) != 0)
			continue;
		ret->sk = l->self.s[i].sk;
		ret->pk = l->self.s[i].pk;
		return true;
	}
	return false;
}

/* ---- addresses ---- */

static bool
shares_prefix(const struct links *l, const struct endpoint *e)
{
	unsigned bits = endpoint_family(e) == FAMILY_V4 ? SHARED_V4 : SHARED_V6;

	for (size_t i = 0; i < l->n_local; i++) {
		if (endpoint_same_prefix(&l->local[i], e, bits))
			return true;
	}
	return false;
}

bool
address_usable(const struct links *l, const struct endpoint *e)
{
	if (e->port == 0 || (e->port < PORT_USER && e->port != PORT_HTTPS))
		return false;
	for (size_t i = 0; i < l->n_local; i++) {
		if (endpoint_eq(&l->local[i], e))
			return false;
	}
	switch (endpoint_scope(e)) {
	case SCOPE_UNUSABLE:
		return false;
	case SCOPE_LOOPBACK:
		return l->loopback;
	case SCOPE_LINK: /* of v6 needs a scope id, which nobody can name */
		return endpoint_family(e) == FAMILY_V4 && shares_prefix(l, e);
	case SCOPE_PRIVATE:
		return shares_prefix(l, e);
	case SCOPE_GLOBAL:
		return true;
	}
	return false;
}

bool
peer_has_route(const struct peer *p, const struct endpoint *e)
{
	for (uint8_t i = 0; i < p->n_routes; i++) {
		if (endpoint_eq(&p->routes[i], e))
			return true;
	}
	return false;
}

/* The last time we sent there, 0 if never. */
static uint64_t
last_sent(const struct address *a)
{
	uint64_t last = 0;

	for (uint8_t i = 0; i < a->n; i++) {
		if (a->sent_ms[i] > last)
			last = a->sent_ms[i];
	}
	return last;
}

/* A record that nobody misses: unused, or its packets are forgiven. */
static bool
replaceable(const struct address *a, uint64_t now_ms)
{
	return a->n == 0 || now_ms - last_sent(a) >= LINK_BUDGET_MS;
}

struct address *
address_of(struct peer *p, const struct endpoint *e, uint64_t now_ms)
{
	struct address *spare = NULL;

	if (endpoint_is_route(e, NULL))
		return NULL; /* its carrier counts */
	if (!p->address)
		p->address = calloc(LINK_ADDRESSES_MAX, sizeof(*p->address));
	if (!p->address)
		return NULL;
	for (size_t i = 0; i < LINK_ADDRESSES_MAX; i++) {
		struct address *a = &p->address[i];

		if (endpoint_eq(&a->at, e))
			return a;
		/* One that answered is worth more than an empty record. */
		if (replaceable(a, now_ms) &&
		    (!spare || (spare->answered && !a->answered)))
			spare = a;
	}
	if (spare)
		*spare = (struct address){ .at = *e };
	return spare;
}

bool
address_may_send(const struct address *a, uint64_t now_ms)
{
	assert(a->n <= LINK_BUDGET);
	return a->answered || a->n < LINK_BUDGET ||
	       now_ms - last_sent(a) >= LINK_BUDGET_MORE_MS;
}

void
address_sent(struct address *a, uint64_t now_ms)
{
	uint8_t oldest = 0;

	assert(a->n <= LINK_BUDGET && last_sent(a) <= now_ms);
	if (replaceable(a, now_ms))
		a->n = 0;
	if (a->n < LINK_BUDGET) {
		a->sent_ms[a->n++] = now_ms;
		return;
	}
	for (uint8_t i = 1; i < a->n; i++) {
		if (a->sent_ms[i] < a->sent_ms[oldest])
			oldest = i;
	}
	a->sent_ms[oldest] = now_ms;
}

void
address_answered(struct peer *p, const struct endpoint *e, uint64_t now_ms)
{
	struct address *a = address_of(p, e, now_ms);

	if (a)
		a->answered = true;
}

void
address_called(struct peer *p, const struct endpoint *e, uint64_t now_ms)
{
	struct address *a = address_of(p, e, now_ms);

	/* Two more, not three: with message 2 that is less than three times
	 * the bytes of the call, whose source may be a lie. */
	if (a && !a->answered && a->n > 1) {
		a->sent_ms[0] = last_sent(a);
		a->n = 1;
	}
}

void
addresses_forgive(struct peer *p, uint64_t since_ms)
{
	if (!p->address)
		return;
	for (size_t i = 0; i < LINK_ADDRESSES_MAX; i++) {
		struct address *a = &p->address[i];
		uint8_t kept = 0;

		for (uint8_t k = 0; k < a->n; k++) {
			if (a->sent_ms[k] < since_ms)
				a->sent_ms[kept++] = a->sent_ms[k];
		}
		a->n = kept;
	}
}
