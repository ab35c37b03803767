/*
 * A small sorted set of half-open ranges of 64-bit numbers in fixed memory.
 * Used for packet numbers to acknowledge and for bytes of a stream that came,
 * were acknowledged or were lost.
 */
#ifndef PROTO_LINK_RANGES_H
#define PROTO_LINK_RANGES_H

#include "proto/base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { RANGES_MAX = 32 }; /* [SPEC §7.3] [SPEC §7.4] */

struct range {
	uint64_t lo, hi; /* lo..hi-1 */
};

struct ranges {
	struct range r[RANGES_MAX]; /* ascending, never touching */
	uint32_t n;
};

/* Both leave the set as it was with ERR_LIMIT if it would need one range too
 * many; an empty range changes nothing. */
MUST_USE enum err ranges_add(struct ranges *s, uint64_t lo, uint64_t hi);
MUST_USE enum err ranges_remove(struct ranges *s, uint64_t lo, uint64_t hi);
void ranges_cut_below(struct ranges *s, uint64_t lo); /* never needs room */
void ranges_drop_lowest(struct ranges *s);
bool ranges_has(const struct ranges *s, uint64_t x);
/* True if any number of lo..hi-1 is in the set. */
bool ranges_meets(const struct ranges *s, uint64_t lo, uint64_t hi);

#endif /* PROTO_LINK_RANGES_H */
