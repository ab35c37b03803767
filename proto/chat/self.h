/*
 * What a node is to others besides its ID: static keys with generations, the
 * reach key, the epoch of its database. [SPEC §2] [SPEC §4.2]
 */
#ifndef PROTO_CHAT_SELF_H
#define PROTO_CHAT_SELF_H

#include "proto/base/env.h"
#include "proto/crypto/identity.h"

enum {
	SELF_STATICS_MAX = 4, /* one each 60 d, kept 180 d, and the newest */
	SELF_RENEW_S = 60 * 86400, /* a newer S is made [SPEC §2] */
	SELF_KEEP_S = 180 * 86400, /* after it was replaced [SPEC §2] */
	SELF_SKEW_S = 86400,       /* a cert begins earlier: clocks differ */
	SELF_REACH_KEEP_S = 7 * 86400, /* R before the present one [SPEC §2] */
	SELF_EPOCH_SIZE = 8,
};
/* Wall clocks before this are wrong: 2026-01-01. */
#define SELF_CLOCK_FLOOR_S UINT64_C(1767225600)

struct self_static {
	struct static_sk sk;
	struct static_pk pk; /* derived */
	uint32_t gen;
	uint64_t made_s;
	struct cert_bytes cert; /* derived */
};

struct self {
	struct id_pk id;
	struct id_sk sk;
	struct self_static s[SELF_STATICS_MAX]; /* newest first */
	uint8_t n_s;
	struct reach_key reach, reach_prev;
	uint64_t reach_prev_until_s; /* 0: none */
	uint8_t device[DEVICE_ID_SIZE];
	uint8_t db_epoch[SELF_EPOCH_SIZE];
	uint64_t ts_floor_ms; /* own message 1 names a later time */
};

/* Everything new; to be stored. */
void self_init(struct self *s, const struct id_seed *seed,
    const struct rng *rng, uint64_t now_s);
void self_wipe(struct self *s);
/* Renews S when it is old or not valid now, and drops what is over. True if
 * anything changed. */
bool self_refresh(struct self *s, const struct rng *rng, uint64_t now_s);
/* A new R: a contact was removed. */
void self_renew_reach(struct self *s, const struct rng *rng, uint64_t now_s);

void self_encode(const struct self *s, struct writer *ret);
/* ERR_MALFORMED, ERR_UNSUPPORTED (version). */
MUST_USE enum err
self_decode(struct span in, const struct id_seed *seed, struct self *ret);

#endif /* PROTO_CHAT_SELF_H */
