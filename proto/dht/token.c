/* Tokens: SipHash-2-4 under a secret that changes every five minutes. */
#include "proto/dht/token.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

_Static_assert(TOKEN_SIZE == crypto_shorthash_BYTES, "one SipHash");
_Static_assert(crypto_shorthash_KEYBYTES == 16, "a secret is one key");

void
token_init(struct token_keys *k, const struct rng *rng, uint64_t now_ms)
{
	assert(rng);
	k->rng = rng;
	k->since_ms = now_ms;
	rng_fill(rng, k->secret, sizeof(k->secret));
}

static void
turn(struct token_keys *k, uint64_t now_ms)
{
	uint64_t age_ms = now_ms > k->since_ms ? now_ms - k->since_ms : 0;

	if (age_ms < TOKEN_SECRET_MS)
		return;
	if (age_ms < UINT64_C(2) * TOKEN_SECRET_MS)
		memcpy(k->secret[1], k->secret[0], sizeof(k->secret[1]));
	else /* long idle: the present one is as old as the previous */
		rng_fill(k->rng, k->secret[1], sizeof(k->secret[1]));
	rng_fill(k->rng, k->secret[0], sizeof(k->secret[0]));
	k->since_ms = now_ms;
}

static void
hash(const uint8_t secret[16], const struct endpoint *at,
    const struct target *target, uint8_t ret[TOKEN_SIZE])
{
	uint8_t in[sizeof(at->addr) + sizeof(target->b)];

	memcpy(in, at->addr, sizeof(at->addr));
	memcpy(in + sizeof(at->addr), target->b, sizeof(target->b));
	(void)crypto_shorthash(ret, in, sizeof(in), secret);
}

void
token_make(struct token_keys *k, const struct endpoint *to,
    const struct target *target, uint64_t now_ms, uint8_t ret[TOKEN_SIZE])
{
	turn(k, now_ms);
	hash(k->secret[0], to, target, ret);
}

bool
token_check(struct token_keys *k, const struct endpoint *from,
    const struct target *target, uint64_t now_ms, struct span token)
{
	uint8_t good[TOKEN_SIZE];
	bool found = false;

	assert(k->rng && from && target);

	if (token.n != TOKEN_SIZE)
		return false;
	turn(k, now_ms);
	for (unsigned i = 0; i < 2; i++) {
		hash(k->secret[i], from, target, good);
		if (sodium_memcmp(good, token.p, TOKEN_SIZE) == 0)
			found = true;
	}
	return found;
}
