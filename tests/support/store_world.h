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

#endif /* TESTS_SUPPORT_STORE_WORLD_H */
