/*
 * A conversation without its texts. What was received leaves a mark, its id and
 * number: it may come again, if their numbers begin anew. What is still to be
 * sent stays for that alone, is shown nowhere, and goes once it was delivered.
 */
#include "daemon/store_keys.h"

#include <assert.h>

static enum err
count(struct store *s, const struct contact_id *id, struct store_cleared *ret)
{
	struct query q =
	    db_query(s, "SELECT count(*), coalesce(sum(state IN (1, 2)), 0)"
	                " FROM message INDEXED BY message_conv"
	                " WHERE contact = ?1 AND kind = 1 AND flags & 4 = 0");
	enum err err;

	db_bind_blob(&q, id->b, sizeof(id->b));
	err = db_row(&q);
	if (!err) {
		ret->messages = (uint64_t)db_int(&q, 0);
		ret->unsent = (uint64_t)db_int(&q, 1);
	}
	db_end(&q);
	return err;
}

/* ---- what is still to be sent ---- */

/* The next one above a row; *ret as far as it opens. */
static enum err
next_unsent(struct store *s, const struct contact_id *id, int64_t after,
    int64_t *ret_row, bool *ret_opens, struct store_message *ret)
{
	struct query q = db_query(s,
	    "SELECT row FROM message INDEXED BY message_conv"
	    " WHERE contact = ?1 AND row > ?2 AND state IN (1, 2) AND kind = 1"
	    " ORDER BY row LIMIT 1");
	enum err err;

	db_bind_blob(&q, id->b, sizeof(id->b));
	db_bind_int(&q, after);
	err = db_one_int(&q, ret_row);
	if (err)
		return err;
	err = store_message_at(s, *ret_row, &s->get_buf, ret);
	*ret_opens = !err;
	return err == ERR_AUTH ? ERR_OK : err;
}

/* Marked in its row first: the flags are part of what it is sealed under. */
static enum err
hide(struct store *s, struct store_message *m)
{
	struct query q =
	    db_query(s, "UPDATE message SET flags = ?1 WHERE row = ?2");
	enum err err;

	if (m->unsent.n == 0)
		m->unsent = m->m.text;
	m->m.text = span_of(NULL, 0);
	m->deleted = true;
	m->m.flags |= MESSAGE_FLAG_CLEARED;
	db_bind_int(&q, m->m.flags);
	db_bind_int(&q, m->row);
	err = db_write(&q);
	return err ? err : store_message_rewrite(s, m);
}

static enum err
hide_unsent(struct store *s, const struct contact_id *id)
{
	int64_t row = 0;
	enum err err = ERR_OK;

	while (!err) { /* one at a time: it is written anew */
		struct store_message m;
		bool opens = false;

		err = next_unsent(s, id, row, &row, &opens, &m);
		if (!err && opens && !(m.m.flags & MESSAGE_FLAG_CLEARED))
			err = hide(s, &m);
	}
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err
store_cleared_sent(struct store *s, const struct store_message *m)
{
	struct query q = db_query(s, "DELETE FROM message WHERE row = ?1");
	enum err err;

	assert(m->m.flags & MESSAGE_FLAG_CLEARED);
	db_bind_int(&q, m->row);
	err = db_write(&q);
	if (!err)
		err = timer_drop(s, m->row);
	return err ? err : store_keys_renew(s, m->block);
}

/* ---- the rest ---- */

/* What was thought of the texts, when they disappear, who is told of them. */
static enum err
remove_around(struct store *s, const struct contact_id *id)
{
	static const char *const sql[] = {
		"DELETE FROM reaction WHERE contact = ?1",
		("DELETE FROM timer WHERE contact = ?1 AND row NOT IN"
		 " (SELECT row FROM message INDEXED BY message_conv"
		 "  WHERE contact = ?1 AND state IN (1, 2))"),
		"UPDATE conv SET read = last, their_read = last"
		" WHERE contact = ?1",
	};
	enum err err = events_remove_messages(s, id);

	for (size_t i = 0; i < sizeof(sql) / sizeof(*sql) && !err; i++)
		err = db_write_for(s, sql[i], id);
	return err;
}

static enum err
remove_texts(struct store *s, const struct contact_id *id)
{
	enum err err = store_messages_forget_words(s, id);

	if (!err)
		err = db_write_for(s,
		    "INSERT OR IGNORE INTO mark(contact, id, seq)"
		    " SELECT contact, id, seq FROM message"
		    " INDEXED BY message_in WHERE contact = ?1 AND state = 5",
		    id);
	if (!err)
		err = db_write_for(s,
		    "DELETE FROM message WHERE contact = ?1"
		    " AND state NOT IN (1, 2)",
		    id);
	return err;
}

/* Blocks that what is to be sent shares with what is gone. */
static enum err
renew_blocks(struct store *s, const struct contact_id *id)
{
	struct query q =
	    db_query(s, "SELECT DISTINCT k FROM message INDEXED BY message_conv"
	                " WHERE contact = ?1 AND k > 0");
	enum err err;

	db_bind_blob(&q, id->b, sizeof(id->b));
	while ((err = db_row(&q)) == ERR_OK) {
		err = store_keys_renew(s, db_int(&q, 0));
		if (err)
			break;
	}
	db_end(&q);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err
store_conv_clear(struct store *s, const struct contact_id *contact,
    struct store_cleared *ret)
{
	enum err err;

	if (!store_has_key(s))
		return ERR_STATE;
	fresh_clear(s);
	recent_clear(s);
	err = count(s, contact, ret);
	if (!err)
		err = remove_around(s, contact);
	if (!err)
		err = remove_texts(s, contact);
	if (!err)
		err = hide_unsent(s, contact);
	if (!err)
		err = renew_blocks(s, contact);
	if (!err)
		err = store_draft_set(s, contact, span_of(NULL, 0));
	return err ? err : store_keys_remove_empty(s, contact);
}

/* ---- marks ---- */

enum err
store_mark_find(struct store *s, const struct node_message *m)
{
	struct query q =
	    db_query(s, "SELECT seq FROM mark WHERE contact = ?1 AND id = ?2");
	int64_t seq = 0;
	enum err err;

	db_bind_blob(&q, m->contact.b, sizeof(m->contact.b));
	db_bind_blob(&q, m->id.b, sizeof(m->id.b));
	err = db_one_int(&q, &seq);
	if (err)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	return ERR_EXISTS; /* under another number, too: it was sent again */
}
