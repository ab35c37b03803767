#include "daemon/store_keys.h"

#include "daemon/log.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
	CACHE = 4096,      /* keys in use, found without asking the database */
	RENEW_MAX = 65536, /* blocks renewed by one transaction */
};

/* The key of a contact that was used last; of a block, how full it is. */
struct cached {
	struct contact_id contact;
	enum store_key_kind kind; /* NONE: nothing */
	int64_t k;
	size_t rows, bytes;
};

struct store_ring {
	struct keyfile *file; /* owned */
	struct cached cache[CACHE];
	int64_t *renew; /* owned: blocks that lost a text */
	size_t n_renew, cap_renew;
};

const uint8_t *
store_keys_find(const struct store *s, int64_t k)
{
	if (k == 0)
		return s->keys->seal;
	return s->ring && k > 0 ? keyfile_find(s->ring->file, (uint64_t)k)
	                        : NULL;
}

const struct keyfile *
store_keys_file(const struct store *s)
{
	return s->ring->file;
}

/* ---- opening ---- */

static enum err
count_keys(struct store *s, int64_t *ret_n, int64_t *ret_max)
{
	struct query q =
	    db_query(s, "SELECT count(*), coalesce(max(k), 0) FROM seal_key");
	enum err err = db_row(&q);

	if (!err) {
		*ret_n = db_int(&q, 0);
		*ret_max = db_int(&q, 1);
	}
	db_end(&q);
	return err;
}

/* Keys in the file that the database does not name. */
struct orphans {
	struct store *s;
	size_t n;
	enum err err;
};

static bool
drop_orphan(void *ctx, uint64_t number)
{
	struct orphans *o = ctx;
	struct query q = db_query(o->s, "SELECT 1 FROM seal_key WHERE k = ?1");
	int64_t one;

	db_bind_int(&q, (int64_t)number);
	o->err = db_one_int(&q, &one);
	if (o->err == ERR_NOT_FOUND) {
		keyfile_drop(o->s->ring->file, number);
		o->n++;
		o->err = ERR_OK;
	}
	return !o->err;
}

static enum err
count_missing(struct store *s, size_t *ret)
{
	struct query q = db_query(s, "SELECT k FROM seal_key");
	enum err err;

	*ret = 0;
	while ((err = db_row(&q)) == ERR_OK)
		if (!store_keys_find(s, db_int(&q, 0)))
			++*ret;
	db_end(&q);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* What a crash left behind is destroyed; what is missing is told. */
static enum err
compare(struct store *s, int64_t max)
{
	struct orphans o = { .s = s };
	size_t missing = 0;
	enum err err;

	keyfile_reserve(s->ring->file, (uint64_t)max);
	keyfile_each(s->ring->file, drop_orphan, &o);
	err = o.err ? o.err : count_missing(s, &missing);
	if (err)
		return err;
	if (missing > 0) {
		s->tampered += missing;
		log_event(LOG_ERR, "keys-missing",
		    "n=%zu: %s is damaged or older than %s; what was sealed"
		    " under them is left out; repair: put back a copy",
		    missing, KEYFILE_NAME, STORE_FILE);
	} else {
		keyfile_forgive(s->ring->file);
	}
	/* Unwritten: it names no key that is destroyed here. */
	return s->in_txn ? ERR_OK : keyfile_commit(s->ring->file);
}

enum err
store_keys_open(struct store *s)
{
	int64_t n = 0;
	int64_t max = 0;
	enum err err;

	store_keys_close(s);
	err = count_keys(s, &n, &max);
	if (err)
		return err;
	s->ring = calloc(1, sizeof(*s->ring));
	if (!s->ring)
		return ERR_NOMEM;
	err = keyfile_open(s->dir, s->keys->ring, n == 0, &s->ring->file);
	if (err)
		log_event(LOG_ERR, "keys-refused",
		    "%s/%s: %s; repair: put back a copy of it", s->dir,
		    KEYFILE_NAME,
		    err == ERR_NOT_FOUND   ? "is not there"
		    : err == ERR_MALFORMED ? "is not a key file of this btchatd"
		                           : err_name(err));
	if (!err)
		err = compare(s, max);
	if (err)
		store_keys_close(s);
	return err;
}

void
store_keys_close(struct store *s)
{
	if (!s->ring)
		return;
	keyfile_close(s->ring->file);
	free(s->ring->renew);
	free(s->ring);
	s->ring = NULL;
}

/* ---- finding one ---- */

static struct cached *
cached(struct store *s, const struct contact_id *c, enum store_key_kind kind)
{
	/* Ids are random. */
	size_t at = ((size_t)c->b[0] << 8 | c->b[1]) * 3 + (size_t)kind;
	struct cached *e = &s->ring->cache[at % CACHE];

	if (e->kind != kind || memcmp(&e->contact, c, sizeof(*c)) != 0)
		*e = (struct cached){ .contact = *c, .kind = kind };
	return e;
}

static void
forget_cached(struct store *s)
{
	memset(s->ring->cache, 0, sizeof(s->ring->cache));
}

static enum err
name_key(struct store *s, const struct contact_id *c, enum store_key_kind kind,
    int64_t k)
{
	struct query q = db_query(s, "INSERT INTO seal_key(k, contact, kind)"
	                             " VALUES(?1, ?2, ?3)");

	db_bind_int(&q, k);
	db_bind_blob(&q, c->b, sizeof(c->b));
	db_bind_int(&q, kind);
	return db_write(&q);
}

static enum err
make(struct store *s, const struct contact_id *c, enum store_key_kind kind,
    int64_t *ret_k)
{
	uint64_t number;
	enum err err = keyfile_add(s->ring->file, &number);

	if (err) { /* no room for more: as with a full disk */
		s->last_rc = err == ERR_LIMIT ? SQLITE_FULL : SQLITE_NOMEM;
		return err;
	}
	*ret_k = (int64_t)number;
	return name_key(s, c, kind, *ret_k);
}

/* The newest that is there. */
static enum err
look_up(struct store *s, const struct contact_id *c, enum store_key_kind kind,
    int64_t *ret_k)
{
	struct query q =
	    db_query(s, "SELECT k FROM seal_key INDEXED BY seal_key_contact"
	                " WHERE contact = ?1 AND kind = ?2 ORDER BY k DESC");
	enum err err;

	db_bind_blob(&q, c->b, sizeof(c->b));
	db_bind_int(&q, kind);
	*ret_k = 0;
	while ((err = db_row(&q)) == ERR_OK) {
		if (!store_keys_find(s, db_int(&q, 0)))
			continue;
		*ret_k = db_int(&q, 0);
		break;
	}
	db_end(&q);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err
store_keys_of(struct store *s, const struct contact_id *c,
    enum store_key_kind kind, int64_t *ret_k)
{
	struct cached *e;
	enum err err = ERR_OK;

	assert(s->ring && kind != KEY_BLOCK);
	e = cached(s, c, kind);
	if (e->k == 0)
		err = look_up(s, c, kind, &e->k);
	if (!err && e->k == 0)
		err = make(s, c, kind, &e->k);
	if (err)
		e->kind = KEY_NONE;
	else
		*ret_k = e->k;
	return err;
}

/* The block of the newest message, and how full it is. */
static enum err
look_up_block(struct store *s, struct cached *e)
{
	struct query q = db_query(s,
	    "SELECT k, (SELECT count(*) FROM message INDEXED BY message_k"
	    "  WHERE k = m.k),"
	    " (SELECT sum(length(body)) FROM message INDEXED BY message_k"
	    "  WHERE k = m.k)"
	    " FROM message m INDEXED BY message_conv WHERE contact = ?1"
	    " ORDER BY row DESC LIMIT 1");
	enum err err;

	db_bind_blob(&q, e->contact.b, sizeof(e->contact.b));
	err = db_row(&q);
	if (!err && db_int(&q, 0) > 0 && store_keys_find(s, db_int(&q, 0))) {
		e->k = db_int(&q, 0);
		e->rows = (size_t)db_int(&q, 1);
		e->bytes = (size_t)db_int(&q, 2);
	}
	db_end(&q);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static bool
has_room(const struct cached *e, size_t bytes)
{
	return e->rows < STORE_BLOCK_ROWS &&
	       e->bytes + bytes <= STORE_BLOCK_BYTES;
}

enum err
store_keys_block(
    struct store *s, const struct contact_id *c, size_t bytes, int64_t *ret_k)
{
	struct cached *e;
	enum err err = ERR_OK;

	assert(s->ring);
	e = cached(s, c, KEY_BLOCK);
	if (e->k == 0)
		err = look_up_block(s, e);
	if (!err && (e->k == 0 || !has_room(e, bytes))) {
		err = make(s, c, KEY_BLOCK, &e->k);
		e->rows = e->bytes = 0;
	}
	if (err) {
		e->kind = KEY_NONE;
		return err;
	}
	e->rows++;
	e->bytes += bytes;
	*ret_k = e->k;
	return ERR_OK;
}

/* ---- destroying ---- */

static enum err
unname(struct store *s, int64_t k)
{
	struct query q = db_query(s, "DELETE FROM seal_key WHERE k = ?1");

	db_bind_int(&q, k);
	keyfile_drop(s->ring->file, (uint64_t)k);
	s->erased = true;
	return db_write(&q);
}

/* What a query of contact and kind names, until it names none. */
static enum err
remove_each(struct store *s, const char *sql, const struct contact_id *c,
    enum store_key_kind kind)
{
	enum err err = ERR_OK;

	assert(s->ring);
	forget_cached(s);
	while (!err) {
		int64_t k = 0;
		struct query q = db_query(s, sql);

		db_bind_blob(&q, c->b, sizeof(c->b));
		db_bind_int(&q, kind);
		err = db_one_int(&q, &k);
		if (!err)
			err = unname(s, k);
	}
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err
store_keys_remove(
    struct store *s, const struct contact_id *c, enum store_key_kind kind)
{
	return remove_each(s,
	    "SELECT k FROM seal_key INDEXED BY seal_key_contact"
	    " WHERE contact = ?1 AND kind = ?2 LIMIT 1",
	    c, kind);
}

enum err
store_keys_remove_empty(struct store *s, const struct contact_id *c)
{
	return remove_each(s,
	    "SELECT k FROM seal_key INDEXED BY seal_key_contact"
	    " WHERE contact = ?1 AND kind = ?2 AND NOT EXISTS"
	    "  (SELECT 1 FROM message INDEXED BY message_k"
	    "   WHERE message.k = seal_key.k) LIMIT 1",
	    c, KEY_BLOCK);
}

enum err
store_keys_renew(struct store *s, int64_t k)
{
	struct store_ring *r = s->ring;
	size_t cap = r->cap_renew ? 2 * r->cap_renew : 16;
	int64_t *p;

	assert(k > 0);
	for (size_t i = r->n_renew; i > 0; i--)
		if (r->renew[i - 1] == k)
			return ERR_OK;
	if (r->n_renew == RENEW_MAX)
		return ERR_LIMIT;
	if (r->n_renew == r->cap_renew) {
		p = realloc(r->renew, cap * sizeof(*p));
		if (!p) {
			s->last_rc = SQLITE_NOMEM;
			return ERR_NOMEM;
		}
		r->renew = p;
		r->cap_renew = cap;
	}
	r->renew[r->n_renew++] = k;
	return ERR_OK;
}

/* Whose block it is. ERR_NOT_FOUND: it went with its contact. */
static enum err
owner_of(struct store *s, int64_t k, struct contact_id *ret)
{
	struct query q =
	    db_query(s, "SELECT contact FROM seal_key WHERE k = ?1");
	enum err err;

	db_bind_int(&q, k);
	err = db_row(&q);
	if (!err)
		db_bytes(&q, 0, ret->b, sizeof(ret->b));
	db_end(&q);
	return err;
}

static enum err
renew(struct store *s, int64_t old)
{
	struct contact_id c;
	int64_t fresh = 0;
	enum err err = owner_of(s, old, &c);

	if (err)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	err = make(s, &c, KEY_BLOCK, &fresh);
	if (!err)
		err = store_block_reseal(s, old, fresh);
	if (!err)
		err = unname(s, old);
	for (size_t i = 0; i < CACHE; i++)
		if (s->ring->cache[i].k == old)
			s->ring->cache[i].k = fresh;
	return err;
}

/* ---- the transaction ---- */

static enum err
note_failure(struct store *s, enum err err)
{
	if (err)
		s->last_rc =
		    err == ERR_LIMIT ? SQLITE_FULL : SQLITE_IOERR_WRITE;
	if (keyfile_is_broken(s->ring->file))
		s->broken = true;
	return err;
}

enum err
store_keys_before_commit(struct store *s)
{
	struct store_ring *r = s->ring;
	enum err err = ERR_OK;

	if (!r)
		return ERR_OK;
	for (size_t i = 0; i < r->n_renew && !err; i++)
		err = renew(s, r->renew[i]);
	r->n_renew = 0;
	return err ? err : note_failure(s, keyfile_sync(r->file));
}

enum err
store_keys_after_commit(struct store *s)
{
	if (!s->ring)
		return ERR_OK;
	return note_failure(s, keyfile_commit(s->ring->file));
}

void
store_keys_rollback(struct store *s)
{
	if (!s->ring)
		return;
	s->ring->n_renew = 0;
	forget_cached(s);
	keyfile_rollback(s->ring->file);
}
