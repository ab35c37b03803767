/*
 * Deterministic randomness: a ChaCha20 stream for each user of it, so that a
 * draw more in one place changes nothing in another.
 */
#ifndef TESTS_SIM_DICE_H
#define TESTS_SIM_DICE_H

#include "proto/base/env.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DICE_BUFFER = 512 };

struct dice {
	uint8_t key[32];
	uint64_t block; /* next nonce */
	size_t at;      /* bytes of buf used up */
	uint8_t buf[DICE_BUFFER];
	/* Called with what was drawn, if set. Borrowed. */
	void (*watch)(void *ctx, const uint8_t *p, size_t n);
	void *watch_ctx;
	struct rng rng; /* to hand out; points back here */
};

/* Not to be moved afterwards: rng points to it. */
void dice_init(struct dice *d, uint64_t seed, uint64_t who, uint64_t life);
void dice_fill(struct dice *d, void *buf, size_t n);
uint64_t dice_u64(struct dice *d);
uint32_t dice_below(struct dice *d, uint32_t bound);           /* bound > 0 */
uint32_t dice_range(struct dice *d, uint32_t lo, uint32_t hi); /* inclusive */
bool dice_chance(struct dice *d, uint32_t per_mille);

#endif /* TESTS_SIM_DICE_H */
