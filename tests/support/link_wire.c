/* See link_wire.h. Asserts are the oracle: a test that uses this fails by
 * abort, after the seed was printed. */
#include "tests/support/link_wire.h"

#include "proto/crypto/kdf.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { PORT = 7000 };

#define WIRE_EPOCH_MS UINT64_C(1796123323456)

/* ---- making nodes ---- */

struct now
wire_now(const struct wire *w, unsigned a)
{
	struct now now = w->now;

	now.wall_ms = (uint64_t)((int64_t)now.wall_ms + w->node[a].clock_ms);
	return now;
}

static void
start_links(struct wire *w, unsigned a)
{
	struct wire_node *n = &w->node[a];

	n->links = links_new(&w->rng.rng, wire_now(w, a));
	assert(n->links);
	links_set_self(n->links, &n->self);
	links_set_local(n->links, &n->at, 1, false);
	links_set_ts_floor(n->links, n->ts_floor_ms);
	for (unsigned b = 0; b < w->n_nodes; b++) {
		n->disk[b].peer.callers = &n->disk[b].callers;
		if (n->disk[b].knows &&
		    links_set_peer(n->links, b, &n->disk[b].peer))
			abort();
	}
}

static void
make_node(struct wire *w, unsigned a)
{
	struct wire_node *n = &w->node[a];
	struct id_seed seed;
	struct cert cert = {
		.gen = 1,
		.not_before_s = WIRE_EPOCH_MS / 1000 - 86400,
		.not_after_s = WIRE_EPOCH_MS / 1000 + CERT_LIFE_S,
	};
	const uint8_t addr[4] = { 198, 51, 100, (uint8_t)(a + 1) };

	rng_fill(&w->rng.rng, seed.b, sizeof(seed.b));
	identity_from_seed(&seed, &n->id, &n->sk);
	n->self.id = n->id;
	n->self.n_s = 1;
	rng_fill(&w->rng.rng, n->self.s[0].sk.b, 32);
	if (crypto_scalarmult_base(n->self.s[0].pk.b, n->self.s[0].sk.b))
		abort();
	cert.s = n->self.s[0].pk;
	cert_sign(&n->sk, &cert, &n->self.s[0].cert);
	rng_fill(&w->rng.rng, n->self.reach.b, 32);
	n->at = endpoint_v4(addr, PORT);
	start_links(w, a);
}

void
wire_init(struct wire *w, uint64_t seed, unsigned n_nodes)
{
	assert(n_nodes <= WIRE_NODES_MAX);
	if (sodium_init() < 0)
		abort();
	memset(w, 0, sizeof(*w));
	test_rng_init(&w->rng, seed);
	w->now = (struct now){ 1000000, WIRE_EPOCH_MS };
	w->delay_ms = 10;
	w->n_nodes = n_nodes;
	for (unsigned i = 0; i < n_nodes; i++)
		make_node(w, i);
}

void
wire_clear(struct wire *w)
{
	for (unsigned i = 0; i < w->n_nodes; i++)
		links_free(w->node[i].links);
	free(w->queue);
	memset(w, 0, sizeof(*w));
}

struct link_peer
wire_contact(struct wire *w, unsigned a, unsigned b)
{
	struct wire_node *x = &w->node[a], *y = &w->node[b];
	struct link_peer cfg = { .role = LINK_CONTACT, .id = y->id };
	struct pair_root root;

	if (pair_root_mutual(&x->sk, &y->id, &root))
		abort();
	pair_rk0(&root, &cfg.rk0);
	ratchet_init(&cfg.ratchet, &cfg.rk0);
	rng_fill(&w->rng.rng, cfg.db_epoch, sizeof(cfg.db_epoch));
	cfg.s[0] = y->self.s[0].pk;
	cfg.n_s = 1;
	cfg.reach = y->self.reach;
	cfg.allow_fallback = true;
	return cfg;
}

void
wire_set_peer(
    struct wire *w, unsigned a, unsigned b, const struct link_peer *cfg)
{
	struct wire_node *n = &w->node[a];

	n->disk[b] = (struct wire_disk){ .knows = true, .peer = *cfg };
	if (n->links && links_set_peer(n->links, b, cfg))
		abort();
}

void
wire_befriend(struct wire *w, unsigned a, unsigned b)
{
	struct link_peer x = wire_contact(w, a, b);
	struct link_peer y = wire_contact(w, b, a);

	wire_set_peer(w, a, b, &x);
	wire_set_peer(w, b, a, &y);
}

void
wire_connect(struct wire *w, unsigned a, unsigned b)
{
	links_connect(
	    w->node[a].links, b, &w->node[b].at, 1, 0, wire_now(w, a));
	wire_drain(w, a);
}

static void
name_routes(struct wire *w, unsigned a, unsigned b)
{
	struct endpoint to[WIRE_ROUTES_MAX];
	size_t n = 0;

	for (unsigned i = 0; i < w->n_routes; i++) {
		const struct wire_route *r = &w->route[i];

		for (unsigned e = 0; e < 2; e++) {
			if (r->node[e] == a && r->node[1 - e] == b)
				to[n++] = r->end[e];
		}
	}
	if (w->node[a].links)
		links_set_routes(w->node[a].links, b, to, n, wire_now(w, a));
}

static void
add_route(
    struct wire *w, unsigned a, unsigned b, uint64_t delay_ms, uint64_t bits)
{
	struct wire_route *r = &w->route[w->n_routes++];

	assert(w->n_routes <= WIRE_ROUTES_MAX && a != b);
	*r = (struct wire_route){ .node = { a, b }, .delay_ms = delay_ms };
	r->end[0] = endpoint_route(rng_u32(&w->rng.rng) | bits);
	r->end[1] = endpoint_route(rng_u32(&w->rng.rng) | bits);
	name_routes(w, a, b);
	name_routes(w, b, a);
}

void
wire_add_route(struct wire *w, unsigned a, unsigned b, uint64_t delay_ms)
{
	add_route(w, a, b, delay_ms, 0);
}

void
wire_add_relay(struct wire *w, unsigned a, unsigned b, uint64_t delay_ms)
{
	add_route(w, a, b, delay_ms, ROUTE_ROOMY);
}

static void
set_local(struct wire *w, unsigned a)
{
	struct wire_node *n = &w->node[a];
	struct endpoint local[2] = { n->at, n->at_v6 };

	links_set_local(n->links, local, n->at_v6.port ? 2 : 1, false);
}

void
wire_move(struct wire *w, unsigned a, bool told)
{
	struct wire_node *n = &w->node[a];

	n->at.addr[15] ^= 0x80;
	n->at.port++;
	if (told)
		set_local(w, a);
	links_flush(n->links, wire_now(w, a));
	wire_drain(w, a);
}

void
wire_crash(struct wire *w, unsigned a)
{
	links_free(w->node[a].links);
	w->node[a].links = NULL;
	memset(w->node[a].up, 0, sizeof(w->node[a].up));
}

void
wire_restart(struct wire *w, unsigned a)
{
	assert(!w->node[a].links);
	start_links(w, a);
	set_local(w, a);
	for (unsigned b = 0; b < w->n_nodes; b++) {
		if (b != a)
			name_routes(w, a, b);
	}
}

/* ---- streams ---- */

/* Byte o of what a sends: no period of a power of two. */
static uint8_t
pattern(unsigned a, uint64_t o)
{
	return (uint8_t)(o * 31 + o / 251 + a * 101);
}

/* Packets leave with the next flush. */
static void
append(struct wire *w, unsigned a, unsigned b, size_t n)
{
	struct wire_node *x = &w->node[a];
	uint8_t buf[1024];

	while (n > 0) {
		size_t m = sizeof(buf);

		if (m > n)
			m = n;
		if (links_room(x->links, b) < m)
			break;
		for (size_t i = 0; i < m; i++)
			buf[i] = (uint8_t)(pattern(a, x->written[b] + i) +
			                   x->stream_out[b]);
		if (links_write(x->links, b, span_of(buf, m)))
			abort();
		x->written[b] += m;
		n -= m;
	}
}

void
wire_write(struct wire *w, unsigned a, unsigned b, size_t n)
{
	append(w, a, b, n);
	links_flush(w->node[a].links, wire_now(w, a));
	wire_drain(w, a);
}

void
wire_write_bulk(struct wire *w, unsigned a, unsigned b, size_t n)
{
	struct wire_node *x = &w->node[a];
	uint8_t buf[1024];

	while (n > 0) {
		size_t m = n < sizeof(buf) ? n : sizeof(buf);

		if (links_bulk_room(x->links, b) < m)
			break;
		for (size_t i = 0; i < m; i++)
			buf[i] = pattern(a + 8, x->bulk_written[b] + i);
		if (links_bulk_write(x->links, b, span_of(buf, m)))
			abort();
		x->bulk_written[b] += m;
		n -= m;
	}
	links_flush(x->links, wire_now(w, a));
	wire_drain(w, a);
}

static void
read_bulk(
    const struct wire *w, struct wire_node *n, unsigned b, struct span data)
{
	assert(n->up[b] && data.n > 0);
	for (size_t i = 0; i < data.n && !w->any_data; i++)
		assert(data.p[i] == pattern(b + 8, n->bulk_read[b] + i));
	n->bulk_read[b] += data.n;
}

static void
read_data(
    const struct wire *w, struct wire_node *n, unsigned b, struct span data)
{
	assert(n->up[b] && data.n > 0);
	if (n->read[b] == 0)
		n->stream_in[b] = (uint8_t)(data.p[0] - pattern(b, 0));
	for (size_t i = 0; i < data.n && !w->any_data; i++)
		assert(data.p[i] ==
		       (uint8_t)(pattern(b, n->read[b] + i) + n->stream_in[b]));
	n->read[b] += data.n;
}

/* ---- routes ---- */

/* The route that ends there at this node; *end says which end. */
static struct wire_route *
route_of(struct wire *w, const struct endpoint *e, unsigned *end)
{
	for (unsigned i = 0; i < 2 * w->n_routes; i++) {
		if (!endpoint_eq(&w->route[i / 2].end[i % 2], e))
			continue;
		*end = i % 2;
		return &w->route[i / 2];
	}
	abort(); /* nobody named it */
}

static bool
passes(const struct wire *w, const struct endpoint *from,
    const struct endpoint *to)
{
	for (unsigned a = 0; a < w->n_nodes; a++) {
		const struct wire_node *n = &w->node[a];

		if (w->cut_from[a] &&
		    (endpoint_eq(&n->at, from) || endpoint_eq(&n->at_v6, from)))
			return false;
	}
	return !w->cut && !w->cut_direct && !w->cut_family[endpoint_family(to)];
}

/* ---- outputs ---- */

static void
on_send(struct wire *w, struct wire_node *n, const struct link_out *o)
{
	bool v6 = endpoint_family(&o->endpoint) == FAMILY_V6;
	const struct endpoint *from = v6 ? &n->at_v6 : &n->at;
	struct endpoint far;

	n->sent++;
	n->sent_bytes += o->data.n;
	n->hops = o->hops;
	if (endpoint_is_route(&o->endpoint, NULL)) {
		unsigned end;
		struct wire_route *r = route_of(w, &o->endpoint, &end);

		assert(o->data.n <= ROUTE_UDP_MAX && o->hops == 0);
		assert(&w->node[r->node[end]] == n);
		far = r->end[1 - end];
		wire_send(w, &o->endpoint, &far, o->data);
	} else if (from->port != 0) {
		wire_send(w, from, &o->endpoint, o->data);
	}
}

/* Its bytes are others than those of the one before. */
static void
stream_begin(struct wire_node *n, unsigned b)
{
	n->written[b] = 0;
	n->stream_out[b]++;
}

static void
on_up(struct wire *w, struct wire_node *n, const struct link_out *o)
{
	unsigned b = o->peer;

	assert(!n->up[b]);
	n->up[b] = true;
	n->ups[b]++;
	n->read[b] = 0;
	if (!o->early)
		stream_begin(n, b);
	n->bulk_read[b] = 0;
	n->bulk_written[b] = 0;
	n->up_at_ms[b] = w->now.mono_ms;
	n->hello = o->hello;
	/* The owner keeps a learned S. */
	if (n->disk[b].peer.n_s == 0) {
		n->disk[b].peer.s[0] = o->hello.says.s;
		n->disk[b].peer.n_s = 1;
	}
}

/* The ratchet was. */
static void
on_lost(struct wire_node *n, unsigned b, const struct link_out *o)
{
	n->fallbacks[b] += o->kind == LINK_OUT_FALLBACK;
	n->denied[b] += o->kind == LINK_OUT_DENIED;
	n->proven[b] += o->kind == LINK_OUT_DENIED && o->proven;
}

static void
on_state(struct link_peer *p, const struct link_out *o)
{
	p->ratchet = o->ratchet;
	p->last_ts_ms = o->last_ts_ms;
}

static void
on_early(struct wire *w, struct wire_node *n, unsigned b)
{
	unsigned a = (unsigned)(n - w->node);

	n->earlies[b]++;
	stream_begin(n, b);
	append(w, a, b, w->early);
	links_flush(n->links, wire_now(w, a));
}

static void
on_pong(struct wire_node *n, unsigned b, const struct link_out *o)
{
	n->pongs[b]++;
	n->rtt_ms = o->rtt_ms;
}

static void
on_out(struct wire *w, struct wire_node *n, const struct link_out *o)
{
	unsigned b = o->peer;

	assert(b < WIRE_NODES_MAX);
	switch (o->kind) {
	case LINK_OUT_SEND:
		on_send(w, n, o);
		return;
	case LINK_OUT_STATE:
		on_state(&n->disk[b].peer, o);
		return;
	case LINK_OUT_CALLER:
		callers_take(&n->disk[b].callers, &o->s, o->last_ts_ms);
		return;
	case LINK_OUT_TS:
		n->ts_floor_ms = o->ts_ms;
		return;
	case LINK_OUT_PAIRED:
		n->paired[b]++;
		n->root = o->root;
		n->hello = o->hello;
		return;
	case LINK_OUT_EARLY:
		on_early(w, n, b);
		return;
	case LINK_OUT_UP:
		on_up(w, n, o);
		return;
	case LINK_OUT_DOWN:
		assert(n->up[b]);
		n->up[b] = false;
		n->downs[b]++;
		n->last_err[b] = o->err;
		return;
	case LINK_OUT_DATA:
		read_data(w, n, b, o->data);
		return;
	case LINK_OUT_WRITABLE:
		n->writables[b]++;
		return;
	case LINK_OUT_BULK:
		read_bulk(w, n, b, o->data);
		return;
	case LINK_OUT_BULK_WRITABLE:
		n->bulk_writables[b]++;
		return;
	case LINK_OUT_HELLO:
		return;
	case LINK_OUT_OBSERVED:
		n->observed++;
		return;
	case LINK_OUT_PATH:
		n->paths[b]++;
		return;
	case LINK_OUT_PONG:
		on_pong(n, b, o);
		return;
	case LINK_OUT_CANDIDATES:
		n->offers[b]++;
		n->offer = o->candidates;
		return;
	case LINK_OUT_FALLBACK:
	case LINK_OUT_DENIED:
		on_lost(n, b, o);
		return;
	case LINK_OUT_REFUSED:
		n->refused[b]++;
		n->last_err[b] = o->err;
		return;
	}
	abort();
}

void
wire_drain(struct wire *w, unsigned a)
{
	struct wire_node *n = &w->node[a];
	struct link_out o;

	while (links_next(n->links, &o))
		on_out(w, n, &o);
}

/* ---- the wire ---- */

/* When the sender's bottleneck has sent n bytes; NEVER: its queue is full. */
static uint64_t
through_ms(struct wire *w, const struct endpoint *from, size_t n)
{
	uint64_t now_us = w->now.mono_ms * 1000, *free_us = &w->free_us[0];

	if (w->rate == 0)
		return w->now.mono_ms;
	for (unsigned a = 0; a < w->n_nodes; a++) {
		if (endpoint_eq(&w->node[a].at, from))
			free_us = &w->free_us[a];
	}
	if (*free_us < now_us)
		*free_us = now_us;
	if (*free_us - now_us > w->buffer_ms * 1000)
		return NEVER;
	*free_us += n * 1000000 / w->rate;
	return (*free_us + 999) / 1000;
}

static bool
chance(struct wire *w, uint32_t percent)
{
	return percent > 0 && rng_below(&w->rng.rng, 100) < percent;
}

static void
enqueue(struct wire *w, const struct endpoint *from, const struct endpoint *to,
    struct span b)
{
	struct wire_datagram *d;

	if (w->n_queue == WIRE_QUEUE_MAX)
		return; /* a router would drop it too */
	if (w->n_queue == w->cap_queue) {
		w->cap_queue = w->cap_queue > 0 ? 2 * w->cap_queue : 16;
		d = realloc(w->queue, w->cap_queue * sizeof(*d));
		if (!d)
			abort();
		w->queue = d;
	}
	d = &w->queue[w->n_queue];
	assert(b.n <= WIRE_DATAGRAM_MAX);
	d->at_ms = through_ms(w, from, b.n);
	if (d->at_ms == NEVER)
		return;
	d->at_ms += w->delay_ms;
	if (endpoint_is_route(to, NULL)) {
		unsigned end;

		d->at_ms += route_of(w, to, &end)->delay_ms;
	}
	if (w->jitter_ms > 0)
		d->at_ms += rng_below(&w->rng.rng, (uint32_t)w->jitter_ms);
	if (chance(w, w->late))
		d->at_ms += rng_below(&w->rng.rng, w->late_ms);
	d->order = w->order++;
	d->from = *from;
	d->to = *to;
	d->n = (uint16_t)b.n;
	if (b.n > 0)
		memcpy(d->b, b.p, b.n);
	w->n_queue++;
}

void
wire_send(struct wire *w, const struct endpoint *from,
    const struct endpoint *to, struct span b)
{
	struct wire_datagram d = { .from = *from, .to = *to };

	assert(b.n > 0 && b.n <= WIRE_DATAGRAM_MAX);
	d.n = (uint16_t)b.n;
	memcpy(d.b, b.p, b.n);
	if (w->tap && !w->tap(w, &d))
		return;
	if (endpoint_is_route(to, NULL)) {
		unsigned end;
		struct wire_route *r = route_of(w, to, &end);

		r->n++;
		r->bytes += b.n;
		if (r->cut || w->cut)
			return;
	} else if (!passes(w, from, to) || (w->hole > 0 && b.n > w->hole)) {
		return;
	}
	if (chance(w, w->loss))
		return;
	enqueue(w, &d.from, &d.to, span_of(d.b, d.n));
	if (chance(w, w->copy))
		enqueue(w, &d.from, &d.to, span_of(d.b, d.n));
}

void
wire_inject(
    struct wire *w, unsigned to, const struct endpoint *from, struct span b)
{
	struct wire_node *n = &w->node[to];

	if (!n->links || n->asleep)
		return;
	links_receive(n->links, from, b, wire_now(w, to));
	links_flush(n->links, wire_now(w, to));
	wire_drain(w, to);
}

/* The earliest datagram, in a total order, so that runs repeat. */
static size_t
earliest(const struct wire *w)
{
	size_t best = 0;

	for (size_t i = 1; i < w->n_queue; i++) {
		const struct wire_datagram *d = &w->queue[i];
		const struct wire_datagram *b = &w->queue[best];

		if (d->at_ms < b->at_ms ||
		    (d->at_ms == b->at_ms && d->order < b->order))
			best = i;
	}
	return best;
}

static void
deliver(struct wire *w)
{
	size_t i = earliest(w);
	struct wire_datagram d = w->queue[i];

	w->queue[i] = w->queue[--w->n_queue];
	w->delivered++;
	if (endpoint_is_route(&d.to, NULL)) {
		unsigned end, to;

		to = route_of(w, &d.to, &end)->node[end];
		wire_inject(w, to, &d.to, span_of(d.b, d.n));
		return;
	}
	for (unsigned a = 0; a < w->n_nodes; a++) {
		const struct wire_node *n = &w->node[a];

		if (endpoint_eq(&n->at, &d.to) ||
		    endpoint_eq(&n->also, &d.to) ||
		    (n->at_v6.port != 0 && endpoint_eq(&n->at_v6, &d.to)))
			wire_inject(w, a, &d.from, span_of(d.b, d.n));
	}
}

static bool
awake(const struct wire *w, unsigned a)
{
	return w->node[a].links && !w->node[a].asleep;
}

/* When the next thing happens, NEVER if nothing will. */
static uint64_t
next_event(const struct wire *w)
{
	uint64_t at = NEVER;

	if (w->n_queue > 0)
		at = w->queue[earliest(w)].at_ms;
	for (unsigned a = 0; a < w->n_nodes; a++) {
		uint64_t t =
		    awake(w, a) ? links_deadline_ms(w->node[a].links) : NEVER;

		if (t < at)
			at = t;
	}
	return at;
}

static void
pass(struct wire *w, uint64_t to_ms)
{
	assert(to_ms >= w->now.mono_ms);
	w->now.wall_ms += to_ms - w->now.mono_ms;
	w->now.mono_ms = to_ms;
}

/* One event at or before end_ms; false if there is none. */
static bool
step(struct wire *w, uint64_t end_ms)
{
	uint64_t at = next_event(w);

	if (at > end_ms)
		return false;
	pass(w, at > w->now.mono_ms ? at : w->now.mono_ms);
	if (w->n_queue > 0 && w->queue[earliest(w)].at_ms <= w->now.mono_ms) {
		deliver(w);
		return true;
	}
	for (unsigned a = 0; a < w->n_nodes; a++) {
		struct links *l = w->node[a].links;

		if (!awake(w, a) || links_deadline_ms(l) > w->now.mono_ms)
			continue;
		links_tick(l, wire_now(w, a));
		wire_drain(w, a);
		/* A timer that does not move would stop the world. */
		assert(links_deadline_ms(l) > w->now.mono_ms);
	}
	return true;
}

void
wire_run(struct wire *w, uint64_t ms)
{
	uint64_t end_ms = w->now.mono_ms + ms;

	bool more = true;

	while (more)
		more = step(w, end_ms);
	pass(w, end_ms);
}

bool
wire_until(struct wire *w, bool (*done)(const struct wire *w), uint64_t ms)
{
	uint64_t end_ms = w->now.mono_ms + ms;

	while (!done(w)) {
		if (!step(w, end_ms)) {
			pass(w, end_ms);
			return done(w);
		}
	}
	return true;
}

bool
wire_both_up(const struct wire *w)
{
	return w->node[0].up[1] && w->node[1].up[0];
}

bool
wire_all_read(const struct wire *w)
{
	const struct wire_node *a = &w->node[0], *b = &w->node[1];

	return wire_both_up(w) && a->read[1] == b->written[0] &&
	       b->read[0] == a->written[1] &&
	       a->bulk_read[1] == b->bulk_written[0] &&
	       b->bulk_read[0] == a->bulk_written[1];
}
