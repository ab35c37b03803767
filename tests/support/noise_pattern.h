/* Every fundamental Noise pattern, its modifiers and all four hashes, as
 * tables for the engine that knows only two of them. [Noise rev34 §7] */
#ifndef TESTS_SUPPORT_NOISE_PATTERN_H
#define TESTS_SUPPORT_NOISE_PATTERN_H

#include "proto/crypto/noise.h"

#define NOISE_BASE_PATTERNS 38 /* 3 one-way, 12 interactive, 23 deferred */

/* Builds the table of e.g. "XXfallback+psk0"; name is borrowed by ret.
 * False: no such pattern or modifier. */
bool noise_pattern_build(const char *name, struct noise_pattern *ret);
/* The base pattern i, 0..NOISE_BASE_PATTERNS - 1. */
const char *noise_pattern_name(unsigned i);
/* NULL: no such hash. */
const struct noise_hash *noise_hash_find(const char *name);

#endif /* TESTS_SUPPORT_NOISE_PATTERN_H */
