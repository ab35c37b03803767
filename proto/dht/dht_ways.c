/* Through others: our handles at introducers, and passing to those of
 * contacts. [SPEC §8.3] */
#include "proto/dht/dht_state.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
	TRY_MAX_MS = 2000, /* for the answer to a registration */
	TRIES = 4,
	PROOFS = 2, /* answered to one try; one is enough */
	LIFE_MAX_S = 3600,
	ERROR_MS = 4000, /* that long "nobody is there" is waited for */
	/* A circuit is used while its introducer has been heard so lately: it
	 * may have forgotten it, or be another by now. */
	FRESH_MS = 40 * 1000,
};

_Static_assert((int)DHT_HANDLE_SIZE == (int)KRPC_END_SIZE &&
                   (int)DHT_HANDLE_SIZE == (int)INTRODUCE_ID_SIZE,
    "one size");
_Static_assert((int)DHT_PASS_MIN == (int)INTRODUCE_DATAGRAM_MIN &&
                   (int)DHT_PASS_MAX == (int)INTRODUCE_DATAGRAM_MAX,
    "what is sent is passed");
_Static_assert((int)FRESH_MS < (int)INTRODUCE_CIRCUIT_MS, "it is there yet");

enum err
ways_init(struct dht *d)
{
	d->ways = calloc(1, sizeof(*d->ways));
	return d->ways ? ERR_OK : ERR_NOMEM;
}

void
ways_free(struct ways *w)
{
	if (!w)
		return;
	sodium_memzero(w, sizeof(*w));
	free(w);
}

/* An introducer hands on to the N that called: it has to hear the new one, and
 * not that it is the same caller. */
void
ways_renew(struct dht *d)
{
	for (size_t i = 0; i < DHT_CALLS_MAX; i++) {
		struct outcall *c = &d->ways->call[i];

		c->heard_ms = 0;
		rng_fill(d->cfg.rng, c->cookie, sizeof(c->cookie));
	}
}

bool
dht_way_eq(const struct dht_way *a, const struct dht_way *b)
{
	return a->back == b->back &&
	       endpoint_eq(&a->introducer.at, &b->introducer.at) &&
	       node_key_eq(&a->introducer.n, &b->introducer.n) &&
	       sodium_memcmp(a->id, b->id, sizeof(a->id)) == 0;
}

static void
tell(struct dht *d, const struct dht_node *to, struct krpc *m)
{
	uint8_t buf[OVERLAY_KRPC_MAX];
	struct writer plain = wr_init(buf, sizeof(buf));

	if (overlay_encode(d, m, &plain) > 0)
		(void)overlay_tell(d, &to->at, &to->n, wr_span_of(&plain));
}

static bool
same_node(const struct dht_node *a, const struct dht_node *b)
{
	return endpoint_eq(&a->at, &b->at) && node_key_eq(&a->n, &b->n);
}

/* Can it be asked at all? */
static bool
is_node(const struct dht *d, const struct dht_node *node)
{
	return care_allowed(d, &node->at) && node_key_is_set(&node->n);
}

/* ---- our handles ---- */

static struct registration *
own_find(struct dht *d, const struct dht_node *at,
    const uint8_t handle[DHT_HANDLE_SIZE])
{
	for (size_t i = 0; i < DHT_HANDLES_MAX; i++) {
		struct registration *r = &d->ways->own[i];

		if (r->used && same_node(&r->at, at) &&
		    sodium_memcmp(r->handle, handle, sizeof(r->handle)) == 0)
			return r;
	}
	return NULL;
}

/* A free place, or one whose time is over. */
static struct registration *
own_new(struct dht *d, const struct dht_node *at,
    const uint8_t handle[DHT_HANDLE_SIZE])
{
	for (size_t i = 0; i < DHT_HANDLES_MAX; i++) {
		struct registration *r = &d->ways->own[i];

		if (r->used &&
		    (r->asking || r->tell || d->now_ms < r->until_ms))
			continue;
		memset(r, 0, sizeof(*r));
		r->used = true;
		r->at = *at;
		memcpy(r->handle, handle, sizeof(r->handle));
		rng_fill(d->cfg.rng, r->cookie, sizeof(r->cookie));
		return r;
	}
	return NULL;
}

static void
own_end(struct dht *d, struct registration *r, bool took)
{
	assert(r->used && r->asking && !r->tell);
	r->asking = false;
	r->took = took;
	r->tell = true;
	d->ways->n_told++;
}

static unsigned
own_place(const struct dht *d, const struct registration *r)
{
	return (unsigned)(r - d->ways->own);
}

/* As a lookup waits for a slow node, then twice as long each time. */
static uint64_t
try_ms(const struct dht *d, const struct registration *r)
{
	uint64_t ms = lookup_soft_ms(d->stats.rtt_ms, d->rtt_var_ms)
	              << r->n_tries;

	return ms < TRY_MAX_MS ? ms : TRY_MAX_MS;
}

static void
own_ask(struct dht *d, struct registration *r)
{
	struct krpc m = { .method = KRPC_REGISTER };
	struct rpc_request ask = { .use = RPC_REGISTER,
		.to = &r->at.at,
		.n = &r->at.n,
		.wait_ms = try_ms(d, r) };

	assert(r->asking && r->n_tries < TRIES);
	m.has_handle = m.has_cookie = true;
	memcpy(m.handle, r->handle, sizeof(m.handle));
	memcpy(m.cookie, r->cookie, sizeof(m.cookie));
	if (r->has_token)
		m.token = span_of(r->token, sizeof(r->token));
	if (!rpc_send(d, &ask, &m, d->now_ms)) {
		own_end(d, r, false);
		return;
	}
	r->serial = ++d->serial;
	rpc_bind(d, m.t, own_place(d, r), r->serial);
}

enum err
dht_register(struct dht *d, uint64_t name, const struct dht_node *introducer,
    const uint8_t handle[DHT_HANDLE_SIZE], struct now now)
{
	struct registration *r;

	assert(d && d->ways);
	d->now_ms = now.mono_ms;
	d->wall_ms = now.wall_ms;
	if (!is_node(d, introducer))
		return ERR_BAD_KEY;
	r = own_find(d, introducer, handle);
	if (d->cfg.read_only || (r && (r->asking || r->tell)))
		return ERR_STATE;
	if (!r)
		r = own_new(d, introducer, handle);
	if (!r)
		return ERR_LIMIT;
	r->name = name;
	r->asking = true;
	r->n_tries = r->n_proofs = 0;
	own_ask(d, r);
	return ERR_OK;
}

void
dht_unregister(struct dht *d, const struct dht_node *introducer,
    const uint8_t handle[DHT_HANDLE_SIZE])
{
	struct registration *r = own_find(d, introducer, handle);

	if (!r)
		return;
	if (r->asking)
		rpc_cancel(d, RPC_REGISTER, own_place(d, r), r->serial);
	assert(d->ways->n_told >= r->tell);
	d->ways->n_told -= r->tell;
	sodium_memzero(r, sizeof(*r));
}

/* The one that an exchange belongs to, if it still waits for that. */
static struct registration *
own_of(struct dht *d, const struct rpc *rpc)
{
	struct registration *r;

	assert(rpc->op >= OPS_ALL && rpc->op < OPS_ALL + DHT_HANDLES_MAX);
	r = &d->ways->own[rpc->op - OPS_ALL];
	if (!r->used || !r->asking || r->serial != rpc->serial)
		return NULL;
	return r;
}

static void
own_answered(struct dht *d, struct registration *r, const struct krpc *m)
{
	bool took = m->kind == KRPC_RESPONSE && m->life_s > 0;

	r->life_s = 0;
	if (took)
		r->life_s =
		    m->life_s < LIFE_MAX_S ? (uint32_t)m->life_s : LIFE_MAX_S;
	r->until_ms = took ? d->now_ms + UINT64_C(1000) * r->life_s : 0;
	r->has_token = took && m->token.n == sizeof(r->token);
	if (r->has_token)
		memcpy(r->token, m->token.p, sizeof(r->token));
	own_end(d, r, took);
}

/* The first time he may be slow only. */
static void
own_timeout(struct dht *d, struct registration *r)
{
	if (r->n_tries > 0)
		table_failed(&d->table, &r->at.at, false, d->now_ms);
	if (++r->n_tries == TRIES)
		own_end(d, r, false);
	else
		own_ask(d, r);
}

/* The introducer wants to see that key and address are ours. */
static void
own_prove(struct dht *d, struct registration *r, struct span token)
{
	if (!r->asking || token.n != sizeof(r->token) || r->n_proofs == PROOFS)
		return;
	r->n_proofs++;
	r->has_token = true;
	memcpy(r->token, token.p, sizeof(r->token));
	rpc_cancel(d, RPC_REGISTER, own_place(d, r), r->serial);
	own_ask(d, r);
}

/* ---- what we pass ---- */

/* Found, or made in the place of the one unused for longest. */
static struct outcall *
call_of(struct dht *d, const struct dht_way *way)
{
	struct outcall *place = d->ways->call;

	for (size_t i = 0; i < DHT_CALLS_MAX; i++) {
		struct outcall *c = &d->ways->call[i];

		if (c->used_ms && same_node(&c->at, &way->introducer) &&
		    sodium_memcmp(c->handle, way->id, sizeof(c->handle)) == 0)
			return c;
		if (c->used_ms < place->used_ms)
			place = c;
	}
	assert(d->ways->n_told >= place->failed);
	d->ways->n_told -= place->failed;
	memset(place, 0, sizeof(*place));
	place->at = way->introducer;
	memcpy(place->handle, way->id, sizeof(place->handle));
	rng_fill(d->cfg.rng, place->cookie, sizeof(place->cookie));
	return place;
}

/* To the handle. At most one exchange at a time waits to hear that nobody is
 * there. */
static void
call_begin(struct dht *d, struct outcall *c, struct krpc *m)
{
	struct rpc_request ask = { .use = RPC_PASS,
		.to = &c->at.at,
		.n = &c->at.n,
		.wait_ms = ERROR_MS };

	m->has_handle = m->has_cookie = true;
	memcpy(m->handle, c->handle, sizeof(m->handle));
	memcpy(m->cookie, c->cookie, sizeof(m->cookie));
	if (c->asked) {
		m->has_n = true;
		dht_key(d, &m->n);
		tell(d, &c->at, m);
		return;
	}
	c->asked = rpc_send(d, &ask, m, d->now_ms);
	if (!c->asked)
		return;
	c->serial = ++d->serial;
	rpc_bind(d, m->t, (unsigned)(c - d->ways->call), c->serial);
}

static void
call_on(struct dht *d, const struct dht_way *way, struct krpc *m)
{
	struct outcall *c = call_of(d, way);

	c->used_ms = d->now_ms ? d->now_ms : 1;
	if (!c->heard_ms || d->now_ms >= c->heard_ms + FRESH_MS) {
		call_begin(d, c, m);
		return;
	}
	m->has_circuit = true;
	memcpy(m->circuit, c->circuit, sizeof(m->circuit));
	tell(d, &c->at, m);
}

void
dht_pass(struct dht *d, const struct dht_way *way, struct span datagram,
    struct now now)
{
	struct krpc m = {
		.kind = KRPC_QUERY, .method = KRPC_PASS, .datagram = datagram
	};

	assert(d && d->ways && datagram.p);
	d->now_ms = now.mono_ms;
	d->wall_ms = now.wall_ms;
	if (!is_node(d, &way->introducer) || !is_passable(datagram) ||
	    !out_room(d))
		return;
	if (!way->back) {
		call_on(d, way, &m);
		return;
	}
	m.has_circuit = true;
	memcpy(m.circuit, way->id, sizeof(m.circuit));
	tell(d, &way->introducer, &m);
}

static struct outcall *
call_of_rpc(struct dht *d, const struct rpc *rpc)
{
	struct outcall *c;

	assert(rpc->op >= OPS_ALL && rpc->op < OPS_ALL + DHT_CALLS_MAX);
	c = &d->ways->call[rpc->op - OPS_ALL];
	if (!c->used_ms || !c->asked || c->serial != rpc->serial)
		return NULL;
	c->asked = false;
	return c;
}

/* ---- what comes ---- */

/* Others may point us at themselves only, or at who is beside them. */
static struct endpoint
other_of(const struct dht *d, const struct endpoint *from, const struct krpc *m)
{
	struct endpoint none = { .port = 0 };
	enum endpoint_scope scope;

	if (!m->has_ip || !care_allowed(d, &m->ip))
		return none;
	scope = endpoint_scope(&m->ip);
	return scope == SCOPE_GLOBAL || scope == endpoint_scope(from) ? m->ip
	                                                              : none;
}

static void
keep_handed(struct dht *d, const struct dht_way *way, uint64_t name,
    const struct endpoint *from, const struct krpc *m)
{
	struct handed *h = &d->ways->handed;

	assert(m->datagram.n <= sizeof(h->data));
	h->way = *way;
	h->name = name;
	h->other = other_of(d, from, m);
	h->n = m->datagram.n;
	memcpy(h->data, m->datagram.p, h->n);
}

static bool
is_ours(const uint8_t cookie[KRPC_END_SIZE], const struct endpoint *at,
    const struct endpoint *from, const struct krpc *m)
{
	return endpoint_eq(at, from) &&
	       sodium_memcmp(cookie, m->cookie, KRPC_END_SIZE) == 0;
}

/* For a handle of ours. */
static bool
hand_to_own(struct dht *d, struct registration *r, const struct endpoint *from,
    const struct krpc *m)
{
	struct dht_way way = { .introducer = r->at, .back = true };

	if (m->token.p && !m->datagram.p) {
		own_prove(d, r, m->token);
		return true;
	}
	if (!m->has_circuit || !is_passable(m->datagram) ||
	    d->now_ms >= r->until_ms)
		return false;
	memcpy(way.id, m->circuit, sizeof(way.id));
	keep_handed(d, &way, r->name, from, m);
	return true;
}

/* Through a handle of somebody else. */
static bool
hand_to_call(struct dht *d, struct outcall *c, const struct endpoint *from,
    const struct krpc *m)
{
	struct dht_way way = { .introducer = c->at };

	if (!m->has_circuit || !is_passable(m->datagram))
		return false;
	c->heard_ms = d->now_ms ? d->now_ms : 1;
	memcpy(c->circuit, m->circuit, sizeof(c->circuit));
	memcpy(way.id, c->handle, sizeof(way.id));
	keep_handed(d, &way, 0, from, m);
	return true;
}

static bool
hand_to(struct dht *d, const struct endpoint *from, const struct krpc *m)
{
	for (size_t i = 0; i < DHT_HANDLES_MAX && m->has_cookie; i++) {
		struct registration *r = &d->ways->own[i];

		if (r->used && is_ours(r->cookie, &r->at.at, from, m))
			return hand_to_own(d, r, from, m);
	}
	for (size_t i = 0; i < DHT_CALLS_MAX && m->has_cookie; i++) {
		struct outcall *c = &d->ways->call[i];

		if (c->used_ms && is_ours(c->cookie, &c->at.at, from, m))
			return hand_to_call(d, c, from, m);
	}
	return false;
}

bool
ways_hand(struct dht *d, const struct endpoint *from, const struct krpc *m)
{
	assert(m->method == KRPC_HAND);
	if (!hand_to(d, from, m))
		return false;
	guard_proven(&d->guard, from, d->now_ms); /* it had our cookie */
	return true;
}

void
ways_answered(struct dht *d, const struct rpc *rpc, const struct krpc *m)
{
	struct registration *r;
	struct outcall *c;

	if (rpc->use == RPC_REGISTER) {
		r = own_of(d, rpc);
		if (r)
			own_answered(d, r, m);
		return;
	}
	assert(rpc->use == RPC_PASS);
	c = call_of_rpc(d, rpc);
	if (!c || c->failed || m->kind != KRPC_ERROR)
		return;
	c->failed = true;
	d->ways->n_told++;
}

void
ways_timeout(struct dht *d, const struct rpc *rpc)
{
	struct registration *r;

	if (rpc->use == RPC_PASS) { /* as it should be */
		(void)call_of_rpc(d, rpc);
		return;
	}
	assert(rpc->use == RPC_REGISTER);
	r = own_of(d, rpc);
	if (r)
		own_timeout(d, r);
}

/* ---- events ---- */

static void
own_event(struct dht *d, struct registration *r, struct dht_event *ret)
{
	ret->kind = DHT_REGISTERED;
	ret->op = r->name;
	ret->found = r->took;
	ret->life_s = r->life_s;
	r->tell = false;
	d->ways->n_told--;
}

static void
call_event(struct dht *d, struct outcall *c, struct dht_event *ret)
{
	ret->kind = DHT_PASS_FAILED;
	ret->way.introducer = c->at;
	memcpy(ret->way.id, c->handle, sizeof(ret->way.id));
	c->failed = false;
	d->ways->n_told--;
}

static bool
told_event(struct dht *d, struct dht_event *ret)
{
	struct ways *w = d->ways;

	for (size_t i = 0; i < DHT_HANDLES_MAX; i++)
		if (w->own[i].tell) {
			own_event(d, &w->own[i], ret);
			return true;
		}
	for (size_t i = 0; i < DHT_CALLS_MAX; i++)
		if (w->call[i].failed) {
			call_event(d, &w->call[i], ret);
			return true;
		}
	return false;
}

bool
ways_event(struct dht *d, struct dht_event *ret)
{
	struct handed *h = &d->ways->handed;

	if (h->n > 0) {
		ret->kind = DHT_HANDED;
		ret->op = h->name;
		ret->way = h->way;
		ret->address = h->other;
		ret->datagram = span_of(h->data, h->n);
		h->n = 0;
		return true;
	}
	return d->ways->n_told > 0 && told_event(d, ret);
}
