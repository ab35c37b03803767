/*
 * Nodes that ended earlier lookups. The same few goals are looked up again and
 * again, all day, and the table, which knows few nodes far from our own id,
 * would lead there through the same hops each time; these nodes are there
 * already. Only for lookups in the background: one that begins here sees no
 * other path. [SPEC §8.1]
 */
#ifndef PROTO_DHT_RECALL_H
#define PROTO_DHT_RECALL_H

#include "proto/dht/krpc.h"
#include "proto/dht/nodeid.h"

enum { RECALL_NODES = 512 }; /* the one longest unused goes first */

struct recall_node {
	struct krpc_node node;
	uint64_t answered_ms; /* 0: no node here */
};

struct recall {
	struct recall_node node[RECALL_NODES];
};

/* It answered at the end of a lookup. */
void
recall_keep(struct recall *r, const struct krpc_node *node, uint64_t now_ms);
/* It did not answer. */
void recall_drop(struct recall *r, const struct endpoint *at);
/* The nearest to goal, nearest first; returns how many. */
size_t recall_closest(const struct recall *r, const struct target *goal,
    struct krpc_node *ret, size_t max);

#endif /* PROTO_DHT_RECALL_H */
