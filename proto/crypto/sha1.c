/* SHA-1 as [RFC 3174 §6.1] has it; libsodium has none. */
#include "proto/crypto/sha1.h"

#include <assert.h>
#include <string.h>

enum { SHA1_BLOCK = 64, SHA1_ROUNDS = 80 };

struct sha1_state {
	uint32_t h[5];
	uint64_t n; /* bytes taken */
	uint8_t block[SHA1_BLOCK];
};

static uint32_t
rotate(uint32_t v, unsigned by)
{
	assert(by > 0 && by < 32);
	return v << by | v >> (32 - by);
}

static void
expand(const uint8_t block[SHA1_BLOCK], uint32_t w[SHA1_ROUNDS])
{
	struct reader r = rd_init(span_of(block, SHA1_BLOCK));

	for (int i = 0; i < 16; i++)
		w[i] = rd_u32be(&r);
	assert(rd_done(&r));
	for (int i = 16; i < SHA1_ROUNDS; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
}

/* The function and constant of round i. [RFC 3174 §5] */
static uint32_t
mix(int i, const uint32_t v[5])
{
	assert(i >= 0 && i < SHA1_ROUNDS);
	if (i < 20)
		return ((v[1] & v[2]) | (~v[1] & v[3])) + 0x5a827999U;
	if (i < 40)
		return (v[1] ^ v[2] ^ v[3]) + 0x6ed9eba1U;
	if (i < 60)
		return ((v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3])) +
		       0x8f1bbcdcU;
	return (v[1] ^ v[2] ^ v[3]) + 0xca62c1d6U;
}

static void
compress(struct sha1_state *st)
{
	uint32_t w[SHA1_ROUNDS];
	uint32_t v[5];

	expand(st->block, w);
	memcpy(v, st->h, sizeof(v));
	for (int i = 0; i < SHA1_ROUNDS; i++) {
		uint32_t t = rotate(v[0], 5) + mix(i, v) + v[4] + w[i];

		v[4] = v[3];
		v[3] = v[2];
		v[2] = rotate(v[1], 30);
		v[1] = v[0];
		v[0] = t;
	}
	for (int i = 0; i < 5; i++)
		st->h[i] += v[i];
}

static void
add_byte(struct sha1_state *st, uint8_t b)
{
	st->block[st->n % SHA1_BLOCK] = b;
	st->n++;
	if (st->n % SHA1_BLOCK == 0)
		compress(st);
}

static void
finish(struct sha1_state *st, uint8_t ret[20])
{
	uint64_t bits = st->n * 8;
	struct writer w = wr_init(ret, 20);

	add_byte(st, 0x80);
	while (st->n % SHA1_BLOCK != SHA1_BLOCK - 8)
		add_byte(st, 0);
	for (unsigned i = 0; i < 8; i++)
		add_byte(st, (uint8_t)(bits >> (56 - 8 * i)));
	assert(st->n % SHA1_BLOCK == 0);
	for (int i = 0; i < 5; i++)
		wr_u32be(&w, st->h[i]);
	assert(!w.bad && w.n == 20);
}

void
sha1(const struct span *parts, size_t n, uint8_t ret[20])
{
	struct sha1_state st = {
		.h = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476,
		    0xc3d2e1f0 },
	};

	assert(parts || n == 0);
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < parts[i].n; j++)
			add_byte(&st, parts[i].p[j]);
	}
	finish(&st, ret);
}
