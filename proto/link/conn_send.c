/*
 * Building packets: what is due goes out in as few datagrams as it fits, each
 * padded with zeros to a bucket, so that a length tells little. [SPEC §6.4]
 */
#include "proto/link/candidates.h"
#include "proto/link/conn.h"
#include "proto/link/out.h"
#include "proto/link/path.h"
#include "proto/link/peer.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

/* Below this it is not worth a piece of stream. */
enum { PIECE_MIN = 16, CLOSE_SIZE_MAX = 16 };

/* Unanswered probes after which full datagrams are of the least size. */
enum { MTU_PTO = 2 };

struct packet {
	struct session *s;         /* borrowed */
	const struct endpoint *to; /* borrowed */
	uint8_t hops;
	struct writer w;
	struct sent sent;
	bool eliciting;
	uint8_t *bytes; /* of the draft, or `lost` */
	uint8_t lost[LINK_UDP_MAX];
};

/* ---- one packet ---- */

static bool
has_also(const struct session *s)
{
	return s->n_also > 0 && !s->hello_acked;
}

/* What goes by a route as well has to fit there. */
static size_t
first_size(const struct session *s, size_t size)
{
	return has_also(s) && size > ROUTE_UDP_MAX ? ROUTE_UDP_MAX : size;
}

/* A datagram of at most `size` bytes, written where it will be sent from. */
static void
packet_begin(struct links *l, struct packet *k, struct session *s,
    const struct endpoint *to, size_t size)
{
	assert(s->udp_max >= HANDSHAKE_UDP_MIN && size <= MTU_MAX);
	if (size > s->udp_max)
		size = s->udp_max;
	if (size > ROUTE_UDP_MAX && endpoint_is_relayed(to))
		size = ROUTE_UDP_MAX;
	k->s = s;
	k->to = to;
	k->hops = 0;
	k->bytes = out_draft(l);
	if (!k->bytes) /* it is as good as lost on its way */
		k->bytes = k->lost;
	k->w = wr_init(k->bytes + PACKET_HEAD, size - PACKET_OVERHEAD);
	k->sent = (struct sent){ .key = s->key };
	k->eliciting = false;
}

/* The smallest bucket that holds n; the last one is the path's largest. */
static size_t
bucket(size_t n, size_t largest)
{
	for (size_t b = PACKET_PLAIN_MIN; b <= 1024; b *= 2) {
		if (n <= b && b <= largest)
			return b;
	}
	return largest;
}

/* What has our HELLO in it may be the first that the peer gets under this key,
 * so in the beginning it goes another way, too, if there is one; he drops the
 * second copy as a replay. */
static bool
goes_twice(const struct packet *k)
{
	return has_also(k->s) && (k->sent.carried & SENT_HELLO) &&
	       k->bytes != k->lost && !endpoint_eq(k->to, &k->s->also);
}

/* Pads, seals, sends, and remembers it if it wants an answer. */
static void
packet_end(struct links *l, struct peer *p, struct packet *k, struct now now)
{
	struct conn *c = p->conn;
	size_t n = bucket(k->w.n, k->w.cap);
	bool twice;

	assert(!k->w.bad && k->w.n > 0);
	assert(n >= k->w.n && n + PACKET_OVERHEAD <= MTU_MAX);
	assert(!k->eliciting || recovery_has_room(&c->recovery));
	wr_zeros(&k->w, n - k->w.n);
	k->sent.number = session_seal(k->s, l->rng, n, k->bytes);
	k->sent.bytes = (uint16_t)(n + PACKET_OVERHEAD);
	k->sent.at_ms = now.mono_ms;
	twice = goes_twice(k);
	if (twice)
		memcpy(k->lost, k->bytes, n + PACKET_OVERHEAD);
	if (k->bytes != k->lost)
		out_send_draft(l, k->to, k->hops, n + PACKET_OVERHEAD);
	if (twice) {
		k->s->n_also--;
		(void)out_send(
		    l, &k->s->also, 0, span_of(k->lost, n + PACKET_OVERHEAD));
	}
	c->bytes_out += n + PACKET_OVERHEAD;
	if (endpoint_eq(k->to, &c->path))
		c->sent_ms = now.mono_ms;
	if (!k->eliciting)
		return;
	recovery_sent(&c->recovery, &k->sent);
	if (c->waiting_ms == NEVER)
		c->waiting_ms = now.mono_ms;
}

/* ---- frames ---- */

static void
put_hello(struct links *l, struct peer *p, struct packet *k, struct now now)
{
	struct link_hello h = { .time_ms = now.wall_ms };
	uint8_t body[FRAME_HELLO_SIZE];
	uint8_t i = 0;

	while (i < l->self.n_s && memcmp(l->self.s[i].pk.b, k->s->own_s.b,
	                              sizeof(k->s->own_s.b)) != 0)
		i++;
	if (i == l->self.n_s)
		return; /* that S is gone; the session will not come up */
	h.id = l->self.id;
	h.cert = l->self.s[i].cert;
	h.reach = l->self.reach;
	h.capabilities = l->self.capabilities;
	memcpy(h.node, l->self.node, sizeof(h.node));
	memcpy(h.db_epoch, p->cfg.db_epoch, sizeof(h.db_epoch));
	hello_encode(&h, p->instance, body);
	assert(k->w.n == 0); /* it stands first */
	frame_write_hello(&k->w, body);
	assert(!k->w.bad);
	sodium_memzero(body, sizeof(body));
	k->s->hello_due = false;
	if (k->s->n_hello < SESSION_HELLO_MAX)
		k->s->n_hello++;
	k->sent.carried |= SENT_HELLO;
	k->eliciting = true;
}

static void
put_ack(struct conn *c, struct packet *k, struct now now)
{
	struct session *s = k->s;
	uint64_t delay = (now.mono_ms - s->largest_ms) * 1000 / 8;

	if (s->unacked == 0)
		return;
	if (frame_ack_size(&s->received, delay) > k->w.cap - k->w.n)
		return;
	frame_write_ack(&k->w, &s->received, delay);
	assert(!k->w.bad);
	k->sent.carried |= SENT_ACK;
	k->sent.ack_hi = s->received.r[s->received.n - 1].hi;
	session_acked(s);
	c->acked |= s == c->cur;
}

/*
 * Stays due where it does not fit: the next packet has less before it. A copy
 * follows, unlike those that follow a loss before the other's probes begin: who
 * is behind a router that lets strangers in must have opened it by then.
 */
static void
put_offer(struct conn *c, struct packet *k, struct now now)
{
	uint8_t body[FRAME_CANDIDATES_SIZE];
	size_t n = candidates_encode(&c->offer, body);

	if (n + FRAME_BODY_OVERHEAD > k->w.cap - k->w.n)
		return;
	frame_write_candidates(&k->w, span_of(body, n));
	k->sent.carried |= SENT_OFFER;
	c->offer_due = false;
	if (c->offer_copy)
		c->offer_copy_ms = now.mono_ms + LINK_OFFER_COPY_MS;
	c->offer_copy = false;
	k->eliciting = true;
}

/* On a route the peer sees no address of ours. */
static bool
observed_due(const struct conn *c)
{
	return c->observed_due && !endpoint_is_route(&c->path, NULL);
}

static void
put_control(struct links *l, struct peer *p, struct packet *k, struct now now)
{
	struct conn *c = p->conn;

	if (c->max_bulk_due) {
		frame_write_max_stream_data(
		    &k->w, conn_bulk_in(l, p), c->bulk_receive.limit);
		k->sent.carried |= SENT_MAX_BULK;
		c->max_bulk_due = false;
		k->eliciting = true;
	}
	if (c->max_stream_due) {
		frame_write_max_stream_data(
		    &k->w, conn_stream_in(l, p), c->receive.limit);
		k->sent.carried |= SENT_MAX_STREAM;
		c->max_stream_due = false;
		k->eliciting = true;
	}
	if (c->max_data_due) {
		frame_write_max_data(&k->w, c->max_data);
		k->sent.carried |= SENT_MAX_DATA;
		c->max_data_due = false;
		k->eliciting = true;
	}
	if (observed_due(c)) {
		frame_write_observed(&k->w, &c->path);
		k->sent.carried |= SENT_OBSERVED;
		c->observed_due = false;
		k->eliciting = true;
	}
	if (c->offer_due)
		put_offer(c, k, now);
	assert(!k->w.bad);
}

/* Takes what fits of a stream; `credit` as an offset of it. */
static struct range
put_piece(
    struct packet *k, struct stream_send *s, uint64_t stream, uint64_t credit)
{
	size_t room = k->w.cap - k->w.n;
	struct range r = { 0, 0 };
	uint8_t *piece;

	if (room < FRAME_STREAM_OVERHEAD + PIECE_MIN)
		return r;
	r = stream_send_take(s, credit, room - FRAME_STREAM_OVERHEAD);
	room = (size_t)(r.hi - r.lo);
	if (room == 0)
		return r;
	frame_write_stream(&k->w, stream, r.lo, room);
	piece = wr_reserve(&k->w, room);
	assert(piece && !k->w.bad);
	stream_send_copy(s, r, piece);
	k->eliciting = true;
	return r;
}

/* Words first; what room they leave is for bulk. */
static void
put_streams(struct links *l, struct peer *p, struct packet *k, bool bulk,
    struct now now)
{
	struct conn *c = p->conn;
	bool before = k->eliciting;

	assert(k->s == conn_carrier(c));
	k->eliciting = false;
	k->sent.stream =
	    put_piece(k, &c->send, conn_stream_out(l, p), conn_chat_credit(c));
	if (!c->up && k->eliciting)
		conn_first_words(c, k->s);
	if (bulk && path_has_room(c))
		k->sent.bulk = put_piece(
		    k, &c->bulk_send, conn_bulk_out(l, p), conn_bulk_credit(c));
	if (k->eliciting && k->s->data_ms == NEVER)
		k->s->data_ms = now.mono_ms;
	k->eliciting |= before;
}

/* ---- what is due ---- */

static bool
control_due(const struct conn *c)
{
	return c->max_data_due || c->max_stream_due || c->max_bulk_due ||
	       observed_due(c) || c->offer_due;
}

static bool
may_send(struct conn *c, const struct session *s)
{
	return session_may_send(s) && recovery_has_room(&c->recovery);
}

/* When probes go unanswered it may be the size that does not come through.
 * [RFC 8899 §4.3] */
static size_t
full_size(const struct conn *c)
{
	return c->recovery.pto_count < MTU_PTO ? c->mtu.size : MTU_LEAST;
}

/* Where the handshake went, until it is a link; where the peer is sure to hear
 * us, until he has our HELLO. */
static const struct endpoint *
full_to(const struct conn *c, const struct session *s)
{
	const struct endpoint *also = path_also(c);

	if (!c->up)
		return &s->from;
	return s->hello_acked || !also || c->ways.asked_ms == NEVER ? &c->path
	                                                            : also;
}

/* One packet with everything under s that fits; HELLO stands first until it
 * is acknowledged, so that any packet can be the first to arrive. */
static void
send_full(struct links *l, struct peer *p, struct session *s, bool bulk,
    struct now now)
{
	struct conn *c = p->conn;
	struct packet k;

	packet_begin(l, &k, s, full_to(c, s), first_size(s, full_size(c)));
	if (!s->hello_acked && (s->hello_due || s == conn_carrier(c)))
		put_hello(l, p, &k, now);
	put_ack(p->conn, &k, now);
	if (c->up && s == c->cur)
		put_control(l, p, &k, now);
	else if (c->offer_due && s == conn_carrier(c))
		put_offer(c, &k, now);
	if (s == conn_carrier(c))
		put_streams(l, p, &k, bulk, now);
	if (c->ping_due || (s->initiator && !s->confirmed)) {
		wr_u8(&k.w, FRAME_PING);
		k.eliciting = true;
		c->ping_due = false;
	}
	if (k.w.n > 0)
		packet_end(l, p, &k, now);
}

static void
send_ack(struct links *l, struct peer *p, struct session *s, struct now now)
{
	struct packet k;

	packet_begin(l, &k, s, &p->conn->path, MTU_BASE);
	put_ack(p->conn, &k, now);
	if (k.w.n > 0)
		packet_end(l, p, &k, now);
}

/* Where the session's handshake went, until it carries the link. */
static void
send_hello(struct links *l, struct peer *p, struct session *s, struct now now)
{
	struct conn *c = p->conn;
	struct packet k;

	packet_begin(l, &k, s, s == c->cur ? &c->path : &s->from,
	    first_size(s, MTU_BASE));
	put_hello(l, p, &k, now);
	put_ack(p->conn, &k, now);
	if (!s->confirmed) {
		wr_u8(&k.w, FRAME_PING);
		k.eliciting = true;
	}
	if (k.w.n > 0)
		packet_end(l, p, &k, now);
	s->hello_due = false;
}

/* ---- paths ---- */

/* What we have got, for a peer who may not hear us on the path, where it is
 * told as well. */
static void
repeat_ack(struct packet *k, struct now now)
{
	const struct session *s = k->s;
	uint64_t delay = (now.mono_ms - s->largest_ms) * 1000 / 8;

	if (s->received.n > 0 &&
	    frame_ack_size(&s->received, delay) <= k->w.cap - k->w.n)
		frame_write_ack(&k->w, &s->received, delay);
}

void
conn_send_path(struct links *l, struct peer *p, const struct conn_path *say,
    struct now now)
{
	struct session *s = p->conn->cur;
	bool aside = !endpoint_eq(say->to, &p->conn->path);
	uint8_t index;
	struct packet k;

	if (!s || !session_may_send(s))
		return;
	packet_begin(l, &k, s, say->to,
	    say->challenge || say->response ? CONN_PATH_SIZE : MTU_BASE);
	k.hops = say->hops;
	if (say->response)
		frame_write_path(&k.w, FRAME_PATH_RESPONSE, say->response);
	if (say->challenge)
		frame_write_path(&k.w, FRAME_PATH_CHALLENGE, say->challenge);
	if (aside)
		repeat_ack(&k, now);
	if (k.w.n == 0)
		return;
	index = s->at_index;
	if (aside && index + 1 < s->keys.n_send_index)
		s->at_index++;
	packet_end(l, p, &k, now);
	s->at_index = index;
}

/* One datagram of a size that the path may not take. */
static void
send_mtu_probe(struct links *l, struct peer *p, struct now now)
{
	struct conn *c = p->conn;
	uint16_t size = mtu_due(&c->mtu, now.mono_ms);
	struct packet k;

	if (size == 0 || size > c->cur->udp_max || !may_send(c, c->cur))
		return;
	packet_begin(l, &k, c->cur, &c->path, size);
	wr_u8(&k.w, FRAME_PING);
	wr_zeros(&k.w, k.w.cap - k.w.n);
	k.eliciting = true;
	k.sent.carried |= SENT_MTU;
	mtu_probed(&c->mtu);
	packet_end(l, p, &k, now);
}

/* ---- all that is due ---- */

/* Words, and what keeps the link going. */
static bool
urgent_due(const struct conn *c)
{
	return control_due(c) || c->ping_due ||
	       stream_send_due(&c->send, conn_chat_credit(c));
}

static bool
bulk_due(const struct conn *c)
{
	return path_has_room(c) && /* it waits for one that has */
	       stream_send_due(&c->bulk_send, conn_bulk_credit(c));
}

static void
flush_data(struct links *l, struct peer *p, struct now now)
{
	struct conn *c = p->conn;
	struct recovery *r = &c->recovery;

	struct session *s = conn_carrier(c);

	c->pace_ms = NEVER;
	while (s && may_send(c, s)) {
		bool urgent = urgent_due(c), bulk = true;

		if (!urgent && !bulk_due(c)) {
			recovery_idle(r);
			break;
		}
		if (c->force > 0)
			c->force--;
		else
			bulk = recovery_may_send(r, false, now.mono_ms);
		if (!bulk &&
		    (!urgent || !recovery_may_send(r, true, now.mono_ms))) {
			c->pace_ms = recovery_pace_ms(r, urgent);
			break;
		}
		send_full(l, p, s, bulk, now);
		if (c->up)
			send_mtu_probe(l, p, now);
	}
	c->force = 0;
	assert(c->pace_ms > now.mono_ms);
}

/* What was acknowledged on the path is so where the peer speaks from, too. */
static void
also_acked(struct links *l, struct peer *p, struct now now)
{
	struct conn *c = p->conn;
	struct conn_path say = { .to = path_also(c) };

	if (c->acked && say.to)
		conn_send_path(l, p, &say, now);
	c->acked = false;
}

void
conn_flush(struct links *l, struct peer *p, struct now now)
{
	struct conn *c = p->conn;

	struct session *early;

	conn_check(p);
	if (!c)
		return;
	early = c->up ? NULL : conn_carrier(c);
	path_flush(l, p, now);
	for (uint8_t i = 0; i < c->n_s; i++) {
		struct session *s = c->s[i];

		if (s->hello_due && s != c->cur && s != early && may_send(c, s))
			send_hello(l, p, s, now);
	}
	flush_data(l, p, now);
	if (early && early->hello_due && may_send(c, early))
		send_hello(l, p, early, now);
	if (c->cur && c->cur->hello_due && may_send(c, c->cur))
		send_full(l, p, c->cur, false, now);
	for (uint8_t i = 0; i < c->n_s; i++) {
		struct session *s = c->s[i];

		if (session_ack_due(s, now.mono_ms) && session_may_send(s))
			send_ack(l, p, s, now);
	}
	if (!c->up)
		c->ping_due = false;
	also_acked(l, p, now);
	conn_rest_later(c, now);
	conn_check(p);
}

void
conn_send_close(struct links *l, struct peer *p, struct session *s,
    enum frame_close code, struct now now)
{
	struct conn *c = p->conn;
	struct packet k;

	assert(c && s);
	if (!session_may_send(s))
		return;
	packet_begin(l, &k, s, s == c->cur ? &c->path : &s->from, MTU_BASE);
	frame_write_close(&k.w, code);
	assert(k.w.n <= CLOSE_SIZE_MAX);
	packet_end(l, p, &k, now);
}
