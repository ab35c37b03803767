/*
 * Sealed rows of older versions, brought up to date when the key is given:
 * all in the transaction of store_set_key, so it is done once or not at all.
 * meta has 'sealed', the version they are of, until then. (Tables change in
 * store_schema.c, which needs no key.)
 *
 * What was sealed under the key of the store stays readable with it in old
 * blocks of the file system: that key seals other things, too, and lives on.
 */
#include "daemon/store_keys.h"

#include "daemon/events.h"
#include "daemon/log.h"
#include "proto/base/text.h"

#include <string.h>

enum {
	SEALED_OLDEST = 2, /* of those that have a mark */
	SEALED_NEWEST = 3, /* and 4 */
	ID_TEXT = ID_TEXT_SIZE - 1,
	HEAD = 160, /* of an old body: names and ids, then texts */
};

/* ---- events ---- */

/* 2 -> 3: events about messages name them. What such an event was before:
 * {"id":"...","conv":"...","direction":"..."... ERR_MALFORMED: it is not. */
static enum err
find_ref(struct event_row *e)
{
	static const char id[] = "{\"id\":\"";
	static const char direction[] = "\"direction\":\"out\"";
	const size_t at = sizeof(id) - 1;
	struct span body = e->body;
	size_t head = body.n < HEAD ? body.n : (size_t)HEAD;

	if (body.n < at + ID_TEXT || memcmp(body.p, id, at) != 0 ||
	    !e->has_conv)
		return ERR_MALFORMED;
	e->ours =
	    memmem(body.p, head, direction, sizeof(direction) - 1) != NULL;
	e->has_ref = true;
	return id_decode(span_of(body.p + at, ID_TEXT), e->ref.b);
}

static bool
tells_a_text(const struct event_row *e)
{
	return e->type == EVENT_MESSAGE_NEW ||
	       e->type == EVENT_MESSAGE_EDITED ||
	       e->type == EVENT_MESSAGE_REACTION;
}

static enum err
drop_event(struct store *s, int64_t seq)
{
	struct query q = db_query(s, "DELETE FROM event WHERE seq = ?1");

	db_bind_int(&q, seq);
	return db_write(&q);
}

/* Is it about a person who is no contact any more? */
static bool
is_over(struct store *s, const struct event_row *e)
{
	struct store_contact c;

	return events_is_of_person(e) &&
	       store_contact_get(s, &e->conv, &c) == ERR_NOT_FOUND;
}

static enum err
upgrade_event(struct store *s, struct event_row *e, bool has_texts)
{
	if (is_over(s, e) || (has_texts && tells_a_text(e) && find_ref(e)))
		return drop_event(s, e->seq);
	return events_rewrite(s, e->seq, e);
}

/* The first one after that; *ret_seq is set also if it does not open. */
static enum err
next_event(struct store *s, int64_t since, struct store_buf *buf,
    struct event_row *ret, int64_t *ret_seq)
{
	struct query q =
	    db_query(s, "SELECT seq, ts_ms, type, conv, body, k FROM event"
	                " WHERE seq > ?1 ORDER BY seq LIMIT 1");
	enum err err;

	db_bind_int(&q, since);
	err = db_row(&q);
	if (!err) {
		*ret_seq = db_int(&q, 0);
		err = events_row(&q, buf, ret);
	}
	db_end(&q);
	return err;
}

static enum err
upgrade_events(struct store *s, bool has_texts)
{
	struct store_buf buf = { 0 };
	struct event_row e;
	int64_t seq = 0;
	enum err err;

	while ((err = next_event(s, seq, &buf, &e, &seq)) != ERR_NOT_FOUND) {
		if (!err)
			err = upgrade_event(s, &e, has_texts);
		if (err && err != ERR_AUTH)
			break;
	}
	store_buf_clear(&buf);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ---- all ---- */

/* 4 -> 5: what is of a conversation is sealed under its keys. */
static enum err
upgrade(struct store *s, unsigned from)
{
	struct query q;
	enum err err = store_contacts_reseal(s);

	if (!err)
		err = store_drafts_reseal(s);
	if (!err)
		err = store_messages_into_blocks(s);
	if (!err)
		err = upgrade_events(s, from < SEALED_NEWEST);
	if (err)
		return err;
	s->erased = true;
	q = db_query(s, "DELETE FROM meta WHERE key = 'sealed'");
	return db_write(&q);
}

enum err
store_upgrade(struct store *s)
{
	uint8_t version = 0;
	size_t n = 0;
	enum err err = store_meta_get(s, "sealed", &version, 1, &n);

	if (err)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	if (n != 1 || version < SEALED_OLDEST || version > SEALED_NEWEST)
		return ERR_MALFORMED;
	log_event(LOG_NOTICE, "store-upgrade", "from=%u", (unsigned)version);
	return upgrade(s, version);
}
