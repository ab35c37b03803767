#include "tests/sim/net.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { DICE_NET = 1 << 20, REORDER_MS = 100, SLOW_MS = 10000 };

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
}

static uint32_t
slot_of(const struct endpoint *e)
{
	uint32_t h = e->port * UINT32_C(0x9e3779b1);

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

uint32_t
net_find(const struct net *net, const struct endpoint *at)
{
	uint32_t i = slot_of(at);

	for (; net->alias[i]; i = (i + 1) % NET_ALIAS_MAX)
		if (endpoint_eq(address_of(net, net->alias[i]), at))
			return (net->alias[i] - 1U) / FAMILY_COUNT;
	return NET_NOBODY;
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
	if (v6) {
		h->has[FAMILY_V6] = true;
		h->at[FAMILY_V6] = *v6;
	}
	net->n_hosts++;
	index_addresses(net);
	return net->n_hosts - 1;
}

void
net_move(struct net *net, uint32_t host, const struct endpoint *to)
{
	enum family family = endpoint_family(to);

	assert(host < net->n_hosts);
	net->hosts[host].has[family] = true;
	net->hosts[host].at[family] = *to;
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
	}
}

/* The same pair has the same latency all the time. */
static uint64_t
latency_of(const struct net *net, uint32_t a, uint32_t b)
{
	uint32_t lo = a < b ? a : b;
	uint32_t hi = a < b ? b : a;
	uint64_t x = net->seed ^ ((uint64_t)lo << 32 | hi);

	x = (x ^ (x >> 33)) * UINT64_C(0xff51afd7ed558ccd);
	x = (x ^ (x >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
	x ^= x >> 33;
	return net->latency_min_ms +
	       x % (net->latency_max_ms - net->latency_min_ms + 1);
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

	if (w->jitter_ms)
		ms += dice_below(&net->dice, w->jitter_ms);
	if (dice_chance(&net->dice, w->reorder))
		ms += dice_range(&net->dice, 1, reorder_ms);
	if (dice_chance(&net->dice, w->slow))
		ms += dice_range(&net->dice, 100, SLOW_MS);
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

/* Whether the weather takes it. The address is looked up on arrival again:
 * who has moved meanwhile is missed. */
static bool
is_lost(struct net *net, uint32_t from, uint32_t to, size_t n, uint64_t now_ms)
{
	const struct net_weather *w = &net->weather;
	struct net_host *h = &net->hosts[from];

	if (to == NET_NOBODY || n > NET_DATAGRAM_MAX)
		return true;
	if (h->cut >> to & 1)
		return true;
	if (w->datagram_max && n > w->datagram_max)
		return true;
	if (dice_chance(&net->dice, w->burst))
		h->silent_until_ms = now_ms + dice_range(&net->dice, 50, 1000);
	return now_ms < h->silent_until_ms || dice_chance(&net->dice, w->loss);
}

/* The oldest flow makes room. */
static void
remember(struct net_host *h, const struct endpoint *peer, uint64_t now_ms)
{
	uint32_t oldest = 0;

	if (h->filter_ms == 0)
		return;
	for (uint32_t i = 0; i < h->n_flows; i++) {
		if (endpoint_eq(&h->flows[i].peer, peer)) {
			h->flows[i].sent_ms = now_ms;
			return;
		}
		if (h->flows[i].sent_ms < h->flows[oldest].sent_ms)
			oldest = i;
	}
	if (h->n_flows < NET_FLOWS_MAX)
		oldest = h->n_flows++;
	h->flows[oldest] = (struct net_flow){ *peer, now_ms };
}

static bool
is_let_in(
    const struct net_host *h, const struct endpoint *source, uint64_t now_ms)
{
	if (h->filter_ms == 0)
		return true;
	for (uint32_t i = 0; i < h->n_flows; i++)
		if (endpoint_eq(&h->flows[i].peer, source))
			return now_ms <= h->flows[i].sent_ms + h->filter_ms;
	return false;
}

bool
net_send(struct net *net, uint32_t host, const struct endpoint *to,
    struct span datagram, uint64_t now_ms)
{
	enum family family = endpoint_family(to);
	uint32_t peer = net_find(net, to);
	uint64_t at_ms;
	struct net_packet p;

	assert(host < net->n_hosts);
	remember(&net->hosts[host], to, now_ms);
	net->n_sent++;
	net->bytes_sent += datagram.n;
	if (!net->hosts[host].has[family] ||
	    is_lost(net, host, peer, datagram.n, now_ms)) {
		net->n_lost++;
		return false;
	}
	p.from = host;
	p.to = NET_NOBODY;
	p.source = net->hosts[host].at[family];
	p.dest = *to;
	p.intact = true;
	p.n = (uint16_t)datagram.n;
	memcpy(p.b, datagram.p, datagram.n);
	at_ms = now_ms + latency_of(net, host, peer);
	carry(net, &p, at_ms);
	if (dice_chance(&net->dice, net->weather.duplicate)) {
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

struct net_packet *
net_next(struct net *net, uint64_t now_ms)
{
	struct net_packet *p;

	if (queue_next_ms(&net->queue) > now_ms)
		return NULL;
	p = (struct net_packet *)queue_pop(&net->queue);
	if (p) {
		p->to = net_find(net, &p->dest);
		if (p->to != NET_NOBODY &&
		    !is_let_in(&net->hosts[p->to], &p->source, now_ms))
			p->to = NET_NOBODY;
		net->n_arrived++;
	}
	return p;
}
