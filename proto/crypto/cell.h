/*
 * Pair cells: where and when two contacts leave each other their address in
 * the DHT, and what it looks like sealed. [SPEC §4.2] [BEP 44]
 */
#ifndef PROTO_CRYPTO_CELL_H
#define PROTO_CRYPTO_CELL_H

#include "proto/base/endpoint.h"
#include "proto/base/env.h"
#include "proto/base/nat_class.h"
#include "proto/crypto/identity.h"
#include "proto/crypto/types.h"

enum {
	CELL_VALUE_SIZE = 512,
	CELL_PLAIN_SIZE = 472,
	CELL_NONCE_SIZE = 24,
	CELL_CANDIDATES_MAX = 8,
	CELL_INTRODUCERS_MAX = 2,
	CELL_HANDLE_SIZE = 8,
	CELL_EPOCH_S = 86400,
	CELL_EDGE_S = 7200,  /* also published to the neighbour epoch */
	CELL_MINUTES = 1680, /* an epoch and both edges: seq_base + 0..1679 */
};

/* Who writes: the lower ID (in an invitation: the inviter), or the other. */
enum cell_dir { CELL_LOWER = 0, CELL_HIGHER = 1 };

/* An overlay node that passes to the writer what comes for the handle.
 * [SPEC §8.3] */
struct cell_introducer {
	struct endpoint at;
	struct node_key n;
	uint8_t handle[CELL_HANDLE_SIZE];
};

/* Where one cell lives, for one writer and one epoch. Holds secrets. */
struct cell_key {
	uint8_t pk[32], sk[64]; /* Ed25519 of the item */
	uint8_t vkey[32];
	uint32_t seq_base;
	uint32_t offset_s; /* of this pair's day */
	uint64_t epoch;
};

struct cell {
	uint64_t unix_min;      /* when written */
	struct cert_bytes cert; /* verified on opening */
	struct cert says;       /* what it says */
	struct reach_key reach;
	bool has_id; /* only d = 1 under PR0 */
	struct id_pk id;
	enum nat_class nat;
	struct endpoint candidates[CELL_CANDIDATES_MAX];
	uint8_t n_candidates;
	/* Of more than fit behind the candidates, the last ones are left out
	 * in sealing. */
	struct cell_introducer introducers[CELL_INTRODUCERS_MAX];
	uint8_t n_introducers;
};

uint64_t cell_epoch(const struct disc_key *disc, uint64_t unix_s);
/* The two epochs to read now, nearer first. */
void
cell_epochs_read(const struct disc_key *disc, uint64_t unix_s, uint64_t ret[2]);
/* The one or two epochs to publish to now; returns how many. */
unsigned cell_epochs_write(
    const struct disc_key *disc, uint64_t unix_s, uint64_t ret[2]);
void cell_key_derive(const struct disc_key *disc, enum cell_dir dir,
    uint64_t epoch, struct cell_key *ret);
void cell_key_wipe(struct cell_key *k);
/* seq of a put at unix_s. ERR_LIMIT: more than 2 h outside of the epoch. */
MUST_USE enum err
cell_seq(const struct cell_key *k, uint64_t unix_s, int64_t *ret);
/* The first second of the minute that this seq tells. ERR_LIMIT: none does. */
MUST_USE enum err
cell_seq_time(const struct cell_key *k, int64_t seq, uint64_t *ret);

/* The nonce that follows from what is sealed: the same cell is the same item
 * again, another one has another nonce. */
void cell_nonce(const struct cell_key *k, int64_t seq, const struct cell *in,
    uint8_t ret[CELL_NONCE_SIZE]);
/* Differs where two cells say different things, whenever they were written;
 * in memory only. */
uint64_t cell_digest(const struct cell *in);
/* Seals with the given nonce. in->says and in->id matter only as bytes. */
void cell_seal(const struct cell_key *k, int64_t seq, const struct cell *in,
    const uint8_t nonce[CELL_NONCE_SIZE], uint8_t ret[CELL_VALUE_SIZE]);
/* now_s judges the cert. Opens and checks what a storing node gave. `writer` is
 * the ID that must have signed the cert, or NULL to take the one inside
 * (has_id). ERR_AUTH, ERR_MALFORMED, ERR_UNSUPPORTED, ERR_EXPIRED. */
MUST_USE enum err
cell_open(const struct cell_key *k, int64_t seq, struct span value,
    const struct id_pk *writer, uint64_t now_s, struct cell *ret);

#endif /* PROTO_CRYPTO_CELL_H */
