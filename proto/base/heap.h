/* Binary min-heap of embedded nodes: the timers of every room. */
#ifndef PROTO_BASE_HEAP_H
#define PROTO_BASE_HEAP_H

#include "proto/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Embedded in what is timed. pos 0 means: not in a heap. */
struct heap_node {
	uint64_t at_ms;
	size_t pos;  /* 1-based */
	void *owner; /* what it is embedded in; set by its owner, borrowed */
};

struct heap {
	struct heap_node **nodes; /* owned array, nodes borrowed */
	size_t n, cap;
};

void heap_clear(struct heap *h); /* frees the array */
/* Inserts or moves node to at_ms; NEVER removes it. ERR_NOMEM: unchanged.
 * heap_reserve makes room first, so that later sets cannot fail. */
MUST_USE enum err heap_reserve(struct heap *h, size_t n);
MUST_USE enum err
heap_set(struct heap *h, struct heap_node *node, uint64_t at_ms);
void heap_remove(struct heap *h, struct heap_node *node);
struct heap_node *heap_top(const struct heap *h); /* or NULL */

#endif /* PROTO_BASE_HEAP_H */
