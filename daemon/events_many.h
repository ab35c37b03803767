/*
 * Events about messages, many in a row of the log. A turn that takes or sends
 * a hundred texts tells of each, twice or three times; those events are a type
 * and a name, of one conversation and one time, and to seal and insert each was
 * a third of what a message cost. So they are gathered in memory, and written
 * when another event comes, another conversation or time, when the row is full,
 * and before the commit at the latest: their numbers are given before, and
 * nobody reads them until they are durable.
 *
 * Only events*.c include this.
 */
#ifndef DAEMON_EVENTS_MANY_H
#define DAEMON_EVENTS_MANY_H

#include "daemon/events.h"
#include "daemon/store_db.h"

/* Type of such a row; no event's. Stored: never renumber. */
enum { EVENTS_MANY = 64 };

/* Does it go into such a row? */
bool events_many_takes(const struct event_row *e);
/* Gathers it, under its seq, behind those that it goes with. */
MUST_USE enum err events_many_add(struct store *s, const struct event_row *e);
/* Forgets what was gathered; at the end, its memory too. */
void events_many_drop(struct store *s);
void events_many_free(struct store *s);

/* The events of such a row, which stands in *row: its seq is the last one's. */
struct events_many_reader {
	struct reader in;
	struct event_row row; /* the one given last */
};
/* ERR_MALFORMED: it is none. */
MUST_USE enum err
events_many_open(const struct event_row *row, struct events_many_reader *ret);
/* NULL: there are no more. It is borrowed until the next, and borrows from the
 * body. */
struct event_row *events_many_next(struct events_many_reader *r);

/* events.c: reads s->event_head, the newest seq ever given, also if its row was
 * dropped since. */
MUST_USE enum err events_head(struct store *s);
/* What a row's body is sealed under. */
struct row_key events_row_key(int64_t seq, unsigned type, int64_t k);

#endif /* DAEMON_EVENTS_MANY_H */
