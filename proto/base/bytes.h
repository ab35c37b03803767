/*
 * Borrowed spans, the bounded reader and the bounded writer: the only code
 * that touches wire bytes. A reader or writer that failed once stays failed
 * and yields zeros, so a decoder is a straight line with one check at its end.
 */
#ifndef PROTO_BASE_BYTES_H
#define PROTO_BASE_BYTES_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that somebody else owns. p may be NULL only if n is 0. */
struct span {
	const uint8_t *p;
	size_t n;
};

struct reader {
	const uint8_t *p;
	size_t n; /* bytes left */
	bool bad; /* something was asked for that is not there */
};

struct writer {
	uint8_t *p; /* start of the buffer, borrowed */
	size_t cap;
	size_t n; /* bytes written */
	bool bad; /* something did not fit; n is unchanged since then */
};

static inline struct span
span_of(const void *p, size_t n)
{
	return (struct span){ (const uint8_t *)p, n };
}

struct span span_str(const char *s);        /* without the terminator */
bool span_eq(struct span a, struct span b); /* not for secrets */

struct reader rd_init(struct span in);
/* Here, because a row of the event log asks them hundreds of times: consumes n
 * bytes and borrows them, or fails and gives NULL. */
static inline const uint8_t *
rd_take(struct reader *r, size_t n)
{
	const uint8_t *taken = r->p;

	if (r->bad || n > r->n) {
		r->bad = true;
		return NULL;
	}
	if (n > 0) {
		r->p += n;
		r->n -= n;
	}
	return taken;
}
static inline uint8_t
rd_u8(struct reader *r)
{
	const uint8_t *taken = rd_take(r, 1);

	return taken ? *taken : 0;
}
/* Copies n bytes to buf, or zeros if they are not there. */
static inline void
rd_bytes(struct reader *r, void *buf, size_t n)
{
	const uint8_t *taken = rd_take(r, n);

	assert(buf || n == 0);
	if (n == 0)
		return;
	if (taken)
		memcpy(buf, taken, n);
	else
		memset(buf, 0, n);
}
/* Borrows n bytes; an empty span if they are not there. */
static inline struct span
rd_span(struct reader *r, size_t n)
{
	const uint8_t *taken = rd_take(r, n);

	return taken ? span_of(taken, n) : span_of(NULL, 0);
}

uint16_t rd_u16le(struct reader *r);
uint32_t rd_u32le(struct reader *r);
uint64_t rd_u64le(struct reader *r);
uint16_t rd_u16be(struct reader *r);
uint32_t rd_u32be(struct reader *r);
/* A varint of RFC 9000 §16; any length that holds the value is taken. */
uint64_t rd_varint(struct reader *r);
/* True if nothing failed and nothing is left. */
bool rd_done(const struct reader *r);

struct writer wr_init(void *buf, size_t cap);
void wr_u8(struct writer *w, uint8_t v);
void wr_u16le(struct writer *w, uint16_t v);
void wr_u32le(struct writer *w, uint32_t v);
void wr_u64le(struct writer *w, uint64_t v);
void wr_u16be(struct writer *w, uint16_t v);
void wr_u32be(struct writer *w, uint32_t v);
void wr_varint(struct writer *w, uint64_t v); /* shortest form; v < 2^62 */
void wr_bytes(struct writer *w, const void *p, size_t n);
void wr_span(struct writer *w, struct span s);
void wr_zeros(struct writer *w, size_t n);
/* n bytes for the caller to fill; NULL if they do not fit, or n is 0. */
uint8_t *wr_reserve(struct writer *w, size_t n);
struct span wr_span_of(const struct writer *w); /* what was written */
size_t varint_size(uint64_t v);                 /* 1, 2, 4 or 8 */

#endif /* PROTO_BASE_BYTES_H */
