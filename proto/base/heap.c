/* A binary heap over pointers; each node knows its place. */
#include "proto/base/heap.h"

#include "proto/base/env.h"

#include <assert.h>
#include <stdlib.h>

enum { HEAP_CAP_MIN = 16 };

void
heap_clear(struct heap *h)
{
	assert(h->n <= h->cap);
	free(h->nodes);
	*h = (struct heap){ 0 };
}

enum err
heap_reserve(struct heap *h, size_t n)
{
	size_t cap = h->cap > 0 ? h->cap : HEAP_CAP_MIN;
	struct heap_node **nodes;

	if (n <= h->cap)
		return ERR_OK;
	if (n > SIZE_MAX / sizeof(struct heap_node *) / 2)
		return ERR_NOMEM;
	while (cap < n)
		cap *= 2;
	nodes = realloc(h->nodes, cap * sizeof(struct heap_node *));
	if (!nodes)
		return ERR_NOMEM;
	h->nodes = nodes;
	h->cap = cap;
	assert(h->n <= h->cap);
	return ERR_OK;
}

/* Positions are 1-based: parent of i is i / 2. */
static void
place(struct heap *h, struct heap_node *node, size_t pos)
{
	assert(pos > 0 && pos <= h->n);
	h->nodes[pos - 1] = node;
	node->pos = pos;
}

static void
rise(struct heap *h, struct heap_node *node)
{
	size_t pos = node->pos;

	while (pos > 1) {
		struct heap_node *up = h->nodes[pos / 2 - 1];

		if (up->at_ms <= node->at_ms)
			break;
		place(h, up, pos);
		pos /= 2;
	}
	place(h, node, pos);
}

static void
sink(struct heap *h, struct heap_node *node)
{
	size_t pos = node->pos;

	while (pos <= h->n / 2) {
		size_t child = 2 * pos;
		struct heap_node *down;

		if (child < h->n &&
		    h->nodes[child]->at_ms < h->nodes[child - 1]->at_ms)
			child++;
		down = h->nodes[child - 1];
		if (node->at_ms <= down->at_ms)
			break;
		place(h, down, pos);
		pos = child;
	}
	place(h, node, pos);
}

enum err
heap_set(struct heap *h, struct heap_node *node, uint64_t at_ms)
{
	enum err err;

	if (at_ms == NEVER) {
		heap_remove(h, node);
		return ERR_OK;
	}
	if (node->pos == 0) {
		err = heap_reserve(h, h->n + 1);
		if (err)
			return err;
		h->n++;
		place(h, node, h->n);
	}
	assert(node->pos <= h->n && h->nodes[node->pos - 1] == node);
	node->at_ms = at_ms;
	rise(h, node);
	sink(h, node);
	return ERR_OK;
}

void
heap_remove(struct heap *h, struct heap_node *node)
{
	struct heap_node *last;
	size_t pos = node->pos;

	if (pos == 0)
		return;
	assert(pos <= h->n && h->nodes[pos - 1] == node);
	last = h->nodes[h->n - 1];
	h->n--;
	node->pos = 0;
	if (last == node)
		return;
	place(h, last, pos);
	rise(h, last);
	sink(h, last);
}

struct heap_node *
heap_top(const struct heap *h)
{
	if (h->n == 0)
		return NULL;
	assert(h->nodes[0]->pos == 1);
	return h->nodes[0];
}
