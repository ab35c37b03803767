/* Copies of a store, for backups. */
#include "daemon/store_keys.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

/* ---- the copy ---- */

/* What a copy does without. Rows that are gone leave zeros, then nothing. */
static const char strip[] =
    "PRAGMA journal_mode = DELETE;"
    "PRAGMA secure_delete = ON;"
    "BEGIN IMMEDIATE;"
    "UPDATE contact SET record = x'';"
    "DELETE FROM event;"
    "DELETE FROM consumer;"
    "DELETE FROM meta WHERE key IN ('self', 'dht', 'overlay', 'port', 'probe');"
    "COMMIT;"
    "VACUUM;";

static enum err
copy_pages(sqlite3 *from, sqlite3 *to)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
	int rc;

	if (!b)
		return ERR_IO;
	rc = sqlite3_backup_step(b, -1);
	(void)sqlite3_backup_finish(b);
	if (rc == SQLITE_DONE)
		return ERR_OK;
	return (rc & 0xff) == SQLITE_FULL ? ERR_LIMIT : ERR_IO;
}

enum err
store_copy(struct store *s, const char *path)
{
	sqlite3 *to = NULL;
	enum err err = ERR_IO;
	int rc;

	assert(!store_dirty(s));
	if (access(path, F_OK) == 0)
		return ERR_EXISTS;
	rc = sqlite3_open_v2(path, &to,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
	        SQLITE_OPEN_NOFOLLOW,
	    NULL);
	if (rc == SQLITE_OK)
		err = copy_pages(s->db, to);
	if (!err) {
		rc = sqlite3_exec(to, strip, NULL, NULL, NULL);
		if (rc != SQLITE_OK)
			err = (rc & 0xff) == SQLITE_FULL ? ERR_LIMIT : ERR_IO;
	}
	(void)sqlite3_close(to);
	return err;
}

/* ---- what belongs to it ---- */

enum err
store_records(struct store *s,
    bool (*row)(void *ctx, const struct contact_id *id, struct span record),
    void *ctx)
{
	struct query q =
	    db_query(s, "SELECT id, record, k FROM contact ORDER BY n");
	struct store_buf buf = { 0 };
	struct contact_id id;
	struct span record;
	enum err err;

	while ((err = db_row(&q)) == ERR_OK) {
		struct row_key key = row_key("contact", "record");

		db_bytes(&q, 0, id.b, sizeof(id.b));
		row_key_add(&key, id.b, sizeof(id.b));
		key.k = db_int(&q, 2);
		err = db_open_sealed(&q, 1, &key, &buf, &record);
		if (err == ERR_AUTH)
			continue;
		if (err || !row(ctx, &id, record))
			break;
	}
	db_end(&q);
	store_buf_clear(&buf);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

struct each {
	const struct keyfile *f;
	bool (*row)(void *ctx, uint64_t number, const uint8_t key[32]);
	void *ctx;
};

static bool
hand_over(void *ctx, uint64_t number)
{
	struct each *e = ctx;

	return e->row(e->ctx, number, keyfile_find(e->f, number));
}

void
store_each_key(struct store *s,
    bool (*row)(void *ctx, uint64_t number, const uint8_t key[32]), void *ctx)
{
	struct each e = { store_keys_file(s), row, ctx };

	assert(!store_dirty(s));
	keyfile_each(e.f, hand_over, &e);
}

/* ---- the other life ---- */

enum err
store_put_keys(const char *dir, const struct store_key *key,
    const struct store_named_key *keys, size_t n)
{
	uint8_t ring[32];
	struct keyfile *f = NULL;
	enum err err;

	store_ring_key(key, ring);
	err = keyfile_open(dir, ring, true, &f);
	sodium_memzero(ring, sizeof(ring));
	for (size_t i = 0; i < n && !err; i++)
		err = keyfile_put(f, keys[i].number, keys[i].key);
	if (!err)
		err = keyfile_sync(f);
	if (!err)
		err = keyfile_commit(f);
	keyfile_close(f);
	return err;
}

enum err
store_record_set(
    struct store *s, const struct contact_id *id, struct span record)
{
	struct row_key key = row_key("contact", "record");
	struct query q;
	int64_t k = 0;
	enum err err;

	assert(store_has_key(s));
	q = db_query(s, "SELECT k FROM contact WHERE id = ?1");
	db_bind_blob(&q, id->b, sizeof(id->b));
	err = db_one_int(&q, &k);
	if (!err && !store_keys_find(s, k))
		err = ERR_NOT_FOUND;
	if (err)
		return err;
	row_key_add(&key, id->b, sizeof(id->b));
	key.k = k;
	q = db_query(s, "UPDATE contact SET record = ?1 WHERE id = ?2");
	db_bind_sealed(&q, &key, record);
	db_bind_blob(&q, id->b, sizeof(id->b));
	return db_write(&q);
}

enum err
store_epoch_renew(struct store *s)
{
	struct query q = db_query(s,
	    "UPDATE meta SET value = CAST(lower(hex(randomblob(8))) AS BLOB)"
	    " WHERE key = 'epoch'");

	return db_write(&q);
}
