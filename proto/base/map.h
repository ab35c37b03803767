/*
 * Hash table from a fixed-size key to a pointer; keys are copied, values
 * borrowed. Keyed hash (SipHash), so nobody outside can choose collisions.
 */
#ifndef PROTO_BASE_MAP_H
#define PROTO_BASE_MAP_H

#include "proto/base/env.h"
#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAP_KEY_MAX = 40 };

struct map {
	uint8_t seed[16];
	size_t key_n;  /* bytes of a key, 1..MAP_KEY_MAX */
	size_t n;      /* entries */
	size_t cap;    /* slots, a power of two, or 0 */
	void **values; /* owned; NULL = empty slot */
	uint8_t *keys; /* owned; cap * key_n */
};

void map_init(struct map *m, size_t key_n, const struct rng *rng);
void map_clear(struct map *m); /* frees the table, not the values */
void *map_get(const struct map *m, const void *key); /* or NULL */
/* Replaces, and that never fails. value is not NULL. ERR_NOMEM leaves the map
 * as it was. */
MUST_USE enum err map_put(struct map *m, const void *key, void *value);
void *map_del(struct map *m, const void *key); /* the value, or NULL */
/* Walks all entries: start with *at = 0; NULL at the end. No changes meanwhile.
 */
void *map_each(const struct map *m, size_t *at);

#endif /* PROTO_BASE_MAP_H */
