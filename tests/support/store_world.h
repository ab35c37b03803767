/* A store in a directory of its own, and rows to put into it. */
#ifndef TESTS_SUPPORT_STORE_WORLD_H
#define TESTS_SUPPORT_STORE_WORLD_H

#include "daemon/events.h"
#include "daemon/store.h"
#include "tests/support/tempdir.h"

#define STORE_WORLD_MS UINT64_C(1795000000000) /* when its rows happen */

struct store_world {
	struct tempdir dir;
	struct store *s;
};

/* For cmocka: set up and tear down; *state is a struct store_world. */
int store_world_begin(void **state);
int store_world_end(void **state);
/* The store of a directory, under the key of all these tests. */
struct store *store_world_open(const char *dir);
void store_world_reopen(struct store_world *w);
extern const struct store_key store_world_key;
/* In its place a store that the btchatd of then wrote, see tests/vectors/store;
 * not opened yet. */
void store_world_put_version(struct store_world *w, const char *name);
/* The same in an empty directory. */
void store_world_write_version(const char *dir, const char *name);

void store_world_id(uint8_t id[16], unsigned n);
struct contact_id store_world_contact(unsigned n);
/* Received from contact `from`; its id and seq are n. */
struct store_message
store_world_message(unsigned from, unsigned n, const char *text);
/* Stores contact n, under a key that can be looked for in the file. */
void store_world_add(struct store *s, unsigned n, const char *record);

/* Rows as they come: their numbers, until there are stop_at. */
struct store_rows {
	unsigned n[64];
	size_t count, stop_at;
	char text[64]; /* of the last message, cut */
};
/* For the walks over messages; ctx is a struct store_rows. */
bool store_rows_take(void *ctx, const struct store_message *m);

/* An event about a message of a contact. */
void store_world_event(struct store *s, enum event_type type,
    const struct contact_id *conv, const struct message_id *id);
/* All durable events: "type", or "type=text" of those about messages, joined
 * by blanks; in one static buffer. */
const char *store_world_story(struct store *s);

/* What there is of a text. */
struct store_traces {
	unsigned rows; /* messages, events, reactions that hold it, opened */
	/* The sealed columns in which it was first found; owned. */
	uint8_t *sealed[4];
	size_t sealed_n[4], n;
	unsigned sealed_in_files; /* of those, so many places in any file */
};
/* Looks in every sealed row and in every byte of the files. Begin with zeros;
 * a second look finds again what the first one noted. */
void store_world_traces(
    struct store_world *w, const char *text, struct store_traces *t);
void store_world_traces_clear(struct store_traces *t);

#endif /* TESTS_SUPPORT_STORE_WORLD_H */
