/*
 * Every repetition is a new message 1 with its own ephemeral, index and ts,
 * because a responder takes each ts once. The last few stay answerable: where
 * a round trip is longer than the first interval, the answer to an earlier
 * one comes after a later one left.
 */
#include "proto/link/attempt.h"
#include "proto/link/conn.h"
#include "proto/link/out.h"
#include "proto/link/peer.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS_MAX = 64, DAY_MS = 86400 * 1000 };

/* When a message 1 leaves, after the begin. Addresses that never answered
 * stop after three by their budget, and later ones begin with one. */
static const uint32_t steps_ms[] = { 0, 250, 1000, 2500, 5000, 9000 };

enum { STEPS = sizeof(steps_ms) / sizeof(steps_ms[0]), STEPS_SHY = 3 };

static void
check(const struct attempt *a)
{
	assert(a->peer->attempt == a);
	assert(a->peer->cfg.role != LINK_INVITER && a->peer->cfg.n_s > 0);
	assert(a->n_to <= LINK_DOORS_MAX);
	assert(a->accepted <= a->seq);
	assert(a->step < STEPS || a->next_ms == NEVER);
	assert(a->end_ms != NEVER);
	for (uint32_t i = 0; i < LINK_TRIES_MAX; i++) {
		const struct try *t = &a->tries[i];

		assert(!t->used || (t->entry.try == t && t->peer == a->peer));
		assert(!t->used ||
		       t->seq % LINK_TRIES_MAX == (i + 1) % LINK_TRIES_MAX);
		assert(!t->used || t->seq <= a->seq);
		assert(!t->used || t->hs.index == t->entry.index);
	}
}

/* ---- life ---- */

static void
try_clear(struct links *l, struct try *t)
{
	if (t->used)
		index_del(l, &t->entry);
	sodium_memzero(t, sizeof(*t));
}

void
attempt_free(struct links *l, struct peer *p)
{
	struct attempt *a = p->attempt, **at;

	if (!a)
		return;
	assert(a->peer == p && l->n_attempts > 0);
	for (at = &l->attempts; *at != a; at = &(*at)->next)
		assert(*at);
	*at = a->next;
	for (size_t i = 0; i < LINK_TRIES_MAX; i++)
		try_clear(l, &a->tries[i]);
	sodium_memzero(a, sizeof(*a));
	free(a);
	p->attempt = NULL;
	l->n_attempts--;
	peer_touch(l, p);
}

uint64_t
attempt_deadline_ms(const struct attempt *a)
{
	if (!a)
		return NEVER;
	return a->next_ms < a->end_ms ? a->next_ms : a->end_ms;
}

bool
attempt_knocks_at(
    const struct attempt *a, const struct endpoint *e, uint64_t now_ms)
{
	/* Who calls after he has answered us has forgotten it. */
	if (!a || a->seq == 0 || a->accepted != 0 ||
	    now_ms - a->start_ms >= LINK_OPEN_MS)
		return false;
	for (uint8_t i = 0; i < a->n_to; i++) {
		if (a->to[i].sent && endpoint_eq(&a->to[i].at, e))
			return true;
	}
	return false;
}

/* ---- making a message 1 ---- */

/* The next ts. False: the floor above it could not be announced. */
static bool
next_ts(struct links *l, struct now now, uint64_t *ret)
{
	uint64_t ts = now.wall_ms, floor = l->ts_floor_ms;
	/* It ranks the session, too, so it passes what answers were ranked. */
	uint64_t last = l->ts_ms > l->rank_ms ? l->ts_ms : l->rank_ms;
	struct out *o;

	/* A clock that was far ahead and was set right again: nobody took such
	 * a ts, so it does not bind us. */
	if (last > now.wall_ms + DAY_MS) {
		last = now.wall_ms;
		floor = 0;
	}
	if (ts <= last)
		ts = last + 1;
	if (ts > floor) {
		o = out_new(LINK_OUT_TS, 0);
		if (!o)
			return false;
		floor = ts + LINK_TS_AHEAD_MS;
		o->o.ts_ms = floor;
		out_push(l, o);
	}
	assert(ts > last && ts <= floor);
	l->ts_ms = ts;
	l->rank_ms = ts;
	l->ts_floor_ms = floor;
	*ret = ts;
	return true;
}

/* The lower ID advances the ratchet, once an hour. [SPEC §6.6] */
static bool
wants_adv(const struct links *l, const struct peer *p, struct now now)
{
	uint64_t now_s = now.wall_ms / 1000;
	uint64_t then_s = p->cfg.ratchet.advanced_s;

	if (p->cfg.role != LINK_CONTACT || !peer_we_are_lower(l, p))
		return false;
	return now_s < then_s || now_s - then_s >= LINK_ADV_S;
}

static void
fill_try(struct links *l, struct peer *p, struct try *t, struct now now)
{
	bool invite = p->cfg.role == LINK_INVITED;

	t->own_s = l->self.s[0].pk;
	t->rs = p->cfg.s[0];
	t->cur = invite ? p->cfg.rk0 : p->cfg.ratchet.cur;
	t->prev = invite ? p->cfg.rk0 : p->cfg.ratchet.prev;
	t->flags = invite ? HANDSHAKE_INVITE : 0;
	if (wants_adv(l, p, now))
		t->flags |= HANDSHAKE_ADV;
	t->at_ms = now.mono_ms;
}

static enum err
seal_try(struct links *l, struct try *t, struct handshake_1 *in,
    uint8_t out[PACKET_MESSAGE_1_SIZE])
{
	uint8_t e_sk[32], mac2[HANDSHAKE_MAC_SIZE];
	enum err err = ERR_CONFLICT;

	in->e_sk = e_sk;
	in->mac2 = mac2;
	rng_fill(l->rng, mac2, sizeof(mac2));
	/* One ephemeral in 256 would make it look like KRPC. */
	for (int i = 0; err == ERR_CONFLICT && i < DRAWS_MAX; i++) {
		rng_fill(l->rng, e_sk, sizeof(e_sk));
		err = handshake_1_seal(in, out, &t->hs);
	}
	sodium_memzero(e_sk, sizeof(e_sk));
	in->e_sk = NULL;
	in->mac2 = NULL;
	return err;
}

/* Makes the next message 1 of an attempt. False: it cannot be made now. */
static bool
make_try(struct links *l, struct attempt *a, const uint8_t *cookie,
    struct now now, uint8_t out[PACKET_MESSAGE_1_SIZE])
{
	struct peer *p = a->peer;
	struct try *t = &a->tries[a->seq % LINK_TRIES_MAX];
	struct handshake_guard guard;
	struct handshake_static own;
	struct handshake_1 in = {
		.guard = &guard, .s = &own, .cookie = cookie
	};
	bool ok = false;

	try_clear(l, t);
	fill_try(l, p, t, now);
	handshake_guard_derive(
	    &p->cfg.reach, &t->rs, handshake_day(now.wall_ms), &guard);
	in.rs = &t->rs;
	if (!own_static(l, &t->own_s, &own))
		goto out;
	if (!next_ts(l, now, &t->ts_ms))
		goto out;
	in.payload.ts_ms = t->ts_ms;
	in.payload.index = index_draw(l);
	in.payload.flags = t->flags;
	in.payload.udp_max = LINK_UDP_MAX;
	pair_rid(&t->cur, &in.payload.rid_cur);
	pair_rid(&t->prev, &in.payload.rid_prev);
	if (seal_try(l, t, &in, out))
		goto out;
	t->entry = (struct index_entry){ .index = in.payload.index, .try = t };
	if (index_add(l, &t->entry))
		goto out;
	t->used = true;
	t->peer = p;
	t->seq = ++a->seq;
	ok = true;
out:
	sodium_memzero(&own, sizeof(own));
	sodium_memzero(&guard, sizeof(guard));
	if (!ok)
		sodium_memzero(t, sizeof(*t));
	return ok;
}

/* What goes by a route is for its carrier to bound. */
static bool
may_send_to(const struct attempt *a, uint8_t i, uint64_t now_ms)
{
	const struct endpoint *to = &a->to[i].at;
	const struct address *at = address_of(a->peer, to, now_ms);

	return endpoint_is_route(to, NULL) ||
	       (at && address_may_send(at, now_ms));
}

/* Routes carry the first ones; then it has to be tried whatever it costs. */
static bool
is_shy(const struct attempt *a, uint8_t i)
{
	return a->to[i].shy && a->peer->n_routes > 0 && a->step < STEPS_SHY;
}

static bool
send_to(struct links *l, struct attempt *a, uint8_t i,
    const uint8_t message[PACKET_MESSAGE_1_SIZE], struct now now)
{
	const struct endpoint *to = &a->to[i].at;
	struct address *at = address_of(a->peer, to, now.mono_ms);

	if (!may_send_to(a, i, now.mono_ms))
		return false;
	assert(at || endpoint_is_route(to, NULL));
	assert(!at || address_usable(l, to) || a->persist);
	if (is_shy(a, i))
		return out_send(
		    l, to, a->hops, span_of(message, PACKET_MESSAGE_1_SIZE));
	if (!out_send(l, to, 0, span_of(message, PACKET_MESSAGE_1_SIZE)))
		return false;
	if (at)
		address_sent(at, now.mono_ms);
	a->to[i].sent = true;
	return true;
}

/* Knocks at the addresses from `first` on. The first message that arrives is
 * taken, the copies by other ways are replays. True if anything left. */
static bool
fire(struct links *l, struct attempt *a, uint8_t first, struct now now)
{
	uint8_t message[PACKET_MESSAGE_1_SIZE];
	bool made = false, any = false;

	for (uint8_t i = first; i < a->n_to; i++) {
		if (a->to[i].has_cookie || !may_send_to(a, i, now.mono_ms))
			continue;
		if (!made && !make_try(l, a, NULL, now, message))
			return false;
		made = true;
		any |= send_to(l, a, i, message, now);
	}
	for (uint8_t i = first; i < a->n_to; i++) {
		if (!a->to[i].has_cookie || !may_send_to(a, i, now.mono_ms))
			continue;
		if (!make_try(l, a, a->to[i].cookie, now, message))
			return any;
		any |= send_to(l, a, i, message, now);
	}
	return any;
}

/* ---- starting ---- */

static struct attempt *
attempt_of(struct links *l, struct peer *p, struct now now)
{
	struct attempt *a = p->attempt;

	if (a)
		return a;
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	assert(p->cfg.role != LINK_INVITER);
	a->peer = p;
	a->start_ms = now.mono_ms;
	a->end_ms = now.mono_ms + LINK_ATTEMPT_MS;
	a->next = l->attempts;
	l->attempts = a;
	p->attempt = a;
	l->n_attempts++;
	return a;
}

static bool
has_door(const struct attempt *a, const struct endpoint *e)
{
	for (uint8_t i = 0; i < a->n_to; i++) {
		if (endpoint_eq(&a->to[i].at, e))
			return true;
	}
	return false;
}

static void
add_door(struct attempt *a, const struct endpoint *e)
{
	if (a->n_to < LINK_DOORS_MAX && !has_door(a, e))
		a->to[a->n_to++] = (struct door){ .at = *e };
}

static void
add_routes(struct attempt *a)
{
	for (uint8_t i = 0; i < a->peer->n_routes; i++)
		add_door(a, &a->peer->routes[i]);
}

/* Of what somebody named, eight count. */
static void
add_target(const struct links *l, struct attempt *a, const struct endpoint *e)
{
	uint8_t n = 0;

	for (uint8_t i = 0; i < a->n_to; i++) {
		if (!endpoint_is_route(&a->to[i].at, NULL))
			n++;
	}
	if (n == LINK_CANDIDATES_MAX || !address_usable(l, e) || has_door(a, e))
		return;
	assert(a->n_to < LINK_DOORS_MAX);
	a->to[a->n_to] = (struct door){ .at = *e };
	a->to[a->n_to++].shy = a->hops > 0 && endpoint_family(e) == FAMILY_V4 &&
	                       endpoint_scope(e) == SCOPE_GLOBAL;
}

/* Starts the row of intervals, with a message 1 to the new addresses. */
static bool
begin(struct links *l, struct attempt *a, uint8_t first, struct now now)
{
	a->start_ms = now.mono_ms;
	a->step = 1;
	a->next_ms = now.mono_ms + steps_ms[1];
	peer_touch(l, a->peer);
	return fire(l, a, first, now);
}

void
attempt_start(struct links *l, struct peer *p, const struct endpoint *to,
    size_t n, uint8_t hops, struct now now)
{
	struct attempt *a;
	uint8_t before;

	if (p->cfg.role == LINK_INVITER || p->cfg.n_s == 0 || l->self.n_s == 0)
		return;
	if (p->conn && p->conn->paired)
		return; /* it has done its work */
	if (now.mono_ms < p->shunned_until_ms)
		return;
	a = attempt_of(l, p, now);
	if (!a)
		return;
	a->hops = hops;
	before = a->n_to;
	for (size_t i = 0; i < n; i++)
		add_target(l, a, &to[i]);
	add_routes(a);
	if (a->n_to == before && before > 0)
		return; /* nothing new: it goes on as it does */
	if (a->end_ms < now.mono_ms + LINK_ATTEMPT_MS)
		a->end_ms = now.mono_ms + LINK_ATTEMPT_MS;
	if (p->half && before == 0) {
		/* The peer is calling: give its own handshake the time. */
		a->start_ms = now.mono_ms;
		a->step = 1;
		a->next_ms = now.mono_ms + steps_ms[1];
		peer_touch(l, p);
	} else if (!begin(l, a, before, now) && before == 0) {
		attempt_free(l, p);
	}
}

/* One more, behind all others and without a cookie; the oldest makes room. */
static void
fresh_door(struct attempt *a, const struct endpoint *e)
{
	uint8_t i = 0;

	while (i < a->n_to && !endpoint_eq(&a->to[i].at, e))
		i++;
	if (i == LINK_DOORS_MAX)
		i = 0;
	if (i < a->n_to) {
		memmove(&a->to[i], &a->to[i + 1],
		    (size_t)(a->n_to - i - 1) * sizeof(a->to[0]));
		a->n_to--;
	}
	/* Where the link runs or ran is no address that somebody named. */
	a->to[a->n_to++] = (struct door){ .at = *e };
}

/* Where a running link may find its peer again; how many. In doubt these are
 * all ways there are. */
static uint8_t
doors_of_link(struct attempt *a, const struct peer *p)
{
	const struct conn *c = p->conn;
	uint8_t n = 1;

	fresh_door(a, &c->path);
	if (!c->rescue)
		return n;
	if (c->ways.spare.known) {
		fresh_door(a, &c->ways.spare.at);
		n++;
	}
	for (uint8_t i = 0; i < p->n_routes; i++) {
		if (endpoint_eq(&p->routes[i], &c->path))
			continue;
		fresh_door(a, &p->routes[i]);
		n++;
	}
	return n;
}

void
attempt_revive(struct links *l, struct peer *p, struct now now)
{
	struct attempt *a;
	uint8_t n;

	assert(p->conn && p->conn->up);
	if (p->cfg.n_s == 0 || l->self.n_s == 0)
		return;
	a = attempt_of(l, p, now);
	if (!a)
		return;
	a->persist = true;
	a->end_ms = now.mono_ms + LINK_RESCUE_MS;
	n = doors_of_link(a, p);
	assert(n > 0 && n <= a->n_to);
	(void)begin(l, a, (uint8_t)(a->n_to - n), now);
}

void
attempt_tick(struct links *l, struct peer *p, struct now now)
{
	struct attempt *a = p->attempt;

	if (!a || now.mono_ms < attempt_deadline_ms(a))
		return;
	check(a);
	peer_touch(l, p);
	if (now.mono_ms >= a->end_ms) {
		bool rescue = a->persist && p->conn && p->conn->rescue;

		attempt_free(l, p);
		if (rescue)
			conn_down(l, p, ERR_EXPIRED);
		return;
	}
	a->next_ms = NEVER;
	if (++a->step < STEPS)
		a->next_ms = a->start_ms + steps_ms[a->step];
	if (a->next_ms <= now.mono_ms)
		a->next_ms = now.mono_ms + 1; /* we woke up late */
	if (a->accepted == 0)
		(void)fire(l, a, 0, now);
}

/* ---- the answer ---- */

/* Message 2 names no address, so the one it came from must be one of those
 * that were asked; an observer who is faster must not draw the link to
 * himself. */
static bool
answer_path(
    const struct attempt *a, const struct endpoint *from, struct endpoint *ret)
{
	for (uint8_t i = 0; i < a->n_to; i++) {
		if (!endpoint_eq(&a->to[i].at, from))
			continue;
		*ret = *from;
		return true;
	}
	/* A host with several addresses may answer from another one. */
	if (a->n_to != 1)
		return false;
	*ret = a->to[0].at;
	return true;
}

static enum err
open_answer(const struct links *l, const struct peer *p, const struct try *t,
    struct span datagram, struct handshake_payload_2 *payload,
    struct handshake_keys *keys)
{
	static const struct id_pk nobody;
	bool invite = p->cfg.role == LINK_INVITED;
	struct ratchet_key fallback;
	struct handshake_try with = {
		.id_i = invite ? &nobody : &l->self.id,
		.id_r = &p->cfg.id,
	};
	enum err err;

	pair_fallback(&p->cfg.rk0, &fallback);
	with.rk[KEY_FALLBACK] = invite ? NULL : &fallback;
	with.rk[KEY_CUR] = &t->cur;
	with.rk[KEY_PREV] = invite ? NULL : &t->prev;
	err = handshake_2_open(&t->hs, &with, datagram, payload, keys);
	sodium_memzero(&fallback, sizeof(fallback));
	if (err)
		return err;
	if ((payload->flags & ~t->flags) != 0 ||
	    (invite && !(payload->flags & HANDSHAKE_INVITE))) {
		handshake_keys_wipe(keys);
		return ERR_MALFORMED;
	}
	return ERR_OK;
}

static void
base_of(const struct peer *p, const struct try *t, uint8_t used,
    struct ratchet_key *ret)
{
	if (used == KEY_FALLBACK)
		pair_fallback(&p->cfg.rk0, ret);
	else
		*ret = used == KEY_CUR ? t->cur : t->prev;
}

/* An answer to an earlier message 1 made a session that nothing has come
 * under; the peer has left it for the new one. */
static void
drop_unanswered(struct links *l, struct peer *p)
{
	struct conn *c = p->conn;

	for (uint8_t i = c ? c->n_s : 0; i-- > 0;) {
		if (c->s[i]->initiator && !c->s[i]->confirmed)
			conn_drop_session(l, p, c->s[i]);
	}
}

/* Message 2 is good: the keys stand, and the peer must hear of it at once. */
static enum err
accept(struct links *l, struct peer *p, struct try *t, struct session *s,
    struct now now)
{
	struct ratchet before = p->cfg.ratchet;
	bool fresh = !p->conn;
	enum err err = ERR_OK;

	s->state = SESSION_OPEN;
	s->initiator = true;
	s->hello_due = true;
	/* A running link waits as long as the peer, who may use these keys
	 * already, would take packets of the old ones. */
	if (!fresh && p->conn->up)
		s->deadline_ms = now.mono_ms + SESSION_OLD_MS;
	s->s = t->rs;
	s->own_s = t->own_s;
	drop_unanswered(l, p);
	if (s->adv) {
		ratchet_store(&p->cfg.ratchet, RATCHET_INITIATOR, &s->base,
		    &s->keys.rk_next);
		if (!out_state(l, p))
			err = ERR_NOMEM;
	}
	if (!err)
		err = conn_adopt(l, p, s, now);
	if (err)
		p->cfg.ratchet = before;
	sodium_memzero(&before, sizeof(before));
	if (err && p->conn && p->conn->n_s == 0)
		conn_down(l, p, err);
	if (!err && fresh) {
		recovery_sample(
		    &p->conn->recovery, now.mono_ms - t->at_ms, now.mono_ms);
		conn_early(l, p, s);
	}
	return err;
}

static struct session *
answered_session(struct links *l, struct peer *p, const struct try *t,
    const struct handshake_payload_2 *payload,
    const struct handshake_keys *keys, struct now now)
{
	struct session *s = conn_session_new(l, p, keys, now);

	if (!s)
		return NULL;
	s->adv = payload->flags & HANDSHAKE_ADV;
	s->fallback = payload->key_used == KEY_FALLBACK;
	base_of(p, t, payload->key_used, &s->base);
	s->udp_max = payload->udp_max;
	s->rank = peer_we_are_lower(l, p) ? t->ts_ms : payload->time_ms;
	return s;
}

/* One more route that we have called by, in case the first words are lost. */
static void
choose_also(const struct attempt *a, struct session *s)
{
	for (uint8_t i = 0; i < a->n_to; i++) {
		if (!endpoint_is_relayed(&a->to[i].at) ||
		    endpoint_eq(&a->to[i].at, &s->from))
			continue;
		s->also = a->to[i].at;
		s->n_also = SESSION_ALSO;
		return;
	}
}

void
attempt_on_message_2(struct links *l, struct try *t, struct peer *p,
    const struct endpoint *from, struct span datagram, struct now now)
{
	struct attempt *a = p->attempt;
	struct handshake_payload_2 payload;
	struct handshake_keys keys;
	struct endpoint path;
	struct session *s = NULL;

	assert(a && t->used && t->peer == p);
	check(a);
	if (t->seq <= a->accepted || !answer_path(a, from, &path) ||
	    open_answer(l, p, t, datagram, &payload, &keys)) {
		l->stats.n_dropped++;
		return;
	}
	if (payload.key_used == KEY_FALLBACK && !p->cfg.allow_fallback) {
		(void)out_denied(l, p->number, true);
		handshake_keys_wipe(&keys);
		attempt_free(l, p);
		return;
	}
	s = answered_session(l, p, t, &payload, &keys, now);
	handshake_keys_wipe(&keys);
	if (!s)
		return;
	s->from = path;
	choose_also(a, s);
	address_answered(p, &path, now.mono_ms);
	if (accept(l, p, t, s, now)) {
		conn_session_free(l, s);
		return;
	}
	assert(t->seq > a->accepted && p->conn);
	a->accepted = t->seq;
	/* With the first words, if there are any, at the next links_flush. */
	if (!p->conn->early)
		conn_flush(l, p, now);
}

bool
attempt_on_cookie(struct links *l, struct attempt *a,
    const struct endpoint *from, struct span datagram, struct now now)
{
	uint8_t message[PACKET_MESSAGE_1_SIZE];
	uint8_t i = 0, t = 0;

	while (i < a->n_to && !endpoint_eq(&a->to[i].at, from))
		i++;
	if (i == a->n_to || a->to[i].n_cookies == LINK_COOKIES_MAX)
		return false;
	while (t < LINK_TRIES_MAX &&
	       (!a->tries[t].used || handshake_cookie_open(&a->tries[t].hs,
	                                 datagram, a->to[i].cookie)))
		t++;
	if (t == LINK_TRIES_MAX || a->accepted != 0)
		return false;
	/* A new message 1 at once; the bound is against a peer who asks for
	 * one after the other. */
	a->to[i].has_cookie = true;
	a->to[i].n_cookies++;
	if (may_send_to(a, i, now.mono_ms) &&
	    make_try(l, a, a->to[i].cookie, now, message))
		(void)send_to(l, a, i, message, now);
	peer_touch(l, a->peer);
	return true;
}
