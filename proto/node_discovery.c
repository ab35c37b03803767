/*
 * How overlay nodes find each other through Mainline: those that may be known
 * announce themselves at the meeting point of the day; who knows few looks
 * there now and then, and asks for the N of whom he finds. [SPEC §8.2]
 */
#include "proto/node_int.h"

#include "proto/dht/overlay.h"

#include <assert.h>

enum {
	/* Names of these operations: no slot of node.ops has such a number. */
	NAME_LOOK = NODE_OPS_MAX,
	NAME_ANNOUNCE,
	DAY_MIN = 24 * 60,
	EDGE_MIN = 60,   /* before and after midnight: the neighbour as well */
	THIN_NODES = 16, /* good ones; with more nobody is looked for */
	SEEK_SOON_MS = 5 * 1000,   /* after the DHT is there */
	SEEK_FIRST_MS = 60 * 1000, /* doubles */
	SEEK_LAST_MS = 30 * 60 * 1000,
	SEEK_IDLE_MS = 10 * 60 * 1000, /* while there are enough */
	ANNOUNCE_SOON_MS = 20 * 1000,
	ANNOUNCE_MS = 25 * 60 * 1000, /* nodes forget after 30 */
	ANNOUNCE_AGAIN_MS = 60 * 1000,
	JITTER_PERCENT = 15,
};

static bool
is_thin(const struct node *n, enum family f)
{
	struct dht_stats s;

	dht_get_stats(n->dht[net_of(DHT_OVERLAY, f)], &s);
	return s.nodes_good < THIN_NODES;
}

void
discovery_init(struct node *n)
{
	for (int f = 0; f < FAMILY_COUNT; f++)
		n->discovery[f].look_ms = n->discovery[f].announce_ms = NEVER;
}

/* Mainline is there: begin. */
static void
on_ready(struct node *n, enum family f)
{
	struct discovery *d = &n->discovery[f];

	d->n_looks = 0;
	d->look_ms = n->now.mono_ms + rng_below(&n->rng, SEEK_SOON_MS);
	if (n->announces)
		d->announce_ms =
		    n->now.mono_ms + rng_below(&n->rng, ANNOUNCE_SOON_MS);
}

/* Today's meeting point, or near midnight the neighbour's every other time. */
static void
meeting_point(const struct node *n, uint32_t turn, struct target *ret)
{
	uint64_t minute = n->now.wall_ms / 60000;
	uint32_t day = (uint32_t)(minute / DAY_MIN);
	uint64_t into = minute % DAY_MIN;

	if (turn % 2 == 1 && into < EDGE_MIN && day > 0)
		day--;
	else if (turn % 2 == 1 && into >= DAY_MIN - EDGE_MIN)
		day++;
	overlay_meeting_point(day, ret);
}

static void
look(struct node *n, enum family f)
{
	struct discovery *d = &n->discovery[f];
	uint64_t wait = (uint64_t)SEEK_FIRST_MS << (d->n_looks & 31);
	struct target at;

	if (wait > SEEK_LAST_MS || d->n_looks > 5)
		wait = SEEK_LAST_MS;
	if (is_thin(n, f)) {
		meeting_point(n, d->n_looks, &at);
		d->n_asked = 0;
		if (dht_get_peers(n->dht[net_of(DHT_MAINLINE, f)], NAME_LOOK,
		        &at, n->now) == ERR_OK)
			d->n_looks++;
	} else {
		d->n_looks = 0;
		wait = SEEK_IDLE_MS;
	}
	d->look_ms = n->now.mono_ms + rng_jitter(&n->rng, wait, JITTER_PERCENT);
}

static void
announce(struct node *n, enum family f)
{
	struct discovery *d = &n->discovery[f];
	uint16_t port = n->n_local > 0 ? n->local[0].port : 1;
	uint64_t wait = ANNOUNCE_MS;
	struct target at;

	meeting_point(n, 0, &at);
	d->n_asked = 0;
	/* The port is implied: it is the one that others see. */
	if (dht_announce(n->dht[net_of(DHT_MAINLINE, f)], NAME_ANNOUNCE, &at,
	        port ? port : 1, true, n->now))
		wait = ANNOUNCE_AGAIN_MS; /* too many lookups at the moment */
	d->announce_ms =
	    n->now.mono_ms + rng_jitter(&n->rng, wait, JITTER_PERCENT);
}

static bool
is_own(const struct node *n, const struct endpoint *at)
{
	enum family f = endpoint_family(at);

	for (uint8_t i = 0; i < n->n_local; i++)
		if (endpoint_eq(&n->local[i], at))
			return true;
	return n->has_address[f] && endpoint_eq(&n->address[f], at);
}

/* Who is said to be there may not be: one datagram each, and not to many. */
static void
on_peers(struct node *n, enum family f, const struct dht_event *e)
{
	struct discovery *d = &n->discovery[f];
	struct dht *overlay = n->dht[net_of(DHT_OVERLAY, f)];

	for (size_t i = 0; i < e->n && d->n_asked < DISCOVERY_PEERS_MAX; i++) {
		if (endpoint_family(&e->peers[i]) != f ||
		    is_own(n, &e->peers[i]) || !is_thin(n, f))
			continue;
		d->n_asked++;
		dht_candidate(overlay, &e->peers[i], n->now);
	}
}

void
discovery_on_dht(struct node *n, unsigned net, const struct dht_event *e)
{
	enum family f = net_family(net);

	if (net_carrier(net) != DHT_MAINLINE ||
	    n->dht[net_of(DHT_OVERLAY, f)] == NULL)
		return;
	if (e->kind == DHT_READY)
		on_ready(n, f);
	else if (e->kind == DHT_PEERS)
		on_peers(n, f, e);
}

void
discovery_tick(struct node *n)
{
	for (int i = 0; i < FAMILY_COUNT; i++) {
		enum family f = i ? FAMILY_V6 : FAMILY_V4;

		if (n->discovery[f].look_ms <= n->now.mono_ms)
			look(n, f);
		if (n->discovery[f].announce_ms <= n->now.mono_ms)
			announce(n, f);
	}
}

uint64_t
discovery_deadline_ms(const struct node *n)
{
	uint64_t at = NEVER;

	for (int f = 0; f < FAMILY_COUNT; f++) {
		const struct discovery *d = &n->discovery[f];

		at = d->look_ms < at ? d->look_ms : at;
		at = d->announce_ms < at ? d->announce_ms : at;
	}
	return at;
}
