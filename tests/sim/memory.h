/*
 * The memory of the nodes, which may run out: in the programs of the simulator
 * allocations fail as the node says whose turn it is (wrap.c; Makefile: WRAP).
 */
#ifndef TESTS_SIM_MEMORY_H
#define TESTS_SIM_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

struct memory {
	uint32_t fail_in; /* allocations until one fails; 0: none will */
	bool is_out;      /* and all after it */
	uint64_t n_failed;
};

/* From now on, until the next call; NULL: that of the world, which lasts.
 * Borrowed. */
void memory_use(struct memory *m);
/* Counts one allocation more. */
bool memory_fails(void);

#endif /* TESTS_SIM_MEMORY_H */
