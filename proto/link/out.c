/* A linked list: an output is rare beside the packet that causes it. */
#include "proto/link/out.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct out *
out_new(enum link_out_kind kind, uint32_t peer, size_t n)
{
	struct out *o;

	assert(n <= PACKET_PLAIN_MAX + PACKET_OVERHEAD);
	o = calloc(1, sizeof(*o) + n);
	if (!o)
		return NULL;
	o->o.kind = kind;
	o->o.peer = peer;
	o->o.data.n = n;
	return o;
}

void
out_push(struct links *l, struct out *o)
{
	assert(o->o.kind != 0 && !o->next);
	if (l->out_last)
		l->out_last->next = o;
	else
		l->out_first = o;
	l->out_last = o;
}

bool
out_simple(struct links *l, enum link_out_kind kind, uint32_t peer)
{
	struct out *o = out_new(kind, peer, 0);

	if (!o)
		return false;
	out_push(l, o);
	return true;
}

bool
out_err(struct links *l, enum link_out_kind kind, uint32_t peer, enum err err)
{
	struct out *o = out_new(kind, peer, 0);

	if (!o)
		return false;
	o->o.err = err;
	out_push(l, o);
	return true;
}

bool
out_at(struct links *l, enum link_out_kind kind, uint32_t peer,
    const struct endpoint *e)
{
	struct out *o = out_new(kind, peer, 0);

	if (!o)
		return false;
	o->o.endpoint = *e;
	out_push(l, o);
	return true;
}

bool
out_send(struct links *l, const struct endpoint *to, uint8_t hops,
    struct span datagram)
{
	struct out *o = out_new(LINK_OUT_SEND, 0, datagram.n);

	assert(datagram.n > 0);
	if (!o)
		return false;
	o->o.endpoint = *to;
	o->o.hops = hops;
	memcpy(o->bytes, datagram.p, datagram.n);
	l->stats.n_out++;
	l->stats.bytes_out += datagram.n;
	out_push(l, o);
	return true;
}

bool
out_state(struct links *l, const struct peer *p)
{
	struct out *o = out_new(LINK_OUT_STATE, p->number, 0);

	if (!o)
		return false;
	assert(p->cfg.role == LINK_CONTACT);
	o->o.ratchet = p->cfg.ratchet;
	o->o.last_ts_ms = p->cfg.last_ts_ms;
	out_push(l, o);
	return true;
}

bool
out_caller(struct links *l, const struct peer *p, const struct static_pk *s,
    uint64_t ts_ms)
{
	struct out *o = out_new(LINK_OUT_CALLER, p->number, 0);

	if (!o)
		return false;
	assert(p->cfg.role == LINK_INVITER);
	o->o.s = *s;
	o->o.last_ts_ms = ts_ms;
	out_push(l, o);
	return true;
}

bool
out_pop(struct links *l, struct link_out *ret)
{
	struct out *o = l->out_first;

	assert(!l->out_lent);
	if (!o)
		return false;
	assert(o->o.kind != 0 && l->out_last);
	l->out_first = o->next;
	if (!l->out_first)
		l->out_last = NULL;
	o->next = NULL;
	*ret = o->o;
	ret->data = span_of(o->bytes, o->o.data.n);
	l->out_lent = o;
	return true;
}

static void
out_free(struct out *o)
{
	sodium_memzero(&o->o, sizeof(o->o)); /* roots, ratchets */
	free(o);
}

void
out_release(struct links *l)
{
	if (l->out_lent)
		out_free(l->out_lent);
	l->out_lent = NULL;
}

void
out_clear(struct links *l)
{
	struct out *o = l->out_first;

	out_release(l);
	while (o) {
		struct out *next = o->next;

		out_free(o);
		o = next;
	}
	l->out_first = NULL;
	l->out_last = NULL;
}
