/* Why a read found nothing: who holds the cell, who was asked. */
#include "proto/dht/dht_state.h"
#include "tests/sim/dht/world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { NEAR = 40 }; /* nodes nearest to the cell that are looked at */

struct near {
	const struct mesh_host *host[NEAR];
	struct target id[NEAR];
	uint32_t n;
};

static const struct target *
id_of(const struct mesh_host *h)
{
	return &h->dht->id;
}

/* All honest ones that live, nearest first. */
static void
find_near(const struct world *w, const struct target *goal, struct near *ret)
{
	ret->n = 0;
	for (uint32_t i = 0; i < w->n_alive; i++) {
		const struct mesh_host *h = &w->mesh->host[w->alive[i]];
		uint32_t at = ret->n;

		if (h->role)
			continue;
		while (at > 0 &&
		       nodeid_compare(goal, id_of(h), &ret->id[at - 1]) < 0)
			at--;
		if (at == NEAR)
			continue;
		ret->n += ret->n < NEAR;
		for (uint32_t j = ret->n - 1; j > at; j--) {
			ret->host[j] = ret->host[j - 1];
			ret->id[j] = ret->id[j - 1];
		}
		ret->host[at] = h;
		ret->id[at] = *id_of(h);
	}
}

static int64_t
seq_at(
    const struct world *w, const struct mesh_host *h, const struct target *goal)
{
	const struct item *i =
	    h->dht ? items_get(&h->dht->items, goal, w->mesh->wheel.now_ms)
	           : NULL;

	return i ? i->seq : -1;
}

static char
mark_of(const struct world_op *op, uint32_t host)
{
	for (uint32_t i = 0; i < op->n_known; i++)
		if (op->known[i].host == host)
			return op->known[i].answered ? '!'
			       : op->known[i].asked  ? '?'
			                             : '.';
	return ' ';
}

/* One letter and number a node, nearest first. */
void
world_trace(const struct world *w, const struct world_op *op)
{
	const struct target *goal = &w->cells[op->cell].target;
	struct near near;

	find_near(w, goal, &near);
	printf("   ");
	for (uint32_t i = 0; i < near.n; i++) {
		const struct mesh_host *h = near.host[i];
		int64_t seq = seq_at(w, h, goal);

		printf(" %s%c", h->nat ? "N" : "", mark_of(op, h->index));
		if (seq >= 0)
			printf("%lld", (long long)seq);
		else
			printf("-");
	}
	printf("\n    nearest honest ones first: seq held; N behind a NAT; "
	       "! answered, ? asked, . heard of\n");
}
