/* Addresses as values: families, scopes, prefixes. */
#include "proto/base/endpoint.h"

#include <assert.h>
#include <string.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

/* Discard-only [RFC 6666]; the last 8 bytes are the number of the route. */
static const uint8_t discard[8] = { 0x01 };

enum { ROUTE_PORT = 1 };

_Static_assert(sizeof(mapped) + 4 == 16, "::ffff:a.b.c.d");
_Static_assert(sizeof(discard) + sizeof(uint64_t) == 16, "100::id");

struct endpoint
endpoint_v4(const uint8_t addr[4], uint16_t port)
{
	struct endpoint e = { .port = port };

	assert(addr);
	memcpy(e.addr, mapped, sizeof(mapped));
	memcpy(e.addr + sizeof(mapped), addr, 4);
	return e;
}

struct endpoint
endpoint_route(uint64_t id)
{
	struct endpoint e = { .port = ROUTE_PORT };
	struct writer w = wr_init(e.addr, sizeof(e.addr));

	wr_bytes(&w, discard, sizeof(discard));
	wr_u64le(&w, id);
	assert(!w.bad && w.n == sizeof(e.addr));
	return e;
}

bool
endpoint_is_route(const struct endpoint *e, uint64_t *id)
{
	struct reader r;

	assert(e);
	if (memcmp(e->addr, discard, sizeof(discard)) != 0)
		return false;
	r = rd_init(span_of(e->addr + sizeof(discard), sizeof(uint64_t)));
	if (id)
		*id = rd_u64le(&r);
	return true;
}

bool
endpoint_is_relayed(const struct endpoint *e)
{
	uint64_t id;

	return endpoint_is_route(e, &id) && (id & ROUTE_DIRECT) == 0;
}

enum endpoint_rank
endpoint_rank(const struct endpoint *e)
{
	uint64_t id;

	if (!endpoint_is_route(e, &id) || (id & ROUTE_DIRECT))
		return RANK_DIRECT;
	return (id & ROUTE_ROOMY) ? RANK_ROOMY : RANK_POOR;
}

enum family
endpoint_family(const struct endpoint *e)
{
	assert(e);
	if (memcmp(e->addr, mapped, sizeof(mapped)) == 0)
		return FAMILY_V4;
	return FAMILY_V6;
}

/* [RFC 6890]; 240/4 has no hosts. */
static enum endpoint_scope
scope_v4(const uint8_t a[4])
{
	if (a[0] == 0 || a[0] >= 224)
		return SCOPE_UNUSABLE;
	if (a[0] == 127)
		return SCOPE_LOOPBACK;
	if (a[0] == 169 && a[1] == 254)
		return SCOPE_LINK;
	if (a[0] == 10 || (a[0] == 192 && a[1] == 168))
		return SCOPE_PRIVATE;
	if (a[0] == 172 && (a[1] & 0xf0) == 16)
		return SCOPE_PRIVATE;
	if (a[0] == 100 && (a[1] & 0xc0) == 64)
		return SCOPE_PRIVATE;
	return SCOPE_GLOBAL;
}

/* All zero but for the last byte: :: and ::1, and the rest of ::/96 that old
 * mappings use, which nobody can answer from. */
static enum endpoint_scope
scope_v6(const uint8_t a[16])
{
	static const uint8_t zero[12] = { 0 };

	if (memcmp(a, zero, sizeof(zero)) == 0) {
		bool one = a[12] == 0 && a[13] == 0 && a[14] == 0 && a[15] == 1;

		return one ? SCOPE_LOOPBACK : SCOPE_UNUSABLE;
	}
	if (a[0] == 0xff || memcmp(a, discard, sizeof(discard)) == 0)
		return SCOPE_UNUSABLE;
	if (a[0] == 0xfe && (a[1] & 0xc0) == 0x80)
		return SCOPE_LINK;
	if ((a[0] & 0xfe) == 0xfc)
		return SCOPE_PRIVATE;
	return SCOPE_GLOBAL;
}

enum endpoint_scope
endpoint_scope(const struct endpoint *e)
{
	assert(e);
	if (endpoint_family(e) == FAMILY_V4)
		return scope_v4(e->addr + sizeof(mapped));
	return scope_v6(e->addr);
}

bool
endpoint_same_addr(const struct endpoint *a, const struct endpoint *b)
{
	assert(a && b);
	return memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

bool
endpoint_eq(const struct endpoint *a, const struct endpoint *b)
{
	return endpoint_same_addr(a, b) && a->port == b->port;
}

struct span
endpoint_addr(const struct endpoint *e)
{
	assert(e);
	if (endpoint_family(e) == FAMILY_V4)
		return span_of(e->addr + sizeof(mapped), 4);
	return span_of(e->addr, sizeof(e->addr));
}

bool
endpoint_same_prefix(
    const struct endpoint *a, const struct endpoint *b, unsigned bits)
{
	struct span x = endpoint_addr(a);
	struct span y = endpoint_addr(b);
	unsigned whole = bits / 8;
	unsigned rest = bits % 8;

	if (x.n != y.n)
		return false;
	assert(bits <= 8 * x.n);
	if (memcmp(x.p, y.p, whole) != 0)
		return false;
	return rest == 0 || (x.p[whole] ^ y.p[whole]) >> (8 - rest) == 0;
}

bool
endpoint_same_network(const struct endpoint *a, const struct endpoint *b)
{
	if (endpoint_scope(a) != SCOPE_GLOBAL)
		return endpoint_eq(a, b);
	if (endpoint_family(a) != endpoint_family(b))
		return false;
	return endpoint_same_prefix(
	    a, b, endpoint_family(a) == FAMILY_V4 ? 24 : 48);
}
