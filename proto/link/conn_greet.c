/*
 * HELLO came: a session carries the link from now on, and the link is up, or
 * the pair has met.
 */
#include "proto/link/attempt.h"
#include "proto/link/conn.h"
#include "proto/link/out.h"
#include "proto/link/path.h"
#include "proto/link/peer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Where the handshake of the session in use went: there a link comes up; one
 * that is up has a path already. */
static void
come_from(
    struct links *l, struct peer *p, const struct session *s, struct now now)
{
	struct conn *c = p->conn;

	address_answered(p, &s->from, now.mono_ms);
	if (c->up) {
		path_on_handshake(l, p, &s->from, now);
		return;
	}
	path_begin(l, c, &s->from, now);
	conn_new_mtu(c, true);
}

/* s carries the link from now on, unless a newer one does. */
static void
make_current(struct links *l, struct peer *p, struct session *s, struct now now)
{
	struct conn *c = p->conn;
	struct session *old = c->cur;

	assert(s->hello_seen && s != old);
	p->n_ignored = 0;
	s->state = SESSION_LIVE;
	s->deadline_ms = NEVER;
	if (old && !session_is_newer(s, old)) {
		old = s;
	} else {
		c->cur = s;
		c->renew_by_ms = NEVER;
		c->observed_due = true;
		come_from(l, p, s, now);
		c->rescue = false;
	}
	if (!old)
		return;
	old->state = SESSION_OLD;
	old->deadline_ms = now.mono_ms + SESSION_OLD_MS;
	c->rekeys++;
}

/* First words left under another session than the one that comes up: if
 * somebody else took them, he is sure to say so, or to give up, until then.
 * What was acknowledged by who had not said who he is goes out again. */
static void
settle_words(struct conn *c, const struct session *s, struct now now)
{
	if (c->words)
		conn_first_words(c, s);
	c->stray_ms =
	    c->stray ? now.mono_ms + LINK_DEAD_MS + SESSION_HALF_MS : 0;
	c->stray = false;
	c->words = false;
	if (c->unclaimed)
		stream_send_lost(
		    &c->send, (struct range){ c->send.una, c->send.next });
	c->unclaimed = false;
}

static void
tell_up(struct links *l, struct peer *p, struct out *up, struct out *down,
    const struct link_hello *hello)
{
	struct conn *c = p->conn;

	assert(!c->up && !c->out_down);
	up->o.endpoint = c->path;
	up->o.hello = *hello;
	up->o.early = c->early;
	out_push(l, up);
	c->out_down = down;
	c->up = true;
	c->early = false;
	l->n_up++;
}

/* Another instance under s than that of the link. It was said late, by a
 * process that is no more, if the link has a younger session: who is there
 * would go on with streams that we had begun anew. And if he may have taken our
 * first words already, none can begin at 0 under the instance that we named. */
static enum err
may_start_over(const struct conn *c, const struct session *s, struct now now)
{
	if (s->born_ms < c->cur->born_ms)
		return ERR_EXPIRED;
	return now.mono_ms < c->stray_ms ? ERR_CONFLICT : ERR_OK;
}

static enum err
greeted_contact(struct links *l, struct peer *p, struct session *s,
    const struct link_hello *hello, const uint8_t instance[HELLO_INSTANCE_SIZE],
    struct now now)
{
	struct conn *c = p->conn;
	bool same =
	    c->up && memcmp(c->instance, instance, HELLO_INSTANCE_SIZE) == 0;
	struct out *up = NULL, *down = NULL;

	if (!same && c->up) {
		enum err err = may_start_over(c, s, now);

		if (err == ERR_EXPIRED)
			s->deadline_ms = now.mono_ms; /* nobody is there */
		if (err)
			return err;
	}
	up = out_new(same ? LINK_OUT_HELLO : LINK_OUT_UP, p->number);
	if (!same)
		down = out_new(LINK_OUT_DOWN, p->number);
	if (!up || (!same && !down)) {
		free(up);
		free(down);
		return ERR_NOMEM;
	}
	if (!same && c->up)
		conn_start_over(l, p, s);
	s->hello_seen = true;
	make_current(l, p, s, now);
	if (!same)
		path_upgrade(l, p, now);
	attempt_free(l, p); /* whatever it was for: we have met */
	if (same) {
		up->o.hello = *hello;
		out_push(l, up);
		return ERR_OK;
	}
	memcpy(c->instance, instance, HELLO_INSTANCE_SIZE);
	c->up_ms = now.mono_ms;
	settle_words(c, s, now);
	tell_up(l, p, up, down, hello);
	return ERR_OK;
}

/* The only thing that a pairing session carries was said. */
static enum err
greeted_pairing(struct links *l, struct peer *p, struct session *s,
    const struct link_hello *hello, struct now now)
{
	struct conn *c = p->conn;
	struct out *o = out_new(LINK_OUT_PAIRED, p->number);

	if (!o)
		return ERR_NOMEM;
	o->o.endpoint = s->from;
	o->o.root = s->keys.root_next;
	o->o.hello = *hello;
	if (p->cfg.role == LINK_INVITER && p->cfg.n_s == 0) {
		/* Nobody else is taken from now on. */
		p->cfg.s[0] = s->s;
		p->cfg.n_s = 1;
	}
	out_push(l, o);
	s->hello_seen = true;
	s->deadline_ms = now.mono_ms + LINK_PAIRED_MS;
	c->paired = true;
	/* A second answer, to another message 1 of ours, would give the
	 * inviter a root that we do not take any more. */
	if (p->cfg.role == LINK_INVITED)
		attempt_free(l, p);
	return ERR_OK;
}

enum err
conn_greeted(struct links *l, struct peer *p, struct session *s,
    const struct link_hello *hello, const uint8_t instance[HELLO_INSTANCE_SIZE],
    struct now now)
{
	enum err err;

	assert(s->state == SESSION_OPEN && !s->hello_seen && s->confirmed);
	if (p->cfg.role == LINK_CONTACT)
		err = greeted_contact(l, p, s, hello, instance, now);
	else
		err = greeted_pairing(l, p, s, hello, now);
	if (err)
		return err;
	if (!s->initiator && !s->hello_acked)
		s->hello_due = true;
	peer_touch(l, p);
	return ERR_OK;
}
