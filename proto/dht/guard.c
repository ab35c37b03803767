/* Token buckets per source, for all answers and for pings; who is proven. */
#include "proto/dht/guard.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

_Static_assert(GUARD_SOURCES % GUARD_WAYS == 0, "sets are whole");
_Static_assert(GUARD_PROVEN % GUARD_WAYS == 0, "sets are whole");

static void
bucket_fill(struct guard_bucket *b, uint64_t rate_per_s, uint64_t burst,
    uint64_t now_ms)
{
	uint64_t passed_ms = now_ms > b->at_ms ? now_ms - b->at_ms : 0;

	assert(rate_per_s > 0 && burst > 0);

	/* After a long time it is full: no product can overflow. */
	if (passed_ms > 3600 * 1000)
		b->milli = burst * 1000;
	else
		b->milli += passed_ms * rate_per_s;
	if (b->milli > burst * 1000)
		b->milli = burst * 1000;
	b->at_ms = now_ms;
}

static bool
bucket_take(struct guard_bucket *b, uint64_t n)
{
	if (b->milli < n * 1000)
		return false;
	assert(n <= SIZE_MAX / 1000);
	b->milli -= n * 1000;
	return true;
}

bool
guard_take(struct guard_bucket *b, uint64_t rate_per_s, uint64_t burst,
    uint64_t now_ms)
{
	bucket_fill(b, rate_per_s, burst, now_ms);
	return bucket_take(b, 1);
}

uint64_t
guard_level(struct guard_bucket *b, uint64_t rate_per_s, uint64_t burst,
    uint64_t now_ms)
{
	bucket_fill(b, rate_per_s, burst, now_ms);
	return b->milli / 1000;
}

void
guard_spend(struct guard_bucket *b, uint64_t n)
{
	bool had = bucket_take(b, n);

	assert(had);
	(void)had;
}

void
guard_init(struct guard *g, bool loopback, uint32_t upload_rate,
    const struct rng *rng, uint64_t now_ms)
{
	assert(g && rng);
	memset(g, 0, sizeof(*g));
	rng_fill(rng, g->secret, sizeof(g->secret));
	g->loopback = loopback;
	g->upload.at_ms = now_ms;
	g->upload_rate = upload_rate;
	g->upload.milli = GUARD_UPLOAD_BURST * 1000 * (uint64_t)upload_rate;
	g->pings.at_ms = now_ms;
	g->pings.milli = GUARD_PINGS_BURST * 1000;
}

static bool
is_local(const struct guard *g, const struct endpoint *at)
{
	return g->loopback && endpoint_scope(at) == SCOPE_LOOPBACK;
}

/* Who shares a budget: a network; inside a LAN each address; on loopback each
 * port, because there it is a node of its own. */
static void
key_of(const struct guard *g, const struct endpoint *at, uint8_t ret[18])
{
	bool v4 = endpoint_family(at) == FAMILY_V4;

	memset(ret, 0, 18);
	if (endpoint_scope(at) == SCOPE_GLOBAL)
		memcpy(ret, at->addr, v4 ? 15 : 6);
	else
		memcpy(ret, at->addr, 16);
	if (is_local(g, at)) {
		ret[16] = (uint8_t)(at->port >> 8);
		ret[17] = (uint8_t)at->port;
	}
}

/* Found, or made in the place of the one that was silent for longest. */
static struct guard_source *
source_of(struct guard *g, const struct endpoint *at, uint64_t now_ms)
{
	struct guard_source *set, *oldest;
	uint8_t key[18], hash[crypto_shorthash_BYTES];
	size_t n_sets = GUARD_SOURCES / GUARD_WAYS;

	assert(g && at);

	key_of(g, at, key);
	(void)crypto_shorthash(hash, key, sizeof(key), g->secret);
	set =
	    &g->source[(hash[0] | (size_t)hash[1] << 8) % n_sets * GUARD_WAYS];
	oldest = set;
	for (size_t i = 0; i < GUARD_WAYS; i++) {
		if (set[i].used && memcmp(set[i].key, key, sizeof(key)) == 0)
			return &set[i];
		if (oldest->used &&
		    (!set[i].used || set[i].seen_ms < oldest->seen_ms))
			oldest = &set[i];
	}
	memset(oldest, 0, sizeof(*oldest));
	memcpy(oldest->key, key, sizeof(key));
	oldest->used = true;
	oldest->local = is_local(g, at);
	oldest->seen_ms = now_ms;
	oldest->queries.at_ms = now_ms;
	oldest->asks.at_ms = now_ms;
	oldest->asks.milli = UINT64_C(1000) * GUARD_ASKS_BURST;
	oldest->queries.milli =
	    UINT64_C(1000) * GUARD_BURST * (oldest->local ? GUARD_LOCAL : 1);
	return oldest;
}

bool
guard_query(struct guard *g, const struct endpoint *from, uint64_t now_ms)
{
	struct guard_source *s = source_of(g, from, now_ms);
	uint64_t factor = s->local ? GUARD_LOCAL : 1;

	s->seen_ms = now_ms;
	if (now_ms < s->blocked_ms)
		return false;
	bucket_fill(
	    &s->queries, GUARD_RATE * factor, GUARD_BURST * factor, now_ms);
	if (bucket_take(&s->queries, 1)) {
		/* Half full again: the excess is over. */
		if (s->queries.milli > GUARD_BURST * factor * 500)
			s->over_ms = 0;
		return true;
	}
	if (!s->over_ms)
		s->over_ms = now_ms ? now_ms : 1;
	if (!s->local && now_ms >= s->over_ms + GUARD_OVER_MS) {
		s->blocked_ms = now_ms + GUARD_BLOCK_MS;
		s->over_ms = 0;
	}
	return false;
}

/* An address of IPv4; of IPv6 its /64, which is one subscriber's. */
static uint64_t
address_hash(const struct guard *g, const struct endpoint *at)
{
	size_t n = endpoint_family(at) == FAMILY_V4 ? 16 : 8;
	uint8_t hash[crypto_shorthash_BYTES];
	uint64_t ret;

	_Static_assert(sizeof(ret) == sizeof(hash), "a hash is 64 bits");
	(void)crypto_shorthash(hash, at->addr, n, g->secret);
	memcpy(&ret, hash, sizeof(ret));
	return ret;
}

static size_t
set_of(uint64_t hash)
{
	return hash % (GUARD_PROVEN / GUARD_WAYS) * GUARD_WAYS;
}

void
guard_proven(struct guard *g, const struct endpoint *from, uint64_t now_ms)
{
	uint64_t hash = address_hash(g, from);
	struct guard_address *set = &g->proven[set_of(hash)];
	struct guard_address *oldest = set;

	for (size_t i = 0; i < GUARD_WAYS; i++) {
		if (set[i].hash == hash) {
			oldest = &set[i];
			break;
		}
		if (set[i].until_ms < oldest->until_ms)
			oldest = &set[i];
	}
	assert(oldest < g->proven + GUARD_PROVEN);
	oldest->hash = hash;
	oldest->until_ms = now_ms + GUARD_PROVEN_MS;
}

bool
guard_is_proven(
    const struct guard *g, const struct endpoint *at, uint64_t now_ms)
{
	uint64_t hash = address_hash(g, at);
	const struct guard_address *set = &g->proven[set_of(hash)];

	for (size_t i = 0; i < GUARD_WAYS; i++)
		if (set[i].hash == hash && now_ms < set[i].until_ms)
			return true;
	return is_local(g, at);
}

size_t
guard_room(const struct guard *g, const struct endpoint *to, size_t n_query,
    uint64_t now_ms)
{
	assert(n_query > 0 && n_query <= SIZE_MAX / GUARD_FACTOR);
	if (guard_is_proven(g, to, now_ms))
		return SIZE_MAX;
	return GUARD_FACTOR * n_query;
}

bool
guard_upload(struct guard *g, const struct endpoint *to, size_t n,
    enum guard_worth worth, uint64_t now_ms)
{
	uint64_t left = GUARD_UPLOAD_RARE * (uint64_t)g->upload_rate;

	_Static_assert(GUARD_UPLOAD_RARE < GUARD_UPLOAD_BURST, "a part");
	if (is_local(g, to))
		return true;
	bucket_fill(&g->upload, g->upload_rate,
	    GUARD_UPLOAD_BURST * (uint64_t)g->upload_rate, now_ms);
	if (worth == GUARD_COMMON && g->upload.milli < (left + n) * 1000)
		return false;
	return bucket_take(&g->upload, n);
}

bool
guard_ask(struct guard *g, const struct endpoint *to, uint64_t now_ms)
{
	struct guard_source *s = source_of(g, to, now_ms);

	if (s->local)
		return true;
	bucket_fill(&s->asks, GUARD_ASKS, GUARD_ASKS_BURST, now_ms);
	return bucket_take(&s->asks, 1);
}

bool
guard_ping(struct guard *g, const struct endpoint *to, uint64_t now_ms)
{
	if (is_local(g, to))
		return true;
	bucket_fill(&g->pings, GUARD_PINGS, GUARD_PINGS_BURST, now_ms);
	return bucket_take(&g->pings, 1);
}
