/*
 * What we store for others: BEP 44 items, at most 700 of them for two hours
 * each. Knows nothing of packets; judges a put and says with which code.
 */
#ifndef PROTO_DHT_ITEMS_H
#define PROTO_DHT_ITEMS_H

#include "proto/base/map.h"
#include "proto/dht/dht.h"
#include "proto/dht/krpc.h"

enum {
	ITEMS_MAX = 700,                 /* as libtorrent keeps */
	ITEMS_LIFE_MS = 2 * 3600 * 1000, /* since the last put [BEP 44] */
	ITEMS_QUOTA = 4,                 /* of one network, once it is tight */
	ITEMS_TIGHT = ITEMS_MAX / 2,
};

/* One stored item. */
struct item {
	bool used;
	bool is_mutable; /* else it has only v */
	struct target target;
	struct endpoint from; /* who put it last */
	uint64_t put_ms;
	uint8_t k[32], sig[64];
	int64_t seq;
	uint16_t v_n;
	uint8_t v[DHT_VALUE_MAX];
};

struct items {
	struct map index;   /* by target, of what is used in item[] */
	struct target own;  /* id of the node: far items go first */
	struct item *item;  /* owned, ITEMS_MAX of them */
	uint64_t expire_ms; /* when the first one may be too old */
};

/* ERR_NOMEM */
MUST_USE enum err items_init(struct items *s, const struct rng *rng);
void items_clear(struct items *s);
/* All of it goes; as after items_init. */
void items_forget(struct items *s, const struct rng *rng);

/* Where a put belongs: SHA1(k || salt) or SHA1(v). [BEP 44] */
void items_target(const struct krpc *put, struct target *ret);
/* The rules on the item alone, before the token: KRPC_V_TOO_BIG,
 * KRPC_SALT_TOO_BIG or KRPC_PROTOCOL. */
enum krpc_code items_check(const struct krpc *put);
/* Checks signature, cas and seq and stores; the token is good. */
enum krpc_code items_put(struct items *s, const struct krpc *put,
    const struct endpoint *from, uint64_t now_ms);
/* Renews the item of that seq without a put, for the network that put it;
 * false: there is none. */
bool items_keep(struct items *s, const struct target *target, int64_t seq,
    const struct endpoint *from, uint64_t now_ms);
/* Or NULL. Borrowed until the next call that changes s. */
const struct item *
items_get(const struct items *s, const struct target *target, uint64_t now_ms);
void items_expire(struct items *s, uint64_t now_ms);

#endif /* PROTO_DHT_ITEMS_H */
