#include "tests/sim/ids.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint64_t
word_of(const uint8_t id[16])
{
	uint64_t word;

	memcpy(&word, id + 8, sizeof(word));
	return word;
}

void
ids_free(struct ids *t)
{
	free(t->word);
	*t = (struct ids){ 0 };
}

void
ids_set(struct ids *t, size_t at, const uint8_t id[16])
{
	if (at >= t->cap) {
		t->cap = t->cap ? 2 * t->cap : 64;
		assert(at < t->cap);
		t->word =
		    (uint64_t *)realloc(t->word, t->cap * sizeof(*t->word));
		assert(t->word);
	}
	t->word[at] = word_of(id);
}

void
ids_remove(struct ids *t, size_t n, size_t at)
{
	assert(at < n && n <= t->cap);
	memmove(
	    &t->word[at], &t->word[at + 1], (n - at - 1) * sizeof(*t->word));
}

ptrdiff_t
ids_find(const struct ids *t, size_t n, const uint8_t id[16])
{
	uint64_t word = word_of(id);

	assert(n <= t->cap);
	while (n > 0)
		if (t->word[--n] == word)
			return (ptrdiff_t)n;
	return IDS_NONE;
}

void
ids_copy(const struct ids *t, size_t n, struct ids *ret)
{
	*ret = (struct ids){ 0 };
	if (n == 0)
		return;
	ret->word = (uint64_t *)malloc(n * sizeof(*ret->word));
	assert(ret->word);
	memcpy(ret->word, t->word, n * sizeof(*ret->word));
	ret->cap = n;
}
