/* Contacts, and the conversation that each of them is. */
#include "daemon/store_db.h"

#include <assert.h>
#include <string.h>

static struct row_key
contact_key(const char *column, const struct contact_id *id)
{
	struct row_key k = row_key("contact", column);

	row_key_add(&k, id->b, sizeof(id->b));
	return k;
}

/* What changes often: the record and the state, of a row that is there. */
static enum err
update(struct store *s, const struct change *c, uint64_t now_ms)
{
	struct row_key pk_key = contact_key("id_pk", &c->contact);
	struct row_key record_key = contact_key("record", &c->contact);
	struct query q = db_query(s,
	    "UPDATE contact SET id_pk = ?1, record = ?2, state = ?3,"
	    " ready_ms = iif(ready_ms, ready_ms, ?4) WHERE id = ?5");

	db_bind_sealed(&q, &pk_key, span_of(c->id_pk.b, sizeof(c->id_pk.b)));
	db_bind_sealed(&q, &record_key, c->record);
	db_bind_int(&q, c->contact_state);
	db_bind_int(
	    &q, c->contact_state == CONTACT_READY ? (int64_t)now_ms : 0);
	db_bind_blob(&q, c->contact.b, sizeof(c->contact.b));
	return db_write(&q);
}

enum err
store_contact_put(
    struct store *s, const struct change *c, uint64_t now_ms, bool *ret_new)
{
	struct row_key pk_key = contact_key("id_pk", &c->contact);
	struct row_key record_key = contact_key("record", &c->contact);
	enum err err;
	struct query q;

	if (!store_has_key(s))
		return ERR_STATE;
	err = update(s, c, now_ms);
	*ret_new = !err && db_changed(s) == 0;
	if (err || !*ret_new)
		return err;
	q = db_query(s, "INSERT INTO contact"
	                "(id, id_pk, record, state, created_ms, ready_ms)"
	                " VALUES(?1, ?2, ?3, ?4, ?5, ?6)");
	db_bind_blob(&q, c->contact.b, sizeof(c->contact.b));
	db_bind_sealed(&q, &pk_key, span_of(c->id_pk.b, sizeof(c->id_pk.b)));
	db_bind_sealed(&q, &record_key, c->record);
	db_bind_int(&q, c->contact_state);
	db_bind_int(&q, (int64_t)now_ms);
	db_bind_int(
	    &q, c->contact_state == CONTACT_READY ? (int64_t)now_ms : 0);
	err = db_write(&q);
	if (err)
		return err;
	q = db_query(s, "INSERT OR IGNORE INTO conv(contact) VALUES(?1)");
	db_bind_blob(&q, c->contact.b, sizeof(c->contact.b));
	return db_write(&q);
}

static enum err
run_for(struct store *s, const char *sql, const struct contact_id *id)
{
	struct query q = db_query(s, sql);

	db_bind_blob(&q, id->b, sizeof(id->b));
	return db_write(&q);
}

enum err
store_contact_remove(
    struct store *s, const struct contact_id *id, bool history, uint64_t now_ms)
{
	enum err err = run_for(s, "DELETE FROM contact WHERE id = ?1", id);

	if (!err && db_changed(s) == 0)
		return ERR_NOT_FOUND;
	if (!err)
		err = run_for(s, "DELETE FROM conv WHERE contact = ?1", id);
	s->erased |= history;
	if (!err && history)
		err = run_for(s, "DELETE FROM reaction WHERE contact = ?1", id);
	if (!err && history)
		err = run_for(s, "DELETE FROM message WHERE contact = ?1", id);
	else if (!err)
		err = store_outbox_fail(s, id, now_ms);
	return err;
}

enum err
store_contact_rename(
    struct store *s, const struct contact_id *id, struct span name)
{
	struct row_key key = contact_key("name", id);
	enum err err;
	struct query q;

	assert(name.n <= STORE_NAME_MAX);
	if (!store_has_key(s))
		return ERR_STATE;
	q = db_query(s, "UPDATE contact SET name = ?1 WHERE id = ?2");
	db_bind_sealed(&q, &key, name);
	db_bind_blob(&q, id->b, sizeof(id->b));
	err = db_write(&q);
	if (!err && db_changed(s) == 0)
		return ERR_NOT_FOUND;
	return err;
}

enum err
store_contact_seen(
    struct store *s, const struct contact_id *id, uint64_t now_ms)
{
	struct query q =
	    db_query(s, "UPDATE conv SET seen_ms = ?1 WHERE contact = ?2");

	db_bind_int(&q, (int64_t)now_ms);
	db_bind_blob(&q, id->b, sizeof(id->b));
	return db_write(&q);
}

/* ---- reading ---- */

/* Every query that gives contacts has these columns. */
#define CONTACT_COLUMNS \
	"c.id, c.id_pk, c.name, c.state, c.created_ms, c.ready_ms, c.n," \
	" v.last, v.read, v.seen_ms," \
	" (SELECT count(*) FROM message INDEXED BY message_in" \
	"  WHERE contact = c.id AND state = 5 AND row > v.read)," \
	" v.flags, v.draft IS NOT NULL"

/* ERR_AUTH: the row does not open; it is as if it were not there. */
static enum err
read_contact(const struct query *q, struct store_contact *ret)
{
	struct store_buf buf = { 0 };
	struct store_contact c = { 0 };
	struct row_key key;
	struct span v;
	enum err err;

	db_bytes(q, 0, c.id.b, sizeof(c.id.b));
	key = contact_key("id_pk", &c.id);
	err = db_open_sealed(q, 1, &key, &buf, &v);
	if (err)
		goto out;
	if (v.n != sizeof(c.id_pk.b)) {
		err = ERR_AUTH;
		goto out;
	}
	memcpy(c.id_pk.b, v.p, v.n);
	key = contact_key("name", &c.id);
	if (db_blob(q, 2).n) { /* a name that does not open is no name */
		err = db_open_sealed(q, 2, &key, &buf, &v);
		if (!err && v.n <= STORE_NAME_MAX && v.n > 0)
			memcpy(c.name, v.p, v.n);
	}
	c.state =
	    db_int(q, 3) == CONTACT_READY ? CONTACT_READY : CONTACT_WAITING;
	c.created_ms = (uint64_t)db_int(q, 4);
	c.ready_ms = (uint64_t)db_int(q, 5);
	c.last_row = db_int(q, 7);
	c.read_row = db_int(q, 8);
	c.last_seen_ms = (uint64_t)db_int(q, 9);
	c.unread = (uint64_t)db_int(q, 10);
	store_conv_from_flags(db_int(q, 11), &c.conv);
	c.conv.has_draft = db_int(q, 12) != 0;
	*ret = c;
	err = ERR_OK;
out:
	store_buf_clear(&buf);
	return err;
}

enum err
store_contact_get(
    struct store *s, const struct contact_id *id, struct store_contact *ret)
{
	struct query q = db_query(s,
	    "SELECT " CONTACT_COLUMNS
	    " FROM contact c JOIN conv v ON v.contact = c.id WHERE c.id = ?1");
	enum err err;

	db_bind_blob(&q, id->b, sizeof(id->b));
	err = db_row(&q);
	if (!err)
		err = read_contact(&q, ret);
	db_end(&q);
	return err;
}

/* One page of a query that is bound already. */
struct page {
	size_t limit;
	bool unread_only;
	int place_column; /* what store_place.at is */
	bool (*row)(void *ctx, const struct store_contact *c);
	void *ctx;
};

static enum err
read_page(struct query *q, const struct page *p, struct store_place *ret_next)
{
	struct store_place last = { 0 };
	struct store_contact c;
	bool more = true;
	size_t n = 0;
	enum err err;

	ret_next->set = false;
	while ((err = db_row(q)) == ERR_OK) {
		if (!more || (p->limit && n == p->limit)) {
			*ret_next = last;
			break;
		}
		err = read_contact(q, &c);
		if (err && err != ERR_AUTH)
			break;
		if (err || (p->unread_only && c.unread == 0))
			continue;
		last = (struct store_place){ true, db_int(q, p->place_column),
			c.id };
		more = p->row(p->ctx, &c);
		n++;
	}
	db_end(q);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err
store_contacts(struct store *s, struct store_place from, size_t limit,
    bool (*row)(void *ctx, const struct store_contact *c), void *ctx,
    struct store_place *ret_next)
{
	struct page p = { limit, false, 6, row, ctx };
	struct query q =
	    db_query(s, "SELECT " CONTACT_COLUMNS
	                " FROM contact c JOIN conv v ON v.contact = c.id"
	                " WHERE c.n > ?1 ORDER BY c.n");

	db_bind_int(&q, from.set ? from.at : 0);
	return read_page(&q, &p, ret_next);
}

enum err
store_convs(struct store *s, const struct store_conv_query *cq,
    bool (*row)(void *ctx, const struct store_contact *c), void *ctx,
    struct store_place *ret_next)
{
	struct page p = { cq->limit, cq->unread_only, 7, row, ctx };
	struct query q = db_query(s,
	    "SELECT " CONTACT_COLUMNS " FROM conv v INDEXED BY conv_last"
	    " JOIN contact c ON c.id = v.contact"
	    " WHERE (v.last, v.contact) < (?1, ?2)"
	    " ORDER BY v.last DESC, v.contact DESC");

	db_bind_int(&q, cq->from.set ? cq->from.at : INT64_MAX);
	db_bind_blob(&q, cq->from.id.b, sizeof(cq->from.id.b));
	return read_page(&q, &p, ret_next);
}

/* ---- conversations ---- */

enum err
store_conv_read(struct store *s, const struct contact_id *contact, int64_t row)
{
	struct query q =
	    db_query(s, "UPDATE conv SET read = max(read, min(?1, last))"
	                " WHERE contact = ?2");
	enum err err;

	db_bind_int(&q, row);
	db_bind_blob(&q, contact->b, sizeof(contact->b));
	err = db_write(&q);
	if (!err && db_changed(s) == 0)
		return ERR_NOT_FOUND;
	return err;
}

enum err
store_conv_unread(
    struct store *s, const struct contact_id *contact, uint64_t *ret)
{
	struct query q = db_query(s,
	    "SELECT (SELECT count(*) FROM message INDEXED BY message_in"
	    "  WHERE contact = v.contact AND state = 5 AND row > v.read)"
	    " FROM conv v WHERE v.contact = ?1");
	enum err err;

	db_bind_blob(&q, contact->b, sizeof(contact->b));
	err = db_row(&q);
	if (!err)
		*ret = (uint64_t)db_int(&q, 0);
	db_end(&q);
	return err;
}

enum err
store_count(struct store *s, struct store_counts *ret)
{
	struct query q = db_query(s,
	    "SELECT count(*), coalesce(sum(n), 0), coalesce(sum(n > 0), 0),"
	    " (SELECT count(*) FROM message INDEXED BY message_outbox"
	    "  WHERE state IN (1, 2)),"
	    " (SELECT coalesce(max(row), 0) FROM message)"
	    " FROM (SELECT iif(v.last <= v.read, 0,"
	    "  (SELECT count(*) FROM message INDEXED BY message_in"
	    "   WHERE contact = v.contact AND state = 5 AND row > v.read)) AS n"
	    "  FROM conv v)");
	enum err err = db_row(&q);

	if (!err) {
		ret->contacts = (uint64_t)db_int(&q, 0);
		ret->unread = (uint64_t)db_int(&q, 1);
		ret->unread_convs = (uint64_t)db_int(&q, 2);
		ret->waiting = (uint64_t)db_int(&q, 3);
		ret->messages = (uint64_t)db_int(&q, 4);
	}
	db_end(&q);
	return err;
}
