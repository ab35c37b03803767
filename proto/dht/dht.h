/*
 * One DHT node of one address family and one carrier: joins table, lookups,
 * items and tokens. Sans-I/O: datagrams and time in, datagrams and events out.
 * [BEP 5] [BEP 42] [BEP 43] [BEP 44] [SPEC §8]
 */
#ifndef PROTO_DHT_DHT_H
#define PROTO_DHT_DHT_H

#include "proto/base/endpoint.h"
#include "proto/base/env.h"
#include "proto/base/err.h"
#include "proto/crypto/types.h"

enum {
	DHT_VALUE_MAX = 1000, /* bytes of a bencoded v [BEP 44] */
	DHT_SALT_MAX = 64,    /* [BEP 44] */
	DHT_OPS_MAX = 64,     /* gets and puts under way; more is ERR_LIMIT */
	DHT_HANDLE_SIZE = 8,
	DHT_HANDLES_MAX = 16, /* of ours, with all introducers */
	DHT_CALLS_MAX = 64,   /* to handles of others; the one unused longest
	                         is forgotten */
	DHT_PASS_MIN = 56,    /* bytes of a datagram that introducers pass */
	DHT_PASS_MAX = 1052,
	DHT_TRUSTED_MAX = 256,
};

/* What carries KRPC: the public BitTorrent DHT, or the encrypted overlay of
 * btchat nodes. [SPEC §8.1] [SPEC §8.2] */
enum dht_carrier { DHT_MAINLINE = 0, DHT_OVERLAY };
#define DHT_CARRIERS 2

struct dht_config {
	enum dht_carrier carrier;
	enum family family;
	const struct rng *rng; /* borrowed for life */
	bool loopback;  /* 127/8 and ::1 count as peers: private nets, tests */
	bool read_only; /* BEP 43: ro=1, answer nothing */
	/* OVERLAY: tell N to who asks under the key of the day. Only for a node
	 * whose address is public anyway. [SPEC §8.2] */
	bool introduces;
};

/* A mutable item, whole and signed. */
struct dht_item {
	uint8_t pk[32];
	uint8_t sig[64];
	int64_t seq;
	uint8_t salt[DHT_SALT_MAX];
	uint8_t salt_n;
	uint8_t v[DHT_VALUE_MAX]; /* raw bencoding */
	uint16_t v_n;
};

struct dht;

struct dht *dht_new(const struct dht_config *cfg, struct now now); /* or NULL */
void dht_free(struct dht *d);

/* Two nodes of one process, one of each family, on Mainline: each hands out the
 * other's nodes to who wants them, and brings it those that it hears of while
 * the other knows few. What either has to send may then come from a call on
 * the other. Until one of them is freed. [BEP 32] */
void dht_pair(struct dht *v4, struct dht *v6);

/* A bootstrap node: asked when the table is thin. It does not enter the table
 * by answering us, and is stored at only where fewer than eight other nodes
 * were found. Once other nodes name it, it is a node like them. A node at an
 * address that is not global is one from the start: a private net has no
 * routers, only first members. Idempotent; at most 16. */
void dht_bootstrap(struct dht *d, const struct endpoint *to, struct now now);
/* OVERLAY: n is its N as its operator says; NULL: it is asked for it under the
 * key of the day. An N that does not answer is given up for that too. */
void dht_bootstrap_key(struct dht *d, const struct endpoint *to,
    const struct node_key *n, struct now now);
/* A node heard of (saved table, a contact): pinged before it counts. */
void dht_candidate(struct dht *d, const struct endpoint *to, struct now now);
/* OVERLAY: with its N, or NULL as above. */
void dht_candidate_key(struct dht *d, const struct endpoint *to,
    const struct node_key *n, struct now now);
/* Becomes another node: another id and N, and nothing stays that somebody may
 * have put there to know us again: what is stored for others, tokens, whom we
 * have blocked. The nodes that we know stay. OVERLAY: handles of ours must have
 * been unregistered before, and nothing passed for others (dht_introduce).
 * has_moved: our address is not known, either. */
void dht_renew(struct dht *d, bool has_moved, struct now now);
struct dht_node {
	struct endpoint at;
	struct node_key n; /* zero on MAINLINE */
};
/* Copies up to max good nodes for saving; returns how many. */
size_t dht_nodes(const struct dht *d, struct dht_node *ret, size_t max);
/* OVERLAY: our N. MAINLINE: zero. */
void dht_key(const struct dht *d, struct node_key *ret);

/* MAINLINE: any datagram that begins with 'd' and ends with 'e'. OVERLAY: any
 * of a length of [SPEC §8.2] that no session owns. */
void dht_receive(struct dht *d, const struct endpoint *from,
    struct span datagram, struct now now);
/* Something else, not of d, was sent there from the socket that d uses. */
void dht_sent(struct dht *d, const struct endpoint *to, struct now now);
void dht_tick(struct dht *d, struct now now);
uint64_t dht_deadline_ms(const struct dht *d); /* monotonic, or NEVER */

/* Looks a mutable item up. Each valid answer with a higher seq than before
 * gives a DHT_VALUE at once; one DHT_GET_DONE ends it. `name` is the caller's
 * and comes back in the events. ERR_LIMIT. */
MUST_USE enum err dht_get(struct dht *d, uint64_t name, const uint8_t pk[32],
    struct span salt, struct now now);
/* The same where nobody waits for the end: few queries at a time. */
MUST_USE enum err dht_get_calmly(struct dht *d, uint64_t name,
    const uint8_t pk[32], struct span salt, struct now now);
/* The same for a look that is repeated: where the nearest four have nothing it
 * is over. What they have is sought among eight, as by dht_get. */
MUST_USE enum err dht_glance(struct dht *d, uint64_t name, const uint8_t pk[32],
    struct span salt, struct now now);
/* Looks up the closest nodes, stores there and reads it back by another path;
 * DHT_PUT_DONE says at how many. If one of them has a higher seq (then it
 * refuses ours) there is a DHT_VALUE before. Where we are among the closest it
 * is kept here too, uncounted. seq >= 1. The item is copied. ERR_LIMIT,
 * ERR_TOO_LONG, ERR_AUTH (bad signature). */
MUST_USE enum err dht_put(
    struct dht *d, uint64_t name, const struct dht_item *item, struct now now);
/* Looks for the peers of an infohash. Each answer that names some gives a
 * DHT_PEERS; they may repeat and may lie. One DHT_GET_DONE ends it.
 * ERR_LIMIT. */
MUST_USE enum err dht_get_peers(
    struct dht *d, uint64_t name, const struct target *hash, struct now now);
/* The same, and then tells the closest that we are a peer: at `port`, or, if
 * it is implied, at the port that they see. DHT_PUT_DONE says how many took
 * it; they keep it for half an hour or more. port >= 1. ERR_LIMIT. */
MUST_USE enum err dht_announce(struct dht *d, uint64_t name,
    const struct target *hash, uint16_t port, bool implied, struct now now);
/* The same in the background, for an item that was put before. */
MUST_USE enum err dht_refresh(
    struct dht *d, uint64_t name, const struct dht_item *item, struct now now);
/* No event follows. True: a put that nodes may have been asked to keep. */
bool dht_cancel(struct dht *d, uint64_t name);

/* ---- introducers; OVERLAY only [SPEC §8.3] ---- */

enum dht_introduces {
	DHT_INTRODUCES_NOBODY = 0, /* as at the start; all are forgotten */
	DHT_INTRODUCES_TRUSTED,    /* the others are forgotten */
	DHT_INTRODUCES_ALL,        /* for a node that is reached unasked */
};
/* To whom of those who register here datagrams are passed. ERR_NOMEM. */
MUST_USE enum err
dht_introduce(struct dht *d, enum dht_introduces whom, struct now now);
/* Handles of this node may take so many bytes a second together, and find room
 * where those of strangers do not. 0: it is a stranger again. ERR_LIMIT. */
MUST_USE enum err
dht_set_trusted(struct dht *d, const struct node_key *n, uint32_t rate);

/* Where a datagram goes through an introducer: to who registered a handle, or
 * back to who passed something to a handle of ours. A plain value; two that
 * are equal lead to the same. */
struct dht_way {
	struct dht_node introducer;
	uint8_t id[DHT_HANDLE_SIZE]; /* the handle; back: what came with it */
	bool back;
};
bool dht_way_eq(const struct dht_way *a, const struct dht_way *b);

/* Asks a node to pass on what comes for this handle of ours, which is random
 * and told to none but contacts. One DHT_REGISTERED ends it, within 15
 * seconds. Once more: renews it, which is also what keeps a router open. Ours
 * may have moved meanwhile. ERR_LIMIT, ERR_BAD_KEY (no node to ask),
 * ERR_STATE (read_only, or still under way). */
MUST_USE enum err
dht_register(struct dht *d, uint64_t name, const struct dht_node *introducer,
    const uint8_t handle[DHT_HANDLE_SIZE], struct now now);
/* What comes for it is dropped from now on, no event follows. The introducer
 * is not told: it forgets by itself. */
void dht_unregister(struct dht *d, const struct dht_node *introducer,
    const uint8_t handle[DHT_HANDLE_SIZE]);
/* Sends a datagram of DHT_PASS_MIN to DHT_PASS_MAX bytes, or loses it. */
void dht_pass(struct dht *d, const struct dht_way *way, struct span datagram,
    struct now now);

struct dht_send {
	struct endpoint to;
	struct span data; /* borrowed until the next call on d */
};
bool dht_next_send(struct dht *d, struct dht_send *ret);

enum dht_event_kind {
	DHT_VALUE = 1, /* item: verified against target and signature */
	/* n: nodes that answered; found: a value was seen; report */
	DHT_GET_DONE,
	DHT_PUT_DONE, /* n: nodes that took it; found: n > 0; report */
	/* address: our own, as a majority of nodes sees it; port 0: they see
	 * different ports (symmetric NAT) */
	DHT_ADDRESS,
	DHT_READY, /* nodes have answered, for the first time */
	DHT_PEERS, /* n of them, as one node names them */
	/* address: ours, as the node at `by` sees it, who has just answered:
	 * a sample of what the router does. The oldest are lost if they are
	 * not fetched after each call. */
	DHT_SEEN,
	/* by: an address that this socket has sent nothing to for ten minutes
	 * or more has asked us: nothing keeps strangers out. Not more often
	 * than every ten seconds. */
	DHT_UNSOLICITED,
	/* op; found: the introducer passes for the next life_s seconds, else it
	 * refuses or does not answer. */
	DHT_REGISTERED,
	/* datagram: came through an introducer; way: what answers it. For what
	 * comes to a handle of ours op is its name and way.back is set; what
	 * answers our own dht_pass has the way of that. address: of the other,
	 * as the introducer sees it; port 0: it does not tell. Lost if it is
	 * not fetched after each call. Never for dht_receive. */
	DHT_HANDED,
	/* way: the introducer says that nobody has registered that handle. */
	DHT_PASS_FAILED,
};
/* Was a value that we stored found by a second lookup, begun elsewhere? */
enum dht_back {
	/* Not a put, a renewal, nothing stored, or nobody answered. */
	DHT_BACK_UNKNOWN = 0,
	DHT_BACK_YES,
	DHT_BACK_NO, /* who guards the place hides it: try another */
};

/* How a get or a put went, for who asks why. [SPEC §8.6] */
struct dht_report {
	uint16_t n_asked, n_answered; /* queries, nodes */
	uint8_t n_stored;             /* PUT: nodes that took it */
	uint8_t spread; /* PUT: networks (/16, IPv6 /32) among them */
	/* PUT: nodes have another value, of this seq: not below what was put.
	 */
	bool has_other;
	int64_t other_seq;
	bool alarm; /* the nearest were too many to be true: searched wide */
	enum dht_back read_back;
	uint64_t took_ms;
};

struct dht_event {
	enum dht_event_kind kind;
	uint64_t op;
	size_t n;
	bool found;
	struct endpoint address, by;
	const struct dht_item *item;  /* borrowed until the next call on d */
	const struct endpoint *peers; /* borrowed likewise; n of them */
	struct dht_report report;
	uint32_t life_s;
	struct dht_way way;
	struct span datagram; /* borrowed likewise */
};
bool dht_next_event(struct dht *d, struct dht_event *ret);

struct dht_stats {
	size_t nodes, nodes_good; /* in the table */
	size_t buckets;
	size_t items;    /* stored for others */
	size_t ops;      /* lookups under way */
	uint64_t rtt_ms; /* median-like, smoothed */
	uint64_t n_in, n_out, bytes_in, bytes_out;
	uint64_t n_dropped;    /* datagrams that drew no answer */
	struct target id;      /* own */
	uint64_t network_size; /* estimate, 0 = unknown */
	/* As an introducer. */
	bool introduces;
	size_t handles, circuits, handles_trusted;  /* these of handles */
	uint64_t n_passed, bytes_passed, n_refused; /* over budget */
	uint64_t bytes_trusted;                     /* of bytes_passed */
};
void dht_get_stats(const struct dht *d, struct dht_stats *ret);

/* BEP 44 signing, for who owns a cell: fills ret->sig over the rest. */
void dht_item_sign(struct dht_item *item, const uint8_t sk[64]);
/* ERR_AUTH, ERR_TOO_LONG */
MUST_USE enum err dht_item_verify(const struct dht_item *item);
/* SHA1(pk || salt) */
void
dht_item_target(const uint8_t pk[32], struct span salt, struct target *ret);

#endif /* PROTO_DHT_DHT_H */
