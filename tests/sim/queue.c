#include "tests/sim/queue.h"

#include "proto/base/env.h"

#include <assert.h>
#include <stdlib.h>

void
queue_clear(struct queue *q)
{
	free(q->items);
	*q = (struct queue){ 0 };
}

static bool
before(const struct queue_item *a, const struct queue_item *b)
{
	if (a->at_ms != b->at_ms)
		return a->at_ms < b->at_ms;
	return a->serial < b->serial;
}

static void
swap(struct queue *q, size_t a, size_t b)
{
	struct queue_item t = q->items[a];

	q->items[a] = q->items[b];
	q->items[b] = t;
}

void
queue_push(struct queue *q, uint64_t at_ms, void *p)
{
	size_t at = q->n;

	if (q->n == q->cap) {
		q->cap = q->cap ? 2 * q->cap : 256;
		q->items = (struct queue_item *)realloc(
		    q->items, q->cap * sizeof(*q->items));
		assert(q->items);
	}
	q->items[q->n++] = (struct queue_item){ at_ms, q->serial++, p };
	while (at > 0 && before(&q->items[at], &q->items[(at - 1) / 2])) {
		swap(q, at, (at - 1) / 2);
		at = (at - 1) / 2;
	}
}

uint64_t
queue_next_ms(const struct queue *q)
{
	return q->n ? q->items[0].at_ms : NEVER;
}

void *
queue_pop(struct queue *q)
{
	size_t at = 0;
	void *p;

	if (q->n == 0)
		return NULL;
	p = q->items[0].p;
	q->items[0] = q->items[--q->n];
	for (;;) {
		size_t least = at;

		for (size_t c = 2 * at + 1; c <= 2 * at + 2 && c < q->n; c++)
			if (before(&q->items[c], &q->items[least]))
				least = c;
		if (least == at)
			return p;
		swap(q, at, least);
		at = least;
	}
}
