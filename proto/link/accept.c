/*
 * The responder. In this order, because each check costs more than the one
 * before: length, mac1, load, Diffie-Hellman, who it is, replay, ratchet.
 * What fails is dropped and leaves no trace but a count.
 */
#include "proto/link/accept.h"
#include "proto/link/attempt.h"
#include "proto/link/conn.h"
#include "proto/link/out.h"
#include "proto/link/peer.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { MAC1_AT = PACKET_MESSAGE_1_SIZE - 2 * HANDSHAKE_MAC_SIZE };

/* One message 1 on its way through the checks. */
struct call {
	struct links *l;
	const struct endpoint *from;
	struct span datagram;
	struct now now;
	const struct own_guard *own;
	struct handshake_request req; /* secret */
	struct peer *peer;
	struct ratchet_key base; /* secret */
	enum key_used used;
	bool adv;
};

/* ---- checks ---- */

/* Contacts come first among them; in a flood, invitations must wait. */
static const struct own_guard *
guard_of(struct links *l, struct span datagram, struct now now)
{
	size_t n = load_guards(&l->load, l->n_own, now.mono_ms);

	l->stats.n_mac += n;
	for (size_t i = 0; i < n; i++) {
		if (handshake_mac1_ok(&l->own[i].g, datagram))
			return &l->own[i];
	}
	return NULL;
}

static void
send_cookie(struct call *k)
{
	struct links *l = k->l;
	uint8_t cookie[HANDSHAKE_COOKIE_SIZE];
	uint8_t nonce[PACKET_NONCE_SIZE];
	uint8_t out[PACKET_COOKIE_REPLY_SIZE];

	/* A contact who knows no newer R hears nothing in a flood, and reads
	 * our cell; nor does anybody who is none any more. */
	if (k->own->old || !load_may_reply(&l->load, k->from, k->now.mono_ms))
		return;
	load_cookie(&l->load, k->from, k->now.mono_ms, cookie);
	packet_draw_nonce(l->rng, nonce);
	handshake_cookie_seal(&k->own->g, k->datagram, cookie, nonce, out);
	sodium_memzero(cookie, sizeof(cookie));
	(void)out_send(l, k->from, 0, span_of(out, sizeof(out)));
}

/* True if it may cost us Diffie-Hellman. */
static bool
admit(struct call *k)
{
	struct links *l = k->l;

	if (!load_is_high(&l->load, l->n_half, k->now.mono_ms) ||
	    load_mac2_ok(&l->load, k->from, k->datagram, k->now.mono_ms))
		return true;
	send_cookie(k);
	return false;
}

static bool
open_request(struct call *k)
{
	struct links *l = k->l;
	struct handshake_static own = {
		.sk = l->self.s[k->own->s].sk,
		.pk = l->self.s[k->own->s].pk,
	};
	enum err err;

	load_count_dh(&l->load, 2, k->now.mono_ms);
	l->stats.n_dh += 2;
	err = handshake_1_open(&k->own->g, &own, k->datagram, &k->req);
	sodium_memzero(&own, sizeof(own));
	return err == ERR_OK;
}

/* An own S of another generation, sent back to us. */
static bool
is_own_static(const struct links *l, const struct static_pk *s)
{
	for (uint8_t i = 0; i < l->self.n_s; i++) {
		if (memcmp(l->self.s[i].pk.b, s->b, sizeof(s->b)) == 0)
			return true;
	}
	return false;
}

static bool
rid_eq(const struct rid *a, const struct rid *b)
{
	return sodium_memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

/* Whose invitation it takes, if it does. */
static struct peer *
caller_by_invite(const struct call *k)
{
	struct peer *p = k->own->invite;

	if (!p || !(k->req.payload.flags & HANDSHAKE_INVITE))
		return NULL;
	if (!rid_eq(&k->req.payload.rid_cur, &p->rid0))
		return NULL;
	/* Taken already: only the same caller may come again. */
	if (p->cfg.n_s > 0 &&
	    memcmp(p->cfg.s[0].b, k->req.s.b, sizeof(k->req.s.b)) != 0)
		return NULL;
	return p;
}

static struct peer *
find_caller(const struct call *k)
{
	const struct handshake_payload_1 *m = &k->req.payload;
	struct peer *p;

	if (is_own_static(k->l, &k->req.s))
		return NULL;
	if (k->own->invite || (m->flags & HANDSHAKE_INVITE))
		return caller_by_invite(k);
	p = peer_of_static(k->l, &k->req.s);
	if (p)
		return p;
	/* First contact: both added each other, but we never read their cell.
	 * Who names rk0 is the contact; HELLO will tell its S. */
	p = peer_of_rid(k->l, &m->rid_cur);
	return p ? p : peer_of_rid(k->l, &m->rid_prev);
}

static uint64_t
last_ts_of(const struct call *k)
{
	const struct peer *p = k->peer;

	return p->callers ? callers_last_ms(p->callers, &k->req.s)
	                  : p->cfg.last_ts_ms;
}

static bool
ts_ok(const struct call *k)
{
	return handshake_ts_check(k->req.payload.ts_ms, last_ts_of(k),
	           k->now.wall_ms) == ERR_OK;
}

/* Both at once: the lower ID's message is the one that counts, if it went
 * where the peer is. But one who does not answer may be unable to: a thief of
 * his keys has called him with our name and a clock that is ahead. */
static bool
yields(const struct call *k)
{
	struct peer *p = k->peer;

	if (p->cfg.role != LINK_CONTACT || !peer_we_are_lower(k->l, p))
		return true;
	if (!attempt_knocks_at(p->attempt, k->from, k->now.mono_ms) ||
	    p->n_ignored == LINK_IGNORED_MAX)
		return true;
	p->n_ignored++;
	return false;
}

static bool
choose_key(struct call *k)
{
	struct peer *p = k->peer;
	const struct handshake_payload_1 *m = &k->req.payload;

	if (p->cfg.role == LINK_INVITER) {
		k->base = p->cfg.rk0;
		k->used = KEY_CUR;
		return true;
	}
	assert(p->cfg.role == LINK_CONTACT);
	k->used = ratchet_choose(
	    &p->cfg.ratchet, &m->rid_cur, &m->rid_prev, &k->base);
	k->adv = (m->flags & HANDSHAKE_ADV) && !peer_we_are_lower(k->l, p);
	if (k->used != KEY_FALLBACK)
		return true;
	pair_fallback(&p->cfg.rk0, &k->base);
	if (p->cfg.allow_fallback)
		return true;
	/* A copy of it says nothing new; but a thief's clock that is ahead must
	 * not make the owner's calls old. [SPEC §6.6] */
	if (m->ts_ms > p->cfg.last_ts_ms) {
		p->cfg.last_ts_ms =
		    m->ts_ms < k->now.wall_ms ? m->ts_ms : k->now.wall_ms;
		(void)out_state(k->l, p);
		(void)out_denied(k->l, p->number, false);
	}
	return false;
}

/* ---- answer ---- */

static void
fill_session(const struct call *k, const struct handshake_payload_2 *payload,
    struct session *s)
{
	const struct handshake_payload_1 *m = &k->req.payload;

	s->state = SESSION_HALF;
	s->base = k->base;
	s->s = k->req.s;
	s->own_s = k->l->self.s[k->own->s].pk;
	s->adv = k->adv;
	s->fallback = k->used == KEY_FALLBACK;
	s->udp_max = m->udp_max;
	s->from = *k->from;
	memcpy(s->call, k->datagram.p + MAC1_AT, sizeof(s->call));
	s->rank =
	    peer_we_are_lower(k->l, k->peer) ? payload->time_ms : m->ts_ms;
}

/* Our clock for payload 2: it ranks the session, so it must rise. */
static uint64_t
rising_ms(struct links *l, struct now now)
{
	if (l->rank_ms < now.wall_ms)
		l->rank_ms = now.wall_ms;
	if (l->rank_ms <= l->ts_ms)
		l->rank_ms = l->ts_ms;
	return ++l->rank_ms;
}

static enum err
seal_answer(
    struct call *k, uint8_t out[PACKET_MESSAGE_2_SIZE], struct session **ret)
{
	static const struct id_pk nobody;
	struct links *l = k->l;
	uint8_t e_sk[32], mac2[HANDSHAKE_MAC_SIZE];
	struct handshake_keys keys;
	struct handshake_2 in = {
		.rk = &k->base,
		.id_i = k->own->invite ? &nobody : &k->peer->cfg.id,
		.id_r = &l->self.id,
		.e_sk = e_sk,
		.mac2 = mac2,
	};
	enum err err;

	in.payload.key_used = (uint8_t)k->used;
	in.payload.flags = (uint8_t)(k->req.payload.flags & HANDSHAKE_INVITE);
	if (k->adv)
		in.payload.flags |= HANDSHAKE_ADV;
	in.payload.udp_max = LINK_UDP_MAX;
	in.payload.index = index_draw(l);
	in.payload.time_ms = rising_ms(l, k->now);
	rng_fill(l->rng, e_sk, sizeof(e_sk));
	rng_fill(l->rng, mac2, sizeof(mac2));
	load_count_dh(&l->load, 2, k->now.mono_ms);
	l->stats.n_dh += 2;
	err = handshake_2_seal(&k->req, &in, out, &keys);
	sodium_memzero(e_sk, sizeof(e_sk));
	if (err)
		return err;
	*ret = conn_session_new(l, k->peer, &keys, k->now);
	handshake_keys_wipe(&keys);
	if (!*ret)
		return ERR_NOMEM;
	fill_session(k, &in.payload, *ret);
	return ERR_OK;
}

/* What must be durable before message 2 leaves. */
static bool
store_caller(struct call *k)
{
	struct peer *p = k->peer;
	uint64_t ts_ms = k->req.payload.ts_ms;

	assert(p->callers && !k->adv);
	if (!out_caller(k->l, p, &k->req.s, ts_ms))
		return false;
	callers_take(p->callers, &k->req.s, ts_ms);
	return true;
}

static bool
store_contact(struct call *k, const struct session *s)
{
	struct peer *p = k->peer;
	struct link_peer before = p->cfg;
	bool ok;

	assert(p->cfg.role == LINK_CONTACT);
	p->cfg.last_ts_ms = k->req.payload.ts_ms;
	if (k->adv)
		ratchet_store(&p->cfg.ratchet, RATCHET_RESPONDER, &k->base,
		    &s->keys.rk_next);
	ok = out_state(k->l, p);
	if (!ok)
		p->cfg = before;
	sodium_memzero(&before, sizeof(before));
	return ok;
}

static bool
store_call(struct call *k, const struct session *s)
{
	return k->peer->callers ? store_caller(k) : store_contact(k, s);
}

/* The caller's repetition, while our answer is still on its way to him? */
static bool
is_answered(const struct call *k)
{
	const struct session *s = k->peer->half;

	return s != NULL && !s->answered_again &&
	       k->now.mono_ms - s->born_ms < SESSION_SAME_MS &&
	       s->adv == k->adv && s->fallback == (k->used == KEY_FALLBACK) &&
	       memcmp(s->s.b, k->req.s.b, sizeof(s->s.b)) == 0 &&
	       memcmp(s->own_s.b, k->l->self.s[k->own->s].pk.b,
	           sizeof(s->own_s.b)) == 0 &&
	       sodium_memcmp(s->base.b, k->base.b, sizeof(s->base.b)) == 0;
}

/*
 * Another answer would end the session of the first one, which the caller may
 * be using already: where the round trip is longer than his first interval, his
 * first words would always be lost. He can still open the first answer, so that
 * one goes where he calls from now; all as if the network had doubled it and
 * lost his repetition. Once only: he may have forgotten his call, and begin
 * anew.
 */
static void
answer_same(struct call *k)
{
	struct session *s = k->peer->half;

	if (!store_call(k, s))
		return;
	s->answered_again = true;
	address_called(k->peer, k->from, k->now.mono_ms);
	(void)out_send(k->l, k->from, 0, span_of(s->answer, sizeof(s->answer)));
	peer_touch(k->l, k->peer);
}

static void
answer(struct call *k)
{
	struct links *l = k->l;
	struct peer *p = k->peer;
	uint8_t out[PACKET_MESSAGE_2_SIZE];
	struct session *s = NULL;

	assert(p && (k->own->invite == NULL || k->own->invite == p));
	assert((p->cfg.role == LINK_INVITER) == (k->own->invite == p));
	assert(!k->adv || !peer_we_are_lower(l, p));
	assert(p->half || l->n_half < LOAD_HALF_MAX);
	if (seal_answer(k, out, &s))
		return;
	memcpy(s->answer, out, sizeof(s->answer));
	if (!store_call(k, s)) {
		conn_session_free(l, s);
		return;
	}
	conn_half_free(l, p);
	p->half = s;
	l->n_half++;
	address_called(p, k->from, k->now.mono_ms);
	if (p->cfg.role == LINK_CONTACT && !peer_we_are_lower(l, p) &&
	    !(p->attempt && p->attempt->accepted))
		attempt_free(l, p);
	(void)out_send(l, k->from, 0, span_of(out, sizeof(out)));
	peer_touch(l, p);
}

/*
 * A call goes all ways at once. What comes second is a replay, but if one of
 * the two ways is a route it is answered there, too, once: else each packet
 * of the first round trips would have but one chance. Whoever copied it gets
 * less than he sent, and no state changes.
 */
static bool
is_copy(const struct call *k)
{
	const struct session *s = k->peer->half;

	return s != NULL && !s->answered_copy &&
	       k->now.mono_ms - s->born_ms < SESSION_SAME_MS &&
	       !endpoint_eq(&s->from, k->from) &&
	       (endpoint_is_relayed(k->from) ||
	           endpoint_is_relayed(&s->from)) &&
	       memcmp(s->call, k->datagram.p + MAC1_AT, sizeof(s->call)) == 0;
}

static void
answer_copy(struct call *k)
{
	struct session *s = k->peer->half;

	s->answered_copy = true;
	if (endpoint_is_relayed(k->from)) {
		s->also = *k->from;
		s->n_also = SESSION_ALSO;
	}
	(void)out_send(k->l, k->from, 0, span_of(s->answer, sizeof(s->answer)));
}

static bool
known(struct call *k)
{
	if (!admit(k) || !open_request(k))
		return false;
	k->peer = find_caller(k);
	return k->peer && k->now.mono_ms >= k->peer->shunned_until_ms;
}

static bool
acceptable(struct call *k)
{
	const struct links *l = k->l;

	if (!ts_ok(k) || !yields(k))
		return false;
	if (!k->peer->half && l->n_half >= LOAD_HALF_MAX)
		return false;
	return choose_key(k);
}

/* False: it is dropped. */
static bool
take(struct call *k)
{
	if (is_copy(k)) {
		answer_copy(k);
		return true;
	}
	if (!acceptable(k))
		return false;
	if (is_answered(k))
		answer_same(k);
	else
		answer(k);
	return true;
}

void
accept_message_1(struct links *l, const struct endpoint *from,
    struct span datagram, struct now now)
{
	struct call k = {
		.l = l, .from = from, .datagram = datagram, .now = now
	};

	assert(l->has_self && datagram.n == PACKET_MESSAGE_1_SIZE);
	own_refresh(l, now);
	k.own = guard_of(l, datagram, now);
	if (!k.own || !known(&k) || !take(&k))
		l->stats.n_dropped++;
	handshake_request_wipe(&k.req);
	sodium_memzero(&k.base, sizeof(k.base));
}

/* ---- confirmation ---- */

void
accept_commit(
    struct links *l, struct peer *p, struct session *s, struct now now)
{
	enum ratchet_pending role =
	    s->initiator ? RATCHET_INITIATOR : RATCHET_RESPONDER;
	bool changed = false;

	assert(!s->confirmed && s->state == SESSION_OPEN);
	assert(!s->adv || p->cfg.role == LINK_CONTACT);
	if (s->adv)
		changed = ratchet_commit(&p->cfg.ratchet, role,
		    &s->keys.rk_next, now.wall_ms / 1000);
	if (s->fallback) {
		(void)out_simple(l, LINK_OUT_FALLBACK, p->number);
		if (!s->adv) {
			ratchet_init(&p->cfg.ratchet, &p->cfg.rk0);
			changed = true;
		}
	}
	if (changed)
		(void)out_state(l, p);
	s->confirmed = true;
}

enum err
accept_confirmed(struct links *l, struct session *s, struct now now)
{
	struct peer *p = s->peer;
	bool fresh = !p->conn;
	enum err err;

	assert(p->half == s && s->state == SESSION_HALF);
	assert(!s->initiator && !s->confirmed && l->n_half > 0);
	s->state = SESSION_OPEN;
	s->deadline_ms = now.mono_ms + SESSION_HALF_MS;
	err = conn_adopt(l, p, s, now);
	if (err) {
		s->state = SESSION_HALF;
		return err;
	}
	p->half = NULL;
	l->n_half--;
	/* A longer one has probably a lost packet in it. */
	if (fresh && now.mono_ms - s->born_ms < RECOVERY_INITIAL_RTT_US / 1000)
		recovery_sample(
		    &p->conn->recovery, now.mono_ms - s->born_ms, now.mono_ms);
	accept_commit(l, p, s, now);
	return ERR_OK;
}
