/* Consumers of the events, and how long events are kept for them. */
#include "daemon/events_many.h"

#include "daemon/log.h"

#include <string.h>

enum {
	CHUNK = 10000,          /* rows dropped at a time */
	LAG_ROWS_MAX = 1000000, /* a consumer may be behind by that much */
	LAG_DAYS_MAX = 90,
};
static const uint64_t day_ms = UINT64_C(24) * 3600 * 1000;

static bool
is_consumer_name(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= EVENT_CONSUMER_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static enum err
count_consumers(struct store *s, int64_t *ret)
{
	struct query q = db_query(s, "SELECT count(*) FROM consumer");

	return db_one_int(&q, ret);
}

static enum err
write_consumer(struct store *s, const char *name, int64_t seq, uint64_t now_ms)
{
	struct query q = db_query(s,
	    "INSERT INTO consumer(name, seq, ts_ms) VALUES(?1, ?2, ?3)"
	    " ON CONFLICT(name) DO UPDATE SET seq = excluded.seq,"
	    "  ts_ms = excluded.ts_ms, lapsed = 0");

	db_bind_text(&q, name);
	db_bind_int(&q, seq);
	db_bind_int(&q, (int64_t)now_ms);
	return db_write(&q);
}

enum err
events_consumer_put(
    struct store *s, const char *name, int64_t seq, uint64_t now_ms)
{
	int64_t have;
	int64_t n = 0;
	bool lapsed;
	enum err err;

	if (!is_consumer_name(name))
		return ERR_MALFORMED;
	err = events_consumer_get(s, name, &have, &lapsed);
	if (err == ERR_NOT_FOUND) {
		err = count_consumers(s, &n);
		if (!err && n >= API_CONSUMERS_MAX)
			err = ERR_LIMIT;
	}
	return err ? err : write_consumer(s, name, seq, now_ms);
}

enum err
events_consumer_get(
    struct store *s, const char *name, int64_t *ret_seq, bool *ret_lapsed)
{
	struct query q =
	    db_query(s, "SELECT seq, lapsed FROM consumer WHERE name = ?1");
	enum err err;

	db_bind_text(&q, name);
	err = db_row(&q);
	if (!err) {
		*ret_seq = db_int(&q, 0);
		*ret_lapsed = db_int(&q, 1) != 0;
	}
	db_end(&q);
	return err;
}

enum err
events_consumer_ack(
    struct store *s, const char *name, int64_t seq, uint64_t now_ms)
{
	int64_t have = 0;
	bool lapsed;
	enum err err = events_consumer_get(s, name, &have, &lapsed);

	if (!err)
		err = events_head(s);
	if (err)
		return err;
	if (seq > s->event_head)
		return ERR_LIMIT;
	return write_consumer(s, name, seq > have ? seq : have, now_ms);
}

enum err
events_consumer_remove(struct store *s, const char *name)
{
	int64_t seq;
	bool lapsed;
	struct query q;
	enum err err = events_consumer_get(s, name, &seq, &lapsed);

	if (err)
		return err;
	q = db_query(s, "DELETE FROM consumer WHERE name = ?1");
	db_bind_text(&q, name);
	return db_write(&q);
}

enum err
events_consumers(struct store *s,
    bool (*row)(void *ctx, const struct events_consumer *c), void *ctx)
{
	struct query q = db_query(
	    s, "SELECT name, seq, ts_ms, lapsed FROM consumer ORDER BY name");
	enum err err;

	while ((err = db_row(&q)) == ERR_OK) {
		struct events_consumer c = { .seq = db_int(&q, 1) };
		struct span name = db_blob(&q, 0);

		if (name.n > EVENT_CONSUMER_MAX)
			continue; /* not one of ours */
		memcpy(c.name, name.p, name.n);
		c.acked_ms = (uint64_t)db_int(&q, 2);
		c.lapsed = db_int(&q, 3) != 0;
		if (!row(ctx, &c))
			break;
	}
	db_end(&q);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ---- retention ---- */

/* Consumers that are too far behind no longer hold rows back. */
static enum err
lapse_consumers(struct store *s, uint64_t now_ms)
{
	uint64_t lag_ms = LAG_DAYS_MAX * day_ms;
	struct query q =
	    db_query(s, "UPDATE consumer SET lapsed = 1"
	                " WHERE lapsed = 0 AND (seq < ?1 OR ts_ms < ?2)");
	enum err err;

	db_bind_int(&q, s->event_head - LAG_ROWS_MAX);
	db_bind_int(&q, now_ms > lag_ms ? (int64_t)(now_ms - lag_ms) : 0);
	err = db_write(&q);
	if (!err && db_changed(s) > 0)
		log_event(LOG_NOTICE, "consumer-lapsed",
		    "n=%lld: their next subscription must start anew",
		    (long long)db_changed(s));
	return err;
}

/* The highest seq that may go: below every live consumer's ack. */
static enum err
acked_by_all(struct store *s, int64_t *ret)
{
	struct query q = db_query(
	    s, "SELECT coalesce(min(seq), ?1) FROM consumer WHERE lapsed = 0");

	db_bind_int(&q, INT64_MAX);
	return db_one_int(&q, ret);
}

enum err
events_expire(struct store *s, uint64_t now_ms, uint64_t days, uint64_t rows)
{
	uint64_t keep_ms = days * day_ms;
	int64_t acked = 0;
	int64_t over;
	struct query q;
	enum err err = events_head(s);

	if (!err)
		err = lapse_consumers(s, now_ms);
	if (!err)
		err = acked_by_all(s, &acked);
	if (err)
		return err;
	over =
	    rows < (uint64_t)s->event_head ? s->event_head - (int64_t)rows : 0;
	q = db_query(s, "DELETE FROM event WHERE seq <= (SELECT max(seq) FROM"
	                " (SELECT seq, ts_ms FROM event WHERE seq <= ?1"
	                "  ORDER BY seq LIMIT ?2) WHERE ts_ms < ?3)");
	db_bind_int(&q, over < acked ? over : acked);
	db_bind_int(&q, CHUNK);
	db_bind_int(&q, now_ms > keep_ms ? (int64_t)(now_ms - keep_ms) : 0);
	return db_write(&q);
}
