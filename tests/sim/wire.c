#include "tests/sim/wire.h"

#include "proto/dht/overlay.h"

#include <assert.h>
#include <string.h>

/* In each place where a pattern stands one of its first STEP words begins at a
 * multiple of STEP: only there is looked. */
enum { WORD = 8, STEP = WIRE_PATTERN_MIN - WORD + 1 };
enum { TRANSPORT_HEAD = 28, PATH_MIN = 1200, PATH_MAX = 1472 };

static uint32_t
bit_of(const uint8_t p[WORD])
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	x *= UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(x >> 44) % WIRE_FILTER;
}

void
wire_forbid(struct wire *w, struct span secret)
{
	struct wire_pattern *p = &w->patterns[w->n];
	uint16_t *chain;

	if (secret.n < WIRE_PATTERN_MIN)
		return;
	assert(w->n < WIRE_PATTERNS_MAX);
	p->n = (uint8_t)(secret.n < WIRE_PATTERN_MAX ? secret.n
	                                             : WIRE_PATTERN_MAX);
	memcpy(p->b, secret.p, p->n);
	for (size_t k = 0; k < STEP; k++) {
		uint32_t bit = bit_of(p->b + k);

		w->filter[bit / 8] |= (uint8_t)(1U << (bit % 8));
	}
	chain = &w->chain[bit_of(p->b) % WIRE_CHAINS];
	p->next = *chain;
	*chain = (uint16_t)++w->n;
}

static bool
matches(const struct wire *w, const uint8_t *at, size_t left)
{
	for (size_t i = w->chain[bit_of(at) % WIRE_CHAINS]; i > 0;
	     i = w->patterns[i - 1].next) {
		const struct wire_pattern *p = &w->patterns[i - 1];

		if (p->n <= left && memcmp(p->b, at, p->n) == 0)
			return true;
	}
	return false;
}

static bool
leaks(const struct wire *w, struct span in)
{
	for (size_t i = 0; i + WORD <= in.n; i += STEP) {
		uint32_t bit = bit_of(in.p + i);

		if (!(w->filter[bit / 8] >> (bit % 8) & 1))
			continue;
		for (size_t k = 0; k < STEP && k <= i; k++)
			if (matches(w, in.p + i - k, in.n - i + k))
				return true;
	}
	return false;
}

bool
wire_is_krpc(struct span datagram)
{
	return datagram.n > 0 && datagram.p[0] == 'd';
}

/* [BEP 5]: a dictionary with t and a y of q, r or e, and no mark of ours. */
static const char *
check_krpc(struct wire *w, struct span in)
{
	struct bencode *b = &w->doc;
	struct span y;

	if (bencode_parse(in, b) != ERR_OK)
		return "begins with d and is no canonical bencoding";
	if (bencode_type(b, bencode_get(b, 0, "t")) != BENCODE_STR ||
	    !bencode_str(b, bencode_get(b, 0, "y"), &y))
		return "begins with d and is no KRPC";
	if (y.n != 1 || !memchr("qre", y.p[0], 3))
		return "KRPC of an unknown sort";
	if (bencode_get(b, 0, "v") != BENCODE_ABSENT)
		return "KRPC with a client string";
	if (in.n > 1280)
		return "KRPC larger than any path takes";
	return NULL;
}

static bool
is_allowed_size(size_t n)
{
	static const uint16_t sizes[] = { 56, 104, 168, TRANSPORT_HEAD + 64,
		TRANSPORT_HEAD + 128, TRANSPORT_HEAD + 256,
		TRANSPORT_HEAD + 512, TRANSPORT_HEAD + 1024 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (n == sizes[i])
			return true;
	return n >= PATH_MIN && n <= PATH_MAX;
}

const char *
wire_check(struct wire *w, struct span datagram)
{
	if (leaks(w, datagram))
		return "shows a secret in the clear";
	if (wire_is_krpc(datagram) && w->no_plain)
		return "begins with d where all is sealed";
	if (wire_is_krpc(datagram))
		return check_krpc(w, datagram);
	if (!is_allowed_size(datagram.n) &&
	    !(w->sealed && overlay_is_size(datagram.n)))
		return "has a size that no datagram of ours has";
	return NULL;
}
