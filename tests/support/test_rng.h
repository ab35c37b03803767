/* Deterministic randomness for tests: the same seed, the same bytes. */
#ifndef TESTS_SUPPORT_TEST_RNG_H
#define TESTS_SUPPORT_TEST_RNG_H

#include "proto/base/env.h"

struct test_rng {
	uint8_t key[32];
	uint64_t block;
	struct rng rng; /* hand this out; points back, so do not move it */
};

void test_rng_init(struct test_rng *t, uint64_t seed);
/* The seed of this run: $TEST_SEED, else `fallback`; printed. */
uint64_t test_seed(uint64_t fallback);

#endif /* TESTS_SUPPORT_TEST_RNG_H */
