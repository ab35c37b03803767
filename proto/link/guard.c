/* Sources share a fixed table of buckets, so a flood of forged addresses
 * takes no memory; who shares a bucket with it shares its rate. */
#include "proto/link/guard.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum {
	REPLY_MS = 1000 / GUARD_REPLIES_S,
	BURST_MS = REPLY_MS * GUARD_REPLIES_BURST,
	PREFIX_V6 = 8 /* bytes: a /64 */
};

_Static_assert(crypto_shorthash_KEYBYTES == sizeof(((struct guard *)0)->hash),
    "SipHash key");

void
guard_begin(struct guard *g, const struct rng *rng)
{
	*g = (struct guard){ .rng = rng };
	rng_fill(rng, g->hash, sizeof(g->hash));
}

void
guard_wipe(struct guard *g)
{
	sodium_memzero(g, sizeof(*g));
}

void
guard_count_dh(struct guard *g, uint32_t n, uint64_t now_ms)
{
	uint64_t second = now_ms / 1000;

	if (second != g->second) {
		g->dh_last = second == g->second + 1 ? g->dh_now : 0;
		g->dh_now = 0;
		g->second = second;
	}
	g->dh_now += n;
}

bool
guard_loaded(const struct guard *g, size_t n_half, uint64_t now_ms)
{
	uint64_t second = now_ms / 1000;

	if (n_half > GUARD_HALF_LOAD)
		return true;
	if (second == g->second)
		return g->dh_now > GUARD_DH_LOAD || g->dh_last > GUARD_DH_LOAD;
	return second == g->second + 1 && g->dh_now > GUARD_DH_LOAD;
}

static void
renew(struct guard *g, uint64_t now_ms)
{
	uint64_t age = now_ms - g->secret_ms;

	if (g->has_secret && age < GUARD_SECRET_MS)
		return;
	g->has_before = g->has_secret && age < 2 * (uint64_t)GUARD_SECRET_MS;
	memcpy(g->secret[1], g->secret[0], sizeof(g->secret[1]));
	rng_fill(g->rng, g->secret[0], sizeof(g->secret[0]));
	g->has_secret = true;
	g->secret_ms = now_ms;
}

void
guard_cookie(struct guard *g, const struct endpoint *from, uint64_t now_ms,
    uint8_t ret[HANDSHAKE_COOKIE_SIZE])
{
	renew(g, now_ms);
	handshake_cookie(g->secret[0], from, ret);
}

bool
guard_mac2_ok(struct guard *g, const struct endpoint *from,
    struct span message_1, uint64_t now_ms)
{
	uint8_t cookie[HANDSHAKE_COOKIE_SIZE];
	bool ok;

	renew(g, now_ms);
	handshake_cookie(g->secret[0], from, cookie);
	ok = handshake_mac2_ok(cookie, message_1);
	if (!ok && g->has_before) {
		handshake_cookie(g->secret[1], from, cookie);
		ok = handshake_mac2_ok(cookie, message_1);
	}
	sodium_memzero(cookie, sizeof(cookie));
	return ok;
}

static uint32_t
bucket(const struct guard *g, const struct endpoint *from)
{
	struct span addr = endpoint_addr(from);
	uint8_t h[crypto_shorthash_BYTES];

	if (endpoint_family(from) == FAMILY_V6)
		addr.n = PREFIX_V6;
	crypto_shorthash(h, addr.p, addr.n, g->hash);
	return ((uint32_t)h[0] | (uint32_t)h[1] << 8) % GUARD_SOURCES;
}

bool
guard_may_reply(struct guard *g, const struct endpoint *from, uint64_t now_ms)
{
	uint32_t i = bucket(g, from);
	uint64_t gone = now_ms - g->source[i].at_ms;
	uint32_t spent = g->source[i].spent_ms;

	assert(spent <= BURST_MS);
	spent = gone >= spent ? 0 : spent - (uint32_t)gone;
	if (spent + REPLY_MS > BURST_MS)
		return false;
	g->source[i].at_ms = now_ms;
	g->source[i].spent_ms = spent + REPLY_MS;
	return true;
}
