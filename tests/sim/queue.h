/* What is to happen when: a heap of times, first in first out among equals. */
#ifndef TESTS_SIM_QUEUE_H
#define TESTS_SIM_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue_item {
	uint64_t at_ms;
	uint64_t serial; /* order of pushing */
	void *p;         /* borrowed */
};

struct queue {
	struct queue_item *items; /* owned; a binary heap */
	size_t n, cap;
	uint64_t serial;
};

void queue_clear(struct queue *q);
void queue_push(struct queue *q, uint64_t at_ms, void *p);
uint64_t queue_next_ms(const struct queue *q); /* NEVER if empty */
void *queue_pop(struct queue *q);              /* NULL if empty */

#endif /* TESTS_SIM_QUEUE_H */
