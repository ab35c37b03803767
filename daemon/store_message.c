/* Messages: one row each, unique by (contact, id), text sealed. */
#include "daemon/store_db.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
	BODY_VERSION = 1,
	/* version, original clock, prev, length of client_id */
	BODY_HEAD = 1 + 8 + 32 + 1,
	BODY_MAX = BODY_HEAD + API_CLIENT_ID_MAX + NODE_TEXT_MAX,
};

/* The plain columns that never change are part of the key: who alters one
 * makes the row tampered. */
static struct row_key
body_key(const struct node_message *m)
{
	struct row_key k = row_key("message", "body");

	row_key_add(&k, m->contact.b, sizeof(m->contact.b));
	row_key_add(&k, m->id.b, sizeof(m->id.b));
	row_key_add_u64(&k, m->kind);
	row_key_add_u64(&k, m->seq);
	row_key_add_u64(&k, m->sent_ms);
	row_key_add_u64(&k, m->received_ms);
	row_key_add_u64(&k, m->flags);
	return k;
}

static struct span
body_write(const struct store_message *m, uint8_t *buf, size_t cap)
{
	struct writer w = wr_init(buf, cap);
	struct span client_id = span_str(m->client_id);

	wr_u8(&w, BODY_VERSION);
	wr_u64le(&w, (uint64_t)m->m.sent_ms_original);
	wr_bytes(&w, m->m.prev, sizeof(m->m.prev));
	wr_u8(&w, (uint8_t)client_id.n);
	wr_span(&w, client_id);
	wr_span(&w, m->m.text);
	assert(!w.bad);
	return wr_span_of(&w);
}

static enum err
body_read(struct span body, struct store_message *ret)
{
	struct reader r = rd_init(body);
	uint8_t version = rd_u8(&r);
	size_t n;

	ret->m.sent_ms_original = (int64_t)rd_u64le(&r);
	rd_bytes(&r, ret->m.prev, sizeof(ret->m.prev));
	n = rd_u8(&r);
	if (version != BODY_VERSION || n > API_CLIENT_ID_MAX)
		return ERR_MALFORMED;
	rd_bytes(&r, ret->client_id, n);
	ret->client_id[n] = '\0';
	ret->m.text = rd_span(&r, r.n);
	return rd_done(&r) ? ERR_OK : ERR_MALFORMED;
}

static enum err
insert(struct store *s, const struct store_message *m)
{
	struct row_key key = body_key(&m->m);
	uint8_t *buf = malloc(BODY_MAX);
	struct query q;
	struct span body;

	if (!buf)
		return ERR_NOMEM;
	body = body_write(m, buf, BODY_MAX);
	q = db_query(s,
	    "INSERT OR IGNORE INTO message"
	    "(id, contact, kind, state, seq, sent_ms, received_ms, state_ms,"
	    " flags, body)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
	db_bind_blob(&q, m->m.id.b, sizeof(m->m.id.b));
	db_bind_blob(&q, m->m.contact.b, sizeof(m->m.contact.b));
	db_bind_int(&q, m->m.kind);
	db_bind_int(&q, m->m.state);
	db_bind_int(&q, (int64_t)m->m.seq);
	db_bind_int(&q, (int64_t)m->m.sent_ms);
	db_bind_int(&q, (int64_t)m->m.received_ms);
	db_bind_int(&q, (int64_t)m->state_ms);
	db_bind_int(&q, m->m.flags);
	db_bind_sealed(&q, &key, body);
	sodium_memzero(buf, body.n);
	free(buf);
	return db_write(&q);
}

/* The row is there: is it the same message? */
static enum err
compare_stored(struct store *s, const struct store_message *m)
{
	struct store_message have;
	enum err err = store_message_get(s, &m->m.contact, &m->m.id, &have);

	if (err == ERR_AUTH) /* cannot tell: the first one is kept */
		return ERR_EXISTS;
	if (err)
		return err;
	if (have.m.seq == m->m.seq && span_eq(have.m.text, m->m.text) &&
	    store_message_is_ours(&have) == store_message_is_ours(m))
		return ERR_EXISTS;
	return ERR_CONFLICT;
}

enum err
store_message_add(struct store *s, struct store_message *m)
{
	enum err err;
	struct query q;

	assert(m->m.text.n <= NODE_TEXT_MAX);
	if (!store_has_key(s))
		return ERR_STATE;
	err = insert(s, m);
	if (err)
		return err;
	if (db_changed(s) == 0)
		return compare_stored(s, m);
	m->row = sqlite3_last_insert_rowid(s->db);
	q = db_query(s,
	    "INSERT INTO conv(contact, last) VALUES(?1, ?2)"
	    " ON CONFLICT(contact) DO UPDATE SET last = excluded.last");
	db_bind_blob(&q, m->m.contact.b, sizeof(m->m.contact.b));
	db_bind_int(&q, m->row);
	return db_write(&q);
}

enum err
store_message_move(struct store *s, const struct contact_id *contact,
    const struct message_id *id, enum message_state state, uint64_t now_ms)
{
	struct query q = db_query(
	    s, "SELECT row, state FROM message WHERE id = ?1 AND contact = ?2");
	int64_t old = 0;
	int64_t row = 0;
	enum err err;

	db_bind_blob(&q, id->b, sizeof(id->b));
	db_bind_blob(&q, contact->b, sizeof(contact->b));
	err = db_row(&q);
	if (!err) {
		row = db_int(&q, 0);
		old = db_int(&q, 1);
	}
	db_end(&q);
	if (err)
		return err;
	/* Final states stay; sent may fall back to queued (session lost). */
	if (old == (int64_t)state || old == MESSAGE_DELIVERED ||
	    old == MESSAGE_FAILED || old == MESSAGE_RECEIVED)
		return ERR_EXISTS;
	q = db_query(
	    s, "UPDATE message SET state = ?1, state_ms = ?2 WHERE row = ?3");
	db_bind_int(&q, state);
	db_bind_int(&q, (int64_t)now_ms);
	db_bind_int(&q, row);
	return db_write(&q);
}

/* ---- reading ---- */

#define MESSAGE_COLUMNS \
	"row, id, contact, kind, state, seq, sent_ms, received_ms, state_ms," \
	" flags, body"

/* ERR_AUTH: does not open. text is borrowed from buf. */
static enum err
read_message(
    const struct query *q, struct store_buf *buf, struct store_message *ret)
{
	struct store_message m = { 0 };
	int64_t state = db_int(q, 4);
	struct row_key key;
	struct span body;
	enum err err;

	m.row = db_int(q, 0);
	db_bytes(q, 1, m.m.id.b, sizeof(m.m.id.b));
	db_bytes(q, 2, m.m.contact.b, sizeof(m.m.contact.b));
	m.m.kind = MESSAGE_TEXT;
	if (state < MESSAGE_QUEUED || state > MESSAGE_RECEIVED)
		state = MESSAGE_FAILED;
	m.m.state = (enum message_state)state;
	m.m.seq = (uint64_t)db_int(q, 5);
	m.m.sent_ms = (uint64_t)db_int(q, 6);
	m.m.received_ms = (uint64_t)db_int(q, 7);
	m.state_ms = (uint64_t)db_int(q, 8);
	m.m.flags = (uint32_t)db_int(q, 9);
	key = body_key(&m.m);
	err = db_open_sealed(q, 10, &key, buf, &body);
	if (!err)
		err = body_read(body, &m) ? ERR_AUTH : ERR_OK;
	if (!err)
		*ret = m;
	return err;
}

enum err
store_message_get(struct store *s, const struct contact_id *contact,
    const struct message_id *id, struct store_message *ret)
{
	struct query q =
	    db_query(s, contact ? "SELECT " MESSAGE_COLUMNS " FROM message"
	                          " WHERE id = ?1 AND contact = ?2"
	                        : "SELECT " MESSAGE_COLUMNS " FROM message"
	                          " WHERE id = ?1 ORDER BY row LIMIT 1");
	enum err err;

	db_bind_blob(&q, id->b, sizeof(id->b));
	if (contact)
		db_bind_blob(&q, contact->b, sizeof(contact->b));
	err = db_row(&q);
	if (!err)
		err = read_message(&q, &s->get_buf, ret);
	db_end(&q);
	return err;
}

/* Hands over the rows of a bound query; one that does not open is left out. */
static enum err
each_message(struct query *q, size_t limit,
    bool (*row)(void *ctx, const struct store_message *m), void *ctx)
{
	struct store_buf buf = { 0 };
	struct store_message m;
	size_t n = 0;
	enum err err = ERR_OK;

	while (n < limit && (err = db_row(q)) == ERR_OK) {
		err = read_message(q, &buf, &m);
		if (err == ERR_AUTH)
			continue;
		if (err || !row(ctx, &m))
			break;
		n++;
	}
	db_end(q);
	store_buf_clear(&buf);
	return err == ERR_NOT_FOUND || err == ERR_AUTH ? ERR_OK : err;
}

enum err
store_history(struct store *s, const struct store_history *h,
    bool (*row)(void *ctx, const struct store_message *m), void *ctx)
{
	struct query q = db_query(
	    s, h->after ? "SELECT " MESSAGE_COLUMNS
	                  " FROM message INDEXED BY message_conv"
	                  " WHERE contact = ?1 AND row > ?2 ORDER BY row"
	                : "SELECT " MESSAGE_COLUMNS
	                  " FROM message INDEXED BY message_conv"
	                  " WHERE contact = ?1 AND row < ?2 ORDER BY row DESC");
	int64_t before = h->before ? h->before : INT64_MAX;

	db_bind_blob(&q, h->contact.b, sizeof(h->contact.b));
	db_bind_int(&q, h->after ? h->after : before);
	return each_message(&q, h->limit, row, ctx);
}

enum err
store_outbox(struct store *s,
    bool (*row)(void *ctx, const struct store_message *m), void *ctx)
{
	struct query q = db_query(s,
	    "SELECT " MESSAGE_COLUMNS " FROM message INDEXED BY message_outbox"
	    " WHERE state IN (1, 2) ORDER BY contact, seq");

	return each_message(&q, SIZE_MAX, row, ctx);
}
