/*
 * What happens in which millisecond, in the order it was planned: a wheel of
 * one slot a millisecond. Planning and taking back cost the same however much
 * is planned, which a heap's do not.
 */
#ifndef TESTS_SIM_DHT_WHEEL_H
#define TESTS_SIM_DHT_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

enum { WHEEL_SLOTS = 1 << 17 }; /* ms; nothing is planned further ahead */

/* Part of what is planned; in at most one wheel at a time. */
struct wheel_item {
	struct wheel_item *next, *prev; /* borrowed; in one slot */
	uint64_t at_ms;
	bool planned;
};

struct wheel_slot {
	struct wheel_item *first, *last; /* borrowed */
};

struct wheel {
	struct wheel_slot *slots; /* owned, WHEEL_SLOTS */
	uint64_t now_ms;
};

void wheel_init(struct wheel *w, uint64_t now_ms);
void wheel_clear(struct wheel *w); /* the table; items are their owners' */
/* at_ms: now or later, less than WHEEL_SLOTS ahead. */
void wheel_add(struct wheel *w, struct wheel_item *item, uint64_t at_ms);
void wheel_remove(struct wheel *w, struct wheel_item *item);
/* The first of this millisecond, taken out, or NULL. */
struct wheel_item *wheel_take(struct wheel *w);
/* To the next millisecond; this one must be empty. */
void wheel_turn(struct wheel *w);

#endif /* TESTS_SIM_DHT_WHEEL_H */
