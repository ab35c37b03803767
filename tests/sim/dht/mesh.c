/* Hosts, their addresses and NATs, the wire, the clock. */
#include "tests/sim/dht/mesh.h"

#include "proto/dht/krpc.h"

#include <assert.h>
#include <malloc.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define WALL0_MS UINT64_C(1800000000000)

/* ---- addresses ---- */

static uint32_t
hash_of(const struct endpoint *at)
{
	uint64_t key = (uint64_t)at->addr[12] << 40 |
	               (uint64_t)at->addr[13] << 32 |
	               (uint64_t)at->addr[14] << 24 |
	               (uint64_t)at->addr[15] << 16 | at->port;

	key *= UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(key >> 32);
}

/* The place of an address: where it is, or where it belongs. */
static uint32_t
place_of(const struct mesh *s, const struct endpoint *at)
{
	uint32_t i = hash_of(at) & s->map_mask;

	while (s->map[i] && !endpoint_eq(&s->host[s->map[i] - 1].at, at))
		i = (i + 1) & s->map_mask;
	return i;
}

uint32_t
mesh_find(const struct mesh *s, const struct endpoint *at)
{
	uint32_t i = s->map[place_of(s, at)];

	return i ? i - 1 : MESH_NO_HOST;
}

static struct endpoint
draw_address(struct mesh *s)
{
	uint16_t port = (uint16_t)dice_range(&s->dice, 1024, 65535);
	uint8_t v4[4];

	memcpy(v4, s->net[dice_below(&s->dice, s->cfg.n_nets)], 2);
	v4[2] = (uint8_t)dice_below(&s->dice, 256);
	v4[3] = (uint8_t)dice_range(&s->dice, 1, 254);
	if (s->n_hosts > 0 && dice_chance(&s->dice, MESH_NEIGHBOURS)) {
		uint32_t i = dice_below(&s->dice, s->n_hosts);

		memcpy(v4, s->host[i].at.addr + 12, 3);
	}
	return endpoint_v4(v4, port);
}

static void
draw_nets(struct mesh *s)
{
	for (uint32_t i = 0; i < s->cfg.n_nets;) {
		uint8_t v4[4] = { 0, 0, 1, 1 };
		struct endpoint at;

		dice_fill(&s->dice, v4, 2);
		at = endpoint_v4(v4, 1);
		if (endpoint_scope(&at) != SCOPE_GLOBAL || v4[0] >= 224)
			continue;
		memcpy(s->net[i++], v4, 2);
	}
}

/* ---- life ---- */

struct mesh *
mesh_new(const struct mesh_config *cfg)
{
	struct mesh *s = (struct mesh *)calloc(1, sizeof(*s));
	uint32_t cap = 1024;

	assert(s && cfg->max_hosts > 0 && cfg->n_nets > 0);
	/* What a node leaves untouched, and what a dead one had, is no
	 * memory: large parts are mapped on their own. */
	(void)mallopt(M_MMAP_THRESHOLD, 64 * 1024);
	(void)mallopt(M_MMAP_MAX, INT32_MAX); /* 65536 by default */
	s->cfg = *cfg;
	dice_init(&s->dice, cfg->seed, 0, 0);
	wheel_init(&s->wheel, 1000);
	while (cap < 2 * cfg->max_hosts)
		cap *= 2;
	s->map_mask = cap - 1;
	s->map = (uint32_t *)calloc(cap, sizeof(*s->map));
	s->host = (struct mesh_host *)calloc(cfg->max_hosts, sizeof(*s->host));
	s->net = (uint8_t(*)[2])calloc(cfg->n_nets, 2);
	assert(s->map && s->host && s->net);
	draw_nets(s);
	return s;
}

static bool
is_packet(const struct mesh *s, const struct wheel_item *item)
{
	const struct mesh_host *h = (const struct mesh_host *)item;

	return h < s->host || h >= s->host + s->cfg.max_hosts;
}

void
mesh_free(struct mesh *s)
{
	struct wheel_item *item;

	for (uint32_t i = 0; i < s->n_hosts; i++)
		if (s->host[i].alive)
			mesh_kill(s, &s->host[i]);
	for (uint32_t i = 0; i < WHEEL_SLOTS; i++) {
		while ((item = wheel_take(&s->wheel)))
			if (is_packet(s, item))
				free(item);
		wheel_turn(&s->wheel);
	}
	wheel_clear(&s->wheel);
	free(s->answered.key);
	free(s->map);
	free(s->host);
	free(s->net);
	free(s);
}

struct now
mesh_now(const struct mesh *s)
{
	return (struct now){ s->wheel.now_ms, WALL0_MS + s->wheel.now_ms };
}

struct mesh_host *
mesh_host_at(struct mesh *s, const struct endpoint *at, bool nat)
{
	struct mesh_host *h = &s->host[s->n_hosts];
	uint32_t place = place_of(s, at);

	assert(s->n_hosts < s->cfg.max_hosts);
	if (s->map[place])
		return NULL;
	h->at = *at;
	h->index = s->n_hosts++;
	s->map[place] = s->n_hosts;
	h->alive = true;
	h->nat = nat;
	h->joined_ms = s->wheel.now_ms;
	h->delay_ms =
	    (uint8_t)dice_range(&s->dice, MESH_DELAY_MIN_MS, MESH_DELAY_MAX_MS);
	if (nat) {
		h->flow = (struct mesh_flow *)calloc(
		    MESH_NAT_FLOWS, sizeof(*h->flow));
		assert(h->flow);
	}
	return h;
}

struct mesh_host *
mesh_host_new(struct mesh *s, bool nat)
{
	struct mesh_host *h = NULL;

	while (!h) {
		struct endpoint at = draw_address(s);

		h = mesh_host_at(s, &at, nat);
	}
	return h;
}

void
mesh_start(struct mesh *s, struct mesh_host *h)
{
	struct dht_config cfg = { .family = FAMILY_V4, .rng = &s->dice.rng };

	assert(h->alive && !h->dht);
	h->dht = dht_new(&cfg, mesh_now(s));
	assert(h->dht);
	mesh_settle(s, h);
}

void
mesh_kill(struct mesh *s, struct mesh_host *h)
{
	assert(h->alive);
	h->alive = false;
	if (h->tick.planned)
		wheel_remove(&s->wheel, &h->tick);
	dht_free(h->dht);
	h->dht = NULL;
	free(h->flow);
	h->flow = NULL;
}

/* ---- who answered whom ---- */

static size_t
pair_place(const struct mesh_pairs *p, uint64_t key)
{
	size_t i = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 20);

	for (i &= p->cap - 1; p->key[i] && p->key[i] != key;)
		i = (i + 1) & (p->cap - 1);
	return i;
}

static void
pair_add(struct mesh_pairs *p, uint64_t key)
{
	assert(key);
	if (2 * p->n >= p->cap) {
		struct mesh_pairs big = { NULL, p->n,
			p->cap ? 2 * p->cap : 4096 };

		big.key = (uint64_t *)calloc(big.cap, sizeof(*big.key));
		assert(big.key);
		for (size_t i = 0; i < p->cap; i++)
			if (p->key[i])
				big.key[pair_place(&big, p->key[i])] =
				    p->key[i];
		free(p->key);
		*p = big;
	}
	p->n += p->key[pair_place(p, key)] == 0;
	p->key[pair_place(p, key)] = key;
}

static uint64_t
pair_key(uint32_t asker, uint32_t by)
{
	return (uint64_t)(asker + 1) << 32 | (by + 1);
}

bool
mesh_answered(const struct mesh *s, uint32_t asker, uint32_t by)
{
	uint64_t key = pair_key(asker, by);

	if (s->answered.n == 0)
		return false;
	return s->answered.key[pair_place(&s->answered, key)] == key;
}

/* ---- NATs ---- */

/* The set of flows that a peer's may stand in. */
static struct mesh_flow *
flows_of(const struct mesh_host *h, uint32_t peer)
{
	uint32_t n_sets = MESH_NAT_FLOWS / MESH_NAT_WAYS;

	return &h->flow[peer * 2654435761U % n_sets * MESH_NAT_WAYS];
}

static void
nat_opens(struct mesh_host *h, uint32_t peer, uint64_t now_ms)
{
	struct mesh_flow *set = flows_of(h, peer);
	struct mesh_flow *use = set;

	for (uint32_t i = 0; i < MESH_NAT_WAYS; i++) {
		if (set[i].host == peer + 1) {
			use = &set[i];
			break;
		}
		if (set[i].until_s < use->until_s)
			use = &set[i];
	}
	use->host = peer + 1;
	use->until_s = (uint32_t)((now_ms + MESH_NAT_MS) / 1000);
}

/* It lets in who was sent to, and nobody else. */
static bool
nat_admits(const struct mesh_host *h, uint32_t peer, uint64_t now_ms)
{
	const struct mesh_flow *set = flows_of(h, peer);

	for (uint32_t i = 0; i < MESH_NAT_WAYS; i++)
		if (set[i].host == peer + 1)
			return now_ms / 1000 < set[i].until_s;
	return false;
}

/* ---- the wire ---- */

static bool
ends_with(struct span krpc, const char *end)
{
	size_t n = strlen(end);

	return krpc.n >= n && memcmp(krpc.p + krpc.n - n, end, n) == 0;
}

bool
mesh_is_answer(struct span krpc)
{
	return ends_with(krpc, "1:y1:re");
}

bool
mesh_is_query(struct span krpc)
{
	return ends_with(krpc, "1:y1:qe");
}

static void
chain(struct mesh *s, const struct mesh_packet *p)
{
	uint8_t h[crypto_shorthash_BYTES];

	(void)crypto_shorthash(h, p->data, p->n, s->digest);
	for (size_t i = 0; i < sizeof(h); i++)
		s->digest[8 + i] = s->digest[i] ^ h[i];
	(void)crypto_shorthash(
	    s->digest, p->dest.addr, sizeof(p->dest.addr), s->digest);
	s->digest[0] ^= (uint8_t)p->item.at_ms;
	s->digest[1] ^= (uint8_t)(p->item.at_ms >> 8);
}

static void
check_sent(const struct mesh *s, const struct mesh_host *h,
    const struct endpoint *to, struct span data)
{
	static struct bencode scratch;
	struct krpc m;

	assert(endpoint_scope(to) == SCOPE_GLOBAL && to->port != 0);
	assert(!endpoint_eq(to, &h->at) || !h->placed_ms ||
	       s->wheel.now_ms < h->placed_ms + MESH_SELF_MS);
	assert(data.n > 0 && data.p[0] == 'd' && data.p[data.n - 1] == 'e');
	if (s->n_packets % MESH_LOOK != 0)
		return;
	assert(krpc_decode(data, &scratch, &m) == ERR_OK && !m.fault);
	assert(data.n <= 1024 || m.v.p);
}

/* All that fails to arrive at all is decided here. */
void
mesh_send(struct mesh *s, struct mesh_host *h, const struct endpoint *from,
    const struct endpoint *to, struct span data)
{
	uint32_t dest = mesh_find(s, to);
	bool lost = dice_chance(&s->dice, s->cfg.loss);
	struct mesh_packet *p;
	uint64_t delay_ms;

	h->n_out++;
	h->bytes_out += data.n;
	s->n_packets++;
	s->n_bytes += data.n;
	if (h->nat && dest != MESH_NO_HOST)
		nat_opens(h, dest, s->wheel.now_ms);
	p = (struct mesh_packet *)malloc(sizeof(*p) + data.n);
	assert(p);
	*p = (struct mesh_packet){ .to = dest, .dest = *to };
	p->from = *from;
	p->source = endpoint_eq(from, &h->at) ? h->index : mesh_find(s, from);
	p->n = data.n;
	memcpy(p->data, data.p, data.n);
	p->item.at_ms = s->wheel.now_ms;
	chain(s, p);
	p->item.at_ms = 0;
	s->n_lost += lost;
	s->n_nowhere += dest == MESH_NO_HOST || !s->host[dest].alive;
	if (lost || dest == MESH_NO_HOST) {
		free(p);
		return;
	}
	delay_ms = (uint64_t)h->delay_ms + s->host[dest].delay_ms;
	delay_ms += dice_below(&s->dice, (uint32_t)delay_ms / 8 + 1);
	wheel_add(&s->wheel, &p->item, s->wheel.now_ms + delay_ms);
}

static void
plan_tick(struct mesh *s, struct mesh_host *h)
{
	uint64_t now_ms = s->wheel.now_ms;
	uint64_t at_ms = dht_deadline_ms(h->dht);

	if (at_ms < now_ms)
		at_ms = now_ms;
	if (at_ms >= now_ms + WHEEL_SLOTS)
		at_ms = now_ms + WHEEL_SLOTS - 1;
	if (h->tick.planned && h->tick.at_ms == at_ms)
		return;
	if (h->tick.planned)
		wheel_remove(&s->wheel, &h->tick);
	wheel_add(&s->wheel, &h->tick, at_ms);
}

void
mesh_settle(struct mesh *s, struct mesh_host *h)
{
	struct dht_event e;
	struct dht_send out;

	while (dht_next_event(h->dht, &e)) {
		h->ready |= e.kind == DHT_READY;
		if (e.kind == DHT_ADDRESS)
			h->placed_ms =
			    e.address.port != 0 ? s->wheel.now_ms : 0;
		s->on_event(s, h, &e);
	}
	while (dht_next_send(h->dht, &out)) {
		check_sent(s, h, &out.to, out.data);
		if (s->on_sent)
			s->on_sent(s, h, &out.to, out.data);
		mesh_send(s, h, &h->at, &out.to, out.data);
	}
	plan_tick(s, h);
}

static void
deliver(struct mesh *s, const struct mesh_packet *p)
{
	struct mesh_host *h = &s->host[p->to];
	struct span data = span_of(p->data, p->n);

	if (!h->alive)
		return;
	if (h->nat && !nat_admits(h, p->source, s->wheel.now_ms)) {
		s->n_filtered++;
		return;
	}
	h->n_in++;
	h->bytes_in += p->n;
	if (!h->dht) {
		s->on_hostile(s, h, p);
		return;
	}
	if (s->cfg.answers && p->source != MESH_NO_HOST && mesh_is_answer(data))
		pair_add(&s->answered, pair_key(h->index, p->source));
	if (s->on_arrived)
		s->on_arrived(s, h, p);
	dht_receive(h->dht, &p->from, data, mesh_now(s));
	mesh_settle(s, h);
}

/* The contract of deadlines: a tick moves them, or nobody sleeps. */
static void
tick(struct mesh *s, struct mesh_host *h)
{
	h->n_spins = h->ticked_ms == s->wheel.now_ms ? h->n_spins + 1 : 0;
	h->ticked_ms = s->wheel.now_ms;
	assert(h->n_spins < MESH_SPIN_MAX);
	dht_tick(h->dht, mesh_now(s));
	mesh_settle(s, h);
}

void
mesh_step(struct mesh *s)
{
	struct wheel_item *item;

	while ((item = wheel_take(&s->wheel))) {
		if (is_packet(s, item)) {
			deliver(s, (struct mesh_packet *)item);
			free(item);
		} else {
			tick(s, (struct mesh_host *)item);
		}
	}
	wheel_turn(&s->wheel);
}
