/* Tries to meet through NATs: targets, rounds, sweeps. */
#include "proto/nat/plan.h"

#include <assert.h>
#include <string.h>

#define BIT(x) (1U << (unsigned)(x))

static const unsigned may_follow[PLAN_STATES] = {
	[PLAN_OPENING] = BIT(PLAN_PROBING) | BIT(PLAN_OVER),
	[PLAN_PROBING] = BIT(PLAN_HEAVY) | BIT(PLAN_OVER),
	[PLAN_HEAVY] = BIT(PLAN_OVER),
	[PLAN_OVER] = 0,
};

/*
 * How far openers go, one for each attempt in turn. They have to pass our own
 * NATs and must not come to the other's. Too far is much worse than too short:
 * where a router lets strangers in, an opener that comes there costs half of
 * the tries or all, for as long as it is remembered; one that dies before our
 * own NAT costs them only if the answer was late, since both sides' probes
 * cross on the way. So the first passes two routers, the second one: it is for
 * neighbours, whose routers may be that near.
 */
static const uint8_t opener_hops[] = { PLAN_HOPS, 2, 4 };

/* When rounds are shot, if there are so many: after the first, in ms. */
static const uint16_t round_ms[PLAN_ROUNDS_MAX + 1][PLAN_ROUNDS_MAX] = {
	{ 0 },
	{ 0 },
	{ 0, 200 },
	{ 0, 100, 400 },
	{ 0, 100, 300, 800 },
	{ 0, 50, 200, 400, 800 },
	{ 0, 50, 100, 200, 400, 800 },
	{ 0, 50, 100, 200, 400, 800, 1600 },
};

/*
 * Waves of openers of the many sockets. None is a probe: a router that lets
 * strangers in would give every port of the sweep away to them. The first may
 * be lost; the last is for who is far behind his own NATs, late enough that
 * most is over.
 */
enum { WAVES = 3 };
static const uint8_t wave_hops[WAVES] = { 5, 5, 8 };

static uint64_t
wave_ms(unsigned wave, uint64_t sweep_ms)
{
	static const uint8_t percent[WAVES] = { 0, 15, 60 };

	assert(wave < WAVES);
	return sweep_ms * percent[wave] / 100;
}

static void
move(struct plan *p, enum plan_state to)
{
	assert(may_follow[p->state] & BIT(to));
	p->state = to;
	if (to == PLAN_OVER)
		p->next_ms = NEVER;
}

static uint8_t
hops_of(const struct plan *p)
{
	return opener_hops[p->c.attempt % sizeof(opener_hops)];
}

static uint64_t
rtt_of(const struct plan *p)
{
	if (p->c.rtt_ms == 0)
		return PLAN_RTT_MS;
	return p->c.rtt_ms < PLAN_RTT_MAX_MS ? p->c.rtt_ms : PLAN_RTT_MAX_MS;
}

/* ---- what others say ---- */

/* Of use only with the ports that were seen. */
static bool
is_guessed(enum nat_class k)
{
	return k == NAT_SEQUENTIAL || k == NAT_BLOCK;
}

/* It comes from the other, who may say anything. */
static void
make_sane(struct nat_view *nat)
{
	int step = nat->step;

	if ((unsigned)nat->kind >= NAT_CLASSES)
		nat->kind = NAT_UNKNOWN;
	if (step == 0 || step > NAT_SEQUENCE_STEP_MAX ||
	    step < -NAT_SEQUENCE_STEP_MAX)
		nat->step = 1;
	if (is_guessed(nat->kind) && (nat->lo == 0 || nat->hi == 0))
		nat->kind = NAT_HARD;
	if (nat->kind == NAT_BLOCK && nat->hi < nat->lo)
		nat->kind = NAT_HARD;
	if (nat->kind == NAT_BLOCK && nat->hi - nat->lo >= NAT_BLOCK_MAX)
		nat->kind = NAT_RANDOM;
}

/* ---- targets ---- */

/* Its mappings for us can be guessed, or are those we know. */
static bool
is_plain(enum nat_class k)
{
	return k == NAT_UNKNOWN || nat_is_easy(k);
}

static void
add_target(struct plan *p, const struct endpoint *to)
{
	if (endpoint_scope(to) == SCOPE_UNUSABLE || to->port == 0 ||
	    p->n_targets == PLAN_TARGETS_MAX)
		return;
	for (size_t i = 0; i < p->n_targets; i++)
		if (endpoint_eq(&p->target[i], to))
			return;
	p->target[p->n_targets++] = *to;
}

static void
add_port(struct plan *p, int port)
{
	struct endpoint to = p->outside;

	if (port <= 0 || port > UINT16_MAX)
		return;
	to.port = (uint16_t)port;
	add_target(p, &to);
}

/*
 * The port that their sequential NAT has for us already, if there is one, and
 * those that it will choose next. If ours is one, too,
 * packet k of ours comes from our k-th port, which they must have guessed for
 * their own packet to the port that ours goes to: both go up in step. Packets
 * of others shift that; so the answerer varies by how much he is ahead, and one
 * of his fits if in both NATs together up to three ports were taken meanwhile.
 */
static void
add_window(struct plan *p)
{
	static const uint8_t straight[PLAN_WINDOW] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	static const uint8_t ahead[PLAN_WINDOW] = { 1, 2, 4, 6, 5, 9, 8, 10 };
	const struct nat_view *nat = &p->c.theirs.nat;
	bool both = p->c.own.kind == NAT_SEQUENTIAL;
	const uint8_t *by = both && p->c.answers ? ahead : straight;

	if (!both && nat->lo != nat->hi)
		add_port(p, nat->lo + nat->step);
	for (size_t i = 0; i < PLAN_WINDOW; i++)
		add_port(p, nat->hi + by[i] * nat->step);
}

static bool
is_world_v4(const struct endpoint *e)
{
	return endpoint_family(e) == FAMILY_V4 &&
	       endpoint_scope(e) == SCOPE_GLOBAL && e->port != 0;
}

static void
set_targets(struct plan *p)
{
	const struct plan_side *t = &p->c.theirs;
	bool sequential = p->c.own.kind == NAT_SEQUENTIAL;

	assert(t->n <= PLAN_CANDIDATES_MAX);
	p->n_targets = 0;
	p->outside = (struct endpoint){ .port = 0 };
	for (size_t i = t->n; i-- > 0;)
		if (is_world_v4(&t->candidate[i]))
			p->outside = t->candidate[i];
	/* What we guess first, since each shot takes a port of ours, too. */
	if (t->nat.kind == NAT_SEQUENTIAL && p->outside.port != 0 &&
	    (is_plain(p->c.own.kind) || sequential))
		add_window(p);
	/* Likewise, what they may expect of us. */
	for (size_t i = 0; sequential && i < t->n; i++)
		if (is_world_v4(&t->candidate[i]))
			add_target(p, &t->candidate[i]);
	for (size_t i = 0; i < t->n; i++)
		add_target(p, &t->candidate[i]);
}

/* ---- the heavy part ---- */

static unsigned
gcd(unsigned a, unsigned b)
{
	while (b != 0) {
		unsigned rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* A block reaches beyond what few samples show of it: of n in a row the gaps at
 * the ends are as wide as those between, on the average. */
static void
block_of(const struct nat_view *nat, unsigned *first, unsigned *last)
{
	unsigned margin = (unsigned)(nat->hi - nat->lo) / 3 + 8;

	*first = nat->lo > 1024 + margin ? nat->lo - margin : 1024;
	*last = nat->hi < UINT16_MAX - margin ? nat->hi + margin : UINT16_MAX;
	if (*first > *last)
		*first = *last;
}

static unsigned
sockets_of(const struct nat_view *own)
{
	if (own->kind == NAT_RANDOM)
		return PLAN_SPREAD_RANDOM;
	if (own->kind == NAT_SEQUENTIAL)
		return PLAN_SPREAD_SEQUENCE;
	assert(own->kind == NAT_BLOCK);
	return PLAN_SPREAD_BLOCK;
}

/* Which of their ports are tried: every stride-th, round and round, so that
 * none comes twice. */
static void
set_sweep(struct plan *p)
{
	const struct nat_view *nat = &p->c.theirs.nat;
	bool sequential = nat->kind == NAT_SEQUENTIAL;
	unsigned first = 1024;
	unsigned last = UINT16_MAX;
	unsigned stride = 7; /* many sockets of theirs have ports in a row */

	if (nat->kind == NAT_BLOCK)
		block_of(nat, &first, &last);
	p->heavy.base = sequential ? nat->hi + nat->step : (int32_t)first;
	p->heavy.step = sequential ? nat->step : 1;
	p->heavy.width = (uint16_t)(sequential ? (unsigned)PLAN_SEQUENCE_REACH
	                                       : last - first + 1);
	if (!sequential) {
		p->heavy.start = (uint16_t)rng_below(p->c.rng, p->heavy.width);
		stride = rng_below(p->c.rng, p->heavy.width) | 1U;
	}
	while (gcd(stride, p->heavy.width) != 1)
		stride += 2;
	p->heavy.stride = (uint16_t)(stride % p->heavy.width);
	p->heavy.n_sweep =
	    nat->kind == NAT_RANDOM ? PLAN_SWEEP_RANDOM : PLAN_SWEEP_BLOCK;
	if (p->heavy.n_sweep > p->heavy.width)
		p->heavy.n_sweep = p->heavy.width;
}

static bool
is_hard(enum nat_class k)
{
	return is_guessed(k) || k == NAT_RANDOM;
}

/* An open side needs none of it: they come to us, or we to them. */
static void
set_heavy(struct plan *p)
{
	enum nat_class own = p->c.own.kind;
	enum nat_class theirs = p->c.theirs.nat.kind;

	memset(&p->heavy, 0, sizeof(p->heavy));
	if (p->outside.port == 0)
		return;
	if (is_hard(own) && theirs == NAT_EASY)
		p->heavy.n_sockets = (uint8_t)sockets_of(&p->c.own);
	else if (own == NAT_EASY && is_hard(theirs))
		set_sweep(p);
}

/* ---- in the course of time ---- */

static bool
has_heavy(const struct plan *p)
{
	return p->heavy.n_sockets > 0 || p->heavy.n_sweep > 0;
}

/* Waits for what may still be answered, then it is over. */
static void
end_in(struct plan *p, uint64_t from_ms)
{
	p->round = p->n_rounds;
	p->heavy.n_sockets = 0;
	p->heavy.n_sweep = 0;
	p->next_ms = from_ms + PLAN_GRACE_MS + rtt_of(p);
}

static void
begin_openers(struct plan *p, uint64_t now_ms)
{
	p->opening = true;
	p->at = 0;
	p->next_ms = now_ms;
}

static void
begin_probing(struct plan *p, uint64_t at_ms, bool openers_before)
{
	unsigned shots = p->shots - (openers_before ? p->n_targets : 0U);
	unsigned n = p->n_targets == 0 ? 0U : shots / p->n_targets;
	/* The last one would fall into what is heavy. */
	unsigned most = has_heavy(p) ? PLAN_ROUNDS_MAX - 1 : PLAN_ROUNDS_MAX;

	move(p, PLAN_PROBING);
	p->opening = false;
	p->at = 0;
	p->round = 0;
	p->n_rounds = (uint8_t)(n < most ? n : most);
	p->probe_ms = at_ms;
	p->next_ms = at_ms;
}

/*
 * Nobody has to wait for the other's opener. Else the answerer waits, though
 * the offerer may have opened to him: if he knew another address of ours than
 * we have now, he has not, and our probe would cost him his port for as long
 * as he tries.
 */
static bool
is_safe(const struct plan *p)
{
	return p->c.own.kind == NAT_OPEN || p->c.theirs.nat.kind == NAT_OPEN;
}

void
plan_init(struct plan *p, const struct plan_config *cfg, uint64_t now_ms)
{
	assert(cfg->rng != NULL);
	*p = (struct plan){ .c = *cfg, .shots = PLAN_SHOTS_MAX };
	make_sane(&p->c.own);
	make_sane(&p->c.theirs.nat);
	set_targets(p);
	set_heavy(p);
	if (!cfg->answers) {
		/* A hard NAT's next port is kept for what counts. */
		if (is_plain(cfg->own.kind))
			begin_openers(p, now_ms);
		else
			p->next_ms = now_ms + PLAN_ANSWER_MS;
		p->probe_ms = now_ms + PLAN_ANSWER_MS;
	} else if (is_safe(p)) {
		begin_probing(p, now_ms, false);
	} else {
		begin_probing(p, now_ms + rtt_of(p) / 2 + PLAN_LATER_MS, true);
		begin_openers(p, now_ms);
	}
}

void
plan_answered(struct plan *p, const struct plan_side *theirs, uint64_t now_ms)
{
	if (p->state != PLAN_OPENING)
		return;
	p->c.theirs = *theirs;
	make_sane(&p->c.theirs.nat);
	set_targets(p);
	set_heavy(p);
	begin_probing(p, now_ms, false);
}

/* What comes after the last target of a round. */
static void
end_round(struct plan *p, uint64_t now_ms)
{
	p->at = 0;
	if (p->opening) {
		p->opening = false;
		p->next_ms = p->probe_ms;
		return;
	}
	p->round++;
	if (p->round < p->n_rounds)
		p->next_ms = p->probe_ms + round_ms[p->n_rounds][p->round];
	else if (has_heavy(p)) /* the owner is asked before, however late */
		p->next_ms = now_ms < p->probe_ms + PLAN_HEAVY_MS
		                 ? p->probe_ms + PLAN_HEAVY_MS
		                 : now_ms + 1;
	else
		end_in(p, now_ms);
}

static bool
shoot_round(struct plan *p, struct plan_shot *ret)
{
	if (p->at >= p->n_targets || p->shots == 0)
		return false;
	*ret = (struct plan_shot){ .to = p->target[p->at++] };
	if (p->opening && p->c.theirs.nat.kind != NAT_OPEN)
		ret->hops = hops_of(p);
	p->shots--;
	return true;
}

/* ---- heavy ---- */

static void
begin_heavy(struct plan *p, uint64_t now_ms)
{
	if (!has_heavy(p)) { /* the grace is over */
		move(p, PLAN_OVER);
		return;
	}
	if (!p->may_be_heavy) {
		end_in(p, now_ms);
		return;
	}
	move(p, PLAN_HEAVY);
	p->next_ms = now_ms;
	if (p->heavy.n_sweep > 0)
		p->next_ms += PLAN_SWEEP_LATER_MS;
}

/* How long they sweep over our ports. */
static uint64_t
sweep_ms(const struct plan *p)
{
	return PLAN_SWEEP_GAP_MS * (p->c.own.kind == NAT_RANDOM
	                                   ? (uint64_t)PLAN_SWEEP_RANDOM
	                                   : (uint64_t)PLAN_SWEEP_BLOCK);
}

static void
end_wave(struct plan *p, uint64_t now_ms)
{
	uint64_t at = p->probe_ms + PLAN_HEAVY_MS;

	p->heavy.sent = 0;
	p->heavy.wave++;
	if (p->heavy.wave < WAVES)
		at += wave_ms(p->heavy.wave, sweep_ms(p));
	else
		at += sweep_ms(p) + PLAN_SWEEP_LATER_MS + PLAN_GRACE_MS +
		      rtt_of(p);
	p->next_ms = at > now_ms ? at : now_ms;
}

static bool
shoot_spread(struct plan *p, uint64_t now_ms, struct plan_shot *ret)
{
	if (p->heavy.wave == WAVES) {
		move(p, PLAN_OVER);
		return false;
	}
	*ret = (struct plan_shot){ .to = p->outside };
	ret->socket = (uint8_t)(p->heavy.sent + 1);
	ret->hops = wave_hops[p->heavy.wave];
	p->next_ms = now_ms + PLAN_SPREAD_GAP_MS;
	if (++p->heavy.sent == p->heavy.n_sockets)
		end_wave(p, now_ms);
	return true;
}

static bool
shoot_sweep(struct plan *p, uint64_t now_ms, struct plan_shot *ret)
{
	unsigned place;
	int32_t port;

	if (p->heavy.sent == p->heavy.n_sweep) {
		move(p, PLAN_OVER);
		return false;
	}
	place = (p->heavy.start + (unsigned)p->heavy.sent * p->heavy.stride) %
	        p->heavy.width;
	port = p->heavy.base + p->heavy.step * (int32_t)place;
	p->next_ms = now_ms + PLAN_SWEEP_GAP_MS;
	if (++p->heavy.sent == p->heavy.n_sweep)
		p->next_ms = now_ms + PLAN_GRACE_MS + rtt_of(p);
	if (port < 1 || port > UINT16_MAX) /* the sequence begins anew there */
		return false;
	*ret = (struct plan_shot){ .to = p->outside };
	ret->to.port = (uint16_t)port;
	return true;
}

/* One thing that is due; true: it is a shot. */
static bool
do_next(struct plan *p, uint64_t now_ms, struct plan_shot *ret)
{
	switch (p->state) {
	case PLAN_OPENING:
		if (p->opening && shoot_round(p, ret))
			return true;
		if (p->opening)
			end_round(p, now_ms);
		else
			move(p, PLAN_OVER); /* nobody has answered */
		return false;
	case PLAN_PROBING:
		if ((p->opening || p->round < p->n_rounds) &&
		    shoot_round(p, ret))
			return true;
		if (p->opening || p->round < p->n_rounds)
			end_round(p, now_ms);
		else
			begin_heavy(p, now_ms);
		return false;
	case PLAN_HEAVY:
		return p->heavy.n_sockets > 0 ? shoot_spread(p, now_ms, ret)
		                              : shoot_sweep(p, now_ms, ret);
	case PLAN_OVER:
		break;
	}
	return false;
}

bool
plan_next(struct plan *p, uint64_t now_ms, struct plan_shot *ret)
{
	while (p->next_ms <= now_ms)
		if (do_next(p, now_ms, ret))
			return true;
	return false;
}

uint64_t
plan_deadline_ms(const struct plan *p)
{
	assert((p->state == PLAN_OVER) == (p->next_ms == NEVER));
	return p->next_ms;
}

/* ---- looking ---- */

bool
plan_is_heavy(const struct plan *p)
{
	bool is_next =
	    p->state == PLAN_PROBING && !p->opening && p->round >= p->n_rounds;

	return (is_next || p->state == PLAN_HEAVY) && has_heavy(p);
}

void
plan_agree(struct plan *p)
{
	p->may_be_heavy = true;
}

bool
plan_outside(const struct plan *p, struct endpoint *ret)
{
	if (p->outside.port == 0)
		return false;
	*ret = p->outside;
	return true;
}

unsigned
plan_sockets(const struct plan *p)
{
	return p->heavy.n_sockets;
}

bool
plan_is_over(const struct plan *p)
{
	return p->state == PLAN_OVER;
}
