/* A Bloom filter in two halves that take turns. */
#include "proto/dht/sent.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

void
sent_init(struct sent *s, bool local, const struct rng *rng, uint64_t now_ms)
{
	assert(s && rng);
	memset(s, 0, sizeof(*s));
	rng_fill(rng, s->secret, sizeof(s->secret));
	s->since_ms = now_ms;
	s->sees_ms = local ? now_ms : now_ms + SENT_BLIND_MS;
}

static void
turn(struct sent *s, uint64_t now_ms)
{
	uint64_t age_ms = now_ms > s->since_ms ? now_ms - s->since_ms : 0;

	if (age_ms < SENT_MS)
		return;
	if (age_ms < UINT64_C(2) * SENT_MS)
		memcpy(s->bits[1], s->bits[0], sizeof(s->bits[1]));
	else /* long idle: both are old */
		memset(s->bits[1], 0, sizeof(s->bits[1]));
	memset(s->bits[0], 0, sizeof(s->bits[0]));
	s->last = (struct endpoint){ .port = 0 };
	s->since_ms = now_ms;
}

static void
places(const struct sent *s, const struct endpoint *at, uint32_t ret[2])
{
	uint8_t in[sizeof(at->addr) + 2] = { 0 };
	uint8_t hash[crypto_shorthash_BYTES];
	struct writer w = wr_init(in, sizeof(in));
	struct reader r = rd_init(span_of(hash, sizeof(hash)));

	_Static_assert(crypto_shorthash_KEYBYTES == sizeof(s->secret), "a key");
	_Static_assert((SENT_BITS & (SENT_BITS - 1)) == 0, "no bias");
	wr_bytes(&w, at->addr, sizeof(at->addr));
	wr_u16le(&w, endpoint_scope(at) == SCOPE_LOOPBACK ? at->port : 0);
	assert(!w.bad);
	(void)crypto_shorthash(hash, in, sizeof(in), s->secret);
	for (int i = 0; i < 2; i++)
		ret[i] = rd_u32le(&r) % SENT_BITS;
	assert(rd_done(&r));
}

void
sent_keep(struct sent *s, const struct endpoint *to, uint64_t now_ms)
{
	uint32_t at[2];

	turn(s, now_ms);
	if (endpoint_eq(&s->last, to))
		return;
	places(s, to, at);
	for (int i = 0; i < 2; i++)
		s->bits[0][at[i] / 8] |= (uint8_t)(1U << at[i] % 8);
	s->last = *to;
}

bool
sent_nothing(struct sent *s, const struct endpoint *to, uint64_t now_ms)
{
	bool absent = false;
	uint32_t at[2];

	assert(s && to);
	turn(s, now_ms);
	if (now_ms < s->sees_ms)
		return false;
	places(s, to, at);
	for (int i = 0; i < 2; i++)
		absent |= ((s->bits[0][at[i] / 8] | s->bits[1][at[i] / 8]) >>
		                  at[i] % 8 &
		              1) == 0;
	return absent;
}
