/* How a conversation is kept: what was read, drafts, settings. */
#include "daemon/store_keys.h"

#include <assert.h>
#include <string.h>

enum {
	FLAG_MUTED = 1,
	FLAG_PINNED = 2,
	FLAG_RECEIPTS_SHIFT = 2, /* enum store_receipts, 2 bits */
	FLAG_RECEIPTS_MASK = 3,
};

int64_t
store_conv_flags(const struct store_conv *c)
{
	return (c->muted ? FLAG_MUTED : 0) | (c->pinned ? FLAG_PINNED : 0) |
	       (int64_t)c->receipts << FLAG_RECEIPTS_SHIFT;
}

void
store_conv_from_flags(int64_t flags, struct store_conv *ret)
{
	int64_t receipts = flags >> FLAG_RECEIPTS_SHIFT & FLAG_RECEIPTS_MASK;

	ret->muted = flags & FLAG_MUTED;
	ret->pinned = flags & FLAG_PINNED;
	ret->receipts = receipts <= STORE_RECEIPTS_OFF
	                    ? (enum store_receipts)receipts
	                    : STORE_RECEIPTS_DEFAULT;
}

/* A write to the row of a conversation, bound. */
static enum err
write_row(struct store *s, struct query *q)
{
	enum err err = db_write(q);

	if (!err && db_changed(s) == 0)
		return ERR_NOT_FOUND;
	return err;
}

enum err
store_conv_set(struct store *s, const struct contact_id *contact,
    const struct store_conv *c)
{
	struct query q =
	    db_query(s, "UPDATE conv SET flags = ?1 WHERE contact = ?2");

	db_bind_int(&q, store_conv_flags(c));
	db_bind_blob(&q, contact->b, sizeof(contact->b));
	return write_row(s, &q);
}

enum err
store_conv_timer(struct store *s, const struct contact_id *contact,
    uint32_t ttl_s, uint64_t sent_ms)
{
	/* Who said it last is believed; of two at once, who lets them go
	 * sooner, so that both sides end alike. */
	struct query q = db_query(s,
	    "UPDATE conv SET ttl = ?1, ttl_ms = ?2 WHERE contact = ?3"
	    " AND (ttl_ms < ?2 OR (ttl_ms = ?2 AND ?1 > 0"
	    "  AND (ttl = 0 OR ttl > ?1)))");
	enum err err;

	db_bind_int(&q, ttl_s);
	db_bind_int(&q, (int64_t)sent_ms);
	db_bind_blob(&q, contact->b, sizeof(contact->b));
	err = write_row(s, &q);
	s->ttl_known = false;
	return err == ERR_NOT_FOUND ? ERR_EXISTS : err;
}

enum err
store_conv_ttl(struct store *s, const struct contact_id *contact, uint32_t *ret)
{
	struct query q;
	enum err err;

	if (s->ttl_known &&
	    memcmp(&s->ttl_conv, contact, sizeof(*contact)) == 0) {
		*ret = s->ttl_s;
		return ERR_OK;
	}
	q = db_query(s, "SELECT ttl FROM conv WHERE contact = ?1");
	db_bind_blob(&q, contact->b, sizeof(contact->b));
	err = db_row(&q);
	s->ttl_s = err ? 0 : (uint32_t)db_int(&q, 0);
	db_end(&q);
	s->ttl_conv = *contact;
	s->ttl_known = !err || err == ERR_NOT_FOUND;
	if (!s->ttl_known)
		return err;
	*ret = s->ttl_s;
	return ERR_OK;
}

/* ---- drafts ---- */

static struct row_key
draft_key(const struct contact_id *contact, int64_t key)
{
	struct row_key k = row_key("conv", "draft");

	k.k = key;
	row_key_add(&k, contact->b, sizeof(contact->b));
	return k;
}

/* What it was before is destroyed: it may be in no message, or in one that will
 * be deleted. */
enum err
store_draft_set(
    struct store *s, const struct contact_id *contact, struct span text)
{
	struct row_key key;
	int64_t k = 0;
	struct query q;
	enum err err;

	assert(text.n <= NODE_TEXT_MAX);
	if (!store_has_key(s))
		return ERR_STATE;
	err = store_keys_remove(s, contact, KEY_DRAFT);
	if (!err && text.n > 0)
		err = store_keys_of(s, contact, KEY_DRAFT, &k);
	if (err)
		return err;
	key = draft_key(contact, k);
	q = db_query(
	    s, "UPDATE conv SET draft = ?1, k = ?2 WHERE contact = ?3");
	if (text.n > 0)
		db_bind_sealed(&q, &key, text);
	else
		db_bind_null(&q);
	db_bind_int(&q, k);
	db_bind_blob(&q, contact->b, sizeof(contact->b));
	err = write_row(s, &q);
	if (err == ERR_NOT_FOUND && text.n > 0) /* the key is for nothing */
		return store_keys_remove(s, contact, KEY_DRAFT) ? ERR_IO
		                                                : ERR_NOT_FOUND;
	return err;
}

enum err
store_draft_get(
    struct store *s, const struct contact_id *contact, struct span *ret)
{
	struct query q =
	    db_query(s, "SELECT draft, k FROM conv WHERE contact = ?1");
	struct row_key key;
	enum err err;

	db_bind_blob(&q, contact->b, sizeof(contact->b));
	err = db_row(&q);
	*ret = span_of(NULL, 0);
	if (!err && db_blob(&q, 0).n > 0) {
		key = draft_key(contact, db_int(&q, 1));
		err = db_open_sealed(&q, 0, &key, &s->get_buf, ret);
	}
	db_end(&q);
	return err;
}

enum err
store_drafts_reseal(struct store *s)
{
	enum err err = ERR_OK;

	while (!err) { /* one at a time: it is written anew */
		struct query q =
		    db_query(s, "SELECT contact FROM conv"
		                " WHERE draft IS NOT NULL AND k = 0 LIMIT 1");
		struct contact_id c;
		struct span text = { NULL, 0 };

		err = db_row(&q);
		if (!err)
			db_bytes(&q, 0, c.b, sizeof(c.b));
		db_end(&q);
		if (!err)
			err = store_draft_get(s, &c, &text);
		if (err == ERR_AUTH) { /* it is lost */
			err = ERR_OK;
			text = span_of(NULL, 0);
		}
		if (!err)
			err = store_draft_set(s, &c, text);
	}
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ---- what was read ---- */

enum err
store_conv_number(struct store *s, const struct contact_id *contact,
    int64_t row, uint64_t *ret)
{
	struct query q =
	    db_query(s, "SELECT seq FROM message INDEXED BY message_in"
	                " WHERE contact = ?1 AND state = 5 AND row <= ?2"
	                " ORDER BY row DESC LIMIT 1");
	int64_t seq = 0;
	enum err err;

	db_bind_blob(&q, contact->b, sizeof(contact->b));
	db_bind_int(&q, row);
	err = db_one_int(&q, &seq);
	if (!err)
		*ret = (uint64_t)seq;
	return err;
}

/* Ours up to the number seq that was the last one read: its row and id. Not
 * read before, or ERR_NOT_FOUND. */
static enum err
find_read(struct store *s, const struct contact_id *contact, uint64_t seq,
    int64_t *ret_row, struct message_id *ret)
{
	struct query q = db_query(s,
	    "SELECT row, id FROM message INDEXED BY message_conv"
	    " WHERE contact = ?1 AND state = 3 AND seq <= ?2 AND kind = 1"
	    " AND row > (SELECT their_read FROM conv WHERE contact = ?1)"
	    " ORDER BY row DESC LIMIT 1");
	enum err err;

	db_bind_blob(&q, contact->b, sizeof(contact->b));
	db_bind_int(&q, (int64_t)seq);
	err = db_row(&q);
	if (!err) {
		*ret_row = db_int(&q, 0);
		db_bytes(&q, 1, ret->b, sizeof(ret->b));
	}
	db_end(&q);
	return err;
}

enum err
store_conv_they_read(struct store *s, const struct contact_id *contact,
    uint64_t seq, uint64_t now_ms, struct message_id *ret)
{
	int64_t row = 0;
	struct query q;
	enum err err = find_read(s, contact, seq, &row, ret);

	if (err)
		return err;
	q = db_query(s,
	    "UPDATE message INDEXED BY message_conv"
	    " SET state = 6, state_ms = ?1"
	    " WHERE contact = ?2 AND row <= ?3 AND state = 3"
	    " AND row > (SELECT their_read FROM conv WHERE contact = ?2)");
	db_bind_int(&q, (int64_t)now_ms);
	db_bind_blob(&q, contact->b, sizeof(contact->b));
	db_bind_int(&q, row);
	err = db_write(&q);
	if (err)
		return err;
	q = db_query(s, "UPDATE conv SET their_read = ?1 WHERE contact = ?2");
	db_bind_int(&q, row);
	db_bind_blob(&q, contact->b, sizeof(contact->b));
	return db_write(&q);
}
