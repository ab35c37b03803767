/* A block of messages under another key, and stores of older versions under
 * the keys of conversations. */
#include "daemon/store_keys.h"

#include <assert.h>

enum { ROWS_AT_ONCE = 256 };

/* Rows of message after one of them, that are sealed under k. */
static enum err
find_rows(struct store *s, int64_t k, int64_t after, int64_t ret[ROWS_AT_ONCE],
    size_t *ret_n)
{
	struct query q =
	    db_query(s, "SELECT row FROM message INDEXED BY message_k"
	                " WHERE k = ?1 AND row > ?2 ORDER BY row LIMIT ?3");
	enum err err = ERR_OK;

	*ret_n = 0;
	db_bind_int(&q, k);
	db_bind_int(&q, after);
	db_bind_int(&q, ROWS_AT_ONCE);
	while (*ret_n < ROWS_AT_ONCE && (err = db_row(&q)) == ERR_OK)
		ret[(*ret_n)++] = db_int(&q, 0);
	db_end(&q);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* fresh 0: the block that it would have come into. One that does not open
 * stays as it is. */
static enum err
reseal(struct store *s, int64_t row, int64_t fresh, struct store_buf *buf)
{
	struct store_message m;
	enum err err = store_message_at(s, row, buf, &m);

	if (err)
		return err == ERR_AUTH ? ERR_OK : err;
	if (fresh > 0)
		m.block = fresh;
	else
		err =
		    store_keys_block(s, &m.m.contact, body_size(&m), &m.block);
	if (!err)
		err = store_message_rewrite(s, &m);
	return err ? err : store_reactions_reseal(s, &m);
}

static enum err
reseal_all(struct store *s, int64_t k, int64_t fresh)
{
	int64_t rows[ROWS_AT_ONCE];
	struct store_buf buf = { 0 };
	int64_t after = INT64_MIN;
	size_t n = 1;
	enum err err = ERR_OK;

	while (!err && n > 0) {
		err = find_rows(s, k, after, rows, &n);
		for (size_t i = 0; i < n && !err; i++)
			err = reseal(s, rows[i], fresh, &buf);
		if (n > 0)
			after = rows[n - 1];
	}
	store_buf_clear(&buf);
	return err;
}

enum err
store_block_reseal(struct store *s, int64_t old, int64_t fresh)
{
	assert(old > 0 && fresh > 0);
	return reseal_all(s, old, fresh);
}

enum err
store_messages_into_blocks(struct store *s)
{
	return reseal_all(s, 0, 0);
}
