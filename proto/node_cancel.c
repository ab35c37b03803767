/*
 * What never left can be taken back. Nobody but us knows a number of it, so
 * what follows is numbered as if it had never been, and chained anew.
 * [SPEC §7.6]
 */
#include "proto/node_int.h"

#include <assert.h>
#include <string.h>

/* What goes: the text, and all that was said about it but answers. */
static bool
goes(const struct record *r, const struct message_id *id)
{
	if (r->kind == RECORD_TEXT)
		return memcmp(&r->id, id, sizeof(*id)) == 0;
	return r->has_ref && memcmp(&r->ref, id, sizeof(*id)) == 0;
}

/* The text in the outbox, and what stands before it; NULL: it is not there. */
static struct outbox_entry *
find(const struct outbox *o, const struct message_id *id,
    struct outbox_entry **ret_before)
{
	struct outbox_entry *e = o->head;

	*ret_before = NULL;
	while (e != NULL && memcmp(&e->record.id, id, sizeof(*id)) != 0) {
		*ret_before = e;
		e = e->next;
	}
	return e != NULL && e->record.kind == RECORD_TEXT ? e : NULL;
}

static bool
has_left(const struct outbox_entry *e)
{
	while (e != NULL && !e->sent)
		e = e->next;
	return e != NULL; /* they leave in order */
}

void
chat_unnumber(struct node *n, struct peer *p)
{
	const struct outbox_entry *first = p->outbox.head;

	for (const struct outbox_entry *e = first; e != NULL; e = e->next)
		if (e->sent)
			first = e->next;
	if (first == NULL)
		return;
	p->c.sent_seq = first->record.seq - 1;
	memcpy(p->c.sent_hash, first->record.prev, sizeof(p->c.sent_hash));
	peer_dirty(n, p);
}

/* Where the numbers stand: of the last one, and its hash. */
struct count {
	uint64_t seq;
	uint8_t hash[MESSAGE_HASH_SIZE];
};

static void
number(struct node *n, const struct peer *p, struct outbox_entry *e,
    struct count *last)
{
	struct change c = { .kind = CHANGE_MESSAGE_NUMBER,
		.has_contact = true };

	assert(!e->sent && e->record.seq > last->seq + 1);
	e->record.seq = ++last->seq;
	memcpy(e->record.prev, last->hash, sizeof(last->hash));
	record_hash(&e->record, last->hash);
	c.contact = c.message.contact = p->c.id;
	c.message.id = e->record.id;
	c.message.seq = e->record.seq;
	memcpy(c.message.prev, e->record.prev, sizeof(c.message.prev));
	effect_change(n, &c);
}

enum err
node_message_cancel(struct node *n, const struct contact_id *contact,
    const struct message_id *id, struct now now)
{
	struct peer *p = peer_by_id(n, contact);
	struct outbox_entry *before = NULL, *e;
	struct count last;

	node_time(n, now);
	e = p != NULL ? find(&p->outbox, id, &before) : NULL;
	if (e == NULL)
		return ERR_NOT_FOUND;
	if (has_left(e))
		return ERR_STATE;
	last.seq = e->record.seq - 1;
	memcpy(last.hash, e->record.prev, sizeof(last.hash));
	while (e != NULL) {
		struct outbox_entry *next = e->next;

		if (goes(&e->record, id)) {
			(void)outbox_take_behind(&p->outbox, before);
			chat_end(n, p, e, MESSAGE_FAILED, REASON_CANCELLED);
		} else {
			number(n, p, e, &last);
			before = e;
		}
		e = next;
	}
	p->c.sent_seq = last.seq;
	memcpy(p->c.sent_hash, last.hash, sizeof(last.hash));
	peer_dirty(n, p);
	presence_settle(n, p);
	n->unsettled = true;
	return ERR_OK;
}
