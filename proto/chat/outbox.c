/* Queue of undelivered messages. */
#include "proto/chat/outbox.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void
outbox_init(struct outbox *o)
{
	*o = (struct outbox){ 0 };
}

void
outbox_entry_free(struct outbox_entry *e)
{
	sodium_memzero(e, sizeof(*e) + e->record.text.n);
	free(e);
}

void
outbox_clear(struct outbox *o)
{
	while (o->head != NULL) {
		struct outbox_entry *e = o->head;

		o->head = e->next;
		outbox_entry_free(e);
	}
	outbox_init(o);
}

enum err
outbox_add(struct outbox *o, const struct record *record, bool sent)
{
	size_t n = record->text.n;
	struct outbox_entry *e;

	assert(record_is_message(record) && n <= MESSAGE_TEXT_MAX);
	assert(record->before.n == 0);
	assert(o->tail == NULL || o->tail->record.seq < record->seq);
	e = malloc(sizeof(*e) + n);
	if (e == NULL)
		return ERR_NOMEM;
	e->next = NULL;
	e->record = *record;
	e->record.text = span_of(e + 1, n);
	e->sent = sent;
	e->change = 0;
	if (n > 0)
		memcpy(e + 1, record->text.p, n);
	if (o->tail != NULL)
		o->tail->next = e;
	else
		o->head = e;
	o->tail = e;
	if (o->at == NULL)
		o->at = e;
	o->n++;
	o->bytes += n;
	return ERR_OK;
}

void
outbox_rewind(struct outbox *o)
{
	o->at = o->head;
}

struct outbox_entry *
outbox_written(const struct outbox *o, uint64_t seq)
{
	struct outbox_entry *e = o->head;

	while (e != NULL && e != o->at && e->record.seq < seq)
		e = e->next;
	return e != NULL && e != o->at && e->record.seq == seq ? e : NULL;
}

void
outbox_rewind_to(struct outbox *o, struct outbox_entry *e)
{
	o->at = e;
}

struct outbox_entry *
outbox_take_behind(struct outbox *o, struct outbox_entry *before)
{
	struct outbox_entry *e = before != NULL ? before->next : o->head;

	assert(e != NULL);
	if (before != NULL)
		before->next = e->next;
	else
		o->head = e->next;
	if (o->tail == e)
		o->tail = before;
	if (o->at == e)
		o->at = e->next;
	assert(o->n > 0 && o->bytes >= e->record.text.n);
	o->n--;
	o->bytes -= e->record.text.n;
	return e;
}

void
outbox_take(struct outbox *o, struct outbox_entry *e)
{
	struct outbox_entry *before = NULL;

	for (struct outbox_entry *i = o->head; i != e; i = i->next)
		before = i;
	(void)outbox_take_behind(o, before);
}

struct outbox_entry *
outbox_take_acked(struct outbox *o, uint64_t acked)
{
	struct outbox_entry *e = o->head;

	if (e == NULL || e->record.seq > acked)
		return NULL;
	outbox_take(o, e);
	return e;
}
