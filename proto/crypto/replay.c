/* A ring of bits, one a counter. Unlike the reference, which clears whole
 * words, single bits are cleared: the window is exactly REPLAY_WINDOW. [RFC
 * 6479 §2] */
#include "proto/crypto/replay.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

_Static_assert(REPLAY_WINDOW % 64 == 0, "whole words");
_Static_assert((REPLAY_WINDOW & (REPLAY_WINDOW - 1)) == 0, "cheap remainder");

static bool
is_seen(const struct replay *r, uint64_t counter)
{
	return r->seen[counter % REPLAY_WINDOW / 64] >> counter % 64 & 1;
}

static void
see(struct replay *r, uint64_t counter)
{
	r->seen[counter % REPLAY_WINDOW / 64] |= UINT64_C(1) << counter % 64;
}

void
replay_init(struct replay *r)
{
	assert(r);
	memset(r, 0, sizeof(*r));
}

enum err
replay_check(const struct replay *r, uint64_t counter)
{
	assert(r->next <= REPLAY_COUNTER_END);
	if (counter >= REPLAY_COUNTER_END)
		return ERR_LIMIT;
	if (counter >= r->next)
		return ERR_OK;
	if (r->next - counter > REPLAY_WINDOW)
		return ERR_REPLAY;
	return is_seen(r, counter) ? ERR_REPLAY : ERR_OK;
}

/* Forgets the counters that `counter` pushes out of the window: those whose
 * bits next..counter will use from now on. */
static void
advance(struct replay *r, uint64_t counter)
{
	uint64_t n = counter + 1 - r->next;

	assert(counter >= r->next);
	if (n >= REPLAY_WINDOW) {
		memset(r->seen, 0, sizeof(r->seen));
	} else {
		for (uint64_t c = r->next; c <= counter; c++)
			r->seen[c % REPLAY_WINDOW / 64] &=
			    ~(UINT64_C(1) << c % 64);
	}
	r->next = counter + 1;
}

void
replay_set(struct replay *r, uint64_t counter)
{
	assert(replay_check(r, counter) == ERR_OK);
	if (counter >= r->next)
		advance(r, counter);
	see(r, counter);
	assert(is_seen(r, counter) && counter < r->next);
}
