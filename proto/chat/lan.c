/* Tokens of the local network. */
#include "proto/chat/lan.h"

#include "proto/crypto/kdf.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(LAN_TOKENS *LAN_TOKEN_SIZE == LAN_SIZE, "nothing is left");
_Static_assert(LAN_TOKEN_SIZE + CELL_VALUE_SIZE <= LAN_SIZE, "a cell fits");
_Static_assert(
    (int)CELL_EDGE_S > (int)LAN_SLOT_S, "a slot begins in its epoch");

void
lan_token(const struct disc_key *disc, enum lan_kind kind, enum cell_dir dir,
    uint64_t slot, struct lan_token *ret)
{
	uint8_t x[9];
	uint8_t h[32];
	struct writer w = wr_init(x, sizeof(x));

	assert(dir == CELL_LOWER || dir == CELL_HIGHER);
	wr_u8(&w, (uint8_t)dir);
	wr_u64le(&w, slot);
	kdf_label(disc->b,
	    kind == LAN_BEACON ? "btchat/1 lan" : "btchat/1 lan cell",
	    wr_span_of(&w), h);
	memcpy(ret->b, h, sizeof(ret->b));
	sodium_memzero(h, sizeof(h));
}

/* ---- beacons ---- */

static void
dummy(const uint8_t own_key[32], uint64_t slot, size_t i, struct lan_token *ret)
{
	uint8_t x[12];
	uint8_t h[32];
	struct writer w = wr_init(x, sizeof(x));

	wr_u64le(&w, slot);
	wr_u32le(&w, (uint32_t)i);
	kdf_label(own_key, "btchat/1 lan dummy", wr_span_of(&w), h);
	memcpy(ret->b, h, sizeof(ret->b));
	sodium_memzero(h, sizeof(h));
}

void
lan_beacon(const struct lan_token *tokens, size_t n, const uint8_t own_key[32],
    uint64_t slot, const struct rng *rng, uint8_t ret[LAN_SIZE])
{
	struct lan_token all[LAN_TOKENS];

	assert(n <= LAN_TOKENS);
	assert(tokens != NULL || n == 0);
	for (size_t i = 0; i < LAN_TOKENS; i++)
		if (i < n)
			all[i] = tokens[i];
		else
			dummy(own_key, slot, i, &all[i]);
	for (uint32_t i = LAN_TOKENS - 1; i > 0; i--) {
		uint32_t j = rng_below(rng, i + 1);
		struct lan_token t = all[i];

		all[i] = all[j];
		all[j] = t;
	}
	memcpy(ret, all, LAN_SIZE);
}

enum err
lan_cell_key(const struct disc_key *disc, enum cell_dir dir, uint64_t slot,
    struct cell_key *ret, int64_t *ret_seq)
{
	uint64_t begin_s;
	enum err err;

	if (slot > UINT64_MAX / LAN_SLOT_S)
		return ERR_LIMIT;
	begin_s = slot * LAN_SLOT_S;
	cell_key_derive(disc, dir, cell_epoch(disc, begin_s), ret);
	err = cell_seq(ret, begin_s, ret_seq);
	if (err)
		cell_key_wipe(ret);
	return err;
}

/* ---- what is expected ---- */

void
lan_table_clear(struct lan_table *t)
{
	free(t->entries);
	*t = (struct lan_table){ 0 };
}

enum err
lan_table_reset(struct lan_table *t, size_t n_pairs)
{
	lan_table_clear(t);
	if (n_pairs == 0)
		return ERR_OK;
	t->entries = calloc(n_pairs * LAN_EXPECTED, sizeof(*t->entries));
	if (t->entries == NULL)
		return ERR_NOMEM;
	t->cap = n_pairs * LAN_EXPECTED;
	return ERR_OK;
}

void
lan_table_add(struct lan_table *t, const struct disc_key *disc,
    enum cell_dir dir, uint32_t who, uint64_t slot)
{
	uint64_t first = slot > 0 ? slot - 1 : 0;

	assert(t->cap - t->n >= LAN_EXPECTED);
	for (unsigned i = 0; i < LAN_EXPECTED; i++) {
		struct lan_entry *e = &t->entries[t->n++];

		e->kind = i % 2 ? LAN_CELL : LAN_BEACON;
		e->slot = first + i / 2;
		e->who = who;
		lan_token(disc, e->kind, dir, e->slot, &e->token);
	}
}

static int
by_token(const void *a, const void *b)
{
	const struct lan_entry *x = a;
	const struct lan_entry *y = b;

	return sodium_compare(x->token.b, y->token.b, LAN_TOKEN_SIZE);
}

void
lan_table_sort(struct lan_table *t)
{
	assert(t->n <= t->cap);
	if (t->n > 0)
		qsort(t->entries, t->n, sizeof(*t->entries), by_token);
}

const struct lan_entry *
lan_table_find(const struct lan_table *t, const uint8_t token[LAN_TOKEN_SIZE])
{
	struct lan_entry key = { .who = 0 };

	if (t->n == 0)
		return NULL;
	memcpy(key.token.b, token, LAN_TOKEN_SIZE);
	return bsearch(&key, t->entries, t->n, sizeof(*t->entries), by_token);
}
