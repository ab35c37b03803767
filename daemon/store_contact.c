/* Contacts, and the conversation that each of them is. */
#include "daemon/store_keys.h"

#include <assert.h>
#include <string.h>

static struct row_key
contact_key(const char *column, const struct contact_id *id, int64_t key)
{
	struct row_key k = row_key("contact", column);

	k.k = key;
	row_key_add(&k, id->b, sizeof(id->b));
	return k;
}

/* What changes often: the record and the state, of a row that is there. */
static enum err
update(struct store *s, const struct change *c, int64_t k, uint64_t now_ms)
{
	struct row_key pk_key = contact_key("id_pk", &c->contact, k);
	struct row_key record_key = contact_key("record", &c->contact, k);
	struct query q = db_query(s,
	    "UPDATE contact SET id_pk = ?1, record = ?2, state = ?3,"
	    " ready_ms = iif(ready_ms, ready_ms, ?4),"
	    /* Of a key that was lost, nothing is left. */
	    " name = iif(k = ?6, name, NULL),"
	    " profile = iif(k = ?6, profile, NULL), k = ?6 WHERE id = ?5");

	db_bind_sealed(&q, &pk_key, span_of(c->id_pk.b, sizeof(c->id_pk.b)));
	db_bind_sealed(&q, &record_key, c->record);
	db_bind_int(&q, c->contact_state);
	db_bind_int(
	    &q, c->contact_state == CONTACT_READY ? (int64_t)now_ms : 0);
	db_bind_blob(&q, c->contact.b, sizeof(c->contact.b));
	db_bind_int(&q, k);
	return db_write(&q);
}

enum err
store_contact_put(
    struct store *s, const struct change *c, uint64_t now_ms, bool *ret_new)
{
	struct row_key pk_key, record_key;
	int64_t k = 0;
	enum err err;
	struct query q;

	if (!store_has_key(s))
		return ERR_STATE;
	err = store_keys_of(s, &c->contact, KEY_CONTACT, &k);
	if (!err)
		err = update(s, c, k, now_ms);
	*ret_new = !err && db_changed(s) == 0;
	if (err || !*ret_new)
		return err;
	pk_key = contact_key("id_pk", &c->contact, k);
	record_key = contact_key("record", &c->contact, k);
	q = db_query(s, "INSERT INTO contact"
	                "(id, id_pk, record, state, created_ms, ready_ms, k)"
	                " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)");
	db_bind_blob(&q, c->contact.b, sizeof(c->contact.b));
	db_bind_sealed(&q, &pk_key, span_of(c->id_pk.b, sizeof(c->id_pk.b)));
	db_bind_sealed(&q, &record_key, c->record);
	db_bind_int(&q, c->contact_state);
	db_bind_int(&q, (int64_t)now_ms);
	db_bind_int(
	    &q, c->contact_state == CONTACT_READY ? (int64_t)now_ms : 0);
	db_bind_int(&q, k);
	err = db_write(&q);
	if (err)
		return err;
	q = db_query(s, "INSERT OR IGNORE INTO conv(contact) VALUES(?1)");
	db_bind_blob(&q, c->contact.b, sizeof(c->contact.b));
	return db_write(&q);
}

static enum err
remove_person(struct store *s, const struct contact_id *id)
{
	static const char *const sql[] = {
		"DELETE FROM conv WHERE contact = ?1",
		"DELETE FROM mark WHERE contact = ?1",
	};
	enum err err = db_write_for(s, "DELETE FROM contact WHERE id = ?1", id);

	s->ttl_known = false;
	if (!err && db_changed(s) == 0)
		return ERR_NOT_FOUND;
	for (size_t i = 0; i < sizeof(sql) / sizeof(*sql) && !err; i++)
		err = db_write_for(s, sql[i], id);
	if (!err)
		err = events_remove_person(s, id);
	if (!err)
		err = store_keys_remove(s, id, KEY_DRAFT);
	return err ? err : store_keys_remove(s, id, KEY_CONTACT);
}

static enum err
remove_history(struct store *s, const struct contact_id *id)
{
	static const char *const sql[] = {
		"DELETE FROM reaction WHERE contact = ?1",
		"DELETE FROM timer WHERE contact = ?1",
		"DELETE FROM message WHERE contact = ?1",
		"DELETE FROM event WHERE conv = ?1",
		"DELETE FROM invite WHERE used_by = ?1",
	};
	enum err err = events_flush(s);

	recent_clear(s);
	if (!err)
		err = store_messages_forget_words(s, id);
	for (size_t i = 0; i < sizeof(sql) / sizeof(*sql) && !err; i++)
		err = db_write_for(s, sql[i], id);
	if (!err)
		err = store_keys_remove(s, id, KEY_BLOCK);
	return err ? err : store_keys_remove(s, id, KEY_CONV);
}

enum err
store_contact_remove(
    struct store *s, const struct contact_id *id, bool history, uint64_t now_ms)
{
	enum err err;

	if (!store_has_key(s))
		return ERR_STATE;
	fresh_clear(s);
	err = remove_person(s, id);
	if (err)
		return err;
	return history ? remove_history(s, id)
	               : store_outbox_fail(s, id, now_ms);
}

/* ERR_NOT_FOUND; ERR_AUTH: its key is not there. */
static enum err
key_in_row(struct store *s, const struct contact_id *id, int64_t *ret)
{
	struct query q = db_query(s, "SELECT k FROM contact WHERE id = ?1");
	enum err err;

	db_bind_blob(&q, id->b, sizeof(id->b));
	err = db_one_int(&q, ret);
	return !err && !store_keys_find(s, *ret) ? ERR_AUTH : err;
}

static enum err
set_name(struct store *s, const char *column, const char *sql,
    const struct contact_id *id, struct span name)
{
	struct row_key key;
	int64_t k = 0;
	enum err err;
	struct query q;

	assert(name.n <= STORE_NAME_MAX);
	if (!store_has_key(s))
		return ERR_STATE;
	err = key_in_row(s, id, &k);
	if (err)
		return err;
	key = contact_key(column, id, k);
	q = db_query(s, sql);
	db_bind_sealed(&q, &key, name);
	db_bind_blob(&q, id->b, sizeof(id->b));
	err = db_write(&q);
	if (!err && db_changed(s) == 0)
		return ERR_NOT_FOUND;
	return err;
}

enum err
store_contact_rename(
    struct store *s, const struct contact_id *id, struct span name)
{
	return set_name(
	    s, "name", "UPDATE contact SET name = ?1 WHERE id = ?2", id, name);
}

enum err
store_contact_profile(
    struct store *s, const struct contact_id *id, struct span profile)
{
	return set_name(s, "profile",
	    "UPDATE contact SET profile = ?1 WHERE id = ?2", id, profile);
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
	" v.flags, v.draft IS NOT NULL, c.k, v.ttl, c.profile"

/* One that does not open is no name. */
static enum err
read_name(const struct query *q, int column, const char *what,
    const struct contact_id *id, char ret[STORE_NAME_MAX + 1])
{
	struct row_key key = contact_key(what, id, db_int(q, 13));
	struct store_buf buf = { 0 };
	struct span v = { NULL, 0 };
	enum err err = ERR_OK;

	if (db_blob(q, column).n)
		err = db_open_sealed(q, column, &key, &buf, &v);
	if (!err && v.n <= STORE_NAME_MAX && v.n > 0)
		memcpy(ret, v.p, v.n);
	store_buf_clear(&buf);
	return err == ERR_AUTH ? ERR_OK : err;
}

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
	key = contact_key("id_pk", &c.id, db_int(q, 13));
	err = db_open_sealed(q, 1, &key, &buf, &v);
	if (err)
		goto out;
	if (v.n != sizeof(c.id_pk.b)) {
		err = ERR_AUTH;
		goto out;
	}
	memcpy(c.id_pk.b, v.p, v.n);
	err = read_name(q, 2, "name", &c.id, c.name);
	if (!err)
		err = read_name(q, 15, "profile", &c.id, c.profile);
	if (err)
		goto out;
	c.state = CONTACT_WAITING;
	if (db_int(q, 3) == CONTACT_READY || db_int(q, 3) == CONTACT_BLOCKED)
		c.state = (enum contact_state)db_int(q, 3);
	c.created_ms = (uint64_t)db_int(q, 4);
	c.ready_ms = (uint64_t)db_int(q, 5);
	c.last_row = db_int(q, 7);
	c.read_row = db_int(q, 8);
	c.last_seen_ms = (uint64_t)db_int(q, 9);
	c.unread = (uint64_t)db_int(q, 10);
	store_conv_from_flags(db_int(q, 11), &c.conv);
	c.conv.has_draft = db_int(q, 12) != 0;
	c.conv.ttl_s = (uint32_t)db_int(q, 14);
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
	int64_t n = 0;
	enum err err;

	db_bind_blob(&q, contact->b, sizeof(contact->b));
	err = db_one_int(&q, &n);
	if (!err)
		*ret = (uint64_t)n;
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

/* ---- a store of an older version ---- */

/* Opened columns of one row; name is NULL if there is none. */
struct opened {
	struct contact_id id;
	struct store_buf pk, name, record;
	struct span pk_is, name_is, record_is;
};

static enum err
open_row(const struct query *q, struct opened *o)
{
	static const char *const columns[] = { "id_pk", "name", "record" };
	struct store_buf *bufs[] = { &o->pk, &o->name, &o->record };
	struct span *spans[] = { &o->pk_is, &o->name_is, &o->record_is };
	enum err err = ERR_OK;

	db_bytes(q, 0, o->id.b, sizeof(o->id.b));
	for (int i = 0; i < 3 && !err; i++) {
		struct row_key key = contact_key(columns[i], &o->id, 0);

		*spans[i] = span_of(NULL, 0);
		if (db_blob(q, 1 + i).n > 0)
			err = db_open_sealed(q, 1 + i, &key, bufs[i], spans[i]);
	}
	return err;
}

static enum err
seal_row(struct store *s, const struct opened *o)
{
	struct row_key key;
	struct query q;
	int64_t k = 0;
	enum err err = store_keys_of(s, &o->id, KEY_CONTACT, &k);

	if (err)
		return err;
	q = db_query(s, "UPDATE contact SET id_pk = ?1, record = ?2,"
	                " name = ?3, k = ?4 WHERE id = ?5");
	key = contact_key("id_pk", &o->id, k);
	db_bind_sealed(&q, &key, o->pk_is);
	key = contact_key("record", &o->id, k);
	db_bind_sealed(&q, &key, o->record_is);
	key = contact_key("name", &o->id, k);
	if (o->name_is.p)
		db_bind_sealed(&q, &key, o->name_is);
	else
		db_bind_null(&q);
	db_bind_int(&q, k);
	db_bind_blob(&q, o->id.b, sizeof(o->id.b));
	return db_write(&q);
}

enum err
store_contacts_reseal(struct store *s)
{
	struct opened o = { .pk_is = { 0 } };
	int64_t n = 0;
	enum err err = ERR_OK;

	while (!err) { /* one at a time: it is written anew */
		struct query q =
		    db_query(s, "SELECT id, id_pk, name, record, n FROM contact"
		                " WHERE k = 0 AND n > ?1 ORDER BY n LIMIT 1");

		db_bind_int(&q, n);
		err = db_row(&q);
		if (!err) {
			n = db_int(&q, 4);
			err = open_row(&q, &o);
		}
		db_end(&q);
		if (!err)
			err = seal_row(s, &o);
		if (err == ERR_AUTH) /* it stays as it is */
			err = ERR_OK;
	}
	store_buf_clear(&o.pk);
	store_buf_clear(&o.name);
	store_buf_clear(&o.record);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}
