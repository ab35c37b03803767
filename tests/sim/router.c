#include "tests/sim/router.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { DICE_NAT = 1 << 23, TRIES = 64 };

void
router_init(struct router *n, const struct router_config *cfg, uint64_t seed,
    uint32_t who)
{
	memset(n, 0, sizeof(*n));
	n->cfg = *cfg;
	if (n->cfg.lo == 0 && n->cfg.hi == 0) {
		n->cfg.lo = ROUTER_PORT_MIN;
		n->cfg.hi = ROUTER_PORT_MAX;
	}
	assert(n->cfg.lo <= n->cfg.hi);
	if (n->cfg.step == 0)
		n->cfg.step = 1;
	if (n->cfg.hops == 0)
		n->cfg.hops = 1;
	if (n->cfg.unanswered_ms == 0)
		n->cfg.unanswered_ms = ROUTER_UNANSWERED_MS;
	if (n->cfg.answered_ms == 0)
		n->cfg.answered_ms = ROUTER_ANSWERED_MS;
	dice_init(&n->dice, seed, DICE_NAT, who);
	n->last = (uint16_t)dice_range(&n->dice, n->cfg.lo, n->cfg.hi);
}

void
router_clear(struct router *n)
{
	free(n->flows);
	*n = (struct router){ 0 };
}

void
router_forget(struct router *n)
{
	n->n_flows = 0;
	n->shift = 0;
	n->last = (uint16_t)dice_range(&n->dice, n->cfg.lo, n->cfg.hi);
}

void
router_rebind(struct router *n)
{
	uint32_t shift = n->shift + dice_range(&n->dice, 1000, 30000);

	router_forget(n);
	n->shift = (uint16_t)(shift % (ROUTER_PORT_MAX - ROUTER_PORT_MIN));
}

static bool
is_live(const struct router *n, const struct router_flow *f, uint64_t now_ms)
{
	uint32_t life_ms =
	    f->is_stream ? n->cfg.answered_ms : n->cfg.unanswered_ms;

	return now_ms <= f->last_ms + life_ms;
}

static void
touch(struct router_flow *f, uint64_t now_ms)
{
	f->last_ms = now_ms;
	if (f->is_answered && now_ms > f->began_ms + ROUTER_STREAM_MS)
		f->is_stream = true;
}

static bool
is_alike(
    enum router_depends on, const struct endpoint *a, const struct endpoint *b)
{
	if (on == DEPENDS_NOT)
		return true;
	if (on == DEPENDS_ADDRESS)
		return endpoint_same_addr(a, b);
	return endpoint_eq(a, b);
}

static void
drop_dead(struct router *n, uint64_t now_ms)
{
	size_t kept = 0;

	for (size_t i = 0; i < n->n_flows; i++)
		if (is_live(n, &n->flows[i], now_ms))
			n->flows[kept++] = n->flows[i];
	n->n_flows = kept;
}

/* Room for one more; the oldest makes it. */
static struct router_flow *
new_flow(struct router *n)
{
	struct router_flow *f;

	if (n->n_flows < ROUTER_FLOWS_MAX) {
		if (n->n_flows == n->cap_flows) {
			n->cap_flows = n->cap_flows ? 2 * n->cap_flows : 64;
			n->flows = (struct router_flow *)realloc(
			    n->flows, n->cap_flows * sizeof(*n->flows));
			assert(n->flows);
		}
		return &n->flows[n->n_flows++];
	}
	f = &n->flows[0];
	for (size_t i = 1; i < n->n_flows; i++)
		if (n->flows[i].last_ms < f->last_ms)
			f = &n->flows[i];
	return f;
}

static struct router_flow *
add_flow(struct router *n, const struct endpoint *peer, uint16_t inside,
    uint16_t outside, uint64_t now_ms)
{
	struct router_flow *f = new_flow(n);

	*f = (struct router_flow){ .peer = *peer,
		.inside = inside,
		.outside = outside,
		.began_ms = now_ms,
		.last_ms = now_ms };
	return f;
}

/* The router itself talks to this peer there. */
static bool
is_blocked(const struct router *n, uint16_t port, const struct endpoint *to)
{
	for (size_t i = 0; i < n->n_flows; i++)
		if (n->flows[i].is_foreign && n->flows[i].outside == port &&
		    endpoint_eq(&n->flows[i].peer, to))
			return true;
	return false;
}

/* Whether a flow from `inside` to `to` is of the same mapping. */
static bool
is_mapped_alike(const struct router *n, const struct router_flow *f,
    uint16_t inside, const struct endpoint *to)
{
	return f->inside == inside && is_alike(n->cfg.mapping, &f->peer, to);
}

static bool
is_taken(const struct router *n, uint16_t port, uint16_t inside,
    const struct endpoint *to)
{
	for (size_t i = 0; i < n->n_flows; i++) {
		const struct router_flow *f = &n->flows[i];

		if (!f->is_foreign && f->outside == port &&
		    !is_mapped_alike(n, f, inside, to))
			return true;
	}
	return is_blocked(n, port, to);
}

static uint32_t
span_of_ports(const struct router *n)
{
	return (uint32_t)n->cfg.hi - n->cfg.lo + 1;
}

static uint16_t
step_from(const struct router *n, uint16_t port, uint32_t step)
{
	/* The port that a host has may lie outside its router's range. */
	if (port < n->cfg.lo || port > n->cfg.hi)
		return n->cfg.lo;
	step = ((uint32_t)port - n->cfg.lo + step) % span_of_ports(n);
	return (uint16_t)(n->cfg.lo + step);
}

static uint16_t
first_port(struct router *n, uint16_t inside)
{
	uint32_t wish = (uint32_t)inside + n->shift;

	switch (n->cfg.ports) {
	case PORTS_PRESERVE:
		if (wish > ROUTER_PORT_MAX)
			wish -= ROUTER_PORT_MAX - ROUTER_PORT_MIN;
		return (uint16_t)wish;
	case PORTS_SEQUENTIAL:
		return step_from(n, n->last, n->cfg.step);
	case PORTS_RANDOM:
		break;
	}
	return (uint16_t)dice_range(&n->dice, n->cfg.lo, n->cfg.hi);
}

/* 0: none is left. */
static uint16_t
new_port(struct router *n, uint16_t inside, const struct endpoint *to)
{
	uint16_t port = first_port(n, inside);
	uint32_t step = n->cfg.ports == PORTS_SEQUENTIAL ? n->cfg.step : 1;

	for (uint32_t i = 0; i < span_of_ports(n); i++) {
		if (!is_taken(n, port, inside, to)) {
			n->last = port;
			return port;
		}
		if (n->cfg.ports == PORTS_RANDOM && i < TRIES)
			port = first_port(n, inside);
		else
			port = step_from(n, port, step);
	}
	return 0;
}

/* The port of a mapping that this flow shares; 0: there is none. */
static uint16_t
shared_port(const struct router *n, uint16_t inside, const struct endpoint *to)
{
	for (size_t i = 0; i < n->n_flows; i++) {
		const struct router_flow *f = &n->flows[i];

		if (!f->is_foreign && !f->is_evader &&
		    endpoint_family(&f->peer) == FAMILY_V4 &&
		    is_mapped_alike(n, f, inside, to))
			return f->outside;
	}
	return 0;
}

static struct router_flow *
find(struct router *n, uint16_t inside, const struct endpoint *peer)
{
	for (size_t i = 0; i < n->n_flows; i++)
		if (!n->flows[i].is_foreign && n->flows[i].inside == inside &&
		    endpoint_eq(&n->flows[i].peer, peer))
			return &n->flows[i];
	return NULL;
}

/* NULL: no port is left. */
static struct router_flow *
begin(struct router *n, uint16_t inside, const struct endpoint *to,
    uint64_t now_ms)
{
	uint16_t wish = shared_port(n, inside, to);
	uint16_t port = wish;
	struct router_flow *f;

	if (wish == 0 && n->cfg.ports == PORTS_PRESERVE)
		wish = first_port(n, inside);
	if (endpoint_family(to) == FAMILY_V6)
		port = inside; /* nothing is translated there */
	else if (port == 0 || is_blocked(n, port, to))
		port = new_port(n, inside, to);
	if (port == 0)
		return NULL;
	f = add_flow(n, to, inside, port, now_ms);
	f->is_evader = wish != 0 && is_blocked(n, wish, to);
	return f;
}

bool
router_out(struct router *n, uint16_t inside, const struct endpoint *to,
    uint64_t now_ms, uint16_t *ret)
{
	struct router_flow *f = find(n, inside, to);

	if (f && is_live(n, f, now_ms)) {
		touch(f, now_ms);
		*ret = f->outside;
		return true;
	}
	drop_dead(n, now_ms);
	f = begin(n, inside, to, now_ms);
	if (!f)
		return false;
	*ret = f->outside;
	return true;
}

/* The router takes it for itself. */
static void
claim(struct router *n, const struct endpoint *from, uint16_t outside,
    uint64_t now_ms)
{
	if (!n->cfg.takes_unasked || endpoint_family(from) == FAMILY_V6)
		return;
	for (size_t i = 0; i < n->n_flows; i++) {
		struct router_flow *f = &n->flows[i];

		if (f->is_foreign && f->outside == outside &&
		    endpoint_eq(&f->peer, from)) {
			f->last_ms = now_ms;
			return;
		}
	}
	add_flow(n, from, 0, outside, now_ms)->is_foreign = true;
}

bool
router_in(struct router *n, const struct endpoint *from, uint16_t outside,
    uint64_t now_ms, uint16_t *ret)
{
	bool is_let_in = false;

	for (size_t i = 0; i < n->n_flows; i++) {
		struct router_flow *f = &n->flows[i];

		if (f->is_foreign || f->outside != outside ||
		    endpoint_family(&f->peer) != endpoint_family(from) ||
		    !is_live(n, f, now_ms) ||
		    !is_alike(n->cfg.filtering, &f->peer, from))
			continue;
		is_let_in = true;
		*ret = f->inside;
		if (endpoint_eq(&f->peer, from)) {
			f->is_answered = true;
			touch(f, now_ms);
		}
	}
	if (!is_let_in)
		claim(n, from, outside, now_ms);
	return is_let_in;
}

bool
router_has(const struct router *n, uint16_t outside)
{
	for (size_t i = 0; i < n->n_flows; i++)
		if (!n->flows[i].is_foreign && n->flows[i].outside == outside)
			return true;
	return false;
}

uint16_t
router_port(const struct router *n, uint16_t inside)
{
	const struct router_flow *newest = NULL;

	for (size_t i = 0; i < n->n_flows; i++) {
		const struct router_flow *f = &n->flows[i];

		if (!f->is_foreign && f->inside == inside &&
		    endpoint_family(&f->peer) == FAMILY_V4 &&
		    (!newest || f->last_ms > newest->last_ms))
			newest = f;
	}
	return newest ? newest->outside : inside;
}
