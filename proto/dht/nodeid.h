/*
 * Node ids: distance in the 160-bit space, and ids that are bound to an
 * address so that nobody may choose a place at will. [BEP 5] [BEP 42]
 */
#ifndef PROTO_DHT_NODEID_H
#define PROTO_DHT_NODEID_H

#include "proto/base/endpoint.h"
#include "proto/base/env.h"
#include "proto/crypto/types.h"

enum {
	NODEID_SIZE = 20,
	NODEID_BITS = 160,
};

bool nodeid_eq(const struct target *a, const struct target *b);
/* Leading bits that agree, 0..160. */
unsigned nodeid_common(const struct target *a, const struct target *b);
/* Negative if a is nearer to goal than b, by XOR; 0 only if a equals b. */
int nodeid_compare(
    const struct target *goal, const struct target *a, const struct target *b);
/* The first 64 bits of the distance, for estimates. */
uint64_t nodeid_distance64(const struct target *a, const struct target *b);

/* A random id at that distance from goal in its first 64 bits. */
void nodeid_at_distance(const struct target *goal, uint64_t distance,
    const struct rng *rng, struct target *ret);
void nodeid_random(const struct rng *rng, struct target *ret);
/* The first `keep` bits of goal, the rest random. */
void nodeid_blur(const struct target *goal, unsigned keep,
    const struct rng *rng, struct target *ret);
/* A random place in the ids that share exactly `common` bits with own. */
void nodeid_in_bucket(const struct target *own, unsigned common,
    const struct rng *rng, struct target *ret);

/* An id that nodes at other addresses accept for `at`; salt is its last
 * byte, of which three bits count. [BEP 42] */
void nodeid_make(const struct endpoint *at, uint8_t salt, const struct rng *rng,
    struct target *ret);
/* Binds an id: sets its first 21 bits and its last byte. [BEP 42] */
void nodeid_bind(struct target *id, const struct endpoint *at, uint8_t salt);
/* True for every id at an address that is not global. */
bool nodeid_valid(const struct target *id, const struct endpoint *at);

#endif /* PROTO_DHT_NODEID_H */
