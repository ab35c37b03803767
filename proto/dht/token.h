/*
 * Write tokens: whoever returns one has received a packet at its address, for
 * this target, within the last ten minutes. [BEP 5] [BEP 44]
 */
#ifndef PROTO_DHT_TOKEN_H
#define PROTO_DHT_TOKEN_H

#include "proto/base/endpoint.h"
#include "proto/base/env.h"
#include "proto/crypto/types.h"

enum {
	TOKEN_SIZE = 8,
	TOKEN_SECRET_MS = 5 * 60 * 1000, /* life of a secret; two are kept */
};

struct token_keys {
	uint8_t secret[2][16]; /* present, previous */
	uint64_t since_ms;     /* of the present one */
	const struct rng *rng; /* borrowed for life */
};

void token_init(struct token_keys *k, const struct rng *rng, uint64_t now_ms);
/* For the address, not the port, of `to`. */
void token_make(struct token_keys *k, const struct endpoint *to,
    const struct target *target, uint64_t now_ms, uint8_t ret[TOKEN_SIZE]);
bool token_check(struct token_keys *k, const struct endpoint *from,
    const struct target *target, uint64_t now_ms, struct span token);

#endif /* PROTO_DHT_TOKEN_H */
