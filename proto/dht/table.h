/*
 * The routing table: buckets of eight nodes by how many leading bits they
 * share with our id. Only nodes that answered us are in it, so nobody can be
 * put there, or handed out, by being talked about. [BEP 5] [BEP 42]
 */
#ifndef PROTO_DHT_TABLE_H
#define PROTO_DHT_TABLE_H

#include "proto/dht/krpc.h"
#include "proto/dht/nodeid.h"

enum {
	TABLE_K = 8,
	TABLE_BUCKETS_MAX = 50, /* 2^53 nodes; more is somebody's game */
	TABLE_GOOD_MS = 15 * 60 * 1000,
	/* In the overlay a node that has been there for long is good for longer
	 * after its last word: for a quarter of that, at most. */
	TABLE_TRUST_MS = 30 * 60 * 1000,
	TABLE_TRUST_PART = 4,
	TABLE_JITTER_MS = 2 * 60 * 1000, /* spreads what falls due */
	TABLE_BAD = 2,    /* queries in a row without an answer */
	TABLE_GONE = 20,  /* the same, after which nobody waits for it */
	TABLE_SILENT = 2, /* gets in a row without an answer */
	TABLE_RETRY_MS = 10 * 1000, /* between two queries that check a node */
};

struct table_node {
	struct krpc_node node;
	uint64_t first_ms;    /* its first answer to us */
	uint64_t answered_ms; /* its last answer to us; there was one */
	uint64_t queried_ms;  /* its last query to us, 0 = none */
	uint64_t checked_ms;  /* our last query that checks it, 0 = none */
	uint32_t rtt_ms;
	uint8_t failed; /* queries in a row that it did not answer */
	uint8_t silent; /* gets in a row; it may answer the rest */
	bool doubt;     /* it did not answer a get: check it */
	bool verified;  /* its id belongs to its address */
};

struct bucket {
	uint8_t n, n_spare;
	uint64_t touched_ms; /* a node in it answered */
	struct table_node node[TABLE_K];
	/* Answered us but found no room; the newest comes last. */
	struct table_node spare[TABLE_K];
};

struct table {
	struct target own;
	uint64_t trust_ms; /* 0, or TABLE_TRUST_MS */
	/* bucket[i] shares exactly i bits with own, the last one i or more. */
	unsigned n_buckets;
	struct bucket bucket[TABLE_BUCKETS_MAX];
};

/* trust_ms: TABLE_TRUST_MS, or 0: all nodes are good for as long. */
void table_init(struct table *t, const struct target *own, uint64_t trust_ms,
    uint64_t now_ms);
/* Another id: every node finds its new bucket, or goes. */
void table_move(struct table *t, const struct target *own, uint64_t now_ms);

/* A node answered us. True if it is new in a bucket. */
bool table_answered(struct table *t, const struct krpc_node *node,
    uint32_t rtt_ms, uint64_t now_ms);
/* A node that is in the table queried us; false: it is not in it. */
bool
table_queried(struct table *t, const struct krpc_node *node, uint64_t now_ms);
/* Would there be room for it, if it answered? */
bool table_wants(
    const struct table *t, const struct krpc_node *node, uint64_t now_ms);
/* It did not answer a ping or find_node, or it lied (at once bad). */
void table_failed(
    struct table *t, const struct endpoint *at, bool lied, uint64_t now_ms);
/* It did not answer a get, which many nodes do not know. */
void table_silent(struct table *t, const struct endpoint *at);
/* It did. */
void table_spoke(struct table *t, const struct endpoint *at);

enum table_use {
	TABLE_HAND_OUT, /* for others: not bad */
	TABLE_TO_GET,   /* for a get of ours: nor silent */
	TABLE_ANY,      /* bad ones too: when nothing else is left */
};
/* The nearest to goal, nearest first; returns how many. */
size_t table_closest(const struct table *t, const struct target *goal,
    enum table_use use, struct krpc_node *ret, size_t max);

/* The same of those that answered lately and found no room. */
size_t table_closest_spare(const struct table *t, const struct target *goal,
    uint64_t now_ms, struct krpc_node *ret, size_t max);

/* The node to check next and when; NULL if the table is empty. */
struct table_node *table_due(struct table *t, uint64_t *ret_ms);
/* The bucket that was not touched for longest, and when it needs to be. */
unsigned table_stale(const struct table *t, uint64_t *ret_ms);
bool
table_good(const struct table *t, const struct table_node *n, uint64_t now_ms);
const struct table_node *
table_find(const struct table *t, const struct endpoint *at);
size_t table_count(const struct table *t);
size_t table_count_good(const struct table *t, uint64_t now_ms);

#endif /* PROTO_DHT_TABLE_H */
