/* A plain array: it is searched once a lookup, and lookups are rare. */
#include "proto/dht/recall.h"

#include <assert.h>
#include <string.h>

void
recall_keep(struct recall *r, const struct krpc_node *node, uint64_t now_ms)
{
	struct recall_node *place = &r->node[0];

	assert(node->at.port != 0 && now_ms > 0);
	for (unsigned i = 0; i < RECALL_NODES; i++) {
		struct recall_node *n = &r->node[i];

		if (n->answered_ms && endpoint_eq(&n->node.at, &node->at)) {
			place = n;
			break;
		}
		if (n->answered_ms < place->answered_ms)
			place = n;
	}
	assert(place->answered_ms <= now_ms);
	place->node = *node;
	place->answered_ms = now_ms;
}

void
recall_drop(struct recall *r, const struct endpoint *at)
{
	assert(r && at);
	for (unsigned i = 0; i < RECALL_NODES; i++)
		if (r->node[i].answered_ms &&
		    endpoint_eq(&r->node[i].node.at, at))
			r->node[i].answered_ms = 0;
}

size_t
recall_closest(const struct recall *r, const struct target *goal,
    struct krpc_node *ret, size_t max)
{
	size_t n = 0;

	assert(ret && max > 0);
	for (unsigned i = 0; i < RECALL_NODES; i++) {
		const struct krpc_node *node = &r->node[i].node;
		size_t at = n;

		if (!r->node[i].answered_ms)
			continue;
		while (at > 0 &&
		       nodeid_compare(goal, &node->id, &ret[at - 1].id) < 0)
			at--;
		if (at == max)
			continue;
		n += n < max;
		memmove(&ret[at + 1], &ret[at], (n - 1 - at) * sizeof(*ret));
		ret[at] = *node;
	}
	assert(n <= max);
	return n;
}
