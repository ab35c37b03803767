/* What the two processes of a run of tests/bench/link.c tell the one that
 * started them. */
#ifndef TESTS_BENCH_SHARED_H
#define TESTS_BENCH_SHARED_H

#include "proto/base/endpoint.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { SAMPLES_MAX = 1 << 20 };

struct shared {
	_Atomic uint64_t texts, bulk; /* bytes that came */
	_Atomic bool stop;
	_Atomic uint32_t n; /* samples, at most SAMPLES_MAX */
	uint32_t us[SAMPLES_MAX];
};

static inline void
shared_sample(struct shared *s, uint64_t ns)
{
	uint32_t n = s->n;

	if (n == SAMPLES_MAX)
		return;
	s->us[n] = (uint32_t)(ns / 1000);
	s->n = n + 1;
}

_Noreturn void die(const char *what);
uint64_t clock_ns(void);

#endif /* TESTS_BENCH_SHARED_H */
