/*
 * What the pure core is given instead of a system: the time as an argument
 * and one function that fills bytes with randomness.
 */
#ifndef PROTO_BASE_ENV_H
#define PROTO_BASE_ENV_H

#include <stddef.h>
#include <stdint.h>

#define NEVER UINT64_MAX /* a deadline that does not come */

struct now {
	uint64_t mono_ms; /* monotonic, counts suspend (CLOCK_BOOTTIME) */
	uint64_t wall_ms; /* Unix time in ms; may jump */
};

/* Borrowed by everything that draws; must outlive it. */
struct rng {
	void (*fill)(void *ctx, void *buf, size_t n);
	void *ctx;
};

void rng_fill(const struct rng *rng, void *buf, size_t n);
uint32_t rng_u32(const struct rng *rng);
uint64_t rng_u64(const struct rng *rng);
/* Uniform in 0..bound-1; bound > 0. */
uint32_t rng_below(const struct rng *rng, uint32_t bound);
/* base_ms +- part percent, for retry timers. */
uint64_t rng_jitter(const struct rng *rng, uint64_t base_ms, uint32_t percent);

#endif /* PROTO_BASE_ENV_H */
