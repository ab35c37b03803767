/* What a home router answers to those who want a port of it. [RFC 6886]
 * [RFC 6887] */
#include "tests/net/wan/wan.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum {
	LIFE_MAX = 7200, /* s */
	GATE_MAX = 1200, /* bytes of a datagram */
	NATPMP_MAP = 12,
	PCP_HEAD = 24,
	PCP_MAP = 60,
	NATPMP_VERSION = 1,
	NATPMP_NO_RESOURCES = 4,
	NATPMP_BAD_OPCODE = 5,
	PCP_BAD_OPCODE = 4,
	PCP_NO_RESOURCES = 8,
	PCP_ADDRESS_MISMATCH = 12,
};

struct gate {
	struct wan *w;
	struct nat *nat;
	struct endpoint from; /* the inside host, without its port */
	const uint8_t *in;
	size_t n;
	uint8_t *out;
	uint32_t epoch; /* s */
};

/* Makes, renews or ends a mapping; life 0 ends it. NULL: there is none. */
static struct mapping *
map_port(const struct gate *g, uint8_t protocol, uint16_t port, uint16_t want,
    uint32_t life)
{
	struct endpoint inside = g->from;
	struct mapping *m;

	inside.port = port;
	if (life == 0) {
		nat_unmap(g->nat, protocol, &inside);
		return NULL;
	}
	m = nat_map(g->nat, protocol, &inside, want, g->w->now);
	if (m)
		m->until = g->w->now + life * UINT64_C(1000000000);
	return m;
}

static uint32_t
limited(uint32_t life)
{
	return life < LIFE_MAX ? life : LIFE_MAX;
}

/* Gives the bytes of the answer. */
static size_t
answer_natpmp(const struct gate *g)
{
	unsigned op = g->in[1];
	const struct mapping *m;
	uint32_t life;

	g->out[1] = (uint8_t)(op | 0x80);
	put32(g->out + 4, g->epoch);
	if (op == 0) {
		memcpy(g->out + 8, endpoint_addr(&g->nat->address[0]).p, 4);
		return 12;
	}
	if (op > 2 || g->n < NATPMP_MAP) {
		put16(g->out + 2, NATPMP_BAD_OPCODE);
		return 8;
	}
	life = limited(get32(g->in + 8));
	m = map_port(g, op == 1 ? IP_UDP : IP_TCP, get16(g->in + 4),
	    get16(g->in + 6), life);
	memcpy(g->out + 8, g->in + 4, 2);
	if (m) {
		put16(g->out + 10, m->outside.port);
		put32(g->out + 12, life);
	} else if (life > 0) {
		put16(g->out + 2, NATPMP_NO_RESOURCES);
	}
	return 16;
}

static void
answer_map(const struct gate *g)
{
	uint32_t life = limited(get32(g->in + 4));
	const struct mapping *m =
	    map_port(g, g->in[36], get16(g->in + 40), get16(g->in + 42), life);

	put32(g->out + 4, life);
	if (m) {
		put16(g->out + 42, m->outside.port);
		memcpy(g->out + 44, m->outside.addr, sizeof(m->outside.addr));
	} else if (life > 0) {
		g->out[3] = PCP_NO_RESOURCES;
	}
}

static size_t
answer_pcp(const struct gate *g)
{
	unsigned op = g->in[1] & 0x7fU;

	memcpy(g->out, g->in, g->n);
	g->out[1] = (uint8_t)(op | 0x80);
	put16(g->out + 2, 0);
	put32(g->out + 8, g->epoch);
	memset(g->out + 12, 0, 12);
	if (memcmp(g->in + 8, g->from.addr, sizeof(g->from.addr)) != 0)
		g->out[3] = PCP_ADDRESS_MISMATCH;
	else if (op == 1 && g->n >= PCP_MAP)
		answer_map(g);
	else if (op != 0)
		g->out[3] = PCP_BAD_OPCODE;
	return g->n;
}

static size_t
answer(const struct node *n, const struct gate *g)
{
	bool has_nat = g->nat->is_on && !g->nat->is_firewall;
	unsigned version = g->in[0];

	if (version == 0 && n->portmap & PORTMAP_NATPMP && has_nat &&
	    g->nat == &n->nat)
		return answer_natpmp(g);
	if (version == 2 && n->portmap & PORTMAP_PCP && g->nat->is_on &&
	    g->n >= PCP_HEAD)
		return answer_pcp(g);
	if (version == 0 || n->portmap != PORTMAP_NATPMP)
		return 0;
	g->out[1] = 0x80;
	put16(g->out + 2, NATPMP_VERSION);
	put32(g->out + 4, g->epoch);
	return 8;
}

/* An answer comes from the address that was asked: the control message of the
 * question, which says at which address it came in, goes back with it. */
static void
reply(int fd, struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	if (c && c->cmsg_type == IPV6_PKTINFO) {
		struct in6_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof(info));
		if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
			info.ipi6_ifindex = 0; /* the route's */
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	}
	(void)sendmsg(fd, m, 0);
}

void
gate_read(struct wan *w, struct node *n)
{
	uint8_t in[GATE_MAX];
	uint8_t out[GATE_MAX] = { 0 };
	struct sockaddr_in6 from = { .sin6_family = AF_INET6 };
	_Alignas(struct cmsghdr)
	    uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	struct iovec iov = { in, sizeof(in) };
	struct msghdr m = { &from, sizeof(from), &iov, 1, control,
		sizeof(control), 0 };
	struct gate g = { .w = w, .in = in, .out = out };
	ssize_t got = recvmsg(n->gate, &m, 0);
	size_t size;

	if (got < 2)
		return;
	w->now = wan_clock();
	g.n = (size_t)got;
	g.epoch = (uint32_t)((w->now - w->begin) / 1000000000);
	memcpy(g.from.addr, &from.sin6_addr, sizeof(g.from.addr));
	g.nat = endpoint_family(&g.from) == FAMILY_V4 ? &n->nat : &n->firewall;
	size = answer(n, &g);
	m.msg_iov->iov_base = out;
	m.msg_iov->iov_len = size;
	if (size > 0)
		reply(n->gate, &m);
}
