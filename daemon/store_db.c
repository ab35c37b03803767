/* Statements and the one transaction of a turn. */
#include "daemon/events_many.h"
#include "daemon/store_keys.h"

#include "daemon/log.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* After these the page cache may lie about the disk: restart instead. */
static bool
is_broken(int rc)
{
	return rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC ||
	       rc == SQLITE_IOERR_TRUNCATE;
}

void
db_damaged(struct store *s, const char *what)
{
	if (s->damaged)
		return;
	s->damaged = true;
	s->tampered++; /* so that clients hear of it */
	log_event(LOG_ERR, "store-damaged",
	    "%s/%s: %s; repair: keep a copy of it, take back a backup", s->dir,
	    STORE_FILE, what);
}

enum err
db_fail(struct store *s, int rc)
{
	s->last_rc = rc;
	if (is_broken(rc))
		s->broken = true;
	if ((rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB)
		db_damaged(s, "a page cannot be read, or is not what it was");
	/* After some errors, also of a read, SQLite has rolled back by itself:
	 * what is written then would be committed piece by piece. */
	if (s->in_txn && sqlite3_get_autocommit(s->db))
		s->failed = true;
	if ((rc & 0xff) == SQLITE_NOMEM)
		return ERR_NOMEM;
	if ((rc & 0xff) == SQLITE_FULL)
		return ERR_LIMIT;
	return ERR_IO;
}

enum err
db_exec(struct store *s, const char *sql)
{
	int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

	if (rc != SQLITE_OK)
		return db_fail(s, sqlite3_extended_errcode(s->db));
	return ERR_OK;
}

/* ---- statements ---- */

static struct store_statement *
find_statement(struct store *s, const char *sql)
{
	for (size_t i = 0; i < s->n_statements; i++)
		if (s->statements[i].sql == sql && !s->statements[i].busy)
			return &s->statements[i];
	return NULL;
}

static struct store_statement *
prepare(struct store *s, const char *sql, int *rc)
{
	struct store_statement *slot;

	assert(s->n_statements < STORE_STATEMENTS_MAX);
	slot = &s->statements[s->n_statements];
	*rc = sqlite3_prepare_v3(
	    s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &slot->st, NULL);
	if (*rc != SQLITE_OK)
		return NULL;
	slot->sql = sql;
	slot->busy = false;
	s->n_statements++;
	return slot;
}

struct query
db_query(struct store *s, const char *sql)
{
	struct query q = { .s = s, .rc = SQLITE_OK };

	q.slot = find_statement(s, sql);
	if (!q.slot)
		q.slot = prepare(s, sql, &q.rc);
	if (q.slot)
		q.slot->busy = true;
	return q;
}

static void
note(struct query *q, int rc)
{
	if (q->rc == SQLITE_OK && rc != SQLITE_OK)
		q->rc = rc;
}

void
db_bind_int(struct query *q, int64_t v)
{
	if (q->slot)
		note(q, sqlite3_bind_int64(q->slot->st, ++q->bound, v));
}

void
db_bind_blob(struct query *q, const void *p, size_t n)
{
	assert(n < INT_MAX);
	if (q->slot) /* "" keeps an empty blob from being NULL */
		note(q, sqlite3_bind_blob(q->slot->st, ++q->bound, n ? p : "",
		            (int)n, SQLITE_TRANSIENT));
}

void
db_bind_text(struct query *q, const char *s)
{
	if (q->slot)
		note(q, sqlite3_bind_text(
		            q->slot->st, ++q->bound, s, -1, SQLITE_TRANSIENT));
}

void
db_bind_null(struct query *q)
{
	if (q->slot)
		note(q, sqlite3_bind_null(q->slot->st, ++q->bound));
}

enum err
db_row(struct query *q)
{
	int rc = q->rc;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(q->slot->st);
	if (rc == SQLITE_ROW)
		return ERR_OK;
	if (rc == SQLITE_DONE)
		return ERR_NOT_FOUND;
	q->rc = rc;
	return db_fail(q->s, sqlite3_extended_errcode(q->s->db));
}

void
db_end(struct query *q)
{
	if (!q->slot)
		return;
	(void)sqlite3_reset(q->slot->st);
	(void)sqlite3_clear_bindings(q->slot->st);
	q->slot->busy = false;
	q->slot = NULL;
}

int64_t
db_int(const struct query *q, int column)
{
	assert(q->slot);
	return sqlite3_column_int64(q->slot->st, column);
}

enum err
db_one_int(struct query *q, int64_t *ret)
{
	enum err err = db_row(q);

	if (!err)
		*ret = db_int(q, 0);
	db_end(q);
	return err;
}

struct span
db_blob(const struct query *q, int column)
{
	const void *p;
	int n;

	assert(q->slot);
	p = sqlite3_column_blob(q->slot->st, column);
	n = sqlite3_column_bytes(q->slot->st, column);
	return p ? span_of(p, (size_t)n) : span_of(NULL, 0);
}

void
db_bytes(const struct query *q, int column, void *ret, size_t n)
{
	struct span b = db_blob(q, column);

	if (b.p && b.n == n)
		memcpy(ret, b.p, n);
	else
		memset(ret, 0, n);
}

int64_t
db_changed(const struct store *s)
{
	return sqlite3_changes64(s->db);
}

/* ---- the transaction ---- */

static enum err
begin(struct store *s)
{
	enum err err;

	if (s->failed)
		return ERR_IO; /* the transaction is lost already */
	if (s->in_txn)
		return ERR_OK;
	err = db_exec(s, "BEGIN IMMEDIATE;");
	if (err)
		s->failed = true;
	else
		s->in_txn = true;
	return err;
}

enum err
db_write(struct query *q)
{
	struct store *s = q->s;
	enum err err = begin(s);

	if (!err) {
		err = db_row(q);
		assert(err != ERR_OK); /* writes give no rows */
		if (err == ERR_NOT_FOUND)
			err = ERR_OK;
		else
			s->failed = true;
	}
	db_end(q);
	return err;
}

enum err
db_write_for(struct store *s, const char *sql, const struct contact_id *id)
{
	struct query q = db_query(s, sql);

	db_bind_blob(&q, id->b, sizeof(id->b));
	return db_write(&q);
}

bool
store_dirty(const struct store *s)
{
	return s->in_txn || s->failed || events_pending(s);
}

void
store_rollback(struct store *s)
{
	/* SQLite may have rolled back by itself (disk full, I/O error). */
	if (!sqlite3_get_autocommit(s->db) &&
	    sqlite3_exec(s->db, "ROLLBACK;", NULL, NULL, NULL))
		s->broken = true; /* no memory: what is lost would be shown */
	s->in_txn = false;
	s->failed = false;
	s->event_head = -1;
	events_many_drop(s);
	batch_drop(s);
	s->ttl_known = false;
	store_keys_rollback(s);
	s->timer_ms = 0;
	fresh_clear(s);
	recent_clear(s);
}

/* What is in the log goes to the database and gives its room back: a log that
 * filled the disk would otherwise stay in the way for ever, and what was
 * erased would stand in it. */
static enum err
empty_log(struct store *s)
{
	int rc = sqlite3_wal_checkpoint_v2(
	    s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);

	if (rc == SQLITE_OK)
		return ERR_OK;
	return db_fail(s, sqlite3_extended_errcode(s->db));
}

enum err
store_commit(struct store *s)
{
	enum err err = s->failed ? ERR_IO : events_flush(s);

	assert(!s->batch.on);
	if (!err && !s->in_txn)
		return ERR_OK; /* says nothing about whether a write works */
	if (!err)
		err = store_keep(s);
	if (!err)
		err = store_keys_before_commit(s);
	if (!err)
		err = db_exec(s, "COMMIT;");
	if (err) {
		store_rollback(s);
		return err;
	}
	s->in_txn = false;
	s->last_rc = SQLITE_OK;
	s->event_durable = s->event_head;
	err = store_keys_after_commit(s);
	if (s->erased && !empty_log(s))
		s->erased = false;
	/* It is durable; but what was to be destroyed is not, or a sync failed
	 * and nothing is believed. */
	return s->broken ? ERR_IO : err;
}

enum api_error
store_error(const struct store *s)
{
	return (s->last_rc & 0xff) == SQLITE_FULL ? API_STORAGE_FULL
	                                          : API_STORAGE_ERROR;
}

bool
store_is_broken(const struct store *s)
{
	return s->broken;
}

/* Runs one write and makes it durable. */
static enum err
write_and_commit(struct store *s, const char *sql)
{
	struct query q = db_query(s, sql);
	enum err err = db_write(&q);

	if (err) {
		store_rollback(s);
		return err;
	}
	return store_commit(s);
}

enum err
store_probe(struct store *s)
{
	/* As much as the first turns after a start may need. */
	static const char put[] = "INSERT OR REPLACE INTO meta"
	                          " VALUES('probe', zeroblob(65536))";
	static const char del[] = "DELETE FROM meta WHERE key = 'probe'";
	enum err err;

	assert(!store_dirty(s));
	err = store_keep(s);
	if (!err)
		err = empty_log(s);
	if (!err)
		err = write_and_commit(s, put);
	if (!err)
		err = write_and_commit(s, del);
	return err;
}

bool
store_answers(struct store *s)
{
	struct query q;
	enum err err;

	(void)sqlite3_db_release_memory(s->db);
	q = db_query(s, "SELECT count(*) FROM meta");
	err = db_row(&q);
	db_end(&q);
	return !err;
}

/* ---- life ---- */

static enum err
refuse(char why[STORE_WHY_SIZE], enum err err, const char *dir, const char *t)
{
	(void)snprintf(why, STORE_WHY_SIZE, "%s/%s: %s", dir, STORE_FILE, t);
	return err;
}

/* The file must be no symbolic link, which SQLite would ask of the whole path:
 * but the directory may be behind one, as with DynamicUser= of systemd. */
static enum err
find_file(const char *dir, char path[PATH_MAX], char why[STORE_WHY_SIZE])
{
	char real[PATH_MAX];
	int n;

	if (!realpath(dir, real))
		return refuse(why, ERR_IO, dir, strerror(errno));
	n = snprintf(path, PATH_MAX, "%s/%s", real, STORE_FILE);
	if (n < 0 || n >= PATH_MAX)
		return refuse(why, ERR_TOO_LONG, "...", "path too long");
	return ERR_OK;
}

enum err
store_open(const char *dir, struct store **ret, char why[STORE_WHY_SIZE])
{
	char path[PATH_MAX];
	struct store *s;
	enum err err = find_file(dir, path, why);
	int rc;

	if (err)
		return err;
	/* Its count of memory is asked by nobody, and costs a lock each time.
	 * Not taken once SQLite has begun: then it is as it is. */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	s = calloc(1, sizeof(*s));
	if (!s)
		return refuse(why, ERR_NOMEM, dir, "no memory");
	s->event_head = -1;
	s->dir = strdup(dir);
	if (!s->dir) {
		err = refuse(why, ERR_NOMEM, dir, "no memory");
		goto out;
	}
	rc = sqlite3_open_v2(path, &s->db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
	        SQLITE_OPEN_NOFOLLOW,
	    NULL);
	if (rc != SQLITE_OK) {
		err = refuse(why, db_fail(s, rc), dir,
		    s->db ? sqlite3_errmsg(s->db) : "no memory");
		goto out;
	}
	(void)sqlite3_extended_result_codes(s->db, 1);
	err = store_schema_apply(s, why);
	if (err == ERR_IO && (s->last_rc & 0xff) == SQLITE_NOTADB)
		err = ERR_MALFORMED;
	if (err)
		goto out;
	if (store_keep(s))
		log_event(LOG_WARNING, "store-not-kept",
		    "%s/%s cannot be written; reading goes on", dir,
		    STORE_FILE);
	err = store_check(s);
	if (err) {
		(void)refuse(why, err, dir, "cannot be read");
		goto out;
	}
	*ret = s;
	return ERR_OK;
out:
	store_close(s);
	return err;
}

void
store_close(struct store *s)
{
	if (!s)
		return;
	if (s->db)
		store_rollback(s);
	for (size_t i = 0; i < s->n_statements; i++)
		(void)sqlite3_finalize(s->statements[i].st);
	if (s->db && sqlite3_close(s->db) != SQLITE_OK)
		log_event(LOG_ERR, "store-close", "a statement is open");
	store_buf_clear(&s->get_buf);
	store_buf_clear(&s->seal_buf);
	fresh_clear(s);
	recent_clear(s);
	events_many_free(s);
	store_keys_close(s);
	sodium_free(s->keys);
	free(s->dir);
	free(s);
}

/* ---- meta ---- */

enum err
store_meta_set(struct store *s, const char *key, struct span value)
{
	struct query q =
	    db_query(s, "INSERT OR REPLACE INTO meta VALUES(?1, ?2)");

	assert(value.n <= STORE_META_MAX);
	db_bind_text(&q, key);
	db_bind_blob(&q, value.p, value.n);
	return db_write(&q);
}

enum err
store_meta_get(
    struct store *s, const char *key, void *buf, size_t cap, size_t *ret_n)
{
	struct query q = db_query(s, "SELECT value FROM meta WHERE key = ?1");
	enum err err;
	struct span v;

	db_bind_text(&q, key);
	err = db_row(&q);
	if (!err) {
		v = db_blob(&q, 0);
		if (v.n > cap) {
			err = ERR_TOO_LONG;
		} else {
			if (v.n)
				memcpy(buf, v.p, v.n);
			*ret_n = v.n;
		}
	}
	db_end(&q);
	return err;
}

uint64_t
store_bytes(struct store *s)
{
	struct query q =
	    db_query(s, "SELECT page_count * page_size"
	                " FROM pragma_page_count(), pragma_page_size()");
	int64_t n = 0;

	return db_one_int(&q, &n) ? 0 : (uint64_t)n;
}

uint64_t
store_tampered(const struct store *s)
{
	return s->tampered;
}
