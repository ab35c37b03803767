/* A linked list: an output is rare beside the packet that causes it. */
#include "proto/link/out.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct out *
out_new(enum link_out_kind kind, uint32_t peer)
{
	struct out *o = calloc(1, sizeof(*o));

	assert(kind != LINK_OUT_SEND);
	if (!o)
		return NULL;
	o->node.out = o;
	o->o.kind = kind;
	o->o.peer = peer;
	return o;
}

static void
push(struct links *l, struct out_node *node)
{
	assert(!node->next);
	if (l->out_last)
		l->out_last->next = node;
	else
		l->out_first = node;
	l->out_last = node;
}

void
out_push(struct links *l, struct out *o)
{
	assert(o->o.kind != 0 && o->node.out == o);
	push(l, &o->node);
}

bool
out_simple(struct links *l, enum link_out_kind kind, uint32_t peer)
{
	struct out *o = out_new(kind, peer);

	if (!o)
		return false;
	out_push(l, o);
	return true;
}

bool
out_denied(struct links *l, uint32_t peer, bool proven)
{
	struct out *o = out_new(LINK_OUT_DENIED, peer);

	if (!o)
		return false;
	o->o.proven = proven;
	out_push(l, o);
	return true;
}

bool
out_pong(struct links *l, uint32_t peer, uint64_t rtt_ms)
{
	struct out *o = out_new(LINK_OUT_PONG, peer);

	if (!o)
		return false;
	o->o.rtt_ms = rtt_ms;
	out_push(l, o);
	return true;
}

bool
out_err(struct links *l, enum link_out_kind kind, uint32_t peer, enum err err)
{
	struct out *o = out_new(kind, peer);

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
	struct out *o = out_new(kind, peer);

	if (!o)
		return false;
	o->o.endpoint = *e;
	out_push(l, o);
	return true;
}

/* ---- datagrams ---- */

uint8_t *
out_draft(struct links *l)
{
	struct out_node *blank = l->blank;

	if (l->draft)
		return l->draft->bytes;
	if (blank) {
		l->blank = blank->next;
		l->n_blank--;
		l->draft = blank->datagram;
	} else {
		l->draft = malloc(sizeof(*l->draft));
	}
	if (!l->draft)
		return NULL;
	l->draft->node = (struct out_node){ .datagram = l->draft };
	return l->draft->bytes;
}

void
out_send_draft(
    struct links *l, const struct endpoint *to, uint8_t hops, size_t n)
{
	struct datagram *d = l->draft;

	assert(d && n > 0 && n <= sizeof(d->bytes));
	d->to = *to;
	d->hops = hops;
	d->n = (uint16_t)n;
	l->draft = NULL;
	l->stats.n_out++;
	l->stats.bytes_out += n;
	push(l, &d->node);
}

bool
out_send(struct links *l, const struct endpoint *to, uint8_t hops,
    struct span datagram)
{
	uint8_t *draft = out_draft(l);

	assert(datagram.n <= LINK_UDP_MAX);
	if (!draft)
		return false;
	memcpy(draft, datagram.p, datagram.n);
	out_send_draft(l, to, hops, datagram.n);
	return true;
}

/* ---- the others ---- */

bool
out_state(struct links *l, const struct peer *p)
{
	struct out *o = out_new(LINK_OUT_STATE, p->number);

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
	struct out *o = out_new(LINK_OUT_CALLER, p->number);

	if (!o)
		return false;
	assert(p->cfg.role == LINK_INVITER);
	o->o.s = *s;
	o->o.last_ts_ms = ts_ms;
	out_push(l, o);
	return true;
}

/* ---- popping ---- */

/* Only what a SEND has is set: it is popped most. */
static void
show_datagram(const struct datagram *d, struct link_out *ret)
{
	ret->kind = LINK_OUT_SEND;
	ret->peer = 0;
	ret->endpoint = d->to;
	ret->data = span_of(d->bytes, d->n);
	ret->hops = d->hops;
}

bool
out_pop(struct links *l, struct link_out *ret)
{
	struct out_node *node = l->out_first;

	assert(!l->out_lent);
	if (!node)
		return false;
	assert(l->out_last);
	l->out_first = node->next;
	if (!l->out_first)
		l->out_last = NULL;
	node->next = NULL;
	if (node->datagram)
		show_datagram(node->datagram, ret);
	else
		*ret = node->out->o;
	l->out_lent = node;
	return true;
}

static void
release(struct links *l, struct out_node *node)
{
	if (node->out) {
		sodium_memzero(&node->out->o, sizeof(node->out->o)); /* roots */
		free(node->out);
		return;
	}
	if (l->n_blank == LINK_BLANK_MAX) {
		free(node->datagram);
		return;
	}
	node->next = l->blank;
	l->blank = node;
	l->n_blank++;
}

void
out_release(struct links *l)
{
	if (l->out_lent)
		release(l, l->out_lent);
	l->out_lent = NULL;
}

static void
free_blank(struct out_node *node)
{
	while (node) {
		struct out_node *next = node->next;

		free(node->datagram);
		node = next;
	}
}

void
out_clear(struct links *l)
{
	struct out_node *node = l->out_first;

	out_release(l);
	while (node) {
		struct out_node *next = node->next;

		release(l, node);
		node = next;
	}
	l->out_first = NULL;
	l->out_last = NULL;
	free_blank(l->blank);
	l->blank = NULL;
	l->n_blank = 0;
	free(l->draft);
	l->draft = NULL;
}
