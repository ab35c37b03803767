/*
 * Sealed rows of older versions, brought up to date when the key is given:
 * all in the transaction of store_set_key, so it is done once or not at all.
 * meta has 'sealed', the version they are of, until then. (Tables change in
 * store_schema.c, which needs no key.)
 */
#include "daemon/store_db.h"

#include "daemon/events.h"
#include "daemon/log.h"
#include "proto/base/text.h"

#include <string.h>

enum {
	SEALED_FIRST = 2, /* the version that has no mark yet */
	ID_TEXT = ID_TEXT_SIZE - 1,
	ROWS_AT_ONCE = 64,
};

/* ---- 2 -> 3: events about messages name them ---- */

/* What an event was before: {"id":"...","conv":"...", "direction":"..."...
 * ERR_MALFORMED: it is not about a message. */
static enum err
find_ref(struct span body, struct event_row *e)
{
	static const char id[] = "{\"id\":\"";
	static const char direction[] = "\"direction\":\"out\"";
	const size_t at = sizeof(id) - 1;

	if (body.n < at + ID_TEXT || memcmp(body.p, id, at) != 0 ||
	    !e->has_conv)
		return ERR_MALFORMED;
	/* The first member of that name is ours: texts stand behind it. */
	e->ours = memmem(body.p, body.n < 160 ? body.n : 160, direction,
	              sizeof(direction) - 1) != NULL;
	e->has_ref = true;
	return id_decode(span_of(body.p + at, ID_TEXT), e->ref.b);
}

static bool
tells_a_text(enum event_type type)
{
	return type == EVENT_MESSAGE_NEW || type == EVENT_MESSAGE_EDITED ||
	       type == EVENT_MESSAGE_REACTION;
}

struct old_event {
	int64_t seq;
	struct event_row e; /* its body is not kept */
	bool good;
};

/* Up to ROWS_AT_ONCE rows after `since`; those that tell no text are left out.
 * *ret_last: the last that was looked at. */
static enum err
read_old_events(struct store *s, int64_t since, struct old_event *ret,
    size_t *ret_n, int64_t *ret_last)
{
	struct query q = db_query(s, "SELECT seq, ts_ms, type, conv, body"
	                             " FROM event WHERE seq > ?1 ORDER BY seq"
	                             " LIMIT ?2");
	struct store_buf buf = { 0 };
	enum err err;

	*ret_n = 0;
	db_bind_int(&q, since);
	db_bind_int(&q, ROWS_AT_ONCE);
	while ((err = db_row(&q)) == ERR_OK) {
		struct old_event *o = &ret[*ret_n];

		*ret_last = db_int(&q, 0);
		*o = (struct old_event){ .seq = *ret_last };
		err = events_row(&q, &buf, &o->e);
		if (err && err != ERR_AUTH)
			break;
		o->good = !err && !find_ref(o->e.body, &o->e);
		if (err || tells_a_text(o->e.type))
			++*ret_n;
		o->e.body = span_of(NULL, 0);
	}
	db_end(&q);
	store_buf_clear(&buf);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err
drop_event(struct store *s, int64_t seq)
{
	struct query q = db_query(s, "DELETE FROM event WHERE seq = ?1");

	db_bind_int(&q, seq);
	return db_write(&q);
}

static enum err
events_name_messages(struct store *s)
{
	struct old_event rows[ROWS_AT_ONCE];
	int64_t since = 0;
	int64_t last = -1;
	size_t n = 0;
	enum err err = ERR_OK;

	while (!err && last != since) {
		since = last < 0 ? 0 : last;
		last = since;
		err = read_old_events(s, since, rows, &n, &last);
		for (size_t i = 0; i < n && !err; i++)
			err = rows[i].good
			          ? events_rewrite(s, rows[i].seq, &rows[i].e)
			          : drop_event(s, rows[i].seq);
	}
	return err;
}

/* ---- all ---- */

enum err
store_upgrade(struct store *s)
{
	uint8_t version = 0;
	size_t n = 0;
	struct query q;
	enum err err = store_meta_get(s, "sealed", &version, 1, &n);

	if (err)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	if (n != 1 || version != SEALED_FIRST)
		return ERR_MALFORMED;
	log_event(LOG_NOTICE, "store-upgrade", "from=%u", (unsigned)version);
	err = events_name_messages(s);
	if (err)
		return err;
	s->erased = true;
	q = db_query(s, "DELETE FROM meta WHERE key = 'sealed'");
	return db_write(&q);
}
