/* The world's clock, agenda and network. */
#include "tests/sim/sim.h"

#include "proto/link/packet.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DICE_WORLD = 1 << 21,
	LATENCY_MIN_MS = 5,
	LATENCY_MAX_MS = 120,
	WALL_SPAN_S = 3 * 86400,
	MONO_SPAN_MS = 1000000000,
	TAPE_PER_MILLE = 100,
};
#define WALL_START_S UINT64_C(1796000000)

void
sim_trace(const struct sim *s, const char *format, ...)
{
	va_list args;

	if (!s->cfg.trace)
		return;
	printf("%10.3f  ", (double)s->now_ms / 1000);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

/* Every address is global and alone in its /24 and /48. */
static struct endpoint
next_v4(struct sim *s)
{
	struct endpoint e;

	do {
		uint32_t k = s->n_addresses++;
		uint8_t a[4] = { (uint8_t)(13 + k * 37 % 200),
			(uint8_t)(k & 255), (uint8_t)(k >> 8),
			(uint8_t)dice_range(&s->dice, 1, 254) };

		e = endpoint_v4(a, (uint16_t)dice_range(&s->dice, 1024, 65535));
	} while (endpoint_scope(&e) != SCOPE_GLOBAL);
	return e;
}

static struct endpoint
next_v6(struct sim *s)
{
	uint32_t k = s->n_addresses++;
	struct endpoint e = { .addr = {
		                  0x2a, 0x02, (uint8_t)(k >> 8), (uint8_t)k } };

	e.addr[15] = (uint8_t)dice_range(&s->dice, 1, 254);
	e.port = (uint16_t)dice_range(&s->dice, 1024, 65535);
	return e;
}

static void
add_host(struct sim *s)
{
	struct endpoint v4 = next_v4(s);
	struct endpoint v6;

	if (s->cfg.v6)
		v6 = next_v6(s);
	net_host_add(&s->net, &v4, s->cfg.v6 ? &v6 : NULL);
}

static void
add_node(struct sim *s, uint32_t i)
{
	struct sim_node *n = &s->nodes[i];

	add_host(s);
	n->tick_ms = NEVER;
	n->is_person = i < s->cfg.n_people;
	if (!n->is_person)
		return;
	dice_fill(&s->dice, n->seed.b, sizeof(n->seed.b));
	for (size_t k = 0; k < SIM_PEOPLE_MAX; k++)
		n->first_online_ms[k] = NEVER;
}

/* Who one is, for the checker; and never seen on the wire. */
static void
register_person(struct sim *s, uint32_t i)
{
	struct sim_node *n = &s->nodes[i];
	struct id_pk pk;
	struct id_sk sk;
	uint8_t x[32];

	identity_from_seed(&n->seed, &pk, &sk);
	check_person(&s->check, i, &pk, &n->disk);
	wire_forbid(&s->wire, span_of(pk.b, sizeof(pk.b)));
	wire_forbid(&s->wire, span_of(n->seed.b, sizeof(n->seed.b)));
	if (crypto_sign_ed25519_pk_to_curve25519(x, pk.b) == 0)
		wire_forbid(&s->wire, span_of(x, sizeof(x)));
}

struct sim *
sim_new(const struct sim_config *cfg)
{
	struct sim *s = (struct sim *)calloc(1, sizeof(*s));

	assert(s && sodium_init() >= 0);
	assert(cfg->n_people <= SIM_PEOPLE_MAX);
	assert(cfg->n_people + cfg->n_crowd <= SIM_NODES_MAX);
	s->cfg = *cfg;
	if (cfg->latency_max_ms == 0) {
		s->cfg.latency_min_ms = LATENCY_MIN_MS;
		s->cfg.latency_max_ms = LATENCY_MAX_MS;
	}
	dice_init(&s->dice, cfg->seed, DICE_WORLD, 0);
	net_init(
	    &s->net, cfg->seed, s->cfg.latency_min_ms, s->cfg.latency_max_ms);
	crypto_generichash_init(&s->digest, NULL, 0, 16);
	s->wall0_ms = (WALL_START_S + dice_below(&s->dice, WALL_SPAN_S)) * 1000;
	s->wire.sealed = cfg->policy != NODE_MAINLINE;
	s->wire.no_plain = cfg->policy == NODE_OVERLAY;
	s->n_nodes = cfg->n_people + cfg->n_crowd;
	for (uint32_t i = 0; i < s->n_nodes; i++)
		add_node(s, i);
	add_host(s);
	s->adversary = s->n_nodes;
	for (uint32_t i = 0; i < cfg->n_people; i++)
		register_person(s, i);
	return s;
}

void
sim_free(struct sim *s)
{
	struct sim_event *e;

	if (!s)
		return;
	for (uint32_t i = 0; i < s->n_nodes; i++) {
		node_free(s->nodes[i].node);
		disk_clear(&s->nodes[i].disk);
	}
	while ((e = (struct sim_event *)queue_pop(&s->agenda)))
		if (e->is_own)
			free(e);
	queue_clear(&s->agenda);
	check_clear(&s->check);
	net_clear(&s->net);
	free(s->outs);
	free(s);
}

void
sim_digest(const struct sim *s, uint8_t ret[16])
{
	crypto_generichash_state state = s->digest;

	crypto_generichash_final(&state, ret, 16);
}

void
sim_at(struct sim *s, uint64_t at_ms,
    void (*run)(struct sim *s, const struct sim_event *e), uint32_t who,
    uint32_t whom, uint32_t arg)
{
	struct sim_event *e = (struct sim_event *)malloc(sizeof(*e));

	assert(e);
	*e = (struct sim_event){ run, who, whom, arg, true };
	queue_push(&s->agenda, at_ms < s->now_ms ? s->now_ms : at_ms, e);
}

struct now
sim_now(const struct sim *s, uint32_t who)
{
	const struct sim_node *n = &s->nodes[who];

	return (struct now){ n->mono_base_ms + s->now_ms,
		s->wall0_ms + s->now_ms + (uint64_t)n->wall_offset_ms };
}

/* ---- life ---- */

void
sim_set_local(struct sim *s, uint32_t who)
{
	const struct net_host *h = &s->net.hosts[who];
	struct sim_node *n = &s->nodes[who];
	struct endpoint local[FAMILY_COUNT];
	size_t count = 0;

	for (size_t f = 0; f < FAMILY_COUNT; f++)
		if (h->has[f])
			local[count++] = h->inside[f];
	if (n->node)
		node_set_local(n->node, local, count, sim_now(s, who));
}

static void
forbid_draw(void *ctx, const uint8_t *p, size_t n)
{
	if (n == 32)
		wire_forbid((struct wire *)ctx, span_of(p, n));
}

static void
forbid_static(void *ctx, const uint8_t *p, size_t n)
{
	uint8_t pk[32];

	forbid_draw(ctx, p, n);
	if (n == 32 && crypto_scalarmult_base(pk, p) == 0)
		forbid_draw(ctx, pk, sizeof(pk));
}

/* The first time, the secrets that a new identity draws are put on the list
 * of what nobody may see, also as the public halves of static keys. */
static void
load(struct sim *s, uint32_t who)
{
	struct sim_node *n = &s->nodes[who];
	enum err err;

	if (!n->is_person) {
		node_load_dht(
		    n->node, n->disk.dht, n->disk.n_dht, sim_now(s, who));
		return;
	}
	if (n->disk.self.n == 0) {
		n->dice.watch = forbid_static;
		n->dice.watch_ctx = &s->wire;
	}
	err = disk_load(&n->disk, n->node, &n->seed, sim_now(s, who));
	n->dice.watch = NULL;
	if (err != ERR_OK)
		check_fail(&s->check, "p%u cannot load what it stored: %s", who,
		    err_name(err));
}

static void
tell_first(struct sim *s, uint32_t who, const struct endpoint *at)
{
	struct node *n = s->nodes[who].node;

	if (s->cfg.only_mainline)
		node_bootstrap_public(n, at, sim_now(s, who));
	else
		node_bootstrap(n, at, sim_now(s, who));
}

/* Three of the crowd are known to everybody. */
static void
bootstrap(struct sim *s, uint32_t who)
{
	for (uint32_t i = 0; i < 3 && i < s->cfg.n_crowd; i++) {
		const struct net_host *h = &s->net.hosts[s->cfg.n_people + i];

		if (s->cfg.n_people + i == who)
			continue;
		for (size_t f = 0; f < FAMILY_COUNT; f++)
			if (h->has[f])
				tell_first(s, who, &h->at[f]);
	}
}

void
sim_start(struct sim *s, uint32_t who)
{
	struct sim_node *n = &s->nodes[who];
	struct node_config cfg = { .rng = &n->dice.rng,
		.family = { true, s->cfg.v6 },
		.policy = s->cfg.policy,
		.overlay_announce = !s->cfg.is_hidden,
		.sockets_max = NODE_SOCKETS_MAX };

	if (n->node)
		return;
	n->life++;
	dice_init(&n->dice, s->cfg.seed, who, n->life);
	n->mono_base_ms = dice_below(&n->dice, MONO_SPAN_MS);
	n->last_tick_ms = NEVER;
	n->crash_in = 0;
	n->fail_commit_in = 0;
	n->asleep_until_ms = 0;
	n->node = node_new(&cfg, sim_now(s, who));
	assert(n->node);
	load(s, who);
	sim_set_local(s, who);
	bootstrap(s, who);
	sim_trace(
	    s, "%c%u starts, life %u", n->is_person ? 'p' : 'c', who, n->life);
	sim_settle(s, who);
}

static void
start_event(struct sim *s, const struct sim_event *e)
{
	sim_start(s, e->who);
}

void
sim_crash(struct sim *s, uint32_t who)
{
	struct sim_node *n = &s->nodes[who];

	if (!n->node)
		return;
	sim_trace(s, "%c%u crashes", n->is_person ? 'p' : 'c', who);
	node_free(n->node);
	n->node = NULL;
	for (unsigned i = 1; i <= NET_SOCKETS_MAX; i++)
		net_socket_close(&s->net, who, i);
	disk_rollback(&n->disk);
	n->crash_in = 0;
	n->fail_commit_in = 0;
	memset(n->online, 0, sizeof(n->online));
	s->n_crashes++;
}

void
sim_crash_for(struct sim *s, uint32_t who, uint32_t down_ms)
{
	sim_crash(s, who);
	sim_at(s, s->now_ms + down_ms, start_event, who, 0, 0);
}

bool
sim_is_awake(const struct sim *s, uint32_t who)
{
	const struct sim_node *n = &s->nodes[who];

	return n->node && n->asleep_until_ms <= s->now_ms;
}

static void
wake_event(struct sim *s, const struct sim_event *e)
{
	struct sim_node *n = &s->nodes[e->who];

	if (!sim_is_awake(s, e->who))
		return;
	sim_trace(s, "%c%u wakes", n->is_person ? 'p' : 'c', e->who);
	node_woke(n->node, sim_now(s, e->who));
	node_tick(n->node, sim_now(s, e->who));
	sim_settle(s, e->who);
}

void
sim_sleep(struct sim *s, uint32_t who, uint64_t ms)
{
	struct sim_node *n = &s->nodes[who];

	sim_trace(s, "%c%u sleeps", n->is_person ? 'p' : 'c', who);
	n->asleep_until_ms = s->now_ms + ms;
	sim_at(s, n->asleep_until_ms, wake_event, who, 0, 0);
}

void
sim_move(struct sim *s, uint32_t who, bool is_told)
{
	struct endpoint to = next_v4(s);
	const struct net_host *h = &s->net.hosts[who];

	if (!is_told)
		memcpy(to.addr, h->at[FAMILY_V4].addr, sizeof(to.addr));
	if (!is_told && h->router)
		net_rebind(&s->net, who);
	else
		net_move(&s->net, who, &to);
	sim_trace(s, "p%u moves, %s", who, is_told ? "told" : "not told");
	if (!is_told || !sim_is_awake(s, who))
		return;
	sim_set_local(s, who);
	sim_settle(s, who);
}

/* ---- the clock ---- */

static void
tick(struct sim *s, uint32_t who)
{
	struct sim_node *n = &s->nodes[who];

	if (s->now_ms == n->tick_ms)
		n->tick_ms = NEVER;
	if (!sim_is_awake(s, who))
		return; /* the end of its sleep ticks it */
	if (node_deadline_ms(n->node) <= sim_now(s, who).mono_ms) {
		n->n_ticks = n->last_tick_ms == s->now_ms ? n->n_ticks + 1 : 0;
		n->last_tick_ms = s->now_ms;
		if (n->n_ticks > SIM_TICKS_MAX)
			check_fail(&s->check, "node %u spins", who);
		node_tick(n->node, sim_now(s, who));
	}
	sim_settle(s, who);
}

static void
deliver(struct sim *s, const struct net_packet *p)
{
	struct sim_node *n;
	struct node_stats before;
	struct node_stats after;
	bool is_watched;

	if (p->to == NET_NOBODY || p->to >= s->n_nodes ||
	    !sim_is_awake(s, p->to))
		return;
	n = &s->nodes[p->to];
	is_watched = s->tape_on && n->is_person && p->from != NET_NOBODY &&
	             !wire_is_krpc(span_of(p->b, p->n)) &&
	             (p->n == PACKET_MESSAGE_1_SIZE ||
	                 dice_chance(&s->dice, TAPE_PER_MILLE));
	if (is_watched)
		node_get_stats(n->node, &before);
	n->n_in++;
	s->asker = &p->source;
	s->is_answered = false;
	if (p->socket)
		node_receive_socket(n->node, p->socket, &p->source,
		    span_of(p->b, p->n), sim_now(s, p->to));
	else
		node_receive(n->node, &p->source, span_of(p->b, p->n),
		    sim_now(s, p->to));
	sim_settle(s, p->to);
	s->asker = NULL;
	if (!is_watched || !n->node)
		return;
	node_get_stats(n->node, &after);
	if (after.udp_dropped == before.udp_dropped &&
	    (p->n != PACKET_MESSAGE_1_SIZE || s->is_answered))
		sim_tape(s, p->to, p);
}

/* What is planned goes before what arrives at the same time. */
static void
step(struct sim *s)
{
	uint64_t agenda_ms = queue_next_ms(&s->agenda);
	uint64_t net_ms = net_next_ms(&s->net);
	struct net_packet *p;
	struct sim_event *e;

	s->now_ms = agenda_ms <= net_ms ? agenda_ms : net_ms;
	s->check.now_ms = s->now_ms;
	s->n_events++;
	if (agenda_ms > net_ms) {
		p = net_next(&s->net, s->now_ms);
		deliver(s, p);
		net_release(&s->net, p);
		return;
	}
	e = (struct sim_event *)queue_pop(&s->agenda);
	if (e->run)
		e->run(s, e);
	else
		tick(s, e->who);
	if (e->is_own)
		free(e);
}

bool
sim_run(struct sim *s, uint64_t until_ms, bool (*done)(struct sim *s))
{
	while (!s->check.failed) {
		uint64_t agenda_ms = queue_next_ms(&s->agenda);
		uint64_t net_ms = net_next_ms(&s->net);

		if (done && done(s))
			return true;
		if ((agenda_ms < net_ms ? agenda_ms : net_ms) > until_ms)
			break;
		step(s);
	}
	if (!s->check.failed && s->now_ms < until_ms) {
		s->now_ms = until_ms;
		s->check.now_ms = until_ms;
	}
	return done && !s->check.failed && done(s);
}
