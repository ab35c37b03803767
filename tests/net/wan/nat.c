/* The mappings of a NAT. [RFC 4787] */
#include "tests/net/wan/nat.h"

#include "tests/net/wan/die.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t second = 1000000000;

enum {
	END_KEY = 19,            /* a protocol and an endpoint */
	FLOW_KEY = END_KEY + 18, /* and another endpoint */
	TRIES = 128,             /* of random ports, then in order */
};

static void
key_of_end(uint8_t *key, uint8_t protocol, const struct endpoint *e)
{
	key[0] = protocol;
	memcpy(key + 1, e->addr, sizeof(e->addr));
	put16(key + 17, e->port);
}

static void
key_of_flow(const struct nat *n, uint8_t *key, const struct mapping *m)
{
	memset(key, 0, FLOW_KEY);
	key_of_end(key, m->protocol, &m->inside);
	if (n->mapping >= NAT_ADDRESS)
		memcpy(key + END_KEY, m->first.addr, sizeof(m->first.addr));
	if (n->mapping == NAT_PORT)
		put16(key + END_KEY + 16, m->first.port);
}

void
nat_init(struct nat *n, const struct rng *rng)
{
	*n = (struct nat){ 0 };
	n->port_min = 1024;
	n->port_max = 65535;
	n->step = 1;
	n->t_new = 30 * second;
	n->t_answered = 120 * second;
	n->refresh_in = true;
	map_init(&n->by_flow, FLOW_KEY, rng);
	map_init(&n->by_inside, END_KEY, rng);
	map_init(&n->by_outside, END_KEY, rng);
}

bool
nat_set_kind(struct nat *n, const char *kind)
{
	/* clang-format off */
	static const struct {
		const char *name;
		bool is_on, is_firewall, is_blocked;
		enum nat_rule mapping, filter;
		enum nat_ports ports;
	} kinds[] = {
		{ "none", 0, 0, 0, NAT_ANY, NAT_ANY, PORTS_KEEP },
		{ "full-cone", 1, 0, 0, NAT_ANY, NAT_ANY, PORTS_KEEP },
		{ "restricted", 1, 0, 0, NAT_ANY, NAT_ADDRESS, PORTS_KEEP },
		{ "port-restricted", 1, 0, 0, NAT_ANY, NAT_PORT, PORTS_KEEP },
		{ "symmetric", 1, 0, 0, NAT_PORT, NAT_PORT, PORTS_RANDOM },
		{ "symmetric-seq", 1, 0, 0, NAT_PORT, NAT_PORT,
		    PORTS_SEQUENCE },
		{ "symmetric-addr", 1, 0, 0, NAT_ADDRESS, NAT_PORT,
		    PORTS_RANDOM },
		{ "firewall", 1, 1, 0, NAT_ANY, NAT_PORT, PORTS_KEEP },
		{ "firewall-eif", 1, 1, 0, NAT_ANY, NAT_ANY, PORTS_KEEP },
		{ "udp-blocked", 1, 0, 1, NAT_ANY, NAT_PORT, PORTS_KEEP },
	};
	/* clang-format on */

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, kind) == 0) {
			n->is_on = kinds[i].is_on;
			n->is_firewall = kinds[i].is_firewall;
			n->is_blocked = kinds[i].is_blocked;
			n->mapping = kinds[i].mapping;
			n->filter = kinds[i].filter;
			n->ports = kinds[i].ports;
			return true;
		}
	return false;
}

bool
nat_is_own(const struct nat *n, const struct endpoint *e)
{
	for (size_t i = 0; i < n->n_addresses; i++)
		if (endpoint_same_addr(&n->address[i], e))
			return true;
	return false;
}

static bool
is_fresh(const struct nat *n, uint64_t last, bool is_answered, uint64_t now)
{
	return now < last + (is_answered ? n->t_answered : n->t_new);
}

bool
nat_is_alive(const struct nat *n, const struct mapping *m, uint64_t now)
{
	if (m->until > 0)
		return now < m->until;
	return is_fresh(n, m->last, m->is_answered, now);
}

static void
free_remotes(struct mapping *m)
{
	while (m->remotes) {
		struct nat_remote *r = m->remotes;

		m->remotes = r->next;
		free(r);
	}
}

static void
forget(struct nat *n, struct mapping *m)
{
	uint8_t key[FLOW_KEY];

	key_of_end(key, m->protocol, &m->outside);
	(void)map_del(&n->by_outside, key);
	if (m->until > 0) {
		key_of_end(key, m->protocol, &m->inside);
		(void)map_del(&n->by_inside, key);
	} else {
		key_of_flow(n, key, m);
		(void)map_del(&n->by_flow, key);
	}
	*(m->prev ? &m->prev->next : &n->all) = m->next;
	if (m->next)
		m->next->prev = m->prev;
	n->n--;
	free_remotes(m);
	free(m);
}

/* m if it is alive; else it is forgotten. */
static struct mapping *
living(struct nat *n, struct mapping *m, uint64_t now)
{
	if (!m || nat_is_alive(n, m, now))
		return m;
	n->expired++;
	forget(n, m);
	return NULL;
}

struct mapping *
nat_of_outside(struct nat *n, uint8_t protocol, const struct endpoint *outside,
    uint64_t now)
{
	uint8_t key[END_KEY];

	key_of_end(key, protocol, outside);
	return living(n, map_get(&n->by_outside, key), now);
}

static struct mapping *
of_inside(struct nat *n, uint8_t protocol, const struct endpoint *inside,
    uint64_t now)
{
	uint8_t key[END_KEY];

	key_of_end(key, protocol, inside);
	return living(n, map_get(&n->by_inside, key), now);
}

struct mapping *
nat_of_flow(struct nat *n, uint8_t protocol, const struct endpoint *inside,
    const struct endpoint *remote, uint64_t now)
{
	struct mapping like = { .protocol = protocol };
	struct mapping *m = of_inside(n, protocol, inside, now);
	uint8_t key[FLOW_KEY];

	if (m)
		return m;
	like.inside = *inside;
	like.first = *remote;
	key_of_flow(n, key, &like);
	return living(n, map_get(&n->by_flow, key), now);
}

static bool
is_free_port(struct nat *n, uint8_t protocol, struct endpoint *e, unsigned port,
    uint64_t now)
{
	e->port = (uint16_t)port;
	return port > 0 && !nat_of_outside(n, protocol, e, now);
}

/* The next free port from first on, or 0. */
static unsigned
search_port(struct nat *n, uint8_t protocol, struct endpoint *e, unsigned first,
    uint64_t now)
{
	unsigned span = n->port_max - n->port_min + 1;
	unsigned at = first < n->port_min ? 0 : (first - n->port_min) % span;

	for (unsigned i = 0; i < span; i++, at = (at + n->step) % span)
		if (is_free_port(n, protocol, e, n->port_min + at, now))
			return n->port_min + at;
	return 0;
}

/* Gives the outside address e a port; false: none is left. */
static bool
choose_port(struct nat *n, uint8_t protocol, struct endpoint *e,
    enum nat_ports how, unsigned want, uint64_t now)
{
	unsigned span = n->port_max - n->port_min + 1;
	unsigned port = 0;

	switch (how) {
	case PORTS_KEEP:
		if (is_free_port(n, protocol, e, want, now))
			return true;
		port = search_port(n, protocol, e, want + 1, now);
		break;
	case PORTS_RANDOM:
		for (unsigned i = 0; i < TRIES; i++) {
			port = n->port_min +
			       (unsigned)(dice_u64(&n->random) % span);
			if (is_free_port(n, protocol, e, port, now))
				return true;
		}
		port = search_port(n, protocol, e, port, now);
		break;
	case PORTS_SEQUENCE:
		port = search_port(n, protocol, e, n->next_port, now);
		n->next_port = port + n->step;
		break;
	}
	e->port = (uint16_t)port;
	return port > 0;
}

static struct endpoint
choose_address(struct nat *n, const struct endpoint *inside)
{
	uint64_t h = get32(endpoint_addr(inside).p) * UINT64_C(2654435761) >> 7;

	assert(n->n_addresses > 0);
	if (n->n_addresses > 1 && n->is_arbitrary)
		h = dice_u64(&n->random);
	return n->address[h % n->n_addresses];
}

static size_t
count_of(const struct nat *n, const struct endpoint *inside)
{
	size_t count = 0;

	for (const struct mapping *m = n->all; m; m = m->next)
		count += endpoint_same_addr(&m->inside, inside);
	return count;
}

/* Puts a copy of m, whose ends are known, into the tables. */
static struct mapping *
add(struct nat *n, const struct mapping *like)
{
	struct mapping *m = alloc(sizeof(*m));
	uint8_t key[FLOW_KEY];

	*m = *like;
	key_of_end(key, m->protocol, &m->outside);
	die_unless(map_put(&n->by_outside, key, m));
	if (m->until > 0) {
		key_of_end(key, m->protocol, &m->inside);
		die_unless(map_put(&n->by_inside, key, m));
	} else {
		key_of_flow(n, key, m);
		die_unless(map_put(&n->by_flow, key, m));
	}
	m->next = n->all;
	if (m->next)
		m->next->prev = m;
	n->all = m;
	n->n++;
	n->made++;
	return m;
}

struct mapping *
nat_make(struct nat *n, uint8_t protocol, const struct endpoint *inside,
    const struct endpoint *remote, uint64_t now)
{
	struct mapping m = { .protocol = protocol, .last = now };

	m.inside = *inside;
	m.first = *remote;
	m.outside = *inside;
	if (n->quota > 0 && count_of(n, inside) >= n->quota)
		return NULL;
	if (!n->is_firewall) {
		m.outside = choose_address(n, inside);
		if (!choose_port(
		        n, protocol, &m.outside, n->ports, inside->port, now))
			return NULL;
	}
	return add(n, &m);
}

struct mapping *
nat_map(struct nat *n, uint8_t protocol, const struct endpoint *inside,
    uint16_t want, uint64_t now)
{
	static const struct endpoint any = { .port = 0 };
	struct mapping m = { .protocol = protocol, .last = now };
	struct mapping *old = of_inside(n, protocol, inside, now);

	if (old)
		return old;
	m.inside = *inside;
	m.until = NAT_FOREVER;
	m.outside = *inside;
	if (n->mapping == NAT_ANY)
		old = nat_of_flow(n, protocol, inside, &any, now);
	if (old) { /* what traffic made keeps its port */
		m.outside = old->outside;
		forget(n, old);
	} else if (!n->is_firewall) {
		m.outside = choose_address(n, inside);
		if (!choose_port(n, protocol, &m.outside, PORTS_KEEP,
		        want ? want : inside->port, now))
			return NULL;
	}
	return add(n, &m);
}

void
nat_unmap(struct nat *n, uint8_t protocol, const struct endpoint *inside)
{
	struct mapping *m = of_inside(n, protocol, inside, 0);

	if (m)
		forget(n, m);
}

void
nat_flush(struct nat *n)
{
	while (n->all)
		forget(n, n->all);
}

struct nat_remote *
nat_remote_of(struct nat *n, struct mapping *m, const struct endpoint *remote,
    bool make, uint64_t now)
{
	struct nat_remote **at = &m->remotes;
	struct nat_remote *r;

	while (*at && !endpoint_eq(&(*at)->at, remote))
		at = &(*at)->next;
	r = *at;
	if (r) { /* the busiest stand in front */
		*at = r->next;
	} else {
		if (!make)
			return NULL;
		r = alloc(sizeof(*r));
		r->at = *remote;
	}
	r->next = m->remotes;
	m->remotes = r;
	if (is_fresh(n, r->last, r->is_answered, now))
		return r;
	r->is_answered = false;
	return make ? r : NULL;
}

bool
nat_lets_in(struct nat *n, struct mapping *m, const struct endpoint *remote,
    uint64_t now)
{
	if (m->until > 0 || n->filter == NAT_ANY)
		return true;
	if (n->filter == NAT_PORT)
		return nat_remote_of(n, m, remote, false, now) != NULL;
	for (const struct nat_remote *r = m->remotes; r; r = r->next)
		if (endpoint_same_addr(&r->at, remote) &&
		    is_fresh(n, r->last, r->is_answered, now))
			return true;
	return false;
}

void
nat_sweep(struct nat *n, uint64_t now)
{
	for (struct mapping *m = n->all, *next; m; m = next) {
		struct nat_remote **at = &m->remotes;

		next = m->next;
		while (*at) {
			struct nat_remote *r = *at;

			if (is_fresh(n, r->last, r->is_answered, now)) {
				at = &r->next;
				continue;
			}
			*at = r->next;
			free(r);
		}
		(void)living(n, m, now);
	}
}
