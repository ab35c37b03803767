/*
 * The flooder: junk of all sizes, messages 1 that pass mac1 and nothing else,
 * and questions of the DHT, mostly from sources that are nobody's. The victim
 * is told that more comes than it takes, as its owner would. [SPEC §6.5]
 */
#include "tests/sim/sim.h"

#include "proto/chat/self.h"
#include "proto/crypto/kdf.h"
#include "proto/link/handshake.h"
#include "proto/link/load.h"

#include <string.h>

enum { BURST_MIN = 5, BURST_MAX = 40, SPOOFED = 700, MAC1_AT = 136 };

static struct endpoint
any_source(struct sim *s)
{
	uint8_t a[4] = { 12 };

	if (!dice_chance(&s->dice, SPOOFED))
		return s->net.hosts[s->adversary].at[FAMILY_V4];
	dice_fill(&s->dice, a + 1, 3);
	return endpoint_v4(a, (uint16_t)dice_range(&s->dice, 1024, 65535));
}

static size_t
junk(struct sim *s, uint8_t *b)
{
	static const uint16_t sizes[] = { 1, 56, 92, 104, 128, 156, 168, 256,
		284, 512, 1052, 1232, 1472 };
	size_t n =
	    sizes[dice_below(&s->dice, sizeof(sizes) / sizeof(sizes[0]))];

	dice_fill(&s->dice, b, n);
	return n;
}

static size_t
half_message_1(struct sim *s, const struct self *self, uint8_t *b)
{
	uint32_t day = handshake_day(s->wall0_ms + s->now_ms);
	struct handshake_guard g;
	struct span covered = span_of(b, MAC1_AT);

	dice_fill(&s->dice, b, PACKET_MESSAGE_1_SIZE);
	handshake_guard_derive(&self->reach, &self->s[0].pk, day, &g);
	kdf_b2(span_of(g.mac1, sizeof(g.mac1)), &covered, 1, b + MAC1_AT,
	    HANDSHAKE_MAC_SIZE);
	return PACKET_MESSAGE_1_SIZE;
}

static size_t
question(struct sim *s, uint8_t *b)
{
	static const char head[] = "d1:ad2:id20:";
	static const char middle[] = "6:target20:";
	static const char tail[] = "e1:q9:find_node1:t2:xx1:y1:qe";
	struct writer w = wr_init(b, NET_DATAGRAM_MAX);

	wr_bytes(&w, head, sizeof(head) - 1);
	dice_fill(&s->dice, wr_reserve(&w, 20), 20);
	wr_bytes(&w, middle, sizeof(middle) - 1);
	dice_fill(&s->dice, wr_reserve(&w, 20), 20);
	wr_bytes(&w, tail, sizeof(tail) - 1);
	return w.n;
}

void
sim_flood(struct sim *s, uint32_t victim)
{
	const struct disk_record *r = &s->nodes[victim].disk.self;
	struct endpoint dest = net_outside(&s->net, victim, FAMILY_V4);
	struct self self;
	uint8_t b[NET_DATAGRAM_MAX];

	if (!sim_is_awake(s, victim) || r->n == 0 ||
	    self_decode(span_of(r->b, r->n), &s->nodes[victim].seed, &self) !=
	        ERR_OK)
		return;
	if (s->flood.acts++ == 0)
		s->flood.began_ms = s->now_ms;
	for (uint32_t i = dice_range(&s->dice, BURST_MIN, BURST_MAX); i > 0;
	     i--) {
		struct endpoint source = any_source(s);
		uint32_t which = dice_below(&s->dice, 3);
		size_t n = which == 0   ? junk(s, b)
		           : which == 1 ? half_message_1(s, &self, b)
		                        : question(s, b);

		net_inject(&s->net, &source, &dest, span_of(b, n), s->now_ms);
	}
	node_behind(sim_enter(s, victim), sim_now(s, victim));
	sim_leave();
	sim_settle(s, victim);
}

static bool
has_parted(const struct sim *s, uint32_t who)
{
	for (uint32_t i = 0; i < s->cfg.n_people; i++)
		if (s->check.parted[who][i])
			return true;
	return false;
}

/* A message 2 for each call of the thief. A contact that was deleted and added
 * again has forgotten which message 1 it saw last; an old one draws an answer
 * once more. */
static const char *
may_answer(struct sim *s, uint32_t who)
{
	if (s->thief.unanswered[who] > 0) {
		s->thief.unanswered[who]--;
		return NULL;
	}
	return has_parted(s, who) ? NULL : "a message 2 that nobody called for";
}

/* So many a second, whoever sends them; all nodes together. */
static const char *
may_cookie(struct sim *s)
{
	uint64_t ms = s->now_ms - s->flood.began_ms;

	if (s->flood.acts == 0)
		return "a cookie without a flood";
	s->flood.cookies++;
	if (s->flood.cookies >
	    LOAD_REPLIES_BURST + ms * LOAD_REPLIES_S / 1000 + LOAD_REPLIES_S)
		return "too many cookies";
	return NULL;
}

const char *
sim_may_hear(struct sim *s, uint32_t who, struct span datagram)
{
	if (wire_is_krpc(datagram))
		return NULL;
	if (who < s->cfg.n_people && datagram.n == PACKET_MESSAGE_2_SIZE)
		return may_answer(s, who);
	if (who < s->cfg.n_people && datagram.n == PACKET_COOKIE_REPLY_SIZE)
		return may_cookie(s);
	return "what is for contacts";
}
