/*
 * Keys that were in use, kept so that they are found nowhere by their bytes,
 * and the search for them in all memory of the process: what is erased must
 * not be there any more, neither in freed memory nor on the stack.
 */
#ifndef TESTS_SIM_KEYS_H
#define TESTS_SIM_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEYS_MAX = 256, KEYS_WORDS = 4 };

struct key_seen {
	uint64_t masked[KEYS_WORDS];
	uint64_t last_ms; /* it was used last, virtual */
	uint32_t n_found; /* by the last keys_search */
};

struct keys {
	uint64_t now_ms; /* set by who runs the world */
	struct key_seen key[KEYS_MAX];
	size_t n;
};

/* From now on every key of a sealed packet goes there; NULL: nowhere. */
void keys_use(struct keys *k);
void keys_saw(const uint8_t key[32]);
/* One more, of any sort. */
void keys_add(struct keys *k, const uint8_t key[32]);
/* Counts each key in all memory that can be written. */
void keys_search(struct keys *k);

#endif /* TESTS_SIM_KEYS_H */
