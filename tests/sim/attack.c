/* The adversary: one on the wire who keeps what he saw delivered, and has an
 * address of his own. He must not draw a byte but KRPC. [SPEC §1.1] */
#include "tests/sim/sim.h"

#include "proto/link/packet.h"

#include <string.h>

enum attack {
	ATTACK_REPLAY = 0, /* from his own address */
	ATTACK_SPOOF,      /* with the old source */
	ATTACK_FLIP,       /* a bit changed */
	ATTACK_LENGTH,     /* a byte more or less */
	ATTACK_REFLECT,    /* back to who sent it */
	ATTACK_RANDOM,     /* a size of ours, noise */
	ATTACK_CALL,       /* an old message 1, often of an earlier life */
};
#define ATTACKS 7

void
sim_tape(struct sim *s, uint32_t who, const struct net_packet *p)
{
	struct sim_tape *t = &s->tape[s->n_tape++ % SIM_TAPE_MAX];

	t->source = p->source;
	t->to = who;
	t->n = p->n;
	memcpy(t->b, p->b, p->n);
	if (p->n == PACKET_MESSAGE_1_SIZE)
		s->calls[s->n_calls++ % SIM_CALLS_MAX] = *t;
}

void
sim_call_again(struct sim *s, uint32_t call)
{
	const struct sim_tape *t = &s->calls[call];
	enum family f = endpoint_family(&t->source);
	struct endpoint dest = net_outside(&s->net, t->to, f);

	sim_trace(s, "attack with call %u", call);
	net_inject(&s->net, &s->net.hosts[s->adversary].at[FAMILY_V4], &dest,
	    span_of(t->b, t->n), s->now_ms);
}

static void
noise(struct sim *s)
{
	static const uint16_t sizes[] = { 0, 1, 27, 56, 92, 104, 128, 156, 168,
		256, 284, 512, 540, 1024, 1052, 1232, 1472 };
	const struct net_host *from = &s->net.hosts[s->adversary];
	uint32_t to = dice_below(&s->dice, s->n_nodes);
	size_t n =
	    sizes[dice_below(&s->dice, sizeof(sizes) / sizeof(sizes[0]))];
	struct endpoint dest = net_outside(&s->net, to, FAMILY_V4);
	uint8_t b[NET_DATAGRAM_MAX];

	dice_fill(&s->dice, b, n);
	net_inject(
	    &s->net, &from->at[FAMILY_V4], &dest, span_of(b, n), s->now_ms);
}

static size_t
resize(struct sim *s, struct sim_tape *t)
{
	if (dice_chance(&s->dice, 500) || t->n == NET_DATAGRAM_MAX)
		return t->n - 1;
	dice_fill(&s->dice, t->b + t->n, 1);
	return t->n + 1;
}

static uint32_t
n_calls(const struct sim *s)
{
	return s->n_calls < SIM_CALLS_MAX ? (uint32_t)s->n_calls
	                                  : SIM_CALLS_MAX;
}

void
sim_attack(struct sim *s)
{
	enum attack kind = (enum attack)dice_below(&s->dice, ATTACKS);
	size_t kept =
	    s->n_tape < SIM_TAPE_MAX ? (size_t)s->n_tape : SIM_TAPE_MAX;
	struct endpoint source = s->net.hosts[s->adversary].at[FAMILY_V4];
	struct endpoint dest;
	struct sim_tape t;

	if (kept == 0 || kind == ATTACK_RANDOM) {
		noise(s);
		return;
	}
	if (kind == ATTACK_CALL && s->n_calls > 0) {
		sim_call_again(s, dice_below(&s->dice, n_calls(s)));
		return;
	}
	t = s->tape[dice_below(&s->dice, (uint32_t)kept)];
	dest = net_outside(&s->net, t.to, endpoint_family(&t.source));
	if (kind == ATTACK_SPOOF)
		source = t.source;
	else if (kind == ATTACK_REFLECT)
		source = dest;
	else if (kind == ATTACK_FLIP)
		t.b[dice_below(&s->dice, (uint32_t)t.n)] ^=
		    (uint8_t)(1U << dice_below(&s->dice, 8));
	else if (kind == ATTACK_LENGTH)
		t.n = resize(s, &t);
	if (kind == ATTACK_REFLECT)
		dest = t.source;
	sim_trace(s, "attack %d with %zu bytes", (int)kind, t.n);
	net_inject(&s->net, &source, &dest, span_of(t.b, t.n), s->now_ms);
}
