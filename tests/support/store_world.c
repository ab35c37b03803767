#include "tests/support/store_world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct store_key store_world_key = { { 1, 2, 3 } };

static void
die(const char *why)
{
	(void)fprintf(stderr, "store_world: %s\n", why);
	abort();
}

struct store *
store_world_open(const char *dir)
{
	char why[STORE_WHY_SIZE] = "";
	struct store *s = NULL;

	if (store_open(dir, &s, why))
		die(why);
	if (store_set_key(s, &store_world_key) || store_commit(s))
		die("the key");
	return s;
}

int
store_world_begin(void **state)
{
	struct store_world *w = calloc(1, sizeof(*w));

	w->dir = tempdir_new();
	w->s = store_world_open(w->dir.path);
	*state = w;
	return 0;
}

int
store_world_end(void **state)
{
	struct store_world *w = *state;

	store_close(w->s);
	tempdir_free(&w->dir);
	free(w);
	return 0;
}

void
store_world_reopen(struct store_world *w)
{
	store_close(w->s);
	w->s = store_world_open(w->dir.path);
}

void
store_world_id(uint8_t id[16], unsigned n)
{
	memset(id, 0, 16);
	id[0] = (uint8_t)(n >> 8);
	id[1] = (uint8_t)n;
	id[15] = 0x55;
}

struct contact_id
store_world_contact(unsigned n)
{
	struct contact_id c;

	store_world_id(c.b, n);
	return c;
}

struct store_message
store_world_message(unsigned from, unsigned n, const char *text)
{
	struct store_message m = { 0 };

	m.m.contact = store_world_contact(from);
	store_world_id(m.m.id.b, n);
	m.m.kind = MESSAGE_TEXT;
	m.m.state = MESSAGE_RECEIVED;
	m.m.seq = n;
	m.m.sent_ms = STORE_WORLD_MS + n;
	m.m.sent_ms_original = -5;
	m.m.received_ms = STORE_WORLD_MS + n + 1;
	m.m.prev[3] = 9;
	m.m.text = span_str(text);
	m.state_ms = STORE_WORLD_MS + n + 1;
	return m;
}

void
store_world_add(struct store *s, unsigned n, const char *record)
{
	struct change c = { .kind = CHANGE_CONTACT, .has_contact = true };
	bool is_new = false;

	c.contact = store_world_contact(n);
	c.contact_state = CONTACT_WAITING;
	c.id_pk.b[0] = (uint8_t)n;
	memcpy(c.id_pk.b + 8, "IDENTITY-OF-SOMEBODY", 20);
	c.record = span_str(record);
	if (store_contact_put(s, &c, STORE_WORLD_MS + n, &is_new) || !is_new)
		die("a contact");
}

bool
store_rows_take(void *ctx, const struct store_message *m)
{
	struct store_rows *r = ctx;
	size_t n = m->m.text.n < sizeof(r->text) - 1 ? m->m.text.n
	                                             : sizeof(r->text) - 1;

	assert(r->count < sizeof(r->n) / sizeof(r->n[0]));
	r->n[r->count++] = (unsigned)m->m.seq;
	memset(r->text, 0, sizeof(r->text));
	memcpy(r->text, m->m.text.p, n);
	return r->count != r->stop_at;
}
