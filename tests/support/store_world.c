#include "tests/support/store_world.h"

#include "daemon/store_keys.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
store_world_write_version(const char *dir, const char *name)
{
	static char sql[64 * 1024];
	sqlite3 *db = NULL;
	char path[512];
	FILE *f;
	size_t n;

	(void)snprintf(path, sizeof(path), "tests/vectors/store/%s.sql", name);
	f = fopen(path, "re");
	if (!f)
		die(path);
	n = fread(sql, 1, sizeof(sql) - 1, f);
	sql[n] = '\0';
	if (!feof(f) || fclose(f))
		die(path);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, STORE_FILE);
	if (sqlite3_open(path, &db) || sqlite3_exec(db, sql, NULL, NULL, NULL))
		die(name);
	(void)sqlite3_close(db);
}

void
store_world_put_version(struct store_world *w, const char *name)
{
	store_close(w->s);
	w->s = NULL;
	(void)unlink(tempdir_file(&w->dir, STORE_FILE));
	(void)unlink(tempdir_file(&w->dir, KEYFILE_NAME));
	store_world_write_version(w->dir.path, name);
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

/* ---- events ---- */

void
store_world_event(struct store *s, enum event_type type,
    const struct contact_id *conv, const struct message_id *id)
{
	struct event_row e = { .ts_ms = STORE_WORLD_MS, .type = type };

	e.has_conv = e.has_ref = true;
	e.conv = *conv;
	e.ref = *id;
	if (events_add(s, &e))
		die("an event");
}

struct story {
	char text[2048];
	size_t n;
};

static bool
tell(void *ctx, const struct event_row *e)
{
	struct story *t = ctx;
	bool reacts = e->type == EVENT_MESSAGE_REACTION;
	size_t left = sizeof(t->text) - t->n;
	int n;

	if (!e->about)
		n = snprintf(t->text + t->n, left, "%s%s", t->n ? " " : "",
		    events_name(e->type));
	else
		n = snprintf(t->text + t->n, left, "%s%s=%.*s", t->n ? " " : "",
		    events_name(e->type), reacts ? 64 : (int)e->about->m.text.n,
		    reacts ? e->reaction : (const char *)e->about->m.text.p);
	t->n += (size_t)n;
	return t->n < sizeof(t->text) - 256;
}

const char *
store_world_story(struct store *s)
{
	static struct story story;
	int64_t last;

	memset(&story, 0, sizeof(story));
	if (events_read(s, 0, 1000, tell, &story, &last))
		die("events_read");
	return story.text;
}

/* ---- traces ---- */

static bool
holds(struct span in, const char *text)
{
	return in.n > 0 && memmem(in.p, in.n, text, strlen(text)) != NULL;
}

static void
note_trace(struct store_traces *t, struct span sealed)
{
	t->rows++;
	if (t->n == sizeof(t->sealed) / sizeof(t->sealed[0]))
		return;
	t->sealed[t->n] = malloc(sealed.n);
	t->sealed_n[t->n] = sealed.n;
	memcpy(t->sealed[t->n++], sealed.p, sealed.n);
}

static void
look_in_events(struct store *s, const char *text, struct store_traces *t)
{
	struct query q =
	    db_query(s, "SELECT seq, ts_ms, type, conv, body, k FROM event");
	struct store_buf buf = { 0 };
	struct event_row e;

	while (db_row(&q) == ERR_OK)
		if (!events_row(&q, &buf, &e) && holds(e.body, text))
			note_trace(t, db_blob(&q, 4));
	db_end(&q);
	store_buf_clear(&buf);
}

static void
look_in_messages(struct store *s, const char *text, struct store_traces *t)
{
	struct query q = db_query(s, "SELECT contact, id, body FROM message");
	struct store_message m;
	struct contact_id c;
	struct message_id id;

	while (db_row(&q) == ERR_OK) {
		db_bytes(&q, 0, c.b, sizeof(c.b));
		db_bytes(&q, 1, id.b, sizeof(id.b));
		if (!store_message_get(s, &c, &id, &m) &&
		    (holds(m.m.text, text) || holds(m.unsent, text)))
			note_trace(t, db_blob(&q, 2));
	}
	db_end(&q);
}

static void
look_in_file(const char *path, const struct store_traces *t, unsigned *found)
{
	size_t n = 0;
	uint8_t *p;

	if (access(path, F_OK))
		return;
	p = file_get(path, &n);
	/* A large one is not in one piece: its beginning is. */
	for (size_t i = 0; i < t->n; i++)
		if (memmem(p, n, t->sealed[i], 64))
			++*found;
	free(p);
}

void
store_world_traces(
    struct store_world *w, const char *text, struct store_traces *t)
{
	struct store_traces noted = *t;

	t->rows = 0;
	if (noted.n > 0)
		t->n = sizeof(t->sealed) / sizeof(t->sealed[0]);
	look_in_events(w->s, text, t);
	look_in_messages(w->s, text, t);
	if (noted.n > 0)
		t->n = noted.n;
	t->sealed_in_files = 0;
	look_in_file(tempdir_file(&w->dir, STORE_FILE), t, &t->sealed_in_files);
	look_in_file(
	    tempdir_file(&w->dir, STORE_FILE "-wal"), t, &t->sealed_in_files);
}

void
store_world_traces_clear(struct store_traces *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->sealed[i]);
	*t = (struct store_traces){ 0 };
}
