/* A store that was just opened: is it on the disk, is it sound? */
#include "daemon/store_db.h"

#include "daemon/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	LOG_CHUNK = 65536,
	/* Of a database that is looked through at each start; it takes some
	 * 10 ms for each MB. */
	CHECK_BYTES = 8 * 1024 * 1024,
	/* While others wait; without the indexes, in 12 ms. */
	LOOK_BYTES = 4 * 1024 * 1024,
};

/* The same bytes again: a sync that follows one that failed keeps nothing that
 * was not written since. */
static enum err
write_again(int fd)
{
	uint8_t *buf = malloc(LOG_CHUNK);
	off_t at = 0;
	size_t n = LOG_CHUNK;
	enum err err = buf ? ERR_OK : ERR_NOMEM;

	while (n == LOG_CHUNK && !err) {
		err = file_read(fd, at, buf, LOG_CHUNK, &n);
		if (!err)
			err = file_write(fd, at, buf, n);
		at += (off_t)n;
	}
	free(buf);
	if (!err && fsync(fd))
		err = ERR_IO;
	return err;
}

static enum err
keep(const struct store *s)
{
	int dir_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err err = ERR_OK;
	int fd;

	if (dir_fd < 0)
		return ERR_IO;
	fd = openat(dir_fd, STORE_FILE "-wal", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0) {
		err = write_again(fd);
		(void)close(fd); /* SQLite holds no lock on this file */
	} else if (errno != ENOENT) {
		err = ERR_IO;
	}
	if (!err && fsync(dir_fd))
		err = ERR_IO;
	(void)close(dir_fd);
	return err;
}

enum err
store_keep(struct store *s)
{
	enum err err = s->kept ? ERR_OK : keep(s);

	s->kept = !err;
	if (err == ERR_LIMIT)
		s->last_rc = SQLITE_FULL;
	else if (err)
		s->last_rc = err == ERR_NOMEM ? SQLITE_NOMEM : SQLITE_IOERR;
	return err;
}

bool
store_is_kept(const struct store *s)
{
	return s->kept;
}

/* An index that does not lead to a row hides it, and nobody would know. */
enum err
store_check(struct store *s)
{
	struct query q;
	enum err err;

	if (store_bytes(s) > CHECK_BYTES)
		return ERR_OK;
	q = db_query(s, "PRAGMA integrity_check(1)");
	err = db_row(&q);
	if (!err && !span_eq(db_blob(&q, 0), span_str("ok")))
		db_damaged(s,
		    "a page or an index cannot be read, or is not what it was");
	db_end(&q);
	return s->damaged ? ERR_OK : err; /* what can be, is read */
}

enum err
store_look(struct store *s, bool *ret_looked)
{
	struct query q;
	enum err err;

	*ret_looked = store_bytes(s) <= LOOK_BYTES;
	if (!*ret_looked)
		return ERR_OK;
	q = db_query(s, "PRAGMA quick_check(1)");
	err = db_row(&q);
	if (!err && !span_eq(db_blob(&q, 0), span_str("ok")))
		err = ERR_MALFORMED;
	db_end(&q);
	return err;
}
