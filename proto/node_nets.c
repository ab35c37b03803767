/*
 * The node's DHTs: one a family and carrier, as the policy says. Which of them
 * a datagram, a saved node or a cell belongs to. [SPEC §5.2] [SPEC §8.4]
 */
#include "proto/node_int.h"

#include "proto/dht/items.h"
#include "proto/dht/overlay.h"

#include <assert.h>
#include <string.h>

static bool
is_wanted(enum node_policy policy, enum dht_carrier carrier)
{
	switch (policy) {
	case NODE_MAINLINE:
		return carrier == DHT_MAINLINE;
	case NODE_MIXED:
		return true;
	case NODE_OVERLAY:
		break;
	}
	return carrier == DHT_OVERLAY;
}

/* The two nodes on Mainline help each other; in the overlay every byte of an
 * answer is paid for by the query. */
static void
pair_families(struct node *n)
{
	struct dht *plain[FAMILY_COUNT] = { NULL };

	for (unsigned i = 0; i < NODE_NETS; i++)
		if (net_carrier(i) == DHT_MAINLINE)
			plain[net_family(i)] = n->dht[i];
	if (plain[FAMILY_V4] != NULL && plain[FAMILY_V6] != NULL)
		dht_pair(plain[FAMILY_V4], plain[FAMILY_V6]);
}

bool
nets_new(struct node *n, const struct node_config *cfg)
{
	n->policy = cfg->policy;
	n->announces = cfg->overlay_announce;
	for (unsigned i = 0; i < NODE_NETS; i++) {
		struct dht_config c = { .carrier = net_carrier(i),
			.family = net_family(i),
			.rng = &n->rng,
			.loopback = cfg->loopback,
			.introduces = cfg->overlay_announce };

		if (!cfg->family[c.family] || !is_wanted(n->policy, c.carrier))
			continue;
		n->dht[i] = dht_new(&c, n->now);
		if (n->dht[i] == NULL)
			return false;
	}
	pair_families(n);
	discovery_init(n);
	return true;
}

void
nets_free(struct node *n)
{
	for (unsigned i = 0; i < NODE_NETS; i++)
		dht_free(n->dht[i]);
}

/* ---- nodes to begin with ---- */

void
node_load_dht(struct node *n, const struct node_saved *nodes, size_t count,
    struct now now)
{
	node_time(n, now);
	for (size_t i = 0; i < count; i++) {
		const struct node_saved *s = &nodes[i];
		bool keyed = node_key_is_set(&s->n);
		struct dht *d =
		    n->dht[net_of(keyed ? DHT_OVERLAY : DHT_MAINLINE,
		        endpoint_family(&s->at))];

		if (d != NULL)
			dht_candidate_key(d, &s->at, &s->n, n->now);
	}
	n->unsettled = true;
}

void
nets_save(struct node *n)
{
	struct change c = { .kind = CHANGE_DHT };
	struct dht_node node[NODE_SAVED_NODES_MAX];
	size_t count = 0;

	/* Those of the overlay first: they are the hardest to find again. */
	for (unsigned i = NODE_NETS; i-- > 0;)
		if (n->dht[i] != NULL)
			count += dht_nodes(n->dht[i], node + count,
			    (NODE_SAVED_NODES_MAX - count) / (i ? 2 : 1));
	for (size_t i = 0; i < count; i++)
		n->saved[i] = (struct node_saved){ node[i].at, node[i].n };
	if (count == 0)
		return; /* an empty table is no better than the saved one */
	c.nodes = n->saved;
	c.n_nodes = count;
	effect_change(n, &c);
}

void
node_bootstrap(struct node *n, const struct endpoint *to, struct now now)
{
	node_bootstrap_key(n, to, NULL, now);
}

void
node_bootstrap_key(struct node *n, const struct endpoint *to,
    const struct node_key *key, struct now now)
{
	enum family f = endpoint_family(to);
	struct dht *plain = n->dht[net_of(DHT_MAINLINE, f)];
	struct dht *overlay = n->dht[net_of(DHT_OVERLAY, f)];

	node_time(n, now);
	if (plain != NULL)
		dht_bootstrap(plain, to, n->now);
	if (overlay != NULL)
		dht_bootstrap_key(overlay, to, key, n->now);
	n->unsettled = true;
}

void
node_bootstrap_public(struct node *n, const struct endpoint *to, struct now now)
{
	struct dht *plain = n->dht[net_of(DHT_MAINLINE, endpoint_family(to))];

	node_time(n, now);
	if (plain != NULL)
		dht_bootstrap(plain, to, n->now);
	n->unsettled = true;
}

void
nets_met(struct node *n, const struct endpoint *at,
    const struct node_key keys[FAMILY_COUNT])
{
	enum family f = endpoint_family(at);
	struct dht *d = n->dht[net_of(DHT_OVERLAY, f)];

	if (d != NULL && node_key_is_set(&keys[f]) &&
	    !endpoint_is_route(at, NULL))
		dht_candidate_key(d, at, &keys[f], n->now);
}

void
nets_renew(struct node *n, bool has_moved)
{
	for (unsigned i = 0; i < NODE_NETS; i++) {
		struct dht *d = n->dht[i];

		if (d == NULL)
			continue;
		if (net_carrier(i) == DHT_OVERLAY &&
		    dht_introduce(d, DHT_INTRODUCES_NOBODY, n->now))
			n->failed = true;
		dht_renew(d, has_moved, n->now);
	}
	if (has_moved) /* others have to say it anew */
		memset(n->has_address, 0, sizeof(n->has_address));
}

/* ---- datagrams and time ---- */

static void
on_event(struct node *n, unsigned net, const struct dht_event *e)
{
	intro_on_dht(n, net, e);
	if (e->kind == DHT_HANDED)
		route_on_handed(n, e);
	else if (e->kind == DHT_PASS_FAILED)
		route_on_failed(n, e);
	else
		meet_on_dht(n, net, e);
}

static bool
take_events(struct node *n, unsigned net)
{
	struct dht_event e;
	bool any = false;

	while (dht_next_event(n->dht[net], &e)) {
		any = true;
		on_event(n, net, &e);
	}
	return any;
}

bool
nets_receive(struct node *n, const struct endpoint *from, struct span datagram)
{
	enum family f = endpoint_family(from);
	struct dht *d = n->dht[net_of(DHT_MAINLINE, f)];

	if (datagram.n < 2)
		return false;
	if (datagram.p[0] == 'd' && datagram.p[datagram.n - 1] == 'e') {
		if (d != NULL)
			dht_receive(d, from, datagram, n->now);
		return true;
	}
	d = n->dht[net_of(DHT_OVERLAY, f)];
	if (d == NULL || !overlay_is_size(datagram.n) ||
	    links_claim(n->links, datagram))
		return false;
	dht_receive(d, from, datagram, n->now);
	/* What an introducer hands us is kept until the next datagram only, and
	 * these come many at a time. */
	(void)take_events(n, net_of(DHT_OVERLAY, f));
	return true;
}

void
nets_sent(struct node *n, const struct endpoint *to)
{
	for (unsigned i = 0; i < NODE_NETS; i++)
		if (n->dht[i] != NULL && to->port != 0 &&
		    net_family(i) == endpoint_family(to))
			dht_sent(n->dht[i], to, n->now);
}

void
nets_tick(struct node *n)
{
	for (unsigned i = 0; i < NODE_NETS; i++)
		if (n->dht[i] != NULL &&
		    dht_deadline_ms(n->dht[i]) <= n->now.mono_ms)
			dht_tick(n->dht[i], n->now);
}

uint64_t
nets_deadline_ms(const struct node *n)
{
	uint64_t at = NEVER;

	for (unsigned i = 0; i < NODE_NETS; i++) {
		uint64_t next = n->dht[i] ? dht_deadline_ms(n->dht[i]) : NEVER;

		if (next < at)
			at = next;
	}
	return at;
}

static void
send(struct node *n, const struct endpoint *to, struct span data)
{
	struct way way = { .to = *to, .socket = relay_socket(n, to) };

	effect_send_way(n, &way, data);
}

bool
nets_settle(struct node *n)
{
	struct dht_send s;
	bool any = false;

	for (unsigned i = 0; i < NODE_NETS; i++) {
		if (n->dht[i] == NULL)
			continue;
		any |= take_events(n, i);
		while (dht_next_send(n->dht[i], &s)) {
			any = true;
			send(n, &s.to, s.data);
		}
	}
	return any;
}

/* ---- where cells are ---- */

size_t
nets_size(const struct node *n, unsigned net)
{
	struct dht_stats s;

	assert(net < NODE_NETS);
	if (n->dht[net] == NULL)
		return 0;
	dht_get_stats(n->dht[net], &s);
	return s.network_size;
}

bool
nets_carry(const struct node *n, unsigned net, uint32_t turn)
{
	enum family f = net_family(net);
	size_t overlay = nets_size(n, net_of(DHT_OVERLAY, f));

	if (n->dht[net] == NULL)
		return false;
	if (n->policy != NODE_MIXED)
		return true;
	if (overlay == 0 || overlay >= NODE_OVERLAY_ALONE)
		return (net_carrier(net) == DHT_OVERLAY) == (overlay > 0);
	/* Both in turn: two renewals apart is still within the two hours that
	 * nodes keep a cell. */
	_Static_assert(2 * (PUBLISH_EVERY_MS + PUBLISH_JITTER_MS) <
	                   ITEMS_LIFE_MS - PUBLISH_GAP_MS,
	    "");
	return turn < NODE_BOTH_TURNS ||
	       (net_carrier(net) == DHT_OVERLAY) == (turn % 2 == 1);
}

void
node_key(const struct node *n, enum family f, struct node_key *ret)
{
	const struct dht *d = n->dht[net_of(DHT_OVERLAY, f)];

	*ret = (struct node_key){ { 0 } };
	if (d != NULL)
		dht_key(d, ret);
}

/* ---- looking ---- */

void
nets_stats(const struct node *n, struct node_stats *ret)
{
	for (unsigned i = 0; i < NODE_NETS; i++) {
		enum family f = net_family(i);
		struct node_dht_stats *to = net_carrier(i) == DHT_OVERLAY
		                                ? &ret->overlay[f]
		                                : &ret->dht[f];
		struct dht_stats s;

		if (n->dht[i] == NULL)
			continue;
		dht_get_stats(n->dht[i], &s);
		*to = (struct node_dht_stats){
			.on = true,
			.nodes = s.nodes,
			.nodes_good = s.nodes_good,
			.buckets = s.buckets,
			.items = s.items,
			.ops = s.ops,
			.rtt_ms = s.rtt_ms,
			.network_size = s.network_size,
			.has_address = n->has_address[f],
			.address = n->address[f],
		};
		ret->udp_dropped += s.n_dropped;
	}
}
