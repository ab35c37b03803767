/* A straight line each way. */
#include "proto/link/candidates.h"

#include <assert.h>

enum { KIND_V4 = 4, KIND_V6 = 6, WANTS_ANSWER = 1 };

enum { EACH = 1 + 16 + 2 }; /* kind, address, port */

_Static_assert(
    FRAME_CANDIDATES_SIZE == FRAME_CANDIDATES_MIN + EACH * LINK_CANDIDATES_MAX,
    "the longest body that we write");

static uint8_t
kind_of(const struct endpoint *e)
{
	return endpoint_family(e) == FAMILY_V4 ? KIND_V4 : KIND_V6;
}

static void
read_one(struct reader *r, struct link_candidates *c)
{
	uint8_t kind = rd_u8(r);
	struct endpoint e;

	rd_bytes(r, e.addr, sizeof(e.addr));
	e.port = rd_u16be(r);
	if (!r->bad && kind == kind_of(&e))
		c->endpoint[c->n++] = e;
}

enum err
candidates_decode(struct span body, struct link_candidates *ret)
{
	struct link_candidates c = { 0 };
	struct reader r = rd_init(body);
	uint8_t n;

	c.class = rd_u8(&r);
	c.lo = rd_u16be(&r);
	c.hi = rd_u16be(&r);
	c.step = (int16_t)rd_u16be(&r);
	c.wants_answer = rd_u8(&r) & WANTS_ANSWER;
	n = rd_u8(&r);
	if (r.bad || n > LINK_CANDIDATES_MAX)
		return ERR_MALFORMED;
	for (uint8_t i = 0; i < n; i++)
		read_one(&r, &c);
	if (r.bad)
		return ERR_MALFORMED;
	if (c.class >= LINK_NAT_CLASSES)
		c.class = 0;
	assert(c.n <= n);
	*ret = c;
	return ERR_OK;
}

size_t
candidates_encode(
    const struct link_candidates *in, uint8_t ret[FRAME_CANDIDATES_SIZE])
{
	struct writer w = wr_init(ret, FRAME_CANDIDATES_SIZE);

	assert(in->n <= LINK_CANDIDATES_MAX && in->class < LINK_NAT_CLASSES);
	wr_u8(&w, in->class);
	wr_u16be(&w, in->lo);
	wr_u16be(&w, in->hi);
	wr_u16be(&w, (uint16_t)in->step);
	wr_u8(&w, in->wants_answer ? WANTS_ANSWER : 0);
	wr_u8(&w, in->n);
	for (uint8_t i = 0; i < in->n; i++) {
		wr_u8(&w, kind_of(&in->endpoint[i]));
		wr_bytes(&w, in->endpoint[i].addr, 16);
		wr_u16be(&w, in->endpoint[i].port);
	}
	assert(!w.bad);
	return w.n;
}
