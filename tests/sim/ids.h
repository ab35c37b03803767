/* Where rows with an id of 16 bytes stand in an array: a short word of each,
 * in the same order, as walking the rows themselves takes most of a run. */
#ifndef TESTS_SIM_IDS_H
#define TESTS_SIM_IDS_H

#include <stddef.h>
#include <stdint.h>

enum { IDS_NONE = -1 };

struct ids {
	uint64_t *word; /* owned */
	size_t cap;
};

void ids_free(struct ids *t);
/* The row at place `at`, the last one. */
void ids_set(struct ids *t, size_t at, const uint8_t id[16]);
/* Of n rows the one at `at` goes, and those behind it close up. */
void ids_remove(struct ids *t, size_t n, size_t at);
/* Of the first n rows the last one that may have the id; IDS_NONE. */
ptrdiff_t ids_find(const struct ids *t, size_t n, const uint8_t id[16]);
void ids_copy(const struct ids *t, size_t n, struct ids *ret);

#endif /* TESTS_SIM_IDS_H */
