#include "tests/sim/keys.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MASK UINT64_C(0x5bd1e995a3c59ac3)

static struct keys *current;

void
keys_use(struct keys *k)
{
	current = k;
}

static uint64_t
masked_word(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return x ^ MASK;
}

static bool
is_at(const struct key_seen *k, const uint8_t *p)
{
	for (size_t i = 0; i < KEYS_WORDS; i++)
		if (masked_word(p + 8 * i) != k->masked[i])
			return false;
	return true;
}

void
keys_add(struct keys *k, const uint8_t key[32])
{
	for (size_t i = 0; i < k->n; i++)
		if (is_at(&k->key[i], key)) {
			k->key[i].last_ms = k->now_ms;
			return;
		}
	assert(k->n < KEYS_MAX);
	for (size_t i = 0; i < KEYS_WORDS; i++)
		k->key[k->n].masked[i] = masked_word(key + 8 * i);
	k->key[k->n++].last_ms = k->now_ms;
}

void
keys_saw(const uint8_t key[32])
{
	if (current)
		keys_add(current, key);
}

/* Keys stand where the compiler or the codec put them: at any byte. */
static void
search(struct keys *k, const uint8_t *p, size_t n)
{
	static uint8_t filter[1 << 16];

	memset(filter, 0, sizeof(filter));
	for (size_t i = 0; i < k->n; i++)
		filter[k->key[i].masked[0] & 0xffff] = 1;
	for (size_t at = 0; at + 8 * KEYS_WORDS <= n; at++) {
		if (!filter[masked_word(p + at) & 0xffff])
			continue;
		for (size_t i = 0; i < k->n; i++)
			k->key[i].n_found += is_at(&k->key[i], p + at);
	}
}

void
keys_search(struct keys *k)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	uintptr_t from, to;
	char mode[5];
	char line[512];

	assert(maps);
	for (size_t i = 0; i < k->n; i++)
		k->key[i].n_found = 0;
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to,
		        mode) == 3 &&
		    mode[0] == 'r' && mode[1] == 'w' && !strstr(line, "[v"))
			search(k, (const uint8_t *)from, to - from);
	fclose(maps);
}
