/* Ids: XOR distance and the address-bound form of BEP 42. */
#include "proto/dht/nodeid.h"

#include <assert.h>
#include <string.h>

/* Which bits of an address count; the rest may change inside a network. */
static const uint8_t mask_v4[4] = { 0x03, 0x0f, 0x3f, 0xff };
static const uint8_t mask_v6[8] = { 0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f,
	0xff };

_Static_assert(sizeof(struct target) == NODEID_SIZE, "an id is 20 bytes");

bool
nodeid_eq(const struct target *a, const struct target *b)
{
	return memcmp(a->b, b->b, NODEID_SIZE) == 0;
}

unsigned
nodeid_common(const struct target *a, const struct target *b)
{
	unsigned bits = 0;
	unsigned i = 0;
	uint8_t x;

	while (i < NODEID_SIZE && a->b[i] == b->b[i])
		i++;
	if (i == NODEID_SIZE)
		return NODEID_BITS;
	for (x = a->b[i] ^ b->b[i]; !(x & 0x80); x = (uint8_t)(x << 1))
		bits++;
	assert(bits < 8);
	return 8 * i + bits;
}

int
nodeid_compare(
    const struct target *goal, const struct target *a, const struct target *b)
{
	for (unsigned i = 0; i < NODEID_SIZE; i++) {
		int da = a->b[i] ^ goal->b[i];
		int db = b->b[i] ^ goal->b[i];

		if (da != db)
			return da - db;
	}
	return 0;
}

uint64_t
nodeid_distance64(const struct target *a, const struct target *b)
{
	uint64_t d = 0;

	for (unsigned i = 0; i < 8; i++)
		d = d << 8 | (uint64_t)(a->b[i] ^ b->b[i]);
	return d;
}

void
nodeid_at_distance(const struct target *goal, uint64_t distance,
    const struct rng *rng, struct target *ret)
{
	struct target id;

	assert(goal && rng && ret);
	nodeid_random(rng, &id);
	for (unsigned i = 0; i < 8; i++)
		id.b[i] =
		    (uint8_t)(goal->b[i] ^ (uint8_t)(distance >> (56 - 8 * i)));
	assert(nodeid_distance64(goal, &id) == distance);
	*ret = id;
}

void
nodeid_random(const struct rng *rng, struct target *ret)
{
	rng_fill(rng, ret->b, NODEID_SIZE);
}

void
nodeid_blur(const struct target *goal, unsigned keep, const struct rng *rng,
    struct target *ret)
{
	struct target id;

	assert(goal && ret);
	if (keep >= NODEID_BITS) {
		*ret = *goal;
		return;
	}
	nodeid_random(rng, &id);
	memcpy(id.b, goal->b, keep / 8);
	if (keep % 8) {
		uint8_t mask = (uint8_t)(0xff << (8 - keep % 8));

		id.b[keep / 8] = (uint8_t)((goal->b[keep / 8] & mask) |
		                           (id.b[keep / 8] & ~mask));
	}
	*ret = id;
}

void
nodeid_in_bucket(const struct target *own, unsigned common,
    const struct rng *rng, struct target *ret)
{
	struct target id;

	assert(common < NODEID_BITS);
	nodeid_blur(own, common + 1, rng, &id);
	id.b[common / 8] ^= (uint8_t)(0x80 >> common % 8);
	*ret = id;
}

/* CRC-32C, reflected polynomial 0x82f63b78, a bit at a time: ids are made and
 * checked on 4 or 8 bytes. [RFC 3720 §12.1] */
static uint32_t
crc32c(const uint8_t *p, size_t n)
{
	uint32_t c = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		c ^= p[i];
		for (unsigned bit = 0; bit < 8; bit++)
			c = c >> 1 ^ (c & 1 ? 0x82f63b78U : 0);
	}
	return ~c;
}

/* The CRC whose first 21 bits begin the id of a node at `at`. */
static uint32_t
address_crc(const struct endpoint *at, uint8_t salt)
{
	struct span addr = endpoint_addr(at);
	const uint8_t *mask = addr.n == 4 ? mask_v4 : mask_v6;
	size_t n = addr.n == 4 ? sizeof(mask_v4) : sizeof(mask_v6);
	uint8_t b[8];

	assert(addr.n == 4 || addr.n == 16);
	for (size_t i = 0; i < n; i++)
		b[i] = addr.p[i] & mask[i];
	b[0] |= (uint8_t)((salt & 7) << 5);
	return crc32c(b, n);
}

void
nodeid_bind(struct target *id, const struct endpoint *at, uint8_t salt)
{
	uint32_t c = address_crc(at, salt);

	id->b[0] = (uint8_t)(c >> 24);
	id->b[1] = (uint8_t)(c >> 16);
	id->b[2] = (uint8_t)((c >> 8 & 0xf8) | (id->b[2] & 7));
	id->b[19] = salt;
	assert(nodeid_valid(id, at));
}

void
nodeid_make(const struct endpoint *at, uint8_t salt, const struct rng *rng,
    struct target *ret)
{
	struct target id;

	assert(at && rng && ret);
	nodeid_random(rng, &id);
	nodeid_bind(&id, at, salt);
	*ret = id;
}

bool
nodeid_valid(const struct target *id, const struct endpoint *at)
{
	uint32_t c;

	if (endpoint_scope(at) != SCOPE_GLOBAL)
		return true;
	c = address_crc(at, id->b[19]);
	return id->b[0] == (uint8_t)(c >> 24) &&
	       id->b[1] == (uint8_t)(c >> 16) &&
	       (id->b[2] & 0xf8) == (uint8_t)(c >> 8 & 0xf8);
}
