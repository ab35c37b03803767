/* Queries for places near the goal. */
#include "proto/dht/sweep.h"

#include <assert.h>

static bool
in_reach(const struct lookup *l, const struct lookup_node *n)
{
	return n->tier == 0 && lookup_distance(l, n) < l->reach;
}

/* Uniform below max. */
static uint64_t
random_below(const struct rng *rng, uint64_t max)
{
	assert(max > 0);
	return rng_u64(rng) % max;
}

static bool
same_network(const struct endpoint *a, const struct endpoint *b)
{
	unsigned bits = endpoint_family(a) == FAMILY_V4 ? 16 : 32;

	return endpoint_same_prefix(a, b, bits);
}

/* Adds a network to those that begin at the nodes in `first`. */
static unsigned
add_network(const struct lookup_node **first, unsigned n,
    const struct lookup_node *node)
{
	for (unsigned i = 0; i < n; i++)
		if (same_network(&first[i]->node.at, &node->node.at))
			return n;
	first[n] = node;
	return n + 1;
}

unsigned
sweep_spread(const struct lookup *l)
{
	const struct lookup_node *near[LOOKUP_K], *first[LOOKUP_K];
	size_t n = lookup_closest(l, false, near, LOOKUP_K);
	unsigned spread = 0;

	for (size_t i = 0; i < n; i++)
		spread = add_network(first, spread, near[i]);
	assert(spread <= LOOKUP_K);
	return spread;
}

unsigned
sweep_spread_stored(const struct lookup *l)
{
	const struct lookup_node *first[LOOKUP_NODES_MAX];
	unsigned spread = 0;

	for (unsigned i = 0; i < l->n; i++)
		if (l->node[i].put == PUT_DONE)
			spread = add_network(first, spread, &l->node[i]);
	assert(spread <= l->n);
	return spread;
}

static unsigned
count_in_reach(const struct lookup *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < l->n && in_reach(l, &l->node[i]); i++)
		n += l->node[i].state != LOOKUP_FAILED;
	return n;
}

static bool
is_too_far(const struct lookup *l, uint64_t distance)
{
	return distance / SWEEP_TOO_FAR > l->reach / 2;
}

bool
sweep_needed(const struct lookup *l, unsigned usual_spread)
{
	const struct lookup_node *near[LOOKUP_K];
	size_t n = lookup_closest(l, false, near, LOOKUP_K);
	uint64_t farthest;

	if (l->reach == 0 || l->alarm)
		return false;
	if (l->glance)
		return n >= LOOKUP_GLANCE &&
		       near[LOOKUP_GLANCE - 1]->tier == 0 &&
		       lookup_distance(l, near[LOOKUP_GLANCE - 1]) <
		           l->reach / SWEEP_TOO_NEAR_FOUR;
	if (n < LOOKUP_K || near[LOOKUP_K - 1]->tier != 0)
		return false;
	farthest = lookup_distance(l, near[LOOKUP_K - 1]);
	return farthest < l->reach / SWEEP_TOO_NEAR ||
	       is_too_far(l, farthest) || count_in_reach(l) > SWEEP_TOO_MANY ||
	       sweep_spread(l) <= usual_spread / 2;
}

static bool
may_ask(const struct lookup_node *n)
{
	return n->state == LOOKUP_ANSWERED || n->state == LOOKUP_HELPED;
}

static unsigned
quarter_of(const struct lookup *l, const struct lookup_node *n)
{
	return (
	    unsigned)(lookup_distance(l, n) / (l->reach / SWEEP_QUARTERS + 1));
}

/* Quarters where nobody is known or that were asked for; 0: wait, the nearest
 * have not said yet whom they know. */
static unsigned
empty_quarters(const struct lookup *l)
{
	unsigned n_answered = 0, n = 0;
	unsigned known = l->quarters | 1; /* the goal is in the first */

	for (unsigned i = 0; i < l->n && n < LOOKUP_K; i++) {
		const struct lookup_node *c = &l->node[i];

		n += c->state != LOOKUP_FAILED && c->state != LOOKUP_SLOW;
		n_answered += c->state == LOOKUP_ANSWERED;
		if (c->state == LOOKUP_FRESH)
			return 0;
	}
	if (n_answered < LOOKUP_ENOUGH)
		return 0;
	for (unsigned i = 0; i < l->n && in_reach(l, &l->node[i]); i++)
		if (l->node[i].state != LOOKUP_FAILED)
			known |= 1U << quarter_of(l, &l->node[i]);
	return ~known & ((1U << SWEEP_QUARTERS) - 1);
}

static struct lookup_node *
nearest_to(struct lookup *l, const struct target *place)
{
	struct lookup_node *ret = NULL;

	for (unsigned i = 0; i < l->n; i++) {
		struct lookup_node *n = &l->node[i];

		if (may_ask(n) && !n->seed && n->n_swept < SWEEP_EACH &&
		    (!ret ||
		        nodeid_compare(place, &n->node.id, &ret->node.id) < 0))
			ret = n;
	}
	return ret;
}

static struct lookup_node *
next_quarter(struct lookup *l, const struct rng *rng, struct target *ret)
{
	unsigned empty = empty_quarters(l);
	uint64_t quarter = l->reach / SWEEP_QUARTERS;
	unsigned q = 0;

	if (empty == 0)
		return NULL;
	while (!(empty & 1U << q))
		q++;
	assert(q > 0 && q < SWEEP_QUARTERS);
	l->quarters |= (uint8_t)(1U << q);
	nodeid_at_distance(
	    &l->goal, q * quarter + random_below(rng, quarter), rng, ret);
	return nearest_to(l, ret);
}

/* Eight answered, and the eighth is too far: all who are nearer name the same
 * few, some of them dead. Those beyond the reach are asked for before that is
 * an alarm. */
static bool
is_thin(const struct lookup *l)
{
	const struct lookup_node *near[LOOKUP_K];
	size_t n = lookup_closest(l, false, near, LOOKUP_K);

	if (n < LOOKUP_K || near[n - 1]->tier != 0 ||
	    !is_too_far(l, lookup_distance(l, near[n - 1])))
		return false;
	for (unsigned i = 0; &l->node[i] < near[n - 1]; i++)
		if (l->node[i].state == LOOKUP_FRESH ||
		    l->node[i].state == LOOKUP_ASKED)
			return false; /* it may answer yet */
	return true;
}

static struct lookup_node *
next_outside(struct lookup *l, const struct rng *rng, struct target *ret)
{
	unsigned i = 0;

	while (i < SWEEP_BEYOND && (l->quarters & 1U << (SWEEP_QUARTERS + i)))
		i++;
	if (i == SWEEP_BEYOND || !is_thin(l))
		return NULL;
	l->quarters |= (uint8_t)(1U << (SWEEP_QUARTERS + i));
	/* From one reach to two and a half. */
	nodeid_at_distance(&l->goal,
	    l->reach + l->reach / 2 * i + random_below(rng, l->reach / 2), rng,
	    ret);
	return nearest_to(l, ret);
}

/* After an alarm: all in reach who answered, those of our own table, and the
 * nearest of the others. */
static struct lookup_node *
next_of_all(struct lookup *l, const struct rng *rng, struct target *ret)
{
	unsigned n_outside = 0;

	for (unsigned i = 0; i < l->n; i++) {
		struct lookup_node *n = &l->node[i];

		if (n->seed || (!may_ask(n) && !n->own))
			continue;
		if (!in_reach(l, n) && !n->own && n_outside++ >= SWEEP_OUTSIDE)
			continue;
		if (n->n_swept >= SWEEP_EACH)
			continue;
		nodeid_at_distance(
		    &l->goal, random_below(rng, l->reach), rng, ret);
		return n;
	}
	return NULL;
}

struct lookup_node *
sweep_next(struct lookup *l, const struct rng *rng, uint64_t now_ms,
    struct target *ret)
{
	struct lookup_node *n;

	if (l->reach < SWEEP_QUARTERS || l->n_swept >= SWEEP_MAX ||
	    l->n_sweeping >= SWEEP_ALPHA)
		return NULL;
	if (l->glance)
		return NULL;
	n = l->alarm ? next_of_all(l, rng, ret) : next_quarter(l, rng, ret);
	if (!n && !l->alarm)
		n = next_outside(l, rng, ret);
	if (!n)
		return NULL;
	assert(n->n_swept < SWEEP_EACH);
	n->n_swept++;
	l->n_swept++;
	l->n_sweeping++;
	l->swept_ms = now_ms;
	return n;
}

void
sweep_came(struct lookup *l)
{
	if (l->n_sweeping > 0)
		l->n_sweeping--;
}
