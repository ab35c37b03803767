/* The compression function as [RFC 7693 §3.2] has it, on 32-bit words. */
#include "tests/support/blake2s.h"

#include <assert.h>
#include <string.h>

enum { WORDS = 16, ROUNDS = 10 };

struct state {
	uint32_t h[8];
	uint64_t n; /* bytes compressed, with the block at hand at the end */
	uint8_t block[BLAKE2S_BLOCK];
	size_t filled;
};

static const uint32_t iv[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

/* clang-format off */
static const uint8_t sigma[ROUNDS][WORDS] = {
	{  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15 },
	{ 14, 10,  4,  8,  9, 15, 13,  6,  1, 12,  0,  2, 11,  7,  5,  3 },
	{ 11,  8, 12,  0,  5,  2, 15, 13, 10, 14,  3,  6,  7,  1,  9,  4 },
	{  7,  9,  3,  1, 13, 12, 11, 14,  2,  6,  5, 10,  4,  0, 15,  8 },
	{  9,  0,  5,  7,  2,  4, 10, 15, 14,  1, 11, 12,  6,  8,  3, 13 },
	{  2, 12,  6, 10,  0, 11,  8,  3,  4, 13,  7,  5, 15, 14,  1,  9 },
	{ 12,  5,  1, 15, 14, 13,  4, 10,  0,  7,  6,  3,  9,  2,  8, 11 },
	{ 13, 11,  7, 14, 12,  1,  3,  9,  5,  0, 15,  4,  8,  6,  2, 10 },
	{  6, 15, 14,  9, 11,  3,  0,  8, 12,  2, 13,  7,  1,  4, 10,  5 },
	{ 10,  2,  8,  4,  7,  6,  1,  5, 15, 11,  9, 14,  3, 12, 13,  0 },
};
/* Columns, then diagonals. */
static const uint8_t quads[8][4] = {
	{ 0, 4,  8, 12 }, { 1, 5,  9, 13 }, { 2, 6, 10, 14 }, { 3, 7, 11, 15 },
	{ 0, 5, 10, 15 }, { 1, 6, 11, 12 }, { 2, 7,  8, 13 }, { 3, 4,  9, 14 },
};
/* clang-format on */

static uint32_t
right(uint32_t v, unsigned by)
{
	return v >> by | v << (32 - by);
}

static void
mix(uint32_t v[WORDS], const uint8_t q[4], uint32_t x, uint32_t y)
{
	uint32_t *a = &v[q[0]];
	uint32_t *b = &v[q[1]];
	uint32_t *c = &v[q[2]];
	uint32_t *d = &v[q[3]];

	*a += *b + x;
	*d = right(*d ^ *a, 16);
	*c += *d;
	*b = right(*b ^ *c, 12);
	*a += *b + y;
	*d = right(*d ^ *a, 8);
	*c += *d;
	*b = right(*b ^ *c, 7);
}

static void
compress(struct state *st, bool last)
{
	struct reader r = rd_init(span_of(st->block, sizeof(st->block)));
	uint32_t m[WORDS];
	uint32_t v[WORDS];

	for (int i = 0; i < WORDS; i++)
		m[i] = rd_u32le(&r);
	memcpy(v, st->h, sizeof(st->h));
	memcpy(v + 8, iv, sizeof(iv));
	v[12] ^= (uint32_t)st->n;
	v[13] ^= (uint32_t)(st->n >> 32);
	v[14] ^= last ? UINT32_MAX : 0;
	for (int i = 0; i < ROUNDS; i++) {
		for (int j = 0; j < 8; j++)
			mix(v, quads[j], m[sigma[i][2 * j]],
			    m[sigma[i][2 * j + 1]]);
	}
	for (int i = 0; i < 8; i++)
		st->h[i] ^= v[i] ^ v[i + 8];
}

/* A full block waits: it may be the last. */
static void
add_byte(struct state *st, uint8_t b)
{
	if (st->filled == sizeof(st->block)) {
		st->n += st->filled;
		compress(st, false);
		st->filled = 0;
	}
	st->block[st->filled++] = b;
}

void
blake2s(const struct span *parts, size_t n, uint8_t ret[BLAKE2S_SIZE])
{
	struct state st = { .n = 0 };
	struct writer w = wr_init(ret, BLAKE2S_SIZE);

	memcpy(st.h, iv, sizeof(iv));
	st.h[0] ^= 0x01010000 ^ BLAKE2S_SIZE;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < parts[i].n; j++)
			add_byte(&st, parts[i].p[j]);
	}
	memset(st.block + st.filled, 0, sizeof(st.block) - st.filled);
	st.n += st.filled;
	compress(&st, true);
	for (int i = 0; i < 8; i++)
		wr_u32le(&w, st.h[i]);
	assert(!w.bad && w.n == BLAKE2S_SIZE);
}
