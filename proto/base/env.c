/* Draws from the one source of randomness the core is given. */
#include "proto/base/env.h"

#include <assert.h>

void
rng_fill(const struct rng *rng, void *buf, size_t n)
{
	assert(rng && rng->fill);
	assert(buf || n == 0);
	if (n > 0)
		rng->fill(rng->ctx, buf, n);
}

/* Byte by byte, so that one seed gives one run on any machine. */
uint64_t
rng_u64(const struct rng *rng)
{
	uint8_t b[8];
	uint64_t v = 0;

	rng_fill(rng, b, sizeof(b));
	for (size_t i = sizeof(b); i-- > 0;)
		v = v << 8 | b[i];
	return v;
}

uint32_t
rng_u32(const struct rng *rng)
{
	uint8_t b[4];
	uint32_t v = 0;

	rng_fill(rng, b, sizeof(b));
	for (size_t i = sizeof(b); i-- > 0;)
		v = v << 8 | b[i];
	return v;
}

/*
 * Draws below the first 2^32 mod bound are thrown away: what is left is a
 * whole number of bounds, so the remainder is uniform. At worst half of the
 * draws are lost; a source that is stuck there cannot hold us, since after
 * 128 of them the bias left is 2^-128.
 */
uint32_t
rng_below(const struct rng *rng, uint32_t bound)
{
	uint32_t unfair;
	uint32_t v = 0;

	assert(bound > 0);
	unfair = (0U - bound) % bound;
	for (int i = 0; i < 128; i++) {
		v = rng_u32(rng);
		if (v >= unfair)
			break;
	}
	assert(v % bound < bound);
	return v % bound;
}

uint64_t
rng_jitter(const struct rng *rng, uint64_t base_ms, uint32_t percent)
{
	uint64_t part;
	uint64_t span_ms;

	assert(percent <= 100);
	assert(base_ms < NEVER / 128);
	part = base_ms * percent / 100;
	if (part == 0)
		return base_ms;
	span_ms = 2 * part + 1;
	if (span_ms > UINT32_MAX)
		span_ms = UINT32_MAX;
	return base_ms - part + rng_below(rng, (uint32_t)span_ms);
}
