/* The outside of link/: classification of datagrams, timers, the output. What
 * a peer's packets do is in conn_*.c, how one meets in attempt.c, accept.c. */
#include "proto/link/link.h"
#include "proto/link/accept.h"
#include "proto/link/attempt.h"
#include "proto/link/conn.h"
#include "proto/link/offer.h"
#include "proto/link/out.h"
#include "proto/link/path.h"
#include "proto/link/peer.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

struct links *
links_new(const struct rng *rng, struct now now)
{
	struct links *l = calloc(1, sizeof(*l));

	assert(rng && rng->fill);
	if (!l)
		return NULL;
	l->rng = rng;
	l->now_ms = now.mono_ms;
	l->own_stale = true;
	map_init(&l->by_number, sizeof(uint32_t), rng);
	map_init(&l->by_static, sizeof(struct static_pk), rng);
	map_init(&l->by_rid, sizeof(struct rid), rng);
	map_init(&l->by_index, sizeof(uint32_t), rng);
	load_init(&l->load, rng);
	return l;
}

/* Takes a peer off a list of dirty or ready ones. */
static void
unlist(struct links *l, struct peer *p)
{
	struct peer **at;

	for (at = &l->dirty; p->dirty && *at; at = &(*at)->next_dirty) {
		if (*at != p)
			continue;
		*at = p->next_dirty;
		p->dirty = false;
		break;
	}
	for (at = &l->ready; p->ready && *at; at = &(*at)->next_ready) {
		if (*at != p)
			continue;
		*at = p->next_ready;
		p->ready = false;
		break;
	}
	assert(!p->dirty && !p->ready);
}

/* Ends whatever runs with a peer, without a word to it. */
static void
stop(struct links *l, struct peer *p)
{
	attempt_free(l, p);
	conn_half_free(l, p);
	conn_down(l, p, ERR_OK);
}

void
links_free(struct links *l)
{
	struct peer *p;
	size_t at;

	if (!l)
		return;
	for (at = 0; (p = map_each(&l->by_number, &at)) != NULL; at = 0) {
		stop(l, p);
		unlist(l, p);
		peer_drop(l, p);
	}
	out_clear(l);
	heap_clear(&l->timers);
	map_clear(&l->by_number);
	map_clear(&l->by_static);
	map_clear(&l->by_rid);
	map_clear(&l->by_index);
	load_wipe(&l->load);
	sodium_memzero(l, sizeof(*l));
	free(l);
}

static void
check(const struct links *l)
{
	assert((l->out_first == NULL) == (l->out_last == NULL));
	assert(!l->out_last || !l->out_last->next);
	assert(!l->out_lent || !l->data_lent); /* one thing at a time */
	assert(l->n_half <= LOAD_HALF_MAX && l->n_half <= l->n_peers);
	assert(l->n_up <= l->n_peers && l->n_attempts <= l->n_peers);
	assert((l->attempts == NULL) == (l->n_attempts == 0));
	assert(l->n_peers == l->by_number.n && l->n_peers <= LINK_PEERS_MAX);
	assert(l->timers.n <= l->n_peers);
	assert(l->n_own <= LINK_GUARDS_MAX && l->n_local <= LINK_LOCAL_MAX);
	assert(l->n_invite <= LINK_INVITES_MAX);
	assert(l->ts_ms <= l->ts_floor_ms);
}

/* Every call from outside begins here: what was lent is taken back. */
static void
enter(struct links *l, const struct now *now)
{
	struct peer *p = l->data_lent;

	check(l);
	out_release(l);
	if (now)
		l->now_ms = now->mono_ms;
	l->data_lent = NULL;
	if (!p)
		return;
	assert(p->conn && p->conn->up);
	conn_read(l, p, l->data_lent_n, l->data_lent_bulk);
}

/* ---- configuration ---- */

void
links_set_self(struct links *l, const struct link_self *self)
{
	assert(self->n_s > 0 && self->n_s <= LINK_STATICS_MAX);
	enter(l, NULL);
	l->self = *self;
	l->has_self = true;
	l->own_stale = true;
}

static bool
has_local(const struct links *l, const struct endpoint *e)
{
	for (size_t i = 0; i < l->n_local; i++) {
		if (endpoint_eq(&l->local[i], e))
			return true;
	}
	return false;
}

/* In whatever order a system lists them. */
static bool
same_local(const struct links *l, const struct endpoint *local, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!has_local(l, &local[i]))
			return false;
	}
	return n == l->n_local;
}

/* Our address changed: no header field may join the packets before and
 * after, and the peers should see the new one soon. */
static void
depart(struct links *l)
{
	struct peer *p;
	size_t at = 0;

	while ((p = map_each(&l->by_number, &at)) != NULL) {
		struct session *s = p->conn ? p->conn->cur : NULL;

		if (!s)
			continue;
		if (s->at_index + 1 < s->keys.n_send_index)
			s->at_index++;
		if (p->conn->up)
			path_doubt(l, p);
	}
}

void
links_set_local(
    struct links *l, const struct endpoint *local, size_t n, bool loopback)
{
	enter(l, NULL);
	l->loopback = loopback;
	if (n > (size_t)LINK_LOCAL_MAX)
		n = LINK_LOCAL_MAX;
	if (same_local(l, local, n))
		return;
	for (size_t i = 0; i < n; i++)
		l->local[i] = local[i];
	l->n_local = n;
	depart(l);
}

static bool
same_peer(const struct link_peer *a, const struct link_peer *b)
{
	return a->role == b->role &&
	       (a->role == LINK_INVITER || id_eq(&a->id, &b->id)) &&
	       sodium_memcmp(a->rk0.b, b->rk0.b, sizeof(a->rk0.b)) == 0;
}

enum err
links_set_peer(struct links *l, uint32_t peer, const struct link_peer *cfg)
{
	struct peer *p = peer_get(l, peer);

	assert(cfg->n_s <= LINK_PEER_STATICS_MAX);
	enter(l, NULL);
	if (p && same_peer(&p->cfg, cfg))
		return peer_update(l, p, cfg);
	if (p) { /* somebody else under the same number */
		stop(l, p);
		unlist(l, p);
		peer_drop(l, p);
	}
	return peer_add(l, peer, cfg);
}

void
links_shun(struct links *l, uint32_t peer, uint64_t until_ms, struct now now)
{
	struct peer *p = peer_get(l, peer);

	enter(l, &now);
	if (!p)
		return;
	if (p->conn && p->conn->up)
		conn_close(l, p, p->conn->cur, CLOSE_NONE, ERR_OK, now);
	stop(l, p);
	p->shunned_until_ms = until_ms;
}

void
links_remove_peer(struct links *l, uint32_t peer, struct now now)
{
	struct peer *p = peer_get(l, peer);

	enter(l, &now);
	if (!p)
		return;
	if (p->conn && p->conn->up)
		conn_close(l, p, p->conn->cur, CLOSE_NONE, ERR_OK, now);
	stop(l, p);
	unlist(l, p);
	peer_drop(l, p);
}

void
links_set_ts_floor(struct links *l, uint64_t ts_ms)
{
	enter(l, NULL);
	if (ts_ms > l->ts_ms)
		l->ts_ms = ts_ms;
	if (ts_ms > l->ts_floor_ms)
		l->ts_floor_ms = ts_ms;
}

/* ---- datagrams and time ---- */

void
links_connect(struct links *l, uint32_t peer, const struct endpoint *to,
    size_t n, uint8_t hops, struct now now)
{
	struct peer *p = peer_get(l, peer);

	enter(l, &now);
	if (!p || !l->has_self)
		return;
	/* A link in doubt may have moved to an address that is named now. */
	if (p->conn && p->conn->up && !p->conn->rescue)
		return;
	attempt_start(l, p, to, n, hops, now);
}

void
links_set_routes(struct links *l, uint32_t peer, const struct endpoint *routes,
    size_t n, struct now now)
{
	struct peer *p = peer_get(l, peer);
	struct conn *c;

	enter(l, &now);
	if (!p)
		return;
	if (n > (size_t)LINK_ROUTES_MAX)
		n = LINK_ROUTES_MAX;
	for (size_t i = 0; i < n; i++) {
		assert(endpoint_is_route(&routes[i], NULL));
		p->routes[i] = routes[i];
	}
	p->n_routes = (uint8_t)n;
	c = p->conn;
	/* Its carrier is gone, perhaps. */
	if (c && c->up && path_on_route(c) && !peer_has_route(p, &c->path))
		path_doubt(l, p);
}

void
links_probe(struct links *l, uint32_t peer, const struct endpoint *to,
    uint8_t hops, struct now now)
{
	struct peer *p = peer_get(l, peer);

	enter(l, &now);
	if (p && p->conn && p->conn->up)
		path_probe(l, p, to, hops, now);
}

void
links_answered(
    struct links *l, uint32_t peer, const struct endpoint *from, struct now now)
{
	struct peer *p = peer_get(l, peer);

	enter(l, &now);
	if (p)
		address_answered(p, from, now.mono_ms);
}

void
links_network_back(struct links *l, uint64_t since_ms, struct now now)
{
	struct peer *p;
	size_t at = 0;

	enter(l, &now);
	while ((p = map_each(&l->by_number, &at)))
		addresses_forgive(p, since_ms);
}

/* False: under no session of this index is it a packet. */
static bool
receive_transport(struct links *l, struct index_entry *first,
    const struct endpoint *from, struct span datagram, struct now now)
{
	for (struct index_entry *e = first; e; e = e->next) {
		if (e->session &&
		    conn_receive(l, e->session, from, datagram, now))
			return true;
	}
	return false;
}

static void
receive_message_2(struct links *l, struct index_entry *first,
    const struct endpoint *from, struct span datagram, struct now now)
{
	struct index_entry *e = first;

	while (e && !e->try)
		e = e->next;
	if (e)
		attempt_on_message_2(
		    l, e->try, e->try->peer, from, datagram, now);
	else
		l->stats.n_dropped++;
}

/* A cookie reply names no attempt; every one is asked. */
static void
receive_cookie(struct links *l, const struct endpoint *from,
    struct span datagram, struct now now)
{
	for (struct attempt *a = l->attempts; a; a = a->next) {
		if (attempt_on_cookie(l, a, from, datagram, now))
			return;
	}
	l->stats.n_dropped++;
}

static struct packet_known
known(const struct links *l, const struct index_entry *first)
{
	struct packet_known k = { .attempt_pending = l->n_attempts > 0 };

	for (const struct index_entry *e = first; e; e = e->next) {
		k.index_is_session |= e->session != NULL;
		k.index_is_attempt |= e->try != NULL;
	}
	return k;
}

bool
links_claim(const struct links *l, struct span datagram)
{
	uint32_t index;

	return packet_index(datagram, &index) &&
	       known(l, index_get(l, index)).index_is_session;
}

void
links_receive(struct links *l, const struct endpoint *from,
    struct span datagram, struct now now)
{
	struct index_entry *first = NULL;
	struct packet_known k;
	uint32_t index;

	enter(l, &now);
	l->stats.n_in++;
	l->stats.bytes_in += datagram.n;
	if (packet_index(datagram, &index))
		first = index_get(l, index);
	k = known(l, first);
	switch (l->has_self ? packet_classify(datagram, &k) : PACKET_DROP) {
	case PACKET_TRANSPORT:
		if (!receive_transport(l, first, from, datagram, now))
			l->stats.n_dropped++;
		return;
	case PACKET_MESSAGE_1:
		accept_message_1(l, from, datagram, now);
		return;
	case PACKET_MESSAGE_2:
		receive_message_2(l, first, from, datagram, now);
		return;
	case PACKET_COOKIE_REPLY:
		receive_cookie(l, from, datagram, now);
		return;
	case PACKET_DROP:
	case PACKET_KRPC:
	case PACKET_QUERY:
	case PACKET_ANSWER:
		l->stats.n_dropped++;
		return;
	}
}

void
links_woke(struct links *l, struct now now)
{
	/* One has no time to lose; many shall not call in one moment. */
	uint32_t spread_ms = (uint32_t)(l->n_up - (l->n_up > 0)) * LINK_WAKE_MS;
	struct peer *p;
	size_t at = 0;

	enter(l, &now);
	while ((p = map_each(&l->by_number, &at)) != NULL) {
		if (!p->conn || !p->conn->up)
			continue;
		p->conn->renew_ms = 0;
		p->conn->renew_by_ms =
		    now.mono_ms + rng_below(l->rng, spread_ms + 1);
		peer_touch(l, p);
	}
}

void
links_behind(struct links *l, struct now now)
{
	enter(l, &now);
	load_behind(&l->load, now.mono_ms);
}

static uint64_t
deadline_of(const struct links *l, const struct peer *p)
{
	uint64_t at = conn_deadline_ms(l, p);
	uint64_t other = attempt_deadline_ms(p->attempt);

	at = other < at ? other : at;
	if (p->half && p->half->deadline_ms < at)
		at = p->half->deadline_ms;
	return at;
}

static void
flush(struct links *l, struct now now)
{
	struct peer *p;

	while ((p = l->dirty) != NULL) {
		assert(p->dirty && peer_get(l, p->number) == p);
		l->dirty = p->next_dirty;
		conn_flush(l, p, now);
		p->dirty = false;
		if (heap_set(&l->timers, &p->timer, deadline_of(l, p)))
			abort(); /* peer_add has made room */
	}
}

void
links_flush(struct links *l, struct now now)
{
	enter(l, &now);
	flush(l, now);
}

void
links_tick(struct links *l, struct now now)
{
	struct heap_node *node;

	enter(l, &now);
	while ((node = heap_top(&l->timers)) != NULL &&
	       node->at_ms <= now.mono_ms) {
		struct peer *p = node->owner;

		heap_remove(&l->timers, node);
		if (p->half && now.mono_ms >= p->half->deadline_ms)
			conn_half_free(l, p);
		attempt_tick(l, p, now); /* before what may start another */
		conn_tick(l, p, now);
		peer_touch(l, p);
	}
	flush(l, now);
}

uint64_t
links_deadline_ms(const struct links *l)
{
	const struct heap_node *node = heap_top(&l->timers);

	if (l->dirty)
		return l->now_ms; /* nobody called links_flush */
	return node ? node->at_ms : NEVER;
}

/* ---- streams and outputs ---- */

/* One of the two streams to a peer. */
struct outlet {
	struct stream_send *stream;
	size_t window;
	bool *room_low;
};

/* False: no session. */
static bool
outlet_of(struct peer *p, bool bulk, struct outlet *ret)
{
	struct conn *c = p ? p->conn : NULL;

	if (!c || !(c->up || (c->early && !bulk)))
		return false;
	if (bulk)
		*ret = (struct outlet){ &c->bulk_send, STREAM_BULK_WINDOW,
			&c->bulk_room_low };
	else
		*ret = (struct outlet){ &c->send, STREAM_WINDOW, &c->room_low };
	return true;
}

static size_t
room(const struct links *l, uint32_t peer, bool bulk)
{
	struct outlet o;

	if (!outlet_of(peer_get(l, peer), bulk, &o))
		return 0;
	return stream_send_room(o.stream);
}

static enum err
append(struct links *l, uint32_t peer, bool bulk, struct span data)
{
	struct peer *p = peer_get(l, peer);
	struct outlet o;
	enum err err;

	enter(l, NULL);
	if (!outlet_of(p, bulk, &o))
		return ERR_STATE;
	err = stream_send_write(o.stream, data);
	if (stream_send_room(o.stream) < o.window / 2)
		*o.room_low = true;
	if (!err)
		peer_touch(l, p);
	return err;
}

size_t
links_room(const struct links *l, uint32_t peer)
{
	return room(l, peer, false);
}

enum err
links_write(struct links *l, uint32_t peer, struct span data)
{
	return append(l, peer, false, data);
}

size_t
links_bulk_room(const struct links *l, uint32_t peer)
{
	return room(l, peer, true);
}

enum err
links_bulk_write(struct links *l, uint32_t peer, struct span data)
{
	return append(l, peer, true, data);
}

enum err
links_bulk_open(struct links *l, uint32_t peer)
{
	struct peer *p = peer_get(l, peer);

	enter(l, NULL);
	if (!p || !p->conn || !p->conn->up)
		return ERR_STATE;
	conn_bulk_open(l, p);
	return ERR_OK;
}

enum err
links_bulk_yield(struct links *l, uint32_t peer, bool yields)
{
	struct peer *p = peer_get(l, peer);

	enter(l, NULL);
	if (!p || !p->conn || !p->conn->up)
		return ERR_STATE;
	recovery_set_yield(&p->conn->recovery, yields);
	peer_touch(l, p);
	return ERR_OK;
}

enum err
links_ping(struct links *l, uint32_t peer, struct now now)
{
	struct peer *p = peer_get(l, peer);

	enter(l, &now);
	if (!p || !p->conn || !p->conn->up)
		return ERR_STATE;
	if (p->conn->asked_ms != NEVER)
		return ERR_OK; /* that one is repeated until it is answered */
	p->conn->asked_ms = now.mono_ms;
	p->conn->ping_due = true;
	peer_touch(l, p);
	return ERR_OK;
}

enum err
links_offer(struct links *l, uint32_t peer, const struct link_candidates *offer)
{
	struct peer *p = peer_get(l, peer);

	enter(l, NULL);
	if (!p || !p->conn || !(p->conn->up || p->conn->early))
		return ERR_STATE;
	offer_set(l, p, offer);
	return ERR_OK;
}

/* Lends the next bytes of one stream. */
static bool
lend(struct links *l, struct peer *p, bool bulk, struct link_out *ret)
{
	const struct conn *c = p->conn;
	struct span data =
	    stream_receive_peek(bulk ? &c->bulk_receive : &c->receive);

	assert(!l->data_lent && !l->out_lent);
	if (data.n == 0)
		return false;
	ret->kind = bulk ? LINK_OUT_BULK : LINK_OUT_DATA;
	ret->data = data;
	l->data_lent = p;
	l->data_lent_n = data.n;
	l->data_lent_bulk = bulk;
	return true;
}

/* What a ready peer has to say, words first; false: nothing (any more). */
static bool
ready_next(struct links *l, struct peer *p, struct link_out *ret)
{
	*ret = (struct link_out){ .peer = p->number };
	if (!p->conn || !p->conn->up)
		return false;
	if (p->writable) {
		p->writable = false;
		ret->kind = LINK_OUT_WRITABLE;
		return true;
	}
	if (lend(l, p, false, ret))
		return true;
	if (p->bulk_writable) {
		p->bulk_writable = false;
		ret->kind = LINK_OUT_BULK_WRITABLE;
		return true;
	}
	return lend(l, p, true, ret);
}

bool
links_next(struct links *l, struct link_out *ret)
{
	struct peer *p;

	enter(l, NULL);
	if (out_pop(l, ret))
		return true;
	while ((p = l->ready) != NULL) {
		if (ready_next(l, p, ret))
			return true;
		l->ready = p->next_ready;
		p->ready = false;
	}
	return false;
}

/* ---- looking ---- */

bool
links_info(const struct links *l, uint32_t peer, struct link_info *ret)
{
	const struct peer *p = peer_get(l, peer);
	const struct conn *c = p ? p->conn : NULL;

	if (!p)
		return false;
	*ret = (struct link_info){
		.up = c && c->up,
		.connecting = p->attempt || p->half || (c && !c->up),
	};
	if (!c || !c->up)
		return true;
	ret->path = c->path;
	ret->route = path_on_route(c);
	ret->has_spare = c->ways.spare.known && c->ways.spare.answered_ms != 0;
	ret->spare = c->ways.spare.at;
	ret->rtt_ms = (c->recovery.smoothed_us + 500) / 1000;
	ret->up_since_ms = c->up_ms;
	ret->bytes_in = c->bytes_in;
	ret->bytes_out = c->bytes_out;
	ret->rekeys = c->rekeys;
	return true;
}

void
links_stats(const struct links *l, struct link_stats *ret)
{
	*ret = l->stats;
	ret->n_up = l->n_up;
	ret->n_half_open = l->n_half;
	ret->n_attempts = l->n_attempts;
}
