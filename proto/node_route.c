/*
 * Routes: ways to a peer that are not an address of the network. To links each
 * looks like an endpoint; here it is what carries the datagrams: an introducer
 * of theirs, the circuit by which an introducer of ours brought them, or an
 * extra socket of ours. [SPEC §8.3]
 */
#include "proto/node_int.h"

#include "proto/link/packet.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

/* Below the serial, the place in the table. */
enum { ROUTE_PLACE_BITS = 16 };

static uint64_t
id_of(const struct node *n, const struct route *r)
{
	uint64_t id =
	    (uint64_t)r->serial << ROUTE_PLACE_BITS | (uint64_t)(r - n->routes);

	if (r->roomy)
		id |= ROUTE_ROOMY;
	return r->kind == ROUTE_SOCKET ? id | ROUTE_DIRECT : id;
}

static struct route *
by_endpoint(struct node *n, const struct endpoint *e)
{
	struct route *r;
	uint64_t id;

	if (!endpoint_is_route(e, &id) ||
	    (id & ((1 << ROUTE_PLACE_BITS) - 1)) >= ROUTES_MAX)
		return NULL;
	r = &n->routes[id & ((1 << ROUTE_PLACE_BITS) - 1)];
	return r->kind != ROUTE_FREE && id_of(n, r) == id ? r : NULL;
}

static bool
is_same(const struct route *a, const struct route *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == ROUTE_SOCKET)
		return a->socket == b->socket && endpoint_eq(&a->at, &b->at);
	return a->roomy == b->roomy && dht_way_eq(&a->way, &b->way);
}

/* Somebody's session runs there. */
static bool
is_path(const struct node *n, const struct route *r)
{
	struct endpoint e = endpoint_route(id_of(n, r));

	for (size_t i = 0; n->n_routed > 0 && i < n->peers_cap; i++)
		if (n->peers[i] != NULL && n->peers[i]->online &&
		    endpoint_eq(&n->peers[i]->path, &e))
			return true;
	return false;
}

/* The place of a route that is free, or was not used for the longest time and
 * carries no session. NULL: all of them do. */
static struct route *
place_for(struct node *n)
{
	struct route *oldest = NULL;

	for (size_t i = 0; i < ROUTES_MAX; i++) {
		struct route *r = &n->routes[i];

		if (r->kind == ROUTE_FREE)
			return r;
		if ((oldest == NULL || r->used_ms < oldest->used_ms) &&
		    !is_path(n, r))
			oldest = r;
	}
	return oldest;
}

/* Finds it in the table, or gives it a place. False: no room. */
static bool
route_to(struct node *n, const struct route *what, struct endpoint *ret)
{
	struct route *r = NULL;
	uint32_t serial;

	for (size_t i = 0; i < ROUTES_MAX && r == NULL; i++)
		if (is_same(&n->routes[i], what))
			r = &n->routes[i];
	if (r == NULL) {
		r = place_for(n);
		if (r == NULL)
			return false;
		serial = ++n->route_serial;
		*r = *what;
		r->serial = serial;
	}
	r->used_ms = n->now.mono_ms;
	*ret = endpoint_route(id_of(n, r));
	return true;
}

bool
route_by_introducer(
    struct node *n, const struct cell_introducer *i, struct endpoint *ret)
{
	struct route what = { .kind = ROUTE_INTRODUCER };
	const struct peer *relay = relay_of(n, &i->n);
	struct dht_node node;
	unsigned socket;
	enum endpoint_scope scope = endpoint_scope(&i->at);

	what.roomy = relay != NULL;
	what.way.introducer = (struct dht_node){ i->at, i->n };
	if (relay != NULL && relay_at(n, relay, &node, &socket))
		what.way.introducer = node;
	/* A contact names it: nothing inside our network. */
	else if (i->at.port == 0 ||
	         (scope != SCOPE_GLOBAL &&
	             !(scope == SCOPE_LOOPBACK && n->loopback)))
		return false;
	if (presence_avoids(n, &what.way.introducer))
		return false;
	_Static_assert((int)DHT_HANDLE_SIZE == CELL_HANDLE_SIZE, "");
	memcpy(what.way.id, i->handle, sizeof(what.way.id));
	return route_to(n, &what, ret);
}

bool
route_by_socket(struct node *n, unsigned socket, const struct endpoint *at,
    struct endpoint *ret)
{
	struct route what = { .kind = ROUTE_SOCKET, .socket = socket };

	assert(socket_is_open(n, socket));
	what.at = *at;
	return route_to(n, &what, ret);
}

static struct dht *
overlay_of(const struct node *n, const struct dht_way *way)
{
	enum family f = endpoint_family(&way->introducer.at);

	return n->dht[net_of(DHT_OVERLAY, f)];
}

void
route_send(
    struct node *n, const struct endpoint *to, struct span data, uint8_t hops)
{
	struct route *r = by_endpoint(n, to);
	struct way way = { .hops = hops };
	struct dht *d;

	if (r == NULL)
		return;
	r->used_ms = n->now.mono_ms;
	if (r->kind == ROUTE_SOCKET) {
		way.to = r->at;
		way.socket = r->socket;
		if (socket_is_open(n, r->socket))
			effect_send_way(n, &way, data);
		return;
	}
	d = overlay_of(n, &r->way);
	if (d != NULL && data.n >= DHT_PASS_MIN && data.n <= DHT_PASS_MAX)
		dht_pass(d, &r->way, data, n->now);
}

/* An introducer hands us what somebody sent. */
void
route_on_handed(struct node *n, const struct dht_event *e)
{
	struct route what = { .kind = ROUTE_INTRODUCER, .way = e->way };
	struct endpoint from;

	what.roomy = relay_of(n, &e->way.introducer.n) != NULL;
	if (packet_begins_like_krpc(e->datagram.p[0]) ||
	    presence_avoids(n, &e->way.introducer) ||
	    !route_to(n, &what, &from))
		return;
	by_endpoint(n, &from)->seen = e->address;
	links_receive(n->links, &from, e->datagram, n->now);
	n->unsettled = true;
}

/* Is it somebody's who is called, or runs a session, by that introducer? Then
 * he is no longer there. */
void
route_on_failed(struct node *n, const struct dht_event *e)
{
	struct why_step gone = { .kind = WHY_NOBODY, .at_ms = n->now.mono_ms };

	for (size_t i = 0; i < n->peers_cap; i++) {
		struct peer *p = n->peers[i];
		uint8_t kept = 0;

		if (p == NULL)
			continue;
		for (uint8_t k = 0; k < p->n_introducers; k++) {
			const struct cell_introducer *t = &p->introducers[k];

			if (memcmp(&t->n, &e->way.introducer.n, sizeof(t->n)) ==
			        0 &&
			    memcmp(t->handle, e->way.id, sizeof(t->handle)) ==
			        0)
				continue;
			p->introducers[kept++] = *t;
		}
		if (kept < p->n_introducers)
			why_note(&p->why, &gone);
		p->n_introducers = kept;
	}
}

/* Who is not known to have a session or a call there gets nothing by being
 * heard: only what begins with an index of ours is listened to. */
void
node_receive_socket(struct node *n, unsigned socket,
    const struct endpoint *from, struct span datagram, struct now now)
{
	struct route what = { .kind = ROUTE_SOCKET, .socket = socket };
	struct endpoint at;
	bool known = false;

	node_time(n, now);
	node_clock_watch(n);
	if (!socket_is_open(n, socket) || endpoint_is_route(from, NULL))
		return;
	n->udp_in++;
	n->udp_bytes_in += datagram.n;
	n->unsettled = true;
	if (relay_socket(n, from) == socket && nets_receive(n, from, datagram))
		return;
	what.at = *from;
	for (size_t i = 0; i < ROUTES_MAX && !known; i++)
		known = is_same(&n->routes[i], &what);
	if (!known && !links_claim(n->links, datagram))
		return;
	if (route_to(n, &what, &at))
		links_receive(n->links, &at, datagram, n->now);
}

void
routes_end_shut(struct node *n)
{
	for (size_t i = 0; i < ROUTES_MAX; i++) {
		struct route *r = &n->routes[i];

		if (r->kind == ROUTE_INTRODUCER &&
		    presence_avoids(n, &r->way.introducer))
			r->kind = ROUTE_FREE;
	}
}

void
routes_end(struct node *n, const struct node_key *introducer)
{
	for (size_t i = 0; i < ROUTES_MAX; i++) {
		struct route *r = &n->routes[i];

		if (r->kind == ROUTE_INTRODUCER &&
		    memcmp(&r->way.introducer.n, introducer,
		        sizeof(*introducer)) == 0)
			r->kind = ROUTE_FREE;
	}
}

void
route_socket_closed(struct node *n, unsigned socket)
{
	for (size_t i = 0; i < ROUTES_MAX; i++)
		if (n->routes[i].kind == ROUTE_SOCKET &&
		    n->routes[i].socket == socket)
			n->routes[i].kind = ROUTE_FREE;
}

bool
route_look(const struct node *n, const struct endpoint *e, struct route *ret)
{
	for (size_t i = 0; i < ROUTES_MAX; i++) {
		const struct route *r = &n->routes[i];
		struct endpoint at;

		if (r->kind == ROUTE_FREE)
			continue;
		at = endpoint_route(id_of(n, r));
		if (!endpoint_eq(&at, e))
			continue;
		*ret = *r;
		return true;
	}
	return false;
}
