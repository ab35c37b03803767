/*
 * The spy: a host without a node who has all that a contact of somebody had,
 * and asks everybody everything: questions of both DHTs to all nodes that he
 * finds, under every key that he knows, handshakes to all addresses and
 * through the introducers, for values that he left there, with tokens that he
 * got. What comes back he counts. He asks everybody, but nobody asks him: what
 * the nodes of a DHT see of those who ask them is another matter. [SPEC §1]
 */
#ifndef TESTS_SIM_SPY_H
#define TESTS_SIM_SPY_H

#include "tests/sim/sim.h"

#include "proto/chat/contact.h"
#include "proto/chat/self.h"
#include "proto/crypto/cell.h"
#include "proto/dht/carrier.h"
#include "proto/dht/dht.h"
#include "proto/dht/krpc.h"

enum spy_ask {
	SPY_PING = 0,   /* under a key of theirs, at a place of theirs */
	SPY_DAY,        /* what their key is, there */
	SPY_PLAIN,      /* a ping of Mainline, there */
	SPY_CALL,       /* message 1, to everybody */
	SPY_PASS,       /* the same through their introducers */
	SPY_CELL,       /* for their cell, from everybody */
	SPY_CRAWL,      /* whom everybody knows */
	SPY_MARK,       /* for a value that was left with them */
	SPY_MARK_PLAIN, /* the same on Mainline */
	SPY_TOKEN,      /* whether a token of theirs is valid */
	SPY_TOKEN_PLAIN,
	SPY_OTHER, /* unasked */
	SPY_ASKS,
};

enum {
	SPY_SIZES = 5,
	SPY_TIMES = 4,
	/* Answers, those that say yes, by size, by time. */
	SPY_EACH = 2 + SPY_SIZES + SPY_TIMES,
	SPY_OWN = 8, /* for who runs him */
	SPY_SIGHTS = SPY_ASKS * SPY_EACH + SPY_OWN,
	SPY_NODES_MAX = 256,
	SPY_WAITING_MAX = 200, /* below CARRIER_ASKED_MAX */
	SPY_PLACES_MAX = 32,
	SPY_ROUND_MS = 10 * 60 * 1000,
	SPY_SILENT_MAX = 3, /* rounds; then a node is asked no more */
};

struct spy_waiting {
	bool used, plain;
	enum spy_ask ask;
	uint16_t asked;
	uint64_t sent_ms;
	struct endpoint to;
};

struct spy {
	struct sim *s; /* borrowed */
	struct dice dice;
	struct carrier *carrier; /* owned */
	struct node_key own;
	/* The contact that he was, and whom he wants to find. */
	struct self mine, theirs;
	struct contact contact;
	struct cell_introducer introducers[CELL_INTRODUCERS_MAX];
	uint8_t n_introducers;
	/* Where they were, and what ran there; and what belongs to that. */
	struct endpoint place[SPY_PLACES_MAX];
	struct node_key key[SPY_PLACES_MAX];
	size_t n_places, n_keys;
	struct dht_node nodes[SPY_NODES_MAX];
	uint8_t n_silent[SPY_NODES_MAX];
	size_t n_nodes;
	/* Left with them on Mainline and in the overlay. */
	struct dht_item mark;
	uint8_t token[2][16];
	uint8_t n_token[2];
	struct spy_waiting waiting[SPY_WAITING_MAX];
	uint32_t sights[SPY_SIGHTS];
	bool stops;
};

/* He is from now on what `as` knows of `whom`, who are in touch. */
void spy_begin(struct spy *spy, struct sim *s, uint32_t as, uint32_t whom);
/* Leaves a value with them; they are at their place. Takes some seconds. */
void spy_mark(struct spy *spy);
/* Counts from now on anew. */
void spy_forget(struct spy *spy);
void spy_end(struct spy *spy);

#endif /* TESTS_SIM_SPY_H */
