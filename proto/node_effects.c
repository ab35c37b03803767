/*
 * Effects of a node: changes first, then the records that became dirty, then
 * events, then datagrams. So whatever a datagram or an event depends on was
 * popped before it. See THE LAW in node.h.
 */
#include "proto/node_int.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for one more element of `size` bytes. False: no memory. */
static bool
grow(void **p, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : 16;
	void *q;

	if (n < *cap)
		return true;
	q = realloc(*p, more * size);
	if (q == NULL)
		return false;
	*p = q;
	*cap = more;
	return true;
}

/* Copies s behind what is there; *at says where. */
static bool
arena_put(struct arena *a, struct span s, size_t *at)
{
	*at = a->n;
	if (s.n > a->cap - a->n) {
		size_t cap = a->cap ? a->cap : 4096;
		uint8_t *p;

		while (cap - a->n < s.n)
			cap *= 2;
		p = malloc(cap);
		if (p == NULL)
			return false;
		if (a->n > 0)
			memcpy(p, a->p, a->n);
		if (a->p != NULL)
			sodium_memzero(a->p, a->n);
		free(a->p);
		a->p = p;
		a->cap = cap;
	}
	if (s.n > 0)
		memcpy(a->p + a->n, s.p, s.n);
	a->n += s.n;
	return true;
}

static void
arena_reset(struct arena *a)
{
	if (a->n > 0)
		sodium_memzero(a->p, a->n);
	a->n = 0;
}

void
effects_clear(struct node *n)
{
	arena_reset(&n->arena);
	arena_reset(&n->wire);
	free(n->arena.p);
	free(n->wire.p);
	free(n->changes);
	free(n->events);
	free(n->sends);
}

void
effect_change(struct node *n, const struct change *c)
{
	struct queued_change *q;
	void *p = n->changes;

	if (!grow(&p, n->n_changes, &n->changes_cap, sizeof(*q)))
		goto fail;
	n->changes = p;
	q = &n->changes[n->n_changes];
	q->change = *c;
	if (!arena_put(&n->arena, c->record, &q->at) ||
	    !arena_put(&n->arena, c->message.text, &q->text_at) ||
	    !arena_put(&n->arena, c->note, &q->note_at))
		goto fail;
	n->n_changes++;
	return;
fail:
	n->failed = true;
}

size_t
effect_last(const struct node *n)
{
	return n->n_changes > 0 ? n->n_changes - 1 : 0;
}

bool
effect_sent(struct node *n, size_t at, const struct message_id *id)
{
	struct change *c;

	if (at < n->changes_at || at >= n->n_changes)
		return false;
	c = &n->changes[at].change;
	if (c->kind != CHANGE_MESSAGE ||
	    c->message.state == MESSAGE_RECEIVED || /* they choose its id */
	    memcmp(&c->message.id, id, sizeof(*id)) != 0)
		return false; /* its own was popped, and this is another one */
	assert(c->message.state == MESSAGE_QUEUED);
	c->message.state = MESSAGE_SENT;
	return true;
}

static void
queue_event(struct node *n, const struct queued_event *e)
{
	void *p = n->events;

	if (!grow(&p, n->n_events, &n->events_cap, sizeof(*e))) {
		n->failed = true;
		return;
	}
	n->events = p;
	n->events[n->n_events++] = *e;
}

void
effect_event(struct node *n, enum node_event_kind kind, const struct peer *p,
    const struct endpoint *e, enum err err)
{
	struct queued_event q = { .kind = kind, .err = err };

	if (p != NULL)
		q.contact = p->c.id;
	if (e != NULL)
		q.endpoint = *e;
	queue_event(n, &q);
}

void
effect_pong(struct node *n, const struct peer *p, uint64_t rtt_ms)
{
	struct queued_event q = { .kind = NODE_PONG, .rtt_ms = rtt_ms };

	q.contact = p->c.id;
	queue_event(n, &q);
}

void
effect_paired(
    struct node *n, const struct peer *p, const struct message_id *invite)
{
	struct queued_event q = { .kind = NODE_CONTACT_PAIRED };

	q.contact = p->c.id;
	q.invite = *invite;
	queue_event(n, &q);
}

/* A place at the end; NULL: no memory. */
static struct queued_send *
add_send(struct node *n)
{
	void *p = n->sends;

	if (!grow(&p, n->n_sends, &n->sends_cap, sizeof(*n->sends)))
		return NULL;
	n->sends = p;
	return &n->sends[n->n_sends];
}

static void
queue_send(struct node *n, const struct queued_send *send, struct span data)
{
	struct queued_send *s = add_send(n);

	if (s == NULL)
		return; /* as if the network had lost it */
	*s = *send;
	s->n = data.n;
	if (arena_put(&n->wire, data, &s->at))
		n->n_sends++;
}

void
effect_send_way(struct node *n, const struct way *way, struct span data)
{
	struct queued_send s = { .kind = EFFECT_SEND, .to = way->to };

	assert(way->socket <= NODE_SOCKETS_MAX);
	s.hops = way->hops;
	s.socket = (uint8_t)way->socket;
	nat_sent(&n->nat[endpoint_family(&way->to)], &way->to, way->socket,
	    n->now.mono_ms);
	if (way->socket == 0)
		nets_sent(n, &way->to);
	queue_send(n, &s, data);
}

void
effect_opener(struct node *n, const struct way *way)
{
	uint8_t opener[OPENER_SIZE];

	do
		rng_fill(&n->rng, opener, sizeof(opener));
	while (opener[0] == 'd'); /* not to pass for KRPC */
	effect_send_way(n, way, span_of(opener, sizeof(opener)));
}

void
effect_send(struct node *n, const struct endpoint *to, struct span data)
{
	const struct way way = { .to = *to };

	effect_send_way(n, &way, data);
}

void
effect_lan(struct node *n, struct span data)
{
	const struct queued_send s = { .kind = EFFECT_LAN };

	queue_send(n, &s, data);
}

void
effect_socket(
    struct node *n, enum effect_kind kind, unsigned socket, enum family f)
{
	struct queued_send *s = add_send(n);

	assert(kind == EFFECT_SOCKET_OPEN || kind == EFFECT_SOCKET_CLOSE);
	assert(socket > 0 && socket <= NODE_SOCKETS_MAX);
	if (s == NULL) { /* its owner would know another list than we */
		n->failed = true;
		return;
	}
	*s = (struct queued_send){ .kind = kind, .family = f };
	s->socket = (uint8_t)socket;
	n->n_sends++;
}

void
peer_dirty(struct node *n, struct peer *p)
{
	if (p->dirty)
		return;
	p->dirty = true;
	p->dirty_next = n->dirty;
	n->dirty = p;
}

/* It has gone where it is kept. */
static void
forget_record(struct node *n)
{
	sodium_memzero(n->record, n->n_record);
	n->n_record = 0;
}

/* The contact's change; its record goes to n->record. */
static void
peer_change(struct node *n, const struct peer *p, struct change *ret)
{
	struct writer w = wr_init(n->record, sizeof(n->record));

	contact_encode(&p->c, &w);
	assert(!w.bad && w.n <= CONTACT_RECORD_MAX);
	n->n_record = w.n;
	*ret = (struct change){
		.kind = CHANGE_CONTACT,
		.contact = p->c.id,
		.has_contact = true,
		.contact_state = peer_state(p),
		.id_pk = p->c.pk,
		.record = wr_span_of(&w),
	};
}

void
peer_store(struct node *n, struct peer *p)
{
	struct change c;

	peer_change(n, p, &c);
	effect_change(n, &c);
	forget_record(n);
}

void
invite_store(struct node *n, const struct host *h)
{
	struct writer w = wr_init(n->record, sizeof(n->record));
	struct change c = { .kind = CHANGE_INVITE };

	invite_encode(&h->invite, &w);
	assert(!w.bad);
	n->n_record = w.n;
	c.invite = h->invite.id;
	c.expires_s = h->invite.expires_s;
	c.record = wr_span_of(&w);
	if (h->invite.used) {
		c.contact = h->invite.contact;
		c.has_contact = true;
	}
	effect_change(n, &c);
	forget_record(n);
}

/* ---- popping ---- */

static bool
pop_change(struct node *n, struct effect *ret)
{
	const struct queued_change *q;
	struct change *c = &ret->change;

	if (n->changes_at == n->n_changes) {
		if (n->n_changes > 0)
			arena_reset(&n->arena);
		n->n_changes = n->changes_at = 0;
		return false;
	}
	q = &n->changes[n->changes_at++];
	ret->kind = EFFECT_STORE;
	*c = q->change;
	c->record.p = c->record.n ? n->arena.p + q->at : NULL;
	c->message.text.p = c->message.text.n ? n->arena.p + q->text_at : NULL;
	c->note.p = c->note.n ? n->arena.p + q->note_at : NULL;
	return true;
}

static bool
pop_dirty(struct node *n, struct effect *ret)
{
	struct peer *p = n->dirty;
	struct writer w;

	if (n->self_dirty) {
		n->self_dirty = false;
		w = wr_init(n->record, sizeof(n->record));
		self_encode(&n->self, &w);
		assert(!w.bad);
		n->n_record = w.n;
		ret->kind = EFFECT_STORE;
		ret->change = (struct change){ .kind = CHANGE_SELF };
		ret->change.record = wr_span_of(&w);
		return true;
	}
	if (p == NULL)
		return false;
	n->dirty = p->dirty_next;
	p->dirty_next = NULL;
	p->dirty = false;
	ret->kind = EFFECT_STORE;
	peer_change(n, p, &ret->change);
	return true;
}

static bool
pop_event(struct node *n, struct effect *ret)
{
	const struct queued_event *q;

	if (n->events_at == n->n_events) {
		n->n_events = n->events_at = 0;
		return false;
	}
	q = &n->events[n->events_at++];
	ret->kind = EFFECT_EVENT;
	ret->event = q->kind;
	ret->contact = q->contact;
	ret->invite = q->invite;
	ret->endpoint = q->endpoint;
	ret->err = q->err;
	ret->rtt_ms = q->rtt_ms;
	return true;
}

static bool
pop_send(struct node *n, struct effect *ret)
{
	const struct queued_send *q;

	if (n->sends_at == n->n_sends) {
		n->n_sends = n->sends_at = 0;
		n->wire.n = 0; /* ciphertext: nothing to wipe */
		return false;
	}
	q = &n->sends[n->sends_at++];
	ret->kind = q->kind;
	ret->to = q->to;
	ret->hops = q->hops;
	ret->socket = q->socket;
	ret->family = q->family;
	if (q->kind != EFFECT_SEND && q->kind != EFFECT_LAN)
		return true;
	ret->data = span_of(n->wire.p + q->at, q->n);
	n->udp_out++;
	n->udp_bytes_out += q->n;
	return true;
}

bool
node_next_effect(struct node *n, struct effect *ret)
{
	memset(ret, 0, sizeof(*ret));
	forget_record(n);
	node_settle(n);
	return pop_change(n, ret) || pop_dirty(n, ret) || pop_event(n, ret) ||
	       pop_send(n, ret);
}
