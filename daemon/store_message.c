/* Messages: one row each, unique by (contact, id), text sealed under the key of
 * its block. */
#include "daemon/store_keys.h"

#include <assert.h>
#include <string.h>

static enum err
insert(struct store *s, const struct store_message *m)
{
	struct query q;
	enum err err;

	q = db_query(s,
	    "INSERT OR IGNORE INTO message"
	    "(id, contact, kind, state, seq, sent_ms, received_ms, state_ms,"
	    " flags, k, body)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)");
	db_bind_blob(&q, m->m.id.b, sizeof(m->m.id.b));
	db_bind_blob(&q, m->m.contact.b, sizeof(m->m.contact.b));
	db_bind_int(&q, m->m.kind);
	db_bind_int(&q, m->m.state);
	db_bind_int(&q, (int64_t)m->m.seq);
	db_bind_int(&q, (int64_t)m->m.sent_ms);
	db_bind_int(&q, (int64_t)m->m.received_ms);
	db_bind_int(&q, (int64_t)m->state_ms);
	db_bind_int(&q, m->m.flags);
	db_bind_int(&q, m->block);
	err = body_bind(&q, m);
	if (err) {
		db_end(&q);
		return err;
	}
	return db_write(&q);
}

void
store_watch_texts(
    struct store *s, void (*changed)(void *ctx, int64_t row), void *ctx)
{
	s->text_changed = changed;
	s->text_ctx = ctx;
}

static void
tell_changed(struct store *s, int64_t row)
{
	if (s->text_changed)
		s->text_changed(s->text_ctx, row);
}

enum err
store_messages_forget_words(struct store *s, const struct contact_id *contact)
{
	struct query q;
	enum err err = ERR_NOT_FOUND;

	if (!s->text_changed)
		return ERR_OK;
	q = db_query(s, "SELECT row FROM message INDEXED BY message_conv"
	                " WHERE contact = ?1");
	db_bind_blob(&q, contact->b, sizeof(contact->b));
	while ((err = db_row(&q)) == ERR_OK)
		tell_changed(s, db_int(&q, 0));
	db_end(&q);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err
store_message_rewrite(struct store *s, const struct store_message *m)
{
	struct query q =
	    db_query(s, "UPDATE message SET body = ?1, k = ?2 WHERE row = ?3");
	enum err err = body_bind(&q, m);

	if (err) {
		db_end(&q);
		return err;
	}
	db_bind_int(&q, m->block);
	db_bind_int(&q, m->row);
	fresh_drop(s, m);
	recent_drop(s, m);
	tell_changed(s, m->row);
	return db_write(&q);
}

enum err
store_message_number(struct store *s, const struct contact_id *contact,
    const struct message_id *id, uint64_t seq, const uint8_t prev[32])
{
	struct store_message m;
	struct query q;
	enum err err = store_batch_flush(s);

	if (!err)
		err = store_message_get(s, contact, id, &m);
	if (err)
		return err == ERR_AUTH ? ERR_NOT_FOUND : err;
	if (!store_message_is_ours(&m)) /* somebody was at the file */
		return ERR_NOT_FOUND;
	m.m.seq = seq;
	memcpy(m.m.prev, prev, sizeof(m.m.prev));
	q = db_query(s, "UPDATE message SET seq = ?1 WHERE row = ?2");
	db_bind_int(&q, (int64_t)seq);
	db_bind_int(&q, m.row);
	err = db_write(&q);
	return err ? err : store_message_rewrite(s, &m);
}

/* What it said before is to be no more. */
static enum err
rewrite(struct store *s, const struct store_message *m)
{
	enum err err = store_message_rewrite(s, m);

	return err ? err : store_keys_renew(s, m->block);
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
	/* Under another number: it was sent once more. */
	if ((have.deleted || have.edited_ms > 0 ||
	        span_eq(have.m.text, m->m.text)) &&
	    store_message_is_ours(&have) == store_message_is_ours(m))
		return ERR_EXISTS;
	return ERR_CONFLICT;
}

enum err
store_message_add(struct store *s, struct store_message *m)
{
	enum err err;

	assert(m->m.text.n <= NODE_TEXT_MAX);
	if (!store_has_key(s))
		return ERR_STATE;
	err = store_message_is_ours(m) ? ERR_OK : store_mark_find(s, &m->m);
	if (err)
		return err;
	err = store_keys_block(s, &m->m.contact, body_size(m), &m->block);
	if (!err)
		err = insert(s, m);
	if (err)
		return err;
	if (db_changed(s) == 0)
		return compare_stored(s, m);
	m->row = sqlite3_last_insert_rowid(s->db);
	tell_changed(s, m->row);
	err = timer_add(s, m);
	if (err || m->m.kind != MESSAGE_TEXT)
		return err;
	if (m->m.state == MESSAGE_QUEUED || m->m.state == MESSAGE_SENT)
		fresh_put(s, m);
	recent_put(s, m);
	return batch_last(s, &m->m.contact, m->row);
}

/* Its place in the history. */
static enum err
leave_row(struct store *s, const struct store_message *m)
{
	struct query q = db_query(s, "DELETE FROM message WHERE row = ?1");
	enum err err;

	db_bind_int(&q, m->row);
	err = db_write(&q);
	if (!err)
		err = timer_drop(s, m->row);
	recent_drop(s, m);
	tell_changed(s, m->row);
	return err ? err : store_keys_renew(s, m->block);
}

enum err
store_message_again(struct store *s, struct store_message *m)
{
	struct store_message old;
	enum err err = store_batch_flush(s);

	if (!err)
		err = store_message_get(s, &m->m.contact, &m->m.id, &old);
	if (err)
		return err;
	if (old.m.state != MESSAGE_FAILED || !store_message_is_ours(m))
		return ERR_EXISTS;
	err = leave_row(s, &old);
	if (!err)
		err = store_message_add(s, m);
	return err ? err : store_reactions_reseal(s, m);
}

/* ---- what happens to them ---- */

/* By contact and id, with all of its body. */
static enum err find(struct store *s, const struct contact_id *contact,
    const struct message_id *id, struct store_message *ret);

/* It is there, or never will be: what was kept only to be sent is erased. */
static enum err
forget_sent(struct store *s, struct store_message *m)
{
	if (m->m.kind == MESSAGE_TEXT && m->unsent.n == 0)
		return ERR_OK;
	if (m->m.kind != MESSAGE_TEXT)
		m->m.text = span_of(NULL, 0);
	m->unsent = span_of(NULL, 0);
	return rewrite(s, m);
}

enum err
store_message_move(struct store *s, const struct contact_id *contact,
    const struct message_id *id, enum message_state state, uint64_t now_ms,
    struct store_message *ret)
{
	bool is_fresh = fresh_find(s, contact, id, ret);
	enum err err = is_fresh ? ERR_OK : store_batch_flush(s);
	enum message_state old;
	bool is_final;

	if (!err && !is_fresh)
		err = find(s, contact, id, ret);
	if (err)
		return err == ERR_AUTH ? ERR_NOT_FOUND : err;
	/* Final states stay; sent may fall back to queued (session lost). */
	old = ret->m.state;
	if (old == state || old >= MESSAGE_DELIVERED)
		return ERR_EXISTS;
	is_final = state == MESSAGE_DELIVERED || state == MESSAGE_FAILED;
	if (is_final && ret->m.flags & MESSAGE_FLAG_CLEARED)
		return store_cleared_sent(s, ret);
	if (is_final)
		err = forget_sent(s, ret);
	if (!err && is_final)
		err = timer_delivered(s, ret, now_ms);
	ret->m.state = state;
	ret->state_ms = now_ms;
	fresh_moved(s, ret);
	return err ? err : batch_state(s, ret->row, state, now_ms);
}

enum err
store_message_reason(struct store *s, int64_t row, enum message_reason reason)
{
	struct query q;
	enum err err = store_batch_flush(s); /* a new state has no reason */

	if (err)
		return err;
	q = db_query(s, "UPDATE message SET reason = ?1 WHERE row = ?2");
	db_bind_int(&q, reason);
	db_bind_int(&q, row);
	return db_write(&q);
}

/* A text that an edit, a deletion or a reaction may be about. */
static enum err
find_text(struct store *s, const struct contact_id *contact,
    const struct message_id *id, struct store_message *ret)
{
	enum err err = find(s, contact, id, ret);

	if (!err && (ret->m.kind != MESSAGE_TEXT || ret->deleted))
		return ERR_NOT_FOUND;
	return err == ERR_AUTH ? ERR_NOT_FOUND : err;
}

/* The text m says something else, or nothing. What is in the outbox stays
 * until it was sent: the hash of what follows covers it. */
static enum err
replace_text(struct store *s, struct store_message *m, struct span text)
{
	if (m->unsent.n == 0 &&
	    (m->m.state == MESSAGE_QUEUED || m->m.state == MESSAGE_SENT))
		m->unsent = m->m.text;
	m->m.text = text;
	return rewrite(s, m);
}

static enum err
delete_text(struct store *s, struct store_message *m)
{
	enum err err;

	m->deleted = true;
	err = replace_text(s, m, span_of(NULL, 0));
	return err ? err : store_reactions_remove(s, m);
}

enum err
store_message_change(
    struct store *s, const struct store_message *what, uint64_t now_ms)
{
	bool ours = store_message_is_ours(what);
	struct store_message m;
	enum err err;

	assert(what->m.kind != MESSAGE_TEXT && what->m.has_ref);
	if (!store_has_key(s))
		return ERR_STATE;
	err = find_text(s, &what->m.contact, &what->m.ref, &m);
	if (err)
		return err;
	if (what->m.kind == MESSAGE_REACTION)
		return store_react(s, &m, ours, what->m.text);
	if (store_message_is_ours(&m) != ours)
		return ERR_NOT_FOUND;
	if (what->m.kind == MESSAGE_DELETE)
		return delete_text(s, &m);
	m.edited_ms = now_ms;
	return replace_text(s, &m, what->m.text);
}

enum err
store_message_delete(struct store *s, const struct contact_id *contact,
    const struct message_id *id)
{
	struct store_message m;
	enum err err = find_text(s, contact, id, &m);

	return err ? err : delete_text(s, &m);
}

/* ---- reading ---- */

enum err
store_last_row(struct store *s, int64_t *ret)
{
	struct query q =
	    db_query(s, "SELECT coalesce(max(row), 0) FROM message");

	return db_one_int(&q, ret);
}

/* Every query that gives messages begins so, with an index between them. */
#define COLUMNS(timer) \
	"SELECT m.row, id, m.contact, kind, state, seq, sent_ms, received_ms," \
	" state_ms, flags, body, k, " timer ", reason FROM message m"
#define MESSAGES COLUMNS("ttl, gone_ms")
#define TIMERS   " LEFT JOIN timer t ON t.row = m.row"

/* All but id and contact, which are set. ERR_AUTH: does not open. text is
 * borrowed from buf. */
static enum err
read_rest(const struct query *q, struct store_buf *buf, struct store_message *m)
{
	int64_t state = db_int(q, 4), reason = db_int(q, 14);

	m->row = db_int(q, 0);
	m->m.kind = (enum message_kind)db_int(q, 3);
	if (state < MESSAGE_QUEUED || state > MESSAGE_READ)
		state = MESSAGE_FAILED;
	m->m.state = (enum message_state)state;
	m->m.seq = (uint64_t)db_int(q, 5);
	m->m.sent_ms = (uint64_t)db_int(q, 6);
	m->m.received_ms = (uint64_t)db_int(q, 7);
	m->state_ms = (uint64_t)db_int(q, 8);
	m->m.flags = (uint32_t)db_int(q, 9);
	m->block = db_int(q, 11);
	m->m.ttl_s = (uint32_t)db_int(q, 12);
	m->gone_ms = (uint64_t)db_int(q, 13);
	if (reason > 0 && reason <= REASON_CANCELLED)
		m->m.reason = (enum message_reason)reason;
	return body_open(q, 10, buf, m);
}

static enum err
read_message(
    const struct query *q, struct store_buf *buf, struct store_message *ret)
{
	struct store_message m = { 0 };
	enum err err;

	db_bytes(q, 1, m.m.id.b, sizeof(m.m.id.b));
	db_bytes(q, 2, m.m.contact.b, sizeof(m.m.contact.b));
	err = read_rest(q, buf, &m);
	if (!err)
		*ret = m;
	return err;
}

static enum err
find(struct store *s, const struct contact_id *contact,
    const struct message_id *id, struct store_message *ret)
{
	struct query q = db_query(s,
	    contact ? MESSAGES TIMERS " WHERE id = ?1 AND m.contact = ?2"
	            : MESSAGES TIMERS " WHERE id = ?1 ORDER BY m.row LIMIT 1");
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

enum err
store_message_at(struct store *s, int64_t row, struct store_buf *buf,
    struct store_message *ret)
{
	struct query q = db_query(s, MESSAGES TIMERS " WHERE m.row = ?1");
	enum err err;

	db_bind_int(&q, row);
	err = db_row(&q);
	if (!err)
		err = read_message(&q, buf, ret);
	db_end(&q);
	return err;
}

enum err
store_message_get(struct store *s, const struct contact_id *contact,
    const struct message_id *id, struct store_message *ret)
{
	return find(s, contact, id, ret);
}

/* ---- many, about in the order they were added ---- */

static bool
is_at(const struct query *q, const struct contact_id *contact,
    const struct message_id *id)
{
	return span_eq(db_blob(q, 1), span_of(id->b, sizeof(id->b))) &&
	       span_eq(db_blob(q, 2), span_of(contact->b, sizeof(contact->b)));
}

/* Where no text disappears, no row's timer is looked for. */
static bool
any_timers(struct store *s)
{
	struct query q = db_query(s, "SELECT 1 FROM timer LIMIT 1");
	int64_t one;

	return db_one_int(&q, &one) != ERR_NOT_FOUND;
}

/* The row after the one given last, if it is the one wanted. */
static bool
step_to(struct message_walk *w, const struct contact_id *contact,
    const struct message_id *id)
{
	if (w->last > 0 && !w->ahead) {
		w->q = db_query(w->s,
		    any_timers(w->s)
		        ? MESSAGES TIMERS " WHERE m.row > ?1 ORDER BY m.row"
		        : COLUMNS("0, 0") " WHERE m.row > ?1 ORDER BY m.row");
		db_bind_int(&w->q, w->last);
		w->ahead = true;
	}
	if (w->ahead && db_row(&w->q) == ERR_OK && is_at(&w->q, contact, id))
		return true;
	message_walk_end(w);
	return false;
}

enum err
message_walk_get(struct message_walk *w, const struct contact_id *contact,
    const struct message_id *id, const struct store_message **ret)
{
	struct store_message *m = &w->m;
	enum err err;

	if (step_to(w, contact, id)) {
		*m = (struct store_message){ .m = { .id = *id,
			                         .contact = *contact } };
		err = read_rest(&w->q, &w->s->get_buf, m);
	} else {
		err = find(w->s, contact, id, m);
		if (!err)
			w->last = m->row;
	}
	if (!err)
		*ret = m;
	return err;
}

void
message_walk_end(struct message_walk *w)
{
	if (w->ahead)
		db_end(&w->q);
	w->ahead = false;
	w->last = 0;
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
	return store_is_gone(err) ? ERR_OK : err;
}

enum err
store_history(struct store *s, const struct store_history *h,
    bool (*row)(void *ctx, const struct store_message *m), void *ctx)
{
	struct query q = db_query(s,
	    h->after
	        ? MESSAGES " INDEXED BY message_conv" TIMERS
	                   " WHERE m.contact = ?1 AND m.row > ?2 AND kind = 1"
	                   " AND flags & 4 = 0 ORDER BY m.row"
	        : MESSAGES " INDEXED BY message_conv" TIMERS
	                   " WHERE m.contact = ?1 AND m.row < ?2 AND kind = 1"
	                   " AND flags & 4 = 0 ORDER BY m.row DESC");
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
	    MESSAGES " INDEXED BY message_outbox" TIMERS
	             " WHERE state IN (1, 2) ORDER BY m.contact, seq");

	return each_message(&q, SIZE_MAX, row, ctx);
}

enum err
store_outbox_fail(
    struct store *s, const struct contact_id *contact, uint64_t now_ms)
{
	enum err err = ERR_OK;

	fresh_clear(s);
	while (!err) { /* a row at a time: it is written anew */
		struct store_message m;
		struct query q = db_query(s, MESSAGES
		    " INDEXED BY message_outbox" TIMERS
		    " WHERE m.contact = ?1 AND state IN (1, 2) LIMIT 1");
		bool opens = false;
		int64_t row = 0;

		db_bind_blob(&q, contact->b, sizeof(contact->b));
		err = db_row(&q);
		if (!err) {
			row = db_int(&q, 0);
			err = read_message(&q, &s->get_buf, &m);
			opens = err == ERR_OK;
		}
		db_end(&q);
		if (err == ERR_AUTH)
			err = ERR_OK;
		if (!err && opens && m.m.flags & MESSAGE_FLAG_CLEARED) {
			err = store_cleared_sent(s, &m);
			continue;
		}
		if (!err && opens)
			err = forget_sent(s, &m);
		if (!err)
			err = batch_state(s, row, MESSAGE_FAILED, now_ms);
		if (!err) /* or it would be found again */
			err = store_batch_flush(s);
	}
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}
