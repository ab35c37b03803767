/* Numbers are drawn with holes, so that a peer who acknowledges what he never
 * saw gives himself away. [RFC 9000 §21.4] */
#include "proto/link/session.h"

#include <assert.h>
#include <sodium.h>

static uint64_t
next_skip(const struct session *s, const struct rng *rng)
{
	return s->next + SESSION_SKIP_MIN +
	       rng_below(rng, SESSION_SKIP_MAX - SESSION_SKIP_MIN);
}

static void
check(const struct session *s)
{
	assert(s->next < SESSION_PACKETS_MAX);
	assert(s->skip_at >= s->next || s->skip_at == 0);
	assert(s->at_index < s->keys.n_send_index);
	assert(s->keys.n_send_index <= PACKET_INDICES);
	assert(s->unacked > 0 || s->ack_ms == NEVER);
	assert(s->unacked == 0 || s->received.n > 0);
	assert(!s->hello_acked || !s->hello_due);
}

void
session_init(struct session *s, const struct handshake_keys *keys,
    const struct rng *rng, uint64_t now_ms)
{
	assert(keys->n_receive_index > 0 && keys->n_send_index > 0);
	*s = (struct session){
		.keys = *keys,
		.born_ms = now_ms,
		.deadline_ms = now_ms + SESSION_HALF_MS,
		.ack_ms = NEVER,
		.data_ms = NEVER,
	};
	replay_init(&s->replay);
	s->skip_at = 1 + rng_below(rng, SESSION_SKIP_MIN);
}

void
session_wipe(struct session *s)
{
	sodium_memzero(s, sizeof(*s));
}

bool
session_is_newer(const struct session *s, const struct session *used)
{
	uint64_t apart =
	    s->rank > used->rank ? s->rank - used->rank : used->rank - s->rank;

	/* Or no key would follow one that a clock far ahead has ranked. */
	if (apart > SESSION_CLOCK_MS)
		return s->born_ms >= used->born_ms;
	return s->rank >= used->rank;
}

bool
session_may_send(const struct session *s)
{
	return s->next + 1 < SESSION_PACKETS_MAX;
}

bool
session_worn(const struct session *s)
{
	assert(s->n_forged <= SESSION_FORGED_MAX);
	return s->n_forged == SESSION_FORGED_MAX;
}

uint64_t
session_seal(
    struct session *s, const struct rng *rng, size_t plain_n, uint8_t *out)
{
	uint64_t number;

	check(s);
	assert(session_may_send(s));
	assert(plain_n >= PACKET_PLAIN_MIN && plain_n <= PACKET_PLAIN_MAX);
	if (s->next == s->skip_at) {
		s->skipped[s->n_skipped++ % SESSION_SKIPS] = s->next++;
		s->skip_at = next_skip(s, rng);
	}
	number = s->next++;
	packet_seal(&s->keys.send, s->keys.send_index[s->at_index], number,
	    span_of(out + PACKET_HEAD, plain_n), out);
	return number;
}

static enum err
open_one(struct session *s, struct span datagram, uint8_t *out, uint64_t *ret)
{
	enum err err = packet_counter(&s->keys.receive, datagram, ret);

	if (err)
		return err;
	err = replay_check(&s->replay, *ret);
	if (err)
		return err;
	return packet_open(&s->keys.receive, datagram, *ret, out);
}

enum err
session_open(struct session *s, struct span datagram, uint8_t *out,
    uint64_t *number, bool *highest)
{
	uint64_t n;
	enum err err = open_one(s, datagram, out, &n);

	/* Copies come from any network. */
	if (err && err != ERR_REPLAY && !session_worn(s))
		s->n_forged++;
	if (err)
		return err;
	*highest = n >= s->replay.next;
	replay_set(&s->replay, n);
	*number = n;
	return ERR_OK;
}

void
session_received(
    struct session *s, uint64_t number, bool eliciting, uint64_t now_ms)
{
	const struct ranges *got = &s->received;
	bool in_order = got->n == 0 || number == got->r[got->n - 1].hi;

	check(s);
	assert(number < s->replay.next);
	assert(!ranges_has(got, number));
	if (got->n == 0 || number >= got->r[got->n - 1].hi)
		s->largest_ms = now_ms;
	if (ranges_add(&s->received, number, number + 1)) {
		/* The oldest news are worth least. */
		ranges_drop_lowest(&s->received);
		if (ranges_add(&s->received, number, number + 1))
			return;
	}
	if (!eliciting)
		return;
	if (s->unacked == 0 || number < s->unacked_lo)
		s->unacked_lo = number;
	s->unacked++;
	if (s->n_eliciting < SESSION_ACK_QUICK)
		s->n_eliciting++;
	if (!in_order)
		s->ack_now = true;
	if (s->ack_ms == NEVER)
		s->ack_ms = now_ms + SESSION_ACK_DELAY_MS;
}

bool
session_ack_honest(const struct session *s, const struct ranges *ack)
{
	uint32_t n = s->n_skipped;

	assert(ack->n > 0 && ack->n <= RANGES_MAX);
	check(s);
	if (ack->r[ack->n - 1].hi > s->next)
		return false;
	for (uint32_t i = 0; i < n && i < (uint32_t)SESSION_SKIPS; i++) {
		if (ranges_has(ack, s->skipped[i]))
			return false;
	}
	return true;
}

bool
session_ack_due(const struct session *s, uint64_t now_ms)
{
	uint32_t every = s->n_eliciting < SESSION_ACK_QUICK ? SESSION_ACK_EVERY
	                                                    : SESSION_ACK_BULK;

	if (s->unacked == 0)
		return false;
	return s->ack_now || s->unacked >= every || now_ms >= s->ack_ms;
}

void
session_acked(struct session *s)
{
	s->unacked = 0;
	s->ack_now = false;
	s->ack_ms = NEVER;
	check(s);
}

void
session_ack_told(struct session *s, uint64_t hi)
{
	if (s->unacked > 0 && s->unacked_lo < hi)
		hi = s->unacked_lo;
	ranges_cut_below(&s->received, hi);
	check(s);
}
