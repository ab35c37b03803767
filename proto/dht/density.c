/* Medians over areas of the id space. */
#include "proto/dht/density.h"

#include <assert.h>

static unsigned
area_of(const struct target *goal)
{
	return goal->b[0] / (256 / DENSITY_AREAS);
}

void
density_learn(struct density *d, const struct target *goal, uint64_t size,
    unsigned spread, uint64_t now_ms)
{
	struct density_area *a = &d->area[area_of(goal)];

	assert(size > 0 && spread <= UINT8_MAX);
	a->size = size;
	a->spread = (uint8_t)spread;
	a->at_ms = now_ms;
}

unsigned
density_known(const struct density *d)
{
	unsigned n = 0;

	for (unsigned i = 0; i < DENSITY_AREAS; i++)
		n += d->area[i].size > 0;
	return n;
}

/* Puts v into sorted[0..n). */
static void
sort_in(uint64_t *sorted, unsigned n, uint64_t v)
{
	assert(n < DENSITY_AREAS);
	for (; n > 0 && sorted[n - 1] > v; n--)
		sorted[n] = sorted[n - 1];
	sorted[n] = v;
}

uint64_t
density_size(const struct density *d, const struct target *goal)
{
	unsigned skip = goal ? area_of(goal) : DENSITY_AREAS;
	uint64_t sorted[DENSITY_AREAS];
	unsigned n = 0;

	for (unsigned i = 0; i < DENSITY_AREAS; i++)
		if (i != skip && d->area[i].size > 0)
			sort_in(sorted, n++, d->area[i].size);
	if (n < (goal ? DENSITY_MIN : 1))
		return 0;
	return sorted[n / 2];
}

uint64_t
density_reach(const struct density *d, const struct target *goal, unsigned k)
{
	uint64_t n = density_size(d, goal);

	assert(goal && k > 0);
	if (n <= DENSITY_SMALL || n <= k)
		return 0;
	return UINT64_MAX / n * k;
}

unsigned
density_spread(const struct density *d, const struct target *goal)
{
	uint64_t sorted[DENSITY_AREAS];
	unsigned n = 0;

	for (unsigned i = 0; i < DENSITY_AREAS; i++)
		if (i != area_of(goal) && d->area[i].size > 0)
			sort_in(sorted, n++, d->area[i].spread);
	return n < DENSITY_MIN ? 0 : (unsigned)sorted[n / 2];
}

static unsigned
oldest(const struct density *d)
{
	unsigned ret = 0;

	for (unsigned i = 1; i < DENSITY_AREAS; i++)
		if (d->area[i].at_ms < d->area[ret].at_ms)
			ret = i;
	return ret;
}

uint64_t
density_oldest_ms(const struct density *d)
{
	return d->area[oldest(d)].at_ms;
}

void
density_doubt(struct density *d)
{
	d->area[oldest(d)].at_ms = 0;
}

void
density_gap(const struct density *d, const struct rng *rng, struct target *ret)
{
	unsigned gap = oldest(d);
	struct target id;

	nodeid_random(rng, &id);
	id.b[0] %= 256 / DENSITY_AREAS;
	id.b[0] |= (uint8_t)(gap * (256 / DENSITY_AREAS));
	assert(area_of(&id) == gap);
	*ret = id;
}
