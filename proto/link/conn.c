/*
 * Life of a link: sessions come and go under it, a HELLO with a new instance
 * ends it, silence kills it. Of several sessions the one with the highest
 * rank, but for a clock that was set, carries the data; both sides compute the
 * same rank, so they agree on which key survives however handshakes crossed.
 */
#include "proto/link/conn.h"
#include "proto/link/attempt.h"
#include "proto/link/offer.h"
#include "proto/link/out.h"
#include "proto/link/path.h"
#include "proto/link/peer.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { PTO_PROBES = 2 };

static void
session_check(const struct peer *p, const struct session *s)
{
	const struct conn *c = p->conn;

	assert(s->peer == p && s->state != SESSION_HALF);
	assert((s->state == SESSION_LIVE) == (s == c->cur));
	assert((s->state == SESSION_LIVE) == (s->deadline_ms == NEVER));
	assert(s->state == SESSION_OPEN || s->hello_seen);
	assert(s->confirmed || s->initiator);
	assert(!s->hello_seen || s->confirmed);
	assert(s->udp_max >= HANDSHAKE_UDP_MIN);
	assert(s->n_entry == s->keys.n_receive_index);
}

void
conn_check(const struct peer *p)
{
	const struct conn *c = p->conn;

	assert(!p->half || p->half->state == SESSION_HALF);
	assert(!p->half || (p->half->peer == p && !p->half->confirmed));
	if (!c)
		return;
	assert(c->n_s <= LINK_SESSIONS_MAX);
	for (uint8_t i = 0; i < c->n_s; i++)
		session_check(p, c->s[i]);
	assert(c->up == (c->cur != NULL));
	assert(c->up == (c->out_down != NULL));
	assert(!c->up || p->cfg.role == LINK_CONTACT);
	assert(!c->paired || p->cfg.role != LINK_CONTACT);
	assert(c->up || !c->rescue);
	path_check(c);
	assert(!c->early || (!c->up && !c->paired));
	assert(c->up || c->receive.highest == 0);
	assert(c->up || c->early || c->send.end == 0);
	assert(c->up || (c->bulk_send.end == 0 && !c->bulk_open));
	assert(c->max_data >= c->receive.limit + c->bulk_receive.limit);
	assert(c->bulk_open || c->bulk_receive.limit == 0);
	assert(c->credit >= LINK_CREDIT);
	assert(c->send.next + c->bulk_send.next <= c->credit);
	assert(c->ping_after_ms >= LINK_PING_MIN_MS);
	assert(c->ping_after_ms <= LINK_PING_MAX_MS);
}

/* ---- sessions ---- */

struct session *
conn_session_new(struct links *l, struct peer *p,
    const struct handshake_keys *keys, struct now now)
{
	struct session *s = calloc(1, sizeof(*s));

	assert(keys->n_receive_index <= PACKET_INDICES);
	if (!s)
		return NULL;
	session_init(s, keys, l->rng, now.mono_ms);
	s->peer = p;
	s->key = l->next_key++;
	for (uint8_t i = 0; i < keys->n_receive_index; i++) {
		struct index_entry *e = &s->entry[i];

		e->index = keys->receive_index[i];
		e->session = s;
		if (index_add(l, e)) {
			conn_session_free(l, s);
			return NULL;
		}
		s->n_entry++;
	}
	return s;
}

void
conn_session_free(struct links *l, struct session *s)
{
	assert(s->n_entry <= PACKET_INDICES);
	for (uint8_t i = 0; i < s->n_entry; i++)
		index_del(l, &s->entry[i]);
	session_wipe(s);
	free(s);
}

void
conn_half_free(struct links *l, struct peer *p)
{
	if (!p->half)
		return;
	assert(p->half->state == SESSION_HALF && l->n_half > 0);
	conn_session_free(l, p->half);
	p->half = NULL;
	l->n_half--;
}

/* ---- life ---- */

static void
streams_end(struct conn *c)
{
	stream_send_clear(&c->send);
	stream_receive_clear(&c->receive);
	stream_send_clear(&c->bulk_send);
	stream_receive_clear(&c->bulk_receive);
}

static void
streams_begin(struct conn *c)
{
	streams_end(c);
	stream_send_init(&c->send, STREAM_WINDOW, STREAM_WINDOW);
	stream_receive_init(&c->receive, STREAM_WINDOW, STREAM_WINDOW);
	stream_send_init(&c->bulk_send, STREAM_BULK_WINDOW, 0);
	stream_receive_init(&c->bulk_receive, STREAM_BULK_WINDOW, 0);
	c->bulk_open = false;
	c->credit = LINK_CREDIT;
	c->max_data = LINK_CREDIT;
	c->max_data_due = false;
	c->max_stream_due = false;
	c->max_bulk_due = false;
	c->room_low = false;
	c->bulk_room_low = false;
}

static struct conn *
conn_new(struct links *l, const struct endpoint *path, struct now now)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	if (recovery_init(&c->recovery, MTU_BASE)) {
		free(c);
		return NULL;
	}
	streams_begin(c);
	path_begin(l, c, path, now);
	mtu_init(&c->mtu, path, MTU_BASE, true);
	c->heard_ms = now.mono_ms;
	c->sent_ms = now.mono_ms;
	c->offer_copy_ms = NEVER;
	c->waiting_ms = NEVER;
	c->pace_ms = NEVER;
	c->renew_by_ms = NEVER;
	c->rest_ms = NEVER;
	c->ping_after_ms = LINK_PING_MIN_MS;
	c->asked_ms = NEVER;
	return c;
}

struct session *
conn_carrier(const struct conn *c)
{
	struct session *s = NULL;

	if (c->cur || !c->early)
		return c->cur;
	for (uint8_t i = 0; i < c->n_s; i++) {
		struct session *t = c->s[i];

		if (t->initiator && t->state == SESSION_OPEN && !t->fallback &&
		    (!s || t->rank > s->rank))
			s = t;
	}
	return s;
}

void
conn_early(struct links *l, struct peer *p, const struct session *s)
{
	struct conn *c = p->conn;

	assert(s->initiator && s->state == SESSION_OPEN);
	if (c->up || p->cfg.role != LINK_CONTACT || s->fallback)
		return;
	c->early = out_at(l, LINK_OUT_EARLY, p->number, &s->from);
}

/* The session that is missed least: a replaced one, else one that is not
 * live, whichever ends first. */
static struct session *
least(const struct conn *c)
{
	struct session *s = NULL;

	for (uint8_t i = 0; i < c->n_s; i++) {
		struct session *t = c->s[i];

		if (t == c->cur)
			continue;
		if (!s ||
		    (t->state == SESSION_OLD) > (s->state == SESSION_OLD) ||
		    (t->state == s->state && t->deadline_ms < s->deadline_ms))
			s = t;
	}
	return s;
}

enum err
conn_adopt(struct links *l, struct peer *p, struct session *s, struct now now)
{
	struct conn *c = p->conn;

	assert(s->state == SESSION_OPEN && s->peer == p);
	if (!c) {
		c = conn_new(l, &s->from, now);
		if (!c)
			return ERR_NOMEM;
		p->conn = c;
	}
	assert(s->deadline_ms > now.mono_ms);
	if (c->n_s == LINK_SESSIONS_MAX)
		conn_drop_session(l, p, least(c));
	assert(c->n_s < LINK_SESSIONS_MAX);
	c->s[c->n_s++] = s;
	peer_touch(l, p);
	return ERR_OK;
}

void
conn_drop_session(struct links *l, struct peer *p, struct session *s)
{
	struct conn *c = p->conn;
	uint8_t i = 0;

	while (c->s[i] != s) {
		i++;
		assert(i < c->n_s);
	}
	c->s[i] = c->s[--c->n_s];
	if (c->cur == s)
		c->cur = NULL;
	recovery_drop_key(&c->recovery, s->key);
	conn_session_free(l, s);
	conn_settle(l, p);
}

static void
conn_free(struct links *l, struct peer *p)
{
	struct conn *c = p->conn;

	for (uint8_t i = 0; i < c->n_s; i++)
		conn_session_free(l, c->s[i]);
	streams_end(c);
	recovery_clear(&c->recovery);
	free(c->out_down);
	sodium_memzero(c, sizeof(*c));
	free(c);
	p->conn = NULL;
	p->writable = false;
	p->bulk_writable = false;
	if (l->data_lent == p)
		l->data_lent = NULL;
	peer_touch(l, p);
}

/* Queues the LINK_OUT_DOWN that was made beforehand. */
static void
tell_down(struct links *l, struct conn *c, enum err err)
{
	assert(c->up && c->out_down && l->n_up > 0);
	c->out_down->o.err = err;
	out_push(l, c->out_down);
	c->out_down = NULL;
	c->up = false;
	l->n_up--;
}

void
conn_down(struct links *l, struct peer *p, enum err err)
{
	struct conn *c = p->conn;
	bool was_up, was_early;

	if (!c)
		return;
	was_up = c->up;
	was_early = c->early;
	if (was_up)
		tell_down(l, c, err);
	conn_free(l, p);
	/* Once bytes may have flowed, a new link must not pass for this one;
	 * and what comes late under a handshake of before was said to this one.
	 */
	if (was_up || was_early) {
		peer_new_instance(l, p);
		conn_half_free(l, p);
	}
	if (p->attempt && p->attempt->persist)
		attempt_free(l, p);
}

void
conn_close(struct links *l, struct peer *p, struct session *s,
    enum frame_close code, enum err err, struct now now)
{
	conn_send_close(l, p, s, code, now);
	conn_down(l, p, err);
}

void
conn_start_over(struct links *l, struct peer *p, struct session *s)
{
	struct conn *c = p->conn;

	tell_down(l, c, ERR_STATE);
	while (c->n_s > 1)
		conn_drop_session(l, p, c->s[c->s[0] == s]);
	assert(c->s[0] == s);
	c->cur = NULL;
	recovery_reset(&c->recovery);
	streams_begin(c);
	c->rescue = false;
	c->offer_due = false;
	c->offer_copy_ms = NEVER;
	c->has_offered = false;
	c->offered_ms = 0; /* nothing was heard under this one */
	p->writable = false;
	p->bulk_writable = false;
	c->rekeys = 0;
	c->bytes_in = 0;
	c->bytes_out = 0;
	if (l->data_lent == p)
		l->data_lent = NULL;
	/* Its record is gone, so nobody would notice its loss. */
	s->hello_due = !s->hello_acked;
}

void
conn_new_mtu(struct conn *c, bool proven)
{
	mtu_init(&c->mtu, &c->path, c->cur->udp_max, proven);
	recovery_set_datagram(&c->recovery, c->mtu.size);
}

/* ---- what became of packets ---- */

void
conn_first_words(struct conn *c, const struct session *s)
{
	c->stray |= c->words && c->words_key != s->key;
	c->words_key = s->key;
	c->words = true;
}

static struct session *
session_of_key(const struct conn *c, uint32_t key)
{
	for (uint8_t i = 0; i < c->n_s; i++) {
		if (c->s[i]->key == key)
			return c->s[i];
	}
	return NULL;
}

/* Whoever took first words and has not said who he is may be another one than
 * who says so in another session. They are said again to him who did; not at
 * once, or who acknowledges and never says it would make us say them for ever.
 */
static void
unclaimed(struct conn *c, const struct sent *sent)
{
	if (c->up)
		stream_send_lost(&c->send, sent->stream);
	else if (sent->stream.hi > sent->stream.lo)
		c->unclaimed = true;
}

static void
on_acked(struct conn *c, struct session *s, const struct sent *sent)
{
	if (mtu_acked(&c->mtu, sent->bytes, sent->carried & SENT_MTU))
		recovery_set_datagram(&c->recovery, c->mtu.size);
	if (!s || s->hello_seen)
		stream_send_acked(&c->send, sent->stream);
	else
		unclaimed(c, sent);
	stream_send_acked(&c->bulk_send, sent->bulk);
	if (!s)
		return;
	if (sent->carried & SENT_HELLO) {
		s->hello_acked = true;
		s->hello_due = false;
	}
	if (sent->carried & SENT_ACK)
		session_ack_told(s, sent->ack_hi);
}

/* What is acknowledged under the keys in use says that packets pass: if nobody
 * answers under others he has lost them. */
static bool
may_repeat_hello(const struct conn *c, const struct session *s)
{
	const struct session *used = conn_carrier(c);

	return !used || s == used || s->n_hello < SESSION_HELLO_MAX;
}

/* Marks what a packet carried to be sent again. */
static void
on_lost(struct conn *c, struct session *s, const struct sent *sent)
{
	stream_send_lost(&c->send, sent->stream);
	stream_send_lost(&c->bulk_send, sent->bulk);
	if (sent->carried & SENT_MAX_DATA)
		c->max_data_due = true;
	if (sent->carried & SENT_MAX_STREAM)
		c->max_stream_due = true;
	if (sent->carried & SENT_MAX_BULK)
		c->max_bulk_due = true;
	if (sent->carried & SENT_OBSERVED)
		c->observed_due = true;
	if (sent->carried & SENT_OFFER)
		c->offer_due = true; /* the newest, if there is one by now */
	if (s && (sent->carried & SENT_HELLO) && !s->hello_acked)
		s->hello_due = may_repeat_hello(c, s);
}

void
conn_settle(struct links *l, struct peer *p)
{
	struct conn *c = p->conn;
	struct sent sent;
	bool acked;

	while (recovery_result(&c->recovery, &sent, &acked)) {
		struct session *s = session_of_key(c, sent.key);

		if (acked) {
			on_acked(c, s, &sent);
			continue;
		}
		if (mtu_lost(&c->mtu, sent.bytes, sent.carried & SENT_MTU,
		        l->now_ms))
			recovery_set_datagram(&c->recovery, c->mtu.size);
		on_lost(c, s, &sent);
	}
	if (c->up && c->room_low &&
	    stream_send_room(&c->send) >= STREAM_WINDOW / 2) {
		c->room_low = false;
		p->writable = true;
		peer_ready(l, p);
	}
	if (c->up && c->bulk_room_low &&
	    stream_send_room(&c->bulk_send) >= STREAM_BULK_WINDOW / 2) {
		c->bulk_room_low = false;
		p->bulk_writable = true;
		peer_ready(l, p);
	}
}

void
conn_probe(struct peer *p, struct now now)
{
	struct conn *c = p->conn;

	recovery_on_pto(&c->recovery, now.mono_ms);
	/* As many probes may pass the window, each with something to say: the
	 * first words may be the second packet of a link. [RFC 9002 §6.2.4] */
	for (uint32_t i = 0; i < PTO_PROBES; i++) {
		const struct sent *s = recovery_oldest(&c->recovery, i);

		if (s)
			on_lost(c, session_of_key(c, s->key), s);
	}
	c->force = PTO_PROBES;
	c->ping_due = true;
}

/* ---- streams ---- */

uint64_t
conn_stream_out(const struct links *l, const struct peer *p)
{
	return peer_we_are_lower(l, p) ? 2 : 3;
}

uint64_t
conn_stream_in(const struct links *l, const struct peer *p)
{
	return 5 - conn_stream_out(l, p);
}

uint64_t
conn_bulk_out(const struct links *l, const struct peer *p)
{
	return conn_stream_out(l, p) + 4;
}

uint64_t
conn_bulk_in(const struct links *l, const struct peer *p)
{
	return conn_stream_in(l, p) + 4;
}

uint64_t
conn_chat_credit(const struct conn *c)
{
	assert(c->bulk_send.next <= c->credit);
	return c->credit - c->bulk_send.next;
}

uint64_t
conn_bulk_credit(const struct conn *c)
{
	assert(c->send.next <= c->credit);
	return c->credit - c->send.next;
}

static void
allow(struct links *l, struct peer *p)
{
	struct conn *c = p->conn;

	c->max_data = c->receive.limit + c->bulk_receive.limit + LINK_CREDIT;
	c->max_data_due = true;
	peer_touch(l, p);
}

void
conn_read(struct links *l, struct peer *p, size_t n, bool bulk)
{
	struct conn *c = p->conn;
	struct stream_receive *s = bulk ? &c->bulk_receive : &c->receive;

	stream_receive_read(s, n);
	if (!stream_receive_widen(s))
		return;
	if (bulk)
		c->max_bulk_due = true;
	else
		c->max_stream_due = true;
	allow(l, p);
}

void
conn_bulk_open(struct links *l, struct peer *p)
{
	struct conn *c = p->conn;

	if (c->bulk_open)
		return;
	c->bulk_open = true;
	c->max_bulk_due = stream_receive_widen(&c->bulk_receive);
	assert(c->max_bulk_due);
	allow(l, p);
}
