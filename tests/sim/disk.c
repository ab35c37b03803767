#include "tests/sim/disk.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static bool
is_same(const void *a, const void *b)
{
	return memcmp(a, b, 16) == 0;
}

/* One more zeroed element at the end of an array that grows by one. */
static void *
grow(void **array, size_t *n, size_t size)
{
	uint8_t *p = (uint8_t *)realloc(*array, (*n + 1) * size);

	assert(p);
	memset(p + *n * size, 0, size);
	*array = p;
	return p + (*n)++ * size;
}

void
disk_rollback(struct disk *d)
{
	for (size_t i = 0; i < d->n_pending; i++) {
		struct disk_change *c = &d->pending[i];

		if (c->bytes)
			sodium_memzero(c->bytes, c->c.record.n);
		free(c->bytes);
	}
	d->n_pending = 0;
}

void
disk_clear(struct disk *d)
{
	disk_rollback(d);
	for (size_t i = 0; i < d->n_messages; i++) {
		uint8_t *text;

		memcpy(&text, &d->messages[i].m.text.p, sizeof(text));
		free(text);
	}
	if (d->contacts)
		sodium_memzero(
		    d->contacts, d->n_contacts * sizeof(*d->contacts));
	free(d->contacts);
	free(d->invites);
	free(d->messages);
	ids_free(&d->ids);
	free(d->pending);
	*d = (struct disk){ 0 };
}

/* Copies what the span borrows; an empty one gets a byte to point at. */
static struct span
own(struct disk_change *to, struct span from)
{
	to->bytes = (uint8_t *)malloc(from.n + 1);
	assert(to->bytes);
	if (from.n)
		memcpy(to->bytes, from.p, from.n);
	return span_of(to->bytes, from.n);
}

void
disk_store(struct disk *d, const struct change *c)
{
	struct disk_change *to;

	if (d->n_pending == d->cap_pending) {
		d->cap_pending = d->cap_pending ? 2 * d->cap_pending : 16;
		d->pending = (struct disk_change *)realloc(
		    d->pending, d->cap_pending * sizeof(*d->pending));
		assert(d->pending);
	}
	to = &d->pending[d->n_pending++];
	to->c = *c;
	to->bytes = NULL;
	if (c->kind == CHANGE_MESSAGE)
		to->c.message.text = own(to, c->message.text);
	else if (c->kind == CHANGE_SELF || c->kind == CHANGE_CONTACT ||
	         c->kind == CHANGE_INVITE)
		to->c.record = own(to, c->record);
	if (c->kind == CHANGE_DHT && c->n_nodes <= DISK_DHT_MAX && c->n_nodes)
		memcpy(to->nodes, c->nodes, c->n_nodes * sizeof(*c->nodes));
}

struct disk_contact *
disk_contact(const struct disk *d, const struct contact_id *id)
{
	for (size_t i = 0; i < d->n_contacts; i++)
		if (is_same(&d->contacts[i].id, id))
			return &d->contacts[i];
	return NULL;
}

struct disk_contact *
disk_contact_of(const struct disk *d, const struct id_pk *pk)
{
	for (size_t i = 0; i < d->n_contacts; i++)
		if (!d->contacts[i].gone &&
		    memcmp(&d->contacts[i].pk, pk, sizeof(*pk)) == 0)
			return &d->contacts[i];
	return NULL;
}

struct disk_invite *
disk_invite(const struct disk *d, const struct message_id *id)
{
	for (size_t i = 0; i < d->n_invites; i++)
		if (is_same(&d->invites[i].id, id))
			return &d->invites[i];
	return NULL;
}

/* The newest first: what is looked for was mostly inserted just now. */
struct disk_message *
disk_message(const struct disk *d, const struct contact_id *contact,
    const struct message_id *id)
{
	ptrdiff_t at = (ptrdiff_t)d->n_messages;

	while ((at = ids_find(&d->ids, (size_t)at, id->b)) != IDS_NONE)
		if (is_same(&d->messages[at].m.id, id) &&
		    is_same(&d->messages[at].m.contact, contact))
			return &d->messages[at];
	return NULL;
}

static enum disk_result
bad(struct disk *d, const char *why)
{
	d->why = why;
	return DISK_BAD;
}

static enum disk_result
set_record(struct disk *d, struct disk_record *to, struct span from)
{
	if (from.n == 0 || from.n > NODE_RECORD_MAX)
		return bad(d, "a record is empty or too long");
	memset(to->b, 0, sizeof(to->b));
	memcpy(to->b, from.p, from.n);
	to->n = from.n;
	return DISK_DONE;
}

static enum disk_result
apply_contact(struct disk *d, const struct change *c)
{
	struct disk_contact *k = disk_contact(d, &c->contact);

	if (k && k->gone)
		return bad(d, "a contact is stored that is gone");
	if (k && memcmp(&k->pk, &c->id_pk, sizeof(k->pk)) != 0)
		return bad(d, "a contact changes its ID");
	if (k && k->state == CONTACT_READY &&
	    c->contact_state == CONTACT_WAITING)
		return bad(d, "a ready contact waits again");
	if (!k && disk_contact_of(d, &c->id_pk))
		return bad(d, "two contacts have one ID");
	if (!k)
		k = (struct disk_contact *)grow(
		    (void **)&d->contacts, &d->n_contacts, sizeof(*k));
	k->id = c->contact;
	k->pk = c->id_pk;
	k->state = c->contact_state;
	if (k->state < CONTACT_WAITING || k->state > CONTACT_BLOCKED)
		return bad(d, "a contact has no state");
	return set_record(d, &k->record, c->record);
}

static enum disk_result
apply_contact_gone(struct disk *d, const struct change *c)
{
	struct disk_contact *k = disk_contact(d, &c->contact);

	if (!k || k->gone)
		return bad(d, "an unknown contact is removed");
	k->gone = true;
	memset(&k->record, 0, sizeof(k->record));
	return DISK_DONE;
}

static enum disk_result
apply_invite(struct disk *d, const struct change *c)
{
	struct disk_invite *v = disk_invite(d, &c->invite);

	if (v && v->gone)
		return bad(d, "an invitation is stored that is gone");
	if (!v)
		v = (struct disk_invite *)grow(
		    (void **)&d->invites, &d->n_invites, sizeof(*v));
	if (v->used && (!c->has_contact || !is_same(&v->contact, &c->contact)))
		return bad(d, "a used invitation changes hands");
	if (c->has_contact && !disk_contact(d, &c->contact))
		return bad(d, "an invitation was used by nobody we know");
	v->id = c->invite;
	v->used = c->has_contact;
	v->contact = c->contact;
	v->expires_s = c->expires_s;
	return set_record(d, &v->record, c->record);
}

static enum disk_result
apply_invite_gone(struct disk *d, const struct change *c)
{
	struct disk_invite *v = disk_invite(d, &c->invite);

	if (!v || v->gone)
		return bad(d, "an unknown invitation is removed");
	if (v->used != c->has_contact ||
	    (v->used && !is_same(&v->contact, &c->contact)))
		return bad(d, "an invitation ends otherwise than it was used");
	v->gone = true;
	return DISK_DONE;
}

static enum disk_result
insert_message(struct disk *d, struct disk_change *c)
{
	if (d->n_messages == d->cap_messages) {
		d->cap_messages = d->cap_messages ? 2 * d->cap_messages : 64;
		d->messages = (struct disk_message *)realloc(
		    d->messages, d->cap_messages * sizeof(*d->messages));
		assert(d->messages);
	}
	ids_set(&d->ids, d->n_messages, c->c.message.id.b);
	d->messages[d->n_messages++].m = c->c.message;
	c->bytes = NULL; /* the row owns the text now */
	return DISK_DONE;
}

/* What has failed is sent again: the row goes to the end. */
static enum disk_result
move_message(struct disk *d, struct disk_message *known, struct disk_change *c)
{
	size_t at = (size_t)(known - d->messages);
	uint8_t *text;

	if (!c->c.again || known->m.state != MESSAGE_FAILED)
		return bad(d, "a message of ours is stored twice");
	if (!span_eq(known->m.text, c->c.message.text))
		return bad(d, "a message says something else when sent again");
	memcpy(&text, &known->m.text.p, sizeof(text));
	free(text);
	memmove(known, known + 1, (d->n_messages - at - 1) * sizeof(*known));
	ids_remove(&d->ids, d->n_messages, at);
	d->n_messages--;
	return insert_message(d, c);
}

static enum disk_result
apply_message(struct disk *d, struct disk_change *c)
{
	const struct node_message *m = &c->c.message;
	const struct disk_contact *k = disk_contact(d, &m->contact);
	struct disk_message *known;

	if (!k || k->gone)
		return bad(d, "a message of an unknown contact is stored");
	if (m->text.n > NODE_TEXT_MAX ||
	    (m->kind >= MESSAGE_EDIT && m->kind <= MESSAGE_REACTION &&
	        !m->has_ref))
		return bad(d, "a message is about nothing or is too long");
	if (m->state != MESSAGE_RECEIVED && m->state != MESSAGE_QUEUED &&
	    m->state != MESSAGE_SENT)
		return bad(d, "a new message is not received, queued or sent");
	known = disk_message(d, &m->contact, &m->id);
	if (known && m->state != MESSAGE_RECEIVED)
		return move_message(d, known, c);
	if (!known)
		return insert_message(d, c);
	if (span_eq(known->m.text, m->text))
		return DISK_KNOWN;
	return DISK_CONFLICT;
}

static void *
copy_of(const void *p, size_t n)
{
	void *ret;

	if (n == 0)
		return NULL;
	ret = malloc(n);
	assert(ret);
	memcpy(ret, p, n);
	return ret;
}

void
disk_copy(const struct disk *d, struct disk *ret)
{
	*ret = *d;
	ret->pending = NULL;
	ret->n_pending = ret->cap_pending = 0;
	ret->contacts = (struct disk_contact *)copy_of(
	    d->contacts, d->n_contacts * sizeof(*d->contacts));
	ret->invites = (struct disk_invite *)copy_of(
	    d->invites, d->n_invites * sizeof(*d->invites));
	ret->messages = (struct disk_message *)copy_of(
	    d->messages, d->n_messages * sizeof(*d->messages));
	ret->cap_messages = d->n_messages;
	ids_copy(&d->ids, d->n_messages, &ret->ids);
	for (size_t i = 0; i < d->n_messages; i++) {
		struct span text = d->messages[i].m.text;

		ret->messages[i].m.text =
		    span_of(copy_of(text.p, text.n), text.n);
	}
}

/* Only forwards: queued, sent, then delivered or failed. */
static bool
may_follow(enum message_state from, enum message_state to)
{
	if (from == MESSAGE_QUEUED || from == MESSAGE_SENT)
		return to == MESSAGE_QUEUED || to == MESSAGE_SENT ||
		       to == MESSAGE_DELIVERED || to == MESSAGE_FAILED;
	return from == to;
}

static enum disk_result
apply_message_state(struct disk *d, const struct change *c)
{
	struct disk_message *m = disk_message(d, &c->contact, &c->message.id);

	if (!m)
		return bad(d, "the state of an unknown message changes");
	if (m->m.state == MESSAGE_RECEIVED)
		return bad(d, "a received message changes its state");
	if (!may_follow(m->m.state, c->message.state))
		return bad(d, "the state of a message goes back");
	m->m.state = c->message.state;
	m->m.reason = c->message.reason;
	return DISK_DONE;
}

static enum disk_result
apply_message_number(struct disk *d, const struct change *c)
{
	struct disk_message *m = disk_message(d, &c->contact, &c->message.id);

	if (!m || m->m.state != MESSAGE_QUEUED || m->m.reason != REASON_NONE)
		return bad(d, "what is not in the outbox, or left, is "
		              "numbered anew");
	m->m.seq = c->message.seq;
	memcpy(m->m.prev, c->message.prev, sizeof(m->m.prev));
	return DISK_DONE;
}

static enum disk_result
apply_read(struct disk *d, const struct change *c)
{
	for (size_t i = 0; i < d->n_messages; i++) {
		const struct node_message *m = &d->messages[i].m;

		if (is_same(&m->contact, &c->contact) &&
		    m->state != MESSAGE_RECEIVED && m->seq == c->message.seq)
			return DISK_DONE;
	}
	return bad(d, "what was never written is read");
}

static enum disk_result
apply_dht(struct disk *d, const struct disk_change *c)
{
	if (c->c.n_nodes > DISK_DHT_MAX)
		return bad(d, "too many nodes are saved");
	memcpy(d->dht, c->nodes, c->c.n_nodes * sizeof(d->dht[0]));
	d->n_dht = c->c.n_nodes;
	return DISK_DONE;
}

static enum disk_result
apply(struct disk *d, struct disk_change *c)
{
	switch (c->c.kind) {
	case CHANGE_SELF:
		return set_record(d, &d->self, c->c.record);
	case CHANGE_CONTACT:
		return apply_contact(d, &c->c);
	case CHANGE_CONTACT_GONE:
		return apply_contact_gone(d, &c->c);
	case CHANGE_INVITE:
		return apply_invite(d, &c->c);
	case CHANGE_INVITE_GONE:
		return apply_invite_gone(d, &c->c);
	case CHANGE_MESSAGE:
		return apply_message(d, c);
	case CHANGE_MESSAGE_STATE:
		return apply_message_state(d, &c->c);
	case CHANGE_MESSAGE_NUMBER:
		return apply_message_number(d, &c->c);
	case CHANGE_READ:
		return apply_read(d, &c->c);
	case CHANGE_DHT:
		return apply_dht(d, c);
	}
	return bad(d, "a change has no kind");
}

void
disk_commit(struct disk *d, const struct disk_watch *watch)
{
	if (d->n_pending == 0)
		return;
	for (size_t i = 0; i < d->n_pending; i++) {
		enum disk_result result = apply(d, &d->pending[i]);

		watch->applied(watch->ctx, &d->pending[i].c, result);
	}
	d->n_commits++;
	disk_rollback(d);
}
