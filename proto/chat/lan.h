/*
 * Finding contacts on the local network: the tokens of a beacon, and the
 * table of those that contacts may send. Who has not the discovery key of a
 * pair sees random bytes, as many whoever sends them. [SPEC §4.5]
 */
#ifndef PROTO_CHAT_LAN_H
#define PROTO_CHAT_LAN_H

#include "proto/base/env.h"
#include "proto/base/err.h"
#include "proto/crypto/cell.h"

enum {
	LAN_SIZE = 1024, /* bytes of every datagram */
	LAN_TOKEN_SIZE = 8,
	LAN_TOKENS = LAN_SIZE / LAN_TOKEN_SIZE,
	LAN_SLOT_S = 900,
	/* Slots that are understood: of now and its two neighbours. */
	LAN_SLOTS = 3,
	/* Tokens that a pair may send us. */
	LAN_EXPECTED = 2 * LAN_SLOTS,
};

struct lan_token {
	uint8_t b[LAN_TOKEN_SIZE];
};

enum lan_kind {
	LAN_BEACON = 0, /* I am here */
	LAN_CELL,       /* this is my cell: for who does not know my S */
};

static inline uint64_t
lan_slot(uint64_t unix_s)
{
	return unix_s / LAN_SLOT_S;
}

void lan_token(const struct disc_key *disc, enum lan_kind kind,
    enum cell_dir dir, uint64_t slot, struct lan_token *ret);

/*
 * All LAN_TOKENS of a beacon in random order: those given, and dummies that
 * stay the same for a slot as the others do. own_key is nobody else's.
 */
void
lan_beacon(const struct lan_token *tokens, size_t n, const uint8_t own_key[32],
    uint64_t slot, const struct rng *rng, uint8_t ret[LAN_SIZE]);

/* The cell of a slot: key and seq follow from its first second. */
MUST_USE enum err lan_cell_key(const struct disc_key *disc, enum cell_dir dir,
    uint64_t slot, struct cell_key *ret, int64_t *ret_seq);

/* What is expected to be heard. */
struct lan_entry {
	struct lan_token token;
	enum lan_kind kind;
	uint32_t who; /* the owner's number */
	uint64_t slot;
};
struct lan_table {
	struct lan_entry *entries; /* owned; sorted by token */
	size_t n, cap;
};

/* Empties it and makes room for n pairs. ERR_NOMEM: it is empty. */
MUST_USE enum err lan_table_reset(struct lan_table *t, size_t n_pairs);
void lan_table_clear(struct lan_table *t);
/* Tokens of a pair around `slot`; dir is the other's. */
void lan_table_add(struct lan_table *t, const struct disc_key *disc,
    enum cell_dir dir, uint32_t who, uint64_t slot);
void lan_table_sort(struct lan_table *t); /* after the last add */
/* NULL: nobody we know. */
const struct lan_entry *
lan_table_find(const struct lan_table *t, const uint8_t token[LAN_TOKEN_SIZE]);

#endif /* PROTO_CHAT_LAN_H */
