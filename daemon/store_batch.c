/*
 * What each message of a batch would write again: the newest message of its
 * conversation, and states, which move by whole runs of rows. Between begin and
 * end they are kept here and written once; whoever looks at the store
 * meanwhile, but to add or to move a message, flushes first.
 */
#include "daemon/store_db.h"

#include <assert.h>
#include <string.h>

void
store_batch_begin(struct store *s)
{
	assert(!s->batch.on && s->batch.last == 0 && s->batch.to == 0);
	s->batch.on = true;
}

void
batch_drop(struct store *s)
{
	s->batch.last = 0;
	s->batch.from = s->batch.to = 0;
}

static enum err
write_last(struct store *s)
{
	struct store_batch *b = &s->batch;
	struct query q;

	if (b->last == 0)
		return ERR_OK;
	q = db_query(s,
	    "INSERT INTO conv(contact, last) VALUES(?1, ?2)"
	    " ON CONFLICT(contact) DO UPDATE SET last = excluded.last");
	db_bind_blob(&q, b->conv.b, sizeof(b->conv.b));
	db_bind_int(&q, b->last);
	b->last = 0;
	return db_write(&q);
}

static enum err
write_states(struct store *s)
{
	struct store_batch *b = &s->batch;
	struct query q;

	if (b->to == 0)
		return ERR_OK;
	q = db_query(s, "UPDATE message SET state = ?1, state_ms = ?2,"
	                " reason = 0 WHERE row BETWEEN ?3 AND ?4");
	db_bind_int(&q, b->state);
	db_bind_int(&q, (int64_t)b->state_ms);
	db_bind_int(&q, b->from);
	db_bind_int(&q, b->to);
	b->from = b->to = 0;
	return db_write(&q);
}

enum err
store_batch_flush(struct store *s)
{
	enum err err = write_last(s);

	if (!err)
		err = write_states(s);
	if (err)
		batch_drop(s); /* the turn is lost, and may ask again */
	return err;
}

enum err
store_batch_end(struct store *s)
{
	s->batch.on = false;
	return store_batch_flush(s);
}

enum err
batch_last(struct store *s, const struct contact_id *conv, int64_t row)
{
	struct store_batch *b = &s->batch;
	bool other = memcmp(&b->conv, conv, sizeof(*conv)) != 0;
	enum err err = other ? write_last(s) : ERR_OK;

	if (err)
		return err;
	b->conv = *conv;
	b->last = row;
	return b->on ? ERR_OK : write_last(s);
}

enum err
batch_state(
    struct store *s, int64_t row, enum message_state state, uint64_t now_ms)
{
	struct store_batch *b = &s->batch;
	bool follows = b->to > 0 && row == b->to + 1 && state == b->state &&
	               now_ms == b->state_ms;
	enum err err = follows ? ERR_OK : write_states(s);

	assert(row > 0);
	if (err)
		return err;
	if (!follows)
		b->from = row;
	b->to = row;
	b->state = state;
	b->state_ms = now_ms;
	return b->on ? ERR_OK : write_states(s);
}
