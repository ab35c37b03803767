/* What the node gets back at a start. This is the one file of the store that
 * calls the node. */
#include "daemon/store_db.h"

#include "daemon/log.h"

#include <assert.h>
#include <string.h>

/* ---- loading ---- */

struct loading {
	struct node *n;
	struct now now;
	size_t skipped;
	enum err err; /* of load_message, which cannot return it */
};

static void
skip(struct loading *l, const char *what, enum err err)
{
	l->skipped++;
	log_event(
	    LOG_WARNING, "load-skipped", "what=%s err=%s", what, err_name(err));
}

static enum err
load_self(struct store *s, struct loading *l, const struct id_seed *seed)
{
	struct store_buf buf = { 0 };
	struct span self = { NULL, 0 };
	enum err err = store_self_get(s, &buf, &self);

	if (err == ERR_AUTH) /* new static keys are made; contacts learn them */
		skip(l, "self", err);
	if (err && err != ERR_NOT_FOUND && err != ERR_AUTH)
		goto out;
	err = node_set_identity(l->n, seed, self, l->now);
	if (err == ERR_MALFORMED && self.n) {
		skip(l, "self", err);
		err = node_set_identity(l->n, seed, span_of(NULL, 0), l->now);
	}
out:
	store_buf_clear(&buf);
	return err;
}

static enum err
load_records(
    struct store *s, struct loading *l, const char *table, const char *sql)
{
	struct query q = db_query(s, sql);
	struct store_buf buf = { 0 };
	struct contact_id contact;
	struct message_id invite;
	uint8_t id[16];
	struct span record;
	enum err err;

	_Static_assert(sizeof(contact.b) == sizeof(id), "one size of ids");
	while ((err = db_row(&q)) == ERR_OK) {
		struct row_key key = row_key(table, "record");

		db_bytes(&q, 0, id, sizeof(id));
		row_key_add(&key, id, sizeof(id));
		key.k = db_int(&q, 2);
		memcpy(contact.b, id, sizeof(id));
		memcpy(invite.b, id, sizeof(id));
		err = db_open_sealed(&q, 1, &key, &buf, &record);
		if (!err)
			err = table[0] == 'c' ? node_load_contact(l->n,
			                            &contact, record, l->now)
			                      : node_load_invite(l->n, &invite,
			                            record, l->now);
		if (err == ERR_NOMEM) /* it would be missing until a restart */
			break;
		if (err)
			skip(l, table, err);
	}
	db_end(&q);
	store_buf_clear(&buf);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static bool
load_message(void *ctx, const struct store_message *m)
{
	struct loading *l = ctx;
	struct node_message sent = m->m;
	enum err err;

	if (m->unsent.n > 0) /* what was changed since follows it */
		sent.text = m->unsent;
	err = node_load_outbox(l->n, &sent, l->now);
	if (err == ERR_NOMEM)
		l->err = err;
	else if (err)
		skip(l, "message", err);
	return !l->err;
}

enum err
store_load_node(
    struct store *s, struct node *n, const struct id_seed *seed, struct now now)
{
	struct loading l = { .n = n, .now = now };
	enum err err = load_self(s, &l, seed);

	if (!err)
		err = load_records(s, &l, "contact",
		    "SELECT id, record, k FROM contact ORDER BY n");
	if (!err)
		err = load_records(s, &l, "invite",
		    "SELECT id, record, 0 FROM invite"
		    " WHERE state = 1 AND record IS NOT NULL");
	if (!err)
		err = store_outbox(s, load_message, &l);
	return err ? err : l.err;
}
