/* Sources share a fixed table of buckets, so a flood of forged addresses
 * takes no memory; who shares a bucket with it shares its rate. */
#include "proto/link/load.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum {
	REPLY_MS = 1000 / LOAD_REPLIES_S,
	BURST_MS = REPLY_MS * LOAD_REPLIES_BURST,
	PREFIX_V6 = 8 /* bytes: a /64 */
};

_Static_assert(crypto_shorthash_KEYBYTES == sizeof(((struct load *)0)->hash),
    "SipHash key");

void
load_init(struct load *d, const struct rng *rng)
{
	*d = (struct load){ .rng = rng };
	rng_fill(rng, d->hash, sizeof(d->hash));
}

void
load_wipe(struct load *d)
{
	sodium_memzero(d, sizeof(*d));
}

void
load_count_dh(struct load *d, uint32_t n, uint64_t now_ms)
{
	uint64_t second = now_ms / 1000;

	assert(second >= d->second);
	if (second != d->second) {
		d->dh_last = second == d->second + 1 ? d->dh_now : 0;
		d->dh_now = 0;
		d->second = second;
	}
	d->dh_now += n;
}

void
load_behind(struct load *d, uint64_t now_ms)
{
	d->behind_until_ms = now_ms + LOAD_BEHIND_MS;
}

bool
load_is_high(const struct load *d, size_t n_half, uint64_t now_ms)
{
	uint64_t second = now_ms / 1000;

	if (n_half > LOAD_HALF_HIGH || now_ms < d->behind_until_ms)
		return true;
	if (second == d->second)
		return d->dh_now > LOAD_DH_HIGH || d->dh_last > LOAD_DH_HIGH;
	return second == d->second + 1 && d->dh_now > LOAD_DH_HIGH;
}

size_t
load_guards(struct load *d, size_t n, uint64_t now_ms)
{
	uint64_t second = now_ms / 1000;

	assert(second >= d->mac_second);
	if (second != d->mac_second)
		d->macs_now = 0;
	d->mac_second = second;
	if (d->macs_now > LOAD_MACS_HIGH && n > LOAD_GUARDS)
		n = LOAD_GUARDS;
	d->macs_now += (uint32_t)n;
	return n;
}

static void
renew(struct load *d, uint64_t now_ms)
{
	uint64_t age = now_ms - d->secret_ms;

	assert(d->rng && d->secret_ms <= now_ms);
	if (d->has_secret && age < LOAD_SECRET_MS)
		return;
	d->has_before = d->has_secret && age < 2 * (uint64_t)LOAD_SECRET_MS;
	memcpy(d->secret[1], d->secret[0], sizeof(d->secret[1]));
	rng_fill(d->rng, d->secret[0], sizeof(d->secret[0]));
	d->has_secret = true;
	d->secret_ms = now_ms;
}

void
load_cookie(struct load *d, const struct endpoint *from, uint64_t now_ms,
    uint8_t ret[HANDSHAKE_COOKIE_SIZE])
{
	renew(d, now_ms);
	handshake_cookie(d->secret[0], from, ret);
}

bool
load_mac2_ok(struct load *d, const struct endpoint *from, struct span message_1,
    uint64_t now_ms)
{
	uint8_t cookie[HANDSHAKE_COOKIE_SIZE];
	bool ok;

	renew(d, now_ms);
	handshake_cookie(d->secret[0], from, cookie);
	ok = handshake_mac2_ok(cookie, message_1);
	if (!ok && d->has_before) {
		handshake_cookie(d->secret[1], from, cookie);
		ok = handshake_mac2_ok(cookie, message_1);
	}
	sodium_memzero(cookie, sizeof(cookie));
	return ok;
}

static uint32_t
bucket(const struct load *d, const struct endpoint *from)
{
	struct span addr = endpoint_addr(from);
	uint8_t h[crypto_shorthash_BYTES];

	/* Routes have one prefix and many owners. */
	if (endpoint_family(from) == FAMILY_V6 &&
	    !endpoint_is_route(from, NULL))
		addr.n = PREFIX_V6;
	crypto_shorthash(h, addr.p, addr.n, d->hash);
	return ((uint32_t)h[0] | (uint32_t)h[1] << 8) % LOAD_SOURCES;
}

bool
load_may_reply(struct load *d, const struct endpoint *from, uint64_t now_ms)
{
	uint32_t i = bucket(d, from);
	uint64_t gone = now_ms - d->source[i].at_ms;
	uint32_t spent = d->source[i].spent_ms;

	assert(spent <= BURST_MS);
	spent = gone >= spent ? 0 : spent - (uint32_t)gone;
	if (spent + REPLY_MS > BURST_MS)
		return false;
	assert(i < LOAD_SOURCES && d->source[i].at_ms <= now_ms);
	d->source[i].at_ms = now_ms;
	d->source[i].spent_ms = spent + REPLY_MS;
	return true;
}
