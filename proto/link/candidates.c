/* A straight line each way. */
#include "proto/link/candidates.h"

#include <assert.h>

enum { KIND_V4 = 4, KIND_V6 = 6, WANTS_ANSWER = 1 };

enum {
	EACH = 1 + 16 + 2,           /* kind, address, port */
	INTRODUCER = 16 + 2 + 32 + 8 /* address, port, N, handle */
};

_Static_assert(FRAME_CANDIDATES_SIZE == FRAME_CANDIDATES_MIN +
                                            EACH * LINK_CANDIDATES_MAX +
                                            INTRODUCER * CELL_INTRODUCERS_MAX,
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

static void
read_introducer(struct reader *r, struct link_candidates *c)
{
	struct cell_introducer i;

	rd_bytes(r, i.at.addr, sizeof(i.at.addr));
	i.at.port = rd_u16be(r);
	rd_bytes(r, i.n.b, sizeof(i.n.b));
	rd_bytes(r, i.handle, sizeof(i.handle));
	if (!r->bad && endpoint_scope(&i.at) != SCOPE_UNUSABLE &&
	    i.at.port != 0)
		c->introducers[c->n_introducers++] = i;
}

enum err
candidates_decode(struct span body, struct link_candidates *ret)
{
	struct link_candidates c = { 0 };
	struct reader r = rd_init(body);
	uint8_t class, n, m;

	class = rd_u8(&r);
	c.lo = rd_u16be(&r);
	c.hi = rd_u16be(&r);
	c.step = (int16_t)rd_u16be(&r);
	c.wants_answer = rd_u8(&r) & WANTS_ANSWER;
	n = rd_u8(&r);
	m = rd_u8(&r);
	if (r.bad || n > LINK_CANDIDATES_MAX || m > CELL_INTRODUCERS_MAX)
		return ERR_MALFORMED;
	for (uint8_t i = 0; i < n; i++)
		read_one(&r, &c);
	for (uint8_t i = 0; i < m; i++)
		read_introducer(&r, &c);
	if (r.bad)
		return ERR_MALFORMED;
	if (class < NAT_CLASSES)
		c.class = (enum nat_class) class;
	assert(c.n <= n);
	*ret = c;
	return ERR_OK;
}

size_t
candidates_encode(
    const struct link_candidates *in, uint8_t ret[FRAME_CANDIDATES_SIZE])
{
	struct writer w = wr_init(ret, FRAME_CANDIDATES_SIZE);

	assert(in->n <= LINK_CANDIDATES_MAX && in->class < NAT_CLASSES);
	assert(in->n_introducers <= CELL_INTRODUCERS_MAX);
	wr_u8(&w, (uint8_t)in->class);
	wr_u16be(&w, in->lo);
	wr_u16be(&w, in->hi);
	wr_u16be(&w, (uint16_t)in->step);
	wr_u8(&w, in->wants_answer ? WANTS_ANSWER : 0);
	wr_u8(&w, in->n);
	wr_u8(&w, in->n_introducers);
	for (uint8_t i = 0; i < in->n; i++) {
		wr_u8(&w, kind_of(&in->endpoint[i]));
		wr_bytes(&w, in->endpoint[i].addr, 16);
		wr_u16be(&w, in->endpoint[i].port);
	}
	for (uint8_t i = 0; i < in->n_introducers; i++) {
		const struct cell_introducer *t = &in->introducers[i];

		wr_bytes(&w, t->at.addr, sizeof(t->at.addr));
		wr_u16be(&w, t->at.port);
		wr_bytes(&w, t->n.b, sizeof(t->n.b));
		wr_bytes(&w, t->handle, sizeof(t->handle));
	}
	assert(!w.bad);
	return w.n;
}
