/* SplitMix64 (Steele, Lea, Flood): small, good enough, and not for keys. */
#include "tests/support/rng.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t
next_u64(struct test_rng *t)
{
	uint64_t z = t->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void
fill(void *ctx, void *buf, size_t n)
{
	uint8_t *p = buf;
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++) {
		if (i % 8 == 0)
			v = next_u64(ctx);
		p[i] = (uint8_t)v;
		v >>= 8;
	}
}

void
test_rng_init(struct test_rng *t, uint64_t seed)
{
	t->state = seed;
	t->rng = (struct rng){ fill, t };
}

uint64_t
test_seed(uint64_t otherwise)
{
	const char *given = getenv("BTCHAT_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : otherwise;

	fprintf(stderr, "seed %" PRIu64 "\n", seed);
	return seed;
}

unsigned
test_rounds(unsigned n)
{
	return getenv("BTCHAT_LONG") ? 20 * n : n;
}
