/* Invitations of ours; and the requests that may be repeated. */
#include "daemon/store_db.h"

#include <assert.h>
#include <string.h>

enum { DAY_MS = 24 * 3600 * 1000 };

static struct row_key
invite_key(const char *column, const struct message_id *id)
{
	struct row_key k = row_key("invite", column);

	row_key_add(&k, id->b, sizeof(id->b));
	return k;
}

enum err
store_invite_put(
    struct store *s, const struct change *c, uint64_t now_ms, bool *ret_new)
{
	struct row_key key = invite_key("record", &c->invite);
	enum err err;
	struct query q;

	if (!store_has_key(s))
		return ERR_STATE;
	q = db_query(
	    s, "UPDATE invite SET record = ?1, expires_ms = ?2 WHERE id = ?3");
	db_bind_sealed(&q, &key, c->record);
	db_bind_int(&q, (int64_t)(c->expires_s * 1000));
	db_bind_blob(&q, c->invite.b, sizeof(c->invite.b));
	err = db_write(&q);
	*ret_new = !err && db_changed(s) == 0;
	if (err || !*ret_new)
		return err;
	q = db_query(s, "INSERT INTO invite"
	                "(id, record, state, created_ms, expires_ms, gone_ms)"
	                " VALUES(?1, ?2, 1, ?3, ?4, 0)");
	db_bind_blob(&q, c->invite.b, sizeof(c->invite.b));
	db_bind_sealed(&q, &key, c->record);
	db_bind_int(&q, (int64_t)now_ms);
	db_bind_int(&q, (int64_t)(c->expires_s * 1000));
	return db_write(&q);
}

enum err
store_invite_gone(struct store *s, const struct change *c, uint64_t now_ms)
{
	struct query q = db_query(s,
	    "UPDATE invite SET record = NULL, state = ?1, gone_ms = ?2,"
	    " used_by = ?3 WHERE id = ?4 AND state = 1");

	db_bind_int(&q, c->has_contact ? STORE_INVITE_USED : STORE_INVITE_GONE);
	db_bind_int(&q, (int64_t)now_ms);
	if (c->has_contact)
		db_bind_blob(&q, c->contact.b, sizeof(c->contact.b));
	else
		db_bind_null(&q);
	db_bind_blob(&q, c->invite.b, sizeof(c->invite.b));
	return db_write(&q);
}

enum err
store_invite_label(
    struct store *s, const struct message_id *id, struct span label)
{
	struct row_key key = invite_key("label", id);
	enum err err;
	struct query q;

	assert(label.n <= STORE_LABEL_MAX);
	if (!store_has_key(s))
		return ERR_STATE;
	q = db_query(s, "UPDATE invite SET label = ?1 WHERE id = ?2");
	db_bind_sealed(&q, &key, label);
	db_bind_blob(&q, id->b, sizeof(id->b));
	err = db_write(&q);
	if (!err && db_changed(s) == 0)
		return ERR_NOT_FOUND;
	return err;
}

#define INVITE_COLUMNS "id, label, state, created_ms, expires_ms, used_by"

static enum err
read_invite(const struct query *q, struct store_invite *ret)
{
	struct store_buf buf = { 0 };
	struct store_invite i = { 0 };
	int64_t state = db_int(q, 2);
	struct row_key key;
	struct span v;
	enum err err;

	db_bytes(q, 0, i.id.b, sizeof(i.id.b));
	key = invite_key("label", &i.id);
	if (db_blob(q, 1).n) { /* a label that does not open is no label */
		err = db_open_sealed(q, 1, &key, &buf, &v);
		if (!err && v.n <= STORE_LABEL_MAX && v.n > 0)
			memcpy(i.label, v.p, v.n);
		store_buf_clear(&buf);
		if (err && err != ERR_AUTH)
			return err;
	}
	if (state < STORE_INVITE_LIVE || state > STORE_INVITE_GONE)
		state = STORE_INVITE_GONE;
	i.state = (enum store_invite_state)state;
	i.created_ms = (uint64_t)db_int(q, 3);
	i.expires_ms = (uint64_t)db_int(q, 4);
	db_bytes(q, 5, i.used_by.b, sizeof(i.used_by.b));
	*ret = i;
	return ERR_OK;
}

enum err
store_invite_get(
    struct store *s, const struct message_id *id, struct store_invite *ret)
{
	struct query q =
	    db_query(s, "SELECT " INVITE_COLUMNS " FROM invite WHERE id = ?1");
	enum err err;

	db_bind_blob(&q, id->b, sizeof(id->b));
	err = db_row(&q);
	if (!err)
		err = read_invite(&q, ret);
	db_end(&q);
	return err;
}

enum err
store_invites(struct store *s,
    bool (*row)(void *ctx, const struct store_invite *i), void *ctx)
{
	struct query q =
	    db_query(s, "SELECT " INVITE_COLUMNS
	                " FROM invite ORDER BY created_ms DESC, id DESC");
	struct store_invite i;
	enum err err;

	while ((err = db_row(&q)) == ERR_OK) {
		err = read_invite(&q, &i);
		if (err || !row(ctx, &i))
			break;
	}
	db_end(&q);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ---- requests that may be repeated ---- */

static void
client_hashes(const struct store *s, struct span client_id,
    const uint8_t digest[32], uint8_t hash[32], uint8_t sealed[32])
{
	store_look_hash(s, "client id", client_id, span_of("", 0), hash);
	store_look_hash(
	    s, "client digest", client_id, span_of(digest, 32), sealed);
}

enum err
store_client_get(struct store *s, struct span client_id,
    const uint8_t digest[32], uint8_t ret[16])
{
	uint8_t hash[32];
	uint8_t want[32];
	uint8_t have[32];
	enum err err;
	struct query q;

	if (!store_has_key(s))
		return ERR_STATE;
	client_hashes(s, client_id, digest, hash, want);
	q = db_query(s, "SELECT digest, result FROM client WHERE hash = ?1");
	db_bind_blob(&q, hash, sizeof(hash));
	err = db_row(&q);
	if (!err) {
		db_bytes(&q, 0, have, sizeof(have));
		if (memcmp(have, want, sizeof(want)) == 0)
			db_bytes(&q, 1, ret, 16);
		else
			err = ERR_CONFLICT;
	}
	db_end(&q);
	return err;
}

enum err
store_client_put(struct store *s, struct span client_id,
    const uint8_t digest[32], const uint8_t result[16], uint64_t now_ms)
{
	uint8_t hash[32];
	uint8_t sealed[32];
	struct query q;

	if (!store_has_key(s))
		return ERR_STATE;
	client_hashes(s, client_id, digest, hash, sealed);
	q = db_query(s, "INSERT OR REPLACE INTO client VALUES(?1, ?2, ?3, ?4)");
	db_bind_blob(&q, hash, sizeof(hash));
	db_bind_blob(&q, sealed, sizeof(sealed));
	db_bind_blob(&q, result, 16);
	db_bind_int(&q, (int64_t)now_ms);
	return db_write(&q);
}

static enum err
expire_before(struct store *s, const char *sql, uint64_t before_ms)
{
	struct query q = db_query(s, sql);

	db_bind_int(&q, (int64_t)before_ms);
	return db_write(&q);
}

enum err
store_expire(struct store *s, uint64_t now_ms)
{
	uint64_t keep_ms = (uint64_t)STORE_CLIENT_IDS_MAX_DAYS * DAY_MS;
	uint64_t before_ms = now_ms > keep_ms ? now_ms - keep_ms : 0;
	enum err err = expire_before(s,
	    "DELETE FROM client WHERE hash IN (SELECT hash FROM client"
	    " WHERE ts_ms < ?1 ORDER BY ts_ms LIMIT 10000)",
	    before_ms);

	if (err)
		return err;
	return expire_before(s,
	    "DELETE FROM invite WHERE state > 1 AND gone_ms < ?1", before_ms);
}
