#include "daemon/waiting.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { WAITING_MAX = 4096 }; /* of a turn; more are dropped */

struct waiting {
	struct waiting *next;
	enum { EPHEMERAL = 0, MOVE, PONG } kind;
	bool any; /* MOVE: of many messages */
	struct message_id id;
	enum message_state state;
	struct contact_id contact; /* PONG */
	uint64_t rtt_ms;
	struct event_row event;
	uint8_t body[]; /* of the event */
};

void
waiting_init(struct waiting_list *l)
{
	*l = (struct waiting_list){ .end = &l->first };
}

void
waiting_drop(struct waiting_list *l)
{
	while (l->first) {
		struct waiting *w = l->first;

		l->first = w->next;
		free(w);
	}
	waiting_init(l);
}

static struct waiting *
add(struct waiting_list *l, size_t body_n)
{
	struct waiting *w;

	if (l->n >= WAITING_MAX)
		return NULL;
	w = calloc(1, sizeof(*w) + body_n);
	if (!w)
		return NULL;
	*l->end = w;
	l->end = &w->next;
	l->n++;
	return w;
}

void
waiting_message_moved(
    struct daemon *d, const struct message_id *id, enum message_state state)
{
	struct waiting *w = add(&d->waiting, 0);

	if (!w) /* who waits finds it in the store when his time is out */
		return;
	w->kind = MOVE;
	w->any = id == NULL;
	if (id)
		w->id = *id;
	w->state = state;
}

void
waiting_pong(
    struct daemon *d, const struct contact_id *contact, uint64_t rtt_ms)
{
	struct waiting *w = add(&d->waiting, 0);

	if (!w) /* who waits may ask again */
		return;
	w->kind = PONG;
	w->contact = *contact;
	w->rtt_ms = rtt_ms;
}

void
daemon_ephemeral(struct daemon *d, enum event_type type,
    const struct contact_id *conv, struct span body)
{
	struct waiting *w = add(&d->waiting, body.n);

	assert(type > EVENT_DURABLE_MAX);
	if (!w)
		return;
	memcpy(w->body, body.p, body.n);
	w->event.ts_ms = d->now.wall_ms;
	w->event.type = type;
	w->event.has_conv = conv != NULL;
	if (conv)
		w->event.conv = *conv;
	w->event.body = span_of(w->body, body.n);
}

static void
tell(struct daemon *d, const struct waiting *w)
{
	const struct daemon_hooks *h = &d->hooks;

	switch (w->kind) {
	case EPHEMERAL:
		if (h->ephemeral)
			h->ephemeral(d, &w->event);
		return;
	case MOVE:
		if (h->message_moved)
			h->message_moved(d, w->any ? NULL : &w->id, w->state);
		return;
	case PONG:
		if (h->pong)
			h->pong(d, &w->contact, w->rtt_ms);
		return;
	}
}

void
waiting_tell(struct daemon *d)
{
	struct waiting *list = d->waiting.first;

	waiting_init(&d->waiting);
	while (list) {
		struct waiting *w = list;

		list = w->next;
		tell(d, w);
		free(w);
	}
}
