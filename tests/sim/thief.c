/*
 * The thief: he has all that is durable of somebody, the private S too, and
 * calls the victim in the name of its contacts. What message 1 needs of the
 * contact is its public S and the secret that both have in common; the
 * victim's S gives it as well as the contact's, so that the simulator takes
 * the latter for it. Message 2 he cannot use: that needs what only the contact
 * has. He gets one for each call, and nothing else. [SPEC §6.5]
 */
#include "tests/sim/sim.h"

#include "proto/chat/contact.h"
#include "proto/chat/self.h"
#include "proto/link/handshake.h"

#include <string.h>

/* How far his time may be ahead of ours. */
static const uint32_t ahead_ms[] = { 0, 1, 1000, 50000, 3600 * 1000,
	23 * 3600 * 1000, 25 * 3600 * 1000 };

static bool
read_self(const struct sim *s, uint32_t who, struct self *ret)
{
	const struct sim_node *n = &s->nodes[who];

	return n->disk.self.n > 0 &&
	       self_decode(span_of(n->disk.self.b, n->disk.self.n), &n->seed,
	           ret) == ERR_OK;
}

/* Any contact of the victim. */
static bool
read_contact(struct sim *s, uint32_t victim, struct contact *ret)
{
	const struct disk *d = &s->nodes[victim].disk;
	const struct disk_contact *k;

	if (d->n_contacts == 0)
		return false;
	k = &d->contacts[dice_below(&s->dice, (uint32_t)d->n_contacts)];
	return !k->gone && contact_decode(span_of(k->record.b, k->record.n),
	                       &k->id, ret) == ERR_OK;
}

static void
call(struct sim *s, uint32_t victim, const struct self *mine,
    const struct self *theirs, const struct contact *c)
{
	uint64_t wall_ms = sim_now(s, victim).wall_ms;
	struct endpoint dest = net_outside(&s->net, victim, FAMILY_V4);
	struct handshake_static as = { theirs->s[0].sk, theirs->s[0].pk };
	uint8_t out[PACKET_MESSAGE_1_SIZE];
	uint8_t drawn[48];
	struct handshake_guard guard;
	struct handshake_attempt attempt;
	struct handshake_1 m = { .guard = &guard,
		.s = &as,
		.rs = &mine->s[0].pk,
		.e_sk = drawn,
		.mac2 = drawn + 32 };

	dice_fill(&s->dice, drawn, sizeof(drawn));
	handshake_guard_derive(
	    &mine->reach, &mine->s[0].pk, handshake_day(wall_ms), &guard);
	pair_rid(&c->ratchet.cur, &m.payload.rid_cur);
	pair_rid(&c->ratchet.prev, &m.payload.rid_prev);
	m.payload.ts_ms =
	    wall_ms + ahead_ms[dice_below(
	                  &s->dice, sizeof(ahead_ms) / sizeof(ahead_ms[0]))];
	m.payload.index = packet_draw_index(&s->dice.rng);
	m.payload.flags = (uint16_t)dice_below(&s->dice, 8);
	m.payload.udp_max = HANDSHAKE_UDP_MIN;
	if (handshake_1_seal(&m, out, &attempt) != ERR_OK)
		return;
	s->thief.acts++;
	s->thief.unanswered[victim]++;
	sim_trace(s, "the thief calls p%u", victim);
	net_inject(&s->net, &s->net.hosts[s->adversary].at[FAMILY_V4], &dest,
	    span_of(out, sizeof(out)), s->now_ms);
}

void
sim_thief_call(struct sim *s, uint32_t victim)
{
	struct self mine, theirs;
	struct contact c;
	uint32_t peer;

	if (!read_contact(s, victim, &c))
		return;
	peer = check_who(&s->check, &c.pk);
	if (read_self(s, victim, &mine) && read_self(s, peer, &theirs))
		call(s, victim, &mine, &theirs, &c);
}
