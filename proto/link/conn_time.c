/*
 * When a link has something to do by itself: keys are renewed, silence is
 * answered by a PING, a rescue and at last the end, probes leave, memory goes
 * back.
 */
#include "proto/link/attempt.h"
#include "proto/link/conn.h"
#include "proto/link/offer.h"
#include "proto/link/path.h"
#include "proto/link/peer.h"

#include <assert.h>

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* When the keys in use should be renewed by us: the lower ID at their time,
 * the higher a little later, in case the lower did not. */
static uint64_t
renew_at_ms(const struct links *l, const struct peer *p)
{
	const struct conn *c = p->conn;
	const struct session *s = c->cur;
	bool lower = peer_we_are_lower(l, p);
	uint64_t full = SESSION_PACKETS_MAX / 8 * (lower ? 6 : 7);
	uint64_t at = s->born_ms + SESSION_IDLE_MS;

	if (s->data_ms != NEVER)
		at = earlier(at, s->data_ms + SESSION_DATA_MS);
	if (!lower)
		at += LINK_HIGHER_LATER_MS;
	if (s->next > full || session_worn(s))
		at = 0;
	at = earlier(at, c->renew_by_ms);
	return at > c->renew_ms ? at : c->renew_ms;
}

/* Past this the keys are not to be used, whatever the peer does. */
static uint64_t
overdue_at_ms(const struct conn *c)
{
	uint64_t at = c->cur->born_ms + SESSION_IDLE_MS;

	if (c->cur->data_ms != NEVER)
		at = earlier(at, c->cur->data_ms + SESSION_DATA_MS);
	return at + SESSION_OVERDUE_MS;
}

static uint64_t
doubt_at_ms(const struct conn *c)
{
	uint64_t silence = 3 * recovery_pto_base_ms(&c->recovery);

	if (c->waiting_ms == NEVER)
		return NEVER;
	if (silence < LINK_SILENCE_MS)
		silence = LINK_SILENCE_MS;
	return c->waiting_ms + silence;
}

/* When a PING is due: of the lower ID for having sent nothing, of the higher
 * for having heard nothing, which its gateway may be to blame for. */
static uint64_t
ping_at_ms(const struct links *l, const struct peer *p)
{
	const struct conn *c = p->conn;
	uint64_t last = c->sent_ms;

	if (peer_we_are_lower(l, p))
		return last + c->ping_after_ms;
	if (last < c->heard_ms)
		last = c->heard_ms;
	return last + c->ping_after_ms + LINK_HIGHER_LATER_MS;
}

static uint64_t
up_deadline_ms(const struct links *l, const struct peer *p)
{
	const struct conn *c = p->conn;
	uint64_t at = c->heard_ms + LINK_DEAD_MS;

	at = earlier(at, overdue_at_ms(c));
	if (!c->rescue)
		at = earlier(at, doubt_at_ms(c));
	if (!p->attempt)
		at = earlier(at, renew_at_ms(l, p));
	if (!c->ping_due)
		at = earlier(at, ping_at_ms(l, p));
	at = earlier(at, path_deadline_ms(p));
	if (c->has_offered)
		at = earlier(at, c->offered_ms);
	at = earlier(at, c->offer_copy_ms);
	return at;
}

uint64_t
conn_deadline_ms(const struct links *l, const struct peer *p)
{
	const struct conn *c = p->conn;
	uint64_t at = NEVER;

	if (!c)
		return NEVER;
	for (uint8_t i = 0; i < c->n_s; i++) {
		at = earlier(at, c->s[i]->deadline_ms);
		if (session_may_send(c->s[i]))
			at = earlier(at, c->s[i]->ack_ms);
	}
	at = earlier(at, c->recovery.loss_ms);
	at = earlier(at, recovery_pto_ms(&c->recovery));
	at = earlier(at, c->pace_ms);
	at = earlier(at, c->rest_ms);
	if (c->up)
		at = earlier(at, up_deadline_ms(l, p));
	return at;
}

/* False: no session is left, and the link is gone. */
static bool
expire_sessions(struct links *l, struct peer *p, struct now now)
{
	struct conn *c = p->conn;
	bool alive = false;

	for (uint8_t i = c->n_s; i-- > 0;) {
		if (now.mono_ms >= c->s[i]->deadline_ms)
			conn_drop_session(l, p, c->s[i]);
		else if (c->s[i]->state != SESSION_OLD)
			alive = true;
	}
	if (!alive)
		conn_down(l, p, ERR_EXPIRED);
	return alive;
}

static void
tick_recovery(struct links *l, struct peer *p, struct now now)
{
	struct conn *c = p->conn;

	assert(c);
	if (now.mono_ms >= c->recovery.loss_ms) {
		recovery_on_loss_timer(&c->recovery, now.mono_ms);
		conn_settle(l, p);
	}
	if (now.mono_ms >= recovery_pto_ms(&c->recovery))
		conn_probe(p, now);
}

static void
tick_up(struct links *l, struct peer *p, struct now now)
{
	struct conn *c = p->conn;

	offer_tick(l, p, now);
	path_tick(l, p, now);
	if (now.mono_ms >= ping_at_ms(l, p)) {
		c->ping_due = true;
		c->ping_after_ms =
		    LINK_PING_MIN_MS +
		    rng_below(l->rng, LINK_PING_MAX_MS - LINK_PING_MIN_MS + 1);
	}
	if (!c->rescue && now.mono_ms >= doubt_at_ms(c)) {
		c->rescue = true;
		path_on_silence(l, p, now);
		attempt_revive(l, p, now);
	} else if (!p->attempt && now.mono_ms >= renew_at_ms(l, p)) {
		c->renew_ms = now.mono_ms + LINK_RENEW_AGAIN_MS;
		attempt_revive(l, p, now);
	}
}

/* A transfer would make its memory anew many times a second if it went back
 * whenever nothing waits. */
void
conn_rest_later(struct conn *c, struct now now)
{
	bool large = stream_send_is_large(&c->send) ||
	             stream_receive_is_large(&c->receive) ||
	             stream_send_is_large(&c->bulk_send) ||
	             stream_receive_is_large(&c->bulk_receive);

	if (!large)
		c->rest_ms = NEVER;
	else if (c->rest_ms == NEVER)
		c->rest_ms = now.mono_ms + LINK_REST_MS;
}

static void
tick_rest(struct conn *c, struct now now)
{
	if (now.mono_ms < c->rest_ms)
		return;
	stream_send_rest(&c->send);
	stream_receive_rest(&c->receive);
	stream_send_rest(&c->bulk_send);
	stream_receive_rest(&c->bulk_receive);
	c->rest_ms = NEVER; /* the flush that follows looks again */
}

void
conn_tick(struct links *l, struct peer *p, struct now now)
{
	struct conn *c = p->conn;

	if (!c || !expire_sessions(l, p, now))
		return;
	peer_touch(l, p);
	if (c->up && (now.mono_ms >= c->heard_ms + LINK_DEAD_MS ||
	                 now.mono_ms >= overdue_at_ms(c))) {
		conn_down(l, p, ERR_EXPIRED);
		return;
	}
	tick_recovery(l, p, now);
	tick_rest(c, now);
	if (c->up)
		tick_up(l, p, now);
}
