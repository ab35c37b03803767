/*
 * Finding the honest nodes of a region that somebody crowds. Nodes near a goal
 * name the eight nearest to it; where an attacker put his ids there, they name
 * only him. Asked for random places near the goal they name others: whoever is
 * expected between the crowd and the reach of eight nodes. [SPEC §8.6]
 *
 * Every lookup does a little of it: a quarter of the reach where nobody is
 * known is asked for once, and what is beyond it if the eighth is too far.
 * After an alarm it is done of all who answered, and of our own table, which an
 * attacker at one goal does not own.
 */
#ifndef PROTO_DHT_SWEEP_H
#define PROTO_DHT_SWEEP_H

#include "proto/dht/lookup.h"

enum {
	/* Alarm: eight nearest within this part of the reach in which two are
	 * expected. By chance in one of 900 lookups, with the size 50 % too
	 * low in one of 80: that costs packets, nothing else. */
	SWEEP_TOO_NEAR = 4,
	/* The same of a glance, by the four nearest: where half a node is
	 * expected. One in 600. */
	SWEEP_TOO_NEAR_FOUR = 16,
	/* Alarm: fewer than eight within so many halves of the reach: who
	 * is there is kept from us. By chance in one of 1,200 lookups if the
	 * size is right. In a simulated net of 1,000 with churn, loss and NATs
	 * one of 14 comes to that, as half of those who are named there do not
	 * answer; one of 240 if SWEEP_BEYOND are asked for first. */
	SWEEP_TOO_FAR = 5,
	SWEEP_TOO_MANY = 24, /* alarm: in the reach, where eight are expected */
	SWEEP_EACH = 2,      /* queries to one node */
	SWEEP_MAX = 160,     /* queries of one lookup */
	SWEEP_ALPHA = 16,    /* in flight */
	SWEEP_OUTSIDE = 16,  /* nodes beyond the reach that are asked */
	SWEEP_QUARTERS = 4,
	SWEEP_BEYOND = 3, /* halves of the reach beyond it, likewise */
};

/* Are the nodes that were found too near, too many, or in too few networks
 * (usual_spread of lookups elsewhere, 0 = unknown) to be chance? */
bool sweep_needed(const struct lookup *l, unsigned usual_spread);
/* Networks (/16, IPv6 /32) of the nearest that answered, at most LOOKUP_K. */
unsigned sweep_spread(const struct lookup *l);
unsigned sweep_spread_stored(const struct lookup *l); /* of PUT_DONE */
/* The node to ask next (a find_node) and for what; NULL: none now. */
struct lookup_node *sweep_next(struct lookup *l, const struct rng *rng,
    uint64_t now_ms, struct target *ret);
/* Such a query has its answer, or none will come. */
void sweep_came(struct lookup *l);

#endif /* PROTO_DHT_SWEEP_H */
