/*
 * An iterative lookup: which node to ask next and when it is over. Knows no
 * packets; its owner asks and reports. [BEP 5] [SPEC §8]
 *
 * Time is lost on the dead, so a silent node is passed over after a time that
 * follows the round trip. With 64 nodes, 85 ms there and back, 2 % loss each
 * way and 25 % dead (tests/unit/dht/test_wan.c), median and p99: a put with its
 * reading back 670 and 1252 ms, an authoritative get 502 and 877, a certain
 * miss 336 and 752; with 4 * rtt + 100 ms and all slow nodes waited for up to
 * the hard limit 738 and 1956 (not read back), 520 and 956, 504 and 3252.
 */
#ifndef PROTO_DHT_LOOKUP_H
#define PROTO_DHT_LOOKUP_H

#include "proto/base/env.h"
#include "proto/dht/krpc.h"
#include "proto/dht/nodeid.h"

enum {
	LOOKUP_NODES_MAX = 192,   /* candidates remembered */
	LOOKUP_ASKED_MAX = 96,    /* queries of one lookup: lies end it too */
	LOOKUP_ASKED_ALARM = 224, /* the same after an alarm */
	LOOKUP_BAND = 8,          /* at each distance, where that is wanted */
	LOOKUP_BAND_ALARM = 12,   /* the same after an alarm */
	LOOKUP_BAND_DEPTH = 6,    /* smaller nets have no room for bands */
	LOOKUP_ALPHA = 5,         /* queries in flight, slow ones not counted */
	LOOKUP_ALPHA_ALARM = 16,
	LOOKUP_CALM = 2,       /* the same where nobody waits for the end */
	LOOKUP_K = 8,          /* it ends when that many nearest answered */
	LOOKUP_GLANCE = 4,     /* the same of a glance */
	LOOKUP_WIDE = 20,      /* the same where the network may be small */
	LOOKUP_STRETCH = 4,    /* reaches, to find LOOKUP_K after an alarm */
	LOOKUP_SOFT_MS = 1000, /* from then on a node is slow, at the latest */
	LOOKUP_SOFT_MIN_MS = 250,
	LOOKUP_HARD_MS = 3000, /* from then on it failed */
	LOOKUP_ENOUGH = 4,     /* with so many answers the slow get 2 soft_ms */
	LOOKUP_END_MS = 8000,
	LOOKUP_BLUR_BITS = 3, /* of the goal beyond what a node shares */
	LOOKUP_BLUR_DEPTH =
	    10, /* networks less deep have no crowd to hide in */
};

enum lookup_state {
	LOOKUP_FRESH = 1,
	LOOKUP_ASKED,
	LOOKUP_SLOW,   /* asked; its slot is free again */
	LOOKUP_HELPED, /* answered for a blurred goal: may be asked again */
	LOOKUP_ANSWERED,
	LOOKUP_FAILED,
};

/* Where a candidate comes from. */
enum lookup_origin {
	LOOKUP_TABLE = 1, /* our own table */
	LOOKUP_ANSWER,    /* somebody's answer: one a network */
	LOOKUP_SEED,      /* bootstrap node, id unknown: comes last */
};

/* What becomes of a value at a node. */
enum put_state { PUT_NONE = 0, PUT_WANTED, PUT_OPEN, PUT_DONE, PUT_FAILED };

struct lookup_node {
	struct krpc_node node;
	enum lookup_state state;
	uint8_t tier; /* 0 verified id, 1 not, 2 seed: sorts before distance */
	bool seed;
	bool blurred;    /* its present query was */
	bool own;        /* it stood in our own table */
	uint8_t namer;   /* who named it: their number, 0 = we ourselves */
	uint8_t number;  /* 1 = asked first, 0 = not yet */
	uint8_t n_swept; /* queries for places near the goal (sweep.h) */
	/* The owner's. */
	enum put_state put;
	uint8_t n_puts;
	uint8_t token_n;
	uint8_t token[KRPC_TOKEN_MAX];
	int64_t seq; /* that it said to store, -1 = none */
	uint64_t asked_ms;
	uint64_t not_before_ms; /* FRESH: it is asked too often already */
};

struct lookup {
	struct target goal;
	uint64_t started_ms;
	uint64_t soft_ms;
	unsigned depth; /* of our table: how far the network goes */
	uint8_t want;   /* LOOKUP_K, _WIDE or _GLANCE */
	uint8_t alpha;  /* queries in flight */
	uint8_t band; /* at each distance so many are asked, 0 = as it comes */
	/* All out to here are asked, not only the nearest: that many are
	 * expected there, see lookup_expect; 0 = unknown. */
	uint64_t reach;
	bool glance; /* until alarm not out to the reach: the nearest do */
	bool alarm;  /* set by the owner: the nearest are too many to be true */
	uint8_t n;
	uint8_t n_asked;
	/* sweep.h */
	uint8_t quarters; /* of the reach that were swept: bits */
	uint8_t n_swept, n_sweeping;
	uint64_t swept_ms; /* the last such query */
	/* By (tier, distance). Moves whenever a node is added. */
	struct lookup_node node[LOOKUP_NODES_MAX];
};

void lookup_init(struct lookup *l, const struct target *goal, unsigned depth,
    uint64_t soft_ms, uint64_t now_ms);
/* All out to there are to be asked; 0 = unknown. Goals are not blurred for
 * nodes that stand near by that measure, however deep our own table goes. */
void lookup_expect(struct lookup *l, uint64_t reach);
/* When a node counts as slow, where round trips take that long and differ by
 * that much: as TCP waits before it sends again. [RFC 6298 §2] */
uint64_t lookup_soft_ms(uint64_t rtt_ms, uint64_t var_ms);
/* namer: the number of who named it, 0 = nobody. False: known already, one of
 * its network is there, or too far. */
bool lookup_add(struct lookup *l, const struct krpc_node *node,
    enum lookup_origin origin, uint8_t namer);
/* The node to ask now, or NULL. The caller asks it and says so. */
struct lookup_node *lookup_next(struct lookup *l, uint64_t now_ms);
/* What to ask it for: the goal, or something near it while it is far. */
void lookup_ask(struct lookup *l, struct lookup_node *n, const struct rng *rng,
    uint64_t now_ms, struct target *ret);
struct lookup_node *lookup_find(struct lookup *l, const struct endpoint *at);
/* The node answered as `id`. Returns it in its new place. */
struct lookup_node *lookup_answered(
    struct lookup *l, const struct endpoint *at, const struct target *id);
void lookup_failed(struct lookup *l, const struct endpoint *at);

/* How many nearer ones there are, and how many of these may be honest: not
 * more, at any distance, than could be there by chance. A crowd round the goal
 * is one or two. */
struct lookup_tally {
	unsigned n, credible;
};
void lookup_tally(const struct lookup *l, const struct lookup_node *n,
    struct lookup_tally *ret);
/* Does a candidate have to answer, after those? The nearest, all within the
 * reach; after an alarm beyond it too, until LOOKUP_K are credible. */
bool lookup_counts(const struct lookup *l, const struct lookup_node *n,
    const struct lookup_tally *nearer);
bool lookup_over(struct lookup *l, uint64_t now_ms);
/* When to call lookup_next and lookup_over again at the latest. */
uint64_t lookup_deadline_ms(const struct lookup *l, uint64_t now_ms);
/* The nearest that answered, seeds only where others are fewer than max;
 * returns how many. Borrowed. */
size_t lookup_closest(const struct lookup *l, bool with_token,
    const struct lookup_node **ret, size_t max);
/* How far a candidate is from the goal, in 2^-64 of the space. */
uint64_t lookup_distance(const struct lookup *l, const struct lookup_node *n);
/* From the nearest that answered, 0 = unknown. */
uint64_t lookup_network_size(const struct lookup *l);

#endif /* PROTO_DHT_LOOKUP_H */
