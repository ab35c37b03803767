/*
 * Candidates sorted by (tier, distance); the window is the first `want` that
 * neither failed nor are slow. What is fresh in the window is asked; when all
 * of the window has answered the lookup is over.
 */
#include "proto/dht/lookup.h"

#include <assert.h>
#include <string.h>

void
lookup_init(struct lookup *l, const struct target *goal, unsigned depth,
    uint64_t soft_ms, uint64_t now_ms)
{
	assert(soft_ms > 0 && soft_ms <= LOOKUP_SOFT_MS);
	assert(l && goal);
	l->goal = *goal;
	l->started_ms = now_ms;
	l->depth = depth;
	l->soft_ms = soft_ms;
	l->want = LOOKUP_K;
	/* A small net is one hop deep: all at once saves a round trip. */
	l->alpha = depth < LOOKUP_BLUR_DEPTH ? LOOKUP_K : LOOKUP_ALPHA;
	l->band = 0;
	l->reach = 0;
	l->alarm = l->glance = false;
	l->n = 0;
	l->n_asked = 0;
	l->quarters = 0;
	l->n_swept = l->n_sweeping = 0;
	l->swept_ms = 0;
}

void
lookup_expect(struct lookup *l, uint64_t reach)
{
	unsigned depth = reach > 0 ? (unsigned)__builtin_clzll(reach) : 64;

	l->reach = reach;
	if (l->depth > depth)
		l->depth = depth;
}

uint64_t
lookup_soft_ms(uint64_t rtt_ms, uint64_t var_ms)
{
	uint64_t ms;

	if (rtt_ms == 0 || rtt_ms > LOOKUP_SOFT_MS || var_ms > LOOKUP_SOFT_MS)
		return LOOKUP_SOFT_MS;
	ms = rtt_ms + 4 * var_ms;
	if (ms < LOOKUP_SOFT_MIN_MS)
		return LOOKUP_SOFT_MIN_MS;
	return ms < LOOKUP_SOFT_MS ? ms : LOOKUP_SOFT_MS;
}

/* Negative if a comes before b. */
static int
order(const struct lookup *l, const struct lookup_node *a,
    const struct lookup_node *b)
{
	if (a->tier != b->tier)
		return a->tier - b->tier;
	return nodeid_compare(&l->goal, &a->node.id, &b->node.id);
}

static void
take_out(struct lookup *l, unsigned at)
{
	assert(at < l->n);
	memmove(&l->node[at], &l->node[at + 1],
	    (size_t)(l->n - at - 1) * sizeof(l->node[0]));
	l->n--;
}

/* Whom a full list forgets: of the distances (each half as far as the last)
 * at which most candidates are, the farthest that was not asked. So a crowd
 * round the goal, real or invented, displaces its own. NULL: all were. */
static struct lookup_node *
spare(struct lookup *l)
{
	uint8_t n_at[NODEID_BITS + 1] = { 0 };
	struct lookup_node *ret = NULL;
	unsigned most = 0;

	for (unsigned i = 0; i < l->n; i++)
		n_at[nodeid_common(&l->node[i].node.id, &l->goal)]++;
	for (unsigned i = 0; i < l->n; i++) {
		struct lookup_node *n = &l->node[i];
		unsigned at = nodeid_common(&n->node.id, &l->goal);

		if (n->state != LOOKUP_FRESH || n_at[at] < most)
			continue;
		most = n_at[at];
		ret = n;
	}
	return ret;
}

static struct lookup_node *
put_in(struct lookup *l, const struct lookup_node *n)
{
	unsigned at = l->n;

	assert(l->n < LOOKUP_NODES_MAX);
	while (at > 0 && order(l, n, &l->node[at - 1]) < 0)
		at--;
	memmove(&l->node[at + 1], &l->node[at],
	    (size_t)(l->n - at) * sizeof(l->node[0]));
	l->node[at] = *n;
	l->n++;
	return &l->node[at];
}

/* Makes room for n; false: it is n that has to stay out. */
static bool
make_room(struct lookup *l, const struct lookup_node *n)
{
	struct lookup_node *out;

	if (l->n < LOOKUP_NODES_MAX)
		return true;
	out = spare(l);
	if (!out || (order(l, n, out) > 0 &&
	                nodeid_common(&n->node.id, &l->goal) ==
	                    nodeid_common(&out->node.id, &l->goal)))
		return false;
	take_out(l, (unsigned)(out - l->node));
	return true;
}

struct lookup_node *
lookup_find(struct lookup *l, const struct endpoint *at)
{
	for (unsigned i = 0; i < l->n; i++)
		if (endpoint_eq(&l->node[i].node.at, at))
			return &l->node[i];
	return NULL;
}

/* One node a /24 (IPv6: /48): neighbours in id space that are neighbours on
 * the wire are one party. Local addresses are each its own. */
static bool
crowds(const struct lookup *l, const struct endpoint *at)
{
	unsigned bits = endpoint_family(at) == FAMILY_V4 ? 24 : 48;

	if (endpoint_scope(at) != SCOPE_GLOBAL)
		return false;
	for (unsigned i = 0; i < l->n; i++)
		if (l->node[i].state != LOOKUP_FAILED && !l->node[i].seed &&
		    endpoint_same_prefix(&l->node[i].node.at, at, bits))
			return true;
	return false;
}

static uint8_t
tier_of(const struct krpc_node *node, bool seed)
{
	if (seed)
		return 2;
	return nodeid_valid(&node->id, &node->at) ? 0 : 1;
}

bool
lookup_add(struct lookup *l, const struct krpc_node *node,
    enum lookup_origin origin, uint8_t namer)
{
	struct lookup_node *old = lookup_find(l, &node->at);
	struct lookup_node n = { .node = *node, .seq = -1 };

	assert(l->n <= LOOKUP_NODES_MAX && node->at.port != 0);

	if (old && (!old->seed || origin == LOOKUP_SEED))
		return false;
	if (old) { /* a bootstrap node that others know is one of them */
		n = *old;
		n.node.id = node->id;
		take_out(l, (unsigned)(old - l->node));
	} else {
		if (origin == LOOKUP_ANSWER && crowds(l, &node->at))
			return false;
		n.state = LOOKUP_FRESH;
		n.namer = namer;
	}
	n.seed = origin == LOOKUP_SEED;
	n.own |= origin == LOOKUP_TABLE;
	n.tier = tier_of(node, n.seed);
	if (!make_room(l, &n))
		return false;
	(void)put_in(l, &n);
	return true;
}

uint64_t
lookup_distance(const struct lookup *l, const struct lookup_node *n)
{
	return nodeid_distance64(&n->node.id, &l->goal);
}

bool
lookup_counts(const struct lookup *l, const struct lookup_node *n,
    const struct lookup_tally *nearer)
{
	uint64_t distance = lookup_distance(l, n);

	if (nearer->n < l->want)
		return true;
	if (l->glance || n->tier != 0)
		return false;
	return distance < l->reach ||
	       (l->alarm && nearer->credible < LOOKUP_K &&
	           distance / LOOKUP_STRETCH < l->reach);
}

void
lookup_tally(const struct lookup *l, const struct lookup_node *n,
    struct lookup_tally *ret)
{
	uint64_t one = l->reach / (2 * LOOKUP_K) + 1;

	ret->n++;
	/* Up to one more than twice as many as are expected so near. */
	if (n->tier == 0 && ret->credible <= lookup_distance(l, n) / one)
		ret->credible++;
}

static unsigned
alpha(const struct lookup *l)
{
	if (l->alarm)
		return LOOKUP_ALPHA_ALARM;
	return l->alpha;
}

static bool
spent(const struct lookup *l)
{
	return l->n_asked >= (l->alarm ? LOOKUP_ASKED_ALARM : LOOKUP_ASKED_MAX);
}

static unsigned
count_in_flight(struct lookup *l, uint64_t now_ms)
{
	unsigned n_asked = 0;

	for (unsigned i = 0; i < l->n; i++) {
		struct lookup_node *n = &l->node[i];

		if (n->state == LOOKUP_ASKED &&
		    now_ms >= n->asked_ms + l->soft_ms)
			n->state = LOOKUP_SLOW;
		n_asked += n->state == LOOKUP_ASKED;
	}
	return n_asked;
}

/* Who stands nearest does not decide alone. Of each distance, half as far as
 * the last, some are asked, in turn by who named them: whoever owns the
 * nearest, and all that these name, does not own the ways that others lead. */
static struct lookup_node *
next_of_band(struct lookup *l, unsigned band, uint64_t now_ms)
{
	uint8_t n_of[UINT8_MAX + 1] = { 0 };
	struct lookup_node *ret = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < l->n; i++) {
		const struct lookup_node *c = &l->node[i];

		if (c->tier != 0 || c->state == LOOKUP_FRESH ||
		    nodeid_common(&c->node.id, &l->goal) != band)
			continue;
		n_of[c->namer]++;
		n += c->state != LOOKUP_FAILED && c->state != LOOKUP_SLOW;
	}
	for (unsigned i = 0; i < l->n && n < l->band; i++) {
		struct lookup_node *c = &l->node[i];

		if (c->tier == 0 && c->state == LOOKUP_FRESH &&
		    now_ms >= c->not_before_ms &&
		    nodeid_common(&c->node.id, &l->goal) == band &&
		    (!ret || n_of[c->namer] < n_of[ret->namer]))
			ret = c;
	}
	return ret;
}

static struct lookup_node *
next_of_bands(struct lookup *l, uint64_t now_ms)
{
	struct lookup_node *n = NULL;

	for (unsigned band = 0; l->band > 0 && band < l->depth && !n; band++)
		n = next_of_band(l, band, now_ms);
	return n;
}

struct lookup_node *
lookup_next(struct lookup *l, uint64_t now_ms)
{
	struct lookup_node *helped = NULL, *other;
	unsigned in_flight = count_in_flight(l, now_ms);
	struct lookup_tally window = { 0, 0 };

	assert(l->want > 0 && l->want <= LOOKUP_NODES_MAX);
	assert(l->alpha > 0);
	if (in_flight >= alpha(l) || spent(l))
		return NULL;
	other = next_of_bands(l, now_ms);
	if (l->alarm && other)
		return other;
	for (unsigned i = 0; i < l->n; i++) {
		struct lookup_node *n = &l->node[i];

		if (!lookup_counts(l, n, &window))
			break;
		if (n->state == LOOKUP_FRESH && now_ms >= n->not_before_ms)
			return n;
		if (n->state == LOOKUP_HELPED && !helped)
			helped = n;
		/* A node that takes its time is likely dead: the one behind
		 * it is asked before that is certain. */
		if (n->state != LOOKUP_FAILED && n->state != LOOKUP_SLOW &&
		    (n->state != LOOKUP_ASKED ||
		        now_ms < n->asked_ms + l->soft_ms / 2))
			lookup_tally(l, n, &window);
	}
	if (other)
		return other;
	/* Those that have led us here are asked for the goal itself only if
	 * nobody nearer was found. */
	return in_flight == 0 ? helped : NULL;
}

void
lookup_ask(struct lookup *l, struct lookup_node *n, const struct rng *rng,
    uint64_t now_ms, struct target *ret)
{
	unsigned common = nodeid_common(&n->node.id, &l->goal);

	assert(n->state == LOOKUP_FRESH || n->state == LOOKUP_HELPED);
	n->blurred = n->state == LOOKUP_FRESH && !n->seed &&
	             l->depth >= LOOKUP_BLUR_DEPTH && common + 2 < l->depth;
	assert(!spent(l));
	n->state = LOOKUP_ASKED;
	n->asked_ms = now_ms;
	l->n_asked++;
	n->number = l->n_asked;
	nodeid_blur(&l->goal,
	    n->blurred ? common + LOOKUP_BLUR_BITS : NODEID_BITS, rng, ret);
}

struct lookup_node *
lookup_answered(
    struct lookup *l, const struct endpoint *at, const struct target *id)
{
	struct lookup_node *n = lookup_find(l, at);
	struct lookup_node copy;

	if (!n || (n->state != LOOKUP_ASKED && n->state != LOOKUP_SLOW))
		return NULL;
	n->state = n->blurred ? LOOKUP_HELPED : LOOKUP_ANSWERED;
	if (nodeid_eq(&n->node.id, id) && !n->seed)
		return n;
	/* Another id than we were told: it counts where it really is. A
	 * bootstrap node of a private net is a node like all others. */
	copy = *n;
	copy.node.id = *id;
	if (endpoint_scope(at) != SCOPE_GLOBAL)
		copy.seed = false;
	copy.tier = tier_of(&copy.node, copy.seed);
	take_out(l, (unsigned)(n - l->node));
	return put_in(l, &copy);
}

void
lookup_failed(struct lookup *l, const struct endpoint *at)
{
	struct lookup_node *n = lookup_find(l, at);

	if (n)
		n->state = LOOKUP_FAILED;
}

/* Is anybody at any distance still to answer? */
static bool
is_walking(struct lookup *l, uint64_t now_ms)
{
	return count_in_flight(l, now_ms) > 0 ||
	       (!spent(l) && next_of_bands(l, now_ms));
}

bool
lookup_over(struct lookup *l, uint64_t now_ms)
{
	struct lookup_tally answered = { 0, 0 };
	uint64_t asked_ms = 0; /* the last of the slow ones */
	bool slow = false, slow_seed = false;

	if (now_ms >= l->started_ms + LOOKUP_END_MS)
		return true;
	if (l->n_sweeping > 0 && now_ms < l->swept_ms + l->soft_ms)
		return false;
	if (l->band > 0 && is_walking(l, now_ms))
		return false;
	for (unsigned i = 0; i < l->n; i++) {
		const struct lookup_node *n = &l->node[i];

		if (!lookup_counts(l, n, &answered))
			break;
		switch (n->state) {
		case LOOKUP_FAILED:
			break;
		case LOOKUP_SLOW:
			slow |= !n->seed;
			slow_seed |= n->seed;
			if (!n->seed && n->asked_ms > asked_ms)
				asked_ms = n->asked_ms;
			break;
		case LOOKUP_ANSWERED:
			lookup_tally(l, n, &answered);
			break;
		case LOOKUP_FRESH:
		case LOOKUP_HELPED:
			if (!spent(l))
				return false;
			break;
		case LOOKUP_ASKED:
			return false;
		}
	}
	/* Fewer than wanted: what is slow is still worth waiting for, a
	 * bootstrap node only if there is nobody else. */
	if (answered.n >= l->want &&
	    (!l->alarm || answered.credible >= LOOKUP_K))
		return true;
	if (slow && answered.n >= LOOKUP_ENOUGH)
		return now_ms >= asked_ms + 2 * l->soft_ms;
	return !slow && !(slow_seed && answered.n == 0);
}

static uint64_t
wake_ms(const struct lookup *l, const struct lookup_node *n, uint64_t now_ms)
{
	if (n->state == LOOKUP_FRESH && n->not_before_ms > now_ms)
		return n->not_before_ms;
	if (n->state != LOOKUP_ASKED && n->state != LOOKUP_SLOW)
		return NEVER;
	if (n->asked_ms + l->soft_ms / 2 > now_ms)
		return n->asked_ms + l->soft_ms / 2;
	if (n->state == LOOKUP_ASKED)
		return n->asked_ms + l->soft_ms;
	if (n->asked_ms + 2 * l->soft_ms > now_ms)
		return n->asked_ms + 2 * l->soft_ms;
	return NEVER; /* its transaction ends by itself */
}

uint64_t
lookup_deadline_ms(const struct lookup *l, uint64_t now_ms)
{
	uint64_t at_ms = l->started_ms + LOOKUP_END_MS;

	if (l->n_sweeping > 0 && l->swept_ms + l->soft_ms > now_ms &&
	    l->swept_ms + l->soft_ms < at_ms)
		at_ms = l->swept_ms + l->soft_ms;
	for (unsigned i = 0; i < l->n; i++) {
		uint64_t next_ms = wake_ms(l, &l->node[i], now_ms);

		at_ms = next_ms < at_ms ? next_ms : at_ms;
	}
	return at_ms;
}

size_t
lookup_closest(const struct lookup *l, bool with_token,
    const struct lookup_node **ret, size_t max)
{
	size_t n = 0;

	assert(ret && max > 0);
	/* Sorted: seeds come last, so they only fill up. */
	for (unsigned i = 0; i < l->n && n < max; i++)
		if (l->node[i].state == LOOKUP_ANSWERED &&
		    (!with_token || l->node[i].token_n > 0))
			ret[n++] = &l->node[i];
	return n;
}

/* Least squares for d_i = i / N over the nearest, in units of 2^-48 of the
 * space: N = sum(i^2) / sum(i d_i). */
uint64_t
lookup_network_size(const struct lookup *l)
{
	uint64_t squares = 0, products = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < l->n && n < LOOKUP_K; i++) {
		const struct lookup_node *c = &l->node[i];

		if (c->state != LOOKUP_ANSWERED || c->tier != 0)
			continue;
		n++;
		squares += (uint64_t)n * n;
		products +=
		    n * (nodeid_distance64(&c->node.id, &l->goal) >> 16);
	}
	if (n < LOOKUP_K || products == 0)
		return 0;
	assert(squares == 204);
	return (squares << 48) / products;
}
