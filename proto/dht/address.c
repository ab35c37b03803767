/* Counting votes. */
#include "proto/dht/address.h"

#include <assert.h>
#include <string.h>

void
address_init(struct address *a, bool loopback, uint64_t now_ms)
{
	assert(a);
	memset(a, 0, sizeof(*a));
	a->loopback = loopback;
	a->since_ms = now_ms;
}

/* Local voters see a local address, which says nothing to the world. */
static bool
counts(const struct address *a, const struct endpoint *voter,
    const struct endpoint *said)
{
	enum endpoint_scope scope = endpoint_scope(voter);

	if (said->port == 0 || endpoint_family(voter) != endpoint_family(said))
		return false;
	if (endpoint_scope(said) != scope)
		return false;
	return scope == SCOPE_GLOBAL ||
	       (a->loopback && scope == SCOPE_LOOPBACK);
}

static void
remember(struct address *a, const struct endpoint *voter,
    const struct endpoint *said)
{
	bool global = endpoint_scope(voter) == SCOPE_GLOBAL;
	unsigned i = 0;

	while (
	    i < a->n && !(global ? endpoint_same_addr(&a->vote[i].voter, voter)
	                         : endpoint_eq(&a->vote[i].voter, voter)))
		i++;
	assert(i < ADDRESS_VOTES_MAX);
	if (i == a->n)
		a->n++;
	a->vote[i].voter = *voter;
	a->vote[i].said = *said;
	assert(a->n > 0 && a->n <= ADDRESS_VOTES_MAX);
}

/* The address that more than half say, but at least n_min of them, or
 * ADDRESS_VOTES_MIN if it is the one we know; its port if more than half of
 * these agree on it, else 0. */
static bool
winner(const struct address *a, unsigned n_min, struct endpoint *ret)
{
	assert(n_min >= ADDRESS_VOTES_MIN);
	for (unsigned i = 0; i < a->n; i++) {
		const struct endpoint *said = &a->vote[i].said;
		bool old = a->known && endpoint_same_addr(said, &a->own);
		unsigned n_addr = 0, n_port = 0;

		for (unsigned j = 0; j < a->n; j++) {
			n_addr += endpoint_same_addr(said, &a->vote[j].said);
			n_port += endpoint_eq(said, &a->vote[j].said);
		}
		if (n_addr < (old ? ADDRESS_VOTES_MIN : n_min) ||
		    2 * n_addr <= a->n)
			continue;
		*ret = *said;
		if (2 * n_port > n_addr)
			return true;
		ret->port = 0; /* unless another vote has the majority */
	}
	return ret->port == 0 && endpoint_scope(ret) != SCOPE_UNUSABLE;
}

/* Takes the winner, if it is another than before. */
static bool
elect(struct address *a, unsigned n_min)
{
	struct endpoint own = { .port = 0 };

	if (!winner(a, n_min, &own))
		return false;
	if (a->known && endpoint_eq(&own, &a->own))
		return false;
	a->known = true;
	a->own = own;
	return true;
}

bool
address_vote(struct address *a, const struct endpoint *voter,
    const struct endpoint *said, uint64_t now_ms)
{
	bool changed = false;

	assert(a && voter && said);
	if (!counts(a, voter, said))
		return false;
	if (a->n == ADDRESS_VOTES_MAX ||
	    now_ms >= a->since_ms + ADDRESS_ROUND_MS) {
		/* Few voters are heard as well, once all have voted. */
		changed = elect(a, ADDRESS_VOTES_MIN);
		a->n = 0;
		a->since_ms = now_ms;
	}
	remember(a, voter, said);
	if (elect(a, a->known ? ADDRESS_VOTES_MOVE : ADDRESS_VOTES_MIN))
		changed = true;
	assert(!changed || endpoint_family(&a->own) == endpoint_family(said));
	return changed;
}
