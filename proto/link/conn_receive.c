/*
 * What comes in under a session's key. The sender is a contact and may still
 * be hostile: every frame is checked against what we allowed, and a breach
 * closes the session with a code. [SPEC §7.1] [RFC 9000 §19]
 */
#include "proto/link/accept.h"
#include "proto/link/attempt.h"
#include "proto/link/conn.h"
#include "proto/link/offer.h"
#include "proto/link/out.h"
#include "proto/link/path.h"
#include "proto/link/peer.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

/* One packet on its way through its frames. */
struct intake {
	struct links *l;
	struct peer *p;
	struct session *s;
	const struct endpoint *from;
	struct now now;
	size_t n; /* bytes of the datagram */
	bool eliciting;
	bool speaks; /* with another frame than PATH_x that does */
	bool highest;
	bool prompt; /* it asks for an ACK at once */
	bool asked;  /* PATH_CHALLENGE; the last one counts */
	uint8_t challenge[FRAME_PATH_SIZE];
	bool drop; /* as if it had never come: not acknowledged */
	bool gone; /* the link ended with it */
	bool breach;
	enum frame_close code; /* breach: what to close with */
	enum err err;          /* breach: what to tell the owner */
};

static void
refuse(struct intake *k, enum frame_close code, enum err err)
{
	assert(!k->breach && err != ERR_OK);
	k->breach = true;
	k->code = code;
	k->err = err;
}

/* ---- HELLO ---- */

/* Who speaks must be who we shook hands with: the certificate binds the S of
 * this very handshake to an ID. */
static enum err
check_hello(const struct intake *k, struct link_hello *h)
{
	const struct peer *p = k->p;
	enum err err;

	if (id_eq(&h->id, &k->l->self.id))
		return ERR_BAD_KEY;
	if (p->cfg.role != LINK_INVITER && !id_eq(&h->id, &p->cfg.id))
		return ERR_CONFLICT;
	if (identity_check(&h->id))
		return ERR_BAD_KEY;
	err = cert_open(&h->cert, &h->id, k->now.wall_ms / 1000, &h->says);
	if (err)
		return err;
	if (memcmp(h->says.s.b, k->s->s.b, sizeof(h->says.s.b)) != 0)
		return ERR_CONFLICT;
	return ERR_OK;
}

/* The S of a contact whose cell we never read is known from here on. */
static enum err
learn_static(struct intake *k)
{
	if (k->p->cfg.role != LINK_CONTACT || k->p->cfg.n_s > 0)
		return ERR_OK;
	return peer_bind(k->l, k->p, &k->s->s);
}

/* Two took it at once, and the other one was first: silence. */
static bool
invitation_is_taken(const struct intake *k)
{
	const struct link_peer *cfg = &k->p->cfg;

	return cfg->role == LINK_INVITER && cfg->n_s > 0 &&
	       memcmp(cfg->s[0].b, k->s->s.b, sizeof(cfg->s[0].b)) != 0;
}

static void
take_hello(struct intake *k, const struct frame *f)
{
	uint8_t instance[HELLO_INSTANCE_SIZE];
	struct link_hello h;
	enum err err;

	if (k->s->hello_seen)
		return; /* a repetition: ours was not acknowledged yet */
	if (invitation_is_taken(k)) {
		k->drop = true;
		return;
	}
	if (hello_decode(f->data, &h, instance)) {
		refuse(k, CLOSE_FRAME_ENCODING, ERR_MALFORMED);
		return;
	}
	err = check_hello(k, &h);
	if (err) {
		refuse(k, CLOSE_HELLO, err);
		return;
	}
	err = learn_static(k);
	if (!err)
		err = conn_greeted(k->l, k->p, k->s, &h, instance, k->now);
	if (err == ERR_CONFLICT) {
		conn_close(k->l, k->p, k->s, CLOSE_NONE, ERR_STATE, k->now);
		k->gone = true;
	} else if (err) {
		k->drop = true;
	}
	sodium_memzero(&h, sizeof(h));
}

/* ---- the others ---- */

/* Something was acknowledged: is it what was asked? */
static void
tell_answer(struct intake *k)
{
	struct conn *c = k->p->conn;
	uint64_t sent_ms = c->recovery.acked_sent_ms;

	if (sent_ms < c->asked_ms)
		return;
	assert(sent_ms <= k->now.mono_ms);
	if (out_pong(k->l, k->p->number, k->now.mono_ms - sent_ms))
		c->asked_ms = NEVER;
}

static void
take_ack(struct intake *k, const struct frame *f)
{
	struct conn *c = k->p->conn;
	uint64_t delay_us = RECOVERY_ACK_DELAY_US;
	bool news;

	if (!session_ack_honest(k->s, &f->ack)) {
		refuse(k, CLOSE_OPTIMISTIC_ACK, ERR_CONFLICT);
		return;
	}
	if (f->delay < RECOVERY_ACK_DELAY_US / 8)
		delay_us = f->delay * 8;
	news = recovery_on_ack(
	    &c->recovery, k->s->key, &f->ack, delay_us, k->now.mono_ms);
	conn_settle(k->l, k->p);
	if (news)
		tell_answer(k);
}

/* Each side has one stream for chat and one for bulk, and may only send on its
 * own. */
static void
wrong_stream(struct intake *k, uint64_t stream)
{
	uint64_t lower = stream < 4 ? stream : stream - 4;

	if (lower == 2 || lower == 3)
		refuse(k, CLOSE_STREAM_STATE, ERR_STATE);
	else
		refuse(k, CLOSE_STREAM_LIMIT, ERR_LIMIT);
}

/* NULL: refused. */
static struct stream_receive *
stream_in(struct intake *k, uint64_t stream)
{
	if (stream == conn_stream_in(k->l, k->p))
		return &k->p->conn->receive;
	if (stream == conn_bulk_in(k->l, k->p))
		return &k->p->conn->bulk_receive;
	wrong_stream(k, stream);
	return NULL;
}

static struct stream_send *
stream_out(struct intake *k, uint64_t stream)
{
	if (stream == conn_stream_out(k->l, k->p))
		return &k->p->conn->send;
	if (stream == conn_bulk_out(k->l, k->p))
		return &k->p->conn->bulk_send;
	wrong_stream(k, stream);
	return NULL;
}

static void
take_stream(struct intake *k, const struct frame *f)
{
	struct stream_receive *s = stream_in(k, f->stream);

	if (!s)
		return;
	switch (stream_receive_push(s, f->offset, f->data, f->fin)) {
	case ERR_OK:
		if (k->s->data_ms == NEVER)
			k->s->data_ms = k->now.mono_ms;
		if (stream_receive_peek(s).n > 0)
			peer_ready(k->l, k->p);
		return;
	case ERR_NOMEM:
		k->drop = true;
		return;
	case ERR_LIMIT:
		refuse(k, CLOSE_FLOW_CONTROL, ERR_LIMIT);
		return;
	case ERR_STATE:
		refuse(k, CLOSE_FINAL_SIZE, ERR_STATE);
		return;
	case ERR_CONFLICT:
	case ERR_MALFORMED:
	case ERR_UNSUPPORTED:
	case ERR_AUTH:
	case ERR_REPLAY:
	case ERR_NOT_FOUND:
	case ERR_EXISTS:
	case ERR_EXPIRED:
	case ERR_BAD_KEY:
	case ERR_TOO_LONG:
	case ERR_IO:
		refuse(k, CLOSE_PROTOCOL, ERR_CONFLICT);
		return;
	}
}

/* No stream is ever cut off in the middle of a link, so a reset closes it; but
 * first it must not lie about its size. */
static void
take_reset(struct intake *k, const struct frame *f)
{
	struct stream_receive *s = stream_in(k, f->stream);

	if (!s)
		return;
	if (f->offset > s->limit)
		refuse(k, CLOSE_FLOW_CONTROL, ERR_LIMIT);
	else if (stream_receive_final(s, f->offset))
		refuse(k, CLOSE_FINAL_SIZE, ERR_STATE);
	else
		refuse(k, CLOSE_PROTOCOL, ERR_STATE);
}

static void
take_stop(struct intake *k, const struct frame *f)
{
	if (stream_out(k, f->stream))
		refuse(k, CLOSE_PROTOCOL, ERR_STATE);
}

static void
take_max_stream(struct intake *k, const struct frame *f)
{
	struct stream_send *s = stream_out(k, f->stream);

	if (s && f->value > s->limit)
		s->limit = f->value;
}

static void
take_challenge(struct intake *k, const struct frame *f)
{
	k->asked = true;
	memcpy(k->challenge, f->path, sizeof(k->challenge));
}

static void
take_candidates(struct intake *k, const struct frame *f)
{
	if (offer_take(k->l, k->p, f->data, k->now))
		refuse(k, CLOSE_FRAME_ENCODING, ERR_MALFORMED);
}

static void
take_close(struct intake *k, const struct frame *f)
{
	conn_down(k->l, k->p, f->value == CLOSE_NONE ? ERR_OK : ERR_STATE);
	k->gone = true;
}

/* Frames that speak for the link wait until HELLO has said whose it is; in a
 * pairing there is no link at all. */
static bool
needs_hello(enum frame_type type)
{
	return type != FRAME_PADDING && type != FRAME_PING &&
	       type != FRAME_ACK && type != FRAME_HELLO &&
	       type != FRAME_PATH_CHALLENGE && type != FRAME_PATH_RESPONSE &&
	       type != FRAME_CLOSE;
}

static void
take_frame(struct intake *k, const struct frame *f)
{
	struct conn *c = k->p->conn;

	switch (f->type) {
	case FRAME_PING: /* of a PTO, of a size: somebody waits */
		k->prompt = true;
		return;
	case FRAME_PADDING:
	case FRAME_MAX_STREAMS: /* one is enough for us */
		return;
	case FRAME_ACK:
		take_ack(k, f);
		return;
	case FRAME_RESET_STREAM:
		take_reset(k, f);
		return;
	case FRAME_STOP_SENDING:
		take_stop(k, f);
		return;
	case FRAME_STREAM:
		take_stream(k, f);
		return;
	case FRAME_MAX_DATA:
		if (f->value > c->credit)
			c->credit = f->value;
		return;
	case FRAME_MAX_STREAM_DATA:
		take_max_stream(k, f);
		return;
	case FRAME_PATH_CHALLENGE:
		take_challenge(k, f);
		return;
	case FRAME_PATH_RESPONSE:
		path_on_response(k->l, k->p, k->from, f->path, k->now);
		return;
	case FRAME_CLOSE:
		take_close(k, f);
		return;
	case FRAME_HELLO:
		take_hello(k, f);
		return;
	case FRAME_OBSERVED:
		(void)out_at(
		    k->l, LINK_OUT_OBSERVED, k->p->number, &f->observed);
		return;
	case FRAME_CANDIDATES:
		take_candidates(k, f);
		return;
	}
}

static void
take_frames(struct intake *k, struct span plain)
{
	struct reader r = rd_init(plain);
	unsigned count = 0;
	struct frame f;

	while (r.n > 0 && !k->drop && !k->gone && !k->breach) {
		switch (frame_decode(&r, &f)) {
		case ERR_OK:
			break;
		case ERR_LIMIT:
			refuse(k, CLOSE_PROTOCOL, ERR_LIMIT);
			return;
		case ERR_UNSUPPORTED:
			refuse(k, CLOSE_FRAME_ENCODING, ERR_UNSUPPORTED);
			return;
		case ERR_MALFORMED:
		case ERR_AUTH:
		case ERR_REPLAY:
		case ERR_NOMEM:
		case ERR_NOT_FOUND:
		case ERR_EXISTS:
		case ERR_STATE:
		case ERR_EXPIRED:
		case ERR_BAD_KEY:
		case ERR_TOO_LONG:
		case ERR_CONFLICT:
		case ERR_IO:
			refuse(k, CLOSE_FRAME_ENCODING, ERR_MALFORMED);
			return;
		}
		if (f.type != FRAME_PADDING && ++count > FRAME_PACKET_MAX) {
			refuse(k, CLOSE_PROTOCOL, ERR_LIMIT);
			return;
		}
		if (needs_hello(f.type) && !k->s->hello_seen) {
			k->drop = true;
			return;
		}
		if (needs_hello(f.type) && !k->p->conn->up) {
			refuse(k, CLOSE_PROTOCOL, ERR_STATE);
			return;
		}
		k->eliciting |= frame_eliciting(f.type);
		k->speaks |= frame_eliciting(f.type) &&
		             f.type != FRAME_PATH_CHALLENGE &&
		             f.type != FRAME_PATH_RESPONSE;
		take_frame(k, &f);
	}
}

static void
show_path(struct intake *k)
{
	struct path_packet packet = {
		.from = k->from,
		.n = k->n,
		.highest = k->highest && k->s == k->p->conn->cur,
		.speaks = k->speaks,
		.asked = k->asked ? k->challenge : NULL,
	};

	path_on_packet(k->l, k->p, &packet, k->now);
}

static void
finish(struct intake *k, uint64_t number)
{
	struct conn *c = k->p->conn;

	assert(k->gone == (c == NULL));
	assert(!k->breach || k->err != ERR_OK);
	if (k->gone)
		return;
	if (k->breach) {
		(void)out_err(k->l, LINK_OUT_REFUSED, k->p->number, k->err);
		conn_close(k->l, k->p, k->s, k->code, k->err, k->now);
		return;
	}
	if (k->drop)
		return;
	session_received(k->s, number, k->eliciting, k->now.mono_ms);
	k->s->ack_now |= k->prompt;
	/* Answered to where it came from. [RFC 9000 §8.2.2] */
	if (c->cur)
		show_path(k);
	/* The answer to HELLO in a pairing must not wait for a flush: what
	 * PAIRED makes the owner do may end the session. */
	if (c->paired)
		conn_flush(k->l, k->p, k->now);
}

bool
conn_receive(struct links *l, struct session *s, const struct endpoint *from,
    struct span datagram, struct now now)
{
	uint8_t plain[PACKET_PLAIN_MAX];
	struct intake k = {
		.l = l,
		.p = s->peer,
		.s = s,
		.from = from,
		.now = now,
		.n = datagram.n,
	};
	uint64_t number;
	bool worn = session_worn(s);

	if (session_open(s, datagram, plain, &number, &k.highest)) {
		if (session_worn(s) != worn) /* a time has come */
			peer_touch(l, k.p);
		return false;
	}
	peer_touch(l, k.p);
	if (s->state == SESSION_HALF && accept_confirmed(l, s, now))
		return true;
	if (!s->confirmed)
		accept_commit(l, k.p, s, now);
	assert(k.p->conn && s->confirmed && s->state != SESSION_HALF);
	conn_check(k.p);
	k.p->conn->heard_ms = now.mono_ms;
	k.p->conn->waiting_ms = NEVER;
	k.p->conn->rescue = false;
	k.p->conn->bytes_in += datagram.n;
	take_frames(&k, span_of(plain, datagram.n - PACKET_OVERHEAD));
	sodium_memzero(plain, datagram.n - PACKET_OVERHEAD);
	finish(&k, number);
	return true;
}
