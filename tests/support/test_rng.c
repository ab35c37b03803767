/* A ChaCha20 stream keyed by the seed. */
#include "tests/support/test_rng.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
fill(void *ctx, void *buf, size_t n)
{
	struct test_rng *t = ctx;
	uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

	memcpy(nonce, &t->block, sizeof(nonce));
	t->block++;
	crypto_stream_chacha20(buf, n, nonce, t->key);
}

void
test_rng_init(struct test_rng *t, uint64_t seed)
{
	memset(t, 0, sizeof(*t));
	memcpy(t->key, &seed, sizeof(seed));
	t->rng.fill = fill;
	t->rng.ctx = t;
}

uint64_t
test_seed(uint64_t fallback)
{
	const char *s = getenv("TEST_SEED");
	uint64_t seed = s != NULL ? strtoull(s, NULL, 0) : fallback;

	printf("TEST_SEED=%" PRIu64 "\n", seed);
	return seed;
}
