/* The bounded reader and writer: every byte of the wire passes here. */
#include "proto/base/bytes.h"

#include <assert.h>
#include <string.h>

#define VARINT_END (UINT64_C(1) << 62) /* [RFC 9000 §16] */

struct span
span_str(const char *s)
{
	assert(s);
	return span_of(s, strlen(s));
}

bool
span_eq(struct span a, struct span b)
{
	assert(a.p || a.n == 0);
	assert(b.p || b.n == 0);
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* ---- reader ---- */

struct reader
rd_init(struct span in)
{
	assert(in.p || in.n == 0);
	return (struct reader){ in.p, in.n, false };
}

static uint64_t
take_le(struct reader *r, size_t n)
{
	const uint8_t *p = rd_take(r, n);
	uint64_t v = 0;

	assert(n > 0 && n <= 8);
	if (!p)
		return 0;
	for (size_t i = n; i-- > 0;)
		v = v << 8 | p[i];
	return v;
}

static uint64_t
take_be(struct reader *r, size_t n)
{
	const uint8_t *p = rd_take(r, n);
	uint64_t v = 0;

	assert(n > 0 && n <= 8);
	if (!p)
		return 0;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

uint16_t
rd_u16le(struct reader *r)
{
	return (uint16_t)take_le(r, 2);
}

uint32_t
rd_u32le(struct reader *r)
{
	return (uint32_t)take_le(r, 4);
}

uint64_t
rd_u64le(struct reader *r)
{
	return take_le(r, 8);
}

uint16_t
rd_u16be(struct reader *r)
{
	return (uint16_t)take_be(r, 2);
}

uint32_t
rd_u32be(struct reader *r)
{
	return (uint32_t)take_be(r, 4);
}

uint64_t
rd_varint(struct reader *r)
{
	const uint8_t *first = rd_take(r, 1);
	uint64_t v;
	size_t more;

	if (!first)
		return 0;
	more = ((size_t)1 << (*first >> 6)) - 1;
	v = *first & 0x3fU;
	if (more == 0)
		return v;
	v = v << (8 * more) | take_be(r, more);
	assert(v < VARINT_END);
	return r->bad ? 0 : v;
}

bool
rd_done(const struct reader *r)
{
	return !r->bad && r->n == 0;
}

/* ---- writer ---- */

struct writer
wr_init(void *buf, size_t cap)
{
	assert(buf || cap == 0);
	return (struct writer){ (uint8_t *)buf, cap, 0, false };
}

uint8_t *
wr_reserve(struct writer *w, size_t n)
{
	uint8_t *p;

	assert(w->n <= w->cap);
	if (w->bad || n > w->cap - w->n) {
		w->bad = true;
		return NULL;
	}
	if (n == 0)
		return NULL;
	p = w->p + w->n;
	w->n += n;
	return p;
}

static void
give_le(struct writer *w, uint64_t v, size_t n)
{
	uint8_t *p = wr_reserve(w, n);

	assert(n > 0 && n <= 8);
	for (size_t i = 0; p && i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static void
give_be(struct writer *w, uint64_t v, size_t n)
{
	uint8_t *p = wr_reserve(w, n);

	assert(n > 0 && n <= 8);
	for (size_t i = 0; p && i < n; i++)
		p[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
}

void
wr_u8(struct writer *w, uint8_t v)
{
	give_le(w, v, 1);
}

void
wr_u16le(struct writer *w, uint16_t v)
{
	give_le(w, v, 2);
}

void
wr_u32le(struct writer *w, uint32_t v)
{
	give_le(w, v, 4);
}

/* Written out, so that a compiler makes one move of it: what a row of the store
 * is sealed for has five of them. */
void
wr_u64le(struct writer *w, uint64_t v)
{
	uint8_t *p = wr_reserve(w, 8);

	if (!p)
		return;
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)(v >> 16);
	p[3] = (uint8_t)(v >> 24);
	p[4] = (uint8_t)(v >> 32);
	p[5] = (uint8_t)(v >> 40);
	p[6] = (uint8_t)(v >> 48);
	p[7] = (uint8_t)(v >> 56);
}

void
wr_u16be(struct writer *w, uint16_t v)
{
	give_be(w, v, 2);
}

void
wr_u32be(struct writer *w, uint32_t v)
{
	give_be(w, v, 4);
}

size_t
varint_size(uint64_t v)
{
	assert(v < VARINT_END);
	if (v < UINT64_C(1) << 6)
		return 1;
	if (v < UINT64_C(1) << 14)
		return 2;
	return v < UINT64_C(1) << 30 ? 4 : 8;
}

void
wr_varint(struct writer *w, uint64_t v)
{
	size_t n = varint_size(v);
	uint64_t log2 = n == 1 ? 0 : n == 2 ? 1 : n == 4 ? 2 : 3;

	give_be(w, v | log2 << (8 * n - 2), n);
}

void
wr_bytes(struct writer *w, const void *p, size_t n)
{
	uint8_t *to = wr_reserve(w, n);

	assert(p || n == 0);
	if (to)
		memcpy(to, p, n);
}

void
wr_span(struct writer *w, struct span s)
{
	wr_bytes(w, s.p, s.n);
}

void
wr_zeros(struct writer *w, size_t n)
{
	uint8_t *to = wr_reserve(w, n);

	if (to)
		memset(to, 0, n);
}

struct span
wr_span_of(const struct writer *w)
{
	assert(w->n <= w->cap);
	return span_of(w->p, w->n);
}
