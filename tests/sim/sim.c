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
struct endpoint
sim_next_v4(struct sim *s)
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
	struct endpoint v4 = sim_next_v4(s);
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

static int64_t
drifted_ms(const struct sim *s, const struct sim_node *n)
{
	return (int64_t)(s->now_ms - n->drift_from_ms) * n->drift_ppm / 1000000;
}

struct now
sim_now(const struct sim *s, uint32_t who)
{
	const struct sim_node *n = &s->nodes[who];

	return (struct now){ n->mono_base_ms + s->now_ms,
		s->wall0_ms + s->now_ms + (uint64_t)n->wall_offset_ms +
		    (uint64_t)drifted_ms(s, n) };
}

void
sim_drift(struct sim *s, uint32_t who, int32_t ppm)
{
	struct sim_node *n = &s->nodes[who];

	n->wall_offset_ms += drifted_ms(s, n);
	n->drift_from_ms = s->now_ms;
	n->drift_ppm = ppm;
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
		node_tick(sim_enter(s, who), sim_now(s, who));
		sim_leave();
	}
	sim_settle(s, who);
}

static bool
is_heard(const struct sim *s, const struct net_packet *p)
{
	return p->to != NET_NOBODY && p->to < s->n_nodes &&
	       sim_is_awake(s, p->to);
}

static void
receive(struct sim *s, const struct net_packet *p)
{
	struct sim_node *n = &s->nodes[p->to];

	n->n_in++;
	if (n->is_person && p->from < SIM_PEOPLE_MAX &&
	    !wire_is_krpc(span_of(p->b, p->n)))
		n->n_sealed[p->from]++;
	(void)sim_enter(s, p->to);
	if (p->socket)
		node_receive_socket(n->node, p->socket, &p->source,
		    span_of(p->b, p->n), sim_now(s, p->to));
	else
		node_receive(n->node, &p->source, span_of(p->b, p->n),
		    sim_now(s, p->to));
	sim_leave();
}

/* As a daemon reads its socket. */
static void
deliver_many(struct sim *s)
{
	uint32_t to = NET_NOBODY;

	while (net_next_ms(&s->net) <= s->now_ms) {
		struct net_packet *p = net_next(&s->net, s->now_ms);

		if (to != NET_NOBODY && to != p->to)
			sim_settle(s, to);
		to = is_heard(s, p) ? p->to : NET_NOBODY;
		if (to != NET_NOBODY)
			receive(s, p);
		net_release(&s->net, p);
	}
	if (to != NET_NOBODY)
		sim_settle(s, to);
}

static void
deliver(struct sim *s, const struct net_packet *p)
{
	struct sim_node *n;
	struct node_stats before;
	struct node_stats after;
	bool is_watched;

	if (p->to == s->adversary && s->hears)
		s->hears(s, p);
	if (!is_heard(s, p))
		return;
	n = &s->nodes[p->to];
	is_watched = s->tape_on && n->is_person && p->from != NET_NOBODY &&
	             !wire_is_krpc(span_of(p->b, p->n)) &&
	             (p->n == PACKET_MESSAGE_1_SIZE ||
	                 dice_chance(&s->dice, TAPE_PER_MILLE));
	if (is_watched)
		node_get_stats(n->node, &before);
	s->asker = &p->source;
	s->is_answered = false;
	receive(s, p);
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
	if (agenda_ms > net_ms && s->cfg.reads_many) {
		deliver_many(s);
		return;
	}
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
