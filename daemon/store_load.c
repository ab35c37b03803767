/* What the node gets back at a start. This is the one file of the store that
 * calls the node. */
#include "daemon/store_db.h"

#include "daemon/log.h"

#include <assert.h>
#include <string.h>

enum { ENDPOINT_SIZE = 18 };

/* ---- self ---- */

static struct row_key
self_key(void)
{
	return row_key("self", "record");
}

enum err
store_self_set(struct store *s, struct span record)
{
	struct row_key key = self_key();
	struct query q;

	if (!store_has_key(s))
		return ERR_STATE;
	q = db_query(s, "INSERT OR REPLACE INTO meta VALUES('self', ?1)");
	db_bind_sealed(&q, &key, record);
	return db_write(&q);
}

/* ---- profile: created_ms[8] ‖ name, sealed ---- */

static struct row_key
profile_key(void)
{
	return row_key("self", "profile");
}

enum err
store_profile_set(struct store *s, struct span name, uint64_t created_ms)
{
	struct row_key key = profile_key();
	uint8_t buf[8 + STORE_NAME_MAX];
	struct writer w = wr_init(buf, sizeof(buf));
	struct query q;

	assert(name.n <= STORE_NAME_MAX);
	if (!store_has_key(s))
		return ERR_STATE;
	wr_u64le(&w, created_ms);
	wr_span(&w, name);
	q = db_query(s, "INSERT OR REPLACE INTO meta VALUES('profile', ?1)");
	db_bind_sealed(&q, &key, wr_span_of(&w));
	return db_write(&q);
}

enum err
store_profile_get(struct store *s, char ret_name[STORE_NAME_MAX + 1],
    uint64_t *ret_created_ms)
{
	struct query q =
	    db_query(s, "SELECT value FROM meta WHERE key = 'profile'");
	struct row_key key = profile_key();
	struct store_buf buf = { 0 };
	struct span plain = { NULL, 0 };
	enum err err = db_row(&q);

	if (!err)
		err = db_open_sealed(&q, 0, &key, &buf, &plain);
	if (!err && plain.n >= 8 && plain.n <= 8 + STORE_NAME_MAX) {
		struct reader r = rd_init(plain);

		*ret_created_ms = rd_u64le(&r);
		memcpy(ret_name, plain.p + 8, plain.n - 8);
		ret_name[plain.n - 8] = '\0';
	}
	db_end(&q);
	store_buf_clear(&buf);
	return err;
}

/* ---- the DHT's nodes: no secret, needed before the passphrase ---- */

enum err
store_dht_set(struct store *s, const struct endpoint *nodes, size_t n)
{
	uint8_t buf[NODE_SAVED_NODES_MAX * ENDPOINT_SIZE];
	struct writer w = wr_init(buf, sizeof(buf));
	struct query q;

	for (size_t i = 0; i < n && i < NODE_SAVED_NODES_MAX; i++) {
		wr_bytes(&w, nodes[i].addr, sizeof(nodes[i].addr));
		wr_u16be(&w, nodes[i].port);
	}
	q = db_query(s, "INSERT OR REPLACE INTO meta VALUES('dht', ?1)");
	db_bind_blob(&q, buf, w.n);
	return db_write(&q);
}

enum err
store_dht_get(struct store *s, struct endpoint *ret, size_t max, size_t *ret_n)
{
	uint8_t buf[NODE_SAVED_NODES_MAX * ENDPOINT_SIZE];
	struct reader r;
	size_t n = 0;
	enum err err = store_meta_get(s, "dht", buf, sizeof(buf), &n);

	*ret_n = 0;
	if (err)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	r = rd_init(span_of(buf, n));
	while (r.n >= ENDPOINT_SIZE && *ret_n < max) {
		struct endpoint e;

		rd_bytes(&r, e.addr, sizeof(e.addr));
		e.port = rd_u16be(&r);
		ret[(*ret_n)++] = e;
	}
	return ERR_OK;
}

/* ---- loading ---- */

struct loading {
	struct node *n;
	struct now now;
	size_t skipped;
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
	struct query q =
	    db_query(s, "SELECT value FROM meta WHERE key = 'self'");
	struct row_key key = self_key();
	struct store_buf buf = { 0 };
	struct span self = { NULL, 0 };
	enum err err = db_row(&q);

	if (!err) {
		err = db_open_sealed(&q, 0, &key, &buf, &self);
		if (err) /* new static keys are made; contacts learn them */
			skip(l, "self", err);
	}
	db_end(&q);
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
		memcpy(contact.b, id, sizeof(id));
		memcpy(invite.b, id, sizeof(id));
		err = db_open_sealed(&q, 1, &key, &buf, &record);
		if (err == ERR_NOMEM)
			break;
		if (!err)
			err = table[0] == 'c' ? node_load_contact(l->n,
			                            &contact, record, l->now)
			                      : node_load_invite(l->n, &invite,
			                            record, l->now);
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
	enum err err = node_load_outbox(l->n, &m->m, l->now);

	if (err)
		skip(l, "message", err);
	return true;
}

enum err
store_load_node(
    struct store *s, struct node *n, const struct id_seed *seed, struct now now)
{
	struct loading l = { n, now, 0 };
	enum err err = load_self(s, &l, seed);

	if (!err)
		err = load_records(s, &l, "contact",
		    "SELECT id, record FROM contact ORDER BY n");
	if (!err)
		err = load_records(s, &l, "invite",
		    "SELECT id, record FROM invite"
		    " WHERE state = 1 AND record IS NOT NULL");
	if (!err)
		err = store_outbox(s, load_message, &l);
	return err;
}
