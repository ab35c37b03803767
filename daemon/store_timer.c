/*
 * Texts that disappear: a row for each as long as it is there. gone_ms is 0
 * until it was read here or, of ours, delivered.
 */
#include "daemon/store_db.h"

#include <assert.h>

enum { UNKNOWN = 0 }; /* of store.timer_ms; no row is due in 1970 */

enum err
timer_add(struct store *s, const struct store_message *m)
{
	struct query q;

	if (m->m.ttl_s == 0)
		return ERR_OK;
	q = db_query(s, "INSERT INTO timer(row, contact, ours, ttl, gone_ms)"
	                " VALUES(?1, ?2, ?3, ?4, 0)");
	db_bind_int(&q, m->row);
	db_bind_blob(&q, m->m.contact.b, sizeof(m->m.contact.b));
	db_bind_int(&q, store_message_is_ours(m));
	db_bind_int(&q, m->m.ttl_s);
	return db_write(&q);
}

enum err
timer_drop(struct store *s, int64_t row)
{
	struct query q = db_query(s, "DELETE FROM timer WHERE row = ?1");

	db_bind_int(&q, row);
	return db_write(&q);
}

enum err
timer_delivered(struct store *s, const struct store_message *m, uint64_t now_ms)
{
	struct query q;

	if (m->m.ttl_s == 0)
		return ERR_OK;
	if (m->m.kind != MESSAGE_TEXT) /* it was kept to be sent */
		return timer_drop(s, m->row);
	s->timer_ms = UNKNOWN;
	q = db_query(s, "UPDATE timer SET gone_ms = ?1 + 1000 * ttl"
	                " WHERE row = ?2 AND gone_ms = 0");
	db_bind_int(&q, (int64_t)now_ms);
	db_bind_int(&q, m->row);
	return db_write(&q);
}

enum err
store_timer_read(struct store *s, const struct contact_id *contact, int64_t row,
    uint64_t now_ms)
{
	struct query q =
	    db_query(s, "UPDATE timer INDEXED BY timer_unread"
	                " SET gone_ms = ?1 + 1000 * ttl WHERE contact = ?2"
	                " AND ours = 0 AND gone_ms = 0 AND row <= ?3");

	db_bind_int(&q, (int64_t)now_ms);
	db_bind_blob(&q, contact->b, sizeof(contact->b));
	db_bind_int(&q, row);
	s->timer_ms = UNKNOWN;
	return db_write(&q);
}

uint64_t
store_timer_next(struct store *s)
{
	struct query q;
	enum err err;

	if (!store_has_key(s))
		return NEVER;
	if (s->timer_ms != UNKNOWN)
		return s->timer_ms;
	q = db_query(s, "SELECT gone_ms FROM timer INDEXED BY timer_gone"
	                " WHERE gone_ms > 0 ORDER BY gone_ms LIMIT 1");
	err = db_row(&q);
	if (!err)
		s->timer_ms = (uint64_t)db_int(&q, 0);
	else if (err == ERR_NOT_FOUND)
		s->timer_ms = NEVER;
	db_end(&q);
	return s->timer_ms != UNKNOWN ? s->timer_ms : NEVER;
}

/* The row of the timer that is due, and its message as far as it opens. */
static enum err
find_due(struct store *s, uint64_t now_ms, int64_t *ret_row,
    struct contact_id *contact, struct message_id *id)
{
	struct query q = db_query(s, "SELECT t.row, t.contact, m.id"
	                             " FROM timer t INDEXED BY timer_gone"
	                             " LEFT JOIN message m ON m.row = t.row"
	                             " WHERE t.gone_ms > 0 AND t.gone_ms <= ?1"
	                             " ORDER BY t.gone_ms LIMIT 1");
	enum err err;

	db_bind_int(&q, (int64_t)now_ms);
	err = db_row(&q);
	if (!err) {
		*ret_row = db_int(&q, 0);
		db_bytes(&q, 1, contact->b, sizeof(contact->b));
		db_bytes(&q, 2, id->b, sizeof(id->b));
	}
	db_end(&q);
	return err;
}

enum err
store_timer_due(struct store *s, uint64_t now_ms, struct store_message *ret)
{
	struct contact_id contact;
	struct message_id id;
	int64_t row = 0;
	enum err err;

	if (!store_has_key(s))
		return ERR_NOT_FOUND;
	s->timer_ms = UNKNOWN;
	while ((err = find_due(s, now_ms, &row, &contact, &id)) == ERR_OK) {
		err = timer_drop(s, row);
		if (!err)
			err = store_message_get(s, &contact, &id, ret);
		if (!err)
			err = store_message_delete(s, &contact, &id);
		if (err != ERR_NOT_FOUND && err != ERR_AUTH)
			return err; /* deleted before: no news */
	}
	return err;
}
