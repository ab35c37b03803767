/*
 * The newest texts as they were added, for those who are told of them at once:
 * else each would be found, and opened, that was sealed a moment before. What
 * changes a text forgets it here; without a reader, none are kept for long.
 */
#include "daemon/store_db.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
	RECENT = 1024,
	TEXT_MAX = 1024, /* longer ones are read where they are */
};

struct store_recent {
	size_t unread; /* put since somebody read */
	struct recent {
		struct store_message m; /* row 0: nothing */
		uint8_t *text;          /* owned */
	} e[RECENT];
};

/* They may have chosen their ids: who takes a place takes another's. */
static struct recent *
place(const struct store *s, const struct message_id *id)
{
	return &s->recent->e[((size_t)id->b[0] << 8 | id->b[1]) % RECENT];
}

static void
forget(struct recent *r)
{
	if (r->text)
		sodium_memzero(r->text, r->m.m.text.n);
	free(r->text);
	*r = (struct recent){ .text = NULL };
}

void
recent_put(struct store *s, const struct store_message *m)
{
	struct recent *r;

	/* The time of one that disappears begins without its row. */
	if (m->m.ttl_s > 0 || m->m.text.n > TEXT_MAX || m->m.text.n == 0)
		return;
	if (!s->recent)
		s->recent = calloc(1, sizeof(*s->recent));
	if (!s->recent || s->recent->unread >= RECENT)
		return;
	s->recent->unread++;
	r = place(s, &m->m.id);
	forget(r);
	r->text = malloc(m->m.text.n);
	if (!r->text)
		return;
	memcpy(r->text, m->m.text.p, m->m.text.n);
	r->m = *m;
	r->m.m.text.p = r->text;
}

const struct store_message *
recent_find(struct store *s, const struct contact_id *contact,
    const struct message_id *id)
{
	const struct recent *r;

	if (!s->recent)
		return NULL;
	s->recent->unread = 0;
	r = place(s, id);
	if (r->m.row == 0 || memcmp(&r->m.m.id, id, sizeof(*id)) != 0 ||
	    memcmp(&r->m.m.contact, contact, sizeof(*contact)) != 0)
		return NULL;
	return &r->m;
}

void
recent_drop(struct store *s, const struct store_message *m)
{
	if (s->recent && place(s, &m->m.id)->m.row > 0)
		forget(place(s, &m->m.id));
}

void
recent_clear(struct store *s)
{
	for (size_t i = 0; s->recent && i < RECENT; i++)
		forget(&s->recent->e[i]);
	free(s->recent);
	s->recent = NULL;
}
