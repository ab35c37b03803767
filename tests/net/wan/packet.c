/* Packets as a router reads and changes them. [RFC 791] [RFC 8200] */
#include "tests/net/wan/packet.h"

#include <assert.h>
#include <string.h>

enum {
	IP4_HEAD = 20,
	IP6_HEAD = 40,
	IP4_DF = 0x4000,
	IP4_MF = 0x2000,
	IP4_OFFSET = 0x1fff,
	NEXT_HOP_BY_HOP = 0,
	NEXT_ROUTING = 43,
	NEXT_FRAGMENT = 44,
	NEXT_OPTIONS = 60,
	L4_MIN = 8, /* ports and sums, or the head of ICMP */
	ICMP_HEAD = 8,
	UDP_HEAD = 8,
	ICMP4_QUOTE = 548,  /* bytes of a packet that an error repeats */
	ICMP6_QUOTE = 1232, /* [RFC 4443 §2.4] */
	HOPS = 64,
};

/* The router that errors come from. */
static const uint8_t router4[4] = { 192, 88, 99, 1 };
static const uint8_t router6[16] = { 0x20, 0x01, 0x0d, 0xb8, 0xff,
	0xff, [15] = 1 };

uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

void
put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void
put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

/* [RFC 1071] */
static uint16_t
sum_of(const uint8_t *p, size_t n, uint32_t sum)
{
	for (; n > 1; n -= 2, p += 2)
		sum += get16(p);
	if (n > 0)
		sum += (uint32_t)*p << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* A sum after old became new. [RFC 1624] */
static void
mend(uint8_t *sum, const uint8_t *old, const uint8_t *new, size_t n)
{
	uint32_t s = (uint16_t)~get16(sum);

	for (size_t i = 0; i < n; i += 2)
		s += (uint32_t)(uint16_t)~get16(old + i) + get16(new + i);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	put16(sum, (uint16_t)~s);
}

static bool
read_v4(uint8_t *b, size_t n, bool is_inner, struct view *v)
{
	size_t head = (size_t)(b[0] & 15) * 4;
	unsigned off = n < IP4_HEAD ? 0 : get16(b + 6);

	if (n < IP4_HEAD || head < IP4_HEAD || n < head)
		return false;
	if (!is_inner && get16(b + 2) > n)
		return false;
	v->family = FAMILY_V4;
	v->l4 = head;
	v->protocol = b[9];
	v->id = get16(b + 4);
	v->is_indivisible = (off & IP4_DF) != 0;
	if (off & IP4_OFFSET)
		v->part = PART_LATER;
	else if (off & IP4_MF)
		v->part = PART_FIRST;
	v->src = endpoint_v4(b + 12, 0);
	v->dst = endpoint_v4(b + 16, 0);
	return true;
}

static bool
read_v6(uint8_t *b, size_t n, struct view *v)
{
	size_t at = IP6_HEAD;
	unsigned next = n < IP6_HEAD ? 0 : b[6];

	if (n < IP6_HEAD)
		return false;
	v->family = FAMILY_V6;
	v->is_indivisible = true;
	memcpy(v->src.addr, b + 8, sizeof(v->src.addr));
	memcpy(v->dst.addr, b + 24, sizeof(v->dst.addr));
	while (v->part != PART_LATER &&
	       (next == NEXT_HOP_BY_HOP || next == NEXT_ROUTING ||
	           next == NEXT_OPTIONS || next == NEXT_FRAGMENT)) {
		size_t size = ICMP_HEAD;

		if (n < at + L4_MIN)
			return false;
		if (next == NEXT_FRAGMENT) {
			v->id = get32(b + at + 4);
			v->part = get16(b + at + 2) & 0xfff8 ? PART_LATER
			                                     : PART_FIRST;
		} else {
			size = (b[at + 1] + (size_t)1) * 8;
		}
		next = b[at];
		at += size;
	}
	v->protocol = (uint8_t)next;
	v->l4 = at;
	return true;
}

static void
read_icmp(struct view *v)
{
	unsigned type = v->b[v->l4];

	if (v->family == FAMILY_V4) {
		v->is_echo = type == 0 || type == 8;
		v->is_error = type == 3 || type == 11 || type == 12;
	} else {
		v->is_echo = type == 128 || type == 129;
		v->is_error = type >= 1 && type <= 4;
	}
	if (v->is_echo)
		v->src.port = v->dst.port = get16(v->b + v->l4 + 4);
}

bool
view_read(uint8_t *b, size_t n, bool is_inner, struct view *ret)
{
	struct view v = { .b = b, .n = n };
	bool good = false;

	assert(b && ret);
	if (n > 0 && b[0] >> 4 == 4)
		good = read_v4(b, n, is_inner, &v);
	else if (n > 0 && b[0] >> 4 == 6)
		good = read_v6(b, n, &v);
	if (!good)
		return false;
	if (v.part != PART_LATER) {
		bool is_icmp =
		    v.protocol == (v.family == FAMILY_V4 ? IP_ICMP : IP_ICMP6);

		if (!is_icmp && v.protocol != IP_UDP && v.protocol != IP_TCP) {
			*ret = v;
			return true;
		}
		if (n < v.l4 + L4_MIN)
			return false;
		if (is_icmp) {
			read_icmp(&v);
		} else {
			v.src.port = get16(b + v.l4);
			v.dst.port = get16(b + v.l4 + 2);
		}
	}
	*ret = v;
	return true;
}

/* The port that goes with an address from old to new, both of six bytes. */
static void
rewrite_port(struct view *v, enum end end, uint8_t old[6], uint8_t new[6])
{
	size_t sum = v->l4 + (v->protocol == IP_UDP ? 6 : 16);
	uint8_t *port = v->b + v->l4 + (end == END_SRC ? 0 : 2);

	if (v->is_echo) {
		port = v->b + v->l4 + 4;
		memcpy(old + 4, port, 2);
		mend(v->b + v->l4 + 2, old + 4, new + 4, 2);
		memcpy(port, new + 4, 2);
		return;
	}
	if (v->protocol != IP_UDP && v->protocol != IP_TCP)
		return;
	memcpy(old + 4, port, 2);
	memcpy(port, new + 4, 2);
	if (sum + 2 > v->n)
		return; /* in an ICMP error there need not be more */
	if (v->protocol == IP_UDP && get16(v->b + sum) == 0)
		return; /* sent without one */
	mend(v->b + sum, old, new, 6);
	if (v->protocol == IP_UDP && get16(v->b + sum) == 0)
		put16(v->b + sum, 0xffff);
}

void
view_rewrite(struct view *v, enum end end, const struct endpoint *to)
{
	uint8_t *addr = v->b + (end == END_SRC ? 12 : 16);
	uint8_t old[6], new[6];

	assert(v->family == FAMILY_V4 && endpoint_family(to) == FAMILY_V4);
	memcpy(old, addr, 4);
	memcpy(new, endpoint_addr(to).p, 4);
	put16(new + 4, to->port);
	mend(v->b + 10, old, new, 4);
	memcpy(addr, new, 4);
	if (v->part != PART_LATER)
		rewrite_port(v, end, old, new);
	*(end == END_SRC ? &v->src : &v->dst) = *to;
}

bool
view_inner(const struct view *v, struct view *ret)
{
	size_t at = v->l4 + ICMP_HEAD;

	assert(v->is_error && at <= v->n);
	return view_read(v->b + at, v->n - at, true, ret) &&
	       ret->family == v->family;
}

void
view_mend_icmp(struct view *v)
{
	size_t n = get16(v->b + 2); /* no more than v->n, see read_v4 */

	assert(v->family == FAMILY_V4);
	if (n < v->l4 + ICMP_HEAD)
		return;
	put16(v->b + v->l4 + 2, 0);
	put16(v->b + v->l4 + 2, sum_of(v->b + v->l4, n - v->l4, 0));
}

bool
view_take_hops(struct view *v, unsigned hops)
{
	uint8_t *ttl = v->b + (v->family == FAMILY_V4 ? 8 : 7);
	uint8_t old[2];

	if (*ttl <= hops)
		return false;
	memcpy(old, v->b + 8, 2);
	*ttl = (uint8_t)(*ttl - hops);
	if (v->family == FAMILY_V4)
		mend(v->b + 10, old, v->b + 8, 2);
	return true;
}

bool
view_is_local(const struct view *v)
{
	const uint8_t *a = endpoint_addr(&v->dst).p;

	if (v->family == FAMILY_V4)
		return a[0] >= 224;
	return a[0] == 0xff || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80);
}

bool
view_is_dht(const struct view *v)
{
	const uint8_t *p = v->b + v->l4 + UDP_HEAD;
	size_t n;

	if (v->protocol != IP_UDP || v->part != PART_WHOLE || v->is_error ||
	    v->n <= v->l4 + UDP_HEAD)
		return false;
	n = v->n - v->l4 - UDP_HEAD;
	return (p[0] == 'd' && p[n - 1] == 'e') || n == 128 || n == 256 ||
	       n == 512 || n == 1024;
}

bool
view_fragment(
    const struct view *v, size_t mtu, size_t *at, uint8_t *ret, size_t *ret_n)
{
	size_t head = v->l4;
	size_t body = v->n - head;
	size_t step = (mtu - head) & ~(size_t)7;
	size_t n = body - *at < step ? body - *at : step;
	unsigned base = get16(v->b + 6);
	bool is_last = *at + n == body && (base & IP4_MF) == 0;

	assert(v->family == FAMILY_V4 && *at <= body && v->n <= PACKET_MAX);
	if (mtu < head + 8 || *at == body)
		return false;
	memcpy(ret, v->b, head);
	memcpy(ret + head, v->b + head + *at, n);
	put16(ret + 2, head + n);
	put16(ret + 6,
	    ((base & IP4_OFFSET) + *at / 8) | (is_last ? 0 : (size_t)IP4_MF));
	put16(ret + 10, 0);
	put16(ret + 10, sum_of(ret, head, 0));
	*at += n;
	*ret_n = head + n;
	return true;
}

static size_t
icmp_write_v4(
    uint8_t type, uint8_t code, size_t mtu, const struct view *v, uint8_t *ret)
{
	size_t quote = v->n < ICMP4_QUOTE ? v->n : ICMP4_QUOTE;
	size_t n = IP4_HEAD + ICMP_HEAD + quote;

	memset(ret, 0, IP4_HEAD + ICMP_HEAD);
	ret[0] = 0x45;
	put16(ret + 2, n);
	ret[8] = HOPS;
	ret[9] = IP_ICMP;
	memcpy(ret + 12, router4, sizeof(router4));
	memcpy(ret + 16, v->b + 12, 4);
	put16(ret + 10, sum_of(ret, IP4_HEAD, 0));
	ret[20] = type;
	ret[21] = code;
	put16(ret + 26, mtu);
	memcpy(ret + IP4_HEAD + ICMP_HEAD, v->b, quote);
	put16(ret + 22, sum_of(ret + IP4_HEAD, n - IP4_HEAD, 0));
	return n;
}

static size_t
icmp_write_v6(
    uint8_t type, uint8_t code, size_t mtu, const struct view *v, uint8_t *ret)
{
	size_t quote = v->n < ICMP6_QUOTE ? v->n : ICMP6_QUOTE;
	uint32_t sum = IP_ICMP6 + ICMP_HEAD + (uint32_t)quote;

	memset(ret, 0, IP6_HEAD + ICMP_HEAD);
	ret[0] = 0x60;
	put16(ret + 4, ICMP_HEAD + quote);
	ret[6] = IP_ICMP6;
	ret[7] = HOPS;
	memcpy(ret + 8, router6, sizeof(router6));
	memcpy(ret + 24, v->b + 8, 16);
	ret[40] = type;
	ret[41] = code;
	put32(ret + 44, (uint32_t)mtu);
	memcpy(ret + IP6_HEAD + ICMP_HEAD, v->b, quote);
	for (size_t i = 8; i < IP6_HEAD; i += 2)
		sum += get16(ret + i);
	put16(ret + 42, sum_of(ret + IP6_HEAD, ICMP_HEAD + quote, sum));
	return IP6_HEAD + ICMP_HEAD + quote;
}

size_t
icmp_write(
    enum icmp_why why, size_t mtu, const struct view *about, uint8_t *ret)
{
	static const struct {
		uint8_t type4, code4, type6, code6;
	} kinds[] = {
		[ICMP_TOO_BIG] = { 3, 4, 2, 0 },
		[ICMP_TTL] = { 11, 0, 3, 0 },
		[ICMP_NO_PORT] = { 3, 3, 1, 4 },
		[ICMP_PROHIBITED] = { 3, 13, 1, 1 },
	};

	if (about->is_error || about->part == PART_LATER)
		return 0;
	if (why != ICMP_TOO_BIG)
		mtu = 0;
	if (about->family == FAMILY_V4)
		return icmp_write_v4(
		    kinds[why].type4, kinds[why].code4, mtu, about, ret);
	return icmp_write_v6(
	    kinds[why].type6, kinds[why].code6, mtu, about, ret);
}
