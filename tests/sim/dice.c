#include "tests/sim/dice.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static void
fill(void *ctx, void *buf, size_t n)
{
	struct dice *d = (struct dice *)ctx;

	dice_fill(d, buf, n);
	if (d->watch)
		d->watch(d->watch_ctx, (const uint8_t *)buf, n);
}

void
dice_init(struct dice *d, uint64_t seed, uint64_t who, uint64_t life)
{
	uint64_t in[3] = { seed, who, life };

	memset(d, 0, sizeof(*d));
	crypto_generichash(
	    d->key, sizeof(d->key), (const uint8_t *)in, sizeof(in), NULL, 0);
	d->at = sizeof(d->buf);
	d->rng.fill = fill;
	d->rng.ctx = d;
}

static void
refill(struct dice *d)
{
	uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

	memcpy(nonce, &d->block, sizeof(nonce));
	crypto_stream_chacha20(d->buf, sizeof(d->buf), nonce, d->key);
	d->block++;
	d->at = 0;
}

void
dice_fill(struct dice *d, void *buf, size_t n)
{
	uint8_t *p = (uint8_t *)buf;

	assert(d->at <= sizeof(d->buf));
	while (n > 0) {
		size_t part = sizeof(d->buf) - d->at;

		if (part == 0) {
			refill(d);
			continue;
		}
		if (part > n)
			part = n;
		memcpy(p, d->buf + d->at, part);
		d->at += part;
		p += part;
		n -= part;
	}
}

uint64_t
dice_u64(struct dice *d)
{
	uint64_t v;

	dice_fill(d, &v, sizeof(v));
	return v;
}

uint32_t
dice_below(struct dice *d, uint32_t bound)
{
	assert(bound > 0);
	return (uint32_t)(dice_u64(d) % bound);
}

uint32_t
dice_range(struct dice *d, uint32_t lo, uint32_t hi)
{
	assert(lo <= hi);
	return lo + dice_below(d, hi - lo + 1);
}

bool
dice_chance(struct dice *d, uint32_t per_mille)
{
	return per_mille > 0 && dice_below(d, 1000) < per_mille;
}
