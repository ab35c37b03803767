/*
 * How many nodes there are, and how far from a goal the nearest of them are
 * to be expected. Learnt from lookups all over the id space; what is said
 * about a goal comes from lookups elsewhere, so nobody who crowds one place
 * changes what is expected there. [SPEC §8.6]
 *
 * One estimate an area of the space, and the median of the others is believed:
 * to shift it one must crowd half of all areas. From eight nodes an estimate
 * has a standard error of a third, the median of fifteen of a tenth.
 */
#ifndef PROTO_DHT_DENSITY_H
#define PROTO_DHT_DENSITY_H

#include "proto/base/env.h"
#include "proto/dht/nodeid.h"

enum {
	DENSITY_AREAS = 16, /* by the first four bits of an id */
	DENSITY_MIN = 5,    /* areas that must be known */
	DENSITY_SMALL = 16, /* nodes; fewer are a place, not a space */
	/* An area of which no lookup has told anything for so long has one
	 * whose only use is to learn. */
	DENSITY_OLD_MS = 4 * 3600 * 1000,
	/* Pause between these. */
	DENSITY_PAUSE_MS = 15 * 60 * 1000,
	DENSITY_HURRY_MS = 2000,     /* while too little is known */
	DENSITY_STEP_MS = 20 * 1000, /* until all areas are */
};

struct density_area {
	uint64_t size; /* nodes in the whole network, 0 = not known */
	uint64_t at_ms;
	uint8_t spread; /* networks among the eight nearest */
};

struct density {
	struct density_area area[DENSITY_AREAS];
};

/* A lookup of goal saw so many nodes and networks. size > 0. */
void density_learn(struct density *d, const struct target *goal, uint64_t size,
    unsigned spread, uint64_t now_ms);
/* Nodes in the network, as seen from areas other than goal's (NULL: from all
 * of them, even if they are few); 0 = unknown. */
uint64_t density_size(const struct density *d, const struct target *goal);
/* The distance within which k nodes are expected round goal, in units of
 * 2^-64 of the space; 0 = unknown, or too few for that question. */
uint64_t
density_reach(const struct density *d, const struct target *goal, unsigned k);
/* Networks (/16, IPv6 /32) usual among the eight nearest; 0 = unknown. */
unsigned density_spread(const struct density *d, const struct target *goal);
unsigned density_known(const struct density *d); /* areas */
/* When the least known area was last learnt of; 0: never, or in doubt. */
uint64_t density_oldest_ms(const struct density *d);
/* Something does not fit: what was learnt first is to be learnt again. */
void density_doubt(struct density *d);
/* A goal in the area of which least is known. */
void
density_gap(const struct density *d, const struct rng *rng, struct target *ret);

#endif /* PROTO_DHT_DENSITY_H */
