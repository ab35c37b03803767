#include "daemon/backup.h"

#include "daemon/file.h"
#include "daemon/keyfile.h"
#include "daemon/vault.h"
#include "proto/base/text.h"
#include "proto/node.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_FILE "backup.tmp"
#define STAGE     "restore"

enum {
	VERSION = 1,
	COPY_BYTES = 65536,
	RECORD_MAX = 4096,
	RECORDS_MAX = 1000000,
	HEAD_MAX = 1 + 1 + 8 + 8 + 8 + 2 + STORE_NAME_MAX + 32,
};

/* ---- small things ---- */

static enum err
path_in(const char *dir, const char *name, char ret[PATH_MAX])
{
	int n = snprintf(ret, PATH_MAX, "%s/%s", dir, name);

	return n < 0 || n >= PATH_MAX ? ERR_TOO_LONG : ERR_OK;
}

static enum err
write_u64(struct vault *v, uint64_t n)
{
	uint8_t b[8];
	struct writer w = wr_init(b, sizeof(b));

	wr_u64le(&w, n);
	return vault_write(v, wr_span_of(&w));
}

static enum err
read_u64(struct vault *v, uint64_t *ret)
{
	uint8_t b[8] = { 0 };
	struct reader r = rd_init(span_of(b, sizeof(b)));
	enum err err = vault_read(v, b, sizeof(b));

	*ret = rd_u64le(&r);
	return err;
}

/* ---- writing ---- */

static enum err
write_head(struct vault *v, const struct backup_source *from,
    const struct backup_about *a)
{
	uint8_t buf[HEAD_MAX];
	struct writer w = wr_init(buf, sizeof(buf));
	struct span name = span_str(a->name);
	enum err err;

	wr_u8(&w, VERSION);
	wr_u8(&w, a->whole);
	wr_u64le(&w, a->made_ms);
	wr_u64le(&w, a->contacts);
	wr_u64le(&w, a->messages);
	wr_u16le(&w, (uint16_t)name.n);
	wr_span(&w, name);
	wr_bytes(&w, from->seed->b, sizeof(from->seed->b));
	assert(!w.bad);
	err = vault_write(v, wr_span_of(&w));
	sodium_memzero(buf, sizeof(buf));
	return err;
}

/* Two passes: how many, and each. */
struct writing {
	struct vault *v; /* NULL: count */
	uint64_t n;
	enum err err;
};

static bool
write_key(void *ctx, uint64_t number, const uint8_t key[32])
{
	struct writing *w = ctx;

	w->n++;
	if (!w->v)
		return true;
	w->err = write_u64(w->v, number);
	if (!w->err)
		w->err = vault_write(w->v, span_of(key, 32));
	return !w->err;
}

static enum err
write_keys(struct vault *v, struct store *s)
{
	struct writing count = { .v = NULL };
	struct writing all = { .v = v };

	store_each_key(s, write_key, &count);
	all.err = write_u64(v, count.n);
	if (!all.err)
		store_each_key(s, write_key, &all);
	return all.err;
}

static bool
write_record(void *ctx, const struct contact_id *id, struct span record)
{
	struct writing *w = ctx;
	uint8_t buf[RECORD_MAX];
	struct writer out = wr_init(buf, sizeof(buf));
	uint8_t head[sizeof(id->b) + 2];
	struct writer h = wr_init(head, sizeof(head));

	/* One that the node does not understand comes to nobody. */
	if (node_backup_contact(record, &out) || out.bad)
		return true;
	w->n++;
	if (w->v) {
		wr_bytes(&h, id->b, sizeof(id->b));
		wr_u16le(&h, (uint16_t)out.n);
		w->err = vault_write(w->v, wr_span_of(&h));
		if (!w->err)
			w->err = vault_write(w->v, wr_span_of(&out));
	}
	sodium_memzero(buf, sizeof(buf));
	return !w->err;
}

static enum err
write_records(struct vault *v, struct store *s)
{
	struct writing count = { .v = NULL };
	struct writing all = { .v = v };
	enum err err = store_records(s, write_record, &count);

	if (!err)
		err = write_u64(v, count.n);
	if (!err)
		err = store_records(s, write_record, &all);
	return err ? err : all.err;
}

static enum err
write_file(struct vault *v, const char *path)
{
	uint8_t *buf = malloc(COPY_BYTES);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st = { .st_size = 0 };
	uint64_t left = 0;
	enum err err = ERR_OK;

	if (!buf || fd < 0 || fstat(fd, &st)) {
		err = buf ? ERR_IO : ERR_NOMEM;
		goto out;
	}
	left = (uint64_t)st.st_size;
	err = write_u64(v, left);
	while (left > 0 && !err) {
		size_t n = 0;

		err = file_read(fd, FILE_HERE, buf, COPY_BYTES, &n);
		if (!err && (n == 0 || n > left))
			err = ERR_IO;
		if (!err)
			err = vault_write(v, span_of(buf, n));
		left -= n;
	}
out:
	if (fd >= 0)
		(void)close(fd);
	free(buf);
	return err;
}

static enum err
write_store(struct vault *v, const struct backup_source *from)
{
	char path[PATH_MAX];
	enum err err = path_in(from->dir, COPY_FILE, path);

	if (err)
		return err;
	(void)unlink(path); /* of one that was cut off */
	err = store_copy(from->store, path);
	if (!err)
		err =
		    vault_write(v, span_of(from->key->b, sizeof(from->key->b)));
	if (!err)
		err = write_keys(v, from->store);
	if (!err)
		err = write_records(v, from->store);
	if (!err)
		err = write_file(v, path);
	(void)unlink(path);
	return err;
}

static enum err
describe(const struct backup_source *from, struct backup_about *ret)
{
	struct store_counts counts = { 0 };
	struct backup_about a = { .whole = from->store != NULL };
	struct id_sk sk;
	enum err err = ERR_OK;

	if (from->store)
		err = store_count(from->store, &counts);
	a.made_ms = from->now_ms;
	a.contacts = counts.contacts;
	a.messages = counts.messages;
	(void)snprintf(a.name, sizeof(a.name), "%s", from->name);
	identity_from_seed(from->seed, &a.id, &sk);
	sodium_memzero(&sk, sizeof(sk));
	*ret = a;
	return err;
}

enum err
backup_write(int fd, struct span pass, const struct backup_source *from,
    struct backup_about *ret)
{
	struct backup_about a;
	struct vault *v = NULL;
	enum err err = describe(from, &a);

	if (!err)
		err = vault_create(fd, pass, &v);
	if (!err)
		err = write_head(v, from, &a);
	if (!err && from->store)
		err = write_store(v, from);
	if (!err)
		err = vault_finish(v, &a.bytes);
	vault_free(v);
	if (!err)
		*ret = a;
	return err;
}

/* ---- reading ---- */

/* What follows is of this version, or nothing is taken from it. */
static enum err
read_head(struct vault *v, struct backup_about *a, struct id_seed *seed)
{
	uint8_t buf[1 + 1 + 8 + 8 + 8 + 2] = { 0 };
	struct reader r = rd_init(span_of(buf, sizeof(buf)));
	struct id_sk sk;
	uint16_t name_n;
	enum err err = vault_read(v, buf, sizeof(buf));

	if (err)
		return err;
	if (rd_u8(&r) != VERSION)
		return ERR_UNSUPPORTED;
	a->whole = rd_u8(&r) != 0;
	a->made_ms = rd_u64le(&r);
	a->contacts = rd_u64le(&r);
	a->messages = rd_u64le(&r);
	name_n = rd_u16le(&r);
	if (name_n > STORE_NAME_MAX)
		return ERR_MALFORMED;
	err = vault_read(v, a->name, name_n);
	if (!err && (!utf8_valid(span_of(a->name, name_n)) ||
	                memchr(a->name, '\0', name_n) != NULL))
		err = ERR_MALFORMED;
	if (!err)
		err = vault_read(v, seed->b, sizeof(seed->b));
	if (err)
		return err;
	identity_from_seed(seed, &a->id, &sk);
	sodium_memzero(&sk, sizeof(sk));
	return ERR_OK;
}

/* What a whole backup holds. dir: where its database goes; NULL: nowhere. */
struct content {
	const char *dir;
	struct backup_keys *keys;
	struct store_named_key *named; /* owned */
	size_t n_named;
	struct record {
		struct contact_id id;
		uint16_t n;
		uint8_t *p; /* owned */
	} * records;        /* owned */
	size_t n_records;
};

static void
content_clear(struct content *t)
{
	for (size_t i = 0; i < t->n_records; i++) {
		if (t->records[i].p)
			sodium_memzero(t->records[i].p, t->records[i].n);
		free(t->records[i].p);
	}
	free(t->records);
	if (t->named)
		sodium_memzero(t->named, t->n_named * sizeof(*t->named));
	free(t->named);
	t->records = NULL;
	t->named = NULL;
	t->n_records = t->n_named = 0;
}

static enum err
read_keys(struct vault *v, struct content *t)
{
	uint64_t n = 0;
	enum err err = vault_read(v, t->keys->key.b, sizeof(t->keys->key.b));

	if (!err)
		err = read_u64(v, &n);
	if (err)
		return err;
	if (n > KEYFILE_KEYS_MAX)
		return ERR_MALFORMED;
	t->named = calloc((size_t)n + 1, sizeof(*t->named));
	if (!t->named)
		return ERR_NOMEM;
	t->n_named = (size_t)n;
	for (size_t i = 0; i < t->n_named && !err; i++) {
		err = read_u64(v, &t->named[i].number);
		if (!err)
			err = vault_read(v, t->named[i].key, 32);
	}
	return err;
}

static enum err
read_record(struct vault *v, struct record *ret)
{
	uint8_t head[sizeof(ret->id.b) + 2] = { 0 };
	struct reader r = rd_init(span_of(head, sizeof(head)));
	enum err err = vault_read(v, head, sizeof(head));

	if (err)
		return err;
	rd_bytes(&r, ret->id.b, sizeof(ret->id.b));
	ret->n = rd_u16le(&r);
	if (ret->n == 0 || ret->n > RECORD_MAX)
		return ERR_MALFORMED;
	ret->p = malloc(ret->n);
	return ret->p ? vault_read(v, ret->p, ret->n) : ERR_NOMEM;
}

static enum err
read_records(struct vault *v, struct content *t)
{
	uint64_t n = 0;
	enum err err = read_u64(v, &n);

	if (err)
		return err;
	if (n > RECORDS_MAX)
		return ERR_MALFORMED;
	t->records = calloc((size_t)n + 1, sizeof(*t->records));
	if (!t->records)
		return ERR_NOMEM;
	t->n_records = (size_t)n;
	for (size_t i = 0; i < t->n_records && !err; i++)
		err = read_record(v, &t->records[i]);
	return err;
}

/* fd -1: only reads. */
static enum err
read_file(struct vault *v, int fd)
{
	uint8_t *buf = malloc(COPY_BYTES);
	uint64_t left = 0;
	enum err err = buf ? read_u64(v, &left) : ERR_NOMEM;

	while (left > 0 && !err) {
		size_t n = left < COPY_BYTES ? (size_t)left : COPY_BYTES;

		err = vault_read(v, buf, n);
		if (!err && fd >= 0)
			err = file_write(fd, FILE_HERE, buf, n);
		left -= n;
	}
	free(buf);
	return err ? err : vault_end(v);
}

static enum err
read_database(struct vault *v, const struct content *t)
{
	char path[PATH_MAX];
	enum err err;
	int fd;

	if (!t->dir)
		return read_file(v, -1);
	err = path_in(t->dir, STORE_FILE, path);
	if (err)
		return err;
	fd = open(
	    path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return ERR_IO;
	err = read_file(v, fd);
	if (close(fd) && !err)
		err = ERR_IO;
	return err;
}

static enum err
rewind_to_start(int fd)
{
	return lseek(fd, 0, SEEK_SET) == 0 ? ERR_OK : ERR_IO;
}

/* Reads all of it into t. */
static enum err
read_all(int fd, struct span pass, struct content *t, struct backup_about *ret)
{
	struct backup_about a = { .whole = false };
	struct vault *v = NULL;
	struct stat st;
	enum err err = rewind_to_start(fd);

	if (!err && fstat(fd, &st))
		err = ERR_IO;
	if (!err)
		err = vault_open(fd, pass, &v);
	if (!err)
		err = read_head(v, &a, &t->keys->seed);
	if (!err && !a.whole)
		err = t->dir ? ERR_MALFORMED : vault_end(v);
	if (!err && a.whole)
		err = read_keys(v, t);
	if (!err && a.whole)
		err = read_records(v, t);
	if (!err && a.whole)
		err = read_database(v, t);
	vault_free(v);
	if (err)
		return err;
	a.bytes = (uint64_t)st.st_size;
	*ret = a;
	return ERR_OK;
}

enum err
backup_verify(int fd, struct span pass, struct backup_about *ret)
{
	struct backup_keys keys;
	struct content t = { .keys = &keys };
	enum err err = read_all(fd, pass, &t, ret);

	content_clear(&t);
	sodium_memzero(&keys, sizeof(keys));
	return err;
}

enum err
backup_identity(int fd, struct span pass, struct id_seed *ret_seed,
    struct backup_about *ret)
{
	struct backup_keys keys;
	struct content t = { .keys = &keys };
	enum err err = read_all(fd, pass, &t, ret);

	if (!err)
		*ret_seed = keys.seed;
	content_clear(&t);
	sodium_memzero(&keys, sizeof(keys));
	return err;
}

/* ---- restoring ---- */

/* Opens what was staged, so that it is known to be a store that works, and
 * makes another life of it. */
static enum err
revive(const struct content *t)
{
	char why[STORE_WHY_SIZE];
	struct store *s = NULL;
	enum err err = store_open(t->dir, &s, why);

	if (!err)
		err = store_set_key(s, &t->keys->key);
	for (size_t i = 0; i < t->n_records && !err; i++)
		err = store_record_set(s, &t->records[i].id,
		    span_of(t->records[i].p, t->records[i].n));
	if (!err)
		err = store_epoch_renew(s);
	if (!err)
		err = store_commit(s);
	if (!err && store_tampered(s) > 0)
		err = ERR_MALFORMED;
	store_close(s); /* all of it is in one file then */
	/* It was whole before it was sealed. */
	return store_is_gone(err) ? ERR_MALFORMED : err;
}

static enum err
sync_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	enum err err = fd >= 0 && fsync(fd) == 0 ? ERR_OK : ERR_IO;

	if (fd >= 0)
		(void)close(fd);
	return err;
}

enum err
backup_stage(int fd, struct span pass, const char *dir,
    struct backup_keys *ret_keys, struct backup_about *ret)
{
	char stage[PATH_MAX], path[PATH_MAX];
	struct content t = { .dir = stage, .keys = ret_keys };
	enum err err = path_in(dir, STAGE, stage);

	if (!err)
		err = path_in(stage, STORE_FILE, path);
	if (err)
		return err;
	backup_discard(dir);
	if (mkdir(stage, 0700))
		return errno == ENOSPC || errno == EDQUOT ? ERR_LIMIT : ERR_IO;
	err = read_all(fd, pass, &t, ret);
	if (!err)
		err = store_put_keys(stage, &ret_keys->key, t.named, t.n_named);
	if (!err)
		err = revive(&t);
	if (!err)
		err = sync_file(path);
	content_clear(&t);
	if (err) {
		sodium_memzero(ret_keys, sizeof(*ret_keys));
		backup_discard(dir);
	}
	return err;
}

/* The files of a store, and of one that was cut off. */
static const char *const files[] = { STORE_FILE, STORE_FILE "-wal",
	STORE_FILE "-shm", STORE_FILE "-journal", KEYFILE_NAME,
	KEYFILE_NAME FILE_ASIDE };

void
backup_discard(const char *dir)
{
	char stage[PATH_MAX], path[PATH_MAX];

	if (!path_in(dir, COPY_FILE, path))
		(void)unlink(path);
	if (path_in(dir, STAGE, stage))
		return;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (!path_in(stage, files[i], path))
			(void)unlink(path);
	(void)rmdir(stage);
}

/* Both are directories. */
static enum err
install(int at, int stage)
{
	static const char *const names[] = { KEYFILE_NAME, STORE_FILE };

	/* What stands in the old log is not of the new database. */
	if (unlinkat(at, STORE_FILE "-wal", 0) && errno != ENOENT)
		return ERR_IO;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (renameat(stage, names[i], at, names[i]))
			return ERR_IO;
	return fsync(at) ? ERR_IO : ERR_OK;
}

enum err
backup_install(const char *dir)
{
	int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int stage = at < 0
	                ? -1
	                : openat(at, STAGE,
	                      O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	enum err err = stage < 0 ? ERR_IO : install(at, stage);

	if (stage >= 0)
		(void)close(stage);
	if (at >= 0)
		(void)close(at);
	backup_discard(dir);
	return err;
}
