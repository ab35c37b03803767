#include "tests/sim/dht/wheel.h"

#include <assert.h>
#include <stdlib.h>

void
wheel_init(struct wheel *w, uint64_t now_ms)
{
	w->slots = (struct wheel_slot *)calloc(WHEEL_SLOTS, sizeof(*w->slots));
	assert(w->slots);
	w->now_ms = now_ms;
}

void
wheel_clear(struct wheel *w)
{
	free(w->slots);
	w->slots = NULL;
}

static struct wheel_slot *
slot_of(struct wheel *w, uint64_t at_ms)
{
	return &w->slots[at_ms % WHEEL_SLOTS];
}

void
wheel_add(struct wheel *w, struct wheel_item *item, uint64_t at_ms)
{
	struct wheel_slot *slot = slot_of(w, at_ms);

	assert(!item->planned);
	assert(at_ms >= w->now_ms && at_ms - w->now_ms < WHEEL_SLOTS);
	item->planned = true;
	item->at_ms = at_ms;
	item->next = NULL;
	item->prev = slot->last;
	if (slot->last)
		slot->last->next = item;
	else
		slot->first = item;
	slot->last = item;
}

void
wheel_remove(struct wheel *w, struct wheel_item *item)
{
	struct wheel_slot *slot = slot_of(w, item->at_ms);

	assert(item->planned);
	if (item->prev)
		item->prev->next = item->next;
	else
		slot->first = item->next;
	if (item->next)
		item->next->prev = item->prev;
	else
		slot->last = item->prev;
	item->planned = false;
}

struct wheel_item *
wheel_take(struct wheel *w)
{
	struct wheel_item *item = slot_of(w, w->now_ms)->first;

	if (!item)
		return NULL;
	assert(item->at_ms == w->now_ms);
	wheel_remove(w, item);
	return item;
}

void
wheel_turn(struct wheel *w)
{
	assert(!slot_of(w, w->now_ms)->first);
	w->now_ms++;
}
