/*
 * What two contacts share: the pair root, what is derived from it, and the
 * slots of the ratchet key. [SPEC §4.1] [SPEC §6.1] [SPEC §6.5]
 */
#ifndef PROTO_CRYPTO_PAIR_H
#define PROTO_CRYPTO_PAIR_H

#include "proto/crypto/types.h"

/* Both added each other's ID. ERR_BAD_KEY: a point that no ID may be, own ID.
 */
MUST_USE enum err pair_root_mutual(const struct id_sk *mine,
    const struct id_pk *theirs, struct pair_root *ret);
/* PR0 of an invitation. */
void pair_root_invite(const struct invite_secret *inv,
    const struct id_pk *inviter, struct pair_root *ret);
/* PR after an INVITE handshake; ck, h after message 2. */
void pair_root_next(
    const uint8_t ck[32], const uint8_t h[32], struct pair_root *ret);
/* R of both sides until HELLO. */
void pair_invite_reach(const struct invite_secret *inv, struct reach_key *ret);

void pair_rk0(const struct pair_root *pr, struct ratchet_key *ret);
void pair_disc(const struct pair_root *pr, struct disc_key *ret);
void pair_rid(const struct ratchet_key *rk, struct rid *ret);
void pair_fallback(const struct ratchet_key *rk0, struct ratchet_key *ret);
/* id_i: all zero in an INVITE handshake. */
void pair_psk2(const struct ratchet_key *rk, const struct id_pk *id_i,
    const struct id_pk *id_r, uint8_t ret[32]);
void pair_rk_next(
    const uint8_t ck[32], const uint8_t h[32], struct ratchet_key *ret);

/*
 * The slots, exactly as in tests/model/ratchet_slots.pml. Persisted as a
 * whole; each call that returns true changed it and must be durable before
 * the packet that follows from it leaves.
 */
enum ratchet_pending {
	RATCHET_NONE = 0,
	RATCHET_INITIATOR, /* stored at message 2, commits at data back */
	RATCHET_RESPONDER, /* stored before message 2, commits at first data */
};
struct ratchet {
	struct ratchet_key cur, prev;     /* both rk0 at first */
	struct ratchet_key pending, base; /* base: what pending was made with */
	enum ratchet_pending role;
	uint64_t advanced_s; /* wall time of the last commit: once an hour */
};

enum key_used { KEY_FALLBACK = 0, KEY_CUR = 1, KEY_PREV = 2 };

void ratchet_init(struct ratchet *r, const struct ratchet_key *rk0);
/* Responder: which key serves a message 1 that names these two rids; base
 * gets it. KEY_FALLBACK: none in common, base unchanged. */
enum key_used ratchet_choose(const struct ratchet *r, const struct rid *cur,
    const struct rid *prev, struct ratchet_key *base);
/* A handshake with ADV granted has reached the point to store `next`. */
void ratchet_store(struct ratchet *r, enum ratchet_pending role,
    const struct ratchet_key *base, const struct ratchet_key *next);
/* The first transport packet under `next` came. True if it was pending (in
 * this role) and is now cur. */
bool ratchet_commit(struct ratchet *r, enum ratchet_pending role,
    const struct ratchet_key *next, uint64_t now_s);
void ratchet_wipe(struct ratchet *r);

#endif /* PROTO_CRYPTO_PAIR_H */
