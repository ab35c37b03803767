/* Linear walks: at most 32 entries, which one or two cache lines hold. */
#include "proto/link/ranges.h"

#include <assert.h>
#include <string.h>

/* Index of the first range that ends at or after x. */
static uint32_t
first_at(const struct ranges *s, uint64_t x)
{
	uint32_t i = 0;

	while (i < s->n && s->r[i].hi < x)
		i++;
	return i;
}

static void
insert(struct ranges *s, uint32_t i, uint64_t lo, uint64_t hi)
{
	assert(s->n < RANGES_MAX && i <= s->n);
	memmove(&s->r[i + 1], &s->r[i], (s->n - i) * sizeof(s->r[0]));
	s->r[i] = (struct range){ lo, hi };
	s->n++;
}

/* Takes out the ranges i..j-1. */
static void
erase(struct ranges *s, uint32_t i, uint32_t j)
{
	assert(i <= j && j <= s->n);
	memmove(&s->r[i], &s->r[j], (s->n - j) * sizeof(s->r[0]));
	s->n -= j - i;
}

enum err
ranges_add(struct ranges *s, uint64_t lo, uint64_t hi)
{
	uint32_t i = first_at(s, lo), j = i;

	assert(s->n <= RANGES_MAX && lo <= hi);
	if (lo == hi)
		return ERR_OK;
	while (j < s->n && s->r[j].lo <= hi)
		j++;
	if (j == i) {
		if (s->n == RANGES_MAX)
			return ERR_LIMIT;
		insert(s, i, lo, hi);
		return ERR_OK;
	}
	if (s->r[i].lo > lo)
		s->r[i].lo = lo;
	if (s->r[j - 1].hi > hi)
		hi = s->r[j - 1].hi;
	s->r[i].hi = hi;
	erase(s, i + 1, j);
	return ERR_OK;
}

enum err
ranges_remove(struct ranges *s, uint64_t lo, uint64_t hi)
{
	uint32_t i = first_at(s, lo), j;

	assert(s->n <= RANGES_MAX && lo <= hi);
	if (lo == hi)
		return ERR_OK;
	if (i < s->n && s->r[i].lo < lo && s->r[i].hi > hi) {
		if (s->n == RANGES_MAX)
			return ERR_LIMIT;
		insert(s, i + 1, hi, s->r[i].hi);
		s->r[i].hi = lo;
		return ERR_OK;
	}
	if (i < s->n && s->r[i].lo < lo) {
		if (s->r[i].hi > lo)
			s->r[i].hi = lo;
		i++;
	}
	j = i;
	while (j < s->n && s->r[j].hi <= hi)
		j++;
	if (j < s->n && s->r[j].lo < hi)
		s->r[j].lo = hi;
	erase(s, i, j);
	return ERR_OK;
}

void
ranges_cut_below(struct ranges *s, uint64_t lo)
{
	uint32_t i = 0;

	assert(s->n <= RANGES_MAX);
	while (i < s->n && s->r[i].hi <= lo)
		i++;
	erase(s, 0, i);
	if (s->n > 0 && s->r[0].lo < lo)
		s->r[0].lo = lo;
}

void
ranges_drop_lowest(struct ranges *s)
{
	assert(s->n > 0 && s->n <= RANGES_MAX);
	erase(s, 0, 1);
}

bool
ranges_has(const struct ranges *s, uint64_t x)
{
	assert(x < UINT64_MAX);
	return ranges_meets(s, x, x + 1);
}

bool
ranges_meets(const struct ranges *s, uint64_t lo, uint64_t hi)
{
	assert(s->n <= RANGES_MAX && lo <= hi);
	for (uint32_t i = 0; i < s->n; i++) {
		if (s->r[i].lo < hi && lo < s->r[i].hi)
			return true;
	}
	return false;
}
