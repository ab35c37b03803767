/*
 * Our newest texts, as far as their states need: each moves twice, mostly at
 * once, and would be found and opened for it. What is here is as it stands in
 * the transaction; what changes a row otherwise forgets it here.
 */
#include "daemon/store_db.h"

#include <stdlib.h>
#include <string.h>

enum { FRESH = 32768 }; /* 2 MB, of which only what is used is taken */

struct store_fresh {
	struct {
		struct contact_id contact;
		struct message_id id;
		int64_t row; /* 0: nothing */
		enum message_state state;
		uint32_t ttl_s;
		char *client_id; /* owned, or NULL */
	} e[FRESH];
};

/* Ids of ours are random. */
static size_t
place(const struct message_id *id)
{
	return ((size_t)id->b[0] << 8 | id->b[1]) % FRESH;
}

static void
forget(struct store *s, size_t i)
{
	free(s->fresh->e[i].client_id);
	s->fresh->e[i].client_id = NULL;
	s->fresh->e[i].row = 0;
}

void
fresh_put(struct store *s, const struct store_message *m)
{
	size_t i = place(&m->m.id);
	char *client_id = NULL;

	if (!s->fresh)
		s->fresh = calloc(1, sizeof(*s->fresh));
	if (s->fresh)
		forget(s, i);
	if (m->client_id[0])
		client_id = strdup(m->client_id);
	if (!s->fresh || (m->client_id[0] && !client_id)) {
		free(client_id);
		return; /* it is found in the database */
	}
	s->fresh->e[i].contact = m->m.contact;
	s->fresh->e[i].id = m->m.id;
	s->fresh->e[i].row = m->row;
	s->fresh->e[i].state = m->m.state;
	s->fresh->e[i].ttl_s = m->m.ttl_s;
	s->fresh->e[i].client_id = client_id;
}

static bool
is_there(const struct store *s, const struct contact_id *contact,
    const struct message_id *id)
{
	size_t i = place(id);

	return s->fresh && s->fresh->e[i].row > 0 &&
	       memcmp(&s->fresh->e[i].id, id, sizeof(*id)) == 0 &&
	       memcmp(&s->fresh->e[i].contact, contact, sizeof(*contact)) == 0;
}

bool
fresh_find(const struct store *s, const struct contact_id *contact,
    const struct message_id *id, struct store_message *ret)
{
	size_t i = place(id);

	if (!is_there(s, contact, id))
		return false;
	*ret = (struct store_message){ .row = s->fresh->e[i].row };
	ret->m.contact = *contact;
	ret->m.id = *id;
	ret->m.kind = MESSAGE_TEXT;
	ret->m.state = s->fresh->e[i].state;
	ret->m.ttl_s = s->fresh->e[i].ttl_s;
	if (s->fresh->e[i].client_id)
		memcpy(ret->client_id, s->fresh->e[i].client_id,
		    strlen(s->fresh->e[i].client_id));
	return true;
}

void
fresh_moved(struct store *s, const struct store_message *m)
{
	if (!is_there(s, &m->m.contact, &m->m.id))
		return;
	if (m->m.state == MESSAGE_QUEUED || m->m.state == MESSAGE_SENT)
		s->fresh->e[place(&m->m.id)].state = m->m.state;
	else
		forget(s, place(&m->m.id));
}

void
fresh_drop(struct store *s, const struct store_message *m)
{
	if (is_there(s, &m->m.contact, &m->m.id))
		forget(s, place(&m->m.id));
}

void
fresh_clear(struct store *s)
{
	for (size_t i = 0; s->fresh && i < FRESH; i++)
		free(s->fresh->e[i].client_id);
	free(s->fresh);
	s->fresh = NULL;
}
