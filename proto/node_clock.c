/*
 * What time it is. The wall clock is believed, unless it was set by more than
 * a day while a contact is online whose own agreed with it: then the clock of
 * before was right to a day. It goes on by itself until the last such link has
 * ended, so that no link ends because a clock was set; but for an hour at the
 * most: two whose clocks stood still together vouch for each other, a contact
 * may say what we like to hear, and all others are kept away meanwhile.
 * Everything in the node goes by n->now.
 */
#include "proto/node_int.h"

#include <assert.h>

static uint64_t
distance(uint64_t a, uint64_t b)
{
	return a - b < b - a ? a - b : b - a; /* modulo 2^64 */
}

static bool
is_vouched_for(const struct node *n)
{
	for (size_t i = 0; i < n->peers_cap; i++) {
		const struct peer *p = n->peers[i];

		if (p != NULL && p->online && p->vouches)
			return true;
	}
	return false;
}

/* It was another clock that theirs agreed with. */
static void
forget_vouchers(struct node *n)
{
	for (size_t i = 0; i < n->peers_cap; i++)
		if (n->peers[i] != NULL)
			n->peers[i]->vouches = false;
}

bool
clock_is_doubted(const struct node *n)
{
	return n->doubt_end_ms != NEVER && n->now.mono_ms < n->doubt_end_ms;
}

void
clock_heard(struct node *n, struct peer *p, uint64_t time_ms)
{
	p->vouches = distance(time_ms, n->now.wall_ms) <= NODE_CLOCK_DOUBT_MS;
}

void
node_time(struct node *n, struct now now)
{
	uint64_t at = now.wall_ms - now.mono_ms;

	if (distance(at, n->clock_ms) <= NODE_CLOCK_DOUBT_MS ||
	    !is_vouched_for(n)) {
		n->doubt_end_ms = NEVER;
	} else if (n->doubt_end_ms == NEVER) {
		effect_event(n, NODE_CLOCK_SET, NULL, NULL, ERR_OK);
		n->doubt_end_ms = now.mono_ms + NODE_CLOCK_DOUBT_MAX_MS;
	}
	n->now = now;
	if (clock_is_doubted(n))
		n->now.wall_ms = now.mono_ms + n->clock_ms;
}

void
self_keep_fresh(struct node *n)
{
	if (!n->has_self)
		return;
	if (self_refresh(&n->self, &n->rng, n->now.wall_ms / 1000)) {
		n->self_dirty = true;
		self_to_links(n);
		meet_changed(n);
	}
}

/* Epochs and certificates are bound to the wall clock. When it was set, keys
 * and cells of before are not what others look for now. */
void
node_clock_watch(struct node *n)
{
	uint64_t at = n->now.wall_ms - n->now.mono_ms;

	assert(!clock_is_doubted(n) || at == n->clock_ms);
	if (distance(at, n->clock_ms) < NODE_CLOCK_SET_MS)
		return;
	if (distance(at, n->clock_ms) > NODE_CLOCK_DOUBT_MS)
		forget_vouchers(n);
	n->clock_ms = at;
	/* Who was knocked at took the ts for one of another time. */
	links_network_back(n->links, n->clock_set_ms, n->now);
	n->clock_set_ms = n->now.mono_ms;
	n->refresh_ms = n->now.mono_ms + NODE_REFRESH_MS;
	self_keep_fresh(n);
	meet_all(n);
}

void
node_woke(struct node *n, struct now now)
{
	node_time(n, now);
	n->woke_ms = n->now.mono_ms;
	links_woke(n->links, n->now);
	lan_changed(n);
	meet_all(n); /* most likely in another place */
	n->unsettled = true;
}
