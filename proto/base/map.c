/* Open addressing with linear probing; deletion shifts back, so there are no
 * tombstones and a walk never gets longer than the table is full. */
#include "proto/base/map.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { MAP_CAP_MIN = 16 };

_Static_assert(crypto_shorthash_KEYBYTES == sizeof(((struct map *)0)->seed),
    "SipHash key");

void
map_init(struct map *m, size_t key_n, const struct rng *rng)
{
	assert(key_n > 0 && key_n <= MAP_KEY_MAX);
	*m = (struct map){ .key_n = key_n };
	rng_fill(rng, m->seed, sizeof(m->seed));
}

void
map_clear(struct map *m)
{
	assert(m->n <= m->cap);
	free(m->values);
	free(m->keys);
	m->values = NULL;
	m->keys = NULL;
	m->n = 0;
	m->cap = 0;
}

static uint8_t *
key_at(const struct map *m, size_t i)
{
	assert(i < m->cap);
	return m->keys + i * m->key_n;
}

/* Where a key would live if nobody were before it. */
static size_t
home(const struct map *m, const void *key)
{
	uint8_t b[crypto_shorthash_BYTES];
	size_t v = 0;

	assert(m->cap > 0 && (m->cap & (m->cap - 1)) == 0);
	crypto_shorthash(b, key, m->key_n, m->seed);
	for (size_t i = 0; i < sizeof(v); i++)
		v = v << 8 | b[i];
	return v & (m->cap - 1);
}

/* The slot of a key, or the empty one where it belongs. One is always empty. */
static size_t
find(const struct map *m, const void *key)
{
	size_t i = home(m, key);

	assert(m->n < m->cap);
	while (m->values[i] && memcmp(key_at(m, i), key, m->key_n) != 0)
		i = (i + 1) & (m->cap - 1);
	return i;
}

void *
map_get(const struct map *m, const void *key)
{
	assert(m->key_n > 0 && key);
	return m->n == 0 ? NULL : m->values[find(m, key)];
}

static void
insert(struct map *m, const void *key, void *value)
{
	size_t i = find(m, key);

	if (!m->values[i]) {
		memcpy(key_at(m, i), key, m->key_n);
		m->n++;
	}
	m->values[i] = value;
}

static enum err
grow(struct map *m)
{
	struct map big = *m;

	big.n = 0;
	big.cap = m->cap > 0 ? 2 * m->cap : MAP_CAP_MIN;
	if (big.cap > SIZE_MAX / 2 / (MAP_KEY_MAX + sizeof(void *)))
		return ERR_NOMEM;
	big.values = calloc(big.cap, sizeof(void *));
	big.keys = calloc(big.cap, big.key_n);
	if (!big.values || !big.keys) {
		free(big.values);
		free(big.keys);
		return ERR_NOMEM;
	}
	for (size_t i = 0; i < m->cap; i++) {
		if (m->values[i])
			insert(&big, key_at(m, i), m->values[i]);
	}
	assert(big.n == m->n);
	free(m->values);
	free(m->keys);
	m->values = big.values;
	m->keys = big.keys;
	m->cap = big.cap;
	return ERR_OK;
}

enum err
map_put(struct map *m, const void *key, void *value)
{
	assert(m->key_n > 0 && key && value);
	/* At most three quarters full: probes stay short. Whoever replaces
	 * needs no room. */
	if (4 * (m->n + 1) > 3 * m->cap && !map_get(m, key)) {
		enum err err = grow(m);

		if (err)
			return err;
	}
	insert(m, key, value);
	return ERR_OK;
}

/* True if the entry at `at` may move back to the hole: its home does not lie
 * after the hole on the way to it. */
static bool
may_move(const struct map *m, size_t hole, size_t at)
{
	size_t from_home = (at - home(m, key_at(m, at))) & (m->cap - 1);
	size_t from_hole = (at - hole) & (m->cap - 1);

	return from_home >= from_hole;
}

void *
map_del(struct map *m, const void *key)
{
	size_t hole;
	void *value;

	assert(m->key_n > 0 && key);
	if (m->n == 0)
		return NULL;
	hole = find(m, key);
	value = m->values[hole];
	if (!value)
		return NULL;
	for (size_t i = (hole + 1) & (m->cap - 1); m->values[i];
	     i = (i + 1) & (m->cap - 1)) {
		if (!may_move(m, hole, i))
			continue;
		m->values[hole] = m->values[i];
		memcpy(key_at(m, hole), key_at(m, i), m->key_n);
		hole = i;
	}
	m->values[hole] = NULL;
	m->n--;
	return value;
}

void *
map_each(const struct map *m, size_t *at)
{
	assert(at);
	while (*at < m->cap) {
		void *value = m->values[(*at)++];

		if (value)
			return value;
	}
	return NULL;
}
