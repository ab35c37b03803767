/* Deterministic randomness for tests: one seed, one run, on every machine. */
#ifndef TESTS_SUPPORT_RNG_H
#define TESTS_SUPPORT_RNG_H

#include "proto/base/env.h"

struct test_rng {
	uint64_t state;
	struct rng rng; /* hand out &t->rng; t stays where it is */
};

/* Prints nothing: a test that uses a seed prints it on failure. */
void test_rng_init(struct test_rng *t, uint64_t seed);
/* The seed of BTCHAT_SEED, or this one; printed to stderr. */
uint64_t test_seed(uint64_t otherwise);
/* How many rounds of a property test: n, or 20 n with BTCHAT_LONG. */
unsigned test_rounds(unsigned n);

#endif /* TESTS_SUPPORT_RNG_H */
