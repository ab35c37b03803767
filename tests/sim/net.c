#include "tests/sim/net.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	DICE_NET = 1 << 20,
	REORDER_MS = 100,
	SLOW_MS = 10000,
	PORT_CHOSEN_MIN = 32768,
	PORT_CHOSEN_MAX = 60999,
};

void
net_init(
    struct net *net, uint64_t seed, uint32_t latency_min_ms, uint32_t max_ms)
{
	assert(latency_min_ms <= max_ms);
	memset(net, 0, sizeof(*net));
	net->seed = seed;
	net->latency_min_ms = latency_min_ms;
	net->latency_max_ms = max_ms;
	dice_init(&net->dice, seed, DICE_NET, 0);
}

static void
drop_router(struct net_host *h)
{
	if (h->router)
		router_clear(h->router);
	free(h->router);
	h->router = NULL;
}

void
net_clear(struct net *net)
{
	struct net_packet *p;

	while ((p = (struct net_packet *)queue_pop(&net->queue)))
		free(p);
	while ((p = net->free)) {
		net->free = p->next;
		free(p);
	}
	queue_clear(&net->queue);
	for (uint32_t i = 0; i < net->n_hosts; i++)
		drop_router(&net->hosts[i]);
}

static uint32_t
slot_of(const struct endpoint *e)
{
	uint32_t h = UINT32_C(0x9e3779b1);

	for (size_t i = 0; i < sizeof(e->addr); i++)
		h = (h ^ e->addr[i]) * UINT32_C(0x01000193);
	return (h >> 8) % NET_ALIAS_MAX;
}

static const struct endpoint *
address_of(const struct net *net, uint16_t alias)
{
	return &net->hosts[(alias - 1) / FAMILY_COUNT]
	            .at[(alias - 1) % FAMILY_COUNT];
}

/* Built anew on every change, which is rare. */
static void
index_addresses(struct net *net)
{
	memset(net->alias, 0, sizeof(net->alias));
	for (uint32_t i = 0; i < net->n_hosts * FAMILY_COUNT; i++) {
		const struct net_host *h = &net->hosts[i / FAMILY_COUNT];
		uint32_t at;

		if (!h->has[i % FAMILY_COUNT])
			continue;
		at = slot_of(&h->at[i % FAMILY_COUNT]);
		while (net->alias[at])
			at = (at + 1) % NET_ALIAS_MAX;
		net->alias[at] = (uint16_t)(i + 1);
	}
}

/* By the address alone: whatever is sent there goes to that host's router. */
static uint32_t
house_of(const struct net *net, const struct endpoint *at)
{
	uint32_t i = slot_of(at);

	for (; net->alias[i]; i = (i + 1) % NET_ALIAS_MAX)
		if (endpoint_same_addr(address_of(net, net->alias[i]), at))
			return (net->alias[i] - 1U) / FAMILY_COUNT;
	return NET_NOBODY;
}

/* The socket that has this port; false: none. */
static bool
socket_at(const struct net_host *h, enum family f, uint16_t port, unsigned *ret)
{
	unsigned i = 1;

	if (port == h->inside[f].port) {
		*ret = 0;
		return true;
	}
	while (i <= NET_SOCKETS_MAX && h->socket[i] != port)
		i++;
	*ret = i;
	return port != 0 && i <= NET_SOCKETS_MAX;
}

uint32_t
net_find(const struct net *net, const struct endpoint *at)
{
	uint32_t i = house_of(net, at);
	enum family f = endpoint_family(at);
	const struct net_host *h;
	unsigned socket;

	if (i == NET_NOBODY)
		return i;
	h = &net->hosts[i];
	if (h->router && f == FAMILY_V4 ? router_has(h->router, at->port)
	                                : socket_at(h, f, at->port, &socket))
		return i;
	return NET_NOBODY;
}

struct endpoint
net_outside(const struct net *net, uint32_t host, enum family f)
{
	const struct net_host *h = &net->hosts[host];
	struct endpoint e = h->at[f];

	assert(host < net->n_hosts);
	if (h->router && f == FAMILY_V4)
		e.port = router_port(h->router, e.port);
	return e;
}

uint32_t
net_host_add(
    struct net *net, const struct endpoint *v4, const struct endpoint *v6)
{
	struct net_host *h = &net->hosts[net->n_hosts];

	assert(net->n_hosts < NET_HOSTS_MAX);
	*h = (struct net_host){ 0 };
	h->has[FAMILY_V4] = true;
	h->at[FAMILY_V4] = *v4;
	h->inside[FAMILY_V4] = *v4;
	if (v6) {
		h->has[FAMILY_V6] = true;
		h->at[FAMILY_V6] = *v6;
		h->inside[FAMILY_V6] = *v6;
	}
	net->n_hosts++;
	index_addresses(net);
	return net->n_hosts - 1;
}

/* The same private network everywhere, as it is. */
void
net_router(struct net *net, uint32_t host, const struct router_config *cfg)
{
	struct net_host *h = &net->hosts[host];
	uint16_t port = h->at[FAMILY_V4].port;

	assert(host < net->n_hosts && h->has[FAMILY_V4]);
	drop_router(h);
	h->inside[FAMILY_V4] = h->at[FAMILY_V4];
	if (!cfg)
		return;
	h->router = (struct router *)malloc(sizeof(*h->router));
	assert(h->router);
	router_init(h->router, cfg, net->seed, host);
	h->inside[FAMILY_V4] = endpoint_v4(
	    (const uint8_t[4]){ 192, 168, 1, (uint8_t)(host + 2) }, port);
}

void
net_rebind(struct net *net, uint32_t host)
{
	assert(host < net->n_hosts && net->hosts[host].router);
	router_rebind(net->hosts[host].router);
}

void
net_move(struct net *net, uint32_t host, const struct endpoint *to)
{
	enum family family = endpoint_family(to);
	struct net_host *h = &net->hosts[host];

	assert(host < net->n_hosts);
	h->has[family] = true;
	h->at[family] = *to;
	if (h->router)
		router_forget(h->router);
	if (h->router && family == FAMILY_V4)
		h->at[family].port = h->inside[family].port;
	else
		h->inside[family] = *to;
	index_addresses(net);
}

void
net_cut_one_way(struct net *net, uint32_t from, uint32_t to)
{
	assert(from < net->n_hosts && to < net->n_hosts);
	net->hosts[from].cut |= UINT64_C(1) << to;
}

void
net_cut(struct net *net, uint32_t a, uint32_t b)
{
	net_cut_one_way(net, a, b);
	net_cut_one_way(net, b, a);
}

void
net_heal(struct net *net)
{
	memset(&net->weather, 0, sizeof(net->weather));
	for (uint32_t i = 0; i < net->n_hosts; i++) {
		net->hosts[i].cut = 0;
		net->hosts[i].silent_until_ms = 0;
		net->hosts[i].is_dead = false;
		net->hosts[i].held_until_ms = 0;
	}
}

/* The same pair has the same all the time. */
static uint64_t
path_of(const struct net *net, uint32_t a, uint32_t b)
{
	uint32_t lo = a < b ? a : b;
	uint32_t hi = a < b ? b : a;
	uint64_t x = net->seed ^ ((uint64_t)lo << 32 | hi);

	x = (x ^ (x >> 33)) * UINT64_C(0xff51afd7ed558ccd);
	x = (x ^ (x >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ (x >> 33);
}

static uint64_t
latency_of(const struct net *net, uint32_t a, uint32_t b)
{
	return net->latency_min_ms +
	       path_of(net, a, b) %
	           (net->latency_max_ms - net->latency_min_ms + 1);
}

static uint32_t
hops_of(const struct net *net, uint32_t a, uint32_t b)
{
	uint32_t hops = NET_HOPS_MIN + (uint32_t)(path_of(net, a, b) >> 32) %
	                                   (NET_HOPS_MAX - NET_HOPS_MIN + 1);

	if (net->hosts[a].router)
		hops += net->hosts[a].router->cfg.hops;
	return hops;
}

static struct net_packet *
packet_new(struct net *net)
{
	struct net_packet *p = net->free;

	if (p) {
		net->free = p->next;
	} else {
		p = (struct net_packet *)malloc(sizeof(*p));
		assert(p);
	}
	p->next = NULL;
	return p;
}

void
net_release(struct net *net, struct net_packet *p)
{
	p->next = net->free;
	net->free = p;
}

static void
corrupt(struct net *net, struct net_packet *p)
{
	uint32_t flips = dice_range(&net->dice, 1, 3);

	net->tally.damaged++;
	p->intact = false;
	for (uint32_t i = 0; i < flips && p->n > 0; i++) {
		uint32_t bit = dice_below(&net->dice, 8U * p->n);

		p->b[bit / 8] ^= (uint8_t)(1U << (bit % 8));
	}
}

/* How long this copy takes besides the latency of its path. */
static uint64_t
held_back(struct net *net)
{
	const struct net_weather *w = &net->weather;
	uint32_t reorder_ms = w->reorder_ms ? w->reorder_ms : REORDER_MS;
	uint64_t ms = 0;

	if (w->jitter_ms) {
		ms += dice_below(&net->dice, w->jitter_ms);
		net->tally.late++;
	}
	if (dice_chance(&net->dice, w->reorder)) {
		ms += dice_range(&net->dice, 1, reorder_ms);
		net->tally.overtaken++;
	}
	if (dice_chance(&net->dice, w->slow)) {
		ms += dice_range(&net->dice, 100, SLOW_MS);
		net->tally.late++;
	}
	return ms;
}

static void
carry(struct net *net, const struct net_packet *proto, uint64_t at_ms)
{
	struct net_packet *p = packet_new(net);

	memcpy(p, proto, offsetof(struct net_packet, b));
	p->next = NULL;
	memcpy(p->b, proto->b, proto->n);
	if (dice_chance(&net->dice, net->weather.corrupt))
		corrupt(net, p);
	queue_push(&net->queue, at_ms + held_back(net), p);
}

/* One crossing. False: it is lost there; else *at_ms is when it is through. */
static bool
cross_line(struct net *net, struct net_line *line, bool in, uint64_t *at_ms)
{
	bool after_last;

	if (dice_chance(&net->dice, line->loss)) {
		net->tally.lost++;
		return false;
	}
	after_last = *at_ms >= line->from_ms[in];
	if (after_last)
		line->from_ms[in] = *at_ms;
	*at_ms += line->latency_ms;
	if (line->jitter_ms)
		*at_ms += dice_below(&net->dice, line->jitter_ms + 1);
	if (after_last && *at_ms < line->to_ms[in])
		*at_ms = line->to_ms[in];
	if (line->to_ms[in] < *at_ms)
		line->to_ms[in] = *at_ms;
	return true;
}

/* Whether the weather takes it. The address is looked up on arrival again:
 * who has moved meanwhile is missed. */
static bool
is_lost(struct net *net, uint32_t from, uint32_t to, size_t n, uint64_t now_ms)
{
	const struct net_weather *w = &net->weather;
	struct net_host *h = &net->hosts[from];

	if (to == NET_NOBODY || n > NET_DATAGRAM_MAX)
		return true;
	if (h->cut >> to & 1) {
		net->tally.cut++;
		return true;
	}
	if (h->is_dead || net->hosts[to].is_dead) {
		net->tally.dead++;
		return true;
	}
	if (w->datagram_max && n > w->datagram_max) {
		net->tally.too_large++;
		return true;
	}
	if (dice_chance(&net->dice, w->burst))
		h->silent_until_ms = now_ms + dice_range(&net->dice, 50, 1000);
	if (now_ms < h->silent_until_ms) {
		net->tally.silenced++;
		return true;
	}
	if (!dice_chance(&net->dice, w->loss))
		return false;
	net->tally.lost++;
	return true;
}

void
net_socket_open(struct net *net, uint32_t host, unsigned socket)
{
	struct net_host *h = &net->hosts[host];
	uint16_t port;
	unsigned other;

	assert(socket > 0 && socket <= NET_SOCKETS_MAX && !h->socket[socket]);
	do {
		port = (uint16_t)dice_range(
		    &net->dice, PORT_CHOSEN_MIN, PORT_CHOSEN_MAX);
	} while (socket_at(h, FAMILY_V4, port, &other) ||
	         socket_at(h, FAMILY_V6, port, &other));
	h->socket[socket] = port;
}

void
net_socket_close(struct net *net, uint32_t host, unsigned socket)
{
	assert(socket > 0 && socket <= NET_SOCKETS_MAX);
	net->hosts[host].socket[socket] = 0;
}

/* When the lines of both let it pass. */
static uint64_t
released_ms(struct net *net, uint32_t a, uint32_t b, uint64_t now_ms)
{
	uint64_t ms = now_ms;

	if (ms < net->hosts[a].held_until_ms)
		ms = net->hosts[a].held_until_ms;
	if (ms < net->hosts[b].held_until_ms)
		ms = net->hosts[b].held_until_ms;
	net->tally.held += ms > now_ms;
	return ms;
}

/* The host's own router: *ret: the source that others see. False: it does not
 * get out, or back in. */
static bool
gets_out(struct net *net, uint32_t host, const struct net_way *way,
    uint64_t now_ms, struct endpoint *ret)
{
	struct net_host *h = &net->hosts[host];
	enum family family = endpoint_family(&way->to);

	assert(way->socket == 0 || h->socket[way->socket]);
	if (!h->has[family])
		return false;
	*ret = h->at[family];
	if (way->socket)
		ret->port = h->socket[way->socket];
	if (!h->router)
		return true;
	if (way->ttl && way->ttl <= h->router->cfg.hops)
		return false;
	return router_out(h->router, ret->port, &way->to, now_ms, &ret->port) &&
	       !endpoint_same_addr(ret, &way->to);
}

bool
net_send(struct net *net, uint32_t host, const struct endpoint *to,
    struct span datagram, uint64_t now_ms)
{
	const struct net_way way = { .to = *to };

	return net_send_way(net, host, &way, datagram, now_ms);
}

bool
net_send_way(struct net *net, uint32_t host, const struct net_way *way,
    struct span datagram, uint64_t now_ms)
{
	uint32_t peer = house_of(net, &way->to);
	uint32_t ttl = way->ttl ? way->ttl : NET_TTL;
	uint64_t at_ms;
	struct net_packet p;

	assert(host < net->n_hosts);
	net->n_sent++;
	net->bytes_sent += datagram.n;
	if (!gets_out(net, host, way, now_ms, &p.source) ||
	    is_lost(net, host, peer, datagram.n, now_ms) ||
	    (net->is_left_out && net->is_left_out(host, peer, datagram)) ||
	    ttl <= hops_of(net, host, peer)) {
		net->n_lost++;
		return false;
	}
	p.from = host;
	p.to = NET_NOBODY;
	p.socket = 0;
	p.dest = way->to;
	p.intact = true;
	p.n = (uint16_t)datagram.n;
	memcpy(p.b, datagram.p, datagram.n);
	at_ms = released_ms(net, host, peer, now_ms);
	at_ms += latency_of(net, host, peer);
	if (!cross_line(net, &net->hosts[host].line, false, &at_ms) ||
	    !cross_line(net, &net->hosts[peer].line, true, &at_ms)) {
		net->n_lost++;
		return false;
	}
	carry(net, &p, at_ms);
	if (dice_chance(&net->dice, net->weather.duplicate)) {
		net->tally.doubled++;
		p.intact = false;
		carry(net, &p, at_ms + dice_below(&net->dice, REORDER_MS));
	}
	return true;
}

void
net_inject(struct net *net, const struct endpoint *source,
    const struct endpoint *dest, struct span datagram, uint64_t at_ms)
{
	struct net_packet *p = packet_new(net);

	assert(datagram.n <= NET_DATAGRAM_MAX);
	p->from = NET_NOBODY;
	p->to = NET_NOBODY;
	p->socket = 0;
	p->source = *source;
	p->dest = *dest;
	p->intact = false;
	p->n = (uint16_t)datagram.n;
	if (datagram.n)
		memcpy(p->b, datagram.p, datagram.n);
	queue_push(&net->queue, at_ms, p);
}

uint64_t
net_next_ms(const struct net *net)
{
	return queue_next_ms(&net->queue);
}

/* Sets whom it reaches. */
static void
arrive(struct net *net, struct net_packet *p, uint64_t now_ms)
{
	uint32_t host = house_of(net, &p->dest);
	uint16_t port = p->dest.port;
	struct net_host *h;

	p->to = NET_NOBODY;
	if (host == NET_NOBODY)
		return;
	h = &net->hosts[host];
	if (h->router && !router_in(h->router, &p->source, port, now_ms, &port))
		return;
	if (socket_at(h, endpoint_family(&p->dest), port, &p->socket))
		p->to = host;
}

struct net_packet *
net_next(struct net *net, uint64_t now_ms)
{
	struct net_packet *p;

	if (queue_next_ms(&net->queue) > now_ms)
		return NULL;
	p = (struct net_packet *)queue_pop(&net->queue);
	if (p) {
		arrive(net, p, now_ms);
		net->n_arrived++;
	}
	return p;
}
