/*
 * Who said where he takes part in what: the peers of BEP 5, 2,000 infohashes
 * of 500 peers at most, 45 minutes each. Memory is taken as peers come: none
 * by a node that nobody tells of any, 24 bytes a peer by others. [BEP 5]
 * [BEP 51] [SPEC §8.5]
 */
#ifndef PROTO_DHT_PEERS_H
#define PROTO_DHT_PEERS_H

#include "proto/base/endpoint.h"
#include "proto/base/env.h"
#include "proto/base/err.h"
#include "proto/crypto/types.h"

enum {
	PEERS_SWARMS_MAX = 2000, /* infohashes; the smallest one gives way */
	PEERS_MAX = 500,         /* of one; the oldest one gives way */
	PEERS_LIFE_MS = 45 * 60 * 1000, /* since the last announcement */
	PEERS_SWEEP_MS = 5 * 60 * 1000, /* between two looks for old ones */
	PEERS_QUOTA = 4, /* of one network in a swarm, once it is tight, */
	PEERS_TIGHT = PEERS_MAX / 2,
	/* and of swarms that one network began. */
	PEERS_SWARMS_TIGHT = PEERS_SWARMS_MAX / 2,
	PEERS_SAMPLE = 20,                /* infohashes in one answer */
	PEERS_SAMPLE_MS = 30 * 60 * 1000, /* life of a sample [BEP 51] */
};

struct peer {
	struct endpoint at;
	bool seed;
	uint32_t told_s; /* monotonic */
};

struct swarm {
	struct target hash;
	struct endpoint first; /* who began it */
	uint16_t n, cap;
	struct peer *peer; /* owned */
};

struct peers {
	struct target own;     /* id of the node: far swarms go first */
	const struct rng *rng; /* borrowed for life */
	struct swarm *swarm;   /* owned, by ascending hash */
	size_t n, cap;
	uint64_t sweep_ms;  /* when to look for old ones, or NEVER */
	uint64_t sample_ms; /* until then the sample stays as it is */
	size_t n_sample;
	struct target sample[PEERS_SAMPLE];
};

void
peers_init(struct peers *s, const struct target *own, const struct rng *rng);
void peers_clear(struct peers *s);

/* `at` takes part; its token is good. ERR_NOMEM. */
MUST_USE enum err peers_put(struct peers *s, const struct target *hash,
    const struct endpoint *at, bool seed, uint64_t now_ms);
/* Up to max of them, chosen at random; returns how many. */
size_t peers_get(struct peers *s, const struct target *hash, bool noseed,
    uint64_t now_ms, struct endpoint *ret, size_t max);
/* Infohashes chosen at random, the same ones until *ret_s seconds from now.
 * Borrowed until the next call on s; returns how many. */
size_t peers_sample(struct peers *s, uint64_t now_ms, const struct target **ret,
    uint32_t *ret_s);
void peers_expire(struct peers *s, uint64_t now_ms);

#endif /* PROTO_DHT_PEERS_H */
