/*
 * Searching a sealed history: it has no index on disk. In memory each row has
 * 256 bits that the beginnings of its words set; what may hold a word is opened
 * and looked at. A row that nobody looked at yet may hold anything, so nothing
 * is missed while the bits are still gathered, only slower.
 */
#ifndef DAEMON_SEARCH_H
#define DAEMON_SEARCH_H

#include "daemon/store.h"

enum {
	SEARCH_QUERY_MAX = 256,  /* bytes of a query */
	SEARCH_WORDS_MAX = 16,   /* of it */
	SEARCH_MATCHES_MAX = 16, /* told of one message */
};

struct search;

/* NULL: no memory. `store` is borrowed for life; it tells this one what
 * changes. */
struct search *search_new(struct store *store);
void search_free(struct search *s); /* wipes; NULL is fine */

/* Looks at up to n rows that nobody looked at, the newest first. False: there
 * are none, or they cannot be read now. */
bool search_gather(struct search *s, size_t n);

struct search_match {
	uint32_t at, n; /* bytes of the text */
};
struct search_hit {
	const struct store_message *message; /* text borrowed during the call */
	struct search_match match[SEARCH_MATCHES_MAX]; /* by place */
	size_t n_matches;
};
struct search_query {
	struct span text; /* UTF-8 */
	bool has_conv;
	struct contact_id conv;
	bool has_ours, ours;         /* ours alone, or theirs */
	uint64_t since_ms, until_ms; /* sent in [since, until); 0: any time */
	int64_t before;              /* rows below it; 0: from the newest */
	size_t limit;
};
/*
 * Calls hit for each text in which every word of the query begins a word,
 * newest first, until it returns false or the limit is reached. Deleted texts
 * are none. *ret_next: where to go on, 0: that was all. Comes back after some
 * work also without a hit. ERR_MALFORMED: no word in the query; ERR_NOMEM,
 * ERR_IO, ERR_STATE (locked).
 */
MUST_USE enum err search_run(struct search *s, const struct search_query *q,
    bool (*hit)(void *ctx, const struct search_hit *h), void *ctx,
    int64_t *ret_next);

#endif /* DAEMON_SEARCH_H */
