/* A free place has ts 0, so it is what goes first. */
#include "proto/crypto/callers.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

static bool
is_of(const struct caller *c, const struct static_pk *s)
{
	return c->ts_ms != 0 && memcmp(c->s.b, s->b, sizeof(s->b)) == 0;
}

/* The place of S, or else the first one of the lowest ts. */
static size_t
place_of(const struct callers *c, const struct static_pk *s)
{
	size_t lowest = 0;

	for (size_t i = 0; i < CALLERS_MAX; i++) {
		if (is_of(&c->c[i], s))
			return i;
		if (c->c[i].ts_ms < c->c[lowest].ts_ms)
			lowest = i;
	}
	return lowest;
}

uint64_t
callers_last_ms(const struct callers *c, const struct static_pk *s)
{
	const struct caller *at = &c->c[place_of(c, s)];

	return is_of(at, s) ? at->ts_ms : c->floor_ms;
}

void
callers_take(struct callers *c, const struct static_pk *s, uint64_t ts_ms)
{
	struct caller *at = &c->c[place_of(c, s)];

	assert(ts_ms != 0);
	if (!is_of(at, s) && at->ts_ms > c->floor_ms)
		c->floor_ms = at->ts_ms;
	*at = (struct caller){ .s = *s, .ts_ms = ts_ms };
	assert(callers_last_ms(c, s) == ts_ms);
}
