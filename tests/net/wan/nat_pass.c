/* Packets on their way through a NAT. [RFC 4787] [RFC 5508] */
#include "tests/net/wan/nat.h"

#include <assert.h>

static const uint64_t fragment_life = UINT64_C(5000000000); /* ns */

/* The remote end as mappings know it: an echo has no port of its own. */
static struct endpoint
remote_of(const struct view *v, enum end end)
{
	struct endpoint e = end == END_SRC ? v->src : v->dst;

	if (v->is_echo)
		e.port = 0;
	return e;
}

/* Only the first fragment has ports; the others go where it went. */
static void
note_fragment(struct nat *n, const struct view *v, enum end end,
    const struct endpoint *to, uint64_t now)
{
	struct nat_fragment *f = &n->fragment[n->next_fragment];

	n->next_fragment = (n->next_fragment + 1) % NAT_FRAGMENTS;
	*f = (struct nat_fragment){
		.end = end, .protocol = v->protocol, .id = v->id, .at = now
	};
	f->src = v->src;
	f->dst = v->dst;
	f->to = *to;
}

static enum drop
pass_fragment(struct nat *n, struct view *v, enum end end, uint64_t now)
{
	for (size_t i = 0; i < NAT_FRAGMENTS; i++) {
		struct nat_fragment *f = &n->fragment[i];

		if (f->at == 0 || now > f->at + fragment_life ||
		    f->end != end || f->protocol != v->protocol ||
		    f->id != v->id || !endpoint_same_addr(&f->src, &v->src) ||
		    !endpoint_same_addr(&f->dst, &v->dst))
			continue;
		if (!n->is_firewall)
			view_rewrite(v, end, &f->to);
		return DROP_NONE;
	}
	return DROP_FILTER;
}

/* The ICMP message of v, whose inner packet has changed, goes to or from. */
static void
readdress_error(struct view *v, enum end end, const struct endpoint *to)
{
	struct endpoint e = *to;

	e.port = 0;
	view_rewrite(v, end, &e);
	view_mend_icmp(v);
}

/* About a packet that went out: its source is our outside end. */
static enum drop
error_in(struct nat *n, struct view *v, uint64_t now)
{
	struct endpoint remote;
	struct view inner;
	struct mapping *m;

	if (!view_inner(v, &inner))
		return DROP_BAD;
	m = nat_of_outside(n, inner.protocol, &inner.src, now);
	if (!m)
		return DROP_NO_MAPPING;
	remote = remote_of(&inner, END_DST);
	if (!nat_lets_in(n, m, &remote, now))
		return DROP_FILTER;
	if (!n->is_firewall) {
		view_rewrite(&inner, END_SRC, &m->inside);
		readdress_error(v, END_DST, &m->inside);
	}
	return DROP_NONE;
}

/* About a packet that came in: its destination is the inside end. */
static enum drop
error_out(struct nat *n, struct view *v, uint64_t now)
{
	struct endpoint remote;
	struct view inner;
	struct mapping *m;

	if (!view_inner(v, &inner))
		return DROP_BAD;
	if (n->is_firewall)
		return DROP_NONE;
	remote = remote_of(&inner, END_SRC);
	m = nat_of_flow(n, inner.protocol, &inner.dst, &remote, now);
	if (!m)
		return DROP_NO_MAPPING;
	view_rewrite(&inner, END_DST, &m->outside);
	readdress_error(v, END_SRC, &m->outside);
	return DROP_NONE;
}

/* What is neither UDP nor TCP nor an echo: only ICMPv6, which works a link. */
static enum drop
pass_other(const struct nat *n, const struct view *v)
{
	return n->is_firewall && v->protocol == IP_ICMP6 ? DROP_NONE : DROP_BAD;
}

enum drop
nat_in(struct nat *n, struct view *v, uint64_t now)
{
	struct nat_remote *r;
	struct endpoint remote;
	struct mapping *m;

	assert(n->is_on);
	if (n->is_blocked && v->protocol == IP_UDP)
		return DROP_BLOCKED;
	if (v->part == PART_LATER)
		return pass_fragment(n, v, END_DST, now);
	if (v->is_error)
		return error_in(n, v, now);
	if (v->protocol != IP_UDP && v->protocol != IP_TCP && !v->is_echo)
		return pass_other(n, v);
	remote = remote_of(v, END_SRC);
	m = nat_of_outside(n, v->protocol, &v->dst, now);
	if (!m)
		return DROP_NO_MAPPING;
	if (!nat_lets_in(n, m, &remote, now))
		return DROP_FILTER;
	r = nat_remote_of(n, m, &remote, true, now);
	if (n->refresh_in || r->last == 0)
		r->last = m->last = now;
	r->is_answered = m->is_answered = true;
	if (v->part == PART_FIRST)
		note_fragment(n, v, END_DST, &m->inside, now);
	if (!n->is_firewall)
		view_rewrite(v, END_DST, &m->inside);
	return DROP_NONE;
}

enum drop
nat_out(struct nat *n, struct view *v, uint64_t now)
{
	struct nat_remote *r;
	struct endpoint remote;
	struct mapping *m;

	assert(n->is_on);
	if (n->is_blocked && v->protocol == IP_UDP)
		return DROP_BLOCKED;
	if (v->part == PART_LATER)
		return pass_fragment(n, v, END_SRC, now);
	if (v->is_error)
		return error_out(n, v, now);
	if (v->protocol != IP_UDP && v->protocol != IP_TCP && !v->is_echo)
		return pass_other(n, v);
	remote = remote_of(v, END_DST);
	m = nat_of_flow(n, v->protocol, &v->src, &remote, now);
	if (!m)
		m = nat_make(n, v->protocol, &v->src, &remote, now);
	if (!m)
		return DROP_NO_PORT;
	r = nat_remote_of(n, m, &remote, true, now);
	r->last = m->last = now;
	if (v->part == PART_FIRST)
		note_fragment(n, v, END_SRC, &m->outside, now);
	if (!n->is_firewall)
		view_rewrite(v, END_SRC, &m->outside);
	return DROP_NONE;
}
